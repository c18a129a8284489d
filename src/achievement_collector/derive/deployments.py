"""What each deployment brought to its environment, told from the graph of the history.

A deployment ships what its commit reaches and no earlier deployment that lasted in the same environment reached: a rollback
to an older commit and the same commit again ship nothing new. Of the first known deployment of an environment nobody can
tell what was there before, so it is the baseline and ships nothing. One that failed or was rolled back ships nothing
either; what it would have brought is shipped by the next one that lasts.

A commit that is not in the ledger hides what it reaches. What comes after it may have been shipped by it, unless it was
committed later than that deployment was asked for: a commit cannot reach one that was made after it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from achievement_collector.derive.achievements import LONGEST_TITLE, Conclusion, listed_part, storable_text
from achievement_collector.derive.conclusions import AchievementKind, Category, Evidence, Role, ScorePart
from achievement_collector.derive.epics import Rolled
from achievement_collector.derive.history import History
from achievement_collector.derive.scores import raw_total, scaled_value
from achievement_collector.facts.deployments import UNKNOWN
from achievement_collector.facts.work import Deployment, PullRequest

PRODUCTION = ("production", "prod", "live")
"""The names of environments that are production, where nothing else is said."""

LASTED = frozenset({"success", "inactive"})
FAILED = frozenset({"failure", "error", "rolled_back"})
"""The states of a deployment that has ended; every other state says that it has not, or nothing."""

_FAILED_IN_WORDS = {
    "failure": "it failed",
    "error": "it ended in an error",
    "rolled_back": "it was rolled back",
}


def is_production(environment: str, names: Collection[str] = PRODUCTION) -> bool:
    """Whether an environment has one of these names, in any case."""
    return same_environment(environment) in {same_environment(name) for name in names}


def same_environment(environment: str) -> str:
    """What is the same for all spellings of an environment's name."""
    return environment.strip().casefold()


def by_environment(deployments: Iterable[Deployment]) -> dict[str, list[Deployment]]:
    """The deployments of a repository by environment, each list in order of time.

    An environment has the name by which its last deployment calls it; those whose time was not told come last.
    """
    found: dict[str, list[Deployment]] = {}
    for one in sorted(deployments, key=_time):
        found.setdefault(same_environment(one.environment), []).append(one)
    return {found[name][-1].environment.strip(): found[name] for name in sorted(found)}


def _time(one: Deployment) -> tuple[bool, int, str]:
    return (one.at is None, one.at or 0, one.key)


class Standing(StrEnum):
    """What can be told of what a deployment shipped."""

    SHIPS = "ships"
    NOTHING_NEW = "nothing new"
    BASELINE = "baseline"  # the first known one of its environment
    UNCLEAR = "unclear"  # all of it may have been shipped before, by one whose commit is not known
    NOT_KNOWN = "not known"
    FAILED = "failed"  # rolled back as well
    NOT_ENDED = "not ended"
    END_NOT_KNOWN = "end not known"


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a deployment brought. ``commits`` are numbers of the history, those that no earlier deployment to the
    environment had (of a baseline all that it reaches); ``unclear`` those that an earlier one may have had; ``pull`` is the
    number of the pull request that the deployed commit is the merge of, where that commit is not in the ledger; ``told`` says in
    words why nothing was shipped, empty where something was."""

    deployment: Deployment
    standing: Standing
    told: str = ""
    commits: tuple[int, ...] = ()
    unclear: tuple[int, ...] = ()
    pull: int | None = None


def ship(
    deployments: Sequence[Deployment], history: History, pulls: Mapping[str, PullRequest]
) -> list[Shipment]:
    """What each deployment of one environment shipped, in order of time. ``pulls`` are merged pull requests by the sha of
    their merge.

    Linear in the history and in the deployments together: every commit is walked once.
    """
    walk = _Walk(history, pulls)
    return [walk.next(one) for one in sorted(deployments, key=_time)]


class _Walk:
    """The deployments so far. Horizons are milliseconds: nothing committed later can have been shipped."""

    def __init__(self, history: History, pulls: Mapping[str, PullRequest]) -> None:
        self.history = history
        self.pulls = pulls
        self.seen = bytearray(len(history))
        self.deployed: set[str] = set()
        self.hidden: str = ""  # the newest deployment so far of which it is not known what it brought
        self.hidden_why = ""
        self.hidden_horizon = -1
        self.horizon = -1

    def next(self, one: Deployment) -> Shipment:
        sha = one.sha.strip().lower()
        if one.state in FAILED:
            return Shipment(one, Standing.FAILED, _FAILED_IN_WORDS[one.state])
        if one.state == UNKNOWN:
            return self._end_not_known(one, sha)
        if one.state not in LASTED:
            return Shipment(one, Standing.NOT_ENDED, f"it has not ended: {one.state or 'no state was told'}")
        if one.at is None:
            return Shipment(one, Standing.NOT_KNOWN, "not known: when it took effect was not told")
        is_first = not self.deployed and not self.hidden
        is_again = sha in self.deployed
        number = self.history.find(sha) if sha else None
        if number is None:
            shipment = self._not_in_ledger(one, sha, is_first, is_again)
        else:
            sha = self.history.shas[number]
            self.horizon = max(self.horizon, self.history.committed[number] * 1000)
            shipment = self._in_ledger(one, number, is_first, is_again or sha in self.deployed)
        if sha:
            self.deployed.add(sha)
        return shipment

    def _end_not_known(self, one: Deployment, sha: str) -> Shipment:
        """It may have lasted, so that nobody can tell whether the next one brought what it reaches."""
        number = self.history.find(sha) if sha else None
        asked = one.started if one.started is not None else one.at
        horizon = self.history.committed[number] * 1000 if number is not None else (asked or 0)
        self._hide(one, horizon, "of which nothing tells whether it lasted")
        return Shipment(
            one, Standing.END_NOT_KNOWN, "not known whether it lasted: only that it was replaced was told"
        )

    def _hide(self, one: Deployment, horizon: int, why: str) -> None:
        if horizon >= self.hidden_horizon:
            self.hidden, self.hidden_horizon, self.hidden_why = one.key, horizon, why

    def _in_ledger(self, one: Deployment, number: int, is_first: bool, is_again: bool) -> Shipment:
        reached = self.history.reachable([number], self.seen)
        if is_first:
            return Shipment(one, Standing.BASELINE, _first(one), tuple(reached))
        if not reached:
            which = "its commit was deployed before" if is_again else "later commits were deployed before"
            return Shipment(one, Standing.NOTHING_NEW, f"ships nothing new: {which}")
        committed = self.history.committed
        new = tuple(n for n in reached if committed[n] * 1000 > self.hidden_horizon)
        unclear = tuple(n for n in reached if committed[n] * 1000 <= self.hidden_horizon)
        if new:
            return Shipment(one, Standing.SHIPS, "", new, unclear)
        told = f"what it shipped cannot be told apart from what {self.hidden} did, {self.hidden_why}"
        return Shipment(one, Standing.UNCLEAR, told, (), unclear)

    def _not_in_ledger(self, one: Deployment, sha: str, is_first: bool, is_again: bool) -> Shipment:
        pull = self.pulls.get(sha) if sha else None
        merged = pull.merged if pull else None
        asked = one.started if one.started is not None else one.at
        before, horizon = self.horizon, merged if merged is not None else (asked or 0)
        self.horizon = max(self.horizon, horizon)
        self._hide(one, horizon, "whose commit is not in the ledger")
        if is_again:
            return Shipment(one, Standing.NOTHING_NEW, "ships nothing new: its commit was deployed before")
        if is_first:
            return Shipment(one, Standing.BASELINE, _first(one))
        if pull is None or merged is None:
            what = f"commit {sha[:12]} is not in the ledger" if sha else "no commit was told"
            return Shipment(one, Standing.NOT_KNOWN, f"not known: {what}")
        if merged <= before:
            told = f"not known whether #{pull.number} was deployed before: commit {sha[:12]} is not in the ledger"
            return Shipment(one, Standing.NOT_KNOWN, told)
        return Shipment(one, Standing.SHIPS, pull=pull.number)


def _first(one: Deployment) -> str:
    return f"it is the first known deployment to {one.environment}: what it shipped cannot be told"


# --- changes -----------------------------------------------------------------------------------------


class Change(NamedTuple):
    """A change as far as deployments show it: what it became, and the commits that are its work."""

    rolled: Rolled
    key: str  # pr/12, commit/<sha>
    pull_request: int | None
    commits: tuple[str, ...]
    anchor: str

    @property
    def id(self) -> str:
        return self.rolled.id


class Brought(NamedTuple):
    """The changes that came with a deployment, most impact first. ``unclear`` may have come with an earlier one."""

    changes: tuple[Change, ...] = ()
    unclear: tuple[Change, ...] = ()


def changes_brought(
    shipments: Sequence[Shipment], changes: Iterable[Change], history: History
) -> list[Brought]:
    """The changes of each shipment of one environment. A change comes with the deployment that brings the last of its
    commits; a merge adds nothing to the commits it merges."""
    first = array("i", [-1]) * len(history)
    is_unclear = bytearray(len(history))
    of_pull: dict[str, int] = {}
    for place, one in enumerate(shipments):
        for number in (*one.commits, *one.unclear):
            first[number] = place
        for number in one.unclear:
            is_unclear[number] = 1
        if one.pull is not None:
            of_pull.setdefault(f"pr/{one.pull}", place)
    sure: list[list[Change]] = [[] for _ in shipments]
    unclear: list[list[Change]] = [[] for _ in shipments]
    for change in changes:
        shas = change.commits or ((change.anchor,) if change.anchor else ())
        numbers = [found for sha in shas if (found := history.number_of(sha)) is not None]
        if not numbers or min(first[number] for number in numbers) < 0:
            if change.key in of_pull:
                sure[of_pull[change.key]].append(change)
            continue
        index = max(first[number] for number in numbers)
        last = [number for number in numbers if first[number] == index]
        (unclear if all(is_unclear[number] for number in last) else sure)[index].append(change)
    return [Brought(_ranked(sure[index]), _ranked(unclear[index])) for index in range(len(shipments))]


def _ranked(changes: list[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda one: (-one.rolled.impact, one.id)))


def new_to_production(
    brought: Iterable[tuple[Shipment, Brought]],
) -> dict[str, frozenset[str]]:
    """Deployment -> the ids of the changes that no earlier deployment to any production environment had; ``brought`` are
    those of all production environments of a repository."""
    had: set[str] = set()
    found: dict[str, frozenset[str]] = {}
    for shipment, inside in sorted(brought, key=lambda pair: _time(pair[0].deployment)):
        mine = {one.id for one in inside.changes}
        found[shipment.deployment.key] = frozenset(mine - had)
        had |= mine
        had.update(one.id for one in inside.unclear)
    return found


# --- achievements ------------------------------------------------------------------------------------

_MOST_LISTED = 200  # changes of one deployment that are named one by one
_MOST_EVIDENCE = 40


class DeploymentFacts(NamedTuple):
    """Everything that the conclusion on a deployment rests on. ``key`` names it for ever, also when its repository is
    renamed; ``new`` are the ids of the changes that production did not have before; ``web_url`` is the address of the
    repository; ``is_shallow`` says that parts of the history are not in the ledger."""

    key: str
    shipment: Shipment
    brought: Brought
    is_production: bool
    new: frozenset[str] = frozenset()
    web_url: str = ""
    is_shallow: bool = False

    @property
    def gathered(self) -> tuple[Change, ...]:
        """The counted changes that it brought to production first."""
        if not self.is_production or self.shipment.standing is not Standing.SHIPS:
            return ()
        return tuple(one for one in self.brought.changes if one.rolled.is_counted and one.id in self.new)


def conclude_deployment(
    facts: DeploymentFacts, credited: Sequence[tuple[int, int]] = ()
) -> Conclusion | None:
    """The achievement that a deployment is, or the reason why it is left out; None where no time of it was told.

    ``credited`` are (signature id, commits) of those who made the gathered changes.
    """
    one, gathered = facts.shipment.deployment, facts.gathered
    if one.at is None:
        return None
    left_out = _left_out(facts)
    impact = () if left_out else _impact(gathered)
    complexity = () if left_out else _complexity(gathered)
    detail: dict[str, Any] = {
        "impact": [listed_part(part) for part in impact],
        "complexity": [listed_part(part) for part in complexity],
        "started": [one.started // 1000, 0] if one.started is not None else None,
        "confidence": 1.0,
        "labels": [Category.RELEASE.value],
        "basis": "a recorded deployment",
        "size": None,
        "reason": "" if left_out else f"it brought {_count(len(gathered), 'counted change')} to production",
        "commits": [],
        "evidence": [list(item) for item in _evidence(facts)],
        "gathers": [] if left_out else [change.id for change in gathered],
        "shipped": shipped_data(facts.shipment, facts.brought),
        "deployment": {
            "key": storable_text(one.key),
            "environment": storable_text(one.environment),
            "version": storable_text(one.version),
            "sha": storable_text(one.sha),
            "state": storable_text(one.state),
            "finished": one.finished,
        },
    }
    return Conclusion(
        f"deployment/{facts.key}", AchievementKind.DEPLOYMENT.value, storable_text(_title(facts))[:LONGEST_TITLE],
        storable_text(_description(facts)), Category.RELEASE.value, scaled_value(raw_total(complexity), 1.0), one.at // 1000, 0,
        not left_out, False, storable_text(left_out), round(raw_total(impact), 3), None, "", "",
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode(), (),
        () if left_out else tuple((who, Role.AUTHOR.value, commits) for who, commits in credited),
    )  # fmt: skip


def _left_out(facts: DeploymentFacts) -> str:
    standing, brought = facts.shipment.standing, facts.brought
    if not facts.is_production:
        return f"not to production: {facts.shipment.deployment.environment}"
    if standing is not Standing.SHIPS:
        return facts.shipment.told
    if facts.gathered:
        return ""
    if not brought.changes:
        return "ships no change that is known"
    if not any(one.rolled.is_counted for one in brought.changes):
        return f"none of the {_count(len(brought.changes), 'change')} it shipped counts"
    return "ships nothing new: another production environment had its changes before"


def _impact(gathered: Sequence[Change]) -> tuple[ScorePart, ...]:
    """Two parts that saturate: half of the points for the number at 6 changes, less than an epic has for the best."""
    count, best = len(gathered), gathered[0].rolled
    return (
        ScorePart("ships", 30.0 * count / (count + 6), _count(count, "counted change")),
        ScorePart("best of it", 0.3 * best.impact, f'impact {best.impact} of "{best.title[:80]}"'),
    )


def _complexity(gathered: Sequence[Change]) -> tuple[ScorePart, ...]:
    count = len(gathered)
    return (ScorePart("ships", 40.0 * count / (count + 10), _count(count, "counted change")),)


def _title(facts: DeploymentFacts) -> str:
    one, standing = facts.shipment.deployment, facts.shipment.standing
    what = one.version or one.sha[:10]
    if standing is Standing.FAILED:
        kind = "Rolled-back" if one.state == "rolled_back" else "Failed"
        return f"{kind} deployment{f' of {what}' if what else ''} to {one.environment}"
    if standing is Standing.NOT_ENDED:
        return f"Deployment{f' of {what}' if what else ''} to {one.environment}, not ended"
    title = f"Deployed {what} to {one.environment}" if what else f"Deployed to {one.environment}"
    changes = facts.gathered or facts.brought.changes
    return f"{title}: {_count(len(changes), 'change')}" if standing is Standing.SHIPS else title


def _description(facts: DeploymentFacts) -> str:
    shipment, brought = facts.shipment, facts.brought
    if shipment.standing is not Standing.SHIPS:
        return ""
    if shipment.pull is not None:
        return (
            f"Shipped pull request #{shipment.pull}, whose merge is the deployed commit. What else it shipped is not known:"
            " that commit is not in the ledger."
        )
    counted = sum(one.rolled.is_counted for one in brought.changes)
    commits, changes = len(shipment.commits), len(brought.changes)
    told = [
        f"Shipped {_count(commits, 'commit')} in {_count(changes, 'change')}, {counted:,} of which count."
    ]
    if shipment.unclear:
        further = _count(len(shipment.unclear), "further commit")
        told.append(f"{further} may have come with an earlier deployment, whose commit is not in the ledger.")
    if facts.is_shallow:
        told.append("The history in the ledger is shallow, so there may be more.")
    return " ".join(told)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _evidence(facts: DeploymentFacts) -> list[Evidence]:
    one, web = facts.shipment.deployment, facts.web_url.rstrip("/")
    found = [
        Evidence(
            "deployment", one.key, f"to {one.environment}: {one.state}", url=one.url, source="deployment"
        )
    ]
    if one.sha:
        url = f"{web}/commit/{one.sha}" if web else ""
        found.append(Evidence("commit", one.sha, "the deployed commit", url=url, source="deployment"))
    for change in facts.gathered[:_MOST_EVIDENCE]:
        found.append(_shown(change, web))
    more = len(facts.gathered) - _MOST_EVIDENCE
    if more > 0:
        found.append(Evidence("changes", "", "further changes that it shipped", f"{more}", "changes"))
    return [Evidence(*(storable_text(text) for text in item)) for item in found]


def _shown(change: Change, web: str) -> Evidence:
    if change.pull_request is not None:
        url = f"{web}/pull/{change.pull_request}" if web else ""
        return Evidence("pull request", f"#{change.pull_request}", change.rolled.title, url=url)
    sha = change.anchor or (change.commits[-1] if change.commits else "")
    return Evidence("commit", sha, change.rolled.title, url=f"{web}/commit/{sha}" if web and sha else "")


def shipped_data(shipment: Shipment, brought: Brought) -> dict[str, Any]:
    """What a deployment shipped, as the API gives it. ``commits`` is None where it is not known; at most 200 changes are
    named, ``changes`` counts all of them."""
    is_told = shipment.standing in (Standing.SHIPS, Standing.NOTHING_NEW, Standing.UNCLEAR)
    changes = brought.changes if is_told else ()
    unclear = brought.unclear if is_told else ()
    return {
        "standing": shipment.standing.value,
        "told": storable_text(shipment.told),
        "commits": len(shipment.commits) if is_told and shipment.pull is None else None,
        "unclear_commits": len(shipment.unclear),
        "changes": len(changes) if is_told else None,
        "counted_changes": sum(one.rolled.is_counted for one in changes) if is_told else None,
        "unclear_changes": len(unclear),
        "listed": [
            {
                "id": one.id, "title": storable_text(one.rolled.title), "pull_request": one.pull_request,
                "impact": one.rolled.impact, "is_counted": one.rolled.is_counted,
                "left_out_reason": storable_text(one.rolled.left_out_reason), "is_unclear": is_unclear,
            }
            for one, is_unclear in [
                *((change, False) for change in changes), *((change, True) for change in unclear)
            ][:_MOST_LISTED]
        ],
    }  # fmt: skip
