"""From a release and what it gathered to an achievement."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.achievements import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Conclusion,
    listed_part,
    storable_text,
)
from achievement_collector.derive.conclusions import AchievementKind, Category, Role
from achievement_collector.derive.releases import Release
from achievement_collector.derive.scores import (
    raw_total,
    release_complexity_parts,
    release_parts,
    scaled_value,
)


class ReleaseFacts(NamedTuple):
    """A release with what it gathered: counted changes first released in it, and the people behind them."""

    release: Release
    project: str
    changes: int
    by_category: Mapping[str, int]
    people: int
    releaser: int | None  # signature id
    releaser_is_person: bool
    target: str


_SIGNATURE_BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.*", re.DOTALL)


def conclude_release(facts: ReleaseFacts) -> Conclusion:
    """The achievement that a release is."""
    release = facts.release
    impact = release_parts(
        release.level,
        facts.changes,
        facts.by_category.get(Category.FEATURE.value, 0),
        facts.by_category.get(Category.BUGFIX.value, 0),
        facts.people,
    )
    complexity = release_complexity_parts(facts.changes, facts.people)
    message = _SIGNATURE_BLOCK.sub("", release.tag.message).strip()
    told = message if "\n" in message or " " in message else ""
    label = Category.RELEASE
    detail = {
        "impact": [listed_part(part) for part in impact],
        "complexity": [listed_part(part) for part in complexity],
        "started": None,
        "confidence": 1.0,
        "labels": [label.value],
        "basis": "an annotated tag" if release.tag.is_annotated else "a version tag",
        "reason": "a release",
        "tag": storable_text(release.tag.name),
        "target": facts.target,
        "previous": storable_text(release.previous),
        "changes": facts.changes,
        "by_category": dict(facts.by_category),
        "commits": [],
    }
    credited = (
        ((facts.releaser, Role.RELEASER.value, 0),) if facts.releaser and facts.releaser_is_person else ()
    )
    return Conclusion(
        f"release/{storable_text(release.tag.name)}",
        AchievementKind.RELEASE.value,
        storable_text(_release_title(facts))[:LONGEST_TITLE],
        storable_text(told)[:LONGEST_DESCRIPTION],
        label.value,
        scaled_value(raw_total(complexity), 1.0),
        release.occurred,
        release.zone,
        True,
        False,
        "",
        round(raw_total(impact), 3),
        None,
        storable_text(release.tag.name),
        f"{RULES_VERSION} {facts.changes} {sorted(facts.by_category.items())} {facts.people}"[:40],
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")),
        (),
        credited,
    )


def _release_title(facts: ReleaseFacts) -> str:
    """``project release 1.2.0``; the tag's own words stand for the project where it has any."""
    version = facts.release.version
    if version is None:
        return f"{facts.project} release {facts.release.tag.name}"
    numbers = ".".join(str(number) for number in version.numbers)
    return f"{version.family or facts.project} release {numbers}{version.suffix}"
