"""What requests share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from achievement_collector.api.metrics import Metrics
from achievement_collector.config import Settings
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.intake import Receiver
from achievement_collector.workflows.loop import LiveWork, now_ms


@dataclass(slots=True)
class State:
    """``is_ready`` says that all that was to be started has started."""

    ledger: Ledger
    settings: Settings
    receiver: Receiver
    work: LiveWork
    metrics: Metrics
    is_loopback: bool
    is_ready: bool = False
    problems: list[str] = field(default_factory=list)
    want_linear: threading.Event = field(default_factory=threading.Event)
    """Set where Linear should be polled at once."""
    clock: Callable[[], int] = now_ms


def state_of(request: Request) -> State:
    return cast(State, request.app.state.own)
