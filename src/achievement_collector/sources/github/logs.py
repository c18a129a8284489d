"""The log of a job: fetched from where GitHub points to, without our token; its middle left out where it is too long.

What is written into a log is under nobody's control: it may be of any size, and hold secrets that GitHub does not know and
so has not masked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from achievement_collector.sources.github.client import GitHubAccessError, GitHubClient, GitHubError

HEAD, TAIL = 1 << 20, 3 << 20
"""Bytes that are kept of the beginning and of the end of a log."""

MOST_READ = 256 << 20
"""Bytes of a log that are read at most; of a longer one only its beginning is kept, for its end is not known."""

_TIMEOUT = 60.0  # seconds without a byte
_GONE = (404, 410)


class Fetched(NamedTuple):
    """A log as it is kept: all of it, or its beginning and its ``end`` in whole lines. ``size`` is the bytes that it has, or
    that were read where ``is_too_large``; ``cut`` those that were left out."""

    beginning: str
    end: str
    size: int
    cut: int
    is_too_large: bool = False


def job_log(client: GitHubClient, repository: str, job: int) -> Fetched:
    """The log of a job of ``repository`` (owner/name).

    Raises :class:`GitHubAccessError` with the status where it is not there any more (404, 410) or not to be seen, and
    :class:`GitHubError` where it cannot be had now.
    """
    found = client.elsewhere(f"/repos/{repository}/actions/jobs/{job}/logs")
    if isinstance(found, bytes):
        return kept([found])
    # a client of its own: it knows no token and keeps no cookie; one link is one request
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=True) as plain:
        try:
            with plain.stream("GET", found, headers={"User-Agent": "achievement-collector"}) as answer:
                if answer.status_code != 200:
                    _refuse(answer.status_code, found, job)
                return kept(answer.iter_bytes(1 << 16))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            host = urlsplit(found).hostname
            raise GitHubError(
                f"the log of job {job} could not be read from {host} ({type(error).__name__}); try again later"
            ) from None


def _refuse(status: int, address: str, job: int) -> None:
    """Raises what the host of a log answered; its address holds a signature and is not told."""
    told = f"{urlsplit(address).hostname} gave no log of job {job} (HTTP {status})"
    raise GitHubAccessError(told, status) if status in _GONE else GitHubError(f"{told}; try again later")


def kept(chunks: Iterable[bytes], head: int = HEAD, tail: int = TAIL, most: int = MOST_READ) -> Fetched:
    """A log that comes in pieces, as it is kept: whole where it has no more than ``head`` and ``tail`` bytes together, else its
    beginning and its end, up to whole lines."""
    first, last, size = bytearray(), deque[bytes](), 0
    in_last, is_too_large = 0, False
    for chunk in chunks:
        size += len(chunk)
        room = head - len(first)
        first += chunk[:room] if room > 0 else b""
        rest = chunk[room:] if room > 0 else chunk
        if rest:
            last.append(rest)
            in_last += len(rest)
            while in_last - len(last[0]) >= tail:
                in_last -= len(last.popleft())
        if size > most:
            is_too_large = True
            break
    end = b"" if is_too_large else b"".join(last)
    if not is_too_large and size <= head + tail:
        return Fetched(_decoded(bytes(first) + end), "", size, 0)
    start = bytes(first)
    start = start[: start.rfind(b"\n") + 1] or start
    end = end[-tail:]
    end = end[end.find(b"\n") + 1 :] if b"\n" in end else end
    return Fetched(_decoded(start), _decoded(end), size, size - len(start) - len(end), is_too_large)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")
