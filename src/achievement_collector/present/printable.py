"""Outside text made safe to show: no control characters, no bidirectional tricks, nothing a terminal obeys."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` with control, bidirectional and invisible characters taken out; line ends and tabs are kept."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("�", _CONTROL.sub("", text))


def one_line(text: str, most: int = 0) -> str:
    """``text`` on one line, cut with an ellipsis to ``most`` characters (0: not cut)."""
    line = " ".join(printable(text).split())
    return line if not most or len(line) <= most else line[: most - 1].rstrip() + "…"
