"""``/kpis`` and ``/prometheus``: what is measured, milestones that programs state, scrapes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.models import KpiMilestone, PrometheusScrape
from achievement_collector.services import kpi_statements, kpi_views, kpis
from achievement_collector.services.live import bring_up_to_date

router = APIRouter(responses=GUARDED)
_read, _write, _ingest = Depends(needs("read")), Depends(needs("write")), Depends(needs("ingest"))
_UNKNOWN = problems({404: "There is no such KPI"})
_REFUSED = problems({400: "Something that cannot be used; nothing was stored"})


@router.get("/kpis", tags=["kpis"], dependencies=[_read])
def list_kpis(request: Request) -> list[dict[str, Any]]:
    """Every KPI: the last value, the target, what is usual, how many milestones and shifts."""
    state = state_of(request)
    return kpi_views.list_kpis(state.ledger, state.settings)


@router.get("/kpis/{name}", tags=["kpis"], dependencies=[_read], responses=_UNKNOWN)
def show_kpi(request: Request, name: str) -> dict[str, Any]:
    """A KPI with its series, every shift with what came at the time, and its milestones."""
    state = state_of(request)
    return kpi_views.show_kpi(state.ledger, state.settings, name)


@router.post("/kpis/milestones", tags=["kpis"], dependencies=[_ingest], status_code=201, responses=_REFUSED)
def track_milestone(request: Request, response: Response, given: KpiMilestone) -> dict[str, Any]:
    """States a value of a KPI. ``status`` is ``created`` with the milestone (201), or ``recorded`` with the ``reason`` why it
    is none (200)."""
    state = state_of(request)
    done = kpi_statements.track_milestone(
        state.ledger, state.settings, given.metric_name, given.value, given.target, state.clock(), direction=given.direction,
        unit=given.unit, told_by=given.told_by,
    )  # fmt: skip
    state.work.wake()
    if done.milestone is None:
        response.status_code = 200
        return {"status": "recorded", "reason": done.why, "milestone": None}
    return {"status": "created", "reason": done.why, "milestone": kpi_views.milestone_data(done.milestone)}


@router.post(
    "/prometheus/scrape", tags=["prometheus"], dependencies=[_write],
    responses=problems({
        400: "Prometheus is not configured, or gave nothing that can be used", 404: "There is no such KPI",
    }),
)  # fmt: skip
def scrape(request: Request, given: PrometheusScrape | None = None) -> dict[str, Any]:
    """Asks Prometheus for every KPI now; the answer comes when it is done."""
    state = state_of(request)
    done = kpis.scrape(state.ledger, state.settings, state.clock(), names=given.kpis if given else ())
    bring_up_to_date(state.ledger, state.settings, state.clock)
    state.work.wake()
    return {
        "status": "completed", "kpis": done.kpis, "series": done.series, "samples": done.samples, "left_out": done.left_out,
        "not_measured": done.empty, "failures": done.failures, "warnings": done.warnings,
        "achievements_created": len(done.milestones), "milestones": [kpi_views.milestone_data(one) for one in done.milestones],
    }  # fmt: skip


@router.get("/prometheus/status", tags=["prometheus"], dependencies=[_read])
def status(request: Request) -> dict[str, Any]:
    """When Prometheus was asked, what is tracked, and the thresholds."""
    state = state_of(request)
    return kpis.prometheus_status(state.ledger, state.settings, state.clock())
