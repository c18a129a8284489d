"""Bringing reports and the roadmap into Notion: look, plan, and carry the plan out.

Every row carries a Sync Key and is found by it, so it does not matter who ran this before or where it was cut off: what may
have been made is looked up before it is made again. The order is: a report's page, its text, the milestones that lead to it, each
with its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from achievement_collector.errors import ConfigurationError
from achievement_collector.publish.notion.blocks import to_blocks
from achievement_collector.publish.notion.body import digest_of, find_section, write_section
from achievement_collector.publish.notion.client import (
    BudgetExhausted,
    NotionAccessError,
    NotionClient,
    NotionConflictError,
    NotionError,
    NotionMissingError,
    NotionRefusedError,
    NotionUncertainError,
)
from achievement_collector.publish.notion.memory import Memory
from achievement_collector.publish.notion.plan import (
    Kept,
    Operation,
    Plan,
    ReportPage,
    RoadmapRow,
    Wanted,
    decide,
    kept_after,
    wanted_of,
)
from achievement_collector.publish.notion.schema import Table
from achievement_collector.publish.notion.values import Plain, read_row, request_of
from achievement_collector.sources.bodies import Body

_ATTEMPTS = 3
_KEYS_AT_ONCE = 25


@dataclass(slots=True)
class Outcome:
    """What became of a plan. ``failed`` are (name, reason) of what Notion refused; ``stopped`` says why the rest was not
    tried, empty where all was; ``seconds`` is how long Notion wants to be left alone, where that was the reason."""

    created: int = 0
    updated: int = 0
    texts: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    stopped: str = ""
    seconds: float | None = None

    @property
    def is_whole(self) -> bool:
        return not self.failed and not self.stopped


class Publisher:
    """Writes to the databases ``reports`` and ``roadmap``; either may be missing, then nothing goes there.

    ``adopt`` gives rows that people made the Sync Key of the milestone or report of just their name; without it such a row
    is left alone, and no second one is made beside it.
    """

    def __init__(
        self,
        client: NotionClient,
        memory: Memory,
        *,
        reports: Table | None = None,
        roadmap: Table | None = None,
        adopt: bool = False,
    ) -> None:
        for table in (reports, roadmap):
            if table is not None and "sync_key" not in table.columns:
                raise ConfigurationError(
                    f'the database "{table.title}" has no property "Sync Key" by which rows are found again; '
                    "let it be added: notion setup --create-databases"
                )
        self._client, self._memory, self._adopt = client, memory, adopt
        self._tables = {one.definition.key: one for one in (reports, roadmap) if one is not None}
        self._wanted: dict[tuple[str, str], Wanted] = {}
        self._pages: dict[tuple[str, str], str] = {}
        self._coming: set[str] = set()  # keys of reports that the plan makes
        self._me = ""

    # --- the plan --------------------------------------------------------------------------------

    def plan(self, reports: Sequence[ReportPage], rows: Sequence[RoadmapRow]) -> Plan:
        """What has to be written; only reads. Raises :class:`NotionError` where Notion cannot be asked."""
        self._me = self._me or self._client.me().text("id")
        self._pages.clear()
        self._coming.clear()
        self._wanted = self._all_wanted(reports, rows)
        operations: list[Operation] = []
        skipped: list[tuple[str, str]] = []
        notices: list[str] = []
        agreed: dict[str, Any] = {}
        for table in self._tables.values():
            mine = [one for (name, _), one in self._wanted.items() if name == table.definition.key]
            others = (
                {one.report for one in mine} - {key for name, key in self._wanted if name == "reports"} - {""}
            )
            if others and "reports" in self._tables:
                for key, pages in self._find(self._tables["reports"], others).items():
                    self._pages["reports", key] = self._chosen(pages).text("id")
            found = self._found(table, mine)
            namesakes = self._namesakes(table, [one for one in mine if one.key not in found])
            for one in mine:
                notices += one.notices
                page, why = self._page_of(table, one, found.get(one.key, []), namesakes, notices)
                if why:
                    skipped.append((one.name, why))
                    continue
                step, words, kept = self._step(table, one, page)
                operations += [step] if step else []
                notices += words
                if kept is not None:
                    agreed[self._name(table, one.key)] = kept.data()
                operations += self._text_step(table, one, page)
        return Plan(tuple(operations), tuple(skipped), tuple(notices), agreed)

    def _all_wanted(
        self, reports: Sequence[ReportPage], rows: Sequence[RoadmapRow]
    ) -> dict[tuple[str, str], Wanted]:
        found: dict[tuple[str, str], Wanted] = {}
        listed: list[tuple[str, ReportPage | RoadmapRow]] = [("reports", one) for one in reports]
        listed += [("roadmap", one) for one in rows]
        for name, told in listed:
            table = self._tables.get(name)
            if table is None:
                continue
            if not told.key.strip() or (name, told.key) in found:
                raise ValueError(f"the key {told.key!r} must tell one of the {name} from all others")
            blocks = None if told.markdown is None else tuple(to_blocks(told.markdown))
            found[name, told.key] = wanted_of(table, told, blocks)
        return {
            (name, key): replace(one, earlier=tuple(old for old in one.earlier if (name, old) not in found))
            for (name, key), one in found.items()
        }

    def _step(
        self, table: Table, one: Wanted, page: Body | None
    ) -> tuple[Operation | None, list[str], Kept | None]:
        """(what to write into a row, what is worth a word, what to remember where nothing is to be written)."""
        name = table.definition.key
        kept = self._kept(table, one, page.text("id") if page is not None else "")
        waits = one.report if one.report in self._coming else ""
        wanted = self._with_report(one)
        if page is None:
            if name == "reports":
                self._coming.add(one.key)
            values: dict[str, Plain] = {
                key: value for key, value in wanted.values.items() if value is not None
            }
            return Operation("create", name, one.key, one.name, values=values, report=waits), [], None
        page_id = self._pages[name, one.key] = page.text("id")
        there = read_row(list(table.columns.values()), page)
        values, notices = decide(table, wanted, there, kept)
        if values or waits:
            before = {key: there.get(key) for key in values}
            step = Operation("update", name, one.key, one.name, page_id, values, before, waits)
            return step, notices, None
        after = kept_after(wanted, page_id, there, kept, {})
        return None, notices, after if after != kept else None

    def _text_step(self, table: Table, one: Wanted, page: Body | None) -> list[Operation]:
        if one.blocks is None:
            return []
        digest, page_id = digest_of(one.blocks), page.text("id") if page is not None else ""
        if page is not None:
            section = find_section(self._client, page_id, self._me)
            if section is not None and section.digest == digest and not section.others:
                return []
        return [Operation("text", table.definition.key, one.key, one.name, page_id, digest=digest)]

    def _with_report(self, one: Wanted) -> Wanted:
        """What is wanted, with the id of the report's page where that is known; a report that is not there leaves the
        relation as it is."""
        page_id = self._pages.get(("reports", one.report))
        values = dict(one.values)
        if page_id is not None:
            values["report"] = [page_id]
        return replace(one, values=values, notices=())

    # --- finding rows ----------------------------------------------------------------------------

    def _found(self, table: Table, wanted: Sequence[Wanted]) -> dict[str, list[Body]]:
        """The rows of each, by its key; those with an earlier key of it only where none has the present one."""
        found = self._find(table, [one.key for one in wanted])
        lacking = [one for one in wanted if one.key not in found and one.earlier]
        earlier = self._find(table, [key for one in lacking for key in one.earlier])
        for one in lacking:
            key = next((key for key in one.earlier if key in earlier), None)
            if key is not None:
                found[one.key] = earlier[key]
        return found

    def _find(self, table: Table, keys: Iterable[str]) -> dict[str, list[Body]]:
        """The rows with each of the keys, as they are now."""
        column = table.columns["sync_key"]
        listed = sorted(set(keys))
        found: dict[str, list[Body]] = {}
        for start in range(0, len(listed), _KEYS_AT_ONCE):
            part = listed[start : start + _KEYS_AT_ONCE]
            wanted = [{"property": column.id, "rich_text": {"equals": key.strip()}} for key in part]
            for page in self._rows(table, {"or": wanted}):
                told = read_row([column], page).get("sync_key")
                for key in part:
                    if told == key.strip():
                        found.setdefault(key, []).append(page)
        return found

    def _namesakes(self, table: Table, wanted: Sequence[Wanted]) -> dict[str, list[Body]]:
        """Rows without a Sync Key that have just the name of one that is to be made."""
        name, key = table.columns.get("name"), table.columns["sync_key"]
        found: dict[str, list[Body]] = {}
        titles = sorted({str(one.values["name"]) for one in wanted if one.values.get("name")})
        if name is None:
            return found
        for start in range(0, len(titles), _KEYS_AT_ONCE):
            part = [
                {"property": name.id, "title": {"equals": one}}
                for one in titles[start : start + _KEYS_AT_ONCE]
            ]
            for page in self._rows(
                table, {"and": [{"or": part}, {"property": key.id, "rich_text": {"is_empty": True}}]}
            ):
                told = read_row([name], page).get("name")
                found.setdefault(str(told), []).append(page)
        return found

    def _rows(self, table: Table, wanted: Mapping[str, Any]) -> Sequence[Body]:
        rows = self._client.rows(table.source_id, wanted)
        if not rows.is_complete:
            raise NotionError(
                f'Notion told only a part of the rows of "{table.title}"; nothing is written, lest it be twice'
            )
        return rows.pages

    def _chosen(self, pages: Sequence[Body]) -> Body:
        """The row that counts where several have the same key: ours before a person's copy, then the oldest."""
        return min(
            pages,
            key=lambda one: (one.inner("created_by").text("id") != self._me, one.text("created_time"), one.text("id")),
        )  # fmt: skip

    def _page_of(
        self,
        table: Table,
        one: Wanted,
        found: Sequence[Body],
        namesakes: Mapping[str, Sequence[Body]],
        notices: list[str],
    ) -> tuple[Body | None, str]:
        """(the row, None where one has to be made; why the row is left alone, empty where it is not)."""
        if found:
            if len(found) > 1:
                notices.append(
                    f"{one.name}: {len(found)} rows have the Sync Key {one.key}; the oldest is kept up to date, "
                    "delete the others in Notion"
                )
            return self._chosen(found), ""
        known = self._kept(table, one).page
        if known:
            try:
                page = self._client.page(known)
            except NotionMissingError:
                pass
            else:
                if page.truth("in_trash"):
                    return (
                        None,
                        "its row lies in Notion's trash; restore it there, or delete it for good to get a new one",
                    )
                if page.inner("parent").text("data_source_id") == table.source_id:
                    return page, ""  # somebody took its Sync Key away; it gets it back
        alike = namesakes.get(str(one.values.get("name")), ())
        if not alike:
            return None, ""
        if len(alike) > 1:
            return (
                None,
                f"{len(alike)} rows without a Sync Key have this name; give the right one the key {one.key}",
            )
        if self._adopt:
            return alike[0], ""
        return None, (
            f"a row of this name is there without a Sync Key; take it over with --adopt, or give it the key {one.key}"
        )

    # --- carrying it out -------------------------------------------------------------------------

    def apply(self, plan: Plan) -> Outcome:
        """Carries out the plan that :meth:`plan` of this publisher gave last. One row's failure stops no other; what stops
        all (no access, no answer, a used-up budget) is told in the outcome."""
        done = Outcome()
        for name, value in plan.agreed.items():
            self._memory.keep(name, value)
        for step in plan.operations:
            try:
                self._try(step, done)
            except BudgetExhausted as error:
                done.stopped, done.seconds = str(error), error.seconds
                break
            except (
                NotionRefusedError,
                NotionMissingError,
                NotionUncertainError,
                NotionConflictError,
            ) as error:
                done.failed.append((step.name, str(error)))
            except (NotionAccessError, NotionError) as error:
                done.stopped = str(error)
                break
        return done

    def _try(self, step: Operation, done: Outcome) -> None:
        table = self._tables[step.table]
        wanted = self._wanted[step.table, step.key]
        for left in reversed(range(_ATTEMPTS)):
            try:
                if step.action == "text":
                    self._write_text(step, wanted, done)
                else:
                    self._write_row(table, step, wanted, done)
                return
            except (NotionUncertainError, NotionConflictError):
                if not left:
                    raise

    def _write_text(self, step: Operation, wanted: Wanted, done: Outcome) -> None:
        page_id = self._pages.get((step.table, step.key))
        if page_id is None:
            raise NotionMissingError("its page could not be made, so its text has no place")
        write_section(self._client, page_id, wanted.blocks or (), self._me)
        done.texts += 1

    def _write_row(self, table: Table, step: Operation, one: Wanted, done: Outcome) -> None:
        """Creates or updates a row, after a look at how it is now."""
        wanted = self._with_report(one)
        if step.action == "create":
            found = self._found(table, [one]).get(step.key)
            page = self._chosen(found) if found else None
        else:
            page = self._client.page(step.page_id)
        kept = self._kept(table, one, page.text("id") if page is not None else "")
        if page is None:
            written: dict[str, Plain] = {
                key: value for key, value in wanted.values.items() if value is not None
            }
            page = self._client.create_page(table.source_id, self._request(table, written))
            done.created += 1
        else:
            there = read_row(list(table.columns.values()), page)
            written, notices = decide(table, wanted, there, kept)
            if any(there.get(key) != value for key, value in step.before.items()):
                done.notices += notices  # it changed since the plan was made, so this was not told yet
            if written:
                page = self._client.update_page(page.text("id"), self._request(table, written))
                done.updated += 1
        page_id = self._pages[step.table, step.key] = page.text("id")
        after = kept_after(wanted, page_id, read_row(list(table.columns.values()), page), kept, written)
        if after != kept:
            self._memory.keep(self._name(table, step.key), after.data())

    def _request(self, table: Table, values: Mapping[str, Plain]) -> dict[str, Any]:
        columns = table.columns
        return {
            columns[key].id: request_of(columns[key], value)
            for key, value in values.items()
            if key in columns
        }

    def _kept(self, table: Table, one: Wanted, page: str = "") -> Kept:
        """What is remembered of a row; under an earlier key where it is the ``page`` that was found."""
        kept = Kept.of(self._memory.recall(self._name(table, one.key)))
        if kept.page or not page:
            return kept
        for key in one.earlier:
            before = Kept.of(self._memory.recall(self._name(table, key)))
            if before.page == page:
                return before
        return kept

    def _name(self, table: Table, key: str) -> str:
        return f"notion/row/{table.source_id}/{key}"
