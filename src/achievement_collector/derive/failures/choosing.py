"""Chooses the lines of a log that tell why it failed: at most forty, in order, each with a reason.

Few literals are searched in the whole of the failed part; only lines that hold one, and those at its end, are decoded and put
before the rules. The lines that tell most are taken first, with what stands around them, until the forty are used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from achievement_collector.derive.failures.categories import FailureCategory
from achievement_collector.derive.failures.normalising import template
from achievement_collector.derive.failures.outcome import Section
from achievement_collector.derive.failures.reading import line_of, next_line, previous_line, text_at
from achievement_collector.derive.failures.rules import Rule, RuleSet

MOST_LINES = 40

_TRIGGERS = (
    b"error",
    b"fail",
    b"exception",
    b"fatal",
    b"panic",
    b"denied",
    b"timed out",
    b"**** ",
    b"____ ",
    b"1) ",
)
_LATE_TRIGGERS = (
    b"not found", b"no such", b"expected", b"cannot ", b"unable to", b"killed", b"undefined", b"refused", b"could not", b"took >",
    b"exceeded",
)  # fmt: skip
_LATE = 300_000
_FROM_EACH_END = 100
_TAIL_LINES = 40
_STRONG = 7
_SURE = 8
_TELLING = 5
_MORE_TRIGGERS = (
    *(sign.encode() for sign in ("● ", "✗", "✖", "✘", "× ")),
    b"not ok", b"reformat", b"[-] ", b"differ", b"assert", b"missing", b"invalid", b"mismatch", b"violation", b"offense",
    b"conflict", b"abort", b"broken", b"problem", b"warning:", b"out of ", b"crash", b".py:", b": line ", b"segfault",
    b"no longer", b"requires", b"exit code", b"took ", b">>>", b"unknown", b"canceled", b"cancelled", b"skipped",
)  # fmt: skip
_SECOND_LOOK = 60_000
_SHORT = 20_000
_BEFORE = 20_000
_KEY = 400
_OF_A_BLOCK = 6
_SOON = 6_000
_OUTLIVED = frozenset(
    {
        FailureCategory.INFRASTRUCTURE, FailureCategory.DEPENDENCY, FailureCategory.PERMISSION, FailureCategory.RESOURCE,
        FailureCategory.TIMEOUT, FailureCategory.CONFIGURATION,
    }
)  # fmt: skip
_NEAR = 400
_DIGITS = bytes.maketrans(b"23456789", b"1" * 8)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line that a rule knows."""

    start: int
    text: str
    rule: Rule
    score: float


@dataclass(slots=True)
class Choice:
    """Lines by the byte at which they begin, each with its reason; ``anchors`` in the order of what they tell."""

    lines: dict[int, str] = field(default_factory=dict)
    anchors: list[Anchor] = field(default_factory=list)


class Chooser:
    """One log, its rules, and what was seen when it was green."""

    def __init__(self, log: bytes, low: bytes, rules: RuleSet, seen_when_green: frozenset[str]) -> None:
        self._log, self._low, self._rules, self._green = log, low, rules, seen_when_green
        self._texts: dict[int, str] = {}
        self._known: dict[tuple[bool, bytes], Rule | None] = {}
        self._judged: dict[tuple[bool, int], Rule | None] = {}

    def choose(self, sections: Iterable[Section]) -> Choice:
        """The evidence in the failed parts."""
        parts = tuple(sections)
        anchors = [anchor for part in parts for anchor in self._anchors(part)]
        if all(one.rule.weight < _TELLING for one in anchors):
            # what broke the step may have happened before it
            parts = tuple(self._widened(parts))
            anchors = [anchor for part in parts for anchor in self._anchors(part)]
        choice = Choice(anchors=sorted(anchors, key=lambda one: (-one.score, one.start)))
        self._fill(choice, parts)
        return choice

    def _widened(self, parts: tuple[Section, ...]) -> Iterator[Section]:
        end = 0
        for part in parts:
            start = max(end, part.start - _BEFORE, 0)
            yield Section(min(line_of(self._log, start), part.start), part.end, part.marker)
            end = part.end

    def text(self, start: int) -> str:
        if (text := self._texts.get(start)) is None:
            text = self._texts[start] = text_at(self._log, start)
        return text

    # --- lines that a rule knows ----------------------------------------------------------------------

    def _anchors(self, part: Section) -> list[Anchor]:
        places = self._places(part, _TRIGGERS)
        found = self._judge(part, places)
        if part.end - part.start < _SHORT or not any(one.score >= _SURE for one in found):
            for triggers, reach in ((_LATE_TRIGGERS, _LATE), (_MORE_TRIGGERS, _SECOND_LOOK)):
                end = Section(max(part.start, part.end - reach), part.end, part.marker)
                places |= self._places(end, triggers)
            found = self._judge(part, places)
        return found

    def _judge(self, part: Section, places: set[int]) -> list[Anchor]:
        end = part.end if part.marker is None else part.marker
        tail = self._back(end, _TAIL_LINES)
        places = {*places, *self._backwards(end, part, _TAIL_LINES)}
        found: list[tuple[int, str, Rule]] = []
        for start in sorted(places):
            if start == part.marker:
                continue
            place = (start >= tail, start)
            if place in self._judged:
                rule = self._judged[place]
            else:
                text = self.text(start)
                rule = self._judged[place] = self._rule(text, anywhere=start >= tail) if text else None
            if rule is not None:
                found.append((start, self.text(start), rule))
        if self._green:
            found = [one for one in found if template(one[1]) not in self._green]
        often = Counter(rule.name for _, _, rule in found if rule.weight <= 5)
        return [
            Anchor(start, text, rule, rule.weight + _standing(rule, part, start) - (often[rule.name] > 25))
            for start, text, rule in found
        ]

    def _rule(self, text: str, *, anywhere: bool) -> Rule | None:
        # lines that differ in digits alone, 0 and 1 apart, are the same to the rules
        key = (anywhere, text[:_KEY].encode("utf-8", "surrogatepass").translate(_DIGITS))
        if key not in self._known:
            self._known[key] = self._rules.of(text, anywhere=anywhere)
        return self._known[key]

    def _places(self, part: Section, triggers: tuple[bytes, ...]) -> set[int]:
        """Where lines begin that hold a trigger: of each the first and the last ones."""
        low, found = self._low, set[int]()
        for trigger in triggers:
            place, left = low.find(trigger, part.start, part.end), _FROM_EACH_END
            while place >= 0 and left:
                found.add(low.rfind(b"\n", 0, place) + 1)
                left -= 1
                end = low.find(b"\n", place, part.end)
                place = low.find(trigger, end, part.end) if end >= 0 else -1
            if place >= 0:
                first, place, left = place, low.rfind(trigger, place, part.end), _FROM_EACH_END
                while place >= first and left:
                    begin = low.rfind(b"\n", 0, place) + 1
                    found.add(begin)
                    left -= 1
                    place = low.rfind(trigger, first, begin) if begin > first else -1
        return found

    # --- what stands around them ----------------------------------------------------------------------

    def _fill(self, choice: Choice, parts: tuple[Section, ...]) -> None:
        """Each failed part has the same share of the forty lines; what one leaves over goes to the others."""
        lines = choice.lines
        by_part = {
            part: [one for one in choice.anchors if part.start <= one.start < part.end] for part in parts
        }
        for number, part in enumerate(parts):
            room = len(lines) + (MOST_LINES - len(lines)) // (len(parts) - number)
            self._fill_part(lines, part, by_part[part], room)
        for part in parts:
            self._grow(lines, part, by_part[part])

    def _fill_part(self, lines: dict[int, str], part: Section, anchors: list[Anchor], room: int) -> None:
        end = part.end if part.marker is None else part.marker
        if part.marker is not None:
            lines[part.marker] = "exit marker"
        best = anchors[0].score if anchors else 0
        for start in self._backwards(end, part, 3 if best >= _STRONG else 8):
            self._add(lines, start, "end", room)
        telling = [one for one in anchors if one.score >= min(_STRONG, best - 2)]
        for block in _blocks(telling):
            if len(lines) >= room:
                return
            self._take(lines, part, block[:_OF_A_BLOCK], room)
        self._take(lines, part, telling, room)

    def _take(self, lines: dict[int, str], part: Section, anchors: list[Anchor], room: int) -> None:
        for anchor in anchors:
            if len(lines) >= room and anchor.start not in lines:
                return
            lines[anchor.start] = anchor.rule.name
            for start in self._forwards(anchor.start, part, anchor.rule.after):
                self._add(lines, start, "context", room)
            for start in self._backwards(anchor.start, part, anchor.rule.before):
                self._add(lines, start, "context", room)

    def _grow(self, lines: dict[int, str], part: Section, anchors: list[Anchor]) -> None:
        """Room that is left goes to what follows the lines that tell most, then to what went before the end."""
        for anchor in anchors[:4]:
            if len(lines) >= MOST_LINES:
                return
            for start in self._forwards(anchor.start, part, 25):
                self._add(lines, start)
            for start in self._backwards(anchor.start, part, 10):
                self._add(lines, start)
        if len(lines) < MOST_LINES:
            for start in self._backwards(part.end if part.marker is None else part.marker, part, MOST_LINES):
                self._add(lines, start, "end")

    @staticmethod
    def _add(lines: dict[int, str], start: int, why: str = "context", room: int = MOST_LINES) -> None:
        if len(lines) < room:
            lines.setdefault(start, why)

    def _back(self, start: int, count: int) -> int:
        """Where the line begins that stands ``count`` lines before."""
        for _ in range(count):
            if start <= 0:
                break
            start = previous_line(self._log, start)
        return max(start, 0)

    def _backwards(self, start: int, part: Section, count: int) -> Iterator[int]:
        """The ``count`` lines before that are not blank."""
        looked = 0
        while count and looked < 4 * MOST_LINES and start > part.start:
            start = previous_line(self._log, start)
            looked += 1
            if start < part.start:
                return
            if self.text(start):
                yield start
                count -= 1

    def _forwards(self, start: int, part: Section, count: int) -> Iterator[int]:
        looked = 0
        while count and looked < 4 * MOST_LINES:
            start = next_line(self._log, start)
            looked += 1
            if start >= part.end:
                return
            if self.text(start):
                yield start
                count -= 1


def _standing(rule: Rule, part: Section, start: int) -> float:
    """A fault of the surroundings ends a step soon; one that the step outlived by far was no cause of it."""
    if rule.category not in _OUTLIVED:
        return 0
    return 0.5 if part.end - start < _SOON else -1.5


def _blocks(anchors: list[Anchor]) -> list[list[Anchor]]:
    """Lines that stand together, the weightiest first; among equals the first, then the last, then the others in order: the
    first error is often the cause, and the last what ended the step."""
    blocks: list[list[Anchor]] = []
    for anchor in sorted(anchors, key=lambda one: one.start):
        if blocks and anchor.start - blocks[-1][-1].start < _NEAR:
            blocks[-1].append(anchor)
        else:
            blocks.append([anchor])
    tiers: defaultdict[int, list[list[Anchor]]] = defaultdict(list)
    for block in blocks:
        tiers[int(max(one.score for one in block))].append(block)
    found = []
    for _, equals in sorted(tiers.items(), reverse=True):
        found += [equals[0], *equals[-1:], *equals[1:-1]] if len(equals) > 1 else equals
    return found
