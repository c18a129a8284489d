"""Reports of CI and of quarters: made of what is known, frozen when their period is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.ci_health.summary import health_data
from achievement_collector.derive.ci_report import (
    Coverage,
    Period,
    ReportInputs,
    compared,
    week_named,
    week_of,
    weekly_report,
)
from achievement_collector.derive.epics import iso
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.ledger import ci_failures, ci_runs
from achievement_collector.ledger import reports as stored
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import names_of
from achievement_collector.services.ci_failures import cluster_data, explain_failures
from achievement_collector.services.ci_health import health_between, repository_of
from achievement_collector.services.ci_runs import named_repository

WEEK = 7 * 86_400_000
KINDS = ("weekly", "quarterly")


def ci_report(
    ledger: Ledger,
    settings: Settings,
    now: int,
    *,
    repository: str | None = None,
    week: str | None = None,
    since: int | None = None,
    until: int | None = None,
    freezes: bool = True,
) -> dict[str, Any]:
    """The report of an ISO week (``2026-W47``, a day of it, or ``last`` for the newest that is over), or of a period.

    A week that is over is frozen the first time it is asked for once all of it was collected (``missing`` says what was not),
    unless ``freezes`` is off: later news do not change it. A period, and any other week, are made anew each time. Raises
    :class:`CollectorError` for what names no week, and where no CI is known.
    """
    with ledger.read() as connection:
        place = repository_of(connection, repository)
    period = _period(week, since, until, now)
    if period.week:
        with ledger.read() as connection:
            found = _frozen_week(connection, place, period.week)
        if found is not None:
            return _with_comparison(ledger, place, period, found.data, is_frozen=True)
    explain_failures(ledger, settings, now, repository=place)
    with ledger.read() as connection:
        coverage = coverage_of(connection, place, period.since, period.until)
        data = _made(connection, settings, place, period, now, coverage)
    if freezes and period.week and coverage.may_be_frozen(period, now):
        key = f"weekly/{place}/{period.week}"
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


def _frozen_week(connection: Connection, place: str, week: str) -> stored.Frozen | None:
    """The frozen report of a week, under any name that the repository has had."""
    found = (stored.frozen(connection, f"weekly/{name}/{week}") for name in names_of(connection, place))
    return next((one for one in found if one is not None), None)


def coverage_of(connection: Connection, place: str, since: int, until: int) -> Coverage:
    """How much of a repository's CI in a period is known."""
    counts = ci_runs.counts(connection, place, since, until)
    known = ci_runs.collected(connection, place)
    return Coverage(
        known.begin, known.end, counts.unfinished, counts.jobs_waiting, counts.logs_waiting, counts.logs_lost
    )


def _made(
    connection: Connection, settings: Settings, place: str, period: Period, now: int, coverage: Coverage
) -> dict[str, Any]:
    from achievement_collector.services.fixes import fix_rate_data

    until = min(period.until, now)
    found = health_data(health_between(connection, place, period.since, until, now))
    attempts = ci_runs.attempts(connection, place, period.since - 4 * WEEK, period.until)
    clusters = ci_failures.clusters(connection, place, period.since, period.until)
    fixes = fix_rate_data(connection, place, period.since, period.until)
    told = [cluster_data(one) for one in clusters]
    return weekly_report(ReportInputs(place, period, now, found, attempts, told, fixes, coverage))


def _with_comparison(
    ledger: Ledger, place: str, period: Period, data: dict[str, Any], *, is_frozen: bool
) -> dict[str, Any]:
    told: dict[str, Any] = {**data, "is_frozen": is_frozen, "compared": None}
    if period.week:
        before = week_of(datetime.fromtimestamp((period.since - 1) / 1000, UTC).date())
        with ledger.read() as connection:
            found = _frozen_week(connection, place, before.week)
        if found is not None:
            told["compared"] = compared(data, found.data)
    return told


# --- what was frozen ----------------------------------------------------------------------------------


def list_reports(
    ledger: Ledger, kind: str | None = None, repository: str | None = None
) -> list[dict[str, Any]]:
    """The frozen reports, without their data; those of a repository are found by any name it had, as a whole
    (``host/owner/name``) or by its end. Raises :class:`CollectorError` for another kind than :data:`KINDS`."""
    if kind is not None and kind not in KINDS:
        raise CollectorError(f"{kind!r} is no kind of report; there are {' and '.join(KINDS)}")
    with ledger.read() as connection:
        places = None
        if repository is not None:
            try:
                places = names_of(connection, named_repository(connection, repository))
            except NotFoundError:
                places = names_of(connection, repository)
        found = stored.frozen_reports(connection, kind, places)
    return [
        {
            "key": one.key, "kind": one.kind, "repository": one.repository or None, "since": iso(one.since),
            "until": iso(one.until), "content_hash": one.content_hash, "created": iso(one.created),
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
