"""Deployments told by any tool in one small JSON form (docs/live.md)::

    {"id": "build-812", "repository": "acme/rocket", "environment": "production", "sha": "4f2c...",
     "status": "succeeded", "version": "1.4.0", "started_at": "2026-11-20T09:00:00Z",
     "finished_at": "2026-11-20T09:03:10Z", "url": "https://ci.example/812"}

``id``, ``repository``, ``environment`` and ``status`` are needed; ``status`` is started, succeeded, failed or rolled_back.
Of several statuses the one received last holds, or that with the latest ``updated_at`` where messages tell one.
"""

from __future__ import annotations

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body, present
from achievement_collector.sources.relevance import NotUnderstood

_STATES = {
    "started": "in_progress",
    "succeeded": "success",
    "failed": "failure",
    "rolled_back": "rolled_back",
}


def translate(body: Body, received: int) -> list[Observation]:
    """The deployment that a body tells of."""
    name, place = body.text("id", 200), body.text("repository", 400).strip("/")
    environment, status = body.text("environment", 200), body.text("status", 40)
    for field, value in (
        ("id", name),
        ("repository", place),
        ("environment", environment),
        ("status", status),
    ):
        if not value:
            raise NotUnderstood(f"the body has no {field}")
    if status not in _STATES:
        raise NotUnderstood(f"the status {status!r} is none of {', '.join(_STATES)}")
    if place.count("/") == 1:
        place = f"github.com/{place}"
    if place.count("/") < 2:
        raise NotUnderstood(f"the repository {place!r} is neither owner/name nor host/owner/name")
    started, finished = body.moment("started_at"), body.moment("finished_at")
    fields = present(
        environment=environment, sha=body.text("sha", 64) or None, version=body.text("version", 200) or None,
        started=started, finished=finished, url=body.text("url", 1000) or None,
    )  # fmt: skip
    at = finished or started or received
    # a rollback is told with the times of the deployment: when it was said decides
    told = body.moment("updated_at") or max(at, received)
    key, state = f"{place}/deployment/{name}", {"state": _STATES[status]}
    if told == at:
        return [Observation(Kind.DEPLOYMENT, key, at, {**fields, **state}, place)]
    return [
        Observation(Kind.DEPLOYMENT, key, at, fields, place),
        Observation(Kind.DEPLOYMENT, key, told, state, place),
    ]
