"""Streams commits with their changed files, newest first, a batch at a time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from achievement_collector.errors import RepositoryError
from achievement_collector.facts import CollectedCommit
from achievement_collector.sources.git.checkout import Checkout
from achievement_collector.sources.git.differences import DiffPool
from achievement_collector.sources.git.objects import MAX_MESSAGE_BYTES, parse_commit
from achievement_collector.sources.git.process import git_command, git_environment, run_git

_FIRST_BATCH = 64
_BATCH = 256
_HEADER_ROOM = 1 << 16


def list_commits(checkout: Checkout, tips: Sequence[str], known_tips: Sequence[str] = ()) -> list[str]:
    """The commits reachable from ``tips`` and not from ``known_tips``, newest first, each with its parents
    (as git shows them, grafts and replacements applied) in one line separated by spaces."""
    if not tips:
        return []
    wanted = "".join(f"{sha}\n" for sha in tips) + "".join(f"^{sha}\n" for sha in known_tips)
    # known tips may be gone after a rewrite and a garbage collection
    output = run_git(
        checkout.path, "rev-list", "--parents", "--ignore-missing", "--stdin", stdin=wanted.encode()
    )
    return output.decode("ascii").splitlines()


def collect(
    checkout: Checkout, lines: Sequence[str], shallow: frozenset[str]
) -> Iterator[list[CollectedCommit]]:
    """The commits of ``lines`` (see :func:`list_commits`), in their order, in batches.

    Raises :class:`RepositoryError` when the repository cannot be read on.
    """
    batches = list(_batches(lines))
    with (
        _ObjectReader(checkout, (line.split(" ", 1)[0] for line in lines)) as objects,
        DiffPool(checkout.path, len(batches), "--raw", "--numstat") as pool,
    ):
        wanted = (
            [line for line in batch if line.count(" ") < 2 and line not in shallow] for batch in batches
        )
        differences = pool.compare([line.split(" ", 1)[0] for line in batch] for batch in wanted)
        for batch, difference in zip(batches, differences, strict=True):
            yield [_commit(line, objects.read(), difference, shallow) for line in batch]


def _commit(
    line: str, raw: bytes, differences: dict[str, bytes | None], shallow: frozenset[str]
) -> CollectedCommit:
    sha, *parents = line.split(" ")
    commit = parse_commit(raw)
    difference = differences.get(sha, b"")
    return CollectedCommit(
        sha,
        tuple(parents),
        commit.author,
        commit.authored,
        commit.committer,
        commit.committed,
        commit.message,
        commit.raw_message,
        commit.encoding,
        difference or b"",
        sha in shallow or difference is None,
    )


def _batches(lines: Sequence[str]) -> Iterator[list[str]]:
    """Small batches first, so that the first results come soon."""
    start, size = 0, _FIRST_BATCH
    while start < len(lines):
        yield list(lines[start : start + size])
        start, size = start + size, min(2 * size, _BATCH)


class _ObjectReader:
    """``git cat-file --batch`` over a list of commits, answered in order."""

    def __init__(self, checkout: Checkout, shas: Iterable[str]) -> None:
        self._directory = checkout.path
        self._request = "".join(f"{sha}\n" for sha in shas).encode()

    def __enter__(self) -> _ObjectReader:
        self._process = subprocess.Popen(
            git_command(self._directory, "cat-file", "--batch", "--buffer"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git_environment(),
            bufsize=1 << 18,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._output: IO[bytes] = self._process.stdout
        self._feeder = _Feeder(self._process.stdin, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._feeder.join()
        self._output.close()

    def read(self) -> bytes:
        """The next object; a message far beyond what is kept is passed over, not held."""
        header = self._output.readline().split(b" ")
        if len(header) != 3 or header[1] != b"commit":
            name = header[0].decode("ascii", "replace").strip()
            raise RepositoryError(
                f"git could not read {self._directory}: commit {name or '?'} is missing or damaged "
                "(git fsck tells more)"
            )
        size = int(header[2])
        kept = self._output.read(min(size, MAX_MESSAGE_BYTES + _HEADER_ROOM))
        rest = size - len(kept)
        while rest > 0:
            skipped = len(self._output.read(min(rest, 1 << 20)))
            if not skipped:
                break
            rest -= skipped
        self._output.read(1)
        return kept


class _Feeder:
    """Writes a request from a thread of its own, so that reading the answer cannot block it."""

    def __init__(self, stream: IO[bytes], request: bytes) -> None:
        import threading

        self._stream = stream
        self._request = request
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._stream.write(self._request)
            self._stream.close()
        except (BrokenPipeError, ValueError):
            return  # the reader has seen enough and ended the process

    def join(self) -> None:
        self._thread.join()
        try:
            self._stream.close()
        except BrokenPipeError:
            return
