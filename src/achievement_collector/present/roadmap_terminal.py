"""The roadmap on a terminal: status, readiness, progress and forecast side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.present.printable import one_line

_SCORE = "CI readiness score (documented formula)"
_STYLES = {"earned": "green", "missed": "red", "unknown": "dim"}


def roadmap_in_short(found: Mapping[str, Any]) -> RenderableType:
    """One line for each milestone, and the measures below."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    columns = (
        "milestone",
        "status",
        "CI readiness",
        "issues closed",
        "target",
        "P50",
        "P85",
        "P95",
        "chance",
        "key",
    )
    for column in columns:
        table.add_column(column, no_wrap=column not in ("milestone", "key"), overflow="fold")
    for one in found["milestones"]:
        told = one["forecast"]
        days = [_day(told, f"p{percent}") for percent in (50, 85, 95)]
        cells = [
            one["title"], status_in_words(one["status"]), score_in_short(one["readiness"]), progress_in_short(one["progress"]),
            one["target"] or "–", *days, chance_in_short(told["chance"]), one["key"],
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    parts: list[RenderableType] = [table] if found["milestones"] else []
    notes = [
        Text(one_line(f"{one['title']}: {told}"), style="yellow")
        for one in found["milestones"]
        for told in (*one["status"]["others"], *one["changes"]["readiness"], *one["proposals"])
    ]
    tests = dict.fromkeys(
        (", ".join(one["repositories"]) or "without a repository", one["forecast"]["back_test"]["told"])
        for one in found["milestones"]
        if one["forecast"]["back_test"]
    )
    notes += [Text(one_line(f"{place}: {told}"), style="dim") for place, told in tests]
    if notes:
        parts += [Text(""), *notes]
    parts += [Text(""), measures_table(found["measures"])]
    return Group(*parts)


def measures_table(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("measure", "value", "n", "rests on"):
        table.add_column(column, no_wrap=column != "rests on", overflow="fold")
    for one in found:
        cells = [one["name"].replace("_", " "), one["text"], str(one["n"]), one["told"]]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def milestone_in_full(one: Mapping[str, Any]) -> RenderableType:
    """A milestone with everything that its numbers rest on."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    status = one["status"]
    runs = f"{one['runs']['n']} ({one['runs']['about']})" if one["runs"]["n"] else "none known"
    rows = [
        ("key", one["key"]), ("also", ", ".join([*one["names"], *one["same_as"]])),
        ("status", f"{status_in_words(status)} ({status['told']})"), ("but", "; ".join(status["others"])),
        ("target", one["target"] or "none set"), ("completed", one["completed"] or ""), ("slips", one["slips"]["told"]),
        ("progress", _progress(one["progress"])), ("forecast", one["forecast"]["told"]),
        ("", (one["forecast"]["back_test"] or {}).get("told", "")), ("risks", "; ".join(one["risks"])),
        ("proposed", "; ".join(one["proposals"])), ("runs", runs),
        ("address", one["url"] or ""),
    ]  # fmt: skip
    for label, value in rows:
        if value:
            table.add_row(Text(label), Text(one_line(value)))
    parts: list[RenderableType] = [Text(one_line(one["title"]), style="bold"), table, Text("")]
    parts += [Text(one_line(f"{_SCORE}: {score_in_short(one['readiness'])}"), style="bold"), _score(one)]
    parts += [Text(one_line(told), style="yellow") for told in one["changes"]["readiness"]]
    if one["pulls"]:
        parts += [Text(""), _pulls(one["pulls"])]
    still_open = [issue for issue in one["issues"] if issue["state"] == "open"]
    if still_open:
        parts += [Text(""), Text("open issues", style="bold")]
        parts += [
            Text(one_line(f"{issue['key'].removeprefix('github.com/')}  {issue['title']}"))
            for issue in still_open[:30]
        ]
        if len(still_open) > 30:
            parts.append(Text(f"and {len(still_open) - 30} more", style="dim"))
    return Group(*parts)


def _score(one: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("part", "points", "state", "n", "rests on"):
        table.add_column(column, no_wrap=column != "rests on", overflow="fold")
    for part in one["readiness"]["parts"]:
        window = f"; {part['window'][0]} to {part['window'][1]}" if part["window"] else ""
        links = f"; {part['links'][0]}" if part["links"] else ""
        table.add_row(
            Text(part["title"]), Text(f"{part['points']}/{part['most']}"), Text(part["state"], style=_STYLES[part["state"]]),
            Text(str(part["n"])), Text(one_line(part["told"] + window + links)),
        )  # fmt: skip
    return table


def _pulls(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("pull request", "state", "title", "belongs to it by"):
        table.add_column(column, no_wrap=column != "title", overflow="fold")
    for one in found[:30]:
        cells = [one["key"].partition("/")[2], one["state"], one["title"], one["told"]]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def status_in_words(status: Mapping[str, Any]) -> str:
    """The status that people set."""
    if status["is_dropped"]:
        return "given up"
    return str(status["value"] or "not set")


def score_in_short(score: Mapping[str, Any]) -> str:
    """``55/100, 85 measurable``; not measured where nothing was."""
    if score["points"] is None:
        return "not measured"
    return f"{score['points']}/100, {score['measurable']} measurable"


def progress_in_short(progress: Mapping[str, Any]) -> str:
    if not progress["issues"]:
        return "not measured"
    return f"{progress['closed']}/{progress['issues']} ({progress['share'] * 100:.0f} %)"


def chance_in_short(chance: float | None) -> str:
    if chance is None:
        return "–"
    return "< 1 %" if chance < 0.01 else "> 99 %" if chance > 0.99 else f"{chance * 100:.0f} %"


def _day(told: Mapping[str, Any], name: str) -> str:
    if not told["is_made"]:
        return "no forecast" if name == "p50" else "–"
    return str(told[name] or f"after {told['horizon']}")


def _progress(progress: Mapping[str, Any]) -> str:
    pulls = progress["pulls"]
    told = str(progress["told"])
    if any(pulls.values()):
        told += f"; pull requests: {pulls['merged']} merged, {pulls['open']} open, {pulls['closed']} closed without a merge"
    if progress["canceled"]:
        told += f"; {progress['canceled']} canceled issues left out"
    return told
