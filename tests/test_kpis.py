"""KPIs: milestones by the documented rule, shifts with what came at the time, and what an epic may say of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.derive.attribution import Rival, attribute, side_by_side, window_of
from achievement_collector.derive.kpis import judge_milestone
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.kpis import Direction, Kpi, Sample
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.entities import stale_things
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.editing import edit_achievement
from achievement_collector.services.kpi_statements import track_milestone
from achievement_collector.services.kpi_views import list_kpis, milestone_data, show_kpi
from achievement_collector.services.kpis import prometheus_status, scrape
from achievement_collector.services.records import Query, build_record, list_achievements
from tests.fakes.prometheus import Asked, FakePrometheus, Trouble, matrix, refusal, serve, vector
from tests.outside_world import DAY, HOUR, ROCKET, World, day, merged
from tests.prometheus_server import prometheus_with

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER


# --- the rule of milestones --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "value", "target", "previous", "best", "expected"),
    [
        (HIGHER, 0.066, 0.06, 0.06, None, True),  # exactly 10 % better
        (HIGHER, 0.0659, 0.06, 0.06, None, False),
        (HIGHER, 0.0599, 0.06, 0.03, None, False),  # the target is not reached
        (HIGHER, 0.06, 0.06, 0.05, None, True),  # reached is enough
        (LOWER, 0.45, 0.5, 0.5, None, True),
        (LOWER, 0.46, 0.5, 0.5, None, False),
        (LOWER, 0.51, 0.5, 5.0, None, False),
        (LOWER, 0.1, 0.5, 0.05, None, False),  # it reaches the target and got worse
        (HIGHER, 0.07, 0.06, 0.05, 0.07, False),  # back where a milestone had been
        (HIGHER, 0.0771, 0.06, 0.05, 0.07, True),
        (HIGHER, 5.0, 0.0, 0.0, None, True),  # from nothing
        (HIGHER, -80.0, -90.0, -100.0, None, True),
        (HIGHER, -95.0, -96.0, -100.0, None, False),
        (HIGHER, 1.0, 1.0, None, None, False),  # nothing to compare with
    ],
)
def test_a_milestone_reaches_its_target_and_is_a_tenth_better(
    direction: Direction,
    value: float,
    target: float,
    previous: float | None,
    best: float | None,
    expected: bool,
) -> None:
    judged = judge_milestone(direction, value, target, previous, best)
    assert judged.is_milestone is expected
    assert judged.why


_VALUES = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.sampled_from(Direction), _VALUES, _VALUES, st.none() | _VALUES, st.none() | _VALUES)
def test_no_milestone_is_worse_than_what_was_before(
    direction: Direction, value: float, target: float, previous: float | None, best: float | None
) -> None:
    if judge_milestone(direction, value, target, previous, best).is_milestone:
        assert previous is not None
        assert direction.gain(previous, value) > 0
        assert direction.reaches(value, target)
        assert best is None or direction.gain(best, value) > 0


@given(st.lists(st.floats(0.001, 1e6), max_size=30))
def test_what_returns_is_counted_once(values: list[float]) -> None:
    """However a series moves, each milestone is a tenth better than all before it."""
    best: float | None = None
    previous: float | None = None
    for value in [*values, *values]:
        if judge_milestone(HIGHER, value, 1.0, previous, best).is_milestone:
            assert best is None or value >= best * 1.0999
            best = value
        previous = value


# --- what came at the time ---------------------------------------------------------------------------


def deployment(version: str, at: int, **more: Any) -> Rival:
    return Rival("deployment", f"d/{version}", f"the deployment of {version}", at, version, **more)


def test_several_rivals_are_all_named_and_none_is_the_cause() -> None:
    found = attribute(
        0, 100, [deployment("1.1", 10), deployment("1.2", 90), Rival("change", "c", "feat: x", 50), deployment("1.3", 101)], -1.0
    )  # fmt: skip
    assert found.only is None
    assert not found.is_effect
    assert "coincided with 2 deployments" in found.words
    assert "1.1" in found.words
    assert "1.2" in found.words
    assert "cannot be told" in found.words
    assert "feat: x" in found.words
    assert "1.3" not in found.words


def test_one_deployment_coincides_unless_versions_ran_side_by_side() -> None:
    one = [deployment("2.0", 50)]
    alone = attribute(0, 100, one, -1.0)
    assert "It coincided with the deployment of 2.0" in alone.words
    slow = [Sample(at, 10.0 + at % 3) for at in range(-5, 20)]
    fast = [Sample(at, 5.0 + at % 3) for at in range(20)]
    both = attribute(0, 100, one, -5.0, {"1.9": slow, "2.0": fast})
    assert both.is_effect
    assert both.held is not None
    assert (both.held.pairs, both.held.agreeing, both.held.difference) == (20, 20, -5.0)
    assert "effect of the deployment of 2.0" in both.words
    for versions in (
        {"1.9": slow},
        {"2.0": fast},
        {"1.9": fast, "2.0": slow},
        {"1.9": slow[:10], "2.0": fast[:5]},
        {"1.9": slow[5:], "2.0": fast},  # it did not run before
        {"2.1": slow, "2.0": [Sample(at - 30, 5.0) for at in range(30)]},
    ):
        assert not attribute(0, 100, one, -5.0, versions).is_effect
    two = attribute(0, 100, [*one, deployment("2.1", 60)], -5.0, {"1.9": slow, "2.0": fast})
    assert not two.is_effect


def test_a_difference_that_is_no_clear_one_is_none() -> None:
    chance = random.Random(4)
    old = [Sample(at, chance.gauss(10, 1)) for at in range(-1, 40)]
    new = [Sample(at, chance.gauss(10, 1)) for at in range(40)]
    assert side_by_side("2", 0, {"1": old, "2": new}, -1.0) is None


def test_a_comparison_weeks_later_is_no_witness_of_a_roll_out() -> None:
    """1.3 was replaced by 1.4 at once. Weeks later 1.5 runs beside 1.4 and is slower; or 1.3 is brought back for a day."""
    at = day(30)
    old = [Sample(at - number * HOUR, 0.6) for number in range(100, 0, -1)]
    new = [Sample(at + number * HOUR, 0.4) for number in range(24 * 30)]
    later = [Sample(at + 20 * DAY + number * HOUR, 0.5) for number in range(24)]
    for versions in (
        {"1.3": old, "1.4": new, "1.5": later},
        {"1.3": [*old, *later], "1.4": new},
        {"1.4": new, "1.5": [Sample(at + number * HOUR, 0.5) for number in range(2, 40)]},
    ):
        found = attribute(at - 3 * HOUR, at + HOUR, [deployment("1.4", at)], -0.2, versions)
        assert not found.is_effect
    beside = [*old, *(Sample(at + number * HOUR, 0.6) for number in range(24))]
    assert attribute(
        at - 3 * HOUR, at + HOUR, [deployment("1.4", at)], -0.2, {"1.3": beside, "1.4": new}
    ).is_effect


def test_every_rival_counts_also_those_that_are_not_listed() -> None:
    changes = [Rival("change", f"c{number}", f"feat: {number}", 50 + number) for number in range(7)]
    found = attribute(0, 100, [deployment("1.1", 10), *changes], -1.0, more=1200)
    assert found.only is not None
    assert found.sole is None
    assert "1,207 merged changes came in the same window" in found.words
    assert "and 1202 more" in found.words
    assert found.as_data()["not_listed"] == 1200
    assert attribute(0, 100, [deployment("1.1", 10)], -1.0).sole is not None
    assert attribute(0, 100, [deployment("1.1", 10)], -1.0, more=1).sole is None


def test_nothing_known_is_said_so() -> None:
    assert "what moved it is not known" in attribute(0, 1, [], 1.0).words


def test_the_window_begins_before_what_a_query_over_an_hour_sees() -> None:
    assert window_of(10 * HOUR, 12 * HOUR, HOUR) == (8 * HOUR, 12 * HOUR)
    assert window_of(10 * DAY, 12 * DAY, DAY) == (8 * DAY, 12 * DAY)


# --- scraping ----------------------------------------------------------------------------------------

LATENCY = Kpi("latency", "latency_seconds", "Latency", LOWER, 0.5, "s")


def world_with(ledger: Ledger, url: str, *kpis: Kpi, **more: Any) -> World:
    world = World(ledger, prometheus_url=url, kpis=kpis or (LATENCY,), **more)
    world.now = day(60)
    return world


def ask(world: World, at: int) -> Any:
    world.now = at
    done = scrape(world.ledger, world.settings, at)
    world.conclude()
    return done


def hourly(first: float, last: float, value: Any) -> list[tuple[float, float]]:
    """Samples every 5 minutes, which hold for an hour each, of ``value(day)``."""
    begin, end = int(day(first) // 1000), int(day(last) // 1000)
    begin -= begin % 3600
    return [(at, value((at * 1000 - day(0)) / DAY)) for at in range(begin, end, 300)]


def step(before: float, after: float, at: float, spread: float, seed: int = 1) -> Any:
    def value(when: float) -> float:
        noise = random.Random(f"{seed}/{int(when * 24)}").gauss(0, spread)
        return (before if when < at else after) + noise

    return value


def test_a_deployment_that_improves_a_latency_is_told_with_its_epic(
    any_ledger: Ledger, tmp_path: Path
) -> None:
    samples = {"http_request_duration_seconds": hourly(0, 61, step(0.62, 0.41, 30.5, 0.02))}
    with prometheus_with(tmp_path / "prometheus", samples) as url:
        world = World(any_ledger, prometheus_url=url, kpi_history_days=40)
        sha = {number: f"{number + 4096:040x}" for number in (1, 2, 3)}
        world.now = day(29)
        world.hear(
            merged(2, day(20), title="feat: earlier work", author="bob", author_id=102),
            merged(1, day(30), title="perf(search): answer from a warm cache", body="Epic: E5.1"),
            released("1.0.0", day(21), sha[2]),
            released("1.1.0", day(30.5), sha[1]),
        )
        world.conclude()
        first = ask(world, day(29))
        assert first.milestones == []  # nothing to compare with
        assert "error_rate" in first.empty
        second = ask(world, day(60))
        (milestone,) = second.milestones
        assert milestone.kpi == "http_request_duration_seconds"
        assert milestone.value == pytest.approx(0.41, abs=0.06)
        again = ask(world, day(60))
        assert (again.milestones, again.samples) == ([], 0)

        (shift,) = [one for one in world.achievements(kind="kpi") if "fell" in one.title]
        assert "Request duration fell" in shift.title
        assert "It coincided with the deployment of 1.1.0 of acme/rocket to production" in shift.description
        assert "the only deployment known" in shift.description
        assert "95 % interval of the difference -" in shift.description
        assert [one.person for one in shift.credits] == ["alice"]
        assert [one.role.value for one in shift.credits] == ["shipped"]

        business = world.epic("E5.1").structure["metrics"]["business"]
        measured = business["measured_shifts"]
        assert measured["value"] == 1
        (told,) = measured["shifts"]
        assert told["before"] == pytest.approx(0.62, abs=0.01)
        assert told["after"] == pytest.approx(0.41, abs=0.01)
        assert told["pull_requests"] == [f"{ROCKET}#1"]
        assert told["wording"] == "coincided with"
        assert (
            "coincided with the deployment of 1.1.0 of acme/rocket to production, which brought rocket#1"
            in measured["text"]
        )
        # what nothing was measured of stays so
        assert business["revenue_impact"]["value"] is None
        assert "not measured" in business["revenue_impact"]["basis"]

        record = build_record(any_ledger, Query(), second_moment(world.now))
        assert {one.kind.value for one in record.achievements} >= {"change", "kpi"}
        assert {one.kind.value for one in record.gathered} == {"deployment"}


def second_moment(at: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at / 1000, UTC)


def released(
    version: str, at: int, sha: str, *, environment: str = "production", state: str = "success"
) -> Observation:
    fields = {
        "environment": environment, "sha": sha, "version": version, "state": state, "started": at - 60_000, "finished": at,
        "url": f"https://ci.example/{version}",
    }  # fmt: skip
    return Observation(Kind.DEPLOYMENT, f"{ROCKET}/deployment/{version}", at, fields, ROCKET)


def test_a_rollout_that_holds_side_by_side_is_an_effect(ledger: Ledger, tmp_path: Path) -> None:
    """Two versions ran beside each other: the effect may be named, and the epic's metric says so."""
    kpi = replace(
        LATENCY, query="avg(latency_seconds)", rollout_query="avg by (version) (latency_seconds)", rollout_label="version",
        metric="user_satisfaction_increase",
    )  # fmt: skip
    fast, slow = step(0.3, 0.3, 99, 0.01, 3), step(0.6, 0.6, 99, 0.01, 4)
    samples = {
        'latency_seconds{version="1.0.0"}': hourly(0, 32, slow),
        'latency_seconds{version="1.1.0"}': hourly(30, 61, fast),
    }
    with prometheus_with(tmp_path / "prometheus", samples) as url:
        world = world_with(ledger, url, kpi, kpi_history_days=40)
        world.hear(
            merged(2, day(20), author="bob", author_id=102),
            merged(1, day(29), title="perf: quantise", body="Epic: E5.1"),
            released("1.0.0", day(21), f"{2 + 4096:040x}"),
            released("1.1.0", day(30), f"{1 + 4096:040x}"),
        )
        world.conclude()
        ask(world, day(60))
        shifts = [one for one in world.achievements(kind="kpi") if "fell" in one.title]
        assert shifts
        told = " ".join(one.description for one in shifts)
        assert "It is the effect of the deployment of 1.1.0" in told
        metric = world.epic("E5.1").structure["metrics"]["business"]["user_satisfaction_increase"]
        assert metric["value"] == pytest.approx(0.15, abs=0.02) or metric["value"] == pytest.approx(
            0.3, abs=0.02
        )


def test_a_restart_and_a_second_process_create_nothing_new(any_ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(any_ledger, served.url, kpi_history_days=0)
        _answer(fake, 0.8)
        assert not ask(world, day(60)).milestones
        _answer(fake, 0.4)
        assert len(ask(world, day(61)).milestones) == 1
        assert not ask(world, day(61)).milestones
        _answer(fake, 0.39)
        assert not ask(world, day(62)).milestones  # better, not by a tenth
        _answer(fake, 0.9)
        assert not ask(world, day(63)).milestones
        _answer(fake, 0.4)
        assert not ask(world, day(64)).milestones  # back where it was
        _answer(fake, 0.3)
        assert len(ask(world, day(65)).milestones) == 1
    found = world.achievements(kind="kpi")
    assert [one.title for one in found] == [
        "Latency reached 300 ms, the target was 500 ms", "Latency reached 400 ms, the target was 500 ms",
    ]  # fmt: skip
    assert "was 800 ms: 50 % lower" in found[1].description


class Scripted(FakePrometheus):
    """Answers queries with what a test says."""

    query: Callable[[dict[str, str]], Trouble] = staticmethod(lambda _: Trouble(200, vector()))
    query_range: Callable[[dict[str, str]], Trouble] = staticmethod(lambda _: Trouble(200, matrix()))

    def answer(self, asked: Asked) -> Trouble:
        match asked.path:
            case "/api/v1/query":
                return self.query(asked.form)
            case "/api/v1/query_range":
                return self.query_range(asked.form)
        return super().answer(asked)


def _answer(fake: Scripted, *values: float | str, labels: tuple[dict[str, str], ...] = ()) -> None:
    names = labels or tuple({"job": str(number)} if len(values) > 1 else {} for number in range(len(values)))
    fake.query = lambda form: Trouble(
        200,
        vector(*((name, float(form["time"]), str(value)) for name, value in zip(names, values, strict=True))),
    )


def test_several_series_are_judged_apart_and_nan_is_no_value(ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, kpi_history_days=0)
        _answer(fake, 0.8, 0.9, "NaN")
        done = ask(world, day(60))
        assert (done.samples, done.left_out) == (2, 1)
        _answer(fake, 0.4, 0.85, "+Inf")
        (milestone,) = ask(world, day(61)).milestones
        assert milestone.series == 'latency{job="0"}'


def test_counters_are_made_whole_before_they_are_added(ledger: Ledger) -> None:
    posts = Kpi("posts", "posts_total", "Posts", HIGHER, 100, "count", is_counter=True)
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, posts, kpi_history_days=0)
        _answer(fake, 60, 20)
        assert not ask(world, day(60)).milestones
        _answer(fake, 5, 30)  # the first restarted: 65 + 30 in all
        assert not ask(world, day(61)).milestones
        _answer(fake, 45, 40)  # 105 + 40
        (milestone,) = ask(world, day(62)).milestones
        assert (milestone.value, milestone.previous) == (145.0, Sample(day(61), 95.0))


def test_what_cannot_be_asked_says_so_and_loses_nothing(ledger: Ledger) -> None:
    fake = Scripted()
    other = Kpi("other", "other", "Other", HIGHER, 1.0)
    with serve(fake) as served:
        world = world_with(ledger, served.url, LATENCY, other, kpi_history_days=0)
        _answer(fake, 0.8)
        ask(world, day(60))
        fake.query = lambda form: (
            refusal(400, "bad_data", "parse error") if form["query"] == "other"
            else Trouble(200, vector(({}, float(form["time"]), "0.4")))
        )  # fmt: skip
        done = ask(world, day(61))
        assert "parse error" in done.failures["other"]
        assert len(done.milestones) == 1
    with pytest.raises(CollectorError):
        scrape(ledger, world.settings, day(62))
    status = prometheus_status(ledger, world.settings, day(62))
    assert status["status"] == "failing"
    assert status["last_values"]["latency"]["value"] == 0.4
    assert status["thresholds"] == {"latency": 0.5, "other": 1.0}
    assert status["not_measured"] == []


def test_another_query_is_another_measurement(ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, kpi_history_days=0)
        _answer(fake, 0.8)
        ask(world, day(60))
        changed = replace(world.settings, kpis=(replace(LATENCY, query="other_seconds"),))
        world.settings = changed
        _answer(fake, 0.1)
        assert not ask(world, day(61)).milestones  # 0.8 was something else
        with ledger.read() as connection:
            (one,) = stored.stored_series(connection, "latency")
        assert [sample.value for sample in one.series.samples] == [0.1]


def test_history_is_asked_for_once_and_then_from_where_it_ends(ledger: Ledger) -> None:
    fake = Scripted()
    asked: list[tuple[float, float]] = []

    def history(form: dict[str, str]) -> Trouble:
        start, end, width = (float(form[name]) for name in ("start", "end", "step"))
        asked.append((start, end))
        points = [(start + number * width, "0.7") for number in range(int((end - start) / width) + 1)]
        return Trouble(200, matrix(({}, points)))

    fake.query_range = history
    with serve(fake) as served:
        world = world_with(ledger, served.url, kpi_history_days=10)
        _answer(fake, 0.7)
        first = ask(world, day(60))
        assert 240 <= first.samples <= 242
        second = ask(world, day(61))
        assert 24 <= second.samples <= 26
    assert asked[0][0] == pytest.approx(day(50) / 1000, abs=3600)
    assert asked[1][0] == pytest.approx(day(60) / 1000, abs=3600)


# --- what is stated ----------------------------------------------------------------------------------


def test_a_stated_milestone_names_who_states_it(any_ledger: Ledger) -> None:
    world = world_with(any_ledger, "http://127.0.0.1:1")
    first = track_milestone(
        any_ledger, world.settings, "revenue", 21_000, 20_000, day(1), unit="$", told_by="Ada"
    )
    assert first.milestone is not None
    same = track_milestone(any_ledger, world.settings, "revenue", 21_500, 20_000, day(2), unit="$")
    assert same.milestone is None
    assert "not 10% better" in same.why
    more = track_milestone(any_ledger, world.settings, "revenue", 25_000, 20_000, day(3), unit="$")
    assert more.milestone is not None
    world.conclude()
    found = {one.title: one for one in world.achievements(kind="kpi")}
    one = found["revenue reached $21,000, the target was $20,000"]
    assert "as stated by Ada" in one.description
    assert "No earlier value was recorded" in one.description
    assert one.value.kind.value == "stated"
    told = milestone_data(more.milestone)
    assert told["metrics"]["previous_value"] == 21_500
    assert told["metrics"]["improvement_percentage"] == pytest.approx(100 * 3500 / 21_500)
    assert told["business_value"]["kind"] == "stated"
    shown = show_kpi(any_ledger, world.settings, "revenue")
    assert len(shown["milestones_recorded"]) == 2


def test_money_is_derived_by_a_formula_that_is_shown(ledger: Ledger) -> None:
    kpi = Kpi("orders", "", "Orders", HIGHER, 100, "orders", money_per_unit=3.5)
    world = world_with(ledger, "http://127.0.0.1:1", kpi)
    track_milestone(ledger, world.settings, "orders", 80, 100, day(1))
    track_milestone(ledger, world.settings, "orders", 120, 100, day(2))
    world.conclude()
    (one,) = world.achievements(kind="kpi")
    assert one.value.kind.value == "derived"
    assert one.value.text == "$140: Orders 80 orders → 120 orders, at $3.50 per orders"
    assert one.value.formula
    assert dict(one.value.inputs)["before"] == "80 orders"


@pytest.mark.parametrize(("name", "value", "target"), [
    ("a b", 1.0, 1.0), ("", 1.0, 1.0), ("a", float("nan"), 1.0), ("a", 1.0, float("inf")), ("x" * 101, 1.0, 1.0),
])  # fmt: skip
def test_what_is_no_value_of_a_kpi_is_refused(ledger: Ledger, name: str, value: float, target: float) -> None:
    world = world_with(ledger, "http://127.0.0.1:1")
    with pytest.raises(CollectorError):
        track_milestone(ledger, world.settings, name, value, target, day(1))
    with ledger.read() as connection:
        assert not stored.names_of_kpis(connection)
        assert not stale_things(connection)


def test_an_edit_stays_and_can_be_taken_back(ledger: Ledger) -> None:
    world = world_with(ledger, "http://127.0.0.1:1")
    track_milestone(ledger, world.settings, "revenue", 21_000, 20_000, day(1))
    world.conclude()
    (one,) = world.achievements(kind="kpi")
    edit_achievement(ledger, one.id, {"title": "We made it"}, [], world.settings, int(day(2) // 1000))
    track_milestone(ledger, world.settings, "revenue", 30_000, 20_000, day(3))
    world.conclude()
    assert "We made it" in [found.title for found in world.achievements(kind="kpi")]


def test_an_unknown_kpi_is_not_invented(ledger: Ledger) -> None:
    world = world_with(ledger, "http://127.0.0.1:1")
    with pytest.raises(NotFoundError):
        show_kpi(ledger, world.settings, "nothing")
    (one,) = list_kpis(ledger, world.settings)
    assert one["last"] is None
    assert one["reaches_target"] is None
    assert list_achievements(ledger, Query(kind="kpi"), second_moment(day(1))).matching == 0
