"""Failed jobs explained as they come in, and again when the rules or the signatures that people wrote change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.epics import iso
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.ci_runs import GREEN, RED, Attempt, Job
from achievement_collector.ledger import ci_failures as stored
from achievement_collector.ledger import ci_runs
from achievement_collector.ledger.ci_failures import Cluster, Failure
from achievement_collector.ledger.store import Ledger

if TYPE_CHECKING:
    from achievement_collector.derive.failures.explaining import Explanation
    from achievement_collector.derive.failures.signatures import Signatures

_VERSION = 2
"""Of the way a job is explained here; the shipped rules are part of the basis themselves."""

_PART = 20
_MOST_PLACES = 20
_GREEN_LOGS = ci_runs.GREEN_LOGS
_DAYS = 400 * 86_400_000
_MARGIN = 40 * 86_400_000  # a run may take 35 days, and its end be known later than its begin


def explain_failures(
    ledger: Ledger,
    settings: Settings,
    now: int,
    *,
    repository: str | None = None,
    keep_going: Callable[[], bool] = lambda: True,
) -> int:
    """Explains every failed job that is not explained yet, or by other rules than those in force, and gives the number.
    ``now`` in milliseconds; a stop at any moment leaves the rest for the next call."""
    signatures = load_signatures(settings)
    basis = basis_of(signatures)
    done = 0
    with ledger.read() as connection:
        places = [repository] if repository else ci_runs.repositories_with_runs(connection)
    for place in places:
        with ledger.read() as connection:
            explained = stored.bases(connection, place)
            logs = ci_runs.states_of_logs(connection, place, now - _DAYS)
            green = _GreenLogs(connection, place, now)
            red = ci_runs.jobs(connection, place, now - _DAYS, only_red=True)
            without_jobs = [
                one
                for one in ci_runs.attempts(connection, place, now - _DAYS, only_red=True)
                if one.is_infrastructure
            ]
        known = {job: made_by for job, (made_by, _) in explained.items()}
        waiting = [
            one
            for one in red
            if known.get(one.key) != _basis_with(basis, one, green.number(one), logs.get(_of_log(one)))
        ]
        # what is older than what was looked at stays as it was explained
        looked_at = {job for job, (_, at) in explained.items() if at >= now - _DAYS + _MARGIN}
        gone = looked_at - {one.key for one in red} - {one.key for one in without_jobs}
        if gone:
            with ledger.write() as connection:
                stored.forget_failures(connection, gone)
        found = [_startup(one, basis) for one in without_jobs if known.get(one.key) != basis]
        for start in range(0, len(waiting), _PART):
            if not keep_going():
                return done
            with ledger.read() as connection:
                found += [
                    _explained(connection, one, signatures, green, basis)
                    for one in waiting[start : start + _PART]
                ]
            with ledger.write() as connection:
                stored.store_failures(connection, found)
            done += len(found)
            found = []
        if found:
            with ledger.write() as connection:
                stored.store_failures(connection, found)
            done += len(found)
    return done


def load_signatures(settings: Settings) -> Signatures | None:
    """The signatures that people wrote; None where no folder is configured. Raises :class:`ConfigurationError`."""
    if settings.ci_signatures is None:
        return None
    from achievement_collector.derive.failures.signatures import Signatures

    return Signatures.load(settings.ci_signatures)


def basis_of(signatures: Signatures | None) -> str:
    """A digest of everything that an explanation rests on beside the log."""
    told = f"{_VERSION}\0{_shipped_digest()}\0{signatures.digest if signatures else ''}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


@cache
def _shipped_digest() -> str:
    from importlib.resources import files

    digest = hashlib.sha256()
    folder = files("achievement_collector.derive") / "rules" / "failures"
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.is_file():
            digest.update(one.name.encode() + b"\0" + one.read_bytes())
    return digest.hexdigest()


def _basis_with(basis: str, job: Job, green: int, log: tuple[str, str] | None) -> str:
    """The basis, and how much of the job was known: its log (the state, and why it is not kept), steps, annotations, conclusion
    and logs of green runs may come after it was explained."""
    told = json.dumps([job.conclusion, len(job.steps), [asdict(one) for one in job.annotations], green, log])
    return f"{basis}{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _of_log(job: Job) -> tuple[str, int]:
    """What a job's log is kept under."""
    return job.repository.partition("/")[0], job.id


class _GreenLogs:
    """What the logs of the last green runs of a job hold."""

    def __init__(self, connection: Connection, repository: str, now: int) -> None:
        self._by_name: dict[tuple[str, str], list[Job]] = {}
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        for one in ci_runs.jobs(connection, repository, now - _DAYS, with_log=True):
            if one.conclusion in GREEN:
                self._by_name.setdefault((one.workflow, one.name), []).append(one)

    def number(self, job: Job) -> int:
        """How many there are to compare the log of a job with."""
        return min(len(self._by_name.get((job.workflow, job.name), ())), _GREEN_LOGS)

    def of(self, connection: Connection, job: Job) -> frozenset[str]:
        """The lines that they hold, apart from numbers and the like."""
        name = (job.workflow, job.name)
        if name not in self._known:
            self._known[name] = frozenset(
                self._templates(connection, self._by_name.get(name, [])[-_GREEN_LOGS:])
            )
        return self._known[name]

    def _templates(self, connection: Connection, jobs: list[Job]) -> Iterator[str]:
        from achievement_collector.derive.failures.normalising import templates

        for one in jobs:
            log = ci_runs.log_of(connection, one)
            if log and log.text:
                yield from templates(log.text)


def _explained(
    connection: Connection, job: Job, signatures: Signatures | None, green: _GreenLogs, basis: str
) -> Failure:
    from achievement_collector.derive.failures.explaining import explain

    step = next((one.name for one in job.steps if one.conclusion in RED), "")
    log = ci_runs.log_of(connection, job)
    text, source = (log.text, "log") if log and log.text.strip() else (_of_annotations(job), "annotations")
    seen = green.of(connection, job) if source == "log" else frozenset()
    found = explain(text, step=step, seen_when_green=seen, signatures=signatures, failed=True)
    is_in_green = False
    if seen and found.category.value == "unknown":
        is_in_green = explain(text, step=step, signatures=signatures, failed=True).category.value != "unknown"
    if job.conclusion == "timed_out":
        found = _timed_out(found)
    made_by = _basis_with(basis, job, green.number(job), (log.state, log.told) if log else None)
    return _failure(job, step, found, is_in_green, _said(found, source, log), made_by)


def _of_annotations(job: Job) -> str:
    """What a job remarked on, in the form of a log: where the log itself is not to be had."""
    return "\n".join(
        f"##[error]{one.path + ': ' if one.path else ''}{one.title + ': ' if one.title else ''}{one.message}"
        for one in job.annotations
        if one.level == "failure"
    )


def _timed_out(found: Explanation) -> Explanation:
    from dataclasses import replace

    from achievement_collector.derive.failures.categories import FailureCategory
    from achievement_collector.derive.failures.normalising import cluster, signature

    if found.category not in (FailureCategory.UNKNOWN, FailureCategory.NONE):
        return found
    told = signature(["the job timed out"], "timed out")
    return replace(
        found, category=FailureCategory.TIMEOUT, rule="conclusion timed_out", signature=told, cluster=cluster(told),
        told="It timed out, as its CI system says.",
    )  # fmt: skip


def _said(found: Explanation, source: str, log: ci_runs.Log | None) -> str:
    if source == "log" or not found.told:
        return found.told
    if log is not None and log.is_kept:
        of_log = "The log is empty"
    else:
        of_log = f"The log is not stored ({log.told if log and log.told else 'it was not read'})"
    what = "told from what the job remarked on" if found.evidence else "nothing else tells why"
    said = found.told if found.told.endswith((".", "!", "?")) else f"{found.told}."
    return f"{said} {of_log}: {what}."


def _failure(job: Job, step: str, found: Explanation, is_in_green: bool, told: str, basis: str) -> Failure:
    from achievement_collector.derive.failures.normalising import cluster as cluster_of

    category = "unknown" if found.category.value == "none" else found.category.value
    cluster, signature = found.cluster, found.signature
    if not found.evidence or not cluster:
        # without a line that tells why, nothing says that jobs of other names failed for the same reason
        why = "timed out" if category == "timeout" else "nothing tells why"
        signature = f"{job.workflow} / {job.name}{f' / {step}' if step else ''}: {why}"
        cluster = cluster_of(signature)
    return Failure(
        job.key, job.repository, job.workflow, job.name, step, job.sha, job.branch, job.finished or job.started or 0, category,
        cluster, signature, found.rule, is_in_green,
        tuple({"number": one.number, "offset": one.offset, "text": one.text, "why": one.why} for one in found.evidence),
        told or "Nothing in the log tells why it failed.", basis,
    )  # fmt: skip


def _startup(one: Attempt, basis: str) -> Failure:
    """A run of which no job ran: nothing of the code was tried."""
    from achievement_collector.derive.failures.normalising import cluster as cluster_of

    signature = f"{one.workflow}: no job ran ({one.conclusion})"
    told = "The run failed before any of its jobs began: the workflow file or the runners, not the code."
    return Failure(
        one.key, one.repository, one.workflow, "(no job ran)", "", one.sha, one.branch, one.finished or one.started or 0,
        "infrastructure", cluster_of(signature), signature, "no job ran", False, (), told, basis,
    )  # fmt: skip


# --- for those who ask -------------------------------------------------------------------------------


def failure_data(one: Failure, seen: tuple[int, int | None] | None = None) -> dict[str, Any]:
    """A failure as the API and ``--json`` give it."""
    told = {**one._asdict(), "at": iso(one.at), "evidence": list(one.evidence)}
    del told["basis"]
    if seen is not None:
        told |= {"seen_before": seen[0], "first_seen": iso(seen[1]), "standing": standing_in_words(*seen)}
    return told


def standing_in_words(count: int, first: int | None) -> str:
    """``new``, or ``seen 3 times since 2026-11-02``."""
    if not count or first is None:
        return "new"
    times = "once" if count == 1 else f"{count} times"
    return f"seen {times} since {(iso(first) or '')[:10]}"


def explained_job(ledger: Ledger, settings: Settings, name: str, now: int) -> dict[str, Any]:
    """The explanation of a failed job by its id or address. Raises :class:`NotFoundError`."""
    from achievement_collector.services.ci_runs import job_and_log

    job, _ = job_and_log(ledger, name)
    explain_failures(ledger, settings, now, repository=job.repository)
    with ledger.read() as connection:
        found = stored.failures(connection, jobs=[job.key])
        if not found:
            raise NotFoundError(
                f"the job {name} did not fail: it ended with {job.conclusion or 'nothing yet'}"
            )
        return {**failure_data(found[0], stored.seen_before(connection, found[0])), "url": job.url}


def cluster_data(one: Cluster) -> dict[str, Any]:
    return {
        "cluster": one.cluster, "category": one.newest.category, "signature": one.newest.signature, "count": one.times,
        "first_seen": iso(one.first), "last_seen": iso(one.last), "is_in_green": one.newest.is_in_green,
        "places": [
            {"workflow": place.workflow, "job": place.name, "step": place.step, "count": place.times}
            for place in one.places[:_MOST_PLACES]
        ],
        "newest": failure_data(one.newest),
    }  # fmt: skip


def clusters_of(
    ledger: Ledger,
    settings: Settings,
    now: int,
    *,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
    category: str | None = None,
) -> list[dict[str, Any]]:
    """The clusters of a window, as plain data; what is not explained yet is explained first."""
    from achievement_collector.derive.failures.categories import FailureCategory
    from achievement_collector.services.ci_runs import named_repository

    if category is not None and category not in (
        names := [one.value for one in FailureCategory if one is not FailureCategory.NONE]
    ):
        raise CollectorError(f"{category!r} is no category of failures; there are {', '.join(names)}")
    place = None
    if repository:
        with ledger.read() as connection:
            place = named_repository(connection, repository)
    explain_failures(ledger, settings, now, repository=place)
    with ledger.read() as connection:
        found = stored.clusters(connection, place, since, until)
    return [cluster_data(one) for one in found if category is None or one.newest.category == category]


def unknown_failures(
    ledger: Ledger,
    settings: Settings,
    now: int,
    *,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """The failures that no rule explains, as plain data: their clusters, most frequent first, how many failed jobs that is, of
    how many; a signature to begin with for the first of them that left lines, and the folder such files belong in."""
    from achievement_collector.derive.failures.drafting import draft_signature

    found = clusters_of(ledger, settings, now, repository=repository, since=since, until=until)
    unknown = [one for one in found if one["category"] == "unknown"]
    drafts = (draft_signature(one["newest"]["evidence"]) for one in unknown)
    return {
        "clusters": unknown,
        "failed_jobs": sum(one["count"] for one in unknown),
        "of": sum(one["count"] for one in found),
        "draft": next(filter(None, drafts), ""),
        "folder": str(settings.ci_signatures) if settings.ci_signatures else None,
    }
