"""A job's log as it is stored: without what looks like a secret, and with a line where something was left out."""

from __future__ import annotations

import re

from achievement_collector.derive.failures.masking import MASK, mask_secrets
from achievement_collector.ledger.ci_runs import STORED, TOO_LARGE, Log
from achievement_collector.sources.github.logs import Fetched

_KEY = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)(?:(?!-----END )[\s\S]){1,16000}?(?=-----END |\Z)"
)
_KEY_END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY")
_KEY_SPACE = 8_000  # characters before the end of a key whose beginning was left out


def log_to_store(fetched: Fetched) -> Log:
    """A log, masked. What was left out of its middle, or was not read, is said in a line in its place."""
    text, masked = mask_log(fetched.beginning)
    if fetched.is_too_large:
        text += f"[the rest of this log was not read: it has more than {fetched.size:,} bytes]\n"
        return Log(TOO_LARGE, text, fetched.size, fetched.cut, masked)
    if fetched.cut:
        end, more = mask_log(_without_half_a_key(fetched.end))
        text, masked = f"{text}[{fetched.cut:,} bytes of this log were left out here]\n{end}", masked + more
    return Log(STORED, text, fetched.size, fetched.cut, masked)


def mask_log(text: str) -> tuple[str, int]:
    """``text`` with what looks like secrets replaced, private keys of many lines too; and in how many places."""
    before = text.count(MASK)
    if "PRIVATE KEY" in text:
        text = _KEY.sub(rf"\1{MASK}", text)
    text = "".join(map(mask_secrets, text.splitlines(keepends=True)))
    return text, max(0, text.count(MASK) - before)


def _without_half_a_key(text: str) -> str:
    """A text that begins in the middle of something, without the rest of a private key that may have begun before it."""
    ending = _KEY_END.search(text)
    if ending is None or "-----BEGIN " in text[: ending.start()]:
        return text
    return text[: max(0, ending.start() - _KEY_SPACE)] + MASK + text[ending.start() :]
