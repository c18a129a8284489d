"""A document as Markdown (CommonMark with tables)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from achievement_collector.present.kpi_charts import KpiChart, described, legend
from achievement_collector.present.view import Detail, Document, Entry, Link, Section

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$])")
_AT_START = re.compile(r"^(\s*)([#+=-]|\d+[.)])(?=\s|$)")


def markdown(document: Document) -> str:
    lines = [
        f"# {_plain(document.title)}: {_plain(document.subject)}",
        "",
        f"*{_plain(document.subtitle)}*",
        "",
    ]
    for section in document.sections:
        lines += [f"## {_plain(section.title)}", ""]
        if section.note:
            lines += [_plain(section.note), ""]
        lines += _section(section)
    lines.append(f"Generated {document.generated}.")
    return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    if section.kind == "text":
        return [f"- {_plain(line)}" for line in section.lines] + [""]
    if section.kind == "entries":
        return [line for entry in section.entries for line in _entry(entry)]
    if section.kind == "charts":
        return [line for chart in section.charts for line in _chart(chart)]
    if section.kind == "details":
        return [*_details(section.details), ""]
    rows = section.rows or tuple((name, f"{count:,}") for name, count in section.bars)
    table = ["| " + " | ".join(section.columns) + " |", "|" + " --- |" * len(section.columns)]
    table += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]
    return [*table, ""]


def _chart(chart: KpiChart) -> list[str]:
    """A chart in words."""
    lines = [f"### {_plain(chart.title)}", "", _plain(described(chart)), ""]
    entries = legend(chart)
    return [
        *lines,
        *(f"- {one.mark}: {_plain(one.when)} {_plain(one.text)}" for one in entries),
        *([""] if entries else []),
    ]


def _entry(entry: Entry) -> list[str]:
    title = _link(Link(entry.title, entry.url))
    facts = " · ".join(part for part in (entry.day, entry.tag, entry.score, f"`{entry.id}`") if part)
    lines = [f"### {title}", "", facts, ""]
    if entry.mark:
        lines += [f"*{_plain(entry.mark)}*", ""]
    if entry.description:
        lines += [f"> {_plain(line)}".rstrip() for line in entry.description.split("\n")] + [""]
    lines += _details(entry.details)
    if entry.details:
        lines.append("")
    return lines


def _details(details: Sequence[Detail]) -> list[str]:
    lines = []
    for detail in details:
        text = ", ".join(_link(link) for link in detail.links) if detail.links else _plain(detail.text)
        lines.append(f"- **{_plain(detail.name)}:** {text}")
    return lines


def _link(link: Link) -> str:
    text = _plain(link.text)
    return f"[{text}](<{link.url}>)" if link.url else text


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;"))
    text = re.sub(r"(?<![\w])(https?)://", r"\1&#58;//", text)  # no link that we did not make
    return _AT_START.sub(lambda match: f"{match[1]}\\{match[2]}" if not match[2][0].isdigit()
                         else f"{match[1]}{match[2][:-1]}\\{match[2][-1]}", text)  # fmt: skip
