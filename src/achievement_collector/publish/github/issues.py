"""Issues and milestones as the two-way sync sees them: canonical values out of GitHub's bodies, and requests out of values.

The text of people is followed by a sentence of the program's, where there is one, and by a marker with the sync key, which
GitHub does not show::

    <!-- roadmap-sync:KEY -->

What of a status GitHub has no word for is carried by a label (``status: blocked``); labels that a select in Notion cannot hold
(with a comma, or too long) are GitHub's alone and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from achievement_collector.derive.merging import (
    BLOCKED,
    COMPLETED,
    IN_PROGRESS,
    NOT_PLANNED,
    OPEN,
    PLANNED,
    FieldKind,
    Side,
    Value,
    canonical,
    labels,
)
from achievement_collector.derive.sync_plan import KEY, NOTICE, NOTICES, Item
from achievement_collector.sources.bodies import Body

_MARKER = re.compile(r"[ \t]*<!--\s*roadmap-sync:([^\s>]{1,300}?)\s*-->[ \t]*")
_STATUS_LABELS = {"planned": PLANNED, "in progress": IN_PROGRESS, "blocked": BLOCKED}
_STATUS_LABEL = re.compile(r"status:\s*(planned|in progress|blocked)", re.IGNORECASE)
_LONGEST_OPTION = 100  # of a select in Notion
_PACIFIC = ZoneInfo("America/Los_Angeles")
"""A milestone's due date is kept as a day of this zone."""

WRITABLE = {
    "issue": ("title", "status", "notes", "labels"),
    "milestone": ("title", "status", "notes", "target"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item lies: ``issue/12/<node id>``, followed by ``/owner/name`` where that is another repository than the
    synchronised one."""

    kind: str
    number: int
    node: str
    repository: str = ""

    @property
    def id(self) -> str:
        return "/".join(filter(None, (self.kind, str(self.number), self.node, self.repository)))

    def path(self, repository: str) -> str:
        return f"/repos/{self.repository or repository}/{self.kind}s/{self.number}"


def read_place(told: str) -> Place:
    """The place that an id names."""
    kind, number, node, *repository = told.split("/", 3)
    return Place(kind, int(number), node, *repository)


# --- out of GitHub's bodies --------------------------------------------------------------------------


def split_text(raw: str) -> tuple[str, str, str]:
    """(people's text, the notice, the sync key) of a body or a description."""
    keys: list[str] = []
    notices: list[str] = []
    kept: list[str] = []
    for line in raw.replace("\r\n", "\n").split("\n"):
        found = _MARKER.findall(line)
        keys += found
        rest = _MARKER.sub("", line) if found else line
        if rest.strip() in NOTICES:
            notices.append(rest.strip())
        elif rest.strip() or not found:
            kept.append(rest)
            continue
        if kept and not kept[-1].strip():
            kept.pop()  # the empty line that stands before it
    return "\n".join(kept).rstrip(), (notices or [""])[-1], (keys or [""])[-1]


def joined_text(text: str, notice: str, key: str) -> str:
    """The body that :func:`split_text` takes apart."""
    marker = f"<!-- roadmap-sync:{key} -->" if key else ""
    return "\n\n".join(filter(None, (text.rstrip(), notice, marker)))


def item_of(kind: str, body: Body, own: str, wanted_label: str, elsewhere: str = "") -> Item | None:
    """The item that GitHub's body of an issue or a milestone tells; None where it is a pull request or has no identity.
    ``own`` is the key that it would be given; an issue is wanted in Notion where it carries ``wanted_label``."""
    number, node = body.whole("number"), body.text("node_id", 200)
    if number is None or not node or body.inner("pull_request"):
        return None
    is_issue = kind == "issue"
    text, notice, key = split_text(body.text("body" if is_issue else "description", 300_000))
    is_open = body.text("state") == "open"
    names = label_names(body)
    values: dict[str, Value] = {
        KEY: key, NOTICE: notice,
        "title": canonical(FieldKind.LINE, body.text("title", 1000)),
        "notes": canonical(FieldKind.TEXT, text),
        "status": _status(is_open, body.text("state_reason"), names),
    }  # fmt: skip
    if is_issue:
        values["labels"] = labels(name for name in names if is_shared(name))
    else:
        values["target"] = _due(body)
    folded = {name.casefold() for name in names}
    is_wanted = is_open and (not is_issue or wanted_label.casefold() in folded)
    label = f"{'#' if is_issue else 'milestone '}{number} {values['title']}"
    return Item(Side.GITHUB, Place(kind, number, node, elsewhere).id, kind, values, label, "", is_wanted, own)


def label_names(body: Body) -> list[str]:
    """The names of an issue's labels, which GitHub tells as objects or as texts."""
    raw = body.data.get("labels")
    found = []
    for one in raw if isinstance(raw, list) else ():
        name = one if isinstance(one, str) else Body(one).text("name", 1000)
        if name:
            found.append(name)
    return found


def is_shared(name: str) -> bool:
    """Whether a label is one of those that both sides have."""
    return not _STATUS_LABEL.fullmatch(name) and "," not in name and len(name) <= _LONGEST_OPTION


def _status(is_open: bool, reason: str, names: Iterable[str]) -> str:
    if not is_open:
        return NOT_PLANNED if reason in ("not_planned", "duplicate") else COMPLETED
    told = {_STATUS_LABELS[found[1].casefold()] for name in names if (found := _STATUS_LABEL.fullmatch(name))}
    return told.pop() if len(told) == 1 else OPEN  # several say nothing for certain


def _due(body: Body) -> str | None:
    at = body.moment("due_on")
    return (
        None if at is None else datetime.fromtimestamp(at / 1000, UTC).astimezone(_PACIFIC).date().isoformat()
    )


# --- requests ----------------------------------------------------------------------------------------


def creation(kind: str, values: Mapping[str, Value]) -> dict[str, Any]:
    """The body of a request that makes an item. GitHub makes open ones only."""
    text = joined_text(str(values.get("notes") or ""), str(values.get(NOTICE) or ""), str(values[KEY]))
    told: dict[str, Any] = {"title": values.get("title") or ""}
    if kind == "issue":
        shared = values.get("labels")
        names = list(shared) if isinstance(shared, tuple) else []
        return told | {"body": text, "labels": names + _status_label(values.get("status"))}
    told |= {"description": text}
    if values.get("target"):
        told["due_on"] = _due_on(values["target"])
    return told


def change(kind: str, present: Body, values: Mapping[str, Value]) -> dict[str, Any]:
    """The body of a request that gives an item values; what is not in them stays as ``present`` has it."""
    field = "body" if kind == "issue" else "description"
    told: dict[str, Any] = {}
    if "title" in values:
        told["title"] = values["title"]
    if values.keys() & {"notes", NOTICE, KEY}:
        text, notice, key = split_text(present.text(field, 300_000))
        text = str(values["notes"] or "") if "notes" in values else text
        told[field] = joined_text(
            text, str(values.get(NOTICE, notice) or ""), str(values.get(KEY, key) or "")
        )
    if "target" in values:
        told["due_on"] = _due_on(values["target"]) if values["target"] else None
    if "status" in values:
        status = values["status"]
        told["state"] = "closed" if status in (COMPLETED, NOT_PLANNED) else "open"
        if kind == "issue" and told["state"] == "closed":
            told["state_reason"] = "completed" if status == COMPLETED else "not_planned"
    if kind == "issue" and values.keys() & {"status", "labels"}:
        told["labels"] = _labels(present, values)
    return told


def _labels(present: Body, values: Mapping[str, Value]) -> list[str]:
    names = label_names(present)
    kept = [name for name in names if not is_shared(name) and not _STATUS_LABEL.fullmatch(name)]
    wanted = values.get("labels")
    shared = list(wanted) if isinstance(wanted, tuple) else [name for name in names if is_shared(name)]
    if "status" in values:
        return kept + shared + _status_label(values["status"])
    return kept + shared + [name for name in names if _STATUS_LABEL.fullmatch(name)]


def _status_label(status: Value) -> list[str]:
    return [f"status: {str(status).casefold()}"] if status in (IN_PROGRESS, BLOCKED) else []


def _due_on(day: Value) -> str:
    return f"{day}T12:00:00Z"  # noon is the same day in the zone that GitHub keeps
