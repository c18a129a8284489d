"""Polling as durable workflows: a process that dies leaves them to be finished by another, where they had stopped.

The services keep their own cursors in the ledger, so a step that runs again asks only for what it has not stored. A step
imports what it needs when it runs: a worker that polls nothing stays small.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dbos import DBOS, SetWorkflowID

from achievement_collector.config import Settings
from achievement_collector.errors import ConfigurationError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.workflows.engine import SYNC_QUEUE

_log = logging.getLogger(__name__)


class _Own:
    """What workflows of this process work on; set once when it starts."""

    ledger: Ledger
    settings: Settings


def use(ledger: Ledger, settings: Settings) -> None:
    _Own.ledger, _Own.settings = ledger, settings


@DBOS.workflow()
def sync_github(repository: str) -> dict[str, Any]:
    """One poll of a repository."""
    return _poll_github(repository)


@DBOS.workflow()
def sync_linear() -> dict[str, Any]:
    """One poll of Linear, and the links back to it that are still to be made."""
    told = _poll_linear()
    return {**told, **_link_back()}


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=5)
def _poll_github(repository: str) -> dict[str, Any]:
    from achievement_collector.services.ci_failures import explain_failures
    from achievement_collector.services.fixes import verify_fixes
    from achievement_collector.services.polling import poll_github

    told = asdict(poll_github(_Own.ledger, _Own.settings, repository, now_ms()))
    explained = explain_failures(_Own.ledger, _Own.settings, now_ms())
    verify_fixes(_Own.ledger, now_ms())
    return {**told, "explained": explained}


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=5)
def _poll_linear() -> dict[str, Any]:
    from achievement_collector.services.polling import poll_linear

    return asdict(poll_linear(_Own.ledger, _Own.settings, now_ms()))


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=5)
def _link_back() -> dict[str, Any]:
    from achievement_collector.services.linking_back import link_back

    done = link_back(_Own.ledger, _Own.settings, now_ms())
    for told in done.failures:
        _log.warning("Linear: %s", told)
    return {"linked": done.linked, "not_linked": list(done.failures)}


@DBOS.workflow()
def scrape_prometheus() -> dict[str, Any]:
    """One scrape of all KPIs."""
    return _scrape_prometheus()


@DBOS.workflow()
def sync_mlflow() -> dict[str, Any]:
    """One poll of MLflow."""
    return _poll_mlflow()


@DBOS.workflow()
def sync_content() -> dict[str, Any]:
    """One poll of posts."""
    return _poll_content()


@DBOS.workflow()
def sync_notion() -> dict[str, Any]:
    """The reports and milestones shown in Notion, then one pass in both directions; the one does not wait for the other to
    succeed."""
    return {"shown": _whatever_comes(_publish_notion), "two_way": _whatever_comes(_sync_two_way)}


def _whatever_comes(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a step gives, or why it failed in the end."""
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - it is told, and the other step is still to be made
        errors = getattr(error, "errors", None)
        told = str(errors[-1] if isinstance(errors, list) and errors else error)
        _log.warning("Notion: %s", told)
        return {"failed": [told]}


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=60)
def _publish_notion() -> dict[str, Any]:
    from achievement_collector.services.notion import contents, publish

    try:
        told = contents(_Own.ledger, _Own.settings, None, now_ms())
        done = publish(_Own.ledger, _Own.settings, told, now_ms)
    except (
        ConfigurationError
    ) as error:  # databases that are not made yet, for one: another time is soon enough
        return {"told": str(error)}
    outcome = done.outcome
    failed = [f"{name}: {why}" for name, why in outcome.failed] if outcome else []
    stopped = outcome.stopped if outcome else ""
    for line in [*failed, *([f"stopped: {stopped}"] if stopped else [])]:
        _log.warning("Notion: %s", line)
    return {
        "plan": done.plan.hash, "steps": len(done.plan.operations), "problems": list(done.problems), "failed": failed[:20],
        "stopped": stopped or None,
    }  # fmt: skip


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=60)
def _sync_two_way() -> dict[str, Any]:
    from achievement_collector.services.two_way.running import sync_two_way

    if not _Own.settings.two_way_sync:
        return {}
    try:
        done = sync_two_way(_Own.ledger, _Own.settings, now_ms, is_full=False)
    except ConfigurationError as error:
        return {"told": str(error)}
    for line in [*done.failed, *([f"stopped: {done.plan.stopped}"] if done.plan.stopped else [])]:
        _log.warning("Notion and GitHub: %s", line)
    return {"exit": int(done.exit), "failed": done.failed[:20], "stopped": done.plan.stopped or None}


@DBOS.workflow()
def snapshot_roadmap() -> dict[str, Any]:
    """One look at every milestone, kept for the day."""
    return _snapshot_roadmap()


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=30)
def _snapshot_roadmap() -> dict[str, Any]:
    from achievement_collector.services.roadmap import load_plan, take_snapshot

    plan = load_plan(_Own.settings.roadmap_file, _Own.settings)
    return take_snapshot(_Own.ledger, plan, now_ms())._asdict()


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=30)
def _scrape_prometheus() -> dict[str, Any]:
    from achievement_collector.services.kpis import scrape

    done = scrape(_Own.ledger, _Own.settings, now_ms())
    return {
        "kpis": done.kpis,
        "samples": done.samples,
        "milestones": len(done.milestones),
        "failures": done.failures,
    }


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=5)
def _poll_mlflow() -> dict[str, Any]:
    from achievement_collector.services.polling import poll_mlflow

    return asdict(poll_mlflow(_Own.ledger, _Own.settings, now_ms))


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=5)
def _poll_content() -> dict[str, Any]:
    from achievement_collector.services.polling import poll_content

    return asdict(poll_content(_Own.ledger, _Own.settings, now_ms()))


def enqueue(name: str, slot: int) -> None:
    """Asks for a poll of ``prometheus``, ``mlflow`` or ``posts``, a sync with ``notion`` or a look at the ``roadmap``; of
    several servers, one gets the slot of time."""
    work = {
        "prometheus": scrape_prometheus,
        "mlflow": sync_mlflow,
        "posts": sync_content,
        "roadmap": snapshot_roadmap,
        "notion": sync_notion,
    }[name]
    with SetWorkflowID(f"{name}/{slot}"):
        DBOS.enqueue_workflow(SYNC_QUEUE, work)


def enqueue_github(repository: str, slot: int) -> None:
    """Asks for a poll; of several servers that ask for the same slot of time, one gets it."""
    with SetWorkflowID(f"github/{repository}/{slot}"):
        DBOS.enqueue_workflow(SYNC_QUEUE, sync_github, repository)


def enqueue_linear(slot: int | str) -> None:
    with SetWorkflowID(f"linear/{slot}"):
        DBOS.enqueue_workflow(SYNC_QUEUE, sync_linear)
