"""Names of repositories as people and CI systems write them."""

from __future__ import annotations

import re

from achievement_collector.errors import CollectorError, ConfigurationError

_HOST = re.compile(r"[\w.-]+(?::\d+)?")
_PART = re.compile(r"[\w.~-]+")
_LONGEST_HOST = 255


def repository_key(text: str) -> str:
    """``host/owner/name`` of what is called ``owner/name`` (then it is on github.com), ``host/owner/name`` or by its address.
    Raises :class:`CollectorError` for what cannot be a repository."""
    name = re.sub(r"^https?://", "", text.strip().strip("/").removesuffix(".git"))
    host, *parts = name.split("/")
    if len(parts) == 1:
        host, parts = "github.com", [host, *parts]
    if not _is_host(host) or len(parts) < 2 or not all(map(_is_part, parts)):
        raise CollectorError(f"{text[:200]!r} names no repository; give owner/name or host/owner/name")
    return "/".join([host.lower(), *parts])


def repository_name(text: str) -> str:
    """``owner/name`` of a repository of GitHub that is called so, or by its key. Raises :class:`ConfigurationError`."""
    host, *parts = text.strip().split("/")
    if len(parts) == 1:
        host, parts = "", [host, *parts]
    if len(parts) != 2 or (host and not _is_host(host)) or not all(map(_is_part, parts)):
        raise ConfigurationError(f"{text[:200]!r} is no repository; name it as owner/name")
    return "/".join(parts)


def _is_host(host: str) -> bool:
    return bool(_HOST.fullmatch(host)) and set(host) != {"."} and len(host) <= _LONGEST_HOST


def _is_part(part: str) -> bool:
    """Whether an owner, a group or a repository may be called so: ``.`` and ``..`` lead elsewhere."""
    return bool(_PART.fullmatch(part)) and set(part) != {"."}
