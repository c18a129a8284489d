"""CI health on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.present.deployments_terminal import in_words
from achievement_collector.present.printable import one_line

_MOST = 10
_LONGEST = 60
_DURATIONS = {
    "job_queue": "job, waiting",
    "job_duration": "job, running",
    "attempt_queue": "attempt, waiting",
    "attempt_duration": "attempt, in all",
}


def health_in_full(found: Mapping[str, Any], *, most: int = _MOST) -> RenderableType:
    """The measures of ``health_data``, each with what it rests on; of long lists the first ``most``."""
    window = found["window"]
    runs = _counted(found["runs"], "run") if found["runs"] else "no run recorded"
    parts: list[RenderableType] = [
        Text("CI health", style="bold"),
        Text(f"from {window['since'] or 'the beginning'} to {window['until']}, {runs}", style="dim"),
        Text(""),
        _rates(found["pass_rates"], found["trends"], most),
    ]
    parts += _not_shown(found["pass_rates"], most)
    parts += _notes(_of_first(found["pass_rates"]) + found["left_out"])
    parts += [Text(""), _recovery(found["time_to_green"], most)]
    red = found["time_to_green"]["headline"]["open"]
    parts += [Text(one_line(_red_still(one))) for one in red[:most]]
    parts += _more(len(red), most)
    parts += _notes(found["time_to_green"]["headline"]["left_out"])
    parts += [Text(""), _times([one for one in found["durations"] if not one["workflow"]])]
    parts += [Text(""), *_flaky(found["flakiness"], most)]
    return Group(*parts)


def _table(*columns: str, last_folds: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        folds = place == 0 or (last_folds and place == len(columns) - 1)
        table.add_column(column, no_wrap=not folds, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(one_line(cell)) for cell in cells))


def _rates(groups: Sequence[Mapping[str, Any]], trends: Sequence[Mapping[str, Any]], most: int) -> Table:
    table = _table(
        "pass rate of", "first", "passed", "95 % interval", "final", "flake tax", "trend, or why not"
    )
    trend_of = {_identity(one): one for one in trends}
    for one in _worth_showing(groups, most):
        first = one["first"]
        notes = [first["why"]] if first["why"] else []
        if first["infrastructure"]:
            broken = f"{first['infrastructure']} infrastructure"
            rate = first["with_infrastructure"]["value"]
            notes.append(broken if rate is None else f"{broken} ({in_words(rate, 'ratio')} with them)")
        trend = trend_of.get(_identity(one))
        if trend and first["value"] is not None:
            notes.insert(0, trend["text"])
        _row(
            table, _name(one), _percent(first), f"{first['passed']}/{first['n']}", _between(first["interval"], "ratio"),
            _percent(one["final"]), _points(one["flake_tax"]), "; ".join(notes),
        )  # fmt: skip
    return table


def _worth_showing(groups: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """All runs and the default branch, the workflows, and the other branches that have a rate."""
    found = [one for one in groups if one["kind"] in ("overall", "default branch")]
    default = {one["name"] for one in found}
    found += [one for one in groups if one["kind"] == "workflow"][:most]
    branches = [one for one in groups if one["kind"] == "branch" and one["first"]["value"] is not None]
    return found + [one for one in branches if one["name"] not in default][:most]


def _not_shown(groups: Sequence[Mapping[str, Any]], most: int) -> list[RenderableType]:
    shown = {id(one) for one in _worth_showing(groups, most)}
    default = {one["name"] for one in groups if one["kind"] == "default branch"}
    told = []
    for kind, plural in (
        ("workflow", "workflows"),
        ("branch", "branches"),
        ("pull request", "pull requests"),
    ):
        number = sum(
            one["kind"] == kind and id(one) not in shown and not (kind == "branch" and one["name"] in default)
            for one in groups
        )
        if number:
            told.append(f"{number} {kind if number == 1 else plural}")
    return [Text(f"also in the data: {', '.join(told)}", style="dim")] if told else []


def _identity(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return one["kind"], one["repository"], one["path"] or one["name"]


def _name(one: Mapping[str, Any]) -> str:
    if one["kind"] == "overall":
        return "all runs"
    name = one_line(one["name"] or "not known", _LONGEST)
    return f"default branch {name}" if one["kind"] == "default branch" else f"{one['kind']} {name}"


def _percent(one: Mapping[str, Any]) -> str:
    return str(one["state"]) if one["value"] is None else in_words(one["value"], "ratio")


def _points(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return str(one["state"])
    return f"{one['value'] * 100:.1f} points"


def _between(interval: Mapping[str, Any] | None, unit: str) -> str:
    return f"{in_words(interval['low'], unit)} to {in_words(interval['high'], unit)}" if interval else ""


def _of_first(groups: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(groups[0]["first"]["left_out"]) if groups else []


def _notes(left_out: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    if not left_out:
        return []
    told = "; ".join(f"{one['count']} × {one['what']}" for one in left_out)
    return [Text(one_line(f"left out: {told}"), style="dim")]


def _recovery(found: Mapping[str, Any], most: int) -> Table:
    table = _table("time to green", "median", "95 % interval", "mean", "p90", "n", "open", "why")
    lines = [one for one in found["lines"] if one["is_default_branch"]]
    headed = [("default branch, all workflows", found["headline"])]
    headed += [(f"{one_line(one['workflow'], _LONGEST)} on {one['branch']}", one) for one in lines[:most]]
    for name, one in headed:
        _row(
            table, name, _time(one["median"], one["state"]), _between(one["interval"], "s"), _time(one["mean"], ""),
            _time(one["p90"], ""), str(one["n"]), str(len(one["open"])), one["why"],
        )  # fmt: skip
    return table


def _red_still(one: Mapping[str, Any]) -> str:
    least = "" if one["begin_is_known"] else "at least "
    name = one_line(one["workflow"], _LONGEST)
    since = f"red since {one['began']}, {least}{in_words(one['age'], 's')}"
    later = f", green at {one['ended_later']}" if one["ended_later"] else ""
    return f"open: {name} on {one['branch']}, {since} ({_counted(one['failures'], 'failure')}){later}"


def _time(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else in_words(value, "s")


def _times(found: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("time", "p50", "p90", "p95", "n", "why, or what is left out")
    for one in found:
        notes = [one["why"]] if one["why"] else []
        notes += [f"{left['count']} × {left['what']}" for left in one["left_out"]]
        cells = [one["percentiles"][share]["value"] for share in ("p50", "p90", "p95")]
        _row(
            table, _DURATIONS.get(one["measure"], one["measure"]), _time(cells[0], one["state"]), _time(cells[1], ""),
            _time(cells[2], ""), str(one["n"]), "; ".join(notes),
        )  # fmt: skip
    return table


def _flaky(found: Mapping[str, Any], most: int) -> list[RenderableType]:
    listed = [one for one in found["found"] if not one["is_cleared"]]
    cleared = len(found["found"]) - len(listed)
    parts: list[RenderableType] = []
    if listed:
        table = _table("flaky", "how sure", "commits", "fails", "95 % interval", "re-run", "last sign")
        for one in listed[:most]:
            chance = one["probability"]
            cost = "" if one["cost_minutes"] is None else in_words(one["cost_minutes"] * 60, "s")
            _row(
                table, f"{one['unit']} {one_line(one['name'], 2 * _LONGEST)}", one["level"], str(one["commits"]),
                in_words(chance["value"], "ratio"), _between(chance["interval"], "ratio"), cost, one["last_sign"][:10],
            )  # fmt: skip
        parts += [table, *_more(len(listed), most)]
    elif found["why"]:
        parts.append(Text(f"flaky: {found['state']}, {found['why']}"))
    else:
        units = found["units"]
        parts.append(
            Text(f"flaky: no sign in {_counted(units['job'], 'job')} and {_counted(units['test'], 'test')}")
        )
    if cleared:
        parts.append(Text(f"{cleared} no longer flaky: quiet for 14 days and 20 results", style="dim"))
    parts += _notes(found["left_out"])
    reruns = found["reruns"]
    if reruns["value"] is None:
        parts.append(Text(f"re-runs: {reruns['state']}, {reruns['why']}"))
    else:
        told = f"re-runs: {reruns['value']:.0f} min of {_counted(reruns['n'], 'job')}"
        parts.append(Text(f"{told}, {reruns['of_flaky']:.0f} min of them flaky jobs again"))
    return parts


def _more(number: int, most: int) -> list[RenderableType]:
    return [Text(f"and {number - most} more", style="dim")] if number > most else []


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
