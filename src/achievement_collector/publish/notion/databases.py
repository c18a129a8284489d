"""Finding the two databases, making them, and adding to them what is missing. Nothing is ever removed or renamed."""

from __future__ import annotations

from achievement_collector.errors import ConfigurationError
from achievement_collector.publish.notion.client import (
    NotionClient,
    NotionMissingError,
    NotionRefusedError,
    NotionUncertainError,
)
from achievement_collector.publish.notion.identities import read_id
from achievement_collector.publish.notion.memory import Memory
from achievement_collector.publish.notion.schema import Definition, Table, ids_of, read_table, schema_of
from achievement_collector.sources.bodies import Body

_ATTEMPTS = 3


def _name(definition: Definition) -> str:
    return f"notion/{definition.key}"


def known_database(memory: Memory, definition: Definition) -> str | None:
    """The database that an earlier run made or used, None where there was none."""
    place = memory.recall(_name(definition))
    return str(place["database"]) if isinstance(place, dict) and place.get("database") else None


def look_at(
    client: NotionClient, memory: Memory, definition: Definition, told: str | None, reports_source: str = ""
) -> Table:
    """The database that ``told`` names by id or address (that of one of its data sources will do), or else the one that is
    remembered. Only reads.

    Raises :class:`ConfigurationError` where none is named, what is named is no id, or it has several data sources and does
    not say which; :class:`NotionMissingError` where it is not there or not shared.
    """
    remembered = memory.recall(_name(definition)) or {}
    wanted = told or remembered.get("database")
    if not wanted:
        raise ConfigurationError(
            f"set {definition.setting}, or make the databases: notion setup --create-databases"
        )
    database_id = read_id(wanted)
    if database_id is None:
        raise ConfigurationError(f"{definition.setting} must be a database's id, or its address in Notion")
    is_known = database_id in (remembered.get("database"), remembered.get("source"))
    source = _source(client, definition, database_id, remembered.get("source") if is_known else None)
    known = remembered.get("properties", {}) if remembered.get("source") == source.text("id") else {}
    above = source.inner("parent").text("database_id") or database_id
    return read_table(definition, above, source, known, reports_source)


def remember_table(memory: Memory, table: Table) -> None:
    """Keeps the ids of a database and of its properties, where they are not kept as they are."""
    place = {"database": table.database_id, "source": table.source_id, "properties": ids_of(table)}
    if memory.recall(_name(table.definition)) != place:
        memory.keep(_name(table.definition), place)


def _source(client: NotionClient, definition: Definition, told: str, remembered: str | None) -> Body:
    """The data source of a database, or the data source that ``told`` is itself."""
    try:
        database = client.database(told)
    except NotionMissingError:
        try:
            return client.data_source(told)
        except NotionMissingError:
            raise NotionMissingError(
                f"Notion has no database with the id {told} ({definition.setting}), or it is not shared with the connection: "
                f"open it in Notion, ··· menu, Connections; or set {definition.setting} to another"
            ) from None
    if database.truth("in_trash"):
        raise ConfigurationError(
            f'the database "{definition.title}" lies in Notion\'s trash; restore it, or set {definition.setting} to another'
        )
    sources = {one.text("id"): one.text("name", 200) for one in database.each("data_sources")}
    if len(sources) == 1:
        return client.data_source(next(iter(sources)))
    if remembered in sources:
        return client.data_source(str(remembered))
    named = [identity for identity, name in sources.items() if name == definition.title]
    if len(named) == 1:
        return client.data_source(named[0])
    listed = ", ".join(f'"{name}" {identity}' for identity, name in sources.items()) or "none"
    raise ConfigurationError(
        f"{definition.setting} names a database with several data sources; set it to the id of one of them: {listed}"
    )


def make(
    client: NotionClient, memory: Memory, definition: Definition, parent: str, reports_source: str = ""
) -> tuple[Table, bool]:
    """A database in the page ``parent``, and whether it was made now.

    One of the same name that this connection made there before is used: so a run that was cut off, or an answer that was
    lost, leaves one database and not two.
    """
    page_id = read_id(parent)
    if page_id is None:
        raise ConfigurationError("NOTION_PARENT_PAGE_ID must be a page's id, or its address in Notion")
    for left in reversed(range(_ATTEMPTS)):
        database_id = _made_before(client, definition, page_id)
        is_new = database_id is None
        if database_id is None:
            fields = schema_of(definition.fields, reports_source)
            try:
                database_id = client.create_database(
                    page_id, definition.title, definition.description, fields
                ).text("id")
            except NotionUncertainError:
                if not left:
                    raise
                continue
        table = look_at(client, memory, definition, database_id, reports_source)
        remember_table(memory, table)
        return table, is_new
    raise AssertionError("the last attempt returns or raises")


def _made_before(client: NotionClient, definition: Definition, page_id: str) -> str | None:
    try:
        inside = list(client.children(page_id))
    except NotionMissingError:
        raise NotionMissingError(
            f"Notion has no page with the id {page_id} (NOTION_PARENT_PAGE_ID), or it is not shared with the connection: "
            "open it in Notion, ··· menu, Connections"
        ) from None
    except NotionRefusedError:
        raise ConfigurationError(
            "NOTION_PARENT_PAGE_ID must be a page's id, or its address in Notion"
        ) from None
    alike = [
        one
        for one in inside
        if one.text("type") == "child_database"
        and one.inner("child_database").text("title") == definition.title
    ]
    me = client.me().text("id") if alike else ""
    return next((one.text("id") for one in alike if one.inner("created_by").text("id") == me), None)


def add_missing(client: NotionClient, memory: Memory, table: Table, reports_source: str = "") -> Table:
    """Adds the documented properties that a database lacks; what is there stays as it is."""
    wanted = schema_of(table.missing, reports_source)
    if not wanted:
        remember_table(memory, table)
        return table
    source = client.update_data_source(table.source_id, wanted)
    grown = read_table(table.definition, table.database_id, source, ids_of(table), reports_source)
    remember_table(memory, grown)
    return grown
