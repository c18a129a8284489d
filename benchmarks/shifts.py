"""How often shifts are found where there are none, and how often one that is there: ``python -m benchmarks.shifts``.

Every series is drawn from a seeded generator at a level of 100 with a standard deviation of 20: samples a day apart up to 180,
an hour apart above. All defaults of ``find_shifts`` apply.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Sequence

from achievement_collector.derive.series import DAY, HOUR
from achievement_collector.derive.shifts import Found, State, find_shifts
from achievement_collector.facts.kpis import Sample

Noise = Callable[[random.Random, int], list[float]]

LEVEL, DEVIATION = 100.0, 20.0


def white(draw: random.Random, n: int) -> list[float]:
    return [draw.gauss(0, 1) for _ in range(n)]


def heavy(draw: random.Random, n: int) -> list[float]:
    """Student's t with 3 degrees of freedom, variance 1."""
    return [draw.gauss(0, 1) / math.sqrt(sum(draw.gauss(0, 1) ** 2 for _ in range(3))) for _ in range(n)]


def persistent(phi: float) -> Noise:
    def noise(draw: random.Random, n: int) -> list[float]:
        found = [draw.gauss(0, 1)]
        while len(found) < n:
            found.append(phi * found[-1] + math.sqrt(1 - phi * phi) * draw.gauss(0, 1))
        return found

    return noise


def under_noise(draw: random.Random, n: int) -> list[float]:
    """A slow movement, AR(1) 0.9, under white noise of the same size."""
    slow, fast = persistent(0.9)(draw, n), white(draw, n)
    return [(a + b) / math.sqrt(2) for a, b in zip(slow, fast, strict=True)]


def walk(draw: random.Random, n: int) -> list[float]:
    found = [0.0]
    while len(found) < n:
        found.append(found[-1] + draw.gauss(0, 1) / 4)
    return found


def ramp(draw: random.Random, n: int) -> list[float]:
    """A steady rise by 3 standard deviations in all."""
    return [3 * index / n + draw.gauss(0, 1) for index in range(n)]


def rhythm(draw: random.Random, n: int) -> list[float]:
    """Weekends 1.5 deviations lower; in hourly series a day's wave of the same height as well."""
    per_day = 24 if n > 180 else 1
    return [
        draw.gauss(0, 1) - 1.5 * (index // per_day % 7 >= 5)
        + (1.5 * math.sin(2 * math.pi * index / 24) if per_day > 1 else 0.0)
        for index in range(n)
    ]  # fmt: skip


NOISES: dict[str, Noise] = {
    "white": white, "heavy tails (t3)": heavy, "AR(1) 0.3": persistent(0.3), "AR(1) 0.6": persistent(0.6),
    "AR(1) 0.9": persistent(0.9), "AR(1) 0.9 + white": under_noise, "random walk": walk, "steady rise": ramp,
    "rhythms": rhythm,
}  # fmt: skip
LENGTHS = {30: 300, 90: 200, 180: 100, 720: 40}
"""Values in a series, and how many series."""


def series(values: Sequence[float]) -> list[Sample]:
    step = DAY if len(values) <= 180 else HOUR
    monday = 4 * DAY
    return [Sample(monday + i * step, LEVEL + DEVIATION * value) for i, value in enumerate(values)]


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (1927)."""
    z = 1.959964
    middle, half = (
        hits / n + z * z / (2 * n),
        z * math.sqrt(hits / n * (1 - hits / n) / n + z * z / (4 * n * n)),
    )
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def share(hits: int, n: int) -> str:
    if not n:
        return "     -            "
    low, high = wilson(hits, n)
    return f"{hits / n:6.1%} ({low:.0%}-{high:.0%})".ljust(18)


def false_alarms(scale: float) -> None:
    print("series with any shift reported where there is none (95 % interval), and with the answer 'wanders'")
    print(
        f"  {'':20}"
        + "".join(
            f"n = {n} ({max(1, round(count * scale))} series)".ljust(30) for n, count in LENGTHS.items()
        )
    )
    for name, noise in NOISES.items():
        draw = random.Random(f"false alarms {name}")
        row = ""
        for n, count in LENGTHS.items():
            many = max(1, round(count * scale))
            found = [find_shifts(series(noise(draw, n))).state for _ in range(many)]
            told = f"{share(found.count(State.FOUND), many)} {found.count(State.WANDERS) / many:4.0%}"
            row += told.ljust(30)
        print(f"  {name:20}{row}".rstrip(), flush=True)


def power(scale: float) -> None:
    count = max(1, round(100 * scale))
    print(
        f"\none step in the middle, {count} series each: found within 3 samples, how far off (median, 90 %), and how often the"
    )
    print("95 % intervals hold the true place and the true size, of all that were found")
    for name, noise in (("white", white), ("AR(1) 0.3", persistent(0.3)), ("AR(1) 0.6", persistent(0.6))):
        for n in (60, 120):
            for size in (0.5, 1.0, 1.5, 2.0, 3.0):
                draw = random.Random(f"power {name} {n} {size}")
                _power_row(name, n, size, count, [_with_step(noise(draw, n), size) for _ in range(count)])


def _with_step(values: Sequence[float], size: float) -> Found:
    half = len(values) // 2
    return find_shifts(series([value + size * (index >= half) for index, value in enumerate(values)]))


def _power_row(name: str, n: int, size: float, count: int, found: Sequence[Found]) -> None:
    true_at = 4 * DAY + n // 2 * DAY
    nearest = [min(one.shifts, key=lambda shift: abs(shift.index - n // 2)) for one in found if one.shifts]
    off = sorted(abs(shift.index - n // 2) for shift in nearest)
    hits = [shift for shift in nearest if abs(shift.index - n // 2) <= 3]
    place = sum(shift.interval[0] < true_at <= shift.interval[1] for shift in nearest)
    known = [shift.difference_interval for shift in nearest if shift.difference_interval]
    amount = sum(low <= DEVIATION * size <= high for low, high in known)
    errors = f"{off[len(off) // 2]:2d} {off[len(off) * 9 // 10]:3d}" if off else " -   -"
    row = (
        f"  {name:10} n {n:3d}  {size:3.1f} sd  any {share(len(nearest), count)} within 3 {share(len(hits), count)}"
        f" off {errors}  place {share(place, len(nearest))} size {share(amount, len(known))}"
    )
    print(row.rstrip(), flush=True)


def speed() -> None:
    print("\nmilliseconds for one series (best of 3)")
    for n in (90, 720, 2000):
        draw = random.Random(n)
        flat = white(draw, n)
        moved = [value + 2 * (index > n // 3) - 2 * (index > 2 * n // 3) for index, value in enumerate(flat)]
        times = []
        for values in (flat, moved):
            best = math.inf
            for _ in range(3):
                began = time.perf_counter()
                find_shifts(series(values))
                best = min(best, time.perf_counter() - began)
            times.append(best * 1000)
        print(f"  n {n:5d}  no shift {times[0]:7.1f}  two shifts {times[1]:7.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the number of series")
    scale = parser.parse_args().scale
    began = time.perf_counter()
    false_alarms(scale)
    power(scale)
    speed()
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
