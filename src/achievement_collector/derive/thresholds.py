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

from achievement_collector.derive.series import DAY, WEEK, in_words, rhythm, weekday
from achievement_collector.facts.kpis import Direction, Sample

WINDOW = 90 * DAY
"""So far back the usual range looks from the newest sample."""

FEWEST = 20
"""Samples below which nothing is called usual."""

ENOUGH_TO_COUNT = 200
"""Samples from which the range ends at order statistics: the second smallest of 200 lies 0.5 % of the way up."""

TAIL = 0.005
"""The chance of a new value beyond one end of a range of order statistics: 1 % for both ends."""

REACH = 3.5
WEEKS_FOR_WEEKDAYS = 8
"""Weeks from which each weekday has its own range, where the weekdays differ."""


class Standing(StrEnum):
    USUAL = "usual"
    BETTER = "unusually good"
    WORSE = "unusually bad"
    UNKNOWN = "not enough data"


@dataclass(frozen=True, slots=True)
class UsualRange:
    """The usual range of a KPI, both ends inside, in its unit; ``low``, ``middle`` (the median) and ``high`` are None where
    there is not enough data. ``n`` samples from ``first_at`` to ``last_at`` made it; ``told`` says how, or what is missing.
    ``by_weekday`` (0 Monday to 6) is added to all three, empty where all days are alike."""

    told: str
    n: int
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    first_at: int | None = None
    last_at: int | None = None
    by_weekday: Mapping[int, float] = field(default_factory=dict)

    def at(self, moment: int) -> tuple[float, float] | None:
        """Both ends at a moment; None where there is not enough data."""
        if self.low is None or self.high is None:
            return None
        moved = self.by_weekday.get(weekday(moment), 0.0)
        return self.low + moved, self.high + moved

    def threshold(self, moment: int, direction: Direction) -> float | None:
        """The end that a value must be beyond to be unusually good; None where there is not enough data."""
        ends = self.at(moment)
        return None if ends is None else ends[direction is Direction.HIGHER]

    def standing(self, sample: Sample, direction: Direction) -> Standing:
        """Where a value stands that is not in the history that made the range."""
        ends = self.at(sample.at)
        if ends is None:
            return Standing.UNKNOWN
        if ends[0] <= sample.value <= ends[1]:
            return Standing.USUAL
        return Standing.BETTER if direction.gain(ends[0], sample.value) > 0 else Standing.WORSE


def usual_range(history: Sequence[Sample], *, window: int = WINDOW) -> UsualRange:
    """The usual range by the last ``window`` ms of a history (finite values in time's order; it may be empty).

    It is of one population only: a history that shifted is handed over from its last shift on. To judge a value, leave it
    out of the history.
    """
    recent = [sample for sample in history if sample.at > history[-1].at - window]
    n = len(recent)
    if n < FEWEST:
        return UsualRange(f"{n} samples in {in_words(window)}, {FEWEST} are needed", n)
    first_at, last_at = recent[0].at, recent[-1].at
    values = [float(sample.value) for sample in recent]
    if min(values) == max(values):
        level = values[0]
        return UsualRange(f"all {n} samples are {level:g}", n, level, level, level, first_at, last_at)
    weekdays = _weekdays(recent, values)
    values = [value - weekdays.get(weekday(at), 0.0) for (at, _), value in zip(recent, values, strict=True)]
    low, high, told = _counted(values) if n >= ENOUGH_TO_COUNT else _reached(values)
    told = f"{told}, {n} samples" + (", by weekday" if weekdays else "")
    return UsualRange(told, n, low, median(values), high, first_at, last_at, weekdays)


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
