"""The work that goes on while a server or ``track`` runs: deliveries processed, conclusions brought up to date, outside
systems polled, peers watched. Each is a thread; all of them end when :meth:`LiveWork.stop` is called."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.services.intake import Processed, process_waiting
from achievement_collector.services.live import Updated, bring_up_to_date

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)
_IDLE = 0.5  # seconds between two looks for work that another process may have left
_GATHER = 0.1  # seconds in which deliveries come together
_CHECKPOINT_EVERY = 2.0
_BATCH_SQLITE, _BATCH_POSTGRES = 10, 100


@dataclass(slots=True)
class Counts:
    """What was done since the start."""

    processed: Processed = field(default_factory=Processed)
    updated: Updated = field(default_factory=Updated)
    failures: int = 0  # of the work itself, not of deliveries
    busy_seconds: float = 0.0


class LiveWork:
    """Processes deliveries and brings conclusions up to date until it is stopped."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.settings = settings
        self.counts = Counts()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self.ledger.checkpoint_apart()
        self.run("deliveries and conclusions", self._work)
        self.repeat("checkpoints", _CHECKPOINT_EVERY, self.ledger.checkpoint)

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Runs ``work`` in a thread of its own; it must end soon after :attr:`is_stopping` is True."""
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def repeat(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        """Does ``work`` every so many seconds; a failure is logged and does not end it."""

        def again() -> None:
            while not self._stop.is_set():
                self._guarded(name, work)
                self._stop.wait(seconds)

        self.run(name, again)

    def wake(self) -> None:
        """Says that there may be something to process."""
        self._wake.set()

    def ask_linear(self) -> None:
        """Nothing polls here."""

    def pause(self, seconds: float) -> None:
        """Waits, or less where the work is to end."""
        self._stop.wait(seconds)

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self, seconds: float = 8.0) -> None:
        self._stop.set()
        self._wake.set()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        """Deliveries first, then conclusions, in one thread: two would take turns at every row that is read, and hold the
        ledger's lock, for which deliveries that come in wait, all the while."""
        due = 0.0
        while not self._stop.is_set():
            self._wake.wait(max(0.0, min(_IDLE, due - time.monotonic())))
            self._wake.clear()
            self._process()
            began = time.monotonic()
            if began < due or self._stop.is_set():
                self._stop.wait(_GATHER)  # few deliveries at a time cost as many transactions
                continue
            self._guarded("conclusions", self._update)
            needed = time.monotonic() - began
            self.counts.busy_seconds += needed
            # what is gathered meanwhile is concluded together; never more than half of the time is spent on it
            due = time.monotonic() + max(self.settings.aggregation_seconds, needed)

    def _process(self) -> bool:
        """Processes all that waits; whether there is to be more work."""
        limit = _BATCH_SQLITE if self.ledger.is_sqlite else _BATCH_POSTGRES
        while not self._stop.is_set():
            done = self._guarded("deliveries", lambda: self._one_batch(limit))
            if not done or done < limit:
                break
        return not self._stop.is_set()

    def _one_batch(self, limit: int) -> int:
        done = process_waiting(self.ledger, self.settings, now_ms(), limit=limit)
        counts = self.counts.processed
        counts.processed += done.processed
        counts.not_relevant += done.not_relevant
        counts.failed += done.failed
        return done.total

    def _update(self) -> None:
        done = bring_up_to_date(self.ledger, self.settings, now_ms, keep_going=self._process)
        counts = self.counts.updated
        counts.pulls += done.pulls
        counts.issues += done.issues
        counts.repositories += done.repositories
        counts.outcomes += done.outcomes
        counts.epics += done.epics
        counts.finalised += done.finalised

    def _guarded(self, name: str, work: Callable[[], _Result]) -> _Result | None:
        try:
            return work()
        except CollectorError as error:
            self.counts.failures += 1
            _log.warning("%s: %s", name, error)
        except Exception:  # noqa: BLE001 - the rest of the work must go on
            self.counts.failures += 1
            _log.exception("%s: unexpected", name)
        self._stop.wait(1.0)
        return None
