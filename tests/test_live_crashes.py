"""Servers that are killed, ended and doubled: whatever was answered with 2xx is processed, once in effect, and the epic ends
as if nothing had happened."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from achievement_collector.ledger import epics as ledger_epics
from achievement_collector.ledger import inbox
from achievement_collector.ledger.entities import cursors_like, mark_stale, settle, stale_things
from achievement_collector.ledger.inbox import Incoming
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.ledger.tables import servers
from achievement_collector.services.epics import PERSONAS, complete_epic
from achievement_collector.services.intake import process_waiting
from achievement_collector.services.live import bring_up_to_date
from achievement_collector.workflows import engine, peers
from tests.conftest import settings

EPIC = "E5.1"
SECRET = "what GitHub signs with"
NOW = 1_795_000_000_000
PATIENCE = 60.0  # seconds until a server that does not get on counts as stuck

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# --- what is delivered -------------------------------------------------------------------------------


class Sent(NamedTuple):
    """A delivery of GitHub."""

    id: str
    event: str
    body: bytes


def _deliveries(pulls: int) -> list[Sent]:
    """Of each pull request of the epic: opened, its check, merged."""
    repository = {"full_name": "acme/rocket", "html_url": "https://github.com/acme/rocket", "id": 1,
                  "updated_at": "2026-11-01T00:00:00Z"}  # fmt: skip
    sent = []
    for number in range(1, pulls + 1):
        sha, day = hashlib.sha1(b"%d" % number).hexdigest(), f"2026-10-{number % 28 + 1:02}"
        pull = {
            "number": number, "title": f"feat(search): add part {number}", "body": f"Part {number}.\n\nEpic: {EPIC}\n",
            "user": {"login": ("ada", "grace")[number % 2], "id": number % 2, "type": "User"}, "draft": False,
            "created_at": f"{day}T08:00:00Z", "updated_at": f"{day}T08:00:00Z", "merged_at": None, "closed_at": None,
            "html_url": f"https://github.com/acme/rocket/pull/{number}", "head": {"ref": f"part-{number}", "sha": sha},
            "base": {"ref": "main"}, "labels": [], "additions": 100 + number, "deletions": number,
            "changed_files": 3, "commits": 2,
        }  # fmt: skip
        at = f"{day}T18:00:00Z"
        merged = {**pull, "updated_at": at, "merged_at": at, "closed_at": at, "merge_commit_sha": sha[::-1]}
        check = {
            "id": number, "head_sha": sha, "name": "build", "status": "completed", "conclusion": "success",
            "started_at": at, "completed_at": at, "html_url": f"https://github.com/acme/rocket/runs/{number}",
        }  # fmt: skip
        for event, action, thing in (
            ("pull_request", "opened", pull), ("check_run", "completed", check), ("pull_request", "closed", merged),
        ):  # fmt: skip
            body = json.dumps({"action": action, event: thing, "repository": repository})
            sent.append(Sent(f"{number}-{action}", event, body.encode()))
    return sent


class Sender:
    """Sends deliveries and knows which were accepted. As people do at GitHub, it sends again what had no answer."""

    def __init__(self, sent: Iterable[Sent]) -> None:
        self.left = list(sent)
        self.accepted: set[str] = set()

    def send(self, server: Server, most: int | None = None) -> None:
        """Sends what is left, or ``most`` of it. Raises ConnectionError where the server no longer takes it."""
        for one in self.left[:most]:
            signature = hmac.new(SECRET.encode(), one.body, "sha256").hexdigest()
            status, told = server.ask("POST", "/webhooks/github", one.body, {
                "X-GitHub-Event": one.event, "X-GitHub-Delivery": one.id, "X-Hub-Signature-256": f"sha256={signature}",
            })  # fmt: skip
            if status == 503:
                raise ConnectionError(told)
            assert status in (200, 202)
            self.accepted.add(one.id)
            self.left.remove(one)


# --- servers -----------------------------------------------------------------------------------------

_FATAL = """
import importlib, os, signal, sys
owner = importlib.import_module("achievement_collector." + {room!r})
real, calls = getattr(owner, {name!r}), []

def die():
    if "achievement_collector.workflows.worker" in sys.orig_argv:
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

def fatal(*arguments, **named):
    calls.append(None)
    if {moment!r} == "before" and len(calls) == {which}:
        die()
    result = real(*arguments, **named)
    if {moment!r} == "after" and len(calls) == {which}:
        die()
    return result

setattr(owner, {name!r}, fatal)
"""


class Point(NamedTuple):
    """Where a server and its worker are killed: before or after the n-th call of a function in one of them."""

    room: str
    name: str
    moment: str
    which: int = 1


class Server:
    """A ``serve`` process of its own, on a free port. ``at_start`` is run first in it and in its worker."""

    def __init__(self, folder: Path, database: str, at_start: str = "", **environment: str) -> None:
        (folder / "achievement-tracker.yaml").write_text("aggregation:\n  window_seconds: 0.1\n")
        (folder / "sitecustomize.py").write_text("import os\nexec(os.environ['AT_START'])\n")
        self.log = folder / f"server-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "achievement_collector", "serve", "--port", "0"],
                env={
                    **os.environ, "DATABASE_URL": database, "GITHUB_WEBHOOK_SECRET": SECRET, "AT_START": at_start,
                    "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
                    "ACHIEVEMENT_TRACKER_CONFIG": str(folder / "achievement-tracker.yaml"), **environment,
                },
                stdout=log, stderr=log,
            )  # fmt: skip
        self._port = 0

    def wait_until(self, condition: Callable[[], Any]) -> bool:
        """Waits for a condition; False where the process ended before."""
        end = time.monotonic() + PATIENCE
        while not condition():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
                return False
            assert time.monotonic() < end, f"the server does not get on:\n{self.log.read_text()}"
        return True

    def died(self) -> bool:
        """Waits for the process to end; whether it was killed."""
        return not self.wait_until(lambda: False) and self.process.returncode == -signal.SIGKILL

    def is_listening(self) -> bool:
        told = re.search(r"http://127\.0\.0\.1:(\d+)", self.log.read_text())
        self._port = int(told[1]) if told else 0
        return bool(told)

    def is_ready(self) -> bool:
        return self.ask("GET", "/readyz")[0] == 200

    def ready(self) -> Server:
        assert self.wait_until(self.is_listening), self.log.read_text()
        assert self.wait_until(self.is_ready), self.log.read_text()
        return self

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """(status, body) of the answer. Raises ConnectionError where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def worker(self) -> int:
        """The worker's process id, 0 where there is none."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = (line.split() for line in listed.stdout.splitlines())
        return next((int(own) for own, parent in pairs if int(parent) == self.process.pid), 0)

    def kill(self) -> None:
        """Kills the server and its worker, as the end of the machine does."""
        worker = self.worker()
        self.process.kill()
        if worker:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self.process.wait()


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers, and kills at the end those that still run."""
    begun: list[Server] = []

    def start_server(database: str, **how: str) -> Server:
        begun.append(Server(tmp_path, database, **how))
        return begun[-1]

    yield start_server
    for one in begun:
        if one.process.poll() is None:
            one.kill()


# --- what must be so in the end ----------------------------------------------------------------------


def _is_quiet(ledger: Ledger) -> bool:
    with ledger.read() as connection:
        return not inbox.depth(connection).counts["waiting"] and not stale_things(connection, limit=1)


def _epic(ledger: Ledger) -> ledger_epics.StoredEpic | None:
    with ledger.read() as connection:
        return ledger_epics.stored_epic(connection, EPIC)


def _is_final(ledger: Ledger) -> bool:
    epic = _epic(ledger)
    return epic is not None and epic.state == "completed"


def _is_completed(ledger: Ledger) -> bool:
    """Whether the ledger has it that somebody completed the epic."""
    with ledger.read() as connection:
        told = connection.scalar(sa.text("SELECT registers FROM entities WHERE kind = 'epic'"))
    return bool(told)


def _bring_to_end(server: Server, sender: Sender, ledger: Ledger) -> bool:
    """Delivers all that is left, completes the epic, waits until it is final; False where the server died before."""
    try:
        if not server.wait_until(server.is_listening):
            return False
        sender.send(server)
        if not server.wait_until(lambda: _is_quiet(ledger)):
            return False
        if not _is_completed(ledger):
            assert server.ask("POST", f"/epics/{EPIC}/complete")[0] == 202
    except ConnectionError:
        return not server.died()
    return server.wait_until(lambda: _is_final(ledger) and _is_quiet(ledger))


def _timeless(structure: dict[str, Any]) -> dict[str, Any]:
    """The structure of an epic without the moment at which the test completed it."""
    told: dict[str, Any] = json.loads(json.dumps(structure))
    line = told["timeline"]
    assert line["completed"]
    line["completed"] = line["seconds"] = None
    line["phases"] = [one for one in line["phases"] if one["name"] != "completion"]
    line["events"] = [one for one in line["events"] if one["what"] != "completed"]
    return told


def _undisturbed(pulls: int, folder: Path) -> dict[str, Any]:
    """The epic's structure after a run that nothing disturbed."""
    ledger = open_ledger(str(folder / "undisturbed.db"))
    with ledger.write() as connection:
        inbox.store(connection, [Incoming("github", *one, NOW) for one in _deliveries(pulls)])
    _work_off(ledger)
    complete_epic(ledger, EPIC, True, NOW)
    _work_off(ledger)
    epic = _epic(ledger)
    ledger.close()
    assert epic is not None
    assert (epic.state, epic.structure["deliverables"]["prs_merged"]) == ("completed", pulls)
    return _timeless(epic.structure)


def _work_off(ledger: Ledger) -> None:
    while process_waiting(ledger, settings(), NOW, limit=100).total:
        pass
    bring_up_to_date(ledger, settings(), lambda: NOW)


def _assert_everything_is_there_once(ledger: Ledger, accepted: set[str], pulls: int, folder: Path) -> None:
    epic = _epic(ledger)
    assert epic
    assert (epic.state, epic.revision) == ("completed", 1)
    assert _timeless(epic.structure) == _undisturbed(pulls, folder)
    with ledger.read() as connection:
        stored = inbox.listed(connection, limit=10_000)
        assert len(stored) == len(accepted)
        assert {one.delivery for one in stored} == accepted
        assert {(one.state, one.attempts) for one in stored} == {("processed", 1)}
        query = "SELECT pull_request, count(*) FROM achievements WHERE kind <> 'epic' GROUP BY 1 ORDER BY 1"
        found = [tuple(row) for row in connection.execute(sa.text(query))]
        assert found == [(number, 1) for number in range(1, pulls + 1)]
        assert connection.scalar(sa.text("SELECT count(*) FROM achievements WHERE kind = 'epic'")) == 1
        kinds = [one.kind for one in ledger_epics.events_of(connection, EPIC)]
        assert (kinds.count("started"), kinds.count("finalised"), kinds.count("reopened")) == (1, 1, 0)
        told = [(one.kind, one.subject) for one in ledger_epics.notified(connection)]
        assert told == [("epic.finalised", f"{EPIC}@1")]
        versions = ledger_epics.versions_of(connection, EPIC)
        assert {revision: set(texts) for revision, texts in versions.items()} == {1: set(PERSONAS)}
        if ledger.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


# --- killed ------------------------------------------------------------------------------------------

_WHILE_DELIVERING = {
    "stored, not committed": Point("ledger.inbox", "store", "after", 4),
    "committed, not answered": Point("services.intake", "_answer", "before", 5),
    "while it is taken in": Point("ledger.entities", "_locked", "after"),
    "taken in, not settled": Point("ledger.inbox", "settle", "before"),
    "processed, nothing concluded": Point("ledger.epics", "set_mentions", "before"),
    "derived, the mark not settled": Point("services.deriving", "derive_repository", "after"),
    "before a rebuilt epic is stored": Point("ledger.epics", "store_epic", "before"),
}
_WHILE_FINALISING = {
    "before the versions are stored": Point("ledger.epics", "add_versions", "before"),
    "after the versions are stored": Point("ledger.epics", "add_versions", "after"),
    "finalised, the mark not settled": Point("services.epics", "_finalise", "after"),
}


def test_servers_killed_at_every_stage_lose_and_double_nothing(
    database_url: str, start: Start, tmp_path: Path
) -> None:
    pulls = 2 * len(_WHILE_DELIVERING) + 1
    ledger, sender = open_ledger(database_url), Sender(_deliveries(pulls))
    for stage, point in _WHILE_DELIVERING.items():
        server = start(database_url, at_start=_FATAL.format(**point._asdict()))
        with contextlib.suppress(ConnectionError):
            if server.wait_until(server.is_listening):
                sender.send(server, 6)
        assert server.died(), f"{stage}: {server.log.read_text()}"
        with ledger.read() as connection:
            assert {one.delivery for one in inbox.listed(connection, limit=200)} >= sender.accepted
    for stage, point in _WHILE_FINALISING.items():
        server = start(database_url, at_start=_FATAL.format(**point._asdict()))
        assert not _bring_to_end(server, sender, ledger), stage
        assert server.died(), f"{stage}: {server.log.read_text()}"
        assert not _is_final(ledger)
    assert _bring_to_end(start(database_url), sender, ledger)
    _assert_everything_is_there_once(ledger, sender.accepted, pulls, tmp_path)
    ledger.close()


def test_servers_killed_at_random_moments_lose_and_double_nothing(
    database_url: str, start: Start, tmp_path: Path
) -> None:
    pulls, chance = 12, random.Random(11)
    sent = _deliveries(pulls)
    chance.shuffle(sent)
    ledger, sender = open_ledger(database_url), Sender(sent)
    for is_machine in (True, False, True):
        server = start(database_url)
        assert server.wait_until(server.is_listening)
        kill = server.kill if is_machine else server.process.kill  # else its worker ends by itself
        timer = threading.Timer(chance.uniform(0.2, 2.0), kill)
        timer.start()
        again = [one for one in sent if one.id in sender.accepted and chance.random() < 0.3]
        sender.left = [*again, *sender.left]
        with contextlib.suppress(ConnectionError):
            sender.send(server, chance.randrange(8, 16))
        assert server.died()
        timer.join()
    assert _bring_to_end(start(database_url), sender, ledger)
    _assert_everything_is_there_once(ledger, sender.accepted, pulls, tmp_path)
    ledger.close()


_AT_ONCE = "from achievement_collector.workflows import supervisor; supervisor._SHORTEST_LIFE = 0.2"


@on_sqlite
def test_a_worker_that_is_killed_is_started_again_and_one_without_a_server_ends(
    database_url: str, start: Start, tmp_path: Path
) -> None:
    ledger, sender = open_ledger(database_url), Sender(_deliveries(3))
    server = start(database_url, at_start=_AT_ONCE).ready()
    first = server.worker()
    sender.send(server, 5)
    os.kill(first, signal.SIGKILL)
    assert _bring_to_end(server, sender, ledger)
    _assert_everything_is_there_once(ledger, sender.accepted, 3, tmp_path)
    second = server.worker()
    assert second not in (0, first)
    server.process.kill()
    server.process.wait()
    _until(lambda: not _lives(second))
    ledger.close()


def _lives(process: int) -> bool:
    state = subprocess.run(["ps", "-p", str(process), "-o", "stat="], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def _until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        threading.Event().wait(0.02)


_HOLDER = """
import os, signal, sys
from achievement_collector.ledger.store import open_ledger
ledger = open_ledger(sys.argv[1])
with ledger.exclusive("live"), ledger.write():
    child = os.fork()
    if not child:
        signal.pause()
    print(child, flush=True)
    signal.pause()
"""


def test_a_lock_ends_with_its_process_not_with_the_children_that_it_forked(database_url: str) -> None:
    ledger = open_ledger(database_url)

    def is_free() -> bool:
        with ledger.try_exclusive("live") as is_ours:
            return is_ours

    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, database_url], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    child = int(holder.stdout.readline())
    try:
        assert not is_free()
        holder.kill()
        holder.wait()
        assert _lives(child)
        _until(is_free)
        with ledger.write() as connection:
            connection.execute(sa.delete(servers))
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()
    ledger.close()


# --- polls that a stop interrupts --------------------------------------------------------------------


class Gate:
    """A GitHub with an empty repository, whose first answer waits until it is let through."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                told: object = []
                if path == "/repos/acme/rocket":
                    gate.asked += 1
                    gate.open.wait(PATIENCE)
                    told = {"id": 1, "full_name": "acme/rocket", "created_at": "2026-01-01T00:00:00Z"}
                elif path.endswith("/actions/runs"):
                    told = {"total_count": 0, "workflow_runs": []}
                body = json.dumps(told).encode()
                with contextlib.suppress(OSError):  # whoever asked may be dead
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that was killed needs no report."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def settings(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": f"http://127.0.0.1:{self._server.server_port}", "GITHUB_REPOSITORIES": "acme/rocket",
            "GITHUB_CHECK_INTERVAL": str(30 * 86_400),
        }  # fmt: skip

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    own = Gate()
    yield own
    own.close()


def _polls(ledger: Ledger) -> list[tuple[str, str]]:
    """(state, process) of each poll of GitHub that was asked for, as the engine knows them."""
    query = "SELECT status, executor_id FROM {} WHERE workflow_uuid LIKE 'github/%'"
    if ledger.is_sqlite:
        with contextlib.closing(sqlite3.connect(f"{ledger.name}.workflows", timeout=30)) as database:
            return [tuple(row) for row in database.execute(query.format("workflow_status"))]
    with ledger.read() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query.format("dbos.workflow_status")))]


def test_a_server_told_to_end_under_load_ends_in_time_and_what_it_was_at_goes_on(
    database_url: str, start: Start, gate: Gate, tmp_path: Path
) -> None:
    pulls = 60
    ledger, sent = open_ledger(database_url), _deliveries(pulls)
    server = start(database_url, **gate.settings()).ready()
    assert server.wait_until(lambda: gate.asked == 1)
    senders = [Sender(sent[part::3]) for part in range(3)]

    def send(one: Sender) -> None:
        with contextlib.suppress(ConnectionError):
            one.send(server)

    threads = [threading.Thread(target=send, args=(one,)) for one in senders]
    for thread in threads:
        thread.start()
    assert server.wait_until(lambda: sum(len(one.accepted) for one in senders) > 15)
    began = time.monotonic()
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert time.monotonic() - began < 10
    assert "it is killed" not in server.log.read_text()
    for thread in threads:
        thread.join()
    assert any(one.left for one in senders)
    with ledger.read() as connection:
        stored = {one.delivery for one in inbox.listed(connection, limit=200)}
    assert stored >= set.union(*(one.accepted for one in senders))
    assert [state for state, _ in _polls(ledger)] == ["PENDING"]

    sender = Sender(one for each in senders for one in each.left)
    sender.accepted = set.union(*(one.accepted for one in senders))
    server = start(database_url, **gate.settings())
    assert server.wait_until(lambda: gate.asked == 2)
    gate.open.set()
    assert _bring_to_end(server, sender, ledger)
    assert server.wait_until(lambda: [state for state, _ in _polls(ledger)] == ["SUCCESS"])
    _assert_everything_is_there_once(ledger, sender.accepted, pulls, tmp_path)
    ledger.close()


# --- several servers ---------------------------------------------------------------------------------

_QUICK = "from achievement_collector.workflows import peers; peers.BEAT, peers.SILENCE = 0.2, 3.0"


@on_postgresql
def test_a_server_takes_over_the_deliveries_and_the_poll_of_one_that_is_killed(
    database_url: str, start: Start, gate: Gate, tmp_path: Path
) -> None:
    pulls = 12
    ledger, sent = open_ledger(database_url), _deliveries(12)
    victim = start(database_url, at_start=_QUICK, **gate.settings()).ready()
    assert victim.wait_until(lambda: gate.asked == 1)
    survivor = start(database_url, at_start=_QUICK, **gate.settings()).ready()
    ((_, executor),) = _polls(ledger)
    of_victim, of_survivor = Sender(sent[0::2]), Sender(sent[1::2])
    threads = [
        threading.Thread(target=of_victim.send, args=(victim, 9)),
        threading.Thread(target=of_survivor.send, args=(survivor,)),
    ]
    for thread in threads:
        thread.start()
    threads[0].join()
    victim.kill()
    threads[1].join()
    of_victim.left, left = [], of_victim.left
    of_survivor.left += left
    assert survivor.wait_until(lambda: gate.asked == 2)
    gate.open.set()
    assert survivor.wait_until(lambda: [state for state, _ in _polls(ledger)] == ["SUCCESS"])
    assert _bring_to_end(survivor, of_survivor, ledger)
    _assert_everything_is_there_once(ledger, of_victim.accepted | of_survivor.accepted, pulls, tmp_path)
    ((_, heir),) = _polls(ledger)
    with ledger.read() as connection:
        assert cursors_like(connection, "github/127.0.0.1/acme/rocket/")
        assert connection.scalars(sa.select(servers.c.executor)).all() == [heir] != [executor]
    ledger.close()


@on_postgresql
def test_two_servers_give_each_delivery_one_outcome_and_are_not_in_each_others_way(
    database_url: str, start: Start, tmp_path: Path
) -> None:
    pulls, both = 24, [start(database_url), start(database_url)]  # at once, on a database without tables
    for server in both:
        server.ready()
    ledger, sent = open_ledger(database_url), _deliveries(24)
    random.Random(5).shuffle(sent)
    senders = [Sender([*sent[part::2], *sent[:10]]) for part in range(2)]  # ten are sent to both
    threads = [
        threading.Thread(target=one.send, args=(server,)) for one, server in zip(senders, both, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _bring_to_end(both[1], senders[1], ledger)
    _assert_everything_is_there_once(ledger, senders[0].accepted | senders[1].accepted, pulls, tmp_path)
    for server in both:
        assert "WARNING" not in server.log.read_text()
        assert '"level": "warning"' not in server.log.read_text()
    ledger.close()


def test_a_delivery_that_was_dealt_with_keeps_its_outcome(any_ledger: Ledger) -> None:
    with any_ledger.write() as connection:
        inbox.store(connection, [Incoming("github", *_deliveries(1)[0], NOW)])
        ((number, *_),) = inbox.listed(connection)
        inbox.settle(connection, [(number, inbox.PROCESSED, "by one process")], NOW)
    with any_ledger.write() as connection:
        inbox.settle(connection, [(number, inbox.FAILED, "by another")], NOW)
        (one,) = inbox.listed(connection)
    assert (one.state, one.told, one.attempts) == ("processed", "by one process", 1)


@on_postgresql
def test_marks_that_are_set_and_taken_away_in_different_orders_are_no_deadlock(database_url: str) -> None:
    ledger = open_ledger(database_url)
    with ledger.write() as connection:
        mark_stale(connection, [("issue", "i", "x"), ("pull", "p", "x")], NOW)
        marks = {one.kind: one for one in stale_things(connection)}

    def take_away_pull() -> None:
        with ledger.write() as connection:
            mark_stale(connection, [("issue", "i", "y")], NOW)
            settle(connection, [marks["pull"]])

    other = threading.Thread(target=take_away_pull)
    with ledger.write() as connection:
        mark_stale(connection, [("pull", "p", "y")], NOW)
        other.start()
        _until(lambda: _is_anybody_waiting(ledger))
        settle(connection, [marks["issue"]])
    other.join()
    with ledger.read() as connection:
        left = sorted((one.kind, one.cause) for one in stale_things(connection))
    assert left == [("issue", "y"), ("pull", "x")]
    ledger.close()


def _is_anybody_waiting(ledger: Ledger) -> bool:
    with ledger.read() as connection:
        return bool(connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


@on_postgresql
def test_a_dead_server_stays_on_the_list_until_its_work_was_taken_over(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(database_url)
    assert peers.beat(ledger, "a") == peers.beat(ledger, "b") == peers.beat(ledger, "a") == []
    peers.leave(ledger, "a")
    assert peers.beat(ledger, "b") == ["a"]
    assert peers.beat(ledger, "c") == ["a"]
    peers.bury(ledger, ["a"])
    assert peers.beat(ledger, "b") == []
    monkeypatch.setattr(peers, "SILENCE", 0.0)
    assert peers.beat(ledger, "b") == ["c"]
    monkeypatch.undo()
    peers.bury(ledger, ["c"])  # it was silent for a moment only
    peers.leave(ledger, "c")
    assert peers.beat(ledger, "b") == ["c"]
    ledger.close()


@on_sqlite
def test_a_second_server_on_an_sqlite_ledger_is_refused_until_the_first_has_gone(
    database_url: str, start: Start, gate: Gate
) -> None:
    first = start(database_url, **gate.settings()).ready()
    second = start(database_url)
    assert second.process.wait(PATIENCE) == 2
    (told,) = second.log.read_text().splitlines()
    assert told.startswith(f"achievement-collector: another server uses the ledger {database_url}; ")
    assert first.is_ready()
    assert first.wait_until(lambda: gate.asked == 1)
    worker = first.worker()
    first.process.kill()  # its worker ends by itself, but not at once: a poll is under way
    first.process.wait()
    third = start(database_url, **gate.settings()).ready()
    assert not _lives(worker)
    assert third.wait_until(lambda: gate.asked == 2)


def test_the_engine_runs_on_an_sqlite_that_is_older_than_it_asks_for(tmp_path: Path) -> None:
    opened = engine._sqlite_engine(str(tmp_path / "engine"))
    with opened.connect() as connection:
        exact = connection.exec_driver_sql("SELECT unixepoch('subsec')").scalar()
        whole = connection.exec_driver_sql("SELECT unixepoch()").scalar()
    opened.dispose()
    assert isinstance(exact, float)
    assert isinstance(whole, int)
    assert abs(exact - time.time()) < 5
    assert abs(exact - whole) < 5
