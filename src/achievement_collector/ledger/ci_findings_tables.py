"""The tables of what is concluded about CI: explained failures, attempts to fix them, frozen reports."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from achievement_collector.ledger.tables import metadata

ci_failures = Table(
    "ci_failures",
    metadata,
    Column("job", Text, primary_key=True),  # facts.ci_runs.Job.key
    Column("repository", Text, nullable=False),
    Column("workflow", Text, nullable=False, default=""),
    Column("name", Text, nullable=False),  # of the job
    Column("step", Text, nullable=False, default=""),
    Column("sha", String(64), nullable=False, default=""),
    Column("branch", Text, nullable=False, default=""),
    Column("at", BigInteger, nullable=False),  # milliseconds: when the job ended
    Column("category", String(40), nullable=False),
    Column("cluster", String(40), nullable=False),
    Column("signature", Text, nullable=False),
    Column("rule", Text, nullable=False, default=""),
    Column("is_in_green", Boolean, nullable=False, default=False),  # also in runs that passed: no cause
    Column("evidence", Text, nullable=False, default="[]"),  # JSON [{number, offset, text, why}]
    Column("told", Text, nullable=False, default=""),
    Column(
        "basis", String(64), nullable=False, default=""
    ),  # digest of the rules and signatures it was made by
    Index(None, "repository", "at"),
    Index(None, "cluster", "at"),
)

ci_fixes = Table(
    "ci_fixes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("repository", Text, nullable=False),
    Column(
        "kind", String(40), nullable=False
    ),  # formatter, linter, lock_file, snapshot, or a person's own word
    Column("job", Text, nullable=False),  # the failed job
    Column("cluster", String(40), nullable=False, default=""),
    Column(
        "state", String(20), nullable=False
    ),  # proposed, applied, verified, failed, merged, reverted, withdrawn
    Column("branch", Text, nullable=False, default=""),
    Column("sha", String(64), nullable=False, default=""),  # of the fix
    Column("pull_request", BigInteger),
    Column("events", Text, nullable=False, default="[]"),  # JSON [{state, at, told}]
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Index(None, "repository", "created"),
    Index(None, "job"),
)

reports = Table(
    "reports",
    metadata,
    Column("key", Text, primary_key=True),  # weekly/<repository>/2026-W47, quarterly/<repository>/Q4-2026
    Column("kind", String(12), nullable=False),
    Column("repository", Text, nullable=False, default=""),
    Column("since", BigInteger, nullable=False),  # milliseconds
    Column("until", BigInteger, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("content_hash", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Index(None, "kind", "repository", "since"),
)
