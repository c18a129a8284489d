"""Epics: they grow with every piece of news, end the same in whatever order it comes, and open again when it contradicts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from achievement_collector.derive.ci_comparison import Measure
from achievement_collector.derive.conclusions import AchievementKind, Category
from achievement_collector.derive.epic_achievements import epic_category
from achievement_collector.derive.epics import (
    CompletionRules,
    EpicFacts,
    PullInEpic,
    Rolled,
    build_epic,
    changes_between,
    ci_state,
    completion,
    content_hash,
    full_title,
)
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.facts.work import Check, EpicSource, PullRequest
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.services.editing import edit_achievement
from achievement_collector.services.epics import complete_epic, find_epic, link_by_hand, start_epic
from achievement_collector.services.records import Query, build_record, list_achievements, skills_of_selection
from achievement_collector.services.scanning import ScanProgress, scan
from tests.git_repositories import START, Repository, lines
from tests.outside_world import (
    BEGIN,
    HOUR,
    ROCKET,
    World,
    attached,
    benchmark,
    check,
    closed,
    day,
    done,
    issue,
    merged,
    opened,
    project,
    report,
    review,
)

BASE = "b" * 40
AUTHORS = {1: ("alice", 101), 2: ("bob", 102), 3: ("carol", 103), 4: ("alice", 101), 5: ("bob", 102)}
TITLES = {
    1: "Add a vector index", 2: "Add answers to questions", 3: "Speed up the ranking", 4: "Show the sources of an answer",
    5: "Add tests for the ranking",
}  # fmt: skip
ISSUES = {"ENG-11": "Rank answers by meaning", "ENG-12": "Show sources"}


def part(number: int, state: str, **more: Any) -> Observation:
    """A pull request of E5.1, each tied in a way of its own."""
    ties = {
        1: {"body": "**Epic:** [E5.1](https://linear.app/acme/project/search)\n\n![Result](https://a.example/after.png)"},
        2: {"branch": "feature/epic-5.1-answers"}, 3: {"branch": "carol/eng-11-ranking"}, 4: {}, 5: {"title": "ENG-11: Add tests for the ranking"},
    }  # fmt: skip
    author, number_of_author = AUTHORS[number]
    given = {
        "title": TITLES[number],
        "author": author,
        "author_id": number_of_author,
        "base_sha": BASE,
        **ties[number],
        **more,
    }
    begun, ended = day(2 * number), day(2 * number + 1)
    if state == "opened":
        return opened(number, begun, **given)
    return merged(number, ended, created=begun, **given)


def worked_example() -> list[list[Observation]]:
    """The story of E5.1, "AI-Enhanced Search", as it is told day by day."""
    head = [f"{number:040x}" for number in range(6)]
    return [
        [project("search", "E5.1: AI-Enhanced Search", day(0), description="Answers, not links.", lead="Dana", started=None,
                 status="planned")],
        [project("search", "E5.1: AI-Enhanced Search", day(1), description="Answers, not links.", lead="Dana", started=day(1))],
        [issue(key, title, day(1), project="search", started=None) for key, title in ISSUES.items()],
        [report("benchmarks", benchmark("search latency", 300.0, spread=9.0), day(1), sha=BASE, branch="main"),
         report("coverage", {"line_rate": 0.91, "lines_valid": 900}, day(1), sha=BASE, branch="main"),
         report("tests", {"total": 370, "failed": 0, "errors": 0, "flaky": 0}, day(1), sha=BASE, branch="main")],
        [part(1, "opened")], [part(1, "merged"), check(1, "success", day(2) + HOUR), review(1, "bob", day(2) + HOUR)],
        [part(2, "opened"), check(2, "success", day(4) + HOUR)], [part(2, "merged"), review(2, "alice", day(4) + HOUR)],
        [part(3, "opened"), check(3, "success", day(6) + HOUR)],
        [report("benchmarks", benchmark("search latency", 50.0, spread=4.0), day(6), sha=head[3], pull=3)], [part(3, "merged")],
        [part(4, "opened"), check(4, "success", day(8) + HOUR), attached("ENG-12", f"https://{ROCKET}/pull/4")], [part(4, "merged")],
        [done("ENG-12", ISSUES["ENG-12"], day(9) + HOUR, project="search", started=day(8))],
        [part(5, "opened"), check(5, "success", day(10) + HOUR)],
        [report("coverage", {"line_rate": 0.95, "lines_valid": 1000}, day(10), sha=head[5], pull=5),
         report("tests", {"total": 412, "failed": 0, "errors": 0, "flaky": 0}, day(10), sha=head[5], pull=5)],
        [part(5, "merged")], [done("ENG-11", ISSUES["ENG-11"], day(12), project="search", started=day(6))],
        [project("search", "E5.1: AI-Enhanced Search", day(14), description="Answers, not links.", lead="Dana", started=day(1),
                 completed=day(14), status="completed")],
    ]  # fmt: skip


def completed(at: int = day(14), **fields: Any) -> Observation:
    return project(
        "search", "E5.1: AI-Enhanced Search", at, started=day(1), completed=at, status="completed", **fields
    )


def all_kinds(world: World) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in world.achievements():
        counts[one.kind.value] = counts.get(one.kind.value, 0) + 1
    return counts


# --- the worked example ------------------------------------------------------------------------------


def test_the_worked_example_grows_to_its_documented_end(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    hashes = []
    for step in worked_example():
        world.tell(*step)
        hashes.append(content_hash(world.epic("E5.1").structure))
    epic = world.epic("E5.1")
    told = epic.structure
    assert (epic.state, epic.revision, epic.unmet) == ("completed", 1, ())
    assert epic.content_hash == content_hash(told) == hashes[-1]
    assert told["title"] == "E5.1: AI-Enhanced Search"
    ties = {one["key"]: one["linked_by"] for one in told["deliverables"]["pull_requests"]}
    assert ties == {
        f"{ROCKET}#1": '"Epic:" in its body', f"{ROCKET}#2": "the name of its branch", f"{ROCKET}#3": "ENG-11 in its branch",
        f"{ROCKET}#4": "attached to ENG-12", f"{ROCKET}#5": "ENG-11 in its title",
    }  # fmt: skip
    assert (told["deliverables"]["prs_merged"], told["deliverables"]["issues_completed"]) == (5, 2)
    assert told["deliverables"]["code_changes"]["additions"] == 5 * 120
    gain = told["metrics"]["technical"]["best_performance_gain"]
    assert gain["text"] == "search latency: 300 ms → 50 ms, 83 % faster, n=20"
    assert gain["value"] == pytest.approx(250 / 300)
    quality = told["metrics"]["quality"]
    assert quality["test_coverage"] == {"value": 0.95, "text": "line coverage: 91.0 % → 95.0 %, +4.0 points"}
    assert quality["tests_added"]["value"] == 42
    assert quality["ci_success_rate"] == {"value": 1.0, "n": 5, "unknown": 0}
    team = told["metrics"]["team"]
    assert (team["contributors"], team["reviewers"]) == (["alice", "bob", "carol"], ["alice", "bob"])
    assert team["lead_time_median"] == {"value": 86_400.0, "n": 5, "unit": "s"}
    assert {one["value"] for one in told["metrics"]["business"].values()} == {None}
    assert [one["url"] for one in told["evidence"]["screenshots"]] == ["https://a.example/after.png"]
    assert len(told["evidence"]["ci_reports"]) == 5
    phases = {one["name"]: one["seconds"] for one in told["timeline"]["phases"]}
    assert phases == {"planning": 86_400, "implementation": 9 * 86_400, "completion": 3 * 86_400}
    assert told["timeline"]["seconds"] == 13 * 86_400


def test_every_event_shows_what_it_changed(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    for step in worked_example():
        world.tell(*step)
    events = world.events("E5.1")
    assert events[0].kind == "started"
    assert events[-1].kind == "finalised"
    for one in events:
        if one.kind in ("started", "grew"):
            assert one.changes
            assert all(before != after for _, before, after in one.changes)
        assert one.told
        assert one.cause
    told = [one.told for one in events]
    assert "rocket#1 opened" in told
    assert "rocket#1 merged" in told
    assert "ENG-12 completed" in told
    assert any("search latency: 300 ms → 50 ms" in str(one.changes) for one in events)
    assert [one.recorded for one in events] == sorted(one.recorded for one in events)


def test_the_final_versions_are_there_for_every_reader(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    for step in worked_example():
        world.tell(*step)
    versions = world.versions("E5.1")
    assert set(versions) == {1}
    assert set(versions[1]) == set(world.settings.personas)
    assert all("AI-Enhanced Search" in text for text in versions[1].values())
    assert "300 ms → 50 ms" in versions[1]["tech_lead"]
    with any_ledger.read() as connection:
        (notice,) = ledger_epics.notified(connection)
    assert (notice.kind, notice.subject) == ("epic.finalised", "E5.1@1")
    assert notice.body["content_hash"] == world.epic("E5.1").content_hash


def test_what_an_epic_gathers_is_not_counted_twice(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    steps = worked_example()
    for step in steps[:-1]:
        world.tell(*step)
    moment = datetime.fromtimestamp(world.now / 1000, UTC)

    def counts() -> tuple[Any, ...]:
        record = build_record(any_ledger, Query(), moment)
        listing = list_achievements(any_ledger, Query(), moment)
        skills = [(one.name, one.achievements) for one in skills_of_selection(any_ledger, Query(), moment)]
        return record.matching, record.months, record.categories, record.skills, listing.matching, skills

    before = counts()
    world.tell(*steps[-1])
    assert counts() == before
    (epic,) = world.achievements(kind="epic")
    assert epic.title == "E5.1: AI-Enhanced Search"
    assert {credit.person for credit in epic.credits} == {"alice", "bob", "carol"}
    assert epic.value.text == "search latency: 300 ms → 50 ms, 83 % faster, n=20"
    listed = list_achievements(any_ledger, Query(), moment).achievements
    assert [one.kind for one in listed].count(AchievementKind.EPIC) == 1
    assert list_achievements(any_ledger, Query(kind="epic"), moment).matching == 1
    assert len(listed) == before[0] + 1


# --- in whatever order -------------------------------------------------------------------------------


def stream() -> list[Observation]:
    """Fifteen pieces of news that contradict, correct and complete each other."""
    return [
        project("search", "AI-Enhanced Search", day(0), started=None),
        completed(day(14)),
        issue("ENG-11", ISSUES["ENG-11"], day(1), project="other"),
        done("ENG-11", ISSUES["ENG-11"], day(9), project="search"),
        part(1, "opened", branch="wip"),
        part(1, "merged"),
        part(3, "merged"),
        closed(2, day(5), body="Epic: E5.1"),
        merged(8, day(8), title='Revert "Add a vector index"', body="Reverts acme/rocket#1\n\nEpic: E5.1"),
        merged(9, day(9), title="Revert that", body="Reverts acme/rocket#8\n\nEpic: E5.1"),
        check(1, "failure", day(3), run=1),
        check(1, "success", day(4), run=2),
        report("benchmarks", benchmark("search latency", 300.0, spread=9.0), day(1), sha=BASE, branch="main"),
        report("benchmarks", benchmark("search latency", 50.0, spread=4.0), day(6), sha=f"{3:040x}", pull=3),
        attached("ENG-11", f"https://{ROCKET}/pull/10"),
        merged(10, day(10)),
        review(3, "bob", day(6)),
    ]


def state_of(world: World) -> dict[str, Any]:
    """Everything that must be the same: the epics, what counts and what does not, who belongs where."""
    found: dict[str, Any] = {}
    for key in world.epics():
        epic = world.epic(key)
        final = epic.content_hash if epic.state == "completed" else ""
        found[key] = (
            epic.state,
            epic.unmet,
            epic.title,
            epic.structure,
            content_hash(epic.structure),
            final,
            world.members(key),
        )
    found["counted"] = sorted(
        (one.id, one.title, one.impact.value, one.complexity.value, one.credits)
        for one in world.achievements()
    )
    found["left out"] = sorted(world.left_out().items())
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    open_ledger(str(path)).close()
    return path


CI_SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "without CI": {"require_ci_success": False},
}


@pytest.fixture(scope="module", params=list(CI_SETTINGS))
def ordered(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The settings, a folder for ledgers, and what the stream comes to where it is told in order."""
    given_settings = CI_SETTINGS[request.param]
    folder = tmp_path_factory.mktemp("streams")
    return given_settings, folder, told_in(folder, template, [[one] for one in stream()], given_settings)


def told_in(
    folder: Path, template: Path, batches: list[list[Observation]], given_settings: dict[str, Any]
) -> dict[str, Any]:
    path = folder / "ledger.db"
    for old in folder.iterdir():
        old.unlink()
    shutil.copy(template, path)
    ledger = open_ledger(str(path))
    try:
        world = World(ledger, **given_settings)
        for batch in batches:
            world.tell(*batch)
        return state_of(world)
    finally:
        ledger.close()


def test_the_ordered_stream_has_something_to_get_wrong(ordered: Any) -> None:
    given_settings, _, expected = ordered
    assert set(expected) == {"E5.1", "counted", "left out"}
    state, unmet, _, structure, *_ = expected["E5.1"]
    assert (structure["deliverables"]["prs_merged"], structure["deliverables"]["prs_undone"]) == (3, 2)
    assert structure["metrics"]["technical"]["best_performance_gain"]["value"]
    if given_settings:
        assert (state, unmet) == ("completed", ())
    else:
        assert state == "draft"
        assert "CI of rocket#3 is unknown" in unmet


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_shuffled_doubled_and_delayed_news_end_in_the_same_epic(
    template: Path, ordered: Any, data: st.DataObject
) -> None:
    given_settings, folder, expected = ordered
    told = stream()
    doubled = data.draw(st.lists(st.sampled_from(range(len(told))), max_size=5))
    order = data.draw(st.permutations([*range(len(told)), *doubled]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1), max_size=6)))
    batches = [
        [told[place] for place in order[begin:end]]
        for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)
    ]
    assert told_in(folder, template, batches, given_settings) == expected


# --- completion --------------------------------------------------------------------------------------


def nearly_done(world: World) -> None:
    world.tell(project("search", "E5.1 Search", day(0)), part(1, "merged"), check(1, "success", day(2)))


def test_an_open_pull_request_keeps_an_epic_open(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    nearly_done(world)
    world.tell(part(2, "opened"), completed())
    assert (world.epic("E5.1").state, world.epic("E5.1").unmet) == ("draft", ("rocket#2 is open",))
    world.tell(closed(2, day(15)))
    assert world.epic("E5.1").state == "completed"


@pytest.mark.parametrize(
    ("conclusion", "unmet"),
    [
        ("failure", "failed"),
        ("timed_out", "failed"),
        (None, "running"),
        ("cancelled", "unknown"),
        ("neutral", "unknown"),
    ],
)
def test_ci_that_did_not_succeed_keeps_an_epic_open(
    any_ledger: Ledger, conclusion: str | None, unmet: str
) -> None:
    world = World(any_ledger)
    nearly_done(world)
    world.tell(check(1, conclusion, day(3), run=2), completed())
    assert world.epic("E5.1").unmet == (f"CI of rocket#1 is {unmet}",)
    world.tell(check(1, "success", day(4), run=3))
    assert world.epic("E5.1").state == "completed"


def test_the_newest_run_of_each_check_decides() -> None:
    def state(*runs: tuple[str, str, int]) -> str:
        return ci_state(
            Check(f"c{n}", name, "s", what, started) for n, (name, what, started) in enumerate(runs)
        )

    assert state() == "unknown"
    assert state(("a", "success", 1), ("b", "skipped", 1)) == "success"
    assert state(("a", "failure", 1), ("a", "success", 2)) == "success"
    assert state(("a", "success", 2), ("a", "failure", 1)) == "success"
    assert state(("a", "success", 1), ("b", "failure", 1)) == "failed"
    assert state(("a", "success", 1), ("b", "", 1)) == "running"
    assert state(("a", "success", 1), ("b", "never heard of", 1)) == "unknown"


def test_only_attempts_of_the_same_run_hide_a_failure() -> None:
    def state(*told: tuple[str, str, int, int]) -> str:
        return ci_state(
            Check(f"{ROCKET}/{key}", "build", "s", what, started, ended, attempt=int(key.rpartition("/")[2]))
            for key, what, started, ended in told
        )

    assert state(("run/1/1", "failure", 1, 5), ("run/1/2", "success", 6, 9)) == "success"
    assert state(("run/1/2", "failure", 6, 9), ("run/1/1", "success", 1, 5)) == "failed"
    assert state(("run/1/1", "success", 1, 5), ("run/1/2", "", 6, 6)) == "running"
    assert (
        state(("run/1/1", "failure", 1, 5), ("run/2/1", "success", 2, 9)) == "success"
    )  # the workflow, run anew
    for kind in ("check", "suite"):
        assert (
            state((f"{kind}/1", "failure", 1, 5), (f"{kind}/2", "success", 2, 9)) == "failed"
        )  # side by side
        assert state((f"{kind}/1", "failure", 1, 5), (f"{kind}/2", "success", 6, 9)) == "success"  # again
        assert state((f"{kind}/1", "cancelled", 1, 5), (f"{kind}/2", "success", 2, 9)) == "success"
    assert state(("check/1", "failure", 1, 5), ("run/2/1", "success", 6, 9)) == "failed"
    assert state(("check/1", "failure", 1, 5), ("suite/2", "success", 6, 9)) == "failed"


def test_workflows_of_one_name_do_not_hide_each_others_failure() -> None:
    def state(*told: tuple[str, str, str]) -> str:
        return ci_state(
            Check(f"{ROCKET}/run/{n}/1", "CI", "s", what, n, n + 5, path=path, event=event)
            for n, (path, event, what) in enumerate(told, 1)
        )

    backend, frontend = ".github/workflows/backend.yml", ".github/workflows/frontend.yml"
    assert state((backend, "pull_request", "failure"), (frontend, "pull_request", "success")) == "failed"
    assert state((backend, "push", "failure"), (backend, "pull_request", "success")) == "failed"
    assert state((backend, "push", "failure"), (f"{backend}@main", "push", "success")) == "success"
    assert state(("", "push", "failure"), ("", "push", "success")) == "success"


def test_a_failed_workflow_holds_an_epic_open_beside_another_of_its_name(any_ledger: Ledger) -> None:
    def run(number: int, path: str, conclusion: str) -> Observation:
        sha = f"{1:040x}"
        fields = {
            "name": "CI", "sha": sha, "conclusion": conclusion, "started": day(2) + number, "completed": day(2) + 10,
            "attempt": 1, "url": "", "path": f".github/workflows/{path}.yml", "event": "pull_request",
        }  # fmt: skip
        return Observation(Kind.CHECK, f"{ROCKET}/run/{number}/1", day(2), fields, f"{ROCKET}@{sha}")

    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search", day(0)), part(1, "merged"), completed())
    world.tell(run(1, "backend", "failure"), run(2, "frontend", "success"))
    assert world.epic("E5.1").unmet == ("CI of rocket#1 is failed",)
    world.tell(run(3, "backend", "success"))
    assert world.epic("E5.1").state == "completed"


def test_conditions_that_are_switched_off_do_not_hold_an_epic_up(any_ledger: Ledger) -> None:
    world = World(any_ledger, require_ci_success=False, require_all_prs_merged=False)
    world.tell(project("search", "E5.1 Search"), part(1, "merged"), part(2, "opened"), completed())
    assert world.epic("E5.1").state == "completed"


def test_a_project_that_is_not_completed_keeps_its_epic_open(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    nearly_done(world)
    assert world.epic("E5.1").unmet == ("the project in Linear is not completed",)


def test_an_epic_of_no_tracker_waits_for_a_person(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(part(1, "merged"), check(1, "success", day(3)))
    assert world.epic("E5.1").unmet == ("nobody has completed it (epic complete)",)
    assert complete_epic(any_ledger, "e5.1", True, day(20)) == "E5.1"
    world.conclude()
    epic = world.epic("E5.1")
    assert (epic.state, epic.structure["timeline"]["completed"]) == ("completed", "2025-10-29T08:53:20Z")


def test_without_auto_finalize_a_person_decides(any_ledger: Ledger) -> None:
    world = World(any_ledger, auto_finalize=False)
    nearly_done(world)
    world.tell(completed())
    assert world.epic("E5.1").unmet == (
        "it waits to be completed by hand (epic_completion.auto_finalize is off)",
    )
    complete_epic(any_ledger, "E5.1", True, world.now)
    world.conclude()
    assert (world.epic("E5.1").state, world.epic("E5.1").unmet) == ("completed", ())


def test_completing_by_hand_says_what_was_missing_and_can_be_taken_back(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    nearly_done(world)
    world.tell(part(2, "opened"))
    complete_epic(any_ledger, "E5.1", True, world.now)
    world.conclude()
    assert world.epic("E5.1").state == "completed"
    assert world.events("E5.1")[-1].told.endswith("completed by hand although rocket#2 is open")
    complete_epic(any_ledger, "E5.1", False, world.now)
    world.conclude()
    assert world.epic("E5.1").state == "draft"
    assert world.achievements(kind="epic") == []


def test_a_canceled_project_is_a_canceled_epic_and_no_achievement(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    nearly_done(world)
    world.tell(project("search", "E5.1 Search", day(9), canceled=day(9), status="canceled"))
    assert world.epic("E5.1").state == "canceled"
    assert world.achievements(kind="epic") == []
    world.tell(completed(day(10)))
    assert world.epic("E5.1").state == "completed"


def test_an_epic_that_is_not_known_is_said_to_be_so(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    with pytest.raises(NotFoundError, match="no epic 'E1'"):
        complete_epic(any_ledger, "E1", True, world.now)
    for key in ("", "two words", "x" * 61, "a\0b", "a\tb"):
        with pytest.raises(CollectorError, match="is no key"):
            start_epic(any_ledger, key, "", "", world.now)
    world.tell(project("search", "E5.1 Search"))
    with any_ledger.read() as connection:
        assert find_epic(connection, "e5.1").key == find_epic(connection, "e5.1 search").key == "E5.1"


# --- late news ---------------------------------------------------------------------------------------


def finished(world: World) -> None:
    nearly_done(world)
    world.tell(part(3, "merged", branch="epic-E5.1"), check(3, "success", day(6)), completed())
    assert (world.epic("E5.1").state, world.epic("E5.1").revision) == ("completed", 1)


def kinds(world: World) -> list[str]:
    return [one.kind for one in world.events("E5.1")]


def test_a_late_failing_run_opens_the_epic_again_until_it_is_repaired(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    first = world.versions("E5.1")[1]
    world.tell(check(1, "failure", day(20), run=9))
    epic = world.epic("E5.1")
    assert (epic.state, epic.revision, epic.unmet) == ("draft", 1, ("CI of rocket#1 is failed",))
    assert kinds(world)[-2:] == ["grew", "reopened"]
    assert world.events("E5.1")[-1].told == "revision 1 no longer holds: CI of rocket#1 is failed"
    assert world.achievements(kind="epic") == []
    world.tell(check(1, "success", day(21), run=10))
    epic = world.epic("E5.1")
    assert (epic.state, epic.revision) == ("completed", 2)
    assert epic.content_hash == content_hash(epic.structure)
    versions = world.versions("E5.1")
    assert set(versions) == {1, 2}
    assert versions[1] == first  # what was said stays on record
    with any_ledger.read() as connection:
        told = [(one.kind, one.subject) for one in ledger_epics.notified(connection)]
    assert told == [("epic.finalised", "E5.1@1"), ("epic.reopened", "E5.1@1"), ("epic.finalised", "E5.1@2")]


def test_a_late_revert_makes_a_new_revision_without_what_it_undid(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    (before,) = world.achievements(kind="epic")
    world.tell(merged(50, day(20), title='Revert "Speed up the ranking"', body="Reverts acme/rocket#3"))
    epic = world.epic("E5.1")
    assert (epic.state, epic.revision) == ("completed", 2)
    assert epic.structure["metrics"]["quality"]["reverted"] == ["rocket#3"]
    assert kinds(world)[-3:] == ["grew", "reopened", "finalised"]
    (after,) = world.achievements(kind="epic")
    assert after.id == before.id
    assert after.impact.value < before.impact.value
    assert {credit.person for credit in after.credits} == {"alice"}


def test_a_late_git_revert_reaches_the_epic(any_ledger: Ledger, tmp_path: Path) -> None:
    world = World(any_ledger)
    git = Repository(tmp_path / "rocket")
    git.git("remote", "add", "origin", f"https://{ROCKET}.git")
    git.commit("Begin", {"README.md": lines(5)})
    sha = git.commit("Add a vector index", {"index.py": lines(80)})
    world.tell(
        project("search", "E5.1 Search", day(0)),
        part(1, "merged", merge_sha=sha),
        check(1, "success", day(2)),
        completed(),
    )
    scan(any_ledger, [git.path], world.settings, START * 2, ScanProgress())
    world.conclude()

    def told() -> str:
        return str(world.epic("E5.1").structure["deliverables"]["pull_requests"][0]["left_out"])

    assert told() == ""
    revision = world.epic("E5.1").revision
    git.git("revert", "--no-edit", sha)
    scan(any_ledger, [git.path], world.settings, START * 2, ScanProgress())
    world.conclude()
    epic = world.epic("E5.1")
    assert epic.revision == revision + 1
    assert told().startswith("reverted by commit ")
    assert epic.structure["metrics"]["quality"]["reverted"] == ["rocket#1"]


def test_old_news_told_again_does_not_open_a_final_epic(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    events = world.events("E5.1")
    world.tell(
        part(1, "merged"),
        part(1, "opened"),
        check(1, "success", day(2)),
        project("search", "E5.1 Search", day(0)),
    )
    assert world.epic("E5.1").revision == 1
    assert world.events("E5.1") == events


def test_a_project_that_is_taken_up_again_reopens_its_epic(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    world.tell(project("search", "E5.1: AI-Enhanced Search", day(20), started=day(1)))
    assert world.epic("E5.1").state == "draft"
    assert "no longer holds: the project in Linear is not completed" in world.events("E5.1")[-1].told


def test_an_edit_of_an_epics_achievement_survives_its_revisions(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    finished(world)
    (one,) = world.achievements(kind="epic")
    edit_achievement(any_ledger, one.id, {"title": "Search that answers"}, [], world.settings, START)
    world.tell(check(1, "failure", day(20), run=9), check(1, "success", day(21), run=10))
    world.tell(merged(50, day(22), title='Revert "Speed up the ranking"', body="Reverts acme/rocket#3"))
    (again,) = world.achievements(kind="epic")
    assert (again.id, again.title) == (one.id, "Search that answers")


def test_an_epic_that_was_withdrawn_and_comes_back_goes_on_counting_revisions(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search", day(0), completed=day(3)))
    assert world.epic("E5.1").revision == 1
    world.tell(Observation(Kind.PROJECT, "linear/search", day(4), {"removed": True}))
    assert world.epic("E5.1").state == "withdrawn"
    assert world.achievements(kind="epic") == []
    world.tell(Observation(Kind.PROJECT, "linear/search", day(5), {"removed": False}))
    assert (world.epic("E5.1").state, world.epic("E5.1").revision) == ("completed", 2)
    assert kinds(world) == ["started", "finalised", "withdrawn", "started", "finalised"]


# --- what an epic is ---------------------------------------------------------------------------------


def test_a_project_may_come_after_its_pull_requests(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(part(1, "merged"), part(3, "merged"))
    assert world.epic("E5.1").source_kind == "local"
    assert list(world.members("E5.1")) == [f"{ROCKET}#1"]
    world.tell(issue("ENG-11", ISSUES["ENG-11"], day(1), project="search"))
    world.tell(project("search", "E5.1 Search", day(1)))
    epic = world.epic("E5.1")
    assert (epic.source_kind, epic.source_key, epic.title) == ("project", "linear/search", "E5.1 Search")
    assert set(world.members("E5.1")) == {f"{ROCKET}#1", f"{ROCKET}#3", "linear/eng-11"}


def test_an_issue_that_moves_takes_its_pull_requests_with_it(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search"), project("billing", "E6 Billing"),
               issue("ENG-11", "Rank", project="search"), part(3, "merged"))  # fmt: skip
    assert set(world.members("E5.1")) == {f"{ROCKET}#3", "linear/eng-11"}
    world.tell(issue("ENG-11", "Rank", day(9), project="billing"))
    assert world.members("E5.1") == {}
    assert set(world.members("E6")) == {f"{ROCKET}#3", "linear/eng-11"}
    assert world.epic("E5.1").structure["deliverables"]["prs_merged"] == 0
    assert world.epic("E6").structure["deliverables"]["prs_merged"] == 1


def test_a_project_that_gets_another_key_is_one_epic_still(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "Search"), issue("ENG-11", "Rank", project="search"), part(3, "merged"))
    assert world.epics() == ["search"]
    world.tell(project("search", "E5.1 Search", day(9)))
    assert world.epics() == ["E5.1"]
    assert set(world.members("E5.1")) == {f"{ROCKET}#3", "linear/eng-11"}


def test_the_second_project_of_an_epic_may_leave_it(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        project("a", "E5.1 Search"),
        project("b", "E5.1 Search for phones"),
        issue("ENG-11", "Rank", project="b"),
    )
    assert set(world.members("E5.1")) == {"linear/eng-11"}
    world.tell(project("b", "E6 Phones", day(9)))
    assert world.epics() == ["E5.1", "E6"]
    assert [one["key"] for one in world.epic("E5.1").structure["sources"]] == ["linear/a"]
    assert set(world.members("E6")) == {"linear/eng-11"}


def test_the_configuration_may_give_an_epic_its_key(any_ledger: Ledger) -> None:
    world = World(any_ledger, epic_keys={"ai search": "E5.1"})
    world.tell(part(1, "merged"), project("search", "AI Search"))
    assert world.epics() == ["E5.1"]
    assert world.epic("E5.1").title == "AI Search"


ISSUE_EPICS = [
    issue("ENG-1", "E5.1 Search", day(0)),
    issue("ENG-2", "Index", day(0), parent="eng-1"),
    done("ENG-3", "Vectors", day(3), parent="eng-2"),
    issue("ENG-4", "Alone", day(0)),
    merged(3, day(6), branch="eng-3-vectors"),
    merged(4, day(6), branch="eng-1"),
]


@pytest.mark.parametrize("seed", range(12))
def test_an_epic_may_be_a_parent_issue(ledger: Ledger, seed: int) -> None:
    import random

    told = list(ISSUE_EPICS)
    random.Random(seed).shuffle(told)
    world = World(ledger, epic_source="issue")
    for one in told:
        world.tell(one)
    assert world.epics() == ["E5.1"]  # the issue in the middle is none
    told_issues = [one["identifier"] for one in world.epic("E5.1").structure["deliverables"]["issues"]]
    assert told_issues == ["ENG-2", "ENG-3"]
    pulls = [one["key"] for one in world.epic("E5.1").structure["deliverables"]["pull_requests"]]
    assert pulls == [f"{ROCKET}#3", f"{ROCKET}#4"]


def test_a_parent_issue_is_an_epic_only_while_something_is_below_it(any_ledger: Ledger) -> None:
    world = World(any_ledger, epic_source="issue")
    world.tell(done("ENG-1", "Search", day(1)), merged(3, day(6), branch="eng-1-x"))
    assert world.epics() == []
    world.tell(done("ENG-2", "Index", day(3), parent="eng-1"))
    assert world.epics() == ["ENG-1"]
    assert f"{ROCKET}#3" in world.members("ENG-1")
    titles = {one.title for one in world.achievements(kind="issue")} | set(world.left_out())
    assert titles == {"Index"}  # the epic is no second achievement
    world.tell(done("ENG-2", "Index", day(4), parent=""))
    assert world.epic("ENG-1").state == "withdrawn"
    assert "Search" in world.left_out()


def test_an_epic_may_be_an_initiative(any_ledger: Ledger) -> None:
    world = World(any_ledger, epic_source="initiative")
    world.tell(
        issue("ENG-11", "Rank", project="search"),
        part(3, "merged"),
        project("search", "Search", initiatives=["linear/init"]),
    )
    assert world.epics() == []
    fields = {
        "title": "E5.1 Answers",
        "status": "active",
        "created": BEGIN,
        "started": BEGIN,
        "completed": None,
        "url": "",
        "slug": "",
    }
    world.tell(Observation(Kind.INITIATIVE, "linear/init", day(1), fields))
    assert set(world.members("E5.1")) == {f"{ROCKET}#3", "linear/eng-11"}
    assert world.epic("E5.1").source_kind == "initiative"
    world.tell(project("search", "Search", day(2), initiatives=[]))
    assert world.members("E5.1") == {}


def test_an_epic_may_be_started_by_hand(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    start_epic(any_ledger, "E9", "Offline maps", "For the field.", day(3))
    world.conclude()
    epic = world.epic("E9")
    assert (epic.state, epic.title, epic.source_kind) == ("draft", "Offline maps", "local")
    assert epic.structure["timeline"]["started"] == "2025-10-12T08:53:20Z"
    world.tell(merged(3, day(6), body="Epic: E9"))
    start_epic(any_ledger, "E9", "Maps without a net", "", day(8))
    world.conclude()
    assert world.epic("E9").title == "Maps without a net"
    assert world.epic("E9").structure["description"] == "For the field."
    link_by_hand(any_ledger, "E9", "acme/rocket#3", False, day(9))
    world.conclude()
    assert world.epic("E9").structure["deliverables"]["prs_merged"] == 0
    assert world.epics() == ["E9"]  # it was started, so it stays


def test_no_epics_are_built_where_that_is_switched_off(any_ledger: Ledger) -> None:
    world = World(any_ledger, epics_enabled=False)
    for step in worked_example():
        world.tell(*step)
    assert world.epics() == []
    assert all_kinds(world) == {"change": 5}  # the issues were done by pull requests
    assert len(world.left_out()) == 2


def test_a_removed_project_takes_its_issues_and_their_pull_requests_out(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        project("search", "E5.1 Search"),
        issue("ENG-11", "Rank", project="search"),
        part(3, "merged"),
        part(1, "merged"),
    )
    assert len(world.members("E5.1")) == 3
    world.tell(Observation(Kind.PROJECT, "linear/search", day(9), {"removed": True}))
    assert list(world.members("E5.1")) == [f"{ROCKET}#1"]  # it names the epic itself
    assert world.epic("E5.1").title == "E5.1"


def test_milestones_of_the_tracker_and_on_the_way(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        project("search", "E5.1 Search"), part(1, "merged"),
        Observation(Kind.MILESTONE, "linear/m", day(1), {"name": "Beta", "target": "2025-12-01"}, "linear/search"),
        *(done(f"ENG-{n}", f"Step {n}", day(n), project="search") for n in (1, 2)),
        *(issue(f"ENG-{n}", f"Step {n}", day(n), project="search") for n in (3, 4)),
    )  # fmt: skip
    told = world.epic("E5.1").structure["milestones"]
    assert [one["name"] for one in told] == [
        "Beta", "first pull request merged", "a quarter of the 4 issues completed", "half of the 4 issues completed",
    ]  # fmt: skip
    world.tell(Observation(Kind.MILESTONE, "linear/m", day(5), {"removed": True}))
    assert "Beta" not in [one["name"] for one in world.epic("E5.1").structure["milestones"]]


def test_an_epic_of_which_nothing_is_measured_says_so(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search", day(0), started=None))
    metrics = world.epic("E5.1").structure["metrics"]
    for name in ("test_coverage", "tests_added", "ci_success_rate"):
        assert metrics["quality"][name]["value"] is None
        assert metrics["quality"][name]["basis"].startswith("not measured: ")
    assert world.epic("E5.1").structure["deliverables"]["code_changes"]["additions"] is None
    assert world.epic("E5.1").structure["timeline"]["seconds"] is None


def test_an_epic_never_took_less_than_no_time(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        project("search", "E5.1 Search", day(1), started=None, completed=day(1)),
        part(5, "merged", body="Epic: E5.1"),
    )
    told = world.epic("E5.1").structure["timeline"]
    assert told["seconds"] is None
    assert all(one["seconds"] is None or one["seconds"] >= 0 for one in told["phases"])


def test_what_was_only_closed_implemented_nothing(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search"), closed(2, day(5), body="Epic: E5.1"))
    told = world.epic("E5.1").structure
    assert told["deliverables"]["prs_closed_unmerged"] == 1
    assert told["timeline"]["phases"] == []


def test_changes_are_named_by_what_they_are_about() -> None:
    before = {"n": 1, "list": [{"key": "a", "state": "open"}], "names": ["x"]}
    after = {
        "n": 2,
        "list": [{"key": "a", "state": "merged"}, {"key": "b", "state": "open"}],
        "names": ["x", "y"],
    }
    assert changes_between(before, after) == [
        ("n", 1, 2), ("list[a].state", "open", "merged"), ("list[b].key", None, "b"), ("list[b].state", None, "open"),
        ("names[y]", None, True),
    ]  # fmt: skip
    assert changes_between(after, after) == []


def test_the_hash_is_that_of_the_content_and_not_of_its_order() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": 1, "b": [1, 2]}) != content_hash({"a": 1, "b": [2, 1]})
    assert CompletionRules() == CompletionRules(True, True, True)


# --- what its numbers are of -------------------------------------------------------------------------


def inside(
    number: int, *measures: Measure, left_out: str = "", place: str = ROCKET, **more: Any
) -> PullInEpic:
    """A pull request that was opened on day ``number`` and merged a day later; its base branch was measured then as its
    head was."""
    given: dict[str, Any] = {
        "title": f"Part {number}", "author": "alice", "created": day(number), "merged": day(number + 1), "additions": 10,
        "deletions": 1, "files": 2, "commits": 3,
    }  # fmt: skip
    pull = PullRequest(place, number, **(given | more))
    rolled = Rolled(f"{number:012x}", pull.title, "feature", 50, not left_out, left_out)
    return PullInEpic(pull, "by hand", (), measures, rolled, measures)


def speed(before: float, after: float) -> Measure:
    return Measure("benchmark", "search", after, before, "ms", False, 20, 20, 0.1, 0.1, True)


def count_of_tests(before: float, after: float) -> Measure:
    return Measure("tests", "tests", after, before, "tests", True)


def covered(before: float, after: float) -> Measure:
    return Measure("coverage", "line coverage", after, before, "rate", True)


def built(*pulls: PullInEpic, **source: Any) -> dict[str, Any]:
    return build_epic(EpicFacts("E1", (EpicSource("project", "p", "Search", **source),), pulls=pulls))


REVERT = "a revert: it takes credit away and earns none"


def revert_of(number: int, target: int, *measures: Measure, **more: Any) -> PullInEpic:
    return inside(
        number, *measures, left_out=REVERT, title=f'Revert "Part {target}"', body=f"Reverts acme/rocket#{target}", **more
    )  # fmt: skip


def test_measures_of_two_repositories_are_told_apart() -> None:
    web = "github.com/acme/web"
    told = built(
        inside(1, speed(500, 400), count_of_tests(100, 110), covered(0.5, 0.6)),
        inside(2, speed(7, 6), count_of_tests(20, 25), covered(0.8, 0.9), place=web),
    )["metrics"]
    assert told["technical"]["performance"] == [
        "search in rocket: 500 ms → 400 ms, 20 % faster, n=20", "search in web: 7 ms → 6 ms, 14 % faster, n=20",
    ]  # fmt: skip
    assert told["technical"]["best_performance_gain"]["before"] == 500
    assert told["quality"]["tests_added"] == {
        "value": 15, "text": "tests in rocket: 100 → 110, +10; tests in web: 20 → 25, +5",
    }  # fmt: skip
    coverage = told["quality"]["test_coverage"]
    assert coverage["value"] is None
    assert coverage["basis"].startswith("not comparable across repositories: line coverage in rocket: 50.0 %")
    assert [(one["repository"], one["value"]) for one in coverage["by_repository"]] == [
        (ROCKET, 0.6),
        (web, 0.9),
    ]


def test_repositories_of_one_name_are_told_by_their_owner() -> None:
    told = built(
        inside(1, speed(5, 4), place="github.com/a/web"), inside(1, speed(7, 6), place="github.com/b/web")
    )
    names = [text.partition(":")[0] for text in told["metrics"]["technical"]["performance"]]
    assert names == ["search in a/web", "search in b/web"]


def side_by_side(*, with_main: bool) -> list[Observation]:
    """Two pull requests of E5.1 that branch from the same commit, merged one after the other."""
    told = [report(kind, body, day(0), sha=BASE, branch="main") for kind, body in measured(10, 0.80, 200)]
    for number, own, main in (
        (1, (30, 0.95, 50), (30, 0.95, 50)),
        (2, (11, 0.81, 200), (31, 0.96, 50)),
    ):
        told += [
            report(kind, body, day(1), sha=f"{number:040x}", pull=number, branch=f"part-{number}")
            for kind, body in measured(*own)
        ]
        told.append(merged(number, day(2 + number), created=day(1), body="Epic: E5.1", base_sha=BASE))
        if with_main:
            merge = f"{number + 4096:040x}"
            told += [
                report(kind, body, day(3 + number), sha=merge, branch="main")
                for kind, body in measured(*main)
            ]
    return told


def measured(tests: int, coverage: float, milliseconds: float) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("tests", {"total": tests, "failed": 0, "errors": 0, "flaky": 0}),
        ("coverage", {"line_rate": coverage, "lines_valid": 100}),
        ("benchmarks", benchmark("search", milliseconds)),
    ]


def test_changes_side_by_side_are_measured_on_their_base_branch(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(*side_by_side(with_main=True))
    told = world.epic("E5.1").structure
    quality = told["metrics"]["quality"]
    assert quality["tests_added"] == {"value": 21, "text": "tests: 10 → 31, +21"}
    assert quality["test_coverage"] == {"value": 0.96, "text": "line coverage: 80.0 % → 96.0 %, +16.0 points"}
    gain = told["metrics"]["technical"]["best_performance_gain"]
    assert gain["text"] == "search: 200 ms → 50 ms, 75 % faster, n=20"
    own = [one["measures"][-1] for one in told["deliverables"]["pull_requests"]]
    assert own == ["tests: 10 → 30, +20", "tests: 30 → 31, +1"]


def test_heads_side_by_side_do_not_add_up(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(*side_by_side(with_main=False))
    told = world.epic("E5.1").structure["metrics"]
    why = "not measured on main after the merges"
    assert told["quality"]["tests_added"] == {
        "value": None, "basis": f"{why} (rocket#1: 10 → 30, +20; rocket#2: 10 → 11, +1)",
    }  # fmt: skip
    assert told["quality"]["test_coverage"]["value"] is None
    assert told["technical"]["best_performance_gain"]["value"] is None
    assert told["technical"]["performance"] == [
        f"search: {why} (rocket#1: 200 ms → 50 ms, 75 % faster, n=20; rocket#2: 200 ms → 200 ms, unchanged, n=20)"
    ]


def test_where_the_first_had_no_baseline_it_is_said_from_which_on_it_is_measured() -> None:
    first = inside(1, replace(speed(0, 300), before=None, note="no report of main to compare with"))
    told = built(first, inside(2, speed(300, 200)))["metrics"]["technical"]
    assert told["performance"] == ["search: 300 ms → 200 ms, 33 % faster, n=20, from rocket#2 on"]
    assert told["best_performance_gain"]["text"] == told["performance"][0]


def failing(before: float, after: float) -> Measure:
    return Measure("tests", "failed tests", after, before, "tests", False)


def test_failing_tests_are_told_beside_those_added() -> None:
    first, later = inside(1, count_of_tests(10, 11), failing(0, 2)), inside(2, count_of_tests(11, 12))
    quality = built(first)["metrics"]["quality"]
    assert quality["tests_added"] == {"value": 1, "text": "tests: 10 → 11, +1"}
    assert quality["failed_and_flaky_tests"] == ["failed tests: 0 → 2"]
    assert built(first, later)["metrics"]["quality"]["failed_and_flaky_tests"] == []  # they pass again
    still = inside(2, count_of_tests(11, 12), failing(2, 1))
    assert built(first, still)["metrics"]["quality"]["failed_and_flaky_tests"] == ["failed tests: 0 → 1"]
    fixed = inside(3, count_of_tests(12, 12), failing(1, 0))
    assert built(still, fixed)["metrics"]["quality"]["failed_and_flaky_tests"] == ["failed tests: 2 → 0"]


def test_an_epics_score_and_team_tell_of_everybody_it_credits(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(project("search", "E5.1 Search", day(0)), part(1, "merged"), check(1, "success", day(2)))
    world.tell(part(2, "merged"), check(2, "success", day(4)))
    world.tell(
        done(
            "ENG-12",
            "Show sources",
            day(6),
            project="search",
            assignee="Dana Dee",
            assignee_email="dana@example.dev",
        )
    )
    world.tell(completed())
    (epic,) = world.achievements(kind="epic")
    assert {credit.person for credit in epic.credits} == {"alice", "bob", "Dana Dee"}
    assert [one.fact for one in epic.impact.parts if one.name == "people"] == ["the work of 3 people"]
    team = world.epic("E5.1").structure["metrics"]["team"]
    assert (team["contributors"], team["contributor_count"]) == (["Dana Dee", "alice", "bob"], 3)


def test_only_a_head_that_is_known_to_contain_the_others_ends_a_measure() -> None:
    """The base that a forge names is where the base branch stood when the pull request was opened, not where its branch began."""

    def told(first: PullInEpic, later: PullInEpic) -> str:
        pulls = [replace(one, after_merge=()) for one in (first, later)]
        (text,) = built(*pulls)["metrics"]["technical"]["performance"]
        return str(text)

    first = inside(1, speed(300, 200), base="main", merge_sha="m1")
    later = inside(2, speed(200, 50), base="main", base_sha="m1", merge_sha="m2")
    assert told(first, later).startswith("search: not measured on main after the merges")
    below = inside(1, speed(300, 200), base="search", merge_sha="m1")
    above = inside(2, speed(200, 50), base="main", branch="search")
    assert told(below, above) == "search: 300 ms → 50 ms, 83 % faster, n=20"
    early = inside(2, replace(speed(200, 50), report="c1"), base="main", branch="search", head_sha="c2")
    assert told(below, early).startswith("search: not measured on main after the merges")
    elsewhere = built(first, inside(2, speed(300, 50), base="release", merge_sha="m2"))
    assert elsewhere["metrics"]["technical"]["performance"][0].startswith("search: not measured on release")


def test_a_head_that_may_contain_what_was_reverted_since_measures_nothing() -> None:
    undone = inside(1, left_out="reverted by #3", base="main", merge_sha="m1", merged=day(2))
    revert = revert_of(3, 1, base="main", merge_sha="m3", merged=day(4))
    head = inside(5, speed(300, 50), base="main", base_sha="m1", merged=day(6))
    told = built(undone, revert, replace(head, after_merge=()))["metrics"]["technical"]["performance"]
    assert told == ["search: not measured since rocket#1 was reverted"]


ALL = (speed(300, 120), count_of_tests(10, 30), covered(0.5, 0.9))


def test_a_gain_that_a_later_revert_took_back_is_not_claimed() -> None:
    undone = inside(1, left_out="reverted by #9")
    told = built(undone, inside(2, *ALL), revert_of(9, 1))["metrics"]
    basis = "not measured since rocket#1 was reverted"
    assert told["technical"]["performance"] == [f"search: {basis}"]
    for one in (
        told["technical"]["best_performance_gain"], told["quality"]["tests_added"], told["quality"]["test_coverage"],
    ):  # fmt: skip
        assert one == {"value": None, "basis": basis}
    # measured by the revert itself, or by what came after it
    for later in ([revert_of(9, 1, speed(120, 200))], [revert_of(9, 1), inside(10, speed(210, 200))]):
        found = built(undone, inside(2, *ALL), *later)["metrics"]["technical"]
        assert found["performance"] == ["search: 300 ms → 200 ms, 33 % faster, n=20"]


def test_a_revert_of_what_was_not_in_the_newest_report_changes_nothing() -> None:
    told = built(
        inside(1, speed(300, 200)), inside(2, speed(200, 50), left_out="reverted by #9"), revert_of(9, 2)
    )
    assert told["metrics"]["technical"]["performance"] == ["search: 300 ms → 200 ms, 33 % faster, n=20"]


def test_a_gain_and_its_revert_are_no_gain_and_no_loss() -> None:
    told = built(inside(1, speed(500, 6), left_out="reverted by #9"), revert_of(9, 1, speed(6, 500)))
    assert told["metrics"]["technical"]["performance"] == ["search: 500 ms → 500 ms, unchanged, n=20"]


def test_a_revert_that_was_taken_back_takes_nothing() -> None:
    again = inside(10, left_out=REVERT, title="Revert that", body="Reverts acme/rocket#9")
    told = built(inside(1), inside(2, *ALL), revert_of(9, 1, speed(120, 200)), again)["metrics"]
    assert told["technical"]["performance"] == ["search: 300 ms → 120 ms, 60 % faster, n=20"]


def test_a_revert_that_only_git_shows_leaves_nothing_measured() -> None:
    told = built(inside(1, left_out="reverted by commit 0123456789ab"), inside(2, speed(300, 120)))
    assert told["metrics"]["technical"]["performance"] == ["search: not measured since rocket#1 was reverted"]


def test_what_was_undone_or_copied_is_not_delivered() -> None:
    copy = inside(4, left_out="a copy of #1, which has the credit")
    told = built(inside(1), inside(2, left_out="reverted by #9"), copy, revert_of(9, 2))
    found = told["deliverables"]
    assert (found["prs_merged"], found["prs_undone"], found["prs_copied"]) == (1, 2, 1)
    assert (found["code_changes"]["additions"], found["code_changes"]["commits"]) == (10, 3)
    assert told["metrics"]["quality"]["reverted"] == ["rocket#2"]
    landed = built(
        inside(2, left_out="reverted by #9"), revert_of(9, 2), inside(12, title='Reapply "Part 2"')
    )
    assert landed["metrics"]["quality"]["reverted"] == []


def test_pull_requests_of_bots_are_listed_apart() -> None:
    bots = (
        inside(2, left_out="made by a program: bot", is_bot=True, author="bot"),
        inside(3, is_bot=True, author="bot", merged=None),
    )
    told = built(inside(1), *bots)
    found = told["deliverables"]
    assert (found["prs_merged"], found["prs_open"], found["code_changes"]["additions"]) == (1, 0, 10)
    assert found["bot_pull_requests"] == {"count": 2, "keys": [f"{ROCKET}#2", f"{ROCKET}#3"]}
    assert (told["metrics"]["team"]["contributors"], told["metrics"]["team"]["lead_time_median"]["n"]) == (
        ["alice"],
        1,
    )
    assert told["metrics"]["quality"]["reviewed"] == {"value": 0, "n": 1}
    facts = EpicFacts("E1", (EpicSource("project", "p", completed=day(9)),), pulls=bots)
    assert completion(facts, CompletionRules()).is_complete


def test_implementation_ends_with_the_last_merge_before_completion() -> None:
    told = built(inside(1), inside(30), completed=day(9))["timeline"]
    ends = {phase["name"]: phase["seconds"] for phase in told["phases"]}
    assert ends == {"implementation": 86_400, "completion": 7 * 86_400}
    assert "rocket#30 merged" in [one["what"] for one in told["events"]]


def test_impossible_numbers_from_outside_are_not_measured() -> None:
    pull = PullRequest(
        ROCKET, 1, created=day(2), merged=day(1), additions=-5, deletions=-1, files=-1, commits=-3
    )
    assert pull.lead_time is None
    assert (pull.additions, pull.deletions, pull.files, pull.commits) == (None, None, None, None)
    assert PullRequest(ROCKET, 1, created=day(1), merged=day(1)).lead_time == 0


@pytest.mark.parametrize(
    ("categories", "expected", "confidence"),
    [
        (["unsure", "unsure", "unsure", "feature"], Category.FEATURE, 0.25),
        (["feature", "feature", "testing", "unsure"], Category.FEATURE, 0.5),
        (["unsure", "unsure"], Category.UNSURE, 0.0),
        ([], Category.UNSURE, 0.0),
    ],
)
def test_the_category_is_the_largest_that_is_known(
    categories: list[str], expected: Category, confidence: float
) -> None:
    call = epic_category([Rolled("a", "t", one, 5, True, "") for one in categories])
    assert (call.category, call.confidence) == (expected, confidence)


@pytest.mark.parametrize(
    ("title", "full"),
    [
        ("E5.1 Search", "E5.1 Search"), ("e5.1: Search", "e5.1: Search"), ("[E5.1] Search", "[E5.1] Search"),
        ("Epic E5.1: Search", "Epic E5.1: Search"), ("E5.1", "E5.1"), ("E5.12 Maps", "E5.1: E5.12 Maps"),
        ("E5.1.2 Maps", "E5.1: E5.1.2 Maps"), ("Search", "E5.1: Search"),
    ],
)  # fmt: skip
def test_an_epic_is_named_by_its_key_once(title: str, full: str) -> None:
    assert full_title("E5.1", title) == full
