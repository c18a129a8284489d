"""What requests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from achievement_collector.api.kept import Kept
from achievement_collector.api.metrics import Metrics
from achievement_collector.config import Settings
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.services.intake import Receiver
from achievement_collector.workflows.supervisor import Work


@dataclass(slots=True)
class State:
    """``is_ready`` tells whether all that was to be started has started."""

    ledger: Ledger
    settings: Settings
    receiver: Receiver
    work: Work
    metrics: Metrics
    is_loopback: bool
    kept: Kept = field(default_factory=Kept)
    is_ready: Callable[[], bool] = lambda: True
    clock: Callable[[], int] = now_ms


def state_of(request: Request) -> State:
    return cast(State, request.app.state.own)
