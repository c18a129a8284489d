"""Who is who: signatures joined into people, programs told from people, credit given.

Joined without asking: what ``.mailmap`` joins, the same address, the same login in a forge's noreply
addresses, and what a person confirmed. Equal names alone are only suggested. A decision of a person wins over
every automatic join, the latest over earlier ones.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from achievement_collector.derive.mailmap import Mailmap
from achievement_collector.facts import Signature, Trailer


class AuthorKind(StrEnum):
    PERSON = "person"
    BOT = "bot"
    AGENT = "agent"


class AuthorRules:
    """The rules that tell bots and AI agents from people; ``more`` adds tables in the form of the data files."""

    def __init__(self, *more: Mapping[str, Any]) -> None:
        bots = _data("bots.toml")
        tables = [bots, *more]
        self._is_shipped = not more
        self._bot_names = frozenset(name.lower() for table in tables for name in table.get("names", ()))
        self._bot_addresses = frozenset(
            mail.lower() for table in tables for mail in table.get("addresses", ())
        )
        self._bot_name = _any_of(table.get("name_patterns", ()) for table in tables)
        self._bot_address = _any_of(table.get("address_patterns", ()) for table in tables)
        agents = [
            *_data("agents.toml")["agent"],
            *(agent for table in more for agent in table.get("agent", ())),
        ]
        self._agent_names = {
            name.lower(): agent["name"] for agent in agents for name in agent.get("names", ())
        }
        self._agents = [
            (
                agent["name"],
                _any_of([agent.get("name_patterns", ())]),
                _any_of([agent.get("address_patterns", ())]),
            )
            for agent in agents
        ]
        self._messages = [
            (agent["name"], _any_of([agent["messages"]])) for agent in agents if agent.get("messages")
        ]

    def agent_of(self, who: Signature) -> str | None:
        """The shown name of the AI agent that a signature belongs to."""
        named = self._agent_names.get(who.name.strip().lower())
        if named:
            return str(named)
        for agent, name, address in self._agents:
            if name.search(who.name) or address.search(who.email):
                return str(agent)
        return None

    def kind_of(self, who: Signature) -> AuthorKind:
        name, email = who.name.strip().lower(), who.email.strip().lower()
        if self.agent_of(who):
            return AuthorKind.AGENT
        if (
            name in self._bot_names
            or email in self._bot_addresses
            or self._bot_name.search(name)
            or self._bot_address.search(email)
        ):
            return AuthorKind.BOT
        return AuthorKind.PERSON

    def may_credit(self, trailers: Iterable[Trailer], message: str) -> bool:
        """Whether trailers or text may name anybody beside the author; no for most commits, and quickly so."""
        if any(key[:1] in "AaCcGgPp" and key.lower() in _CREDITING for key, _ in trailers):
            return True
        return "enerated with" in message if self._is_shipped else bool(self.agents_in(message))

    def agents_in(self, message: str) -> tuple[str, ...]:
        """The agents whose tools left their mark in the text of a message."""
        return tuple(agent for agent, pattern in self._messages if pattern.search(message))


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "rules" / name).read_text("utf-8"))


def _any_of(lists: Iterable[Iterable[str]]) -> re.Pattern[str]:
    patterns = [f"(?:{pattern})" for part in lists for pattern in part]
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)


@cache
def shipped_rules() -> AuthorRules:
    return AuthorRules()


# --- joining -----------------------------------------------------------------------------------------

_NOREPLY = re.compile(
    r"(?:\d+[+-])?([\w.-]+(?:\[bot\])?)@(users\.noreply\.github\.com|users\.noreply\.gitlab\.com|noreply\.codeberg\.org"
    r"|noreply\.gitea\.com|users\.noreply\.bitbucket\.org)",
    re.IGNORECASE,
)
_JUNK = re.compile(
    r"^$|^[^@]*$|@$|^@|^(?:root|nobody|unknown|none|null|noreply|no-reply|no_reply|devnull|user|you|test|admin|git|builder|build)@"
    r"|@(?:localhost|example\.(?:com|org|net)|none|unknown|invalid|.*\.\(none\)|.*\.local|.*\.localdomain|.*\.internal)$"
    r"|@\(none\)$|^dev\.null@|^you@example",
    re.IGNORECASE,
)


class Person(NamedTuple):
    """``id`` is stable as long as the person's main address is; ``signatures`` are the ledger's ids."""

    id: str
    name: str
    email: str
    kind: AuthorKind
    signatures: tuple[int, ...]


class Decision(NamedTuple):
    """What a person decided: ``merge`` joins two signatures' people, ``split`` makes ``first`` a person alone."""

    action: str
    first: Signature
    second: Signature


def noreply_login(email: str) -> str | None:
    """``login@host`` for a forge's noreply address, both of GitHub's forms alike."""
    match = _NOREPLY.fullmatch(email.strip())
    return f"{match[1]}@{match[2]}".lower() if match else None


def address_key(who: Signature) -> str:
    """What makes a signature the same as another without asking: the login, the address, or, for addresses
    that several people share (``root@localhost``, none at all), name and address together."""
    email = who.email.strip().lower()
    login = noreply_login(email)
    if login:
        return login
    return f"{who.name.strip().lower()} <{email}>" if _JUNK.search(email) else email


def join_people(
    signatures: Sequence[tuple[int, Signature, int]],
    mailmaps: Sequence[Mailmap],
    decisions: Sequence[Decision],
    rules: AuthorRules,
) -> list[Person]:
    """The people behind ``signatures`` (id, signature, commits written under it), ordered by id.

    Where several mailmaps speak of a signature, the first that does is believed.
    """
    alone = _split_off(decisions)
    mapped = {number: _mapped(who, mailmaps) for number, who, _ in signatures}
    groups = _Groups()
    by_text: dict[Signature, str] = {}
    keys: dict[int, str] = {}
    for number, who, _ in signatures:
        key = (
            f"alone {who.name} <{who.email}>".lower() if _plain(who) in alone else address_key(mapped[number])
        )
        keys[number] = by_text[_plain(who)] = key
        if _plain(who) not in alone:
            # the address as it stands counts too, unless the mailmap tells its users apart
            raw = address_key(who)
            if mapped[number] == who:
                groups.join(key, raw)
    for decision in decisions:
        if decision.action == "merge":
            first, second = by_text.get(_plain(decision.first)), by_text.get(_plain(decision.second))
            if (
                first
                and second
                and _plain(decision.first) not in alone
                and _plain(decision.second) not in alone
            ):
                groups.join(first, second)
    members: dict[str, list[tuple[int, Signature, int]]] = defaultdict(list)
    for entry in signatures:
        members[groups.of(keys[entry[0]])].append(entry)
    people = [_person(part, mapped, mailmaps, rules) for part in members.values()]
    return sorted(_with_own_ids(people))


def _plain(who: Signature) -> Signature:
    return Signature(who.name.strip().lower(), who.email.strip().lower())


def _mapped(who: Signature, mailmaps: Sequence[Mailmap]) -> Signature:
    for mailmap in mailmaps:
        told = mailmap.apply(who)
        if told is not None:
            return told
    return who


def _split_off(decisions: Sequence[Decision]) -> set[Signature]:
    alone: set[Signature] = set()
    for decision in decisions:
        if decision.action == "split":
            alone.add(_plain(decision.first))
        else:
            alone -= {_plain(decision.first), _plain(decision.second)}
    return alone


class _Groups:
    """Union-find over keys."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def of(self, key: str) -> str:
        root = key
        while (above := self._above.get(root, root)) != root:
            root = above
        while key != root:
            self._above[key], key = root, self._above.get(key, key)
        return root

    def join(self, one: str, two: str) -> None:
        first, second = sorted((self.of(one), self.of(two)))
        if first != second:
            self._above[second] = first


def _person(
    part: list[tuple[int, Signature, int]],
    mapped: Mapping[int, Signature],
    mailmaps: Sequence[Mailmap],
    rules: AuthorRules,
) -> Person:
    kinds = {rules.kind_of(who) for _, who, _ in part}
    kind = AuthorKind.PERSON if AuthorKind.PERSON in kinds else max(kinds)
    if kind is AuthorKind.PERSON and len(kinds) > 1 and all(
        rules.kind_of(mapped[number]) is not AuthorKind.PERSON for number, _, _ in part
    ):  # fmt: skip
        kind = AuthorKind.BOT
    uses: dict[Signature, tuple[int, int]] = {}
    for number, who, count in part:
        shown = mapped[number]
        before = uses.get(shown, (0, 0))
        told = 1 if shown != who or any(mailmap.apply(shown) for mailmap in mailmaps) else 0
        uses[shown] = (max(before[0], told), before[1] + count)

    def rank(shown: Signature) -> tuple[int, bool, bool, int, str, str]:
        told, count = uses[shown]
        real = not _JUNK.search(shown.email) and noreply_login(shown.email) is None
        return (-told, " " not in shown.name.strip(), not real, -count, shown.email, shown.name)

    best_name = min(uses, key=rank).name.strip()
    best_mail = min(
        uses, key=lambda shown: (-uses[shown][0], rank(shown)[2], -uses[shown][1], shown.email)
    ).email
    main = min(uses, key=lambda shown: (rank(shown)[2], -uses[shown][0], -uses[shown][1], shown.email))
    digest = hashlib.sha1(address_key(main).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[
        :10
    ]
    numbers = tuple(sorted(number for number, _, _ in part))
    return Person(digest, best_name or best_mail or "(no name)", best_mail.strip(), kind, numbers)


def _with_own_ids(people: list[Person]) -> list[Person]:
    """People split apart share an address, so their ids must be told apart: the one with the lowest
    signature keeps it."""
    taken: set[str] = set()
    found = []
    for person in sorted(people, key=lambda one: one.signatures):
        number, name = 1, person.id
        while name in taken:
            number += 1
            name = hashlib.sha1(f"{person.id} {person.name} {number}".encode("utf-8", "replace"),
                                usedforsecurity=False).hexdigest()[:10]  # fmt: skip
        taken.add(name)
        found.append(person._replace(id=name))
    return found


# --- suggesting --------------------------------------------------------------------------------------

_TELLS_NOTHING = frozenset(
    "root admin administrator user unknown none nobody test developer dev name your git github me ubuntu".split()  # noqa: SIM905
)


class Suggestion(NamedTuple):
    """Two people who may be one; the first has more commits."""

    first: Person
    second: Person
    reason: str


def suggest(people: Sequence[Person], uses: Mapping[int, int]) -> list[Suggestion]:
    """Pairs of people with the same full name or the same login; ``uses`` tells commits by signature id."""
    by_sign: dict[tuple[str, str], list[Person]] = defaultdict(list)
    for person in people:
        if person.kind is not AuthorKind.PERSON:
            continue
        name = _normal(person.name)
        if len(name.split()) >= 2 and not set(name.split()) & _TELLS_NOTHING:
            by_sign["the same name", " ".join(sorted(name.split()))].append(person)
        local = (noreply_login(person.email) or person.email).partition("@")[0].lower()
        is_given_name = local in name.split()  # many are called Daniel
        if (
            len(local) >= 6
            and not is_given_name
            and local not in _TELLS_NOTHING
            and not _JUNK.search(person.email)
        ):
            by_sign["the same login", local].append(person)
    found: dict[tuple[str, str], Suggestion] = {}

    def commits(person: Person) -> tuple[int, str]:
        return (-sum(uses.get(number, 0) for number in person.signatures), person.id)

    for (reason, sign), alike in sorted(
        by_sign.items(), key=lambda item: (item[0][0] != "the same name", item[0])
    ):
        first, *others = sorted(alike, key=commits)
        for other in others:
            found.setdefault((first.id, other.id), Suggestion(first, other, f"{reason} ({sign})"))
    return sorted(found.values(), key=lambda s: (commits(s.first), commits(s.second)))


def _normal(name: str) -> str:
    """A name without case, accents, dots and what stands in brackets."""
    plain = unicodedata.normalize("NFKD", re.sub(r"[(\[<].*", "", name))
    return " ".join(
        re.sub(r"[^\w\s]|_", " ", "".join(c for c in plain if not unicodedata.combining(c))).lower().split()
    )


# --- credit ------------------------------------------------------------------------------------------

_NAMED = re.compile(r"\s*(.*?)\s*<([^<>]*)>")
_CO_AUTHOR = frozenset(
    {"co-authored-by", "co-developed-by", "coauthored-by", "also-by", "pair-programmed-with"}
)
_ASSISTED = frozenset(
    {"assisted-by", "generated-by", "ai-assisted-by", "ai-agent", "generated-with", "co-piloted-by"}
)


_CREDITING = _CO_AUTHOR | _ASSISTED


def parse_signature(text: str) -> Signature | None:
    """``Name <mail>`` as a signature."""
    match = _NAMED.match(text)
    return Signature(match[1].strip(' "'), match[2].strip()) if match else None


def co_authors(trailers: Iterable[Trailer]) -> Iterable[Signature]:
    """The signatures of the trailers that name co-authors."""
    for key, value in trailers:
        if key.lower() in _CO_AUTHOR:
            who = parse_signature(value)
            if who is not None and (who.name or who.email):
                yield who


class Work(NamedTuple):
    """Who made one commit: ``authors`` are signatures of people, the accountable one first; ``is_bot`` where
    only programs made it; ``assisted_by`` names AI agents."""

    authors: tuple[Signature, ...]
    is_bot: bool
    assisted_by: tuple[str, ...]


def work_of(
    author: Signature,
    committer: Signature,
    trailers: Sequence[Trailer],
    message: str,
    rules: AuthorRules,
    kinds: Mapping[Signature, AuthorKind],
) -> Work:
    """Who is to be credited for a commit; ``kinds`` are kinds known already.

    An AI agent's commit is credited to a human co-author, else to the person who committed it.
    """

    def kind(who: Signature) -> AuthorKind:
        return kinds.get(who) or rules.kind_of(who)

    people: list[Signature] = []
    agents: list[str] = []
    author_kind = kind(author)
    if author_kind is AuthorKind.PERSON:
        people.append(author)
    elif author_kind is AuthorKind.AGENT:
        agents.append(rules.agent_of(author) or author.name)
    for who in co_authors(trailers):
        agent = rules.agent_of(who)
        if agent:
            agents.append(agent)
        elif kind(who) is AuthorKind.PERSON:
            people.append(who)
    for key, value in trailers:
        if key.lower() in _ASSISTED:
            who = parse_signature(value) or Signature(value.strip(), "")
            agents.append(
                rules.agent_of(who) or re.sub(r"\s*[<(:].*", "", value).strip()[:40] or "an AI agent"
            )
    agents += rules.agents_in(message)
    if not people and agents and kind(committer) is AuthorKind.PERSON and not _is_forge(committer):
        people.append(committer)
    is_bot = not people and not agents
    return Work(tuple(dict.fromkeys(people)), is_bot, tuple(dict.fromkeys(agents)))


def _is_forge(who: Signature) -> bool:
    return who.email.lower() == "noreply@github.com" or who.name.lower() in ("github", "web-flow", "gitlab")
