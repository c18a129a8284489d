"""Completed issues of Linear as achievements: what a person set in the issue is what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.derive.conclusions import Achievement, AchievementKind, Category
from achievement_collector.derive.issues import complexity_of_estimate, impact_of_priority
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.editing import edit_achievement
from achievement_collector.services.scanning import ScanProgress, scan
from tests.git_repositories import START, Repository, lines
from tests.outside_world import ROCKET, World, attached, day, done, issue, merged, opened, project


def issues_in(world: World) -> list[Achievement]:
    return [one for one in world.achievements() if one.kind is AchievementKind.ISSUE]


def test_a_completed_issue_is_an_achievement(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(issue("ENG-1", "Rank answers by meaning"))
    assert world.achievements() == []
    world.tell(
        done(
            "ENG-1", "Rank answers by meaning", day(3), priority=2, estimate=5, labels=["Python", "type: feature", "team-search"],
            description="With PostgreSQL and pgvector.\n\n- [x] measure",
        )
    )  # fmt: skip
    (one,) = world.achievements()
    assert (one.kind, one.title, one.repository) == (AchievementKind.ISSUE, "Rank answers by meaning", "")
    assert one.description == "With PostgreSQL and pgvector."
    assert (one.category.category, one.category.basis) == (Category.FEATURE, 'label "type: feature"')
    assert (one.impact.value, one.impact.parts[0].fact) == (75, "priority high in Linear")
    assert one.complexity.value == 80
    assert one.complexity.parts[0].fact == "5 points, step 4 of 5 on the team's fibonacci scale"
    assert one.occurred.timestamp() * 1000 == day(3)
    assert one.reason == "completed in Linear"
    assert [credit.person for credit in one.credits] == ["Carol Chen"]
    assert {"Python", "PostgreSQL"} <= {skill.name for skill in one.skills}
    assert {skill.evidence for skill in one.skills} == {'label "Python"', "named in ENG-1"}
    (proof,) = one.evidence
    assert (proof.reference, proof.url, proof.source) == (
        "ENG-1",
        "https://linear.app/acme/issue/ENG-1",
        "linear",
    )


@pytest.mark.parametrize(("priority", "points"), [(1, 90), (2, 75), (3, 60), (4, 40), (0, 30)])
def test_impact_is_by_priority(any_ledger: Ledger, priority: int, points: int) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank", day(3), priority=priority))
    assert [one.impact.value for one in world.achievements()] == [points]


def test_an_untold_priority_is_not_measured() -> None:
    assert impact_of_priority(None).points == 0
    assert impact_of_priority(None).fact.startswith("not measured")


@pytest.mark.parametrize(
    ("scale", "points"),
    [
        ("exponential", {1: 20, 2: 40, 4: 60, 8: 80, 16: 100, 32: 100, 64: 100}),
        ("fibonacci", {1: 20, 2: 40, 3: 60, 5: 80, 8: 100, 13: 100, 21: 100}),
        ("linear", {1: 20, 2: 40, 3: 60, 4: 80, 5: 100, 6: 100, 7: 100}),
        ("tShirt", {1: 20, 2: 40, 3: 60, 5: 80, 8: 100, 13: 100, 21: 100}),
    ],
)
def test_complexity_is_the_place_on_the_teams_scale(scale: str, points: dict[int, int]) -> None:
    assert {step: complexity_of_estimate(step, scale).points for step in points} == points
    assert complexity_of_estimate(0, scale).points == 0  # a team may allow zero
    told = [complexity_of_estimate(step, scale).fact for step in points]
    assert not any("step 6" in fact or "step 7" in fact for fact in told)
    assert told[-1].endswith(f"above all 5 steps on the team's {scale} scale")


@pytest.mark.parametrize(
    ("estimate", "scale", "why"),
    [
        (None, "fibonacci", "the issue has no estimate"),
        (3, "", "3 points, on a scale that is not known"),
        (3, "bananas", "3 points, on a scale that is not known"),
        (3, "notUsed", "the team does not estimate"),
    ],
)
def test_complexity_that_is_not_measured_says_so(estimate: float | None, scale: str, why: str) -> None:
    part = complexity_of_estimate(estimate, scale)
    assert part.points == 0
    assert part.fact.startswith(f"not measured: {why}")


def test_the_scale_of_a_team_may_come_later(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank", day(3), estimate=16, scale=""))
    assert [one.complexity.value for one in world.achievements()] == [0]
    world.tell(Observation(Kind.TEAM, "linear/team", day(4), {"key": "ENG", "scale": "exponential"}))
    assert [one.complexity.value for one in world.achievements()] == [100]


@pytest.mark.parametrize(
    ("title", "labels", "category"),
    [
        ("Crash at login", ["Bug"], Category.BUGFIX), ("Anything", ["Improvement"], Category.FEATURE),
        ("Fix the crash at login", [], Category.BUGFIX), ("Offsite in Lisbon", [], Category.UNSURE),
        ("Speed up the ranking", [], Category.PERFORMANCE), ("Refactor ranking", [], Category.REFACTORING),
        ("Write docs for the API", ["customer-acme"], Category.DOCUMENTATION), ("Implement OAuth login", [], Category.FEATURE),
        ("Upgrade to Python 3.13", [], Category.MAINTENANCE), ("XSS in the comment form", [], Category.SECURITY),
        ("Rank answers by meaning", [], Category.UNSURE), ("", [], Category.UNSURE),
    ],
)  # fmt: skip
def test_the_category_is_that_of_the_labels_else_of_the_words(
    ledger: Ledger, title: str, labels: list[str], category: Category
) -> None:
    world = World(ledger)
    world.tell(done("ENG-1", title, day(3), labels=labels))
    (one,) = world.achievements()
    assert one.category.category is category
    assert one.category.basis


# --- who has the credit ------------------------------------------------------------------------------

WAYS: dict[str, dict[str, Any]] = {
    "its branch": {"branch": "carol/eng-1-rank"},
    "its title": {"title": "ENG-1: rank answers"},
    "its body": {"body": "Fixes ENG-1"},
}


@pytest.mark.parametrize("first", ["the issue", "the pull request"])
@pytest.mark.parametrize("way", [*WAYS, "an attachment"])
def test_what_a_merged_pull_request_did_is_counted_once(any_ledger: Ledger, way: str, first: str) -> None:
    world = World(any_ledger)
    told = [[done("ENG-1", "Rank answers", day(3))], [merged(7, day(2), **WAYS.get(way, {}))]]
    if way == "an attachment":
        told[0].append(attached("ENG-1", f"https://{ROCKET}/pull/7"))
    for part in told if first == "the issue" else told[::-1]:
        world.tell(*part)
    assert [one.pull_request for one in world.achievements()] == [7]
    assert world.left_out() == {"Rank answers": "done by rocket#7, which has the credit"}


@pytest.mark.parametrize(
    "fields",
    [{"body": "Follows ENG-1."}, {"body": "<!-- Fixes ENG-1 -->"}, {"branch": "eng-11-other"}],
)
def test_a_pull_request_that_only_mentions_an_issue_did_not_do_it(
    any_ledger: Ledger, fields: dict[str, Any]
) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank answers", day(3)), merged(7, day(2), **fields))
    assert len(issues_in(world)) == 1


def test_an_open_pull_request_has_not_done_anything(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank answers", day(3)), opened(7, branch="eng-1"))
    assert len(issues_in(world)) == 1


def test_a_pull_request_that_does_not_count_has_no_credit_to_give(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank", day(3)), merged(7, day(2), branch="eng-1", author="x[bot]", is_bot=True))
    assert len(issues_in(world)) == 1


def test_what_was_reverted_is_credited_to_nobody_until_it_lands_again(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank answers", day(3)), merged(7, day(2), body="Fixes ENG-1"))
    world.tell(merged(8, day(4), title='Revert "Add part 7"', body="Reverts acme/rocket#7"))
    assert world.achievements() == []
    assert world.left_out()["Rank answers"] == "done by rocket#7, which was reverted"
    world.tell(merged(9, day(5), title="Add part 7 again", body="Fixes ENG-1"))
    assert [one.pull_request for one in world.achievements()] == [9]
    assert world.left_out()["Rank answers"] == "done by rocket#9, which has the credit"


def test_a_revert_that_only_git_shows_reaches_the_issue(any_ledger: Ledger, tmp_path: Path) -> None:
    world = World(any_ledger)
    git = Repository(tmp_path / "rocket")
    git.git("remote", "add", "origin", f"https://{ROCKET}.git")
    git.commit("Begin", {"README.md": lines(5)})
    sha = git.commit("Add ranking (#7)", {"rank.py": lines(80)})
    world.tell(done("ENG-1", "Rank answers", day(3)), merged(7, day(2), body="Fixes ENG-1", merge_sha=sha))

    def told() -> str:
        scan(any_ledger, [git.path], world.settings, START * 2, ScanProgress())
        world.conclude()
        return world.left_out()["Rank answers"]

    assert told() == "done by rocket#7, which has the credit"
    git.git("revert", "--no-edit", sha)
    assert told() == "done by rocket#7, which was reverted"
    git.git("revert", "--no-edit", "HEAD")
    assert told() == "done by rocket#7, which has the credit"


def test_an_issue_that_nobody_was_assigned_to_is_left_out_with_the_reason(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank answers", day(3), assignee="", assignee_email=""))
    assert world.achievements() == []
    assert world.left_out() == {"Rank answers": "nobody was assigned, so nobody is accountable for it"}


# --- coming and going --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "later",
    [
        issue("ENG-1", "Rank", day(4)),
        issue("ENG-1", "Rank", day(4), state="canceled", canceled=day(4)),
        Observation(Kind.ISSUE, "linear/eng-1", day(4), {"removed": True}),
    ],
    ids=["reopened", "canceled", "removed"],
)
def test_an_issue_that_is_no_longer_completed_is_no_achievement(
    any_ledger: Ledger, later: Observation
) -> None:
    world = World(any_ledger)
    completed = done("ENG-1", "Rank", day(3))
    world.tell(completed)
    assert len(issues_in(world)) == 1
    world.tell(later)
    assert world.achievements() == []
    assert world.left_out() == {}
    world.tell(completed)  # an old delivery, sent again
    assert world.achievements() == []


def test_a_reopened_issue_that_is_completed_again_is_one_achievement(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank", day(3)))
    (first,) = world.achievements()
    world.tell(issue("ENG-1", "Rank", day(4)), done("ENG-1", "Rank", day(5)))
    (again,) = world.achievements()
    assert again.id == first.id
    assert again.occurred.timestamp() * 1000 == day(5)


def test_an_edit_by_a_person_survives_whatever_is_told_later(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "Rank", day(3), priority=4))
    (one,) = world.achievements()
    edit_achievement(
        any_ledger, one.id, {"title": "Made search answer questions", "impact": 95}, [], world.settings, START
    )
    world.tell(done("ENG-1", "Rank answers", day(5), priority=1), issue("ENG-1", "Rank answers", day(4)))
    (again,) = world.achievements()
    assert (again.id, again.title, again.impact.value) == (one.id, "Made search answer questions", 95)
    assert again.impact.parts[0].fact.endswith("the rules say 90")


def test_an_issue_known_in_part_only_is_none(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(Observation(Kind.ISSUE, "linear/eng-1", day(3), {"removed": False}))
    assert world.achievements() == []


def test_a_hostile_issue_does_no_harm(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(done("ENG-1", "\0" + "x" * 5_000, day(3), labels=["\0"], description="# \n" * 5_000))
    assert len(world.achievements()) + len(world.left_out()) == 1


def test_a_person_of_linear_is_the_one_of_git_by_address(any_ledger: Ledger, tmp_path: Path) -> None:
    world = World(any_ledger)
    git = Repository(tmp_path / "rocket")
    git.commit("Add ranking", {"rank.py": lines(80)}, author=("Caro", "carol@example.dev"))
    scan(any_ledger, [git.path], world.settings, START * 2, ScanProgress())
    world.tell(replace(done("ENG-1", "Rank answers", day(3)), at=day(4)))
    assert len({credit.person for one in world.achievements() for credit in one.credits}) == 1


@pytest.mark.parametrize("is_late", [False, True])
def test_an_issue_that_moves_to_another_team_keeps_its_pull_requests(
    any_ledger: Ledger, is_late: bool
) -> None:
    """Linear gives it another identifier; branches and titles keep the old one, whichever is heard of first."""
    world = World(any_ledger)
    world.hear(project("search", "E5.1 Search"))
    before = issue("ENG-1", "Rank answers", day(1), project="search", **{"known_as/ENG-1": True})
    key = before.key
    after = done("OPS-7", "Rank answers", day(6), project="search", **{"known_as/OPS-7": True})
    after = Observation(after.kind, key, after.at, after.fields, after.scope)
    pull = merged(1, day(5), title="Rank answers, ENG-1", branch="alice/eng-1")
    for one in (pull, after, before) if is_late else (before, pull, after):
        world.tell(one)
    assert world.members("E5.1")[f"{ROCKET}#1"]
    (counted,) = [one for one in world.achievements() if one.kind.value != "epic"]
    assert counted.kind.value == "change"
    assert "done by rocket#1" in world.left_out()["Rank answers"]
