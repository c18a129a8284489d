"""``serve``, ``track``, ``inbox`` and ``token``: live collection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from achievement_collector.cli import options
from achievement_collector.cli.progress import conclude


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(track)
    inbox = typer.Typer(help="Deliveries of webhooks: list, show, retry.", no_args_is_help=True)
    inbox.command("list")(inbox_list)
    inbox.command("show")(inbox_show)
    inbox.command("retry")(inbox_retry)
    app.add_typer(inbox, name="inbox")
    token = typer.Typer(help="Tokens of the API: create, list, revoke.", no_args_is_help=True)
    token.command("create")(token_create)
    token.command("list")(token_list)
    token.command("revoke")(token_revoke)
    app.add_typer(token, name="token")


def _needs_server_packages() -> None:
    from importlib.util import find_spec

    from achievement_collector.errors import ConfigurationError

    # looked for, not imported: the server does not need all of them, and its worker is to be started first
    if not all(find_spec(name) for name in ("dbos", "fastapi", "uvicorn")):
        raise ConfigurationError("this needs more packages: pip install 'achievement-collector[server]'")


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    database: options.Database = None,
) -> None:
    """Take in webhooks, serve the API, and keep epics and achievements up to date."""
    _needs_server_packages()
    import signal

    from achievement_collector.api.server import serve as run

    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ends by itself
    run(options.settings(database), host, port)


def track(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Repositories to watch; default: GIT_REPO_PATH, else this folder.", show_default=False
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One round, then stop.")] = False,
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two looks at git.")] = 30.0,
    database: options.Database = None,
) -> None:
    """Watch git, GitHub and Linear without a server: what is new is recorded until you stop it."""
    _needs_server_packages()
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.workflows.tracking import Tracker

    in_force = options.settings(database)
    chosen = paths or ([Path(in_force.repository)] if in_force.repository else [Path()])
    tracker = Tracker(
        open_ledger(in_force.database), in_force, chosen, interval, lambda told: typer.echo(told, err=True)
    )
    tracker.once() if once else tracker.run()


def _now() -> int:
    return time.time_ns() // 1_000_000


# --- inbox -------------------------------------------------------------------------------------------


def inbox_list(
    state: Annotated[
        str | None, typer.Option(help="Only waiting, processed, not_relevant or failed.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Only github, linear or deployments.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 30,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show what came in, newest first, and what became of it."""
    from achievement_collector.derive.epics import iso
    from achievement_collector.ledger import inbox
    from achievement_collector.services.intake import list_deliveries

    ledger = options.open_existing(database)
    found = list_deliveries(ledger, state=state, source=source, limit=limit)
    with ledger.read() as connection:
        counts = inbox.depth(connection).counts
    if as_json:
        import json

        listed = [
            {**one._asdict(), "body": None, "received": iso(one.received), "processed": iso(one.processed)}
            for one in found
        ]
        typer.echo(json.dumps({"counts": counts, "deliveries": listed}, indent=2, ensure_ascii=False))
        return
    from rich.table import Table
    from rich.text import Text

    from achievement_collector.present.printable import one_line
    from achievement_collector.present.terminal import console

    columns = ("id", "received", "source", "event", "state", "what became of it")
    rows = [
        [
            one_line(cell)
            for cell in (str(one.id), iso(one.received) or "", one.source, one.event, one.state, one.told)
        ]
        for one in found
    ]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    widest = [max(len(cells[place]) for cells in [list(columns), *rows]) + 2 for place in range(len(columns))]
    screen = console()
    screen.width = max(
        screen.width, sum(widest[:-1]) + 10
    )  # what is copied is never cut, what is told may be
    for place, column in enumerate(columns):
        is_last = place == len(columns) - 1
        room = min(widest[place] - 2, screen.width - sum(widest[:-1])) if is_last else widest[place] - 2
        table.add_column(column, no_wrap=True, overflow="ellipsis", width=max(room, 1))
    for cells in rows:
        table.add_row(*(Text(cell) for cell in cells))
    screen.print(table)
    screen.print(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))


def inbox_show(
    number: Annotated[int, typer.Argument(metavar="ID", min=0)], database: options.Database = None
) -> None:
    """Show one delivery with its body, as it came."""
    import contextlib
    import json

    from achievement_collector.derive.epics import iso
    from achievement_collector.present.printable import printable
    from achievement_collector.services.intake import show_delivery

    one = show_delivery(options.open_existing(database), number)
    body = one.body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    typer.echo(printable(
        f"{one.source} {one.event} {one.delivery}\nreceived {iso(one.received)}, {one.state} after {one.attempts} attempts"
        f"\n{one.told}\n\n{body}"
    ))  # fmt: skip


def inbox_retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="ID", help="Default: all that failed.", show_default=False)
    ] = None,
    database: options.Database = None,
) -> None:
    """Process deliveries again: those named, or all that failed."""
    from achievement_collector.services.intake import retry_deliveries, show_delivery

    in_force = options.settings(database)
    ledger = options.open_existing(database)
    for number in numbers or ():
        show_delivery(ledger, number)
    count = retry_deliveries(ledger, numbers or None)
    typer.echo(f"{count:,} to be processed again")
    if failure := conclude(ledger, in_force):
        raise failure


# --- tokens ------------------------------------------------------------------------------------------


def token_create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write or ingest; may be repeated. Default: read.")
    ] = None,
    database: options.Database = None,
) -> None:
    """Make a token. It is shown this once and stored as a hash only."""
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.tokens import create_token

    ledger = open_ledger(options.settings(database).database)
    text = create_token(ledger, name, scope or ["read"], _now())
    typer.echo("this is shown once:", err=True)
    typer.echo(text)


def token_list(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show the tokens there are (never their text)."""
    from achievement_collector.derive.epics import iso
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.tokens import list_tokens

    found = list_tokens(options.open_existing(database))
    if as_json:
        import json

        data = [
            {**one._asdict(), "created": iso(one.created), "used": iso(one.used), "revoked": iso(one.revoked)}
            for one in found
        ]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    for one in found:
        state = f"revoked {iso(one.revoked)}" if one.revoked else f"last used {iso(one.used) or 'never'}"
        typer.echo(
            one_line(f"{one.id}  {one.name}  ({', '.join(one.scopes)})  made {iso(one.created)}, {state}")
        )
    if not found:
        typer.echo("there are no tokens; make one with: achievement-collector token create NAME")


def token_revoke(
    number: Annotated[int, typer.Argument(metavar="ID", min=0)], database: options.Database = None
) -> None:
    """Make a token useless, at once."""
    from achievement_collector.services.tokens import revoke_token

    revoke_token(options.open_existing(database), number, _now())
    typer.echo(f"token {number} is revoked")
