"""What is configured, what works, and what to do about what does not."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from achievement_collector import __version__
from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.epics import iso
from achievement_collector.errors import CollectorError
from achievement_collector.facts import Stamp
from achievement_collector.ledger import people as ledger_people
from achievement_collector.ledger import reading
from achievement_collector.ledger.entities import stale_things
from achievement_collector.ledger.store import Ledger, ledger_url, open_ledger
from achievement_collector.services import hooks
from achievement_collector.services.identity import load_author_rules
from achievement_collector.sources.git.configuration import configured_email

_TOO_LONG = 600_000  # milliseconds
_NAMED = 10


class Finding(NamedTuple):
    """``state`` is ok, note or fails; ``advice`` is empty where nothing is to be done."""

    state: str
    subject: str
    finding: str
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything that the main job needs, changing nothing."""
    found = [
        Finding(
            "ok",
            "program",
            f"achievement-collector {__version__}, rules {RULES_VERSION}, Python {sys.version.split()[0]}",
        ),
        _git(),
        Finding("ok", "SQLite", sqlite3.sqlite_version),
        Finding("ok", "threshold", f"{settings.min_lines} lines (MIN_LINES_FOR_ACHIEVEMENT)"),
        _rules(settings),
    ]
    ledger, finding = _ledger(settings)
    found.append(finding)
    if ledger is not None:
        found += _repositories(ledger)
        found += _not_concluded(ledger)
        found.append(_me(ledger))
    found.append(_hook(settings))
    found += _live(settings)
    return found


def _live(settings: Settings) -> list[Finding]:
    """What a server could take in; nothing outside is asked."""
    try:
        import dbos  # noqa: F401
        import fastapi  # noqa: F401
    except ModuleNotFoundError:
        return [
            Finding(
                "note", "server", "its packages are missing", "pip install 'achievement-collector[server]'"
            )
        ]
    secrets = {
        "GITHUB_WEBHOOK_SECRET": settings.github_webhook_secret,
        "LINEAR_WEBHOOK_SECRET": settings.linear_webhook_secret,
        "DEPLOYMENTS_WEBHOOK_SECRET": settings.deployments_webhook_secret,
    }
    missing = [name for name, value in secrets.items() if not value]
    found = [Finding("note", "webhooks", f"refused without {', '.join(missing)}", "docs/live.md tells how to set them up")
             if missing else Finding("ok", "webhooks", "a secret is set for each source")]  # fmt: skip
    if settings.github_repositories:
        advice = "" if settings.github_token else "GITHUB_TOKEN would allow more than 60 requests an hour"
        found.append(Finding("ok", "GitHub", f"polled: {', '.join(settings.github_repositories)}", advice))
    else:
        found.append(
            Finding("note", "GitHub", "not polled", "GITHUB_REPOSITORIES=owner/name,... would poll it")
        )
    if settings.linear_api_key or settings.linear_oauth_token:
        found.append(Finding("ok", "Linear", f"polled every {settings.linear_check_interval} s"))
    else:
        found.append(Finding("note", "Linear", "not polled", "LINEAR_API_KEY would poll it"))
    return [*found, *_outcomes(settings)]


def _outcomes(settings: Settings) -> list[Finding]:
    """Where outcomes are measured."""
    found = []
    if settings.has_prometheus:
        kpis = sum(bool(one.query) for one in settings.kpis)
        found.append(
            Finding("ok", "Prometheus", f"{kpis} KPIs asked for every {settings.scrape_interval_hours} h")
        )
    else:
        found.append(Finding("note", "Prometheus", "not asked", "PROMETHEUS_URL would have KPIs measured"))
    if settings.mlflow_url:
        found.append(Finding("ok", "MLflow", f"polled every {settings.mlflow_check_interval} s"))
    if settings.threads_adaptor_url:
        found.append(Finding("ok", "posts", f"polled every {settings.content_check_interval} s"))
    return found


def _git() -> Finding:
    if not shutil.which("git"):
        return Finding("fails", "git", "not found", "install git, or put it on PATH")
    told = subprocess.run(["git", "--version"], capture_output=True, check=False).stdout.decode(
        "utf-8", "replace"
    )
    version = told.removeprefix("git version ").strip()
    parts = tuple(int(part) for part in version.split(" ")[0].split(".")[:2] if part.isdecimal())
    if parts < (2, 30):
        return Finding("fails", "git", f"version {version}", "2.30 or newer is needed")
    return Finding("ok", "git", f"version {version}")


def _rules(settings: Settings) -> Finding:
    if settings.rules is None:
        return Finding(
            "note",
            "own rules",
            "none",
            "bots.toml and agents.toml in ACHIEVEMENT_RULES would add to the shipped ones",
        )
    try:
        load_author_rules(settings.rules)
    except CollectorError as error:
        return Finding("fails", "own rules", str(error), "mend or remove the file")
    return Finding("ok", "own rules", str(settings.rules))


def _ledger(settings: Settings) -> tuple[Ledger | None, Finding]:
    try:
        url = ledger_url(settings.database)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            return None, Finding(
                "note", "ledger", f"{url.database} (not made yet)", "achievement-collector scan PATH"
            )
        ledger = open_ledger(settings.database, create=False)
    except CollectorError as error:
        return None, Finding("fails", "ledger", str(error), "see DATABASE_URL and --db")
    size = ""
    if ledger.is_sqlite:
        size = f", {Path(ledger.name).stat().st_size / 1_000_000:,.1f} MB"
    return ledger, Finding("ok", "ledger", f"{ledger.name}{size}")


def _repositories(ledger: Ledger) -> list[Finding]:
    found = []
    with ledger.read() as connection:
        for place in reading.stored_repositories(connection):
            commits = reading.commit_count(connection, place.id)
            if not place.paths and not commits and not place.scanned_at:
                found.append(Finding("ok", "repository", f"{place.key}: known from its forge, never scanned"))
                continue
            day = Stamp(place.scanned_at).as_datetime().date().isoformat()
            told = f"{place.key}: {commits:,} commits, scanned {day}"
            gone = [path for path in place.paths if not Path(path).exists()]
            if not place.is_complete:
                found.append(
                    Finding("note", "repository", f"{told}, not to its end", "run scan again to complete it")
                )
            elif gone:
                found.append(
                    Finding(
                        "note",
                        "repository",
                        f"{told}; {gone[0]} is gone",
                        "the record stays; scan it at its new place",
                    )
                )
            elif place.shallow:
                found.append(
                    Finding(
                        "note", "repository", f"{told}, a shallow clone", "git fetch --unshallow, then scan"
                    )
                )
            else:
                found.append(Finding("ok", "repository", told))
    return found or [Finding("note", "repositories", "none yet", "achievement-collector scan PATH")]


def _not_concluded(ledger: Ledger) -> list[Finding]:
    """What waits to be concluded for longer than a server that works would leave it."""
    with ledger.read() as connection:
        waiting = stale_things(connection, limit=10_000)
    # a mark is the moment it was set, a millisecond later for every change since
    long_ago = [one for one in waiting if one.mark < time.time_ns() // 1_000_000 - _TOO_LONG]
    found = [
        Finding("fails", "conclusions", f"not concluded since {iso(one.mark)}: {one.key}",
                "a running server tries again; what hinders it is in its log, or: achievement-collector scan")
        for one in long_ago[:_NAMED]
    ]  # fmt: skip
    if len(long_ago) > _NAMED:
        found.append(Finding("note", "conclusions", f"{len(long_ago) - _NAMED:,} more are not concluded"))
    return found


def _me(ledger: Ledger) -> Finding:
    email = configured_email(Path.cwd())
    if not email:
        return Finding(
            "note", "you", "git does not say who you are", "git config --global user.email YOU@..."
        )
    with ledger.read() as connection:
        known = ledger_people.find_people(connection, email)
        if not known:
            return Finding(
                "note",
                "you",
                f"{email} is nobody the ledger knows",
                "--me works once you have a commit in it",
            )
        name = ledger_people.display_name(connection, known[0])[0]
    return Finding("ok", "you", f"{name} <{email}>")


def _hook(settings: Settings) -> Finding:
    try:
        state = hooks.status(Path(settings.repository or "."))
    except CollectorError:
        return Finding("note", "hook", "this folder is no repository to commit in")
    if state.problem:
        return Finding("fails", "hook", state.problem, "achievement-collector hook install")
    if state.is_installed:
        return Finding("ok", "hook", str(state.path))
    return Finding(
        "note",
        "hook",
        "not installed here",
        "achievement-collector hook install records each commit as it is made",
    )
