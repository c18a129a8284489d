"""Reading facts back, streaming, for the rules and for whoever asks about a commit."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.history import History
from achievement_collector.derive.paths import is_own_manifest
from achievement_collector.facts import (
    Commit,
    ContentFact,
    ContentKind,
    Signature,
    Stamp,
    Tag,
    Trailer,
)
from achievement_collector.facts.diff import changed_files
from achievement_collector.ledger.tables import (
    checkouts,
    commits,
    content_facts,
    repositories,
    signatures,
    tags,
)

_ROWS_AT_A_TIME = 2_000
_MANY = 10_000


class CommitHead(NamedTuple):
    """What grouping needs of a commit; ``id`` is the ledger's own."""

    id: int
    sha: str
    parents: str
    author_id: int
    authored: int
    committed: int
    message: str
    patch_id: str | None


class StoredCommit(NamedTuple):
    """A commit with its ids in the ledger and, where it was asked for, its space-ignoring counts."""

    id: int
    commit: Commit
    author_id: int
    committer_id: int
    spaceless: bytes | None


@dataclass(frozen=True, slots=True)
class StoredRepository:
    """A repository as the ledger knows it, the positions of all its checkouts taken together."""

    id: int
    key: str
    uid: str
    name: str
    web_url: str | None
    default_branch: str | None
    object_format: str
    mailmap: str
    ignored_revisions: str
    derived_from: str
    rules_version: int
    impact_scale: float
    impact_scale_basis: int
    bot_changes: int
    paths: tuple[str, ...]
    mainline: tuple[str, ...]
    branches: dict[str, str]
    tips: tuple[str, ...]
    shallow: frozenset[str]
    is_complete: bool
    scanned_at: int


def stored_repositories(connection: Connection, *, key: str | None = None) -> list[StoredRepository]:
    """All repositories, or those whose key is or ends in ``/key``, ordered by key."""
    places: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(checkouts).order_by(checkouts.c.id)):
        places[row.repository_id].append(row)
    found = []
    for row in connection.execute(sa.select(repositories).order_by(repositories.c.key)):
        if key is not None and row.key != key and not row.key.endswith(f"/{key}"):
            continue
        here = places[row.id]
        found.append(
            StoredRepository(
                **row._mapping,
                paths=tuple(place.path for place in here),
                mainline=_union(json.loads(place.mainline) for place in here),
                branches={name: sha for place in here for name, sha in json.loads(place.branches).items()},
                tips=_union(json.loads(place.tips) for place in here),
                shallow=_cuts(connection, row.id, _union(json.loads(place.shallow) for place in here)),
                is_complete=all(place.digest for place in here),  # none: known from its forge alone,
                scanned_at=max((place.scanned_at for place in here), default=0),
            )
        )
    return found


def _cuts(connection: Connection, repository_id: int, shas: Sequence[str]) -> frozenset[str]:
    """Those of ``shas``, where some checkout is cut, that no other checkout knows whole."""
    found: set[str] = set()
    for start in range(0, len(shas), _MANY):
        of_these = commits.c.sha.in_(shas[start : start + _MANY])
        rows = sa.select(commits.c.sha).where(
            commits.c.repository_id == repository_id, of_these, commits.c.is_boundary
        )
        found.update(connection.scalars(rows))
    return frozenset(found)


def _union(lists: Iterator[list[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sha for part in lists for sha in part))


def commit_heads(connection: Connection, repository_id: int) -> Iterator[CommitHead]:
    """Every commit of a repository, in the order stored."""
    columns = [commits.c[name] for name in CommitHead._fields]
    rows = connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(
        sa.select(*columns).where(commits.c.repository_id == repository_id).order_by(commits.c.id)
    )
    return map(CommitHead._make, rows)


def derived_from(connection: Connection, repository_id: int) -> str:
    """The digest noted with the last derivation; empty where none came to its end."""
    found = connection.scalar(
        sa.select(repositories.c.derived_from).where(repositories.c.id == repository_id)
    )
    return str(found or "")


def commit_graph(connection: Connection, repository_id: int) -> History:
    """The commits of a repository with their parents alone."""
    history = History()
    for sha, parents in connection.execute(
        sa.select(commits.c.sha, commits.c.parents).where(commits.c.repository_id == repository_id)
    ):
        history.add(sha, parents.split(), author=0, authored=0, committed=0, message="")
    return history


def commit_count(connection: Connection, repository_id: int) -> int:
    return int(
        connection.scalar(
            sa.select(sa.func.count()).select_from(commits).where(commits.c.repository_id == repository_id)
        )
        or 0
    )


def possible_twins(connection: Connection, repository_id: int) -> list[str]:
    """Commits without a patch id that may be copies of another (rebased, picked to another branch): the same
    author and author date, or the same author and subject, and the same numbers of lines in the same files;
    merges left out."""
    found: set[str] = set()
    single = (commits.c.repository_id == repository_id) & ~commits.c.parents.contains(" ")
    for shared in (commits.c.authored, commits.c.subject):
        groups = (
            sa.select(commits.c.author_id, shared)
            .where(single)
            .group_by(commits.c.author_id, shared)
            .having(sa.func.count() > 1)
            .subquery("groups")
        )
        same = sa.and_(commits.c.author_id == groups.c.author_id, shared == groups.c[shared.name])
        alike: dict[tuple[int, object, bytes], list[tuple[str, str | None]]] = defaultdict(list)
        for sha, author, key, patch_id, diff in connection.execute(
            sa.select(commits.c.sha, commits.c.author_id, shared, commits.c.patch_id, commits.c.diff)
            .join(groups, same)
            .where(single, sa.func.length(commits.c.diff) > 0)
        ):
            counts = _COUNTS.search(diff)
            alike[author, key, diff[counts.start() :] if counts else b""].append((sha, patch_id))
        for twins in alike.values():
            if len(twins) > 1:
                found.update(sha for sha, patch_id in twins if patch_id is None)
    return sorted(found)


_COUNTS = re.compile(rb"\0(?=[\d-]+\t)")


def uncompared_commits(connection: Connection, repository_id: int) -> Iterator[tuple[str, bytes]]:
    """(sha, diff) of the commits whose counts without white space were not asked for."""
    rows = connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(
        sa.select(commits.c.sha, commits.c.diff)
        .where(commits.c.repository_id == repository_id, commits.c.spaceless.is_(None))
        .order_by(commits.c.id)
    )
    return ((row.sha, bytes(row.diff)) for row in rows)


def commits_by_id(
    connection: Connection, ids: Sequence[int], people: dict[int, Signature]
) -> dict[int, StoredCommit]:
    """The commits with these ids, whole."""
    found: dict[int, StoredCommit] = {}
    table = commits.c
    query = sa.select(
        table.id, table.sha, table.parents, table.author_id, table.authored, table.authored_zone, table.committer_id,
        table.committed, table.committed_zone, table.message, table.trailers, table.diff, table.spaceless, table.is_boundary,
    )  # fmt: skip
    for start in range(0, len(ids), _MANY):
        rows = connection.execute(query.where(table.id.in_(ids[start : start + _MANY])))
        for (
            number, sha, parents, author, authored, authored_zone, committer, committed, committed_zone, message, trailers,
            diff, spaceless, is_boundary,
        ) in rows:  # fmt: skip
            commit = Commit(
                sha,
                tuple(parents.split()),
                people[author],
                Stamp(authored, authored_zone),
                people[committer],
                Stamp(committed, committed_zone),
                message,
                changed_files(diff),
                tuple(Trailer(*pair) for pair in json.loads(trailers)) if trailers else (),
                is_boundary,
            )
            found[number] = StoredCommit(number, commit, author, committer, spaceless)
    return found


def all_signatures(connection: Connection) -> dict[int, Signature]:
    rows = connection.execute(sa.select(signatures.c.id, signatures.c.name, signatures.c.email))
    return {row.id: Signature(row.name, row.email) for row in rows}


def signature_uses(connection: Connection) -> list[tuple[int, Signature, int]]:
    """(id, signature, commits written under it) of all signatures."""
    rows = connection.execute(sa.select(commits.c.author_id, sa.func.count()).group_by(commits.c.author_id))
    counts = {row[0]: int(row[1]) for row in rows}
    return [(number, who, counts.get(number, 0)) for number, who in all_signatures(connection).items()]


def stored_tags(connection: Connection, repository_id: int, people: dict[int, Signature]) -> list[Tag]:
    """The tags of a repository by name; where checkouts disagree, the one scanned first is taken."""
    found: dict[str, Tag] = {}
    rows = connection.execute(
        sa.select(tags).where(tags.c.repository_id == repository_id).order_by(tags.c.checkout_id, tags.c.name)
    )
    for row in rows:
        found.setdefault(
            row.name,
            Tag(
                row.name,
                row.target,
                row.is_annotated,
                people[row.tagger_id] if row.tagger_id else None,
                Stamp(row.tagged, row.tagged_zone or 0) if row.tagged is not None else None,
                row.message,
            ),
        )
    return list(found.values())


def stored_content(
    connection: Connection, repository_id: int, shas: Sequence[str]
) -> dict[str, tuple[ContentFact, ...]]:
    """sha -> what the commit's files told, in a fixed order."""
    found: dict[str, list[ContentFact]] = defaultdict(list)
    table = content_facts.c
    for start in range(0, len(shas), _MANY):
        rows = connection.execute(
            sa.select(table.sha, table.path, table.kind, table.value)
            .where(table.repository_id == repository_id, table.sha.in_(shas[start : start + _MANY]))
            .order_by(table.sha, table.path, table.kind, table.value)
        )
        for sha, path, kind, value in rows:
            found[sha].append(
                ContentFact(sha, bytes(path).decode("utf-8", "surrogateescape"), ContentKind(kind), value)
            )
    return {sha: tuple(facts) for sha, facts in found.items()}


def declared_dependencies(
    connection: Connection, repository_id: int, among: frozenset[str]
) -> frozenset[str]:
    """Those of ``among`` (``npm:react``) that a manifest of the repository declared at any time, fixtures aside."""
    table = content_facts.c
    rows = connection.execute(
        sa.select(table.path, table.value)
        .where(
            table.repository_id == repository_id,
            table.kind == ContentKind.DEPENDENCY.value,
            table.value.in_(sorted(among)),
        )
        .distinct()
    )
    return frozenset(
        value for path, value in rows if is_own_manifest(bytes(path).decode("utf-8", "surrogateescape"))
    )


def commit_span(connection: Connection, repository_id: int) -> tuple[int, int, int]:
    """(commits, time of the first, time of the last) of a repository, by committer date."""
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.min(commits.c.committed), sa.func.max(commits.c.committed)).where(
            commits.c.repository_id == repository_id
        )
    ).one()
    return int(row[0]), int(row[1] or 0), int(row[2] or 0)
