"""Notion for a user: making the databases, looking whether they fit, and publishing reports and the roadmap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from achievement_collector.config import Settings
from achievement_collector.errors import ConfigurationError
from achievement_collector.ledger.entities import cursor, remember
from achievement_collector.ledger.store import Ledger
from achievement_collector.publish.notion import databases
from achievement_collector.publish.notion.client import NotionClient, NotionError, NotionMissingError
from achievement_collector.publish.notion.plan import Plan, ReportPage, RoadmapRow
from achievement_collector.publish.notion.publishing import Outcome, Publisher
from achievement_collector.publish.notion.schema import DEFINITIONS, REPORTS, ROADMAP, Definition, Table

Clock = Callable[[], int]


class LedgerMemory:
    """What is remembered of Notion, in the ledger's cursors: database, property and page ids, and what was last agreed."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    def recall(self, name: str) -> Any:
        with self._ledger.read() as connection:
            return cursor(connection, name)

    def keep(self, name: str, value: Any) -> None:
        with self._ledger.write() as connection:
            remember(connection, name, value, self._clock())


def notion_client(settings: Settings) -> NotionClient:
    """A client with the token of the settings. Raises :class:`ConfigurationError` where there is none."""
    if not settings.notion_api_key:
        raise ConfigurationError(
            "set NOTION_API_KEY to the token of a connection (Notion: Settings, Connections, Develop or manage integrations)"
        )
    return NotionClient(settings.notion_api_key, url=settings.notion_api_url, version=settings.notion_version)


def schema_data() -> list[dict[str, Any]]:
    """Both databases as they are documented: title, setting, and the properties with their types and options."""
    return [
        {
            "title": one.title,
            "description": one.description,
            "setting": one.setting,
            "properties": [
                {
                    "name": each.name,
                    "type": each.kind,
                    "format": "percent" if each.is_share else "",
                    "options": [name for name, _ in each.options],
                    "also": list(each.also),
                    "optional": each.is_optional,
                    "note": each.note,
                }
                for each in one.fields
            ],
        }
        for one in DEFINITIONS
    ]


# --- making and looking ------------------------------------------------------------------------------


@dataclass(slots=True)
class SetUp:
    """The two databases after a look, or after they were made. ``created`` names databases, ``added`` (database, property);
    ``warnings`` is what works but is worth a word."""

    tables: list[Table] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    added: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Whether every documented property is there and can be written."""
        return len(self.tables) == len(DEFINITIONS) and not any(
            one.missing or one.problems for one in self.tables
        )


_BLOCKS = (
    "a free workspace with several members holds 1,000 blocks in its life, and deleting gives none back; "
    "there each report costs as many blocks as it has paragraphs, list items and table rows"
)


def create_databases(
    ledger: Ledger, settings: Settings, clock: Clock, client: NotionClient | None = None
) -> SetUp:
    """Makes the databases that are not there yet, and adds to those that are there what they lack; nothing is removed,
    renamed or changed. Running it again does nothing more.

    A ``client`` that is given is closed at the end, here and below. Raises :class:`ConfigurationError` where token or
    parent page are missing, :class:`NotionError` where Notion refuses.
    """
    memory, done = LedgerMemory(ledger, clock), SetUp()
    with client or notion_client(settings) as asked, ledger.exclusive("notion-sync"):
        reports = ""
        for one in DEFINITIONS:
            told = _told(settings, one) or databases.known_database(memory, one)
            table, is_new = _made(asked, memory, one, told, settings.notion_parent_page, reports)
            if is_new:
                done.created.append(table.definition.title)
            missing = table.missing
            table = databases.add_missing(asked, memory, table, reports)
            done.added += [(table.title, each.name) for each in missing if each.key in table.columns]
            done.tables.append(table)
            done.warnings += table.warnings
            reports = reports or table.source_id
    return done


def _made(
    client: NotionClient,
    memory: LedgerMemory,
    one: Definition,
    told: str | None,
    parent: str | None,
    reports: str,
) -> tuple[Table, bool]:
    if told is not None:
        return databases.look_at(client, memory, one, told, reports), False
    if not parent:
        raise ConfigurationError(
            "set NOTION_PARENT_PAGE_ID to the page below which the databases are to be made, and share that page "
            "with the connection (··· menu, Connections)"
        )
    return databases.make(client, memory, one, parent, reports)


def check_databases(
    ledger: Ledger, settings: Settings, clock: Clock, client: NotionClient | None = None
) -> SetUp:
    """Looks whether token and databases can be used; writes nothing, neither to Notion nor to the ledger."""
    memory, done = LedgerMemory(ledger, clock), SetUp(warnings=[_BLOCKS])
    with client or notion_client(settings) as asked:
        asked.me()
        reports = ""
        for one in DEFINITIONS:
            try:
                table = databases.look_at(asked, memory, one, _told(settings, one), reports)
            except (ConfigurationError, NotionMissingError) as error:
                done.warnings.append(f"{one.title}: {error}")
                continue
            done.tables.append(table)
            done.warnings += table.warnings
            reports = reports or (table.source_id if one is REPORTS else "")
    return done


def _told(settings: Settings, one: Definition) -> str | None:
    return settings.notion_ci_reports_db if one is REPORTS else settings.notion_roadmap_db


# --- publishing --------------------------------------------------------------------------------------


class Contents(NamedTuple):
    """What is to be shown in Notion."""

    reports: Sequence[ReportPage] = ()
    rows: Sequence[RoadmapRow] = ()


class Published(NamedTuple):
    """A plan, and what became of it: None where it was a dry run. ``problems`` are properties that stay empty."""

    plan: Plan
    outcome: Outcome | None
    problems: tuple[str, ...]
    requests: int
    writes: int


def publish(
    ledger: Ledger,
    settings: Settings,
    contents: Contents,
    clock: Clock,
    *,
    is_dry: bool = False,
    expected: str | None = None,
    adopt: bool = False,
    client: NotionClient | None = None,
) -> Published:
    """Brings reports and milestones into Notion; where Notion shows all of it already, nothing is written.

    ``is_dry`` makes the plan and leaves it at that; ``expected`` is the hash that the plan must have to be carried out.
    ``adopt`` as :class:`Publisher` has it. Raises :class:`ConfigurationError` where token or databases are missing,
    :class:`NotionError` where Notion cannot be asked or the plan is another than expected; what fails later is told in the
    outcome.
    """
    memory = LedgerMemory(ledger, clock)
    with client or notion_client(settings) as asked, ledger.exclusive("notion-sync"):
        before = asked.requests, asked.writes
        tables = _tables(asked, memory, settings, contents)
        publisher = Publisher(asked, memory, adopt=adopt, **tables)
        plan = publisher.plan(contents.reports, contents.rows)
        if expected is not None and plan.hash != expected:
            raise NotionError(
                f"the plan is {plan.hash} now and not {expected}: something changed since; look at it again with --dry-run"
            )
        outcome = None
        if not is_dry:
            for table in tables.values():
                databases.remember_table(memory, table)
            outcome = publisher.apply(plan)
        problems = [problem for one in tables.values() for problem in _unwritten(one)]
        for one, listed in ((REPORTS, contents.reports), (ROADMAP, contents.rows)):
            if listed and one.key not in tables:
                problems.append(
                    f"{one.title}: not shown, for no database is known; set {one.setting}, or make it: "
                    "notion setup --create-databases"
                )
        return Published(plan, outcome, tuple(problems), asked.requests - before[0], asked.writes - before[1])


def _tables(
    client: NotionClient, memory: LedgerMemory, settings: Settings, contents: Contents
) -> Mapping[str, Table]:
    """The databases that are needed and known: that of the reports wherever one is, for what leads there. Raises
    :class:`ConfigurationError` where nothing of the contents has a database."""
    found: dict[str, Table] = {}
    is_known = {
        one.key: bool(_told(settings, one) or databases.known_database(memory, one)) for one in DEFINITIONS
    }
    has_rows = bool(contents.rows) and is_known[ROADMAP.key]
    if is_known[REPORTS.key] or (contents.reports and not has_rows):
        found["reports"] = databases.look_at(client, memory, REPORTS, _told(settings, REPORTS))
    if has_rows or (contents.rows and not (found and contents.reports)):
        source = found["reports"].source_id if found else ""
        found["roadmap"] = databases.look_at(client, memory, ROADMAP, _told(settings, ROADMAP), source)
    return found


def _unwritten(table: Table) -> list[str]:
    lacking = [
        f"{one.name}: missing; it can be added: notion setup --create-databases" for one in table.missing
    ]
    return [f"{table.title}: {one}" for one in (*table.problems, *lacking)]


def contents(
    ledger: Ledger, settings: Settings, milestone: str | None, now: int, *, freezes: bool = True
) -> Contents:
    """What the ledger has to show in Notion: the newest weekly reports, and the milestones (or the one named). ``freezes`` is
    False for a dry run, which keeps no report."""
    from achievement_collector.services.notion_contents import roadmap_rows, weekly_pages

    weeks = weekly_pages(ledger, settings, now, freezes=freezes)
    return Contents([one.page for one in weeks], roadmap_rows(ledger, settings, milestone, now, weeks))
