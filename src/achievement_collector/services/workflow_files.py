"""The workflows for GitHub Actions: one measures changes, one reports on CI, one keeps Notion up to date."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

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
    watched = () if checkout.is_bare else watched_workflows(_top(checkout.path)).names
    return workflow_file(read_refs(checkout).default_branch or "main", name, watched)


class Watched(NamedTuple):
    """The names of workflows whose end starts the CI intelligence report, in order, and in a sentence for each of those of which
    it does not, why."""

    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def watched_workflows(top: Path) -> Watched:
    """The workflows that a repository has in its work tree at ``top``, without those that report on them. One without a name goes
    by its path, as GitHub shows it. The achievement tracker is always among them, since it is written along."""
    found, left_out = {"achievement tracker"}, []
    folder = top / _FOLDER
    if folder.resolve().is_relative_to(top) and folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix in (".yml", ".yaml") and not path.is_dir():
                place = f"{_FOLDER.as_posix()}/{path.name}"
                try:
                    found.add(_name_of(path) or place)
                except CollectorError as error:
                    if path.stem not in NAMES:  # these are written along
                        left_out.append(f"{place} is not watched: {error}")
    names = sorted(found - _OWN)
    if len(names) > _MOST_WATCHED:
        rest = ", ".join(names[_MOST_WATCHED:])
        left_out.append(f"not watched, since {_MOST_WATCHED} workflows are at most: {rest}")
    return Watched(tuple(names[:_MOST_WATCHED]), tuple(left_out))


def unwatched_workflows(folder: Path) -> tuple[str, ...]:
    """Why workflows of the repository that ``folder`` is or lies in do not start the CI intelligence report, in sentences."""
    checkout = open_checkout(folder)
    return () if checkout.is_bare else watched_workflows(_top(checkout.path)).left_out


def _name_of(path: Path) -> str:
    """The name that a workflow gives itself, empty where it gives none. Raises :class:`CollectorError` where it is not to be had,
    or cannot be written into another workflow."""
    if path.is_symlink() or not path.is_file():
        raise CollectorError("it is no regular file")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_WORKFLOW + 1)
    except OSError as error:
        raise CollectorError(f"it cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_WORKFLOW:
        raise CollectorError(f"it has more than {_LARGEST_WORKFLOW:,} bytes")
    name = _scalar(content, "name").strip()
    if not name.isprintable() or "\N{REPLACEMENT CHARACTER}" in name:
        raise CollectorError("its name holds characters that cannot be shown")
    if "${{" in name:
        raise CollectorError("its name holds an expression")
    return name


def _scalar(content: bytes, wanted: str) -> str:
    """The text at a key of the mapping that a YAML document is, empty where it has none; no value is built from it."""
    import yaml

    try:
        document = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise CollectorError(f"it is no YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    if not isinstance(document, yaml.MappingNode):
        raise CollectorError("it is no workflow")
    for key, value in document.value:
        if isinstance(key, yaml.ScalarNode) and key.value == wanted:
            if not isinstance(value, yaml.ScalarNode):
                raise CollectorError(f"its {wanted} is no text")
            return "" if value.tag == "tag:yaml.org,2002:null" else str(value.value)
    return ""


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
