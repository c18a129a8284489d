"""``/epics``: how they stand, how they grew, their final versions."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.derive.epics import iso
from achievement_collector.ledger import epics as stored
from achievement_collector.models import EpicLink, EpicStart, Text
from achievement_collector.services import epics

router = APIRouter(prefix="/epics", tags=["epics"], responses=GUARDED)
_read, _write = Depends(needs("read")), Depends(needs("write"))
_UNKNOWN = problems({404: "There is no such epic"})
_UNCHANGED = problems({400: "Nothing to complete or to take back", 404: "There is no such epic"})
_CANNOT = problems({400: "No key for an epic, or a title for one of Linear"})
_REFUSED = problems({400: "A value that cannot be used", 404: "There is no such epic or pull request"})


@router.get("", dependencies=[_read])
def list_epics(request: Request) -> list[dict[str, Any]]:
    """All epics, those that changed last first."""
    with state_of(request).ledger.read() as connection:
        return [_brief(one) for one in stored.stored_epics(connection)]


@router.post("", dependencies=[_write], status_code=202, responses=_CANNOT)
def start_epic(request: Request, response: Response, given: EpicStart) -> dict[str, Any]:
    """Starts an epic by hand; its draft is there within seconds."""
    state = state_of(request)
    key = epics.start_epic(state.ledger, given.key, given.title, given.description, state.clock())
    response.headers["Location"] = f"/epics/{quote(key, safe='')}"
    return {"key": key, "status": "accepted"}


@router.get("/{key:path}/events", dependencies=[_read], responses=_UNKNOWN)
def epic_events(
    request: Request, key: Text, after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[dict[str, Any]]:  # fmt: skip
    """What made an epic what it is, in the order it was recorded; each event with what it changed."""
    with state_of(request).ledger.read() as connection:
        epic = epics.find_epic(connection, key)
        found = stored.events_of(connection, epic.key, after=after, limit=limit)
    return [{**one._asdict(), "recorded": iso(one.recorded)} for one in found]


@router.get(
    "/{key:path}/versions/{persona}",
    dependencies=[_read],
    response_class=Response,
    responses={
        200: {"content": {"text/markdown": {}}},
        **problems({404: "There is no such epic or version"}),
    },
)
def epic_version(
    request: Request, key: Text, persona: Text, revision: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> Response:
    """The final version for a reader, in Markdown; the newest, or that of a revision."""
    with state_of(request).ledger.read() as connection:
        epic = epics.find_epic(connection, key)
        wanted = revision or epic.revision
        found = stored.versions_of(connection, epic.key, wanted).get(wanted, {})
    text = found.get(persona.replace("-", "_"))
    if text is None:
        raise HTTPException(
            404, f"there is no final version {wanted or ''} of {epic.key} for this reader".replace("  ", " ")
        )
    return Response(text, media_type="text/markdown; charset=utf-8")


@router.post("/{key:path}/complete", dependencies=[_write], responses=_UNCHANGED, status_code=202)
def complete_epic(request: Request, key: Text) -> dict[str, Any]:
    """Completes an epic by hand, whatever the conditions say."""
    state = state_of(request)
    return {"key": epics.complete_epic(state.ledger, key, True, state.clock()), "status": "accepted"}


@router.post("/{key:path}/reopen", dependencies=[_write], responses=_UNCHANGED, status_code=202)
def reopen_epic(request: Request, key: Text) -> dict[str, Any]:
    """Takes a completion by hand back."""
    state = state_of(request)
    return {"key": epics.complete_epic(state.ledger, key, False, state.clock()), "status": "accepted"}


@router.post("/{key:path}/links", dependencies=[_write], status_code=202, responses=_REFUSED)
def link(request: Request, key: Text, given: EpicLink) -> dict[str, Any]:
    """Says that a pull request belongs to an epic, or does not; that stays, whatever is told later. ``started`` tells whether
    this started the epic."""
    state = state_of(request)
    epic, is_started = epics.link_by_hand(state.ledger, key, given.pull_request, given.belongs, state.clock())
    return {"status": "accepted", "epic": epic, "started": is_started}


@router.get("/{key:path}", dependencies=[_read], responses=_UNKNOWN)
def show_epic(request: Request, key: Text) -> dict[str, Any]:
    """An epic as it stands: timeline, deliverables, metrics, evidence, milestones. Its events are a list of their own."""
    with state_of(request).ledger.read() as connection:
        told = epics.epic_data(epics.find_epic(connection, key))
    return {name: value for name, value in told.items() if name != "events"}


def _brief(one: stored.StoredEpic) -> dict[str, Any]:
    return {
        "key": one.key, "title": one.title, "status": one.state, "revision": one.revision, "unmet": list(one.unmet),
        "changed": iso(one.changed), "finalised": iso(one.finalised),
        "prs_merged": one.structure["deliverables"]["prs_merged"],
        "issues_completed": one.structure["deliverables"]["issues_completed"],
    }  # fmt: skip
