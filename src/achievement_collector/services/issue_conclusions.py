"""What follows from an issue of Linear: its epics, its achievement, and who has the credit for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.issues import conclude_issue
from achievement_collector.derive.links import named
from achievement_collector.derive.pulls import closed_issues
from achievement_collector.facts import Signature
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import Issue, PullRequest
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger import work
from achievement_collector.ledger.collecting import SignatureIds
from achievement_collector.ledger.entities import thing
from achievement_collector.ledger.gathered import rolled_pulls
from achievement_collector.services.epic_index import EpicIndex

ITSELF = "it is the epic itself"
"""The basis by which an issue belongs to the epic that it is."""


@dataclass(frozen=True, slots=True)
class IssueNews:
    """What was worked out about an issue, to be written."""

    issue: Issue
    links: list[tuple[str, str]]
    pulls: list[str]  # that name it or are attached to it
    related: list[str]  # issues whose epic rests on it
    is_achievement: bool
    done_by: str
    undone: str


def news_of(connection: Connection, index: EpicIndex, issue: Issue, settings: Settings) -> IssueNews:
    """What is to be written about an issue, by the facts as they are now."""
    is_epic = settings.epics_enabled and issue.key in index.of_source
    epic = index.epic_of(issue) if settings.epics_enabled and not issue.is_removed else ""
    links = [(epic, ITSELF if is_epic else f"its {index.kind} in Linear")] if epic else []
    pulls = ledger_epics.pulls_that_mention(connection, [name.lower() for name in issue.identifiers])
    attached = [pull_key(one.url) for one in work.attachments(connection, issues=[issue.key])]
    is_achievement = issue.is_completed and not is_epic
    done_by, undone = _credit_elsewhere(connection, issue) if is_achievement else ("", "")
    return IssueNews(
        issue, links, [*pulls, *filter(None, attached)], index.related(issue), is_achievement, done_by, undone
    )


def epics_themselves(connection: Connection, epics: Iterable[str]) -> list[str]:
    """The issues that are these epics, or were when they were last looked at."""
    return [
        member
        for epic in sorted(epics)
        for member, basis in ledger_epics.members_of(connection, epic).items()
        if basis == ITSELF
    ]


def pull_attached(connection: Connection, attachment: str) -> list[str]:
    """The pull request that an attachment shows, whether or not it is there still."""
    found = thing(connection, Kind.ATTACHMENT, attachment)
    return list(filter(None, [pull_key(str(found.fields.get("url") or ""))])) if found else []


def pull_key(url: str) -> str:
    """``github.com/acme/rocket#12`` of the address of a pull request; empty for other addresses."""
    match = re.match(r"https?://([^/]+)/([^/]+/[^/]+)/pull/(\d+)", url)
    return f"{match[1].lower()}/{match[2]}#{match[3]}" if match else ""


def store_issue(connection: Connection, news: IssueNews) -> bool:
    """Makes, renews or takes away the achievement of an issue; whether a person was named."""
    issue = news.issue
    uid = conclusions.achievement_uid("", f"issue/{issue.key}")
    conclusions.remove_by_uid(connection, uid)
    if not news.is_achievement:
        return False
    who = None
    if issue.assignee:
        signature = Signature(issue.assignee, issue.assignee_email)
        who = SignatureIds(connection).add(connection, [signature])[signature]
    one = conclude_issue(issue, who, news.done_by, news.undone)
    conclusions.add_achievements(connection, None, "", RULES_VERSION, 1.0, [one])
    conclusions.apply_edits_of(connection, [uid])
    return who is not None


def _credit_elsewhere(connection: Connection, issue: Issue) -> tuple[str, str]:
    """(the merged pull request that did an issue and counts, the one that did it and was reverted): one that bears its
    key in branch or title, says that it closes it, or is attached to it; empty where there is none."""
    keys = ledger_epics.pulls_that_mention(connection, [name.lower() for name in issue.identifiers])
    attached = [pull_key(one.url) for one in work.attachments(connection, issues=[issue.key])]
    pulls = [
        pull for pull in work.pull_requests(connection, keys=[*keys, *filter(None, attached)]) if pull.merged
    ]
    moved = work.present_names(connection)
    shown = {work.present_key(key, moved) for key in attached}
    did = {pull.key: pull for pull in pulls if pull.key in shown or _does(pull, issue.identifiers)}
    found = sorted(rolled_pulls(connection, list(did.values())).items())
    counted = [_short(did[key]) for key, mine in found if mine.is_counted]
    reverted = [_short(did[key]) for key, mine in found if mine.left_out_reason.startswith("reverted")]
    return counted[0] if counted else "", reverted[-1] if reverted and not counted else ""


def _short(pull: PullRequest) -> str:
    return f"{pull.repository.rpartition('/')[2]}#{pull.number}"


def _does(pull: PullRequest, identifiers: Sequence[str]) -> bool:
    told, closes = dict(named(pull).issues), {one.upper() for one in closed_issues(pull.body)}
    return any(told.get(name, "").endswith(("branch", "title")) or name in closes for name in identifiers)
