"""Everything that a server does beside answering: the engine, polling by time table, watching its peers."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from achievement_collector.config import Settings
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.services.polling import has_content, has_linear
from achievement_collector.workflows import peers
from achievement_collector.workflows.loop import LiveWork

_log = logging.getLogger(__name__)
_AGAIN = 5.0  # seconds until the engine is tried again


class Serving(Protocol):
    """What is served: the state that requests share."""

    ledger: Ledger
    settings: Settings
    work: LiveWork
    is_ready: bool
    problems: list[str]
    want_linear: threading.Event


class Background:
    """Started once for each process; :meth:`start` returns at once."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._executor = ""
        self._asked: dict[str, int] = {}
        self._locks = ExitStack()
        self._thread = threading.Thread(target=self._launch, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.join(10)
        if self._executor:
            from achievement_collector.workflows import engine

            engine.stop(self._executor)
            if not self._serving.ledger.is_sqlite:
                peers.leave(self._serving.ledger, self._executor)
        self._locks.close()

    def _launch(self) -> None:
        serving = self._serving
        if serving.ledger.is_sqlite and not self._succeed():
            return
        while not self._start_engine():
            serving.work.pause(_AGAIN)
            if serving.work.is_stopping:
                return
        serving.problems.clear()
        work = serving.work
        if not serving.ledger.is_sqlite:
            work.repeat("peers", peers.BEAT, self._watch_peers)
        if serving.settings.github_repositories:
            work.repeat("github", 1.0, self._poll_github)
        if has_linear(serving.settings):
            work.repeat("linear", 1.0, self._poll_linear)
        for name, seconds in _others(serving.settings).items():
            work.repeat(name, 1.0, partial(self._poll, name, seconds))
        serving.is_ready = True

    def _start_engine(self) -> bool:
        """Whether the engine started; its database may be away for a while."""
        serving = self._serving
        try:
            from achievement_collector.workflows import engine, syncs

            syncs.use(serving.ledger, serving.settings)
            self._executor = engine.start(serving.ledger)
        except Exception:  # noqa: BLE001 - the server must not look ready without it
            _log.exception("the engine could not be started; it is tried again")
            serving.problems[:] = ["the engine could not be started"]
            return False
        return True

    def _succeed(self) -> bool:
        """Waits until no other process runs the engine of an SQLite ledger: the worker of a server that was killed still
        ends its work. False where this process is to end before."""
        work = self._serving.work
        while not work.is_stopping:
            with ExitStack() as attempt:
                if attempt.enter_context(self._serving.ledger.try_exclusive("engine")):
                    self._locks = attempt.pop_all()
                    return True
            work.pause(0.1)
        return False

    def _watch_peers(self) -> None:
        from achievement_collector.workflows import engine

        dead = peers.beat(self._serving.ledger, self._executor)
        if dead:
            _log.warning("%s no longer answers; its work goes on here", ", ".join(dead))
            engine.take_over(dead)
            peers.bury(self._serving.ledger, dead)

    def _poll_github(self) -> None:
        from achievement_collector.workflows import syncs

        slot = now_ms() // (self._serving.settings.github_check_interval * 1000)
        for repository in self._serving.settings.github_repositories:
            if self._is_new(f"github/{repository}", slot):
                syncs.enqueue_github(repository, slot)

    def _poll_linear(self) -> None:
        from achievement_collector.workflows import syncs

        slot = now_ms() // (self._serving.settings.linear_check_interval * 1000)
        if self._serving.want_linear.is_set():
            self._serving.want_linear.clear()
            syncs.enqueue_linear(f"asked/{now_ms() // 10_000}")
        if self._is_new("linear", slot):
            syncs.enqueue_linear(slot)

    def _poll(self, name: str, seconds: int) -> None:
        from achievement_collector.workflows import syncs

        slot = now_ms() // (seconds * 1000)
        if self._is_new(name, slot):
            syncs.enqueue(name, slot)

    def _is_new(self, name: str, slot: int) -> bool:
        """Whether this process has not asked for the slot yet."""
        if self._asked.get(name) == slot:
            return False
        self._asked[name] = slot
        return True


def _others(settings: Settings) -> dict[str, int]:
    """What else is polled, and every how many seconds."""
    found = {"roadmap": 86_400}
    if settings.has_prometheus:
        found["prometheus"] = settings.scrape_interval_hours * 3600
    if settings.mlflow_url is not None:
        found["mlflow"] = settings.mlflow_check_interval
    if settings.notion_api_key:
        found["notion"] = 3600
    if has_content(settings):
        found["posts"] = settings.content_check_interval
    return found
