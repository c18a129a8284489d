"""Signatures of deliveries, checked on the raw body, in constant time."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

LINEAR_SKEW = 60_000
"""Milliseconds by which the time in Linear's signed body may differ from ours (the rule of Linear's own SDK)."""


def sign(secret: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed_by_github(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """``X-Hub-Signature-256: sha256=<hex>``. The older SHA-1 header is not accepted."""
    return _matches(headers.get("x-hub-signature-256", ""), f"sha256={sign(secret, body)}")


def is_signed_by_linear(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """``Linear-Signature: <hex>``."""
    return _matches(headers.get("linear-signature", ""), sign(secret, body))


def is_signed_by_deployer(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """``X-Signature-256: sha256=<hex>``."""
    return _matches(headers.get("x-signature-256", ""), f"sha256={sign(secret, body)}")


def linear_skew(body: bytes, headers: Mapping[str, str], now: int) -> int | None:
    """Milliseconds between our clock and the time of a Linear delivery: ``webhookTimestamp`` of the (signed) body, else
    the ``Linear-Timestamp`` header; None where neither tells."""
    try:
        stamp = json.loads(body).get("webhookTimestamp")
    except (ValueError, AttributeError, RecursionError):
        stamp = None
    if not isinstance(stamp, int) or isinstance(stamp, bool):
        text = headers.get("linear-timestamp", "")
        stamp = int(text) if text.isascii() and text.isdecimal() else None
    return None if stamp is None else abs(now - stamp)


def _matches(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected.encode())
