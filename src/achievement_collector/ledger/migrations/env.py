"""Alembic's entry: migrations run on the connection that the ledger hands in."""

from alembic import context

from achievement_collector.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
