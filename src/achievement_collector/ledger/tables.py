"""The tables. Facts first, people second, conclusions last; decisions of people stand beside both."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives automatic ids to INTEGER keys only
_Id = BigInteger().with_variant(Integer, "sqlite")


def _repository_id(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "repository_id",
        _Id,
        ForeignKey("repositories.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary_key,
    )


# --- facts -------------------------------------------------------------------------------------------

repositories = Table(
    "repositories",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # host/owner/name, or local/<folder>
    Column("uid", Text, nullable=False, unique=True),  # the first key; achievements' ids are made from it
    Column("name", Text, nullable=False),
    Column("web_url", Text),
    Column("default_branch", Text),
    Column("object_format", Text, nullable=False),
    Column("mailmap", Text, nullable=False, default=""),
    Column("ignored_revisions", Text, nullable=False, default=""),  # .git-blame-ignore-revs as it stands
    Column("derived_from", Text, nullable=False, default=""),  # digest of all that the conclusions rest on
    Column("rules_version", Integer, nullable=False, default=0),
    Column("impact_scale", Float, nullable=False, default=1.0),
    Column("impact_scale_basis", Integer, nullable=False, default=0),  # the number of changes it was found on
    Column("bot_changes", Integer, nullable=False, default=0),
)

checkouts = Table(
    "checkouts",
    metadata,
    Column("id", _Id, primary_key=True),
    _repository_id(),
    Column("path", Text, nullable=False),
    Column("git_dir", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False, default=""),  # of the refs, when they were last collected whole
    Column("tips", Text, nullable=False, default="[]"),  # JSON [sha], whole once `digest` is set
    Column("mainline", Text, nullable=False, default="[]"),  # JSON [sha]
    Column("branches", Text, nullable=False, default="{}"),  # JSON {name: sha}
    Column("shallow", Text, nullable=False, default="[]"),  # JSON [sha]
    Column("scanned_at", BigInteger, nullable=False, default=0),
    Index(None, "repository_id"),
)

signatures = Table(
    "signatures",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("person_id", String(40)),
    Column("kind", String(10), nullable=False, default="person"),  # person, bot, agent
    UniqueConstraint("name", "email"),
    Index(None, "person_id"),
)

commits = Table(
    "commits",
    metadata,
    Column("id", _Id, primary_key=True),
    _repository_id(),
    Column("sha", String(64), nullable=False),
    Column("parents", Text, nullable=False),  # full shas, separated by spaces
    Column("author_id", _Id, ForeignKey("signatures.id"), nullable=False),
    Column("authored", BigInteger, nullable=False),
    Column("authored_zone", Integer, nullable=False),
    Column("committer_id", _Id, ForeignKey("signatures.id"), nullable=False),
    Column("committed", BigInteger, nullable=False),
    Column("committed_zone", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("raw_message", LargeBinary),  # where decoding lost something
    Column("encoding", Text),
    Column("trailers", Text),  # JSON [[key, value]], NULL where there are none
    Column("diff", LargeBinary, nullable=False),  # see facts.diff
    Column("spaceless", LargeBinary),  # numstat with white space ignored, where it was asked for
    Column("patch_id", String(64)),  # where it was asked for
    Column("is_boundary", Boolean, nullable=False),
    UniqueConstraint("repository_id", "sha"),
    Index(None, "repository_id", "id"),  # read in the order stored, without sorting
    Index(None, "author_id"),
)

tags = Table(
    "tags",
    metadata,
    Column("checkout_id", _Id, ForeignKey("checkouts.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    _repository_id(),
    Column("target", String(64), nullable=False),
    Column("is_annotated", Boolean, nullable=False),
    Column("tagger_id", _Id, ForeignKey("signatures.id")),
    Column("tagged", BigInteger),
    Column("tagged_zone", Integer),
    Column("message", Text, nullable=False),
    Index(None, "repository_id"),
)

content_facts = Table(
    "content_facts",
    metadata,
    _repository_id(primary_key=True),
    Column("sha", String(64), primary_key=True),
    Column("path", LargeBinary, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("value", Text, primary_key=True),
)

# --- people ------------------------------------------------------------------------------------------

people = Table(
    "people",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("kind", String(10), nullable=False),
)

people_decisions = Table(
    "people_decisions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("action", String(10), nullable=False),  # merge, split
    Column("first", Text, nullable=False),  # "Name <mail>"
    Column("second", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("is_undone", Boolean, nullable=False, default=False),
)

# --- conclusions -------------------------------------------------------------------------------------

achievements = Table(
    "achievements",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("uid", String(16), nullable=False, unique=True),
    Column("repository_id", _Id, ForeignKey("repositories.id", ondelete="CASCADE")),
    Column("key", Text, nullable=False),  # pr/12, commit/<sha>, release/<tag>, stated/<uid>
    Column("kind", String(10), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("category", String(16), nullable=False),
    Column("impact", Integer, nullable=False),
    Column("complexity", Integer, nullable=False),
    Column("occurred", BigInteger, nullable=False),
    Column("occurred_zone", Integer, nullable=False),
    Column("is_counted", Boolean, nullable=False),
    Column("is_hidden", Boolean, nullable=False, default=False),
    Column("is_bot", Boolean, nullable=False, default=False),
    Column("left_out_reason", Text, nullable=False, default=""),
    Column("raw_impact", Float, nullable=False, default=0.0),  # before the repository's scale
    Column("pull_request", BigInteger),
    Column("released_in", Text, nullable=False, default=""),
    Column("fingerprint", String(40), nullable=False, default=""),  # of all that this row rests on
    Column("rules_version", Integer, nullable=False),
    Column("detail", Text, nullable=False),  # JSON: everything that only one achievement's page shows
    Index(None, "is_counted", "is_hidden", "impact", "occurred"),
    Index(None, "is_counted", "is_hidden", "is_bot"),  # how many are left out, without a look at the rows
    # counts by month and category, without a look at the rows
    Index("ix_achievements_counts", "is_counted", "is_hidden", "kind", "category", "occurred", "is_bot"),
    Index("ix_achievements_newest", "is_counted", "is_hidden", "occurred"),
    Index(None, "repository_id", "key", unique=True),
    Index(None, "repository_id", "released_in"),
    Index(None, "occurred"),
)

achievement_skills = Table(
    "achievement_skills",
    metadata,
    Column("achievement_id", _Id, ForeignKey("achievements.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("evidence", Text, nullable=False),
    Index(None, "name"),
)

achievement_credits = Table(
    "achievement_credits",
    metadata,
    Column("achievement_id", _Id, ForeignKey("achievements.id", ondelete="CASCADE"), primary_key=True),
    Column("signature_id", _Id, ForeignKey("signatures.id"), primary_key=True),
    Column("role", String(12), primary_key=True),
    Column("commits", Integer, nullable=False),
    Index(None, "signature_id"),
)

# --- what people said --------------------------------------------------------------------------------

edits = Table(
    "edits",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("achievement_uid", String(16), nullable=False),
    Column("field", String(16), nullable=False),  # title, description, hidden, impact, complexity, value
    Column("value", Text),  # JSON; NULL takes the edit back
    Column("created", BigInteger, nullable=False),
    Index(None, "achievement_uid"),
)

statements = Table(
    "statements",
    metadata,
    Column("uid", String(16), primary_key=True),
    Column("body", Text, nullable=False),  # JSON
    Column("created", BigInteger, nullable=False),
)

# --- what outside systems told -----------------------------------------------------------------------

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("source", String(20), nullable=False),  # github, linear, deployments
    Column("delivery", String(200), nullable=False),  # the sender's id of it, the same when sent again
    Column("event", String(100), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received", BigInteger, nullable=False),  # milliseconds
    Column("state", String(12), nullable=False),  # waiting, processed, not_relevant, failed
    Column("attempts", Integer, nullable=False, default=0),
    Column("told", Text, nullable=False, default=""),  # what became of it, in words
    Column("processed", BigInteger),  # milliseconds
    UniqueConstraint("source", "delivery"),
    Index(None, "state", "id"),
)

entities = Table(
    "entities",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(20), nullable=False),  # facts.observations.Kind
    Column("key", Text, nullable=False),
    Column("scope", Text, nullable=False, default=""),  # the key of what it belongs to
    Column("name", Text, nullable=False, default=""),  # an issue's identifier, an attachment's address
    Column("registers", Text, nullable=False),  # JSON {field: [milliseconds, value]}
    Column("changed", BigInteger, nullable=False),  # milliseconds, by our clock
    UniqueConstraint("kind", "key"),
    Index(None, "kind", "scope"),
    Index(None, "kind", "name"),
)

stale = Table(
    "stale",
    metadata,
    Column("kind", String(20), primary_key=True),  # repository, issue, epic
    Column("key", Text, primary_key=True),
    Column("cause", Text, nullable=False, default=""),  # what made it so, first
    Column("mark", BigInteger, nullable=False),  # grows with each change, so that none is overlooked
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
    Column("changed", BigInteger, nullable=False),
)

mentions = Table(
    "mentions",
    metadata,
    Column("pull", Text, primary_key=True),
    Column("word", Text, primary_key=True),  # an epic's or issue's key in lower case, or sha:<sha>
    Index(None, "word"),
)

# --- epics -------------------------------------------------------------------------------------------

epic_members = Table(
    "epic_members",
    metadata,
    Column("member", Text, primary_key=True),  # a pull request's or an issue's key
    Column("epic", Text, primary_key=True),
    Column("basis", Text, nullable=False),  # what ties them
    Index(None, "epic"),
)

epics = Table(
    "epics",
    metadata,
    Column("key", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("source_kind", String(12), nullable=False),
    Column("source_key", Text, nullable=False, default=""),
    Column("state", String(12), nullable=False),  # draft, completed, canceled, withdrawn
    Column("revision", Integer, nullable=False, default=0),  # of its final form; 0 while it is a draft
    Column("content_hash", String(64), nullable=False, default=""),  # of the final form
    Column("structure", Text, nullable=False),  # JSON
    Column("unmet", Text, nullable=False, default="[]"),  # JSON: why it is not complete
    Column("finalised", BigInteger),  # milliseconds
    Column("changed", BigInteger, nullable=False),
)

epic_events = Table(
    "epic_events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("epic", Text, nullable=False),
    Column("recorded", BigInteger, nullable=False),  # milliseconds, by our clock
    Column("kind", String(30), nullable=False),
    Column("cause", Text, nullable=False, default=""),
    Column("told", Text, nullable=False),
    Column("changes", Text, nullable=False, default="[]"),  # JSON [[what, before, after]]
    Index(None, "epic", "id"),
)

epic_versions = Table(
    "epic_versions",
    metadata,
    Column("epic", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("persona", String(20), primary_key=True),
    Column("text", Text, nullable=False),  # Markdown
    Column("content_hash", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
)

epic_revisions = Table(
    "epic_revisions",
    metadata,
    Column("epic", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("structure", Text, nullable=False),  # JSON, as it was frozen
    Column("content_hash", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
)

# --- key performance indicators ----------------------------------------------------------------------

kpi_series = Table(
    "kpi_series",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kpi", Text, nullable=False),
    Column("labels", Text, nullable=False, default="{}"),  # JSON {name: value}, sorted by name
    UniqueConstraint("kpi", "labels"),
)

kpi_samples = Table(
    "kpi_samples",
    metadata,
    Column(
        "series_id",
        _Id,
        ForeignKey("kpi_series.id", name="fk_kpi_samples_series_id_kpi_series", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("at", BigInteger, primary_key=True),  # milliseconds
    Column("value", Float, nullable=False),
    Column("origin", String(10), nullable=False),  # scrape, history, stated
)

kpi_shifts = Table(
    "kpi_shifts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column(
        "series_id",
        _Id,
        ForeignKey("kpi_series.id", name="fk_kpi_shifts_series_id_kpi_series", ondelete="CASCADE"),
        nullable=False,
    ),
    Column(
        "at", BigInteger, nullable=False
    ),  # milliseconds: the first sample after it, when it was first seen
    Column("body", Text, nullable=False),  # JSON
    Column("found", BigInteger, nullable=False),  # milliseconds, by our clock
    UniqueConstraint("series_id", "at"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(30), nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Column("created", BigInteger, nullable=False),
    UniqueConstraint("kind", "subject"),
)

# --- the server --------------------------------------------------------------------------------------

tokens = Table(
    "tokens",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("created", BigInteger, nullable=False),
    Column("used", BigInteger),
    Column("revoked", BigInteger),
)

servers = Table(
    "servers",
    metadata,
    Column("executor", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("seen", BigInteger, nullable=False),  # milliseconds
)

# --- in modules of their own, on the same metadata ---------------------------------------------------

from achievement_collector.ledger import (  # noqa: E402
    ci_findings_tables,  # noqa: F401
    ci_tables,  # noqa: F401
    roadmap_tables,  # noqa: F401
    syncing_tables,  # noqa: F401
)
