"""Values of KPIs that are stated: in one unit, never taken for what was measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from achievement_collector.derive.kpis import Milestone
from achievement_collector.derive.quantities import quantity, share
from achievement_collector.errors import CollectorError
from achievement_collector.facts.kpis import Direction, Kpi, Sample
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.entities import mark_stale
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.kpi_terminal import kpi_in_full, kpis_table
from achievement_collector.services.kpi_series import look_for_shifts
from achievement_collector.services.kpi_statements import track_milestone
from achievement_collector.services.kpi_views import list_kpis, milestone_data, show_kpi
from achievement_collector.services.kpis import prometheus_status
from tests.outside_world import DAY, World, day
from tests.test_kpis import HIGHER, LATENCY, LOWER, Scripted, _answer, ask, serve, world_with

NOWHERE = "http://127.0.0.1:1"
RATE = Kpi("engagement", "engagement", "Engagement", HIGHER, 0.06, "ratio", money_per_unit=1_000_000.0)


def state(world: World, name: str, value: float, target: float, at: int, **more: Any) -> Any:
    return track_milestone(world.ledger, world.settings, name, value, target, at, **more)


def as_text(renderable: Any) -> str:
    from rich.console import Console

    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_a_measured_value_is_compared_with_measured_ones_only(any_ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(any_ledger, served.url, RATE, kpi_history_days=0)
        _answer(fake, 0.07)
        assert not ask(world, day(60)).milestones
        assert state(world, "engagement", 0.05, 0.04, day(60.5)).milestone is None  # 0.07 was before it
        assert not ask(world, day(61)).milestones  # constant, whatever was stated in between
        assert state(world, "engagement", 0.9, 0.04, day(61.5)).milestone is not None
        _answer(fake, 0.08)
        (one,) = ask(world, day(62)).milestones  # nor does a stated milestone hide a measured one
        assert one.previous == (day(61), 0.07)
        told = milestone_data(one)
        assert (told["metrics"]["origin"], told["metrics"]["previous_origin"]) == ("scrape", "scrape")


def test_a_stated_value_says_what_it_is_compared_with(ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, RATE, kpi_history_days=0)
        _answer(fake, 0.07)
        ask(world, day(60))
        found = state(world, "engagement", 0.08, 0.04, day(61), told_by="Ada").milestone
    told = milestone_data(found)
    assert "as stated by Ada" in told["description"]
    assert "was 7 %, as Prometheus measured it: 14 % higher" in told["description"]
    assert (told["metrics"]["origin"], told["metrics"]["previous_origin"]) == ("stated", "scrape")
    assert told["business_value"]["source"] == "stated, compared with prometheus"
    assert ["after, as stated", "8 %"] in [list(one) for one in told["business_value"]["inputs"]]


def test_a_stated_value_is_converted_to_the_unit_of_its_kpi(ledger: Ledger) -> None:
    world = world_with(ledger, NOWHERE, LATENCY, RATE)
    one = state(world, "latency", 450.0, 500.0, day(1), unit="ms").milestone
    assert one is not None
    assert (one.value, one.target, one.unit) == (pytest.approx(0.45), 0.5, "s")
    share = state(world, "engagement", 8.0, 6.0, day(1), unit="%").milestone
    assert share is not None
    assert (share.value, share.unit) == (pytest.approx(0.08), "ratio")
    with pytest.raises(CollectorError, match="kept in 's'"):
        state(world, "latency", 450.0, 500.0, day(2), unit="$")


def test_the_first_unit_that_is_stated_is_that_of_all(any_ledger: Ledger) -> None:
    world = world_with(any_ledger, NOWHERE)
    assert state(world, "build", 90.0, 60.0, day(1), unit="s", direction=LOWER).milestone is None
    with pytest.raises(CollectorError, match="kept in 's'"):
        state(world, "build", 50.0, 60.0, day(2), unit="points", direction=LOWER)
    assert state(world, "build", 50_000.0, 60_000.0, day(2), unit="ms", direction=LOWER).milestone
    state(world, "nps", 30.0, 40.0, day(1))
    with pytest.raises(CollectorError, match="without a unit"):
        state(world, "nps", 30.0, 40.0, day(2), unit="points")
    (build, nps) = (one for one in list_kpis(any_ledger, world.settings) if one["name"] in ("build", "nps"))
    assert build["stated"]["text"] == "50 s"
    assert nps["stated"]["text"] == "30"


def test_what_is_stated_is_not_shown_as_measured(any_ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(any_ledger, served.url, LATENCY, kpi_history_days=0)
        _answer(fake, 0.8)
        ask(world, day(60))
    state(world, "latency", 0.1, 0.5, day(61))
    state(world, "nps", 50.0, 40.0, day(61))
    latency, nps = list_kpis(any_ledger, world.settings)
    assert (latency["last"]["value"], latency["stated"]["value"]) == (0.8, 0.1)
    assert latency["reaches_target"] is False
    assert (latency["series"], latency["samples"]) == (1, 1)
    assert (nps["last"], nps["reaches_target"], nps["stated"]["value"]) == (None, None, 50.0)
    assert prometheus_status(any_ledger, world.settings, day(62))["last_values"]["latency"]["value"] == 0.8
    assert [one["origin"] for one in show_kpi(any_ledger, world.settings, "latency")["recorded"]] == [
        "measured", "stated",
    ]  # fmt: skip
    lines = as_text(kpis_table([latency, nps])).splitlines()
    assert "stated" in lines[0]
    assert "not measured" in lines[2]
    shown = as_text(kpi_in_full(show_kpi(any_ledger, world.settings, "nps")))
    assert "last not measured" in shown
    assert "nothing was measured" in shown
    assert "needed" not in shown


@pytest.mark.parametrize("direction", list(Direction))
def test_of_several_series_the_worst_is_told_everywhere(any_ledger: Ledger, direction: Direction) -> None:
    kpi = Kpi("load", "load", "Load", direction, 0.5)
    worst, best = (0.3, 0.9) if direction is HIGHER else (0.9, 0.3)
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(any_ledger, served.url, kpi, kpi_history_days=0)
        _answer(fake, best, best, labels=({"job": "a"}, {"job": "gone"}))
        ask(world, day(60))
        _answer(fake, best, worst, labels=({"job": "a"}, {"job": "b"}))
        ask(world, day(61))
    (one,) = list_kpis(any_ledger, world.settings)
    assert one["last"]["value"] == worst
    assert (one["last"]["series"], one["last"]["of_series"]) == ('load{job="b"}', 2)
    assert one["reaches_target"] is False
    told = prometheus_status(any_ledger, world.settings, day(61))["last_values"]["load"]
    assert (told["value"], told["series"]) == (worst, 'load{job="b"}')
    assert 'load{job="b"}, the worst of 2' in as_text(kpis_table([one]))


def test_the_last_value_of_a_counter_is_that_of_all_its_series(ledger: Ledger) -> None:
    kpi = Kpi("posts", "posts_total", "Posts", HIGHER, 100, "count", is_counter=True)
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, kpi, kpi_history_days=0)
        _answer(fake, 60, 70)
        ask(world, day(60))
    (one,) = list_kpis(ledger, world.settings)
    assert (one["last"]["value"], one["reaches_target"]) == (130.0, True)
    assert prometheus_status(ledger, world.settings, day(61))["last_values"]["posts"]["value"] == 130.0


def test_a_milestone_names_its_series(ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, LATENCY, kpi_history_days=0)
        _answer(fake, 0.8, 0.9)
        ask(world, day(60))
        _answer(fake, 0.4, 0.3)
        found = ask(world, day(61)).milestones
    assert [milestone_data(one)["title"] for one in found] == [
        'Latency (job="0") reached 400 ms, the target was 500 ms', 'Latency (job="1") reached 300 ms, the target was 500 ms',
    ]  # fmt: skip


def test_a_scrape_at_a_moment_of_the_history_is_judged(ledger: Ledger) -> None:
    """The history asked for ends with the moment of the scrape where that is a whole hour."""
    from tests.fakes.prometheus import Trouble, matrix

    fake = Scripted()
    with serve(fake) as served:
        world = world_with(ledger, served.url, LATENCY, kpi_history_days=1)
        first = day(60) // DAY * DAY
        for at, value in ((first, 0.8), (first + DAY, 0.4)):
            fake.query_range = lambda form, value=value: Trouble(
                200, matrix(({}, [(float(form["end"]), str(value))]))
            )
            _answer(fake, value)
            found = ask(world, at).milestones
    assert len(found) == 1


# --- numbers beyond all measure ----------------------------------------------------------------------


@pytest.mark.parametrize(("value", "target"), [
    (1.1e15, 1.0), (-1.1e15, 1.0), (1.0, 1e308), (1.0, float("-inf")), (float("nan"), 1.0),
])  # fmt: skip
def test_values_and_targets_beyond_what_is_configurable_are_refused(
    ledger: Ledger, value: float, target: float
) -> None:
    world = world_with(ledger, NOWHERE)
    with pytest.raises(CollectorError, match="must be a number between"):
        state(world, "m2", value, target, day(1))
    assert state(world, "m2", 1e15, 1e15, day(1)).milestone is not None


def test_what_was_stored_without_bounds_breaks_nothing(any_ledger: Ledger) -> None:
    """An earlier version took these, and gave a milestone whose gain is infinite."""
    kpi = Kpi("m2", "", "M2", HIGHER, 1.0, "$", money_per_unit=1e12)
    world = world_with(any_ledger, NOWHERE, kpi)
    found = Milestone(
        "m2", "m2", "M2", "$", HIGHER, day(2), 1e308, 1.0, Sample(day(1), -1e308), "stated", "", 1e12, "$"
    )
    with any_ledger.write() as connection:
        number = stored.series_id(connection, "m2", {})
        stored.add_samples(connection, number, [Sample(day(1), -1e308), Sample(day(2), 1e308)], "stated")
    world.tell(stored.milestone_observation(found))
    with any_ledger.write() as connection:
        mark_stale(connection, [("kpi", "m2", "test")], day(3))
    world.conclude()
    (one,) = world.achievements(kind="kpi")
    assert one.title == "M2 reached 1e+308 $, the target was $1"
    assert one.value.kind.value == "stated"
    told = milestone_data(found)
    assert told["metrics"]["improvement_percentage"] is None
    json.dumps(show_kpi(any_ledger, world.settings, "m2"), allow_nan=False)
    json.dumps(list_kpis(any_ledger, world.settings), allow_nan=False)


@pytest.mark.parametrize("is_counter", [False, True])
def test_measured_values_of_any_size_can_be_shown(ledger: Ledger, is_counter: bool) -> None:
    kpi = Kpi("huge", "huge", "Huge", HIGHER, 1.0, "s", money_per_unit=1e12, is_counter=is_counter)
    world = world_with(ledger, NOWHERE, kpi)
    with ledger.write() as connection:
        for pod, sign in (("a", 1), ("b", 1), ("c", -1)):
            number = stored.series_id(connection, "huge", {"pod": pod})
            samples = [Sample(day(1) + at * 3_600_000, sign * 1.7e308 * (at % 2)) for at in range(200)]
            stored.add_samples(connection, number, samples, "scrape")
    look_for_shifts(ledger, world.settings, kpi, day(20))
    listed = list_kpis(ledger, world.settings)
    json.dumps(listed, allow_nan=False)
    json.dumps(show_kpi(ledger, world.settings, "huge"), allow_nan=False)
    assert max(len(line) for line in as_text(kpis_table(listed)).splitlines()) <= 200
    assert quantity(1.7e308, "$") == "1.7e+308 $"
    assert len(share(1e300)) < 20
