"""An epic as a file: Markdown, HTML, PDF or JSON. Names that are redacted and what looks like a secret stay inside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from achievement_collector.derive.conclusions import MeasuredSeries
from achievement_collector.derive.epics import content_hash
from achievement_collector.errors import ConfigurationError, ExportRefusedError
from achievement_collector.present.epic_view import Standing, Structure, build
from achievement_collector.present.personas import Persona
from achievement_collector.present.printable import printable
from achievement_collector.present.redaction import Redactions, _Replacing, without_shas
from achievement_collector.present.secrets import find_secrets
from achievement_collector.present.view import Document

EPIC_FORMATS = ("markdown", "html", "pdf", "json")
SCHEMA_VERSION = 1
"""Of the JSON; it grows when a field changes its meaning or goes away. New fields may come at any time."""


def render_epic(
    structure: Structure,
    persona: Persona,
    format: str,
    *,
    status: str,
    revision: int,
    unmet: Sequence[str],
    generated: str,
    redactions: Redactions | None = None,
    refuse: bool = True,
    measured: Sequence[MeasuredSeries] = (),
) -> bytes:
    """The bytes of a file: markdown, html, pdf or json.

    ``status`` is draft, final (or completed), canceled or withdrawn; ``unmet`` says what is missing; ``generated`` is a day or
    moment in ISO 8601. Raises :class:`ExportRefusedError` where a text looks like a secret; without ``refuse`` such a
    text is withheld instead. Raises :class:`ConfigurationError` for other formats.
    """
    if format not in EPIC_FORMATS:
        raise ConfigurationError(
            f"an epic is not exported as {format!r}; choose from {', '.join(EPIC_FORMATS)}"
        )
    standing = _standing(structure, status, revision, unmet, generated)
    told: dict[str, Any] = {
        "epic": structure,
        "unmet": list(unmet),
        "measured": [asdict(one) for one in measured],
    }
    told = _each_text(told, lambda text, *_: printable(text))  # first: no invisible character hides a name
    if redactions:
        told = _redacted(told, redactions)
        standing = replace(standing, digest=content_hash(told["epic"]), is_redacted=True)
    if refuse:
        _refuse_secrets(told)
    else:
        told = _each_text(told, lambda text, *_: _withheld(text))
    standing = replace(standing, unmet=tuple(told["unmet"]))
    if format == "json":
        return _json(told["epic"], persona, standing).encode()
    document = build(told["epic"], persona, standing, [_series(one) for one in told["measured"]])
    if format == "markdown":
        from achievement_collector.present.markdown import markdown

        return markdown(document).encode()
    if format == "html":
        from achievement_collector.present.html import html

        return html(document).encode()
    from achievement_collector.present.pdf import pdf

    return pdf(document)


def _series(told: Mapping[str, Any]) -> MeasuredSeries:
    listed = ("points", "change_points", "deployments")
    changed: dict[str, Any] = {name: tuple((one[0], one[1]) for one in told[name]) for name in listed}
    usual = told["usual"]
    return MeasuredSeries(**{**told, **changed, "usual": (usual[0], usual[1]) if usual else None})


def epic_document(
    structure: Structure,
    persona: Persona,
    *,
    status: str,
    revision: int,
    unmet: Sequence[str],
    generated: str,
) -> Document:
    """The document of an epic for a reader. It looks for no secrets: :func:`render_epic` does."""
    return build(structure, persona, _standing(structure, status, revision, unmet, generated))


def epic_json(
    structure: Structure,
    persona: Persona,
    *,
    status: str,
    revision: int,
    unmet: Sequence[str],
    generated: str,
) -> str:
    """The whole structure below ``epic``, whoever reads it. ``content_hash`` is the SHA-256 of ``epic`` in canonical
    JSON (keys sorted, no spaces, UTF-8), taken before control characters are taken out."""
    return _json(structure, persona, _standing(structure, status, revision, unmet, generated))


def _standing(
    structure: Structure, status: str, revision: int, unmet: Sequence[str], generated: str
) -> Standing:
    if status not in ("draft", "final", "completed", "canceled", "withdrawn"):
        raise ValueError(f"{status!r} is no status of an epic")
    return Standing(status, revision, tuple(unmet), generated, content_hash(structure))


def _json(structure: Structure, persona: Persona, standing: Standing) -> str:
    data = {
        "schema_version": SCHEMA_VERSION,
        "persona": persona.key,
        "status": "final" if standing.is_final else standing.status,
        "revision": standing.revision,
        "generated": standing.generated,
        "unmet": list(standing.unmet),
        "content_hash": standing.digest,
        "is_redacted": standing.is_redacted,
        "epic": structure,
    }
    clean = _each_text(data, lambda text, *_: printable(text))
    return json.dumps(clean, indent=2, ensure_ascii=False) + "\n"


def _each_text(value: Any, change: Callable[[str, str], str], name: str = "") -> Any:
    """The same data with every text changed; ``change`` takes the text and the name of its field."""
    if isinstance(value, str):
        return change(value, name)
    if isinstance(value, Mapping):
        return {key: _each_text(one, change, str(key)) for key, one in value.items()}
    return [_each_text(one, change, name) for one in value] if isinstance(value, list | tuple) else value


# --- what must not leave -----------------------------------------------------------------------------

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T[\d:]+Z)?")
_OWN_WORDS = frozenset({"state", "ci", "kind"})
_OWN_IDS = frozenset({"achievement", "content_hash"})
_ADDRESSES = frozenset({"url", "pr_links", "issue_links"})


def _redacted(told: dict[str, Any], redactions: Redactions) -> dict[str, Any]:
    """Every text redacted. An address that names what is hidden is dropped; so is each of a hidden repository, and,
    since the structure does not say which pull request told of them, every commit, CI report, screenshot and document of
    an epic with a hidden repository."""
    replacing = _Replacing(redactions)
    pulls = told["epic"]["deliverables"]["pull_requests"]
    hidden = {one["key"] for one in pulls if _hides(replacing, one)}
    # events and conditions name a pull request by the last part of its repository
    short = {}
    for key in hidden:
        repository, _, number = key.rpartition("#")
        old, new = (name.rpartition("/")[2] for name in (repository, replacing(repository)))
        if old != new:
            short[f"{old}#{number}"] = f"{new}#{number}"
    replacing = _Replacing(replace(redactions, words={**short, **redactions.words}))

    def change(text: str, name: str) -> str:
        if name in _OWN_WORDS or _MOMENT.fullmatch(text):
            return text
        if name in _ADDRESSES:
            return "" if _leads_back(replacing, text) else text
        told = replacing(text)
        return without_shas(told) if hidden and name not in _OWN_IDS else told

    addresses = {one["url"] for one in pulls if one["key"] in hidden}
    changed: dict[str, Any] = _each_text(told, change)
    epic = changed["epic"]
    for before, after in zip(pulls, epic["deliverables"]["pull_requests"], strict=True):
        if before["key"] in hidden:
            after["url"] = ""
    evidence = epic["evidence"]
    evidence["pr_links"] = [url for url in evidence["pr_links"] if url and url not in addresses]
    evidence["issue_links"] = [url for url in evidence["issue_links"] if url]
    if hidden:
        for name in ("ci_reports", "screenshots", "documents", "deployments"):
            evidence[name] = [{**one, "url": ""} for one in evidence.get(name, ())]
    return changed


def _hides(replacing: _Replacing, pull: Mapping[str, Any]) -> bool:
    return replacing.names_repository(pull["key"].rpartition("#")[0], pull["url"])


def _leads_back(replacing: _Replacing, url: str) -> bool:
    """Whether an address names what is hidden, in whatever way addresses write spaces."""
    from urllib.parse import unquote

    plain = unquote(url)
    spaced = re.sub(r"[-_+.=]+", " ", plain)
    return any(replacing(text) != text for text in (url, plain, spaced))


def _refuse_secrets(told: Mapping[str, Any]) -> None:
    found = [secret for where, text in _texts(told) for secret in find_secrets(text, where)]
    if found:
        first = found[0]
        more = f" ({len(found) - 1} more places)" if len(found) > 1 else ""
        raise ExportRefusedError(
            f"nothing was written: {first.where} holds what looks like {first.kind}, {first.masked}{more}; redact it "
            "(--redact) or edit it where it was written, and if it is real, revoke it"
        )


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _texts(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _texts(one, f"{path}[{number}]")


def _withheld(text: str) -> str:
    found = find_secrets(text)
    return f"withheld: it looks like {found[0].kind}" if found else text
