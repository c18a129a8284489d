"""Forecasts, their back-test, slips and quarters: what they say of processes whose truth is known."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.derive.forecast import (
    DAY,
    DRAWS,
    HORIZON,
    BackTest,
    back_test,
    forecast,
    forecast_data,
)
from achievement_collector.derive.milestones import Item
from achievement_collector.derive.quarters import (
    LISTS,
    Seen,
    delivery_data,
    delivery_of,
    last_complete_quarter,
    quarter_named,
    quarter_of,
)
from achievement_collector.derive.slips import (
    Counted,
    Measured,
    completion_rate,
    measure_data,
    slips_data,
    slips_of,
    sync_reliability,
    velocity,
)
from achievement_collector.facts.milestones import Status

TODAY = date(2026, 10, 1)
NOW = (TODAY - date(1970, 1, 1)).days


def at(days_ago: float) -> int:
    return int((NOW - days_ago) * DAY) + 1000


def issues(
    open_ones: int, closed_days_ago: list[int], created: float = 80, added: list[int] | None = None
) -> list[Item]:
    found = [Item(f"o{i}", at(created), None) for i in range(open_ones)]
    found += [Item(f"c{i}", at(created), at(days)) for i, days in enumerate(closed_days_ago)]
    return found + [Item(f"a{i}", at(days), None) for i, days in enumerate(added or [])]


# --- when there is none ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([], "no issue is linked"),
        (issues(0, [3, 4]), "no issue is open"),
        (issues(5, list(range(1, 10))), "9 issues were closed in the last 80 days, 10 are needed"),
        (issues(5, list(range(1, 15)), created=27), "27 days of history are known, 28 are needed"),
    ],
)
def test_too_little_history_gives_no_forecast_and_says_why(items: list[Item], why: str) -> None:
    found = forecast(items, TODAY, target=TODAY + timedelta(days=30))
    assert not found.is_made
    assert found.why == why
    assert found.told == f"no forecast: {why}"
    data = forecast_data(found)
    assert (data["p50"], data["p85"], data["p95"], data["chance"]) == (None, None, None, None)


def test_just_enough_history_gives_one() -> None:
    assert forecast(issues(5, list(range(1, 11)), created=28), TODAY).is_made


def test_canceled_issues_are_neither_open_nor_throughput() -> None:
    given_up = [Item(f"x{i}", at(80), None, at(i + 1)) for i in range(20)]
    assert forecast(given_up, TODAY).why == "no issue is linked"
    assert forecast([*issues(3, [1, 2]), *given_up], TODAY).remaining == 3


# --- what it says ------------------------------------------------------------------------------------


def test_one_closed_every_day_takes_as_many_days_as_issues() -> None:
    found = forecast(issues(20, list(range(1, 81))), TODAY, target=TODAY + timedelta(days=20))
    assert found.days == (TODAY + timedelta(days=20),) * 3
    assert found.chance == 1.0
    assert "above 99 %" in found.told


def test_a_target_a_day_too_early_is_missed_in_every_draw() -> None:
    found = forecast(issues(20, list(range(1, 81))), TODAY, target=TODAY + timedelta(days=19))
    assert found.chance == 0.0
    assert "below 1 %" in found.told


def test_days_without_a_closing_count() -> None:
    weekly = [day for day in range(1, 81) if day % 7 == 0]
    busy = forecast(issues(20, [day for day in weekly for _ in range(7)]), TODAY)
    slow = forecast(issues(20, weekly), TODAY)
    assert slow.days[0] is not None
    assert busy.days[0] is not None
    assert 110 < (slow.days[0] - TODAY).days < 170  # one a week: 140 days
    assert (busy.days[0] - TODAY).days < 35


def test_observed_growth_makes_it_later() -> None:
    closed = [day for day in range(1, 80) for _ in range(2)]
    still = forecast(issues(60, closed), TODAY)
    growing = forecast(issues(20, closed, added=list(range(1, 41))), TODAY)
    assert growing.remaining == still.remaining == 60
    assert growing.added == 40
    assert still.days[1] is not None
    assert growing.days[1] is not None
    assert growing.days[1] > still.days[1] + timedelta(days=5)


def test_the_plan_of_the_first_day_is_no_growth() -> None:
    found = forecast(issues(20, list(range(1, 80)), created=80), TODAY)
    assert found.added == 0
    stated = forecast(
        issues(20, list(range(1, 50)), added=[60] * 30), TODAY, start=TODAY - timedelta(days=60)
    )
    assert stated.added == 0
    assert stated.history == 60


def test_work_that_grows_as_fast_as_it_is_done_has_no_end() -> None:
    closed = list(range(1, 80))
    found = forecast(issues(50, closed, added=[*closed, *closed]), TODAY, target=TODAY + timedelta(days=60))
    assert found.days[1] is None
    assert f"P85 after {TODAY + timedelta(days=HORIZON)}" in found.told
    assert forecast_data(found)["p95"] is None
    assert found.chance is not None
    assert found.chance < 0.05


def test_only_the_last_twelve_weeks_count() -> None:
    old = [day for day in range(90, 300) for _ in range(5)]
    found = forecast(issues(10, [*range(1, 80, 4), *old], created=300), TODAY)
    assert found.history == 84
    assert found.closed == 20


def test_the_same_seed_gives_the_same_days_and_another_one_nearly_so() -> None:
    items = issues(30, [day for day in range(1, 80) if day % 3])
    first = forecast(items, TODAY, seed=7)
    assert first == forecast(items, TODAY, seed=7)
    assert first.draws == DRAWS == 10_000
    other = forecast(items, TODAY, seed=8)
    for one, two in zip(first.days, other.days, strict=True):
        assert one is not None
        assert two is not None
        assert abs((one - two).days) <= 2


def test_a_target_that_is_over_is_said_to_be() -> None:
    found = forecast(issues(20, list(range(1, 80))), TODAY, target=TODAY - timedelta(days=3))
    assert found.chance == 0.0
    assert "is over" in found.told


@given(st.integers(0, 40), st.lists(st.integers(1, 83), max_size=60), st.integers(0, 3))
def test_quantiles_are_in_order_and_after_today(left: int, closed: list[int], seed: int) -> None:
    found = forecast(issues(left, closed, created=84), TODAY, seed=seed, draws=50)
    known = [day for day in found.days if day is not None]
    assert known == sorted(known)
    assert all(day > TODAY for day in known)
    assert found.is_made == (left > 0 and len(closed) >= 10)
    if None in found.days:
        assert found.days[found.days.index(None) :].count(None) == 3 - len(known)


# --- the back-test -----------------------------------------------------------------------------------


def steady(chance: random.Random, count: int, rate: float, begin: int) -> list[Item]:
    """Issues all created at once and closed at a steady rate (a day), ``begin`` days ago."""
    found, day = [], float(begin)
    for number in range(count):
        day -= chance.expovariate(rate)
        found.append(Item(str(number), at(begin), at(day) if day > 0 else None))
    return found


def test_a_steady_process_is_forecast_well() -> None:
    chance = random.Random(3)
    found = back_test([(steady(chance, 60, 0.7, 200), None) for _ in range(8)], TODAY)
    assert found.n >= 40
    assert found.milestones >= 6
    assert found.coverage is not None
    assert found.coverage > 0.7
    assert not found.is_poor
    assert found.bias is not None
    assert abs(found.bias) < 12


def test_a_team_that_stops_is_found_out() -> None:
    stalled = [
        Item(str(number), at(250), at(240 - number * 1.5) if number < 60 else None) for number in range(75)
    ]
    found = back_test([(stalled, None)], TODAY)
    assert found.n >= 10
    assert found.coverage == 0.0
    assert found.is_poor
    assert found.bias is not None
    assert found.bias > 30
    assert found.bias_at_least
    assert "WARNING" in found.told
    assert "at least" in found.told


def test_forecasts_that_are_not_decided_yet_are_in_no_coverage() -> None:
    slow = steady(random.Random(1), 500, 0.5, 100)
    found = back_test([(slow, None)], TODAY)
    assert found == BackTest(0, 0, 0, None)
    assert "not enough data (0 of 10" in found.told


def test_nothing_is_no_back_test() -> None:
    assert back_test([], TODAY).coverage is None
    assert back_test([([], None)], TODAY).coverage is None


def test_a_forecast_of_the_past_sees_nothing_of_what_came_after() -> None:
    """A burst of the last week must not change what was forecast before it, nor canceled work look done in advance."""
    calm = steady(random.Random(5), 60, 0.7, 200)
    later = [Item(f"late{i}", at(3), at(1)) for i in range(50)]
    assert back_test([(calm, None)], TODAY - timedelta(days=7)) == back_test(
        [([*calm, *later], None)], TODAY - timedelta(days=7)
    )


# --- slips -------------------------------------------------------------------------------------------


def test_every_move_of_a_target_is_kept() -> None:
    day = timedelta(days=1)
    first, second = date(2026, 6, 30), date(2026, 8, 15)
    found = slips_of([
        (TODAY, None), (TODAY + day, first), (TODAY + 2 * day, first), (TODAY + 3 * day, second),
        (TODAY + 4 * day, second - 5 * day),
    ])  # fmt: skip
    assert [one.days for one in found.changes] == [None, 46, -5]
    assert found.total == 41
    assert found.later == 1
    assert found.told == "moved 3 times, 41 days later than first planned (seen on 5 days)"
    assert slips_data(found)["changes"][1] == {
        "seen": "2026-10-04", "before": "2026-06-30", "after": "2026-08-15", "days": 46,
    }  # fmt: skip


def test_without_snapshots_slips_are_not_measured() -> None:
    assert slips_of([]).total is None
    assert "not measured" in slips_of([]).told
    assert slips_of([(TODAY, None)]).told == "no target was ever set (seen on 1 day)"
    assert slips_of([(TODAY, TODAY)]).told == "never moved (seen on 1 day)"


# --- measures ----------------------------------------------------------------------------------------


def test_missing_values_are_left_out_and_counted_never_zero() -> None:
    found = completion_rate([
        Counted(Status.COMPLETED), Counted(Status.PLANNED), Counted(None), Counted(None), Counted(None, is_dropped=True),
    ])  # fmt: skip
    assert found.value == 0.5
    assert found.n == 2
    assert "2 without a status, 1 given up" in found.told
    # GitHub knows no other status than these two, so that closed ones alone would make 100 %
    found = completion_rate([Counted(Status.COMPLETED), *[Counted(None, is_open=True)] * 4])
    assert (found.value, found.n) == (0.2, 5)
    for nothing in (completion_rate([]), completion_rate([Counted(None)]), sync_reliability(None)):
        assert nothing.value is None
        assert nothing.state is Measured.NOT_MEASURED
        assert measure_data(nothing)["text"] == "not measured"


def test_velocity_counts_weeks_without_a_closing() -> None:
    assert velocity([], TODAY).state is Measured.NOT_MEASURED
    assert velocity(issues(1, [1, 2], created=20), TODAY).state is Measured.NOT_ENOUGH
    found = velocity(issues(1, [1, 1, 2, 8, 22], created=28), TODAY)  # by week: 3, 1, 0, 1
    assert found.n == 4
    assert found.value == 1
    assert velocity(issues(1, [0, 0], created=28), TODAY).value == 0  # today is not over


# --- quarters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "start", "first", "last"),
    [
        ("Q4-2026", 1, date(2026, 10, 1), date(2026, 12, 31)),
        ("q1-2024", 1, date(2024, 1, 1), date(2024, 3, 31)),
        ("Q1-2027", 10, date(2026, 10, 1), date(2026, 12, 31)),
        ("Q2-2027", 10, date(2027, 1, 1), date(2027, 3, 31)),
        ("Q3-2024", 7, date(2024, 1, 1), date(2024, 3, 31)),
        ("Q4-2027", 2, date(2026, 11, 1), date(2027, 1, 31)),
    ],
)
def test_quarters(name: str, start: int, first: date, last: date) -> None:
    found = quarter_named(name, start)
    assert found is not None
    assert (found.first, found.last) == (first, last)


@pytest.mark.parametrize(
    "name", ["Q5-2026", "Q0-2026", "2026-Q4", "Q4 2026", "Q4-26", "", "Q1-0000", "Q1-9999"]
)
def test_no_quarters(name: str) -> None:
    assert quarter_named(name) is None


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 12))
def test_every_day_is_in_exactly_the_quarter_that_names_it(day: date, start: int) -> None:
    found = quarter_of(day, start)
    assert found.holds(day)
    assert quarter_named(found.name, start) == found
    assert 89 <= (found.last - found.first).days + 1 <= 92
    after = quarter_of(found.last + timedelta(days=1), start)
    assert after.first == found.last + timedelta(days=1)
    assert last_complete_quarter(after.first, start) == found


Q4 = quarter_named("Q4-2026")
assert Q4 is not None


def seen(key: str, day: date, status: Status | None, target: date | None, **more: object) -> Seen:
    return Seen(key, key, day, status, target, **more)  # type: ignore[arg-type]


def test_planned_against_delivered() -> None:
    begin, end = date(2026, 10, 1), date(2026, 12, 31)
    inside, after = date(2026, 11, 30), date(2027, 2, 1)
    going, done = Status.IN_PROGRESS, Status.COMPLETED
    found = delivery_of(
        Q4,
        [
            seen("on time", begin, going, inside), seen("on time", end, done, inside, completed=inside),
            seen("late", begin, going, inside), seen("late", end, done, inside, completed=date(2026, 12, 1)),
            # a target moved behind the completion makes nothing on time
            seen("moved to fit", begin, going, inside), seen("moved to fit", end, done, end, completed=date(2026, 12, 20)),
            seen("day unknown", begin, going, inside), seen("day unknown", end, done, inside),
            seen("carried", begin, None, inside), seen("carried", end, going, inside),
            seen("postponed", begin, going, inside), seen("postponed", end, going, after),
            seen("given up", begin, going, inside), seen("given up", end, None, inside, is_dropped=True),
            seen("vanished", begin, going, inside),
            seen("new", end, going, inside),
            seen("done before", begin, done, inside, completed=date(2026, 9, 1)),
            seen("done before", end, done, inside, completed=date(2026, 9, 1)),
            seen("elsewhere", begin, going, after), seen("elsewhere", end, going, after),
            seen("worked", begin, going, None, done=3), seen("worked", end, going, None, done=5),
        ],
    )  # fmt: skip
    told = delivery_data(found)
    titles = {name: [one["title"] for one in told[name]] for name in LISTS}
    assert titles["planned"] == [
        "on time", "late", "moved to fit", "day unknown", "carried", "postponed", "given up", "vanished",
    ]  # fmt: skip
    assert titles["delivered"] == ["on time", "late", "moved to fit", "day unknown"]
    assert titles["carried_over"] == ["carried", "postponed", "vanished"]
    assert titles["moved_out"] == ["postponed"]
    assert titles["dropped"] == ["given up"]
    assert titles["added_later"] == ["new"]
    assert "worked" in titles["worked_on"]
    assert "elsewhere" not in titles["worked_on"]
    # those that were not delivered have missed their target, as late as they may yet come
    assert (found.on_time, found.on_time_n, found.undated) == (1, 6, 1)
    assert found.on_time_rate == pytest.approx(1 / 6)
    assert found.is_over
    assert told["delivered"][1] == {
        "key": "late", "title": "late", "target": "2026-11-30", "status": "Completed", "completed": "2026-12-01",
    }  # fmt: skip


def test_a_target_that_is_yet_to_come_is_not_missed() -> None:
    begin, middle = date(2026, 10, 1), date(2026, 11, 15)
    going, done = Status.IN_PROGRESS, Status.COMPLETED
    passed, ahead = date(2026, 11, 1), date(2026, 12, 20)
    known = [
        *(
            seen(name, begin, going, day)
            for name, day in (("a", passed), ("b", passed), ("c", ahead), ("d", middle))
        ),
        seen("a", middle, done, passed, completed=passed),
        *(seen(name, middle, going, day) for name, day in (("b", passed), ("c", ahead), ("d", middle))),
    ]
    found = delivery_of(Q4, known)
    assert not found.is_over
    assert (found.on_time, found.on_time_n) == (1, 2)


def test_later_snapshots_never_change_a_quarter() -> None:
    begin, end = date(2026, 10, 1), date(2026, 12, 30)
    known = [
        seen("a", begin, Status.PLANNED, date(2026, 12, 1)),
        seen("a", end, Status.IN_PROGRESS, date(2026, 12, 1)),
    ]
    later = seen("a", date(2027, 1, 5), Status.COMPLETED, date(2026, 12, 1), completed=date(2026, 11, 1))
    assert delivery_of(Q4, [*known, later]) == delivery_of(Q4, known)


def test_what_no_snapshot_tells_is_not_told() -> None:
    nothing = delivery_of(Q4, [])
    assert nothing.why == "no snapshot was taken in Q4-2026"
    assert delivery_data(nothing)["planned"] is None
    assert delivery_data(nothing)["on_time"] is None
    late = delivery_of(Q4, [seen("a", date(2026, 11, 1), Status.COMPLETED, date(2026, 12, 1))])
    assert "no snapshot tells how Q4-2026 began" in late.why
    assert late.on_time_rate is None
    assert [one["key"] for one in delivery_data(late)["worked_on"]] == ["a"]


def test_a_quarter_that_is_not_over_says_so() -> None:
    assert not delivery_of(Q4, [seen("a", date(2026, 10, 2), Status.PLANNED, date(2026, 12, 1))]).is_over
