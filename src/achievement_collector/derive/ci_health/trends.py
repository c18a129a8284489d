"""Whether a rate got better: two adjacent windows of one length, compared by an exact test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from achievement_collector.derive.ci_health.rates import PassRate
from achievement_collector.derive.ci_health.runs import Window
from achievement_collector.derive.dora import Interval, State, wilson

FEWEST_A_SIDE = 20
RISK = 0.05
SMALLEST_EFFECT = Fraction(1, 20)

TREND = (
    "The pass rate of first attempts, without infrastructure failures, in the window and in the one of the same length before"
    " it. Improving or Degrading where Fisher's exact test (two-sided) gives p < 0.05 and the rates are at least 5 points"
    " apart, with at least 20 runs in each; else Stable. The test takes runs for independent and is not corrected for the"
    " number of workflows compared: of twenty that did not change, one may be called changed."
)


class Label(StrEnum):
    """The three values that the documented field has."""

    IMPROVING = "Improving"
    STABLE = "Stable"
    DEGRADING = "Degrading"


@dataclass(frozen=True, slots=True)
class Trend:
    """``label`` is Stable also where there are too few runs to tell; ``state`` and ``why`` say so. ``effect`` is the later rate
    less the earlier one (1 is 100 points), with its interval; ``p`` the probability of a difference as unlikely as this one
    or more where nothing changed. Both are None where a window has too few runs."""

    window: Window
    before: Window | None
    state: State
    label: Label
    passed: int
    n: int
    passed_before: int
    n_before: int
    effect: Fraction | None = None
    p: float | None = None
    interval: Interval | None = None
    why: str = ""
    definition: str = TREND

    @property
    def text(self) -> str:
        """The label as it is written into notes: "Stable (n=7, not enough data)"."""
        if self.state is State.MEASURED:
            return f"{self.label.value} (n={self.n_before} and {self.n})"
        return f"{self.label.value} (n={min(self.n, self.n_before)}, not enough data)"


def trend(rate: PassRate, before: PassRate | None) -> Trend:
    """The trend from an earlier rate to a later one; ``before`` is None where there is no earlier window."""
    passed, n = rate.passed, rate.n
    passed_before, n_before = (before.passed, before.n) if before else (0, 0)
    earlier = before.window if before else None
    if n < FEWEST_A_SIDE or n_before < FEWEST_A_SIDE:
        why = f"{n_before} runs before and {n} in the window; {FEWEST_A_SIDE} in each are needed"
        if before is None:
            why = "the window begins with the record: there is none before it"
        return Trend(
            rate.window, earlier, State.NOT_ENOUGH, Label.STABLE, passed, n, passed_before, n_before, why=why
        )
    effect = Fraction(passed, n) - Fraction(passed_before, n_before)
    p = fisher_exact(passed, n, passed_before, n_before)
    label, why = Label.STABLE, ""
    if p >= RISK:
        why = "the difference may be chance"
    elif abs(effect) < SMALLEST_EFFECT:
        why = "the difference is below 5 points"
    else:
        label = Label.IMPROVING if effect > 0 else Label.DEGRADING
    return Trend(
        rate.window, earlier, State.MEASURED, label, passed, n, passed_before, n_before, effect, p,
        difference_interval(passed, n, passed_before, n_before), why,
    )  # fmt: skip


def fisher_exact(passed: int, n: int, passed_before: int, n_before: int) -> float:
    """The two-sided p value of Fisher's exact test (Fisher 1935): with the margins fixed, the probability of all tables that
    are no more likely than this one. Probabilities that differ by less than 1e-7 of themselves are taken for equal."""
    both, every = passed + passed_before, n + n_before
    lowest, highest = max(0, both - n_before), min(n, both)
    fixed = _log_choose(every, both)
    logs = [_log_choose(n, k) + _log_choose(n_before, both - k) - fixed for k in range(lowest, highest + 1)]
    limit = logs[passed - lowest] + 1e-7
    return min(1.0, math.fsum(math.exp(one) for one in logs if one <= limit))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def difference_interval(passed: int, n: int, passed_before: int, n_before: int) -> Interval:
    """The 95 % interval of the later rate less the earlier one, from the score intervals of both (Newcombe 1998, "Interval
    estimation for the difference between independent proportions", method 10)."""
    rate, rate_before = passed / n, passed_before / n_before
    now, then = wilson(passed, n), wilson(passed_before, n_before)
    difference = rate - rate_before
    return Interval(
        difference - math.hypot(rate - now.low, then.high - rate_before),
        difference + math.hypot(now.high - rate, rate_before - then.low),
        "Newcombe's hybrid score, 95 %",
    )
