"""Milestones as typed facts, read from what outside systems told; the snapshots of the roadmap; the runs of CI."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.facts.ci_runs import Attempt
from achievement_collector.facts.diff import changed_files
from achievement_collector.facts.milestones import Milestone, Origin, Statement, Status
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import PullRequest, texts
from achievement_collector.ledger import ci_runs
from achievement_collector.ledger.entities import Thing, things
from achievement_collector.ledger.roadmap_tables import milestone_snapshots, milestone_statements
from achievement_collector.ledger.rows import insert_into, insert_rows
from achievement_collector.ledger.tables import commits, repositories
from achievement_collector.ledger.work import names_of, present_key, present_milestone, present_names

_LINEAR_WORDS = {
    "backlog": Status.PLANNED,
    "planned": Status.PLANNED,
    "started": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
}
"""Linear's types of a project's status that are one of the four; paused and canceled are none."""

# --- milestones --------------------------------------------------------------------------------------


def known_milestones(connection: Connection) -> list[Milestone]:
    """The milestones that GitHub and Linear told of, removed ones left out; in the order they were first heard of."""
    found = [
        one
        for thing in things(connection, Kind.MILESTONE)
        if (one := _of_github(connection, thing) if "/milestone/" in thing.key else _of_linear(thing))
    ]
    found += [one for thing in things(connection, Kind.PROJECT) if (one := _of_project(thing))]
    said = statements(connection)
    return [with_statements(one, said) for one in found]


def with_statements(one: Milestone, said: Mapping[str, Sequence[Statement]]) -> Milestone:
    """A milestone with what people said of it elsewhere."""
    more = said.get(one.key, ())
    return replace(one, statements=(*one.statements, *more)) if more else one


def _of_github(connection: Connection, thing: Thing) -> Milestone | None:
    told = thing.fields
    if told.get("removed") or not told.get("name"):
        return None
    place, _, number = thing.key.rpartition("/milestone/")
    present = names_of(connection, place)[0]
    closed = told.get("state") == "closed"
    said = (Statement(Status.COMPLETED, Origin.GITHUB, "closed", told.get("completed")),) if closed else ()
    return Milestone(
        f"{present}/milestone/{number}", str(told["name"]), Origin.GITHUB, scope=present, repositories=(present,),
        statements=said, target=_day_of(told.get("due")), completed=told.get("completed") if closed else None,
        url=told.get("url") or "", is_open=told.get("state") == "open",
    )  # fmt: skip


def _of_linear(thing: Thing) -> Milestone | None:
    told = thing.fields
    if told.get("removed") or not told.get("name"):
        return None
    return Milestone(
        thing.key, str(told["name"]), Origin.LINEAR, target=_day_of(told.get("target")), parent=thing.scope,
    )  # fmt: skip


def _of_project(thing: Thing) -> Milestone | None:
    told = thing.fields
    if told.get("removed") or not told.get("title"):
        return None
    words = str(told.get("status") or "").lower()
    done = _LINEAR_WORDS.get(words)
    said = (Statement(done, Origin.PROJECT, words, thing.said.get("status")),) if words else ()
    slug = str(told.get("slug") or "")
    return Milestone(
        thing.key, str(told["title"]), Origin.PROJECT, names=(slug,) if slug else (), statements=said,
        start=_day_of(told.get("start")), target=_day_of(told.get("target")), url=told.get("url") or "",
        completed=told.get("completed") if done is Status.COMPLETED else None, is_dropped=words in ("canceled", "cancelled"),
    )  # fmt: skip


def _day_of(told: Any) -> date | None:
    """A day from ISO text or from milliseconds."""
    try:
        if isinstance(told, int):
            return datetime.fromtimestamp(told / 1000, UTC).date()
        return date.fromisoformat(str(told)[:10]) if told else None
    except (ValueError, OverflowError, OSError):
        return None


# --- what belongs to them ----------------------------------------------------------------------------


class KnownIssue(NamedTuple):
    """An issue with all that may put it into a milestone. ``repository`` is empty for one of Linear; ``milestone`` is a
    title (GitHub), ``project`` and ``project_milestone`` are keys (Linear)."""

    key: str
    identifier: str
    title: str
    url: str
    created: int | None
    completed: int | None
    canceled: int | None
    labels: tuple[str, ...]
    repository: str
    milestone: str
    project: str
    project_milestone: str


def known_issues(connection: Connection) -> list[KnownIssue]:
    """The issues of GitHub and Linear that were not removed."""
    moved = present_names(connection)
    found: dict[str, KnownIssue] = {}
    for thing in things(connection, Kind.ISSUE):
        told = thing.fields
        if told.get("removed") or told.get("title") is None:
            continue
        is_linear = thing.key.startswith("linear/")
        key = thing.key if is_linear else present_key(thing.key, moved)
        project, milestone = told.get("project"), told.get("project_milestone")
        found[key] = KnownIssue(
            key, str(told.get("identifier") or ""), str(told["title"]), told.get("url") or "", told.get("created"),
            told.get("completed"), told.get("canceled"), texts(told.get("labels")),
            "" if is_linear else key.rpartition("#")[0], "" if is_linear else str(told.get("milestone") or ""),
            f"linear/{project}" if is_linear and project else "", f"linear/{milestone}" if is_linear and milestone else "",
        )  # fmt: skip
    return list(found.values())


def default_branches(connection: Connection) -> dict[str, str]:
    """The default branch of each repository that told it, by its key."""
    rows = connection.execute(sa.select(repositories.c.key, repositories.c.default_branch))
    found = {row.key: row.default_branch for row in rows if row.default_branch}
    for thing in things(connection, Kind.REPOSITORY):
        if branch := thing.fields.get("default_branch"):
            found[names_of(connection, thing.key)[0]] = str(branch)
    return found


def attempts_of(connection: Connection, repository: str, since: int) -> list[Attempt]:
    """The finished attempts of a repository's workflow runs that began since a moment: those that are stored as such, and
    those that messages told of before there was room for them."""
    known = {(one.run, one.number): one for one in ci_runs.attempts(connection, repository, since)}
    for place in names_of(connection, repository):
        for thing in things(connection, Kind.CHECK, under=f"{place}/run/"):
            if (one := _attempt(repository, thing, since)) is not None:
                known.setdefault((one.run, one.number), one)
    last: dict[int, int] = {}
    for run, number in known:
        last[run] = max(last.get(run, 0), number)
    return [
        replace(one, is_last=one.is_last and one.number == last[one.run])
        for one in known.values()
        if one.is_finished and one.finished is not None
    ]


def _attempt(repository: str, thing: Thing, since: int) -> Attempt | None:
    told = thing.fields
    run, _, number = thing.key.rpartition("/run/")[2].partition("/")
    at = told.get("completed")
    began = told.get("started") or at
    if not run.isdecimal() or not number.isdecimal() or began is None or began < since:
        return None
    return Attempt(
        repository, int(run), int(number), told.get("name") or "", told.get("sha") or "", told.get("branch") or "",
        told.get("event") or "", told.get("conclusion") or "", started=told.get("started"), finished=at,
        url=told.get("url") or "", path=told.get("path") or "",
        pulls=tuple(one for one in told.get("pull_requests") or () if isinstance(one, int)),
    )  # fmt: skip


def paths_of_merges(
    connection: Connection, pulls: Iterable[PullRequest]
) -> dict[str, tuple[frozenset[str], bool]]:
    """Pull request -> (paths that its merge is known to change, whether these are all of them), of those whose merge is a
    scanned commit that is no merge itself. They are all where the forge counted as many files."""
    by_commit = {one.merge_sha: one for one in pulls if one.merge_sha}
    found: dict[str, tuple[frozenset[str], bool]] = {}
    listed = sorted(by_commit)
    for start in range(0, len(listed), 500):
        query = (
            sa.select(
                commits.c.sha, commits.c.parents, commits.c.diff, commits.c.is_boundary, repositories.c.key
            )
            .join(repositories, repositories.c.id == commits.c.repository_id)
            .where(commits.c.sha.in_(listed[start : start + 500]))
        )
        for row in connection.execute(query):
            pull = by_commit[row.sha]
            if (
                row.is_boundary
                or len(row.parents.split()) > 1
                or names_of(connection, row.key)[0] != pull.repository
            ):
                continue
            paths = frozenset(one.path for one in changed_files(bytes(row.diff)))
            found[pull.key] = (paths, pull.files is not None and pull.files == len(paths))
    return found


# --- statements --------------------------------------------------------------------------------------


def statements(connection: Connection) -> dict[str, list[Statement]]:
    """What people said of milestones' status in Notion or here, by the milestone's present key."""
    moved = present_names(connection)
    found: dict[str, list[Statement]] = {}
    for row in connection.execute(sa.select(milestone_statements).order_by(milestone_statements.c.origin)):
        status = Status(row.status) if row.status else None
        key = present_milestone(row.milestone, moved)
        found.setdefault(key, []).append(Statement(status, Origin(row.origin), row.words, row.at))
    return found


def state(connection: Connection, milestone: str, said: Statement, now: int) -> None:
    """Keeps what somebody said of a milestone, in place of what was said there before, unless that is newer."""
    insert = insert_into(connection, milestone_statements)
    told = {"status": said.status.value if said.status else None, "words": said.words, "at": said.at or now}
    connection.execute(
        insert.values(milestone=milestone, origin=said.origin.value, **told).on_conflict_do_update(
            index_elements=["milestone", "origin"], set_=told, where=milestone_statements.c.at <= told["at"]
        )
    )


# --- snapshots ---------------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    """A milestone as it stood on a day (UTC), by its present key; ``made`` is the moment (ms)."""

    milestone: str
    day: date
    made: int
    body: dict[str, Any]


def add_snapshots(
    connection: Connection, day: date, made: int, bodies: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Keeps how milestones stand on a day (``target`` among the rest), and gives those of which there was no snapshot of this
    day yet: one that is there stays as it is for ever."""
    table = milestone_snapshots.c
    moved = present_names(connection)
    there = connection.scalars(sa.select(table.milestone).where(table.day == day.isoformat()))
    taken = {present_milestone(key, moved) for key in there}
    new = [key for key in bodies if key not in taken]
    rows = []
    for key in new:
        body = json.dumps(bodies[key], ensure_ascii=False, sort_keys=True)
        rows.append((key, day.isoformat(), made, bodies[key]["target"], body))
    insert_rows(
        connection,
        milestone_snapshots,
        ("milestone", "day", "made", "target", "body"),
        rows,
        ignore_known=True,
    )
    return new


def snapshots(
    connection: Connection,
    milestones: Collection[str] | None = None,
    since: date | None = None,
    until: date | None = None,
) -> list[Snapshot]:
    """The snapshots of these milestones, or of all, oldest first; from ``since`` to ``until``, both included. Of two of one
    day, from before and after a repository was renamed, the later one."""
    table = milestone_snapshots.c
    query = sa.select(milestone_snapshots).order_by(table.day, table.made)
    if since is not None:
        query = query.where(table.day >= since.isoformat())
    if until is not None:
        query = query.where(table.day <= until.isoformat())
    moved = present_names(connection)
    found = {}
    for row in connection.execute(query):
        key = present_milestone(row.milestone, moved)
        if milestones is None or key in milestones:
            found[row.day, key] = Snapshot(key, date.fromisoformat(row.day), row.made, json.loads(row.body))
    return [found[place] for place in sorted(found)]


def targets_seen(connection: Connection) -> dict[str, list[tuple[date, date | None]]]:
    """(day of a snapshot, target on it) of every milestone, oldest first."""
    table = milestone_snapshots.c
    moved = present_names(connection)
    found: dict[str, dict[date, date | None]] = {}
    query = sa.select(table.milestone, table.day, table.target).order_by(table.day, table.made)
    for row in connection.execute(query):
        target = date.fromisoformat(row.target) if row.target else None
        found.setdefault(present_milestone(row.milestone, moved), {})[date.fromisoformat(row.day)] = target
    return {key: list(seen.items()) for key, seen in found.items()}


def latest_snapshots(connection: Connection, before: date) -> dict[str, Snapshot]:
    """The newest snapshot of each milestone from before a day."""
    table = milestone_snapshots.c
    newest = (
        sa.select(table.milestone, sa.func.max(table.day).label("day"))
        .where(table.day < before.isoformat())
        .group_by(table.milestone)
        .subquery()
    )
    query = sa.select(milestone_snapshots).join(
        newest, sa.and_(newest.c.milestone == table.milestone, newest.c.day == table.day)
    )
    moved = present_names(connection)
    found: dict[str, Snapshot] = {}
    for row in connection.execute(query.order_by(table.day, table.made)):
        key = present_milestone(row.milestone, moved)
        found[key] = Snapshot(key, date.fromisoformat(row.day), row.made, json.loads(row.body))
    return found
