"""From a git repository to facts in the ledger: whole the first time, only what is new afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.engine import Connection

from achievement_collector.derive.messages import parse_trailers
from achievement_collector.facts import CollectedCommit, Repository
from achievement_collector.ledger import collecting as ledger_facts
from achievement_collector.ledger.collecting import SignatureIds, StoredCheckout
from achievement_collector.ledger.reading import possible_twins, uncompared_commits
from achievement_collector.ledger.store import Ledger
from achievement_collector.sources.git.checkout import (
    Checkout,
    Refs,
    open_checkout,
    read_refs,
    read_tags,
    root_file,
)
from achievement_collector.sources.git.collect import collect, list_commits
from achievement_collector.sources.git.comparisons import patch_ids, spaceless_counts
from achievement_collector.sources.git.content import ContentReader

IGNORED_REVISIONS = ".git-blame-ignore-revs"
_ROWS_IN_A_TRANSACTION = 1024
_WORTH_A_LOOK = 50  # changed lines; fewer never count by size
_FIRST_RESULTS_AFTER = 1_000


@dataclass(frozen=True, slots=True)
class Collected:
    """What a scan of one checkout found. ``is_new`` is False where nothing had changed since the last one."""

    checkout: Checkout
    refs: Refs
    repository_id: int
    repository_key: str  # as the ledger knows it
    is_new: bool
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a caller may want to show. All do nothing by default."""

    started: Callable[[str, int], None] = lambda _name, _total: None
    advanced: Callable[[int], None] = lambda _commits: None
    first_results: Callable[[int, Refs], None] = lambda _repository_id, _refs: None
    stage: Callable[[str], None] = lambda _name: None


def collect_repository(ledger: Ledger, path: Path, now: int, progress: Progress) -> Collected:
    """Brings the ledger up to date with the checkout at ``path``; ``now`` is the time in seconds.

    Commits are stored in transactions of about a thousand, newest first, so that a stop at any moment leaves
    whole commits, and the next call stores the rest. Raises :class:`RepositoryError` or :class:`LedgerError`;
    what was stored before stays.
    """
    checkout = open_checkout(path)
    refs = read_refs(checkout)
    git_dir = str(checkout.git_dir)
    with ledger.read() as connection:
        stored = ledger_facts.find_checkout(connection, git_dir)
    if stored and stored.digest == refs.digest:
        return Collected(checkout, refs, stored.repository_id, stored.repository_key, is_new=False)

    same_shape = stored is not None and stored.digest.partition("-")[0] == refs.shape
    lines = list_commits(checkout, refs.tips, stored.tips if stored and same_shape else ())
    with ledger.write() as connection:
        ids = SignatureIds(connection)
        repository = _as_named_today(connection, checkout.repository)
        if stored is None:
            roots = [line for line in lines if " " not in line]
            stored = ledger_facts.add_checkout(connection, repository, git_dir, roots, refs.head)
        stored = ledger_facts.update_repository(
            connection,
            stored,
            repository,
            refs.default_branch,
            root_file(checkout, refs, ".mailmap"),
            root_file(checkout, refs, IGNORED_REVISIONS),
        )
        known = ledger_facts.known_commits(connection, stored.repository_id) if lines else {}
        is_first = not known and bool(lines)
        lines, outdated = _unknown(known, lines, refs.shallow)
        del known
        ledger_facts.remove_commits(connection, stored.repository_id, outdated)
    progress.started(stored.repository_key, len(lines))
    suspicious = _store_commits(ledger, checkout, refs, stored, lines, ids, progress)
    progress.stage("comparing")
    if not stored.digest and not is_first:
        suspicious += _left_over(ledger, stored.repository_id, suspicious)
    _compare_further(ledger, checkout, stored.repository_id, suspicious)
    removed = _finish(ledger, checkout, refs, stored, ids, now, is_first=is_first)
    return Collected(checkout, refs, stored.repository_id, stored.repository_key, True, len(lines), removed)


def _as_named_today(connection: Connection, repository: Repository) -> Repository:
    """A repository under its present name, as forges told; a clone goes on naming the address it came from."""
    from achievement_collector.ledger.work import present_names

    key = present_names(connection).get(repository.key)
    if key is None:
        return repository
    return replace(repository, key=key, name=key.rpartition("/")[2], web_url=f"https://{key}")


def _left_over(ledger: Ledger, repository_id: int, new: Sequence[str]) -> list[str]:
    """The commits that an earlier scan stored, and was stopped before it had compared them further."""
    fresh = set(new)
    with ledger.read() as connection:
        return [
            sha
            for sha, diff in uncompared_commits(connection, repository_id)
            if sha not in fresh and _may_be_reformatting(diff)
        ]


def _compare_further(
    ledger: Ledger, checkout: Checkout, repository_id: int, suspicious: Sequence[str]
) -> None:
    """The comparisons that few commits need: white space ignored, and patch ids of possible twins."""
    with ThreadPoolExecutor(1) as beside:  # git works on one while the ledger is asked for the other
        counting = beside.submit(lambda: dict(spaceless_counts(checkout, suspicious)))
        with ledger.read() as connection:
            twins = possible_twins(connection, repository_id)
        ids = patch_ids(checkout, twins)
        counts = counting.result()
    with ledger.write() as connection:
        ledger_facts.set_spaceless(connection, repository_id, counts)
        ledger_facts.set_patch_ids(connection, repository_id, ids)


def _unknown(
    known: dict[str, tuple[str, bool]], lines: Sequence[str], shallow: frozenset[str]
) -> tuple[list[str], list[str]]:
    """The lines to collect, and the shas to forget first, because their parents have changed meanwhile
    (a shallow clone was deepened, a graft or a replacement was made). What is known whole stays so where a shallow clone of
    the same repository is cut."""
    wanted: list[str] = []
    outdated: list[str] = []
    for line in lines:
        sha, _, parents = line.partition(" ")
        stored = known.get(sha)
        if stored is None:
            wanted.append(line)
        elif stored != (parents, sha in shallow) and (stored[1] or sha not in shallow):
            outdated.append(sha)
            wanted.append(line)
    return wanted, outdated


def _store_commits(
    ledger: Ledger,
    checkout: Checkout,
    refs: Refs,
    stored: StoredCheckout,
    lines: Sequence[str],
    ids: SignatureIds,
    progress: Progress,
) -> list[str]:
    """Stores the commits of ``lines``; gives the shas whose white space deserves a closer look."""
    if not lines:
        return []
    suspicious: list[str] = []
    done = 0
    waits_for_first = len(lines) > 2 * _FIRST_RESULTS_AFTER
    with ContentReader(checkout) as content:
        for group in _grouped(collect(checkout, lines, refs.shallow), _ROWS_IN_A_TRANSACTION):
            told = [fact for commit in group for fact in content.facts_of(commit)]
            rows = [(commit, parse_trailers(commit.message)) for commit in group]
            with ledger.write() as connection:
                ledger_facts.add_commits(connection, stored.repository_id, rows, ids)
                ledger_facts.add_content(connection, stored.repository_id, told)
            suspicious += [commit.sha for commit in group if _may_be_reformatting(commit.diff)]
            done += len(group)
            progress.advanced(len(group))
            if waits_for_first and done >= _FIRST_RESULTS_AFTER:
                waits_for_first = False
                progress.first_results(stored.repository_id, refs)
    return suspicious


def _grouped(batches: Iterator[list[CollectedCommit]], size: int) -> Iterator[list[CollectedCommit]]:
    group: list[CollectedCommit] = []
    for batch in batches:
        group += batch
        if len(group) >= size:
            yield group
            group = []
    if group:
        yield group


_COUNTS = re.compile(rb"\0(\d+)\t(\d+)\t")
_SHARE = 0.8


def _may_be_reformatting(diff: bytes) -> bool:
    """Whether a commit is large enough to count by size, and most of its lines are in files that gain as many
    lines as they lose: a change of white space alone leaves the number of lines as it was."""
    total = even = 0
    for plus, minus in _COUNTS.findall(diff):
        added, deleted = int(plus), int(minus)
        total += added + deleted
        if added == deleted:
            even += added + deleted
    return total > _WORTH_A_LOOK and even > _SHARE * total


def _finish(
    ledger: Ledger,
    checkout: Checkout,
    refs: Refs,
    stored: StoredCheckout,
    ids: SignatureIds,
    now: int,
    *,
    is_first: bool,
) -> int:
    """Stores tags and positions, and forgets what no checkout reaches any more; gives how many commits."""
    tags = read_tags(checkout, refs)
    with ledger.write() as connection:
        ledger_facts.replace_tags(connection, stored, tags, ids)
        ledger_facts.save_position(
            connection,
            stored,
            digest=refs.digest,
            tips=refs.tips,
            mainline=refs.mainline,
            branches=refs.branches,
            shallow=refs.shallow,
            scanned_at=now,
        )
        if is_first or (stored.digest and all(tip in refs.tips for tip in stored.tips)):
            return 0  # nothing was there before, or all of it is still reached
        known = ledger_facts.known_commits(connection, stored.repository_id)
        tips = ledger_facts.repository_tips(connection, stored.repository_id)
        gone = known.keys() - _reachable(known, tips)
        ledger_facts.remove_commits(connection, stored.repository_id, gone)
        return len(gone)


def _reachable(known: dict[str, tuple[str, bool]], tips: Sequence[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(tips)
    while waiting:
        sha = waiting.pop()
        if sha in found or sha not in known:
            continue
        found.add(sha)
        waiting += known[sha][0].split()
    return found
