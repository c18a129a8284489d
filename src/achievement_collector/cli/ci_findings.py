"""``ci health``, ``ci failures`` and ``ci explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from achievement_collector.cli import options
from achievement_collector.errors import ConfigurationError

if TYPE_CHECKING:
    from achievement_collector.config import Settings
    from achievement_collector.ledger.store import Ledger


def add_to(ci: typer.Typer) -> None:
    ci.command()(health)
    ci.command()(failures)
    ci.command()(explain)


def health(
    repository: options.Repository = None,
    since: options.Since = None,
    until: options.Until = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show pass rates, time to green, durations, flakiness and trends; of the last 28 days unless told otherwise."""
    from achievement_collector.services.ci_health import health_of
    from achievement_collector.services.clock import now_ms

    now = now_ms()
    begin, end = options.window(since, until, now)
    found = health_of(options.open_existing(database), repository, now, begin, min(end, now) if end else None)
    if as_json:
        _print(found)
        return
    from achievement_collector.present.ci_terminal import health_in_full
    from achievement_collector.present.terminal import console

    console().print(health_in_full(found))


def failures(
    repository: options.Repository = None,
    since: options.Since = None,
    until: options.Until = None,
    category: Annotated[
        str | None, typer.Option(help="Only this category, such as test.", show_default=False)
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Those that no rule explains, in full, and how to name them.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many clusters.")] = 20,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show why jobs failed: failures with one signature together, those with most of them first."""
    from achievement_collector.services.ci_failures import clusters_of
    from achievement_collector.services.clock import now_ms

    now = now_ms()
    begin, end = options.window(since, until, now)
    if unknown:
        if category not in (None, "unknown"):
            raise ConfigurationError("give --unknown or --category, not both")
        _unknown(
            options.open_existing(database),
            options.settings(database),
            now,
            repository,
            begin,
            end,
            limit,
            as_json,
        )
        return
    found = clusters_of(
        options.open_existing(database), options.settings(database), now, repository=repository, since=begin, until=end,
        category=category,
    )[:limit]  # fmt: skip
    if as_json:
        _print(found)
        return
    from achievement_collector.present.ci_findings_terminal import clusters_table
    from achievement_collector.present.terminal import console

    console().print(clusters_table(found))
    if any(one["category"] == "unknown" for one in found):
        typer.echo("what no rule explains in full, and how to name it: ci failures --unknown")
    if not found:
        asked = any(one is not None for one in (repository, since, until, category))
        typer.echo("no failed job is known for what was asked" if asked else "no failed job is known")


def _unknown(
    ledger: Ledger, settings: Settings, now: int, repository: str | None, since: int | None, until: int | None, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    from achievement_collector.services.ci_failures import unknown_failures

    found = unknown_failures(ledger, settings, now, repository=repository, since=since, until=until)
    if as_json:
        _print({**found, "clusters": found["clusters"][:limit]})
        return
    from achievement_collector.present.ci_findings_terminal import unknown_in_full
    from achievement_collector.present.printable import printable
    from achievement_collector.present.terminal import console

    if not found["clusters"]:
        typer.echo(f"no failure without an explanation is known, of {found['of']} failed jobs")
        return
    console().print(unknown_in_full(found, limit))
    if found["draft"]:
        typer.echo(f"\n{printable(found['draft'])}", nl=False)


def explain(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id or address.")],
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Explain a failed job: category, evidence lines, and whether it was seen before."""
    from achievement_collector.services.ci_failures import explained_job
    from achievement_collector.services.clock import now_ms

    found = explained_job(options.open_existing(database), options.settings(database), job, now_ms())
    if as_json:
        _print(found)
        return
    from achievement_collector.present.ci_findings_terminal import failure_in_full
    from achievement_collector.present.terminal import console

    console().print(failure_in_full(found))


def _print(data: object) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
