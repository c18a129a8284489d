"""What merged pull requests tell of the order of commits on their base branches, where no history was read."""

from __future__ import annotations

from collections.abc import Iterable

from achievement_collector.facts.work import PullRequest


class MergeOrder:
    """The merged pull requests of repositories, by base branch, in the order of their merges."""

    def __init__(self, pulls: Iterable[PullRequest]) -> None:
        self._before: dict[str, PullRequest] = {}
        self._by_sha: dict[tuple[str, str], PullRequest] = {}
        last: dict[tuple[str, str], PullRequest] = {}
        for pull in sorted((one for one in pulls if one.merged is not None), key=_moment):
            before = last.get((pull.repository, pull.base))
            if before is not None:
                self._before[pull.key] = before
            last[pull.repository, pull.base] = pull
            if pull.merge_sha:
                self._by_sha[pull.repository, pull.merge_sha] = pull

    def commit_before(self, pull: PullRequest) -> str:
        """The commit of the base branch that a pull request was merged onto: what the one before it became, where that was
        merged while this one was open; else the commit it is based on. Empty where that is not known."""
        before = self._before.get(pull.key)
        if before is None or before.merged is None:
            return pull.base_sha
        was_there = pull.created is not None and before.merged <= pull.created
        return pull.base_sha if was_there else before.merge_sha

    def head_holds(self, pull: PullRequest, other: PullRequest) -> bool:
        """Whether the head of a pull request is known to contain another one: that was merged into its own branch. The commit
        that a forge names as the base tells nothing of it: it is where the base branch stood when the pull request was opened,
        not where its branch began (https://github.com/github/docs/issues/431)."""
        if pull.repository != other.repository or _moment(other) >= _moment(pull):
            return False
        return other.base == pull.branch and other.base != pull.base

    def head_may_hold(self, pull: PullRequest, other: PullRequest) -> bool:
        """Whether its base branch contained another pull request when this one was opened, so that its head may, too."""
        below = self._by_sha.get((pull.repository, pull.base_sha))
        is_below = below is not None and below.base == other.base and _moment(other) <= _moment(below)
        return is_below or self.head_holds(pull, other)

    def merge_holds(self, pull: PullRequest, other: PullRequest) -> bool:
        """Whether the base branch contained another pull request when this one was merged."""
        if pull.repository != other.repository or _moment(other) >= _moment(pull):
            return False
        return other.base == pull.base or self.head_holds(pull, other)


def _moment(pull: PullRequest) -> tuple[int, int]:
    return pull.merged or 0, pull.number
