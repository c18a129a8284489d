"""Deployments told by any tool in one small JSON form (docs/live.md)::

    {"id": "build-812", "repository": "acme/rocket", "environment": "production", "sha": "4f2c...",
     "status": "succeeded", "version": "1.4.0", "started_at": "2026-11-20T09:00:00Z",
     "finished_at": "2026-11-20T09:03:10Z", "url": "https://ci.example/812"}

``id``, ``repository``, ``environment`` and ``status`` are needed; ``status`` is started, succeeded, failed or rolled_back.
The moment of a status is ``updated_at``, else ``finished_at`` of an end and ``started_at`` of a start; of several statuses the
latest holds. A status without any moment does not undo one that goes further (facts/deployments.py).
"""

from __future__ import annotations

from achievement_collector.facts.deployments import register_of
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body, present
from achievement_collector.sources.relevance import NotUnderstood

_STATES = {
    "started": "in_progress",
    "succeeded": "success",
    "failed": "failure",
    "rolled_back": "rolled_back",
}

_EARLIEST = 946_684_800_000  # the year 2000
_CLOCKS_APART = 86_400_000  # milliseconds by which a sender's clock may be ahead of ours


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
    started, finished = _moment(body, "started_at", received), _moment(body, "finished_at", received)
    updated = _moment(body, "updated_at", received)
    if started is not None and finished is not None and finished < started:
        raise NotUnderstood("finished_at is before started_at")
    fields = present(
        environment=environment, sha=body.text("sha", 64) or None, version=body.text("version", 200) or None,
        started=started, finished=finished, url=body.text("url", 1000) or None,
    )  # fmt: skip
    at = finished or started or received
    state = _STATES[status]
    # a rollback is told with the times of the deployment, which are not those of the status
    dated = updated or {"in_progress": started, "rolled_back": None}.get(state, finished)
    told = dated or max(at, received)
    key, said = f"{place}/deployment/{name}", {register_of(state, is_dated=dated is not None): state}
    if told == at:
        return [Observation(Kind.DEPLOYMENT, key, at, {**fields, **said}, place)]
    return [
        Observation(Kind.DEPLOYMENT, key, at, fields, place),
        Observation(Kind.DEPLOYMENT, key, told, said, place),
    ]


def _moment(body: Body, field: str, received: int) -> int | None:
    """A moment that is told, None where it is not. Refused is what is no moment, or cannot be one of a deployment."""
    value, found = body.data.get(field), body.moment(field)
    if value in (None, ""):
        return None
    if found is None:
        raise NotUnderstood(f"{field} {str(value)[:40]!r} is no time")
    if not _EARLIEST <= found <= received + _CLOCKS_APART:
        raise NotUnderstood(f"{field} {str(value)[:40]!r} cannot be when a deployment was")
    return found
