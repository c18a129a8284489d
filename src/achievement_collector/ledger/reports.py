"""Reports as they were frozen: what was said of a period that is over never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.ledger.ci_findings_tables import reports
from achievement_collector.ledger.rows import insert_into


class Frozen(NamedTuple):
    """A stored report; all moments in milliseconds."""

    key: str
    kind: str
    repository: str
    since: int
    until: int
    data: dict[str, Any]
    content_hash: str
    created: int


def freeze(
    connection: Connection, key: str, kind: str, repository: str, since: int, until: int, data: Mapping[str, Any], now: int
) -> Frozen:  # fmt: skip
    """Stores a report unless there is one under its key, and gives the one that is stored."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True)
    insert = insert_into(connection, reports)
    connection.execute(
        insert.values(
            key=key, kind=kind, repository=repository, since=since, until=until, data=text,
            content_hash=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), created=now,
        ).on_conflict_do_nothing(index_elements=["key"])
    )  # fmt: skip
    found = frozen(connection, key)
    assert found is not None
    return found


def frozen(connection: Connection, key: str) -> Frozen | None:
    row = connection.execute(sa.select(reports).where(reports.c.key == key)).first()
    return None if row is None else Frozen(**{**row._mapping, "data": json.loads(row.data)})


def frozen_reports(
    connection: Connection,
    kind: str | None = None,
    repositories: Sequence[str] | None = None,
    limit: int = 100,
) -> list[Frozen]:
    """Stored reports, those of the latest periods first; ``repositories`` are keys."""
    query = sa.select(reports).order_by(reports.c.until.desc(), reports.c.key).limit(limit)
    if kind is not None:
        query = query.where(reports.c.kind == kind)
    if repositories is not None:
        query = query.where(reports.c.repository.in_(list(repositories)))
    return [Frozen(**{**row._mapping, "data": json.loads(row.data)}) for row in connection.execute(query)]
