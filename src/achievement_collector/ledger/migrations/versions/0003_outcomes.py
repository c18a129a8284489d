"""Outcomes: series of KPIs with their shifts, and the frozen revisions of epics."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "epic_revisions",
        sa.Column("epic", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("structure", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("epic", "revision", name=op.f("pk_epic_revisions")),
    )
    op.create_table(
        "kpi_series",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kpi", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kpi_series")),
        sa.UniqueConstraint("kpi", "labels", name=op.f("uq_kpi_series_kpi_labels")),
    )
    op.create_table(
        "kpi_samples",
        sa.Column("series_id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["kpi_series.id"],
            name=op.f("fk_kpi_samples_series_id_kpi_series"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("series_id", "at", name=op.f("pk_kpi_samples")),
    )
    op.create_table(
        "kpi_shifts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("series_id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["kpi_series.id"],
            name=op.f("fk_kpi_shifts_series_id_kpi_series"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kpi_shifts")),
        sa.UniqueConstraint("series_id", "at", name=op.f("uq_kpi_shifts_series_id_at")),
    )


def downgrade() -> None:
    for name in ("kpi_shifts", "kpi_samples", "kpi_series", "epic_revisions"):
        op.drop_table(name)
