"""What the rules conclude. Each number carries the fact it came from; what is unknown says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Category(StrEnum):
    """What kind of work a change is."""

    FEATURE = "feature"
    BUGFIX = "bugfix"
    PERFORMANCE = "performance"
    SECURITY = "security"
    REFACTORING = "refactoring"
    DOCUMENTATION = "documentation"
    TESTING = "testing"
    INFRASTRUCTURE = "infrastructure"
    MAINTENANCE = "maintenance"
    REVERT = "revert"
    RELEASE = "release"
    UNSURE = "unsure"


class CategoryCall(NamedTuple):
    """``category`` with ``confidence`` (0-1, calibrated: of calls made at 0.8 about 80 % are right).

    ``labels`` are all categories that apply, the main one first; ``basis`` says in a few words what the
    call rests on, such as ``declared type "feat"`` or ``only files under docs/``.
    """

    category: Category
    confidence: float
    labels: tuple[Category, ...]
    basis: str


class ScorePart(NamedTuple):
    """One named part of a score: its points, and the fact behind them in words a reader can check."""

    name: str
    points: float
    fact: str


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100. ``parts`` add up to ``value`` (rounded, capped); ``version`` names the formula."""

    value: int
    parts: tuple[ScorePart, ...]
    version: int


class SkillKind(StrEnum):
    LANGUAGE = "language"
    FRAMEWORK = "framework"
    TOOL = "tool"
    PRACTICE = "practice"


class Skill(NamedTuple):
    """A skill that a change shows, with what shows it (a path, a dependency, a marker)."""

    name: str
    kind: SkillKind
    evidence: str


class ValueKind(StrEnum):
    """Where a business value comes from. There is no fifth way."""

    MEASURED = "measured"
    DERIVED = "derived"
    STATED = "stated"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class BusinessValue:
    """A value with its provenance. ``formula`` and ``inputs`` are set for derived values,
    ``source`` for measured and stated ones (the fact's reference; who stated it and when)."""

    kind: ValueKind = ValueKind.NOT_MEASURED
    text: str = ""
    formula: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    source: str = ""


class Evidence(NamedTuple):
    """A fact that supports an achievement.

    ``kind`` is commit, pull request, tag, release, issue, file, trailer, link or statement; ``reference``
    what identifies it (a sha, ``#12``, a tag name, a URL); ``label`` what it is in words; ``value`` and
    ``unit`` a number where there is one; ``url`` an address that shows it, empty where none is known;
    ``source`` where the fact was read (``git``, ``person``).
    """

    kind: str
    reference: str
    label: str
    value: str = ""
    unit: str = ""
    url: str = ""
    source: str = "git"


class Role(StrEnum):
    AUTHOR = "author"
    CO_AUTHOR = "co-author"
    RELEASER = "releaser"
    SHIPPED = "shipped"  # shipped what an outcome coincided with, or what brought it


class Credit(NamedTuple):
    """A person's part in an achievement. ``commits`` counts the person's commits in it."""

    person: str
    role: Role
    commits: int = 0


class AchievementKind(StrEnum):
    CHANGE = "change"
    RELEASE = "release"
    STATED = "stated"
    ISSUE = "issue"  # completed in a tracker, with no pull request that has the credit
    EPIC = "epic"  # gathers the changes and issues that belong to it
    DEPLOYMENT = "deployment"  # brought changes to where they are used
    KPI = "kpi"  # a target reached, or a lasting shift of a measured series
    CONTENT = "content"  # a post that people took up
    EXPERIMENT = "experiment"  # a run that beat what there was


GATHERERS = ("epic", "deployment")
"""The kinds that gather other achievements, which are counted: they are shown beside them and not counted again."""


@dataclass(frozen=True, slots=True)
class Size:
    """Changed lines and files. ``lines_*`` are those that count as work; ``lines_left_out`` are the
    generated, vendored, lock, minified, moved and whitespace-only ones, with the reasons and lines each.
    ``is_measured`` is False where nobody could tell (a shallow clone's last commit, a pull request whose forge told none),
    and of what has no lines (issues, epics, what is stated)."""

    lines_added: int = 0
    lines_deleted: int = 0
    files: int = 0
    lines_left_out: int = 0
    left_out: tuple[tuple[str, int], ...] = ()
    is_measured: bool = True

    @property
    def lines(self) -> int:
        return self.lines_added + self.lines_deleted


@dataclass(frozen=True, slots=True)
class Achievement:
    """One achievement as it is shown and exported: derived values with a person's edits applied.

    ``id`` is the short stable id a user types; ``occurred`` is when the work reached the main line (the
    committer date of the merge or commit; the tag's date for a release) and ``started`` the earliest author
    date in it. ``is_counted`` is False where the rules leave it out, with the reason in ``left_out_reason``.
    """

    id: str
    kind: AchievementKind
    repository: str
    title: str
    description: str
    occurred: datetime
    started: datetime | None
    category: CategoryCall
    impact: Score
    complexity: Score
    size: Size = Size()
    skills: tuple[Skill, ...] = ()
    credits: tuple[Credit, ...] = ()
    assisted_by: tuple[str, ...] = ()
    value: BusinessValue = BusinessValue()
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""  # why it counts: which part of the significance rule
    is_counted: bool = True
    left_out_reason: str = ""
    pull_request: int | None = None
    released_in: str = ""  # the first release that holds it; empty where none does
    rules_version: int = 0
    edited: tuple[str, ...] = ()  # the fields a person has set
    commits: tuple[str, ...] = ()  # full shas, oldest first


PORTFOLIO_READY = 70
"""The impact score from which an achievement is offered first."""


class SkillUse(NamedTuple):
    """How often and when a skill was shown; dates are ISO days."""

    name: str
    kind: SkillKind
    achievements: int
    first: str
    last: str


class RepositoryInRecord(NamedTuple):
    """A repository as a record shows it; without commits where it is known from its forge alone, and the days empty."""

    key: str
    web_url: str
    commits: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class MeasuredSeries:
    """A series of a KPI as it is drawn. ``points``, ``change_points`` and ``deployments`` begin with a moment in milliseconds
    since 1970; ``usual`` is the range in which values usually lie, None where too few are known; the medians are those of
    both sides of the last change. ``drawn_as`` says what the points are made of where they are not the samples themselves
    (``720 medians of 3 hours, of 2,160 samples``)."""

    title: str
    name: str
    unit: str
    points: tuple[tuple[int, float], ...]
    target: float | None = None
    usual: tuple[float, float] | None = None
    change_points: tuple[tuple[int, str], ...] = ()
    deployments: tuple[tuple[int, str], ...] = ()
    before_median: float | None = None
    after_median: float | None = None
    drawn_as: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A selection of achievements, ready to be presented; presenters add no fact to it.

    ``achievements`` are sorted by impact, best first. ``person`` is the display name of the subject, empty
    for a whole repository's record; ``selection`` tells in words what was asked for; the counts are of the
    whole selection before ``--top`` cut it, so that a cut record cannot be taken for the whole. ``gathered`` are epics and
    deployments, newest first, which gather what is counted already; ``measured`` the series behind KPIs among the achievements.
    """

    achievements: tuple[Achievement, ...]
    person: str
    email: str
    repositories: tuple[RepositoryInRecord, ...]
    selection: str
    generated: datetime
    since: datetime | None
    until: datetime | None
    matching: int
    left_out: int
    bots_left_out: int
    rules_version: int
    months: tuple[tuple[str, int], ...] = ()  # "2026-03" -> achievements, whole selection, no month skipped
    categories: tuple[tuple[str, int], ...] = ()  # most frequent first, whole selection
    skills: tuple[SkillUse, ...] = ()  # most used first, whole selection
    gathered: tuple[Achievement, ...] = ()
    measured: tuple[MeasuredSeries, ...] = ()
