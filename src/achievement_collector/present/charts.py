"""Charts as SVG: no script, colours from the page's variables, a title and a description for those who listen."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 180
_LEFT, _BOTTOM, _TOP = 36, 24, 8


def columns(rows: Sequence[tuple[str, int]], title: str, noun: str = "achievements") -> str:
    """One column for each period; ``noun`` is what is counted."""
    most = max((count for _, count in rows), default=1) or 1
    top = _round_up(most)
    step = (_WIDTH - _LEFT) / max(len(rows), 1)
    plot = _HEIGHT - _BOTTOM - _TOP
    parts = [_begin(_WIDTH, _HEIGHT, title, f"{len(rows)} periods, at most {most:,} {noun} in one")]
    for part in (0, 0.5, 1):
        y = _TOP + plot * (1 - part)
        label = f"{top * part:,.0f}" if top * part == int(top * part) else ""
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    every = max(1, -(-len(rows) // 10))
    for number, (name, count) in enumerate(rows):
        height = plot * count / top
        x = _LEFT + number * step
        width = max(1.0, step - min(2.0, step * 0.2))
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{_TOP + plot - height:.1f}" width="{width:.1f}" height="{height:.1f}">'
            f"<title>{escape(name)}: {count:,}</title></rect>"
        )
        if number % every == 0:
            parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 8}">{escape(name)}</text>')
    return "".join(parts) + "</svg>"


def bars(rows: Sequence[tuple[str, int]], title: str) -> str:
    """Horizontal bars with their names and counts."""
    most = max((count for _, count in rows), default=1) or 1
    height = 26 * len(rows) + 4
    label, room = 170, _WIDTH - 170 - 70
    parts = [_begin(_WIDTH, height, title, ", ".join(f"{name} {count:,}" for name, count in rows))]
    for number, (name, count) in enumerate(rows):
        y = 26 * number + 4
        width = max(1.5, room * count / most)
        parts.append(
            f'<text class="label" x="{label - 10}" y="{y + 14}" text-anchor="end">{escape(name[:28])}</text>'
        )
        parts.append(f'<rect class="bar" x="{label}" y="{y + 2}" width="{width:.1f}" height="16" rx="2"/>')
        parts.append(f'<text class="label" x="{label + width + 8:.1f}" y="{y + 14}">{count:,}</text>')
    return "".join(parts) + "</svg>"


def spans(rows: Sequence[tuple[str, ...]], title: str) -> str:
    """Skills from when they were first shown to when they were last: (name, kind, count, first, last)."""
    days = [_day(row[3]) for row in rows] + [_day(row[4]) for row in rows]
    start, end = min(days), max(max(days), min(days) + 1)
    label, room = 190, _WIDTH - 190 - 10
    height = 22 * len(rows) + 26
    told = ", ".join(f"{row[0]} {row[3]} to {row[4]}" for row in rows)
    parts = [_begin(_WIDTH, height, title, told)]
    for year in _years(start, end):
        x = label + room * (year * 365.2425 - start) / (end - start)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 22}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{year}</text>')
    for number, row in enumerate(rows):
        y = 22 * number + 4
        left = label + room * (_day(row[3]) - start) / (end - start)
        right = label + room * (_day(row[4]) - start) / (end - start)
        parts.append(
            f'<text class="label" x="{label - 10}" y="{y + 12}" text-anchor="end">{escape(row[0][:26])}</text>'
        )
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="{y + 2}" width="{max(right - left, 4):.1f}" height="11" rx="5">'
            f"<title>{escape(row[0])}: {escape(row[2])} achievements, {row[3]} to {row[4]}</title></rect>"
        )
    return "".join(parts) + "</svg>"


def _begin(width: int, height: int, title: str, description: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" class="chart" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title><desc>{escape(description[:2000])}</desc>"
    )


def _round_up(most: int) -> int:
    for step in (2, 4, 6, 8, 10, 20, 30, 40, 50, 60, 80, 100):
        if most <= step:
            return step
    size = int(10 ** (len(str(most)) - 2))
    top = -(-most // size) * size
    return top if top % 2 == 0 else top + size


def _day(text: str) -> float:
    year, month, day = (int(part) for part in text.split("-"))
    return year * 365.2425 + (month - 1) * 30.44 + day


def _years(start: float, end: float) -> range:
    first, last = int(start / 365.2425) + 1, int(end / 365.2425)
    return range(first, last + 1, max(1, -(-(last - first + 1) // 10)))
