"""The two databases: their documented properties, and which property of a real database stands for which.

A property is known by its id once it was seen, so that people may rename it; before that by its name, where emoji variation
selectors, case and the emoji itself do not matter. What people added is left alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from achievement_collector.sources.bodies import Body

STATUSES = ("Planned", "In Progress", "Blocked", "Completed")
TRENDS = ("Improving", "Stable", "Degrading")


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is written: the documented property's name and type.

    ``also`` are types that are accepted in a database that people made. A ``is_share`` number is 0-1 here; Notion keeps it
    so where the property's format is percent, and as 0-100 elsewhere. Which fields ``is_ours``: computed, and written over
    what people write there; the others are people's as well. An ``is_optional`` one is made with a database, never added.
    """

    key: str
    name: str
    kind: str
    also: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    is_share: bool = False
    is_ours: bool = True
    is_optional: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A database as it is documented; ``setting`` names the variable that holds its id."""

    key: str
    title: str
    description: str
    setting: str
    fields: tuple[Field, ...]


_TIMES = (
    Field("created", "Created", "created_time", is_optional=True),
    Field("modified", "Last Modified", "last_edited_time", is_optional=True),
)
SYNC_KEY = Field(
    "sync_key", "Sync Key", "rich_text", note="by which the program finds the row again; leave it as it is"
)

REPORTS = Definition(
    "reports",
    "CI Intelligence Reports",
    "Weekly reports of CI: what failed and why, and what was really fixed.",
    "NOTION_CI_REPORTS_DB_ID",
    (
        Field("name", "Report Name", "title", note="CI_Weekly_Report_<ISO date>"),
        Field("date", "Report Date", "date"),
        Field("period", "Analysis Period", "number", note="days"),
        Field("total_failures", "Total Failures", "number"),
        Field("auto_fix_rate", "Auto-fix Success Rate", "number", is_share=True, note="verified / attempted"),
        Field("mttr", "Average MTTR", "number", note="minutes to green"),
        Field("top_category", "Top Failure Category", "rich_text", ("select",)),
        Field("content", "Report Content", "rich_text", note="the summary; all of it is in the page"),
        Field("link", "GitHub Link", "url", ("rich_text",)),
        SYNC_KEY,
        *_TIMES,
    ),
)

ROADMAP = Definition(
    "roadmap",
    "Engineering Roadmap",
    "Milestones with their state of CI. Status, date and notes are people's; the numbers are computed.",
    "NOTION_ROADMAP_DB_ID",
    (
        Field("name", "🧩 Milestone", "title", is_ours=False),
        Field("target", "📆 Target Date", "date", is_ours=False),
        Field(
            "status",
            "✅ Status",
            "select",
            ("status",),
            tuple(zip(STATUSES, ("gray", "blue", "red", "green"), strict=True)),
            is_ours=False,
        ),
        Field("progress", "📊 Progress", "number", is_share=True),
        Field("report", "📎 Latest CI Health", "relation", note="the newest report"),
        Field("pull", "📦 Related PR", "url", ("rich_text",)),
        Field("pass_rate", "🧪 Workflow Pass Rate", "number", is_share=True),
        Field("auto_fix", "🩹 Auto-Fix Success", "number", is_share=True),
        Field("mttr", "⏱️ MTTR", "number", note="minutes to green"),
        Field(
            "trend",
            "📈 Trend",
            "select",
            ("status",),
            tuple(zip(TRENDS, ("green", "blue", "red"), strict=True)),
        ),
        Field("notes", "📝 Notes", "rich_text", is_ours=False),
        SYNC_KEY,
        *_TIMES,
    ),
)

DEFINITIONS = (REPORTS, ROADMAP)
BACK_LINK = "🧩 Milestones"
"""The other side of the relation, in the reports."""


@dataclass(frozen=True, slots=True)
class Column:
    """A property of a real database. ``id`` and ``kind`` are Notion's; ``format`` is a number's, ``options`` a select's,
    ``related`` the data source that a relation leads to."""

    field: Field
    id: str
    name: str
    kind: str
    format: str = ""
    options: tuple[str, ...] = ()
    related: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A real database, looked at: ``columns`` by the key of their field, what is ``missing`` and could be added, and
    ``problems``, what differs so that it has to stay empty."""

    definition: Definition
    database_id: str
    source_id: str
    title: str
    url: str
    columns: Mapping[str, Column]
    missing: tuple[Field, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def read_table(
    definition: Definition, database_id: str, source: Body, known: Mapping[str, str], reports_source: str = ""
) -> Table:
    """A data source as its ``definition`` sees it. ``known`` are the ids of properties from earlier, by the key of the field;
    ``reports_source`` is the data source that the relation must lead to, where one is known."""
    properties = source.inner("properties").data
    bodies = [Body(one) for one in properties.values()]
    by_id = {one.text("id"): one for one in bodies}
    columns: dict[str, Column] = {}
    missing: list[Field] = []
    problems: list[str] = []
    warnings: list[str] = []
    taken: set[str] = set()
    for one in definition.fields:
        found, others = _choose(one, bodies, by_id.get(known.get(one.key, "")), taken)
        if others:
            names = ", ".join(f'"{name}"' for name in others)
            problems.append(
                f'{one.name}: more than one property could be it ({names}); name one of them "{one.name}"'
            )
        elif found is None:
            if not one.is_optional:
                missing.append(one)
        elif found.text("type") not in (one.kind, *one.also):
            if not one.is_optional:
                problems.append(
                    f'{one.name}: "{found.text("name")}" is of type {found.text("type")} and not {one.kind}; it stays as it is'
                )
        else:
            column = _column(one, found)
            if one.kind == "relation" and reports_source and column.related != reports_source:
                problems.append(
                    f'{one.name}: "{column.name}" leads to another database than the reports; it stays as it is'
                )
                continue
            columns[one.key] = column
            taken.add(column.id)
            warnings += _oddities(one, column)
    title = "".join(one.text("plain_text") for one in source.each("title"))
    return Table(
        definition, database_id, source.text("id"), title, source.text("url"), columns, tuple(missing), tuple(problems),
        tuple(warnings),
    )  # fmt: skip


def _choose(
    one: Field, bodies: Sequence[Body], known: Body | None, taken: set[str]
) -> tuple[Body | None, list[str]]:
    """The property that stands for a field, or the names of several that could."""
    if one.kind == "title":  # there is always exactly one
        return next((body for body in bodies if body.text("type") == "title"), None), []
    if known is not None:
        return known, []
    free = [body for body in bodies if body.text("id") not in taken and body.text("type") != "title"]
    for form in (str, _plain, _bare):
        wanted = form(one.name)
        found = [body for body in free if form(body.text("name")) == wanted]
        if len(found) == 1:
            return found[0], []
        if found:
            return None, [body.text("name") for body in found]
    return None, []


def _plain(name: str) -> str:
    """A name without what the eye does not see: variation selectors, forms of the same letter, case, spaces at the ends."""
    text = unicodedata.normalize("NFKC", name).replace("\ufe0f", "").replace("\ufe0e", "")
    return " ".join(text.casefold().split())


def _bare(name: str) -> str:
    """A name without the emoji in front of it."""
    text = _plain(name)
    start = next((place for place, letter in enumerate(text) if letter.isalnum()), 0)
    return text[start:]


def _column(one: Field, found: Body) -> Column:
    kind = found.text("type")
    inner = found.inner(kind)
    return Column(
        one,
        found.text("id"),
        found.text("name"),
        kind,
        inner.text("format"),
        tuple(inner.names("options")),
        inner.text("data_source_id"),
    )


def _oddities(one: Field, column: Column) -> list[str]:
    """What works but is worth a word."""
    if column.kind != "status":
        return []
    known = {_plain(name) for name in column.options}
    lacking = [name for name, _ in one.options if _plain(name) not in known]
    return (
        [f'{one.name}: the status property "{column.name}" has no option {", ".join(lacking)}']
        if lacking
        else []
    )


def option_in(column: Column, wanted: str) -> str | None:
    """The option of a column that means ``wanted``: the same letters in any case. A select makes options when they are
    written, so there it is ``wanted`` itself where none is alike; a status property does not, so there it is None."""
    for name in column.options:
        if _plain(name) == _plain(wanted):
            return name
    return None if column.kind == "status" else wanted


def schema_of(fields: Sequence[Field], reports_source: str) -> dict[str, Any]:
    """The properties as Notion's API takes them, {name: definition}; relations only where the reports are known."""
    found: dict[str, Any] = {}
    for one in fields:
        inner: dict[str, Any] = {}
        match one.kind:
            case "number":
                inner = {"format": "percent" if one.is_share else "number"}
            case "select":
                inner = {"options": [{"name": name, "color": color} for name, color in one.options]}
            case "relation":
                if not reports_source:
                    continue
                inner = {
                    "data_source_id": reports_source,
                    "dual_property": {"synced_property_name": BACK_LINK},
                }
        found[one.name] = {one.kind: inner}
    return found


def ids_of(table: Table) -> dict[str, str]:
    """What to remember of a table: the ids of its properties by the key of their field."""
    return {key: column.id for key, column in sorted(table.columns.items())}
