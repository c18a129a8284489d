"""Facts: what was seen outside, converted once, at the edge, and never changed afterwards.

Everything here is immutable and free of I/O. The types that exist once per commit or per changed file
are named tuples, because a scan makes hundreds of thousands of them.

Text that was not valid in its declared encoding is decoded with U+FFFD in place of what was invalid;
paths are decoded as UTF-8 with ``surrogateescape``, so that ``os.fsencode(path)`` gives git's bytes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple


class Signature(NamedTuple):
    """A name and an address as they stand in a commit, not yet joined to a person."""

    name: str
    email: str


class Stamp(NamedTuple):
    """A moment as git records it.

    ``seconds`` since 1970-01-01T00:00Z (may be negative or beyond 2038), ``offset_minutes`` east of UTC.
    """

    seconds: int
    offset_minutes: int = 0

    def as_datetime(self) -> datetime:
        """The moment with its zone; clamped to what ``datetime`` can hold (years 1 to 9999)."""
        seconds = min(max(self.seconds, -62_135_510_400), 253_402_214_400)
        offset = min(max(self.offset_minutes, -1439), 1439)
        utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        return utc.astimezone(timezone(timedelta(minutes=offset))) if offset else utc


class Trailer(NamedTuple):
    """One ``Key: value`` line of a message's last paragraph; the key keeps its case."""

    key: str
    value: str


class FileChange(NamedTuple):
    """What one commit did to one path.

    ``status`` is git's letter: A added, M modified, D deleted, R renamed, C copied, T type changed.
    ``added`` and ``deleted`` count lines; both are None where git could not count (binary files, or a
    history cut here). ``old_path`` is set for renames and copies. ``mode`` is the octal mode after the
    change (before it, for a deletion): ``160000`` is a submodule, ``120000`` a symbolic link.
    ``blob`` is the object id after the change, all zeros for a deletion.
    """

    path: str
    status: str
    added: int | None
    deleted: int | None
    old_path: str | None = None
    mode: str = "100644"
    blob: str = ""

    @property
    def is_binary(self) -> bool:
        return self.added is None

    @property
    def is_submodule(self) -> bool:
        return self.mode == "160000"


class Commit(NamedTuple):
    """A commit. ``sha`` and ``parents`` are full object ids (40 hex digits, 64 in sha256 repositories).

    ``parents`` are the ones git shows, with grafts and replacements applied. ``message`` is the whole
    message, decoded; ``is_boundary`` marks the last commit of a shallow clone, whose changes are unknown.
    """

    sha: str
    parents: tuple[str, ...]
    author: Signature
    authored: Stamp
    committer: Signature
    committed: Stamp
    message: str
    files: tuple[FileChange, ...] = ()
    trailers: tuple[Trailer, ...] = ()
    is_boundary: bool = False

    @property
    def subject(self) -> str:
        """The first paragraph's lines joined by a space, as git does it; empty for an empty message."""
        return subject_of(self.message)

    @property
    def body(self) -> str:
        """What follows the first paragraph, without the blank lines around it."""
        return body_of(self.message)


def subject_of(message: str) -> str:
    """The lines of the first paragraph of a commit message, joined by a space."""
    text = message.lstrip("\n \t")
    first = text.find("\n")
    if first < 0:
        return text.rstrip()
    if text.startswith("\n", first + 1):
        return text[:first].rstrip()
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.strip():
            break
        lines.append(line.strip())
    return " ".join(lines)


def body_of(message: str) -> str:
    """A commit message without its first paragraph."""
    lines = message.strip().split("\n")
    for number, line in enumerate(lines):
        if not line.strip():
            return "\n".join(lines[number:]).strip("\n")
    return ""


class ContentKind(StrEnum):
    """What a file's content told at the time of a commit."""

    DEPENDENCY = "dependency"  # value: "<ecosystem>:<package>", first declared in a manifest by this commit
    DOCUMENT_KEY = "key"  # value: a top-level key of an added YAML, JSON or TOML file
    INTERPRETER = "interpreter"  # value: the program of an added file's #! line


class ContentFact(NamedTuple):
    """A marker read from a file as a commit left it."""

    sha: str
    path: str
    kind: ContentKind
    value: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag. ``target`` is the commit it leads to; ``tagger``, ``tagged`` and ``message`` exist for
    annotated tags only."""

    name: str
    target: str
    is_annotated: bool = False
    tagger: Signature | None = None
    tagged: Stamp | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository. ``key`` is ``host/owner/name`` where a remote tells it, else ``local/<folder name>``;
    ``web_url`` is the address a browser opens, None where no remote is known."""

    key: str
    path: str
    name: str
    web_url: str | None = None
    default_branch: str | None = None
    object_format: str = "sha1"
    is_shallow: bool = False


class CollectedCommit(NamedTuple):
    """A commit as collected: everything git knows of it, the changed files still in git's own form.

    ``diff`` is what :mod:`achievement_collector.facts.diff` reads; ``raw_message`` is set only where
    decoding the message lost something; ``encoding`` is the commit's own encoding header.
    """

    sha: str
    parents: tuple[str, ...]
    author: Signature
    authored: Stamp
    committer: Signature
    committed: Stamp
    message: str
    raw_message: bytes | None
    encoding: str | None
    diff: bytes
    is_boundary: bool
