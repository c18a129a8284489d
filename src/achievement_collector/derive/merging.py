"""Merging one field of two sides with what they last agreed on: canonical values, lossy statuses, who owns what.

A base holds *both* sides' values as they stood when they agreed, because a side may store less than it was given: GitHub knows
open and closed where Notion has four statuses, and servers normalise what they keep. "Changed" therefore always means: differs
from what this very side had. Times decide nothing here; both systems' own are too coarse and move for other reasons.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

Value = str | float | tuple[str, ...] | None
"""A canonical value: text, number, sorted labels, or None for nothing. Dates are ISO texts."""


class Side(StrEnum):
    GITHUB = "github"
    NOTION = "notion"

    @property
    def other(self) -> Side:
        return Side.NOTION if self is Side.GITHUB else Side.GITHUB

    @property
    def spelt(self) -> str:
        return "GitHub" if self is Side.GITHUB else "Notion"


class FieldKind(StrEnum):
    LINE = "line"
    TEXT = "text"
    DATE = "date"
    NUMBER = "number"
    LABELS = "labels"
    STATUS = "status"


class Owner(StrEnum):
    """Whose value counts. What one side owns is written to the other, also over a change made there, with notice."""

    BOTH = "both"
    GITHUB = "github"
    NOTION = "notion"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a field is merged. ``wins`` is the side that a conflict is decided for; None has people decide."""

    kind: FieldKind
    owner: Owner = Owner.BOTH
    wins: Side | None = None


DEFAULT_RULES: Mapping[str, Rule] = {
    "title": Rule(FieldKind.LINE),
    "status": Rule(FieldKind.STATUS),
    "target": Rule(FieldKind.DATE),
    "notes": Rule(FieldKind.TEXT),
    "labels": Rule(FieldKind.LABELS),
}

PLANNED, IN_PROGRESS, BLOCKED, COMPLETED = "Planned", "In Progress", "Blocked", "Completed"
OPEN, NOT_PLANNED = "Open", "Not planned"
"""What only GitHub can say: open and no more, closed as not planned."""

_UNDER_WAY = (PLANNED, IN_PROGRESS, BLOCKED)
STATUSES = (*_UNDER_WAY, COMPLETED)


@dataclass(frozen=True, slots=True)
class Agreed:
    """The values at which both sides were found or brought to agree."""

    github: Value
    notion: Value

    def of(self, side: Side) -> Value:
        return self.github if side is Side.GITHUB else self.notion


class Action(StrEnum):
    NOTHING = "nothing"
    AGREE = "agree"  # only the base changes
    WRITE = "write"
    CONFLICT = "conflict"
    UNCLEAR = "unclear"  # a status that the other side has no word for


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a merge asks for: ``writes`` are the values to write by side, ``is_notable`` that a person's value is overwritten
    by the rule's owner."""

    action: Action
    reason: str = ""
    writes: tuple[tuple[Side, Value], ...] = ()
    is_notable: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a conflict, and the two values that were seen then: others void it."""

    value: Value
    seen: Agreed
    take: Side | None = None


# --- canonical values --------------------------------------------------------------------------------


def canonical(kind: FieldKind, raw: Any) -> Value:
    """The value that a side's raw one stands for; what is of another kind than the field counts as nothing.

    Text is NFC with LF and nothing at its end; a line has single spaces; a date is its day; a number has six decimals; labels
    are sorted, without what differs only in case; a status is one of the known words in its usual spelling, else as it is.
    """
    match kind:
        case FieldKind.LINE:
            return " ".join(_text(raw).split())
        case FieldKind.TEXT:
            return _text(raw).replace("\r\n", "\n").replace("\r", "\n").rstrip()
        case FieldKind.DATE:
            return _day(raw)
        case FieldKind.NUMBER:
            if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
                return None
            return round(float(raw), 6) + 0.0
        case FieldKind.LABELS:
            return labels(raw if isinstance(raw, list | tuple | set | frozenset) else ())
    word = " ".join(_text(raw).split())
    known = {one.casefold(): one for one in (*STATUSES, OPEN, NOT_PLANNED)}
    return known.get(word.casefold(), word) or None


def labels(names: Iterable[Any]) -> tuple[str, ...]:
    """A set of labels, sorted; of names that differ only in case the first counts."""
    found: dict[str, str] = {}
    for one in sorted(line for name in names if (line := " ".join(_text(name).split()))):
        found.setdefault(one.casefold(), one)
    return tuple(found[name] for name in sorted(found))


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        return ""
    return unicodedata.normalize("NFC", raw.replace("\0", "\ufffd").encode("utf-8", "replace").decode())


def _day(raw: Any) -> str | None:
    try:
        return date.fromisoformat(_text(raw).strip()[:10]).isoformat()
    except ValueError:
        return None


def is_empty(value: Value) -> bool:
    return value in (None, "", ())


# --- what a value is on the other side ---------------------------------------------------------------


def on_github(rule: Rule, notion: Value, *, is_fine: bool) -> Value:
    """Notion's value as GitHub would show it. ``is_fine`` says that it can carry a status in a label (issues can, milestones
    cannot). None for a status that GitHub has no word for."""
    if rule.kind is not FieldKind.STATUS:
        return notion
    if notion == COMPLETED:
        return COMPLETED
    if notion == PLANNED or (notion in _UNDER_WAY and not is_fine):
        return OPEN
    return notion if notion in _UNDER_WAY else None


def on_notion(rule: Rule, github: Value, present: Value) -> Value:
    """GitHub's value as Notion is to show it, where it shows ``present`` now.

    "Open" says no more than that work is not done, so it agrees with every such status and with none at all, and where Notion
    says otherwise it becomes Planned, the word that claims least; "Not planned" leaves the status as it is, since none of the
    four means it.
    """
    if rule.kind is not FieldKind.STATUS:
        return github
    if github == NOT_PLANNED:
        return present
    if github in (PLANNED, OPEN):
        return present if github == OPEN and present in (*_UNDER_WAY, None) else PLANNED
    return github


def agree(rule: Rule, github: Value, notion: Value, *, is_fine: bool) -> bool:
    """Whether two values say the same, as far as both sides can say it."""
    if rule.kind is FieldKind.STATUS:
        if notion is None:
            return github in (NOT_PLANNED, OPEN)
        return on_github(rule, notion, is_fine=is_fine) == github or on_notion(rule, github, notion) == notion
    return _same(rule, github, notion)


def distance(rule: Rule | None, one: Value, other: Value) -> int:
    """How many changes of a person lie between two values of one side: one for each label that only one of them has, else one
    where they differ at all."""
    if rule is not None and rule.kind is FieldKind.LABELS:
        return len(_folded(one) ^ _folded(other))
    return int(one != other and not (is_empty(one) and is_empty(other)))


def _same(rule: Rule, one: Value, other: Value) -> bool:
    if rule.kind is FieldKind.LABELS:
        return _folded(one) == _folded(other)
    return one == other or (is_empty(one) and is_empty(other))


def _folded(value: Value) -> set[str]:
    return {one.casefold() for one in value} if isinstance(value, tuple) else set()


# --- the merge ---------------------------------------------------------------------------------------


def merge(
    rule: Rule,
    github: Value,
    notion: Value,
    base: Agreed | None,
    *,
    is_fine: bool = True,
    decision: Decision | None = None,
) -> Outcome:
    """What is to be done about a field whose values are ``github`` and ``notion`` and were ``base`` when last agreed."""
    values = {Side.GITHUB: github, Side.NOTION: notion}
    if rule.owner is not Owner.BOTH:
        return _owned(rule, Side(rule.owner.value), values, base, is_fine)
    if base is not None and github == base.github and notion == base.notion:
        return Outcome(Action.NOTHING)
    if decision is not None and decision.seen == Agreed(github, notion):
        return _decided(rule, values, decision, is_fine)
    changed = [side for side in Side if base is None or values[side] != base.of(side)]
    if base is not None and len(changed) == 1:
        return _carried(rule, changed[0], values, is_fine, f"changed in {changed[0].spelt}")
    if agree(rule, github, notion, is_fine=is_fine):
        return Outcome(Action.AGREE, "both sides say the same")
    if base is None:
        for side in Side:
            if is_empty(values[side.other]) and not is_empty(values[side]):
                return _carried(rule, side, values, is_fine, f"only {side.spelt} has a value")
        return Outcome(Action.CONFLICT, "both sides had a value when they were linked")
    if rule.kind is FieldKind.LABELS:
        return _merged_labels(base, values)
    if rule.wins is not None:
        told = f"changed on both sides, {rule.wins.spelt} wins"
        return _carried(rule, rule.wins, values, is_fine, told, is_notable=True)
    return Outcome(Action.CONFLICT, "changed on both sides")


def _carried(
    rule: Rule,
    source: Side,
    values: Mapping[Side, Value],
    is_fine: bool,
    reason: str,
    is_notable: bool = False,
) -> Outcome:
    """The value of ``source`` brought to the other side."""
    target = source.other
    if target is Side.GITHUB:
        wanted = on_github(rule, values[source], is_fine=is_fine)
        if (
            rule.kind is FieldKind.STATUS
            and wanted is None
            and agree(rule, values[target], values[source], is_fine=is_fine)
        ):
            return Outcome(Action.AGREE, "both sides say the same")
        if rule.kind is FieldKind.STATUS and wanted is None:
            # an unknown word claims nothing that GitHub could show, and an empty one least of all
            return Outcome(
                Action.UNCLEAR, f"GitHub has no status for {_shown(values[source])}; it is left as it is"
            )
    else:
        wanted = on_notion(rule, values[source], values[target])
    if rule.kind is FieldKind.LINE and is_empty(wanted) and not is_empty(values[target]):
        return Outcome(
            Action.UNCLEAR, f"{source.spelt} has none, and it cannot be empty; it is left as it is"
        )
    # what the target says already, in other words, is not written again
    if _same(rule, wanted, values[target]):
        return Outcome(Action.AGREE, "both sides say the same")
    return Outcome(Action.WRITE, reason, ((target, wanted),), is_notable)


def _owned(
    rule: Rule, owner: Side, values: Mapping[Side, Value], base: Agreed | None, is_fine: bool
) -> Outcome:
    target = owner.other
    carried = _carried(rule, owner, values, is_fine, f"{owner.spelt} owns it")
    if carried.action is Action.AGREE and base == Agreed(values[Side.GITHUB], values[Side.NOTION]):
        return Outcome(Action.NOTHING)
    if base is None or carried.action is not Action.WRITE or values[target] == base.of(target):
        if base is not None and base == Agreed(values[Side.GITHUB], values[Side.NOTION]):
            return Outcome(Action.NOTHING)  # the target keeps it in its own form
        return carried
    told = f"{owner.spelt} owns it; what was set in {target.spelt} ({_shown(values[target])}) is overwritten"
    return Outcome(Action.WRITE, told, carried.writes, is_notable=True)


def _decided(rule: Rule, values: Mapping[Side, Value], decision: Decision, is_fine: bool) -> Outcome:
    if decision.take is not None:
        return _carried(
            rule, decision.take, values, is_fine, f"decided by a person for {decision.take.spelt}"
        )
    wanted = {
        Side.GITHUB: on_github(rule, decision.value, is_fine=is_fine),
        Side.NOTION: decision.value,
    }
    writes = tuple((side, wanted[side]) for side in Side if not _same(rule, wanted[side], values[side]))
    return (
        Outcome(Action.WRITE, "decided by a person", writes)
        if writes
        else Outcome(Action.AGREE, "decided by a person")
    )


def _merged_labels(base: Agreed, values: Mapping[Side, Value]) -> Outcome:
    """What both added, less what either took away."""
    before = _folded(base.github) | _folded(base.notion)
    names: dict[str, str] = {}
    for side in Side:
        for one in values[side] if isinstance(values[side], tuple) else ():  # type: ignore[union-attr]
            names.setdefault(one.casefold(), one)
    gone = {
        name for side in Side for name in before & _folded(base.of(side)) if name not in _folded(values[side])
    }
    kept = labels(spelling for name, spelling in names.items() if name not in gone)
    writes = tuple((side, kept) for side in Side if _folded(values[side]) != _folded(kept))
    return Outcome(Action.WRITE, "labels of both sides put together", writes)


def _shown(value: Value) -> str:
    if is_empty(value):
        return "nothing"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return repr(text if len(text) <= 60 else f"{text[:59]}…")
