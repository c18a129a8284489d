"""How much of a change is work: lines that count, and lines that do not, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from achievement_collector.derive.conclusions import Size
from achievement_collector.derive.paths import COUNTED, PathRole, path_info
from achievement_collector.facts import FileChange

SPACING = "white space only"
FORMATTING = "formatting, listed in .git-blame-ignore-revs"
MOVED = "moved"
SUBMODULE = "submodule"
VERSION = "version numbers"
REFORMATTED = "formatting, as its subject says"
IMPORTED = "brought in from a translation platform"

_VERSION_FILE = re.compile(
    r"(?:^|/)(?:VERSION(?:\.txt)?|version\.\w+|_version\.py|__version__\.py|__about__\.py|package\.json|package-lock\.json"
    r"|pyproject\.toml|setup\.(?:py|cfg)|Cargo\.toml|pom\.xml|build\.gradle(?:\.kts)?|gradle\.properties|[\w.-]+\.gemspec"
    r"|[\w.-]+\.csproj|mix\.exs|pubspec\.yaml|composer\.json|lerna\.json|manifest\.json|\.release-please-manifest\.json"
    r"|__init__\.py|Chart\.yaml|[\w.-]+\.podspec|META6?\.json|version\.go|GIT-VERSION-GEN|configure\.ac|CMakeLists\.txt)$",
    re.IGNORECASE,
)
_MOST_LINES_OF_A_VERSION = 4
_VERSION_SUBJECT = re.compile(
    r"^\W*(?:(?:chore|build|release)(?:\([^)]*\))?!?:\s*)?"
    r"(?:(?:bump|set|update|change|increment|raise|prepare|start|begin|back to)\b.*"
    r"\b(?:version|release|development|dev|snapshot)\b"
    r"|(?:bump|prepare|release|publish|version|tag|cut)\b.*\bv?\d+\.\d+"
    r"|release\s*:?\s*v?\d+\.\d+|\[?release\]?|v?\d+\.\d+(?:\.\d+)*(?:[-.]?\w+){0,4}\s*$"
    r"|.*\bversion bump\b|.*\bbump version\b)",
    re.IGNORECASE,
)
_DEPENDENCY_SUBJECT = re.compile(
    r"\b(?:from v?[\d^~]\S* to v?[\d^~]\S*|dependenc|deps\b|lock ?file)", re.IGNORECASE
)


_TYPE = r"^\W*(?:(?!feat|perf)\w+(?:\([^)]*\))?!?:\s*)?"  # a new feature may be about such a tool
_PLATFORM = r"(?:crowdin|transifex|weblate|lokalise|poeditor)"
_IMPORT = re.compile(
    rf"{_TYPE}(?:\[\w+\]\s*)?(?:new crowdin (?:updates?|translations?)\b"
    rf"|(?:updat|sync|pull|import|download|merg)\w*\b[\w ]{{0,30}}\b{_PLATFORM} (?:translation|string|locale|update)s?\b"
    rf"|(?:updat|sync|pull|import|download|merg)\w*\b[\w ]{{0,30}}\b(?:translation|string|locale)s? from {_PLATFORM}\b"
    r"|new translations \S+ \([\w ,-]+\)|updates? for file \S+ in \w+(?: on branch \S+)?$)",
    re.IGNORECASE,
)
_PYTHON = frozenset({"Python", "Jupyter Notebook"})
_WEB = frozenset({"JavaScript", "TypeScript", "Vue", "Svelte", "CSS", "SCSS", "Less", "HTML", "GraphQL", ""})
_C = frozenset({"C", "C++", "Objective-C", "Java", "JavaScript", "C#", "Protocol Buffers", "CUDA"})
_FORMATTERS = {  # by the word in the subject: the languages of what it writes
    **dict.fromkeys(
        ("black", "blacken", "blackened", "isort", "ruff", "ruff format", "yapf", "autopep8"), _PYTHON
    ),
    **dict.fromkeys(("rustfmt", "cargo fmt"), frozenset({"Rust"})),
    **dict.fromkeys(("gofmt", "go fmt", "goimports", "gofumpt"), frozenset({"Go"})),
    **dict.fromkeys(("prettier", "biome"), _WEB),
    "clang-format": _C,
}
_FORMATTER = "(" + "|".join(sorted(map(re.escape, _FORMATTERS), reverse=True)) + ")"
_ALL = r"(?: (?:all|the|whole|entire|every|source|code|codebase|code base|files?|everything|python)){0,4}"
_REFORMAT = re.compile(
    rf"{_TYPE}(?:(?:apply|run|re-?run|ran|applied)\ |(?:re-?)?format(?:ted|s)?\b{_ALL}\ (?:with|using|by)\ )?{_FORMATTER}"
    r"(?: (?:on|over|to) [\w ./]{1,30})?\.?(?: \(#\d+\))?$",
    re.IGNORECASE,
)
_WRITTEN_BY_FORMATTERS = frozenset({PathRole.SOURCE, PathRole.TEST, PathRole.DOCS, PathRole.CONFIG})
_BROUGHT_IN = frozenset({PathRole.DOCS, PathRole.CONFIG, PathRole.TRANSLATION, PathRole.DATA})


class Unwritten(NamedTuple):
    """What nobody wrote by hand in a commit: the lines of files of these roles and languages ("" where a file has none)."""

    reason: str
    roles: frozenset[PathRole]
    languages: frozenset[str]

    def covers(self, path: str) -> bool:
        info = path_info(path)
        return info.role in self.roles and info.language in self.languages


def unwritten(subject: str) -> Unwritten | None:
    """What a formatter wrote in a commit, or translators on a platform whose work was brought in, as its subject says. Only
    what such a one can write is meant: a workflow that runs the formatter, and the code that fetches translations, are
    somebody's work."""
    if _IMPORT.match(subject[:300]):
        return Unwritten(IMPORTED, _BROUGHT_IN, frozenset({""}))
    found = _REFORMAT.match(subject[:300])
    return Unwritten(REFORMATTED, _WRITTEN_BY_FORMATTERS, _FORMATTERS[found[1].lower()]) if found else None


def is_version_bump(subject: str) -> bool:
    """Whether a subject says that a version number was raised (the project's own, not a dependency's)."""
    return bool(_VERSION_SUBJECT.match(subject[:300])) and not _DEPENDENCY_SUBJECT.search(subject[:300])


def measure(
    files: Iterable[FileChange],
    *,
    spaceless: Mapping[str, tuple[int, int]] | None = None,
    is_formatting: bool = False,
    is_version_bump: bool = False,
    is_measured: bool = True,
    by_tools: Unwritten | None = None,
) -> Size:
    """The size of one commit.

    ``spaceless`` maps paths to (added, deleted) with white space ignored, where that was asked for: a file
    that shrinks there counts only as far. ``is_formatting``: the project lists the commit as formatting, so
    nothing counts. ``is_version_bump``: small changes in version files are left out. ``is_measured`` is False
    where git cannot tell what the commit changed. ``by_tools``: what nobody wrote by hand, see :func:`unwritten`.
    """
    if not is_measured:
        return Size(is_measured=False)
    added = deleted = counted = 0
    left: dict[str, int] = {}
    for file in files:
        if file.added is None or file.deleted is None:
            continue
        plus, minus = file.added, file.deleted
        total = plus + minus
        if file.mode == "160000":
            left[SUBMODULE] = left.get(SUBMODULE, 0) + total
            continue
        if is_formatting:
            left[FORMATTING] = left.get(FORMATTING, 0) + total
            continue
        if by_tools is not None and by_tools.covers(file.path):
            left[by_tools.reason] = left.get(by_tools.reason, 0) + total
            continue
        if not total:
            if file.status == "R":
                left.setdefault(MOVED, 0)
            continue
        role = path_info(file.path).role
        if role not in COUNTED:
            left[role] = left.get(role, 0) + total
            continue
        if is_version_bump and total <= _MOST_LINES_OF_A_VERSION and _VERSION_FILE.search(file.path):
            left[VERSION] = left.get(VERSION, 0) + total
            continue
        if spaceless is not None:
            kept_plus, kept_minus = spaceless.get(file.path, (0, 0))
            if kept_plus + kept_minus < total:
                left[SPACING] = left.get(SPACING, 0) + total - kept_plus - kept_minus
                plus, minus = min(kept_plus, plus), min(kept_minus, minus)
                if not plus + minus:
                    continue
        added += plus
        deleted += minus
        counted += 1
    return Size(added, deleted, counted, sum(left.values()), tuple(left.items()))


def merge_sizes(sizes: Iterable[Size], files: int) -> Size:
    """The size of a change with several commits; ``files`` is the number of different files that count."""
    added = deleted = 0
    left: dict[str, int] = {}
    is_measured = False
    for size in sizes:
        added += size.lines_added
        deleted += size.lines_deleted
        is_measured = is_measured or size.is_measured
        for reason, lines in size.left_out:
            left[reason] = left.get(reason, 0) + lines
    return Size(added, deleted, files, sum(left.values()), tuple(left.items()), is_measured)
