"""Webhooks: checked on the raw body, on disk before they are answered, taken once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.api.guard import LARGEST_BODY
from achievement_collector.ledger.store import Ledger, open_ledger
from tests.serving import (
    NOW,
    SECRETS,
    TestClient,
    from_deployer,
    from_github,
    from_linear,
    server_settings,
    serving,
    stored_deliveries,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded bodies are not here (../shared/data)")
SENDERS = [
    pytest.param("github", from_github, 202, id="github"),
    pytest.param("linear", from_linear, 200, id="linear"),
    pytest.param("deployments", from_deployer, 202, id="deployments"),
]
PROBLEM = "application/problem+json"


@pytest.fixture
def client(ledger: Ledger) -> Iterator[TestClient]:
    with serving(ledger) as opened:
        yield opened


def is_problem(answer: Any, status: int, *words: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    told = answer.json()
    assert told.keys() >= {"type", "title", "status", "detail"}
    assert told["status"] == status
    assert all(word in told["detail"] for word in words)
    assert not any(secret in answer.text for secret in SECRETS)


# --- taken in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "sent", "status"), SENDERS)
def test_a_delivery_is_stored_as_it_came_before_it_is_answered(
    any_ledger: Ledger, source: str, sent: Any, status: int
) -> None:
    body = b'{ "a" : "\xc3\xa9" , "n": 1.0 }'
    with serving(any_ledger) as client:
        any_answer = client.post(**sent(body))
        stored = stored_deliveries(any_ledger)
    assert any_answer.status_code == status
    assert any_answer.json() == {"status": "accepted", "delivery": "d-1"}
    assert [(one.source, one.delivery, one.body, one.state) for one in stored] == [
        (source, "d-1", body, "waiting")
    ]


def test_when_the_answer_begins_another_connection_sees_the_delivery(database_url: str) -> None:
    ledger, elsewhere = open_ledger(database_url), open_ledger(database_url)
    seen: list[tuple[int, int]] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.append((message["status"], len(stored_deliveries(elsewhere))))

    with serving(ledger) as client:
        asyncio.run(_ask(client, from_github({}), [{"type": "http.request", "body": b"{}"}], send))
    assert seen == [(202, 1)]
    for one in (ledger, elsewhere):
        one.close()


async def _ask(client: TestClient, request: dict[str, Any], told: list[Any], send: Any) -> None:
    """Asks the application itself, message by message."""
    headers = [(name.lower().encode(), value.encode()) for name, value in request["headers"].items()]

    async def receive() -> Any:
        return told.pop(0)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": request["url"], "raw_path": request["url"].encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost"), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await client.app(scope, receive, send)


@pytest.mark.parametrize(("source", "sent", "status"), SENDERS)
def test_a_delivery_that_comes_again_is_stored_once(
    any_ledger: Ledger, source: str, sent: Any, status: int
) -> None:
    with serving(any_ledger) as client:
        assert client.post(**sent({"n": 1})).status_code == status
        for body in ({"n": 1}, {"n": 2}):
            again = client.post(**sent(body))
            assert again.status_code == 200
            assert again.json() == {"status": "duplicate", "delivery": "d-1"}
    assert [one.body for one in stored_deliveries(any_ledger)] == [b'{"n": 1}']


def test_the_same_id_from_two_sources_is_two_deliveries(client: TestClient, ledger: Ledger) -> None:
    assert client.post(**from_github({})).status_code == 202
    assert client.post(**from_deployer({})).status_code == 202
    assert len(stored_deliveries(ledger)) == 2


@pytest.mark.parametrize(
    ("sent", "header"), [(from_github, "X-GitHub-Delivery"), (from_linear, "Linear-Delivery"), (from_deployer, "X-Delivery")]
)  # fmt: skip
def test_without_an_id_the_body_is_the_id(client: TestClient, ledger: Ledger, sent: Any, header: str) -> None:
    def post(body: object) -> str:
        request = sent(body)
        del request["headers"][header]
        return str(client.post(**request).json()["status"])

    assert [post({"n": 1}), post({"n": 2}), post({"n": 1})] == ["accepted", "accepted", "duplicate"]
    assert all(one.delivery.startswith("sha256:") for one in stored_deliveries(ledger))


def test_a_deployment_told_again_without_an_id_is_news_a_minute_later(
    client: TestClient, ledger: Ledger
) -> None:
    own = client.app.state.own  # type: ignore[attr-defined]
    request = from_deployer({"n": 1})
    del request["headers"]["X-Delivery"]
    answers = []
    for later in (0, 1_000, 60_000):
        own.clock = lambda later=later: NOW + later
        answers.append(client.post(**request).json()["status"])
    assert answers == ["accepted", "duplicate", "accepted"]


def test_a_signed_webhook_may_come_through_a_tunnel_and_nothing_else(
    client: TestClient, ledger: Ledger
) -> None:
    through = {"Host": "shiny.tunnel.example"}
    request = from_github({})
    request["headers"] |= through
    assert client.post(**request).status_code == 202
    is_problem(client.post(**{**request, "content": b"{ }"}), 401)
    is_problem(client.get("/epics", headers=through), 421, "localhost", "--host", "tunnel")
    is_problem(client.get("/webhooks/github", headers=through), 421)
    assert len(stored_deliveries(ledger)) == 1


def test_many_at_once_are_all_stored(any_ledger: Ledger) -> None:
    async def post_all() -> list[int]:
        import httpx

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as many:
            answers = await asyncio.gather(
                *(many.post(**from_github({"n": n % 40}, delivery=f"d-{n % 40}")) for n in range(80))
            )
        return [one.status_code for one in answers]

    with serving(any_ledger) as client:
        app: Any = client.app
        statuses = asyncio.run(post_all())
    assert sorted(statuses) == [200] * 40 + [202] * 40
    assert {one.delivery for one in stored_deliveries(any_ledger)} == {f"d-{n}" for n in range(40)}


# --- refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "sent", "status"), SENDERS)
def test_a_wrong_signature_is_401_and_nothing_is_stored(
    client: TestClient, ledger: Ledger, source: str, sent: Any, status: int
) -> None:
    good = sent({})
    (name,) = (one for one in good["headers"] if "ignature" in one)
    right = good["headers"][name]
    wrong = [
        sent({}, secret="another")["headers"][name],
        "",
        right[:-1],
        right.upper(),
        "sha256=",
        "é",
        right + "0",
    ]
    for value in wrong:
        is_problem(
            client.post(**{**good, "headers": good["headers"] | {name: value.encode()}}), 401, "does not fit"
        )
    is_problem(client.post(**{**good, "content": good["content"] + b" "}), 401)
    without = {other: value for other, value in good["headers"].items() if other != name}
    is_problem(client.post(**{**good, "headers": without}), 401, "missing")
    assert stored_deliveries(ledger) == []


def test_the_older_signature_of_github_does_not_do(client: TestClient) -> None:
    import hashlib
    import hmac

    request = from_github({})
    del request["headers"]["X-Hub-Signature-256"]
    digest = hmac.new(b"what-github-signs-with", request["content"], hashlib.sha1).hexdigest()
    request["headers"]["X-Hub-Signature"] = f"sha1={digest}"
    is_problem(client.post(**request), 401)


@pytest.mark.parametrize(("source", "sent", "status"), SENDERS)
@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_accepted(
    ledger: Ledger, source: str, sent: Any, status: int, secret: str | None
) -> None:
    settings = server_settings(
        github_webhook_secret=secret, linear_webhook_secret=secret, deployments_webhook_secret=secret
    )
    with serving(ledger, settings) as client:
        is_problem(client.post(**sent({}, secret="")), 503, f"{source.upper()}_WEBHOOK_SECRET", "not set")
    assert stored_deliveries(ledger) == []


def test_an_event_without_its_name_is_400(client: TestClient, ledger: Ledger) -> None:
    request = from_github({})
    del request["headers"]["X-GitHub-Event"]
    is_problem(client.post(**request), 400, "X-GitHub-Event")
    assert stored_deliveries(ledger) == []


@pytest.mark.parametrize(("source", "sent", "status"), SENDERS)
def test_a_body_over_the_limit_is_413_with_and_without_its_length(
    client: TestClient, ledger: Ledger, source: str, sent: Any, status: int
) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 2**20):
            yield b" " * 2**20
        yield b" "

    request = sent(b" " * LARGEST_BODY)
    assert client.post(**request).status_code == status
    is_problem(client.post(**{**request, "content": request["content"] + b" "}), 413, "27,262,976 bytes")
    is_problem(client.post(**{**request, "content": parts()}), 413, "27,262,976 bytes")
    assert len(stored_deliveries(ledger)) == 1


def test_the_limit_holds_for_every_route(client: TestClient) -> None:
    large = b'{"repository": "' + b"a" * LARGEST_BODY + b'"}'
    is_problem(client.post("/ci/metrics", content=large, headers={"Content-Type": "application/json"}), 413)


def test_a_sender_that_goes_away_leaves_nothing_behind(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    request = from_github({"n": 1})
    told = [
        {"type": "http.request", "body": request["content"][:5], "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[Any] = []

    async def send(message: Any) -> None:
        answered.append(message)

    with serving(ledger) as client:
        asyncio.run(_ask(client, request, told, send))
        assert stored_deliveries(ledger) == []
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []
        assert answered[0]["status"] == 400
        assert client.post(**request).status_code == 202  # and it may come again


def test_a_server_that_shuts_down_asks_for_the_delivery_again(client: TestClient, ledger: Ledger) -> None:
    client.app.state.own.receiver.close()  # type: ignore[attr-defined]
    answer = client.post(**from_github({}))
    is_problem(answer, 503)
    assert answer.headers["retry-after"] == "5"
    assert stored_deliveries(ledger) == []


def test_a_ledger_that_fails_is_503_and_never_a_promise(
    client: TestClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa

    with ledger.write() as connection:
        connection.execute(sa.text("ALTER TABLE deliveries RENAME TO elsewhere"))
    is_problem(client.post(**from_github({})), 503)
    with ledger.write() as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO deliveries"))
    assert client.post(**from_github({})).status_code == 202


# --- the window of Linear ----------------------------------------------------------------------------


@pytest.fixture
def asked(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every time that a poll of Linear was asked for; the server's clock stands at NOW."""
    told: list[str] = []
    own = client.app.state.own  # type: ignore[attr-defined]
    own.clock = lambda: NOW
    monkeypatch.setattr(own.work, "ask_linear", lambda: told.append("asked"))
    return told


@pytest.mark.parametrize("off", [0, 60_000, -60_000])
def test_a_delivery_of_linear_within_the_window_is_taken(
    client: TestClient, asked: list[str], off: int
) -> None:
    assert client.post(**from_linear({"webhookTimestamp": NOW - off})).status_code == 200
    assert asked == []


@pytest.mark.parametrize("off", [61_000, -61_000, 10**15])
def test_one_outside_is_400_and_linear_is_polled_instead(
    client: TestClient, ledger: Ledger, asked: list[str], off: int
) -> None:
    is_problem(client.post(**from_linear({"webhookTimestamp": NOW - off})), 400, "LINEAR_API_KEY")
    assert asked == ["asked"]
    assert stored_deliveries(ledger) == []


def test_polling_is_promised_only_where_linear_can_be_asked(ledger: Ledger) -> None:
    with serving(ledger, server_settings(linear_api_key="lin_api_x")) as client:
        client.app.state.own.clock = lambda: NOW  # type: ignore[attr-defined]
        is_problem(client.post(**from_linear({"webhookTimestamp": NOW - 61_000})), 400, "will be polled")


def test_a_forged_delivery_of_linear_asks_for_nothing(client: TestClient, asked: list[str]) -> None:
    is_problem(client.post(**from_linear({"webhookTimestamp": NOW - 61_000}, secret="another")), 401)
    assert asked == []


def test_the_header_tells_the_time_where_the_body_does_not(client: TestClient, asked: list[str]) -> None:
    request = from_linear({})
    request["headers"]["Linear-Timestamp"] = str(NOW - 61_000)
    is_problem(client.post(**request), 400)
    request["headers"]["Linear-Timestamp"] = str(NOW)
    assert client.post(**request).status_code == 200


def test_the_window_can_be_set(ledger: Ledger) -> None:
    with serving(ledger, server_settings(linear_webhook_window=120)) as client:
        client.app.state.own.clock = lambda: NOW  # type: ignore[attr-defined]
        assert client.post(**from_linear({"webhookTimestamp": NOW - 119_000})).status_code == 200


# --- recorded bodies ---------------------------------------------------------------------------------


@needs_data
def test_every_recorded_body_of_github_is_accepted(any_ledger: Ledger) -> None:
    bodies = [
        (path.parent.name, path)
        for path in sorted((DATA / "github" / "webhooks").glob("*/*.json"))
        if not path.parent.name.startswith("_")
    ]
    assert len(bodies) > 240
    with serving(any_ledger) as client:
        for number, (event, path) in enumerate(bodies):
            answer = client.post(**from_github(path.read_bytes(), event, f"d-{number}"))
            assert answer.status_code == 202, path
    assert [(one.event, one.body) for one in stored_deliveries(any_ledger)] == [
        (event, path.read_bytes()) for event, path in bodies
    ]


@needs_data
def test_every_recorded_body_of_linear_is_accepted(any_ledger: Ledger) -> None:
    bodies = sorted((DATA / "linear" / "webhooks").glob("*.json"))
    assert bodies
    with serving(any_ledger) as client:
        for path in bodies:
            told = json.loads(path.read_bytes())
            client.app.state.own.clock = lambda told=told: told.get("webhookTimestamp", NOW)  # type: ignore[attr-defined]
            assert client.post(**from_linear(path.read_bytes(), path.stem)).status_code == 200
    assert len(stored_deliveries(any_ledger)) == len(bodies)


@needs_data
def test_the_published_vectors_pass_over_http(ledger: Ledger) -> None:
    told = json.loads((DATA / "signature-vectors.json").read_text())["github"]
    with serving(ledger, server_settings(github_webhook_secret=told["secret"])) as client:
        request = from_github(told["body"].encode())
        request["headers"]["X-Hub-Signature-256"] = told["value"]
        assert client.post(**request).status_code == 202
