"""What deployments shipped: told by real histories and by what tools say, in whatever order it comes."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector.cli import deployments as command
from achievement_collector.config import Settings
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.deployments import (
    Brought,
    Change,
    DeploymentFacts,
    Shipment,
    Standing,
    by_environment,
    changes_brought,
    conclude_deployment,
    is_production,
    ship,
)
from achievement_collector.derive.epics import Rolled
from achievement_collector.derive.history import History
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.deployments import state_told
from achievement_collector.facts.observations import Kind, Observation, Registers, merge
from achievement_collector.facts.work import Deployment, PullRequest
from achievement_collector.ledger.deployments import recorded_deployments, repositories_with_deployments
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.services.deployments import (
    conclude_deployments,
    dora_of,
    list_deployments,
    show_deployment,
)
from achievement_collector.services.editing import edit_achievement
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.deployments import translate
from achievement_collector.sources.github.events import translate as from_github
from achievement_collector.sources.relevance import NotUnderstood
from tests.conftest import scan_into
from tests.git_repositories import ALICE, BOB, START, Repository, lines
from tests.outside_world import DAY, HOUR, ROCKET, World, merged
from tests.serving import NOW, serving

LATER = START * 1000 + 400 * DAY


def told(
    name: str,
    at: int,
    sha: str = "",
    *,
    state: str = "success",
    environment: str = "production",
    place: str = ROCKET,
    said: int | None = None,
    **fields: Any,
) -> Observation:
    """A deployment as a tool tells of it when it has ended."""
    body: dict[str, Any] = {
        "environment": environment, "sha": sha, "state": state, "started": at - HOUR, "finished": at, **fields
    }  # fmt: skip
    body = {field: value for field, value in body.items() if value is not None}
    return Observation(Kind.DEPLOYMENT, f"{place}/deployment/{name}", said or at, body, place)


class Project:
    """A repository of GitHub with its ledger. Every deployment ends some hours after the commit before it."""

    def __init__(self, ledger: Ledger, folder: Path, place: str = ROCKET) -> None:
        self.ledger = ledger
        self.git = Repository(folder)
        self.git.git("remote", "add", "origin", f"https://{place}.git")

    def change(self, name: str, author: tuple[str, str] = ALICE) -> str:
        return self.git.commit(f"feat: add {name}", {f"src/{name}.py": lines(80, name)}, author=author)

    def scan(self) -> None:
        scan_into(self.ledger, self.git.path)

    def at(self, hours: float = 6) -> int:
        return int(self.git.now * 1000 + hours * HOUR)

    def hear(self, *observations: Observation) -> None:
        with self.ledger.write() as connection:
            take_in(connection, observations, LATER)

    def deploy(self, name: str, sha: str, *, hours: float = 6, **fields: Any) -> None:
        self.hear(told(name, self.at(hours), sha, **fields))

    def conclusions(self, **more: Any) -> dict[str, Conclusion]:
        """Name of the deployment -> what is concluded."""
        with self.ledger.read() as connection:
            found = conclude_deployments(connection, ROCKET, **more)
        return {one.key.rpartition("/")[2]: one for one in found}

    def shipped(self) -> dict[str, list[str] | str]:
        """Name of the deployment -> the titles of the changes that it shipped, or why none."""
        found: dict[str, list[str] | str] = {}
        for name, one in self.conclusions().items():
            shipped = json.loads(one.detail)["shipped"]
            found[name] = shipped["told"] or sorted(change["title"] for change in shipped["listed"])
        return found


@pytest.fixture
def project(ledger: Ledger, tmp_path: Path) -> Project:
    return Project(ledger, tmp_path / "rocket")


BASELINE = "it is the first known deployment to production: what it shipped cannot be told"


# --- what was shipped, in real histories -------------------------------------------------------------


def test_a_deployment_ships_the_changes_since_the_one_before(any_ledger: Ledger, tmp_path: Path) -> None:
    project = Project(any_ledger, tmp_path / "rocket")
    project.change("one")
    project.deploy("1", project.change("two"))
    project.change("three", BOB)
    project.deploy("2", project.change("four"), version="1.4.0")
    project.scan()
    assert project.shipped() == {"1": BASELINE, "2": ["Add four", "Add three"]}
    second = project.conclusions()["2"]
    assert second.title == "Deployed 1.4.0 to production: 2 changes"
    assert second.is_counted
    assert second.kind == "deployment"
    assert second.key == f"deployment/{ROCKET}/deployment/2"
    assert second.occurred * 1000 == project.at()
    first = project.conclusions()["1"]
    assert (first.is_counted, first.left_out_reason) == (False, BASELINE)
    assert json.loads(first.detail)["gathers"] == []


def test_a_rollback_and_a_redeployment_ship_nothing_new(project: Project) -> None:
    first = project.change("one")
    project.deploy("1", first)
    project.change("two")
    second = project.change("three")
    project.deploy("2", second)
    project.deploy("3", first, hours=7)
    project.deploy("4", second, hours=8)
    project.change("four")
    project.deploy("5", project.git.git("rev-parse", "HEAD~2"), hours=9)
    project.deploy("6", project.git.head(), hours=10)
    project.scan()
    shipped = project.shipped()
    assert shipped["2"] == ["Add three", "Add two"]
    assert shipped["3"] == "ships nothing new: its commit was deployed before"
    assert shipped["4"] == "ships nothing new: its commit was deployed before"
    assert shipped["5"] == "ships nothing new: later commits were deployed before"
    assert shipped["6"] == ["Add four"]
    assert project.conclusions()["3"].left_out_reason == shipped["3"]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("failure", "it failed"),
        ("error", "it ended in an error"),
        ("rolled_back", "it was rolled back"),
        ("in_progress", "it has not ended: in_progress"),
        ("queued", "it has not ended: queued"),
    ],
)
def test_what_did_not_last_ships_nothing_and_the_next_one_ships_it(
    project: Project, state: str, why: str
) -> None:
    project.deploy("1", project.change("one"))
    project.deploy("2", project.change("two"), state=state)
    project.deploy("3", project.change("three"))
    project.scan()
    assert project.shipped() == {"1": BASELINE, "2": why, "3": ["Add three", "Add two"]}
    assert project.conclusions()["2"].left_out_reason == why


def test_only_failed_deployments_conclude_nothing_that_counts(project: Project) -> None:
    project.deploy("1", project.change("one"), state="failure")
    project.deploy("2", project.change("two"), state="error")
    project.scan()
    assert not any(one.is_counted for one in project.conclusions().values())
    assert project.conclusions()["1"].title.startswith("Failed deployment of ")


def test_a_deployment_that_was_replaced_lasted(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.deploy("2", project.change("two"))
    project.deploy("3", project.change("three"))
    for name in ("1", "2"):  # what GitHub does with earlier ones of an environment
        project.hear(replaced(name, project.at(7)))
    project.scan()
    assert project.shipped() == {"1": BASELINE, "2": ["Add two"], "3": ["Add three"]}


def replaced(name: str, at: int) -> Observation:
    """What GitHub's status ``inactive`` tells."""
    return Observation(Kind.DEPLOYMENT, f"{ROCKET}/deployment/{name}", at, {"inactive": True}, ROCKET)


def test_one_of_which_only_its_replacement_was_told_may_have_shipped(project: Project) -> None:
    """GitHub tells it of every earlier deployment, however that one ended."""
    project.deploy("1", project.change("one"))
    project.deploy("2", project.change("two"), state=None, finished=None)
    project.deploy("3", project.change("three"), state="failure")
    project.hear(*(replaced(name, project.at(7)) for name in "123"))
    project.deploy("4", project.change("four"))
    project.scan()
    assert project.shipped()["2"] == "not known whether it lasted: only that it was replaced was told"
    assert project.shipped()["3"] == "it failed"
    four = json.loads(project.conclusions()["4"].detail)["shipped"]
    assert sorted((one["title"], one["is_unclear"]) for one in four["listed"]) == [
        ("Add four", False), ("Add three", False), ("Add two", True),
    ]  # fmt: skip
    with project.ledger.read() as connection:
        states = [one.state for one in recorded_deployments(connection, ROCKET).deployments]
    assert states == ["inactive", "unknown", "failure", "success"]
    (found,) = dora_of(project.ledger, until=project.at(24))
    (rate,) = (one for one in found.measures if one.name == "change_fail_rate")
    assert (rate.n, rate.value) == (3, pytest.approx(1 / 3))
    assert [(one.what, one.number) for one in rate.left_out] == [
        ("deployment of which only its replacement was told, not how it ended", 1)
    ]


def test_environments_are_told_apart_and_only_production_counts(project: Project) -> None:
    first = project.change("one")
    project.deploy("s1", first, environment="staging")
    project.deploy("p1", first)
    second = project.change("two")
    project.deploy("s2", second, environment="Staging")
    project.change("three")
    project.deploy("p2", project.git.head(), environment="PRODUCTION")
    project.scan()
    assert project.shipped()["s2"] == ["Add two"]
    assert project.shipped()["p2"] == ["Add three", "Add two"]
    concluded = project.conclusions()
    assert concluded["s2"].left_out_reason == "not to production: Staging"
    assert concluded["p2"].is_counted
    theirs = project.conclusions(production=("staging",))
    assert theirs["s2"].is_counted
    assert theirs["p2"].left_out_reason == "not to production: PRODUCTION"


def test_a_second_production_environment_does_not_count_the_same_again(project: Project) -> None:
    first = project.change("one")
    project.deploy("eu1", first, environment="prod")
    project.deploy("us1", first, environment="live", hours=7)
    second = project.change("two")
    project.deploy("eu2", second, environment="prod")
    project.deploy("us2", second, environment="live", hours=7)
    third = project.change("three")
    project.deploy("us3", third, environment="live")
    project.deploy("eu3", project.change("four"), environment="prod")
    project.scan()
    concluded = project.conclusions()
    assert {name for name, one in concluded.items() if one.is_counted} == {"eu2", "us3", "eu3"}
    assert concluded["us2"].left_out_reason == (
        "ships nothing new: another production environment had its changes before"
    )
    assert concluded["eu3"].title.endswith(": 1 change")
    assert len(json.loads(concluded["eu3"].detail)["shipped"]["listed"]) == 2


def test_what_one_production_environment_had_at_first_is_not_new_in_another(project: Project) -> None:
    project.deploy("us1", project.change("one"), environment="live")
    second = project.change("two")
    project.deploy("eu1", second, environment="prod")
    project.deploy("us2", second, environment="live", hours=7)
    third = project.change("three")
    project.deploy("eu2", "f" * 40, environment="prod")
    project.deploy(
        "eu3", third, environment="prod", hours=7
    )  # it may have come with eu2: it is in production anyway
    project.deploy("us3", third, environment="live", hours=8)
    project.scan()
    reasons = {name: one.left_out_reason for name, one in project.conclusions().items()}
    assert reasons["eu3"].startswith("what it shipped cannot be told apart")
    assert reasons["us2"].startswith("ships nothing new: another production environment")
    assert reasons["us3"] == reasons["us2"]


def test_diverged_branches_ship_what_the_other_did_not(project: Project) -> None:
    project.deploy("1", project.change("base"))
    project.git.branch("hotfix")
    fix = project.change("fix")
    project.git.switch("main")
    project.change("feature")
    project.deploy("2", fix)
    project.deploy("3", project.git.head(), hours=7)
    project.git.merge("hotfix", message="Merge branch 'hotfix'")
    project.deploy("4", project.git.head())
    project.scan()
    shipped = project.shipped()
    assert shipped["2"] == ["Add fix"]
    assert shipped["3"] == ["Add feature"]
    assert shipped["4"] == []  # the merge alone: its work was there
    assert project.conclusions()["4"].left_out_reason == "ships no change that is known"


def test_a_change_comes_with_the_last_of_its_commits(project: Project) -> None:
    project.deploy("1", project.change("base"))
    project.git.branch("topic-5")
    part = project.git.commit("first part", {"src/a.py": lines(60)})
    whole = project.git.commit("second part", {"src/b.py": lines(60, "b")})
    project.git.switch("main")
    project.deploy("2", part)
    project.deploy("3", whole, hours=7)
    project.git.merge("topic-5", message="Merge pull request #5 from acme/topic-5\n\nAdd the topic")
    project.deploy("4", project.git.head())
    project.scan()
    assert project.shipped()["2"] == []
    assert project.shipped()["3"] == ["Add the topic"]
    assert project.shipped()["4"] == []


def test_a_deployment_may_be_told_before_its_commit_is_known(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.scan()
    project.change("two")
    sha = project.git.head()
    project.deploy("2", sha)
    assert project.shipped()["2"] == f"not known: commit {sha[:12]} is not in the ledger"
    assert not project.conclusions()["2"].is_counted
    project.scan()
    assert project.shipped()["2"] == ["Add two"]
    assert project.conclusions()["2"].is_counted


def test_without_a_commit_nothing_can_be_told(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.deploy("2", "")
    project.scan()
    assert project.shipped()["2"] == "not known: no commit was told"
    assert project.conclusions()["2"].title == "Deployed to production"


def test_what_an_unknown_commit_may_have_shipped_is_not_credited_to_the_next(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.change("two")
    project.deploy("2", "f" * 40)
    project.change("three")
    project.deploy("3", project.git.head())
    project.scan()
    detail = json.loads(project.conclusions()["3"].detail)
    assert [(one["title"], one["is_unclear"]) for one in detail["shipped"]["listed"]] == [
        ("Add three", False), ("Add two", True)
    ]  # fmt: skip
    assert project.conclusions()["3"].title.endswith(": 1 change")
    assert (
        "1 further commit may have come with an earlier deployment" in project.conclusions()["3"].description
    )


def test_all_that_is_unclear_is_not_counted(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.change("two")
    project.deploy("2", "f" * 40)
    project.deploy("3", project.git.head(), hours=9)
    project.scan()
    assert project.shipped()["3"] == (
        f"what it shipped cannot be told apart from what {ROCKET}/deployment/2 did, whose commit is not in the ledger"
    )
    assert not project.conclusions()["3"].is_counted


def test_abbreviated_shas_are_found_and_foreign_words_are_not(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.deploy("2", project.change("two")[:10].upper())
    project.deploy("3", "main")
    project.scan()
    assert project.shipped()["2"] == ["Add two"]
    assert project.shipped()["3"] == "not known: commit main is not in the ledger"


def test_a_change_that_was_reverted_is_shown_and_does_not_count(project: Project) -> None:
    project.deploy("1", project.change("one"))
    bad = project.change("two")
    project.git.git("rm", "-q", "src/two.py")
    project.git.commit(f'Revert "feat: add two"\n\nThis reverts commit {bad}.', {})
    project.deploy("2", project.git.head())
    project.scan()
    second = project.conclusions()["2"]
    listed = json.loads(second.detail)["shipped"]["listed"]
    assert {one["is_counted"] for one in listed} == {False}
    assert second.left_out_reason == "none of the 2 changes it shipped counts"


def test_a_hidden_change_is_not_named(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.change("secret")
    project.deploy("2", project.change("two"))
    project.scan()
    listed = json.loads(project.conclusions()["2"].detail)["shipped"]["listed"]
    secret = next(one["id"] for one in listed if one["title"] == "Add secret")
    edit_achievement(project.ledger, secret, {"hidden": True}, [], Settings(database="unused"), START)
    assert "secret" not in project.conclusions()["2"].detail


def test_news_of_a_deployment_become_an_achievement_that_counts_nothing_twice(project: Project) -> None:
    world = World(project.ledger)
    first, second = project.change("one"), project.change("two")
    project.scan()
    world.tell(told("1", project.at(), first), told("2", project.at(7), second, version="1.1"))
    (found,) = world.achievements(kind="deployment")
    assert found.title == "Deployed 1.1 to production: 1 change"
    assert [one.kind for one in found.evidence] == ["deployment", "commit", "commit"]
    assert len(world.achievements(without_gatherers=True)) == len(world.achievements()) - 1
    shown = show_deployment(project.ledger, "deployment/2")
    assert shown["achievement"] == found.id
    listed = list_deployments(project.ledger).deployments
    assert listed[0]["achievement"] == found.id
    assert listed[0]["shipped"]["counted_changes"] == 1
    world.tell(told("2", project.at(7), second, version="1.1.0", said=project.at(8)))
    assert world.achievements(kind="deployment")[0].title == "Deployed 1.1.0 to production: 1 change"
    world.tell(told("2", project.at(7), second, state="rolled_back", said=project.at(9)))
    assert world.achievements(kind="deployment") == []
    assert "it was rolled back" in world.left_out().values()


# --- without git -------------------------------------------------------------------------------------


def pull(number: int, at: int) -> Observation:
    return merged(number, at, merge_sha=f"{number + 4096:040x}")


def test_the_merge_of_a_pull_request_is_known_without_its_commit(project: Project) -> None:
    world, day = World(project.ledger), START * 1000
    world.tell(*(pull(number, day + number * DAY) for number in (1, 2, 3, 4)))
    sha = {number: f"{number + 4096:040x}" for number in (1, 2, 3, 4)}
    project.hear(
        told("1", day + 1.5 * DAY, sha[1]),  # type: ignore[arg-type]
        told("3", day + 3 * DAY + HOUR, sha[3]),
        told("2", day + 3 * DAY + 2 * HOUR, sha[2]),
        told("3again", day + 3 * DAY + 3 * HOUR, sha[3]),
        told("x", day + 3 * DAY + 4 * HOUR, "e" * 40),
        told("4", day + 4 * DAY + HOUR, sha[4]),
    )
    shipped = project.shipped()
    assert shipped["1"] == BASELINE
    assert shipped["3"] == ["Add part 3"]
    assert (
        shipped["2"] == f"not known whether #2 was deployed before: commit {sha[2][:12]} is not in the ledger"
    )
    assert shipped["3again"] == "ships nothing new: its commit was deployed before"
    assert shipped["4"] == ["Add part 4"]  # merged after the unknown one was deployed
    assert "What else it shipped is not known" in project.conclusions()["4"].description
    assert json.loads(project.conclusions()["4"].detail)["shipped"]["commits"] is None


def test_deployments_of_a_repository_that_nobody_scanned(project: Project) -> None:
    project.hear(told("1", LATER, "a" * 40), told("2", LATER + DAY, "b" * 40))
    assert project.shipped() == {
        "1": BASELINE,
        "2": f"not known: commit {'b' * 12} is not in the ledger",
    }


def test_no_deployments_no_conclusions(project: Project) -> None:
    project.change("one")
    project.scan()
    assert project.conclusions() == {}
    assert list_deployments(project.ledger).deployments == []
    assert dora_of(project.ledger, until=LATER) == []


# --- the achievement ---------------------------------------------------------------------------------


def test_the_authors_of_what_was_shipped_are_credited(project: Project) -> None:
    project.deploy("1", project.change("one", BOB))
    project.change("two", BOB)
    project.deploy("2", project.change("three", ALICE))
    project.scan()
    one = project.conclusions()["2"]
    assert len(one.credits) == 2
    assert {role for _, role, _ in one.credits} == {"author"}
    assert project.conclusions()["1"].credits == ()


def test_evidence_names_the_deployment_its_commit_and_the_changes(project: Project) -> None:
    project.deploy("1", project.change("one"))
    sha = project.change("two")
    project.deploy("2", sha, url="https://ci.example/812")
    project.scan()
    detail = json.loads(project.conclusions()["2"].detail)
    kinds = [(item[0], item[1], item[5]) for item in detail["evidence"]]
    assert kinds == [
        ("deployment", f"{ROCKET}/deployment/2", "https://ci.example/812"),
        ("commit", sha, f"https://{ROCKET}/commit/{sha}"),
        ("commit", sha, f"https://{ROCKET}/commit/{sha}"),
    ]
    assert [one["id"] for one in detail["shipped"]["listed"]] == detail["gathers"]
    assert "value" not in detail  # nothing of it was measured


def _change(number: int, impact: int = 50, *, is_counted: bool = True) -> Change:
    rolled = Rolled(f"{number:012x}", f"Change {number}", "feature", impact, is_counted, "")
    return Change(rolled, f"pr/{number}", number, (), "")


def _facts(changes: int, **more: Any) -> DeploymentFacts:
    brought = Brought(tuple(_change(number) for number in range(changes)))
    one = Deployment(
        f"{ROCKET}/deployment/1", ROCKET, "production", "a" * 40, state="success", finished=LATER
    )
    told_of = {"new": frozenset(change.id for change in brought.changes), **more}
    return DeploymentFacts(one.key, Shipment(one, Standing.SHIPS), brought, True, **told_of)


def test_the_scores_saturate_and_stay_below_those_of_the_best_changes() -> None:
    impacts = []
    for count in (1, 5, 20, 80, 5_000):
        one = conclude_deployment(_facts(count))
        assert one is not None
        impacts.append(one.raw_impact)
        assert one.raw_impact <= 60
        assert one.complexity <= 40
    assert impacts == sorted(impacts)
    assert impacts[-1] - impacts[-2] < impacts[1] - impacts[0]


def test_a_deployment_of_thousands_of_changes_names_some_and_gathers_all() -> None:
    one = conclude_deployment(_facts(5_000))
    assert one is not None
    detail = json.loads(one.detail)
    assert len(detail["gathers"]) == 5_000
    assert len(detail["shipped"]["listed"]) == 200
    assert detail["shipped"]["changes"] == 5_000
    assert len(detail["evidence"]) == 43
    assert detail["evidence"][-1][3:5] == ["4960", "changes"]


def test_hostile_text_is_stored_safely() -> None:
    facts = _facts(1)
    one = replace(facts.shipment.deployment, version="1.0\0\ud800" + "x" * 900, environment="prod\0uction")
    concluded = conclude_deployment(facts._replace(shipment=replace(facts.shipment, deployment=one)))
    assert concluded is not None
    concluded.title.encode()
    assert "\0" not in concluded.title + concluded.detail
    assert "\\u0000" not in concluded.detail
    assert len(concluded.title) <= 200


def test_a_deployment_without_any_time_is_not_concluded() -> None:
    facts = _facts(1)
    one = replace(facts.shipment.deployment, finished=None)
    assert conclude_deployment(facts._replace(shipment=replace(facts.shipment, deployment=one))) is None


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("production", True),
        (" Production ", True),
        ("PROD", True),
        ("live", True),
        ("staging", False),
        ("", False),
    ],
)
def test_production_environments_have_names(name: str, is_it: bool) -> None:
    assert is_production(name) is is_it


def test_environments_that_differ_in_case_are_one() -> None:
    some = [
        Deployment(f"k{number}", ROCKET, name, state="success", finished=number)
        for number, name in enumerate(("Production", "staging", "production"))
    ]
    found = by_environment(reversed(some))
    assert {name: [one.key for one in mine] for name, mine in found.items()} == {
        "production": ["k0", "k2"], "staging": ["k1"]
    }  # fmt: skip


# --- the walk ----------------------------------------------------------------------------------------

_Graph = list[list[int]]


@st.composite
def _graphs(draw: st.DrawFn) -> _Graph:
    """Commits, each with up to two parents among those before it."""
    size = draw(st.integers(1, 30))
    return [
        draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        for number in range(size)
    ]


def _history(graph: _Graph) -> History:
    history = History()
    for number, parents in enumerate(graph):
        shas = [f"{parent:040x}" for parent in parents]
        history.add(f"{number:040x}", shas, author=1, authored=number, committed=number, message="")
    return history


@given(
    _graphs(),
    st.lists(
        st.tuples(st.integers(0, 29), st.sampled_from(("success", "inactive", "failure", "rolled_back")))
    ),
    st.randoms(use_true_random=False),
)
def test_every_commit_is_shipped_by_the_first_that_reaches_it(
    graph: _Graph, steps: list[tuple[int, str]], order: random.Random
) -> None:
    deployments = [
        Deployment(
            f"{number:04}", ROCKET, "production", f"{commit % len(graph):040x}", state=state, finished=number
        )
        for number, (commit, state) in enumerate(steps)
    ]
    shuffled = deployments[:]
    order.shuffle(shuffled)
    shipments = ship(shuffled, _history(graph), {})
    assert [one.deployment for one in shipments] == deployments
    had: set[int] = set()
    for one in shipments:
        if one.deployment.state not in ("success", "inactive"):
            assert not one.commits
            continue
        reached = _ancestors(graph, int(one.deployment.sha, 16))
        assert set(one.commits) == reached - had
        assert len(set(one.commits)) == len(one.commits)
        had |= reached


def _ancestors(graph: _Graph, commit: int) -> set[int]:
    found, waiting = set(), [commit]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += graph[number]
    return found


def test_a_long_history_is_walked_once_for_all_deployments() -> None:
    class Counting(History):
        walked = 0

        def reachable(self, tips: Any, seen: bytearray) -> list[int]:
            found = super().reachable(tips, seen)
            self.walked += len(found)
            return found

    history = Counting()
    size = 20_000
    for number in range(size):
        parents = [f"{number - 1:040x}"] if number else []
        history.add(f"{number:040x}", parents, author=1, authored=number, committed=number, message="")
    deployments = [
        Deployment(f"{n:05}", ROCKET, "production", f"{n:040x}", state="success", finished=n * 1000)
        for n in range(0, size, 50)
    ]
    shipments = ship(deployments, history, {})
    assert history.walked == shipments[-1].deployment.finished // 1000 + 1  # type: ignore[operator]
    changes = [
        Change(Rolled(f"{n:012x}", "c", "feature", 1, True, ""), f"commit/{n:040x}", None, (f"{n:040x}",), "")
        for n in range(size)
    ]
    brought = changes_brought(shipments, changes, history)
    assert [len(one.changes) for one in brought[1:]] == [50] * (len(deployments) - 1)


def test_commits_of_a_later_time_cannot_have_been_in_an_unknown_deployment() -> None:
    history = _history([[], [0], [1], [2]])
    known = Deployment("1", ROCKET, "production", f"{0:040x}", state="success", finished=500)
    unknown = Deployment("2", ROCKET, "production", "f" * 40, state="success", started=2_000, finished=9_000)
    last = Deployment("3", ROCKET, "production", f"{3:040x}", state="success", finished=10_000)
    found = ship([known, unknown, last], history, {})[-1]
    assert (found.commits, set(found.unclear)) == ((3,), {1, 2})
    # that it is the merge of a pull request says when it was made
    merge = PullRequest(ROCKET, 7, merged=1_000, merge_sha="f" * 40)
    found = ship([known, unknown, last], history, {merge.merge_sha: merge})[-1]
    assert (set(found.commits), found.unclear) == ({2, 3}, (1,))


# --- from what tools tell ----------------------------------------------------------------------------


def test_the_small_form_and_github_tell_the_same(project: Project) -> None:
    body = {
        "id": "812", "repository": "acme/rocket", "environment": "production", "sha": "a" * 40, "status": "succeeded",
        "version": "1.4.0", "started_at": "2026-11-20T09:00:00Z", "finished_at": "2026-11-20T09:03:10Z",
    }  # fmt: skip
    deployment = {
        "id": 7, "environment": "production", "sha": "b" * 40, "ref": "main", "created_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-20T10:05:00Z",
    }  # fmt: skip
    event = {
        "repository": {"full_name": "acme/rocket"}, "deployment": deployment,
        "deployment_status": {"state": "success", "created_at": "2026-11-20T10:05:00Z", "target_url": "https://ci.example/7"},
    }  # fmt: skip
    received = LATER + 800 * DAY
    project.hear(*translate(Body(body), received), *from_github("deployment_status", Body(event), received))
    with project.ledger.read() as connection:
        small, github = recorded_deployments(connection, ROCKET).deployments[::-1]
    if small.sha[0] == "b":
        small, github = github, small
    assert (small.version, small.state, small.environment) == ("1.4.0", "success", "production")
    assert (small.finished or 0) - (small.started or 0) == 190_000
    assert (github.state, github.url) == ("success", "https://ci.example/7")
    assert (github.finished or 0) - (github.started or 0) == 300_000


def test_an_end_without_a_time_is_when_it_was_told(project: Project) -> None:
    body = {"id": "1", "repository": "acme/rocket", "environment": "production", "status": "succeeded"}
    project.hear(*translate(Body(body), LATER))
    with project.ledger.read() as connection:
        (one,) = recorded_deployments(connection, ROCKET).deployments
    assert (one.started, one.finished) == (None, LATER)


def test_when_a_rollback_was_told_is_kept_and_the_end_stays(project: Project) -> None:
    body = {
        "id": "1", "repository": "acme/rocket", "environment": "production", "status": "succeeded",
        "finished_at": "2026-11-20T09:00:00Z",
    }  # fmt: skip
    back = {**body, "status": "rolled_back", "updated_at": "2026-11-20T11:00:00Z"}
    received = LATER + 800 * DAY
    project.hear(*translate(Body(back), received), *translate(Body(body), received - 1))
    with project.ledger.read() as connection:
        found = recorded_deployments(connection, ROCKET)
    (one,) = found.deployments
    assert (one.state, found.rolled_back[one.key] - (one.finished or 0)) == ("rolled_back", 2 * HOUR)


TOLD = {"id": "1", "repository": "acme/rocket", "environment": "production"}
NINE = "2024-11-20T09:00:00Z"


def state_after(ledger: Ledger, *bodies: dict[str, str]) -> tuple[str, int | None]:
    """The state and the end of a deployment after these messages, each received a minute after the one before it; and it is
    the same in whatever order they are stored."""
    observations = [
        one
        for number, body in enumerate(bodies)
        for one in translate(Body(TOLD | body), LATER + number * 60_000)
    ]
    ends = set()
    for order in itertools.permutations(observations):
        known: Registers = {}
        for one in (*order, order[0]):
            known = merge(known, one)
        ends.add(state_told(known))
    assert len(ends) == 1
    with ledger.write() as connection:
        take_in(connection, observations, LATER)
    with ledger.read() as connection:
        (found,) = recorded_deployments(connection, ROCKET).deployments
    return found.state, found.finished


@pytest.mark.parametrize(
    ("bodies", "state"),
    [
        ([{"status": "rolled_back"}, {"status": "succeeded"}], "rolled_back"),
        ([{"status": "succeeded"}, {"status": "started"}], "success"),
        ([{"status": "failed"}, {"status": "started", "started_at": NINE}], "failure"),
        ([{"status": "succeeded", "finished_at": NINE}, {"status": "started"}], "success"),
        ([{"status": "rolled_back", "updated_at": NINE}, {"status": "succeeded"}], "rolled_back"),
        ([{"status": "failed", "updated_at": NINE}, {"status": "succeeded"}], "failure"),
        ([{"status": "started", "updated_at": NINE}, {"status": "succeeded"}], "success"),
        ([{"status": "succeeded", "finished_at": NINE}, {"status": "rolled_back", "finished_at": NINE}], "rolled_back"),
        ([{"status": "rolled_back", "finished_at": NINE}, {"status": "succeeded", "finished_at": NINE}], "rolled_back"),
        ([{"status": "failed"}, {"status": "succeeded"}], "success"),  # the same one was tried again
        (
            [{"status": "failed", "finished_at": NINE}, {"status": "succeeded", "finished_at": "2024-11-20T09:30:00Z"}],
            "success",
        ),
        (
            [{"status": "rolled_back", "updated_at": NINE}, {"status": "succeeded", "updated_at": "2024-11-20T12:00:00Z"}],
            "success",
        ),
        (
            [{"status": "succeeded", "updated_at": NINE}, {"status": "started", "updated_at": "2024-11-20T12:00:00Z"}],
            "in_progress",
        ),
    ],
)  # fmt: skip
def test_a_late_status_without_a_moment_undoes_nothing(
    any_ledger: Ledger, bodies: list[dict[str, str]], state: str
) -> None:
    assert state_after(any_ledger, *bodies)[0] == state


@pytest.mark.parametrize(
    "times",
    [
        {"finished_at": "2099-01-01T00:00:00Z"},
        {"started_at": "not a date"},
        {"updated_at": "1970-01-02T00:00:00Z"},
        {"started_at": NINE, "finished_at": "2024-11-20T08:59:59Z"},
        {"finished_at": -5},
    ],
)
def test_times_that_cannot_be_are_refused(times: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        translate(Body({**TOLD, "status": "succeeded", **times}), LATER)
    assert translate(Body({**TOLD, "status": "succeeded", "started_at": None, "finished_at": ""}), LATER)


def test_a_deployment_that_is_inactive_ended_as_it_did(ledger: Ledger) -> None:
    def event(number: int, state: str, at: str) -> list[Observation]:
        body = {
            "repository": {"full_name": "acme/rocket"},
            "deployment": {"id": number, "environment": "production", "sha": f"{number:040x}", "created_at": NINE},
            "deployment_status": {"state": state, "created_at": at},
        }  # fmt: skip
        return list(from_github("deployment_status", Body(body), LATER))

    stream = [
        *event(1, "failure", "2024-11-20T09:05:00Z"), *event(1, "inactive", "2024-11-20T10:00:00Z"),
        *event(2, "success", "2024-11-20T09:05:00Z"), *event(2, "inactive", "2024-11-20T10:00:00Z"),
        *event(3, "inactive", "2024-11-20T10:00:00Z"), *event(4, "error", "2024-11-20T09:05:00Z"),
        *event(5, "in_progress", "2024-11-20T09:05:00Z"), *event(5, "inactive", "2024-11-20T10:00:00Z"),
        *event(6, "in_progress", "2024-11-20T09:05:00Z"), *event(6, "failure", "2024-11-20T09:05:00Z"),
        *event(7, "failure", "2024-11-20T09:05:00Z"), *event(7, "in_progress", "2024-11-20T09:06:00Z"),
    ]  # fmt: skip
    with ledger.write() as connection:
        take_in(connection, stream[::-1], LATER)
    with ledger.read() as connection:
        found = recorded_deployments(connection, ROCKET).deployments
    assert [one.state for one in found] == [
        "failure",
        "inactive",
        "unknown",
        "error",
        "unknown",
        "failure",
        "in_progress",
    ]
    assert [one.is_success for one in found] == [False, True, False, False, False, False, False]
    assert found[0].finished == found[1].finished


def test_a_renamed_repository_keeps_its_deployments_and_their_ids(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.deploy("2", project.change("two"))
    project.scan()
    before = project.conclusions()
    new = "github.com/acme/spaceship"
    project.hear(
        Observation(Kind.REPOSITORY, ROCKET, LATER, {"moved_to": new}),
        told("2", project.at(), place=new, sha=project.git.head(), version="2.0", said=LATER),
    )
    with project.ledger.read() as connection:
        recorded = recorded_deployments(connection, new).deployments
        assert recorded == recorded_deployments(connection, ROCKET).deployments
        assert repositories_with_deployments(connection) == [new]
    assert [one.key for one in recorded] == [f"{new}/deployment/1", f"{new}/deployment/2"]
    assert recorded[1].version == "2.0"
    after = project.conclusions()
    assert {name: one.key for name, one in after.items()} == {name: one.key for name, one in before.items()}
    assert after["2"].title == "Deployed 2.0 to production: 1 change"
    assert show_deployment(project.ledger, f"{new}/deployment/2")["shipped"]["changes"] == 1


def test_other_spellings_of_a_repository_are_the_same_one(project: Project) -> None:
    project.change("one")
    project.scan()
    project.hear(told("1", project.at(), project.git.head(), place="github.com/Acme/Rocket"))
    assert list(project.conclusions()) == ["1"]
    assert list_deployments(project.ledger, repository="ACME/rocket").matching == 1


_STREAM = [
    told("1", LATER, "a" * 40, state="in_progress", finished=None),
    told("1", LATER + HOUR, "a" * 40),
    replaced("1", LATER + 9 * HOUR),
    replaced("2", LATER + 9 * HOUR),
    replaced("4", LATER + 6 * HOUR),
    told("2", LATER + 3 * HOUR, "b" * 40, state="failure"),
    told("2", LATER + 4 * HOUR, "b" * 40),
    told("3", LATER + 5 * HOUR, "a" * 40, version="1.1"),
    told("3", LATER + 5 * HOUR, "a" * 40, state="rolled_back", said=LATER + 6 * HOUR),
    told("4", LATER + 7 * HOUR, "c" * 40, environment="staging"),
    pull(1, LATER - DAY),
]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    opened: list[Ledger] = []

    def make() -> Ledger:
        opened.append(open_ledger(str(tmp_path / f"{len(opened)}.db")))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    order=st.permutations(range(len(_STREAM))), again=st.lists(st.integers(0, len(_STREAM) - 1), max_size=6)
)
def test_the_order_and_repetition_of_news_change_nothing(
    fresh: Callable[[], Ledger], order: list[int], again: list[int]
) -> None:
    def end(stream: list[Observation]) -> tuple[Any, ...]:
        ledger = fresh()
        for one in stream:
            with ledger.write() as connection:
                take_in(connection, [one], LATER)
        with ledger.read() as connection:
            return (
                recorded_deployments(connection),
                conclude_deployments(connection, ROCKET),
                dora_of(ledger, until=LATER + 30 * DAY),
            )

    assert end(_STREAM) == end([_STREAM[place] for place in (*order, *again)])


# --- what a user asks for ----------------------------------------------------------------------------


def _some(project: Project) -> None:
    project.deploy("1", project.change("one"))
    project.deploy("2", project.change("two"), version="1.1.0")
    project.deploy("3", project.change("three"), state="failure")
    project.deploy("4", project.git.head(), hours=9, version="1.2.0")
    project.deploy("s", project.git.head(), hours=5, environment="staging")
    project.scan()


def test_pages_of_deployments_follow_each_other_without_gap(project: Project) -> None:
    _some(project)
    names, cursor = [], ""
    while True:
        page = list_deployments(project.ledger, limit=2, cursor=cursor)
        names += [one["key"].rpartition("/")[2] for one in page.deployments]
        assert page.matching == 5
        cursor = page.next
        if not cursor:
            break
    assert names == ["4", "3", "s", "2", "1"]
    with pytest.raises(CollectorError):
        list_deployments(project.ledger, cursor="nonsense")


def test_lists_are_narrowed_and_unknown_repositories_refused(project: Project) -> None:
    _some(project)

    def names(**wanted: Any) -> list[str]:
        return [
            one["key"].rpartition("/")[2] for one in list_deployments(project.ledger, **wanted).deployments
        ]

    assert names(environment="STAGING") == ["s"]
    assert names(state="failure") == ["3"]
    assert names(repository="rocket", environment="production") == ["4", "3", "2", "1"]
    assert names(since=project.at(6), until=project.at(9)) == ["3"]
    with pytest.raises(NotFoundError):
        names(repository="nobody/nothing")


def test_a_deployment_is_shown_by_the_end_of_its_key(project: Project) -> None:
    _some(project)
    found = show_deployment(project.ledger, "deployment/4")
    assert found["version"] == "1.2.0"
    assert found["is_production"]
    assert [one["title"] for one in found["shipped"]["listed"]] == ["Add three"]
    for name in ("", "nothing", "deployment"):
        with pytest.raises(NotFoundError):
            show_deployment(project.ledger, name)


def test_dora_of_a_real_history(project: Project) -> None:
    _some(project)
    (found,) = dora_of(project.ledger, "acme/rocket", until=project.at(9) + 14 * DAY)
    assert (found.repository, found.environment) == (ROCKET, "production")
    by_name = {one.name: one for one in found.measures}
    assert by_name["change_fail_rate"].value == 0.25
    assert by_name["deployment_frequency"].n == 2
    # six hours after the second commit, nine after the third
    assert by_name["change_lead_time"].why.endswith("6.0 h, 9.0 h")
    assert by_name["failed_deployment_recovery_time"].why.endswith(": 3.0 h")
    (staging,) = dora_of(project.ledger, environment="Staging", until=LATER)
    assert not staging.is_production


def test_a_repository_without_deployments_has_nothing_measured(project: Project) -> None:
    project.change("one")
    project.scan()
    (found,) = dora_of(project.ledger, "rocket", until=LATER)
    assert {one.state.value for one in found.measures} == {"not measured"}
    with pytest.raises(NotFoundError):
        dora_of(project.ledger, "nobody/nothing", until=LATER)
    with pytest.raises(CollectorError):
        dora_of(project.ledger, "rocket", since=LATER, until=LATER)


def test_commits_by_programs_are_no_lead_times(project: Project) -> None:
    project.deploy("1", project.change("one"))
    bot = ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com")
    project.git.commit("Bump x from 1 to 2", {"package.json": "{}"}, author=bot)
    project.deploy("2", project.git.head())
    project.scan()
    (found,) = dora_of(project.ledger, until=LATER)
    lead = next(one for one in found.measures if one.name == "change_lead_time")
    assert lead.n == 0
    assert ("commit by a program", 1) in lead.left_out


def test_commands_show_deployments_and_measures(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _some(project)
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    command.add_to(app)

    def output(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--db", str(project.ledger.url.database)])
        assert result.exit_code == 0, result.output
        return result.output

    listed = output("deployments", "list")
    assert "1.2.0" in listed
    assert "failure" in listed
    assert json.loads(output("deployments", "list", "--json", "--env", "staging"))["matching"] == 1
    assert "Add three" in output("deployments", "show", "deployment/4")
    assert json.loads(output("deployments", "show", "deployment/4", "--json"))["shipped"]["changes"] == 1
    shown = output("dora")
    assert "25.0 %" in shown
    assert "not measured" in shown
    assert json.loads(output("dora", "--json"))[0]["measures"]["change_fail_rate"]["n"] == 4
    assert "no deployment to qa was recorded" in output("dora", "--env", "qa")


def test_the_api_gives_deployments_and_measures(project: Project) -> None:
    _some(project)
    with serving(project.ledger) as client:
        app = client.app
        assert isinstance(app, FastAPI)
        if not any(
            getattr(one, "path", "") == "/dora" for one in app.routes
        ):  # until it is part of the application
            from achievement_collector.api.deployments import router

            app.include_router(router)
        app.state.own.clock = lambda: NOW
        page = client.get("/deployments", params={"limit": 3}).json()
        assert page["matching"] == 5
        rest = client.get("/deployments", params={"limit": 3, "cursor": page["next"]}).json()
        assert len(page["deployments"]) + len(rest["deployments"]) == 5
        assert rest["next"] is None
        shown = client.get(f"/deployments/{ROCKET}/deployment/4").json()
        assert shown["shipped"]["listed"][0]["title"] == "Add three"
        assert client.get("/deployments/none").status_code == 404
        assert client.get("/deployments", params={"cursor": "x"}).status_code == 400
        assert client.get("/deployments", params={"repository": "no/such"}).status_code == 404
        (measured,) = client.get("/dora", params={"repository": "acme/rocket"}).json()
        assert measured["measures"]["change_fail_rate"]["n"] == 4
        assert client.get("/dora").json() == [measured]
        project.hear(told("5", NOW - HOUR, "9" * 40, state="failure"))  # news are seen at once
        assert client.get("/dora").json()[0]["measures"]["change_fail_rate"]["n"] == 5
        assert client.get("/dora", params={"since": "never"}).status_code == 400
