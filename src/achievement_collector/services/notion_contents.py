"""What Notion is shown: the newest weekly report of each repository, and the milestones. What was not measured stays empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from achievement_collector.config import Settings
from achievement_collector.errors import NotFoundError
from achievement_collector.ledger import ci_runs
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.reports import render_report, summary_of
from achievement_collector.publish.notion.plan import ReportPage, RoadmapRow
from achievement_collector.services.reports import ci_report
from achievement_collector.services.roadmap import load_plan, roadmap_status
from achievement_collector.services.two_way.running import sync_keys

Data = Mapping[str, Any]


class Week(NamedTuple):
    """A report's page, and the trend that it tells, with its n: the trend alone does not say how sure it is."""

    page: ReportPage
    trend: str | None
    told: str


def weekly_pages(ledger: Ledger, settings: Settings, now: int) -> list[Week]:
    """The report of the newest week that is over, of every repository with CI."""
    with ledger.read() as connection:
        places = ci_runs.repositories_with_runs(connection)
    found = [ci_report(ledger, settings, now, repository=place, week="last") for place in places]
    return [
        Week(
            _page(one),
            one["trend"]["label"] if one["trend"] else None,
            one["trend"]["text"] if one["trend"] else "",
        )
        for one in found
    ]


def _page(data: Data) -> ReportPage:
    repository, week = data["repository"], data["analysis_period"]["week"]
    name = data["report_name"]
    mttr = data["average_mttr"]["value"]
    return ReportPage(
        f"{repository}/{week}", name, date.fromisoformat(data["report_date"]), 7.0, render_report(data, "markdown").decode(),
        data["total_failures"]["value"], data["auto_fix_success_rate"]["value"], None if mttr is None else mttr / 60,
        data["top_failure_category"]["value"], summary_of(data),
        f"https://{repository}" if "." in repository.partition("/")[0] else None,
    )  # fmt: skip


def roadmap_rows(
    ledger: Ledger, settings: Settings, milestone: str | None, now: int, weeks: list[Week]
) -> list[RoadmapRow]:
    """The milestones, or the one that is named (by key or title, in any case). Raises :class:`NotFoundError`."""
    told = roadmap_status(ledger, load_plan(settings.roadmap_file, settings), now)["milestones"]
    if milestone:
        wanted = milestone.casefold()
        told = [one for one in told if wanted in (one["key"].casefold(), one["title"].casefold())]
        if not told:
            raise NotFoundError(f"no milestone is called {milestone!r}; roadmap status shows them")
    reports = {week.page.key.rpartition("/")[0]: week for week in weeks}
    linked: dict[str, str] = {}
    for place in {place for one in told for place in one["repositories"]}:
        linked |= sync_keys(ledger, place)
    return [_row(one, settings, reports, linked) for one in told]


def _row(one: Data, settings: Settings, reports: Mapping[str, Week], linked: Mapping[str, str]) -> RoadmapRow:
    key = next((linked[name] for name in (one["key"], *one["same_as"]) if name in linked), None)
    parts = {part["name"]: part for part in one["readiness"]["parts"]}
    points, share = one["readiness"]["points"], one["progress"]["share"]
    score = None if points is None else points / 100
    week = next((reports[place] for place in one["repositories"] if place in reports), None)
    report = week.page if week else None
    target = date.fromisoformat(one["target"]) if one["target"] else None
    return RoadmapRow(
        key or one["key"], one["title"], target, one["status"]["value"],
        score if settings.progress_source == "documents" else share,
        _value(parts, "pass_rate"), _value(parts, "auto_fix"), report.mttr if report else None,
        week.trend if week else None,
        one.get("related_pull"), notes_of(one, week.told if week else ""), report.key if report else None,
        key is not None,
    )  # fmt: skip


def _value(parts: Mapping[str, Data], name: str) -> float | None:
    value = parts[name]["value"] if name in parts else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def notes_of(one: Data, trend: str = "") -> str:
    """The score with its parts, the progress of the work, the forecast and the trend of CI, each by itself."""
    lines = [
        f"{one['readiness']['name']}: {one['readiness']['told']}",
        f"Progress: {one['progress']['told']}",
        f"Forecast: {one['forecast'].get('told') or 'none'}",
    ]
    if trend:
        lines.append(f"Trend of CI: {trend}")
    return "\n".join(lines)
