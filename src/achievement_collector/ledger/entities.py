"""What outside systems told, merged; and the marks of what has to be derived again because of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.facts.observations import Kind, Observation, Registers, merge, values
from achievement_collector.ledger.rows import insert_into
from achievement_collector.ledger.tables import cursors, entities, stale

_MANY = 500


_NAMES = {Kind.ISSUE: "identifier", Kind.ATTACHMENT: "url"}
"""The field by which things of a kind are looked for."""


class Changed(NamedTuple):
    """A thing about which something new was told; ``fields`` are those that changed."""

    kind: Kind
    key: str
    scope: str
    fields: tuple[str, ...]
    is_new: bool


def take_in(connection: Connection, observations: Iterable[Observation], now: int) -> list[Changed]:
    """Merges observations into the ledger and gives the things that changed.

    May be called any number of times, in any order, by several processes: rows are locked in the order of their keys.
    """
    by_thing: dict[tuple[str, str], list[Observation]] = {}
    for one in observations:
        by_thing.setdefault((one.kind.value, one.key), []).append(one)
    ordered = sorted(by_thing)
    known = _locked(connection, ordered, now)
    found: list[Changed] = []
    updates: list[dict[str, Any]] = []
    for thing in ordered:
        row_id, scope_before, before = known[thing]
        after, scope = before, scope_before
        for one in by_thing[thing]:
            after = merge(after, one)
            scope = max(scope, one.scope)  # a thing belongs to one other; what moves is found by its fields
        moved = by_thing[thing][-1]
        if moved.kind is Kind.ISSUE and "project" in after:
            scope = f"linear/{after['project'][1]}" if after["project"][1] else ""
        if after is before and scope == scope_before:
            continue
        fields = tuple(
            name for name, (_, value) in after.items() if name not in before or before[name][1] != value
        )
        name = str(after[_NAMES[moved.kind]][1] or "").lower() if _NAMES.get(moved.kind) in after else ""
        updates.append(
            {
                "row": row_id,
                "new_scope": scope,
                "new_name": name,
                "new": json.dumps(after, ensure_ascii=False),
                "at": now,
            }
        )
        if fields or scope != scope_before:
            found.append(Changed(Kind(thing[0]), thing[1], scope, fields, not before))
            if scope_before and scope != scope_before:
                found.append(Changed(Kind(thing[0]), thing[1], scope_before, fields, False))
    if updates:
        connection.execute(
            sa.update(entities)
            .where(entities.c.id == sa.bindparam("row"))
            .values(
                scope=sa.bindparam("new_scope"),
                name=sa.bindparam("new_name"),
                registers=sa.bindparam("new"),
                changed=sa.bindparam("at"),
            ),
            updates,
        )
    return found


def _locked(
    connection: Connection, ordered: Sequence[tuple[str, str]], now: int
) -> dict[tuple[str, str], tuple[int, str, Registers]]:
    """(row, scope, registers) of each thing, made where missing, locked until the transaction ends."""
    found: dict[tuple[str, str], tuple[int, str, Registers]] = {}
    if not ordered:
        return found
    connection.execute(
        insert_into(connection, entities).on_conflict_do_nothing(index_elements=["kind", "key"]),
        [
            {"kind": kind, "key": key, "scope": "", "name": "", "registers": "{}", "changed": now}
            for kind, key in ordered
        ],
    )
    for start in range(0, len(ordered), _MANY):
        part = ordered[start : start + _MANY]
        by_kind: dict[str, list[str]] = {}
        for kind, key in part:
            by_kind.setdefault(kind, []).append(key)
        chosen = sa.or_(
            *(sa.and_(entities.c.kind == kind, entities.c.key.in_(keys)) for kind, keys in by_kind.items())
        )
        query = sa.select(entities).where(chosen).order_by(entities.c.kind, entities.c.key).with_for_update()
        for row in connection.execute(query):
            found[row.kind, row.key] = (row.id, row.scope, _registers(row.registers))
    return found


def _registers(text: str) -> Registers:
    return {name: (at, value) for name, (at, value) in json.loads(text).items()}


class Thing(NamedTuple):
    """A thing as it is known now: its key, what it belongs to, and the newest value of each field."""

    key: str
    scope: str
    fields: dict[str, Any]
    said: dict[str, int]  # field -> when it was said, milliseconds


def things(
    connection: Connection,
    kind: Kind,
    *,
    scopes: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    under: str | None = None,
) -> Iterator[Thing]:
    """The things of a kind, by what they belong to, by key, by name (any case) or by what their keys begin with; all of the
    kind where none is given."""
    if under is not None:
        query = _ALL.where(entities.c.key.startswith(under, autoescape=True))
        yield from _read(connection, query, {"kind": kind.value})
        return
    if scopes is None and keys is None and names is None:
        yield from _read(connection, _ALL, {"kind": kind.value})
        return
    query, wanted = (_BY_SCOPE, scopes) if scopes is not None else (_BY_KEY, keys)
    if names is not None:
        query, wanted = _BY_NAME, [name.lower() for name in names]
    listed = list(dict.fromkeys(wanted or ()))
    for start in range(0, len(listed), _MANY):
        yield from _read(connection, query, {"kind": kind.value, "wanted": listed[start : start + _MANY]})


# made once: making such a statement takes longer than answering it
_ALL = (
    sa.select(entities.c.key, entities.c.scope, entities.c.registers)
    .where(entities.c.kind == sa.bindparam("kind"))
    .order_by(entities.c.id)
)
_BY_SCOPE, _BY_KEY, _BY_NAME = (
    _ALL.where(column.in_(sa.bindparam("wanted", expanding=True)))
    for column in (entities.c.scope, entities.c.key, entities.c.name)
)


def _read(connection: Connection, query: sa.Select[Any], told: Mapping[str, Any]) -> Iterator[Thing]:
    for key, scope, text in connection.execute(query, told).all():
        registers = _registers(text)
        yield Thing(key, scope, values(registers), {name: at for name, (at, _) in registers.items()})


def thing(connection: Connection, kind: Kind, key: str) -> Thing | None:
    return next(things(connection, kind, keys=[key]), None)


# --- what has to be derived again --------------------------------------------------------------------


class Stale(NamedTuple):
    kind: str
    key: str
    cause: str
    mark: int


def mark_stale(connection: Connection, marks: Iterable[tuple[str, str, str]], now: int) -> None:
    """Marks (kind, key, cause) as to be derived again; a mark that is there grows, so that a derivation that has begun
    does not take it away."""
    rows: dict[tuple[str, str], str] = {}
    for kind, key, cause in marks:
        rows.setdefault((kind, key), cause)
    if not rows:
        return
    _take_turn(connection)
    insert = insert_into(connection, stale)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["kind", "key"], set_={"mark": stale.c.mark + 1}),
        [
            {"kind": kind, "key": key, "cause": cause, "mark": now}
            for (kind, key), cause in sorted(rows.items())
        ],
    )


def stale_things(connection: Connection, kind: str | None = None, limit: int | None = 200) -> list[Stale]:
    query = sa.select(stale).order_by(stale.c.mark, stale.c.key).limit(limit)
    if kind is not None:
        query = query.where(stale.c.kind == kind)
    return [Stale(row.kind, row.key, row.cause, row.mark) for row in connection.execute(query)]


def settle(connection: Connection, done: Iterable[Stale]) -> None:
    """Takes the marks away that have not grown since they were read."""
    _take_turn(connection)
    for one in done:
        connection.execute(
            sa.delete(stale).where(stale.c.kind == one.kind, stale.c.key == one.key, stale.c.mark == one.mark)
        )


def _take_turn(connection: Connection) -> None:
    """One transaction at a time changes marks until it ends: two that set and take away the same ones, each in an order
    of its own, would wait for each other. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE stale IN SHARE ROW EXCLUSIVE MODE"))


# --- cursors -----------------------------------------------------------------------------------------


def cursor(connection: Connection, name: str) -> Any:
    """What was remembered under ``name``, None where nothing was."""
    text = connection.scalar(sa.select(cursors.c.value).where(cursors.c.name == name))
    return None if text is None else json.loads(text)


def cursors_like(connection: Connection, prefix: str) -> dict[str, Any]:
    rows = connection.execute(
        sa.select(cursors.c.name, cursors.c.value).where(cursors.c.name.startswith(prefix, autoescape=True))
    )
    return {name: json.loads(text) for name, text in rows}


def remember(connection: Connection, name: str, value: Any, now: int) -> None:
    insert = insert_into(connection, cursors)
    told = {"value": json.dumps(value), "changed": now}
    connection.execute(
        insert.values(name=name, **told).on_conflict_do_update(index_elements=["name"], set_=told)
    )
