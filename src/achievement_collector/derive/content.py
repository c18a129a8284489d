"""Content posts as achievements: those that a told share of their viewers took up. docs/content.md has the rules.

All shares are exact fractions, so that a post with 6 % is never taken for one with less, nor the other way round.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from achievement_collector.derive.achievements import LONGEST_TITLE, Conclusion, listed_part, storable_text
from achievement_collector.derive.conclusions import AchievementKind, Category, Role, ScorePart
from achievement_collector.derive.scores import raw_total
from achievement_collector.facts.content import Figures, Post

ENGAGED = Fraction(6, 100)
"""The engagement rate from which a post is an achievement."""

DOLLARS_PER_ENGAGED_VIEW = Fraction(1, 100)
"""The documents' rate for a rough estimate of revenue. Nobody measured it."""

REVENUE_FORMULA = "engaged views x $0.01, where engaged views = views x engagement rate"

_AGREES = Fraction(5, 1000)  # a rate rounded to whole per cent
_REACH_POINTS, _REACH_HALF = 60.0, 10_000  # half of the points at that many views
_UPTAKE_POINTS, _UPTAKE_HALF = 40.0, float(ENGAGED)  # half of the points at the threshold
_LONGEST_HOOK = 80


@dataclass(frozen=True, slots=True)
class Engagement:
    """The engagement rate of figures: ``rate`` (0-1, None where ``missing`` says why there is none), ``basis`` in words,
    and ``notes`` on what does not fit together in what was told."""

    rate: Fraction | None
    basis: str = ""
    notes: tuple[str, ...] = ()
    missing: str = ""

    @property
    def is_enough(self) -> bool:
        return self.rate is not None and self.rate >= ENGAGED


def engagement(figures: Figures) -> Engagement:
    """(likes + comments + shares) / views where all four were told: counts can be checked, a rate cannot.

    Else the rate that the sender gives. Else the share of those counts that were told, which is the least it can be. Views of
    0 are no measurement, and more reactions than views none of a share.
    """
    counts = {"likes": figures.likes, "comments": figures.comments, "shares": figures.shares}
    told = {name: count for name, count in counts.items() if count is not None}
    untold = [name for name in counts if name not in told]
    given = Fraction(str(figures.rate)) if figures.rate is not None else None
    computed = Fraction(sum(told.values()), figures.views) if figures.views and told else None
    words = f"({' + '.join(told)}) / views"
    notes: tuple[str, ...] = ()
    if figures.views == 0:
        return Engagement(None, missing="not measured: 0 views were told")
    if computed is not None and computed > 1:
        notes = (f"{sum(told.values()):,} reactions to {figures.views:,} views are more than one each",)
        computed = None
        if given is None:
            return Engagement(
                None, missing=f"not measured: {notes[0]}, so the views are incomplete", notes=notes
            )
    if computed is not None and given is not None and abs(computed - given) > _AGREES:
        used = (
            f" ({' and '.join(untold)} not told); the sender's rate is used"
            if untold
            else "; the counts are used"
        )
        notes = (f"the sender gives {per_cent(given)}, {words} is {per_cent(computed)}{used}",)
    if computed is not None and not untold:
        return Engagement(computed, words, notes)
    if given is not None:
        return Engagement(given, "as the sender gives it", notes)
    if computed is not None:
        return Engagement(computed, f"at least: {words}, {' and '.join(untold)} not told", notes)
    what = "views" if figures.views is None else "likes, comments and shares"
    return Engagement(None, missing=f"not measured: neither an engagement rate nor {what} were told")


def reaches(figures: Figures) -> bool:
    return engagement(figures).is_enough


def shortfall(figures: Figures) -> str:
    """Why figures make no achievement; empty where they do."""
    found = engagement(figures)
    if found.rate is None:
        return found.missing
    if found.is_enough:
        return ""
    return f"Below viral threshold: {per_cent(found.rate)} engagement ({found.basis}), {per_cent(ENGAGED)} is needed"


def per_cent(share: Fraction) -> str:
    """``8 %``, ``5.99 %``. Never rounded over the threshold, and in at most as many digits as tell it from that."""
    for digits in range(1, 9):
        text = f"{Decimal(share.numerator * 100) / Decimal(share.denominator):.{digits}f}"
        if (Fraction(text) / 100 >= ENGAGED) == (share >= ENGAGED):
            break
    else:
        text = "just below 6"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def revenue(figures: Figures) -> Fraction | None:
    """The documents' estimate in dollars; None where views or rate are not known."""
    rate = engagement(figures).rate
    if rate is None or not figures.views:
        return None
    return figures.views * rate * DOLLARS_PER_ENGAGED_VIEW


def dollars(amount: Fraction) -> str:
    """``$8.00``; an amount that is less than a cent says so."""
    if 0 < amount < Fraction(1, 100):
        return "less than $0.01"
    return f"${Decimal(amount.numerator) / Decimal(amount.denominator):,.2f}"


def revenue_estimate(figures: Figures) -> dict[str, Any] | None:
    """The business value as the detail of a row holds it: an estimate with its formula and what went in."""
    amount, found = revenue(figures), engagement(figures)
    if amount is None or found.rate is None or figures.views is None:
        return None
    return {
        "kind": "derived",
        "text": f"about {dollars(amount)} of revenue (estimate, not measured)",
        "formula": REVENUE_FORMULA,
        "inputs": [
            ["views", f"{figures.views:,}"],
            ["engagement rate", f"{per_cent(found.rate)} ({found.basis})"],
            ["dollars per engaged view", "0.01 (assumed by the formula)"],
        ],
        "source": "figures told for the post",
    }


def title_of(post: Post) -> str:
    """``Viral Post: `` and the hook, else the beginning of the text."""
    words = " ".join((post.hook or post.body).split())
    if len(words) > _LONGEST_HOOK:
        words = words[: _LONGEST_HOOK - 1].rstrip() + "…"
    return storable_text(f"Viral Post: {words or post.key}")[:LONGEST_TITLE]


def conclude_post(post: Post, author_id: int | None = None) -> Conclusion | None:
    """The achievement that a post is; None where no figures told of it ever reached the threshold.

    One that reached it and has fallen below since is left out, with the reason. ``author_id`` is the signature of the person
    whom the sender names; a persona is no person, so a post may count without anybody having the credit.
    """
    left_out = shortfall(post.figures)
    if left_out and not reaches(post.reached):
        return None
    found = engagement(post.figures)
    if left_out and (earlier := engagement(post.reached).rate) is not None:
        left_out = f"{left_out}; it was {per_cent(earlier)} on {_day(post.reached_at)}"
    impact = _impact(post.figures, found)
    complexity = ScorePart("effort", 0.0, "not measured: a post does not tell what it took")
    occurred = (post.published if post.published is not None else post.first_told) // 1000
    detail: dict[str, Any] = {
        "impact": [listed_part(part) for part in impact],
        "complexity": [listed_part(complexity)],
        "started": None,
        "confidence": 0.0,
        "labels": [Category.UNSURE.value],
        "basis": "a content post; the categories are those of changes",
        "size": None,
        "reason": f"{per_cent(found.rate)} engagement, {per_cent(ENGAGED)} is needed" if not left_out and found.rate else "",
        "evidence": _evidence(post, found),
        "value": revenue_estimate(post.figures),
        "post": {"key": post.key, "url": post.url, "persona": post.persona, **post.figures.as_told()},
    }  # fmt: skip
    return Conclusion(
        f"post/{post.key}", AchievementKind.CONTENT.value, title_of(post), storable_text(_description(post, found)),
        Category.UNSURE.value, 0, occurred, 0, not left_out, False, left_out, round(raw_total(impact), 3), None, "", "",
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")), (),
        ((author_id, Role.AUTHOR.value, 0),) if author_id is not None else (),
    )  # fmt: skip


def _impact(figures: Figures, found: Engagement) -> tuple[ScorePart, ...]:
    """Both parts saturate: the first 10,000 views and the first 6 % are worth as much as all that may follow."""
    views, rate = figures.views, float(found.rate or 0)
    return (
        ScorePart("reach", 0.0, "not measured: the views were not told") if not views
        else ScorePart("reach", _REACH_POINTS * views / (views + _REACH_HALF), f"{views:,} views"),
        ScorePart("uptake", 0.0, found.missing) if found.rate is None
        else ScorePart("uptake", _UPTAKE_POINTS * rate / (rate + _UPTAKE_HALF),
                       f"{per_cent(found.rate)} engagement, {found.basis}"),
    )  # fmt: skip


def _description(post: Post, found: Engagement) -> str:
    figures = post.figures
    views = f"{figures.views:,} views" if figures.views is not None else "views not told"
    rate = f"{per_cent(found.rate)} engagement ({found.basis})" if found.rate is not None else found.missing
    counts = {"likes": figures.likes, "comments": figures.comments, "shares": figures.shares}
    told = [f"{count:,} {name}" for name, count in counts.items() if count is not None]
    untold = [name for name, count in counts.items() if count is None]
    lines = [f"{rate[:1].upper()}{rate[1:]}, {views}."]
    if told:
        lines.append(
            f"{', '.join(told)}." if not untold else f"{', '.join(told)}; {' and '.join(untold)} not told."
        )
    if post.persona:
        lines.append(f"Published as the persona {post.persona}.")
    lines += [f"Told differently: {note}." for note in found.notes]
    return " ".join(lines)


def _evidence(post: Post, found: Engagement) -> list[list[str]]:
    """Rows as :class:`Evidence` has them: kind, reference, label, value, unit, url, source."""
    when = f"as told on {_day(post.figures_at)}"
    address = post.url if post.url.startswith(("https://", "http://")) else ""
    rows = [["post", post.key, "the post", "", "", address, "threads"]]
    figures = post.figures.as_told()
    rows += [
        ["statement", name, f"{name} {when}", str(figures[name]), "count", "", "threads"]
        for name in ("views", "likes", "comments", "shares")
        if figures[name] is not None
    ]
    if found.rate is not None:
        rows.append(
            [
                "statement",
                "engagement rate",
                f"{found.basis}, {when}",
                per_cent(found.rate),
                "",
                "",
                "threads",
            ]
        )
    if post.persona:
        label = "the persona it was published as, which is no person"
        rows.append(["statement", f"persona {post.persona}", label, "", "", "", "threads"])
    return [[storable_text(cell) for cell in row] for row in rows]


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()
