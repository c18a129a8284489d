"""``/deployments`` and ``/dora``: what reached its environment, how often, how soon and how safely."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import State, state_of
from achievement_collector.derive.dora import dora_data
from achievement_collector.models import Text
from achievement_collector.services import deployments
from achievement_collector.services.records import parse_moment

router = APIRouter(tags=["deployments"], responses=GUARDED)
_read = Depends(needs("read"))
_REFUSED = problems({400: "A value that cannot be used", 404: "There is no such repository"})
_UNKNOWN = problems({404: "There is no such deployment, or it is not the only one that is meant"})
_Text = Annotated[Text | None, Query(max_length=500)]


@router.get("/deployments", dependencies=[_read], responses=_REFUSED)
def list_deployments(
    request: Request,
    repository: _Text = None,
    environment: _Text = None,
    state: _Text = None,
    since: _Text = None,
    until: _Text = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[Text, Query(max_length=2_000)] = "",
) -> dict[str, Any]:
    """A page of the recorded deployments, newest first; ``next`` is the cursor of the page that follows, null at the end, and
    ``matching`` how many there are in all. ``shipped`` is null until the deployment is concluded."""
    own = state_of(request)
    begin, end = _window(own, since, until)
    page = deployments.list_deployments(
        own.ledger, repository=repository, environment=environment, state=state, since=begin, until=end, limit=limit,
        cursor=cursor, production=own.settings.deployment_environments,
    )  # fmt: skip
    return {"deployments": page.deployments, "next": page.next or None, "matching": page.matching}


@router.get("/deployments/{key:path}", dependencies=[_read], responses=_UNKNOWN)
def show_deployment(request: Request, key: Text) -> dict[str, Any]:
    """A deployment with the changes that it shipped."""
    own = state_of(request)
    return deployments.show_deployment(own.ledger, key, own.settings.deployment_environments)


@router.get("/dora", dependencies=[_read], responses=_REFUSED)
def dora(
    request: Request,
    repository: _Text = None,
    environment: _Text = None,
    since: _Text = None,
    until: _Text = None,
) -> list[dict[str, Any]]:
    """The DORA measures of each repository and production environment, or of the environment that is asked for. A measure
    without enough that was recorded has no value and says why."""
    own = state_of(request)
    begin, end = _window(own, since, until)
    now = own.clock()
    end = min(end or now, now)

    def made() -> list[dict[str, Any]]:
        found = deployments.dora_of(
            own.ledger,
            repository,
            environment,
            since=begin,
            until=end,
            production=own.settings.deployment_environments,
        )
        return [dora_data(one) for one in found]

    # to the hour: what is recorded in between makes another key
    key = ("dora", repository, environment, _hour(begin), _hour(end), deployments.last_news(own.ledger))
    return own.kept.get(own.ledger, key, made)


def _hour(at: int | None) -> int | None:
    return None if at is None else at // 3_600_000


def _window(own: State, since: str | None, until: str | None) -> tuple[int | None, int | None]:
    moment = datetime.fromtimestamp(own.clock() / 1000, UTC)
    begin, end = parse_moment(since, moment), parse_moment(until, moment, is_end=True)
    return (
        int(begin.timestamp() * 1000) if begin else None,
        int(end.timestamp() * 1000) if end else None,
    )
