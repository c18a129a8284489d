"""Milestones: what people plan to reach, and what they say about it.

A day is a ``datetime.date``; moments are milliseconds since 1970 (UTC), None where nobody told them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """The four documented statuses. Only people set them; no score and no count does."""

    PLANNED = "Planned"
    IN_PROGRESS = "In Progress"
    BLOCKED = "Blocked"
    COMPLETED = "Completed"


class Origin(StrEnum):
    """Where a milestone, or a statement about one, is from."""

    FILE = "roadmap.yaml"
    GITHUB = "GitHub"
    PROJECT = "Linear project"
    LINEAR = "Linear milestone"
    LABEL = "label"
    NOTION = "Notion"
    PERSON = "person"


class Statement(NamedTuple):
    """What somebody said about a milestone's status. ``status`` is None where the words are none of the four (a paused or
    canceled project); ``words`` are those of the source."""

    status: Status | None
    origin: Origin
    words: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Milestone:
    """One milestone of one source, before those that people tie together are joined.

    ``key`` names it for ever: ``github.com/acme/rocket/milestone/3``, ``linear/<id>``, ``label/<name>``, or the id that
    roadmap.yaml gives it. ``same_as`` lists the keys that people say are the same milestone; ``names`` are the other names
    it goes by; ``scope`` is the repository that its titles are read in, empty for all. ``is_dropped`` says that people gave
    it up (canceled), ``is_open`` that GitHub shows it as open."""

    key: str
    title: str
    origin: Origin
    names: tuple[str, ...] = ()
    same_as: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    members: tuple[str, ...] = ()  # keys of issues and pull requests that people put into it
    scope: str = ""
    repositories: tuple[str, ...] = ()
    critical_workflows: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    start: date | None = None
    target: date | None = None
    completed: int | None = None
    url: str = ""
    parent: str = ""  # the key of the project that it is a part of
    is_dropped: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The milestones of roadmap.yaml, and the settings of the roadmap: ``fiscal_year_start`` is the month in which the fiscal
    year begins (1 to 12); ``critical_workflows`` hold for every milestone that names none of its own."""

    milestones: tuple[Milestone, ...] = ()
    critical_workflows: tuple[str, ...] = ()
    fiscal_year_start: int = 1
