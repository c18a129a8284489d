"""Opening a ledger: the database's address, its version, transactions and locks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from achievement_collector.errors import ConfigurationError, LedgerError

SCHEMA_VERSION = "0007"
"""The newest migration; a test compares it with ``migrations/versions``."""

_WRITE = "ledger_write"

_VERSIONS = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The table in which the library of the migrations keeps which one was the last."""


class Ledger:
    """An open ledger. ``name`` is its address without a password, fit to be shown."""

    def __init__(self, url: URL, engine: Engine) -> None:
        self.url = url
        self.engine = engine
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._write_lock: int | None = None
        self._checkpoints_apart = False
        if self.is_sqlite:
            sa.event.listen(engine, "connect", self._prepare)
        self._turn = _Turn() if self.is_sqlite else nullcontext()
        self.name = str(url.database) if self.is_sqlite else url.render_as_string(hide_password=True)

    def _prepare(self, connection: Any, _: Any) -> None:
        if self._checkpoints_apart:
            connection.execute("PRAGMA wal_autocheckpoint = 0")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a transaction that only reads."""
        with _clear_errors(self.name), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end, or rolled back on an error.

        Threads of this process take turns, first come, first served. ``durable`` has SQLite wait until the disk has the
        data, so that not even a power cut loses it (PostgreSQL always does)."""
        with (
            _clear_errors(self.name),
            self._turn,
            self._alone(),
            self.engine.connect().execution_options(**{_WRITE: True}) as connection,
        ):
            if durable and self.is_sqlite:
                _synchronous(connection, "FULL")
            try:
                with connection.begin():
                    yield connection
            finally:
                if durable and self.is_sqlite:
                    _synchronous(connection, "NORMAL")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from writing to SQLite: the system wakes who waits, where SQLite would look again after
        ever longer pauses."""
        if not self.is_sqlite:
            yield
            return
        if self._write_lock is None:
            self._write_lock = os.open(
                f"{self.name}.write.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            _locking.add(self._write_lock)
        fcntl.flock(self._write_lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._write_lock, fcntl.LOCK_UN)

    @contextmanager
    def exclusive(self, name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Holds the lock ``name`` against all other processes that use this ledger; the system frees it when
        the process ends, however it ends. ``on_wait`` is called once when another process holds it."""
        if self.is_sqlite:
            # SQLite has one writer anyway: one lock for each kind of work (the name's first word)
            lock = _file_lock(Path(f"{self.name}.{name.split()[0]}.lock"), on_wait)
        else:
            digest = hashlib.sha1(name.encode(), usedforsecurity=False).digest()
            lock = self._advisory(int.from_bytes(digest[:4]) >> 1, on_wait)
        with lock:
            yield

    @contextmanager
    def try_exclusive(self, name: str) -> Iterator[bool]:
        """Like :meth:`exclusive`, but gives False at once where another process holds the lock."""
        try:
            with self.exclusive(name, _refuse):
                yield True
                return
        except _HeldElsewhere:
            pass
        yield False

    @contextmanager
    def _advisory(self, number: int, on_wait: Callable[[], None] | None) -> Iterator[None]:
        with _clear_errors(self.name), self.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            descriptor = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(number))):
                if on_wait:
                    on_wait()
                connection.execute(sa.select(sa.func.pg_advisory_lock(number)))
            _locking.add(descriptor)
            try:
                yield
            finally:
                _locking.discard(descriptor)
                connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))

    def checkpoint_apart(self) -> None:
        """Has no commit of this process copy SQLite's journal into the file, which would keep its waiters waiting:
        whoever calls this, or another process, must call :meth:`checkpoint` now and then."""
        if self.is_sqlite:
            self._checkpoints_apart = True
            self.engine.dispose()

    def checkpoint(self) -> None:
        """Copies what is in SQLite's journal into the file, as far as no reader is in the way; writers are not held up."""
        if self.is_sqlite:
            with _clear_errors(self.name), self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        self.engine.dispose()
        if self._write_lock is not None:
            _locking.discard(self._write_lock)
            os.close(self._write_lock)
            self._write_lock = None


class _HeldElsewhere(Exception):  # noqa: N818 - an outcome, not a mistake
    pass


def _refuse() -> None:
    raise _HeldElsewhere


class _Turn:
    """A lock that threads get in the order in which they asked; SQLite's own waiting polls, and favours nobody."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._guard:
            if self._owner == me:
                self._depth += 1
                return
            if self._owner is None:
                self._owner, self._depth = me, 1
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()
        with self._guard:
            self._owner, self._depth = me, 1

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth:
                return
            if self._waiting:
                self._owner = -1  # promised to the one that is woken
                self._waiting.popleft().set()
            else:
                self._owner = None


def _synchronous(connection: Connection, mode: str) -> None:
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute(f"PRAGMA synchronous = {mode}")


def ledger_url(address: str) -> URL:
    """The database URL of an address: a URL, or the path of an SQLite file.

    Raises :class:`ConfigurationError` for databases that are not supported.
    """
    if "://" not in address:
        return URL.create("sqlite", database=str(Path(address).expanduser().resolve()))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "the database URL cannot be understood; expected sqlite:///PATH or postgresql://..."
        ) from None
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ConfigurationError("the ledger needs a file: sqlite:///PATH")
        return URL.create("sqlite", database=str(Path(url.database).expanduser().resolve()))
    if url.drivername == "postgresql+psycopg":
        return url
    raise ConfigurationError(f"{url.drivername} is not supported; use sqlite:///PATH or postgresql://...")


def open_ledger(address: str, *, create: bool = True) -> Ledger:
    """Opens the ledger at ``address``, made or upgraded to this version's tables where needed.

    Raises :class:`LedgerError` where it cannot be opened, or where it is missing and ``create`` is False.
    """
    url = ledger_url(address)
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        if path.is_dir():
            raise LedgerError(f"{path} is a folder; name a file for the ledger")
        if not path.exists():
            if not create:
                raise LedgerError(
                    f"there is no ledger at {path} yet; make one with: achievement-collector scan"
                )
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)  # it holds names and addresses
            except OSError as error:
                raise LedgerError(f"the ledger {path} cannot be made: {error.strerror}") from None
    ledger = Ledger(url, _engine(url))
    with _clear_errors(ledger.name):
        version = _version(ledger.engine)
        if version != SCHEMA_VERSION:
            with ledger.exclusive("migration"):
                if _version(ledger.engine) != SCHEMA_VERSION:
                    _make_or_migrate(ledger)
    return ledger


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        try:
            return sa.create_engine(url, pool_pre_ping=True)
        except (ModuleNotFoundError, NoSuchModuleError):
            raise ConfigurationError(
                "PostgreSQL needs one more package: pip install 'achievement-collector[postgres]'"
            ) from None
    engine = sa.create_engine(url, connect_args={"timeout": 60})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # a read that turns into a write fails at once when another process has written in between
        writes = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return version


def _make_or_migrate(ledger: Ledger) -> None:
    """Makes the tables in an empty database; takes the migrations that are missing to a ledger of an older program.

    A new ledger needs no migration, and so not the import of their library, which takes longer than making it; a test
    compares the tables of both ways."""
    with ledger.write() as connection:
        if not sa.inspect(connection).get_table_names():
            from achievement_collector.ledger.tables import metadata

            metadata.create_all(connection, checkfirst=False)
            connection.execute(sa.schema.CreateTable(_VERSIONS))
            connection.execute(_VERSIONS.insert().values(version_num=SCHEMA_VERSION))
            return
    migrate(ledger)


def migrate(ledger: Ledger) -> None:
    """Takes all migrations that the ledger has not seen; an empty database begins with the first."""
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", "achievement_collector:ledger/migrations")
    with ledger.write() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise LedgerError(
                f"the ledger {ledger.name} was written by a newer version of achievement-collector; "
                "upgrade to use it"
            ) from None


@contextmanager
def _clear_errors(name: str) -> Iterator[None]:
    """Database errors as one sentence without the statement and its values, which may be private."""
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig).strip().split("\n")[0]
        raise LedgerError(f"the ledger {name} cannot be used: {reason}") from error
    except DBAPIError as error:
        reason = str(error.orig).strip().split("\n")[0]
        raise LedgerError(f"the ledger {name} refused a request: {reason}") from error


@contextmanager
def _file_lock(path: Path, on_wait: Callable[[], None] | None) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _locking.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait:
                on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _locking.discard(descriptor)
        os.close(descriptor)


_locking: set[int] = set()
"""Open descriptors that hold a lock, or the connection that holds one."""


def _let_go() -> None:
    """In a child process: a lock is to end with the process that took it, however that ends, not with its last child."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in _locking:
        os.dup2(nothing, descriptor, inheritable=False)  # not closed, so that no other file gets its number
    os.close(nothing)
    _locking.clear()


os.register_at_fork(after_in_child=_let_go)
