"""The workflow for GitHub Actions that measures changes and hands the measures in."""

from __future__ import annotations

import json
import os
import re
from importlib.resources import files
from pathlib import Path

from achievement_collector.errors import CollectorError, RepositoryError
from achievement_collector.services.exporting import write_file
from achievement_collector.sources.git.checkout import open_checkout, read_refs
from achievement_collector.sources.git.process import run_git

_PLACE = Path(".github", "workflows", "achievement-tracker.yml")
_BRANCHES = 'branches: ["main"]'


def workflow_file(default_branch: str = "main") -> str:
    """The text of the workflow, for a repository with this default branch."""
    if not default_branch.isprintable():
        raise CollectorError(
            f"the default branch {default_branch!r} has a name that cannot stand in a workflow"
        )
    template = files("achievement_collector.present") / "templates" / "workflows" / _PLACE.name
    # a filter of branches is a pattern; git allows these of its special characters in a name
    pattern = re.sub(r"([+!\]])", r"\\\1", default_branch)
    branches = f"branches: [{json.dumps(pattern, ensure_ascii=False)}]"
    return template.read_text("utf-8").replace(_BRANCHES, branches)


def workflow_for(folder: Path) -> str:
    """The text of the workflow for the repository that ``folder`` is or lies in."""
    return workflow_file(read_refs(open_checkout(folder)).default_branch or "main")


def write_workflow(folder: Path, *, force: bool) -> Path:
    """Writes ``.github/workflows/achievement-tracker.yml`` into the repository that ``folder`` is or lies in.

    Raises :class:`CollectorError` where another file is there, or the same with changes, and ``force`` is not given, and
    where the place lies outside the repository.
    """
    checkout = open_checkout(folder)
    if checkout.is_bare:
        raise RepositoryError(
            f"{folder} is a bare repository; name a checkout, where the file can be committed"
        )
    content = workflow_for(folder).encode()
    top = Path(
        os.fsdecode(run_git(checkout.path, "rev-parse", "--show-toplevel").removesuffix(b"\n"))
    ).resolve()
    path = top / _PLACE
    if not path.parent.resolve().is_relative_to(top):
        raise CollectorError(f"{path.parent} leads out of the repository, to {path.parent.resolve()}")
    try:
        if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
            return path
        if os.path.lexists(path) and not force:
            raise CollectorError(
                f"{path} is there already; --force replaces it, and what was changed in it is lost"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CollectorError(f"{path} cannot be written: {error.strerror}") from None
    write_file(path, content)
    return path
