"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from achievement_collector.config import Settings
    from achievement_collector.ledger.store import Ledger

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL|FILE",
        help="The ledger: an SQLite file or a postgresql:// URL.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Category = Annotated[
    str | None, typer.Option(help="Only this category, such as feature or bugfix.", show_default=False)
]
Skill = Annotated[str | None, typer.Option(help="Only what shows this skill.", show_default=False)]
Person = Annotated[
    str | None, typer.Option(help="Only this person's: a name, an address or an id.", show_default=False)
]
Me = Annotated[bool, typer.Option("--me", help="Only yours, as git knows you (user.email).")]
Repository = Annotated[
    str | None,
    typer.Option(
        "--repo", "--repository", help="Only this repository: its key, name or path.", show_default=False
    ),
]
Since = Annotated[
    str | None,
    typer.Option(help="From this day on (2026-03-31, 2026-03, 2026, 90d, 6m, 2y).", show_default=False),
]
Until = Annotated[str | None, typer.Option(help="Up to and including this day.", show_default=False)]
MinImpact = Annotated[
    int | None, typer.Option(min=0, max=100, help="Only from this impact on.", show_default=False)
]
Text = Annotated[
    str | None,
    typer.Option("--text", help="Only with this text in title or description.", show_default=False),
]


def open_existing(database: str | None) -> Ledger:
    """The ledger of a command that needs one to be there already."""
    from achievement_collector.ledger.store import open_ledger

    return open_ledger(settings(database).database, create=False)


def settings(database: str | None) -> Settings:
    from achievement_collector.config import load_settings

    return load_settings(database)


def window(since: str | None, until: str | None, now: int) -> tuple[int | None, int | None]:
    """The moments that a user named, in milliseconds."""
    from achievement_collector.services.moments import window_of_words

    return window_of_words(since, until, now)
