"""Dynamic thresholds: what is usual comes from the KPI's own history, and too little history says so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.derive.series import DAY, HOUR
from achievement_collector.derive.thresholds import (
    ENOUGH_TO_COUNT,
    FEWEST,
    DynamicThreshold,
    Standing,
    ThresholdState,
    dynamic_threshold,
)
from achievement_collector.facts.kpis import Direction, Sample

MONDAY = 4 * DAY  # 5 January 1970


def days(values: list[float], step: int = DAY) -> list[Sample]:
    return [Sample(MONDAY + index * step, value) for index, value in enumerate(values)]


def noise(n: int, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [100 + draw.gauss(0, 10) for _ in range(n)]


def usual(values: list[float], step: int = DAY, direction: Direction = Direction.HIGHER) -> DynamicThreshold:
    return dynamic_threshold(days(values, step), direction)


def ends(told: DynamicThreshold) -> tuple[float, float]:
    assert told.usual is not None
    return told.usual


def test_too_little_history_is_no_range_and_says_how_much_is_needed() -> None:
    told = usual(noise(FEWEST - 1))
    assert (told.state, told.usual, told.good, told.median) == (ThresholdState.NOT_ENOUGH, None, None, None)
    assert (told.n, told.told) == (FEWEST - 1, "19 samples in 90 days, 20 are needed")
    assert told.standing(Sample(MONDAY, 1e9)) is Standing.UNKNOWN
    assert dynamic_threshold([], Direction.LOWER).n == 0


def test_a_value_beyond_the_range_is_good_or_bad_by_the_direction() -> None:
    higher, lower = usual(noise(60)), usual(noise(60), direction=Direction.LOWER)
    after = MONDAY + 60 * DAY
    assert higher.standing(Sample(after, 100)) is Standing.USUAL
    assert higher.standing(Sample(after, 300)) is Standing.BETTER
    assert higher.standing(Sample(after, -300)) is Standing.WORSE
    assert lower.standing(Sample(after, 300)) is Standing.WORSE
    assert lower.standing(Sample(after, -300)) is Standing.BETTER
    assert (lower.good, higher.good) == higher.usual
    assert higher.standing(Sample(after, ends(higher)[1])) is Standing.USUAL


def test_the_range_is_the_median_and_deviations_of_each_side() -> None:
    # distances below the median 5: 0 to 5, above: 0 to 5 times 10
    told = usual([0, 1, 2, 3, 4, 5, 15, 25, 35, 45, 55] * 2)
    assert told.median == 5
    assert ends(told) == pytest.approx((5 - 3.5 * 1.4826 * 2.5, 5 + 3.5 * 1.4826 * 25))


def test_outliers_do_not_widen_the_range() -> None:
    values = noise(60)
    spiked = [1e6 if index in (10, 40) else value for index, value in enumerate(values)]
    assert ends(usual(spiked))[1] < ends(usual(values))[1] + 10


def test_with_enough_values_the_ends_are_order_statistics() -> None:
    values = [float(value) for value in range(ENOUGH_TO_COUNT)]
    random.Random(3).shuffle(values)
    told = usual(values, HOUR)
    assert told.usual == (0, ENOUGH_TO_COUNT - 1)
    assert told.told.startswith("order statistics: 1.0% of such values")


def test_new_values_of_the_same_kind_are_seldom_unusual() -> None:
    beyond = {60: 0, 400: 0}
    for seed in range(60):
        for n in beyond:
            values = noise(n + 20, seed)
            told = usual(values[:n], HOUR)
            beyond[n] += sum(
                told.standing(Sample(MONDAY + n * HOUR, value)) is not Standing.USUAL for value in values[n:]
            )
    assert beyond[60] < 24  # of 1200
    assert 1 <= beyond[400] < 30


def test_a_constant_history_makes_every_other_value_unusual() -> None:
    told = usual([7.0] * 30, direction=Direction.LOWER)
    assert (told.state, told.usual, told.told) == (ThresholdState.CONSTANT, (7, 7), "all 30 samples are 7")
    assert told.standing(Sample(MONDAY + 31 * DAY, 7.1)) is Standing.WORSE


def test_a_nearly_constant_history_has_a_range_of_its_mean_deviation() -> None:
    assert ends(usual([0.0] * 27 + [1.0, 2.0, 3.0])) == pytest.approx((0, 3.5 * 1.2533 * 6 / 30))


def test_only_the_window_before_the_newest_sample_counts() -> None:
    told = dynamic_threshold(days([1000.0] * 100 + noise(60)), Direction.HIGHER, window=60 * DAY)
    assert (told.n, told.first_at) == (60, MONDAY + 100 * DAY)
    assert ends(told)[1] < 200


def test_weekdays_have_their_own_ranges_where_they_differ_and_there_are_eight_weeks() -> None:
    values = [value - 60 * (index % 7 >= 5) for index, value in enumerate(noise(70))]
    told = usual(values)
    saturday, monday = MONDAY + 75 * DAY, MONDAY + 70 * DAY
    assert told.standing(Sample(saturday, 100)) is Standing.BETTER
    assert told.standing(Sample(monday, 100)) is Standing.USUAL
    assert told.standing(Sample(monday, 40)) is Standing.WORSE
    assert told.median == pytest.approx(40, abs=6)  # the newest sample is a Sunday's
    assert not usual(values[:49]).by_weekday
    assert not usual(noise(70)).by_weekday


@given(st.lists(st.floats(-1e12, 1e12), min_size=FEWEST, max_size=80))
def test_the_median_is_always_inside_the_range(values: list[float]) -> None:
    told = usual(values)
    assert told.median is not None
    assert ends(told)[0] <= told.median <= ends(told)[1]
