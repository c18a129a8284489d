"""The CI readiness score: the four documented parts, each with what it rests on.

25 points where the pass rate is at least 80 %, 15 where more than 70 % of the attempted fixes were verified, 30 where every
critical workflow is green, 30 where every pull request of the milestone is merged and documentation came with them
(ci-health definitions 2 and 3). A part that was not measured has no points and says so; nothing is ever assumed.

The score is about CI and merging. It is no measure of progress, and no status follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from achievement_collector.derive.dora import wilson
from achievement_collector.facts.ci_runs import GREEN, RED

PASS_RATE_AT_LEAST = 80  # percent
FIXES_ABOVE = 70  # percent
FEWEST_RUNS = 10
"""Runs that a pass rate needs (definition 6)."""
_MOST_LINKS = 10


class State(StrEnum):
    """Whether a part has its points. Unknown: it was not measured."""

    EARNED = "earned"
    MISSED = "missed"
    UNKNOWN = "unknown"


class PassRate(NamedTuple):
    """Green runs among the ``n`` that were green or red. ``about`` says which runs these are, ``since`` and ``until``
    (ISO days) when they ran; ``beside`` is more about them. Runs that are not the milestone's own earn nothing."""

    green: int
    n: int
    about: str = ""
    since: str = ""
    until: str = ""
    links: tuple[str, ...] = ()
    beside: str = ""
    is_own: bool = True


class Fixes(NamedTuple):
    """Fix attempts with an outcome, and those of them that were verified: the same job went green on the fix."""

    verified: int
    attempted: int
    since: str = ""
    until: str = ""
    links: tuple[str, ...] = ()


class CriticalWorkflow(NamedTuple):
    """The conclusion of the latest completed run of a critical workflow; empty where none was seen."""

    name: str
    conclusion: str = ""
    sha: str = ""
    url: str = ""
    branch: str = ""


class LinkedPull(NamedTuple):
    """A pull request of the milestone, merged or open. ``has_documentation`` says whether it changes documentation or bears
    the label; None where its files are not known."""

    key: str
    is_merged: bool
    has_documentation: bool | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class ReadinessInputs:
    """What was measured; None and empty mean that it was not. ``critical_basis`` says why these workflows are critical;
    ``withdrawn`` counts the pull requests that were closed without a merge, which are in no part. ``is_repository_wide`` says
    that neither a run nor a pull request is tied to the milestone: what CI tells is then told, and has no points."""

    pass_rate: PassRate | None = None
    fixes: Fixes | None = None
    critical: tuple[CriticalWorkflow, ...] = ()
    critical_basis: str = ""
    pulls: tuple[LinkedPull, ...] = ()
    withdrawn: int = 0
    is_repository_wide: bool = False


class Part(NamedTuple):
    """One of the four. ``value`` is a ratio (0 to 1), None where there is none; ``n`` what it rests on."""

    name: str
    title: str
    points: int
    most: int
    state: State
    value: float | None
    n: int
    told: str
    window: tuple[str, str] | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readiness:
    """The score: ``points`` of 100, of which ``measurable`` could be had by what was measured. ``is_repository_wide`` as the
    inputs have it."""

    parts: tuple[Part, ...]
    is_repository_wide: bool = False

    @property
    def points(self) -> int:
        return sum(one.points for one in self.parts)

    @property
    def measurable(self) -> int:
        return sum(one.most for one in self.parts if one.state is not State.UNKNOWN)

    @property
    def told(self) -> str:
        """The score on one line, with every part."""
        if not self.measurable:
            return "not measured: " + " · ".join(f"{one.title}: {one.told}" for one in self.parts)
        told = " · ".join(f"{one.title} {one.points}/{one.most} {_brief(one)}" for one in self.parts)
        return f"{self.points}/100 (measurable now: {self.points} of {self.measurable}): {told}"


def _brief(one: Part) -> str:
    return f"({'unknown: ' if one.state is State.UNKNOWN else ''}{one.told})"


def readiness(inputs: ReadinessInputs) -> Readiness:
    """The four parts by what was measured."""
    rate, *others = _pass_rate(inputs.pass_rate), _fixes(inputs.fixes), _critical(inputs)
    if inputs.pass_rate is not None and not inputs.pass_rate.is_own:
        rate = _not_its_own(rate)
    if inputs.is_repository_wide:
        others = [_not_its_own(one) for one in others]
    return Readiness((rate, *others, _delivered(inputs)), inputs.is_repository_wide)


def _not_its_own(part: Part) -> Part:
    """What is known of the repository alone, as a part of a milestone: told, and neither a value nor points of it."""
    if part.state is State.UNKNOWN:
        return part
    told = f"not measured of the milestone; {part.told}"
    if "REPOSITORY-WIDE" not in told:
        told += ", REPOSITORY-WIDE: no run and no pull request is tied to the milestone"
    return part._replace(points=0, state=State.UNKNOWN, value=None, told=told)


# --- the parts ---------------------------------------------------------------------------------------


def _pass_rate(rate: PassRate | None) -> Part:
    name, title, most = "pass_rate", "pass rate", 25
    if rate is None or rate.n < 1:
        return Part(name, title, 0, most, State.UNKNOWN, None, 0, "not measured: no finished run is known")
    window = (rate.since, rate.until) if rate.since or rate.until else None
    links = rate.links[:_MOST_LINKS]
    where = f", {rate.about}" if rate.about else ""
    if rate.n < FEWEST_RUNS:
        told = f"not enough data: {rate.green} of {rate.n} runs passed, {FEWEST_RUNS} are needed{where}"
        return Part(name, title, 0, most, State.UNKNOWN, None, rate.n, told, window, links)
    value = rate.green / rate.n
    earned = rate.green * 100 >= PASS_RATE_AT_LEAST * rate.n  # in whole numbers: 80 % is 80 %
    low, high = interval(rate.green, rate.n)
    told = (
        f"{percent(value)}, {rate.green}/{rate.n} runs, 95 % CI {low * 100:.0f} to {high * 100:.0f} %{where}"
    )
    told += f"; {rate.beside}" if rate.beside else ""
    return _judged(name, title, most, earned, value, rate.n, told, window, links)


def _fixes(fixes: Fixes | None) -> Part:
    name, title, most = "auto_fix", "auto-fix", 15
    if fixes is None or fixes.attempted < 1:
        told = "not measured: no fix attempt has an outcome"
        return Part(name, title, 0, most, State.UNKNOWN, None, 0, told)
    value = fixes.verified / fixes.attempted
    earned = fixes.verified * 100 > FIXES_ABOVE * fixes.attempted
    window = (fixes.since, fixes.until) if fixes.since or fixes.until else None
    told = f"{percent(value)}, {fixes.verified}/{fixes.attempted} attempts verified"
    told += f", made since {fixes.since}" if fixes.since else ""
    return _judged(name, title, most, earned, value, fixes.attempted, told, window, fixes.links[:_MOST_LINKS])


def _critical(inputs: ReadinessInputs) -> Part:
    name, title, most = "critical_workflows", "critical workflows", 30
    basis = f"; {inputs.critical_basis}" if inputs.critical_basis else ""
    if not inputs.critical:
        told = f"not measured: no critical workflow is known{basis}"
        return Part(name, title, 0, most, State.UNKNOWN, None, 0, told)
    green = [one for one in inputs.critical if one.conclusion in GREEN]
    red = [one for one in inputs.critical if one.conclusion in RED]
    other = [one for one in inputs.critical if one.conclusion not in GREEN | RED]
    n = len(inputs.critical)
    links = tuple(one.url for one in (*red, *other, *green) if one.url)[:_MOST_LINKS]
    if red:
        told = f"red: {_workflows(red)}{basis}"
        return Part(name, title, 0, most, State.MISSED, len(green) / n, n, told, None, links)
    if other:
        told = f"not measured: no conclusive run of {_workflows(other)}{basis}"
        return Part(name, title, 0, most, State.UNKNOWN, None, n, told, None, links)
    return Part(name, title, most, most, State.EARNED, 1.0, n, f"{_workflows(green)}{basis}", None, links)


def _workflows(found: Sequence[CriticalWorkflow]) -> str:
    told = []
    for one in found[:5]:
        at = f" at {one.sha[:7]}" if one.sha else ""
        told.append(f"{one.name}{at}{f' ({one.conclusion})' if one.conclusion in RED else ''}")
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ", ".join(told) + more


def _delivered(inputs: ReadinessInputs) -> Part:
    name, title, most = "documentation_and_pulls", "docs+PR", 30
    pulls = inputs.pulls
    withdrawn = f"; {inputs.withdrawn} closed without a merge, left out" if inputs.withdrawn else ""
    if not pulls:
        told = f"not measured: no merged or open pull request is linked{withdrawn}"
        return Part(name, title, 0, most, State.UNKNOWN, None, 0, told)
    n = len(pulls)
    still_open = [one for one in pulls if not one.is_merged]
    links = tuple(one.url for one in (*still_open, *pulls) if one.url)
    links = tuple(dict.fromkeys(links))[:_MOST_LINKS]
    value = (n - len(still_open)) / n
    if still_open:
        told = f"{', '.join(one.key for one in still_open[:5])} open"
        told += f" ({len(still_open)} in all)" if len(still_open) > 5 else ""
        return Part(name, title, 0, most, State.MISSED, value, n, told + withdrawn, None, links)
    documented = [one for one in pulls if one.has_documentation]
    if documented:
        told = f"all {n} merged, documentation in {documented[0].key}{withdrawn}"
        return Part(name, title, most, most, State.EARNED, value, n, told, None, links)
    unknown = sum(one.has_documentation is None for one in pulls)
    if unknown:
        told = f"all {n} merged; whether documentation changed is not known of {unknown}{withdrawn}"
        return Part(name, title, 0, most, State.UNKNOWN, None, n, told, None, links)
    told = f"all {n} merged, no documentation change{withdrawn}"
    return Part(name, title, 0, most, State.MISSED, value, n, told, None, links)


def _judged(
    name: str,
    title: str,
    most: int,
    earned: bool,
    value: float,
    n: int,
    told: str,
    window: tuple[str, str] | None,
    links: tuple[str, ...],
) -> Part:
    state = State.EARNED if earned else State.MISSED
    return Part(name, title, most if earned else 0, most, state, value, n, told, window, links)


# --- what changed ------------------------------------------------------------------------------------


def score_changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the score is another one than it was, part by part: ``-25: pass rate fell to 78.0 %``. Both are of
    :func:`readiness_data`; nothing is told where there was none before."""
    if before is None:
        return ()
    known = {one["name"]: one for one in before["parts"]}
    told = []
    for one in after["parts"]:
        old = known.get(one["name"])
        if old is None or (old["points"] == one["points"] and old["state"] == one["state"]):
            continue
        change = one["points"] - old["points"]
        sign = "+" if change > 0 else "−" if change < 0 else "±"
        told.append(f"{sign}{abs(change)}: {_why(old, one)}")
    return tuple(told)


def _why(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    title = new["title"]
    if new["state"] == State.UNKNOWN:
        return f"{title} is no longer measured ({new['told']})"
    if old["state"] == State.UNKNOWN:
        return f"{title} is measured now: {new['told']}"
    if new["name"] in ("pass_rate", "auto_fix"):
        moved = "rose" if new["value"] > old["value"] else "fell"
        return f"{title} {moved} to {percent(new['value'])}"
    return f"{title}: {new['told']}"


def readiness_data(found: Readiness) -> dict[str, Any]:
    """The score as plain data. ``points`` is None where nothing at all was measured."""
    return {
        "name": "CI readiness score (documented formula)",
        "points": found.points if found.measurable else None,
        "measurable": found.measurable,
        "most": 100,
        "told": found.told,
        "is_repository_wide": found.is_repository_wide,
        "parts": [
            {
                "name": one.name, "title": one.title, "points": one.points, "most": one.most, "state": one.state.value,
                "value": one.value, "n": one.n, "told": one.told, "window": list(one.window) if one.window else None,
                "links": list(one.links),
            }
            for one in found.parts
        ],
    }  # fmt: skip


def percent(value: float) -> str:
    """A ratio in percent. One that would be rounded to a threshold has more digits: 79.99 % does not read as 80.0 %."""
    text = f"{value * 100:.1f}"
    if float(text) in (PASS_RATE_AT_LEAST, FIXES_ABOVE) and abs(value * 100 - float(text)) > 1e-9:
        text = f"{value * 100:.3f}".rstrip("0")
    return f"{text} %"


def interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    found = wilson(hits, n)
    return found.low, found.high
