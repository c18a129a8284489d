"""When the open issues of a milestone will be closed, by Monte Carlo on what was closed and added before.

Throughput is sampled, not estimated: each draw takes days of the last 12 weeks, with their closings (zeros included) and
the issues that were added on them, until nothing is open (T. Vacanti, "When Will It Be Done?", 2018). Two things are added
to the textbook method, because 12 weeks are a small sample: each draw samples the weeks first and its days from those
(a bootstrap of the history, B. Efron 1979, so that a rate known from 10 closings is not taken for certain), and the
forecast is tested on the past it was made from (:func:`back_test`).

Moments are milliseconds since 1970, days are UTC; a forecast is a day by whose end nothing is open.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from statistics import median
from typing import Any, NamedTuple

from achievement_collector.derive.milestones import Item

DAY = 86_400_000
WINDOW = 84  # days: the last 12 weeks
FEWEST_DAYS = 28
FEWEST_CLOSINGS = 10
DRAWS = 10_000
HORIZON = 730  # days: what ends later is only said to be later
PERCENTILES = (50, 85, 95)
FEWEST_TESTS = 10
"""Forecasts of the past that a statement about their coverage needs."""
WARN_BELOW = 0.70
_TEST_DRAWS = 400
_MOST_TESTS = 80
_WEEK = 7


class Days(NamedTuple):
    """What happened on each day of a history, oldest first; ``first`` is the number of the first day since 1970."""

    first: int
    closed: tuple[int, ...]
    added: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BackTest:
    """Forecasts that could have been made in past weeks, against what came.

    Only those count whose P85 (for ``bias``: P50) day is over, because only they are decided either way. ``n`` is their
    number, ``milestones`` how many milestones they are of (weeks of one milestone overlap, they are not independent).
    ``coverage`` is the share that was done by its P85 day, None where there are fewer than ten; ``bias`` the median of days
    by which the end came after the P50 day (below 0: before it), with ``bias_at_least`` where that milestone is not done
    yet and more days will come."""

    n: int
    milestones: int
    hits: int
    coverage: float | None
    bias: float | None = None
    bias_n: int = 0
    bias_at_least: bool = False

    @property
    def is_poor(self) -> bool:
        return self.coverage is not None and self.coverage < WARN_BELOW

    @property
    def told(self) -> str:
        if self.coverage is None:
            return f"back-test: not enough data ({self.n} of {FEWEST_TESTS} past forecasts are decided)"
        text = f"back-test: {self.hits} of {self.n} past P85 forecasts held ({self.coverage:.0%}".replace(
            "%", " %)"
        )
        if self.bias is not None:
            way = "late" if self.bias > 0 else "early"
            most = "at least " if self.bias_at_least else ""
            text += (
                f", the median end came {most}{abs(self.bias):.0f} days {way}"
                if self.bias
                else ", no bias in the median"
            )
        text += f", {self.milestones} milestone{'s' if self.milestones != 1 else ''}"
        return text + ("; WARNING: below 70 %, do not plan by it" if self.is_poor else "")


@dataclass(frozen=True, slots=True)
class Forecast:
    """Days by which nothing is open any more, with a chance of 50, 85 and 95 %; None where it is later than ``horizon``.

    ``why`` is set where there is no forecast, and then nothing else holds. ``chance`` is that of ``target``."""

    why: str = ""
    remaining: int = 0
    days: tuple[date | None, ...] = ()
    horizon: date | None = None
    target: date | None = None
    chance: float | None = None
    draws: int = 0
    seed: int = 0
    history: int = 0  # days
    closed: int = 0
    added: int = 0

    @property
    def is_made(self) -> bool:
        return not self.why

    @property
    def is_over(self) -> bool:
        """Whether the target day was over when the forecast was made."""
        return (
            self.target is not None
            and self.horizon is not None
            and self.target < self.horizon - timedelta(days=HORIZON)
        )

    @property
    def told(self) -> str:
        if self.why:
            return f"no forecast: {self.why}"
        ends = [
            f"P{percent} {day if day else f'after {self.horizon}'}"
            for percent, day in zip(PERCENTILES, self.days, strict=True)
        ]
        text = f"{', '.join(ends)} ({self.remaining} open, {self.closed} closed and {self.added} added in {self.history} days)"
        if self.is_over:
            text += f"; the target day, {self.target}, is over"
        elif self.chance is not None:
            text += f"; chance to meet {self.target}: {chance_told(self.chance)}"
        return text


def chance_told(chance: float) -> str:
    """A chance in whole percent; draws cannot make it 0 or 100 %."""
    if chance < 0.01:
        return "below 1 %"
    return "above 99 %" if chance > 0.99 else f"{chance * 100:.0f} %"


def forecast(
    items: Iterable[Item],
    today: date,
    *,
    target: date | None = None,
    start: date | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> Forecast:
    """The forecast of a milestone by its own issues, as it stands before ``today``'s end.

    The history is that of whole days before today: from ``start`` or the first issue on, 12 weeks at most. What was
    created on its first day is the plan, not growth. The same arguments give the same result.
    """
    listed = [one for one in items if one.canceled is None]
    now = _number(today)
    remaining = sum(
        (one.created is None or one.created < (now + 1) * DAY)
        and (one.completed is None or one.completed >= (now + 1) * DAY)
        for one in listed
    )
    if not listed:
        return Forecast("no issue is linked", target=target)
    if not remaining:
        return Forecast("no issue is open", target=target)
    history = _history(listed, now, None if start is None else _number(start))
    closed, length = sum(history.closed), len(history.closed)
    known = {
        "remaining": remaining,
        "history": length,
        "closed": closed,
        "added": sum(history.added),
        "target": target,
    }
    if length < FEWEST_DAYS:
        return Forecast(f"{length} days of history are known, {FEWEST_DAYS} are needed", **known)  # type: ignore[arg-type]
    if closed < FEWEST_CLOSINGS:
        told = f"{closed} issues were closed in the last {length} days, {FEWEST_CLOSINGS} are needed"
        return Forecast(told, **known)  # type: ignore[arg-type]
    chance_of = random.Random(seed)  # noqa: S311 - draws of a simulation, which must be the same again
    ends = sorted(_ends(history, remaining, draws, chance_of))
    days = tuple(_day(now + end) if end <= HORIZON else None for end in _quantiles(ends))
    chance = None
    if target is not None:
        left = _number(target) - now
        chance = bisect_left(ends, left + 1) / draws if left <= HORIZON else None
    return Forecast(
        "",
        remaining,
        days,
        _day(now + HORIZON),
        target,
        chance,
        draws,
        seed,
        length,
        closed,
        sum(history.added),
    )


def _quantiles(ends: Sequence[int]) -> list[int]:
    """The fewest days that at least these shares of the draws do not exceed."""
    return [ends[(len(ends) * percent + 99) // 100 - 1] for percent in PERCENTILES]


def _history(items: Sequence[Item], now: int, start: int | None) -> Days:
    """The days before ``now``, at most WINDOW of them. A day's additions are the issues created on it, not on the first."""
    known = [one.created // DAY for one in items if one.created is not None]
    known += [one.completed // DAY for one in items if one.completed is not None]
    begin = max(min(known, default=now) if start is None else start, now - WINDOW)
    length = max(0, now - begin)
    closed, added = [0] * length, [0] * length
    for one in items:
        if one.completed is not None and 0 <= (at := one.completed // DAY - begin) < length:
            closed[at] += 1
        if one.created is not None and 0 < (at := one.created // DAY - begin) < length:
            added[at] += 1
    return Days(begin, tuple(closed), tuple(added))


def _ends(history: Days, remaining: int, draws: int, chance: random.Random) -> list[int]:
    """For each draw, after how many days nothing is open (HORIZON + 1: not within it)."""
    net = [closed - added for closed, added in zip(history.closed, history.added, strict=True)]
    weeks = [net[at : at + _WEEK] for at in range(len(net) % _WEEK, len(net), _WEEK)]
    first = int(1.5 * remaining * len(net) / max(sum(net), 1)) + _WEEK  # most draws end within so many days
    length = len(weeks) * _WEEK
    # bytes as numbers of days: every day by as many of the 256 values, the values that are left over by none
    numbers = bytes(value % length for value in range(256))
    unfair = bytes(range(256 // length * length, 256))
    ends = []
    for _ in range(draws):
        own = [day for week in chance.choices(weeks, k=len(weeks)) for day in week]
        done = passed = 0
        step, end = first, HORIZON + 1
        while passed < HORIZON:
            drawn = chance.randbytes(min(step, HORIZON - passed)).translate(numbers, unfair)
            path = list(accumulate(map(own.__getitem__, drawn), initial=done))
            if max(path) >= remaining:
                end = passed + bisect_left(list(accumulate(path, max)), remaining)
                break
            done, passed, step = path[-1], passed + len(drawn), step * 2
        ends.append(end)
    return ends


# --- against the past --------------------------------------------------------------------------------


def back_test(
    milestones: Iterable[tuple[Sequence[Item], date | None]], today: date, *, seed: int = 0
) -> BackTest:
    """What forecasts of past weeks were worth: those of milestones given as (issues, start), a week apart, of the last year.

    Each is made of what was known on its day alone, also of issues that were canceled later. An end is the first day on
    which nothing was open.
    """
    now = _number(today)
    possible = []
    for items, start in milestones:
        first = min((one.created // DAY for one in items if one.created is not None), default=now)
        for cut in range(now - _WEEK, max(first, now - 53 * _WEEK), -_WEEK):
            view = _as_of(items, cut)
            if forecast(view, _day(cut), start=start, draws=1).is_made:
                possible.append((items, view, start, cut))
    step = max(1, -(-len(possible) // _MOST_TESTS))
    hits = n = 0
    of: set[int] = set()
    delays: list[tuple[int, bool]] = []
    for items, view, start, cut in possible[::step]:
        told = forecast(view, _day(cut), start=start, seed=seed + cut, draws=_TEST_DRAWS)
        end = _first_empty(items, cut, now)
        middle, late, _ = told.days
        if late is not None and _number(late) < now:
            n += 1
            of.add(id(items))
            hits += end is not None and end <= _number(late)
        if middle is not None and _number(middle) < now:
            delays.append(((now if end is None else end) - _number(middle), end is None))
    coverage = hits / n if n >= FEWEST_TESTS else None
    if coverage is None or not delays:
        return BackTest(n, len(of), hits, coverage)
    bias = median(days for days, _ in delays)
    return BackTest(
        n,
        len(of),
        hits,
        coverage,
        bias,
        len(delays),
        any(is_open and days <= bias for days, is_open in delays),
    )


def _as_of(items: Sequence[Item], cut: int) -> list[Item]:
    """The issues as they were at the end of a day."""
    end = (cut + 1) * DAY
    return [
        one._replace(
            completed=one.completed if one.completed is not None and one.completed < end else None,
            canceled=one.canceled if one.canceled is not None and one.canceled < end else None,
        )
        for one in items
        if one.created is not None and one.created < end
    ]


def _first_empty(items: Sequence[Item], cut: int, now: int) -> int | None:
    """The first day after ``cut`` and before ``now`` by whose end nothing was open, None where there was none."""
    opened: dict[int, int] = {}
    for one in items:
        if one.created is None:
            continue
        begin = max(one.created // DAY, cut)
        ended = min((at for at in (one.completed, one.canceled) if at is not None), default=None)
        if ended is not None and ended // DAY <= begin:
            continue
        opened[begin] = opened.get(begin, 0) + 1
        if ended is not None:
            opened[ended // DAY] = opened.get(ended // DAY, 0) - 1
    left = opened.pop(cut, 0)
    for day in sorted(opened):
        left += opened[day]
        if left <= 0 and day < now:
            return day
    return None


def forecast_data(found: Forecast, test: BackTest | None = None) -> dict[str, Any]:
    """A forecast as plain data, with its back-test beside it."""
    return {
        "is_made": found.is_made, "why": found.why or None, "told": found.told, "remaining": found.remaining,
        **{
            f"p{percent}": day.isoformat() if day else None
            for percent, day in zip(PERCENTILES, found.days or (None,) * 3, strict=True)
        },
        "horizon": found.horizon.isoformat() if found.horizon else None,
        "target": found.target.isoformat() if found.target else None, "chance": found.chance,
        "draws": found.draws, "seed": found.seed, "history_days": found.history, "closed": found.closed,
        "added": found.added,
        "back_test": None if test is None else {
            "n": test.n, "milestones": test.milestones, "hits": test.hits, "coverage": test.coverage,
            "bias_days": test.bias, "bias_n": test.bias_n, "bias_is_at_least": test.bias_at_least,
            "is_poor": test.is_poor, "told": test.told,
        },
    }  # fmt: skip


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)
