"""One pass of a two-way sync: recover, sweep, plan, apply.

Every write goes through the outbox, one transaction a step. Whatever ends a pass, the next one finds out by reading how far it
came: nothing is sent a second time before that, and a creation not before a minute has passed, in which it may still arrive.
Between the look at an item and the write to it lies one request; neither API can be asked to write only if nothing changed, so
an edit that falls into just that moment is overwritten (both keep it in their history).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from sqlalchemy.engine import Connection

from achievement_collector.derive.merging import Agreed, Side, Value, distance
from achievement_collector.derive.sync_plan import (
    Item,
    Known,
    Link,
    Operation,
    OperationKind,
    Plan,
    Policy,
    View,
    plan,
    settled,
    without,
)
from achievement_collector.errors import CollectorError
from achievement_collector.ledger import syncing
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.two_way.ports import (
    ChangedError,
    NoAccessError,
    Port,
    PostponedError,
    RefusedError,
    Sweep,
    UncertainError,
)

GRACE = 60_000
"""Milliseconds in which a write without an answer may still arrive."""

LEASE = 120_000
"""Milliseconds that a lease lasts when it is not prolonged; each write prolongs it."""

FULL_EVERY = 86_400_000
"""Milliseconds after which a pass reads everything, also where only changes were asked for."""

_ROUNDS = 3


class SyncError(CollectorError):
    """A pass that cannot begin or must not go on: another one is at work, or the plan is not the demanded one."""


class Exit(IntEnum):
    CLEAN = 0
    FATAL = 1
    CONFLICTS = 2
    PARTIAL = 3


@dataclass(frozen=True, slots=True)
class RowStatus:
    """The status of a row at the end of a pass. ``github`` is the id of the milestone that it is linked to, empty where it is to
    none; ``before`` is what it had when last agreed, None where nothing was; ``is_as_found`` says that this pass did not write
    it."""

    row: str
    key: str
    github: str
    value: str
    before: Agreed | None
    is_as_found: bool


@dataclass(slots=True)
class Pass:
    """What a pass did. ``plan`` is what it set out to do; ``written`` and ``created`` count by side what was; ``failed`` are
    sentences about writes that did not come about, ``notes`` what people should know; ``statuses`` are those of the rows that
    were read."""

    plan: Plan
    written: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    created: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    linked: int = 0
    unlinked: int = 0
    conflicts: int = 0
    parked: int = 0
    recovered: int = 0
    left: int = 0
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    statuses: list[RowStatus] = field(default_factory=list)
    is_complete: bool = False
    is_dry: bool = False

    @property
    def writes(self) -> int:
        return sum(self.written.values()) + sum(self.created.values())

    @property
    def exit(self) -> Exit:
        if self.failed or self.parked or self.left or self.plan.waiting or self.plan.stopped:
            return Exit.PARTIAL
        return Exit.CONFLICTS if self.conflicts else Exit.CLEAN


def run_pass(
    ledger: Ledger,
    scope: str,
    github: Port,
    notion: Port,
    clock: Callable[[], int],
    holder: str,
    policy: Policy | None = None,
    *,
    is_full: bool = True,
    is_dry: bool = False,
    demanded: str = "",
    published: frozenset[str] = frozenset(),
    aliases: Mapping[str, str] | None = None,
) -> Pass:
    """Brings both sides to agree, or only tells how (``is_dry``, which writes nothing, here either).

    ``clock`` gives milliseconds since 1970; ``holder`` names this process for the lease; ``demanded`` is the hash (or its
    beginning) that the plan must have; ``published`` and ``aliases`` are as :class:`Known` has them. Raises
    :class:`SyncError`, or what a side raises when it cannot be read.
    """
    one = _Pass(ledger, scope, {Side.GITHUB: github, Side.NOTION: notion}, clock, holder, policy or Policy())
    one.published, one.aliases = published, aliases or {}
    if is_dry:
        return one.look(is_full)
    with ledger.write() as connection:
        if not syncing.take_lease(connection, scope, holder, clock(), LEASE):
            raise SyncError(
                f"another process is synchronising {scope}; wait until it is done (its lease ends by itself after "
                f"{LEASE // 1000} seconds)"
            )
    try:
        return one.run(is_full, demanded)
    finally:
        with ledger.write() as connection:
            syncing.free_lease(connection, scope, holder)


class _Pass:
    def __init__(
        self,
        ledger: Ledger,
        scope: str,
        ports: Mapping[Side, Port],
        clock: Callable[[], int],
        holder: str,
        policy: Policy,
    ) -> None:
        self.ledger, self.scope, self.ports, self.clock = ledger, scope, ports, clock
        self.holder, self.policy = holder, policy
        self.busy: set[str] = set()
        self.closed: set[Side] = set()
        self.items: dict[Side, dict[str, Item]] = {side: {} for side in Side}
        self.complete = dict.fromkeys(Side, False)
        self.whole = dict.fromkeys(Side, False)
        self.notes: list[str] = []
        self.published: frozenset[str] = frozenset()
        self.aliases: Mapping[str, str] = {}
        self.is_dry = False

    # --- the whole ---------------------------------------------------------------------------------

    def look(self, is_full: bool) -> Pass:
        """The plan, without writing anything anywhere."""
        self.is_dry = True
        with self.ledger.read() as connection:
            self.busy = {
                one.operation.key for one in syncing.outgoing(connection, self.scope, "sent", "confirmed")
            }
        self._sweep(is_full, self.clock())
        found = self._plan()
        done = Pass(found, is_dry=True, conflicts=len(found.conflicts), parked=len(found.parked))
        done.notes = [*self.notes, *found.notes]
        return done

    def run(self, is_full: bool, demanded: str) -> Pass:
        started = self.clock()
        with self.ledger.write() as connection:
            run = syncing.start_run(connection, self.scope, started)
        done: Pass | None = None
        try:
            recovered = self._recover()
            self._sweep(is_full, started)
            found = self._statuses()
            first = self._plan()
            if demanded and not first.hash.startswith(demanded.lower()):
                raise SyncError(
                    f"the plan is not the demanded one any more (its hash is {first.hash[:12]}); look at it again with "
                    "--dry-run"
                )
            done = Pass(first, recovered=recovered, notes=list(self.notes))
            self._apply(run, first, done, may_repeat=not demanded)
            self._end(started, done)
            done.statuses = self._statuses(found)
            return done
        finally:
            with self.ledger.write() as connection:
                told = {} if done is None else {
                    "writes": done.writes, "failed": done.failed[:20], "conflicts": done.conflicts, "notes": done.notes[:50],
                }  # fmt: skip
                syncing.end_run(
                    connection, run, self.clock(), (done.exit if done else Exit.FATAL).name.lower(),
                    done.plan.hash if done else "", told, bool(done and done.is_complete),
                )  # fmt: skip

    def _statuses(self, found: list[RowStatus] | None = None) -> list[RowStatus]:
        """The status of every row that was read and is a milestone's or none's; ``found`` are those from before the writes."""
        with self.ledger.read() as connection:
            known = syncing.known(connection, self.scope)
        linked = {link.notion: link for link in known.links if link.is_active}
        before = {one.row: one for one in found or ()}
        told = []
        for item in self.items[Side.NOTION].values():
            link = linked.get(item.id)
            if item.gone or "status" not in item.values or (link is not None and link.kind != "milestone"):
                continue
            value = str(item.values["status"] or "")
            key = link.key if link is not None else item.key
            first = before.get(item.id)
            base = known.bases.get((key, "status")) if link is not None and first is None else None
            told.append(
                RowStatus(
                    item.id, key, link.github if link is not None else "", value,
                    first.before if first is not None else base, first is not None and first.value == value,
                )
            )  # fmt: skip
        return told

    def _end(self, started: int, done: Pass) -> None:
        has_failed = bool(done.failed or done.plan.waiting or done.plan.stopped or done.left)
        done.is_complete = all(self.complete.values()) and not has_failed
        with self.ledger.write() as connection:
            for side in Side:
                before = syncing.swept(connection, self.scope, side)
                # what failed must be seen again, so only a pass that did all moves on
                seen = started if self.whole[side] and not has_failed else before.seen_until
                complete = started if self.complete[side] else before.complete_at
                items = len(self.items[side]) if self.complete[side] else before.items
                syncing.store_sweep(connection, self.scope, side, syncing.Swept(seen, complete, items))
            syncing.forget_old(connection, self.scope, started)

    # --- what an earlier pass left -------------------------------------------------------------------

    def _recover(self) -> int:
        """Finds out what became of writes whose end is not known; gives how many were found to have arrived."""
        arrived = 0
        with self.ledger.write() as connection:
            syncing.drop_planned(connection, self.scope)
            waiting = syncing.outgoing(connection, self.scope, "sent", "confirmed")
        for one in waiting:
            if one.state == "confirmed" and one.result is not None:
                self._finish(one.id, one.operation, one.result, is_answer=not one.told)
                continue
            try:
                found, is_settled = self._verify(one)
            except CollectorError as error:
                self.notes.append(f"{one.operation.label or one.operation.key}: {error}")
                self.busy.add(one.operation.key)
                continue
            if found is not None:
                self._confirm(one.id, one.operation, found, is_answer=False)
                arrived += 1
            elif is_settled or self.clock() - one.changed >= GRACE:
                with self.ledger.write() as connection:
                    syncing.advance(connection, one.id, "dropped", self.clock(), told="it had not arrived")
            else:
                self.busy.add(one.operation.key)
        return arrived

    def _verify(self, one: syncing.Outgoing) -> tuple[Item | None, bool]:
        """The item where a write arrived; and, where it did not, whether that is certain."""
        operation, port = one.operation, self.ports[one.operation.side]
        if operation.kind is OperationKind.CREATE:
            found = port.find(operation.key, one.changed - 10 * GRACE)
            return (found[0] if found else None), False
        item = port.read(operation.target)
        if item is None:
            return None, True
        if self._holds(item, operation.values):
            return item, True
        if self._holds(item, operation.expected):
            return None, False
        # somebody changed it since: on top of our write, if that takes fewer changes than without it
        return (item if self._is_nearer(item, operation) else None), True

    def _is_nearer(self, item: Item, operation: Operation) -> bool:
        """Whether an item that holds neither the values written nor those before is fewer changes away from the former."""
        steps = {True: 0, False: 0}
        for name, value in operation.values.items():
            if name in item.values and name in operation.expected:
                rule = self.policy.rules.get(name)
                steps[True] += distance(rule, item.values[name], value)
                steps[False] += distance(rule, item.values[name], operation.expected[name])
        return steps[True] < steps[False]

    def _holds(self, item: Item, values: Mapping[str, Value]) -> bool:
        return all(
            name in item.values and not distance(self.policy.rules.get(name), item.values[name], value)
            for name, value in values.items()
        )

    # --- reading -------------------------------------------------------------------------------------

    def _sweep(self, is_full: bool, now: int) -> None:
        with self.ledger.read() as connection:
            known = syncing.known(connection, self.scope)
            swept = {side: syncing.swept(connection, self.scope, side) for side in Side}
        is_full = is_full or any(now - one.complete_at >= FULL_EVERY for one in swept.values())
        shown: dict[Side, Sweep] = {}
        for side in Side:
            shown[side] = self.ports[side].sweep(None if is_full else swept[side].seen_until)
            self.items[side] = {one.id: one for one in shown[side].items}
            self.whole[side] = shown[side].is_whole
            self.complete[side] = is_full and shown[side].is_whole
            if not shown[side].is_whole:
                self.notes.append(f"{side.spelt} was not read to its end: {shown[side].told}")
        for link in known.links:
            self._look_up(link, is_full, known)

    def _look_up(self, link: Link, is_full: bool, known: Known) -> None:
        """Reads by its id what a sweep did not show and what must be known: that tells deleted from hidden."""
        seen = {side: link.id(side) in self.items[side] for side in Side}
        if not is_full and not any(seen.values()) and not any(key == link.key for key, _ in known.decisions):
            return
        for side in Side:
            if seen[side] or (not link.is_active and not seen[side.other]):
                continue
            item = self.ports[side].read(link.id(side))
            if item is None:
                continue
            if item.id != link.id(side):
                self._follow(link, side, item, known)
            else:
                self.items[side][item.id] = item

    def _follow(self, link: Link, side: Side, item: Item, known: Known) -> None:
        """A thing that was moved and has another id there."""
        before = link.id(side)
        if any(one.id(side) == item.id for one in known.links):
            return
        if self.is_dry:
            self.items[side][before] = replace(item, id=before)
            return
        self.items[side][item.id] = item
        with self.ledger.write() as connection:
            syncing.move_link(connection, self.scope, side, before, item.id, self.clock())

    def _plan(self) -> Plan:
        with self.ledger.read() as connection:
            known = syncing.known(connection, self.scope, frozenset(self.busy))
        known = replace(known, published=self.published, aliases=self.aliases)
        views = {side: View(self.items[side], self.complete[side]) for side in Side}
        return plan(views[Side.GITHUB], views[Side.NOTION], known, self.policy)

    # --- applying ------------------------------------------------------------------------------------

    def _apply(self, run: int, first: Plan, done: Pass, *, may_repeat: bool) -> None:
        present, tried = first, set[str]()
        for number in range(_ROUNDS):
            self._record(present, done)
            if present.stopped:
                break
            again = [one for one in present.writes if one.fingerprint in tried]
            operations = [one for one in without(present.operations, again) if one.is_write]
            if number and (not may_repeat or not operations):
                break
            tried |= {one.fingerprint for one in operations}
            self._send_all(run, operations, done)
            present = self._plan()
        else:
            self._record(present, done)
        done.conflicts = len(present.conflicts)
        done.parked = len(present.parked)
        # what was seen to change, or was refused in passing, is for the next pass
        done.left = len(present.writes) if not present.stopped else 0
        done.notes[:] = dict.fromkeys([*done.notes, *first.notes, *present.notes])
        if first.stopped:
            done.notes.append(first.stopped)
        refused = frozenset(one.fingerprint for one in present.parked)
        with self.ledger.write() as connection:
            # only now, so that planning again within this pass does not count this sweep twice
            syncing.count_missing(connection, self.scope, first.missing)
            if not present.stopped:
                kept = self._unseen(connection) | set(present.waiting)
                pending = {
                    (one.key, name) for one in (*present.writes, *present.parked) for name in one.values
                }
                syncing.queue_conflicts(
                    connection,
                    self.scope,
                    present.conflicts,
                    frozenset(kept),
                    frozenset(pending),
                    self.clock(),
                )
            if all(self.complete.values()) and not present.stopped:
                syncing.unpark(connection, self.scope, refused)

    def _unseen(self, connection: Connection) -> set[str]:
        return {
            link.key
            for link in syncing.known(connection, self.scope).links
            if link.is_active and any(link.id(side) not in self.items[side] for side in Side)
        }

    def _record(self, present: Plan, done: Pass) -> None:
        """Stores what needs no write outside: links made and ended, agreements."""
        with self.ledger.write() as connection:
            now = self.clock()
            for one in present.operations:
                match one.kind:
                    case OperationKind.LINK:
                        link = Link(one.key, one.target, one.partner, one.thing)
                        syncing.add_link(connection, self.scope, link, now)
                        done.linked += 1
                    case OperationKind.RELINK:
                        syncing.set_active(connection, self.scope, one.key, True, "", now)
                        done.linked += 1
                    case OperationKind.UNLINK:
                        syncing.set_active(connection, self.scope, one.key, False, one.reason, now)
                        done.unlinked += 1
            syncing.settle(connection, self.scope, present.agreements, now)

    def _send_all(self, run: int, operations: list[Operation], done: Pass) -> None:
        with self.ledger.write() as connection:
            ids = syncing.enqueue(connection, self.scope, run, operations, self.clock())
        blocked: set[str] = set()
        for number, operation in zip(ids, operations, strict=True):
            if operation.side in self.closed or operation.key in blocked:
                blocked.add(operation.key)
                continue
            if not self._send(number, operation, done):
                blocked.add(operation.key)
        with self.ledger.write() as connection:
            syncing.drop_planned(connection, self.scope)

    def _send(self, number: int, operation: Operation, done: Pass) -> bool:
        """One write; whether it is certain that it arrived."""
        port, side = self.ports[operation.side], operation.side
        name = operation.label or operation.key
        with self.ledger.write() as connection:
            if not syncing.take_lease(connection, self.scope, self.holder, self.clock(), LEASE):
                raise SyncError(
                    f"another process took over the synchronisation of {self.scope}; nothing more was done"
                )
            syncing.advance(connection, number, "sent", self.clock())
        try:
            if operation.kind is OperationKind.UPDATE:
                item = port.write(operation.target, operation.values, operation.expected)
                done.written[side] += 1
            else:
                there = [] if self.complete[side] else port.find(operation.key, 0)
                item = there[0] if there else port.create(operation.thing, operation.values)
                done.created[side] += not there
                if there:
                    self._confirm(number, operation, item, is_answer=False)
                    return True
        except ChangedError as error:
            self._drop(number, "dropped", "it had changed meanwhile")
            self._replace(side, operation.target, error.item)
        except RefusedError as error:
            self._drop(number, "parked", str(error))
            done.failed.append(f"{name}: {error}")
        except (NoAccessError, PostponedError) as error:
            self._drop(number, "dropped", str(error))
            self.closed.add(side)
            done.failed.append(f"{name}: {error}")
        except UncertainError as error:
            self.busy.add(operation.key)
            done.failed.append(f"{name}: {error}; the next run finds out whether it arrived")
        else:
            self._confirm(number, operation, item, is_answer=True)
            return True
        return False

    def _drop(self, number: int, state: str, told: str) -> None:
        with self.ledger.write() as connection:
            syncing.advance(connection, number, state, self.clock(), told=told)

    def _replace(self, side: Side, target: str, item: Item | None) -> None:
        if item is None:
            self.items[side].pop(target, None)
            # one that went away meanwhile is not one that a sweep did not show
            self.complete[side] = False
        else:
            self.items[side][target] = item

    def _confirm(self, number: int, operation: Operation, item: Item, *, is_answer: bool) -> None:
        with self.ledger.write() as connection:
            told = "" if is_answer else "found by reading"
            syncing.advance(connection, number, "confirmed", self.clock(), result=item, told=told)
        self._finish(number, operation, item, is_answer=is_answer)

    def _finish(self, number: int, operation: Operation, item: Item, *, is_answer: bool) -> None:
        """The last step: what both sides hold now is what they agreed on."""
        self.items[operation.side][item.id] = item
        with self.ledger.write() as connection:
            now = self.clock()
            if operation.kind is OperationKind.CREATE:
                is_github = operation.side is Side.GITHUB
                kind = item.kind if is_github else self._partner_kind(operation)
                ids = (item.id, operation.partner) if is_github else (operation.partner, item.id)
                syncing.add_link(connection, self.scope, Link(operation.key, *ids, kind), now)
            agreed = settled(operation, item, self.policy.rules, is_answer=is_answer)
            syncing.settle(connection, self.scope, agreed, now)
            syncing.advance(connection, number, "done", now)

    def _partner_kind(self, operation: Operation) -> str:
        partner = self.items[Side.GITHUB].get(operation.partner)
        return partner.kind if partner else "issue"
