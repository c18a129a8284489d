"""Which epic a pull request belongs to: the documented precedence, and what people said about it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest

from achievement_collector.derive import links, pulls
from achievement_collector.derive.links import Link, epic_key, link, mentioned_words, named, new_key
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.epics import link_by_hand, pull_key, start_epic
from tests.outside_world import ROCKET, World, attached, day, issue, merged, opened, project

NAMES = {"e1": "E1", "e2": "E2", "e3": "E3", "ai-enhanced search": "E5.1", "e5.1": "E5.1"}
ISSUES = {"ENG-4": "E4", "ENG-5": "E5", "ENG-6": "E6", "ENG-7": "E7", "ENG-9": ""}


def pull(body: str = "", branch: str = "", title: str = "") -> PullRequest:
    return PullRequest(ROCKET, 1, title=title, body=body, branch=branch)


def names_in(body: str = "", branch: str = "", title: str = "") -> list[str]:
    """The epics that are begun or joined by a text, where ``NAMES`` are known."""
    return [epic for epic, _ in link(pull(body, branch, title), NAMES, ISSUES)]


# --- precedence --------------------------------------------------------------------------------------

_STEPS = [
    ({"by_hand": {"E0": True}}, Link("E0", "set by hand")),
    ({"body": "Epic: E1"}, Link("E1", '"Epic:" in its body')),
    ({"branch": "feature/epic-E2"}, Link("E2", "the name of its branch")),
    ({"attached": [("ENG-3", "E3")]}, Link("E3", "attached to ENG-3")),
    ({"branch": "alice/eng-4-search"}, Link("E4", "ENG-4 in its branch")),
    ({"title": "ENG-5: search"}, Link("E5", "ENG-5 in its title")),
    ({"body": "This is for ENG-6."}, Link("E6", "ENG-6 in its body")),
]


def linked(given: list[dict[str, Any]]) -> tuple[Link, ...]:
    def texts(name: str) -> str:
        return "\n".join(one[name] for one in given if name in one)

    return link(
        pull(texts("body"), "/".join(one["branch"] for one in given if "branch" in one), texts("title")),
        NAMES,
        ISSUES,
        [pair for one in given for pair in one.get("attached", [])],
        {key: value for one in given for key, value in one.get("by_hand", {}).items()},
    )


@pytest.mark.parametrize("step", range(len(_STEPS)))
def test_each_step_names_an_epic_and_comes_before_all_later_ones(step: int) -> None:
    given, wanted = _STEPS[step]
    assert linked([given]) == (wanted,)
    assert linked([one for one, _ in reversed(_STEPS[step:])]) == (wanted,)


def test_what_a_person_took_away_does_not_decide_and_the_next_does() -> None:
    told = pull("Epic: E1", "feature/epic-E2-search")
    assert link(told, NAMES, ISSUES, by_hand={"E1": False}) == (Link("E2", "the name of its branch"),)
    assert link(told, NAMES, ISSUES, by_hand={"E1": False, "E2": False}) == ()


def test_people_may_set_several_and_only_people() -> None:
    assert [one.epic for one in link(pull(), {}, {}, by_hand={"E9": True, "E8": True})] == ["E8", "E9"]
    assert names_in("Epic: E1\nEpic: E2") == ["E1"]


def test_what_a_person_set_holds_under_the_epics_present_key() -> None:
    assert link(pull(), {"old-slug": "E5.1"}, {}, by_hand={"old-slug": True}) == (
        Link("E5.1", "set by hand"),
    )


def test_of_two_attachments_the_order_in_which_they_were_told_does_not_decide() -> None:
    pairs = [("ENG-8", "E8"), ("ENG-3", "E3"), ("ENG-1", "")]
    assert (
        link(pull(), {}, {}, pairs) == link(pull(), {}, {}, pairs[::-1]) == (Link("E3", "attached to ENG-3"),)
    )


def test_an_issue_without_an_epic_names_none() -> None:
    assert names_in(branch="eng-9-tidy") == []
    assert names_in("ENG-9, then ENG-7") == ["E7"]


# --- what a body says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "Epic: E5.1", "epic: e5.1", "EPIC: E5.1", "**Epic:** E5.1", "**Epic**: E5.1", "*Epic:* `E5.1`", "- Epic: E5.1.",
        "> Epic : E5.1", "### Epic: E5.1", "Epic: [E5.1](https://linear.app/acme/project/x)", "Epic: **[E5.1](https://a.example)**",
        "Epic: E5.1 (AI-Enhanced Search)", "Epic: E5.1 – AI-Enhanced Search", "Epic: 5.1", "Epic:E5.1\r", "Epic: AI-Enhanced Search",
        "Epic: https://linear.app/acme/project/e5.1/overview", "What it does\n\nEpic: E5.1\n\nMore",
    ],
)  # fmt: skip
def test_a_line_that_names_the_epic(line: str) -> None:
    assert names_in(line) == ["E5.1"]


@pytest.mark.parametrize(
    "body",
    [
        "<!-- Epic: E5.1 -->", "<!--\nEpic: E5.1\n-->", "<!-- never closed\nEpic: E5.1", "Epic: <!-- the key, such as E5.1 -->",
        "Epic:", "Epic: none", "Epic: N/A", "Epic: TBD", "Epic: -", "Epic: _none_", "Epic: KEY", "Epic:\n\nE5.1",
        "This epic: it is long", "Epics: E5.1", "an Epic: E5.1 in the middle", "Epic: this will change everything",
        "Epic: 3 new endpoints", "Epic: OAuth2 login for all", "Epic: https://example.dev/some/page", "Epic: https://example.dev",
        "Epic: …", "Epic: [](x)", "subepic: E5.1",
    ],
)  # fmt: skip
def test_a_line_that_names_no_epic(body: str) -> None:
    assert names_in(body) == []


def test_a_key_behind_a_comment_counts() -> None:
    assert names_in("<!-- Epic: E1 -->\nEpic: E2 <!-- or another -->") == ["E2"]


def test_an_unknown_key_names_an_epic_the_same_however_it_is_spelled() -> None:
    told = ("Epic: e7.2", "Epic: E7.2", "Epic: 7.2 ", "Epic: [E7.2](https://a.example) – faster")
    assert {link(pull(body), {}, {})[0].epic for body in told} == {"E7.2"}
    assert {link(pull(body), {}, {})[0].epic for body in ("Epic: Billing", "Epic: billing")} == {"billing"}
    assert new_key("ops-12") == "OPS-12"


# --- what a branch says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("branch", "epic"),
    [
        ("feature/epic-E5.1-search", "E5.1"), ("epic-5.1", "E5.1"), ("epic/E5.1", "E5.1"), ("epic-e5.1/part-2", "E5.1"),
        ("alice/epic_5.1_ranking", "E5.1"), ("epic/ENG-12/search", "ENG-12"), ("EPIC-E5.1", "E5.1"),
        ("feature/search", None), ("epic-search", None), ("epicness-5.1", None), ("nonepic-5.1", None), ("epic-E5.1search", None),
        ("epic", None), ("", None), ("fix/my-epic", None),
    ],
)  # fmt: skip
def test_the_name_of_a_branch(branch: str, epic: str | None) -> None:
    assert names_in(branch=branch) == ([epic] if epic else [])


def test_a_bare_number_is_the_key_that_is_known_by_it() -> None:
    told = pull(branch="epic-12")
    assert link(told, {"epic-12": "EPIC-12"}, {})[0].epic == "EPIC-12"
    assert link(told, {"12": "12", "e12": "E12"}, {})[0].epic == "12"
    assert link(told, {}, {})[0].epic == "E12"
    assert {"12", "e12", "epic-12"} <= set(mentioned_words(told))


def test_the_number_in_an_epics_branch_is_no_issue() -> None:
    assert named(pull(branch="epic-5.1")).issues == ()


# --- keys of issues ----------------------------------------------------------------------------------


def test_issues_are_named_where_they_are_first_said() -> None:
    told = named(pull("ENG-3, eng-2 and ENG-1.", "alice/eng-1-search", "[ENG-2] Search"))
    assert told.issues == (
        ("ENG-1", "ENG-1 in its branch"), ("ENG-2", "ENG-2 in its title"), ("ENG-3", "ENG-3 in its body"),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["XENG-12345678", "a1ENG-", "eng -1", "http2", "1-2", "v-", "ÄENG"])
def test_what_looks_almost_like_a_key_is_none(text: str) -> None:
    assert "ENG-1" not in dict(named(pull(text)).issues)
    assert named(pull(text)).issues == ()


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("E5.1 AI-Enhanced Search", "E5.1"), ("[E5.1] Search", "E5.1"), ("E5.1: Search", "E5.1"), ("EPIC-3 Billing", "EPIC-3"),
        ("ENG-12 – Billing", "ENG-12"), ("E5.1", "E5.1"), ("Search", "slug"), ("E2E tests", "slug"), ("Every1 wins", "slug"),
    ],
)  # fmt: skip
def test_the_key_of_an_epic_is_the_one_its_title_begins_with(title: str, key: str) -> None:
    assert epic_key("project", title, "", "slug", "linear/p") == key


def test_the_key_of_an_epic_without_one_in_its_title() -> None:
    assert epic_key("issue", "Search", "ENG-1", "x", "linear/i") == "ENG-1"
    assert epic_key("project", "Search", "", "", "linear/p-1") == "p-1"


# --- hostile texts -----------------------------------------------------------------------------------

_BITS = [
    "epic", "epic:", "Epic: ", "epic-", "<!--", "-->", "[", "![", "](", "](http://", "<img ", "<img src=", "src", " ", "\t", "\n",
    "\r\n", "#", "# ", "*", "_", ">", "- [ ] ", "fix ", "fixes\t", "closes #", "Reverts ", "Reverts #", "a/", "a.", "E1", "1.", "1",
    "-1", "A-", "A1-", "https://", "http://x/issues/", ".notion.site", "/user-attachments/", ".pdf?", "`", "'", '"', "É", "\0", "\ud800",
]  # fmt: skip
_SIZE = 20_000


def hostile() -> list[str]:
    found = [bit * (_SIZE // len(bit)) for bit in _BITS]
    found += [
        (first * 80 + second * 80) * (_SIZE // (80 * (len(first) + len(second))))
        for first in _BITS[::3] for second in _BITS[1::4]
    ]  # fmt: skip
    found += [bit + " " * _SIZE for bit in _BITS] + [" " * _SIZE + bit for bit in _BITS]
    return [text[:_SIZE] for text in found]


def regexes() -> list[Any]:
    return [
        pytest.param(value, id=f"{module.__name__.rpartition('.')[2]}.{name}")
        for module in (links, pulls)
        for name, value in sorted(vars(module).items())
        if isinstance(value, re.Pattern)
    ]


@pytest.mark.parametrize("pattern", regexes())
def test_no_text_of_20_kb_keeps_a_regex_busy(pattern: re.Pattern[str]) -> None:
    def seconds(text: str) -> float:
        begin = time.process_time()
        for _ in pattern.finditer(text):
            pass
        return time.process_time() - begin

    slowest = max(hostile(), key=seconds)
    assert min(seconds(slowest) for _ in range(3)) < 0.2, slowest[:60]


def test_no_text_of_20_kb_keeps_the_rules_busy() -> None:
    def read(text: str) -> None:
        told = replace(pull(text, text[:500], text[:1000]), title="Revert " + text[:900])
        mentioned_words(told)
        pulls.closed_issues(text)
        pulls.reverted_number(told)
        pulls.attached_to(text)
        pulls.readable_body(text, 1200)

    for text in hostile():
        begin = time.process_time()
        read(text)
        assert time.process_time() - begin < 1.0, text[:60]


def test_a_flood_of_names_is_cut() -> None:
    told = named(pull("\n".join(f"Epic: E{n}\nENG-{n}" for n in range(2_000))))
    assert len(told.epics) <= 50
    assert len(told.issues) <= 50


# --- in the ledger -----------------------------------------------------------------------------------


def epics_of(world: World, number: int) -> dict[str, str]:
    return {
        key: world.members(key)[f"{ROCKET}#{number}"]
        for key in world.epics()
        if f"{ROCKET}#{number}" in world.members(key)
    }


def test_a_correction_by_hand_stays_after_later_news(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("p", "E5.1 Search"), opened(1, body="Epic: E5.1"))
    assert epics_of(world, 1) == {"E5.1": '"Epic:" in its body'}
    link_by_hand(any_ledger, "E6", "acme/rocket#1", True, world.now)
    world.conclude()
    assert epics_of(world, 1) == {"E6": "set by hand"}
    world.tell(
        merged(1, day(2), body="Epic: E5.1", branch="epic-E7"), project("p", "E5.1 Better search", day(3))
    )
    assert epics_of(world, 1) == {"E6": "set by hand"}
    assert world.epic("E5.1").structure["deliverables"]["prs_merged"] == 0


def test_undoing_a_correction_lets_the_texts_speak_again(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(opened(1, body="Epic: E5.1"))
    link_by_hand(any_ledger, "E6", "acme/rocket#1", True, world.now)
    world.conclude()
    link_by_hand(any_ledger, "E6", "https://github.com/acme/rocket/pull/1", False, world.now)
    world.conclude()
    assert epics_of(world, 1) == {"E5.1": '"Epic:" in its body'}
    assert world.epics() == ["E5.1"]  # nothing belongs to E6 any more


def test_a_pull_request_taken_out_by_hand_stays_out(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("p", "E5.1 Search"), opened(1, body="Epic: E5.1"))
    link_by_hand(any_ledger, "e5.1", "acme/rocket#1", False, world.now)
    world.conclude()
    world.tell(merged(1, day(2), body="Really, Epic!\n\nEpic: E5.1"))
    assert epics_of(world, 1) == {}
    link_by_hand(any_ledger, "E5.1", "acme/rocket#1", True, world.now)
    world.conclude()
    assert epics_of(world, 1) == {"E5.1": "set by hand"}


def test_what_cannot_be_linked_by_hand_is_said(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    with pytest.raises(NotFoundError, match=r"acme/rocket#1 is not known"):
        link_by_hand(any_ledger, "E1", "acme/rocket#1", True, world.now)
    world.tell(opened(1))
    with pytest.raises(NotFoundError, match="no epic"):
        link_by_hand(any_ledger, "E1", "acme/rocket#1", False, world.now)
    for text in ("rocket#1", "acme/rocket", "acme/rocket#x", ""):
        with pytest.raises(CollectorError, match="names no pull request"):
            pull_key(text)
    assert pull_key("git.example.dev/acme/rocket#7") == "git.example.dev/acme/rocket#7"


@pytest.mark.parametrize("arrives", ["first", "last"])
def test_an_epic_started_by_hand_has_the_spelling_people_gave_it(any_ledger: Ledger, arrives: str) -> None:
    world = World(any_ledger)
    if arrives == "first":
        world.tell(opened(1, body="Epic: billing"))
    start_epic(any_ledger, "Billing", "Billing for all", "", world.now)
    world.conclude()
    if arrives == "last":
        world.tell(opened(1, body="Epic: billing"))
    assert world.epics() == ["Billing"]
    assert epics_of(world, 1) == {"Billing": '"Epic:" in its body'}


@pytest.mark.parametrize("arrives", ["first", "last"])
def test_an_epic_is_found_by_its_title(any_ledger: Ledger, arrives: str) -> None:
    world = World(any_ledger)
    told = [project("p", "AI search"), opened(1, body="Epic: AI search")]
    for one in told if arrives == "last" else told[::-1]:
        world.tell(one)
    assert epics_of(world, 1) == {"p": '"Epic:" in its body'}
    world.tell(project("p", "AI-enhanced search", day(2)))  # nothing is called so any more
    assert epics_of(world, 1) == {}


def test_an_attachment_ties_and_its_removal_unties(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    url = f"https://{ROCKET}/pull/1"
    for story in (
        [project("p", "E5.1 Search"), issue("ENG-1", "Rank", project="p"), opened(1), attached("ENG-1", url)],
        [attached("ENG-1", url, day(1), removed=True)],
        [attached("ENG-1", url, day(2))],
        [issue("ENG-1", "Rank", day(3), project="")],
    ):
        world.tell(*story)
        ties = epics_of(world, 1)
        assert ties == ({"E5.1": "attached to ENG-1"} if story[-1].at in (day(2), day(0)) else {})
