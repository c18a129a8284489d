"""``ci``: what CI measured and ran, why it failed, how healthy it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from achievement_collector.cli import ci_comment, ci_findings, ci_fixes, ci_runs, ci_workflow, options, report
from achievement_collector.cli.progress import conclude


def add_to(app: typer.Typer) -> None:
    ci = typer.Typer(
        help="CI: what it measured and ran, why it failed, how healthy it is, what was fixed.",
        no_args_is_help=True,
    )
    ci.command()(ingest)
    ci_runs.add_to(ci)
    ci_findings.add_to(ci)
    ci.command("report")(report.ci_report)
    ci_fixes.add_to(ci)
    ci_comment.add_to(ci)
    ci_workflow.add_to(ci)
    app.add_typer(ci, name="ci")


_Files = Annotated[
    list[Path] | None, typer.Option(show_default=False, exists=False, help="A file; may be repeated.")
]


def ingest(
    repo: Annotated[str, typer.Option(help="OWNER/REPO, or HOST/OWNER/REPO.", envvar="GITHUB_REPOSITORY")],
    sha: Annotated[str, typer.Option(help="The commit that was measured.", envvar="GITHUB_SHA")],
    pr: Annotated[int | None, typer.Option(help="The pull request's number.", show_default=False)] = None,
    junit: _Files = None,
    coverage: _Files = None,
    benchmark: _Files = None,
    sarif: _Files = None,
    build_time: Annotated[float | None, typer.Option(min=0, help="Seconds.", show_default=False)] = None,
    branch: Annotated[str, typer.Option(help="The branch that was built.", show_default=False)] = "",
    base: Annotated[
        str, typer.Option(help="The branch that a pull request is to be merged into.", show_default=False)
    ] = "",
    job: Annotated[str, typer.Option(help="Tells several jobs of a commit apart.", show_default=False)] = "",
    url: Annotated[str, typer.Option(help="Where the run is shown.", show_default=False)] = "",
    server: Annotated[
        str,
        typer.Option(
            help="Hand in to this server instead of the ledger.",
            envvar="ACHIEVEMENT_COLLECTOR_URL",
            show_default=False,
        ),
    ] = "",
    database: options.Database = None,
) -> None:
    """Hand in what CI measured for a commit; with --server, ACHIEVEMENT_COLLECTOR_TOKEN is the token."""
    from achievement_collector.errors import CollectorError
    from achievement_collector.services.ci_metrics import LARGEST_FILE, CiFile, Submission

    files = []
    for kind, paths in (("junit", junit), ("coverage", coverage), ("benchmark", benchmark), ("sarif", sarif)):
        for path in paths or ():
            try:
                if path.stat().st_size > LARGEST_FILE:
                    raise CollectorError(f"{path} is larger than {LARGEST_FILE:,} bytes")
                files.append(CiFile(kind, str(path), path.read_bytes()))
            except OSError as error:
                raise CollectorError(f"{path} cannot be read: {error.strerror}") from None
    failure = None
    submission = Submission(repo, sha, tuple(files), build_time, pr, branch, base, job, url)
    in_force = options.settings(database)
    if server:
        from achievement_collector.client import Client

        with Client(server, in_force.api_token or "") as client:
            taken = client.ingest(submission)
    else:
        from achievement_collector.ledger.store import open_ledger
        from achievement_collector.services.ci_metrics import ingest as take_in
        from achievement_collector.services.clock import now_ms

        ledger = open_ledger(in_force.database)
        taken = dict(take_in(ledger, submission, in_force, now_ms()).taken)
        failure = conclude(ledger, in_force)
    for kind, told in taken.items():
        typer.echo(f"{kind}: {told}")
    if failure:
        raise failure
