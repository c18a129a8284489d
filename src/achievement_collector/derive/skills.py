"""Skills that a change shows: languages it edits, frameworks and tools it touches, practices it follows.

The rules are in ``rules/skills.toml`` and ``rules/languages.toml``. Every skill names the path, the dependency
or the words that showed it; a skill of the repository that the change does not touch is not the change's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from achievement_collector.derive.conclusions import Category, Skill, SkillKind
from achievement_collector.derive.paths import (
    COUNTED,
    PathRole,
    is_own_manifest,
    is_prose,
    is_test_data,
    path_info,
)
from achievement_collector.facts import ContentFact, ContentKind, FileChange

_NOT_A_SKILL = frozenset(
    {"Text", "JSON", "INI", "XML", "TOML", "YAML", "Markdown", "CSV", "Git config", "Ignore list"}
)
_FEW_LINES = 3  # of a language; fewer show nothing


class _Rule(NamedTuple):
    skill: Skill
    dependencies: tuple[str, ...]
    dependency_pattern: re.Pattern[str] | None
    keys: frozenset[str]
    words: re.Pattern[str] | None
    roles: frozenset[str]
    category: str
    min_lines: int
    where_declared: bool  # its paths are signs only in a repository that declares one of its dependencies


class _Rules(NamedTuple):
    rules: tuple[_Rule, ...]
    paths: tuple[tuple[int, re.Pattern[str]], ...]  # (rule, its patterns)
    any_path: re.Pattern[str]
    exact: Mapping[str, tuple[int, ...]]  # dependency -> rules
    phrases: tuple[str, ...]  # of all rules, in lower case
    by_role: tuple[tuple[int, str, int], ...]  # (rule, role, fewest lines)
    by_category: Mapping[str, tuple[int, ...]]
    by_keys: tuple[tuple[int, frozenset[str]], ...]
    by_pattern: tuple[tuple[int, re.Pattern[str]], ...]


@cache
def _rules() -> _Rules:
    data = tomllib.loads((files(__package__) / "rules" / "skills.toml").read_text("utf-8"))
    rules: list[_Rule] = []
    paths: list[tuple[int, re.Pattern[str]]] = []
    exact: dict[str, tuple[int, ...]] = {}
    all_words: list[str] = []
    for number, entry in enumerate(data["skill"]):
        names = entry.get("dependencies", [])
        wild = [re.escape(name).replace(r"\*", ".*") for name in names if "*" in name]
        for name in names:
            if "*" not in name:
                exact[name] = (*exact.get(name, ()), number)
        if entry.get("paths"):
            paths.append((number, re.compile("|".join(entry["paths"]))))
        words = [re.escape(word) for word in entry.get("words", [])]
        all_words += [word.lower() for word in entry.get("words", [])]
        rules.append(
            _Rule(
                Skill(entry["name"], SkillKind(entry["kind"]), ""),
                tuple(names),
                re.compile("|".join(wild)) if wild else None,
                frozenset(entry.get("keys", [])),
                re.compile(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])", re.IGNORECASE) if words else None,
                frozenset(entry.get("roles", [])),
                entry.get("category", ""),
                entry.get("min_lines", 1),
                entry.get("paths_where_declared", False),
            )
        )
    by_category: dict[str, tuple[int, ...]] = {}
    for number, rule in enumerate(rules):
        if rule.category:
            by_category[rule.category] = (*by_category.get(rule.category, ()), number)
    return _Rules(
        tuple(rules),
        tuple(paths),
        re.compile("|".join(pattern.pattern for _, pattern in paths)),
        exact,
        tuple(dict.fromkeys(all_words)),
        tuple(
            (number, role, rule.min_lines) for number, rule in enumerate(rules) for role in sorted(rule.roles)
        ),
        by_category,
        tuple((number, rule.keys) for number, rule in enumerate(rules) if rule.keys),
        tuple((n, rule.dependency_pattern) for n, rule in enumerate(rules) if rule.dependency_pattern),
    )


@lru_cache(maxsize=1 << 16)
def _path_rules(path: str) -> tuple[int, ...]:
    rules = _rules()
    if not rules.any_path.search(path):
        return ()
    return tuple(number for number, pattern in rules.paths if pattern.search(path))


@cache
def telling_dependencies() -> frozenset[str]:
    """The dependencies that a repository must declare before certain paths are signs of a skill."""
    return frozenset(name for rule in _rules().rules if rule.where_declared for name in rule.dependencies)


def skills_of(
    files_changed: Iterable[FileChange],
    content: Sequence[ContentFact],
    text: str,
    category: Category,
    declared: frozenset[str] = frozenset(),
) -> tuple[Skill, ...]:
    """The skills of one change: languages with most changed lines first, then the others in the order of the
    rules. ``files_changed`` of all its commits; ``text`` its title and message; ``declared`` those of
    :func:`telling_dependencies` that the repository declared at any time."""
    rules = _rules()
    lines: dict[str, int] = {}
    shown_by: dict[str, str] = {}
    role_lines: dict[str, int] = {}
    role_path: dict[str, str] = {}
    found: dict[int, str] = {}
    for file in files_changed:
        if file.added is None or file.status == "D":
            continue
        role, language = path_info(file.path)
        changed = file.added + (file.deleted or 0)
        if role not in COUNTED or not changed:
            continue
        if role is not PathRole.DOCS or is_prose(file.path):
            role_lines[role] = role_lines.get(role, 0) + changed
            role_path.setdefault(role, file.path)
        if language and language not in _NOT_A_SKILL:
            before = lines.get(language, 0)
            lines[language] = before + changed
            if role is PathRole.SOURCE or language not in shown_by:
                shown_by[language] = file.path
        if is_test_data(file.path):
            continue
        for number in _path_rules(file.path):
            rule = rules.rules[number]
            if rule.where_declared and declared.isdisjoint(rule.dependencies):
                continue
            found.setdefault(number, f"edits {file.path}")
    _by_content(rules, content, found)
    lower = text.lower()
    if any(phrase in lower for phrase in rules.phrases):
        for number, rule in enumerate(rules.rules):
            if number not in found and rule.words and (match := rule.words.search(text)):
                found[number] = f'its message says "{match[0].lower()}"'
    for number, role_name, fewest in rules.by_role:
        count = role_lines.get(role_name, 0)
        if count >= fewest:
            noun = "line" if count == 1 else "lines"
            found.setdefault(number, f"{count:,} {noun}, such as in {role_path[role_name]}")
    for number in rules.by_category.get(category, ()):
        found.setdefault(number, f"a {category.value} change")
    languages = [
        Skill(name, SkillKind.LANGUAGE, f"{count:,} lines, such as in {shown_by[name]}")
        for name, count in sorted(lines.items(), key=lambda item: (-item[1], item[0]))
        if count >= _FEW_LINES
    ]
    named = {skill.name for skill in languages}
    others = [
        rules.rules[number].skill._replace(evidence=why)
        for number, why in sorted(found.items())
        if rules.rules[number].skill.name not in named  # CMake is a language and a tool
    ]
    return (*languages, *others)


def _by_content(rules: _Rules, content: Sequence[ContentFact], found: dict[int, str]) -> None:
    keys: dict[str, set[str]] = {}
    for fact in content:
        if not is_own_manifest(fact.path):
            continue
        if fact.kind is ContentKind.DEPENDENCY:
            matching = rules.exact.get(fact.value, ())
            name = fact.value.partition(":")[2]
            for number in matching:
                found.setdefault(number, f"declares {name} in {fact.path}")
            for number, pattern in rules.by_pattern:
                if number not in found and pattern.fullmatch(fact.value):
                    found[number] = f"declares {name} in {fact.path}"
        elif fact.kind is ContentKind.DOCUMENT_KEY:
            keys.setdefault(fact.path, set()).add(fact.value)
    for path, names in keys.items():
        for number, keys_of_rule in rules.by_keys:
            if keys_of_rule <= names:
                found.setdefault(number, f"adds {path} with {', '.join(sorted(keys_of_rule))}")


_ALSO_WORDS = frozenset(
    {
        "Make", "Echo", "Gin", "Click", "Express", "Spring", "Requests", "Rich", "Play", "Chef", "Salt", "Swift", "Go",
        "Dart", "Crystal", "Julia", "Basic", "Just", "Less", "Ash", "Assembly", "Text", "Shell", "Batch", "Nest", "Next",
        "Ember", "Backbone", "Prism", "Puppet", "Ant", "Rake", "Hack", "Elm", "Vim", "Scheme", "Racket", "Processing",
    }
)  # fmt: skip


@cache
def _skill_names() -> tuple[Mapping[str, tuple[str, SkillKind]], re.Pattern[str]]:
    """Every skill's name in lower case, and the pattern that finds the unmistakable ones in a text."""
    from achievement_collector.derive.paths import language_names

    known = {rule.skill.name.lower(): (rule.skill.name, rule.skill.kind) for rule in _rules().rules}
    for name in language_names():
        if name not in _NOT_A_SKILL:
            known.setdefault(name.lower(), (name, SkillKind.LANGUAGE))
    sure = [name for name, _ in known.values() if name not in _ALSO_WORDS and len(name) > 1]
    pattern = "|".join(re.escape(name) for name in sorted(sure, key=len, reverse=True))
    return known, re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w+#-])")


def named_skills(text: str, *, is_label: bool = False) -> list[tuple[str, SkillKind]]:
    """The skills that a text names by their own names (as they are written), or that it is (any case). A name of one letter
    (C, D, R, V) is a skill only where a label is nothing else."""
    known, pattern = _skill_names()
    name = text.strip().lower()
    whole = known.get(name) if is_label or len(name) > 1 else None
    if whole:
        return [whole]
    found = {match[0]: known[match[0].lower()] for match in pattern.finditer(text[:20_000])}
    practices = [
        (rule.skill.name, rule.skill.kind)
        for rule in _rules().rules
        if rule.words and rule.words.search(text[:20_000])
    ]
    return list(dict.fromkeys([*found.values(), *practices]))
