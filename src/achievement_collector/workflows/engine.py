"""Starting and stopping the engine (DBOS), on SQLite or PostgreSQL.

On SQLite the engine's tables are a file of their own beside the ledger (``<ledger>.workflows``); in PostgreSQL they are the
schema ``dbos`` of the ledger's database. Workflows of a process that died are taken over: on SQLite by the next one that
starts, on PostgreSQL by any other that runs (:mod:`achievement_collector.workflows.peers`).
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

from achievement_collector import __version__
from achievement_collector.ledger.store import Ledger

SYNC_QUEUE = "sync"
_ALONE = "alone"


def start(ledger: Ledger) -> str:
    """Launches the engine and gives this process's name in it. Workflows must be registered (imported) before."""
    executor = _ALONE if ledger.is_sqlite else uuid.uuid4().hex
    config: DBOSConfig = {
        "name": "achievement-collector",
        "application_version": __version__,
        "executor_id": executor,
        "log_level": "WARNING",
        "scheduler_polling_interval_sec": 30.0,
        "notification_listener_polling_interval_sec": 0.2,  # no workflow waits for one; it holds up the end
    }
    if ledger.is_sqlite:
        config["system_database_engine"] = _sqlite_engine(f"{ledger.name}.workflows")
    else:
        config["system_database_url"] = ledger.url.render_as_string(hide_password=False)
        config["sys_db_pool_size"] = 5
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(SYNC_QUEUE, worker_concurrency=1, polling_interval_sec=1.0)
    return executor


def stop(executor: str, seconds: float = 3.0) -> None:
    """Ends the engine; workflows of ``executor`` that still run after ``seconds`` go on when it is started again."""
    ends = time.monotonic() + seconds
    # the engine's own waiting looks once a second, the first time after one
    while time.monotonic() < ends and _is_at_work(executor):
        time.sleep(0.05)
    DBOS.destroy()


def _is_at_work(executor: str) -> bool:
    try:
        return bool(
            DBOS.list_workflows(
                status="PENDING", executor_id=executor, limit=1, load_input=False, load_output=False
            )
        )
    except sa.exc.SQLAlchemyError:  # its database has gone; there is nothing to wait for
        return False


def take_over(executors: list[str]) -> int:
    """Has the workflows of processes that died go on; gives how many."""
    return len(
        DBOS._recover_pending_workflows(executors)
    )  # the engine offers no public way without its paid service


def _sqlite_engine(path: str) -> sa.Engine:
    """An engine whose connections know ``unixepoch('subsec')``, which SQLite has since 3.42 only."""
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 30000")
        if tuple(map(int, connection.execute("SELECT sqlite_version()").fetchone()[0].split(".")[:2])) < (
            3,
            42,
        ):
            connection.create_function("unixepoch", -1, _unixepoch)

    return engine


def _unixepoch(*arguments: str) -> float | int:
    now = time.time()
    return now if "subsec" in arguments or "subsecond" in arguments else int(now)
