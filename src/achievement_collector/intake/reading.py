"""Stored deliveries to observations."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from achievement_collector.facts.observations import Observation
from achievement_collector.sources import deployments
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github import events as github
from achievement_collector.sources.linear import events as linear
from achievement_collector.sources.relevance import NotUnderstood

SOURCES = ("github", "linear", "deployments")


def read_delivery(source: str, event: str, body: bytes, received: int) -> list[Observation]:
    """What a delivery tells. Raises :class:`NotRelevant` or :class:`NotUnderstood`."""
    data = Body(_parsed(body))
    if not data:
        raise NotUnderstood("the body is no JSON object")
    match source:
        case "github":
            return github.translate(event, data, received)
        case "linear":
            return linear.translate(data, received)
        case "deployments":
            return deployments.translate(data, received)
    raise NotUnderstood(f"nothing reads deliveries of {source}")


def _parsed(body: bytes) -> object:
    if body.startswith(b"payload="):  # GitHub's other content type, a form with one field
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=4)
        body = fields.get("payload", [""])[0].encode()
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"the body is no JSON: {type(error).__name__}") from None
