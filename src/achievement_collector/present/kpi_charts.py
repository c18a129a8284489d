"""A KPI's series as a chart: values, usual range, target, medians around a shift, deployments. SVG for pages and for PDF.

Nothing is computed here but where things stand: medians, ranges and moments of change come in. Every kind of mark has a form
of its own (dashes, letters, numbers), so that no meaning is in a colour alone. All times are UTC.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from achievement_collector.derive.quantities import per_day
from achievement_collector.present.printable import one_line
from achievement_collector.present.wording import plural

_WIDTH, _HEIGHT = 720.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 108.0, 34.0, 30.0
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_MOST_DOTS = 90
_LARGEST = 1e200
_GAP = 3.0  # times the usual distance of two values
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_DASH = "\N{EN DASH}"
_CHARACTER = 6.1  # width of a character of the labels, roughly


@dataclass(frozen=True, slots=True)
class KpiChart:
    """What a chart shows. ``points`` are (milliseconds since 1970, value in ``unit``) in time's order; ``unit`` is ``s``,
    ``ms``, ``ratio`` (0-1, shown as %), ``%``, ``$``, ``count`` or any word.

    ``usual`` is the range in which values usually lie; ``change_points`` and ``deployments`` are (moment, what it was);
    ``before_median`` holds from the change before the last one up to the last one, ``after_median`` from there on; without a
    change ``before_median`` is that of all points; ``drawn_as`` says what the points are made of, where they are not what was
    recorded. Values that are no numbers are left out.
    """

    title: str
    unit: str
    points: Sequence[tuple[int, float]]
    target: float | None = None
    usual: tuple[float, float] | None = None
    change_points: Sequence[tuple[int, str]] = ()
    deployments: Sequence[tuple[int, str]] = ()
    before_median: float | None = None
    after_median: float | None = None
    drawn_as: str = ""


class LegendEntry(NamedTuple):
    """What a mark in the chart stands for: ``mark`` is a letter (a change) or a number (a deployment)."""

    mark: str
    when: str
    text: str


class PrintedChart(NamedTuple):
    """A chart for print: an image that stands for itself, and the texts around it as data."""

    title: str
    svg: str
    description: str
    legend: tuple[LegendEntry, ...]


class _Look(NamedTuple):
    paper: str
    ink: str
    soft: str
    line: str
    accent: str
    tint: str
    font: str


_PAGE = _Look(
    "var(--paper,#fdfcfa)", "var(--ink,#1d2021)", "var(--soft,#5f6368)", "var(--line,#e2dfd8)", "var(--accent,#2f5d50)",
    "var(--tint,#eef3f0)", "ui-sans-serif,system-ui,sans-serif",
)  # fmt: skip
_PRINT = _Look("#ffffff", "#1d2021", "#5f6368", "#d8d4cc", "#2f5d50", "#eef3f0", "'Libertinus Serif',serif")


def figure(chart: KpiChart) -> str:
    """A chart with its title and legend as HTML, in the colours of the page around it."""
    parts = [
        '<figure class="kpi" style="margin:1rem 0">',
        f'<figcaption style="font-weight:600">{escape(_clean(chart.title))}</figcaption>',
        _drawing(chart, _PAGE),
    ]
    entries = legend(chart)
    if entries:
        parts.append('<ul class="facts" style="list-style:none;padding:0;margin:.2rem 0 0">')
        parts += [
            f'<li style="overflow-wrap:anywhere"><strong>{escape(one.mark)}</strong> '
            f"<time>{escape(one.when)}</time>: {escape(one.text)}</li>"
            for one in entries
        ]
        parts.append("</ul>")
    return "".join([*parts, "</figure>"])


def printed(chart: KpiChart) -> PrintedChart:
    """The same chart for a PDF: fixed colours, and the font that the compiler of the PDF brings with it."""
    return PrintedChart(_clean(chart.title), _drawing(chart, _PRINT), described(chart), legend(chart))


def legend(chart: KpiChart) -> tuple[LegendEntry, ...]:
    """What the letters and numbers of a chart stand for, in time's order; those outside of the time shown say so."""
    axis = _time_of(chart)
    entries = []
    marks = [
        (at, letter, text)
        for (at, text), letter in zip(sorted(chart.change_points), _letters(), strict=False)
    ]
    marks += [(at, str(number), text) for number, (at, text) in enumerate(sorted(chart.deployments), 1)]
    for at, mark, text in sorted(marks, key=lambda one: one[0]):
        outside = "" if axis.first <= at <= axis.last else " (outside of the time shown)"
        what = "" if mark.isdecimal() else "change: "
        entries.append(LegendEntry(mark, _moment(at), f"{what}{_clean(text)}{outside}"))
    return tuple(entries)


def described(chart: KpiChart) -> str:
    """The chart in words, for those who do not see it."""
    points = _finite(chart.points)
    if not points:
        return "No values were recorded."
    scale = _Scale.of(chart)
    low, high = min(value for _, value in points), max(value for _, value in points)
    made_of = f" ({_clean(chart.drawn_as)})" if chart.drawn_as else ""
    told = [
        f"{len(points):,} values{made_of} from {_moment(points[0][0])} to {_moment(points[-1][0])}, "
        f"between {scale.exact(low)} and {scale.exact(high)}"
    ]
    if chart.target is not None:
        told.append(f"target {scale.exact(chart.target)}")
    if chart.usual is not None:
        told.append(f"usually {scale.exact(chart.usual[0])} to {scale.exact(chart.usual[1])}")
    for name, value in (("before", chart.before_median), ("after", chart.after_median)):
        if value is not None:
            told.append(f"median {name + ' ' if chart.change_points else ''}{scale.exact(value)}")
    marked = (plural(len(chart.change_points), "change"), plural(len(chart.deployments), "deployment"))
    told.append(f"{' and '.join(marked)} marked")
    gaps = len(_stretches(points)) - 1
    if gaps:
        told.append(f"{plural(gaps, 'gap')} without values")
    if scale.is_cut:
        told.append(f"the axis begins at {scale.tick(scale.bottom)}, not at 0")
    return "; ".join(told) + "."


# --- drawing -----------------------------------------------------------------------------------------


def _drawing(chart: KpiChart, look: _Look) -> str:
    points = _finite(chart.points)
    unused = 0 if chart.change_points else 16 if chart.deployments else 28  # of the room for marks
    parts = [
        f'<svg viewBox="0 {unused} {_WIDTH:g} {_HEIGHT - unused:g}" role="img" class="chart" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(_clean(chart.title))}</title><desc>{escape(described(chart)[:2000])}</desc>"
    ]
    if not points:
        parts.append(_text(_WIDTH / 2, _HEIGHT / 2, "no values were recorded", look, "middle"))
        return "".join(parts) + "</svg>"
    time, scale = _time_of(chart), _Scale.of(chart)
    parts += _value_axis(scale, look)
    parts += _time_axis(time, look)
    if chart.usual is not None:
        parts += _usual(chart.usual, scale, look)
    parts += _line(points, time, scale, look)
    parts += _events(chart, time, look)
    parts += _levels(chart, time, scale, look)
    return "".join(parts) + "</svg>"


def _value_axis(scale: _Scale, look: _Look) -> list[str]:
    parts = []
    for value in scale.ticks:
        y = scale.y(value)
        is_zero = value == 0
        parts.append(
            f'<line x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}" '
            f'style="stroke:{look.soft if is_zero else look.line};stroke-width:1"/>'
        )
        parts.append(_text(_LEFT - 8, y + 4, scale.tick(value), look, "end"))
    if scale.is_cut:  # a torn axis, so that nobody reads lengths from it
        y = _HEIGHT - _BOTTOM
        parts.append(
            f'<path d="M{_LEFT:g} {y - 1:g}l-5 -4l10 -4l-5 -4" style="fill:none;stroke:{look.ink};stroke-width:1.2"/>'
        )
        parts.append(
            _text(_LEFT, _HEIGHT - 2, f"the axis begins at {scale.tick(scale.bottom)}", look, italic=True)
        )
    return parts


def _time_axis(time: _Time, look: _Look) -> list[str]:
    years = sorted({datetime.fromtimestamp(at / 1000, UTC).year for at in (time.first, time.last)})
    note = f"{_DASH.join(str(year) for year in years)}, UTC"
    parts, free, base = [], 0.0, _HEIGHT - _BOTTOM
    for at, name in time.ticks():
        x, half = time.x(at), len(name) * _CHARACTER / 2
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{base:g}" y2="{base + 4:g}" '
            f'style="stroke:{look.soft};stroke-width:1"/>'
        )
        if free <= x - half and x + half <= _WIDTH - len(note) * _CHARACTER - 12:
            parts.append(_text(x, base + 16, name, look, "middle"))
            free = x + half + 8
    return [*parts, _text(_WIDTH - 2, base + 16, note, look, "end")]


def _usual(usual: tuple[float, float], scale: _Scale, look: _Look) -> list[str]:
    top, bottom = sorted((scale.y(usual[0]), scale.y(usual[1])))
    edges = "".join(
        f'<line x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}" '
        f'style="stroke:{look.soft};stroke-width:.8;stroke-dasharray:1 3"/>'
        for y in (top, bottom)
    )
    return [
        f'<rect x="{_LEFT:g}" y="{top:.1f}" width="{_PLOT_WIDTH:g}" height="{max(bottom - top, 1):.1f}" '
        f'style="fill:{look.accent};opacity:.09"/>{edges}'
    ]


def _line(points: Sequence[tuple[int, float]], time: _Time, scale: _Scale, look: _Look) -> list[str]:
    parts = []
    for stretch in _stretches(points):
        drawn = [(time.x(at), scale.y(value)) for at, value in _thinned(stretch, time)]
        if len(drawn) > 1:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn)
            parts.append(
                f'<path d="{path}" style="fill:none;stroke:{look.accent};stroke-width:1.4;stroke-linejoin:round"/>'
            )
        if len(drawn) == 1 or len(points) <= _MOST_DOTS:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" style="fill:{look.accent}"/>' for x, y in drawn
            ]
    return parts


def _events(chart: KpiChart, time: _Time, look: _Look) -> list[str]:
    """Vertical lines with their marks on top; marks that would cover each other are one (``2-4``)."""
    parts: list[str] = []
    base = _HEIGHT - _BOTTOM
    shown = [
        (time.x(at), str(number), False)
        for number, (at, _) in enumerate(sorted(chart.deployments), 1)
        if time.first <= at <= time.last
    ]
    changes = [
        (time.x(at), letter, True)
        for (at, _), letter in zip(sorted(chart.change_points), _letters(), strict=False)
        if time.first <= at <= time.last
    ]
    for x, _, is_change in [*shown, *changes]:
        style = (
            f"stroke:{look.ink};stroke-width:1.3"
            if is_change
            else f"stroke:{look.soft};stroke-width:1;stroke-dasharray:4 3"
        )
        top = _TOP - 17 if is_change else _TOP
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:g}" y2="{base:g}" style="{style}"/>')
    for x, name in _grouped(shown):
        wide = _mark_width(name)
        parts.append(
            f'<rect x="{x - wide / 2:.1f}" y="{_TOP - 14:g}" width="{wide:.1f}" height="15" rx="7.5" '
            f'style="fill:{look.paper};stroke:{look.soft};stroke-width:1"/>'
            + _text(x, _TOP - 2.8, name, look, "middle")
        )
    for x, name in _grouped(changes):
        wide = _mark_width(name)
        parts.append(
            f'<rect x="{x - wide / 2:.1f}" y="{_TOP - 32:g}" width="{wide:.1f}" height="15" style="fill:{look.ink}"/>'
            + _text(x, _TOP - 20.8, name, look, "middle", fill=look.paper, bold=True)
        )
    return parts


def _levels(chart: KpiChart, time: _Time, scale: _Scale, look: _Look) -> list[str]:
    """Medians and the target, with their names beside the plot, none over another."""
    parts: list[str] = []
    named: list[tuple[float, str, bool]] = []
    right = _WIDTH - _RIGHT
    changes = [time.x(min(time.last, max(time.first, at))) for at, _ in sorted(chart.change_points)]
    if chart.usual is not None:
        named.append((scale.y(sum(chart.usual) / 2), "usual range", False))
    if chart.target is not None:
        y = scale.y(chart.target)
        parts.append(
            f'<line x1="{_LEFT:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}" '
            f'style="stroke:{look.ink};stroke-width:1.2;stroke-dasharray:9 4"/>'
        )
        named.append((y, f"target {scale.exact(chart.target)}", True))
    begin = changes[-2] if len(changes) > 1 else _LEFT
    border = changes[-1] if changes else right
    levels = [(chart.before_median, begin, border)]
    if changes:
        levels.append((chart.after_median, border, right))
    for value, left, end in levels:
        if value is None or end <= left:
            continue
        y = scale.y(value)
        parts.append(
            f'<line x1="{left:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}" style="stroke:{look.ink};stroke-width:2.4"/>'
        )
        words = f"median {scale.exact(value)}"
        if end == right:
            named.append((y, words, True))
        else:
            place = _free_place(chart, time, scale, (left, end), y, len(words) * (_CHARACTER + 0.8))
            if place is None:
                named.append((y, f"before {_letters()[len(changes) - 1]}: {scale.exact(value)}", True))
            else:
                parts.append(_text(*place, words, look, fill=look.ink, halo=True, bold=True))
    for y, words, is_strong in _apart(named):
        parts.append(_text(right + 7, y + 4, words, look, fill=look.ink if is_strong else look.soft))
    return parts


def _free_place(
    chart: KpiChart, time: _Time, scale: _Scale, segment: tuple[float, float], y: float, width: float
) -> tuple[float, float] | None:
    """Where a label at a level covers no value, along its segment, above or below it; None where there is no such place."""
    drawn = [(time.x(at), scale.y(value)) for at, value in _finite(chart.points)]
    room = segment[1] - segment[0] - width - 10
    for base in (y - 6, y + 14):
        for part in range(7):
            x = segment[0] + 5 + room * part / 6
            is_inside = room >= 0 and _TOP + 8 <= base <= _HEIGHT - _BOTTOM - 2
            if is_inside and not any(
                x - 6 <= px <= x + width + 6 and base - 13 <= py <= base + 5 for px, py in drawn
            ):
                return x, base
    return None


def _text(
    x: float, y: float, text: str, look: _Look, anchor: str = "start", *, fill: str = "", halo: bool = False,
    bold: bool = False, italic: bool = False,
) -> str:  # fmt: skip
    style = (
        f"font:{'italic ' if italic else ''}{'600 ' if bold else ''}11px {look.font};fill:{fill or look.soft}"
    )
    if halo:
        style += f";paint-order:stroke;stroke:{look.paper};stroke-width:3.5px;stroke-linejoin:round"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'


def _mark_width(name: str) -> float:
    return max(15.0, len(name) * 6.4 + 7)


def _grouped(marks: Sequence[tuple[float, str, bool]]) -> list[tuple[float, str]]:
    """Marks joined where they would overlap: (place, ``2`` or ``2-4``)."""
    groups: list[tuple[float, float, str, str]] = []  # first place, last place, first name, last name
    for x, name, _ in marks:
        group = (x, x, name, name)
        while groups and _ends(groups[-1])[1] + 2 > _ends(group)[0]:
            before = groups.pop()
            group = (before[0], x, before[2], name)
        groups.append(group)
    return [((first + last) / 2, _group_name(one, two)) for first, last, one, two in groups]


def _ends(group: tuple[float, float, str, str]) -> tuple[float, float]:
    middle, half = (group[0] + group[1]) / 2, _mark_width(_group_name(group[2], group[3])) / 2
    return middle - half, middle + half


def _group_name(first: str, last: str) -> str:
    return first if first == last else f"{first}{_DASH}{last}"


def _apart(named: Sequence[tuple[float, str, bool]]) -> list[tuple[float, str, bool]]:
    """Labels moved as little as need be that none covers another."""
    placed = sorted(named)
    ys = [one[0] for one in placed]
    for number in range(1, len(ys)):
        ys[number] = max(ys[number], ys[number - 1] + 14)
    over = (ys[-1] - (_HEIGHT - _BOTTOM)) if ys else 0
    if over > 0:
        ys[-1] -= over
        for number in reversed(range(len(ys) - 1)):
            ys[number] = min(ys[number], ys[number + 1] - 14)
    return [(y, text, is_strong) for y, (_, text, is_strong) in zip(ys, placed, strict=True)]


# --- values ------------------------------------------------------------------------------------------


_SECONDS = (("ms", 0.001, 0.0), ("s", 1.0, 1.0), ("min", 60.0, 300.0), ("h", 3600.0, 18_000.0))
"""Unit, seconds in it, and from how many seconds on it is used."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """The value axis: from ``bottom`` to ``top`` in the chart's unit, shown as multiples of ``per`` of ``unit``."""

    bottom: float
    top: float
    step: float
    unit: str
    per: float

    @classmethod
    def of(cls, chart: KpiChart) -> _Scale:
        values = [value for _, value in _finite(chart.points)] or [0.0]
        more = (chart.target, chart.before_median, chart.after_median, *(chart.usual or ()))
        values += [value for value in more if value is not None]
        low, high = min(values), max(values)
        unit, per = _shown_unit(chart.unit, max(abs(low), abs(high)))
        low, high = low / per, high / per
        if low >= 0 and low < 0.6 * high:
            low = 0.0
        if high <= 0 and high > 0.6 * low:
            high = 0.0
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            low, high = (0.0, high * 1.2) if high > 0 else (low * 1.2, 0.0) if low < 0 else (0.0, 1.0)
        room = 0.04 * (high - low)
        step = _round_step((high - low + room) / 5)
        bottom = 0.0 if low == 0 else math.floor((low - room) / step) * step
        top = 0.0 if high == 0 else math.ceil((high + room) / step) * step
        if low >= 0:
            bottom = max(bottom, 0.0)
        if unit == "%" and high <= 100:
            top = min(top, 100.0) if high > 0 else top
        return cls(bottom * per, top * per, step * per, unit, per)

    @property
    def is_cut(self) -> bool:
        """Whether the axis leaves 0 out."""
        return self.bottom > 0 or self.top < 0

    @property
    def ticks(self) -> list[float]:
        first, last = round(self.bottom / self.step), math.floor(self.top / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]

    def y(self, value: float) -> float:
        share = (value - self.bottom) / (self.top - self.bottom)
        return _HEIGHT - _BOTTOM - _PLOT_HEIGHT * min(1.0, max(0.0, share))

    def tick(self, value: float) -> str:
        digits = max(0, min(12, -math.floor(math.log10(self.step / self.per) + 1e-9)))
        return _with_unit(value / self.per, digits, self.unit)

    def exact(self, value: float) -> str:
        """A value in three digits that count, more where it is a large whole number."""
        shown = value / self.per
        digits = 0 if shown == 0 else max(0, min(12, 2 - math.floor(math.log10(abs(shown)))))
        text = f"{shown:,.{digits}f}"
        digits = len(text.rstrip("0").partition(".")[2]) if "." in text else 0
        if self.unit == "$" and digits == 1:
            digits = 2
        return _with_unit(shown, digits, self.unit)


def _shown_unit(unit: str, largest: float) -> tuple[str, float]:
    """The unit in which values are read best, and how much of the chart's unit one of it is."""
    base = {"s": 1.0, "seconds": 1.0, "ms": 0.001, "milliseconds": 0.001, "min": 60.0, "h": 3600.0}.get(unit)
    if base is not None:
        name, seconds = [one for one in _SECONDS if largest * base >= one[2]][-1][:2]
        return name, seconds / base
    if unit == "ratio":
        return "%", 0.01
    if unit == "count":
        return "", 1.0
    return one_line(unit, 12).replace("\uffff", "").replace("\ufffe", ""), 1.0


def _with_unit(value: float, digits: int, unit: str) -> str:
    sign = "\N{MINUS SIGN}" if round(value, digits) < 0 else ""
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-6:
        return f"{chr(0x2212) if value < 0 else ''}{size:.3g}{f' {unit}' if unit else ''}"
    suffix = ""
    for limit, name in ((1e12, "T"), (1e9, "G" if unit != "$" else "B"), (1e6, "M")):
        if size >= limit and digits == 0:
            size, suffix = size / limit, name
            digits = next((count for count in range(4) if abs(round(size, count) - size) < 1e-6), 3)
            break
    number = f"{size:,.{digits}f}{suffix}"
    if unit in ("$", per_day("$")):
        return f"{sign}${number}{unit[1:]}"
    return f"{sign}{number}{f' {unit}' if unit else ''}"


def _round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``about``."""
    power = 10.0 ** math.floor(math.log10(about)) if about > 0 else 1.0
    return next(times * power for times in (1, 2, 5, 10) if times * power >= about * (1 - 1e-9))


# --- time --------------------------------------------------------------------------------------------


_STEPS = (
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)), *(count * _HOUR for count in (1, 2, 3, 6, 12)),
    *(count * _DAY for count in (1, 2, 7, 14)),
)  # fmt: skip
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Time(NamedTuple):
    """The time axis, in milliseconds since 1970."""

    first: int
    last: int

    def x(self, at: int) -> float:
        return _LEFT + _PLOT_WIDTH * (at - self.first) / (self.last - self.first)

    def ticks(self) -> list[tuple[int, str]]:
        """Round moments and their names, about eight at most."""
        span = self.last - self.first
        step = next((one for one in _STEPS if span / one <= 8), 0)
        if not step:
            return self._months(span)
        offset = 4 * _DAY if step % (7 * _DAY) == 0 else 0  # weeks begin on Mondays; 1970 began on a Thursday
        first = -(-(self.first - offset) // step) * step + offset
        found = []
        for at in range(first, self.last + 1, step):
            when = datetime.fromtimestamp(at / 1000, UTC)
            is_day = step >= _DAY or (when.hour == 0 and when.minute == 0)
            found.append((at, f"{when.day} {_MONTHS[when.month - 1]}" if is_day else f"{when:%H:%M}"))
        return found

    def _months(self, span: int) -> list[tuple[int, str]]:
        months = span / (30.4 * _DAY)
        every = next((count for count in _MONTH_STEPS if months / count <= 8), 12_000)
        begin = datetime.fromtimestamp(self.first / 1000, UTC)
        count = -(-(begin.year * 12 + begin.month - 1) // every) * every
        found = []
        while (when := datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)).timestamp() * 1000 <= self.last:
            at = round(when.timestamp() * 1000)
            if at >= self.first:
                found.append(
                    (at, str(when.year) if every >= 12 else f"{_MONTHS[when.month - 1]} {when.year}")
                )
            count += every
        return found


def _time_of(chart: KpiChart) -> _Time:
    """From the first to the last value, and on to marks that lie near."""
    points = _finite(chart.points)
    if not points:
        return _Time(0, 1)
    first, last = points[0][0], points[-1][0]
    if first == last:
        return _Time(first - 12 * _HOUR, last + 12 * _HOUR)
    near = (last - first) // 5
    marks = [at for at, _ in (*chart.change_points, *chart.deployments) if first - near <= at <= last + near]
    return _Time(min([first, *marks]), max([last, *marks]))


def _finite(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The values that can be drawn, in time's order."""
    return sorted((at, value) for at, value in points if abs(value) < _LARGEST)


def _stretches(points: Sequence[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """The values between gaps: longer pauses than three times the usual one."""
    if len(points) < 3:
        return [list(points)]
    usual = median(late[0] - early[0] for early, late in pairwise(points))
    found = [[points[0]]]
    for early, late in pairwise(points):
        if late[0] - early[0] > _GAP * usual:
            found.append([])
        found[-1].append(late)
    return found


def _thinned(points: Sequence[tuple[int, float]], time: _Time) -> list[tuple[int, float]]:
    """First, least, greatest and last value of each column of the plot, which draws the same line (M4, Jugel et al. 2014,
    "M4: a visualization-oriented time series data aggregation")."""
    if len(points) <= 4 * _PLOT_WIDTH:
        return list(points)
    columns: dict[int, list[tuple[int, float]]] = {}
    for point in points:
        columns.setdefault(int(time.x(point[0])), []).append(point)
    kept: list[tuple[int, float]] = []
    for inside in columns.values():
        ends = {
            inside[0],
            inside[-1],
            min(inside, key=lambda one: one[1]),
            max(inside, key=lambda one: one[1]),
        }
        kept += sorted(ends)
    return kept


def _moment(at: int) -> str:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    clock = f" {when:%H:%M}" if (when.hour, when.minute) != (0, 0) else ""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}{clock} UTC"


def _letters() -> list[str]:
    one = [chr(65 + number) for number in range(26)]
    return one + [first + second for first in one for second in one]


def _clean(text: str) -> str:
    """Text that XML may hold, on one line."""
    return one_line(text, 300).replace("\ufffe", "").replace("\uffff", "")
