"""Takes what looks like a secret out of a line before it is shown or stored.

Sooner one word too many than a token in a ledger: a masked word costs a reader little.
"""

from __future__ import annotations

import re

_TOKENS = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*"
    r"|\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{15,})"
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}\b"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services/\S+"
    r"|\bAIza[\w-]{30,}|\bGOCSPX-[\w-]{20,}|\bya29\.[\w-]{20,}"
    r"|\b[rs]k_(?:live|test)_\w{16,}|\bsk-[\w-]{20,}"
    r"|\blin_(?:api|oauth|wh)_\w{20,}|\b(?:secret_|ntn_)\w{30,}|\bnpm_\w{30,}|\bpypi-[\w-]{30,}"
    r"|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bSK[0-9a-f]{32}\b|\bhf_\w{30,}|\bdo[opr]_v1_\w{40,}|\bdckr_pat_[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\bAccountKey=[\w+/=]{20,}"
)
_IN_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@<>\"']{1,300}@", re.IGNORECASE)
_AFTER_NAME = re.compile(
    r"(?i)((?:\b|_)(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|(?:api|access|private|secret|auth|account)[_-]?key)\b"
    r"[\"']?\s*(?:=>|[:=])\s*[\"']?)"
    r"(?!\$\{?[A-Za-z]|\*\*\*|<|(?:null|none|nil|true|false|undefined|missing|expired|invalid|required)\b)([^\s\"',;]{6,})"
)
_AFTER_WORD = re.compile(r"(?i)(\b(?:authorization: *)?(?:bearer|basic) +)([\w.+/=~-]{12,})")
_OPTION = re.compile(
    r"(?i)(--?(?:password|token|secret|api-key|access-key|auth-token)[= ]+)(?!\$|\*\*\*)(\S{4,})"
)
_QUERY = re.compile(
    r"(?i)([?&](?:\w*signature|\w*token|\w*secret|api_?key|sig|x-amz-[\w-]+|code)=)[^&\s\"']{4,}"
)
_SIGNS = (
    "://", "pass", "pwd", "secret", "token", "key", "credential", "bearer", "basic ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-", "akia", "asia", "abia", "acca", "xox", "aiza",
    "gocspx", "ya29", "?sig=", "&sig=", "?code=", "&code=", "x-amz-", "signature=", "sk_", "rk_", "sk-", "lin_", "ntn_", "npm_",
    "pypi-", "sg.", "hf_", "_v1_", "_pat_", "eyj",
)  # fmt: skip

MASK = "***"


def mask_secrets(text: str) -> str:
    """The text with :data:`MASK` in place of tokens, keys, and passwords in addresses, settings and options."""
    low = text.casefold()
    if not _may_hold_one(text, low):
        return text
    text = _TOKENS.sub(MASK, text)
    if "@" in text and "://" in text:
        text = _IN_ADDRESS.sub(rf"\1{MASK}@", text)
    if "bearer" in low or "basic" in low:
        text = _AFTER_WORD.sub(rf"\1{MASK}", text)
    if ":" in text or "=" in text:
        text = _AFTER_NAME.sub(rf"\1{MASK}", text)
    if "-" in text:
        text = _OPTION.sub(rf"\1{MASK}", text)
    return _QUERY.sub(rf"\1{MASK}", text) if "=" in text else text


def _may_hold_one(text: str, low: str) -> bool:
    """A quick look: whether a line has anything that one of the patterns needs."""
    for sign in _SIGNS:  # a generator would take twice as long
        if sign in low:
            return True
    return "SK" in text
