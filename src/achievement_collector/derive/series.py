"""Making the samples of a KPI comparable: counters without restarts, medians of time bins, rhythms of day and week.

All times are milliseconds since 1970 (UTC); days and weeks are UTC's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from statistics import fmean, median
from typing import NamedTuple

from achievement_collector.facts.kpis import Sample

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

GREATEST = 1e100
"""Values beyond it are not compared: their sums would not be finite."""

FEWEST_PERIODS = 3
"""So many days show a daily rhythm, so many weeks a weekly one."""

_WIDTHS = (
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 20, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12)),
    *(days * DAY for days in (1, 2, 7, 14, 28)),
)
"""Widths of time bins: parts of a day, which do not blur its rhythm, and what comes above."""


class Point(NamedTuple):
    """One value that is compared: a sample, or the median of a bin. ``first`` is the index of its first sample."""

    first: int
    first_at: int
    last_at: int
    value: float


def without_resets(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """A counter as it would have counted without restarts: where it falls, it began again at 0 (as Prometheus takes it).

    What was counted between the last sample and the restart is not known, so this is a lower bound.
    """
    found: list[Sample] = []
    previous = total = 0.0
    for at, value in samples:
        total += value - previous if not found or value >= previous else value
        found.append(Sample(at, total))
        previous = value
    return tuple(found)


def rates(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """A counter's increase per second since the sample before, restarts taken out; one sample fewer. Over a gap it is the
    mean rate of the gap."""
    return tuple(
        Sample(now.at, (now.value - earlier.value) * 1000 / (now.at - earlier.at))
        for earlier, now in pairwise(without_resets(samples))
    )


def well_apart(samples: Sequence[Sample], least: float) -> tuple[Sample, ...]:
    """The samples without those that follow the one before by less than ``least`` ms. A counter must be made whole before."""
    kept: list[Sample] = []
    for sample in samples:
        if not kept or sample.at - kept[-1].at >= least:
            kept.append(sample)
    return tuple(kept)


def first_of_each(samples: Sequence[Sample], width: int) -> tuple[Sample, ...]:
    """The first sample of each ``width`` ms since 1970, without those that are clearly closer than that to the one before."""
    firsts = {sample.at // width: sample for sample in reversed(samples)}
    return well_apart([firsts[number] for number in sorted(firsts)], 0.9 * width)


def daily(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The median of each UTC day that has samples, at the day's first sample."""
    return tuple(Sample(point.first_at, point.value) for point in _binned(samples, DAY))


def points(samples: Sequence[Sample], most: int) -> tuple[list[Point], int]:
    """At most ``most`` values to compare and how far apart they lie (ms): the samples themselves, or the medians of the
    narrowest bins that are few enough."""
    if len(samples) <= most:
        return (
            [Point(index, at, at, float(value)) for index, (at, value) in enumerate(samples)],
            spacing([sample.at for sample in samples]),
        )
    span = samples[-1].at - samples[0].at
    width = next((width for width in _WIDTHS if span // width <= most - 2), 28 * DAY)
    while span // width > most - 2:
        width *= 2
    return _binned(samples, width), width


def _binned(samples: Iterable[Sample], width: int) -> list[Point]:
    bins: dict[int, list[tuple[int, Sample]]] = {}
    for index, sample in enumerate(samples):
        bins.setdefault(sample.at // width, []).append((index, sample))
    return [
        Point(held[0][0], held[0][1].at, held[-1][1].at, float(median(sample.value for _, sample in held)))
        for held in bins.values()
    ]


def spacing(moments: Sequence[int]) -> int:
    """The usual distance of neighbours (the median), at least 1 ms."""
    return max(1, round(median(b - a for a, b in pairwise(moments)))) if len(moments) > 1 else 1


def weekday(moment: int) -> int:
    """0 for Monday to 6 for Sunday, UTC."""
    return (moment // DAY + 3) % 7  # 1970 began on a Thursday


def without_rhythms(points: list[Point], apart: int) -> tuple[list[Point], tuple[str, ...]]:
    """The points without the rhythm of the day and of the week where they show one, and what was done.

    ``apart`` is their usual distance (ms). A rhythm needs at least two values in a period, and three periods.
    """
    notes = []
    span = points[-1].first_at - points[0].first_at + apart
    for period, name in ((DAY, "daily"), (WEEK, "weekly")):
        if 2 * apart > period or (period == WEEK and apart > DAY):
            continue
        if span < FEWEST_PERIODS * period:
            unit = "days" if period == DAY else "weeks"
            notes.append(f"less than {FEWEST_PERIODS} {unit}: a {name} rhythm would pass for shifts")
            continue
        parts = [_part(point.first_at, period, apart) for point in points]
        effects = rhythm(
            [point.first_at for point in points], [point.value for point in points], parts, period
        )
        if effects:
            points = [
                point._replace(value=point.value - effects[part])
                for point, part in zip(points, parts, strict=True)
            ]
            notes.append(f"its {name} rhythm is taken out")
    return points, tuple(notes)


def _part(moment: int, period: int, apart: int) -> int:
    """The weekday, or the part of the day: as long as the points lie apart, at least an hour."""
    if period == WEEK:
        return weekday(moment)
    slot = next(width for width in _WIDTHS if width >= max(HOUR, min(apart, DAY // 2)))
    return moment % DAY // slot


def rhythm(
    moments: Sequence[int], values: Sequence[float], parts: Sequence[int], period: int
) -> Mapping[int, float]:
    """By part of the period, how far the values usually lie from the mean of the period around them; empty where
    the parts do not differ (Kruskal and Wallis's test at 1 %, chi-square by Wilson and Hilferty)."""
    sums = [0.0, *accumulate(values)]
    start = end = 0
    held: dict[int, list[int]] = {}
    away: list[float] = []
    for index, (moment, value, part) in enumerate(zip(moments, values, parts, strict=True)):
        # one whole period around the moment, moved inside the series at its ends
        begin = max(moments[0], min(moment - period // 2, moments[-1] - period + 1))
        while moments[start] < begin:
            start += 1
        while end < len(moments) and moments[end] < begin + period:
            end += 1
        away.append(value - (sums[end] - sums[start]) / (end - start))
        held.setdefault(part, []).append(index)
    # neighbours in the same part are one witness, not several
    witnesses = [
        (part, fmean(away[index] for index, _ in inside))
        for (_, part), inside in (
            (key, list(group))
            for key, group in groupby(enumerate(parts), lambda one: (moments[one[0]] // DAY, one[1]))
        )
    ]
    if not _parts_differ(witnesses):
        return {}
    effects = {part: median(away[index] for index in inside) for part, inside in held.items()}
    middle = fmean(effects.values())
    return {part: effect - middle for part, effect in effects.items()}


def _parts_differ(witnesses: Sequence[tuple[int, float]]) -> bool:
    """Kruskal and Wallis's test of (part, value) pairs at 1 %."""
    ranks: dict[int, list[float]] = {}
    for (part, _), rank in zip(witnesses, centred_ranks([value for _, value in witnesses]), strict=True):
        ranks.setdefault(part, []).append(rank)
    free = len(ranks) - 1
    total = sum(rank * rank for inside in ranks.values() for rank in inside)
    if not free or not total:
        return False
    between = sum(sum(inside) ** 2 / len(inside) for inside in ranks.values())
    critical = free * (1 - 2 / (9 * free) + 2.326 * math.sqrt(2 / (9 * free))) ** 3
    return (len(witnesses) - 1) * between / total > critical


def centred_ranks(values: Sequence[float]) -> list[float]:
    """Ranks (ties share the mean of theirs) minus their mean."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    middle = (len(values) - 1) / 2
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + end - 1) / 2 - middle
        start = end
    return ranks


def in_words(width: int) -> str:
    """A duration in the largest unit that it is a whole number of: ``3 hours``."""
    for size, name in ((WEEK, "week"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if width % size == 0:
            return f"{width // size} {name}" + ("s" if width != size else "")
    return f"{width / 1000:g} seconds"
