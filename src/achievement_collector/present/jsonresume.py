"""A record as a JSON Resume (schema 1.0.0): projects and skills, nothing else, because nothing else was seen.

Employers, positions and education are not in any repository; they are left for the person to fill in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from achievement_collector.derive.conclusions import Achievement, Record
from achievement_collector.present.personas import Persona
from achievement_collector.present.printable import one_line
from achievement_collector.present.view import ordered, safe_url

_SCHEMA = "https://raw.githubusercontent.com/jsonresume/resume-schema/v1.0.0/schema.json"
_MOST_KEYWORDS = 20


def json_resume(record: Record, persona: Persona, *, emails: bool = False) -> str:
    """One project for each repository, its achievements as highlights; stated ones are a project of their own."""
    by_place: dict[str, list[Achievement]] = {}
    for one in ordered(record.achievements, persona):
        by_place.setdefault(one.repository, []).append(one)
    urls = {place.key: safe_url(place.web_url) for place in record.repositories}
    basics: dict[str, Any] = {"name": one_line(record.person)} if record.person else {}
    if emails and "@" in record.email:
        basics["email"] = one_line(record.email)
    data: dict[str, Any] = {
        "$schema": _SCHEMA,
        "basics": basics,
        "projects": [_project(key, found, urls) for key, found in by_place.items()],
        "skills": _skills(record),
        "meta": {"version": "v1.0.0", "lastModified": record.generated.strftime("%Y-%m-%dT%H:%M:%S")},
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _project(key: str, found: list[Achievement], urls: Mapping[str, str]) -> dict[str, Any]:
    days = sorted(one.occurred.date().isoformat() for one in found)
    project: dict[str, Any] = {
        "name": one_line(key.rpartition("/")[2]) or "Stated by the person",
        "highlights": [one_line(f"{one.title} ({one.occurred.date().isoformat()})") for one in found],
        "keywords": list(dict.fromkeys(one_line(skill.name) for one in found for skill in one.skills))[
            :_MOST_KEYWORDS
        ],
        "startDate": days[0],
        "endDate": days[-1],
    }
    if key:
        project["entity"] = one_line(key)
    if urls.get(key):
        project["url"] = urls[key]
    return project


def _skills(record: Record) -> list[dict[str, Any]]:
    kinds: dict[str, list[str]] = {}
    for skill in record.skills:
        kinds.setdefault(skill.kind.value, []).append(one_line(skill.name))
    return [{"name": kind, "keywords": names} for kind, names in kinds.items()]
