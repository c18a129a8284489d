"""Writing conclusions: rows replaced as a whole, so that a re-derivation leaves no trace of earlier rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.scores import scaled_value
from achievement_collector.ledger.revision import note_change
from achievement_collector.ledger.rows import insert_rows
from achievement_collector.ledger.tables import (
    achievement_credits,
    achievement_skills,
    achievements,
    edits,
    repositories,
    signatures,
    statements,
)

if TYPE_CHECKING:
    from achievement_collector.derive.achievements import Conclusion

_MANY = 500


class StoredConclusion(NamedTuple):
    """What is needed of a stored row to decide whether it still holds."""

    id: int
    fingerprint: str
    raw_impact: float
    is_counted: bool
    occurred: int
    category: str
    is_bot: bool


def achievement_uid(repository_uid: str, key: str) -> str:
    """The short id a user types: the same for the same change of the same repository, for ever."""
    text = f"{repository_uid}\0{key}".encode("utf-8", "surrogatepass")
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()[:12]


def stored_conclusions(
    connection: Connection, repository_id: int, kind: AchievementKind
) -> dict[str, StoredConclusion]:
    """key -> what is stored."""
    names = StoredConclusion._fields
    rows = connection.execute(
        sa.select(achievements.c.key, *(achievements.c[name] for name in names)).where(
            achievements.c.repository_id == repository_id, achievements.c.kind == kind.value
        )
    )
    return {row[0]: StoredConclusion._make(row[1:]) for row in rows}


def remove_achievements(connection: Connection, ids: Sequence[int]) -> None:
    """Removes rows with their skills and credits; what people said about them stays."""
    if ids:
        note_change(connection)
    for start in range(0, len(ids), _MANY):
        part = list(ids[start : start + _MANY])
        for table in (achievement_skills, achievement_credits):
            connection.execute(sa.delete(table).where(table.c.achievement_id.in_(part)))
        connection.execute(sa.delete(achievements).where(achievements.c.id.in_(part)))


def remove_by_uid(connection: Connection, uid: str) -> None:
    ids = connection.scalars(sa.select(achievements.c.id).where(achievements.c.uid == uid)).all()
    remove_achievements(connection, ids)


def has_uid(connection: Connection, uid: str) -> bool:
    return connection.scalar(sa.select(achievements.c.id).where(achievements.c.uid == uid)) is not None


def key_of(connection: Connection, uid: str) -> str:
    """The key of an achievement, which tells what it is of; empty where there is none."""
    return connection.scalar(sa.select(achievements.c.key).where(achievements.c.uid == uid)) or ""


def add_achievements(
    connection: Connection,
    repository_id: int | None,
    repository_uid: str,
    rules_version: int,
    scale: float,
    conclusions: Sequence[Conclusion],
) -> None:
    """Stores rows whose keys are not there (remove earlier ones first); ``repository_id`` is None for what belongs to
    no repository: stated achievements, issues, epics."""
    if not conclusions:
        return
    rows: list[tuple[object, ...]] = []
    skills: list[tuple[object, ...]] = []
    credited: list[tuple[object, ...]] = []
    for number, one in zip(_new_ids(connection, len(conclusions)), conclusions, strict=True):
        is_stated = one.kind == AchievementKind.STATED.value  # their keys hold their ids
        uid = one.key.partition("/")[2] if is_stated else achievement_uid(repository_uid, one.key)
        rows.append(
            (
                number, uid, repository_id, one.key, one.kind, one.title, one.description, one.category,
                scaled_value(one.raw_impact, scale), one.complexity, one.occurred, one.occurred_zone, one.is_counted,
                False, one.is_bot, one.left_out_reason, one.raw_impact, one.pull_request, one.released_in, one.fingerprint,
                rules_version, one.detail,
            )
        )  # fmt: skip
        skills += [
            (number, position, name, kind, evidence)
            for position, (name, kind, evidence) in enumerate(one.skills)
        ]
        credited += [(number, who, role, count) for who, role, count in one.credits]
    note_change(connection)
    insert_rows(connection, achievements, _COLUMNS, rows)
    insert_rows(
        connection, achievement_skills, ("achievement_id", "position", "name", "kind", "evidence"), skills
    )
    insert_rows(
        connection, achievement_credits, ("achievement_id", "signature_id", "role", "commits"), credited
    )


_COLUMNS = (
    "id", "uid", "repository_id", "key", "kind", "title", "description", "category", "impact", "complexity", "occurred",
    "occurred_zone", "is_counted", "is_hidden", "is_bot", "left_out_reason", "raw_impact", "pull_request", "released_in",
    "fingerprint", "rules_version", "detail",
)  # fmt: skip


def _new_ids(connection: Connection, count: int) -> Sequence[int]:
    """Ids that no other writer gets."""
    if connection.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence("achievements", "id")
        return connection.scalars(
            sa.select(sa.func.nextval(sequence)).select_from(sa.func.generate_series(1, count))
        ).all()
    first = int(connection.scalar(sa.select(sa.func.coalesce(sa.func.max(achievements.c.id), 0))) or 0) + 1
    return range(first, first + count)


def rescale(connection: Connection, repository_id: int, scale: float) -> None:
    """Gives all changes of a repository the impact that ``scale`` makes of their unscaled totals."""
    rows = connection.execute(
        sa.select(achievements.c.id, achievements.c.raw_impact, achievements.c.impact).where(
            achievements.c.repository_id == repository_id, achievements.c.kind == AchievementKind.CHANGE.value
        )
    ).all()
    changed = [
        {"row": row.id, "value": scaled_value(row.raw_impact, scale)}
        for row in rows
        if scaled_value(row.raw_impact, scale) != row.impact
    ]
    if changed:
        note_change(connection)
        connection.execute(
            sa.update(achievements)
            .where(achievements.c.id == sa.bindparam("row"))
            .values(impact=sa.bindparam("value")),
            changed,
        )


def forget_derivation(connection: Connection, uid: str) -> None:
    """Makes the next derivation conclude an achievement again (a stated one is made again at once)."""
    connection.execute(
        sa.update(achievements).where(achievements.c.uid == uid).values(fingerprint="", is_hidden=False)
    )
    place = sa.select(achievements.c.repository_id).where(achievements.c.uid == uid).scalar_subquery()
    connection.execute(sa.update(repositories).where(repositories.c.id == place).values(derived_from=""))


def add_statement(connection: Connection, uid: str, body: Mapping[str, Any], now: int) -> None:
    """Remembers what a person stated, word for word."""
    connection.execute(
        sa.insert(statements).values(uid=uid, body=json.dumps(dict(body), ensure_ascii=False), created=now)
    )


def remove_statement(connection: Connection, uid: str) -> None:
    """Deletes a stated achievement with everything people said about it."""
    remove_by_uid(connection, uid)
    connection.execute(sa.delete(statements).where(statements.c.uid == uid))
    connection.execute(sa.delete(edits).where(edits.c.achievement_uid == uid))


def statement_of(connection: Connection, uid: str) -> dict[str, Any] | None:
    body = connection.scalar(sa.select(statements.c.body).where(statements.c.uid == uid))
    return json.loads(body) if body else None


def gathered_by_release(connection: Connection, repository_id: int) -> dict[str, tuple[dict[str, int], int]]:
    """release -> (counted changes by category, people behind them)."""
    of_changes = (
        achievements.c.repository_id == repository_id,
        achievements.c.kind == AchievementKind.CHANGE.value,
        achievements.c.is_counted,
        achievements.c.released_in != "",
    )
    by_category: dict[str, dict[str, int]] = {}
    for release, category, count in connection.execute(
        sa.select(achievements.c.released_in, achievements.c.category, sa.func.count())
        .where(*of_changes)
        .group_by(achievements.c.released_in, achievements.c.category)
    ):
        by_category.setdefault(release, {})[category] = int(count)
    people = {
        row[0]: int(row[1])
        for row in connection.execute(
            sa.select(achievements.c.released_in, sa.func.count(sa.distinct(signatures.c.person_id)))
            .join(achievement_credits, achievement_credits.c.achievement_id == achievements.c.id)
            .join(signatures, signatures.c.id == achievement_credits.c.signature_id)
            .where(*of_changes)
            .group_by(achievements.c.released_in)
        )
    }
    return {release: (counts, people.get(release, 0)) for release, counts in by_category.items()}


def note_derivation(connection: Connection, repository_id: int, **values: Any) -> None:
    connection.execute(sa.update(repositories).where(repositories.c.id == repository_id).values(**values))


EDITABLE = ("title", "description", "hidden", "impact", "complexity", "value")
"""What a person may set."""


def add_edit(connection: Connection, uid: str, field: str, value: Any, now: int) -> None:
    """Remembers what a person set; None takes it back. All earlier edits stay on record."""
    stored = None if value is None else json.dumps(value, ensure_ascii=False)
    connection.execute(sa.insert(edits).values(achievement_uid=uid, field=field, value=stored, created=now))


def edits_of(
    connection: Connection, uids: Iterable[str] | None = None
) -> dict[str, dict[str, tuple[Any, int]]]:
    """uid -> field -> (value, when it was set): the edits in force."""
    query = sa.select(edits.c.achievement_uid, edits.c.field, edits.c.value, edits.c.created).order_by(
        edits.c.id
    )
    if uids is not None:
        query = query.where(edits.c.achievement_uid.in_(list(uids)))
    found: dict[str, dict[str, tuple[Any, int]]] = {}
    for uid, field, value, created in connection.execute(query):
        if value is None:
            found.get(uid, {}).pop(field, None)
        else:
            found.setdefault(uid, {})[field] = (json.loads(value), created)
    return {uid: fields for uid, fields in found.items() if fields}


def move_edits(connection: Connection, renamed: Mapping[str, str]) -> None:
    """Gives what people set on an achievement to the one it has become (``renamed``: former id -> present id)."""
    for uid in edits_of(connection) if renamed else ():
        if uid in renamed:
            connection.execute(
                sa.update(edits).where(edits.c.achievement_uid == uid).values(achievement_uid=renamed[uid])
            )


class EditedChange(NamedTuple):
    """What a change on which people set something is known by, whatever its commits are called. ``started`` is when its
    first commit was written, in seconds; ``people`` are ids of signatures."""

    uid: str
    started: int
    commits: int
    people: frozenset[int]


def edited_changes(connection: Connection, ids: Sequence[int]) -> list[EditedChange]:
    """Those of these rows on which people set something."""
    in_force = list(edits_of(connection)) if ids else []
    wanted = set(ids)
    found = []
    for start in range(0, len(in_force), _MANY):
        part = in_force[start : start + _MANY]
        query = sa.select(achievements.c.id, achievements.c.uid, achievements.c.detail)
        for row in connection.execute(query.where(achievements.c.uid.in_(part))).all():
            detail = json.loads(row.detail)
            if row.id in wanted and detail.get("started") and detail.get("commits"):
                credit = achievement_credits.c
                of_row = sa.select(credit.signature_id).where(credit.achievement_id == row.id)
                people = frozenset(int(one) for one in connection.scalars(of_row))
                found.append(EditedChange(row.uid, int(detail["started"][0]), len(detail["commits"]), people))
    return found


def apply_edits(connection: Connection, repository_id: int | None = None) -> None:
    """Lays the edits in force over the derived rows, of one repository or of all."""
    in_force = edits_of(connection)
    if not in_force:
        return
    query = sa.select(achievements.c.uid).where(achievements.c.uid.in_(list(in_force)))
    if repository_id is not None:
        query = query.where(achievements.c.repository_id == repository_id)
    for uid in connection.scalars(query).all():
        set_edited(connection, uid, {field: value for field, (value, _) in in_force[uid].items()})


def apply_edits_of(connection: Connection, uids: Sequence[str]) -> None:
    """Lays the edits in force over these rows."""
    for uid, fields in edits_of(connection, uids).items():
        set_edited(connection, uid, {field: value for field, (value, _) in fields.items()})


def set_edited(connection: Connection, uid: str, fields: Mapping[str, Any]) -> None:
    """Shows ``fields`` instead of what was derived; the derived values stay in the row's detail."""
    values: dict[str, Any] = {
        column: fields[column]
        for column in ("title", "description", "impact", "complexity")
        if column in fields
    }
    if "hidden" in fields:
        values["is_hidden"] = bool(fields["hidden"])
    if values:
        note_change(connection)
        connection.execute(sa.update(achievements).where(achievements.c.uid == uid).values(**values))
