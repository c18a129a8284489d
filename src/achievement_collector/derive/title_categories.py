"""The category of work of which only a title is known: issues, and pull requests whose files nobody has read.

The model for commits is not asked: it learned from changed files, and without them it guesses. What a title says in plain
words is taken for what it is, with one modest confidence (of the typed commits in the recorded histories whose title says
so, about two thirds are of that type); what it does not say is unsure.
"""

from __future__ import annotations

import re

from achievement_collector.derive.conclusions import Category, CategoryCall

_CONFIDENCE = 0.6

_BEGINS = r"^(?:add |write |extend |improve |update |fix )?(?:the )?"
_SAYS = tuple(
    (category, re.compile("|".join(patterns), re.IGNORECASE))
    for category, patterns in {
        Category.SECURITY: (
            r"\b(?:xss|csrf|ssrf|cve-\d{4}-\d{1,7})\b",
            r"\b(?:(?:sql |command )?injections?|vulnerabilit(?:y|ies))\b",
        ),
        Category.PERFORMANCE: (
            r"^(?:speed(?:s|ed)? up|optimi[sz]e[sd]?|accelerate[sd]?)\b",
            r"\b(?:faster|performance|latency|throughput)\b",
        ),
        Category.TESTING: (_BEGINS + r"(?:more |missing |flaky |unit |integration |e2e ){0,3}tests?\b",),
        Category.DOCUMENTATION: (
            r"^(?:document|describe|explain)\b",
            _BEGINS + r"(?:docs|documentation|readme|changelog|typos?)\b",
        ),
        Category.BUGFIX: (
            r"^(?:fix(?:e[sd])?|correct(?:s|ed)?|repair(?:s|ed)?)\b",
            r"\b(?:crash(?:es|ed)?|bugs?|broken|regression|does not|doesn't|fails?)\b",
        ),
        Category.REFACTORING: (
            r"^(?:refactor|restructure|reorgani[sz]e|simplify|extract|rename|deduplicate|rework|clean up)\w{0,3}\b",
        ),
        Category.MAINTENANCE: (r"^(?:bump|upgrade|update|pin)s?\b",),
        Category.INFRASTRUCTURE: (
            r"^(?:deploy|provision)\w{0,5}\b",
            r"\b(?:ci|docker|kubernetes|helm|terraform|github actions)\b",
        ),
        Category.FEATURE: (
            r"^(?:add(?:s|ed)?|implement(?:s|ed)?|introduce[sd]?|create[sd]?)\b",
            r"^(?:support(?:s|ed)?|allow(?:s|ed)?|enable[sd]?|provide[sd]?)\b",
        ),
    }.items()
)


def category_of_title(title: str) -> CategoryCall:
    """What a title says in plain words; unsure where it says nothing of the kind."""
    text = " ".join(title[:500].split())
    for category, pattern in _SAYS:
        if match := pattern.search(text):
            return CategoryCall(category, _CONFIDENCE, (category,), f'its title says "{match[0].lower()}"')
    return CategoryCall(Category.UNSURE, 0.0, (Category.UNSURE,), "neither a label nor its title names it")
