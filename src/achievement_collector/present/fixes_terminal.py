"""Attempts to fix failures of CI on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.derive.fix_rates import PUBLISHED, FixRate
from achievement_collector.derive.fixes import Fix, FixState, Verdict
from achievement_collector.present.printable import one_line

_STYLES = {
    FixState.VERIFIED: "green", FixState.MERGED: "green", FixState.FAILED: "red", FixState.REVERTED: "red",
    FixState.WITHDRAWN: "dim", FixState.RESCUED: "yellow",
}  # fmt: skip
_LONGEST = 60


def fixes_table(found: Sequence[Fix]) -> Table:
    """One line for each attempt."""
    table = _table("fix", "made (UTC)", "kind", "by", "state", "CI", "commit", "job")
    for one in found:
        ci = "verified" if one.is_verified else "failed" if one.has_outcome else "–"
        cells = [
            (str(one.id), ""), (_time(one.created), ""), (one.kind, ""), (one.fixer or "–", ""),
            (one.state.value, _STYLES.get(one.state, "")), (ci, ""), (one.sha[:10] or "–", ""), (one.job, ""),
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell, 2 * _LONGEST), style=how) for cell, how in cells))
    return table


def rates_table(rates: Sequence[FixRate]) -> RenderableType:
    """The success rate of all attempts and of each kind, with what it rests on."""
    table = _table("auto-fix success", "verified", "n", "95 % interval", "reverted within 7 days", "left out")
    for one in rates:
        left = "; ".join(f"{left.number} × {left.what}" for left in one.left_out)
        cells = [
            one.kind or "all kinds", rate_in_words(one), f"{one.verified}/{one.n}", interval_in_words(one),
            f"{one.reverted_soon} of {one.merged} merged", left,
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return Group(table, Text(PUBLISHED, style="dim"))


def rate_in_words(one: FixRate) -> str:
    """``40.0 %``; where there is none, why."""
    if one.value is None:
        return f"{one.state.value}: {one.why}"
    return f"{float(one.value) * 100:.1f} %"


def interval_in_words(one: FixRate) -> str:
    if one.interval is None:
        return "–"
    return f"{one.interval.low * 100:.1f} % to {one.interval.high * 100:.1f} %"


def fix_in_full(one: Fix, told: Verdict) -> RenderableType:
    """An attempt with everything that is known of it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    runs = f"{told.state.value}: {told.told}" if told.state else f"nothing is decided: {told.told}"
    rows = [
        ("state", one.state.value), ("kind", one.kind), ("made by", one.fixer or "a person, or another tool"),
        ("job", one.job), ("failure", one.cluster or "not explained"), ("commit", one.sha or "none"),
        ("branch", one.branch), ("pull request", f"#{one.pull}" if one.pull is not None else ""), ("runs say", runs),
    ]  # fmt: skip
    for label, value in rows:
        if value:
            table.add_row(Text(label), Text(one_line(value)))
    events = _table("when (UTC)", "became", "told by", "what")
    for event in one.events:
        source = "recorded facts" if event.is_derived else "who made it"
        cells = [_time(event.at), event.state.value, source, event.told]
        events.add_row(*(Text(one_line(cell)) for cell in cells))
    return Group(Text(f"fix {one.id} of {one_line(one.repository)}", style="bold"), table, Text(""), events)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
