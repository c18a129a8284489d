"""``list``, ``show``, ``stats``, ``edit``, ``hide``, ``add`` and ``doctor``."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated

import typer

from achievement_collector.cli import options
from achievement_collector.derive.conclusions import GATHERERS

_Id = Annotated[
    str, typer.Argument(metavar="ID", help="The achievement's id, or its first four digits or more.")
]


def add_to(app: typer.Typer) -> None:
    app.command("list")(list_)
    app.command()(show)
    app.command()(stats)
    app.command()(edit)
    app.command()(hide)
    app.command()(add)
    app.command()(doctor)


def list_(
    category: options.Category = None,
    skill: options.Skill = None,
    person: options.Person = None,
    me: options.Me = False,
    repository: options.Repository = None,
    since: options.Since = None,
    until: options.Until = None,
    min_impact: options.MinImpact = None,
    text: options.Text = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Only change, release, stated, issue, epic, deployment, kpi, content or experiment.",
            show_default=False,
        ),
    ] = None,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first instead of best first.")] = False,
    left_out: Annotated[bool, typer.Option("--left-out", help="What the rules leave out, and why.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Hidden ones as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many; 0 for all.")] = 20,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """List achievements, best first."""
    from datetime import UTC, datetime

    from achievement_collector.services.records import Query, list_achievements

    ledger = options.open_existing(database)
    query = Query(
        category=category, skill=skill, person=person, me=me, repository=repository, since=since, until=until,
        min_impact=min_impact, text=text, kind=kind, left_out=left_out, hidden=hidden,
    )  # fmt: skip
    listing = list_achievements(ledger, query, datetime.now(UTC), limit=limit or None, newest_first=newest)
    if as_json:
        import json

        from achievement_collector.present.json_record import achievement_json

        typer.echo(
            json.dumps([achievement_json(one) for one in listing.achievements], indent=2, ensure_ascii=False)
        )
        return
    from achievement_collector.present.terminal import achievements_table, console, left_out_table
    from achievement_collector.present.wording import left_out_in_words, plural

    screen = console()
    if left_out:
        screen.print(left_out_table(listing.achievements, screen.width))
    else:
        screen.print(
            achievements_table(listing.achievements, screen.width, repositories=listing.repositories > 1)
        )
    gatherers = {} if kind in GATHERERS else Counter(
        one.kind.value for one in listing.achievements if one.kind.value in GATHERERS
    )  # fmt: skip
    shown = len(listing.achievements) - sum(gatherers.values())
    rest = "" if shown >= listing.matching else f", {shown:,} shown (--limit 0 shows all)"
    screen.print()
    noun = "left out by the rules" if left_out else "achievement"
    nouns = "left out by the rules" if left_out else "achievements"
    screen.print(f"{plural(listing.matching, noun, nouns)}: {listing.selection}{rest}")
    if gatherers:
        told = " and ".join(plural(count, name) for name, count in sorted(gatherers.items(), reverse=True))
        screen.print(f"{told} beside them, gathering what is counted already")
    if not left_out and listing.left_out:
        screen.print(
            f"left out: {left_out_in_words(listing.left_out, listing.bots_left_out)} (--left-out tells why)"
        )
    for key in listing.unfinished:
        screen.print(f"the scan of {key} has not come to its end; run scan again to complete it")


def show(
    id: _Id,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show one achievement: the whole breakdown, the evidence, and how to verify it."""
    from achievement_collector.services.records import show_achievement

    ledger = options.open_existing(database)
    shown = show_achievement(ledger, id)
    if as_json:
        import json

        from achievement_collector.present.json_record import achievement_json

        data = achievement_json(shown.achievement) | {
            "verify": list(shown.commands),
            "tags": list(shown.tags),
            "impact_scale": {"factor": shown.scale, "changes": shown.scale_basis},
        }
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from achievement_collector.derive import RULES_VERSION
    from achievement_collector.present.terminal import achievement_in_full, console

    # the terminal wraps lines, so that addresses and commands can be copied whole
    page = achievement_in_full(shown.achievement, shown.commands, shown.tags, RULES_VERSION)
    screen = console()
    screen.print(page, soft_wrap=True)
    if shown.scale_basis:
        screen.print(
            f"impact is scaled by {shown.scale:.2f} in this repository, found on {shown.scale_basis:,} changes"
            " (docs/rules.md)",
            style="dim",
        )


def stats(
    person: options.Person = None,
    me: options.Me = False,
    repository: options.Repository = None,
    since: options.Since = None,
    until: options.Until = None,
    category: options.Category = None,
    skill: options.Skill = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Activity by month, categories, and skills over time."""
    from datetime import UTC, datetime

    from achievement_collector.services.records import Query, build_record

    ledger = options.open_existing(database)
    query = Query(
        person=person, me=me, repository=repository, since=since, until=until, category=category, skill=skill
    )
    record = build_record(ledger, query, datetime.now(UTC), top=0)
    if as_json:
        import json

        data = {
            "selection": record.selection,
            "achievements": record.matching,
            "left_out": record.left_out,
            "left_out_bots": record.bots_left_out,
            "months": dict(record.months),
            "categories": dict(record.categories),
            "skills": [skill._asdict() | {"kind": skill.kind.value} for skill in record.skills],
        }
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from achievement_collector.present.terminal import console, statistics

    screen = console()
    screen.print(statistics(record, screen.width))


def edit(
    id: _Id,
    title: Annotated[str | None, typer.Option(help="Another title.", show_default=False)] = None,
    description: Annotated[str | None, typer.Option(help="Another description.", show_default=False)] = None,
    hidden: Annotated[
        bool | None, typer.Option("--hidden/--shown", help="Hide it, or show it again.", show_default=False)
    ] = None,
    impact: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Your own impact score; marked as yours.", show_default=False),
    ] = None,
    complexity: Annotated[
        int | None, typer.Option(min=0, max=100, help="Your own complexity score.", show_default=False)
    ] = None,
    value: Annotated[
        str | None, typer.Option(help="The business value, as you state it.", show_default=False)
    ] = None,
    reset: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Take an edit of this field back.", show_default=False),
    ] = None,
    database: options.Database = None,
) -> None:
    """Set what the rules cannot know. Edits survive every re-derivation and are marked as yours."""
    from achievement_collector.services.editing import edit_achievement

    ledger = options.open_existing(database)
    given = {
        "title": title, "description": description, "hidden": hidden, "impact": impact, "complexity": complexity,
        "value": value,
    }  # fmt: skip
    fields = {name: one for name, one in given.items() if one is not None}
    uid = edit_achievement(ledger, id, fields, reset or [], options.settings(database), int(time.time()))
    typer.echo(
        f"{uid}: "
        + ", ".join([*(f"{name} set" for name in fields), *(f"{name} reset" for name in reset or [])])
    )


def hide(id: _Id, database: options.Database = None) -> None:
    """Leave an achievement out of every list and export (edit ID --shown takes it back)."""
    from achievement_collector.services.editing import edit_achievement

    ledger = options.open_existing(database)
    uid = edit_achievement(ledger, id, {"hidden": True}, [], options.settings(database), int(time.time()))
    typer.echo(f"{uid}: hidden")


def add(
    title: Annotated[str, typer.Argument(help="What was achieved.")],
    description: Annotated[str, typer.Option(help="More about it.", show_default=False)] = "",
    date: Annotated[
        str | None, typer.Option(help="The day (2026-03-31); default: today.", show_default=False)
    ] = None,
    category: Annotated[str, typer.Option(help="A category; default: unsure.")] = "unsure",
    person: Annotated[
        str | None, typer.Option(help="Whose it is; default: yours, as git knows you.", show_default=False)
    ] = None,
    link: Annotated[str, typer.Option(help="A link that shows it.", show_default=False)] = "",
    value: Annotated[str, typer.Option(help="The business value, as you state it.", show_default=False)] = "",
    impact: Annotated[
        int | None, typer.Option(min=0, max=100, help="Your own impact score.", show_default=False)
    ] = None,
    skill: Annotated[
        list[str] | None, typer.Option(help="A skill it shows; may be repeated.", show_default=False)
    ] = None,
    database: options.Database = None,
) -> None:
    """Add what no tool could see: mentoring, leading an incident, a talk. It is marked as stated."""
    from datetime import UTC, datetime

    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.editing import Statement, add_statement

    in_force = options.settings(database)
    ledger = open_ledger(in_force.database)
    statement = Statement(title, description, date, category, person, link, value, impact, tuple(skill or ()))
    uid = add_statement(ledger, statement, datetime.now(UTC), in_force)
    typer.echo(f"{uid}: added, marked as stated")


def doctor(database: options.Database = None, as_json: options.AsJson = False) -> None:
    """What is configured, what works, and what to do about what does not."""
    from achievement_collector.services.doctor import examine

    findings = examine(options.settings(database))
    if as_json:
        import json

        typer.echo(json.dumps([one._asdict() for one in findings], indent=2))
    else:
        from rich.table import Table
        from rich.text import Text

        from achievement_collector.present.printable import one_line
        from achievement_collector.present.terminal import console

        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for one in findings:
            mark = {"ok": Text("ok", style="green"), "note": Text("–", style="dim")}.get(
                one.state, Text("fails", style="bold red")
            )
            table.add_row(
                mark, Text(one.subject), Text(one_line(one.finding)), Text(one_line(one.advice), style="dim")
            )
        console().print(table)
    if any(one.state == "fails" for one in findings):
        raise typer.Exit(1)
