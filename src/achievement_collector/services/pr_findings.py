"""What the comment at a pull request tells: its failures explained, whose they are, its milestone and how ready that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.ci_health.flakiness import Level
from achievement_collector.derive.ci_health.summary import CiHealth
from achievement_collector.derive.milestones import detect
from achievement_collector.derive.pr_comments import (
    DefaultBranch,
    Failure,
    MilestoneOfPull,
    PrComment,
    Score,
    ScorePart,
    standing_of,
)
from achievement_collector.derive.readiness import readiness
from achievement_collector.facts.work import Check, PullRequest
from achievement_collector.ledger import ci_failures, ci_runs
from achievement_collector.ledger.roadmap import default_branches
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.ci_failures import explain_failures
from achievement_collector.services.ci_health import DAY, DEFAULT_DAYS, health_between
from achievement_collector.services.milestone_work import Gathered
from achievement_collector.services.pr_comments import comment_content, red_checks
from achievement_collector.services.roadmap import load_plan

_RECENT_RUNS = 10
_LEVELS = {Level.CERTAIN: 1, Level.LIKELY: 2}

Content = Callable[[Connection, str, PullRequest], PrComment]


def content_of(ledger: Ledger, settings: Settings, repository: str, now: int) -> Content:
    """What makes the comment's content; failures of the repository (host/owner/name) that are not explained yet are explained
    first. ``now`` in milliseconds."""
    explain_failures(ledger, settings, now, repository=repository)
    return partial(_content, settings, now)


def _content(
    settings: Settings, now: int, connection: Connection, repository: str, pull: PullRequest
) -> PrComment:
    plan = load_plan(settings.roadmap_file, settings)
    gathered = Gathered(connection, plan, now)
    found = detect(gathered.clues_of(pull, gathered.attached_to(pull)), gathered.names)
    named = MilestoneOfPull(found.title, found.told) if found.title else None
    milestone = next((one for one in gathered.milestones if found.key and one.key == found.key), None)

    def score(_: Connection, __: PullRequest) -> Score | None:
        if milestone is None:
            return None
        told = readiness(gathered.inputs_of(milestone))
        parts = tuple(
            ScorePart(one.title, one.points, one.most, one.state.value, one.told) for one in told.parts
        )
        return Score(told.points if told.measurable else None, told.measurable, parts)

    return comment_content(
        connection, repository, pull, failures=partial(_failures, repository, now), score=score, milestone=lambda *_: named
    )  # fmt: skip


def _failures(
    repository: str, now: int, connection: Connection, pull: PullRequest, current: Sequence[Check]
) -> tuple[Failure, ...]:
    """The failed jobs of the last attempts on the head commit, explained; of red checks that are no workflow's, the names."""
    attempts = {
        (one.run, one.number): one
        for one in ci_runs.attempts(connection, repository, sha=pull.head_sha)
        if one.is_last
    }
    jobs = {
        one.key: one
        for one in ci_runs.jobs(connection, repository, runs=[run for run, _ in attempts])
        if (one.run, one.attempt) in attempts
    }
    keys = [*jobs, *(one.key for one in attempts.values())]
    explained = [one for one in ci_failures.failures(connection, jobs=keys) if one.sha in ("", pull.head_sha)]
    if not explained:
        return red_checks(current)
    branch = default_branches(connection).get(repository, "")
    levels = _flaky(connection, repository, now)
    by_workflow: dict[str, DefaultBranch | None] = {}
    found = []
    for one in sorted(explained, key=lambda one: (one.workflow, one.name, one.job)):
        if one.workflow not in by_workflow:
            by_workflow[one.workflow] = _default_branch(connection, repository, branch, one.workflow, now)
        times, since = ci_failures.seen_before(connection, one)
        judgement = standing_of(one.cluster, by_workflow[one.workflow], levels(one.workflow, one.name))
        url = jobs[one.job].url if one.job in jobs else ""
        found.append(
            Failure(
                f"{one.workflow} / {one.name}" if one.workflow else one.name, one.step, one.category,
                tuple(str(line["text"]) for line in one.evidence), times, since, judgement, url,
            )
        )  # fmt: skip
    told = {one.workflow for one in explained} | {one.name for one in explained}
    return (*found, *(one for one in red_checks(current) if one.job not in told))


def _default_branch(
    connection: Connection, repository: str, branch: str, workflow: str, now: int
) -> DefaultBranch | None:
    """What the last finished runs of the default branch failed with; None where none is known."""
    if not branch:
        return None
    runs = [
        one
        for one in ci_runs.attempts(connection, repository, now - 60 * DAY, branch=branch)
        if one.workflow == workflow and one.is_last and one.is_finished and one.event != "pull_request"
    ][-_RECENT_RUNS:]
    if not runs:
        return None
    jobs = ci_runs.jobs(connection, repository, runs=[one.run for one in runs], only_red=True)
    of_run: dict[int, set[str]] = {}
    failed = {
        one.job: one.cluster for one in ci_failures.failures(connection, jobs=[one.key for one in jobs])
    }
    for one in jobs:
        if one.key in failed:
            of_run.setdefault(one.run, set()).add(failed[one.key])
    recent = {cluster for clusters in of_run.values() for cluster in clusters}
    return DefaultBranch(frozenset(of_run.get(runs[-1].run, ())), frozenset(recent), len(runs))


def _flaky(connection: Connection, repository: str, now: int) -> Callable[[str, str], int | None]:
    """How flaky a job is: 1 certain, 2 likely, 0 neither, None where nothing was measured."""
    told: CiHealth = health_between(connection, repository, now - DEFAULT_DAYS * DAY, now, now)
    known = {
        (one.place, one.name): _LEVELS.get(one.level, 0) for one in told.flakiness.found if not one.is_cleared
    }
    is_measured = bool(told.flakiness.units)

    def level(workflow: str, name: str) -> int | None:
        return known.get((workflow, name), 0 if is_measured else None)

    return level
