"""``kpi``: what Prometheus measures, its milestones and its shifts."""

from __future__ import annotations

from typing import Annotated

import typer

from achievement_collector.cli import options
from achievement_collector.cli.progress import LineProgress

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The KPI's name.")]


def add_to(app: typer.Typer) -> None:
    kpi = typer.Typer(
        help="Key performance indicators: list, show, scrape, milestone, status.", no_args_is_help=True
    )
    kpi.command("list")(list_)
    kpi.command()(show)
    kpi.command()(scrape)
    kpi.command()(milestone)
    kpi.command()(status)
    app.add_typer(kpi, name="kpi")


def list_(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show all KPIs: the last value, the target, what is usual, milestones and shifts."""
    from achievement_collector.services.kpi_views import list_kpis

    found = list_kpis(options.open_existing(database), options.settings(database))
    if as_json:
        _print(found)
        return
    from achievement_collector.present.kpi_terminal import kpis_table
    from achievement_collector.present.terminal import console

    console().print(kpis_table(found))


def show(name: _Name, as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show a KPI: its series, every shift with what came at the time, its milestones."""
    from achievement_collector.services.kpi_views import show_kpi

    found = show_kpi(options.open_existing(database), options.settings(database), name)
    if as_json:
        _print(found)
        return
    from achievement_collector.present.kpi_terminal import kpi_in_full
    from achievement_collector.present.terminal import console

    console().print(kpi_in_full(found))


def scrape(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these KPIs.", show_default=False)
    ] = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Ask Prometheus for every KPI now, with the history since the last time."""
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.kpi_views import milestone_data
    from achievement_collector.services.kpis import scrape as ask
    from achievement_collector.services.live import bring_up_to_date

    settings = options.settings(database)
    ledger = open_ledger(settings.database)
    with LineProgress("Prometheus") as progress:
        done = ask(ledger, settings, now_ms(), names=names or (), progress=progress)
    bring_up_to_date(ledger, settings, now_ms)
    if as_json:
        _print(
            {
                "kpis": done.kpis, "series": done.series, "samples": done.samples, "left_out": done.left_out,
                "not_measured": done.empty, "failures": done.failures, "warnings": done.warnings,
                "milestones": [milestone_data(one) for one in done.milestones],
            }
        )  # fmt: skip
        return
    from achievement_collector.present.kpi_terminal import scrape_in_words

    for line in scrape_in_words(done):
        typer.echo(line)


def milestone(
    name: _Name,
    value: Annotated[float, typer.Argument(help="The value that was reached.")],
    target: Annotated[float, typer.Option(help="The target.")],
    lower: Annotated[bool, typer.Option("--lower", help="Lower values are better.")] = False,
    unit: Annotated[str | None, typer.Option(help="Such as s, ratio, $.", show_default=False)] = None,
    by: Annotated[str, typer.Option("--by", help="Who states it.", show_default=False)] = "",
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """State a value of a KPI; it is a milestone where it reaches the target and is 10 % better than the one before."""
    from achievement_collector.facts.kpis import Direction
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.kpi_statements import track_milestone
    from achievement_collector.services.kpi_views import milestone_data
    from achievement_collector.services.live import bring_up_to_date

    settings = options.settings(database)
    ledger = open_ledger(settings.database)
    done = track_milestone(
        ledger, settings, name, value, target, now_ms(), direction=Direction.LOWER if lower else None, unit=unit, told_by=by
    )  # fmt: skip
    bring_up_to_date(ledger, settings, now_ms)
    told = milestone_data(done.milestone) if done.milestone else None
    if as_json:
        _print({"milestone": told, "reason": done.why})
    elif told:
        typer.echo(f"{told['achievement_id']}  {told['title']}")
    else:
        typer.echo(f"recorded, no milestone: {done.why}")


def status(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show when Prometheus was asked, and what it could not tell."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.kpis import prometheus_status

    found = prometheus_status(options.open_existing(database), options.settings(database), now_ms())
    if as_json:
        _print(found)
        return
    from achievement_collector.present.kpi_terminal import status_in_words

    for line in status_in_words(found):
        typer.echo(line)


def _print(data: object) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
