"""Signatures of failures that people wrote: a folder of YAML files, one signature or a list of them in each.

A signature has ``name``, ``version``, ``patterns`` (or ``pattern``), ``category`` and ``explanation``, and may have ``issue`` (a
link), ``not`` (patterns that must be in no line) and ``match`` (``any`` of its patterns, which is the default, or ``all``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from achievement_collector.derive.failures.categories import FailureCategory
from achievement_collector.errors import ConfigurationError

_MOST_BYTES = 256 * 1024
_MOST_FILES = 500
_MOST_PATTERNS = 50
_LONGEST_PATTERN = 500
_LONGEST_LINE = 1_000
_DEEPEST = 10
_NAME = re.compile(r"[A-Za-z0-9][\w .:/-]{0,99}")
_KEYS = frozenset(
    {"name", "version", "pattern", "patterns", "not", "match", "category", "explanation", "issue"}
)
# a group that repeats what repeats, or alternatives that repeat: these can take time that doubles with each character
_EXPLODES = re.compile(
    r"\((?!\?[=!<])(?:[^()\\]|\\.)*(?:[+*]|\{\d+,\d*\}|\|)(?:[^()\\]|\\.)*\)(?:[+*]|\{\d+,\d*\})"
)


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A signature that a person wrote. ``place`` is file and line, for messages."""

    name: str
    version: int
    patterns: tuple[re.Pattern[str], ...]
    category: FailureCategory
    explanation: str
    issue: str = ""
    unless: tuple[re.Pattern[str], ...] = ()
    all_of: bool = False
    place: str = ""

    def line_of(self, lines: Sequence[str]) -> int | None:
        """The index of the first line that it knows; None where it does not know this failure."""
        if any(pattern.search(line[:_LONGEST_LINE]) for pattern in self.unless for line in lines):
            return None
        found = [
            next((number for number, line in enumerate(lines) if pattern.search(line[:_LONGEST_LINE])), None)
            for pattern in self.patterns
        ]
        places = [number for number in found if number is not None]
        if not places or (self.all_of and len(places) < len(found)):
            return None
        return min(places)


class Match(NamedTuple):
    """``line`` is the index of the line that decided."""

    signature: KnownFailure
    line: int


class Signatures:
    """The signatures of a folder, in the order of their names."""

    def __init__(self, known: Iterable[KnownFailure]) -> None:
        self.known = tuple(sorted(known, key=lambda one: one.name.casefold()))

    @classmethod
    def load(cls, folder: Path) -> Signatures:
        """Reads ``*.yaml`` and ``*.yml`` of a folder (not of folders in it); a folder that is not there has none.

        Raises :class:`ConfigurationError`; its message has a line, with file, line and key, for each mistake.
        """
        if not folder.exists():
            return cls(())
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be read: {error.strerror}") from None
        mistakes: list[str] = []
        if len(paths) > _MOST_FILES:
            raise ConfigurationError(f"{folder} has {len(paths)} files; at most {_MOST_FILES} are read")
        known: dict[str, KnownFailure] = {}
        for path in paths:
            for one in _File(path, mistakes).signatures():
                if (other := known.setdefault(one.name.casefold(), one)) is not one:
                    mistakes.append(f"{one.place}: the name {one.name!r} is used already, in {other.place}")
        if mistakes:
            raise ConfigurationError(";\n".join(mistakes))
        return cls(known.values())

    def match(self, lines: Sequence[str]) -> Match | None:
        """The first signature, by name, that knows these lines, and the line that decided."""
        for one in self.known:
            if (line := one.line_of(lines)) is not None:
                return Match(one, line)
        return None

    @property
    def digest(self) -> str:
        """Changes when what the signatures mean changes: where it differs, past failures are to be matched again."""
        text = "\0".join(
            repr((one.name, one.version, tuple(p.pattern for p in one.patterns), one.category.value, one.explanation,
                  one.issue, tuple(p.pattern for p in one.unless), one.all_of))
            for one in self.known
        )  # fmt: skip
        return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]

    def __bool__(self) -> bool:
        return bool(self.known)


class _File:
    """One file, read as YAML nodes, so that each key keeps its line; what is wrong goes to ``mistakes``."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        self._path, self._mistakes = path, mistakes

    def signatures(self) -> list[KnownFailure]:
        import yaml  # an extra that only those need who wrote signatures

        try:
            with self._path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                self._wrong(1, f"larger than {_MOST_BYTES // 1024} KiB, too large for signatures")
                return []
            text = data.decode("utf-8-sig")
            depth = 0
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
                    event, yaml.CollectionEndEvent
                )
                if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
                    what = (
                        "references such as *name are not followed"
                        if depth <= _DEEPEST
                        else "too many levels"
                    )
                    self._wrong(event.start_mark.line + 1 if event.start_mark else 1, what)
                    return []
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except OSError as error:
            self._wrong(1, f"cannot be read: {error.strerror}")
            return []
        except UnicodeDecodeError as error:
            self._wrong(data.count(b"\n", 0, error.start) + 1, "the text is not UTF-8")
            return []
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._wrong(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem or error.context}")
            return []
        except yaml.YAMLError:
            self._wrong(1, "this is no YAML")
            return []
        if root is None:
            return []
        nodes = root.value if isinstance(root, yaml.SequenceNode) else [root]
        return [made for node in nodes if (made := self._made(node)) is not None]

    def _wrong(self, line: int, text: str) -> None:
        self._mistakes.append(f"{self._path}, line {line}: {text}")

    def _made(self, node: Any) -> KnownFailure | None:
        import yaml

        begin = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            self._wrong(begin, "a signature must begin with a key such as name:")
            return None
        before = len(self._mistakes)
        given: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in _KEYS:
                self._wrong(
                    key.start_mark.line + 1, f"unknown key {name!r}; known are {', '.join(sorted(_KEYS))}"
                )
            elif name in given:
                self._wrong(key.start_mark.line + 1, f"{name} stands here again")
            given[name] = value
        for name in ("name", "version", "category", "explanation"):
            if name not in given:
                self._wrong(begin, f"{name} is missing")
        if ("pattern" in given) == ("patterns" in given):
            self._wrong(begin, "give either pattern or patterns")
        title = self._text(given, "name", 100)
        if title and not _NAME.fullmatch(title):
            self._wrong(self._line(given, "name"), "name must be at most 100 letters, digits and . : / - _")
        version = self._text(given, "version", 9)
        if version and not (version.isascii() and version.isdigit() and int(version) > 0):
            self._wrong(self._line(given, "version"), "version must be a whole number from 1")
        category = self._text(given, "category", 50)
        allowed = [one.value for one in FailureCategory if one is not FailureCategory.NONE]
        if category and category not in allowed:
            self._wrong(self._line(given, "category"), f"category must be one of {', '.join(allowed)}")
        issue = self._text(given, "issue", 500)
        if issue and (urlsplit(issue).scheme not in ("http", "https") or not urlsplit(issue).hostname):
            self._wrong(self._line(given, "issue"), "issue must be a link that begins with https://")
        match = self._text(given, "match", 10) or "any"
        if match not in ("any", "all"):
            self._wrong(self._line(given, "match"), "match must be any or all")
        explanation = self._text(given, "explanation", 2_000)
        patterns = self._patterns(given, "patterns" if "patterns" in given else "pattern")
        unless = self._patterns(given, "not")
        if len(self._mistakes) > before:
            return None
        return KnownFailure(
            title, int(version), patterns, FailureCategory(category), " ".join(explanation.split()), issue, unless,
            match == "all", f"{self._path}, line {begin}",
        )  # fmt: skip

    @staticmethod
    def _line(given: dict[str, Any], name: str) -> int:
        return int(given[name].start_mark.line) + 1

    def _text(self, given: dict[str, Any], name: str, longest: int) -> str:
        """The text of a key; a mistake where it is there and holds none."""
        if name not in given:
            return ""
        value = given[name].value
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            self._wrong(self._line(given, name), f"{name} must be text of at most {longest:,} characters")
            return ""
        return value.strip()

    def _patterns(self, given: dict[str, Any], name: str) -> tuple[re.Pattern[str], ...]:
        if name not in given:
            return ()
        node = given[name]
        nodes = node.value if isinstance(node.value, list) else [node]
        if not nodes or len(nodes) > _MOST_PATTERNS:
            self._wrong(self._line(given, name), f"{name} must hold 1 to {_MOST_PATTERNS} patterns")
        found = []
        for one in nodes:
            line = (one[0] if isinstance(one, tuple) else one).start_mark.line + 1
            text = None if isinstance(one, tuple) else one.value
            if not isinstance(text, str) or not text or len(text) > _LONGEST_PATTERN:
                self._wrong(line, f"{name} must be text of at most {_LONGEST_PATTERN} characters")
                continue
            try:
                pattern = re.compile(text)
            except (re.error, OverflowError, RecursionError) as error:
                self._wrong(line, f"{name}: {text[:80]!r} is no regular expression: {error}")
                continue
            if _EXPLODES.search(text):
                self._wrong(
                    line, f"{name}: {text[:80]!r} repeats a group that repeats, which can take for ever"
                )
            elif pattern.search(""):
                self._wrong(line, f"{name}: {text[:80]!r} matches every line")
            else:
                found.append(pattern)
        return tuple(found)
