"""What may have moved a series: every deployment and every merged change of the time, and nothing more than that.

That two things came at the same time does not make one the cause of the other. So the words are "coincided with", all
rivals are named, and only where exactly one deployment is in the window and the effect holds between versions that ran side
by side (an A/B test, a staged roll-out) it is told as the deployment's effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from achievement_collector.facts.kpis import Sample

LEAST_MARGIN = 2 * 3_600_000
"""Milliseconds before the earliest beginning of a shift in which its cause may lie, at least: a query over an hour sees a
cause late, and a roll-out takes a while."""

ROLL_OUT = 7 * 86_400_000
"""Milliseconds around the end of a deployment in which its version is compared with those that ran before it."""

FEWEST_PAIRS = 8
"""How many moments two versions must have been measured side by side."""

_MOST_NAMED = 5


class Rival(NamedTuple):
    """Something that came at the time. ``kind`` is deployment or change; ``at`` in milliseconds; ``shipped`` are the ids of
    the achievements that a deployment brought."""

    kind: str
    key: str
    title: str
    at: int
    version: str = ""
    url: str = ""
    source: str = ""
    shipped: tuple[str, ...] = ()
    shipped_known: bool = True


class SideBySide(NamedTuple):
    """Two versions measured at the same moments: the differences of the newer to those that ran before it."""

    label: str
    version: str
    pairs: int
    difference: float  # median
    agreeing: int  # pairs whose difference has the sign of the shift


@dataclass(frozen=True, slots=True)
class Attribution:
    """What came in the window ``since`` to ``until`` (milliseconds), the deployments first, each in time's order; ``more``
    counts the merged changes that came as well and are not listed."""

    since: int
    until: int
    rivals: tuple[Rival, ...] = ()
    held: SideBySide | None = None
    more: int = 0

    @property
    def deployments(self) -> tuple[Rival, ...]:
        return tuple(one for one in self.rivals if one.kind == "deployment")

    @property
    def only(self) -> Rival | None:
        """The deployment, where exactly one is in the window."""
        found = self.deployments
        return found[0] if len(found) == 1 else None

    @property
    def sole(self) -> Rival | None:
        """The deployment, where nothing else came at all."""
        return self.only if len(self.rivals) + self.more == 1 else None

    @property
    def is_effect(self) -> bool:
        """Whether it may be told as the effect of :attr:`only`."""
        return self.only is not None and self.held is not None

    def label(self, rival: Rival) -> str:
        told = f"{rival.title}, {_minute(rival.at)} UTC"
        if self.is_effect and rival == self.only:
            return f"brought it: {told}"
        return f"coincided with it: {told}"

    @property
    def words(self) -> str:
        """What is said about the cause, in full sentences."""
        window = f"from {_minute(self.since)} to {_minute(self.until)} UTC"
        deployed = self.deployments
        changes = [one for one in self.rivals if one.kind == "change"]
        came = _count(len(changes) + self.more)
        if not self.rivals:
            return f"No deployment and no merged change is known {window}: what moved it is not known."
        if self.is_effect:
            assert self.only is not None
            assert self.held is not None
            told = (
                f"It is the effect of {self.only.title} as far as can be told: no other deployment is known {window}, and "
                f"{self.held.label} {self.held.version} differed the same way from what ran beside it at "
                f"{self.held.agreeing} of {self.held.pairs} moments."
            )
        elif len(deployed) == 1:
            one = deployed[0]
            told = (
                f"It coincided with {one.title} ({_minute(one.at)} UTC), the only deployment known {window}."
            )
        elif deployed:
            told = (
                f"It coincided with {len(deployed)} deployments {window}: {_named(deployed)}; which of them moved it, "
                "if any, cannot be told."
            )
        else:
            told = f"No deployment is known {window}; it coincided with {came}: {_named(changes, self.more)}."
        if deployed and changes:
            told += f" {came.capitalize()} came in the same window: {_named(changes, self.more)}."
        return told

    def as_data(self) -> dict[str, Any]:
        wording = "effect" if self.is_effect else "coincided with" if self.rivals else "not known"
        return {
            "wording": wording,
            "text": self.words,
            "rivals": [
                {
                    "kind": one.kind, "key": one.key, "title": one.title, "at": one.at, "version": one.version,
                    "url": one.url, "shipped": list(one.shipped), "shipped_known": one.shipped_known,
                }
                for one in self.rivals
            ],
            "not_listed": self.more,
            "side_by_side": self.held._asdict() if self.held else None,
        }  # fmt: skip


def window_of(earliest: int, latest: int, step: int) -> tuple[int, int]:
    """(since, until) in milliseconds: from twice the distance of two samples, at least two hours, before the earliest
    moment at which the shift may have begun, to the latest."""
    return earliest - max(LEAST_MARGIN, 2 * step), latest


def attribute(
    since: int,
    until: int,
    rivals: Sequence[Rival],
    difference: float,
    versions: Mapping[str, Sequence[Sample]] | None = None,
    label: str = "version",
    more: int = 0,
) -> Attribution:
    """Everything of ``rivals`` that lies in the window. ``versions`` are series by the value of ``label``; where one bears
    the version of the only deployment, it is compared with those that it replaced, while it was rolled out. ``more`` counts
    the merged changes of the window that are not among ``rivals``."""
    inside = [one for one in rivals if since <= one.at <= until]
    inside.sort(key=lambda one: (one.kind != "deployment", one.at, one.key))
    found = Attribution(since, until, tuple(inside), more=more)
    if found.only is None or not versions or not found.only.version:
        return found
    held = side_by_side(found.only.version, found.only.at, versions, difference, label)
    return Attribution(since, until, found.rivals, held, more)


def side_by_side(
    version: str,
    deployed: int,
    versions: Mapping[str, Sequence[Sample]],
    difference: float,
    label: str = "version",
) -> SideBySide | None:
    """The comparison of a version that was ``deployed`` then (milliseconds) with those that ran before it, at the same
    moments within :data:`ROLL_OUT`. A version that came later, or as long ago, is no witness of this roll-out.

    None where they did not run together for :data:`FEWEST_PAIRS` moments, or the difference is not clearly that of the
    shift (a sign test at 1 %: Dixon & Mood 1946, "The statistical sign test")."""
    near = {
        name: [one for one in samples if abs(one.at - deployed) <= ROLL_OUT]
        for name, samples in versions.items()
    }
    mine = near.get(version)
    if not mine or not difference:
        return None
    others: dict[int, list[float]] = {}
    for samples in near.values():
        if samples and samples[0].at < mine[0].at:
            for sample in samples:
                others.setdefault(sample.at, []).append(sample.value)
    pairs = sorted(sample.value - _median(others[sample.at]) for sample in mine if sample.at in others)
    told = [one for one in pairs if one]
    agreeing = sum((one > 0) == (difference > 0) for one in told)
    if len(pairs) < FEWEST_PAIRS or _tail(agreeing, len(told)) > 0.01:
        return None
    return SideBySide(label, version, len(pairs), _median(pairs), agreeing)


def _tail(agreeing: int, n: int) -> float:
    """The probability of at least so many of ``n`` fair coins."""
    from math import comb

    return sum(comb(n, k) for k in range(agreeing, n + 1)) / 2**n if n else 1.0


def _median(values: Sequence[float]) -> float:
    ordered, n = sorted(values), len(values)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _named(rivals: Sequence[Rival], beyond: int = 0) -> str:
    told = "; ".join(f"{one.title} ({_minute(one.at)})" for one in rivals[:_MOST_NAMED])
    more = max(0, len(rivals) - _MOST_NAMED) + beyond
    return f"{told}; and {more} more" if more > 0 else told


def _count(changes: int) -> str:
    return "one merged change" if changes == 1 else f"{changes:,} merged changes"


def _minute(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
