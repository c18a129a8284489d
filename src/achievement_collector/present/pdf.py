"""A document as PDF, set by Typst. The document goes in as data, so that no text in it can be markup."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from importlib.resources import as_file, files
from typing import Any

from achievement_collector.present.kpi_charts import printed
from achievement_collector.present.view import Document

# what the fonts inside the compiler draw: Latin, Greek, Cyrillic, punctuation and technical signs
_BEYOND_OWN_FONTS = re.compile(r"[^\x00-\u052f\u1d00-\u23ff\u2500-\u27bf\u2900-\u2bff\ufb00-\ufb06]")


def beyond_own_fonts(document: Document) -> str:
    """The characters, each once, that are drawn only where the system has a font for them (such as Chinese or
    emoji); without one the page has a box in their place and its text lacks them."""
    return "".join(sorted(set(_BEYOND_OWN_FONTS.findall(json.dumps(asdict(document), ensure_ascii=False)))))


def pdf(document: Document) -> bytes:
    import typst

    data = json.dumps(_data(document), ensure_ascii=False)
    with as_file(files(__package__) / "templates" / "record.typ") as template:
        made = typst.compile(
            str(template),
            sys_inputs={"document": data},
            ignore_system_fonts=not beyond_own_fonts(document),  # the same pages everywhere, if they can be,
            timestamp=_timestamp(document),
        )
    assert isinstance(made, bytes)
    return made


def _data(document: Document) -> dict[str, Any]:
    """The document as plain data, its charts drawn."""
    data = asdict(document)
    for section, told in zip(document.sections, data["sections"], strict=True):
        drawn = [printed(one) for one in section.charts]
        told["charts"] = [
            {**one._asdict(), "legend": [entry._asdict() for entry in one.legend]} for one in drawn
        ]
    return data


def _timestamp(document: Document) -> int:
    from datetime import UTC, datetime

    return int(datetime.fromisoformat(document.generated).replace(tzinfo=UTC).timestamp())
