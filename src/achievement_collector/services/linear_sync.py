"""Bringing the ledger up to date with Linear: everything the first time, afterwards what was updated since.

Each list of Linear's is read newest first, a page at a time; a page's observations and how far the list has been read go
into one transaction. While a list is being read the cursor (``linear/issues`` and the like) holds three things: ``since``,
up to which everything is known (milliseconds since 1970, of Linear's clock); ``after``, Linear's cursor of the next page;
and ``newest``, the newest update that was seen. Only when the last page is stored does ``since`` become ``newest``: what lies
between the two is unknown until then, however the reading ended. So a stop at any moment loses nothing and repeats at most
one page.

Things that are updated while a list is read move to its front, behind the reader; they are newer than ``newest``, and the
next run finds them. Updates from the same moment, or that became visible late, are found by reading a few seconds again.

What is deleted for good does not appear in any list: webhooks tell of it, and the trash, which comes before it, is seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.facts.observations import Observation
from achievement_collector.ledger.entities import Changed, cursor, remember, take_in
from achievement_collector.ledger.store import Ledger
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.linear import documents, events
from achievement_collector.sources.linear.client import (
    BudgetExhausted,
    LinearAccessError,
    LinearClient,
    LinearError,
)

OVERLAP = 5_000
"""Milliseconds before the newest known update that are read again."""

_KINDS = {
    "initiatives": "Initiative",
    "projects": "Project",
    "issues": "Issue",
    "attachments": "Attachment",
}

OnChanged = Callable[[Connection, Sequence[Changed], int], None]
OnProgress = Callable[[str, int], None]


@dataclass(slots=True)
class Synced:
    """What a synchronisation did.

    ``read`` counts the things that were read and ``changed`` those that told something new, each by list (teams, initiatives,
    projects, issues, attachments); ``requests`` is what was asked of Linear. ``stopped`` says in a sentence why it ended
    early, empty where it did not; ``resumes`` is when it can go on, in milliseconds since 1970. ``skipped`` are lists that
    the workspace does not have.
    """

    read: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    stopped: str = ""
    resumes: int | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a list has been read; see the module."""

    since: int = 0
    after: str | None = None
    newest: int = 0

    @property
    def is_midway(self) -> bool:
        return self.after is not None

    def stored(self) -> dict[str, Any]:
        return {"since": self.since, "after": self.after, "newest": self.newest}


def sync_linear(
    ledger: Ledger,
    client: LinearClient,
    now_ms: int,
    *,
    progress: OnProgress = lambda _list, _read: None,
    on_changed: OnChanged = lambda _connection, _changed, _now: None,
) -> Synced:
    """Reads from Linear what is new and takes it into the ledger; one process at a time for each ledger.

    ``progress`` is called after each page with the list's name and how many things of it were read; ``on_changed`` inside of
    the transaction that stores a page, where the page told something new. An exhausted budget ends it early without an error
    (:attr:`Synced.stopped`), and the next call goes on from there. Raises :class:`LinearError` where Linear cannot be asked;
    what was stored before stays.
    """
    done = Synced()
    before = client.requests
    with ledger.exclusive("linear-sync"):
        try:
            for name in documents.PAGE:
                _read_list(_Reading(ledger, client, now_ms, name, done, progress, on_changed))
        except BudgetExhausted as error:
            done.stopped, done.resumes = str(error), error.reset
        finally:
            done.requests = client.requests - before
    return done


@dataclass(frozen=True, slots=True)
class _Reading:
    """One list as it is being read."""

    ledger: Ledger
    client: LinearClient
    now: int
    name: str
    done: Synced
    progress: OnProgress
    on_changed: OnChanged

    @property
    def cursor(self) -> str:
        return f"linear/{self.name}"

    def place(self) -> _Place:
        with self.ledger.read() as connection:
            told = cursor(connection, self.cursor)
        return _Place(**told) if told else _Place()


def _read_list(reading: _Reading) -> None:
    """Reads a list up to its front; one that an earlier run left midway is finished first."""
    place = reading.place()
    is_resumed = may_restart = place.is_midway
    while True:
        try:
            page = _page(reading, place)
        except LinearError as error:
            if error.type == "feature not accessible":
                reading.done.skipped += (reading.name,)
                return
            if not may_restart or not error.type or isinstance(error, LinearAccessError):
                raise
            # what the cursor pointed at may be gone since the earlier run: the list is read from its front again
            place, is_resumed, may_restart = _Place(place.since), False, False
            continue
        may_restart = False
        place = _store(reading, page, place)
        if place.is_midway:
            continue
        if not is_resumed:
            return
        is_resumed = False


def _page(reading: _Reading, place: _Place) -> Body:
    since = datetime.fromtimestamp(max(0, place.since - OVERLAP) / 1000, UTC)
    variables = {
        "after": place.after,
        "since": since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _connection(
        reading.client.execute(documents.PAGE[reading.name], variables), reading.name, place.after
    )


def _connection(data: Body, name: str, after: str | None) -> Body:
    """A connection of an answer, of which it is certain that reading it comes to an end."""
    page = data.inner(name)
    info = page.inner("pageInfo")
    if info.truth("hasNextPage") is None:
        raise LinearError(f"Linear's answer does not hold the {name} that were asked for")
    if info.truth("hasNextPage") and info.text("endCursor") in ("", after):
        raise LinearError(
            f"Linear's list of {name} does not go on where it says that it does; try again later"
        )
    return page


def _store(reading: _Reading, page: Body, place: _Place) -> _Place:
    """Takes a page in and moves on; gives the place after it."""
    nodes = page.each("nodes")
    observations: list[Observation] = []
    newest = max(place.newest, place.since)
    for node in nodes:
        at = node.moment("updatedAt")
        if at is None or not node.text("id", 100):
            raise LinearError(
                f"Linear showed one of the {reading.name} without its id or the time of its update"
            )
        newest = max(newest, at)
        observations += _observed(reading, node, at)
    info = page.inner("pageInfo")
    after = info.text("endCursor") if info.truth("hasNextPage") else None
    moved = _Place(place.since, after, newest) if after else _Place(newest)
    with reading.ledger.write() as connection:
        changed = take_in(connection, observations, reading.now)
        if cursor(connection, reading.cursor) != moved.stored():
            remember(connection, reading.cursor, moved.stored(), reading.now)
        if changed:
            reading.on_changed(connection, changed, reading.now)
    done = reading.done
    done.read[reading.name] = done.read.get(reading.name, 0) + len(nodes)
    done.changed[reading.name] = done.changed.get(reading.name, 0) + len(
        {(one.kind, one.key) for one in changed}
    )
    reading.progress(reading.name, done.read[reading.name])
    return moved


def _observed(reading: _Reading, node: Body, at: int) -> list[Observation]:
    if reading.name == "teams":
        return [events.team(node, at)]
    return events.shown(_KINDS[reading.name], _complete(reading, node), at)


def _complete(reading: _Reading, node: Body) -> Body:
    """A thing with all of each list inside of it, also what was beyond the first page."""
    for (name, inside), (field_name, document) in documents.REST.items():
        first = node.inner(inside)
        if name != reading.name or not first.inner("pageInfo").truth("hasNextPage"):
            continue
        nodes = [one.data for one in first.each("nodes")]
        after = first.inner("pageInfo").text("endCursor")
        while after:
            data = reading.client.execute(document, {"id": node.text("id", 100), "after": after})
            page = _connection(data.inner(field_name), inside, after)
            nodes += [one.data for one in page.each("nodes")]
            info = page.inner("pageInfo")
            after = info.text("endCursor") if info.truth("hasNextPage") else ""
        node = Body({**node.data, inside: {"nodes": nodes}})
    return node
