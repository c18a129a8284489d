"""Reading XML and JSON that strangers wrote: safely, and with errors a person understands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn, Protocol
from xml.parsers import expat

from achievement_collector.errors import CollectorError

DEEPEST_ELEMENT = 100
"""Levels of XML elements; real reports stay below 20."""

_REASONS = {  # where expat's own words do not help
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]: "it ends before its last element does",
    expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]: "a character or mark that XML does not allow",
}
_NUMBER = re.compile(r"[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3}){1,9}\.\d{1,400}|(?:,\d{3}){2,9})", re.ASCII)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)


class CiFileError(CollectorError):
    """A file of a CI job is broken, unsafe, or not of the kind it was handed in as."""


class Document(Protocol):
    """What takes in an XML document. ``path`` holds the names from the root down to the element itself."""

    def start(self, path: Sequence[str], attributes: Mapping[str, str]) -> None: ...

    def text(self, text: str) -> None: ...

    def end(self, path: Sequence[str]) -> None: ...


def read_xml(data: bytes, name: str, roots: Collection[str], kind: str, document: Document) -> None:
    """Hand an XML file over to ``document``, element by element; names come without their namespace prefix.

    A reference to a document type is ignored, nothing is ever fetched. Raises :class:`CiFileError` for invalid XML, for
    any entity beyond XML's own five (they can make a small file huge), and where the root is none of ``roots``.
    """
    path: list[str] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.specified_attributes = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if not path and tag not in roots:
            raise CiFileError(
                f"{name} is no {kind}: its root element is <{tag[:40]}>, not <{'> or <'.join(roots)}>."
            )
        if len(path) >= DEEPEST_ELEMENT:
            raise CiFileError(
                f"{name} is not read: its elements are nested more than {DEEPEST_ELEMENT} levels deep "
                f"at line {parser.CurrentLineNumber}."
            )
        path.append(tag)
        document.start(path, attributes)

    def end(_tag: str) -> None:
        document.end(path)
        path.pop()

    def entity(entity: str, *_: object) -> NoReturn:
        raise CiFileError(
            f"{name} is not read: it uses an entity of its own ({entity[:40]!r}, line {parser.CurrentLineNumber}), "
            "which could make a small file huge or fetch others."
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = document.text
    parser.EntityDeclHandler = entity
    parser.SkippedEntityHandler = entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = _REASONS.get(error.code) or expat.ErrorString(error.code)
        raise CiFileError(f"{name} is not valid XML: {reason} at line {error.lineno}.") from None
    except (ValueError, LookupError):  # what Python's codecs say to the encoding of the first line
        raise CiFileError(
            f"{name} is not read: its XML declaration names an encoding unknown here."
        ) from None


def read_json(data: bytes, name: str) -> Any:
    """The JSON value of a file in UTF-8, UTF-16 or UTF-32. Raises :class:`CiFileError` where there is none."""
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise CiFileError(f"{name} is not valid JSON: {error.msg} at line {error.lineno}.") from None
    except UnicodeDecodeError as error:
        raise CiFileError(
            f"{name} is not valid JSON: byte {error.start} is no {error.encoding} text."
        ) from None
    except ValueError:
        raise CiFileError(f"{name} is not read: it holds a number of thousands of digits.") from None
    except RecursionError:
        raise CiFileError(f"{name} is not read: its JSON is nested too deep.") from None


def number(text: str | None) -> float | None:
    """A decimal number as programs write it (``12.5``, ``1e-3``, ``1,234.56``); None where it is none, or ambiguous
    (``1,234`` may be 1.234 in some countries)."""
    stripped = text.strip() if text else ""
    if _THOUSANDS.fullmatch(stripped):
        stripped = stripped.replace(",", "")
    if not _NUMBER.fullmatch(stripped):
        return None
    value = float(stripped)
    return value if math.isfinite(value) else None


def whole(text: str | None) -> int | None:
    """A count: a whole number from 0 on; None where it is none."""
    stripped = text.strip() if text else ""
    return int(stripped) if _WHOLE.fullmatch(stripped) else None
