"""Values of properties: as Notion takes them, and as it answers them.

Both are compared in one plain form: text without spaces at its end, numbers rounded as they are shown, days as ISO dates, names
of options, ids of related pages. None stands for empty everywhere: what was not measured is null in Notion, never 0.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from achievement_collector.publish.notion.schema import Column, option_in
from achievement_collector.sources.bodies import Body

LONGEST_PIECE = 2000
"""UTF-16 units of one text; so JavaScript counts, in which Notion's server is written."""
MOST_PIECES = 100
LONGEST_URL = 2000

Plain = str | float | list[str] | None
"""The plain form of a value."""


class UnwritableError(ValueError):
    """A value that a property cannot hold; the message says why."""


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) + sum(letter > "\uffff" for letter in text)


def clean(text: str) -> str:
    """Text that can be stored: NFC, lines ended by LF, no control characters and no halves of characters."""
    told = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    kept = (letter for letter in told if letter in "\n\t" or unicodedata.category(letter) != "Cc")
    return unicodedata.normalize("NFC", "".join(kept))


def pieces(text: str, longest: int = LONGEST_PIECE) -> list[str]:
    """``text`` in parts of at most ``longest`` UTF-16 units, no character cut in two; together they are the text."""
    found: list[str] = []
    start = size = 0
    for place, letter in enumerate(text):
        weight = 2 if letter > "\uffff" else 1
        if size + weight > longest:
            found.append(text[start:place])
            start, size = place, 0
        size += weight
    return [*found, text[start:]] if text[start:] else found


def rich_text(text: str) -> list[dict[str, Any]]:
    """Plain text as Notion takes it; what does not fit in a hundred pieces is cut, with an ellipsis."""
    parts = pieces(text)
    if len(parts) > MOST_PIECES:
        parts = [*parts[: MOST_PIECES - 1], pieces(parts[MOST_PIECES - 1], LONGEST_PIECE - 1)[0] + "…"]
    return [{"type": "text", "text": {"content": part}} for part in parts]


def plain_of(column: Column, value: Any) -> Plain:
    """The plain form that a value will have in a column, once it is written. Raises :class:`UnwritableError`."""
    if value is None:
        return None
    match column.kind:
        case "title" | "rich_text":
            text = clean(str(value)).rstrip()
            return "".join(one["text"]["content"] for one in rich_text(text)).rstrip() or None
        case "number":
            return _number(column, value)
        case "select" | "status":
            name = option_in(column, clean(str(value)).strip().replace(",", ";")[:100])
            if name is None:
                raise UnwritableError(
                    f'"{column.name}" has no option "{value}", and it has to be made in Notion'
                )
            return name or None
        case "url":
            text = str(value).strip()
            if units(text) > LONGEST_URL:
                raise UnwritableError(
                    f'the address for "{column.name}" is longer than {LONGEST_URL} characters'
                )
            return text or None
        case "relation":
            return sorted(value) or None
    return str(value)


def _number(column: Column, value: Any) -> float:
    number = float(value)
    if number != number or abs(number) > 1e15:
        raise UnwritableError(f'"{column.name}" cannot hold {value}')
    if column.field.is_share:
        number = round(number, 4) if column.format == "percent" else round(number * 100, 2)
    return round(number, 4) + 0.0  # no negative zero


def request_of(column: Column, value: Plain) -> dict[str, Any]:
    """The plain form as a request has it."""
    match column.kind:
        case "title" | "rich_text":
            return {column.kind: rich_text(str(value)) if value is not None else []}
        case "select" | "status":
            return {column.kind: {"name": value} if value is not None else None}
        case "date":
            return {"date": {"start": value} if value is not None else None}
        case "relation":
            return {"relation": [{"id": one} for one in value] if isinstance(value, list) else []}
        case "number" if isinstance(value, float) and value.is_integer():
            return {"number": int(value)}
    return {column.kind: value}


def read_value(told: Body) -> Plain:
    """The plain form of a property as a page tells it."""
    kind = told.text("type")
    match kind:
        case "title" | "rich_text":
            text = "".join(one.text("plain_text") for one in told.each(kind))
            return clean(text).rstrip() or None
        case "number":
            number = told.number("number")
            return None if number is None else round(float(number), 4) + 0.0
        case "select" | "status":
            return told.inner(kind).text("name") or None
        case "date":
            start = told.inner("date").text("start")
            return start[:10] or None
        case "relation":
            return sorted(one.text("id") for one in told.each("relation")) or None
        case "url":
            return told.text("url") or None
    return None


def read_row(columns: Sequence[Column], page: Body) -> dict[str, Plain]:
    """The values of a page by the key of their field; properties are found by id, whatever they are called now."""
    by_id = {one.text("id"): one for one in map(Body, page.inner("properties").data.values())}
    return {one.field.key: read_value(by_id[one.id]) for one in columns if one.id in by_id}
