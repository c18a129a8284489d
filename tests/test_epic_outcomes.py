"""The business metrics of an epic: what they measure is what their name says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from achievement_collector.derive.attribution import Attribution
from achievement_collector.derive.epic_outcomes import MeasuredShift, Worth, business_metrics
from achievement_collector.derive.kpis import KpiShift, conclude_shift
from achievement_collector.facts.kpis import Direction, Kpi
from achievement_collector.services.outcomes import _worth


def faster(
    metric: str, *, unit: str = "s", worth: Worth | None = None, before: float = 0.6, after: float = 0.4
) -> MeasuredShift:
    gap = after - before
    return MeasuredShift(
        "a", "latency", "latency", "Latency", metric, unit, Direction.LOWER, 0, before, after, gap,
        (gap - 0.01, gap + 0.01), gap / before, (10, 10), "m", "coincided with", "t", ("the deployment of 1.1",), ("p#1",), 0, worth,
    )  # fmt: skip


MONEY = Worth(
    20.0, "$", "the difference x what one unit is worth", (("before", "600 ms"), ("after", "400 ms"))
)


def told(*shifts: MeasuredShift) -> dict[str, Any]:
    return business_metrics(shifts)


@pytest.mark.parametrize("metric", ["cost_savings", "revenue_impact"])
def test_a_metric_of_money_is_money_with_its_formula_or_not_measured(metric: str) -> None:
    derived = told(faster(metric, worth=MONEY))[metric]
    assert (derived["value"], derived["unit"], derived["kind"]) == (20.0, "$", "derived")
    assert derived["formula"] == MONEY.formula
    assert derived["inputs"] == [["before", "600 ms"], ["after", "400 ms"]]
    assert derived["basis"].startswith(
        "derived: the difference x what one unit is worth; before 600 ms; after 400 ms; measured"
    )
    assert derived["text"].startswith("$20 (Latency 600 ms → 400 ms, 33 % lower")
    silent = told(faster(metric))[metric]
    assert silent["value"] is None
    assert "nobody said what it is worth" in silent["basis"]
    spent = told(faster(metric, unit="$", before=600.0, after=400.0))[metric]
    assert (spent["value"], spent["unit"], spent["kind"]) == (200.0, "$", "measured")
    daily = told(faster(metric, unit="$ a day", before=600.0, after=400.0))[metric]
    assert (daily["value"], daily["unit"]) == (200.0, "$ a day")


def test_what_got_worse_costs() -> None:
    worth = Worth(-20.0, "$", "f")
    worse = told(faster("cost_savings", worth=worth, before=0.4, after=0.6))["cost_savings"]
    assert worse["value"] == -20.0
    assert worse["text"].startswith("-$20 (")
    assert "worse" in worse["text"]


def test_another_metric_has_the_unit_that_was_measured() -> None:
    one = told(faster("user_satisfaction_increase", worth=MONEY))["user_satisfaction_increase"]
    assert (one["value"], one["unit"], one["kind"]) == (pytest.approx(0.2), "s", "measured")
    assert "$" not in one["text"]


def test_what_a_shift_is_worth_reaches_its_epic_as_a_number() -> None:
    kpi = Kpi("posts", "q", "Posts", Direction.HIGHER, 1.0, "count", 5.0, is_counter=True)
    shift = KpiShift("posts", 0, 0, 0, 120.0, 240.0, 50, 50, 120.0, 110.0, 130.0, 1.0, 0.001, "m", 3_600_000)
    detail = json.loads(conclude_shift(shift, kpi, Attribution(0, 0)).detail)
    assert detail["value"]["text"] == "$600 a day: Posts 120 → 240 a day, at $5 per unit"
    worth = _worth(detail["value"])
    assert worth is not None
    assert (worth.amount, worth.unit) == (600.0, "$ a day")
    assert ("worth of one unit", "$5, as the configuration states") in worth.inputs
    assert _worth({"kind": "measured", "text": "t"}) is None
