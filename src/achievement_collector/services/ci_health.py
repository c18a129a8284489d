"""The health of CI, of one repository."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.derive.ci_health.summary import CiHealth, health, health_data
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.ledger import ci_runs
from achievement_collector.ledger.ci_tests import outcomes_of_tests, repositories_with_tests
from achievement_collector.ledger.roadmap import default_branches
from achievement_collector.ledger.store import Ledger

DAY = 86_400_000
_BEFORE = 14 * DAY
DEFAULT_DAYS = 28


def health_of(
    ledger: Ledger, repository: str | None, now: int, since: int | None = None, until: int | None = None
) -> dict[str, Any]:
    """The health of a repository's CI from ``since`` (28 days ago) to ``until`` (now), in milliseconds, as plain data."""
    end = until if until is not None else now
    begin = since if since is not None else end - DEFAULT_DAYS * DAY
    with ledger.read() as connection:
        place = repository_of(connection, repository)
        return {"repository": place, **health_data(health_between(connection, place, begin, end, now))}


def health_between(connection: Connection, repository: str, since: int, until: int, now: int) -> CiHealth:
    """The health of CI in a window, by what is known of it and of as long before it."""
    if since >= min(until, now):
        raise CollectorError("the window of CI health must begin before it ends, and not in the future")
    from_there = since - max(until - since, _BEFORE) - _BEFORE
    return health(
        ci_runs.attempts(connection, repository, from_there),
        ci_runs.jobs(connection, repository, from_there),
        outcomes_of_tests(connection, repository, from_there),
        since=since,
        until=until,
        now=now,
        default_branch=default_branches(connection).get(repository, ""),
    )


def repository_of(connection: Connection, name: str | None) -> str:
    """The repository with CI, runs or reports of tests, that a user names (owner/name, or any name it had); the only one where
    none is named."""
    known = sorted({*ci_runs.repositories_with_runs(connection), *repositories_with_tests(connection)})
    if name:
        from achievement_collector.services.ci_runs import named_repository

        return named_repository(connection, name, known)
    if not known:
        raise NotFoundError(
            "no run of CI is known; sync github, or webhooks of workflow runs, bring them, and ci ingest results of tests"
        )
    if len(known) > 1:
        raise CollectorError(
            f"there are several repositories; choose one with --repo: {', '.join(known[:8])}"
        )
    return known[0]
