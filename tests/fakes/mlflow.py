"""A loopback MLflow: searches as the tracking server answers them, over things kept in memory.

It answers as MLflow 3.17.2 does where the program relies on it: page tokens that are offsets into the list as it is now,
deleted runs only on demand, no empty lists, NaN as text, aliases with the model and not with its versions, errors with
``error_code``. A filter that it does not know is refused, so that a test cannot pass by being answered with everything.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "mlflow"
TOKEN, PASSWORD = "mlflow-0123456789abcdefSECRET", "mlflow-pässword:SECRET"
BASE = "/api/2.0/mlflow"


def recorded() -> dict[str, Any]:
    """The answers of a real server, by the name of the exchange; skips the test where they are not at hand."""
    path = DATA / "recorded-mlflow-3.17.2.json"
    if not path.exists():
        pytest.skip("needs the recorded exchanges, which lie in shared/data/mlflow beside the repository")
    told = json.loads(path.read_text(encoding="utf-8"))
    return {one["name"]: one["response"] for one in told["exchanges"]}


@dataclass
class Trouble:
    """One answer that is not the right one. ``hangs_up`` ends the connection without any."""

    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False


def refusal(code: str, message: str, status: int = 400, **headers: str) -> Trouble:
    """An error as MLflow words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Trouble(status, {"error_code": code, "message": message}, named)


class FakeMlflow:
    """The state of a server, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.authorization = ""  # what is wanted in the header; empty where nothing is
        self.troubles: deque[Trouble | None] = deque()  # answers of the next requests; None is the right one
        self.on_request: Callable[[str], None] = lambda _path: None
        self.asked: list[tuple[str, dict[str, Any]]] = []  # (path, what was asked)
        self.authorizations: list[str] = []

    # --- a server's state ------------------------------------------------------------------------

    def add_experiment(self, name: str, *, stage: str = "active", **tags: str) -> str:
        one = {
            "experiment_id": str(len(self.experiments) + 1), "name": name, "lifecycle_stage": stage,
            "tags": [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()],
        }  # fmt: skip
        self.experiments.append(one)
        return str(one["experiment_id"])

    def add_run(
        self, experiment: str, name: str, ended: int | None, *, status: str = "FINISHED", user: str = "",
        metrics: dict[str, Any] | None = None, params: dict[str, str] | None = None, data: dict[str, str] | None = None,
        **tags: str,
    ) -> dict[str, Any]:  # fmt: skip
        run_id = f"{len(self.runs) + 1:032x}"
        info: dict[str, Any] = {
            "run_id": run_id, "run_uuid": run_id, "experiment_id": experiment, "run_name": name, "user_id": user,
            "status": status, "start_time": (ended or 2_000) - 1_000, "lifecycle_stage": "active",
        }  # fmt: skip
        if ended is not None:
            info["end_time"] = ended
        inputs = [
            {"tags": [], "dataset": {"name": key, "digest": value}} for key, value in (data or {}).items()
        ]
        told = {key.replace("__", "."): value for key, value in tags.items()} | {"mlflow.runName": name}
        run = {
            "info": info,
            "data": {
                "metrics": [
                    {"key": key, "value": value, "timestamp": 1, "step": 0}
                    for key, value in (metrics or {}).items()
                ],
                "params": [{"key": key, "value": value} for key, value in (params or {}).items()],
                "tags": [{"key": key, "value": value} for key, value in told.items()],
            },
            "inputs": {"dataset_inputs": inputs} if inputs else {},
            "outputs": {},
        }
        self.runs.append(run)
        return run

    def register(self, model: str, run: dict[str, Any], updated: int) -> str:
        """A new version of a model, made where it is missing; gives the number."""
        if all(one["name"] != model for one in self.models):
            self.models.append({"name": model, "creation_timestamp": updated})
        one = next(one for one in self.models if one["name"] == model)
        one["last_updated_timestamp"] = updated
        version = str(1 + max((int(v["version"]) for v in self.versions if v["name"] == model), default=0))
        self.versions.append(
            {"name": model, "version": version, "run_id": run["info"]["run_id"], "status": "READY",
             "creation_timestamp": updated, "last_updated_timestamp": updated}
        )  # fmt: skip
        return version

    def point(self, model: str, alias: str, version: str) -> None:
        """Sets an alias, of which no time of update tells."""
        one = next(one for one in self.models if one["name"] == model)
        one.setdefault("aliases", []).append({"alias": alias, "version": version})

    # --- the API ---------------------------------------------------------------------------------

    def answer(self, path: str, asked: dict[str, Any]) -> Trouble:
        """Of a server that answers under any path, as one behind a proxy does."""
        match path.partition(BASE)[2]:
            case "/experiments/search":
                return self._page("experiments", self.experiments, asked, 1000)
            case "/runs/search":
                return self._page("runs", self._searched(asked), asked, 1000)
            case "/runs/get":
                for one in self.runs:
                    if one["info"]["run_id"] == asked["run_id"]:
                        return Trouble(200, {"run": one})
                return refusal("RESOURCE_DOES_NOT_EXIST", f"Run with id={asked['run_id']} not found", 404)
            case "/registered-models/search":
                return self._page("registered_models", self.models, asked, 100)
            case "/model-versions/search":
                wanted = re.fullmatch(r"""name = (['"])(.*)\1""", asked["filter"])
                if wanted is None:
                    return refusal("INVALID_PARAMETER_VALUE", f"Invalid filter '{asked['filter']}'")
                found = [one for one in self.versions if one["name"] == wanted[2]]
                return self._page("model_versions", found, asked, 10_000)
        return Trouble(404, "<!doctype html>\n<title>404 Not Found</title>")

    def _searched(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        stages = {"ACTIVE_ONLY": {"active"}, "DELETED_ONLY": {"deleted"}, "ALL": {"active", "deleted"}}
        found = [
            one
            for one in self.runs
            if one["info"]["experiment_id"] in asked["experiment_ids"]
            and one["info"]["lifecycle_stage"] in stages[asked.get("run_view_type", "ACTIVE_ONLY")]
        ]
        for clause in filter(None, asked.get("filter", "").split(" and ")):
            if clause == "attributes.status = 'FINISHED'":
                found = [one for one in found if one["info"]["status"] == "FINISHED"]
            elif since := re.fullmatch(r"attributes\.end_time >= (\d+)", clause):
                found = [one for one in found if one["info"].get("end_time", -1) >= int(since[1])]
            else:
                raise AssertionError(f"a filter that MLflow was not seen to understand: {clause}")
        if asked.get("order_by") == ["attributes.end_time ASC"]:
            found.sort(key=lambda one: (one["info"].get("end_time", 1 << 60), -one["info"]["start_time"]))
        return found

    def _page(self, name: str, things: list[dict[str, Any]], asked: dict[str, Any], usual: int) -> Trouble:
        start = 0
        if token := asked.get("page_token"):
            try:
                start = json.loads(base64.b64decode(token, validate=True))["offset"]
            except ValueError:
                return refusal("INVALID_PARAMETER_VALUE", "Invalid page token, could not base64-decode")
        size = int(asked.get("max_results", usual))
        page = things[start : start + size]
        body: dict[str, Any] = {name: page} if page else {}
        if start + size < len(things):
            body["next_page_token"] = base64.b64encode(json.dumps({"offset": start + size}).encode()).decode()
        return Trouble(200, body)


@contextmanager
def serve(fake: FakeMlflow) -> Iterator[FakeMlflow]:
    """Serves a server's state on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/json"
            self._answer(urlsplit(self.path).path, asked)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer(parts.path, {name: value[0] for name, value in parse_qs(parts.query).items()})

        def _answer(self, path: str, asked: dict[str, Any]) -> None:
            fake.asked.append((path.partition(BASE)[2], asked))
            fake.authorizations.append(self.headers.get("Authorization", ""))
            fake.on_request(path.partition(BASE)[2])
            trouble = fake.troubles.popleft() if fake.troubles else None
            if trouble is None and fake.authorization and fake.authorizations[-1] != fake.authorization:
                trouble = Trouble(401, "You are not authenticated.")
            if trouble is None:
                trouble = fake.answer(path, asked)
            if trouble.hangs_up:
                self.close_connection = True
                return
            text = trouble.body if isinstance(trouble.body, str) else json.dumps(trouble.body)
            self.send_response(trouble.status)
            for name, value in {"Content-Type": "application/json", **trouble.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
