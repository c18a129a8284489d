"""Attempts and jobs as they stood at one moment: each once, the attempts of a run together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from achievement_collector.facts.ci_runs import GREEN, RED, Attempt, Job

NO_RESULT = frozenset({"cancelled", "skipped", "neutral", "action_required", "stale"})
"""Conclusions that are known and say nothing about the code."""


class Window(NamedTuple):
    """It holds ``since``, not ``until``; without ``since`` it begins with the record."""

    since: int | None
    until: int

    def holds(self, at: int | None) -> bool:
        return at is not None and at < self.until and (self.since is None or self.since <= at)

    @property
    def before(self) -> Window | None:
        """The window of the same length that ends where this one begins."""
        return None if self.since is None else Window(2 * self.since - self.until, self.since)


@dataclass(frozen=True, slots=True)
class Run:
    """A run with its known attempts, by number. ``first`` and ``final`` are None where that attempt is not known; ``at`` is
    when the earliest known attempt ended (began, while it is not over), None where no time was told."""

    repository: str
    id: int
    attempts: tuple[Attempt, ...]
    first: Attempt | None
    final: Attempt | None
    at: int | None


def read_runs(attempts: Iterable[Attempt], now: int) -> list[Run]:
    """The runs that had begun at ``now``, in the order of repository and id; what ended later is not finished yet.

    Of several facts about one attempt the finished one is taken, then the one that ended last.
    """
    best: dict[tuple[str, int, int], Attempt] = {}
    for one in attempts:
        key = (one.repository, one.run, one.number)
        known = best.get(key)
        if known is None or (known != one and _later(one, known)):
            best[key] = one
    found: dict[tuple[str, int], list[Attempt]] = defaultdict(list)
    to_come: set[tuple[str, int]] = set()  # runs of which an attempt begins after now
    for one in best.values():
        begun = begin_of(one)
        if begun is not None and begun > now:
            to_come.add((one.repository, one.run))
        elif one.finished is not None and one.finished > now:
            found[one.repository, one.run].append(replace(one, conclusion="", finished=None))
        else:
            found[one.repository, one.run].append(one)
    return [_run(key, found[key], key in to_come) for key in sorted(found)]


def _later(one: Attempt, known: Attempt) -> bool:
    return _knowledge(one) > _knowledge(known)


def _knowledge(one: Attempt) -> tuple[bool, int, bool, str]:
    return one.is_finished, one.finished or 0, one.jobs_known, repr(one)


def _run(key: tuple[str, int], attempts: list[Attempt], more_to_come: bool) -> Run:
    ordered = tuple(sorted(attempts, key=lambda one: one.number))
    first, last = ordered[0], ordered[-1]
    return Run(
        key[0],
        key[1],
        ordered,
        first if first.number == 1 else None,
        last if last.is_last or more_to_come else None,
        moment(first),
    )


def begin_of(one: Attempt) -> int | None:
    """When an attempt was asked for: a later attempt keeps the creation of its run, so it is its start."""
    if one.number > 1:
        return one.started
    return one.created if one.created is not None else one.started


def moment(one: Attempt) -> int | None:
    """When it ended, or the last that is told of it before."""
    for at in (one.finished, one.started, one.created):
        if at is not None:
            return at
    return None


# --- which of them belong together -------------------------------------------------------------------


class Workflow(NamedTuple):
    """A workflow: its file where that was told, else its name."""

    repository: str
    key: str


def workflow_of(one: Attempt) -> Workflow:
    return Workflow(one.repository, one.path.partition("@")[0] or one.workflow)


def is_of_pull(one: Attempt) -> bool:
    """Whether it ran for a pull request: then it tried a merge with the base, and its branch may be one of a fork."""
    return one.event.startswith("pull_request") or (not one.event and bool(one.pulls))


def is_on_default(one: Attempt, default_branch: str) -> bool:
    """Whether it ran on the default branch. A fork's branch of the same name is another one."""
    return bool(default_branch) and one.branch == default_branch and not is_of_pull(one)


def branch_of(one: Attempt, default_branch: str) -> str:
    """The branch; a pull request's that is named like the default branch is told apart from it."""
    if one.branch and one.branch == default_branch and is_of_pull(one):
        return f"{one.branch} (of a pull request)"
    return one.branch


# --- jobs --------------------------------------------------------------------------------------------


def read_jobs(jobs: Iterable[Job], now: int) -> tuple[list[Job], int]:
    """(the jobs that ran, each once; how many were carried over). Jobs that began after ``now`` are left out, one that ended
    later is not finished yet.

    Where only the failed jobs of a run are tried again, the new attempt lists the others once more, with new ids and the
    times of before: they did not run again.
    """
    best: dict[tuple[str, int], Job] = {}
    for one in jobs:
        known = best.get((one.repository, one.id))
        if known is None or (known != one and _job_knowledge(one) > _job_knowledge(known)):
            best[one.repository, one.id] = one
    ordered = sorted(best.values(), key=lambda one: (one.repository, one.run, one.attempt, one.id))
    found: list[Job] = []
    seen: dict[tuple[str, int, str, int, int, str], int] = {}
    carried = 0
    for one in ordered:
        if (one.started or one.queued or 0) > now:
            continue
        if one.started is not None and one.finished is not None:
            same = (one.repository, one.run, one.name, one.started, one.finished, one.conclusion)
            if seen.setdefault(same, one.attempt) < one.attempt:
                carried += 1
                continue
            if one.finished > now:
                one = replace(one, conclusion="", finished=None)
        found.append(one)
    return found, carried


def _job_knowledge(one: Job) -> tuple[bool, int, str]:
    return bool(one.conclusion), one.finished or 0, repr(one)


def kind_left_out(conclusion: str) -> str:
    """In words why a conclusion is neither passed nor failed; empty where it is."""
    if conclusion in GREEN or conclusion in RED:
        return ""
    if not conclusion:
        return "not finished"
    return conclusion.replace("_", " ") if conclusion in NO_RESULT else "unknown conclusion"


def by_key(runs: Sequence[Run]) -> dict[tuple[str, int, int], Attempt]:
    """Attempts by repository, run and number."""
    return {(run.repository, run.id, one.number): one for run in runs for one in run.attempts}
