"""Reading bodies from outside: take what is there and of the right kind, tolerate everything else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_TEXT = 20_000
"""Characters of a description that are kept."""

_YEAR_2200 = 7_258_118_400_000  # milliseconds since 1970


class Body:
    """A JSON object from outside. Every question has an answer: what is missing or of another kind is None or empty."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def __bool__(self) -> bool:
        return bool(self.data)

    def inner(self, *names: str) -> Body:
        data: Any = self.data
        for name in names:
            data = data.get(name) if isinstance(data, Mapping) else None
        return Body(data)

    def each(self, name: str) -> list[Body]:
        value = self.data.get(name)
        return [Body(one) for one in value] if isinstance(value, list) else []

    def text(self, name: str, longest: int = LONGEST_TEXT) -> str:
        """A text without what no database takes (NUL, lone surrogates); empty where there is none."""
        value = self.data.get(name)
        if not isinstance(value, str):
            return ""
        return value[:longest].replace("\0", "�").encode("utf-8", "replace").decode()

    def whole(self, name: str) -> int | None:
        value = self.data.get(name)
        return (
            value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62 else None
        )

    def number(self, name: str) -> float | None:
        value = self.data.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != value
            or abs(value) > 1e300
        ):
            return None
        return value

    def truth(self, name: str) -> bool | None:
        value = self.data.get(name)
        return value if isinstance(value, bool) else None

    def moment(self, name: str) -> int | None:
        """Milliseconds since 1970: from ISO 8601 text, or from seconds (as old GitHub bodies have them) or milliseconds."""
        return moment(self.data.get(name))

    def names(self, name: str, field: str = "name") -> list[str]:
        """The ``field`` of each object in a list."""
        return [text for one in self.each(name) if (text := one.text(field, 200))]


def moment(value: Any) -> int | None:
    """A moment in milliseconds since 1970, None where ``value`` is none. What lies outside of 1970 to 2200 is none either:
    programs write such dates for "not set" (0001-01-01, 1970-01-01, 9999-12-31), and no measure could be taken from them."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 < value < _YEAR_2200:
            return None
        return _plausible(value if value > 1e11 else value * 1000)
    if not isinstance(value, str) or not value:
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    try:
        return _plausible(round(when.timestamp() * 1000))
    except (OverflowError, ValueError):
        return None


def _plausible(milliseconds: float) -> int | None:
    return int(milliseconds) if 0 < milliseconds < _YEAR_2200 else None


def present(**fields: Any) -> dict[str, Any]:
    """The fields that were told: those not None."""
    return {name: value for name, value in fields.items() if value is not None}
