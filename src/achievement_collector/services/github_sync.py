"""Bringing the ledger up to date with a GitHub repository: everything the first time, afterwards what is new.

A webhook is a hint; this is what makes sure. Each step of a list (see :mod:`achievement_collector.sources.github.listing`) goes
into one transaction with the place from which to go on, under cursors named ``github/KEY/LIST``. So a stop at any moment, by an
exhausted limit or a kill, loses nothing and repeats at most one step, and a run with nothing new writes nothing. After the
lists comes what is asked for run by run (:func:`achievement_collector.services.ci_runs.collect_details`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import Connection

from achievement_collector.errors import ConfigurationError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.ci_runs import ended, take_in_runs
from achievement_collector.ledger.entities import Changed, cursor, remember, take_in, things
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.ci_runs import Details, Reach, collect_details
from achievement_collector.services.repository_names import repository_name
from achievement_collector.sources.github import listing
from achievement_collector.sources.github.client import (
    BudgetExhausted,
    GitHubAccessError,
    GitHubClient,
    GitHubError,
)
from achievement_collector.sources.github.deliveries import failed_deliveries
from achievement_collector.sources.github.reading import Reading, Step
from achievement_collector.sources.github.runs import OverflowRefused, workflow_runs
from achievement_collector.sources.relevance import NotUnderstood

OnChanged = Callable[[Connection, Sequence[Changed], int], None]
OnProgress = Callable[[str, int, int | None], None]

_LISTS: dict[str, Callable[[Reading], Iterator[Step]]] = {
    "pulls": listing.pull_requests,
    "issues": listing.issues,
    "releases": listing.releases,
    "milestones": listing.milestones,
    "deployments": listing.deployments,
    "runs": workflow_runs,
    "deliveries": failed_deliveries,
}

_RUNS_SHAPE = 2
"""Of the place in the list of runs: places of another shape are of a time when less was kept of runs; it is read anew."""


@dataclass(slots=True)
class Synced:
    """What a synchronisation did.

    ``repository`` is its key; ``read`` counts the things that were read and ``changed`` those that told something new, by kind
    (``pull_request``, ``review``, ``check`` ...); what is asked for run by run (``job``, ``annotation``, ``log``) is counted in
    ``read`` only, and ``is_more_waiting`` says that more of it is left to the next time. ``requests`` is what was asked of
    GitHub, of which ``not_modified`` were answered with 304; ``remaining`` is what is left of the limit, None where GitHub did
    not tell; ``redelivered`` deliveries were asked for again. ``skipped`` says in a sentence for each list why it could not be
    read to its end. ``stopped`` says why all of it ended early, empty where it did not; ``resumes`` is when it can go on, in
    milliseconds since 1970.
    """

    repository: str = ""
    read: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    not_modified: int = 0
    remaining: int | None = None
    redelivered: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    resumes: int | None = None
    is_more_waiting: bool = False


def sync_repository(
    ledger: Ledger,
    client: GitHubClient,
    name: str,
    now_ms: int,
    *,
    progress: OnProgress = lambda _list, _done, _total: None,
    since: int | None = None,
    on_changed: OnChanged = lambda _connection, _changed, _now: None,
    host: str | None = None,
    reach: Reach | None = None,
) -> Synced:
    """Reads from GitHub what is new of the repository ``name`` (owner/name) and takes it into the ledger; one process at a time
    for each repository.

    What pull requests, issues, deployments and workflow runs did before ``since`` (milliseconds since 1970) is left out; an
    earlier one than the last time reads them anew. ``progress`` is called after each step with the list, how much of it was
    read and of how much, if GitHub tells; ``on_changed`` inside of the transaction that stores a step, where it told something
    new. ``host`` is what keys begin with, by default that of the client's address. ``reach`` says how much of CI is asked for
    beyond the list of runs.

    An exhausted limit ends it early without an error (:attr:`Synced.stopped`), and the next call goes on from there; so it does
    after an error. Raises :class:`GitHubError` where GitHub cannot be asked, and :class:`ConfigurationError` for a name that
    is none; what was stored before stays.
    """
    if name.count("/") != 1 or repository_name(name) != name:
        raise ConfigurationError(f"{name!r} is no repository of GitHub; name it as owner/name")
    sync = _Sync(
        ledger, client, now_ms, since or 0, host or web_host(client.base_url), Synced(), progress, on_changed
    )
    done, requests, unchanged = sync.done, client.requests, client.unchanged
    with ledger.exclusive(f"github-sync {sync.host}/{name.lower()}"):
        try:
            place = sync.identify(name)
            done.repository = f"{sync.host}/{place['name']}"
            for each in _LISTS:
                sync.read_list(each, place)
            sync.read_details(place["name"], reach)
        except NotUnderstood as error:
            raise GitHubError(f"GitHub showed something of {name} that cannot be read: {error}") from None
        except BudgetExhausted as error:
            done.stopped, done.resumes = str(error), error.reset
        finally:
            done.requests = client.requests - requests
            done.not_modified = client.unchanged - unchanged
            done.remaining = client.remaining
    return done


def web_host(base_url: str) -> str:
    """The host under which people see what an API address answers for: ``github.com`` for ``https://api.github.com``,
    ``ghe.example`` for ``https://ghe.example/api/v3``."""
    host = (urlsplit(base_url).hostname or "").lower()
    return host.removeprefix("api.") if host == "api.github.com" or host.endswith(".ghe.com") else host


@dataclass(frozen=True, slots=True)
class _Sync:
    ledger: Ledger
    client: GitHubClient
    now: int
    since: int
    host: str
    done: Synced
    progress: OnProgress
    on_changed: OnChanged
    counted: set[tuple[str, Kind, str]] = field(default_factory=set)

    def identify(self, name: str) -> dict[str, Any]:
        """Asks what the repository is called now. One that was renamed keeps its places in the lists."""
        old = f"github/{self.host}/{name}"
        place = self._place(f"{old}/repository")
        step = listing.repository(self.client, name, self.host, place, self.now)
        if step is None:
            return place
        present = f"{self.host}/{step.place['name']}"
        former = self._former_names(step, present)
        seen = step.observations[0]
        step.observations.extend(
            Observation(Kind.REPOSITORY, one, seen.at, {"moved_to": present}) for one in former
        )
        moved: dict[str, Any] = {}
        with self.ledger.read() as connection:
            if all(cursor(connection, f"github/{present}/{each}") is None for each in _LISTS):
                for before in (f"{self.host}/{name}", *former):
                    places = {each: cursor(connection, f"github/{before}/{each}") for each in _LISTS}
                    moved |= {f"github/{present}/{each}": told for each, told in places.items() if told}
        self._store(step, f"{old}/repository", moved)
        return step.place

    def _former_names(self, step: Step, present: str) -> list[str]:
        """Under which other names the repository is known, by GitHub's number of it: it was asked for by a new name, and the
        word of its renaming never came."""
        number = step.observations[0].fields.get("id")
        with self.ledger.read() as connection:
            return [
                one.key
                for one in things(connection, Kind.REPOSITORY)
                if number is not None
                and one.fields.get("id") == number
                and one.key.startswith(f"{self.host}/")
                and one.key.casefold() != present.casefold()
                and not one.fields.get("moved_to")
            ]

    def read_list(self, name: str, repository: Mapping[str, Any]) -> None:
        """Reads one list to its end. One that the token may not see, or that GitHub cannot show, does not hold up the others."""
        key = f"{self.host}/{repository['name']}"
        stored = f"github/{key}/{name}"
        place = self._place(stored)
        is_outdated = name == "runs" and place.get("shape") != _RUNS_SHAPE
        if not place or is_outdated or self.since < place["begun"]:
            place = {"begun": self.since, **({"shape": _RUNS_SHAPE} if name == "runs" else {})}
        since = max(self.since, repository["created"]) if name == "runs" else self.since
        reading = Reading(self.client, repository["name"], key, self.now, place, since)
        reading.has_ended = partial(self._has_ended, key)
        try:
            for step in _LISTS[name](reading):
                self._store(step, stored)
                self.progress(name, step.done, step.total)
        except NotUnderstood as error:
            raise GitHubError(
                f"GitHub's list of {name} of {key} holds what cannot be read: {error}"
            ) from None
        except GitHubAccessError as error:
            if error.status == 401:
                raise
            self.done.skipped[name] = str(error)
        except OverflowRefused as error:
            self.done.skipped[name] = str(error)
        finally:
            self.done.redelivered += reading.redelivered

    def read_details(self, name: str, reach: Reach | None) -> None:
        """Asks for what is not told by lists: jobs of runs, what they remarked, and logs."""
        details = Details()
        try:
            collect_details(
                self.ledger,
                self.client,
                name,
                f"{self.host}/{name}",
                self.now,
                reach,
                done=details,
                progress=self.progress,
            )
        finally:
            for what, number in details.read.items():
                self.done.read[what] = self.done.read.get(what, 0) + number
            self.done.skipped |= details.skipped
            self.done.is_more_waiting = details.is_more_waiting

    def _store(self, step: Step, name: str, others: Mapping[str, Any] | None = None) -> None:
        with self.ledger.write() as connection:
            changed = take_in(connection, take_in_runs(connection, step.observations).rest, self.now)
            for each, place in {name: step.place, **(others or {})}.items():
                remember(connection, each, place, self.now)
            if changed:
                self.on_changed(connection, changed, self.now)
        self._count(self.done.read, "read", step.observations)
        self._count(self.done.changed, "changed", changed)

    def _count(self, counts: dict[str, int], what: str, things: Sequence[Observation | Changed]) -> None:
        for one in things:
            if (what, one.kind, one.key) not in self.counted:
                self.counted.add((what, one.kind, one.key))
                counts[one.kind.value] = counts.get(one.kind.value, 0) + 1

    def _place(self, name: str) -> dict[str, Any]:
        with self.ledger.read() as connection:
            return cursor(connection, name) or {}

    def _has_ended(self, key: str, run: int, attempt: int) -> bool:
        with self.ledger.read() as connection:
            return ended(connection, key, run, attempt)
