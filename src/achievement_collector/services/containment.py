"""Which tags contain a commit, told from the stored graph."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from achievement_collector.derive.history import containing
from achievement_collector.ledger import reading
from achievement_collector.ledger.reading import StoredRepository


def tags_with_commit(connection: Connection, place: StoredRepository, sha: str) -> tuple[str, ...]:
    """The names of all tags from which the commit can be reached, in order of name."""
    people = reading.all_signatures(connection)
    tips = {tag.name: tag.target for tag in reading.stored_tags(connection, place.id, people)}
    return tuple(containing(reading.commit_graph(connection, place.id), sha, tips)) if tips else ()
