"""A scan that is killed at any moment leaves a consistent record, and the next one completes it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from achievement_collector.ledger.store import open_ledger
from tests.conftest import scan_into
from tests.git_repositories import Repository

_COMMITS = 6_000


def _large(folder: Path) -> Repository:
    """A history of some thousand commits, made by git fast-import."""
    repository = Repository(folder)
    stream = []
    for number in range(_COMMITS):
        message = f"feat: part {number}" if number % 3 else f"note {number}"
        content = "".join(f"{number} {line}\n" for line in range(number % 90))
        stream.append(
            f"commit refs/heads/main\ncommitter A <a{number % 7}@x.dev> {1_600_000_000 + number * 60} +0000\n"
            f"data {len(message)}\n{message}\nM 644 inline src/f{number % 40}.py\ndata {len(content)}\n{content}\n"
        )
    repository.git("fast-import", "--quiet", stdin="".join(stream).encode())
    return repository


def _content(database: Path) -> tuple[list[tuple[object, ...]], ...]:
    ledger = open_ledger(str(database))
    with ledger.read() as connection:
        told = tuple(
            [tuple(row) for row in connection.execute(sa.text(query))]
            for query in (
                "SELECT sha, parents, message, diff FROM commits ORDER BY sha",
                "SELECT uid, title, impact, is_counted, category, detail FROM achievements ORDER BY uid",
                "SELECT a.uid, s.name, s.evidence FROM achievement_skills s JOIN achievements a ON a.id = s.achievement_id"
                " ORDER BY 1, 2",
            )
        )
    ledger.close()
    return told


@pytest.mark.timeout(240)
def test_a_killed_scan_is_completed_by_the_next(tmp_path: Path) -> None:
    repository = _large(tmp_path / "large")
    whole = tmp_path / "whole.db"
    ledger = open_ledger(str(whole))
    began = time.monotonic()
    assert not scan_into(ledger, repository.path)[0].error
    needed = time.monotonic() - began
    ledger.close()
    expected = _content(whole)
    chance = random.Random(7)
    for attempt in range(5):
        database = tmp_path / f"killed-{attempt}.db"
        for _ in range(2):
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "achievement_collector",
                    "scan",
                    "--quiet",
                    str(repository.path),
                    "--db",
                    str(database),
                ],
                start_new_session=True,
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.25 + chance.random() * needed * 1.2)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if database.exists():
            ledger = open_ledger(str(database))  # consistent: it opens, and every commit is whole
            with ledger.read() as connection:
                if ledger.is_sqlite:
                    assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            ledger.close()
        ledger = open_ledger(str(database))
        assert not scan_into(ledger, repository.path)[0].error
        ledger.close()
        assert _content(database) == expected, f"attempt {attempt}"


def test_comparisons_that_a_stopped_scan_left_out_are_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from achievement_collector.services import collecting

    repository = Repository(tmp_path / "project")
    repository.commit("start", {"a.py": "".join(f"if x{n}:\n  call({n})\n" for n in range(60))})
    repository.commit("Reindent", {"a.py": "".join(f"if x{n}:\n        call({n})\n" for n in range(60))})
    ledger = open_ledger(str(tmp_path / "l.db"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collecting, "_compare_further", stop)
        with pytest.raises(KeyboardInterrupt):
            scan_into(ledger, repository.path)
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        reason = connection.scalar(
            sa.text("SELECT left_out_reason FROM achievements WHERE title = 'Reindent'")
        )
    assert "white space only" in reason
    ledger.close()


def test_a_scan_that_is_interrupted_says_so_and_goes_on_later(tmp_path: Path) -> None:
    repository = _large(tmp_path / "large")
    database = tmp_path / "l.db"
    command = [
        sys.executable,
        "-m",
        "achievement_collector",
        "scan",
        str(repository.path),
        "--db",
        str(database),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr
    assert process.stderr.readline().startswith("reading local/large")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group gets it
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; what was recorded stays" in told
    assert "Traceback" not in told
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "the record lives in" in done.stdout
