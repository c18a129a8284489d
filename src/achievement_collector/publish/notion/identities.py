"""Ids of Notion's things, as people give them: bare, with dashes, or inside of an address."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_BARE = re.compile(r"[0-9a-f]{32}")
_DASHED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_AT_END = re.compile(r"(?:^|[-/])([0-9a-f]{32})$")


def read_id(told: str) -> str | None:
    """The id that ``told`` is or holds, with dashes and in lower case; None where it holds none.

    An address names its page or database at the end of its path; what ``?v=`` names is a view and never meant.
    """
    text = told.strip()
    lower = text.lower()
    if _DASHED.fullmatch(lower):
        return lower
    if _BARE.fullmatch(lower):
        return dashed(lower)
    try:
        path = unquote(urlsplit(text).path).rstrip("/").lower()
    except ValueError:
        return None
    whole = _DASHED.search(path.rpartition("/")[2])
    if whole and path.endswith(whole.group()):
        return whole.group()
    found = _AT_END.search(path)
    return dashed(found.group(1)) if found else None


def dashed(bare: str) -> str:
    """32 hexadecimal digits as Notion answers them: 8-4-4-4-12."""
    return "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))
