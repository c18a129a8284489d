"""Epics on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.derive.epics import full_title
from achievement_collector.present.printable import one_line, printable


def epics_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each epic."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("key", "title", "status", "pull requests", "issues", "changed"):
        table.add_column(column, no_wrap=column != "title", overflow="ellipsis")
    for one in found:
        told = one["deliverables"]
        status = f"final, revision {one['revision']}" if one["status"] == "completed" else one["status"]
        cells = [
            one["key"], one["title"], status, f"{told['prs_merged']} merged, {told['prs_open']} open",
            f"{told['issues_completed']} of {told['issues_total']}", one["changed"][:16].replace("T", " "),
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def epic_in_full(epic: Mapping[str, Any]) -> RenderableType:
    """Everything that is known of an epic."""
    status = epic["status"] + (f", revision {epic['revision']}" if epic["revision"] else "")
    parts: list[RenderableType] = [
        Text(one_line(full_title(epic["key"], epic["title"])), style="bold"),
        Text(status, style="cyan"),
    ]
    if epic["unmet"] and epic["status"] == "withdrawn":
        parts.append(Text(one_line("; ".join(epic["unmet"])), style="dim"))
    elif epic["unmet"]:
        parts.append(Text(one_line("to be complete: " + "; ".join(epic["unmet"])), style="dim"))
    if epic["content_hash"]:
        parts.append(Text(f"sha256 {epic['content_hash']}", style="dim"))
    if epic["description"]:
        parts += [Text(""), Text(printable(epic["description"][:600]))]
    line = epic["timeline"]
    parts += _section("timeline", [
        ("started", line["started"] or "not yet"), ("completed", line["completed"] or "not yet"),
        *((phase["name"], f"{phase['started']} to {phase['ended'] or 'now'} ({phase['basis']})") for phase in line["phases"]),
    ])  # fmt: skip
    told = epic["deliverables"]
    code = told["code_changes"]
    size = "not measured"
    if code["additions"] is not None:
        size = f"+{code['additions']:,} −{code['deletions']:,} lines, {code['basis']}"
    pulls = (
        f"{told['prs_merged']} merged, {told['prs_open']} open, {told['prs_closed_unmerged']} closed unmerged"
    )
    bots = told["bot_pull_requests"]["count"]
    for count, what in (
        (told["prs_undone"], "undone"),
        (told["prs_copied"], "copies"),
        (bots, "by programs, not counted"),
    ):
        if count:
            pulls += f", {count} {what}"
    parts += _section("deliverables", [
        ("pull requests", pulls), ("issues", f"{told['issues_completed']} of {told['issues_total']} completed"),
        ("code", size), *(("feature", name) for name in told["features"]),
    ])  # fmt: skip
    if told["pull_requests"]:
        parts += [Text(""), Text("pull requests", style="bold"), _pulls(told["pull_requests"])]
    for name in ("technical", "quality", "team", "business"):
        parts += _section(name, list(_metrics(epic["metrics"][name])))
    evidence = [
        (kind.replace("_", " "), _fact(one) if isinstance(one, dict) else one)
        for kind, ones in epic["evidence"].items()
        for one in ones
    ]
    parts += _section("evidence", evidence) if evidence else []
    milestones = [
        (one["name"], one.get("at") or (f"target {one['target']}" if one.get("target") else "no date"))
        for one in epic["milestones"]
    ]
    parts += _section("milestones", milestones) if milestones else []
    if epic["events"]:
        parts += [Text(""), Text("how it grew", style="bold")]
        parts += [
            Text(one_line(f"{one['at']}  {one['kind']:<10} {one['told']}")) for one in epic["events"][-12:]
        ]
    return Group(*parts)


def _fact(one: Mapping[str, Any]) -> str:
    return f"{one['title']}, {one['at']}" if "at" in one else str(one["url"])


def _section(name: str, rows: Iterable[tuple[str, str]]) -> list[RenderableType]:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(Text(one_line(label)), Text(one_line(str(value))))
    return [Text(""), Text(name, style="bold"), table]


def _pulls(pulls: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("pull request", "title", "state", "ci", "by", "linked by"):
        table.add_column(column, overflow="ellipsis", no_wrap=column != "title")
    for one in pulls:
        key = one["key"].split("/", 2)[-1]
        cells = [key, one["title"], one["state"], one["ci"], one["author"], one["linked_by"]]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _metrics(metrics: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in metrics.items():
        label = name.replace("_", " ")
        if isinstance(value, list):
            if value:
                yield label, ", ".join(str(one) for one in value)
        elif isinstance(value, Mapping):
            yield label, _metric(value)
        else:
            yield label, str(value)


def _metric(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return str(value["basis"])
    if "text" in value:
        return str(value["text"])
    number = value["value"]
    if value.get("unit") == "s":
        hours = number / 3600
        return (
            f"{hours:.1f} hours, n={value['n']}" if hours < 48 else f"{hours / 24:.1f} days, n={value['n']}"
        )
    if isinstance(number, float):
        return f"{number * 100:.0f} %, n={value['n']}"
    return f"{number} of {value['n']}" if "n" in value else f"{number} ({value.get('basis', '')})"


def events_log(events: Sequence[Mapping[str, Any]], *, with_changes: bool) -> RenderableType:
    """How an epic grew, oldest first."""
    parts: list[RenderableType] = []
    for one in events:
        parts.append(Text(one_line(f"{one['at']}  {one['kind']:<10} {one['told']}")))
        parts.append(Text(one_line(f"{'':22}by {one['cause']}"), style="dim"))
        if with_changes:
            for name, before, after in one["changes"]:
                change = name if before is None and after is None else f"{name}: {before} → {after}"
                parts.append(Text(one_line(f"{'':24}{change}"), style="dim"))
    return Group(*parts)
