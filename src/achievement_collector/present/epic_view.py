"""What a document says of an epic, worked out once for every layout: sections for one reader.

A structure is what :func:`achievement_collector.derive.epics.build_epic` gives. Its texts were written outside: each
is put on one line here and escaped by the layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from achievement_collector.derive.conclusions import MeasuredSeries
from achievement_collector.derive.epics import full_title
from achievement_collector.present.personas import Persona
from achievement_collector.present.printable import one_line
from achievement_collector.present.view import (
    Detail,
    Document,
    Entry,
    Link,
    Section,
    measured_section,
    safe_url,
)
from achievement_collector.present.wording import plural

Structure = Mapping[str, Any]

_MOST_LINKS = 40
_MOST_TITLE = 90
_MOST_DESCRIPTION = 500

# reader -> sections, in their order
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "tech_lead": (
        "missing", "glance", "quality", "measures", "business", "pulls", "issues", "phases", "timeline", "milestones", "people",
        "skills", "evidence", "method",
    ),
    "technical": (
        "missing", "glance", "measures", "quality", "business", "pulls", "skills", "issues", "phases", "timeline", "milestones",
        "people", "evidence", "method",
    ),
    "leadership": (
        "missing", "glance", "business", "people", "phases", "milestones", "quality", "delivered", "evidence", "method",
    ),
    "hr_manager": ("missing", "glance", "people", "skills", "delivered", "evidence", "method"),
    "startup_ceo": ("missing", "glance", "delivered", "gains", "business", "evidence", "method"),
    "business": ("missing", "delivered", "glance", "gains", "business", "milestones", "evidence", "method"),
    "investor": ("missing", "glance", "milestones", "gains", "delivered", "business", "evidence", "method"),
}  # fmt: skip

# reader -> what stands in short, in its order
_GLANCE: Mapping[str, tuple[str, ...]] = {
    "tech_lead": (
        "description", "tracker", "started", "completed", "took", "pulls", "issues", "lines", "lead time",
    ),
    "technical": (
        "description", "tracker", "started", "completed", "took", "pulls", "issues", "lines", "lead time",
    ),
    "leadership": ("description", "started", "completed", "took", "team", "pulls", "issues", "lead time"),
    "hr_manager": ("description", "started", "completed", "took", "team"),
    "startup_ceo": ("description", "started", "completed", "took", "pulls", "issues"),
    "business": ("description", "started", "completed", "took", "issues"),
    "investor": ("description", "completed", "took", "pulls", "issues"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How the epic stands; ``digest`` is the hash of its content, of what is shown where it was redacted."""

    status: str
    revision: int
    unmet: tuple[str, ...]
    generated: str
    digest: str
    is_redacted: bool = False

    @property
    def is_final(self) -> bool:
        return self.status in ("final", "completed")

    @property
    def in_words(self) -> str:
        if self.is_final:
            return f"final, revision {self.revision}"
        told = f"{self.status}, as of {self.generated}"
        return f"{told}; revision {self.revision} no longer holds" if self.revision else told


def build(
    structure: Structure, persona: Persona, standing: Standing, measured: Sequence[MeasuredSeries] = ()
) -> Document:
    """The document of an epic for a reader; ``measured`` are the series that shifted when its work was shipped."""
    key, title = one_line(structure["key"]), one_line(structure["title"])
    made: list[Section | None] = []
    for name in _SECTIONS[persona.key]:
        made.append(_MAKERS[name](structure, persona, standing))
        if name == "business":
            made.append(measured_section(measured))
    return Document(
        persona.title if standing.is_final else f"{persona.title} ({standing.status})",
        full_title(key, title),
        f"for {persona.reader}: {standing.in_words}",
        standing.generated,
        tuple(section for section in made if section is not None),
    )


def _missing(structure: Structure, persona: Persona, standing: Standing) -> Section | None:
    lines = tuple(one_line(one) for one in standing.unmet)
    if standing.is_final:
        note = "A person completed it while these conditions were not met."
        return Section("text", "Completed by hand", note, lines=lines) if lines else None
    if standing.status == "canceled":
        return Section("text", "Canceled", lines=("It was canceled; this is what had been done.",))
    if standing.status == "withdrawn":
        return Section(
            "text", "Withdrawn", f"This is revision {standing.revision}, which no longer holds.", lines=lines
        )
    return Section(
        "text", "Missing for completion", "This is a draft: it changes with the work.",
        lines=lines or ("No condition is open.",),
    )  # fmt: skip


def _glance(structure: Structure, persona: Persona, standing: Standing) -> Section:
    line, told, team = structure["timeline"], structure["deliverables"], structure["metrics"]["team"]
    facts = {
        "description": one_line(structure["description"], _MOST_DESCRIPTION),
        "tracker": ", ".join(
            one_line(f"{one['kind']} {one['status'] or 'without a status'}")
            for one in structure["sources"] if one["kind"] != "local"
        ),
        "started": _day(line["started"]) or "not known: nothing tells that work began",
        "completed": _day(line["completed"]) or "not completed",
        "took": _duration(line["seconds"]) or _no_duration(line),
        "team": f"{plural(team['contributor_count'], 'contributor')}, {plural(len(team['reviewers']), 'reviewer')}",
        "pulls": _counted_pulls(told),
        "issues": f"{told['issues_completed']:,} of {told['issues_total']:,} completed" if told["issues"] else "none known",
        "lines": _lines(told["code_changes"]),
        "lead time": _lead_time(team["lead_time_median"]),
    }  # fmt: skip
    names = {
        "tracker": "in the tracker", "pulls": "pull requests", "lines": "changed lines", "lead time": "lead time, median",
    }  # fmt: skip
    return _named(
        "In short", [(names.get(name, name), facts[name]) for name in _GLANCE[persona.key] if facts[name]]
    )


def _delivered(structure: Structure, persona: Persona, standing: Standing) -> Section:
    told = structure["deliverables"]
    if told["features"]:
        titles, note = told["features"], "New features, as they were titled."
    else:
        bots = told["bot_pull_requests"]["keys"]
        titles = [
            one["title"]
            for one in told["pull_requests"]
            if one["state"] == "merged" and not one["left_out"] and one["key"] not in bots
        ]
        titles += [one["title"] for one in told["issues"] if one["completed"]]
        note = "The merged pull requests that count and the completed issues, as they were titled."
    lines = tuple(filter(None, dict.fromkeys(one_line(title) for title in titles)))
    if not lines:
        return Section("text", "What was delivered", lines=("Nothing is merged or completed yet.",))
    return Section("text", "What was delivered", note, lines=lines)


def _measures(structure: Structure, persona: Persona, standing: Standing) -> Section:
    found = structure["metrics"]["technical"]
    lines = (*found["performance"], *found["build_time"])
    if not found["performance"]:
        lines = (*lines, "Performance not measured: no benchmark was reported.")
    if not found["build_time"]:
        lines = (*lines, "Build time not measured: no build time was reported.")
    note = "From the base of the first merged pull request to the newest report that contains all, where there is one."
    return Section("text", "Measured", note, lines=tuple(one_line(line) for line in lines))


def _gains(structure: Structure, persona: Persona, standing: Standing) -> Section:
    """The largest gain first, then every other benchmark: what got worse is not left out."""
    found = structure["metrics"]["technical"]
    best = found["best_performance_gain"]
    lines = [
        f"Largest gain: {best['text']}." if best["value"] is not None else f"Performance {best['basis']}."
    ]
    lines += [text for text in found["performance"] if text != best.get("text")]
    return Section("text", "Measured gains", lines=tuple(one_line(line) for line in lines))


def _quality(structure: Structure, persona: Persona, standing: Standing) -> Section:
    found = structure["metrics"]["quality"]
    coverage, tests, ci, reviewed = (
        found[name] for name in ("test_coverage", "tests_added", "ci_success_rate", "reviewed")
    )
    told_of_ci = ci.get("basis", "")
    if ci["value"] is not None:
        told_of_ci = f"success for {round(ci['value'] * ci['n']):,} of {ci['n']:,} merged pull requests"
        told_of_ci += f"; not measured for {ci['unknown']:,}: no conclusion was told" if ci["unknown"] else ""
    findings = found["security_findings"] or ["not measured: no analysis was reported"]
    told_of_reviews = "not measured: no pull request is merged"
    if reviewed["n"]:
        told_of_reviews = f"{reviewed['value']:,} of {reviewed['n']:,} merged pull requests"
    return _named("Quality", [
        ("coverage", _told(coverage)),
        ("tests added", _told(tests)),
        *(("tests", text) for text in found.get("failed_and_flaky_tests", ())),
        *(("analysis", text) for text in findings),
        ("CI", told_of_ci),
        ("reviewed", told_of_reviews),
        ("reverted", ", ".join(found["reverted"]) or "none known"),
    ])  # fmt: skip


def _pulls(structure: Structure, persona: Persona, standing: Standing) -> Section:
    found = structure["deliverables"]["pull_requests"]
    if not found:
        return Section("text", "Pull requests", lines=("None belongs to it.",))
    ordered = sorted(found, key=lambda one: (one["merged"] or "~", one["opened"] or "~"))  # "~" sorts last
    return Section("entries", "Pull requests", entries=tuple(_pull(one, persona) for one in ordered))


_STATES = {"merged": "merged", "open": "open", "closed": "closed without a merge"}
_CI = {
    "success": "success",
    "failed": "failed",
    "running": "running",
    "unknown": "not measured: no conclusion was told",
}


def _pull(one: Mapping[str, Any], persona: Persona) -> Entry:
    no_time = "it is not merged" if one["state"] != "merged" else "its opening was not told"
    if one["opened"] and one["merged"]:
        no_time = "its merge is told to come before its opening"
    measures = one["measures"] or ["not measured: no report of CI"]
    details = [
        ("author", one["author"] or "not told"),
        ("reviewed by", ", ".join(one["reviewers"]) or "none told of"),
        ("CI", _CI[one["ci"]]),
        ("opened", _day(one["opened"]) or "not told"),
        ("lead time", _duration(one["lead_time"]) or f"not measured: {no_time}"),
        *(("measures", text) for text in measures),
        ("linked by", one["linked_by"]),
        ("not counted", one["left_out"]),
    ]
    return Entry(
        # in Markdown the id stands between backticks, so it is kept to harmless characters
        re.sub(r"[^\w./#-]+", "-", _reference(one["key"])),
        one_line(one["title"]) or "without a title",
        safe_url(one["url"]),
        _day(one["merged"]),
        _STATES[one["state"]],
        f"impact {one['impact']}" if persona.score == "impact" and one["impact"] is not None else "",
        "",
        tuple(Detail(name, one_line(text)) for name, text in details if text),
    )


def _issues(structure: Structure, persona: Persona, standing: Standing) -> Section | None:
    rows = tuple(
        tuple(one_line(cell) for cell in (one["identifier"], one["title"], one["state"], _day(one["completed"]), one["assignee"]))
        for one in structure["deliverables"]["issues"]
    )  # fmt: skip
    columns = ("issue", "title", "state", "completed", "assignee")
    return Section("rows", "Issues", rows=rows, columns=columns) if rows else None


def _phases(structure: Structure, persona: Persona, standing: Standing) -> Section:
    rows = tuple(
        (
            one["name"], _day(one["started"]), _day(one["ended"]) or "no end yet",
            _duration(one["seconds"]) or "not measured: no end yet", one["basis"],
        )
        for one in structure["timeline"]["phases"]
    )  # fmt: skip
    if not rows:
        lines = ("Not measured: no phase has a beginning and a later end.",)
        return Section("text", "Phases", lines=lines)
    return Section("rows", "Phases", rows=rows, columns=("phase", "from", "to", "took", "what it spans"))


def _timeline(structure: Structure, persona: Persona, standing: Standing) -> Section | None:
    rows = tuple(
        (one["at"][:16].replace("T", " "), one_line(one["what"])) for one in structure["timeline"]["events"]
    )
    return Section("rows", "Timeline", rows=rows, columns=("when (UTC)", "what")) if rows else None


def _milestones(structure: Structure, persona: Persona, standing: Standing) -> Section:
    rows = []
    for one in structure["milestones"]:
        planned = f"planned for {one['target']}" if one.get("target") else "planned, no date told"
        when = f"reached {_day(one['at'])}" if one["kind"] == "reached" else planned
        rows.append((one_line(one["name"]) or "without a name", one_line(when)))
    if not rows:
        return Section("text", "Milestones", lines=("None is planned or reached.",))
    return Section("rows", "Milestones", rows=tuple(rows), columns=("milestone", "when"))


def _people(structure: Structure, persona: Persona, standing: Standing) -> Section:
    team = structure["metrics"]["team"]
    leads = dict.fromkeys(one["lead"] for one in structure["sources"] if one["lead"])
    reviewers = ", ".join(team["reviewers"])
    if reviewers:
        reviewers += f" ({plural(team['reviews'], 'review')})"
    return _named("People", [
        ("contributors", ", ".join(team["contributors"]) or "none told of"),
        ("reviewers", reviewers or "none told of"),
        *([("completed issues", ", ".join(team["assignees"]))] if team["assignees"] else []),
        *([("led by", ", ".join(leads))] if leads else []),
    ])  # fmt: skip


def _skills(structure: Structure, persona: Persona, standing: Standing) -> Section:
    skills = structure["metrics"]["technical"]["skills"]
    return Section(
        "text", "Skills", "Each is shown by a merged pull request that counts." if skills else "",
        lines=tuple(one_line(skill) for skill in skills) or ("Not measured: no merged pull request that counts shows one.",),
    )  # fmt: skip


def _business(structure: Structure, persona: Persona, standing: Standing) -> Section:
    """What was measured, each in a line; what was not, all with the same reason in one."""
    lines, silent = [], dict[str, list[str]]()
    for name, metric in structure["metrics"]["business"].items():
        label = name.replace("_", " ")
        if metric["value"] is None:
            silent.setdefault(metric["basis"].removeprefix("not measured: "), []).append(label)
        else:
            lines.append(
                f"{label}: {metric.get('text') or metric['value']} ({metric.get('basis', 'measured')})"
            )
    lines += [f"Not measured ({reason}): {', '.join(names)}." for reason, names in silent.items()]
    return Section("text", "Business value", lines=tuple(one_line(line) for line in lines))


def _evidence(structure: Structure, persona: Persona, standing: Standing) -> Section:
    told, found = structure["deliverables"], structure["evidence"]
    is_technical = "pulls" in _SECTIONS[persona.key]  # its pull requests are linked where they stand
    listed = {
        "the epic": [(one["kind"], one["url"]) for one in structure["sources"]],
        "pull requests": []
        if is_technical
        else [(_reference(one["key"]), one["url"]) for one in told["pull_requests"]],
        "issues": [(one["identifier"], one["url"]) for one in told["issues"]],
        "CI": [(one["name"], one["url"]) for one in found["ci_reports"]] if is_technical else [],
        "screenshots": [(one["title"], one["url"]) for one in found["screenshots"]],
        "documents": [(one["title"], one["url"]) for one in found["documents"]],
        "deployments": [
            (f"{one['title']}, {_day(one['at'])}", one["url"]) for one in found.get("deployments", ())
        ],
    }
    details = []
    for name, ones in listed.items():
        links = [_link(text, url) for text, url in ones if safe_url(url)]
        more = [Link(f"and {len(links) - _MOST_LINKS} more")] if len(links) > _MOST_LINKS else []
        if links:
            details.append(Detail(name, links=(*links[:_MOST_LINKS], *more)))
    if not details:
        return Section("text", "Evidence", lines=("No address is known.",))
    return Section("details", "Evidence", details=tuple(details))


def _method(structure: Structure, persona: Persona, standing: Standing) -> Section:
    lines = ["Drawn by fixed rules from what the forge, the tracker and CI told. Times are in UTC."]
    if standing.is_final:
        lines += [f"Final, revision {standing.revision}. SHA-256 of the content: {standing.digest}."]
    if standing.is_redacted:
        lines += [
            "Names and addresses are withheld"
            + ("; the hash is of the content without them." if standing.is_final else ".")
        ]
    return Section("text", "How this was made", lines=tuple(lines))


_MAKERS: Mapping[str, Callable[[Structure, Persona, Standing], Section | None]] = {
    "missing": _missing,
    "glance": _glance,
    "delivered": _delivered,
    "measures": _measures,
    "gains": _gains,
    "quality": _quality,
    "pulls": _pulls,
    "issues": _issues,
    "phases": _phases,
    "timeline": _timeline,
    "milestones": _milestones,
    "people": _people,
    "skills": _skills,
    "business": _business,
    "evidence": _evidence,
    "method": _method,
}


# --- words -------------------------------------------------------------------------------------------


def _named(title: str, facts: Sequence[tuple[str, str]]) -> Section:
    return Section("details", title, details=tuple(Detail(name, one_line(text)) for name, text in facts))


def _link(text: str, url: str) -> Link:
    return Link(one_line(text, _MOST_TITLE) or one_line(url, _MOST_TITLE), safe_url(url))


def _reference(key: str) -> str:
    """``owner/name#12`` of ``host/owner/name#12``."""
    return one_line(key.partition("/")[2] or key)


def _day(moment: str | None) -> str:
    return moment[:10] if moment else ""


def _told(metric: Mapping[str, Any]) -> str:
    """What was measured, or why nothing was."""
    return str(metric["basis"] if metric["value"] is None else metric["text"])


def _duration(seconds: float | None) -> str:
    """Minutes below an hour, hours below two days, else days; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return "under a minute"
    if seconds < 3600:
        return plural(int(seconds / 60), "minute")
    number, unit = (seconds / 3600, "hour") if seconds < 48 * 3600 else (seconds / 86_400, "day")
    told = f"{number:,.1f}".removesuffix(".0")
    return f"{told} {unit}" if told == "1" else f"{told} {unit}s"


def _no_duration(line: Mapping[str, Any]) -> str:
    return "not measured: " + ("it is not completed" if line["started"] else "nothing tells that work began")


def _lead_time(metric: Mapping[str, Any]) -> str:
    if metric["value"] is None:
        return str(metric["basis"])
    return f"{_duration(metric['value'])} from opened to merged, n={metric['n']}"


def _counted_pulls(told: Mapping[str, Any]) -> str:
    """How many were merged and count, and beside them every other one."""
    beside = (
        (told["prs_undone"], "reverted or a revert"), (told["prs_copied"], "a copy of another"), (told["prs_open"], "open"),
        (told["prs_closed_unmerged"], "closed without a merge"), (told["bot_pull_requests"]["count"], "by programs"),
    )  # fmt: skip
    return ", ".join([
        f"{told['prs_merged']:,} merged", *(f"{count:,} {what}" for count, what in beside if count),
    ])  # fmt: skip


def _lines(changes: Mapping[str, Any]) -> str:
    if changes["additions"] is None:
        return "not measured: the forge told no size of a merged pull request"
    told = [f"+{changes['additions']:,} −{changes['deletions']:,}"]
    if changes["files"] is not None:
        told[0] += f" in {plural(changes['files'], 'file')}"
    if changes["commits"] is not None:
        told.append(plural(changes["commits"], "commit"))
    return ", ".join([*told, changes["basis"]])
