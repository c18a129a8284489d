"""What the comment at a pull request tells: its failures explained, whose they are, its milestone and how ready that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.ci_health.flakiness import Flaky, Level, Unit
from achievement_collector.derive.ci_health.runs import is_on_default, workflow_of
from achievement_collector.derive.ci_health.summary import CiHealth
from achievement_collector.derive.failures.categories import FailureCategory
from achievement_collector.derive.milestones import detect
from achievement_collector.derive.pr_comments import (
    DefaultBranch,
    Failure,
    Flakiness,
    FlakyJob,
    Judgement,
    MilestoneOfPull,
    PrComment,
    Score,
    ScorePart,
    Standing,
    flakiness_by_job,
    flakiness_by_tests,
    standing_of,
)
from achievement_collector.derive.readiness import readiness
from achievement_collector.facts.ci_runs import GREEN, RED
from achievement_collector.facts.work import Check, PullRequest
from achievement_collector.ledger import ci_failures, ci_runs
from achievement_collector.ledger.ci_tests import outcomes_of_tests
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
    workflows = {one.key: workflow_of(one).key for one in attempts.values()}
    workflows |= {key: workflow_of(attempts[one.run, one.attempt]).key for key, one in jobs.items()}
    explained = [
        one for one in ci_failures.failures(connection, jobs=workflows) if one.sha in ("", pull.head_sha)
    ]
    if not explained:
        return red_checks(current)
    branch = default_branches(connection).get(repository, "")
    flaky = _Flaky(connection, repository, now, pull.head_sha)
    by_workflow: dict[str, _Branch | None] = {}
    found = []
    for one in sorted(explained, key=lambda one: (one.workflow, one.name, one.job)):
        workflow = workflows[one.job]
        if workflow not in by_workflow:
            by_workflow[workflow] = _default_branch(connection, repository, branch, workflow, now)
        times, since = ci_failures.seen_before(connection, one)
        judgement = _judged(one, by_workflow[workflow], flaky.of(workflow, one))
        url = jobs[one.job].url if one.job in jobs else ""
        found.append(
            Failure(
                f"{one.workflow} / {one.name}" if one.workflow else one.name, one.step, one.category,
                tuple(str(line["text"]) for line in one.evidence), times, since, judgement, url,
            )
        )  # fmt: skip
    told = {one.workflow for one in explained} | {one.name for one in explained}
    return (*found, *(one for one in red_checks(current) if one.job not in told))


@dataclass(frozen=True, slots=True)
class _Branch:
    """What the default branch fails with in one workflow. ``untold`` has an entry for each of its last runs, oldest first: the
    names of the jobs that failed there with nothing told of why, None where the run failed and nothing at all is told.
    ``tried_again`` are signatures of attempts of these runs before the last one, and of no last one."""

    known: DefaultBranch
    untold: tuple[AbstractSet[str] | None, ...]
    tried_again: AbstractSet[str] = frozenset()


def _judged(one: ci_failures.Failure, branch: _Branch | None, flaky: Flakiness) -> Judgement:
    """Whose a failure is. It is not called yours where a run of the default branch may have failed with the same: one of which
    nothing is told, or in which the job of this name failed with nothing told of why."""
    cluster = _signature(one)
    judgement = standing_of(cluster, branch.known if branch else None, flaky)
    if branch is None:
        return judgement
    if judgement.standing is Standing.YOURS and cluster in branch.tried_again:
        told = (
            "in one of the last runs of the default branch too, which was then run again and did not fail so"
        )
        return Judgement(Standing.UNKNOWN, told)
    hidden = [names is None or one.name in names for names in branch.untold]
    if judgement.standing is Standing.YOURS and any(hidden):
        return Judgement(
            Standing.UNKNOWN,
            f"why {sum(hidden)} of the last {len(hidden)} runs of the default branch failed is not known",
        )
    if judgement.standing is Standing.UNKNOWN and cluster in branch.known.recent and hidden[-1]:
        return Judgement(
            Standing.UNKNOWN,
            "among the last runs of the default branch, but why the latest one failed is not known",
        )
    return judgement


def _signature(one: ci_failures.Failure) -> str:
    """The cluster of a failure, empty where no line of a log tells why: such a job is like no other. Of a run of which no job
    ran it is the workflow's own."""
    return one.cluster if one.evidence or _is_run(one) else ""


def _is_run(one: ci_failures.Failure) -> bool:
    """Whether it is a run of which no job ran, not a job."""
    return one.job.startswith(f"{one.repository}/run/")


def _default_branch(
    connection: Connection, repository: str, branch: str, workflow: str, now: int
) -> _Branch | None:
    """What the last runs of the default branch that passed or failed ended with, in their last attempts; None where no such
    run is known. ``workflow`` is its file where that was told, else its name."""
    runs = [
        one
        for one in ci_runs.attempts(connection, repository, now - 60 * DAY, branch=branch)
        if one.is_last
        and one.conclusion in GREEN | RED
        and is_on_default(one, branch)
        and workflow_of(one).key == workflow
    ][-_RECENT_RUNS:]
    if not runs:
        return None
    last = {(one.run, one.number) for one in runs}
    again: list[str] = []  # keys of jobs that failed in an attempt before the last
    jobs_of: dict[int, list[tuple[str, str]]] = {}  # run -> (key, name) of the jobs that failed
    for job in ci_runs.jobs(
        connection, repository, runs=[run for run, _ in last], only_red=True, in_full=False
    ):
        if (job.run, job.attempt) in last:
            jobs_of.setdefault(job.run, []).append((job.key, job.name))
        else:
            again.append(job.key)
    keys = [*again, *(one.key for one in runs)] + [key for listed in jobs_of.values() for key, _ in listed]
    explained = {one.job: one for one in ci_failures.failures(connection, jobs=keys)}
    told = {key for key, one in explained.items() if one.evidence or one.category != "unknown"}
    clusters: list[AbstractSet[str]] = []
    untold: list[AbstractSet[str] | None] = []
    for run in runs:
        listed = jobs_of.get(run.run, [])
        of_run = [run.key, *(key for key, _ in listed)]
        clusters.append(_signatures(explained[key] for key in of_run if key in explained))
        is_dark = run.conclusion in RED and told.isdisjoint(of_run)
        untold.append(None if is_dark else {name for key, name in listed if key not in told})
    recent = frozenset().union(*clusters)
    tried_again = _signatures(explained[key] for key in again if key in explained)
    return _Branch(DefaultBranch(clusters[-1], recent, len(runs)), tuple(untold), tried_again - recent)


def _signatures(found: Iterable[ci_failures.Failure]) -> frozenset[str]:
    return frozenset(filter(None, map(_signature, found)))


class _Flaky:
    """What is known to be flaky, and which tests failed on a commit."""

    def __init__(self, connection: Connection, repository: str, now: int, sha: str) -> None:
        told: CiHealth = health_between(connection, repository, now - DEFAULT_DAYS * DAY, now, now)
        self._connection = connection
        self._is_measured = bool(told.flakiness.units.get(Unit.JOB))
        known = [one for one in told.flakiness.found if one.level in _LEVELS and not one.is_cleared]
        self._jobs = {(one.place, one.name): one for one in known if one.unit is Unit.JOB}
        levels = {(one.place, one.name): _LEVELS[one.level] for one in known if one.unit is Unit.TEST}
        latest: dict[str, int] = {}
        self._failed: dict[
            str, dict[str, int | None]
        ] = {}  # report -> test that failed in the last one -> level
        for one in outcomes_of_tests(connection, repository, sha=sha):
            if one.at > latest.get(one.report, -1):
                latest[one.report], self._failed[one.report] = one.at, {}
            if one.at == latest[one.report] and one.outcome in ("failed", "error"):
                self._failed[one.report][one.identity] = levels.get((one.report, one.identity))

    def of(self, workflow: str, one: ci_failures.Failure) -> Flakiness:
        """Whether a failure is a flaky one: by what its job, of a workflow (the file where that was told, else the name), failed
        with before on code that passed, or by the tests that failed."""
        by_job = self._by_job(workflow, one)
        if by_job.level or one.category != FailureCategory.TEST.value:
            return by_job
        failed = self._failed
        if one.name in failed:
            failed = {one.name: failed[one.name]}
        tests = {
            f"{report}::{test}": level for report, told in failed.items() for test, level in told.items()
        }
        return flakiness_by_tests((str(line["text"]) for line in one.evidence), tests) or by_job

    def _by_job(self, workflow: str, one: ci_failures.Failure) -> Flakiness:
        flaky = self._jobs.get((workflow, one.name))
        if flaky is None and not self._is_measured:
            return Flakiness(None)
        return flakiness_by_job(_signature(one), one.category, self._with_causes(flaky) if flaky else None)

    def _with_causes(self, flaky: Flaky) -> FlakyJob:
        level_of = {
            key: _LEVELS[sign.level]
            for sign in sorted(flaky.signs, key=lambda sign: sign.level, reverse=True)  # certain ones last
            for key in sign.failures
        }
        explained = {one.job: one for one in ci_failures.failures(self._connection, jobs=level_of)}
        clusters: dict[str, int] = {}
        for key, one in explained.items():
            if cluster := _signature(one):
                clusters[cluster] = min(level_of[key], clusters.get(cluster, level_of[key]))
        categories = frozenset(one.category for one in explained.values() if _signature(one))
        has_untold = any(key not in explained or not _signature(explained[key]) for key in level_of)
        return FlakyJob(clusters, categories, has_untold)
