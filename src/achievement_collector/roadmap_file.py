"""``roadmap.yaml``: the milestones that people plan, and where the file is wrong, line by line.

It is read as ``achievement-tracker.yaml`` is: nodes, not objects; no anchors, no tags. docs/roadmap.md has an example.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from achievement_collector import configuration_file as reading
from achievement_collector.config import UnusableError
from achievement_collector.errors import ConfigurationError
from achievement_collector.facts.milestones import Milestone, Origin, Statement, Status

_MOST_MISTAKES = 20
_STATUSES = {one.value.lower().replace(" ", ""): one for one in Status}


def _line(text: str) -> str:
    if not text.strip() or len(text) > 300 or any(ord(one) < 32 or ord(one) == 127 for one in text):
        raise UnusableError("must be text of one line, of at most 300 characters")
    return " ".join(text.split())


def _id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.:-]{0,99}", text, re.ASCII):
        raise UnusableError("must be one word such as stage-7.3: letters, digits, _ . : -")
    return text


def _status(text: str) -> str:
    if re.sub(r"[\s_-]", "", text.lower()) not in _STATUSES:
        raise UnusableError(f"must be one of {', '.join(_STATUSES[one].value for one in _STATUSES)}")
    return _STATUSES[re.sub(r"[\s_-]", "", text.lower())].value


def _day(text: str) -> str:
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text.strip()):
            raise ValueError
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise UnusableError("must be a day such as 2026-12-31") from None


def _place(text: str) -> str:
    if not re.fullmatch(r"(?:[\w.-]+/)?[A-Za-z0-9][\w-]{0,99}/[\w.-]{1,100}", text, re.ASCII):
        raise UnusableError("must be a repository such as acme/rocket")
    return text if text.count("/") == 2 else f"github.com/{text}"


def _github(text: str) -> str:
    found = re.fullmatch(r"(.+?)(?:/milestone)?[/#]([0-9]{1,9})", text)
    if found is None:
        raise UnusableError("must be a milestone such as acme/rocket/milestone/3")
    return f"{_place(found[1])}/milestone/{int(found[2])}"


def _linear(text: str) -> str:
    if not re.fullmatch(r"(?:linear/)?[A-Za-z0-9-]{1,100}", text, re.ASCII):
        raise UnusableError("must be the id of a project or a milestone in Linear")
    return f"linear/{text.removeprefix('linear/')}"


def _member(text: str) -> str:
    if found := re.fullmatch(r"(.+)#([0-9]{1,9})", text):
        return f"{_place(found[1])}#{int(found[2])}"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,9}-[0-9]{1,7}", text, re.ASCII):
        raise UnusableError("must be an issue or a pull request such as acme/rocket#12 or ENG-34")
    return text.upper()


_Line = Annotated[str, AfterValidator(_line)]
_Day = Annotated[str, AfterValidator(_day)]


class _Milestone(reading._Section):
    id: Annotated[str, AfterValidator(_id)]
    title: _Line | None = None
    aliases: list[_Line] | None = None
    status: Annotated[str, AfterValidator(_status)] | None = None
    start: _Day | None = None
    target: _Day | None = None
    completed: _Day | None = None
    github: list[Annotated[str, AfterValidator(_github)]] | None = None
    linear: list[Annotated[str, AfterValidator(_linear)]] | None = None
    labels: list[_Line] | None = None
    members: list[Annotated[str, AfterValidator(_member)]] | None = None
    repositories: list[Annotated[str, AfterValidator(_place)]] | None = None
    critical_workflows: list[_Line] | None = None

    def made(self) -> Milestone:
        said = (Statement(Status(self.status), Origin.FILE, self.status),) if self.status else ()
        return Milestone(
            self.id, self.title or "", Origin.FILE, tuple(self.aliases or ()),
            (*(self.github or ()), *(self.linear or ()), *(f"label/{one.casefold()}" for one in self.labels or ())),
            tuple(self.labels or ()), tuple(self.members or ()), "", tuple(self.repositories or ()),
            tuple(self.critical_workflows or ()), said, _date(self.start), _date(self.target), _noon(self.completed),
        )  # fmt: skip


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _noon(text: str | None) -> int | None:
    """A day as a moment: noon, UTC."""
    day = _date(text)
    return None if day is None else ((day - date(1970, 1, 1)).days * 24 + 12) * 3_600_000


def _different(found: list[_Milestone]) -> list[_Milestone]:
    ids: set[str] = set()
    claimed: dict[str, str] = {}
    for one in found:
        if one.id.lower() in ids:
            raise UnusableError(f"has the id {one.id!r} twice")
        ids.add(one.id.lower())
        for key in (
            *(one.github or ()),
            *(one.linear or ()),
            *(label.casefold() for label in one.labels or ()),
        ):
            if claimed.setdefault(key, one.id) != one.id:
                raise UnusableError(f"puts {key!r} into both {claimed[key]!r} and {one.id!r}")
    return found


class _File(reading._Section):
    milestones: Annotated[list[_Milestone], Field(max_length=1000), AfterValidator(_different)] | None = None


def read_roadmap(path: Path) -> tuple[Milestone, ...]:
    """The milestones that the file plans.

    Raises :class:`ConfigurationError`; its message has a line of text for each of the first mistakes, with file, line and
    key.
    """
    try:
        document = reading._document(reading._text(path))
        try:
            given = _File.model_validate(document.value)
        except ValidationError as error:
            told = sorted(_in_words(one, document) for one in error.errors(include_url=False))
            if len(rest := told[_MOST_MISTAKES:]) > 1:
                told = [
                    *told[:_MOST_MISTAKES],
                    (rest[0][0], f"this and {len(rest) - 1} more mistakes follow"),
                ]
            raise reading._FileError(told) from None
    except reading._FileError as mistakes:
        raise ConfigurationError(
            ";\n".join(f"{path}, line {line}: {text}" for line, text in mistakes.found)
        ) from None
    return tuple(one.made() for one in given.milestones or ())


def _in_words(error: ErrorDetails, document: reading._Document) -> tuple[int, str]:
    place: reading.Place = tuple(error["loc"])
    whole = place
    while place not in document.lines:
        place = place[:-1]
    line, kind = document.lines[place], error["type"]
    if kind == "extra_forbidden":
        name, known = str(place[-1]), _keys(place[:-1])
        close = get_close_matches(name.replace("-", "_").lower(), known, 1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return line, f"{reading._dotted(place)} is not a key of this file ({hint})"
    if kind == "model_type":
        return line, f"{reading._dotted(place)} must hold keys: {', '.join(_keys(place))}"
    if kind == "missing":
        return line, f"{reading._dotted(whole)} is not given"
    context: dict[str, Any] = error.get("ctx", {})
    told = str(context["error"]) if kind == "value_error" else _words(error, context)
    written = document.written.get(place)
    return line, f"{reading._dotted(place)} {told}" + (
        f", not {written[:40]!r}" if written is not None else ""
    )


def _words(error: ErrorDetails, context: Mapping[str, Any]) -> str:
    return reading._WORDS.get(error["type"], error["msg"]).format(**context)


def _keys(place: reading.Place) -> list[str]:
    section: type[BaseModel] = _Milestone if place[:1] == ("milestones",) else _File
    return list(section.model_fields)
