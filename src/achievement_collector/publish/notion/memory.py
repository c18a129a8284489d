"""What has to be known from one run to the next. Without it nothing goes wrong, but less is noticed."""

from __future__ import annotations

from typing import Any, Protocol


class Memory(Protocol):
    """A store of JSON values by name, durable when :meth:`keep` returns."""

    def recall(self, name: str) -> Any:
        """What was kept under ``name``, None where nothing was."""

    def keep(self, name: str, value: Any) -> None: ...
