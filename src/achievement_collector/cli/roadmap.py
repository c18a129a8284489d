"""``roadmap``: where milestones stand, and which one a branch or a pull request belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from achievement_collector.cli import options

if TYPE_CHECKING:
    from achievement_collector.ledger.store import Ledger

_File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="The roadmap; default: ROADMAP_FILE, or roadmap.yaml in this folder.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    roadmap = typer.Typer(help="Milestones: status, show, detect, snapshot.", no_args_is_help=True)
    roadmap.command()(status)
    roadmap.command()(show)
    roadmap.command()(detect)
    roadmap.command()(snapshot)
    app.add_typer(roadmap, name="roadmap")


def status(file: _File = None, as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show every milestone: status, readiness, progress, forecast; and the measures of the whole roadmap."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.roadmap import load_plan, roadmap_status

    found = roadmap_status(
        options.open_existing(database), load_plan(file, options.settings(database)), now_ms()
    )
    if as_json:
        _print(found)
        return
    from achievement_collector.present.roadmap_terminal import roadmap_in_short
    from achievement_collector.present.terminal import console

    console().print(roadmap_in_short(found))
    if not found["milestones"]:
        typer.echo("no milestone is known; docs/roadmap.md tells where they come from")


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The milestone's title, key, or the end of it.")
    ],
    file: _File = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show a milestone with the evidence for each part of its score, its issues and pull requests."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.roadmap import load_plan, show_milestone

    found = show_milestone(
        options.open_existing(database), load_plan(file, options.settings(database)), name, now_ms()
    )
    if as_json:
        _print(found)
        return
    from achievement_collector.present.roadmap_terminal import milestone_in_full
    from achievement_collector.present.terminal import console

    console().print(milestone_in_full(found))


def detect(
    branch: Annotated[str, typer.Option(help="A branch's name.", show_default=False)] = "",
    pull: Annotated[
        str, typer.Option("--pr", metavar="PULL", help="OWNER/REPO#12, or its address.", show_default=False)
    ] = "",
    milestone: Annotated[str, typer.Option(help="This one, whatever else is told.", show_default=False)] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="A label; may be given again.", show_default=False)
    ] = None,
    repository: Annotated[
        str,
        typer.Option(
            "--repo",
            "--repository",
            help="HOST/OWNER/REPO, to tell milestones of one title apart.",
            show_default=False,
        ),
    ] = "",
    file: _File = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Tell the milestone of a branch or pull request, and what tells it: --milestone, else MILESTONE of the environment, the
    pull request's milestone, a linked issue, a label, the branch. Where nothing does, none."""
    import os

    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.roadmap import detect_milestone, detected_data, load_plan

    plan = load_plan(file, options.settings(database))
    found = detect_milestone(
        _ledger_if_there(database), plan, flag=milestone, environment=os.environ.get("MILESTONE", ""), pull=pull,
        labels=label or (), branch=branch, repository=repository, now=now_ms(),
    )  # fmt: skip
    if as_json:
        _print(detected_data(found))
        return
    from achievement_collector.present.printable import one_line

    typer.echo(one_line(f"{found.title or 'none'} ({found.told})"))
    if found.title and not found.key:
        typer.echo("it is on no roadmap", err=True)
    for note in found.notes:
        typer.echo(one_line(f"note: {note}"), err=True)


def snapshot(file: _File = None, as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Keep how every milestone stands today, for ever; a second one of a day changes nothing."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.roadmap import load_plan, take_snapshot

    done = take_snapshot(
        options.open_existing(database), load_plan(file, options.settings(database)), now_ms()
    )
    if as_json:
        _print({"day": done.day.isoformat(), "new": list(done.new), "known": done.known})
        return
    kept = f", {done.known} were kept before" if done.known else ""
    typer.echo(f"{done.day}: {len(done.new)} milestones kept{kept}")


def _ledger_if_there(database: str | None) -> Ledger | None:
    """The ledger, None where there is none: a workflow of CI may have the file alone."""
    import os

    from achievement_collector.ledger.store import ledger_url

    url = ledger_url(options.settings(database).database)
    if url.get_backend_name() == "sqlite" and not os.path.exists(url.database or ""):
        return None
    return options.open_existing(database)


def _print(found: Any) -> None:
    import json

    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
