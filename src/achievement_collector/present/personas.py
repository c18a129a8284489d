"""Readers: each chooses, orders and words the same facts. None adds one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from achievement_collector.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Persona:
    """A reader. ``sections`` and ``details`` are shown in this order; ``score`` names the score that is shown
    beside a title, empty where none is."""

    key: str
    title: str
    reader: str
    order: str
    sections: tuple[str, ...]
    details: tuple[str, ...]
    highlights: str
    score: str
    categories: Mapping[str, str] = field(default_factory=dict)

    def category(self, name: str) -> str:
        return self.categories.get(name, name)


@cache
def personas() -> Mapping[str, Persona]:
    data = tomllib.loads((files(__package__) / "rules" / "personas.toml").read_text("utf-8"))
    return {
        key: Persona(
            key,
            entry["title"],
            entry["reader"],
            entry["order"],
            tuple(entry["sections"]),
            tuple(entry["details"]),
            entry["highlights"],
            entry["score"],
            entry.get("categories", {}),
        )
        for key, entry in data.items()
    }


def persona(name: str) -> Persona:
    """The persona of this name, written with hyphens or underscores."""
    key = name.strip().lower().replace("-", "_")
    if key not in personas():
        raise ConfigurationError(f"{name!r} is no persona; choose from {', '.join(personas())}")
    return personas()[key]
