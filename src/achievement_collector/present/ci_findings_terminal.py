"""Explained failures of CI on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.derive.failures.drafting import last_lines
from achievement_collector.present.printable import one_line
from achievement_collector.present.wording import places_in_words, plural

_LONGEST = 300
_LAST_LINES = 5


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


def unknown_in_full(found: Mapping[str, Any], most: int) -> RenderableType:
    """The failures that no rule explains, of ``services.ci_failures.unknown_failures``, and how to name them. The
    signature to begin with is to be written after it, as it is: no line of it may be broken."""
    clusters = found["clusters"]
    signatures = plural(len(clusters), "signature")
    parts: list[RenderableType] = [
        Text("Failures that no rule explains", style="bold"),
        Text(
            f"{plural(found['failed_jobs'], 'failed job')} of {found['of']}, {signatures}, most frequent first",
            style="dim",
        ),
    ]
    for one in clusters[:most]:
        parts += [Text(""), *_unknown_cluster(one)]
    if len(clusters) > most:
        parts += [Text(""), Text(f"{len(clusters) - most} more are not shown (--limit)", style="dim")]
    return Group(*parts, Text(""), _how_to_name(found))


def _unknown_cluster(one: Mapping[str, Any]) -> list[RenderableType]:
    newest = one["newest"]
    seen = f"{plural(one['count'], 'time')}, first {one['first_seen'][:10]}, last {one['last_seen'][:10]}"
    parts: list[RenderableType] = [
        Text(f"{seen}, cluster {one_line(one['cluster'])}", style="cyan"),
        Text(f"  in {places_in_words(one)}"),
        Text(f"  {one_line(newest['told'], _LONGEST)}"),
    ]
    if one["is_in_green"]:
        parts.append(
            Text(
                "  what its log shows also stands in logs of runs that passed: it is no cause", style="yellow"
            )
        )
    for line in last_lines(newest["evidence"], _LAST_LINES):
        parts.append(Text(f"{line['number']:>9}  {one_line(line['text'], _LONGEST)}"))
    parts.append(
        Text(f"  its log: achievement-collector ci log {one_line(_job(newest['job']))}", style="dim")
    )
    return parts


def _how_to_name(found: Mapping[str, Any]) -> Text:
    folder = found["folder"]
    place = one_line(folder) if folder else "the folder that CI_SIGNATURES names (it is not set)"
    told = f"To name them, write signatures (docs/ci-failures.md) into a YAML file in {place}; past failures are matched again."
    return Text(f"{told} To begin with, for the first that left a line:" if found["draft"] else told)
