"""The two-way sync as a user asks for it: with the settings' repository and database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.merging import (
    BLOCKED,
    DEFAULT_RULES,
    IN_PROGRESS,
    FieldKind,
    Side,
    Value,
    canonical,
)
from achievement_collector.derive.milestones import Names
from achievement_collector.derive.sync_plan import Policy
from achievement_collector.errors import ConfigurationError, NotFoundError
from achievement_collector.facts.milestones import Milestone, Origin, Plan
from achievement_collector.ledger import syncing
from achievement_collector.ledger.entities import cursor, cursors_like, remember
from achievement_collector.ledger.roadmap import state, statements
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import names_of
from achievement_collector.publish.github.client import GitHubWriter
from achievement_collector.publish.github.issues import read_place
from achievement_collector.publish.notion.client import NotionClient
from achievement_collector.publish.notion.databases import look_at
from achievement_collector.publish.notion.plan import Kept
from achievement_collector.publish.notion.schema import ROADMAP
from achievement_collector.services.github_sync import web_host
from achievement_collector.services.milestone_work import planned_milestones
from achievement_collector.services.notion import LedgerMemory, notion_client
from achievement_collector.services.roadmap import load_plan, state_status, statement_of
from achievement_collector.services.two_way.github_side import GitHubSide
from achievement_collector.services.two_way.notion_side import NotionSide
from achievement_collector.services.two_way.passes import Pass, RowStatus, run_pass

Clock = Callable[[], int]


class Sides(NamedTuple):
    """Both ports, and the name of the pair."""

    scope: str
    github: GitHubSide
    notion: NotionSide


@contextmanager
def sides(
    ledger: Ledger,
    settings: Settings,
    clock: Clock,
    github: GitHubWriter | None = None,
    notion: NotionClient | None = None,
) -> Iterator[Sides]:
    """Both ports as the settings name them; clients that are given are closed too. Raises :class:`ConfigurationError`."""
    if not settings.github_repository:
        raise ConfigurationError("set GITHUB_REPOSITORY to the repository that is synchronised (owner/name)")
    if not settings.github_token:
        raise ConfigurationError("set GITHUB_TOKEN to a token that may write issues")
    with (
        github or GitHubWriter(settings.github_api_url, settings.github_token) as writer,
        notion or notion_client(settings) as client,
    ):
        table = look_at(client, LedgerMemory(ledger, clock), ROADMAP, settings.notion_roadmap_db)
        one = GitHubSide(writer, settings.github_repository, web_host(settings.github_api_url))
        other = NotionSide(client, table)
        yield Sides(f"{one.scope} {other.scope}", one, other)


def sync_two_way(
    ledger: Ledger,
    settings: Settings,
    clock: Clock,
    *,
    is_full: bool = True,
    is_dry: bool = False,
    demanded: str = "",
    removals: int = 0,
    tries_again: bool = False,
    links_titles: bool = False,
    github: GitHubWriter | None = None,
    notion: NotionClient | None = None,
) -> Pass:
    """One pass between Notion's roadmap and GitHub's issues and milestones.

    ``demanded`` is the hash that the plan must have, ``removals`` how many links a run may end beyond the brake;
    ``tries_again`` sends again what was refused before; ``links_titles`` links what is only proposed otherwise.
    Raises as :func:`run_pass` does, and :class:`ConfigurationError`.
    """
    with sides(ledger, settings, clock, github, notion) as (scope, one, other):
        if not is_dry:
            with ledger.write() as connection:
                if tries_again:
                    syncing.unpark(connection, scope)
                place = f"{one.host}/{one.repository}"
                if cursor(connection, f"two-way/{scope}") != place:
                    remember(connection, f"two-way/{scope}", place, clock())
        plan = load_plan(settings.roadmap_file, settings)
        place = f"{one.host}/{one.repository}"
        with ledger.read() as connection:
            published, aliases = _own_rows(connection, plan, place, other.scope)
        done = run_pass(
            ledger, scope, one, other, clock, uuid.uuid4().hex, Policy(removals=removals, links_titles=links_titles),
            is_full=is_full, is_dry=is_dry, demanded=demanded, published=published, aliases=aliases,
        )  # fmt: skip
        if not is_dry:
            _hear_statuses(ledger, plan, done, place, other.scope, clock())
        return done


# --- the roadmap -------------------------------------------------------------------------------------


def _own_rows(
    connection: Connection, plan: Plan, place: str, source: str
) -> tuple[frozenset[str], dict[str, str]]:
    """(the keys of rows that ``notion sync`` publishes or has published, those of them that stand for the key of a milestone
    of the repository ``place``)."""
    places = _spellings(connection, place)
    start = f"notion/row/{source}/"
    published = {name.removeprefix(start) for name in cursors_like(connection, start)}
    aliases: dict[str, str] = {}
    for one in planned_milestones(connection, plan):
        keys = (one.key, *one.same_as)
        published.update(keys)
        number = next((key.rpartition("/")[2] for key in keys if _place_of(key) in places), None)
        if number is not None:
            own = f"{place}/milestone/{number}"
            others = [key for key in keys if _place_of(key) not in places]
            aliases |= dict.fromkeys(others, own)
    for key in published:
        if _place_of(key) in places:
            aliases[key] = f"{place}/milestone/{key.rpartition('/')[2]}"
    return frozenset(published), {key: own for key, own in aliases.items() if key != own}


def _spellings(connection: Connection, place: str) -> set[str]:
    """All names that a repository has had, in lower case."""
    return {place.casefold(), *(name.casefold() for name in names_of(connection, place))}


def _place_of(key: str) -> str:
    """The repository of the key of one of GitHub's milestones, in lower case; empty for other keys."""
    place, _, number = key.rpartition("/milestone/")
    return place.casefold() if number.isdecimal() else ""


def _hear_statuses(ledger: Ledger, plan: Plan, done: Pass, place: str, source: str, now: int) -> None:
    """Lets the roadmap know the statuses that people set in Notion, and takes back what Notion does not say any more.

    What this program wrote there is no statement of people: neither what GitHub said, nor what ``notion sync`` published.
    """
    with ledger.read() as connection:
        milestones = planned_milestones(connection, plan)
        kept_rows = map(Kept.of, cursors_like(connection, f"notion/row/{source}/").values())
        rows = {one.page: one for one in kept_rows}
        said = statements(connection)
    names = Names(milestones)
    for one in done.statuses:
        key = f"{place}/milestone/{read_place(one.github).number}" if one.github else one.key
        found = names.named(key) if key else []
        kept = rows.get(one.row, Kept())
        if not one.github and (len(found) != 1 or "status" not in kept.got):
            continue
        known = found[0].key if len(found) == 1 else key
        words = next((told.words for told in said.get(known, ()) if told.origin is Origin.NOTION), "")
        if one.value == words:
            continue
        if _is_of_people(one, kept) and not (len(found) == 1 and _says(found[0], one.value)):
            wanted = one.value
        elif words:
            wanted = ""  # it was replaced by what GitHub or the roadmap says
        else:
            continue
        if len(found) == 1:
            state_status(ledger, plan, known, wanted, Origin.NOTION, now, now)
        else:  # GitHub's milestones are read later than they are synchronised
            with ledger.write() as connection:
                state(connection, known, statement_of(wanted, Origin.NOTION, now), now)


def _says(one: Milestone, status: str) -> bool:
    """Whether roadmap.yaml gives a milestone this status, which is published as it changes."""
    return any(said.origin is Origin.FILE and said.status == status for said in one.statements)


def _is_of_people(one: RowStatus, kept: Kept) -> bool:
    """Whether people set the status that a row has."""
    if not one.is_as_found:
        return False
    published = str(canonical(FieldKind.STATUS, kept.got.get("status")) or "")
    if one.before is not None:
        before = str(one.before.notion or "")
        # agreed long ago, before this was listened to: open is all that GitHub can say of these two
        return one.value != before or (one.value in (IN_PROGRESS, BLOCKED) and one.value != published)
    if one.github:
        return one.value not in ("", published)
    return one.value != published


# --- what was agreed ---------------------------------------------------------------------------------


def sync_keys(ledger: Ledger, repository: str) -> dict[str, str]:
    """The sync keys of the rows of a repository's milestones (``github.com/acme/rocket``), by the milestones' own keys: a row
    that was in Notion first has another one. Whoever writes rows by key must use these."""
    found: dict[str, str] = {}
    with ledger.read() as connection:
        places = _spellings(connection, repository)
        for scope in syncing.scopes(connection):
            if str(cursor(connection, f"two-way/{scope}") or "").casefold() not in places:
                continue
            for link in syncing.known(connection, scope).links:
                if link.is_active and link.kind == "milestone":
                    found[f"{repository}/milestone/{read_place(link.github).number}"] = link.key
    return found


def sync_health(ledger: Ledger, now: int) -> dict[str, syncing.Health]:
    """How each pair that was ever synchronised is doing."""
    with ledger.read() as connection:
        return {scope: syncing.health(connection, scope, now) for scope in syncing.scopes(connection)}


def open_conflicts(ledger: Ledger) -> list[syncing.StoredConflict]:
    """The conflicts that wait for a person, or for the next pass to carry out a decision; oldest first."""
    with ledger.read() as connection:
        return syncing.conflicts(connection)


def resolve_conflict(
    ledger: Ledger, number: int, now: int, take: Side | None = None, text: str | None = None
) -> syncing.StoredConflict:
    """Decides a conflict for a side or for a value of one's own; the next pass carries it out, unless the values changed.

    Raises :class:`NotFoundError`, or :class:`ConfigurationError` for a value that the field cannot have.
    """
    if (take is None) == (text is None):
        raise ConfigurationError(
            "say which side wins (--take github or --take notion), or give a value (--value)"
        )
    with ledger.write() as connection:
        value: Value = None
        if text is not None:
            found = next((one for one in syncing.conflicts(connection) if one.id == number), None)
            if found is None:
                raise NotFoundError(f"there is no open conflict {number}; see them with: sync conflicts list")
            value = _given(found.conflict.field, text)
        return syncing.decide(connection, number, take, value, now)


def _given(field: str, text: str) -> Value:
    from achievement_collector.derive.merging import STATUSES, FieldKind

    kind = DEFAULT_RULES[field].kind
    raw: object = [one.strip() for one in text.split(",")] if kind is FieldKind.LABELS else text
    value = canonical(kind, raw)
    if kind is FieldKind.STATUS and value not in STATUSES:
        raise ConfigurationError(f"a status is one of {', '.join(STATUSES)}")
    if kind is FieldKind.DATE and text.strip() and value is None:
        raise ConfigurationError("a date is given as 2026-12-31")
    if kind is FieldKind.LINE and not value:
        raise ConfigurationError(f"the {field} cannot be empty")
    return value
