"""Observations: what an outside system said about one of its things at one moment.

Events come late, twice, out of order, and for things not seen yet. So what is known of a thing is kept as one register
for each field, holding the newest thing said about it; :func:`merge` gives the same result in whatever order and however
often the observations come (a last-writer-wins map, Shapiro et al. 2011, "A comprehensive study of convergent and
commutative replicated data types").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Registers = dict[str, tuple[int, Any]]
"""field -> (when it was said, in milliseconds since 1970; the value, as JSON has it)."""


class Kind(StrEnum):
    """What a thing is."""

    REPOSITORY = "repository"
    PULL_REQUEST = "pull_request"
    REVIEW = "review"
    ISSUE = "issue"
    PROJECT = "project"  # of Linear; an epic by default
    INITIATIVE = "initiative"
    MILESTONE = "milestone"  # of a GitHub repository or of a Linear project
    ATTACHMENT = "attachment"  # of a Linear issue
    TEAM = "team"
    CHECK = "check"  # a check run, a commit status, a workflow run: what CI says about one commit
    JOB = "job"
    CI_REPORT = "ci_report"  # the measures a CI job handed in
    DEPLOYMENT = "deployment"
    RELEASE = "release"
    PUSH = "push"
    EPIC = "epic"  # what people said about an epic of their own
    POST = "post"  # a piece of content and how it was received
    RUN = "run"  # of an experiment
    MODEL = "model"  # a registered version of a model
    KPI_MILESTONE = "kpi_milestone"  # a target that was reached, as it was when it was
    LINK = "link"  # a pull request's tie to an epic, as a person set it


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing as one message showed it.

    ``key`` names the thing among its kind for ever (``github.com/acme/rocket#12``); ``at`` is the time the source gives
    for this state of it, in milliseconds since 1970; ``fields`` holds only what the message told (a missing field says
    nothing, None says "not set"); ``scope`` is the key of what it belongs to, by which it is found.
    """

    kind: Kind
    key: str
    at: int
    fields: Mapping[str, Any]
    scope: str = ""


def merge(known: Registers, observation: Observation) -> Registers:
    """``known`` with an observation taken in; the same object where it tells nothing new.

    The later statement about a field wins. Of two from the same moment (sources give seconds: a pull request is opened and
    labelled in one) the more telling one does: a value over None, of two lists the longer, else the greater in JSON's text
    order, which is arbitrary but the same everywhere.
    """
    changed: Registers | None = None
    for name, value in observation.fields.items():
        before = known.get(name)
        if before is None or _outranks((observation.at, value), before):
            if changed is None:
                changed = dict(known)
            changed[name] = (observation.at, value)
    return known if changed is None else changed


def _outranks(new: tuple[int, Any], old: tuple[int, Any]) -> bool:
    if new[0] != old[0]:
        return new[0] > old[0]
    if new[1] is None or old[1] is None:
        return new[1] is not None
    if isinstance(new[1], str) and new[1] == old[1]:  # of other kinds, equal need not be the same: 0 == False
        return False
    return _telling(new[1]) > _telling(old[1])


def _telling(value: Any) -> tuple[int, str]:
    """How much a value tells, to be compared; no two values are the same in it."""
    length = len(value) if isinstance(value, list | tuple) else -1
    return length, json.dumps(value, sort_keys=True)


def values(registers: Registers) -> dict[str, Any]:
    """The newest value of each field."""
    return {name: value for name, (_, value) in registers.items()}
