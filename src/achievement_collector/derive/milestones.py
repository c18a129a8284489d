"""Milestones of several sources made one, and which of them a branch, a pull request or a run belongs to.

Only people join milestones: by the keys that roadmap.yaml lists. Two with the same or a similar title stay apart. No
milestone is ever assumed: what names none belongs to none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple

from achievement_collector.facts.milestones import Milestone, Origin, Statement, Status

# --- joining -----------------------------------------------------------------------------------------

_RANKS = {Origin.FILE: 0, Origin.GITHUB: 1, Origin.PROJECT: 2, Origin.LINEAR: 3, Origin.LABEL: 4}


def joined(found: Iterable[Milestone]) -> tuple[Milestone, ...]:
    """The milestones with those made one that people say are the same; what roadmap.yaml says wins, then what GitHub does.

    A milestone that two entries claim stays with the first one. The result is in the order of the first of each.
    """
    listed = list(found)
    claimed: dict[str, str] = {}
    for one in listed:
        for key in one.same_as:
            claimed.setdefault(key, one.key)
    groups: dict[str, list[Milestone]] = {}
    for one in listed:
        owner = claimed.get(one.key, one.key) if not one.same_as else one.key
        groups.setdefault(owner, []).append(one)
    return tuple(_one_of(key, group) for key, group in groups.items())


def _one_of(key: str, group: Sequence[Milestone]) -> Milestone:
    ordered = sorted(group, key=lambda one: (one.key != key, _RANKS.get(one.origin, 9)))
    first = ordered[0]
    if len(ordered) == 1:
        return replace(first, title=first.title or first.key)
    names = dict.fromkeys(name for one in ordered for name in (one.title, *one.names) if name)
    return replace(
        first,
        title=next(iter(names), first.key),
        names=tuple(name for name in names if name != first.title),
        same_as=tuple(dict.fromkeys([*first.same_as, *(one.key for one in ordered[1:])])),
        labels=tuple(dict.fromkeys(label for one in ordered for label in one.labels)),
        members=tuple(dict.fromkeys(member for one in ordered for member in one.members)),
        scope=first.scope,
        repositories=tuple(dict.fromkeys(place for one in ordered for place in one.repositories)),
        critical_workflows=next((one.critical_workflows for one in ordered if one.critical_workflows), ()),
        statements=tuple(said for one in ordered for said in one.statements),
        start=next((one.start for one in ordered if one.start), None),
        target=next((one.target for one in ordered if one.target), None),
        completed=next((one.completed for one in ordered if one.completed is not None), None),
        url=next((one.url for one in ordered if one.url), ""),
        parent=next((one.parent for one in ordered if one.parent), ""),
        is_open=any(one.is_open for one in ordered),
        is_dropped=first.is_dropped or (not _is_filed(first) and any(one.is_dropped for one in ordered)),
    )


def _is_filed(one: Milestone) -> bool:
    """Whether roadmap.yaml itself says how it stands."""
    return any(said.origin is Origin.FILE for said in one.statements)


# --- status ------------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """The status that people set. ``status`` is None where nobody set one of the four; ``told`` says who set it or why
    there is none; ``others`` are statements that say something else."""

    status: Status | None
    told: str
    others: tuple[str, ...] = ()


def status_of(one: Milestone) -> Standing:
    """The status as people set it: roadmap.yaml first, else the newest statement (one without a time is older than any).

    Nothing else is looked at: neither CI, nor issues, nor the readiness score can make a milestone anything.
    """
    said = [statement for statement in one.statements if statement.words]
    if not said:
        return Standing(None, "nobody set a status")
    ordered = sorted(
        said,
        key=lambda s: (s.origin is not Origin.FILE, s.status is None, -(s.at if s.at is not None else -1)),
    )
    chosen = ordered[0]
    others = tuple(
        _said(other)
        for other in ordered[1:]
        if other.status is not None and other.status is not chosen.status
    )
    if chosen.status is None:
        return Standing(None, f"{_said(chosen)}, which is none of the four", others)
    return Standing(chosen.status, f"set in {chosen.origin}", others)


def _said(one: Statement) -> str:
    return f"{one.origin} says {one.words!r}"


def completed_on(one: Milestone) -> date | None:
    """The day on which people closed a milestone, None where nobody told it."""
    if one.completed is None or status_of(one).status is not Status.COMPLETED:
        return None
    return datetime.fromtimestamp(one.completed / 1000, UTC).date()


# --- detection ---------------------------------------------------------------------------------------

_STAGE = re.compile(
    r"(?:^|[/_-])stage[-_./ ]?(\d+(?:[-_.]\d+(?![0-9a-z]))*)(?![0-9a-z])", re.IGNORECASE | re.ASCII
)
_LABEL = re.compile(r"milestone\s*[:/=]\s*(\S.*)", re.IGNORECASE)
_LONGEST = 500  # characters of an outside name that are looked at


class Source(StrEnum):
    """What a detection rests on, strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    PULL_MILESTONE = "milestone of the pull request"
    LINK = "link"
    LABEL = "label"
    BRANCH = "branch"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Clues:
    """What may tell a milestone. ``linked`` are (key of a milestone or its title, what links to it) of the issues that are
    linked; ``repository`` is where titles are looked up first."""

    flag: str = ""
    environment: str = ""
    pull_milestone: str = ""
    linked: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()
    branch: str = ""
    repository: str = ""


class Detected(NamedTuple):
    """A milestone and what told it. ``title`` is empty where nothing did; ``key`` is empty where the milestone is on no
    roadmap; ``notes`` tell of clues that were passed over."""

    title: str
    key: str
    source: Source
    told: str
    notes: tuple[str, ...] = ()


def milestone_of_branch(branch: str) -> str | None:
    """The milestone that a branch names: ``feature/stage-7-3`` -> ``Stage 7.3``; None where it names none."""
    found = _STAGE.search(branch[:_LONGEST])
    return None if found is None else f"Stage {re.sub('[-_]', '.', found[1])}"


class Names:
    """The milestones that are known, by their names."""

    def __init__(self, known: Iterable[Milestone]) -> None:
        self.known = {one.key: one for one in known}
        self._by_name: dict[str, list[Milestone]] = {}
        self._by_label: dict[str, list[Milestone]] = {}
        for one in self.known.values():
            spelled = {_folded(name) for name in (one.key, one.title, *one.names, *one.same_as) if name}
            for name in spelled:
                self._by_name.setdefault(name, []).append(one)
            for label in {_folded(label) for label in one.labels}:
                self._by_label.setdefault(label, []).append(one)

    def named(self, name: str, repository: str = "") -> list[Milestone]:
        """Those that go by a name, whole and in any case; those of ``repository`` alone where there are any."""
        return _in_place(self._by_name.get(_folded(name), []), repository)

    def labelled(self, label: str, repository: str = "") -> list[Milestone]:
        return _in_place(self._by_label.get(_folded(label), []), repository)


def _in_place(found: Sequence[Milestone], repository: str) -> list[Milestone]:
    here = [one for one in found if repository and _is_in(one, repository)]
    return here or [one for one in found if not one.scope or not repository] or list(found)


def _is_in(one: Milestone, repository: str) -> bool:
    return one.scope == repository or repository in one.repositories


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def detect(clues: Clues, names: Names) -> Detected:
    """The milestone that the strongest clue tells: flag, environment, the pull request's milestone, a linked issue, a label,
    the branch; none where no clue tells one. A clue that tells several is passed over, with a note."""
    notes: list[str] = []
    rungs: tuple[tuple[Source, list[tuple[str, str]]], ...] = (
        (Source.FLAG, [(clues.flag, "--milestone")]),
        (Source.ENVIRONMENT, [(clues.environment, "MILESTONE")]),
        (Source.PULL_MILESTONE, [(clues.pull_milestone, "the pull request's milestone")]),
        (Source.LINK, list(clues.linked)),
        (Source.LABEL, list(_of_labels(clues.labels, clues.repository, names))),
        (Source.BRANCH, [(milestone_of_branch(clues.branch) or "", f"the branch {clues.branch}")]),
    )
    for source, told in rungs:
        found: dict[tuple[str, str], str] = {}
        for name, basis in told:
            name = " ".join(name[:_LONGEST].split())
            if not name:
                continue
            known = names.named(name, clues.repository)
            if len(known) > 1:
                keys = ", ".join(sorted(one.key for one in known))
                notes.append(f"{basis}: {name!r} may be {keys}; roadmap.yaml can say that they are one")
                continue
            found.setdefault((known[0].title, known[0].key) if known else (name, ""), basis)
        if len(found) == 1:
            (((title, key), basis),) = found.items()
            return Detected(title, key, source, basis, tuple(notes))
        if found:
            listed = ", ".join(sorted(title for title, _ in found))
            notes.append(f"{source}: several milestones are named ({listed}), so none is taken from there")
    return Detected("", "", Source.NONE, "nothing names a milestone", tuple(notes))


def _of_labels(labels: Sequence[str], repository: str, names: Names) -> Iterable[tuple[str, str]]:
    """(name, basis) of the labels that name a milestone: one that roadmap.yaml lists, ``milestone: NAME``, or one that is a
    stage and nothing else (``stage-7.3``)."""
    for label in labels:
        basis = f"the label {label}"
        listed = names.labelled(label, repository)
        if listed:
            yield from ((one.key, basis) for one in listed)
        elif name := milestone_of_label(label):
            yield name, basis


def milestone_of_label(label: str) -> str | None:
    """The milestone that a label names by itself: ``milestone: Stage 7.3`` or ``stage-7.3``, nothing more and nothing less."""
    label = label.strip()[:_LONGEST]
    if written := _LABEL.fullmatch(label):
        return " ".join(written[1].split())
    stage = _STAGE.fullmatch(label)
    return f"Stage {re.sub('[-_]', '.', stage[1])}" if stage else None


_CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?\s+"
    r"(?:https?://([\w.-]{1,100})/)?([\w.-]{1,100}/[\w.-]{1,100})?(?:#|/issues/)(\d{1,9})\b",
    re.IGNORECASE | re.ASCII,
)


def closed_issues(body: str, repository: str) -> tuple[str, ...]:
    """The issues that a pull request's text closes by GitHub's keywords (``Closes #12``), as ``host/owner/name#12``."""
    host = repository.partition("/")[0]
    found = {}
    for match in _CLOSING.finditer(body):
        place = f"{match[1] or host}/{match[2]}" if match[2] else repository
        found[f"{place}#{int(match[3])}"] = True
    return tuple(found)


# --- progress ----------------------------------------------------------------------------------------


class Item(NamedTuple):
    """An issue of a milestone. ``completed`` and ``canceled`` are when it was closed as done or as not to be done."""

    key: str
    created: int | None
    completed: int | None
    canceled: int | None = None
    title: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The issues and pull requests of a milestone, counted. Canceled issues are in no other count. ``added`` are issues that
    were created after ``since``, the day on which work began as people said it; None where nobody said it."""

    total: int
    done: int
    canceled: int
    pulls_open: int
    pulls_merged: int
    pulls_closed: int
    added: int | None = None
    since: date | None = None
    undated: int = 0  # issues of which nobody told when they were created

    @property
    def remaining(self) -> int:
        return self.total - self.done

    @property
    def share(self) -> float | None:
        """Done issues of all, 0 to 1; None where no issue is linked: then it was not measured."""
        return self.done / self.total if self.total else None

    @property
    def told(self) -> str:
        if not self.total:
            return "not measured: no issue is linked"
        text = f"{self.done} of {self.total} issues closed"
        if self.added is not None:
            text += f"; {self.added} of all were added since {self.since}"
        return text


def progress_of(items: Iterable[Item], pull_states: Mapping[str, str], start: date | None = None) -> Progress:
    """Counts the work that is linked. ``pull_states`` has the state of each pull request: open, merged or closed."""
    listed = list(items)
    live = [one for one in listed if one.canceled is None]
    states = list(pull_states.values())
    added = None
    if start is not None:
        begin = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp() * 1000)
        added = sum(one.created is not None and one.created >= begin for one in live)
    return Progress(
        len(live), sum(one.completed is not None for one in live), len(listed) - len(live), states.count("open"),
        states.count("merged"), states.count("closed"), added, start if added is not None else None,
        sum(one.created is None for one in live),
    )  # fmt: skip
