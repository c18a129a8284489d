"""The client against a real server, and the server as a user runs it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from achievement_collector.client import AchievementCreate, AchievementEdit, Client, EpicStart
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.ledger.store import open_ledger
from achievement_collector.services.ci_metrics import CiFile, Submission
from achievement_collector.services.tokens import create_token
from tests.serving import (
    GITHUB,
    NOW,
    OWN_TOKEN,
    ServerProcess,
    from_github,
    stored_deliveries,
    until,
)

ADA = "Ada Lovelace <ada@acme.example>"
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that needs a token, for all tests of the client."""
    folder = tmp_path_factory.mktemp("server")
    own = {"ACHIEVEMENT_COLLECTOR_TOKEN": OWN_TOKEN, "GITHUB_WEBHOOK_SECRET": GITHUB}
    with ServerProcess(folder, "--db", str(folder / "ledger.db"), **own) as running:
        yield running
        assert running.end() == 0
    assert OWN_TOKEN not in running.log.read_text()
    assert GITHUB not in running.log.read_text()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address, OWN_TOKEN) as opened:
        yield opened


# --- the client --------------------------------------------------------------------------------------


def test_an_achievement_is_stated_edited_and_deleted(client: Client) -> None:
    made = client.create(AchievementCreate(title="Led the March incident", person=ADA, impact=40))
    assert client.achievement(made["id"])["title"] == "Led the March incident"
    edited = client.edit(made["id"], AchievementEdit(title="Led the response", impact=60))
    assert (edited["title"], edited["impact"]["value"]) == ("Led the response", 60)
    assert client.edit(made["id"], AchievementEdit(reset=["title"]))["title"] == "Led the March incident"
    assert client.delete(made["id"]) == {"id": made["id"], "status": "deleted"}
    with pytest.raises(NotFoundError, match="no achievement has an id"):
        client.achievement(made["id"])


def test_a_selection_comes_page_by_page(client: Client) -> None:
    made = {client.create(AchievementCreate(title=f"Talk {n}", person=ADA, impact=n))["id"] for n in range(7)}
    found = list(client.achievements(search="Talk", limit=3, min_impact=0))
    assert {one["id"] for one in found} == made
    assert [one["impact"]["value"] for one in found] == [6, 5, 4, 3, 2, 1, 0]
    assert next(client.achievements(search="Talk", limit=1))["title"] == "Talk 6"
    for one in made:
        client.delete(one)
    assert list(client.achievements(search="Talk")) == []


@pytest.mark.parametrize("key", ["E5.1", "CI.CD", "100%", "%2e", "Ж1", "a?b#c"])
def test_an_epic_is_started_completed_and_read(client: Client, server: ServerProcess, key: str) -> None:
    client.start_epic(EpicStart(key=key, title=f"The epic {key}"))

    def stands_as(status: str) -> bool:
        try:
            return bool(client.epic(key)["status"] == status)
        except NotFoundError:
            return False

    until(lambda: stands_as("draft"), server)
    assert client.complete_epic(key)["key"] == key
    until(lambda: stands_as("completed"), server)


def test_measures_of_ci_are_handed_in(client: Client) -> None:
    junit = CiFile("junit", "r" * 600, b'<testsuite><testcase name="\xc3\xa9"/></testsuite>')
    taken = client.ingest(Submission("acme/rocket", "b" * 40, (junit,), 12.5, job="unit"))
    assert taken == {"tests": "1 tests, 0 failed, 0 skipped", "build_time": "12.5 s"}


# --- errors of the client ----------------------------------------------------------------------------


def test_errors_are_in_the_words_of_the_server(client: Client) -> None:
    with pytest.raises(
        CollectorError, match=r"^the server says 400: 'magic' is no category; choose from feature"
    ):
        list(client.achievements(category="magic"))
    with pytest.raises(
        CollectorError, match=r"422: .*form \(query\.limit: Input should be less than or equal to 200\)"
    ):
        list(client.achievements(limit=1_000))
    with pytest.raises(NotFoundError, match="404: there is no epic 'E404'"):
        client.epic("E404")


@pytest.mark.parametrize("token", ["", "ac_wrong-token-of-somebody", OWN_TOKEN + "x"])
def test_a_token_that_is_refused_is_told_without_the_token(server: ServerProcess, token: str) -> None:
    with (
        Client(server.address, token) as client,
        pytest.raises(CollectorError, match="the server says 401: ") as told,
    ):
        client.epic("E1")
    assert not token or token not in str(told.value)
    assert OWN_TOKEN not in str(told.value)


def test_a_server_that_is_not_there_is_named_without_token_and_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with (
            Client(f"http://ada:s3cret-password@127.0.0.1:{port}", OWN_TOKEN) as client,
            pytest.raises(
                CollectorError, match=f"http://127.0.0.1:{port} does not answer: ConnectError"
            ) as told,
        ):
            client.epic("E1")
    assert "s3cret" not in str(told.value)
    assert OWN_TOKEN not in str(told.value)
    assert told.value.__cause__ is None


def test_a_server_of_another_kind_is_told(tmp_path: Path) -> None:
    import threading
    from http.server import HTTPServer, SimpleHTTPRequestHandler

    class Pages(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if "achievements" in self.path else 500)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Pages) as other:
        thread = threading.Thread(target=other.serve_forever, daemon=True)
        thread.start()
        with Client(f"http://127.0.0.1:{other.server_port}/") as client:
            with pytest.raises(CollectorError, match="is no achievement-collector"):
                list(client.achievements())
            with pytest.raises(CollectorError, match="the server says 500: Internal Server Error"):
                client.epic("E1")
        other.shutdown()
        thread.join()


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://x", "", "http://\x00"])
def test_an_address_that_cannot_be_is_told_at_once(address: str) -> None:
    with pytest.raises(CollectorError, match=r"^the address of (a|the) server "):
        Client(address)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "schlüssel"])
def test_a_token_that_cannot_be_sent_is_told_without_it(token: str) -> None:
    with pytest.raises(CollectorError, match="one word") as told:
        Client("http://localhost:8000", token)
    assert token not in str(told.value)


# --- the server as a user runs it --------------------------------------------------------------------


def test_a_server_takes_in_and_ends_in_order(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with ServerProcess(tmp_path, "--db", str(ledger), GITHUB_WEBHOOK_SECRET=GITHUB) as server:
        assert _post(server, from_github({"zen": ""}))[0] == 202
        assert server.end() == 0
    opened = open_ledger(str(ledger))
    assert [one.delivery for one in stored_deliveries(opened)] == ["d-1"]
    opened.close()


def test_a_server_is_ready_within_three_seconds(tmp_path: Path) -> None:
    needed = []
    for attempt in range(4):  # other tests run beside this one
        with ServerProcess(tmp_path, "--db", str(tmp_path / f"ledger-{attempt}.db")) as server:
            needed.append(server.seconds_to_ready)
        if needed[-1] < 3:
            break
    assert min(needed) < 3


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_as_soon_as_it_listens_ends_with_0(
    tmp_path: Path, sent: signal.Signals
) -> None:
    server = ServerProcess(tmp_path, "--db", str(tmp_path / "ledger.db"))
    try:
        until(server._is_listening, server)
        server.process.send_signal(sent)
        assert server.process.wait(20) == 0
    finally:
        server.__exit__()
    assert "Traceback" not in server.log.read_text()


def test_a_sender_that_goes_away_leaves_no_trace(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--db", str(tmp_path / "ledger.db"), GITHUB_WEBHOOK_SECRET=GITHUB) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sender:
            sender.sendall(
                b"POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
            )
        status, told = _post(server, from_github({"zen": ""}))
        assert (status, told["status"]) == (202, "accepted")
        assert server.end() == 0
    assert '"level": "error"' not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_a_body_over_the_limit_is_413_before_it_is_sent(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--db", str(tmp_path / "ledger.db"), GITHUB_WEBHOOK_SECRET=GITHUB) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sender:
            sender.sendall(
                b"POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
            )
            assert sender.recv(100).startswith(b"HTTP/1.1 413 ")
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sender:
            sender.sendall(
                b"POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(27):
                sender.sendall(b"100000\r\n" + b" " * 2**20 + b"\r\n")
            assert sender.recv(100).startswith(b"HTTP/1.1 413 ")
        assert server.end() == 0


def test_others_are_not_served_without_a_token(run: Run, tmp_path: Path) -> None:
    result = run("serve", "--host", "0.0.0.0", "--port", "0", "--db", tmp_path / "ledger.db")
    assert result.returncode == 2
    assert _is_one_sentence(result.stderr)
    assert "token" in result.stderr


def test_others_are_served_where_there_is_a_token(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "ledger.db"))
    text = create_token(ledger, "laptop", ["read"], NOW)
    ledger.close()
    server = ServerProcess(tmp_path, "--host", "0.0.0.0", "--db", str(tmp_path / "ledger.db"))
    try:
        until(lambda: re.search(r"listening on http://0\.0\.0\.0:\d+", server.log.read_text()), server)
        port = server.log.read_text().partition("http://0.0.0.0:")[2].split()[0]
        with Client(f"http://127.0.0.1:{port}", text) as client:
            assert list(client.achievements()) == []
        assert server.end() == 0
    finally:
        server.__exit__()


def test_a_port_in_use_is_told_in_a_sentence(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", port, "--db", tmp_path / "ledger.db")
    assert result.returncode == 2
    assert _is_one_sentence(result.stderr)
    assert str(port) in result.stderr


@pytest.mark.parametrize("host", ["nowhere.invalid", "256.0.0.1", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_told_in_a_sentence(run: Run, tmp_path: Path, host: str) -> None:
    own = {"ACHIEVEMENT_COLLECTOR_TOKEN": OWN_TOKEN}
    result = run("serve", "--host", host, "--port", "0", "--db", tmp_path / "ledger.db", **own)
    assert result.returncode == 2
    assert _is_one_sentence(result.stderr)
    assert host in result.stderr


def _is_one_sentence(told: str) -> bool:
    return "Traceback" not in told and len(told.strip().splitlines()) == 1


def _post(server: ServerProcess, request: dict[str, object]) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", request["url"], request["content"], request["headers"])  # type: ignore[arg-type]
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told
