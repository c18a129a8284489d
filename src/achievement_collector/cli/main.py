"""The commands. Rooms are imported only when a command needs them, so that ``--help`` is quick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

import typer

from achievement_collector import __version__
from achievement_collector.cli import (
    ci,
    config,
    deployments,
    epic,
    export,
    hook,
    kpi,
    live,
    notion,
    people,
    record,
    report,
    roadmap,
    scan,
    sync,
    two_way,
)
from achievement_collector.errors import CollectorError

app = typer.Typer(
    name="achievement-collector",
    help="Turns the engineering work you really do into an evidence-backed record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
scan.add_to(app)
record.add_to(app)
people.add_to(app)
export.add_to(app)
hook.add_to(app)
epic.add_to(app)
live.add_to(app)
ci.add_to(app)
roadmap.add_to(app)
report.add_to(app)
notion.add_to(app, two_way.two_way)
sync.add_to(app)
kpi.add_to(app)
deployments.add_to(app)
config.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"achievement-collector {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and stop."
    ),
) -> None:
    pass


def run() -> None:
    """The console script: one sentence and exit code 2 for whatever a user can mend."""
    signal.signal(signal.SIGINT, _stop)
    _leave_only(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        app()
    except CollectorError as error:
        from achievement_collector.present.printable import one_line

        sys.stderr.write(f"achievement-collector: {one_line(str(error))}\n")
        raise SystemExit(2) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None


def _leave_only(name: str) -> None:
    """Leaves of all commands the one that is asked for: preparing the others takes a tenth of the time that most take.
    Where the name is none, all stay: they are listed, or the nearest is proposed."""
    commands = [one for one in app.registered_commands if name in {one.name, _called(one.callback)}]
    groups = [one for one in app.registered_groups if one.name == name]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups


def _called(command: Callable[..., object] | None) -> str:
    return command.__name__.replace("_", "-") if command else ""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.stderr.write(
        "\nachievement-collector: stopped; what was recorded stays, run the same again to go on\n"
    )
    raise SystemExit(130)
