"""The roadmap: where each milestone stands, what it rests on, when it may be done, and what became of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.epics import iso
from achievement_collector.derive.forecast import BackTest, Forecast, back_test, forecast, forecast_data
from achievement_collector.derive.milestones import (
    Clues,
    Detected,
    Names,
    Progress,
    Standing,
    completed_on,
    detect,
    progress_of,
    status_of,
)
from achievement_collector.derive.quarters import (
    Delivery,
    Seen,
    delivery_of,
    last_complete_quarter,
    quarter_named,
    quarter_of,
)
from achievement_collector.derive.readiness import (
    Readiness,
    State,
    readiness,
    readiness_data,
    score_changes,
)
from achievement_collector.derive.slips import (
    Counted,
    Measure,
    ci_health_score,
    completion_rate,
    measure_data,
    slips_data,
    slips_of,
    sync_reliability,
    velocity,
)
from achievement_collector.errors import ConfigurationError, NotFoundError
from achievement_collector.facts.milestones import Milestone, Origin, Plan, Statement, Status
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger import roadmap as stored
from achievement_collector.ledger import work
from achievement_collector.ledger.epics import known_key
from achievement_collector.ledger.roadmap import Snapshot
from achievement_collector.ledger.roadmap_tables import milestone_snapshots, milestone_statements
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.syncing import syncs_ended
from achievement_collector.ledger.tables import entities
from achievement_collector.services.epics import pull_key
from achievement_collector.services.milestone_work import Gathered, planned_milestones

FILE_NAME = "roadmap.yaml"
_MOST_LISTED = 500
_TOLD_BY = (Kind.ISSUE, Kind.PULL_REQUEST, Kind.MILESTONE, Kind.PROJECT, Kind.CHECK, Kind.REPOSITORY)


def load_plan(path: Path | None = None, settings: Settings | None = None) -> Plan:
    """What roadmap.yaml plans, with the settings of the roadmap. The file is ``path``, else the one of the settings, else
    ``roadmap.yaml`` in the current folder, where it exists. Raises :class:`ConfigurationError`."""
    found = path or (settings.roadmap_file if settings else None)
    if found is None and os.path.isfile(FILE_NAME):
        found = Path(FILE_NAME)
    milestones: tuple[Milestone, ...] = ()
    if found is not None:
        from achievement_collector.roadmap_file import read_roadmap

        milestones = read_roadmap(found)
    if settings is None:
        return Plan(milestones)
    return Plan(milestones, settings.critical_workflows, settings.fiscal_year_start)


_MEASURED = 28 * 86_400_000  # how far back syncs are counted, in milliseconds


class MilestoneStanding(NamedTuple):
    """A milestone and everything that is known of where it stands: four things side by side, never mixed."""

    milestone: Milestone
    status: Standing
    readiness: Readiness
    progress: Progress
    forecast: Forecast
    back_test: BackTest | None
    repositories: tuple[str, ...]


# --- how it stands -----------------------------------------------------------------------------------


def roadmap_status(ledger: Ledger, plan: Plan, now: int) -> dict[str, Any]:
    """Every milestone with status, readiness, progress, forecast and slips, and the documented measures of all."""
    with ledger.read() as connection:
        gathered = Gathered(connection, plan, now)
        past = _Past(connection, now)
        tests = _Tests(gathered)
        listed = [_standing(gathered, one, tests) for one in gathered.milestones]
        return {
            "at": iso(now),
            "milestones": [
                {**_data(one, past), "related_pull": _related_pull(gathered, one.milestone)} for one in listed
            ],
            "measures": [measure_data(one) for one in _measures(gathered)],
        }


def _related_pull(gathered: Gathered, one: Milestone) -> str | None:
    """The address of the milestone's newest pull request; None where none is linked."""
    pulls = [pull for pull, _ in gathered.work[one.key].pulls if pull.url]
    return max(pulls, key=lambda pull: (pull.created or 0, pull.key)).url if pulls else None


def show_milestone(ledger: Ledger, plan: Plan, name: str, now: int) -> dict[str, Any]:
    """A milestone in full: also its issues, its pull requests and what told that they belong to it. Raises
    :class:`NotFoundError`."""
    with ledger.read() as connection:
        gathered = Gathered(connection, plan, now)
        one = find_milestone(gathered.milestones, name)
        standing = _standing(gathered, one, _Tests(gathered))
        told = _data(standing, _Past(connection, now))
        own = gathered.work[one.key]
        runs, about = gathered.runs_of(one)
    issues = sorted(own.issues, key=lambda issue: (issue.completed is not None, issue.key))
    return {
        **told,
        "runs": {"n": len(runs), "about": about},
        "issues": [
            {
                "key": issue.identifier if issue.identifier and not issue.repository else issue.key, "title": issue.title,
                "state": "canceled" if issue.canceled is not None else "closed" if issue.completed is not None else "open",
                "url": issue.url,
            }
            for issue in issues[:_MOST_LISTED]
        ],
        "pulls": [
            {
                "key": pull.key, "title": pull.title, "state": pull.state, "url": pull.url,
                "detected_by": detected.source.value, "told": detected.told,
            }
            for pull, detected in own.pulls[:_MOST_LISTED]
        ],
    }  # fmt: skip


def find_milestone(milestones: Sequence[Milestone], name: str) -> Milestone:
    """The milestone that goes by ``name``: its key, title or another name, in any case; else the end of its key. Raises
    :class:`NotFoundError` where there is none, or more than one."""
    found = Names(milestones).named(name)
    if not found and name:
        found = [one for one in milestones if one.key.casefold().endswith(f"/{name.casefold()}")]
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(one.key for one in found[:5])
        raise NotFoundError(f"{name!r} may be several milestones: {keys}; name one of these keys")
    raise NotFoundError(f"there is no milestone {name!r}; roadmap status shows those there are")


class _Tests:
    """Back-tests by repository, each made once."""

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        self._made: dict[frozenset[str], BackTest] = {}

    def of(self, places: frozenset[str], today: date) -> BackTest:
        """The forecasts of the past of all milestones that share one of these repositories (of those without a repository,
        where there is none)."""
        if places not in self._made:
            groups = []
            for one in self._gathered.milestones:
                own = frozenset(self._gathered.repositories_of(one))
                if own & places or (not own and not places):
                    groups.append((self._gathered.work[one.key].items(), one.start))
            self._made[places] = back_test(groups, today, seed=_seed("/".join(sorted(places)), today))
        return self._made[places]


def _seed(key: str, today: date) -> int:
    """A number that is the same for a milestone all day long."""
    return int.from_bytes(hashlib.sha256(f"{key} {today}".encode()).digest()[:6], "big")


def _standing(gathered: Gathered, one: Milestone, tests: _Tests) -> MilestoneStanding:
    own = gathered.work[one.key]
    items = own.items()
    today = _day(gathered.now)
    status = status_of(one)
    places = tuple(gathered.repositories_of(one))
    states = {pull.key: pull.state for pull, _ in own.pulls}
    if status.status is Status.COMPLETED or one.is_dropped:
        told = Forecast(
            "people completed it" if not one.is_dropped else "people gave it up", target=one.target
        )
    else:
        told = forecast(items, today, target=one.target, start=one.start, seed=_seed(one.key, today))
    test = tests.of(frozenset(places), today) if told.is_made else None
    return MilestoneStanding(
        one,
        status,
        readiness(gathered.inputs_of(one)),
        progress_of(items, states, one.start),
        told,
        test,
        places,
    )


def _day(at: int) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).date()


class _Past:
    """What the snapshots tell of milestones: the last one from before today, and the targets they had."""

    def __init__(self, connection: Connection, now: int) -> None:
        self.today = _day(now)
        self.latest = stored.latest_snapshots(connection, self.today)
        self._targets = stored.targets_seen(connection)

    def targets(self, one: Milestone) -> list[tuple[date, date | None]]:
        """Its targets by day, today's included where there was a snapshot before."""
        seen = self._targets.get(one.key, [])
        return [*seen, (self.today, one.target)] if seen and seen[-1][0] < self.today else seen


def _data(one: MilestoneStanding, past: _Past) -> dict[str, Any]:
    """A milestone as plain data, with what changed since its last snapshot of an earlier day."""
    milestone, progress = one.milestone, one.progress
    before = past.latest.get(milestone.key)
    score = readiness_data(one.readiness)
    slips = slips_of(past.targets(milestone))
    done = completed_on(milestone)
    return {
        "key": milestone.key, "title": milestone.title, "origin": milestone.origin.value,
        "names": list(milestone.names), "same_as": list(milestone.same_as), "parent": milestone.parent or None,
        "url": milestone.url or None, "repositories": list(one.repositories),
        "status": {
            "value": one.status.status.value if one.status.status else None, "told": one.status.told,
            "others": list(one.status.others), "is_dropped": milestone.is_dropped,
        },
        "start": _text(milestone.start), "target": _text(milestone.target), "completed": _text(done),
        "readiness": score,
        "changes": {
            "since": before.day.isoformat() if before else None,
            "readiness": list(score_changes(before.body.get("readiness") if before else None, score)),
        },
        "progress": {
            "told": progress.told, "share": progress.share, "issues": progress.total, "closed": progress.done,
            "open": progress.remaining, "canceled": progress.canceled, "undated": progress.undated,
            "added_since_start": progress.added,
            "pulls": {"open": progress.pulls_open, "merged": progress.pulls_merged, "closed": progress.pulls_closed},
        },
        "forecast": forecast_data(one.forecast, one.back_test),
        "slips": slips_data(slips),
        "risks": _risks(one),
        "proposals": _proposals(one, past.today),
    }  # fmt: skip


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _iso_day(text: Any) -> date | None:
    return date.fromisoformat(text) if text else None


def _risks(one: MilestoneStanding) -> list[str]:
    """What CI says that may delay a milestone; it is in no forecast and in no progress."""
    return [
        f"{part.title}: {part.told}"
        for part in one.readiness.parts
        if part.state is State.MISSED and part.name in ("pass_rate", "critical_workflows")
    ]


def _proposals(one: MilestoneStanding, today: date) -> list[str]:
    """What people may want to set. Nothing is ever set by the program."""
    status, progress = one.status.status, one.progress
    found = []
    if (
        status is not Status.COMPLETED
        and progress.total
        and not progress.remaining
        and not progress.pulls_open
    ):
        found.append(f"all {progress.total} linked issues are closed: is it Completed?")
    if status is Status.COMPLETED and progress.remaining:
        found.append(f"it is set to Completed, but {progress.remaining} linked issues are open")
    if status is Status.PLANNED and (progress.done or progress.pulls_merged):
        found.append("it is set to Planned, but work was done: is it In Progress?")
    target = one.milestone.target
    if target and target < today and status is not Status.COMPLETED and not one.milestone.is_dropped:
        found.append(f"its target, {target}, is over: should there be another one?")
    return found


# --- measures ----------------------------------------------------------------------------------------


def _measures(gathered: Gathered) -> tuple[Measure, ...]:
    today = _day(gathered.now)
    items = {item.key: item for own in gathered.work.values() for item in own.items()}
    return (
        completion_rate(
            [Counted(status_of(one).status, one.is_dropped, one.is_open) for one in gathered.milestones]
        ),
        ci_health_score(readiness(gathered.inputs_of_all())),
        velocity(items.values(), today),
        sync_reliability(syncs_ended(gathered.connection, gathered.now - _MEASURED)),
    )


# --- snapshots ---------------------------------------------------------------------------------------


class Snapshotted(NamedTuple):
    """What a snapshot kept: the day (UTC), the milestones that were new on it, and how many were kept before."""

    day: date
    new: tuple[str, ...]
    known: int


def take_snapshot(ledger: Ledger, plan: Plan, now: int) -> Snapshotted:
    """Keeps how every milestone stands today. The first snapshot of a day stays: a second one changes nothing."""
    told = roadmap_status(ledger, plan, now)
    day = _day(now)
    bodies = {
        one["key"]: {
            name: one[name]
            for name in (
                "title", "origin", "status", "start", "target", "completed", "readiness", "progress", "forecast", "changes",
            )
        }
        for one in told["milestones"]
    }  # fmt: skip
    with ledger.write() as connection:
        new = stored.add_snapshots(connection, day, now, bodies)
    return Snapshotted(day, tuple(new), len(bodies) - len(new))


def quarter_delivery(ledger: Ledger, plan: Plan, name: str | None, now: int) -> Delivery:
    """What became of a quarter (``Q4-2026``; None: the newest that is over), by the frozen snapshots alone. Raises
    :class:`ConfigurationError` for a name that is none."""
    today, start = _day(now), plan.fiscal_year_start
    quarter = last_complete_quarter(today, start) if name is None else quarter_named(name, start)
    if quarter is None:
        this = quarter_of(today, start).name
        raise ConfigurationError(f"{name!r} is no quarter; name one such as {this}")
    with ledger.read() as connection:
        found = stored.snapshots(connection, since=quarter.first - timedelta(days=7), until=quarter.last)
    return delivery_of(quarter, [_seen(one) for one in found])


def _seen(one: Snapshot) -> Seen:
    body = one.body
    status = body["status"]["value"]
    return Seen(
        one.milestone, body["title"], one.day, Status(status) if status else None, _iso_day(body["target"]),
        _iso_day(body["completed"]), body["progress"]["closed"] if body["progress"]["issues"] else None,
        bool(body["status"].get("is_dropped")),
    )  # fmt: skip


# --- statements of people ----------------------------------------------------------------------------


def state_status(
    ledger: Ledger, plan: Plan, name: str, words: str, origin: Origin, said: int, now: int
) -> str:
    """Keeps the status that a person gave a milestone in Notion or here (``said``: when), and gives the milestone's key.
    Words that are none of the four are kept as they are and set no status. Raises :class:`NotFoundError`."""
    if origin not in (Origin.NOTION, Origin.PERSON):
        raise ConfigurationError(f"the status of a milestone cannot be stated for {origin}")
    with ledger.write() as connection:
        one = find_milestone(planned_milestones(connection, plan), name)
        stored.state(connection, one.key, statement_of(words, origin, said), now)
    return one.key


def statement_of(words: str, origin: Origin, said: int | None) -> Statement:
    """What these words say of a milestone's status; none at all take back what was said there before."""
    status = next((one for one in Status if one.value.casefold() == " ".join(words.casefold().split())), None)
    return Statement(status, origin, words[:100], said)


# --- detection ---------------------------------------------------------------------------------------


def detect_milestone(
    ledger: Ledger | None,
    plan: Plan,
    *,
    flag: str = "",
    environment: str = "",
    pull: str = "",
    labels: Sequence[str] = (),
    branch: str = "",
    repository: str = "",
    now: int = 0,
) -> Detected:
    """The milestone that a flag, ``MILESTONE``, a pull request (``owner/name#12``), labels or a branch tells, and which of them
    did; none where nothing does. Without a ledger only the file's milestones are known, and no pull request is."""
    if ledger is None:
        if pull:
            raise NotFoundError(f"{pull} is not known: there is no ledger")
        clues = Clues(flag, environment, labels=tuple(labels), branch=branch, repository=repository)
        return detect(clues, Names(planned_milestones(None, plan)))
    with ledger.read() as connection:
        gathered = Gathered(connection, plan, now)
        place = repository if repository.count("/") != 1 else f"github.com/{repository}"
        clues = Clues(repository=work.names_of(connection, place)[0] if place else "")
        if pull:
            wanted = pull_key(pull)
            key = known_key(connection, Kind.PULL_REQUEST, wanted)
            found = work.pull_requests(connection, keys=[key]) if key else []
            if not found:
                raise NotFoundError(
                    f"{wanted} is not known; sync its repository, or let its webhook tell of it"
                )
            clues = gathered.clues_of(found[0], gathered.attached_to(found[0]))
        clues = Clues(
            flag, environment, clues.pull_milestone, clues.linked, (*clues.labels, *labels), branch or clues.branch,
            clues.repository,
        )  # fmt: skip
        return detect(clues, gathered.names)


def detected_data(found: Detected) -> dict[str, Any]:
    return {
        "milestone": found.title or None, "key": found.key or None, "source": found.source.value, "told": found.told,
        "is_on_roadmap": bool(found.key), "notes": list(found.notes),
    }  # fmt: skip


# --- for the server ----------------------------------------------------------------------------------


def last_news(ledger: Ledger) -> tuple[Any, ...]:
    """Numbers that are the same as long as nothing was told that the roadmap rests on."""
    kinds = [kind.value for kind in _TOLD_BY]
    with ledger.read() as connection:
        told = connection.execute(
            sa.select(sa.func.count(), sa.func.max(entities.c.changed)).where(entities.c.kind.in_(kinds))
        ).one()
        said = connection.execute(
            sa.select(sa.func.count(), sa.func.max(milestone_statements.c.at)).select_from(
                milestone_statements
            )
        ).one()
        kept = connection.scalar(sa.select(sa.func.max(milestone_snapshots.c.made)))
    return (*told, *said, kept)
