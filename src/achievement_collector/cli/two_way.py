"""``notion two-way`` and ``sync conflicts``: Notion's roadmap and GitHub's issues and milestones kept in step."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from achievement_collector.cli import options

if TYPE_CHECKING:
    from achievement_collector.derive.merging import Value
    from achievement_collector.derive.sync_plan import Operation, Plan
    from achievement_collector.ledger.syncing import Health, StoredConflict
    from achievement_collector.services.two_way.passes import Pass


class Take(StrEnum):
    """The side whose value is taken."""

    GITHUB = "github"
    NOTION = "notion"


def add_conflicts_to(sync: typer.Typer) -> None:
    """The commands ``conflicts list`` and ``conflicts resolve`` of ``sync``."""
    conflicts = typer.Typer(
        help="What changed on both sides and waits for a person: list, resolve.", no_args_is_help=True
    )
    conflicts.command("list")(conflicts_list)
    conflicts.command("resolve")(conflicts_resolve)
    sync.add_typer(conflicts, name="conflicts")


def two_way(
    full_sync: Annotated[
        bool, typer.Option("--full-sync", help="Read everything, not only what changed; done daily anyway.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan with its hash; write nothing.")
    ] = False,
    demanded: Annotated[
        str,
        typer.Option(
            "--plan", metavar="HASH", help="Apply only if the plan still has this hash.", show_default=False
        ),
    ] = "",
    removals: Annotated[
        int, typer.Option(min=0, help="Allow this many links to end in one run.", show_default=False)
    ] = 0,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="Send again what was refused before.")
    ] = False,
    link_titles: Annotated[
        bool,
        typer.Option(
            "--link-titles", help="Link items of the same title, which are only proposed otherwise."
        ),
    ] = False,
    show_health: Annotated[bool, typer.Option("--health", help="Only show how the sync is doing.")] = False,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Bring Notion's roadmap and GitHub's issues and milestones to agree, in both directions.

    Exit code 0: done; 2: conflicts wait for you; 3: a part is left; 1: nothing could be done.
    """
    from achievement_collector.errors import CollectorError
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.two_way.running import sync_health, sync_two_way

    try:
        in_force = options.settings(database)
        ledger = open_ledger(in_force.database)
        if show_health:
            found = sync_health(ledger, now_ms())
            _print([_health_data(scope, one) for scope, one in found.items()]) if as_json else _tell_health(
                found
            )
            return
        done = sync_two_way(
            ledger, in_force, now_ms, is_full=full_sync, is_dry=dry_run, demanded=demanded, removals=removals,
            tries_again=retry_refused, links_titles=link_titles,
        )  # fmt: skip
    except CollectorError as error:
        typer.echo(f"achievement-collector: {one_line(str(error))}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        _print(pass_data(done))
    else:
        for line in pass_in_words(done):
            typer.echo(one_line(line))
    raise typer.Exit(int(done.exit))


def conflicts_list(as_json: options.AsJson = False, database: options.Database = None) -> None:
    """Show what changed on both sides and waits for you."""
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.two_way.running import open_conflicts

    found = open_conflicts(options.open_existing(database))
    if as_json:
        _print([_conflict_data(one) for one in found])
        return
    for one in found:
        conflict = one.conflict
        typer.echo(
            one_line(f"{one.id}  {conflict.label or conflict.key}: {conflict.field} ({conflict.reason})")
        )
        typer.echo(one_line(f"     GitHub: {_shown(conflict.github)}"))
        typer.echo(one_line(f"     Notion: {_shown(conflict.notion)}"))
        if one.decision is not None:
            typer.echo("     decided; the next run carries it out")
    typer.echo(
        "decide with: achievement-collector sync conflicts resolve NUMBER --take github|notion"
        if found
        else "there are no conflicts"
    )


def conflicts_resolve(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The conflict's number in the list.")],
    take: Annotated[Take | None, typer.Option(help="The side that wins.", show_default=False)] = None,
    value: Annotated[
        str | None, typer.Option(help="A value of your own, for both sides.", show_default=False)
    ] = None,
    database: options.Database = None,
) -> None:
    """Decide a conflict; the next run carries it out, unless one of the values changes before."""
    from achievement_collector.derive.merging import Side
    from achievement_collector.present.printable import one_line
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.two_way.running import resolve_conflict

    ledger = options.open_existing(database)
    done = resolve_conflict(ledger, number, now_ms(), Side(take.value) if take else None, value)
    conflict = done.conflict
    chosen = f"{take.value}'s value" if take else _shown(done.decision.value if done.decision else None)
    typer.echo(one_line(f"{conflict.label or conflict.key}: {conflict.field}: {chosen}, at the next run"))


# --- in words and as data ----------------------------------------------------------------------------


def plan_in_words(plan: Plan) -> list[str]:
    """The operations as they would be carried out, and the hash that an application can demand."""
    lines = [_operation_in_words(number, one) for number, one in enumerate(plan.operations, 1)]
    lines += [
        f"conflict: {one.label or one.key}: {one.field}: GitHub {_shown(one.github)}, Notion {_shown(one.notion)}"
        for one in plan.conflicts
    ]
    if plan.stopped:
        lines.append(f"stopped: {plan.stopped}")
    return [*lines, f"plan {plan.hash[:16]}: {len(plan.writes)} writes, {len(plan.conflicts)} conflicts"]


def _operation_in_words(number: int, one: Operation) -> str:
    name = one.label or one.key
    if not one.is_write:
        return f"{number}. {one.kind} {name}: {one.reason}"
    changes = ", ".join(
        f"{field} {_shown(one.expected[field])} -> {_shown(value)}"
        if field in one.expected
        else f"{field} {_shown(value)}"
        for field, value in one.values.items()
    )
    return f"{number}. {one.side.spelt}: {one.kind} {name}: {changes} ({one.reason})"


def pass_in_words(done: Pass) -> list[str]:
    """What a pass did, or would do."""
    lines = plan_in_words(done.plan) if done.is_dry else []
    lines += [f"note: {one}" for one in done.notes]
    lines += [f"not done: {one}" for one in done.failed]
    lines += [f"refused before, not sent again: {one.label or one.key}" for one in done.plan.parked]
    lines += [f"waiting to see whether an earlier write arrived: {one}" for one in done.plan.waiting]
    if not done.is_dry:
        told = ", ".join(
            f"{side.spelt} {done.written[side]} changed, {done.created[side]} made" for side in done.written
        )
        lines.append(
            f"{told}; {done.conflicts} conflicts, {done.unlinked} links ended: {done.exit.name.lower()}"
        )
    return lines


def pass_data(done: Pass) -> dict[str, Any]:
    plan = done.plan
    return {
        "plan": {
            "hash": plan.hash,
            "operations": [
                {
                    "kind": one.kind, "side": one.side, "key": one.key, "label": one.label, "reason": one.reason,
                    "values": dict(one.values), "expected": dict(one.expected),
                }
                for one in plan.operations
            ],
            "conflicts": [
                {"key": one.key, "label": one.label, "field": one.field, "github": one.github, "notion": one.notion}
                for one in plan.conflicts
            ],
            "stopped": plan.stopped,
        },
        "dry_run": done.is_dry, "written": done.written, "created": done.created, "linked": done.linked,
        "unlinked": done.unlinked, "conflicts": done.conflicts, "parked": done.parked, "left": done.left,
        "recovered": done.recovered, "failed": done.failed, "notes": done.notes, "outcome": done.exit.name.lower(),
    }  # fmt: skip


def _conflict_data(one: StoredConflict) -> dict[str, Any]:
    conflict = one.conflict
    return {
        "number": one.id, "key": conflict.key, "label": conflict.label, "field": conflict.field, "github": conflict.github,
        "notion": conflict.notion, "reason": conflict.reason, "state": one.state, "opened": one.opened,
    }  # fmt: skip


def _health_data(scope: str, one: Health) -> dict[str, Any]:
    from dataclasses import asdict

    return {"scope": scope, **asdict(one)}


def _tell_health(found: dict[str, Health]) -> None:
    from datetime import UTC, datetime

    for scope, one in found.items():
        last = "never"
        if one.last_complete is not None and one.lag is not None:
            when = datetime.fromtimestamp(one.last_complete / 1000, UTC)
            last = f"{when:%Y-%m-%d %H:%M} UTC, {one.lag // 60_000} minutes ago"
        typer.echo(
            f"{scope}: last complete pass {last}; last outcome {one.last_outcome or 'none'}; {one.links} links "
            f"({one.ended_links} ended), {one.conflicts} conflicts, {one.parked} refused, {one.unconfirmed} unconfirmed"
        )
    if not found:
        typer.echo("nothing was synchronised yet")


def _shown(value: Value) -> str:
    if value in (None, "", ()):
        return "nothing"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return repr(text if len(text) <= 80 else f"{text[:79]}…")


def _print(told: object) -> None:
    import json

    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
