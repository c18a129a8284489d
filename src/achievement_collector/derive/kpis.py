"""Milestones and shifts of key performance indicators as achievements (docs/kpis.md).

A milestone is a target that was reached; a shift is a lasting change of a series (derive.shifts). Neither says who or what
brought it about: what else happened at the time is told beside it, in the words of derive.attribution.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from achievement_collector.derive.achievements import LONGEST_TITLE, Conclusion, listed_part, storable_text
from achievement_collector.derive.attribution import Attribution
from achievement_collector.derive.conclusions import (
    AchievementKind,
    Category,
    CategoryCall,
    Evidence,
    Role,
    ScorePart,
)
from achievement_collector.derive.quantities import (
    SECONDS,
    change,
    counted_a_day,
    difference,
    per_day,
    quantity,
    share,
)
from achievement_collector.derive.scores import raw_total
from achievement_collector.facts.kpis import Direction, Kpi, Sample

LEAST_GAIN = 0.10
"""By which part of the value before a value must be better to be a milestone."""

_MOST_TOLD = 1e15  # gains and sums of money beyond it are no statements about anything
_MOST_RIVALS = 20  # named in the evidence of a shift
_REACHED, _GAIN, _GAIN_HALF = 40.0, 40.0, 0.5
_SHIFTED, _CLEAR, _CLEAR_HALF = 50.0, 20.0, 30.0


class Judged(NamedTuple):
    """Whether a value is a milestone, and why or why not, in words."""

    is_milestone: bool
    why: str


@dataclass(frozen=True, slots=True)
class Milestone:
    """A target that was reached, as it was then. ``previous`` is the value recorded last before it, None where there was
    none; ``origin`` is ``scrape`` or ``stated`` (by a person or a program, ``told_by``), and so is ``previous_origin``, empty
    where it is not known to be another."""

    kpi: str
    series: str
    title: str
    unit: str
    direction: Direction
    at: int
    value: float
    target: float
    previous: Sample | None = None
    origin: str = "scrape"
    told_by: str = ""
    money_per_unit: float | None = None
    currency: str = "$"
    query: str = ""
    previous_origin: str = ""

    @property
    def key(self) -> str:
        return f"{self.series}@{self.at}"

    @property
    def full_title(self) -> str:
        """The title with the labels that tell the series from others."""
        return titled(self.title, self.kpi, self.series)

    @property
    def is_mixed(self) -> bool:
        """Whether a stated value is compared with a measured one."""
        return bool(self.previous_origin) and self.previous_origin != self.origin

    @property
    def gain(self) -> float | None:
        """The part of the previous value by which it is better; None where there is none, it was 0, or the part is beyond
        what can be told."""
        if self.previous is None or not self.previous.value:
            return None
        found = self.direction.gain(self.previous.value, self.value) / abs(self.previous.value)
        return found if abs(found) <= _MOST_TOLD else None


def titled(title: str, kpi: str, series: str) -> str:
    """The title of a KPI with the labels of a series of it, where it has any: ``Latency (job="api")``."""
    labels = series.removeprefix(kpi).strip("{}")
    return f"{title} ({labels})" if labels else title


def judge_milestone(
    direction: Direction,
    value: float,
    target: float,
    previous: float | None,
    best: float | None,
    *,
    needs_previous: bool = True,
) -> Judged:
    """The documented rule: the target is reached, and the value is at least 10 % better than the one recorded last, in the
    right direction. It must also be that much better than ``best``, the best value that was a milestone before: what falls
    back and returns is no news. ``needs_previous`` is False for values that somebody states: the first of them may be one.
    """
    if not direction.reaches(value, target):
        return Judged(False, f"{value:g} does not reach the target {target:g}")
    if previous is None:
        if needs_previous:
            return Judged(
                False, "it is the first value that is recorded, there is nothing to compare it with"
            )
    elif not _is_better(direction, previous, value):
        return Judged(
            False, f"{value:g} is not {LEAST_GAIN:.0%} better than {previous:g}, the value recorded last"
        )
    if best is not None and not _is_better(direction, best, value):
        return Judged(False, f"{value:g} is not {LEAST_GAIN:.0%} better than the milestone at {best:g}")
    return Judged(True, "the target is reached")


def _is_better(direction: Direction, before: float, after: float) -> bool:
    gain = direction.gain(before, after)
    # 0.1 and what it is multiplied with are no exact binary fractions: a thousandth of a millionth is forgiven
    return gain > 0 and gain >= LEAST_GAIN * abs(before) * (1 - 1e-9)


def conclude_milestone(one: Milestone) -> Conclusion:
    """The achievement that a milestone is."""
    title, now, target = one.full_title, quantity(one.value, one.unit), quantity(one.target, one.unit)
    limit = "at least" if one.direction is Direction.HIGHER else "at most"
    if one.previous is None:
        before = "No earlier value was recorded."
    else:
        then = quantity(one.previous.value, one.unit)
        better = f": {_better(one.gain, one.direction)}" if one.gain is not None else ""
        measured = ", as Prometheus measured it" if one.is_mixed else ""
        before = f"The value recorded before it, on {_day(one.previous.at)}, was {then}{measured}{better}."
    stated = f", as stated by {one.told_by or 'a program'}" if one.origin == "stated" else ""
    parts = [ScorePart("target", _REACHED, f"{now}, the target is {limit} {target}")]
    if one.gain is not None and one.gain > 0:
        fact = f"{_better(one.gain, one.direction)} than the value recorded before it"
        parts.append(ScorePart("gain", _GAIN * one.gain / (one.gain + _GAIN_HALF), fact))
    evidence = [
        Evidence("kpi", one.series, "the value", now, "", source=_source(one.origin)),
        Evidence("target", one.series, limit, target, "", source="configuration"),
    ]
    if one.previous is not None:
        evidence.append(
            Evidence("kpi", one.series, f"the value on {_day(one.previous.at)}", quantity(one.previous.value, one.unit),
                     "", source=_source(one.previous_origin or one.origin))
        )  # fmt: skip
    if one.query:
        evidence.append(
            Evidence("query", one.query[:500], "what Prometheus was asked", source="configuration")
        )
    detail = _detail(parts, one.unit, evidence, "a target was reached")
    detail["kpi"] = {
        "name": one.kpi, "series": one.series, "value": one.value, "target": one.target, "unit": one.unit,
        "direction": one.direction.value, "at": one.at, "origin": one.origin,
        "previous": one.previous.value if one.previous else None, "previous_at": one.previous.at if one.previous else None,
        "improvement": one.gain,
    }  # fmt: skip
    detail["value"] = _milestone_value(one)
    return _conclusion(
        f"kpi/{one.key}", f"{title} reached {now}, the target was {target}",
        f"{title} was {now} on {_day(one.at)}{stated}; the target is {limit} {target}. {before}",
        one.at, parts, detail, one.unit, (),
    )  # fmt: skip


def _milestone_value(one: Milestone) -> dict[str, Any]:
    if one.previous is None:
        told = f"{one.full_title} {quantity(one.value, one.unit)}; nothing was recorded before"
        return {
            "kind": "measured" if one.origin == "scrape" else "stated",
            "text": told,
            "source": _source(one.origin),
        }
    gain = one.direction.gain(one.previous.value, one.value)
    source = "stated, compared with prometheus" if one.is_mixed else _source(one.origin)
    return _worth(
        one.full_title, one.unit, one.previous.value, one.value, gain, one.money_per_unit, one.currency, source,
        is_stated=one.origin == "stated",
    )  # fmt: skip


def _worth(
    title: str, unit: str, before: float, after: float, gain: float, money_per_unit: float | None, currency: str, source: str,
    *, is_stated: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """A business value: derived where somebody said what a unit is worth, else measured (or stated, with its values)."""
    told = f"{title} {change(before, after, unit)}"
    if money_per_unit is None or not abs(gain * money_per_unit) <= _MOST_TOLD:
        return {"kind": "stated" if is_stated else "measured", "text": told, "source": source}
    counted = counted_a_day(unit)
    one = (unit if counted is None else counted) or "unit"
    money = currency if counted is None else per_day(currency)
    return {
        "kind": "derived",
        "amount": gain * money_per_unit,
        "unit": money,
        "text": f"{quantity(gain * money_per_unit, money)}: {told}, at {quantity(money_per_unit, currency)} per {one}",
        "formula": "the difference x what one unit is worth",
        "inputs": [
            ["before", quantity(before, unit)],
            ["after, as stated" if is_stated else "after", quantity(after, unit)],
            [f"worth of one {one}", f"{quantity(money_per_unit, currency)}, as the configuration states"],
        ],
        "source": source,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class KpiShift:
    """A lasting change of a series, as it was found. ``earliest`` and ``latest`` enclose when it began; ``before`` and
    ``after`` are the medians of its two sides with their numbers of samples; ``difference`` in the unit of the series with the
    ends ``low`` and ``high`` of its 95 % interval, None where there are too few samples for one; ``relative`` the difference
    as a part of the median before, None where that is 0."""

    series: str
    at: int
    earliest: int
    latest: int
    before: float
    after: float
    n_before: int
    n_after: int
    difference: float
    low: float | None
    high: float | None
    relative: float | None
    p_value: float
    method: str
    step: int  # milliseconds between two samples

    def is_same(self, other: KpiShift) -> bool:
        """Whether two findings are of one shift: in one direction, in places that overlap or are closer than two shifts are."""
        if (self.difference > 0) != (other.difference > 0):
            return False
        is_near = abs(self.at - other.at) < _no_two_closer(self.step)
        return is_near or (other.earliest <= self.latest and self.earliest <= other.latest)

    def standing(self, direction: Direction) -> str:
        """better or worse; unclear where the interval of the difference is not known, or not all on one side of 0."""
        if self.low is None or self.high is None:
            return "unclear"
        gains = sorted(direction.gain(0.0, end) for end in (self.low, self.high))
        return "better" if gains[0] > 0 else "worse" if gains[1] < 0 else "unclear"


def compared_unit(kpi: Kpi) -> str:
    """The unit of the values in which shifts are looked for: of a counter they are its increase a day."""
    return per_day(kpi.unit) if kpi.is_counter else kpi.unit


def _no_two_closer(step: int) -> int:
    """Milliseconds that lie between two lasting shifts at least: as long as a level lasts."""
    from achievement_collector.derive.shifts import MINIMUM_DURATION, MINIMUM_SEGMENT

    return max(MINIMUM_SEGMENT * step, MINIMUM_DURATION)


def shift_in_words(one: KpiShift, kpi: Kpi) -> str:
    """``620 ms → 410 ms, 34 % lower (n=340 and 120)``."""
    told = change(one.before, one.after, compared_unit(kpi))
    if one.relative is not None:
        told += f", {share(one.relative)} {'higher' if one.difference > 0 else 'lower'}"
    return f"{told} (n={one.n_before} and {one.n_after})"


def conclude_shift(
    one: KpiShift, kpi: Kpi, attribution: Attribution, credited: Sequence[tuple[int, int]] = ()
) -> Conclusion:
    """The achievement that a lasting shift for the better is; one for the worse is left out. ``credited`` are (signature
    id, commits) of those whose changes were the only ones that came at the time: the words go with the credit."""
    unit = compared_unit(kpi)
    title = titled(kpi.title or kpi.name, kpi.name, one.series)
    verb = "rose" if one.difference > 0 else "fell"
    by = f" {share(one.relative)}" if one.relative is not None else ""
    told = shift_in_words(one, kpi)
    interval = _interval(one, unit)
    standing = one.standing(kpi.direction)
    left_out = {"worse": "it got worse", "unclear": "whether it got better is not clear"}.get(standing, "")
    parts = [ScorePart("shift", _size_points(one), told)]
    parts.append(
        ScorePart(
            "clear", _CLEAR * one.n_after / (one.n_after + _CLEAR_HALF), f"held for {one.n_after} samples"
        )
    )
    evidence = [
        Evidence("kpi", one.series, "before", quantity(one.before, unit), f"median of {one.n_before}", source="prometheus"),
        Evidence("kpi", one.series, "after", quantity(one.after, unit), f"median of {one.n_after}", source="prometheus"),
        Evidence("method", one.method, f"p = {one.p_value:.2g}; {interval}", source="derived"),
        *(Evidence(rival.kind, rival.key, attribution.label(rival), url=rival.url, source=rival.source)
          for rival in attribution.rivals[:_MOST_RIVALS]),
    ]  # fmt: skip
    beyond = len(attribution.rivals) - _MOST_RIVALS + attribution.more
    if beyond > 0:
        evidence.append(
            Evidence("rivals", "", f"{beyond:,} more coincided with it, not listed here", source="derived")
        )
    if kpi.query:
        evidence.append(
            Evidence("query", kpi.query[:500], "what Prometheus was asked", source="configuration")
        )
    detail = _detail(parts, kpi.unit, evidence, "a measured series shifted for good")
    detail["kpi"] = {
        "name": kpi.name, "title": title, "series": one.series, "at": one.at, "before": one.before, "after": one.after,
        "difference": one.difference, "interval": [one.low, one.high], "relative": one.relative,
        "n": [one.n_before, one.n_after], "p_value": one.p_value, "method": one.method, "unit": unit,
        "direction": kpi.direction.value, "window": [attribution.since, attribution.until],
        "attribution": attribution.as_data(),
    }  # fmt: skip
    detail["gathers"] = []
    gain = kpi.direction.gain(one.before, one.after)
    detail["value"] = _worth(
        title, unit, one.before, one.after, gain, kpi.money_per_unit, kpi.currency, "Prometheus"
    )
    description = (
        f"{title}: {told}, {interval}. It began between {_minute(one.earliest)} and {_minute(one.latest)} UTC. "
        f"{attribution.words}"
    )
    return _conclusion(
        f"shift/{one.series}@{one.at}", f"{title} {verb}{by}: {change(one.before, one.after, unit)}",
        description, one.at, parts, detail, kpi.unit, credited, left_out,
    )  # fmt: skip


def _interval(one: KpiShift, unit: str) -> str:
    if one.low is None or one.high is None:
        return "too few samples for an interval of the difference"
    return f"95 % interval of the difference {difference(one.low, unit)} to {difference(one.high, unit)}"


def _size_points(one: KpiShift) -> float:
    size = abs(one.relative) if one.relative is not None else 1.0
    return _SHIFTED * size / (size + 0.25)


def _detail(
    parts: Sequence[ScorePart], unit: str, evidence: Sequence[Evidence], reason: str
) -> dict[str, Any]:
    call = _category(unit)
    return {
        "impact": [listed_part(part) for part in parts],
        "complexity": [listed_part(ScorePart("work", 0.0, "not measured: a KPI does not tell how much work it took"))],
        "confidence": call.confidence,
        "labels": [label.value for label in call.labels],
        "basis": call.basis,
        "reason": reason,
        "evidence": [list(one) for one in evidence],
    }  # fmt: skip


def _conclusion(
    key: str, title: str, description: str, at: int, parts: Sequence[ScorePart], detail: Mapping[str, Any], unit: str,
    credited: Sequence[tuple[int, int]], left_out: str = "",
) -> Conclusion:  # fmt: skip
    return Conclusion(
        storable_text(key), AchievementKind.KPI.value, storable_text(title)[:LONGEST_TITLE], storable_text(description)[:4000],
        _category(unit).category.value, 0, at // 1000, 0, not left_out, False, left_out, round(raw_total(parts), 3), None, "", "",
        storable_text(json.dumps(detail, ensure_ascii=False, separators=(",", ":"))), (),
        tuple((who, Role.SHIPPED.value, commits) for who, commits in credited),
    )  # fmt: skip


def _category(unit: str) -> CategoryCall:
    """Times are performance; of anything else a KPI does not say what kind of work moved it."""
    if unit in SECONDS:
        return CategoryCall(Category.PERFORMANCE, 0.9, (Category.PERFORMANCE,), "a time was measured")
    told = "a KPI does not tell what kind of work moved it"
    return CategoryCall(Category.UNSURE, 0.0, (Category.UNSURE,), told)


def _better(gain: float | None, direction: Direction) -> str:
    return f"{share(gain or 0.0)} {'higher' if direction is Direction.HIGHER else 'lower'}"


def _source(origin: str) -> str:
    return "prometheus" if origin == "scrape" else "stated"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _minute(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
