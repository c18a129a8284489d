"""A commit's files put into an empty folder, and a commit made of changed ones: all with git's plumbing.

Nothing is checked out: no hook, no filter, no line-end conversion and no attribute of the repository takes effect, symbolic links
are not made, and the user's index, branches and files stay as they are until :func:`create_branch`.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from achievement_collector.errors import RepositoryError
from achievement_collector.sources.git.process import explain_failure, git_command, git_environment

MOST_BYTES = 1 << 29
MOST_FILES = 200_000
"""What is put into a folder at most."""

_AT_ONCE = 16 << 20
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BRANCH = re.compile(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9][a-z0-9-]*)*")
_AUTHOR = "achievement-collector[bot]"
_ADDRESS = "achievement-collector[bot]@users.noreply.invalid"
"""A program's name, which earns nobody credit."""


class Entry(NamedTuple):
    """A file of a commit; ``mode`` is 100644, 100755, 120000 (a symbolic link) or 160000 (a submodule); ``size`` in bytes."""

    mode: str
    id: str
    size: int
    path: str

    @property
    def is_regular(self) -> bool:
        return self.mode in ("100644", "100755")


def has_commit(repository: Path, sha: str) -> bool:
    """Whether the commit with this full id is here."""
    if not _SHA.fullmatch(sha):
        return False
    result = _started(repository, ("cat-file", "-t", sha))
    return result.returncode == 0 and result.stdout.strip() == b"commit"


def entries(repository: Path, sha: str, *, is_deep: bool = True) -> list[Entry]:
    """Every file of a commit, or what is in its root folder. Paths that are no UTF-8 have surrogates."""
    depth = ("-r",) if is_deep else ()
    listing = _git(repository, "ls-tree", *depth, "-l", "-z", "--full-tree", _checked(sha))
    found = []
    for line in listing.split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, _, name, size = head.split()
        found.append(
            Entry(mode.decode(), name.decode(), int(size) if size.isdigit() else 0, os.fsdecode(path))
        )
    return found


def root_files(repository: Path, sha: str, names: frozenset[str], longest: int) -> dict[str, bytes]:
    """The content of files in the root folder of a commit, of those named and not longer than ``longest`` bytes."""
    wanted = [
        one
        for one in entries(repository, sha, is_deep=False)
        if one.path in names and one.is_regular and one.size <= longest
    ]
    return dict(zip((one.path for one in wanted), contents(repository, wanted), strict=True))


def export(repository: Path, sha: str, folder: Path) -> dict[str, Entry]:
    """Writes the regular files of a commit into ``folder``, which is empty, and gives every file of the commit by path. Symbolic
    links and submodules are not written. Raises :class:`RepositoryError` for paths that could lead out of the folder, and for
    a commit that is too large."""
    found = entries(repository, sha)
    regular = [one for one in found if one.is_regular]
    for one in found:
        _check_path(one.path)
    if len(regular) > MOST_FILES or sum(one.size for one in regular) > MOST_BYTES:
        raise RepositoryError(f"commit {sha[:10]} is too large to run a fixer on it")
    for part in _parts(regular):
        for one, content in zip(part, contents(repository, part), strict=True):
            target = folder / one.path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(target, flags, 0o700 if one.mode == "100755" else 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "its name is not valid here"
                raise RepositoryError(
                    f"a file of commit {sha[:10]} cannot be written here: {reason}"
                ) from None
    return {one.path: one for one in found}


def blob_id(content: bytes, like: str) -> str:
    """The id that git gives a file of this content, in the object format of the id ``like``."""
    data = b"blob %d\0" % len(content) + content
    return (
        hashlib.sha256(data) if len(like) == 64 else hashlib.sha1(data, usedforsecurity=False)
    ).hexdigest()


def _check_path(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.casefold() == ".git" for part in parts) or "\\" in path:
        raise RepositoryError(
            f"the commit has a file with a path that no file of a project has: {path[:100]!r}"
        )


def _parts(found: Sequence[Entry]) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    size = 0
    for one in found:
        part.append(one)
        size += one.size
        if size >= _AT_ONCE or len(part) >= 1_000:
            yield part
            part, size = [], 0
    if part:
        yield part


def contents(repository: Path, wanted: Sequence[Entry]) -> list[bytes]:
    """What is in files of a commit."""
    if not wanted:
        return []
    output = _git(repository, "cat-file", "--batch", stdin="".join(f"{one.id}\n" for one in wanted).encode())
    found, position = [], 0
    for _ in wanted:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        if len(header) != 3 or header[1] != b"blob":
            raise RepositoryError(f"a file of the commit is not in {repository}: fetch it and try again")
        size = int(header[2])
        found.append(output[end + 1 : end + 1 + size])
        position = end + 2 + size
    return found


def write_commit(
    repository: Path, parent: str, changes: Mapping[str, tuple[str, bytes]], message: str, at: int
) -> str:
    """Makes a commit upon ``parent`` in which files are as ``changes`` has them (path -> mode, content), and gives its id. No
    branch points there yet. ``at`` is in seconds."""
    with tempfile.TemporaryDirectory(prefix="ci-fix-index-") as folder:
        own = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(repository, "read-tree", _checked(parent), more=own)
        lines = []
        for path, (mode, content) in sorted(changes.items()):
            blob = _git(repository, "hash-object", "-w", "--no-filters", "--stdin", stdin=content).strip()
            lines.append(f"{mode} ".encode() + blob + b"\t" + os.fsencode(path) + b"\0")
        _git(repository, "update-index", "-z", "--index-info", stdin=b"".join(lines), more=own)
        tree = _git(repository, "write-tree", more=own).decode().strip()
    made = _git(
        repository, "commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode(), more=_identity(at)
    )
    return made.decode().strip()


def _identity(at: int) -> dict[str, str]:
    told = {"NAME": _AUTHOR, "EMAIL": _ADDRESS, "DATE": f"{at} +0000"}
    return {f"GIT_{who}_{name}": value for who in ("AUTHOR", "COMMITTER") for name, value in told.items()}


def changed_lines(repository: Path, before: str, after: str) -> int:
    """Lines added and removed between two commits; a binary file counts as one."""
    listing = _git(
        repository, "diff-tree", "-r", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv",
        _checked(before), _checked(after),
    )  # fmt: skip
    total = 0
    for line in listing.splitlines():
        added, removed, _ = line.split(b"\t", 2)
        total += 1 if added == b"-" else int(added) + int(removed)
    return total


def branch_tip(repository: Path, name: str) -> str:
    """The commit that a local branch points to; empty where there is no such branch."""
    result = _started(repository, ("rev-parse", "--verify", "--quiet", f"refs/heads/{_named(name)}"))
    return result.stdout.decode("ascii", "replace").strip() if result.returncode == 0 else ""


def create_branch(repository: Path, name: str, sha: str, at: int) -> bool:
    """Makes a local branch; False where there is one of that name, or one in its way. None is ever moved."""
    nothing = "0" * len(_checked(sha))
    result = _started(
        repository, ("update-ref", "-m", "achievement-collector: proposed", f"refs/heads/{_named(name)}", sha, nothing),
        more=_identity(at),
    )  # fmt: skip
    return result.returncode == 0


def _checked(sha: str) -> str:
    if not _SHA.fullmatch(sha):
        raise RepositoryError(f"{sha[:80]!r} is no full commit id")
    return sha


def _named(name: str) -> str:
    if not _BRANCH.fullmatch(name):
        raise RepositoryError(f"{name[:80]!r} is no name for a branch")
    return name


def _git(
    repository: Path, *arguments: str, stdin: bytes = b"", more: Mapping[str, str] | None = None
) -> bytes:
    result = _started(repository, arguments, stdin, more)
    if result.returncode:
        raise RepositoryError(explain_failure(repository, result.stderr))
    return result.stdout


def _started(
    repository: Path, arguments: Sequence[str], stdin: bytes = b"", more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # what a commit holds, not what somebody put in its place here (refs/replace)
    environment = {**git_environment(), "GIT_NO_REPLACE_OBJECTS": "1", **(more or {})}
    command = git_command(repository, "-c", "core.splitIndex=false", *arguments)
    try:
        return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)
    except FileNotFoundError:
        raise RepositoryError("git is not installed, or not on PATH: install git and try again") from None
