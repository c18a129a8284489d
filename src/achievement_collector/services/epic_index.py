"""Which epics there are, by what names they go, and to which one an issue belongs."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.links import epic_key
from achievement_collector.facts.observations import Kind
from achievement_collector.facts.work import EpicSource, Issue, texts
from achievement_collector.ledger import work
from achievement_collector.ledger.entities import things


class EpicIndex:
    """All epics known outside or started by hand. ``names`` maps every name in lower case to the epic's key."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.kind = settings.epic_source
        self.sources: dict[str, list[EpicSource]] = {}
        self.names: dict[str, str] = {}
        self.of_source: dict[str, str] = {}
        given = {name.lower(): key for name, key in dict(settings.epic_keys).items()}
        for source in work.epic_sources(connection, self.kind):
            key = (
                given.get(source.title.lower())
                or given.get(source.key.removeprefix("linear/"))
                or self.key_of(source)
            )
            self.sources.setdefault(key, []).append(source)
            self.of_source[source.key] = key
            for name in (key, source.title, source.slug, source.url.rstrip("/").rpartition("/")[2]):
                if name:
                    self.names.setdefault(name.lower(), key)
        self._initiatives: dict[str, tuple[str, ...]] | None = None
        self._connection = connection

    @staticmethod
    def key_of(source: EpicSource) -> str:
        if source.kind == "local":
            return source.key
        return epic_key(source.kind, source.title, source.slug, source.slug, source.key)

    def epic_of(self, issue: Issue) -> str:
        """The epic that an issue belongs to; empty where there is none."""
        if self.kind == "project":
            return self.of_source.get(issue.project, "")
        if self.kind == "initiative":
            found = (self.of_source.get(one, "") for one in self._initiatives_of(issue.project))
            return next((key for key in found if key), "")
        seen = {issue.key}
        current = issue
        while current.parent and current.parent not in seen:
            seen.add(current.parent)
            above = next(iter(work.issues(self._connection, keys=[current.parent])), None)
            if above is None:
                return self.of_source.get(current.parent, "")
            current = above
        return self.of_source.get(current.key, "")

    def _initiatives_of(self, project: str) -> tuple[str, ...]:
        if self._initiatives is None:
            self._initiatives = {
                one.key: texts(one.fields.get("initiatives"))
                for one in things(self._connection, Kind.PROJECT)
            }
        return self._initiatives.get(project, ())
