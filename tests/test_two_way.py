"""Two-way sync: the merge, the plan, what survives a crash, ten thousand bad days in small, and both loopback services."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from benchmarks.two_sides import CrashError, Memory, World, check, play
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector.cli import two_way as cli
from achievement_collector.config import Settings
from achievement_collector.derive.merging import (
    BLOCKED,
    COMPLETED,
    DEFAULT_RULES,
    IN_PROGRESS,
    NOT_PLANNED,
    OPEN,
    PLANNED,
    Action,
    Agreed,
    Decision,
    FieldKind,
    Owner,
    Rule,
    Side,
    canonical,
    merge,
)
from achievement_collector.derive.sync_plan import (
    CLOSED_NOTICE,
    GONE_NOTICE,
    KEY,
    NOTICE,
    Item,
    Known,
    Link,
    OperationKind,
    Policy,
    View,
    own_key,
    plan,
)
from achievement_collector.errors import ConfigurationError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import syncing
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.roadmap import statements
from achievement_collector.ledger.store import Ledger
from achievement_collector.publish.github.client import GitHubWriter
from achievement_collector.publish.github.issues import change, creation, item_of, joined_text, split_text
from achievement_collector.publish.notion.client import NotionClient
from achievement_collector.publish.notion.plan import RoadmapRow
from achievement_collector.services.notion import Contents, create_databases, publish
from achievement_collector.services.notion_contents import roadmap_rows
from achievement_collector.services.roadmap import load_plan, roadmap_status
from achievement_collector.services.two_way.passes import GRACE, LEASE, Exit, Pass, SyncError, run_pass
from achievement_collector.services.two_way.ports import RefusedError, Sweep, UncertainError
from achievement_collector.services.two_way.running import (
    open_conflicts,
    resolve_conflict,
    sync_health,
    sync_keys,
    sync_two_way,
)
from achievement_collector.sources.bodies import Body
from tests.fakes import github_issues
from tests.fakes import notion as fake_notion
from tests.fakes.github import TOKEN
from tests.fakes.github_issues import FakeIssues, Trouble
from tests.fakes.notion import FakeNotion

TEXT, LINE = Rule(FieldKind.TEXT), Rule(FieldKind.LINE)
STATUS, LABELS = Rule(FieldKind.STATUS), Rule(FieldKind.LABELS)
G, N = Side.GITHUB, Side.NOTION


# --- merging one field -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("github", "notion", "action", "writes"),
    [
        ("b", "b", Action.NOTHING, ()),
        ("x", "b", Action.WRITE, ((N, "x"),)),
        ("b", "y", Action.WRITE, ((G, "y"),)),
        ("x", "x", Action.AGREE, ()),
        ("x", "y", Action.CONFLICT, ()),
        ("", "b", Action.WRITE, ((N, ""),)),
        ("", "y", Action.CONFLICT, ()),
    ],
)
def test_the_table_of_the_three_way_merge(github: str, notion: str, action: Action, writes: Any) -> None:
    found = merge(TEXT, github, notion, Agreed("b", "b"))
    assert (found.action, found.writes) == (action, writes)


@pytest.mark.parametrize(
    ("github", "notion", "action", "writes"),
    [
        ("", "", Action.AGREE, ()),
        ("x", "", Action.WRITE, ((N, "x"),)),
        ("", "y", Action.WRITE, ((G, "y"),)),
        ("x", "x", Action.AGREE, ()),
        ("x", "y", Action.CONFLICT, ()),
    ],
)
def test_at_the_first_link_nothing_is_guessed(github: str, notion: str, action: Action, writes: Any) -> None:
    found = merge(TEXT, github, notion, None)
    assert (found.action, found.writes) == (action, writes)


def test_a_side_is_compared_with_what_it_had_itself() -> None:
    """A server that keeps a value in another form is no reason to write again."""
    assert merge(TEXT, "as written", "as kept", Agreed("as written", "as kept")).action is Action.NOTHING


@pytest.mark.parametrize(
    ("github", "notion", "base", "expected"),
    [
        # open agrees with every status of work that is not done: nothing is written
        (OPEN, BLOCKED, None, ()),
        (OPEN, PLANNED, None, ()),
        (COMPLETED, COMPLETED, None, ()),
        # the fine value is carried to GitHub, where it is a label
        (OPEN, BLOCKED, Agreed(OPEN, PLANNED), ((G, BLOCKED),)),
        (BLOCKED, PLANNED, Agreed(BLOCKED, BLOCKED), ((G, OPEN),)),
        (BLOCKED, PLANNED, Agreed(OPEN, PLANNED), ((N, BLOCKED),)),
        # a label that goes says nothing
        (OPEN, BLOCKED, Agreed(BLOCKED, BLOCKED), ()),
        # classes
        (COMPLETED, IN_PROGRESS, Agreed(OPEN, IN_PROGRESS), ((N, COMPLETED),)),
        (OPEN, COMPLETED, Agreed(OPEN, IN_PROGRESS), ((G, COMPLETED),)),
        (OPEN, COMPLETED, Agreed(COMPLETED, COMPLETED), ((N, PLANNED),)),
        # not planned: Notion keeps what it has
        (NOT_PLANNED, IN_PROGRESS, Agreed(OPEN, IN_PROGRESS), ()),
        (NOT_PLANNED, COMPLETED, Agreed(NOT_PLANNED, PLANNED), ((G, COMPLETED),)),
        # a status of people's own is left alone
        (OPEN, "Review", Agreed(OPEN, PLANNED), ()),
        # nothing in Notion claims no more than open does, and nothing is made up for it
        (OPEN, None, Agreed(OPEN, PLANNED), ()),
        (OPEN, None, None, ()),
        (OPEN, None, Agreed(COMPLETED, None), ()),
    ],
)
def test_statuses_are_compared_as_far_as_both_sides_know_them(
    github: str, notion: Any, base: Agreed | None, expected: Any
) -> None:
    found = merge(STATUS, github, notion, base)
    assert found.writes == expected
    assert found.action is not Action.CONFLICT


def test_a_milestone_carries_no_fine_status() -> None:
    found = merge(STATUS, OPEN, BLOCKED, Agreed(OPEN, PLANNED), is_fine=False)
    assert (found.action, found.writes) == (Action.AGREE, ())


def test_two_different_statuses_are_a_conflict() -> None:
    assert merge(STATUS, COMPLETED, BLOCKED, Agreed(OPEN, PLANNED)).action is Action.CONFLICT


def test_labels_are_merged_as_sets() -> None:
    found = merge(LABELS, ("a", "b", "new"), ("B", "other"), Agreed(("a", "b"), ("a", "b")))
    assert dict(found.writes) == {G: ("b", "new", "other"), N: ("b", "new", "other")}
    assert merge(LABELS, ("Bug",), ("bug",), None).action is Action.AGREE
    assert merge(LABELS, ("a",), ("b",), None).action is Action.CONFLICT


def test_what_one_side_owns_is_written_over_with_notice() -> None:
    rule = Rule(FieldKind.NUMBER, Owner.GITHUB)
    found = merge(rule, 50.0, 99.0, Agreed(50.0, 50.0))
    assert (found.writes, found.is_notable) == (((N, 50.0),), True)
    assert "99.0" in found.reason
    assert merge(rule, 60.0, 50.0, Agreed(50.0, 50.0)).is_notable is False
    assert merge(rule, 50.0, 50.0, Agreed(50.0, 50.0)).action is Action.NOTHING
    assert merge(rule, 1 / 3, 0.33, Agreed(1 / 3, 0.33)).action is Action.NOTHING


def test_a_rule_may_name_the_winner_of_conflicts() -> None:
    found = merge(Rule(FieldKind.TEXT, wins=N), "x", "y", Agreed("b", "b"))
    assert (found.writes, found.is_notable) == (((G, "y"),), True)


def test_a_title_cannot_be_taken_away() -> None:
    assert merge(LINE, "x", "", Agreed("x", "x")).action is Action.UNCLEAR


def test_a_decision_holds_only_for_the_values_that_were_seen() -> None:
    base, seen = Agreed("b", "b"), Agreed("x", "y")
    assert merge(TEXT, "x", "y", base, decision=Decision(None, seen, G)).writes == ((N, "x"),)
    assert merge(TEXT, "x", "y", base, decision=Decision("z", seen)).writes == ((G, "z"), (N, "z"))
    assert merge(TEXT, "x2", "y", base, decision=Decision(None, seen, G)).action is Action.CONFLICT


@given(st.sampled_from(list(FieldKind)), st.one_of(st.none(), st.text(), st.floats(), st.lists(st.text())))
def test_canonical_values_stay_as_they_are(kind: FieldKind, raw: Any) -> None:
    once = canonical(kind, raw)
    assert canonical(kind, once) == once
    json.dumps(once)


def test_canonical_forms() -> None:
    assert canonical(FieldKind.TEXT, "e\u0301 \r\n b  \n\n") == "\u00e9 \n b"
    assert canonical(FieldKind.LINE, "  a \n b ") == "a b"
    assert canonical(FieldKind.DATE, "2026-12-24T23:00:00+02:00") == "2026-12-24"
    assert canonical(FieldKind.DATE, "soon") is None
    assert canonical(FieldKind.NUMBER, 0.1 + 0.2) == 0.3
    assert canonical(FieldKind.STATUS, "in  progress") == IN_PROGRESS
    assert canonical(FieldKind.LABELS, ["b", "A", "B", " "]) == ("A", "B")


_WORD = st.sampled_from(["", "a", "b", "c"])


@given(_WORD, _WORD, st.one_of(st.none(), st.tuples(_WORD, _WORD)))
def test_a_merge_never_drops_a_value_that_only_one_side_changed(
    github: str, notion: str, base: tuple[str, str] | None
) -> None:
    agreed = Agreed(*base) if base else None
    found = merge(TEXT, github, notion, agreed)
    after = {G: github, N: notion, **dict(found.writes)}
    for side, value in ((G, github), (N, notion)):
        is_changed = agreed is not None and value != agreed.of(side)
        if is_changed and value not in after.values():
            pytest.fail(f"{value!r} of {side} is gone")
    if found.action is Action.WRITE:
        assert merge(TEXT, after[G], after[N], agreed).action in (Action.AGREE, Action.NOTHING)


# --- the plan ----------------------------------------------------------------------------------------


def item(side: Side, identity: str, kind: str = "issue", **values: Any) -> Item:
    told = {
        "title": "T",
        "status": OPEN if side is G else PLANNED,
        "notes": "",
        KEY: "",
        NOTICE: "",
        **values,
    }
    return Item(side, identity, "row" if side is N else kind, told, str(told["title"]), is_wanted=True)


def view(*items: Item, is_complete: bool = True) -> View:
    return View({one.id: one for one in items}, is_complete)


def linked(number: int = 1, **told: Any) -> tuple[Link, Item, Item, dict[tuple[str, str], Agreed]]:
    key = f"k{number}"
    bases = {
        (key, "title"): Agreed("T", "T"),
        (key, "status"): Agreed(OPEN, PLANNED),
        (key, "notes"): Agreed("", ""),
    }
    link = Link(key, f"g{number}", f"n{number}", "issue", **told)
    return link, item(G, link.github, **{KEY: key}), item(N, link.notion, **{KEY: key}), bases


def test_a_plan_is_the_same_each_time_and_does_one_write_a_page() -> None:
    link, github, notion, bases = linked()
    github = item(G, "g1", title="New", notes="Text", **{KEY: "k1"})
    known = Known((link,), bases)
    first = plan(view(github), view(notion), known)
    assert [one.values for one in first.writes] == [{"title": "New", "notes": "Text"}]
    assert first.writes[0].expected == {"title": "T", "notes": ""}
    assert first.hash == plan(view(github), view(notion), known).hash
    assert first.hash != plan(view(item(G, "g1", title="Newer", **{KEY: "k1"})), view(notion), known).hash


def test_titles_only_propose_links() -> None:
    github, notion = item(G, "g1", title="Stage 7"), item(N, "n1", title="stage 7")
    found = plan(view(github), view(notion), Known())
    assert found.operations == ()  # and nothing is made of either
    assert "same title" in found.notes[0]
    agreed = plan(view(github), view(notion), Known(), Policy(links_titles=True))
    assert (agreed.operations[0].kind, agreed.operations[0].partner) == (OperationKind.LINK, "n1")
    assert [(one.field, one.github, one.notion) for one in agreed.conflicts] == [
        ("title", "Stage 7", "stage 7")
    ]
    several = plan(
        view(github), view(notion, item(N, "n2", title="Stage 7")), Known(), Policy(links_titles=True)
    )
    assert [one.kind for one in several.operations].count(OperationKind.LINK) == 0
    copied = item(N, "n1", title="Stage 7", **{KEY: "another's"})
    assert (
        plan(view(github), view(copied), Known(), Policy(links_titles=True)).operations[0].kind
        is OperationKind.UPDATE
    )


def test_the_key_is_written_before_anything_is_made() -> None:
    found = plan(view(), view(item(N, "n1")), Known())
    assert [(one.kind, one.side) for one in found.operations] == [
        (OperationKind.UPDATE, N), (OperationKind.CREATE, G),
    ]  # fmt: skip
    assert found.operations[0].values == {KEY: own_key(N, "n1")}
    # and not at all where that was refused
    refused = Known(parked=frozenset({found.operations[0].fingerprint}))
    assert plan(view(), view(item(N, "n1")), refused).operations == ()


def test_the_same_key_links_and_a_copy_does_not() -> None:
    key = own_key(N, "n1")
    github, row = item(G, "g9", **{KEY: key}), item(N, "n1", **{KEY: key})
    copied = item(N, "n2", **{KEY: key})
    found = plan(view(github), view(row, copied), Known())
    assert [(one.kind, one.target, one.partner) for one in found.operations] == [
        (OperationKind.LINK, "g9", "n1")
    ]
    assert "it is a copy" in " ".join(found.notes)


def test_the_key_of_a_milestone_in_an_issue_of_a_stranger_takes_nothing_over() -> None:
    key = "github.com/acme/rocket/milestone/1"
    row = item(N, "n1", title="Stage 7", **{KEY: key})
    milestone = replace(item(G, "g1", title="Stage 7"), kind="milestone", own=key)
    stranger = item(G, "g2", title="Buy", **{KEY: key})
    found = plan(view(milestone, stranger), view(row), Known())
    assert [(one.kind, one.target, one.partner) for one in found.operations if not one.is_write] == [
        (OperationKind.LINK, "g1", "n1")
    ]
    assert all(one.target != "g2" for one in found.operations)
    assert "Buy carries the key of another item" in " ".join(found.notes)
    # nor where the milestone is gone, or was not shown
    for github in (view(stranger), view(stranger, is_complete=False)):
        assert plan(github, view(row), Known()).operations == ()
    # the milestone itself, under the former name of its repository, is found by its number
    former = replace(
        item(G, "g1", title="Stage 7", **{KEY: key}),
        kind="milestone",
        own="github.com/acme/space/milestone/1",
    )
    assert plan(view(former), view(row), Known()).operations[0].kind is OperationKind.LINK


def test_a_key_that_links_two_others_makes_nothing_of_its_owner() -> None:
    key = own_key(N, "n1")
    link = Link(key, "g1", "n2", "milestone")
    owner = replace(item(N, "n1", title="Mine"), is_wanted=True)
    found = plan(view(item(G, "g1", **{KEY: key})), view(owner, item(N, "n2", **{KEY: key})), Known((link,)))
    assert not [one for one in found.operations if one.kind is OperationKind.CREATE]
    assert "links two other items" in " ".join(found.notes)


def test_of_rows_of_one_title_no_milestone_is_made() -> None:
    rows = [
        replace(item(N, f"n{number}", title=title), is_wanted=True)
        for number, title in enumerate(("Twin", "twin", "One"))
    ]
    found = plan(view(), view(*rows), Known())
    assert {one.partner or one.target for one in found.writes} == {"n2"}
    assert sum("same title" in note for note in found.notes) == 2
    there = replace(item(G, "g1", title="One", **{KEY: "k"}), kind="milestone")
    known = Known((Link("k", "g1", "n9", "milestone"),))
    found = plan(view(there), view(rows[2], item(N, "n9", title="Other", **{KEY: "k"})), known)
    assert not [one for one in found.operations if one.kind is OperationKind.CREATE]


def test_absence_counts_after_two_complete_sweeps_that_saw_something_known() -> None:
    (link, github, _, bases), (other, github2, notion2, bases2) = linked(1), linked(2)
    links, both = (link, other), bases | bases2
    first = plan(view(github, github2), view(notion2), Known(links, both))
    assert first.operations == ()
    assert first.missing == {("k1", N): 1}
    once = Link(**{**_fields(link), "missing": {N: 1}})
    assert (
        plan(view(github, github2), view(notion2, is_complete=False), Known((once, other), both)).operations
        == ()
    )
    nothing_known = plan(view(github), view(), Known((once,), bases))
    assert nothing_known.operations == ()
    assert "may only be hidden" in nothing_known.notes[0]
    second = plan(view(github, github2), view(notion2), Known((once, other), both))
    assert [(one.kind, one.key) for one in second.operations] == [
        (OperationKind.UNLINK, "k1"), (OperationKind.UPDATE, "k1"),
    ]  # fmt: skip
    assert second.operations[1].values == {NOTICE: GONE_NOTICE[N]}


def _fields(link: Link) -> dict[str, Any]:
    return {name: getattr(link, name) for name in ("key", "github", "notion", "kind", "is_active", "missing")}


def test_the_trash_counts_at_once_and_an_issue_is_closed_only_where_that_is_wanted() -> None:
    link, github, notion, bases = linked()
    gone = Item(N, "n1", "row", notion.values, "T", "in the trash")
    found = plan(view(github), view(gone), Known((link,), bases))
    assert [one.kind for one in found.operations] == [OperationKind.UNLINK, OperationKind.UPDATE]
    assert "status" not in found.operations[1].values
    closing = plan(view(github), view(gone), Known((link,), bases), Policy(closes_trashed=True))
    assert closing.operations[1].values["status"] == NOT_PLANNED


def test_too_many_removals_stop_everything() -> None:
    all_linked = [linked(number) for number in range(1, 21)]
    links = tuple(one[0] for one in all_linked)
    bases = {place: base for one in all_linked for place, base in one[3].items()}
    rows = [Item(N, one[2].id, "row", one[2].values, "T", "in the trash") for one in all_linked[:4]]
    rows += [one[2] for one in all_linked[4:]]
    known = Known(links, bases)
    stopped = plan(view(*(one[1] for one in all_linked)), view(*rows), known)
    assert "4 of 20" in stopped.stopped
    assert stopped.operations == ()
    allowed = plan(view(*(one[1] for one in all_linked)), view(*rows), known, Policy(removals=4))
    assert [one.kind for one in allowed.operations].count(OperationKind.UNLINK) == 4


def test_what_comes_back_is_linked_again_with_what_was_agreed() -> None:
    link, github, _, bases = linked(is_active=False)
    notion = item(N, "n1", title="Changed in the trash", **{KEY: "k1", NOTICE: GONE_NOTICE[G]})
    found = plan(view(github), view(notion), Known((link,), bases))
    assert [one.kind for one in found.operations] == [
        OperationKind.RELINK, OperationKind.UPDATE, OperationKind.UPDATE,
    ]  # fmt: skip
    assert found.writes[0].values == {"title": "Changed in the trash"}
    assert found.writes[1].values == {NOTICE: ""}


def test_people_are_told_of_an_issue_that_is_not_planned() -> None:
    link, _, notion, bases = linked()
    github = item(G, "g1", status=NOT_PLANNED, **{KEY: "k1"})
    found = plan(view(github), view(notion), Known((link,), bases))
    assert [one.values for one in found.writes] == [{NOTICE: CLOSED_NOTICE}]


# --- GitHub's bodies ---------------------------------------------------------------------------------


def test_the_marker_and_the_notice_are_no_text_of_people() -> None:
    raw = joined_text("Text\n\nmore", CLOSED_NOTICE, "k1")
    assert raw == f"Text\n\nmore\n\n{CLOSED_NOTICE}\n\n<!-- roadmap-sync:k1 -->"
    assert split_text(raw) == ("Text\n\nmore", CLOSED_NOTICE, "k1")
    assert split_text(raw + "\nadded below") == ("Text\n\nmore\nadded below", CLOSED_NOTICE, "k1")


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\0")),
    st.sampled_from(["", CLOSED_NOTICE]),
)
def test_text_comes_back_out_of_a_body(text: str, notice: str) -> None:
    kept = split_text(joined_text(text, notice, "k-1/é#2"))
    assert kept == (text.rstrip(), notice, "k-1/é#2")


def test_labels_that_notion_cannot_hold_are_never_taken_away() -> None:
    names = ["area, one", "x" * 101, "bug", "status: blocked", "docs"]
    body = Body({"number": 1, "node_id": "I", "state": "open", "labels": [{"name": name} for name in names]})
    found = item_of("issue", body, "own", "roadmap")
    assert found is not None
    assert (found.values["labels"], found.values["status"]) == (("bug", "docs"), BLOCKED)
    written = change("issue", body, {"labels": ("bug", "ui"), "status": IN_PROGRESS})
    assert sorted(written["labels"]) == sorted(["area, one", "x" * 101, "bug", "ui", "status: in progress"])
    assert change("issue", body, {"labels": ()})["labels"] == ["area, one", "x" * 101, "status: blocked"]


@pytest.mark.parametrize(
    ("due", "day"),
    [
        ("2026-09-24T06:59:00Z", "2026-09-23"),
        ("2026-09-24T07:00:00Z", "2026-09-24"),
        ("2026-12-24T08:00:00Z", "2026-12-24"),
        (None, None),
    ],
)
def test_a_due_date_is_a_day_of_the_pacific_zone(due: str | None, day: str | None) -> None:
    body = Body({"number": 1, "node_id": "M", "state": "open", "due_on": due})
    found = item_of("milestone", body, "own", "roadmap")
    assert found is not None
    assert found.values["target"] == day


def test_a_pull_request_is_no_issue() -> None:
    body = Body({"number": 1, "node_id": "I", "state": "open", "pull_request": {"url": "x"}})
    assert item_of("issue", body, "own", "roadmap") is None


def test_a_new_issue_carries_its_key() -> None:
    told = creation("issue", {KEY: "k", "title": "T", "notes": "N", "labels": ("a",), "status": BLOCKED})
    assert told == {"title": "T", "body": "N\n\n<!-- roadmap-sync:k -->", "labels": ["a", "status: blocked"]}


# --- what is remembered ------------------------------------------------------------------------------


def test_the_ledger_keeps_links_values_and_the_outbox(any_ledger: Ledger) -> None:
    link, github, notion, bases = linked()
    changed = item(G, "g1", title="New", **{KEY: "k1"})
    with any_ledger.write() as connection:
        syncing.add_link(connection, "s", link, 1)
        syncing.add_link(connection, "s", link, 2)
        syncing.settle(connection, "s", bases, 3)
        syncing.settle(connection, "s", {("k1", "labels"): Agreed(("a", "b"), ())}, 3)
        operations = plan(view(changed), view(notion), Known((link,), bases)).writes
        numbers = syncing.enqueue(connection, "s", 7, operations, 4)
        syncing.advance(connection, numbers[0], "sent", 5)
        syncing.advance(connection, numbers[0], "confirmed", 6, result=changed)
    with any_ledger.read() as connection:
        known = syncing.known(connection, "s")
        assert known.links[0].id(N) == "n1"
        assert known.bases[("k1", "labels")] == Agreed(("a", "b"), ())
        assert known.bases[("k1", "status")] == Agreed(OPEN, PLANNED)
        assert syncing.known(connection, "other") == Known()
        (stored,) = syncing.outgoing(connection, "s", "confirmed")
        assert stored.operation == operations[0]
        assert stored.result == changed
    assert github.key == "k1"


def test_one_at_a_time_until_the_lease_ends(any_ledger: Ledger) -> None:
    with any_ledger.write() as connection:
        assert syncing.take_lease(connection, "s", "one", 1000, 100)
        assert not syncing.take_lease(connection, "s", "two", 1050, 100)
        assert syncing.take_lease(connection, "s", "one", 1050, 100)
        assert syncing.take_lease(connection, "other", "two", 1050, 100)
        assert syncing.take_lease(connection, "s", "two", 1150, 100)
        assert not syncing.take_lease(connection, "s", "one", 1160, 100)
        syncing.free_lease(connection, "s", "one")
        assert not syncing.take_lease(connection, "s", "three", 1160, 100)
        syncing.free_lease(connection, "s", "two")
        assert syncing.take_lease(connection, "s", "three", 1160, 100)


def test_on_both_databases(any_ledger: Ledger) -> None:
    for seed in range(3):
        assert play(seed, any_ledger).broken == []


# --- passes against two sides in memory --------------------------------------------------------------


def quiet(ledger: Ledger, seed: int = 1) -> World:
    return World(seed, ledger, faults=0.0)


def test_both_sides_agree_and_the_second_run_is_silent(ledger: Ledger) -> None:
    world = quiet(ledger)
    world.sides[G].make("issue", {"title": "One", "labels": ("bug", "roadmap"), "status": BLOCKED})
    world.sides[N].make("row", {"title": "Two", "status": COMPLETED, "target": "2027-01-01"})
    done = world.run()
    assert done is not None
    assert done.writes == 5  # two keys, two creations, and the closing of what GitHub can only make open
    assert done.exit is Exit.CLEAN
    again = world.run()
    assert again is not None
    assert (again.writes, again.plan.operations, again.plan.agreements) == (0, (), {})
    assert sorted(one.values["status"] for one in world.sides[N].things.values()) == [BLOCKED, COMPLETED]  # type: ignore[type-var]
    assert check(world, again).broken == []


def test_a_dry_run_is_the_plan_that_is_applied(ledger: Ledger) -> None:
    world = quiet(ledger)
    world.sides[G].make("milestone", {"title": "One"})

    def run(**told: Any) -> Pass:
        return run_pass(ledger, world.scope, world.sides[G], world.sides[N], lambda: world.now, "me", **told)

    before = [(one.id, dict(one.values)) for one in world.sides[G].things.values()]
    dry = run(is_dry=True)
    assert [(one.id, dict(one.values)) for one in world.sides[G].things.values()] == before
    with ledger.read() as connection:
        assert syncing.scopes(connection) == []
    assert run(is_dry=True).plan == dry.plan
    world.sides[N].make("row", {"title": "Another"})
    with pytest.raises(SyncError, match="not the demanded one"):
        run(demanded=dry.plan.hash)
    assert run(demanded=run(is_dry=True).plan.hash[:16]).exit is Exit.CLEAN


def test_a_second_process_is_kept_out_until_the_lease_ends(ledger: Ledger) -> None:
    world = quiet(ledger)
    with ledger.write() as connection:
        assert syncing.take_lease(connection, world.scope, "a process that died", world.now, LEASE)
    assert world.run() is None
    world.pass_time(LEASE)
    assert world.run() is not None


def test_a_conflict_waits_for_a_decision(ledger: Ledger) -> None:
    world = quiet(ledger)
    github = world.sides[G].make("milestone", {"title": "One"})
    world.run()
    (notion,) = world.sides[N].things.values()
    world.give(G, github, "title", "Theirs")
    world.give(N, notion, "title", "Ours")
    done = world.run()
    assert done is not None
    assert (done.exit, done.writes) == (Exit.CONFLICTS, 0)
    (waiting,) = open_conflicts(ledger)
    assert (waiting.conflict.github, waiting.conflict.notion) == ("Theirs", "Ours")
    # one side moves on: the queue shows the new value, and an older decision is void
    resolve_conflict(ledger, waiting.id, world.now, take=N)
    world.give(G, github, "title", "Theirs, later")
    assert world.run().exit is Exit.CONFLICTS  # type: ignore[union-attr]
    (waiting,) = open_conflicts(ledger)
    assert (waiting.conflict.github, waiting.decision) == ("Theirs, later", None)
    resolve_conflict(ledger, waiting.id, world.now, text="  Agreed on ")
    assert world.run().exit is Exit.CLEAN  # type: ignore[union-attr]
    assert (github.values["title"], notion.values["title"]) == ("Agreed on", "Agreed on")
    assert open_conflicts(ledger) == []
    assert world.run().writes == 0  # type: ignore[union-attr]


def test_a_conflict_that_people_settle_themselves_is_closed(ledger: Ledger) -> None:
    world = quiet(ledger)
    github = world.sides[G].make("milestone", {"title": "One"})
    world.run()
    (notion,) = world.sides[N].things.values()
    world.give(G, github, "title", "A")
    world.give(N, notion, "title", "B")
    world.run()
    world.give(N, notion, "title", "A")
    assert world.run().exit is Exit.CLEAN  # type: ignore[union-attr]
    assert open_conflicts(ledger) == []


@pytest.mark.parametrize("name", ["nothing", "a status of no meaning"])
def test_what_cannot_be_decided(ledger: Ledger, name: str) -> None:
    world = quiet(ledger)
    github = world.sides[G].make("issue", {"title": "One", "labels": ("roadmap",), "status": OPEN})
    world.run()
    (notion,) = world.sides[N].things.values()
    world.give(G, github, "status", COMPLETED)
    world.give(N, notion, "status", BLOCKED)
    world.run()
    (waiting,) = open_conflicts(ledger)
    with pytest.raises(ConfigurationError):
        resolve_conflict(ledger, waiting.id, 1, text=None if name == "nothing" else "Review")


def test_a_refused_write_is_not_sent_again_until_something_changes(ledger: Ledger) -> None:
    world = quiet(ledger)
    github = world.sides[G].make("milestone", {"title": "One"})
    world.run()
    tries: list[Any] = []

    def refuse(*told: Any) -> Item:
        tries.append(told)
        raise RefusedError("the title is taken")

    write = world.sides[N].write
    world.sides[N].write = refuse  # type: ignore[method-assign]
    world.give(G, github, "title", "Two")
    first, second = world.run(), world.run()
    assert first is not None
    assert second is not None
    assert (first.exit, second.exit, len(tries)) == (Exit.PARTIAL, Exit.PARTIAL, 1)
    assert second.plan.parked[0].values == {"title": "Two"}
    world.sides[N].write = write  # type: ignore[method-assign]
    assert world.run().writes == 0  # type: ignore[union-attr]
    world.give(G, github, "title", "Three")
    assert world.run().exit is Exit.CLEAN  # type: ignore[union-attr]


def test_a_failure_of_one_does_not_stop_the_others(ledger: Ledger) -> None:
    world = quiet(ledger)
    for number in range(3):
        world.sides[G].make("milestone", {"title": f"M{number}"})
    create, calls = world.sides[N].create, []

    def fail_once(thing: str, values: Any) -> Item:
        calls.append(values["title"])
        if len(calls) == 2:
            raise RefusedError("no")
        return create(thing, values)

    world.sides[N].create = fail_once  # type: ignore[method-assign]
    done = world.run()
    assert done is not None
    assert (done.created[N], done.exit) == (2, Exit.PARTIAL)


def test_a_creation_without_an_answer_is_looked_up_and_made_once(ledger: Ledger) -> None:
    world = quiet(ledger)
    world.sides[G].make("milestone", {"title": "One"})
    notion = world.sides[N]
    create = notion.create

    def lose(thing: str, values: Any) -> Item:
        # it arrives half a minute later
        world.late.append((world.now + GRACE // 2, lambda: notion.make(thing, values, by_sync=True)))
        raise UncertainError("no answer")

    notion.create = lose  # type: ignore[method-assign]
    assert world.run().exit is Exit.PARTIAL  # type: ignore[union-attr]
    notion.create = create  # type: ignore[method-assign]
    done = world.run()
    assert done is not None
    assert (done.writes, done.exit, len(notion.things)) == (0, Exit.PARTIAL, 0)
    world.pass_time(GRACE)
    done = world.run()
    assert done is not None
    assert (done.recovered, done.exit, len(notion.things)) == (1, Exit.CLEAN, 1)
    assert check(world, world.run()).broken == []


class _Stop(World):
    """A world in which the process dies at one moment: the n-th request or transaction."""

    left = -1

    def crash(self, chance: float) -> None:
        self.left -= 1
        if self.left == 0:
            self.dead = True
            raise CrashError


def _scene(ledger: Ledger, seed: int) -> _Stop:
    """Something of each kind is to be done: creations both ways, updates both ways, labels of both sides."""
    world = _Stop(seed, ledger, faults=0.0)
    github = world.sides[G].make("issue", {"title": "One", "labels": ("roadmap",), "status": OPEN})
    world.sides[N].make("row", {"title": "Two", "status": PLANNED})
    world.run()
    row = next(one for one in world.sides[N].things.values() if one.values["title"] == "One")
    world.give(G, github, "title", "One, changed")
    world.give(N, row, "notes", "A note")
    github.values["labels"], row.values["labels"] = ("bug", "roadmap"), ("roadmap", "ui")
    world.sides[G].make("milestone", {"title": "Three"})
    world.sides[N].make("row", {"title": "Four", "status": IN_PROGRESS})
    return world


def test_a_crash_at_every_single_step_leaves_nothing_twice_and_nothing_undone(ledger: Ledger) -> None:
    died = 0
    for step in range(1, 400):
        world = _scene(ledger, step)
        world.left = step
        if world.run() is not None:
            break
        died += 1
        world.left = -1
        assert check(world, world.come_to_rest()).broken == [], step
        assert [len(port.things) for port in world.sides.values()] == [4, 4], step
        (issue,) = (one for one in world.sides[G].things.values() if one.kind == "issue")
        assert issue.values["labels"] == ("bug", "roadmap", "ui"), step
    assert died > 50


def _labels(world: World, *, kind: str = "issue") -> tuple[Any, Any]:
    """The issue and its row."""
    (issue,) = (one for one in world.sides[G].things.values() if one.kind == kind)
    row = next(one for one in world.sides[N].things.values() if one.values["title"] == issue.values["title"])
    return issue, row


def _stop_after(world: World, side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the process die when the next write to a side has arrived; before anything is noted of it."""
    port = world.sides[side]
    write = port.write

    def arrive(item: str, values: Any, expected: Any) -> Item:
        write(item, values, expected)
        world.dead = True
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(port, "write", arrive)
        assert world.run() is None
    world.pass_time(LEASE + GRACE)


def test_a_label_that_a_person_takes_away_after_a_crash_is_not_added_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process dies between the first of two writes and the note that both sides agree."""
    for side in Side:
        for taken in Side:
            world = quiet(ledger)
            world.scope = f"labels {side} {taken}"
            world.sides[G].make("issue", {"title": "One", "labels": ("roadmap",), "status": OPEN})
            world.run()
            issue, row = _labels(world)
            world.give(G, issue, "labels", ("api", "roadmap"))
            world.give(N, row, "labels", ("bug", "perf", "roadmap", "ui"))
            _stop_after(world, side, monkeypatch)
            thing = issue if taken is G else row
            world.give(taken, thing, "labels", tuple(one for one in thing.values["labels"] if one != "perf"))
            assert check(world, world.come_to_rest()).broken == [], (side, taken)
            assert issue.values["labels"] == row.values["labels"] == ("api", "bug", "roadmap", "ui"), (
                side,
                taken,
            )


def test_a_decision_that_came_half_way_is_carried_out_to_its_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet(ledger)
    world.sides[G].make("milestone", {"title": "One"})
    world.run()
    milestone, row = _labels(world, kind="milestone")
    world.give(G, milestone, "title", "One of GitHub")
    world.give(N, row, "title", "One of Notion")
    assert world.run().exit is Exit.CONFLICTS  # type: ignore[union-attr]
    with ledger.write() as connection:
        (found,) = syncing.conflicts(connection, world.scope)
        syncing.decide(connection, found.id, None, "One of both", world.now)
    _stop_after(world, G, monkeypatch)
    done = world.come_to_rest()
    assert done is not None
    assert (done.exit, milestone.values["title"], row.values["title"]) == (
        Exit.CLEAN,
        "One of both",
        "One of both",
    )


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_schedules_converge_and_lose_nothing(ledger: Ledger, first: int) -> None:
    broken = {}
    for seed in range(20_000 + first, 20_050 + first):
        verdict = play(seed, ledger)
        if verdict.broken:
            broken[seed] = verdict.broken
    assert broken == {}


def test_the_schedules_notice_a_sync_that_guesses(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail proves nothing: where GitHub always wins, edits are lost, and that is found."""
    rules = {
        **DEFAULT_RULES,
        "title": Rule(FieldKind.LINE, Owner.GITHUB),
        "notes": Rule(FieldKind.TEXT, wins=G),
    }
    monkeypatch.setattr(
        "benchmarks.two_sides.Policy", lambda removals: Policy(rules=rules, removals=removals)
    )
    assert any("lost" in " ".join(play(seed, ledger).broken) for seed in range(20))


def test_a_cut_off_list_removes_nothing(ledger: Ledger) -> None:
    world = quiet(ledger)
    for number in range(4):
        world.sides[G].make("milestone", {"title": f"M{number}"})
    world.run()
    notion = world.sides[N]
    sweep, read = notion.sweep, notion.read
    notion.sweep = lambda since: Sweep(list(sweep(since).items)[:1], False, "cut off")  # type: ignore[method-assign]
    notion.read = lambda identity: None  # type: ignore[method-assign]
    for _ in range(4):
        done = world.run()
        assert done is not None
        assert (done.unlinked, done.created[N]) == (0, 0)
        assert not done.is_complete
    notion.sweep, notion.read = sweep, read  # type: ignore[method-assign]
    assert check(world, world.come_to_rest()).broken == []


def test_a_pass_over_changes_reads_partners_and_concludes_nothing_from_absence(ledger: Ledger) -> None:
    world = quiet(ledger)
    things = [world.sides[G].make("milestone", {"title": f"M{number}"}) for number in range(3)]
    world.run()
    since: list[Any] = []

    def only_changed(port: Memory, chosen: set[str]) -> Callable[[int | None], Sweep]:
        def sweep(moment: int | None) -> Sweep:
            since.append(moment)
            return Sweep([port.shown(one) for one in port.things.values() if one.id in chosen])

        return sweep

    world.give(G, things[1], "title", "Changed")
    for side, chosen in ((G, {things[1].id}), (N, set[str]())):
        world.sides[side].sweep = only_changed(world.sides[side], chosen)  # type: ignore[method-assign]
    begun = world.now
    done = run_pass(
        ledger, world.scope, world.sides[G], world.sides[N], lambda: world.now, "me", is_full=False
    )
    assert (done.written[N], done.created[N], done.unlinked, done.plan.missing) == (1, 0, 0, {})
    assert all(moment and moment < begun for moment in since)
    assert sorted(str(one.values["title"]) for one in world.sides[N].things.values()) == [
        "Changed",
        "M0",
        "M2",
    ]


def test_health_tells_how_the_sync_is_doing(ledger: Ledger) -> None:
    world = quiet(ledger)
    github = world.sides[G].make("milestone", {"title": "One"})
    begun = world.now
    world.run()
    (notion,) = world.sides[N].things.values()
    world.give(G, github, "title", "A")
    world.give(N, notion, "title", "B")
    world.run()
    health = sync_health(ledger, begun + 3_600_000)[world.scope]
    assert (health.links, health.conflicts, health.parked, health.last_outcome) == (1, 1, 0, "conflicts")
    assert health.lag is not None
    assert 3_500_000 < health.lag <= 3_600_000


# --- both loopback services --------------------------------------------------------------------------


class Places:
    """A loopback GitHub and a loopback Notion, with the databases made."""

    def __init__(self, ledger: Ledger, github: FakeIssues, notion: FakeNotion) -> None:
        self.ledger, self.github, self.notion = ledger, github, notion
        self.now = 1_780_000_100_000
        self.settings = Settings(
            database=ledger.name, github_repository="acme/rocket", github_token=TOKEN, github_api_url=github.url,
            notion_api_key=fake_notion.API_KEY, notion_api_url=notion.url, notion_parent_page=notion.root,
        )  # fmt: skip
        create_databases(ledger, self.settings, self.clock, self.notion_client())
        self.source = notion.sources("Roadmap")[0].id

    def clock(self) -> int:
        self.now += 10
        return self.now

    def notion_client(self) -> NotionClient:
        return NotionClient(fake_notion.API_KEY, url=self.notion.url, interval=0, sleep=lambda _seconds: None)

    def sync(self, **told: Any) -> Pass:
        github = GitHubWriter(self.github.url, TOKEN, sleep=lambda _seconds: None)
        return sync_two_way(
            self.ledger, self.settings, self.clock, github=github, notion=self.notion_client(), **told
        )

    def row(self, title: str) -> tuple[str, dict[str, Any]]:
        for page in self.notion.rows(self.source):
            values = self.notion.values(page.id)
            if values["🧩 Milestone"] == title:
                return page.id, values
        raise AssertionError(f"there is no row {title}")

    def add_row(self, title: str, status: str = "Planned", **told: Any) -> str:
        return self.notion.person_creates_row(
            self.source,
            {"🧩 Milestone": text(title, "title"), "✅ Status": {"select": {"name": status}}, **told},
        )

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.github.writes), len(self.notion.writes)


def text(told: str, kind: str = "rich_text") -> dict[str, Any]:
    return {kind: [{"text": {"content": told}}] if told else []}


@pytest.fixture
def places(ledger: Ledger) -> Iterator[Places]:
    github, notion = FakeIssues(), FakeNotion()
    with github_issues.serve(github), fake_notion.serve(notion):
        yield Places(ledger, github, notion)
    assert notion.violations == []


def test_from_one_place_to_the_other_and_back(places: Places) -> None:
    github, notion = places.github, places.notion
    number = github.person_opens("Fix it", "Line\r\nnext  ", "Roadmap", "bug", "status: blocked")
    github.person_opens("Not for the roadmap")
    stage = github.person_adds_milestone("Stage 7", description="Do it", due_on="2026-12-24T12:00:00Z")
    places.add_row(
        "Thought of in Notion", "In Progress", **{"📆 Target Date": {"date": {"start": "2027-01-02"}}}
    )
    dry = places.sync(is_dry=True)
    assert places.counts[0] == 0
    done = places.sync(demanded=dry.plan.hash)
    assert (done.exit, done.created[G], done.created[N]) == (Exit.CLEAN, 1, 2)
    _, issue = places.row("Fix it")
    assert (issue["✅ Status"], issue["📝 Notes"]) == ("Blocked", "Line\nnext")
    _, milestone = places.row("Stage 7")
    assert (milestone["📆 Target Date"], milestone["📝 Notes"], milestone["✅ Status"]) == (
        "2026-12-24",
        "Do it",
        None,
    )
    made = github.milestones[2]
    assert (made["title"], made["due_on"]) == ("Thought of in Notion", "2027-01-02T08:00:00Z")
    assert github.issues[number]["body"].startswith("Line\nnext")
    # silent
    before = places.counts
    assert places.sync().exit is Exit.CLEAN
    assert places.counts == before
    # and on
    page, _ = places.row("Stage 7")
    notion.person_sets(
        page, {"✅ Status": {"select": {"name": "Completed"}}, "📝 Notes": text("Done, see the report")}
    )
    row, _ = places.row("Fix it")
    notion.person_sets(
        row, {"🧩 Milestone": text("Fix it well", "title"), "✅ Status": {"select": {"name": "In Progress"}}}
    )
    github.person_edits_milestone(2, title="Named on GitHub", due_on="2027-02-03T08:00:00Z")
    assert places.sync().exit is Exit.CLEAN
    assert github.milestones[stage]["state"] == "closed"
    assert github.milestones[stage]["description"].startswith("Done, see the report\n\n<!--")
    assert github.issues[number]["title"] == "Fix it well"
    assert sorted(one["name"] for one in github.issues[number]["labels"]) == [
        "Roadmap",
        "bug",
        "status: in progress",
    ]
    assert places.row("Named on GitHub")[1]["📆 Target Date"] == "2027-02-03"
    before = places.counts
    assert places.sync().exit is Exit.CLEAN
    assert places.counts == before
    assert sync_keys(places.ledger, "127.0.0.1/acme/rocket").keys() == {
        "127.0.0.1/acme/rocket/milestone/1", "127.0.0.1/acme/rocket/milestone/2",
    }  # fmt: skip


def test_columns_and_text_of_people_stay(places: Places) -> None:
    places.notion.person_adds_property(places.source, "Mood", {"rich_text": {}})
    places.notion.person_adds_property(places.source, "Labels", {"multi_select": {}})
    places.github.person_opens("One", "", "roadmap", "bug")
    places.sync()
    page, values = places.row("One")
    assert values["Labels"] == ["bug", "roadmap"]
    places.notion.person_sets(
        page, {"Mood": text("good"), "Labels": {"multi_select": [{"name": "bug"}, {"name": "ui"}]}}
    )
    places.notion.person_writes(page, "my own text")
    places.notion.person_renames_property(places.source, "📝 Notes", "Remarks")
    places.github.person_edits(1, body=places.github.issues[1]["body"] + "\nadded")
    assert places.sync().exit is Exit.CLEAN
    _, values = places.row("One")
    assert (values["Mood"], values["Remarks"]) == ("good", "added")
    assert places.notion.text(page) == ["my own text"]
    assert sorted(one["name"] for one in places.github.issues[1]["labels"]) == ["bug", "ui"]


def test_a_row_that_is_published_by_its_key_is_taken_over(places: Places) -> None:
    """The one-way publication gives rows the milestones' own keys; such a row is the milestone's, not another thing."""
    number = places.github.person_adds_milestone("Stage 7")
    key = f"127.0.0.1/acme/rocket/milestone/{number}"
    places.add_row("Stage 7", **{"Sync Key": text(key)})
    done = places.sync()
    assert (done.linked, done.created[G], done.created[N], done.exit) == (1, 0, 0, Exit.CLEAN)
    assert key in places.github.milestones[number]["description"]


def test_two_roadmaps_that_exist_already_are_not_doubled(places: Places) -> None:
    places.github.person_adds_milestone("Stage 7", description="From GitHub")
    places.add_row("Stage 7")
    done = places.sync()
    assert (done.writes, done.exit) == (0, Exit.CLEAN)
    assert "--link-titles" in " ".join(done.notes)
    assert places.sync(links_titles=True).linked == 1
    assert places.row("Stage 7")[1]["📝 Notes"] == "From GitHub"
    assert (len(places.github.milestones), len(places.notion.rows(places.source))) == (1, 1)


def test_a_row_that_people_duplicate_makes_nothing(places: Places) -> None:
    places.github.person_adds_milestone("Stage 7")
    places.sync()
    page, _ = places.row("Stage 7")
    places.notion.person_duplicates_row(page)
    done = places.sync()
    assert done.writes == 0
    assert "is a copy" in " ".join(done.notes)


def test_answers_that_get_lost_make_nothing_twice(places: Places) -> None:
    for number in range(3):
        places.add_row(f"Row {number}")
        places.github.person_opens(f"Issue {number}", "", "roadmap")
    lost = [None, Trouble(is_done=True, hangs_up=True), Trouble(is_done=True), Trouble(502)]
    draw = random.Random(7)
    for _ in range(12):
        places.github.troubles.extend(draw.choices(lost, k=4))
        places.sync()
        places.now += LEASE + GRACE
    places.github.troubles.clear()
    assert places.sync().exit in (Exit.CLEAN, Exit.PARTIAL)
    before = places.counts
    assert places.sync().exit is Exit.CLEAN
    assert places.counts == before
    assert sorted(one["title"] for one in places.github.milestones.values()) == ["Row 0", "Row 1", "Row 2"]
    assert len(places.github.issues) == 3
    assert len(places.notion.rows(places.source)) == 6


def test_what_notion_does_not_answer_is_looked_up(places: Places) -> None:
    places.github.person_adds_milestone("Stage 7")

    def break_creation() -> None:
        places.notion.troubles.append(fake_notion.Trouble(hangs_up=True, is_done=True))

    before = places.github.before
    places.github.before = lambda asked: break_creation() if asked.method == "PATCH" else None
    done = places.sync()
    assert done.exit is Exit.PARTIAL
    assert "finds out" in done.failed[0]
    places.github.before = before
    done = places.sync()
    assert (done.recovered, done.exit) == (1, Exit.CLEAN)
    assert len(places.notion.rows(places.source)) == 1


def test_an_edit_between_plan_and_write_is_not_overwritten(places: Places) -> None:
    number = places.github.person_opens("One", "", "roadmap")
    places.sync()
    page, _ = places.row("One")
    places.notion.person_sets(page, {"🧩 Milestone": text("From Notion", "title")})
    reads: list[str] = []

    def edit(asked: github_issues.Asked) -> None:
        if asked.path.endswith(f"/issues/{number}") and not reads:
            reads.append(asked.path)
            places.github.person_edits(number, title="From GitHub")

    places.github.before = edit
    done = places.sync()
    assert reads
    assert places.github.issues[number]["title"] == "From GitHub"
    assert done.exit is Exit.CONFLICTS
    assert [one.conflict.notion for one in open_conflicts(places.ledger)] == ["From Notion"]


def test_what_is_deleted_on_one_side_stays_on_the_other_with_a_word(places: Places) -> None:
    for title in ("One", "Two", "Three"):
        places.github.person_opens(title, "text", "roadmap")
    places.sync()
    places.github.person_deletes(1)
    page, _ = places.row("Two")
    places.notion.person_trashes(page)
    done = places.sync()
    assert done.unlinked == 2
    assert GONE_NOTICE[G] in places.row("One")[1]["📝 Notes"]
    assert GONE_NOTICE[N] in places.github.issues[2]["body"]
    assert places.github.issues[2]["state"] == "open"
    assert len(places.notion.rows(places.source)) == 2
    before = places.counts
    places.sync()
    assert places.counts == before
    places.notion.person_restores(page)
    places.notion.person_sets(page, {"📝 Notes": text("text, edited")})
    assert places.sync().linked == 1
    assert places.github.issues[2]["body"].startswith("text, edited\n\n<!--")


def test_rows_that_are_unshared_are_not_taken_for_deleted(places: Places) -> None:
    for number in range(2):
        places.github.person_adds_milestone(f"M{number}")
    places.sync()
    for page in places.notion.rows(places.source):
        places.notion.unshare(page.id)
    for _ in range(3):
        done = places.sync()
        assert (done.unlinked, done.created[N]) == (0, 0)
    assert "may only be hidden" in " ".join(done.notes)


def test_a_renamed_repository_and_a_transferred_issue_are_followed(places: Places) -> None:
    number = places.github.person_opens("One", "", "roadmap")
    places.github.person_opens("Two", "", "roadmap")
    places.sync()
    places.github.person_transfers(number)
    places.github.former_names, places.github.name = {"acme/rocket"}, "acme/starship"
    for issue in places.github.issues.values():
        issue["repository_url"] = f"{places.github.url}/repos/acme/starship"
    page, _ = places.row("One")
    places.notion.person_sets(page, {"🧩 Milestone": text("One, renamed", "title")})
    done = places.sync()
    assert (done.exit, done.created[N], done.created[G], done.unlinked) == (Exit.CLEAN, 0, 0, 0)
    assert places.github.transferred[number][1]["title"] == "One, renamed"
    before = places.counts
    assert places.sync().exit is Exit.CLEAN
    assert places.counts == before


def test_a_token_that_may_not_set_labels_is_told(places: Places) -> None:
    places.notion.person_adds_property(places.source, "Labels", {"multi_select": {}})
    places.github.person_opens("One", "", "roadmap")
    places.sync()
    places.github.may_label = False
    page, _ = places.row("One")
    places.notion.person_sets(page, {"Labels": {"multi_select": [{"name": "roadmap"}, {"name": "ui"}]}})
    done = places.sync()
    assert done.exit is Exit.PARTIAL
    assert "may not set labels" in done.failed[0]


def test_a_title_that_is_taken_is_told_before_anything_is_made(places: Places) -> None:
    places.github.person_adds_milestone("Stage 7")
    places.sync()
    places.add_row("Stage 7")
    writes = len(places.github.writes)
    done = places.sync()
    assert (done.exit, done.writes, len(places.github.writes)) == (Exit.CLEAN, 0, writes)
    assert "same title" in " ".join(done.notes)
    row = next(
        one.id
        for one in places.notion.rows(places.source)
        if not places.notion.values(one.id).get("Sync Key")
    )
    places.notion.person_sets(row, {"🧩 Milestone": text("Stage 8", "title")})
    assert places.sync().created[G] == 1


def test_a_title_that_is_refused_is_parked(places: Places) -> None:
    for name in ("Stage 7", "Stage 8"):
        places.github.person_adds_milestone(name)
    places.sync()
    row = next(
        one.id
        for one in places.notion.rows(places.source)
        if places.notion.values(one.id)["🧩 Milestone"] == "Stage 8"
    )
    places.notion.person_sets(row, {"🧩 Milestone": text("Stage 7", "title")})
    done = places.sync()
    assert "already_exists" in done.failed[0]
    assert done.exit is Exit.PARTIAL
    writes = len(places.github.writes)
    assert places.sync().exit is Exit.PARTIAL
    assert len(places.github.writes) == writes
    places.notion.person_sets(row, {"🧩 Milestone": text("Stage 9", "title")})
    assert places.sync().exit is Exit.CLEAN


def test_an_empty_database_of_many_rows_is_read_to_its_end(places: Places) -> None:
    places.notion.query_cap = 5
    places.notion.longest_page = 3
    for number in range(12):
        places.add_row(f"Row {number}")
        places.notion.pass_time(60)
    done = places.sync()
    assert (done.exit, done.created[G], done.is_complete) == (Exit.CLEAN, 12, True)


# --- the commands ------------------------------------------------------------------------------------


@pytest.fixture
def program(places: Places, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    place = "achievement_collector.services.two_way.running"
    monkeypatch.setattr(f"{place}.GitHubWriter", partial(GitHubWriter, sleep=lambda _seconds: None))
    monkeypatch.setattr(f"{place}.notion_client", lambda _settings: places.notion_client())
    for name, value in {
        "GITHUB_REPOSITORY": "acme/rocket", "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": places.github.url,
        "NOTION_API_KEY": fake_notion.API_KEY, "NOTION_API_URL": places.notion.url, "DATABASE_URL": places.ledger.name,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    app.command("two-way")(cli.two_way)
    sync = typer.Typer()
    cli.add_conflicts_to(sync)
    app.add_typer(sync, name="sync")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_command_plans_applies_and_tells_by_its_exit_code(
    places: Places, program: Callable[..., Any]
) -> None:
    places.github.person_adds_milestone("Stage 7")
    dry = program("two-way", "--full-sync", "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    told = json.loads(dry.output)["plan"]
    assert [(one["kind"], one["side"]) for one in told["operations"]] == [
        ("update", "github"),
        ("create", "notion"),
    ]
    assert len(places.notion.rows(places.source)) == 0
    shown = program("two-way", "--full-sync", "--dry-run")
    assert told["hash"][:16] in shown.output
    assert program("two-way", "--plan", "0000").exit_code == 1
    assert program("two-way", "--full-sync", "--plan", told["hash"][:16]).exit_code == 0
    page, _ = places.row("Stage 7")
    places.notion.person_sets(page, {"🧩 Milestone": text("Seven", "title")})
    places.github.person_edits_milestone(1, title="VII")
    assert program("two-way", "--full-sync").exit_code == 2
    listed = program("sync", "conflicts", "list")
    assert "'VII'" in listed.output
    assert "'Seven'" in listed.output
    number = json.loads(program("sync", "conflicts", "list", "--json").output)[0]["number"]
    assert program("sync", "conflicts", "resolve", str(number), "--take", "notion").exit_code == 0
    assert program("two-way", "--full-sync").exit_code == 0
    assert places.github.milestones[1]["title"] == "Seven"
    assert "there are no conflicts" in program("sync", "conflicts", "list").output
    places.github.troubles.append(Trouble(422, {"message": "no"}))
    places.notion.person_sets(page, {"🧩 Milestone": text("Eight", "title")})
    assert program("two-way", "--full-sync").exit_code == 3
    assert "1 refused" in program("two-way", "--health").output
    assert program("two-way", "--full-sync", "--retry-refused").exit_code == 0


def test_no_secret_is_told(
    places: Places, program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_wrongSECRET")
    told = program("two-way", "--full-sync")
    assert told.exit_code == 1
    assert "GITHUB_TOKEN" in told.output
    assert "SECRET" not in told.output
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert "GITHUB_REPOSITORY" in program("two-way").output
    assert places.counts[0] == 0


# --- together with what is published -----------------------------------------------------------------


def published(places: Places, *rows: RoadmapRow) -> None:
    publish(places.ledger, places.settings, Contents((), rows), places.clock, client=places.notion_client())


def stated(places: Places, name: str) -> str | None:
    found = roadmap_status(places.ledger, load_plan(), places.clock())["milestones"]
    value = next(one for one in found if name in (one["title"], one["key"]))["status"]["value"]
    return None if value is None else str(value)


def test_rows_without_a_partner_are_no_strangers(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was told of as the copy of another item, in every run."""
    monkeypatch.chdir(tmp_path)
    published(places, RoadmapRow("billing", "Billing"), RoadmapRow("linear/1", "From Linear"))
    places.add_row("Odd", **{"Sync Key": text("somebody's own")})
    for _ in range(2):
        done = places.sync()
        assert done.writes == 0
        assert [one for one in done.notes if "published from here" in one] == [
            "Notion: 2 rows show milestones that this repository does not have; published from here, and not synchronised"
        ]
        assert not [one for one in done.notes if "Billing" in one or "Linear" in one]
        assert [one for one in done.notes if "Odd" in one]


def test_a_row_of_a_milestone_that_the_roadmap_joins_is_taken_over(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row bore the file's id, and a second one of the same milestone was made."""
    monkeypatch.chdir(tmp_path)
    number = places.github.person_adds_milestone("Stage 7.3")
    key = f"127.0.0.1/acme/rocket/milestone/{number}"
    (tmp_path / "roadmap.yaml").write_text(
        f"milestones:\n  - id: s73\n    title: Stage 7.3\n    github: ['{key}']\n"
    )
    published(places, RoadmapRow("s73", "Stage 7.3"))
    done = places.sync()
    assert (done.linked, done.created[N], done.exit) == (1, 0, Exit.CLEAN)
    assert len(places.notion.rows(places.source)) == 1
    assert places.row("Stage 7.3")[1]["Sync Key"] == key
    assert places.sync().writes == 0


def test_changes_of_the_roadmap_reach_a_linked_row_and_go_on_to_github(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = places.github.person_adds_milestone("Stage 7.3")
    key = f"127.0.0.1/acme/rocket/milestone/{number}"

    def plan_says(status: str, target: str) -> None:
        (tmp_path / "roadmap.yaml").write_text(
            f"milestones:\n  - id: s73\n    title: Stage 7.3\n    status: {status}\n    target: {target}\n"
            f"    github: ['{key}']\n"
        )
        rows = roadmap_rows(places.ledger, places.settings, None, places.clock(), [])
        published(places, *rows)

    plan_says("Blocked", "2027-01-01")
    assert places.sync().exit is Exit.CLEAN
    plan_says("In Progress", "2027-06-30")
    page, values = places.row("Stage 7.3")
    assert (values["✅ Status"], values["📆 Target Date"]) == ("In Progress", "2027-06-30")
    places.sync()
    assert str(places.github.milestones[number]["due_on"])[:10] == "2027-06-30"
    with places.ledger.read() as connection:
        assert statements(connection) == {}  # what the file says is no word of Notion's people
    # what people set in Notion stays, and the file is not written over it
    places.notion.person_sets(page, {"📆 Target Date": {"date": {"start": "2027-08-01"}}})
    places.sync()
    plan_says("In Progress", "2027-09-01")
    assert places.row("Stage 7.3")[1]["📆 Target Date"] == "2027-08-01"
    assert places.sync().writes == 0


def test_an_unlinked_row_is_known_under_the_new_name_of_its_repository(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = places.github.person_adds_milestone("Stage 7")
    published(places, RoadmapRow(f"127.0.0.1/acme/old/milestone/{number}", "Stage 7"))
    with places.ledger.write() as connection:
        moved = Observation(Kind.REPOSITORY, "127.0.0.1/acme/old", 1, {"moved_to": "127.0.0.1/acme/rocket"})
        take_in(connection, [moved], 1)
    done = places.sync()
    assert (done.linked, done.created[N]) == (1, 0)
    assert sync_keys(places.ledger, "127.0.0.1/acme/rocket").keys() == {
        f"127.0.0.1/acme/rocket/milestone/{number}"
    }


def test_nothing_is_made_up_for_an_empty_status_and_what_people_set_reaches_the_roadmap(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = places.github.person_adds_milestone("Stage 7")
    key = f"127.0.0.1/acme/rocket/milestone/{number}"
    with places.ledger.write() as connection:
        told = {"name": "Stage 7", "state": "open", "number": number}
        take_in(connection, [Observation(Kind.MILESTONE, key, 1, told, "127.0.0.1/acme/rocket")], 1)
    places.sync()
    page, values = places.row("Stage 7")
    assert values["✅ Status"] is None
    assert stated(places, key) is None
    places.notion.person_sets(page, {"✅ Status": {"select": {"name": "Planned"}}})
    places.sync(is_dry=True)
    assert stated(places, key) is None
    assert places.sync().exit is Exit.CLEAN
    assert stated(places, key) == "Planned"
    places.notion.person_sets(page, {"✅ Status": {"select": {"name": "Blocked"}}})
    places.sync()
    assert stated(places, key) == "Blocked"
    # closed on GitHub: Notion shows it, and says nothing of its own any more
    places.github.person_edits_milestone(number, state="closed")
    places.sync()
    assert places.row("Stage 7")[1]["✅ Status"] == "Completed"
    assert (
        stated(places, key) is None
    )  # the ledger has not heard of the close yet, and Notion's word is taken back
    places.notion.person_sets(page, {"✅ Status": {"select": {"name": "In Progress"}}})
    places.sync()
    assert stated(places, key) == "In Progress"
    places.notion.person_sets(page, {"✅ Status": {"select": None}})
    places.sync()
    assert stated(places, key) is None
    assert places.sync().writes == 0


def test_a_status_of_a_row_without_a_partner_reaches_the_roadmap_too(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roadmap.yaml").write_text("milestones:\n  - id: billing\n    title: Billing\n")
    published(places, RoadmapRow("billing", "Billing"))
    places.sync()
    assert stated(places, "billing") is None
    page, _ = places.row("Billing")
    places.notion.person_sets(page, {"✅ Status": {"select": {"name": "In Progress"}}})
    places.sync()
    assert stated(places, "billing") == "In Progress"


def test_what_this_program_published_is_no_word_of_people(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = places.github.person_adds_milestone("Stage 7")
    key = f"127.0.0.1/acme/rocket/milestone/{number}"
    published(places, RoadmapRow(key, "Stage 7", status="In Progress"))
    assert places.sync().linked == 1
    places.sync()
    with places.ledger.read() as connection:
        assert statements(connection) == {}
