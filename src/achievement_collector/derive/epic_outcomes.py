"""What was measured of an epic's outcome: shifts of KPIs that came when its work was shipped, in the words that go with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from achievement_collector.derive.quantities import change, is_money, quantity, share
from achievement_collector.facts.kpis import Direction

METRICS = (
    "engagement_rate_improvement",
    "revenue_impact",
    "cost_savings",
    "user_satisfaction_increase",
    "time_to_market_reduction",
)
_MONEY = ("revenue_impact", "cost_savings")
"""The metrics whose value is a sum of money, or none."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a shift is worth in money, where somebody said what a unit is worth; ``unit`` is the currency, ``inputs`` are
    (name, value) of what the formula takes."""

    amount: float
    unit: str
    formula: str
    inputs: tuple[tuple[str, str], ...] = ()

    @property
    def in_words(self) -> str:
        """The formula with what it takes."""
        return "; ".join((self.formula, *(f"{name} {value}" for name, value in self.inputs)))


@dataclass(frozen=True, slots=True)
class MeasuredShift:
    """A shift of a KPI in whose window work of the epic was deployed or merged. ``metric`` is the business metric that the
    KPI measures, empty for none; ``wording`` is ``coincided with`` or ``effect``; ``through`` names the deployments (or
    merged changes) that brought the epic's pull requests ``pulls``; ``rivals`` counts what else came in the window."""

    achievement: str
    kpi: str
    series: str
    title: str
    metric: str
    unit: str
    direction: Direction
    at: int
    before: float
    after: float
    difference: float
    interval: tuple[float, float] | None
    relative: float | None
    n: tuple[int, int]
    method: str
    wording: str
    text: str
    through: tuple[str, ...]
    pulls: tuple[str, ...]
    rivals: int
    worth: Worth | None = None

    @property
    def wording_in_words(self) -> str:
        """``coincided with the deployment of 1.4.0 ..., which brought search#43, and 2 other things``."""
        through = ", ".join(self.through[:3]) + (
            f" and {len(self.through) - 3} more" if len(self.through) > 3 else ""
        )
        pulls = ", ".join(one.rpartition("/")[2] for one in self.pulls[:5])
        more = f" and {len(self.pulls) - 5} more" if len(self.pulls) > 5 else ""
        word = "the effect of" if self.wording == "effect" else "coincided with"
        told = f"{word} {through}"
        if any(not one.startswith("the merge") for one in self.through):
            told += f", which brought {pulls}{more}"
        if self.rivals:
            told += (
                f"; {self.rivals} other {'thing' if self.rivals == 1 else 'things'} came in the same window"
            )
        return told

    @property
    def standing(self) -> str:
        """better, worse or unclear, as its interval says."""
        if self.interval is None:
            return "unclear"
        gains = sorted(self.direction.gain(0.0, end) for end in self.interval)
        return "better" if gains[0] > 0 else "worse" if gains[1] < 0 else "unclear"


def business_metrics(found: Iterable[MeasuredShift]) -> dict[str, dict[str, Any]]:
    """The business metrics of an epic, each measured, derived or not measured; and every shift that was measured."""
    shifts = sorted(found, key=lambda one: (one.at, one.series))
    told: dict[str, dict[str, Any]] = {name: _metric(name, shifts) for name in METRICS}
    told["measured_shifts"] = _all(shifts)
    return told


def _metric(name: str, shifts: Sequence[MeasuredShift]) -> dict[str, Any]:
    mine = [one for one in shifts if one.metric == name]
    if not mine:
        return _not_measured("no KPI is tied to this epic")
    clear = [one for one in mine if one.standing != "unclear"]
    if not clear:
        return _not_measured(
            f"{mine[-1].title} moved, but the interval of its difference includes none at all"
        )
    last = clear[-1]
    told: dict[str, Any] = {
        "value": last.direction.gain(0.0, last.difference), "unit": last.unit, "relative": last.relative,
        "text": _in_words(last), "kind": "measured", "basis": f"measured: {last.series}; {last.wording_in_words}",
        "kpi": last.kpi, "achievement": last.achievement,
    }  # fmt: skip
    if name in _MONEY and last.worth is not None:
        told |= {
            "value": last.worth.amount, "unit": last.worth.unit, "kind": "derived", "formula": last.worth.formula,
            "inputs": [list(one) for one in last.worth.inputs], "basis": f"derived: {last.worth.in_words}; {told['basis']}",
            "text": f"{quantity(last.worth.amount, last.worth.unit)} ({told['text']})",
        }  # fmt: skip
    elif name in _MONEY and not is_money(last.unit):
        return _not_measured(f"{last.title} moved, and nobody said what it is worth in money")
    if len(mine) > 1:
        told["others"] = [_in_words(one) for one in mine if one is not last]
    return told


def _all(shifts: Sequence[MeasuredShift]) -> dict[str, Any]:
    if not shifts:
        return _not_measured("no shift of a KPI coincided with its deployments")
    return {
        "value": len(shifts),
        "text": "; ".join(f"{_in_words(one)}; {one.wording_in_words}" for one in shifts),
        "basis": "measured",
        "shifts": [
            {
                "kpi": one.kpi, "series": one.series, "title": one.title, "standing": one.standing, "at": one.at,
                "before": one.before, "after": one.after, "difference": one.difference,
                "interval": list(one.interval) if one.interval else None, "relative": one.relative, "unit": one.unit,
                "n": list(one.n), "method": one.method, "wording": one.wording, "told": one.text,
                "through": list(one.through), "pull_requests": list(one.pulls), "rivals": one.rivals,
                "achievement": one.achievement,
            }
            for one in shifts
        ],
    }  # fmt: skip


def _in_words(one: MeasuredShift) -> str:
    told = f"{one.title} {change(one.before, one.after, one.unit)}"
    if one.relative is not None:
        told += f", {share(one.relative)} {'higher' if one.difference > 0 else 'lower'}"
    told += f", n={one.n[0]} and {one.n[1]}"
    if one.standing != "better":
        told += f", {'worse' if one.standing == 'worse' else 'not clearly better'}"
    return told


def _not_measured(reason: str) -> dict[str, Any]:
    return {"value": None, "basis": f"not measured: {reason}"}
