"""What a two-way sync remembers: links, agreed values, the outbox, conflicts, sweeps, the lease, runs.

Every function runs in the caller's transaction. An operation goes through ``planned`` -> ``sent`` -> ``confirmed`` -> ``done``,
each in a transaction of its own, so that after a crash it is known how far it came; ``parked`` was refused and waits for other
values or for people, ``dropped`` was found not to have arrived and is planned anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.merging import Agreed, Decision, Side, Value
from achievement_collector.derive.sync_plan import Conflict, Item, Known, Link, Operation, OperationKind
from achievement_collector.errors import NotFoundError
from achievement_collector.ledger.syncing_tables import (
    sync_bases,
    sync_conflicts,
    sync_leases,
    sync_links,
    sync_operations,
    sync_runs,
    sync_sweeps,
)

_KEPT = 30 * 86_400_000
"""Milliseconds that operations which came to an end are kept."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An operation in the outbox. ``result`` is the item as the server answered; ``changed`` milliseconds since 1970."""

    id: int
    operation: Operation
    state: str
    result: Item | None
    told: str
    changed: int


@dataclass(frozen=True, slots=True)
class StoredConflict:
    """A conflict as people see it; ``opened`` in milliseconds since 1970."""

    id: int
    conflict: Conflict
    state: str
    decision: Decision | None
    opened: int


@dataclass(frozen=True, slots=True)
class Swept:
    """How far a side has been read: everything up to ``seen_until`` is known, and ``complete_at`` is when the last complete
    sweep began (milliseconds since 1970, 0 for never); ``items`` is how many it showed."""

    seen_until: int = 0
    complete_at: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """How a sync is doing. Moments are milliseconds since 1970, None for never; ``lag`` is milliseconds since the last complete
    pass."""

    last_complete: int | None
    lag: int | None
    last_outcome: str
    links: int
    ended_links: int
    conflicts: int
    parked: int
    unconfirmed: int


# --- values as text ----------------------------------------------------------------------------------


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _value(data: Any) -> Value:
    return tuple(data) if isinstance(data, list) else data


def _values(data: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _value(one) for name, one in data.items()}


def _operation(text: str) -> Operation:
    told = json.loads(text)
    told |= {
        name: _values(told[name]) for name in ("values", "expected", "settles", "includes") if name in told
    }
    return Operation(**told | {"kind": OperationKind(told["kind"]), "side": Side(told["side"])})


def _item(text: str | None) -> Item | None:
    if not text:
        return None
    told = json.loads(text)
    return Item(**told | {"side": Side(told["side"]), "values": _values(told["values"])})


# --- the lease ---------------------------------------------------------------------------------------


def take_lease(connection: Connection, scope: str, holder: str, now: int, lasts: int) -> bool:
    """Takes or prolongs the lease by ``lasts`` milliseconds; False where another holder's has not expired."""
    table = sync_leases.c
    mine = sa.or_(table.holder == holder, table.expires <= now)
    done = connection.execute(
        sa.update(sync_leases).where(table.scope == scope, mine).values(holder=holder, expires=now + lasts)
    )
    if done.rowcount:
        return True
    if connection.scalar(sa.select(table.holder).where(table.scope == scope)) is not None:
        return False
    from achievement_collector.ledger.rows import insert_rows

    row = (scope, holder, now + lasts)
    insert_rows(connection, sync_leases, ("scope", "holder", "expires"), [row], ignore_known=True)
    return connection.scalar(sa.select(table.holder).where(table.scope == scope)) == holder


def free_lease(connection: Connection, scope: str, holder: str) -> None:
    table = sync_leases.c
    connection.execute(sa.delete(sync_leases).where(table.scope == scope, table.holder == holder))


_SCOPE: sa.BindParameter[str] = sa.bindparam("scope")
_LINKS = sa.select(sync_links).where(sync_links.c.scope == _SCOPE)
_BASES = sa.select(sync_bases).join(sync_links).where(sync_links.c.scope == _SCOPE)
_PARKED = sa.select(sync_operations.c.fingerprint).where(
    sync_operations.c.scope == _SCOPE, sync_operations.c.state == "parked"
)


# --- what is known -----------------------------------------------------------------------------------


def known(connection: Connection, scope: str, busy: frozenset[str] = frozenset()) -> Known:
    """All that a plan needs to know, beside what the sides show."""
    place = {"scope": scope}
    rows = connection.execute(_LINKS, place).all()
    keys = {row.id: row.key for row in rows}
    links = tuple(
        Link(
            row.key, row.github, row.notion, row.kind, row.is_active,
            {Side.GITHUB: row.missing_github, Side.NOTION: row.missing_notion},
        )
        for row in rows
    )  # fmt: skip
    bases = {(keys[row.link_id], row.field): _agreed(row) for row in connection.execute(_BASES, place)}
    decisions = {
        (one.conflict.key, one.conflict.field): one.decision
        for one in conflicts(connection, scope)
        if one.decision is not None
    }
    parked = connection.scalars(_PARKED, place)
    return Known(links, bases, decisions, frozenset(parked), busy)


def _agreed(row: Any) -> Agreed:
    return Agreed(_value(json.loads(row.github)), _value(json.loads(row.notion)))


def has_link(connection: Connection, scope: str, key: str) -> bool:
    return _link_id(connection, scope, key) is not None


def _link_id(connection: Connection, scope: str, key: str) -> int | None:
    found: int | None = connection.scalar(
        sa.select(sync_links.c.id).where(sync_links.c.scope == scope, sync_links.c.key == key)
    )
    return found


# --- links and bases ---------------------------------------------------------------------------------


def add_link(connection: Connection, scope: str, link: Link, now: int) -> None:
    """Links two items; the same link again changes nothing."""
    if not has_link(connection, scope, link.key):
        connection.execute(
            sa.insert(sync_links).values(
                scope=scope, key=link.key, github=link.github, notion=link.notion, kind=link.kind, is_active=True,
                missing_github=0, missing_notion=0, told="", changed=now,
            )
        )  # fmt: skip


def set_active(connection: Connection, scope: str, key: str, is_active: bool, told: str, now: int) -> None:
    """Ends a link, or takes it up again; its agreed values stay."""
    connection.execute(
        sa.update(sync_links)
        .where(sync_links.c.scope == scope, sync_links.c.key == key)
        .values(is_active=is_active, told=told, changed=now, missing_github=0, missing_notion=0)
    )


def move_link(connection: Connection, scope: str, side: Side, before: str, after: str, now: int) -> None:
    """Follows an item that has another id now (an issue that was transferred)."""
    column = sync_links.c[side.value]
    connection.execute(
        sa.update(sync_links)
        .where(sync_links.c.scope == scope, column == before)
        .values({side.value: after, "changed": now})
    )


def count_missing(connection: Connection, scope: str, counts: Mapping[tuple[str, Side], int]) -> None:
    for (key, side), count in counts.items():
        connection.execute(
            sa.update(sync_links)
            .where(sync_links.c.scope == scope, sync_links.c.key == key)
            .values({f"missing_{side.value}": count})
        )


def settle(
    connection: Connection, scope: str, agreements: Mapping[tuple[str, str], Agreed], now: int
) -> None:
    """Stores what is agreed on; a conflict about it is closed."""
    by_key: dict[str, dict[str, Agreed]] = {}
    for (key, name), agreed in agreements.items():
        by_key.setdefault(key, {})[name] = agreed
    for key, fields in by_key.items():
        link = _link_id(connection, scope, key)
        if link is None:
            continue
        table, queue = sync_bases.c, sync_conflicts.c
        connection.execute(sa.delete(sync_bases).where(table.link_id == link, table.field.in_(list(fields))))
        rows = []
        for name, agreed in fields.items():
            github, notion = _text(agreed.github), _text(agreed.notion)
            digest = hashlib.sha256(f"{github}\n{notion}".encode()).hexdigest()
            rows.append(
                {
                    "link_id": link,
                    "field": name,
                    "github": github,
                    "notion": notion,
                    "hash": digest,
                    "agreed": now,
                }
            )
        connection.execute(sa.insert(sync_bases), rows)
        connection.execute(
            sa.update(sync_conflicts)
            .where(
                queue.scope == scope, queue.key == key, queue.field.in_(list(fields)), queue.state != "closed"
            )
            .values(state="closed", changed=now)
        )


# --- the outbox --------------------------------------------------------------------------------------


def enqueue(
    connection: Connection, scope: str, run: int, operations: Sequence[Operation], now: int
) -> list[int]:
    """Puts operations into the outbox; gives their ids."""
    ids = []
    for one in operations:
        done = connection.execute(
            sa.insert(sync_operations)
            .values(
                scope=scope, run_id=run, key=one.key, body=_text(asdict(one)), fingerprint=one.fingerprint, state="planned",
                told="", changed=now,
            )
            .returning(sync_operations.c.id)
        )  # fmt: skip
        ids.append(int(done.scalar_one()))
    return ids


def advance(
    connection: Connection,
    operation: int,
    state: str,
    now: int,
    *,
    result: Item | None = None,
    told: str = "",
) -> None:
    """Moves an operation to its next state; ``result`` is kept where there is one."""
    values: dict[str, Any] = {"state": state, "changed": now, "told": told[:1000]}
    if result is not None:
        values["result"] = _text(asdict(result))
    connection.execute(sa.update(sync_operations).where(sync_operations.c.id == operation).values(values))


def outgoing(connection: Connection, scope: str, *states: str) -> list[Outgoing]:
    """The operations in these states, in order."""
    query = (
        sa.select(sync_operations)
        .where(sync_operations.c.scope == scope, sync_operations.c.state.in_(states))
        .order_by(sync_operations.c.id)
    )
    return [
        Outgoing(row.id, _operation(row.body), row.state, _item(row.result), row.told, row.changed)
        for row in connection.execute(query)
    ]


def drop_planned(connection: Connection, scope: str) -> None:
    """Forgets what was planned and never sent, and what came to its end long ago."""
    table = sync_operations.c
    connection.execute(sa.delete(sync_operations).where(table.scope == scope, table.state == "planned"))


def forget_old(connection: Connection, scope: str, now: int) -> None:
    """Removes operations that ended, and runs, after thirty days."""
    table = sync_operations.c
    connection.execute(
        sa.delete(sync_operations).where(
            table.scope == scope, table.state.in_(("done", "dropped")), table.changed < now - _KEPT
        )
    )


def unpark(connection: Connection, scope: str, keep: frozenset[str] | None = None) -> int:
    """Forgets refusals, so that they are tried again: all of them, or those whose fingerprint is not in ``keep``."""
    table = sync_operations.c
    query = sa.delete(sync_operations).where(table.scope == scope, table.state == "parked")
    if keep is not None:
        query = query.where(table.fingerprint.not_in(sorted(keep)))
    return connection.execute(query).rowcount


# --- conflicts ---------------------------------------------------------------------------------------


def conflicts(connection: Connection, scope: str | None = None) -> list[StoredConflict]:
    """The conflicts that are not closed, oldest first."""
    table = sync_conflicts.c
    query = sa.select(sync_conflicts).where(table.state != "closed").order_by(table.id)
    if scope is not None:
        query = query.where(table.scope == scope)
    found = []
    for row in connection.execute(query):
        seen = _agreed(row)
        decision = None
        if row.decision:
            told = json.loads(row.decision)
            take = Side(told["take"]) if told["take"] else None
            decision = Decision(_value(told["value"]), seen, take)
        conflict = Conflict(row.key, row.field, seen.github, seen.notion, row.reason, row.label)
        found.append(StoredConflict(row.id, conflict, row.state, decision, row.opened))
    return found


def queue_conflicts(
    connection: Connection,
    scope: str,
    found: Sequence[Conflict],
    unseen: frozenset[str],
    pending: frozenset[tuple[str, str]],
    now: int,
) -> None:
    """Makes the queue what was found: new ones are added, changed ones take the new values and lose their decision, and those
    that are no more are closed; the ones of the links in ``unseen`` and of the fields in ``pending`` stay."""
    there = {(one.conflict.key, one.conflict.field): one for one in conflicts(connection, scope)}
    for one in found:
        stored = there.pop((one.key, one.field), None)
        values = {
            "github": _text(one.github), "notion": _text(one.notion), "label": one.label, "reason": one.reason, "state": "open",
            "decision": None, "changed": now,
        }  # fmt: skip
        if stored is None:
            connection.execute(
                sa.insert(sync_conflicts).values(
                    scope=scope, key=one.key, field=one.field, opened=now, **values
                )
            )
        elif (stored.conflict.github, stored.conflict.notion) != (one.github, one.notion):
            connection.execute(
                sa.update(sync_conflicts).where(sync_conflicts.c.id == stored.id).values(values)
            )
    for place, left in there.items():
        if place[0] not in unseen and place not in pending:
            connection.execute(
                sa.update(sync_conflicts)
                .where(sync_conflicts.c.id == left.id)
                .values(state="closed", changed=now)
            )


def decide(
    connection: Connection, conflict: int, take: Side | None, value: Value, now: int
) -> StoredConflict:
    """Stores a person's decision; the next run carries it out. Raises :class:`NotFoundError`."""
    found = next((one for one in conflicts(connection) if one.id == conflict), None)
    if found is None:
        raise NotFoundError(f"there is no open conflict {conflict}; see them with: sync conflicts list")
    told = _text({"take": take.value if take else None, "value": value})
    connection.execute(
        sa.update(sync_conflicts)
        .where(sync_conflicts.c.id == conflict)
        .values(state="decided", decision=told, changed=now)
    )
    seen = Agreed(found.conflict.github, found.conflict.notion)
    return replace(found, state="decided", decision=Decision(value, seen, take))


# --- sweeps and runs ---------------------------------------------------------------------------------


def swept(connection: Connection, scope: str, side: Side) -> Swept:
    table = sync_sweeps.c
    row = connection.execute(
        sa.select(sync_sweeps).where(table.scope == scope, table.side == side.value)
    ).first()
    return Swept(row.seen_until, row.complete_at, row.items) if row else Swept()


def store_sweep(connection: Connection, scope: str, side: Side, told: Swept) -> None:
    table = sync_sweeps.c
    values = {"seen_until": told.seen_until, "complete_at": told.complete_at, "items": told.items}
    where = sa.and_(table.scope == scope, table.side == side.value)
    if not connection.execute(sa.update(sync_sweeps).where(where).values(values)).rowcount:
        connection.execute(sa.insert(sync_sweeps).values(scope=scope, side=side.value, **values))


def start_run(connection: Connection, scope: str, now: int) -> int:
    done = connection.execute(
        sa.insert(sync_runs)
        .values(scope=scope, started=now, is_complete=False, outcome="", plan="", body="{}")
        .returning(sync_runs.c.id)
    )
    return int(done.scalar_one())


def end_run(
    connection: Connection,
    run: int,
    now: int,
    outcome: str,
    plan: str,
    body: Mapping[str, Any],
    is_complete: bool,
) -> None:
    connection.execute(
        sa.update(sync_runs)
        .where(sync_runs.c.id == run)
        .values(ended=now, outcome=outcome, plan=plan, body=_text(body), is_complete=is_complete)
    )


def syncs_ended(connection: Connection, since: int) -> tuple[int, int] | None:
    """(runs that ended clean or with conflicts only, all that ended) since a moment, None where none did."""
    table = sync_runs.c
    outcomes = connection.scalars(
        sa.select(table.outcome).where(table.started >= since, table.ended.is_not(None))
    ).all()
    return (sum(one in ("clean", "conflicts") for one in outcomes), len(outcomes)) if outcomes else None


def health(connection: Connection, scope: str, now: int) -> Health:
    """How a sync is doing."""
    runs, links, operations = sync_runs.c, sync_links.c, sync_operations.c
    complete = connection.scalar(
        sa.select(sa.func.max(runs.started)).where(runs.scope == scope, runs.is_complete)
    )
    last = connection.scalar(
        sa.select(runs.outcome)
        .where(runs.scope == scope, runs.ended.is_not(None))
        .order_by(runs.id.desc())
        .limit(1)
    )
    active = dict.fromkeys((True, False), 0) | {
        bool(is_active): int(count)
        for is_active, count in connection.execute(
            sa.select(links.is_active, sa.func.count()).where(links.scope == scope).group_by(links.is_active)
        )
    }
    states: dict[str, int] = {
        state: int(count)
        for state, count in connection.execute(
            sa.select(operations.state, sa.func.count())
            .where(operations.scope == scope, operations.state.in_(("parked", "sent", "confirmed")))
            .group_by(operations.state)
        )
    }
    return Health(
        complete, None if complete is None else max(0, now - complete), last or "", active[True], active[False],
        len(conflicts(connection, scope)), states.get("parked", 0), states.get("sent", 0) + states.get("confirmed", 0),
    )  # fmt: skip


def scopes(connection: Connection) -> list[str]:
    """The pairs of places that were ever synchronised."""
    return sorted(connection.scalars(sa.select(sync_runs.c.scope).distinct()))
