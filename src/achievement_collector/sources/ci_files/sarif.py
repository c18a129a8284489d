"""Findings of static analyses in SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).

Paragraph numbers below are those of the specification.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import unquote

from achievement_collector.facts.ci import Finding, SarifReport
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.ci_files.reading import CiFileError, read_json

_T = TypeVar("_T")
_LEVELS = ("none", "note", "warning", "error")
_NO_PROBLEM = ("pass", "notApplicable")
_LONGEST_MESSAGE = 2_000
_LONGEST_ARGUMENT = 200
_LONGEST_PATH = 1_000
_LONGEST_FINGERPRINT = 200
_PLACEHOLDER = re.compile(r"\{(\d{1,3})\}", re.ASCII)
_OF_GITHUB = "primaryLocationLineHash"


def parse_sarif(data: bytes, name: str) -> SarifReport:
    """The findings of a SARIF file that still stand; ``name`` is the file's, for messages.

    Left out are results suppressed with success (each suppression accepted, or without a status: 3.35.3), those of an
    earlier report that are gone (``baselineState: absent``), and those that say all is well (``kind: pass``,
    ``notApplicable``). Raises :class:`CiFileError` where the file is no SARIF 2.1.0, where no run holds results (3.14.23:
    then nothing was analysed, which is not the same as nothing found), and for a level that SARIF does not have.
    """
    file = Body(read_json(data, name))
    version = file.text("version", 40)
    if not version.startswith("2.1."):
        told = f"its version is {version!r}" if version else "it tells no version"
        raise CiFileError(f"{name} is no SARIF 2.1.0 report: {told}.")
    runs = [run for run in file.each("runs") if isinstance(run.data.get("results"), list)]
    if not runs:
        raise CiFileError(
            f"{name} tells no findings: none of its runs holds results, so nothing was analysed."
        )
    tools = dict.fromkeys(run.inner("tool", "driver").text("name", 200) for run in runs)
    findings = tuple(finding for run in runs for finding in _findings(run, name))
    return SarifReport(", ".join(filter(None, tools)), findings)


def _findings(run: Body, file: str) -> Iterator[Finding]:
    rules = _Rules(run)
    artifacts = run.each("artifacts")
    for result in run.each("results"):
        if not result or _is_suppressed(result) or result.text("baselineState") == "absent":
            continue
        if result.text("kind") in _NO_PROBLEM:
            continue
        description = rules.of(result)
        rule = (
            result.text("ruleId", 200) or result.inner("rule").text("id", 200) or description.text("id", 200)
        )
        path, line = _place(result, artifacts)
        message = _message(result, description)
        yield Finding(
            rule=rule,
            level=_level(result, description, file),
            path=path,
            line=line,
            fingerprint=_fingerprint(result) or _hash(rule, path, message),
            message=message,
        )


class _Rules:
    """The rules that the tool and its extensions describe."""

    def __init__(self, run: Body) -> None:
        tool = run.inner("tool")
        self._driver = tool.inner("driver").each("rules")
        self._extensions = [one.each("rules") for one in tool.each("extensions")]
        every = (rule for rules in (self._driver, *self._extensions) for rule in rules)
        self._by_id: dict[str, Body] = {}
        for rule in every:
            self._by_id.setdefault(rule.text("id", 200), rule)

    def of(self, result: Body) -> Body:
        """The description of a result's rule (3.52.3), an empty one where there is none."""
        reference = result.inner("rule")
        component = reference.inner("toolComponent").whole("index")
        rules = self._driver if component is None else _item(self._extensions, component) or []
        index = result.whole("ruleIndex")
        by_index = _item(rules, reference.whole("index") if index is None else index)
        if by_index:
            return by_index
        rule = result.text("ruleId", 200) or reference.text("id", 200)
        # an id may go down to a rule's parts by slashes: CA1000/1 is described by CA1000 (3.27.5)
        return self._by_id.get(rule) or self._by_id.get(rule.rpartition("/")[0]) or Body(None)


def _item(items: list[_T], index: int | None) -> _T | None:
    return items[index] if index is not None and 0 <= index < len(items) else None


def _is_suppressed(result: Body) -> bool:
    """As Microsoft's viewers decide it (sarif-tutorials, Displaying results in a viewer): a suppression that somebody
    rejected or still looks at outweighs the others."""
    statuses = [one.data.get("status") for one in result.each("suppressions")]
    return bool(statuses) and all(status in (None, "accepted") for status in statuses)


def _level(result: Body, description: Body, file: str) -> str:
    """The level of a result (3.27.10): its own; ``none`` where it is no failure; its rule's; else ``warning``."""
    level = result.text("level", 40)
    if not level and result.text("kind") not in ("", "fail"):
        level = "none"
    level = level or description.inner("defaultConfiguration").text("level", 40) or "warning"
    if level not in _LEVELS:
        raise CiFileError(f"{file} is no SARIF 2.1.0 report: it has a result of the level {level!r}.")
    return level


def _place(result: Body, artifacts: list[Body]) -> tuple[str, int | None]:
    locations = result.each("locations")
    if not locations:
        return "", None
    physical = locations[0].inner("physicalLocation")
    artifact = physical.inner("artifactLocation")
    uri = artifact.text("uri", _LONGEST_PATH)
    if not uri:
        known = _item(artifacts, artifact.whole("index"))
        uri = known.inner("location").text("uri", _LONGEST_PATH) if known else ""
    path = unquote(uri.removeprefix("file://").removeprefix("./")).replace("\0", "�")
    line = physical.inner("region").whole("startLine")
    return path, line if line is not None and line > 0 else None


def _message(result: Body, description: Body) -> str:
    """The message (3.11): its text, or the one its id names among its rule's, with the arguments put in."""
    message = result.inner("message")
    text = message.text("text", _LONGEST_MESSAGE)
    if not text and (key := message.text("id", 200)):
        text = description.inner("messageStrings", key).text("text", _LONGEST_MESSAGE)
    text = text or message.text("markdown", _LONGEST_MESSAGE)
    arguments = message.data.get("arguments")
    if isinstance(arguments, list) and arguments:
        known = [str(one)[:_LONGEST_ARGUMENT] if isinstance(one, str) else "" for one in arguments]
        text = _PLACEHOLDER.sub(lambda match: _item(known, int(match[1])) or "", text)
    return text[:_LONGEST_MESSAGE]


def _fingerprint(result: Body) -> str:
    """What the tool says recognises the result (3.27.16, 3.27.17); the kind GitHub goes by where it is among it."""
    for field in ("partialFingerprints", "fingerprints"):
        body = result.inner(field)
        found = {key: text for key in body.data if (text := body.text(key))}
        of_github = [key for key in sorted(found) if key.partition("/")[0] == _OF_GITHUB]
        if of_github:
            return found[of_github[-1]][:_LONGEST_FINGERPRINT]
        if found:
            joined = ";".join(f"{key}:{found[key]}" for key in sorted(found))
            return joined if len(joined) <= _LONGEST_FINGERPRINT else _hash(joined)
    return ""


def _hash(*parts: str) -> str:
    return hashlib.sha1("\0".join(parts).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
