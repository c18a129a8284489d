"""``sync``: asking outside systems for what is new."""

from __future__ import annotations

from typing import Annotated

import typer

from achievement_collector.cli import options, two_way
from achievement_collector.cli.progress import LineProgress, conclude, tell


def add_to(app: typer.Typer) -> None:
    sync = typer.Typer(
        help="Ask outside systems for what is new: github, linear, mlflow, posts; conflicts with Notion.",
        no_args_is_help=True,
    )
    sync.command()(github)
    sync.command()(linear)
    sync.command()(mlflow)
    sync.command()(posts)
    two_way.add_conflicts_to(sync)
    app.add_typer(sync, name="sync")


def github(
    repositories: Annotated[
        list[str] | None,
        typer.Argument(metavar="OWNER/REPO", help="Default: GITHUB_REPOSITORIES.", show_default=False),
    ] = None,
    database: options.Database = None,
) -> None:
    """Bring pull requests, reviews, issues, runs, deployments and releases of repositories up to date."""
    from achievement_collector.errors import ConfigurationError
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.ci_failures import explain_failures
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.fixes import verify_fixes
    from achievement_collector.services.polling import poll_github

    in_force = options.settings(database)
    chosen = repositories or list(in_force.github_repositories)
    if not chosen:
        raise ConfigurationError("name a repository (OWNER/REPO), or set GITHUB_REPOSITORIES")
    ledger = open_ledger(in_force.database)
    for repository in chosen:
        with LineProgress(repository) as progress:
            done = poll_github(ledger, in_force, repository, now_ms(), progress)
        tell(repository, done)
        if done.is_more_waiting:
            typer.echo(f"{repository}: more jobs and logs of CI wait for the next sync")
    failure = conclude(ledger, in_force)
    explain_failures(ledger, in_force, now_ms())
    verify_fixes(ledger, now_ms())
    if failure:
        raise failure


def linear(database: options.Database = None) -> None:
    """Bring issues, projects and initiatives of Linear up to date, and link pull requests back there."""
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.present.wording import plural
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.linking_back import link_back
    from achievement_collector.services.polling import poll_linear

    in_force = options.settings(database)
    ledger = open_ledger(in_force.database)
    with LineProgress("Linear") as progress:
        done = poll_linear(ledger, in_force, now_ms(), progress)
    tell("Linear", done)
    failure = conclude(ledger, in_force)
    done_back = link_back(ledger, in_force, now_ms())
    linked = done_back.linked
    if linked:
        typer.echo(
            f"Linear: {plural(linked, 'pull request')} linked to {'its issue' if linked == 1 else 'their issues'}"
        )
    for told in done_back.failures:
        typer.echo(f"Linear: {told}", err=True)
    if failure:
        raise failure


def mlflow(database: options.Database = None) -> None:
    """Bring runs and model versions of MLflow (MLFLOW_TRACKING_URI) up to date."""
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.polling import poll_mlflow

    in_force = options.settings(database)
    ledger = open_ledger(in_force.database)
    with LineProgress("MLflow") as progress:
        done = poll_mlflow(ledger, in_force, now_ms, progress)
    tell("MLflow", done)
    if failure := conclude(ledger, in_force):
        raise failure


def posts(database: options.Database = None) -> None:
    """Ask for posts and their figures (THREADS_ADAPTOR_URL, ORCHESTRATOR_URL)."""
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.present.wording import plural
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.polling import poll_content

    in_force = options.settings(database)
    ledger = open_ledger(in_force.database)
    done = poll_content(ledger, in_force, now_ms())
    typer.echo(
        f"{plural(done.posts, 'post')}: {done.created} created, {done.updated} updated, {done.unchanged} unchanged, "
        f"{done.skipped} skipped"
    )
    if failure := conclude(ledger, in_force):
        raise failure
