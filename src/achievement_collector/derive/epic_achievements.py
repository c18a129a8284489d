"""From an epic that is complete to an achievement. What it gathers is not counted again: it is listed apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from achievement_collector.derive.achievements import LONGEST_TITLE, Conclusion, listed_part, storable_text
from achievement_collector.derive.conclusions import (
    AchievementKind,
    Category,
    CategoryCall,
    Evidence,
    Role,
    ScorePart,
)
from achievement_collector.derive.epics import Rolled, full_title
from achievement_collector.derive.scores import raw_total, scaled_value


def epic_parts(
    structure: Mapping[str, Any], gathered: Sequence[Rolled]
) -> tuple[tuple[ScorePart, ...], tuple[ScorePart, ...]]:
    """(impact, complexity) in named parts, saturating in the number of things gathered."""
    counted = [one for one in gathered if one.is_counted]
    impact: list[ScorePart] = []
    complexity: list[ScorePart] = []
    if counted:
        count, best = len(counted), max(counted, key=lambda one: one.impact)
        noun = "achievement" if count == 1 else "achievements"
        impact.append(ScorePart("gathers", 40.0 * count / (count + 4), f"{count} counted {noun}"))
        impact.append(
            ScorePart("best of it", 0.35 * best.impact, f'impact {best.impact} of "{best.title[:80]}"')
        )
        complexity.append(ScorePart("gathers", 60.0 * count / (count + 6), f"{count} counted {noun}"))
    gain = structure["metrics"]["technical"]["best_performance_gain"]
    if gain["value"] is not None:
        impact.append(ScorePart("measured", 15.0 * gain["value"] / (gain["value"] + 0.25), gain["text"]))
    people = len({name for one in counted for name in one.people})
    if people > 1:
        impact.append(ScorePart("people", 10.0 * (people - 1) / (people + 2), f"the work of {people} people"))
        complexity.append(
            ScorePart("people", 30.0 * (people - 1) / (people + 2), f"the work of {people} people")
        )
    return tuple(impact), tuple(complexity)


def epic_category(gathered: Sequence[Rolled]) -> CategoryCall:
    """The largest category of what an epic gathers, as sure as its share is large; ``unsure`` only where nothing else is
    known."""
    counts: dict[str, int] = {}
    for one in gathered:
        if one.is_counted:
            counts[one.category] = counts.get(one.category, 0) + 1
    if not counts:
        return CategoryCall(Category.UNSURE, 0.0, (Category.UNSURE,), "it gathers nothing that counts")
    total = sum(counts.values())
    known = {name: count for name, count in counts.items() if name != Category.UNSURE.value}
    if not known:
        told = f"the category of none of the {total} achievements it gathers is sure"
        return CategoryCall(Category.UNSURE, 0.0, (Category.UNSURE,), told)
    ranked = sorted(known, key=lambda name: (-known[name], name))
    told = f"{known[ranked[0]]} of {total} achievements it gathers"
    return CategoryCall(
        Category(ranked[0]), known[ranked[0]] / total, tuple(Category(name) for name in ranked), told
    )


def conclude_epic(
    structure: Mapping[str, Any],
    gathered: Sequence[Rolled],
    credited: Sequence[tuple[int, int]],
    finalised: int,
    revision: int,
    content_hash: str,
) -> Conclusion:
    """The achievement of a complete epic. ``credited`` are (signature id, commits); ``finalised`` in milliseconds."""
    impact, complexity = epic_parts(structure, gathered)
    told = structure["deliverables"]
    evidence = [
        Evidence("epic", structure["key"], f"revision {revision}, sha256 {content_hash[:12]}", source="epic"),
        *(Evidence("tracker", one["key"], one["kind"], url=one["url"]) for one in structure["sources"] if one["url"]),
        *(
            Evidence("pull request", one["key"], one["title"], url=one["url"], source="github")
            for one in told["pull_requests"] if one["state"] == "merged" and not one["left_out"]
        ),
        *(
            Evidence("issue", one["identifier"], one["title"], url=one["url"], source="linear")
            for one in told["issues"] if one["completed"]
        ),
    ]  # fmt: skip
    started = _seconds(structure["timeline"]["started"])
    occurred = _seconds(structure["timeline"]["completed"]) or finalised // 1000
    key, title = structure["key"], structure["title"]
    call = epic_category(gathered)
    detail: dict[str, Any] = {
        "impact": [listed_part(part) for part in impact],
        "complexity": [listed_part(part) for part in complexity],
        "started": [started, 0] if started is not None else None,
        "confidence": call.confidence,
        "labels": [label.value for label in call.labels],
        "basis": call.basis,
        "reason": "the epic is complete",
        "evidence": [list(one) for one in evidence],
        "gathers": [one.id for one in gathered],
    }
    gain = structure["metrics"]["technical"]["best_performance_gain"]
    if gain["value"] is not None:
        detail["value"] = {
            "kind": "measured",
            "text": gain["text"],
            "source": f"CI reports gathered by epic {key}",
        }
    skills: dict[str, str] = {}
    for one in gathered:
        if one.is_counted:
            for name in one.skills:
                skills.setdefault(name, f'shown by "{one.title[:80]}"')
    return Conclusion(
        f"epic/{key}", AchievementKind.EPIC.value,
        storable_text(full_title(key, title))[:LONGEST_TITLE],
        storable_text(structure["description"])[:1200], call.category.value, scaled_value(raw_total(complexity), 1.0),
        occurred, 0, True, False, "", round(raw_total(impact), 3), None, "", "",
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")),
        tuple((name, "practice", evidence) for name, evidence in list(skills.items())[:20]),
        tuple((who, Role.AUTHOR.value, commits) for who, commits in credited),
    )  # fmt: skip


def _seconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp())
