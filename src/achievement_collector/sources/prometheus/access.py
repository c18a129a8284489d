"""What a Prometheus is reached with: its address, who asks, and the certificates of both; checked before anything is sent."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from os import PathLike
from urllib.parse import urlsplit

import httpx

from achievement_collector.errors import ConfigurationError

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """At most one way to say who asks. ``secrets`` are what no message may hold."""

    header: str = field(default="", repr=False)
    kind: str = "without credentials"
    secrets: tuple[str, ...] = field(default=(), repr=False)


def usable_address(url: str, *, is_secret: bool, has_files: bool) -> str:
    """``url`` without a slash at its end. Plain http is for loopback, and elsewhere for those who have no secret to send.
    Raises :class:`ConfigurationError`, as the others do."""
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        is_usable = (parts.port is None or parts.port > 0) and bool(httpx.URL(parts.geturl()).host)
    except (ValueError, httpx.InvalidURL):
        is_usable = False
    if (
        not is_usable
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ConfigurationError(
            "Prometheus' address must be like https://prometheus.example or http://127.0.0.1:9090; "
            "credentials are set on their own"
        )
    if parts.scheme == "http" and has_files:
        raise ConfigurationError(
            "certificates are of use only where Prometheus' address begins with https://"
        )
    if parts.scheme == "http" and is_secret and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "Prometheus' address must begin with https:// where credentials are set, which others could read else"
        )
    return parts.geturl()


def usable_credentials(token: str | None, username: str | None, password: str | None) -> Credentials:
    """What was given, empty texts being nothing."""
    told = (token or "").strip()
    if told and (username or password):
        raise ConfigurationError("Prometheus takes a token, or a user name and a password, not both")
    if bool(username) != bool(password):
        raise ConfigurationError("Prometheus needs the user name and the password, or neither")
    if told:
        if not (told.isascii() and told.isprintable() and " " not in told):
            raise ConfigurationError(
                "the token for Prometheus holds characters that no token has; copy it again"
            )
        return Credentials(f"Bearer {told}", "with a token", (told,))
    if username and password:
        if ":" in username or not (username + password).isprintable():
            raise ConfigurationError(
                "the user name or the password for Prometheus holds characters that cannot be sent"
            )
        both = base64.b64encode(f"{username}:{password}".encode()).decode()
        return Credentials(f"Basic {both}", "with a user name and a password", (both, password))
    return Credentials()


def tls_context(
    certificate: str | PathLike[str] | None,
    key: str | PathLike[str] | None,
    authority: str | PathLike[str] | None,
) -> ssl.SSLContext | None:
    """What the files say; None where there are none."""
    if key and not certificate:
        raise ConfigurationError("a key for Prometheus needs the certificate that it belongs to")
    if not (certificate or authority):
        return None
    try:
        context = ssl.create_default_context(cafile=authority) if authority else httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the file of Prometheus' authority cannot be used ({type(error).__name__}); it must hold PEM certificates"
        ) from None
    if certificate:
        try:
            # the empty password keeps an encrypted key from asking at a terminal
            context.load_cert_chain(certificate, key or None, password="")
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the client's certificate or key for Prometheus cannot be used ({type(error).__name__}); "
                "they must be PEM files that belong together, the key not encrypted"
            ) from None
    return context
