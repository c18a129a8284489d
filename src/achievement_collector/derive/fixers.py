"""Which built-in fixer may be tried at a failure, and which of its changes may be proposed.

Both are decided by the failure's category and by files of the failing commit. Nothing that a log, a job or a branch is called
has a say, so no text from there can name a program, a package or a path.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from achievement_collector.derive.paths import PathRole, path_info

MOST_FILES = 300
"""Files that one proposal may change."""

LONGEST_FILE = 1 << 20
"""Bytes of a configuration file that are looked at; a longer one says nothing."""


class Need(NamedTuple):
    """A file in the root folder; with ``table`` one that has this key, with ``text`` one that has this text."""

    file: str
    table: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Fixer:
    """A program with fixed arguments (see ``rules/fixers.toml``). ``runs_code`` says why the repository's own code may be
    executed by it, empty where it cannot be."""

    name: str
    kind: str
    subject: str
    categories: frozenset[str]
    program: str
    arguments: tuple[str, ...]
    accept: frozenset[int]
    needs: tuple[tuple[Need, ...], ...]
    unless: tuple[tuple[Need, ...], ...]
    may_change: tuple[str, ...]
    runs_code: str
    uses_network: bool
    most_lines: int

    def fits(self, category: str, root: Mapping[str, bytes]) -> bool:
        """Whether it may be tried at a failure of ``category``, given files of the root folder by name."""
        return (
            category in self.categories
            and any(all(_is_met(need, root) for need in group) for group in self.needs)
            and not any(all(_is_met(need, root) for need in group) for group in self.unless)
        )


@cache
def shipped_fixers() -> tuple[Fixer, ...]:
    """The allow-list, in the order in which fixers are tried."""
    data = tomllib.loads((files(__package__) / "rules" / "fixers.toml").read_text("utf-8"))
    return tuple(_fixer(one) for one in data["fixer"])


def _fixer(one: Mapping[str, Any]) -> Fixer:
    return Fixer(
        one["name"], one["kind"], one["subject"], frozenset(one["categories"]), one["program"], tuple(one["arguments"]),
        frozenset(one.get("accept", [0])), _groups(one["needs"]), _groups(one.get("unless", [])), tuple(one["may_change"]),
        one.get("runs_code", ""), one.get("uses_network", False), one.get("most_lines", 5_000),
    )  # fmt: skip


def _groups(found: Iterable[Iterable[Mapping[str, str]]]) -> tuple[tuple[Need, ...], ...]:
    return tuple(
        tuple(Need(one["file"], tuple(filter(None, one.get("table", "").split("."))), one.get("text", "")) for one in group)
        for group in found
    )  # fmt: skip


def files_asked_for(fixers: Iterable[Fixer]) -> frozenset[str]:
    """The names of the files in the root folder that decide which fixers fit."""
    return frozenset(need.file for one in fixers for group in (*one.needs, *one.unless) for need in group)


def _is_met(need: Need, root: Mapping[str, bytes]) -> bool:
    content = root.get(need.file)
    if content is None:
        return False
    if not need.table and not need.text:
        return True
    if len(content) > LONGEST_FILE:
        return False
    if need.text:
        return need.text.encode() in content
    found: Any = _document(need.file, content)
    for name in need.table:
        if not isinstance(found, Mapping) or name not in found:
            return False
        found = found[name]
    return True


def _document(name: str, content: bytes) -> Any:
    try:
        text = content.decode("utf-8")
        return json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


# --- what it may change ------------------------------------------------------------------------------


class Change(NamedTuple):
    """A file that a fixer changed: None before where it is new, None after where it is gone."""

    path: str
    before: bytes | None
    after: bytes | None


_TESTS = frozenset(
    {
        "test", "tests", "spec", "specs", "testing", "testdata", "test-data", "test_data", "fixtures", "__tests__", "__mocks__",
        "__snapshots__", "__fixtures__", "e2e", "cypress", "playwright", "golden", "goldens", "cassettes", "androidtest",
        "testsuite",
    }
)  # fmt: skip
_CI = frozenset(
    {
        ".github", ".gitlab", ".circleci", ".buildkite", ".azure-pipelines", ".jenkins", ".woodpecker", ".semaphore", ".builds",
        ".ci", ".travis", ".tekton", ".teamcity", ".concourse", ".drone", ".kokoro", ".forgejo", ".gitea", ".husky",
    }
)  # fmt: skip
_SNAPSHOT = "snapshot"
_SILENCERS = re.compile(
    rb"noqa|type:\s*ignore|pylint:\s*disable|eslint-disable|prettier-ignore|fmt:\s*(?:off|skip)|nolint|@ts-(?:ignore|expect-error"
    rb"|nocheck)|xfail|\bskip(?:if)?\b|#!?\[allow|rubocop:disable|istanbul ignore|pragma: no cover",
    re.IGNORECASE,
)


def is_test_path(path: str) -> bool:
    """Whether a path is of tests or of what they compare with."""
    folders = path.casefold().split("/")[:-1]
    return bool(_TESTS.intersection(folders)) or path_info(path).role is PathRole.TEST or (
        # the role of what is generated or vendored hides that of a test
        path_info(path.rpartition("/")[2]).role is PathRole.TEST
    )  # fmt: skip


def is_ci_path(path: str) -> bool:
    """Whether a path belongs to what CI runs."""
    parts = path.casefold().split("/")
    return bool(_CI.intersection(parts)) or parts[0] == "ci" or path_info(path).role is PathRole.CI


def refusal(fixer: Fixer, changes: Sequence[Change], lines: int) -> str:
    """Why the changes that a fixer made are not proposed; empty where they are. ``lines`` are those added and removed."""
    if not changes:
        return "it changed nothing"
    if len(changes) > MOST_FILES:
        return f"it changed {len(changes):,} files, {MOST_FILES} are the most"
    for one in changes:
        if is_ci_path(one.path):
            return f"it changed a file of CI: {one.path}"
        is_snapshot = fixer.kind == _SNAPSHOT and _may_change(fixer, one.path)
        if is_test_path(one.path) and not is_snapshot:
            return f"it changed a test: {one.path}"
        if not _may_change(fixer, one.path):
            return f"it changed a file that it has no business with: {one.path}"
        if one.after is None:
            return f"it deleted {one.path}"
        if one.before is None and fixer.kind != _SNAPSHOT:
            return f"it made a new file: {one.path}"
        if (
            len(_SILENCERS.findall(one.after)) > len(_SILENCERS.findall(one.before or b""))
            and not is_snapshot
        ):
            return f"it silenced a check in {one.path}"
    if lines > fixer.most_lines:
        return f"it changed {lines:,} lines, {fixer.most_lines:,} are the most"
    return ""


def _may_change(fixer: Fixer, path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for pattern in fixer.may_change)
