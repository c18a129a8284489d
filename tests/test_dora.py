"""The DORA measures, against truth that was worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.derive.deployments import ship
from achievement_collector.derive.dora import (
    Dora,
    DoraMeasure,
    LeftOut,
    State,
    dora,
    dora_data,
    median_interval,
    wilson,
)
from achievement_collector.derive.history import History
from achievement_collector.facts.work import Deployment

DAY, HOUR = 86_400_000, 3_600_000
BEGIN = 1_760_000_000_000
PLACE = "github.com/acme/rocket"
BOT = 7


def day(number: float) -> int:
    return BEGIN + int(number * DAY)


def line(*days: float, author: int = 1, authors: dict[int, int] | None = None) -> History:
    """A line of commits c0, c1 ... with these author and committer dates."""
    history = History()
    for number, at in enumerate(days):
        parents = [sha(number - 1)] if number else []
        seconds = day(at) // 1000
        who = (authors or {}).get(number, author)
        history.add(sha(number), parents, author=who, authored=seconds, committed=seconds, message="")
    return history


def sha(number: int) -> str:
    return f"c0ffee{number:034x}"


def deployed(at: float, commit: int = 0, state: str = "success", **fields: Any) -> Deployment:
    finished = fields.pop("finished", day(at))
    return Deployment(
        f"{PLACE}/deployment/{at:06.2f}{state}", PLACE, "production", sha(commit), state=state,
        started=fields.pop("started", day(at) - HOUR), finished=finished, **fields,
    )  # fmt: skip


def measured(
    *deployments: Deployment,
    history: History | None = None,
    since: float | None = None,
    until: float = 28,
    rolled_back: dict[str, int] | None = None,
) -> Dora:
    history = history or line(0)
    return dora(
        PLACE, "production", ship(deployments, history, {}), history,
        since=None if since is None else day(since), until=day(until), bots={BOT}, rolled_back=rolled_back,
    )  # fmt: skip


def measure(found: Dora, name: str) -> DoraMeasure:
    return next(one for one in found.measures if one.name == name)


# --- nothing to measure ------------------------------------------------------------------------------


def test_without_deployments_nothing_is_measured() -> None:
    found = measured()
    assert [one.state for one in found.measures] == [State.NOT_MEASURED] * 5
    assert all(one.value is None and one.n == 0 and one.why for one in found.measures)
    assert measure(found, "change_fail_rate").why == "no deployment to production was recorded"


def test_deployments_after_the_window_measure_nothing_in_it() -> None:
    found = measured(deployed(30), until=28)
    assert measure(found, "deployment_frequency").state is State.NOT_MEASURED
    assert measure(found, "deployment_frequency").why.endswith("before the end of the window")


def test_rework_rate_is_never_made_up() -> None:
    one = measure(measured(deployed(0), deployed(10)), "rework_rate")
    assert (one.state, one.value) == (State.NOT_MEASURED, None)
    assert "planned" in one.why


# --- deployment frequency ----------------------------------------------------------------------------


def test_frequency_is_counted_over_the_window_that_was_recorded() -> None:
    # the record begins on day 0: 4 weeks with 8 deployments after the first one
    found = measured(*(deployed(at) for at in (0, 1, 3, 6, 10, 15, 20, 21, 27)))
    one = measure(found, "deployment_frequency")
    assert found.begins_with_first
    assert (one.state, one.n) == (State.MEASURED, 8)
    assert one.value == pytest.approx(2.0)
    beside = {name: (value, n) for name, value, _, n in one.beside}
    assert beside["per_day"] == (pytest.approx(8 / 28), 8)
    # gaps: 1 2 3 4 5 5 1 6
    assert beside["median_days_between"] == (pytest.approx(3.5), 8)


def test_a_window_inside_the_record_counts_all_in_it_and_its_end_is_not_in_it() -> None:
    found = measured(*(deployed(at) for at in (0, 7, 8, 21)), since=7, until=21)
    one = measure(found, "deployment_frequency")
    assert not found.begins_with_first
    assert (one.n, one.value) == (2, pytest.approx(1.0))


def test_the_gap_that_reaches_into_the_window_is_one_of_it() -> None:
    found = measured(*(deployed(at) for at in (0, 9, 10, 12, 25)), since=7, until=21)
    between = measure(found, "deployment_frequency").beside[1]
    assert (between.value, between.n) == (2.0, 3)  # 9, 1 and 2 days


def test_a_window_without_deployments_inside_the_record_is_a_measured_zero() -> None:
    one = measure(measured(deployed(0), since=7, until=21), "deployment_frequency")
    assert (one.state, one.n, one.value) == (State.MEASURED, 0, 0.0)


def test_less_than_a_week_is_not_stretched_to_one() -> None:
    one = measure(measured(deployed(0), deployed(1), until=3), "deployment_frequency")
    assert (one.state, one.value, one.n) == (State.NOT_ENOUGH, None, 1)
    assert "3.0 days" in one.why


def test_failed_deployments_are_in_no_frequency_and_rolled_back_ones_are() -> None:
    found = measured(
        deployed(0),
        deployed(2, state="failure"),
        deployed(3, state="error"),
        deployed(4, state="rolled_back"),
        deployed(5, state="in_progress"),
        deployed(6, state="inactive"),
    )
    assert measure(found, "deployment_frequency").n == 2


# --- change lead time --------------------------------------------------------------------------------


def test_lead_time_is_from_the_author_date_to_the_end_of_the_deployment() -> None:
    history = line(0, 1, 2, 4)  # c1, c2, c3 after the baseline
    one = measure(
        measured(deployed(0.5, 0), deployed(3, 2), deployed(10, 3), history=history), "change_lead_time"
    )
    assert (one.state, one.n, one.unit) == (State.MEASURED, 3, "s")
    assert one.value == 2 * 86_400  # of 2, 1 and 6 days
    assert one.left_out == (LeftOut("first known deployment, of which nobody can tell what it brought", 1),)
    assert one.interval is None


def test_the_ninetieth_percentile_is_the_nearest_rank_and_needs_ten() -> None:
    history = line(0, *([1.0] * 10))
    ten = [deployed(0.5, 0), *(deployed(1 + number, number) for number in range(1, 11))]
    one = measure(measured(*ten, history=history), "change_lead_time")
    assert one.n == 10
    assert one.value == 5.5 * 86_400
    assert one.beside[0].value == 9 * 86_400
    fewer = measure(measured(*ten[:-1], history=history), "change_lead_time")
    assert (fewer.n, fewer.beside[0].value) == (9, None)


def test_two_times_are_told_but_have_no_median() -> None:
    one = measure(measured(deployed(0.5, 0), deployed(3, 2), history=line(0, 1, 2)), "change_lead_time")
    assert (one.state, one.value, one.n) == (State.NOT_ENOUGH, None, 2)
    assert one.why == "2 of the 3 times that a median needs: 24.0 h, 48.0 h"


def test_a_redeployed_commit_has_the_lead_time_of_its_first_deployment() -> None:
    history = line(0, 1, 1, 1)
    found = measured(deployed(0.5, 0), deployed(2, 3), deployed(9, 3), deployed(12, 1), history=history)
    assert measure(found, "change_lead_time").value == 86_400
    assert measure(found, "change_lead_time").n == 3


def test_commits_of_a_failed_or_rolled_back_deployment_wait_for_one_that_lasts() -> None:
    history = line(0, 1, 1, 1)
    for state in ("failure", "error", "rolled_back"):
        found = measured(deployed(0.5, 0), deployed(2, 3, state), deployed(6, 3), history=history)
        assert measure(found, "change_lead_time").value == 5 * 86_400


def test_what_has_no_time_is_counted_apart() -> None:
    history = line(0, 1, 9, 1, 1, 1, 1, authors={3: BOT})
    found = measured(
        deployed(0.5, 0),
        deployed(2, 2),  # c2 was authored on day 9: after its deployment
        deployed(3, 4),  # c3 is by a program
        deployed(4, 5, finished=None, started=day(4)),  # nothing told its end
        deployed(5, 6),
        deployed(6, 99),  # not in the ledger
        history=history,
    )
    one = measure(found, "change_lead_time")
    assert one.n == 3  # c1, c4, c6
    assert {left.what: left.number for left in one.left_out if "first known" not in left.what} == {
        "commit whose author date is after the deployment": 1,
        "commit by a program": 1,
        "commit that came with a deployment whose end was not told": 1,
        "deployment whose commit is not in the ledger": 1,
    }


def test_merges_have_no_lead_time() -> None:
    history = History()
    for number, parents in enumerate([[], [0], [0], [1, 2], [3]]):
        history.add(
            sha(number), [sha(parent) for parent in parents], author=1, authored=day(1) // 1000,
            committed=day(1) // 1000, message="",
        )  # fmt: skip
    assert measure(measured(deployed(2, 0), deployed(3, 4), history=history), "change_lead_time").n == 3


def test_only_deployments_in_the_window_have_lead_times() -> None:
    history = line(*range(8))
    found = measured(deployed(1, 0), deployed(8, 3), deployed(20, 7), history=history, since=10)
    assert measure(found, "change_lead_time").n == 4
    assert not measure(found, "change_lead_time").left_out


# --- change fail rate --------------------------------------------------------------------------------


def test_the_fail_rate_is_of_all_that_ended() -> None:
    found = measured(
        deployed(0), deployed(1, state="failure"), deployed(2, state="error"), deployed(3, state="rolled_back"),
        deployed(4), deployed(5), deployed(6, state="inactive"), deployed(7), deployed(8), deployed(9),
        deployed(10, state="queued"), deployed(11, state=""),
    )  # fmt: skip
    one = measure(found, "change_fail_rate")
    assert (one.n, one.value) == (10, 0.3)
    assert one.left_out == (LeftOut("deployment that has not ended", 2),)
    assert one.interval is not None
    # Wilson for 3 of 10, as R's prop.test(3, 10, correct = FALSE) gives it
    assert one.interval.low == pytest.approx(0.1077913, abs=1e-6)
    assert one.interval.high == pytest.approx(0.6032219, abs=1e-6)


def test_only_failed_deployments_are_a_rate_of_one_with_its_interval() -> None:
    found = measured(deployed(0, state="failure"), deployed(1, state="failure"), until=9)
    one = measure(found, "change_fail_rate")
    assert (one.value, one.n) == (1.0, 2)
    assert one.interval is not None
    assert one.interval.low == pytest.approx(0.3423802, abs=1e-6)
    assert one.interval.high == 1.0
    assert measure(found, "deployment_frequency").value == 0.0
    assert measure(found, "change_lead_time").state is State.NOT_ENOUGH
    recovery = measure(found, "failed_deployment_recovery_time")
    assert recovery.value is None
    assert recovery.beside[0][:2] == ("still_open", 1)


def test_nothing_that_ended_has_no_rate() -> None:
    one = measure(measured(deployed(0, state="in_progress", finished=None)), "change_fail_rate")
    assert (one.state, one.value, one.n) == (State.NOT_ENOUGH, None, 0)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_holds_the_share_and_solves_its_equation(pair: tuple[int, int]) -> None:
    failed, ended = pair
    low, high, _ = wilson(failed, ended)
    share = failed / ended
    assert 0 <= low <= share <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:  # |share - p| = z * sqrt(p (1 - p) / n) at both ends
            width = 1.959963984540054 * math.sqrt(bound * (1 - bound) / ended)
            assert abs(share - bound) == pytest.approx(width, rel=1e-6)


# --- recovery ----------------------------------------------------------------------------------------


def test_recovery_is_from_the_first_failure_in_a_row_to_what_lasted() -> None:
    found = measured(
        deployed(0),
        deployed(1, state="failure"), deployed(1.5, state="error"), deployed(2),  # 1 day
        deployed(3, state="failure"), deployed(3.5),  # half a day
        deployed(5, state="failure"), deployed(5.2, state="in_progress"), deployed(8),  # 3 days
        deployed(9, state="failure"),  # open
    )  # fmt: skip
    one = measure(found, "failed_deployment_recovery_time")
    assert (one.state, one.n, one.value) == (State.MEASURED, 3, 86_400)
    assert one.beside[0][:2] == ("still_open", 1)
    assert one.interval is None  # no interval of a median of three reaches 95 %


def test_a_rollback_ends_its_own_failure_unless_another_deployment_came_before() -> None:
    bad = deployed(1, state="rolled_back")
    told = {bad.key: day(1) + 2 * HOUR}
    later = [
        deployed(10, state="failure"), deployed(10.5), deployed(12, state="failure"), deployed(12.5), deployed(20)
    ]  # fmt: skip
    one = measure(measured(deployed(0), bad, *later, rolled_back=told), "failed_deployment_recovery_time")
    assert (one.n, one.value) == (3, 12 * 3600)
    without = measure(measured(deployed(0), bad, *later), "failed_deployment_recovery_time")
    # the next that ended is a failure: the first one goes on until 10.5
    assert (without.n, without.why) == (2, "2 of the 3 times that a median needs: 12.0 h, 228.0 h")
    # told long after: another failure must not end by it
    late = measured(
        deployed(0), bad, deployed(2), deployed(3, state="failure"), rolled_back={bad.key: day(4)}
    )
    assert measure(late, "failed_deployment_recovery_time").beside[0][:2] == ("still_open", 1)


def test_a_failure_before_the_window_is_not_in_it_and_one_in_it_may_end_after_it() -> None:
    found = measured(
        deployed(0, state="failure"),
        deployed(9),
        deployed(10, state="failure"),
        deployed(40),
        since=8,
        until=28,
    )
    one = measure(found, "failed_deployment_recovery_time")
    assert (one.n, one.why) == (1, "1 of the 3 times that a median needs: 720.0 h")


def test_without_failures_there_is_no_recovery_time() -> None:
    one = measure(measured(deployed(0), deployed(9)), "failed_deployment_recovery_time")
    assert (one.state, one.value, one.why) == (
        State.NOT_ENOUGH, None, "no deployment that began in the window failed"
    )  # fmt: skip


def test_the_interval_of_a_median_is_between_order_statistics() -> None:
    assert median_interval([1, 2, 3, 4, 5]) is None  # 1 - 2 / 2^5 = 93.75 %
    assert median_interval([6, 1, 5, 2, 4, 3]) == (1, 6, "order statistics, at least 95 %")  # 96.9 %
    # n = 10: ranks 2 and 9 (97.9 %); n = 20: ranks 6 and 15 (95.9 %), as in printed tables
    assert median_interval(range(1, 11))[:2] == (2, 9)  # type: ignore[index]
    assert median_interval(range(1, 21))[:2] == (6, 15)  # type: ignore[index]


# --- as data -----------------------------------------------------------------------------------------


def test_data_say_what_each_number_rests_on() -> None:
    told = dora_data(measured(deployed(0), deployed(9)))
    assert told["window"] == {
        "since": "2025-10-09T08:53:20Z", "until": "2025-11-06T08:53:20Z", "begins_with_first_deployment": True
    }  # fmt: skip
    assert set(told["measures"]) == {
        "deployment_frequency", "change_lead_time", "change_fail_rate", "failed_deployment_recovery_time", "rework_rate"
    }  # fmt: skip
    for one in told["measures"].values():
        assert one["definition"]
        assert one["state"] in ("measured", "not enough data", "not measured")
        assert (one["value"] is None) == (one["state"] != "measured")
        assert bool(one["why"]) == (one["value"] is None)
