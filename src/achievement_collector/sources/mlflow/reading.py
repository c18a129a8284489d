"""What MLflow's REST API shows, as observations.

A run's key is ``<host>/<run id>``, its scope ``<host>/experiments/<id>``. The experiment itself is kept beside its runs, as
a thing of the same kind whose key is that scope. MLflow does not say when a run was last changed (metrics and tags can be
after its end, and it can be deleted), so an observation is of the moment at which it was read.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body

LONGEST_VALUE = 500
"""Characters of a parameter or a tag that are kept, as of a name; MLflow itself allows 6,000 and 8,000."""
MOST_PARAMS = 500
MOST_METRICS = 5_000
"""How many of one run are kept: the first by name."""

PRIMARY_TAGS = (
    "achievement.primary_metric",
    "achievement.direction",
    "achievement.margin",
    "mlflow.experiment.primaryMetric.name",
    "mlflow.experiment.primaryMetric.greaterIsBetter",
)
"""The tags of an experiment that are kept; the last two are MLflow's own (mlflow/utils/mlflow_tags.py)."""


def experiment_scope(host: str, experiment_id: str) -> str:
    return f"{host}/experiments/{experiment_id}"


def read_experiment(body: Body, host: str, read_at: int) -> Observation | None:
    """An experiment; None where the body has no id. ``read_at`` in milliseconds since 1970, here and below."""
    name = body.text("experiment_id", 100)
    if not name:
        return None
    tags = _pairs(body, "tags")
    scope = experiment_scope(host, name)
    fields = {
        "experiment": name,
        "name": body.text("name", LONGEST_VALUE),
        "tags": {key: tags[key] for key in PRIMARY_TAGS if key in tags},
        "removed": body.text("lifecycle_stage", 20) == "deleted",
    }
    return Observation(Kind.RUN, scope, read_at, fields, scope)


def run_id_of(body: Body) -> str:
    """The id of a run; older servers call it ``run_uuid`` only."""
    info = body.inner("info")
    return info.text("run_id", 100) or info.text("run_uuid", 100)


def read_run(body: Body, host: str, url: str, read_at: int) -> Observation | None:
    """A run; None where the body lacks an id. ``url`` is the address of the server."""
    info, data = body.inner("info"), body.inner("data")
    run_id, experiment = run_id_of(body), info.text("experiment_id", 100)
    if not run_id or not experiment:
        return None
    tags = _pairs(data, "tags")
    fields: dict[str, Any] = {
        "id": run_id,
        "experiment": experiment,
        "name": info.text("run_name", LONGEST_VALUE) or tags.get("mlflow.runName", ""),
        "status": info.text("status", 20),
        "started": moment_of(info, "start_time"),
        "ended": moment_of(info, "end_time"),
        "metrics": _metrics(data),
        "params": _params(data),
        "data": _datasets(body),
        "user": info.text("user_id", 200) or tags.get("mlflow.user", "")[:200],
        "commit": tags.get("mlflow.source.git.commit", "")[:64].lower(),
        "source": tags.get("mlflow.source.name", ""),
        "parent": tags.get("mlflow.parentRunId", "")[:100],
        "url": f"{url}/#/experiments/{experiment}/runs/{run_id}",
        "removed": info.text("lifecycle_stage", 20) == "deleted",
    }
    return Observation(Kind.RUN, f"{host}/{run_id}", read_at, fields, experiment_scope(host, experiment))


def model_key(host: str, name: str, version: str) -> str:
    return f"{host}/models/{name}/{version}"


def read_aliases(model: Body) -> dict[str, list[str]]:
    """version -> aliases of a registered model, sorted."""
    found: dict[str, list[str]] = {}
    for one in model.each("aliases"):
        alias, version = one.text("alias", 200), str(one.whole("version") or one.text("version", 20))
        if alias and version:
            found.setdefault(version, []).append(alias)
    return {version: sorted(names) for version, names in found.items()}


def read_version(body: Body, host: str, url: str, read_at: int) -> Observation | None:
    """A registered model version, without its aliases; None where the body does not name it. The scope is left to whoever
    knows the experiment of its run."""
    name, version = body.text("name", LONGEST_VALUE), str(body.whole("version") or body.text("version", 20))
    if not name or not version:
        return None
    run_id = body.text("run_id", 100)
    fields = {
        "name": name,
        "version": version,
        "run": f"{host}/{run_id}" if run_id else "",
        "status": body.text("status", 40),
        "created": moment_of(body, "creation_timestamp"),
        "url": f"{url}/#/models/{quote(name, safe='')}/versions/{quote(version, safe='')}",
        "removed": False,
    }
    return Observation(Kind.MODEL, model_key(host, name, version), read_at, fields)


def moment_of(body: Body, name: str) -> int | None:
    """A moment in milliseconds since 1970: a number, or, as protobuf's JSON may have it, its digits. None where it is none
    or lies after the year 5000, as of a program that counts in microseconds."""
    value: Any = body.data.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 9.6e13:
        return None
    return int(value)


def _metrics(data: Body) -> dict[str, float]:
    """name -> last finite value. NaN and infinities come as texts or as JSON's extensions; both are left out."""
    found = {
        one.text("key", LONGEST_VALUE): float(value)
        for one in data.each("metrics")
        if (value := one.number("value")) is not None and one.text("key")
    }
    return dict(sorted(found.items())[:MOST_METRICS])


def _params(data: Body) -> dict[str, str]:
    """name -> value. What is cut off leaves its digest, so that two runs are alike here only where they are on the server."""
    told = {
        one.text("key", LONGEST_VALUE): one.text("value") for one in data.each("params") if one.text("key")
    }
    ordered = sorted(told.items())
    found = {name: _capped(value) for name, value in ordered[:MOST_PARAMS]}
    if further := ordered[MOST_PARAMS:]:
        found["(further parameters)"] = f"{len(further)}, sha256 {_digest(repr(further))}"
    return found


def _capped(value: str) -> str:
    if len(value) <= LONGEST_VALUE:
        return value
    return f"{value[: LONGEST_VALUE - 60]}… ({len(value)} characters, sha256 {_digest(value)})"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _datasets(body: Body) -> list[str]:
    """``name (digest)`` of each dataset that was logged with a digest, sorted."""
    found = set()
    for one in body.inner("inputs").each("dataset_inputs"):
        data = one.inner("dataset")
        if digest := data.text("digest", 100):
            found.add(f"{data.text('name', 200) or 'unnamed'} ({digest})")
    return sorted(found)[:50]


def _pairs(body: Body, name: str) -> dict[str, str]:
    return {
        key: one.text("value", LONGEST_VALUE)
        for one in body.each(name)
        if (key := one.text("key", LONGEST_VALUE))
    }
