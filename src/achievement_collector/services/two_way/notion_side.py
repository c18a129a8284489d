"""Notion as a side: the rows of the roadmap's database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from achievement_collector.derive.merging import (
    COMPLETED,
    DEFAULT_RULES,
    FieldKind,
    Side,
    Value,
    canonical,
    is_empty,
    labels,
)
from achievement_collector.derive.sync_plan import KEY, NOTICE, Item
from achievement_collector.errors import ConfigurationError
from achievement_collector.publish.github.issues import split_text
from achievement_collector.publish.notion.client import (
    BudgetExhausted,
    NotionAccessError,
    NotionClient,
    NotionConflictError,
    NotionError,
    NotionMissingError,
    NotionRefusedError,
)
from achievement_collector.publish.notion.schema import Table, option_in
from achievement_collector.publish.notion.values import rich_text, units
from achievement_collector.services.two_way.ports import (
    ChangedError,
    NoAccessError,
    PostponedError,
    RefusedError,
    Sweep,
    UncertainError,
)
from achievement_collector.sources.bodies import Body

_OVERLAP = 300_000
"""Milliseconds that are read again: Notion floors its times to the minute, and its clock is not ours."""

_SHOWN_REFERENCES = 25  # of a property that a page tells; the rest has to be asked for
_MOST_OPTIONS = 100
_LONGEST_TEXT = 190_000  # UTF-16 units; above it a text would be cut
_COLUMNS = {"title": "name", "status": "status", "target": "target", "notes": "notes", KEY: "sync_key"}


class NotionSide:
    """The port to a database. ``labels_id`` is the id of a multi-select named Labels, where people added one."""

    def __init__(self, client: NotionClient, table: Table) -> None:
        if "sync_key" not in table.columns:
            raise ConfigurationError(
                f'the database "{table.title}" has no text property "Sync Key", by which rows are found again; add it with: '
                "notion setup --create-databases"
            )
        self._client, self._table = client, table
        self.scope = table.source_id
        self._ids = {name: table.columns[key].id for name, key in _COLUMNS.items() if key in table.columns}
        properties = client.data_source(table.source_id).inner("properties").data
        found = [one for one in map(Body, properties.values()) if one.text("type") == "multi_select"]
        named = [one for one in found if one.text("name").strip("🏷️ ").casefold() == "labels"]
        if len(named) == 1:
            self._ids["labels"] = named[0].text("id")

    @property
    def side(self) -> Side:
        return Side.NOTION

    # --- reading ---------------------------------------------------------------------------------

    def sweep(self, since: int | None) -> Sweep:
        if since is not None:
            moment = datetime.fromtimestamp(max(0, since - _OVERLAP) / 1000, UTC)
            told = {"on_or_after": moment.isoformat(timespec="seconds").replace("+00:00", "Z")}
            wanted = {"timestamp": "last_edited_time", "last_edited_time": told}
            rows = self._client.rows(self._table.source_id, wanted)
            if rows.is_complete:
                return Sweep([self._item(page) for page in rows.pages])
        return self._whole()

    def _whole(self) -> Sweep:
        """All rows. A query stops after 10,000; the next one then begins where that ended, by the time of creation, which
        never changes."""
        pages: dict[str, Body] = {}
        begin = ""
        while True:
            wanted: dict[str, Any] | None = None
            if begin:
                wanted = {"timestamp": "created_time", "created_time": {"on_or_after": begin}}
            sorts = [{"timestamp": "created_time", "direction": "ascending"}]
            rows = self._client.rows(self._table.source_id, wanted, sorts)
            pages |= {page.text("id"): page for page in rows.pages}
            items = [self._item(page) for page in pages.values()]
            if rows.is_complete:
                return Sweep(items)
            last = rows.pages[-1].text("created_time") if rows.pages else ""
            if last <= begin:
                return Sweep(
                    items, False, "Notion shows at most 10,000 rows that were made in the same minute"
                )
            begin = last

    def read(self, item: str) -> Item | None:
        try:
            page = self._client.page(item)
        except NotionMissingError:
            return None
        return self._item(page)

    def _item(self, page: Body) -> Item:
        by_id = {one.text("id"): one for one in map(Body, page.inner("properties").data.values())}
        raw = {name: by_id[place] for name, place in self._ids.items() if place in by_id}
        values: dict[str, Value] = {}
        for name, told in raw.items():
            if name == KEY:
                values[KEY] = self._text(page, told).strip()
            elif name == "notes":
                text, values[NOTICE], _ = split_text(self._text(page, told))
                values["notes"] = canonical(FieldKind.TEXT, text)
            elif name == "title":
                values["title"] = canonical(FieldKind.LINE, self._text(page, told))
            elif name == "labels":
                values["labels"] = labels(told.names("multi_select"))
            else:
                kind = DEFAULT_RULES[name].kind
                values[name] = canonical(kind, _plain(told))
        gone = ""
        parent = page.inner("parent")
        if page.truth("in_trash") or page.truth("archived"):
            gone = "in the trash"
        elif parent.text("data_source_id") != self._table.source_id:
            gone = "moved out of the database"
        is_wanted = not is_empty(values.get("title")) and values.get("status") != COMPLETED
        return Item(
            Side.NOTION,
            page.text("id"),
            "row",
            values,
            str(values.get("title") or ""),
            gone,
            is_wanted and not gone,
        )

    def _text(self, page: Body, told: Body) -> str:
        kind = told.text("type")
        pieces = told.each(kind)
        if sum(one.text("type") != "text" for one in pieces) >= _SHOWN_REFERENCES:
            parts = self._client.property_items(page.text("id"), told.text("id"))
            pieces = [one.inner(kind) for one in parts]
        return "".join(one.text("plain_text") for one in pieces)

    def find(self, key: str, since: int) -> Sequence[Item]:
        wanted = {"property": self._ids[KEY], "rich_text": {"equals": key}}
        rows = self._client.rows(self._table.source_id, wanted)
        pages = sorted(rows.pages, key=lambda one: (one.text("created_time"), one.text("id")))
        return [item for page in pages if (item := self._item(page)).key == key]

    # --- writing ---------------------------------------------------------------------------------

    def write(self, item: str, values: Mapping[str, Value], expected: Mapping[str, Value]) -> Item:
        for is_last in (False, True):
            present = _guarded(lambda: self._item(self._client.page(item)))
            if present.gone or any(present.values.get(name) != value for name, value in expected.items()):
                raise ChangedError(present)
            request = self._request(values, present.values)
            try:
                return self._item(_guarded(partial(self._client.update_page, item, request)))
            except NotionConflictError as error:  # somebody wrote at the same moment: nothing was saved
                if is_last:
                    raise PostponedError(str(error)) from None
        raise AssertionError("the last attempt returns or raises")

    def create(self, thing: str, values: Mapping[str, Value]) -> Item:
        request = self._request(values, {})
        try:
            return self._item(_guarded(lambda: self._client.create_page(self._table.source_id, request)))
        except NotionConflictError as error:
            raise PostponedError(str(error)) from None

    def _request(self, values: Mapping[str, Value], present: Mapping[str, Value]) -> dict[str, Any]:
        """Properties by id, as Notion takes them; those that the database does not have are left out."""
        told: dict[str, Any] = {}
        for name, value in values.items():
            if name == NOTICE or name not in self._ids:
                continue
            told[self._ids[name]] = self._property(name, value)
        if "notes" in self._ids and values.keys() & {"notes", NOTICE}:
            merged = {**present, **values}
            text = "\n\n".join(filter(None, (str(merged.get("notes") or ""), str(merged.get(NOTICE) or ""))))
            told[self._ids["notes"]] = _rich(text, "rich_text")
        return told

    def _property(self, name: str, value: Value) -> dict[str, Any]:
        match name:
            case "title":
                return _rich(str(value or ""), "title")
            case "target":
                return {"date": {"start": value} if value else None}
            case "labels":
                names = value if isinstance(value, tuple) else ()
                if len(names) > _MOST_OPTIONS:
                    raise RefusedError(f"Notion holds at most {_MOST_OPTIONS} labels a row, not {len(names)}")
                return {"multi_select": [{"name": one} for one in names]}
            case "status":
                column = self._table.columns["status"]
                option = None if value is None else option_in(column, str(value))
                if option is None and value is not None:
                    raise RefusedError(
                        f'"{column.name}" has no option "{value}", and it has to be made in Notion'
                    )
                return {column.kind: {"name": option} if option else None}
        return _rich(str(value or ""), "rich_text")


def _plain(told: Body) -> str:
    kind = told.text("type")
    if kind == "date":
        # of a span the end is the day that is aimed at
        return told.inner("date").text("end") or told.inner("date").text("start")
    return told.inner(kind).text("name")


def _rich(text: str, kind: str) -> dict[str, Any]:
    if units(text) > _LONGEST_TEXT:
        raise RefusedError(f"a text of {len(text):,} characters is longer than Notion's property holds")
    return {kind: rich_text(text)}


def _guarded(ask: Callable[[], Any]) -> Any:
    """An answer of Notion's, or what went wrong in the words of a port."""
    try:
        return ask()
    except BudgetExhausted as error:
        raise PostponedError(str(error)) from None
    except NotionMissingError:
        raise ChangedError(None) from None
    except NotionAccessError as error:
        raise NoAccessError(str(error)) from None
    except NotionRefusedError as error:
        raise RefusedError(str(error)) from None
    except NotionConflictError:
        raise
    except NotionError as error:
        raise UncertainError(str(error)) from None
