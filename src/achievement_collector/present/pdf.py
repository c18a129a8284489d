"""A document as PDF, set by Typst. The document goes in as data, so that no text in it can be markup."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import as_file, files

from achievement_collector.present.view import Document


def pdf(document: Document) -> bytes:
    import typst

    data = json.dumps(asdict(document), ensure_ascii=False)
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
