"""The hook records each commit, respects what is there, and never gets in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.ledger.store import open_ledger
from achievement_collector.services import hooks
from tests.git_repositories import Repository, git, identity

Run = Callable[..., Any]


def commit_with_hooks(
    repository: Repository, message: str = "by hand", **environment: str
) -> subprocess.CompletedProcess[str]:
    repository.write("file.txt", f"{time.monotonic()}\n")
    own = {**os.environ, **identity(("A", "a@x.dev"), ("A", "a@x.dev"), "1700000000 +0000"), **environment}
    subprocess.run(["git", "-C", str(repository.path), "add", "-A"], env=own, check=True)
    return subprocess.run(
        ["git", "-C", str(repository.path), "commit", "-m", message],
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_for_commits(database: Path, count: int, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if database.exists():
            ledger = open_ledger(str(database))
            with ledger.read() as connection:
                found = connection.exec_driver_sql("SELECT count(*) FROM achievements").scalar()
            ledger.close()
            if found == count:
                return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("name", ["plain", "with space", 'it\'s "quoted" $HOME'])
def test_a_commit_is_recorded_as_it_is_made(tmp_path: Path, name: str) -> None:
    repository = Repository(tmp_path / name)
    database = tmp_path / "l.db"
    state = hooks.install(repository.path, str(database))
    assert state.is_installed
    assert not state.problem
    done = commit_with_hooks(repository)
    assert done.returncode == 0, done.stderr
    assert wait_for_commits(database, 1)


def test_the_user_does_not_wait(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")

    def measure() -> float:
        began = time.monotonic()
        assert commit_with_hooks(repository).returncode == 0
        return time.monotonic() - began

    measure()
    without = min(measure() for _ in range(5))
    hooks.install(repository.path, str(tmp_path / "l.db"))
    with_hook = []
    for number in range(5):
        with_hook.append(measure())
        assert wait_for_commits(tmp_path / "l.db", 7 + number)  # so that no recording runs beside the next
    assert min(with_hook) - without < 0.1


def test_a_hook_that_is_there_goes_on_running_and_comes_back(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    hook = repository.path / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    before = f'#!/bin/sh\necho ran "$#" >> {tmp_path}/ran\nexit 3\n'
    hook.write_text(before)
    hook.chmod(0o755)
    assert hooks.install(repository.path, str(tmp_path / "l.db")).other
    first = hook.read_bytes()
    assert hooks.install(repository.path, str(tmp_path / "l.db")).other
    assert hook.read_bytes() == first
    assert commit_with_hooks(repository).returncode == 0
    assert (tmp_path / "ran").read_text() == "ran 0\n"
    assert not hooks.uninstall(repository.path).is_installed
    assert hook.read_text() == before
    assert os.access(hook, os.X_OK)
    assert sorted(
        path.name
        for path in hook.parent.iterdir()
        if "post-commit" in path.name and "sample" not in path.name
    ) == ["post-commit"]


def test_a_symbolic_link_is_kept(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    hook = repository.path / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    (tmp_path / "shared").write_text("#!/bin/sh\n")
    hook.symlink_to(tmp_path / "shared")
    hooks.install(repository.path)
    hooks.uninstall(repository.path)
    assert hook.is_symlink()
    assert (tmp_path / "shared").read_text() == "#!/bin/sh\n"


def test_commits_go_on_when_the_program_is_gone(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    hooks.install(repository.path, str(tmp_path / "l.db"))
    hook = repository.path / ".git" / "hooks" / "post-commit"
    hook.write_text(hook.read_text().replace(sys.executable, "/gone/python"))
    done = commit_with_hooks(repository)
    assert done.returncode == 0
    assert "gone" not in done.stderr
    assert "is gone" in hooks.status(repository.path).problem


def test_a_shared_hooks_folder_is_left_alone(tmp_path: Path, run: Run) -> None:
    repository = Repository(tmp_path / "project")
    repository.git("config", "core.hooksPath", ".husky")
    refused = run("hook", "install", repository.path)
    assert refused.returncode == 2
    assert "core.hooksPath" in refused.stderr
    assert not (repository.path / ".husky").exists()
    assert run("hook", "install", repository.path, "--force", "--db", tmp_path / "l.db").returncode == 0
    assert (repository.path / ".husky" / "post-commit").exists()
    assert commit_with_hooks(repository).returncode == 0
    assert wait_for_commits(tmp_path / "l.db", 1)


def test_it_works_in_a_worktree(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit("one")
    tree = tmp_path / "tree"
    repository.git("worktree", "add", "--quiet", str(tree), "-b", "topic")
    assert hooks.install(tree, str(tmp_path / "l.db")).path.is_relative_to(repository.path / ".git")


def test_a_bare_repository_is_refused(tmp_path: Path, run: Run) -> None:
    Repository(tmp_path / "project")
    git(tmp_path, "clone", "--quiet", "--bare", "project", "bare")
    refused = run("hook", "install", tmp_path / "bare")
    assert refused.returncode == 2
    assert "bare" in refused.stderr


def test_a_password_is_not_written_into_a_hook(tmp_path: Path, run: Run) -> None:
    repository = Repository(tmp_path / "project")
    refused = run("hook", "install", repository.path, "--db", "postgresql://me:hunter2@db/x")
    assert refused.returncode == 2
    assert "hunter2" not in refused.stderr
    assert not (repository.path / ".git" / "hooks" / "post-commit").exists()


def test_status_as_a_user_asks(tmp_path: Path, run: Run) -> None:
    repository = Repository(tmp_path / "project")
    assert run("hook", "status", repository.path).stdout.startswith("not installed")
    run("hook", "install", repository.path, "--db", tmp_path / "l.db")
    assert run("hook", "status", repository.path).stdout.startswith("installed")
    changed = repository.path / ".git" / "hooks" / "post-commit"
    changed.write_text(changed.read_text() + "echo mine\n")
    refused = run("hook", "uninstall", repository.path)
    assert refused.returncode == 2
    assert "by hand" in refused.stderr
