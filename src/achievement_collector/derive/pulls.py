"""What the facts of a pull request add to a change, and who keeps the credit where git was never read."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from achievement_collector.derive.conclusions import Category
from achievement_collector.derive.messages import NO_KEYS, relanded_title, reverted_shas, reverted_title
from achievement_collector.facts.work import PullRequest

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_CLOSES = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?\s+"
    r"((?:[\w.-]{1,100}/[\w.-]{1,100})?#\d{1,9}|(?-i:[A-Z][A-Z0-9]{1,9}-[1-9]\d{0,6})(?![\w-])"
    r"|https?://[^\s/]{1,200}/[^\s/]{1,100}/[^\s/]{1,100}/issues/\d{1,9})",
    re.IGNORECASE,
)  # https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue
_REVERTS = re.compile(
    r"^[ \t]*Reverts?[ \t]+(?:([\w.-]+/[\w.-]+))?#(\d{1,9})\b", re.IGNORECASE | re.MULTILINE
)
_ADDRESS = re.compile(
    r"https?://[^/\s]{1,200}/([^\s#?]{1,200}?)/(?:pull|-/merge_requests|pull-requests)/\d+", re.IGNORECASE
)
_SHORTEST_SHA = 7
_NUMBER_AT_END = re.compile(r"(?:\s?\([#!]\d{1,9}\))+$")
_MARKDOWN_IMAGE = re.compile(r"!\[([^\]\n]{0,200})\]\(\s*<?(https?://[^\s)>]{1,1000})")
_PICTURE_TAG = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\s]{0,1000}\)|<img\b[^>]{0,1000}>", re.IGNORECASE)
_LINK_TAG = re.compile(r"(?<!!)\[([^\]\n]{1,200})\]\(<?https?://[^)\s]{1,1000}\)")
_HTML_IMAGE = re.compile(r"<img\b[^>]{0,500}?\bsrc\s*=\s*[\"'](https?://[^\"'\s>]{1,1000})", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"(?<!!)\[([^\]\n]{1,200})\]\(\s*<?(https?://[^\s)>]{1,1000})")
_DOCUMENT = re.compile(
    r"\.(?:pdf|docx?|odt|pptx?|xlsx?|csv|md|txt)(?:[?#]|$)|://(?:docs\.google\.com|www\.notion\.so|notion\.so|[\w-]+\.notion\.site|www\.figma\.com|figma\.com)/"
    r"|github\.com/user-attachments/files/|linear\.app/[^/]+/document/",
    re.IGNORECASE,
)
_IMAGE = re.compile(
    r"\.(?:png|jpe?g|gif|webp|svg|mp4|mov|webm)(?:[?#]|$)|/user-attachments/assets/", re.IGNORECASE
)

_BOX = re.compile(r"^\s*[-*] \[[ xX]\] ")
_BOX_OR_EPIC = re.compile(r"^\s*[-*] \[[ xX]\] |^[ \t>*_-]*epic[*_]*[ \t]*:", re.IGNORECASE)

_LABELS: dict[str, Category] = {
    "bug": Category.BUGFIX, "bugfix": Category.BUGFIX, "fix": Category.BUGFIX, "regression": Category.BUGFIX,
    "defect": Category.BUGFIX, "incident": Category.BUGFIX,
    "feature": Category.FEATURE, "enhancement": Category.FEATURE, "improvement": Category.FEATURE,
    "new feature": Category.FEATURE, "story": Category.FEATURE,
    "performance": Category.PERFORMANCE, "perf": Category.PERFORMANCE, "optimization": Category.PERFORMANCE,
    "security": Category.SECURITY, "vulnerability": Category.SECURITY,
    "refactor": Category.REFACTORING, "refactoring": Category.REFACTORING, "tech debt": Category.REFACTORING,
    "technical debt": Category.REFACTORING, "cleanup": Category.REFACTORING,
    "documentation": Category.DOCUMENTATION, "docs": Category.DOCUMENTATION,
    "test": Category.TESTING, "tests": Category.TESTING, "testing": Category.TESTING, "qa": Category.TESTING,
    "infrastructure": Category.INFRASTRUCTURE, "infra": Category.INFRASTRUCTURE, "devops": Category.INFRASTRUCTURE,
    "ci": Category.INFRASTRUCTURE, "ci/cd": Category.INFRASTRUCTURE, "deployment": Category.INFRASTRUCTURE,
    "build": Category.INFRASTRUCTURE, "observability": Category.INFRASTRUCTURE,
    "chore": Category.MAINTENANCE, "maintenance": Category.MAINTENANCE, "dependencies": Category.MAINTENANCE,
}  # fmt: skip


def category_of_labels(labels: Sequence[str]) -> tuple[Category, ...]:
    """The categories that labels name, in their order; ``type: bug`` and ``kind/bug`` are ``bug``."""
    found: dict[Category, None] = {}
    for label in labels:
        name = re.sub(r"^(?:type|kind|category|area|t|c)\s*[:/-]\s*", "", label.strip().lower()).replace(
            "-", " "
        )
        category = _LABELS.get(name)
        if category is not None:
            found[category] = None
    return tuple(found)


def closed_issues(body: str) -> tuple[str, ...]:
    """The issues that a body says it closes, as GitHub reads it."""
    found = [match[1] for match in _CLOSES.finditer(_COMMENT.sub("", body))]
    return tuple(dict.fromkeys(one for one in found if one.rpartition("-")[0] not in NO_KEYS))[:20]


def reverted_number(pull: PullRequest) -> int | None:
    """The number of the pull request that this one reverts, as GitHub's own button words it."""
    if not pull.title.lower().startswith("revert"):
        return None
    return next(iter(_reverted_numbers(pull, _places([pull]))), None)


def _reverted_numbers(pull: PullRequest, places: Container[str]) -> list[int]:
    """The pull requests of its own repository that a body says it reverts. ``places`` are the repository's names
    (``owner/name``) in lower case."""
    return [
        int(match[2])
        for match in _REVERTS.finditer(_COMMENT.sub("", pull.body))
        if not match[1] or match[1].lower() in places
    ]


def _places(pulls: Iterable[PullRequest]) -> set[str]:
    """The names of the repository of these, in lower case: the present one, and those under which the forge showed any of
    them."""
    found = {pull.repository.partition("/")[2].lower() for pull in pulls}
    shown = (_ADDRESS.match(pull.url) for pull in pulls)
    return found | {match[1].lower() for match in shown if match}


class Standing(NamedTuple):
    """Whether a merged pull request has its credit: ``state`` is credited, reverted or revert."""

    state: str
    other: int | None = None  # the one that reverted it, or that it reverts


def standings(pulls: Sequence[PullRequest]) -> dict[int, Standing]:
    """The standing of every merged pull request of a repository: a revert takes the credit away, its revert gives it back.
    A revert names what it reverts by number, by the commit that it became, or by its title."""
    merged = sorted(
        (pull for pull in pulls if pull.merged is not None), key=lambda pull: (pull.merged, pull.number)
    )
    reverts = _reverts(merged)
    found = {pull.number: Standing("credited") for pull in merged}
    for number, targets in reverts.items():
        found[number] = Standing("revert", targets[0])
    undone: set[int] = set()
    for pull in reversed(merged):  # the latest decides: a revert that is itself reverted takes nothing
        if pull.number in undone:
            continue
        for target in reverts.get(pull.number, ()):
            undone.add(target)
            if found[target].state == "credited":
                found[target] = Standing("reverted", pull.number)
    return found


def _reverts(merged: Sequence[PullRequest]) -> dict[int, list[int]]:
    """The number of each revert -> the numbers of what it reverts, the first named first. ``merged`` in their order."""
    places = _places(merged)
    known = {pull.number for pull in merged}
    became = _Commits()
    latest: dict[str, int] = {}  # title -> the last one so far that bears it
    found: dict[int, list[int]] = {}
    for pull in merged:
        is_revert, lands_again = (
            pull.title.lower().startswith("revert"),
            relanded_title(pull.title) is not None,
        )
        if is_revert or lands_again:
            named = [number for number in _reverted_numbers(pull, places) if number in known]
            named += became.named_in(pull.body)
            title = _plain(reverted_title(pull.title.strip()) or "")
            if not named and title in latest:
                named = [latest[title]]
            targets = [
                one for one in dict.fromkeys(named) if one != pull.number and (is_revert or one in found)
            ]  # what lands again may tell the story of all that went before
            if targets:
                found[pull.number] = targets
        became.add(pull)
        if pull.title:
            latest[_plain(pull.title)] = pull.number
    return found


class _Commits:
    """The commits that pull requests became, found by any abbreviation of at least seven digits."""

    def __init__(self) -> None:
        self._by_start: dict[str, dict[str, int]] = {}

    def add(self, pull: PullRequest) -> None:
        """One that had a single commit is known by that, too."""
        for sha in (pull.merge_sha, pull.head_sha if pull.commits == 1 else ""):
            if len(sha) >= _SHORTEST_SHA:
                self._by_start.setdefault(sha[:_SHORTEST_SHA], {})[sha] = pull.number

    def named_in(self, body: str) -> list[int]:
        """The pull requests whose commits a body says it reverts; of an abbreviation that several have, none."""
        found: list[int] = []
        for told in reverted_shas(_COMMENT.sub("", body)):
            near = self._by_start.get(told[:_SHORTEST_SHA], {})
            numbers = {number for sha, number in near.items() if sha.startswith(told)}
            found += numbers if len(numbers) == 1 else ()
        return found


def _plain(title: str) -> str:
    return _NUMBER_AT_END.sub("", " ".join(title.split())).lower()


class Attached(NamedTuple):
    """What is shown in a body: (title, address) each."""

    screenshots: tuple[tuple[str, str], ...]
    documents: tuple[tuple[str, str], ...]


def attached_to(body: str) -> Attached:
    """The pictures and documents that a body shows or links."""
    text = _COMMENT.sub("", body)
    pictures = {match[2]: match[1] for match in _MARKDOWN_IMAGE.finditer(text)}
    pictures |= {match[1]: "" for match in _HTML_IMAGE.finditer(text) if match[1] not in pictures}
    documents: dict[str, str] = {}
    for match in _MARKDOWN_LINK.finditer(text):
        if _DOCUMENT.search(match[2]):
            documents[match[2]] = match[1]
        elif _IMAGE.search(match[2]):
            pictures.setdefault(match[2], match[1])
    return Attached(_pairs(pictures), _pairs(documents))


def attachment_kind(url: str) -> str:
    """screenshot, document or link."""
    return "screenshot" if _IMAGE.search(url) else "document" if _DOCUMENT.search(url) else "link"


def _pairs(found: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((title.strip(), url) for url, title in list(found.items())[:50])


def readable_body(body: str, longest: int) -> str:
    """A body without pictures, addresses of links, and the comments, check boxes and empty headings of templates; cut at a
    paragraph."""
    text = _COMMENT.sub("", body.replace("\r", ""))
    text = _LINK_TAG.sub(r"\1", _PICTURE_TAG.sub("", text))
    kept: list[str] = []
    below = "#"  # the next line that holds something
    for line in reversed(text.split("\n")):
        is_template = _BOX_OR_EPIC.match(line) or (
            line.startswith("#") and (below.startswith("#") or _BOX.match(below))
        )
        if not is_template:
            kept.append(line.rstrip())
        if line.strip():
            below = line
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(reversed(kept))).strip()
    if len(text) <= longest:
        return text
    cut = text[:longest]
    end = max(cut.rfind("\n\n"), cut.rfind(". ") + 1)
    return cut[: end if end > longest // 3 else None].rstrip() + " …"
