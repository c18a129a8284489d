"""Achievements on a terminal: tables, one in full, and statistics drawn with characters."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from achievement_collector.derive.conclusions import (
    PORTFOLIO_READY,
    Achievement,
    AchievementKind,
    Record,
    Score,
)
from achievement_collector.present.printable import one_line, printable
from achievement_collector.present.wording import (
    has_gaps,
    left_out_in_words,
    people_in_words,
    periods,
    plural,
    role_in_words,
    size_in_words,
    value_in_words,
)

_FIXED_COLUMNS = 8 + 6 + 14 + 10 + 4 * 2  # id, impact, category, when, and the space between
_NEVER_FOLDED = 4000  # columns: of what no terminal shows, nothing is cut or folded
_BAR = "█"
_PARTS = " ▏▎▍▌▋▊▉"


def achievements_table(
    achievements: Sequence[Achievement], width: int, *, repositories: bool = False
) -> Table:
    """One line for each, in at most ``width`` columns; columns that do not fit are left out."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    room = width - _FIXED_COLUMNS - 22
    has_who = room >= 26
    repositories = repositories and room >= 26 + 22
    has_release = room >= 26 + 22 * repositories + 16
    others = _FIXED_COLUMNS + 26 * has_who + 16 * has_release + 22 * repositories
    table.add_column("id", style="cyan", no_wrap=True, width=8)
    table.add_column("impact", justify="right", no_wrap=True, width=6)
    table.add_column("category", no_wrap=True, width=14)
    table.add_column("title", overflow="ellipsis", no_wrap=True, width=_room(max(20, width - others), width))
    if has_who:
        table.add_column("who", overflow="ellipsis", no_wrap=True, width=_room(24, width))
    table.add_column("when", no_wrap=True, width=10)
    if has_release:
        table.add_column("release", no_wrap=True, overflow="ellipsis", width=_room(14, width))
    if repositories:
        table.add_column("repository", no_wrap=True, overflow="ellipsis", width=_room(20, width))
    for one in achievements:
        cells = [
            Text(one.id[:8]),
            _impact(one.impact),
            Text(one.category.category.value),
            Text(one_line(one.title), style="" if one.is_counted else "dim"),
        ]
        if has_who:
            cells.append(Text(one_line(people_in_words(one.credits, 1))))
        cells.append(Text(one.occurred.date().isoformat()))
        if has_release:
            cells.append(Text(one_line(one.released_in)))
        if repositories:
            cells.append(Text(one_line(one.repository.rpartition("/")[2])))
        table.add_row(*cells)
    return table


def _room(columns: int, width: int) -> int | None:
    """The width of a column; as wide as what is in it where nothing is to be cut."""
    return None if width >= _NEVER_FOLDED else columns


def left_out_table(achievements: Sequence[Achievement], width: int) -> Table:
    """Changes that do not count, each with the reason."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("id", style="cyan", no_wrap=True)
    table.add_column(
        "title", overflow="ellipsis", no_wrap=True, width=_room(max(20, (width - 24) // 2), width)
    )
    table.add_column("when", no_wrap=True, width=10)
    table.add_column("why it is left out", width=_room(max(20, (width - 24) // 2), width))
    for one in achievements:
        table.add_row(
            Text(one.id[:8]),
            Text(one_line(one.title)),
            Text(one.occurred.date().isoformat()),
            Text(one_line(one.left_out_reason)),
        )
    return table


def _impact(score: Score) -> Text:
    if not score.parts:
        return Text("–", style="dim")
    return Text(str(score.value), style="bold green" if score.value >= PORTFOLIO_READY else "")


def achievement_in_full(
    one: Achievement, commands: Sequence[str], tags: Sequence[str], rules_version: int
) -> RenderableType:
    """Everything that is known of one achievement, with the breakdown of its scores and its evidence."""
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")

    def fact(name: str, value: str) -> None:
        if value:
            facts.add_row(name, Text(printable(value)))

    if not one.is_counted:
        fact("left out", one.left_out_reason)
    fact("repository", one.repository)
    fact("when", _when(one))
    if one.kind is AchievementKind.STATED:
        fact("kind", "stated by a person, seen by no tool")
    labels = ", ".join(label.value for label in one.category.labels[1:])
    basis = f"{one.category.confidence:.0%} sure: {one.category.basis}" if one.category.basis else ""
    fact(
        "category",
        one.category.category.value
        + (f" (also {labels})" if labels else "")
        + (f" – {basis}" if basis else ""),
    )
    fact("counts because", one.reason)
    fact("people", ", ".join(role_in_words(credit) for credit in one.credits) or "nobody is credited")
    fact("assisted by", ", ".join(one.assisted_by))
    if one.kind is AchievementKind.CHANGE:
        fact("size", size_in_words(one))
    fact("business value", value_in_words(one.value))
    fact("first released in", one.released_in if one.kind is AchievementKind.CHANGE else "")
    if tags:
        more = f" and {len(tags) - 12} more" if len(tags) > 12 else ""
        fact("in tags", ", ".join(tags[:12]) + more)
    fact("set by hand", ", ".join(one.edited))
    parts: list[RenderableType] = [
        Text(one_line(one.title), style="bold"),
        Text(one.id, style="cyan"),
        Text(""),
    ]
    if one.description:
        parts += [Padding(Text(printable(one.description)), (0, 0, 1, 2), expand=False)]
    parts.append(facts)
    for name, score in (("impact", one.impact), ("complexity", one.complexity)):
        if score.parts:
            parts += [Text(""), Text(f"{name} {score.value} of 100", style="bold"), _score_table(score)]
    if one.skills:
        parts += [Text(""), Text("skills", style="bold"), _skills_table(one)]
    parts += [Text(""), Text("evidence", style="bold"), *_evidence_lines(one)]
    if commands:
        parts += [Text(""), Text("verify it yourself", style="bold")]
        parts += [Text("  " + printable(command)) for command in commands[:8]]
        if len(commands) > 8:
            parts.append(Text(f"  … and {len(commands) - 8} more of the kind", style="dim"))
    parts += [
        Text(""),
        Text(f"rules {one.rules_version or rules_version}, score formula {one.impact.version}", style="dim"),
    ]
    return Group(*parts)


def _when(one: Achievement) -> str:
    end = one.occurred.strftime("%Y-%m-%d %H:%M %z")
    if one.started and one.started.date() != one.occurred.date():
        days = (one.occurred - one.started).days
        if days > 0:
            return f"{end} (work began {one.started.date().isoformat()}, {plural(days, 'day')} before)"
    return end


def _score_table(score: Score) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for part in score.parts:
        table.add_row(Text(part.name), f"{part.points:.1f}", Text(one_line(part.fact)))
    return table


def _skills_table(one: Achievement) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for skill in one.skills:
        table.add_row(Text(one_line(skill.name)), skill.kind.value, Text(one_line(skill.evidence)))
    return table


def _evidence_lines(one: Achievement) -> list[Text]:
    """A line for each fact; its address below it, unbroken, so that it can be followed."""
    lines: list[Text] = []
    for item in one.evidence:
        number = f" {item.value} {item.unit}".rstrip() if item.value else ""
        shown = item.reference[:12] if item.kind == "commit" and item.url else item.reference
        lines.append(Text(f"{one_line(item.kind):<14}{one_line(shown):<13} {one_line(item.label + number)}"))
        if item.url:
            lines.append(Text(" " * 14 + one_line(item.url), style="dim"))
    return lines


# --- statistics --------------------------------------------------------------------------------------


def statistics(record: Record, width: int) -> RenderableType:
    """Activity by month or year, categories and skills over time."""
    parts: list[RenderableType] = [
        Text(f"{plural(record.matching, 'achievement')}: {one_line(record.selection)}", style="bold"),
        Text(
            f"left out: {left_out_in_words(record.left_out, record.bots_left_out)}",
            style="dim",
        ),
    ]
    if record.months:
        rows, unit = periods(record.months, 36)
        gaps = f"; {unit}s without any are left out" if has_gaps(rows, unit) else ""
        parts += [Text(""), Text(f"activity by {unit} (UTC){gaps}", style="bold"), bars(rows, width)]
        if unit == "year" and not has_gaps(record.months, "month"):
            latest = [row for row in record.months[-24:] if row[1]]
            parts += [Text(""), Text("the last 24 months of it", style="bold"), bars(latest, width)]
    if record.categories:
        parts += [Text(""), Text("categories", style="bold"), bars(record.categories, width)]
    if record.skills:
        parts += [Text(""), Text("skills", style="bold"), _skill_spans(record, width)]
    return Group(*parts)


def bars(rows: Sequence[tuple[str, int]], width: int) -> Table:
    """Horizontal bars, the longest as wide as there is room for."""
    most = max((count for _, count in rows), default=0) or 1
    label = max((len(name) for name, _ in rows), default=1)
    room = max(10, min(60, width - label - 12))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, count in rows:
        eighths = round(count / most * room * 8)
        bar = _BAR * (eighths // 8) + (_PARTS[eighths % 8].strip() if eighths % 8 else "")
        table.add_row(Text(one_line(name)), f"{count:,}", Text(bar or ("▏" if count else ""), style="green"))
    return table


def _skill_spans(record: Record, width: int, most: int = 20) -> Table:
    """Skills with how often and from when to when, drawn on one time line."""
    first = min(skill.first for skill in record.skills)
    last = max(skill.last for skill in record.skills)
    start, end = _days(first), max(_days(last), _days(first) + 1)
    room = max(12, min(40, width - 60))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("skill", no_wrap=True)
    table.add_column("achievements", justify="right", no_wrap=True)
    table.add_column("first", no_wrap=True)
    table.add_column("last", no_wrap=True)
    table.add_column(first[:4] if first[:4] == last[:4] else f"{first[:4]} … {last[:4]}", no_wrap=True)
    for skill in record.skills[:most]:
        left = int((_days(skill.first) - start) / (end - start) * (room - 1))
        right = int((_days(skill.last) - start) / (end - start) * (room - 1))
        line = Text(" " * left + "━" * (right - left + 1), style="green")
        table.add_row(Text(one_line(skill.name)), f"{skill.achievements:,}", skill.first, skill.last, line)
    if len(record.skills) > most:
        table.add_row(Text(f"… and {len(record.skills) - most} more", style="dim"), "", "", "", "")
    return table


def _days(day: str) -> int:
    year, month, date = (int(part) for part in day.split("-"))
    return year * 372 + month * 31 + date


def console(*, stderr: bool = False) -> Console:
    """A console that never reads outside text as markup or emoji codes. Where no terminal is at its end, lines are as long
    as they need to be, unless ``COLUMNS`` says how long they may be."""
    screen = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not screen.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        screen.width = _NEVER_FOLDED
    return screen
