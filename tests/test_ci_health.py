"""CI health against truth that was decided by hand, and against the mistakes of an earlier implementation."""

from __future__ import annotations

import io
import json
import math
import random
import time
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from achievement_collector.derive.ci_health.durations import percentile, quantile_interval
from achievement_collector.derive.ci_health.flakiness import Flaky, Level, Unit
from achievement_collector.derive.ci_health.probabilities import (
    JEFFREYS,
    beta_quantile,
    beta_share,
    empirical_prior,
    estimate,
)
from achievement_collector.derive.ci_health.rates import (
    Basis,
    Group,
    GroupKind,
    PassRate,
    group_of,
    paired_interval,
)
from achievement_collector.derive.ci_health.runs import Window
from achievement_collector.derive.ci_health.summary import CiHealth, health, health_data
from achievement_collector.derive.ci_health.trends import Label, difference_interval, fisher_exact, trend
from achievement_collector.derive.dora import State, median_interval
from achievement_collector.facts.ci_runs import Attempt, Job, TestOutcome
from achievement_collector.present.ci_terminal import health_in_full
from tests.simulated_ci import TRUTH, simulated_month

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BEGIN = 1_790_000_000_000
PLACE = "github.com/acme/rocket"
CI = ".github/workflows/ci.yml"


def run(
    number: int, conclusion: str = "success", at: float = 1, *, attempt: int = 1, **fields: Any
) -> Attempt:
    """An attempt that ends ``at`` hours after the beginning and was created 10 minutes before."""
    finished = BEGIN + int(at * HOUR)
    told = {
        "workflow": "CI", "sha": f"c{number}", "branch": "main", "event": "push", "created": finished - 10 * MINUTE,
        "started": finished - 10 * MINUTE, "finished": finished, "path": CI,
    } | fields  # fmt: skip
    return Attempt(PLACE, number, attempt, conclusion=conclusion, **told)


def again(one: Attempt, conclusion: str, at: float, **fields: Any) -> Attempt:
    """The next attempt of a run: its creation stays that of the run."""
    finished = BEGIN + int(at * HOUR)
    return replace(
        one, number=one.number + 1, conclusion=conclusion, started=finished - 5 * MINUTE, finished=finished, **fields
    )  # fmt: skip


def job(of: Attempt, name: str = "test", conclusion: str = "", number: int = 0, **fields: Any) -> Job:
    told = {
        "sha": of.sha, "branch": of.branch, "workflow": of.workflow, "queued": of.started, "started": of.started,
        "finished": of.finished,
    } | fields  # fmt: skip
    return Job(
        PLACE, number or of.run * 100 + of.number, of.run, of.number, name, conclusion=conclusion or of.conclusion, **told
    )  # fmt: skip


def measured(
    attempts: list[Attempt],
    jobs: list[Job] | None = None,
    tests: list[TestOutcome] | None = None,
    *,
    since: float | None = 0,
    until: float = 10_000,
    now: float | None = None,
    branch: str = "main",
) -> CiHealth:
    return health(
        attempts, jobs or [], tests or [], since=None if since is None else BEGIN + int(since * HOUR),
        until=BEGIN + int(until * HOUR), now=BEGIN + int((until if now is None else now) * HOUR), default_branch=branch,
    )  # fmt: skip


def group(found: CiHealth, kind: GroupKind = GroupKind.OVERALL, name: str = "") -> Group:
    one = group_of(found.groups, kind, name)
    assert one is not None
    return one


def shown(found: CiHealth) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(health_in_full(health_data(found)))
    return console.export_text()


# --- the simulated month -----------------------------------------------------------------------------


def month(seed: int = 0, repeated: float = 0.0) -> CiHealth:
    told = simulated_month(seed, repeated=repeated)
    return health(
        told.attempts, told.jobs, told.tests, since=TRUTH.since, until=TRUTH.until, now=told.now,
        default_branch=told.default_branch,
    )  # fmt: skip


def test_a_month_whose_truth_is_known_comes_out_exactly():
    found = month()
    every, main = group(found), group(found, GroupKind.DEFAULT)
    assert found.runs == TRUTH.runs
    assert (every.first.passed, every.first.n) == TRUTH.overall_first
    assert (every.final.passed, every.final.n) == TRUTH.overall_final
    assert every.first.infrastructure == TRUTH.infrastructure
    assert dict(every.first.left_out) == TRUTH.left_out
    assert every.tax.value == TRUTH.flake_tax
    assert (main.first.passed, main.first.n) == TRUTH.main_first
    ci = group(found, GroupKind.WORKFLOW, "CI")
    assert (ci.first.passed, ci.first.n) == TRUTH.ci_first
    assert (group(found, GroupKind.PULL, "3").first.passed, group(found, GroupKind.PULL, "3").first.n) == (
        2,
        3,
    )

    green = found.recovery.headline
    assert (green.n, green.median, green.mean, green.p90) == (
        len(TRUTH.spells),
        TRUTH.median,
        TRUTH.mean,
        TRUTH.p90,
    )
    assert [one.age(green.at) for one in green.open] == [TRUTH.open_age]

    trended = {(one.kind, one.name): one.trend for one in found.trends}
    assert trended[GroupKind.WORKFLOW, "CI"].label is Label.DEGRADING
    assert (
        trended[GroupKind.WORKFLOW, "CI"].passed_before,
        trended[GroupKind.WORKFLOW, "CI"].n_before,
    ) == TRUTH.before
    assert trended[GroupKind.WORKFLOW, "deploy"].state is State.NOT_ENOUGH

    assert [(one.unit, one.name, one.level, one.commits) for one in found.flakiness.found] == [
        (Unit.JOB, TRUTH.flaky_job, Level.CERTAIN, TRUTH.flaky_commits),
        (Unit.TEST, TRUTH.flaky_test, Level.CERTAIN, TRUTH.flaky_commits),
    ]
    chance = found.flakiness.found[0].probability
    assert (chance.failures, chance.n) == TRUTH.flaky_results
    assert chance.value == pytest.approx(6.5 / 255)
    assert found.flakiness.reruns.minutes == found.flakiness.found[0].cost == TRUTH.rerun_minutes
    jobs = {one.measure: one for one in found.durations if one.workflow is None}
    assert [one.value for one in jobs["job_queue"].quantiles] == [30, 30, 30]
    assert [one.value for one in jobs["attempt_duration"].quantiles] == [340, 340, 340]
    assert [one.value for one in jobs["attempt_queue"].quantiles] == [30, 30, 30]


def test_the_weeks_of_the_month_add_up():
    told = simulated_month()
    on_main = [one for one in told.attempts if one.branch == "main" and one.workflow == "CI"]
    for week, truth in enumerate(TRUTH.ci_main_by_week):
        since = TRUTH.since + week * 7 * DAY
        found = health(on_main, since=since, until=since + 7 * DAY, now=told.now, default_branch="main")
        assert (group(found).first.passed, group(found).first.n) == truth


@given(st.integers(0, 1_000_000), st.floats(0, 1))
@settings(max_examples=8, deadline=None)
def test_neither_the_order_nor_repetition_of_the_facts_matters(seed: int, repeated: float):
    assert health_data(month(seed, repeated)) == health_data(month())


def test_the_data_are_json_and_the_terminal_shows_the_numbers():
    data = health_data(month())
    assert json.loads(json.dumps(data)) == data
    text = shown(month())
    for told in (
        "139/164",
        "84.8 %",
        "3.7 points",
        "10.7 min",
        "test (3.12)",
        "30 min of 6 jobs",
        "Degrading",
    ):
        assert told in text


def test_the_page_of_the_documentation_shows_what_is_printed():
    page = (Path(__file__).parent.parent / "docs" / "ci-health.md").read_text("utf-8")
    printed = "\n".join(line.rstrip() for line in shown(month()).strip().splitlines())
    assert printed in page


# --- pass rates, and the mistakes of before ----------------------------------------------------------


def test_an_empty_record_has_no_value_anywhere():
    """The mistake: a pass rate of 85 % and a time of 5 minutes for an empty database."""
    found = measured([])
    for one in found.groups:
        assert (one.first.value, one.final.value, one.tax.value) == (None, None, None)
        assert one.first.state is one.final.state is one.tax.state is State.NOT_MEASURED
    assert found.recovery.headline.state is State.NOT_MEASURED
    assert found.recovery.headline.median is None
    assert found.flakiness.state is State.NOT_MEASURED
    assert found.flakiness.reruns.minutes is None
    assert all(one.state is State.NOT_MEASURED for one in found.durations)
    assert "not measured" in shown(found)


def test_red_runs_make_the_rate_zero_not_a_default():
    """The mistake: 20 red runs had the default rate."""
    found = measured([run(number, "failure", number) for number in range(1, 21)])
    assert group(found).first.value == 0
    assert group(found).first.interval.low == 0.0
    assert group(found).first.interval.high == pytest.approx(0.1611, abs=1e-4)  # Wilson: z²/(n+z²)


def test_below_ten_runs_there_is_no_rate():
    nine = measured([run(number, at=number) for number in range(1, 10)])
    assert (group(nine).first.state, group(nine).first.value) == (State.NOT_ENOUGH, None)
    assert group(nine).first.why.startswith("9 of the 10 runs")
    ten = measured([run(number, at=number) for number in range(1, 11)])
    assert group(ten).first.value == 1
    assert group(ten).tax.value == 0


@pytest.mark.parametrize(("passed", "n"), [(7999, 10_000), (8, 10), (70, 100), (7001, 10_000), (127, 147)])
def test_a_rate_is_an_exact_fraction(passed: int, n: int):
    found = measured(
        [run(number, "success" if number <= passed else "failure", number / 10) for number in range(1, n + 1)]
    )
    assert group(found).first.value == Fraction(passed, n)
    assert (group(found).first.value >= Fraction(80, 100)) is (passed * 100 >= 80 * n)


@pytest.mark.parametrize(
    ("conclusion", "kind"),
    [(one, one.replace("_", " ")) for one in ("cancelled", "skipped", "neutral", "action_required", "stale")]
    + [("tomorrow's word", "unknown conclusion")],
)
def test_what_says_nothing_is_left_out_and_counted(conclusion: str, kind: str):
    runs = [run(number, at=number) for number in range(1, 11)]
    found = measured([*runs, run(11, conclusion, 11), run(12, conclusion, 12)])
    rate = group(found).first
    assert (rate.passed, rate.n, dict(rate.left_out)) == (10, 10, {f"run: {kind}": 2})


def test_infrastructure_is_counted_apart_and_both_rates_are_stated():
    runs = [run(number, at=number) for number in range(1, 11)]
    broken = [run(11, "startup_failure", 11), run(12, "failure", 12, jobs_known=True, jobs=0)]
    tried = run(13, "failure", 13, jobs_known=False)  # its jobs were not read: it counts as the code's
    rate = group(measured([*runs, *broken, tried])).first
    assert (rate.value, rate.infrastructure) == (Fraction(10, 11), 2)
    assert rate.with_infrastructure == Fraction(10, 13)


def test_the_first_attempt_and_the_final_one_are_two_rates_with_the_flake_tax_between():
    runs = [run(number, "failure" if number <= 3 else "success", number) for number in range(1, 21)]
    later = [again(runs[0], "success", 30), again(runs[1], "failure", 31), again(runs[19], "failure", 32)]
    found = group(measured([*runs, *later]))
    assert (found.first.value, found.final.value) == (Fraction(17, 20), Fraction(17, 20))
    assert (found.tax.rescued, found.tax.lost, found.tax.value) == (1, 1, 0)
    found = group(measured([*runs, *later[:2]]))
    assert found.tax.value == found.final.value - found.first.value == Fraction(1, 20)
    assert found.tax.interval.low < found.tax.value < found.tax.interval.high


def test_a_run_belongs_to_the_window_in_which_its_first_attempt_ended():
    runs = [run(number, "failure", number) for number in range(1, 11)]
    fixed = again(runs[0], "success", 500)
    first = group(measured([*runs, fixed], until=100, now=600))
    assert (first.first.passed, first.final.passed, first.final.n) == (0, 1, 10)
    assert group(measured([*runs, fixed], since=100, until=600)).runs == 0


def test_what_is_not_over_yet_is_not_counted_and_a_later_attempt_is_not_foreseen():
    runs = [run(number, "failure", number) for number in range(1, 11)]
    waiting = run(11, "", 11, finished=None)
    fixed = again(runs[0], "success", 500)
    found = group(measured([*runs, fixed, waiting], until=100, now=100))
    assert (found.final.passed, found.final.n) == (0, 10)
    assert dict(found.first.left_out) == {"run: not finished": 1}
    begun = group(measured([*runs, fixed], until=100, now=499.95))
    assert dict(begun.final.left_out) == {"run: not finished": 1}
    assert begun.final.n == 9


def test_attempts_that_are_not_known_are_not_made_up():
    only_second = replace(again(run(1, "failure", 1), "success", 2))
    only_first = run(2, "failure", 3, is_last=False)
    found = group(measured([only_second, only_first]))
    assert dict(found.first.left_out) == {"run whose first attempt is not known": 1}
    assert dict(found.final.left_out) == {"run whose final attempt is not known": 1}
    assert (found.first.n, found.final.n, found.tax.n) == (1, 1, 0)


def test_a_forks_branch_of_the_same_name_is_not_the_default_branch():
    own = [run(number, at=number) for number in range(1, 11)]
    forks = [run(number, "failure", number, event="pull_request") for number in range(11, 31)]
    found = measured([*own, *forks])
    assert group(found, GroupKind.DEFAULT).first.value == 1
    assert group(found, GroupKind.BRANCH, "main").first.n == 10
    assert group(found, GroupKind.BRANCH, "main (of a pull request)").first.value == 0
    assert dict(found.left_out)["run of a pull request that is not named"] == 20
    assert not found.recovery.headline.open


def test_runs_are_grouped_by_workflow_file_branch_and_pull_request():
    """The mistake: the query did not use the name, and every group had the same number."""
    one = [run(number, at=number, path="a.yml", workflow="CI") for number in range(1, 11)]
    two = [
        run(number, "failure", number, path="b.yml@refs/heads/main" if number % 2 else "b.yml", workflow="CI")
        for number in range(11, 21)
    ]
    side = [
        run(number, "failure", number, branch="side", pulls=(7, 8), event="pull_request", path="a.yml")
        for number in range(21, 24)
    ]
    found = measured([*one, *two, *side])
    assert group(found, GroupKind.WORKFLOW, "a.yml").first.value == Fraction(10, 13)
    assert group(found, GroupKind.WORKFLOW, "b.yml").first.value == 0
    assert [one.name for one in found.groups if one.kind is GroupKind.PULL] == ["7", "8"]
    assert group(found, GroupKind.BRANCH, "side").first.n == 3


# --- time to green -----------------------------------------------------------------------------------


def test_time_to_green_is_from_the_first_red_to_the_next_green():
    """The mistake: the time that a fix command ran was called time to recovery."""
    told = [
        (1, "success"),
        (2, "failure"),
        (3, "failure"),
        (5, "success"),
        (6, "failure"),
        (6.5, "success"),
        (7, "failure"),
        (9, "success"),
    ]
    green = measured(
        [run(number, conclusion, at) for number, (at, conclusion) in enumerate(told, 1)]
    ).recovery.headline
    assert (green.n, green.median, green.mean) == (3, 2 * 3600, 5.5 * 3600 / 3)
    assert green.p90 is None
    assert not green.open


def test_a_spell_that_is_open_is_listed_with_its_age_and_is_in_no_average():
    told = [run(1, at=1), run(2, "failure", 2), run(3, at=3), run(4, "failure", 4), run(5, "timed_out", 5)]
    green = measured(told, until=24).recovery.headline
    assert (green.state, green.n, green.median) == (State.NOT_ENOUGH, 1, None)
    assert green.why == "1 of the 3 ended spells that a median needs: 1.0 h"
    assert [(one.age(green.at), one.failures) for one in green.open] == [(20 * 3600, 2)]
    assert "red since" in shown(measured(told, until=24))


def test_five_instant_fixes_are_not_a_short_time_to_green():
    """The mistake: 20 green runs and 5 fixes of 0.6 s were a recovery within 5 minutes."""
    green = measured([run(number, at=number) for number in range(1, 21)]).recovery.headline
    assert (green.state, green.n, green.median) == (State.NOT_ENOUGH, 0, None)


def test_a_spell_belongs_to_the_window_in_which_it_ended():
    told = [run(1, at=1), run(2, "failure", 2), run(3, at=30)]
    first = measured(told, until=24, now=40).recovery.headline
    assert (first.n, len(first.open)) == (0, 1)
    assert first.open[0].ended == BEGIN + 30 * HOUR
    assert first.open[0].age(first.at) == 22 * 3600
    second = measured(told, since=24, until=48).recovery.headline
    assert (second.n, len(second.open)) == (1, 0)


def test_a_spell_without_a_success_before_it_has_no_known_beginning():
    green = measured([run(1, "failure", 1), run(2, at=3)]).recovery.headline
    assert (green.n, dict(green.left_out)) == (0, {"spell that began before the record": 1})
    red = measured([run(1, "failure", 1)], until=10).recovery.headline.open
    assert [one.begin_is_known for one in red] == [False]


def test_overlapping_failures_are_one_spell_and_an_older_success_does_not_end_it():
    """Run 3 is of a newer commit than run 2, whose success comes late: the branch is still red."""
    created = {2: BEGIN + 2 * HOUR, 3: BEGIN + 3 * HOUR}
    told = [
        run(1, at=1), run(3, "failure", 4, created=created[3]), run(2, "success", 5, created=created[2]),
        run(4, "failure", 6), run(5, "success", 8),
    ]  # fmt: skip
    for order in permutations(told):
        found = measured(list(order))
        assert found.recovery.headline.n == 1
        line = found.recovery.lines[0].time
        assert line.why == "1 of the 3 ended spells that a median needs: 4.0 h"
        assert dict(line.left_out) == {"result that a later run had overtaken": 1}


def test_infrastructure_and_cancelled_runs_neither_begin_nor_end_a_spell():
    told = [
        run(1, at=1),
        run(2, "startup_failure", 2),
        run(3, "cancelled", 3),
        run(4, "failure", 4),
        run(5, "skipped", 5),
        run(6, at=7),
    ]
    found = measured(told).recovery.headline
    assert found.why.endswith(": 3.0 h")
    assert dict(found.left_out) == {"infrastructure failure": 1}


def test_the_headline_is_of_the_default_branch_and_workflows_are_told_apart():
    told = [run(1, at=1), run(2, "failure", 2), run(3, at=4)]
    told += [replace(one, run=one.run + 10, branch="side") for one in told]
    told += [run(21, at=1, path="b.yml"), run(22, "failure", 3, path="b.yml"), run(23, at=4, path="b.yml")]
    found = measured(told).recovery
    assert found.headline.n == 2
    assert [(one.workflow.key, one.branch, one.time.n) for one in found.lines] == [
        (CI, "main", 1),
        ("b.yml", "main", 1),
        (CI, "side", 1),
    ]
    unknown = measured(told, branch="").recovery.headline
    assert (unknown.state, unknown.why) == (State.NOT_MEASURED, "the default branch is not known")


@given(
    st.lists(
        st.tuples(st.sampled_from(["success", "failure", "cancelled", ""]), st.integers(1, 3)), max_size=25
    ),
    st.randoms(),
)
@settings(max_examples=60, deadline=None)
def test_any_record_gives_the_same_in_any_order_and_twice(told: list[tuple[str, int]], order: random.Random):
    attempts: list[Attempt] = []
    for number, (conclusion, tries) in enumerate(told):
        one = run(number, conclusion, number + 1, is_last=tries == 1)
        attempts.append(one)
        for _ in range(tries - 1):
            one = again(one, "success" if order.random() < 0.5 else "failure", number + 1 + one.number / 4)
            attempts.append(one)
    jobs = [job(one) for one in attempts]
    before = health_data(measured(attempts, jobs, until=30))
    unfinished = [replace(one, conclusion="", finished=None) for one in attempts]  # told earlier
    mixed, mixed_jobs = [*attempts, *unfinished, *attempts], [*jobs, *jobs]
    order.shuffle(mixed)
    order.shuffle(mixed_jobs)
    assert health_data(measured(mixed, mixed_jobs, until=30)) == before


# --- durations ---------------------------------------------------------------------------------------


def test_percentiles_are_by_nearest_rank_and_need_enough_values():
    assert percentile(range(1, 21), 0.5) == 10.5
    assert percentile(range(1, 21), 0.9) == 18
    assert percentile(range(1, 21), 0.95) == 19
    assert percentile(range(1, 20), 0.95) is None
    assert percentile(range(1, 10), 0.9) is None
    assert percentile([1, 2], 0.5) is None
    assert percentile([3, 1, 2], 0.5) == 2


@given(st.lists(st.integers(0, 50), min_size=1, max_size=120))
@settings(deadline=None)
def test_the_interval_of_a_median_is_that_of_the_dora_measures(values: list[int]):
    one, other = quantile_interval(values, 0.5), median_interval(values)
    assert (one is None) == (other is None)
    if one is not None:
        assert (one.low, one.high) == (other.low, other.high)


def test_the_interval_of_a_percentile_covers_it():
    """Of 400 samples of 60, the 90th percentile of a known distribution is in at least 95 % of the intervals."""
    order = random.Random(5)
    inside = 0
    for _ in range(400):
        found = quantile_interval([order.random() for _ in range(60)], 0.9)
        inside += found is not None and found.low <= 0.9 <= found.high
    assert inside >= 372  # of 380 expected; 372 is 2 standard deviations below
    assert quantile_interval(list(range(100_001)), 0.5).low == pytest.approx(
        49_690, abs=2
    )  # 1.96 * sqrt(n) / 2


def test_negative_and_missing_times_are_left_out_and_counted():
    runs = [
        run(
            number,
            at=number,
            created=BEGIN + number * HOUR - 20 * MINUTE,
            started=BEGIN + number * HOUR - 20 * MINUTE,
        )
        for number in range(1, 11)
    ]
    jobs = [job(one, queued=one.created, started=one.created + 5 * MINUTE) for one in runs]
    bad = run(11, at=11)
    jobs += [
        job(bad, number=1, queued=bad.finished, started=bad.created),
        job(bad, number=2, queued=None),
        job(bad, number=3, conclusion="cancelled"),
        job(bad, number=4, conclusion="skipped", started=None),
    ]
    found = {one.measure: one for one in measured([*runs, bad], jobs).durations if one.workflow is None}
    assert (found["job_queue"].n, found["job_queue"].quantiles[0].value) == (10, 300)
    assert dict(found["job_queue"].left_out) == {
        "end before begin": 1,
        "time not told": 1,
        "job: cancelled": 1,
        "job: skipped": 1,
    }
    assert found["job_duration"].n == 12
    assert found["attempt_duration"].quantiles[1].value == 1200
    assert found["attempt_queue"].quantiles[0].value == 300
    without = {one.measure: one for one in measured(runs).durations if one.workflow is None}
    assert dict(without["attempt_queue"].left_out) == {"jobs not known": 10}


def test_a_skipped_job_was_taken_by_no_runner():
    told = [run(number, at=number) for number in range(1, 4)]
    jobs = [job(one, number=one.run, started=one.created + 2 * MINUTE) for one in told]
    jobs += [job(one, "skip", "skipped", 10 + one.run, started=one.created) for one in told]
    found = {one.measure: one for one in measured(told, jobs).durations if one.workflow is None}
    assert found["attempt_queue"].quantiles[0].value == 120


def test_a_later_attempt_waits_from_its_own_beginning():
    one = run(1, "failure", 1)
    two = again(one, "success", 100)
    found = measured([one, two, run(2, at=3)], [job(two, started=two.started + MINUTE)])
    times = {each.measure: each for each in found.durations if each.workflow is None}
    assert times["attempt_duration"].quantiles[0].value == 600  # 10, 10 and 5 minutes, not 99 hours
    assert times["attempt_queue"].n == 1


# --- flaky -------------------------------------------------------------------------------------------


def flaky(found: CiHealth) -> list[Flaky]:
    return list(found.flakiness.found)


def rescued(number: int, at: float, name: str = "test") -> tuple[list[Attempt], list[Job]]:
    one = run(number, "failure", at, is_last=False)
    two = again(one, "success", at + 0.5)
    return [one, two], [job(one, name), job(two, name)]


def many(count: int, name: str = "test") -> tuple[list[Attempt], list[Job]]:
    attempts: list[Attempt] = []
    jobs: list[Job] = []
    for number in range(1, count + 1):
        more = rescued(number, number, name)
        attempts += more[0]
        jobs += more[1]
    return attempts, jobs


def test_pass_and_fail_on_one_commit_is_certain_and_needs_two_commits():
    one = flaky(measured(*many(1)))
    assert [(each.level, each.state, each.why) for each in one] == [
        (Level.SUSPECTED, State.NOT_ENOUGH, "it showed on 1 of the 2 commits that are needed")
    ]
    two = flaky(measured(*many(2)))
    assert [(each.level, each.state, each.commits, each.place) for each in two] == [
        (Level.CERTAIN, State.MEASURED, 2, CI)
    ]
    assert two[0].cost == 10.0  # two second attempts of 5 minutes


def test_two_runs_of_one_commit_count_like_two_attempts():
    told = [
        run(1, "failure", 1, sha="a"),
        run(2, at=2, sha="a"),
        run(3, at=3, sha="b"),
        run(4, "failure", 4, sha="b"),
    ]
    assert [one.level for one in flaky(measured(told, [job(one) for one in told]))] == [Level.CERTAIN]


def test_runs_for_a_pull_request_with_one_head_are_likely_and_against_a_push_nothing():
    """GitHub tries the merge of the head with its base: the code may differ though the head does not."""
    told = [
        run(
            number,
            "failure" if number % 2 else "success",
            number,
            sha=f"s{number // 3}",
            event="pull_request",
            branch="x",
        )
        for number in (1, 2, 3, 4)
    ]
    assert [one.level for one in flaky(measured(told, [job(one) for one in told]))] == [Level.LIKELY]
    against = [replace(one, event="push") if one.run % 2 else one for one in told]
    assert flaky(measured(against, [job(one) for one in against])) == []


def test_fail_pass_fail_on_the_default_branch_is_likely():
    told = [
        run(number, conclusion, number)
        for number, conclusion in enumerate(["success", "failure", "success", "failure"])
    ]
    found = flaky(measured(told, [job(one) for one in told]))
    assert [(one.level, one.state, one.signs[0].commits) for one in found] == [
        (Level.LIKELY, State.MEASURED, ("c1", "c2", "c3"))
    ]
    side = [replace(one, branch="side") for one in told]
    assert flaky(measured(side, [job(one) for one in side])) == []


def test_what_comes_after_the_window_is_no_sign_yet():
    attempts, jobs = many(3)  # signs 1.5, 2.5 and 3.5 hours after the beginning
    found = flaky(measured(attempts, jobs, until=3, now=10))
    assert [(one.commits, one.last_at, one.results) for one in found] == [(2, BEGIN + int(2.5 * HOUR), 4)]


def test_broken_then_fixed_is_not_flaky():
    told = [run(number, "failure" if 5 <= number < 9 else "success", number) for number in range(20)]
    assert flaky(measured(told, [job(one) for one in told])) == []


def test_the_jobs_of_a_matrix_are_told_apart_by_name():
    told = [run(number, "failure", number) for number in range(1, 6)]
    jobs = [
        job(one, f"test ({version})", conclusion, one.run * 10 + place)
        for one in told
        for place, (version, conclusion) in enumerate([("3.11", "success"), ("3.12", "failure")])
    ]
    assert flaky(measured(told, jobs)) == []
    unnamed = [replace(one, name="test") for one in jobs]
    found = measured(told, unnamed).flakiness
    assert found.found == ()
    assert dict(found.left_out) == {"job: name that several jobs of one attempt have": 10}


def test_jobs_that_a_rerun_lists_again_are_neither_results_nor_cost():
    attempts, jobs = many(2)
    firsts = [job(one, "lint", "success", one.run * 1000) for one in attempts if one.number == 1]
    listed = [replace(one, id=one.id + 1, attempt=2) for one in firsts]
    found = measured(attempts, [*jobs, *firsts, *listed])
    assert dict(found.flakiness.left_out) == {"job that a re-run listed again": 2}
    assert (found.flakiness.reruns.n, found.flakiness.reruns.minutes, found.flakiness.reruns.of_flaky) == (
        2,
        10.0,
        10.0,
    )
    assert {one.measure: one.n for one in found.durations if one.workflow is None}["job_duration"] == 6


def test_reruns_whose_jobs_are_not_known_cost_an_unknown_time():
    attempts, _ = many(3)
    found = measured(attempts).flakiness.reruns
    assert (found.state, found.minutes, found.attempts) == (State.NOT_ENOUGH, None, 3)
    assert dict(found.left_out) == {"re-run whose jobs are not known": 3}
    none = measured([run(1)]).flakiness.reruns
    assert (none.state, none.minutes) == (State.MEASURED, 0.0)


def test_it_clears_after_14_quiet_days_and_20_results():
    attempts, jobs = many(2)  # the last sign is 2.5 hours after the beginning

    def quiet(results: int, hours: float) -> bool:
        later = [run(100 + number, at=3 + number / 100) for number in range(results)]
        found = measured([*attempts, *later], [*jobs, *(job(one) for one in later)], until=hours)
        return flaky(found)[0].is_cleared

    assert quiet(20, 2.5 + 14 * 24)
    assert not quiet(19, 2.5 + 14 * 24)
    assert not quiet(20, 2.4 + 14 * 24)


def test_retries_within_one_test_report_are_flaky_and_reports_of_other_jobs_are_not_compared():
    def outcome(sha: str, what: str, report: str = "test", at: int = 1) -> TestOutcome:
        return TestOutcome(PLACE, sha, "suite::case", what, BEGIN + at * HOUR, report, "main")

    assert [
        one.level for one in flaky(measured([], [], [outcome("a", "flaky"), outcome("b", "flaky", at=2)]))
    ] == [Level.CERTAIN]
    twice = [
        outcome("a", "failed"),
        outcome("a", "passed", at=2),
        outcome("b", "error", at=3),
        outcome("b", "passed", at=4),
    ]
    found = flaky(measured([], [], twice))
    assert [(one.level, one.unit, one.place, one.cost) for one in found] == [
        (Level.CERTAIN, Unit.TEST, "test", None)
    ]
    matrix = [
        outcome(sha, what, report)
        for sha in "abcd"
        for what, report in (("failed", "3.12"), ("passed", "3.11"))
    ]
    assert flaky(measured([], [], matrix)) == []
    assert flaky(measured([], [], [outcome("a", "skipped"), outcome("a", "passed")])) == []


def test_the_probability_is_of_failing_where_it_can_pass():
    attempts, jobs = many(3)
    attempts += [run(100 + number, at=50 + number) for number in range(14)]
    attempts += [
        run(200 + number, "failure", 70 + number) for number in range(5)
    ]  # nobody knows whether they are right
    jobs += [job(one) for one in attempts[6:]]
    one = flaky(measured(attempts, jobs))[0]
    assert (one.probability.failures, one.probability.n, one.unresolved) == (3, 20, 5)
    assert one.probability.value == pytest.approx(3.5 / 21)
    assert one.probability.prior is JEFFREYS
    assert one.probability.interval.low == pytest.approx(0.044131, abs=1e-6)  # by Simpson's rule
    assert one.probability.interval.high == pytest.approx(0.348578, abs=1e-6)


@pytest.mark.parametrize("x", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_the_beta_distribution_agrees_with_closed_forms(x: float):
    assert beta_share(x, 1, 1) == pytest.approx(x)
    assert beta_share(x, 3, 1) == pytest.approx(x**3)
    assert beta_share(x, 0.5, 0.5) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)))
    binomial = sum(math.comb(30, k) * x**k * (1 - x) ** (30 - k) for k in range(4, 31))
    assert beta_share(x, 4, 27) == pytest.approx(binomial)
    assert beta_share(beta_quantile(x, 40.5, 9000.5), 40.5, 9000.5) == pytest.approx(x)


def test_the_empirical_prior_finds_the_distribution_that_the_rates_came_from():
    order = random.Random(3)
    units = []
    for _ in range(3000):
        rate = order.betavariate(2, 30)
        units.append((sum(order.random() < rate for _ in range(40)), 40))
    prior = empirical_prior(units)
    assert prior.a == pytest.approx(2, rel=0.15)
    assert prior.b == pytest.approx(30, rel=0.15)
    assert estimate(0, 5, prior).value < estimate(0, 5, JEFFREYS).value
    assert empirical_prior(units[:9]) is JEFFREYS
    assert empirical_prior([(0, 40)] * 100) is JEFFREYS
    assert empirical_prior([(1, 40)] * 100) is JEFFREYS  # alike beyond chance: no spread to learn from


# --- trends ------------------------------------------------------------------------------------------


def brute(a: int, n: int, b: int, m: int) -> float:
    def chance(k: int) -> Fraction:
        return Fraction(math.comb(n, k) * math.comb(m, a + b - k), math.comb(n + m, a + b))

    every = [chance(k) for k in range(max(0, a + b - m), min(n, a + b) + 1)]
    return float(sum(one for one in every if one <= chance(a)))


def test_fishers_test_agrees_with_values_by_hand():
    assert fisher_exact(3, 4, 1, 4) == pytest.approx(34 / 70)  # the lady tasting tea
    assert fisher_exact(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert fisher_exact(1, 10, 11, 14) == pytest.approx(0.0027594562)  # Fisher's example in the literature
    assert fisher_exact(0, 5, 0, 9) == 1


@given(st.integers(1, 40), st.integers(1, 40), st.data())
@settings(deadline=None)
def test_fishers_test_agrees_with_brute_force(n: int, m: int, data: st.DataObject):
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    assert fisher_exact(a, n, b, m) == pytest.approx(brute(a, n, b, m), rel=1e-9)
    assert fisher_exact(a, n, b, m) == pytest.approx(fisher_exact(b, m, a, n), rel=1e-9)


def rate(passed: int, n: int) -> PassRate:
    return PassRate(Basis.FIRST, Window(0, 1), State.MEASURED if n >= 10 else State.NOT_ENOUGH, n, passed)


@pytest.mark.parametrize(
    ("before", "after", "label", "state"),
    [
        ((4, 4), (0, 4), Label.STABLE, State.NOT_ENOUGH),  # raw rates lie at n = 4
        ((19, 19), (0, 20), Label.STABLE, State.NOT_ENOUGH),
        ((20, 20), (0, 19), Label.STABLE, State.NOT_ENOUGH),
        ((20, 20), (10, 20), Label.DEGRADING, State.MEASURED),
        ((10, 20), (20, 20), Label.IMPROVING, State.MEASURED),
        ((18, 20), (16, 20), Label.STABLE, State.MEASURED),  # may be chance
        ((9_000, 10_000), (9_499, 10_000), Label.STABLE, State.MEASURED),  # certain, and below 5 points
        ((9_000, 10_000), (9_500, 10_000), Label.IMPROVING, State.MEASURED),  # exactly 5 points
    ],
)
def test_a_trend_needs_a_test_an_effect_and_enough_runs(before, after, label: Label, state: State):
    found = trend(rate(*after), rate(*before))
    assert (found.label, found.state) == (label, state)
    if state is State.NOT_ENOUGH:
        assert found.text == f"Stable (n={min(before[1], after[1])}, not enough data)"
        assert found.p is None


def test_two_adjacent_windows_of_one_length_are_compared():
    told = [run(number, "failure" if number > 40 else "success", number) for number in range(1, 81)]
    found = measured(told, since=40.5, until=80.5)
    assert {one.trend.label for one in found.trends} == {Label.DEGRADING}
    one = found.trends[0].trend
    assert (one.n_before, one.n) == (40, 40)
    assert one.before == Window(BEGIN + HOUR // 2, BEGIN + int(40.5 * HOUR))
    from_the_beginning = measured(told, since=None, until=80.5).trends[0].trend
    assert from_the_beginning.text == "Stable (n=0, not enough data)"
    assert "there is none before it" in from_the_beginning.why


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_intervals_hold_what_was_found(n: int, m: int, data: st.DataObject):
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    found = difference_interval(a, n, b, m)
    assert -1 <= found.low <= a / n - b / m <= found.high <= 1
    more = data.draw(st.integers(0, n))
    less = data.draw(st.integers(0, n - more))
    pair = paired_interval(more, less, n)
    assert pair.low - 1e-12 <= (more - less) / n <= pair.high + 1e-12


# --- at the edges ------------------------------------------------------------------------------------


def test_a_window_must_begin_before_it_ends():
    with pytest.raises(ValueError, match="begin before it ends"):
        measured([], since=5, until=5)
    with pytest.raises(ValueError, match="future"):
        measured([], since=5, until=9, now=4)


def test_the_window_ends_now_where_its_end_is_still_to_come():
    found = measured([run(1, at=1)], until=100, now=10)
    assert (found.at, found.window.until, found.asked_until) == (BEGIN + 10 * HOUR,) * 2 + (
        BEGIN + 100 * HOUR,
    )


def test_text_from_outside_cannot_speak_to_the_terminal():
    told = [
        run(number, "failure", number, workflow="CI\x1b[2J\n[red]x", path="", branch="main\u202e")
        for number in range(1, 4)
    ]
    text = shown(
        measured([run(0, at=0.5, workflow="CI\x1b[2J\n[red]x", path=""), *told], branch="main\u202e")
    )
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]x" in text


def test_fifty_thousand_attempts_with_200_000_jobs_take_seconds():
    attempts = [
        run(
            number,
            "failure" if number % 9 == 0 else "success",
            number / 100,
            branch=f"b{number % 50}",
            pulls=(number % 700,),
        )
        for number in range(50_000)
    ]
    names = ("lint", "build", "test", "docs")
    jobs = [
        job(one, name, number=one.run * 4 + place) for one in attempts for place, name in enumerate(names)
    ]
    begun = time.process_time()
    found = measured(attempts, jobs)
    health_data(found)
    assert found.runs == 50_000
    assert time.process_time() - begun < 30  # about 3 s; the bound is for slow machines
