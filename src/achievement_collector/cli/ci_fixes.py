"""``ci fixes`` and ``ci fix``: what was tried at failures of CI, and the built-in fixers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from achievement_collector.cli import options

_Job = Annotated[str, typer.Argument(metavar="JOB", help="The failed job's id, key or address.")]
_Number = Annotated[int, typer.Argument(metavar="FIX", min=1, help="The number of the fix.")]
_Note = Annotated[str, typer.Option(help="A few words about it.", show_default=False)]


def add_to(ci: typer.Typer) -> None:
    fixes = typer.Typer(
        help="Attempts to fix failures of CI: list, show, record, verify, withdraw.", no_args_is_help=True
    )
    fixes.command("list")(list_)
    fixes.command()(show)
    fixes.command()(record)
    fixes.command()(verify)
    fixes.command()(withdraw)
    ci.add_typer(fixes, name="fixes")
    ci.command()(fix)


def list_(
    repository: options.Repository = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind.", show_default=False)] = None,
    since: options.Since = None,
    until: options.Until = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show what was tried, newest first, and the auto-fix success rate: verified by CI, of all of which CI told an outcome."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.fixes import list_fixes, page_data

    begin, end = options.window(since, until, now_ms())
    page = list_fixes(
        options.open_existing(database), repository=repository, since=begin, until=end, state=state, kind=kind
    )
    if as_json:
        _print(page_data(page))
        return
    from achievement_collector.present.fixes_terminal import fixes_table, rates_table
    from achievement_collector.present.terminal import console

    screen = console()
    if page.fixes:
        screen.print(fixes_table(page.fixes))
        screen.print()
    screen.print(rates_table(page.rates))


def show(number: _Number, as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show an attempt, each state it came to, and what recorded runs say of it."""
    from achievement_collector.services.fixes import fix_data, show_fix

    fix, told = show_fix(options.open_existing(database), number)
    if as_json:
        _print(fix_data(fix, told))
        return
    from achievement_collector.present.fixes_terminal import fix_in_full
    from achievement_collector.present.terminal import console

    console().print(fix_in_full(fix, told))


def record(
    job: _Job,
    kind: Annotated[str, typer.Option(help="One word, such as code_change, formatter or dependency.")],
    sha: Annotated[str, typer.Option(help="The commit of the fix (the full id).")],
    branch: Annotated[str, typer.Option(help="The branch that it is on.", show_default=False)] = "",
    pull: Annotated[
        int | None, typer.Option("--pr", min=1, help="The pull request's number.", show_default=False)
    ] = None,
    note: _Note = "",
    proposed: Annotated[bool, typer.Option("--proposed", help="It is only proposed yet.")] = False,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Record that a commit was made to fix a failed job. Whether it did is told by runs of CI alone."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.fixes import fix_data, record_fix

    done = record_fix(
        options.open_existing(database), job, kind=kind, sha=sha, now=now_ms(), branch=branch, pull=pull, note=note,
        is_proposed=proposed,
    )  # fmt: skip
    if as_json:
        _print({**fix_data(done.fix), "is_new": done.is_new})
        return
    told = "recorded" if done.is_new else f"was recorded before ({done.fix.state.value})"
    typer.echo(f"fix {done.fix.id} {told}")


def verify(
    number: Annotated[
        int | None, typer.Argument(metavar="[FIX]", min=1, help="Only this one.", show_default=False)
    ] = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Work out from the recorded runs, pull requests and commits what became of the attempts."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.fixes import fix_data, verify_fixes

    done = verify_fixes(options.open_existing(database), now_ms(), number=number)
    if as_json:
        _print({"looked_at": done.looked_at, "changed": [fix_data(one) for _, one in done.changed]})
        return
    from achievement_collector.present.printable import one_line

    for before, one in done.changed:
        told = f"{before.value} -> {one.state.value}" if before is not one.state else one.state.value
        last = f": {one.events[-1].told}" if one.events else ""
        typer.echo(one_line(f"fix {one.id}: {told}{last}"))
    typer.echo(f"{done.looked_at} looked at, of {len(done.changed)} something new is known")


def withdraw(number: _Number, note: _Note = "", database: options.Database = None) -> None:
    """Note that an attempt was given up. What CI said of it stays, and counts."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.fixes import withdraw_fix

    done = withdraw_fix(options.open_existing(database), number, now_ms(), note)
    typer.echo(f"fix {done.id} is {done.state.value}")


def fix(
    job: _Job,
    propose: Annotated[
        bool, typer.Option("--propose", help="Run what fits, and put what it changes on a branch of its own.")
    ] = False,
    fixer: Annotated[
        str, typer.Option("--with", metavar="FIXER", help="Only this built-in fixer.", show_default=False)
    ] = "",
    path: Annotated[Path, typer.Option(help="Where the repository is.")] = Path(),
    trust_repository: Annotated[
        bool,
        typer.Option(
            "--trust-repository", help="Also run fixers that may execute code of the failing commit."
        ),
    ] = False,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show which built-in fixers fit a failed job; with --propose run them on a copy, and commit what they change to a new local
    branch. Nothing is pushed, and nothing is changed in the checkout."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.fix_proposals import outlook, propose_fix

    ledger = options.open_existing(database)
    if not propose:
        _show_outlook(outlook(ledger, job, path, trusts_repository=trust_repository), as_json)
        return
    done = propose_fix(
        ledger, job, path, now_ms(), fixer=fixer, trusts_repository=trust_repository,
        on_wait=lambda: typer.echo("another proposal is being made; waiting for it", err=True),
    )  # fmt: skip
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.fixes import fix_data

    if as_json:
        _print(
            {
                "fix": fix_data(done.fix) if done.fix else None, "is_new": done.is_new, "why_not": done.outlook.why_not or None,
                "steps": [{"fixer": name, "told": told} for name, told in done.steps],
            }
        )  # fmt: skip
    else:
        for name, told in done.steps:
            typer.echo(one_line(f"{name}: {told}"))
        if done.fix is not None:
            one = done.fix
            said = "proposed" if done.is_new else f"there already ({one.state.value})"
            typer.echo(f"fix {one.id} {said}: commit {one.sha[:10]} on the local branch {one.branch}")
            typer.echo(f"look at it: git show {one.branch}")
            typer.echo(f"push it, if you want it: git push origin {one.branch}")
        else:
            typer.echo(
                one_line(f"nothing is proposed{f': {done.outlook.why_not}' if done.outlook.why_not else ''}")
            )
    if done.fix is None:
        raise typer.Exit(1)


def _show_outlook(found: Any, as_json: bool) -> None:
    from achievement_collector.present.printable import one_line

    if as_json:
        _print(
            {
                "job": found.job.key, "category": found.failure.category, "why_not": found.why_not or None,
                "attempts": [one.id for one in found.tried],
                "fixers": [
                    {
                        "name": one.fixer.name, "kind": one.fixer.kind, "runs_code": one.fixer.runs_code or None,
                        "uses_network": one.fixer.uses_network, "obstacle": one.obstacle or None,
                    }
                    for one in found.options
                ],
            }
        )  # fmt: skip
        return
    typer.echo(one_line(f"job {found.job.id} ({found.job.name}): {found.failure.category}"))
    for one in found.options:
        command = " ".join((one.fixer.program, *one.fixer.arguments))
        typer.echo(one_line(f"{one.fixer.name} ({one.fixer.kind}): {one.obstacle or f'would run {command}'}"))
    if found.why_not:
        typer.echo(one_line(f"no proposal: {found.why_not}"))


def _print(found: Any) -> None:
    import json

    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
