"""The durable inbox: deliveries as they came, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.ledger.rows import insert_into
from achievement_collector.ledger.tables import deliveries

WAITING, PROCESSED, NOT_RELEVANT, FAILED = "waiting", "processed", "not_relevant", "failed"
STATES = (WAITING, PROCESSED, NOT_RELEVANT, FAILED)


class Incoming(NamedTuple):
    """A delivery whose signature was found right. ``received`` in milliseconds."""

    source: str
    delivery: str
    event: str
    body: bytes
    received: int


class Delivery(NamedTuple):
    """A stored delivery."""

    id: int
    source: str
    delivery: str
    event: str
    received: int
    state: str
    attempts: int
    told: str
    processed: int | None
    body: bytes = b""


_COLUMNS = [deliveries.c[name] for name in Delivery._fields if name != "body"]


def store(connection: Connection, incoming: Sequence[Incoming]) -> set[tuple[str, str]]:
    """Stores deliveries and gives the (source, delivery) of those that were not there yet; others are passed over."""
    insert = insert_into(connection, deliveries)
    new: set[tuple[str, str]] = set()
    for one in incoming:
        row = connection.execute(
            insert.on_conflict_do_nothing(index_elements=["source", "delivery"]).returning(deliveries.c.id),
            {**one._asdict(), "state": WAITING, "attempts": 0, "told": ""},
        ).first()
        if row is not None:
            new.add((one.source, one.delivery))
    return new


def claim(connection: Connection, limit: int) -> list[Delivery]:
    """The longest waiting deliveries, locked against other processes until the transaction ends."""
    query = (
        sa.select(*_COLUMNS, deliveries.c.body)
        .where(deliveries.c.state == WAITING)
        .order_by(deliveries.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Delivery(*tuple(row)) for row in connection.execute(query)]


def waiting(connection: Connection, limit: int) -> list[Delivery]:
    """The longest waiting deliveries, not locked: see :func:`still_waiting`."""
    query = (
        sa.select(*_COLUMNS, deliveries.c.body).where(deliveries.c.state == WAITING).order_by(deliveries.c.id)
    )
    return [Delivery(*tuple(row)) for row in connection.execute(query.limit(limit))]


def still_waiting(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Those of the deliveries that nobody has processed meanwhile."""
    query = sa.select(deliveries.c.id).where(
        deliveries.c.id.in_(list(numbers)), deliveries.c.state == WAITING
    )
    return set(connection.scalars(query))


def settle(connection: Connection, results: Sequence[tuple[int, str, str]], now: int) -> None:
    """Notes what became of deliveries that wait: (id, state, told). One that another process has dealt with meanwhile
    keeps its outcome."""
    if results:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == sa.bindparam("row"), deliveries.c.state == WAITING)
            .values(
                state=sa.bindparam("new_state"),
                told=sa.bindparam("new_told"),
                processed=now,
                attempts=deliveries.c.attempts + 1,
            ),
            [{"row": row, "new_state": state, "new_told": told[:1000]} for row, state, told in results],
        )


def listed(
    connection: Connection,
    *,
    state: str | None = None,
    source: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[Delivery]:
    """Deliveries, newest first, without their bodies."""
    query = sa.select(*_COLUMNS).order_by(deliveries.c.id.desc()).limit(limit)
    if state:
        query = query.where(deliveries.c.state == state)
    if source:
        query = query.where(deliveries.c.source == source)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [Delivery(*tuple(row)) for row in connection.execute(query)]


def find(connection: Connection, number: int) -> Delivery | None:
    row = connection.execute(sa.select(*_COLUMNS, deliveries.c.body).where(deliveries.c.id == number)).first()
    return Delivery(*tuple(row)) if row else None


def retry(connection: Connection, numbers: Sequence[int] | None = None) -> int:
    """Puts deliveries back to be processed again: those named, else all that failed. Gives how many."""
    query = sa.update(deliveries).values(state=WAITING, told="")
    chosen = deliveries.c.state == FAILED if numbers is None else deliveries.c.id.in_(numbers)
    return int(connection.execute(query.where(chosen)).rowcount)


class Depth(NamedTuple):
    """How many deliveries are in each state, and since when (ms) the longest waiting one waits."""

    counts: dict[str, int]
    oldest_waiting: int | None


def depth(connection: Connection) -> Depth:
    rows = connection.execute(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state))
    counts = dict.fromkeys(STATES, 0) | {row[0]: int(row[1]) for row in rows}
    oldest = connection.scalar(
        sa.select(deliveries.c.received)
        .where(deliveries.c.state == WAITING)
        .order_by(deliveries.c.id)
        .limit(1)
    )
    return Depth(counts, oldest)
