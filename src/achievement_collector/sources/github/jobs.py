"""The jobs of an attempt of a workflow run, and what they remarked."""

from __future__ import annotations

from typing import NamedTuple

from achievement_collector.facts.ci_runs import Annotation
from achievement_collector.facts.observations import Observation
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github import events
from achievement_collector.sources.github.client import PER_PAGE, GitHubClient

MOST_ANNOTATIONS = 200
"""Annotations of a job that are kept; GitHub shows fifty of a job of its own runners."""

_LONGEST = 4_000  # characters of a message


class Listed(NamedTuple):
    """The jobs of an attempt, ``total`` of them; ``is_whole`` says that every job was shown, and that each has ended."""

    observations: list[Observation]
    total: int
    is_whole: bool


def jobs_of(client: GitHubClient, name: str, key: str, run: int, attempt: int, now: int) -> Listed:
    """The jobs of one attempt of a run of the repository ``name`` (owner/name), which the ledger calls ``key``.

    Raises as :meth:`GitHubClient.get` does, :class:`GitHubAccessError` with status 404 where the attempt was deleted.
    """
    answer = client.get(f"/repos/{name}/actions/runs/{run}/attempts/{attempt}/jobs", {"per_page": PER_PAGE})
    told = answer.body.whole("total_count") or 0
    entries = answer.entries("jobs")
    while answer.next:
        answer = client.get(answer.next)
        entries += answer.entries("jobs")
    own = {"run_id": run, "run_attempt": attempt}  # old servers do not tell the attempt
    seen = [events.workflow_job(key, Body({**own, **one.data}), now) for one in entries]
    have_ended = all(one.text("status") == "completed" for one in entries)
    count = len({one.key for one in seen})
    return Listed(seen, max(count, told), count >= told and have_ended)


def annotations_of(client: GitHubClient, name: str, check_run: int) -> list[Annotation]:
    """What a job remarked on places. Raises as :meth:`GitHubClient.get` does."""
    answer = client.get(f"/repos/{name}/check-runs/{check_run}/annotations", {"per_page": PER_PAGE})
    entries = answer.entries()
    while answer.next and len(entries) < MOST_ANNOTATIONS:
        answer = client.get(answer.next)
        entries += answer.entries()
    return [
        Annotation(
            one.text("annotation_level", 20), one.text("message", _LONGEST), one.text("path", 500),
            one.whole("start_line"), one.text("title", 500),
        )
        for one in entries[:MOST_ANNOTATIONS]
    ]  # fmt: skip
