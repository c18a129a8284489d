"""Deployments: what each one shipped, the achievements that they are, the DORA measures, lists of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.deployments import (
    PRODUCTION,
    Brought,
    DeploymentFacts,
    Shipment,
    by_environment,
    changes_brought,
    conclude_deployment,
    is_production,
    new_to_production,
    same_environment,
    ship,
)
from achievement_collector.derive.dora import Dora, dora
from achievement_collector.derive.epics import iso
from achievement_collector.derive.history import History
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.work import Deployment, PullRequest
from achievement_collector.ledger import deployments as stored
from achievement_collector.ledger.achievements import achievement_uid
from achievement_collector.ledger.collecting import ignores_case
from achievement_collector.ledger.reading import StoredRepository, stored_repositories
from achievement_collector.ledger.selection import credits_of
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import names_of, pull_requests

_MANY = 500
_NO_TIME = -(2**62)  # sorts behind every time


# --- achievements ------------------------------------------------------------------------------------


def conclude_deployments(
    connection: Connection, repository: str, production: Collection[str] = PRODUCTION
) -> list[Conclusion]:
    """The conclusions on all deployments of a repository, from what the ledger holds of its history and changes now.

    ``repository`` is any name it has had; ``production`` are the names of the environments that are production.
    """
    found = stored.recorded_deployments(connection, repository).deployments
    if not found:
        return []
    place = _place(connection, repository)
    over = _Basis.read(connection, repository, place)
    changes = stored.changes_of(connection, place.id) if place else []
    inside: list[tuple[Shipment, Brought]] = []
    for mine in by_environment(found).values():
        shipments = ship(mine, over.history, over.pulls)
        inside += zip(shipments, changes_brought(shipments, changes, over.history), strict=True)
    new = new_to_production(
        (one, brought) for one, brought in inside if is_production(one.deployment.environment, production)
    )
    concluded = []
    for shipment, brought in inside:
        one = shipment.deployment
        facts = DeploymentFacts(
            _lasting_key(one, place), shipment, brought, is_production(one.environment, production),
            new.get(one.key, frozenset()), (place.web_url or "") if place else "", bool(place and place.shallow),
        )  # fmt: skip
        conclusion = conclude_deployment(facts, _credited(connection, facts))
        if conclusion is not None:
            concluded.append(conclusion)
    return concluded


def _credited(connection: Connection, facts: DeploymentFacts) -> list[tuple[int, int]]:
    """(signature id, commits) of those who made what a deployment gathers."""
    uids = [change.id for change in facts.gathered]
    found: dict[int, int] = {}
    for start in range(0, len(uids), _MANY):
        for who, commits in credits_of(connection, uids[start : start + _MANY]):
            found[who] = found.get(who, 0) + commits
    return sorted(found.items())


class _Basis(NamedTuple):
    """What deployments of a repository are laid over; ``pulls`` are merged pull requests by the sha of their merge."""

    history: History
    pulls: dict[str, PullRequest]

    @classmethod
    def read(cls, connection: Connection, repository: str, place: StoredRepository | None) -> _Basis:
        history = stored.timed_graph(connection, place.id) if place else History()
        pulls = {
            pull.merge_sha.lower(): pull
            for pull in pull_requests(connection, repository=repository)
            if pull.merge_sha and pull.merged is not None
        }
        return cls(history, pulls)


def _place(connection: Connection, repository: str) -> StoredRepository | None:
    wanted = names_of(connection, repository)
    places = {place.key: place for place in stored_repositories(connection)}
    return next((places[name] for name in wanted if name in places), None)


def _lasting_key(one: Deployment, place: StoredRepository | None) -> str:
    """The key of a deployment by the first name that its repository had."""
    first = place.uid if place else one.repository
    return first + one.key.removeprefix(one.repository)


def _stored(
    connection: Connection, found: Sequence[Deployment], places: Mapping[str, StoredRepository | None]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Deployment -> (id, detail) of the achievement that it is, as far as they are concluded. An id is made with the
    repository where the achievement is kept as one of it."""
    uids: dict[str, str] = {}
    for one in found:
        place = places[one.repository]
        key = f"deployment/{_lasting_key(one, place)}"
        uids |= {achievement_uid(first, key): one.key for first in ("", place.uid if place else "")}
    details = stored.stored_details(connection, uids)
    return {uids[uid]: (uid, detail) for uid, detail in details.items()}


# --- lists -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """Deployments as data, newest first; ``next`` is the cursor of the page that follows, empty at the end."""

    deployments: list[dict[str, Any]]
    next: str
    matching: int


def list_deployments(
    ledger: Ledger,
    *,
    repository: str | None = None,
    environment: str | None = None,
    state: str | None = None,
    since: int | None = None,
    until: int | None = None,
    limit: int = 50,
    cursor: str = "",
    production: Collection[str] = PRODUCTION,
) -> DeploymentPage:
    """A page of the recorded deployments that took effect or failed from ``since`` to before ``until`` (milliseconds).

    Raises :class:`NotFoundError` for a repository of which nothing is known.
    """
    after = _decoded(cursor) if cursor else None
    with ledger.read() as connection:
        found: list[Deployment] = []
        for name in _named(connection, repository) if repository else (None,):
            found += stored.recorded_deployments(connection, name).deployments
        found = [
            one
            for one in found
            if (environment is None or same_environment(one.environment) == same_environment(environment))
            and (state is None or one.state == state)
            and _is_within(one.at, since, until)
        ]
        ordered = sorted(found, key=_newest_first)
        rest = [one for one in ordered if _newest_first(one) > after] if after else ordered
        page = rest[:limit]
        return DeploymentPage(
            _with_shipped(connection, page, production),
            _encoded(page[-1]) if len(rest) > limit else "",
            len(found),
        )


def _newest_first(one: Deployment) -> tuple[int, str]:
    return (-(one.at if one.at is not None else _NO_TIME), one.key)


def _is_within(at: int | None, since: int | None, until: int | None) -> bool:
    if at is None:
        return since is None and until is None
    return (since is None or at >= since) and (until is None or at < until)


def _encoded(last: Deployment) -> str:
    return base64.urlsafe_b64encode(json.dumps(_newest_first(last)).encode()).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, str]:
    try:
        at, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(at, int) and isinstance(key, str):
            return at, key
    except (ValueError, TypeError, RecursionError):
        pass
    raise CollectorError("the cursor is none that this list gave; begin without one")


def _with_shipped(
    connection: Connection, found: Sequence[Deployment], production: Collection[str]
) -> list[dict[str, Any]]:
    """Deployments as data, each with its achievement where it was concluded, and what it shipped in numbers."""
    places = {name: _place(connection, name) for name in {one.repository for one in found}}
    concluded = _stored(connection, found, places)
    listed = []
    for one in found:
        uid, detail = concluded.get(one.key, (None, None))
        shipped = detail["shipped"] if detail else None
        listed.append(
            deployment_data(one, production)
            | {
                "achievement": uid,
                "shipped": {name: value for name, value in shipped.items() if name != "listed"}
                if shipped
                else None,
            }
        )
    return listed


def deployment_data(one: Deployment, production: Collection[str] = PRODUCTION) -> dict[str, Any]:
    """A deployment as the API gives it, without what it shipped."""
    return {
        "key": one.key,
        "repository": one.repository,
        "environment": one.environment,
        "is_production": is_production(one.environment, production),
        "sha": one.sha or None,
        "version": one.version or None,
        "state": one.state or None,
        "started": iso(one.started),
        "finished": iso(one.finished),
        "url": one.url or None,
    }


def show_deployment(ledger: Ledger, key: str, production: Collection[str] = PRODUCTION) -> dict[str, Any]:
    """A deployment with the changes that it shipped; ``key`` may leave out the host, or be the last part alone where that is
    enough to tell. Raises :class:`NotFoundError` unless it is one."""
    with ledger.read() as connection:
        one = _one(connection, key)
        place = _place(connection, one.repository)
        uid, detail = _stored(connection, [one], {one.repository: place}).get(one.key, (None, None))
        shown = deployment_data(one, production) | {"achievement": uid}
        if detail is None:
            wanted = f"deployment/{_lasting_key(one, place)}"
            fresh = conclude_deployments(connection, one.repository, production)
            detail = next((json.loads(found.detail) for found in fresh if found.key == wanted), None)
        return shown | {"shipped": detail["shipped"] if detail else None}


def _one(connection: Connection, key: str) -> Deployment:
    wanted = key.strip().strip("/")
    everything = stored.recorded_deployments(connection).deployments
    found = [one for one in everything if one.key == wanted]
    found = found or [one for one in everything if wanted and one.key.endswith(f"/{wanted}")]
    if len(found) == 1:
        return found[0]
    if found:
        more = ", ".join(one.key for one in found[:5])
        raise NotFoundError(f"{key!r} may mean several deployments: {more}")
    raise NotFoundError(f"there is no deployment {key!r}; deployments list shows those there are")


def _named(connection: Connection, name: str) -> list[str]:
    """The present names of the repositories that are called so: by their whole key or by the end of it, in any case where
    their forge takes no notice of it."""
    known = {
        *(place.key for place in stored_repositories(connection)),
        *stored.repositories_with_deployments(connection),
    }
    found = [key for key in known if key == name or key.endswith(f"/{name}")]
    found = found or [
        key for key in known if ignores_case(key) and f"/{key}".lower().endswith(f"/{name}".lower())
    ]
    if not found and names_of(connection, name)[0] in known:
        found = [name]
    if not found:
        raise NotFoundError(f"nothing is known of a repository {name!r}")
    return sorted({names_of(connection, key)[0] for key in found})


def last_news(ledger: Ledger) -> tuple[int, int]:
    """(deployments known, when one changed last): the same numbers mean the same deployments."""
    with ledger.read() as connection:
        return stored.last_news(connection)


# --- DORA --------------------------------------------------------------------------------------------


def dora_of(
    ledger: Ledger,
    repository: str | None = None,
    environment: str | None = None,
    *,
    since: int | None = None,
    until: int,
    production: Collection[str] = PRODUCTION,
) -> list[Dora]:
    """The DORA measures for each repository and environment, from ``since`` to before ``until`` (milliseconds since 1970).

    Without ``environment`` those of the production environments. A repository that is asked for and has no such deployment
    is there, with nothing measured. Raises :class:`NotFoundError` for one of which nothing is known, and
    :class:`CollectorError` for a window that ends before it begins.
    """
    if since is not None and since >= until:
        raise CollectorError(f"the window ends ({iso(until)}) before it begins ({iso(since)})")
    with ledger.read() as connection:
        names = (
            _named(connection, repository) if repository else stored.repositories_with_deployments(connection)
        )
        bots = stored.programs(connection)
        found: list[Dora] = []
        for name in names:
            found += _dora_of_one(
                connection, name, environment, since, until, production, bots, bool(repository)
            )
        return found


def _dora_of_one(
    connection: Connection, name: str, environment: str | None, since: int | None, until: int, production: Collection[str],
    bots: frozenset[int], is_asked_for: bool,
) -> list[Dora]:  # fmt: skip
    recorded = stored.recorded_deployments(connection, name)
    chosen = {
        where: mine
        for where, mine in by_environment(recorded.deployments).items()
        if (
            same_environment(where) == same_environment(environment)
            if environment is not None
            else is_production(where, production)
        )
    }
    if not chosen and not is_asked_for:
        return []
    over = _Basis.read(connection, name, _place(connection, name)) if chosen else _Basis(History(), {})
    if not chosen:
        chosen = {environment if environment is not None else next(iter(production), "production"): []}
    return [
        dora(
            name, where, ship(mine, over.history, over.pulls), over.history, since=since, until=until,
            is_production=is_production(where, production), bots=bots, rolled_back=recorded.rolled_back,
        )
        for where, mine in chosen.items()
    ]  # fmt: skip
