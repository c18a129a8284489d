"""Pull requests shown in Linear: an attachment at each issue that a pull request names, made once."""

from __future__ import annotations

from achievement_collector.config import Settings
from achievement_collector.derive.links import named
from achievement_collector.facts.work import Issue, PullRequest
from achievement_collector.ledger import work
from achievement_collector.ledger.entities import cursor, remember
from achievement_collector.ledger.epics import linked_pulls
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.polling import linear_client

_MOST = 100


def missing_links(ledger: Ledger) -> list[tuple[Issue, PullRequest]]:
    """(issue, pull request) pairs that Linear does not show yet, as far as the ledger knows."""
    found: list[tuple[Issue, PullRequest]] = []
    with ledger.read() as connection:
        for pull in work.pull_requests(connection, keys=linked_pulls(connection)):
            if not pull.url:
                continue
            strong = [key for key, basis in named(pull).issues if basis.endswith(("branch", "title"))]
            shown = {one.issue for one in work.attachments(connection, urls=[pull.url])}
            for issue in work.issues(connection, names=strong):
                if (
                    issue.key not in shown
                    and not issue.is_removed
                    and not cursor(connection, _mark(issue, pull))
                ):
                    found.append((issue, pull))
                    if len(found) == _MOST:
                        return found
    return found


def link_back(ledger: Ledger, settings: Settings, now: int) -> int:
    """Attaches pull requests to the issues they name in branch or title; gives how many were attached."""
    from achievement_collector.publish.linear import link_pull_request

    missing = missing_links(ledger)
    if not missing:
        return 0
    done = 0
    with linear_client(settings) as client:
        for issue, pull in missing:
            title = f"#{pull.number} {pull.title}"[:255]
            done += link_pull_request(client, issue.key.removeprefix("linear/"), pull.url, title)
            with ledger.write() as connection:
                remember(connection, _mark(issue, pull), True, now)
    return done


def _mark(issue: Issue, pull: PullRequest) -> str:
    return f"linked/{issue.key}/{pull.key}"
