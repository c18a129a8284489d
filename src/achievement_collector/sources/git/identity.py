"""Who git is set up for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from achievement_collector.sources.git.process import git_environment


def configured_email(directory: Path) -> str:
    """``user.email`` in force at ``directory``; empty where none is set."""
    result = subprocess.run(
        ["git", "-C", str(directory), "config", "--get", "user.email"],
        capture_output=True,
        env=git_environment(),
        check=False,
    )
    return result.stdout.decode("utf-8", "replace").strip() if result.returncode == 0 else ""
