"""What people set and add: kept beside what was derived, and laid over it again after every derivation."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.conclusions import AchievementKind, Category, Role, SkillKind
from achievement_collector.derive.identity import parse_signature
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts import Signature
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger import people as ledger_people
from achievement_collector.ledger.collecting import SignatureIds
from achievement_collector.ledger.entities import mark_stale
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.identity import load_author_rules, refresh_people
from achievement_collector.services.outcomes import mark_of
from achievement_collector.services.records import one_achievement, parse_moment
from achievement_collector.services.scanning import derive_all
from achievement_collector.sources.git.configuration import configured_email, configured_name

_LONGEST = 10_000


def edit_achievement(
    ledger: Ledger, prefix: str, fields: Mapping[str, Any], reset: Sequence[str], settings: Settings, now: int
) -> str:
    """Sets fields of an achievement, takes edits of others back, and gives its id."""
    if not fields and not reset:
        raise CollectorError(
            "nothing to set; give a title, description, hidden, impact, complexity, value or reset"
        )
    for name in reset:
        if name not in conclusions.EDITABLE:
            raise CollectorError(f"{name!r} cannot be reset; choose from {', '.join(conclusions.EDITABLE)}")
    for name, value in fields.items():
        if isinstance(value, str) and (len(value) > _LONGEST or (name == "title" and not value.strip())):
            raise CollectorError(f"the {name} must hold 1 to {_LONGEST:,} characters")
    with ledger.write() as connection:
        uid = one_achievement(connection, prefix).id
        in_force = conclusions.edits_of(connection, [uid]).get(uid, {})
        for name in reset:
            if name not in in_force:
                raise CollectorError(f"{uid} has no edit of its {name}")
            conclusions.add_edit(connection, uid, name, None, now)
        for name, value in fields.items():
            conclusions.add_edit(connection, uid, name, _storable(value), now)
        stated = conclusions.statement_of(connection, uid)
        key = conclusions.key_of(connection, uid)
        if reset and stated:
            conclusions.remove_by_uid(connection, uid)
            _store_statement(connection, uid, stated)
            conclusions.apply_edits(connection)
        elif reset and (what := mark_of(connection, key)):
            conclusions.remove_by_uid(connection, uid)
            mark_stale(connection, [(*what, "an edit taken back")], now * 1000)
        elif reset:
            conclusions.forget_derivation(connection, uid)
        else:
            conclusions.set_edited(connection, uid, fields)
    if reset and not stated:
        derive_all(ledger, settings, everything=False)
    return uid


def _store_statement(connection: Connection, uid: str, body: Mapping[str, Any]) -> None:
    conclusions.add_achievements(connection, None, "", RULES_VERSION, 1.0, [conclude_statement(uid, body)])


def _storable(value: Any) -> Any:
    return value.replace("\0", "") if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person says they achieved, as typed."""

    title: str
    description: str = ""
    date: str | None = None
    category: str = "unsure"
    person: str | None = None
    link: str = ""
    value: str = ""
    impact: int | None = None
    skills: tuple[str, ...] = ()


def add_statement(ledger: Ledger, statement: Statement, now: datetime, settings: Settings) -> str:
    """Stores a stated achievement and gives its id."""
    if not statement.title.strip() or len(statement.title) > 500:
        raise CollectorError("the title must hold 1 to 500 characters")
    if statement.category not in set(Category):
        choices = ", ".join(category.value for category in Category)
        raise CollectorError(f"{statement.category!r} is no category; choose from {choices}")
    if statement.link and not re.match(r"https?://\S+$", statement.link):
        raise CollectorError("the link must be a web address that begins with http:// or https://")
    moment = parse_moment(statement.date, now) or now
    if moment > now:
        raise CollectorError(f"{statement.date} lies in the future; an achievement has happened already")
    with ledger.write() as connection:
        who, name = _whose(connection, statement.person)
        body = {
            "title": statement.title.strip(),
            "description": statement.description,
            "category": statement.category,
            "link": statement.link,
            "value": statement.value,
            "impact": statement.impact,
            "skills": list(statement.skills),
            "occurred": int(moment.timestamp()),
            "stated_by": name,
            "stated": now.date().isoformat(),
            "signature": who,
        }
        text = json.dumps(body, sort_keys=True) + now.isoformat()
        uid = hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:12]
        conclusions.add_statement(connection, uid, body, int(now.timestamp()))
        _store_statement(connection, uid, body)
    refresh_people(ledger, load_author_rules(settings.rules))
    return uid


def remove_or_hide(ledger: Ledger, prefix: str, settings: Settings, now: int) -> tuple[str, bool]:
    """Takes an achievement out of every list: a stated one is deleted, one that was derived is hidden, since its facts
    stay. Gives its id, and whether it was deleted."""
    with ledger.write() as connection:
        uid = one_achievement(connection, prefix).id
        if conclusions.statement_of(connection, uid) is not None:
            conclusions.remove_statement(connection, uid)
            return uid, True
        conclusions.add_edit(connection, uid, "hidden", True, now)
        conclusions.set_edited(connection, uid, {"hidden": True})
    return uid, False


def conclude_statement(uid: str, body: Mapping[str, Any]) -> Conclusion:
    """The row of a stated achievement; everything in it is the person's word and marked so."""
    said = f"stated by {body['stated_by']} on {body['stated']}"
    impact = [["own score", float(body["impact"]), said]] if body["impact"] is not None else []
    detail: dict[str, Any] = {
        "impact": impact,
        "complexity": [],
        "started": None,
        "confidence": 1.0 if body["category"] != "unsure" else 0.0,
        "labels": [body["category"]],
        "basis": said,
        "reason": said,
        "stated_by": f"{body['stated_by']}, {body['stated']}",
        "link": body["link"],
        "commits": [],
    }
    if body["value"]:
        detail["value"] = {"kind": "stated", "text": body["value"], "source": said}
    return Conclusion(
        f"stated/{uid}",
        AchievementKind.STATED.value,
        body["title"],
        body["description"],
        body["category"],
        0,
        body["occurred"],
        0,
        True,
        False,
        "",
        float(body["impact"] or 0),
        None,
        "",
        "",
        json.dumps(detail, ensure_ascii=False),
        tuple((name, SkillKind.PRACTICE.value, said) for name in dict.fromkeys(body["skills"])),
        ((body["signature"], Role.AUTHOR.value, 0),),
    )


def _whose(connection: Connection, person: str | None) -> tuple[int, str]:
    """(signature id, name) of the person a statement is about."""
    if person:
        found = ledger_people.find_people(connection, person)
        given = parse_signature(person)
        if not found and given:  # a person whom no repository has shown yet
            return SignatureIds(connection).add(connection, [given])[given], given.name
        if not found:
            raise NotFoundError(f"nobody in the ledger matches {person!r}; people list shows who is known")
        if len(found) > 1:
            raise NotFoundError(f"several people match {person!r}; use an address or an id")
        who = ledger_people.signatures_of(connection, found[0])[0]
        name = ledger_people.display_name(connection, found[0])[0]
    else:
        email = configured_email(Path.cwd())
        if not email:
            raise NotFoundError(
                "git does not say who you are; name yourself with --person, or: git config --global user.email YOU@..."
            )
        known = ledger_people.find_people(connection, email)
        name = (
            ledger_people.display_name(connection, known[0])[0]
            if known
            else configured_name(Path.cwd()) or email
        )
        who = ledger_people.signatures_of(connection, known[0])[0] if known else Signature(name, email)
    return SignatureIds(connection).add(connection, [who])[who], name
