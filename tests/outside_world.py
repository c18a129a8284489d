"""Outside systems that tell a ledger of work, one observation at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from achievement_collector.config import Settings
from achievement_collector.derive.conclusions import Achievement
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger.entities import stale_things, take_in
from achievement_collector.ledger.epics import EpicEvent, StoredEpic
from achievement_collector.ledger.selection import Filter, select_achievements
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.live import bring_up_to_date, note_changes

ROCKET = "github.com/acme/rocket"
DAY = 86_400_000
HOUR = 3_600_000
BEGIN = 1_760_000_000_000
"""Milliseconds: the day 0 of every story."""


def day(number: float) -> int:
    return BEGIN + int(number * DAY)


class World:
    """A ledger and the settings it is used with. ``now`` moves on with every telling."""

    def __init__(self, ledger: Ledger, **settings: Any) -> None:
        self.ledger = ledger
        self.settings = replace(Settings(database="unused"), **settings)
        self.now = day(1000)

    def hear(self, *observations: Observation) -> None:
        """Takes observations in; nothing is concluded yet."""
        self.now += 1000
        with self.ledger.write() as connection:
            note_changes(connection, take_in(connection, observations, self.now), self.now)

    def conclude(self) -> None:
        """Works off everything that is marked."""
        for _ in range(20):
            self.now += 1000
            bring_up_to_date(self.ledger, self.settings, lambda: self.now)
            with self.ledger.read() as connection:
                if not stale_things(connection):
                    return
        raise AssertionError("the marks never end")

    def tell(self, *observations: Observation) -> None:
        self.hear(*observations)
        self.conclude()

    def achievements(self, **wanted: Any) -> list[Achievement]:
        """What counts, newest first."""
        with self.ledger.read() as connection:
            return select_achievements(connection, Filter(**wanted), order="newest")

    def left_out(self) -> dict[str, str]:
        """Title -> the reason, of what does not count."""
        return {one.title: one.left_out_reason for one in self.achievements(left_out=True)}

    def epic(self, key: str) -> StoredEpic:
        with self.ledger.read() as connection:
            found = ledger_epics.stored_epic(connection, key)
        assert found is not None, f"there is no epic {key}"
        return found

    def epics(self) -> list[str]:
        with self.ledger.read() as connection:
            return sorted(one.key for one in ledger_epics.stored_epics(connection))

    def members(self, key: str) -> dict[str, str]:
        with self.ledger.read() as connection:
            return ledger_epics.members_of(connection, key)

    def events(self, key: str) -> list[EpicEvent]:
        with self.ledger.read() as connection:
            return ledger_epics.events_of(connection, key)

    def versions(self, key: str) -> dict[int, dict[str, str]]:
        with self.ledger.read() as connection:
            return ledger_epics.versions_of(connection, key)


# --- GitHub ------------------------------------------------------------------------------------------


def opened(number: int, at: int = BEGIN, *, place: str = ROCKET, **fields: Any) -> Observation:
    """A pull request as it is opened."""
    told: dict[str, Any] = {
        "number": number, "title": f"Add part {number}", "body": "", "author": "alice", "author_id": 101, "is_bot": False,
        "created": at, "merged": None, "closed": None, "base": "main", "branch": f"part-{number}",
        "head_sha": f"{number:040x}", "additions": 120, "deletions": 10, "files": 4, "commits": 2,
        "url": f"https://{place}/pull/{number}", "labels": [],
    }  # fmt: skip
    return Observation(Kind.PULL_REQUEST, f"{place}#{number}", at, {**told, **fields}, place)


def merged(number: int, at: int, *, place: str = ROCKET, **fields: Any) -> Observation:
    """A pull request as it is after its merge at ``at``; it was opened a day before, where nothing else is said."""
    told = opened(number, fields.pop("created", at - DAY), place=place, **fields).fields
    more = {"merged": at, "closed": at, "merge_sha": fields.get("merge_sha", f"{number + 4096:040x}")}
    return Observation(Kind.PULL_REQUEST, f"{place}#{number}", at, {**told, **more}, place)


def closed(number: int, at: int, **fields: Any) -> Observation:
    told = opened(number, at - DAY, **fields).fields
    return Observation(Kind.PULL_REQUEST, f"{ROCKET}#{number}", at, {**told, "closed": at}, ROCKET)


def review(number: int, reviewer: str, at: int, state: str = "approved", identity: int = 0) -> Observation:
    key = f"{ROCKET}#{number}"
    fields = {"reviewer": reviewer, "state": state, "submitted": at}
    return Observation(Kind.REVIEW, f"{key}/review/{identity or hash_of(reviewer)}", at, fields, key)


def check(number: int, conclusion: str | None, at: int, *, name: str = "build", run: int = 1) -> Observation:
    """What CI says about the head of a pull request."""
    sha = f"{number:040x}"
    fields = {
        "name": name, "sha": sha, "conclusion": conclusion, "started": at, "completed": at if conclusion else None,
        "attempt": 1, "url": f"https://{ROCKET}/runs/{number}-{run}",
    }  # fmt: skip
    return Observation(Kind.CHECK, f"{ROCKET}/check/{number}-{name}-{run}", at, fields, f"{ROCKET}@{sha}")


def report(
    kind: str,
    body: dict[str, Any],
    at: int,
    *,
    sha: str,
    pull: int | None = None,
    branch: str = "",
    job: str = "",
) -> Observation:
    """Measures that a CI job handed in."""
    fields = {
        "sha": sha, "kind": kind, "name": job, "body": body, "branch": branch, "base": "main", "pull_request": pull, "url": "",
    }  # fmt: skip
    return Observation(Kind.CI_REPORT, f"{ROCKET}@{sha}/{kind}/{job}", at, fields, ROCKET)


def benchmark(name: str, value: float, *, spread: float | None = 2.0, samples: int | None = 20,
              unit: str = "ms", higher_is_better: bool | None = False) -> dict[str, Any]:  # fmt: skip
    return {"benchmarks": [{
        "name": name, "value": value, "unit": unit, "higher_is_better": higher_is_better, "samples": samples, "spread": spread,
        "spread_kind": "standard deviation", "median": None,
    }]}  # fmt: skip


def hash_of(text: str) -> int:
    return sum(ord(character) * (place + 1) for place, character in enumerate(text))


# --- Linear ------------------------------------------------------------------------------------------


def project(name: str, title: str, at: int = BEGIN, **fields: Any) -> Observation:
    told = {
        "title": title, "description": "", "status": "started", "lead": "", "created": BEGIN, "started": BEGIN,
        "completed": None, "canceled": None, "url": f"https://linear.app/acme/project/{name}", "slug": name, "initiatives": [],
    }  # fmt: skip
    return Observation(Kind.PROJECT, f"linear/{name}", at, {**told, **fields})


def issue(identifier: str, title: str, at: int = BEGIN, **fields: Any) -> Observation:
    """An issue of the team that estimates in Fibonacci numbers."""
    told: dict[str, Any] = {
        "identifier": identifier, "title": title, "description": "", "state": "started", "priority": 0, "estimate": None,
        "labels": [], "assignee": "Carol Chen", "assignee_email": "carol@example.dev", "project": "", "parent": "",
        "created": BEGIN, "started": BEGIN, "completed": None, "canceled": None, "team_id": "team",
        "url": f"https://linear.app/acme/issue/{identifier}", "scale": "fibonacci",
    }  # fmt: skip
    told |= fields
    scope = f"linear/{told['project']}" if told["project"] else ""
    return Observation(Kind.ISSUE, f"linear/{identifier.lower()}", at, told, scope)


def done(identifier: str, title: str, at: int, **fields: Any) -> Observation:
    return issue(identifier, title, at, state="completed", completed=at, **fields)


def attached(
    identifier: str, url: str, at: int = BEGIN, *, removed: bool = False, name: str = ""
) -> Observation:
    fields: dict[str, Any] = {"removed": True} if removed else {"url": url, "title": "", "removed": False}
    key = name or f"attachment-{identifier}-{hash_of(url)}"
    return Observation(Kind.ATTACHMENT, f"linear/{key}", at, fields, f"linear/{identifier.lower()}")


def numbers(first: int = 1) -> Iterator[int]:
    while True:
        yield first
        first += 1
