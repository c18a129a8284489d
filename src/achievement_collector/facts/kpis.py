"""Key performance indicators: what is measured, and the values that were recorded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

GREATEST_STATED = 1e15
"""The size up to which values and targets are taken from people, programs and the configuration."""


class Direction(StrEnum):
    """Which way a value gets better."""

    HIGHER = "higher"
    LOWER = "lower"

    def gain(self, before: float, after: float) -> float:
        """How much better ``after`` is than ``before``, in the unit of both; negative where it is worse."""
        return after - before if self is Direction.HIGHER else before - after

    def reaches(self, value: float, target: float) -> bool:
        return self.gain(target, value) >= 0


class Sample(NamedTuple):
    """A value and when it held, in milliseconds since 1970 (UTC). Values are finite."""

    at: int
    value: float


@dataclass(frozen=True, slots=True)
class Kpi:
    """A key performance indicator as it is configured.

    ``query`` is PromQL, empty where values are told by people or programs only; ``target`` the fixed threshold, in ``unit``
    as the values are (``s``, ``$``, ``ratio``, ``count`` ...); ``money_per_unit`` what one unit is worth, where
    somebody stated it; ``is_counter`` says that the series counts up and restarts at 0;
    ``metric`` is the epic's business metric that it measures; ``repositories`` and ``environments`` narrow the deployments
    that may have moved it (all where empty); ``rollout_query`` gives the same measure for each version that runs, told apart
    by ``rollout_label``, so that versions can be compared side by side.
    """

    name: str
    query: str = ""
    title: str = ""
    direction: Direction = Direction.HIGHER
    target: float | None = None
    unit: str = ""
    money_per_unit: float | None = None
    currency: str = "$"
    is_counter: bool = False
    metric: str = ""
    repositories: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    rollout_query: str = ""
    rollout_label: str = "version"


@dataclass(frozen=True, slots=True)
class Series:
    """One time series of a KPI. ``labels`` tell it from the others that the same query gives; ``samples`` are in time's
    order, one for each moment."""

    kpi: str
    labels: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()

    @property
    def name(self) -> str:
        """``latency{job="api"}``, or the KPI's name alone where there are no labels."""
        if not self.labels:
            return self.kpi
        inside = ", ".join(f'{name}="{value}"' for name, value in sorted(self.labels.items()))
        return f"{self.kpi}{{{inside}}}"
