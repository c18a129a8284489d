"""``ci report`` and ``report``: reports of CI, of quarters, and the frozen ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from achievement_collector.cli import options

_Format = Annotated[str, typer.Option("--format", help="markdown, html, pdf or json.")]
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file; the screen otherwise.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    report = typer.Typer(help="Reports: quarterly, list, show.", no_args_is_help=True)
    report.command()(quarterly)
    report.command("list")(list_)
    report.command()(show)
    app.add_typer(report, name="report")


def ci_report(
    week: Annotated[
        str | None,
        typer.Option(help="2026-W47, a day of it, or last (the newest that is over).", show_default=False),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    repository: options.Repository = None,
    format: _Format = "markdown",
    output: _Output = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Make the report of a week, which is frozen once the week is over, or of another period."""
    from achievement_collector.errors import CollectorError
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.reports import ci_report as make

    if week and (since or until):
        raise CollectorError("give --week, or --since and --until")
    now = now_ms()
    begin, end = options.window(since, until, now)
    data = make(
        options.open_existing(database), options.settings(database), now, repository=repository, week=week, since=begin,
        until=min(end, now) if end else None,
    )  # fmt: skip
    _write(data, "json" if as_json else format, output)


def quarterly(
    quarter: Annotated[str | None, typer.Option(help="Such as Q4-2026.", show_default=False)] = None,
    auto: Annotated[bool, typer.Option("--auto", help="The newest quarter that is over.")] = False,
    repository: options.Repository = None,
    format: _Format = "markdown",
    output: _Output = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Make the report of a quarter: milestones, slips, velocity, CI; frozen once the quarter is over."""
    from achievement_collector.errors import CollectorError
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.quarterly_reports import quarterly_report

    if bool(quarter) == auto:
        raise CollectorError("give --quarter Q4-2026, or --auto for the newest that is over")
    data = quarterly_report(
        options.open_existing(database),
        options.settings(database),
        now_ms(),
        quarter=quarter,
        repository=repository,
    )
    _write(data, "json" if as_json else format, output)


def list_(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show the frozen reports, the latest first."""
    from achievement_collector.services.reports import list_reports

    found = list_reports(options.open_existing(database))
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from achievement_collector.present.printable import one_line

    for one in found:
        typer.echo(
            one_line(
                f"{one['key']}  {one['since'][:10]} to {one['until'][:10]}  sha256 {one['content_hash'][:12]}"
            )
        )
    if not found:
        typer.echo("no report is frozen yet; ci report makes one")


def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As report list shows it.")],
    format: _Format = "markdown",
    output: _Output = None,
    database: options.Database = None,
) -> None:
    """Show a frozen report."""
    from achievement_collector.services.reports import one_report

    _write(one_report(options.open_existing(database), key), format, output)


def _write(data: dict[str, Any], format: str, output: Path | None) -> None:
    import sys

    from achievement_collector.errors import CollectorError
    from achievement_collector.present.printable import one_line
    from achievement_collector.present.reports import render_report
    from achievement_collector.services.exporting import write_file

    if format == "pdf" and output is None and sys.stdout.isatty():
        raise CollectorError("a PDF is not for the screen; name a file with --output")
    content = render_report(data, format)
    if output is None:
        sys.stdout.buffer.write(content)
        return
    write_file(output, content)
    typer.echo(one_line(f"written: {output} ({len(content):,} bytes)"))
