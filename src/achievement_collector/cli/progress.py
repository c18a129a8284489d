"""What several commands tell while they work, and how they end: with everything concluded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from achievement_collector.config import Settings
    from achievement_collector.errors import NotConcludedError
    from achievement_collector.ledger.store import Ledger


class LineProgress:
    """A line that is drawn over on a terminal, and nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_shown = sys.stderr.isatty()

    def __enter__(self) -> LineProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            typer.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, stage: str, done: int, total: int | None = None) -> None:
        if self._is_shown:
            of = f" of {total:,}" if total else ""
            typer.echo(f"\r\x1b[K{self._name}: {stage} {done:,}{of}", nl=False, err=True)


def tell(name: str, done: object) -> None:
    """What a poll came to, and what it could not read."""
    from achievement_collector.present.printable import one_line
    from achievement_collector.present.wording import left_out_of_poll, synced_in_words

    typer.echo(f"{name}: {synced_in_words(done)}")
    for told in left_out_of_poll(done):
        typer.echo(one_line(f"{name}: {told}"), err=True)


def conclude(ledger: Ledger, in_force: Settings) -> NotConcludedError | None:
    """Processes what waits, draws the conclusions, and says how many. Gives what could not be concluded, to be raised when the
    command has done its work."""
    from achievement_collector.errors import NotConcludedError
    from achievement_collector.present.wording import plural
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.intake import process_waiting
    from achievement_collector.services.live import bring_up_to_date

    while process_waiting(ledger, in_force, now_ms(), limit=100).total:
        pass
    try:
        done = bring_up_to_date(ledger, in_force, now_ms)
    except NotConcludedError as error:
        return error
    if done.epics or done.repositories:
        typer.echo(
            f"brought up to date: {plural(done.repositories, 'repository', 'repositories')},"
            f" {plural(done.issues, 'issue')}, {plural(done.epics, 'epic')}"
        )
    return None
