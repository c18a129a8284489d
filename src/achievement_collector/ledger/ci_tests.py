"""What tests said, report by report: who failed by name, and, where a test ever failed, in which reports it passed."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.facts.ci import TestCase
from achievement_collector.facts.ci_runs import TestOutcome
from achievement_collector.ledger.ci_tables import ci_test_names, ci_tests
from achievement_collector.ledger.rows import insert_into
from achievement_collector.ledger.work import names_of

MOST_CASES = 50_000
"""Cases of a report that are kept: all that did not pass come first."""

_MANY = 400
_LONGEST_IDENTITY = 450
_UNHAPPY = ("failed", "error", "flaky")


def add_test_report(
    connection: Connection,
    repository: str,
    sha: str,
    report: str,
    branch: str,
    at: int,
    cases: Iterable[TestCase],
) -> bool:
    """Stores the outcomes of a report; gives whether it is new. ``report`` is the job that handed it in.

    The same cases handed in again, with the same times, are the same report, of which the earlier moment holds; another run
    of the job on the same commit is another one.
    """
    ordered = sorted(
        ((_identity(case.identity), case.outcome, case.seconds) for case in cases),
        key=lambda one: (one[1] == "passed", one[1] == "skipped", one[0], one[1], one[2] or 0.0),
    )
    if not ordered:
        return False
    digest = hashlib.sha1(json.dumps(ordered).encode(), usedforsecurity=False).hexdigest()[:20]
    table = ci_tests.c
    same = sa.and_(
        table.repository == repository, table.sha == sha, table.report == report, table.digest == digest
    )
    before = connection.scalar(sa.select(table.at).where(same))
    if before is not None:
        if at < before:
            connection.execute(sa.update(ci_tests).where(same).values(at=at))
        return False
    kept = ordered[:MOST_CASES]
    ids = _ids(connection, repository, sorted({identity for identity, _, _ in kept}))
    outcomes: dict[str, list[Any]] = {}
    for identity, outcome, seconds in kept:
        number = ids[identity]
        told = [number, seconds] if outcome in _UNHAPPY else number
        outcomes.setdefault(outcome, []).append(told)
    known = [seconds for _, _, seconds in ordered if seconds is not None]
    values = {
        "repository": repository, "sha": sha, "report": report, "digest": digest, "branch": branch, "at": at,
        "cases": len(ordered), "kept": len(kept), "seconds": sum(known) if known else None,
        "outcomes": zlib.compress(json.dumps(outcomes, separators=(",", ":")).encode()),
    }  # fmt: skip
    connection.execute(insert_into(connection, ci_tests).on_conflict_do_nothing(), [values])
    return True


def _identity(name: str) -> str:
    """A name of bearable length; of a longer one the beginning and a hash of all of it."""
    if len(name) <= _LONGEST_IDENTITY:
        return name
    digest = hashlib.sha1(name.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
    return f"{name[: _LONGEST_IDENTITY - 41]}…{digest}"


def _ids(connection: Connection, repository: str, names: Sequence[str]) -> dict[str, int]:
    table = ci_test_names.c
    found: dict[str, int] = {}

    def look(wanted: Sequence[str]) -> None:
        for start in range(0, len(wanted), _MANY):
            part = wanted[start : start + _MANY]
            query = sa.select(table.identity, table.id).where(
                table.repository == repository, table.identity.in_(part)
            )
            found.update((name, number) for name, number in connection.execute(query))

    look(names)
    missing = [name for name in names if name not in found]
    if missing:
        connection.execute(
            insert_into(connection, ci_test_names).on_conflict_do_nothing(),
            [{"repository": repository, "identity": name} for name in missing],
        )
        look(missing)
    return found


def outcomes_of_tests(
    connection: Connection,
    repository: str,
    since: int | None = None,
    until: int | None = None,
    *,
    branch: str | None = None,
    sha: str | None = None,
    everything: bool = False,
) -> list[TestOutcome]:
    """What came of tests in the reports from ``since`` to before ``until``, oldest first: of each test that failed or was
    flaky in one of them, all its outcomes there; with ``everything`` those of every test. ``branch`` and ``sha`` choose among
    the reports; ``seconds`` is kept of failures."""
    table = ci_tests.c
    names = names_of(connection, repository)
    query = sa.select(ci_tests).where(table.repository.in_(names))
    if since is not None:
        query = query.where(table.at >= since)
    if until is not None:
        query = query.where(table.at < until)
    if branch is not None:
        query = query.where(table.branch == branch)
    if sha is not None:
        query = query.where(table.sha == sha)
    rows = connection.execute(query.order_by(table.at, table.sha, table.report, table.digest)).all()
    reports = [(row, json.loads(zlib.decompress(row.outcomes))) for row in rows]
    wanted: set[int] | None = None
    if not everything:
        wanted = {entry[0] for _, told in reports for outcome in _UNHAPPY for entry in told.get(outcome, ())}
    identities = _identities(connection, names, wanted)
    if wanted is not None:  # the same test under a former name of the repository
        chosen = {identities[number] for number in wanted}
        identities = {
            number: name for number, name in _identities(connection, names, None).items() if name in chosen
        } if len(names) > 1 else identities  # fmt: skip
    found: list[TestOutcome] = []
    for row, told in reports:
        for outcome, entries in told.items():
            for entry in entries:
                number, seconds = entry if isinstance(entry, list) else (entry, None)
                if number in identities:
                    found.append(
                        TestOutcome(
                            names[0],
                            row.sha,
                            identities[number],
                            outcome,
                            row.at,
                            row.report,
                            row.branch,
                            seconds,
                        )
                    )
    return found


def repositories_with_tests(connection: Connection) -> list[str]:
    """The present names of the repositories of which reports of tests are known."""
    found = connection.scalars(sa.select(ci_tests.c.repository).distinct()).all()
    return sorted({names_of(connection, name)[0] for name in found})


def _identities(connection: Connection, names: Sequence[str], wanted: set[int] | None) -> dict[int, str]:
    table = ci_test_names.c
    query = sa.select(table.id, table.identity).where(table.repository.in_(names))
    if wanted is None or len(wanted) > 5_000:
        return {
            number: name for number, name in connection.execute(query) if wanted is None or number in wanted
        }
    listed = sorted(wanted)
    return {
        number: name
        for start in range(0, len(listed), _MANY)
        for number, name in connection.execute(query.where(table.id.in_(listed[start : start + _MANY])))
    }
