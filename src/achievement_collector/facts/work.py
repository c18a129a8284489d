"""Work as the outside systems tell of it: pull requests, issues, epics, checks, reports of CI.

All moments are milliseconds since 1970 (UTC), None where the source gave none. Texts are as written outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Review:
    """One review of a pull request. ``state`` is approved, changes_requested, commented or dismissed; ``is_bot`` says that a
    program wrote it."""

    id: str
    reviewer: str
    state: str
    submitted: int | None
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request. ``repository`` is ``host/owner/name``; ``additions``, ``deletions``, ``files`` and ``commits`` are
    the forge's own counts, None where no message told them or what it told is below 0; ``merge_sha`` is the commit it
    became, once merged."""

    repository: str
    number: int
    title: str = ""
    body: str = ""
    author: str = ""
    author_id: int | None = None
    is_bot: bool = False
    created: int | None = None
    merged: int | None = None
    closed: int | None = None
    is_draft: bool = False
    labels: tuple[str, ...] = ()
    base: str = ""
    base_sha: str = ""
    branch: str = ""
    head_sha: str = ""
    merge_sha: str = ""
    additions: int | None = None
    deletions: int | None = None
    files: int | None = None
    commits: int | None = None
    url: str = ""
    milestone: str = ""
    reviews: tuple[Review, ...] = ()

    def __post_init__(self) -> None:
        for name in ("additions", "deletions", "files", "commits"):
            count = getattr(self, name)
            if count is not None and count < 0:
                object.__setattr__(self, name, None)

    @property
    def key(self) -> str:
        return f"{self.repository}#{self.number}"

    @property
    def state(self) -> str:
        """merged, closed or open."""
        return "merged" if self.merged is not None else "closed" if self.closed is not None else "open"

    @property
    def lead_time(self) -> float | None:
        """Seconds from opened to merged; None where either is unknown or the merge is told to come first."""
        if self.merged is None or self.created is None or self.merged < self.created:
            return None
        return (self.merged - self.created) / 1000

    @property
    def human_reviews(self) -> tuple[Review, ...]:
        """The reviews by people, in the order in which they were submitted; the author's own replies are none."""
        ordered = sorted(self.reviews, key=lambda one: (one.submitted or 0, one.id))
        author = self.author.lower()
        return tuple(
            one for one in ordered if one.reviewer and not one.is_bot and one.reviewer.lower() != author
        )

    @property
    def reviewers(self) -> tuple[str, ...]:
        """The people who reviewed it, in the order of their first review."""
        return tuple(dict.fromkeys(one.reviewer for one in self.human_reviews))

    @property
    def reviewing_bots(self) -> tuple[str, ...]:
        """The programs that reviewed it, by name."""
        return tuple(sorted({one.reviewer for one in self.reviews if one.is_bot and one.reviewer}))


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue of Linear or GitHub. ``priority`` is Linear's (0 none, 1 urgent ... 4 low); ``scale`` the team's way of
    estimating, empty where it is not known."""

    key: str
    identifier: str
    title: str = ""
    description: str = ""
    state: str = ""  # Linear's state type: triage, backlog, unstarted, started, completed, canceled
    priority: int | None = None
    estimate: float | None = None
    scale: str = ""
    labels: tuple[str, ...] = ()
    assignee: str = ""
    assignee_email: str = ""
    creator: str = ""
    team: str = ""
    project: str = ""
    parent: str = ""
    branch: str = ""
    created: int | None = None
    started: int | None = None
    completed: int | None = None
    canceled: int | None = None
    url: str = ""
    is_removed: bool = False
    former: tuple[str, ...] = ()  # identifiers that it had in other teams

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Every name that a pull request may call it by."""
        return tuple(filter(None, (self.identifier, *self.former)))

    @property
    def is_completed(self) -> bool:
        return not self.is_removed and self.canceled is None and self.completed is not None


@dataclass(frozen=True, slots=True)
class EpicSource:
    """What an epic is outside: a Linear project, initiative or parent issue, or something people started by hand."""

    kind: str  # project, initiative, issue, local
    key: str
    title: str = ""
    description: str = ""
    status: str = ""
    lead: str = ""
    created: int | None = None
    started: int | None = None
    completed: int | None = None
    canceled: int | None = None
    url: str = ""
    slug: str = ""
    milestones: tuple[tuple[str, str], ...] = ()  # (id, name)
    initiatives: tuple[str, ...] = ()
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What CI says about a commit. ``conclusion`` is empty while it runs; an unknown one is no failure. ``path`` is the file
    of a workflow, ``event`` what its run was started by (``push``); both are empty where that was not told."""

    key: str
    name: str
    sha: str
    conclusion: str = ""
    started: int | None = None
    completed: int | None = None
    url: str = ""
    attempt: int = 1
    path: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True)
class CiReport:
    """Measures of one kind that a CI job handed in for a commit: tests, coverage, benchmarks, findings, build_time."""

    key: str
    repository: str
    sha: str
    kind: str
    name: str
    body: Mapping[str, Any]
    at: int
    branch: str = ""
    base: str = ""
    pull_request: int | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something tied to an issue: an address with a title."""

    key: str
    issue: str
    url: str
    title: str = ""


def texts(value: Any) -> tuple[str, ...]:
    """The texts in a list from outside."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(one for one in value if isinstance(one, str))


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a repository to an environment. ``state`` is success, failure, error, rolled_back, in_progress,
    inactive (a success that another one replaced), unknown (replaced, and nothing told how it ended), or whatever else its
    source says (``queued``); empty where nothing was told. ``started`` is when it was asked
    for, where nothing told when it began."""

    key: str
    repository: str
    environment: str
    sha: str = ""
    version: str = ""
    state: str = ""
    started: int | None = None
    finished: int | None = None
    url: str = ""

    @property
    def is_success(self) -> bool:
        """Whether it took effect; one that was rolled back or replaced later did."""
        return self.state in ("success", "inactive", "rolled_back")

    @property
    def at(self) -> int | None:
        """When it took effect or failed, as far as it is known."""
        return self.finished if self.finished is not None else self.started
