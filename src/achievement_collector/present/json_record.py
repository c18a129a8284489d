"""A record as JSON. ``schema_version`` grows when a field changes its meaning or goes away; new fields may come
at any time. Dates are ISO 8601 with zone; scores 0 to 100; confidence 0 to 1; sizes in lines."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from achievement_collector.derive.conclusions import (
    Achievement,
    AchievementKind,
    BusinessValue,
    Record,
    Score,
    Size,
)
from achievement_collector.present.printable import printable

SCHEMA_VERSION = 1


def json_record(record: Record, persona: str, *, emails: bool = False) -> str:
    """The whole record; the persona orders nothing here and leaves nothing out."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "persona": persona,
        "person": {"name": record.person} | ({"email": record.email} if emails else {})
        if record.person
        else None,
        "selection": record.selection,
        "generated": record.generated.isoformat(),
        "since": record.since.isoformat() if record.since else None,
        "until": record.until.isoformat() if record.until else None,
        "rules_version": record.rules_version,
        "matching": record.matching,
        "left_out": record.left_out,
        "left_out_bots": record.bots_left_out,
        "repositories": [place._asdict() for place in record.repositories],
        "months": [{"month": month, "achievements": count} for month, count in record.months],
        "categories": [{"category": name, "achievements": count} for name, count in record.categories],
        "skills": [skill._asdict() | {"kind": skill.kind.value} for skill in record.skills],
        "achievements": [achievement_json(one) for one in record.achievements],
        "epics": [achievement_json(one) for one in record.gathered if one.kind is AchievementKind.EPIC],
        "deployments": [
            achievement_json(one) for one in record.gathered if one.kind is AchievementKind.DEPLOYMENT
        ],
        "series": [asdict(one) for one in record.measured],
    }
    return json.dumps(_clean(data), indent=2, ensure_ascii=False) + "\n"


def achievement_json(one: Achievement) -> dict[str, Any]:
    """One achievement with everything that is known of it."""
    found: dict[str, Any] = _clean(
        {
            "id": one.id,
            "kind": one.kind.value,
            "repository": one.repository,
            "title": one.title,
            "description": one.description,
            "occurred": one.occurred.isoformat(),
            "started": one.started.isoformat() if one.started else None,
            "category": {
                "name": one.category.category.value,
                "confidence": one.category.confidence,
                "labels": [label.value for label in one.category.labels],
                "basis": one.category.basis,
            },
            "impact": _score(one.impact),
            "complexity": _score(one.complexity),
            "size": _size(one.size),
            "skills": [{"name": s.name, "kind": s.kind.value, "evidence": s.evidence} for s in one.skills],
            "people": [{"name": c.person, "role": c.role.value, "commits": c.commits} for c in one.credits],
            "assisted_by": list(one.assisted_by),
            "business_value": _value(one.value),
            "evidence": [item._asdict() for item in one.evidence],
            "counts_because": one.reason,
            "is_counted": one.is_counted,
            "left_out_reason": one.left_out_reason,
            "pull_request": one.pull_request,
            "released_in": one.released_in or None,
            "rules_version": one.rules_version,
            "edited": list(one.edited),
            "commits": list(one.commits),
        }
    )
    return found


def _size(size: Size) -> dict[str, Any]:
    """Where nothing was measured there are no numbers, 0 least of all."""
    is_told = size.is_measured
    return {
        "lines_added": size.lines_added if is_told else None,
        "lines_deleted": size.lines_deleted if is_told else None,
        "files": size.files if is_told else None,
        "lines_left_out": size.lines_left_out if is_told else None,
        "left_out": dict(size.left_out),
        "is_measured": is_told,
    }


def _score(score: Score) -> dict[str, Any] | None:
    if not score.parts:
        return None
    return {
        "value": score.value,
        "formula_version": score.version,
        "parts": [{"name": p.name, "points": p.points, "fact": p.fact} for p in score.parts],
    }


def _value(value: BusinessValue) -> dict[str, Any]:
    return {
        "kind": value.kind.value,
        "text": value.text,
        "formula": value.formula,
        "inputs": dict(value.inputs),
        "source": value.source,
    }


def _clean(data: Any) -> Any:
    """All texts without control characters."""
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, dict):
        return {printable(str(key)): _clean(value) for key, value in data.items()}
    return [_clean(value) for value in data] if isinstance(data, list | tuple) else data
