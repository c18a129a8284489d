"""Which epics there are, by what names they go, and to which one an issue belongs."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.links import epic_key
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import EpicSource, Issue, PullRequest, texts
from achievement_collector.ledger import work
from achievement_collector.ledger.entities import things
from achievement_collector.ledger.epics import finalised_sources
from achievement_collector.services.identity import load_author_rules


class EpicIndex:
    """All epics known outside or started by hand. ``names`` maps every name in lower case to the epic's key; of two epics
    of one name, that with the lesser address in the ledger has it, whichever was heard of first. One that was final keeps
    its key for ever, whatever its source is called later; the key of the new title is one more name of it."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.kind = settings.epic_source
        self.sources: dict[str, list[EpicSource]] = {}
        self.names: dict[str, str] = {}
        self.of_source: dict[str, str] = {}
        self._issues = (
            {one.key: one for one in work.issues(connection) if not one.is_removed}
            if self.kind == "issue"
            else {}
        )
        self._tops = {self._top(one) for one in self._issues.values() if one.parent in self._issues}
        given = {name.lower(): key for name, key in dict(settings.epic_keys).items()}
        found = [one for one in work.epic_sources(connection, self.kind) if self._is_epic(one)]
        found.sort(key=lambda one: (one.kind == "local", one.key))
        finalised = finalised_sources(connection)
        found.sort(key=lambda one: one.key not in finalised)  # so that no other takes its key
        also: dict[str, str] = {}
        for source in found:
            key = (
                given.get(source.title.lower())
                or given.get(source.key.removeprefix("linear/"))
                or self.key_of(source)
            )
            if finalised.get(source.key, key) != key:
                also.setdefault(key.lower(), finalised[source.key])
                key = finalised[source.key]
            key = self.names.setdefault(key.lower(), key)  # the same in another case is the same epic
            self.sources.setdefault(key, []).append(source)
            self.of_source[source.key] = key
        for name, key in also.items():
            self.names.setdefault(name, key)
        for source in found:  # after all keys: no title takes away a key
            for name in (source.slug, source.url.rstrip("/").rpartition("/")[2], source.title):
                if name:
                    self.names.setdefault(name.lower(), self.of_source[source.key])
        self._initiatives: dict[str, tuple[str, ...]] | None = None
        self._connection = connection
        self.author_rules = load_author_rules(settings.rules)
        self._merged: dict[str, list[PullRequest]] = {}

    def _is_epic(self, source: EpicSource) -> bool:
        """Whether it is there still; of issues, only those at the top that have others below them are epics."""
        if source.is_removed:
            return False
        if source.kind == "local":  # of one that was completed by hand and reopened nothing is left
            return bool(source.title) or source.created is not None or source.completed is not None
        return source.kind != "issue" or source.key in self._tops

    def _top(self, issue: Issue) -> str:
        """The issue above all others that are above this one, as far as they are known."""
        seen = {issue.key}
        while issue.parent in self._issues and issue.parent not in seen:
            seen.add(issue.parent)
            issue = self._issues[issue.parent]
        return issue.key

    @staticmethod
    def key_of(source: EpicSource) -> str:
        if source.kind == "local":
            return source.key
        return epic_key(source.kind, source.title, source.slug, source.slug, source.key)

    def merged_pulls(self, connection: Connection, repository: str) -> list[PullRequest]:
        """The merged pull requests of a repository, in or out of epics; read once."""
        if repository not in self._merged:
            known = work.pull_requests(connection, repository=repository)
            self._merged[repository] = [one for one in known if one.merged is not None]
        return self._merged[repository]

    def epic_of(self, issue: Issue) -> str:
        """The epic that an issue belongs to, or is; empty where there is none."""
        if self.kind == "project":
            return self.of_source.get(issue.project, "")
        if self.kind == "initiative":
            found = (self.of_source.get(one, "") for one in self._initiatives_of(issue.project))
            return next((key for key in found if key), "")
        return self.of_source.get(self._top(issue), "")

    def related(self, issue: Issue) -> list[str]:
        """Issues whose epic, or being one, rests on this one: those right below it, and the one above it."""
        below = [one.key for one in self._issues.values() if one.parent == issue.key]
        return [*below, issue.parent] if issue.parent in self._issues else below

    def _initiatives_of(self, project: str) -> tuple[str, ...]:
        if self._initiatives is None:
            self._initiatives = {
                one.key: texts(one.fields.get("initiatives"))
                for one in things(self._connection, Kind.PROJECT)
                if not one.fields.get("removed")
            }
        return self._initiatives.get(project, ())
