"""Which epic a pull request belongs to.

Precedence, the first that names an epic decides (docs/live.md):

1. what a person set (``epic link``, ``epic unlink``): it stays, whatever else is told later;
2. ``Epic: KEY`` on a line of its own in the body; the title or address of a known epic does as well;
3. ``epic-KEY`` or ``epic/KEY`` in the branch;
4. an attachment of the pull request to an issue (in Linear) of the epic;
5. the key of such an issue in the branch, 6. in the title, 7. in the body.

A key in 1 to 3 names an epic whether or not anything else is known of it: the first pull request that does starts it.
``e5.1``, ``E5.1`` and, where nothing is called so, a bare ``5.1`` are the same key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from achievement_collector.facts.work import PullRequest

_KEY = r"[A-Za-z][A-Za-z0-9]{0,19}[-.]?\d{1,9}(?:\.\d{1,9}){0,5}|\d{1,9}(?:\.\d{1,9}){0,5}"
_IN_BODY = re.compile(r"^[ \t>#*_-]*epic[*_]*[ \t]*:[ \t*_]*([^\r\n]{1,300})", re.IGNORECASE | re.MULTILINE)
_IN_BRANCH = re.compile(
    r"(?:^|[/_-])epic[-/_]([A-Za-z]{1,10}-?\d{1,9}(?:\.\d{1,9}){0,5}|\d{1,9}(?:\.\d{1,9}){0,5})(?=$|[/_-])",
    re.IGNORECASE,
)
_ISSUE = re.compile(r"(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9]{0,9}-\d{1,7})(?!\d|\.\d)", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LINKED = re.compile(r"\[([^\]\n]{0,200})\]\(")
_ADDRESS = re.compile(r"<?https?://[^/\s]{1,200}/([^\s>?#]{1,300})")
_STARTS_WITH_KEY = re.compile(rf"({_KEY})(?![\w/-]|\.\w)")
_WORD = re.compile(r"[A-Za-z0-9][\w.-]{0,59}")
_PLAIN_KEY = re.compile(r"(?:(?:[Ee]|EPIC-?)\d+|[A-Z][A-Z0-9]{1,9}-\d+)(?:\.\d+)*(?![\w.])")
_WHOLE_KEY = re.compile(_KEY)
_MARKUP = " \t*_`<>[]()\"'"
_NO_EPIC = frozenset(("none", "n/a", "na", "no", "nil", "null", "tbd", "todo", "unknown", "key"))
_MOST_WORDS = 50


class Link(NamedTuple):
    """A tie to an epic and what it rests on, in words."""

    epic: str
    basis: str


class EpicName(NamedTuple):
    """What a pull request calls an epic. ``is_key`` is False for a title or an address, which only a known epic has."""

    name: str
    basis: str
    is_key: bool = True


class Named(NamedTuple):
    """What a pull request names: epics, and keys that may be issues'."""

    epics: tuple[EpicName, ...]
    issues: tuple[tuple[str, str], ...]  # (key in upper case, basis)


def named(pull: PullRequest) -> Named:
    """What a pull request names, by precedence. Comments of templates (``<!-- -->``) name nothing."""
    body = _COMMENT.sub("", pull.body)
    epics = [name for match in _IN_BODY.finditer(body) for name in _names_in_line(match[1])]
    epics += [EpicName(match[1], "the name of its branch") for match in _IN_BRANCH.finditer(pull.branch)]
    issues: dict[str, str] = {}
    for place, text in (("branch", pull.branch), ("title", pull.title), ("body", body)):
        for match in _ISSUE.finditer(text):
            issues.setdefault(match[1].upper(), f"{match[1].upper()} in its {place}")
    return Named(tuple(epics[:_MOST_WORDS]), tuple(issues.items())[:_MOST_WORDS])


def _names_in_line(text: str) -> Iterator[EpicName]:
    """What may be meant by the text behind ``Epic:``, the whole of it first."""
    basis = '"Epic:" in its body'
    address = _ADDRESS.match(text)
    if address:
        parts = [part for part in address[1].split("/") if part]
        yield from (EpicName(part, basis, is_key=False) for part in reversed(parts))
        return
    linked = _LINKED.match(text.lstrip(_MARKUP.replace("[", "")))
    text = (linked[1] if linked else text).strip(_MARKUP).removeprefix("#").rstrip(".,;:-_ ")
    if not text or text.lower() in _NO_EPIC:
        return
    key = _STARTS_WITH_KEY.match(text)
    if key is None or key[1] != text:
        yield EpicName(text, basis, is_key=_WORD.fullmatch(text) is not None)
    if key is not None and (key[1] == text or not text[0].isdigit()):  # "3 more endpoints" names none
        is_key = key[1] == text or _PLAIN_KEY.match(text) is not None  # neither does "OAuth2 login"
        yield EpicName(key[1], basis, is_key)


def epic_of_name(name: str, epic_names: Mapping[str, str]) -> str | None:
    """The key of the known epic that goes by ``name``; ``5.1`` is also ``E5.1`` and ``EPIC-5.1``."""
    more = (f"e{name}", f"epic-{name}") if name[:1].isdigit() else ()
    return next((epic_names[one] for one in (name.lower(), *more) if one in epic_names), None)


def new_key(name: str) -> str:
    """The key under which an epic is begun that nothing is known of: the same however people spell it."""
    if not _WHOLE_KEY.fullmatch(name):
        return name.lower()
    return f"E{name}" if name[:1].isdigit() else name.upper()


def mentioned_words(pull: PullRequest) -> tuple[str, ...]:
    """Everything by which later news may concern a pull request: names in lower case, and its commits."""
    told = named(pull)
    words: list[str] = []
    for name, _, _ in told.epics:
        words += [name.lower(), *([f"e{name}", f"epic-{name}"] if name[:1].isdigit() else [])]
    words += [key.lower() for key, _ in told.issues]
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
    decided = {epic_names.get(epic.lower(), epic): belongs for epic, belongs in (by_hand or {}).items()}
    wanted = tuple(Link(epic, "set by hand") for epic, belongs in sorted(decided.items()) if belongs)
    if wanted:
        return wanted
    told = named(pull)
    found = [
        Link(known or new_key(one.name), one.basis)
        for one in told.epics
        if (known := epic_of_name(one.name, epic_names)) or one.is_key
    ]
    found += [Link(epic, f"attached to {issue}") for issue, epic in sorted(attached) if epic]
    found += [Link(issue_epics[key], basis) for key, basis in told.issues if issue_epics.get(key)]
    return next(((one,) for one in found if decided.get(one.epic) is not False), ())


_LEADING_KEY = re.compile(
    r"^\s*[\[(]?((?:E|EPIC-?)\d+(?:\.\d+)*|[A-Z][A-Z0-9]{1,9}-\d+)[\])]?(?=$|[\s:.–—-])"
)


def epic_key(kind: str, title: str, identifier: str, slug: str, outside_key: str) -> str:
    """The key by which people name an epic: the one its title begins with (``E5.1 Search``), an issue's identifier, else
    the slug of its address."""
    found = _LEADING_KEY.match(title)
    if found:
        return found[1]
    return identifier if kind == "issue" and identifier else slug or outside_key.rpartition("/")[2]
