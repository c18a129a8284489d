"""What pull requests and issues became, for the epics that gather them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.derive.conclusions import Achievement
from achievement_collector.derive.epics import Rolled
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger.entities import things
from achievement_collector.ledger.selection import load
from achievement_collector.ledger.tables import achievements, repositories


def rolled_pulls(connection: Connection, pulls: Sequence[PullRequest]) -> dict[str, Rolled]:
    """What pull requests (by key) became, as far as their epic shows it."""
    if not pulls:
        return {}
    by_place: dict[tuple[str, str], str] = {
        (pull.repository, f"pr/{pull.number}"): pull.key for pull in pulls
    }
    moved = {key: str(one.fields["moved_to"]) for one in things(connection, Kind.REPOSITORY, keys=[p.repository for p in pulls])
             if one.fields.get("moved_to") for key in [one.key]}  # fmt: skip
    by_place |= {(moved[place], name): key for (place, name), key in list(by_place.items()) if place in moved}
    rows = connection.execute(
        sa.select(achievements, repositories.c.key.label("place"))
        .join(repositories)
        .where(
            repositories.c.key.in_({place for place, _ in by_place}),
            achievements.c.key.in_({name for _, name in by_place}),
        )
    ).all()
    found = {by_place[row.place, row.key]: row for row in rows if (row.place, row.key) in by_place}
    loaded = {one.id: one for one in load(connection, list(found.values()))}
    return {key: _rolled(loaded[row.uid]) for key, row in found.items()}


def rolled_by_uid(connection: Connection, uids: Sequence[str]) -> dict[str, Rolled]:
    rows = (
        connection.execute(sa.select(achievements).where(achievements.c.uid.in_(list(uids)))).all()
        if uids
        else []
    )
    return {one.id: _rolled(one) for one in load(connection, rows)}


def _rolled(one: Achievement) -> Rolled:
    return Rolled(
        one.id, one.title, one.category.category.value, one.impact.value, one.is_counted, one.left_out_reason,
        tuple(skill.name for skill in one.skills), tuple(credit.person for credit in one.credits),
    )  # fmt: skip
