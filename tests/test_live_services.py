"""What keeps collecting when something goes wrong: failures that hold up nothing, deployments and epics that stay."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from achievement_collector.api.kept import Kept
from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.facts.work import Deployment
from achievement_collector.ledger.collecting import ensure_repository
from achievement_collector.ledger.deployments import recorded_deployments
from achievement_collector.ledger.entities import mark_stale, stale_things, take_in
from achievement_collector.ledger.people import list_people
from achievement_collector.ledger.store import Ledger
from achievement_collector.services import deriving, live
from achievement_collector.services.doctor import examine
from achievement_collector.services.epics import epic_data, link_by_hand, pull_key, start_epic
from achievement_collector.services.live import bring_up_to_date
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.deployments import translate
from tests.outside_world import ROCKET, World, check, day, issue, merged, project

OTHER = "github.com/acme/other"
NOW = 1_795_000_000_000


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    live._pauses.clear()
    yield
    live._pauses.clear()


# --- one that fails ----------------------------------------------------------------------------------


def test_a_repository_that_cannot_be_derived_holds_up_nothing(
    any_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(any_ledger)
    world.hear(
        merged(1, day(1), body="Epic: E1"), merged(2, day(1), place=OTHER), issue("ENG-1", "Rank", day(1))
    )
    with any_ledger.write() as connection:
        bad = ensure_repository(connection, ROCKET)
    derive, tried = deriving.derive_repository, []

    def fails(ledger: Ledger, number: int, *others: Any, **more: Any) -> Any:
        if number == bad:
            tried.append(number)
            raise CollectorError("it is broken")
        return derive(ledger, number, *others, **more)

    monkeypatch.setattr(deriving, "derive_repository", fails)

    def conclude(after: int) -> None:
        bring_up_to_date(any_ledger, world.settings, lambda: world.now + after)

    with pytest.raises(CollectorError, match="broken"):
        conclude(0)
    assert world.epics() == ["E1"]
    assert [one.title for one in world.achievements()] != []  # those of the other repository
    with any_ledger.read() as connection:
        assert [(one.kind, one.key) for one in stale_things(connection)] == [("repository", ROCKET)]
    conclude(1_000)  # it rests
    assert len(tried) == 1
    with pytest.raises(CollectorError):
        conclude(2_000)
    conclude(5_000)
    assert len(tried) == 2  # and the pause grows
    monkeypatch.undo()
    conclude(400_000)
    with any_ledger.read() as connection:
        assert stale_things(connection) == []


def test_no_pause_is_longer_than_five_minutes(ledger: Ledger) -> None:
    done, now = live._Pass(), 0
    for _ in range(40):
        with live._tolerated(ledger, "repository x", now, done):
            raise ValueError
    assert live._rests(ledger, "repository x", 299_999)
    assert not live._rests(ledger, "repository x", 300_000)
    assert list(done.failures) == ["repository x"]


def test_doctor_names_what_is_not_concluded_and_what_was_never_scanned(ledger: Ledger) -> None:
    now = time.time_ns() // 1_000_000
    with ledger.write() as connection:
        ensure_repository(connection, "github.com/acme/forge-only")
        mark_stale(connection, [("repository", "github.com/acme/x", "x")], now - 11 * 60_000)
        mark_stale(connection, [("repository", "github.com/acme/y", "y")], now - 60_000)
    told = "\n".join(one.finding for one in examine(Settings(database=ledger.name)))
    assert "not concluded since 2" in told
    assert ": github.com/acme/x" in told
    assert "github.com/acme/y" not in told
    assert "github.com/acme/forge-only: known from its forge, never scanned" in told
    assert "1970" not in told


# --- deployments -------------------------------------------------------------------------------------


def _deployed(ledger: Ledger, *told: tuple[int, dict[str, Any]]) -> Deployment:
    for received, fields in told:
        body = {"id": "b1", "repository": "acme/rocket", "environment": "production", **fields}
        with ledger.write() as connection:
            take_in(connection, translate(Body(body), NOW + received), NOW)
    with ledger.read() as connection:
        (found,) = recorded_deployments(connection).deployments
    return found


TIMES = {"started_at": "2026-11-01T09:00:00Z", "finished_at": "2026-11-01T09:03:00Z"}


def test_a_rollback_is_undone_by_a_later_deployment_only(ledger: Ledger) -> None:
    """All have the times of the one deployment, which a rollback has no end of its own beside."""
    steps = [
        (n, {"status": status, **TIMES}) for n, status in enumerate(("succeeded", "rolled_back", "succeeded"))
    ]
    assert _deployed(ledger, *steps).state == "rolled_back"
    again = {"status": "succeeded", "updated_at": "2026-11-18T14:30:00Z"}
    found = _deployed(ledger, (4, again))
    assert found.state == "success"
    assert (found.finished or 0) - (found.started or 0) == 180_000


def test_a_start_that_comes_late_says_by_updated_at_that_it_is_old(ledger: Ledger) -> None:
    late = {"status": "started", "started_at": TIMES["started_at"], "updated_at": TIMES["started_at"]}
    found = _deployed(ledger, (0, {"status": "succeeded", **TIMES}), (5_000, late))
    assert found.state == "success"
    assert found.finished is not None


# --- epics -------------------------------------------------------------------------------------------


def _final(world: World, title: str = "E30 Search") -> None:
    world.tell(
        project("search", title, day(3), completed=day(3)), merged(1, day(2), body="Epic: E30"),
        check(1, "success", day(2)),
    )  # fmt: skip
    assert (world.epic("E30").state, world.epic("E30").revision) == ("completed", 1)


def test_a_final_epic_keeps_its_key_when_its_project_is_retitled(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    _final(world)
    versions, digest = world.versions("E30"), world.epic("E30").content_hash
    world.tell(project("search", "E31 Finding", day(9), completed=day(3)))
    assert world.epics() == ["E30"]
    epic = world.epic("E30")
    assert (epic.title, epic.state, epic.revision) == ("E31 Finding", "completed", 1)
    assert (world.versions("E30"), epic.content_hash) == (versions, digest)
    assert len(world.achievements(kind="epic")) == 1
    world.tell(merged(2, day(10), body="Epic: E31"))  # the new key is one more name of it
    assert world.epics() == ["E30"]
    assert set(world.members("E30")) == {f"{ROCKET}#1", f"{ROCKET}#2"}


def test_other_words_leave_a_final_epic_final(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    _final(world)
    before, versions = world.epic("E30"), world.versions("E30")
    assert epic_data(before)["changed_since"] is False
    world.tell(Observation(Kind.PULL_REQUEST, f"{ROCKET}#1", day(8), {"title": "Another title", "body": "Epic: E30\n\nMore."}, ROCKET))  # fmt: skip
    world.tell(project("search", "E30 Search", day(9), completed=day(3), description="Answers."))
    after = world.epic("E30")
    assert after.structure["description"] == "Answers."
    assert (after.state, after.revision, after.content_hash, after.finalised) == (
        "completed", 1, before.content_hash, before.finalised,
    )  # fmt: skip
    assert world.versions("E30") == versions
    assert [one.kind for one in world.events("E30")][-1] == "grew"
    assert "reopened" not in [one.kind for one in world.events("E30")]
    assert epic_data(after)["changed_since"] is True
    world.tell(merged(2, day(10), body="Epic: E30"), check(2, "success", day(10)))
    assert world.epic("E30").revision == 2
    assert epic_data(world.epic("E30"))["changed_since"] is False


def test_an_epic_is_started_once_whatever_the_case_of_its_key(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    assert start_epic(any_ledger, "E9", "Maps", "", world.now) == "E9"
    assert start_epic(any_ledger, "e9", "Better maps", "", world.now + 1) == "E9"  # before it is built
    world.conclude()
    assert start_epic(any_ledger, "e9", "Best maps", "", world.now + 2) == "E9"
    world.conclude()
    assert world.epics() == ["E9"]
    assert world.epic("E9").title == "Best maps"


def test_the_title_of_an_epic_of_linear_is_linears(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E30 Search", day(1)))
    with pytest.raises(CollectorError, match="its title comes from Linear"):
        start_epic(any_ledger, "e30", "Mine", "", world.now)
    assert start_epic(any_ledger, "e30", "", "", world.now) == "E30"


def test_a_link_starts_an_epic_and_says_so(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(1)))
    assert link_by_hand(any_ledger, "E404", "Acme/Rocket#1", True, world.now) == ("E404", True)
    world.conclude()
    assert set(world.members("E404")) == {f"{ROCKET}#1"}
    assert link_by_hand(any_ledger, "e404", "acme/rocket#1", True, world.now) == ("E404", False)
    for key in ("two words", "a/b", ""):
        with pytest.raises(CollectorError, match="no key"):
            link_by_hand(any_ledger, key, "acme/rocket#1", True, world.now)


def test_an_epic_is_no_achievement_more_of_its_people(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    _final(world)
    with any_ledger.read() as connection:
        assert [one.achievements for one in list_people(connection)] == [1]


@pytest.mark.parametrize("rest", ["", "/", "/files", "/commits/abc", "#discussion_r1", "?w=1"])
def test_the_address_of_any_page_of_a_pull_request_names_it(rest: str) -> None:
    assert pull_key(f"https://github.com/acme/rocket/pull/4{rest}") == f"{ROCKET}#4"


# --- answers that are kept ---------------------------------------------------------------------------


def test_one_answer_that_takes_long_holds_up_no_other(ledger: Ledger) -> None:
    kept, begun, may_end, made = Kept(), threading.Event(), threading.Event(), []

    def slow() -> int:
        made.append(1)
        begun.set()
        assert may_end.wait(10)
        return 1

    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(kept.get(ledger, "a", slow))) for _ in range(3)]
    for one in threads:
        one.start()
    assert begun.wait(10)
    assert kept.get(ledger, "b", lambda: 2) == 2
    may_end.set()
    for one in threads:
        one.join(10)
    assert answers == [1, 1, 1]
    assert made == [1]
