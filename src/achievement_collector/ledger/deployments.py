"""Deployments as typed facts, and what they are laid over: the graph of the history, and the changes it became."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.deployments import Change
from achievement_collector.derive.epics import Rolled
from achievement_collector.derive.history import History
from achievement_collector.facts.deployments import REPLACED, state_told
from achievement_collector.facts.observations import Kind, Observation, Registers, merge
from achievement_collector.facts.work import Deployment
from achievement_collector.ledger.entities import things
from achievement_collector.ledger.tables import achievements, commits, entities, signatures
from achievement_collector.ledger.work import names_of

_MANY = 500
_ROWS_AT_A_TIME = 2_000


class Recorded(NamedTuple):
    """Deployments, by repository and key, and when those that were rolled back were told to be (milliseconds)."""

    deployments: list[Deployment]
    rolled_back: dict[str, int]


def recorded_deployments(connection: Connection, repository: str | None = None) -> Recorded:
    """The deployments of a repository, or of all. One that was told of under several names of a renamed repository is one,
    under the present name; what names no environment is left out.

    Where nothing told when a deployment ended, its end is the moment at which it was told to have ended, which is no
    earlier.
    """
    present = _present_names(connection)
    if repository is not None:
        wanted = names_of(connection, repository)[0]
        present = {scope: place for scope, place in present.items() if place == wanted}
    told: dict[str, Registers] = {}
    places: dict[str, str] = {}
    for one in things(connection, Kind.DEPLOYMENT, scopes=list(present)):
        place = present[one.scope]
        key = place + one.key.removeprefix(one.scope)
        places[key] = place
        known = told.get(key, {})
        for name, value in one.fields.items():
            known = merge(known, Observation(Kind.DEPLOYMENT, key, one.said[name], {name: value}))
        told[key] = known
    found = [_deployment(key, places[key], told[key]) for key in sorted(told)]
    back = {
        one.key: said
        for one in found
        if one.state == "rolled_back"
        and one.environment
        and (said := state_told(told[one.key]).at) is not None
    }
    return Recorded([one for one in found if one.environment], back)


def _deployment(key: str, place: str, told: Registers) -> Deployment:
    fields = {name: value for name, (_, value) in told.items()}
    (state, said), finished = state_told(told), _moment(fields.get("finished"))
    if finished is None and state in _ENDS:
        finished = said
    started = _moment(fields.get("started"))
    return Deployment(
        key, place, str(fields.get("environment") or "").strip(), str(fields.get("sha") or ""),
        str(fields.get("version") or ""), state, started if started is not None else _moment(fields.get("created")), finished,
        str(fields.get("url") or ""),
    )  # fmt: skip


_ENDS = ("success", "failure", "error", REPLACED)
"""The states that are told when a deployment ends (``inactive`` is a success that was replaced); ``rolled_back`` is told at
some time later."""


def _moment(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def repositories_with_deployments(connection: Connection) -> list[str]:
    """The present names of all repositories of which a deployment was told."""
    return sorted(set(_present_names(connection).values()))


def _present_names(connection: Connection) -> dict[str, str]:
    """The present name of each repository of which a deployment was told, by the names it was told under."""
    scopes = connection.scalars(
        sa.select(entities.c.scope).where(entities.c.kind == Kind.DEPLOYMENT.value).distinct()
    ).all()
    return {scope: names_of(connection, scope)[0] for scope in scopes if scope}


def last_news(connection: Connection) -> tuple[int, int]:
    """(deployments known, when one changed last, by our clock): the same numbers mean the same deployments."""
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.max(entities.c.changed)).where(
            entities.c.kind == Kind.DEPLOYMENT.value
        )
    ).one()
    return int(row[0]), int(row[1] or 0)


def timed_graph(connection: Connection, repository_id: int) -> History:
    """The commits of a repository with parents, authors and times, without their messages."""
    history = History()
    table = commits.c
    rows = connection.execute(
        sa.select(table.sha, table.parents, table.author_id, table.authored, table.committed)
        .where(table.repository_id == repository_id)
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )
    for sha, parents, author, authored, committed in rows:
        history.add(sha, parents.split(), author=author, authored=authored, committed=committed, message="")
    return history


def programs(connection: Connection) -> frozenset[int]:
    """The ids of the signatures that are bots."""
    return frozenset(connection.scalars(sa.select(signatures.c.id).where(signatures.c.kind == "bot")))


def changes_of(connection: Connection, repository_id: int) -> list[Change]:
    """The changes of a repository; those that a person hid are left out."""
    table = achievements.c
    rows = connection.execute(
        sa.select(
            table.uid, table.key, table.title, table.category, table.impact, table.is_counted, table.left_out_reason,
            table.pull_request, table.detail,
        )
        .where(
            table.repository_id == repository_id,
            table.kind == AchievementKind.CHANGE.value,
            table.is_hidden == sa.false(),
        )
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )  # fmt: skip
    found = []
    for uid, key, title, category, impact, is_counted, left_out, number, text in rows:
        detail = json.loads(text)
        found.append(
            Change(
                Rolled(uid, title, category, impact, is_counted, left_out), key, number,
                tuple(detail.get("commits", ())), detail.get("anchor") or "",
            )
        )  # fmt: skip
    return found


def stored_details(connection: Connection, uids: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    """uid -> the detail of a stored achievement."""
    listed: Sequence[str] = list(uids)
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(listed), _MANY):
        rows = connection.execute(
            sa.select(achievements.c.uid, achievements.c.detail).where(
                achievements.c.uid.in_(listed[start : start + _MANY])
            )
        )
        found |= {uid: json.loads(text) for uid, text in rows}
    return found
