"""What a user can decide about who is who. Credits are stored by signature, so nothing is derived again but the
joining itself, and what depends on who is a bot."""

from __future__ import annotations

from achievement_collector.config import Settings
from achievement_collector.derive.identity import Suggestion, parse_signature, suggest
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts import Signature
from achievement_collector.ledger import people as ledger_people
from achievement_collector.ledger import reading
from achievement_collector.ledger.people import PersonEntry
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.identity import load_author_rules, refresh_people


def known_people(ledger: Ledger, text: str | None, *, bots: bool) -> list[PersonEntry]:
    with ledger.read() as connection:
        return ledger_people.list_people(connection, text=text, bots=bots)


def suggestions(ledger: Ledger) -> list[Suggestion]:
    """People who may be one, those with most commits first."""
    with ledger.read() as connection:
        people = ledger_people.stored_people(connection)
        uses = {number: count for number, _, count in reading.signature_uses(connection)}
    return suggest(people, uses)


def merge_people(ledger: Ledger, first: str, second: str, settings: Settings, now: int) -> str:
    """Joins two people; gives a sentence about it."""
    with ledger.read() as connection:
        one, two = _only(ledger, first), _only(ledger, second)
        if one == two:
            raise CollectorError(f"{first!r} and {second!r} are one person already")
        left = ledger_people.signatures_of(connection, one)[0]
        right = ledger_people.signatures_of(connection, two)[0]
        names = [ledger_people.display_name(connection, person) for person in (one, two)]
    with ledger.write() as connection:
        ledger_people.add_decision(connection, "merge", left, right, now)
    refresh_people(ledger, load_author_rules(settings.rules))
    return f"{names[0][0]} <{names[0][1]}> and {names[1][0]} <{names[1][1]}> are one person now"


def split_people(ledger: Ledger, text: str, settings: Settings, now: int) -> str:
    """Cuts signatures out of the person they were joined to; gives a sentence about it."""
    with ledger.read() as connection:
        matching = [who for who in reading.all_signatures(connection).values() if _matches(who, text)]
    if not matching:
        raise NotFoundError(f"no signature is {text!r}; people list --aliases shows them")
    with ledger.write() as connection:
        for who in matching:
            ledger_people.add_decision(connection, "split", who, Signature("", ""), now)
    refresh_people(ledger, load_author_rules(settings.rules))
    return ", ".join(f"{who.name} <{who.email}>" for who in matching) + " stands alone now"


def undo_last(ledger: Ledger, settings: Settings) -> str:
    """Takes the last decision back; gives a sentence about it."""
    with ledger.read() as connection:
        decisions = ledger_people.decisions_in_force(connection)
    if not decisions:
        raise NotFoundError("there is no decision about people to take back")
    last = decisions[-1]
    together = [
        one for one in decisions if one.created == last.created and one.action == last.action == "split"
    ] or [last]
    with ledger.write() as connection:
        for one in together:
            ledger_people.undo_decision(connection, one.id)
    refresh_people(ledger, load_author_rules(settings.rules))
    if last.action == "merge":
        return f"taken back: {last.first} and {last.second} are one"
    return "taken back: " + ", ".join(one.first for one in together) + " stands alone"


def _only(ledger: Ledger, text: str) -> str:
    with ledger.read() as connection:
        found = ledger_people.find_people(connection, text)
        if not found:
            raise NotFoundError(f"nobody in the ledger matches {text!r}; people list shows who is known")
        if len(found) > 1:
            names = ", ".join(
                f"{ledger_people.display_name(connection, one)[0]} ({one})" for one in found[:6]
            )
            raise NotFoundError(f"several people match {text!r}: {names}; use an address or an id")
        return found[0]


def _matches(who: Signature, text: str) -> bool:
    told = parse_signature(text)
    if told is not None and told.name:
        return (who.name.lower(), who.email.lower()) == (told.name.lower(), told.email.lower())
    address = (told.email if told else text).strip().lower()
    return who.email.lower() == address
