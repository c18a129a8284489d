"""Why a step failed, from its log."""

from __future__ import annotations

from dataclasses import dataclass

from achievement_collector.derive.failures.categories import TITLES, FailureCategory
from achievement_collector.derive.failures.choosing import MOST_LINES, Anchor, Chooser
from achievement_collector.derive.failures.masking import mask_secrets
from achievement_collector.derive.failures.normalising import cluster, signature
from achievement_collector.derive.failures.outcome import Outcome, Section, outcome
from achievement_collector.derive.failures.reading import as_bytes
from achievement_collector.derive.failures.rules import Precision, Rule, shipped_rules
from achievement_collector.derive.failures.signatures import Signatures

ENOUGH = 6
"""The weight from which a line says on its own, where the log does not tell how it ended, that something failed."""


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """A line of the log: its ``number`` from 1, the ``offset`` of its first byte, its ``text`` without time stamp, colours and
    secrets, and ``why`` it was chosen: a rule's name, "exit marker", "end" or "context"."""

    number: int
    offset: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a log failed, as far as rules can tell.

    ``evidence`` has at most 40 lines in the order of the log. ``rule`` is what decided (empty where nothing did),
    ``deciding`` the number of its line, ``precision`` what was measured of it. ``signature`` is the failure without what
    differs from run to run, ``cluster`` its id; both empty where no failure was found. ``told`` says it in a sentence.
    """

    category: FailureCategory
    evidence: tuple[EvidenceLine, ...]
    signature: str
    cluster: str
    rule: str
    told: str
    deciding: int | None = None
    precision: Precision | None = None
    issue: str = ""

    @property
    def is_failure(self) -> bool:
        return self.category is not FailureCategory.NONE


def explain(
    log: bytes | str,
    *,
    step: str = "",
    seen_when_green: frozenset[str] = frozenset(),
    signatures: Signatures | None = None,
    failed: bool | None = None,
) -> Explanation:
    """Why the step of this log failed.

    ``step`` is its name, for the sentence only. ``seen_when_green`` holds :func:`templates` of green logs of the same job: a
    line that appears there too is no cause. ``signatures`` were written by people and go before the shipped rules.
    ``failed`` is what the CI system said of the step; None leaves it to the log, and then a log that ends well, or tells of
    no error at all, has no failure.
    """
    data = as_bytes(log)
    low = data.lower()
    ended, parts = outcome(low)
    if failed is False or (ended is Outcome.PASSED and not failed):
        return _nothing(step)
    if ended is Outcome.PASSED or not parts:
        parts = (Section(0, len(data)),)
    chooser = Chooser(data, low, shipped_rules(), seen_when_green)
    choice = chooser.choose(parts)
    if (
        ended is not Outcome.FAILED
        and not failed
        and not any(one.rule.weight >= ENOUGH for one in choice.anchors)
    ):
        return _nothing(step)
    starts = sorted(choice.lines)[:MOST_LINES]
    evidence = []
    number, place = 1, 0
    for start in starts:
        number += data.count(b"\n", place, start)
        place = start
        evidence.append(EvidenceLine(number, start, mask_secrets(chooser.text(start)), choice.lines[start]))
    telling = [one for one in choice.anchors if one.rule.category is not None and one.start in choice.lines]
    deciding = min(telling, key=lambda one: (-one.score, one.start), default=None)
    return _told(step, tuple(evidence), choice.anchors, deciding, signatures)


def _told(
    step: str,
    evidence: tuple[EvidenceLine, ...],
    anchors: list[Anchor],
    deciding: Anchor | None,
    signatures: Signatures | None,
) -> Explanation:
    where = f"step {step}: " if step else ""
    number_of = {line.offset: line.number for line in evidence}
    known = signatures.match([line.text for line in evidence]) if signatures else None
    if known is not None:
        line = evidence[known.line]
        text = f"known\n{known.signature.name}"
        return Explanation(
            known.signature.category,
            evidence,
            text,
            cluster(text),
            known.signature.name,
            f"{where}{TITLES[known.signature.category]}: {known.signature.explanation}",
            line.number,
            None,
            known.signature.issue,
        )
    if deciding is not None and deciding.rule.category is not None:
        rule, category = deciding.rule, deciding.rule.category
        same = {one.text for one in anchors if _names_it(one, rule)}
        text = signature((mask_secrets(one) for one in same), rule.name)
        return Explanation(
            category, evidence, text, cluster(text), rule.name,
            f"{where}{TITLES[category]}: {rule.name}, line {number_of[deciding.start]}",
            number_of[deciding.start], rule.precision,
        )  # fmt: skip
    last = [mask_secrets(one.text) for one in anchors[:3]] or [
        line.text for line in evidence if line.why != "exit marker"
    ][-3:]
    text = signature(last, "unknown")
    return Explanation(
        FailureCategory.UNKNOWN,
        evidence,
        text,
        cluster(text),
        "",
        f"{where}Unknown: it failed, and no rule tells why",
    )


def _names_it(anchor: Anchor, deciding: Rule) -> bool:
    """Whether a line belongs into the signature: it is of the deciding rule, or of its category and names or tells as much."""
    other = anchor.rule
    return other.name == deciding.name or (
        other.category is deciding.category and (other.names or other.weight >= deciding.weight)
    )


def _nothing(step: str) -> Explanation:
    where = f"step {step}: " if step else ""
    return Explanation(FailureCategory.NONE, (), "", "", "", f"{where}no failure found")
