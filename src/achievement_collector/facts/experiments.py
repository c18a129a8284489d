"""Experiments: runs that were tracked, what they measured, and the model versions that came of them.

All moments are milliseconds since 1970 (UTC), None where the source gave none. Texts are as written outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from achievement_collector.facts.kpis import Direction


@dataclass(frozen=True, slots=True)
class PrimaryMetric:
    """The one metric by which the runs of an experiment are compared.

    ``margin`` is the smallest relative gain that counts, as a part of the value before (0.01 is 1 %); ``basis`` says who
    chose metric and direction, in words that a reader can check.
    """

    name: str
    direction: Direction
    margin: float
    basis: str


@dataclass(frozen=True, slots=True)
class MetricChoice:
    """What the configuration says of an experiment's primary metric; what is None or empty is left to the experiment's
    tags, the table of directions and the default margin."""

    name: str = ""
    direction: Direction | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment. ``key`` is ``<host>/experiments/<id>``; ``tags`` are those that name its primary metric."""

    key: str
    id: str
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered version of a model and the aliases that point at it."""

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run. ``key`` is ``<host>/<run id>``.

    ``metrics`` holds the last finite value that was logged of each; ``data`` is ``name (digest)`` of each dataset that was
    logged as its input, sorted, empty where none was; ``parent`` the id of the run that it is nested in; ``commit`` the git
    commit of its source. ``user`` is whom the server names: often the name of an account on a machine, not of a person.
    """

    key: str
    id: str
    ended: int
    name: str = ""
    started: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    user: str = ""
    commit: str = ""
    source: str = ""
    parent: str = ""
    url: str = ""
    models: tuple[ModelVersion, ...] = ()
