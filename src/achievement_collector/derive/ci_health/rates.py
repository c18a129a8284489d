"""Pass rates over the first and over the final attempts of runs, and what lies between: the flake tax."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from achievement_collector.derive.ci_health.runs import (
    Run,
    Window,
    branch_of,
    is_of_pull,
    is_on_default,
    kind_left_out,
    workflow_of,
)
from achievement_collector.derive.dora import Interval, LeftOut, State, wilson
from achievement_collector.facts.ci_runs import GREEN, Attempt

FEWEST_RUNS = 10
"""Runs that a rate needs."""
_Z = 1.959963984540054  # the 0.975 quantile of the standard normal distribution


class Basis(StrEnum):
    """Which attempt of each run is counted."""

    FIRST = "first"
    FINAL = "final"


DEFINITIONS = {
    Basis.FIRST: (
        "Runs whose first attempt passed, of all whose first attempt passed, failed or timed out. A run belongs to the window in"
        " which its first attempt ended. Startup failures and failed runs without a job are infrastructure: they are not in"
        " this rate, and are in the one with infrastructure. Other conclusions are left out and counted."
    ),
    Basis.FINAL: (
        "The same runs by their final attempt, which may have ended after the window. A re-run that is not over leaves its run"
        " out."
    ),
}
FLAKE_TAX = (
    "How much of the pass rate is owed to re-runs: runs that failed first and passed in the end, less those that passed first"
    " and failed in the end, of all runs whose first and final attempts both passed, failed or timed out."
)


@dataclass(frozen=True, slots=True)
class PassRate:
    """``passed`` of ``n`` runs; ``value`` is exact and None where there are too few. ``infrastructure`` failed before the code
    was tried and are not among the ``n``. The intervals take runs for independent."""

    basis: Basis
    window: Window
    state: State
    n: int = 0
    passed: int = 0
    infrastructure: int = 0
    why: str = ""
    interval: Interval | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def definition(self) -> str:
        return DEFINITIONS[self.basis]

    @property
    def value(self) -> Fraction | None:
        return Fraction(self.passed, self.n) if self.state is State.MEASURED else None

    @property
    def with_infrastructure(self) -> Fraction | None:
        """Passed of all including infrastructure failures, as the documented formula has it; None below 10 runs."""
        every = self.n + self.infrastructure
        return Fraction(self.passed, every) if every >= FEWEST_RUNS else None

    @property
    def interval_with_infrastructure(self) -> Interval | None:
        every = self.n + self.infrastructure
        return wilson(self.passed, every) if every >= FEWEST_RUNS else None


@dataclass(frozen=True, slots=True)
class FlakeTax:
    """``rescued`` failed first and passed in the end, ``lost`` passed first and failed in the end, of ``n`` runs."""

    window: Window
    state: State
    n: int = 0
    rescued: int = 0
    lost: int = 0
    why: str = ""
    interval: Interval | None = None
    definition: str = FLAKE_TAX

    @property
    def value(self) -> Fraction | None:
        return Fraction(self.rescued - self.lost, self.n) if self.state is State.MEASURED else None


class GroupKind(StrEnum):
    """What the runs of a group have in common."""

    OVERALL = "overall"
    DEFAULT = "default branch"
    WORKFLOW = "workflow"
    BRANCH = "branch"
    PULL = "pull request"


@dataclass(frozen=True, slots=True)
class Group:
    """The rates of some runs of one repository (of all, where ``kind`` is overall). ``name`` is the workflow's latest name,
    the branch or the pull request's number, ``path`` the workflow's file."""

    kind: GroupKind
    repository: str
    name: str
    path: str
    runs: int
    first: PassRate
    final: PassRate
    tax: FlakeTax


def run_groups(runs: Iterable[Run], window: Window, default_branch: str) -> tuple[Group, ...]:
    """The rates of the runs of the window: overall and of the default branch (always there), then for each workflow, branch
    and pull request that ran, those with most runs first. A run of two pull requests is in both."""
    tallies: dict[tuple[GroupKind, str, str], _Tally] = {
        (GroupKind.OVERALL, "", ""): _Tally(),
        (GroupKind.DEFAULT, "", default_branch): _Tally(),
    }
    for run in runs:
        if not window.holds(run.at):
            continue
        one = run.attempts[0]
        outcomes = (
            _outcome(run.first, "first attempt is not known"),
            _outcome(run.final, "final attempt is not known"),
        )
        for key in _keys(run, default_branch):
            tally = tallies.get(key)
            if tally is None:
                tally = tallies[key] = _Tally()
            tally.add(outcomes, run.attempts[-1] if key[0] is GroupKind.WORKFLOW else one, run.id)
    ordered = sorted(tallies.items(), key=lambda item: (_ORDER[item[0][0]], -item[1].runs, item[0][1:]))
    nothing = "" if default_branch else "the default branch is not known"
    return tuple(
        tally.group(kind, repository, name, window, nothing if kind is GroupKind.DEFAULT else "")
        for (kind, repository, name), tally in ordered
    )


_ORDER = {kind: place for place, kind in enumerate(GroupKind)}


def unnamed_pulls(runs: Iterable[Run], window: Window) -> int:
    """Runs for pull requests that the source does not name, such as those of forks: they are in no pull request's rate."""
    return sum(
        is_of_pull(run.attempts[0]) and not any(one.pulls for one in run.attempts)
        for run in runs
        if window.holds(run.at)
    )


def _keys(run: Run, default_branch: str) -> list[tuple[GroupKind, str, str]]:
    one = run.attempts[0]
    keys = [(GroupKind.OVERALL, "", ""), (GroupKind.WORKFLOW, *workflow_of(one))]
    if is_on_default(one, default_branch):
        keys.append((GroupKind.DEFAULT, "", default_branch))
    if one.branch:
        keys.append((GroupKind.BRANCH, run.repository, branch_of(one, default_branch)))
    pulls = {number for attempt in run.attempts for number in attempt.pulls}
    keys += [(GroupKind.PULL, run.repository, str(number)) for number in pulls]
    return keys


_PASSED, _FAILED, _INFRASTRUCTURE = "passed", "failed", "infrastructure"


def _outcome(one: Attempt | None, unknown: str) -> str:
    """Passed, failed, infrastructure, or in words why it is left out."""
    if one is None:
        return f"run whose {unknown}"
    if one.is_infrastructure:
        return _INFRASTRUCTURE
    left_out = kind_left_out(one.conclusion)
    return f"run: {left_out}" if left_out else _PASSED if one.conclusion in GREEN else _FAILED


@dataclass(slots=True)
class _Tally:
    runs: int = 0
    first: Counter[str] = field(default_factory=Counter)
    final: Counter[str] = field(default_factory=Counter)
    both: Counter[tuple[str, str]] = field(default_factory=Counter)
    latest: tuple[int, str, str] = (-1, "", "")  # id of the run, workflow, path

    def add(self, outcomes: tuple[str, str], one: Attempt, run: int) -> None:
        self.runs += 1
        self.first[outcomes[0]] += 1
        self.final[outcomes[1]] += 1
        self.both[outcomes] += 1
        self.latest = max(self.latest, (run, one.workflow, one.path.partition("@")[0]))

    def group(self, kind: GroupKind, repository: str, name: str, window: Window, nothing: str) -> Group:
        """``nothing`` is why there cannot be a run."""
        path = ""
        if kind is GroupKind.WORKFLOW:
            name, path = self.latest[1] or name, self.latest[2]
        return Group(
            kind, repository, name, path, self.runs,
            _rate(Basis.FIRST, self.first, window, nothing), _rate(Basis.FINAL, self.final, window, nothing),
            _tax(self.both, window, nothing),
        )  # fmt: skip


def _rate(basis: Basis, outcomes: Counter[str], window: Window, nothing: str) -> PassRate:
    passed, infrastructure = outcomes[_PASSED], outcomes[_INFRASTRUCTURE]
    n = passed + outcomes[_FAILED]
    left_out = tuple(
        LeftOut(what, number)
        for what, number in sorted(outcomes.items())
        if what not in (_PASSED, _FAILED, _INFRASTRUCTURE) and number
    )
    state, why = _state(n, bool(outcomes.total()), "runs that passed or failed", nothing)
    return PassRate(
        basis, window, state, n, passed, infrastructure, why,
        wilson(passed, n) if state is State.MEASURED else None, left_out,
    )  # fmt: skip


def _tax(both: Counter[tuple[str, str]], window: Window, nothing: str) -> FlakeTax:
    rescued, lost = both[_FAILED, _PASSED], both[_PASSED, _FAILED]
    n = rescued + lost + both[_PASSED, _PASSED] + both[_FAILED, _FAILED]
    state, why = _state(
        n, bool(both.total()), "runs that passed or failed both first and in the end", nothing
    )
    interval = paired_interval(rescued, lost, n) if state is State.MEASURED else None
    return FlakeTax(window, state, n, rescued, lost, why, interval)


def _state(n: int, is_recorded: bool, what: str, nothing: str) -> tuple[State, str]:
    if not is_recorded:
        return State.NOT_MEASURED, nothing or "no run in the window was recorded"
    if n < FEWEST_RUNS:
        return State.NOT_ENOUGH, f"{n} of the {FEWEST_RUNS} {what} that it needs"
    return State.MEASURED, ""


def paired_interval(more: int, less: int, n: int) -> Interval:
    """The 95 % interval of a difference of two proportions of the same ``n`` > 0 things, of which ``more`` have only the first
    and ``less`` only the second property: Wald's with half a thing added to each of the four cells (Agresti and Min 2005,
    "Simple improved confidence intervals for comparing matched proportions")."""
    total = n + 2
    difference = (more - less) / total
    half = _Z * math.sqrt((more + less + 1) - (more - less) ** 2 / total) / total
    return Interval(
        max(-1.0, difference - half), min(1.0, difference + half), "adjusted Wald for pairs, 95 %"
    )


def group_of(groups: Sequence[Group], kind: GroupKind, name: str = "", repository: str = "") -> Group | None:
    """The first group of a kind with this name or path (any, where it is empty) and repository (likewise)."""
    for one in groups:
        if one.kind is kind and name in ("", one.name, one.path) and repository in ("", one.repository):
            return one
    return None
