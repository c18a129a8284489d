"""Exporting a record to a file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from achievement_collector.config import Settings
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.errors import CollectorError
from achievement_collector.ledger.epics import frozen_structure
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.export import FORMATS, render, undrawn
from achievement_collector.present.personas import persona as persona_of
from achievement_collector.present.redaction import load_redactions, redact
from achievement_collector.services.kpi_views import measured_series
from achievement_collector.services.records import Query, build_record


def export(
    ledger: Ledger,
    query: Query,
    now: datetime,
    *,
    persona: str,
    format: str,
    top: int | None,
    redactions: Path | None = None,
    emails: bool = False,
    settings: Settings | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> bytes:
    """The bytes of the export. ``top`` achievements are chosen in the reader's order; ``warn`` is told what the
    file may not show."""
    reader = persona_of(persona)
    if format not in FORMATS:
        raise CollectorError(f"{format!r} is no format; choose from {', '.join(FORMATS)}")
    record = build_record(
        ledger, query, now, top=top, order=reader.order, releases_apart="releases" in reader.sections
    )
    if settings is not None:
        names = {
            item.reference
            for one in record.achievements
            if one.kind is AchievementKind.KPI
            for item in one.evidence
            if item.kind == "kpi"
        }
        record = replace(record, measured=measured_series(ledger, settings, names) if names else ())
    if redactions:
        record = redact(record, load_redactions(redactions))
    if format == "pdf" and (beyond := undrawn(record, reader, emails=emails)):
        few = beyond[:8] + ("…" if len(beyond) > 8 else "")
        warn(
            f"{few} is beyond the built-in fonts: shown if this system has a font for it (HTML shows it anywhere)"
        )
    return render(record, reader, format, emails=emails)


def export_epic(
    ledger: Ledger, name: str, now: datetime, *, persona: str, format: str, redactions: Path | None = None,
    settings: Settings | None = None,
) -> bytes:  # fmt: skip
    """The bytes of an epic's document for a reader: of its final revision as it was frozen, or of the draft as it stands."""
    from achievement_collector.present.epics import render_epic
    from achievement_collector.services.epics import find_epic

    reader = persona_of(persona)
    with ledger.read() as connection:
        epic = find_epic(connection, name)
        is_frozen = epic.state in ("completed", "withdrawn")
        frozen = frozen_structure(connection, epic.key, epic.revision) if is_frozen else None
    structure = frozen or epic.structure
    shifts = structure["metrics"]["business"].get("measured_shifts", {}).get("shifts", ())
    names = {str(one["series"]) for one in shifts}
    return render_epic(
        structure,
        reader,
        format,
        status=epic.state if is_frozen else "draft",
        revision=epic.revision,
        unmet=epic.unmet,
        generated=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        redactions=load_redactions(redactions) if redactions else None,
        measured=measured_series(ledger, settings, names) if names and settings else (),
    )


def write_file(path: Path, content: bytes) -> None:
    """Writes a file as a whole: a reader never sees half of it, and an error leaves the old one."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CollectorError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise CollectorError(f"{path} cannot be written: {error.strerror}") from None
