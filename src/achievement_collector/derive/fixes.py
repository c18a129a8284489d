"""Attempts to fix a failure of CI, and what became of each.

An attempt is **verified** where the workflow that failed went green on the fix's commit and the job that failed passed there the
first time it ran. A job that failed there and passed when it was run again was rescued by the re-run, and a fix of a failure
that went away by a re-run of the same commit proves nothing. What became of a fix is worked out of recorded facts alone, so the
same facts give the same answer in every order and however often they are looked at. Times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from achievement_collector.derive.ci_health.runs import begin_of, workflow_of
from achievement_collector.derive.messages import reverted_shas
from achievement_collector.facts.ci_runs import GREEN, RED, Attempt, Job
from achievement_collector.facts.work import PullRequest

SOON = 7 * 86_400_000
"""Milliseconds after its merge in which a revert says that a fix did not hold (ci-health definition 8)."""

MOST_ATTEMPTS = 3
"""How often fixers are tried at one failure; after that a person has to look."""


class FixState(StrEnum):
    """What became of an attempt. ``RESCUED``: a plain re-run of the failed commit passed, so nothing shows that it fixed
    anything."""

    PROPOSED = "proposed"
    APPLIED = "applied"
    VERIFIED = "verified"
    FAILED = "failed"
    RESCUED = "rescued"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"
    REVERTED = "reverted"


STATED = frozenset({FixState.PROPOSED, FixState.APPLIED, FixState.WITHDRAWN})
"""What people and fixers may say of an attempt. All else is told by runs, pull requests and commits."""

_ORDER = {state: place for place, state in enumerate(FixState)}
_STANDING = (
    FixState.REVERTED,
    FixState.MERGED,
    FixState.WITHDRAWN,
    FixState.RESCUED,
    FixState.VERIFIED,
    FixState.FAILED,
    FixState.APPLIED,
    FixState.PROPOSED,
)
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RERUNS = frozenset({"rerun", "re_run", "retry", "restart", "rebuild"})


class Event(NamedTuple):
    """A state that an attempt came to, and what tells it. ``is_derived``: it was worked out of recorded facts."""

    state: FixState
    at: int
    told: str
    is_derived: bool = False


@dataclass(frozen=True, slots=True)
class Fix:
    """An attempt to fix the failed ``job`` (its key). ``cluster`` is the failure's, empty where it was not explained; ``sha``
    the commit of the fix, empty where there was nothing to commit; ``fixer`` the built-in one that made it, empty where
    somebody else did; ``events`` are in the order of time."""

    id: int
    repository: str
    kind: str
    job: str
    cluster: str = ""
    branch: str = ""
    sha: str = ""
    pull: int | None = None
    fixer: str = ""
    created: int = 0
    events: tuple[Event, ...] = ()

    @property
    def state(self) -> FixState:
        states = {one.state for one in self.events}
        return next((state for state in _STANDING if state in states), FixState.PROPOSED)

    @property
    def is_verified(self) -> bool:
        return self.event(FixState.VERIFIED) is not None

    @property
    def has_outcome(self) -> bool:
        """Whether CI told that it worked or that it did not; neither a merge nor a withdrawal says so, or takes it away."""
        return self.is_verified or self.event(FixState.FAILED) is not None

    @property
    def was_reverted_soon(self) -> bool:
        """Whether it was merged and reverted within 7 days."""
        merged, reverted = self.event(FixState.MERGED), self.event(FixState.REVERTED)
        return merged is not None and reverted is not None and reverted.at - merged.at <= SOON

    def event(self, state: FixState) -> Event | None:
        return next((one for one in self.events if one.state is state), None)


def refused_kind(kind: str) -> str:
    """Why ``kind`` is no kind of fix; empty where it is one."""
    if kind.replace("-", "_") in _RERUNS:
        return "a re-run is no fix: where it passes, the failure was rescued by the re-run"
    if not _KIND.fullmatch(kind):
        return "a kind of fix is one word in lower case, such as formatter or code_change"
    return ""


# --- what runs say -----------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """``state`` is verified, failed or rescued, and None where nothing is decided; ``at`` when it was, ``told`` why."""

    state: FixState | None
    at: int
    told: str


class _Result(NamedTuple):
    """How the failed job and its workflow came out in one run: green, red, running or unknown."""

    what: str
    at: int
    told: str


_GREEN, _RED, _RUNNING, _UNKNOWN = "green", "red", "running", "unknown"


def verdict(sha: str, origin: Job, attempts: Iterable[Attempt], jobs: Iterable[Job]) -> Verdict:
    """What recorded runs say of a fix of the job ``origin`` by the commit ``sha``.

    ``attempts`` and ``jobs`` are those of the run that failed and those on the commit of the fix; others do no harm. Runs of
    the same workflow count that began after the failed job did. The first of them that came to a result decides, together with
    those that had begun before it ended (one commit may run for its push and for its pull request): all have to be green.
    Later runs, such as nightly ones, change nothing.
    """
    if not sha:
        return Verdict(None, 0, "no commit of it is known")
    known = _each_once(attempts)
    by_attempt: dict[tuple[int, int], list[Job]] = defaultdict(list)
    for job in {(one.id, one.conclusion, one.finished): one for one in jobs}.values():
        if job.repository == origin.repository and job.name == origin.name:
            by_attempt[job.run, job.attempt].append(job)
    rescue = _rescue(origin, by_attempt)
    if rescue is not None:
        return rescue
    if sha == origin.sha:
        return Verdict(
            None, 0, "its commit is the one that failed: where that passes, it was rescued by a re-run"
        )
    runs, trouble = _runs_of(sha, origin, known)
    if trouble:
        return Verdict(None, 0, trouble)
    results = []
    for begun, ordered in runs:
        result = _result(origin.name, ordered, by_attempt)
        if result is not None:
            results.append((begun, result))
    return _together(results) if results else Verdict(None, 0, "no run of its workflow on the fix is known")


def _each_once(attempts: Iterable[Attempt]) -> list[Attempt]:
    best: dict[tuple[str, int, int], Attempt] = {}
    for one in attempts:
        key = (one.repository, one.run, one.number)
        known = best.get(key)
        if known is None or _knowledge(one) > _knowledge(known):
            best[key] = one
    return [best[key] for key in sorted(best)]


def _knowledge(one: Attempt) -> tuple[bool, int, bool, str]:
    return one.is_finished, one.finished or 0, one.jobs_known, repr(one)


def _rescue(origin: Job, by_attempt: Mapping[tuple[int, int], Sequence[Job]]) -> Verdict | None:
    """A later attempt of the run that failed in which the same job passed: the same code, tried again."""
    for (run, number), found in sorted(by_attempt.items()):
        if run != origin.run or number <= origin.attempt:
            continue
        if found and all(one.conclusion in GREEN for one in found):
            told = f"the failed commit itself passed when it was run again (attempt {number} of run {run})"
            return Verdict(FixState.RESCUED, _last(one.finished for one in found), told)
    return None


def _last(times: Iterable[int | None]) -> int:
    return max((at for at in times if at is not None), default=0)


def _runs_of(
    sha: str, origin: Job, attempts: Sequence[Attempt]
) -> tuple[list[tuple[int, list[Attempt]]], str]:
    """The runs of the failed workflow on a commit, each with when it began and its attempts, in the order in which they began;
    or why the workflow cannot be told."""
    here = [one for one in attempts if one.repository == origin.repository]
    failed = next((one for one in here if one.run == origin.run), None)
    on_fix = [one for one in here if one.sha == sha]
    if failed is not None:
        same = [one for one in on_fix if workflow_of(one) == workflow_of(failed)]
    else:
        same = [one for one in on_fix if origin.workflow and one.workflow == origin.workflow]
        if len({workflow_of(one) for one in same}) > 1:
            return [], "the run that failed is not known, and several workflows have its name"
    runs: dict[int, list[Attempt]] = defaultdict(list)
    for one in same:
        runs[one.run].append(one)
    found = []
    for number in sorted(runs):
        ordered = sorted(runs[number], key=lambda one: one.number)
        begun = begin_of(ordered[0]) or 0
        if origin.started is None or begun >= origin.started:
            found.append((begun, ordered))
    if runs and not found:
        return [], "its commit ran before the job failed, so it cannot be a fix of that"
    return sorted(found, key=lambda item: (item[0], item[1][0].run)), ""


def _result(
    name: str, ordered: Sequence[Attempt], by_attempt: Mapping[tuple[int, int], Sequence[Job]]
) -> _Result | None:
    """How a job came out the first time it ran in a run, and its workflow in the end; None where the run says nothing (it was
    cancelled, did not start, or has no such job)."""
    expected = 1
    for place, one in enumerate(ordered):
        where = f"attempt {one.number} of run {one.run}"
        if one.number != expected:
            return _Result(_UNKNOWN, 0, f"attempt {expected} of run {one.run} is not known")
        expected += 1
        if one.is_infrastructure:
            continue
        own = by_attempt.get((one.run, one.number), ())
        if any(job.conclusion in RED for job in own):
            at = min(job.finished or one.finished or 0 for job in own if job.conclusion in RED)
            return _Result(_RED, at, f"the job failed on the fix too ({where})")
        if any(not job.conclusion for job in own) or (not one.is_finished and not own):
            return _Result(_RUNNING, 0, f"{where} is not over")
        if any(job.conclusion in GREEN for job in own):
            return _workflow(where, own, ordered[place:])
        if not own and not one.jobs_known and one.conclusion in GREEN | RED:
            return _Result(_UNKNOWN, 0, f"the jobs of {where} were not read")
    return None


def _workflow(where: str, own: Sequence[Job], left: Sequence[Attempt]) -> _Result | None:
    """How a run came out whose job passed in the first of these attempts."""
    green = next((one for one in left if one.conclusion in GREEN), None)
    if green is not None:
        at = max(_last(job.finished for job in own), green.finished or 0)
        return _Result(_GREEN, at, f"the job and its workflow passed on the fix ({where})")
    last = left[-1]
    if not last.is_finished or not last.is_last:
        return _Result(_RUNNING, 0, f"the job passed on the fix, its workflow is not over ({where})")
    if last.conclusion in RED:
        at = last.finished or _last(job.finished for job in own)
        return _Result(_RED, at, f"the job passed on the fix, but its workflow did not ({where})")
    return None


def _together(results: Sequence[tuple[int, _Result]]) -> Verdict:
    ends = [one.at for _, one in results if one.what in (_GREEN, _RED)]
    if not ends:
        return Verdict(None, 0, results[0][1].told)
    first = next(one for _, one in results if one.what in (_GREEN, _RED))
    group = [one for begun, one in results if begun <= first.at or one is first]
    for what in (_RED, _RUNNING, _UNKNOWN):
        found = [one for one in group if one.what == what]
        if found:
            chosen = min(found, key=lambda one: (one.at, one.told))
            return Verdict(FixState.FAILED if what == _RED else None, chosen.at, chosen.told)
    last = max(group, key=lambda one: (one.at, one.told))
    also = f", in all {len(group)} runs of it" if len(group) > 1 else ""
    return Verdict(FixState.VERIFIED, last.at, last.told + also)


# --- what pull requests and commits say --------------------------------------------------------------


class MainCommit(NamedTuple):
    """A commit of the main line: when it was made, and its message."""

    sha: str
    at: int
    message: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the ledger knows that may tell of a fix. ``origin`` is None where the failed job is not known any more; ``landed``
    is the commit of the main line through which the fix came there, None where it is not there or that is not known;
    ``reverts`` are commits of the main line that say that they revert something."""

    origin: Job | None
    attempts: Sequence[Attempt] = ()
    jobs: Sequence[Job] = ()
    pulls: Sequence[PullRequest] = ()
    landed: MainCommit | None = None
    reverts: Sequence[MainCommit] = ()


def judged(fix: Fix, evidence: Evidence) -> tuple[Fix, Verdict]:
    """The fix with what the evidence says of it in place of what was worked out before, and what runs say of it."""
    if evidence.origin is None:
        found = Verdict(None, 0, "the failed job is not known")
    else:
        found = verdict(fix.sha, evidence.origin, evidence.attempts, evidence.jobs)
    events = [one for one in fix.events if not one.is_derived]
    states = {one.state for one in events}
    if FixState.APPLIED not in states:
        events += _applied(fix, evidence)
    if found.state is not None:
        events.append(Event(found.state, found.at, found.told, True))
    merged, commits = _merged(fix, evidence)
    if merged is not None:
        events.append(merged)
        events += _reverted(fix, merged, commits, evidence)
    ordered = tuple(sorted(events, key=lambda one: (one.at, _ORDER[one.state])))
    return replace(fix, events=ordered), found


def is_of_pull(fix: Fix, pull: PullRequest) -> bool:
    """Whether a pull request brings the fix: it was named with it, its head is the fix's commit, or it is of the branch that a
    built-in fixer made."""
    if fix.pull is not None:
        return fix.pull == pull.number
    if fix.sha and pull.head_sha == fix.sha:
        return True
    return bool(fix.fixer and fix.branch) and pull.branch == fix.branch and (pull.created or 0) >= fix.created


def _applied(fix: Fix, evidence: Evidence) -> list[Event]:
    """That somebody pushed it: CI ran on its commit, or it is the head of a pull request."""
    if not fix.sha or (evidence.origin is not None and fix.sha == evidence.origin.sha):
        return []
    times = [
        (at, f"CI ran on it (run {one.run})")
        for one in evidence.attempts
        if one.sha == fix.sha and (at := begin_of(one)) is not None
    ]
    times += [
        (one.created, f"pull request #{one.number} has it")
        for one in evidence.pulls
        if one.head_sha == fix.sha and one.created is not None
    ]
    return [Event(FixState.APPLIED, *min(times), True)] if times else []


def _merged(fix: Fix, evidence: Evidence) -> tuple[Event | None, frozenset[str]]:
    """Its merge, and the ids under which it is on the main line."""
    found: list[Event] = []
    ids = {fix.sha} - {""}
    for pull in evidence.pulls:
        if pull.merged is None or not is_of_pull(fix, pull):
            continue
        found.append(Event(FixState.MERGED, pull.merged, f"pull request #{pull.number} was merged", True))
        ids |= {pull.merge_sha} - {""}
    if evidence.landed is not None:
        told = f"it is on the main line since commit {evidence.landed.sha[:10]}"
        found.append(Event(FixState.MERGED, evidence.landed.at, told, True))
    return (min(found, key=lambda one: (one.at, one.told)) if found else None), frozenset(ids)


_REVERTED_NUMBER = re.compile(r"\b[Rr]everts (?:PR |pull request )?([\w.-]+/[\w.-]+)?#(\d{1,9})\b")


def _reverted(fix: Fix, merged: Event, ids: frozenset[str], evidence: Evidence) -> list[Event]:
    numbers = {pull.number for pull in evidence.pulls if pull.merged is not None and is_of_pull(fix, pull)}
    found = [
        (one.at, f"commit {one.sha[:10]} reverts it")
        for one in evidence.reverts
        if one.sha not in ids and says_it_reverts(one.message, fix.repository, ids, numbers)
    ]
    found += [
        (one.merged, f"pull request #{one.number} reverts it")
        for one in evidence.pulls
        if one.merged is not None
        and one.number not in numbers
        and says_it_reverts(one.body, fix.repository, ids, numbers)
    ]
    later = [one for one in found if one[0] >= merged.at]
    return [Event(FixState.REVERTED, *min(later), True)] if later else []


def says_it_reverts(text: str, repository: str, ids: Iterable[str], numbers: Iterable[int]) -> bool:
    """Whether a message says that it reverts one of these commits, or one of these pull requests of ``repository``
    (host/owner/name)."""
    known = tuple(ids)
    if any(full.startswith(short) for short in reverted_shas(text) for full in known):
        return True
    own = repository.partition("/")[2].casefold()
    wanted = set(numbers)
    return any(
        int(number) in wanted and (not name or name.casefold() == own)
        for name, number in _REVERTED_NUMBER.findall(text)
    )


# --- how often was tried ---------------------------------------------------------------------------------


def attempts_at(fixes: Iterable[Fix], job: str, cluster: str) -> list[Fix]:
    """What built-in fixers tried at a failure: at the job, or at the same failure elsewhere since it was last fixed (verified).
    Oldest first."""
    own = [
        one
        for one in sorted(fixes, key=lambda one: (one.created, one.id))
        if one.fixer and (one.job == job or (cluster and one.cluster == cluster))
    ]
    solved = max((place for place, one in enumerate(own) if one.is_verified), default=-1)
    return [one for place, one in enumerate(own) if place > solved or one.job == job]
