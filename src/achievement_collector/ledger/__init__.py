"""The ledger: facts and conclusions in SQLite or PostgreSQL.

``tables`` names everything that is stored, ``store`` opens a database, the other modules hold the queries,
one idea each. Times are seconds since 1970 in UTC with the zone's offset in minutes beside them; lists that
are never searched inside are JSON text.
"""
