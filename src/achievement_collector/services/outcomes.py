"""Conclusions about outcomes, brought up to date: deployments, posts, experiments, KPIs, and the epics they are told with."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.epic_outcomes import MeasuredShift, Worth
from achievement_collector.facts.kpis import Direction
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger import kpis as ledger_kpis
from achievement_collector.ledger import work
from achievement_collector.ledger.deployments import repositories_with_deployments
from achievement_collector.ledger.entities import Stale, mark_stale, settle, things
from achievement_collector.ledger.outcomes import Outcome, outcomes, pulls_of, replace_outcomes
from achievement_collector.ledger.reading import stored_repositories
from achievement_collector.ledger.store import Ledger

Mark = tuple[str, str, str]

KINDS = ("deployments", "post", "experiment", "kpi")
"""The kinds of marks that are worked off here, in their order: what shipped is known before what it coincided with."""


def conclude_outcome(ledger: Ledger, settings: Settings, mark: Stale, now: int) -> None:
    """Concludes what a mark names anew, marks what rests on it, and takes the mark away."""
    match mark.kind:
        case "deployments":
            _conclude_deployments(ledger, settings, mark, now)
        case "post":
            from achievement_collector.services.content import conclude_posts

            with ledger.write() as connection:
                found = conclude_posts(connection, [mark.key])
                replace_outcomes(
                    connection, AchievementKind.CONTENT, lambda one: one == f"post/{mark.key}", found
                )
                settle(connection, [mark])
        case "experiment":
            with ledger.write() as connection:
                _conclude_experiment(connection, settings, mark.key)
                settle(connection, [mark])
        case _:
            with ledger.write() as connection:
                mark_stale(connection, _conclude_kpi(connection, settings, mark.key, mark.cause), now)
                settle(connection, [mark])


def _conclude_deployments(ledger: Ledger, settings: Settings, mark: Stale, now: int) -> None:
    """The history is walked before the transaction that writes begins: deliveries wait for that one."""
    from achievement_collector.services.deployments import conclude_deployments

    with ledger.read() as connection:
        found = conclude_deployments(connection, mark.key, settings.deployment_environments)
        names = set(work.names_of(connection, mark.key))
        place = next((one for one in stored_repositories(connection) if one.key in names), None)
    prefixes = tuple(f"deployment/{name}/" for name in (names | {place.uid} if place else names))
    with ledger.write() as connection:
        changed = replace_outcomes(
            connection, AchievementKind.DEPLOYMENT, lambda key: key.startswith(prefixes), found,
            (place.id, place.uid) if place else None,
        )  # fmt: skip
        settle(connection, [mark])
        if changed:  # a shift tells what was deployed at its time, an epic what brought its work
            marks = [("kpi", name, mark.cause) for name in ledger_kpis.kpis_with_shifts(connection)]
            epics = {
                epic for name in names for epic in ledger_epics.epics_of_pulls(connection, name).values()
            }
            marks += [("epic", epic, mark.cause) for epic in sorted(epics)]
            mark_stale(connection, marks, now)


def _conclude_experiment(connection: Connection, settings: Settings, scope: str) -> None:
    from achievement_collector.services.mlflow_sync import (
        author_of_commit,
        conclude_experiment,
        experiment_rules,
    )

    runs = {f"run/{one.key}" for one in things(connection, Kind.RUN, scopes=[scope])}
    found = conclude_experiment(connection, scope, experiment_rules(settings), commit_author=author_of_commit)
    replace_outcomes(connection, AchievementKind.EXPERIMENT, lambda key: key in runs, found)


def _conclude_kpi(connection: Connection, settings: Settings, name: str, cause: str) -> list[Mark]:
    from achievement_collector.services.kpi_conclusions import conclude_kpi

    before = _epics_of(connection, outcomes(connection, AchievementKind.KPI))
    if not conclude_kpi(connection, settings, name):
        return []
    after = _epics_of(connection, outcomes(connection, AchievementKind.KPI))
    return [("epic", epic, cause) for epic in sorted(before | after)]


def _epics_of(connection: Connection, found: Iterable[Outcome]) -> set[str]:
    """The epics whose pull requests were shipped or merged when a KPI shifted."""
    shipped = {uid for one in found for rival in rivals_of(one) for uid in rival["shipped"]}
    return ledger_epics.epics_of_members(connection, set(pulls_of(connection, shipped).values()))


def rivals_of(one: Outcome) -> list[dict[str, Any]]:
    """The rivals of a shift, none of a milestone."""
    told = one.detail.get("kpi", {}).get("attribution") or {}
    return list(told.get("rivals", ()))


def mark_of(connection: Connection, key: str) -> tuple[str, str] | None:
    """(kind, name) of the mark by which an achievement with this key is concluded anew; None for what is derived with its
    repository, or stated."""
    kind, _, name = key.partition("/")
    match kind:
        case "issue" | "epic" | "post":
            return kind, name
        case "kpi" | "shift":
            return "kpi", re.split(r"[{@]", name, maxsplit=1)[0]
        case "deployment":
            return "deployments", name.partition("/deployment/")[0]
        case "run":
            found = next(iter(things(connection, Kind.RUN, keys=[name])), None)
            return ("experiment", found.scope) if found else None
    return None


def outcome_marks(connection: Connection, repository: str, cause: str) -> list[Mark]:
    """What is to be looked at when the changes of a repository were derived anew."""
    marks: list[Mark] = []
    if repository in repositories_with_deployments(connection):
        marks.append(("deployments", repository, cause))
    marks += [("kpi", name, cause) for name in ledger_kpis.kpis_with_shifts(connection)]
    return marks


def marks_of_scan(connection: Connection, repository: str, cause: str) -> list[Mark]:
    """What is to be looked at when the git history of a repository was read anew: also the runs that name a commit, whose
    author may be known now."""
    scopes = {one.scope for one in things(connection, Kind.RUN) if one.scope and one.fields.get("commit")}
    marks = outcome_marks(connection, repository, cause)
    return [*marks, *(("experiment", scope, cause) for scope in sorted(scopes))]


def deployments_of(
    connection: Connection, achievements: Collection[str]
) -> tuple[tuple[str, str, int, str], ...]:
    """(key, title, seconds, address) of the deployments that brought any of these achievements to production, oldest
    first."""
    wanted = set(achievements)
    found = outcomes(connection, AchievementKind.DEPLOYMENT) if wanted else []
    return tuple(
        (one.detail["deployment"]["key"], one.title, one.occurred, _address(one))
        for one in found
        if one.is_counted and wanted & set(one.detail["gathers"])
    )


def _address(one: Outcome) -> str:
    return next((item[5] for item in one.detail["evidence"] if item[0] == "deployment"), "")


def measured_shifts(
    connection: Connection, pulls: Collection[str], settings: Settings
) -> tuple[MeasuredShift, ...]:
    """The shifts in whose window pull requests of an epic (by key) were deployed, or merged."""
    if not pulls:
        return ()
    metrics = {one.name: one.metric for one in settings.kpis}
    found = [one for one in outcomes(connection, AchievementKind.KPI) if rivals_of(one)]
    of_uid = pulls_of(
        connection, {uid for one in found for rival in rivals_of(one) for uid in rival["shipped"]}
    )
    shifts = []
    for one in found:
        told, rivals = one.detail["kpi"], rivals_of(one)
        mine = {
            number: [of_uid[uid] for uid in rival["shipped"] if of_uid.get(uid) in pulls]
            for number, rival in enumerate(rivals)
        }
        through = [rivals[number] for number, inside in mine.items() if inside]
        if not through:
            continue
        interval = told["interval"]
        shifts.append(
            MeasuredShift(
                one.uid, told["name"], told["series"], told["title"], metrics.get(told["name"], ""), told["unit"],
                Direction(told["direction"]), told["at"], told["before"], told["after"], told["difference"],
                (interval[0], interval[1]) if interval[0] is not None else None, told["relative"],
                (told["n"][0], told["n"][1]), told["method"], told["attribution"]["wording"], told["attribution"]["text"],
                tuple(_named(rival) for rival in through),
                tuple(sorted({pull for inside in mine.values() for pull in inside})),
                len(rivals) - len(through) + told["attribution"].get("not_listed", 0),
                _worth(one.detail.get("value") or {}),
            )
        )  # fmt: skip
    return tuple(shifts)


def _worth(value: Mapping[str, Any]) -> Worth | None:
    if value.get("amount") is None:
        return None
    inputs = tuple((str(name), str(told)) for name, told in value["inputs"])
    return Worth(value["amount"], value["unit"], value["formula"], inputs)


def _named(rival: Mapping[str, Any]) -> str:
    return str(rival["title"]) if rival["kind"] == "deployment" else f"the merge of {rival['title']}"
