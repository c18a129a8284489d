"""How often forecasts hold on processes whose end is known: ``python -m benchmarks.forecast``.

Each process is a milestone with a plan of issues, closed by a seeded random team. Its forecast is made in the middle of the
work, and its end is awaited: with a P85 that means what it says, 85 % are done by that day. All defaults apply but the
number of draws.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from datetime import date, timedelta

from achievement_collector.derive.forecast import DAY, DRAWS, forecast
from achievement_collector.derive.milestones import Item
from benchmarks.shifts import share

Rate = Callable[[random.Random], Callable[[int], float]]
"""Draws a team: the issues it closes a day, on average, by the day."""

BEGIN = 20_000  # days since 1970
LONGEST = 700


def steady(rate: float) -> Rate:
    return lambda _: lambda _day: rate


def working_days(_: random.Random) -> Callable[[int], float]:
    """One a day from Monday to Friday, none at weekends."""
    return lambda day: 1.0 if day % 7 < 5 else 0.0


def sprints(_: random.Random) -> Callable[[int], float]:
    """Everything is closed in the last three days of every second week."""
    return lambda day: 3.5 if day % 14 in (9, 10, 11) else 0.05


def weeks_that_differ(chance: random.Random) -> Callable[[int], float]:
    """The rate of a week is drawn from 0 to 1.4."""
    weeks = [chance.choice((0.0, 0.35, 0.7, 1.4)) for _ in range(LONGEST // 7 + 2)]
    return lambda day: weeks[day // 7]


def slowing(_: random.Random) -> Callable[[int], float]:
    """From 1.2 a day to a third of that within 16 weeks: the past does not tell the future."""
    return lambda day: max(0.4, 1.2 - 0.8 * day / 112)


def quickening(_: random.Random) -> Callable[[int], float]:
    return lambda day: min(1.2, 0.4 + 0.8 * day / 112)


PROCESSES: dict[str, tuple[Rate, float]] = {
    "steady, 0.7 a day": (steady(0.7), 0.0),
    "steady, 0.25 a day": (steady(0.25), 0.0),
    "working days only": (working_days, 0.0),
    "bursts at sprints' ends": (sprints, 0.0),
    "weeks that differ": (weeks_that_differ, 0.0),
    "steady, growing scope": (steady(0.8), 0.3),
    "slowing down": (slowing, 0.0),
    "getting quicker": (quickening, 0.0),
}
"""Name -> (the team, issues that are added a day)."""


def process(chance: random.Random, rate: Rate, growth: float, plan: int) -> tuple[list[Item], int | None]:
    """The issues of one milestone and the day (from its begin) by whose end none was open, None within LONGEST."""
    team = rate(chance)
    created, closed = [0] * plan, list[int]()
    for day in range(1, LONGEST):
        created += [day] * _poisson(chance, growth)
        closed += [day] * min(_poisson(chance, team(day)), len(created) - len(closed))
        if len(closed) == len(created):
            break
    done: list[int | None] = [*closed, *[None] * (len(created) - len(closed))]
    items = [
        Item(str(number), (BEGIN + day) * DAY, None if end is None else (BEGIN + end) * DAY)
        for number, (day, end) in enumerate(zip(created, done, strict=True))
    ]
    return items, closed[-1] if len(closed) == len(created) else None


def _poisson(chance: random.Random, mean: float) -> int:
    found, at = 0, chance.expovariate(1.0)
    while at < mean:
        found, at = found + 1, at + chance.expovariate(1.0)
    return found


def cover(name: str, rate: Rate, growth: float, count: int, after: int) -> None:
    """``count`` processes, forecast ``after`` days from their begin."""
    chance = random.Random(f"{name} {after}")
    hits, n, none, delays = [0, 0, 0], 0, 0, []
    for number in range(count):
        items, end = process(chance, rate, growth, 60)
        today = date(1970, 1, 1) + timedelta(days=BEGIN + after)
        limit = (BEGIN + after + 1) * DAY
        view = [
            one._replace(
                completed=one.completed if one.completed is not None and one.completed < limit else None
            )
            for one in items
            if one.created is not None and one.created < limit
        ]
        found = forecast(view, today, seed=number, draws=1000)
        if not found.is_made:
            none += 1
            continue
        n += 1
        for place, day in enumerate(found.days):
            hits[place] += day is None or (end is not None and BEGIN + end <= (day - date(1970, 1, 1)).days)
        if found.days[0] is not None and end is not None:
            delays.append(BEGIN + end - (found.days[0] - date(1970, 1, 1)).days)
    delays.sort()
    bias = f"{delays[len(delays) // 2]:+4d}" if delays else "   -"
    told = "".join(share(one, n).ljust(20) for one in hits)
    print(f"  {name:26}{after:3d} {told}{bias}   {none:4d}".rstrip(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0, help="1: 400 processes of each kind")
    count = max(1, round(400 * parser.parse_args().scale))
    print(
        f"{count} milestones of 60 issues each: done by the day of the forecast (95 % interval), the median of the days by"
    )
    print("which they came after P50, and how many had no forecast")
    print(f"  {'':26}day {'P50'.ljust(20)}{'P85'.ljust(20)}{'P95'.ljust(20)}bias   none")
    for name, (rate, growth) in PROCESSES.items():
        for after in (35, 63):
            cover(name, rate, growth, count, after)
    chance = random.Random("speed")
    items, _ = process(chance, steady(0.7), 0.0, 120)
    today = date(1970, 1, 1) + timedelta(days=BEGIN + 63)
    view = [
        one._replace(completed=one.completed if (one.completed or 0) < (BEGIN + 63) * DAY else None)
        for one in items
    ]
    begin = time.perf_counter()
    forecast(view, today)
    print(f"one forecast of {DRAWS:,} draws: {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
