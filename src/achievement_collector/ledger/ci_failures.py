"""Explained failures of CI, and the clusters that they make."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.ledger.ci_findings_tables import ci_failures
from achievement_collector.ledger.work import names_of

_MANY = 400


class Failure(NamedTuple):
    """A failed job, explained. ``at`` in milliseconds; ``evidence`` are lines of its log with ``number``, ``offset``, ``text``
    and ``why``; ``is_in_green`` says that what it shows also stands in logs of runs that passed, so that it is no cause;
    ``basis`` is the digest of the rules that it was explained by."""

    job: str
    repository: str
    workflow: str
    name: str
    step: str
    sha: str
    branch: str
    at: int
    category: str
    cluster: str
    signature: str
    rule: str
    is_in_green: bool
    evidence: tuple[dict[str, Any], ...]
    told: str
    basis: str


class Place(NamedTuple):
    """Where failures happened, and how many; ``workflow`` and ``step`` may be empty."""

    workflow: str
    name: str
    step: str
    times: int


class Cluster(NamedTuple):
    """Failures with one signature: how many, the first and the last of them (milliseconds), the newest, and where they were,
    most first."""

    cluster: str
    times: int
    first: int
    last: int
    newest: Failure
    places: tuple[Place, ...] = ()


def store_failures(connection: Connection, found: Sequence[Failure]) -> None:
    """Stores explanations, in place of earlier ones of the same jobs."""
    for start in range(0, len(found), _MANY):
        part = found[start : start + _MANY]
        connection.execute(sa.delete(ci_failures).where(ci_failures.c.job.in_([one.job for one in part])))
        connection.execute(
            sa.insert(ci_failures),
            [{**one._asdict(), "evidence": json.dumps(one.evidence, ensure_ascii=False)} for one in part],
        )


def forget_failures(connection: Connection, jobs: Iterable[str]) -> None:
    """Takes explanations away: of jobs that failed no longer by what is known now."""
    listed = list(jobs)
    for start in range(0, len(listed), _MANY):
        connection.execute(sa.delete(ci_failures).where(ci_failures.c.job.in_(listed[start : start + _MANY])))


def bases(connection: Connection, repository: str) -> dict[str, tuple[str, int]]:
    """Job -> the basis it was explained by, and when it failed (milliseconds)."""
    table = ci_failures.c
    query = sa.select(table.job, table.basis, table.at).where(
        table.repository.in_(names_of(connection, repository))
    )
    return {row.job: (row.basis, row.at) for row in connection.execute(query)}


def failures(
    connection: Connection,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
    *,
    jobs: Collection[str] | None = None,
    cluster: str | None = None,
    sha: str | None = None,
    category: str | None = None,
    limit: int | None = None,
) -> list[Failure]:
    """Explained failures that ended from ``since`` to before ``until``, newest first."""
    table = ci_failures.c
    query = sa.select(ci_failures).order_by(table.at.desc(), table.job)
    if repository is not None:
        query = query.where(table.repository.in_(names_of(connection, repository)))
    if since is not None:
        query = query.where(table.at >= since)
    if until is not None:
        query = query.where(table.at < until)
    for column, value in ((table.cluster, cluster), (table.sha, sha), (table.category, category)):
        if value is not None:
            query = query.where(column == value)
    if jobs is None:
        return [_failure(dict(row._mapping)) for row in connection.execute(query.limit(limit))]
    listed = list(jobs)
    found: list[Failure] = []
    for start in range(0, len(listed), _MANY):
        part = query.where(table.job.in_(listed[start : start + _MANY]))
        found += [_failure(dict(row._mapping)) for row in connection.execute(part)]
    return found if limit is None else found[:limit]


def _failure(row: Mapping[str, Any]) -> Failure:
    return Failure(**{**row, "evidence": tuple(json.loads(row["evidence"]))})


def clusters(
    connection: Connection, repository: str | None = None, since: int | None = None, until: int | None = None
) -> list[Cluster]:
    """The clusters with failures in a window, those with most of them there first; ``first`` is that of the whole record."""
    found: dict[str, list[Failure]] = {}
    for one in failures(connection, repository, since, until):
        found.setdefault(one.cluster, []).append(one)
    begun = first_seen(connection, found, repository)
    made = [
        Cluster(name, len(inside), begun.get(name, inside[-1].at), inside[0].at, inside[0], _places(inside))
        for name, inside in found.items()
    ]
    return sorted(made, key=lambda one: (-one.times, -one.last, one.cluster))


def _places(found: Iterable[Failure]) -> tuple[Place, ...]:
    counts = Counter((one.workflow, one.name, one.step) for one in found)
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Place(*place, times) for place, times in ordered)


def first_seen(connection: Connection, names: Iterable[str], repository: str | None = None) -> dict[str, int]:
    """Cluster -> when it was seen first, in the whole record."""
    table = ci_failures.c
    listed = list(names)
    found: dict[str, int] = {}
    for start in range(0, len(listed), _MANY):
        query = (
            sa.select(table.cluster, sa.func.min(table.at))
            .where(table.cluster.in_(listed[start : start + _MANY]))
            .group_by(table.cluster)
        )
        if repository is not None:
            query = query.where(table.repository.in_(names_of(connection, repository)))
        found |= {row[0]: int(row[1]) for row in connection.execute(query)}
    return found


def seen_before(connection: Connection, one: Failure) -> tuple[int, int | None]:
    """How often a failure's signature was seen before it in its repository, and when first (milliseconds)."""
    table = ci_failures.c
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.min(table.at)).where(
            table.cluster == one.cluster,
            table.repository.in_(names_of(connection, one.repository)),
            sa.or_(table.at < one.at, sa.and_(table.at == one.at, table.job < one.job)),
        )
    ).one()
    return int(row[0]), None if row[1] is None else int(row[1])
