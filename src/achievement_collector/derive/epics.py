"""An epic, built from everything that belongs to it: a pure function of facts, the same in whatever order they came.

The structure is plain data (what ``epic show`` and ``GET /epics/{key}`` give). Moments are ISO 8601 in UTC, times in
seconds, rates 0 to 1. What was not measured is None with the reason beside it, never 0.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

from achievement_collector.derive.ci_comparison import Measure, Reading, in_words, over_time
from achievement_collector.derive.epic_outcomes import MeasuredShift, business_metrics
from achievement_collector.derive.merge_order import MergeOrder
from achievement_collector.derive.pulls import attached_to, attachment_kind, reverted_number
from achievement_collector.facts.work import Attachment, Check, EpicSource, Issue, PullRequest

_FAILED = frozenset({"failure", "timed_out", "startup_failure", "error"})
_FINE = frozenset({"success", "neutral", "skipped"})

_REVERTED, _REVERT, _COPY = "reverted by", "a revert", "a copy of"


@dataclass(frozen=True, slots=True)
class Rolled:
    """The achievement that a pull request or issue became, as far as its epic shows it."""

    id: str
    title: str
    category: str
    impact: int
    is_counted: bool
    left_out_reason: str
    skills: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PullInEpic:
    """A pull request of an epic, with what ties it and what CI said: ``measures`` are its own, ``after_merge`` those of the
    commit that it became on its base branch; ``authors`` are the people who made it by the forge, its author where None."""

    pull: PullRequest
    basis: str
    checks: tuple[Check, ...] = ()
    measures: tuple[Measure, ...] = ()
    achievement: Rolled | None = None
    after_merge: tuple[Measure, ...] = ()
    authors: tuple[str, ...] | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Who is credited for it, else who made it."""
        if self.achievement and self.achievement.people:
            return self.achievement.people
        return (self.pull.author,) if self.authors is None else self.authors


@dataclass(frozen=True, slots=True)
class EpicFacts:
    """Everything that belongs to an epic. ``sources`` are what it is outside, those of trackers first; ``milestones``
    are (id, name, target date); ``order`` is that of all merges into its repositories, where it is known."""

    key: str
    sources: tuple[EpicSource, ...]
    issues: tuple[Issue, ...] = ()
    pulls: tuple[PullInEpic, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    milestones: tuple[tuple[str, str, str], ...] = ()
    issue_achievements: Mapping[str, Rolled] | None = None
    shifts: tuple[MeasuredShift, ...] = ()
    deployments: tuple[
        tuple[str, str, int, str], ...
    ] = ()  # (key, title, seconds, address), that brought its work
    order: MergeOrder | None = None


@dataclass(frozen=True, slots=True)
class CompletionRules:
    """``epic_completion`` of the configuration."""

    require_all_prs_merged: bool = True
    require_ci_success: bool = True
    auto_finalize: bool = True


def build_epic(facts: EpicFacts) -> dict[str, Any]:
    """The structure of an epic as it stands."""
    outside = [source for source in facts.sources if source.kind != "local" and not source.is_removed]
    local = [source for source in facts.sources if source.kind == "local"]
    named = outside + local
    title = next((source.title for source in named if source.title), "") or facts.key
    pulls = sorted(facts.pulls, key=lambda one: (one.pull.repository, one.pull.number))
    people = [one for one in pulls if not one.pull.is_bot]
    merged = [one for one in pulls if one.pull.state == "merged"]
    delivered = [
        one for one in people if one.pull.state == "merged" and not _is_undone(one) and not _is_copy(one)
    ]
    issues = sorted(
        (one for one in facts.issues if not one.is_removed), key=lambda one: (one.identifier, one.key)
    )
    spans = _over_the_epic(merged, facts.order or MergeOrder(one.pull for one in merged))
    return {
        "key": facts.key,
        "title": title,
        "description": next((source.description for source in named if source.description), ""),
        "sources": [
            {
                "kind": source.kind,
                "key": source.key,
                "url": source.url,
                "status": source.status,
                "lead": source.lead,
            }
            for source in named
        ],
        "timeline": _timeline(named, pulls, issues),
        "deliverables": _deliverables(pulls, delivered, issues, facts.issue_achievements or {}),
        "metrics": {
            "technical": _technical(delivered, spans),
            "business": business_metrics(facts.shifts),
            "quality": _quality(delivered, merged, spans),
            "team": _team(people, delivered, issues, facts.issue_achievements or {}),
        },
        "evidence": {
            **_evidence(pulls, issues, facts.attachments),
            "deployments": [
                {"key": key, "title": title, "at": iso(at * 1000), "url": url}
                for key, title, at, url in facts.deployments
            ],
        },
        "milestones": _milestones(facts, issues),
    }


def full_title(key: str, title: str) -> str:
    """The title with the key before it, once."""
    names_it = re.match(rf"\W*(?:epic\W+)?{re.escape(key)}(?![\w-]|\.\w)", title, re.IGNORECASE)
    return title if names_it else f"{key}: {title}"


def content_hash(structure: Mapping[str, Any]) -> str:
    """SHA-256 of a structure in canonical JSON."""
    text = json.dumps(structure, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


# --- completion --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Completion:
    """Whether an epic is complete; ``unmet`` says in words what is missing; ``by_hand`` that a person decided so."""

    is_complete: bool
    unmet: tuple[str, ...]
    is_canceled: bool = False
    by_hand: bool = False


def completion(facts: EpicFacts, rules: CompletionRules) -> Completion:
    """The standing of an epic by the configured conditions. What is unknown is not fulfilled; pull requests by bots hold
    nothing up."""
    outside = [source for source in facts.sources if source.kind != "local" and not source.is_removed]
    local = [source for source in facts.sources if source.kind == "local"]
    by_hand = any(source.completed is not None for source in local)
    canceled = bool(outside) and all(source.canceled is not None for source in outside)
    unmet: list[str] = []
    people = [one for one in facts.pulls if not one.pull.is_bot]
    if rules.require_all_prs_merged:
        unmet += [f"{_short(one.pull)} is open" for one in people if one.pull.state == "open"]
    if rules.require_ci_success:
        for one in people:
            state = ci_state(one.checks)
            if one.pull.state == "merged" and state != "success":
                unmet.append(f"CI of {_short(one.pull)} is {state}")
    if not by_hand:
        if not outside:
            unmet.append("nobody has completed it (epic complete)")
        unmet += [
            f"the {source.kind} in Linear is not completed"
            for source in outside
            if source.completed is None and source.canceled is None
        ]
        if not rules.auto_finalize:
            unmet.append("it waits to be completed by hand (epic_completion.auto_finalize is off)")
    unmet = sorted(dict.fromkeys(unmet))
    return Completion(
        by_hand or (not unmet and not canceled), tuple(unmet), canceled and not by_hand, by_hand
    )


def ci_state(checks: Iterable[Check]) -> str:
    """success, failed, running or unknown: what holds of every check of a commit taken together. An unknown conclusion is
    no failure, and no success.

    Of a workflow's run the newest attempt holds, of several runs of one workflow (its file; its name where that was not
    told) by one event the newest, of several statuses of one name the newest. Check runs and suites of one name may belong to
    different workflows: a failure among them holds until one begins after it had ended."""
    attempts: dict[tuple[str, str], Check] = {}
    for one in sorted(checks, key=lambda one: (one.attempt, one.started or 0, one.key)):
        kind, identity = _kind_of(one)
        attempts[kind, identity] = one
    alike: dict[tuple[str, str, str], list[Check]] = {}
    for (kind, _), one in attempts.items():
        file = one.path.partition("@")[0] if kind == "run" else ""
        alike.setdefault((kind, file or one.name, one.event if kind == "run" else ""), []).append(one)
    conclusions = set()
    for (kind, _, _), ones in alike.items():
        conclusions.add(max(ones, key=lambda one: (one.started or 0, one.attempt, one.key)).conclusion)
        if kind not in ("run", "status"):
            conclusions |= {
                one.conclusion for one in ones if one.conclusion in _FAILED and not _is_rerun(one, ones)
            }
    if conclusions & _FAILED:
        return "failed"
    if "" in conclusions:
        return "running"
    if "success" in conclusions and conclusions <= _FINE:
        return "success"
    return "unknown"


def _kind_of(check: Check) -> tuple[str, str]:
    """(run, check, suite, status or nothing, what is the same in every attempt) of ``host/owner/name/run/12/1``."""
    parts = check.key.split("/")
    kind = parts[3] if len(parts) > 4 else ""
    return kind, parts[4] if kind == "run" else check.key


def _is_rerun(failed: Check, others: Iterable[Check]) -> bool:
    """Whether one of the others began after a failed one had ended."""
    ended = failed.completed or failed.started or 0
    return any((one.started or 0) > ended for one in others)


def _short(pull: PullRequest) -> str:
    return f"{pull.repository.rpartition('/')[2]}#{pull.number}"


# --- parts -------------------------------------------------------------------------------------------


def _timeline(
    sources: Sequence[EpicSource], pulls: Sequence[PullInEpic], issues: Sequence[Issue]
) -> dict[str, Any]:
    people = [one.pull for one in pulls if not one.pull.is_bot]
    opened = [pull.created for pull in people if pull.created is not None]
    begun = [source.started for source in sources if source.started is not None]
    begun += opened + [issue.started for issue in issues if issue.started is not None]
    planned = [source.created for source in sources if source.created is not None]
    ended = [source.completed for source in sources if source.completed is not None]
    started, completed = min(begun, default=None), max(ended, default=None)
    phases = []

    def phase(name: str, start: int | None, end: int | None, basis: str) -> None:
        if start is not None and (end is None or end > start):
            phases.append({
                "name": name, "started": iso(start), "ended": iso(end), "seconds": None if end is None else (end - start) // 1000,
                "basis": basis,
            })  # fmt: skip

    first_work = min(begun, default=None)
    phase("planning", min(planned, default=None), first_work, "from its creation to the first work on it")
    merged = [
        pull.merged for pull in people
        if pull.merged is not None and (completed is None or pull.merged <= completed)
    ]  # fmt: skip
    is_under_way = any(pull.state == "open" for pull in people)
    if is_under_way or merged:  # what was only closed without a merge implemented nothing
        phase(
            "implementation", min(opened, default=None), None if is_under_way else max(merged),
            "from the first pull request opened to the last merged before its completion"
            if completed is not None else "from the first pull request opened to the last merged",
        )  # fmt: skip
    if merged and not is_under_way:
        phase("completion", max(merged), completed, "from the last merge to its completion")
    moments: list[tuple[int, str]] = [(start, "started") for start in [started] if start is not None]
    for one in pulls:
        if one.pull.created is not None:
            moments.append((one.pull.created, f"{_short(one.pull)} opened"))
        if one.pull.merged is not None:
            moments.append((one.pull.merged, f"{_short(one.pull)} merged"))
        elif one.pull.closed is not None:
            moments.append((one.pull.closed, f"{_short(one.pull)} closed without a merge"))
    moments += [
        (issue.completed, f"{issue.identifier} completed")
        for issue in issues
        if issue.completed is not None and issue.is_completed
    ]
    if completed is not None:
        moments.append((completed, "completed"))
    return {
        "started": iso(started),
        "completed": iso(completed),
        "seconds": (completed - started) // 1000
        if started is not None and completed is not None and completed >= started
        else None,
        "phases": phases,
        "events": [{"at": iso(at), "what": what} for at, what in sorted(moments)],
    }


def _deliverables(
    pulls: Sequence[PullInEpic],
    delivered: Sequence[PullInEpic],
    issues: Sequence[Issue],
    rolled: Mapping[str, Rolled],
) -> dict[str, Any]:
    """``delivered`` are the merged pull requests by people that are not undone; bots are listed apart."""
    bots = [one for one in pulls if one.pull.is_bot]
    people = [one for one in pulls if not one.pull.is_bot]
    counted = [one for one in delivered if one.achievement is None or one.achievement.is_counted]
    features = [
        one.achievement.title for one in counted if one.achievement and one.achievement.category == "feature"
    ]
    features += [
        issue.title for issue in issues
        if issue.is_completed and (mine := rolled.get(issue.key)) and mine.category == "feature" and mine.is_counted
    ]  # fmt: skip
    sized = [
        one.pull for one in delivered if one.pull.additions is not None and one.pull.deletions is not None
    ]
    return {
        "features": list({name.lower(): name for name in reversed(features)}.values())[::-1],
        "prs_merged": len(delivered),
        "prs_undone": sum(one.pull.state == "merged" and _is_undone(one) for one in people),
        "prs_copied": sum(one.pull.state == "merged" and _is_copy(one) for one in people),
        "prs_open": sum(one.pull.state == "open" for one in people),
        "prs_closed_unmerged": sum(one.pull.state == "closed" for one in people),
        "bot_pull_requests": {"count": len(bots), "keys": [one.pull.key for one in bots]},
        "issues_completed": sum(issue.is_completed for issue in issues),
        "issues_total": sum(issue.canceled is None for issue in issues),
        "code_changes": {
            "additions": sum(pull.additions or 0 for pull in sized) if sized else None,
            "deletions": sum(pull.deletions or 0 for pull in sized) if sized else None,
            "files": _sum(pull.files for pull in sized),
            "commits": _sum(pull.commits for pull in sized),
            "basis": f"as the forge counts them, for {len(sized)} of {len(delivered)} merged pull requests",
        },
        "pull_requests": [_pull_data(one) for one in pulls],
        "issues": [
            {
                "identifier": issue.identifier, "title": issue.title, "url": issue.url, "state": issue.state,
                "completed": iso(issue.completed) if issue.is_completed else None, "assignee": issue.assignee,
                "estimate": issue.estimate, "achievement": rolled[issue.key].id if issue.key in rolled else None,
            }
            for issue in issues
        ],
    }  # fmt: skip


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum; None where there is nothing to add up or a part of it is not known."""
    known = list(counts)
    return sum(one or 0 for one in known) if known and None not in known else None


def _pull_data(one: PullInEpic) -> dict[str, Any]:
    pull, mine = one.pull, one.achievement
    return {
        "key": pull.key, "title": pull.title, "url": pull.url, "state": pull.state, "author": pull.author,
        "opened": iso(pull.created), "merged": iso(pull.merged), "lead_time": pull.lead_time,
        "reviewers": list(pull.reviewers), "ci": ci_state(one.checks), "linked_by": one.basis,
        "measures": [in_words(measure) for measure in one.measures],
        "achievement": mine.id if mine else None, "impact": mine.impact if mine and mine.is_counted else None,
        "left_out": mine.left_out_reason if mine else "",
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Span:
    """A measure from the base of the first merged pull request to the newest report of one repository. ``gap`` says why it is
    not known what it is now, such as after a later revert; else it is empty."""

    repository: str
    measure: Measure
    gap: str = ""
    since: str = ""

    @property
    def text(self) -> str:
        if self.gap:
            return f"{self.measure.name}: {self.gap}"
        return in_words(self.measure) + (f", from {self.since} on" if self.since else "")

    @property
    def unmeasured(self) -> dict[str, Any]:
        return {"value": None, "basis": self.gap}


def _over_the_epic(merged: Sequence[PullInEpic], order: MergeOrder) -> tuple[_Span, ...]:
    """What CI measured over the epic, for each repository by itself; where there are several, the names say which.

    A span ends with the newest report of a pull request that was not reverted; the report of a revert is one, too. Of one
    that was reverted only the baseline is used. Bots are passed over, but for their reverts."""
    ordered = sorted(
        (one for one in merged if not one.pull.is_bot or _is_undone(one)),
        key=lambda one: (one.pull.merged or 0, one.pull.key),
    )
    undone = _undone_since(ordered)
    readings = {one.pull.key: _Readings(one, ordered, order) for one in ordered}
    chains: dict[tuple[str, str, str], list[PullInEpic]] = {}
    for one in ordered:
        for kind, name in readings[one.pull.key].names:
            chains.setdefault((one.pull.repository, kind, name), []).append(one)
    for repository, kind, name in chains:
        counted = chains.get((repository, kind, _counting(name)))
        if kind == "tests" and counted is not None:
            chains[repository, kind, name] = [*counted]
    for chain in chains.values():
        while chain and chain[-1].pull.key in undone:
            chain.pop()
    labels = _labels({repository for (repository, _, _), chain in chains.items() if chain})
    spans = []
    for (repository, kind, name), chain in chains.items():
        if chain:
            inside = [one for one in ordered if one.pull.repository == repository]
            told = [readings[one.pull.key].of(kind, name) for one in chain]
            span = _span(name, told, chain, inside, undone, readings[chain[-1].pull.key].may_hold)
            label = f"{name} in {labels[repository]}" if len(labels) > 1 else name
            spans.append(replace(span, measure=replace(span.measure, name=label)))
    return tuple(spans)


class _Readings:
    """Everything that was measured of one pull request among those of its epic."""

    def __init__(self, one: PullInEpic, others: Sequence[PullInEpic], order: MergeOrder) -> None:
        self._key, self._head, self._merge = one.pull.key, one.pull.head_sha, one.pull.merge_sha
        self._own = {(told.kind, told.name): told for told in one.measures}
        self._merged = {(told.kind, told.name): told for told in one.after_merge}
        self.names = tuple(dict.fromkeys((*self._own, *self._merged)))
        pulls = [other.pull for other in others] if self.names else []
        self._holds = frozenset(other.key for other in pulls if order.head_holds(one.pull, other))
        self._holds_merged = frozenset(other.key for other in pulls if order.merge_holds(one.pull, other))
        self.may_hold = frozenset(other.key for other in pulls if order.head_may_hold(one.pull, other))

    def of(self, kind: str, name: str) -> Reading:
        own, merged = self._find(self._own, kind, name), self._find(self._merged, kind, name)
        if own is not None and own.report and own.report == self._merge:
            own, merged = None, own
        is_of_head = own is None or not (own.report and self._head) or own.report == self._head
        return Reading(self._key, own, merged, self._holds if is_of_head else frozenset(), self._holds_merged)

    @staticmethod
    def _find(told: Mapping[tuple[str, str], Measure], kind: str, name: str) -> Measure | None:
        """The measure; a report tells failed tests only where there are any, now or before."""
        found, total = told.get((kind, name)), told.get((kind, _counting(name)))
        if found is not None or kind != "tests" or total is None:
            return found
        before = None if total.before is None else 0.0
        return replace(total, name=name, after=0.0, before=before, higher_is_better=False)


def _span(
    name: str,
    readings: Sequence[Reading],
    chain: Sequence[PullInEpic],
    inside: Sequence[PullInEpic],
    undone: Mapping[str, tuple[int, str] | None],
    may_hold: Container[str],
) -> _Span:
    """One measure over those pull requests ``inside`` a repository that have it; ``may_hold`` are those that the last one's
    head may contain."""
    end = chain[-1]
    short = {one.pull.key: _short(one.pull) for one in chain}
    found = over_time(readings, undone)
    if found.measure is None:
        own_words = [
            f"{short[one.key]}: {in_words(told).removeprefix(f'{name}: ')}"
            for one in readings
            if (told := one.own or one.merged) is not None
        ]
        more = f"; and {len(own_words) - _MOST_OWN} more" if len(own_words) > _MOST_OWN else ""
        newest = readings[-1].own or readings[-1].merged
        assert newest is not None
        where = end.pull.base or "the base branch"
        return _Span(
            end.pull.repository, newest,
            f"not measured on {where} after the merges ({'; '.join(own_words[:_MOST_OWN])}{more})",
        )  # fmt: skip
    stale = _still_inside(end, inside, undone, () if found.is_merged else may_hold)
    gap = f"not measured since {stale} was reverted" if stale else ""
    return _Span(end.pull.repository, found.measure, gap, short.get(found.since, ""))


_MOST_OWN = 5


def _counting(name: str) -> str:
    """``tests (unit)`` for ``failed tests (unit)``: the measure that counts all tests of the same report."""
    return re.sub(r"^(?:failed|flaky) (?=tests)", "", name)


def _still_inside(
    end: PullInEpic,
    inside: Sequence[PullInEpic],
    undone: Mapping[str, tuple[int, str] | None],
    may_hold: Container[str],
) -> str:
    """The last pull request that was reverted, but is in the report with which a span ends, or may be; empty where there is
    none."""
    stale = ""
    for one in inside:
        if one.pull.key not in undone or _moment(one) >= _moment(end):
            continue
        since = undone[one.pull.key]
        is_in_head = one.pull.key in may_hold
        if since is None or since > _moment(end) or (is_in_head and since[1] not in may_hold):
            stale = _short(one.pull)
    return stale


def _undone_since(ordered: Sequence[PullInEpic]) -> dict[str, tuple[int, str] | None]:
    """The pull requests that are undone now -> the moment of the revert; None where nothing tells it. A revert that was
    itself reverted is undone as well, and what it had taken back is not."""
    moments = {(one.pull.repository, one.pull.number): _moment(one) for one in ordered}
    found: dict[str, tuple[int, str] | None] = {}
    for one in reversed(ordered):
        number, repository = reverted_number(one.pull), one.pull.repository
        if number is not None and (repository, number) in moments and one.pull.key not in found:
            found.setdefault(f"{repository}#{number}", _moment(one))
    reverts = {one.pull.key for one in ordered if _is_revert(one)}
    for one in ordered:
        reason = one.achievement.left_out_reason if one.achievement else ""
        if reason.startswith(_REVERTED):
            by = re.match(rf"{_REVERTED} #(\d+)", reason)
            told = moments.get((one.pull.repository, int(by[1]))) if by else None
            found[one.pull.key] = told or found.get(one.pull.key)
        elif one.achievement and one.pull.key not in reverts:  # it has its credit: its revert was taken back
            found.pop(one.pull.key, None)
    return found


def _labels(repositories: Iterable[str]) -> dict[str, str]:
    """A name for each repository, as short as tells them apart."""
    ordered = sorted(repositories)
    for make in (lambda one: one.rpartition("/")[2], lambda one: one.partition("/")[2], str):
        labels = {one: make(one) for one in ordered}
        if len(set(labels.values())) == len(labels):
            break
    return labels


def _moment(one: PullInEpic) -> tuple[int, str]:
    return one.pull.merged or 0, one.pull.key


def _is_undone(one: PullInEpic) -> bool:
    """Whether it was reverted or is a revert: neither is delivered."""
    return one.achievement is not None and one.achievement.left_out_reason.startswith((_REVERTED, _REVERT))


def _is_copy(one: PullInEpic) -> bool:
    """Whether it copies another change, which has the credit."""
    return one.achievement is not None and one.achievement.left_out_reason.startswith(_COPY)


def _is_landed_again(one: PullInEpic, delivered: Iterable[PullInEpic]) -> bool:
    """Whether what was reverted was merged once more, under the same title or one that quotes it."""
    title = one.pull.title.strip().lower()
    return bool(title) and any(
        other.pull.repository == one.pull.repository
        and _moment(other) > _moment(one)
        and (told := other.pull.title.strip().lower())
        and (told == title or f'"{title}"' in told)
        for other in delivered
    )


def _is_revert(one: PullInEpic) -> bool:
    return reverted_number(one.pull) is not None or (
        one.achievement is not None and one.achievement.left_out_reason.startswith(_REVERT)
    )


def _technical(delivered: Sequence[PullInEpic], spans: Sequence[_Span]) -> dict[str, Any]:
    benchmarks = [one for one in spans if one.measure.kind == "benchmark"]
    gains = [
        (share, one)
        for one in benchmarks
        if not one.gap and one.measure.improves and (share := _share(one.measure))
    ]
    best = max(gains, key=lambda pair: pair[0], default=None)
    stale = next((one for one in benchmarks if one.gap), None)
    nothing = stale.unmeasured if stale else _unmeasured("no benchmark got better against a baseline")
    skills = {
        skill
        for one in delivered
        if one.achievement and one.achievement.is_counted
        for skill in one.achievement.skills
    }
    return {
        "performance": [one.text for one in benchmarks],
        "best_performance_gain": _gain_data(*best) if best else nothing,
        "build_time": [one.text for one in spans if one.measure.kind == "build_time"],
        "skills": sorted(skills),
    }


def _share(one: Measure) -> float | None:
    """By how much of the earlier value a measure changed."""
    return abs(one.after - one.before) / abs(one.before) if one.before else None


def _gain_data(share: float, span: _Span) -> dict[str, Any]:
    one = span.measure
    return {
        "value": share, "text": span.text, "before": one.before, "after": one.after, "unit": one.unit,
        "samples": one.samples,
    }  # fmt: skip


def _quality(
    delivered: Sequence[PullInEpic], merged: Sequence[PullInEpic], spans: Sequence[_Span]
) -> dict[str, Any]:
    latest = sorted(merged, key=_moment)
    states = [ci_state(one.checks) for one in delivered]
    known = [state for state in states if state in ("success", "failed")]
    reverted = [
        _short(one.pull)
        for one in latest
        if one.achievement
        and one.achievement.left_out_reason.startswith(_REVERTED)
        and not _is_revert(one)
        and not _is_landed_again(one, delivered)
    ]
    return {
        "test_coverage": _coverage(spans),
        "tests_added": _tests_added(spans),
        "failed_and_flaky_tests": _failed_and_flaky(spans),
        "security_findings": [one.text for one in spans if one.measure.kind == "findings"],
        "ci_success_rate": (
            {"value": known.count("success") / len(known), "n": len(known), "unknown": len(states) - len(known)}
            if known
            else _unmeasured("nothing was told of CI")
        ),
        "reviewed": {"value": sum(bool(one.pull.reviewers) for one in delivered), "n": len(delivered)},
        "reverted": reverted,
    }  # fmt: skip


def _coverage(spans: Sequence[_Span]) -> dict[str, Any]:
    """The line coverage of the one repository there is; of several each by itself, for shares of different code have no
    sum."""
    found = [one for one in spans if one.measure.kind == "coverage" and one.measure.name.startswith("line")]
    if not found:
        return _unmeasured("no coverage report")
    if len({one.repository for one in found}) > 1:
        return {
            "value": None,
            "basis": f"not comparable across repositories: {'; '.join(one.text for one in found)}",
            "by_repository": [
                {"repository": one.repository, "value": None if one.gap else one.measure.after, "text": one.text}
                for one in found
            ],
        }  # fmt: skip
    last = found[-1]
    return last.unmeasured if last.gap else {"value": last.measure.after, "text": last.text}


def _tests_added(spans: Sequence[_Span]) -> dict[str, Any]:
    """The differences of each repository added up, where each is known; the text tells each."""
    found = [
        one
        for one in spans
        if _is_count_of_tests(one.measure) and one.measure.change is not None
    ]  # fmt: skip
    known = [one.measure.change or 0 for one in found if not one.gap]
    if found and not known:
        return found[0].unmeasured
    if not found:
        return _unmeasured("no test report with a baseline")
    return {"value": int(sum(known)), "text": "; ".join(one.text for one in found)}


def _failed_and_flaky(spans: Sequence[_Span]) -> list[str]:
    """The failed and flaky tests over the epic, where there are any at its beginning or end, or that is not known."""
    found = [one for one in spans if one.measure.kind == "tests" and not _is_count_of_tests(one.measure)]
    return [one.text for one in found if one.gap or one.measure.before or one.measure.after]


def _is_count_of_tests(one: Measure) -> bool:
    return one.kind == "tests" and one.name.startswith("tests")


def _team(
    pulls: Sequence[PullInEpic],
    delivered: Sequence[PullInEpic],
    issues: Sequence[Issue],
    rolled: Mapping[str, Rolled],
) -> dict[str, Any]:
    """``pulls`` are those by people, ``delivered`` those of them that are merged and not undone; contributors are who made
    these, and who is credited for issues that count by themselves."""
    makers: dict[str, int] = {}
    for one in delivered:
        for name in one.people:
            if name:
                makers[name] = makers.get(name, 0) + 1
    for told in rolled.values():
        for name in told.people if told.is_counted else ():
            makers[name] = makers.get(name, 0) + 1
    times = [one.pull.lead_time for one in delivered if one.pull.lead_time is not None]
    reviewers = sorted({name for one in pulls for name in one.pull.reviewers})
    assignees = sorted({issue.assignee for issue in issues if issue.is_completed and issue.assignee})
    return {
        "contributors": sorted(makers),
        "contributor_count": len(makers),
        "reviewers": reviewers,
        "reviews": sum(len(one.pull.human_reviews) for one in pulls),
        "assignees": assignees,
        "lead_time_median": (
            {"value": median(times), "n": len(times), "unit": "s"}
            if times
            else _unmeasured("no pull request tells both ends")
        ),
    }


def _evidence(
    pulls: Sequence[PullInEpic], issues: Sequence[Issue], attachments: Sequence[Attachment]
) -> dict[str, Any]:
    screenshots: dict[str, str] = {}
    documents: dict[str, str] = {}
    for text in (*(one.pull.body for one in pulls), *(issue.description for issue in issues)):
        found = attached_to(text)
        screenshots |= {url: title for title, url in found.screenshots if url not in screenshots}
        documents |= {url: title for title, url in found.documents if url not in documents}
    for one in attachments:
        kind = attachment_kind(one.url)
        if kind == "screenshot":
            screenshots.setdefault(one.url, one.title)
        elif kind == "document":
            documents.setdefault(one.url, one.title)
    reports = {
        check.url: check.name
        for one in pulls
        for check in sorted(one.checks, key=lambda c: c.key)
        if check.url and check.conclusion
    }
    return {
        "pr_links": [one.pull.url for one in pulls if one.pull.url],
        "issue_links": [issue.url for issue in issues if issue.url],
        "ci_reports": [{"name": name, "url": url} for url, name in sorted(reports.items())],
        "screenshots": [{"title": title, "url": url} for url, title in sorted(screenshots.items())],
        "documents": [{"title": title, "url": url} for url, title in sorted(documents.items())],
    }


def _milestones(facts: EpicFacts, issues: Sequence[Issue]) -> list[dict[str, Any]]:
    """The tracker's milestones, and how far the issues have come (a quarter, half, three quarters, all of them)."""
    found: list[dict[str, Any]] = [
        {"name": name, "kind": "tracker", "target": target or None}
        for _, name, target in sorted(facts.milestones)
    ]
    people = [one.pull for one in facts.pulls if not one.pull.is_bot]
    merged = sorted(pull.merged for pull in people if pull.merged is not None)
    if merged:
        found.append({"name": "first pull request merged", "kind": "reached", "at": iso(merged[0])})
    counted = [issue for issue in issues if issue.canceled is None]
    done = sorted(issue.completed for issue in counted if issue.is_completed and issue.completed is not None)
    if len(counted) >= 2:
        for share, name in ((0.25, "a quarter"), (0.5, "half"), (0.75, "three quarters"), (1.0, "all")):
            needed = -(-len(counted) * share // 1)
            if len(done) >= needed:
                told = f"{name} of the {len(counted)} issues completed"
                found.append({"name": told, "kind": "reached", "at": iso(done[int(needed) - 1])})
    return found


def _unmeasured(reason: str) -> dict[str, Any]:
    return {"value": None, "basis": f"not measured: {reason}"}


def iso(at: int | None) -> str | None:
    """Milliseconds since 1970 as ISO 8601 in UTC, to the second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- what changed ------------------------------------------------------------------------------------


def changes_between(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(what, before, after) for every number and text that differs; list entries are named by their key."""
    old = dict(_flat(before or {}))
    new = dict(_flat(after))
    return [
        (name, old.get(name), new.get(name))
        for name in (*new, *(name for name in old if name not in new))
        if old.get(name) != new.get(name)
    ]


def _flat(data: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield from _flat(value, f"{path}.{name}" if path else str(name))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            label = number
            if isinstance(value, Mapping):
                label = (
                    value.get("key")
                    or value.get("identifier")
                    or value.get("url")
                    or value.get("what")
                    or value.get("name")
                    or number
                )
                yield from _flat(value, f"{path}[{label}]")
            else:
                yield f"{path}[{value}]", True
    else:
        yield path, data
