"""The ledger: its versions, its locks, and that writing twice changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from achievement_collector.errors import ConfigurationError, LedgerError
from achievement_collector.ledger.store import SCHEMA_VERSION, Ledger, ledger_url, migrate, open_ledger
from achievement_collector.ledger.tables import metadata
from achievement_collector.services.records import Query, build_record
from tests.conftest import scan_into
from tests.databases import Databases
from tests.git_repositories import Repository, lines


def test_a_new_ledger_has_exactly_the_tables_of_the_migrations(empty_database_url: str) -> None:
    made = open_ledger(empty_database_url)
    told = [_tables(made)]
    with made.write() as connection:
        metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE alembic_version"))
    migrate(made)
    told.append(_tables(made))
    assert told[0] == told[1]
    assert len(told[0]) == len(metadata.tables) + 1
    made.close()


def _tables(ledger: Ledger) -> dict[str, Any]:
    """Everything that the database tells of each table, but for the order of its columns and constraints; and that its
    version is this program's, and nothing is left to migrate."""
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
        assert compare_metadata(context, metadata) == []
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == SCHEMA_VERSION
        inspected = sa.inspect(connection)
        return {
            name: {
                "columns": _sorted(
                    {**column, "type": repr(column["type"])} for column in inspected.get_columns(name)
                ),
                "primary key": inspected.get_pk_constraint(name),
                "foreign keys": _sorted(inspected.get_foreign_keys(name)),
                "unique": _sorted(inspected.get_unique_constraints(name)),
                "checks": _sorted(inspected.get_check_constraints(name)),
                "indexes": _sorted(inspected.get_indexes(name)),
            }
            for name in inspected.get_table_names()
        }


def _sorted(told: Iterable[Any]) -> list[str]:
    return sorted(repr(sorted(one.items())) for one in told)


def test_the_version_is_that_of_the_newest_migration() -> None:
    folder = files("achievement_collector.ledger.migrations") / "versions"
    newest = max(entry.name for entry in folder.iterdir() if entry.name[:4].isdecimal())
    assert newest.startswith(SCHEMA_VERSION)


def test_a_ledger_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "l.db"))
    with ledger.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    ledger.close()
    with pytest.raises(LedgerError, match="newer version"):
        open_ledger(str(tmp_path / "l.db"))


@pytest.mark.parametrize(
    ("address", "backend"),
    [
        ("x.db", "sqlite"),
        ("sqlite:///x.db", "sqlite"),
        ("postgres://h/d", "postgresql"),
        ("postgresql+psycopg://h/d", "postgresql"),
    ],
)
def test_addresses(address: str, backend: str) -> None:
    assert ledger_url(address).get_backend_name() == backend


@pytest.mark.parametrize("address", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "http://x"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ConfigurationError):
        ledger_url(address)


def test_two_scans_at_once_do_not_disturb_each_other(
    any_ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    places = []
    for name in ("one", "two", "one-more"):
        repository = Repository(tmp_path / name)
        for number in range(20):
            repository.commit(f"feat: {name} {number}", {f"{number}.py": lines(60)})
        places.append(repository.path)
    errors: list[Any] = []

    def work(path: Path) -> None:
        own = open_ledger(database_url)
        try:
            errors.extend(one.error for one in scan_into(own, path, places[0]) if one.error)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            errors.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=work, args=(path,)) for path in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with any_ledger.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM commits")) == 60
        assert connection.scalar(sa.text("SELECT count(*) FROM achievements WHERE is_counted")) == 60


def test_a_wrong_clock_does_not_make_a_century_of_empty_months(
    any_ledger: Ledger, repository: Repository
) -> None:
    for number, date in enumerate(("@1600000000 +0000", "@1605000000 +0000", "@253402300799 +0000")):
        repository.commit(f"feat: step {number}", {f"{number}.py": lines(60)}, date=date)
        scan_into(any_ledger, repository.path)
        months = build_record(any_ledger, Query(), datetime.now(UTC)).months
        if number == 1:
            assert months == (("2020-09", 1), ("2020-10", 0), ("2020-11", 1))
    assert months == (("2020-09", 1), ("2020-11", 1), ("9999-12", 1))


def test_an_error_rolls_everything_back(any_ledger: Ledger) -> None:
    def fail_half_way() -> None:
        insert = "INSERT INTO people (id, name, email, kind) VALUES ('x', 'x', 'x', 'person')"
        with any_ledger.write() as connection:
            connection.execute(sa.text(insert))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with any_ledger.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM people")) == 0


def test_both_databases_give_the_same_record(postgres: Databases, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit("feat: one", {"a.py": lines(90), "package.json": '{"dependencies": {"vue": "3"}}'})
    repository.commit("fix: two (#4)", {"b/ü.py": lines(20)})
    repository.tag("v1.0.0", "one")
    with postgres.ledger() as other:
        assert _record(str(tmp_path / "l.db"), repository) == _record(other, repository)


def _record(address: str, repository: Repository) -> list[list[Any]]:
    ledger = open_ledger(address)
    scan_into(ledger, repository.path)
    with ledger.read() as opened:
        told = [
            [tuple(row) for row in opened.execute(sa.text(query))]
            for query in (
                "SELECT uid, title, impact, complexity, category, released_in, detail FROM achievements ORDER BY uid",
                "SELECT name, evidence FROM achievement_skills ORDER BY name, evidence",
                "SELECT id, name, email FROM people ORDER BY id",
            )
        ]
    ledger.close()
    assert all(told)
    return told
