"""Who may ask for what: scopes, tokens that are revoked, servers that are open, web pages that are not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.tokens import SCOPES, create_token, list_tokens, revoke_token, scopes_of
from tests.serving import NOW, OWN_TOKEN, from_github, server_settings, serving

PUBLIC = {
    "GET /healthz", "GET /readyz", "GET /metrics", "POST /webhooks/github", "POST /webhooks/linear", "POST /webhooks/deployments",
    "GET /docs", "GET /openapi.json",
}  # fmt: skip


class Way(NamedTuple):
    """A method of a route, with an address that fits it."""

    name: str
    method: str
    address: str

    @property
    def scope(self) -> str:
        """What a token must be for: derived from what the route does, not from how it is written."""
        if self.name in ("POST /ci/metrics", "POST /threads/track", "POST /kpis/milestones"):
            return "ingest"
        return "read" if self.method == "GET" else "write"


def ways(app: Any) -> Iterator[Way]:
    for route in _routes(app.routes):
        assert isinstance(route, Route), f"a route of another kind is not looked at here: {route}"
        address = route.path_format.replace("{number}", "1")
        for name in route.param_convertors:
            address = address.replace(f"{{{name}}}", "abcd")
        for method in sorted(route.methods or ()):
            if method != "HEAD":
                yield Way(f"{method} {route.path_format}", method, address)


def _routes(found: Any) -> Iterator[Any]:
    for route in found:
        inside = getattr(route, "original_router", None)
        yield from _routes(inside.routes) if inside is not None else [route]


@pytest.fixture
def bearers(ledger: Ledger) -> Callable[..., dict[str, str]]:
    def bearer(*scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {create_token(ledger, ' '.join(scopes), scopes, NOW)}"}

    return bearer


def is_refused(answer: Any) -> None:
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


# --- every route -------------------------------------------------------------------------------------


def test_every_route_but_the_public_ones_needs_a_token_of_its_scope(
    ledger: Ledger, bearers: Callable[..., dict[str, str]], subtests: Any
) -> None:
    given = {scope: bearers(scope) for scope in SCOPES}
    public, seen = set(), set()
    with serving(ledger) as client:
        for way in ways(client.app):
            seen.add(way.name)
            answer = client.request(way.method, way.address)
            if answer.status_code != 401 or "www-authenticate" not in answer.headers:
                public.add(way.name)
                continue
            with subtests.test(way.name):
                for scope, headers in given.items():
                    answer = client.request(way.method, way.address, headers=headers)
                    if scope == way.scope:
                        assert answer.status_code not in (401, 403)
                    else:
                        assert answer.status_code == 403
                        assert way.scope in answer.json()["detail"]
    assert public == PUBLIC
    assert len(seen - public) >= 20


def test_a_route_that_forgets_its_token_would_be_found(ledger: Ledger) -> None:
    with serving(ledger, server_settings(api_token=OWN_TOKEN)) as client:
        client.app.router.routes.append(APIRoute("/forgotten", lambda: "open"))  # type: ignore[attr-defined]
        found = {
            way.name for way in ways(client.app) if client.request(way.method, way.address).status_code == 200
        }
    assert "GET /forgotten" in found


def test_a_token_may_have_several_scopes(ledger: Ledger, bearers: Callable[..., dict[str, str]]) -> None:
    headers = bearers("read", "ingest")
    with serving(ledger) as client:
        assert client.get("/epics", headers=headers).status_code == 200
        assert client.post("/ci/metrics", headers=headers).status_code == 422
        assert client.post("/epics", headers=headers, json={"key": "E1"}).status_code == 403


# --- tokens ------------------------------------------------------------------------------------------


def test_an_unknown_and_a_revoked_token_are_401(any_ledger: Ledger) -> None:
    text = create_token(any_ledger, "laptop", ["read"], NOW)
    with serving(any_ledger) as client:
        assert client.get("/epics", headers={"Authorization": f"Bearer {text}"}).status_code == 200
        for wrong in (
            f"Bearer {text}x",
            f"Bearer {text[:-1]}",
            "Bearer ",
            "Bearer",
            f"Basic {text}",
            text,
            "Bearer é",
        ):
            is_refused(client.get("/epics", headers={"Authorization": wrong.encode()}))
        is_refused(client.get("/epics", params={"token": text}))
        revoke_token(any_ledger, list_tokens(any_ledger)[0].id, NOW)
        is_refused(client.get("/epics", headers={"Authorization": f"Bearer {text}"}))


def test_a_refusal_does_not_repeat_the_token(ledger: Ledger, bearers: Callable[..., dict[str, str]]) -> None:
    headers = bearers("read")
    with serving(ledger, server_settings(api_token=OWN_TOKEN)) as client:
        for answer in (
            client.post("/epics", headers=headers, json={}),
            client.get("/epics", headers={"Authorization": f"Bearer {OWN_TOKEN}x"}),
        ):
            assert answer.status_code in (401, 403)
            assert OWN_TOKEN not in answer.text
            assert headers["Authorization"].split()[1] not in answer.text


def test_the_token_of_the_settings_may_everything(ledger: Ledger) -> None:
    with serving(ledger, server_settings(api_token=OWN_TOKEN), token=OWN_TOKEN) as client:
        assert client.get("/epics").status_code == 200
        assert client.post("/epics", json={"key": "E1"}).status_code == 202
        assert client.post("/ci/metrics", json={}).status_code == 422
        del client.headers["Authorization"]
        is_refused(client.get("/epics"))


def test_only_the_hash_of_a_token_is_stored(tmp_path: Path, ledger: Ledger) -> None:
    text = create_token(ledger, "laptop", ["read"], NOW)
    with serving(ledger, token=text) as client:
        assert client.get("/epics").status_code == 200
    ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert b"laptop" in stored
    assert text.encode() not in stored
    assert text.removeprefix("ac_").encode() not in stored


def test_tokens_are_long_and_differ(ledger: Ledger) -> None:
    made = {create_token(ledger, "one", ["read"], NOW) for _ in range(20)}
    assert len(made) == 20
    assert min(map(len, made)) >= 43  # 256 bits


def test_the_list_of_tokens_tells_when_one_was_used(any_ledger: Ledger) -> None:
    text = create_token(any_ledger, " laptop ", ["read", "write", "read"], NOW)
    assert scopes_of(any_ledger, text, None, NOW + 5) == ("read", "write")
    assert scopes_of(any_ledger, text, None, NOW + 6) == ("read", "write")  # not noted each time
    (told,) = list_tokens(any_ledger)
    assert told[1:] == ("laptop", ("read", "write"), NOW, NOW + 5, None)
    scopes_of(any_ledger, text, None, NOW + 60_006)
    assert list_tokens(any_ledger)[0].used == NOW + 60_006


@pytest.mark.parametrize(
    ("name", "scopes"), [("x", []), ("x", ["admin"]), ("", ["read"]), (" ", ["read"]), ("x" * 201, ["read"])]
)
def test_a_token_that_cannot_be_is_not_made(ledger: Ledger, name: str, scopes: list[str]) -> None:
    with pytest.raises(CollectorError):
        create_token(ledger, name, scopes, NOW)
    assert list_tokens(ledger) == []


def test_a_token_is_revoked_once(any_ledger: Ledger) -> None:
    create_token(any_ledger, "laptop", ["read"], NOW)
    (number,) = (one.id for one in list_tokens(any_ledger))
    revoke_token(any_ledger, number, NOW)
    for wrong in (number, number + 1):
        with pytest.raises(NotFoundError, match="in force"):
            revoke_token(any_ledger, wrong, NOW + 1)
    assert list_tokens(any_ledger)[0].revoked == NOW


# --- open servers ------------------------------------------------------------------------------------


def test_a_server_for_this_machine_is_open_until_there_is_a_token(any_ledger: Ledger) -> None:
    with serving(any_ledger) as client:
        assert client.post("/epics", json={"key": "E1"}).status_code == 202
        is_refused(client.get("/epics", headers={"Authorization": "Bearer ac_unknown"}))
        text = create_token(any_ledger, "laptop", ["read"], NOW)
        is_refused(client.get("/epics"))
        assert client.get("/epics", headers={"Authorization": f"Bearer {text}"}).status_code == 200
        revoke_token(any_ledger, list_tokens(any_ledger)[0].id, NOW)
        is_refused(client.get("/epics"))  # revoking takes access away, and gives none


def test_any_other_server_without_tokens_refuses_everything_but_what_is_public(
    ledger: Ledger, subtests: Any
) -> None:
    with serving(ledger, is_open=False) as client:
        for way in ways(client.app):
            if way.name not in PUBLIC:
                with subtests.test(way.name):
                    is_refused(client.request(way.method, way.address))
        assert client.post(**from_github({})).status_code == 202


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5", "", "[", "[::1"]
)  # fmt: skip
def test_a_foreign_name_is_421_on_a_server_for_this_machine(ledger: Ledger, host: str) -> None:
    with serving(ledger) as client:
        for path in ("/epics", "/healthz", "/nothing"):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code == 421
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.0.0.2", "[::1]:8000"])
def test_its_own_names_are_answered(ledger: Ledger, host: str) -> None:
    with serving(ledger) as client:
        assert client.get("/epics", headers={"Host": host}).status_code == 200


def test_a_server_for_others_is_called_by_any_name(ledger: Ledger) -> None:
    with serving(ledger, server_settings(api_token=OWN_TOKEN), is_open=False, token=OWN_TOKEN) as client:
        assert client.get("/epics", headers={"Host": "achievements.acme.example"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://["]
)
def test_no_page_of_another_site_changes_anything_on_an_open_server(ledger: Ledger, origin: str) -> None:
    with serving(ledger) as client:
        client.post("/epics", json={"key": "E1"})
        answer = client.post("/epics/E1/complete", headers={"Origin": origin})
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.post("/epics", json={"key": "E2"}, headers={"Origin": origin}).status_code == 403
        assert (
            client.post("/epics", json={"key": "E2"}, headers={"Origin": "http://localhost:3000"}).status_code
            == 202
        )


def test_no_answer_is_to_be_guessed_at_by_a_browser(ledger: Ledger) -> None:
    with serving(ledger) as client:
        for answer in (
            client.get("/epics"), client.get("/epics", headers={"Host": "evil.example"}), client.get("/nothing"),
            client.put("/epics"), client.get("/metrics"), client.post(**from_github({}, secret="another")),
        ):  # fmt: skip
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_without_a_token_is_not_read(ledger: Ledger) -> None:
    with serving(ledger, server_settings(api_token=OWN_TOKEN), is_open=False) as client:

        def body() -> Iterator[bytes]:
            yield b'{"title": "'
            raise AssertionError("it is read")

        answer = client.post("/achievements", content=body())
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
