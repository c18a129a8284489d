"""The comment that a pull request shows about its CI: what it says, and how safe that text is.

Everything in it may come from outside: names of jobs, lines of logs, titles. Such text stands in code spans and fenced blocks
only, whose fences are longer than any in the text. GitHub looks for ``@names``, ``#12``, ``fixes #1`` and addresses outside of
code alone (GitHub Docs, "Autolinked references and URLs"), so nobody is notified and nothing is linked or closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote, urlsplit

MOST_CHARACTERS = 65_536
"""Of a comment, as GitHub counts at the worst: UTF-16 code units."""
MOST_EVIDENCE = 10
"""Lines of one failure that are shown."""

_LONGEST_NAME, _LONGEST_LINE, _MOST_LISTED = 160, 300, 20
_RESERVE = 400  # characters kept for the sentence that something was left out
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)?|[@-Z\\^_])")
_FILE = re.compile(r"\S*/\S*|[\w.-]+\.[A-Za-z]{1,4}")
_SHORTEST_NAME = 3  # of a test: shorter ones stand in any line
_REFERRING = re.compile(r"/(?:issues|pull|pulls|discussions|commit|commits|compare)(?:/|$)")


class Standing(StrEnum):
    """Whose a failure is."""

    YOURS = "yours"
    ALSO_RED = "also red on the default branch"
    FLAKY = "known flaky"
    UNKNOWN = "unknown"


class Judgement(NamedTuple):
    """A standing, and why it is that one."""

    standing: Standing
    why: str


class DefaultBranch(NamedTuple):
    """What the default branch fails with, in the workflow that failed: ``latest`` are the clusters of failures of its latest
    finished run, ``recent`` those of its last ``runs`` finished runs, the latest one included."""

    latest: AbstractSet[str]
    recent: AbstractSet[str]
    runs: int


class Flakiness(NamedTuple):
    """How sure it is that a failure is a flaky one (ci-health definition 11): 1 certain, 2 likely, 0 looked for and not found,
    None not known; and why, empty where nothing is to be said beyond that."""

    level: int | None
    why: str = ""


class FlakyJob(NamedTuple):
    """What a flaky job failed with where it passed on the same code: cluster -> how sure that is (1 certain, 2 likely), their
    categories, and whether of one of these failures nothing tells why."""

    clusters: Mapping[str, int]
    categories: AbstractSet[str]
    has_untold: bool


def flakiness_by_job(cluster: str, category: str, job: FlakyJob | None) -> Flakiness:
    """Whether a failure is one with which its job is known to be flaky. That a job is flaky excuses no other failure of it."""
    if job is None:
        return Flakiness(0)
    level = job.clusters.get(cluster)
    if cluster and level:
        sure = "it failed with the same signature before, on code on which it also passed"
        return Flakiness(level, sure if level == 1 else f"likely: {sure}, or nearly so")
    if not cluster:
        return Flakiness(None, "the job is known to be flaky, but nothing tells why it failed this time")
    if job.has_untold:
        return Flakiness(None, "the job is known to be flaky, but not what it failed with then")
    if category in job.categories:
        return Flakiness(
            None, f"the job is known to be flaky, with other failures of the category {category}"
        )
    return Flakiness(0, "the job is known to be flaky with failures of other categories only")


def flakiness_by_tests(evidence: Iterable[str], failed: Mapping[str, int | None]) -> Flakiness | None:
    """Whether a job failed by flaky tests alone: all tests that ``failed`` by its report are flaky (identity -> 1 certain, 2
    likely, 0 or None neither), and a line of its log names one of them. None where that is not so, or not known."""
    levels = list(failed.values())
    if not levels or not all(levels):
        return None
    names = [name for identity in failed if len(name := _name_of(identity)) >= _SHORTEST_NAME]
    lines = list(evidence)
    if not any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line) for name in names for line in lines):
        return None
    told = "the test that failed" if len(levels) == 1 else f"each of the {len(levels)} tests that failed"
    level = max(one for one in levels if one)
    sure = "passed and failed on the same code before"
    return Flakiness(level, f"{told} {sure}" if level == 1 else f"likely: {told} {sure}, or nearly so")


def _name_of(identity: str) -> str:
    """The name of a test in its identity, which may end with its file."""
    *outer, last = identity.split("::")
    return outer[-1] if outer and _FILE.fullmatch(last) else last


def standing_of(cluster: str, default: DefaultBranch | None, flaky: Flakiness) -> Judgement:
    """Whose a failure is.

    ``cluster`` is the failure's signature, empty where it has none; ``default`` is None where no finished run of the default
    branch is known; ``flaky`` tells of this failure, not of its job. It is called yours only where both were looked at; what is
    not known is never held against the author.
    """
    if cluster and default is not None and default.runs > 0 and cluster in default.latest:
        return Judgement(
            Standing.ALSO_RED, "the latest finished run of the default branch fails with the same signature"
        )
    if flaky.level in (1, 2):
        sure = "it passed and failed on the same code before" if flaky.level == 1 else "likely so"
        return Judgement(Standing.FLAKY, flaky.why or sure)
    if not cluster:
        return Judgement(Standing.UNKNOWN, flaky.why or "no signature of the failure is known")
    if default is None or default.runs < 1:
        return Judgement(Standing.UNKNOWN, "no finished run of the default branch is known")
    if cluster in default.recent:
        return Judgement(
            Standing.UNKNOWN,
            f"among the last {_counted(default.runs, 'run')} of the default branch, but not in the latest one",
        )
    if flaky.level is None:
        return Judgement(Standing.UNKNOWN, flaky.why or "whether it is flaky was not measured")
    return Judgement(
        Standing.YOURS,
        f"not in the last {_counted(default.runs, 'run')} of the default branch, and {flaky.why or 'not known to be flaky'}",
    )


# --- what the comment says ---------------------------------------------------------------------------


class MilestoneOfPull(NamedTuple):
    """The milestone of the pull request, and what told it (``the branch feature/stage-7-3``)."""

    title: str
    source: str


class ScorePart(NamedTuple):
    """One part of the readiness score; ``state`` is earned, missed or unknown."""

    title: str
    points: int
    most: int
    state: str
    told: str


class Score(NamedTuple):
    """The readiness score: ``points`` of 100, None where nothing was measured; ``measurable`` could be had by what was."""

    points: int | None
    measurable: int
    parts: tuple[ScorePart, ...]


class Counts(NamedTuple):
    """How the checks of one kind ended (``unit`` is what one of them is called). ``other`` are those that say nothing about
    the code: cancelled, skipped and the like."""

    unit: str
    passed: int
    failed: int
    running: int
    other: int


class Failure(NamedTuple):
    """A step that failed. ``times`` is how often its cluster was seen before this commit since ``since`` (milliseconds since
    1970), None where that is not known; ``evidence`` are lines of its log."""

    job: str
    step: str = ""
    category: str = ""
    evidence: tuple[str, ...] = ()
    times: int | None = None
    since: int | None = None
    judgement: Judgement = Judgement(Standing.UNKNOWN, "no signature of the failure is known")
    url: str = ""


@dataclass(frozen=True, slots=True)
class PrComment:
    """All that the comment tells of the commit ``sha``; None and empty mean that it is not known."""

    sha: str
    counts: tuple[Counts, ...] = ()
    failures: tuple[Failure, ...] = ()
    milestone: MilestoneOfPull | None = None
    score: Score | None = None
    links: tuple[tuple[str, str], ...] = ()  # (text, address)


def comment_text(content: PrComment, most: int = MOST_CHARACTERS) -> str:
    """The Markdown of the comment, at most ``most`` UTF-16 code units long (1,000 at least).

    What does not fit is left out whole, evidence first, and a sentence says how much that is. The same content gives the same
    text.
    """
    top = "\n".join(_top(content))
    end = f"\n\nGenerated for {code(content.sha[:12])}."
    if content.links:
        shown = [_link(text, url) for text, url in content.links[:_MOST_LISTED]]
        end = f"\n\n{' · '.join(shown)}{end}"
    room = max(most, 1_000) - length(end) - _RESERVE
    if length(top) > room:  # by names of the longest kind alone
        end = f"\n\nGenerated for {code(content.sha[:12])}."
        return (
            f"{_beginning(top, most - length(end) - _RESERVE)}\n\nThe rest is left out: it is too long.{end}"
        )
    used, told, bare, gone = length(top), [top], 0, 0
    for place, one in enumerate(content.failures):
        full = "\n\n" + "\n".join((*_heading(one), *_evidence(one)))
        short = "\n\n" + "\n".join(_heading(one))
        for section in (full, short) if one.evidence else (full,):
            if used + length(section) <= room:
                told.append(section)
                used += length(section)
                bare += section is not full
                break
        else:
            gone = len(content.failures) - place
            break
    if bare or gone:
        told.append(f"\n\n{_left_out(bare, gone, most)}")
    return "".join(told) + end


def _beginning(text: str, most: int) -> str:
    """The whole lines from the beginning that fit."""
    kept: list[str] = []
    used = 0
    for line in text.split("\n"):
        used += length(line) + 1
        if used > most:
            break
        kept.append(line)
    return "\n".join(kept)


def _left_out(bare: int, gone: int, most: int) -> str:
    parts = []
    if bare:
        parts.append(f"the evidence of {_counted(bare, 'failure')}")
    if gone:
        parts.append(_counted(gone, "further failure"))
    return f"Left out, because a comment has at most {most:,} characters: {' and '.join(parts)}."


def _top(content: PrComment) -> list[str]:
    told = [f"### CI of {code(content.sha[:12])}", ""]
    if content.counts:
        told.extend(f"- {_counts(one)}" for one in content.counts)
    else:
        told.append("- No check of this commit is known.")
    if content.milestone is not None:
        told.append(
            f"- Milestone: {code(content.milestone.title)} (told by {code(content.milestone.source)})"
        )
    else:
        told.append("- Milestone: none is named.")
    told.extend(_score(content.score))
    red = content.failures
    if red:
        by = {kind: sum(one.judgement.standing is kind for one in red) for kind in Standing}
        listed = ", ".join(f"{n} {kind}" for kind, n in by.items() if n)
        told.extend(("", f"**{_counted(len(red), 'failure')}**: {listed}"))
    elif any(one.failed for one in content.counts):
        told.extend(("", "Why it failed is not known."))
    return told


def _counts(one: Counts) -> str:
    told = [f"{one.passed} passed", f"{one.failed} failed"]
    if one.running:
        told.append(f"{one.running} not finished")
    if one.other:
        told.append(f"{one.other} cancelled, skipped or without a result")
    return f"{one.unit}: {', '.join(told)}"


def _score(score: Score | None) -> list[str]:
    if score is None:
        return ["- CI readiness score: unknown."]
    if score.points is None:
        first = "- CI readiness score (documented formula): unknown, nothing was measured"
    else:
        first = (
            f"- CI readiness score (documented formula): {score.points}/100, "
            f"measurable now: {score.points} of {score.measurable}"
        )
    parts = [
        f"  - {code(one.title)} {one.points}/{one.most} {one.state}: {code(one.told)}"
        for one in score.parts[:_MOST_LISTED]
    ]
    return [first, *parts]


def _heading(one: Failure) -> list[str]:
    name = code(f"{one.job} / {one.step}" if one.step else one.job)
    title = _link_to(name, one.url) if one.url else name
    told = [f"#### {title}", "", f"- {one.judgement.standing}: {one.judgement.why}"]
    told.append(f"- category: {code(one.category)}" if one.category else "- category: unknown")
    if one.times == 0:
        told.append("- this failure is new")
    elif one.times is not None:
        since = f" since {_day(one.since)}" if one.since is not None else ""
        told.append(f"- seen {_counted(one.times, 'time')} before{since}")
    return told


def _evidence(one: Failure) -> list[str]:
    if not one.evidence:
        return []
    shown = list(one.evidence[:MOST_EVIDENCE])
    more = len(one.evidence) - len(shown)
    told = ["", fenced(shown)]
    if more:
        told.extend(("", f"{_counted(more, 'further line')} of evidence left out."))
    return told


def _link(text: str, url: str) -> str:
    return _link_to(code(text), url)


def _link_to(shown: str, url: str) -> str:
    """A link, or what is shown alone: an address that GitHub takes for a reference would tell people there of this comment,
    and only http and https are followed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return shown
    if parts.scheme not in ("https", "http") or not parts.hostname or _REFERRING.search(parts.path):
        return shown
    address = quote(url[:2_000].encode("utf-8", "replace"), safe="/:?#[]@!$&'*+,;=%~-._")
    return f"[{shown}](<{address}>)"


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# --- text from outside -------------------------------------------------------------------------------


def code(text: str, most: int = _LONGEST_NAME) -> str:
    """Text from outside as a code span on one line, cut to ``most`` characters."""
    line = " ".join(_plain(text[: most * 20]).split())
    if len(line) > most:
        line = line[: most - 1].rstrip() + "…"
    if not line:
        return "(no name)"
    fence = "`" * (_longest_run(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def fenced(lines: Iterable[str], most: int = _LONGEST_LINE) -> str:
    """Lines from outside as a fenced block, whose fence is longer than any in them; each is cut to ``most`` characters."""
    shown = []
    for line in lines:
        one = _plain(line[: most * 20].replace("\t", "    ")).rstrip()
        shown.append(one if len(one) <= most else one[: most - 1] + "…")
    body = "\n".join(shown)
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}text\n{body}\n{fence}"


def _plain(text: str) -> str:
    """On one line, without colours; invisible and bidirectional characters, which could hide something, are shown as �."""
    text = _ESCAPES.sub("", text)
    return "".join(
        one if one.isprintable() else " " if one.isspace() else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def length(text: str) -> int:
    """In UTF-16 code units."""
    return len(text) + sum(one > "\uffff" for one in text)
