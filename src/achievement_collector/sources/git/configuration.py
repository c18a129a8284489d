"""What the user has set git up for; here their own configuration counts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from achievement_collector.sources.git.process import git_environment


def configured_email(directory: Path) -> str:
    """``user.email`` in force at ``directory``; empty where none is set."""
    return _configured(directory, "user.email")


def configured_name(directory: Path) -> str:
    """``user.name`` in force at ``directory``; empty where none is set."""
    return _configured(directory, "user.name")


def hooks_folder(directory: Path) -> Path | None:
    """The folder in which git looks for hooks at ``directory``; None where git cannot tell."""
    told = _asked(directory, "rev-parse", "--git-path", "hooks")
    return directory / told if told else None


def _configured(directory: Path, key: str) -> str:
    return _asked(directory, "config", "--get", key).strip()


def _asked(directory: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, env=git_environment(), check=False
    )
    return os.fsdecode(result.stdout).rstrip("\n") if result.returncode == 0 else ""
