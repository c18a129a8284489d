"""The report of a quarter laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from achievement_collector.present.printable import one_line
from achievement_collector.present.reports import duration, rate_in_words
from achievement_collector.present.view import Detail, Document, Section

Data = Mapping[str, Any]

_LISTS = (
    ("delivered", "Delivered", "Planned when the quarter began, and completed in it."),
    ("carried_over", "Carried over", "Planned when the quarter began, and not completed by its end."),
    ("moved_out", "Moved out", "Of those carried over: their target is a later quarter now."),
    ("added_later", "Added later", "Came into the quarter after it had begun."),
    ("dropped", "Given up", "Planned when the quarter began, and given up in it."),
    ("worked_on", "All of the quarter", "Had a target, a completion or closed issues in the quarter."),
)
_TITLE = 100


def quarterly_document(data: Data) -> Document:
    period = data["analysis_period"]
    state = "frozen" if data.get("is_frozen") else "a draft" if data["is_complete"] else "not over"
    sections = [_in_short(data), *_milestones(data["milestones"]), *_slips(data)]
    sections += [_ci(one) for one in data["ci"]] or [Section("text", "CI", lines=(data["ci_told"],))]
    return Document(
        "Quarterly report", one_line(data["repository"] or "all repositories"),
        f"{data['quarter']}, {period['since'][:10]} to {_last_day(data)} (UTC), {state}", data["as_of"][:10], tuple(sections),
    )  # fmt: skip


def _last_day(data: Data) -> str:
    return str(data["milestones"]["last"])


def _in_short(data: Data) -> Section:
    told, pace = data["milestones"], data["velocity"]
    if told["why"]:
        facts = [("planned against delivered", f"not known: {told['why']}")]
    else:
        begun, seen = told["snapshots"]
        planned, delivered = len(told["planned"]), len(told["delivered"])
        facts = [
            ("planned", f"{planned}, as the snapshot of {begun} tells"),
            ("delivered", f"{delivered} of {planned}, as the snapshot of {seen} tells{_early(data)}"),
            (
                "carried over",
                f"{len(told['carried_over'])}, {len(told['moved_out'])} of them to a later quarter",
            ),
            ("added later", str(len(told["added_later"]))),
            ("given up", str(len(told["dropped"]))),
            ("on time", _on_time(told["on_time"])),
        ]
    facts += [
        ("velocity", f"{pace['text']}; {pace['told']}" if pace["told"] else pace["text"]),
        ("targets", _moved(data["slips"])),
    ]
    note = (
        ""
        if data["repository"] is None
        else "Milestones are those of the whole roadmap; CI is of the repository."
    )
    return Section(
        "details", "In short", note, details=tuple(Detail(name, one_line(text)) for name, text in facts)
    )


def _early(data: Data) -> str:
    is_short = data["is_complete"] and not data["milestones"]["is_seen_to_the_end"]
    return "; none was taken in the quarter's last week" if is_short else ""


def _on_time(told: Data) -> str:
    undated = f"; of {told['undated']} nobody told the day" if told["undated"] else ""
    if told["value"] is None:
        return f"not measured: no target of the quarter's beginning has passed{undated}"
    share = f"{told['value'] * 100:.1f} % ({told['on_time']} of {told['n']}"
    return f"{share} delivered by the target of the quarter's beginning){undated}"


def _moved(slips: list[Data]) -> str:
    seen = [one for one in slips if one["snapshots"] > 1]
    if not seen:
        return "not measured: no milestone was seen twice in the quarter"
    later = sum(one["moved_later"] > 0 for one in seen)
    return f"{later} of {len(seen)} milestones that were seen more than once moved to a later day"


def _milestones(told: Data) -> list[Section]:
    columns = ("milestone", "target", "status", "completed")
    return [
        Section("rows", title, note, rows=tuple(_row(one) for one in told[name]), columns=columns)
        for name, title, note in _LISTS
        if told[name]
    ]


def _row(one: Data) -> tuple[str, str, str, str]:
    title = one_line(one["title"] or one["key"], _TITLE)
    return title, one["target"] or "none", one["status"] or "not stated", one["completed"] or ""


def _slips(data: Data) -> list[Section]:
    moved = tuple((one_line(one["title"], _TITLE), one["told"]) for one in data["slips"] if one["changes"])
    if not moved:
        return []
    note = "Targets that changed from one snapshot to the next."
    return [Section("rows", "Targets that moved", note, rows=moved, columns=("milestone", "how"))]


def _ci(told: Data) -> Section:
    lines = [
        ("pass rate, first attempts", rate_in_words(told["pass_rate"]["first"])),
        ("pass rate, final attempts", rate_in_words(told["pass_rate"]["final"])),
        ("time to green", _to_green(told["time_to_green"])),
        ("trend", told["trend"]["text"] if told["trend"] else "not measured"),
        ("auto-fix success rate", rate_in_words(told["auto_fix_success_rate"])),
    ]
    if told["missing"]:
        lines.append(("not known", "; ".join(told["missing"])))
    title = f"CI of {one_line(told['repository'], _TITLE)}"
    return Section("details", title, details=tuple(Detail(name, one_line(text)) for name, text in lines))


def _to_green(told: Data) -> str:
    if told["state"] != "measured":
        return f"{told['state']}{': ' + told['why'] if told['why'] else ''}"
    return f"median {duration(told['median'])}, mean {duration(told['mean'])}, n={told['n']}"
