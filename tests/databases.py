"""PostgreSQL databases for tests: made like a template, and used again where emptying one is enough."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg

from achievement_collector.ledger.store import open_ledger

_TEMPLATE = "ledger_template"

_TABLES = (
    "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)
_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_FILLED = """
SELECT coalesce(string_agg(format('SELECT %L WHERE EXISTS (SELECT FROM %I)', tablename, tablename), ' UNION ALL '), '')
FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""
_COUNTED = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"


class Databases:
    """The databases of a server, ``address`` being that of any of them."""

    def __init__(self, address: str) -> None:
        self._server = psycopg.connect(address, autocommit=True)
        self._address = address
        self._free: psycopg.Connection[Any] | None = None
        self._tables: set[tuple[str, str]] = set()

    def close(self) -> None:
        for connection in filter(None, (self._free, self._server)):
            connection.close()

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The address of a database in which nothing is, not even tables."""
        name = self._made("")
        yield self._address_of(name)
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextmanager
    def ledger(self) -> Iterator[str]:
        """The address of a ledger in which nothing is."""
        connection, self._free = self._free or self._fresh(), None
        name = connection.info.dbname
        yield self._address_of(name)
        try:
            is_as_before = self._is_emptied(connection)
        except psycopg.Error:
            is_as_before = False
        if is_as_before and self._free is None:
            self._free = connection
        else:
            connection.close()
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _fresh(self) -> psycopg.Connection[Any]:
        if not self._tables:
            self._run(f"CREATE DATABASE {_TEMPLATE}")
            open_ledger(self._address_of(_TEMPLATE)).close()
        name = self._made(f"TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
        connection = psycopg.connect(self._address_of(name), autocommit=True)
        self._tables = set(connection.execute(_TABLES).fetchall())
        return connection

    def _is_emptied(self, connection: psycopg.Connection[Any]) -> bool:
        """Empties the database, with its counters at their beginnings; False where a test changed more than rows."""
        connection.execute(_OTHERS)
        if set(connection.execute(_TABLES).fetchall()) != self._tables:
            return False
        connection.execute("SET lock_timeout = '5s'")
        ((query,),) = connection.execute(_FILLED)
        filled = [name for (name,) in connection.execute(query)]
        if filled:
            connection.execute(cast("LiteralString", f"TRUNCATE {', '.join(filled)} CASCADE"))
        for (sequence,) in connection.execute(_COUNTED).fetchall():
            connection.execute(cast("LiteralString", f"ALTER SEQUENCE {sequence} RESTART"))
        return True

    def _made(self, like: str) -> str:
        name = f"ledger_{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name} {like}")
        return name

    def _address_of(self, name: str) -> str:
        base, question, options = self._address.partition("?")
        return base.rpartition("/")[0] + f"/{name}{question}{options}"

    def _run(self, statement: str) -> None:
        self._server.execute(cast("LiteralString", statement))
