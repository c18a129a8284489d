"""The changed files of a commit, in the form git gives them.

A commit's files are kept as the bytes that ``git diff-tree -r -M --root --raw --numstat -z`` printed for it:
raw entries first (``:<mode> <mode> <blob> <blob> <status>`` NUL ``<path>`` NUL, a second path after renames
and copies), then one count per entry in the same order (``<added> TAB <deleted> TAB <path>`` NUL; for
renames an empty path, then NUL ``<old>`` NUL ``<new>`` NUL; ``-`` for binary files). Nothing is lost in
that form, whatever bytes a path holds, and reading it costs only those who ask.
"""

from __future__ import annotations

from achievement_collector.facts import FileChange


def changed_files(raw: bytes) -> tuple[FileChange, ...]:
    """The files in ``raw``. Entries without a count (history cut here, object missing) have None lines."""
    if not raw:
        return ()
    tokens = raw.split(b"\0")
    entries: list[tuple[bytes, str, bytes | None, str, str]] = []
    position = 0
    last = len(tokens) - 1
    while position < last:
        token = tokens[position]
        if token[:1] != b":":
            break
        fields = token.decode("ascii").split(" ")
        status = fields[4][:1]
        if status == "R" or status == "C":
            path, old = tokens[position + 2], tokens[position + 1]
            position += 3
            entries.append((path, status, old, fields[1], fields[3]))
        else:
            path = tokens[position + 1]
            position += 2
            entries.append((path, status, None, fields[0][1:] if status == "D" else fields[1], fields[3]))
    counts: dict[bytes, tuple[int | None, int | None]] = {}
    while position < last:
        added, deleted, path = tokens[position].split(b"\t", 2)
        if path:
            position += 1
        else:
            path = tokens[position + 2]
            position += 3
        counts[path] = (None, None) if added == b"-" else (int(added), int(deleted))
    unknown = (None, None)
    return tuple(
        FileChange(
            path.decode("utf-8", "surrogateescape"),
            status,
            *counts.get(path, unknown),
            None if old is None else old.decode("utf-8", "surrogateescape"),
            mode,
            blob,
        )
        for path, status, old, mode, blob in entries
    )


def line_counts(raw: bytes) -> dict[str, tuple[int, int]]:
    """Path -> (added, deleted) of a bare ``--numstat -z`` output; binary files are left out."""
    tokens = raw.split(b"\0")
    counts: dict[str, tuple[int, int]] = {}
    position = 0
    while position < len(tokens) - 1:
        added, deleted, path = tokens[position].split(b"\t", 2)
        if path:
            position += 1
        else:
            path = tokens[position + 2]
            position += 3
        if added != b"-":
            counts[path.decode("utf-8", "surrogateescape")] = (int(added), int(deleted))
    return counts
