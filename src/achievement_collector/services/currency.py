"""Whether what was derived still holds; asked before everything else, so it costs next to nothing."""

from __future__ import annotations

import hashlib

from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.ledger import people as ledger_people
from achievement_collector.ledger import reading
from achievement_collector.ledger.store import Ledger


def quick_basis(ledger: Ledger, settings: Settings) -> str:
    """A digest of everything but the facts that conclusions rest on; it costs next to nothing."""
    own = [
        (path.name, path.read_bytes())
        for name in ("bots.toml", "agents.toml")
        if settings.rules and (path := settings.rules / name).is_file()
    ]
    with ledger.read() as connection:
        decisions = [one.id for one in ledger_people.decisions_in_force(connection)]
    told = (
        RULES_VERSION,
        settings.min_lines,
        settings.min_changes,
        settings.require_epic_link,
        own,
        decisions,
    )
    return hashlib.sha1(repr(told).encode(), usedforsecurity=False).hexdigest()[:12]


def is_current(ledger: Ledger, repository_id: int, settings: Settings) -> bool:
    """Whether the last derivation still holds for facts that have not changed since."""
    with ledger.read() as connection:
        derived_from = reading.derived_from(connection, repository_id)
    return derived_from.startswith(f"{quick_basis(ledger, settings)} ")
