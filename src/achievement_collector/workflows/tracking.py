"""``track``: the coordinator for one person's machine. It watches git, GitHub and Linear, without a server."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.services.intake import process_waiting
from achievement_collector.services.linking_back import link_back
from achievement_collector.services.live import bring_up_to_date
from achievement_collector.services.polling import has_linear, poll_github, poll_linear
from achievement_collector.services.scanning import ScanProgress, scan
from achievement_collector.workflows.loop import LiveWork


class Tracker:
    """Watches until SIGTERM or SIGINT; a round under way is finished at its next safe point."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        paths: Sequence[Path],
        interval: float,
        tell: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.paths = list(paths)
        self.interval = interval
        self.tell = tell
        self._stop = threading.Event()

    def once(self) -> None:
        """One look at everything that is configured."""
        if self.settings.enable_git_tracking:
            self._git()
        for repository in self.settings.github_repositories:
            self._github(repository)
        if has_linear(self.settings):
            self._linear()
        while process_waiting(self.ledger, self.settings, now_ms(), limit=100).total:
            pass
        bring_up_to_date(self.ledger, self.settings, now_ms)

    def run(self) -> None:
        """Watches until it is told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        work = LiveWork(self.ledger, self.settings)
        work.start()
        watched = []
        if self.settings.enable_git_tracking:
            watched.append(f"git ({', '.join(str(path) for path in self.paths)})")
            work.repeat("git", self.interval, self._git)
        for repository in self.settings.github_repositories:
            watched.append(f"GitHub ({repository})")
            work.repeat(
                f"github {repository}", self.settings.github_check_interval, partial(self._github, repository)
            )
        if has_linear(self.settings):
            watched.append("Linear")
            work.repeat("linear", self.settings.linear_check_interval, self._linear)
        self.tell(
            f"watching {', '.join(watched) or 'nothing: switch something on (config show)'}; Ctrl-C stops"
        )
        while not self._stop.wait(0.5):
            pass
        self.tell("stopping ...")
        work.stop(20)
        self.tell("stopped; everything that was seen is recorded")

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _git(self) -> None:
        for done in scan(self.ledger, self.paths, self.settings, int(time.time()), ScanProgress()):
            if done.error:
                self.tell(f"{done.path}: {done.error}")
            elif done.collected and done.collected.added:
                self.tell(f"{done.collected.repository_key}: {done.collected.added:,} new commits")

    def _github(self, repository: str) -> None:
        try:
            poll_github(self.ledger, self.settings, repository, now_ms())
        except CollectorError as error:
            self.tell(f"GitHub {repository}: {error}")

    def _linear(self) -> None:
        try:
            poll_linear(self.ledger, self.settings, now_ms())
            for told in link_back(self.ledger, self.settings, now_ms()).failures:
                self.tell(f"Linear: {told}")
        except CollectorError as error:
            self.tell(f"Linear: {error}")
