"""The one comment of ours at a pull request: how it is known again, and what becomes of several (sync-rules, "Comments")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from achievement_collector.derive.pr_comments import MOST_CHARACTERS, PrComment, comment_text

MARKER = "<!-- achievement-collector:pull-request -->"
_RUN = re.compile(r"\n*<!-- achievement-collector:run (\d{1,18})\.(\d{1,9}) -->\s*\Z")
_ENVELOPE = 200  # characters that the marker and the run take at most


class Run(NamedTuple):
    """The run of a workflow that wrote a comment; later runs have greater ones."""

    id: int
    attempt: int = 1


class OwnComment(NamedTuple):
    """A comment with the marker that we wrote ourselves."""

    id: int
    body: str


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"


class CommentPlan(NamedTuple):
    """What is to be done: ``action`` on ``comment`` (None: a new one) with ``body``, then ``delete`` the others.
    ``is_superseded`` says that a later run was there before."""

    action: Action
    comment: int | None
    body: str
    delete: tuple[int, ...] = ()
    is_superseded: bool = False


def comment_body(content: PrComment, run: Run | None) -> str:
    """What is sent to GitHub: the marker, the text, and the run that wrote it."""
    return _enveloped(comment_text(content, MOST_CHARACTERS - _ENVELOPE), run)


def _enveloped(text: str, run: Run | None) -> str:
    end = f"\n\n<!-- achievement-collector:run {run.id}.{run.attempt} -->" if run is not None else ""
    return f"{MARKER}\n{text}{end}"


def has_marker(body: str) -> bool:
    return body.startswith(MARKER)


def run_of(body: str) -> Run | None:
    """The run that wrote a comment of ours. Only its last line counts: everything before it may be from outside."""
    found = _RUN.search(body.replace("\r\n", "\n"))
    return Run(int(found[1]), int(found[2])) if found else None


def shown_text(body: str) -> str:
    """What people see of a comment of ours: without marker and run, as GitHub may have changed its line ends."""
    text = _RUN.sub("", body.replace("\r\n", "\n")).removeprefix(MARKER)
    return text.strip()


def plan_comment(ours: Sequence[OwnComment], body: str) -> CommentPlan:
    """Which of our comments is kept (the oldest), what it is to say, and which are deleted.

    ``ours`` must be by our own author: the run in them is believed. The text of the latest run wins, so an earlier run that
    is late changes nothing; one without a run (by hand) wins over all and leaves the run as it is. Nothing is written where
    people see the same already.
    """
    if not ours:
        return CommentPlan(Action.CREATE, None, body)
    ordered = sorted(ours)
    run = run_of(body)
    known = [found for one in ordered if (found := run_of(one.body)) is not None]
    newest = max(known, default=None)
    is_superseded = run is not None and newest is not None and run < newest
    winner = next(one.body for one in ordered if run_of(one.body) == newest) if is_superseded else body
    text = shown_text(winner)
    wanted = _enveloped(text, newest if is_superseded or run is None else run)
    keeper = ordered[0]
    action = Action.NOTHING if shown_text(keeper.body) == text else Action.UPDATE
    delete = tuple(one.id for one in ordered[1:])
    return CommentPlan(action, keeper.id, wanted, delete, is_superseded)
