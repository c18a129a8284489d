"""``epic``: epics as they grow."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from achievement_collector.cli import options

_Key = Annotated[str, typer.Argument(metavar="KEY", help="The epic's key, such as E5.1.")]
_Pull = Annotated[str, typer.Argument(metavar="PULL", help="OWNER/REPO#12, or its address.")]


def add_to(app: typer.Typer) -> None:
    epic = typer.Typer(
        help="Epics: list, show, log, start, complete, reopen, link, unlink.", no_args_is_help=True
    )
    epic.command("list")(list_)
    epic.command()(show)
    epic.command()(log)
    epic.command()(start)
    epic.command()(complete)
    epic.command()(reopen)
    epic.command()(link)
    epic.command()(unlink)
    app.add_typer(epic, name="epic")


def list_(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show all epics, those that changed last first."""
    from achievement_collector.ledger.epics import stored_epics

    with options.open_existing(database).read() as connection:
        found = stored_epics(connection)
    from achievement_collector.services.epics import epic_data

    if as_json:
        import json

        typer.echo(json.dumps([epic_data(one) for one in found], indent=2, ensure_ascii=False))
        return
    from achievement_collector.present.epic_terminal import epics_table
    from achievement_collector.present.terminal import console

    console().print(epics_table([epic_data(one) for one in found]))
    if not found:
        typer.echo("there are no epics; start one with: achievement-collector epic start E1 --title ...")


def show(key: _Key, as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show an epic as it stands: timeline, deliverables, metrics, evidence, milestones."""
    from achievement_collector.ledger.epics import events_of
    from achievement_collector.services.epics import epic_data, find_epic

    with options.open_existing(database).read() as connection:
        epic = find_epic(connection, key)
        events = events_of(connection, epic.key)
    if as_json:
        import json

        typer.echo(json.dumps(epic_data(epic, events), indent=2, ensure_ascii=False))
        return
    from achievement_collector.present.epic_terminal import epic_in_full
    from achievement_collector.present.terminal import console

    console().print(epic_in_full(epic_data(epic, events)))


def log(
    key: _Key,
    changes: Annotated[bool, typer.Option("--changes", help="Every value that each event changed.")] = False,
    database: options.Database = None,
) -> None:
    """Show how an epic grew: every event, and what it changed."""
    from achievement_collector.ledger.epics import events_of
    from achievement_collector.present.epic_terminal import events_log
    from achievement_collector.present.terminal import console
    from achievement_collector.services.epics import epic_data, find_epic

    with options.open_existing(database).read() as connection:
        epic = find_epic(connection, key)
        events = epic_data(epic, events_of(connection, epic.key))["events"]
    console().print(events_log(events, with_changes=changes), soft_wrap=True)


def start(
    key: _Key,
    title: Annotated[str, typer.Option(help="What it is called.", show_default=False)] = "",
    description: Annotated[str, typer.Option(help="What it is about.", show_default=False)] = "",
    database: options.Database = None,
) -> None:
    """Start an epic by hand, for teams without Linear; or give one another title."""
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.epics import start_epic

    in_force = options.settings(database)
    ledger = open_ledger(in_force.database)
    _settle(ledger, in_force, start_epic(ledger, key, title, description, _now()))


def complete(key: _Key, database: options.Database = None) -> None:
    """Complete an epic by hand, whatever the conditions say; its final versions are made at once."""
    _complete(key, True, database)


def reopen(key: _Key, database: options.Database = None) -> None:
    """Take a completion by hand back."""
    _complete(key, False, database)


def link(key: _Key, pull: _Pull, database: options.Database = None) -> None:
    """Say that a pull request belongs to an epic; that stays, whatever is told later."""
    _link(key, pull, True, database)


def unlink(key: _Key, pull: _Pull, database: options.Database = None) -> None:
    """Say that a pull request does not belong to an epic; that stays, whatever is told later."""
    _link(key, pull, False, database)


def _complete(key: str, is_complete: bool, database: str | None) -> None:
    from achievement_collector.services.epics import complete_epic

    in_force = options.settings(database)
    ledger = options.open_existing(database)
    _settle(ledger, in_force, complete_epic(ledger, key, is_complete, _now()))


def _link(key: str, pull: str, belongs: bool, database: str | None) -> None:
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.epics import link_by_hand

    in_force = options.settings(database)
    ledger = options.open_existing(database)
    epic, is_new = link_by_hand(ledger, key, pull, belongs, _now())
    if is_new:
        typer.echo(one_line(f"{epic}: started"))
    _settle(ledger, in_force, epic)


def _settle(ledger: object, in_force: object, key: str) -> None:
    """Brings everything up to date and tells how the epic stands."""
    from achievement_collector.config import Settings
    from achievement_collector.errors import NotConcludedError
    from achievement_collector.ledger.epics import stored_epic
    from achievement_collector.ledger.store import Ledger
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.live import bring_up_to_date

    assert isinstance(ledger, Ledger)
    assert isinstance(in_force, Settings)
    failure = None
    try:
        bring_up_to_date(ledger, in_force, _now)
    except NotConcludedError as error:
        failure = error
    with ledger.read() as connection:
        epic = stored_epic(connection, key)
    if epic is None:
        typer.echo(f"{key}: nothing belongs to it")
    elif epic.state == "completed":
        typer.echo(one_line(f"{epic.key}: final, revision {epic.revision}, sha256 {epic.content_hash[:12]}"))
    elif epic.state == "withdrawn":
        typer.echo(one_line(f"{epic.key}: {'; '.join(epic.unmet)}"))
    else:
        missing = f"; to be complete: {'; '.join(epic.unmet)}" if epic.unmet else ""
        typer.echo(one_line(f"{epic.key}: {epic.state}{missing}"))
    if failure:
        raise failure


def _now() -> int:
    return time.time_ns() // 1_000_000
