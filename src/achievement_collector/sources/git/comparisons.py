"""Slower comparisons, asked for the few commits that need them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from achievement_collector.sources.git.checkout import Checkout
from achievement_collector.sources.git.differences import DiffPool
from achievement_collector.sources.git.process import git_command, git_environment

_BATCH = 64


def spaceless_counts(checkout: Checkout, shas: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """For each commit the ``--numstat -z`` of its changes with white space and blank lines ignored.

    Commits that cannot be compared are left out.
    """
    if not shas:
        return
    options = ("--numstat", "--ignore-all-space", "--ignore-blank-lines")
    batches = [list(shas[start : start + _BATCH]) for start in range(0, len(shas), _BATCH)]
    with DiffPool(checkout.path, len(batches), *options) as pool:
        for batch, counts in zip(batches, pool.compare(batches), strict=True):
            for sha in batch:
                found = counts.get(sha, b"")
                if found is not None:
                    yield sha, found


def patch_ids(checkout: Checkout, shas: Sequence[str]) -> dict[str, str]:
    """sha -> stable patch id (``git patch-id --stable``). Commits without a textual difference have none."""
    if not shas:
        return {}
    environment = git_environment()
    # a file, not a pipe: three pipes in a row would wait for each other
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{sha}\n" for sha in shas).encode())
        wanted.seek(0)
        differences = subprocess.Popen(
            git_command(
                checkout.path, "diff-tree", "--stdin", "-p", "-r", "--root", "--no-ext-diff", "--no-textconv"
            ),
            stdin=wanted,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    assert differences.stdout
    with (
        differences,
        subprocess.Popen(
            git_command(checkout.path, "patch-id", "--stable"),
            stdin=differences.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as identifiers,
    ):
        differences.stdout.close()
        assert identifiers.stdout
        # where git stops at an object it cannot read, what it gave until then is good
        output = identifiers.stdout.read().decode("ascii")
    ids: dict[str, str] = {}
    for line in output.splitlines():
        patch, _, sha = line.partition(" ")
        ids[sha] = patch
    return ids
