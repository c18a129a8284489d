"""How far milestones moved, and the documented measures of the roadmap, each with its definition and what it rests on.

What was not measured has no value and says why; no missing value is ever counted as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from achievement_collector.derive.forecast import DAY, WINDOW
from achievement_collector.derive.milestones import Item
from achievement_collector.derive.readiness import Readiness, State, percent
from achievement_collector.facts.milestones import Status

FEWEST_WEEKS = 4
CI_PARTS = ("pass_rate", "auto_fix", "critical_workflows")


class TargetChange(NamedTuple):
    """A target day that became another one, as it was first seen on ``seen``. ``days`` are those it moved (above 0: later),
    None where a target was set for the first time or taken away."""

    seen: date
    before: date | None
    after: date | None

    @property
    def days(self) -> int | None:
        return (self.after - self.before).days if self.before and self.after else None


@dataclass(frozen=True, slots=True)
class Slips:
    """The changes of a target, oldest first. ``total`` is from the first known target to the last, in days (above 0: later),
    None where there are not two days to compare; ``snapshots`` is the number of days on which it was
    looked at."""

    changes: tuple[TargetChange, ...]
    total: int | None
    later: int
    snapshots: int

    @property
    def told(self) -> str:
        if not self.snapshots:
            return "not measured: no snapshot was taken (roadmap snapshot)"
        seen = f"seen on {self.snapshots} day{'s' if self.snapshots > 1 else ''}"
        if self.total is None:
            return f"no target was ever set ({seen})"
        if not self.changes:
            return f"never moved ({seen})"
        way = "later" if self.total > 0 else "earlier"
        net = f"{abs(self.total)} days {way} than first planned" if self.total else "back on its first target"
        moves = "once" if len(self.changes) == 1 else f"{len(self.changes)} times"
        return f"moved {moves}, {net} ({seen})"


def slips_of(targets: Iterable[tuple[date, date | None]]) -> Slips:
    """The slips that (day of a snapshot, target on it) show."""
    seen = sorted(targets, key=lambda one: one[0])
    changes = []
    for (_, before), (day, after) in pairwise(seen):
        if before != after:
            changes.append(TargetChange(day, before, after))
    known = [target for _, target in seen if target is not None]
    total = (known[-1] - known[0]).days if known else None
    return Slips(tuple(changes), total, sum((one.days or 0) > 0 for one in changes), len(seen))


def slips_data(found: Slips) -> dict[str, Any]:
    return {
        "told": found.told, "total_days": found.total, "moved_later": found.later, "snapshots": found.snapshots,
        "changes": [
            {
                "seen": one.seen.isoformat(), "before": one.before.isoformat() if one.before else None,
                "after": one.after.isoformat() if one.after else None, "days": one.days,
            }
            for one in found.changes
        ],
    }  # fmt: skip


# --- the documented measures -------------------------------------------------------------------------


class Measured(StrEnum):
    """Whether a measure has a value."""

    MEASURED = "measured"
    NOT_ENOUGH = "not enough data"
    NOT_MEASURED = "not measured"


class Measure(NamedTuple):
    """One documented measure. ``value`` is in ``unit`` (a ratio is 0 to 1), None where there is none, with the reason in
    ``told``; ``n`` is the number of things it rests on."""

    name: str
    definition: str
    unit: str
    state: Measured
    n: int = 0
    value: float | None = None
    told: str = ""


COMPLETION_RATE = (
    "Milestones that people set to Completed, of all whose status people set or that GitHub shows as open. Milestones of which"
    " nothing tells whether they are done and those that were given up are left out and counted."
)
CI_HEALTH = (
    "Points of the three CI parts of the readiness formula (pass rate 25, auto-fix 15, critical workflows 30) over the whole"
    " repository, of the points that its measured parts can have."
)
VELOCITY = (
    "Issues of milestones that were closed in a week: the median over the last 12 whole weeks, weeks without any included,"
    " from the first known issue on."
)
RELIABILITY = "Syncs that ended without an error, of all that ended, in the last 28 days."


class Counted(NamedTuple):
    """What the completion rate asks of a milestone; ``is_open`` says that GitHub shows it as open."""

    status: Status | None
    is_dropped: bool = False
    is_open: bool = False


def completion_rate(milestones: Sequence[Counted]) -> Measure:
    """The share of completed milestones."""
    name = "milestone_completion_rate"
    told_of = [one for one in milestones if not one.is_dropped and (one.status is not None or one.is_open)]
    dropped = sum(one.is_dropped for one in milestones)
    silent = len(milestones) - len(told_of) - dropped
    left = f"; left out: {silent} without a status, {dropped} given up" if silent or dropped else ""
    if not told_of:
        told = f"no milestone has a status that somebody set{left}"
        return Measure(name, COMPLETION_RATE, "ratio", Measured.NOT_MEASURED, 0, None, told)
    done = sum(one.status is Status.COMPLETED for one in told_of)
    told = f"{done} of {len(told_of)}{left}"
    return Measure(name, COMPLETION_RATE, "ratio", Measured.MEASURED, len(told_of), done / len(told_of), told)


def ci_health_score(score: Readiness | None) -> Measure:
    """The CI parts of the readiness of a whole repository; ``n`` is the number of its measured parts."""
    name = "ci_health_score"
    parts = [one for one in score.parts if one.name in CI_PARTS] if score else []
    known = [one for one in parts if one.state is not State.UNKNOWN]
    if not known:
        told = "; ".join(f"{one.title} {one.told}" for one in parts) or "no run is known"
        return Measure(name, CI_HEALTH, "ratio", Measured.NOT_MEASURED, 0, None, told)
    points, most = sum(one.points for one in known), sum(one.most for one in known)
    told = f"{points} of {most} points; " + "; ".join(f"{one.title} {one.told}" for one in parts)
    return Measure(name, CI_HEALTH, "ratio", Measured.MEASURED, len(known), points / most, told)


def velocity(items: Iterable[Item], today: date) -> Measure:
    """Issues closed in a week, at the median; ``n`` is the number of whole weeks before ``today``."""
    name, unit = "progress_velocity", "issues a week"
    listed = [one for one in items if one.canceled is None]
    now = (today - date(1970, 1, 1)).days
    known = [at // DAY for one in listed for at in (one.created, one.completed) if at is not None]
    if not known:
        return Measure(name, VELOCITY, unit, Measured.NOT_MEASURED, 0, None, "no issue is linked")
    weeks = min(WINDOW, now - min(known)) // 7
    if weeks < FEWEST_WEEKS:
        told = f"{max(weeks, 0)} whole weeks are known, {FEWEST_WEEKS} are needed"
        return Measure(name, VELOCITY, unit, Measured.NOT_ENOUGH, max(weeks, 0), None, told)
    counts = [0] * weeks
    for one in listed:
        if one.completed is not None and 0 <= (back := now - 1 - one.completed // DAY) < weeks * 7:
            counts[back // 7] += 1
    begin = today - timedelta(days=7 * weeks)
    told = f"{sum(counts)} closed from {begin} on, by week from {min(counts)} to {max(counts)}"
    return Measure(name, VELOCITY, unit, Measured.MEASURED, weeks, median(counts), told)


def sync_reliability(ended: tuple[int, int] | None) -> Measure:
    """The share of syncs without an error; ``ended`` is (without an error, all), None where none was recorded."""
    name = "sync_reliability"
    if ended is None or ended[1] < 1:
        return Measure(
            name, RELIABILITY, "ratio", Measured.NOT_MEASURED, 0, None, "no sync with Notion was recorded"
        )
    good, n = ended
    return Measure(name, RELIABILITY, "ratio", Measured.MEASURED, n, good / n, f"{good} of {n}")


def measure_data(one: Measure) -> dict[str, Any]:
    shown = None
    if one.value is not None:
        shown = percent(one.value) if one.unit == "ratio" else f"{one.value:g} {one.unit}"
    return {
        "name": one.name, "definition": one.definition, "unit": one.unit, "state": one.state.value, "n": one.n,
        "value": one.value, "text": shown or one.state.value, "told": one.told,
    }  # fmt: skip
