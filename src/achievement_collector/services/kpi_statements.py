"""Values of KPIs that people and programs state: taken in one unit, kept apart from what is measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.kpis import Milestone
from achievement_collector.derive.quantities import conversion
from achievement_collector.errors import CollectorError
from achievement_collector.facts.kpis import GREATEST_STATED, Direction, Kpi, Sample, Series
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.entities import mark_stale, remember
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.kpis import Scraped, compared_origins, judged, record_values, stated_unit


@dataclass(frozen=True, slots=True)
class Tracked:
    """What became of a stated value: the milestone, or why it is none."""

    milestone: Milestone | None
    why: str


def track_milestone(
    ledger: Ledger,
    settings: Settings,
    name: str,
    value: float,
    target: float,
    now: int,
    *,
    direction: Direction | None = None,
    unit: str | None = None,
    told_by: str = "",
    at: int | None = None,
) -> Tracked:
    """Records a value of a KPI that a person or a program states; a milestone where the documented rule says so. What the
    configuration says of a KPI of this name holds where nothing else is given. A value in another unit than the KPI's is
    converted; :class:`CollectorError` where it cannot be."""
    if not re.fullmatch(r"[A-Za-z_][\w.:-]{0,99}", name, re.ASCII):
        raise CollectorError(f"{name[:100]!r} is no name of a KPI: letters, digits, _ . : - make one")
    for what, number in (("value", value), ("target", target)):
        if not abs(number) <= GREATEST_STATED:  # nor is NaN
            raise CollectorError(
                f"the {what} of a KPI must be a number between {-GREATEST_STATED:g} and {GREATEST_STATED:g}"
            )
    configured = next((one for one in settings.kpis if one.name == name), None)
    moment = now if at is None else at
    with ledger.write() as connection:
        kept, factor = _unit_kept(connection, configured, name, unit)
        kpi = Kpi(
            name, "", configured.title if configured else name.replace("_", " "),
            direction or (configured.direction if configured else Direction.HIGHER), target * factor, kept,
            configured.money_per_unit if configured else None, configured.currency if configured else "$",
            metric=configured.metric if configured else "",
        )  # fmt: skip
        sample = Sample(moment, value * factor)
        number = stored.series_id(connection, name, {})
        previous = stored.last_recorded(connection, number, moment, compared_origins("stated"))
        answer = judged(connection, kpi, name, sample, previous, "stated")
        found = record_values(
            connection, kpi, [Series(name, {}, (sample,))], now, "stated", Scraped(), told_by=told_by
        )
        remember(connection, f"kpi-stated/{name}", {"unit": kept}, now)
        mark_stale(connection, [("kpi", name, f"a stated value of {name}")], now)
    return Tracked(found[0] if found else None, answer.why)


def _unit_kept(
    connection: Connection, configured: Kpi | None, name: str, told: str | None
) -> tuple[str, float]:
    """The unit in which values of a KPI are kept, and what makes one of it out of one of the unit that was ``told``."""
    known = stated_unit(connection, name)
    if configured is not None and (configured.unit or configured.query):
        known = configured.unit
    if told is None or known is None or told == known:
        return (told or "" if known is None else known), 1.0
    factor = conversion(told, known)
    if factor is None:
        kept = f"in {known!r}" if known else "without a unit"
        raise CollectorError(f"{name} is kept {kept}; state the value so, {told!r} cannot be converted")
    return known, factor
