"""From a change and its commits to an achievement: size, significance, category, scores, skills, value, credit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from achievement_collector.derive.categories import ChangeText, categorise
from achievement_collector.derive.category_model import RepositoryStyle
from achievement_collector.derive.changes import State
from achievement_collector.derive.ci_comparison import Measure, in_words
from achievement_collector.derive.conclusions import (
    AchievementKind,
    BusinessValue,
    Category,
    CategoryCall,
    Role,
    ScorePart,
    Size,
    ValueKind,
)
from achievement_collector.derive.identity import AuthorKind, AuthorRules, Work, parse_signature, work_of
from achievement_collector.derive.messages import (
    Header,
    clean_title,
    declares_breaking,
    issue_references,
    parse_header,
    parse_merge,
)
from achievement_collector.derive.paths import COUNTED, PathRole, area_of, is_prose, path_info
from achievement_collector.derive.pulls import category_of_labels, closed_issues, readable_body
from achievement_collector.derive.scores import (
    ScoreInputs,
    complexity_parts,
    impact_parts,
    raw_total,
    scaled_value,
)
from achievement_collector.derive.significance import Verdict, judge
from achievement_collector.derive.sizes import is_version_bump, measure, merge_sizes, unwritten
from achievement_collector.derive.skills import skills_of
from achievement_collector.derive.value import stated_value
from achievement_collector.facts import Commit, ContentFact, FileChange, Signature, body_of, subject_of
from achievement_collector.facts.diff import line_counts
from achievement_collector.facts.work import PullRequest

LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 1_200
_MOST_FILES = 3_000  # of one change that are looked at one by one
_TYPES_BY_WEIGHT = ("feat", "feature", "fix", "perf", "refactor", "security", "test", "docs", "build", "ci")


_PLAIN_TYPES = frozenset(
    (
        "feat",
        "fix",
        "docs",
        "doc",
        "test",
        "tests",
        "ci",
        "build",
        "perf",
        "refactor",
        "style",
        "chore",
        "revert",
    )
)


class Conclusion(NamedTuple):
    """One row to be stored, in plain values that any process and any database takes as they are. ``detail`` is
    what only the achievement's own page shows (JSON text)."""

    key: str
    kind: str
    title: str
    description: str
    category: str
    complexity: int
    occurred: int
    occurred_zone: int
    is_counted: bool
    is_bot: bool
    left_out_reason: str
    raw_impact: float
    pull_request: int | None
    released_in: str
    fingerprint: str
    detail: str
    skills: tuple[tuple[str, str, str], ...]  # (name, kind, evidence)
    credits: tuple[tuple[int, str, int], ...]  # (signature id, role, commits)


class CommitFacts(NamedTuple):
    """A commit of a change; ``is_formatting`` where the project lists it as such."""

    commit: Commit
    author_id: int
    spaceless: bytes | None = None
    is_formatting: bool = False


class ChangeFacts(NamedTuple):
    """Everything the conclusion on a change rests on. ``title`` and ``described_by`` (the message that
    describes it) come from grouping; ``anchor`` is the commit by which it arrived."""

    key: str
    title: str
    described_by: str
    anchor: Commit
    commits: tuple[CommitFacts, ...]
    content: tuple[ContentFact, ...] = ()
    state: State = State.CREDITED
    other: str = ""
    relands: str = ""
    backports: int = 0
    reverted: int = 0  # of its commits
    number: int | None = None
    branch: str = ""
    released_in: str = ""
    fingerprint: str = ""
    pull: PullRequest | None = None  # what the forge tells of it
    measures: tuple[Measure, ...] = ()  # what CI measured of it
    epic: str = ""


class Rules(NamedTuple):
    """What conclusions depend on beside the facts."""

    min_lines: int
    authors: AuthorRules
    kinds: Mapping[Signature, AuthorKind]
    ids: Mapping[Signature, int]
    style: RepositoryStyle
    uses_types: bool = True  # whether the project's prefixes are Conventional Commits
    min_changes: int = 0  # fewer changed lines than this and a pull request does not count
    require_epic: bool = False  # a pull request without an epic does not count
    declared: frozenset[str] = frozenset()  # what the repository declared of the telling dependencies


def conclude(change: ChangeFacts, rules: Rules) -> Conclusion:
    """The achievement that a change is, or the reason why it is left out."""
    subjects = [subject_of(facts.commit.message) for facts in change.commits]
    if change.pull and change.pull.title:
        change = change._replace(title=clean_title(change.pull.title))
    header = (parse_header(change.pull.title) if change.pull else None) or _declared(change, subjects)
    if header and not rules.uses_types and header.type not in _PLAIN_TYPES:
        header = None  # an area that is called "security" or "update", as others are called "http"
    declared = header.type if header else None
    size, files = _size(change, subjects)
    bumps = bool(subjects) and all(is_version_bump(subject) for subject in subjects)
    verdict = judge(change.title, declared, size, min_lines=rules.min_lines, is_version_bump=bumps)
    credited, is_bot, assisted = _credit(change, rules)
    left_out = _left_out(change, verdict, is_bot, credited) or pull_left_out(
        change.pull, size, change.epic, rules
    )
    description = "" if left_out and not header else _description(change)
    call = _category(change, header, description, files, rules, is_left_out=bool(left_out))
    issues: tuple[str, ...] = ()
    impact: tuple[ScorePart, ...] = ()
    complexity: tuple[ScorePart, ...] = ()
    if not left_out:
        issues = _issues(change)
        inputs = _score_inputs(change, call, size, files, issues)
        impact, complexity = impact_parts(inputs), complexity_parts(inputs)
        impact = (*impact, *measured_parts(change.measures))
    skills = (
        ()
        if left_out
        else skills_of(files, change.content, f"{change.title}\n{description}", call.category, rules.declared)
    )
    value = BusinessValue() if left_out else _value(change)
    starts = [facts.commit.authored for facts in change.commits]
    detail: dict[str, Any] = {
        "impact": [listed_part(part) for part in impact],
        "complexity": [listed_part(part) for part in complexity],
        "started": list(min(starts)) if starts else None,
        "confidence": call.confidence,
        "labels": [label.value for label in call.labels],
        "basis": call.basis,
        "size": [
            size.lines_added, size.lines_deleted, size.files, size.lines_left_out, size.left_out, size.is_measured
        ],
        "reason": verdict.reason if verdict.is_significant else "",
        "commits": [facts.commit.sha for facts in change.commits],
        "anchor": change.anchor.sha,
    }  # fmt: skip
    if assisted:
        detail["assisted_by"] = list(assisted)
    if issues:
        detail["issues"] = list(issues)
    reviewers = () if left_out else _reviewers(change)
    if reviewers:
        detail["reviewers"] = list(reviewers)
    if change.relands:
        detail["relands"] = change.relands
    if change.pull:
        detail["pull"] = pull_detail(change.pull)
    if change.measures:
        detail["measures"] = [one.as_data() for one in change.measures]
    if change.epic:
        detail["epic"] = change.epic
    if value.kind is not ValueKind.NOT_MEASURED:
        detail["value"] = {
            "kind": value.kind.value,
            "text": storable_text(value.text),
            "source": value.source,
        }
    return Conclusion(
        change.key,
        AchievementKind.CHANGE.value,
        storable_text(change.title)[:LONGEST_TITLE] or "(no title)",
        storable_text(description),
        call.category.value,
        scaled_value(raw_total(complexity), 1.0),
        change.anchor.committed.seconds,
        change.anchor.committed.offset_minutes,
        not left_out,
        is_bot,
        storable_text(left_out),
        round(raw_total(impact), 3),
        change.number,
        change.released_in,
        change.fingerprint,
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode(),
        tuple((skill.name, skill.kind.value, _shown_path(skill.evidence)) for skill in skills),
        credited,
    )


def pull_detail(pull: PullRequest) -> dict[str, Any]:
    """What the forge tells of a pull request, as the detail of a row holds it; lead time in seconds."""
    return {
        "url": pull.url,
        "labels": [storable_text(label) for label in pull.labels],
        "author": pull.author,
        "reviewers": list(pull.reviewers),
        "reviews": len(pull.human_reviews),
        "approvals": sum(one.state == "approved" for one in pull.human_reviews),
        "reviewing_bots": list(pull.reviewing_bots),
        "lead_time": pull.lead_time,
        "created": pull.created,
        "merged": pull.merged,
        "milestone": pull.milestone,
        "closes": list(closed_issues(pull.body)),
    }


def pull_left_out(pull: PullRequest | None, size: Size, epic: str, rules: Rules) -> str:
    """Why the configuration leaves a pull request out; empty where it does not."""
    if pull is None:
        return ""
    if size.is_measured and size.lines < rules.min_changes:
        return f"{size.lines:,} changed lines, fewer than the {rules.min_changes:,} that pr_tracking.min_changes asks for"
    if rules.require_epic and not epic:
        return "it belongs to no epic, and pr_tracking.require_epic_link asks for one"
    return ""


_MEASURED, _MEASURED_HALF = 10.0, 0.25


def measured_parts(measures: Sequence[Measure]) -> tuple[ScorePart, ...]:
    """Points for the clearest measured gain of speed: none where it is within the noise or has no baseline."""
    gains = [(_gain(one), one) for one in measures if one.kind == "benchmark" and one.improves]
    if not gains:
        return ()
    gain, best = max(gains, key=lambda pair: pair[0])
    return (ScorePart("measured", _MEASURED * gain / (gain + _MEASURED_HALF), in_words(best)),)


def _gain(one: Measure) -> float:
    before, after = abs(one.before or 0.0), abs(one.after)
    return abs(before - after) / max(before, after) if max(before, after) else 0.0


def measured_value(measures: Sequence[Measure]) -> BusinessValue:
    """A measured gain of speed, in the words of its measure; else not measured."""
    gains = [one for one in measures if one.kind == "benchmark" and one.improves]
    if not gains:
        return BusinessValue()
    best = max(gains, key=_gain)
    return BusinessValue(
        ValueKind.MEASURED,
        in_words(best),
        source=f"CI reports of {best.baseline[:12]} and {best.report[:12]}",
    )


def listed_part(part: ScorePart) -> list[Any]:
    """A score part as the detail of a row holds it."""
    return [part.name, round(part.points, 3), storable_text(part.fact)]


def storable_text(text: str) -> str:
    """Text that every database takes: no NUL, nothing that UTF-8 cannot say."""
    if "\0" in text:
        text = text.replace("\0", "�")
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _shown_path(text: str) -> str:
    """Text with a path in it, whose bytes may be no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _declared(change: ChangeFacts, subjects: Sequence[str]) -> Header | None:
    """The header of the title; else the weightiest where every commit declares a type."""
    described = parse_header(subject_of(change.described_by)) if change.described_by else None
    if described and (len(subjects) == 1 or change.anchor.message == change.described_by):
        return described
    headers = [parse_header(subject) for subject in subjects]
    told = [header for header in headers if header is not None]
    if not told or len(told) < len(headers):
        return described if described and len(subjects) == 1 else None
    rank = {name: place for place, name in enumerate(_TYPES_BY_WEIGHT)}
    return min(told, key=lambda header: rank.get(header.type, 99))


def _size(change: ChangeFacts, subjects: Sequence[str]) -> tuple[Size, list[FileChange]]:
    """The size, and the changed files of all commits."""
    files: list[FileChange] = []
    sizes: list[Size] = []
    counted: set[str] = set()
    for facts, subject in zip(change.commits, subjects, strict=True):
        commit = facts.commit
        by_tools = None if facts.is_formatting else unwritten(subject)
        sizes.append(
            measure(
                commit.files,
                spaceless=line_counts(facts.spaceless) if facts.spaceless is not None else None,
                is_formatting=facts.is_formatting,
                is_version_bump=is_version_bump(subject),
                is_measured=not commit.is_boundary,
                by_tools=by_tools,
            )
        )
        if not facts.is_formatting:
            written = (
                commit.files if by_tools is None else [f for f in commit.files if not by_tools.covers(f.path)]
            )
            files += written[: _MOST_FILES - len(files)]
    if len(sizes) == 1:
        return sizes[0], files
    for file in files:
        if (file.added or file.deleted) and path_info(file.path).role in COUNTED:
            counted.add(file.path)
    if not sizes:
        return Size(), files
    merged = merge_sizes(sizes, len(counted))
    return merged, files


def _extent(
    files: Sequence[FileChange],
) -> tuple[
    tuple[str, ...], tuple[str, ...], tuple[str, ...], dict[PathRole, int], int, dict[str, tuple[int, int]]
]:
    """(areas, languages, roles: most lines first; lines by role; lines replaced; lines added and deleted by file) of the
    files that count."""
    areas: dict[str, int] = {}
    languages: dict[str, int] = {}
    by_role: dict[PathRole, int] = {}
    by_file: dict[str, tuple[int, int]] = {}
    replaced = 0
    for file in files:
        added, deleted = file.added or 0, file.deleted or 0
        lines = added + deleted
        if not lines or file.mode == "160000":
            continue
        role, language = path_info(file.path)
        if role not in COUNTED:
            continue
        by_role[role] = by_role.get(role, 0) + lines
        before = by_file.get(file.path)
        by_file[file.path] = (before[0] + added, before[1] + deleted) if before else (added, deleted)
        area = area_of(file.path)
        areas[area] = areas.get(area, 0) + lines
        if language:
            languages[language] = languages.get(language, 0) + lines
        if added and deleted:
            replaced += min(added, deleted)
    return (
        _ranked(areas),
        _ranked(languages),
        tuple(role.value for role in _ranked(by_role)),
        by_role,
        replaced,
        by_file,
    )


def _ranked(lines: Mapping[Any, int]) -> tuple[Any, ...]:
    return tuple(sorted(lines, key=lambda name: (-lines[name], name))) if len(lines) > 1 else tuple(lines)


def _credit(
    change: ChangeFacts, rules: Rules
) -> tuple[tuple[tuple[int, str, int], ...], bool, tuple[str, ...]]:
    """((signature id, role, commits) of people, whether only programs made it, AI agents)."""
    authors: dict[int, int] = {}
    others: dict[int, int] = {}
    agents: dict[str, None] = {}
    bots = 0
    for facts in change.commits:
        work = _work(facts.commit, rules)
        bots += work.is_bot
        agents.update(dict.fromkeys(work.assisted_by))
        for place, who in enumerate(work.authors):
            number = facts.author_id if who == facts.commit.author else rules.ids.get(who)
            if number is None:
                continue
            counts = authors if place == 0 else others
            counts[number] = counts.get(number, 0) + 1
    if change.anchor.sha not in {facts.commit.sha for facts in change.commits}:
        # a squash or merge commit may name co-authors of its own
        for who in _work(change.anchor, rules).authors[1:]:
            number = rules.ids.get(who)
            if number is not None and number not in authors:
                others.setdefault(number, 0)
    credited = [(number, Role.AUTHOR.value, count) for number, count in authors.items()]
    credited += [
        (number, Role.CO_AUTHOR.value, count) for number, count in others.items() if number not in authors
    ]
    return tuple(credited), bool(change.commits) and bots == len(change.commits), tuple(agents)


def _work(commit: Commit, rules: Rules) -> Work:
    is_person = rules.kinds.get(commit.author) is AuthorKind.PERSON
    if is_person and not rules.authors.may_credit(commit.trailers, commit.message):
        return Work((commit.author,), False, ())
    return work_of(
        commit.author, commit.committer, commit.trailers, commit.message, rules.authors, rules.kinds
    )


def _left_out(
    change: ChangeFacts, verdict: Verdict, is_bot: bool, credited: Sequence[tuple[int, str, int]]
) -> str:
    """Why a change does not count; empty where it does."""
    match change.state:
        case State.UNMERGED:
            return f"not merged: only on {change.branch}"
        case State.REVERTED:
            return f"reverted by {_short(change.other)}"
        case State.REVERT:
            return "a revert: it takes credit away and earns none"
        case State.DUPLICATE:
            return f"a copy of {_short(change.other)}, which has the credit"
    if is_bot:
        names = ", ".join(dict.fromkeys(facts.commit.author.name for facts in change.commits[:20]))
        return f"made by a program: {names}"
    if not verdict.is_significant:
        return verdict.reason
    if not credited:
        return "no person is accountable for it: made by an AI agent alone"
    return ""


def _short(key: str) -> str:
    kind, _, name = key.partition("/")
    return f"#{name}" if kind == "pr" else f"commit {name[:12]}" if kind == "commit" else name


def _category(
    change: ChangeFacts,
    header: Header | None,
    description: str,
    files: Sequence[FileChange],
    rules: Rules,
    *,
    is_left_out: bool,
) -> CategoryCall:
    if change.state is State.REVERT:
        return CategoryCall(Category.REVERT, 0.95, (Category.REVERT,), "it says what it reverts")
    declared = header.type if header else None
    labelled = category_of_labels(change.pull.labels) if change.pull and not declared else ()
    if labelled:
        named = (
            next(label for label in change.pull.labels if category_of_labels([label])) if change.pull else ""
        )
        return CategoryCall(
            labelled[0], 0.85 if len(labelled) == 1 else 0.7, labelled, f'label "{storable_text(named)}"'
        )
    text = ChangeText(change.title, description, files, declared, header.scope if header else None)
    if is_left_out and declared is None:
        # nobody is shown a call on work that does not count
        return CategoryCall(Category.UNSURE, 0.0, (Category.UNSURE,), "left out, so not judged")
    return categorise(text, rules.style)


_ELLIPSIS_LINES = re.compile(r"^[ \t]*(?:\.\.\.|…)[ \t\r]*$", re.MULTILINE)
_REFERENCE_LINES = re.compile(
    r"^\s*(?:(?:[A-Z][\w-]*-(?:by|to)|Change-Id|Link|Fixes|Closes|Refs?|See-also|Bug|PR-URL|Signed-off-by|git-svn-id|Cc|CC|Resolves"
    r"|Message-I[dD]|Conflicts|Reported-by|Ref|URL)\s*:.*|\(cherry picked from commit .*\)|-{3,}|_{3,}|\*{3,}|#.*|<!--.*-->)\s*$",
    re.MULTILINE,
)


def _description(change: ChangeFacts) -> str:
    """What the author wrote below the title, without trailers and references; cut at a paragraph."""
    if change.pull and change.pull.body.strip():
        readable = readable_body(change.pull.body, LONGEST_DESCRIPTION)
        if readable:
            return readable
    message = change.described_by
    body = body_of(message)
    merge = (
        parse_merge(message) if len(change.anchor.parents) > 1 and message == change.anchor.message else None
    )
    if merge is not None:
        lines = body.splitlines()
        if lines and clean_title(lines[0]) == change.title:
            body = "\n".join(lines[1:])
        if not body.strip() and len(change.commits) == 1:
            body = body_of(change.commits[0].commit.message)
        body = re.sub(r"^\* .*:\n(?=  )", "", body, flags=re.MULTILINE)  # a merge log of one-line summaries
    if "<!--" in body:  # the template of a pull request
        body = readable_body(_ELLIPSIS_LINES.sub("", body), LONGEST_DESCRIPTION)
    body = _REFERENCE_LINES.sub("", body.replace("\r", ""))
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    if len(body) <= LONGEST_DESCRIPTION:
        return body
    cut = body[:LONGEST_DESCRIPTION]
    end = max(cut.rfind("\n\n"), cut.rfind(". ") + 1, cut.rfind(".\n") + 1)
    return cut[: end if end > LONGEST_DESCRIPTION // 3 else None].rstrip() + " …"


def _score_inputs(
    change: ChangeFacts, call: CategoryCall, size: Size, files: Sequence[FileChange], issues: tuple[str, ...]
) -> ScoreInputs:
    areas, languages, roles, by_role, replaced, by_file = _extent(files)
    docs = by_role.get(PathRole.DOCS, 0) and sum(
        sum(both) for path, both in by_file.items() if is_prose(path)
    )
    return ScoreInputs(
        call,
        size,
        areas,
        languages,
        roles,
        by_role.get(PathRole.TEST, 0),
        docs,
        replaced,
        len(change.commits),
        _breaking(change),
        issues,
        change.released_in,
        change.backports,
        tuple(added + deleted for added, deleted in by_file.values()),
        sum(added == deleted for added, deleted in by_file.values()),
    )


def _issues(change: ChangeFacts) -> tuple[str, ...]:
    own = f"#{change.number}"
    messages = [change.anchor.message, *(facts.commit.message for facts in change.commits)]
    found = [
        issue
        for message in dict.fromkeys(messages)
        if message
        for issue in issue_references(message)
        if issue != own
    ]
    if change.pull:
        found += closed_issues(change.pull.body)
    return tuple(dict.fromkeys(found))[:20]


def _breaking(change: ChangeFacts) -> str:
    for message in (change.described_by, *(facts.commit.message for facts in change.commits)):
        if "!" in message[:200] or "BREAKING" in message:
            declared = declares_breaking(subject_of(message), body_of(message))
            if declared:
                return declared
    return ""


def _reviewers(change: ChangeFacts) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for commit in (change.anchor, *(facts.commit for facts in change.commits)):
        for key, value in commit.trailers:
            if key.lower() in ("reviewed-by", "acked-by", "approved-by", "tested-by"):
                who = parse_signature(value)
                name = who.name if who else value.strip()
                if name:
                    names[name[:80]] = None
    return tuple(names)[:10]


def _value(change: ChangeFacts) -> BusinessValue:
    measured = measured_value(change.measures)
    if measured.kind is not ValueKind.NOT_MEASURED:
        return measured
    for commit in (change.anchor, *(facts.commit for facts in change.commits)):
        value = stated_value(commit.message, f"the message of commit {commit.sha[:12]}")
        if value.kind is not ValueKind.NOT_MEASURED:
            return value
    return BusinessValue()
