"""The text of a page that is ours: one callout, marked, with a report inside. All else on the page belongs to people.

The label of the callout ends with the digest of what it holds. While it is written it says so instead, so that a run that was
cut off is noticed by the next, whoever runs it and whatever it remembers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from achievement_collector.publish.notion.blocks import Block, chunks
from achievement_collector.publish.notion.client import NotionClient
from achievement_collector.sources.bodies import Body

_LABEL = "Written by achievement-collector, and replaced when the report changes. Your own text is safe outside of this box."
_UNFINISHED = "being written"
_MARKED = re.compile(re.escape(_LABEL) + r" · ([0-9a-f]{16}|" + _UNFINISHED + r")")


class Section(NamedTuple):
    """Our part of a page. ``digest`` is that of what it holds, empty where it was not finished; ``others`` are further
    sections of ours, which a lost answer can leave behind; ``is_last`` says that nothing comes after it."""

    block_id: str
    digest: str
    others: tuple[str, ...] = ()
    is_last: bool = True


def digest_of(blocks: Sequence[Block]) -> str:
    """What tells one text from another: 16 hexadecimal digits."""
    text = json.dumps(blocks, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def find_section(client: NotionClient, page_id: str, me: str) -> Section | None:
    """Our part of a page, as the bot ``me`` made it; what a person copied is the person's."""
    found: list[tuple[str, str]] = []
    last = ""
    for block in client.children(page_id):
        last = block.text("id")
        match = _MARKED.fullmatch(_text(block)) if block.text("type") == "callout" else None
        if match and block.inner("created_by").text("id") == me:
            found.append((last, "" if match.group(1) == _UNFINISHED else match.group(1)))
    if not found:
        return None
    return Section(*found[0], tuple(identity for identity, _ in found[1:]), found[0][0] == last)


def write_section(client: NotionClient, page_id: str, blocks: Sequence[Block], me: str) -> None:
    """Makes our part of a page hold ``blocks`` and nothing else of ours.

    May be called again after any failure: what an earlier call left half done is done over. Text that people put into our
    part stays; that which they changed there does not.
    """
    digest = digest_of(blocks)
    section = find_section(client, page_id, me)
    if section is not None:
        for one in section.others:
            client.delete_block(one)
        if section.digest == digest:
            return
        section = _emptied(client, section, me)
    block_id = section.block_id if section is not None else _opened(client, page_id)
    for part in chunks(blocks):
        client.append(block_id, part)
    client.update_block(block_id, _labelled(digest))


def _opened(client: NotionClient, page_id: str) -> str:
    callout = _labelled(_UNFINISHED)["callout"] | {
        "icon": {"type": "emoji", "emoji": "🤖"},
        "color": "gray_background",
    }
    return client.append(page_id, [{"type": "callout", "callout": callout}])[0].text("id")


def _emptied(client: NotionClient, section: Section, me: str) -> Section | None:
    """The section without our text; None where all of it was thrown away, which is one request, and is done where no text of
    people is in it or would change its place."""
    inside = list(client.children(section.block_id))
    ours = [one for one in inside if one.inner("created_by").text("id") == me]
    if section.is_last and len(ours) == len(inside):
        client.delete_block(section.block_id)
        return None
    if section.digest:
        client.update_block(section.block_id, _labelled(_UNFINISHED))
    for one in ours:
        client.delete_block(one.text("id"))
    return section


def _labelled(state: str) -> Block:
    text = {"type": "text", "text": {"content": f"{_LABEL} · {state}"}}
    return {"callout": {"rich_text": [text]}}


def _text(block: Body) -> str:
    return "".join(one.text("plain_text") for one in block.inner(block.text("type")).each("rich_text"))
