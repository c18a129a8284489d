"""``ci workflow``: the workflows for GitHub Actions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from achievement_collector.cli import options


def add_to(ci_app: typer.Typer) -> None:
    ci_app.command("workflow")(ci_workflow)


def ci_workflow(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]",
            help="The repository; default: GIT_REPO_PATH, else this folder.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="One of achievement-tracker, ci-intelligence-report, notion-roadmap-sync.",
            show_default=False,
        ),
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print, write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write the workflows for GitHub Actions: measure changes, report on CI, keep Notion up to date."""
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.workflow_files import (
        NAMES,
        unwatched_workflows,
        workflow_for,
        write_workflows,
    )

    repository = path or Path(options.settings(None).repository or ".")
    names = NAMES if only is None else (only.removesuffix(".yml"),)
    unwatched = unwatched_workflows(repository) if "ci-intelligence-report" in names else ()
    if only_print:
        for name in names:
            if len(names) > 1:
                typer.echo(f"# --- .github/workflows/{name}.yml")
            typer.echo(workflow_for(repository, name), nl=False)
    else:
        for written in write_workflows(repository, force=force, names=names):
            typer.echo(one_line(f"written: {written}"))
    for told in unwatched:
        typer.echo(one_line(told), err=True)
    if only_print:
        return
    if "achievement-tracker" in names:
        typer.echo("put your own build and tests into achievement-tracker.yml, at (2)")
    typer.echo("the first lines of each say what it needs; without that it does nothing")
