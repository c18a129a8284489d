"""``ci comment``: what is known of a pull request's CI, shown at the pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from achievement_collector.cli import options

if TYPE_CHECKING:
    from achievement_collector.publish.github_comments.plan import Run


def add_to(ci: typer.Typer) -> None:
    ci.command("comment")(comment)


def comment(
    number: Annotated[
        int | None, typer.Option("--pr", min=1, help="The pull request's number.", show_default=False)
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repo",
            "--repository",
            metavar="OWNER/REPO",
            help="Default: GITHUB_REPOSITORY.",
            show_default=False,
        ),
    ] = None,
    sha: Annotated[
        str, typer.Option(help="Only if this is its head commit still (the full id).", show_default=False)
    ] = "",
    head: Annotated[
        str,
        typer.Option(
            metavar="OWNER:BRANCH",
            help="Instead of --pr, with --sha: the open pull request from there.",
            show_default=False,
        ),
    ] = "",
    author_id: Annotated[
        int | None,
        typer.Option(
            min=1, help="The id of who the token writes as. Default: GitHub is asked.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the comment, write nothing.")] = False,
    database: options.Database = None,
) -> None:
    """Write or update the one comment at a pull request that tells what its CI says (GITHUB_TOKEN)."""
    from achievement_collector.errors import ConfigurationError
    from achievement_collector.ledger.work import names_of
    from achievement_collector.present.printable import one_line, printable
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.github_sync import web_host
    from achievement_collector.services.pr_comments import comment_on
    from achievement_collector.services.pr_findings import content_of
    from achievement_collector.services.repository_names import repository_name

    in_force = options.settings(database)
    place = repository or in_force.github_repository
    if not place:
        raise ConfigurationError("name the repository with --repo OWNER/REPO, or set GITHUB_REPOSITORY")
    ledger = options.open_existing(database)
    with ledger.read() as connection:
        key = names_of(connection, f"{web_host(in_force.github_api_url)}/{repository_name(place)}")[0]
    done = comment_on(
        ledger, in_force, place, number=number, sha=sha.lower(), head=head, run=_this_run(), author_id=author_id, dry_run=dry_run,
        content=content_of(ledger, in_force, key, now_ms()),
    )  # fmt: skip
    if dry_run and done.text:
        typer.echo(printable(done.text))
        typer.echo(one_line(done.told), err=True)
        return
    typer.echo(one_line(f"{done.told}{f' ({done.url})' if done.url else ''}"))


def _this_run() -> Run | None:
    """The run of GitHub Actions that this is, None elsewhere."""
    import os

    from achievement_collector.publish.github_comments.plan import Run

    if os.environ.get("GITHUB_ACTIONS") != "true":
        return None
    told = os.environ.get("GITHUB_RUN_ID", ""), os.environ.get("GITHUB_RUN_ATTEMPT", "") or "1"
    if not all(one.isascii() and one.isdecimal() and len(one) < 18 for one in told):
        return None
    return Run(int(told[0]), int(told[1][:9]))
