"""Runs of CI: taking them in, in whatever order and however often they are told, and reading them back.

Of one attempt, or one job, the statement holds that ranks highest: that it has ended over that it runs over that it waits,
then the later one, then the greater digest, which is arbitrary but the same everywhere. So the rows come out the same in every
order of the same statements. What is asked for beyond that (jobs of an attempt, annotations, logs) stands beside it; rows that
still lack it are the queue of work, which no stop can lose.

All moments are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.facts.ci_runs import GREEN, RED, Annotation, Attempt, Job, Step
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.ci_findings_tables import ci_fixes
from achievement_collector.ledger.ci_tables import ci_attempts, ci_jobs, ci_logs, ci_run_pulls
from achievement_collector.ledger.entities import cursor
from achievement_collector.ledger.rows import insert_into
from achievement_collector.ledger.work import names_of

MOST_TRIES = 5
"""How often something of an attempt or a job is asked for that GitHub does not give."""

STORED, GONE, REFUSED, TOO_LARGE, FAILED = "stored", "gone", "refused", "too_large", "failed"
"""States of a log: kept (perhaps with its middle left out); no longer there; not to be seen with this token; larger than is
read (its beginning is kept); not to be had in passing."""

_MANY = 400
_RANKS = {"completed": 2, "in_progress": 1}
_RETRY = 86_400_000  # milliseconds until a log that was refused, or failed, is asked for again


class TakenIn(NamedTuple):
    """Keys of attempts and jobs about which something new was told, and the observations that belong among the entities: all
    but those of jobs, of which nothing else is known than what stands here."""

    attempts: list[str]
    jobs: list[str]
    rest: list[Observation]


def take_in_runs(connection: Connection, observations: Iterable[Observation]) -> TakenIn:
    """Writes what observations tell of attempts of workflow runs and of their jobs. May be called any number of times, in any
    order, by several processes."""
    attempts: dict[tuple[Any, ...], dict[str, Any]] = {}
    jobs: dict[tuple[Any, ...], dict[str, Any]] = {}
    pulls: set[tuple[str, int, int]] = set()
    rest: list[Observation] = []
    for one in observations:
        if one.kind is Kind.JOB:
            row = _job_row(one)
            if row is not None:
                _keep_higher(jobs, (row["host"], row["job"]), row)
            continue
        rest.append(one)
        row = _attempt_row(one) if one.kind is Kind.CHECK else None
        if row is not None:
            _keep_higher(attempts, (row["host"], row["run"], row["number"]), row)
            pulls |= {(row["host"], row["run"], pull) for pull in one.fields.get("pull_requests") or ()}
    if pulls:
        told = [dict(zip(("host", "run", "pull"), pull, strict=True)) for pull in sorted(pulls)]
        connection.execute(insert_into(connection, ci_run_pulls).on_conflict_do_nothing(), told)
    new_attempts = _write(connection, ci_attempts, ("host", "run", "number"), attempts)
    new_jobs = _write(connection, ci_jobs, ("host", "job"), jobs)
    return TakenIn(
        [f"{row['repository']}/run/{row['run']}/{row['number']}" for row in new_attempts],
        [f"{row['repository']}/job/{row['job']}" for row in new_jobs],
        rest,
    )


def _attempt_row(one: Observation) -> dict[str, Any] | None:
    """The row of an attempt; None where the check is no workflow run."""
    repository, _, sha = one.scope.rpartition("@")
    parts = one.key.removeprefix(f"{repository}/run/").split("/")
    if not repository or len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        return None
    if not _is_storable(repository, int(parts[0]), int(parts[1])):
        return None
    told = one.fields
    status, conclusion = told.get("status") or "", told.get("conclusion") or ""
    started, created = told.get("started"), told.get("created")
    values = {
        "host": repository.partition("/")[0], "run": int(parts[0]), "number": int(parts[1]), "repository": repository,
        "workflow": told.get("name") or "", "path": told.get("path") or "", "sha": sha, "branch": told.get("branch") or "",
        "event": told.get("event") or "", "status": status, "conclusion": conclusion, "created": created,
        "started": started, "finished": told.get("completed") if conclusion else None, "at": started or created or one.at,
        "url": told.get("url") or "", "title": told.get("title") or "", "actor": told.get("actor") or "",
    }  # fmt: skip
    return _ranked(values, one.at, 0)


def _job_row(one: Observation) -> dict[str, Any] | None:
    """The row of a job; None where it does not tell its run."""
    told = one.fields
    repository, _, number = one.key.rpartition("/job/")
    if not repository or not told.get("run") or not number.isdecimal():
        return None
    if not _is_storable(repository, int(number), told.get("attempt") or 1):
        return None
    conclusion, steps = told.get("conclusion") or "", told.get("steps") or []
    started, queued = told.get("started"), told.get("created")
    values = {
        "host": repository.partition("/")[0], "job": int(number), "run": told["run"], "attempt": told.get("attempt") or 1,
        "repository": repository, "name": told.get("name") or "", "workflow": told.get("workflow") or "",
        "sha": told.get("sha") or "", "branch": told.get("branch") or "", "status": told.get("status") or "",
        "conclusion": conclusion, "queued": queued, "started": started,
        "finished": told.get("completed") if conclusion else None, "at": started or queued or one.at,
        "url": told.get("url") or "", "runner": told.get("runner") or "", "labels": _json(told.get("labels") or []),
        "steps": _json(steps), "check_run": told.get("check_run"),
    }  # fmt: skip
    return _ranked(values, one.at, len(steps))


def _is_storable(repository: str, number: int, attempt: int) -> bool:
    """Whether a database can hold the key: whoever made up another told nothing."""
    return len(repository.partition("/")[0]) <= 255 and 0 <= number < 2**62 and 0 < attempt < 2**31


def _ranked(values: dict[str, Any], said: int, weight: int) -> dict[str, Any]:
    """A row with what decides between it and others of the same; of two from one moment the one with more steps."""
    rank = 2 if values["conclusion"] else _RANKS.get(values["status"], 0)
    digest = hashlib.sha1(_json(values).encode(), usedforsecurity=False).hexdigest()[:16]
    return {**values, "rank": rank, "said": said, "digest": f"{min(weight, 9999):04d}{digest}"}


def _order(row: Mapping[str, Any]) -> tuple[int, int, str]:
    return row["rank"], row["said"], row["digest"]


def _keep_higher(
    found: dict[tuple[Any, ...], dict[str, Any]], key: tuple[Any, ...], row: dict[str, Any]
) -> None:
    if key not in found or _order(row) > _order(found[key]):
        found[key] = row


def _write(
    connection: Connection,
    table: sa.Table,
    key: Sequence[str],
    rows: Mapping[tuple[Any, ...], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Writes the rows that rank higher than what is stored, in the order of their keys; gives those."""
    known: dict[tuple[Any, ...], tuple[int, int, str]] = {}
    of_host: dict[str, list[Any]] = {}
    for one in rows:
        of_host.setdefault(one[0], []).append(one[1])
    columns = [*(table.c[name] for name in key), table.c.rank, table.c.said, table.c.digest]
    for host, numbers in of_host.items():
        for part in _parts(sorted(set(numbers))):
            chosen = sa.select(*columns).where(table.c.host == host, table.c[key[1]].in_(part))
            for *named, rank, said, digest in connection.execute(chosen):
                known[tuple(named)] = (rank, said, digest)
    new = [rows[one] for one in sorted(rows) if one not in known or _order(rows[one]) > known[one]]
    if new:
        insert = insert_into(connection, table)
        excluded = insert.excluded
        marks = ("rank", "said", "digest")
        statement = insert.on_conflict_do_update(
            index_elements=list(key),
            set_={name: excluded[name] for name in new[0] if name not in key},
            where=sa.tuple_(*(excluded[name] for name in marks))
            > sa.tuple_(*(table.c[name] for name in marks)),
        )
        connection.execute(statement, new)
    return new


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parts(found: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (found[start : start + _MANY] for start in range(0, len(found), _MANY))


# --- reading -----------------------------------------------------------------------------------------


def attempts(
    connection: Connection,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
    *,
    branch: str | None = None,
    sha: str | None = None,
    runs: Sequence[int] | None = None,
    only_red: bool = False,
    limit: int | None = None,
) -> list[Attempt]:
    """Attempts that began from ``since`` to before ``until``, oldest first; with ``limit`` the newest of them.

    ``repository`` is any name it has had, None means all; ``sha``, ``branch`` and ``runs`` (ids) choose among them.
    """
    table, later = ci_attempts.c, ci_attempts.alias("later")
    is_last = ~sa.exists().where(
        later.c.host == table.host, later.c.run == table.run, later.c.number > table.number
    )
    told = (
        sa.select(sa.func.count())
        .where(ci_jobs.c.host == table.host, ci_jobs.c.run == table.run, ci_jobs.c.attempt == table.number)
        .scalar_subquery()
    )
    is_read = table.jobs_state == "read"
    query: sa.Select[Any] = sa.select(
        table.repository, table.run, table.number, table.workflow, table.sha, table.branch, table.event, table.conclusion,
        table.created, table.started, table.finished, table.url, table.path, table.title, table.actor, table.host, is_last,
        is_read, sa.case((is_read, table.jobs), else_=told),
    )  # fmt: skip
    query = _chosen(connection, query, ci_attempts, repository, since, until, branch, only_red)
    if sha is not None:
        query = query.where(table.sha == sha)
    shown = _Names(connection)
    found: list[Attempt] = []
    for part in [None] if runs is None else _parts(sorted(set(runs))):
        chosen = query if part is None else query.where(table.run.in_(part))
        rows = connection.execute(
            chosen.order_by(table.at.desc(), table.run.desc(), table.number.desc()).limit(limit)
        ).all()
        pulls = _pulls_of(connection, {(host, run) for _, run, *_, host, _, _, _ in rows})
        found += [
            Attempt(  # type: ignore[misc]
                shown[key], run, *told, pulls=pulls.get((host, run), ()), is_last=bool(is_last), jobs_known=bool(is_read),
                jobs=jobs,
            )
            for key, run, *told, host, is_last, is_read, jobs in rows
        ]  # fmt: skip
    found.sort(key=lambda one: (one.started or one.created or 0, one.run, one.number))
    return found if limit is None else found[-limit:]


class _Names(dict[str, str]):
    """The present name of each repository."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, name: str) -> str:
        self[name] = names_of(self._connection, name)[0]
        return self[name]


def _chosen(
    connection: Connection, query: sa.Select[Any], table: sa.Table, repository: str | None, since: int | None,
    until: int | None, branch: str | None, only_red: bool,
) -> sa.Select[Any]:  # fmt: skip
    if repository is not None:
        query = query.where(table.c.repository.in_(names_of(connection, repository)))
    if since is not None:
        query = query.where(table.c.at >= since)
    if until is not None:
        query = query.where(table.c.at < until)
    if branch is not None:
        query = query.where(table.c.branch == branch)
    if only_red:
        query = query.where(table.c.conclusion.in_(sorted(RED)))
    return query


def _pulls_of(
    connection: Connection, wanted: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], tuple[int, ...]]:
    """(host, run) -> the pull requests it was shown with."""
    of_host: dict[str, set[int]] = {}
    for host, run in wanted:
        of_host.setdefault(host, set()).add(run)
    found: dict[tuple[str, int], tuple[int, ...]] = {}
    table = ci_run_pulls.c
    for host, runs in of_host.items():
        query = sa.select(table.run, table.pull).where(table.host == host).order_by(table.run, table.pull)
        few = [query.where(table.run.in_(part)) for part in _parts(sorted(runs))] if len(runs) < 2_000 else [
            query.where(table.run.between(min(runs), max(runs)))
        ]  # fmt: skip
        for chosen in few:
            for run, pull in connection.execute(chosen):
                found[host, run] = (*found.get((host, run), ()), pull)
    return found


def jobs(
    connection: Connection,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
    *,
    branch: str | None = None,
    runs: Sequence[int] | None = None,
    ids: Sequence[int] | None = None,
    only_red: bool = False,
    with_log: bool = False,
    in_full: bool = True,
    limit: int | None = None,
) -> list[Job]:
    """Jobs that began from ``since`` to before ``until``, oldest first; with ``limit`` the newest of them. ``with_log`` keeps
    those of which a log is stored; without ``in_full`` they come without steps and annotations, much sooner."""
    table = ci_jobs.c
    columns: list[Any] = [
        table.repository, table.job, table.run, table.attempt, table.name, table.sha, table.branch, table.workflow,
        table.conclusion, table.queued, table.started, table.finished, table.url, table.runner, table.labels,
    ]  # fmt: skip
    columns += [table.steps, table.annotations] if in_full else [sa.literal("[]"), sa.literal("[]")]
    query = _chosen(connection, sa.select(*columns), ci_jobs, repository, since, until, branch, only_red)
    if with_log:
        query = query.join(ci_logs, sa.and_(ci_logs.c.host == table.host, ci_logs.c.job == table.job)).where(
            ci_logs.c.body.is_not(None)
        )
    column, wanted = (table.run, runs) if runs is not None else (table.job, ids)
    shown = _Names(connection)
    found: list[Job] = []
    for part in [None] if wanted is None else _parts(sorted(set(wanted))):
        chosen = query if part is None else query.where(column.in_(part))
        rows = connection.execute(chosen.order_by(table.at.desc(), table.job.desc()).limit(limit))
        found += [
            Job(shown[key], *told, **_lists_of(labels, steps, annotations))
            for key, *told, labels, steps, annotations in rows
        ]
    found.sort(key=lambda one: (one.started or one.queued or 0, one.id))
    return found if limit is None else found[-limit:]


def _lists_of(labels: str, steps: str, annotations: str | None) -> dict[str, Any]:
    return {
        "labels": tuple(json.loads(labels)) if labels != "[]" else (),
        "steps": tuple(Step(*step) for step in json.loads(steps)) if steps != "[]" else (),
        "annotations": tuple(Annotation(*one) for one in json.loads(annotations or "[]")),
    }


class Log(NamedTuple):
    """What is kept of a job's log. ``text`` is empty where nothing is; ``size`` the bytes it had and ``cut`` those that were
    left out; ``masked`` how many places looked like secrets; ``told`` why it is not stored."""

    state: str
    text: str = ""
    size: int = 0
    cut: int = 0
    masked: int = 0
    told: str = ""

    @property
    def is_kept(self) -> bool:
        return self.state in (STORED, TOO_LARGE)


def log_of(connection: Connection, job: Job) -> Log | None:
    """The log of a job, None where it was never asked for."""
    table = ci_logs.c
    row = connection.execute(
        sa.select(ci_logs).where(table.host == job.repository.partition("/")[0], table.job == job.id)
    ).first()
    if row is None:
        return None
    text = zlib.decompress(row.body).decode() if row.body is not None else ""
    return Log(row.state, text, row.size, row.cut, row.masked, row.told)


def states_of_logs(
    connection: Connection, repository: str, since: int | None = None
) -> dict[tuple[str, int], tuple[str, str]]:
    """(host, job) -> the state of its log and why it is not kept, of failed jobs from ``since`` on whose log was asked for."""
    table, log = ci_jobs.c, ci_logs.c
    of = ci_jobs.join(ci_logs, sa.and_(log.host == table.host, log.job == table.job))
    query = sa.select(table.host, table.job, log.state, log.told).select_from(of)
    chosen = _chosen(connection, query, ci_jobs, repository, since, None, None, True)
    return {(row.host, row.job): (row.state, row.told) for row in connection.execute(chosen)}


class Collected(NamedTuple):
    """From when to when a repository's runs are known (milliseconds), None where nothing tells. They begin with the first that
    is known, however far back the list was read: GitHub deletes old runs. They end with the last one, or where the list was
    read later, then."""

    begin: int | None
    end: int | None


def collected(connection: Connection, repository: str) -> Collected:
    """How far the runs of a repository are known."""
    names, table = names_of(connection, repository), ci_attempts.c
    first, last = connection.execute(
        sa.select(sa.func.min(table.at), sa.func.max(table.at)).where(table.repository.in_(names))
    ).one()
    read = [(cursor(connection, f"github/{name}/runs") or {}).get("read") for name in names]
    return Collected(first, max((one for one in (last, *read) if one), default=None))


class Counts(NamedTuple):
    """What is stored of a repository's CI, and what is still to be asked for."""

    attempts: int
    runs: int
    unfinished: int
    red: int
    jobs: int
    red_jobs: int
    logs: int
    jobs_waiting: int  # red attempts whose jobs were not read
    logs_waiting: int  # red jobs whose log is still to be asked for, perhaps once more
    logs_lost: int  # red jobs whose log was asked for and is not to be had


def counts(
    connection: Connection, repository: str | None = None, since: int | None = None, until: int | None = None
) -> Counts:
    """How much of CI is stored, of what began from ``since`` to before ``until``."""

    def one(counted: Sequence[Any], table: sa.Table, of: sa.FromClause) -> Sequence[int]:
        query = sa.select(*counted).select_from(of)
        chosen = _chosen(connection, query, table, repository, since, until, None, False)
        return [int(number) for number in connection.execute(chosen).one()]

    table, red = ci_attempts.c, sorted(RED)
    is_red = table.conclusion.in_(red)
    of_attempts = one(
        [
            sa.func.count(),
            sa.func.count(sa.distinct(table.run)),
            _sum(table.conclusion == ""),
            _sum(is_red),
            _sum(sa.and_(is_red, table.jobs_state == "")),
        ],
        ci_attempts,
        ci_attempts,
    )
    has_log = sa.and_(ci_logs.c.host == ci_jobs.c.host, ci_logs.c.job == ci_jobs.c.job)
    is_red = ci_jobs.c.conclusion.in_(red)
    of_jobs = one(
        [
            sa.func.count(),
            _sum(is_red),
            _sum(ci_logs.c.body.is_not(None)),
            _sum(sa.and_(is_red, sa.or_(ci_logs.c.state.is_(None), _may_come()))),
            _sum(sa.and_(is_red, ci_logs.c.state.is_not(None), ci_logs.c.body.is_(None), ~_may_come())),
        ],
        ci_jobs,
        ci_jobs.outerjoin(ci_logs, has_log),
    )
    return Counts._make([*of_attempts[:4], *of_jobs[:3], of_attempts[4], *of_jobs[3:]])


def _may_come() -> sa.ColumnElement[bool]:
    """Whether a log that was not to be had is asked for again."""
    return sa.and_(ci_logs.c.state.in_([REFUSED, FAILED]), ci_logs.c.tries < MOST_TRIES)


def _sum(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def repositories_with_runs(connection: Connection) -> list[str]:
    """The present names of the repositories of which runs are known."""
    found = connection.scalars(sa.select(ci_attempts.c.repository).distinct()).all()
    return sorted({names_of(connection, name)[0] for name in found})


def ended(connection: Connection, repository: str, run: int, number: int) -> bool:
    """Whether the end of an attempt is known."""
    table = ci_attempts.c
    query = sa.select(table.rank).where(
        table.host == repository.partition("/")[0], table.run == run, table.number == number
    )
    return connection.scalar(query) == 2


# --- what is still to be asked for -------------------------------------------------------------------


class WantedJobs(NamedTuple):
    """An attempt whose jobs are to be read."""

    host: str
    run: int
    number: int


class WantedOfJob(NamedTuple):
    """A job of which something is to be read; ``finished`` is None where that is not known."""

    host: str
    job: int
    check_run: int | None
    finished: int | None


def wanted_jobs(
    connection: Connection, repository: str, limit: int, *, only_red: bool, only_reruns: bool = False
) -> list[WantedJobs]:
    """Attempts that have ended and whose jobs were not read, the newest first; ``only_reruns`` takes those of runs with
    several attempts, ``only_red`` those that failed, and those on commits of fixes, which their jobs alone verify."""
    table = ci_attempts.c
    query = sa.select(table.host, table.run, table.number).where(
        table.repository.in_(names_of(connection, repository)),
        table.jobs_state == "",
        table.rank == 2,
        table.tries < MOST_TRIES,
    )
    if only_red:
        fixes = sa.select(ci_fixes.c.sha).where(ci_fixes.c.sha != "")
        query = query.where(sa.or_(table.conclusion.in_(sorted(RED)), table.sha.in_(fixes)))
    if only_reruns:
        again = ci_attempts.alias("again")
        query = query.where(
            sa.exists().where(again.c.host == table.host, again.c.run == table.run, again.c.number > 1)
        )
    rows = connection.execute(query.order_by(table.tries, table.at.desc(), table.run.desc()).limit(limit))
    return [WantedJobs(*row) for row in rows]


def wanted_annotations(connection: Connection, repository: str, limit: int) -> list[WantedOfJob]:
    """Failed jobs whose annotations were not read, the newest first."""
    table = ci_jobs.c
    query = _failed_jobs(connection, repository).where(table.annotations.is_(None), table.tries < MOST_TRIES)
    rows = connection.execute(query.order_by(table.tries, table.at.desc(), table.job.desc()).limit(limit))
    return [WantedOfJob(*row) for row in rows]


def wanted_logs(
    connection: Connection, repository: str, limit: int, *, since: int, now: int
) -> list[WantedOfJob]:
    """Failed jobs from ``since`` on whose log is not stored and may be had, the newest first."""
    table, log = ci_jobs.c, ci_logs.c
    again = sa.and_(_may_come(), log.asked <= now - _RETRY)
    query = (
        _failed_jobs(connection, repository)
        .outerjoin(ci_logs, sa.and_(log.host == table.host, log.job == table.job))
        .where(table.at >= since, sa.or_(log.state.is_(None), again))
    )
    rows = connection.execute(query.order_by(table.at.desc(), table.job.desc()).limit(limit))
    return [WantedOfJob(*row) for row in rows]


GREEN_LOGS = 3
"""Logs of green jobs that are asked for of every job that failed, to tell what is no cause."""


def wanted_green_logs(
    connection: Connection, repository: str, limit: int, *, since: int
) -> list[WantedOfJob]:
    """Green jobs from ``since`` on whose logs are to be compared with those of failed jobs of the same name: the newest,
    :data:`GREEN_LOGS` of a name at most, those that were asked for included."""
    table, names = ci_jobs.c, names_of(connection, repository)
    of_name = (table.workflow, table.name)
    has_log = sa.and_(ci_logs.c.host == table.host, ci_logs.c.job == table.job)
    recent = sa.and_(table.repository.in_(names), table.at >= since)
    red = sa.select(*of_name).where(recent, table.conclusion.in_(sorted(RED))).distinct().subquery()
    is_green = sa.and_(recent, table.conclusion.in_(sorted(GREEN)))
    asked = (
        sa.select(*of_name, sa.func.count().label("number"))
        .select_from(ci_jobs.join(ci_logs, has_log))
        .where(is_green)
        .group_by(*of_name)
        .subquery()
    )
    place = sa.func.row_number().over(partition_by=of_name, order_by=(table.at.desc(), table.job.desc()))
    left = (
        sa.select(
            table.host, table.job, table.check_run, table.finished, table.at, *of_name, place.label("place")
        )
        .select_from(ci_jobs.outerjoin(ci_logs, has_log))
        .where(is_green, ci_logs.c.state.is_(None))
        .subquery()
    )
    query = (
        sa.select(left.c.host, left.c.job, left.c.check_run, left.c.finished)
        .select_from(
            left.join(red, sa.and_(red.c.workflow == left.c.workflow, red.c.name == left.c.name)).outerjoin(
                asked, sa.and_(asked.c.workflow == left.c.workflow, asked.c.name == left.c.name)
            )
        )
        .where(left.c.place <= GREEN_LOGS - sa.func.coalesce(asked.c.number, 0))
        .order_by(left.c.at.desc(), left.c.job.desc())
        .limit(limit)
    )
    return [WantedOfJob(*row) for row in connection.execute(query)]


def _failed_jobs(connection: Connection, repository: str) -> sa.Select[Any]:
    table = ci_jobs.c
    return (
        sa.select(table.host, table.job, table.check_run, table.finished)
        .select_from(ci_jobs)
        .where(
            table.repository.in_(names_of(connection, repository)), table.conclusion.in_(sorted(RED))
        )
    )  # fmt: skip


def note_jobs(connection: Connection, of: WantedJobs, state: str, count: int) -> None:
    """Notes that the jobs of an attempt were read (``read``; ``count`` is how many it has), are not there any more
    (``gone``), or are to be asked for another time (empty)."""
    table = ci_attempts.c
    connection.execute(
        sa.update(ci_attempts)
        .where(table.host == of.host, table.run == of.run, table.number == of.number)
        .values(jobs_state=state, jobs=count, tries=table.tries + 1)
    )


def note_annotations(connection: Connection, of: WantedOfJob, found: Sequence[Annotation] | None) -> None:
    """Stores the annotations of a job; None notes that they were asked for and not had."""
    table = ci_jobs.c
    told = None if found is None else _json([[a.level, a.message, a.path, a.line, a.title] for a in found])
    connection.execute(
        sa.update(ci_jobs)
        .where(table.host == of.host, table.job == of.job)
        .values(annotations=told, tries=table.tries + 1)
    )


def note_log(connection: Connection, of: WantedOfJob, log: Log, now: int) -> None:
    """Stores the log of a job, or why it is not had; one that is stored stays."""
    body = zlib.compress(log.text.encode("utf-8", "replace"), 6) if log.is_kept else None
    values = {
        "state": log.state, "body": body, "size": log.size, "cut": log.cut, "masked": log.masked, "asked": now,
        "told": log.told[:500],
    }  # fmt: skip
    statement = insert_into(connection, ci_logs).values(host=of.host, job=of.job, tries=1, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["host", "job"],
            set_={**values, "tries": ci_logs.c.tries + 1},
            where=ci_logs.c.body.is_(None),
        )
    )
