"""What the ledger knows that may tell what became of fixes: runs, pull requests, commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy.engine import Connection

from achievement_collector.derive.fixes import Evidence, Fix, is_of_pull
from achievement_collector.facts.ci_runs import Attempt, Job
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger import ci_runs
from achievement_collector.ledger.ci_fixes import main_line
from achievement_collector.ledger.work import pull_requests


def evidence_of(connection: Connection, fixes: Iterable[Fix]) -> dict[int, Evidence]:
    """Number of a fix -> what may tell of it."""
    of_repository: dict[str, list[Fix]] = defaultdict(list)
    for one in fixes:
        of_repository[one.repository].append(one)
    found: dict[int, Evidence] = {}
    for repository, listed in sorted(of_repository.items()):
        pulls = pull_requests(connection, repository=repository)
        reverting = [one for one in pulls if one.merged is not None and "everts " in one.body]
        line = main_line(connection, repository, {one.sha for one in listed if one.sha})
        for one in listed:
            origin, attempts, jobs = _runs(connection, one)
            own: list[PullRequest] = [pull for pull in pulls if is_of_pull(one, pull)]
            told = [*own, *(pull for pull in reverting if pull not in own)]
            found[one.id] = Evidence(origin, attempts, jobs, told, line.landed.get(one.sha), line.reverts)
    return found


def _runs(connection: Connection, fix: Fix) -> tuple[Job | None, list[Attempt], list[Job]]:
    """The failed job, the attempts of its run and those on the fix's commit, and the jobs of all these."""
    number = fix.job.rpartition("/")[2]
    known = ci_runs.jobs(connection, fix.repository, ids=[int(number)]) if number.isdecimal() else []
    if not known:
        return None, [], []
    attempts = ci_runs.attempts(connection, fix.repository, runs=[known[0].run])
    if fix.sha:
        attempts += ci_runs.attempts(connection, fix.repository, sha=fix.sha)
    runs = {one.run for one in attempts} | {known[0].run}
    return known[0], attempts, ci_runs.jobs(connection, fix.repository, runs=sorted(runs))
