"""What GitHub's lists show of a repository, as steps that can be stored one by one.

Every function here is a generator of :class:`~achievement_collector.sources.github.reading.Step`: observations, and the
*place* in the list from which to go on once they are stored. Whoever asks stores both in one transaction and only then takes
the next step, so that a stop at any moment repeats at most one step. A place is JSON and holds the ETags of what was stored;
a list with nothing new gives no step at all and costs only requests that are answered with 304.

GitHub's lists differ in how they can be read from where one stopped:

* issues can be asked for from a moment on, oldest first; the moment moves on by each full page;
* pull requests and deployments are only shown newest first. The mark ``since``, up to which everything is known, moves when a
  reading has come down to it; until then ``midway`` says how far that reading has come;
* releases and milestones are few: every page is asked for with its ETag;
* workflow runs are shown by when they were created, at most 1,000 of any search:
  :mod:`achievement_collector.sources.github.runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github import events
from achievement_collector.sources.github.client import Answer, GitHubClient
from achievement_collector.sources.github.reading import Reading, Step, iso, moment, pages, unless_gone

OVERLAP = 5_000
"""Milliseconds before the newest known update that are read again: updates may become visible late."""

_DAY = 86_400
_PATIENCE = 35 * _DAY * 1000  # milliseconds after which a deployment that never ended is given up
_FINISHED = {"success", "failure", "error", "inactive"}  # states after which a deployment rests


def repository(client: GitHubClient, name: str, host: str, place: Mapping[str, Any], now: int) -> Step | None:
    """The repository that is called ``name`` now or was once; None where nothing changed. The place tells its present ``name``
    and when it was ``created`` (milliseconds since 1970)."""
    answer = client.get(f"/repos/{name}", etag=place.get("etag"))
    if answer.is_unchanged:
        return None
    seen = events.translate("repository", Body({"action": "edited", "repository": answer.data}), now)[0]
    present = seen.key.partition("/")[2]
    observations = [replace(seen, key=f"{host}/{present}")]
    if present.casefold() != name.casefold():
        observations.append(
            Observation(Kind.REPOSITORY, f"{host}/{name}", seen.at, {"moved_to": f"{host}/{present}"})
        )
    created = answer.body.moment("created_at") or 0
    return Step(observations, {"etag": answer.etag, "name": present, "created": created})


# --- lists that are shown newest first ---------------------------------------------------------------


def pull_requests(reading: Reading) -> Iterator[Step]:
    """Pull requests that were updated since, each with its reviews, and with its counts of lines unless it was closed without
    being merged."""

    def expand(entry: Body, updated: int) -> list[Observation]:
        path = f"/pulls/{entry.whole('number')}"
        if not entry.moment("closed_at") or entry.moment("merged_at"):
            shown = unless_gone(partial(reading.get, path))
            entry = shown.body if shown else entry
            updated = entry.moment("updated_at") or updated
        pull = events.pull_request(reading.key, entry, updated)
        found, answer = [pull], unless_gone(partial(reading.front, f"{path}/reviews"))
        for page in (answer, *reading.rest(answer)) if answer else ():
            for one in page.entries():
                submitted = one.moment("submitted_at")
                if submitted:  # else it is a draft that only its author sees
                    found.append(events.review(pull.key, one, max(updated, submitted)))
        return found

    return _newest_first(
        reading, "/pulls", "updated_at", expand, state="all", sort="updated", direction="desc"
    )


def deployments(reading: Reading) -> Iterator[Step]:
    """Deployments that were created since, with what became of them; those that are not at their end are asked about again."""
    unfinished: dict[str, Any] = reading.place.setdefault("unfinished", {})
    earlier, given_up = dict(unfinished), reading.now - _PATIENCE

    def expand(entry: Body, created: int) -> list[Observation]:
        at = entry.moment("updated_at") or created
        return [events.deployment(reading.key, entry, at), *statuses(str(entry.whole("id")), created)]

    def statuses(number: str, created: int, etag: str | None = None) -> list[Observation]:
        answer = reading.front(f"/deployments/{number}/statuses", etag)
        if answer.is_unchanged:
            return []
        entries = [one for page in (answer, *reading.rest(answer)) for one in page.entries()]
        newest = max(entries, key=lambda one: one.moment("created_at") or 0, default=Body({}))
        if newest.text("state") in _FINISHED or created < given_up:
            unfinished.pop(number, None)
        else:
            unfinished[number] = {"created": created, "etag": answer.etag}
        return [
            seen
            for one in entries
            for seen in reading.told(
                "deployment_status", deployment={"id": int(number)}, deployment_status=one.data
            )
            if seen.fields
        ]

    yield from _newest_first(reading, "/deployments", "created_at", expand)
    for number, before in earlier.items():
        if unfinished.get(number) != before:
            continue  # the list told of it just now
        if before["created"] < given_up:
            del unfinished[number]
            yield Step([], reading.place)
            continue
        seen = statuses(number, before["created"], before["etag"])
        if seen or unfinished.get(number) != before:
            yield Step(seen, reading.place)


def _newest_first(
    reading: Reading,
    path: str,
    by: str,
    expand: Callable[[Body, int], list[Observation]],
    **parameters: str | int,
) -> Iterator[Step]:
    """Reads a list down to the mark, one entry a step; a reading that was left midway is finished before the list is looked
    at from its front again."""
    is_resumed = "midway" in reading.place
    yield from _down_to_mark(reading, path, by, expand, parameters)
    if is_resumed:
        yield from _down_to_mark(reading, path, by, expand, parameters)


def _down_to_mark(
    reading: Reading,
    path: str,
    by: str,
    expand: Callable[[Body, int], list[Observation]],
    parameters: Mapping[str, str | int],
) -> Iterator[Step]:
    place, what = reading.place, path.strip("/")
    since = place.setdefault("since", reading.since)
    midway: dict[str, Any] = place.get("midway") or {"page": 1, "reached": None, "done": []}
    resumed_at, already = midway["reached"], list(midway["done"])
    answer = reading.front(path, None if resumed_at else place.get("etag"), page=midway["page"], **parameters)
    if answer.is_unchanged:
        return
    while resumed_at and midway["page"] > 1 and _is_below(answer, by, what, resumed_at):
        midway["page"] -= 1  # entries were deleted, and those not yet read have moved up
        answer = reading.front(path, None, page=midway["page"], **parameters)
    if not resumed_at:
        newest = max((moment(one, by, what) for one in answer.entries()), default=since)
        midway |= {"newest": max(newest, since), "etag": answer.etag}
    handled: set[int | None] = set()
    is_at_mark = False
    while not is_at_mark:
        for entry in answer.entries():
            at, number = moment(entry, by, what), entry.whole("id")
            if resumed_at and (at > resumed_at or (at == resumed_at and number in already)):
                continue
            if at < since - OVERLAP:
                is_at_mark = True
                break
            if number in handled:
                continue
            handled.add(number)
            observations = expand(entry, at)
            midway["done"] = [*midway["done"], number] if midway["reached"] == at else [number]
            midway["reached"] = at
            place["midway"] = midway
            yield Step(observations, place, len(handled))
        if not answer.next:
            break
        if not is_at_mark:
            midway["page"] += 1
            answer = reading.client.get(answer.next)
    place.pop("midway", None)
    place |= {"since": midway["newest"], "etag": midway["etag"]}
    yield Step([], place, len(handled))


def _is_below(answer: Answer, by: str, what: str, reached: int) -> bool:
    entries = answer.entries()
    return not entries or moment(entries[0], by, what) <= reached


# --- lists that are read from their front ------------------------------------------------------------


def issues(reading: Reading) -> Iterator[Step]:
    """Issues that were updated since; pull requests, which the same list shows, are left out.

    The moment from which the list is asked for moves only by full pages: so the address stays the same while little happens,
    and its ETag tells when nothing did.
    """
    place, read = reading.place, 0
    since: int = place.setdefault("since", reading.since)
    while True:
        bounds = {"since": iso(since // 1000)} if since else {}
        answer = reading.front(
            "/issues", place.get("etag"), state="all", sort="updated", direction="asc", **bounds
        )
        if answer.is_unchanged:
            return
        place["etag"] = None
        for page in (answer, *reading.rest(answer)):
            entries = page.entries()
            last = max((moment(one, "updated_at", "issues") for one in entries), default=0)
            seen = [
                events.issue(reading.key, one, moment(one, "updated_at", "issues"))
                for one in entries
                if "pull_request" not in one
            ]
            read += len(seen)
            # a second earlier: whether the moment itself belongs to what is asked for is not said anywhere
            is_moved = page.next is not None and last - 1000 > since
            if is_moved:
                since = place["since"] = last // 1000 * 1000 - 1000
            elif not page.next and page is answer:
                place["etag"] = answer.etag
            yield Step(seen, place, read)
            if is_moved:
                break
            if not page.next:
                return


def releases(reading: Reading) -> Iterator[Step]:
    return pages(reading, reading.place, "/releases", lambda one: reading.told("release", release=one.data))


def milestones(reading: Reading) -> Iterator[Step]:
    return pages(
        reading,
        reading.place,
        "/milestones",
        lambda one: reading.told("milestone", milestone=one.data),
        state="all",
    )
