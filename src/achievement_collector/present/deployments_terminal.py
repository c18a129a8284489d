"""Deployments and DORA measures on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.present.printable import one_line

_NAMES = {
    "deployment_frequency": "deployment frequency",
    "change_lead_time": "change lead time",
    "change_fail_rate": "change fail rate",
    "failed_deployment_recovery_time": "recovery time",
    "rework_rate": "rework rate",
}


def deployments_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each deployment."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("when (UTC)", "environment", "what", "state", "shipped", "key"):
        table.add_column(
            column, no_wrap=column != "shipped", overflow="fold" if column == "key" else "ellipsis"
        )
    for one in found:
        when = (one["finished"] or one["started"] or "not told")[:16].replace("T", " ")
        what = one["version"] or (one["sha"] or "")[:10] or "not told"
        cells = [
            when, one["environment"], what, one["state"] or "not told", shipped_in_short(one["shipped"]),
            one["key"].partition("/")[2],
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def shipped_in_short(shipped: Mapping[str, Any] | None) -> str:
    """What a deployment shipped, in a few words."""
    if shipped is None:
        return "not concluded yet"
    if shipped["told"]:
        return str(shipped["told"])
    changes = shipped["changes"]
    return f"{changes} {'change' if changes == 1 else 'changes'}, {shipped['counted_changes']} counted"


def deployment_in_full(one: Mapping[str, Any]) -> RenderableType:
    """A deployment with the changes that it shipped."""
    what = one["version"] or (one["sha"] or "")[:10] or "deployment"
    parts: list[RenderableType] = [
        Text(one_line(f"{what} to {one['environment']}"), style="bold"),
        Text(one_line(one["state"] or "no state was told"), style="cyan"),
        Text(""),
    ]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("key", one["key"]), ("commit", one["sha"] or "not told"), ("started", one["started"] or "not told"),
        ("ended", one["finished"] or "not told"), ("address", one["url"] or "not told"),
        ("achievement", one["achievement"] or "not concluded yet"), ("shipped", shipped_in_short(one["shipped"])),
    ]  # fmt: skip
    shipped = one["shipped"]
    if shipped and shipped["commits"] is not None:
        rows.append(("commits", str(shipped["commits"])))
    if shipped and shipped["unclear_commits"]:
        rows.append(("unclear", f"{shipped['unclear_commits']} commits may have been shipped before"))
    for label, value in rows:
        table.add_row(Text(label), Text(one_line(value)))
    parts.append(table)
    if shipped and shipped["listed"]:
        parts += [Text(""), _changes(shipped["listed"])]
        more = shipped["changes"] + shipped["unclear_changes"] - len(shipped["listed"])
        if more > 0:
            parts.append(Text(f"and {more} more", style="dim"))
    return Group(*parts)


def _changes(listed: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("id", "impact", "change", ""):
        table.add_column(column, overflow="ellipsis", no_wrap=column in ("id", "impact"))
    for one in listed:
        note = "may have been shipped before" if one["is_unclear"] else ""
        if not one["is_counted"]:
            note = one["left_out_reason"] or "not counted"
        impact = str(one["impact"]) if one["is_counted"] else ""
        cells = [one["id"], impact, one["title"], note]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def dora_in_full(found: Mapping[str, Any]) -> RenderableType:
    """The measures of one environment, each with what it rests on."""
    window = found["window"]
    begin = window["since"] or "the beginning"
    told = f"from {begin} to {window['until']}"
    if window["begins_with_first_deployment"]:
        told += "; it begins with the first recorded deployment"
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("measure", "value", "n", "95 % interval", "beside it, or why there is none"):
        table.add_column(column, no_wrap=column != "beside it, or why there is none", overflow="fold")
    for name, one in found["measures"].items():
        notes = [one["why"]] if one["why"] else []
        notes += [_beside(label, value) for label, value in one["beside"].items() if value["value"]]
        notes += [f"left out: {left['count']} × {left['what']}" for left in one["left_out"]]
        interval = one["interval"]
        cells = [
            _NAMES.get(name, name),
            one["state"] if one["value"] is None else in_words(one["value"], one["unit"]),
            str(one["n"]),
            f"{in_words(interval['low'], one['unit'])} to {in_words(interval['high'], one['unit'])}" if interval else "",
            "; ".join(notes),
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    head = Text(one_line(f"{found['repository']}, {found['environment']}"), style="bold")
    return Group(head, Text(one_line(told), style="dim"), table)


def _beside(name: str, told: Mapping[str, Any]) -> str:
    match name:
        case "per_day":
            return f"{told['value']:.2f} a day"
        case "median_days_between":
            return f"{told['value']:.1f} days between two (median of {told['n']})"
        case "p90":
            return f"90 % within {in_words(told['value'], told['unit'])}"
    return f"{name.replace('_', ' ')}: {in_words(told['value'], told['unit'])}"


def in_words(value: float, unit: str) -> str:
    """A number with its unit as people read it: seconds as minutes, hours or days, a ratio in percent."""
    if unit == "s":
        for length, name, below in ((60, "min", 5_400), (3_600, "h", 172_800)):
            if value < below:
                return f"{value / length:.1f} {name}"
        return f"{value / 86_400:.1f} days"
    if unit == "ratio":
        return f"{value * 100:.1f} %"
    if float(value).is_integer() and unit in ("deployments", "failures"):
        return f"{value:.0f}"
    return f"{value:.2f} {unit}"
