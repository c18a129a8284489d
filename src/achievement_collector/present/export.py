"""A record in any format. Nothing that looks like a secret is let out."""

from __future__ import annotations

from achievement_collector.derive.conclusions import Record
from achievement_collector.errors import ConfigurationError, ExportRefusedError
from achievement_collector.present.json_record import json_record
from achievement_collector.present.personas import Persona
from achievement_collector.present.secrets import Secret, find_secrets
from achievement_collector.present.view import build

FORMATS = ("markdown", "json", "csv", "html", "pdf", "jsonresume")


def render(record: Record, persona: Persona, format: str, *, emails: bool = False) -> bytes:
    """The bytes of a file. Raises :class:`ExportRefusedError` where a text looks like a secret."""
    refuse_secrets(record)
    match format:
        case "json":
            return json_record(record, persona.key, emails=emails).encode()
        case "csv":
            from achievement_collector.present.csv_record import csv_record

            return csv_record(record, persona).encode()
        case "jsonresume":
            from achievement_collector.present.jsonresume import json_resume

            return json_resume(record, persona, emails=emails).encode()
        case "markdown":
            from achievement_collector.present.markdown import markdown

            return markdown(build(record, persona, emails=emails)).encode()
        case "html":
            from achievement_collector.present.html import html

            return html(build(record, persona, emails=emails)).encode()
        case "pdf":
            from achievement_collector.present.pdf import pdf

            return pdf(build(record, persona, emails=emails))
    raise ConfigurationError(f"{format!r} is no format; choose from {', '.join(FORMATS)}")


def undrawn(record: Record, persona: Persona, *, emails: bool = False) -> str:
    """Characters that a PDF of the record may lack, because only a font of the system could draw them."""
    from achievement_collector.present.pdf import beyond_own_fonts

    return beyond_own_fonts(build(record, persona, emails=emails))


def refuse_secrets(record: Record) -> None:
    """Looks at everything that any format could write."""
    found: list[Secret] = []
    for one in (*record.achievements, *record.gathered):
        texts = [
            one.title, one.description, one.category.basis, one.value.text, one.value.source, one.released_in,
            *(skill.evidence for skill in one.skills), *(credit.person for credit in one.credits),
            *(f"{item.reference} {item.label} {item.url}" for item in one.evidence), *(part.fact for part in one.impact.parts),
            *(part.fact for part in one.complexity.parts),
        ]  # fmt: skip
        found += find_secrets("\n".join(texts), f"achievement {one.id}")
    for series in record.measured:
        told = [
            series.title,
            series.name,
            series.unit,
            *(text for _, text in (*series.change_points, *series.deployments)),
        ]
        found += find_secrets("\n".join(told), f"series {series.name}")
    for place in record.repositories:
        found += find_secrets(f"{place.key} {place.web_url}", f"repository {place.key}")
    if found:
        first = found[0]
        more = f" ({len(found) - 1} more places)" if len(found) > 1 else ""
        raise ExportRefusedError(
            f"nothing was written: {first.where} holds what looks like {first.kind}, {first.masked}{more}; "
            "redact it (--redact), edit or hide the achievement, and if it is real, revoke it"
        )
