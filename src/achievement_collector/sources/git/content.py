"""What files tell at the time of a commit: dependencies first declared, top-level keys, interpreters.

Only manifests, and YAML, JSON and extensionless files when they are added, are opened.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import IO, NamedTuple

from achievement_collector.facts import CollectedCommit, ContentFact, ContentKind
from achievement_collector.sources.git.checkout import Checkout
from achievement_collector.sources.git.process import git_command, git_environment
from achievement_collector.sources.manifests import (
    document_keys,
    interpreter,
    is_manifest,
    manifest_dependencies,
)

_MAX_BYTES = 1 << 20
_MAX_FILES = 200  # of one commit; an import of a whole tree would otherwise open thousands
_DOCUMENTS = (".yml", ".yaml", ".json")


class _Entry(NamedTuple):
    path: str
    old_blob: str
    new_blob: str
    is_added: bool


class ContentReader:
    """Reads blobs of one repository; use as a context manager."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ContentReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                assert stream
                stream.close()

    def facts_of(self, commit: CollectedCommit) -> Iterator[ContentFact]:
        """The content facts of one commit, without repetition."""
        if commit.is_boundary or not commit.diff:
            return
        for entry in _interesting(commit.diff):
            for kind, value in sorted(self._told_by(entry)):
                yield ContentFact(commit.sha, entry.path, kind, value)

    def _told_by(self, entry: _Entry) -> set[tuple[ContentKind, str]]:
        content = self._blob(entry.new_blob)
        if content is None:
            return set()
        if is_manifest(entry.path):
            declared = manifest_dependencies(entry.path, content)
            before = None if entry.is_added else self._blob(entry.old_blob)
            if before is not None:
                declared = declared - manifest_dependencies(entry.path, before)
            return {(ContentKind.DEPENDENCY, name) for name in declared}
        if entry.path.endswith(_DOCUMENTS):
            return {(ContentKind.DOCUMENT_KEY, key) for key in document_keys(entry.path, content)}
        program = interpreter(content)
        return {(ContentKind.INTERPRETER, program)} if program else set()

    def _blob(self, blob: str) -> bytes | None:
        """The content of a blob; None where it is missing or larger than anything worth reading."""
        if not blob.strip("0"):
            return None
        if self._process is None:
            self._process = subprocess.Popen(
                git_command(self._checkout.path, "cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=git_environment(),
            )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{blob}\n".encode())
        self._process.stdin.flush()
        header = self._process.stdout.readline().split()
        if len(header) != 3:
            return None
        size = int(header[2])
        if size <= _MAX_BYTES:
            content = self._process.stdout.read(size)
            self._process.stdout.read(1)
            return content if header[1] == b"blob" else None
        _pass_over(self._process.stdout, size + 1)
        return None


def _pass_over(stream: IO[bytes], size: int) -> None:
    while size > 0:
        passed = len(stream.read(min(size, _MAX_BYTES)))
        if not passed:
            return
        size -= passed


def _interesting(diff: bytes) -> Iterable[_Entry]:
    """The entries of a raw diff (see ``facts.diff``) whose files are worth opening."""
    found: list[_Entry] = []
    tokens = diff.split(b"\0")
    position, last = 0, len(tokens) - 1
    while position < last and tokens[position][:1] == b":":
        head = tokens[position]
        status = head[head.rfind(b" ") + 1 :][:1]
        position += 2 if status in b"RC" else 1
        raw_path = tokens[position]
        position += 1
        declares, may_tell = _promises(raw_path[raw_path.rfind(b"/") + 1 :])
        is_added = status == b"A"
        if not declares and not (may_tell and is_added):
            continue
        fields = head.split(b" ")
        if status == b"D" or fields[1] in (b"160000", b"120000"):
            continue
        path = raw_path.decode("utf-8", "surrogateescape")
        found.append(_Entry(path, fields[2].decode(), fields[3].decode(), is_added))
        if len(found) == _MAX_FILES:
            break
    return found


@lru_cache(1 << 14)
def _promises(name: bytes) -> tuple[bool, bool]:
    """Whether a file of this name declares dependencies, and whether it may tell something when it is new."""
    text = name.decode("utf-8", "surrogateescape")
    return is_manifest(text), text.endswith(_DOCUMENTS) or "." not in text
