"""What has to be written so that Notion shows what is known here: decided from values, without asking anybody.

Computed fields are written over, whatever stands there. Fields that people edit too (name, status, target date, notes) follow
the three-way rule: they are written where they are empty, or where Notion still holds what was written last; where people
changed them they stay, and it is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from achievement_collector.publish.notion.blocks import Block
from achievement_collector.publish.notion.schema import Table
from achievement_collector.publish.notion.values import Plain, UnwritableError, clean, plain_of


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report for Notion. ``key`` tells it from all others for ever (repository and ISO week); ``period`` is in days,
    ``auto_fix_rate`` 0-1, ``mttr`` in minutes; ``content`` is the summary, ``markdown`` all of it. None was not measured.
    ``earlier`` are keys that it may have had before (the repository was renamed)."""

    key: str
    name: str
    date: date | None
    period: float | None
    markdown: str
    total_failures: int | None = None
    auto_fix_rate: float | None = None
    mttr: float | None = None
    top_category: str | None = None
    content: str | None = None
    link: str | None = None
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoadmapRow:
    """A milestone for Notion. ``key`` tells it from all others for ever; ``progress``, ``pass_rate`` and ``auto_fix`` are
    0-1, ``mttr`` is in minutes; ``report_key`` names the newest report. None is not known, or was not measured. The
    fields in ``left`` are the two-way sync's to write. ``markdown`` is what is computed and told in words: the text
    of the row's page and never ``notes``, which are people's and go on to GitHub. ``earlier`` as a report has it."""

    key: str
    name: str
    target: date | None = None
    status: str | None = None
    progress: float | None = None
    pass_rate: float | None = None
    auto_fix: float | None = None
    mttr: float | None = None
    trend: str | None = None
    pull: str | None = None
    notes: str | None = None
    report_key: str | None = None
    left: frozenset[str] = frozenset()
    markdown: str | None = None
    earlier: tuple[str, ...] = ()


_NOT_FIELDS = {"key", "markdown", "report_key", "earlier", "left"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one row has to hold, in the plain form of its columns. ``report`` is the key of the report that the row leads to,
    ``blocks`` the text of its page, None where the text is not ours at all. A row with one of the ``earlier`` keys is this
    one."""

    key: str
    name: str
    values: Mapping[str, Plain]
    report: str = ""
    blocks: tuple[Block, ...] | None = None
    notices: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of a row: ``sent`` is what was last wanted, ``got`` what Notion made of it, by field."""

    page: str = ""
    sent: Mapping[str, Plain] = field(default_factory=dict)
    got: Mapping[str, Plain] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Any) -> Kept:
        return cls(told["page"], told["sent"], told["got"]) if isinstance(told, dict) else cls()

    def data(self) -> dict[str, Any]:
        return {"page": self.page, "sent": dict(self.sent), "got": dict(self.got)}


@dataclass(frozen=True, slots=True)
class Operation:
    """One step. ``action`` is create, update or text (of its page); ``page_id`` is empty where the page is made by
    an earlier step; ``values`` are written, ``before`` is what stands there now; ``report`` is the key of a report that an
    earlier step makes and that the row then leads to; ``digest`` is that of the text."""

    action: str
    table: str
    key: str
    name: str
    page_id: str = ""
    values: Mapping[str, Plain] = field(default_factory=dict)
    before: Mapping[str, Plain] = field(default_factory=dict)
    report: str = ""
    digest: str = ""

    def data(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in told.items()
            if value
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered steps. ``skipped`` are (name, reason) of what is left alone, ``notices`` what is worth a word; ``agreed``
    is what applying the plan will remember of rows that are as they should be, by name."""

    operations: tuple[Operation, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()
    agreed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """What tells this plan from every other: 16 hexadecimal digits."""
        text = json.dumps([one.data() for one in self.operations], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def wanted_of(table: Table, told: ReportPage | RoadmapRow, blocks: tuple[Block, ...] | None = None) -> Wanted:
    """What a row of ``table`` has to hold to say what ``told`` says. A value that its property cannot hold is left out."""
    values: dict[str, Plain] = {}
    notices: list[str] = []
    for key in told.__dataclass_fields__:
        column = table.columns.get(key)
        if key in _NOT_FIELDS or column is None:
            continue
        if isinstance(told, RoadmapRow) and key in told.left:
            continue
        value = getattr(told, key)
        try:
            values[key] = plain_of(column, value.isoformat() if isinstance(value, date) else value)
        except UnwritableError as error:
            notices.append(f"{told.name}: {error}")
    values["sync_key"] = clean(told.key).strip()
    report = told.report_key or "" if isinstance(told, RoadmapRow) and "report" in table.columns else ""
    return Wanted(told.key, told.name, values, report, blocks, tuple(notices), told.earlier)


def decide(
    table: Table, wanted: Wanted, there: Mapping[str, Plain], kept: Kept
) -> tuple[dict[str, Plain], list[str]]:
    """(the values to write into a row that is there, what is worth a word)."""
    values: dict[str, Plain] = {}
    notices: list[str] = []
    for key, want in wanted.values.items():
        column = table.columns.get(key)
        now = there.get(key)
        if column is None or is_agreed(key, want, now, kept):
            continue
        is_known = key in kept.got
        if column.field.is_ours:
            values[key] = want
            if is_known and now != kept.got[key]:
                notices.append(
                    f"{wanted.name}: {column.name} was changed in Notion to {shown(now)}; "
                    f"it is computed, so it becomes {shown(want)} again"
                )
        elif is_known and now == kept.got[key]:
            values[key] = want
        elif is_known and kept.sent.get(key) == want:
            continue  # changed by people alone: theirs to keep, and the two-way sync's to carry on
        elif not is_known and now is None:
            values[key] = want
        elif want is not None:
            notices.append(
                f"{wanted.name}: {column.name} is {shown(now)} in Notion and {shown(want)} here; it stays as people wrote it"
            )
    return values, notices


def is_agreed(key: str, want: Plain, now: Plain, kept: Kept) -> bool:
    """Whether a field needs no write: it holds what it should, or what Notion made of just that."""
    if want == now:
        return True
    return key in kept.got and kept.sent.get(key) == want and kept.got[key] == now


def kept_after(
    wanted: Wanted, page_id: str, there: Mapping[str, Plain], kept: Kept, written: Mapping[str, Plain]
) -> Kept:
    """What to remember of a row as it is now, after ``written`` was written to it. Of a field on which both do not agree
    the older state stays remembered."""
    sent, got = dict(kept.sent), dict(kept.got)
    for key, want in wanted.values.items():
        if key in written or is_agreed(key, want, there.get(key), kept):
            sent[key], got[key] = want, there.get(key)
    return Kept(page_id, sent, got)


def shown(value: Plain) -> str:
    """A value in a message: short, and never more than a line."""
    if value is None:
        return "empty"
    text = " ".join(str(value).split())
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"' if isinstance(value, str) else text
