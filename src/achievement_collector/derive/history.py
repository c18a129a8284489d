"""The graph of a history, as light as grouping allows: integers for commits, marks only where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from achievement_collector.derive import messages
from achievement_collector.derive.messages import MergeSubject
from achievement_collector.facts import subject_of


class Marks(NamedTuple):
    """What a message says of other commits: a merge, the number of its pull request, reverts, picks."""

    merge: MergeSubject | None = None
    number: int | None = None
    merge_title: str = ""
    reverted_shas: tuple[str, ...] = ()
    reverted_numbers: tuple[int, ...] = ()
    reverted_title: str | None = None
    relanded_title: str | None = None
    picked_shas: tuple[str, ...] = ()
    picked_numbers: tuple[int, ...] = ()

    @property
    def reverts(self) -> bool:
        return bool(self.reverted_shas or self.reverted_numbers or self.reverted_title)


def marks_of(message: str, subject: str, is_merge: bool) -> Marks | None:
    """The marks of a message; None for the many that have none."""
    merge = messages.parse_merge(message) if is_merge else None
    tail = subject[-14:]
    number = messages.squash_number(subject) if ("#" in tail or "!" in tail) else None
    # a rebased GitHub merge keeps its subject, but has one parent
    if not is_merge and number is None and subject.startswith("Merge p"):
        merge = messages.parse_merge(message)
    if merge and merge.number is not None:
        number = merge.number
    reverts = "evert" in message
    picks = "herry" in message or "ackport" in message or "pstream" in message or "ack-port" in message
    lands = subject[:2] in ("Re", "re") and messages.relanded_title(subject) is not None
    if not (merge or number is not None or reverts or picks or lands):
        return None
    marks = Marks(
        merge,
        number,
        messages.merge_title(message) if merge else "",
        messages.reverted_shas(message) if reverts else (),
        messages.reverted_numbers(message) if reverts else (),
        messages.reverted_title(subject) if reverts else None,
        messages.relanded_title(subject) if lands else None,
        messages.picked_shas(message) if picks else (),
        messages.picked_numbers(message) if picks else (),
    )
    return None if marks == Marks() else marks


class History:
    """Commits by number. Add all of them, in any order, then ask."""

    def __init__(self) -> None:
        self.shas: list[str] = []
        self.subjects: list[str] = []
        self.authored: list[int] = []
        self.committed: list[int] = []
        self.authors: list[int] = []
        self.marks: dict[int, Marks] = {}
        self.patch_ids: dict[int, str] = {}
        self._parents: list[tuple[str, ...]] = []
        self._numbers: dict[str, int] = {}
        self._parent_numbers: list[tuple[int, ...]] | None = None

    def add(
        self,
        sha: str,
        parents: Sequence[str],
        *,
        author: int,
        authored: int,
        committed: int,
        message: str,
        patch_id: str | None = None,
    ) -> int:
        """Adds a commit and gives its number; ``author`` is an opaque number, times are seconds."""
        number = len(self.shas)
        self._numbers[sha] = number
        subject = subject_of(message)
        self.shas.append(sha)
        self.subjects.append(subject)
        self.authored.append(authored)
        self.committed.append(committed)
        self.authors.append(author)
        self._parents.append(tuple(parents))
        marks = marks_of(message, subject, len(parents) > 1)
        if marks:
            self.marks[number] = marks
        if patch_id:
            self.patch_ids[number] = patch_id
        self._parent_numbers = None
        return number

    def __len__(self) -> int:
        return len(self.shas)

    @property
    def parents(self) -> list[tuple[int, ...]]:
        """The numbers of each commit's parents; those that are not in the history are left out, but a first
        parent that is missing leaves no other in its place: such a commit has no parents."""
        if self._parent_numbers is None:
            get = self._numbers.get
            self._parent_numbers = []
            for parents in self._parents:
                numbers = [get(sha, -1) for sha in parents]
                known = numbers and numbers[0] >= 0
                self._parent_numbers.append(tuple(n for n in numbers if n >= 0) if known else ())
        return self._parent_numbers

    def number_of(self, sha: str) -> int | None:
        return self._numbers.get(sha)

    def find(self, sha: str) -> int | None:
        """The commit with this sha, or the only one that begins with it."""
        number = self._numbers.get(sha)
        if number is not None or len(sha) >= 40:
            return number
        matches = self._by_prefix().get(sha[:7], [])
        found = [n for n in matches if self.shas[n].startswith(sha)]
        return found[0] if len(found) == 1 else None

    def _by_prefix(self) -> dict[str, list[int]]:
        if not hasattr(self, "_prefixes"):
            self._prefixes: dict[str, list[int]] = {}
            for number, sha in enumerate(self.shas):
                self._prefixes.setdefault(sha[:7], []).append(number)
        return self._prefixes

    def reachable(self, tips: Iterable[int], seen: bytearray) -> list[int]:
        """The commits reachable from ``tips`` that are not marked in ``seen``; marks them."""
        parents = self.parents
        found: list[int] = []
        waiting = [tip for tip in tips if not seen[tip]]
        while waiting:
            number = waiting.pop()
            if seen[number]:
                continue
            seen[number] = 1
            found.append(number)
            waiting += [parent for parent in parents[number] if not seen[parent]]
        return found


def containing(history: History, sha: str, tips: dict[str, str]) -> list[str]:
    """The names in ``tips`` (name -> sha) from which the commit can be reached, in the order given."""
    start = history.number_of(sha)
    if start is None:
        return []
    children: dict[int, list[int]] = {}
    for number, parents in enumerate(history.parents):
        for parent in parents:
            children.setdefault(parent, []).append(number)
    seen = {start}
    waiting = [start]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return [name for name, tip in tips.items() if history.number_of(tip) in seen]
