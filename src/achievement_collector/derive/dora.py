"""The DORA measures of one environment: how often, how soon, how safely changes reach it, and how fast it recovers.

The five measures are those of the DORA reports of 2024 and 2025 ("Accelerate State of DevOps"): change lead time, deployment
frequency, change fail rate, failed deployment recovery time, rework rate. What a measure counts here is in its ``definition``;
only what was recorded counts, and a measure without enough of it has no value and says why. No measure is of a person.

Moments are milliseconds since 1970 (UTC), times are seconds, rates 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from achievement_collector.derive.deployments import FAILED, LASTED, Shipment, Standing
from achievement_collector.derive.epics import iso
from achievement_collector.derive.history import History
from achievement_collector.facts.deployments import UNKNOWN
from achievement_collector.facts.work import Deployment

_DAY = 86_400_000
_WEEK = 7 * _DAY
FEWEST = 3
"""Times that a median needs."""
FEWEST_FOR_P90 = 10
"""Times that a 90th percentile needs: with fewer it is the longest one."""
_Z = 1.959963984540054  # the 0.975 quantile of the standard normal distribution


class State(StrEnum):
    """Whether a measure has a value."""

    MEASURED = "measured"
    NOT_ENOUGH = "not enough data"
    NOT_MEASURED = "not measured"


class Interval(NamedTuple):
    """A 95 % confidence interval and how it was found."""

    low: float
    high: float
    method: str


class Beside(NamedTuple):
    """A further number of a measure; ``value`` is None where there is too little to tell."""

    name: str
    value: float | None
    unit: str
    n: int


class LeftOut(NamedTuple):
    """How many are not in a measure, and why."""

    what: str
    number: int


@dataclass(frozen=True, slots=True)
class DoraMeasure:
    """One measure. ``n`` is the number of things it rests on, ``value`` None where there is none, with the reason in
    ``why``; ``interval`` is there where the data are of a kind that has one."""

    name: str
    definition: str
    unit: str
    state: State
    n: int = 0
    value: float | None = None
    why: str = ""
    interval: Interval | None = None
    beside: tuple[Beside, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Dora:
    """The measures of one environment of a repository. The window holds ``since``, not ``until``; where nothing was recorded
    before ``since`` was asked for, it begins with the first recorded deployment (``begins_with_first``), which is in no
    frequency. Where nothing was recorded ``since`` is as it was asked for."""

    repository: str
    environment: str
    is_production: bool
    since: int | None
    until: int
    begins_with_first: bool
    measures: tuple[DoraMeasure, ...]


def dora(
    repository: str,
    environment: str,
    shipments: Sequence[Shipment],
    history: History,
    *,
    since: int | None,
    until: int,
    is_production: bool = True,
    bots: Collection[int] = (),
    rolled_back: dict[str, int] | None = None,
) -> Dora:
    """The measures of one environment from ``since`` to ``until``.

    ``shipments`` are all that is known of it, also from before and after the window; ``bots`` the authors (numbers as the
    history has them) whose commits are left out; ``rolled_back`` tells by deployment when a rollback was told of.
    """
    shipments = [one for one in shipments if one.deployment.at is not None]
    times = [_at(one.deployment) for one in shipments]
    begin = min(times, default=None)
    if begin is None or begin >= until:
        window = None
    else:
        window = _Window(
            max(begin, since) if since is not None else begin, until, since is None or since <= begin
        )
    told = f"no deployment to {environment} was recorded" + (" before the end of the window" if times else "")
    deployments = [one.deployment for one in shipments]
    return Dora(
        repository, environment, is_production, window.since if window else since, until,
        window.begins_with_first if window else False,
        (
            _frequency(deployments, window, told),
            _lead_time(shipments, history, window, frozenset(bots), told),
            _fail_rate(deployments, window, told),
            _recovery(deployments, window, rolled_back or {}, told),
            DoraMeasure(
                "rework_rate", REWORK_RATE, "ratio", State.NOT_MEASURED,
                why="nothing that is recorded says whether a deployment was planned",
            ),
        ),
    )  # fmt: skip


class _Window(NamedTuple):
    since: int
    until: int
    begins_with_first: bool

    def holds(self, at: int) -> bool:
        return self.since <= at < self.until


def _at(one: Deployment) -> int:
    assert one.at is not None
    return one.at


# --- deployment frequency ----------------------------------------------------------------------------

DEPLOYMENT_FREQUENCY = (
    "Deployments that took effect, for each week of the window; those that were rolled back later took effect as well. Where"
    " the record begins inside the window, the window begins with the first recorded deployment, which is not counted. The days"
    " between two are from each deployment in the window back to the one before it."
)


def _frequency(deployments: Sequence[Deployment], window: _Window | None, told: str) -> DoraMeasure:
    name, unit = "deployment_frequency", "per week"
    if window is None:
        return DoraMeasure(name, DEPLOYMENT_FREQUENCY, unit, State.NOT_MEASURED, why=told)
    effects = sorted(_at(one) for one in deployments if one.is_success)
    if window.begins_with_first:
        inside = [at for at in effects if window.since < at < window.until]
    else:
        inside = [at for at in effects if window.holds(at)]
    gaps = [
        (after - before) / _DAY
        for before, after in pairwise(effects)
        if window.holds(after)  # the one before may be earlier: short gaps would be told too often without it
    ]
    length = window.until - window.since
    between = Beside("median_days_between", _median(gaps), "days", len(gaps))
    if length < _WEEK:
        why = f"the record covers {length / _DAY:.1f} days of the window; a week is needed"
        return DoraMeasure(
            name, DEPLOYMENT_FREQUENCY, unit, State.NOT_ENOUGH, len(inside), why=why, beside=(between,)
        )
    per_day = Beside("per_day", len(inside) / (length / _DAY), "per day", len(inside))
    return DoraMeasure(
        name, DEPLOYMENT_FREQUENCY, unit, State.MEASURED, len(inside), len(inside) / (length / _WEEK),
        beside=(per_day, between),
    )  # fmt: skip


# --- change lead time --------------------------------------------------------------------------------

CHANGE_LEAD_TIME = (
    "From the author date of a commit to the end of the first deployment that brought it and lasted: the median over all"
    " commits of people that deployments in the window brought; merges are left out. The author date outlives a rebase; a"
    " squashed commit has the date of the squash, so its work began earlier. It has no interval: commits that came with one"
    " deployment are not independent of each other."
)


def _lead_time(
    shipments: Sequence[Shipment], history: History, window: _Window | None, bots: frozenset[int], told: str
) -> DoraMeasure:
    name = "change_lead_time"
    if window is None:
        return DoraMeasure(name, CHANGE_LEAD_TIME, "s", State.NOT_MEASURED, why=told)
    times: list[float] = []
    count = dict.fromkeys(_NO_LEAD_TIME, 0)
    for one in shipments:
        if not window.holds(_at(one.deployment)):
            continue
        if one.standing is Standing.BASELINE:
            count[_BASELINE] += 1
        elif one.standing is Standing.NOT_KNOWN or one.pull is not None:
            count[_HIDDEN] += 1
        elif one.standing is Standing.END_NOT_KNOWN:
            count[_END_NOT_KNOWN] += 1
        count[_UNCLEAR] += len(one.unclear)
        if one.standing is not Standing.SHIPS:
            continue
        finished = one.deployment.finished
        for number in one.commits:
            if len(history.parents[number]) > 1:
                continue
            if history.authors[number] in bots:
                count[_BY_PROGRAMS] += 1
            elif finished is None:
                count[_NO_END] += 1
            elif history.authored[number] * 1000 > finished:
                count[_LATER] += 1
            else:
                times.append(finished / 1000 - history.authored[number])
    left_out = tuple(LeftOut(what, number) for what, number in count.items() if number)
    if not times:
        why = "no commit was brought by a deployment in the window at a time that is known"
        return DoraMeasure(name, CHANGE_LEAD_TIME, "s", State.NOT_ENOUGH, why=why, left_out=left_out)
    p90 = Beside("p90", _percentile(times, 0.9), "s", len(times))
    value = _median(times)
    return DoraMeasure(
        name, CHANGE_LEAD_TIME, "s", State.MEASURED if value is not None else State.NOT_ENOUGH, len(times), value,
        "" if value is not None else _too_few(times), beside=(p90,), left_out=left_out,
    )  # fmt: skip


# what is left out, each in the singular
_BASELINE = "first known deployment, of which nobody can tell what it brought"
_HIDDEN = "deployment whose commit is not in the ledger"
_UNCLEAR = "commit that an earlier deployment, of which too little is known, may have brought"
_END_NOT_KNOWN = "deployment of which only its replacement was told, not how it ended"
_BY_PROGRAMS = "commit by a program"
_NO_END = "commit that came with a deployment whose end was not told"
_LATER = "commit whose author date is after the deployment"
_NO_LEAD_TIME = (_BASELINE, _HIDDEN, _END_NOT_KNOWN, _UNCLEAR, _BY_PROGRAMS, _NO_END, _LATER)


# --- change fail rate --------------------------------------------------------------------------------

CHANGE_FAIL_RATE = (
    "Deployments recorded as failed, in error or rolled back, of all that ended in the window. A fault that nobody recorded as"
    " the state of its deployment (an incident, a fix that followed) is not in it."
)


def _fail_rate(deployments: Sequence[Deployment], window: _Window | None, told: str) -> DoraMeasure:
    name = "change_fail_rate"
    if window is None:
        return DoraMeasure(name, CHANGE_FAIL_RATE, "ratio", State.NOT_MEASURED, why=told)
    inside = [one for one in deployments if window.holds(_at(one))]
    ended = [one for one in inside if one.state in FAILED or one.state in LASTED]
    unknown = sum(one.state == UNKNOWN for one in inside)
    open_ones = len(inside) - len(ended) - unknown
    counted = (("deployment that has not ended", open_ones), (_END_NOT_KNOWN, unknown))
    left_out = tuple(LeftOut(what, number) for what, number in counted if number)
    failed = sum(one.state in FAILED for one in ended)
    if not ended:
        why = "no deployment ended in the window"
        return DoraMeasure(name, CHANGE_FAIL_RATE, "ratio", State.NOT_ENOUGH, why=why, left_out=left_out)
    back = sum(one.state == "rolled_back" for one in ended)
    return DoraMeasure(
        name, CHANGE_FAIL_RATE, "ratio", State.MEASURED, len(ended), failed / len(ended),
        interval=wilson(failed, len(ended)),
        beside=(Beside("failed", failed, "deployments", len(ended)), Beside("rolled_back", back, "deployments", len(ended))),
        left_out=left_out,
    )  # fmt: skip


def wilson(successes: int, trials: int) -> Interval:
    """The 95 % score interval of a proportion (Wilson 1927). ``trials`` is above 0."""
    share, z2 = successes / trials, _Z * _Z
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return Interval(low, high, "Wilson score, 95 %")


# --- failed deployment recovery time -----------------------------------------------------------------

RECOVERY_TIME = (
    "From the end of a failed deployment to the end of the next one that lasted in the same environment, or to its own"
    " rollback where no other deployment ended before that; failures in a row are one time, from the first of them. The median"
    " over all that began in the window and are over. One that is rolled back counts from when it took effect."
)
REWORK_RATE = "Deployments that were not planned and answered an incident in production, of all deployments."


def _recovery(
    deployments: Sequence[Deployment], window: _Window | None, rolled_back: dict[str, int], told: str
) -> DoraMeasure:
    name = "failed_deployment_recovery_time"
    if window is None:
        return DoraMeasure(name, RECOVERY_TIME, "s", State.NOT_MEASURED, why=told)
    times: list[float] = []
    still_open = 0
    for began, ended in _failures(deployments, rolled_back):
        if not window.holds(began):
            continue
        if ended is None:
            still_open += 1
        else:
            times.append((ended - began) / 1000)
    beside = (Beside("still_open", still_open, "failures", len(times) + still_open),)
    value = _median(times)
    if value is None:
        why = _too_few(times) if times else "no failed deployment of the window is over" if still_open else (
            "no deployment that began in the window failed"
        )  # fmt: skip
        return DoraMeasure(name, RECOVERY_TIME, "s", State.NOT_ENOUGH, len(times), why=why, beside=beside)
    return DoraMeasure(
        name,
        RECOVERY_TIME,
        "s",
        State.MEASURED,
        len(times),
        value,
        interval=median_interval(times),
        beside=beside,
    )


def _failures(deployments: Sequence[Deployment], rolled_back: dict[str, int]) -> list[tuple[int, int | None]]:
    """(when it began, when it was over) of each time in which the last deployment had failed."""
    ended = sorted(
        (one for one in deployments if one.state in FAILED | LASTED), key=lambda one: (_at(one), one.key)
    )
    events: list[tuple[int, int, str]] = []  # 0 began, 1 over
    for place, one in enumerate(ended):
        events.append((_at(one), int(one.state in LASTED), one.key))
        following = _at(ended[place + 1]) if place + 1 < len(ended) else None
        back = rolled_back.get(one.key, -1) if one.state == "rolled_back" else -1
        if back >= _at(one) and (following is None or back < following):  # else that rollback ended nothing
            events.append((back, 1, one.key))
    found: list[tuple[int, int | None]] = []
    began: int | None = None
    for at, is_over, _ in sorted(events):
        if not is_over:
            began = at if began is None else began
        elif began is not None:
            found.append((began, at))
            began = None
    if began is not None:
        found.append((began, None))
    return found


# --- order statistics --------------------------------------------------------------------------------


def _median(values: Sequence[float]) -> float | None:
    return median(values) if len(values) >= FEWEST else None


def _percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    if len(values) < FEWEST_FOR_P90:
        return None
    return sorted(values)[math.ceil(share * len(values)) - 1]


def median_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of a median that needs no distribution: between two order statistics, by the sign test (Conover,
    "Practical Nonparametric Statistics", 3.2). None with fewer than 6 values, where there is none."""
    count = len(values)
    rank, below = 0, 0.0  # P(at most rank - 1 of count values are below the median)
    while rank < count // 2:
        more = below + math.comb(count, rank) / 2**count
        if more > 0.025:
            break
        rank, below = rank + 1, more
    if rank == 0:
        return None
    ordered = sorted(values)
    return Interval(ordered[rank - 1], ordered[count - rank], "order statistics, at least 95 %")


def _too_few(times: Sequence[float]) -> str:
    told = ", ".join(f"{one / 3600:.1f} h" for one in sorted(times))
    return f"{len(times)} of the {FEWEST} times that a median needs: {told}"


# --- as data -----------------------------------------------------------------------------------------


def dora_data(found: Dora) -> dict[str, Any]:
    """The measures as the API and ``dora --json`` give them."""
    return {
        "repository": found.repository,
        "environment": found.environment,
        "is_production": found.is_production,
        "window": {
            "since": iso(found.since),
            "until": iso(found.until),
            "begins_with_first_deployment": found.begins_with_first,
        },
        "measures": {one.name: _measure_data(one) for one in found.measures},
    }


def _measure_data(one: DoraMeasure) -> dict[str, Any]:
    return {
        "state": one.state.value,
        "value": one.value,
        "unit": one.unit,
        "n": one.n,
        "why": one.why,
        "interval": (
            {"low": one.interval.low, "high": one.interval.high, "method": one.interval.method}
            if one.interval
            else None
        ),
        "beside": {
            beside.name: {"value": beside.value, "unit": beside.unit, "n": beside.n} for beside in one.beside
        },
        "left_out": [{"what": what, "count": number} for what, number in one.left_out],
        "definition": one.definition,
    }
