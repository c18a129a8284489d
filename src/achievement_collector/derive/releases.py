"""Releases: tags that name a version, and which changes each was the first to hold.

An annotated tag is a release when its name holds a version number, or when it is the only kind of tag the
project makes; a lightweight tag is one only when its name is a version. Pre-releases (``rc``, ``beta`` ...) are
no achievements of their own: their changes belong to the final release that follows them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from achievement_collector.derive.history import History
from achievement_collector.facts import Tag

_VERSION = re.compile(
    r"(?P<prefix>|.*?(?:[-_/@+.]|[a-zA-Z](?=[-_]?\d)|(?<=[-_/@])v|^v|^V))"
    r"(?P<numbers>\d{1,8}(?:[._-]\d{1,8}){0,4})"
    r"(?P<rest>(?:[-_.+~]?[A-Za-z][\w.+~-]*)?)"
)
_PRE = re.compile(
    r"(?:^|[-_.+~\d])(?:rc|pre|preview|alpha|beta|dev|a|b|m|milestone|snapshot|nightly|canary|next|insiders?|ea|cr|test|wip)"
    r"[-_.]?\d*(?:[-_.+~].*)?$",
    re.IGNORECASE,
)


_PRE_BEFORE = re.compile(
    r"(?:^|[-_/.@])(?:rc|pre|preview|alpha|beta|dev|snapshot|nightly|canary|candidate)[-_/.]?v?$",
    re.IGNORECASE,
)
_RECENT = 100  # releases of a family that may be the one before


class Version(NamedTuple):
    """``family`` is what stands before the number, so that ``lib-v1.2`` and ``cli-v1.2`` are not compared."""

    family: str
    numbers: tuple[int, ...]
    suffix: str
    is_final: bool


def parse_version(name: str) -> Version | None:
    """The version that a tag's name holds; None where it holds none."""
    if len(name) > 200:
        return None
    match = _VERSION.fullmatch(name)
    if match is None:
        return None
    numbers = tuple(int(part) for part in re.split(r"[._-]", match["numbers"]))
    prefix, rest = match["prefix"], match["rest"]
    if (len(numbers) == 1 and not prefix) or rest.lower() == ".x":
        return None  # a bare number is a build or a year; "2.1.x" a line of development
    family = re.sub(
        r"(?:^|(?<=[-_/@.]))(?:v|version|release|rel|ver)?[-_/.]?$", "", prefix, flags=re.IGNORECASE
    )
    return Version(
        family.lower().strip("-_/.@"), numbers, rest, not (_PRE.search(rest) or _PRE_BEFORE.search(prefix))
    )


@dataclass(frozen=True, slots=True)
class Release:
    """A release. ``previous`` is the tag before it in its family, empty for the first; ``level`` says how it
    differs from that: major, minor or patch, empty where the numbers do not tell."""

    tag: Tag
    version: Version | None
    target: int
    occurred: int
    zone: int
    previous: str = ""
    level: str = ""


def find_releases(history: History, tags: Sequence[Tag]) -> tuple[list[Release], list[Release]]:
    """(final releases, pre-releases), both in order of time.

    Of several tags on one commit and of one family the annotated one, else the longest name, is taken. A
    commit that is not in the history is passed over.
    """
    found: dict[tuple[int, str, bool], Release] = {}
    has_versions = any(parse_version(tag.name) for tag in tags)
    for tag in tags:
        target = history.number_of(tag.target)
        version = parse_version(tag.name)
        if target is None or (version is None and (has_versions or not tag.is_annotated)):
            continue
        occurred = tag.tagged.seconds if tag.tagged else history.committed[target]
        zone = tag.tagged.offset_minutes if tag.tagged else 0
        is_final = version is None or version.is_final
        key = (target, version.family if version else tag.name, is_final)
        release = Release(tag, version, target, occurred, zone)
        if key not in found or _rank(release) > _rank(found[key]):
            found[key] = release
    final: list[Release] = []
    early: list[Release] = []
    last: dict[str, list[Release]] = {}
    for release in sorted(found.values(), key=_moment):
        if release.version is not None and not release.version.is_final:
            early.append(release)
            continue
        final.append(_with_previous(release, last))
    return final, early


def _rank(release: Release) -> tuple[bool, int, str]:
    return (release.tag.is_annotated, len(release.tag.name), release.tag.name)


def _moment(release: Release) -> tuple[int, tuple[int, ...], str]:
    return (release.occurred, release.version.numbers if release.version else (), release.tag.name)


def _with_previous(release: Release, last: dict[str, list[Release]]) -> Release:
    """The release with the one before it: the highest earlier one of its family that is lower than it."""
    version = release.version
    family = last.setdefault(version.family if version else "", [])
    before = None
    if version is None:
        before = family[-1] if family else None
    else:
        own = _filled(version.numbers)
        lower = [(_filled(r.version.numbers), n) for n, r in enumerate(family[-_RECENT:]) if r.version]
        best = max((pair for pair in lower if pair[0] < own), default=None)
        before = family[-_RECENT:][best[1]] if best else None
    level = _level(before.version.numbers, version.numbers) if before and before.version and version else ""
    release = Release(
        release.tag,
        version,
        release.target,
        release.occurred,
        release.zone,
        before.tag.name if before else "",
        level,
    )
    family.append(release)
    return release


def _filled(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return (*numbers, 0, 0, 0, 0, 0)[:5]


def _level(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    if _is_date(after):
        return ""
    one, two = _filled(before), _filled(after)
    if one[0] != two[0]:
        return "major"
    return "minor" if one[1] != two[1] else "patch"


def _is_date(numbers: tuple[int, ...]) -> bool:
    """Whether a version is a day or month (2026.11, 20261121): it says nothing about its changes."""
    return numbers[0] >= 1990


def first_releases(history: History, releases: Sequence[Release]) -> list[int]:
    """For every commit the index in ``releases`` of the first one that holds it, -1 where none does.

    Linear in the history: releases are taken in order of time, and each takes what is not yet taken.
    """
    first = [-1] * len(history)
    seen = bytearray(len(history))
    for index in sorted(range(len(releases)), key=lambda i: _moment(releases[i])):
        for number in history.reachable([releases[index].target], seen):
            first[number] = index
    return first
