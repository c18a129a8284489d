"""How a log says that it ended, and which part of it failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from achievement_collector.derive.failures.reading import line_of, next_line


class Outcome(StrEnum):
    """``UNSAID`` where the log has no line that tells how the job ended: a part of a log, or the output of one tool."""

    FAILED = "failed"
    PASSED = "passed"
    UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a log, in bytes: from ``start`` up to ``end``. ``marker`` is where the line begins that tells its failure."""

    start: int
    end: int
    marker: int | None = None


_COMMAND = re.compile(rb'the command "(.*)" (?:failed and )?exited with (-?\d+)')
_GROUP = re.compile(rb"##\[group\]run ")
_ENDS = re.compile(
    rb"(?:^|\n)[^\n]{0,80}?(?:(finished: success|job succeeded|your build exited with 0\b)"
    rb"|(finished: (?:failure|unstable|aborted)|error: job failed|your build exited with [1-9]|##\[error\]job failed))"
)
_RED_TAIL = re.compile(
    rb"npm err!|npm error |elifecycle|error command failed with exit code|(?:^|\n)\S{0,20}make(?:\[\d+\])?: \*\*\* "
    rb"|exited with (?:code )?[1-9]|(?:^|\n)build failed|exit (?:status|code) [1-9]"
)
_STEP_CODE = b"process completed with exit code "
_ERROR = b"##[error]"
_END_OF_GITHUB_JOB = (b"cleaning up orphan processes", b"post job cleanup.")
_TAIL = 4_000
_LAST_WORDS = 1_500
_MOST = 8
_LONGEST_COMMAND = 4_000


def outcome(low: bytes) -> tuple[Outcome, tuple[Section, ...]]:
    """The outcome and the parts to look at, in order; ``low`` is the log in lower case. No part where it passed."""
    whole = Section(0, len(low))
    if found := _travis(low):
        return found
    if _ERROR in low:
        return Outcome.FAILED, _github(low)
    ends = list(_ENDS.finditer(low, max(0, len(low) - _TAIL)))
    if ends:
        last = ends[-1]
        if last[1]:
            return Outcome.PASSED, ()
        marker = line_of(low, last.start(2))
        return Outcome.FAILED, (Section(_script_of_gitlab(low, marker), next_line(low, marker), marker),)
    if any(low.find(end, max(0, len(low) - 20_000)) >= 0 for end in _END_OF_GITHUB_JOB):
        return Outcome.PASSED, ()
    if _RED_TAIL.search(low, max(0, len(low) - _LAST_WORDS)):
        return Outcome.FAILED, (whole,)
    return Outcome.UNSAID, (whole,)


def _travis(low: bytes) -> tuple[Outcome, tuple[Section, ...]] | None:
    """Each command says how it exited, and the last line how the build did."""
    sections: list[Section] = []
    green, begin = [0], 0
    place = low.find(b"exited with ")
    while place >= 0:
        start, end = line_of(low, place), next_line(low, place)
        near = max(start, place - _LONGEST_COMMAND), min(end, place + 40)
        if command := _COMMAND.search(low, *near):
            if int(command[2]):
                sections.append(Section(_begin_of(low, command[1], begin, start), end, start))
            else:
                green.append(end)
            begin = end
        place = low.find(b"exited with ", end)
    said = low.rfind(b"done. your build exited with ")
    if sections:
        return Outcome.FAILED, tuple(sections[:_MOST])
    if said >= 0:
        if low[said + 29 : said + 31] in (b"0.", b"0\n", b"0\r", b"0"):
            return Outcome.PASSED, ()
        return Outcome.FAILED, (Section(begin, next_line(low, said), line_of(low, said)),)
    if len(green) > 1:  # it was cut off: what came after the last command that went well
        return Outcome.FAILED, (Section(begin, len(low)),)
    return None


def _begin_of(low: bytes, command: bytes, begin: int, end: int) -> int:
    """Travis shows a command before it runs it, after a dollar sign."""
    shown = low.find(b"$ " + command[:80].rstrip(), begin, end)
    return line_of(low, shown) if shown >= 0 else begin


def _github(low: bytes) -> tuple[Section, ...]:
    """A step ends with its exit code, and begins with a group of what it runs."""
    sections: list[Section] = []
    begin = 0
    place = low.find(_STEP_CODE)
    while place >= 0 and len(sections) < _MOST:
        marker, end = line_of(low, place), next_line(low, place)
        group = low.rfind(b"##[group]run ", begin, place)
        sections.append(Section(line_of(low, group) if group >= 0 else begin, end, marker))
        begin = end
        place = low.find(_STEP_CODE, end)
    if sections:
        return tuple(sections)
    first, last = low.find(_ERROR), low.rfind(_ERROR)
    group = low.rfind(b"##[group]run ", 0, first)
    return (Section(line_of(low, group) if group >= 0 else 0, next_line(low, last)),)


def _script_of_gitlab(low: bytes, marker: int) -> int:
    script = low.rfind(b":step_script", 0, marker)
    if script < 0:
        script = low.rfind(b":build_script", 0, marker)
    begin = low.rfind(b"section_start:", 0, script) if script >= 0 else -1
    return line_of(low, begin) if begin >= 0 else 0
