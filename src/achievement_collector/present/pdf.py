"""A document as PDF, set by Typst. The document goes in as data, so that no text in it can be markup."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib.resources import as_file, files

from achievement_collector.present.view import Document, Section

_MOST_BARS = 40


def pdf(document: Document) -> bytes:
    import typst

    sections = tuple(_with_few_bars(section) for section in document.sections)
    data = json.dumps(asdict(replace(document, sections=sections)), ensure_ascii=False)
    with as_file(files(__package__) / "templates" / "record.typ") as template:
        made = typst.compile(
            str(template),
            sys_inputs={"document": data},
            ignore_system_fonts=True,
            timestamp=_timestamp(document),
        )
    assert isinstance(made, bytes)
    return made


def _timestamp(document: Document) -> int:
    from datetime import UTC, datetime

    return int(datetime.fromisoformat(document.generated).replace(tzinfo=UTC).timestamp())


def _with_few_bars(section: Section) -> Section:
    """Months joined to years where a page could not hold them."""
    if section.kind != "months" or len(section.bars) <= _MOST_BARS:
        return section
    years: dict[str, int] = {}
    for month, count in section.bars:
        years[month[:4]] = years.get(month[:4], 0) + count
    return replace(section, bars=tuple(years.items()), note=section.note.replace("a month", "a year"))
