"""``hook``: record each commit as it is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from achievement_collector.cli import options

if TYPE_CHECKING:
    from achievement_collector.services.hooks import HookState

_Where = Annotated[
    Path | None,
    typer.Argument(
        metavar="[PATH]", help="The repository; default: GIT_REPO_PATH, else this folder.", show_default=False
    ),
]


def add_to(app: typer.Typer) -> None:
    hook = typer.Typer(
        help="A post-commit hook that records each commit as it is made.", no_args_is_help=True
    )
    hook.command()(install)
    hook.command()(uninstall)
    hook.command()(status)
    app.add_typer(hook, name="hook")


def install(
    path: _Where = None,
    force: Annotated[bool, typer.Option("--force", help="Also into a hooks folder that is shared.")] = False,
    database: options.Database = None,
) -> None:
    """Install the hook; one that is there already goes on running."""
    from achievement_collector.services import hooks

    _tell(hooks.install(_repository(path), database, force=force))


def uninstall(path: _Where = None) -> None:
    """Take the hook away; what was there before is put back."""
    from achievement_collector.services import hooks

    _tell(hooks.uninstall(_repository(path)))


def status(path: _Where = None) -> None:
    """Whether the hook is installed, and whether it works."""
    from achievement_collector.services import hooks

    _tell(hooks.status(_repository(path)))


def _repository(path: Path | None) -> Path:
    return path or Path(options.settings(None).repository or ".")


def _tell(state: HookState) -> None:
    from achievement_collector.present.printable import one_line

    if state.is_installed:
        beside = "; the hook that was there before runs as well" if state.other else ""
        typer.echo(one_line(f"installed: {state.path}{beside}"))
    else:
        beside = "; another hook is there" if state.other else ""
        typer.echo(one_line(f"not installed: {state.path}{beside}"))
    if state.problem:
        typer.echo(one_line(state.problem), err=True)
        raise typer.Exit(1)
