"""The process that does a server's work, so that answering never waits for it.

It is told things by single letters on its standard input (:mod:`achievement_collector.workflows.messages`) and tells of
itself by lines of JSON on its standard output. It ends when its input ends: a server that dies takes it along.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from achievement_collector.workflows.messages import ASK_LINEAR, WAKE

if TYPE_CHECKING:
    from achievement_collector.config import Settings
    from achievement_collector.ledger.store import Ledger
    from achievement_collector.workflows.loop import LiveWork

_TELL_EVERY = 0.5


@dataclass(slots=True)
class Serving:
    """What the background works for."""

    ledger: Ledger
    settings: Settings
    work: LiveWork
    is_ready: bool = False
    problems: list[str] = field(default_factory=list)
    want_linear: threading.Event = field(default_factory=threading.Event)


def main() -> None:
    """Works until its input ends, with the settings of the environment."""
    gc.disable()  # importing makes what stays; collecting meanwhile would only take time
    from achievement_collector.config import load_settings
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.workflows import engine, syncs  # noqa: F401 - else imported when work has begun
    from achievement_collector.workflows.background import Background
    from achievement_collector.workflows.loop import LiveWork

    gc.freeze()
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the server, which closes our input
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    sys.setswitchinterval(
        0.0005
    )  # else a writer, holding its lock, waits 5 ms for the thread that concludes at each statement
    settings = load_settings()
    work = LiveWork(open_ledger(settings.database), settings)
    serving = Serving(work.ledger, settings, work)
    gc.set_threshold(
        50_000, 20, 50
    )  # conclusions make many objects and hardly a cycle; a collection stops every thread
    gc.enable()
    work.start()
    background = Background(serving)
    background.start()
    teller = threading.Thread(target=_tell, args=(serving,), name="teller", daemon=True)
    teller.start()
    _listen(serving)
    work.stop()
    background.stop()
    serving.ledger.close()
    logging.shutdown()
    # a poll that waits for an outside system goes on after the next start; its thread must not hold up the end
    os._exit(0)


def _listen(serving: Serving) -> None:
    while told := os.read(0, 4096):
        if WAKE in told:
            serving.work.wake()
        if ASK_LINEAR in told:
            serving.want_linear.set()


def _tell(serving: Serving) -> None:
    """Says how things stand, whenever that has changed."""
    last = ""
    while not serving.work.is_stopping:
        told = json.dumps(
            {"ready": serving.is_ready, "problems": serving.problems, "counts": asdict(serving.work.counts)}
        )
        if told != last:
            try:
                os.write(1, told.encode() + b"\n")
            except BrokenPipeError:  # the server has gone; so shall we, as our input ends
                return
            last = told
        serving.work.pause(0.05 if not serving.is_ready else _TELL_EVERY)


if __name__ == "__main__":
    main()
