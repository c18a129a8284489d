"""How far back a PromQL query looks."""

from __future__ import annotations

import re

_TEXTS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*", re.S)
_RANGE = re.compile(r"\[\s*([0-9a-zA-Z.]+)\s*(?::[^\]]*)?\]")
_PART = re.compile(r"(\d+)(ms|y|w|d|h|m|s)")
_MILLISECONDS = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip


def widest_range(query: str) -> int:
    """The widest range of a query (``[1d]`` or, of a subquery, ``[1d:5m]``) in milliseconds, 0 where it has none.

    Values that are asked for at moments closer than that share what they are made of.
    """
    return max((_duration(text) for text in _RANGE.findall(_TEXTS.sub(" ", query))), default=0)


def _duration(text: str) -> int:
    """``1h30m`` as Prometheus writes it, or a number of seconds as it may from version 3 on; 0 for what is neither."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return round(float(text) * 1000)
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        return 0
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in parts)
