"""CI's runs beyond their list: jobs, annotations and logs asked for within a budget; what is stored of them, as lists.

What is to be asked for stands in the ledger itself (rows that lack it), and each answer is stored in a transaction of its own:
a stop at any moment loses nothing and repeats at most one request. Attempts that failed come first, the newest before the
others, each with its jobs' annotations and logs; then attempts of runs that were run again, for what differs between them is
no fault of the code; then, if wanted, all others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from achievement_collector.derive.epics import iso
from achievement_collector.derive.failures.masking import mask_secrets
from achievement_collector.errors import NotFoundError
from achievement_collector.facts.ci_runs import RED, Attempt, Job
from achievement_collector.ledger import ci_runs as stored
from achievement_collector.ledger.ci_runs import (
    FAILED,
    GONE,
    REFUSED,
    Log,
    WantedJobs,
    WantedOfJob,
)
from achievement_collector.ledger.collecting import ignores_case
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import names_of
from achievement_collector.services.ci_logs import log_to_store
from achievement_collector.sources.github.client import GitHubAccessError, GitHubClient, GitHubError
from achievement_collector.sources.github.jobs import annotations_of, jobs_of
from achievement_collector.sources.github.logs import job_log

LONGEST_KEPT = 400 * 86_400_000
"""Milliseconds for which GitHub keeps logs at most; older ones are not asked for."""

_COMPARED = 30 * 86_400_000
"""Milliseconds of which logs of green jobs are asked for."""

_AT_ONCE = 20
_TROUBLES_IN_A_ROW = 3
_UNSETTLED = 15 * 60_000  # milliseconds after its end in which a log that is not there may still come
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Reach:
    """How much is asked for beyond the list of runs: at most ``requests`` each time; jobs of attempts that passed (``green``;
    one request each); ``logs`` of failed jobs, and of the newest few green ones of the same names."""

    requests: int = 500
    green: bool = False
    logs: bool = True


@dataclass(slots=True)
class Details:
    """What was read: jobs, annotated jobs and logs, by kind; ``skipped`` says in a sentence what the token may not see.
    ``is_more_waiting`` tells whether something is left that the budget did not allow."""

    read: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    is_more_waiting: bool = False

    def count(self, what: str, number: int = 1) -> None:
        if number:
            self.read[what] = self.read.get(what, 0) + number


def collect_details(
    ledger: Ledger,
    client: GitHubClient,
    name: str,
    key: str,
    now: int,
    reach: Reach | None = None,
    *,
    done: Details | None = None,
    progress: Callable[[str, int, int | None], None] = lambda _stage, _done, _total: None,
) -> Details:
    """Asks GitHub for what the ledger lacks of the runs of the repository ``name`` (owner/name), which it calls ``key``.

    ``done`` is what is counted in, where an error must not lose the counts. Raises :class:`BudgetExhausted` where a limit is
    used up, and :class:`GitHubError` where GitHub cannot be asked; what was stored before stays.
    """
    done = done or Details()
    collecting = _Collecting(
        ledger, client, name, key, now, reach or Reach(), done, progress, client.requests
    )
    for only_red, only_reruns in ((True, False), (False, True), (False, False)):
        if not only_red and not only_reruns and not collecting.reach.green:
            break
        while not done.is_more_waiting:
            found = collecting.jobs(only_red, only_reruns) + collecting.annotations() + collecting.logs()
            if not found:
                break
    while not done.is_more_waiting and collecting.green_logs():
        pass
    return done


@dataclass(slots=True)
class _Collecting:
    ledger: Ledger
    client: GitHubClient
    name: str
    key: str
    now: int
    reach: Reach
    done: Details
    progress: Callable[[str, int, int | None], None]
    before: int
    troubles: Counter[str] = field(default_factory=Counter)  # failures in a row, by stage
    tried: set[tuple[str, object]] = field(default_factory=set)

    def jobs(self, only_red: bool, only_reruns: bool) -> int:
        with self.ledger.read() as connection:
            wanted = stored.wanted_jobs(
                connection, self.key, _AT_ONCE + len(self.tried), only_red=only_red, only_reruns=only_reruns
            )
        return self._each("jobs", wanted, self._jobs_of)

    def annotations(self) -> int:
        with self.ledger.read() as connection:
            wanted = stored.wanted_annotations(connection, self.key, _AT_ONCE + len(self.tried))
        return self._each("annotations", wanted, self._annotations_of)

    def logs(self) -> int:
        if not self.reach.logs:
            return 0
        with self.ledger.read() as connection:
            wanted = stored.wanted_logs(
                connection, self.key, _AT_ONCE + len(self.tried), since=self.now - LONGEST_KEPT, now=self.now
            )
        return self._each("logs", wanted, self._log_of)

    def green_logs(self) -> int:
        """Logs of known green jobs, for comparison; few, of jobs that failed lately."""
        if not self.reach.logs:
            return 0
        with self.ledger.read() as connection:
            wanted = stored.wanted_green_logs(
                connection, self.key, _AT_ONCE + len(self.tried), since=self.now - _COMPARED
            )
        return self._each("logs", wanted, self._log_of)

    def _each(self, stage: str, wanted: Sequence[_Item], read: Callable[[_Item], None]) -> int:
        """Reads as many as are read at once; gives how many were asked for. Nothing is asked for twice in one call."""
        asked = 0
        for one in wanted:
            if (stage, one) in self.tried or stage in self.done.skipped:
                continue
            if self.client.requests - self.before >= self.reach.requests:
                self.done.is_more_waiting = True
                break
            if asked == _AT_ONCE:
                break
            self.tried.add((stage, one))
            asked += 1
            try:
                read(one)
            except GitHubAccessError as error:
                if error.status == 401:
                    raise
                self.done.skipped[stage] = str(error)
            except GitHubError as error:
                self.troubles[stage] += 1
                is_given_up = self.troubles[stage] >= _TROUBLES_IN_A_ROW
                if stage == "logs":  # another host gives them, and all else can be told without
                    if is_given_up:
                        self.done.skipped[stage] = (
                            f"{error}; after {_TROUBLES_IN_A_ROW} failures in a row the other logs are left to the next time"
                        )
                elif is_given_up or (error.status is not None and error.status < 500):
                    raise
            else:
                self.troubles[stage] = 0
                self.progress(stage, len(self.tried), None)
        return asked

    def _jobs_of(self, one: WantedJobs) -> None:
        try:
            listed = jobs_of(self.client, self.name, self.key, one.run, one.number, self.now)
        except GitHubAccessError as error:
            if error.status not in (404, 410):
                raise
            with self.ledger.write() as connection:
                stored.note_jobs(connection, one, "gone", 0)
            return
        except GitHubError as error:
            if error.status is not None and error.status >= 500:
                with self.ledger.write() as connection:
                    stored.note_jobs(connection, one, "", 0)
            raise
        with self.ledger.write() as connection:
            # attempts before jobs, as whoever takes deliveries in does: else two could wait for each other
            stored.note_jobs(connection, one, "read" if listed.is_whole else "", listed.total)
            stored.take_in_runs(connection, listed.observations)
        self.done.count("job", len(listed.observations))

    def _annotations_of(self, one: WantedOfJob) -> None:
        try:
            # a job is a check run, and on GitHub its id is the same
            found = annotations_of(self.client, self.name, one.check_run or one.job)
        except GitHubAccessError as error:
            if error.status not in (404, 410):
                raise
            found = []
        except GitHubError as error:
            if error.status is not None and error.status >= 500:
                with self.ledger.write() as connection:
                    stored.note_annotations(connection, one, None)
            raise
        found = [
            replace(told, message=mask_secrets(told.message), title=mask_secrets(told.title))
            for told in found
        ]
        with self.ledger.write() as connection:
            stored.note_annotations(connection, one, found)
        self.done.count("annotation", len(found))

    def _log_of(self, one: WantedOfJob) -> None:
        refusal: GitHubError | None = None
        try:
            log = log_to_store(job_log(self.client, self.name, one.job))
        except GitHubAccessError as error:
            if error.status == 404 and one.finished is not None and self.now - one.finished < _UNSETTLED:
                return  # it may not have been written yet
            if error.status in (404, 410):
                log = Log(GONE, told=f"GitHub has it no longer (HTTP {error.status})")
            elif error.status == 403:
                log, refusal = Log(REFUSED, told=str(error)), error
            else:
                raise
        except GitHubError as error:
            log, refusal = Log(FAILED, told=str(error)), error
        with self.ledger.write() as connection:
            stored.note_log(connection, one, log, self.now)
        if refusal is not None:
            raise refusal
        self.done.count("log", log.is_kept)


# --- tests -------------------------------------------------------------------------------------------


# --- lists -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunPage:
    """Attempts, newest first, and the numbers of what is stored of them all."""

    attempts: list[Attempt]
    counts: stored.Counts


def list_runs(
    ledger: Ledger,
    *,
    repository: str | None = None,
    branch: str | None = None,
    only_red: bool = False,
    since: int | None = None,
    until: int | None = None,
    limit: int = 30,
) -> RunPage:
    """The newest attempts of workflow runs. Raises :class:`NotFoundError` for a repository of which no run is known."""
    with ledger.read() as connection:
        key = named_repository(connection, repository) if repository is not None else None
        found = stored.attempts(connection, key, since, until, branch=branch, only_red=only_red, limit=limit)
        return RunPage(found[::-1], stored.counts(connection, key, since, until))


def named_repository(connection: Connection, name: str, among: Sequence[str] | None = None) -> str:
    """The repository with runs, or ``among`` others, that is called ``name``: by its whole key or the end of it, in any case
    where its forge takes no notice of it, or by a name it had before. Raises :class:`NotFoundError` unless it is one."""
    known = stored.repositories_with_runs(connection) if among is None else among
    wanted = name.strip().strip("/")
    found = [key for key in known if key == wanted or (wanted and key.endswith(f"/{wanted}"))]
    found = found or [
        key for key in known if ignores_case(key) and f"/{key}".lower().endswith(f"/{wanted}".lower())
    ]
    if not found and names_of(connection, wanted)[0] in known:
        found = [names_of(connection, wanted)[0]]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(f"{name!r} may mean several repositories: {', '.join(found[:5])}")
    raise NotFoundError(f"no run of CI of a repository {name!r} is known; ci runs shows those there are")


def run_data(one: Attempt) -> dict[str, Any]:
    """An attempt as JSON has it; moments are ISO 8601."""
    data = asdict(one)
    for name in ("created", "started", "finished"):
        data[name] = iso(data[name])
    return {
        "key": one.key,
        **data,
        "jobs": one.jobs if one.jobs_known or one.jobs else None,
        "is_infrastructure": one.is_infrastructure,
    }


def job_and_log(ledger: Ledger, job: str) -> tuple[Job, Log | None]:
    """A job, by its id, its key or its address, and its log. Raises :class:`NotFoundError` where there is no such job, or
    where several hosts have one."""
    number = job.strip().rstrip("/").rpartition("/")[2]
    with ledger.read() as connection:
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        found = stored.jobs(connection, ids=[int(number)]) if is_number else []
        if len(found) > 1:
            found = [one for one in found if one.repository.partition("/")[0] in job]
        if len(found) != 1:
            raise NotFoundError(f"no job {job!r} of CI is known; ci runs --red --json shows runs")
        return found[0], stored.log_of(connection, found[0])


def why_no_log(job: Job, log: Log | None) -> str:
    """In a sentence, why the log of a job is not here."""
    if log is None:
        reason = (
            "it waits to be asked for; sync github does"
            if job.conclusion in RED
            else "only logs of failed jobs are kept"
        )
    else:
        reason = {
            GONE: "it was gone before it was asked for",
            REFUSED: "the token may not see it",
            FAILED: "it could not be read yet",
        }.get(log.state, log.state)
        reason = f"{reason}: {log.told}" if log.told else reason
    return f"the log of job {job.id} ({job.name}) is not stored: {reason}"


def runs_json(page: RunPage) -> str:
    told = {"attempts": [run_data(one) for one in page.attempts], "stored": page.counts._asdict()}
    return json.dumps(told, indent=2, ensure_ascii=False)
