"""Reports laid out: Markdown, HTML or PDF of one document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from achievement_collector.derive.failures.drafting import last_lines
from achievement_collector.errors import ConfigurationError
from achievement_collector.present.printable import one_line
from achievement_collector.present.view import Detail, Document, Entry, Link, Section, safe_url
from achievement_collector.present.wording import places_in_words, plural

REPORT_FORMATS = ("markdown", "html", "pdf", "json")
Data = Mapping[str, Any]

_LONGEST = 200
_UNKNOWN_LINES = 5
_MOST_DAYS = 93  # more bars cannot be told apart


def render_report(data: Data, format: str) -> bytes:
    """The bytes of a report. Raises :class:`ConfigurationError` for other formats."""
    if format not in REPORT_FORMATS:
        raise ConfigurationError(
            f"a report is not made as {format!r}; choose from {', '.join(REPORT_FORMATS)}"
        )
    if format == "json":
        return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
    if data["kind"] == "quarterly":
        from achievement_collector.present.quarterly_reports import quarterly_document

        document = quarterly_document(data)
    else:
        document = weekly_document(data)
    match format:
        case "markdown":
            from achievement_collector.present.markdown import markdown

            return markdown(document).encode()
        case "html":
            from achievement_collector.present.html import html

            return html(document).encode()
        case _:
            from achievement_collector.present.pdf import pdf

            return pdf(document)


def weekly_document(data: Data) -> Document:
    period = data["analysis_period"]
    named = f"week {period['week']}" if period["week"] else "a period"
    state = "frozen" if data.get("is_frozen") else "not over" if not data["is_complete"] else "a draft"
    sections = [
        _in_short(data), _pass_rates(data), _days(data), _categories(data), _clusters(data), _unknown(data),
        _recovery(data), _flaky(data), _definitions(data),
    ]  # fmt: skip
    return Document(
        "CI report", one_line(data["repository"]),
        f"{named}, {period['since'][:10]} to {period['until'][:10]} (UTC), {state}", data["as_of"][:10],
        tuple(one for one in sections if one is not None),
    )  # fmt: skip


def _in_short(data: Data) -> Section:
    """The documented fields."""
    fixes, mttr, top = data["auto_fix_success_rate"], data["average_mttr"], data["top_failure_category"]
    facts = [
        ("report date", data["report_date"]),
        ("analysis period", f"{data['analysis_period']['since']} to {data['analysis_period']['until']}"),
        ("total failures", _total(data)),
        ("auto-fix success rate", rate_in_words(fixes)),
        ("average MTTR", recovery_in_words(mttr)),
        ("top failure category", _top(top)),
        ("trend", data["trend"]["text"] if data["trend"] else "not measured"),
    ]
    if data["missing"] and data["total_failures"]["value"] is not None:
        facts.append(("not known" if data.get("is_frozen") else "not known yet", "; ".join(data["missing"])))
    compared = data.get("compared")
    if compared:
        facts.append(("against the one before", _differences(compared)))
    return Section("details", "In short", details=tuple(Detail(name, one_line(text)) for name, text in facts))


def summary_of(data: Data) -> str:
    """The documented fields of a weekly report, a line each."""
    return "\n".join(f"{one.name}: {one.text}" for one in _in_short(data).details)


def _total(data: Data) -> str:
    told = data["total_failures"]
    if told["value"] is None:
        return f"not measured: {'; '.join(data['missing'])}"
    before = f", {told['infrastructure']} of them before any job ran" if told["infrastructure"] else ""
    return f"{told['value']} of {plural(told['of'], 'attempt')}{before}"


def rate_in_words(told: Data) -> str:
    """``86.4 % (127 of 147, 95 % interval 80 to 91 %)``, or why there is none."""
    if told.get("value") is None:
        n = f" ({told['n']} known)" if told.get("n") else ""
        return f"{told.get('state') or 'not measured'}{n}{': ' + told['why'] if told.get('why') else ''}"
    interval = told.get("interval")
    ends = (
        f", 95 % interval {interval['low'] * 100:.0f} to {interval['high'] * 100:.0f} %" if interval else ""
    )
    part = told.get("passed", told.get("verified"))
    return (
        f"{told['value'] * 100:.1f} % ({part} of {told['n']}{ends})"
        if part is not None
        else f"{told['value'] * 100:.1f} %"
    )


def recovery_in_words(told: Data) -> str:
    if told["value"] is None:
        text = f"{told['state']}{': ' + told['why'] if told['why'] else ''}"
    else:
        text = (
            f"{duration(told['value'])} (median {duration(told['median'])}, "
            f"90th percentile {duration(told['p90'])}, n={told['n']})"
        )
    return f"{text}; {plural(told['open'], 'spell')} still red" if told["open"] else text


def _top(told: Data) -> str:
    if told["value"] is None:
        return f"not known: {told['why']}"
    unknown = f", {told['unknown']} unknown" if told.get("unknown") else ""
    return f"{told['value']} ({told['failed_jobs']} of {told['of']} failed jobs{unknown})"


def _differences(compared: Data) -> str:
    parts = []
    if compared["total_failures"] is not None:
        parts.append(f"{compared['total_failures']:+.0f} failures")
    if compared["pass_rate_first"] is not None:
        parts.append(f"{compared['pass_rate_first'] * 100:+.1f} points of pass rate")
    if compared["average_mttr"] is not None:
        sign = "+" if compared["average_mttr"] > 0 else "-"
        parts.append(f"{sign}{duration(abs(compared['average_mttr']))} to green")
    if compared["auto_fix_success_rate"] is not None:
        parts.append(f"{compared['auto_fix_success_rate'] * 100:+.1f} points of auto-fixes")
    return ", ".join(parts) or "nothing that both tell"


def duration(seconds: float | None) -> str:
    """A duration in the unit that suits it."""
    if seconds is None:
        return "not known"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def _pass_rates(data: Data) -> Section:
    rows = [
        (
            "all workflows",
            rate_in_words(data["pass_rate"]["first"]),
            rate_in_words(data["pass_rate"]["final"]),
        )
    ]
    rows += [
        (one_line(one["name"] or one["path"], 80), rate_in_words(one["first"]), rate_in_words(one["final"]))
        for one in data["by_workflow"][:20]
    ]
    note = "First attempts, and final ones after re-runs; the difference is owed to re-runs."
    return Section(
        "rows", "Pass rate", note, rows=tuple(rows), columns=("workflow", "first attempts", "final attempts")
    )


def _days(data: Data) -> Section | None:
    days = data["failures_by_day"]
    if len(days) > _MOST_DAYS:
        return None
    bars = tuple((one["day"], one["failures"]) for one in days)
    if not any(count for _, count in bars):
        return None
    return Section(
        "months", "Failures by day", "Attempts that failed, by the day they ended (UTC).", bars=bars,
        columns=("day", "failures"),
    )  # fmt: skip


def _categories(data: Data) -> Section | None:
    bars = tuple((one["category"], one["failed_jobs"]) for one in data["categories"])
    if not bars:
        return None
    note = f"{plural(data['failed_jobs_explained'], 'failed job')}, by what their logs tell. Unknown is an answer."
    return Section("bars", "Why jobs failed", note, bars=bars, columns=("category", "failed jobs"))


def _clusters(data: Data) -> Section | None:
    rows = tuple(
        (
            f"{one['count']}", one["category"], one_line(one["signature"], _LONGEST), one["first_seen"][:10], one["cluster"],
        )
        for one in data["clusters"]
    )  # fmt: skip
    if not rows:
        return None
    more = data["clusters_in_all"] - len(rows)
    note = f"Failures with one signature together.{f' {more} more are not listed.' if more > 0 else ''}"
    return Section(
        "rows",
        "What failed most",
        note,
        rows=rows,
        columns=("times", "category", "signature", "first seen", "cluster"),
    )


def _unknown(data: Data) -> Section | None:
    """What no rule explains. Reports that were frozen before there was this section have none."""
    told = data.get("unknown")
    if not told or not told["clusters"]:
        return None
    more = told["clusters_in_all"] - len(told["clusters"])
    note = (
        f"{plural(told['failed_jobs'], 'failed job')} of which no rule tells why, most frequent first."
        f"{f' {more} more are not listed.' if more else ''} Name them with signatures of your own, YAML files in the folder of "
        "CI_SIGNATURES: achievement-collector ci failures --unknown gives one to begin with."
    )
    return Section(
        "entries", "Not explained", note, entries=tuple(_unknown_entry(one) for one in told["clusters"])
    )


def _unknown_entry(one: Data) -> Entry:
    newest = one["newest"]
    details = [
        Detail(f"line {line['number']}", one_line(line["text"], _LONGEST))
        for line in last_lines(newest["evidence"], _UNKNOWN_LINES)
    ]
    details.append(Detail("where", places_in_words(one)))
    details.append(Detail("its log", f"achievement-collector ci log {newest['job'].rpartition('/')[2]}"))
    said = one_line(newest["told"], _LONGEST)
    if one["is_in_green"]:
        said += " What its log shows also stands in logs of runs that passed."
    return Entry(
        one["cluster"], one_line(one["signature"], _LONGEST), "", "", plural(one["count"], "time"),
        f"first {one['first_seen'][:10]}, last {one['last_seen'][:10]}", said, tuple(details),
    )  # fmt: skip


def _recovery(data: Data) -> Section | None:
    found = data["open_spells"]
    if not found:
        return None
    details = tuple(
        Detail(
            one_line(f"{one['workflow']} on {one['branch']}", 100),
            links=(
                Link(
                    f"red for {duration(one['age'])}, since {one['began'][:16].replace('T', ' ')} UTC",
                    safe_url(one.get("url") or ""),
                ),
            ),
        )
        for one in found[:20]
    )  # fmt: skip
    return Section("details", "Still red", "In no average.", details=details)


def _flaky(data: Data) -> Section | None:
    found = data["flaky"].get("found", ())
    if not found:
        return None
    rows = tuple(
        (one_line(str(one["name"]), 100), str(one["level"]), _probability(one.get("probability")))
        for one in found[:20]
    )
    return Section(
        "rows",
        "Flaky",
        "Passed and failed on the same code.",
        rows=rows,
        columns=("job or test", "how sure", "fails"),
    )


def _probability(told: Any) -> str:
    if not isinstance(told, Mapping) or told.get("value") is None:
        return "not enough data"
    interval = told.get("interval")
    ends = f" ({interval['low'] * 100:.0f} to {interval['high'] * 100:.0f} %)" if interval else ""
    return f"{told['value'] * 100:.0f} %{ends}"


def _definitions(data: Data) -> Section:
    wanted = ("pass_rate_first", "pass_rate_final", "time_to_green", "flaky", "trend")
    lines = [f"Total failures: {data['total_failures']['definition']}."]
    lines += [data["definitions"][name] for name in wanted if name in data["definitions"]]
    return Section("text", "What the words mean", lines=tuple(one_line(line) for line in lines))
