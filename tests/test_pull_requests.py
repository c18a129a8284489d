"""Pull requests as achievements: what they bear, how they meet git's history, when their credit goes and comes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.derive.conclusions import Achievement, Category
from achievement_collector.derive.pulls import (
    attached_to,
    category_of_labels,
    closed_issues,
    readable_body,
    reverted_number,
    standings,
)
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger import inbox
from achievement_collector.ledger.inbox import Incoming
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.editing import edit_achievement
from achievement_collector.services.intake import process_waiting
from achievement_collector.services.scanning import ScanProgress, scan
from tests.git_repositories import ALICE, BOB, START, Repository, lines
from tests.outside_world import HOUR, ROCKET, World, closed, day, merged, opened, review

REMOTE = "https://github.com/acme/rocket.git"


# --- from the forge alone ----------------------------------------------------------------------------


def test_an_opened_pull_request_is_no_achievement(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(opened(1))
    assert world.achievements() == []
    assert world.left_out() == {}


def test_a_pull_request_closed_without_a_merge_is_none(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(opened(1), closed(1, day(1)))
    assert world.achievements() == []
    assert world.left_out() == {}


def evidence(one: Achievement, kind: str) -> list[tuple[str, str, str, str]]:
    return [(e.reference, e.label, e.value, e.unit) for e in one.evidence if e.kind == kind]


def test_a_merged_pull_request_is_one_achievement_with_what_the_forge_tells(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    body = "<!-- template -->\nAnswers questions instead of words.\n\nFixes #7, closes acme/other#8\n\n- [x] tested"
    world.tell(
        merged(
            12, day(2), created=day(2) - 6 * HOUR, title="Add semantic search (#12)", body=body,
            labels=["backend", "type: enhancement"],
        ),
        review(12, "bob", day(1) + HOUR, "changes_requested", 1), review(12, "bob", day(1) + 2 * HOUR, "approved", 2),
        review(12, "carol", day(1) + 3 * HOUR, "approved", 3), review(12, "alice", day(1), "commented", 4),
    )  # fmt: skip
    (one,) = world.achievements()
    assert one.title == "Add semantic search"
    assert one.description == "Answers questions instead of words.\n\nFixes #7, closes acme/other#8"
    assert (one.pull_request, one.repository) == (12, ROCKET)
    assert one.category.category is Category.FEATURE
    assert one.category.basis == 'label "type: enhancement"'
    assert (one.size.lines_added, one.size.lines_deleted, one.size.files) == (120, 10, 4)
    assert one.occurred.timestamp() * 1000 == day(2)
    assert [credit.person for credit in one.credits] == ["alice"]
    assert evidence(one, "lead time") == [("", "from opened to merged:", "6.0", "hours")]
    assert evidence(one, "reviews") == [("", "reviews by bob, carol, 2 of them approving", "3", "reviews")]
    assert evidence(one, "labels") == [("", "backend, type: enhancement", "", "")]
    assert [reference for reference, *_ in evidence(one, "issue")] == ["#7", "acme/other#8"]
    (pull,) = [e for e in one.evidence if e.kind == "pull request"]
    assert (pull.url, pull.source) == (f"https://{ROCKET}/pull/12", "github")
    assert all("as the forge counts them" in part.fact for part in one.impact.parts if part.name == "extent")


def test_taking_the_same_in_again_changes_nothing(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(opened(1), merged(1, day(2)))
    before = world.achievements()
    world.tell(merged(1, day(2)), opened(1))
    assert world.achievements() == before
    assert len(before) == 1


def test_the_labels_that_come_later_count(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2), title="Tidy the index"))
    world.tell(replace(merged(1, day(2), title="Tidy the index", labels=["security"]), at=day(3)))
    (one,) = world.achievements()
    assert one.category.category is Category.SECURITY


def test_programs_are_left_out(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2), title="Bump lodash", author="dependabot[bot]", is_bot=True))
    assert world.achievements() == []
    assert world.left_out() == {"Bump lodash": "made by a program: dependabot[bot]"}
    (one,) = world.achievements(left_out=True)
    assert one.credits == ()


@pytest.mark.parametrize("login", ["renovate-bot", "k8s-ci-robot", "acme-builder"])
def test_programs_that_the_forge_calls_users_are_left_out(
    any_ledger: Ledger, tmp_path: Path, login: str
) -> None:
    (tmp_path / "bots.toml").write_text('names = ["acme-builder"]')
    world = World(any_ledger, rules=tmp_path)
    world.tell(merged(1, day(2), title="Bump lodash", author=login, body="Epic: E1"))
    assert world.left_out() == {"Bump lodash": f"made by a program: {login}"}
    told = world.epic("E1").structure
    assert told["deliverables"]["bot_pull_requests"]["count"] == 1
    assert (told["deliverables"]["prs_merged"], told["metrics"]["team"]["contributors"]) == (0, [])


@pytest.mark.parametrize(
    ("login", "is_bot", "agent"),
    [
        ("Copilot", True, "GitHub Copilot"),
        ("claude[bot]", True, "Claude"),
        ("copilot", False, "GitHub Copilot"),
    ],
)
def test_the_work_of_an_ai_agent_is_its_human_co_authors(
    any_ledger: Ledger, login: str, is_bot: bool, agent: str
) -> None:
    world = World(any_ledger)
    body = "Answers questions.\r\n\r\nEpic: E1\r\nCo-authored-by: Ada <ada@x.example>"
    given: dict[str, Any] = {"author": login, "author_id": 198982749, "is_bot": is_bot}
    world.tell(merged(1, day(2), title="Add answers", body=body, **given))
    (one,) = world.achievements()
    assert [credit.person for credit in one.credits] == ["Ada"]
    assert one.assisted_by == (agent,)
    assert world.epic("E1").structure["metrics"]["team"]["contributors"] == ["Ada"]
    world.tell(merged(2, day(3), title="Add questions", body="Epic: E1", **given))
    assert world.left_out() == {"Add questions": "no person is accountable for it: made by an AI agent alone"}
    assert world.epic("E1").structure["metrics"]["team"]["contributors"] == ["Ada"]


def test_a_co_author_named_in_the_body_is_credited_beside_the_author(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    body = "Text.\n\n<!-- Co-authored-by: Name <mail@x.example> -->\nCo-authored-by: Ada <ada@x.example>"
    world.tell(merged(1, day(2), body=body))
    (one,) = world.achievements()
    roles = [(credit.person, credit.role.value, credit.commits) for credit in one.credits]
    assert roles == [("alice", "author", 2), ("Ada", "co-author", 0)]


def test_only_people_review_and_not_their_own_work(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        merged(12, day(2), body="Epic: E1"), review(12, "Alice", day(1), "commented", 1),
        review(12, "k8s-ci-robot", day(1), "approved", 2), review(12, "bob", day(1), "approved", 3),
        replace_fields(review(12, "coderabbitai[bot]", day(1), "commented", 4), is_bot=True),
        review(12, "Copilot", day(1), "commented", 5),
    )  # fmt: skip
    (one,) = world.achievements()
    assert evidence(one, "reviews") == [("", "reviews by bob, 1 of them approving", "1", "reviews")]
    assert [label for _, label, *_ in evidence(one, "automatic reviews")] == [
        "by programs: Copilot, coderabbitai[bot], k8s-ci-robot"
    ]
    metrics = world.epic("E1").structure["metrics"]
    assert (metrics["team"]["reviewers"], metrics["team"]["reviews"]) == (["bob"], 1)
    assert metrics["quality"]["reviewed"] == {"value": 1, "n": 1}


def test_what_only_programs_and_its_author_looked_at_was_not_reviewed(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        merged(12, day(2), body="Epic: E1"), review(12, "alice", day(1), "commented", 1),
        review(12, "github-actions[bot]", day(1), "approved", 2),
    )  # fmt: skip
    (one,) = world.achievements()
    assert evidence(one, "reviews") == []
    metrics = world.epic("E1").structure["metrics"]
    assert (metrics["quality"]["reviewed"], metrics["team"]["reviews"]) == ({"value": 0, "n": 1}, 0)


def replace_fields(told: Observation, **fields: Any) -> Observation:
    return replace(told, fields={**told.fields, **fields})


def test_one_without_a_known_author_is_left_out(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2), author="", author_id=None))
    assert world.left_out() == {"Add part 1": "nobody is known to have made it"}


def test_fewer_changes_than_the_configuration_asks_for_do_not_count(any_ledger: Ledger) -> None:
    world = World(any_ledger, min_changes=100)
    world.tell(
        merged(1, day(2)), merged(2, day(2), additions=60, deletions=39), merged(3, day(2), additions=60, deletions=40),
        merged(4, day(2), additions=None, deletions=None),
    )  # fmt: skip
    assert {one.pull_request for one in world.achievements()} == {
        1,
        3,
        4,
    }  # what was not told is not held against it
    assert world.left_out() == {
        "Add part 2": "99 changed lines, fewer than the 100 that pr_tracking.min_changes asks for"
    }


def test_a_pull_request_of_no_epic_does_not_count_where_one_is_asked_for(any_ledger: Ledger) -> None:
    world = World(any_ledger, require_epic_link=True)
    world.tell(merged(1, day(2)), merged(2, day(2), body="Epic: E5.1"))
    assert [one.pull_request for one in world.achievements()] == [2]
    reason = "it belongs to no epic, and pr_tracking.require_epic_link asks for one"
    assert world.left_out() == {"Add part 1": reason}
    world.tell(replace(merged(1, day(2), body="Epic: E5.1"), at=day(3)))
    assert {one.pull_request for one in world.achievements()} == {1, 2}


def test_pull_requests_are_not_tracked_where_that_is_switched_off(any_ledger: Ledger) -> None:
    world = World(any_ledger, pr_tracking_enabled=False)
    world.tell(merged(1, day(2), body="Epic: E1"))
    assert world.achievements() == []
    assert world.epic("E1").structure["deliverables"]["prs_merged"] == 1


def deliver(world: World, *bodies: dict[str, Any]) -> None:
    incoming = [
        Incoming("github", f"d-{world.now}-{n}", "pull_request", json.dumps(body).encode(), world.now)
        for n, body in enumerate(bodies)
    ]
    with world.ledger.write() as connection:
        inbox.store(connection, incoming)
    done = process_waiting(world.ledger, world.settings, world.now)
    assert (done.processed, done.failed) == (len(bodies), 0)
    world.conclude()


def delivery(body: str, title: str = "Add a \0 search") -> dict[str, Any]:
    return {
        "action": "closed",
        "repository": {"full_name": "acme/rocket", "html_url": "https://github.com/acme/rocket"},
        "pull_request": {
            "number": 5, "title": title, "body": body, "user": {"login": "alice", "id": 101, "type": "User"}, "labels": [],
            "created_at": "2025-10-09T08:00:00Z", "updated_at": "2025-10-10T08:00:00Z", "closed_at": "2025-10-10T08:00:00Z",
            "merged_at": "2025-10-10T08:00:00Z", "merge_commit_sha": "c" * 40, "state": "closed", "additions": 100, "deletions": 2,
            "changed_files": 3, "commits": 1, "html_url": "https://github.com/acme/rocket/pull/5",
            "head": {"ref": "search", "sha": "b" * 40}, "base": {"ref": "main", "sha": "a" * 40},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    ["\0" * 50, "\ud800 and \udfff", "x" * 2_000_000, "<!--" * 50_000, "fix " * 100_000, "[" * 500_000, "\n" * 500_000,
     "Epic: \0\ud800E5.1\0", "‮gnp.exe", "Epic: " + "9" * 100_000],
    ids=["nul", "surrogates", "huge", "comments", "words", "brackets", "lines", "epic", "bidi", "digits"],
)  # fmt: skip
def test_no_body_of_a_pull_request_does_harm(any_ledger: Ledger, body: str) -> None:
    world = World(any_ledger)
    deliver(world, delivery(body))
    (one,) = world.achievements()
    assert one.title == "Add a � search"
    assert len(one.description) <= 1_202
    json.dumps([one.title, one.description]).encode()


# --- together with git's history ---------------------------------------------------------------------


class Project:
    """A git repository with a remote at GitHub, scanned into a ledger that is also told of pull requests."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.git = Repository(folder)
        self.git.git("remote", "add", "origin", REMOTE)
        self.world = World(ledger)
        self.git.commit("Begin", {"README.md": lines(5)})

    def scan(self) -> None:
        done = scan(self.world.ledger, [self.git.path], self.world.settings, START * 2, ScanProgress())
        assert [one.error for one in done] == [""]
        self.world.conclude()

    def merge_commit(self) -> dict[str, Any]:
        self.git.branch("search")
        first = self.git.commit("Add an index", {"search/index.py": lines(80)})
        head = self.git.commit("Rank answers", {"search/rank.py": lines(70)}, author=BOB)
        self.git.switch("main")
        sha = self.git.merge("search", message="Bring the search in")
        return {"merge_sha": sha, "head_sha": head, "commits": 2, "shas": {first, head}}

    def squash(self, title: str) -> dict[str, Any]:
        sha = self.git.commit(title, {"search/index.py": lines(90)})
        return {"merge_sha": sha, "head_sha": "d" * 40, "commits": 3, "shas": {sha}}

    def rebase(self) -> dict[str, Any]:
        stamp = self.git.now + 86_400
        shas = [
            self.git.commit(
                f"Step {n}", {f"search/{n}.py": lines(40, f"step {n}")}, date=f"{stamp + n} +0000"
            )
            for n in range(3)
        ]
        return {"merge_sha": shas[-1], "head_sha": "d" * 40, "commits": 3, "shas": set(shas)}

    def fast_forward(self) -> dict[str, Any]:
        shas = [self.git.commit(f"Step {n}", {f"search/{n}.py": lines(40, f"step {n}")}) for n in range(3)]
        return {"merge_sha": shas[-1], "head_sha": shas[-1], "commits": 3, "shas": set(shas)}

    def make(self, way: str) -> dict[str, Any]:
        match way:
            case "merge commit":
                return self.merge_commit()
            case "squash with its number":
                return self.squash("Add semantic search (#12)")
            case "squash without":
                return self.squash("Add semantic search")
            case "squash of another title":
                return self.squash("Search, finally")
            case "rebase":
                return self.rebase()
        return self.fast_forward()


WAYS = (
    "merge commit",
    "squash with its number",
    "squash without",
    "squash of another title",
    "rebase",
    "fast forward",
)


@pytest.fixture
def project(tmp_path: Path, any_ledger: Ledger) -> Project:
    return Project(tmp_path / "rocket", any_ledger)


@pytest.mark.parametrize("first", ["the scan", "the webhook"])
@pytest.mark.parametrize("way", WAYS)
def test_git_and_forge_tell_of_one_achievement(project: Project, way: str, first: str) -> None:
    project.git.commit("Add a logbook", {"log.py": lines(60)}, author=BOB)
    project.git.commit("Add a viewer", {"view.py": lines(60)}, author=BOB)
    made = project.make(way)
    shas = made.pop("shas")
    told = merged(
        12,
        day(2),
        title="Add semantic search",
        body="Finds meaning.\n\nFixes #7",
        labels=["enhancement"],
        **made,
    )
    if first == "the scan":
        project.scan()
        project.world.tell(told, review(12, "bob", day(1)))
    else:
        project.world.tell(told, review(12, "bob", day(1)))
        project.scan()
    counted = {one.title: one for one in project.world.achievements()}
    assert set(counted) == {"Add semantic search", "Add a logbook", "Add a viewer"}
    one = counted["Add semantic search"]
    assert set(one.commits) == shas
    assert one.pull_request == 12
    assert one.description == "Finds meaning.\n\nFixes #7"
    assert evidence(one, "reviews")
    assert "#7" in {reference for reference, *_ in evidence(one, "issue")}
    assert one.credits[0].person == ALICE[0]


def test_the_id_does_not_depend_on_who_comes_first(tmp_path: Path, ledger: Ledger) -> None:
    from achievement_collector.ledger.store import open_ledger

    other = open_ledger(str(tmp_path / "other.db"))
    ids = []
    for place, (held, scans_first) in enumerate(((ledger, True), (other, False))):
        project = Project(tmp_path / f"clone-{place}", held)
        made = project.make("squash without")
        made.pop("shas")
        steps = [project.scan, partial(project.world.tell, merged(12, day(2), **made))]
        for step in steps if scans_first else steps[::-1]:
            step()
        (one,) = project.world.achievements()
        ids.append(one.id)
    other.close()
    assert ids[0] == ids[1]


def test_commits_that_were_there_before_a_squash_stay_those_of_their_authors(project: Project) -> None:
    """A squash under a title of its own looks like the last commit of a rebase."""
    project.git.commit("Add a logbook", {"log.py": lines(60)}, author=BOB)
    project.git.commit("Add a viewer", {"view.py": lines(60)}, author=BOB)
    made = project.squash("Search, finally")
    shas = made.pop("shas")
    project.scan()
    project.world.tell(merged(12, day(2), **made))
    by_title = {one.title: one for one in project.world.achievements()}
    assert set(by_title["Add part 12"].commits) == shas
    assert [credit.person for credit in by_title["Add a logbook"].credits] == [BOB[0]]


def test_a_second_scan_changes_nothing(project: Project) -> None:
    made = project.merge_commit()
    made.pop("shas")
    project.scan()
    project.world.tell(merged(12, day(2), **made))
    before = project.world.achievements()
    project.scan()
    assert project.world.achievements() == before


def test_a_draft_pull_request_whose_branch_was_scanned_is_not_merged(project: Project) -> None:
    project.git.branch("search")
    head = project.git.commit("Add search", {"search.py": lines(80)})
    project.git.switch("main")
    project.scan()
    project.world.tell(opened(12, branch="search", head_sha=head))
    assert "not merged: only on search" in project.world.left_out().values()
    assert "Add search" not in {one.title for one in project.world.achievements()}


# --- reverts -----------------------------------------------------------------------------------------


def reverting(number: int, target: int, at: int, **fields: Any) -> Any:
    """As GitHub's button makes it."""
    given = {
        "title": f'Revert "Add part {target}"',
        "body": f"Reverts acme/rocket#{target}",
        "branch": f"revert-{target}-part",
    }
    return merged(number, at, **{**given, **fields})


def test_a_revert_takes_the_credit_and_its_revert_gives_it_back(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2)))
    assert [one.pull_request for one in world.achievements()] == [1]
    world.tell(reverting(2, 1, day(3)))
    assert world.achievements() == []
    assert world.left_out()["Add part 1"] == "reverted by #2"
    assert "earns none" in world.left_out()['Revert "Add part 1"']
    world.tell(reverting(3, 2, day(4), title='Revert "Revert "Add part 1""'))
    assert [one.pull_request for one in world.achievements()] == [1]
    assert len(world.left_out()) == 2


def test_a_revert_that_was_never_merged_takes_nothing(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    told = reverting(2, 1, day(3)).fields
    world.tell(merged(1, day(2)), opened(2, day(3), title=told["title"], body=told["body"]))
    assert [one.pull_request for one in world.achievements()] == [1]


def test_what_only_mentions_a_revert_is_none() -> None:
    def number(title: str, body: str) -> int | None:
        return reverted_number(PullRequest(ROCKET, 9, title=title, body=body))

    assert number('Revert "x"', "Reverts acme/rocket#12") == 12
    assert number('Revert "x"', "Some words.\n\nReverts #12 because of load") == 12
    assert number('Revert "x"', "Reverts other/rocket#12") is None
    assert number('Revert "x"', "<!-- Reverts #12") is None
    assert number("Add reverts", "Reverts #12") is None


def test_standings_follow_the_latest_word() -> None:
    def pull(number: int, target: int | None = None) -> PullRequest:
        body = f"Reverts #{target}" if target else ""
        return PullRequest(ROCKET, number, title="Revert" if target else "Add", body=body, merged=day(number))

    chain = [pull(1), pull(2, 1), pull(3, 2), pull(4, 3)]
    assert [standings(chain[:length])[1].state for length in range(1, 5)] == [
        "credited", "reverted", "credited", "reverted",
    ]  # fmt: skip
    assert standings([pull(1), pull(2, 2), pull(3, 99)])[2].state == "credited"  # itself, and an unknown one


def test_a_revert_names_its_target_by_its_commit() -> None:
    told = [
        PullRequest(ROCKET, 1, title="Add search", merged=day(1), merge_sha="a" * 40, commits=3, head_sha="b" * 40),
        PullRequest(ROCKET, 2, title="Add pages", merged=day(2), merge_sha="c" * 40, commits=1, head_sha="d" * 40),
    ]  # fmt: skip

    def states(title: str, body: str) -> list[str]:
        one = PullRequest(ROCKET, 3, title=title, body=body, merged=day(3), merge_sha="e" * 40)
        return [standing.state for _, standing in sorted(standings([*told, one]).items())]

    by_commit = ["reverted", "credited", "revert"]
    assert states('Revert "search"', f"This reverts commit {'a' * 40}.") == by_commit
    assert states("Revert search", "Too slow.\n\nThis reverts commit aaaaaaaaaa") == by_commit
    assert states('Revert "pages"', f"This reverts commit {'d' * 40}.") == ["credited", "reverted", "revert"]
    assert states("Revert both", f"This reverts commits {'a' * 40} and {'c' * 40}.") == [
        "reverted",
        "reverted",
        "revert",
    ]
    untouched = ["credited"] * 3
    assert states("Revert a part", f"This reverts commit {'b' * 40}.") == untouched  # one commit of three
    assert states("Revert a part", f"<!-- This reverts commit {'a' * 40}. -->") == untouched
    assert states("Explain reverts", f"git writes: This reverts commit {'a' * 40}.") == untouched
    assert states("Revert it", "This reverts commit aaaaaa") == untouched  # six digits are no name


def test_a_revert_names_its_target_by_its_title_where_nothing_else_does() -> None:
    def pull(number: int, title: str, body: str = "") -> PullRequest:
        return PullRequest(ROCKET, number, title=title, body=body, merged=day(number))

    def undone(*pulls: PullRequest) -> dict[int, int | None]:
        return {number: one.other for number, one in standings(pulls).items() if one.state == "reverted"}

    assert undone(pull(1, "Add search (#1)"), pull(2, 'Revert "add search"')) == {1: 2}
    assert undone(pull(1, "Add search"), pull(2, "Add search"), pull(3, 'Revert "Add search"')) == {2: 3}
    assert undone(pull(1, 'Revert "Add search"'), pull(2, "Add search")) == {}  # it was there before
    assert undone(pull(1, ""), pull(2, 'Revert ""')) == {}
    assert undone(pull(1, "Add search"), pull(2, "Add it"), pull(3, 'Revert "Add search"', "Reverts #2")) == {
        2: 3
    }


def test_what_lands_again_says_so_by_the_commit_of_the_revert() -> None:
    told = [
        PullRequest(ROCKET, 1, title="Add search", merged=day(1), merge_sha="a" * 40),
        PullRequest(ROCKET, 2, title='Revert "Add search"', body=f"This reverts commit {'a' * 40}.", merged=day(2),
                    merge_sha="b" * 40),
        PullRequest(ROCKET, 3, title='Reapply "Add search"', merged=day(3), merge_sha="c" * 40,
                    body=f"This reverts commit {'b' * 40}.\n\n> This reverts commit {'a' * 40}."),
    ]  # fmt: skip
    assert [one.state for _, one in sorted(standings(told).items())] == ["credited", "revert", "revert"]


NEW_NAME = "github.com/acme/starship"


@pytest.mark.parametrize("title", ['Revert "Add part 1"', "Revert it"])
@pytest.mark.parametrize("renamed_first", [True, False])
def test_a_renamed_repository_keeps_its_reverts(any_ledger: Ledger, renamed_first: bool, title: str) -> None:
    world = World(any_ledger)
    story = [
        merged(1, day(2)),
        reverting(2, 1, day(3), title=title),
        Observation(Kind.REPOSITORY, ROCKET, day(4), {"moved_to": NEW_NAME}),
    ]
    for told in [story[2], *story[:2]] if renamed_first else story:
        world.tell(told)
    assert world.achievements() == []
    assert world.left_out()["Add part 1"] == "reverted by #2"
    world.tell(merged(3, day(5), place=NEW_NAME))  # the forge shows later ones under the new name
    world.tell(reverting(4, 3, day(6), body="Reverts acme/starship#3"))
    assert world.achievements() == []


def test_a_revert_names_its_repository_in_any_case(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        merged(1, day(2)), reverting(2, 1, day(3), title='Revert "part 1"', body="Reverts Acme/ROCKET#1")
    )
    assert world.left_out()["Add part 1"] == "reverted by #2"


def test_a_revert_of_another_repository_takes_nothing(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        merged(1, day(2)), reverting(2, 1, day(3), title='Revert "Add sails"', body="Reverts acme/ship#1")
    )
    assert {one.pull_request for one in world.achievements()} == {1, 2}


def test_a_revert_by_commit_takes_the_credit_where_git_was_never_read(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    body = f"This reverts commit {4097:040x}."
    world.tell(merged(1, day(2)), reverting(2, 1, day(3), title="Revert it", body=body))
    assert world.achievements() == []
    assert world.left_out()["Add part 1"] == "reverted by #2"


def test_a_revert_known_to_the_forge_alone_counts_before_git_is_read_again(project: Project) -> None:
    made = project.make("squash with its number")
    made.pop("shas")
    project.scan()
    project.world.tell(merged(12, day(2), **made))
    assert [one.pull_request for one in project.world.achievements()] == [12]
    project.world.tell(reverting(13, 12, day(3)))
    assert project.world.achievements() == []
    assert project.world.left_out()["Add part 12"] == "reverted by #13"
    project.git.git("revert", "--no-edit", made["merge_sha"])
    project.git.git(
        "commit", "--amend", "--quiet", "-m", 'Revert "Add semantic search" (#13)\n\nReverts acme/rocket#12'
    )
    project.scan()
    assert project.world.achievements() == []
    assert project.world.left_out()["Add part 12"] == "reverted by #13"
    project.world.tell(reverting(14, 13, day(4), title="Revert the revert"))
    assert [one.pull_request for one in project.world.achievements()] == [12]


def test_a_git_revert_takes_the_credit_and_a_reland_gives_it_back(project: Project) -> None:
    made = project.make("squash without")
    made.pop("shas")
    project.world.tell(merged(12, day(2), **made))
    project.scan()
    assert [one.pull_request for one in project.world.achievements()] == [12]
    project.git.git("revert", "--no-edit", made["merge_sha"])
    project.scan()
    assert project.world.achievements() == []
    assert project.world.left_out()["Add part 12"].startswith("reverted by commit ")
    project.git.git("revert", "--no-edit", "HEAD")
    project.scan()
    assert [one.pull_request for one in project.world.achievements()] == [12]


# --- texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "issues"),
    [
        ("Fixes #12", ("#12",)), ("closes: #1, Resolves acme/other#2", ("#1", "acme/other#2")), ("Fixed ENG-12.", ("ENG-12",)),
        ("fixes https://github.com/acme/rocket/issues/3", ("https://github.com/acme/rocket/issues/3",)),
        ("Fix utf-8 decoding", ()), ("Fix UTF-8 decoding", ()), ("Resolves SHA-256 mismatches", ()), ("prefixes #12", ()),
        ("<!-- Fixes #12 -->", ()), ("See #12", ()), ("fixes the #12", ()), ("Fixes gpt-4 prompts", ()),
    ],
)  # fmt: skip
def test_the_issues_that_a_body_closes(body: str, issues: tuple[str, ...]) -> None:
    assert closed_issues(body) == issues


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["bug"], [Category.BUGFIX]), (["kind/bug"], [Category.BUGFIX]), (["Type: Feature"], [Category.FEATURE]),
        (["tech-debt", "docs"], [Category.REFACTORING, Category.DOCUMENTATION]), (["good first issue", "wontfix"], []),
    ],
)  # fmt: skip
def test_what_labels_name(labels: list[str], found: list[Category]) -> None:
    assert list(category_of_labels(labels)) == found


def test_what_a_body_shows() -> None:
    shown = attached_to(
        "![Before](https://a.example/1.png) <img width=5 src='https://a.example/2.png'>\n[Design](https://docs.google.com/document/d/1)\n"
        "[Video](https://a.example/v.mp4) [Page](https://a.example/)\n<!-- ![No](https://a.example/3.png) -->"
    )
    assert [url for _, url in shown.screenshots] == [
        "https://a.example/1.png", "https://a.example/2.png", "https://a.example/v.mp4",
    ]  # fmt: skip
    assert shown.documents == (("Design", "https://docs.google.com/document/d/1"),)


def test_a_template_leaves_no_trace_in_the_description() -> None:
    body = "## What\n\nSearch by meaning.\n\n## Why\n\n<!-- say why -->\n\n## Checklist\n- [x] tests\n- [ ] docs\n\nEpic: E5.1\n\n## Notes\nSlow.\n\n## End"
    assert readable_body(body, 500) == "## What\n\nSearch by meaning.\n\n## Notes\nSlow."


# --- a repository that is renamed --------------------------------------------------------------------

OLD = "github.com/acme/sparrow"


def renamed(at: int) -> Observation:
    return Observation(Kind.REPOSITORY, OLD, at, {"moved_to": ROCKET})


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_renamed_repository_keeps_one_record(any_ledger: Ledger, order: tuple[int, ...]) -> None:
    story = [
        [opened(1, body="Epic: E1", place=OLD), merged(2, day(2), body="Epic: E1", place=OLD)],
        [renamed(day(3))],
        [
            merged(1, day(4), created=day(0), body="Epic: E1"),
            merged(2, day(2), body="Epic: E1"),
            merged(3, day(5), body="Epic: E1"),
        ],
    ]
    world = World(any_ledger)
    for number in order:
        world.tell(*story[number])
    assert [(one.pull_request, one.repository) for one in world.achievements()] == [
        (3, ROCKET),
        (1, ROCKET),
        (2, ROCKET),
    ]
    told = world.epic("E1").structure["deliverables"]
    assert (told["prs_merged"], told["prs_open"]) == (3, 0)


def test_the_ids_and_edits_of_a_repository_stay_when_it_is_renamed(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2), place=OLD))
    (before,) = world.achievements()
    edit_achievement(any_ledger, before.id, {"title": "My own words"}, [], world.settings, START)
    world.tell(renamed(day(3)), review(1, "bob", day(4)))
    (after,) = world.achievements()
    assert (after.id, after.title, after.repository) == (before.id, "My own words", ROCKET)


def test_a_clone_that_still_names_the_old_address_is_the_renamed_repository(project: Project) -> None:
    project.git.git("remote", "set-url", "origin", f"https://{OLD}.git")
    made = project.make("squash without")
    made.pop("shas")
    project.scan()
    project.world.tell(merged(12, day(2), place=OLD, **made))
    (before,) = project.world.achievements()
    project.world.tell(renamed(day(3)))
    project.git.commit("Add a viewer", {"view.py": lines(60)})
    project.scan()
    assert {(one.title, one.repository) for one in project.world.achievements()} == {
        ("Add part 12", ROCKET), ("Add a viewer", ROCKET),
    }  # fmt: skip
    assert before.id in {one.id for one in project.world.achievements()}


def test_a_repository_that_is_renamed_back_has_its_first_name(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2)), renamed(day(4)))
    assert [one.repository for one in world.achievements()] == [ROCKET]
    world.tell(Observation(Kind.REPOSITORY, ROCKET, day(5), {"moved_to": OLD}))
    assert [one.repository for one in world.achievements()] == [OLD]


# --- by hand -----------------------------------------------------------------------------------------


def test_edits_stay_when_the_forge_tells_more(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(2)))
    (one,) = world.achievements()
    edit_achievement(any_ledger, one.id, {"title": "My own words", "impact": 99}, [], world.settings, START)
    world.tell(review(1, "bob", day(3)), replace(merged(1, day(2), labels=["bug"]), at=day(4)))
    (again,) = world.achievements()
    assert (again.id, again.title, again.impact.value) == (one.id, "My own words", 99)
    assert again.category.category is Category.BUGFIX


@pytest.mark.parametrize("way", ["squash without", "rebase"])
def test_edits_of_a_commit_go_over_to_the_pull_request_it_turns_out_to_be(project: Project, way: str) -> None:
    made = project.make(way)
    made.pop("shas")
    project.scan()
    known = [*project.world.achievements(), *project.world.achievements(left_out=True)]
    last = next(one for one in known if made["merge_sha"] in one.commits)
    edit_achievement(
        project.world.ledger, last.id, {"title": "My own words"}, [], project.world.settings, START
    )
    project.world.tell(merged(12, day(2), **made))
    (one,) = project.world.achievements()
    assert (one.pull_request, one.title) == (12, "My own words")
