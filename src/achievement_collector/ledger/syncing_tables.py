"""The tables of two-way sync. ``scope`` names the pair of places that are kept in step."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from achievement_collector.ledger.tables import _Id, metadata

sync_links = Table(
    "sync_links",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),  # stands in both items
    Column("github", Text, nullable=False),  # the node id
    Column("notion", Text, nullable=False),  # the page's id
    Column("kind", String(12), nullable=False),  # issue, milestone
    Column("is_active", Boolean, nullable=False),  # a link that ended stays, so that nothing is made anew
    Column("missing_github", Integer, nullable=False, default=0),  # complete sweeps in a row
    Column("missing_notion", Integer, nullable=False, default=0),
    Column("told", Text, nullable=False, default=""),  # why it ended
    Column("changed", BigInteger, nullable=False),  # milliseconds
    UniqueConstraint("scope", "key"),
    UniqueConstraint("scope", "github"),
    UniqueConstraint("scope", "notion"),
)

sync_bases = Table(
    "sync_bases",
    metadata,
    Column(
        "link_id",
        _Id,
        ForeignKey("sync_links.id", name="fk_sync_bases_link_id_sync_links", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("field", String(40), primary_key=True),
    Column("github", Text, nullable=False),  # JSON, as both sides showed it when they agreed
    Column("notion", Text, nullable=False),
    Column("hash", String(64), nullable=False),  # SHA-256 of both
    Column("agreed", BigInteger, nullable=False),  # milliseconds
)

sync_operations = Table(
    "sync_operations",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("run_id", _Id, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON: the operation as planned
    Column("fingerprint", String(40), nullable=False),
    Column("state", String(12), nullable=False),  # planned, sent, confirmed, done, parked, dropped
    Column("result", Text),  # JSON: the item as the server answered
    Column("told", Text, nullable=False, default=""),
    Column("changed", BigInteger, nullable=False),  # milliseconds
    Index(None, "scope", "state"),
)

sync_conflicts = Table(
    "sync_conflicts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("field", String(40), nullable=False),
    Column("github", Text, nullable=False),  # JSON
    Column("notion", Text, nullable=False),
    Column("label", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False),
    Column("state", String(12), nullable=False),  # open, decided, closed
    Column("decision", Text),  # JSON {take, value}
    Column("opened", BigInteger, nullable=False),  # milliseconds
    Column("changed", BigInteger, nullable=False),
    Index(None, "scope", "state"),
)

sync_sweeps = Table(
    "sync_sweeps",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("side", String(10), primary_key=True),
    Column("seen_until", BigInteger, nullable=False, default=0),  # milliseconds: all before is known
    Column("complete_at", BigInteger, nullable=False, default=0),  # the last complete sweep's beginning
    Column("items", Integer, nullable=False, default=0),
)

sync_leases = Table(
    "sync_leases",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),  # milliseconds
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("started", BigInteger, nullable=False),  # milliseconds
    Column("ended", BigInteger),
    Column("is_complete", Boolean, nullable=False, default=False),  # both sweeps were, and all was done
    Column("outcome", String(12), nullable=False, default=""),  # clean, conflicts, partial, fatal
    Column("plan", String(64), nullable=False, default=""),
    Column("body", Text, nullable=False, default="{}"),  # JSON: counts, and what was told
    Index(None, "scope", "id"),
)
