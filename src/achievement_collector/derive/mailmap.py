"""``.mailmap``: the names and addresses that a project itself says belong together (gitmailmap(5))."""

from __future__ import annotations

from dataclasses import dataclass, field

from achievement_collector.facts import Signature


@dataclass(slots=True)
class _Entry:
    name: str | None = None
    email: str | None = None
    by_name: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)


class Mailmap:
    """The mapping of one file. Names and addresses are matched without regard to case, as git does."""

    def __init__(self, text: str = "") -> None:
        self._entries: dict[str, _Entry] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                self._read(line)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def _read(self, line: str) -> None:
        first = _name_and_email(line, allow_empty=False)
        if first is None:
            return
        new_name, new_email, rest = first
        second = _name_and_email(rest, allow_empty=True) if rest else None
        if second is None:
            old_name, old_email, proper_email = None, new_email, None
        else:
            old_name, old_email, proper_email = second[0], second[1], new_email
        entry = self._entries.setdefault(old_email.lower(), _Entry())
        if old_name is not None:
            entry.by_name[old_name.lower()] = (new_name, proper_email)
            return
        if new_name is not None:
            entry.name = new_name
        if proper_email is not None:
            entry.email = proper_email

    def apply(self, who: Signature) -> Signature | None:
        """What the file makes of a signature; None where it says nothing about it."""
        entry = self._entries.get(who.email.lower())
        if entry is None:
            return None
        name, email = entry.by_name.get(who.name.lower(), (entry.name, entry.email))
        if name is None and email is None:
            return None
        return Signature(name if name is not None else who.name, email if email is not None else who.email)


def _name_and_email(text: str, *, allow_empty: bool) -> tuple[str | None, str, str] | None:
    left = text.find("<")
    right = text.find(">", left + 1) if left >= 0 else -1
    if right < 0 or (not allow_empty and right == left + 1):
        return None
    return text[:left].strip() or None, text[left + 1 : right], text[right + 1 :]
