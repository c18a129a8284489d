"""What is concluded about CI: explained failures, attempts to fix them, frozen reports."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ci_failures",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("cluster", sa.String(length=40), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("is_in_green", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("basis", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_ci_failures")),
    )
    op.create_index(op.f("ix_ci_failures_repository_at"), "ci_failures", ["repository", "at"], unique=False)
    op.create_index(op.f("ix_ci_failures_cluster_at"), "ci_failures", ["cluster", "at"], unique=False)
    op.create_table(
        "ci_fixes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("cluster", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("pull_request", sa.BigInteger(), nullable=True),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ci_fixes")),
    )
    op.create_index(
        op.f("ix_ci_fixes_repository_created"), "ci_fixes", ["repository", "created"], unique=False
    )
    op.create_index(op.f("ix_ci_fixes_job"), "ci_fixes", ["job"], unique=False)
    op.create_table(
        "reports",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_reports")),
    )
    op.create_index(
        op.f("ix_reports_kind_repository_since"), "reports", ["kind", "repository", "since"], unique=False
    )


def downgrade() -> None:
    for name in ("reports", "ci_fixes", "ci_failures"):
        op.drop_table(name)
