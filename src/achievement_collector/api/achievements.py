"""``/achievements``, ``/people``, ``/skills``, ``/stats``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import State, state_of
from achievement_collector.models import AchievementCreate, AchievementEdit, Text
from achievement_collector.present.json_record import achievement_json
from achievement_collector.services import editing, people, records

router = APIRouter(tags=["achievements"], responses=GUARDED)
_read, _write = Depends(needs("read")), Depends(needs("write"))
_REFUSED = problems({400: "A value that cannot be used", 404: "Unknown, or not the only one that is meant"})
_Text = Annotated[Text | None, Query(max_length=500)]


def _now(state: State) -> datetime:
    return datetime.fromtimestamp(state.clock() / 1000, UTC)


def _query(
    category: _Text = None, skill: _Text = None, person: _Text = None, repository: _Text = None, since: _Text = None,
    until: _Text = None, min_impact: Annotated[int | None, Query(ge=0, le=100)] = None,
    search: Annotated[Text | None, Query(max_length=500, description="Text in title or description")] = None,
    kind: _Text = None, left_out: bool = False, hidden: bool = False,
) -> records.Query:  # fmt: skip
    return records.Query(
        category=category, skill=skill, person=person, repository=repository, since=since, until=until,
        min_impact=min_impact, text=search, kind=kind, left_out=left_out, hidden=hidden,
    )  # fmt: skip


_Selected = Annotated[records.Query, Depends(_query)]


@router.get("/achievements", dependencies=[_read], responses=_REFUSED)
def list_achievements(
    request: Request,
    query: _Selected,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    order: Literal["impact", "newest"] = "impact",
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> dict[str, Any]:
    """A page of achievements; ``next`` is the cursor of the page that follows, null at the end. ``matching`` is how many
    achievements the whole selection has, epics not counted (as in ``/stats``), and ``epics`` how many epics are among its
    pages: they gather what is counted already. With ``kind=epic`` both are the number of epics."""
    state = state_of(request)
    now = _now(state)
    page = records.page_of_achievements(state.ledger, query, now, limit=limit, order=order, cursor=cursor)

    def made() -> tuple[int, int]:
        return records.counts_of_selection(state.ledger, query, now)

    matching, epics = state.kept.get(state.ledger, ("counts", query, now.date()), made)
    return {
        "achievements": [achievement_json(one) for one in page.achievements],
        "next": page.next or None,
        "matching": matching,
        "epics": epics,
    }


@router.post("/achievements", dependencies=[_write], responses=_REFUSED, status_code=201)
def create_achievement(request: Request, response: Response, given: AchievementCreate) -> dict[str, Any]:
    """States an achievement; it is marked as stated wherever it is shown."""
    state = state_of(request)
    statement = editing.Statement(
        given.title, given.description, given.date, given.category, given.person, given.link, given.value, given.impact,
        tuple(given.skills),
    )  # fmt: skip
    uid = editing.add_statement(state.ledger, statement, _now(state), state.settings)
    response.headers["Location"] = f"/achievements/{uid}"
    return achievement_json(records.show_achievement(state.ledger, uid).achievement)


@router.get("/achievements/{id}", dependencies=[_read], responses=_REFUSED)
def show_achievement(request: Request, id: str) -> dict[str, Any]:
    """One achievement with its breakdown, its evidence, and the commands that verify it."""
    shown = records.show_achievement(state_of(request).ledger, id)
    return {
        **achievement_json(shown.achievement),
        "verify": list(shown.commands),
        "tags": list(shown.tags),
        "impact_scale": {"factor": shown.scale, "changes": shown.scale_basis},
    }


@router.patch("/achievements/{id}", dependencies=[_write], responses=_REFUSED)
def edit_achievement(request: Request, id: str, given: AchievementEdit) -> dict[str, Any]:
    """Sets what the rules cannot know; it survives every re-derivation."""
    state = state_of(request)
    fields = given.model_dump(exclude={"reset"}, exclude_none=True)
    uid = editing.edit_achievement(
        state.ledger, id, fields, given.reset, state.settings, state.clock() // 1000
    )
    return achievement_json(records.show_achievement(state.ledger, uid).achievement)


@router.delete("/achievements/{id}", dependencies=[_write], responses=_REFUSED)
def delete_achievement(request: Request, id: str) -> dict[str, Any]:
    """Deletes a stated achievement; hides one that was derived, since its facts stay."""
    state = state_of(request)
    uid, is_deleted = editing.remove_or_hide(state.ledger, id, state.settings, state.clock() // 1000)
    return {"id": uid, "status": "deleted" if is_deleted else "hidden"}


@router.get("/people", dependencies=[_read])
def list_people(request: Request, search: _Text = None, bots: bool = False) -> list[dict[str, Any]]:
    """Everybody known, most achievements first. Nobody has a score."""
    state = state_of(request)

    def made() -> list[dict[str, Any]]:
        found = people.known_people(state.ledger, search, bots=bots)
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

    return state.kept.get(state.ledger, ("people", search, bots), made)


@router.get("/skills", dependencies=[_read], responses=_REFUSED)
def list_skills(request: Request, query: _Selected) -> list[dict[str, Any]]:
    """Skills with how often and from when to when they were shown."""
    state = state_of(request)
    now = _now(state)

    def made() -> list[dict[str, Any]]:
        found = records.skills_of_selection(state.ledger, query, now)
        return [one._asdict() | {"kind": one.kind.value} for one in found]

    return state.kept.get(state.ledger, ("skills", query, now.date()), made)


@router.get("/stats", dependencies=[_read], responses=_REFUSED)
def stats(request: Request, query: _Selected) -> dict[str, Any]:
    """Counts of a selection: by month (UTC) and by category."""
    state = state_of(request)
    now = _now(state)

    def made() -> dict[str, Any]:
        found = records.statistics_of(state.ledger, query, now)
        return {
            "selection": found.selection, "achievements": found.matching, "left_out": found.left_out,
            "left_out_bots": found.bots_left_out, "months": dict(found.months), "categories": dict(found.categories),
        }  # fmt: skip

    return state.kept.get(state.ledger, ("stats", query, now.date()), made)
