"""Reports of CI and of quarters: made of what is known, frozen when their period is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.ci_health.summary import health_data
from achievement_collector.derive.ci_report import (
    Period,
    ReportInputs,
    compared,
    week_named,
    week_of,
    weekly_report,
)
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.ledger import ci_failures, ci_runs
from achievement_collector.ledger import reports as stored
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.ci_failures import cluster_data, explain_failures
from achievement_collector.services.ci_health import health_between, repository_of

WEEK = 7 * 86_400_000


def ci_report(
    ledger: Ledger,
    settings: Settings,
    now: int,
    *,
    repository: str | None = None,
    week: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """The report of an ISO week (``2026-W47``, a day of it, or ``last`` for the newest that is over), or of a period.

    A week that is over is frozen the first time it is asked for: later news do not change it. A period, and the week that is
    not over, are made anew each time. Raises :class:`CollectorError` for what names no week, and where no CI is known.
    """
    with ledger.read() as connection:
        place = repository_of(connection, repository)
    period = _period(week, since, until, now)
    key = f"weekly/{place}/{period.week}"
    if period.week:
        with ledger.read() as connection:
            found = stored.frozen(connection, key)
        if found is not None:
            return _with_comparison(ledger, place, period, found.data, is_frozen=True)
    explain_failures(ledger, settings, now, repository=place)
    with ledger.read() as connection:
        data = _made(connection, settings, place, period, now)
    if period.week and now >= period.until:
        with ledger.write() as connection:
            data = stored.freeze(connection, key, "weekly", place, period.since, period.until, data, now).data
        return _with_comparison(ledger, place, period, data, is_frozen=True)
    return _with_comparison(ledger, place, period, data, is_frozen=False)


def _period(week: str | None, since: int | None, until: int | None, now: int) -> Period:
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    if since is not None or until is not None:
        end = until if until is not None else now
        begin = since if since is not None else end - WEEK
        if begin >= end:
            raise CollectorError("the period of a report must begin before it ends")
        return Period(begin, end)
    if week in (None, "last"):
        this = week_of(today)
        return week_of(datetime.fromtimestamp((this.since - 1) / 1000, UTC).date())
    found = week_named(str(week))
    if found is None:
        raise CollectorError(f"{week!r} names no week; give 2026-W47, a day of it, or last")
    if found.since > now:
        raise CollectorError(f"the week {found.week} has not begun")
    return found


def _made(connection: Connection, settings: Settings, place: str, period: Period, now: int) -> dict[str, Any]:
    from achievement_collector.services.fixes import fix_rate_data

    until = min(period.until, now)
    found = health_data(health_between(connection, place, period.since, until, now))
    attempts = ci_runs.attempts(connection, place, period.since - 4 * WEEK, period.until)
    clusters = ci_failures.clusters(connection, place, period.since, period.until)
    fixes = fix_rate_data(connection, place, period.since, period.until)
    told = [cluster_data(one) for one in clusters]
    return weekly_report(ReportInputs(place, period, now, found, attempts, told, fixes))


def _with_comparison(
    ledger: Ledger, place: str, period: Period, data: dict[str, Any], *, is_frozen: bool
) -> dict[str, Any]:
    told: dict[str, Any] = {**data, "is_frozen": is_frozen, "compared": None}
    if period.week:
        before = week_of(datetime.fromtimestamp((period.since - 1) / 1000, UTC).date())
        with ledger.read() as connection:
            found = stored.frozen(connection, f"weekly/{place}/{before.week}")
        if found is not None:
            told["compared"] = compared(data, found.data)
    return told


# --- quarters ----------------------------------------------------------------------------------------


def quarterly_report(
    ledger: Ledger, settings: Settings, now: int, *, quarter: str | None = None, repository: str | None = None
) -> dict[str, Any]:
    """The report of a quarter (``Q4-2026``; None for the newest that is over): what became of its milestones by their frozen
    snapshots, and the health of CI in it. Frozen when the quarter is over."""
    from achievement_collector.derive.quarters import (
        delivery_data,
        last_complete_quarter,
        quarter_named,
    )
    from achievement_collector.services.roadmap import load_plan, quarter_delivery

    start = settings.fiscal_year_start
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    chosen = quarter_named(quarter, start) if quarter else last_complete_quarter(today, start)
    if chosen is None:
        raise CollectorError(f"{quarter!r} names no quarter; give one such as Q4-2026")
    if chosen.first > today:
        raise CollectorError(f"Q{chosen.number}-{chosen.year} has not begun")
    since = int(
        datetime(chosen.first.year, chosen.first.month, chosen.first.day, tzinfo=UTC).timestamp() * 1000
    )
    last = datetime(chosen.last.year, chosen.last.month, chosen.last.day, tzinfo=UTC)
    until = int(last.timestamp() * 1000) + 86_400_000
    place = ""
    with ledger.read() as connection:
        if repository or len(ci_runs.repositories_with_runs(connection)) == 1:
            place = repository_of(connection, repository)
    name = f"Q{chosen.number}-{chosen.year}"
    key = f"quarterly/{place}/{name}"
    with ledger.read() as connection:
        found = stored.frozen(connection, key)
    if found is not None:
        return {**found.data, "is_frozen": True}
    delivery = delivery_data(quarter_delivery(ledger, load_plan(settings.roadmap_file, settings), name, now))
    with ledger.read() as connection:
        ci = _ci_of_quarter(connection, place, since, min(until, now), now) if place else None
    data = {
        "schema_version": 1, "kind": "quarterly", "quarter": name, "repository": place or None, "as_of": _iso(now),
        "analysis_period": {"since": _iso(since), "until": _iso(until)}, "is_complete": now >= until,
        "milestones": delivery, "ci": ci,
        "ci_told": "" if ci else "not measured: no repository with CI was named, or none is known",
    }  # fmt: skip
    if now >= until:
        with ledger.write() as connection:
            data = stored.freeze(connection, key, "quarterly", place, since, until, data, now).data
        return {**data, "is_frozen": True}
    return {**data, "is_frozen": False}


def _ci_of_quarter(connection: Connection, place: str, since: int, until: int, now: int) -> dict[str, Any]:
    from achievement_collector.services.fixes import fix_rate_data

    told = health_data(health_between(connection, place, since, until, now))
    overall = next(one for one in told["pass_rates"] if one["kind"] == "overall")
    return {
        "pass_rate": {name: overall[name] for name in ("first", "final", "flake_tax")},
        "time_to_green": told["time_to_green"]["headline"],
        "trend": next((one for one in told["trends"] if one["kind"] == "overall"), None),
        "auto_fix_success_rate": fix_rate_data(connection, place, since, until),
        "definitions": told["definitions"],
    }


def list_reports(
    ledger: Ledger, kind: str | None = None, repository: str | None = None
) -> list[dict[str, Any]]:
    """The frozen reports, without their data."""
    with ledger.read() as connection:
        found = stored.frozen_reports(connection, kind, repository)
    return [
        {
            "key": one.key, "kind": one.kind, "repository": one.repository or None, "since": _iso(one.since),
            "until": _iso(one.until), "content_hash": one.content_hash, "created": _iso(one.created),
        }
        for one in found
    ]  # fmt: skip


def one_report(ledger: Ledger, key: str) -> dict[str, Any]:
    """A frozen report. Raises :class:`NotFoundError`."""
    with ledger.read() as connection:
        found = stored.frozen(connection, key)
    if found is None:
        raise NotFoundError(f"there is no report {key!r}")
    return {**found.data, "is_frozen": True, "content_hash": found.content_hash}


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
