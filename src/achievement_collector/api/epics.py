"""``/epics``: how they stand, how they grew, their final versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.derive.epics import iso
from achievement_collector.ledger import epics as stored
from achievement_collector.models import EpicLink, EpicStart
from achievement_collector.services import epics

router = APIRouter(prefix="/epics", tags=["epics"])
_read, _write = Depends(needs("read")), Depends(needs("write"))


@router.get("", dependencies=[_read])
def list_epics(request: Request) -> list[dict[str, Any]]:
    """All epics, those that changed last first."""
    with state_of(request).ledger.read() as connection:
        return [_brief(one) for one in stored.stored_epics(connection)]


@router.post("", dependencies=[_write], status_code=202)
def start_epic(request: Request, response: Response, given: EpicStart) -> dict[str, Any]:
    """Starts an epic by hand; its draft is there within seconds."""
    state = state_of(request)
    epics.start_epic(state.ledger, given.key, given.title, given.description, state.clock())
    response.headers["Location"] = f"/epics/{given.key}"
    return {"key": given.key, "status": "accepted"}


@router.get("/{key}", dependencies=[_read])
def show_epic(request: Request, key: str) -> dict[str, Any]:
    """An epic as it stands: timeline, deliverables, metrics, evidence, milestones."""
    with state_of(request).ledger.read() as connection:
        return dict(epics.epic_data(epics.find_epic(connection, _clean(key))))


@router.get("/{key}/events", dependencies=[_read])
def epic_events(
    request: Request, key: str, after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[dict[str, Any]]:  # fmt: skip
    """What made an epic what it is, in the order it was recorded; each event with what it changed."""
    with state_of(request).ledger.read() as connection:
        epic = epics.find_epic(connection, _clean(key))
        found = stored.events_of(connection, epic.key, after=after, limit=limit)
    return [{**one._asdict(), "recorded": iso(one.recorded)} for one in found]


@router.get("/{key}/versions/{persona}", dependencies=[_read], response_class=Response)
def epic_version(
    request: Request, key: str, persona: str, revision: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> Response:
    """The final version for a reader, in Markdown; the newest, or that of a revision."""
    with state_of(request).ledger.read() as connection:
        epic = epics.find_epic(connection, _clean(key))
        wanted = revision or epic.revision
        found = stored.versions_of(connection, epic.key, wanted).get(wanted, {})
    text = found.get(persona.replace("-", "_"))
    if text is None:
        raise HTTPException(
            404, f"there is no final version {wanted or ''} of {epic.key} for this reader".replace("  ", " ")
        )
    return Response(text, media_type="text/markdown; charset=utf-8")


@router.post("/{key}/complete", dependencies=[_write], status_code=202)
def complete_epic(request: Request, key: str) -> dict[str, Any]:
    """Completes an epic by hand, whatever the conditions say."""
    state = state_of(request)
    return {"key": epics.complete_epic(state.ledger, _clean(key), True, state.clock()), "status": "accepted"}


@router.post("/{key}/reopen", dependencies=[_write], status_code=202)
def reopen_epic(request: Request, key: str) -> dict[str, Any]:
    """Takes a completion by hand back."""
    state = state_of(request)
    return {"key": epics.complete_epic(state.ledger, _clean(key), False, state.clock()), "status": "accepted"}


@router.post("/{key}/links", dependencies=[_write], status_code=202)
def link(request: Request, key: str, given: EpicLink) -> dict[str, Any]:
    """Says that a pull request belongs to an epic, or does not; that stays, whatever is told later."""
    state = state_of(request)
    epics.link_by_hand(state.ledger, _clean(key), _clean(given.pull_request), given.belongs, state.clock())
    return {"status": "accepted"}


def _brief(one: stored.StoredEpic) -> dict[str, Any]:
    return {
        "key": one.key, "title": one.title, "status": one.state, "revision": one.revision, "unmet": list(one.unmet),
        "changed": iso(one.changed), "finalised": iso(one.finalised),
        "prs_merged": one.structure["deliverables"]["prs_merged"],
        "issues_completed": one.structure["deliverables"]["issues_completed"],
    }  # fmt: skip


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "�")
