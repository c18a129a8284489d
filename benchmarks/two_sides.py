"""Random schedules for the two-way sync: two sides in memory, people who edit both, and everything that can go wrong.

A schedule draws edits (also of the same field on both sides), new things, renames, deletions, copies and decisions, and lets the
sync run in between while writes fail, arrive late or unanswered, lists are cut off, and the process dies before or after any
transaction or request. Afterwards the faults stop, and what must hold is checked: see :func:`check`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from achievement_collector.derive.merging import (
    BLOCKED,
    COMPLETED,
    DEFAULT_RULES,
    IN_PROGRESS,
    NOT_PLANNED,
    OPEN,
    PLANNED,
    FieldKind,
    Side,
    Value,
    agree,
    canonical,
    is_empty,
    labels,
)
from achievement_collector.derive.sync_plan import KEY, NOTICE, Item, Policy
from achievement_collector.errors import CollectorError
from achievement_collector.ledger import syncing
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.two_way.passes import GRACE, LEASE, Pass, SyncError, run_pass
from achievement_collector.services.two_way.ports import (
    ChangedError,
    NoAccessError,
    PostponedError,
    RefusedError,
    Sweep,
    UncertainError,
)

FIELDS = {
    "issue": ("title", "status", "notes", "labels"),
    "milestone": ("title", "status", "notes", "target"),
    "row": ("title", "status", "notes", "labels", "target"),
}
_EMPTY: Mapping[str, Value] = {
    "title": "", "status": None, "notes": "", "labels": (), "target": None, KEY: "", NOTICE: "",
}  # fmt: skip


class CrashError(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass(slots=True)
class Thing:
    id: str
    kind: str
    values: dict[str, Value]
    made: int
    by_sync: bool = False
    gone: str = ""  # "trash" can be read and says so, "purged" cannot


@dataclass(slots=True)
class Edit:
    """A value that a person gave. It is superseded by a later edit that began from it or was made on the same side."""

    side: Side
    thing: str
    name: str
    value: Value
    is_superseded: bool = False


class Memory:
    """A side in memory that keeps what it is given as a server of its kind does."""

    def __init__(self, side: Side, world: World) -> None:
        self._side, self.world = side, world
        self.things: dict[str, Thing] = {}

    @property
    def side(self) -> Side:
        return self._side

    def shown(self, thing: Thing) -> Item:
        is_wanted = (
            self._side is Side.NOTION or thing.kind == "milestone" or "roadmap" in thing.values["labels"]
        )  # type: ignore[operator]
        return Item(
            self._side,
            thing.id,
            thing.kind,
            dict(thing.values),
            str(thing.values["title"]),
            thing.gone,
            is_wanted,
        )

    def kept(self, thing: Thing, name: str, value: Value) -> Value:
        """A value as this server keeps it."""
        if name == "status" and self._side is Side.GITHUB and thing.kind == "milestone":
            return COMPLETED if value in (COMPLETED, NOT_PLANNED) else OPEN
        if name == "status" and self._side is Side.GITHUB:
            return OPEN if value == PLANNED else value
        if name == "labels" and isinstance(value, tuple):
            known = {
                one.casefold(): one for each in self.things.values() for one in each.values.get(name) or ()
            }  # type: ignore[union-attr]
            return labels(known.get(one.casefold(), one) for one in value)
        if name in (KEY, NOTICE):
            return value
        return canonical(DEFAULT_RULES[name].kind, value)

    def make(self, kind: str, values: Mapping[str, Value], *, by_sync: bool = False) -> Thing:
        self.world.count += 1
        thing = Thing(f"{self._side.value[0]}{self.world.count}", kind, {}, self.world.now, by_sync)
        for name in (*FIELDS[kind], KEY, NOTICE):
            thing.values[name] = self.kept(thing, name, values.get(name, _EMPTY[name]))
        if thing.values["status"] is None and self._side is Side.GITHUB:
            thing.values["status"] = OPEN
        self.things[thing.id] = thing
        return thing

    # --- the port --------------------------------------------------------------------------------

    def sweep(self, since: int | None) -> Sweep:
        self.world.between()
        found = [self.shown(one) for one in self.things.values() if not one.gone]
        if self.world.happens(0.08) and found:
            return Sweep(found[: self.world.draw.randrange(len(found))], False, "cut off")
        return Sweep(found)

    def read(self, item: str) -> Item | None:
        self.world.between()
        if self.world.happens(0.02):
            raise UncertainError("no answer")
        thing = self.things.get(item)
        return None if thing is None or thing.gone == "purged" else self.shown(thing)

    def write(self, item: str, values: Mapping[str, Value], expected: Mapping[str, Value]) -> Item:
        self.world.between()
        thing = self.things.get(item)
        if thing is None or thing.gone:
            raise ChangedError(None if thing is None or thing.gone == "purged" else self.shown(thing))
        if any(thing.values[name] != value for name, value in expected.items()):
            raise ChangedError(self.shown(thing))
        self.world.fault_before()
        for name, value in values.items():
            self.world.overwritten(self._side, thing, name)
            thing.values[name] = self.kept(thing, name, value)
        self.world.fault_after()
        return self.shown(thing)

    def create(self, thing: str, values: Mapping[str, Value]) -> Item:
        self.world.between()
        self.world.fault_before()
        if self.world.happens(0.1):
            late = dict(values)
            moment = self.world.now + self.world.draw.randrange(GRACE - 1000)
            self.world.late.append((moment, lambda: self.make(thing, late, by_sync=True)))
            raise UncertainError("no answer yet")
        made = self.make(thing, values, by_sync=True)
        self.world.fault_after()
        return self.shown(made)

    def find(self, key: str, since: int) -> list[Item]:
        self.world.between()
        return [
            self.shown(one)
            for one in self.things.values()
            if one.values[KEY] == key and one.gone != "purged" and one.made >= since
        ]


class World:
    """Two sides, the people at them, a clock, and a ledger that the process may die at."""

    def __init__(self, seed: int, ledger: Ledger, faults: float = 1.0) -> None:
        self.seed, self.draw = seed, random.Random(seed)
        self.ledger, self.scope = ledger, f"schedule {seed}"
        self.now, self.count, self.words = 1_780_000_000_000, 0, 0
        self.faults = faults
        self.sides = {side: Memory(side, self) for side in Side}
        self.edits: list[Edit] = []
        self.late: list[tuple[int, Callable[[], object]]] = []
        self.dead = False
        self.is_running = False
        self.copies: set[str] = set()
        self.labelled: dict[tuple[str, str], bool] = {}  # by people: (thing, label) -> is there
        self.crashes = self.failures = self.passes = 0

    # --- chance ----------------------------------------------------------------------------------

    def happens(self, chance: float) -> bool:
        return self.draw.random() < chance * self.faults

    def crash(self, chance: float) -> None:
        if self.happens(chance):
            self.dead = True
            self.crashes += 1
            raise CrashError

    def between(self) -> None:
        """What may happen before any request is looked at."""
        self.crash(0.02)
        self.pass_time(self.draw.randrange(500))
        if self.is_running and self.happens(0.15):
            self.edit()

    def fault_before(self) -> None:
        self.crash(0.02)
        if self.happens(0.12):
            self.failures += 1
            raise self.draw.choice(
                (
                    UncertainError("lost"),
                    RefusedError("not valid"),
                    NoAccessError("no"),
                    PostponedError("later"),
                )
            )

    def fault_after(self) -> None:
        self.crash(0.04)
        if self.happens(0.08):
            self.failures += 1
            raise UncertainError("the answer was lost")

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds
        due = [one for one in self.late if one[0] <= self.now]
        self.late = [one for one in self.late if one[0] > self.now]
        for _, arrive in due:
            arrive()

    # --- people ----------------------------------------------------------------------------------

    def living(self, side: Side) -> list[Thing]:
        return [one for one in self.sides[side].things.values() if not one.gone]

    def word(self) -> str:
        self.words += 1
        return f"text {self.words}"

    def edit(self) -> None:
        side = self.draw.choice(list(Side))
        if not (things := self.living(side)):
            return
        thing = self.draw.choice(things)
        self.give(side, thing, self.draw.choice(FIELDS[thing.kind]))

    def partner(self, side: Side, thing: Thing) -> tuple[str, Thing] | None:
        """The key and the partner of a thing; the keys tell, also of one that the sync made and does not know of yet."""
        key = str(thing.values[KEY])
        for one in self.sides[side.other].things.values():
            if key and one.values[KEY] == key and not {one.id, thing.id} & self.copies:
                return key, one
        return None

    def give(self, side: Side, thing: Thing, name: str, value: Value = None) -> None:
        """A person gives a field a value, and it is noted that it must not get lost."""
        port = self.sides[side]
        if value is None:
            value = self.drawn(side, thing, name)
        value = port.kept(thing, name, value)
        if value == thing.values[name]:
            return
        self.overwritten(side, thing, name, is_person=True)
        if name == "labels":
            before, after = set(thing.values[name] or ()), set(value or ())  # type: ignore[arg-type]
            thing.values[name] = value
            for one in before ^ after:
                self.labelled[thing.id, one] = one in after
            return
        thing.values[name] = value
        edit = Edit(side, thing.id, name, value)
        if name in ("status", "target") or not value:
            # back to what was agreed on, or to what a write that is not noted yet has brought, is no change that could be seen
            edit.is_superseded = value in self.agreed_on(side, thing, name)
        self.edits.append(edit)

    def agreed_on(self, side: Side, thing: Thing, name: str) -> list[Value]:
        """What a side was last agreed to have, and what it was written since."""
        with self.ledger.read() as connection:
            known = syncing.known(connection, self.scope)
            waiting = syncing.outgoing(connection, self.scope, "sent", "confirmed")
        bases = [known.bases.get((link.key, name)) for link in known.links if link.id(side) == thing.id]
        found = [base.of(side) for base in bases if base is not None]
        operations = [one.operation for one in waiting if one.operation.target == thing.id]
        return found + [one.values[name] for one in operations if name in one.values]

    def drawn(self, side: Side, thing: Thing, name: str) -> Value:
        match DEFAULT_RULES[name].kind:
            case FieldKind.STATUS if side is Side.NOTION:
                return self.draw.choice((PLANNED, IN_PROGRESS, BLOCKED, COMPLETED))
            case FieldKind.STATUS if thing.kind == "milestone":
                return self.draw.choice((OPEN, COMPLETED))
            case FieldKind.STATUS:
                return self.draw.choice((OPEN, IN_PROGRESS, BLOCKED, COMPLETED, NOT_PLANNED))
            case FieldKind.LABELS:
                present = set(thing.values[name] or ())  # type: ignore[arg-type]
                present ^= {self.draw.choice(("bug", "docs", "ui", "api", "perf"))}
                return labels(present)
            case FieldKind.DATE:
                return f"2027-{self.draw.randrange(1, 13):02}-{self.draw.randrange(1, 29):02}"
        if name == "notes" and self.draw.random() < 0.15:
            return ""
        return self.word()

    def overwritten(self, side: Side, thing: Thing, name: str, *, is_person: bool = False) -> None:
        """A value goes: a person's later edit supersedes the one it replaces, wherever that came from."""
        if not is_person:
            return
        before = thing.values[name]
        pair = self.partner(side, thing)
        for one in self.edits:
            if one.name != name or one.is_superseded:
                continue
            is_same = one.side is side and one.thing == thing.id
            is_seen = (
                pair is not None
                and one.side is side.other
                and one.thing == pair[1].id
                and _says(name, one.value, before)
            )
            one.is_superseded = is_same or is_seen or one.is_superseded

    def make(self) -> None:
        side = self.draw.choice(list(Side))
        kind = "row" if side is Side.NOTION else self.draw.choice(("issue", "milestone"))
        values: dict[str, Value] = {"title": self.word(), "status": OPEN if kind != "row" else PLANNED}
        if kind == "issue":
            values["labels"] = ("roadmap",)
        if self.draw.random() < 0.5:
            values["notes"] = self.word()
        thing = self.sides[side].make(kind, values)
        self.edits += [
            Edit(side, thing.id, name, thing.values[name])
            for name in ("title", "notes")
            if thing.values[name]
        ]

    def copy(self) -> None:
        """A person duplicates a thing, its key included."""
        side = self.draw.choice(list(Side))
        if things := self.living(side):
            thing = self.draw.choice(things)
            if thing.values[KEY]:
                values = {name: value for name, value in thing.values.items() if name != NOTICE}
                self.copies.add(self.sides[side].make(thing.kind, values).id)

    def delete(self) -> None:
        side = self.draw.choice(list(Side))
        if things := self.living(side):
            thing = self.draw.choice(things)
            thing.gone = self.draw.choice(("trash", "purged"))
            for one in self.edits:
                if one.side is side and one.thing == thing.id:
                    one.is_superseded = True

    def restore(self) -> None:
        found = [one for port in self.sides.values() for one in port.things.values() if one.gone == "trash"]
        if found:
            self.draw.choice(found).gone = ""

    def decide(self) -> None:
        with self.ledger.write() as connection:
            found = [one for one in syncing.conflicts(connection, self.scope) if one.decision is None]
            if not found:
                return
            chosen = self.draw.choice(found)
            take = self.draw.choice([*Side, None])
            conflict = chosen.conflict
            value: Value = None
            if take is None:
                if conflict.field not in ("title", "notes"):
                    return
                value = self.word()
            syncing.decide(connection, chosen.id, take, value, self.now)
            link = next(one for one in syncing.known(connection, self.scope).links if one.key == conflict.key)
        if conflict.field == "labels":
            ids = (link.github, link.notion)
            self.labelled = {place: there for place, there in self.labelled.items() if place[0] not in ids}
        for one in self.edits:
            seen = conflict.github if one.side is Side.GITHUB else conflict.notion
            if one.thing == link.id(one.side) and one.name == conflict.field and one.value == seen:
                one.is_superseded = True

    # --- the sync --------------------------------------------------------------------------------

    def run(self, *, removals: int = 0) -> Pass | None:
        """One pass in a process of its own, which may die; None where it did or could not begin."""
        self.dead, self.is_running = False, True
        self.passes += 1
        try:
            return run_pass(
                _Mortal(self.ledger, self),  # type: ignore[arg-type]
                self.scope, self.sides[Side.GITHUB], self.sides[Side.NOTION], lambda: self.now, f"process {self.passes}",
                Policy(removals=removals),
            )  # fmt: skip
        except CrashError:
            return None
        except SyncError:
            return None
        except CollectorError:
            return None
        finally:
            self.is_running = False

    def play(self, steps: int) -> None:
        """A schedule with its faults."""
        for _ in range(self.draw.randrange(1, 5)):
            self.make()
        for _ in range(steps):
            self.draw.choices(
                (
                    self.edit,
                    self.make,
                    self.run,
                    self.copy,
                    self.delete,
                    self.restore,
                    self.decide,
                    self.wait,
                ),
                (10, 2, 8, 0.5, 0.7, 0.4, 2, 2),
            )[0]()

    def wait(self) -> None:
        self.pass_time(self.draw.choice((1000, LEASE, LEASE + GRACE)))

    def come_to_rest(self) -> Pass | None:
        """No more edits and no more faults: passes until one has nothing left to do, then one more; that one is given."""
        self.faults = 0.0
        self.pass_time(LEASE + GRACE)
        with self.ledger.write() as connection:
            syncing.unpark(connection, self.scope)  # what was refused in passing is tried again
        for _ in range(8):
            done = self.run(removals=1000)
            self.pass_time(1000)
            if (
                done is not None
                and not done.writes
                and not done.unlinked
                and not done.left
                and not done.plan.missing
            ):
                break
        return self.run(removals=1000)


class _Mortal:
    """The ledger as a process sees it that may die before or after each transaction."""

    def __init__(self, ledger: Ledger, world: World) -> None:
        self._ledger, self._world = ledger, world

    def _alive(self) -> None:
        if self._world.dead:
            raise CrashError

    @contextmanager
    def read(self) -> Iterator[Any]:
        self._alive()
        with self._ledger.read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Any]:
        self._alive()
        self._world.crash(0.01)
        with self._ledger.write() as connection:
            yield connection
        self._world.crash(0.01)


def _says(name: str, one: Value, other: Value) -> bool:
    if one == other:
        return True
    rule = DEFAULT_RULES[name]
    return any(
        agree(rule, *pair, is_fine=fine) for pair in ((one, other), (other, one)) for fine in (True, False)
    )


# --- what must hold ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Verdict:
    """What a schedule did and what was wrong afterwards; ``broken`` is empty where all held."""

    seed: int
    links: int = 0
    edits: int = 0
    conflicts: int = 0
    crashes: int = 0
    failures: int = 0
    passes: int = 0
    broken: list[str] = field(default_factory=list)


def check(world: World, last: Pass | None) -> Verdict:
    """Both sides agree but for queued conflicts, no edit of a person is lost, nothing is there twice, the last pass is silent."""
    with world.ledger.read() as connection:
        known = syncing.known(connection, world.scope)
        queued = {
            (one.conflict.key, one.conflict.field): one.conflict
            for one in syncing.conflicts(connection, world.scope)
        }
    verdict = Verdict(
        world.seed, len(known.links), len(world.edits), len(queued), world.crashes, world.failures, world.passes
    )  # fmt: skip
    broken = verdict.broken
    if last is None:
        broken.append("the last pass did not come to its end")
        return verdict
    if last.writes or last.plan.writes or last.plan.agreements or last.unlinked or last.linked:
        broken.append(f"the second run was not silent: {last.plan.operations}, {last.plan.agreements}")
    if last.failed or last.parked or last.left or last.plan.waiting or last.plan.stopped:
        broken.append(f"the last pass left something: {last.failed}, {last.plan.parked}, {last.plan.waiting}")
    pairs = []
    for link in known.links:
        github = world.sides[Side.GITHUB].things.get(link.github)
        notion = world.sides[Side.NOTION].things.get(link.notion)
        if github is None or notion is None:
            broken.append(f"{link.key}: linked to something that never was")
            continue
        is_alive = not github.gone and not notion.gone
        if is_alive != link.is_active:
            # the last known thing of a side cannot be told from a hidden one
            alone = any("may only be hidden" in note for note in last.notes)
            if not (alone and link.is_active):
                broken.append(f"{link.key}: is_active {link.is_active}, {github}, {notion}")
        if link.is_active and is_alive:
            pairs.append((link, github, notion))
    for link, github, notion in pairs:
        for name in set(FIELDS[github.kind]) & set(FIELDS["row"]):
            one, other = github.values[name], notion.values[name]
            conflict = queued.get((link.key, name))
            if conflict is not None:
                if (conflict.github, conflict.notion) != (one, other):
                    broken.append(f"{link.key} {name}: {conflict} but {one!r} and {other!r}")
            elif not agree(DEFAULT_RULES[name], one, other, is_fine=github.kind == "issue") and not (
                is_empty(one) and is_empty(other)
            ):
                broken.append(f"{link.key} {name}: {one!r} and {other!r}, and no conflict")
    for link, github, notion in pairs:
        if github.kind == "issue" and (link.key, "labels") not in queued:
            _check_labels(world, github, notion, broken)
    with world.ledger.read() as connection:
        if left := syncing.outgoing(connection, world.scope, "planned", "sent", "confirmed"):
            broken.append(f"left in the outbox: {left}")
    _check_edits(world, broken)
    _check_copies(world, known, broken)
    return verdict


def _check_edits(world: World, broken: list[str]) -> None:
    for one in world.edits:
        thing = world.sides[one.side].things[one.thing]
        if one.is_superseded or thing.gone:
            continue
        held = [thing.values[one.name]]
        pair = world.partner(one.side, thing)
        if pair is not None and not pair[1].gone and one.name in pair[1].values:
            held.append(pair[1].values[one.name])
        if not any(
            _says(one.name, one.value, value) or (is_empty(one.value) and is_empty(value)) for value in held
        ):
            broken.append(f"lost: {one}, held {held}")


def _check_labels(world: World, github: Thing, notion: Thing, broken: list[str]) -> None:
    """A label that people added or took away on one side only is so on both."""
    for one in sorted({name for place, name in world.labelled if place in (github.id, notion.id)}):
        told = {
            world.labelled[place, one] for place in (github.id, notion.id) if (place, one) in world.labelled
        }
        there = {one in (thing.values["labels"] or ()) for thing in (github, notion)}  # type: ignore[operator]
        if len(told) == 1 and there != told:
            broken.append(f"label {one} of {github.id} and {notion.id}: people said {told}, it is {there}")


def _check_copies(world: World, known: syncing.Known, broken: list[str]) -> None:
    linked = {(side, link.id(side)) for link in known.links for side in Side}
    made: dict[tuple[Side, str], int] = {}
    for side, port in world.sides.items():
        for thing in port.things.values():
            if thing.by_sync and thing.gone != "purged":  # that one may be made again before it was known of
                key = (side, str(thing.values[KEY]))
                made[key] = made.get(key, 0) + 1
            has_own = thing.id in world.copies and thing.values[KEY]
            is_wanted = port.shown(thing).is_wanted
            if not thing.gone and is_wanted and not has_own and (side, thing.id) not in linked:
                broken.append(f"{side} {thing.id} has no partner: {thing.values}")
    broken += [f"made {number} times: {key}" for key, number in made.items() if number > 1]


def play(seed: int, ledger: Ledger, *, steps: int = 16, faults: float = 1.0) -> Verdict:
    """One schedule from its seed to its verdict."""
    world = World(seed, ledger, faults)
    world.play(steps)
    return check(world, world.come_to_rest())


__all__ = ["CrashError", "Memory", "Verdict", "World", "check", "play", "replace"]
