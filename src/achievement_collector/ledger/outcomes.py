"""Writing and reading conclusions about outcomes: deployments, KPIs, content, experiments."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger.entities import cursor
from achievement_collector.ledger.tables import (
    achievement_credits,
    achievements,
    edits,
    entities,
    repositories,
)

_MANY = 500

SCRAPES = "prometheus"
"""The name under which the state of scraping is remembered."""


def replace_outcomes(
    connection: Connection,
    kind: AchievementKind,
    belongs: Callable[[str], bool],
    found: Sequence[Conclusion],
    repository: tuple[int, str] | None = None,
) -> list[str]:
    """Makes ``found`` the only achievements of a kind whose keys ``belongs`` accepts, and gives the keys that came, went or
    changed; what is the same is not touched. ``repository`` is (id, uid) where they belong to one."""
    number, uid = repository or (None, "")
    stored = {
        row.key: row
        for row in connection.execute(sa.select(achievements).where(achievements.c.kind == kind.value))
        if belongs(row.key)
    }
    credited = _credits(connection, [row.id for row in stored.values()])
    edited = set(connection.scalars(sa.select(edits.c.achievement_uid).distinct()))
    wanted = {one.key: one for one in found}
    changed = [key for key in stored if key not in wanted]
    changed += [
        key
        for key, one in wanted.items()
        if key not in stored
        or not _is_same(stored[key], credited.get(stored[key].id, set()), one, number, edited)
    ]
    conclusions.remove_achievements(connection, [stored[key].id for key in changed if key in stored])
    new = [wanted[key] for key in changed if key in wanted]
    conclusions.add_achievements(connection, number, uid, RULES_VERSION, 1.0, new)
    conclusions.apply_edits_of(connection, [conclusions.achievement_uid(uid, one.key) for one in new])
    return sorted(changed)


def _credits(connection: Connection, ids: Sequence[int]) -> dict[int, set[tuple[int, str, int]]]:
    found: dict[int, set[tuple[int, str, int]]] = {}
    table = achievement_credits.c
    for start in range(0, len(ids), _MANY):
        for row in connection.execute(
            sa.select(table.achievement_id, table.signature_id, table.role, table.commits).where(
                table.achievement_id.in_(ids[start : start + _MANY])
            )
        ):
            found.setdefault(row[0], set()).add((row[1], row[2], row[3]))
    return found


def _is_same(
    row: Any,
    credited: set[tuple[int, str, int]],
    one: Conclusion,
    repository: int | None,
    edited: Collection[str],
) -> bool:
    """Whether a stored row is what was concluded; of those that a person edited, title and description are the person's."""
    return bool(
        row.repository_id == repository
        and (row.title == one.title or row.uid in edited)
        and (row.description == one.description or row.uid in edited)
        and row.category == one.category
        and row.occurred == one.occurred
        and row.is_counted == one.is_counted
        and row.left_out_reason == one.left_out_reason
        and row.raw_impact == one.raw_impact
        and row.complexity == one.complexity
        and row.detail == one.detail
        and row.rules_version == RULES_VERSION
        and credited == set(one.credits)
    )


class Outcome(NamedTuple):
    """A stored conclusion about an outcome; ``told`` is what its detail holds under its kind's name."""

    uid: str
    key: str
    title: str
    occurred: int
    is_counted: bool
    left_out_reason: str
    detail: dict[str, Any]


def outcomes(
    connection: Connection, kind: AchievementKind, keys: Iterable[str] | None = None
) -> list[Outcome]:
    """The conclusions of a kind, oldest first, those that are left out too; not those that a person hid."""
    table = achievements.c
    query = sa.select(
        table.uid,
        table.key,
        table.title,
        table.occurred,
        table.is_counted,
        table.left_out_reason,
        table.detail,
    ).where(table.kind == kind.value, table.is_hidden == sa.false())
    rows: list[Any] = []
    if keys is None:
        rows += connection.execute(query).all()
    else:
        listed = list(dict.fromkeys(keys))
        for start in range(0, len(listed), _MANY):
            rows += connection.execute(query.where(table.key.in_(listed[start : start + _MANY]))).all()
    return sorted(
        (
            Outcome(
                row.uid,
                row.key,
                row.title,
                row.occurred,
                row.is_counted,
                row.left_out_reason,
                json.loads(row.detail),
            )
            for row in rows
        ),
        key=lambda one: (one.occurred, one.key),
    )


class MergedChange(NamedTuple):
    """A counted change as far as it is a rival of others. ``at`` in milliseconds."""

    uid: str
    repository: str
    key: str
    title: str
    at: int
    web_url: str
    pull_request: int | None


def merged_between(
    connection: Connection, since: int, until: int, among: Sequence[str] = ()
) -> list[MergedChange]:
    """The counted changes that reached a main line between two moments (milliseconds), newest first."""
    query = (
        sa.select(
            achievements.c.uid, repositories.c.key.label("place"), achievements.c.key, achievements.c.title,
            achievements.c.occurred, repositories.c.web_url, achievements.c.pull_request,
        )
        .join(repositories)
        .where(
            achievements.c.kind == AchievementKind.CHANGE.value, achievements.c.is_counted == sa.true(),
            achievements.c.occurred >= since // 1000, achievements.c.occurred <= until // 1000,
        )
        .order_by(achievements.c.occurred.desc(), achievements.c.uid)
    )  # fmt: skip
    if among:
        query = query.where(repositories.c.key.in_(list(among)))
    return [
        MergedChange(row[0], row[1], row[2], row[3], row[4] * 1000, row[5] or "", row[6])
        for row in connection.execute(query)
    ]


def pulls_of(connection: Connection, uids: Iterable[str]) -> dict[str, str]:
    """uid -> the key (``host/owner/name#12``) of the pull request that a change came with, where it did."""
    listed = list(dict.fromkeys(uids))
    found: dict[str, str] = {}
    for start in range(0, len(listed), _MANY):
        rows = connection.execute(
            sa.select(achievements.c.uid, repositories.c.key, achievements.c.pull_request)
            .join(repositories)
            .where(
                achievements.c.uid.in_(listed[start : start + _MANY]),
                achievements.c.pull_request.is_not(None),
            )
        )
        found |= {row[0]: f"{row[1]}#{row[2]}" for row in rows}
    return found


class OutcomeCounts(NamedTuple):
    """What was recorded so far, by all processes."""

    posts: int
    posts_that_count: int
    milestones: int
    scrapes: int
    failed_scrapes: int


def outcome_counts(connection: Connection) -> OutcomeCounts:
    def count(kind: Kind) -> int:
        query = sa.select(sa.func.count()).select_from(entities).where(entities.c.kind == kind.value)
        return int(connection.scalar(query) or 0)

    counted = connection.scalar(
        sa.select(sa.func.count())
        .select_from(achievements)
        .where(achievements.c.kind == AchievementKind.CONTENT.value, achievements.c.is_counted == sa.true())
    )
    told = cursor(connection, SCRAPES) or {}
    return OutcomeCounts(
        count(Kind.POST), int(counted or 0), count(Kind.KPI_MILESTONE), int(told.get("scrapes", 0)), int(told.get("failed", 0))
    )  # fmt: skip
