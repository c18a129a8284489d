"""What looks like a secret. Few false alarms: shas, ids and long words are none."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import NamedTuple

_KINDS: tuple[tuple[str, str], ...] = (
    ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255})\b"),
    ("a GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20,255}"),
    ("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)(?!X{16}|0{16})[A-Z0-9]{16}\b"),
    ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    ("a Slack webhook", r"https://hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{16,}"),
    ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}(?![\w-])"),
    ("a Google OAuth secret", r"\bGOCSPX-[A-Za-z0-9_-]{28}"),
    ("a Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,247}"),
    ("an OpenAI key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,200}(?![\w-])"),
    ("an Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,200}"),
    ("a Linear key", r"\blin_(?:api|oauth|wh)_[A-Za-z0-9]{30,100}"),
    ("a Notion token", r"\b(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,60})\b"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", r"\bpypi-AgEIcHlwaS[A-Za-z0-9_-]{50,}"),
    ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    ("a Twilio key", r"\bSK[0-9a-f]{32}\b"),
    ("a Hugging Face token", r"\bhf_[A-Za-z]{34}\b"),
    ("a DigitalOcean token", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    (
        "a password in an address",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@<>]{1,100}:(?![*x<${%]|pass(?:word)?@)[^\s/@<>]{3,200}@[\w.-]+",
    ),
)
_PATTERN = re.compile("|".join(f"(?P<k{number}>{pattern})" for number, (_, pattern) in enumerate(_KINDS)))
_ASSIGNED = re.compile(
    r"(?i)\b(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|auth[_-]?token|client[_-]?secret)\b[\"']?\s*[:=]\s*"
    r"[\"']?(?!\$[A-Z{(])([A-Za-z0-9+/_=.!@#$%^&*-]{12,200})"
)
_BITS_PER_CHARACTER = 3.5


class Secret(NamedTuple):
    """``masked`` shows the first characters only."""

    kind: str
    masked: str
    where: str


def find_secrets(text: str, where: str = "") -> list[Secret]:
    """What in ``text`` looks like a secret."""
    found = []
    for match in _PATTERN.finditer(text):
        assert match.lastgroup
        found.append(Secret(_KINDS[int(match.lastgroup[1:])][0], _mask(match[0]), where))
    for match in _ASSIGNED.finditer(text):
        value = match[1]
        mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        if (
            mixed
            and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f-]{36}", value)
            and _entropy(value) > _BITS_PER_CHARACTER
        ):
            found.append(Secret("a password or token", _mask(value), where))
    return found


def _mask(value: str) -> str:
    return value[:4] + "…" + f" ({len(value)} characters)"


def _entropy(value: str) -> float:
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
