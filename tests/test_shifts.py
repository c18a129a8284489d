"""Shifts of a KPI: what is said of one is true of the samples, and noise, drift and rhythm are no shifts."""

from __future__ import annotations

import itertools
import math
import random
from statistics import median

import pytest
from benchmarks.shifts import NOISES, persistent, white, wilson
from hypothesis import given, settings
from hypothesis import strategies as st

from achievement_collector.derive.divisive import divergences, likely_edges
from achievement_collector.derive.series import DAY, HOUR, WEEK, daily, points, rates, without_resets
from achievement_collector.derive.shifts import MOST, Found, State, Verdict, find_shifts
from achievement_collector.facts.kpis import Direction, Sample

MONDAY = 4 * DAY


def days(values: list[float], step: int = DAY) -> list[Sample]:
    return [Sample(MONDAY + index * step, 100 + 20 * value) for index, value in enumerate(values)]


def stepped(n: int, places: dict[int, float], seed: int = 1) -> list[float]:
    return [
        value + sum(size for place, size in places.items() if index >= place)
        for index, value in enumerate(white(random.Random(seed), n))
    ]


def brute_force(values: list[float], place: int) -> float:
    """Matteson and James, written down as in the paper."""
    left, right = values[:place], values[place:]
    n, m = len(left), len(right)
    across = sum(abs(a - b) for a in left for b in right) * 2 / (n * m)
    within = [
        sum(abs(a - b) for a, b in itertools.combinations(side, 2)) / math.comb(len(side), 2)
        for side in (left, right)
    ]
    return n * m / (n + m) * (across - sum(within))


# ---- the statistic


def test_the_divergence_of_two_levels_is_what_the_paper_gives_by_hand() -> None:
    # between 0 0 and 1 1: E = 2 * 1 - 0 - 0, times 2 * 2 / 4
    assert divergences([0, 0, 1, 1], 2) == [2.0]


@given(st.lists(st.integers(-50, 50), min_size=4, max_size=24), st.integers(2, 5))
def test_the_divergence_of_every_place_is_that_of_all_pairs(values: list[int], minimum: int) -> None:
    numbers = [float(value) for value in values]
    expected = [brute_force(numbers, place) for place in range(minimum, len(values) - minimum + 1)]
    assert divergences(numbers, minimum) == pytest.approx(expected, abs=1e-9)


def test_the_likeliest_edges_are_the_largest_steps() -> None:
    assert likely_edges(stepped(90, {30: 6, 60: -6}), 3, 7) == [0, 30, 60, 90]


# ---- what is found


def test_a_step_is_told_with_its_place_size_and_both_sides() -> None:
    samples = days(stepped(60, {30: -2}))
    found = find_shifts(samples)
    assert (found.state, found.n, found.used, len(found.shifts)) == (State.FOUND, 60, 60, 1)
    shift = found.shifts[0]
    assert abs(shift.index - 30) <= 2
    assert shift.at == samples[shift.index].at
    assert shift.interval[0] < samples[30].at <= shift.interval[1]
    before, after = samples[: shift.index], samples[shift.index :]
    assert (shift.before.n, shift.before.first_at, shift.before.last_at) == (
        len(before),
        before[0].at,
        before[-1].at,
    )
    assert shift.after.median == median(value for _, value in after)
    assert shift.difference == median(b.value - a.value for a in before for b in after)
    assert shift.difference_interval is not None
    assert shift.difference_interval[0] < shift.difference < shift.difference_interval[1]
    assert shift.difference_interval[0] < -40 < shift.difference_interval[1]
    assert shift.relative == shift.difference / shift.before.median
    assert -1 <= shift.cliffs_delta < -0.6
    assert 0 < shift.p_value <= 0.01
    assert shift.verdict(Direction.LOWER) is Verdict.IMPROVED
    assert shift.verdict(Direction.HIGHER) is Verdict.WORSENED


def test_several_levels_are_found_in_the_order_of_time() -> None:
    found = find_shifts(days(stepped(240, {60: 3, 120: -4, 180: 3})))
    assert [round(shift.index / 60) for shift in found.shifts] == [1, 2, 3]
    for earlier, later in itertools.pairwise(found.shifts):
        assert earlier.after == later.before


def test_there_and_back_again_are_two_shifts() -> None:
    found = find_shifts(days(stepped(90, {30: 2.5, 60: -2.5})))
    assert [round(shift.index / 10) for shift in found.shifts] == [3, 6]


def test_the_same_samples_give_the_same_answer() -> None:
    samples = days(stepped(60, {30: 1.2}, seed=4))
    assert find_shifts(samples) == find_shifts(list(samples))


def test_a_series_without_noise_is_exact() -> None:
    samples = [Sample(index * DAY, float(index >= 20)) for index in range(60)]
    shift = find_shifts(samples).shifts[0]
    assert (shift.index, shift.difference, shift.difference_interval) == (20, 1.0, (1.0, 1.0))
    assert shift.interval == (18 * DAY, 21 * DAY)
    assert shift.relative is None  # the level before is 0
    assert shift.cliffs_delta == 1


def test_counts_with_many_ties_shift() -> None:
    draw = random.Random(2)
    counts = [sum(draw.random() < (0.05 if day < 45 else 0.25) for _ in range(20)) for day in range(90)]
    found = find_shifts([Sample(day * DAY, float(count)) for day, count in enumerate(counts)])
    assert [round(shift.index / 15) for shift in found.shifts] == [3]


def test_a_change_in_a_gap_lies_between_its_ends() -> None:
    samples = [sample for sample in days(stepped(90, {45: 3})) if not 40 <= (sample.at - MONDAY) // DAY < 55]
    shift = find_shifts(samples).shifts[0]
    assert shift.at == MONDAY + 55 * DAY
    assert shift.interval[0] <= MONDAY + 39 * DAY
    assert shift.interval[1] >= MONDAY + 55 * DAY


def test_thousands_of_samples_become_medians_of_bins_and_the_answer_says_so() -> None:
    found = find_shifts(days(stepped(2160, {1000: 1.5}), HOUR))
    assert found.n == 2160
    assert found.used <= MOST
    assert "2160 samples as 540 medians of 4 hours" in found.told
    shift = found.shifts[0]
    assert shift.interval[0] < MONDAY + 1000 * HOUR <= shift.interval[1]
    assert shift.before.n + shift.after.n == 2160


# ---- what is not found


def test_too_few_samples_are_no_answer_but_how_many_are_needed() -> None:
    found = find_shifts(days(stepped(20, {10: 9})))
    assert (found.state, found.needed, found.persistence) == (State.NOT_ENOUGH, 21, None)
    assert find_shifts([]).state is State.NOT_ENOUGH
    hourly = find_shifts(days(stepped(60, {30: 9}), HOUR))
    assert hourly.told == "60 samples; 72 are needed (3 days)"
    assert find_shifts(days(stepped(60, {30: 9}), HOUR), minimum_duration=0).state is State.FOUND


def test_of_a_few_samples_nobody_knows_how_far_apart_they_lie() -> None:
    for samples in ([], [Sample(0, 1.0)], [Sample(0, 1.0), Sample(5, 2.0)]):
        found = find_shifts(samples)
        assert found.told == f"{len(samples)} samples; 21 are needed over at least 3 days"
        assert found.needed == 21
    close = find_shifts([Sample(at, 1.0) for at in range(15)])
    assert close.told == "15 samples; 21 are needed over at least 3 days"


def test_a_constant_series_is_constant() -> None:
    assert (
        find_shifts([Sample(index, 5.0) for index in range(30)], minimum_duration=0).state is State.CONSTANT
    )


def test_a_spike_is_no_shift_and_hides_none() -> None:
    spiked = stepped(90, {})
    spiked[40:43] = [80.0, 90.0, 70.0]
    assert find_shifts(days(spiked)).state is State.NONE
    both = stepped(90, {45: 2.5})
    both[20] = 100.0
    assert [round(shift.index / 15) for shift in find_shifts(days(both)).shifts] == [3]


def test_an_excursion_shorter_than_the_minimum_is_no_shift() -> None:
    values = stepped(60, {})
    values[30:35] = [value + 6 for value in values[30:35]]
    assert find_shifts(days(values)).state is not State.FOUND


def test_a_random_walk_wanders() -> None:
    states = [find_shifts(days(NOISES["random walk"](random.Random(seed), 180))).state for seed in range(20)]
    assert states.count(State.WANDERS) >= 18


def test_a_steady_rise_drifts() -> None:
    found = find_shifts(days([index / 60 + value for index, value in enumerate(stepped(180, {}))]))
    assert found.state is State.WANDERS
    assert "straight line" in found.told


def test_a_change_of_the_spread_alone_is_no_shift() -> None:
    draw = random.Random(7)
    found = [
        find_shifts(days([draw.gauss(0, 1 if day < 45 else 4) for day in range(90)])).state for _ in range(20)
    ]
    assert found.count(State.FOUND) <= 2


def test_weekends_are_no_shifts_and_hide_none() -> None:
    assert find_shifts(days(NOISES["rhythms"](random.Random(1), 90))).state is State.NONE
    rhythm = [value + 2 * (day >= 45) for day, value in enumerate(NOISES["rhythms"](random.Random(2), 90))]
    found = find_shifts(days(rhythm))
    assert "its weekly rhythm is taken out" in found.told
    assert [round(shift.index / 15) for shift in found.shifts] == [3]


def test_a_daily_rhythm_in_hourly_samples_is_no_shift() -> None:
    found = find_shifts(days(NOISES["rhythms"](random.Random(1), 720), HOUR))
    assert "its daily rhythm is taken out" in found.told
    assert found.state is State.NONE


def test_in_less_than_three_weeks_a_weekend_explains_what_looks_like_a_shift() -> None:
    draw = random.Random(5)
    values = [draw.gauss(0, 1) - 3 * (hour // 24 % 7 >= 5) for hour in range(240)]
    found = find_shifts(days(values, HOUR))
    assert found.state is State.WANDERS
    assert "weekends" in found.told


def test_a_shift_below_the_practical_minimum_is_left_out() -> None:
    samples = [Sample(at, 1000 + value / 10) for at, value in days(stepped(60, {30: 2.5}))]
    found = find_shifts(samples)
    assert found.state is State.NONE
    assert "1 below 5% of the level left out" in found.told
    assert len(find_shifts(samples, minimum_relative=0.001).shifts) == 1


@pytest.mark.parametrize("noise", ["white", "heavy tails (t3)", "AR(1) 0.3", "AR(1) 0.6"])
def test_stationary_noise_seldom_gives_a_shift(noise: str) -> None:
    draw = random.Random(f"test {noise}")
    hits = sum(find_shifts(days(NOISES[noise](draw, 90))).state is State.FOUND for _ in range(100))
    assert wilson(hits, 100)[0] <= 0.05


def test_without_regard_to_dependence_persistent_noise_would_be_full_of_shifts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the whitening is there for: the same search, told that nothing depends on anything."""
    from achievement_collector.derive import divisive

    monkeypatch.setattr(divisive, "_dependence", lambda *_: divisive.Dependence(0.0, 1.0))
    draw = random.Random(11)
    hits = sum(find_shifts(days(persistent(0.6)(draw, 90))).state is State.FOUND for _ in range(30))
    assert hits >= 10


def test_values_too_large_to_add_are_refused_not_made_up() -> None:
    samples = [Sample(index * DAY, 1e300 if index % 2 else -1e300) for index in range(60)]
    assert find_shifts(samples).state is State.NOT_ENOUGH


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"alpha": 0.0}, {"alpha": 1.0}, {"minimum_segment": 3}):
        with pytest.raises(ValueError, match="alpha"):
            find_shifts(days(stepped(60, {})), **wrong)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, 3).map(float), st.floats(-1e90, 1e90)), min_size=0, max_size=60),
    st.lists(st.integers(1, 3 * DAY), min_size=60, max_size=60),
)
def test_no_answer_holds_what_is_not_a_number(values: list[float], gaps: list[int]) -> None:
    moments = itertools.accumulate(gaps)
    found = find_shifts([Sample(at, value) for at, value in zip(moments, values, strict=False)])
    assert isinstance(found, Found)
    for shift in found.shifts:
        numbers = [shift.difference, shift.cliffs_delta, shift.p_value, *(shift.difference_interval or ())]
        assert all(math.isfinite(number) for number in numbers)
        assert shift.relative is None or math.isfinite(shift.relative)
        assert shift.interval[0] <= shift.at <= shift.interval[1]


# ---- preparing


def test_a_counter_goes_on_across_its_restarts() -> None:
    counter = [Sample(0, 5), Sample(1000, 9), Sample(2000, 2), Sample(3000, 4)]
    assert [value for _, value in without_resets(counter)] == [5, 9, 11, 13]
    assert rates(counter) == (Sample(1000, 4.0), Sample(2000, 2.0), Sample(3000, 2.0))
    assert rates([Sample(0, 1)]) == ()


@given(st.lists(st.floats(0, 1e9), max_size=30))
def test_a_counter_without_restarts_never_falls(values: list[float]) -> None:
    whole = without_resets([Sample(index, value) for index, value in enumerate(values)])
    assert all(now.value >= earlier.value for earlier, now in itertools.pairwise(whole))


def test_a_day_is_the_median_of_its_samples() -> None:
    samples = [Sample(HOUR, 1), Sample(2 * HOUR, 9), Sample(3 * HOUR, 2), Sample(DAY, 7)]
    assert daily(samples) == (Sample(HOUR, 2.0), Sample(DAY, 7.0))


def test_bins_are_never_more_than_asked_for() -> None:
    for span in (HOUR, DAY, WEEK, 90 * DAY, 40 * 365 * DAY):
        samples = [Sample(index * span // 1000, float(index)) for index in range(1000)]
        held, width = points(samples, MOST)
        assert len(held) <= MOST
        assert width > 0
