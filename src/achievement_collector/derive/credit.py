"""Who keeps the credit: reverts take it away, re-lands give it back, copies share one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from achievement_collector.derive.changes import ChangeDraft, State
from achievement_collector.derive.history import History, Marks

_NUMBER_AT_END = re.compile(r"\s*\([#!]\d+\)\s*$")


def settle_credit(history: History, changes: list[ChangeDraft]) -> None:
    """Sets the state of every change, looking at them in the order given (the order they were merged in).

    A revert names what it reverts by sha, by pull request or by title (then the nearest earlier change of that
    title is meant). Reverting some commits of a larger change takes no credit until all are reverted.
    Reverting a revert gives the credit back. A copy (picked, backported, rebased) of a change that has its
    credit is a duplicate; a copy of a reverted change is a re-land and has the credit itself.
    """
    book = _Book(history, changes)
    for change in changes:
        book.settle(change)


class _Book:
    def __init__(self, history: History, changes: list[ChangeDraft]) -> None:
        self.history = history
        self.by_key = {change.key: change for change in changes}
        self.owner = {number: change for change in changes for number in change.commits}
        for change in changes:
            self.owner.setdefault(change.anchor, change)
        self.by_request = {
            change.number: change
            for change in reversed(changes)
            if change.number is not None and change.state is not State.DUPLICATE
        }
        self.titles: dict[str, ChangeDraft] = {}  # of the changes settled so far
        self.patches: dict[str, ChangeDraft] = {}
        self.settled: set[int] = set()
        self.undone: dict[str, list[tuple[ChangeDraft, frozenset[int]]]] = {}  # what each revert took

    def settle(self, change: ChangeDraft) -> None:
        if change.state is not State.DUPLICATE:
            self._follow_reverts(change)
        if change.state in (State.CREDITED, State.UNMERGED):
            self._find_original(change)
        self.settled.add(id(change))
        for number in (change.anchor, *change.commits):
            self.titles[_plain(self.history.subjects[number])] = change
        if change.merge_title:
            self.titles[_plain(change.merge_title)] = change
        for number in change.commits:
            patch = self.history.patch_ids.get(number)
            if patch and (patch not in self.patches or change.state is State.CREDITED):
                self.patches[patch] = change

    # reverts

    def _follow_reverts(self, change: ChangeDraft) -> None:
        if change.state is State.UNMERGED:
            return
        for number in dict.fromkeys((change.anchor, *change.commits)):
            marks = self.history.marks.get(number)
            if marks is None or not marks.reverts:
                continue
            targets = self._targets(marks, change)
            is_whole = len(change.commits) == 1 or number == change.anchor
            if is_whole and (targets or marks.reverted_title or marks.reverted_shas):
                change.state = State.REVERT
            for target, commits in targets:
                self._take(target, commits, change)

    def _targets(self, marks: Marks, change: ChangeDraft) -> list[tuple[ChangeDraft, frozenset[int]]]:
        """The changes that are reverted, with those of their commits that are."""
        found: dict[str, tuple[ChangeDraft, set[int]]] = {}
        for sha in marks.reverted_shas:
            number = self.history.find(sha)
            target = self.owner.get(number) if number is not None else None
            if number is not None and target is not None and self._is_earlier(target, change):
                whole = number == target.anchor
                found.setdefault(target.key, (target, set()))[1].update(target.commits if whole else [number])
        for request in marks.reverted_numbers:
            target = self.by_request.get(request)
            if target is not None and self._is_earlier(target, change):
                found.setdefault(target.key, (target, set()))[1].update(target.commits)
        if not found and marks.reverted_title:
            target = self.titles.get(_plain(marks.reverted_title))
            if target is not None and target is not change:
                named = [
                    n
                    for n in target.commits
                    if _plain(self.history.subjects[n]) == _plain(marks.reverted_title)
                ]
                found[target.key] = (target, set(named or target.commits))
        return [(target, frozenset(commits)) for target, commits in found.values()]

    def _is_earlier(self, target: ChangeDraft, change: ChangeDraft) -> bool:
        return target is not change and id(target) in self.settled

    def _take(self, target: ChangeDraft, commits: frozenset[int], by: ChangeDraft) -> None:
        if target.state is State.REVERT:
            self._give_back(target, by)
            return
        target.reverted_commits |= commits
        self.undone.setdefault(by.key, []).append((target, commits))
        if target.state is State.CREDITED and target.reverted_commits >= set(target.commits):
            target.state = State.REVERTED
            target.other = by.key

    def _give_back(self, revert: ChangeDraft, by: ChangeDraft) -> None:
        """``by`` reverts a revert: what that took is credited again."""
        for target, commits in self.undone.pop(revert.key, []):
            if target.state is State.REVERT:
                continue
            target.reverted_commits -= commits
            if target.state is State.REVERTED:
                target.state = State.CREDITED
                target.relands = by.key
                target.other = ""
            # a later revert of ``by`` takes it again
            self.undone.setdefault(f"again {by.key}", []).append((target, commits))
        revert.other = by.key

    # copies

    def _find_original(self, change: ChangeDraft) -> None:
        originals: list[ChangeDraft] = []
        for number in change.commits:
            original = self._original_of(number, change)
            if original is None:
                return
            originals.append(original)
        first = originals[0]
        if first.state is State.REVERTED:
            change.relands = first.key
        elif first.state is State.CREDITED or change.state is State.UNMERGED:
            change.state = State.DUPLICATE
            change.other = first.key
            first.backports += 1
        elif first.state is State.DUPLICATE:
            change.state = State.DUPLICATE
            change.other = first.other
            if first.other in self.by_key:
                self.by_key[first.other].backports += 1

    def _original_of(self, number: int, change: ChangeDraft) -> ChangeDraft | None:
        for original in self._candidates(number):
            if original is not change and id(original) in self.settled and original.state is not State.REVERT:
                return original
        return None

    def _candidates(self, number: int) -> Iterable[ChangeDraft]:
        patch = self.history.patch_ids.get(number)
        if patch and patch in self.patches:
            yield self.patches[patch]
        marks = self.history.marks.get(number)
        if marks is None:
            return
        for sha in marks.picked_shas:
            source = self.history.find(sha)
            if source is not None and source in self.owner:
                yield self.owner[source]
        for request in marks.picked_numbers:
            if request in self.by_request:
                yield self.by_request[request]


def _plain(title: str) -> str:
    return _NUMBER_AT_END.sub("", " ".join(title.split())).rstrip(".").lower()
