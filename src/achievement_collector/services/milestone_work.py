"""What belongs to each milestone: issues by the forge's or Linear's own field, by label or by hand; pull requests by detection;
runs of CI by their branch, their pull request or their time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from sqlalchemy.engine import Connection

from achievement_collector.derive.epics import iso
from achievement_collector.derive.forecast import DAY
from achievement_collector.derive.links import named
from achievement_collector.derive.milestones import (
    Clues,
    Detected,
    Item,
    Names,
    closed_issues,
    detect,
    joined,
    milestone_of_branch,
    milestone_of_label,
)
from achievement_collector.derive.paths import PathRole, path_info
from achievement_collector.derive.readiness import (
    CriticalWorkflow,
    Fixes,
    LinkedPull,
    PassRate,
    ReadinessInputs,
)
from achievement_collector.facts.ci_runs import GREEN, RED, Attempt
from achievement_collector.facts.milestones import Milestone, Origin, Plan
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger import roadmap as stored
from achievement_collector.ledger import work
from achievement_collector.ledger.roadmap import KnownIssue

PASS_RATE_DAYS = 28
CRITICAL_DAYS = 14
"""Days within which a workflow must have run on the default branch to be critical, where nobody lists the critical ones."""
_READ_DAYS = 84
_OWN = "runs of the milestone"
_DOCUMENTATION = "documentation"  # the label


class PullOf(NamedTuple):
    """A pull request of a milestone and what told that it is."""

    pull: PullRequest
    detected: Detected


@dataclass(slots=True)
class Work:
    """What belongs to one milestone."""

    issues: list[KnownIssue] = field(default_factory=list)
    pulls: list[PullOf] = field(default_factory=list)

    def items(self) -> list[Item]:
        return [
            Item(one.key, one.created, one.completed, one.canceled, one.title, one.url) for one in self.issues
        ]


def planned_milestones(
    connection: Connection | None,
    plan: Plan,
    issues: Sequence[KnownIssue] | None = None,
    pulls: Sequence[PullRequest] | None = None,
) -> tuple[Milestone, ...]:
    """All milestones: of the file, of GitHub, of Linear, and of labels that no other milestone goes by. ``issues`` and
    ``pulls`` are all that are known, where they were read already."""
    if connection is None:
        return joined(plan.milestones)
    said = stored.statements(connection)
    found = [stored.with_statements(one, said) for one in plan.milestones]
    found += stored.known_milestones(connection)
    names = Names(joined(found))
    labelled: dict[str, Milestone] = {}
    bearers: list[KnownIssue | PullRequest] = [
        *(stored.known_issues(connection) if issues is None else issues),
        *(work.pull_requests(connection) if pulls is None else pulls),
    ]
    for label, place in dict.fromkeys((label, one.repository) for one in bearers for label in one.labels):
        name = milestone_of_label(label)
        if name and not names.labelled(label, place) and not names.named(name, place):
            key = f"label/{name.casefold()}"
            one = labelled.setdefault(key, Milestone(key, name, Origin.LABEL))
            if label not in one.labels:
                labelled[key] = replace(one, labels=(*one.labels, label))
    found += [stored.with_statements(one, said) for one in labelled.values()]
    return joined(found)


class Gathered:
    """The milestones with their work, as the ledger knows it at ``now``."""

    def __init__(self, connection: Connection, plan: Plan, now: int) -> None:
        self.connection, self.plan, self.now = connection, plan, now
        issues, pulls = stored.known_issues(connection), work.pull_requests(connection)
        self.milestones = planned_milestones(connection, plan, issues, pulls)
        self.names = Names(self.milestones)
        self.work: dict[str, Work] = {one.key: Work() for one in self.milestones}
        self._by_key = {key: one.key for one in self.milestones for key in (one.key, *one.same_as)}
        self._members: dict[str, list[str]] = {}
        for one in self.milestones:
            for member in one.members:
                self._members.setdefault(member, []).append(one.key)
        self.default_branches = stored.default_branches(connection)
        self._attempts: dict[str, list[Attempt]] = {}
        self._of_branch: dict[tuple[str, str], str] = {}
        self._issues: dict[str, tuple[KnownIssue, tuple[str, ...]]] = {}
        self._place_issues(issues)
        self._place_pulls(pulls)

    # --- issues

    def _place_issues(self, issues: Sequence[KnownIssue]) -> None:
        for one in issues:
            keys = tuple(dict.fromkeys(self._milestones_of(one)))
            self._issues[one.key] = (one, keys)
            if one.identifier and not one.identifier.startswith("#"):
                self._issues[one.identifier.upper()] = (one, keys)
            for key in keys:
                self.work[key].issues.append(one)

    def _milestones_of(self, one: KnownIssue) -> Iterable[str]:
        """The milestones of an issue, the most telling first."""
        yield from self._members.get(one.key, ())
        yield from self._members.get(one.identifier.upper(), ()) if not one.repository else ()
        if one.milestone:
            found = [
                known
                for known in self.names.named(one.milestone, one.repository)
                if not known.scope or known.scope == one.repository
            ]
            yield from (found[0].key,) if len(found) == 1 else ()
        for key in (one.project_milestone, one.project):
            if key in self._by_key:
                yield self._by_key[key]
        clues = Clues(labels=one.labels, repository=one.repository)
        if told := detect(clues, self.names).key:
            yield told

    # --- pull requests

    def _place_pulls(self, pulls: Sequence[PullRequest]) -> None:
        tied = self._tied(pulls)
        for pull in pulls:
            told = detect(self.clues_of(pull, tied.get(pull.key, ())), self.names)
            if told.key:
                self.work[told.key].pulls.append(PullOf(pull, told))

    def attached_to(self, pull: PullRequest) -> list[str]:
        """The issues of Linear that a pull request is attached to, by their keys."""
        return self._tied([pull]).get(pull.key, [])

    def _tied(self, pulls: Sequence[PullRequest]) -> dict[str, list[str]]:
        addresses: dict[str, str] = {}
        for pull in pulls:
            for address in (pull.url, f"https://{pull.key.replace('#', '/pull/')}"):
                if address:
                    addresses[address.lower()] = pull.key
        tied: dict[str, list[str]] = {}
        for one in work.attachments(self.connection, urls=list(addresses)):
            if (key := addresses.get(one.url.lower())) is not None:
                tied.setdefault(key, []).append(one.issue)
        return tied

    def clues_of(self, pull: PullRequest, attached: Sequence[str] = ()) -> Clues:
        """What a pull request tells about its milestone."""
        linked = [(key, "roadmap.yaml lists it") for key in self._members.get(pull.key, ())]
        if not linked:
            wanted = [*closed_issues(pull.body, pull.repository), *attached]
            wanted += [key for key, _ in named(pull).issues]
            for name in dict.fromkeys(wanted):
                issue, keys = self._issues.get(name, (None, ()))
                if issue is not None and keys:
                    linked.append((keys[0], f"the linked issue {issue.identifier or issue.key}"))
        return Clues(
            pull_milestone=pull.milestone, linked=tuple(linked), labels=pull.labels, branch=pull.branch,
            repository=pull.repository,
        )  # fmt: skip

    # --- CI

    def repositories_of(self, one: Milestone) -> list[str]:
        """The repositories of a milestone: those that people name, and those of its issues and pull requests."""
        own = self.work[one.key]
        found = [*one.repositories, *(issue.repository for issue in own.issues if issue.repository)]
        return list(dict.fromkeys([*found, *(told.pull.repository for told in own.pulls)]))

    @cached_property
    def all_repositories(self) -> list[str]:
        return list(dict.fromkeys(place for one in self.milestones for place in self.repositories_of(one)))

    def attempts(self, repository: str) -> list[Attempt]:
        if repository not in self._attempts:
            since = self.now - _READ_DAYS * DAY
            self._attempts[repository] = stored.attempts_of(self.connection, repository, since)
        return self._attempts[repository]

    def runs_of(self, one: Milestone) -> tuple[list[Attempt], str]:
        """The attempts of a milestone and, in words, which they are: those of its branches and pull requests and those of the
        default branch since its first merge; where there are none, all of its repositories."""
        own = self.work[one.key]
        found: list[Attempt] = []
        everything: list[Attempt] = []
        for place in self.repositories_of(one):
            pulls = [told.pull for told in own.pulls if told.pull.repository == place]
            default = self.default_branches.get(place, "")
            branches = {pull.branch for pull in pulls if pull.branch and pull.branch != default}
            numbers = {pull.number for pull in pulls}
            merged = min((pull.merged for pull in pulls if pull.merged is not None), default=None)
            for run in self.attempts(place):
                everything.append(run)
                if _is_of_pull(run):
                    is_own = bool(numbers.intersection(run.pulls)) or (
                        not run.pulls and run.branch in branches
                    )
                else:
                    is_own = run.branch in branches or bool(numbers.intersection(run.pulls))
                if (
                    is_own
                    or self._names_by_branch(run.branch, place, one)
                    or (_is_on(run, default) and merged is not None and (run.started or 0) >= merged)
                ):
                    found.append(run)
        recent = self.now - PASS_RATE_DAYS * DAY
        found = [run for run in found if (run.finished or 0) >= recent]
        if found:
            return found, _OWN
        everything = [run for run in everything if (run.finished or 0) >= recent]
        return everything, "REPOSITORY-WIDE: no run is tied to the milestone"

    def _names_by_branch(self, branch: str, repository: str, one: Milestone) -> bool:
        if (branch, repository) not in self._of_branch:
            name = milestone_of_branch(branch)
            found = self.names.named(name, repository) if name else []
            self._of_branch[branch, repository] = found[0].key if len(found) == 1 else ""
        return self._of_branch[branch, repository] == one.key

    def inputs_of(self, one: Milestone) -> ReadinessInputs:
        """What was measured of a milestone's readiness."""
        own = self.work[one.key]
        runs, about = self.runs_of(one)
        is_own = bool(runs) and about == _OWN
        critical, basis = self._critical(one)
        pulls = [told.pull for told in own.pulls]
        return ReadinessInputs(
            _pass_rate(runs, about, self.now, is_own=is_own), self._fixes(self.repositories_of(one)), critical, basis,
            self._linked(pulls), sum(pull.state == "closed" for pull in pulls), not is_own and not pulls,
        )  # fmt: skip

    def _fixes(self, repositories: Sequence[str]) -> Fixes | None:
        return fixes_of(self.connection, repositories, self.now - PASS_RATE_DAYS * DAY, self.now)

    def inputs_of_all(self) -> ReadinessInputs:
        """What was measured of CI in all repositories of the roadmap."""
        runs = [run for place in self.all_repositories for run in self.attempts(place)]
        runs = [run for run in runs if (run.finished or 0) >= self.now - PASS_RATE_DAYS * DAY]
        critical: list[CriticalWorkflow] = []
        basis = ""
        for place in self.all_repositories:
            wanted, basis = self._wanted(self.plan.critical_workflows, [place])
            critical += [self._latest(place, name, ()) for name in wanted.get(place, ())]
        rate = _pass_rate(runs, "all repositories of the roadmap", self.now)
        return ReadinessInputs(rate, self._fixes(self.all_repositories), tuple(critical), basis)

    def _critical(self, one: Milestone) -> tuple[tuple[CriticalWorkflow, ...], str]:
        places = self.repositories_of(one)
        wanted, basis = self._wanted(one.critical_workflows or self.plan.critical_workflows, places)
        found: list[CriticalWorkflow] = []
        for place, names in wanted.items():
            branches = tuple(
                dict.fromkeys(
                    told.pull.branch
                    for told in self.work[one.key].pulls
                    if told.pull.repository == place and told.pull.state == "open" and told.pull.branch
                )
            )
            for name in names:
                seen = [self._latest(place, name, (branch,)) for branch in branches]
                seen = [run for run in seen if run.conclusion]
                found += seen or [self._latest(place, name, ())]
        return tuple(found), basis

    def _wanted(self, listed: Sequence[str], places: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], str]:
        """Repository -> its critical workflows, and why these."""
        if listed:
            return dict.fromkeys(places, tuple(listed)), "as they are listed"
        since = self.now - CRITICAL_DAYS * DAY
        found = {}
        for place in places:
            default = self.default_branches.get(place, "")
            names = _present_names(
                run for run in self.attempts(place) if _is_on(run, default) and (run.finished or 0) >= since
            )
            if names:
                found[place] = names
        return found, f"those that ran on the default branch in the last {CRITICAL_DAYS} days"

    def _latest(self, place: str, name: str, branches: Sequence[str]) -> CriticalWorkflow:
        """The latest run of a workflow that was green or red on one of these branches, or on the default branch, under every
        name that its file has given it. One that was canceled or skipped says nothing."""
        default = self.default_branches.get(place, "")
        named = [run for run in self.attempts(place) if name in (run.workflow, *_files_names(run))]
        files = {run.path for run in named if run.path}
        runs = [
            run
            for run in (self.attempts(place) if files else named)
            if (run.branch in branches if branches else _is_on(run, default))
            and run.conclusion in GREEN | RED
            and (run.path in files or (not run.path and run.workflow == name))
        ]
        if not runs:
            return CriticalWorkflow(name, branch=branches[0] if branches else default)
        last = max(runs, key=lambda run: (run.finished or 0, run.run, run.number))
        return CriticalWorkflow(name, last.conclusion, last.sha, last.url, last.branch)

    def _linked(self, pulls: Sequence[PullRequest]) -> tuple[LinkedPull, ...]:
        live = [pull for pull in pulls if pull.state != "closed"]
        paths = stored.paths_of_merges(self.connection, live)
        return tuple(
            LinkedPull(pull.key, pull.state == "merged", _documents(pull, paths), pull.url) for pull in live
        )


def _files_names(run: Attempt) -> tuple[str, ...]:
    return (run.path, run.path.rpartition("/")[2]) if run.path else ()


def _present_names(runs: Iterable[Attempt]) -> tuple[str, ...]:
    """What the workflows of these runs are called now: a file by the name in its latest run, or by its path where two files
    give the same name."""
    latest: dict[str, Attempt] = {}
    for run in sorted(runs, key=lambda run: (run.finished or 0, run.run, run.number)):
        latest[run.path or run.workflow] = run
    often = Counter(run.workflow for run in latest.values())
    return tuple(sorted(run.workflow if often[run.workflow] == 1 else key for key, run in latest.items()))


def _is_of_pull(run: Attempt) -> bool:
    return run.event in ("pull_request", "pull_request_target")


def _is_on(run: Attempt, branch: str) -> bool:
    """Whether a run is of a branch of the repository itself; a pull request from a fork's main branch is not."""
    return bool(branch) and run.branch == branch and not _is_of_pull(run)


def _documents(pull: PullRequest, paths: Mapping[str, tuple[frozenset[str], bool]]) -> bool | None:
    """Whether a pull request brings documentation; None where not all of its files are known."""
    if any(label.casefold() == _DOCUMENTATION for label in pull.labels):
        return True
    changed, is_all = paths.get(pull.key, (frozenset(), False))
    if any(path_info(path).role is PathRole.DOCS for path in changed):
        return True
    return False if is_all else None


def _pass_rate(runs: Sequence[Attempt], about: str, now: int, *, is_own: bool = True) -> PassRate | None:
    """The pass rate over first attempts, with that over the last ones beside it (definition 6): re-runs hide flakiness."""
    first = [run for run in runs if run.number == 1]
    counted = [run for run in first if run.conclusion in GREEN | RED]
    if not counted:
        return None
    final = [run for run in runs if run.is_last and run.conclusion in GREEN | RED]
    left = len(first) - len(counted)
    green = sum(run.conclusion in GREEN for run in counted)
    beside = "first attempts"
    if final:
        beside += f"; {sum(run.conclusion in GREEN for run in final)}/{len(final)} after re-runs"
    if left:
        beside += f"; {left} neither green nor red left out"
    red = sorted((run for run in counted if run.conclusion in RED), key=lambda run: -(run.finished or 0))
    links = tuple(run.url for run in red if run.url)
    days = (iso(now - PASS_RATE_DAYS * DAY) or "")[:10], (iso(now) or "")[:10]
    return PassRate(green, len(counted), about, *days, links, beside, is_own)


def fixes_of(connection: Connection, repositories: Iterable[str], since: int, until: int) -> Fixes | None:
    """The attempts to fix failures of these repositories that were made in the window (milliseconds since 1970) and have an
    outcome; None where there is none."""
    from achievement_collector.services.fixes import fix_rate_data

    places = dict.fromkeys(work.names_of(connection, place)[0] for place in repositories)
    told = [fix_rate_data(connection, place, since, until + 1) for place in places]
    verified, attempted = sum(one["verified"] for one in told), sum(one["n"] for one in told)
    days = (iso(since) or "")[:10], (iso(until) or "")[:10]
    return Fixes(verified, attempted, *days) if attempted else None
