"""How likely code that can pass fails all the same: a beta-binomial estimate with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from achievement_collector.derive.dora import Interval

FEWEST_UNITS = 10
"""Jobs (or tests) from which a prior is taken; with fewer it is Jeffreys'."""


class Prior(NamedTuple):
    """A beta distribution of the rates of jobs (or tests), and in words where it comes from."""

    a: float
    b: float
    source: str


JEFFREYS = Prior(0.5, 0.5, "Jeffreys: Beta(0.5, 0.5)")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The posterior mean of a rate, 0 to 1, and its equal-tailed 95 % interval, from ``failures`` of ``n`` results and the
    prior."""

    value: float
    interval: Interval
    failures: int
    n: int
    prior: Prior


def estimate(failures: int, n: int, prior: Prior = JEFFREYS) -> Estimate:
    """The rate of failures, given some of ``n`` >= 0 results (Gelman et al., "Bayesian Data Analysis", 2.4)."""
    a, b = prior.a + failures, prior.b + n - failures
    interval = Interval(beta_quantile(0.025, a, b), beta_quantile(0.975, a, b), "beta posterior, 95 %")
    return Estimate(a / (a + b), interval, failures, n, prior)


def empirical_prior(units: Iterable[tuple[int, int]]) -> Prior:
    """The prior from (failures, results) of all jobs (or tests) of a repository, by moments (Kleinman 1973, "Proportions with
    extraneous variance"); Jeffreys' where there are fewer than 10 of them, or where they do not differ by more than chance.
    What it does not know is how uncertain the prior itself is."""
    known = [(failures, n) for failures, n in units if n]
    count = len(known)
    total = sum(n for _, n in known)
    if count < FEWEST_UNITS or total <= count:
        return JEFFREYS
    rate = sum(failures for failures, _ in known) / total
    if not 0 < rate < 1:
        return JEFFREYS
    spread = math.fsum(n * (failures / n - rate) ** 2 for failures, n in known)
    chance = rate * (1 - rate)
    room = total - sum(n * n for _, n in known) / total - (count - 1)
    if room <= 0:
        return JEFFREYS
    extra = (spread - chance * (count - 1)) / (chance * room)  # 1 / (a + b + 1)
    if not 0 < extra < 1:
        return JEFFREYS
    strength = 1 / extra - 1
    a, b = rate * strength, (1 - rate) * strength
    return Prior(a, b, f"empirical Bayes over {count}: Beta({a:.3g}, {b:.3g})")


# --- the beta distribution ---------------------------------------------------------------------------


def beta_quantile(share: float, a: float, b: float) -> float:
    """The value below which ``share`` of a beta distribution lies, by bisection to the last digit."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_share(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_share(x: float, a: float, b: float) -> float:
    """The part of a beta distribution that lies below ``x``: the regularised incomplete beta function (NIST DLMF 8.17)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of DLMF 8.17.22 by the method of Lentz (Thompson and Barnett 1986)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            c = 1 + term / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            change = c * d
            value *= change
        if abs(change - 1) < 1e-14:
            break
    return value
