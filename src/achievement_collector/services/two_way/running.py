"""The two-way sync as a user asks for it: with the settings' repository and database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from achievement_collector.config import Settings
from achievement_collector.derive.merging import DEFAULT_RULES, Side, Value, canonical
from achievement_collector.derive.sync_plan import Policy
from achievement_collector.errors import ConfigurationError, NotFoundError
from achievement_collector.ledger import syncing
from achievement_collector.ledger.entities import cursor, remember
from achievement_collector.ledger.store import Ledger
from achievement_collector.publish.github.client import GitHubWriter
from achievement_collector.publish.github.issues import read_place
from achievement_collector.publish.notion.client import NotionClient
from achievement_collector.publish.notion.databases import look_at
from achievement_collector.publish.notion.schema import ROADMAP
from achievement_collector.services.github_sync import web_host
from achievement_collector.services.notion import LedgerMemory, notion_client
from achievement_collector.services.two_way.github_side import GitHubSide
from achievement_collector.services.two_way.notion_side import NotionSide
from achievement_collector.services.two_way.passes import Pass, run_pass

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
        return run_pass(
            ledger, scope, one, other, clock, uuid.uuid4().hex, Policy(removals=removals, links_titles=links_titles),
            is_full=is_full, is_dry=is_dry, demanded=demanded,
        )  # fmt: skip


def sync_keys(ledger: Ledger, repository: str) -> dict[str, str]:
    """The sync keys of the rows of a repository's milestones (``github.com/acme/rocket``), by the milestones' own keys: a row
    that was in Notion first has another one. Whoever writes rows by key must use these."""
    found: dict[str, str] = {}
    with ledger.read() as connection:
        for scope in syncing.scopes(connection):
            if str(cursor(connection, f"two-way/{scope}") or "").casefold() != repository.casefold():
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
