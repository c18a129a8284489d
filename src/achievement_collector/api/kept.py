"""Answers that count over everything, kept until a conclusion changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

from achievement_collector.ledger.revision import revision
from achievement_collector.ledger.store import Ledger

_MOST = 200
_Answer = TypeVar("_Answer")


class Kept:
    """The answers last asked for. One that is asked for by several at once is made once."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, tuple[int, object]] = OrderedDict()
        self._guard = threading.Lock()  # held for moments only, never while an answer is made
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, ledger: Ledger, key: Hashable, make: Callable[[], _Answer]) -> _Answer:
        """The answer for ``key``, made anew where the conclusions are not those it was made of."""
        with ledger.read() as connection:
            now = revision(connection)
        with self._guard:
            known = self._known(key, now)
            making = self._making.setdefault(key, threading.Lock())
        if known is not None:
            return known[1]  # type: ignore[return-value]
        with making:
            with self._guard:
                known = self._known(key, now)
            if known is not None:  # made while this one waited
                return known[1]  # type: ignore[return-value]
            answer = make()
            with self._guard:
                self._answers[key] = (now, answer)
                if len(self._answers) > _MOST:
                    self._making.pop(self._answers.popitem(last=False)[0], None)
            return answer

    def _known(self, key: Hashable, now: int) -> tuple[int, object] | None:
        known = self._answers.get(key)
        if known is None or known[0] != now:
            return None
        self._answers.move_to_end(key)
        return known
