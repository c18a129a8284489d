"""Content posts: taken in from requests and from polling, concluded in the same transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.content import (
    conclude_post,
    engagement,
    reaches,
    revenue_estimate,
    shortfall,
)
from achievement_collector.derive.identity import parse_signature
from achievement_collector.errors import CollectorError
from achievement_collector.facts.content import Figures, Post, PostNews
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger.collecting import SignatureIds
from achievement_collector.ledger.entities import Thing, cursor, remember, take_in, thing, things
from achievement_collector.ledger.store import Ledger

if TYPE_CHECKING:
    from achievement_collector.sources.threads import ThreadsClient

_DAY = 86_400_000
_PART = 25
_POLLED = "threads/polled"
_HOURS, _MOST_HOURS = 24, 24 * 30


@dataclass(frozen=True, slots=True)
class Tracked:
    """What came of a message about a post.

    ``status`` is ``created``, ``updated`` or ``unchanged`` for a post that is an achievement, else ``skipped`` with the
    ``reason``; ``is_withdrawn`` where it was one until now or earlier. ``rate`` is 0-1, None where it was not measured.
    """

    status: str
    key: str = ""
    achievement_id: str = ""
    title: str = ""
    reason: str = ""
    rate: float | None = None
    basis: str = ""
    notes: tuple[str, ...] = ()
    revenue: dict[str, Any] | None = None
    is_withdrawn: bool = False


@dataclass(slots=True)
class Polled:
    """What a poll brought: posts told of, and how many of them were created, updated, unchanged and skipped."""

    posts: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0


def track_post(ledger: Ledger, settings: Settings, news: PostNews, now: int) -> Tracked:
    """Takes in what a message tells of a post and concludes it. ``now`` in milliseconds.

    The same message again changes nothing, and one with older figures than those known (by ``measured``) does not replace
    them. Raises :class:`CollectorError` for what cannot be used; then nothing is stored.
    """
    if not post_key(news) and (reason := shortfall(news.figures)):
        return _skipped(news.figures, reason)  # it need not be known again
    _check(news, now)
    with ledger.write() as connection:
        done, has_new_author = _track(connection, news, now)
    _join_people(ledger, settings, [has_new_author])
    return done


def track_posts(ledger: Ledger, settings: Settings, told: Iterable[PostNews], now: int) -> Polled:
    """As :func:`track_post` for each of many; those that cannot be used are counted as skipped."""
    usable, done = [], Polled()
    for news in told:
        done.posts += 1
        try:
            _check(news, now)
            usable.append(news)
        except CollectorError:
            done.skipped += 1
    has_new_author = []
    for start in range(
        0, len(usable), _PART
    ):  # short transactions: whoever takes deliveries in waits for them
        with ledger.write() as connection:
            for news in sorted(usable[start : start + _PART], key=post_key):
                one, is_new = _track(connection, news, now)
                setattr(done, one.status, getattr(done, one.status) + 1)
                has_new_author.append(is_new)
    _join_people(ledger, settings, has_new_author)
    return done


def poll_posts(ledger: Ledger, settings: Settings, client: ThreadsClient, now: int) -> Polled:
    """Asks the adaptor for the posts of the last day, or since the last poll where that is longer ago, and takes them in."""
    with ledger.read() as connection:
        last = cursor(connection, _POLLED)
    since = -(-(now - last) // 3_600_000) + 1 if isinstance(last, int) and last <= now else _HOURS
    done = track_posts(ledger, settings, client.posts(max(_HOURS, min(_MOST_HOURS, since))), now)
    with ledger.write() as connection:
        remember(connection, _POLLED, now, now)
    return done


def post_key(news: PostNews) -> str:
    """What names a post for ever: the sender's id of it, else its persona, hook and text together; empty without any."""
    if news.post_id:
        return f"threads/{news.post_id}"
    if not news.hook and not news.body:
        return ""
    text = "\0".join((news.persona, news.hook, news.body))
    return f"threads/text-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:20]}"


def conclude_posts(connection: Connection, keys: Sequence[str]) -> list[Conclusion]:
    """The conclusions on the posts with these keys that are one; their authors get signatures. For a transaction that
    writes."""
    found = []
    for one in things(connection, Kind.POST, keys=keys):
        post = post_of(one)
        concluded = conclude_post(post, _author_id(connection, post))
        if concluded is not None:
            found.append(concluded)
    return found


def post_of(one: Thing) -> Post:
    fields, said = one.fields, one.said
    return Post(
        one.key, fields.get("hook", ""), fields.get("body", ""), fields.get("persona", ""), fields.get("author", ""),
        fields.get("url", ""), fields.get("published"), fields.get("first_told", 0),
        Figures.of(fields.get("figures")), said.get("figures", 0),
        Figures.of(fields.get("reached")), said.get("reached", 0),
    )  # fmt: skip


def _check(news: PostNews, now: int) -> None:
    if not post_key(news):
        raise CollectorError("a post needs a post_id, or a hook or body by which it is known again")
    if news.published is not None and news.published > now + _DAY:
        raise CollectorError("published_at lies in the future")
    if news.measured is not None and news.measured > now + _DAY:
        raise CollectorError("measured_at lies in the future")
    if news.author and parse_signature(news.author) is None:
        raise CollectorError("author must be written as: Name <address>")


def _track(connection: Connection, news: PostNews, now: int) -> tuple[Tracked, bool]:
    """What came of it, and whether another author is named than before."""
    key = post_key(news)
    uid = conclusions.achievement_uid("", f"post/{key}")
    changed = take_in(connection, [_observation(connection, key, news, now)], now)
    known = thing(connection, Kind.POST, key)  # locked by now
    assert known is not None
    post = post_of(known)
    concluded = conclude_post(post, _author_id(connection, post))
    was_there = conclusions.has_uid(connection, uid)
    if changed or was_there is (concluded is None):
        conclusions.remove_by_uid(connection, uid)
        if concluded is not None:
            conclusions.add_achievements(connection, None, "", RULES_VERSION, 1.0, [concluded])
            conclusions.apply_edits_of(connection, [uid])
    has_new_author = any("author" in one.fields for one in changed)
    if concluded is None:
        figures = post.figures or news.figures
        return _skipped(figures, shortfall(figures), key), has_new_author
    if not concluded.is_counted:
        return _skipped(post.figures, concluded.left_out_reason, key, uid, is_withdrawn=True), has_new_author
    found = engagement(post.figures)
    return Tracked(
        "created" if not was_there else "updated" if changed else "unchanged", key, uid, concluded.title, "",
        float(found.rate or 0), found.basis, found.notes, revenue_estimate(post.figures),
    ), has_new_author  # fmt: skip


def _observation(connection: Connection, key: str, news: PostNews, now: int) -> Observation:
    """Figures are one field, so that never those of two moments are put together; ``reached`` keeps the newest of those
    that reached the threshold, so that what falls below it later is left out and not forgotten."""
    before = thing(connection, Kind.POST, key)
    texts = {
        "hook": news.hook,
        "body": news.body,
        "persona": news.persona,
        "author": news.author,
        "url": news.url,
    }
    fields: dict[str, Any] = {name: text for name, text in texts.items() if text}
    if news.published is not None:
        fields["published"] = news.published
    if (
        news.figures and news.figures.views != 0
    ):  # 0 views is how content systems write that none were fetched
        fields["figures"] = news.figures.as_told()
        if reaches(news.figures):
            fields["reached"] = news.figures.as_told()
    if before is None:
        fields["first_told"] = now
    if news.measured is not None:
        at = min(news.measured, now)
    else:  # what has no time of its own holds from when it came, so after what came before
        at = max(
            [now, *(said + 1 for name, said in (before.said if before else {}).items() if name in fields)]
        )
    return Observation(Kind.POST, key, at, fields)


def _author_id(connection: Connection, post: Post) -> int | None:
    """The signature of the person whom the sender names."""
    who = parse_signature(post.author) if post.author else None
    return None if who is None else SignatureIds(connection).add(connection, [who])[who]


def _skipped(
    figures: Figures, reason: str, key: str = "", uid: str = "", *, is_withdrawn: bool = False
) -> Tracked:
    found = engagement(figures)
    rate = None if found.rate is None else float(found.rate)
    return Tracked("skipped", key, uid, "", reason, rate, found.basis, found.notes, None, is_withdrawn)


def _join_people(ledger: Ledger, settings: Settings, named: Sequence[bool]) -> None:
    if any(named):
        from achievement_collector.services.identity import load_author_rules, refresh_people

        refresh_people(ledger, load_author_rules(settings.rules))
