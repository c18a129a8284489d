"""What Notion is shown comes from the ledger: the week's report, the milestones; what was not measured stays empty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from achievement_collector.errors import NotFoundError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.notion import contents
from tests.fakes.notion import FakeNotion
from tests.simulated_ci import REPOSITORY, TRUTH, simulated_month
from tests.test_ci_reports import NOW, stored
from tests.test_notion import in_force, push, report_id, roadmap_rows, set_up

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
    assert "Trend of CI: Stable (n=" in stage["📝 Notes"]
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
    assert "Progress: " in str(row.notes)
    with pytest.raises(NotFoundError, match="no milestone is called"):
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
