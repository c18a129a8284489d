"""Epics in the ledger: what was built of them, how they grew, their final versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.facts.observations import Kind
from achievement_collector.ledger.rows import insert_into
from achievement_collector.ledger.tables import (
    entities,
    epic_events,
    epic_members,
    epic_revisions,
    epic_versions,
    epics,
    mentions,
    notifications,
)


class StoredEpic(NamedTuple):
    """An epic as it was last built. ``finalised`` and ``changed`` in milliseconds."""

    key: str
    title: str
    source_kind: str
    source_key: str
    state: str
    revision: int
    content_hash: str
    structure: dict[str, Any]
    unmet: tuple[str, ...]
    finalised: int | None
    changed: int


def stored_epic(connection: Connection, key: str, *, lock: bool = False) -> StoredEpic | None:
    # as it is written, too: SQLite lowers ASCII only
    if "\0" in key:
        return None  # PostgreSQL cannot even be asked
    query = sa.select(epics).where(sa.or_(epics.c.key == key, sa.func.lower(epics.c.key) == key.lower()))
    row = connection.execute(query.with_for_update() if lock else query).first()
    return _epic(row) if row else None


def stored_epics(connection: Connection) -> list[StoredEpic]:
    """All epics, those changed last first."""
    return [
        _epic(row)
        for row in connection.execute(sa.select(epics).order_by(epics.c.changed.desc(), epics.c.key))
    ]


def finalised_sources(connection: Connection) -> dict[str, str]:
    """Key of a source in the tracker -> the key of its epic, for epics that are or were final."""
    query = sa.select(epics.c.source_key, epics.c.key).where(
        epics.c.revision > 0, epics.c.source_kind != "local"
    )
    return {row.source_key: row.key for row in connection.execute(query.order_by(epics.c.key.desc()))}


def _epic(row: Any) -> StoredEpic:
    return StoredEpic(
        row.key, row.title, row.source_kind, row.source_key, row.state, row.revision, row.content_hash,
        json.loads(row.structure), tuple(json.loads(row.unmet)), row.finalised, row.changed,
    )  # fmt: skip


def store_epic(connection: Connection, epic: StoredEpic) -> None:
    told = epic._asdict() | {
        "structure": json.dumps(epic.structure, ensure_ascii=False),
        "unmet": json.dumps(list(epic.unmet), ensure_ascii=False),
    }
    insert = insert_into(connection, epics).values(**told)
    connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=told))


def remove_epic(connection: Connection, key: str) -> None:
    connection.execute(sa.delete(epics).where(epics.c.key == key))


def known_key(connection: Connection, kind: Kind, key: str) -> str:
    """The key of a thing as it is written, whatever the case it is asked for by; empty where it is not known."""
    query = sa.select(entities.c.key).where(entities.c.kind == kind.value)
    exact = connection.scalar(query.where(entities.c.key == key))
    found = exact or connection.scalar(
        query.where(sa.func.lower(entities.c.key) == key.lower()).order_by(entities.c.key).limit(1)
    )
    return str(found or "")


# --- growth ------------------------------------------------------------------------------------------


class EpicEvent(NamedTuple):
    """Something that made an epic what it is; ``changes`` are [what, before, after]."""

    id: int
    epic: str
    recorded: int
    kind: str
    cause: str
    told: str
    changes: list[list[Any]]


def add_event(
    connection: Connection,
    epic: str,
    recorded: int,
    kind: str,
    cause: str,
    told: str,
    changes: Sequence[Sequence[Any]] = (),
) -> None:
    connection.execute(
        sa.insert(epic_events).values(
            epic=epic, recorded=recorded, kind=kind, cause=cause, told=told,
            changes=json.dumps([list(one) for one in changes], ensure_ascii=False),
        )
    )  # fmt: skip


def events_of(
    connection: Connection, epic: str, *, after: int = 0, limit: int | None = None
) -> list[EpicEvent]:
    """What happened to an epic, in the order it was recorded."""
    query = (
        sa.select(epic_events)
        .where(epic_events.c.epic == epic, epic_events.c.id > after)
        .order_by(epic_events.c.id)
        .limit(limit)
    )
    return [
        EpicEvent(row.id, row.epic, row.recorded, row.kind, row.cause, row.told, json.loads(row.changes))
        for row in connection.execute(query)
    ]


# --- final versions ----------------------------------------------------------------------------------


def add_versions(
    connection: Connection, epic: str, revision: int, texts: Mapping[str, str], content_hash: str, now: int
) -> None:
    connection.execute(
        sa.insert(epic_versions),
        [
            {
                "epic": epic,
                "revision": revision,
                "persona": persona,
                "text": text,
                "content_hash": content_hash,
                "created": now,
            }
            for persona, text in texts.items()
        ],
    )


def freeze_structure(
    connection: Connection,
    epic: str,
    revision: int,
    structure: Mapping[str, Any],
    content_hash: str,
    now: int,
) -> None:
    """Keeps the structure of a final revision as it was."""
    connection.execute(
        sa.insert(epic_revisions).values(
            epic=epic,
            revision=revision,
            structure=json.dumps(structure, ensure_ascii=False),
            content_hash=content_hash,
            created=now,
        )
    )


def frozen_structure(connection: Connection, epic: str, revision: int) -> dict[str, Any] | None:
    """The structure of a final revision; None where it was made before structures were kept."""
    query = sa.select(epic_revisions.c.structure).where(
        epic_revisions.c.epic == epic, epic_revisions.c.revision == revision
    )
    text = connection.scalar(query)
    return None if text is None else json.loads(text)


def versions_of(connection: Connection, epic: str, revision: int | None = None) -> dict[int, dict[str, str]]:
    """revision -> persona -> text."""
    query = sa.select(epic_versions).where(epic_versions.c.epic == epic).order_by(epic_versions.c.revision)
    if revision is not None:
        query = query.where(epic_versions.c.revision == revision)
    found: dict[int, dict[str, str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.revision, {})[row.persona] = row.text
    return found


def notify(connection: Connection, kind: str, subject: str, body: Mapping[str, Any], now: int) -> None:
    """Leaves word of something, once for each kind and subject."""
    insert = insert_into(connection, notifications)
    connection.execute(
        insert.values(
            kind=kind, subject=subject, body=json.dumps(dict(body), ensure_ascii=False), created=now
        ).on_conflict_do_nothing(index_elements=["kind", "subject"])
    )


class Notification(NamedTuple):
    id: int
    kind: str
    subject: str
    body: dict[str, Any]
    created: int


def notified(connection: Connection, *, after: int = 0, limit: int = 100) -> list[Notification]:
    rows = connection.execute(
        sa.select(notifications).where(notifications.c.id > after).order_by(notifications.c.id).limit(limit)
    )
    return [Notification(row.id, row.kind, row.subject, json.loads(row.body), row.created) for row in rows]


# --- ties --------------------------------------------------------------------------------------------


def set_epics(connection: Connection, member: str, links: Iterable[tuple[str, str]]) -> tuple[set[str], bool]:
    """Stores the epics (with the basis) of a pull request or issue; gives all epics it was or is in, and whether that
    changed."""
    wanted = dict(links)
    rows = connection.execute(sa.select(epic_members).where(epic_members.c.member == member))
    before = {row.epic: row.basis for row in rows}
    if before != wanted:
        connection.execute(sa.delete(epic_members).where(epic_members.c.member == member))
        if wanted:
            connection.execute(
                sa.insert(epic_members),
                [{"member": member, "epic": epic, "basis": basis} for epic, basis in wanted.items()],
            )
    return set(before) | set(wanted), before.keys() != wanted.keys()


def set_mentions(connection: Connection, pull: str, words: Iterable[str]) -> None:
    """Stores what a pull request mentions."""
    told = set(words)
    known = set(connection.scalars(sa.select(mentions.c.word).where(mentions.c.pull == pull)))
    if known - told:
        connection.execute(
            sa.delete(mentions).where(mentions.c.pull == pull, mentions.c.word.in_(known - told))
        )
    if told - known:
        connection.execute(
            sa.insert(mentions), [{"pull": pull, "word": word} for word in sorted(told - known)]
        )


def members_of(connection: Connection, epic: str) -> dict[str, str]:
    """What belongs to an epic: pull requests (``host/owner/name#12``) and issues (``linear/...``) -> basis."""
    rows = connection.execute(
        sa.select(epic_members.c.member, epic_members.c.basis)
        .where(epic_members.c.epic == epic)
        .order_by(epic_members.c.member)
    )
    return {row.member: row.basis for row in rows}


def linked_pulls(connection: Connection) -> list[str]:
    """Every pull request that names something or belongs to an epic."""
    return sorted(
        set(connection.scalars(sa.select(mentions.c.pull).where(~mentions.c.word.startswith("sha:"))))
    )


def epics_of_pulls(connection: Connection, repository: str) -> dict[str, str]:
    """pull request -> epic, of a repository."""
    rows = connection.execute(
        sa.select(epic_members.c.member, epic_members.c.epic)
        .where(epic_members.c.member.startswith(f"{repository}#", autoescape=True))
        .order_by(epic_members.c.epic.desc())
    )
    return {row.member: row.epic for row in rows}


def epics_of_members(connection: Connection, members: Iterable[str]) -> set[str]:
    """The epics that any of these pull requests or issues belongs to."""
    listed = sorted(set(members))
    found: set[str] = set()
    for start in range(0, len(listed), 500):
        part = listed[start : start + 500]
        found |= set(
            connection.scalars(sa.select(epic_members.c.epic).where(epic_members.c.member.in_(part)))
        )
    return found


def pulls_that_mention(connection: Connection, words: Iterable[str]) -> list[str]:
    """Pull requests whose texts name one of the keys (in lower case), or that are one of the commits (``sha:...``)."""
    listed = sorted(set(words))
    found: dict[str, None] = {}
    for start in range(0, len(listed), 500):
        rows = connection.scalars(
            sa.select(mentions.c.pull).where(mentions.c.word.in_(listed[start : start + 500]))
        )
        found |= dict.fromkeys(rows)
    return sorted(found)
