"""The roadmap says what was recorded and nothing else: each wrong result of an earlier implementation is a test here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import typer
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector.cli import roadmap as command
from achievement_collector.config import Settings
from achievement_collector.derive.milestones import (
    Clues,
    Detected,
    Item,
    Names,
    Source,
    closed_issues,
    detect,
    joined,
    milestone_of_branch,
    progress_of,
    status_of,
)
from achievement_collector.derive.readiness import (
    CriticalWorkflow,
    Fixes,
    LinkedPull,
    PassRate,
    ReadinessInputs,
    State,
    percent,
    readiness,
    readiness_data,
    score_changes,
)
from achievement_collector.errors import ConfigurationError, NotFoundError
from achievement_collector.facts.milestones import Milestone, Origin, Plan, Statement, Status
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import roadmap as stored
from achievement_collector.ledger.ci_runs import take_in_runs
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.store import Ledger
from achievement_collector.roadmap_file import read_roadmap
from achievement_collector.services.roadmap import (
    detect_milestone,
    detected_data,
    load_plan,
    quarter_delivery,
    roadmap_status,
    show_milestone,
    state_status,
    take_snapshot,
)
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github.events import translate, workflow_run
from tests.conftest import scan_into
from tests.git_repositories import Repository, lines
from tests.outside_world import BEGIN, DAY, HOUR, ROCKET, attached, closed, merged, opened, project
from tests.outside_world import done as linear_done
from tests.outside_world import issue as linear_issue
from tests.serving import serving

NOW = BEGIN + 120 * DAY
TODAY = date(2026, 2, 6)
EMPTY = Plan()

Told = dict[str, Any]


# --- the branch's grammar ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("branch", "milestone"),
    [
        ("feature/stage-7-3", "Stage 7.3"),
        ("feature/stage-7", "Stage 7"),
        ("feature/stage-7-3-2", "Stage 7.3.2"),
        ("feature/stage-12", "Stage 12"),
        ("stage-7.3", "Stage 7.3"),
        ("Stage_7_3", "Stage 7.3"),
        ("feature/stage-7-3-login", "Stage 7.3"),
        ("stage-7-3-2fa-login", "Stage 7.3"),
        ("fix_stage7", "Stage 7"),
        ("STAGE/7.3/part", "Stage 7.3"),
        ("backstage-100", None),
        ("staged-7", None),
        ("feature/stage-7a", None),
        ("main", None),
        ("hotfix/login", None),
        ("feature/stage-", None),
    ],
)
def test_the_grammar_of_branches(branch: str, milestone: str | None) -> None:
    assert milestone_of_branch(branch) == milestone


@given(st.text(max_size=60))
def test_no_branch_gives_anything_but_a_stage_that_it_names(branch: str) -> None:
    found = milestone_of_branch(branch)
    assert found is None or (found.startswith("Stage ") and "stage" in branch.lower())


def test_a_hostile_branch_takes_no_time() -> None:
    assert milestone_of_branch("stage-" + "1-" * 100_000 + "x") is not None
    assert milestone_of_branch("/stage-" * 100_000) is None


# --- detection ---------------------------------------------------------------------------------------

SEVEN = Milestone("stage-7.3", "Stage 7.3", Origin.FILE, names=("MVP",), labels=("mvp",))
EIGHT = Milestone("stage-8", "Stage 8", Origin.FILE)
KNOWN = Names((SEVEN, EIGHT))
ALL = Clues(
    "stage-8", "MVP", "Stage 8", (("Stage 7.3", "the linked issue #4"),), ("stage-8",), "feature/stage-7-3"
)


def test_clues_are_asked_in_the_documented_order() -> None:
    """Each clue names another milestone than the one before it, so the order is seen."""
    found = []
    clues = ALL
    for name, empty in (
        ("flag", ""), ("environment", ""), ("pull_milestone", ""), ("linked", ()), ("labels", ()), ("branch", ""),
    ):  # fmt: skip
        told = detect(clues, KNOWN)
        found.append((told.source, told.key))
        clues = replace(clues, **{name: empty})
    assert found == [
        (Source.FLAG, "stage-8"), (Source.ENVIRONMENT, "stage-7.3"), (Source.PULL_MILESTONE, "stage-8"),
        (Source.LINK, "stage-7.3"), (Source.LABEL, "stage-8"), (Source.BRANCH, "stage-7.3"),
    ]  # fmt: skip
    assert detect(clues, KNOWN) == Detected("", "", Source.NONE, "nothing names a milestone")


@pytest.mark.parametrize("branch", ["main", "master", "hotfix/login", "backstage-100", ""])
def test_there_is_no_default_milestone(branch: str) -> None:
    """The earlier one said "Stage 7.3" of main and of everything that it did not understand."""
    assert detect(Clues(branch=branch), KNOWN).source is Source.NONE


def test_a_milestone_on_no_roadmap_is_told_as_such() -> None:
    told = detected_data(detect(Clues(branch="feature/stage-9-1"), KNOWN))
    assert told["milestone"] == "Stage 9.1"
    assert told["is_on_roadmap"] is False
    assert told["told"] == "the branch feature/stage-9-1"


def test_a_name_is_matched_whole_never_in_part() -> None:
    """ "Stage 7" was found in "Stage 7.3"."""
    assert detect(Clues(pull_milestone="Stage 7"), KNOWN).key == ""
    assert detect(Clues(pull_milestone="Update: Stage 7.3"), KNOWN).key == ""
    assert detect(Clues(pull_milestone=" stage  7.3 "), KNOWN).key == "stage-7.3"


def test_clues_that_name_several_are_passed_over_with_a_note() -> None:
    told = detect(Clues(labels=("stage-8", "mvp"), branch="feature/stage-7-3"), KNOWN)
    assert (told.key, told.source) == ("stage-7.3", Source.BRANCH)
    assert "several milestones are named" in told.notes[0]


def test_two_milestones_of_one_title_are_told_apart_by_repository_or_not_at_all() -> None:
    places = [
        Milestone(
            f"github.com/acme/{name}/milestone/1", "Beta", Origin.GITHUB, scope=f"github.com/acme/{name}"
        )
        for name in ("one", "two")
    ]
    names = Names(places)
    assert detect(Clues(flag="Beta", repository="github.com/acme/two"), names).key == places[1].key
    told = detect(Clues(flag="Beta"), names)
    assert told.source is Source.NONE
    assert "may be github.com/acme/one/milestone/1, github.com/acme/two/milestone/1" in told.notes[0]


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("mvp", "stage-7.3"), ("MVP", "stage-7.3"), ("milestone: Stage 8", "stage-8"), ("milestone/stage-8", "stage-8"),
        ("stage-7.3", "stage-7.3"), ("Stage 8", "stage-8"), ("stage-7-3-login", ""), ("backstage-8", ""), ("bug", ""),
    ],
)  # fmt: skip
def test_labels(label: str, key: str) -> None:
    assert detect(Clues(labels=(label,)), KNOWN).key == key


def test_closing_words_of_github() -> None:
    body = "Closes #12, fixes: acme/other#3 and resolves https://github.com/acme/far/issues/9. See #14; prefixes #15"
    assert closed_issues(body, ROCKET) == (f"{ROCKET}#12", "github.com/acme/other#3", "github.com/acme/far#9")


# --- joining -----------------------------------------------------------------------------------------


def test_milestones_are_joined_by_what_people_list_never_by_title() -> None:
    github = Milestone(
        f"{ROCKET}/milestone/3", "Stage 7.3", Origin.GITHUB, scope=ROCKET, target=date(2026, 5, 1)
    )
    linear = Milestone("linear/p1", "Stage 7.3", Origin.PROJECT)
    assert len(joined([SEVEN, github, linear])) == 3
    tied = replace(SEVEN, same_as=(github.key,))
    one, other = joined([tied, github, linear])
    assert (one.key, one.target, one.same_as) == ("stage-7.3", date(2026, 5, 1), (github.key,))
    assert other.key == "linear/p1"
    assert joined([github, linear, tied])[0].key == "stage-7.3"  # in whatever order they come


def test_an_entry_that_wants_what_is_taken_does_not_get_it() -> None:
    github = Milestone(f"{ROCKET}/milestone/3", "Beta", Origin.GITHUB)
    found = joined([replace(SEVEN, same_as=(github.key,)), replace(EIGHT, same_as=(github.key,)), github])
    assert [one.key for one in found] == ["stage-7.3", "stage-8"]
    assert "Beta" in found[0].names
    assert "Beta" not in found[1].names


# --- status ------------------------------------------------------------------------------------------


def said(status: Status | None, origin: Origin, words: str = "x", at: int | None = None) -> Statement:
    return Statement(status, origin, words, at)


def test_status_is_what_people_set() -> None:
    assert status_of(SEVEN).status is None
    assert status_of(SEVEN).told == "nobody set a status"
    planned = replace(SEVEN, statements=(said(Status.PLANNED, Origin.FILE, "Planned"),))
    assert status_of(planned).status is Status.PLANNED
    assert status_of(planned).told == "set in roadmap.yaml"


def test_the_file_wins_then_what_was_said_last_and_others_are_shown() -> None:
    notion = said(Status.BLOCKED, Origin.NOTION, "Blocked", 200)
    github = said(Status.COMPLETED, Origin.GITHUB, "closed", 100)
    both = replace(SEVEN, statements=(github, notion))
    assert status_of(both).status is Status.BLOCKED
    assert status_of(both).others == ("GitHub says 'closed'",)
    filed = replace(both, statements=(github, notion, said(Status.PLANNED, Origin.FILE, "Planned")))
    assert status_of(filed).status is Status.PLANNED
    assert len(status_of(filed).others) == 2


def test_words_that_are_none_of_the_four_set_no_status() -> None:
    paused = replace(SEVEN, statements=(said(None, Origin.PROJECT, "paused", 1),))
    assert status_of(paused).status is None
    assert status_of(paused).told == "Linear project says 'paused', which is none of the four"


# --- readiness ---------------------------------------------------------------------------------------


def part(name: str, inputs: ReadinessInputs) -> Any:
    return next(one for one in readiness(inputs).parts if one.name == name)


@pytest.mark.parametrize(
    ("green", "n", "state", "points"),
    [
        (7999, 10_000, State.MISSED, 0), (8000, 10_000, State.EARNED, 25), (8, 10, State.EARNED, 25),
        (0, 20, State.MISSED, 0), (9, 9, State.UNKNOWN, 0), (0, 0, State.UNKNOWN, 0), (79, 99, State.MISSED, 0),
    ],
)  # fmt: skip
def test_a_pass_rate_of_80_percent_or_more(green: int, n: int, state: State, points: int) -> None:
    found = part("pass_rate", ReadinessInputs(PassRate(green, n)))
    assert (found.state, found.points, found.n) == (state, points, n)


@pytest.mark.parametrize(
    ("verified", "attempted", "state", "points"),
    [
        (70, 100, State.MISSED, 0), (7, 10, State.MISSED, 0), (7001, 10_000, State.EARNED, 15), (0, 0, State.UNKNOWN, 0),
        (0, 3, State.MISSED, 0), (5, 5, State.EARNED, 15),
    ],
)  # fmt: skip
def test_more_than_70_percent_of_fixes_verified(
    verified: int, attempted: int, state: State, points: int
) -> None:
    found = part("auto_fix", ReadinessInputs(fixes=Fixes(verified, attempted)))
    assert (found.state, found.points) == (state, points)


@pytest.mark.parametrize(
    ("conclusions", "state"),
    [
        (["success", "success"], State.EARNED), (["success", "failure"], State.MISSED), (["timed_out"], State.MISSED),
        (["success", ""], State.UNKNOWN), (["", "failure"], State.MISSED), (["cancelled"], State.UNKNOWN),
        (["something_new", "success"], State.UNKNOWN), ([], State.UNKNOWN),
    ],
)  # fmt: skip
def test_every_critical_workflow_is_green(conclusions: list[str], state: State) -> None:
    workflows = tuple(CriticalWorkflow(f"w{i}", one) for i, one in enumerate(conclusions))
    found = part("critical_workflows", ReadinessInputs(critical=workflows))
    assert found.state is state
    assert found.points == (30 if state is State.EARNED else 0)


def test_high_rates_are_no_green_workflows() -> None:
    """ "All critical workflows green" was a pass rate of 90 and fixes of 80 %."""
    found = readiness(ReadinessInputs(PassRate(100, 100), Fixes(10, 10)))
    assert found.points == 40
    assert found.measurable == 40


@pytest.mark.parametrize(
    ("pulls", "state"),
    [
        ([(True, True)], State.EARNED), ([(True, False)], State.MISSED), ([(True, None)], State.UNKNOWN),
        ([(True, True), (False, None)], State.MISSED), ([(True, None), (True, True)], State.EARNED),
        ([(False, True)], State.MISSED), ([], State.UNKNOWN), ([(True, None), (True, False)], State.UNKNOWN),
    ],
)  # fmt: skip
def test_pull_requests_merged_with_documentation(pulls: list[tuple[bool, bool | None]], state: State) -> None:
    linked = tuple(LinkedPull(f"{ROCKET}#{i}", *one) for i, one in enumerate(pulls))
    found = part("documentation_and_pulls", ReadinessInputs(pulls=linked))
    assert found.state is state
    assert found.points == (30 if state is State.EARNED else 0)


def test_quick_fixes_are_no_documentation() -> None:
    """ "Documentation and PR merged" was a mean time of 5 minutes: 20 green runs and 5 quick fixes made 100 %."""
    found = readiness(ReadinessInputs(PassRate(20, 20), Fixes(5, 5)))
    assert (
        part("documentation_and_pulls", ReadinessInputs(PassRate(20, 20), Fixes(5, 5))).state is State.UNKNOWN
    )
    assert found.points == 40


def test_red_runs_earn_nothing() -> None:
    """20 red runs made a progress of 45."""
    found = readiness(ReadinessInputs(PassRate(0, 20)))
    assert found.points == 0
    assert found.measurable == 25


def test_the_line_of_the_reference() -> None:
    inputs = ReadinessInputs(
        PassRate(127, 147), Fixes(0, 0), (CriticalWorkflow("ci.yml", "success", "1f3c2e" + "0" * 34),), "",
        (LinkedPull("acme/rocket#41", False),),
    )  # fmt: skip
    told = readiness(inputs).told
    assert told.startswith("55/100 (measurable now: 55 of 85)")
    assert "pass rate 25/25 (86.4 %, 127/147 runs, 95 % CI 80 to 91 %)" in told
    assert "auto-fix 0/15 (unknown: not measured: no fix attempt has an outcome)" in told
    assert "docs+PR 0/30 (acme/rocket#41 open)" in told


def test_no_percentage_reads_as_a_threshold_that_it_is_not() -> None:
    assert percent(0.79996) == "79.996 %"
    assert percent(0.7001) == "70.01 %"
    assert percent(0.8) == "80.0 %"
    assert percent(0.8639) == "86.4 %"


def test_changes_of_the_score_are_explained() -> None:
    before = readiness_data(readiness(ReadinessInputs(PassRate(9, 10))))
    after = readiness_data(
        readiness(ReadinessInputs(PassRate(78, 100), critical=(CriticalWorkflow("ci", "success"),)))
    )
    told = score_changes(before, after)
    assert told[0] == "−25: pass rate fell to 78.0 %"
    assert told[1].startswith("+30: critical workflows is measured now")
    assert score_changes(None, after) == ()
    assert score_changes(after, after) == ()
    assert "no longer measured" in score_changes(after, before)[1]


# --- progress ----------------------------------------------------------------------------------------


def test_progress_is_counted_and_nothing_linked_is_not_measured() -> None:
    nothing = progress_of([], {})
    assert nothing.share is None
    assert nothing.told == "not measured: no issue is linked"
    found = progress_of(
        [Item("1", BEGIN, BEGIN + DAY), Item("2", BEGIN + 9 * DAY, None), Item("3", BEGIN, None, BEGIN + DAY), Item("4", None, None)],
        {"p": "open", "q": "merged"}, date(2025, 10, 15),
    )  # fmt: skip
    assert (found.total, found.done, found.remaining, found.canceled, found.added, found.undated) == (
        3,
        1,
        2,
        1,
        1,
        1,
    )
    assert (found.pulls_open, found.pulls_merged) == (1, 1)
    assert found.told == "1 of 3 issues closed; 1 of all were added since 2025-10-15"


# --- roadmap.yaml ------------------------------------------------------------------------------------

GOOD = """\
milestones:
  - id: stage-7.3
    title: Stage 7.3
    aliases: [MVP]
    status: In Progress
    start: 2025-10-09
    target: 2026-03-31
    github: [acme/rocket/milestone/3]
    linear: [p-1]
    labels: [mvp]
    members: [acme/rocket#41, eng-7]
    repositories: [acme/rocket]
    critical_workflows: [CI, release.yml]
  - id: later
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "roadmap.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_the_file_is_read_whole(plan_file: Callable[[str], Path]) -> None:
    one, later = read_roadmap(plan_file(GOOD))
    assert one == Milestone(
        "stage-7.3", "Stage 7.3", Origin.FILE, ("MVP",), (f"{ROCKET}/milestone/3", "linear/p-1", "label/mvp"), ("mvp",),
        (f"{ROCKET}#41", "ENG-7"), "", (ROCKET,), ("CI", "release.yml"),
        (Statement(Status.IN_PROGRESS, Origin.FILE, "In Progress"),), date(2025, 10, 9), date(2026, 3, 31),
    )  # fmt: skip
    assert later.statements == ()
    assert joined([one, later])[1].title == "later"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("milestones:\n  - title: x\n", "line 2: milestones (item 1).id is not given"),
        ("milestones:\n  - id: a\n    stauts: Planned\n", "line 3: milestones (item 1).stauts is not a key of this file (did you mean status?)"),
        ("milestones:\n  - id: a\n    status: Done\n", "line 3: milestones (item 1).status must be one of Planned, In Progress, Blocked, Completed, not 'Done'"),
        ("milestones:\n  - id: a\n    target: 2026-02-30\n", "line 3: milestones (item 1).target must be a day such as 2026-12-31, not '2026-02-30'"),
        ("milestones:\n  - id: a\n    title: 7.3\n", "line 3: milestones (item 1).title must be text (put it in quotes), not '7.3'"),
        ("milestones:\n  - id: a\n    github: [rocket]\n", "line 3: milestones (item 1).github (item 1) must be a milestone such as acme/rocket/milestone/3"),
        ("milestones:\n  - id: a\n    members: ['!']\n", "must be an issue or a pull request such as acme/rocket#12 or ENG-34"),
        ("milestones:\n  - id: a\n  - id: A\n", "has the id 'A' twice"),
        ("milestones:\n  - id: a\n    labels: [x]\n  - id: b\n    labels: [X]\n", "puts 'x' into both 'a' and 'b'"),
        ("milestones:\n  - a\n", "line 2: milestones (item 1) must hold keys: id, title"),
        ("milestones: &x []\n", ""),
        ("a: *x\n", "references such as *name are not followed"),
        ("- a\n", "line 1"),
        ("milestones: [\n", "this is no YAML"),
    ],
)  # fmt: skip
def test_mistakes_have_their_line(plan_file: Callable[[str], Path], text: str, told: str) -> None:
    path = plan_file(text)
    if not told:
        assert read_roadmap(path) == ()
        return
    with pytest.raises(ConfigurationError) as error:
        read_roadmap(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)


def test_statuses_are_read_in_any_spelling(plan_file: Callable[[str], Path]) -> None:
    for text in ("in progress", "In-Progress", "in_progress"):
        (one,) = read_roadmap(plan_file(f"milestones: [{{id: a, status: {text}}}]\n"))
        assert one.statements[0].status is Status.IN_PROGRESS


def test_where_the_file_is_looked_for(
    plan_file: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_plan() == Plan()
    path = plan_file("milestones: [{id: a}]\n")
    assert [one.key for one in load_plan().milestones] == ["a"]
    monkeypatch.chdir("/")
    assert load_plan() == Plan()
    told = Settings("unused", roadmap_file=path, critical_workflows=("CI",), fiscal_year_start=7)
    plan = load_plan(settings=told)
    assert [one.key for one in plan.milestones] == ["a"]
    assert (plan.critical_workflows, plan.fiscal_year_start) == (("CI",), 7)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_plan(tmp_path / "none.yaml", told)


# --- a ledger ----------------------------------------------------------------------------------------


def hear(ledger: Ledger, *observations: Observation, at: int = NOW) -> None:
    with ledger.write() as connection:
        take_in(connection, observations, at)


def github_milestone(
    number: int,
    title: str,
    *,
    place: str = ROCKET,
    at: int = BEGIN,
    due: str | None = None,
    closed_at: str | None = None,
) -> list[Observation]:
    """As GitHub tells of it."""
    body = {
        "action": "closed" if closed_at else "created",
        "repository": {"full_name": place.partition("/")[2], "default_branch": "main"},
        "milestone": {
            "number": number, "title": title, "state": "closed" if closed_at else "open", "due_on": due, "closed_at": closed_at,
            "html_url": f"https://{place}/milestone/{number}", "open_issues": 0, "closed_issues": 0,
        },
    }  # fmt: skip
    return translate("milestone", Body(body), at)


def github_issue(
    number: int, milestone: str = "", *, created: int = BEGIN, completed: int | None = None, **more: Any
) -> Observation:
    fields = {
        "identifier": f"#{number}", "number": number, "title": f"Issue {number}", "url": f"https://{ROCKET}/issues/{number}",
        "created": created, "milestone": milestone, "labels": [], "completed": completed, "canceled": None, **more,
    }  # fmt: skip
    return Observation(Kind.ISSUE, f"{ROCKET}#{number}", completed or created, fields, ROCKET)


def ci_run(
    number: int,
    conclusion: str,
    at: int,
    *,
    branch: str = "main",
    workflow: str = "CI",
    attempt: int = 1,
    pulls: tuple[int, ...] = (),
    path: str = "",
) -> Observation:
    """A finished workflow run, as GitHub's API shows it."""
    when = f"{date.fromordinal(719163 + at // DAY).isoformat()}T{at % DAY // HOUR:02d}:00:00Z"
    body = {
        "id": number, "name": workflow, "head_sha": f"{number:040x}", "head_branch": branch, "event": "push", "status": "completed",
        "conclusion": conclusion, "run_attempt": attempt, "run_started_at": when, "updated_at": when, "created_at": when,
        "html_url": f"https://{ROCKET}/actions/runs/{number}", "pull_requests": [{"number": one} for one in pulls],
        "path": path,
    }  # fmt: skip
    return workflow_run(ROCKET, Body(body), at)


def one_of(ledger: Ledger, name: str, plan: Plan = EMPTY, now: int = NOW) -> Told:
    return show_milestone(ledger, plan, name, now)


def parts(told: Told) -> dict[str, tuple[str, int, int]]:
    return {one["name"]: (one["state"], one["points"], one["n"]) for one in told["readiness"]["parts"]}


def test_an_empty_ledger_and_a_milestone_that_was_never_started(any_ledger: Ledger) -> None:
    """It had a progress of 70, "In Progress", a pass rate of 85 % and fixes of 70 %."""
    plan = Plan((Milestone("stage-99.9", "Stage 99.9 never started", Origin.FILE, repositories=(ROCKET,)),))
    told = one_of(any_ledger, "Stage 99.9 never started", plan)
    assert told["status"]["value"] is None
    assert told["readiness"]["points"] is None
    assert told["readiness"]["measurable"] == 0
    assert [one["value"] for one in told["readiness"]["parts"]] == [None] * 4
    assert told["progress"]["share"] is None
    assert not told["forecast"]["is_made"]
    assert told["slips"]["total_days"] is None
    everything = roadmap_status(any_ledger, plan, NOW)
    assert [one["value"] for one in everything["measures"]] == [None] * 4
    assert {one["state"] for one in everything["measures"]} == {"not measured"}


def test_nothing_at_all_is_an_empty_roadmap(any_ledger: Ledger) -> None:
    assert roadmap_status(any_ledger, EMPTY, NOW)["milestones"] == []
    assert take_snapshot(any_ledger, EMPTY, NOW).new == ()


def stage(ledger: Ledger) -> None:
    """Stage 7.3: a milestone of GitHub with three issues, a merged and an open pull request, and runs."""
    hear(
        ledger,
        *github_milestone(3, "Stage 7.3", due="2026-03-31T07:00:00Z"),
        *github_milestone(4, "Stage 8"),
        github_issue(1, "Stage 7.3", completed=BEGIN + 50 * DAY),
        github_issue(2, "Stage 7.3"),
        github_issue(3, "Stage 8"),
        merged(41, BEGIN + 60 * DAY, branch="feature/stage-7-3", labels=["documentation"]),
        opened(42, BEGIN + 100 * DAY, body="Closes #2", branch="more"),
        opened(43, BEGIN + 100 * DAY, branch="feature/stage-8"),
        opened(44, BEGIN + 100 * DAY, branch="main-thing"),
        *(ci_run(100 + i, "success", NOW - 5 * DAY + i * HOUR, branch="more") for i in range(9)),
        ci_run(109, "failure", NOW - 4 * DAY, branch="more"),
        *(ci_run(200 + i, "failure", NOW - 3 * DAY + i * HOUR, branch="feature/stage-8") for i in range(12)),
    )


def test_each_milestone_has_its_own_numbers(any_ledger: Ledger) -> None:
    """The earlier query did not use the milestone's name: all had the same number."""
    stage(any_ledger)
    seven, eight = one_of(any_ledger, "Stage 7.3"), one_of(any_ledger, "Stage 8")
    assert [one["key"] for one in seven["pulls"]] == [f"{ROCKET}#41", f"{ROCKET}#42"]
    assert [one["detected_by"] for one in seven["pulls"]] == ["branch", "link"]
    assert [one["key"] for one in eight["pulls"]] == [f"{ROCKET}#43"]
    assert (seven["progress"]["closed"], seven["progress"]["issues"]) == (1, 2)
    assert (eight["progress"]["closed"], eight["progress"]["issues"]) == (0, 1)
    assert seven["target"] == "2026-03-31"
    assert parts(seven)["pass_rate"] == ("earned", 25, 10)
    assert parts(eight)["pass_rate"] == ("missed", 0, 12)
    assert seven["runs"]["about"] == "runs of the milestone"
    assert parts(seven)["documentation_and_pulls"][0] == "missed"  # 42 is open


def test_a_full_score_changes_no_status(any_ledger: Ledger) -> None:
    """100 % made it "Completed"."""
    hear(
        any_ledger,
        *github_milestone(3, "Stage 7.3"),
        github_issue(1, "Stage 7.3", completed=BEGIN + 50 * DAY),
        merged(41, NOW - 10 * DAY, branch="feature/stage-7-3", labels=["documentation"]),
        *(ci_run(100 + i, "success", NOW - 9 * DAY + i * HOUR) for i in range(12)),
    )
    told = one_of(any_ledger, "Stage 7.3")
    assert told["readiness"]["points"] == 85
    assert told["readiness"]["measurable"] == 85
    assert told["status"]["value"] is None
    assert told["proposals"] == ["all 1 linked issues are closed: is it Completed?"]


def test_an_open_milestone_of_github_keeps_what_people_said(any_ledger: Ledger) -> None:
    """Open became "In Progress": Planned and Blocked were destroyed."""
    hear(any_ledger, *github_milestone(3, "Stage 7.3"))
    assert one_of(any_ledger, "Stage 7.3")["status"]["value"] is None
    key = state_status(any_ledger, EMPTY, "Stage 7.3", "blocked", Origin.NOTION, NOW - DAY, NOW)
    assert one_of(any_ledger, key)["status"]["value"] == "Blocked"
    hear(any_ledger, *github_milestone(3, "Stage 7.3", at=NOW - HOUR))
    assert one_of(any_ledger, key)["status"]["value"] == "Blocked"
    state_status(
        any_ledger, EMPTY, key, "Planned", Origin.NOTION, NOW - 2 * DAY, NOW
    )  # older news change nothing
    assert one_of(any_ledger, key)["status"]["value"] == "Blocked"
    hear(any_ledger, *github_milestone(3, "Stage 7.3", at=NOW, closed_at="2026-02-06T01:00:00Z"))
    told = one_of(any_ledger, key)
    assert (told["status"]["value"], told["completed"]) == ("Completed", "2026-02-06")
    assert told["status"]["others"] == ["Notion says 'blocked'"]


def test_words_of_notion_that_are_no_status_set_none(any_ledger: Ledger) -> None:
    hear(any_ledger, *github_milestone(3, "Stage 7.3"))
    state_status(any_ledger, EMPTY, "Stage 7.3", "Nearly there", Origin.NOTION, NOW, NOW)
    assert one_of(any_ledger, "Stage 7.3")["status"]["value"] is None
    with pytest.raises(NotFoundError):
        state_status(any_ledger, EMPTY, "Stage 9", "Planned", Origin.NOTION, NOW, NOW)


def test_runs_that_nothing_ties_to_a_milestone_are_said_to_be_those_of_the_repository(
    any_ledger: Ledger,
) -> None:
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3"),
        *(ci_run(100 + i, "success", NOW - 9 * DAY + i * HOUR) for i in range(12)),
    )  # fmt: skip
    told = one_of(any_ledger, "Stage 7.3")
    assert "REPOSITORY-WIDE" in told["runs"]["about"]
    assert "REPOSITORY-WIDE" in told["readiness"]["parts"][0]["told"]
    # and what is not its own has no points: nobody began it
    assert [one["points"] for one in told["readiness"]["parts"]] == [0] * 4
    assert (told["readiness"]["points"], told["readiness"]["measurable"]) == (None, 0)
    hear(any_ledger, opened(42, branch="feature/stage-7-3"))
    begun = one_of(any_ledger, "Stage 7.3")
    assert parts(begun)["pass_rate"] == ("unknown", 0, 12)  # no run is of the milestone yet
    assert parts(begun)["critical_workflows"] == ("earned", 30, 1)


def test_runs_of_the_default_branch_count_from_the_first_merge_on(any_ledger: Ledger) -> None:
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3"), merged(41, NOW - 5 * DAY, branch="feature/stage-7-3"),
        *(ci_run(100 + i, "failure", NOW - 9 * DAY + i * HOUR) for i in range(12)),
        *(ci_run(200 + i, "success", NOW - 4 * DAY + i * HOUR) for i in range(12)),
    )  # fmt: skip
    assert parts(one_of(any_ledger, "Stage 7.3"))["pass_rate"] == ("earned", 25, 12)


def test_the_main_branch_of_a_fork_is_not_the_default_branch(any_ledger: Ledger) -> None:
    runs = [ci_run(100 + i, "success", NOW - 5 * DAY + i * HOUR) for i in range(12)]
    runs = [
        Observation(one.kind, one.key, one.at, {**one.fields, "event": "pull_request"}, one.scope)
        for one in runs
    ]
    hear(
        any_ledger,
        *github_milestone(3, "Stage 7.3"),
        merged(41, NOW - 20 * DAY, branch="feature/stage-7-3"),
        *runs,
    )
    told = one_of(any_ledger, "Stage 7.3")
    assert parts(told)["critical_workflows"][0] == "unknown"
    assert "REPOSITORY-WIDE" in told["runs"]["about"]


def test_a_project_that_was_canceled_gives_up_what_it_is_joined_to_unless_the_file_says_otherwise() -> None:
    canceled = Milestone("linear/p", "P", Origin.PROJECT, is_dropped=True)
    tied = replace(EIGHT, same_as=("linear/p",))
    assert joined([tied, canceled])[0].is_dropped
    going = replace(tied, statements=(said(Status.IN_PROGRESS, Origin.FILE, "In Progress"),))
    assert not joined([going, canceled])[0].is_dropped


def test_first_attempts_count_and_reruns_stand_beside(any_ledger: Ledger) -> None:
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3"), opened(41, NOW - 9 * DAY, branch="feature/stage-7-3"),
        *(ci_run(100 + i, "failure", NOW - 5 * DAY + i * HOUR, branch="feature/stage-7-3") for i in range(10)),
        *(ci_run(100 + i, "success", NOW - 4 * DAY + i * HOUR, branch="feature/stage-7-3", attempt=2) for i in range(10)),
        ci_run(300, "cancelled", NOW - DAY, branch="feature/stage-7-3"),
    )  # fmt: skip
    rate = one_of(any_ledger, "Stage 7.3")["readiness"]["parts"][0]
    assert (rate["state"], rate["n"]) == ("missed", 10)
    assert "10/10 after re-runs; 1 neither green nor red left out" in rate["told"]


def test_runs_are_read_from_where_they_are_collected(any_ledger: Ledger) -> None:
    hear(any_ledger, *github_milestone(3, "Stage 7.3"), opened(41, NOW - 9 * DAY, branch="feature/stage-7-3"))
    told = [
        ci_run(100 + i, "success", NOW - 5 * DAY + i * HOUR, branch="feature/stage-7-3") for i in range(11)
    ]
    with any_ledger.write() as connection:
        take_in_runs(connection, told)
    assert parts(one_of(any_ledger, "Stage 7.3"))["pass_rate"] == ("earned", 25, 11)
    hear(any_ledger, *told)  # told twice, counted once
    assert parts(one_of(any_ledger, "Stage 7.3"))["pass_rate"] == ("earned", 25, 11)


def test_a_rerun_that_is_not_over_leaves_its_run_without_a_final_attempt(any_ledger: Ledger) -> None:
    runs = [
        ci_run(100 + i, "failure", NOW - 5 * DAY + i * HOUR, branch="feature/stage-7-3") for i in range(10)
    ]
    again = ci_run(109, "", NOW - HOUR, branch="feature/stage-7-3", attempt=2)
    hear(
        any_ledger,
        *github_milestone(3, "Stage 7.3"),
        opened(41, NOW - 9 * DAY, branch="feature/stage-7-3"),
        *runs,
        again,
    )
    rate = one_of(any_ledger, "Stage 7.3")["readiness"]["parts"][0]
    assert rate["n"] == 10
    assert "0/9 after re-runs" in rate["told"]


def test_critical_workflows_are_those_listed_else_those_of_the_default_branch(any_ledger: Ledger) -> None:
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3"), opened(42, branch="feature/stage-7-3"),
        ci_run(1, "failure", NOW - 5 * DAY), ci_run(2, "success", NOW - 4 * DAY), ci_run(3, "cancelled", NOW - 3 * DAY),
        ci_run(4, "failure", NOW - 2 * DAY, workflow="Nightly"),
        ci_run(5, "failure", NOW - 20 * DAY, workflow="Old"),
    )  # fmt: skip
    told = one_of(any_ledger, "Stage 7.3")
    assert parts(told)["critical_workflows"] == ("missed", 0, 2)
    assert "red: Nightly" in told["readiness"]["parts"][2]["told"]
    listed = one_of(any_ledger, "Stage 7.3", Plan(critical_workflows=("CI",)))
    assert parts(listed)["critical_workflows"] == ("earned", 30, 1)
    unseen = one_of(any_ledger, "Stage 7.3", Plan(critical_workflows=("CI", "Release")))
    assert parts(unseen)["critical_workflows"] == ("unknown", 0, 2)


def test_a_renamed_workflow_is_one_workflow_and_two_files_of_one_name_are_two(any_ledger: Ledger) -> None:
    file, other = ".github/workflows/build.yml", ".github/workflows/docs.yml"
    hear(
        any_ledger,
        *github_milestone(3, "Stage 7.3"),
        opened(42, branch="feature/stage-7-3"),
        ci_run(901, "failure", NOW - 9 * HOUR, workflow="Build", path=file),
        ci_run(902, "success", NOW - 2 * HOUR, workflow="Build and test", path=file),
    )
    for plan in (EMPTY, Plan(critical_workflows=("Build",)), Plan(critical_workflows=("build.yml",))):
        state, points, _ = parts(one_of(any_ledger, "Stage 7.3", plan))["critical_workflows"]
        assert (state, points) == ("earned", 30), plan
    hear(any_ledger, ci_run(903, "failure", NOW - 3 * HOUR, workflow="Build and test", path=other))
    assert parts(one_of(any_ledger, "Stage 7.3"))["critical_workflows"][0] == "missed"


def test_documentation_is_seen_in_the_files_of_a_merge(ledger: Ledger, tmp_path: Path) -> None:
    git = Repository(tmp_path / "rocket")
    git.git("remote", "add", "origin", f"https://{ROCKET}.git")
    code = git.commit("feat: one (#41)", {"src/a.py": lines(9, "a")})
    both = git.commit("feat: two (#42)", {"src/b.py": lines(9, "b"), "docs/b.md": "text\n"})
    scan_into(ledger, git.path)
    hear(
        ledger, *github_milestone(3, "Stage 7.3"), *github_milestone(4, "Stage 8"), *github_milestone(5, "Stage 9"),
        merged(41, NOW, branch="feature/stage-7-3", merge_sha=code, files=1),
        merged(42, NOW, branch="feature/stage-8", merge_sha=both, files=2),
        merged(43, NOW, branch="feature/stage-9", merge_sha="e" * 40, files=2),
    )  # fmt: skip
    name = "documentation_and_pulls"
    assert parts(one_of(ledger, "Stage 7.3"))[name][0] == "missed"
    assert parts(one_of(ledger, "Stage 8"))[name] == ("earned", 30, 1)
    assert parts(one_of(ledger, "Stage 9"))[name][0] == "unknown"  # no scan knows that commit
    hear(ledger, merged(41, NOW + 1, branch="feature/stage-7-3", merge_sha=code, files=3))
    assert (
        parts(one_of(ledger, "Stage 7.3"))[name][0] == "unknown"
    )  # its commit does not show all of its files


def test_withdrawn_pull_requests_hold_nothing_up(any_ledger: Ledger) -> None:
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3"), closed(40, NOW - DAY, branch="feature/stage-7-3"),
        merged(41, NOW, branch="feature/stage-7-3", labels=["Documentation"]),
    )  # fmt: skip
    told = one_of(any_ledger, "Stage 7.3")
    assert parts(told)["documentation_and_pulls"] == ("earned", 30, 1)
    assert "1 closed without a merge, left out" in told["readiness"]["parts"][3]["told"]


def test_projects_of_linear_and_their_milestones(any_ledger: Ledger) -> None:
    hear(
        any_ledger,
        project("p1", "Search", status="started", target="2026-06-30", start="2025-10-09"),
        project("p2", "Old idea", status="canceled"),
        project("p3", "Later", status="paused"),
        Observation(
            Kind.MILESTONE, "linear/m1", BEGIN, {"name": "Alpha", "target": "2026-04-01"}, "linear/p1"
        ),
        linear_issue("ENG-1", "One", project="p1"),
        linear_done("ENG-2", "Two", BEGIN + 9 * DAY, project="p1", project_milestone="m1"),
        attached("ENG-1", f"https://{ROCKET}/pull/50"),
        opened(50, BEGIN + 10 * DAY),
        opened(51, BEGIN + 10 * DAY, branch="carol/eng-2-two"),
    )
    search = one_of(any_ledger, "Search")
    assert (search["status"]["value"], search["target"]) == ("In Progress", "2026-06-30")
    assert (search["progress"]["closed"], search["progress"]["issues"]) == (1, 2)
    assert [(one["key"], one["detected_by"]) for one in search["pulls"]] == [(f"{ROCKET}#50", "link")]
    alpha = one_of(any_ledger, "Alpha")
    assert alpha["parent"] == "linear/p1"
    assert (alpha["progress"]["closed"], alpha["progress"]["issues"]) == (1, 1)
    assert [one["key"] for one in alpha["pulls"]] == [f"{ROCKET}#51"]
    assert alpha["status"]["value"] is None
    assert (
        one_of(any_ledger, "Later")["status"]["told"]
        == "Linear project says 'paused', which is none of the four"
    )
    assert one_of(any_ledger, "Old idea")["status"]["is_dropped"]
    rate = roadmap_status(any_ledger, EMPTY, NOW)["measures"][0]
    assert (rate["value"], rate["n"]) == (0.0, 1)  # Search alone has a status


def test_labels_make_a_milestone_where_nothing_else_goes_by_the_name(any_ledger: Ledger) -> None:
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3"),
        github_issue(1, labels=["stage-7.3", "bug"]), github_issue(2, labels=["milestone: Polish"]),
        github_issue(3, labels=["milestone: polish"]),
    )  # fmt: skip
    told = {one["title"]: one for one in roadmap_status(any_ledger, EMPTY, NOW)["milestones"]}
    assert set(told) == {"Stage 7.3", "Polish"}
    assert told["Stage 7.3"]["progress"]["issues"] == 1
    assert told["Polish"]["progress"]["issues"] == 2
    assert told["Polish"]["origin"] == "label"


def test_the_file_joins_what_it_lists(any_ledger: Ledger, plan_file: Callable[[str], Path]) -> None:
    stage(any_ledger)
    hear(any_ledger, project("p-1", "Stage 7.3", status="planned"), linear_issue("ENG-7", "Seven"))
    separate = roadmap_status(any_ledger, EMPTY, NOW)["milestones"]
    assert [one["title"] for one in separate].count("Stage 7.3") == 2
    with pytest.raises(NotFoundError, match="may be several milestones"):
        one_of(any_ledger, "Stage 7.3")
    plan = load_plan(plan_file(GOOD))
    told = one_of(any_ledger, "stage 7.3", plan)
    assert told["key"] == "stage-7.3"
    assert told["same_as"][:2] == [f"{ROCKET}/milestone/3", "linear/p-1"]
    assert told["status"]["value"] == "In Progress"
    assert told["status"]["others"] == ["Linear project says 'planned'"]
    assert told["target"] == "2026-03-31"
    assert told["progress"]["issues"] == 3  # ENG-7 was put into it
    assert one_of(any_ledger, f"{ROCKET}/milestone/3", plan)["key"] == "stage-7.3"
    assert one_of(any_ledger, "MVP", plan)["key"] == "stage-7.3"


def test_removed_things_are_on_no_roadmap(any_ledger: Ledger) -> None:
    hear(any_ledger, *github_milestone(3, "Stage 7.3"), github_issue(1, "Stage 7.3", removed=True))
    assert one_of(any_ledger, "Stage 7.3")["progress"]["issues"] == 0
    gone = Observation(Kind.MILESTONE, f"{ROCKET}/milestone/3", NOW, {"removed": True}, ROCKET)
    hear(any_ledger, gone)
    with pytest.raises(NotFoundError, match="there is no milestone"):
        one_of(any_ledger, "Stage 7.3")


def test_a_renamed_repository_keeps_its_milestones(any_ledger: Ledger) -> None:
    stage(any_ledger)
    hear(any_ledger, Observation(Kind.REPOSITORY, ROCKET, NOW, {"moved_to": "github.com/acme/space"}))
    told = one_of(any_ledger, "Stage 7.3")
    assert told["key"] == "github.com/acme/space/milestone/3"
    assert told["progress"]["issues"] == 2
    assert len(told["pulls"]) == 2
    assert parts(told)["pass_rate"] == ("earned", 25, 10)


def test_a_renamed_repository_keeps_what_was_said_and_seen_of_its_milestones(any_ledger: Ledger) -> None:
    stage(any_ledger)
    state_status(any_ledger, Plan(), "Stage 7.3", "Blocked", Origin.NOTION, NOW, NOW)
    assert "github.com/acme/rocket/milestone/3" in take_snapshot(any_ledger, Plan(), NOW).new
    hear(any_ledger, Observation(Kind.REPOSITORY, ROCKET, NOW, {"moved_to": "github.com/acme/space"}))
    told = one_of(any_ledger, "Stage 7.3")
    assert told["status"]["value"] == "Blocked"
    assert take_snapshot(any_ledger, Plan(), NOW + HOUR).new == ()
    take_snapshot(any_ledger, Plan(), NOW + DAY)
    key = "github.com/acme/space/milestone/3"
    with any_ledger.read() as connection:
        assert [one.milestone for one in stored.snapshots(connection, [key])] == [key, key]
        assert [day for day, _ in stored.targets_seen(connection)[key]] == [TODAY, TODAY + timedelta(days=1)]
        assert stored.latest_snapshots(connection, TODAY + timedelta(days=1))[key].day == TODAY


# --- forecasts in the ledger -------------------------------------------------------------------------


def busy(ledger: Ledger) -> None:
    """30 issues, one closed every third day, 12 left."""
    hear(
        ledger, *github_milestone(3, "Stage 7.3", due="2026-03-31T00:00:00Z"),
        *(github_issue(i, "Stage 7.3", created=BEGIN + 60 * DAY, completed=NOW - (3 * i + 1) * DAY) for i in range(18)),
        *(github_issue(i, "Stage 7.3", created=BEGIN + 60 * DAY) for i in range(18, 30)),
    )  # fmt: skip


def test_a_forecast_stands_beside_the_score_with_its_back_test(ledger: Ledger) -> None:
    busy(ledger)
    told = one_of(ledger, "Stage 7.3")["forecast"]
    assert told["is_made"]
    assert told["remaining"] == 12
    assert TODAY.isoformat() < told["p50"] <= told["p85"] <= told["p95"]
    assert 0 < told["chance"] <= 1
    assert told["draws"] == 10_000
    assert "not enough data" in told["back_test"]["told"]
    assert one_of(ledger, "Stage 7.3", now=NOW + 1)["forecast"] == told  # reproducible
    hear(
        ledger,
        opened(42, branch="feature/stage-7-3"),
        *(ci_run(i, "failure", NOW - i * HOUR) for i in range(1, 20)),
    )
    after = one_of(ledger, "Stage 7.3")
    assert after["forecast"] == told  # CI is a risk, never progress
    assert after["risks"]


def test_completed_milestones_have_no_forecast(ledger: Ledger) -> None:
    busy(ledger)
    hear(ledger, *github_milestone(3, "Stage 7.3", at=NOW, closed_at="2026-02-05T00:00:00Z"))
    told = one_of(ledger, "Stage 7.3")
    assert told["forecast"]["why"] == "people completed it"
    assert told["proposals"] == ["it is set to Completed, but 12 linked issues are open"]


# --- snapshots ---------------------------------------------------------------------------------------


def test_a_snapshot_of_a_day_is_never_changed(any_ledger: Ledger) -> None:
    stage(any_ledger)
    first = take_snapshot(any_ledger, EMPTY, NOW)
    assert first.day == TODAY
    assert len(first.new) == 2
    with any_ledger.read() as connection:
        before = stored.snapshots(connection)
    hear(any_ledger, github_issue(2, "Stage 7.3", completed=NOW))
    second = take_snapshot(any_ledger, EMPTY, NOW + HOUR)
    assert (second.new, second.known) == ((), 2)
    with any_ledger.read() as connection:
        assert stored.snapshots(connection) == before
    assert len(take_snapshot(any_ledger, EMPTY, NOW + DAY).new) == 2
    with any_ledger.read() as connection:
        assert [one.day for one in stored.snapshots(connection, [before[0].milestone])][-1] > TODAY
        assert len(stored.snapshots(connection, until=TODAY)) == 2
        assert {one.day for one in stored.latest_snapshots(connection, date(2027, 1, 1)).values()} == {
            date(2026, 2, 7)
        }


def test_what_changed_since_the_last_snapshot_is_explained(any_ledger: Ledger) -> None:
    stage(any_ledger)
    take_snapshot(any_ledger, EMPTY, NOW)
    assert one_of(any_ledger, "Stage 7.3")["changes"] == {"since": None, "readiness": []}
    hear(any_ledger, *(ci_run(400 + i, "failure", NOW + i * HOUR, branch="more") for i in range(5)))
    told = one_of(any_ledger, "Stage 7.3", now=NOW + DAY)
    assert told["changes"] == {"since": "2026-02-06", "readiness": ["−25: pass rate fell to 60.0 %"]}


def test_slips_are_seen_in_snapshots(any_ledger: Ledger) -> None:
    hear(any_ledger, *github_milestone(3, "Stage 7.3", due="2026-03-31T00:00:00Z"))
    take_snapshot(any_ledger, EMPTY, NOW)
    hear(any_ledger, *github_milestone(3, "Stage 7.3", at=NOW, due="2026-04-30T00:00:00Z"))
    told = one_of(any_ledger, "Stage 7.3", now=NOW + DAY)["slips"]
    assert told["total_days"] == 30
    assert told["changes"] == [
        {"seen": "2026-02-07", "before": "2026-03-31", "after": "2026-04-30", "days": 30}
    ]


def test_a_quarter_is_told_by_its_snapshots(any_ledger: Ledger) -> None:
    """The earlier report counted all milestones, whatever quarter was asked for."""
    begin = NOW - 36 * DAY  # 2026-01-01
    hear(
        any_ledger, *github_milestone(3, "Stage 7.3", due="2026-03-15T00:00:00Z"), *github_milestone(4, "Stage 8"),
        *github_milestone(5, "Stage 9", due="2026-03-20T00:00:00Z"),
    )  # fmt: skip
    take_snapshot(any_ledger, EMPTY, begin)
    hear(
        any_ledger,
        *github_milestone(
            3, "Stage 7.3", at=begin + DAY, due="2026-03-15T00:00:00Z", closed_at="2026-03-01T00:00:00Z"
        ),
    )
    take_snapshot(any_ledger, EMPTY, NOW + 53 * DAY)
    found = quarter_delivery(any_ledger, EMPTY, "Q1-2026", NOW + 90 * DAY)
    assert [one.title for one in found.planned] == ["Stage 7.3", "Stage 9"]
    assert [one.title for one in found.delivered] == ["Stage 7.3"]
    assert [one.title for one in found.carried_over] == ["Stage 9"]
    assert (found.on_time, found.on_time_n) == (1, 2)
    assert found.is_over
    assert quarter_delivery(any_ledger, EMPTY, None, NOW + 90 * DAY) == found
    assert quarter_delivery(any_ledger, EMPTY, "Q4-2025", NOW).why == "no snapshot was taken in Q4-2025"
    with pytest.raises(ConfigurationError, match="is no quarter; name one such as Q1-2026"):
        quarter_delivery(any_ledger, EMPTY, "Q9-2026", NOW)


# --- detection in the ledger, commands, API ----------------------------------------------------------


def test_detection_of_a_pull_request(any_ledger: Ledger) -> None:
    stage(any_ledger)
    hear(any_ledger, opened(60, NOW, milestone="Stage 8", branch="feature/stage-7-3", body="Closes #2"))
    told = detect_milestone(any_ledger, EMPTY, pull="acme/rocket#60", now=NOW)
    assert (told.title, told.source) == ("Stage 8", Source.PULL_MILESTONE)
    told = detect_milestone(any_ledger, EMPTY, pull="acme/rocket#42", now=NOW)
    assert (told.title, told.source, told.told) == ("Stage 7.3", Source.LINK, "the linked issue #2")
    hear(any_ledger, *github_milestone(1, "Stage 8", place="github.com/acme/other"))
    told = detect_milestone(any_ledger, EMPTY, flag="Stage 8", repository="acme/other", now=NOW)
    assert told.key == "github.com/acme/other/milestone/1"
    assert detect_milestone(any_ledger, EMPTY, flag="Stage 8", now=NOW).key == ""
    told = detect_milestone(any_ledger, EMPTY, pull="acme/rocket#42", environment="Stage 8", now=NOW)
    assert (told.title, told.source) == ("Stage 8", Source.ENVIRONMENT)
    assert detect_milestone(any_ledger, EMPTY, pull="acme/rocket#44", now=NOW).source is Source.NONE
    with pytest.raises(NotFoundError):
        detect_milestone(any_ledger, EMPTY, pull="acme/rocket#999", now=NOW)
    with pytest.raises(NotFoundError, match="there is no ledger"):
        detect_milestone(None, EMPTY, pull="acme/rocket#42")


def test_commands(ledger: Ledger, plan_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    busy(ledger)
    app = typer.Typer()
    command.add_to(app)
    path = plan_file("milestones: [{id: seven, title: Seven, status: Blocked, github: [acme/rocket/3]}]\n")

    def output(*arguments: str) -> str:
        result = CliRunner().invoke(
            app, ["roadmap", *arguments, "--db", str(ledger.url.database), "--file", str(path)]
        )
        assert result.exit_code == 0, result.output
        return result.output

    monkeypatch.setattr("achievement_collector.services.clock.now_ms", lambda: NOW)
    shown = output("status")
    assert "Seven" in shown
    assert "Blocked" in shown
    assert "18/30 (60 %)" in shown
    assert "milestone completion rate" in shown
    assert json.loads(output("status", "--json"))["milestones"][0]["key"] == "seven"
    full = output("show", "seven")
    assert "CI readiness score (documented formula): not measured" in full
    assert "back-test: not enough data" in full
    assert json.loads(output("show", "Stage 7.3", "--json"))["status"]["value"] == "Blocked"
    assert "1 milestones kept" in output("snapshot")
    assert json.loads(output("snapshot", "--json")) == {"day": "2026-02-06", "new": [], "known": 1}
    assert output("detect", "--branch", "feature/stage-7-3").startswith(
        "Seven (the branch feature/stage-7-3)"
    )
    assert output("detect", "--branch", "main").startswith("none (nothing names a milestone)")
    monkeypatch.setenv("MILESTONE", "seven")
    told = json.loads(output("detect", "--branch", "main", "--json"))
    assert (told["key"], told["source"]) == ("seven", "environment")
    assert json.loads(output("detect", "--milestone", "Else", "--json"))["milestone"] == "Else"


def test_detection_needs_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    command.add_to(app)
    arguments = [
        "roadmap",
        "detect",
        "--branch",
        "feature/stage-7-3",
        "--json",
        "--db",
        str(tmp_path / "none.db"),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["milestone"] == "Stage 7.3"
    assert not (tmp_path / "none.db").exists()


def test_hostile_titles_are_shown_harmless(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    hear(ledger, *github_milestone(3, "\x1b[31mred\u202e [bold]x[/bold]"))
    app = typer.Typer()
    command.add_to(app)
    shown = CliRunner().invoke(app, ["roadmap", "status", "--db", str(ledger.url.database)])
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.output
    assert "\u202e" not in shown.output
    assert "[bold]x[/bold]" in shown.output


def test_the_api(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stage(ledger)
    with serving(ledger) as client:
        app = client.app
        assert isinstance(app, FastAPI)
        if not any(
            getattr(one, "path", "") == "/roadmap" for one in app.routes
        ):  # until it is part of the application
            from achievement_collector.api.roadmap import router

            app.include_router(router)
        app.state.own.clock = lambda: NOW
        told = client.get("/roadmap").json()
        assert [one["title"] for one in told["milestones"]] == ["Stage 7.3", "Stage 8"]
        shown = client.get(f"/roadmap/{ROCKET}/milestone/3").json()
        assert shown["progress"]["closed"] == 1
        assert client.get("/roadmap/Stage 7.3").json() == shown
        assert client.get("/roadmap/none").status_code == 404
        hear(ledger, github_issue(2, "Stage 7.3", completed=NOW), at=NOW + 1)
        assert client.get("/roadmap/Stage 7.3").json()["progress"]["closed"] == 2
        (tmp_path / "roadmap.yaml").write_text("milestones: [{id: a, stauts: x}]\n")
        assert client.get("/roadmap").status_code == 400


def test_the_program_has_the_commands_once_they_are_registered(
    run: Callable[..., CompletedProcess[str]],
) -> None:
    found = run("--help")
    if "roadmap" not in found.stdout:
        pytest.skip("roadmap is not registered in cli/main.py yet")
    assert "detect" in run("roadmap", "--help").stdout
