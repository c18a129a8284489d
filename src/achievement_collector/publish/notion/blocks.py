"""Reports in Markdown as blocks of Notion, within the limits of its API.

A parser of our own for what our reports are made of (headings, paragraphs, lists, tables, code, quotes, bold, italic, code,
links); all else becomes plain text. Notion's Markdown endpoint is not used: it replaces a whole page, and with that what
people wrote there, or appends, which cannot be done twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from achievement_collector.publish.notion.values import (
    LONGEST_PIECE,
    LONGEST_URL,
    MOST_PIECES,
    clean,
    pieces,
    units,
)

MOST_TOGETHER = 100
"""Blocks in one list of children."""
MOST_IN_REQUEST = 1000
"""Blocks in a request, those inside of others counted too."""
MOST_BYTES = 400_000
"""Bytes of a request's blocks; Notion's limit is 500 KB for all of it."""
MOST_BLOCKS = 1000
"""Blocks of a report. A free workspace holds no more than that in its life, and nobody reads more."""

_PIECES = 25  # of one block: 50,000 characters, so that a block never fills a request
_LONGEST_PARSED = 5000  # characters of a paragraph in which bold, links and so on are looked for
_LONGEST_CELL, _MOST_COLUMNS = 500, 50
_LANGUAGES = {
    "bash": "bash", "sh": "shell", "shell": "shell", "console": "shell", "diff": "diff", "json": "json", "yaml": "yaml",
    "yml": "yaml", "python": "python", "py": "python", "javascript": "javascript", "js": "javascript",
    "typescript": "typescript", "ts": "typescript", "go": "go", "rust": "rust", "java": "java", "sql": "sql",
    "html": "html", "xml": "xml", "markdown": "markdown", "md": "markdown", "toml": "toml", "c": "c", "cpp": "c++",
    "c++": "c++", "ruby": "ruby", "php": "php", "dockerfile": "docker",
}  # fmt: skip

_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*([\w+#-]*)[^`]*$")
_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)$")
_RULE = re.compile(r"([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_ITEM = re.compile(r"([ \t]*)(?:([-*+])|(\d{1,9})[.)])[ \t]+(?:\[([ xX])\][ \t]+)?(.*)$")
_SEPARATOR = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?$")
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?<!`)(?P<ticks>`{1,2})(?!`)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|!?\[(?P<label>[^\[\]]*)\]\((?P<url>[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)(?:[ ]\"[^\"]*\")?\)"
    r"|<(?P<address>https?://[^\s<>]+)>"
    r"|\*\*(?P<bold>\S(?:.*?\S)?)\*\*"
    r"|~~(?P<struck>\S(?:.*?\S)?)~~"
    r"|\*(?P<italic>[^\s*](?:[^*]*[^\s*])?)\*"
    r"|(?<!\w)_(?P<slanted>[^\s_](?:[^_]*[^\s_])?)_(?!\w)",
    re.DOTALL,
)

Block = dict[str, Any]


class _Run(NamedTuple):
    """Text that looks the same from its start to its end."""

    text: str
    marks: frozenset[str] = frozenset()
    link: str = ""


# --- text within a block -----------------------------------------------------------------------------


def inline(text: str) -> list[dict[str, Any]]:
    """Markdown within a paragraph as Notion's rich text; every piece within the limits, of any number of pieces."""
    runs = _runs(text, frozenset(), "") if len(text) <= _LONGEST_PARSED else [_Run(text)]
    joined: list[_Run] = []
    for one in runs:
        if joined and joined[-1][1:] == one[1:]:
            joined[-1] = joined[-1]._replace(text=joined[-1].text + one.text)
        else:
            joined.append(one)
    return [_rich(part, one) for one in joined for part in pieces(one.text)]


def _runs(text: str, marks: frozenset[str], link: str) -> list[_Run]:
    found: list[_Run] = []
    place = 0
    for match in _INLINE.finditer(text):
        if match.start() > place:
            found.append(_Run(text[place : match.start()], marks, link))
        place = match.end()
        told = match.groupdict()
        if told["escaped"] is not None:
            found.append(_Run(told["escaped"], marks, link))
        elif told["code"] is not None:
            found.append(_Run(told["code"].strip() or told["code"], marks | {"code"}, link))
        elif told["url"] is not None:
            address = told["url"] if _is_address(told["url"]) else ""
            found += _runs(told["label"] or told["url"], marks, address or link)
        elif told["address"] is not None:
            found.append(
                _Run(told["address"], marks, told["address"] if _is_address(told["address"]) else link)
            )
        else:
            for name, mark in (
                ("bold", "bold"),
                ("struck", "strikethrough"),
                ("italic", "italic"),
                ("slanted", "italic"),
            ):
                if told[name] is not None:
                    found += _runs(told[name], marks | {mark}, link)
    if place < len(text):
        found.append(_Run(text[place:], marks, link))
    return found


def _is_address(text: str) -> bool:
    return re.match(r"https?://[^\s/]", text) is not None and units(text) <= LONGEST_URL


def _rich(text: str, run: _Run) -> dict[str, Any]:
    inner: dict[str, Any] = {"content": text}
    if run.link:
        inner["link"] = {"url": run.link}
    told: dict[str, Any] = {"type": "text", "text": inner}
    if run.marks:
        told["annotations"] = dict.fromkeys(sorted(run.marks), True)
    return told


# --- blocks ------------------------------------------------------------------------------------------


def to_blocks(markdown: str, most: int = MOST_BLOCKS) -> list[Block]:
    """A report as blocks, each of a size that Notion takes. What goes beyond ``most`` blocks is left out, and said."""
    lines = _without_comments(clean(markdown)).expandtabs(4).split("\n")
    found: list[Block] = []
    total = left_out = 0
    for one in _parse(lines):
        total += weight(one)
        if total <= most - 1:
            found.append(one)
        else:
            left_out += weight(one)
    if left_out:
        told = f"The report goes on: {left_out} more blocks are not shown here, the stored report has them."
        found += _textual("paragraph", inline(told))
    return found


def _without_comments(text: str) -> str:
    found, place = [], 0
    while (start := text.find("<!--", place)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        found.append(text[place:start])
        place = end + 3
    return "".join([*found, text[place:]])


def weight(block: Block) -> int:
    """How many blocks a block is, those inside of it counted too."""
    return 1 + sum(map(weight, block[block["type"]].get("children", ())))


def _parse(lines: Sequence[str]) -> Iterator[Block]:
    place = 0
    while place < len(lines):
        line = lines[place]
        text = line.strip()
        if not text:
            place += 1
        elif fence := _FENCE.match(text):
            end = next(
                (n for n in range(place + 1, len(lines)) if _closes(lines[n], fence.group(1))), len(lines)
            )
            yield from _code("\n".join(lines[place + 1 : end]), fence.group(2))
            place = end + 1
        elif heading := _HEADING.match(text):
            kind = f"heading_{min(len(heading.group(1)), 3)}"
            yield from _textual(kind, inline(heading.group(2).rstrip("#").rstrip() or heading.group(2)))
            place += 1
        elif _RULE.match(text):
            yield {"type": "divider", "divider": {}}
            place += 1
        elif _starts_table(lines, place):
            end = place + 2
            while end < len(lines) and "|" in lines[end] and lines[end].strip():
                end += 1
            yield from _tables([lines[place], *lines[place + 2 : end]])
            place = end
        elif text.startswith(">"):
            end = place
            while end < len(lines) and lines[end].strip().startswith(">"):
                end += 1
            told = "\n".join(one.strip()[1:].strip() for one in lines[place:end])
            yield from _textual("quote", inline(told))
            place = end
        elif _ITEM.match(line):
            end = place + 1
            while end < len(lines) and (_ITEM.match(lines[end]) or _goes_on(lines, end)):
                end += 1
            yield from _items(lines[place:end])
            place = end
        else:
            end = place + 1
            while end < len(lines) and _goes_on(lines, end):
                end += 1
            yield from _textual("paragraph", inline(_joined(lines[place:end])))
            place = end


def _closes(line: str, fence: str) -> bool:
    text = line.strip()
    return text.startswith(fence) and not text.strip(fence[0])


def _goes_on(lines: Sequence[str], place: int) -> bool:
    """Whether a line belongs to the paragraph before it."""
    text = lines[place].strip()
    is_other = (
        not text
        or text.startswith(">")
        or _FENCE.match(text)
        or _HEADING.match(text)
        or _RULE.match(text)
        or _ITEM.match(lines[place])
        or _starts_table(lines, place)
    )
    return not is_other


def _joined(lines: Iterable[str]) -> str:
    """The lines of a paragraph; one that ends with two spaces or a backslash ends there."""
    found = ""
    for line in lines:
        found += line.strip().removesuffix("\\") + ("\n" if line.endswith(("  ", "\\")) else " ")
    return found.rstrip()


def _textual(kind: str, text: Sequence[dict[str, Any]], **more: Any) -> list[Block]:
    """A block of text; what is too long for one goes on in paragraphs."""
    found: list[Block] = []
    for start in range(0, max(1, len(text)), _PIECES):
        name = kind if start == 0 else "paragraph"
        told = more if start == 0 else {}
        found.append({"type": name, name: {"rich_text": list(text[start : start + _PIECES]), **told}})
    return found


def _code(text: str, language: str) -> Iterator[Block]:
    parts = pieces(text) or [""]
    known = _LANGUAGES.get(language.lower(), "plain text")
    for start in range(0, len(parts), _PIECES):
        told = [{"type": "text", "text": {"content": one}} for one in parts[start : start + _PIECES]]
        yield {"type": "code", "code": {"rich_text": told, "language": known}}


def _items(lines: Sequence[str]) -> Iterator[Block]:
    """A list; what is indented is inside of the item before it, at one level, however deep it was."""
    items: list[tuple[int, str, dict[str, Any], list[str]]] = []
    for line in lines:
        match = _ITEM.match(line)
        if match is None:
            items[-1][3].append(line)
            continue
        kind = "numbered_list_item" if match.group(3) else "bulleted_list_item"
        more: dict[str, Any] = {}
        if match.group(4):
            kind, more = "to_do", {"checked": match.group(4) != " "}
        items.append((len(match.group(1)), kind, more, [match.group(5)]))
    least = items[0][0]
    found: list[Block] = []
    for indent, kind, more, told in items:
        blocks = _textual(kind, inline(_joined(told)), **more)
        above = found[-1] if found and indent > least + 1 else None
        if above is None or above["type"] == "paragraph":
            found += blocks
            continue
        inside = above[above["type"]].setdefault("children", [])
        if (
            len(inside) + len(blocks) > MOST_TOGETHER
            or _size(above) + sum(map(_size, blocks)) > MOST_BYTES // 2
        ):
            found += blocks
        else:
            inside += blocks
    yield from found


def _starts_table(lines: Sequence[str], place: int) -> bool:
    return (
        "|" in lines[place]
        and place + 1 < len(lines)
        and "|" in lines[place + 1]
        and _SEPARATOR.match(lines[place + 1].strip()) is not None
    )


def _tables(lines: Sequence[str]) -> Iterator[Block]:
    """A table, or several with the same header where it is too long for one."""
    rows = [_cells(line) for line in lines]
    width = min(len(rows[0]), _MOST_COLUMNS)
    told = [_row([*cells[:width], *[""] * (width - len(cells))]) for cells in rows]
    header, size = told[0], _size(told[0])
    part, part_size = [header], size
    for row in told[1:]:
        if len(part) == MOST_TOGETHER or part_size + _size(row) > MOST_BYTES // 2:
            yield _table(part, width)
            part, part_size = [header], size
        part.append(row)
        part_size += _size(row)
    yield _table(part, width)


def _cells(line: str) -> list[str]:
    text = line.strip().removeprefix("|")
    text = text[:-1] if text.endswith("|") and not text.endswith("\\|") else text
    return [one.strip().replace("\\|", "|") for one in re.split(r"(?<!\\)\|", text)]


def _row(cells: Sequence[str]) -> Block:
    told = [inline(pieces(cell, _LONGEST_CELL)[0] if cell else "")[:MOST_PIECES] for cell in cells]
    return {"type": "table_row", "table_row": {"cells": told}}


def _table(rows: Sequence[Block], width: int) -> Block:
    inner = {"table_width": width, "has_column_header": True, "has_row_header": False, "children": list(rows)}
    return {"type": "table", "table": inner}


def _size(block: Block) -> int:
    return len(json.dumps(block, ensure_ascii=False).encode())


# --- requests ----------------------------------------------------------------------------------------


def chunks(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks in portions that one request may hold, in their order."""
    part: list[Block] = []
    count = size = 0
    for one in blocks:
        one_count, one_size = weight(one), _size(one)
        is_full = (
            len(part) == MOST_TOGETHER or count + one_count > MOST_IN_REQUEST or size + one_size > MOST_BYTES
        )
        if part and is_full:
            yield part
            part, count, size = [], 0, 0
        part.append(one)
        count += one_count
        size += one_size
    if part:
        yield part


assert _PIECES <= MOST_PIECES
assert _LONGEST_CELL <= LONGEST_PIECE
