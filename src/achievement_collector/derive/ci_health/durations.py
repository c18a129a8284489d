"""How long jobs and attempts wait and run: percentiles, each with what it rests on."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from achievement_collector.derive.ci_health.runs import (
    Run,
    Window,
    Workflow,
    begin_of,
    kind_left_out,
    moment,
    workflow_of,
)
from achievement_collector.derive.dora import FEWEST, Interval, LeftOut, State
from achievement_collector.facts.ci_runs import Attempt, Job

SHARES = (0.5, 0.9, 0.95)
_RISK = 0.025  # on each side of an interval

DEFINITIONS = {
    "job_queue": (
        "From when a job was created to when a runner took it, over the jobs that passed, failed or timed out in the window."
    ),
    "job_duration": "From when a runner took a job to its end, over the same jobs.",
    "attempt_queue": (
        "From when an attempt was asked for to when a runner took the first of its jobs, over the attempts that passed, failed"
        " or timed out in the window."
    ),
    "attempt_duration": (
        "From when an attempt was asked for to its end, waiting included, over the attempts that passed, failed or timed out in"
        " the window."
    ),
}


@dataclass(frozen=True, slots=True)
class Quantile:
    """The time that ``share`` of all do not exceed; ``value`` in seconds, None where there are too few."""

    share: float
    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Durations:
    """Percentiles of one measure of ``n`` times, of one workflow or (None) of all."""

    measure: str
    workflow: Workflow | None
    window: Window
    state: State
    n: int
    quantiles: tuple[Quantile, ...]
    why: str
    left_out: tuple[LeftOut, ...]

    @property
    def definition(self) -> str:
        return DEFINITIONS[self.measure]


def durations(
    runs: Iterable[Run],
    jobs: Iterable[Job],
    attempts: Mapping[tuple[str, int, int], Attempt],
    window: Window,
) -> tuple[Durations, ...]:
    """The four measures overall, then of each workflow of which something was timed. ``attempts`` is by repository, run and
    number and tells the workflows of the ``jobs``, which are those that ran."""
    times: dict[tuple[str, Workflow | None], list[float]] = defaultdict(list)
    left: dict[tuple[str, Workflow | None], Counter[str]] = defaultdict(Counter)

    def take(measure: str, workflow: Workflow, begin: int | None, end: int | None, missing: str) -> None:
        why = missing if begin is None or end is None else "end before begin" if end < begin else ""
        for key in ((measure, workflow), (measure, None)):
            if why:
                left[key][why] += 1
            else:
                assert begin is not None
                assert end is not None
                times[key].append((end - begin) / 1000)

    taken: dict[tuple[str, int, int], int] = {}  # when a runner took the first job
    for job in jobs:
        key = (job.repository, job.run, job.attempt)
        if job.started is not None and job.conclusion != "skipped":
            taken[key] = min(taken.get(key, job.started), job.started)
        if not window.holds(job.finished if job.finished is not None else job.started):
            continue
        attempt = attempts.get(key)
        workflow = workflow_of(attempt) if attempt else Workflow(job.repository, job.workflow)
        why = _left_out(job.conclusion)
        if why:
            for measure in ("job_queue", "job_duration"):
                left[measure, workflow]["job: " + why] += 1
                left[measure, None]["job: " + why] += 1
            continue
        take("job_queue", workflow, job.queued, job.started, "time not told")
        take("job_duration", workflow, job.started, job.finished, "time not told")
    for run in runs:
        for one in run.attempts:
            if not window.holds(moment(one)):
                continue
            workflow = workflow_of(one)
            why = "infrastructure failure" if one.is_infrastructure else _left_out(one.conclusion)
            if why:
                for measure in ("attempt_queue", "attempt_duration"):
                    left[measure, workflow]["attempt: " + why] += 1
                    left[measure, None]["attempt: " + why] += 1
                continue
            first = taken.get((run.repository, run.id, one.number))
            missing = "jobs not known" if first is None else "time not told"
            take("attempt_queue", workflow, begin_of(one), first, missing)
            take("attempt_duration", workflow, begin_of(one), one.finished, "time not told")
    workflows: list[Workflow | None] = [None, *sorted({key for _, key in times if key is not None})]
    return tuple(
        _measure(measure, workflow, window, times.get((measure, workflow), []), left[measure, workflow])
        for workflow in workflows
        for measure in DEFINITIONS
    )


def _left_out(conclusion: str) -> str:
    return "startup failure" if conclusion == "startup_failure" else kind_left_out(conclusion)


def _measure(
    measure: str, workflow: Workflow | None, window: Window, times: list[float], left: Counter[str]
) -> Durations:
    times.sort()
    n = len(times)
    state, why = State.MEASURED, ""
    if not n:
        state, why = State.NOT_MEASURED, "no time in the window was recorded"
    elif n < FEWEST:
        state, why = State.NOT_ENOUGH, f"{n} of the {FEWEST} times that a median needs"
    quantiles = tuple(
        Quantile(share, value, quantile_interval(times, share) if value is not None else None)
        for share in SHARES
        for value in [percentile(times, share)]
    )
    left_out = tuple(LeftOut(what, number) for what, number in sorted(left.items()) if number)
    return Durations(measure, workflow, window, state, n, quantiles, why, left_out)


# --- order statistics --------------------------------------------------------------------------------


def fewest_for(share: float) -> int:
    """Values that a percentile needs: with fewer, one above the median is just the largest value."""
    return FEWEST if share == 0.5 else math.ceil(round(1 / (1 - share), 9))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The median, or the smallest value that at least ``share`` of the values do not exceed (nearest rank); None where there
    are too few: 3 for the median, 10 for the 90th, 20 for the 95th percentile."""
    n = len(values)
    if n < fewest_for(share):
        return None
    return median(values) if share == 0.5 else sorted(values)[math.ceil(round(share * n, 9)) - 1]


def quantile_interval(values: Sequence[float], share: float) -> Interval | None:
    """The 95 % interval of a quantile that needs no distribution: between two order statistics, by the binomial distribution of
    how many values lie below it (Conover, "Practical Nonparametric Statistics", 3.2). None where the values are too few to
    have one. For the median it is that of :func:`achievement_collector.derive.dora.median_interval`, also for many values."""
    n = len(values)
    if not n:
        return None
    # only terms that matter: the tails beyond 10 standard deviations are below 1e-20
    reach = 10 * math.sqrt(n * share * (1 - share)) + 10
    lowest, highest = max(0, math.floor(n * share - reach)), min(n, math.ceil(n * share + reach))
    rank, below = lowest, 0.0  # P(at most rank - 1 values are below the quantile)
    while rank <= highest and below + _binomial(rank, n, share) <= _RISK:
        below += _binomial(rank, n, share)
        rank += 1
    upper, above = highest + 1, 0.0  # P(at least upper values are below the quantile)
    while upper > 0 and above + _binomial(upper - 1, n, share) <= _RISK:
        above += _binomial(upper - 1, n, share)
        upper -= 1
    if rank < 1 or upper > n or rank > upper:
        return None
    ordered = sorted(values)
    return Interval(ordered[rank - 1], ordered[upper - 1], "order statistics, at least 95 %")


def _binomial(k: int, n: int, share: float) -> float:
    return math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(share) + (n - k) * math.log1p(-share)
    )  # fmt: skip
