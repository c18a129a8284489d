"""People in the ledger: who the signatures belong to, and what persons decided about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.conclusions import GATHERERS
from achievement_collector.derive.identity import AuthorKind, Decision, Person, parse_signature
from achievement_collector.facts import Signature
from achievement_collector.ledger.revision import note_change
from achievement_collector.ledger.tables import (
    achievement_credits,
    achievements,
    commits,
    people,
    people_decisions,
    signatures,
)


def replace_people(connection: Connection, found: Sequence[Person]) -> int:
    """Stores who is who; gives the number of signatures that now belong to somebody else."""
    before = {
        row.id: (row.person_id, row.kind)
        for row in connection.execute(sa.select(signatures.c.id, signatures.c.person_id, signatures.c.kind))
    }
    moved = [
        {"of_id": number, "new_person": person.id, "new_kind": person.kind.value}
        for person in found
        for number in person.signatures
        if before.get(number) != (person.id, person.kind.value)
    ]
    stored = {row.id: (row.name, row.email, row.kind) for row in connection.execute(sa.select(people))}
    wanted = {person.id: (person.name, person.email, person.kind.value) for person in found}
    changed = [key for key, value in stored.items() if wanted.get(key) != value]
    for start in range(0, len(changed), 500):
        connection.execute(sa.delete(people).where(people.c.id.in_(changed[start : start + 500])))
    new = [
        {"id": key, "name": name, "email": email, "kind": kind}
        for key, (name, email, kind) in wanted.items()
        if stored.get(key) != (name, email, kind)
    ]
    if new or changed or moved:
        note_change(connection)
    if new:
        connection.execute(sa.insert(people), new)
    if moved:
        connection.execute(
            sa.update(signatures)
            .where(signatures.c.id == sa.bindparam("of_id"))
            .values(person_id=sa.bindparam("new_person"), kind=sa.bindparam("new_kind")),
            moved,
        )
    return len(moved)


def find_people(connection: Connection, text: str) -> tuple[str, ...]:
    """Ids of the people that ``text`` names: an id, an address, a whole name, else a part of a name."""
    wanted = text.strip().lower()
    if not wanted:
        return ()
    by_id = connection.scalars(sa.select(people.c.id).where(people.c.id == wanted)).all()
    if by_id:
        return tuple(by_id)
    who = parse_signature(text)
    for condition in (
        sa.and_(sa.func.lower(signatures.c.email) == who.email.lower(), sa.func.lower(signatures.c.name) == who.name.lower())
        if who
        else sa.false(),
        sa.func.lower(signatures.c.email) == (who.email.lower() if who else wanted),
        sa.func.lower(people.c.name) == wanted,
        sa.func.lower(signatures.c.name) == wanted,
        people.c.name.icontains(wanted, autoescape=True),
        signatures.c.email.icontains(wanted, autoescape=True),
    ):  # fmt: skip
        found = connection.scalars(
            sa.select(people.c.id)
            .join(signatures, signatures.c.person_id == people.c.id)
            .where(condition)
            .distinct()
            .order_by(people.c.id)
        ).all()
        if found:
            return tuple(found)
    return ()


def display_name(connection: Connection, person_id: str) -> tuple[str, str]:
    """(name, address) of a person."""
    row = connection.execute(sa.select(people.c.name, people.c.email).where(people.c.id == person_id)).first()
    return (row.name, row.email) if row else (person_id, "")


class PersonEntry(NamedTuple):
    """A person as a list shows it; ``commits`` are those written, ``achievements`` those that count."""

    id: str
    name: str
    email: str
    kind: str
    commits: int
    achievements: int
    aliases: tuple[str, ...]


def list_people(connection: Connection, *, text: str | None = None, bots: bool = False) -> list[PersonEntry]:
    """Everybody known, most achievements first; ``bots`` adds bots and AI agents."""
    written = {
        row[0]: int(row[1])
        for row in connection.execute(
            sa.select(signatures.c.person_id, sa.func.count())
            .join(commits, commits.c.author_id == signatures.c.id)
            .group_by(signatures.c.person_id)
        )
    }
    credited = {
        row[0]: int(row[1])
        for row in connection.execute(
            sa.select(signatures.c.person_id, sa.func.count(sa.distinct(achievements.c.id)))
            .join(achievement_credits, achievement_credits.c.signature_id == signatures.c.id)
            .join(achievements, achievements.c.id == achievement_credits.c.achievement_id)
            .where(
                achievements.c.is_counted,
                ~achievements.c.is_hidden,
                achievements.c.kind.not_in(GATHERERS),  # they gather others, which are counted
            )
            .group_by(signatures.c.person_id)
        )
    }
    aliases: dict[str, list[str]] = {}
    for row in connection.execute(
        sa.select(signatures.c.person_id, signatures.c.name, signatures.c.email).order_by(signatures.c.id)
    ):
        if row.person_id:
            aliases.setdefault(row.person_id, []).append(f"{row.name} <{row.email}>")
    query = sa.select(people)
    if not bots:
        query = query.where(people.c.kind == AuthorKind.PERSON.value)
    if text:
        query = query.where(people.c.id.in_(find_people(connection, text)))
    found = [
        PersonEntry(
            row.id,
            row.name,
            row.email,
            row.kind,
            written.get(row.id, 0),
            credited.get(row.id, 0),
            tuple(aliases.get(row.id, ())),
        )
        for row in connection.execute(query)
    ]
    return sorted(found, key=lambda one: (-one.achievements, -one.commits, one.name, one.id))


def stored_people(connection: Connection) -> list[Person]:
    """Everybody, with the ids of their signatures."""
    numbers: dict[str, list[int]] = {}
    for row in connection.execute(
        sa.select(signatures.c.id, signatures.c.person_id).order_by(signatures.c.id)
    ):
        if row.person_id:
            numbers.setdefault(row.person_id, []).append(row.id)
    return [
        Person(row.id, row.name, row.email, AuthorKind(row.kind), tuple(numbers.get(row.id, ())))
        for row in connection.execute(sa.select(people).order_by(people.c.id))
    ]


class StoredDecision(NamedTuple):
    id: int
    action: str
    first: str
    second: str
    created: int


def add_decision(connection: Connection, action: str, first: Signature, second: Signature, now: int) -> None:
    connection.execute(
        sa.insert(people_decisions).values(
            action=action, first=_text(first), second=_text(second), created=now
        )
    )


def decisions_in_force(connection: Connection) -> list[StoredDecision]:
    rows = connection.execute(
        sa.select(people_decisions).where(~people_decisions.c.is_undone).order_by(people_decisions.c.id)
    )
    return [StoredDecision(row.id, row.action, row.first, row.second, row.created) for row in rows]


def undo_decision(connection: Connection, number: int) -> None:
    connection.execute(
        sa.update(people_decisions).where(people_decisions.c.id == number).values(is_undone=True)
    )


def as_decisions(stored: Iterable[StoredDecision]) -> list[Decision]:
    found = []
    for one in stored:
        first, second = parse_signature(one.first), parse_signature(one.second)
        if first and second:
            found.append(Decision(one.action, first, second))
    return found


def signatures_of(connection: Connection, person_id: str) -> list[Signature]:
    rows = connection.execute(
        sa.select(signatures.c.name, signatures.c.email)
        .where(signatures.c.person_id == person_id)
        .order_by(signatures.c.id)
    )
    return [Signature(row.name, row.email) for row in rows]


def _text(who: Signature) -> str:
    return f"{who.name} <{who.email}>"
