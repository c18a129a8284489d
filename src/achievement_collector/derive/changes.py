"""From commits to changes, the units of credit.

The main line is walked along first parents, oldest first, so that everything a merge's first parent reaches
is taken before the merge is looked at: what is left behind its other parents is what it brings. A merged pull
request or topic is one change; a merge that only brings lines together (a pull, a back-merge, an integration
branch) is none, and what it brings is grouped along its own line in the same way. Everything else is a change
of a single commit, named after its pull request where its subject ends in ``(#12)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from achievement_collector.derive.history import History, Marks
from achievement_collector.derive.messages import MergeSubject, clean_title

_LARGEST_TOPIC = 200  # commits; what brings more is not the work of one change
_MOST_AUTHORS_OF_TOPIC, _MOST_AUTHORS_OF_REQUEST = 5, 12
_INTEGRATION = re.compile(
    r"(?:.*[/:])?(?:main|master|trunk|mainline|default|develop|development|dev|devel|next|staging|stage|production|prod"
    r"|integration|canary|nightly|beta|alpha|gh-pages|release|releases|stable|maint|head"
    r"|(?:release|releases|maint|stable|support|version)[/_-][\w.-]+|v?\d+(?:[._](?:\d+|x))*(?:[-_.](?:stable|release|x|dev|maint))?"
    r"|stable-v?\d[\w.]*)",
    re.IGNORECASE,
)  # fmt: skip


class State(StrEnum):
    """What became of a change's credit."""

    CREDITED = "credited"
    REVERTED = "reverted"
    REVERT = "revert"  # it takes credit away and earns none
    DUPLICATE = "duplicate"
    UNMERGED = "unmerged"


@dataclass(slots=True)
class ChangeDraft:
    """A change before anything but its place in the history is known.

    ``anchor`` is the commit by which it arrived: the merge, or its only commit. ``commits`` are its own
    commits (no merges), oldest first. ``line`` is empty for the main line, else the tag or branch that leads
    to it. All commits are numbers of the :class:`History`.
    """

    key: str
    anchor: int
    commits: list[int]
    number: int | None = None
    branch: str = ""
    merge_title: str = ""
    line: str = ""
    state: State = State.CREDITED
    other: str = ""  # the key of the change that reverted it, or that has the credit
    reverted_commits: set[int] = field(default_factory=set)
    relands: str = ""
    backports: int = 0

    @property
    def is_merge(self) -> bool:
        return len(self.commits) != 1 or self.commits[0] != self.anchor


def group_changes(
    history: History,
    mainline: Sequence[str],
    released: Mapping[str, str],
    branches: Mapping[str, str],
) -> list[ChangeDraft]:
    """All changes: those of the main line in the order they reached it, then those that only releases hold
    (``released``: tag -> commit), then one for each branch that is not merged (``branches``: name -> commit).

    Every commit reachable from these tips is in at most one change; the merges of lines are in none.
    """
    grouping = _Grouping(history)
    for tip in _numbers(history, mainline):
        grouping.follow(tip)
    for tag in sorted(released, key=lambda name: _time_of(history, released[name])):
        for tip in _numbers(history, [released[tag]]):
            grouping.line = tag
            grouping.follow(tip)
    for name in sorted(branches, key=lambda name: (name.startswith("origin/"), name)):
        for tip in _numbers(history, [branches[name]]):
            grouping.line = name
            grouping.take_branch(name, tip)
    return _one_change_per_request(history, grouping.changes)


def _numbers(history: History, shas: Sequence[str]) -> list[int]:
    return [number for sha in shas if (number := history.number_of(sha)) is not None]


def _time_of(history: History, sha: str) -> tuple[int, str]:
    number = history.number_of(sha)
    return (history.committed[number] if number is not None else 0, sha)


class _Grouping:
    """The walk. ``taken`` marks the commits that have found their place."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.parents = history.parents
        self.taken = bytearray(len(history))
        self.changes: list[ChangeDraft] = []
        self.line = ""

    def follow(self, tip: int) -> None:
        """Groups everything reachable from ``tip`` that is not taken."""
        # each frame is a line that is being walked, with the topic that owns its single commits
        frames: list[tuple[Iterator[int], ChangeDraft | None]] = [(self._line(tip), None)]
        while frames:
            commits, owner = frames[-1]
            number = next(commits, None)
            if number is None:
                frames.pop()
            elif len(self.parents[number]) < 2:
                self._place(number, owner)
            else:
                frames += self._open_merge(number, owner)

    def _line(self, tip: int) -> Iterator[int]:
        """The first-parent chain of ``tip`` down to what is taken, oldest first; all marked as taken."""
        chain: list[int] = []
        number = tip
        while not self.taken[number]:
            self.taken[number] = 1
            chain.append(number)
            if not self.parents[number]:
                break
            number = self.parents[number][0]
        return reversed(chain)

    def _place(self, number: int, owner: ChangeDraft | None) -> None:
        if owner is not None:
            owner.commits.append(number)
            return
        marks = self.history.marks.get(number)
        change = ChangeDraft("", number, [number], marks.number if marks else None, line=self.line)
        if marks and marks.merge:
            change.branch, change.merge_title = marks.merge.source, marks.merge_title
        self.changes.append(change)

    def _open_merge(
        self, number: int, owner: ChangeDraft | None
    ) -> list[tuple[Iterator[int], ChangeDraft | None]]:
        """The frames that a merge adds, the first parent's neighbour to be walked first."""
        marks = self.history.marks.get(number, Marks())
        others = [parent for parent in self.parents[number][1:] if not self.taken[parent]]
        if not others:
            return []
        topic: ChangeDraft | None = None
        if self._is_topic(number, marks):
            topic = ChangeDraft("", number, [], marks.number, line=self.line)
            topic.merge_title = marks.merge_title
            if marks.merge:
                topic.branch = marks.merge.source
            self.changes.append(topic)
        elif owner is not None and not (marks.merge and _joins_lines(marks.merge)):
            topic = owner
        return [(self._line(parent), topic) for parent in reversed(others) if not self.taken[parent]]

    def _is_topic(self, number: int, marks: Marks) -> bool:
        merge = marks.merge
        if merge is not None and merge.kind in ("pull", "tag"):
            return False
        brought = self._brought(number, _LARGEST_TOPIC + 1)
        if len(brought) > _LARGEST_TOPIC:
            return False
        if len({self.history.authors[commit] for commit in brought}) > (
            _MOST_AUTHORS_OF_REQUEST if merge and merge.is_pull_request else _MOST_AUTHORS_OF_TOPIC
        ):
            return False  # the work of many is a line of development, not one change
        if merge is None:
            return not self.history.subjects[number].lower().startswith(("sync ", "merge upstream"))
        if merge.is_pull_request:
            # a fork's main branch holds one pull request, an integration branch holds many
            return not (_joins_lines(merge) and any(self._has_number(commit, merge) for commit in brought))
        return merge.kind != "commit" and not _joins_lines(merge)

    def _has_number(self, number: int, merge: MergeSubject) -> bool:
        marks = self.history.marks.get(number)
        return marks is not None and marks.number is not None and marks.number != merge.number

    def _brought(self, merge: int, limit: int) -> list[int]:
        """The commits that a merge brings, at most ``limit``; marks nothing."""
        found: set[int] = set()
        waiting = [parent for parent in self.parents[merge][1:] if not self.taken[parent]]
        while waiting and len(found) < limit:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += [parent for parent in self.parents[number] if not self.taken[parent]]
        return list(found)

    def take_branch(self, name: str, tip: int) -> None:
        """What only an unmerged branch reaches is one change."""
        commits = self.history.reachable([tip], self.taken)
        own = [number for number in commits if len(self.parents[number]) < 2]
        if own:
            own.sort(key=lambda number: (self.history.committed[number], self.history.shas[number]))
            change = ChangeDraft(
                f"branch/{name}", own[-1], own, branch=name, line=self.line, state=State.UNMERGED
            )
            self.changes.append(change)


def _joins_lines(merge: MergeSubject) -> bool:
    """Whether a merge brings lines of development together rather than a topic in."""
    if merge.kind in ("pull", "tag"):
        return True
    return bool(merge.sources) and all(_INTEGRATION.fullmatch(source) for source in merge.sources)


def _one_change_per_request(history: History, changes: list[ChangeDraft]) -> list[ChangeDraft]:
    """Gives every change its key, and makes adjacent commits of one pull request (rebased) one change."""
    kept: list[ChangeDraft] = []
    by_number: dict[int, ChangeDraft] = {}
    for change in changes:
        if not change.commits:
            continue
        change.commits = list(dict.fromkeys(change.commits))
        last = kept[-1] if kept else None
        if (
            last is not None
            and change.number is not None
            and last.number == change.number
            and last.line == change.line
            and not change.is_merge
            and history.authors[last.anchor] == history.authors[change.anchor]
        ):
            last.commits += change.commits
            last.anchor = change.anchor
            continue
        if change.number is not None:
            first = by_number.setdefault(change.number, change)
            if first is not change:
                _second_of_request(history, first, change)
        kept.append(change)
    for change in kept:
        if not change.key:
            change.key = (
                f"pr/{change.number}"
                if change.number is not None
                else f"commit/{history.shas[change.anchor]}"
            )
    return kept


def _second_of_request(history: History, first: ChangeDraft, second: ChangeDraft) -> None:
    """The same pull request again: a backport where the title is the same or the line another, else a
    follow-up, which is a change of its own."""
    second.key = f"commit/{history.shas[second.anchor]}"
    if title_of(history, first)[0] == title_of(history, second)[0] or (first.line != second.line):
        second.state = State.DUPLICATE
        second.other = f"pr/{first.number}"
        first.backports += 1
    second.number = None if second.state is State.CREDITED else second.number


def title_of(history: History, change: ChangeDraft) -> tuple[str, int]:
    """The title of a change, and the commit whose message describes it.

    A pull request's own title where the merge tells it; else the subject of its only commit; else of the
    first commit, or the name of the branch where several commits give no single title.
    """
    if change.merge_title:
        return clean_title(change.merge_title), change.anchor
    if len(change.commits) == 1:
        return clean_title(history.subjects[change.commits[0]]), change.commits[0]
    if not change.is_merge or not change.branch:
        return clean_title(history.subjects[change.commits[0]]), change.commits[0]
    words = branch_words(change.branch)
    first = change.commits[0]
    return (words if words else clean_title(history.subjects[first])), first


_BRANCH_NOISE = re.compile(
    r"^(?:patch|fix|feature|topic|wip|dev|update|bugfix|hotfix|test|main|master)?[-_]?\d*$"
)


def branch_words(branch: str) -> str:
    """A branch's name as words (``ab/show-branch-colors`` to ``Show branch colors``), empty where it has
    fewer than two of them."""
    name = branch.rpartition("/")[2]
    words = [word for word in re.split(r"[-_.\s]+", name) if word]
    if len(words) < 2 or _BRANCH_NOISE.match(name) or sum(word.isdigit() for word in words) * 2 >= len(words):
        return ""
    text = " ".join(words)
    return text[0].upper() + text[1:]
