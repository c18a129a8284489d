"""A raw log as lines that can be read: without time stamps, colours, folds and overwritten progress.

The log stays bytes, and a line is named by the byte at which it begins; only lines that someone asks for are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 2_000
"""Characters of a line that are looked at; what is longer is cut, with an ellipsis in place of the rest."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[mK]")  # nearly all that there are
_MARKS = re.compile(
    r"\x1b\[[0-9;:?<=>]*[ -/]*[@-~]"  # colours and cursor (CSI)
    r"|\x1b[\]P^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # titles and links (OSC and the like)
    r"|\x1b[()*+#%][0-9A-Za-z]|\x1b[=>78cDEHMNOZ]"
    r"|travis_(?:fold|time):(?:start|end):[\w.:,=-]*"
    r"|section_(?:start|end):\d+:[\w.-]+(?:\[[^\]]*\])?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_STAMP = re.compile(
    r"\ufeff?(?:[^\t\n]{1,200}\t[^\t\n]{0,200}\t)?"  # job and step, as `gh run view --log` puts them
    r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?(?: \d\d[OE][ +]| |\t|$)"
)
_ACTION = re.compile(r"^::(error|warning|notice|debug|group|endgroup)(?: [^:]*)?::")


def as_bytes(log: bytes | str) -> bytes:
    return log.encode("utf-8", "surrogateescape") if isinstance(log, str) else log


def next_line(log: bytes, start: int) -> int:
    """Where the line after that of ``start`` begins; ``len(log)`` or more where there is none."""
    end = log.find(b"\n", start)
    return len(log) if end < 0 else end + 1


def previous_line(log: bytes, start: int) -> int:
    """Where the line before the one that begins at ``start`` begins; -1 where there is none."""
    return log.rfind(b"\n", 0, start - 1) + 1 if start > 0 else -1


def line_of(log: bytes, place: int) -> int:
    """Where the line that holds ``place`` begins."""
    return log.rfind(b"\n", 0, place) + 1


def text_at(log: bytes, start: int) -> str:
    """The line that begins at ``start`` as a person would read it."""
    end = log.find(b"\n", start, start + 4 * LONGEST)
    if end >= 0 or len(log) - start <= 4 * LONGEST:
        return readable(log[start : len(log) if end < 0 else end])
    return readable(log[start : start + 4 * LONGEST])


def readable(line: bytes) -> str:
    """A line without what only a terminal or a CI system needs. Bytes that are no UTF-8 become U+FFFD."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    if "\x1b[" in text:
        text = _COLOURS.sub("", text)
    if "\x1b" in text or "travis_" in text or "section_" in text or "\x08" in text or "\x00" in text:
        text = _MARKS.sub("", text)
    if text[:4].isdigit() or text[:1] in "\ufeff[" or "\t" in text:
        stamp = _STAMP.match(text)
        if stamp:
            text = text[stamp.end() :]
            if "\x1b" in text:
                text = _MARKS.sub("", text)
    if "\r" in text:  # what a terminal would show last
        text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
    if text.startswith("::"):
        text = _ACTION.sub(lambda found: f"##[{found[1]}]", text)
    text = text.rstrip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def lines_of(log: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Where each line begins, from ``start`` up to ``end``."""
    stop = len(log) if end is None else min(end, len(log))
    while start < stop:
        yield start
        start = next_line(log, start)
