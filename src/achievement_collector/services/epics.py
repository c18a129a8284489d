"""Epics: rebuilt whenever something of theirs changed, finalised when they are complete, opened again by late news."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.ci_comparison import Measure, measures_after_merge, measures_of
from achievement_collector.derive.epic_achievements import conclude_epic
from achievement_collector.derive.epics import (
    Completion,
    CompletionRules,
    EpicFacts,
    PullInEpic,
    Rolled,
    build_epic,
    changes_between,
    completion,
    content_hash,
    iso,
)
from achievement_collector.derive.identity import AuthorRules
from achievement_collector.derive.merge_order import MergeOrder
from achievement_collector.derive.pull_authors import told_apart, work_of_pull
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger import epics as stored
from achievement_collector.ledger import work
from achievement_collector.ledger.entities import take_in, thing, things
from achievement_collector.ledger.epics import StoredEpic
from achievement_collector.ledger.gathered import rolled_by_uid, rolled_pulls
from achievement_collector.ledger.selection import credits_of
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import epics as epics_table
from achievement_collector.services.epic_index import EpicIndex
from achievement_collector.services.live import note_changes
from achievement_collector.services.outcomes import deployments_of, measured_shifts

PERSONAS = ("technical", "business", "leadership", "hr_manager", "tech_lead", "startup_ceo", "investor")
_TEXTS = frozenset(
    {"title", "description", "url", "linked_by", "impact"}
)  # an impact is read from texts and labels
_MOST_CHANGES = 60  # of one event that are kept
WITHDRAWN = "withdrawn"
"""The state of an epic that was final and to which nothing belongs any more: its revisions and its history stay."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An epic as its facts make it, worked out while others may write; ``before`` is how it stood."""

    before: StoredEpic | None
    facts: EpicFacts
    structure: dict[str, Any]
    standing: Completion
    changes: list[tuple[str, Any, Any]]
    final: Final | None
    lost: Conclusion | None = (
        None  # the achievement of a final version that stays, where it is to be made again
    )


@dataclass(frozen=True, slots=True)
class Final:
    """What a final version holds."""

    revision: int
    content_hash: str
    texts: Mapping[str, str]  # reader -> Markdown
    achievement: Conclusion


def prepare_epic(
    connection: Connection, key: str, settings: Settings, now: int, index: EpicIndex | None = None
) -> Prepared:
    """Builds an epic from its facts as they are now; nothing is written. ``index`` is one that was made for several epics; what
    changes after it was made marks the epic again."""
    before = stored.stored_epic(connection, key)
    if before is not None and before.key != key:
        before = None  # the same letters in another case: only people may write a key so
    facts = gather(connection, key, settings, index)
    structure = build_epic(facts)
    standing = completion(facts, completion_rules(settings))
    changes = changes_between(before.structure if before else None, structure)
    final = None
    digest = content_hash(structure)
    stands = (
        before
        and before.state == "completed"
        and (before.content_hash == digest or material_hash(before.structure) == material_hash(structure))
    )
    if before and stands:
        digest = before.content_hash  # that of its revision, which stays as it was frozen
    if standing.is_complete and not stands:
        final = _final(connection, before, facts, structure, standing, digest, settings, now)
    lost = None
    if (
        before
        and standing.is_complete
        and final is None
        and not conclusions.has_uid(connection, epic_uid(key))
    ):
        lost = _achievement(connection, facts, structure, before.finalised or now, before.revision, digest)
    return Prepared(before, facts, structure, standing, changes, final, lost)


def material_hash(structure: Mapping[str, Any]) -> str:
    """The hash of an epic without what is only worded differently: titles, descriptions, addresses, and what is read from
    such texts and from labels. A final epic stays final while it is the same; only another one makes a new revision."""
    deliverables, metrics = structure["deliverables"], structure["metrics"]
    evidence = structure["evidence"]
    technical = {name: value for name, value in metrics["technical"].items() if name != "skills"}
    return content_hash({
        **{name: value for name, value in structure.items() if name not in _TEXTS},
        "sources": [_without_texts(one) for one in structure["sources"]],
        "deliverables": {
            **{name: value for name, value in deliverables.items() if name != "features"},
            "pull_requests": [_without_texts(one) for one in deliverables["pull_requests"]],
            "issues": [_without_texts(one) for one in deliverables["issues"]],
        },
        "metrics": {**metrics, "technical": technical},
        "evidence": {"ci_reports": evidence["ci_reports"]},
        "milestones": [
            {name: value for name, value in one.items() if name != "name" or one["kind"] != "tracker"}
            for one in structure["milestones"]
        ],
    })  # fmt: skip


def _without_texts(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in _TEXTS}


def _achievement(
    connection: Connection,
    facts: EpicFacts,
    structure: dict[str, Any],
    finalised: int,
    revision: int,
    digest: str,
) -> Conclusion:
    gathered = gathered_by(connection, facts)
    credited = credits_of(connection, [one.id for one in gathered if one.is_counted])
    return conclude_epic(structure, gathered, credited, finalised, revision, digest)


def _final(
    connection: Connection,
    before: StoredEpic | None,
    facts: EpicFacts,
    structure: dict[str, Any],
    standing: Completion,
    digest: str,
    settings: Settings,
    now: int,
) -> Final:
    from achievement_collector.present.epics import render_epic
    from achievement_collector.present.personas import persona

    revision = _last_revision(connection, before, facts.key) + 1
    texts = {
        name: render_epic(
            structure, persona(name), "markdown", status="final", revision=revision, unmet=standing.unmet,
            generated=iso(now) or "", refuse=False,
        ).decode()
        for name in settings.personas or PERSONAS
    }  # fmt: skip
    return Final(revision, digest, texts, _achievement(connection, facts, structure, now, revision, digest))


def _last_revision(connection: Connection, before: StoredEpic | None, key: str) -> int:
    """The number of the last final version; one that was withdrawn and came back goes on counting."""
    return before.revision if before else max(stored.versions_of(connection, key), default=0)


def rebuild_epic(
    connection: Connection,
    key: str,
    cause: str,
    settings: Settings,
    now: int,
    prepared: Prepared | None = None,
) -> int:
    """Stores an epic as its facts make it, notes what changed, and finalises or reopens it; 1 where a final version was
    made. Everything happens in the caller's transaction; ``prepared`` may be worked out before it, by the only process
    that builds epics."""
    told = prepared or prepare_epic(connection, key, settings, now)
    before, facts, structure = told.before, told.facts, told.structure
    key = facts.key
    if not facts.sources and not facts.pulls and not facts.issues:
        return _withdraw(connection, key, before, cause, now)
    if before is None:
        begun = f"draft begun: {structure['title']}"
        stored.add_event(connection, key, now, "started", cause, begun, _kept(told.changes))
    elif before.state == WITHDRAWN:
        again = f"draft begun again: {structure['title']}"
        stored.add_event(connection, key, now, "started", cause, again, _kept(told.changes))
    elif told.changes:
        stored.add_event(connection, key, now, "grew", cause, in_short(told.changes), _kept(told.changes))
    main = next(
        (one for one in facts.sources if one.kind != "local"), facts.sources[0] if facts.sources else None
    )
    epic = StoredEpic(
        key, structure["title"], main.kind if main else "local", main.key if main else "", "draft",
        _last_revision(connection, before, key), before.content_hash if before else "", structure, told.standing.unmet,
        before.finalised if before else None,
        now if told.changes or before is None or before.state == WITHDRAWN else before.changed,
    )  # fmt: skip
    return _settle_state(connection, told, epic, cause, now)


def _settle_state(connection: Connection, told: Prepared, epic: StoredEpic, cause: str, now: int) -> int:
    standing = told.standing
    was_final = told.before is not None and told.before.state == "completed"
    if standing.is_complete and told.final is None:
        stored.store_epic(connection, epic._replace(state="completed"))  # as it was
        if told.lost is not None:
            conclusions.add_achievements(connection, None, "", RULES_VERSION, 1.0, [told.lost])
            conclusions.apply_edits_of(connection, [epic_uid(epic.key)])
        return 0
    if was_final:
        why = (
            "news came after it was final"
            if standing.is_complete
            else "; ".join(standing.unmet) or "it was canceled"
        )
        told_why = f"revision {epic.revision} no longer holds: {why}"
        stored.add_event(connection, epic.key, now, "reopened", cause, told_why)
        stored.notify(
            connection, "epic.reopened", f"{epic.key}@{epic.revision}", {"epic": epic.key, "why": why}, now
        )
        conclusions.remove_by_uid(connection, epic_uid(epic.key))
    if told.final is None:
        stored.store_epic(connection, epic._replace(state="canceled" if standing.is_canceled else "draft"))
        return 0
    _finalise(connection, epic, told.final, standing, cause, now)
    return 1


def _finalise(
    connection: Connection, epic: StoredEpic, final: Final, standing: Completion, cause: str, now: int
) -> None:
    """Freezes an epic: a revision with its versions for every reader, its achievement, a notification."""
    key, digest = epic.key, final.content_hash
    stored.store_epic(
        connection,
        epic._replace(state="completed", revision=final.revision, content_hash=digest, finalised=now),
    )
    stored.add_versions(connection, key, final.revision, final.texts, digest, now)
    stored.freeze_structure(connection, key, final.revision, epic.structure, digest, now)
    told = f"final, revision {final.revision}, sha256 {digest[:12]}"
    if standing.by_hand and standing.unmet:
        told += f"; completed by hand although {'; '.join(standing.unmet)}"
    stored.add_event(connection, key, now, "finalised", cause, told)
    uid = epic_uid(key)
    conclusions.remove_by_uid(connection, uid)
    conclusions.add_achievements(connection, None, "", RULES_VERSION, 1.0, [final.achievement])
    conclusions.apply_edits_of(connection, [uid])
    body = {
        "epic": key,
        "title": epic.title,
        "revision": final.revision,
        "content_hash": digest,
        "achievement": uid,
    }
    stored.notify(connection, "epic.finalised", f"{key}@{final.revision}", body, now)


def _kept(changes: Sequence[tuple[str, Any, Any]]) -> list[tuple[str, Any, Any]]:
    """The first changes of an event, and how many more there were."""
    more = len(changes) - _MOST_CHANGES
    return [*changes[:_MOST_CHANGES], *([(f"and {more:,} more", None, None)] if more > 0 else [])]


def _withdraw(connection: Connection, key: str, before: StoredEpic | None, cause: str, now: int) -> int:
    """Takes away an epic to which nothing belongs any more. One that was final stays to be seen as withdrawn, and that is
    announced."""
    conclusions.remove_by_uid(connection, epic_uid(key))
    if before is None or before.state == WITHDRAWN:
        return 0
    structure = stored.frozen_structure(connection, key, before.revision) or before.structure
    why = f"nothing belongs to it any more: {_why_withdrawn(connection, structure)}".removesuffix(": ")
    stored.add_event(connection, key, now, "withdrawn", cause, why)
    if not before.revision:
        stored.remove_epic(connection, key)
        return 0
    source = next(
        (one for one in structure["sources"] if one["kind"] != "local"), {"kind": "local", "key": ""}
    )
    epic = before._replace(
        title=structure["title"], source_kind=source["kind"], source_key=source["key"], state=WITHDRAWN,
        structure=structure, unmet=(f"withdrawn at {iso(now)}: {why}",), changed=now,
    )  # fmt: skip
    stored.store_epic(connection, epic)
    body = {"epic": key, "title": epic.title, "revision": epic.revision, "why": why}
    stored.notify(connection, "epic.withdrawn", f"{key}@{epic.revision} {iso(now)}", body, now)
    return 0


def _why_withdrawn(connection: Connection, structure: Mapping[str, Any]) -> str:
    """What became of the things in the tracker that the epic was; empty where they say nothing."""
    found: dict[str, None] = {}
    for source in structure["sources"]:
        known = thing(connection, Kind(source["kind"]), source["key"]) if source["kind"] != "local" else None
        if known is None:
            continue
        if known.fields.get("removed"):
            found[f"its {source['kind']} was removed from Linear"] = None
        elif source["kind"] == "issue":
            parent = known.fields.get("parent")
            found["its issue is below another now" if parent else "its issue has no issues below it"] = None
    return "; ".join(found)


def epic_uid(key: str) -> str:
    """The id of an epic's achievement."""
    return conclusions.achievement_uid("", f"epic/{key}")


def completion_rules(settings: Settings) -> CompletionRules:
    return CompletionRules(
        settings.require_all_prs_merged, settings.require_ci_success, settings.auto_finalize
    )


def in_short(changes: Sequence[tuple[str, Any, Any]]) -> str:
    """What changed, in a line: what happened, else the first numbers that differ."""
    happened = [
        str(after) for name, before, after in changes
        if name.startswith("timeline.events[") and name.endswith("].what") and before is None and after
    ]  # fmt: skip
    if happened:
        return "; ".join(dict.fromkeys(happened))
    told = [
        f"{name.rpartition('.')[2]} {_brief(before)} → {_brief(after)}"
        for name, before, after in changes
        if not isinstance(after, dict | list)
    ]
    return "; ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")


def _brief(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


# --- gathering ---------------------------------------------------------------------------------------


def gather(connection: Connection, key: str, settings: Settings, index: EpicIndex | None = None) -> EpicFacts:
    """Everything in the ledger that belongs to an epic."""
    index = index or EpicIndex(connection, settings)
    members = stored.members_of(connection, key)
    sources = tuple(
        sorted(index.sources.get(key, ()), key=lambda one: (one.kind == "local", one.kind, one.key))
    )
    itself = {source.key for source in sources}
    belonging = [one for one in members if one not in itself]
    issues = work.issues(connection, keys=[one for one in belonging if one.startswith("linear/")])
    pulls = work.pull_requests(connection, keys=[one for one in belonging if "#" in one])
    rolled = rolled_pulls(connection, pulls)
    pulls = [_told_apart(pull, rolled.get(pull.key), index.author_rules) for pull in pulls]
    ci = _Measured(connection, {pull.repository for pull in pulls} if settings.ci_enabled else (), index)
    inside = [
        PullInEpic(
            pull, members[pull.key], tuple(work.checks(connection, pull.repository, [pull.head_sha])), ci.own(pull),
            rolled.get(pull.key), ci.after_merge(pull),
            tuple(who.name for who in work_of_pull(pull, index.author_rules).authors),
        )
        for pull in pulls
    ]  # fmt: skip
    milestones = [
        (one.key, str(one.fields.get("name") or ""), str(one.fields.get("target") or ""))
        for one in things(connection, Kind.MILESTONE, scopes=[source.key for source in sources])
        if not one.fields.get("removed")
    ]
    of_issues = {issue.key: conclusions.achievement_uid("", f"issue/{issue.key}") for issue in issues}
    by_uid = rolled_by_uid(connection, list(of_issues.values()))
    return EpicFacts(
        key, sources, tuple(issues), tuple(inside),
        tuple(work.attachments(connection, issues=[issue.key for issue in issues])), tuple(milestones),
        {issue: by_uid[uid] for issue, uid in of_issues.items() if uid in by_uid},
        measured_shifts(connection, [pull.key for pull in pulls], settings),
        deployments_of(connection, [one.id for one in rolled.values()]), ci.order,
    )  # fmt: skip


def _told_apart(pull: PullRequest, rolled: Rolled | None, rules: AuthorRules) -> PullRequest:
    """A pull request as the rules have its author and reviewers. What a bot opened is a person's where people are credited for
    its commits."""
    found = told_apart(pull, rules)
    return replace(found, is_bot=False) if rolled is not None and rolled.people else found


class _Measured:
    """What CI measured of the pull requests of these repositories; ``order`` is that of their merges, as far as there are
    measures."""

    def __init__(self, connection: Connection, repositories: Iterable[str], index: EpicIndex) -> None:
        self._reports = {place: work.ci_reports(connection, place) for place in sorted(repositories)}
        measured = [place for place, reports in self._reports.items() if reports]
        self.order = MergeOrder(pull for place in measured for pull in index.merged_pulls(connection, place))

    def own(self, pull: PullRequest) -> tuple[Measure, ...]:
        reports = self._reports.get(pull.repository, ())
        return measures_of(pull, reports, self.order.commit_before(pull))

    def after_merge(self, pull: PullRequest) -> tuple[Measure, ...]:
        reports = self._reports.get(pull.repository, ())
        return measures_after_merge(pull, reports, self.order.commit_before(pull))


def gathered_by(connection: Connection, facts: EpicFacts) -> list[Rolled]:
    """The achievements that an epic gathers."""
    found = [one.achievement for one in facts.pulls if one.achievement is not None]
    return [*found, *(facts.issue_achievements or {}).values()]


# --- what a user asks for ----------------------------------------------------------------------------


def find_epic(connection: Connection, name: str) -> StoredEpic:
    """The epic with this key (any case) or title; :class:`NotFoundError` where there is none."""
    found = stored.stored_epic(connection, name)
    if found is None and "\0" not in name:
        by_title = connection.execute(
            sa.select(epics_table.c.key, epics_table.c.state).where(
                sa.or_(epics_table.c.title == name, sa.func.lower(epics_table.c.title) == name.lower())
            )
        ).all()
        present = [row.key for row in by_title if row.state != WITHDRAWN] or [row.key for row in by_title]
        found = stored.stored_epic(connection, present[0]) if len(present) == 1 else None
    if found is None:
        raise NotFoundError(f"there is no epic {name!r}; epic list shows those there are")
    return found


def start_epic(ledger: Ledger, key: str, title: str, description: str, now: int) -> str:
    """Starts an epic by hand; for one that exists (in any case), sets its title and description. Gives its key."""
    if "\0" in key:
        _new_key(key)  # refuses what no database can be asked for
    with ledger.write() as connection:
        epic = stored.stored_epic(connection, key)
        if epic and not epic.source_key:
            epic = None  # so far only pull requests name it: the spelling is that of who starts it
        key = epic.key if epic else stored.known_key(connection, Kind.EPIC, key) or _new_key(key)
        if epic and title and epic.source_kind != "local" and epic.state != WITHDRAWN:
            raise CollectorError(f"{key} cannot be given a title: its title comes from Linear")
        known = thing(connection, Kind.EPIC, key)
        fields: dict[str, Any] = {"started": now, "created": now}
        if known and known.fields.get("started"):
            fields = {}
        if title or not known:
            fields["title"] = title or key
        if description:
            fields["description"] = description
        _tell(connection, Observation(Kind.EPIC, key, now, fields), now)
    return key


def _new_key(key: str) -> str:
    """``key``, where an epic may have it."""
    is_word = bool(key.strip()) and not any(one.isspace() or ord(one) < 33 or one == "/" for one in key)
    if not is_word or len(key) > 60:
        raise CollectorError(f"{key!r} is no key for an epic; give one word without / such as E5.1")
    return key


def complete_epic(ledger: Ledger, name: str, is_complete: bool, now: int) -> str:
    """Completes an epic by hand, whatever the conditions say, or takes that back; gives its key. What is completed in the
    tracker keeps the date it has there. :class:`CollectorError` where there is nothing to complete or to take back."""
    with ledger.write() as connection:
        epic = find_epic(connection, name)
        key = epic.key
        if epic.state == WITHDRAWN:
            raise CollectorError(f"{key} was {epic.unmet[0]}")
        told = thing(connection, Kind.EPIC, key)
        by_hand = told.fields.get("completed") if told else None
        if is_complete and by_hand is not None:
            return key
        if is_complete and epic.state == "completed":
            day = (epic.structure["timeline"]["completed"] or "")[:10]
            when = f" since {day}" if day else ""
            raise CollectorError(
                f"{key} is complete already{when}, revision {epic.revision}; nothing was changed"
            )
        if not is_complete and by_hand is None:
            raise CollectorError(_nothing_to_take_back(epic))
        completed = (_completed_outside(connection, epic) or now) if is_complete else None
        _tell(connection, Observation(Kind.EPIC, key, now, {"completed": completed}), now)
    return key


def _nothing_to_take_back(epic: StoredEpic) -> str:
    if epic.state == "completed":
        return (
            f"{epic.key} was completed in Linear and not by hand: there is nothing to take back; take up its "
            f"{epic.source_kind} again there"
        )
    return f"{epic.key} is not completed by hand: there is nothing to take back"


def _completed_outside(connection: Connection, epic: StoredEpic) -> int | None:
    """When everything that the epic is in the tracker was completed; None where something is not."""
    outside: list[int | None] = [
        known.fields.get("completed")
        for source in epic.structure["sources"]
        if source["kind"] != "local"
        and (known := thing(connection, Kind(source["kind"]), source["key"])) is not None
        and not known.fields.get("removed")
    ]
    ended = [one for one in outside if one is not None]
    return max(ended) if ended and len(ended) == len(outside) else None


def link_by_hand(ledger: Ledger, name: str, pull: str, belongs: bool, now: int) -> tuple[str, bool]:
    """Says that a pull request (``owner/name#12`` or its address) belongs to an epic, or does not; gives the epic's key,
    and whether it is started by this."""
    wanted = pull_key(pull)
    with ledger.write() as connection:
        epic, is_new = (
            _known_or_new(connection, name) if belongs else (find_epic(connection, name).key, False)
        )
        key = stored.known_key(connection, Kind.PULL_REQUEST, wanted)
        if not key:
            raise NotFoundError(f"{wanted} is not known; sync its repository, or let its webhook tell of it")
        fields = {"epic": epic, "belongs": belongs}
        _tell(connection, Observation(Kind.LINK, f"{key} {epic}", now, fields, key), now)
    return epic, is_new


def _known_or_new(connection: Connection, name: str) -> tuple[str, bool]:
    if "\0" in name:
        _new_key(name)
    try:
        return find_epic(connection, name).key, False
    except NotFoundError:
        told = stored.known_key(connection, Kind.EPIC, name)
        return told or _new_key(name), not told


def pull_key(text: str) -> str:
    """``host/owner/name#12`` of what a person types."""
    import re

    match = re.fullmatch(
        r"(?:https?://([^/]+)/)?([^/\s]+/[^/\s#]+)(?:#|/pull/)(\d+)(?:[/?#]\S*)?", text.strip()
    )
    if match:
        return f"{(match[1] or 'github.com').lower()}/{match[2]}#{match[3]}"
    match = re.fullmatch(r"([^/\s]+\.[^/\s]+)/([^/\s]+/[^/\s#]+)#(\d+)", text.strip())
    if match:
        return f"{match[1].lower()}/{match[2]}#{match[3]}"
    raise CollectorError(f"{text!r} names no pull request; give owner/name#12 or its address")


def _tell(connection: Connection, observation: Observation, now: int) -> None:
    note_changes(connection, take_in(connection, [observation], now), now)


def epic_data(epic: StoredEpic, events: Iterable[stored.EpicEvent] = ()) -> Mapping[str, Any]:
    """An epic as the API and ``epic show --json`` give it; ``changed_since`` says that texts, or what is read
    from them, changed since its revision."""
    return {
        **epic.structure,
        "status": epic.state,
        "revision": epic.revision,
        "content_hash": epic.content_hash or None,
        "finalised": iso(epic.finalised),
        "changed": iso(epic.changed),
        "changed_since": epic.state == "completed" and content_hash(epic.structure) != epic.content_hash,
        "unmet": list(epic.unmet),
        "events": [
            {
                "at": iso(one.recorded),
                "kind": one.kind,
                "cause": one.cause,
                "told": one.told,
                "changes": one.changes,
            }
            for one in events
        ],
    }
