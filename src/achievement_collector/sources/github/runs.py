"""Workflow runs as GitHub lists them: complete beyond what it shows of one search, each attempt of its own.

Runs are shown by when they were created, at most 1,000 of any search, newest first. A run that is run again keeps the moment
of its creation, and so its place in the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from achievement_collector.facts.observations import Observation
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github import events
from achievement_collector.sources.github.client import Answer, GitHubError
from achievement_collector.sources.github.reading import Reading, Step, iso, moment, pages, unless_gone

MOST_RUNS = 1_000
"""What a search for workflow runs gives at most; one that shows as many may hide more."""

RERUN_DAYS = 30
"""Days after its creation in which a run may be run again, as GitHub documents it."""

_DAY = 86_400
_SETTLED = 600  # seconds after which no workflow run is expected to become visible any more
_RECENT_DAYS = 7  # days that are looked at each time for runs that were run again
_NOTED_EVERY = 3_600_000  # milliseconds
_LOOK_BACK_EVERY = 6 * 3_600_000  # milliseconds between two looks at all of RERUN_DAYS


class OverflowRefused(GitHubError):  # noqa: N818 - an outcome, not a mistake
    """One second holds more workflow runs than GitHub shows; nothing behind it is taken for known."""


def workflow_runs(reading: Reading) -> Iterator[Step]:
    """Workflow runs, each attempt of its own.

    What was created long ago is read in windows of whole seconds that hold less than GitHub shows of one search, oldest
    first: everything before ``place["from"]`` (seconds since 1970) was read. What came after is one open search with its
    ETags. Runs that had not ended are asked about until they have (``place["unfinished"]``), and days before the
    open search are looked at for old runs that were run again. ``place["read"]`` (milliseconds) is a moment up to which all was
    read, noted once an hour.

    Raises :class:`OverflowRefused` where a single second holds too many.
    """
    place = reading.place
    place.setdefault("from", reading.since // 1000)
    place.setdefault("unfinished", {})
    while True:
        known, created = place.get("pages", []), f">={iso(place['from'])}"
        front = _runs(reading, created, known[0][0] if known else None)
        until = _settled(reading, front)
        if until is None:
            break
        yield from _window(reading, place["from"], until - 1)
    yield from pages(
        reading, place, "/actions/runs", partial(_run, reading), "workflow_runs", front, created=created
    )
    yield from _run_again(reading)
    yield from _unfinished(reading)
    if reading.now - place.get("read", 0) >= _NOTED_EVERY:
        place["read"] = reading.now
        yield Step([], place)


def _runs(reading: Reading, created: str, etag: str | None = None) -> Answer | None:
    """The first page of a search, None where GitHub says that it would find too many."""
    try:
        return reading.front("/actions/runs", etag, page=1, created=created)
    except GitHubError as error:
        if error.status != 422:
            raise
        return None


def _settled(reading: Reading, front: Answer | None) -> int | None:
    """The second before which the runs of the open search are to be read in windows; None where they fit a page, or are too
    new for that."""
    start: int = reading.place["from"]
    if front is None:
        until = reading.now // 1000 - _SETTLED
        if until <= start:
            raise _overflow(start)
        return until
    if front.is_unchanged or front.next is None:
        return None
    created = sorted(moment(one, "created_at", "runs") // 1000 for one in front.entries("workflow_runs"))
    middle = created[len(created) // 2] if created else start
    if (front.body.whole("total_count") or 0) < MOST_RUNS:
        middle = min(middle, created[-1] - _SETTLED) if created else start
    elif middle == start:
        raise _overflow(start)
    return middle if middle > start else None


def _window(reading: Reading, start: int, end: int) -> Iterator[Step]:
    """The runs created from one second to another, both included; what holds too many is halved."""
    place, done = reading.place, 0
    ahead = [(start, end)]
    while ahead:
        start, end = ahead.pop()
        answer = _runs(reading, f"{iso(start)}..{iso(end)}")
        total = MOST_RUNS if answer is None else answer.body.whole("total_count") or 0
        if answer is None or total >= MOST_RUNS:
            if start == end:
                raise _overflow(start)
            middle = (start + end) // 2
            ahead += [(middle + 1, end), (start, middle)]
            continue
        for page in (answer, *reading.rest(answer)):
            entries = page.entries("workflow_runs")
            done += len(entries)
            seen = [one for entry in entries for one in _run(reading, entry)]
            if not page.next:
                place |= {"from": end + 1, "pages": []}
            yield Step(seen, place, done, None)


def _overflow(second: int) -> OverflowRefused:
    return OverflowRefused(
        f"more than {MOST_RUNS - 1} workflow runs were created within the second {iso(second)}, and GitHub shows no "
        "more of them; begin after it with a later start, or take the runs from webhooks"
    )


def _run(reading: Reading, one: Body) -> list[Observation]:
    """The attempt that a run shows, and those before it that are not known to have ended."""
    found = [events.workflow_run(reading.key, one, moment(one, "updated_at", "runs"))]
    number, unfinished = one.whole("id"), reading.place["unfinished"]
    if one.text("status") == "completed":
        unfinished.pop(str(number), None)
    else:
        unfinished.setdefault(str(number), None)
    for attempt in range(1, one.whole("run_attempt") or 1):
        if number is None or reading.has_ended(number, attempt):
            continue
        earlier = f"/actions/runs/{number}/attempts/{attempt}"
        before = unless_gone(partial(reading.get, earlier))
        if before:
            at = moment(before.body, "updated_at", "runs")
            found.append(events.workflow_run(reading.key, before.body, at))
    return found


def _run_again(reading: Reading) -> Iterator[Step]:
    """Looks at the days that the open search does not hold: the last week each time, all days in which a run may be run again
    a few times a day."""
    place = reading.place
    days: dict[str, Any] = place.setdefault("days", {})
    today, since = reading.now // 1000 // _DAY, reading.since // 1000
    is_long = reading.now - place.get("looked_back", 0) >= _LOOK_BACK_EVERY
    kept = {
        iso(day * _DAY)[:10]: day
        for day in range(max(today - RERUN_DAYS, since // _DAY), today + 1)
        if day * _DAY < place["from"]
    }
    for name in sorted(days.keys() - kept.keys()):
        del days[name]
    for name, day in kept.items():
        if is_long or day >= today - _RECENT_DAYS:
            start, end = max(day * _DAY, since), (day + 1) * _DAY - 1
            yield from _look_again(reading, days.setdefault(name, {}), start, end)
    if is_long and kept:
        place["looked_back"] = reading.now
        yield Step([], place)


def _look_again(reading: Reading, windows: dict[str, Any], start: int, end: int) -> Iterator[Step]:
    """The runs created from one second to another that are not as they were stored; what holds too many is halved, and
    ``windows`` remembers that."""
    created = f"{iso(start)}..{iso(end)}"
    window = windows.setdefault(created, {})
    if not window.get("is_halved"):
        known = window.get("pages", [])
        front = _runs(reading, created, known[0][0] if known else None)
        if front is not None and (front.is_unchanged or (front.body.whole("total_count") or 0) < MOST_RUNS):
            yield from pages(
                reading,
                window,
                "/actions/runs",
                partial(_run, reading),
                "workflow_runs",
                front,
                created=created,
            )
            return
        if start == end:
            raise _overflow(start)
        windows[created] = {"is_halved": True}
    middle = (start + end) // 2
    yield from _look_again(reading, windows, start, middle)
    yield from _look_again(reading, windows, middle + 1, end)


def _unfinished(reading: Reading) -> Iterator[Step]:
    unfinished: dict[str, str | None] = reading.place["unfinished"]
    for number, etag in list(unfinished.items()):
        answer = unless_gone(partial(reading.get, f"/actions/runs/{number}", etag))
        if answer is None:
            del unfinished[number]
            yield Step([], reading.place)
        elif not answer.is_unchanged:
            seen = _run(reading, answer.body)
            if number in unfinished:
                unfinished[number] = answer.etag
            yield Step(seen, reading.place)
