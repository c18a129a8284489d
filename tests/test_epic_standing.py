"""Epics that end otherwise than by their completion: withdrawn, completed by hand, reopened."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from achievement_collector.derive.epics import iso
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger.entities import mark_stale
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.epic_terminal import events_log
from achievement_collector.services.epics import complete_epic, find_epic
from achievement_collector.services.exporting import export_epic
from tests.outside_world import World, check, day, done, issue, merged, project


def complete(at: int) -> Observation:
    return project("search", "E5.1 Search", at, started=day(1), completed=at, status="completed")


def finished(world: World) -> None:
    """An epic that Linear completed on day 14."""
    world.tell(project("search", "E5.1 Search", started=day(1)), issue("ENG-11", "Rank", project="search"))
    world.tell(merged(3, day(6), branch="eng-11-rank"), check(3, "success", day(6)), complete(day(14)))


def test_a_final_epic_that_is_withdrawn_stays_to_be_seen(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    versions, events = world.versions("E5.1"), len(world.events("E5.1"))
    world.tell(Observation(Kind.PROJECT, "linear/search", day(31), {"removed": True}))
    epic = world.epic("E5.1")
    why = "nothing belongs to it any more: its project was removed from Linear"
    assert (epic.state, epic.revision, epic.title) == ("withdrawn", 1, "E5.1 Search")
    assert epic.unmet == (f"withdrawn at {iso(epic.changed)}: {why}",)
    assert world.versions("E5.1") == versions
    last = world.events("E5.1")[-1]
    assert (last.kind, last.told) == ("withdrawn", why)
    assert len(world.events("E5.1")) > events
    with any_ledger.read() as connection:
        assert (
            find_epic(connection, "e5.1").state == find_epic(connection, "e5.1 search").state == "withdrawn"
        )
        (told,) = [one for one in ledger_epics.notified(connection) if one.kind == "epic.withdrawn"]
    assert told.body == {"epic": "E5.1", "title": "E5.1 Search", "revision": 1, "why": why}

    before = world.events("E5.1")
    with any_ledger.write() as connection:
        mark_stale(connection, [("epic", "E5.1", "the rules")], world.now)
    world.conclude()
    assert world.events("E5.1") == before  # it is withdrawn once
    with pytest.raises(CollectorError, match=r"E5\.1 was withdrawn at"):
        complete_epic(any_ledger, "E5.1", True, world.now)
    for format in ("markdown", "json"):
        text = export_epic(any_ledger, "E5.1", datetime.now(UTC), persona="technical", format=format).decode()
        assert "withdrawn" in text


def test_of_two_epics_of_one_title_the_one_that_is_still_there_is_meant(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        project("first", "Search", completed=day(2), slug="first"), project("second", "Search", slug="second")
    )
    with any_ledger.read() as connection, pytest.raises(NotFoundError):
        find_epic(connection, "Search")
    world.tell(Observation(Kind.PROJECT, "linear/first", day(4), {"removed": True}))
    assert world.epic("first").state == "withdrawn"
    with any_ledger.read() as connection:
        assert find_epic(connection, "search").key == "second"


def test_a_parent_issue_whose_last_sub_issue_moves_away_is_withdrawn_with_the_reason(
    any_ledger: Ledger,
) -> None:
    world = World(any_ledger, epic_source="issue")
    world.tell(done("ENG-1", "E5.1 Search", day(1)), done("ENG-2", "Index", day(3), parent="eng-1"))
    assert world.epic("E5.1").revision == 1
    world.tell(issue("ENG-9", "Another"), done("ENG-2", "Index", day(4), parent="eng-9"))
    assert world.epic("E5.1").state == "withdrawn"
    assert world.epic("E5.1").unmet[0].endswith("its issue has no issues below it")
    world.tell(done("ENG-2", "Index", day(5), parent="eng-1"))
    assert (world.epic("E5.1").state, world.epic("E5.1").revision) == ("completed", 2)


def test_what_linear_completed_is_not_completed_again_and_not_reopened_by_hand(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    epic = world.epic("E5.1")
    assert epic.state == "completed"
    day_told = str(epic.structure["timeline"]["completed"])[:10]
    with pytest.raises(
        CollectorError, match=rf"E5\.1 is complete already since {day_told}, revision 1; nothing"
    ):
        complete_epic(any_ledger, "E5.1", True, day(90))
    with pytest.raises(
        CollectorError, match="completed in Linear and not by hand: there is nothing to take back"
    ):
        complete_epic(any_ledger, "E5.1", False, day(90))
    world.conclude()
    assert world.epic("E5.1") == epic


def test_completing_by_hand_does_not_move_the_date_that_linear_tells(any_ledger: Ledger) -> None:
    world = World(any_ledger, auto_finalize=False)
    finished(world)
    told = world.epic("E5.1").structure["timeline"]["completed"]
    with pytest.raises(
        CollectorError, match=r"E5\.1 is not completed by hand: there is nothing to take back"
    ):
        complete_epic(any_ledger, "E5.1", False, day(90))
    for late in (90, 91):  # the second says nothing new
        complete_epic(any_ledger, "E5.1", True, day(late))
        world.conclude()
        epic = world.epic("E5.1")
        assert (epic.state, epic.revision, epic.structure["timeline"]["completed"]) == ("completed", 1, told)
    complete_epic(any_ledger, "E5.1", False, day(92))
    world.conclude()
    assert [one["kind"] for one in world.epic("E5.1").structure["sources"]] == ["project"]


def test_an_event_of_many_changes_says_how_many_more_there_were(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search"))
    world.tell(*(merged(number, day(2), body="Epic: E5.1") for number in range(1, 40)))
    changes = world.events("E5.1")[-1].changes
    assert len(changes) == 61
    assert re.fullmatch(r"and [\d,]+ more", changes[-1][0])
    shown = Console(width=200)
    with shown.capture() as capture:
        events = [{"at": "", "kind": "grew", "told": "", "cause": "", "changes": changes}]
        shown.print(events_log(events, with_changes=True))
    assert capture.get().rstrip().endswith(changes[-1][0])


def test_what_has_no_lines_has_no_measured_size(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    world.tell(done("ENG-12", "Show sources", day(15)), merged(4, day(16), additions=None, deletions=None))
    sizes = {one.kind.value: one.size for one in world.achievements() if one.pull_request is None}
    assert set(sizes) == {"issue", "epic"}
    assert not any(size.is_measured for size in sizes.values())
    told = {one.pull_request: one.size.is_measured for one in world.achievements() if one.pull_request}
    assert told == {3: True, 4: False}
