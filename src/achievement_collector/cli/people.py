"""``people``: who is who."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from achievement_collector.cli import options

_Someone = Annotated[str, typer.Argument(help="A name, an address or an id.")]


def add_to(app: typer.Typer) -> None:
    people = typer.Typer(help="Who is who: list, suggest, merge, split, undo.", no_args_is_help=True)
    people.command("list")(list_)
    people.command()(suggest)
    people.command()(merge)
    people.command()(split)
    people.command()(undo)
    app.add_typer(people, name="people")


def list_(
    text: Annotated[str | None, typer.Argument(help="Only who matches this.", show_default=False)] = None,
    bots: Annotated[bool, typer.Option("--bots", help="Bots and AI agents as well.")] = False,
    aliases: Annotated[bool, typer.Option("--aliases", help="Every name and address they used.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many; 0 for all.")] = 30,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Everybody known, those with most achievements first. This is a directory, not a ranking."""
    from achievement_collector.services.people import known_people

    entries = known_people(options.open_existing(database), text, bots=bots)
    if as_json:
        import json

        typer.echo(json.dumps([one._asdict() for one in entries], indent=2, ensure_ascii=False))
        return
    from rich.table import Table
    from rich.text import Text

    from achievement_collector.present.printable import one_line
    from achievement_collector.present.terminal import console

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("id", "name", "address", "achievements", "commits", "kind"):
        table.add_column(
            column, justify="right" if column in ("achievements", "commits") else "left", no_wrap=True
        )
    for one in entries[: limit or None]:
        table.add_row(
            Text(one.id, style="cyan"), Text(one_line(one.name)), Text(one_line(one.email)), f"{one.achievements:,}",
            f"{one.commits:,}", one.kind,
        )  # fmt: skip
        if aliases:
            for alias in one.aliases:
                table.add_row("", Text("  " + one_line(alias), style="dim"), "", "", "", "")
    screen = console()
    screen.print(table)
    if limit and len(entries) > limit:
        screen.print(f"… and {len(entries) - limit:,} more (--limit 0 shows all)")


def suggest(
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many; 0 for all.")] = 30,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """People who may be one: the same name under different addresses. Nothing is joined without you."""
    from achievement_collector.services.people import suggestions

    found = suggestions(options.open_existing(database))
    if as_json:
        import json

        rows = [{"first": s.first._asdict(), "second": s.second._asdict(), "reason": s.reason} for s in found]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from achievement_collector.present.printable import one_line
    from achievement_collector.present.terminal import console

    screen = console()
    for one in found[: limit or None]:
        first = f"{one.first.name} <{one.first.email}>"
        second = f"{one.second.name} <{one.second.email}>"
        screen.print(one_line(f"{first}  and  {second}: {one.reason}"))
        screen.print(f"  achievement-collector people merge {one.first.id} {one.second.id}")
    if not found:
        screen.print("nobody looks like somebody else")
    elif limit and len(found) > limit:
        screen.print(f"… and {len(found) - limit:,} more (--limit 0 shows all)")


def merge(first: _Someone, second: _Someone, database: options.Database = None) -> None:
    """Say that two people are one."""
    from achievement_collector.services.people import merge_people

    typer.echo(
        merge_people(
            options.open_existing(database), first, second, options.settings(database), int(time.time())
        )
    )


def split(
    signature: Annotated[str, typer.Argument(help='What is somebody else: an address, or "Name <address>".')],
    database: options.Database = None,
) -> None:
    """Say that a name or address belongs to somebody else than it was joined to."""
    from achievement_collector.services.people import split_people

    typer.echo(
        split_people(options.open_existing(database), signature, options.settings(database), int(time.time()))
    )


def undo(database: options.Database = None) -> None:
    """Take the last merge or split back; again for the one before."""
    from achievement_collector.services.people import undo_last

    typer.echo(undo_last(options.open_existing(database), options.settings(database)))
