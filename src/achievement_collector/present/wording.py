"""Words that every presenter uses for the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from achievement_collector.derive.conclusions import Achievement, BusinessValue, Credit, Role, ValueKind
from achievement_collector.present.printable import one_line

_LONGEST_PLACE = 200
_DETAILS = ("job", "annotation", "log")  # of CI, asked for run by run


def plural(count: int, noun: str, nouns: str = "") -> str:
    """``1 change``, ``2,345 changes``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def places_in_words(one: Mapping[str, Any], most: int = 5) -> str:
    """Where the failures of a cluster were: ``CI / test / Run tests (3)``."""
    told = [
        one_line(
            f"{' / '.join(filter(None, (place['workflow'], place['job'], place['step'])))} ({place['count']})",
            _LONGEST_PLACE,
        )
        for place in one["places"]
    ]
    more = len(told) - most
    return ", ".join(told[:most]) + (f" and {plural(more, 'more place')}" if more > 0 else "")


def left_out_in_words(count: int, by_programs: int) -> str:
    """What the rules leave out: changes, and issues that a pull request has done or nobody was assigned to."""
    return f"{count:,}, {by_programs:,} of them by programs"


def value_in_words(value: BusinessValue) -> str:
    """A business value with where it comes from; never more than was measured or said."""
    match value.kind:
        case ValueKind.NOT_MEASURED:
            return "not measured"
        case ValueKind.STATED:
            return f"“{value.text}” ({value.source})" if value.source else f"“{value.text}”"
        case ValueKind.DERIVED:
            inputs = ", ".join(f"{name} = {number}" for name, number in value.inputs)
            return f"{value.text} (derived: {value.formula}; {inputs})"
        case ValueKind.MEASURED:
            return f"{value.text} (measured: {value.source})"


def people_in_words(credits: Sequence[Credit], most: int = 3) -> str:
    """Who did it: names, the author with most commits first."""
    names = [
        f"{credit.person} (coincided)" if credit.role is Role.SHIPPED else credit.person for credit in credits
    ]
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def role_in_words(credit: Credit) -> str:
    if credit.role is Role.SHIPPED:
        return f"{credit.person} (shipped what it coincided with)"
    if credit.role is Role.RELEASER:
        return f"{credit.person} (tagged it)"
    commits = f", {plural(credit.commits, 'commit')}" if credit.commits else ""
    return f"{credit.person} ({credit.role.value}{commits})"


def size_in_words(achievement: Achievement) -> str:
    size = achievement.size
    if not size.is_measured:
        return f"not measured ({'the history is cut or damaged here' if achievement.commits else 'the forge told no size'})"
    if not size.lines and not size.lines_left_out:
        return "no changed lines that count"
    text = f"+{size.lines_added:,} −{size.lines_deleted:,} lines in {plural(size.files, 'file')}"
    if len(achievement.commits) > 1:
        text += f", {len(achievement.commits):,} commits added up"  # more than the net difference where they overlap
    if size.lines_left_out:
        reasons = ", ".join(f"{reason} {lines:,}" for reason, lines in size.left_out if lines)
        text += f"; not counted: {reasons}"
    return text


def periods(months: Sequence[tuple[str, int]], most: int = 48) -> tuple[tuple[tuple[str, int], ...], str]:
    """Months with their counts, joined to years where there are more than ``most``; and which of the two."""
    if len(months) <= most:
        return tuple(months), "month"
    years: dict[str, int] = {}
    for month, count in months:
        years[month[:4]] = years.get(month[:4], 0) + count
    return tuple(years.items()), "year"


def has_gaps(rows: Sequence[tuple[str, int]], unit: str) -> bool:
    """Whether months or years between the first and the last are not among ``rows``."""
    if not rows:
        return False
    first, last = (int(name[:4]) * 12 + int(name[5:7] or 1) for name in (rows[0][0], rows[-1][0]))
    return (last - first) // (12 if unit == "year" else 1) + 1 > len(rows)


def synced_in_words(done: object) -> str:
    """What a poll came to: counts of what was read and changed, and why it stopped, if it did."""
    from dataclasses import asdict, is_dataclass

    data = asdict(done) if is_dataclass(done) and not isinstance(done, type) else {}
    changed = {kind: count for kind, count in dict(data.get("changed") or {}).items() if count}
    told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in changed.items())
    details = {kind: count for kind in _DETAILS if (count := dict(data.get("read") or {}).get(kind))}
    parts = [f"changed: {told}"] if told else []
    if details:
        parts.append("read: " + ", ".join(plural(count, kind) for kind, count in details.items()))
    text = "; ".join(parts) or "nothing new"
    text += f" ({data.get('requests', 0):,} requests)"
    if data.get("stopped"):
        text += f"; stopped: {data['stopped']}"
    return text


def left_out_of_poll(done: object) -> list[str]:
    """What a poll could not read to its end, and where it is known why. That deliveries of webhooks could not be looked at is no
    loss: what they tell was polled."""
    skipped = getattr(done, "skipped", ())
    if not isinstance(skipped, Mapping):
        return [f"left out: {one}" for one in skipped]
    return [f"left out: {what}: {why}" for what, why in skipped.items() if what != "deliveries"]
