"""Builds real git repositories for tests, cut off from the user's own git configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ALICE = ("Alice Archer", "alice@example.dev")
BOB = ("Bob Builder", "bob@example.dev")

_DAY = 86_400
START = 1_700_000_000


def clean_environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", LC_ALL="C", HOME="/nonexistent")
    return environment


def git(
    folder: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> str:
    """Runs git and gives its output without the last line end; raises where git fails."""
    result = subprocess.run(
        ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *arguments],
        input=stdin,
        capture_output=True,
        env={**clean_environment(), **(environment or {})},
        check=False,
    )
    if result.returncode:
        raise AssertionError(f"git {arguments}: {result.stderr.decode('utf-8', 'replace')}")
    return result.stdout.decode("utf-8", "replace").rstrip("\n")


class Repository:
    """A repository being built; every commit is a day after the one before."""

    def __init__(self, folder: Path, *options: str, branch: str = "main") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder
        self.now = START
        git(folder, "init", "--quiet", "--initial-branch", branch, *options)
        git(folder, "config", "commit.gpgsign", "false")
        git(folder, "config", "user.name", ALICE[0])
        git(folder, "config", "user.email", ALICE[1])

    def git(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        return git(self.path, *arguments, stdin=stdin, environment=environment)

    def write(self, path: str | bytes, content: str | bytes = "") -> Path:
        target = self.path / os.fsdecode(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def commit(
        self,
        message: str | bytes = "change",
        files: Mapping[str, str | bytes] | None = None,
        *,
        author: tuple[str, str] = ALICE,
        committer: tuple[str, str] | None = None,
        date: str | None = None,
        remove: tuple[str, ...] = (),
        encoding: str | None = None,
    ) -> str:
        """Commits ``files`` (or a counter, where none are given) and gives the sha."""
        self.now += _DAY
        if files is None and not remove:
            files = {"counter.txt": f"{self.now}\n"}
        for name, content in (files or {}).items():
            self.write(name, content)
        for name in remove:
            self.git("rm", "--quiet", "--", name)
        self.git("add", "--all")
        return self._commit(message, author, committer or author, date, encoding)

    def _commit(
        self,
        message: str | bytes,
        author: tuple[str, str],
        committer: tuple[str, str],
        date: str | None,
        encoding: str | None,
        *parents: str,
    ) -> str:
        text = message.encode() if isinstance(message, str) else message
        configuration = ("-c", f"i18n.commitEncoding={encoding}") if encoding else ()
        stamp = date or f"{self.now} +0000"
        self.git(
            *configuration, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim",
            "--no-verify", "-F", "-",
            stdin=text,
            environment=identity(author, committer, stamp),
        )  # fmt: skip
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, start: str = "HEAD") -> None:
        self.git("checkout", "--quiet", "-b", name, start)

    def switch(self, name: str) -> None:
        self.git("checkout", "--quiet", name)

    def merge(self, *names: str, message: str, author: tuple[str, str] = ALICE) -> str:
        self.now += _DAY
        self.git(
            "merge", "--quiet", "--no-ff", "--no-edit", "-m", message, *names,
            environment=identity(author, author, f"{self.now} +0000"),
        )  # fmt: skip
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, message: str | None = None, target: str = "HEAD") -> None:
        stamp = identity(ALICE, ALICE, f"{self.now} +0000")
        if message is None:
            self.git("tag", name, target, environment=stamp)
        else:
            self.git("tag", "-a", name, "-m", message, target, environment=stamp)

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


def identity(author: tuple[str, str], committer: tuple[str, str], stamp: str) -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": author[0],
        "GIT_AUTHOR_EMAIL": author[1],
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_NAME": committer[0],
        "GIT_COMMITTER_EMAIL": committer[1],
        "GIT_COMMITTER_DATE": stamp,
    }


def lines(count: int, word: str = "line") -> str:
    """A text of ``count`` different lines."""
    return "".join(f"{word} {number}\n" for number in range(count))
