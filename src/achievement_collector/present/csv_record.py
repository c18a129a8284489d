"""A record as CSV (RFC 4180, UTF-8): one row for each achievement. No cell is ever read as a formula."""

from __future__ import annotations

import csv
import io

from achievement_collector.derive.conclusions import Record
from achievement_collector.present.personas import Persona
from achievement_collector.present.printable import one_line
from achievement_collector.present.view import ordered, safe_url
from achievement_collector.present.wording import value_in_words

COLUMNS = (
    "id", "date", "kind", "repository", "title", "category", "confidence", "impact", "complexity", "lines_added",
    "lines_deleted", "files", "people", "skills", "released_in", "pull_request", "business_value", "url",
)  # fmt: skip


def csv_record(record: Record, persona: Persona) -> str:
    """The achievements in the reader's order. What was not measured is an empty cell, or says so."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in ordered(record.achievements, persona):
        measured = one.size.is_measured
        url = next((safe_url(item.url) for item in one.evidence if safe_url(item.url)), "")
        row: list[object] = [
            one.id, one.occurred.date().isoformat(), one.kind.value, one.repository, one.title,
            one.category.category.value, f"{one.category.confidence:.2f}",
            one.impact.value if one.impact.parts else "", one.complexity.value if one.complexity.parts else "",
            one.size.lines_added if measured else "", one.size.lines_deleted if measured else "",
            one.size.files if measured else "", "; ".join(credit.person for credit in one.credits),
            "; ".join(skill.name for skill in one.skills), one.released_in,
            one.pull_request if one.pull_request is not None else "", value_in_words(one.value), url,
        ]  # fmt: skip
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = one_line(value)
    # spreadsheets take these for formulas, wherever the text came from
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "|", "%") else text
