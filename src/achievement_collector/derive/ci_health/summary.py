"""All measures of CI health together, and as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from achievement_collector.derive.ci_health.durations import Durations, durations
from achievement_collector.derive.ci_health.flakiness import FLAKY, PROBABILITY, Flakiness, Flaky, flakiness
from achievement_collector.derive.ci_health.rates import (
    FlakeTax,
    Group,
    GroupKind,
    PassRate,
    run_groups,
    unnamed_pulls,
)
from achievement_collector.derive.ci_health.recovery import Recoveries, Spell, TimeToGreen, recoveries
from achievement_collector.derive.ci_health.runs import Window, by_key, read_jobs, read_runs
from achievement_collector.derive.ci_health.trends import Trend, trend
from achievement_collector.derive.dora import Interval, LeftOut, State
from achievement_collector.derive.epics import iso
from achievement_collector.facts.ci_runs import Attempt, Job, TestOutcome


@dataclass(frozen=True, slots=True)
class GroupTrend:
    """The trend of the first attempts' pass rate of a group of runs."""

    kind: GroupKind
    repository: str
    name: str
    path: str
    trend: Trend


@dataclass(frozen=True, slots=True)
class CiHealth:
    """The health of CI in a window, as it was known at ``now``. ``at`` is the end of the window, or now if that is earlier, and
    ``window`` ends there; ``asked_until`` is the end that was asked for. ``runs`` is how many are in the window."""

    window: Window
    asked_until: int
    now: int
    at: int
    default_branch: str
    runs: int
    groups: tuple[Group, ...]
    trends: tuple[GroupTrend, ...]
    recovery: Recoveries
    durations: tuple[Durations, ...]
    flakiness: Flakiness
    left_out: tuple[LeftOut, ...]


def health(
    attempts: Iterable[Attempt],
    jobs: Iterable[Job] = (),
    tests: Iterable[TestOutcome] = (),
    *,
    since: int | None,
    until: int,
    now: int,
    default_branch: str,
) -> CiHealth:
    """The health of CI from ``since`` (None: the beginning of the record) to ``until``, from all that is known, also from before
    and after. What began after ``now`` is left out, what ended after it is not finished.

    ``default_branch`` is empty where it is not known. Raises ValueError where the window ends before it begins, or begins in
    the future.
    """
    at = min(until, now)
    if since is not None and since >= at:
        raise ValueError("the window of CI health must begin before it ends, and not in the future")
    window = Window(since, at)
    runs = read_runs(attempts, now)
    ran, carried = read_jobs(jobs, now)
    known = by_key(runs)
    groups = run_groups(runs, window, default_branch)
    left_out = (
        LeftOut("run without any time", sum(run.at is None for run in runs)),
        LeftOut("run of a pull request that is not named", unnamed_pulls(runs, window)),
    )
    return CiHealth(
        window, until, now, at, default_branch, groups[0].runs, groups,
        _trends(groups, run_groups(runs, window.before, default_branch) if window.before else (), window),
        recoveries(runs, window, at, default_branch),
        durations(runs, ran, known, window),
        flakiness(ran, tests, known, window, at, default_branch, carried=carried),
        tuple(one for one in left_out if one.number),
    )  # fmt: skip


_TRENDED = (GroupKind.OVERALL, GroupKind.DEFAULT, GroupKind.WORKFLOW)


def _trends(groups: Iterable[Group], before: Iterable[Group], window: Window) -> tuple[GroupTrend, ...]:
    """Of all, the default branch and each workflow that ran in the window."""
    earlier = {_identity(one): one.first for one in before}
    found = []
    for one in groups:
        if one.kind in _TRENDED:
            past = earlier.get(_identity(one))
            if past is None and window.before is not None:
                past = PassRate(one.first.basis, window.before, State.NOT_MEASURED)
            found.append(GroupTrend(one.kind, one.repository, one.name, one.path, trend(one.first, past)))
    return tuple(found)


def _identity(one: Group) -> tuple[GroupKind, str, str]:
    return one.kind, one.repository, one.path or one.name


# --- as data -----------------------------------------------------------------------------------------


def health_data(found: CiHealth) -> dict[str, Any]:
    """The measures as JSON can hold them. Rates are numbers from 0 to 1 beside the counts they are exact in."""
    first = next((one for one in found.groups if one.kind is GroupKind.OVERALL), None)
    return {
        "window": _window(found.window),
        "asked_until": iso(found.asked_until),
        "as_of": iso(found.at),
        "known_at": iso(found.now),
        "default_branch": found.default_branch or None,
        "runs": found.runs,
        "left_out": _left_out(found.left_out),
        "definitions": {
            "pass_rate_first": first.first.definition if first else "",
            "pass_rate_final": first.final.definition if first else "",
            "flake_tax": first.tax.definition if first else "",
            "trend": found.trends[0].trend.definition if found.trends else "",
            "time_to_green": found.recovery.headline.definition,
            **{one.measure: one.definition for one in found.durations if one.workflow is None},
            "flaky": FLAKY,
            "flake_probability": PROBABILITY,
            "rerun_minutes": found.flakiness.reruns.definition,
        },
        "pass_rates": [_group(one) for one in found.groups],
        "trends": [
            {"kind": one.kind.value, "repository": one.repository, "name": one.name, "path": one.path}
            | _trend(one.trend)
            for one in found.trends
        ],
        "time_to_green": {
            "headline": _time_to_green(found.recovery.headline),
            "lines": [
                {
                    "repository": one.workflow.repository,
                    "workflow": one.name,
                    "path": one.workflow.key,
                    "branch": one.branch,
                    "is_default_branch": one.is_default,
                }
                | _time_to_green(one.time)
                for one in found.recovery.lines
            ],
        },
        "durations": [_durations(one) for one in found.durations],
        "flakiness": _flakiness(found.flakiness),
    }


def _window(window: Window) -> dict[str, Any]:
    return {"since": iso(window.since), "until": iso(window.until)}


def _left_out(every: Iterable[LeftOut]) -> list[dict[str, Any]]:
    return [{"what": what, "count": number} for what, number in every]


def _interval(one: Interval | None) -> dict[str, Any] | None:
    return {"low": one.low, "high": one.high, "method": one.method} if one else None


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _group(one: Group) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "repository": one.repository,
        "name": one.name,
        "path": one.path,
        "runs": one.runs,
        "first": _rate(one.first),
        "final": _rate(one.final),
        "flake_tax": _tax(one.tax),
    }


def _rate(one: PassRate) -> dict[str, Any]:
    return {
        "state": one.state.value,
        "value": _number(one.value),
        "passed": one.passed,
        "n": one.n,
        "interval": _interval(one.interval),
        "why": one.why,
        "infrastructure": one.infrastructure,
        "with_infrastructure": {
            "value": _number(one.with_infrastructure),
            "n": one.n + one.infrastructure,
            "interval": _interval(one.interval_with_infrastructure),
        },
        "left_out": _left_out(one.left_out),
    }


def _tax(one: FlakeTax) -> dict[str, Any]:
    return {
        "state": one.state.value,
        "value": _number(one.value),
        "rescued": one.rescued,
        "lost": one.lost,
        "n": one.n,
        "interval": _interval(one.interval),
        "why": one.why,
    }


def _trend(one: Trend) -> dict[str, Any]:
    return {
        "state": one.state.value,
        "label": one.label.value,
        "text": one.text,
        "passed": one.passed,
        "n": one.n,
        "passed_before": one.passed_before,
        "n_before": one.n_before,
        "window_before": _window(one.before) if one.before else None,
        "effect": _number(one.effect),
        "p": one.p,
        "interval": _interval(one.interval),
        "why": one.why,
    }


def _time_to_green(one: TimeToGreen) -> dict[str, Any]:
    return {
        "state": one.state.value,
        "unit": "s",
        "n": one.n,
        "median": one.median,
        "mean": one.mean,
        "p90": one.p90,
        "interval": _interval(one.interval),
        "why": one.why,
        "open": [_open(spell, one.at) for spell in one.open],
        "left_out": _left_out(one.left_out),
    }


def _open(one: Spell, at: int) -> dict[str, Any]:
    return {
        "repository": one.workflow.repository,
        "workflow": one.name,
        "branch": one.branch,
        "began": iso(one.began),
        "begin_is_known": one.begin_is_known,
        "age": one.age(at),
        "failures": one.failures,
        "ended_later": iso(one.ended),
        "url": one.url,
    }


def _durations(one: Durations) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "repository": one.workflow.repository if one.workflow else "",
        "workflow": one.workflow.key if one.workflow else "",
        "unit": "s",
        "state": one.state.value,
        "n": one.n,
        "percentiles": {
            f"p{round(each.share * 100)}": {"value": each.value, "interval": _interval(each.interval)}
            for each in one.quantiles
        },
        "why": one.why,
        "left_out": _left_out(one.left_out),
    }


def _flakiness(one: Flakiness) -> dict[str, Any]:
    reruns = one.reruns
    return {
        "state": one.state.value,
        "why": one.why,
        "since": iso(one.since),
        "units": {unit.value: number for unit, number in one.units.items()},
        "priors": {unit.value: prior.source for unit, prior in one.priors.items()},
        "found": [_flaky(each) for each in one.found],
        "reruns": {
            "state": reruns.state.value,
            "unit": "min",
            "value": reruns.minutes,
            "n": reruns.n,
            "attempts": reruns.attempts,
            "of_flaky": reruns.of_flaky,
            "why": reruns.why,
            "left_out": _left_out(reruns.left_out),
        },
        "left_out": _left_out(one.left_out),
    }


def _flaky(one: Flaky) -> dict[str, Any]:
    return {
        "unit": one.unit.value,
        "repository": one.repository,
        "place": one.place,
        "name": one.name,
        "level": one.level.value,
        "state": one.state.value,
        "why": one.why,
        "is_cleared": one.is_cleared,
        "commits": one.commits,
        "first_sign": iso(one.first_at),
        "last_sign": iso(one.last_at),
        "quiet_days": one.quiet_days,
        "results_since": one.results_since,
        "results": one.results,
        "probability": {
            "value": one.probability.value,
            "interval": _interval(one.probability.interval),
            "failures": one.probability.failures,
            "n": one.probability.n,
            "prior": one.probability.prior.source,
        },
        "unresolved_failures": one.unresolved,
        "cost_minutes": one.cost,
        "signs": [
            {
                "level": sign.level.value,
                "commits": list(sign.commits),
                "at": iso(sign.at),
                "why": sign.why,
                "urls": list(sign.urls),
            }
            for sign in one.signs
        ],
    }
