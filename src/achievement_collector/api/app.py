"""The application: every route, and the work that goes on behind them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from achievement_collector import __version__
from achievement_collector.api import achievements, ci, epics, errors, operations, webhooks
from achievement_collector.api.metrics import Metrics
from achievement_collector.api.security import is_loopback
from achievement_collector.api.state import State
from achievement_collector.config import Settings
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.intake import Receiver
from achievement_collector.workflows.loop import LiveWork

_log = logging.getLogger(__name__)


def create_app(
    ledger: Ledger,
    settings: Settings,
    *,
    is_open: bool = True,
    with_engine: bool = True,
    with_work: bool = True,
) -> FastAPI:
    """The application on a ledger. ``is_open`` says that only this machine reaches it, so that it may be used without a
    token; ``with_engine`` runs polling by durable workflows; ``with_work`` processes what comes in."""
    work = LiveWork(ledger, settings)
    receiver = Receiver(ledger, work.wake)
    state = State(ledger, settings, receiver, work, Metrics(ledger, work), is_open)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background = None
        if with_work:
            work.start()
        if with_engine:
            from achievement_collector.workflows.background import Background

            background = Background(state)
            background.start()  # the engine takes a second; webhooks are taken in meanwhile
        else:
            state.is_ready = True
        state.metrics.ready.set_function(lambda: float(state.is_ready))
        try:
            yield
        finally:
            state.is_ready = False
            receiver.close()
            work.stop()
            if background is not None:
                background.stop()

    app = FastAPI(
        title="achievement-collector",
        version=__version__,
        summary="Turns the engineering work you really do into evidence.",
        lifespan=lifespan,
    )
    app.state.own = state
    errors.add_to(app)
    for router in (webhooks.router, achievements.router, epics.router, ci.router, operations.router):
        app.include_router(router)

    @app.middleware("http")
    async def _guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if state.is_loopback and not is_loopback(
            urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        ):
            return errors.problem(421, "this server is for this machine alone; call it by localhost")
        response = await answer(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        route = getattr(request.scope.get("route"), "path", "none")
        state.metrics.requests.labels(request.method, route, response.status_code).inc()
        return response

    return app
