"""Built-in fixers: run on a copy of the commit that failed, and what they change proposed on a branch of its own.

A fixer sees the files of the commit in a temporary folder that is no git repository, so that not even a program of the
repository, where the user allowed one, finds the way to the user's history. What may be run, and which changes may be proposed,
is decided in :mod:`achievement_collector.derive.fixers`; nothing of it comes from a log. The row in the ledger is written first
and the branch second: where a run ends between the two, asking for the same again makes the branch.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from achievement_collector.config import state_folder
from achievement_collector.derive.failures.categories import FailureCategory
from achievement_collector.derive.fixers import (
    LONGEST_FILE,
    MOST_FILES,
    Change,
    Fixer,
    files_asked_for,
    refusal,
    shipped_fixers,
)
from achievement_collector.derive.fixes import MOST_ATTEMPTS, Event, Fix, FixState, attempts_at
from achievement_collector.errors import ConfigurationError, NotFoundError
from achievement_collector.facts.ci_runs import RED, Job
from achievement_collector.ledger import ci_failures
from achievement_collector.ledger import ci_fixes as stored
from achievement_collector.ledger.ci_failures import Failure
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.printable import one_line
from achievement_collector.services.ci_runs import job_and_log
from achievement_collector.services.fixer_runs import SECONDS, program_of, run_fixer, sweep, working_folder
from achievement_collector.services.fixes import FixRefused
from achievement_collector.sources.git import trees
from achievement_collector.sources.git.checkout import open_checkout
from achievement_collector.sources.git.trees import Entry

_LONGEST_TOLD = 300
_LARGEST = 16 << 20  # bytes of a changed file
_CLUSTER = re.compile(r"[0-9a-z]{4,40}")
_PASSED_OVER = frozenset(
    {"node_modules", "target", ".git", ".venv", "__pycache__"}
)  # made by tools; never proposed


class Option(NamedTuple):
    """A fixer that fits, and why it cannot be run now; empty where it can."""

    fixer: Fixer
    obstacle: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may be tried at a failed job: the fixers that fit in the order in which they are tried, what was tried before, and
    why nothing more is (empty where something is)."""

    job: Job
    failure: Failure
    options: tuple[Option, ...]
    tried: tuple[Fix, ...]
    why_not: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """``fix`` is what is proposed now, None where nothing is; ``steps`` tell of each fixer that was thought of what came of
    it."""

    outlook: Outlook
    fix: Fix | None
    is_new: bool
    steps: tuple[tuple[str, str], ...]


def outlook(ledger: Ledger, job: str, folder: Path, *, trusts_repository: bool = False) -> Outlook:
    """Which fixers fit a failed job, by its category and by the files of its commit in the repository at ``folder``.

    Raises :class:`NotFoundError` where the job, its explanation or its commit is not here, :class:`FixRefused` where the job did
    not fail.
    """
    failed, _ = job_and_log(ledger, job)
    if failed.conclusion not in RED:
        raise FixRefused(
            f"job {failed.id} did not fail ({failed.conclusion or 'it is not over'}): nothing to fix"
        )
    with ledger.read() as connection:
        explained = ci_failures.failures(connection, failed.repository, jobs=[failed.key])
        recorded = stored.fixes(connection, failed.repository)
    if not explained:
        raise NotFoundError(
            f"job {failed.id} is not explained yet, so no fixer can be chosen; explain it first"
        )
    failure = explained[0]
    repository = open_checkout(folder).path
    if not trees.has_commit(repository, failed.sha):
        raise NotFoundError(
            f"commit {failed.sha[:10]} of job {failed.id} is not in {folder}; fetch it, or name its repository with --path"
        )
    tried = attempts_at(recorded, failed.key, failure.cluster)
    options: list[Option] = []
    if not failure.is_in_green:
        root = trees.root_files(repository, failed.sha, files_asked_for(shipped_fixers()), LONGEST_FILE)
        fitting = [one for one in shipped_fixers() if one.fits(failure.category, root)]
        options = [Option(one, _obstacle(one, failed, tried, trusts_repository)) for one in fitting]
    return Outlook(failed, failure, tuple(options), tuple(tried), _why_not(failure, options, tried))


def _obstacle(fixer: Fixer, job: Job, tried: Sequence[Fix], trusts_repository: bool) -> str:
    for one in tried:
        if (
            one.job == job.key
            and one.fixer == fixer.name
            and (not one.sha or one.state is not FixState.WITHDRAWN)
        ):
            return f"it was tried at this job: fix {one.id}, {_what_came(one)}"
    if fixer.runs_code and not trusts_repository:
        return f"it may run code of the repository ({fixer.runs_code}); --trust-repository allows it"
    if program_of(fixer.program) is None:
        return f"{fixer.program} is not installed"
    return ""


def _what_came(fix: Fix) -> str:
    return fix.state.value if fix.sha else fix.events[-1].told


def _why_not(failure: Failure, options: Sequence[Option], tried: Sequence[Fix]) -> str:
    if failure.is_in_green:
        return "what the job shows also stands in logs of runs that passed, so it is not known what failed"
    if not options:
        if failure.category == FailureCategory.UNKNOWN:
            return "the cause is not known, so no fixer fits"
        return f"no built-in fixer is for a failure of the kind {failure.category} in this repository"
    if len(tried) >= MOST_ATTEMPTS:
        numbers = ", ".join(str(one.id) for one in tried)
        return f"fixers were tried {len(tried)} times at this failure (fixes {numbers}): a person has to look"
    return "" if any(not one.obstacle for one in options) else "none of the fixers that fit can be run"


# --- proposing ---------------------------------------------------------------------------------------


def propose_fix(
    ledger: Ledger,
    job: str,
    folder: Path,
    now: int,
    *,
    fixer: str = "",
    trusts_repository: bool = False,
    workplace: Path | None = None,
    seconds: float = SECONDS,
    on_wait: Callable[[], None] | None = None,
) -> Proposal:
    """Runs the fixers that fit a failed job, or the one named, until one makes a change that may be proposed; that becomes a
    commit on a new local branch ``ci-fix/...``. Nothing is pushed, and nothing of the user's checkout changes.

    At most three runs are made for one failure. A fixer is run once for a job: asking again gives what it proposed. Others that
    propose at the same time wait. Raises what :func:`outlook` raises.
    """
    root = workplace or state_folder() / "ci-fix"
    steps: list[tuple[str, str]] = []
    with ledger.exclusive("ci-fix", on_wait):
        sweep(root)
        found = outlook(ledger, job, folder, trusts_repository=trusts_repository)
        repository = open_checkout(folder).path
        standing = _standing_proposal(found, fixer)
        if standing is not None:
            return Proposal(found, _with_branch(ledger, repository, standing, now), False, ())
        if fixer and fixer not in {one.fixer.name for one in found.options}:
            known = ", ".join(one.fixer.name for one in found.options) or "none does"
            raise ConfigurationError(
                f"{fixer[:40]!r} does not fit this failure; of the built-in fixers {known}"
            )
        left = 0 if found.why_not else MOST_ATTEMPTS - len(found.tried)
        for option in found.options:
            if fixer and option.fixer.name != fixer:
                continue
            if option.obstacle or left <= 0:
                steps.append((option.fixer.name, option.obstacle or "not run: three attempts were made"))
                continue
            left -= 1
            fix, told = _tried(ledger, repository, found, option.fixer, now, root, seconds)
            steps.append((option.fixer.name, told))
            if fix is not None:
                return Proposal(found, fix, True, tuple(steps))
    return Proposal(found, None, False, tuple(steps))


def _standing_proposal(found: Outlook, fixer: str) -> Fix | None:
    """What was proposed for this very job and neither given up nor shown not to work."""
    over = (FixState.WITHDRAWN, FixState.FAILED, FixState.REVERTED)
    return next(
        (
            one
            for one in reversed(found.tried)
            if one.job == found.job.key and one.sha and one.state not in over and fixer in ("", one.fixer)
        ),
        None,
    )


def _with_branch(ledger: Ledger, repository: Path, fix: Fix, now: int) -> Fix:
    """Makes the branch of a proposal where a run ended before it was there. One that points elsewhere is left alone."""
    if fix.state is FixState.PROPOSED and not trees.branch_tip(repository, fix.branch):
        if trees.has_commit(repository, fix.sha):
            trees.create_branch(repository, fix.branch, fix.sha, now // 1000)
        else:
            raise FixRefused(
                f"the commit of fix {fix.id} is not in this repository any more; ci fixes withdraw {fix.id}, then try again"
            )
    return fix


def _tried(
    ledger: Ledger, repository: Path, found: Outlook, fixer: Fixer, now: int, root: Path, seconds: float
) -> tuple[Fix | None, str]:
    """Runs a fixer; what it proposes, and what came of it."""
    job, sha = found.job, ""
    with working_folder(root) as folder:
        tree = folder / "tree"
        tree.mkdir()
        exported = trees.export(repository, job.sha, tree)
        trouble = run_fixer(fixer, tree, folder, seconds)
        changes: list[Change] = []
        if not trouble:
            changes, trouble = _changes(repository, tree, exported)
        trouble = trouble or refusal(fixer, changes, 0)
    if not trouble:
        files = {
            one.path: (exported[one.path].mode if one.path in exported else "100644", one.after or b"")
            for one in changes
        }
        sha = trees.write_commit(repository, job.sha, files, _message(fixer, job), now // 1000)
        trouble = refusal(fixer, changes, trees.changed_lines(repository, job.sha, sha))
    kept = Fix(
        0, job.repository, fixer.kind, job.key, found.failure.cluster, fixer=fixer.name, created=now,
    )  # fmt: skip
    if trouble:
        trouble = one_line(trouble, _LONGEST_TOLD)
        ran = Event(FixState.PROPOSED, now, f"{fixer.name} was run")
        with ledger.write() as connection:
            stored.add_fix(connection, replace(kept, events=(ran, Event(FixState.WITHDRAWN, now, trouble))))
        return None, trouble
    branch = _free_branch(ledger, repository, found)
    count = f"{len(changes)} file{'s' * (len(changes) != 1)}"
    event = Event(FixState.PROPOSED, now, f"{fixer.name} changed {count}")
    with ledger.write(durable=True) as connection:
        fix = stored.add_fix(connection, replace(kept, branch=branch, sha=sha, events=(event,)))
    if not trees.create_branch(repository, branch, sha, now // 1000):
        raise FixRefused(
            f"fix {fix.id} is commit {sha}, but the branch {branch} cannot be made: one is in its way"
        )
    return fix, event.told


def _message(fixer: Fixer, job: Job) -> str:
    """A message of our own words and numbers alone."""
    begin = "style" if fixer.kind in ("formatter", "linter") else "chore"
    return (
        f"{begin}: {fixer.subject}\n\nProposed for a failed job of CI; a person decides whether it is wanted.\n\n"
        f"CI-Fix: {fixer.name}\nCI-Fix-Job: {job.id}\n"
    )


def _free_branch(ledger: Ledger, repository: Path, found: Outlook) -> str:
    """``ci-fix/<cluster>-<n>``: the first number that neither the ledger nor the repository has."""
    cluster = found.failure.cluster
    name = cluster if _CLUSTER.fullmatch(cluster) else f"job{found.job.id}"
    with ledger.read() as connection:
        taken = {one.branch for one in stored.fixes(connection, found.job.repository)}
    number = 1
    while f"ci-fix/{name}-{number}" in taken or trees.branch_tip(repository, f"ci-fix/{name}-{number}"):
        number += 1
    return f"ci-fix/{name}-{number}"


def _changes(repository: Path, tree: Path, exported: Mapping[str, Entry]) -> tuple[list[Change], str]:
    """What differs from the commit, or why that cannot be taken. Links are never followed."""
    found: list[tuple[str, bytes]] = []
    seen: set[str] = set()
    for path, entry in _walk(tree):
        known = exported.get(path)
        if known is None and _PASSED_OVER.intersection(path.split("/")):
            continue
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return [], f"it made a link or a special file: {path}"
        if known is not None and not known.is_regular:
            return [], f"it put a file in the place of a link: {path}"
        if status.st_size > _LARGEST and (known is None or status.st_size != known.size):
            return [], f"it made a very large file: {path}"
        seen.add(path)
        if status.st_size > _LARGEST:
            continue
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_LARGEST + 1)
        if known is None or trees.blob_id(content, known.id) != known.id:
            found.append((path, content))
    gone = [path for path, one in exported.items() if one.is_regular and path not in seen]
    before_of = [path for path in (*(path for path, _ in found), *gone) if path in exported]
    if len(before_of) > MOST_FILES:
        return [], f"it changed {len(before_of):,} files, {MOST_FILES} are the most"
    before = dict(
        zip(before_of, trees.contents(repository, [exported[path] for path in before_of]), strict=True)
    )
    changes = [Change(path, before.get(path), content) for path, content in found]
    changes += [Change(path, before[path], None) for path in gone]
    return sorted(changes, key=lambda one: one.path), ""


def _walk(tree: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file below a folder with its path from there."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(tree / prefix) as found:
            listed = sorted(found, key=lambda one: one.name)
        for one in listed:
            if one.is_dir(follow_symlinks=False):
                pending.append(f"{prefix}{one.name}/")
            else:
                yield f"{prefix}{one.name}", one
