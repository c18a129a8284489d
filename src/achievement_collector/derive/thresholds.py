"""Dynamic thresholds: the range that a KPI's own recent values make usual, and what lies beyond it.

With :data:`ENOUGH_TO_COUNT` values the range ends at order statistics: a new value from the same population lies below the
k-th smallest of n with probability k / (n + 1) (Wilks 1941, Annals of Mathematical Statistics 12:91), whatever the
distribution. With fewer it is median ± 3.5 * 1.4826 * MAD (the modified z-score of Iglewicz & Hoaglin 1993), the deviation
taken on each side alone, because times and sizes are skewed. All times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean, median

from achievement_collector.derive.series import DAY, GREATEST, WEEK, in_words, rhythm, weekday
from achievement_collector.facts.kpis import Direction, Sample

WINDOW = 90 * DAY
"""So far back the usual range looks from the newest sample."""

FEWEST = 20
"""Samples below which nothing is called usual."""

ENOUGH_TO_COUNT = 200
"""Samples from which the range ends at order statistics: below the smallest of 200 lies a new value once in 201 times."""

TAIL = 0.005
"""The chance of a new value beyond one end of a range of order statistics: 1 % for both ends."""

REACH = 3.5
WEEKS_FOR_WEEKDAYS = 8
"""Weeks from which each weekday has its own range, where the weekdays differ."""


class ThresholdState(StrEnum):
    KNOWN = "known"
    CONSTANT = "constant"
    NOT_ENOUGH = "not enough data"


class Standing(StrEnum):
    USUAL = "usual"
    BETTER = "unusually good"
    WORSE = "unusually bad"
    UNKNOWN = "not enough data"


@dataclass(frozen=True, slots=True)
class DynamicThreshold:
    """The usual range of a KPI, in its unit, on the weekday of its newest sample.

    ``usual`` has both ends, which belong to it; a value beyond ``good`` is unusually good. Both and ``median`` are None
    where there is not enough data. ``n`` samples from ``first_at`` to ``last_at`` made it; ``told`` says how, or what is
    missing. ``by_weekday`` (0 Monday to 6) is how far each weekday lies from the mean of all, empty where they are alike.
    """

    state: ThresholdState
    told: str
    direction: Direction
    n: int
    usual: tuple[float, float] | None = None
    median: float | None = None
    first_at: int | None = None
    last_at: int | None = None
    by_weekday: Mapping[int, float] = field(default_factory=dict)

    @property
    def good(self) -> float | None:
        return None if self.usual is None else self.usual[self.direction is Direction.HIGHER]

    def at(self, moment: int) -> tuple[float, float] | None:
        """Both ends at another moment, which may be another weekday; None where there is not enough data."""
        if self.usual is None or self.last_at is None:
            return None
        moved = self.by_weekday.get(weekday(moment), 0.0) - self.by_weekday.get(weekday(self.last_at), 0.0)
        return self.usual[0] + moved, self.usual[1] + moved

    def standing(self, sample: Sample) -> Standing:
        """Where a value stands that is not in the history that made the range."""
        ends = self.at(sample.at)
        if ends is None:
            return Standing.UNKNOWN
        if ends[0] <= sample.value <= ends[1]:
            return Standing.USUAL
        return Standing.BETTER if self.direction.gain(ends[0], sample.value) > 0 else Standing.WORSE


def dynamic_threshold(
    history: Sequence[Sample], direction: Direction, *, window: int = WINDOW
) -> DynamicThreshold:
    """What is usual by the last ``window`` ms of a history (finite values in time's order; it may be empty).

    It is of one population only: a history that shifted is handed over from its last shift on. To judge a value, leave it
    out of the history.
    """
    recent = [sample for sample in history if sample.at > history[-1].at - window]
    n = len(recent)
    if n < FEWEST:
        told = f"{n} samples in {in_words(window)}, {FEWEST} are needed"
        return DynamicThreshold(ThresholdState.NOT_ENOUGH, told, direction, n)
    if not all(abs(sample.value) < GREATEST for sample in recent):
        told = f"values beyond {GREATEST:g} cannot be compared"
        return DynamicThreshold(ThresholdState.NOT_ENOUGH, told, direction, n)
    first_at, last_at = recent[0].at, recent[-1].at
    values = [float(sample.value) for sample in recent]
    if min(values) == max(values):
        level, told = values[0], f"all {n} samples are {values[0]:g}"
        return DynamicThreshold(
            ThresholdState.CONSTANT, told, direction, n, (level, level), level, first_at, last_at
        )
    weekdays = _weekdays(recent, values)
    values = [value - weekdays.get(weekday(at), 0.0) for (at, _), value in zip(recent, values, strict=True)]
    low, high, told = _counted(values) if n >= ENOUGH_TO_COUNT else _reached(values)
    told = f"{told}, {n} samples" + (", by weekday" if weekdays else "")
    today = weekdays.get(weekday(last_at), 0.0)
    return DynamicThreshold(
        ThresholdState.KNOWN, told, direction, n, (low + today, high + today), median(values) + today,
        first_at, last_at, weekdays,
    )  # fmt: skip


def _weekdays(recent: Sequence[Sample], values: Sequence[float]) -> Mapping[int, float]:
    moments = [sample.at for sample in recent]
    days = [weekday(moment) for moment in moments]
    if moments[-1] - moments[0] < WEEKS_FOR_WEEKDAYS * WEEK - DAY or len(set(days)) < 7:
        return {}
    return rhythm(moments, values, days, WEEK)


def _counted(values: Sequence[float]) -> tuple[float, float, str]:
    ordered = sorted(values)
    beyond = math.floor(TAIL * (len(ordered) + 1))
    share = 2 * beyond / (len(ordered) + 1)
    return (
        ordered[beyond - 1],
        ordered[-beyond],
        f"order statistics: {share:.1%} of such values lie beyond both ends",
    )


def _reached(values: Sequence[float]) -> tuple[float, float, str]:
    middle = median(values)
    below = _deviation([middle - value for value in values if value <= middle])
    above = _deviation([value - middle for value in values if value >= middle])
    return middle - REACH * below, middle + REACH * above, f"median ± {REACH:g} deviations (MAD of each side)"


def _deviation(away: Sequence[float]) -> float:
    """A standard deviation by the median distance; by the mean one where more than half the distances are 0."""
    return 1.4826 * median(away) or 1.2533 * fmean(away)
