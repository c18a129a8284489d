"""``/ci/health``, ``/ci/failures`` and ``/reports``: how healthy CI is, why it failed, and what was said of a period."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.models import Text
from achievement_collector.services import ci_failures, ci_health, reports
from achievement_collector.services.moments import window_of_words

router = APIRouter(responses=GUARDED)
_read = Depends(needs("read"))
_Text = Annotated[Text | None, Query(max_length=400)]
_ASKED = problems({400: "Something that cannot be used", 404: "Nothing of the kind is known"})


@router.get("/ci/health", tags=["ci"], dependencies=[_read], responses=_ASKED)
def health(
    request: Request, repository: _Text = None, since: _Text = None, until: _Text = None
) -> dict[str, Any]:
    """Pass rates, time to green, durations, flakiness and trends of a repository; of the last 28 days unless told otherwise."""
    state = state_of(request)
    now = state.clock()
    begin, end = window_of_words(since, until, now)
    return ci_health.health_of(state.ledger, repository, now, begin, min(end, now) if end else None)


@router.get("/ci/failures", tags=["ci"], dependencies=[_read], responses=_ASKED)
def failures(
    request: Request,
    repository: _Text = None,
    since: _Text = None,
    until: _Text = None,
    category: _Text = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> list[dict[str, Any]]:
    """Why jobs failed: failures with one signature together, those with most of them first."""
    state = state_of(request)
    now = state.clock()
    begin, end = window_of_words(since, until, now)
    found = ci_failures.clusters_of(
        state.ledger, state.settings, now, repository=repository, since=begin, until=end, category=category
    )
    return found[:limit]


@router.get("/ci/failures/{number}", tags=["ci"], dependencies=[_read], responses=_ASKED)
def failure(request: Request, number: int) -> dict[str, Any]:
    """A failed job explained, by its id: category, evidence lines, and whether it was seen before."""
    state = state_of(request)
    return ci_failures.explained_job(state.ledger, state.settings, str(number), state.clock())


@router.get(
    "/reports",
    tags=["reports"],
    dependencies=[_read],
    responses=problems({400: "Something that cannot be used"}),
)
def list_reports(request: Request, kind: _Text = None, repository: _Text = None) -> list[dict[str, Any]]:
    """The frozen reports, weekly and quarterly ones, those of the latest periods first."""
    return reports.list_reports(state_of(request).ledger, kind, repository)


@router.get(
    "/reports/{key:path}",
    tags=["reports"],
    dependencies=[_read],
    responses=problems({404: "There is no such report"}),
)
def show_report(request: Request, key: Text) -> dict[str, Any]:
    """A report as it was frozen."""
    return reports.one_report(state_of(request).ledger, key)
