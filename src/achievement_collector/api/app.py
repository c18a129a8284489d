"""The application: every route, and the work that goes on behind them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from achievement_collector import __version__
from achievement_collector.api import (
    achievements,
    ci,
    ci_findings,
    deployments,
    documentation,
    epics,
    errors,
    kpis,
    operations,
    roadmap,
    threads,
    webhooks,
)
from achievement_collector.api.guard import Guard
from achievement_collector.api.metrics import Metrics
from achievement_collector.api.state import State
from achievement_collector.config import Settings
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.intake import Receiver
from achievement_collector.workflows.loop import LiveWork
from achievement_collector.workflows.supervisor import Worker

_log = logging.getLogger(__name__)


def create_app(
    ledger: Ledger,
    settings: Settings,
    *,
    is_open: bool = True,
    has_worker: bool = True,
    worker: Worker | None = None,
) -> FastAPI:
    """The application on a ledger. ``is_open`` says that only this machine reaches it, so that it may be used without a
    token. What comes in is processed by a process of its own; without ``has_worker`` by threads of this one, and outside
    systems are not polled. ``worker`` is one that was started already."""
    work: Worker | LiveWork = (worker or Worker(ledger)) if has_worker else LiveWork(ledger, settings)
    receiver = Receiver(ledger, work.wake)
    state = State(ledger, settings, receiver, work, Metrics(ledger, work), is_open)
    if isinstance(work, Worker):
        own = work
        state.is_ready = lambda: own.is_ready

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work.start()
        state.metrics.ready.set_function(lambda: float(state.is_ready()))
        try:
            yield
        finally:
            receiver.close()
            await run_in_threadpool(work.stop)

    app = FastAPI(
        title="achievement-collector",
        version=__version__,
        summary="Turns the engineering work you really do into evidence.",
        lifespan=lifespan,
        docs_url=None,  # those of the framework load scripts from elsewhere
        redoc_url=None,
    )
    app.state.own = state
    errors.add_to(app)
    for module in (
        webhooks,
        achievements,
        epics,
        ci,
        ci_findings,
        kpis,
        deployments,
        threads,
        roadmap,
        operations,
    ):
        app.include_router(module.router)
    documentation.add_to(app)
    app.add_middleware(Guard, state=state)
    return app
