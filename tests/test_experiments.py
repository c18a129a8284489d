"""Experiments from MLflow: what is read, and which runs may claim to have beaten what there was."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st

from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.conclusions import AchievementKind
from achievement_collector.derive.experiment_achievements import (
    category_of_metric,
    conclude_run,
    impact_of_gain,
)
from achievement_collector.derive.experiments import (
    Beaten,
    Spread,
    direction_of,
    judge_runs,
    percent,
    primary_metric,
)
from achievement_collector.errors import ConfigurationError
from achievement_collector.facts import Signature
from achievement_collector.facts.experiments import (
    Experiment,
    MetricChoice,
    ModelVersion,
    PrimaryMetric,
    Run,
)
from achievement_collector.facts.kpis import Direction
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger.entities import Thing, cursors_like, stale_things, thing, things
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.ledger.tables import cursors, entities, signatures
from achievement_collector.services.mlflow_sync import (
    OVERLAP,
    WHOLE_AGAIN,
    CommitAuthor,
    ExperimentRules,
    Synced,
    author_of_commit,
    conclude_experiment,
    judge_experiment,
    named_person,
    read_runs,
    sync_mlflow,
)
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.mlflow.client import (
    MlflowAccessError,
    MlflowClient,
    MlflowError,
)
from achievement_collector.sources.mlflow.reading import read_run
from tests.conftest import scan_into
from tests.fakes.mlflow import PASSWORD, TOKEN, FakeMlflow, Trouble, recorded, refusal, serve
from tests.git_repositories import Repository
from tests.outside_world import World

NOW = 1_795_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
ACCURACY = PrimaryMetric("accuracy", Direction.HIGHER, 0.01, "chosen in the test")
LATENCY = PrimaryMetric("latency", Direction.LOWER, 0.05, "chosen in the test")


class Clock:
    """Time that passes only by being slept through, or by being set."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mlflow() -> Iterator[FakeMlflow]:
    with serve(FakeMlflow()) as fake:
        yield fake


@pytest.fixture
def client(mlflow: FakeMlflow, clock: Clock) -> Iterator[MlflowClient]:
    with MlflowClient(mlflow.url, runs_per_page=2, sleep=clock.sleep) as opened:
        yield opened


def contents(ledger: Ledger) -> tuple[list[Any], list[Any]]:
    """Every row of things and of cursors, with the times at which they were written."""
    with ledger.read() as connection:
        known = connection.execute(sa.select(entities).order_by(entities.c.kind, entities.c.key)).all()
        places = connection.execute(sa.select(cursors).order_by(cursors.c.name)).all()
    return [tuple(row) for row in known], [tuple(row) for row in places]


def known_runs(ledger: Ledger) -> dict[str, Thing]:
    """name -> each run that the ledger knows and that is not deleted."""
    with ledger.read() as connection:
        return {
            one.fields["name"]: one
            for one in things(connection, Kind.RUN)
            if one.key != one.scope and not one.fields["removed"]
        }


def scope_of(client: MlflowClient, experiment: str) -> str:
    return f"{client.host}/experiments/{experiment}"


def concluded(ledger: Ledger, scope: str, rules: ExperimentRules | None = None) -> list[Conclusion]:
    with ledger.write() as connection:
        return conclude_experiment(connection, scope, rules)


def run(name: str, ended: int, value: float | None = None, /, metric: str = "accuracy", **more: Any) -> Run:
    told: dict[str, Any] = {"params": {"name": name}, "url": f"https://mlflow/#/{name}"}
    metrics = {} if value is None else {metric: value}
    return Run(f"mlflow/{name}", name, ended, name, metrics=metrics, **{**told, **more})


def claims(*runs: Run, metric: PrimaryMetric = ACCURACY) -> list[str]:
    return [one.run.name for one in judge_runs(runs, metric).beaten]


def reason(name: str, *runs: Run, metric: PrimaryMetric = ACCURACY) -> str:
    return judge_runs(runs, metric).unclaimed[f"mlflow/{name}"]


# --- the client --------------------------------------------------------------------------------------


def test_a_list_is_read_page_by_page(mlflow: FakeMlflow, client: MlflowClient) -> None:
    experiment = mlflow.add_experiment("search")
    for number in range(5):
        mlflow.add_run(experiment, f"r{number}", 1_000 + number)
    mlflow.add_run(experiment, "going on", None, status="RUNNING")
    mlflow.add_run(experiment, "failed", 1_002, status="FAILED")
    pages = [
        [one.inner("info").text("run_name") for one in page]
        for page in client.finished_runs(experiment, 1_001)
    ]
    assert pages == [["r1", "r2"], ["r3", "r4"]]
    (_, asked), _ = mlflow.asked
    assert asked["filter"] == "attributes.status = 'FINISHED' and attributes.end_time >= 1001"


def test_what_fails_in_passing_is_asked_again(mlflow: FakeMlflow, client: MlflowClient, clock: Clock) -> None:
    mlflow.add_experiment("search")
    mlflow.troubles.extend(
        [
            Trouble(hangs_up=True),
            Trouble(503, "<html>busy</html>"),
            refusal("REQUEST_LIMIT_EXCEEDED", "slow down", 429, Retry_After="7"),
        ]
    )
    assert [one.text("name") for one in client.experiments()] == ["search"]
    assert (clock.slept, client.requests) == ([1.0, 2.0, 7.0], 4)


def test_what_fails_again_and_again_is_given_up(
    mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    mlflow.troubles.extend([Trouble(502, "no")] * 9)
    with pytest.raises(MlflowError, match=r"trouble of its own \(HTTP 502\); try again later"):
        list(client.experiments())
    assert client.requests == 5
    mlflow.troubles.clear()
    mlflow.troubles.append(refusal("REQUEST_LIMIT_EXCEEDED", "slow", 429, Retry_After="3600"))
    with pytest.raises(MlflowError, match="too much to do"):
        list(client.experiments())
    assert max(clock.slept) <= 60


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        (Trouble(401, "Unauthorized"), MlflowAccessError, "does not let us in; set MLFLOW_TRACKING_TOKEN"),
        (refusal("PERMISSION_DENIED", "no right to\nread", 403), MlflowAccessError, "no right to read; use the cred"),
        (Trouble(200, "<!doctype html><form>log in</form>"), MlflowError, "a page or a redirect, perhaps to a login"),
        (Trouble(302, "", {"Location": "https://login.example"}), MlflowError, "a page or a redirect"),
        (Trouble(404, "<title>404 Not Found</title>"), MlflowError, "there is no MLflow API at"),
        (Trouble(200, "[1, 2]"), MlflowError, "not as MLflow does"),
        (refusal("RESOURCE_DOES_NOT_EXIST", "Run with id=x not found", 404), MlflowError, "Run with id=x not found"),
        (refusal("INVALID_PARAMETER_VALUE", "y" * 9_000), MlflowError, r"\(HTTP 400\): y{300}$"),
        (Trouble(400, "[" * 100_000), MlflowError, "gave no reason"),
    ],
    ids=lambda one: one.status if isinstance(one, Trouble) else None,
)  # fmt: skip
def test_a_refusal_says_what_to_do(
    mlflow: FakeMlflow, client: MlflowClient, trouble: Trouble, kind: type[MlflowError], words: str
) -> None:
    mlflow.troubles.append(trouble)
    with pytest.raises(kind, match=words):
        list(client.experiments())
    assert client.requests == 1


def test_a_list_that_never_ends_is_not_read_for_ever(mlflow: FakeMlflow, client: MlflowClient) -> None:
    mlflow.troubles.extend([Trouble(200, {"experiments": [], "next_page_token": "again"})] * 9)
    with pytest.raises(MlflowError, match="does not go on where it says"):
        list(client.experiments())
    assert client.requests == 2


def test_a_server_that_is_not_there_is_named(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with (
        MlflowClient(f"http://127.0.0.1:{port}", sleep=clock.sleep) as client,
        pytest.raises(MlflowError, match=rf"127\.0\.0\.1:{port} gave no answer \(ConnectError\)"),
    ):
        list(client.experiments())


@pytest.mark.parametrize("way", ["token", "password", "address"])
def test_credentials_are_sent_and_shown_nowhere(
    mlflow: FakeMlflow, clock: Clock, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    mlflow.authorization = (
        f"Bearer {TOKEN}" if way == "token" else httpx.BasicAuth("ada", PASSWORD)._auth_header
    )
    url = mlflow.url
    told: dict[str, str] = {"token": TOKEN} if way == "token" else {"username": "ada", "password": PASSWORD}
    if way == "address":
        url, told = url.replace("://", "://ada:mlflow-p%C3%A4ssword%3ASECRET@"), {}
    with MlflowClient(url, sleep=clock.sleep, **told) as client:
        assert list(client.experiments()) == []
        mlflow.troubles.append(Trouble(401, "who?"))
        with pytest.raises(MlflowAccessError, match="check the token, or") as error:
            list(client.experiments())
        shown = (
            f"{client!r} {client.url} {client.host} {error.value!r} {error.value.__context__!r} {caplog.text}"
        )
    assert "SECRET" not in shown
    assert client.url == mlflow.url


@pytest.mark.parametrize(
    ("url", "told", "words"),
    [
        ("sqlite:///mlflow.db", {}, "a sqlite store|sqlite store is read through one"),
        ("./mlruns", {}, "must be the http"),
        ("databricks", {}, "must be the http"),
        ("http://[::1", {}, "is no address"),
        ("https://mlflow.example/?a=b", {}, "must end with the path"),
        ("http://mlflow.example", {"token": TOKEN}, "readable by everybody"),
        ("http://ada:SECRET@mlflow.example", {}, "readable by everybody"),
        ("https://mlflow.example", {"token": TOKEN, "username": "ada"}, "a token, or a user name"),
        ("https://mlflow.example", {"password": PASSWORD}, "needs MLFLOW_TRACKING_USERNAME"),
        ("https://mlflow.example", {"token": "SECRET\nX: y"}, "holds characters"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(url: str, told: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        MlflowClient(url, **told)  # type: ignore[arg-type]
    assert "SECRET" not in str(error.value)


def test_the_host_names_the_server_in_keys() -> None:
    for url, host in (
        ("https://MLflow.Example/", "mlflow.example"),
        ("https://mlflow.example:443/Team/", "mlflow.example/Team"),
        ("http://mlflow.example:5000", "mlflow.example:5000"),
        ("http://[::1]:5000", "[::1]:5000"),
    ):
        with MlflowClient(url) as client:
            assert client.host == host


# --- reading -----------------------------------------------------------------------------------------


def test_a_recorded_run_is_read_whole() -> None:
    body = Body(recorded()["get-run-with-nan"]["body"]).inner("run")
    found = read_run(body, "mlflow.example", "https://mlflow.example", NOW)
    assert found is not None
    name = "f54b109b72304efcaa64906de1e1c78d"
    assert (found.kind, found.key, found.scope, found.at) == (
        Kind.RUN, f"mlflow.example/{name}", "mlflow.example/experiments/1", NOW,
    )  # fmt: skip
    assert found.fields == {
        "id": name, "experiment": "1", "name": "run-0", "status": "FINISHED", "started": 1_735_689_600_000,
        "ended": 1_735_690_200_000, "metrics": {"accuracy": 0.72, "loss": 0.2}, "params": {"batch": "32", "lr": "0.1"},
        "data": [], "user": "dev", "commit": "", "source": "", "parent": "", "removed": False,
        "url": f"https://mlflow.example/#/experiments/1/runs/{name}",
    }  # fmt: skip


def test_the_recorded_exchanges_are_one_achievement(ledger: Ledger, mlflow: FakeMlflow, clock: Clock) -> None:
    """Of run-0 to run-4, two failed or were killed and one was deleted after it had been read."""
    answers = recorded()
    after = answers["search-runs-after-delete"]["body"]["runs"]
    page = answers["search-runs-page1"]["body"]
    mlflow.troubles.extend(
        [
            Trouble(200, answers["search-experiments"]["body"]),
            Trouble(200, {"runs": page["runs"], "next_page_token": page["next_page_token"]}),
            Trouble(200, {"runs": after}),
            Trouble(200, {}),  # deleted runs
            Trouble(200, {}), Trouble(200, {}),  # of the experiment 0
            Trouble(200, {"registered_models": [answers["registered-model-create"]["body"]["registered_model"]]}),
            Trouble(200, answers["search-model-versions"]["body"]),
        ]
    )  # fmt: skip
    with MlflowClient(mlflow.url, sleep=clock.sleep) as client:
        done = sync_mlflow(ledger, client, clock)
        scope = scope_of(client, "1")
    assert not mlflow.troubles
    assert done.read == {"experiments": 2, "runs": 6, "models": 0}
    assert concluded(ledger, scope) == []
    rules = ExperimentRules({"engagement-model": MetricChoice("accuracy")})
    found = concluded(ledger, scope, rules)
    assert [one.title for one in found] == [
        "accuracy 0.72 → 0.77 (+6.94 %) in engagement-model",
        "accuracy 0.77 → 0.92 (+19.5 %) in engagement-model",
    ]
    assert found[1].occurred == 1_735_704_600
    assert "lr 0.05 → 0.02" in found[1].description
    assert [one.left_out_reason for one in found] == ["nobody is named as its author"] * 2


def test_a_hostile_run_is_read_without_harm(ledger: Ledger) -> None:
    body = {
        "info": {"run_id": "a\0b", "experiment_id": "7", "run_name": "x" * 9_000, "end_time": 9e99, "start_time": True,
                 "status": ["FINISHED"], "user_id": {"a": 1}},
        "data": {
            "metrics": [{"key": "a", "value": "NaN"}, {"key": "b", "value": math.inf}, {"key": "c", "value": True},
                        {"key": "d", "value": 10**400}, {"key": "e"}, {"value": 1}, "f", {"key": "ok", "value": 1}],
            "params": [{"key": "long", "value": "v" * 9_000}, {"key": "longer", "value": "v" * 9_001}, None, 3],
            "tags": "none",
        },
        "inputs": {"dataset_inputs": [{"dataset": {"name": "no digest"}}, {"dataset": 3}]},
    }  # fmt: skip
    found = read_run(Body(body), "host", "https://host", NOW)
    assert found is not None
    fields = found.fields
    assert fields["metrics"] == {"ok": 1.0}
    assert (fields["ended"], fields["started"], fields["status"], fields["user"]) == (None, None, "", "")
    assert (len(fields["name"]), fields["data"], "\0" in found.key) == (500, [], False)
    assert len(fields["params"]["long"]) < 500
    assert fields["params"]["long"] != fields["params"]["longer"], (
        "what is cut off must still tell them apart"
    )
    assert read_run(Body({"info": {"experiment_id": "7"}}), "host", "https://host", NOW) is None
    assert read_run(Body({"info": {"run_id": "7"}}), "host", "https://host", NOW) is None


def test_moments_that_protobuf_writes_as_text_are_understood() -> None:
    info = {"run_id": "a", "experiment_id": "1", "end_time": "1735704600000", "start_time": "12e3"}
    found = read_run(Body({"info": info}), "host", "https://host", NOW)
    assert found is not None
    assert (found.fields["ended"], found.fields["started"]) == (1_735_704_600_000, None)


def test_parameters_beyond_the_limit_still_tell_runs_apart() -> None:
    def params(last: str) -> dict[str, str]:
        told = [{"key": f"p{number:04}", "value": "1"} for number in range(600)] + [
            {"key": "z", "value": last}
        ]
        found = read_run(
            Body({"info": {"run_id": "a", "experiment_id": "1"}, "data": {"params": told}}),
            "h",
            "https://h",
            NOW,
        )
        assert found is not None
        params: dict[str, str] = found.fields["params"]
        return params

    assert len(params("a")) == 501
    assert params("a") != params("b")


# --- synchronising -----------------------------------------------------------------------------------


def fill(mlflow: FakeMlflow, runs: int = 5) -> str:
    """An experiment whose runs get better by 0.1 each hour."""
    experiment = mlflow.add_experiment("ranking", achievement__primary_metric="accuracy")
    for number in range(runs):
        mlflow.add_run(
            experiment, f"r{number}", NOW - DAY + number * HOUR, metrics={"accuracy": 0.4 + number / 10},
            params={"lr": f"0.{number + 1}"}, user="ada@engine.org",
        )  # fmt: skip
    return experiment


def test_what_is_read_becomes_achievements(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow)
    seen: list[tuple[str, int]] = []
    done = sync_mlflow(any_ledger, client, clock, lambda name, count: seen.append((name, count)))
    assert (done.read["runs"], done.changed["runs"], done.skipped) == (5, 5, ())
    assert [one for one in seen if one[0] == "runs"] == [("runs", 2), ("runs", 4), ("runs", 5)]
    found = concluded(any_ledger, scope_of(client, experiment))
    assert [one.key for one in found] == [f"run/{client.host}/{number:032x}" for number in (2, 3, 4, 5)]
    best = found[-1]
    detail = json.loads(best.detail)
    assert best.title == "accuracy 0.7 → 0.8 (+14.3 %) in ranking"
    assert (best.is_counted, best.category, best.complexity) == (True, "unsure", 0)
    assert detail["value"] == {
        "kind": "measured", "text": "accuracy 0.7 → 0.8 (+14.3 %)", "source": "MLflow, run r4 against run r3",
    }  # fmt: skip
    assert detail["experiment"]["url"] == f"{mlflow.url}/#/experiments/{experiment}/runs/{5:032x}"
    assert (detail["experiment"]["before"], detail["experiment"]["after"]) == (0.7, 0.8)
    assert detail["experiment"]["compared"] == 4
    with any_ledger.read() as connection:
        row = connection.execute(sa.select(signatures).where(signatures.c.id == best.credits[0][0])).one()
    assert (row.name, row.email) == ("ada@engine.org", "ada@engine.org")


def test_achievements_come_and_go_with_what_mlflow_shows(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    world = World(any_ledger)
    fill(mlflow, 3)
    sync_mlflow(any_ledger, client, clock)
    world.conclude()
    assert [(one.kind, one.title) for one in world.achievements()] == [
        (AchievementKind.EXPERIMENT, "accuracy 0.5 → 0.6 (+20 %) in ranking"),
        (AchievementKind.EXPERIMENT, "accuracy 0.4 → 0.5 (+25 %) in ranking"),
    ]
    assert [one.person for one in world.achievements()[0].credits] == ["ada@engine.org"]
    mlflow.runs[1]["info"]["lifecycle_stage"] = "deleted"
    clock.now += 60_000
    sync_mlflow(any_ledger, client, clock)
    world.conclude()
    assert [one.title for one in world.achievements()] == ["accuracy 0.4 → 0.6 (+50 %) in ranking"]
    mlflow.experiments[0]["tags"] = []
    clock.now += 60_000
    sync_mlflow(any_ledger, client, clock)
    world.conclude()
    assert world.achievements() == []


def test_the_second_time_writes_nothing(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    fill(mlflow)
    mlflow.register("ranker", mlflow.runs[4], NOW - HOUR)
    mlflow.point("ranker", "champion", "1")
    mlflow.runs[0]["info"]["lifecycle_stage"] = "deleted"
    sync_mlflow(any_ledger, client, clock)
    before, marks = contents(any_ledger), []
    clock.now += 1_000
    done = sync_mlflow(any_ledger, client, clock, on_changed=lambda *told: marks.append(told))
    assert (contents(any_ledger), marks) == (before, [])
    assert set(done.changed.values()) == {0}


def test_only_what_is_new_and_a_day_before_it_is_read_again(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = mlflow.add_experiment("ranking")
    for number in range(10):
        mlflow.add_run(experiment, f"r{number}", NOW - (10 - number) * DAY)
    sync_mlflow(ledger, client, clock)
    mlflow.add_run(experiment, "new", NOW)
    done = sync_mlflow(ledger, client, clock)
    assert (done.read["runs"], done.changed["runs"]) == (3, 1)
    clock.now += WHOLE_AGAIN
    assert sync_mlflow(ledger, client, clock).read["runs"] == 11
    assert sync_mlflow(ledger, client, clock).read["runs"] == 2


def test_a_run_that_is_told_of_late_or_ends_at_the_same_moment_is_not_lost(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow)
    sync_mlflow(any_ledger, client, clock)
    newest = mlflow.runs[-1]["info"]["end_time"]
    mlflow.add_run(experiment, "same moment", newest)
    mlflow.add_run(experiment, "late", newest - OVERLAP)
    mlflow.add_run(experiment, "very late", newest - OVERLAP - 1)
    sync_mlflow(any_ledger, client, clock)
    assert {"same moment", "late"} <= known_runs(any_ledger).keys()
    assert "very late" not in known_runs(any_ledger)
    clock.now += WHOLE_AGAIN
    sync_mlflow(any_ledger, client, clock)
    assert "very late" in known_runs(any_ledger)


def test_many_runs_of_the_same_moment_are_all_read(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = mlflow.add_experiment("ranking")
    for number in range(9):
        mlflow.add_run(experiment, f"r{number}", NOW)
    sync_mlflow(ledger, client, clock)
    assert len(known_runs(ledger)) == 9


def test_a_run_that_ends_in_the_future_hides_none(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = mlflow.add_experiment("ranking")
    mlflow.add_run(experiment, "from 2099", 4_070_908_800_000)
    sync_mlflow(ledger, client, clock)
    mlflow.add_run(experiment, "of today", NOW)
    sync_mlflow(ledger, client, clock)
    assert known_runs(ledger).keys() == {"from 2099", "of today"}


@pytest.mark.parametrize("after", range(1, 8))
def test_a_stop_between_pages_loses_nothing(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock, tmp_path: Path, after: int
) -> None:
    """What a server that vanishes leaves is a ledger from which the next synchronisation goes on."""
    experiment = fill(mlflow, 7)
    mlflow.register("ranker", mlflow.runs[3], NOW - HOUR)
    mlflow.troubles.extend([None] * after + [Trouble(hangs_up=True)] * 5)
    with pytest.raises(MlflowError):
        sync_mlflow(any_ledger, client, clock)
    with any_ledger.read() as connection:
        left = len(list(things(connection, Kind.RUN)))
        place = cursors_like(connection, "mlflow/").get(f"mlflow/{scope_of(client, experiment)}")
    ends = sorted(one["info"]["end_time"] for one in mlflow.runs)
    pages = min(after - 1, 4)
    assert left == 1 + min(2 * pages, 7)
    assert (place or {"since": 0})["since"] == (ends[min(2 * pages, 7) - 1] if pages else 0)
    sync_mlflow(any_ledger, client, clock)
    other = open_ledger(str(tmp_path / "other.db"))
    try:
        sync_mlflow(other, client, clock)
        at_once = [row[1:5] for row in contents(other)[0]]
        assert concluded(other, scope_of(client, experiment)) == concluded(
            any_ledger, scope_of(client, experiment)
        )
    finally:
        other.close()
    assert [row[1:5] for row in contents(any_ledger)[0]] == at_once


def test_a_page_that_cannot_be_stored_does_not_move_the_cursor(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow)

    def fail(*_: object) -> None:
        if client.requests == 3:
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        sync_mlflow(any_ledger, client, clock, on_changed=fail)
    assert known_runs(any_ledger).keys() == {"r0", "r1"}
    with any_ledger.read() as connection:
        place = cursors_like(connection, "mlflow/")[f"mlflow/{scope_of(client, experiment)}"]
    assert place["since"] == mlflow.runs[1]["info"]["end_time"]


def test_a_run_deleted_while_its_list_is_read_takes_no_other_out_of_it(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    fill(mlflow)

    def delete(path: str) -> None:
        if client.requests == 3:
            mlflow.runs[0]["info"]["lifecycle_stage"] = "deleted"

    mlflow.on_request = delete
    sync_mlflow(ledger, client, clock)
    assert known_runs(ledger).keys() == {"r1", "r2", "r3", "r4"}


def test_deleted_runs_are_taken_back_and_restored_ones_come_again(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = mlflow.add_experiment("ranking", achievement__primary_metric="accuracy")
    for number, value in enumerate((0.5, 0.7, 0.8, 0.9)):
        ended = NOW - (30 - number) * DAY
        mlflow.add_run(
            experiment, f"r{number}", ended, metrics={"accuracy": value}, params={"lr": str(number)}
        )
    scope = scope_of(client, experiment)

    def titles() -> list[str]:
        clock.now += 60_000
        sync_mlflow(any_ledger, client, clock)
        return [one.title.split(" (")[0] for one in concluded(any_ledger, scope)]

    assert titles() == ["accuracy 0.5 → 0.7", "accuracy 0.7 → 0.8", "accuracy 0.8 → 0.9"]
    mlflow.runs[1]["info"]["lifecycle_stage"] = "deleted"
    assert titles() == ["accuracy 0.5 → 0.8", "accuracy 0.8 → 0.9"]
    mlflow.runs[1]["info"]["lifecycle_stage"] = "active"
    assert titles() == ["accuracy 0.5 → 0.7", "accuracy 0.7 → 0.8", "accuracy 0.8 → 0.9"]
    mlflow.runs[1]["info"]["lifecycle_stage"] = "deleted"
    titles()
    mlflow.runs.pop(1)  # mlflow gc
    assert titles() == ["accuracy 0.5 → 0.8", "accuracy 0.8 → 0.9"]
    asked = len(mlflow.asked)
    titles()
    assert "/runs/get" not in [path for path, _ in mlflow.asked[asked:]]
    mlflow.experiments[0]["lifecycle_stage"] = "deleted"
    assert titles() == []
    with any_ledger.read() as connection:
        assert judge_experiment(connection, scope)[2] == "the experiment is deleted"


def test_what_was_logged_after_the_end_is_found_within_a_week(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = mlflow.add_experiment("ranking")
    one = mlflow.add_run(experiment, "old", NOW - 30 * DAY, metrics={"accuracy": 0.5})
    mlflow.add_run(experiment, "new", NOW)
    sync_mlflow(ledger, client, clock)
    one["data"]["metrics"][0]["value"] = 0.6
    clock.now += WHOLE_AGAIN
    sync_mlflow(ledger, client, clock)
    assert known_runs(ledger)["old"].fields["metrics"] == {"accuracy": 0.6}


def test_a_change_marks_the_experiment(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 1)
    told: list[tuple[Kind, str]] = []
    sync_mlflow(
        any_ledger,
        client,
        clock,
        on_changed=lambda _, changed, __: told.extend((c.kind, c.scope) for c in changed),
    )
    assert told == [(Kind.RUN, scope_of(client, experiment))] * 2
    told.clear()
    mlflow.experiments[0]["tags"] = [{"key": "achievement.primary_metric", "value": "f1"}]
    sync_mlflow(
        any_ledger,
        client,
        clock,
        on_changed=lambda _, changed, __: told.extend((c.kind, c.scope) for c in changed),
    )
    assert told == [(Kind.RUN, scope_of(client, experiment))]


def test_what_rests_on_a_run_is_marked_where_nothing_else_is_asked_for(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 1)
    sync_mlflow(any_ledger, client, clock)
    with any_ledger.read() as connection:
        marks = [(one.kind, one.key) for one in stale_things(connection)]
    assert marks == [("experiment", scope_of(client, experiment))]


def test_an_experiment_that_one_may_not_see_is_skipped_and_said(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    mlflow.add_experiment("secret")
    experiment = mlflow.add_experiment("open")
    mlflow.add_run(experiment, "r0", NOW)
    mlflow.troubles.extend([None, refusal("PERMISSION_DENIED", "Permission denied", 403)])
    done = sync_mlflow(ledger, client, clock)
    assert known_runs(ledger).keys() == {"r0"}
    (told,) = done.skipped
    assert told.startswith("the runs of experiment 1: ")
    assert "use the credentials of someone who may read it" in told


def test_a_server_without_a_registry_is_read_all_the_same(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    fill(mlflow, 1)
    mlflow.troubles.extend([None, None, None, refusal("FEATURE_DISABLED", "no registry with a file store")])
    done = sync_mlflow(ledger, client, clock)
    assert "no registry with a file store" in done.skipped[0]
    assert known_runs(ledger).keys() == {"r0"}


# --- models ------------------------------------------------------------------------------------------


def models_of(ledger: Ledger, scope: str) -> dict[str, list[ModelVersion]]:
    with ledger.read() as connection:
        return {one.name: list(one.models) for one in read_runs(connection, scope)[1] if one.models}


def test_registered_versions_are_evidence_of_their_run(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 2)
    mlflow.register("rank & sort", mlflow.runs[1], NOW - HOUR)
    mlflow.register("rank & sort", mlflow.runs[1], NOW - HOUR)
    mlflow.point("rank & sort", "champion", "2")
    sync_mlflow(any_ledger, client, clock)
    scope = scope_of(client, experiment)
    url = f"{mlflow.url}/#/models/rank%20%26%20sort/versions"
    assert models_of(any_ledger, scope) == {
        "r1": [
            ModelVersion("rank & sort", "1", (), f"{url}/1"),
            ModelVersion("rank & sort", "2", ("champion",), f"{url}/2"),
        ]
    }
    (one,) = concluded(any_ledger, scope)
    evidence = json.loads(one.detail)["evidence"]
    assert [
        "model",
        "rank & sort/2",
        "registered as model rank & sort version 2, alias champion",
        "",
        "",
        f"{url}/2",
        "mlflow",
    ] in evidence
    assert "Registered as model rank & sort version 2, alias champion." in one.description
    assert [part[0] for part in json.loads(one.detail)["impact"]] == ["gain", "registered", "in use by name"]


def test_aliases_and_deletions_of_versions_are_followed(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 2)
    scope = scope_of(client, experiment)
    mlflow.register("old", mlflow.runs[0], NOW - 40 * DAY)
    mlflow.register("gone", mlflow.runs[0], NOW - 40 * DAY)
    mlflow.register("new", mlflow.runs[1], NOW - HOUR)
    mlflow.register("new", mlflow.runs[1], NOW - HOUR)
    sync_mlflow(any_ledger, client, clock)
    asked = len(mlflow.asked)
    mlflow.point("old", "champion", "1")
    mlflow.models = [one for one in mlflow.models if one["name"] != "gone"]
    mlflow.versions = [
        one for one in mlflow.versions if (one["name"], one["version"]) not in (("gone", "1"), ("new", "1"))
    ]
    clock.now += 60_000
    sync_mlflow(any_ledger, client, clock)
    found = models_of(any_ledger, scope)
    assert [(one.name, one.version, one.aliases) for one in found["r0"]] == [("old", "1", ("champion",))]
    assert [(one.name, one.version) for one in found["r1"]] == [("new", "2")]
    versions = [told["filter"] for path, told in mlflow.asked[asked:] if path == "/model-versions/search"]
    assert versions == ["name = 'new'"], "a model that did not change is not read again"


def test_a_version_that_is_registered_before_its_run_ends_finds_it_later(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 1)
    one = mlflow.add_run(experiment, "going on", None, status="RUNNING")
    mlflow.register("early", one, NOW - 40 * DAY)
    mlflow.register("o'clock", mlflow.runs[0], NOW)
    sync_mlflow(any_ledger, client, clock)
    assert "going on" not in models_of(any_ledger, scope_of(client, experiment))
    one["info"].update(status="FINISHED", end_time=NOW)
    sync_mlflow(any_ledger, client, clock)
    assert models_of(any_ledger, scope_of(client, experiment)).keys() == {"r0", "going on"}


# --- the primary metric ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("accuracy", "higher"), ("val_accuracy", "higher"), ("Validation/F1-score", "higher"), ("roc_auc", "higher"),
        ("recall@10", "higher"), ("r2", "higher"), ("rmse", "lower"), ("test_loss", "lower"), ("log_loss", "lower"),
        ("p95_latency_ms", "lower"), ("throughput", "higher"),
        ("neg_mean_squared_error", ""), ("neg_rmse", ""), ("accuracy_loss", ""), ("loss_reduction", ""),
        ("score", ""), ("engagement", ""), ("", ""), ("inverse_latency", ""), ("lossless", ""),
    ],
)  # fmt: skip
def test_a_direction_is_known_or_not_told(name: str, direction: str) -> None:
    assert direction_of(name) == (Direction(direction) if direction else None)


def test_the_primary_metric_is_chosen_and_never_guessed() -> None:
    def chosen(choice: MetricChoice | None = None, **tags: str) -> PrimaryMetric | str:
        told = {key.replace("__", "."): value for key, value in tags.items()}
        return primary_metric(Experiment("e", "1", "ranking", told), choice)

    own = {"achievement__primary_metric": "reward"}
    standard = {
        "mlflow__experiment__primaryMetric__name": "reward",
        "mlflow__experiment__primaryMetric__greaterIsBetter": "False",
    }
    none = chosen()
    assert isinstance(none, str)
    assert none.startswith("no primary metric is chosen")
    unknown = chosen(**own)
    assert (
        unknown
        == "whether reward is better higher or lower is told by nobody and not in the table of directions"
    )
    told = chosen(**own, achievement__direction="Higher", achievement__margin="0.05")
    assert told == PrimaryMetric(
        "reward", Direction.HIGHER, 0.05,
        "chosen by the tag achievement.primary_metric; that higher is better is told by a tag too",
    )  # fmt: skip
    assert isinstance(chosen(**standard), PrimaryMetric)
    assert chosen(**standard).direction is Direction.LOWER  # type: ignore[union-attr]
    both = chosen(**own, **standard, achievement__direction="higher")
    assert both.direction is Direction.HIGHER  # type: ignore[union-attr]
    assert "not higher or lower" in str(chosen(**own, achievement__direction="up"))
    for wrong in ("much", "nan", "-1", "5"):
        assert "not a part between 0 and 1" in str(
            chosen(**own, achievement__direction="higher", achievement__margin=wrong)
        )
    configured = chosen(
        MetricChoice("f1", margin=0.2), **own, achievement__direction="lower", achievement__margin="0.9"
    )
    assert configured == PrimaryMetric(
        "f1", Direction.HIGHER, 0.2,
        "chosen in the configuration; that higher is better is told by this program's table of usual metrics, not the project",
    )  # fmt: skip
    assert chosen(MetricChoice("reward")) == unknown
    assert chosen(MetricChoice("accuracy", Direction.LOWER)).direction is Direction.LOWER  # type: ignore[union-attr]


# --- who beat whom -----------------------------------------------------------------------------------


def test_a_run_beats_the_best_and_not_only_the_last() -> None:
    runs = (run("a", 1, 0.80), run("b", 2, 0.70), run("c", 3, 0.79), run("d", 4, 0.85))
    (one,) = judge_runs(runs, ACCURACY).beaten
    assert (one.run.name, one.best.name, one.before, one.after, one.compared) == ("d", "a", 0.80, 0.85, 3)
    assert one.gain == pytest.approx(0.0625)
    assert reason("a", *runs) == "the first run, a baseline: there is none before it"
    assert reason("c", *runs) == "not better than the best before it (0.8, now 0.79)"


def test_lower_is_better_where_it_is() -> None:
    runs = [run("a", 1, 200.0, "latency"), run("b", 2, 150.0, "latency"), run("c", 3, 180.0, "latency")]
    (one,) = judge_runs(runs, LATENCY).beaten
    assert (one.run.name, one.gain) == ("b", 0.25)
    below = [run("a", 1, -2.0, "latency"), run("b", 2, -3.0, "latency")]
    assert judge_runs(below, LATENCY).beaten[0].gain == 0.5, "the gain is of the size of the value before"


def test_less_than_the_margin_is_no_gain() -> None:
    runs = (run("a", 1, 0.800), run("b", 2, 0.807), run("c", 3, 0.8079), run("d", 4, 0.815072))
    assert claims(*runs) == []
    assert reason("b", *runs) == "better by 0.875 %, which is less than the margin of 1 %"
    assert claims(run("a", 1, 0.8), run("b", 2, 0.808)) == ["b"], "the margin itself is enough"
    assert (
        claims(run("a", 1, 0.8), run("b", 2, 0.8), metric=PrimaryMetric("accuracy", Direction.HIGHER, 0, ""))
        == []
    )


def test_from_zero_no_relative_gain_is_stated() -> None:
    assert "no relative gain" in reason("b", run("a", 1, 0.0), run("b", 2, 0.9))


def test_a_run_without_the_metric_is_not_measured_and_compared_with_nothing() -> None:
    runs = (run("a", 1, 0.9, "f1"), run("b", 2, 0.5), run("c", 3), run("d", 4, 0.6))
    (one,) = judge_runs(runs, ACCURACY).beaten
    assert (one.run.name, one.compared) == ("d", 1)
    assert reason("c", *runs) == "not measured: it logged no finite value of accuracy"


def test_of_the_same_moment_none_is_earlier() -> None:
    runs = (run("b", 5, 0.7), run("a", 5, 0.5))
    assert claims(*runs) == []
    assert "baseline" in reason("b", *runs)


def test_other_data_is_not_comparable() -> None:
    first, second = ("clicks (a1)",), ("clicks (b2)",)
    runs = (
        run("a", 1, 0.5, data=first), run("b", 2, 0.7, data=second), run("c", 3, 0.6, data=first), run("d", 4, 0.99),
    )  # fmt: skip
    judged = judge_runs(runs, ACCURACY)
    (one,) = judged.beaten
    assert (one.run.name, one.before, one.compared, one.not_comparable) == ("c", 0.5, 1, 1)
    told = judged.unclaimed
    assert (
        told["mlflow/b"]
        == "not comparable: the 1 run before it used other data, or data that was not recorded"
    )
    assert (
        told["mlflow/d"]
        == "not comparable: the 3 runs before it used data that was recorded, its own was not"
    )


def test_a_repeat_with_another_seed_is_no_gain() -> None:
    same = {"lr": "0.1"}
    first = run("a", 1, 0.8, params={**same, "seed": "1"}, commit="c1")
    again = run("b", 2, 0.9, params={**same, "seed": "2"}, commit="c1")
    assert "a repeat of the best run before it" in reason("b", first, again)
    unknown = run("b", 2, 0.9, params={**same, "seed": "2"})
    assert "nor is it recorded that the code does" in reason("b", first, unknown)
    changed = run("b", 2, 0.9, params={**same, "seed": "2"}, commit="c2")
    assert claims(first, changed) == ["b"]
    assert claims(run("a", 1, 0.8, params={}), run("b", 2, 0.9, params={})) == ["b"], (
        "not known to be a repeat"
    )


def test_a_gain_within_the_spread_of_repeats_is_noise() -> None:
    def repeats(*values: float) -> list[Run]:
        return [run(f"a{n}", n, value, params={"lr": "1", "seed": str(n)}) for n, value in enumerate(values)]

    noisy = [*repeats(0.70, 0.80, 0.75), run("b", 9, 0.85, params={"lr": "2"})]
    assert reason("b", *noisy) == (
        "within the noise: 3 repeats of one configuration lie between 0.7 and 0.8, the gain is 0.05"
    )
    steady = [*repeats(0.79, 0.80, 0.80), run("b", 9, 0.85, params={"lr": "2"})]
    (one,) = judge_runs(steady, ACCURACY).beaten
    assert one.spreads == (Spread(3, 0.79, 0.80),)
    later = [*steady, run("c", 10, 0.75, params={"lr": "2", "seed": "7"})]
    assert "within the noise: 2 repeats" in reason("b", *later), (
        "a repeat that comes later takes the claim back"
    )


def test_a_search_claims_once_with_its_best_run() -> None:
    tries = [run(f"t{n}", 10 + n, 0.5 + n / 100, parent="sweep") for n in range(1, 21)]
    sweep = run("sweep", 40, 0.7, params={})
    runs = [run("a", 1, 0.5), *tries, sweep, run("z", 50, 0.75)]
    beaten = judge_runs(runs, ACCURACY).beaten
    assert [(one.run.name, one.best.name, one.compared, one.searched) for one in beaten] == [
        ("t20", "a", 1, 21),
        ("z", "t20", 22, 1),
    ]
    assert reason("t3", *runs) == "another run of its search, t20, is better or equal"


def test_runs_that_are_each_others_parents_do_no_harm() -> None:
    ring = [run("a", 1, 0.5, parent="b"), run("b", 2, 0.6, parent="a"), run("c", 3, 0.7, parent="c")]
    assert claims(*ring) == ["c"]


values = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.505, 0.6, 0.9, -1.0]), st.floats(-1e9, 1e9))


@st.composite
def experiments(draw: st.DrawFn) -> list[Run]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        found.append(
            run(
                f"r{number}", draw(st.integers(1, 6)), draw(values),
                params=draw(st.dictionaries(st.sampled_from(["lr", "seed"]), st.sampled_from("12"))),
                data=draw(st.sampled_from([(), ("a (1)",), ("a (2)",)])),
                commit=draw(st.sampled_from(["", "c1", "c2"])),
                parent=draw(st.sampled_from(["", "", "p", "r0", "r1"])),
            )
        )  # fmt: skip
    return found


@given(experiments(), st.randoms(use_true_random=False), st.sampled_from(Direction))
def test_the_order_in_which_runs_come_makes_no_difference(
    runs: list[Run], random: Any, way: Direction
) -> None:
    metric = PrimaryMetric("accuracy", way, 0.01, "")
    judged = judge_runs(runs, metric)
    random.shuffle(runs)
    assert judge_runs(runs, metric) == judged
    assert {one.run.key for one in judged.beaten} | judged.unclaimed.keys() == {one.key for one in runs}
    for one in judged.beaten:
        assert one.best.ended < one.run.ended or one.searched > 1
        assert one.gain >= 0.01 - 1e-9
        assert way.gain(one.before, one.after) > 0
        assert one.best.data == one.run.data
        conclude_run(one, Experiment("e", "1"), 1)


@given(st.randoms(use_true_random=False))
@checks(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_order_in_which_runs_are_taken_in_makes_no_difference(
    any_ledger: Ledger, tmp_path: Path, random: Any
) -> None:
    """The same server, read at once, and run by run as they are told of in any order."""
    with serve(FakeMlflow()) as mlflow, MlflowClient(f"{mlflow.url}/{uuid4()}", runs_per_page=2) as client:
        experiment = fill(mlflow, 6)
        runs, mlflow.runs = mlflow.runs, []
        clock = Clock()
        for one in random.sample(runs, len(runs)):
            mlflow.runs.append(one)
            clock.now += 1_000
            sync_mlflow(any_ledger, client, clock)
        scope = scope_of(client, experiment)
        found = concluded(any_ledger, scope)
        assert len(found) == 5
        path = tmp_path / f"{client.host.rpartition('/')[2]}.db"
        other = open_ledger(str(path))
        try:
            sync_mlflow(other, client, clock)
            assert [one._replace(credits=()) for one in concluded(other, scope)] == [
                one._replace(credits=()) for one in found
            ]
        finally:
            other.close()


def test_ten_thousand_runs_are_judged_at_once() -> None:
    runs = [
        run(f"r{number}", number, 1 + number / 1_000, params={"lr": str(number)}) for number in range(10_000)
    ]
    began = time.monotonic()
    assert judge_runs(runs, PrimaryMetric("accuracy", Direction.HIGHER, 0, "")).beaten[-1].compared == 9_999
    assert time.monotonic() - began < 10, "the time grows with the number of runs, not with its square"


# --- the achievement ---------------------------------------------------------------------------------


def beaten(**more: Any) -> Beaten:
    told: dict[str, Any] = {
        "run": run("b", 3_600_000, 0.9, params={"lr": "0.2", "depth": "3"}, started=1_800_000, data=("clicks (a1)",)),
        "best": run("a", 1_000, 0.8, params={"lr": "0.1", "wide": "yes"}, data=("clicks (a1)",)),
        "metric": ACCURACY, "before": 0.8, "after": 0.9, "gain": 0.125, "compared": 4, "not_comparable": 2,
    }  # fmt: skip
    return Beaten(**{**told, **more})


def test_the_achievement_says_what_a_sceptic_asks() -> None:
    one = conclude_run(beaten(), Experiment("e", "1", "ranking"), 7, author="user of the run")
    assert one.description == (
        "Run b logged accuracy 0.9; the best of 4 runs before it, a, had logged 0.8 (+12.5 %). "
        "Metric: chosen in the test; the last logged value of each run counts. "
        "No repeat of either is recorded, so no spread is known and the gain may be partly chance. "
        "Both used clicks (a1). Not compared: 2 runs before it on other or unrecorded data. "
        "Its author is known as the user of the run. "
        "Parameters: depth not set → 3; lr 0.1 → 0.2; wide yes → not set. Whether the code changed was not recorded."
    )
    assert (one.key, one.kind, one.occurred, one.credits) == (
        "run/mlflow/b",
        "experiment",
        3_600,
        ((7, "author", 0),),
    )
    detail = json.loads(one.detail)
    assert detail["started"] == [1_800, 0]
    assert detail["reason"] == "beat the best of 4 runs before it by 12.5 %, margin 1 %"
    assert detail["complexity"] == [
        ["effort", 0.0, "not measured: a run does not tell what it took to get there"]
    ]
    assert [row[:4] for row in detail["evidence"]][:2] == [
        ["run", "b", "accuracy of b in ranking", "0.9"],
        ["run", "a", "accuracy of a, the best of 4 runs before it", "0.8"],
    ]


def test_long_names_hide_no_caveat() -> None:
    long = {f"{n}{'p' * 400}": "v" * 400 for n in range(30)}
    data = tuple(f"{n}{'d' * 200} (1)" for n in range(9))
    models = tuple(ModelVersion("m" * 400, str(n), ("a" * 200,)) for n in range(9))
    metric = PrimaryMetric("x" * 400, Direction.HIGHER, 0.01, "chosen in the test")
    one = beaten(
        run=Run("k", "b", 2, "b" * 400, metrics={"x" * 400: 0.9}, params=long, data=data, models=models),
        metric=metric,
    )
    told = conclude_run(one, Experiment("e", "1", "e" * 400), 7)
    assert "the gain may be partly chance" in told.description
    assert "Not compared: 2 runs" in told.description
    assert (len(told.title), len(told.description)) <= (200, 1_200)
    assert "0.8 → 0.9 (+12.5 %)" in told.title


def test_what_is_not_known_of_a_gain_is_said() -> None:
    def told(**more: Any) -> str:
        return conclude_run(beaten(**more), Experiment("e", "1"), 7).description

    bare = {"run": run("b", 2, 0.9, params={}), "best": run("a", 1, 0.8, params={})}
    assert "Neither run recorded any parameters, so what changed is not known." in told(**bare)
    assert "Which data they used was not recorded; it may differ." in told(**bare)
    assert "It is the best of 9 runs of one search, picked by this metric, which flatters it." in told(
        searched=9
    )
    spread = told(spreads=(Spread(3, 0.79, 0.80),))
    assert "3 repeats of one configuration lie between 0.79 and 0.8, less apart than the gain." in spread
    assert "No repeat" not in spread
    code = {"run": run("b", 2, 0.9, commit="2" * 40), "best": run("a", 1, 0.8, commit="1" * 40)}
    assert "The code changed from 1111111111 to 2222222222." in told(**code)
    many = {"run": run("b", 2, 0.9, params={f"p{n:02}": "2" for n in range(20)})}
    assert "and 10 more." in told(**many)


def test_nobody_named_is_left_out_and_so_is_a_program() -> None:
    nobody = conclude_run(beaten(), Experiment("e", "1"), None)
    assert (nobody.is_counted, nobody.left_out_reason, nobody.credits) == (
        False,
        "nobody is named as its author",
        (),
    )
    program = conclude_run(beaten(), Experiment("e", "1"), 7, is_bot=True)
    assert (program.is_counted, program.is_bot, program.credits) == (False, True, ())


def test_impact_saturates_with_the_gain_and_shows_its_parts() -> None:
    def points(gain: float) -> float:
        (part,) = impact_of_gain(beaten(gain=gain))
        return part.points

    assert points(0.1) == pytest.approx(30)
    assert points(0.01) < 6
    assert points(0.2) < 2 * points(0.1)
    assert points(1e9) <= 60
    (part,) = impact_of_gain(beaten())
    assert part.fact == "accuracy better by 12.5 % than the best of 4 runs before it"


def test_only_speed_is_performance() -> None:
    assert category_of_metric("p95_latency_ms").category == "performance"
    assert category_of_metric("throughput").category == "performance"
    for name in ("accuracy", "loss", "inverse_latency", "latency_loss_bonus"):
        assert category_of_metric(name).category == "unsure"
        assert category_of_metric(name).confidence == 0


def test_large_gains_are_written_readably() -> None:
    assert [percent(part) for part in (0.01, 0.1949, 9.994, 12.345)] == ["1 %", "19.5 %", "999 %", "1,234 %"]


# --- whose it is -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ("ada@engine.org", Signature("ada@engine.org", "ada@engine.org")),
        ("Ada Lovelace", Signature("Ada Lovelace", "")),
        ("Grace Brewster Hopper", Signature("Grace Brewster Hopper", "")),
        ("root", None), ("dev", None), ("Ada", None), ("build agent 7", None), ("CI Runner3", None), ("", None), ("a@b", None),
        ("x y@z.org", None),
    ],
)  # fmt: skip
def test_a_user_is_a_person_only_where_it_looks_like_one(user: str, who: Signature | None) -> None:
    assert named_person(user) == who


def test_the_author_of_the_commit_that_ran_has_the_credit(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock, repository: Repository
) -> None:
    sha = repository.commit("feat: rank by meaning", {"rank.py": "x = 1\n" * 80})
    scan_into(any_ledger, repository.path)
    experiment = mlflow.add_experiment("ranking", achievement__primary_metric="accuracy")
    for number, commit in enumerate(("", sha.upper(), "f" * 40, "' OR 1=1")):
        mlflow.add_run(
            experiment, f"r{number}", NOW - DAY + number, metrics={"accuracy": 0.5 + number / 10},
            params={"lr": str(number)}, user="root", **({"mlflow__source__git__commit": commit} if commit else {}),
        )  # fmt: skip
    sync_mlflow(any_ledger, client, clock)
    found = concluded(any_ledger, scope_of(client, experiment))
    assert [one.is_counted for one in found] == [True, False, False]
    with any_ledger.read() as connection:
        told = author_of_commit(connection, sha)
        assert told is not None
        assert told.is_person
        assert found[0].credits == ((told.signature, "author", 0),)
        assert author_of_commit(connection, "f" * 40) is None
    assert f"Its author is known as the author of commit {sha[:10]}, which ran." in found[0].description
    with any_ledger.write() as connection:
        by_program = conclude_experiment(
            connection,
            scope_of(client, experiment),
            commit_author=lambda _, __: CommitAuthor(told.signature, False),
        )
    assert all(one.is_bot and not one.is_counted for one in by_program)


def test_who_ran_it_comes_before_who_wrote_the_commit(
    any_ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 3)
    users = ("ada@engine.org", "Ada Lovelace", "renovate[bot]@users.noreply.github.com")
    for one, user in zip(mlflow.runs, users, strict=True):
        one["info"]["user_id"] = user
        one["data"]["tags"].append({"key": "mlflow.source.git.commit", "value": "a" * 40})
    sync_mlflow(any_ledger, client, clock)
    with any_ledger.write() as connection:
        scope = scope_of(client, experiment)
        known, by_program = conclude_experiment(
            connection, scope, commit_author=lambda _, __: CommitAuthor(99, True)
        )
        name = connection.scalar(sa.select(signatures.c.name).where(signatures.c.id == known.credits[0][0]))
    assert name == "Ada Lovelace"
    assert by_program.credits == ((99, "author", 0),)


def test_a_user_that_is_a_bot_is_not_credited(
    ledger: Ledger, mlflow: FakeMlflow, client: MlflowClient, clock: Clock
) -> None:
    experiment = fill(mlflow, 2)
    mlflow.runs[1]["info"]["user_id"] = "49699333+dependabot[bot]@users.noreply.github.com"
    sync_mlflow(ledger, client, clock)
    (one,) = concluded(ledger, scope_of(client, experiment))
    assert (one.is_counted, one.is_bot, one.credits) == (False, True, ())


# --- a real server -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow tracking server of its own; skips where the mlflow command is not installed."""
    program = shutil.which("mlflow")
    if program is None:
        pytest.skip("needs the mlflow command (pip install mlflow), to be tried against a real server")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(folder)},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 90
        while True:
            try:
                if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, "the MLflow server does not start"
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(15)


class Tracked:
    """Writes to a real server, as a training program does."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/2.0/mlflow/", timeout=60)

    def post(self, path: str, **body: Any) -> Any:
        answer = self._http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, experiment: str, name: str, ended: int, value: Any, **params: str) -> dict[str, Any]:
        started = self.post(
            "runs/create",
            experiment_id=experiment,
            run_name=name,
            user_id="Ada Lovelace",
            start_time=ended - 1_000,
        )
        info: dict[str, Any] = started["run"]["info"]
        self.post(
            "runs/log-batch", run_id=info["run_id"],
            metrics=[{"key": "rmse", "value": value, "timestamp": 1, "step": 0}],
            params=[{"key": key, "value": told} for key, told in params.items()],
        )  # fmt: skip
        data = {"name": "clicks", "digest": "a1", "source_type": "local", "source": "{}"}
        self.post("runs/log-inputs", run_id=info["run_id"], datasets=[{"dataset": data}])
        self.post("runs/update", run_id=info["run_id"], status="FINISHED", end_time=ended)
        return info


def test_a_real_server_is_read_like_the_loopback_one(real_mlflow: str, ledger: Ledger, clock: Clock) -> None:
    tracked = Tracked(real_mlflow)
    clock.now = int(time.time() * 1000)
    start = clock.now - 3 * HOUR
    experiment = tracked.post(
        "experiments/create", name="forecast",
        tags=[{"key": "mlflow.experiment.primaryMetric.name", "value": "rmse"},
              {"key": "mlflow.experiment.primaryMetric.greaterIsBetter", "value": "False"}],
    )["experiment_id"]  # fmt: skip
    infos = [
        tracked.run(experiment, name, start + n, value, lr=str(n))
        for n, (name, value) in enumerate([("a", 4.0), ("b", 3.0), ("nan", "NaN"), ("c", 3.5), ("d", 2.0)])
    ]
    tracked.post("registered-models/create", name="rider's model")
    tracked.post(
        "model-versions/create",
        name="rider's model",
        run_id=infos[4]["run_id"],
        source=infos[4]["artifact_uri"],
    )
    tracked.post("registered-models/alias", name="rider's model", alias="champion", version="1")
    with MlflowClient(real_mlflow, runs_per_page=2) as client:
        done = sync_mlflow(ledger, client, clock)
        assert (done.read["runs"], done.read["models"], done.skipped) == (5, 1, ())
        scope = scope_of(client, experiment)

        def titles() -> list[str]:
            return [one.title for one in concluded(ledger, scope)]

        assert titles() == ["rmse 4 → 3 (−25 %) in forecast", "rmse 3 → 2 (−33.3 %) in forecast"]
        last = concluded(ledger, scope)[-1]
        assert "Registered as model rider's model version 1, alias champion." in last.description
        assert "Both used clicks (a1)." in last.description
        assert last.is_counted
        before = contents(ledger)
        again = sync_mlflow(ledger, client, clock)
        assert (contents(ledger), set(again.changed.values())) == (before, {0})
        tracked.post("runs/delete", run_id=infos[1]["run_id"])
        sync_mlflow(ledger, client, clock)
        assert titles() == ["rmse 4 → 3.5 (−12.5 %) in forecast", "rmse 3.5 → 2 (−42.9 %) in forecast"]
        tracked.post("runs/restore", run_id=infos[1]["run_id"])
        tracked.run(experiment, "e", clock.now, 1.0, lr="9")
        sync_mlflow(ledger, client, clock)
        assert titles()[-1] == "rmse 2 → 1 (−50 %) in forecast"
        assert len(titles()) == 3
        tracked.post("experiments/delete", experiment_id=experiment)
        assert isinstance(sync_mlflow(ledger, client, clock), Synced)
        assert titles() == []
    with ledger.read() as connection:
        assert thing(connection, Kind.RUN, scope) is not None
