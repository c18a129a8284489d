"""What Notion is shown: the newest weekly report of each repository, and the milestones. What was not measured stays empty."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from achievement_collector.config import Settings
from achievement_collector.facts.milestones import Milestone, Origin
from achievement_collector.ledger import ci_runs
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import names_of
from achievement_collector.present.reports import render_report, summary_of
from achievement_collector.publish.notion.plan import ReportPage, RoadmapRow
from achievement_collector.services.github_sync import web_host
from achievement_collector.services.milestone_work import planned_milestones
from achievement_collector.services.reports import ci_report
from achievement_collector.services.roadmap import find_milestone, load_plan, roadmap_status
from achievement_collector.services.two_way.running import sync_keys

Data = Mapping[str, Any]


class Week(NamedTuple):
    """A report's page, and the trend that it tells, with its n: the trend alone does not say how sure it is."""

    page: ReportPage
    trend: str | None
    told: str


def weekly_pages(ledger: Ledger, settings: Settings, now: int, *, freezes: bool = True) -> list[Week]:
    """The report of the newest week that is over, of every repository with CI. ``freezes`` keeps each as it is now."""
    with ledger.read() as connection:
        places = ci_runs.repositories_with_runs(connection)
        names = {
            name: names_of(connection, place) for place in places for name in names_of(connection, place)
        }
    found = [
        ci_report(ledger, settings, now, repository=place, week="last", freezes=freezes) for place in places
    ]
    return [
        Week(
            _page(one, names.get(one["repository"], ())),
            one["trend"]["label"] if one["trend"] else None,
            one["trend"]["text"] if one["trend"] else "",
        )
        for one in found
    ]


def _page(data: Data, names: Sequence[str]) -> ReportPage:
    repository, week = data["repository"], data["analysis_period"]["week"]
    name = data["report_name"]
    mttr = data["average_mttr"]["value"]
    return ReportPage(
        f"{repository}/{week}", name, date.fromisoformat(data["report_date"]), 7.0, render_report(data, "markdown").decode(),
        data["total_failures"]["value"], data["auto_fix_success_rate"]["value"], None if mttr is None else mttr / 60,
        data["top_failure_category"]["value"], summary_of(data),
        f"https://{repository}" if "." in repository.partition("/")[0] else None,
        tuple(f"{name}/{week}" for name in names if name != repository),
    )  # fmt: skip


def roadmap_rows(
    ledger: Ledger, settings: Settings, milestone: str | None, now: int, weeks: list[Week]
) -> list[RoadmapRow]:
    """The milestones, or the one that goes by a name. Raises :class:`NotFoundError`."""
    plan = load_plan(settings.roadmap_file, settings)
    told = roadmap_status(ledger, plan, now)["milestones"]
    if milestone:
        with ledger.read() as connection:
            wanted = find_milestone(planned_milestones(connection, plan), milestone).key
        told = [one for one in told if one["key"] == wanted]
    reports = {week.page.key.rpartition("/")[0]: week for week in weeks}
    places = {place for one in told for key in _keys(one) if (place := _place_of(key))}
    linked: dict[str, str] = {}
    for place in sorted(places | {place for one in told for place in one["repositories"]}):
        linked |= sync_keys(ledger, place)
    with ledger.read() as connection:
        own = f"{web_host(settings.github_api_url)}/{settings.github_repository}"
        names = {place: names_of(connection, place) for place in places}
        synced = {name.casefold() for name in (own, *names_of(connection, own))}
    filed = {key: one for one in plan.milestones for key in (one.key, *one.same_as)}
    return [
        _row(one, settings, reports, _key_of(one, linked, synced, names), _left(one, filed)) for one in told
    ]


_OF_PEOPLE = frozenset({"name", "target", "status", "notes"})


def _left(one: Data, filed: Mapping[str, Milestone]) -> frozenset[str]:
    """What of a linked row is left to the two-way sync: what people own in it, but for what roadmap.yaml itself says."""
    found = next((filed[key] for key in _keys(one) if key in filed), None)
    if found is None:
        return _OF_PEOPLE
    is_stated = any(said.origin is Origin.FILE for said in found.statements)
    said = {"name": bool(found.title), "target": found.target is not None, "status": is_stated}
    return _OF_PEOPLE - {name for name, is_said in said.items() if is_said}


class _Key(NamedTuple):
    """The Sync Key of a row, whether the two-way sync gave it, and those that the row may have had before."""

    key: str
    is_linked: bool
    earlier: tuple[str, ...]


def _keys(one: Data) -> list[str]:
    return [one["key"], *one["same_as"]]


def _place_of(key: str) -> str:
    """The repository of the key of one of GitHub's milestones, empty for other keys."""
    place, _, number = key.rpartition("/milestone/")
    return place if number.isdecimal() else ""


def _key_of(
    one: Data, linked: Mapping[str, str], synced: Collection[str], names: Mapping[str, Sequence[str]]
) -> _Key:
    """That of the link, where there is one; else the key of the milestone in the repository that is synchronised, by which the
    two-way sync finds the row; else the milestone's own."""
    keys = _keys(one)
    for key in keys:
        if key in linked:
            return _Key(linked[key], True, ())
    chosen = next((key for key in keys if _place_of(key).casefold() in synced), keys[0])
    others = [key for key in keys if key != chosen]
    for key in keys:
        others += [f"{name}/milestone/{key.rpartition('/')[2]}" for name in names.get(_place_of(key), ())]
    return _Key(chosen, False, tuple(key for key in dict.fromkeys(others) if key != chosen))


def _row(
    one: Data, settings: Settings, reports: Mapping[str, Week], known_as: _Key, left: frozenset[str]
) -> RoadmapRow:
    parts = {part["name"]: part for part in one["readiness"]["parts"]}
    points, share = one["readiness"]["points"], one["progress"]["share"]
    score = None if points is None else points / 100
    week = next((reports[place] for place in one["repositories"] if place in reports), None)
    report = week.page if week else None
    # of a milestone that no run and no pull request is tied to, the numbers of its repository say nothing
    own = None if one["readiness"]["is_repository_wide"] else week
    target = date.fromisoformat(one["target"]) if one["target"] else None
    return RoadmapRow(
        known_as.key, one["title"], target, one["status"]["value"],
        score if settings.progress_source == "documents" else share,
        _value(parts, "pass_rate"), _value(parts, "auto_fix"), own.page.mttr if own else None,
        own.trend if own else None, one.get("related_pull"), None, report.key if report else None,
        left if known_as.is_linked else frozenset(),
        breakdown_of(one, week.told if week else ""), known_as.earlier,
    )  # fmt: skip


def _value(parts: Mapping[str, Data], name: str) -> float | None:
    value = parts[name]["value"] if name in parts else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def breakdown_of(one: Data, trend: str = "") -> str:
    """The score with its parts, the progress of the work, the forecast and the trend of CI, each by itself, in Markdown."""
    readiness = one["readiness"]
    points = "not measured" if readiness["points"] is None else (
        f"{readiness['points']}/100 (measurable now: {readiness['points']} of {readiness['measurable']})"
    )  # fmt: skip
    lines = [f"- {readiness['name']}: {points}"]
    for part in readiness["parts"]:
        lines.append(
            f"    - {plain(part['title'])} {part['points']}/{part['most']}, {part['state']}: {plain(part['told'])}"
        )
    lines += [
        f"- Progress: {plain(one['progress']['told'])}",
        f"- Forecast: {plain(one['forecast'].get('told') or 'none')}",
    ]
    if trend:
        lines.append(f"- Trend of CI in the repository: {plain(trend)}")
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """A line that Markdown shows as it is; names of branches and workflows are other people's."""
    return re.sub(r"([\\`*_\[\]<>~|!#])", r"\\\1", " ".join(text.split()))
