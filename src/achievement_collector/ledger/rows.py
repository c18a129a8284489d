"""Inserting rows: such as may be there already, and many at once without asking about the type of every value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of the connection's database, which knows ON CONFLICT; a dialect that is not used is never loaded."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert

    return insert(table)


def insert_rows(
    connection: Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
    *,
    ignore_known: bool = False,
) -> None:
    """Inserts rows given as tuples in the order of ``columns``; values must be what the driver takes as it is.
    ``ignore_known`` passes over rows whose key is there already. All names come from the tables, none from outside.
    """
    if not rows:
        return
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    conflict = " ON CONFLICT DO NOTHING" if ignore_known else ""
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))}){conflict}",  # noqa: S608
        list(rows),
    )
