"""``/roadmap``: where milestones stand."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import State, state_of
from achievement_collector.models import Text
from achievement_collector.services import roadmap

router = APIRouter(tags=["roadmap"], responses=GUARDED)
_read = Depends(needs("read"))
_UNUSABLE = problems({400: "The roadmap's file cannot be used"})
_UNKNOWN = problems(
    {400: "The roadmap's file cannot be used", 404: "There is no such milestone, or it may be several"}
)


@router.get("/roadmap", dependencies=[_read], responses=_UNUSABLE)
def roadmap_status(request: Request) -> dict[str, Any]:
    """Every milestone with status, readiness, progress, forecast and slips, and the measures of the whole roadmap. What was not
    measured has no value and says why."""
    own = state_of(request)
    plan = roadmap.load_plan(settings=own.settings)
    return own.kept.get(
        own.ledger,
        ("roadmap", plan, *_kept(own)),
        lambda: roadmap.roadmap_status(own.ledger, plan, own.clock()),
    )


@router.get("/roadmap/{key:path}", dependencies=[_read], responses=_UNKNOWN)
def show_milestone(request: Request, key: Text) -> dict[str, Any]:
    """A milestone by its key, title or another of its names: also its issues and pull requests, and what told that they
    belong to it."""
    own = state_of(request)
    plan = roadmap.load_plan(settings=own.settings)
    return own.kept.get(
        own.ledger,
        ("roadmap", key, plan, *_kept(own)),
        lambda: roadmap.show_milestone(own.ledger, plan, key, own.clock()),
    )


def _kept(own: State) -> tuple[Any, ...]:
    """To the hour: what is told in between makes another key."""
    return own.clock() // 3_600_000, *roadmap.last_news(own.ledger)
