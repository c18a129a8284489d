"""From news to conclusions: what a change makes stale, and bringing all of that up to date.

Whatever takes facts in (deliveries, polling, CI, a person) marks what rests on them in the same transaction. The marks are
worked off by :func:`bring_up_to_date`, by one process at a time; a stop at any moment leaves marks for the next one.
Derivation reads facts only, so the result does not depend on the order in which they came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.epics import EpicFacts
from achievement_collector.derive.identity import AuthorKind, AuthorRules
from achievement_collector.derive.links import Link, link, mentioned_words, named
from achievement_collector.errors import CollectorError, LedgerError, NotConcludedError
from achievement_collector.facts import Signature
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import Issue, PullRequest
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger import work
from achievement_collector.ledger.collecting import SignatureIds, ensure_repository, rename_repository
from achievement_collector.ledger.deployments import repositories_with_deployments
from achievement_collector.ledger.entities import (
    Changed,
    Stale,
    mark_stale,
    settle,
    stale_things,
    things,
)
from achievement_collector.ledger.kpis import names_of_kpis
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.epic_index import EpicIndex
from achievement_collector.services.issue_conclusions import (
    IssueNews,
    epics_themselves,
    news_of,
    pull_attached,
    store_issue,
)
from achievement_collector.services.outcomes import KINDS, conclude_outcome, marks_of_scan, outcome_marks

_log = logging.getLogger(__name__)
_ROUNDS = 12
_BATCH = 200
_PART = 8
_Item = TypeVar("_Item")
_SOURCES = {Kind.PROJECT: "project", Kind.INITIATIVE: "initiative", Kind.EPIC: "local"}


def note_changes(connection: Connection, changed: Sequence[Changed], now: int) -> None:
    """Marks what rests on things that changed. ``now`` in milliseconds."""
    marks: list[tuple[str, str, str]] = []
    shas: dict[str, str] = {}
    for one in changed:
        cause = f"{one.kind.value} {one.key}"
        match one.kind:
            case Kind.PULL_REQUEST:
                marks.append(("pull", one.key, cause))
            case Kind.REVIEW | Kind.LINK:
                marks.append(("pull", one.scope, cause))
            case Kind.ISSUE if one.key.startswith("linear/"):
                marks.append(("issue", one.key, cause))
                if not one.is_new and any(name.startswith("known_as/") for name in one.fields):
                    former = work.note_aliases(connection, one.key, now)
                    marks += [
                        ("pull", pull, cause) for pull in ledger_epics.pulls_that_mention(connection, former)
                    ]
            case Kind.ATTACHMENT if one.scope:
                marks.append(("issue", one.scope, cause))
                marks += [("pull", pull, cause) for pull in pull_attached(connection, one.key)]
            case Kind.PROJECT | Kind.INITIATIVE | Kind.EPIC:
                marks.append(("source", one.key, cause))
            case Kind.MILESTONE if one.scope.startswith("linear/"):
                marks.append(("source", one.scope, cause))
            case Kind.TEAM:
                marks.append(("team", one.key, cause))
            case Kind.CHECK:
                shas.setdefault(f"sha:{one.scope.rpartition('@')[2]}", cause)
            case Kind.CI_REPORT:
                marks.append(("reports", one.scope, cause))
            case Kind.DEPLOYMENT:
                marks.append(("deployments", one.scope, cause))
            case Kind.POST:
                marks.append(("post", one.key, cause))
            case Kind.RUN | Kind.MODEL if one.scope:
                marks.append(("experiment", one.scope, cause))
            case Kind.KPI_MILESTONE:
                marks.append(("kpi", one.scope, cause))
            case Kind.REPOSITORY if "moved_to" in one.fields:
                marks.append(("repository", one.key, cause))
                pulls = things(connection, Kind.PULL_REQUEST, scopes=work.names_of(connection, one.key))
                marks += [("pull", pull.key, cause) for pull in pulls]
    if shas:
        cause = next(iter(shas.values()))
        marks += [("pull", pull, cause) for pull in ledger_epics.pulls_that_mention(connection, shas)]
    mark_stale(connection, marks, now)


@dataclass(slots=True)
class Updated:
    """What was brought up to date."""

    pulls: int = 0
    issues: int = 0
    repositories: int = 0
    outcomes: int = 0
    epics: int = 0
    finalised: int = 0

    @property
    def total(self) -> int:
        return self.pulls + self.issues + self.repositories + self.outcomes + self.epics


@dataclass(slots=True)
class _Pass(Updated):
    """What is done in one call, and what failed in it."""

    failures: dict[str, Exception] = field(default_factory=dict)  # what -> the first failure
    is_blocked: bool = False


def bring_up_to_date(
    ledger: Ledger,
    settings: Settings,
    clock: Callable[[], int],
    *,
    keep_going: Callable[[], bool] = lambda: True,
) -> Updated:
    """Works off every mark. ``clock`` gives milliseconds since 1970; ``keep_going`` may end it early. Where another process
    is at it already, nothing is done. What cannot be concluded holds up nothing else; when all else is done,
    :class:`NotConcludedError` names it."""
    done = _Pass()
    with ledger.try_exclusive("live") as is_ours:
        if not is_ours:
            return done
        for _ in range(_ROUNDS):
            before = done.total
            for step in (_teams, _sources, _pulls, _reports, _repositories, _issues, _outcomes, _epics):
                if not keep_going():
                    return done
                step(ledger, settings, clock(), done)
            if done.total == before and (done.is_blocked or not _anything(ledger, clock())):
                break
    if done.failures:
        raise _not_concluded(done.failures)
    return done


def _not_concluded(failures: Mapping[str, Exception]) -> CollectorError:
    what, error = next(iter(failures.items()))
    if isinstance(error, LedgerError):
        return error  # nothing is the matter with what was to be concluded
    why = str(error) if isinstance(error, CollectorError) else f"{type(error).__name__}: {error}"[:300]
    more = f" (nor could {len(failures) - 1:,} more)" if len(failures) > 1 else ""
    told = NotConcludedError(
        f"{what} could not be concluded{more}: {why}; all else is done, and it is tried again later"
    )
    told.__cause__ = error
    return told


def _anything(ledger: Ledger, now: int) -> bool:
    """Whether something is left that could be concluded now."""
    with ledger.read() as connection:
        marks = stale_things(connection, limit=_BATCH)
    return not all(_rests(ledger, f"{one.kind} {one.key}", now) for one in marks)


def _read(ledger: Ledger, kind: str) -> list[Stale]:
    resting = sum(1 for name, _ in _pauses if name == ledger.name)
    with ledger.read() as connection:
        # those that rest stand first, for they are old: they must not keep the others from being seen
        return stale_things(connection, kind, _BATCH + resting)


def _teams(ledger: Ledger, settings: Settings, now: int, done: Updated) -> None:
    marks = _read(ledger, "team")
    if not marks:
        return
    with ledger.read() as connection:
        teams = {one.key.removeprefix("linear/"): one.cause for one in marks}
        inside = [one for one in things(connection, Kind.ISSUE) if one.fields.get("team_id") in teams]
    with ledger.write() as connection:
        mark_stale(connection, [("issue", one.key, teams[one.fields["team_id"]]) for one in inside], now)
        settle(connection, marks)


def _sources(ledger: Ledger, settings: Settings, now: int, done: Updated) -> None:
    """An epic's source changed: its epic, the issues in it and the pull requests that may mean it are looked at again."""
    marks = _read(ledger, "source")
    if not marks:
        return
    with ledger.read() as connection:
        index = EpicIndex(connection, settings)
        found: list[tuple[str, str, str]] = []
        words: dict[str, str] = {}
        for one in marks:
            key = index.of_source.get(one.key)
            if key:
                found.append(("epic", key, one.cause))
                words |= {name: one.cause for name, epic in index.names.items() if epic == key}
            earlier = [
                epic.key
                for epic in ledger_epics.stored_epics(connection)
                if any(source["key"] == one.key for source in epic.structure["sources"])
            ]
            found += [("epic", epic, one.cause) for epic in earlier]
            for epic in {*earlier, *filter(None, [key])}:  # ties by a name that it may have lost
                found += [
                    ("pull", member, one.cause)
                    for member in ledger_epics.members_of(connection, epic)
                    if "#" in member
                ]
            inside = [one.key, *_projects_of(connection, one.key)]
            found += [("issue", issue.key, one.cause) for issue in work.issues(connection, scopes=inside)]
        found += [
            ("pull", pull, marks[0].cause) for pull in ledger_epics.pulls_that_mention(connection, words)
        ]
    with ledger.write() as connection:
        mark_stale(connection, found, now)
        settle(connection, marks)


def _projects_of(connection: Connection, initiative: str) -> list[str]:
    return [
        one.key
        for one in things(connection, Kind.PROJECT)
        if initiative in (one.fields.get("initiatives") or ())
    ]


# --- pull requests -----------------------------------------------------------------------------------


def _pulls(ledger: Ledger, settings: Settings, now: int, done: Updated) -> None:
    """Ties pull requests to epics and marks what rests on them."""
    marks = {one.key: one for one in _read(ledger, "pull")}
    if not marks:
        return
    tied: list[tuple[PullRequest, tuple[Link, ...], list[Issue]]] = []
    with ledger.read() as connection:
        index = EpicIndex(connection, settings)
        moved = work.present_names(connection)
        for pull in work.pull_requests(connection, keys=list(marks)):
            links, issues = _links_of(connection, index, pull)
            tied.append((pull, links if settings.epics_enabled else (), issues))
    for part in _parts(tied):
        with ledger.write() as connection:
            found: list[tuple[str, str, str]] = []
            settled: list[Stale] = []
            for pull, links, issues in part:
                told = [marks.pop(name) for name in work.spellings(pull.key, moved) if name in marks]
                cause = told[0].cause
                for former in work.spellings(pull.key, moved)[1:]:
                    ledger_epics.set_mentions(connection, former, ())
                    former_epics, _ = ledger_epics.set_epics(connection, former, ())
                    found += [("epic", epic, cause) for epic in former_epics]
                settled += told
                ledger_epics.set_mentions(connection, pull.key, mentioned_words(pull))
                epics, _ = ledger_epics.set_epics(connection, pull.key, links)
                found += [("epic", epic, cause) for epic in epics]
                found += [("issue", issue.key, cause) for issue in issues]
                if pull.merged is not None and settings.pr_tracking_enabled:
                    found.append(("repository", pull.repository, cause))
            mark_stale(connection, found, now)
            settle(connection, settled)
        done.pulls += len(part)
    with ledger.write() as connection:
        settle(connection, marks.values())  # of those that are not known yet


def _parts(found: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Few enough for one short transaction: whoever takes deliveries in waits for it."""
    return (found[start : start + _PART] for start in range(0, len(found), _PART))


def _links_of(
    connection: Connection, index: EpicIndex, pull: PullRequest
) -> tuple[tuple[Link, ...], list[Issue]]:
    """The epics of a pull request, and the issues it names or is attached to."""
    by_hand = {
        str(one.fields["epic"]): bool(one.fields["belongs"])
        for one in things(
            connection, Kind.LINK, scopes=work.spellings(pull.key, work.present_names(connection))
        )
        if one.fields.get("epic")
    }
    named_issues, attached = _named_issues(connection, pull), _attached_issues(connection, pull)
    links = link(
        pull,
        index.names,
        {name: index.epic_of(issue) for issue in named_issues for name in issue.identifiers},
        [(issue.identifier, index.epic_of(issue)) for issue in attached],
        by_hand,
    )
    return links, [*named_issues, *attached]


def _named_issues(connection: Connection, pull: PullRequest) -> list[Issue]:
    return work.issues(connection, names=[key for key, _ in named(pull).issues])


def _attached_issues(connection: Connection, pull: PullRequest) -> list[Issue]:
    keys = work.spellings(pull.key, work.present_names(connection))
    addresses = [pull.url, *(f"https://{key.replace('#', '/pull/')}" for key in keys)]
    tied = work.attachments(connection, urls=[address for address in addresses if address])
    return work.issues(connection, keys=[one.issue for one in tied])


def _reports(ledger: Ledger, settings: Settings, now: int, done: Updated) -> None:
    """A report of CI may be a change's own or the baseline of others: the whole repository is looked at."""
    marks = _read(ledger, "reports")
    if not marks:
        return
    with ledger.read() as connection:
        found: list[tuple[str, str, str]] = []
        for one in marks:
            found.append(("repository", one.key, one.cause))
            found += _epics_of(connection, [one])
    with ledger.write() as connection:
        mark_stale(connection, found, now)
        settle(connection, marks)


# --- repositories ------------------------------------------------------------------------------------


def _repositories(ledger: Ledger, settings: Settings, now: int, done: _Pass) -> None:
    """Derives repositories anew. One that cannot be derived holds up nothing: its mark stays, and it is tried again after
    a pause that grows with every failure."""
    with ledger.read() as connection:
        moved = work.present_names(connection)
    places: dict[str, list[Stale]] = {}
    for one in _read(ledger, "repository"):
        places.setdefault(moved.get(one.key, one.key), []).append(one)
    places = {key: marks for key, marks in places.items() if not _rests(ledger, f"repository {key}", now)}
    if not places:
        return
    from achievement_collector.services.identity import load_author_rules, refresh_people

    rules = load_author_rules(settings.rules)
    with ledger.try_exclusive("scan") as is_ours:
        if not is_ours:
            done.is_blocked = True  # a scan is at work: deliveries do not wait for its end, the marks do
            return
        wanted: dict[str, int] = {}
        for key, marks in places.items():
            with _tolerated(ledger, f"repository {key}", now, done):
                wanted[key] = _prepare_repository(ledger, key, marks)
        if not wanted:
            return
        kinds = refresh_people(ledger, rules)
        for key, number in wanted.items():
            with _tolerated(ledger, f"repository {key}", now, done):
                _derive_repository(ledger, number, places[key], settings, rules, kinds, now)
                done.repositories += 1
                _succeeded(ledger, f"repository {key}")


def _prepare_repository(ledger: Ledger, key: str, marks: Sequence[Stale]) -> int:
    """Gives a repository its present name, and its authors signatures; gives its id."""
    from achievement_collector.derive.pull_authors import author_of

    with ledger.read() as connection:
        pulls = work.pull_requests(connection, repository=key)
        authors = [author_of(pull) for pull in pulls if pull.author]
    with ledger.write() as connection:
        for one in marks:
            if one.key != key:
                rename_repository(connection, one.key, key)
        number = ensure_repository(connection, key)
        SignatureIds(connection).add(connection, authors)
    return number


def _derive_repository(
    ledger: Ledger, number: int, marks: Sequence[Stale], settings: Settings, rules: AuthorRules,
    kinds: dict[Signature, AuthorKind], now: int,
) -> None:  # fmt: skip
    from achievement_collector.services.deriving import derive_repository

    before = _counted(ledger, number)
    derive_repository(ledger, number, settings, kinds=kinds, rules=rules)
    after = _counted(ledger, number)
    changed = {pull for pull in before.keys() | after.keys() if before.get(pull) != after.get(pull)}
    with ledger.write() as connection:
        settle(connection, marks)
        mark_stale(connection, _epics_of(connection, marks), now)
        mark_stale(connection, _issues_of(connection, marks, changed), now)
        for one in marks:
            mark_stale(connection, outcome_marks(connection, one.key, one.cause), now)


# --- what fails --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Pause:
    failures: int = 0
    until: int = 0  # milliseconds since 1970


_pauses: dict[tuple[str, str], _Pause] = {}
"""(ledger, what) -> until when what could not be concluded is left alone; of this process only, so that a start tries all."""
_LONGEST_PAUSE = 300_000


def _rests(ledger: Ledger, what: str, now: int) -> bool:
    pause = _pauses.get((ledger.name, what))
    return pause is not None and now < pause.until


@contextmanager
def _tolerated(ledger: Ledger, what: str, now: int, done: _Pass) -> Iterator[None]:
    """Notes a failure, for the caller of :func:`bring_up_to_date` to hear of when all else is done."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the others must go on; it is raised in the end
        pause = _pauses.setdefault((ledger.name, what), _Pause())
        pause.failures += 1
        pause.until = now + min(_LONGEST_PAUSE, 1_000 * 2 ** min(pause.failures, 20))
        done.failures.setdefault(what, error)
        _log.warning("%s is not concluded, next try in %d s: %s", what, (pause.until - now) // 1000, error)


def _succeeded(ledger: Ledger, what: str) -> None:
    _pauses.pop((ledger.name, what), None)


def _counted(ledger: Ledger, repository_id: int) -> dict[str, bool]:
    """Whether the pull requests (``pr/12``) of a repository count."""
    with ledger.read() as connection:
        stored = conclusions.stored_conclusions(connection, repository_id, AchievementKind.CHANGE)
    return {key: one.is_counted for key, one in stored.items() if key.startswith("pr/")}


def _issues_of(
    connection: Connection, marks: Iterable[Stale], changed: Container[str] | None = None
) -> list[tuple[str, str, str]]:
    """The issues that merged pull requests of repositories name or are attached to: whether they have the credit may have
    changed. ``changed`` are the pull requests (``pr/12``) to look at, all where it is None."""
    found = []
    for one in marks:
        pulls = [
            pull
            for pull in work.pull_requests(connection, repository=one.key)
            if pull.merged is not None and (changed is None or f"pr/{pull.number}" in changed)
        ]
        names = [key for pull in pulls for key, _ in named(pull).issues]
        tied = work.attachments(connection, urls=[pull.url for pull in pulls if pull.url])
        inside = [
            *work.issues(connection, names=names),
            *work.issues(connection, keys=[tie.issue for tie in tied]),
        ]
        found += [("issue", issue.key, one.cause) for issue in inside]
    return found


def _epics_of(connection: Connection, marks: Iterable[Stale]) -> list[tuple[str, str, str]]:
    return [
        ("epic", epic, one.cause)
        for one in marks
        for epic in sorted(
            {
                epic
                for name in work.names_of(connection, one.key)
                for epic in ledger_epics.epics_of_pulls(connection, name).values()
            }
        )
    ]


def everything_stale(ledger: Ledger, now: int) -> None:
    """Has everything that outside systems told concluded again, by the rules as they are now."""
    with ledger.read() as connection:
        found = [("pull", one.key, "the rules") for one in things(connection, Kind.PULL_REQUEST)]
        found += [
            ("issue", one.key, "the rules")
            for one in things(connection, Kind.ISSUE)
            if one.key.startswith("linear/")
        ]
        found += [("deployments", name, "the rules") for name in repositories_with_deployments(connection)]
        found += [("post", one.key, "the rules") for one in things(connection, Kind.POST)]
        experiments = {one.scope for one in things(connection, Kind.RUN) if one.scope}
        found += [("experiment", scope, "the rules") for scope in sorted(experiments)]
        found += [("kpi", name, "the rules") for name in names_of_kpis(connection)]
        found += [("epic", epic.key, "the rules") for epic in ledger_epics.stored_epics(connection)]
    for part in _parts(found):
        with ledger.write() as connection:
            mark_stale(connection, part, now)


def note_scan(ledger: Ledger, repository: str, now: int) -> None:
    """Marks the epics and issues of a repository whose git history was read anew: a revert may have come to light."""
    scanned = [Stale("repository", repository, f"git {repository}", now)]
    with ledger.read() as connection:
        found = [
            *_epics_of(connection, scanned),
            *_issues_of(connection, scanned),
            *marks_of_scan(connection, repository, scanned[0].cause),
        ]
    if found:
        with ledger.write() as connection:
            mark_stale(connection, found, now)


# --- issues ------------------------------------------------------------------------------------------


def _issues(ledger: Ledger, settings: Settings, now: int, done: Updated) -> None:
    marks = {one.key: one for one in _read(ledger, "issue")}
    if not marks:
        return
    news: list[IssueNews] = []
    with ledger.read() as connection:
        index = EpicIndex(connection, settings)
        for issue in work.issues(connection, keys=list(marks)):
            news.append(news_of(connection, index, issue, settings))
    people_changed = False
    for part in _parts(news):
        with ledger.write() as connection:
            found: list[tuple[str, str, str]] = []
            for one in part:
                cause = marks[one.issue.key].cause
                epics, has_moved = ledger_epics.set_epics(connection, one.issue.key, one.links)
                found += [("epic", epic, cause) for epic in epics]
                if has_moved:
                    found += [("pull", pull, cause) for pull in one.pulls]
                    found += [("issue", issue, cause) for issue in one.related]
                    found += [("issue", issue, cause) for issue in epics_themselves(connection, epics)]
                people_changed |= store_issue(connection, one)
            mark_stale(connection, found, now)
            settle(connection, [marks.pop(one.issue.key) for one in part])
        done.issues += len(part)
    with ledger.write() as connection:
        settle(connection, marks.values())  # of those that are not known yet
    if people_changed:
        from achievement_collector.services.identity import load_author_rules, refresh_people

        refresh_people(ledger, load_author_rules(settings.rules))


# --- outcomes ----------------------------------------------------------------------------------------


def _outcomes(ledger: Ledger, settings: Settings, now: int, done: _Pass) -> None:
    """Deployments, posts, experiments, KPIs."""
    for kind in KINDS:
        for one in _read(ledger, kind):
            what = f"{kind} {one.key}"
            if _rests(ledger, what, now):
                continue
            with _tolerated(ledger, what, now, done):
                conclude_outcome(ledger, settings, one, now)
                done.outcomes += 1
                _succeeded(ledger, what)


# --- epics -------------------------------------------------------------------------------------------


def _epics(ledger: Ledger, settings: Settings, now: int, done: _Pass) -> None:
    marks = _read(ledger, "epic")
    if not marks:
        return
    if not settings.epics_enabled:
        with ledger.write() as connection:
            settle(connection, marks)
        return
    from achievement_collector.services.epics import prepare_epic, rebuild_epic

    index: EpicIndex | None = None
    for one in marks:
        if _rests(ledger, f"epic {one.key}", now):
            continue
        with _tolerated(ledger, f"epic {one.key}", now, done):
            with ledger.read() as connection:
                index = index or EpicIndex(connection, settings)
                prepared = prepare_epic(connection, one.key, settings, now, index)
                is_early = prepared.final is not None and _is_waited_for(
                    ledger, connection, prepared.facts, now
                )
            with ledger.write() as connection:
                # news came in since its members were concluded: it is final once they are, which marks it again
                final = (
                    0 if is_early else rebuild_epic(connection, one.key, one.cause, settings, now, prepared)
                )
                settle(connection, [one])
            done.finalised += final
            done.epics += 1
            _succeeded(ledger, f"epic {one.key}")


def _is_waited_for(ledger: Ledger, connection: Connection, facts: EpicFacts, now: int) -> bool:
    """Whether something that an epic rests on is still to be concluded: it must not be frozen before. What cannot be
    concluded at the moment is not waited for."""
    repositories = {one.pull.repository for one in facts.pulls}
    members = {
        *(("source", one.key) for one in facts.sources),
        *(("pull", one.pull.key) for one in facts.pulls),
        *(("issue", one.key) for one in facts.issues),
        *((kind, name) for name in repositories for kind in ("repository", "reports")),
    }
    return any(
        (one.kind == "team" or (one.kind, one.key) in members)
        and not _rests(ledger, f"{one.kind} {one.key}", now)
        for one in stale_things(connection, limit=None)
        if one.kind != "epic"
    )
