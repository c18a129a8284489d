"""The weekly report of CI as data: the documented fields, and everything that they rest on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from achievement_collector.facts.ci_runs import RED, Attempt

SCHEMA_VERSION = 1
_MOST_CLUSTERS = 10
_MOST_FLAKY = 10


class Period(NamedTuple):
    """What a report is of: ``since`` to before ``until`` (milliseconds); ``week`` is its ISO week, empty for other periods."""

    since: int
    until: int
    week: str = ""


def week_of(day: date) -> Period:
    """The ISO week (Monday to Sunday, UTC) that holds a day."""
    year, number, weekday = day.isocalendar()
    return _week(day - timedelta(days=weekday - 1), f"{year:04d}-W{number:02d}")


def week_named(text: str) -> Period | None:
    """The week that ``2026-W47`` means, or that holds the day ``2026-11-20``; None where the text names none."""
    try:
        if "W" in text.upper():
            year, _, number = text.upper().partition("-W")
            return _week(
                date.fromisocalendar(int(year), int(number), 1), f"{int(year):04d}-W{int(number):02d}"
            )
        return week_of(date.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _week(monday: date, name: str) -> Period:
    begin = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
    return Period(_ms(begin), _ms(begin + timedelta(days=7)), name)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Coverage(NamedTuple):
    """How much of a period is known: ``begin`` and ``end`` (milliseconds) of what was collected, None where nothing was; the
    numbers of attempts that have not ended, of red ones whose jobs were not read, of failed jobs whose log was not read yet, and
    of those whose log is not to be had."""

    begin: int | None = None
    end: int | None = None
    unfinished: int = 0
    jobs_waiting: int = 0
    logs_waiting: int = 0
    logs_lost: int = 0

    def covers(self, period: Period) -> bool:
        """Whether runs were collected from the period's begin to its end."""
        known = self.begin is not None and self.end is not None
        return known and (self.begin or 0) <= period.since and (self.end or 0) >= period.until

    def missing(self, period: Period) -> list[str]:
        """What is not known of the period, in words."""
        if self.begin is None or self.end is None:
            return ["no run of CI was collected"]
        told = []
        if self.begin > period.since:
            told.append(f"runs are known from {_iso(self.begin)} on")
        if self.end < period.until:
            told.append(f"nothing later than {_iso(self.end)} was collected")
        waits = (
            (self.unfinished, "attempt", "had not ended"),
            (self.jobs_waiting, "failed attempt", "had jobs that were not read"),
            (self.logs_waiting, "failed job", "had no log read"),
            (self.logs_lost, "failed job", "had a log that is not to be had"),
        )
        told += [f"{number} {what}{'s' if number > 1 else ''} {so}" for number, what, so in waits if number]
        return told

    def is_awaited(self, period: Period) -> bool:
        """Whether more of the period may still be read."""
        waits = self.unfinished or self.jobs_waiting or self.logs_waiting
        return bool(waits) or self.end is None or self.end < period.until

    def may_be_frozen(self, period: Period, now: int) -> bool:
        """Whether a report of the period will not be bettered: everything was read, or was waited for long enough
        (:data:`PATIENCE`). One that was not collected from its begin past its end never is."""
        if now < period.until or not self.covers(period):
            return False
        return now >= period.until + PATIENCE or not self.is_awaited(period)


PATIENCE = 14 * 86_400_000
"""Milliseconds after a period's end in which its jobs and logs may still be read before its report is frozen without them."""


class ReportInputs(NamedTuple):
    """What a report is made of. ``health`` is that of derive.ci_health; ``clusters`` are explained failures by signature, each
    with ``category``, ``count`` (in the period) and ``first_seen``; ``fixes`` the auto-fix success rate as data."""

    repository: str
    period: Period
    now: int
    health: Mapping[str, Any]
    attempts: Sequence[Attempt]
    clusters: Sequence[Mapping[str, Any]]
    fixes: Mapping[str, Any]
    coverage: Coverage


def weekly_report(told: ReportInputs) -> dict[str, Any]:
    """The report. What was not measured says so; no value stands for it."""
    since, until, week = told.period
    red = [
        one
        for one in told.attempts
        if one.conclusion in RED and one.finished is not None and since <= one.finished < until
    ]
    ended = sum(since <= (one.finished or -1) < until for one in told.attempts if one.is_finished)
    is_measured = bool(ended) or told.coverage.covers(told.period)
    categories = Counter[str]()
    for one in told.clusters:
        categories[str(one["category"])] += int(one["count"])
    explained = sum(categories.values())
    recovery = told.health["time_to_green"]["headline"]
    overall = next(one for one in told.health["pass_rates"] if one["kind"] == "overall")
    day = _day(until)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "weekly" if week else "period",
        "repository": told.repository,
        "report_name": f"CI_Weekly_Report_{day}" if week else f"CI_Report_{_day(since)}_{day}",
        "report_date": day,
        "analysis_period": {"since": _iso(since), "until": _iso(until), "week": week or None},
        "as_of": _iso(told.now),
        "is_complete": told.now >= until,
        "missing": told.coverage.missing(told.period),
        "total_failures": {
            "value": len(red) if is_measured else None,
            "of": ended,
            "definition": "attempts of workflow runs that failed, timed out or did not start, and ended in the period",
            "infrastructure": sum(one.is_infrastructure for one in red),
        },
        "failed_jobs_explained": explained,
        "auto_fix_success_rate": dict(told.fixes),
        "average_mttr": {
            "value": recovery["mean"] if recovery["state"] == "measured" else None,
            "unit": "s",
            "n": recovery["n"],
            "median": recovery.get("median"),
            "p90": recovery.get("p90"),
            "state": recovery["state"],
            "why": recovery["why"],
            "open": len(recovery["open"]),
            "definition": told.health["definitions"]["time_to_green"],
        },
        "top_failure_category": _top(categories, explained),
        "pass_rate": {
            "first": overall["first"],
            "final": overall["final"],
            "flake_tax": overall["flake_tax"],
        },
        "trend": next((one for one in told.health["trends"] if one["kind"] == "overall"), None),
        "by_workflow": [one for one in told.health["pass_rates"] if one["kind"] == "workflow"],
        "open_spells": recovery["open"],
        "categories": [{"category": name, "failed_jobs": count} for name, count in categories.most_common()],
        "clusters": [dict(one) for one in told.clusters[:_MOST_CLUSTERS]],
        "clusters_in_all": len(told.clusters),
        "unknown": _unknown(told.clusters),
        "failures_by_day": _by_day(red, since, until) if is_measured else [],
        "flaky": told.health["flakiness"],
        "durations": [one for one in told.health["durations"] if not one["workflow"]],
        "definitions": dict(told.health["definitions"]),
    }


def _top(categories: Counter[str], explained: int) -> dict[str, Any]:
    """The most frequent category that is known. Of several with as many, the first by name."""
    known = {name: count for name, count in categories.items() if name != "unknown"}
    if not known:
        why = (
            "no failed job is known"
            if not explained
            else f"none of {explained} failed jobs could be explained"
        )
        return {"value": None, "failed_jobs": 0, "of": explained, "why": why}
    name = min(known, key=lambda one: (-known[one], one))
    return {
        "value": name,
        "failed_jobs": known[name],
        "of": explained,
        "unknown": categories["unknown"],
        "why": "",
    }


def _unknown(clusters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The failures that no rule explains, most frequent first."""
    found = [dict(one) for one in clusters if one["category"] == "unknown"]
    return {
        "failed_jobs": sum(one["count"] for one in found),
        "clusters": found[:_MOST_CLUSTERS],
        "clusters_in_all": len(found),
    }


def _by_day(red: Sequence[Attempt], since: int, until: int) -> list[dict[str, Any]]:
    counts = Counter(_day(one.finished or 0) for one in red)
    first = since - since % 86_400_000
    return [{"day": _day(at), "failures": counts[_day(at)]} for at in range(first, until, 86_400_000)]


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the report of the period before; None where one of the two does not tell."""

    def difference(*path: str) -> float | None:
        values: list[Any] = [now, before]
        for name in path:
            values = [one.get(name) if isinstance(one, Mapping) else None for one in values]
        if any(not isinstance(one, int | float) or isinstance(one, bool) for one in values):
            return None
        return float(values[0] - values[1])

    return {
        "with": before["report_name"],
        "total_failures": difference("total_failures", "value"),
        "pass_rate_first": difference("pass_rate", "first", "value"),
        "average_mttr": difference("average_mttr", "value"),
        "auto_fix_success_rate": difference("auto_fix_success_rate", "value"),
    }


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
