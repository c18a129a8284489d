"""Health, metrics, the inbox, notifications."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from achievement_collector.api.errors import GUARDED, problem, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.derive.epics import iso
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger import inbox
from achievement_collector.ledger.inbox import Delivery
from achievement_collector.models import Text
from achievement_collector.services import intake

router = APIRouter()
_read, _write = Depends(needs("read")), Depends(needs("write"))
Limit = Annotated[int, Query(ge=1, le=200)]
Number = Annotated[int, Query(ge=0, le=2**62)]
_UNKNOWN = GUARDED | problems({404: "There is no such delivery"})


@router.get("/healthz", tags=["operations"])
async def healthz() -> dict[str, str]:
    """Whether the process lives."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operations"], responses=problems({503: "Not ready"}))
async def readyz(request: Request) -> Response:
    """Whether everything has started and the ledger answers."""
    state = state_of(request)
    if not state.is_ready():
        return problem(503, "still starting")
    with_ledger = await run_in_threadpool(_ask_ledger, state.ledger)
    if with_ledger:
        return problem(503, "the ledger does not answer")
    return JSONResponse({"status": "ready"})


def _ask_ledger(ledger: Any) -> str:
    from achievement_collector.errors import LedgerError

    try:
        with ledger.read() as connection:
            connection.exec_driver_sql("SELECT 1")
    except LedgerError as error:
        return str(error)
    return ""


@router.get(
    "/metrics",
    tags=["operations"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problems({503: "The ledger cannot be used"})},
)
async def metrics(request: Request) -> Response:
    """The product's own metrics, in Prometheus' text format."""
    text = await run_in_threadpool(state_of(request).metrics.text)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/inbox",
    tags=["inbox"],
    dependencies=[_read],
    responses=GUARDED | problems({400: "There is no such state"}),
)
def inbox_list(
    request: Request,
    state: Annotated[str | None, Query(description="waiting, processed, not_relevant or failed")] = None,
    source: Annotated[Text | None, Query(max_length=20)] = None,
    limit: Limit = 50,
    before: Annotated[
        int | None, Query(ge=0, le=2**62, description="Only deliveries with a smaller id")
    ] = None,
) -> dict[str, Any]:
    """Deliveries, newest first, and how many are in each state."""
    own = state_of(request)
    found = intake.list_deliveries(own.ledger, state=state, source=source, limit=limit, before=before)
    with own.ledger.read() as connection:
        depth = inbox.depth(connection)
    return {
        "counts": depth.counts,
        "deliveries": [delivery_data(one) for one in found],
        "next": found[-1].id if len(found) == limit else None,
    }


@router.get("/inbox/{number}", tags=["inbox"], dependencies=[_read], responses=_UNKNOWN)
def inbox_show(request: Request, number: int) -> dict[str, Any]:
    """One delivery with its body, as it came."""
    one = intake.show_delivery(state_of(request).ledger, _checked(number))
    return {**delivery_data(one), "body": one.body.decode("utf-8", "replace")}


@router.post("/inbox/{number}/retry", tags=["inbox"], dependencies=[_write], responses=_UNKNOWN)
def inbox_retry(request: Request, number: int) -> dict[str, int]:
    """Has a delivery processed again."""
    own = state_of(request)
    intake.show_delivery(own.ledger, _checked(number))
    count = intake.retry_deliveries(own.ledger, [number])
    own.work.wake()
    return {"retried": count}


@router.get("/notifications", tags=["operations"], dependencies=[_read], responses=GUARDED)
def notifications(request: Request, after: Number = 0, limit: Limit = 100) -> list[dict[str, Any]]:
    """What happened that somebody may want to hear of: epics that were finalised or reopened."""
    with state_of(request).ledger.read() as connection:
        found = ledger_epics.notified(connection, after=after, limit=limit)
    return [{**one._asdict(), "created": iso(one.created)} for one in found]


def delivery_data(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id, "source": one.source, "event": one.event, "delivery": one.delivery, "state": one.state, "told": one.told,
        "attempts": one.attempts, "received": iso(one.received), "processed": iso(one.processed),
    }  # fmt: skip


def _checked(number: int) -> int:
    return number if 0 <= number < 2**62 else -1
