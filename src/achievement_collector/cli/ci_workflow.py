"""``ci workflow``: the workflow for GitHub Actions."""

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
    only_print: Annotated[bool, typer.Option("--print", help="Print it, write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the workflow for GitHub Actions that measures changes and hands the measures in."""
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.workflow_files import workflow_for, write_workflow

    repository = path or Path(options.settings(None).repository or ".")
    if only_print:
        typer.echo(workflow_for(repository), nl=False)
        return
    typer.echo(one_line(f"written: {write_workflow(repository, force=force)}"))
    typer.echo("put your own build and tests into it, at (2); its first lines say what it needs")
