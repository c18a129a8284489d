"""The comment at a pull request: what is known of its CI, kept in one place there.

What it tells comes through :func:`comment_content`, whose parameters are where failures, the score and the milestone come
from; :func:`comment_on` makes GitHub show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.milestones import Clues, Names, detect
from achievement_collector.derive.pr_comments import (
    Counts,
    Failure,
    MilestoneOfPull,
    PrComment,
    Score,
    comment_text,
)
from achievement_collector.errors import CollectorError, ConfigurationError, NotFoundError
from achievement_collector.facts.ci_runs import GREEN, RED
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import Check, PullRequest
from achievement_collector.ledger import work
from achievement_collector.ledger.epics import known_key
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.github_sync import web_host
from achievement_collector.services.repository_names import repository_name

if TYPE_CHECKING:
    from achievement_collector.publish.github_comments.client import Comment, CommentsClient, PullSeen
    from achievement_collector.publish.github_comments.plan import CommentPlan, Run

Content = Callable[[Connection, str, PullRequest], PrComment]
FailuresOf = Callable[[Connection, PullRequest, Sequence[Check]], tuple[Failure, ...]]
ScoreOf = Callable[[Connection, PullRequest], Score | None]
MilestoneOf = Callable[[Connection, PullRequest], MilestoneOfPull | None]

_ROUNDS = 5
_MOST_LINKS = 8


class Outcome(StrEnum):
    """What became of a comment. Planned: it was a dry run."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    OUTDATED = "outdated"
    CLOSED = "closed"
    NO_PULL = "no pull request"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Commented:
    """``told`` says in a sentence what was done; ``text`` is the Markdown, empty where none was made; ``deleted`` counts the
    extra comments of ours that were taken away."""

    outcome: Outcome
    told: str
    number: int | None = None
    text: str = ""
    url: str = ""
    deleted: int = 0


# --- what it tells -----------------------------------------------------------------------------------


def comment_content(
    connection: Connection,
    repository: str,
    pull: PullRequest,
    *,
    failures: FailuresOf | None = None,
    score: ScoreOf | None = None,
    milestone: MilestoneOf | None = None,
) -> PrComment:
    """What the ledger knows of the head commit of a pull request of ``repository`` (host/owner/name).

    Without ``failures`` the red checks are named, with nothing about why; without ``score`` it is unknown; without
    ``milestone`` it is what the pull request itself names (its milestone field, a label, its branch).
    """
    checks = work.checks(connection, repository, [pull.head_sha])
    current = current_checks(checks)
    return PrComment(
        sha=pull.head_sha,
        counts=tuple(_counts(current)),
        failures=failures(connection, pull, current) if failures else red_checks(current),
        milestone=milestone(connection, pull) if milestone else named_milestone(pull),
        score=score(connection, pull) if score else None,
        links=tuple(_links(current)),
    )


def named_milestone(pull: PullRequest) -> MilestoneOfPull | None:
    """The milestone that a pull request names by itself, and where."""
    clues = Clues(
        pull_milestone=pull.milestone, labels=pull.labels, branch=pull.branch, repository=pull.repository
    )
    found = detect(clues, Names(()))
    return MilestoneOfPull(found.title, found.told) if found.title else None


def current_checks(checks: Iterable[Check]) -> list[Check]:
    """The checks of a commit that still hold: the last attempt of each workflow run, check runs without a later one of the
    same name that began after they had ended (names may stand in several workflows), every status; suites only repeat
    what is in them."""
    known = sorted(checks, key=lambda one: (one.attempt, one.started or 0, one.key))
    latest: dict[str, Check] = {}
    for one in known:
        kind, identity = _kind_of(one)
        if kind != "suite":
            latest[f"{kind}/{identity}"] = one
    found = list(latest.values())
    return [
        one
        for one in found
        if _kind_of(one)[0] != "check"
        or not any(
            other.name == one.name
            and _kind_of(other)[0] == "check"
            and one.completed is not None
            and (other.started or 0) > one.completed
            for other in found
        )
    ]


def red_checks(current: Sequence[Check]) -> tuple[Failure, ...]:
    """The red ones, with nothing about why. A workflow run is named where no check run in it can be: none is red, or it
    did not start."""
    red = [one for one in current if one.conclusion in RED or one.conclusion == "error"]
    has_jobs = any(_kind_of(one)[0] == "check" for one in red)
    return tuple(
        Failure(one.name, url=one.url)
        for one in sorted(red, key=lambda one: (one.name, one.key))
        if not (has_jobs and _kind_of(one)[0] == "run" and one.conclusion != "startup_failure")
    )


def _kind_of(check: Check) -> tuple[str, str]:
    """(run, check, suite, status or nothing, what is the same in every attempt) of ``host/owner/name/run/12/1``."""
    parts = check.key.split("/")
    kind = parts[3] if len(parts) > 4 else ""
    return kind, parts[4] if kind == "run" else check.key


def _counts(current: Sequence[Check]) -> Iterable[Counts]:
    for kind, unit in (
        ("run", "Workflow runs"),
        ("check", "Check runs"),
        ("status", "Statuses"),
        ("", "Checks"),
    ):
        of_kind = [one for one in current if _kind_of(one)[0] == kind]
        if not of_kind:
            continue
        passed = sum(one.conclusion in GREEN for one in of_kind)
        failed = sum(one.conclusion in RED or one.conclusion == "error" for one in of_kind)
        running = sum(one.conclusion in ("", "pending") for one in of_kind)
        yield Counts(unit, passed, failed, running, len(of_kind) - passed - failed - running)


def _links(current: Sequence[Check]) -> Iterable[tuple[str, str]]:
    runs = [one for one in current if _kind_of(one)[0] == "run" and one.url]
    ordered = sorted(runs, key=lambda one: (one.conclusion not in RED, one.name, one.key))
    return ((one.name, one.url) for one in ordered[:_MOST_LINKS])


# --- showing it --------------------------------------------------------------------------------------


def comment_on(
    ledger: Ledger,
    settings: Settings,
    repository: str,
    *,
    number: int | None = None,
    sha: str = "",
    head: str = "",
    run: Run | None = None,
    author_id: int | None = None,
    dry_run: bool = False,
    content: Content = comment_content,
    client: CommentsClient | None = None,
) -> Commented:
    """Makes the comment at a pull request tell what the ledger knows of its head commit.

    The pull request is ``number``, or the open one from ``head`` (owner:branch) whose head is ``sha``. GitHub is asked about
    it first: nothing is written where ``sha`` is given and is not its head any more, and where it is closed. ``run`` is the
    run of a workflow that asks: what a later one wrote is left alone. Only comments of the token's own author are looked at,
    unless ``author_id`` names another. Of several runs at the same moment, which ``concurrency`` of a workflow prevents, the
    one that writes last is read again, so that one comment is left.

    A dry run writes nothing, and without a token does not ask GitHub. Raises :class:`NotFoundError` where the ledger does not
    know the pull request, :class:`ConfigurationError` without a token, and what
    :class:`achievement_collector.publish.github_comments.client.CommentsClient` raises.
    """
    name = repository_name(repository)
    if number is None and not (sha and head):
        raise ConfigurationError(
            "name the pull request with --pr, or with both --sha and --head OWNER:BRANCH"
        )
    if client is None and not settings.github_token:
        if dry_run and number is not None:
            return _text_alone(ledger, settings, name, number, sha, content)
        raise ConfigurationError("comments at pull requests need GITHUB_TOKEN")
    from achievement_collector.publish.github_comments.client import CommentsClient

    if client is not None:
        return _comment(ledger, settings, name, number, sha, head, run, author_id, dry_run, content, client)
    with CommentsClient(settings.github_api_url, settings.github_token) as own:
        return _comment(ledger, settings, name, number, sha, head, run, author_id, dry_run, content, own)


def _comment(
    ledger: Ledger,
    settings: Settings,
    name: str,
    number: int | None,
    sha: str,
    head: str,
    run: Run | None,
    author_id: int | None,
    dry_run: bool,
    content: Content,
    client: CommentsClient,
) -> Commented:
    seen = _seen(client, name, number, sha, head)
    if seen is None:
        return Commented(
            Outcome.NO_PULL, f"not one open pull request of {name} has the head {sha[:12]} of {head}"
        )
    place = f"{name}#{seen.number}"
    if sha and seen.head_sha != sha:
        told = f"{place} has moved on to {seen.head_sha[:12]}; nothing is said of {sha[:12]}"
        return Commented(Outcome.OUTDATED, told, seen.number)
    if seen.state != "open":
        return Commented(Outcome.CLOSED, f"{place} is closed; nothing is said there", seen.number)
    from achievement_collector.publish.github_comments.plan import comment_body, shown_text

    told_of = _content(ledger, settings, name, seen.number, seen.head_sha, content)
    body = comment_body(told_of, run)
    author = author_id if author_id is not None else client.author().id
    if dry_run:
        plan = _plan(client, name, seen.number, author, body, _Done())
        told = f"{place}: {_planned(plan)} (nothing was written)"
        return Commented(Outcome.PLANNED, told, seen.number, shown_text(plan.body))
    return _settle(client, name, seen.number, author, body)


def _seen(client: CommentsClient, name: str, number: int | None, sha: str, head: str) -> PullSeen | None:
    if number is not None:
        return client.pull(name, number)
    owner, _, branch = head.partition(":")
    if not owner or not branch:
        raise ConfigurationError(f"{head[:200]!r} is no head; give OWNER:BRANCH")
    return client.pull_with_head(name, owner, branch, sha)


def _settle(client: CommentsClient, name: str, number: int, author: int, body: str) -> Commented:
    """Writes, and reads again until there is nothing to write: so what two runs do at once becomes one comment, and a write
    that got no answer is sent again only where it did not take place."""
    from achievement_collector.publish.github_comments.plan import Action, shown_text
    from achievement_collector.sources.github.client import GitHubError

    place = f"{name}#{number}"
    done = _Done()
    outcome = Outcome.UNCHANGED
    trouble: GitHubError | None = None
    for _ in range(_ROUNDS):
        plan = _plan(client, name, number, author, body, done)
        if plan.is_superseded and outcome is Outcome.UNCHANGED:
            outcome = Outcome.SUPERSEDED
        try:
            if plan.action is Action.CREATE:
                made = client.create(name, number, plan.body)
                done.written[made.id] = ("", made)
                outcome = Outcome.CREATED
            elif plan.action is Action.UPDATE and plan.comment is not None:
                before = done.seen.get(plan.comment, "")
                done.written[plan.comment] = (before, client.update(name, plan.comment, plan.body))
                outcome = outcome if outcome is Outcome.CREATED else Outcome.UPDATED
        except GitHubError as error:
            if plan.action is Action.UPDATE and error.status in (404, 410):
                done.deleted.add(plan.comment or 0)
                done.written.pop(plan.comment or 0, None)
            elif error.status is not None or trouble is not None:
                raise
            trouble = error
            continue
        for one in plan.delete:
            done.taken_away += client.delete(name, one)
            done.deleted.add(one)
            done.written.pop(one, None)
        if plan.action is Action.NOTHING and not plan.delete:
            url = done.urls.get(plan.comment or 0, "")
            told = f"{place}: {_said(outcome, done.taken_away)}"
            return Commented(outcome, told, number, shown_text(plan.body), url, done.taken_away)
    raise CollectorError(
        f"the comment at {place} is written by something else at the same time; try again later"
    )


@dataclass(slots=True)
class _Done:
    """What was written in these rounds, as GitHub answered, each with what stood there before; GitHub's lists may be late
    with it."""

    written: dict[int, tuple[str, Comment]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    seen: dict[int, str] = field(default_factory=dict)
    urls: dict[int, str] = field(default_factory=dict)
    taken_away: int = 0


def _plan(client: CommentsClient, name: str, number: int, author: int, body: str, done: _Done) -> CommentPlan:
    """What there is to do."""
    from achievement_collector.publish.github_comments.plan import OwnComment, has_marker, plan_comment

    known = {one.id: one for one in client.comments(name, number) if one.id not in done.deleted}
    for key, (before, made) in done.written.items():
        if key not in known or known[key].body == before:
            known[key] = made
    own = [one for one in known.values() if one.author == author and has_marker(one.body)]
    done.seen = {one.id: one.body for one in own}
    done.urls = {one.id: one.url for one in own}
    return plan_comment([OwnComment(one.id, one.body) for one in own], body)


def _planned(plan: CommentPlan) -> str:
    told = {"create": "a comment would be written", "update": "the comment would be changed"}.get(
        plan.action, "the comment says this already"
    )
    if plan.is_superseded:
        told += ", as a later run wrote it"
    return told + (f", {len(plan.delete)} extra of ours would be deleted" if plan.delete else "")


def _said(outcome: Outcome, deleted: int) -> str:
    told = {
        Outcome.CREATED: "comment written",
        Outcome.UPDATED: "comment brought up to date",
        Outcome.UNCHANGED: "the comment says this already",
        Outcome.SUPERSEDED: "a later run wrote the comment, it is left alone",
    }[outcome]
    return told + (f", {deleted} extra of ours deleted" if deleted else "")


def _text_alone(
    ledger: Ledger, settings: Settings, name: str, number: int, sha: str, content: Content
) -> Commented:
    told = _content(ledger, settings, name, number, sha, content)
    return Commented(
        Outcome.PLANNED,
        f"{name}#{number}: GitHub was not asked, there is no token",
        number,
        comment_text(told),
    )


def _content(
    ledger: Ledger, settings: Settings, name: str, number: int, sha: str, content: Content
) -> PrComment:
    """What is told of a pull request at ``sha``; where that is empty, at the head that the ledger knows."""
    place = f"{web_host(settings.github_api_url)}/{name}#{number}"
    with ledger.read() as connection:
        key = known_key(connection, Kind.PULL_REQUEST, place)
        found = work.pull_requests(connection, keys=[key]) if key else []
        if not found:
            raise NotFoundError(f"{place} is not known; bring it in with: sync github {name}")
        pull = replace(found[0], head_sha=sha) if sha else found[0]
        return content(connection, pull.repository, pull)
