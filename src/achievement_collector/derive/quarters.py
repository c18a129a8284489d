"""Quarters, and what became of the milestones that were planned for one: told by frozen snapshots alone, so that the answer
about a past quarter never changes.

``Qn-YYYY`` is a quarter of the fiscal year YYYY, which is named after the calendar year it ends in; with a fiscal year that
begins in January both are the same. Days are ``datetime.date``; a quarter's end is its last day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from achievement_collector.facts.milestones import Status

LATEST_START = 7
"""Days into a quarter within which its first snapshot still tells how it began."""


class Quarter(NamedTuple):
    """A quarter; ``first`` and ``last`` are its days."""

    year: int
    number: int
    first: date
    last: date

    @property
    def name(self) -> str:
        return f"Q{self.number}-{self.year:04d}"

    def holds(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last


def quarter_named(text: str, fiscal_year_start: int = 1) -> Quarter | None:
    """The quarter that ``Q4-2026`` means (any case), None where the text names none. ``fiscal_year_start`` is a month."""
    found = re.fullmatch(r"[Qq]([1-4])-([0-9]{4})", text.strip())
    if found is None or not 2 <= int(found[2]) <= 9998:
        return None
    return _quarter(int(found[2]), int(found[1]), fiscal_year_start)


def quarter_of(day: date, fiscal_year_start: int = 1) -> Quarter:
    """The quarter that holds a day."""
    months = (day.month - fiscal_year_start) % 12
    year = day.year + (fiscal_year_start > 1 and day.month >= fiscal_year_start)
    return _quarter(year, months // 3 + 1, fiscal_year_start)


def last_complete_quarter(today: date, fiscal_year_start: int = 1) -> Quarter:
    """The newest quarter that is over."""
    return quarter_of(quarter_of(today, fiscal_year_start).first - timedelta(days=1), fiscal_year_start)


def _quarter(year: int, number: int, start: int) -> Quarter:
    begin_year = year - 1 if start > 1 else year
    first = _month(begin_year, start + 3 * (number - 1))
    return Quarter(year, number, first, _month(begin_year, start + 3 * number) - timedelta(days=1))


def _month(year: int, month: int) -> date:
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


class Seen(NamedTuple):
    """A milestone as a snapshot of a day shows it. ``done`` is its number of closed issues, None where none is linked."""

    key: str
    title: str
    day: date
    status: Status | None
    target: date | None
    completed: date | None = None
    done: int | None = None
    is_dropped: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a quarter. ``planned`` are those whose target was in it when it began; of these ``delivered`` were set
    to Completed by its end and ``carried_over`` were not; ``dropped`` were given up. ``added_later`` have come into the
    quarter since it began, ``moved_out`` were planned and have a later target now. ``worked_on`` had a target, work or a
    completion in it.

    ``on_time`` of ``on_time_n`` were completed by the target they had when the quarter began: of all planned ones whose target
    has passed, the ones that were not completed included; a completion of which nobody told the day is in neither. ``why`` is
    set where the plan cannot be told; ``start`` and ``end`` are the days of the snapshots that tell, ``is_over`` whether the
    last one is of the quarter's end."""

    quarter: Quarter
    planned: tuple[Seen, ...] = ()
    delivered: tuple[Seen, ...] = ()
    carried_over: tuple[Seen, ...] = ()
    moved_out: tuple[Seen, ...] = ()
    dropped: tuple[Seen, ...] = ()
    added_later: tuple[Seen, ...] = ()
    worked_on: tuple[Seen, ...] = ()
    on_time: int = 0
    on_time_n: int = 0
    undated: int = 0  # planned ones that were delivered on a day that nobody told
    why: str = ""
    start: date | None = None
    end: date | None = None
    is_over: bool = False

    @property
    def on_time_rate(self) -> float | None:
        return self.on_time / self.on_time_n if self.on_time_n else None


def delivery_of(quarter: Quarter, snapshots: Iterable[Seen]) -> Delivery:
    """What became of a quarter by the snapshots of its milestones.

    How it began is told by the last snapshot before it, or by the first one of its first week; how it stands by the last
    one in it. A milestone that is in none of the later snapshots counts as it was last seen.
    """
    by_day: dict[date, dict[str, Seen]] = {}
    for one in snapshots:
        by_day.setdefault(one.day, {})[one.key] = one
    start = _start(quarter, sorted(by_day))
    inside = [day for day in sorted(by_day) if quarter.holds(day)]
    if not inside:
        return Delivery(quarter, why=f"no snapshot was taken in {quarter.name}")
    end = _last_seen(by_day, quarter)
    is_over = (quarter.last - inside[-1]).days < LATEST_START
    if start is None:
        told = f"no snapshot tells how {quarter.name} began; the first is of {inside[0]}"
        worked = _worked_on(quarter, by_day[inside[0]], end)
        return Delivery(quarter, worked_on=worked, why=told, end=inside[-1], is_over=is_over)
    begun = by_day[start]
    planned = [
        one
        for one in begun.values()
        if quarter.holds(one.target) and one.status is not Status.COMPLETED and not one.is_dropped
    ]
    now = {one.key: end.get(one.key, one) for one in planned}
    dropped = [one for one in planned if now[one.key].is_dropped]
    live = [one for one in planned if not now[one.key].is_dropped]
    delivered = [one for one in live if now[one.key].status is Status.COMPLETED]
    carried = [one for one in live if now[one.key].status is not Status.COMPLETED]
    names = {one.key for one in planned}
    finished_before = {one.key for one in begun.values() if one.status is Status.COMPLETED or one.is_dropped}
    added = [
        one
        for one in end.values()
        if one.key not in names and one.key not in finished_before and quarter.holds(one.target)
    ]
    dated = [one for one in delivered if now[one.key].completed is not None]
    missed = [one for one in carried if is_over or (one.target is not None and one.target < inside[-1])]
    return Delivery(
        quarter, tuple(planned), _of(now, delivered), _of(now, carried),
        _of(now, [one for one in carried if _is_later(now[one.key].target, quarter)]), _of(now, dropped), tuple(added),
        _worked_on(quarter, begun, end),
        sum(_by(now[one.key].completed, one.target) for one in dated), len(dated) + len(missed),
        len(delivered) - len(dated),
        "", start, inside[-1], is_over,
    )  # fmt: skip


def _start(quarter: Quarter, days: Sequence[date]) -> date | None:
    before = [day for day in days if day < quarter.first]
    early = [day for day in days if quarter.holds(day) and (day - quarter.first).days < LATEST_START]
    recent = [day for day in before if (quarter.first - day).days <= LATEST_START]
    return recent[-1] if recent else early[0] if early else None


def _last_seen(by_day: Mapping[date, Mapping[str, Seen]], quarter: Quarter) -> dict[str, Seen]:
    found: dict[str, Seen] = {}
    for day in sorted(by_day):
        if quarter.holds(day):
            found |= by_day[day]
    return found


def _worked_on(quarter: Quarter, begun: Mapping[str, Seen], end: Mapping[str, Seen]) -> tuple[Seen, ...]:
    found = []
    for one in end.values():
        before = begun.get(one.key)
        has_moved = before is not None and (one.done or 0) > (before.done or 0)
        if quarter.holds(one.target) or quarter.holds(one.completed) or has_moved:
            found.append(one)
    return tuple(found)


def _of(now: Mapping[str, Seen], found: Sequence[Seen]) -> tuple[Seen, ...]:
    return tuple(now[one.key] for one in found)


def _is_later(target: date | None, quarter: Quarter) -> bool:
    return target is not None and target > quarter.last


def _by(done: date | None, target: date | None) -> bool:
    return done is not None and target is not None and done <= target


LISTS = ("planned", "delivered", "carried_over", "moved_out", "dropped", "added_later", "worked_on")
"""The lists of milestones of :class:`Delivery`, in the order they are told."""


def delivery_data(found: Delivery) -> dict[str, Any]:
    """A quarter as plain data: its lists of milestones (None where the plan is not known), each milestone with ``key``,
    ``title``, ``target``, ``status`` and ``completed`` as the snapshot that puts it there shows them."""
    known = not found.why
    return {
        "quarter": found.quarter.name, "first": found.quarter.first.isoformat(), "last": found.quarter.last.isoformat(),
        "why": found.why or None, "is_seen_to_the_end": found.is_over,
        "snapshots": [day.isoformat() if day else None for day in (found.start, found.end)],
        **{
            name: [_seen_data(one) for one in getattr(found, name)] if known or name == "worked_on" else None
            for name in LISTS
        },
        "on_time": {"value": found.on_time_rate, "on_time": found.on_time, "n": found.on_time_n, "undated": found.undated}
        if known else None,
    }  # fmt: skip


def _seen_data(one: Seen) -> dict[str, str | None]:
    return {
        "key": one.key, "title": one.title, "target": one.target.isoformat() if one.target else None,
        "status": one.status.value if one.status else None, "completed": one.completed.isoformat() if one.completed else None,
    }  # fmt: skip
