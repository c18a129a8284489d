"""Scanning: collect the facts of repositories, join people, derive achievements."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.services.collecting import Collected, Progress, collect_repository
from achievement_collector.services.currency import is_current
from achievement_collector.sources.git.checkout import Refs

if TYPE_CHECKING:
    from achievement_collector.services.deriving import Derived


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """What a caller may want to show. All do nothing by default."""

    collecting: Progress = Progress()  # noqa: RUF009 - frozen
    deriving: Callable[[int, int], None] = lambda _done, _all: None
    first_results: Callable[[int], None] = lambda _repository_id: None
    waiting: Callable[[], None] = lambda: None
    stage: Callable[[str], None] = lambda _name: None


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan of one path came to: ``collected`` and ``derived``, or the ``error`` in one sentence."""

    path: Path
    collected: Collected | None = None
    derived: Derived | None = None
    error: str = ""


def scan(
    ledger: Ledger,
    paths: Sequence[Path],
    settings: Settings,
    now: int,
    progress: ScanProgress,
    *,
    everything: bool = False,
) -> list[Scanned]:
    """Brings the ledger up to date with every path; one that fails does not stop the others.

    Two scans that use the same ledger follow one another. ``now`` is the time in seconds.
    """
    gc.set_threshold(100_000, 20, 20)  # a scan makes millions of small objects and hardly a cycle
    found: list[Scanned] = []

    def first_results(repository_id: int, refs: Refs) -> None:
        from achievement_collector.services.deriving import derive_repository
        from achievement_collector.services.identity import load_author_rules, refresh_people

        rules = load_author_rules(settings.rules)
        kinds = refresh_people(ledger, rules)
        derive_repository(ledger, repository_id, settings, kinds=kinds, rules=rules, mainline=refs.mainline)
        progress.first_results(repository_id)

    collecting = replace(progress.collecting, first_results=first_results)
    with ledger.exclusive("scan", progress.waiting):
        for path in dict.fromkeys(paths):
            try:
                found.append(Scanned(path, collect_repository(ledger, path, now, collecting)))
            except CollectorError as error:
                found.append(Scanned(path, error=str(error)))
        stale = [
            one.collected.repository_id
            for one in found
            if one.collected
            and (
                one.collected.is_new
                or everything
                or not is_current(ledger, one.collected.repository_id, settings)
            )
        ]
        if stale:
            # where nothing is new, the rules need not even be loaded
            from achievement_collector.services.deriving import derive_repository
            from achievement_collector.services.identity import load_author_rules, refresh_people

            progress.stage("deriving")
            rules = load_author_rules(settings.rules)
            kinds = refresh_people(ledger, rules)
            done = {
                number: derive_repository(
                    ledger,
                    number,
                    settings,
                    kinds=kinds,
                    rules=rules,
                    everything=everything,
                    advanced=progress.deriving,
                )
                for number in dict.fromkeys(stale)
            }
            from achievement_collector.services.live import note_scan

            for one in found:
                if one.collected and one.collected.repository_id in done:
                    note_scan(ledger, one.collected.repository_key, now * 1000)
            found = [
                replace(one, derived=done.get(one.collected.repository_id)) if one.collected else one
                for one in found
            ]
    return found


def derive_all(
    ledger: Ledger,
    settings: Settings,
    *,
    everything: bool,
    advanced: Callable[[int, int], None] = lambda _d, _a: None,
) -> list[tuple[str, Derived]]:
    """Derives every repository of the ledger from its facts; git is not asked. (key, what was done) of each."""
    from achievement_collector.ledger.reading import stored_repositories
    from achievement_collector.services.deriving import derive_repository
    from achievement_collector.services.identity import load_author_rules, refresh_people

    rules = load_author_rules(settings.rules)
    with ledger.exclusive("scan"):
        kinds = refresh_people(ledger, rules)
        with ledger.read() as connection:
            places = stored_repositories(connection)
        done = [
            (
                place.key,
                derive_repository(
                    ledger,
                    place.id,
                    settings,
                    kinds=kinds,
                    rules=rules,
                    everything=everything,
                    advanced=advanced,
                ),
            )
            for place in places
        ]
    from achievement_collector.services.live import bring_up_to_date, everything_stale

    if everything:
        everything_stale(ledger, now_ms())
    bring_up_to_date(ledger, settings, now_ms)
    return done
