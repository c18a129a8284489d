"""The server's side of its worker process: started, spoken to, started again when it dies."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Protocol

from achievement_collector.errors import CollectorError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.intake import Processed
from achievement_collector.services.live import Updated
from achievement_collector.workflows.loop import Counts
from achievement_collector.workflows.messages import ASK_LINEAR, WAKE

_log = logging.getLogger(__name__)
_SHORTEST_LIFE = 5.0  # seconds; one that dies sooner is not started again at once


class Work(Protocol):
    """Whoever works on what comes in: a :class:`Worker`, or threads of this process."""

    counts: Counts

    def wake(self) -> None: ...

    def ask_linear(self) -> None: ...


class Worker:
    """A worker process of a server. Raises :class:`CollectorError` where another server uses the same SQLite ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._locks = ExitStack()
        if ledger.is_sqlite and not self._locks.enter_context(ledger.try_exclusive("server")):
            raise CollectorError(
                f"another server uses the ledger {ledger.name}; stop that one, or have them share a PostgreSQL database"
            )
        self.counts = Counts()
        self.is_ready = False
        self._address = ledger.url.render_as_string(hide_password=False)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Starts the process; once is enough."""
        if not self._thread.is_alive():
            self._thread.start()

    def wake(self) -> None:
        """Says that there is something to process."""
        self._say(WAKE)

    def ask_linear(self) -> None:
        """Asks for a poll of Linear at once."""
        self._say(ASK_LINEAR)

    def stop(self, seconds: float = 8.0) -> None:
        """Has it finish what it is at, and ends it."""
        self._is_stopping.set()
        process = self._process
        if process is not None and process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                _log.warning("the worker does not end; it is killed, and what it was at will be done again")
                process.kill()
                process.wait()
        self._thread.join(2)
        self._locks.close()

    def _say(self, told: bytes) -> None:
        process = self._process
        if process is not None and process.stdin:
            with contextlib.suppress(OSError, ValueError):  # it is dying; its successor looks by itself
                os.write(process.stdin.fileno(), told)

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            began = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "achievement_collector.workflows.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "DATABASE_URL": self._address},  # not in the arguments: they are no secret
            )
            os.set_blocking(self._process.stdin.fileno(), False)  # type: ignore[union-attr]
            self._follow(self._process)
            self.is_ready = False
            code = self._process.wait()
            if self._is_stopping.is_set():
                return
            _log.error("the worker ended with %s; it is started again", code)
            if time.monotonic() - began < _SHORTEST_LIFE:
                self._is_stopping.wait(_SHORTEST_LIFE)

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Reads what the worker tells until it ends."""
        assert process.stdout
        before = self.counts
        for line in process.stdout:
            try:
                told = json.loads(line)
                self.counts = _sum(before, told["counts"])
                self.is_ready = bool(told["ready"])
            except (ValueError, KeyError, TypeError):
                _log.warning("the worker told something that is not understood")


def _sum(before: Counts, told: dict[str, dict[str, int]]) -> Counts:
    """The counts of earlier workers and of this one together."""

    def added(one: object, more: dict[str, int]) -> dict[str, int]:
        return {name: getattr(one, name) + count for name, count in more.items()}

    return Counts(
        Processed(**added(before.processed, told["processed"])),
        Updated(**added(before.updated, told["updated"])),
        before.failures + int(told["failures"]),  # type: ignore[call-overload]
        before.busy_seconds + float(told["busy_seconds"]),  # type: ignore[arg-type]
    )
