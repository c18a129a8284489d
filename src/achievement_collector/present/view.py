"""What every document says, worked out once: sections of entries of lines, for one reader.

Markdown, HTML and PDF are three ways to lay out the same :class:`Document`, so that they cannot differ in fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from achievement_collector.derive.conclusions import (
    Achievement,
    AchievementKind,
    Category,
    Evidence,
    MeasuredSeries,
    Record,
    ValueKind,
)
from achievement_collector.present.kpi_charts import KpiChart
from achievement_collector.present.personas import Persona
from achievement_collector.present.printable import one_line, printable
from achievement_collector.present.wording import (
    has_gaps,
    periods,
    plural,
    role_in_words,
    size_in_words,
    value_in_words,
)

_MOST_SKILLS = 24
_MOST_RELEASES = 12
_MOST_EVIDENCE = 6
_MOST_MONTHS = 120  # above it years are drawn
_SURE = 0.6


@dataclass(frozen=True, slots=True)
class Link:
    """A text with an address that shows it; ``url`` is empty or begins with http:// or https://."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """A named line below an entry."""

    name: str
    text: str = ""
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One achievement as its reader sees it."""

    id: str
    title: str
    url: str
    day: str
    tag: str  # the category in the reader's words
    score: str  # such as "impact 82", empty where none is shown
    description: str
    details: tuple[Detail, ...]
    mark: str = ""  # "stated by a person" and the like


@dataclass(frozen=True, slots=True)
class Section:
    """``kind`` tells the layout: text, entries, details, bars, months, skills, charts; any other is a table."""

    kind: str
    title: str
    note: str = ""
    lines: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    bars: tuple[tuple[str, int], ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    charts: tuple[KpiChart, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A record for one reader, ready to be laid out."""

    title: str
    subject: str
    subtitle: str
    generated: str
    sections: tuple[Section, ...] = field(default=())


def build(record: Record, persona: Persona, *, emails: bool = False) -> Document:
    """The document of a record for a reader."""
    subject = (
        one_line(record.person)
        or ", ".join(one_line(place.key) for place in record.repositories[:3])
        or "Everything"
    )
    if emails and record.email:
        subject += f" <{one_line(record.email)}>"
    makers = {
        "summary": _summary,
        "highlights": _highlights,
        "releases": _releases,
        "measured": _measured,
        "gathered": _gathered,
        "skills": _skills,
        "activity": _activity,
        "categories": _categories,
        "value": _value,
        "method": _method,
    }
    sections = (makers[name](record, persona) for name in persona.sections)
    return Document(
        persona.title,
        subject,
        f"for {persona.reader}: {one_line(record.selection)}",
        record.generated.strftime("%Y-%m-%d"),
        tuple(section for section in sections if section is not None),
    )


def _summary(record: Record, persona: Persona) -> Section:
    releases = sum(one.kind is AchievementKind.RELEASE for one in record.achievements)
    apart = releases if "releases" in persona.sections else 0
    shown = len(record.achievements) - apart
    lines = []
    which = ""
    if shown + apart < record.matching:
        newest = min(apart, _MOST_RELEASES)
        beside = f" and the newest {newest} releases" if newest > 1 else " and one release" if newest else ""
        which = f", the {shown:,} first by {persona.order}{beside} shown here"
    lines.append(f"{plural(record.matching, 'achievement')}{which}.")
    if record.months:
        lines.append(f"From {record.months[0][0]} to {record.months[-1][0]} (months in UTC).")
    for place in record.repositories[:8]:
        known = "known from its forge alone, its git history was not read"
        if place.commits:
            known = f"{plural(place.commits, 'commit')} in its history, {place.first} to {place.last}"
        lines.append(f"{one_line(place.key)}: {known}.")
    if len(record.repositories) > 8:
        lines.append(f"And {len(record.repositories) - 8} more repositories.")
    return Section("text", "In short", lines=tuple(lines))


def ordered(achievements: Sequence[Achievement], persona: Persona) -> list[Achievement]:
    """The achievements in the reader's order; equal ones stay as they were."""
    if persona.order == "complexity":
        return sorted(achievements, key=lambda one: -one.complexity.value)
    if persona.order == "newest":
        return sorted(achievements, key=lambda one: one.occurred, reverse=True)
    return list(achievements)


def _highlights(record: Record, persona: Persona) -> Section | None:
    listed = [
        one
        for one in ordered(record.achievements, persona)
        if one.kind is not AchievementKind.RELEASE or "releases" not in persona.sections
    ]
    entries = tuple(_entry(one, record, persona) for one in listed)
    return Section("entries", persona.highlights, entries=entries) if entries else None


def _entry(one: Achievement, record: Record, persona: Persona) -> Entry:
    url = next((safe_url(item.url) for item in one.evidence if safe_url(item.url)), "")
    wanted = persona.details
    score = ""
    if persona.score:
        chosen = one.complexity if persona.score == "complexity" else one.impact
        score = f"{persona.score} {chosen.value}" if chosen.parts else ""
    details = [
        detail
        for name in wanted
        for detail in _details(name, one, record, persona)
        if detail.text or detail.links
    ]
    mark = ""
    if one.kind is AchievementKind.STATED:
        mark = "stated by a person, seen by no tool"
    elif one.edited:
        mark = f"edited by hand: {', '.join(one.edited)}"
    return Entry(
        one.id,
        one_line(one.title),
        url,
        one.occurred.date().isoformat(),
        _tag(one, persona),
        score,
        # what moved a KPI, or that it is not known, goes with every word about it
        printable(one.description) if "description" in wanted or one.kind is AchievementKind.KPI else "",
        tuple(details),
        mark,
    )


def _tag(one: Achievement, persona: Persona) -> str:
    """The category in the reader's words; where the rule is not sure, it says so."""
    call = one.category
    word = persona.category(call.category.value)
    return f"probably {word}" if call.confidence < _SURE and call.category is not Category.UNSURE else word


def _details(name: str, one: Achievement, record: Record, persona: Persona) -> list[Detail]:
    match name:
        case "people":
            alone = len(one.credits) == 1 and one.credits[0].person == record.person
            return (
                []
                if alone
                else [Detail("people", one_line(", ".join(role_in_words(c) for c in one.credits[:6])))]
            )
        case "size":
            return [Detail("size", size_in_words(one))] if one.kind is AchievementKind.CHANGE else []
        case "category":
            others = ", ".join(persona.category(label.value) for label in one.category.labels[1:])
            if one.category.category is Category.UNSURE:
                return [Detail("category", f"unsure: {one_line(one.category.basis)}")]
            return [Detail("also", others)]
        case "skills":
            return [Detail("skills", one_line(", ".join(skill.name for skill in one.skills[:10])))]
        case "skills_plain":
            return [Detail("skills shown", one_line(", ".join(skill.name for skill in one.skills[:6])))]
        case "value":
            return (
                []
                if one.value.kind is ValueKind.NOT_MEASURED
                else [Detail("value", one_line(value_in_words(one.value)))]
            )
        case "release":
            is_change = one.kind is AchievementKind.CHANGE
            return (
                [Detail("first released in", one_line(one.released_in))]
                if is_change and one.released_in
                else []
            )
        case "evidence":
            links = tuple(
                Link(one_line(_evidence_in_words(item)), safe_url(item.url))
                for item in one.evidence[:_MOST_EVIDENCE]
            )
            return [Detail("evidence", links=links)]
        case "link":
            first = one.evidence[0] if one.evidence else None
            if first is None:
                return []
            return [
                Detail("evidence", links=(Link(one_line(_evidence_in_words(first)), safe_url(first.url)),))
            ]
        case "breakdown":
            chosen = one.complexity if persona.score == "complexity" else one.impact
            parts = "; ".join(f"{part.name} {part.points:.1f} ({part.fact})" for part in chosen.parts)
            return [Detail(f"{persona.score} {chosen.value} is", one_line(parts))]
        case "assisted":
            return [Detail("assisted by", one_line(", ".join(one.assisted_by)))]
    return []


def _newest_releases(record: Record) -> list[Achievement]:
    found = [one for one in record.achievements if one.kind is AchievementKind.RELEASE]
    return sorted(found, key=lambda one: one.occurred, reverse=True)


def _shown(record: Record, persona: Persona) -> list[Achievement]:
    """The achievements that a document of this reader lists: where releases stand apart, the newest of them."""
    if "releases" not in persona.sections:
        return list(record.achievements)
    listed = [one for one in record.achievements if one.kind is not AchievementKind.RELEASE]
    return listed + _newest_releases(record)[:_MOST_RELEASES]


def _releases(record: Record, persona: Persona) -> Section | None:
    found = _newest_releases(record)
    if not found:
        return None
    rows = []
    for one in found[:_MOST_RELEASES]:
        changes = next((item.value for item in one.evidence if item.kind == "count"), "")
        told = plural(int(changes), "counted change") if changes.isdecimal() else ""
        rows.append((one.occurred.date().isoformat(), one_line(one.title), told))
    note = f"The newest {len(rows)} of {len(found)} shown." if len(found) > len(rows) else ""
    return Section("rows", "Releases", note, rows=tuple(rows), columns=("day", "release", "gathers"))


def _measured(record: Record, persona: Persona) -> Section | None:
    return measured_section(record.measured)


def measured_section(found: Sequence[MeasuredSeries]) -> Section | None:
    """Charts of series; None where there is none."""
    drawn = [f"{one_line(one.title)} is drawn as {one_line(one.drawn_as)}." for one in found if one.drawn_as]
    what = " ".join(["Times are UTC.", *drawn] if drawn else ["The series as they were recorded, in UTC."])
    note = f"{what} That a deployment came at the time of a change does not make it the cause."
    charts = tuple(
        KpiChart(
            f"{one_line(one.title)} ({one_line(one.name)})", one_line(one.unit), one.points, one.target, one.usual,
            tuple((at, one_line(text)) for at, text in one.change_points),
            tuple((at, one_line(text)) for at, text in one.deployments), one.before_median, one.after_median,
            one_line(one.drawn_as),
        )
        for one in found
    )  # fmt: skip
    return Section("charts", "Measured", note, charts=charts) if charts else None


def _gathered(record: Record, persona: Persona) -> Section | None:
    """Epics and deployments, the newest first."""
    rows = [
        (one.occurred.date().isoformat(), one.kind.value, one_line(one.title))
        for one in record.gathered[:_MOST_RELEASES]
    ]
    if not rows:
        return None
    more = len(record.gathered) - len(rows)
    note = "They gather achievements that are counted already." + (
        f" {more} more are not listed." if more else ""
    )
    return Section("rows", "Epics and deployments", note, rows=tuple(rows), columns=("day", "kind", "title"))


def _skills(record: Record, persona: Persona) -> Section | None:
    if not record.skills:
        return None
    rows = tuple(
        (one_line(skill.name), skill.kind.value, f"{skill.achievements:,}", skill.first, skill.last)
        for skill in record.skills[:_MOST_SKILLS]
    )
    more = len(record.skills) - len(rows)
    note = "Each is shown by files, manifests or words of the achievements counted beside it."
    return Section(
        "skills", "Skills", note + (f" {more} more are not listed." if more > 0 else ""), rows=rows,
        columns=("skill", "kind", "achievements", "first shown", "last shown"),
    )  # fmt: skip


def _activity(record: Record, persona: Persona) -> Section | None:
    if not record.months:
        return None
    rows, unit = periods(record.months, _MOST_MONTHS)
    note = f"Achievements a {unit}, all that match; {unit}s in UTC."
    if has_gaps(rows, unit):
        note += f" {unit.capitalize()}s without any are left out."
    return Section("months", "Activity", note, bars=rows, columns=(unit, "achievements"))


def _categories(record: Record, persona: Persona) -> Section | None:
    if not record.categories:
        return None
    bars = tuple((persona.category(name), count) for name, count in record.categories)
    note = "All achievements that match, by category."
    return Section("bars", "Kinds of work", note, bars=bars, columns=("kind", "achievements"))


def _value(record: Record, persona: Persona) -> Section:
    shown = _shown(record, persona)
    told = [one for one in shown if one.value.kind is not ValueKind.NOT_MEASURED]
    silent = len(shown) - len(told)
    lines = [f"{one_line(one.title)}: {one_line(value_in_words(one.value))}" for one in told]
    if silent:
        what = "achievement shown here" if silent == 1 else "achievements shown here"
        lines.append(f"Of {silent:,} {what} the business value was not measured.")
    return Section(
        "text",
        "Business value",
        "Measured, derived by the formula shown, or stated by a person.",
        lines=tuple(lines),
    )


def _method(record: Record, persona: Persona) -> Section:
    lines = [
        f"Drawn from version control by fixed rules (version {record.rules_version}); "
        "every entry can be checked at its evidence.",
        f"Left out of this selection by the rules: {record.left_out:,} (too small, generated, moved, reverted, copied, not "
        f"merged, credited elsewhere, not for the better), {record.bots_left_out:,} of them made by programs.",
    ]
    if persona.score:
        lines.append(
            "Scores belong to achievements, not to people: 0 to 100, the sum of the named parts, scaled inside a repository."
        )
    return Section("text", "How this was made", lines=tuple(lines))


def safe_url(url: str) -> str:
    """``url`` where it is a plain web address, else nothing."""
    plain = printable(url)
    is_safe = plain.startswith(("https://", "http://")) and not any(c in plain for c in " \"'<>\\^`{|}\n\t")
    return plain if is_safe else ""


def _evidence_in_words(item: Evidence) -> str:
    """A fact in a few words: measures in their own, others by what names them."""
    if item.kind in ("measure", "lead time", "reviews"):
        number = f" {item.value} {item.unit}".rstrip() if item.value else ""
        return f"{item.label}{number}" if item.kind != "reviews" else item.label
    return (
        f"{item.kind} {item.reference[:12] if item.kind in ('commit', 'merge') else item.reference}".strip()
    )
