"""Live collection as a user runs it: the commands, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import inbox
from achievement_collector.ledger.inbox import Incoming
from achievement_collector.ledger.store import open_ledger
from tests.fakes import github as fake_github
from tests.fakes import linear as fake_linear
from tests.git_repositories import Repository
from tests.outside_world import ROCKET, World, day, merged

Run = Callable[..., subprocess.CompletedProcess[str]]
_SHA = "a" * 40


def merged_pull(number: int, **more: Any) -> dict[str, Any]:
    pull = {
        "number": number, "title": f"feat: part {number}", "body": "Epic: E5.1", "user": {"login": "ada", "id": 7},
        "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-02T10:00:00Z", "merged_at": "2026-11-02T10:00:00Z",
        "closed_at": "2026-11-02T10:00:00Z", "merge_commit_sha": "c" * 40, "head": {"ref": "x", "sha": _SHA},
        "base": {"ref": "main", "sha": "b" * 40}, "html_url": f"https://github.com/acme/rocket/pull/{number}",
        "additions": 120, "deletions": 20, "changed_files": 4, "commits": 3, **more,
    }  # fmt: skip
    return {"repository": {"full_name": "acme/rocket"}, "pull_request": pull}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A ledger with one delivery that waits and one that cannot be understood."""
    path = tmp_path / "l.db"
    ledger = open_ledger(str(path))
    bodies = [json.dumps(merged_pull(12)).encode(), b'{"repository": {"full_name": "acme/rocket"}}']
    with ledger.write() as connection:
        inbox.store(
            connection,
            [
                Incoming("github", f"d{n}", "pull_request", one, 1_790_000_000_000)
                for n, one in enumerate(bodies)
            ],
        )
    ledger.close()
    return path


def test_an_epic_by_hand_from_its_start_to_its_documents(run: Run, database: Path, tmp_path: Path) -> None:
    started = run("epic", "start", "E5.1", "--title", "Better search", "--db", database)
    assert started.returncode == 0, started.stderr
    assert "nobody has completed it" in started.stdout
    assert "1 processed" not in run("inbox", "list", "--db", database).stdout
    assert run("inbox", "retry", "--db", database).returncode == 0  # processes what waits as well
    listed = run("epic", "list", "--db", database).stdout
    assert "Better search" in listed
    assert "1 merged, 0 open" in listed
    shown = json.loads(run("epic", "show", "e5.1", "--json", "--db", database).stdout)
    assert shown["deliverables"]["pull_requests"][0]["linked_by"] == '"Epic:" in its body'
    assert run("epic", "unlink", "E5.1", "acme/rocket#12", "--db", database).returncode == 0
    shown = json.loads(run("epic", "show", "E5.1", "--json", "--db", database).stdout)
    assert shown["deliverables"]["pull_requests"] == []
    assert (
        run("epic", "link", "E5.1", "https://github.com/acme/rocket/pull/12", "--db", database).returncode
        == 0
    )
    done = run("epic", "complete", "E5.1", "--db", database)
    assert "E5.1: final, revision 1" in done.stdout
    assert "CI of rocket#12 is unknown" in run("epic", "log", "E5.1", "--db", database).stdout
    for ending in ("md", "html", "pdf", "json"):
        target = tmp_path / f"e.{ending}"
        made = run("export", "--epic", "E5.1", "--persona", "tech-lead", "--output", target, "--db", database)
        assert made.returncode == 0, made.stderr
        assert target.stat().st_size > 300
    assert run("export", "--epic", "E5.1", "--format", "csv", "--db", database).returncode == 2
    assert run("export", "--epic", "E5.1", "--me", "--db", database).returncode == 2
    listed = run("list", "--db", database).stdout
    assert "1 achievement: everything" in listed
    assert "1 epic beside them" in listed
    assert run("epic", "reopen", "E5.1", "--db", database).stdout.startswith("E5.1: draft")
    assert run("epic", "show", "E9", "--db", database).returncode == 2


def test_what_cannot_be_concluded_is_named_in_a_sentence_and_the_command_does_its_work(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "l.db"
    world = World(open_ledger(str(path)))
    beyond = 253_402_344_000_000  # later than any date has: no edge takes it in, an earlier version may have
    world.hear(merged(1, day(2), body="Epic: E66", created=day(1)), merged(2, day(2), body="Epic: E67"))
    told = {"merged": beyond, "closed": beyond}
    world.hear(Observation(Kind.PULL_REQUEST, f"{ROCKET}#1", day(3), told))
    first = run("epic", "start", "E67", "--db", path)
    assert first.stdout.startswith("E67: draft")
    done = run("epic", "complete", "E67", "--db", path)
    assert done.stdout.startswith("E67: final, revision 1")
    for one in (first, done, run("inbox", "retry", "--db", path)):
        assert one.returncode == 2
        assert "Traceback" not in one.stderr
        last = one.stderr.splitlines()[-1]
        assert last.startswith(
            "achievement-collector: epic E66 could not be concluded: ValueError: year 10000"
        )
        assert last.endswith("; all else is done, and it is tried again later")


def test_an_edit_of_an_epic_survives_and_can_be_taken_back(run: Run, database: Path) -> None:
    run("inbox", "retry", "--db", database)
    run("epic", "complete", "E5.1", "--db", database)

    def epic() -> dict[str, Any]:
        (one,) = json.loads(run("list", "--kind", "epic", "--json", "--db", database).stdout)
        return dict(one)

    assert run("edit", epic()["id"], "--title", "Mine", "--db", database).returncode == 0
    assert run("derive", "--db", database).returncode == 0
    assert epic()["title"] == "Mine"
    assert run("edit", epic()["id"], "--reset", "title", "--db", database).returncode == 0
    assert epic()["title"] == "E5.1"


def test_the_inbox_shows_what_cannot_be_understood(run: Run, database: Path) -> None:
    run("inbox", "retry", "--db", database)
    failed = json.loads(run("inbox", "list", "--state", "failed", "--json", "--db", database).stdout)
    assert failed["counts"] == {"waiting": 0, "processed": 1, "not_relevant": 0, "failed": 1}
    (one,) = failed["deliveries"]
    assert one["told"] == "the body names no pull request"
    shown = run("inbox", "show", one["id"], "--db", database).stdout
    assert '"full_name": "acme/rocket"' in shown
    assert run("inbox", "show", 999, "--db", database).returncode == 2
    assert run("inbox", "list", "--state", "lost", "--db", database).returncode == 2


def test_measures_are_handed_in_by_a_command(run: Run, database: Path, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(
        '<testsuite name="s"><testcase classname="c" name="a"/><testcase classname="c" name="b"/></testsuite>'
    )
    told = run("ci", "ingest", "--repo", "acme/rocket", "--sha", _SHA, "--pr", 12, "--junit", junit, "--build-time", 61,
               "--base", "main", "--db", database)  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "tests: 2 tests, 0 failed, 0 skipped" in told.stdout
    (one,) = json.loads(run("list", "--json", "--db", database).stdout)
    measures = {item["reference"]: item["label"] for item in one["evidence"] if item["kind"] == "measure"}
    assert measures["tests"] == "tests: 2; no report of main to compare with"
    for wrong in (["--sha", "abc"], ["--junit", tmp_path / "no.xml"], []):
        refused = run(
            "ci",
            "ingest",
            "--repo",
            "acme/rocket",
            *(["--sha", _SHA] if "--sha" not in wrong else []),
            *wrong,
            "--db",
            database,
        )
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


def test_tokens_are_shown_once(run: Run, tmp_path: Path) -> None:
    database = tmp_path / "l.db"
    text = run(
        "token", "create", "laptop", "--scope", "read", "--scope", "ingest", "--db", database
    ).stdout.strip()
    assert text.startswith("ac_")
    listed = run("token", "list", "--db", database).stdout
    assert "laptop" in listed
    assert text not in listed
    assert text.encode() not in database.read_bytes()
    assert run("token", "revoke", 1, "--db", database).returncode == 0
    assert "revoked" in run("token", "list", "--db", database).stdout
    assert run("token", "revoke", 1, "--db", database).returncode == 2
    assert run("token", "create", "x", "--scope", "everything", "--db", database).returncode == 2


def test_nothing_is_polled_without_being_configured(run: Run, tmp_path: Path) -> None:
    for command in (("sync", "github"), ("sync", "linear")):
        refused = run(*command, "--db", tmp_path / "l.db")
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


def test_linear_is_polled_by_a_command(run: Run, tmp_path: Path) -> None:
    fake_linear.linear_schema()
    with fake_linear.serve(fake_linear.FakeLinear()) as fake:
        fake.add_project("E7 Faster checkout", "2026-11-01T10:00:00.000Z")
        environment = {"LINEAR_API_URL": fake.url, "LINEAR_API_KEY": fake_linear.API_KEY}
        done = run("sync", "linear", "--db", tmp_path / "l.db", **environment)
        assert done.returncode == 0, done.stderr
        assert "1 project" in done.stdout
        assert "Faster checkout" in run("epic", "list", "--db", tmp_path / "l.db").stdout
        again = run("sync", "linear", "--db", tmp_path / "l.db", **environment)
        assert "nothing new" in again.stdout
        assert fake_linear.API_KEY not in done.stdout + done.stderr


def test_one_round_of_track_records_git(run: Run, tmp_path: Path, repository: Repository) -> None:
    repository.commit("feat: the first thing", {"a.py": "x = 1\n" * 70})
    done = run("track", repository.path, "--once", "--db", tmp_path / "l.db")
    assert done.returncode == 0, done.stderr
    assert "1 new commits" in done.stderr
    assert "The first thing" in run("list", "--db", tmp_path / "l.db").stdout
    off = run("track", repository.path, "--once", "--db", tmp_path / "m.db", ENABLE_GIT_TRACKING="false")
    assert off.returncode == 0
    assert "0 achievements" in run("list", "--db", tmp_path / "m.db").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_track_ends_when_it_is_told_to(
    tmp_path: Path, repository: Repository, number: signal.Signals
) -> None:
    repository.commit("feat: the first thing", {"a.py": "x = 1\n" * 70})
    process = subprocess.Popen(
        [sys.executable, "-m", "achievement_collector", "track", str(repository.path), "--db", str(tmp_path / "l.db")],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    assert process.stderr.readline().startswith("watching git")
    assert "1 new commits" in process.stderr.readline()
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "everything that was seen is recorded" in told
    assert "Traceback" not in told


def test_github_is_polled_by_a_command(run: Run, tmp_path: Path) -> None:
    fake_github.github_document()
    with fake_github.serve(fake_github.FakeGitHub(time.time)) as fake:
        fake.add_pull(3, time.time() - 3600, merged=True, title="feat: shorter queues")
        environment = {"GITHUB_API_URL": fake.url, "GITHUB_TOKEN": fake_github.TOKEN}
        done = run("sync", "github", "acme/rocket", "--db", tmp_path / "l.db", **environment)
        assert done.returncode == 0, done.stderr
        assert "1 pull request" in done.stdout
        assert "Shorter queues" in run("list", "--db", tmp_path / "l.db").stdout
        again = run("sync", "github", "acme/rocket", "--db", tmp_path / "l.db", **environment)
        assert "nothing new" in again.stdout
        assert fake_github.TOKEN not in done.stdout + done.stderr


def test_what_a_poll_could_not_read_is_told(run: Run, tmp_path: Path) -> None:
    """It ended with an error, or without a word."""
    with fake_github.serve(fake_github.FakeGitHub(time.time)) as fake:
        fake.log_host = fake.url  # which asks for a token that logs are fetched without
        for number in range(1, 5):
            fake.add_run(number, time.time() - number * 3600, "failure")
            fake.add_job(number, 10 + number, "failure", log=b"\x1b[2Jx\n")
        fake.hidden["/milestones"] = fake_github.Trouble(403, {"message": "Resource not \x1baccessible"})
        environment = {"GITHUB_API_URL": fake.url, "GITHUB_TOKEN": fake_github.TOKEN}
        done = run("sync", "github", "acme/rocket", "--db", tmp_path / "l.db", **environment)
        assert done.returncode == 0, done.stderr
        assert "; read: 4 jobs" in done.stdout
        milestones, logs = [line for line in done.stderr.splitlines() if "left out" in line]
        assert milestones.startswith("acme/rocket: left out: milestones: the token may not see ")
        assert logs.startswith("acme/rocket: left out: logs: 127.0.0.1 gave no log of job ")
        assert logs.endswith("after 3 failures in a row the other logs are left to the next time")
        assert "\x1b" not in done.stdout + done.stderr
        again = run("sync", "github", "acme/rocket", "--db", tmp_path / "l.db", **environment)
        assert (again.returncode, "nothing new" in again.stdout) == (0, True)


def _without_columns(*arguments: object, columns: str = "") -> str:
    """What a command prints into a pipe; with ``columns``, as on a screen of that width."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if columns:
        environment["COLUMNS"] = columns
    done = subprocess.run(
        [sys.executable, "-m", "achievement_collector", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=True, env=environment,
    )  # fmt: skip
    return done.stdout


def test_nothing_is_cut_or_folded_where_no_terminal_is(run: Run, database: Path) -> None:
    long = f"feat: {'very ' * 30}long"
    body = json.dumps(merged_pull(13, title=long)).encode()
    ledger = open_ledger(str(database))
    with ledger.write() as connection:
        inbox.store(connection, [Incoming("github", "d13", "pull_request", body, 1_790_000_000_000)])
    ledger.close()
    run("inbox", "retry", "--db", database)
    piped = _without_columns("inbox", "list", "--db", database).splitlines()
    assert len(piped) == 1 + 3 + 1
    assert not any("…" in line for line in piped)
    narrow = _without_columns("inbox", "list", "--db", database, columns="80").splitlines()
    assert all("pull_request" in line and line.startswith(str(3 - n)) for n, line in enumerate(narrow[1:4]))
    shown = _without_columns("list", "--db", database)
    assert long.removeprefix("feat: ").capitalize() in shown
    assert max(len(line) for line in shown.splitlines()) < 400
    settings = _without_columns("config", "show").splitlines()
    assert any(line.split()[:2] == ["tracking.prometheus.scrape_interval_hours", "24"] for line in settings)
    narrow = _without_columns("config", "show", columns="80").splitlines()
    assert any(line.startswith("tracking.prometheus.scrape_interval_hours ") for line in narrow)


def test_one_of_a_thing_is_told_in_the_singular(run: Run, database: Path) -> None:
    told = run("inbox", "retry", "--db", database).stdout
    assert "brought up to date: 1 repository, 0 issues, 1 epic" in told


def test_a_repository_without_a_checkout_has_no_scan_to_come_to_its_end(run: Run, database: Path) -> None:
    from achievement_collector.ledger.collecting import ensure_repository

    ledger = open_ledger(str(database))
    with ledger.write() as connection:
        ensure_repository(connection, "github.com/acme/rocket")
    ledger.close()
    assert "has not come to its end" not in run("list", "--db", database).stdout
    run("inbox", "retry", "--db", database)
    assert "has not come to its end" not in run("list", "--db", database).stdout


def test_a_selection_of_an_epic_alone_names_it(run: Run, database: Path) -> None:
    run("epic", "start", "E5.1", "--title", "Zebra crossing", "--db", database)
    run("inbox", "retry", "--db", database)
    run("epic", "complete", "E5.1", "--db", database)
    told = run("list", "--text", "zebra", "--db", database).stdout
    assert "0 achievements: with the text 'zebra'" in told
    assert "1 epic beside them" in told
