"""A line without what differs from run to run: the same message of two runs becomes the same text.

After the first step of Drain (He et al. 2017, ICWS): numbers, hashes, times, addresses and the like become placeholders. Words
and the names of tests stay, so different failures stay different.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

from achievement_collector.derive.failures.reading import as_bytes, readable

_DATE = (
    r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
    r" \d{1,4},?(?: \d{2,4})?(?: \d\d:\d\d(?::\d\d)?)?"
)
_ROOTS = r"(?:[A-Za-z]:\\|/)(?:home|Users|builds?|root|tmp|private|var|opt|__w|github|runner|workspace|mnt|__t|usr|a|D)"
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", "<uuid>"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?)?", "<time>"),
        (_DATE, "<time>"),
        (r"\b\d{1,2}:\d\d(?::\d\d)(?:[.,]\d+)?\b", "<time>"),
        (r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b", "<address>"),
        (r"\b(localhost|[\w-]+(?:\.[\w-]+)+):\d{1,6}\b", r"\1:<n>"),
        (r"\b(?:sha(?:256|512|1)[:-])[\w+/=-]{20,}", "<hash>"),
        (r"\b0x[0-9a-fA-F]+\b", "<hex>"),
        (r"(?<![\w.])(?=[0-9a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{7,64}(?![\w])", "<hash>"),
        (_ROOTS + r"(?:[\\/][\w.@~+-]+)*[\\/](?=[\w.@~+-])", "<path>/"),
        (r"\b[\w-]*(?:tmp|temp)[\w.-]*[\\/]", "<tmp>/"),
        (r"(?i)\bv?\d+(?:\.\d+){1,4}(?:[-+.]?(?:alpha|beta|rc|dev|post|snapshot|pre|final|release)[\w.]*)?\b", "<version>"),
        (r"(?<![\w<])[-+]?\d[\d,_]*(?:\.\d+)?(?:e[-+]?\d+)?(?:ns|[µu]s|ms|s|m|min|h|[kKMGT]i?B?|%)?(?![\w>])", "<n>"),
        (r"[=_*~-]{4,}", "<rule>"),
        (r"\s+", " "),
    )
)  # fmt: skip
_MOST_LINES = 5


def template(text: str) -> str:
    """A readable line with placeholders in place of numbers, hashes, times, addresses, paths' roots and versions."""
    text = text[:500]
    for pattern, shown in _STEPS:
        text = pattern.sub(shown, text)
    return text.strip()


def templates(log: bytes | str) -> frozenset[str]:
    """The templates of all lines of a log, for :func:`explain`'s ``seen_when_green``: give it green logs of the same job."""
    different = {readable(line[:8000]) for line in as_bytes(log).split(b"\n")}
    return frozenset(found for text in different if (found := template(text)))


def signature(lines: Iterable[str], rule: str) -> str:
    """What a failure is called: the rule and the templates of its deciding lines, in alphabetical order, because tests that
    run side by side end in any order. At most five lines, each once."""
    different = sorted({found for line in lines if (found := template(line))})
    return "\n".join([rule, *different[:_MOST_LINES]])


def cluster(signature: str) -> str:
    """A stable id of a signature: 16 hex digits of its SHA-256."""
    return sha256(signature.encode("utf-8", "replace")).hexdigest()[:16]
