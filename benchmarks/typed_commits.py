"""Commits with a declared type, from repositories or from files, with the type told apart from the rest."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from achievement_collector.derive.categories import DECLARED, ChangeText
from achievement_collector.derive.category_model import CLASSES
from achievement_collector.derive.conclusions import Category
from achievement_collector.derive.identity import AuthorKind, shipped_rules
from achievement_collector.derive.messages import parse_header
from achievement_collector.facts import FileChange, body_of, subject_of
from achievement_collector.facts.diff import changed_files
from achievement_collector.sources.git.checkout import open_checkout, read_refs
from achievement_collector.sources.git.collect import collect, list_commits

_NUMBER = re.compile(r"\s*\(#\d+\)\s*$")


class TypedCommit(NamedTuple):
    """``change`` holds no trace of the declared type; ``gold`` is that type's category."""

    repository: str
    moment: str
    change: ChangeText
    gold: Category
    is_bot: bool


def typed(message: str, files: list[FileChange]) -> tuple[ChangeText, Category] | None:
    """The change without its type, and the type's category; None where no type is declared."""
    header = parse_header(subject_of(message))
    gold = DECLARED.get(header.type) if header else None
    if header is None or gold not in CLASSES:
        return None
    title = _NUMBER.sub("", header.description)
    # the scope stays hidden as well: chore(deps) or fix(ci) would tell as much as the type
    return ChangeText(title, body_of(message), files), gold


def from_folder(folder: Path) -> Iterator[TypedCommit]:
    """The commits of every ``*.jsonl`` file in a folder (one object a line: repo, date, message, files, bot)."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            data = json.loads(line)
            files = [FileChange(file["path"], file["status"][:1], None, None) for file in data["files"]]
            told = typed(data["message"], files)
            if told:
                yield TypedCommit(data["repo"], data["date"], *told, bool(data["bot"]))


def from_repository(path: Path, most: int = 3000) -> list[TypedCommit]:
    """At most ``most`` typed commits of the main line of a repository, a fixed random choice, oldest first."""
    checkout = open_checkout(path)
    refs = read_refs(checkout)
    lines = [line for line in list_commits(checkout, list(refs.mainline)) if line.count(" ") < 2]
    random.Random(1).shuffle(lines)
    found: list[tuple[int, TypedCommit]] = []
    for batch in collect(checkout, lines[: 3 * most], refs.shallow):
        for commit in batch:
            told = typed(commit.message, list(changed_files(commit.diff)))
            if told and told[0].files:
                is_bot = shipped_rules().kind_of(commit.author) is AuthorKind.BOT
                moment = commit.committed.as_datetime().isoformat()
                found.append(
                    (commit.committed.seconds, TypedCommit(checkout.repository.key, moment, *told, is_bot))
                )
        if len(found) >= most:
            break
    return [commit for _, commit in sorted(found, key=lambda item: item[0])]
