"""The workflows for GitHub Actions: one measures changes, one reports on CI, one keeps Notion up to date."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from achievement_collector.errors import CollectorError, RepositoryError
from achievement_collector.services.exporting import write_file
from achievement_collector.sources.git.checkout import open_checkout, read_refs
from achievement_collector.sources.git.process import run_git

NAMES = ("achievement-tracker", "ci-intelligence-report", "notion-roadmap-sync")
"""The workflows, by the names of their files without ``.yml``."""

_FOLDER = Path(".github", "workflows")
_BRANCHES = 'branches: ["main"]'
_WATCHED = 'workflows: ["achievement tracker"]'
_OWN = frozenset({"CI intelligence report", "Notion roadmap sync"})  # these are no CI
_MOST_WATCHED = 50
_LARGEST_WORKFLOW = 1_000_000  # bytes
_NAME = re.compile(
    r"""^name:[ \t]+(?:"([^"\\\r\n]+)"|'([^'\r\n]+)'|([^\s"'&*!|>%@`\[\]{}#][^\r\n]*?))[ \t]*(?:[ \t]\#[^\r\n]*)?\r?$""",
    re.MULTILINE,
)


def workflow_file(
    default_branch: str = "main", name: str = "achievement-tracker", watched: Sequence[str] = ()
) -> str:
    """The text of a workflow, for a repository with this default branch. ``watched`` are the names of the workflows whose
    end starts the CI intelligence report; without any it is the achievement tracker."""
    if name not in NAMES:
        raise CollectorError(f"there is no workflow {name[:80]!r}; these are: {', '.join(NAMES)}")
    if not default_branch.isprintable():
        raise CollectorError(
            f"the default branch {default_branch!r} has a name that cannot stand in a workflow"
        )
    template = files("achievement_collector.present") / "templates" / "workflows" / f"{name}.yml"
    # a filter of branches is a pattern; git allows these of its special characters in a name
    pattern = re.sub(r"([+!\]])", r"\\\1", default_branch)
    text = template.read_text("utf-8").replace(_BRANCHES, f"branches: [{_quoted(pattern)}]")
    if watched:
        text = text.replace(_WATCHED, f"workflows: [{', '.join(map(_quoted, watched))}]")
    return text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def workflow_for(folder: Path, name: str = "achievement-tracker") -> str:
    """The text of a workflow for the repository that ``folder`` is or lies in."""
    checkout = open_checkout(folder)
    watched = () if checkout.is_bare else watched_workflows(_top(checkout.path))
    return workflow_file(read_refs(checkout).default_branch or "main", name, watched)


def watched_workflows(top: Path) -> tuple[str, ...]:
    """The names of the workflows that a repository has in its work tree at ``top``, in order, without those that report on
    them; one without a name goes by its path, as GitHub shows it. Names that are no plain text in YAML are left out. The
    achievement tracker is always among them, since it is written along."""
    found = {"achievement tracker"}
    folder = top / _FOLDER
    if folder.resolve().is_relative_to(top) and folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".yml", ".yaml") or path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                text = file.read(_LARGEST_WORKFLOW).decode("utf-8", "replace")
            if not re.search(r"^name:", text, re.MULTILINE):
                name = f"{_FOLDER.as_posix()}/{path.name}"
            elif told := _NAME.search(text):
                name = (told[1] or told[2] or told[3]).strip()
            else:
                continue
            if name.isprintable() and "\N{REPLACEMENT CHARACTER}" not in name and "${{" not in name:
                found.add(name)
    return tuple(sorted(found - _OWN)[:_MOST_WATCHED])


def write_workflow(folder: Path, *, force: bool, name: str = "achievement-tracker") -> Path:
    """Writes ``.github/workflows/achievement-tracker.yml``, or another of :data:`NAMES`, as :func:`write_workflows` does."""
    (path,) = write_workflows(folder, force=force, names=(name,))
    return path


def write_workflows(folder: Path, *, force: bool, names: Sequence[str] = NAMES) -> list[Path]:
    """Writes workflows into ``.github/workflows`` of the repository that ``folder`` is or lies in; gives their paths.

    Raises :class:`CollectorError` where another file is there, or the same with changes, and ``force`` is not given, and
    where the place lies outside the repository. Then none is written.
    """
    checkout = open_checkout(folder)
    if checkout.is_bare:
        raise RepositoryError(
            f"{folder} is a bare repository; name a checkout, where the file can be committed"
        )
    top = _top(checkout.path)
    place = top / _FOLDER
    if not place.resolve().is_relative_to(top):
        raise CollectorError(f"{place} leads out of the repository, to {place.resolve()}")
    wanted = {place / f"{name}.yml": workflow_for(folder, name).encode() for name in names}
    missing = []
    for path, content in wanted.items():
        try:
            if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
                continue
            if os.path.lexists(path) and not force:
                raise CollectorError(
                    f"{path} is there already; --force replaces it, and what was changed in it is lost"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CollectorError(f"{path} cannot be written: {error.strerror}") from None
        missing.append(path)
    for path in missing:
        write_file(path, wanted[path])
    return list(wanted)


def _top(path: Path) -> Path:
    told = run_git(path, "rev-parse", "--show-toplevel").removesuffix(b"\n")
    return Path(os.fsdecode(told)).resolve()
