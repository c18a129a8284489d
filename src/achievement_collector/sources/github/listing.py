"""What GitHub's lists show of a repository, as steps that can be stored one by one.

Every function here is a generator of :class:`Step`: observations, and the *place* in the list from which to go on once they
are stored. Whoever asks stores both in one transaction and only then takes the next step, so that a stop at any moment
repeats at most one step. A place is JSON and holds the ETags of what was stored; a list with nothing new gives no step at all
and costs only requests that are answered with 304.

GitHub's lists differ in how they can be read from where one stopped:

* issues can be asked for from a moment on, oldest first; the moment moves on by each full page;
* pull requests and deployments are only shown newest first. The mark ``since``, up to which everything is known, moves when a
  reading has come down to it; until then ``midway`` says how far that reading has come;
* releases and milestones are few: every page is asked for with its ETag;
* workflow runs are shown by when they were created, at most 1,000 of any search. See :func:`workflow_runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github import events
from achievement_collector.sources.github.client import (
    PER_PAGE,
    Answer,
    BudgetExhausted,
    GitHubAccessError,
    GitHubClient,
    GitHubError,
)

HOOK_PATH = "/webhooks/github"
"""How the address of a webhook that is ours ends."""

OVERLAP = 5_000
"""Milliseconds before the newest known update that are read again: updates may become visible late."""

MOST_RUNS = 1_000
"""What a search for workflow runs gives at most; one that shows as many may hide more."""

MOST_REDELIVERED = 100
"""How many deliveries are asked for again at a time; GitHub wants a second between them."""

_DAY = 86_400
_SETTLED = 600  # seconds after which no workflow run is expected to become visible any more
_RERUN_DAYS = 7  # days that are looked at for runs that were run again
_PATIENCE = 35 * _DAY * 1000  # milliseconds after which a deployment that never ended is given up
_ASKED_KEPT = 30 * _DAY * 1000  # milliseconds for which it is remembered that a delivery was asked for again
_FINISHED = {"success", "failure", "error", "inactive"}  # states after which a deployment rests


class OverflowRefused(GitHubError):  # noqa: N818 - an outcome, not a mistake
    """One second holds more workflow runs than GitHub shows; nothing behind it is taken for known."""


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
    place (empty the first time), not before which moment (milliseconds) the first time. ``known`` gives the fields of a thing
    that the ledger knows."""

    client: GitHubClient
    name: str
    key: str
    now: int
    place: dict[str, Any] = field(default_factory=dict)
    since: int = 0
    known: Callable[[Kind, str], Mapping[str, Any]] = lambda _kind, _key: {}
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


def _moment(one: Body, name: str, what: str) -> int:
    at = one.moment(name)
    if at is None:
        raise GitHubError(f"GitHub showed one of the {what} without {name}; try again later")
    return at


def _unless_gone(ask: Callable[[], Answer]) -> Answer | None:
    """The answer about one thing, None where it was deleted since a list showed it, or GitHub keeps it no longer."""
    try:
        return ask()
    except GitHubAccessError as error:
        if error.status not in (404, 410):
            raise
        return None


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
            shown = _unless_gone(partial(reading.get, path))
            entry = shown.body if shown else entry
            updated = entry.moment("updated_at") or updated
        pull = events.pull_request(reading.key, entry, updated)
        found, answer = [pull], _unless_gone(partial(reading.front, f"{path}/reviews"))
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
    moment: str,
    expand: Callable[[Body, int], list[Observation]],
    **parameters: str | int,
) -> Iterator[Step]:
    """Reads a list down to the mark, one entry a step; a reading that was left midway is finished before the list is looked
    at from its front again."""
    is_resumed = "midway" in reading.place
    yield from _down_to_mark(reading, path, moment, expand, parameters)
    if is_resumed:
        yield from _down_to_mark(reading, path, moment, expand, parameters)


def _down_to_mark(
    reading: Reading,
    path: str,
    moment: str,
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
    while resumed_at and midway["page"] > 1 and _is_below(answer, moment, what, resumed_at):
        midway["page"] -= 1  # entries were deleted, and those not yet read have moved up
        answer = reading.front(path, None, page=midway["page"], **parameters)
    if not resumed_at:
        newest = max((_moment(one, moment, what) for one in answer.entries()), default=since)
        midway |= {"newest": max(newest, since), "etag": answer.etag}
    handled: set[int | None] = set()
    is_at_mark = False
    while not is_at_mark:
        for entry in answer.entries():
            at, number = _moment(entry, moment, what), entry.whole("id")
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


def _is_below(answer: Answer, moment: str, what: str, reached: int) -> bool:
    entries = answer.entries()
    return not entries or _moment(entries[0], moment, what) <= reached


# --- lists that are read from their front ------------------------------------------------------------


def issues(reading: Reading) -> Iterator[Step]:
    """Issues that were updated since; pull requests, which the same list shows, are left out.

    The moment from which the list is asked for moves only by full pages: so the address stays the same while little happens,
    and its ETag tells when nothing did.
    """
    place, read = reading.place, 0
    since: int = place.setdefault("since", reading.since)
    while True:
        bounds = {"since": _iso(since // 1000)} if since else {}
        answer = reading.front(
            "/issues", place.get("etag"), state="all", sort="updated", direction="asc", **bounds
        )
        if answer.is_unchanged:
            return
        place["etag"] = None
        for page in (answer, *reading.rest(answer)):
            entries = page.entries()
            last = max((_moment(one, "updated_at", "issues") for one in entries), default=0)
            seen = [
                events.issue(reading.key, one, _moment(one, "updated_at", "issues"))
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
    return _pages(reading, reading.place, "/releases", lambda one: reading.told("release", release=one.data))


def milestones(reading: Reading) -> Iterator[Step]:
    return _pages(
        reading,
        reading.place,
        "/milestones",
        lambda one: reading.told("milestone", milestone=one.data),
        state="all",
    )


def _pages(
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
        pages = place.get("pages", [])
        etag, follows = pages[number] if number < len(pages) else (None, False)
        answer, front = front or reading.front(path, etag, page=number + 1, **parameters), None
        number += 1
        if answer.is_unchanged:
            is_last = not follows
            continue
        is_last = answer.next is None
        entries = answer.entries(inside)
        done += len(entries)
        behind = [] if is_last else pages[number:]
        place["pages"] = [*pages[: number - 1], [answer.etag, not is_last], *behind]
        yield Step(
            [seen for one in entries for seen in read(one)],
            reading.place,
            done,
            answer.body.whole("total_count"),
        )


# --- workflow runs -----------------------------------------------------------------------------------


def workflow_runs(reading: Reading) -> Iterator[Step]:
    """Workflow runs, each attempt of its own.

    What was created long ago is read in windows of whole seconds that hold less than GitHub shows of one search, oldest
    first: everything before ``place["from"]`` (seconds since 1970) was read. What came after is one open search with its
    ETags. Runs that had not ended are asked about until they have (``place["unfinished"]``), and the days of the last week are
    looked at for old runs that were run again, which keep the moment of their creation.

    Raises :class:`OverflowRefused` where a single second holds too many.
    """
    place = reading.place
    place.setdefault("from", reading.since // 1000)
    place.setdefault("unfinished", {})
    while True:
        pages, created = place.get("pages", []), f">={_iso(place['from'])}"
        front = _runs(reading, created, pages[0][0] if pages else None)
        until = _settled(reading, front)
        if until is None:
            break
        yield from _window(reading, place["from"], until - 1)
    yield from _pages(
        reading, place, "/actions/runs", partial(_run, reading), "workflow_runs", front, created=created
    )
    yield from _run_again(reading)
    yield from _unfinished(reading)


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
    created = sorted(_moment(one, "created_at", "runs") // 1000 for one in front.entries("workflow_runs"))
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
        answer = _runs(reading, f"{_iso(start)}..{_iso(end)}")
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
        f"more than {MOST_RUNS - 1} workflow runs were created within the second {_iso(second)}, and GitHub shows no "
        "more of them; begin after it with a later start, or take the runs from webhooks"
    )


def _run(reading: Reading, one: Body) -> list[Observation]:
    """The attempt that a run shows, and those before it that are not known to have ended."""
    found = [events.workflow_run(reading.key, one, _moment(one, "updated_at", "runs"))]
    number, unfinished = one.whole("id"), reading.place["unfinished"]
    if one.text("status") == "completed":
        unfinished.pop(str(number), None)
    else:
        unfinished.setdefault(str(number), None)
    for attempt in range(1, one.whole("run_attempt") or 1):
        if reading.known(Kind.CHECK, f"{reading.key}/run/{number}/{attempt}").get("conclusion"):
            continue
        earlier = f"/actions/runs/{number}/attempts/{attempt}"
        before = _unless_gone(partial(reading.get, earlier))
        if before:
            at = _moment(before.body, "updated_at", "runs")
            found.append(events.workflow_run(reading.key, before.body, at))
    return found


def _run_again(reading: Reading) -> Iterator[Step]:
    """Looks at the days of the last week that the open search does not hold."""
    place = reading.place
    days: dict[str, Any] = place.setdefault("days", {})
    today = reading.now // 1000 // _DAY
    wanted = {
        _iso(day * _DAY)[:10] for day in range(today - _RERUN_DAYS, today + 1) if day * _DAY < place["from"]
    }
    for day in sorted(days.keys() - wanted):
        del days[day]
    for day in sorted(wanted):
        created = f"{day}T00:00:00Z..{day}T23:59:59Z"
        pages = days.setdefault(day, {})
        yield from _pages(
            reading, pages, "/actions/runs", partial(_run, reading), "workflow_runs", created=created
        )


def _unfinished(reading: Reading) -> Iterator[Step]:
    unfinished: dict[str, str | None] = reading.place["unfinished"]
    for number, etag in list(unfinished.items()):
        answer = _unless_gone(partial(reading.get, f"/actions/runs/{number}", etag))
        if answer is None:
            del unfinished[number]
            yield Step([], reading.place)
        elif not answer.is_unchanged:
            seen = _run(reading, answer.body)
            if number in unfinished:
                unfinished[number] = answer.etag
            yield Step(seen, reading.place)


# --- deliveries --------------------------------------------------------------------------------------


def failed_deliveries(reading: Reading) -> Iterator[Step]:
    """Asks GitHub once for each delivery to our webhook of which every attempt failed; gives no observations.

    That a delivery was asked for is stored before it is asked for: rather never than twice, since what it tells is polled too.
    """
    place = reading.place
    answer = reading.front("/hooks", place.get("etag"))
    if not answer.is_unchanged:
        ours = [
            str(one.whole("id"))
            for one in answer.entries()
            if urlsplit(one.inner("config").text("url")).path.rstrip("/").endswith(HOOK_PATH)
        ]
        before = place.get("hooks", {})
        place |= {
            "etag": answer.etag,
            "hooks": {
                hook: before.get(hook) or {"etag": None, "since": 0, "failed": {}, "asked": {}}
                for hook in ours
            },
        }
        yield Step([], place)
    for hook, known in place["hooks"].items():
        if _look_for_failures(reading, hook, known):
            yield Step([], place)
        for guid, delivery in list(known["failed"].items()):
            if guid not in known["asked"] and reading.redelivered < MOST_REDELIVERED:
                yield from _ask_again(reading, f"/hooks/{hook}/deliveries/{delivery}/attempts", known, guid)


def _look_for_failures(reading: Reading, hook: str, known: dict[str, Any]) -> bool:
    """Reads the deliveries since the last time; gives whether there were any."""
    front = reading.front(f"/hooks/{hook}/deliveries", known["etag"])
    if front.is_unchanged:
        return False
    attempts: list[Body] = []
    for page in (front, *reading.rest(front)):
        attempts += page.entries()
        if attempts and _moment(attempts[-1], "delivered_at", "deliveries") < known["since"]:
            break
    failed: dict[str, int | None] = known["failed"]
    arrived = {one.text("guid", 100) for one in attempts if 200 <= (one.whole("status_code") or 0) < 300}
    for one in attempts:
        # a second attempt of what is not known to have failed: its first one, which is out of sight, arrived
        if one.text("guid", 100) not in arrived and not one.truth("redelivery"):
            failed[one.text("guid", 100)] = one.whole("id")
    for guid in arrived & failed.keys():
        del failed[guid]
    for guid, at in list(known["asked"].items()):
        if at < reading.now - _ASKED_KEPT:
            del known["asked"][guid]
            failed.pop(guid, None)
    newest = max((_moment(one, "delivered_at", "deliveries") for one in attempts), default=0)
    known |= {"etag": front.etag, "since": max(known["since"], newest)}
    return True


def _ask_again(reading: Reading, path: str, known: dict[str, Any], guid: str) -> Iterator[Step]:
    known["asked"][guid] = reading.now
    yield Step([], reading.place)
    try:
        reading.client.post(f"/repos/{reading.name}{path}")
    except BudgetExhausted:
        del known["asked"][guid]  # GitHub did not take it
        yield Step([], reading.place)
        raise
    except GitHubError as error:
        if error.status not in (400, 404, 422):
            raise
        return  # too old to be delivered again
    reading.redelivered += 1
    yield Step([], reading.place, reading.redelivered)
