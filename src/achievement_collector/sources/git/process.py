"""Running git: never through a shell, never with the caller's GIT_* variables, never over the network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from achievement_collector.errors import RepositoryError

# A repository that is read may be hostile or partial: no transport, no pager, no hooks, no external diff.
_SAFE_CONFIG = (
    "-c", "protocol.allow=never",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "log.showSignature=false",
    "-c", "diff.renames=true",
    "-c", "diff.renameLimit=1000",
    "-c", "diff.algorithm=myers",
    "-c", "diff.indentHeuristic=false",  # it moves hunks, not counts, and takes time
    "-c", "diff.ignoreSubmodules=none",
    "-c", "core.deltaBaseCacheLimit=256m",
)  # fmt: skip

_KEPT_GIT_VARIABLES = frozenset(
    {
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CEILING_DIRECTORIES",
        "GIT_EXEC_PATH",
    }
)


def git_environment() -> dict[str, str]:
    """The environment for git: ours without GIT_DIR and its like (a hook sets them), in the C locale."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT_GIT_VARIABLES
    }
    environment.update(
        LC_ALL="C",
        LANGUAGE="C",
        GIT_TERMINAL_PROMPT="0",
        GIT_NO_LAZY_FETCH="1",
        GIT_OPTIONAL_LOCKS="0",
        GIT_PAGER="cat",
        # glibc would give every large blob back to the kernel and fault it in again for the next one
        MALLOC_MMAP_THRESHOLD_="33554432",
        MALLOC_TRIM_THRESHOLD_="1073741824",
        MALLOC_TOP_PAD_="16777216",
    )
    return environment


def git_command(directory: Path, *arguments: str) -> list[str]:
    return ["git", *_SAFE_CONFIG, "-C", str(directory), *arguments]


def run_git(directory: Path, *arguments: str, stdin: bytes = b"", accept: Sequence[int] = (0,)) -> bytes:
    """The standard output of a git command.

    Raises :class:`RepositoryError` when git is missing or ends with a status that is not in ``accept``.
    """
    try:
        result = subprocess.run(
            git_command(directory, *arguments),
            input=stdin,
            capture_output=True,
            env=git_environment(),
            check=False,
        )
    except FileNotFoundError:
        raise RepositoryError("git is not installed, or not on PATH: install git and try again") from None
    if result.returncode not in accept:
        raise RepositoryError(explain_failure(directory, result.stderr))
    return result.stdout


def explain_failure(directory: Path, stderr: bytes) -> str:
    """One sentence for what git printed on standard error."""
    text = stderr.decode("utf-8", "replace").strip()
    if "dubious ownership" in text:
        return (
            f"git refuses to read {directory}, because it belongs to another user; if you trust it, "
            f"allow it with: git config --global --add safe.directory {directory}"
        )
    if "not a git repository" in text:
        return f"{directory} is not a git repository"
    fatal = [line for line in text.splitlines() if line.startswith(("fatal:", "error:"))]
    reason = (fatal or text.splitlines() or ["it gave no reason"])[0]
    return f"git could not read {directory}: {reason.removeprefix('fatal: ').removeprefix('error: ')}"
