"""``scan`` and ``derive``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from achievement_collector.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from achievement_collector.ledger.store import Ledger
    from achievement_collector.services.scanning import Scanned, ScanProgress


def add_to(app: typer.Typer) -> None:
    app.command()(scan)
    app.command()(derive)


def scan(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Git repositories; default: GIT_REPO_PATH, else this folder.",
            show_default=False,
        ),
    ] = None,
    database: options.Database = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    top: Annotated[int, typer.Option(min=0, help="How many of the best achievements to show.")] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Record what was achieved in one or more git repositories.

    The first scan reads the whole history; later ones only what is new. A scan that was stopped is completed by
    the next one. Nothing in the repositories is changed, and nothing leaves this machine.
    """
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.scanning import scan as scan_all

    in_force = options.settings(database)
    wanted = paths or [Path(in_force.repository or ".")]
    ledger = open_ledger(in_force.database)
    with _Display(ledger, quiet=quiet or as_json) as display:
        found = scan_all(ledger, wanted, in_force, int(time.time()), display.progress())
    if as_json:
        _print_json(ledger, found)
    elif not quiet:
        _summarise(ledger, found, top)
    for one in found:
        if one.error:
            _complain(one.error)
    if any(one.error for one in found):
        raise typer.Exit(2)


def derive(
    everything: Annotated[
        bool,
        typer.Option(
            "--all/--changed", help="Derive everything anew, or only what its rules or facts changed."
        ),
    ] = True,
    database: options.Database = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Derive all achievements again from the recorded facts; git is not read."""
    from achievement_collector.present.terminal import console
    from achievement_collector.present.wording import plural
    from achievement_collector.services.scanning import derive_all

    ledger = options.open_existing(database)
    done = derive_all(ledger, options.settings(database), everything=everything)
    if quiet:
        return
    screen = console()
    for key, derived in done:
        screen.print(
            f"{key}: {plural(derived.concluded, 'change')} concluded again, {derived.removed:,} no longer hold"
        )
    if not done:
        screen.print("the ledger holds no repository yet; begin with: achievement-collector scan PATH")


def _complain(message: str) -> None:
    from achievement_collector.present.printable import one_line

    typer.echo(f"achievement-collector: {one_line(message)}", err=True)


class _Display:
    """The progress bar, and the first results while the scan goes on."""

    def __init__(self, ledger: Ledger, *, quiet: bool) -> None:
        self.ledger = ledger
        self.quiet = quiet
        if not quiet:
            from achievement_collector.present.terminal import console

            self.screen: Console = console(stderr=True)
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> _Display:
        if not self.quiet and self.screen.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self.screen,
                transient=True,
                auto_refresh=False,  # no thread of its own: the scan forks
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def progress(self) -> ScanProgress:
        from achievement_collector.services.collecting import Progress
        from achievement_collector.services.scanning import ScanProgress

        if self.quiet:
            return ScanProgress()
        return ScanProgress(
            collecting=Progress(started=self._started, advanced=self._advanced, stage=self._stage),
            deriving=self._deriving,
            first_results=self._first_results,
            waiting=lambda: self.screen.print("waiting for another scan of this ledger to end ..."),
            stage=self._stage,
        )

    def _started(self, name: str, total: int) -> None:
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(f"reading {name}", total=total)
        elif total:
            self.screen.print(f"reading {name}: {total:,} commits")

    def _advanced(self, commits: int) -> None:
        if self._bar:
            self._bar.advance(self._task, commits)
            self._bar.refresh()

    def _stage(self, name: str) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=name, refresh=True)

    def _deriving(self, done: int, total: int) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, description="deriving", completed=done, total=total, refresh=True)

    def _first_results(self, repository_id: int) -> None:
        from achievement_collector.ledger.selection import Filter, select_achievements
        from achievement_collector.present.terminal import achievements_table

        with self.ledger.read() as connection:
            best = select_achievements(
                connection, Filter(repository_ids=(repository_id,), kind="change"), limit=5
            )
        if best:
            self.screen.print("the best of the newest commits, while the rest is read:")
            self.screen.print(achievements_table(best, self.screen.width))


def _summarise(ledger: Ledger, found: list[Scanned], top: int) -> None:
    from datetime import UTC, datetime

    from achievement_collector.present.terminal import achievements_table, console
    from achievement_collector.present.wording import plural
    from achievement_collector.services.records import Query, list_achievements

    screen = console()
    for one in found:
        if one.collected is None:
            continue
        key = one.collected.repository_key
        if one.collected.is_new:
            gone = (
                f", {one.collected.removed:,} forgotten (no ref reaches them)"
                if one.collected.removed
                else ""
            )
            screen.print(f"{key}: {plural(one.collected.added, 'new commit')}{gone}")
        else:
            screen.print(f"{key}: nothing new")
        if one.collected.refs.shallow:
            screen.print(
                "  a shallow clone: what lies before its cut is unknown (git fetch --unshallow gets it)"
            )
    scanned = [one.collected.repository_id for one in found if one.collected]
    if not scanned:
        return
    listing = list_achievements(ledger, Query(repository_ids=tuple(scanned)), datetime.now(UTC), limit=top)
    screen.print()
    if listing.achievements and top:
        screen.print(
            achievements_table(listing.achievements, screen.width, repositories=len(set(scanned)) > 1)
        )
        screen.print()
    screen.print(
        f"{plural(listing.matching, 'achievement')}; left out {plural(listing.left_out, 'change')}, "
        f"{listing.bots_left_out:,} of them by programs (list --left-out tells why)"
    )
    screen.print(f"the record lives in {ledger.name}")


def _print_json(ledger: Ledger, found: list[Scanned]) -> None:
    import json

    rows = [
        {
            "path": str(one.path),
            "repository": one.collected.repository_key if one.collected else None,
            "new_commits": one.collected.added if one.collected else 0,
            "forgotten_commits": one.collected.removed if one.collected else 0,
            "concluded": one.derived.concluded if one.derived else 0,
            "error": one.error or None,
        }
        for one in found
    ]
    typer.echo(json.dumps({"ledger": ledger.name, "scanned": rows}, indent=2))
