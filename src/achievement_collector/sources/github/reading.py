"""A list of GitHub that is read step by step: the steps, the reading's state, and what all readers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github import events
from achievement_collector.sources.github.client import (
    PER_PAGE,
    Answer,
    GitHubAccessError,
    GitHubClient,
    GitHubError,
)


@dataclass(frozen=True, slots=True)
class Step:
    """What belongs into one transaction: observations, and the place from which to go on after them. ``done`` of ``total``
    is how much of the list was read, ``total`` None where GitHub does not tell."""

    observations: list[Observation]
    place: dict[str, Any]
    done: int = 0
    total: int | None = None


@dataclass(slots=True)
class Reading:
    """A list that is to be read: of which repository (``name`` is owner/name, ``key`` what the ledger calls it), from which
    place (empty the first time), not before which moment (milliseconds) the first time. ``has_ended`` tells of an attempt of a
    workflow run whether the ledger knows its end."""

    client: GitHubClient
    name: str
    key: str
    now: int
    place: dict[str, Any] = field(default_factory=dict)
    since: int = 0
    has_ended: Callable[[int, int], bool] = lambda _run, _attempt: False
    redelivered: int = 0

    def get(self, path: str, etag: str | None = None, **parameters: str | int) -> Answer:
        return self.client.get(f"/repos/{self.name}{path}", parameters or None, etag=etag)

    def front(self, path: str, etag: str | None = None, **parameters: str | int) -> Answer:
        """The first page of a list, or the one that ``page`` says."""
        return self.get(path, etag, per_page=PER_PAGE, **parameters)

    def rest(self, answer: Answer) -> Iterator[Answer]:
        """The pages after one."""
        while answer.next:
            answer = self.client.get(answer.next)
            yield answer

    def told(self, event: str, **things: Any) -> list[Observation]:
        """What a webhook's body with the same things would tell, but for the repository itself."""
        repository = {"full_name": self.name, "html_url": f"https://{self.key}"}
        seen = events.translate(event, Body({"repository": repository, **things}), self.now)
        return [one for one in seen if one.kind is not Kind.REPOSITORY]


def moment(one: Body, name: str, what: str) -> int:
    at = one.moment(name)
    if at is None:
        raise GitHubError(f"GitHub showed one of the {what} without {name}; try again later")
    return at


def unless_gone(ask: Callable[[], Answer]) -> Answer | None:
    """The answer about one thing, None where it was deleted since a list showed it, or GitHub keeps it no longer."""
    try:
        return ask()
    except GitHubAccessError as error:
        if error.status not in (404, 410):
            raise
        return None


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pages(
    reading: Reading,
    place: dict[str, Any],
    path: str,
    read: Callable[[Body], list[Observation]],
    inside: str = "",
    front: Answer | None = None,
    **parameters: str | int,
) -> Iterator[Step]:
    """Every page of a list, each with its ETag. ``place["pages"]``, which may lie inside of the reading's place, holds for
    each page its ETag and whether another one follows, since an answer 304 does not say that. ``front`` is the first page
    where it was asked for already."""
    number, done, is_last = 0, 0, False
    while not is_last:
        known = place.get("pages", [])
        etag, follows = known[number] if number < len(known) else (None, False)
        answer, front = front or reading.front(path, etag, page=number + 1, **parameters), None
        number += 1
        if answer.is_unchanged:
            is_last = not follows
            continue
        is_last = answer.next is None
        entries = answer.entries(inside)
        done += len(entries)
        behind = [] if is_last else known[number:]
        place["pages"] = [*known[: number - 1], [answer.etag, not is_last], *behind]
        yield Step(
            [seen for one in entries for seen in read(one)],
            reading.place,
            done,
            answer.body.whole("total_count"),
        )
