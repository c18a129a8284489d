"""Deliveries: taken in durably before they are answered, and processed exactly once in effect.

:class:`Receiver` stores many deliveries in one transaction (a group commit), so that each waits for one write to the disk
at most. :func:`process_waiting` turns stored ones into facts; facts, the delivery's outcome and the marks of what rests on
the facts are one transaction, so a stop leaves a delivery either waiting or done.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError, LedgerError, NotFoundError
from achievement_collector.facts.observations import Observation
from achievement_collector.intake.reading import read_delivery
from achievement_collector.ledger import inbox
from achievement_collector.ledger.ci_runs import take_in_runs
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.inbox import Delivery, Incoming
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.live import note_changes
from achievement_collector.sources.relevance import NotRelevant, NotUnderstood

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 200


class Accepted(NamedTuple):
    """The answer to a delivery: ``is_new`` is False for one that is stored already."""

    is_new: bool


class Receiver:
    """Stores deliveries, many at a time, by a thread of its own. ``wake`` is called after each write."""

    def __init__(self, ledger: Ledger, wake: Callable[[], None] = lambda: None) -> None:
        self._ledger = ledger
        self._wake = wake
        self._queue: list[tuple[Incoming, asyncio.Future[Accepted], asyncio.AbstractEventLoop]] = []
        self._guard = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._thread.start()

    async def accept(self, incoming: Incoming) -> Accepted:
        """Returns when the delivery is on disk. Raises :class:`LedgerError` where it cannot be stored."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Accepted] = loop.create_future()
        with self._guard:
            if self._is_closed:
                raise LedgerError("the server is shutting down; send it again")
            self._queue.append((incoming, future, loop))
            self._guard.notify()
        return await future

    def close(self) -> None:
        """Stores what waits, then ends."""
        with self._guard:
            self._is_closed = True
            self._guard.notify()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            with self._guard:
                while not self._queue and not self._is_closed:
                    self._guard.wait()
                if not self._queue:
                    return
                part, self._queue = self._queue[:_MOST_AT_ONCE], self._queue[_MOST_AT_ONCE:]
            try:
                answers: Sequence[Accepted | Exception] = self._store([incoming for incoming, _, _ in part])
            except CollectorError as error:
                answers = [error] * len(part)
            except Exception:  # noqa: BLE001 - senders wait; they must have an answer
                _log.exception("deliveries could not be stored")
                answers = [LedgerError("the delivery could not be stored")] * len(part)
            for (_, future, loop), answer in zip(part, answers, strict=True):
                loop.call_soon_threadsafe(_answer, future, answer)
            self._wake()

    def _store(self, incoming: Sequence[Incoming]) -> list[Accepted]:
        with self._ledger.write(durable=True) as connection:
            new = inbox.store(connection, incoming)
        answers = []
        for one in incoming:
            answers.append(Accepted((one.source, one.delivery) in new))
            new.discard((one.source, one.delivery))  # the same again in one batch
        return answers


def _answer(future: asyncio.Future[Accepted], answer: Accepted | Exception) -> None:
    if future.done():  # the sender has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


# --- processing --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Processed:
    """Outcomes of a batch."""

    processed: int = 0
    not_relevant: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.processed + self.not_relevant + self.failed


def process_waiting(ledger: Ledger, settings: Settings, now: int, *, limit: int = 25) -> Processed:
    """Processes the longest waiting deliveries, as many as ``limit``; one that cannot be processed is kept as failed and
    does not hold up the rest. ``now`` in milliseconds."""
    done = Processed()
    try:
        if ledger.is_sqlite:  # there is one writer: reading bodies must not keep it waiting
            with ledger.read() as connection:
                claimed = inbox.waiting(connection, limit)
            read = [(one, *read_one(one)) for one in claimed]
            if not read:
                return done
            with ledger.write() as connection:
                still = inbox.still_waiting(connection, [one.id for one in claimed])
                results = _take_in(connection, [one for one in read if one[0].id in still], now)
        else:
            with ledger.write() as connection:
                claimed = inbox.claim(connection, limit)
                if not claimed:
                    return done
                results = _take_in(connection, [(one, *read_one(one)) for one in claimed], now)
    except (LedgerError, SQLAlchemyError, ValueError) as error:
        _log.warning("a batch of deliveries is processed one by one: %s", type(error).__name__)
        return _one_by_one(ledger, now, limit)
    _count(done, results)
    return done


_Read = tuple[Delivery, str, str, list[Observation]]


def _take_in(connection: Connection, read: Sequence[_Read], now: int) -> list[tuple[int, str, str]]:
    """Stores what deliveries told, with their outcomes and the marks of what rests on it."""
    results = [(one.id, state, told) for one, state, told, _ in read]
    observations = [seen for _, _, _, found in read for seen in found]
    rest = take_in_runs(connection, observations).rest
    note_changes(connection, take_in(connection, rest, now), now)
    inbox.settle(connection, results, now)
    return results


def _one_by_one(ledger: Ledger, now: int, limit: int) -> Processed:
    """Each delivery in a transaction of its own, so that only the one that cannot be stored fails."""
    done = Processed()
    for _ in range(limit):
        claimed: list[Delivery] = []
        try:
            with ledger.write() as connection:
                claimed = inbox.claim(connection, 1)
                if not claimed:
                    return done
                results = _take_in(connection, [(one, *read_one(one)) for one in claimed], now)
        except (LedgerError, SQLAlchemyError, ValueError) as error:
            if not claimed:
                raise
            results = [(claimed[0].id, inbox.FAILED, f"it could not be stored: {type(error).__name__}")]
            with ledger.write() as connection:
                inbox.settle(connection, results, now)
        _count(done, results)
    return done


def read_one(one: Delivery) -> tuple[str, str, list[Observation]]:
    """(state, what is told of it, observations) of a delivery."""
    try:
        observations = read_delivery(one.source, one.event, one.body, one.received)
    except NotRelevant as reason:
        return inbox.NOT_RELEVANT, str(reason), []
    except NotUnderstood as reason:
        return inbox.FAILED, str(reason), []
    except Exception as error:  # noqa: BLE001 - whatever comes from outside must not hold up the rest
        _log.exception("delivery %s of %s could not be read", one.id, one.source)
        return inbox.FAILED, f"it could not be read: {type(error).__name__}", []
    told = ", ".join(dict.fromkeys(f"{seen.kind.value} {seen.key}" for seen in observations[-3:]))
    return inbox.PROCESSED, told, observations


def _count(done: Processed, results: Sequence[tuple[int, str, str]]) -> None:
    for _, state, _ in results:
        match state:
            case inbox.PROCESSED:
                done.processed += 1
            case inbox.NOT_RELEVANT:
                done.not_relevant += 1
            case _:
                done.failed += 1


# --- what a user asks for ----------------------------------------------------------------------------


def fallback_delivery_id(body: bytes) -> str:
    """The id of a delivery whose sender gave none: the same body is the same delivery."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def show_delivery(ledger: Ledger, number: int) -> Delivery:
    with ledger.read() as connection:
        found = inbox.find(connection, number)
    if found is None:
        raise NotFoundError(f"the inbox has no delivery {number}; inbox list shows those there are")
    return found


def list_deliveries(
    ledger: Ledger,
    *,
    state: str | None = None,
    source: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[Delivery]:
    if state is not None and state not in inbox.STATES:
        raise CollectorError(f"{state!r} is no state; choose from {', '.join(inbox.STATES)}")
    with ledger.read() as connection:
        return inbox.listed(connection, state=state, source=source, limit=limit, before=before)


def retry_deliveries(ledger: Ledger, numbers: Sequence[int] | None) -> int:
    """Puts failed deliveries (all, or those named) back to be processed; gives how many."""
    with ledger.write() as connection:
        return inbox.retry(connection, numbers)
