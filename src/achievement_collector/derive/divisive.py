"""Where the level of a series changes: E-Divisive's places, tested with the dependence of neighbours taken out.

The method is described in :mod:`achievement_collector.derive.shifts`, which tells of what is found here.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, median, quantiles

from achievement_collector.derive.series import Point, centred_ranks, spacing, weekday

LEAST_INDEPENDENT = 9.0
"""From this inflation on, a series cannot be told from a wandering one by so few samples (persistence 0.8 alone gives 9)."""

_LEVELS = ((240, 4), (90, 3), (0, 2))
"""From so many values on, dependence is judged about so many levels: more of them would swallow slow movements."""

_LOST, _LOST_BY_PERSISTENCE, _LOST_LATER = 1.9, 4.7, 1.5
"""What fitting k levels at their likeliest places to n values takes off an autocorrelation, in k / n."""

_SLOWEST = 0.95
_REACH = 1.5
"""The long-run variance is summed over so many times the cube root of n lags."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """How much neighbours resemble each other. ``persistence`` is the lag-one autocorrelation (0 to 1), ``excess`` the factor
    (1 or more) by which the variance of a mean exceeds what an AR(1) series of that persistence has."""

    persistence: float
    excess: float

    @property
    def inflation(self) -> float:
        """The variance of a mean, as a multiple of that of as many independent values."""
        return (1 + self.persistence) / max(0.001, 1 - self.persistence) * self.excess


class LevelSearch:
    """The search for changes of level in one series. At least ``minimum`` points lie on each side of a change; ``alpha`` is
    for the whole series; ``seed`` decides the random orders."""

    def __init__(self, held: Sequence[Point], minimum: int, alpha: float, seed: int) -> None:
        self.moments = [point.first_at for point in held]
        self.values = _within_fences([point.value for point in held])
        apart = spacing(self.moments)
        # how many usual distances each lies after the one before it: more than 1 across a gap
        self.steps = [1] + [max(1, round((b - a) / apart)) for a, b in pairwise(self.moments)]
        self.minimum, self.alpha = minimum, alpha
        self.random = random.Random(seed)  # noqa: S311 - orders to compare with, no secret
        levels = next(levels for least, levels in _LEVELS if len(held) >= least)
        self.dependence = _dependence(self.values, likely_edges(self.values, levels, minimum), self.steps)

    @property
    def wanders(self) -> bool:
        return self.dependence.inflation >= LEAST_INDEPENDENT

    def splits(self) -> dict[int, float]:
        """The first index of each new level, with the p-value of its split; empty where the series wanders."""
        size = len(self.values)
        accepted: dict[int, float] = {}
        segments = [] if self.wanders else [(0, size)]
        while segments:
            start, end = segments.pop()
            if end - start < 2 * self.minimum:
                continue
            level = self.alpha * (end - start) / size
            places, p_value = self._step(start, end, level / 2)
            if not places:
                places, p_value = self._excursion(start, end, level / 2)
            accepted |= dict.fromkeys(places, p_value)
            if places:
                segments += pairwise([start, *places, end])
        return accepted

    def _step(self, start: int, end: int, level: float) -> tuple[list[int], float]:
        """One place, where the level after it differs from that before it."""
        found = divergences(self.values[start:end], self.minimum)
        place = self.minimum + max(range(len(found)), key=found.__getitem__)
        size, minimum = end - start, self.minimum
        weights = [1 / math.sqrt(left * (size - left)) for left in range(minimum, size - minimum + 1)]

        def largest(sums: Sequence[float]) -> float:
            sizes: Iterator[float] = map(abs, sums[minimum - 1 : size - minimum])
            return float(max(map(operator.mul, sizes, weights)))

        ranks = self._whitened_ranks(start, end)
        own = abs(sum(ranks[:place])) * weights[place - minimum]
        p_value = self._p_value(ranks, own, largest, level)
        return ([start + place], p_value) if p_value <= level else ([], 1.0)

    def _excursion(self, start: int, end: int, level: float) -> tuple[list[int], float]:
        """Two places, where the level between them differs from that around them (a range test, as Kuiper's): bisection
        alone hardly sees a series that goes and comes back."""
        size, minimum = end - start, self.minimum
        if size < 3 * minimum:
            return [], 1.0
        sums = list(accumulate(centred_ranks(self.values[start:end])))[minimum - 1 : size - minimum]
        low, high = sums.index(min(sums)), sums.index(max(sums))
        first, second = minimum + min(low, high), minimum + max(low, high)
        if second - first < minimum:
            return [], 1.0
        first, second = self._moved(start, first, second, size)

        def largest(sums: Sequence[float]) -> float:
            inner = sums[minimum - 1 : size - minimum]
            return max(inner) - min(inner)

        ranks = self._whitened_ranks(start, end)
        p_value = self._p_value(ranks, abs(sum(ranks[first:second])), largest, level)
        return ([start + first, start + second], p_value) if p_value <= level else ([], 1.0)

    def _moved(self, start: int, first: int, second: int, size: int) -> tuple[int, int]:
        """Both places where E-Divisive has them, each with the other held."""
        found = divergences(self.values[start : start + second], self.minimum)
        first = self.minimum + max(range(len(found)), key=found.__getitem__)
        found = divergences(self.values[start + first : start + size], self.minimum)
        return first, first + self.minimum + max(range(len(found)), key=found.__getitem__)

    def _p_value(
        self, ranks: Sequence[float], own: float, largest: Callable[[Sequence[float]], float], level: float
    ) -> float:
        """The share of random orders whose largest statistic reaches ``own``, the observed order among them; 1 where it is
        above ``level``: drawing stops as soon as that is sure (Besag & Clifford 1991)."""
        own *= (1 - 1e-12) / math.sqrt(self.dependence.excess)
        draws = min(9999, math.ceil(5 / level) - 1)
        exceeded, allowed = 1, level * (draws + 1)
        draw = self.random.random
        for _ in range(draws):
            # sorted by random keys, because only random() is promised to stay the same between Python versions
            by_key = {draw(): rank for rank in ranks}
            if largest(list(accumulate(map(by_key.__getitem__, sorted(by_key))))) >= own:
                exceeded += 1
                if exceeded > allowed:
                    return 1.0
        return exceeded / (draws + 1)

    def _whitened_ranks(self, start: int, end: int) -> list[float]:
        values = self.values[start:end]
        middle = median(values)
        return centred_ranks(
            _whitened(
                [value - middle for value in values], self.dependence.persistence, self.steps[start:end]
            )
        )

    # ---- what explains it without a change of level

    def take_back(self, splits: dict[int, float], *, may_be_week: bool) -> str:
        """Removes the splits that something else explains as well; tells what, empty where nothing is removed.

        A straight line, or (``may_be_week``) weekends that differ, through the whole series: what is left of the squares is
        compared, each level beyond two costing log(n) / n in logarithms (Schwarz 1978). Then a line through the two sides
        of each split.
        """
        size = len(self.values)
        if not splits:
            return ""
        edges = [0, *sorted(splits), size]
        levels = sum(_squares(self.values[start:end]) for start, end in pairwise(edges))
        allowed = levels * math.exp((len(splits) - 1) * math.log(size) / size)
        if self._squares_about_line(0, size) <= allowed:
            splits.clear()
            return "it drifts: a straight line explains it as well as levels do"
        if may_be_week and self._squares_about_weekends() <= allowed:
            splits.clear()
            return "weekends explain it as well as levels do, and three weeks are needed to tell"
        told = ""
        while splits:
            edges = [0, *sorted(splits), size]
            worst, place = min(
                (self._levels_over_line(*three), three[1])
                for three in zip(edges, edges[1:], edges[2:], strict=False)
            )
            if worst >= 0:
                break
            del splits[place]
            told = "it drifts: a straight line explains it better than levels do"
        return told

    def _levels_over_line(self, start: int, place: int, end: int) -> float:
        """How much better two levels explain a stretch than a line does: the difference of the squares that they leave, as a
        share of their sum; 1 where nothing is left."""
        levels = _squares(self.values[start:place]) + _squares(self.values[place:end])
        line = self._squares_about_line(start, end)
        return (line - levels) / (line + levels) if line + levels > 0 else 1.0

    def _squares_about_line(self, start: int, end: int) -> float:
        moments, values = self.moments[start:end], self.values[start:end]
        centre, middle = fmean(moments), fmean(values)
        spread = sum((moment - centre) ** 2 for moment in moments)
        slope = sum((m - centre) * (v - middle) for m, v in zip(moments, values, strict=True)) / spread
        return max(0.0, _squares(values) - slope * slope * spread)

    def _squares_about_weekends(self) -> float:
        parts: dict[bool, list[float]] = {}
        for moment, value in zip(self.moments, self.values, strict=True):
            parts.setdefault(weekday(moment) >= 5, []).append(value)
        return sum(_squares(inside) for inside in parts.values()) if len(parts) == 2 else math.inf


def divergences(values: Sequence[float], minimum: int) -> list[float]:
    """E-Divisive's scaled divergence (2014, equations 5 and 7) of the values before each place from those from it on.

    For places ``minimum`` to ``len(values) - minimum``, of which each side has at least 2 values; empty where there is
    none. In the values' unit; O(n^2) time and O(n) memory.
    """
    size = len(values)
    if minimum < 2 or size < 2 * minimum:
        return []
    ordered = sorted(values)
    sums = [0.0, *accumulate(ordered)]
    to_all = {
        value: value * (2 * place - size) - 2 * sums[place] + sums[-1] for place, value in enumerate(ordered)
    }
    total = sum(to_all[value] for value in values) / 2
    inside = from_left = 0.0
    found = []
    for left, value in enumerate(values, 1):
        inside += sum([abs(value - other) for other in values[: left - 1]])
        from_left += to_all[value]
        right = size - left
        if left < minimum or right < minimum:
            continue
        across = from_left - 2 * inside
        beyond = total - inside - across
        found.append(
            left * right / size
            * (2 * across / (left * right) - inside / math.comb(left, 2) - beyond / math.comb(right, 2))
        )  # fmt: skip
    return found


def likely_edges(values: Sequence[float], levels: int, minimum: int) -> list[int]:
    """The edges of at most so many segments, by the largest divergences and without a test, both ends included."""
    edges = [0, len(values)]
    proposed: dict[tuple[int, int], tuple[float, int]] = {}
    while len(edges) <= levels:
        for start, end in pairwise(edges):
            if (start, end) not in proposed:
                found = divergences(values[start:end], minimum)
                best = max(range(len(found)), key=found.__getitem__) if found else 0
                proposed[start, end] = (found[best] if found else 0.0, start + minimum + best)
        size, place = max(proposed[segment] for segment in pairwise(edges))
        if size <= 0:
            break
        edges = sorted([*edges, place])
    return edges


def _dependence(values: Sequence[float], edges: Sequence[int], steps: Sequence[int]) -> Dependence:
    """The dependence of neighbours about the levels of the segments between ``edges``.

    Persistence is Spearman's autocorrelation as that of a normal series (2 sin(pi r / 6)), so that spikes weigh little.
    Fitting k levels to n values takes about (1.9 + 4.7 phi) k / n off, which is put back (Kendall 1954, Biometrika 41:403, has
    (1 + 3 phi) / n for one fixed level; here the places are fitted too, and the factors were measured on AR(1) series).
    The excess is the long-run variance of the whitened ranks (Andrews & Monahan 1992, Econometrica 60:953; Bartlett's
    weights), what the levels take off put back likewise; or, where the autocorrelations at lags 2 and 3 are clearly above 0,
    that of an ARMA(1,1) series, 1 + 2 r1 / (1 - decay) with decay (r2 + r3) / (r1 + r2): slow movement under noise.
    """
    rest: list[float] = []
    for start, end in pairwise(edges):
        level = median(values[start:end])
        rest += [value - level for value in values[start:end]]
    size = len(rest)
    share = (len(edges) - 1) / size
    first, second, third = (
        (2 * math.sin(math.pi * seen / 6) + _LOST * share) / max(0.25, 1 - _LOST_BY_PERSISTENCE * share)
        for seen in _autocorrelations(rest, steps, 3)
    )
    persistence = min(1.0, max(0.0, first))
    reach = round(_REACH * size ** (1 / 3))
    later = _autocorrelations(_whitened(rest, persistence, steps), steps, reach)
    excess = 1 + 2 * sum(
        (1 - lag / (reach + 1)) * (correlation + _LOST_LATER * share)
        for lag, correlation in enumerate(later, 1)
    )
    if first > 0 and second + third > 2 * math.sqrt(2 / size):
        decay = min(_SLOWEST, max(persistence, (second + third) / (first + second)))
        slow = 1 + 2 * first / (1 - decay)
        excess = max(excess, slow * (1 - persistence) / (1 + persistence))
    return Dependence(persistence, max(1.0, excess))


def _autocorrelations(values: Sequence[float], steps: Sequence[int], most: int) -> Iterator[float]:
    """Spearman's autocorrelation at lags 1 to ``most`` (pairs that a gap parts are left out); 0 where all is the same."""
    ranks = centred_ranks(values)
    spread = sum(rank * rank for rank in ranks) / len(ranks)
    position = list(accumulate(steps))
    for lag in range(1, most + 1):
        pairs = [
            earlier * now
            for earlier, now, began, ended in zip(ranks, ranks[lag:], position, position[lag:], strict=False)
            if ended - began == lag
        ]
        yield max(-1.0, min(1.0, fmean(pairs) / spread)) if pairs and spread else 0.0


def _whitened(away: Sequence[float], phi: float, steps: Sequence[int]) -> list[float]:
    """Each value without what the one before it foretells: x[t] - phi ** steps[t] * x[t - 1]."""
    return [away[0] * math.sqrt(1 - phi * phi)] + [
        now - phi**step * earlier for earlier, now, step in zip(away, away[1:], steps[1:], strict=False)
    ]


def _within_fences(values: Sequence[float]) -> list[float]:
    """Values cut at Tukey's outer fences (three interquartile ranges beyond the quartiles), so that one spike does not
    decide where the place is; as they are where half of them are the same."""
    low, _, high = quantiles(values, method="inclusive")
    reach = 3 * (high - low)
    if not reach:
        return list(values)
    return [min(max(value, low - reach), high + reach) for value in values]


def _squares(values: Sequence[float]) -> float:
    middle = fmean(values)
    return sum((value - middle) ** 2 for value in values)
