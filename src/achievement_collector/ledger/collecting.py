"""Writing facts. Every function may be called again with the same facts and changes nothing then."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.identity import co_authors
from achievement_collector.facts import (
    CollectedCommit,
    ContentFact,
    Repository,
    Signature,
    Tag,
    Trailer,
    subject_of,
)
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger.achievements import remove_achievements
from achievement_collector.ledger.rows import insert_into, insert_rows
from achievement_collector.ledger.tables import (
    achievements,
    checkouts,
    commits,
    content_facts,
    entities,
    repositories,
    signatures,
    tags,
)

_MANY = 500  # below every database's limit of parameters in one statement


@dataclass(frozen=True, slots=True)
class StoredCheckout:
    """A checkout and its repository as the ledger knows them.

    ``digest`` is empty until the checkout was collected whole."""

    id: int
    repository_id: int
    repository_key: str
    digest: str
    tips: tuple[str, ...]


def find_checkout(connection: Connection, git_dir: str) -> StoredCheckout | None:
    """The checkout with this git folder, None where it was never scanned."""
    row = connection.execute(
        sa.select(
            checkouts.c.id,
            checkouts.c.repository_id,
            repositories.c.key,
            checkouts.c.digest,
            checkouts.c.tips,
        )
        .join(repositories)
        .where(checkouts.c.git_dir == git_dir)
    ).first()
    if row is None:
        return None
    return StoredCheckout(row.id, row.repository_id, row.key, row.digest, tuple(json.loads(row.tips)))


def add_checkout(
    connection: Connection, repository: Repository, git_dir: str, roots: Sequence[str], head: str | None
) -> StoredCheckout:
    """Stores a checkout seen for the first time and finds or makes its repository.

    Clones with the same remote are one repository. Folders without a remote are the same repository when
    they have the same name and share a root commit (``roots``), or when what is checked out (``head``) is in the history
    of the other, as in a copy of a folder; otherwise the key gets a number.
    """
    repository_id, key = _find_repository(connection, repository, roots, head)
    if repository_id is None:
        repository_id = connection.execute(
            sa.insert(repositories).values(
                key=key,
                uid=key,
                name=repository.name,
                web_url=repository.web_url,
                object_format=repository.object_format,
            )
        ).inserted_primary_key[0]  # type: ignore[index]
    checkout_id = connection.execute(
        sa.insert(checkouts).values(repository_id=repository_id, path=repository.path, git_dir=git_dir)
    ).inserted_primary_key[0]  # type: ignore[index]
    return StoredCheckout(checkout_id, repository_id, key, "", ())


_CASE_BLIND_HOSTS = re.compile(r"(?:^|\.)(?:bitbucket\.org|codeberg\.org)$|github|gitlab|gitea|forgejo")


def ignores_case(key: str) -> bool:
    """Whether the forge of a repository takes ``Acme/Rocket`` and ``acme/rocket`` for the same one."""
    host, slash, _ = key.partition("/")
    return bool(slash) and host != "local" and bool(_CASE_BLIND_HOSTS.search(host.lower()))


def known_spelling(connection: Connection, key: str) -> str:
    """``host/owner/name`` as the ledger knows it: forges take no notice of upper and lower case, so whichever spelling
    was seen first names the repository."""
    if not ignores_case(key):
        return key
    for found in seen_spellings(connection):
        if found.lower() == key.lower():
            return found
    return key


def seen_spellings(connection: Connection) -> list[str]:
    """Every spelling of every repository that was seen on a forge, the one that names it before the others."""
    names = connection.scalars(sa.select(repositories.c.key).order_by(repositories.c.id)).all()
    told = connection.scalars(
        sa.select(entities.c.key).where(entities.c.kind == Kind.REPOSITORY.value).order_by(entities.c.id)
    ).all()
    scopes = [scope for kind in (Kind.PULL_REQUEST, Kind.CI_REPORT) for scope in _scopes_of(connection, kind)]
    return [one for one in dict.fromkeys([*names, *told, *scopes]) if ignores_case(one)]


_LISTED_SCOPES = sa.text(
    "WITH RECURSIVE listed(scope) AS ("
    " SELECT (SELECT scope FROM entities WHERE kind = :kind ORDER BY scope LIMIT 1)"
    " UNION ALL"
    " SELECT (SELECT scope FROM entities WHERE kind = :kind AND scope > listed.scope ORDER BY scope LIMIT 1)"
    " FROM listed"
    " WHERE listed.scope IS NOT NULL"
    ") SELECT scope FROM listed WHERE scope IS NOT NULL"
)


def _scopes_of(connection: Connection, kind: Kind) -> list[str]:
    """What the things of a kind belong to, in the order in which spellings of the same were seen. The index is asked for
    one after the other: there are far fewer than things."""
    of_kind = entities.c.kind == kind.value
    scopes = [one for one in connection.scalars(_LISTED_SCOPES, {"kind": kind.value}) if one]
    by_name: dict[str, list[str]] = {}
    for one in scopes:
        by_name.setdefault(one.lower(), []).append(one)
    several = [one for same in by_name.values() if len(same) > 1 for one in same]
    if not several:
        return scopes
    seen = {
        row[0]: row[1]
        for row in connection.execute(
            sa.select(entities.c.scope, sa.func.min(entities.c.id))
            .where(of_kind, entities.c.scope.in_(several))
            .group_by(entities.c.scope)
        )
    }
    return sorted(scopes, key=lambda one: seen.get(one, 0))


def ensure_repository(connection: Connection, key: str) -> int:
    """The id of a repository known by its forge, made where no checkout of it was scanned. Records of it in other spellings,
    which earlier versions made, become part of it."""
    key = known_spelling(connection, key)
    if ignores_case(key):
        same = sa.select(repositories.c.key).where(
            sa.func.lower(repositories.c.key) == key.lower(), repositories.c.key != key
        )
        for other in connection.scalars(same).all():
            rename_repository(connection, other, key)
    found = connection.scalar(sa.select(repositories.c.id).where(repositories.c.key == key))
    if found is not None:
        return int(found)
    values = {
        "key": key,
        "uid": key,
        "name": key.rpartition("/")[2],
        "web_url": f"https://{key}",
        "object_format": "sha1",
    }
    connection.execute(insert_into(connection, repositories).values(**values).on_conflict_do_nothing())
    return int(connection.scalar(sa.select(repositories.c.id).where(repositories.c.key == key)) or 0)


def rename_repository(connection: Connection, old: str, new: str) -> None:
    """Gives a repository its present name; its achievements keep their ids. Where the present name has a record of its own
    already, the one whose history was read stays, else the older; the other's achievements are derived anew in it."""
    rows = {
        row.key: row.id
        for row in connection.execute(
            sa.select(repositories.c.id, repositories.c.key).where(repositories.c.key.in_([old, new]))
        )
    }
    if old not in rows:
        return
    if new in rows:
        read = set(
            connection.scalars(
                sa.select(checkouts.c.repository_id).where(checkouts.c.repository_id.in_(rows.values()))
            )
        )
        if read >= set(rows.values()):
            return  # two histories were read: nothing is thrown away
        goes = old if rows[new] in read or (rows[old] not in read and rows[new] < rows[old]) else new
        ids = connection.scalars(
            sa.select(achievements.c.id).where(achievements.c.repository_id == rows[goes])
        ).all()
        remove_achievements(connection, ids)
        connection.execute(sa.delete(repositories).where(repositories.c.id == rows[goes]))
        if goes == old:
            return
    values = {"key": new, "name": new.rpartition("/")[2], "web_url": f"https://{new}", "derived_from": ""}
    connection.execute(sa.update(repositories).where(repositories.c.id == rows[old]).values(**values))


def _find_repository(
    connection: Connection, repository: Repository, roots: Sequence[str], head: str | None
) -> tuple[int | None, str]:
    key, number = known_spelling(connection, repository.key), 1
    is_local = key.startswith("local/")
    while True:
        row = connection.execute(sa.select(repositories.c.id).where(repositories.c.key == key)).first()
        if row is None:
            same = _local_repository_with(connection, head) if is_local and head else None
            return same or (None, key)
        if not is_local:
            return int(row.id), key
        shared = connection.scalar(
            sa.select(sa.func.count())
            .select_from(commits)
            .where(commits.c.repository_id == row.id, commits.c.sha.in_(list(roots)[:_MANY]))
        )
        if shared:
            return int(row.id), key
        number += 1
        key = f"{repository.key}-{number}"


def _local_repository_with(connection: Connection, sha: str) -> tuple[int, str] | None:
    """The oldest repository without a remote whose history holds a commit."""
    row = connection.execute(
        sa.select(repositories.c.id, repositories.c.key)
        .join(commits, commits.c.repository_id == repositories.c.id)
        .where(commits.c.sha == sha, repositories.c.key.startswith("local/", autoescape=True))
        .order_by(repositories.c.id)
        .limit(1)
    ).first()
    return (int(row.id), str(row.key)) if row else None


def update_repository(
    connection: Connection,
    checkout: StoredCheckout,
    repository: Repository,
    default_branch: str | None,
    mailmap: str,
    ignored_revisions: str,
) -> StoredCheckout:
    """Stores what can change between scans; a repository that was renamed keeps its achievements' ids."""
    key = known_spelling(connection, repository.key)
    values: dict[str, object] = {
        "web_url": repository.web_url,
        "default_branch": default_branch,
        "mailmap": mailmap,
        "ignored_revisions": ignored_revisions,
    }
    renamed = not key.startswith("local/") and key != checkout.repository_key
    if renamed and not connection.scalar(sa.select(repositories.c.id).where(repositories.c.key == key)):
        values.update(key=key, name=key.rpartition("/")[2])
        checkout = replace(checkout, repository_key=key)
    connection.execute(
        sa.update(repositories).where(repositories.c.id == checkout.repository_id).values(**values)
    )
    connection.execute(sa.update(checkouts).where(checkouts.c.id == checkout.id).values(path=repository.path))
    return checkout


def known_commits(connection: Connection, repository_id: int) -> dict[str, tuple[str, bool]]:
    """sha -> (parents separated by spaces, whether it is the last commit of a shallow clone)."""
    rows = connection.execute(
        sa.select(commits.c.sha, commits.c.parents, commits.c.is_boundary).where(
            commits.c.repository_id == repository_id
        )
    )
    return {row.sha: (row.parents, row.is_boundary) for row in rows}


class SignatureIds:
    """Ids of signatures, remembered for the length of a scan."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(sa.select(signatures.c.id, signatures.c.name, signatures.c.email))
        self._ids: dict[Signature, int] = {Signature(row.name, row.email): row.id for row in rows}

    def add(self, connection: Connection, found: Iterable[Signature]) -> Mapping[Signature, int]:
        """Ids of all signatures known now, ``found`` among them."""
        new = {signature for signature in found if signature not in self._ids}
        if new:
            insert = insert_into(connection, signatures).on_conflict_do_nothing()
            connection.execute(insert, [{"name": name, "email": email} for name, email in sorted(new)])
            pair = sa.tuple_(signatures.c.name, signatures.c.email)
            listed = sorted(new)
            for start in range(0, len(listed), _MANY // 2):
                rows = connection.execute(
                    sa.select(signatures.c.id, signatures.c.name, signatures.c.email).where(
                        pair.in_([tuple(signature) for signature in listed[start : start + _MANY // 2]])
                    )
                )
                self._ids.update((Signature(row.name, row.email), row.id) for row in rows)
        return self._ids


def add_commits(
    connection: Connection,
    repository_id: int,
    batch: Sequence[tuple[CollectedCommit, tuple[Trailer, ...]]],
    ids: SignatureIds,
) -> None:
    """Stores commits with their trailers; those already known stay as they are."""
    found = [who for commit, _ in batch for who in (commit.author, commit.committer)]
    found += [who for _, trailers in batch if trailers for who in co_authors(trailers)]
    known = ids.add(connection, found)
    insert_rows(
        connection,
        commits,
        (
            "repository_id", "sha", "parents", "author_id", "authored", "authored_zone", "committer_id", "committed",
            "committed_zone", "subject", "message", "raw_message", "encoding", "trailers", "diff", "is_boundary",
        ),
        [
            (
                repository_id,
                commit.sha,
                " ".join(commit.parents),
                known[commit.author],
                commit.authored[0],
                commit.authored[1],
                known[commit.committer],
                commit.committed[0],
                commit.committed[1],
                subject_of(commit.message),
                commit.message,
                commit.raw_message,
                commit.encoding,
                json.dumps(trailers, ensure_ascii=False) if trailers else None,
                commit.diff,
                commit.is_boundary,
            )
            for commit, trailers in batch
        ],
        ignore_known=True,
    )  # fmt: skip


def add_content(connection: Connection, repository_id: int, facts: Iterable[ContentFact]) -> None:
    rows = [
        {
            "repository_id": repository_id,
            "sha": fact.sha,
            "path": fact.path.encode("utf-8", "surrogateescape"),
            "kind": fact.kind.value,
            "value": fact.value,
        }
        for fact in facts
    ]
    if rows:
        connection.execute(insert_into(connection, content_facts).on_conflict_do_nothing(), rows)


def set_spaceless(connection: Connection, repository_id: int, counts: Mapping[str, bytes]) -> None:
    """Stores the counts with white space ignored (``facts.diff.line_counts`` reads them)."""
    _set(connection, repository_id, "spaceless", counts)


def set_patch_ids(connection: Connection, repository_id: int, ids: Mapping[str, str]) -> None:
    _set(connection, repository_id, "patch_id", ids)


def _set(connection: Connection, repository_id: int, column: str, values: Mapping[str, object]) -> None:
    if values:
        connection.execute(
            sa.update(commits)
            .where(commits.c.repository_id == repository_id, commits.c.sha == sa.bindparam("of_sha"))
            .values({column: sa.bindparam("new_value")}),
            [{"of_sha": sha, "new_value": value} for sha, value in values.items()],
        )


def remove_commits(connection: Connection, repository_id: int, shas: Iterable[str]) -> None:
    """Forgets commits that no checkout of the repository reaches any more, or whose parents have changed."""
    gone = list(shas)
    for start in range(0, len(gone), _MANY):
        part = gone[start : start + _MANY]
        for table in (commits, content_facts):
            connection.execute(
                sa.delete(table).where(table.c.repository_id == repository_id, table.c.sha.in_(part))
            )


def replace_tags(
    connection: Connection, checkout: StoredCheckout, found: Sequence[Tag], ids: SignatureIds
) -> None:
    known = ids.add(connection, [tag.tagger for tag in found if tag.tagger])
    connection.execute(sa.delete(tags).where(tags.c.checkout_id == checkout.id))
    if found:
        connection.execute(
            sa.insert(tags),
            [
                {
                    "checkout_id": checkout.id,
                    "repository_id": checkout.repository_id,
                    # a ref name may hold any byte
                    "name": tag.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                    "target": tag.target,
                    "is_annotated": tag.is_annotated,
                    "tagger_id": known[tag.tagger] if tag.tagger else None,
                    "tagged": tag.tagged.seconds if tag.tagged else None,
                    "tagged_zone": tag.tagged.offset_minutes if tag.tagged else None,
                    "message": tag.message,
                }
                for tag in found
            ],
        )


def save_position(
    connection: Connection,
    checkout: StoredCheckout,
    *,
    digest: str,
    tips: Sequence[str],
    mainline: Sequence[str],
    branches: Mapping[str, str],
    shallow: Iterable[str],
    scanned_at: int,
) -> None:
    """Notes that all that ``tips`` reach is stored. ``digest`` is empty while a scan is under way."""
    connection.execute(
        sa.update(checkouts)
        .where(checkouts.c.id == checkout.id)
        .values(
            digest=digest,
            tips=json.dumps(list(tips)),
            mainline=json.dumps(list(mainline)),
            branches=json.dumps(dict(branches)),
            shallow=json.dumps(sorted(shallow)),
            scanned_at=scanned_at,
        )
    )


def repository_tips(connection: Connection, repository_id: int) -> list[str]:
    """The tips of all checkouts of a repository."""
    rows = connection.scalars(sa.select(checkouts.c.tips).where(checkouts.c.repository_id == repository_id))
    return [sha for tips in rows for sha in json.loads(tips)]
