"""How many of the attempts to fix failures of CI were confirmed by CI itself: of all, and of each kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from achievement_collector.derive.dora import Interval, LeftOut, State, wilson
from achievement_collector.derive.fixes import Fix, FixState

DEFINITION = (
    "Auto-fix success rate: of the attempts of which CI told an outcome, those that were verified, which means that the workflow"
    " that failed went green on the commit of the fix and the same job passed there the first time it ran. An attempt belongs to"
    " the window in which it was made. Attempts without an outcome, and those of failures that a mere re-run made go away, are"
    " left out and counted. The interval takes attempts for independent."
)
PUBLISHED = (
    "Published for comparison: the best of the models in CI-Repair-Bench (arXiv 2604.27148) fixed 18.9 % of 567 real failures,"
    " where success means that the original workflow went green."
)


@dataclass(frozen=True, slots=True)
class FixRate:
    """The success rate of one kind of fix, of all where ``kind`` is empty. ``verified`` of ``n`` attempts with an outcome, of
    ``attempts`` that were made. ``reverted_soon`` were reverted within 7 days of their merge; ``is_built_in`` counts those that
    a built-in fixer made."""

    kind: str
    state: State
    attempts: int
    n: int
    verified: int
    merged: int
    reverted: int
    reverted_soon: int
    is_built_in: int
    interval: Interval | None = None
    why: str = ""
    left_out: tuple[LeftOut, ...] = ()

    @property
    def value(self) -> Fraction | None:
        """Exact; None where nothing was measured."""
        return Fraction(self.verified, self.n) if self.n else None


def fix_rates(
    fixes: Iterable[Fix], since: int | None = None, until: int | None = None
) -> tuple[FixRate, ...]:
    """The rates of the attempts made from ``since`` to before ``until``: first that of all, then of each kind by name."""
    chosen = [
        one
        for one in {one.id: one for one in fixes}.values()
        if (since is None or one.created >= since) and (until is None or one.created < until)
    ]
    kinds = sorted({one.kind for one in chosen})
    return (_rate("", chosen), *(_rate(kind, [one for one in chosen if one.kind == kind]) for kind in kinds))


def _rate(kind: str, fixes: Sequence[Fix]) -> FixRate:
    # a failure that a re-run made go away is no success and no failure of the fix
    told = [one for one in fixes if one.has_outcome]
    verified, n = sum(one.is_verified for one in told), len(told)
    reasons: dict[str, int] = defaultdict(int)
    for one in fixes:
        if not one.has_outcome:
            reasons[_without_outcome(one)] += 1
    why = "" if n else "no attempt was recorded" if not fixes else "no attempt has an outcome"
    return FixRate(
        kind, State.MEASURED if n else State.NOT_MEASURED, len(fixes), n, verified,
        sum(one.event(FixState.MERGED) is not None for one in fixes),
        sum(one.event(FixState.REVERTED) is not None for one in fixes),
        sum(one.was_reverted_soon for one in fixes), sum(bool(one.fixer) for one in fixes),
        wilson(verified, n) if n else None, why,
        tuple(LeftOut(what, number) for what, number in sorted(reasons.items())),
    )  # fmt: skip


def _without_outcome(one: Fix) -> str:
    if one.event(FixState.RESCUED) is not None:
        return "rescued by re-run"
    if one.fixer and not one.sha:
        return "no usable change"
    if one.event(FixState.WITHDRAWN) is not None:
        return "withdrawn"
    if one.event(FixState.MERGED) is not None:
        return "merged, CI not known"
    return "no outcome yet" if one.event(FixState.APPLIED) is not None else "not applied"


def rate_data(one: FixRate) -> dict[str, Any]:
    """A rate as JSON has it; shares are 0 to 1."""
    return {
        "kind": one.kind or None, "state": one.state.value, "value": float(one.value) if one.value is not None else None,
        "verified": one.verified, "n": one.n, "attempts": one.attempts, "built_in": one.is_built_in,
        "interval": dict(one.interval._asdict()) if one.interval else None, "merged": one.merged, "reverted": one.reverted,
        "reverted_within_7_days": one.reverted_soon, "why": one.why,
        "left_out": [{"what": left.what, "number": left.number} for left in one.left_out],
    }  # fmt: skip
