"""The ledger of attempts to fix failures of CI: what was tried, what became of it, how often it worked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from achievement_collector.derive.epics import iso
from achievement_collector.derive.fix_rates import DEFINITION, PUBLISHED, FixRate, fix_rates, rate_data
from achievement_collector.derive.fixes import Event, Fix, FixState, Verdict, judged, refused_kind
from achievement_collector.errors import CollectorError, ConfigurationError, NotFoundError
from achievement_collector.facts.ci_runs import RED
from achievement_collector.ledger import ci_failures
from achievement_collector.ledger import ci_fixes as stored
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.ci_runs import job_and_log, named_repository
from achievement_collector.services.fix_evidence import evidence_of

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST_NOTE = 500


class FixRefused(CollectorError):  # noqa: N818 - a refusal, like ExportRefusedError's
    """An attempt is not recorded or not made, for a reason that the message tells."""


# --- what was tried ----------------------------------------------------------------------------------


class Recorded(NamedTuple):
    """An attempt, and whether it was not there before."""

    fix: Fix
    is_new: bool


def record_fix(
    ledger: Ledger,
    job: str,
    *,
    kind: str,
    sha: str,
    now: int,
    branch: str = "",
    pull: int | None = None,
    note: str = "",
    is_proposed: bool = False,
) -> Recorded:
    """Records that a commit (its full id) was made to fix a failed job, by a person or by any tool; whether it did is told by
    runs alone. The same commit for the same failure is recorded once.

    Raises :class:`FixRefused` where it cannot be a fix: the job did not fail, the commit is the one that failed, or it changes
    nothing; :class:`NotFoundError` for a job that is not known.
    """
    kind = kind.strip().lower()
    reason = refused_kind(kind)
    if reason:
        raise FixRefused(reason)
    sha = sha.strip().lower()
    if not _SHA.fullmatch(sha):
        raise ConfigurationError(f"{sha[:80]!r} is no full commit id (40 or 64 hexadecimal digits)")
    failed, _ = job_and_log(ledger, job)
    if failed.conclusion not in RED:
        raise FixRefused(
            f"job {failed.id} did not fail ({failed.conclusion or 'it is not over'}): nothing to fix"
        )
    if sha == failed.sha:
        raise FixRefused(
            "this is the commit that failed: where it passes now, it was rescued by a re-run, not fixed"
        )
    state = FixState.PROPOSED if is_proposed else FixState.APPLIED
    event = Event(state, now, note.strip()[:_LONGEST_NOTE] or "recorded by a person")
    with ledger.exclusive("ci-fix-record"), ledger.write() as connection:
        if stored.is_without_change(connection, failed.repository, sha):
            raise FixRefused("this commit changes nothing: it starts CI again, which is a re-run and no fix")
        explained = ci_failures.failures(connection, failed.repository, jobs=[failed.key])
        cluster = explained[0].cluster if explained else ""
        for one in stored.fixes(connection, failed.repository):
            if one.sha == sha and (one.job == failed.key or (cluster and one.cluster == cluster)):
                return Recorded(one, False)
        fix = Fix(
            0,
            failed.repository,
            kind,
            failed.key,
            cluster,
            branch.strip()[:250],
            sha,
            pull,
            "",
            now,
            (event,),
        )
        return Recorded(stored.add_fix(connection, fix), True)


def withdraw_fix(ledger: Ledger, number: int, now: int, note: str = "") -> Fix:
    """Notes that an attempt was given up. What CI said of it stays, and counts. Raises :class:`NotFoundError`."""
    with ledger.write() as connection:
        fix = _one(connection, number, to_change=True)
        if fix.event(FixState.WITHDRAWN) is None:
            event = Event(FixState.WITHDRAWN, now, note.strip()[:_LONGEST_NOTE] or "withdrawn by a person")
            fix = replace(fix, events=(*fix.events, event))
            stored.store_events(connection, fix, now)
        return fix


def _one(connection: Connection, number: int, *, to_change: bool = False) -> Fix:
    found = stored.fixes(connection, ids=[number], to_change=to_change)
    if not found:
        raise NotFoundError(f"there is no fix {number}; ci fixes list shows those there are")
    return found[0]


# --- what became of it -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """How many attempts were looked at, and those of which something new is known, each with its state of before."""

    looked_at: int
    changed: tuple[tuple[FixState, Fix], ...]


def verify_fixes(
    ledger: Ledger, now: int, *, repository: str | None = None, number: int | None = None
) -> Checked:
    """Works out of recorded runs, pull requests and commits what became of every attempt (of a repository, or of one attempt),
    also of those that were settled: a later fact may say otherwise. May be called any number of times."""
    with ledger.read() as connection:
        found = stored.fixes(connection, repository, ids=None if number is None else [number])
        if number is not None:
            _one(connection, number)
        evidence = evidence_of(connection, found)
    changed = []
    for start in range(0, len(found), 100):
        part = [one.id for one in found[start : start + 100]]
        with ledger.write() as connection:
            for one in stored.fixes(connection, ids=part, to_change=True):
                after, _ = judged(one, evidence[one.id])
                if stored.store_events(connection, after, now):
                    changed.append((one.state, after))
    return Checked(len(found), tuple(changed))


# --- showing it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FixPage:
    """Attempts, newest first, and the rates of all that were made in the window, whatever their state."""

    fixes: tuple[Fix, ...]
    rates: tuple[FixRate, ...]


def list_fixes(
    ledger: Ledger,
    *,
    repository: str | None = None,
    since: int | None = None,
    until: int | None = None,
    state: str | None = None,
    kind: str | None = None,
) -> FixPage:
    """The attempts made in a window. Raises :class:`ConfigurationError` for a state that there is not, and
    :class:`NotFoundError` for a repository of which no run is known."""
    wanted = None
    if state is not None:
        try:
            wanted = FixState(state.strip().lower())
        except ValueError:
            raise ConfigurationError(
                f"{state[:40]!r} is no state of a fix; there are {', '.join(FixState)}"
            ) from None
    with ledger.read() as connection:
        key = named_repository(connection, repository) if repository is not None else None
        found = stored.fixes(connection, key, since, until)
    shown = [one for one in found if wanted in (None, one.state) and kind in (None, one.kind)]
    return FixPage(tuple(reversed(shown)), fix_rates(found))


def show_fix(ledger: Ledger, number: int) -> tuple[Fix, Verdict]:
    """An attempt as it stands, and what recorded runs say of it now. Raises :class:`NotFoundError`."""
    with ledger.read() as connection:
        fix = _one(connection, number)
        _, told = judged(fix, evidence_of(connection, [fix])[fix.id])
        return fix, told


def fix_rate_data(
    connection: Connection, repository: str | None = None, since: int | None = None, until: int | None = None
) -> dict[str, Any]:
    """The auto-fix success rate of attempts made from ``since`` to before ``until`` as JSON has it, with that of each kind in
    ``kinds``. Its ``value`` is None, and its ``state`` "not measured", where no attempt has an outcome."""
    overall, *kinds = fix_rates(stored.fixes(connection, repository, since, until))
    return {
        **rate_data(overall), "kinds": [rate_data(one) for one in kinds], "definition": DEFINITION, "published": PUBLISHED,
    }  # fmt: skip


def fix_data(fix: Fix, told: Verdict | None = None) -> dict[str, Any]:
    """An attempt as JSON has it."""
    data: dict[str, Any] = {
        "id": fix.id, "repository": fix.repository, "kind": fix.kind, "state": fix.state.value, "job": fix.job,
        "cluster": fix.cluster or None, "branch": fix.branch or None, "sha": fix.sha or None, "pull_request": fix.pull,
        "fixer": fix.fixer or None, "created": iso(fix.created), "verified": fix.is_verified,
        "has_outcome": fix.has_outcome, "reverted_within_7_days": fix.was_reverted_soon,
        "events": [
            {
                "state": one.state.value, "at": iso(one.at), "told": one.told, "by": "facts" if one.is_derived else "stated",
            }
            for one in fix.events
        ],
    }  # fmt: skip
    if told is not None:
        data["runs_say"] = {"state": told.state.value if told.state else None, "told": told.told}
    return data


def page_data(page: FixPage) -> dict[str, Any]:
    """A list of attempts as JSON has it."""
    overall, *kinds = page.rates
    return {
        "fixes": [fix_data(one) for one in page.fixes],
        "success_rate": {**rate_data(overall), "kinds": [rate_data(one) for one in kinds]},
        "definition": DEFINITION,
        "published": PUBLISHED,
    }
