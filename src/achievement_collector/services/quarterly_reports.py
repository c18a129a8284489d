"""The report of a quarter: its milestones by their frozen snapshots, how far targets moved, velocity, and CI."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.ci_health.summary import health_data
from achievement_collector.derive.ci_report import PATIENCE, Period
from achievement_collector.derive.epics import iso
from achievement_collector.derive.quarters import (
    LISTS,
    Quarter,
    delivery_data,
    last_complete_quarter,
    quarter_named,
)
from achievement_collector.derive.slips import measure_data, slips_data, slips_of, velocity
from achievement_collector.errors import CollectorError
from achievement_collector.facts.milestones import Plan
from achievement_collector.ledger import ci_runs, roadmap
from achievement_collector.ledger import reports as stored
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import names_of
from achievement_collector.services.ci_health import health_between, repository_of
from achievement_collector.services.milestone_work import Gathered
from achievement_collector.services.reports import coverage_of
from achievement_collector.services.roadmap import load_plan, quarter_delivery

SCHEMA_VERSION = 2


def quarterly_report(
    ledger: Ledger, settings: Settings, now: int, *, quarter: str | None = None, repository: str | None = None
) -> dict[str, Any]:
    """The report of a quarter (``Q4-2026``; None for the newest that is over): what became of its milestones by their frozen
    snapshots, how their targets moved, how many of their issues were closed in a week, and CI of ``repository``, or of every
    repository with runs in the quarter. Frozen when the quarter is over and its CI was read, or :data:`PATIENCE` later.

    Milestones are those of the whole roadmap: a repository narrows CI alone. Raises :class:`CollectorError` for what names no
    quarter, or one that has not begun.
    """
    chosen = _chosen(quarter, settings.fiscal_year_start, now)
    since, until = _moment(chosen.first), _moment(chosen.last + timedelta(days=1))
    with ledger.read() as connection:
        place = repository_of(connection, repository) if repository else ""
        names = names_of(connection, place) if place else [""]
        keys = [f"quarterly/{name}/{_label(chosen)}" for name in names]
        found = next((one for key in keys if (one := stored.frozen(connection, key)) is not None), None)
    if found is not None:
        return {**found.data, "is_frozen": True}
    plan = load_plan(settings.roadmap_file, settings)
    delivery = delivery_data(quarter_delivery(ledger, plan, chosen.name, now))
    with ledger.read() as connection:
        places = [place] if place else ci_runs.repositories_with_runs(connection)
        ci = [told for one in places if (told := _ci(connection, one, since, until, now))]
        slips = _slips(connection, chosen, delivery)
        pace = _velocity(connection, plan, chosen, now)
    data = {
        "schema_version": SCHEMA_VERSION, "kind": "quarterly", "quarter": chosen.name, "repository": place or None,
        "as_of": iso(now), "analysis_period": {"since": iso(since), "until": iso(until)},
        "is_complete": now >= until, "milestones": delivery, "milestones_of": "the whole roadmap", "slips": slips,
        "velocity": pace, "ci": ci, "ci_told": "" if ci else "not measured: no run of CI is known in the quarter",
    }  # fmt: skip
    tells_nothing = not ci and delivery["snapshots"] == [None, None]
    if tells_nothing or now < until or (now < until + PATIENCE and any(one["is_awaited"] for one in ci)):
        return {**data, "is_frozen": False}
    with ledger.write() as connection:
        data = stored.freeze(connection, keys[0], "quarterly", place, since, until, data, now).data
    return {**data, "is_frozen": True}


def _chosen(quarter: str | None, start: int, now: int) -> Quarter:
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    chosen = quarter_named(quarter, start) if quarter else last_complete_quarter(today, start)
    if chosen is None:
        raise CollectorError(f"{quarter!r} names no quarter; give one such as Q4-2026")
    if chosen.first > today:
        raise CollectorError(f"{chosen.name} has not begun")
    return chosen


def _label(quarter: Quarter) -> str:
    """What tells a quarter from all others: its name, and where the fiscal year is not the calendar's, when it begins."""
    in_calendar = quarter_named(quarter.name)
    is_usual = in_calendar is not None and in_calendar.first == quarter.first
    return quarter.name if is_usual else f"{quarter.name} from {quarter.first}"


def _moment(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _slips(connection: Connection, quarter: Quarter, delivery: dict[str, Any]) -> list[dict[str, Any]]:
    """How the targets of the quarter's milestones moved in it, from the snapshot that tells how it began."""
    named = {one["key"]: one["title"] for name in LISTS for one in delivery[name] or ()}
    begin = delivery["snapshots"][0] or quarter.first.isoformat()
    targets = roadmap.targets_seen(connection)
    found = []
    for key, title in named.items():
        seen = [
            (day, target)
            for day, target in targets.get(key, ())
            if begin <= day.isoformat() <= quarter.last.isoformat()
        ]
        found.append({"key": key, "title": title, **slips_data(slips_of(seen))})
    return found


def _velocity(connection: Connection, plan: Plan, quarter: Quarter, now: int) -> dict[str, Any]:
    """Of the last 12 whole weeks before the quarter's end, or before today."""
    work = Gathered(connection, plan, now).work
    items = {item.key: item for own in work.values() for item in own.items()}
    end = min(quarter.last + timedelta(days=1), datetime.fromtimestamp(now / 1000, UTC).date())
    return measure_data(velocity(items.values(), end))


def _ci(connection: Connection, place: str, since: int, until: int, now: int) -> dict[str, Any] | None:
    from achievement_collector.services.fixes import fix_rate_data

    if not ci_runs.counts(connection, place, since, until).attempts:
        return None
    told = health_data(health_between(connection, place, since, min(until, now), now))
    overall = next(one for one in told["pass_rates"] if one["kind"] == "overall")
    period, coverage = Period(since, until), coverage_of(connection, place, since, until)
    return {
        "repository": place,
        "missing": coverage.missing(period),
        "is_awaited": coverage.is_awaited(period),
        "pass_rate": {name: overall[name] for name in ("first", "final", "flake_tax")},
        "time_to_green": told["time_to_green"]["headline"],
        "trend": next((one for one in told["trends"] if one["kind"] == "overall"), None),
        "auto_fix_success_rate": fix_rate_data(connection, place, since, min(until, now)),
        "definitions": told["definitions"],
    }
