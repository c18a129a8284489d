"""Moments as users write them."""

from __future__ import annotations

from datetime import UTC, datetime

from achievement_collector.services.records import parse_moment


def window_of_words(since: str | None, until: str | None, now: int) -> tuple[int | None, int | None]:
    """(since, until) in milliseconds: ISO days, months or years, or ``90d``, ``12w``, ``6m``, ``2y`` back from ``now``; the
    end of the day (month, year) that ``until`` names."""
    moment = datetime.fromtimestamp(now / 1000, UTC)
    begin, end = parse_moment(since, moment), parse_moment(until, moment, is_end=True)
    return (
        int(begin.timestamp() * 1000) if begin else None,
        int(end.timestamp() * 1000) if end else None,
    )
