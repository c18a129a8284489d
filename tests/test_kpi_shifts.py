"""Shifts of KPIs as they are stored and told: who is named with them, in which unit, and for how long they stay."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from achievement_collector.facts.kpis import Direction, Kpi, Sample
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.kpis import look_for_shifts
from tests.conftest import scan_into
from tests.git_repositories import ALICE, BOB, Repository, lines
from tests.outside_world import DAY, HOUR, World
from tests.test_deployments import Project, told

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
