"""Time to green: how long a workflow stays red on a branch. (DORA's recovery of failed deployments is another measure:
:mod:`achievement_collector.derive.dora`.)"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from achievement_collector.derive.ci_health.durations import percentile, quantile_interval
from achievement_collector.derive.ci_health.runs import (
    Run,
    Window,
    Workflow,
    branch_of,
    is_on_default,
    moment,
    workflow_of,
)
from achievement_collector.derive.dora import FEWEST, Interval, LeftOut, State
from achievement_collector.facts.ci_runs import GREEN, RED, Attempt

TIME_TO_GREEN = (
    "For a workflow on a branch: from the end of the first failed attempt after a success to the end of the next success. All"
    " failures in between are one spell; a re-run that passes ends it. A result that comes after that of a run that was created"
    " later says nothing of the newer commit: it neither begins nor ends a spell. The spells that ended in the window are"
    " measured; those that are still red are listed with their age and are in no average. Infrastructure failures are left out."
)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which a workflow was red on a branch, from ``began`` until ``ended`` (None: it was red still); ``failures``
    attempts failed. Without ``begin_is_known`` no success was recorded before it: it began at ``began`` or earlier."""

    workflow: Workflow
    name: str
    branch: str
    is_default: bool
    began: int
    ended: int | None
    failures: int
    begin_is_known: bool
    url: str = ""

    def age(self, at: int) -> float:
        """Seconds for which it had lasted at a moment."""
        return (at - self.began) / 1000


@dataclass(frozen=True, slots=True)
class TimeToGreen:
    """Over the ``n`` spells that ended in the window, in seconds. ``median`` and ``mean`` are None below 3, ``p90`` below 10;
    ``interval`` is the median's. ``open`` were red at ``at``, the end of the window or now, oldest first."""

    window: Window
    at: int
    state: State
    n: int
    median: float | None
    mean: float | None
    p90: float | None
    interval: Interval | None
    why: str
    open: tuple[Spell, ...]
    left_out: tuple[LeftOut, ...]
    definition: str = TIME_TO_GREEN


@dataclass(frozen=True, slots=True)
class Recovery:
    """The time to green of one workflow on one branch."""

    workflow: Workflow
    name: str
    branch: str
    is_default: bool
    time: TimeToGreen


@dataclass(frozen=True, slots=True)
class Recoveries:
    """``headline`` is of all workflows of the default branch together; ``lines`` of each workflow and branch that was
    red in the window, the default branch first."""

    headline: TimeToGreen
    lines: tuple[Recovery, ...]


_NO_BRANCH = "attempt whose branch was not told"
_NO_END = "attempt whose end was not told"
_INFRASTRUCTURE = "infrastructure failure"
_OVERTAKEN = "result that a later run had overtaken"
_NO_BEGIN = "spell that began before the record"


def recoveries(runs: Iterable[Run], window: Window, at: int, default_branch: str) -> Recoveries:
    """Times to green in the window; ``at`` is the end of the window or, if that is earlier, now."""
    lines: dict[tuple[Workflow, str], list[Attempt]] = defaultdict(list)
    left: dict[tuple[Workflow, str], Counter[str]] = defaultdict(Counter)
    for run in runs:
        for one in run.attempts:
            key = (workflow_of(one), branch_of(one, default_branch))
            if one.conclusion not in RED and one.conclusion not in GREEN:
                continue
            why = ""
            if one.is_infrastructure:
                why = _INFRASTRUCTURE
            elif not one.branch:
                why = _NO_BRANCH
            elif one.finished is None:
                why = _NO_END
            if not why:
                lines[key].append(one)
            elif window.holds(moment(one)):
                left[key][why] += 1
    found: list[Recovery] = []
    on_default: list[Spell] = []
    left_on_default: Counter[str] = Counter()
    for key in sorted({*lines, *left}):
        attempts = lines.get(key, [])
        is_default = bool(default_branch) and key[1] == default_branch
        spells, overtaken = spells_of(attempts, default_branch)
        left[key][_OVERTAKEN] += sum(window.holds(one.finished) for one in overtaken)
        if is_default:
            on_default += spells
            left_on_default += left[key]
        if any(_touches(one, window) for one in spells):
            name = max(attempts, key=_by_end).workflow or key[0].key
            measure = _time_to_green(spells, window, at, left[key], "")
            found.append(Recovery(key[0], name, key[1], is_default, measure))
    found.sort(key=lambda one: (not one.is_default, one.workflow, one.branch))
    nothing = ""
    if not default_branch:
        nothing = "the default branch is not known"
    elif not any(branch == default_branch for _, branch in lines):
        nothing = "no attempt on the default branch that passed or failed was recorded"
    return Recoveries(_time_to_green(on_default, window, at, left_on_default, nothing), tuple(found))


def spells_of(attempts: Sequence[Attempt], default_branch: str = "") -> tuple[list[Spell], list[Attempt]]:
    """(the spells of one workflow on one branch by their beginning, the attempts whose results were overtaken). The attempts
    passed or failed, and their ends are known."""
    spells: list[Spell] = []
    overtaken: list[Attempt] = []
    newest: int | None = None  # creation of the run that the branch's state is of
    is_green: bool | None = None
    first: Attempt | None = None
    failures = 0
    begin_is_known = False
    for one in sorted(attempts, key=_by_end):
        if newest is not None and one.created is not None and one.created < newest:
            overtaken.append(one)
            continue
        newest = newest if one.created is None else one.created
        if one.conclusion in GREEN:
            if first is not None:
                spells.append(_spell(first, one.finished, failures, begin_is_known, default_branch))
            first, is_green = None, True
        elif first is None:
            first, failures, begin_is_known, is_green = one, 1, is_green is True, False
        else:
            failures += 1
    if first is not None:
        spells.append(_spell(first, None, failures, begin_is_known, default_branch))
    return spells, overtaken


def _by_end(one: Attempt) -> tuple[int, int, int, int]:
    return one.finished or 0, one.created or 0, one.run, one.number


def _spell(
    first: Attempt, ended: int | None, failures: int, begin_is_known: bool, default_branch: str
) -> Spell:
    assert first.finished is not None
    return Spell(
        workflow_of(first), first.workflow, branch_of(first, default_branch), is_on_default(first, default_branch),
        first.finished, ended, failures, begin_is_known, first.url,
    )  # fmt: skip


def _is_open(one: Spell, window: Window) -> bool:
    return one.began < window.until and (one.ended is None or one.ended >= window.until)


def _touches(one: Spell, window: Window) -> bool:
    return _is_open(one, window) or window.holds(one.ended)


def _time_to_green(
    spells: Sequence[Spell],
    window: Window,
    at: int,
    left: Counter[str],
    nothing: str,
) -> TimeToGreen:
    """``nothing`` says why nothing was recorded; it is empty where something was."""
    left = Counter(left)
    times: list[float] = []
    for one in spells:
        if one.ended is None or not window.holds(one.ended):
            continue
        if one.begin_is_known:
            times.append((one.ended - one.began) / 1000)
        else:
            left[_NO_BEGIN] += 1
    red = sorted((one for one in spells if _is_open(one, window)), key=lambda one: (one.began, one.workflow))
    n = len(times)
    state, why = State.MEASURED, ""
    if nothing:
        state, why = State.NOT_MEASURED, nothing
    elif n < FEWEST:
        told = ", ".join(f"{one / 3600:.1f} h" for one in sorted(times))
        state = State.NOT_ENOUGH
        why = f"{n} of the {FEWEST} ended spells that a median needs" + (f": {told}" if told else "")
    enough = state is State.MEASURED
    return TimeToGreen(
        window, at, state, n,
        median(times) if enough else None,
        fmean(times) if enough else None,
        percentile(times, 0.9) if enough else None,
        quantile_interval(times, 0.5) if enough else None,
        why, tuple(red),
        tuple(LeftOut(what, number) for what, number in sorted(left.items()) if number),
    )  # fmt: skip
