"""Who git is set up for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from achievement_collector.sources.git.process import git_environment


def configured_email(directory: Path) -> str:
    """``user.email`` in force at ``directory``; empty where none is set."""
    return _configured(directory, "user.email")


def configured_name(directory: Path) -> str:
    """``user.name`` in force at ``directory``; empty where none is set."""
    return _configured(directory, "user.name")


def _configured(directory: Path, key: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(directory), "config", "--get", key],
        capture_output=True,
        env=git_environment(),
        check=False,
    )
    return result.stdout.decode("utf-8", "replace").strip() if result.returncode == 0 else ""
