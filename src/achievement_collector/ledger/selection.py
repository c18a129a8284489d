"""Asking for achievements: filters to SQL, rows to :class:`Achievement`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.conclusions import (
    GATHERERS,
    Achievement,
    AchievementKind,
    BusinessValue,
    Category,
    CategoryCall,
    Credit,
    Evidence,
    Role,
    Score,
    ScorePart,
    Size,
    Skill,
    SkillKind,
    ValueKind,
)
from achievement_collector.derive.evidence import change_evidence, issue_evidence, release_evidence
from achievement_collector.derive.scores import FORMULA, score
from achievement_collector.facts import Stamp
from achievement_collector.ledger.achievements import edits_of
from achievement_collector.ledger.tables import (
    achievement_credits,
    achievement_skills,
    achievements,
    people,
    repositories,
    signatures,
)

_MANY = 500
_YEAR_ZERO = 62_167_219_200  # seconds from then to 1970
_MOST_YEARS = 100


_TOLD_WITH_EVIDENCE = {
    AchievementKind.EPIC,
    AchievementKind.DEPLOYMENT,
    AchievementKind.KPI,
    AchievementKind.CONTENT,
    AchievementKind.EXPERIMENT,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which achievements are asked for. Empty fields select everything; several fields must all hold.

    ``since`` is included, ``until`` is not; ``people`` are person ids, any of them; ``text`` is searched in
    titles and descriptions, case-insensitively.
    """

    category: str | None = None
    kind: str | None = None
    skill: str | None = None
    people: tuple[str, ...] | None = None
    repository_ids: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_impact: int | None = None
    text: str | None = None
    without_releases: bool = False
    without_gatherers: bool = False  # epics and deployments, which gather what is counted already
    left_out: bool = False  # only what the rules leave out, instead of what counts
    hidden: bool = False  # hidden ones as well


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    table = achievements.c
    conditions: list[sa.ColumnElement[bool]] = [table.is_counted == sa.literal(not wanted.left_out)]
    if not wanted.hidden:
        conditions.append(table.is_hidden == sa.false())
    if wanted.category:
        conditions.append(table.category == wanted.category)
    if wanted.kind:
        conditions.append(table.kind == wanted.kind)
    if wanted.repository_ids is not None:
        conditions.append(table.repository_id.in_(wanted.repository_ids))
    if wanted.since:
        conditions.append(table.occurred >= int(wanted.since.timestamp()))
    if wanted.until:
        conditions.append(table.occurred < int(wanted.until.timestamp()))
    if wanted.min_impact is not None:
        conditions.append(table.impact >= wanted.min_impact)
    if wanted.text:
        conditions.append(
            sa.or_(
                table.title.icontains(wanted.text, autoescape=True),
                table.description.icontains(wanted.text, autoescape=True),
            )
        )
    if wanted.without_releases:
        conditions.append(table.kind != AchievementKind.RELEASE.value)
    if wanted.without_gatherers:
        conditions.append(table.kind.not_in(GATHERERS))
    if wanted.skill:
        conditions.append(
            table.id.in_(
                sa.select(achievement_skills.c.achievement_id).where(
                    sa.func.lower(achievement_skills.c.name) == wanted.skill.lower()
                )
            )
        )
    if wanted.people is not None:
        conditions.append(
            table.id.in_(
                sa.select(achievement_credits.c.achievement_id)
                .join(signatures)
                .where(signatures.c.person_id.in_(wanted.people))
            )
        )
    return conditions


def count_achievements(connection: Connection, wanted: Filter) -> int:
    query = sa.select(sa.func.count()).select_from(achievements).where(*_conditions(wanted))
    return int(connection.scalar(query) or 0)


def select_achievements(
    connection: Connection,
    wanted: Filter,
    *,
    limit: int | None = None,
    order: str = "impact",
    after: tuple[int, int, str] | None = None,
) -> list[Achievement]:
    """The achievements by ``impact`` or ``complexity`` (highest first, then newest), or ``newest`` first. ``after`` is
    the (impact, time in seconds, id) of the last one of the part before; for ``impact`` and ``newest`` only."""
    table = achievements.c
    first = {"impact": [table.impact.desc()], "complexity": [table.complexity.desc()], "newest": []}[order]
    ordering = [*first, table.occurred.desc(), table.uid]
    query = sa.select(achievements).where(*_conditions(wanted)).order_by(*ordering)
    if after is not None:
        impact, occurred, uid = after
        later = sa.or_(table.occurred < occurred, sa.and_(table.occurred == occurred, table.uid > uid))
        if order == "impact":
            later = sa.or_(table.impact < impact, sa.and_(table.impact == impact, later))
        query = query.where(later)
    return load(connection, connection.execute(query.limit(limit)).all())


def find_achievements(connection: Connection, prefix: str, limit: int = 5) -> list[Achievement]:
    """The achievements whose id begins with ``prefix``, hidden and left-out ones too."""
    query = (
        sa.select(achievements)
        .where(
            achievements.c.uid >= prefix.lower(), achievements.c.uid < prefix.lower() + "g"
        )  # hex digits only
        .order_by(achievements.c.uid)
        .limit(limit)
    )
    return load(connection, connection.execute(query).all())


def credits_of(connection: Connection, uids: Sequence[str]) -> list[tuple[int, int]]:
    """(signature id, commits) of everybody credited with these achievements."""
    if not uids:
        return []
    table = achievement_credits.c
    rows = connection.execute(
        sa.select(table.signature_id, sa.func.sum(table.commits))
        .join(achievements, achievements.c.id == table.achievement_id)
        .where(achievements.c.uid.in_(list(uids)))
        .group_by(table.signature_id)
        .order_by(table.signature_id)
    )
    return [(int(row[0]), int(row[1])) for row in rows]


def monthly_counts(connection: Connection, wanted: Filter) -> list[tuple[str, int]]:
    """("2026-03", achievements) in order of time, months in UTC. Months without any are included, unless it would be more
    than a century of them: then some clock was wrong."""
    day = (achievements.c.occurred + _YEAR_ZERO) / sa.literal(
        86_400, sa.BigInteger
    )  # of a year in which none is negative
    day = sa.func.floor(day) if connection.dialect.name == "postgresql" else day
    rows = connection.execute(
        sa.select(sa.cast(day, sa.BigInteger), sa.func.count())
        .where(*_conditions(wanted))
        .group_by(sa.literal_column("1"))
    )
    counts: dict[tuple[int, int], int] = {}
    for number, count in rows:
        moment = Stamp(int(number) * 86_400 - _YEAR_ZERO).as_datetime()
        counts[moment.year, moment.month] = counts.get((moment.year, moment.month), 0) + int(count)
    if not counts:
        return []
    (year, month), last = min(counts), max(counts)
    if last[0] - year > _MOST_YEARS:
        return [(f"{year:04d}-{month:02d}", count) for (year, month), count in sorted(counts.items())]
    months = []
    while (year, month) <= last:
        months.append((f"{year:04d}-{month:02d}", counts.get((year, month), 0)))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return months


def category_counts(connection: Connection, wanted: Filter) -> list[tuple[str, int]]:
    """(category, achievements), most frequent first."""
    count = sa.func.count()
    rows = connection.execute(
        sa.select(achievements.c.category, count)
        .where(*_conditions(wanted))
        .group_by(achievements.c.category)
        .order_by(count.desc(), achievements.c.category)
    )
    return [(row[0], int(row[1])) for row in rows]


def skill_counts(connection: Connection, wanted: Filter) -> list[tuple[str, str, int, int, int]]:
    """(name, kind, achievements, first and last time in seconds), most used first."""
    count = sa.func.count()
    rows = connection.execute(
        sa.select(
            achievement_skills.c.name,
            achievement_skills.c.kind,
            count,
            sa.func.min(achievements.c.occurred),
            sa.func.max(achievements.c.occurred),
        )
        .join(achievements)
        .where(*_conditions(wanted))
        .group_by(achievement_skills.c.name, achievement_skills.c.kind)
        .order_by(count.desc(), achievement_skills.c.name)
    )
    return [(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows]


def left_out_counts(connection: Connection, wanted: Filter) -> tuple[int, int]:
    """(changes that the rules leave out, those of them written by bots) in the selection."""
    from dataclasses import replace

    rows = connection.execute(
        sa.select(achievements.c.is_bot, sa.func.count())
        .where(*_conditions(replace(wanted, left_out=True)))
        .group_by(achievements.c.is_bot)
    ).all()
    counts = {bool(row[0]): int(row[1]) for row in rows}
    return sum(counts.values()), counts.get(True, 0)


def load(connection: Connection, rows: Sequence[Any]) -> list[Achievement]:
    """The achievements of rows of their table, in the same order, with credits, skills and edits."""
    if not rows:
        return []
    places = {row.id: row for row in connection.execute(sa.select(repositories))}
    ids = [row.id for row in rows]
    skills = _skills(connection, ids)
    credited = _credits(connection, ids)
    edited = edits_of(connection, [row.uid for row in rows]) if len(rows) <= _MANY else edits_of(connection)
    return [
        _achievement(row, places.get(row.repository_id), skills.get(row.id, ()), credited.get(row.id, ()),
                     edited.get(row.uid, {}))
        for row in rows
    ]  # fmt: skip


def _parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _MANY] for start in range(0, len(ids), _MANY))


def _skills(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[Skill, ...]]:
    found: dict[int, list[Skill]] = {}
    table = achievement_skills.c
    for part in _parts(ids):
        for row in connection.execute(
            sa.select(table.achievement_id, table.name, table.kind, table.evidence)
            .where(table.achievement_id.in_(part))
            .order_by(table.achievement_id, table.position)
        ):
            found.setdefault(row[0], []).append(Skill(row[1], SkillKind(row[2]), row[3]))
    return {number: tuple(skills) for number, skills in found.items()}


def _credits(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[Credit, ...]]:
    """Credits by person: two signatures of one person are one credit, author before co-author."""
    found: dict[int, dict[str, Credit]] = {}
    table = achievement_credits.c
    for part in _parts(ids):
        for number, role, commits, person, name in connection.execute(
            sa.select(
                table.achievement_id, table.role, table.commits, signatures.c.person_id,
                sa.func.coalesce(people.c.name, signatures.c.name),
            )
            .join(signatures, signatures.c.id == table.signature_id)
            .outerjoin(people, people.c.id == signatures.c.person_id)
            .where(table.achievement_id.in_(part))
            .order_by(table.achievement_id, table.commits.desc(), table.role, signatures.c.id)
        ):  # fmt: skip
            mine = found.setdefault(number, {})
            key = person or name
            before = mine.get(key)
            if before is None:
                mine[key] = Credit(name, Role(role), commits)
            else:
                stronger = Role.AUTHOR if Role(role) is Role.AUTHOR else before.role
                mine[key] = Credit(before.person, stronger, before.commits + commits)
    return {number: tuple(credit for credit in mine.values()) for number, mine in found.items()}


def _achievement(
    row: Any,
    place: Any,
    skills: tuple[Skill, ...],
    credited: tuple[Credit, ...],
    edited: dict[str, tuple[Any, int]],
) -> Achievement:
    detail = json.loads(row.detail)
    kind = AchievementKind(row.kind)
    scale = place.impact_scale if place is not None and kind is AchievementKind.CHANGE else 1.0
    web_url = place.web_url if place is not None else None
    impact = score(_score_parts(detail["impact"]), scale)
    complexity = score(_score_parts(detail["complexity"]))
    if "impact" in edited:
        impact = _own_score(edited["impact"], impact)
    if "complexity" in edited:
        complexity = _own_score(edited["complexity"], complexity)
    return Achievement(
        id=row.uid,
        kind=kind,
        repository=place.key if place is not None else "",
        title=row.title,
        description=row.description,
        occurred=Stamp(row.occurred, row.occurred_zone).as_datetime(),
        started=Stamp(*detail["started"]).as_datetime() if detail.get("started") else None,
        category=CategoryCall(
            Category(row.category),
            detail["confidence"],
            tuple(Category(label) for label in detail["labels"]),
            detail["basis"],
        ),
        impact=impact,
        complexity=complexity,
        size=_size(detail.get("size")),
        skills=skills,
        credits=credited,
        assisted_by=tuple(detail.get("assisted_by", ())),
        value=_value(detail.get("value"), edited.get("value")),
        evidence=_evidence(kind, detail, web_url, row),
        reason=detail.get("reason", ""),
        is_counted=row.is_counted,
        left_out_reason=row.left_out_reason,
        pull_request=row.pull_request,
        released_in=row.released_in,
        rules_version=row.rules_version,
        edited=tuple(sorted(edited)),
        commits=tuple(detail.get("commits", ())),
    )


def _score_parts(stored: list[list[Any]]) -> tuple[ScorePart, ...]:
    return tuple(ScorePart(*part) for part in stored)


def _own_score(edit: tuple[Any, int], derived: Score) -> Score:
    value, when = edit
    day = Stamp(when).as_datetime().date().isoformat()
    fact = f"set by hand on {day}; the rules say {derived.value}"
    return Score(int(value), (ScorePart("own score", float(value), fact),), FORMULA)


def _size(stored: list[Any] | None) -> Size:
    if not stored:
        return Size(is_measured=False)  # of what has no lines
    added, deleted, files, left_out_lines, left_out, is_measured = stored
    return Size(
        added, deleted, files, left_out_lines, tuple((name, lines) for name, lines in left_out), is_measured
    )


def _value(stored: dict[str, Any] | None, edit: tuple[Any, int] | None) -> BusinessValue:
    if edit is not None:
        day = Stamp(edit[1]).as_datetime().date().isoformat()
        return BusinessValue(ValueKind.STATED, str(edit[0]), source=f"stated by hand on {day}")
    if not stored:
        return BusinessValue()
    return BusinessValue(
        ValueKind(stored["kind"]), stored["text"], stored.get("formula", ""),
        tuple((str(name), str(value)) for name, value in stored.get("inputs", ())), stored.get("source", ""),
    )  # fmt: skip


def _evidence(
    kind: AchievementKind, detail: dict[str, Any], web_url: str | None, row: Any
) -> tuple[Evidence, ...]:
    if kind is AchievementKind.STATED:
        link = detail.get("link", "")
        statement = Evidence(
            "statement", detail["stated_by"], "stated, not seen by any tool", source="person"
        )
        return (
            (statement, Evidence("link", link, "given as evidence", url=link, source="person"))
            if link
            else (statement,)
        )
    if kind is AchievementKind.RELEASE:
        return release_evidence(
            web_url,
            tag=detail["tag"],
            target=detail["target"],
            previous=detail["previous"],
            changes=detail["changes"],
        )
    if kind is AchievementKind.ISSUE:
        return issue_evidence(detail["issue"])
    if kind in _TOLD_WITH_EVIDENCE:
        return tuple(Evidence(*item) for item in detail["evidence"])
    return change_evidence(
        web_url,
        anchor=detail["anchor"],
        commits=detail["commits"],
        number=row.pull_request,
        released_in=row.released_in,
        issues=detail.get("issues", ()),
        reviewers=detail.get("reviewers", ()) if "pull" not in detail else (),
        pull=detail.get("pull"),
        measures=detail.get("measures", ()),
        epic=detail.get("epic", ""),
    )
