"""Flaky jobs and tests: what passes and fails on the same code, how likely, and what the re-runs cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, pairwise
from typing import NamedTuple

from achievement_collector.derive.ci_health.probabilities import Estimate, Prior, empirical_prior, estimate
from achievement_collector.derive.ci_health.runs import (
    Window,
    is_of_pull,
    is_on_default,
    kind_left_out,
    workflow_of,
)
from achievement_collector.derive.dora import LeftOut, State
from achievement_collector.facts.ci_runs import GREEN, Attempt, Job, TestOutcome

FEWEST_COMMITS = 2
"""Commits on which it must have shown."""
QUIET_DAYS = 14
QUIET_RESULTS = 20
"""Days and results without a sign after which it is no longer called flaky."""
_DAY = 86_400_000
_MOST_SIGNS = 20

FLAKY = (
    "Certain: it passed and failed on the same code (attempts of one run, runs of one commit, tries within one test report), on"
    " at least 2 commits. Likely: failed, passed, failed on three commits of the default branch that were tested one after the"
    " other (which files they touched is not looked at), or different results of runs for pull requests with one head commit:"
    " they try a merge with the base, which may have moved. Jobs are told apart by name and tests by the job that reported"
    " them, so each job of a matrix is one of its own. It clears after 14 days and at least 20 results without a sign."
)
PROBABILITY = (
    "How likely it fails on code that it can pass: failed of all results on code on which it passed at least once. Failures on"
    " code that never passed are left out, as they may be right: so it is rather too low where failures are not tried again."
)
COST = (
    "Minutes that jobs ran in second and later attempts. Jobs that a re-run only lists again are not counted. The cost of a flaky"
    " job is the time of its own re-runs in runs in which it both failed and passed; what ran again along with it is in the"
    " total only."
)


class Unit(StrEnum):
    JOB = "job"
    TEST = "test"


class Level(StrEnum):
    """How sure it is. Suspected: it showed on one commit only, which is not enough."""

    CERTAIN = "certain"
    LIKELY = "likely"
    SUSPECTED = "suspected"


@dataclass(frozen=True, slots=True)
class Sign:
    """One time that it showed: ``commits`` are those concerned, ``at`` the result that gave it away, ``failures`` the keys of
    the jobs that failed there (none for tests)."""

    level: Level
    commits: tuple[str, ...]
    at: int
    why: str
    urls: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flaky:
    """A job (``place`` is its workflow) or test (``place`` is the job that reported it) with a sign of flakiness, and all that
    is known of it until the end of the window.

    ``commits`` is on how many it showed, ``signs`` the latest 20; ``is_cleared`` says that it was quiet for long enough, with
    ``quiet_days`` and ``results_since`` the last sign; ``cost`` are minutes in the window, None for tests (no report tells)
    and where nothing was timed; ``unresolved`` counts failures on code that never passed."""

    unit: Unit
    repository: str
    place: str
    name: str
    level: Level
    state: State
    why: str
    commits: int
    signs: tuple[Sign, ...]
    first_at: int
    last_at: int
    quiet_days: float
    results_since: int
    is_cleared: bool
    results: int
    probability: Estimate
    unresolved: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class ReRuns:
    """What re-runs cost in the window: ``minutes`` over ``n`` timed jobs of ``attempts`` second and later attempts; ``of_flaky``
    of them are re-runs of jobs that both failed and passed in their run."""

    window: Window
    state: State
    n: int
    attempts: int
    minutes: float | None
    of_flaky: float | None
    why: str
    left_out: tuple[LeftOut, ...]
    definition: str = COST


@dataclass(frozen=True, slots=True)
class Flakiness:
    """``found`` holds the flaky first, then the suspected, then the cleared. ``units`` is of how many jobs and tests results
    are known; ``since`` the first result, as all until the end of the window are looked at."""

    window: Window
    state: State
    why: str
    since: int | None
    units: Mapping[Unit, int]
    priors: Mapping[Unit, Prior]
    found: tuple[Flaky, ...]
    reruns: ReRuns
    left_out: tuple[LeftOut, ...]


class _Result(NamedTuple):
    at: int
    is_red: bool
    sha: str
    code: str  # results of one code tried the same thing
    head: str  # results of one head tried nearly the same: the head of a pull request merged with its base
    order: int  # when its commit was first tested
    is_on_default: bool
    url: str
    key: str = ""  # of the job


@dataclass(slots=True)
class _Unit:
    results: list[_Result] = field(default_factory=list)
    cost: float | None = None


_Key = tuple[Unit, str, str, str]  # unit, repository, place, name


def flakiness(
    jobs: Iterable[Job],
    tests: Iterable[TestOutcome],
    attempts: Mapping[tuple[str, int, int], Attempt],
    window: Window,
    at: int,
    default_branch: str,
    *,
    carried: int = 0,
) -> Flakiness:
    """What is flaky at ``at``, the end of the window (or now, if that is earlier). ``jobs`` are those that ran, each once;
    ``attempts`` (by repository, run and number) tell their workflows, commits and events; ``carried`` jobs were listed again
    without running."""
    jobs = list(jobs)
    left: Counter[str] = Counter({"job that a re-run listed again": carried})
    units: dict[_Key, _Unit] = defaultdict(_Unit)
    _take_jobs(units, jobs, attempts, at, default_branch, left)
    _take_tests(units, tests, at, default_branch, left)
    flaky_runs = _costs(units, jobs, attempts, window)
    priors = {
        unit: empirical_prior(_failures(one.results)[:2] for key, one in units.items() if key[0] is unit)
        for unit in Unit
    }
    found = [
        flaky for key, one in units.items() if (flaky := _judge(key, one, priors[key[0]], at)) is not None
    ]
    found.sort(key=_rank)
    known = Counter(key[0] for key in units)
    state = State.MEASURED if units else State.NOT_MEASURED
    return Flakiness(
        window, state, "" if units else "no result of a job or a test was recorded",
        min((one.at for unit in units.values() for one in unit.results), default=None),
        {unit: known[unit] for unit in Unit}, priors, tuple(found), _reruns(jobs, attempts, window, flaky_runs),
        tuple(LeftOut(what, number) for what, number in sorted(left.items()) if number),
    )  # fmt: skip


def _rank(one: Flaky) -> tuple[bool, int, float, str, str, str, str]:
    order = {Level.CERTAIN: 0, Level.LIKELY: 1, Level.SUSPECTED: 2}[one.level]
    return one.is_cleared, order, -one.probability.value, one.unit, one.repository, one.place, one.name


# --- results -----------------------------------------------------------------------------------------


def _take_jobs(
    units: dict[_Key, _Unit],
    jobs: Sequence[Job],
    attempts: Mapping[tuple[str, int, int], Attempt],
    at: int,
    default_branch: str,
    left: Counter[str],
) -> None:
    names = Counter((job.repository, job.run, job.attempt, job.name) for job in jobs)
    for job in jobs:
        why = "startup failure" if job.conclusion == "startup_failure" else kind_left_out(job.conclusion)
        attempt = attempts.get((job.repository, job.run, job.attempt))
        sha = job.sha or (attempt.sha if attempt else "")
        ended = job.finished if job.finished is not None else job.started
        if not why:
            if ended is None:
                why = "time not told"
            elif not sha:
                why = "commit not told"
            elif names[job.repository, job.run, job.attempt, job.name] > 1:
                why = "name that several jobs of one attempt have"
        if why:
            left[f"job: {why}"] += 1
            continue
        assert ended is not None
        if ended >= at:
            continue
        if attempt is None:
            on_default = bool(default_branch) and job.branch == default_branch
            order, code, head = ended, sha, sha
        else:
            on_default = is_on_default(attempt, default_branch)
            order = attempt.created if attempt.created is not None else ended
            code, head = (f"{sha}/{job.run}", f"{sha}/pull") if is_of_pull(attempt) else (sha, sha)
        key = (
            Unit.JOB,
            job.repository,
            workflow_of(attempt).key if attempt else job.workflow,
            job.name,
        )
        units[key].results.append(
            _Result(ended, job.conclusion not in GREEN, sha, code, head, order, on_default, job.url, job.key)
        )


def _take_tests(
    units: dict[_Key, _Unit], tests: Iterable[TestOutcome], at: int, default_branch: str, left: Counter[str]
) -> None:
    for test in set(tests):
        if test.outcome not in ("passed", "failed", "error", "flaky"):
            left[f"test: {test.outcome if test.outcome == 'skipped' else 'unknown outcome'}"] += 1
            continue
        if not test.sha:
            left["test: commit not told"] += 1
            continue
        if test.at >= at:
            continue
        results = units[Unit.TEST, test.repository, test.report, test.identity].results
        on_default = bool(default_branch) and test.branch == default_branch
        for is_red in (True, False) if test.outcome == "flaky" else (test.outcome != "passed",):
            results.append(_Result(test.at, is_red, test.sha, test.sha, test.sha, test.at, on_default, ""))


# --- the verdict -------------------------------------------------------------------------------------


def _judge(key: _Key, unit: _Unit, prior: Prior, at: int) -> Flaky | None:
    results = unit.results
    if len({one.is_red for one in results}) < 2:
        return None
    signs = sorted(_signs(results), key=lambda one: (one.at, one.commits, one.why))
    if not signs:
        return None
    certain = {sha for one in signs if one.level is Level.CERTAIN for sha in one.commits}
    showed = certain | {sha for one in signs for sha in one.commits}
    level, state, why = Level.SUSPECTED, State.NOT_ENOUGH, ""
    if len(certain) >= FEWEST_COMMITS:
        level, state = Level.CERTAIN, State.MEASURED
    elif len(showed) >= FEWEST_COMMITS:
        level, state = Level.LIKELY, State.MEASURED
    else:
        why = f"it showed on {len(showed)} of the {FEWEST_COMMITS} commits that are needed"
    last = signs[-1].at
    since = sum(one.at > last for one in results)
    quiet = (at - last) / _DAY
    failures, n, unresolved = _failures(results)
    return Flaky(
        *key, level, state, why, len(showed), tuple(signs[: -_MOST_SIGNS - 1 : -1]), signs[0].at, last, quiet, since,
        quiet >= QUIET_DAYS and since >= QUIET_RESULTS, len(results), estimate(failures, n, prior), unresolved, unit.cost,
    )  # fmt: skip


def _failures(results: Iterable[_Result]) -> tuple[int, int, int]:
    """(failures, results) on code on which it passed at least once, and failures on other code."""
    by_code: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in results:
        by_code[one.code][one.is_red] += 1
    failures = n = unresolved = 0
    for green, red in by_code.values():
        if green:
            failures, n = failures + red, n + green + red
        else:
            unresolved += red
    return failures, n, unresolved


def _signs(results: Sequence[_Result]) -> Iterable[Sign]:
    by_commit: dict[str, list[_Result]] = defaultdict(list)
    by_head: dict[tuple[str, str], list[_Result]] = defaultdict(list)
    for one in results:
        by_commit[one.sha].append(one)
        by_head[one.sha, one.head].append(one)
    for (sha, _), every in by_head.items():
        if len({one.is_red for one in every}) < 2:
            continue
        by_code: dict[str, list[_Result]] = defaultdict(list)
        for one in every:
            by_code[one.code].append(one)
        mixed = [same for same in by_code.values() if len({one.is_red for one in same}) == 2]
        if mixed:
            before, after = max(map(_flip, mixed), key=lambda pair: (pair[1], pair[0]))
            level, why = Level.CERTAIN, "failed and passed on the same code"
        else:
            mixed = [every]
            before, after = _flip(every)
            level, why = (
                Level.LIKELY,
                "failed and passed on one head commit, perhaps merged with another base",
            )
        failed = _failed(one for same in mixed for one in same)
        yield Sign(level, (sha,), after.at, why, _urls(before, after), failed)
    yield from _returns(by_commit)


def _flip(results: Sequence[_Result]) -> tuple[_Result, _Result]:
    """The last two results in a row that differ."""
    ordered = sorted(results)
    return next(
        (before, after) for after, before in pairwise(reversed(ordered)) if before.is_red != after.is_red
    )


def _returns(by_commit: Mapping[str, Sequence[_Result]]) -> Iterable[Sign]:
    """Failed, passed, failed on three commits in a row of the default branch."""
    commits = []
    for sha, every in by_commit.items():
        on_default = [one for one in every if one.is_on_default]
        if on_default:
            begun = min(one.order for one in on_default)
            commits.append((begun, min(one.at for one in on_default), sha, on_default))
    commits.sort(key=lambda one: one[:3])
    for one, two, three in zip(commits, commits[1:], commits[2:], strict=False):
        if [{result.is_red for result in commit[3]} for commit in (one, two, three)] == [
            {True},
            {False},
            {True},
        ]:
            last = max(three[3])
            why = "failed, passed, failed on the default branch"
            urls, failed = _urls(max(two[3]), last), _failed((*one[3], *three[3]))
            yield Sign(Level.LIKELY, (one[2], two[2], three[2]), last.at, why, urls, failed)


def _failed(results: Iterable[_Result]) -> tuple[str, ...]:
    return tuple(sorted({one.key for one in results if one.is_red and one.key}))


def _urls(*results: _Result) -> tuple[str, ...]:
    return tuple(one.url for one in results if one.url)


# --- what it costs -----------------------------------------------------------------------------------


def _costs(
    units: dict[_Key, _Unit],
    jobs: Sequence[Job],
    attempts: Mapping[tuple[str, int, int], Attempt],
    window: Window,
) -> float | None:
    """Gives each job its cost, in minutes; the sum of them, None where nothing was timed."""
    total: float | None = None
    ordered = sorted(jobs, key=_run_and_name)
    for (repository, run, name), same in groupby(ordered, key=_run_and_name):
        every = list(same)
        numbers = [one.attempt for one in every]
        if len(every) < 2 or len(set(numbers)) < len(numbers):
            continue
        outcomes = {one.conclusion in GREEN for one in every if not kind_left_out(one.conclusion)}
        if len(outcomes) < 2:
            continue
        for one in every:
            minutes = _minutes(one)
            if one.attempt > 1 and minutes is not None and window.holds(one.finished):
                attempt = attempts.get((repository, run, one.attempt))
                workflow = workflow_of(attempt).key if attempt else one.workflow
                unit = units.get((Unit.JOB, repository, workflow, name))
                if unit is not None:
                    unit.cost = (unit.cost or 0.0) + minutes
                total = (total or 0.0) + minutes
    return total


def _run_and_name(one: Job) -> tuple[str, int, str]:
    return one.repository, one.run, one.name


def _minutes(one: Job) -> float | None:
    """For how long a job ran; None where it did not, or its times are not known."""
    if not one.conclusion or one.conclusion == "skipped" or one.started is None or one.finished is None:
        return None
    return (one.finished - one.started) / 60_000 if one.finished >= one.started else None


def _reruns(
    jobs: Sequence[Job],
    attempts: Mapping[tuple[str, int, int], Attempt],
    window: Window,
    of_flaky: float | None,
) -> ReRuns:
    left: Counter[str] = Counter()
    times: list[float] = []
    known: set[tuple[str, int, int]] = set()
    for one in jobs:
        if one.attempt < 2:
            continue
        known.add((one.repository, one.run, one.attempt))
        minutes = _minutes(one)
        if minutes is None:
            if one.conclusion != "skipped" and window.holds(one.finished or one.started or one.queued):
                left["job: not finished" if not one.conclusion else "job: time not told"] += 1
        elif window.holds(one.finished):
            times.append(minutes)
    again = [
        key
        for key, one in attempts.items()
        if one.number > 1 and window.holds(one.finished if one.finished is not None else one.started)
    ]
    left["re-run whose jobs are not known"] = sum(key not in known for key in again)
    left_out = tuple(LeftOut(what, number) for what, number in sorted(left.items()) if number)
    if times:
        return ReRuns(
            window, State.MEASURED, len(times), len(again), sum(sorted(times)), of_flaky or 0.0, "", left_out
        )
    if again or left_out:
        why = "of no job of a re-run in the window the time is known"
        return ReRuns(window, State.NOT_ENOUGH, 0, len(again), None, None, why, left_out)
    if not attempts:
        why = "no run was recorded"
        return ReRuns(window, State.NOT_MEASURED, 0, 0, None, None, why, left_out)
    return ReRuns(window, State.MEASURED, 0, 0, 0.0, 0.0, "", left_out)
