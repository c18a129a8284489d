"""Series of key performance indicators: samples as they were measured or stated, milestones, shifts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.kpis import KpiShift, Milestone
from achievement_collector.facts.kpis import Direction, Sample, Series
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.entities import things
from achievement_collector.ledger.rows import insert_into
from achievement_collector.ledger.tables import kpi_samples, kpi_series, kpi_shifts

MEASURED = ("scrape", "history")
"""The origins of samples that were measured: at a scrape, or asked for afterwards. All others are ``stated``."""

_MANY = 500


class StoredSeries(NamedTuple):
    """A series with its id."""

    id: int
    series: Series


class Recorded(NamedTuple):
    """A value of a series and where it is from."""

    sample: Sample
    origin: str


class StoredShift(NamedTuple):
    """A shift as it was found last. ``at`` is the moment it was first placed at, which names it."""

    series_id: int
    at: int
    shift: KpiShift


def series_id(connection: Connection, kpi: str, labels: Mapping[str, str]) -> int:
    """The id of a series, which is made where it is not there. Its row is locked until the transaction ends, so that two
    processes record one after the other."""
    text = json.dumps(dict(sorted(labels.items())), ensure_ascii=False)
    insert = insert_into(connection, kpi_series)
    connection.execute(
        insert.values(kpi=kpi, labels=text).on_conflict_do_nothing(index_elements=["kpi", "labels"])
    )
    query = sa.select(kpi_series.c.id).where(kpi_series.c.kpi == kpi, kpi_series.c.labels == text)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    return int(connection.scalar(query) or 0)


def add_samples(connection: Connection, series: int, samples: Iterable[Sample], origin: str) -> int:
    """Stores what is not there yet and gives the number of new ones: what was recorded stays as it was."""
    before = _count(connection, series)
    insert = insert_into(connection, kpi_samples)
    rows = [{"series_id": series, "at": one.at, "value": one.value, "origin": origin} for one in samples]
    for start in range(0, len(rows), _MANY):
        connection.execute(
            insert.on_conflict_do_nothing(index_elements=["series_id", "at"]), rows[start : start + _MANY]
        )
    return _count(connection, series) - before


def _count(connection: Connection, series: int) -> int:
    query = sa.select(sa.func.count()).select_from(kpi_samples).where(kpi_samples.c.series_id == series)
    return int(connection.scalar(query) or 0)


def names_of_kpis(connection: Connection) -> list[str]:
    """Every KPI of which something is known, measured or stated."""
    return sorted(connection.scalars(sa.select(kpi_series.c.kpi).distinct()))


def stored_series(
    connection: Connection, kpi: str, since: int | None = None, origins: Sequence[str] = ()
) -> list[StoredSeries]:
    """The series of a KPI by their labels, with their samples in time's order."""
    rows = connection.execute(sa.select(kpi_series).where(kpi_series.c.kpi == kpi)).all()
    found = []
    for row in sorted(rows, key=lambda one: one.labels):
        query = sa.select(kpi_samples.c.at, kpi_samples.c.value).where(kpi_samples.c.series_id == row.id)
        if since is not None:
            query = query.where(kpi_samples.c.at >= since)
        if origins:
            query = query.where(kpi_samples.c.origin.in_(list(origins)))
        samples = tuple(
            Sample(at, value) for at, value in connection.execute(query.order_by(kpi_samples.c.at))
        )
        found.append(StoredSeries(row.id, Series(kpi, json.loads(row.labels), samples)))
    return found


def last_recorded(
    connection: Connection, series: int, before: int, origins: Collection[str]
) -> Recorded | None:
    """The value of a series that was recorded last before a moment, of these origins."""
    table = kpi_samples.c
    row = connection.execute(
        sa.select(table.at, table.value, table.origin)
        .where(table.series_id == series, table.at < before, table.origin.in_(list(origins)))
        .order_by(table.at.desc())
        .limit(1)
    ).first()
    return Recorded(Sample(row.at, row.value), row.origin) if row else None


def last_of_each(connection: Connection, kpi: str, origins: Collection[str] = MEASURED) -> list[Series]:
    """The series of a KPI by their labels that have samples of these origins, each with its newest one alone."""
    wanted = kpi_samples.c.origin.in_(list(origins))
    last = (
        sa.select(kpi_samples.c.series_id, sa.func.max(kpi_samples.c.at).label("at"))
        .join(kpi_series)
        .where(kpi_series.c.kpi == kpi, wanted)
        .group_by(kpi_samples.c.series_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(kpi_series.c.labels, kpi_samples.c.at, kpi_samples.c.value)
        .join(kpi_samples, kpi_samples.c.series_id == kpi_series.c.id)
        .join(last, sa.and_(last.c.series_id == kpi_samples.c.series_id, last.c.at == kpi_samples.c.at))
    ).all()
    return [
        Series(kpi, json.loads(row.labels), (Sample(row.at, row.value),))
        for row in sorted(rows, key=lambda one: one.labels)
    ]


def forget_measured(connection: Connection, kpi: str) -> None:
    """Takes away what was measured of a KPI (not what was stated) and its shifts: its query is another one now, and what
    it measured is in Prometheus."""
    inside = sa.select(kpi_series.c.id).where(kpi_series.c.kpi == kpi)
    connection.execute(
        sa.delete(kpi_samples).where(kpi_samples.c.series_id.in_(inside), kpi_samples.c.origin != "stated")
    )
    connection.execute(sa.delete(kpi_shifts).where(kpi_shifts.c.series_id.in_(inside)))


# --- milestones --------------------------------------------------------------------------------------


def milestone_observation(one: Milestone) -> Observation:
    """A milestone as a fact, to be taken in."""
    fields = asdict(one)
    previous = fields.pop("previous")
    fields |= {"direction": one.direction.value, "previous": list(previous) if previous else None}
    return Observation(Kind.KPI_MILESTONE, one.key, one.at, fields, one.kpi)


def milestones_of(connection: Connection, kpi: str | None = None) -> list[Milestone]:
    """The milestones of a KPI, or all, oldest first."""
    found = [
        _milestone(one.fields)
        for one in things(connection, Kind.KPI_MILESTONE, scopes=None if kpi is None else [kpi])
    ]
    return sorted(found, key=lambda one: (one.at, one.series))


def _milestone(fields: Mapping[str, Any]) -> Milestone:
    told = dict(fields)
    previous = told.pop("previous", None)
    told["direction"] = Direction(told["direction"])
    return Milestone(**told, previous=Sample(*previous) if previous else None)


# --- shifts ------------------------------------------------------------------------------------------


def stored_shifts(connection: Connection, kpi: str | None = None) -> list[StoredShift]:
    """The shifts of a KPI, or all, oldest first."""
    query = sa.select(kpi_shifts).join(kpi_series).order_by(kpi_shifts.c.at, kpi_shifts.c.series_id)
    if kpi is not None:
        query = query.where(kpi_series.c.kpi == kpi)
    return [
        StoredShift(row.series_id, row.at, KpiShift(**json.loads(row.body)))
        for row in connection.execute(query)
    ]


def replace_shifts(
    connection: Connection, series: int, found: Sequence[KpiShift], now: int, open_since: int = 0
) -> bool:
    """Stores the shifts of a series as they are found now; whether anything changed. One that is the same as an earlier one
    keeps the moment that names it; one that is no longer found is taken away. What lies before ``open_since`` stays as it
    is: nothing is added to it, and what is found again of it is no other."""
    table = kpi_shifts.c
    rows = connection.execute(sa.select(kpi_shifts).where(table.series_id == series)).all()
    left = {row.at: KpiShift(**json.loads(row.body)) for row in rows}
    bodies: dict[int, str] = {}
    for one in found:
        same = [at for at, before in left.items() if one.is_same(before)]
        at = min(same, key=lambda at: abs(at - one.at), default=one.at)
        left.pop(at, None)
        if at >= open_since:
            bodies[at] = json.dumps({**asdict(one), "at": at}, ensure_ascii=False)
    known = {row.at: row for row in rows if row.at >= open_since}
    if bodies == {at: row.body for at, row in known.items()}:
        return False
    connection.execute(
        sa.delete(kpi_shifts).where(sa.and_(table.series_id == series, table.at >= open_since))
    )
    for at, body in bodies.items():
        seen = known[at].found if at in known else now
        connection.execute(sa.insert(kpi_shifts).values(series_id=series, at=at, body=body, found=seen))
    return True


def kpis_with_shifts(connection: Connection) -> list[str]:
    return sorted(
        connection.scalars(
            sa.select(kpi_series.c.kpi).join(kpi_shifts, kpi_shifts.c.series_id == kpi_series.c.id).distinct()
        )
    )
