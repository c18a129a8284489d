"""``config``: which settings are in force, where each came from, and whether a file is right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from achievement_collector.cli import options


def add_to(app: typer.Typer) -> None:
    config = typer.Typer(help="The settings: show, check.", no_args_is_help=True)
    config.command()(show)
    config.command()(check)
    app.add_typer(config, name="config")


def show(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show every setting with where it came from; secrets are hidden."""
    from achievement_collector.config import explain_settings, find_file

    in_force = explain_settings(database)
    path = find_file(os.environ)
    if as_json:
        import json

        data = {"file": str(path) if path else None, "settings": [one._asdict() for one in in_force]}
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from rich.table import Table
    from rich.text import Text

    from achievement_collector.present.printable import one_line
    from achievement_collector.present.terminal import console

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("key", "value", "from"):
        longest = max(len(one.key) for one in in_force) if column == "key" else None
        table.add_column(column, no_wrap=column == "key", overflow="fold", min_width=longest)
    for one in in_force:
        style = "dim" if one.origin == "default" else ""
        table.add_row(
            Text(one.key, style="cyan"),
            Text(one_line(_in_words(one.value)), style=style),
            Text(one_line(one.origin), style=style),
        )
    console().print(table)


def check(
    file: Annotated[
        Path | None,
        typer.Argument(help="The file; default: the one in force, and the environment.", show_default=False),
    ] = None,
) -> None:
    """Check a configuration file: exit code 0 where it is right, 2 with a line for each mistake."""
    from achievement_collector.config import find_file, load_settings, usual_files
    from achievement_collector.errors import ConfigurationError
    from achievement_collector.present.printable import printable

    try:
        path = file or find_file(os.environ)
        # a file that is named is judged by itself
        load_settings(environment={} if file else os.environ, file=path)
    except ConfigurationError as error:
        typer.echo(printable(str(error)), err=True)
        raise typer.Exit(2) from None
    if path:
        typer.echo(f"{path} is right")
    else:
        looked = " and ".join(str(one) for one in usual_files())
        typer.echo(f"there is no file, so the defaults hold (looked for {looked})")


def _in_words(value: Any) -> str:
    if value is None or value in ([], {}):
        return "–"
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(value)
        case dict():
            return ", ".join(f"{name} = {key}" for name, key in value.items())
        case _:
            return str(value)
