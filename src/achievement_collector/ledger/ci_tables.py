"""The tables of CI: what ran, how it came out, what it wrote, and what tests said.

Ids of runs and jobs are those of one host, whatever its repositories are called later: so the host is in their keys, and the
repository, by the name it was told of last, is not.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from achievement_collector.ledger.tables import _Id, metadata

ci_attempts = Table(
    "ci_attempts",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("repository", Text, nullable=False),  # host/owner/name
    Column("rank", Integer, nullable=False),  # 0 waits, 1 runs, 2 has ended: a later one is never undone
    Column("said", BigInteger, nullable=False),  # milliseconds: when this was so, by the source's clock
    Column("digest", String(20), nullable=False),  # of what was told; decides between two of the same moment
    Column("workflow", Text, nullable=False, default=""),
    Column("path", Text, nullable=False, default=""),
    Column("sha", String(64), nullable=False),
    Column("branch", Text, nullable=False, default=""),
    Column("event", String(60), nullable=False, default=""),
    Column("status", String(40), nullable=False, default=""),
    Column("conclusion", String(40), nullable=False, default=""),
    Column("created", BigInteger),  # milliseconds, as are all times here
    Column("started", BigInteger),
    Column("finished", BigInteger),
    Column("at", BigInteger, nullable=False),  # started, else created, else said: what lists are ordered by
    Column("url", Text, nullable=False, default=""),
    Column("title", Text, nullable=False, default=""),
    Column("actor", Text, nullable=False, default=""),
    # what was asked for beyond that, which no news of the attempt touches
    Column("jobs_state", String(8), nullable=False, default=""),  # "" not read, read, gone
    Column("jobs", Integer, nullable=False, default=0),  # how many it has, once they were read
    Column("tries", Integer, nullable=False, default=0),
    Index(None, "repository", "at"),
    Index(None, "repository", "sha"),
    Index(None, "repository", "conclusion", "jobs_state"),
)

ci_run_pulls = Table(
    "ci_run_pulls",  # only grows: a run is shown with its pull requests only while they are open
    metadata,
    Column("host", String(255), primary_key=True),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("pull", BigInteger, primary_key=True, autoincrement=False),
)

ci_jobs = Table(
    "ci_jobs",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("job", BigInteger, primary_key=True, autoincrement=False),
    Column("run", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("repository", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("said", BigInteger, nullable=False),
    Column("digest", String(20), nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("workflow", Text, nullable=False, default=""),
    Column("sha", String(64), nullable=False, default=""),
    Column("branch", Text, nullable=False, default=""),
    Column("status", String(40), nullable=False, default=""),
    Column("conclusion", String(40), nullable=False, default=""),
    Column("queued", BigInteger),
    Column("started", BigInteger),
    Column("finished", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("url", Text, nullable=False, default=""),
    Column("runner", Text, nullable=False, default=""),
    Column("labels", Text, nullable=False, default="[]"),  # JSON [text]
    Column(
        "steps", Text, nullable=False, default="[]"
    ),  # JSON [[number, name, conclusion, started, finished]]
    Column("check_run", BigInteger),
    # what was asked for beyond that, which no news of the job touches
    Column("annotations", Text),  # JSON [[level, message, path, line, title]]; NULL: not read
    Column("tries", Integer, nullable=False, default=0),
    Index(None, "host", "run", "attempt"),
    Index(None, "repository", "at"),
    Index(None, "repository", "conclusion", "at"),
)

ci_logs = Table(
    "ci_logs",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("job", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(10), nullable=False),  # stored, gone, refused, too_large, failed
    Column("body", LargeBinary),  # zlib of UTF-8
    Column("size", BigInteger, nullable=False, default=0),  # bytes that it had
    Column("cut", BigInteger, nullable=False, default=0),  # bytes that were left out of its middle
    Column("masked", Integer, nullable=False, default=0),  # what looked like secrets and was replaced
    Column("tries", Integer, nullable=False, default=0),
    Column("asked", BigInteger, nullable=False),  # by our clock
    Column("told", Text, nullable=False, default=""),  # why it is not stored
)

ci_test_names = Table(
    "ci_test_names",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("repository", Text, nullable=False),
    Column("identity", Text, nullable=False),
    UniqueConstraint("repository", "identity"),
)

ci_tests = Table(
    "ci_tests",  # a row for each test report that CI handed in
    metadata,
    Column("repository", Text, primary_key=True),
    Column("sha", String(64), primary_key=True),
    Column("report", Text, primary_key=True),  # the job that handed it in
    Column("digest", String(20), primary_key=True),  # of its cases: the same job run again gives another
    Column("branch", Text, nullable=False, default=""),
    Column("at", BigInteger, nullable=False),
    Column("cases", Integer, nullable=False),
    Column(
        "kept", Integer, nullable=False
    ),  # of the cases: all that did not pass, then as many passes as are kept
    Column("seconds", Float),
    Column(
        "outcomes", LargeBinary, nullable=False
    ),  # zlib of JSON {outcome: [[name id, seconds]] or, passed, [id]}
    Index(None, "repository", "at"),
)
