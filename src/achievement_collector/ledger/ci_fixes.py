"""Attempts to fix failures of CI as they are stored, and what commits tell of them.

What an attempt came to stands in its events; the column ``state`` repeats it so that it can be asked for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.fixes import Event, Fix, FixState, MainCommit
from achievement_collector.facts.diff import changed_files
from achievement_collector.ledger.ci_findings_tables import ci_fixes
from achievement_collector.ledger.reading import stored_repositories
from achievement_collector.ledger.tables import commits
from achievement_collector.ledger.work import names_of

_MANY = 400


def add_fix(connection: Connection, fix: Fix) -> Fix:
    """Stores an attempt and gives it with its number."""
    number = connection.execute(
        sa.insert(ci_fixes)
        .values(
            repository=fix.repository, kind=fix.kind, job=fix.job, cluster=fix.cluster, state=fix.state.value,
            branch=fix.branch, sha=fix.sha, pull_request=fix.pull, events=_text(fix), created=fix.created,
            changed=fix.created,
        )
        .returning(ci_fixes.c.id)
    ).scalar_one()  # fmt: skip
    return replace(fix, id=int(number))


def store_events(connection: Connection, fix: Fix, now: int) -> bool:
    """Stores what became of an attempt; False where that stood there already."""
    table = ci_fixes.c
    changed = connection.execute(
        sa.update(ci_fixes)
        .where(table.id == fix.id, table.events != _text(fix))
        .values(state=fix.state.value, events=_text(fix), changed=now)
    )
    return bool(changed.rowcount)


def fixes(
    connection: Connection,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
    *,
    state: FixState | None = None,
    ids: Collection[int] | None = None,
    to_change: bool = False,
) -> list[Fix]:
    """Attempts made from ``since`` to before ``until``, oldest first; ``repository`` is any name it has had. ``to_change`` keeps
    others from changing them until the transaction ends."""
    table = ci_fixes.c
    query = sa.select(ci_fixes).order_by(table.created, table.id)
    if repository is not None:
        query = query.where(table.repository.in_(names_of(connection, repository)))
    if since is not None:
        query = query.where(table.created >= since)
    if until is not None:
        query = query.where(table.created < until)
    if state is not None:
        query = query.where(table.state == state.value)
    if ids is not None:
        query = query.where(table.id.in_(sorted(ids)))
    if to_change:
        query = query.with_for_update()  # SQLite has one writer anyway
    shown: dict[str, str] = {}
    found = []
    for row in connection.execute(query).all():
        if row.repository not in shown:
            shown[row.repository] = names_of(connection, row.repository)[0]
        fixer, events = _read(row.events)
        found.append(
            Fix(
                row.id, shown[row.repository], row.kind, row.job, row.cluster, row.branch, row.sha, row.pull_request,
                fixer, row.created, events,
            )
        )  # fmt: skip
    return found


def fix_shas(connection: Connection, repository: str) -> list[str]:
    """The commits of fixes: the jobs of their runs are needed, green ones too, to tell whether the fix was verified."""
    table = ci_fixes.c
    query = sa.select(table.sha).where(
        table.repository.in_(names_of(connection, repository)), table.sha != ""
    )
    return sorted(set(connection.scalars(query)))


def _text(fix: Fix) -> str:
    events = [
        {
            "state": one.state.value,
            "at": one.at,
            "told": one.told,
            "by": "facts" if one.is_derived else "stated",
        }
        for one in fix.events
    ]
    if events and fix.fixer:
        stated = next((one for one in events if one["by"] == "stated"), events[0])
        stated["fixer"] = fix.fixer
    return json.dumps(events, ensure_ascii=False, separators=(",", ":"))


def _read(text: str) -> tuple[str, tuple[Event, ...]]:
    told = json.loads(text)
    events = tuple(
        Event(FixState(one["state"]), one["at"], one["told"], one.get("by") == "facts") for one in told
    )
    return next((one["fixer"] for one in told if one.get("fixer")), ""), events


def is_without_change(connection: Connection, repository: str, sha: str) -> bool:
    """Whether a commit that is known changes nothing, as one made to start CI again does. Merges are not looked at."""
    table = commits.c
    for stored in _stored(connection, repository):
        row = connection.execute(
            sa.select(table.parents, table.diff, table.is_boundary).where(
                table.repository_id == stored.id, table.sha == sha
            )
        ).first()
        if row is not None:
            return " " not in row.parents and not row.is_boundary and not changed_files(row.diff)
    return False


# --- what commits tell -------------------------------------------------------------------------------


class MainLine(NamedTuple):
    """What the main line of a scanned history holds: by commit, that through which it came there; and the commits there that say
    in git's or a forge's words that they revert something, each at the time at which it came there."""

    landed: dict[str, MainCommit]
    reverts: list[MainCommit]


def main_line(connection: Connection, repository: str, shas: Collection[str]) -> MainLine:
    """Of these commits those that are on the main line, with the commit through which they came there: themselves, or the first
    merge along the first parents that reaches them. Its time is the committer's. Empty where no scan saw the repository."""
    landed: dict[str, MainCommit] = {}
    reverts: dict[str, MainCommit] = {}
    for stored in _stored(connection, repository):
        table = commits.c
        query = sa.select(table.sha, table.message).where(
            table.repository_id == stored.id, table.message.contains("everts ")
        )
        messages = {row.sha: row.message for row in connection.execute(query)}
        wanted = {sha for part in _parts(shas) for sha in _known(connection, stored.id, part)}
        if not wanted and not messages:
            continue
        graph = sa.select(table.sha, table.parents).where(table.repository_id == stored.id)
        parents = {sha: told.split() for sha, told in connection.execute(graph)}
        entries = _entries(parents, _first_parents(parents, stored.mainline))
        there = {sha: entries[sha] for sha in sorted(wanted | messages.keys()) if sha in entries}
        made = _commits(connection, stored.id, set(there.values()))
        landed |= {sha: made[there[sha]] for sha in wanted if sha in there}
        reverts |= {
            sha: MainCommit(sha, made[there[sha]].at, message)
            for sha, message in messages.items()
            if sha in there
        }
    return MainLine(landed, [reverts[sha] for sha in sorted(reverts)])


class _Stored(NamedTuple):
    id: int
    mainline: tuple[str, ...]


def _stored(connection: Connection, repository: str) -> list[_Stored]:
    return [
        _Stored(one.id, one.mainline)
        for name in names_of(connection, repository)
        for one in stored_repositories(connection, key=name)
        if one.key == name
    ]


def _known(connection: Connection, repository_id: int, shas: Collection[str]) -> Iterable[str]:
    return connection.scalars(
        sa.select(commits.c.sha).where(commits.c.repository_id == repository_id, commits.c.sha.in_(shas))
    )


def _parts(shas: Collection[str]) -> Iterable[list[str]]:
    listed = sorted(shas)
    return (listed[start : start + _MANY] for start in range(0, len(listed), _MANY))


def _first_parents(parents: dict[str, list[str]], tips: Iterable[str]) -> list[str]:
    """The commits of the main line, newest first."""
    line: dict[str, None] = {}
    for tip in tips:
        sha = tip
        while sha in parents and sha not in line:
            line[sha] = None
            if not parents[sha]:
                break
            sha = parents[sha][0]
    return list(line)


def _entries(parents: dict[str, list[str]], line: list[str]) -> dict[str, str]:
    """Commit -> the oldest commit of the main line that reaches it."""
    entry: dict[str, str] = {}
    for one in reversed(line):
        pending = [one]
        while pending:
            sha = pending.pop()
            if sha in parents and sha not in entry:
                entry[sha] = one
                pending += parents[sha]
    return entry


def _commits(connection: Connection, repository_id: int, shas: Collection[str]) -> dict[str, MainCommit]:
    table = commits.c
    found: dict[str, MainCommit] = {}
    for part in _parts(shas):
        query = sa.select(table.sha, table.committed, table.message).where(
            table.repository_id == repository_id, table.sha.in_(part)
        )
        for sha, committed, message in connection.execute(query):
            found[sha] = MainCommit(sha, committed * 1000, message)
    return found
