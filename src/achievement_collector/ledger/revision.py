"""A number that grows whenever a conclusion changes, so that what was counted over all of them can be kept until then."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.ledger.tables import cursors

_NAME = "conclusions"


def note_change(connection: Connection) -> None:
    """Says that achievements, their credits or who is who have changed; part of the caller's transaction."""
    grown = sa.cast(sa.cast(cursors.c.value, sa.BigInteger) + 1, sa.Text)
    changed = connection.execute(
        sa.update(cursors).where(cursors.c.name == _NAME).values(value=grown)
    ).rowcount
    if not changed:
        connection.execute(sa.insert(cursors).values(name=_NAME, value="1", changed=0))


def revision(connection: Connection) -> int:
    """The number as it stands; the same number means the same conclusions."""
    return int(connection.scalar(sa.select(cursors.c.value).where(cursors.c.name == _NAME)) or 0)
