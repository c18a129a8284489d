"""``notion``: the databases of reports and of the roadmap, and bringing both up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from achievement_collector.cli import options

if TYPE_CHECKING:
    from achievement_collector.publish.notion.publishing import Outcome
    from achievement_collector.services.notion import Published, SetUp

PARTIAL = 3
"""The exit code where a part was done and a part was not."""


def add_to(app: typer.Typer, two_way: Callable[..., None] | None = None) -> None:
    """``two_way`` is the command of the sync in both directions."""
    notion = typer.Typer(help="Notion: setup, sync, two-way.", no_args_is_help=True)
    notion.command()(setup)
    notion.command()(sync)
    if two_way is not None:
        notion.command("two-way")(two_way)
    app.add_typer(notion, name="notion")


def setup(
    show_schema: Annotated[
        bool, typer.Option("--show-schema", help="Print the documented properties.")
    ] = False,
    create_databases: Annotated[
        bool,
        typer.Option(
            "--create-databases", help="Make the databases, or add what they lack; nothing is removed."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Look whether token and databases fit; write nothing.")
    ] = False,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show, make or check the two databases (NOTION_API_KEY, NOTION_PARENT_PAGE_ID)."""
    from achievement_collector.errors import ConfigurationError

    if [show_schema, create_databases, check].count(True) != 1:
        raise ConfigurationError("give one of --show-schema, --create-databases and --check")
    from achievement_collector.services import notion

    if show_schema:
        told = notion.schema_data()
        if as_json:
            _print(told)
        else:
            for line in schema_in_words(told):
                typer.echo(line)
        return
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.clock import now_ms

    in_force = options.settings(database)
    ledger = open_ledger(in_force.database)
    work = notion.create_databases if create_databases else notion.check_databases
    done = work(ledger, in_force, now_ms)
    if as_json:
        _print(_set_up_data(done))
    else:
        for line in set_up_in_words(done):
            typer.echo(line)
    if not done.is_ready:
        raise typer.Exit(PARTIAL)


def sync(
    milestone: Annotated[
        str | None, typer.Option(help="Only this milestone, and the newest report.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its hash; write nothing.")
    ] = False,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="HASH", help="Carry the plan out only if it is still this one.", show_default=False
        ),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over rows that people made, by their exact name.")
    ] = False,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Bring the newest report and the milestones into Notion. Exit code 3 where a part of it could not be written."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.notion import contents, publish

    in_force = options.settings(database)
    ledger = options.open_existing(database)
    found = contents(ledger, in_force, milestone, now_ms(), freezes=not dry_run)
    if not found.reports and not found.rows:
        typer.echo("there is no report and no milestone to show in Notion yet")
        return
    done = publish(ledger, in_force, found, now_ms, is_dry=dry_run, expected=expect, adopt=adopt)
    if as_json:
        _print(published_data(done))
    else:
        for line in published_in_words(done):
            typer.echo(line)
    if done.outcome is not None and not done.outcome.is_whole:
        raise typer.Exit(PARTIAL)


# --- in words ----------------------------------------------------------------------------------------


def schema_in_words(told: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for one in told:
        lines += [f"{one['title']} ({one['setting']})", f"  {one['description']}"]
        for each in one["properties"]:
            kind = f"{each['type']}, {each['format']}" if each["format"] else each["type"]
            more = [f": {', '.join(each['options'])}"] if each["options"] else []
            more += [f"; {', '.join(each['also'])} will do" if each["also"] else ""]
            more += ["; optional" if each["optional"] else "", f"; {each['note']}" if each["note"] else ""]
            lines.append(f"  - {each['name']} ({kind}{''.join(more)})")
        lines.append("")
    return lines[:-1]


def set_up_in_words(done: SetUp) -> list[str]:
    from achievement_collector.present.printable import one_line

    lines: list[str] = []
    for table in done.tables:
        state = "made" if table.definition.title in done.created else "there"
        lines += [
            f"{table.title or table.definition.title}: {state}",
            f"  {table.definition.setting}={table.database_id}",
        ]
        lines += [f"  added: {name}" for title, name in done.added if title == table.title]
        lines += [f"  missing: {one.name}" for one in table.missing]
        lines += [f"  differs: {one}" for one in table.problems]
    lines += [f"note: {one}" for one in done.warnings]
    return [one_line(line) for line in lines]


def published_in_words(done: Published) -> list[str]:
    from achievement_collector.present.printable import one_line

    plan, outcome = done.plan, done.outcome
    lines = (
        [f"{one.action:7}{one.table}  {one.name}{_fields(one.values)}" for one in plan.operations]
        if outcome is None
        else []
    )
    lines += [f"left alone: {name}: {why}" for name, why in plan.skipped]
    notices = [*plan.notices, *(outcome.notices if outcome else ())]
    lines += [f"note: {one}" for one in dict.fromkeys([*done.problems, *notices])]
    if outcome is None:
        lines.append(
            f"plan {plan.hash}: {len(plan.operations)} to write" if plan.operations else "nothing to write"
        )
    else:
        lines += _outcome_in_words(outcome, done)
    return [one_line(line) for line in lines]


def _outcome_in_words(outcome: Outcome, done: Published) -> list[str]:
    from achievement_collector.present.wording import plural

    lines = [f"failed: {name}: {why}" for name, why in outcome.failed]
    lines += [f"stopped: {outcome.stopped}"] if outcome.stopped else []
    lines.append(
        f"Notion: {outcome.created} created, {outcome.updated} updated, "
        f"{plural(outcome.texts, 'text')} written, {plural(done.requests, 'request')}"
        if done.writes or not outcome.is_whole
        else f"Notion: up to date, nothing written, {done.requests} requests"
    )
    return lines


def _fields(values: Any) -> str:
    from achievement_collector.publish.notion.plan import shown

    told = ", ".join(f"{key} {shown(value)}" for key, value in values.items() if key != "sync_key")
    return f": {told}" if told else ""


# --- as JSON -----------------------------------------------------------------------------------------


def _set_up_data(done: SetUp) -> dict[str, Any]:
    tables = [
        {
            "title": one.title,
            "setting": one.definition.setting,
            "database": one.database_id,
            "data_source": one.source_id,
            "url": one.url,
            "properties": {
                key: {"id": column.id, "name": column.name} for key, column in one.columns.items()
            },
            "missing": [each.name for each in one.missing],
            "problems": list(one.problems),
        }
        for one in done.tables
    ]
    added = [{"database": title, "property": name} for title, name in done.added]
    return {
        "ready": done.is_ready,
        "databases": tables,
        "created": done.created,
        "added": added,
        "notes": done.warnings,
    }


def published_data(done: Published) -> dict[str, Any]:
    outcome = done.outcome
    told: dict[str, Any] = {
        "plan": done.plan.hash,
        "operations": [one.data() for one in done.plan.operations],
        "left_alone": [{"name": name, "reason": why} for name, why in done.plan.skipped],
        "notes": [*done.problems, *done.plan.notices, *(outcome.notices if outcome else ())],
        "requests": done.requests,
        "writes": done.writes,
    }
    if outcome is not None:
        told |= {
            "created": outcome.created, "updated": outcome.updated, "texts": outcome.texts,
            "failed": [{"name": name, "reason": why} for name, why in outcome.failed],
            "stopped": outcome.stopped or None, "retry_after_seconds": outcome.seconds,
        }  # fmt: skip
    return told


def _print(data: object) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
