"""Numbers with their units, in words."""

from __future__ import annotations

import math

SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
"""What one of a unit of time is, in seconds."""

GREATEST = 1e15
"""Numbers from it on are told by their first digits and a power of ten."""

PER_DAY = "a day"
"""The end of the unit of what a counter counts in a day, such as ``posts a day``; alone for a plain count."""

_SHARES = {"ratio": 1.0, "rate": 1.0, "%": 0.01, "percent": 0.01}
_CURRENCIES = ("$", "€", "£", "¥")
_COUNTS = ("tests", "findings", "count")


def quantity(value: float, unit: str) -> str:
    """``0.25`` with ``s`` is "250 ms", ``0.065`` with ``rate`` or ``ratio`` "6.5 %", ``20500`` with ``$`` "$20,500", ``120``
    with ``posts a day`` "120 posts a day"."""
    counted = counted_a_day(unit)
    if counted is not None:
        return f"{quantity(value, counted)} {PER_DAY}"
    if abs(value) >= GREATEST:
        return f"{value:.3g} {unit}".rstrip()
    if unit in ("rate", "ratio"):
        return f"{_percent(value * 100, 1 if unit == 'rate' else None)} %"
    seconds = SECONDS.get(unit)
    if seconds is not None and value:
        return _time(value * seconds)
    if unit in _CURRENCIES:
        return ("-" if value < 0 else "") + unit + _money(abs(value))
    number = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else _three_digits(value)
    return number if unit in _COUNTS else f"{number} {unit}".rstrip()


def conversion(unit: str, to: str) -> float | None:
    """What a number with ``unit`` is multiplied by to have the unit ``to``; None where the two measure different things."""
    for known in (SECONDS, _SHARES):
        if unit in known and to in known:
            return known[unit] / known[to]
    return 1.0 if unit == to else None


def change(before: float, after: float, unit: str) -> str:
    """``620 ms → 410 ms``; what both are of is said once: ``120 → 240 a day``."""
    counted = counted_a_day(unit)
    if counted is not None:
        return f"{change(before, after, counted)} {PER_DAY}"
    return f"{quantity(before, unit)} → {quantity(after, unit)}"


def per_day(unit: str) -> str:
    """The unit of an increase a day of what is counted in ``unit``."""
    return PER_DAY if unit == "count" else f"{unit} {PER_DAY}".strip()


def counted_a_day(unit: str) -> str | None:
    """What is counted, of the unit of an increase a day; None for all others."""
    if unit != PER_DAY and not unit.endswith(f" {PER_DAY}"):
        return None
    return unit.removesuffix(PER_DAY).rstrip()


def is_money(unit: str) -> bool:
    """Whether a unit is a currency, or one a day."""
    counted = counted_a_day(unit)
    return (unit if counted is None else counted) in _CURRENCIES


def difference(value: float, unit: str) -> str:
    """A difference with its sign: ``-210 ms``; that of two shares in points, ``+1.72 points``."""
    counted = counted_a_day(unit)
    if counted is not None:
        return f"{difference(value, counted)} {PER_DAY}"
    sign = "+" if value > 0 else ""
    if unit in ("rate", "ratio"):
        return f"{sign}{_three_digits(value * 100)} points"
    return sign + quantity(value, unit)


def share(part: float) -> str:
    """A part of a whole in percent, without a sign: 0.345 is "34 %", 0.034 "3.4 %"."""
    percent = abs(part) * 100
    if percent >= GREATEST:
        return f"{percent:.3g} %"
    return f"{_percent(percent, 0 if percent >= 9.95 else 1)} %"


def _percent(percent: float, places: int | None) -> str:
    """With so many decimal places (None for three digits in all), or as many as it takes to tell it from 0 and from 100."""
    rounded = 1 if places is None else places
    if percent and round(percent, rounded) == 0:
        return _three_digits(percent)
    if places is None and abs(percent) < 9.95:
        return _three_digits(percent)
    gap = abs(100 - abs(percent))
    if 0 < gap < 10 and (places != 0 or round(gap) == 0):  # two digits of what is missing
        more = min(14, max(rounded, 1 - math.floor(math.log10(gap))))
        number = f"{percent:.{more}f}".rstrip("0").rstrip(".")
        return number if len(number.partition(".")[2]) >= rounded else f"{percent:.{rounded}f}"
    return f"{percent:,.{rounded}f}"


def _money(value: float) -> str:
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.995 else _three_digits(value)


def _time(seconds: float) -> str:
    """Three digits, such as 1.25 s or 50 ms; from two minutes on minutes and seconds, then hours, then days."""
    if abs(seconds) >= 99.95:
        sign, whole = "-" if seconds < 0 else "", round(abs(seconds))
        if whole < 120:
            return f"{sign}{whole} s"
        if whole < 3600:
            return f"{sign}{whole // 60} min {whole % 60} s"
        minutes, hours = round(whole / 60), round(whole / 3600)
        if hours < 48:
            return sign + _in_parts(minutes, 60, "h", "min")
        return sign + _in_parts(hours, 24, "days", "h")
    for step, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if abs(seconds) >= 0.9995 * step or name == "ns":
            break
    return f"{_three_digits(seconds / step)} {name}"


def _in_parts(count: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(count, size)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def _three_digits(value: float) -> str:
    size = abs(value)
    if size < 0.001 or size >= GREATEST:
        return f"{value:.3g}"
    places = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 4
    number = f"{value:.{places}f}"
    return number.rstrip("0").rstrip(".") if "." in number else number
