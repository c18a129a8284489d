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
