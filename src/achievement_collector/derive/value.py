"""Business value that a commit message states in numbers: quoted word for word, never computed.

Only sentences that compare (from X to Y with a unit, N % faster, twice as fast) are taken; what they say is
the author's statement, not a measurement of ours, and is marked so.
"""

from __future__ import annotations

import re

from achievement_collector.derive.conclusions import BusinessValue, ValueKind

_LONGEST_MESSAGE = 20_000
_LONGEST_SENTENCE = 300

_NUMBER = r"\d[\d.,]{0,12}"
_UNIT = (
    r"(?:ns|[uµμ]s|ms|s|sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?"
    r"|[kKMGT]i?B|bytes|kB|fps|rps|qps|req/s|ops/s|%)"
)
_BETTER = (
    r"(?:faster|slower|quicker|smaller|less|fewer|lower|higher"
    r"|speed-?up|reduction|improvement|increase|decrease)"
)
_ABOUT = r"(?:about\s+|around\s+|~\s?)?"
_CLAIM = re.compile(
    rf"\bfrom\s+{_ABOUT}{_NUMBER}\s?{_UNIT}?\s+(?:down\s+|up\s+)?to\s+{_ABOUT}{_NUMBER}\s?{_UNIT}(?![\w/])"
    rf"|(?<![\w.]){_NUMBER}\s?(?:%|percent)\s+(?:\w+\s+)?{_BETTER}\b"
    rf"|(?<![\w.]){_NUMBER}\s?(?:x|times)\s+{_BETTER}\b"
    rf"|\b(?:by|of)\s+{_ABOUT}{_NUMBER}\s?(?:%|percent)(?!\w)",
    re.IGNORECASE,
)
# a first look, cheap because each begins with something definite
_NUMBER_CLAIM = re.compile(r"\d ?(?:%|x |times |percent)")
_RANGE_CLAIM = re.compile(r"rom (?:about |around |~ ?)?\d")
_TELLS_OF_SPEED = re.compile(
    r"\b(?:perf|performance|speed|fast|slow|quick|latency|throughput|memory|size|time|cpu|load|reduc|improv|cost)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"'`])|\n\s*\n|\n(?=\s*[-*•]\s)")
_NOT_PROSE = re.compile(r"^\s*(?:[|>+#@$]|diff |\w[\w-]*: )")


def stated_value(message: str, source: str) -> BusinessValue:
    """The first sentence of ``message`` that states a measured difference, as a stated value; else
    "not measured". ``source`` says where the message is recorded, such as ``commit 1a2b3c4``."""
    text = message[:_LONGEST_MESSAGE]
    if not (_NUMBER_CLAIM.search(text) or _RANGE_CLAIM.search(text)):
        return BusinessValue()
    for sentence in _SENTENCE_END.split(text):
        plain = " ".join(sentence.split())
        if len(plain) > _LONGEST_SENTENCE or _NOT_PROSE.match(plain):
            continue
        if _CLAIM.search(plain) and _TELLS_OF_SPEED.search(plain):
            return BusinessValue(ValueKind.STATED, plain, source=source)
    return BusinessValue()
