"""KPIs on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from achievement_collector.derive.quantities import difference, quantity
from achievement_collector.present.printable import one_line
from achievement_collector.present.wording import plural


def kpis_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each KPI."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    is_stated = any(one["stated"] for one in found)
    for column in (
        "KPI",
        "last",
        *(["stated"] if is_stated else []),
        "target",
        "usual",
        "milestones",
        "shifts",
        "measured",
    ):
        table.add_column(column, no_wrap=column not in ("usual", "last"), overflow="ellipsis")
    for one in found:
        usual, last = one["dynamic_threshold"], one["last"]
        cells = [
            one["name"], last["text"] + _of_series(last) if last else "not measured",
            *([one["stated"]["text"] if one["stated"] else "–"] if is_stated else []), _target(one),
            _usual(usual) if usual else "by series" if one["series"] > 1 else "–",
            str(one["milestones"] or "–"), str(one["shifts"] or "–"), last["at"][:16].replace("T", " ") if last else "–",
        ]  # fmt: skip
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def kpi_in_full(one: Mapping[str, Any]) -> RenderableType:
    """Everything that is known of a KPI."""
    parts: list[RenderableType] = [
        Text(one_line(one["title"]), style="bold"),
        Text(one_line(f"{one['name']}, {one['direction']} is better"), style="cyan"),
        Text(
            one_line(
                f"target {_target(one)}; last "
                + (one["last"]["text"] + _of_series(one["last"]) if one["last"] else "not measured")
            )
        ),
    ]
    if one["stated"]:
        parts.append(Text(one_line(f"stated {one['stated']['text']} on {one['stated']['at'][:10]}")))
    if one["query"]:
        parts.append(Text(one_line(one["query"]), style="dim"))
    if not one["series_found"]:
        parts += [Text(""), Text("nothing was measured")]
    for series in one["series_found"]:
        parts += [
            Text(""),
            Text(one_line(series["name"]), style="bold"),
            Text(
                one_line(
                    f"{series['samples']:,} samples, {series['from'] or '–'} to {series['to'] or '–'}{_apart(series)}"
                )
            ),
            Text(one_line(f"usual: {_usual(series['dynamic_threshold'])}")),
            Text(one_line(f"shifts: {series['told']}")),
        ]
    for shift in one["shifts_found"]:
        unit = shift["unit"]
        low_high = shift["interval"]
        interval = (
            f"95 % interval {difference(low_high[0], unit)} to {difference(low_high[1], unit)}, "
            if low_high
            else ""
        )
        parts += [
            Text(""),
            Text(
                one_line(f"{shift['at'][:16].replace('T', ' ')}  {shift['text']}"),
                style=_STYLES[shift["standing"]],
            ),
            Text(one_line(f"{shift['standing']}; {interval}p = {shift['p_value']:.2g}; {shift['method']}")),
            Text(one_line(shift["attribution"]["text"])),
        ]
    if one["milestones_recorded"]:
        parts += [Text(""), Text("milestones", style="bold")]
        parts += [
            Text(one_line(f"{told['metrics']['at'][:16].replace('T', ' ')}  {told['description']}"))
            for told in one["milestones_recorded"]
        ]
    return Group(*parts)


_STYLES = {"better": "green", "worse": "red", "unclear": "yellow"}


def scrape_in_words(done: Any) -> Iterator[str]:
    """What a scrape brought, line by line."""
    yield (
        f"{plural(done.kpis, 'KPI')} asked for: {plural(done.series, 'series', 'series')}, "
        f"{plural(done.samples, 'new sample')}, {plural(len(done.milestones), 'milestone')}"
    )
    for one in done.milestones:
        yield one_line(
            f"milestone: {one.title} {quantity(one.value, one.unit)}, target {quantity(one.target, one.unit)}"
        )
    if done.empty:
        yield one_line(f"not measured (Prometheus has no value): {', '.join(done.empty)}")
    if done.left_out:
        yield f"{plural(done.left_out, 'value')} that {'is' if done.left_out == 1 else 'are'} no number left out"
    for name, why in done.failures.items():
        yield one_line(f"{name}: {why}")
    for name, told in done.warnings.items():
        yield one_line(f"{name}: Prometheus warns: {'; '.join(told)}")


def status_in_words(found: Mapping[str, Any]) -> Iterator[str]:
    """The state of scraping, line by line."""
    yield f"Prometheus: {found['status']}" + (
        f" ({one_line(found['prometheus_url'])})" if found["prometheus_url"] else ""
    )
    last, following = found["last_scrape"] or "never", found["next_scrape"] or "never"
    yield f"every {found['scrape_interval_hours']} hours; last {last}, next {following}"
    for name in found["metrics_tracked"]:
        last, target = found["last_values"][name], found["thresholds"][name]
        told = f"{last['value']:g}{_of_series(last)} at {last['at']}" if last else "not measured"
        yield one_line(f"  {name}: {told}" + (f", target {target:g}" if target is not None else ""))
    for name, why in found["failures"].items():
        yield one_line(f"failed: {name}: {why}")


def _apart(series: Mapping[str, Any]) -> str:
    """Why there are fewer samples than hours."""
    return f", {series['every']} apart: so far its query looks back" if series["every"] else ""


def _of_series(last: Mapping[str, Any]) -> str:
    """Which series a value is of, where there are several."""
    return f" ({last['series']}, the worst of {last['of_series']})" if last["of_series"] > 1 else ""


def _target(one: Mapping[str, Any]) -> str:
    if one["target"] is None:
        return "none"
    limit = "at least" if one["direction"] == "higher" else "at most"
    return f"{limit} {quantity(one['target'], one['unit'])}"


def _usual(told: Mapping[str, Any]) -> str:
    if told["usual"] is None:
        return str(told["told"])
    (low, high), unit = told["usual"], told["unit"]
    return f"{quantity(low, unit)} to {quantity(high, unit)} (n={told['n']})"
