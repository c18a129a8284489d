"""Roadmap: frozen snapshots of milestones, and what people said of their status."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "milestone_snapshots",
        sa.Column("milestone", sa.Text(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.String(length=10), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("milestone", "day", name=op.f("pk_milestone_snapshots")),
    )
    op.create_index(op.f("ix_milestone_snapshots_day"), "milestone_snapshots", ["day"])
    op.create_table(
        "milestone_statements",
        sa.Column("milestone", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("milestone", "origin", name=op.f("pk_milestone_statements")),
    )


def downgrade() -> None:
    for name in ("milestone_statements", "milestone_snapshots"):
        op.drop_table(name)
