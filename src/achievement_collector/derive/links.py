"""Which epic a pull request belongs to.

Precedence, the first that names an epic decides (docs/live.md):

1. what a person set (``epic link``, ``epic unlink``): it stays, whatever else is told later;
2. ``Epic: KEY`` on a line of its own in the body;
3. ``epic-KEY`` or ``epic/KEY`` in the branch;
4. an attachment of the pull request to an issue (in Linear) of the epic;
5. the key of such an issue in the branch, 6. in the title, 7. in the body.

1 to 3 name an epic whether or not anything else is known of it: the first pull request that does starts it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from achievement_collector.facts.work import PullRequest

_KEY = r"[A-Za-z][A-Za-z0-9]{0,19}(?:[-.]?\d+(?:\.\d+)*)|[A-Za-z0-9][\w.-]{0,60}"
_IN_BODY = re.compile(rf"^[ \t>*_-]*epic[*_]*[ \t]*:[ \t*_`\[#]*({_KEY})", re.IGNORECASE | re.MULTILINE)
_IN_BRANCH = re.compile(
    r"(?:^|[/_-])epic[-/_]([A-Za-z]{1,10}-?\d+(?:[.]\d+)*|\d+(?:\.\d+)*)(?=$|[/_-])", re.IGNORECASE
)
_ISSUE = re.compile(r"(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9]{0,9}-\d{1,7})(?![\d])", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MOST_WORDS = 50


class Link(NamedTuple):
    """A tie to an epic and what it rests on, in words."""

    epic: str
    basis: str


class Named(NamedTuple):
    """What a pull request names: epics (in words of its own, with the basis), and keys that may be issues."""

    epics: tuple[tuple[str, str], ...]
    issues: tuple[tuple[str, str], ...]  # (key in upper case, basis)


def named(pull: PullRequest) -> Named:
    """What a pull request names, by precedence. Comments of templates (``<!-- -->``) name nothing."""
    body = _COMMENT.sub("", pull.body)
    epics = [(_trimmed(match[1]), '"Epic:" in its body') for match in _IN_BODY.finditer(body)]
    epics += [(match[1], "the name of its branch") for match in _IN_BRANCH.finditer(pull.branch)]
    issues: dict[str, str] = {}
    for place, text in (("branch", pull.branch), ("title", pull.title), ("body", body)):
        for match in _ISSUE.finditer(text):
            issues.setdefault(match[1].upper(), f"{match[1].upper()} in its {place}")
    return Named(
        tuple((key, basis) for key, basis in epics if key.lower() not in ("none", "n", "na", "tbd"))[
            :_MOST_WORDS
        ],
        tuple(issues.items())[:_MOST_WORDS],
    )


def _trimmed(key: str) -> str:
    return key.rstrip(".-_")


def mentioned_words(pull: PullRequest) -> tuple[str, ...]:
    """Everything by which later news may concern a pull request: keys in lower case, and its commits."""
    told = named(pull)
    words = [key.lower() for key, _ in (*told.epics, *told.issues)]
    words += [f"sha:{sha}" for sha in (pull.head_sha, pull.merge_sha) if sha]
    return tuple(dict.fromkeys(words))


def link(
    pull: PullRequest,
    epic_names: Mapping[str, str],
    issue_epics: Mapping[str, str],
    attached: Sequence[tuple[str, str]] = (),
    by_hand: Mapping[str, bool] | None = None,
) -> tuple[Link, ...]:
    """The epics of a pull request; more than one only where people set several.

    ``epic_names`` maps names in lower case to epics' keys; ``issue_epics`` the identifiers of known issues to their
    epics (empty where they have none); ``attached`` lists (identifier, epic) of the issues it is attached to;
    ``by_hand`` says what people decided: epic -> belongs or not.
    """
    decided = by_hand or {}
    wanted = tuple(Link(epic, "set by hand") for epic, belongs in sorted(decided.items()) if belongs)
    if wanted:
        return wanted
    refused = {epic for epic, belongs in decided.items() if not belongs}
    told = named(pull)
    found = [Link(epic_names.get(key.lower(), key), basis) for key, basis in told.epics]
    found += [Link(epic, f"attached to {issue}") for issue, epic in attached if epic]
    found += [Link(issue_epics[key], basis) for key, basis in told.issues if issue_epics.get(key)]
    return next(((one,) for one in found if one.epic not in refused), ())


_LEADING_KEY = re.compile(r"\s*[\[(]?((?:E|EPIC-?)\d+(?:\.\d+)*|[A-Z][A-Z0-9]{1,9}-\d+)[\])]?(?=$|[\s:.–—-])")


def epic_key(kind: str, title: str, identifier: str, slug: str, outside_key: str) -> str:
    """The key by which people name an epic: the one its title begins with (``E5.1 Search``), an issue's identifier, else
    the slug of its address."""
    found = _LEADING_KEY.match(title)
    if found:
        return found[1]
    return identifier if kind == "issue" and identifier else slug or outside_key.rpartition("/")[2]
