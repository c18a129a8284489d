"""``deployments`` and ``dora``: what reached its environment, how often, how soon and how safely."""

from __future__ import annotations

from typing import Annotated

import typer

from achievement_collector.cli import options

_Environment = Annotated[
    str | None, typer.Option("--environment", "--env", help="Only this environment.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    deployments = typer.Typer(help="Deployments: list, show.", no_args_is_help=True)
    deployments.command("list")(list_)
    deployments.command()(show)
    app.add_typer(deployments, name="deployments")
    app.command()(dora)


def list_(
    repository: options.Repository = None,
    environment: _Environment = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 30,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show the recorded deployments, newest first, with what each shipped."""
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.deployments import list_deployments

    begin, end = options.window(since, until, now_ms())
    page = list_deployments(
        options.open_existing(database), repository=repository, environment=environment, since=begin, until=end, limit=limit,
        production=options.settings(database).deployment_environments,
    )  # fmt: skip
    if as_json:
        import json

        told = {"deployments": page.deployments, "matching": page.matching}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if not page.deployments:
        typer.echo("no deployment was recorded; docs/deployments.md tells how they are")
        return
    from achievement_collector.present.deployments_terminal import deployments_table
    from achievement_collector.present.terminal import console

    console().print(deployments_table(page.deployments))
    if page.matching > len(page.deployments):
        typer.echo(f"{len(page.deployments)} of {page.matching}; --limit shows more")


def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The deployment's key, or its last part.")],
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show a deployment with the changes that it shipped."""
    from achievement_collector.services.deployments import show_deployment

    production = options.settings(database).deployment_environments
    found = show_deployment(options.open_existing(database), key, production)
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from achievement_collector.present.deployments_terminal import deployment_in_full
    from achievement_collector.present.terminal import console

    console().print(deployment_in_full(found))


def dora(
    repository: options.Repository = None,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            "--env",
            help="This environment; default: those that are production.",
            show_default=False,
        ),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    as_json: options.AsJson = False,
    database: options.Database = None,
) -> None:
    """Show the DORA measures: deployment frequency, change lead time, change fail rate, recovery time."""
    from achievement_collector.derive.dora import dora_data
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.deployments import dora_of

    now = now_ms()
    begin, end = options.window(since, until, now)
    measured = dora_of(
        options.open_existing(database),
        repository,
        environment,
        since=begin,
        until=min(end or now, now),
        production=options.settings(database).deployment_environments,
    )
    found = [dora_data(one) for one in measured]
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not found:
        where = f"to {environment}" if environment is not None else "to production"
        from achievement_collector.present.printable import one_line

        typer.echo(
            one_line(
                f"not measured: no deployment {where} was recorded; docs/deployments.md tells how they are"
            )
        )
        return
    from achievement_collector.present.deployments_terminal import dora_in_full
    from achievement_collector.present.terminal import console

    for place, one in enumerate(found):
        if place:
            typer.echo("")
        console().print(dora_in_full(one))
