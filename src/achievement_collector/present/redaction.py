"""Redaction: names that must not leave are replaced everywhere before anything is presented."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from achievement_collector.derive.conclusions import Achievement, AchievementKind, Record
from achievement_collector.errors import ConfigurationError

_SECTIONS = ("repositories", "customers", "people", "words")


@dataclass(frozen=True, slots=True)
class Redactions:
    """Old to new, by what they are. Matching ignores case and takes whole words; the longest goes first."""

    repositories: Mapping[str, str]
    customers: Mapping[str, str]
    people: Mapping[str, str]
    words: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.repositories or self.customers or self.people or self.words)


def load_redactions(path: Path) -> Redactions:
    """Reads a TOML file with the tables repositories, customers, people and words, each ``"old" = "new"``."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the redactions {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the redactions {path} are no valid TOML: {error}") from None
    unknown = sorted(set(data) - set(_SECTIONS))
    if unknown:
        raise ConfigurationError(f"{path} has the table {unknown[0]!r}; known are {', '.join(_SECTIONS)}")
    for name, table in data.items():
        if not isinstance(table, dict) or not all(isinstance(new, str) for new in table.values()):
            raise ConfigurationError(f'in {path}, {name} must hold lines of the form "old" = "new"')
        if any(not old.strip() for old in table):
            raise ConfigurationError(f"in {path}, {name} redacts an empty text")
    return Redactions(*(data.get(name, {}) for name in _SECTIONS))


def redact(record: Record, redactions: Redactions) -> Record:
    """The record with every text redacted. Links of redacted repositories are dropped, since addresses and
    shas lead back to what was hidden; so are addresses of redacted people."""
    if not redactions:
        return record
    replacing = _Replacing(redactions)
    hidden = {
        place.key for place in record.repositories if replacing.names_repository(place.key, place.web_url)
    }
    hidden |= {
        one.repository
        for one in (*record.achievements, *record.gathered)
        if replacing.names_repository(one.repository, "")
    }
    achievements = tuple(
        _achievement(one, replacing, one.repository in hidden) for one in record.achievements
    )
    places = tuple(
        place._replace(
            key=replacing(place.key), web_url="" if place.key in hidden else replacing(place.web_url)
        )
        for place in record.repositories
    )
    person = replacing(record.person)
    return replace(
        record,
        achievements=achievements,
        repositories=places,
        person=person,
        email="" if person != record.person else replacing(record.email),
        selection=replacing(record.selection),
        skills=tuple(skill._replace(name=replacing(skill.name)) for skill in record.skills),
        gathered=tuple(_achievement(one, replacing, one.repository in hidden) for one in record.gathered),
        measured=replacing.everywhere(record.measured),
    )


def _achievement(one: Achievement, replacing: _Replacing, is_hidden: bool) -> Achievement:
    if not is_hidden:
        told: Achievement = replacing.everywhere(one)
        return told
    title = one.title
    name = one.repository.rpartition("/")[2]
    if one.kind is AchievementKind.RELEASE and title.lower().startswith(f"{name} release".lower()):
        title = f"{one.repository}{title[len(name) :]}"  # the rules wrote the name; the user redacts the whole of it
    changed: Achievement = replacing.everywhere(replace(one, title=title), also=without_shas)
    evidence = tuple(
        item._replace(url="", reference="withheld" if item.kind == "commit" else item.reference)
        for item in changed.evidence
    )
    return replace(changed, evidence=evidence, commits=(), pull_request=None)


_SHA = re.compile(r"(?<![^\W_])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}(?![^\W_])")


def without_shas(text: str) -> str:
    """A text in which commits are withheld: a message may name them, and so may the words about where a fact came from."""
    return _SHA.sub("withheld", text)


class _Replacing:
    def __init__(self, redactions: Redactions) -> None:
        self._new: dict[str, str] = {}
        self._repositories = tuple(name.lower() for name in redactions.repositories)
        for table in (redactions.repositories, redactions.customers, redactions.people, redactions.words):
            for old, new in table.items():
                self._new.setdefault(" ".join(old.lower().split()), new)
        ordered = sorted(self._new, key=lambda old: (-len(old), old))
        self._pattern = re.compile(
            "|".join(rf"(?<![^\W_])(?:{_spaced(old)})(?![^\W_])" for old in ordered), re.IGNORECASE
        )

    def __call__(self, text: str) -> str:
        return self._pattern.sub(lambda match: self._new[" ".join(match[0].lower().split())], text)

    def names_repository(self, key: str, url: str) -> bool:
        told = f"{key} {url}".lower()
        return any(name in told for name in self._repositories) or self(key) != key

    def everywhere(self, value: Any, also: Callable[[str], str] = str) -> Any:
        """The same structure with every text redacted, and then changed by ``also``."""
        if isinstance(value, str):
            # enumerations are our own words
            return also(self(value)) if type(value) is str else value
        if is_dataclass(value) and not isinstance(value, type):
            changed = {
                f.name: self.everywhere(getattr(value, f.name), also) for f in fields(value) if f.name != "id"
            }
            return replace(value, **changed)
        if isinstance(value, tuple):
            parts = [self.everywhere(part, also) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        return value


def _spaced(old: str) -> str:
    return r"\s+".join(re.escape(word) for word in old.split())
