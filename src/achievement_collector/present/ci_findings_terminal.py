"""Explained failures of CI on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.present.printable import one_line

_LONGEST = 300


def clusters_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each cluster."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("times", "category", "signature", "cluster", "first", "last", "newest job"):
        table.add_column(
            column,
            no_wrap=column != "signature",
            overflow="fold",
            justify="right" if column == "times" else "left",
        )
    for one in found:
        signature = one["signature"] + (" (also in green runs)" if one["is_in_green"] else "")
        cells = [
            str(one["count"]), one["category"], signature[:_LONGEST], one["cluster"], one["first_seen"][:10],
            one["last_seen"][:10], _job(one["newest"]["job"]),
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _job(key: str) -> str:
    """The id of a job, or the run of which no job ran."""
    repository, is_run, rest = key.partition("/run/")
    return f"run {rest.partition('/')[0]}" if is_run else repository.rpartition("/")[2]


def failure_in_full(one: Mapping[str, Any]) -> RenderableType:
    """A failure with its evidence."""
    where = " / ".join(filter(None, (one["workflow"], one["name"], one["step"])))
    parts: list[RenderableType] = [
        Text(one_line(where), style="bold"),
        Text(one_line(f"{one['category']}, {one['standing']} (cluster {one['cluster']})"), style="cyan"),
        Text(one_line(one["told"])),
    ]
    if one["is_in_green"]:
        parts.append(
            Text("what it shows also stands in logs of runs that passed: it is no cause", style="yellow")
        )
    if one.get("url"):
        parts.append(Text(one_line(one["url"]), style="dim"))
    parts.append(Text(""))
    for line in one["evidence"]:
        parts.append(Text(f"{line['number']:>7}  {one_line(line['text'])[:_LONGEST]}"))
    if not one["evidence"]:
        parts.append(Text("no line of its log tells why"))
    return Group(*parts)
