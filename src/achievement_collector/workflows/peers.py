"""Several servers on one PostgreSQL: each says that it lives, and takes over the work of one that no longer does.

The database's clock is the one that counts, so that servers whose own clocks differ do not take each other for dead.
"""

from __future__ import annotations

import socket

import sqlalchemy as sa

from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import servers

BEAT = 2.0
"""Seconds between two signs of life."""

SILENCE = 10.0
"""Seconds without a sign of life after which a server counts as dead."""

_NOW = sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()) * 1000, sa.BigInteger)


def beat(ledger: Ledger, executor: str) -> list[str]:
    """Gives a sign of life, and the servers that are dead. Those stay on the list until :func:`bury`: where this process
    dies too before it has taken their work over, another one does."""
    with ledger.write() as connection:
        known = connection.execute(
            sa.update(servers).where(servers.c.executor == executor).values(seen=_NOW)
        ).rowcount
        if not known:
            connection.execute(
                sa.insert(servers).values(executor=executor, host=socket.gethostname(), seen=_NOW)
            )
        silent = servers.c.seen < _NOW - int(SILENCE * 1000)
        return list(
            connection.scalars(sa.select(servers.c.executor).where(silent, servers.c.executor != executor))
        )


def bury(ledger: Ledger, dead: list[str]) -> None:
    """Takes servers off the list, once their work was taken over; not those that have come back to life."""
    silent = servers.c.seen < _NOW - int(SILENCE * 1000)
    with ledger.write() as connection:
        connection.execute(sa.delete(servers).where(servers.c.executor.in_(dead), silent))


def leave(ledger: Ledger, executor: str) -> None:
    """Says that this server has ended: another one, now or later, takes over at once what it left."""
    with ledger.write() as connection:
        connection.execute(sa.update(servers).where(servers.c.executor == executor).values(seen=0))
