"""Runs of CI on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from achievement_collector.facts.ci_runs import GREEN, RED, Attempt
from achievement_collector.present.printable import one_line


def runs_table(found: Sequence[Attempt]) -> Table:
    """One line for each attempt."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    columns = ("began (UTC)", "outcome", "took", "workflow", "branch", "commit", "jobs", "run")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="fold" if column == "run" else "ellipsis")
    for one in found:
        style = "green" if one.conclusion in GREEN else "red" if one.conclusion in RED else "dim"
        known = str(one.jobs) if one.jobs_known else f"{one.jobs}+" if one.jobs else "not read"
        attempt = f"{one.run} attempt {one.number}" + ("" if one.is_last else ", run again")
        cells = [
            (_time(one.started or one.created), ""), (one.conclusion or "not ended", style), (_took(one), ""),
            (one.workflow, ""), (one.branch or "none", ""), (one.sha[:10], ""), (known, ""), (attempt, ""),
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell), style=how) for cell, how in cells))
    return table


def _time(at: int | None) -> str:
    if at is None:
        return "not told"
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _took(one: Attempt) -> str:
    if one.started is None or one.finished is None or one.finished < one.started:
        return "not told" if one.is_finished else ""
    seconds = (one.finished - one.started) // 1000
    return f"{seconds // 60} min {seconds % 60:02} s" if seconds >= 60 else f"{seconds} s"


def runs_in_numbers(counts: Any) -> str:
    """What is stored, in a line. ``counts`` has the fields of ``ledger.ci_runs.Counts``."""
    told = (
        f"stored: {counts.attempts:,} attempts of {counts.runs:,} runs ({counts.red:,} failed, {counts.unfinished:,} not ended), "
        f"{counts.jobs:,} jobs, {counts.logs:,} logs of {counts.red_jobs:,} failed jobs"
    )
    if counts.jobs_waiting or counts.logs_waiting:
        told += f"; still to be read: jobs of {counts.jobs_waiting:,} failed attempts, {counts.logs_waiting:,} logs"
    return told
