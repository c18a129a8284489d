"""The tables of the roadmap: frozen snapshots of milestones, and what people said of them elsewhere."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from achievement_collector.ledger.tables import metadata

milestone_snapshots = Table(
    "milestone_snapshots",
    metadata,
    Column("milestone", Text, primary_key=True),
    Column("day", String(10), primary_key=True),  # UTC, ISO 8601
    Column("made", BigInteger, nullable=False),  # milliseconds, by our clock
    Column("target", String(10)),  # the day, as in the body: slips are read without the bodies
    Column("body", Text, nullable=False),  # JSON; never changed
    Index(None, "day"),
)

milestone_statements = Table(
    "milestone_statements",
    metadata,
    Column("milestone", Text, primary_key=True),
    Column("origin", String(20), primary_key=True),  # Notion, person
    Column("status", String(20)),  # one of the four, NULL where the words are none of them
    Column("words", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # when it was said, milliseconds
)
