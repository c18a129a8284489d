"""``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from achievement_collector.cli import options

_ENDINGS = {
    ".md": "markdown", ".markdown": "markdown", ".json": "json", ".csv": "csv", ".html": "html", ".htm": "html",
    ".pdf": "pdf",
}  # fmt: skip


def add_to(app: typer.Typer) -> None:
    app.command()(export)


def export(
    person: options.Person = None,
    me: options.Me = False,
    repository: options.Repository = None,
    since: options.Since = None,
    until: options.Until = None,
    category: options.Category = None,
    skill: options.Skill = None,
    min_impact: options.MinImpact = None,
    text: options.Text = None,
    persona: Annotated[
        str,
        typer.Option(
            help="Who reads it: tech_lead, hr_manager, startup_ceo, investor, technical, business, leadership."
        ),
    ] = "technical",
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="markdown, json, csv, html, pdf or jsonresume; default: by --output, else markdown.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="How many achievements; 0 for all.")] = 30,
    redact: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A TOML file of names to replace everywhere.", show_default=False),
    ] = None,
    emails: Annotated[bool, typer.Option("--emails", help="With the person's address.")] = False,
    epic: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The document of an epic instead of a record.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; default: the screen.", show_default=False),
    ] = None,
    database: options.Database = None,
) -> None:
    """Write a record for a reader: the same facts, chosen, ordered and worded for them."""
    import sys
    from datetime import UTC, datetime

    from achievement_collector.errors import CollectorError
    from achievement_collector.services.exporting import export as export_record
    from achievement_collector.services.exporting import export_epic
    from achievement_collector.services.records import Query

    ledger = options.open_existing(database)
    wanted = (format or _ENDINGS.get(output.suffix.lower() if output else "", "markdown")).lower()
    if wanted == "md":
        wanted = "markdown"
    if wanted == "pdf" and output is None and sys.stdout.isatty():
        raise CollectorError("a PDF is not for the screen; name a file with --output")
    query = Query(
        person=person, me=me, repository=repository, since=since, until=until, category=category, skill=skill,
        min_impact=min_impact, text=text,
    )  # fmt: skip
    if epic is not None:
        if query != Query() or emails:
            raise CollectorError(
                "an epic is exported whole: --epic goes with --persona, --format, --redact and --output"
            )
        content = export_epic(
            ledger, epic, datetime.now(UTC), persona=persona, format=wanted, redactions=redact,
            settings=options.settings(database),
        )  # fmt: skip
        _write(content, output)
        return
    content = export_record(
        ledger,
        query,
        datetime.now(UTC),
        persona=persona,
        format=wanted,
        top=top or None,
        redactions=redact,
        emails=emails,
        settings=options.settings(database),
        warn=lambda told: typer.echo(f"note: {told}", err=True),
    )
    _write(content, output)


def _write(content: bytes, output: Path | None) -> None:
    import sys

    from achievement_collector.services.exporting import write_file

    if output is None:
        sys.stdout.buffer.write(content)
        return
    write_file(output, content)
    typer.echo(f"written: {output} ({len(content):,} bytes)", err=True)
