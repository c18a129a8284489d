"""Impact and complexity: 0 to 100, each a sum of named parts with the fact behind every part.

Both saturate: twice the lines is never twice the points. With ``h`` the half-way size, a part of at most
``p`` points gives ``p * x / (x + h)`` for a quantity ``x`` (the Michaelis-Menten form: no cliff, no gain from
sheer bulk).

Impact says how much a change matters for others, complexity how hard it was. The impact of changes is scaled
inside the repository (:func:`calibrate`), so that about one in ten counted changes reaches
``PORTFOLIO_READY``; the scale is one factor for all of them, kept between 0.5 and 3, and shown. Above the
threshold it bends, so that nothing is cut off at 100.
Neither is ever summed up for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from achievement_collector.derive.conclusions import (
    PORTFOLIO_READY,
    Category,
    CategoryCall,
    Score,
    ScorePart,
    Size,
)

FORMULA = 1
"""The version of the formulas; stored with every score."""

_KIND_POINTS: dict[Category, float] = {
    Category.SECURITY: 24,
    Category.FEATURE: 22,
    Category.PERFORMANCE: 22,
    Category.BUGFIX: 14,
    Category.REFACTORING: 12,
    Category.INFRASTRUCTURE: 11,
    Category.TESTING: 10,
    Category.DOCUMENTATION: 8,
    Category.UNSURE: 8,
    Category.MAINTENANCE: 4,
    Category.REVERT: 4,
    Category.RELEASE: 0,
}

_EXTENT, _EXTENT_HALF = 34.0, 350.0
_REACH, _REACH_HALF = 12.0, 4.0
_STEPS, _STEPS_HALF = 10.0, 6.0
_TESTS, _TESTS_HALF = 8.0, 60.0
_GUIDE, _GUIDE_HALF = 5.0, 40.0
_ISSUES, _RELEASED, _BREAKING, _BACKPORTED = 4.0, 5.0, 7.0, 4.0

_LARGEST_TOTAL = 100.0  # hardly any change comes to more
_SWEEP_FILES, _SWEEP_LINES, _SWEEP_COUNTS = 30, 6, 0.1
_SWEEP_EVEN = 0.9
_TARGET_SHARE = 0.10
_LARGEST_SHARE = 0.15
_FEWEST = 20
_GROWTH = 1.1
_SMALLEST_SCALE, _LARGEST_SCALE = 0.5, 3.0


class ScoreInputs(NamedTuple):
    """The facts that the scores of a change rest on.

    ``areas`` are the distinct folders touched (two levels deep) by counted files; ``replaced`` the lines
    deleted in files that also gained some; ``roles`` the kinds of counted files (source, test, docs ...).
    """

    category: CategoryCall
    size: Size
    areas: tuple[str, ...]
    languages: tuple[str, ...]
    roles: tuple[str, ...]
    test_lines: int
    docs_lines: int
    replaced: int
    commits: int
    breaking: str  # what declares it, empty where nothing does
    issues: tuple[str, ...]
    released_in: str
    backports: int
    lines_by_file: tuple[int, ...] = ()  # of the files that count
    even_files: int = 0  # of these, those that gain as many lines as they lose

    @property
    def is_sweeping(self) -> bool:
        """Whether the same small edit was made in many files: a rename, a new copyright year, a new address. Nearly all of
        them have few changed lines, or lines changed in place alone."""
        lines = sorted(self.lines_by_file)
        if len(lines) < _SWEEP_FILES:
            return False
        return lines[int(len(lines) * 0.7)] <= _SWEEP_LINES or self.even_files >= _SWEEP_EVEN * len(lines)


def impact_parts(facts: ScoreInputs) -> tuple[ScorePart, ...]:
    """The unscaled parts of a change's impact, most points first."""
    call = facts.category
    parts = [
        ScorePart(
            "kind of work",
            _KIND_POINTS[call.category] * (0.5 + 0.5 * call.confidence),
            f"{call.category.value}, {call.confidence:.0%} sure: {call.basis}",
        ),
        *_extent(facts, _EXTENT, _EXTENT_HALF),
        *_reach(facts, _REACH, _REACH_HALF),
        *_steps(facts, _STEPS, _STEPS_HALF),
    ]
    own_kind = call.category
    weight = _SWEEP_COUNTS if facts.is_sweeping else 1.0
    if facts.test_lines and own_kind is not Category.TESTING:
        points = _saturating(weight * facts.test_lines, _TESTS, _TESTS_HALF)
        parts.append(ScorePart("tests", points, f"{facts.test_lines:,} changed lines of tests with it"))
    if facts.docs_lines and own_kind is not Category.DOCUMENTATION:
        points = _saturating(weight * facts.docs_lines, _GUIDE, _GUIDE_HALF)
        parts.append(
            ScorePart("documentation", points, f"{facts.docs_lines:,} changed lines of documentation with it")
        )
    if facts.breaking:
        parts.append(ScorePart("breaking change", _BREAKING, f"declared by {facts.breaking}"))
    if facts.issues:
        named = ", ".join(facts.issues[:3]) + (
            f" and {len(facts.issues) - 3} more" if len(facts.issues) > 3 else ""
        )
        parts.append(ScorePart("issues", _ISSUES, f"the message names {named}"))
    if facts.released_in:
        parts.append(ScorePart("released", _RELEASED, f"first released in {facts.released_in}"))
    if facts.backports:
        also = "one more line" if facts.backports == 1 else f"{facts.backports} more lines"
        parts.append(ScorePart("backported", _BACKPORTED, f"picked to {also} of development"))
    return tuple(sorted(parts, key=lambda part: -part.points))


def complexity_parts(facts: ScoreInputs) -> tuple[ScorePart, ...]:
    """The parts of a change's complexity, most points first. They are not scaled."""
    size = facts.size
    parts = [*_extent(facts, 24.0, 300.0), *_reach(facts, 24.0, 5.0), *_steps(facts, 16.0, 5.0)]
    if size.files > 1 and not facts.is_sweeping:
        parts.append(
            ScorePart("files", _saturating(size.files - 1, 14.0, 9.0), f"{size.files:,} files count")
        )
    if facts.replaced and not facts.is_sweeping:
        share = facts.replaced / max(size.lines, 1)
        points = 12.0 * min(1.0, 2 * share) * size.lines / (size.lines + 100.0)
        parts.append(ScorePart("rework", points, f"{facts.replaced:,} lines of existing code replaced"))
    kinds = len(facts.languages) + len(facts.roles)
    if kinds > 2:
        named = ", ".join((*facts.languages, *facts.roles))
        parts.append(
            ScorePart("mixture", _saturating(kinds - 2, 10.0, 3.0), f"languages and kinds of files: {named}")
        )
    return tuple(sorted(parts, key=lambda part: -part.points))


def release_parts(level: str, changes: int, features: int, fixes: int, people: int) -> tuple[ScorePart, ...]:
    """The parts of a release's impact. ``level`` is major, minor or patch, or empty (not told)."""
    points = {"major": 34.0, "minor": 22.0, "patch": 8.0}.get(level, 12.0)
    parts = [
        ScorePart("kind of release", points, f"a {level} version" if level else "the version does not tell")
    ]
    if changes:
        noun = "change" if changes == 1 else "changes"
        parts.append(
            ScorePart(
                "changes",
                _saturating(changes, 36.0, 60.0),
                f"{changes:,} counted {noun} first released in it",
            )
        )
    if features:
        noun = "feature" if features == 1 else "features"
        parts.append(
            ScorePart("features", _saturating(features, 14.0, 8.0), f"{features:,} {noun} among them")
        )
    if fixes:
        noun = "fix" if fixes == 1 else "fixes"
        parts.append(ScorePart("fixes", _saturating(fixes, 8.0, 15.0), f"{fixes:,} {noun} among them"))
    if people > 1:
        parts.append(
            ScorePart("people", _saturating(people - 1, 8.0, 10.0), f"the work of {people:,} people")
        )
    return tuple(sorted(parts, key=lambda part: -part.points))


def release_complexity_parts(changes: int, people: int) -> tuple[ScorePart, ...]:
    """The parts of a release's complexity: how much, and how many people's, work came together in it."""
    parts = []
    if changes:
        noun = "change" if changes == 1 else "changes"
        parts.append(
            ScorePart("changes", _saturating(changes, 70.0, 120.0), f"{changes:,} counted {noun} in it")
        )
    if people > 1:
        parts.append(
            ScorePart("people", _saturating(people - 1, 30.0, 15.0), f"the work of {people:,} people")
        )
    return tuple(parts)


def raw_total(parts: Sequence[ScorePart]) -> float:
    return sum(part.points for part in parts)


def score(parts: Sequence[ScorePart], scale: float = 1.0) -> Score:
    """The score of ``parts``, all of them multiplied alike so that they add up to the scaled value."""
    raw = raw_total(parts)
    ratio = _scaled(raw, scale) / raw if raw else 1.0
    scaled = tuple(ScorePart(part.name, round(part.points * ratio, 1), part.fact) for part in parts)
    return Score(scaled_value(raw, scale), scaled, FORMULA)


def scaled_value(raw: float, scale: float) -> int:
    """The whole number that an unscaled total comes to."""
    return max(0, min(100, round(_scaled(raw, scale))))


def _scaled(raw: float, scale: float) -> float:
    """``raw * scale`` up to the threshold; above it what is left up to 100 is shared out evenly, so that the
    best of a repository stay apart instead of all being 100."""
    threshold = PORTFOLIO_READY - 0.5
    at = threshold / scale
    if scale == 1.0 or raw <= at or at >= _LARGEST_TOTAL:
        return raw * scale
    return threshold + (raw - at) * (100 - threshold) / (_LARGEST_TOTAL - at)


class Scale(NamedTuple):
    """One factor for the impact of all changes of a repository, and how many changes it was found on."""

    factor: float = 1.0
    basis: int = 0


def calibration_basis(counted: int) -> int:
    """How many of the earliest changes the scale is found on.

    It grows in steps of 10 %, so that a new commit leaves the scores of all earlier work alone until the
    history has grown by a tenth. 0 below 20 changes: too few to compare with each other.
    """
    if counted < _FEWEST:
        return 0
    basis = float(_FEWEST)
    while basis * _GROWTH <= counted:
        basis *= _GROWTH
    return int(basis)


def calibrate(raw_impacts: Sequence[float]) -> Scale:
    """The scale at which about 10 %, and at most 15 %, of the counted changes reach ``PORTFOLIO_READY``.

    ``raw_impacts`` are unscaled totals of the counted changes, earliest first.
    """
    basis = calibration_basis(len(raw_impacts))
    if not basis:
        return Scale()
    ranked = sorted(raw_impacts[:basis], reverse=True)
    at = ranked[int(basis * _TARGET_SHARE)]
    if sum(total >= at for total in ranked) > basis * _LARGEST_SHARE:
        # many equal totals: rather fewer than too many
        at = min((total for total in ranked if total > at), default=at * 1.05)
    threshold = PORTFOLIO_READY - 0.5  # from where the rounded score is 70
    factor = threshold / at if at > 0 else 1.0
    return Scale(round(max(_SMALLEST_SCALE, min(_LARGEST_SCALE, factor)), 4), basis)


def _saturating(quantity: float, points: float, half: float) -> float:
    return points * quantity / (quantity + half) if quantity > 0 else 0.0


def _extent(facts: ScoreInputs, points: float, half: float) -> list[ScorePart]:
    size = facts.size
    if not size.is_measured:
        return [ScorePart("extent", 0.0, "not measured: the history is cut or damaged here")]
    if not size.lines:
        return []
    files = f"{size.files:,} file" + ("" if size.files == 1 else "s")
    told = f"{size.lines:,} changed lines that count, in {files}"
    if facts.commits > 1:
        told += f", {facts.commits:,} commits added up"
    lines: float = size.lines
    if facts.is_sweeping:
        lines *= _SWEEP_COUNTS
        told += "; small edits all over, so a tenth of them is taken"
    return [ScorePart("extent", _saturating(lines, points, half), told)]


def _reach(facts: ScoreInputs, points: float, half: float) -> list[ScorePart]:
    others = len(facts.areas) - 1
    if others < 1 or facts.is_sweeping:
        return []
    named = ", ".join(facts.areas[:4]) + (f" and {len(facts.areas) - 4} more" if len(facts.areas) > 4 else "")
    return [ScorePart("reach", _saturating(others, points, half), f"{len(facts.areas)} areas: {named}")]


def _steps(facts: ScoreInputs, points: float, half: float) -> list[ScorePart]:
    if facts.commits < 2:
        return []
    return [ScorePart("steps", _saturating(facts.commits - 1, points, half), f"{facts.commits:,} commits")]
