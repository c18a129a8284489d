"""Lasting shifts of a KPI's level: where they lie, how large they are, and when that cannot be told.

The place is E-Divisive's (Matteson & James 2014, JASA 109:505, exponent 1; bisection with a fixed right end, as Daly et al.
2020 use it for performance series). Whether it is a shift at all is decided by a permutation test that knows about
dependence: real series are autocorrelated, and a plain permutation test takes every slow excursion for a shift.

1. More than ``MOST`` samples become medians of equal time bins; a daily and a weekly rhythm, where one shows, is taken out.
2. The dependence of neighbours is estimated about the likeliest few levels, so that a real shift does not pass for it. A
   series that depends too much on its own past "wanders": nothing is claimed of it.
3. E-Divisive proposes a place; where it fails, a range test proposes two (there and back again). The segment is pre-whitened
   (Chakar et al. 2017, Bernoulli 23:1408, do the same). The rank sum at the place, standardised, is compared with the
   *largest* of all places in random orders of the whitened ranks: the search for the place is paid for.
4. A segment of n of N values is tested at alpha * n / N, half of it for each test. Segments beside each other share alpha: the
   chance of any false split is about alpha at most, as far as the estimated dependence is right.
5. Levels that a straight line (or, in less than three weeks, weekends) explains as well are no shifts and taken back.

``benchmarks/shifts.py`` measures what comes of it. All times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median, quantiles

from achievement_collector.derive.divisive import Dependence, LevelSearch
from achievement_collector.derive.series import (
    DAY,
    FEWEST_PERIODS,
    GREATEST,
    WEEK,
    Point,
    in_words,
    points,
    without_rhythms,
)
from achievement_collector.derive.series import rates as rates
from achievement_collector.derive.series import without_resets as without_resets
from achievement_collector.facts.kpis import Direction, Sample

MOST = 720
"""So many samples are looked at one by one; of more, medians of equal time bins are."""

MINIMUM_SEGMENT = 7
"""Samples on each side of a shift. A shorter excursion, however large, is no lasting shift."""

MINIMUM_DURATION = DAY
"""Milliseconds that a level must hold at least: what is over within a day is the day's rhythm, or an incident."""

MINIMUM_RELATIVE = 0.05
"""The smallest shift that is reported, as a share of the median before. A smaller one may be real, and matters little."""

LEVEL = 0.95
"""Confidence level of all intervals."""

_Z = 1.959964  # the normal quantile that belongs to LEVEL
_BAI = 11.03
"""The 95 % quantile of the place of the largest value of a two-sided Brownian motion with drift (Bai 1997, REStat 79:551)."""


class State(StrEnum):
    FOUND = "found"
    NONE = "none"
    NOT_ENOUGH = "not enough data"
    WANDERS = "wanders"
    CONSTANT = "constant"


class Verdict(StrEnum):
    IMPROVED = "improved"
    WORSENED = "worsened"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Summary:
    """The samples of one segment as they were recorded: how many, the median, the interquartile range, the first's and the
    last's moment."""

    n: int
    median: float
    iqr: float
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class Shift:
    """A lasting change of level between ``before`` and ``after``, which end at the neighbouring shifts.

    ``index`` and ``at`` are the first sample of the new level, in the samples as given. ``interval`` (earliest, latest) is
    where the change lies at the 95 % level. ``difference`` is Hodges and Lehmann's estimate (the median of all pairwise
    differences, after minus before, in the KPI's unit) and ``difference_interval`` its 95 % interval, None where there
    are too few independent samples for one. ``relative`` is ``difference`` as a share of the median before, None where that
    is 0. ``cliffs_delta`` is the share of pairs that rose minus the share that fell, from -1 to 1. ``p_value`` is that of
    the split when it was made.
    """

    index: int
    at: int
    interval: tuple[int, int]
    before: Summary
    after: Summary
    difference: float
    difference_interval: tuple[float, float] | None
    relative: float | None
    cliffs_delta: float
    p_value: float
    method: str

    def verdict(self, direction: Direction) -> Verdict:
        """Better or worse; unclear where the interval of the difference is not all on one side of 0."""
        if self.difference_interval is None:
            return Verdict.UNCLEAR
        gains = [direction.gain(0.0, end) for end in self.difference_interval]
        if min(gains) > 0:
            return Verdict.IMPROVED
        return Verdict.WORSENED if max(gains) < 0 else Verdict.UNCLEAR


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in ``n`` samples, of which ``used`` (single ones, or medians of time bins) were compared.

    ``told`` says why the answer is what it is. ``needed`` is how many samples there must be; ``persistence`` the estimated
    autocorrelation of neighbours (0 to 1), None where it was not estimated.
    """

    state: State
    told: str
    shifts: tuple[Shift, ...] = ()
    n: int = 0
    used: int = 0
    needed: int = 0
    persistence: float | None = None


def find_shifts(
    samples: Sequence[Sample],
    *,
    alpha: float = 0.01,
    minimum_segment: int = MINIMUM_SEGMENT,
    minimum_duration: int = MINIMUM_DURATION,
    minimum_relative: float = MINIMUM_RELATIVE,
) -> Found:
    """The lasting shifts of a series, in time's order. ``samples`` are finite and in time's order, one for each moment.

    ``alpha`` is the chance of any false split that is accepted, for the whole series. A level lasts at least
    ``minimum_segment`` samples (or bins) and ``minimum_duration`` ms; three times that is needed to say anything. A counter
    goes through ``rates`` first. The same samples give the same answer: random orders come from a generator that the
    samples seed. Raises ValueError for an alpha outside (0, 1) or a minimum segment below 4.
    """
    if not 0 < alpha < 1 or minimum_segment < 4:
        raise ValueError("alpha lies between 0 and 1, a segment has at least 4 samples")
    held, apart = points(samples, MOST)
    n, used = len(samples), len(held)
    minimum = max(minimum_segment, math.ceil(minimum_duration / apart))
    needed = 3 * minimum
    if used < needed:
        counted = f"{used} samples" if used == n else f"{n} samples, in {used} bins of {in_words(apart)}"
        if used < minimum_segment or needed > MOST:  # too few, or too close to each other, to count on
            needed, span = 3 * minimum_segment, f" over at least {in_words(3 * minimum_duration)}"
        else:
            span = f" ({in_words(3 * minimum_duration)})" if minimum > minimum_segment else ""
        told = f"{counted}; {needed:,} are needed{span}"
        return Found(State.NOT_ENOUGH, told, (), n, used, needed)
    if not all(abs(sample.value) < GREATEST for sample in samples):
        return Found(State.NOT_ENOUGH, f"values beyond {GREATEST:g} cannot be compared", (), n, used, needed)
    if len({sample.value for sample in samples}) == 1:
        return Found(State.CONSTANT, f"all {n} samples are {samples[0].value:g}", (), n, used, needed)
    held, notes = without_rhythms(held, apart)
    if used < n:
        notes = (f"{n} samples as {used} medians of {in_words(apart)}", *notes)
    search = LevelSearch(held, minimum, alpha, _seed(samples))
    splits = search.splits()
    may_be_week = apart < DAY and held[-1].first_at - held[0].first_at < FEWEST_PERIODS * WEEK
    explained = search.take_back(splits, may_be_week=may_be_week)
    shifts, small = _worth_telling(samples, held, splits, search.dependence, minimum_relative, notes)
    if small:
        notes = (*notes, f"{small} below {minimum_relative:.0%} of the level left out")
    state, told = _answer(shifts, search, explained)
    return Found(state, "; ".join((told, *notes)), shifts, n, used, needed, search.dependence.persistence)


def _answer(shifts: tuple[Shift, ...], search: LevelSearch, explained: str) -> tuple[State, str]:
    dependence = (
        f"persistence {search.dependence.persistence:.2f}: {len(search.values)} values tell as much as "
        f"{len(search.values) / search.dependence.inflation:.0f} independent ones"
    )
    if search.wanders:
        return State.WANDERS, f"it wanders; a shift cannot be told from its own slow movement ({dependence})"
    if shifts:
        count = "1 shift" if len(shifts) == 1 else f"{len(shifts)} shifts"
        return State.FOUND, f"{count} at alpha {search.alpha:g} ({dependence})"
    if explained:
        return State.WANDERS, explained
    return State.NONE, f"no shift at alpha {search.alpha:g} ({dependence})"


# ---- telling of it


def _worth_telling(
    samples: Sequence[Sample],
    held: Sequence[Point],
    splits: Mapping[int, float],
    dependence: Dependence,
    minimum_relative: float,
    notes: Sequence[str],
) -> tuple[tuple[Shift, ...], int]:
    """The shifts, and how many were left out as too small. The smallest goes first: without it, its neighbours are
    compared with longer sides."""
    edges = [0, *sorted(splits), len(held)]
    small = 0
    while True:
        shifts = tuple(
            _shift(samples, held, three, splits[three[1]], dependence, notes)
            for three in zip(edges, edges[1:], edges[2:], strict=False)
        )
        sizes = {
            place: abs(shift.relative)
            for place, shift in zip(edges[1:-1], shifts, strict=True)
            if shift.relative is not None and abs(shift.relative) < minimum_relative
        }
        if not sizes:
            return shifts, small
        edges.remove(min(sizes, key=sizes.__getitem__))
        small += 1


def _shift(
    samples: Sequence[Sample],
    held: Sequence[Point],
    edges: tuple[int, int, int],
    p_value: float,
    dependence: Dependence,
    notes: Sequence[str],
) -> Shift:
    start, place, end = edges
    left = [point.value for point in held[start:place]]
    right = [point.value for point in held[place:end]]
    pairs = sorted(after - before for after in right for before in left)
    difference = median(pairs)
    # the variance of Mann and Whitney's statistic, widened: n values tell as much as n / inflation independent ones
    widening = math.sqrt(dependence.inflation)
    spread = math.sqrt(len(pairs) * (len(left) + len(right) + 1) / 12) * widening
    cut = math.floor(len(pairs) / 2 - _Z * spread)
    interval = (pairs[cut], pairs[-1 - cut]) if cut >= 0 else None
    first = held[place].first
    last = held[end].first if end < len(held) else len(samples)
    before = _summary(samples[held[start].first : first])
    after = _summary(samples[first:last])
    earliest, latest = _place_interval(held, edges, left, right, widening)
    return Shift(
        first,
        samples[first].at,
        (earliest, latest),
        before,
        after,
        difference,
        interval,
        _share(difference, before.median),
        (sum(pair > 0 for pair in pairs) - sum(pair < 0 for pair in pairs)) / len(pairs),
        p_value,
        "; ".join(
            [
                "E-Divisive, permutation test of whitened ranks; Hodges-Lehmann difference, 95 % by Mann-Whitney",
                f"variance widened by {dependence.inflation:.2f} for dependence",
                *notes,
            ]
        ),
    )


def _place_interval(
    held: Sequence[Point], edges: tuple[int, int, int], left: list[float], right: list[float], widening: float
) -> tuple[int, int]:
    """Bai's interval: 11.03 * (long-run variance / difference ** 2) samples to each side and one more, inside the segments.

    It begins with the last sample that is surely before: the change may lie anywhere between two samples."""
    start, place, end = edges
    middle_left, middle_right = median(left), median(right)
    rest = [abs(value - middle_left) for value in left] + [abs(value - middle_right) for value in right]
    deviation = 1.4826 * median(rest) * widening
    difference = abs(middle_right - middle_left)
    ratio = min(deviation / difference, 1e6) if difference else 1e6
    reach = math.floor(_BAI * ratio**2) + 1
    return (
        held[max(start, place - reach - 1)].last_at,
        held[min(end - 1, place + reach)].last_at,
    )


def _share(difference: float, before: float) -> float | None:
    share = difference / abs(before) if before else math.inf
    return share if math.isfinite(share) else None


def _summary(samples: Sequence[Sample]) -> Summary:
    low, middle, high = quantiles([sample.value for sample in samples], method="inclusive")
    return Summary(len(samples), middle, high - low, samples[0].at, samples[-1].at)


def _seed(samples: Iterable[Sample]) -> int:
    digest = hashlib.sha256()
    for at, value in samples:
        digest.update(struct.pack(">qd", at, value))
    return int.from_bytes(digest.digest()[:8], "big")
