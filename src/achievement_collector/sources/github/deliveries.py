"""Deliveries to our webhook that never arrived: GitHub sends none again by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github.client import BudgetExhausted, GitHubError
from achievement_collector.sources.github.reading import Reading, Step, moment

HOOK_PATH = "/webhooks/github"
"""How the address of a webhook that is ours ends."""

MOST_REDELIVERED = 100
"""How many deliveries are asked for again at a time; GitHub wants a second between them."""

_ASKED_KEPT = 30 * 86_400_000  # milliseconds for which it is remembered that a delivery was asked for again


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
        if attempts and moment(attempts[-1], "delivered_at", "deliveries") < known["since"]:
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
    newest = max((moment(one, "delivered_at", "deliveries") for one in attempts), default=0)
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
