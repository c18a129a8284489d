"""Linear's webhook bodies, and the objects of its API, as observations.

Both spell an object's fields alike, so one reader serves both. A webhook shows an object whole: a field that may be empty
and is missing is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body, present
from achievement_collector.sources.relevance import NotRelevant, NotUnderstood

_IDENTIFIER = re.compile(r"/issue/([A-Z][A-Z0-9]*-\d+)(?:/|$)", re.IGNORECASE)


def translate(body: Body, received: int) -> list[Observation]:
    """What a delivery tells. ``received`` (ms) stands in where the body gives no time."""
    kind = body.text("type", 60)
    data = body.inner("data")
    reader = _READERS.get(kind)
    if reader is None:
        raise NotRelevant(f"Linear's {kind or 'unnamed'} objects tell nothing that is kept")
    if not data.text("id", 100):
        raise NotUnderstood(f"the body names no {kind}")
    if "url" not in data and body.text("url"):
        data = Body({**data.data, "url": body.text("url")})
    told = body.moment("createdAt") or body.moment("webhookTimestamp") or received
    at = data.moment("updatedAt") or told
    if body.text("action") == "remove":
        seen = reader(data, at)
        return [Observation(seen.kind, seen.key, max(at, told), {"removed": True}, seen.scope)]
    return shown(kind, data, at)


def shown(kind: str, data: Body, at: int) -> list[Observation]:
    """What an object tells that a webhook or the API shows whole: itself and what is shown inside of it. ``kind`` is
    Linear's word for it (Issue, Project, Initiative, ProjectMilestone, Attachment). A thing in the trash is removed; one
    that is only archived is not."""
    seen = _READERS[kind](data, at)
    fields = {**seen.fields, "removed": data.truth("trashed") is True}
    return [Observation(seen.kind, seen.key, at, fields, seen.scope), *_relatives(seen, data, at)]


def _relatives(seen: Observation, data: Body, at: int) -> list[Observation]:
    """Things that are shown inside of others: a project's milestones, an issue's team."""
    found = []
    if seen.kind is Kind.PROJECT:
        for one in _nodes(data, "milestones") + _nodes(data, "projectMilestones"):
            if one.text("id", 100):
                fields = present(name=one.text("name", 300), target=one.text("targetDate", 40) or None)
                found.append(
                    Observation(Kind.MILESTONE, f"linear/{one.text('id', 100)}", at, fields, seen.key)
                )
    return found


def issue(data: Body, at: int) -> Observation:
    team, state = data.inner("team"), data.inner("state")
    number = data.whole("number")
    found = _IDENTIFIER.search(data.text("url", 500))
    identifier = data.text("identifier", 60) or (found[1].upper() if found else "")
    if not identifier and team.text("key", 40) and number is not None:
        identifier = f"{team.text('key', 40)}-{number}"
    fields: dict[str, Any] = {
        "title": data.text("title", 1000), "description": data.text("description"),
        "priority": data.whole("priority"), "estimate": data.number("estimate"),
        "labels": sorted(one.text("name", 200) for one in _nodes(data, "labels")),
        "assignee": data.inner("assignee").text("name", 200),
        "project": _reference(data, "project"), "parent": _reference(data, "parent"),
        "project_milestone": _reference(data, "projectMilestone"),
        "started": data.moment("startedAt"), "completed": data.moment("completedAt"), "canceled": data.moment("canceledAt"),
        "created": data.moment("createdAt"),
    }  # fmt: skip
    fields |= present(
        identifier=identifier or None, state=state.text("type", 40) or None, state_name=state.text("name", 200) or None,
        team=team.text("key", 40) or None, team_id=data.text("teamId", 100) or team.text("id", 100) or None,
        assignee_email=data.inner("assignee").text("email", 300) or None,
        creator=data.inner("creator").text("name", 200) or None,
        url=data.text("url", 500) or None, branch=data.text("branchName", 300) or None,
        scale=team.text("issueEstimationType", 40) or None,
    )  # fmt: skip
    if identifier:
        fields[f"known_as/{identifier}"] = (
            True  # another team gives it another one; pull requests keep the old
        )
    scope = f"linear/{fields['project']}" if fields["project"] else ""
    return Observation(Kind.ISSUE, f"linear/{data.text('id', 100)}", at, fields, scope)


def team(data: Body, at: int) -> Observation:
    """A team; ``scale`` is its way of estimating: notUsed, exponential, fibonacci, linear or tShirt."""
    fields = present(
        key=data.text("key", 40) or None,
        name=data.text("name", 300) or None,
        scale=data.text("issueEstimationType", 40) or None,
    )
    return Observation(Kind.TEAM, f"linear/{data.text('id', 100)}", at, fields)


def project(data: Body, at: int) -> Observation:
    fields: dict[str, Any] = {
        "title": data.text("name", 1000), "description": data.text("description") or data.text("content"),
        "status": data.inner("status").text("type", 40) or data.text("state", 40),
        "lead": data.inner("lead").text("name", 200), "target": data.text("targetDate", 40) or None,
        "start": data.text("startDate", 40) or None,
        "created": data.moment("createdAt"), "started": data.moment("startedAt"),
        "completed": data.moment("completedAt"), "canceled": data.moment("canceledAt"),
        "initiatives": sorted(f"linear/{one.text('id', 100)}" for one in _nodes(data, "initiatives")),
    }  # fmt: skip
    fields |= present(url=data.text("url", 500) or None, slug=data.text("slugId", 100) or None)
    return Observation(Kind.PROJECT, f"linear/{data.text('id', 100)}", at, fields)


def initiative(data: Body, at: int) -> Observation:
    status = data.text("status", 40).lower()
    fields: dict[str, Any] = {
        "title": data.text("name", 1000), "description": data.text("description"), "status": status,
        "lead": data.inner("owner").text("name", 200), "created": data.moment("createdAt"),
        "started": data.moment("startedAt"), "completed": data.moment("completedAt"),
        "target": data.text("targetDate", 40) or None,
    }  # fmt: skip
    fields |= present(url=data.text("url", 500) or None, slug=data.text("slugId", 100) or None)
    return Observation(Kind.INITIATIVE, f"linear/{data.text('id', 100)}", at, fields)


def milestone(data: Body, at: int) -> Observation:
    fields = {"name": data.text("name", 300), "target": data.text("targetDate", 40) or None}
    return Observation(
        Kind.MILESTONE, f"linear/{data.text('id', 100)}", at, fields, f"linear/{_reference(data, 'project')}"
    )


def attachment(data: Body, at: int) -> Observation:
    fields = {
        "url": data.text("url", 1000),
        "title": data.text("title", 500),
        "source": data.text("sourceType", 60),
    }
    return Observation(
        Kind.ATTACHMENT, f"linear/{data.text('id', 100)}", at, fields, f"linear/{_reference(data, 'issue')}"
    )


def _reference(data: Body, name: str) -> str:
    return data.text(f"{name}Id", 100) or data.inner(name).text("id", 100)


def _nodes(data: Body, name: str) -> list[Body]:
    """A list as webhooks show it, or a connection as the API does."""
    return data.each(name) or data.inner(name).each("nodes")


_READERS: dict[str, Callable[[Body, int], Observation]] = {
    "Issue": issue,
    "Project": project,
    "Initiative": initiative,
    "ProjectMilestone": milestone,
    "Attachment": attachment,
}
