"""Who is who, worked out from everything in the ledger and the rules in force."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from achievement_collector.derive.identity import AuthorKind, AuthorRules, join_people, shipped_rules
from achievement_collector.derive.mailmap import Mailmap
from achievement_collector.errors import ConfigurationError
from achievement_collector.facts import Signature
from achievement_collector.ledger import people as ledger_people
from achievement_collector.ledger import reading
from achievement_collector.ledger.store import Ledger


def load_author_rules(folder: Path | None) -> AuthorRules:
    """The shipped rules with the user's own (``bots.toml``, ``agents.toml`` in ``folder``) added."""
    more = []
    for name in ("bots.toml", "agents.toml"):
        path = folder / name if folder else None
        if path is None or not path.is_file():
            continue
        try:
            more.append(tomllib.loads(path.read_text("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if not more:
        return shipped_rules()
    try:
        return AuthorRules(*more)
    except (re.error, TypeError, AttributeError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"the rules in {folder} cannot be used: {error}; docs/rules.md shows the form"
        ) from None


def refresh_people(ledger: Ledger, rules: AuthorRules) -> dict[Signature, AuthorKind]:
    """Joins all signatures of the ledger into people and stores them; gives the kind of every signature."""
    with ledger.read() as connection:
        uses = reading.signature_uses(connection)
        mailmaps = [
            Mailmap(place.mailmap) for place in reading.stored_repositories(connection) if place.mailmap
        ]
        decisions = ledger_people.as_decisions(ledger_people.decisions_in_force(connection))
    people = join_people(uses, mailmaps, decisions, rules)
    with ledger.write() as connection:
        ledger_people.replace_people(connection, people)
    by_number = {number: person.kind for person in people for number in person.signatures}
    return {who: by_number[number] for number, who, _ in uses}
