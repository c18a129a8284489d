"""The category of a change: from the declared type where there is one, else from words, paths and sizes.

Authors' own types are noisy (two annotators agree at kappa 0.90), so a declared type is believed at 0.9 and no
more. Without one the model of :mod:`category_model` calls; below ``LEAST_CONFIDENCE`` nobody does: "unsure".
Several labels are honest where a change is mixed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from achievement_collector.derive.category_features import features
from achievement_collector.derive.category_model import CLASSES, RepositoryStyle
from achievement_collector.derive.conclusions import Category, CategoryCall
from achievement_collector.derive.paths import PathRole, is_prose, path_info
from achievement_collector.facts import FileChange

LEAST_CONFIDENCE = 0.4
_DECLARED_CONFIDENCE = 0.9
_SECOND_LABEL = 0.3
_LARGE_SHARE, _MANY_LINES = 0.3, 100

DECLARED: dict[str, Category] = {
    **dict.fromkeys(("feat", "feature", "enhancement", "enhance"), Category.FEATURE),
    **dict.fromkeys(("fix", "bugfix", "hotfix"), Category.BUGFIX),
    **dict.fromkeys(("perf", "performance", "optimize", "optimization"), Category.PERFORMANCE),
    **dict.fromkeys(("security", "sec"), Category.SECURITY),
    **dict.fromkeys(("refactor", "refact", "types"), Category.REFACTORING),
    **dict.fromkeys(("docs", "doc", "changelog", "typo"), Category.DOCUMENTATION),
    **dict.fromkeys(("test", "tests", "testing"), Category.TESTING),
    **dict.fromkeys(("ci", "build", "infra", "workflow"), Category.INFRASTRUCTURE),
    **dict.fromkeys(
        ("chore", "style", "deps", "dep", "dependencies", "maintenance", "upgrade", "update"),
        Category.MAINTENANCE,
    ),
    **dict.fromkeys(("deprecate", "deprecation"), Category.MAINTENANCE),
    **dict.fromkeys(("i18n", "l10n", "translation", "translations", "locale", "a11y"), Category.FEATURE),
    "breaking": Category.FEATURE,
    "dx": Category.MAINTENANCE,
    "release": Category.MAINTENANCE,
    "revert": Category.REVERT,
}
"""The category of each declared type."""

_HOLE = re.compile(
    r"\bCVE-\d{4}-\d{3,}|\bGHSA(?:-\w{4}){3}|\bvulnerab|\bsecurity (?:fix|issue|hole|bug|hardening|advisory|problem)|\bXSS\b"
    r"|\bcross[- ]site\b|\bCSRF\b|\bSSRF\b|\b(?:SQL|command|shell|header|code|CRLF|log) injections?\b"
    r"|\b(?:path|directory) traversal\b|\bremote code execution\b|\bprivilege escalation\b|\bReDoS\b|\btiming attack"
    r"|\bauth(?:entication|orization)? bypass\b|\bopen redirect\b|\bprototype pollution\b",
    re.IGNORECASE,
)
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}")
_WEAK_HOLE = re.compile(
    r"\b(?:use[- ]after[- ]free|double[- ]free|(?:heap|buffer|stack|integer)[- ]overflow|buffer over-?reads?)\b"
    r"|\bout[- ]of[- ]bounds\b"
    r"|\bhijack|\binsecure\b",
    re.IGNORECASE,
)
_DEPENDENCY = re.compile(
    r"\bbump\b|\bdependenc|\bdeps\b|\bupgrade\b|\bupdate .{0,60}\bto v?\d|\bfrom v?\d\S* to v?\d"
    r"|\bdocs?\b|\btests?\b|\bcheck(?:er|s)?\b|\bscan"
    r"|\bpolicy\b|\breport",
    re.IGNORECASE,
)
_FASTER = re.compile(
    r"\b(?:speed(?:s|ed|ing)?[- ]?up|faster|perf(?:ormance)?|optimi[sz]\w+|micro-?optimi\w+|cache .{0,30}(?:result|lookup)s?"
    r"|avoid (?:unnecessary|redundant|repeated|needless|extra) \w+|reduce \w* ?(?:allocations?|memory|overhead|latency))\b",
    re.IGNORECASE,
)


_TIDY = re.compile(
    r"(?:[\w./ -]{1,30}: )?(tidy(?:[- ]up)?|clean(?:[- ]?up|s up|ed up)|cosmetics?|re-?format|re-?indent"
    r"|white ?space|copyright)\b",
    re.IGNORECASE,
)
_TAKES_OUT = re.compile(r"\b(?:drop|remove|delete|retire|get rid of|kill)(?:s|d|ped|ing)?\b", re.IGNORECASE)
_MOSTLY_GONE = 3


class ChangeText(NamedTuple):
    """What is known of a change. ``title`` stands without its type; ``declared`` is that type in lower case."""

    title: str
    body: str
    files: Sequence[FileChange]
    declared: str | None = None
    scope: str | None = None


def categorise(change: ChangeText, style: RepositoryStyle) -> CategoryCall:
    """The call on a change; ``style`` is what its repository's typed commits have taught (perhaps nothing)."""
    declared = DECLARED.get(change.declared or "")
    may_raise = declared is Category.FEATURE or (
        declared is Category.BUGFIX and (change.scope or "").startswith("dep")
    )
    raised = _raises_a_dependency(change) if may_raise else ""
    if raised:
        basis = f'its title says "{raised}", and hardly anything else is changed'
        call = CategoryCall(Category.MAINTENANCE, 0.8, (Category.MAINTENANCE,), basis)
    elif declared is not None:
        call = CategoryCall(declared, _DECLARED_CONFIDENCE, (declared,), f'declared type "{change.declared}"')
    else:
        call = _told_by_title(change) or _called_by_model(change, style)
    return _with_labels(change, call)


_RAISES = re.compile(
    r"(?:bump|updat|upgrad)\w* (?:\S+ ){1,3}?(?:(?:from )?v?\d\S* )?to (?:v\d|\d+\.\d)[\w.+-]*(?= \(| in |$)"
    r"|(?:bump|updat|upgrad)\w* (?:to )?\S+ v?\d+\.\d[\w.+-]*(?= \(| in |$)",
    re.IGNORECASE,
)
_NOT_IN_ITSELF = frozenset(
    {PathRole.LOCK, PathRole.BUILD, PathRole.VENDORED, PathRole.GENERATED, PathRole.CHANGELOG}
)
_ALONG_WITH_IT = 50


def _raises_a_dependency(change: ChangeText) -> str:
    """The words by which a title says that a dependency was raised, where no more than a few lines had to follow."""
    match = _RAISES.match(change.title)
    if match is None:
        return ""
    followed = sum(
        (file.added or 0) + (file.deleted or 0)
        for file in change.files
        if path_info(file.path).role not in _NOT_IN_ITSELF
    )
    return match[0] if followed <= _ALONG_WITH_IT else ""


def _told_by_title(change: ChangeText) -> CategoryCall | None:
    """The call where a title leaves no doubt, whatever else speaks for another: tidying up is maintenance, and
    so is taking something out."""
    if match := _TIDY.match(change.title):
        return CategoryCall(
            Category.MAINTENANCE, 0.7, (Category.MAINTENANCE,), f'its title says "{match[1]}"'
        )
    match = _TAKES_OUT.search(change.title)
    if match:
        added = sum(file.added or 0 for file in change.files)
        deleted = sum(file.deleted or 0 for file in change.files)
        if deleted > _MOSTLY_GONE * added and deleted > 20:
            basis = (
                f'its title says "{match[0]}", and {deleted:,} of its {added + deleted:,} lines are deletions'
            )
            return CategoryCall(Category.MAINTENANCE, 0.7, (Category.MAINTENANCE,), basis)
    return None


def features_of(change: ChangeText) -> list[str]:
    """The model's view of a change; the declared type is not in it."""
    is_measured = any(file.added is not None for file in change.files)
    return features(change.title, change.body, change.files, change.scope, sizes=is_measured)


def _called_by_model(change: ChangeText, style: RepositoryStyle) -> CategoryCall:
    seen = features_of(change)
    odds = style.probabilities(seen)
    ranked = sorted(zip(odds, CLASSES, strict=True), key=lambda item: -item[0])
    confidence, best = ranked[0]
    told = "; ".join(_in_words(feature) for feature in style.telling(seen, best)) or "nothing that stands out"
    taught = f", as {style.learned:,} typed changes of this repository teach" if style.learned >= 20 else ""
    if confidence < LEAST_CONFIDENCE:
        return CategoryCall(
            Category.UNSURE,
            round(confidence, 2),
            (Category.UNSURE,),
            f"perhaps {best.value} ({told}){taught}",
        )
    labels = [best]
    if ranked[1][0] >= _SECOND_LABEL:
        labels.append(ranked[1][1])
    return CategoryCall(best, round(confidence, 2), tuple(labels), told + taught)


def _with_labels(change: ChangeText, call: CategoryCall) -> CategoryCall:
    """Adds the labels that words and sizes earn; a hole that is named in the title makes it security work."""
    labels = list(call.labels)
    hole = _HOLE.search(change.title)
    fixes = call.category in (Category.BUGFIX, Category.UNSURE, Category.FEATURE, Category.REFACTORING)
    if hole and fixes and not _DEPENDENCY.search(change.title):
        labels = [
            Category.SECURITY,
            *(label for label in labels if label not in (Category.SECURITY, Category.UNSURE)),
        ]
        basis = f'its title says "{hole[0]}"'
        if change.declared:
            basis += f"; {call.basis}"
        call = CategoryCall(Category.SECURITY, max(call.confidence, 0.8), tuple(labels), basis)
    elif (named := _names_a_cve(change)) and fixes:
        labels = [Category.SECURITY, *(label for label in labels if label is not Category.UNSURE)]
        call = CategoryCall(Category.SECURITY, 0.75, tuple(labels), f"its message names {named}")
    elif _WEAK_HOLE.search(change.title) and call.category is Category.BUGFIX:
        labels.append(Category.SECURITY)
    if _FASTER.search(change.title):
        labels.append(Category.PERFORMANCE)
    lines = {PathRole.TEST: 0, PathRole.DOCS: 0}
    total = 0
    for file in change.files:
        changed = (file.added or 0) + (file.deleted or 0)
        role = path_info(file.path).role
        total += changed
        if role in lines and (role is not PathRole.DOCS or is_prose(file.path)):
            lines[role] += changed
    for role, category in ((PathRole.TEST, Category.TESTING), (PathRole.DOCS, Category.DOCUMENTATION)):
        if lines[role] > max(_LARGE_SHARE * total, 10) or lines[role] >= _MANY_LINES:
            labels.append(category)
    distinct = tuple(dict.fromkeys(labels))
    return call if distinct == call.labels else call._replace(labels=distinct)


def _names_a_cve(change: ChangeText) -> str:
    """The CVE that a message names, where source is changed and it is no update of a dependency."""
    match = _CVE.search(change.body) if "CVE-" in change.body else None
    if match is None or _DEPENDENCY.search(change.title):
        return ""
    is_source = any(path_info(file.path).role is PathRole.SOURCE for file in change.files)
    return match[0] if is_source else ""


_SAID = {
    "1": "begins with", "2": "says second", "-1": "ends with", "b": "its body says", "file": "touches", "ending": "touches .",
    "top": "touches", "has": "touches", "only": "only files of", "most": "mostly files of", "adds": "adds files of",
    "scope": "scope", "all": "", "roles": "files of", "lines": "", "files": "", "balance": "", "words": "",
}  # fmt: skip
_STATUS = {
    "A": "only adds files",
    "M": "only edits files",
    "D": "only deletes files",
    "R": "only renames files",
}


def _in_words(feature: str) -> str:
    """A feature as a reader understands it."""
    kind, colon, value = feature.partition(":")
    if not colon or kind not in _SAID:
        return feature if feature in ("no body", "no words", "names code", "quotes code") else f'"{feature}"'
    if kind in ("1", "2", "-1", "b"):
        return f'{_SAID[kind]} "{value}"'
    if kind == "ending":
        return f"touches .{value} files"
    if kind == "top":
        return f"touches {value}/"
    if kind == "has":
        return f"touches {value}"
    if kind == "roles":
        return "files of " + value.replace("+", ", ")
    if kind == "all":
        return _STATUS.get(value, f"one kind of change ({value})")
    if kind in ("lines", "files", "balance", "words"):
        return "its size" if kind != "words" else "the length of its title"
    return f"{_SAID[kind]} {value}"
