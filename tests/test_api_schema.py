"""The API against its own description: requests made up by schemathesis, answers held against what is declared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from achievement_collector.ledger.entities import stale_things
from achievement_collector.ledger.store import Ledger
from tests.serving import TestClient, from_deployer, from_github, from_linear, serving, work_off

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in tests.serving
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

ADA = "Ada <ada@acme.example>"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def client(any_ledger: Ledger) -> Iterator[TestClient]:
    """A server that knows an epic with a final version, and a delivery."""
    with serving(any_ledger) as opened:
        opened.post("/epics", json={"key": "E1", "title": "Search"})
        work_off(any_ledger)
        opened.post("/epics/E1/complete")
        opened.post(**from_github({"zen": ""}))
        work_off(any_ledger)
        yield opened


def known(client: TestClient) -> dict[str, Any]:
    """Values of parameters that lead somewhere."""
    made = client.post("/achievements", json={"title": "Led", "person": ADA}).json()
    client.post("/kpis/milestones", json={"metric_name": "revenue", "value": 2, "target": 1})
    return {"id": made["id"], "key": "E1", "persona": "technical", "number": 1, "name": "revenue"}


def test_no_request_that_can_be_made_up_brings_the_server_or_its_worker_down(
    client: TestClient, any_ledger: Ledger, subtests: Any
) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 24
    for operation in operations:
        with subtests.test(operation.label):
            _try_out(operation, client, known(client))
    work_off(any_ledger)
    with any_ledger.read() as connection:
        assert stale_things(connection, limit=1) == []


def test_what_may_go_wrong_is_declared_as_a_problem(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            declared = operation["responses"]
            expected = {"401", "403", "421", "422", "503"} if "security" in operation else set()
            if "{" in path:
                expected |= {"404"}
            assert expected <= declared.keys(), (method, path)
            for status, answer in declared.items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def _try_out(operation: Any, client: TestClient, places: dict[str, Any]) -> None:
    fits = operation.as_strategy()
    does_not = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @settings(
        max_examples=25,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(fits, does_not), leads_somewhere=st.booleans())
    def try_out(case: Any, leads_somewhere: bool) -> None:
        if leads_somewhere:
            case.headers.pop("Authorization", None)  # none is needed, and a made-up one is refused
            case.path_parameters.update({name: places[name] for name in case.path_parameters or {}})
            if isinstance(case.body, dict) and "person" in case.body:
                case.body |= {"person": ADA, "category": "feature", "date": None, "link": ""}
        answer = _ask(client, case, is_signed=leads_somewhere)
        case.validate_response(answer, checks=CHECKS)

    try_out()


def _ask(client: TestClient, case: Any, *, is_signed: bool) -> Any:
    """Sends a case as it would go over the wire; to a webhook with its signatures, if so wished."""
    wire = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
    body = (wire.body.encode() if isinstance(wire.body, str) else wire.body) or b""
    headers = dict(wire.headers)
    if is_signed:
        for sign in (from_github, from_linear, from_deployer):
            headers |= sign(body, delivery="")["headers"] if case.path.startswith("/webhooks/") else {}
    return client.request(str(wire.method), str(wire.url), content=body, headers=headers)
