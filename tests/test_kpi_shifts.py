"""Shifts of KPIs as they are stored and told: who is named with them, in which unit, and for how long they stay."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.derive.kpis import KpiShift
from achievement_collector.derive.quantities import change, difference, quantity
from achievement_collector.facts.kpis import Direction, Kpi, Sample
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.kpi_terminal import kpi_in_full
from achievement_collector.services.kpi_series import look_for_shifts
from achievement_collector.services.kpi_views import list_kpis, measured_series, show_kpi
from achievement_collector.services.kpis import record_metrics, scrape
from achievement_collector.sources.prometheus.ranges import widest_range
from tests.conftest import scan_into
from tests.fakes.prometheus import Trouble, matrix
from tests.git_repositories import ALICE, BOB, Repository, lines
from tests.outside_world import DAY, HOUR, World, day
from tests.test_deployments import Project, told
from tests.test_kpi_statements import as_text
from tests.test_kpis import Scripted, _answer, serve

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER
LATENCY = Kpi("latency", "latency_seconds", "Latency", LOWER, 0.5, "s")


def measured(
    world: World, kpi: Kpi, samples: Sequence[Sample], now: int | None = None, **labels: str
) -> bool:
    """Stores what Prometheus' history gave, looks for shifts and concludes; whether the shifts changed."""
    with world.ledger.write() as connection:
        number = stored.series_id(connection, kpi.name, labels)
        stored.add_samples(connection, number, samples, "history")
    changed = look_for_shifts(world.ledger, world.settings, kpi, now or samples[-1].at + 1)
    world.conclude()
    return changed


def around(
    at: int, before: float, after: float, spread: float, days: float = 20, step: int = HOUR
) -> list[Sample]:
    """Samples about one level until ``at`` and about another from it on."""
    chance = random.Random(1)
    count = int(days * DAY / step)
    return [
        Sample(at + number * step, (before if number < 0 else after) + chance.gauss(0, spread))
        for number in range(-count, count)
    ]


def shifts(world: World) -> list[Any]:
    return [one for one in world.achievements(kind="kpi") if "→" in one.title]


def test_a_change_behind_many_that_were_shipped_keeps_the_credit_away(
    any_ledger: Ledger, tmp_path: Path
) -> None:
    """One change of another repository came as well, before forty that the only deployment shipped."""
    world = World(any_ledger, kpis=(LATENCY,))
    rocket = Project(any_ledger, tmp_path / "rocket")
    first = rocket.change("first")
    rocket.git.now += 40 * 86_400
    other = Repository(tmp_path / "other")
    other.git("remote", "add", "origin", "https://github.com/acme/other.git")
    other.now = rocket.git.now - 86_400
    other.commit("feat: a beta module", {"src/beta.py": lines(80, "beta")}, author=BOB)
    for number in range(40):
        rocket.git.now -= 86_400 - 60  # every commit is a day after the one before it, else
        rocket.change(f"part{number}", ALICE)
    rocket.scan()
    scan_into(any_ledger, other.path)
    at = rocket.git.now * 1000 + HOUR
    world.hear(told("1.0", at - 39 * DAY, first), told("1.1", at, rocket.git.head()))
    world.now = at + 30 * DAY
    world.conclude()
    measured(world, LATENCY, around(at + HOUR, 0.62, 0.41, 0.02))
    (one,) = shifts(world)
    assert "the only deployment known" in one.description
    assert "One merged change came in the same window: A beta module (other)" in one.description
    assert one.credits == ()


# --- counters ----------------------------------------------------------------------------------------

POSTS = Kpi("posts", "posts_total", "Posts", HIGHER, 100, "count", 5.0, is_counter=True)


def counting(at: int, before: float, after: float, days: float = 20, spread: float = 1.0) -> list[Sample]:
    """A counter that is read every hour, whose increase a day changes at one moment."""
    total, found = 1_000.0, []
    for one in around(at, before / 24, after / 24, spread, days):
        total += max(0.0, one.value)
        found.append(Sample(one.at, total))
    return found


def test_the_shift_of_a_counter_is_told_a_day(ledger: Ledger) -> None:
    world = World(ledger, kpis=(POSTS,))
    measured(world, POSTS, counting(day(100), 1_200, 2_400))
    (one,) = shifts(world)
    assert re.fullmatch(r"Posts rose \d+ %: 1,\d\d\d → 2,\d\d\d a day", one.title)
    assert re.search(r"Posts: 1,\d\d\d → 2,\d\d\d a day, \d+ % higher", one.description)
    assert re.search(r"interval of the difference \+1,\d\d\d a day to \+1,\d\d\d a day", one.description)
    assert all(item.value.endswith(" a day") for item in one.evidence if item.kind == "kpi")
    assert re.fullmatch(
        r"\$[56],\d\d\d a day: Posts 1,\d\d\d → 2,\d\d\d a day, at \$5 per unit", one.value.text
    )
    shown = show_kpi(ledger, world.settings, "posts")
    assert shown["shifts_found"][0]["unit"] == "a day"
    assert "95 % interval +1," in as_text(kpi_in_full(shown))
    assert "a day, p = " in as_text(kpi_in_full(shown))


def test_units_of_a_day_are_told_once() -> None:
    assert quantity(120, "a day") == "120 a day"
    assert quantity(3.5, "$ a day") == "$3.50 a day"
    assert change(120, 240, "posts a day") == "120 posts → 240 posts a day"
    assert change(0.6, 0.4, "s") == "600 ms → 400 ms"
    assert difference(-120, "a day") == "-120 a day"
    assert quantity(2, "extra day") == "2 extra day"


def test_what_a_counter_showed_when_it_was_seen_first_was_not_counted_now(any_ledger: Ledger) -> None:
    world = World(any_ledger, kpis=(POSTS,), kpi_history_days=0)

    def scraped(number: int, **pods: float) -> Any:
        told = [("posts", {"pod": name}, value) for name, value in pods.items()]
        return record_metrics(any_ledger, world.settings, told, day(number)).milestones

    def last() -> float:
        (one,) = list_kpis(any_ledger, world.settings)
        return float(one["last"]["value"])

    assert not scraped(0, a=5_000)
    assert not scraped(1, a=5_010)
    assert not scraped(2, a=5_020, b=52_000)  # a second one, that has counted for long
    assert last() == 5_020
    assert not scraped(3, a=5_030, b=52_010)
    assert last() == 5_040
    assert not scraped(4, a=2, b=3)  # both restarted
    assert last() == 5_045
    assert not scraped(5, a=2)
    (milestone,) = scraped(6, a=2, b=1_003)  # it was away, and is the same one
    assert (milestone.previous, milestone.value) == ((day(5), 5_045.0), 6_045.0)


def test_a_scrape_beside_the_history_makes_no_rate_of_its_own(ledger: Ledger) -> None:
    """The history is read at whole hours, a scrape some seconds later: an increase of one in 4 s would be 21,600 a day."""
    world = World(ledger, kpis=(POSTS,))
    history = counting(day(100), 14_400, 14_400, 30)
    scrapes = [Sample(one.at + 4_000, one.value + number % 4) for number, one in enumerate(history[::24])]
    measured(world, POSTS, history)
    (alone,) = list_kpis(ledger, world.settings)
    with ledger.write() as connection:
        stored.add_samples(connection, stored.series_id(connection, "posts", {}), scrapes, "scrape")
    (beside,) = list_kpis(ledger, world.settings)
    assert beside["dynamic_threshold"]["usual"] == alone["dynamic_threshold"]["usual"]


# --- what history holds ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(increase(orders_total[1d]))", DAY),
        ("avg_over_time(x[1h30m]) / rate(y[5m])", HOUR + HOUR // 2),
        ("max_over_time(rate(x[5m])[2d:1h])", 2 * DAY),
        ('x{path=~"[12]d", y=`[9d]`} # [3w]', 0),
        ("rate(x[7200])", 2 * HOUR),
        ("rate(x[1w2d] offset 3y)", 9 * DAY),
        ("up", 0),
        ("x[$range]", 0),
    ],
)
def test_how_far_a_query_looks_back(query: str, expected: int) -> None:
    assert widest_range(query) == expected


def test_a_sum_over_a_day_shows_its_shift(ledger: Ledger) -> None:
    """The example of the configuration, whose values of neighbouring hours share 23 of 24 hours."""
    orders = Kpi("orders_per_day", "sum(increase(orders_total[1d]))", "Orders", HIGHER, 1000, "orders")
    world = World(ledger, kpis=(orders,))
    chance = random.Random(7)
    begin = day(100) // DAY * DAY
    hours = [chance.gauss(40, 15) * (2 if number > 45 * 24 else 1) for number in range(90 * 24)]
    samples = [
        Sample(begin + number * HOUR, sum(hours[number - 24 : number])) for number in range(24, 90 * 24)
    ]
    measured(world, orders, samples)
    (one,) = shifts(world)
    assert one.title.startswith("Orders rose")
    shown = show_kpi(ledger, world.settings, "orders_per_day")
    assert shown["series_found"][0]["samples"] == 89
    assert "1 day apart: so far its query looks back" in as_text(kpi_in_full(shown))


def test_history_is_asked_for_as_often_as_its_query_looks_back(ledger: Ledger) -> None:
    fake, steps = Scripted(), []
    fake.query_range = lambda form: steps.append(form["step"]) or Trouble(200, matrix())
    kpis = (Kpi("a", "sum(increase(a[1d]))"), Kpi("b", "b"), Kpi("c", "rate(c[90m])"))
    with serve(fake) as served:
        world = World(ledger, prometheus_url=served.url, kpis=kpis)
        scrape(ledger, world.settings, day(60))
    assert steps == ["86400", "3600", "7200"]


def test_what_history_leaves_out_is_counted_and_what_it_misses_is_asked_for_again(any_ledger: Ledger) -> None:
    fake, asked = Scripted(), []

    def history(form: dict[str, str]) -> Trouble:
        start, end = float(form["start"]), float(form["end"])
        asked.append((start, end))
        return Trouble(200, matrix(({}, [(start, "NaN"), (end - 3600, "0.7")]), **told))

    fake.query_range = history
    _answer(fake, 0.7)
    with serve(fake) as served:
        world = World(any_ledger, prometheus_url=served.url, kpis=(LATENCY,), kpi_history_days=10)
        told: dict[str, Any] = {"warnings": ["half of the stores gave no answer"]}
        first = scrape(any_ledger, world.settings, day(60))
        assert first.left_out == 1
        assert first.warnings == {"latency": ["half of the stores gave no answer"]}
        told = {"infos": ["PromQL info: metric might not be a counter"]}
        assert scrape(any_ledger, world.settings, day(61)).warnings
        scrape(any_ledger, world.settings, day(62))
    starts = [round(start * 1000 - day(0)) / DAY for start, _ in asked]
    assert starts == [pytest.approx(expected, abs=0.05) for expected in (50, 50, 61)]


# --- as time goes on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [2, 5, 11])
def test_a_shift_stays_one_as_the_window_moves_over_it(ledger: Ledger, seed: int) -> None:
    """One step after 100 days, looked at every day until it has left the window."""
    world = World(ledger)
    chance = random.Random(seed)
    begin = day(0) // DAY * DAY
    samples = [
        Sample(begin + number * DAY, (100 if number < 100 else 130) + chance.gauss(0, 20))
        for number in range(240)
    ]
    kpi = Kpi("load", "load")
    seen: list[list[int]] = []
    with ledger.write() as connection:
        number = stored.series_id(connection, "load", {})
        stored.add_samples(connection, number, samples[:100], "history")
    for sample in samples[100:]:
        with ledger.write() as connection:
            stored.add_samples(connection, number, [sample], "history")
        look_for_shifts(ledger, world.settings, kpi, sample.at + 1)
        with ledger.read() as connection:
            seen.append([round((one.at - begin) / DAY) for one in stored.stored_shifts(connection, "load")])
    about_it = [[one for one in found if one < 140] for found in seen]
    assert max(len(one) for one in about_it) == 1
    settled = about_it[45]
    assert abs(settled[0] - 100) <= 5
    assert all(one == settled for one in about_it[45:])


def shift(at: int, earliest: int, latest: int, difference: float = 5.0) -> KpiShift:
    return KpiShift(
        "load",
        at,
        earliest,
        latest,
        1.0,
        1.0 + difference,
        50,
        50,
        difference,
        None,
        None,
        None,
        0.001,
        "",
        DAY,
    )


def test_what_is_settled_is_found_again_and_neither_moved_nor_doubled(any_ledger: Ledger) -> None:
    with any_ledger.write() as connection:
        number = stored.series_id(connection, "load", {})
        first = [shift(day(20), day(19), day(21)), shift(day(80), day(79), day(81), -5.0)]
        assert stored.replace_shifts(connection, number, first, day(100))
        again = [shift(day(41), day(18), day(44)), shift(day(78), day(77), day(81), -4.0)]
        assert stored.replace_shifts(connection, number, again, day(101), day(40))
        near = [shift(day(24), day(24), day(24)), shift(day(52), day(51), day(53))]
        assert stored.replace_shifts(connection, number, near, day(102), day(40))
        found = stored.stored_shifts(connection, "load")
        assert not stored.replace_shifts(connection, number, near, day(103), day(40))
    assert [(one.at, one.shift.latest) for one in found] == [(day(20), day(21)), (day(52), day(53))]


def test_another_query_is_looked_at_as_if_for_the_first_time(ledger: Ledger) -> None:
    """What was settled was the other's."""
    fake = Scripted()
    end = day(100) // DAY * DAY

    def history(form: dict[str, str]) -> Trouble:
        chance, start, last = random.Random(1), int(float(form["start"])), int(float(form["end"]))
        step = (end - 60 * DAY) // 1000 if form["query"] == "other" else 0
        moments = range(start, last + 1, 7200)
        return Trouble(
            200,
            matrix(({}, [(at, str((0.6 if at < step else 0.4) + chance.gauss(0, 0.02))) for at in moments])),
        )

    fake.query_range = history
    _answer(fake, 0.4)
    with serve(fake) as served:
        world = World(ledger, prometheus_url=served.url, kpis=(LATENCY,))
        scrape(ledger, world.settings, end)
        world.settings = replace(world.settings, kpis=(replace(LATENCY, query="other"),))
        scrape(ledger, world.settings, end + HOUR)
    with ledger.read() as connection:
        (one,) = stored.stored_shifts(connection, "latency")
    assert abs(one.at - (end - 60 * DAY)) < DAY


def test_the_shift_of_a_counter_outlives_the_pods_that_counted(ledger: Ledger) -> None:
    world = World(ledger, kpis=(POSTS,))
    samples = counting(day(100), 1_200, 2_400)
    measured(world, POSTS, samples, pod="m")
    before = [one.id for one in shifts(world)]
    later = [Sample(one.at + 41 * DAY, one.value) for one in counting(day(100), 2_400, 2_400)]
    measured(world, POSTS, later, pod="a")
    assert [one.id for one in shifts(world)] == before
    assert len(before) == 1


def test_a_deployment_whose_end_nobody_told_is_a_rival(ledger: Ledger) -> None:
    world = World(ledger, kpis=(LATENCY,))
    at = day(100)
    world.hear(
        told("1.1", at - HOUR, "a" * 40, version="1.1"),
        told("1.2", at, "b" * 40, state="in_progress", finished=None, version="1.2"),
    )
    measured(world, LATENCY, around(at, 0.62, 0.41, 0.02))
    (one,) = shifts(world)
    assert "coincided with 2 deployments" in one.description
    assert "the deployment (no end of it is known) of 1.2" in one.description


def test_a_chart_says_how_many_deployments_it_leaves_out(ledger: Ledger) -> None:
    world = World(ledger, kpis=(LATENCY,))
    at = day(100)
    world.hear(
        *(told(f"1.{number}", at + number * 60_000, "a" * 40, version=f"1.{number}") for number in range(50))
    )
    measured(world, LATENCY, around(at, 0.62, 0.41, 0.02))
    (drawn,) = measured_series(ledger, world.settings, ["latency"])
    assert len(drawn.deployments) == 40
    assert drawn.deployments[-1][1].endswith("to production; 10 later ones near a change are not marked")
    (one,) = shifts(world)
    assert "coincided with 50 deployments" in one.description
    assert any("30 more coincided with it, not listed here" in item.label for item in one.evidence)
