"""The plan of a two-way sync: a pure function of both sides and of what was agreed, in an order that can be carried out.

The same input gives the same plan with the same hash, so that a dry run shows exactly what an application does. An item belongs
to its partner by a link, made once; sync keys make links, titles never do. A key is derived from the id of the item that it
was first given to, so that a copy of an item, which carries the key along, is recognised as one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from achievement_collector.derive.merging import (
    COMPLETED,
    DEFAULT_RULES,
    NOT_PLANNED,
    OPEN,
    PLANNED,
    Action,
    Agreed,
    Decision,
    FieldKind,
    Rule,
    Side,
    Value,
    is_empty,
    merge,
    on_github,
    on_notion,
)

KEY, NOTICE = "key", "notice"
"""Two values that are the program's own on both sides: the sync key, and a sentence for people below their text."""

CLOSED_NOTICE = "[GitHub: closed as not planned]"
GONE_NOTICE = {
    Side.GITHUB: "[GitHub: no longer there, this is no longer synchronised]",
    Side.NOTION: "[Notion: no longer there, this is no longer synchronised]",
}
NOTICES = (CLOSED_NOTICE, *GONE_NOTICE.values())

SWEEPS = 2
"""Complete sweeps in a row that must miss an item before its absence counts as a removal."""


@dataclass(frozen=True, slots=True)
class Item:
    """An issue, a milestone or a row as a side shows it. ``values`` are canonical; a field that is not in them does not exist
    there. ``gone`` says why it counts as removed (in the trash, deleted), empty where it does not; ``is_wanted`` that the
    other side should have it too. ``label`` is what people know it by, ``own`` the key that it would be given (where that
    is not to be made of its id)."""

    side: Side
    id: str
    kind: str  # issue, milestone, row
    values: Mapping[str, Value]
    label: str = ""
    gone: str = ""
    is_wanted: bool = False
    own: str = ""

    @property
    def key(self) -> str:
        """The key that stands in it."""
        return str(self.values.get(KEY) or "")

    @property
    def own_key(self) -> str:
        """The key that it was or would be given; a copy carries another one's."""
        return self.own or own_key(self.side, self.id)


@dataclass(frozen=True, slots=True)
class Link:
    """An item of each side that are one thing. ``missing`` counts the complete sweeps in a row that did not show it."""

    key: str
    github: str
    notion: str
    kind: str
    is_active: bool = True
    missing: Mapping[Side, int] = field(default_factory=dict)

    def id(self, side: Side) -> str:
        return self.github if side is Side.GITHUB else self.notion


@dataclass(frozen=True, slots=True)
class View:
    """What a sweep of one side showed. Only a complete one says anything by what is not in it."""

    items: Mapping[str, Item]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered: links, agreed values, people's decisions; ``parked`` are fingerprints of writes that were refused,
    ``busy`` the keys with a write of which it is not known yet whether it arrived. ``published`` are the keys of rows that this
    program publishes by itself, ``aliases`` those of them that stand for another key: of a repository under its former name,
    or of what roadmap.yaml says to be a milestone of GitHub."""

    links: tuple[Link, ...] = ()
    bases: Mapping[tuple[str, str], Agreed] = field(default_factory=dict)
    decisions: Mapping[tuple[str, str], Decision] = field(default_factory=dict)
    parked: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    published: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """``creates`` are the sides on which missing partners are made; ``new_kind`` is what a new row becomes on GitHub. More
    removals in a run than ``brake_least`` and ``brake_share`` of the links stop it, unless ``removals`` allows that many.
    ``closes_trashed`` closes an issue as not planned when its row is gone from Notion; ``links_titles`` says that a person
    agreed to link items of the same title."""

    rules: Mapping[str, Rule] = field(default_factory=lambda: dict(DEFAULT_RULES))
    creates: frozenset[Side] = frozenset(Side)
    new_kind: str = "milestone"
    brake_least: int = 3
    brake_share: float = 0.1
    removals: int = 0
    closes_trashed: bool = False
    links_titles: bool = False


class OperationKind(StrEnum):
    LINK = "link"
    RELINK = "relink"
    UPDATE = "update"
    CREATE = "create"
    UNLINK = "unlink"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step. For an update or a creation ``side`` is written and ``target`` is the item's id there (empty before it exists);
    ``expected`` are the values that must still be there; ``settles`` are the other side's values that the written ones then
    agree with; ``includes`` those that went into the written ones, which the other side is given next: until then, what is
    here descends from them. ``partner`` is the other side's item."""

    kind: OperationKind
    key: str
    side: Side
    target: str
    partner: str
    thing: str
    values: Mapping[str, Value] = field(default_factory=dict)
    expected: Mapping[str, Value] = field(default_factory=dict)
    settles: Mapping[str, Value] = field(default_factory=dict)
    reason: str = ""
    label: str = ""
    includes: Mapping[str, Value] = field(default_factory=dict)

    @property
    def is_write(self) -> bool:
        return self.kind in (OperationKind.UPDATE, OperationKind.CREATE)

    @property
    def fingerprint(self) -> str:
        """The same for the same write to the same thing."""
        place = self.target or self.key
        return _hash([self.kind, self.side, place, dict(sorted(self.values.items()))])[:40]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field whose two values people have to choose from."""

    key: str
    field: str
    github: Value
    notion: Value
    reason: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations in order; ``agreements`` are bases to be stored without a write; ``missing`` are the new counts of links;
    ``notes`` are sentences for people; ``parked`` are writes that were refused before and stay undone; ``stopped`` says why
    nothing may be done, empty where something may."""

    operations: tuple[Operation, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    agreements: Mapping[tuple[str, str], Agreed] = field(default_factory=dict)
    missing: Mapping[tuple[str, Side], int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parked: tuple[Operation, ...] = ()
    waiting: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def writes(self) -> tuple[Operation, ...]:
        return tuple(one for one in self.operations if one.is_write)

    @property
    def hash(self) -> str:
        """SHA-256 of all that an application does and of what it leaves to people."""
        told = [
            [
                [one.kind, one.key, one.side, one.target, one.partner, one.thing]
                + [
                    dict(sorted(each.items()))
                    for each in (one.values, one.expected, one.settles, one.includes)
                ]
                for one in self.operations
            ],
            [[one.key, one.field, one.github, one.notion] for one in self.conflicts],
            [[*place, one.github, one.notion] for place, one in sorted(self.agreements.items())],
            self.stopped,
        ]
        return _hash(told)


def _hash(told: object) -> str:
    return hashlib.sha256(json.dumps(told, ensure_ascii=True, sort_keys=True).encode()).hexdigest()


def own_key(side: Side, item: str) -> str:
    """The key of what was first seen as this item."""
    letters = "gh" if side is Side.GITHUB else "nt"
    return letters + hashlib.sha256(f"{side}/{item}".encode()).hexdigest()[:16]


def plan(github: View, notion: View, known: Known, policy: Policy | None = None) -> Plan:
    """What has to be done so that both sides agree."""
    return _Planner({Side.GITHUB: github, Side.NOTION: notion}, known, policy or Policy()).plan()


class _Planner:
    def __init__(self, views: Mapping[Side, View], known: Known, policy: Policy) -> None:
        self.views, self.known, self.policy = views, known, policy
        self.operations: list[Operation] = []
        self.removals: list[Operation] = []
        self.after: list[Operation] = []
        self.conflicts: list[Conflict] = []
        self.agreements: dict[tuple[str, str], Agreed] = {}
        self.missing: dict[tuple[str, Side], int] = {}
        self.notes: list[str] = []
        self.waiting: list[str] = []
        self.proposed: set[tuple[Side, str]] = set()

    def plan(self) -> Plan:
        links = sorted(self.known.links, key=lambda one: one.key)
        adopted = self._adoptions(links)
        for link in [*links, *adopted, *self._namesakes([*links, *adopted])]:
            if link.key in self.known.busy:
                self.waiting.append(link.key)
            elif link.is_active:
                self._link(link)
            else:
                self._tombstone(link)
        self._creations()
        active = sum(link.is_active for link in links)
        most = max(self.policy.brake_least, int(active * self.policy.brake_share), self.policy.removals)
        stopped = ""
        if len(self.removals) > most:
            stopped = (
                f"{len(self.removals)} of {active} links would be removed, more than the {most} that a run may; see whether "
                f"the database or the repository is still shared, then allow them with --removals {len(self.removals)}"
            )
            self.operations, self.after, self.removals, self.agreements, self.conflicts = [], [], [], {}, []
        planned = [*self.operations, *self.removals, *self.after]
        refused = tuple(one for one in planned if one.is_write and one.fingerprint in self.known.parked)
        return Plan(
            without(planned, refused),
            tuple(self.conflicts), self.agreements, self.missing, tuple(self.notes), refused,
            tuple(sorted(self.waiting)), stopped,
        )  # fmt: skip

    # --- links -----------------------------------------------------------------------------------

    def _adoptions(self, links: Iterable[Link]) -> list[Link]:
        """Links between items that carry the same key and have none yet."""
        linked = {(side, link.id(side)) for link in links for side in Side}
        keys = {link.key for link in links}
        found: dict[str, dict[Side, list[Item]]] = {}
        for side in Side:
            for item in self._items(side):
                if (side, item.id) not in linked and not item.gone:
                    key = self._key(item) or item.own_key
                    found.setdefault(key, {}).setdefault(side, []).append(item)
        made = []
        for key, sides in sorted(found.items()):
            if key in keys or key in self.known.busy:
                continue
            mine = {side: self._original(key, side, items) for side, items in sides.items()}
            one, other = mine.get(Side.GITHUB), mine.get(Side.NOTION)
            if one is not None and other is not None:
                link = Link(key, one.id, other.id, one.kind)
                made.append(link)
                self.operations.append(
                    Operation(
                        OperationKind.LINK, key, Side.GITHUB, one.id, other.id, one.kind,
                        reason="both carry the same key", label=one.label or other.label,
                    )
                )  # fmt: skip
        return made

    def _namesakes(self, links: Iterable[Link]) -> list[Link]:
        """Links between items of the same title, both the only ones that have it, where a person agreed to that. Else they are
        only proposed, and no partner is made for either."""
        linked = {(side, link.id(side)) for link in links for side in Side}
        found: dict[str, dict[Side, list[Item]]] = {}
        for side in Side:
            for item in self._items(side):
                title = _title(item)
                is_free = (
                    (side, item.id) not in linked and self._key(item) in ("", item.own_key) and not item.gone
                )
                if title and is_free and item.own_key not in self.known.busy:
                    found.setdefault(title, {}).setdefault(side, []).append(item)
        made = []
        for _, sides in sorted(found.items()):
            if [len(sides.get(side, ())) for side in Side] != [1, 1]:
                continue
            one, other = sides[Side.GITHUB][0], sides[Side.NOTION][0]
            if not one.is_wanted and not other.is_wanted:
                continue
            if not self.policy.links_titles:
                self.proposed |= {(Side.GITHUB, one.id), (Side.NOTION, other.id)}
                self.notes.append(
                    f"{one.label} on GitHub and a row in Notion have the same title; link them with --link-titles, or rename one"
                )
                continue
            made.append(Link(one.own_key, one.id, other.id, one.kind))
            self.operations.append(
                Operation(
                    OperationKind.LINK, one.own_key, Side.GITHUB, one.id, other.id, one.kind,
                    reason="a person agreed to link those of the same title", label=one.label,
                )
            )  # fmt: skip
        return made

    def _original(self, key: str, side: Side, items: list[Item]) -> Item | None:
        """The one that a key belongs to: the one that it was derived from. Where that is not there any more, the only one that
        carries it, but a milestone's key only for that milestone: everybody can write a key that can be guessed into an issue."""
        for one in items:
            if one.own_key == key:
                return one
        if len(items) > 1 or not self.views[side].is_complete:
            return None
        number = _milestone_number(key)
        is_possible = side is Side.NOTION or not number or _milestone_number(items[0].own_key) == number
        return items[0] if is_possible else None

    def _key(self, item: Item) -> str:
        """The key that stands in it, or the one that this stands for."""
        return self.known.aliases.get(item.key, item.key)

    def _items(self, side: Side) -> list[Item]:
        return [item for _, item in sorted(self.views[side].items.items())]

    def _link(self, link: Link) -> None:
        items = {side: self.views[side].items.get(link.id(side)) for side in Side}
        for side in Side:
            if items[side] is not None and link.missing.get(side):
                self.missing[link.key, side] = 0
        lost = next((side for side in Side if self._is_lost(link, side, items[side])), None)
        if lost is not None:
            self._remove(link, lost, items[lost], items[lost.other])
            return
        github, notion = items[Side.GITHUB], items[Side.NOTION]
        if github is not None and notion is not None:
            self._merge(link, github, notion)

    def _is_lost(self, link: Link, side: Side, item: Item | None) -> bool:
        if item is not None:
            return bool(item.gone)
        if not self.views[side].is_complete:
            return False
        count = link.missing.get(side, 0) + 1
        self.missing[link.key, side] = count
        if count < SWEEPS:
            return False
        if any(
            one.is_active and one.key != link.key and one.id(side) in self.views[side].items
            for one in self.known.links
        ):
            return True
        self.notes.append(
            f"{link.key} is not in {side.spelt} any more, but nothing else that is known there was seen either, so it may only "
            "be hidden from us; its link stays"
        )
        return False

    def _remove(self, link: Link, side: Side, item: Item | None, survivor: Item | None) -> None:
        why = item.gone if item else f"absent from {SWEEPS} complete sweeps"
        label = (survivor or item).label if survivor or item else link.key  # type: ignore[union-attr]
        self.removals.append(
            Operation(
                OperationKind.UNLINK, link.key, side, link.id(side), link.id(side.other), link.kind,
                reason=f"{side.spelt}: {why}", label=label,
            )
        )  # fmt: skip
        if survivor is None or survivor.gone:
            return
        values: dict[str, Value] = {}
        if NOTICE in survivor.values and survivor.values[NOTICE] != GONE_NOTICE[side]:
            values[NOTICE] = GONE_NOTICE[side]
        if side is Side.NOTION and survivor.kind == "issue" and "status" in survivor.values:
            if not self.policy.closes_trashed:
                self.notes.append(
                    f"{label}: its row is gone from Notion; close it by hand where that was meant"
                )
            elif survivor.values["status"] not in (COMPLETED, NOT_PLANNED):
                values["status"] = NOT_PLANNED
        if values:
            self.after.append(self._update(link, survivor, values, {}, f"{side.spelt}: {why}"))

    def _tombstone(self, link: Link) -> None:
        """What came back is linked again, with the values that were agreed on then; what is left alone says so."""
        items = {side: self.views[side].items.get(link.id(side)) for side in Side}
        github, notion = items[Side.GITHUB], items[Side.NOTION]
        if github is not None and notion is not None and not github.gone and not notion.gone:
            self.operations.append(
                Operation(
                    OperationKind.RELINK, link.key, Side.GITHUB, link.github, link.notion, link.kind,
                    reason="both are there again", label=github.label,
                )
            )  # fmt: skip
            self._merge(link, github, notion)
            return
        for side, lost in items.items():
            survivor = items[side.other]
            is_lost = bool(lost.gone) if lost is not None else self.views[side].is_complete
            if survivor is None or survivor.gone or not is_lost:
                continue
            if NOTICE in survivor.values and survivor.values[NOTICE] != GONE_NOTICE[side]:
                told = {NOTICE: GONE_NOTICE[side]}
                self.after.append(self._update(link, survivor, told, {}, f"{side.spelt}: not there any more"))

    # --- values ----------------------------------------------------------------------------------

    def _merge(self, link: Link, github: Item, notion: Item) -> None:
        written: dict[Side, dict[str, Value]] = {side: {} for side in Side}
        settles: dict[Side, dict[str, Value]] = {side: {} for side in Side}
        includes: dict[Side, dict[str, Value]] = {side: {} for side in Side}
        reasons: dict[Side, list[str]] = {side: [] for side in Side}
        items = {Side.GITHUB: github, Side.NOTION: notion}
        for name, rule in self.policy.rules.items():
            if name not in github.values or name not in notion.values:
                continue
            one, other = github.values[name], notion.values[name]
            place = (link.key, name)
            outcome = merge(
                rule, one, other, self.known.bases.get(place), is_fine=_is_fine(github),
                decision=self.known.decisions.get(place),
            )  # fmt: skip
            match outcome.action:
                case Action.AGREE:
                    self.agreements[place] = Agreed(one, other)
                case Action.CONFLICT:
                    self.conflicts.append(Conflict(*place, one, other, outcome.reason, github.label))
                case Action.UNCLEAR:
                    self.notes.append(f"{github.label or link.key}: {name}: {outcome.reason}")
                case Action.WRITE:
                    if outcome.is_notable:
                        self.notes.append(f"{github.label or link.key}: {name}: {outcome.reason}")
                    for side, value in outcome.writes:
                        written[side][name] = value
                        reasons[side].append(f"{name}: {outcome.reason}")
                    self._agreeing(name, rule, outcome.writes, items, settles, includes)
        for side, item in items.items():
            if KEY in item.values and item.key != link.key:
                written[side][KEY] = link.key
                reasons[side].append("its key")
            notice = (
                CLOSED_NOTICE
                if side is Side.NOTION
                and github.values.get("status") == NOT_PLANNED
                and notion.values.get("status") != COMPLETED
                else ""
            )
            if NOTICE in item.values and item.values[NOTICE] != notice:
                written[side][NOTICE] = notice
                reasons[side].append("what people are told")
            if written[side]:
                told = "; ".join(reasons[side])
                update = self._update(link, item, written[side], settles[side], told)
                self.operations.append(replace(update, includes=includes[side]))

    @staticmethod
    def _agreeing(
        name: str, rule: Rule, writes: tuple[tuple[Side, Value], ...], items: Mapping[Side, Item],
        settles: dict[Side, dict[str, Value]], includes: dict[Side, dict[str, Value]],
    ) -> None:  # fmt: skip
        """What each of these writes of one field makes agreed. Of two, the one comes after the other (in the order of
        :class:`Side`), and days may lie between: the first descends from what the other side has, the second agrees with it."""
        first = writes[0][0]
        if len(writes) == 1:
            settles[first][name] = items[first.other].values[name]
        elif rule.kind is not FieldKind.STATUS:
            # two statuses may be the same one on the first side, which would hide that the second is yet to be written
            includes[first][name] = items[first.other].values[name]
            settles[first.other][name] = writes[0][1]

    @staticmethod
    def _update(
        link: Link, item: Item, values: Mapping[str, Value], settles: Mapping[str, Value], reason: str
    ) -> Operation:
        expected = {name: item.values[name] for name in values}
        return Operation(
            OperationKind.UPDATE, link.key, item.side, item.id, link.id(item.side.other), item.kind, dict(values), expected,
            dict(settles), reason, item.label,
        )  # fmt: skip

    # --- new things ------------------------------------------------------------------------------

    def _creations(self) -> None:
        linked = {(side, link.id(side)): link.key for link in self.known.links for side in Side}
        adopted = {
            (side, one)
            for operation in self.operations
            if operation.kind is OperationKind.LINK
            for side, one in ((Side.GITHUB, operation.target), (Side.NOTION, operation.partner))
        }
        keys = Counter(self._key(item) for side in Side for item in self._items(side) if item.key)
        carried = {
            side: {
                self._key(one) for one in self._items(side) if (side, one.id) not in linked and not one.gone
            }
            for side in Side
        }
        taken = {link.key for link in self.known.links}
        titles = self._milestone_titles(linked)
        alone = 0
        for side in Side:
            for item in self._items(side):
                if (side, item.id) in linked or (side, item.id) in adopted or item.gone:
                    continue
                own, key = item.own_key, self._key(item)
                if key and key != own:
                    shared = key in taken or keys[key] > 1
                    if side is Side.NOTION and not shared and item.key in self.known.published:
                        alone += 1
                        continue
                    self.notes.append(
                        f"{side.spelt}: {item.label or item.id} carries the key of another item"
                        + (" (it is a copy)" if shared else "")
                        + "; clear it to have it synchronised on its own"
                    )
                elif own in self.known.busy:
                    self.waiting.append(own)
                elif own in taken:
                    self.notes.append(
                        f"{side.spelt}: {item.label or item.id}: its key links two other items; it is not synchronised"
                    )
                elif own in carried[side.other]:
                    self.notes.append(
                        f"{side.spelt}: {item.label or item.id}: several items of {side.other.spelt} carry its key; clear it in "
                        "all but one"
                    )
                elif (
                    item.is_wanted
                    and side.other in self.policy.creates
                    and (side, item.id) not in self.proposed
                ):
                    if side is Side.NOTION and titles[_title(item)] > 1:
                        self.notes.append(
                            f"Notion: {item.label}: another milestone or row has the same title, and GitHub allows a milestone's "
                            "only once; rename one of them"
                        )
                    else:
                        self._create(item, own)
        if alone:
            self.notes.append(
                f"Notion: {alone} {'row shows a milestone' if alone == 1 else 'rows show milestones'} that this repository does "
                "not have; published from here, and not synchronised"
            )

    def _milestone_titles(self, linked: Mapping[tuple[Side, str], str]) -> Counter[str]:
        """How often each title is that of a milestone of GitHub, or of a row that would become one."""
        if self.policy.new_kind != "milestone":
            return Counter()
        return Counter(
            _title(item)
            for side in Side
            for item in self._items(side)
            if not item.gone
            and (
                item.kind == "milestone"
                if side is Side.GITHUB
                else item.is_wanted
                and (side, item.id) not in linked
                and self._key(item) in ("", item.own_key)
            )
        )

    def _create(self, item: Item, key: str) -> None:
        target = item.side.other
        thing = "row" if target is Side.NOTION else self.policy.new_kind
        link = Link(key, item.id if item.side is Side.GITHUB else "", "", item.kind)
        if item.key != key and KEY in item.values:
            # first, so that after a crash both sides tell which belong together
            self.operations.append(self._update(link, item, {KEY: key}, {}, "the key of a new link"))
        values: dict[str, Value] = {KEY: key}
        settles: dict[str, Value] = {}
        for name, rule in self.policy.rules.items():
            if name not in item.values:
                continue
            value = item.values[name]
            wanted = (
                on_notion(rule, value, None)
                if target is Side.NOTION
                else on_github(rule, value, is_fine=thing == "issue")
            )
            if rule.kind is FieldKind.STATUS and target is Side.GITHUB and wanted in (None, COMPLETED):
                # GitHub makes open things only; that it is closed (or has no word for its status) then looks like a change
                # made since. No status is as good as open
                wanted, value = OPEN, None if is_empty(value) else PLANNED
            if not is_empty(wanted):
                values[name] = wanted
            settles[name] = value
        self.operations.append(
            Operation(
                OperationKind.CREATE, key, target, "", item.id, thing, values, {}, settles,
                f"only {item.side.spelt} has it", item.label,
            )
        )  # fmt: skip


def _milestone_number(key: str) -> str:
    """Of the key of one of GitHub's milestones; empty for other keys."""
    _, mark, number = key.rpartition("/milestone/")
    return number if mark else ""


def _title(item: Item) -> str:
    return str(item.values.get("title") or "").casefold()


def _is_fine(github: Item) -> bool:
    return github.kind == "issue"


def without(operations: Iterable[Operation], left_out: Iterable[Operation]) -> tuple[Operation, ...]:
    """The operations that can be carried out when some are not: nothing is made whose key could not be written first, and the
    second of two writes of a field does not agree with a first one that never was."""
    missing = {one.key: one for one in left_out}
    kept = []
    for one in operations:
        first = missing.get(one.key)
        if first is None:
            kept.append(one)
        elif one != first and one.kind is not OperationKind.CREATE:
            lost = {name: first.expected[name] for name in first.includes if name in one.settles}
            settles = {name: value for name, value in one.settles.items() if name not in lost}
            kept.append(replace(one, settles=settles, includes={**one.includes, **lost}))
    return tuple(kept)


def settled(
    operation: Operation, result: Item, rules: Mapping[str, Rule], *, is_answer: bool
) -> dict[tuple[str, str], Agreed]:
    """The bases that hold once a write is known to have arrived: what the server keeps, beside what it was given.

    ``is_answer`` says that ``result`` is the server's answer to this very write, so that whatever it holds is the server's own
    form of it. Else ``result`` was read later, when somebody may have changed it: then what was written counts.
    """
    found = {
        (operation.key, name): Agreed(source, source)
        for name, source in operation.includes.items()
        if name in result.values and name in rules
    }
    for name, source in operation.settles.items():
        if name not in result.values or name not in rules:
            continue
        kept, wrote = result.values[name], operation.values.get(name, source)
        if not is_answer and not (is_empty(kept) and is_empty(wrote)):
            kept = wrote
        github, notion = (kept, source) if operation.side is Side.GITHUB else (source, kept)
        found[operation.key, name] = Agreed(github, notion)
    return found
