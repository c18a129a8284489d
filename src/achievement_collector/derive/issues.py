"""Completed issues of Linear as achievements: what a person set in the issue is what is said of it.

Impact is by priority, complexity by the estimate's place on the team's scale (docs/rules.md); where nobody set one, the
score says that it was not measured and has no points.
"""

from __future__ import annotations

import json
import re
from typing import Any

from achievement_collector.derive.achievements import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Conclusion,
    listed_part,
    storable_text,
)
from achievement_collector.derive.conclusions import (
    AchievementKind,
    CategoryCall,
    Role,
    ScorePart,
    SkillKind,
)
from achievement_collector.derive.pulls import category_of_labels, readable_body
from achievement_collector.derive.skills import named_skills
from achievement_collector.derive.title_categories import category_of_title
from achievement_collector.facts.work import Issue

PRIORITY_IMPACT = {1: 90, 2: 75, 3: 60, 4: 40, 0: 30}
"""Impact by Linear's priority: 1 urgent, 2 high, 3 medium, 4 low, 0 none set."""

_PRIORITY_NAMES = {0: "none", 1: "urgent", 2: "high", 3: "medium", 4: "low"}

_SCALES: dict[str, tuple[float, ...]] = {
    "exponential": (1, 2, 4, 8, 16, 32, 64),
    "fibonacci": (1, 2, 3, 5, 8, 13, 21),
    "linear": (1, 2, 3, 4, 5, 6, 7),
    "tShirt": (1, 2, 3, 5, 8, 13, 21),
}
"""Linear's ways of estimating (issueEstimationType); the last two steps are those of the extended scales."""


def complexity_of_estimate(estimate: float | None, scale: str) -> ScorePart:
    """Complexity by the estimate: each step of the team's scale is a fifth of 100, the fifth and what is above it 100."""
    if estimate is None:
        return ScorePart("estimate", 0.0, "not measured: the issue has no estimate")
    steps = _SCALES.get(scale)
    if scale == "notUsed":
        return ScorePart("estimate", 0.0, "not measured: the team does not estimate")
    if steps is None:
        return ScorePart(
            "estimate",
            0.0,
            f"not measured: {estimate:g} points, on a scale that is not known (sync linear reads it)",
        )
    place = sum(step <= estimate for step in steps)
    told = (
        "below the first step" if not place else f"step {place} of 5" if place <= 5 else "above all 5 steps"
    )
    return ScorePart(
        "estimate", min(100.0, place * 20.0), f"{estimate:g} points, {told} on the team's {scale} scale"
    )


def impact_of_priority(priority: int | None) -> ScorePart:
    if priority is None:
        return ScorePart("priority", 0.0, "not measured: the priority was not told")
    points = PRIORITY_IMPACT.get(priority, PRIORITY_IMPACT[0])
    return ScorePart(
        "priority", float(points), f"priority {_PRIORITY_NAMES.get(priority, str(priority))} in Linear"
    )


def category_of_issue(issue: Issue) -> CategoryCall:
    """By labels; where they name none, by the words of its title, which is less sure."""
    labels = category_of_labels(issue.labels)
    if labels:
        named = next(label for label in issue.labels if category_of_labels([label]))
        return CategoryCall(labels[0], 0.9 if len(labels) == 1 else 0.7, labels, f'label "{named}"')
    return category_of_title(issue.title)


def conclude_issue(issue: Issue, assignee_id: int | None, done_by: str, undone: str = "") -> Conclusion:
    """The achievement that a completed issue is; where a pull request did it (``done_by``), that has the credit, and where
    it did and was reverted (``undone``), nobody has."""
    impact, complexity = (
        impact_of_priority(issue.priority),
        complexity_of_estimate(issue.estimate, issue.scale),
    )
    call = category_of_issue(issue)
    assert issue.completed is not None
    left_out = f"done by {done_by}, which has the credit" if done_by else ""
    if not left_out and undone:
        left_out = f"done by {undone}, which was reverted"
    if not left_out and assignee_id is None:
        left_out = "nobody was assigned, so nobody is accountable for it"
    skills = tuple((name, kind.value, evidence) for name, kind, evidence in skills_of_issue(issue))
    detail: dict[str, Any] = {
        "impact": [listed_part(impact)],
        "complexity": [listed_part(complexity)],
        "started": [issue.started // 1000, 0] if issue.started is not None else None,
        "confidence": call.confidence,
        "labels": [label.value for label in call.labels],
        "basis": call.basis,
        "size": None,
        "reason": "completed in Linear",
        "issue": {"identifier": issue.identifier, "url": issue.url, "project": issue.project},
    }
    return Conclusion(
        f"issue/{issue.key}", AchievementKind.ISSUE.value, storable_text(issue.title)[:LONGEST_TITLE] or "(no title)",
        storable_text(readable_body(issue.description, LONGEST_DESCRIPTION)), call.category.value, round(complexity.points),
        issue.completed // 1000, 0, not left_out, False, left_out, impact.points, None, "", "",
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")), skills,
        ((assignee_id, Role.AUTHOR.value, 0),) if assignee_id is not None else (),
    )  # fmt: skip


def skills_of_issue(issue: Issue) -> list[tuple[str, SkillKind, str]]:
    """Skills that labels and the description name word for word."""
    found = {
        name: (name, kind, f'label "{label}"')
        for label in issue.labels
        for name, kind in named_skills(label, is_label=True)
    }
    for name, kind in named_skills(re.sub(r"https?://\S+", "", f"{issue.title}\n{issue.description}")):
        found.setdefault(name, (name, kind, f"named in {issue.identifier}"))
    return list(found.values())[:12]
