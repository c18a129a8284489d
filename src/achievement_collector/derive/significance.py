"""Which changes are achievements, by the documented rule.

A change counts when it declares a conventional type, or has more than a set number of changed lines that are
work, or its title holds a word such as implement, build or deploy. Whatever is only generated, vendored,
locked, moved, reformatted or a version number does not.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from achievement_collector.derive.conclusions import Size

_WORD = re.compile(r"[A-Za-z][A-Za-z']*")


class Verdict(NamedTuple):
    """``reason`` says in words why a change counts, or why it is left out."""

    is_significant: bool
    reason: str


@cache
def _words() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    data = tomllib.loads((files(__package__) / "rules" / "significance.toml").read_text("utf-8"))
    return frozenset(data["words"]), frozenset(data["not_after"]), frozenset(data["names_after"])


def telling_word(title: str) -> str | None:
    """The first word of a title that tells of an achievement; None where there is none."""
    telling, not_after, names_after = _words()
    words: list[str] = [word.lower() for word in _WORD.findall(title[:500])]
    for number, word in enumerate(words):
        if word not in telling or (number and words[number - 1] in not_after):
            continue
        is_name = word in ("build", "builds", "deployment", "migration", "implementation")
        if is_name and number + 1 < len(words) and words[number + 1] in names_after:
            continue
        if is_name and word == "build" and number:  # "the build", "docs build": a thing
            continue
        return word
    return None


def judge(
    title: str,
    declared_type: str | None,
    size: Size,
    *,
    min_lines: int = 50,
    is_version_bump: bool = False,
) -> Verdict:
    """The verdict on a change. ``min_lines`` is the number of lines that must be exceeded."""
    if not size.is_measured:
        return Verdict(
            False, "not measured: the history is cut or damaged here, so what it changed is unknown"
        )
    if not size.lines:
        if size.left_out:
            most, lines = max(size.left_out, key=lambda item: item[1])
            more = "" if len(size.left_out) == 1 else " and others"
            told = f": {lines:,} lines" if lines else ""
            return Verdict(False, f"nothing that counts as work: {most}{more}{told}")
        return Verdict(False, "no changed lines of text")
    if is_version_bump and size.lines <= min_lines:
        return Verdict(False, f"version bump with {size.lines:,} other changed lines")
    if declared_type:
        return Verdict(True, f'declared type "{declared_type}"')
    if size.lines > min_lines:
        return Verdict(True, f"{size.lines:,} changed lines, more than {min_lines}")
    word = telling_word(title)
    if word:
        return Verdict(True, f'its title says "{word}"')
    changed = "1 changed line" if size.lines == 1 else f"{size.lines:,} changed lines"
    return Verdict(
        False,
        f"{changed} (not more than {min_lines}), no declared type, no word that tells of an achievement",
    )
