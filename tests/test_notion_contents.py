"""What Notion is shown comes from the ledger: the week's report, the milestones; what was not measured stays empty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.derive.fixes import Event, Fix, FixState
from achievement_collector.errors import ConfigurationError, NotFoundError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.ci_fixes import add_fix
from achievement_collector.ledger.reports import frozen_reports
from achievement_collector.ledger.store import Ledger
from achievement_collector.publish.notion.plan import Plan
from achievement_collector.services.notion import Contents, contents
from achievement_collector.services.roadmap import load_plan, roadmap_status
from tests.fakes.notion import FakeNotion
from tests.outside_world import DAY, merged
from tests.simulated_ci import REPOSITORY, TRUTH, simulated_month
from tests.test_ci_reports import NOW, collected, stored
from tests.test_notion import (
    ALL,
    client_of,
    in_force,
    push,
    report_id,
    roadmap_rows,
    row_id,
    set_up,
    source_of,
)
from tests.test_roadmap import github_milestone, hear

ROADMAP = """milestones:
  - id: stage-7.3
    title: Stage 7.3
    status: In Progress
    target: 2026-12-31
    repositories: [acme/rocket]
  - id: idea
    title: Not begun
"""


@pytest.fixture
def filled(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roadmap.yaml").write_text(ROADMAP)
    told = simulated_month()
    stored(ledger, told.attempts, told.jobs)
    hear(
        ledger,
        Observation(Kind.REPOSITORY, REPOSITORY, NOW, {"default_branch": "main"}),
        merged(41, TRUTH.since, place=REPOSITORY, branch="feature/stage-7-3"),
    )
    return ledger


def test_the_report_and_the_milestones_are_shown_once(filled: Ledger) -> None:
    fake = FakeNotion()
    set_up(fake, filled)
    told = contents(filled, in_force(fake), None, NOW)
    (page,) = told.reports
    assert page.name == "CI_Weekly_Report_2026-10-26"
    assert page.key == f"{REPOSITORY}/2026-W43"
    assert page.auto_fix_rate is None
    assert page.total_failures is not None
    assert "report date: 2026-10-26" in str(page.content)
    push(fake, filled, told)
    rows = roadmap_rows(fake)
    stage, idea = rows["Stage 7.3"], rows["Not begun"]
    assert stage["✅ Status"] == "In Progress"
    assert stage["🩹 Auto-Fix Success"] is None  # nothing was attempted: empty, not 0
    assert stage["🧪 Workflow Pass Rate"] is not None
    assert stage["📈 Trend"] == "Stable"
    assert stage["📝 Notes"] == ""
    (box,) = fake.text(row_id(fake, "Stage 7.3"))[:1]
    assert box.startswith("Written by achievement-collector")
    told_in_row = section_of(fake, "Stage 7.3")
    assert any(line.startswith("Trend of CI in the repository: Stable (n=") for line in told_in_row)
    assert any(line.startswith("CI readiness score (documented formula): ") for line in told_in_row)
    assert any(line.startswith("Forecast: ") for line in told_in_row)
    assert stage["📎 Latest CI Health"] == [report_id(fake)]
    assert idea["✅ Status"] is None
    assert idea["📆 Target Date"] is None
    again = push(fake, filled, contents(filled, in_force(fake), None, NOW))
    assert again.plan.operations == ()


def test_an_empty_ledger_shows_nothing(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = contents(ledger, in_force(FakeNotion()), None, NOW)
    assert (list(told.reports), list(told.rows)) == ([], [])


def test_one_milestone_may_be_chosen_and_progress_be_that_of_issues(filled: Ledger) -> None:
    settings = in_force(FakeNotion())
    (row,) = contents(filled, settings, "STAGE 7.3", NOW).rows
    assert row.name == "Stage 7.3"
    assert row.progress is not None  # the documented score
    (row,) = contents(filled, replace(settings, progress_source="issues"), "stage-7.3", NOW).rows
    assert row.progress is None  # no issue is linked
    assert "Progress: " in str(row.markdown)
    with pytest.raises(NotFoundError, match="there is no milestone"):
        contents(filled, settings, "Stage 99.9", NOW)


def test_a_milestone_that_nobody_began_has_no_score(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier implementation gave 70 of 100 and "In Progress" to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roadmap.yaml").write_text(
        "milestones:\n  - id: never\n    title: Stage 99.9 never started\n"
    )
    (row,) = contents(ledger, in_force(FakeNotion()), None, TRUTH.until).rows
    assert (row.progress, row.status, row.pass_rate, row.auto_fix, row.mttr, row.trend) == (None,) * 6


def section_of(fake: FakeNotion, name: str) -> list[str]:
    """The lines in our box on the page of a row."""
    found: list[str] = []
    with client_of(fake) as client:
        boxes = [
            one.text("id") for one in client.children(row_id(fake, name)) if one.text("type") == "callout"
        ]
    for box in boxes:
        found += _lines(fake, box)
    return found


def _lines(fake: FakeNotion, block: str) -> list[str]:
    found = []
    with client_of(fake) as client:
        for one in list(client.children(block)):
            rich = one.inner(one.text("type")).each("rich_text")
            found.append("".join(piece.text("plain_text") for piece in rich))
            if one.truth("has_children"):
                found += _lines(fake, one.text("id"))
    return found


def test_what_is_computed_is_told_on_the_page_and_never_in_a_field_of_people(filled: Ledger) -> None:
    """Notes go on to GitHub: score and forecast of every run stood in the milestone's description."""
    fake = FakeNotion()
    set_up(fake, filled)
    told = contents(filled, in_force(fake), None, NOW)
    assert [row.notes for row in told.rows] == [None, None]
    push(fake, filled, told)
    page = row_id(fake, "Stage 7.3")
    mine = fake.person_writes(page, "what I think of it")
    fake.person_sets(page, {"📝 Notes": {"rich_text": [{"text": {"content": "ours"}}]}})
    changed = [replace(row, markdown="- Forecast: another\n") for row in told.rows]
    done = push(fake, filled, Contents(told.reports, changed))
    assert done.outcome is not None
    assert done.outcome.is_whole
    assert section_of(fake, "Stage 7.3") == ["Forecast: another"]
    assert fake.text(mine) == [] or not fake.things[mine].told.get("in_trash")
    assert "what I think of it" in fake.text(page)
    assert roadmap_rows(fake)["Stage 7.3"]["📝 Notes"] == "ours"
    assert push(fake, filled, Contents(told.reports, changed)).plan.operations == ()


def test_computed_notes_of_an_earlier_version_are_taken_away(filled: Ledger) -> None:
    fake = FakeNotion()
    set_up(fake, filled)
    told = contents(filled, in_force(fake), None, NOW)
    push(fake, filled, Contents(told.reports, [replace(row, notes="55/100") for row in told.rows]))
    assert roadmap_rows(fake)["Stage 7.3"]["📝 Notes"] == "55/100"
    push(fake, filled, told)
    assert roadmap_rows(fake)["Stage 7.3"]["📝 Notes"] == ""


def test_hostile_text_in_the_breakdown_is_no_markdown(filled: Ledger) -> None:
    from achievement_collector.publish.notion.blocks import to_blocks
    from achievement_collector.services.notion_contents import plain

    text = "[click](https://evil.example) <https://evil.example> **x** `y` # z"
    (block,) = to_blocks(f"- {plain(text)}\n")
    pieces = block["bulleted_list_item"]["rich_text"]
    assert "".join(one["text"]["content"] for one in pieces) == text
    assert not any("link" in one["text"] or "annotations" in one for one in pieces)


def test_fixes_and_runs_of_the_repository_alone_are_none_of_a_milestone_that_nobody_began(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Green runs and fixes, of this repository and of others, gave 70 points to what nobody had begun."""
    monkeypatch.chdir(tmp_path)
    told = simulated_month()
    stored(ledger, told.attempts, told.jobs)
    hear(ledger, *github_milestone(9, "Stage 99.9 never started", place=REPOSITORY))
    fixes(ledger, REPOSITORY, TRUTH.until - DAY)
    (row,) = contents(ledger, in_force(FakeNotion()), None, TRUTH.until).rows
    assert (row.progress, row.status, row.pass_rate, row.auto_fix, row.mttr, row.trend) == (None,) * 6
    (found,) = roadmap_status(ledger, load_plan(), TRUTH.until)["milestones"]
    assert found["readiness"]["points"] is None
    told_of = [part["told"] for part in found["readiness"]["parts"]]
    assert all("REPOSITORY-WIDE" in one for one in told_of[:3]), told_of


def fixes(ledger: Ledger, place: str, at: int, n: int = 10) -> None:
    with ledger.write() as connection:
        for i in range(n):
            verified = (Event(FixState.VERIFIED, at, "x", True),)
            add_fix(
                connection,
                Fix(0, place, "formatter", f"{place}/job/{i}", sha=f"{i:040x}", created=at, events=verified),
            )


def test_fixes_count_for_the_repositories_of_a_milestone_in_the_window(filled: Ledger) -> None:
    def auto_fix() -> float | None:
        return contents(filled, in_force(FakeNotion()), "Stage 7.3", NOW).rows[0].auto_fix

    fixes(filled, "github.com/other/lib", NOW - DAY)
    assert auto_fix() is None
    fixes(filled, REPOSITORY, NOW - 60 * DAY, 3)
    assert auto_fix() is None
    fixes(filled, REPOSITORY, NOW - DAY, 5)
    assert auto_fix() == 1.0


def test_a_milestone_is_found_by_another_name(filled: Ledger, tmp_path: Path) -> None:
    (tmp_path / "roadmap.yaml").write_text("milestones:\n  - id: a\n    title: Alpha\n    aliases: [MVP]\n")
    (row,) = contents(filled, in_force(FakeNotion()), "mvp", NOW).rows
    assert row.key == "a"


def test_a_dry_run_freezes_no_report(filled: Ledger) -> None:
    def kept() -> int:
        with filled.read() as connection:
            return len(list(frozen_reports(connection)))

    later = NOW + 30 * DAY  # nothing is waited for any more
    collected(filled, 1, later)
    contents(filled, in_force(FakeNotion()), None, later, freezes=False)
    assert kept() == 0
    contents(filled, in_force(FakeNotion()), None, later)
    assert kept() == 1


JOINED = """milestones:
  - id: s73
    title: Stage 7.3
    status: In Progress
    github: ["github.com/acme/rocket/milestone/1"]
"""


def test_a_joined_milestone_has_the_key_of_the_repository_that_is_synchronised(
    filled: Ledger, tmp_path: Path
) -> None:
    """Its row bore the file's id, so that the two-way sync made a second one."""
    hear(filled, *github_milestone(1, "Stage 7.3", place=REPOSITORY))
    (tmp_path / "roadmap.yaml").write_text(JOINED)
    settings = in_force(FakeNotion(), github_repository="Acme/Rocket")
    (row,) = contents(filled, settings, None, NOW).rows
    assert (row.key, row.earlier) == (f"{REPOSITORY}/milestone/1", ("s73",))
    (row,) = contents(filled, in_force(FakeNotion()), None, NOW).rows
    assert row.key == "s73"  # nothing is synchronised


def test_rows_and_reports_outlive_a_rename_and_a_join(filled: Ledger, tmp_path: Path) -> None:
    fake = FakeNotion()
    set_up(fake, filled)
    hear(filled, *github_milestone(1, "Stage 7.3", place=REPOSITORY))
    (tmp_path / "roadmap.yaml").write_text(JOINED)
    push(fake, filled, contents(filled, in_force(fake), None, NOW))
    page = row_id(fake, "Stage 7.3")
    fake.person_sets(page, {"✅ Status": {"select": {"name": "Blocked"}}})
    settings = in_force(fake, github_repository="acme/rocket")
    push(fake, filled, contents(filled, settings, None, NOW))
    assert (len(roadmap_rows(fake)), row_id(fake, "Stage 7.3")) == (1, page)
    row = roadmap_rows(fake)["Stage 7.3"]
    assert (row["Sync Key"], row["✅ Status"]) == (f"{REPOSITORY}/milestone/1", "Blocked")
    report = report_id(fake)
    (tmp_path / "roadmap.yaml").unlink()
    hear(filled, Observation(Kind.REPOSITORY, REPOSITORY, NOW, {"moved_to": "github.com/acme/space"}))
    push(fake, filled, contents(filled, settings, None, NOW))
    row = roadmap_rows(fake)["Stage 7.3"]
    assert (row_id(fake, "Stage 7.3"), row["Sync Key"]) == (page, "github.com/acme/space/milestone/1")
    assert report_id(fake) == report
    assert push(fake, filled, contents(filled, settings, None, NOW)).plan.operations == ()


def test_one_database_of_the_two_is_enough(ledger: Ledger) -> None:
    fake = FakeNotion()
    set_up(fake, ledger)
    reports_db, roadmap_db = (one.id for one in fake.databases())
    for told, lacking in (
        ({"notion_roadmap_db": roadmap_db}, "CI Intelligence Reports: not shown"),
        ({"notion_ci_reports_db": reports_db}, "Engineering Roadmap: not shown"),
    ):
        fresh = forgetful(ledger)
        done = push(fake, fresh, ALL, settings=in_force(fake, **told))
        assert done.outcome is not None
        assert done.outcome.is_whole
        assert [one for one in done.problems if one.startswith(lacking)]
    assert len(fake.rows(source_of(fake, "Engineering Roadmap"))) == 2
    assert report_id(fake)
    with pytest.raises(ConfigurationError, match="NOTION_CI_REPORTS_DB_ID"):
        push(fake, forgetful(ledger), ALL)


def forgetful(ledger: Ledger) -> Ledger:
    """A ledger that remembers nothing of Notion."""
    import sqlalchemy as sa

    from achievement_collector.ledger.tables import cursors

    with ledger.write() as connection:
        connection.execute(sa.delete(cursors))
    return ledger


def test_the_server_finds_the_databases_and_one_step_does_not_wait_for_the_other(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from achievement_collector.publish.notion.client import NotionError
    from achievement_collector.services import notion as service
    from achievement_collector.workflows import background, syncs

    fake = FakeNotion()
    set_up(fake, filled)  # made, and named by no setting
    settings = in_force(fake, two_way_sync=True)
    assert background._others(settings)["notion"] == 3600
    syncs.use(filled, settings)
    monkeypatch.setattr(service, "notion_client", lambda _told: client_of(fake))
    publish_step, two_way_step = syncs._publish_notion.__wrapped__, syncs._sync_two_way.__wrapped__
    monkeypatch.setattr(syncs, "now_ms", lambda: NOW)
    done = publish_step()
    assert done["failed"] == []
    assert done["stopped"] is None
    assert roadmap_rows(fake)
    assert "GITHUB_REPOSITORY" in two_way_step()["told"]

    def fail() -> dict[str, Any]:
        raise NotionError("Notion is away")

    monkeypatch.setattr(syncs, "_publish_notion", fail)
    monkeypatch.setattr(syncs, "_sync_two_way", lambda: {"exit": 0})
    with caplog.at_level("WARNING"):
        told = syncs.sync_notion.__wrapped__()
    assert told == {"shown": {"failed": ["Notion is away"]}, "two_way": {"exit": 0}}
    assert "Notion is away" in caplog.text


def test_what_notion_refuses_is_told_by_the_step_and_logged(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from achievement_collector.publish.notion.publishing import Outcome
    from achievement_collector.services import notion as service
    from achievement_collector.workflows import syncs

    def half(*_told: Any, **_more: Any) -> service.Published:
        outcome = Outcome(failed=[("Stage 7.3", "no such option")], stopped="the budget is used up")
        return service.Published(Plan(()), outcome, (), 3, 1)

    monkeypatch.setattr(service, "publish", half)
    syncs.use(filled, in_force(FakeNotion()))
    with caplog.at_level("WARNING"):
        told = syncs._publish_notion.__wrapped__()
    assert told["failed"] == ["Stage 7.3: no such option"]
    assert told["stopped"] == "the budget is used up"
    assert "no such option" in caplog.text
    assert "the budget is used up" in caplog.text
