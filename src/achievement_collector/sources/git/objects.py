"""Raw commit and tag objects to facts. Any bytes are accepted; what is invalid is decoded with U+FFFD."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import NamedTuple

from achievement_collector.facts import Signature, Stamp

MAX_MESSAGE_BYTES = 1 << 20
"""A longer message is cut here; its whole stays in git."""

_UTF8 = "utf-8"


class CommitObject(NamedTuple):
    """A commit object's own fields; ``parents`` as written, without grafts."""

    parents: tuple[str, ...]
    author: Signature
    authored: Stamp
    committer: Signature
    committed: Stamp
    message: str
    raw_message: bytes | None
    encoding: str | None


class TagObject(NamedTuple):
    target: str
    target_type: str
    tagger: Signature | None
    tagged: Stamp | None
    message: str


def parse_commit(raw: bytes) -> CommitObject:
    """Reads a commit object (what ``git cat-file commit`` prints)."""
    head, _, message = raw.partition(b"\n\n")
    author = committer = b""
    encoding: str | None = None
    parents: list[str] = []
    for line in head.split(b"\n"):
        if line.startswith(b"parent "):
            parents.append(line[7:].decode("ascii", "replace"))
        elif line.startswith(b"author ") and not author:
            author = line[7:]
        elif line.startswith(b"committer ") and not committer:
            committer = line[10:]
        elif line.startswith(b"encoding "):
            encoding = line[9:].decode("ascii", "replace")
    if len(message) > MAX_MESSAGE_BYTES:
        message = message[:MAX_MESSAGE_BYTES]
    codec = _codec(encoding)
    text, is_exact = _decode(message, codec)
    who, when = _signature(author, codec)
    by, at = _signature(committer, codec)
    return CommitObject(tuple(parents), who, when, by, at, text, None if is_exact else message, encoding)


def parse_tag(raw: bytes) -> TagObject:
    """Reads an annotated tag object (what ``git cat-file tag`` prints), its signature block left out."""
    head, _, message = raw.partition(b"\n\n")
    fields = dict(line.partition(b" ")[::2] for line in head.split(b"\n"))
    tagger, tagged = _signature(fields[b"tagger"], _UTF8) if b"tagger" in fields else (None, None)
    for mark in (
        b"-----BEGIN PGP SIGNATURE-----",
        b"-----BEGIN SSH SIGNATURE-----",
        b"-----BEGIN SIGNED MESSAGE-----",
    ):
        message = message.partition(mark)[0]
    text, _ = _decode(message[:MAX_MESSAGE_BYTES], _UTF8)
    return TagObject(
        fields.get(b"object", b"").decode("ascii", "replace"),
        fields.get(b"type", b"").decode("ascii", "replace"),
        tagger,
        tagged,
        text.strip("\n"),
    )


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return _UTF8
    return _known_codec(encoding)


@lru_cache(maxsize=256)
def _known_codec(encoding: str) -> str:
    try:
        info = codecs.lookup(encoding.strip())
    except (LookupError, ValueError):
        return _UTF8
    # "hex", "zlib" and their like are Python codecs, but no character sets
    return info.name if info._is_text_encoding else _UTF8


def _decode(data: bytes, codec: str) -> tuple[str, bool]:
    """The text, and whether it holds all of ``data``. NUL, which databases refuse, is replaced."""
    try:
        text = data.decode(codec)
        is_exact = True
    except (UnicodeError, ValueError):
        text = data.decode(_UTF8, "replace")
        is_exact = False
    if "\0" in text:
        return text.replace("\0", "\ufffd"), False
    if codec != _UTF8:
        # UTF-7, UTF-16 and stateful encodings may give lone surrogates or not give the same bytes back
        try:
            is_exact = is_exact and text.encode(codec) == data
            text.encode(_UTF8)
        except UnicodeError:
            return data.decode(_UTF8, "replace").replace("\0", "\ufffd"), False
    return text, is_exact


def _signature(line: bytes, codec: str) -> tuple[Signature, Stamp]:
    """``Name <mail> seconds zone``; whatever is missing or broken becomes empty or 0, never an error."""
    end = line.rfind(b">")
    who, moment = (line[: end + 1], line[end + 1 :]) if end >= 0 else (line, b"")
    parts = moment.split()
    return _who(who, codec), Stamp(
        _integer(parts[0]) if parts else 0, _zone(parts[1]) if len(parts) > 1 else 0
    )


@lru_cache(maxsize=8192)
def _who(text: bytes, codec: str) -> Signature:
    """``Name <mail>``."""
    name, opened, rest = text.partition(b"<")
    if not opened:
        return Signature(_decode(text.strip(), codec)[0], "")
    email = rest[:-1] if rest.endswith(b">") else rest
    return Signature(_decode(name.strip(), codec)[0], _decode(email.strip(), codec)[0])


_LARGEST = 1 << 62  # fits a BIGINT; such dates are nonsense, but must not be an error


def _integer(digits: bytes) -> int:
    try:
        value = int(digits[:20])
    except ValueError:
        return 0
    return value if -_LARGEST < value < _LARGEST else _LARGEST if value > 0 else -_LARGEST


@lru_cache(maxsize=512)
def _zone(zone: bytes) -> int:
    """``+0130`` to 90 minutes."""
    sign = -1 if zone[:1] == b"-" else 1
    digits = zone[1:] if zone[:1] in (b"+", b"-") else zone
    if not digits.isdigit() or len(digits) > 4:
        return 0
    number = int(digits)
    return sign * (number // 100 * 60 + number % 100)
