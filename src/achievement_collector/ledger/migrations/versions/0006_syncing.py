"""Two-way sync: links, agreed values, outbox, conflicts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sync_links",
        sa.Column("id", _ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("github", sa.Text(), nullable=False),
        sa.Column("notion", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("missing_github", sa.Integer(), nullable=False),
        sa.Column("missing_notion", sa.Integer(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_links")),
        sa.UniqueConstraint("scope", "key", name=op.f("uq_sync_links_scope_key")),
        sa.UniqueConstraint("scope", "github", name=op.f("uq_sync_links_scope_github")),
        sa.UniqueConstraint("scope", "notion", name=op.f("uq_sync_links_scope_notion")),
    )
    op.create_table(
        "sync_bases",
        sa.Column("link_id", _ID, nullable=False),
        sa.Column("field", sa.String(length=40), nullable=False),
        sa.Column("github", sa.Text(), nullable=False),
        sa.Column("notion", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("agreed", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["sync_links.id"], name=op.f("fk_sync_bases_link_id_sync_links"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", "field", name=op.f("pk_sync_bases")),
    )
    op.create_table(
        "sync_operations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_operations")),
    )
    op.create_index(op.f("ix_sync_operations_scope_state"), "sync_operations", ["scope", "state"])
    op.create_table(
        "sync_conflicts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("field", sa.String(length=40), nullable=False),
        sa.Column("github", sa.Text(), nullable=False),
        sa.Column("notion", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_conflicts")),
    )
    op.create_index(op.f("ix_sync_conflicts_scope_state"), "sync_conflicts", ["scope", "state"])
    op.create_table(
        "sync_sweeps",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("seen_until", sa.BigInteger(), nullable=False),
        sa.Column("complete_at", sa.BigInteger(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "side", name=op.f("pk_sync_sweeps")),
    )
    op.create_table(
        "sync_leases",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_sync_leases")),
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("plan", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
    )
    op.create_index(op.f("ix_sync_runs_scope_id"), "sync_runs", ["scope", "id"])


def downgrade() -> None:
    for name in (
        "sync_runs", "sync_leases", "sync_sweeps", "sync_conflicts", "sync_operations", "sync_bases", "sync_links"
    ):  # fmt: skip
        op.drop_table(name)
