"""From the facts of a repository to its achievements, without asking git again.

The grouping is done over the whole history every time (it is cheap and order matters); what is concluded about a
change is stored with a fingerprint of everything it rests on, so that only what has changed is concluded again.
Large repositories are concluded by worker processes.
"""

from __future__ import annotations

import gc
import hashlib
import marshal
import os
import signal
import threading
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing import get_context, parent_process

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive import RULES_VERSION
from achievement_collector.derive.achievements import (
    ChangeFacts,
    CommitFacts,
    Conclusion,
    Rules,
    conclude,
)
from achievement_collector.derive.categories import DECLARED, ChangeText, features_of
from achievement_collector.derive.category_model import RepositoryStyle
from achievement_collector.derive.changes import ChangeDraft, State, group_changes, title_of
from achievement_collector.derive.ci_comparison import Measure, measures_of
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.credit import settle_credit
from achievement_collector.derive.history import History
from achievement_collector.derive.identity import AuthorKind, AuthorRules
from achievement_collector.derive.merge_order import MergeOrder
from achievement_collector.derive.messages import parse_header
from achievement_collector.derive.pull_achievements import conclude_pull, follow_relands, join_pulls
from achievement_collector.derive.pull_authors import signatures_of, told_apart, work_of_pull
from achievement_collector.derive.pulls import standings
from achievement_collector.derive.release_achievements import ReleaseFacts, conclude_release
from achievement_collector.derive.releases import Release, find_releases, first_releases
from achievement_collector.derive.scores import Scale, calibrate
from achievement_collector.derive.skills import telling_dependencies
from achievement_collector.errors import CollectorError
from achievement_collector.facts import Signature, Tag, body_of
from achievement_collector.facts.work import CiReport, PullRequest
from achievement_collector.ledger import achievements as conclusions
from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger import reading, work
from achievement_collector.ledger.collecting import SignatureIds
from achievement_collector.ledger.reading import StoredRepository
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.machine import usable_cores
from achievement_collector.services.currency import quick_basis
from achievement_collector.services.identity import refresh_people

_CHUNK = 400  # changes concluded at a time
_WORTH_WORKERS = 3_000  # changes; fewer are done before processes have started
_STYLE_FEW, _STYLE_MOST, _STYLE_GROWTH = 20, 1_500, 1.5
_STYLE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Derived:
    """What a derivation did: changes concluded anew, rows that no longer hold, changes in all."""

    concluded: int = 0
    removed: int = 0
    changes: int = 0


def derive_repository(
    ledger: Ledger,
    repository_id: int,
    settings: Settings,
    *,
    kinds: dict[Signature, AuthorKind],
    rules: AuthorRules,
    everything: bool = False,
    mainline: Sequence[str] | None = None,
    advanced: Callable[[int, int], None] = lambda _done, _all: None,
) -> Derived:
    """Brings the achievements of a repository up to date with its facts.

    ``mainline`` is given while a scan is still under way: what is stored so far is concluded, and the next
    derivation starts afresh. ``everything`` concludes what has not changed as well.
    """
    with ledger.read() as connection:
        place = next(one for one in reading.stored_repositories(connection) if one.id == repository_id)
        told = Told(
            [told_apart(pull, rules) for pull in work.pull_requests(connection, repository=place.key)],
            work.ci_reports(connection, place.key),
            ledger_epics.epics_of_pulls(connection, place.key),
        )
    shown = {who for pull in told.pulls for who in signatures_of(pull)}
    if not shown <= kinds.keys():  # authors that no commit has shown yet
        with ledger.write() as connection:
            SignatureIds(connection).add(connection, shown)
        kinds = refresh_people(ledger, rules)
    with ledger.read() as connection:
        ids = {who: number for number, who in reading.all_signatures(connection).items()}
        people = {number: who for who, number in ids.items()}
        tags = reading.stored_tags(connection, repository_id, people)
        basis = _basis(place, tags, settings, kinds, ids, told)
        if not everything and mainline is None and place.derived_from.partition(" ")[2] == basis:
            return Derived()
        derivation = _Work(ledger, place, settings, rules, kinds, ids, people, tags, mainline, told)
        derivation.group(connection)
    basis = f"{quick_basis(ledger, settings)} {basis}" if mainline is None else ""
    return derivation.run(basis, everything=everything, advanced=advanced)


@dataclass(frozen=True, slots=True)
class Told:
    """What forges and CI told of a repository; ``epics`` maps pull requests' keys to the epic they belong to."""

    pulls: Sequence[PullRequest] = ()
    reports: Sequence[CiReport] = ()
    epics: Mapping[str, str] = field(default_factory=dict)


def _basis(
    place: StoredRepository,
    tags: Sequence[Tag],
    settings: Settings,
    kinds: dict[Signature, AuthorKind],
    ids: dict[Signature, int],
    outside: Told,
) -> str:
    """A digest of everything that the conclusions on a repository rest on."""
    told = (
        RULES_VERSION,
        settings.min_lines,
        sorted(place.tips),
        place.mainline,
        sorted(place.branches.items()),
        sorted(place.shallow),
        place.mailmap,
        place.ignored_revisions,
        [(tag.name, tag.target, tag.is_annotated) for tag in tags],
        sorted(
            (ids[who], kind.value)
            for who, kind in kinds.items()
            if kind is not AuthorKind.PERSON and who in ids
        ),
        (outside.pulls, outside.reports, sorted(outside.epics.items())) if outside.pulls else (),
        (settings.min_changes, settings.require_epic_link),
    )
    return hashlib.sha1(repr(told).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


class _Work:
    """One derivation. Everything that worker processes need is in here when they are forked."""

    def __init__(
        self,
        ledger: Ledger,
        place: StoredRepository,
        settings: Settings,
        authors: AuthorRules,
        kinds: dict[Signature, AuthorKind],
        ids: dict[Signature, int],
        people: dict[int, Signature],
        tags: Sequence[Tag],
        mainline: Sequence[str] | None,
        told: Told,
    ) -> None:
        self.ledger = ledger
        self.place = place
        self.people = people
        self.tags = tags
        self.mainline = mainline if mainline is not None else place.mainline
        self.is_partial = mainline is not None
        self.rules = Rules(
            settings.min_lines,
            authors,
            kinds,
            ids,
            RepositoryStyle(),
            min_changes=settings.min_changes,
            require_epic=settings.require_epic_link,
        )
        self.told = told
        self.pulls: dict[int, PullRequest] = {}  # those that git shows, by number
        self.elsewhere: list[PullRequest] = []  # merged, and in no commit that was read
        self.measures: dict[int, tuple[Measure, ...]] = {}
        self.history = History()
        self.row_ids = array("q")
        self.drafts: list[ChangeDraft] = []
        self.releases: list[Release] = []
        self.first: list[int] = []
        self.formatting = frozenset(_shas(place.ignored_revisions))

    # grouping

    def group(self, connection: Connection) -> None:
        """Reads the heads of all commits and groups them into changes."""
        add, row_ids = self.history.add, self.row_ids
        for head in reading.commit_heads(connection, self.place.id):
            row_ids.append(head.id)
            add(
                head.sha,
                head.parents.split(),
                author=head.author_id,
                authored=head.authored,
                committed=head.committed,
                message=head.message,
                patch_id=head.patch_id,
            )
        declared = reading.declared_dependencies(connection, self.place.id, telling_dependencies())
        self.rules = self.rules._replace(declared=declared)
        self.releases, early = find_releases(self.history, self.tags)
        released = {release.tag.name: release.tag.target for release in (*self.releases, *early)}
        branches = {} if self.is_partial else self._unmerged_branches()
        self.drafts = group_changes(self.history, self.mainline, released, branches)
        self.pulls = join_pulls(self.history, self.drafts, self.told.pulls)
        if not self.is_partial:
            self.elsewhere = [
                pull for pull in self.told.pulls if pull.merged is not None and pull.number not in self.pulls
            ]
        self._measure()
        settle_credit(self.history, self.drafts)
        if self.pulls:
            follow_relands(self.drafts, self.told.pulls)
        self.first = first_releases(self.history, self.releases)

    def _measure(self) -> None:
        """What CI measured of each merged pull request."""
        if not self.told.reports:
            return
        order = MergeOrder(self.told.pulls)
        for pull in (*self.pulls.values(), *self.elsewhere):
            found = measures_of(pull, self.told.reports, order.commit_before(pull))
            if found:
                self.measures[pull.number] = found

    def _unmerged_branches(self) -> dict[str, str]:
        mainline = set(self.mainline)
        return {name: sha for name, sha in self.place.branches.items() if sha not in mainline}

    def released_in(self, draft: ChangeDraft) -> str:
        index = self.first[draft.anchor]
        if index < 0 or draft.state is State.UNMERGED:
            return ""
        return self.releases[index].tag.name.encode("utf-8", "replace").decode()

    def fingerprint(self, draft: ChangeDraft) -> str:
        """A digest of everything that the conclusion on a change rests on."""
        history = self.history
        told = (
            RULES_VERSION,
            self.rules.min_lines,
            self.rules.style.learned,
            self.rules.uses_types,
            sorted(self.rules.declared),
            history.shas[draft.anchor],
            [
                (history.shas[n], history.shas[n] in self.formatting, self.kind_of_author(n))
                for n in draft.commits
            ],
            draft.number,
            draft.state.value,
            draft.other,
            draft.relands,
            draft.backports,
            len(draft.reverted_commits),
            self.released_in(draft),
            self.place.shallow and any(history.shas[n] in self.place.shallow for n in draft.commits),
            *self._told_of(draft.number),
        )
        return hashlib.sha1(repr(told).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()

    def _told_of(self, number: int | None) -> tuple[object, ...]:
        """What forge and CI told of a change, as part of its fingerprint; nothing for most."""
        pull = self.pulls.get(number) if number is not None else None
        if pull is None:
            return ()
        rules = (self.rules.min_changes, self.rules.require_epic)
        return (pull, self.measures.get(pull.number), self.told.epics.get(pull.key), rules)

    def kind_of_author(self, number: int) -> str:
        return self.rules.kinds[self.people[self.history.authors[number]]].value[0]

    # concluding

    def run(self, basis: str, *, everything: bool, advanced: Callable[[int, int], None]) -> Derived:
        self._learn_style()
        with self.ledger.read() as connection:
            stored = conclusions.stored_conclusions(connection, self.place.id, AchievementKind.CHANGE)
        prints = {draft.key: self.fingerprint(draft) for draft in self.drafts}
        wanted = [
            number
            for number, draft in enumerate(self.drafts)
            if everything or draft.key not in stored or stored[draft.key].fingerprint != prints[draft.key]
        ]
        lonely = self._conclude_elsewhere()
        prints |= {one.key: one.fingerprint for one in lonely}
        lonely = [
            one
            for one in lonely
            if everything or one.key not in stored or stored[one.key].fingerprint != one.fingerprint
        ]
        redone = {self.drafts[number].key for number in wanted} | {one.key for one in lonely}
        # while a scan is under way, what is not there may be yet to come
        gone = [] if self.is_partial else [row.id for key, row in stored.items() if key not in prints]
        lasting = [row for key, row in stored.items() if key in prints and key not in redone]
        scale = Scale(self.place.impact_scale, self.place.impact_scale_basis)
        totals = [(row.occurred, row.raw_impact) for row in lasting if row.is_counted]
        with self.ledger.write() as connection:
            conclusions.note_derivation(connection, self.place.id, derived_from="")
            conclusions.move_edits(connection, self._rewritten(connection, gone, stored.keys()))
            conclusions.remove_achievements(connection, gone)
        done = 0
        for part in chain(self._concluded(wanted, prints), [lonely] if lonely else []):
            totals += [(one.occurred, one.raw_impact) for one in part if one.is_counted]
            outdated = [stored[one.key].id for one in part if one.key in stored]
            with self.ledger.write() as connection:  # a stop leaves each change as it was or as it is now
                conclusions.remove_achievements(connection, outdated)
                conclusions.add_achievements(
                    connection, self.place.id, self.place.uid, RULES_VERSION, scale.factor, part
                )
            done += len(part)
            advanced(done, len(wanted))
        self._finish(basis, totals, scale)
        return Derived(len(wanted) + len(lonely), len(gone), len(prints))

    def _conclude_elsewhere(self) -> list[Conclusion]:
        """Merged pull requests that are in no commit that was read."""
        standing = standings([*self.told.pulls]) if self.elsewhere else {}
        found = []
        for pull in self.elsewhere:
            measures, epic = self.measures.get(pull.number, ()), self.told.epics.get(pull.key, "")
            made = work_of_pull(pull, self.rules.authors)
            told = (RULES_VERSION, self.rules.min_lines, self.rules.min_changes, self.rules.require_epic, pull, measures, epic,
                    standing[pull.number], made)  # fmt: skip
            digest = hashlib.sha1(repr(told).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
            found.append(conclude_pull(pull, standing[pull.number], self.rules, made, measures, epic, digest))
        return found

    def _finish(self, basis: str, totals: list[tuple[int, float]], scale: Scale) -> None:
        new_scale = calibrate([raw for _, raw in sorted(totals)])
        with self.ledger.write() as connection:
            if new_scale.factor != scale.factor:
                conclusions.rescale(connection, self.place.id, new_scale.factor)
            conclusions.note_derivation(
                connection,
                self.place.id,
                impact_scale=new_scale.factor,
                impact_scale_basis=new_scale.basis,
                rules_version=RULES_VERSION,
                derived_from=basis,
            )
            self._replace_releases(connection)
            conclusions.move_edits(connection, self._former_ids())
            conclusions.apply_edits(connection, self.place.id)

    def _rewritten(self, connection: Connection, gone: Sequence[int], known: Set[str]) -> dict[str, str]:
        """Former id -> present one of edited changes whose commits a rebase or an amendment replaced: it keeps who wrote
        them and when. What two could have become stays where it was."""
        edited = conclusions.edited_changes(connection, gone)
        if not edited:
            return {}
        written = self.history.authored
        new: dict[tuple[int, int], list[ChangeDraft]] = defaultdict(list)
        for draft in self.drafts:
            if draft.key not in known and draft.commits:
                new[min(written[number] for number in draft.commits), len(draft.commits)].append(draft)
        found: dict[str, str] = {}
        for one in edited:
            same = [
                draft.key
                for draft in new[one.started, one.commits]
                if one.people & {self.history.authors[number] for number in draft.commits}
            ]
            if len(same) == 1:
                found[one.uid] = conclusions.achievement_uid(self.place.uid, same[0])
        twice = {uid for uid, count in Counter(found.values()).items() if count > 1}
        return {old: present for old, present in found.items() if present not in twice}

    def _former_ids(self) -> dict[str, str]:
        """The ids under which the commits of pull requests were known before the forge told of these -> the present ones."""
        return {
            conclusions.achievement_uid(self.place.uid, f"commit/{self.history.shas[number]}"): (
                conclusions.achievement_uid(self.place.uid, draft.key)
            )
            for draft in self.drafts
            if draft.number in self.pulls and draft.state is not State.DUPLICATE
            for number in (draft.anchor, *draft.commits)
        }

    def _concluded(self, wanted: Sequence[int], prints: dict[str, str]) -> Iterator[list[Conclusion]]:
        chunks = [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]
        workers = min(usable_cores(), 4)
        if len(wanted) < _WORTH_WORKERS or workers < 2 or "fork" not in _start_methods():
            with self.ledger.read() as connection:
                for chunk in chunks:
                    yield self.conclude(connection, chunk, prints)
            return
        global _forked
        _forked = (self, prints)
        self.ledger.engine.dispose()  # a connection must not be shared with a child
        gc.collect()
        gc.freeze()  # what is here stays: children share it without copying
        try:
            with ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=_start) as pool:
                waiting: deque[Future[bytes]] = deque()
                for chunk in chunks:
                    waiting.append(pool.submit(_conclude_chunk, chunk))
                    if len(waiting) > 2 * workers:  # no more results than can be stored soon
                        yield _rows(waiting.popleft().result())
                while waiting:
                    yield _rows(waiting.popleft().result())
        except BrokenProcessPool:
            raise CollectorError(
                "a worker process was ended from outside, perhaps for want of memory; run the same again to go on"
            ) from None
        finally:
            gc.unfreeze()
            _forked = None

    def conclude(
        self, connection: Connection, chunk: Sequence[int], prints: dict[str, str]
    ) -> list[Conclusion]:
        """The conclusions on the changes with these numbers."""
        drafts = [self.drafts[number] for number in chunk]
        numbers = {n for draft in drafts for n in (draft.anchor, *draft.commits)}
        rows = reading.commits_by_id(connection, [self.row_ids[n] for n in sorted(numbers)], self.people)
        shas = [self.history.shas[n] for draft in drafts for n in draft.commits]
        content = reading.stored_content(connection, self.place.id, shas)
        found = []
        for draft in drafts:
            title, described = title_of(self.history, draft)
            own = [rows[self.row_ids[n]] for n in draft.commits]
            one = conclude(
                ChangeFacts(
                    draft.key,
                    title,
                    rows[self.row_ids[described]].commit.message,
                    rows[self.row_ids[draft.anchor]].commit,
                    tuple(
                        CommitFacts(
                            one.commit, one.author_id, one.spaceless, one.commit.sha in self.formatting
                        )
                        for one in own
                    ),
                    tuple(fact for one in own for fact in content.get(one.commit.sha, ())),
                    draft.state,
                    draft.other,
                    draft.relands,
                    draft.backports,
                    len(draft.reverted_commits),
                    draft.number,
                    draft.branch,
                    self.released_in(draft),
                    prints[draft.key],
                    *self._outside(draft.number),
                ),
                self.rules,
            )
            found.append(one)
        return found

    def _outside(self, number: int | None) -> tuple[PullRequest | None, tuple[Measure, ...], str]:
        pull = self.pulls.get(number) if number is not None else None
        if pull is None:
            return None, (), ""
        return pull, self.measures.get(pull.number, ()), self.told.epics.get(pull.key, "")

    def _learn_style(self) -> None:
        """Learns from the earliest typed changes; how many grows in steps, so that one more typed commit
        does not move every call."""
        typed = []
        for draft in self.drafts:
            if draft.state not in (State.CREDITED, State.REVERTED) or not draft.commits:
                continue
            header = parse_header(self.history.subjects[draft.commits[0]])
            if header and header.type in DECLARED:
                typed.append((self.history.committed[draft.anchor], draft.commits[0], header))
        if self.is_partial:
            return
        uses_types = _uses_types([header.type for _, _, header in typed])
        self.rules = self.rules._replace(uses_types=uses_types)
        basis = _style_basis(len(typed)) if uses_types else 0
        if not basis:
            return
        chosen = sorted(typed, key=lambda one: one[:2])[:basis]
        with self.ledger.read() as connection:
            rows = reading.commits_by_id(connection, [self.row_ids[n] for _, n, _ in chosen], self.people)
        for _, number, header in chosen:
            commit = rows[self.row_ids[number]].commit
            seen = features_of(ChangeText(header.description, body_of(commit.message), commit.files))
            self.rules.style.learn(seen, DECLARED[header.type])

    # releases

    def _replace_releases(self, connection: Connection) -> None:
        stored = conclusions.stored_conclusions(connection, self.place.id, AchievementKind.RELEASE)
        conclusions.remove_achievements(connection, [row.id for row in stored.values()])
        gathered = conclusions.gathered_by_release(connection, self.place.id)
        nothing: tuple[dict[str, int], int] = ({}, 0)
        found: dict[str, Conclusion] = {}
        for release in self.releases:
            name = release.tag.name.encode("utf-8", "replace").decode()
            by_category, people = gathered.get(name, nothing)
            who = release.tag.tagger or self.people[self.history.authors[release.target]]
            one = conclude_release(
                ReleaseFacts(
                    release,
                    self.place.name,
                    sum(by_category.values()),
                    by_category,
                    people,
                    self.rules.ids.get(who),
                    self.rules.kinds.get(who) is AuthorKind.PERSON,
                    self.history.shas[release.target],
                )
            )
            found[one.key] = one
        conclusions.add_achievements(
            connection,
            self.place.id,
            self.place.uid,
            RULES_VERSION,
            1.0,
            list(found.values()),
        )


def _uses_types(types: Sequence[str]) -> bool:
    """Whether a project's prefixes are Conventional Commits, and not areas that happen to be called
    ``docs`` or ``build``: then features and fixes are among them."""
    features = sum(name in ("feat", "feature") for name in types)
    fixes = sum(name == "fix" for name in types)
    return len(types) < _STYLE_FEW or min(features, fixes) >= len(types) * _STYLE_SHARE


def _style_basis(typed: int) -> int:
    if typed < _STYLE_FEW:
        return 0
    basis = float(_STYLE_FEW)
    while basis * _STYLE_GROWTH <= typed:
        basis *= _STYLE_GROWTH
    return min(int(basis), _STYLE_MOST)


def _shas(ignored_revisions: str) -> Iterator[str]:
    for line in ignored_revisions.splitlines():
        text = line.partition("#")[0].strip().lower()
        if text:
            yield text


def _start_methods() -> list[str]:
    from multiprocessing import get_all_start_methods

    return get_all_start_methods()


# --- in a worker process -----------------------------------------------------------------------------

_forked: tuple[_Work, dict[str, str]] | None = None
_own_ledger: Ledger | None = None


def _start() -> None:
    """Opens the ledger anew: connections do not survive a fork."""
    global _own_ledger
    assert _forked
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own_ledger = open_ledger(_forked[0].ledger.url.render_as_string(hide_password=False), create=False)


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its children to end."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _conclude_chunk(chunk: Sequence[int]) -> bytes:
    assert _forked
    assert _own_ledger
    work, prints = _forked
    with _own_ledger.read() as connection:
        return marshal.dumps([tuple(row) for row in work.conclude(connection, chunk, prints)])


def _rows(told: bytes) -> list[Conclusion]:
    """What :func:`_conclude_chunk` gave; marshal is many times quicker than pickle, and both ends are ours."""
    return [Conclusion._make(row) for row in marshal.loads(told)]  # noqa: S302
