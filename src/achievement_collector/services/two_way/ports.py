"""What a two-way sync asks of a side, and how a side tells that something went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from achievement_collector.derive.merging import Side, Value
from achievement_collector.derive.sync_plan import Item
from achievement_collector.errors import CollectorError


class ChangedError(Exception):
    """The item does not hold the expected values any more; nothing was written. ``item`` is how it is now, None where it is
    not there."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("changed meanwhile")
        self.item = item


class RefusedError(CollectorError):
    """A write that is not valid, and would not be if it were sent again; nothing was written."""


class NoAccessError(CollectorError):
    """The side lets us do nothing more (401, 403); nothing was written."""


class PostponedError(CollectorError):
    """A limit is used up; nothing was written."""


class UncertainError(CollectorError):
    """No answer came: it is not known whether the write arrived."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a side showed. ``is_whole`` is False where the list was cut off, and ``told`` says how."""

    items: Sequence[Item]
    is_whole: bool = True
    told: str = ""


class Port(Protocol):
    """One side. Values are canonical in both directions."""

    @property
    def side(self) -> Side: ...

    def sweep(self, since: int | None) -> Sweep:
        """All items, or those that changed since a moment (milliseconds since 1970, to be understood generously)."""

    def read(self, item: str) -> Item | None:
        """One item by its id; None where it is not there or hidden, an item that is ``gone`` where that is told."""

    def write(self, item: str, values: Mapping[str, Value], expected: Mapping[str, Value]) -> Item:
        """Writes values, after a look whether ``expected`` still holds; gives the item as the server answered.

        Raises :class:`ChangedError`, :class:`RefusedError`, :class:`NoAccessError`, :class:`PostponedError` (nothing was written)
        or :class:`UncertainError`.
        """

    def create(self, thing: str, values: Mapping[str, Value]) -> Item:
        """Makes an item, its key included. Raises as :meth:`write` does."""

    def find(self, key: str, since: int) -> Sequence[Item]:
        """The items with this key that were made since a moment, oldest first; never from an index that lags."""
