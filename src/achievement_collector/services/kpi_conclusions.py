"""Milestones and shifts of KPIs concluded, with everything that came at the time of a shift."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.attribution import ROLL_OUT, Attribution, Rival, attribute, window_of
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.kpis import KpiShift, conclude_milestone, conclude_shift
from achievement_collector.facts.deployments import UNKNOWN
from achievement_collector.facts.kpis import Kpi, Sample
from achievement_collector.facts.work import Deployment
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.deployments import recorded_deployments
from achievement_collector.ledger.outcomes import merged_between, outcomes, replace_outcomes
from achievement_collector.ledger.selection import credits_of
from achievement_collector.services.kpis import configured_kpi, rollout_of

_MOST_LISTED = 200  # changes that are kept with a shift, the newest; all of them count
_RAN = ("success", "inactive", "rolled_back", "failure", "error", "in_progress", UNKNOWN)


def conclude_kpi(connection: Connection, settings: Settings, name: str) -> list[str]:
    """Stores the achievements that the milestones and shifts of a KPI are; gives the keys of those that changed."""
    kpi = configured_kpi(settings, connection, name) if name in stored.names_of_kpis(connection) else None
    found = [conclude_milestone(one) for one in stored.milestones_of(connection, name)]
    if kpi is not None:
        for _, _, shift in stored.stored_shifts(connection, name):
            attribution = attribution_of(connection, settings, kpi, shift)
            found.append(conclude_shift(shift, kpi, attribution, _credited(connection, attribution)))
    mine = re.compile(rf"(?:kpi|shift)/{re.escape(name)}(?:\{{|@)")
    return replace_outcomes(connection, AchievementKind.KPI, lambda key: bool(mine.match(key)), found)


def attribution_of(connection: Connection, settings: Settings, kpi: Kpi, shift: KpiShift) -> Attribution:
    """Everything that came in the window of a shift."""
    since, until = window_of(shift.earliest, shift.latest, shift.step)
    places = [one if one.count("/") > 1 else f"github.com/{one}" for one in kpi.repositories]
    deployed = deployments_between(
        connection, since, until, kpi.environments or settings.deployment_environments, places
    )
    shipped = {uid for one in deployed for uid in one.shipped}
    came = [one for one in merged_between(connection, since, until, places) if one.uid not in shipped]
    merged = [
        Rival(
            "change", one.uid, f"{one.title} ({one.repository.rpartition('/')[2]}"
            + (f"#{one.pull_request})" if one.pull_request else ")"), one.at,
            url=f"{one.web_url}/pull/{one.pull_request}" if one.web_url and one.pull_request else "", source="git",
            shipped=(one.uid,),
        )
        for one in came[:_MOST_LISTED]
    ]  # fmt: skip
    versions: dict[str, Sequence[Sample]] = {}
    if kpi.rollout_query and len(deployed) == 1:
        for _, series in stored.stored_series(connection, rollout_of(kpi), deployed[0].at - ROLL_OUT):
            version = series.labels.get(kpi.rollout_label, "")
            if version:
                versions[version] = series.samples
    return attribute(
        since,
        until,
        [*deployed, *merged],
        shift.difference,
        versions,
        kpi.rollout_label,
        len(came) - len(merged),
    )


def deployments_between(
    connection: Connection,
    since: int,
    until: int,
    environments: Collection[str],
    places: Collection[str] = (),
) -> list[Rival]:
    """The deployments that ended between two moments (milliseconds), failed ones too, or began and no end of them is known; in
    time's order."""
    names = {one.casefold() for one in environments}
    inside = [
        one
        for one in recorded_deployments(connection).deployments
        if one.at is not None
        and since <= one.at <= until
        and one.state in _RAN
        and one.environment.casefold() in names
        and (not places or one.repository in places)
    ]
    concluded = outcomes(connection, AchievementKind.DEPLOYMENT) if inside else []
    details = {one.detail["deployment"]["key"]: one.detail for one in concluded}
    found = []
    for one in sorted(inside, key=lambda one: (one.at or 0, one.key)):
        detail = details.get(one.key)
        shipped = tuple(detail.get("gathers", ())) if detail else ()
        found.append(
            Rival(
                "deployment", one.key, _title(one), one.at or 0, one.version or one.sha, one.url, "deployments", shipped,
                bool(shipped),
            )
        )  # fmt: skip
    return found


def _title(one: Deployment) -> str:
    what = one.version or one.sha[:10]
    how = {
        "failure": "failed deployment",
        "error": "failed deployment",
        "rolled_back": "deployment (rolled back later)",
        "in_progress": "deployment (no end of it is known)",
    }
    told = how.get(one.state, "deployment")
    return f"the {told} of {what + ' of ' if what else ''}{one.repository.partition('/')[2]} to {one.environment}"


def _credited(connection: Connection, attribution: Attribution) -> list[tuple[int, int]]:
    """Those whose changes the only deployment of the window shipped, where nothing else came."""
    return credits_of(connection, attribution.sole.shipped) if attribution.sole else []
