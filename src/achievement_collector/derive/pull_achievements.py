"""Pull requests in git's history, and pull requests of repositories whose git history was never read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from achievement_collector.derive.achievements import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Conclusion,
    Rules,
    listed_part,
    measured_parts,
    measured_value,
    pull_detail,
    pull_left_out,
    storable_text,
)
from achievement_collector.derive.categories import ChangeText, categorise
from achievement_collector.derive.changes import ChangeDraft, State
from achievement_collector.derive.ci_comparison import Measure
from achievement_collector.derive.conclusions import (
    AchievementKind,
    Category,
    CategoryCall,
    Role,
    Size,
    ValueKind,
)
from achievement_collector.derive.history import History
from achievement_collector.derive.identity import Work
from achievement_collector.derive.messages import clean_title, declares_breaking, parse_header
from achievement_collector.derive.pulls import (
    Standing,
    category_of_labels,
    closed_issues,
    readable_body,
    standings,
)
from achievement_collector.derive.scores import (
    ScoreInputs,
    complexity_parts,
    impact_parts,
    raw_total,
    scaled_value,
)
from achievement_collector.derive.significance import judge
from achievement_collector.derive.skills import named_skills
from achievement_collector.derive.title_categories import category_of_title
from achievement_collector.facts.work import PullRequest

_MOST_REBASED = 200
_REBASE_SECONDS = 120


def join_pulls(
    history: History, drafts: list[ChangeDraft], pulls: Sequence[PullRequest]
) -> dict[int, PullRequest]:
    """Ties merged pull requests to the changes that git shows, so that each is one achievement; gives number -> pull
    request of all that were found.

    A change that names the number in its subject is the pull request's. Otherwise the commit that the forge says it became
    is looked up: the change that holds it is the pull request's, together with those before it where it was rebased onto
    the branch (as many as it had commits). What the forge says was reverted has lost its credit, even before git shows
    the revert. ``drafts`` is changed in place.
    """
    found: dict[int, PullRequest] = {}
    by_number = {draft.number: draft for draft in drafts if draft.number is not None}
    owner = {number: draft for draft in drafts for number in (*draft.commits, draft.anchor)}
    for pull in pulls:
        if pull.merged is None:
            continue
        if pull.number in by_number:
            found[pull.number] = pull
            continue
        place = history.number_of(pull.merge_sha) if pull.merge_sha else None
        draft = owner.get(place) if place is not None else None
        if draft is None or draft.number is not None:
            continue
        _take_rebased(history, drafts, owner, draft, pull)
        draft.number, draft.key = pull.number, f"pr/{pull.number}"
        by_number[pull.number] = draft
        found[pull.number] = pull
    for number, (state, other) in standings(pulls).items():
        if state == "reverted" and number in found and other not in found:
            by_number[number].state, by_number[number].other = State.REVERTED, f"pr/{other}"
    return found


def follow_relands(drafts: list[ChangeDraft], pulls: Sequence[PullRequest]) -> None:
    """Gives back the credit of what git shows as reverted by a pull request, where the forge says that this one was itself
    reverted: git is read later. ``drafts`` is changed in place."""
    standing = standings(pulls)
    for draft in drafts:
        told = standing.get(draft.number) if draft.number is not None else None
        if told is None or told.state != "credited" or draft.state is not State.REVERTED:
            continue
        kind, _, by = draft.other.partition("/")
        if kind == "pr" and standing.get(int(by)) == Standing("revert", draft.number):
            draft.state, draft.other = State.CREDITED, ""


def _take_rebased(
    history: History,
    drafts: list[ChangeDraft],
    owner: dict[int, ChangeDraft],
    last: ChangeDraft,
    pull: PullRequest,
) -> None:
    """Gathers the commits of a rebased pull request into its last one's change."""
    if last.is_merge or not pull.commits or not 1 < pull.commits <= _MOST_REBASED:
        return
    if clean_title(history.subjects[last.anchor]) == clean_title(pull.title):
        return  # squashed into one commit that bears its title
    is_as_pushed = pull.merge_sha == pull.head_sha  # moved forward, not written anew
    chain = [last]
    place = last.anchor
    while len(chain) < pull.commits:
        parents = history.parents[place]
        before = owner.get(parents[0]) if len(parents) == 1 else None
        if before is None or before.is_merge or before.number is not None or before.line != last.line:
            return
        if (
            not is_as_pushed
            and history.committed[last.anchor] - history.committed[before.anchor] > _REBASE_SECONDS
        ):
            return  # a rebase writes all its commits at once: this one was there before
        chain.append(before)
        place = before.anchor
    gone = {id(one) for one in chain[1:]}
    last.commits = [one.anchor for one in reversed(chain)]
    for one in chain[1:]:
        owner[one.anchor] = last
    drafts[:] = [one for one in drafts if id(one) not in gone]


def conclude_pull(
    pull: PullRequest,
    standing: Standing,
    rules: Rules,
    work: Work,
    measures: tuple[Measure, ...],
    epic: str,
    fingerprint: str,
) -> Conclusion:
    """The achievement of a merged pull request known from its forge alone, made by ``work``. Its size is what the forge counts:
    generated and vendored files are not told apart, and the score says so."""
    assert pull.merged is not None
    title = clean_title(pull.title) or f"#{pull.number}"
    header = parse_header(pull.title)
    if pull.additions is None or pull.deletions is None:
        size = Size(is_measured=False)
    else:
        size = Size(pull.additions, pull.deletions, pull.files or 0)
    verdict = judge(title, header.type if header else None, size, min_lines=rules.min_lines)
    if not size.is_measured:
        told = f'declared type "{header.type}"' if header else "merged; its size was not told"
        verdict = verdict._replace(is_significant=True, reason=told)
    credited = _credited(pull, work, rules)
    left_out = _left_out(pull, standing, work, credited) or ("" if verdict.is_significant else verdict.reason)
    left_out = left_out or pull_left_out(pull, size, epic, rules)
    description = readable_body(pull.body, LONGEST_DESCRIPTION)
    labelled = category_of_labels(pull.labels) if header is None else ()
    if standing.state == "revert":
        call = CategoryCall(Category.REVERT, 0.95, (Category.REVERT,), "it says what it reverts")
    elif labelled:
        named = next(label for label in pull.labels if category_of_labels([label]))
        call = CategoryCall(
            labelled[0], 0.85 if len(labelled) == 1 else 0.7, labelled, f'label "{storable_text(named)}"'
        )
    elif header is not None:
        call = categorise(ChangeText(title, description, (), header.type, header.scope), rules.style)
    else:
        call = category_of_title(title)
    issues = closed_issues(pull.body)
    inputs = ScoreInputs(
        call,
        size,
        (),
        (),
        (),
        0,
        0,
        0,
        pull.commits or 1,
        declares_breaking(pull.title, pull.body) or "",
        issues,
        "",
        0,
    )
    impact = () if left_out else (*impact_parts(inputs), *measured_parts(measures))
    complexity = () if left_out else complexity_parts(inputs)
    detail: dict[str, Any] = {
        "impact": [_forge_counts(listed_part(part)) for part in impact],
        "complexity": [_forge_counts(listed_part(part)) for part in complexity],
        "started": [pull.created // 1000, 0] if pull.created is not None else None,
        "confidence": call.confidence,
        "labels": [label.value for label in call.labels],
        "basis": call.basis,
        "size": [size.lines_added, size.lines_deleted, size.files, 0, [], size.is_measured],
        "reason": verdict.reason if verdict.is_significant else "",
        "commits": [],
        "anchor": "",
        "pull": pull_detail(pull) | {"merge_sha": pull.merge_sha},
    }
    if work.assisted_by:
        detail["assisted_by"] = list(work.assisted_by)
    if issues:
        detail["issues"] = list(issues)
    if measures:
        detail["measures"] = [one.as_data() for one in measures]
    if epic:
        detail["epic"] = epic
    value = measured_value(measures)
    if value.kind is not ValueKind.NOT_MEASURED:
        detail["value"] = {"kind": value.kind.value, "text": value.text, "source": value.source}
    skills = (
        ()
        if left_out
        else tuple(
            (name, kind.value, f"named in #{pull.number}")
            for name, kind in named_skills(f"{title}\n{description}")
        )
    )
    return Conclusion(
        f"pr/{pull.number}", AchievementKind.CHANGE.value, storable_text(title)[:LONGEST_TITLE], storable_text(description),
        call.category.value, scaled_value(raw_total(complexity), 1.0), pull.merged // 1000, 0, not left_out, work.is_bot,
        left_out, round(raw_total(impact), 3), pull.number, "", fingerprint,
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")), skills,
        credited,
    )  # fmt: skip


def _credited(pull: PullRequest, work: Work, rules: Rules) -> tuple[tuple[int, str, int], ...]:
    """(signature id, role, commits): the first is accountable for all commits, how many the others wrote is not known."""
    ids = dict.fromkeys(number for who in work.authors if (number := rules.ids.get(who)) is not None)
    return tuple(
        (number, Role.CO_AUTHOR.value, 0) if place else (number, Role.AUTHOR.value, pull.commits or 0)
        for place, number in enumerate(ids)
    )


def _forge_counts(part: list[Any]) -> list[Any]:
    if part[0] in ("extent", "files"):
        part[2] = re.sub(r", [\d,]+ commits added up", "", part[2]) + " (as the forge counts them)"
    return part


def _left_out(
    pull: PullRequest, standing: Standing, work: Work, credited: Sequence[tuple[int, str, int]]
) -> str:
    if standing.state == "reverted":
        return f"reverted by #{standing.other}"
    if standing.state == "revert":
        return "a revert: it takes credit away and earns none"
    if work.is_bot:
        return f"made by a program: {storable_text(pull.author)}"
    if not credited:
        alone = "no person is accountable for it: made by an AI agent alone"
        return alone if work.assisted_by else "nobody is known to have made it"
    return ""
