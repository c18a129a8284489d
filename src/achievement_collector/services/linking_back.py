"""Pull requests shown in Linear: an attachment at each issue that a pull request names, made once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from achievement_collector.config import Settings
from achievement_collector.derive.links import named
from achievement_collector.derive.pulls import closed_issues
from achievement_collector.facts.work import Issue, PullRequest
from achievement_collector.ledger import work
from achievement_collector.ledger.entities import cursor, remember
from achievement_collector.ledger.epics import linked_pulls
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.polling import linear_client

_MOST = 100
_MOST_REFUSALS = 3  # one after the other: then it is not the issue, and the rest is left for the next time
_FIRST_REST, _LONGEST_REST = 600_000, 86_400_000  # milliseconds


class Missing(NamedTuple):
    """A pull request that Linear does not show at an issue yet; ``failures`` counts how often that was tried."""

    issue: Issue
    pull: PullRequest
    failures: int


class LinkedBack(NamedTuple):
    """How many pull requests were attached, and what could not be done, each in a sentence."""

    linked: int = 0
    failures: tuple[str, ...] = ()


def missing_links(ledger: Ledger, now: int) -> list[Missing]:
    """What Linear does not show yet, as far as the ledger knows; what failed a short while ago is left out."""
    found: list[Missing] = []
    with ledger.read() as connection:
        for pull in work.pull_requests(connection, keys=linked_pulls(connection)):
            if not pull.url:
                continue
            shown = {one.issue for one in work.attachments(connection, urls=[pull.url])}
            for issue in work.issues(connection, names=_issues_of(pull)):
                tried = cursor(connection, _mark(issue, pull))
                if issue.key in shown or issue.is_removed or tried is True:
                    continue
                if tried and now < tried["until"]:
                    continue
                found.append(Missing(issue, pull, tried["failures"] if tried else 0))
                if len(found) == _MOST:
                    return found
    return found


def _issues_of(pull: PullRequest) -> list[str]:
    """The issues that a pull request does: those in its branch and title, and those that its body says it closes."""
    closed = {key.upper() for key in closed_issues(pull.body)}
    return [key for key, basis in named(pull).issues if key in closed or basis.endswith(("branch", "title"))]


def link_back(ledger: Ledger, settings: Settings, now: int) -> LinkedBack:
    """Attaches pull requests to the issues that they name in branch or title or say they close. What Linear refuses holds up
    nothing else: it is told, and tried again after a pause that grows from ten minutes to a day. A budget that is used up
    ends it early, and the next call goes on."""
    from achievement_collector.publish.linear import link_pull_request
    from achievement_collector.sources.linear.client import BudgetExhausted, LinearError

    missing = missing_links(ledger, now)
    if not missing:
        return LinkedBack()
    linked, refusals = 0, 0
    failures: list[str] = []
    with linear_client(settings) as client:
        for one in missing:
            issue, pull = one.issue, one.pull
            try:
                linked += link_pull_request(
                    client, issue.key.removeprefix("linear/"), pull.url, f"#{pull.number} {pull.title}"[:255]
                )
            except BudgetExhausted as error:
                failures.append(f"links back to issues wait: {error}")
                break
            except LinearError as error:
                rest = _refused(one, now)
                _keep(ledger, one, rest, now)
                failures.append(
                    f"{pull.key} is not linked to {issue.identifier}: {error}; tried again after {_when(rest)}"
                )
                refusals += 1
                if refusals == _MOST_REFUSALS:
                    break
                continue
            refusals = 0
            _keep(ledger, one, True, now)
    return LinkedBack(linked, tuple(failures))


def _refused(one: Missing, now: int) -> dict[str, int]:
    pause = min(_LONGEST_REST, _FIRST_REST * 2 ** min(one.failures, 20))
    return {"failures": one.failures + 1, "until": now + pause}


def _when(rest: dict[str, int]) -> str:
    return f"{datetime.fromtimestamp(rest['until'] / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _keep(ledger: Ledger, one: Missing, tried: Any, now: int) -> None:
    with ledger.write() as connection:
        remember(connection, _mark(one.issue, one.pull), tried, now)


def _mark(issue: Issue, pull: PullRequest) -> str:
    return f"linked/{issue.key}/{pull.key}"
