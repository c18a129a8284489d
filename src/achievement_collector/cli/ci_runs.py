"""``ci runs`` and ``ci log``: what CI ran, and what its failed jobs wrote."""

from __future__ import annotations

from typing import Annotated

import typer

from achievement_collector.cli import options


def add_to(ci: typer.Typer) -> None:
    ci.command("runs")(runs)
    ci.command("log")(log)


def runs(
    repository: options.Repository = None,
    branch: Annotated[str | None, typer.Option(help="Only of this branch.", show_default=False)] = None,
    red: Annotated[bool, typer.Option("--red", help="Only what failed, timed out or did not start.")] = False,
    since: options.Since = None,
    until: options.Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 30,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show the attempts of workflow runs that are stored, newest first."""
    from achievement_collector.services.ci_runs import list_runs, runs_json
    from achievement_collector.services.clock import now_ms

    begin, end = options.window(since, until, now_ms())
    page = list_runs(
        options.open_existing(database), repository=repository, branch=branch, only_red=red, since=begin, until=end,
        limit=limit,
    )  # fmt: skip
    if as_json:
        typer.echo(runs_json(page))
        return
    if not page.attempts:
        typer.echo("no such run of CI is known; sync github, or webhooks of workflow runs, bring them")
        return
    from achievement_collector.present.ci_runs_terminal import runs_in_numbers, runs_table
    from achievement_collector.present.terminal import console

    console().print(runs_table(page.attempts))
    typer.echo(runs_in_numbers(page.counts))


def log(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, key or address.")],
    database: options.Database = None,
) -> None:
    """Print the stored log of a failed job, without what looked like secrets."""
    from achievement_collector.errors import NotFoundError
    from achievement_collector.present.printable import one_line, printable
    from achievement_collector.services.ci_runs import job_and_log, why_no_log

    found, kept = job_and_log(options.open_existing(database), job)
    if kept is None or not kept.is_kept:
        raise NotFoundError(one_line(why_no_log(found, kept)))
    if not kept.text.strip():
        typer.echo(f"the log of job {found.id} is empty", err=True)
    typer.echo(printable(kept.text), nl=not kept.text.endswith("\n"))
    if kept.cut or kept.masked:
        typer.echo(f"{kept.cut:,} bytes were left out, {kept.masked:,} places masked", err=True)
