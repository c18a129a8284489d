"""Pull requests, issues, epics' sources, checks and reports as typed facts, read from what outside systems told."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.facts.observations import Kind, Observation, Registers, merge, values
from achievement_collector.facts.work import (
    Attachment,
    Check,
    CiReport,
    EpicSource,
    Issue,
    PullRequest,
    Review,
    texts,
)
from achievement_collector.ledger.collecting import ignores_case, seen_spellings
from achievement_collector.ledger.entities import Thing, remember, things
from achievement_collector.ledger.tables import cursors


def pull_requests(
    connection: Connection, *, repository: str | None = None, keys: Sequence[str] | None = None
) -> list[PullRequest]:
    """Pull requests of a repository, or those named, with their reviews. One that was told of under several names of a
    renamed repository is one, under the present name."""
    moved = present_names(connection)
    scopes = names_of(connection, repository) if repository is not None else None
    spelled = [one for key in keys for one in spellings(key, moved)] if keys is not None else None
    found: dict[str, Registers] = {}
    for one in things(connection, Kind.PULL_REQUEST, scopes=scopes, keys=spelled):
        key = present_key(one.key, moved)
        found[key] = _joined(found.get(key, {}), one)
    reviews: dict[str, dict[str, Review]] = {}
    for one in things(
        connection, Kind.REVIEW, scopes=[name for key in found for name in spellings(key, moved)]
    ):
        told = one.fields
        of_pull = reviews.setdefault(present_key(one.scope, moved), {})
        of_pull[one.key.rpartition("/")[2]] = Review(
            one.key,
            told.get("reviewer", ""),
            told.get("state", ""),
            told.get("submitted"),
            bool(told.get("is_bot")),
        )
    pulls = [
        _pull_request(key.rpartition("#")[0], values(told), tuple(reviews.get(key, {}).values()))
        for key, told in found.items()
        if told.get("number")
    ]
    return sorted(pulls, key=lambda pull: (pull.repository, pull.number))


def _joined(known: Registers, one: Thing) -> Registers:
    """What is known of a thing with what was told of it under another name."""
    for name, value in one.fields.items():
        known = merge(known, Observation(Kind.PULL_REQUEST, one.key, one.said[name], {name: value}))
    return known


_KEPT = "present_names"
_WRITES = "ledger_write"  # the execution option that ledger.store gives a transaction that writes


class Names(dict[str, str]):
    """The present name of every repository that has had others, by each of those; ``by_lower_case`` has the present name
    of every repository whose forge takes no notice of upper and lower case."""

    def __init__(self, present: Mapping[str, str], by_lower_case: Mapping[str, str]) -> None:
        super().__init__(present)
        self.by_lower_case = by_lower_case


def present_names(connection: Connection) -> Names:
    """The present name of every repository that was renamed or moved, or that was told of in several spellings, by each
    name it had before and each other spelling. A transaction that only reads asks once."""
    kept = connection.info.get(_KEPT)
    transaction = connection.get_transaction()
    if kept is not None and transaction is not None and kept[0]() is transaction:
        names: Names = kept[1]
        return names
    names = _read_names(connection)
    transaction = connection.get_transaction()
    if transaction is not None and not connection.get_execution_options().get(_WRITES):
        connection.info[_KEPT] = (weakref.ref(transaction), names)
    return names


def _read_names(connection: Connection) -> Names:
    moves: dict[str, tuple[int, str]] = {}
    told = [
        (one.key, one.said["moved_to"], str(one.fields["moved_to"]))
        for one in things(connection, Kind.REPOSITORY)
        if one.fields.get("moved_to")
    ]
    known: dict[str, str] = {}
    others: dict[str, str] = {}
    for name in [*seen_spellings(connection), *(new for *_, new in told if ignores_case(new))]:
        first = known.setdefault(name.lower(), name)
        if first != name:
            others[name] = first
    for old, at, new in told:
        old, new = others.get(old, old), others.get(new, new)
        if old != new:
            moves[old] = max(moves.get(old, (at, new)), (at, new))
    found: dict[str, str] = {}
    for old in moves:
        name, at = old, -1
        while name in moves and moves[name][0] > at:  # what was renamed back ends where it began
            at, name = moves[name]
        if name != old:
            found[old] = name
    found |= {other: found.get(first, first) for other, first in others.items()}
    return Names(found, {lower: found.get(name, name) for lower, name in known.items()})


def _present(place: str, moved: Names) -> str:
    found = moved.get(place)
    if found is None and ignores_case(place):
        found = moved.by_lower_case.get(place.lower())
    return found or place


def present_key(key: str, moved: Names) -> str:
    """``host/owner/name#12`` under the present name of its repository."""
    place, mark, number = key.rpartition("#")
    return f"{_present(place, moved)}{mark}{number}"


def present_milestone(key: str, moved: Names) -> str:
    """The key of a milestone, under the present name of its repository where it is one of a repository."""
    place, mark, number = key.rpartition("/milestone/")
    return f"{_present(place, moved)}{mark}{number}" if mark else key


def spellings(key: str, moved: Names) -> list[str]:
    """The present key of a pull request, and those it had under earlier names and other spellings of its repository."""
    place, _, number = present_key(key, moved).rpartition("#")
    return [f"{name}#{number}" for name in (place, *(old for old, new in moved.items() if new == place))]


def names_of(connection: Connection, repository: str) -> list[str]:
    """The present name of a repository and those it had before it was renamed or moved, in every spelling."""
    moved = present_names(connection)
    present = _present(repository, moved)
    return [present, *(old for old, new in moved.items() if new == present)]


def _pull_request(repository: str, told: Mapping[str, Any], reviews: tuple[Review, ...]) -> PullRequest:
    return PullRequest(
        repository=repository, number=told["number"], title=told.get("title", ""), body=told.get("body", ""),
        author=told.get("author", ""), author_id=told.get("author_id"), is_bot=bool(told.get("is_bot")),
        created=told.get("created"), merged=told.get("merged"), closed=told.get("closed"),
        is_draft=bool(told.get("is_draft")), labels=texts(told.get("labels")), base=told.get("base", ""),
        base_sha=told.get("base_sha", ""), branch=told.get("branch", ""), head_sha=told.get("head_sha", ""),
        merge_sha=told.get("merge_sha", ""), additions=told.get("additions"), deletions=told.get("deletions"),
        files=told.get("files"), commits=told.get("commits"), url=told.get("url", ""),
        milestone=told.get("milestone", ""), reviews=reviews,
    )  # fmt: skip


def issues(
    connection: Connection,
    *,
    scopes: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> list[Issue]:
    """Issues of Linear by key, by project, by identifier, or all."""
    found = [
        one
        for one in things(connection, Kind.ISSUE, scopes=scopes, keys=keys, names=names)
        if one.key.startswith("linear/")
    ]
    if names is not None:
        present = {str(one.fields.get("identifier", "")).lower() for one in found}
        former = [name.lower() for name in names if name.lower() not in present]
        keys = aliased_issues(connection, former)
        found += [
            one for one in things(connection, Kind.ISSUE, keys=keys) if one.key not in {f.key for f in found}
        ]
    teams = [str(one.fields["team_id"]) for one in found if one.fields.get("team_id")]
    scales = {
        one.key: str(one.fields.get("scale", ""))
        for one in things(connection, Kind.TEAM, keys=[f"linear/{team}" for team in teams])
    }
    return [_issue(one, scales) for one in found if one.fields.get("title") is not None]


def _issue(one: Thing, scales: dict[str, str]) -> Issue:
    told = one.fields
    parent = told.get("parent")
    project = told.get("project")
    return Issue(
        key=one.key, identifier=told.get("identifier", ""), title=told.get("title", ""),
        description=told.get("description", ""), state=told.get("state", ""), priority=told.get("priority"),
        estimate=told.get("estimate"), scale=told.get("scale") or scales.get(f"linear/{told.get('team_id')}", ""),
        labels=texts(told.get("labels")), assignee=told.get("assignee") or "",
        assignee_email=told.get("assignee_email", ""), creator=told.get("creator", ""), team=told.get("team", ""),
        project=f"linear/{project}" if project else "", parent=f"linear/{parent}" if parent else "",
        branch=told.get("branch", ""), created=told.get("created"), started=told.get("started"),
        completed=told.get("completed"), canceled=told.get("canceled"), url=told.get("url", ""),
        is_removed=bool(told.get("removed")),
        former=tuple(
            sorted(
                name.removeprefix(_KNOWN_AS)
                for name in told
                if name.startswith(_KNOWN_AS) and name.removeprefix(_KNOWN_AS) != told.get("identifier")
            )
        ),
    )  # fmt: skip


_KNOWN_AS, _ALIAS = "known_as/", "issue-alias/"


def note_aliases(connection: Connection, key: str, now: int) -> list[str]:
    """Remembers the former identifiers of an issue, so that it is found by them, and gives them in lower case."""
    found = things(connection, Kind.ISSUE, keys=[key])
    former = [name.lower() for one in found for name in _issue(one, {}).former]
    for name in former:
        remember(connection, f"{_ALIAS}{name}", key, now)
    return former


def aliased_issues(connection: Connection, names: Sequence[str]) -> list[str]:
    """The keys of issues that had one of these identifiers (in lower case) once."""
    found: dict[str, None] = {}
    listed = [f"{_ALIAS}{name}" for name in dict.fromkeys(names)]
    for start in range(0, len(listed), 500):
        query = sa.select(cursors.c.value).where(cursors.c.name.in_(listed[start : start + 500]))
        found |= {json.loads(value): None for value in connection.scalars(query)}
    return list(found)


def epic_sources(connection: Connection, kind: str) -> list[EpicSource]:
    """Everything that is an epic outside: ``kind`` is project, initiative or issue (those that have sub-issues)."""
    if kind == "issue":
        known = list(things(connection, Kind.ISSUE))
        parents = {f"linear/{one.fields['parent']}" for one in known if one.fields.get("parent")}
        found = [_source("issue", one) for one in known if one.key in parents]
    else:
        found = [_source(kind, one) for one in things(connection, Kind(kind))]
    return [*found, *local_epics(connection)]


def local_epics(connection: Connection) -> list[EpicSource]:
    return [_source("local", one) for one in things(connection, Kind.EPIC)]


def _source(kind: str, one: Thing) -> EpicSource:
    told = one.fields
    slug = told.get("identifier", "") if kind == "issue" else told.get("slug", "")
    return EpicSource(
        kind=kind, key=one.key, title=told.get("title") or "", description=told.get("description") or "",
        status=told.get("status") or told.get("state") or "", lead=told.get("lead") or told.get("assignee") or "",
        created=told.get("created"), started=told.get("started"), completed=told.get("completed"),
        canceled=told.get("canceled"), url=told.get("url", ""), slug=slug or "",
        initiatives=texts(told.get("initiatives")), is_removed=bool(told.get("removed")),
    )  # fmt: skip


def checks(connection: Connection, repository: str, shas: Iterable[str]) -> list[Check]:
    """What CI said about commits of a repository."""
    scopes = [f"{place}@{sha}" for sha in shas if sha for place in names_of(connection, repository)]
    return [
        Check(
            one.key, told.get("name", ""), told.get("sha", ""), told.get("conclusion") or "", told.get("started"),
            told.get("completed"), told.get("url", ""), told.get("attempt") or 1, told.get("path") or "",
            told.get("event") or "",
        )
        for one in things(connection, Kind.CHECK, scopes=scopes)
        for told in [one.fields]
    ]  # fmt: skip


def ci_reports(connection: Connection, repository: str) -> list[CiReport]:
    """Every report that CI handed in for a repository, oldest first."""
    found = [
        _ci_report(one) for one in things(connection, Kind.CI_REPORT, scopes=names_of(connection, repository))
    ]
    return sorted(found, key=lambda one: (one.at, one.key))


def _ci_report(one: Thing) -> CiReport:
    told: dict[str, Any] = one.fields
    return CiReport(
        one.key, one.scope, told.get("sha", ""), told.get("kind", ""), told.get("name", ""), told.get("body") or {},
        one.said.get("body", 0), told.get("branch") or "", told.get("base") or "", told.get("pull_request"),
        told.get("url") or "",
    )  # fmt: skip


def attachments(
    connection: Connection, *, issues: Sequence[str] | None = None, urls: Sequence[str] | None = None
) -> list[Attachment]:
    """Attachments of the issues named, or of these addresses; removed ones are left out."""
    return [
        Attachment(one.key, one.scope, one.fields.get("url", ""), one.fields.get("title", ""))
        for one in things(connection, Kind.ATTACHMENT, scopes=issues, names=urls)
        if not one.fields.get("removed")
    ]
