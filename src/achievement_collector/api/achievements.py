"""``/achievements``, ``/people``, ``/skills``, ``/stats``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from achievement_collector.api.security import needs
from achievement_collector.api.state import State, state_of
from achievement_collector.models import AchievementCreate, AchievementEdit
from achievement_collector.present.json_record import achievement_json
from achievement_collector.services import editing, people, records

router = APIRouter(tags=["achievements"])
_read, _write = Depends(needs("read")), Depends(needs("write"))
_Text = Annotated[str | None, Query(max_length=500)]


def _now(state: State) -> datetime:
    return datetime.fromtimestamp(state.clock() / 1000, UTC)


def _clean(text: str | None) -> str | None:
    """Text that a database can be asked for; lone surrogates and NUL match nothing."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\0", "�")


def _query(
    category: _Text = None, skill: _Text = None, person: _Text = None, repository: _Text = None, since: _Text = None,
    until: _Text = None, min_impact: Annotated[int | None, Query(ge=0, le=100)] = None,
    search: Annotated[str | None, Query(max_length=500, description="Text in title or description")] = None,
    kind: _Text = None, left_out: bool = False, hidden: bool = False,
) -> records.Query:  # fmt: skip
    return records.Query(
        category=_clean(category), skill=_clean(skill), person=_clean(person), repository=_clean(repository),
        since=_clean(since), until=_clean(until), min_impact=min_impact, text=_clean(search), kind=_clean(kind),
        left_out=left_out, hidden=hidden,
    )  # fmt: skip


_Selected = Annotated[records.Query, Depends(_query)]


@router.get("/achievements", dependencies=[_read])
def list_achievements(
    request: Request,
    query: _Selected,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    order: Literal["impact", "newest"] = "impact",
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> dict[str, Any]:
    """A page of achievements; ``next`` is the cursor of the page that follows, null at the end."""
    state = state_of(request)
    page = records.page_of_achievements(
        state.ledger, query, _now(state), limit=limit, order=order, cursor=cursor
    )
    return {"achievements": [achievement_json(one) for one in page.achievements], "next": page.next or None}


@router.post("/achievements", dependencies=[_write], status_code=201)
def create_achievement(request: Request, response: Response, given: AchievementCreate) -> dict[str, Any]:
    """States an achievement; it is marked as stated wherever it is shown."""
    state = state_of(request)
    statement = editing.Statement(
        str(_clean(given.title)), str(_clean(given.description)), given.date, given.category, _clean(given.person),
        str(_clean(given.link)), str(_clean(given.value)), given.impact, tuple(str(_clean(one)) for one in given.skills),
    )  # fmt: skip
    uid = editing.add_statement(state.ledger, statement, _now(state), state.settings)
    response.headers["Location"] = f"/achievements/{uid}"
    return achievement_json(records.show_achievement(state.ledger, uid).achievement)


@router.get("/achievements/{id}", dependencies=[_read])
def show_achievement(request: Request, id: str) -> dict[str, Any]:
    """One achievement with its breakdown, its evidence, and the commands that verify it."""
    shown = records.show_achievement(state_of(request).ledger, id)
    return {
        **achievement_json(shown.achievement),
        "verify": list(shown.commands),
        "tags": list(shown.tags),
        "impact_scale": {"factor": shown.scale, "changes": shown.scale_basis},
    }


@router.patch("/achievements/{id}", dependencies=[_write])
def edit_achievement(request: Request, id: str, given: AchievementEdit) -> dict[str, Any]:
    """Sets what the rules cannot know; it survives every re-derivation."""
    state = state_of(request)
    fields = {
        name: _clean(value) if isinstance(value, str) else value
        for name, value in given.model_dump(exclude={"reset"}, exclude_none=True).items()
    }
    uid = editing.edit_achievement(
        state.ledger, id, fields, given.reset, state.settings, state.clock() // 1000
    )
    return achievement_json(records.show_achievement(state.ledger, uid).achievement)


@router.delete("/achievements/{id}", dependencies=[_write])
def delete_achievement(request: Request, id: str) -> dict[str, Any]:
    """Deletes a stated achievement; hides one that was derived, since its facts stay."""
    state = state_of(request)
    uid, is_deleted = editing.remove_or_hide(state.ledger, id, state.settings, state.clock() // 1000)
    return {"id": uid, "status": "deleted" if is_deleted else "hidden"}


@router.get("/people", dependencies=[_read])
def list_people(request: Request, search: _Text = None, bots: bool = False) -> list[dict[str, Any]]:
    """Everybody known, most achievements first. Nobody has a score."""
    found = people.known_people(state_of(request).ledger, _clean(search), bots=bots)
    return [
        {
            "id": one.id,
            "name": one.name,
            "kind": one.kind,
            "commits": one.commits,
            "achievements": one.achievements,
        }
        for one in found[:1000]
    ]


@router.get("/skills", dependencies=[_read])
def list_skills(request: Request, query: _Selected) -> list[dict[str, Any]]:
    """Skills with how often and from when to when they were shown."""
    state = state_of(request)
    return [
        one._asdict() | {"kind": one.kind.value}
        for one in records.skills_of_selection(state.ledger, query, _now(state))
    ]


@router.get("/stats", dependencies=[_read])
def stats(request: Request, query: _Selected) -> dict[str, Any]:
    """Counts of a selection: by month (UTC) and by category."""
    state = state_of(request)
    record = records.build_record(state.ledger, query, _now(state), top=0)
    return {
        "selection": record.selection,
        "achievements": record.matching,
        "left_out": record.left_out,
        "left_out_bots": record.bots_left_out,
        "months": dict(record.months),
        "categories": dict(record.categories),
    }
