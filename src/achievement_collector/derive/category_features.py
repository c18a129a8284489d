"""What the category model looks at in a change: its words, the paths it touches, its size.

The declared type is never among them: the model must do without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from achievement_collector.derive.paths import path_info
from achievement_collector.facts import FileChange

_MOST_FILES = 40
_MOST_WORDS = 24
_BODY_CHARACTERS = 400
_BODY_WORDS = 30
_TOKEN = re.compile(
    r"(?P<version>\bv?\d+\.\d+[\w.+-]*)|(?P<sha>\b[0-9a-f]{7,40}\b)|(?P<number>\d+)|[A-Za-z_][A-Za-z_'+#]*"
)
_KINDS = {"version": "<version>", "sha": "<sha>", "number": "<number>"}
_URL = re.compile(r"https?://\S+")
_TRAILER = re.compile(r"^[A-Z][\w-]+-by: .*$|^-{3,}\s*$", re.MULTILINE)
_CAMEL = re.compile(r"[a-z][A-Z]|_|\(\)")


def features(
    title: str, body: str, files: Sequence[FileChange], scope: str | None = None, *, sizes: bool = True
) -> list[str]:
    """The features of a change, without repetition. ``title`` has no type prefix; ``sizes`` is False where the
    changed lines are not known."""
    found = dict.fromkeys(_words(title))
    if scope:
        found[f"scope:{scope.lower()[:30]}"] = None
    for word in _body_words(body):
        found[word] = None
    found.update(dict.fromkeys(_files(files)))
    if sizes:
        found.update(dict.fromkeys(_sizes(files)))
    return list(found)


def _words(title: str) -> list[str]:
    title = title[:240]
    words = [
        _KINDS[match.lastgroup] if match.lastgroup else match[0].lower().strip("'")
        for match in _TOKEN.finditer(_URL.sub(" url ", title) if "://" in title else title)
    ][:_MOST_WORDS]
    if not words:
        return ["no words"]
    found = [f"1:{words[0]}", *words]
    found += [f"{one} {two}" for one, two in pairwise(words)]
    if len(words) > 1:
        found.append(f"2:{words[1]}")
        found.append(f"-1:{words[-1]}")
    found.append(f"words:{min(len(words), 12) // 3}")
    if _CAMEL.search(title):
        found.append("names code")
    if "`" in title:
        found.append("quotes code")
    return found


def _body_words(body: str) -> Iterable[str]:
    text = body[: 2 * _BODY_CHARACTERS]
    if "://" in text:
        text = _URL.sub(" ", text)
    if "-by: " in text or "---" in text:
        text = _TRAILER.sub("", text)
    text = text[:_BODY_CHARACTERS].strip()
    if not text:
        return ["no body"]
    words = [match[0].lower() for match in _TOKEN.finditer(text) if not match.lastgroup]
    return [f"b:{word}" for word in dict.fromkeys(words[:_BODY_WORDS]) if len(word) > 2]


@lru_cache(maxsize=1 << 15)
def _path(path: str) -> tuple[str, str, tuple[str, ...]]:
    """(role, language, features) of one path."""
    info = path_info(path)
    folder, _, name = path.rpartition("/")
    top = folder.split("/", 1)[0]
    ending = name.rpartition(".")[2].lower() if "." in name[1:] else ""
    own = [f"file:{name.lower()[:40]}"]
    if ending:
        own.append(f"ending:{ending[:12]}")
    if top:
        own.append(f"top:{top.lower()[:30]}")
    return info.role.value, info.language, tuple(own)


def _files(files: Sequence[FileChange]) -> list[str]:
    found: list[str] = []
    roles: dict[str, int] = {}
    added: set[str] = set()
    statuses: set[str] = set()
    shown = files[:_MOST_FILES]
    for file in shown:
        role, _, own = _path(file.path)
        roles[role] = roles.get(role, 0) + 1
        statuses.add(file.status)
        if file.status == "A":
            added.add(role)
        found += own
    count = len(files)
    found.append(f"files:{min(count.bit_length(), 6)}")
    for role, number in roles.items():
        share = number / len(shown)
        found.append(f"has:{role}")
        if share == 1:
            found.append(f"only:{role}")
        elif share > 0.5:
            found.append(f"most:{role}")
    found += [f"adds:{role}" for role in added]
    if len(statuses) == 1:
        found.append(f"all:{statuses.pop()}")
    found.append("roles:" + "+".join(sorted(roles))[:80])
    return found


def _sizes(files: Sequence[FileChange]) -> list[str]:
    plus = sum(file.added or 0 for file in files)
    minus = sum(file.deleted or 0 for file in files)
    found = [f"lines:{min((plus + minus).bit_length(), 12)}"]
    if plus + minus:
        found.append(f"balance:{round(4 * plus / (plus + minus))}")
    return found
