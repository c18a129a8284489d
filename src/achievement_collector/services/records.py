"""Asking for achievements: lists, one in full, statistics, and the record that exports present."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import Connection

from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.conclusions import (
    GATHERERS,
    Achievement,
    AchievementKind,
    Category,
    Record,
    RepositoryInRecord,
    SkillKind,
    SkillUse,
)
from achievement_collector.derive.evidence import verifying_commands
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts import Stamp
from achievement_collector.ledger import people as ledger_people
from achievement_collector.ledger import selection
from achievement_collector.ledger.collecting import ignores_case
from achievement_collector.ledger.reading import commit_span, stored_repositories
from achievement_collector.ledger.selection import Filter
from achievement_collector.ledger.store import Ledger
from achievement_collector.sources.git.configuration import configured_email

_MOST_GATHERED = 100  # epics, and deployments, of one record


@dataclass(frozen=True, slots=True)
class Query:
    """What a user asked for, as typed. Dates are ISO days, months or years, or ``90d``, ``12w``, ``6m``, ``2y``
    back from now; ``person`` is a name, an address or an id; ``me`` is whoever git is set up for."""

    category: str | None = None
    skill: str | None = None
    person: str | None = None
    me: bool = False
    repository: str | None = None
    since: str | None = None
    until: str | None = None
    min_impact: int | None = None
    text: str | None = None
    kind: str | None = None
    left_out: bool = False
    hidden: bool = False
    repository_ids: tuple[int, ...] | None = None  # for callers that know them


@dataclass(frozen=True, slots=True)
class Listing:
    """The achievements found, how many match in all, and what the reader should know about the selection."""

    achievements: list[Achievement]
    matching: int
    left_out: int
    bots_left_out: int
    repositories: int
    selection: str
    unfinished: tuple[str, ...] = ()  # repositories whose scan has not come to its end


def list_achievements(
    ledger: Ledger, query: Query, now: datetime, *, limit: int | None = None, newest_first: bool = False
) -> Listing:
    """Raises :class:`NotFoundError` for a person or repository that the ledger does not know."""
    with ledger.read() as connection:
        wanted, words = _filter(connection, query, now)
        places = stored_repositories(connection)
        apart = wanted.kind in GATHERERS
        left_out, bots = selection.left_out_counts(
            connection, wanted if apart else replace(wanted, without_gatherers=True)
        )
        return Listing(
            selection.select_achievements(
                connection, wanted, limit=limit, order="newest" if newest_first else "impact"
            ),
            selection.count_achievements(
                connection, wanted if wanted.kind in GATHERERS else replace(wanted, without_gatherers=True)
            ),
            left_out,
            bots,
            len(places),
            words,
            tuple(
                place.key
                for place in places
                if place.paths and (not place.is_complete or not place.derived_from)
            ),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a selection in its order; ``next`` is the cursor of the part that follows, empty at the end."""

    achievements: list[Achievement]
    next: str


def page_of_achievements(
    ledger: Ledger, query: Query, now: datetime, *, limit: int, order: str = "impact", cursor: str = ""
) -> Page:
    """A page of the selection by ``impact`` (highest first, then newest) or ``newest``. A cursor stays right when
    achievements come and go between two pages: none that stays is skipped or shown twice."""
    after = _decoded(cursor, order) if cursor else None
    with ledger.read() as connection:
        wanted, _ = _filter(connection, query, now)
        found = selection.select_achievements(connection, wanted, limit=limit + 1, order=order, after=after)
    more = len(found) > limit
    found = found[:limit]
    return Page(found, _encoded(found[-1], order) if more else "")


def counts_of_selection(ledger: Ledger, query: Query, now: datetime) -> tuple[int, int]:
    """(achievements, those that gather others: epics and deployments) in a selection. Where one of the latter kinds is asked
    for, they are what is counted."""
    with ledger.read() as connection:
        wanted, _ = _filter(connection, query, now)
        everything = selection.count_achievements(connection, wanted)
        if wanted.kind in GATHERERS:
            return everything, everything
        without = selection.count_achievements(connection, replace(wanted, without_gatherers=True))
    return without, everything - without


def _encoded(last: Achievement, order: str) -> str:
    place = [order, last.impact.value, int(last.occurred.timestamp()), last.id]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _decoded(cursor: str, order: str) -> tuple[int, int, str]:
    try:
        told, impact, occurred, uid = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = (int(impact), int(occurred), str(uid))
    except (ValueError, TypeError, OverflowError, RecursionError):
        told, place = "", (0, 0, "")
    is_usable = abs(place[0]) <= 10**6 and abs(place[1]) <= 2**62 and re.fullmatch("[0-9a-f]{12}", place[2])
    if told != order or not is_usable:
        raise CollectorError("the cursor is none that this list gave; begin without one")
    return place


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of a whole selection."""

    selection: str
    matching: int
    left_out: int
    bots_left_out: int
    months: tuple[tuple[str, int], ...]
    categories: tuple[tuple[str, int], ...]


def statistics_of(ledger: Ledger, query: Query, now: datetime) -> Statistics:
    """How many achievements by month and category, and how many are left out."""
    with ledger.read() as connection:
        wanted, words = _filter(connection, query, now)
        if wanted.kind not in GATHERERS:
            wanted = replace(wanted, without_gatherers=True)
        left_out, bots = selection.left_out_counts(connection, wanted)
        months = tuple(selection.monthly_counts(connection, wanted))
        categories = tuple(selection.category_counts(connection, wanted))
        return Statistics(words, sum(count for _, count in categories), left_out, bots, months, categories)


def skills_of_selection(ledger: Ledger, query: Query, now: datetime) -> list[SkillUse]:
    """Skills of a selection, most used first."""
    with ledger.read() as connection:
        wanted, _ = _filter(connection, query, now)
        return [
            SkillUse(name, SkillKind(kind), count, _day(first), _day(last))
            for name, kind, count, first, last in selection.skill_counts(
                connection, replace(wanted, without_gatherers=True)
            )
        ]


@dataclass(frozen=True, slots=True)
class Shown:
    """An achievement with the commands that verify it, the tags that contain it, and its repository's scale of
    impact: the factor, and the number of changes it was found on (0: none was needed, or too few to tell)."""

    achievement: Achievement
    commands: tuple[str, ...]
    tags: tuple[str, ...]
    scale: float = 1.0
    scale_basis: int = 0


def show_achievement(ledger: Ledger, prefix: str) -> Shown:
    """Raises :class:`NotFoundError` where no achievement, or more than one, has an id that begins so."""
    with ledger.read() as connection:
        achievement = one_achievement(connection, prefix)
        places = stored_repositories(connection, key=achievement.repository) if achievement.repository else []
        path = places[0].paths[0] if places and places[0].paths else ""
        tags: tuple[str, ...] = ()
        if places and achievement.commits:
            from achievement_collector.services.containment import tags_with_commit

            tags = tags_with_commit(connection, places[0], achievement.commits[-1])
    commands = verifying_commands(path, achievement.evidence) if path else ()
    scaled = places and achievement.kind is AchievementKind.CHANGE
    scale, basis = (places[0].impact_scale, places[0].impact_scale_basis) if scaled else (1.0, 0)
    return Shown(achievement, commands, tags, scale, basis)


def one_achievement(connection: Connection, prefix: str) -> Achievement:
    """The achievement whose id begins with ``prefix``; :class:`NotFoundError` unless it is one."""
    if not re.fullmatch(r"[0-9a-fA-F]{4,12}", prefix):
        raise NotFoundError(
            f"{prefix!r} is no achievement's id; ids are 4 to 12 hex digits, as list shows them"
        )
    found = selection.find_achievements(connection, prefix)
    if not found:
        raise NotFoundError(f"no achievement has an id that begins with {prefix}")
    if len(found) > 1:
        more = ", ".join(achievement.id for achievement in found)
        raise NotFoundError(f"{prefix} is the beginning of several ids: {more}")
    return found[0]


def build_record(
    ledger: Ledger,
    query: Query,
    now: datetime,
    *,
    top: int | None = None,
    order: str = "impact",
    releases_apart: bool = False,
) -> Record:
    """The record of a selection, cut to ``top`` achievements of the order (impact, complexity or newest).

    ``releases_apart`` adds all releases after them, which ``top`` does not count.
    """
    with ledger.read() as connection:
        wanted, words = _filter(connection, query, now)
        if wanted.kind not in GATHERERS:
            wanted = replace(wanted, without_gatherers=True)  # they gather what is here already
        chosen = replace(wanted, without_releases=True) if releases_apart else wanted
        found = selection.select_achievements(connection, chosen, limit=top, order=order)
        if releases_apart and wanted.kind in (None, "release"):
            found += selection.select_achievements(connection, replace(wanted, kind="release"))
        gathered: list[Achievement] = []
        if wanted.kind is None:
            for kind in GATHERERS:
                only = replace(wanted, kind=kind, without_gatherers=False)
                gathered += selection.select_achievements(
                    connection, only, limit=_MOST_GATHERED, order="newest"
                )
        left_out, bots = selection.left_out_counts(connection, wanted)
        name, email = "", ""
        if wanted.people:
            name, email = ledger_people.display_name(connection, wanted.people[0])
        months = tuple(selection.monthly_counts(connection, wanted))
        categories = tuple(selection.category_counts(connection, wanted))
        skills = tuple(
            SkillUse(name_, SkillKind(kind), count, _day(first), _day(last))
            for name_, kind, count, first, last in selection.skill_counts(connection, wanted)
        )
        places = stored_repositories(connection)
        shown = {achievement.repository for achievement in found}
        repositories = []
        for place in places:
            if place.key in shown or (wanted.repository_ids and place.id in wanted.repository_ids):
                commits, first, last = commit_span(connection, place.id)
                repositories.append(
                    RepositoryInRecord(
                        place.key,
                        place.web_url or "",
                        commits,
                        _day(first) if commits else "",
                        _day(last) if commits else "",
                    )
                )
        return Record(
            achievements=tuple(found),
            person=name,
            email=email,
            repositories=tuple(repositories),
            selection=words,
            generated=now,
            since=wanted.since,
            until=wanted.until,
            matching=selection.count_achievements(connection, wanted),
            left_out=left_out,
            bots_left_out=bots,
            rules_version=RULES_VERSION,
            months=months,
            categories=categories,
            skills=skills,
            gathered=tuple(sorted(gathered, key=lambda one: one.occurred, reverse=True)),
        )


def _day(seconds: int) -> str:
    return Stamp(seconds).as_datetime().date().isoformat()


def _filter(connection: Connection, query: Query, now: datetime) -> tuple[Filter, str]:
    """The filter of a query, and the query in words."""
    words: list[str] = []
    people: tuple[str, ...] | None = None
    if query.me:
        email = configured_email(Path.cwd())
        if not email:
            raise NotFoundError(
                "git does not say who you are; set it with: git config --global user.email YOU@..."
            )
        people = ledger_people.find_people(connection, email)
        words.append(
            f"by {ledger_people.display_name(connection, people[0])[0]}" if people else f"by {email}"
        )
        if not people:
            raise NotFoundError(
                f"nobody in the ledger has the address {email}; name yourself with --person, or scan first"
            )
    elif query.person:
        people = ledger_people.find_people(connection, query.person)
        if not people:
            raise NotFoundError(
                f"nobody in the ledger matches {query.person!r}; people list shows who is known"
            )
        if len(people) > 1:
            names = ", ".join(
                f"{ledger_people.display_name(connection, person)[0]} ({person})" for person in people[:6]
            )
            raise NotFoundError(f"several people match {query.person!r}: {names}; use an address or an id")
        words.append(f"by {ledger_people.display_name(connection, people[0])[0]}")
    repository_ids = query.repository_ids
    if query.repository:
        places = _repositories(connection, query.repository)
        repository_ids = tuple(place[0] for place in places)
        words.append("in " + ", ".join(place[1] for place in places))
    since, until = parse_moment(query.since, now), parse_moment(query.until, now, is_end=True)
    if since:
        words.append(f"since {since.date().isoformat()}")
    if until:
        words.append(f"until {(until - timedelta(seconds=1)).date().isoformat()}")
    if query.category:
        words.append(f"category {query.category}")
        if query.category not in set(Category):
            raise CollectorError(
                f"{query.category!r} is no category; choose from {', '.join(category.value for category in Category)}"
            )
    if query.skill:
        words.append(f"skill {query.skill}")
    if query.min_impact is not None:
        words.append(f"impact at least {query.min_impact}")
    if query.text:
        words.append(f"with the text {query.text!r}")
    if query.kind:
        if query.kind not in set(AchievementKind):
            choices = ", ".join(kind.value for kind in AchievementKind)
            raise CollectorError(f"{query.kind!r} is no kind of achievement; choose from {choices}")
        words.append(f"of kind {query.kind}")
    if query.left_out:
        words.append("left out by the rules")
    wanted = Filter(
        category=query.category,
        kind=query.kind,
        skill=query.skill,
        people=people,
        repository_ids=repository_ids,
        since=since,
        until=until,
        min_impact=query.min_impact,
        text=query.text,
        left_out=query.left_out,
        hidden=query.hidden,
    )
    return wanted, ", ".join(words) or "everything"


def _repositories(connection: Connection, name: str) -> Sequence[tuple[int, str]]:
    found = stored_repositories(connection, key=name)
    if not found:  # forges take no notice of upper and lower case
        found = [
            place
            for place in stored_repositories(connection)
            if ignores_case(place.key) and f"/{place.key}".lower().endswith(f"/{name}".lower())
        ]
    if not found:
        here = str(Path(name).expanduser().resolve())
        found = [place for place in stored_repositories(connection) if here in place.paths]
    if not found:
        known = ", ".join(place.key for place in stored_repositories(connection)[:8]) or "none yet"
        raise NotFoundError(f"the ledger knows no repository {name!r}; it knows: {known}")
    return [(place.id, place.key) for place in found]


_BACK = re.compile(r"(\d{1,4})\s*([dwmy])")


def parse_moment(text: str | None, now: datetime, *, is_end: bool = False) -> datetime | None:
    """The moment that a user named; a day, month or year given as an end is included whole."""
    if not text:
        return None
    moment: datetime | None = None
    with suppress(ValueError, OverflowError):
        moment = _moment(text.strip(), now, is_end)
    if moment is None or not 1 < moment.year < 9999:  # a day before and after it must be dates as well
        raise CollectorError(
            f"{text!r} is no date; give a day (2026-03-31), a month (2026-03), a year, or 90d, 12w, 6m, 2y"
        )
    return moment


def _moment(text: str, now: datetime, is_end: bool) -> datetime:
    if match := _BACK.fullmatch(text):
        count, unit = int(match[1]), match[2]
        return now - timedelta(days=count * {"d": 1, "w": 7, "m": 30.4375, "y": 365.25}[unit])
    if re.fullmatch(r"\d{4}", text):
        start = datetime(int(text), 1, 1, tzinfo=UTC)
        return start.replace(year=start.year + 1) if is_end else start
    if re.fullmatch(r"\d{4}-\d{2}", text):
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1) if is_end else start
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if is_end and len(text) == 10 else moment
