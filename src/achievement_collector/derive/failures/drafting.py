"""What people look at to name failures that no rule knows, and a signature to begin with; what it means they alone can tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from achievement_collector.derive.failures.categories import FailureCategory

_LONGEST = 160  # characters of a line that the pattern is made of
_WORD = re.compile(r"\S+")
_OTHERS = (FailureCategory.UNKNOWN, FailureCategory.NONE)


def last_lines(evidence: Iterable[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """The last lines of evidence that may tell something."""
    return [one for one in evidence if one["why"] != "exit marker" and one["text"].strip()][-most:]


def draft_signature(evidence: Sequence[Mapping[str, Any]]) -> str:
    """A signature in YAML (see :mod:`.signatures`) whose pattern knows the last of these lines of evidence that says something;
    empty where none does. Category and explanation are left to fill in."""
    lines = [str(one["text"]) for one in last_lines(evidence, len(evidence))]
    line = next((one for one in reversed(lines) if re.search(r"\w{3}", one)), "")
    words = list(_WORD.finditer("".join(one if one.isprintable() else " " for one in line[:_LONGEST])))
    if len(line) > _LONGEST and len(words) > 1:
        words.pop()  # it may have been cut
    name = re.sub(r"[^\w .:/-]+", " ", " ".join(one[0] for one in words).encode("ascii", "ignore").decode())
    name = " ".join(re.sub(r"^[^A-Za-z0-9]+", "", name).split())[:60].strip()
    if not words or not name:
        return ""
    pattern = ""
    for before, word in zip([None, *words], words, strict=False):
        if before is not None:  # what is not shown may stand between the words
            pattern += r"\s+" if line[before.end() : word.start()].isspace() else ".*"
        pattern += re.sub(r"\d+", r"\\d+", re.escape(word[0]))
    categories = ", ".join(one.value for one in FailureCategory if one not in _OTHERS)
    return (
        f"- name: {_quoted(name)}\n"
        "  version: 1\n"
        f"  pattern: {_quoted(pattern)}\n"
        f"  category: CATEGORY  # one of {categories}\n"
        "  explanation: WHAT IT MEANS, AND WHAT TO DO\n"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
