"""What is in deploy/ is what docs/deployment.md says, and the tools that read it know every word of it."""

from __future__ import annotations

import copy
import http.server
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

_ROOT = Path(__file__).parent.parent
_DEPLOY = _ROOT / "deploy"
_MANUAL = (_ROOT / "docs" / "deployment.md").read_text("utf-8")
_KUBERNETES_FILES = sorted(path.name for path in (_DEPLOY / "kubernetes").iterdir())
_KUBERNETES_VERSIONS = ("1.30", "1.37")
_NEEDED = {"ACHIEVEMENT_COLLECTOR_TOKEN", "DATABASE_URL"}
_OPTIONAL = {
    "GITHUB_TOKEN",
    "GITHUB_WEBHOOK_SECRET",
    "LINEAR_API_KEY",
    "LINEAR_WEBHOOK_SECRET",
    "DEPLOYMENTS_WEBHOOK_SECRET",
}
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL|DATABASE_URL", re.IGNORECASE)


def _documents(path: Path) -> list[Any]:
    """The YAML documents of a file. Raises where a key stands twice in one mapping."""
    return list(YAML(typ="safe", pure=True).load_all(path.read_text("utf-8")))


def _objects(name: str) -> list[dict[str, Any]]:
    return _documents(_DEPLOY / "kubernetes" / name)


def _object(kind: str, name: str) -> dict[str, Any]:
    (found,) = [document for document in _objects(name) if document["kind"] == kind]
    return found


def _compose() -> dict[str, Any]:
    (document,) = _documents(_DEPLOY / "compose.yaml")
    return document


def _server() -> dict[str, Any]:
    return _object("Deployment", "deployment.yaml")["spec"]["template"]["spec"]


def _database() -> dict[str, Any]:
    return _object("StatefulSet", "postgres.yaml")["spec"]["template"]["spec"]


def _structures(value: Any) -> list[dict[str, Any]]:
    """The mappings in ``value`` whose keys are fields, not names that we choose."""
    if isinstance(value, list):
        return [found for item in value for found in _structures(item)]
    if not isinstance(value, dict):
        return []
    named = {"data", "stringData", "labels", "matchLabels", "requests", "limits"}
    if value.get("kind") == "Service":
        return [value, value["metadata"], value["spec"], *_structures(value["spec"]["ports"])]
    return [value, *_structures([item for key, item in value.items() if key not in named])]


# --- the image


_INSTRUCTIONS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD"),
    *("RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)


@cache
def _instructions() -> tuple[tuple[str, str], ...]:
    text = re.sub(r"(?m)^[ \t]*#.*\n", "", (_DEPLOY / "Dockerfile").read_text("utf-8"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return tuple((line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip())


def _last_stage() -> tuple[tuple[str, str], ...]:
    start = max(at for at, (name, _) in enumerate(_instructions()) if name == "FROM")
    return _instructions()[start:]


def _values(name: str) -> list[str]:
    """What stands behind each ``name`` of the image that is run."""
    return [rest for found, rest in _last_stage() if found == name]


def _copied() -> dict[str, str]:
    """Sources of the context, each with where it is copied to."""
    copied = {}
    for name, rest in _instructions():
        words = shlex.split(rest)
        if name == "COPY" and not any(word.startswith("--from=") for word in words):
            *sources, target = [word for word in words if not word.startswith("--")]
            copied.update(dict.fromkeys(sources, target))
    return copied


def test_the_dockerfile_has_known_instructions_and_two_stages_of_the_same_python() -> None:
    assert {name for name, _ in _instructions()} <= set(_INSTRUCTIONS)
    stages = [rest for name, rest in _instructions() if name == "FROM"]
    assert stages == ["python:3.12-slim AS build", "python:3.12-slim"]
    copies_of_stages = re.findall(r"--from=(\S+)", " ".join(_values("COPY")))
    assert copies_of_stages == ["build"]


def test_the_image_installs_locked_dependencies_then_the_package() -> None:
    installs = [rest for name, rest in _instructions() if name == "RUN" and "pip install" in rest]
    assert installs == [
        "pip install --require-hashes --requirement requirements/run.lock",
        "pip install --no-deps --no-build-isolation .",
    ]
    assert re.search(r"apt-get install \S.* git\b", " ".join(_values("RUN")))


def test_the_image_runs_the_server_as_a_numbered_user_that_is_not_root() -> None:
    names = [name for name, _ in _last_stage()]
    (user,) = _values("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert names.index("USER") < min(names.index("ENTRYPOINT"), names.index("CMD"))
    command = json.loads(_values("ENTRYPOINT")[0]) + json.loads(_values("CMD")[0])
    assert command == ["achievement-collector", "serve", "--host", "0.0.0.0", "--port", "8000"]
    assert f"`{' '.join(command)}`" in _MANUAL
    assert f"user {user.split(':')[0]}," in _MANUAL
    assert _values("EXPOSE") == ["8000"]
    assert _values("STOPSIGNAL") == ["SIGTERM"]
    scripts = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert command[0] in scripts


def test_no_layer_of_the_image_holds_a_secret() -> None:
    for name, rest in _instructions():
        assert name != "ADD"  # it fetches and unpacks
        if name in ("ARG", "ENV"):
            assert not _SECRET_NAME.search(rest), rest
        if name == "COPY":
            assert "://" not in rest
            assert not re.search(r"\.env|secret", rest, re.IGNORECASE)


def test_the_builder_gets_what_is_copied_and_nothing_else() -> None:
    lines = (_ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == set(_copied())
    for source in set(_copied()) - {"requirements/run.lock"}:
        assert (_ROOT / source).exists(), source


def test_what_is_copied_is_enough_to_build_the_package(tmp_path: Path) -> None:
    context = tmp_path / "context"
    for source in set(_copied()) - {"requirements/run.lock"}:
        target = context / _copied()[source]
        if (_ROOT / source).is_dir():  # COPY takes the contents of a folder
            shutil.copytree(_ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(_ROOT / source, target)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(context)],
        check=True,
        capture_output=True,
    )
    built = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    package = _ROOT / "src"
    files = (path for path in (package / "achievement_collector").rglob("*") if path.is_file())
    assert {
        path.relative_to(package).as_posix() for path in files if "__pycache__" not in path.parts
    } <= built


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (302, False), (None, False)])
def test_the_health_check_believes_only_a_200_from_healthz(
    status: int | None, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")  # is not asked
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status or 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        if status:
            thread.start()
        else:
            server.socket.close()  # nobody listens
        python, *arguments = json.loads(_values("HEALTHCHECK")[0].split(" CMD ")[1])
        assert python == "python"
        arguments = [argument.replace("8000", str(server.server_port)) for argument in arguments]
        result = subprocess.run([sys.executable, *arguments], capture_output=True, timeout=60, check=False)
        if status:
            server.shutdown()
            thread.join()
    assert (result.returncode == 0) is healthy
    assert asked == (["/healthz"] if status else [])


# --- Docker Compose


def _follows_the_compose_specification(path: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


def test_the_compose_file_follows_the_specification() -> None:
    assert _follows_the_compose_specification(_DEPLOY / "compose.yaml")


@pytest.mark.parametrize("place", [(), ("services", "database"), ("services", "database", "healthcheck")])
def test_an_unknown_field_in_the_compose_file_is_refused(place: tuple[str, ...], tmp_path: Path) -> None:
    document = _compose()
    mapping = document
    for name in place:
        mapping = mapping[name]
    mapping["not_in_the_specification"] = "x"
    broken = tmp_path / "compose.json"
    broken.write_text(json.dumps(document), "utf-8")
    assert not _follows_the_compose_specification(broken)


def test_compose_starts_two_equal_servers_after_a_healthy_postgresql_17() -> None:
    services = _compose()["services"]
    database = services.pop("database")
    assert database["image"] == "postgres:17"
    assert database["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert "ports" not in database
    assert database["volumes"] == ["database:/var/lib/postgresql/data"]
    assert set(_compose()["volumes"]) == {"database"}
    ports = [port for server in services.values() for port in server.pop("ports")]
    assert ports == ["127.0.0.1:8001:8000", "127.0.0.1:8002:8000"]
    first, second = services.values()
    assert first == second
    assert first["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert (_DEPLOY / first["build"]["context"]).resolve() == _ROOT.resolve()
    assert (_ROOT / first["build"]["dockerfile"]).is_file()
    assert first["stop_grace_period"] == "30s"
    assert (first["mem_limit"], first["cpus"]) == ("1g", 0.5)


def test_compose_servers_have_no_rights_they_do_not_need() -> None:
    for name in ("server-1", "server-2"):
        server = _compose()["services"][name]
        assert server["read_only"] is True
        assert server["cap_drop"] == ["ALL"]
        assert server["security_opt"] == ["no-new-privileges:true"]
        assert [entry.split(":")[0] for entry in server["tmpfs"]] == ["/tmp", "/home/collector"]
        uid, gid = _values("USER")[0].split(":")
        assert f"uid={uid},gid={gid}," in server["tmpfs"][1]
        assert not {"privileged", "user", "cap_add", "entrypoint", "command"} & set(server)


def test_compose_takes_every_secret_from_the_environment_and_has_no_default() -> None:
    for inserted in re.findall(r"\$\{[^}]*\}|\$\w+", (_DEPLOY / "compose.yaml").read_text("utf-8")):
        assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", inserted), inserted
    database, *servers = sorted(_compose()["services"].values(), key=lambda service: "build" in service)
    assert database["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    for server in servers:
        environment = server["environment"]
        assert set(environment) == _NEEDED | _OPTIONAL
        assert {name for name, value in environment.items() if value is None} == _OPTIONAL
        assert re.fullmatch(
            r"\$\{ACHIEVEMENT_COLLECTOR_TOKEN:\?[^}]+\}", environment["ACHIEVEMENT_COLLECTOR_TOKEN"]
        )
        url = re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", "PASSWORD", environment["DATABASE_URL"])
        user, name = database["environment"]["POSTGRES_USER"], database["environment"]["POSTGRES_DB"]
        assert url == f"postgresql://{user}:PASSWORD@database:5432/{name}"


# --- Kubernetes


@pytest.mark.parametrize("version", _KUBERNETES_VERSIONS)
@pytest.mark.parametrize("name", _KUBERNETES_FILES)
def test_kubernetes_objects_follow_the_schema(name: str, version: str) -> None:
    assert version in _MANUAL
    objects = _objects(name)
    assert objects
    for document in objects:
        assert kubernetes_validate.validate(document, version, strict=True) == version
        assert "namespace" not in document["metadata"]


@pytest.mark.parametrize("name", _KUBERNETES_FILES)
def test_an_unknown_field_in_a_kubernetes_object_is_refused(name: str) -> None:
    for document in _objects(name):
        for at in range(len(_structures(document))):
            broken = copy.deepcopy(document)
            _structures(broken)[at]["notInTheSchema"] = "x"
            with pytest.raises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(broken, _KUBERNETES_VERSIONS[-1], strict=True)


@pytest.mark.parametrize("pod", [_server, _database])
def test_pods_have_no_rights_they_do_not_need(pod: Callable[[], dict[str, Any]]) -> None:
    spec = pod()
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["runAsGroup"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_server_may_write_to_its_home_and_tmp_and_is_the_user_of_the_image() -> None:
    spec = _server()
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    home = re.search(r"\bHOME=(\S+)", " ".join(_values("ENV")))
    assert home
    mounts = {mount["mountPath"]: volumes.pop(mount["name"]) for mount in container["volumeMounts"]}
    assert set(mounts) == {"/tmp", home[1]}
    assert all("emptyDir" in volume for volume in mounts.values())
    assert not volumes
    context = spec["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == _values("USER")[0]
    assert context["fsGroup"] == context["runAsGroup"]


def test_two_servers_run_and_one_stays() -> None:
    deployment = _object("Deployment", "deployment.yaml")
    budget = _object("PodDisruptionBudget", "poddisruptionbudget.yaml")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert budget["spec"]["minAvailable"] == 1
    assert "| servers | 2, updated one at a time without going below; at least 1 stays" in _MANUAL


def test_every_selector_finds_its_pods_and_only_those() -> None:
    deployment = _object("Deployment", "deployment.yaml")["spec"]
    stateful = _object("StatefulSet", "postgres.yaml")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert (
        _object("PodDisruptionBudget", "poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"]
        == labels
    )
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == labels
    assert _object("Service", "service.yaml")["spec"]["selector"] == labels
    database = _object("Service", "postgres.yaml")
    assert stateful["selector"]["matchLabels"] == stateful["template"]["metadata"]["labels"] != labels
    assert database["spec"]["selector"] == stateful["template"]["metadata"]["labels"]
    assert stateful["serviceName"] == database["metadata"]["name"]


def test_ports_are_those_of_the_image() -> None:
    (container,) = _server()["containers"]
    (port,) = container["ports"]
    assert [str(port["containerPort"])] == _values("EXPOSE")
    (service,) = _object("Service", "service.yaml")["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    assert not {"command", "args"} & set(container)  # the image says what is run


def test_the_server_asks_for_what_the_manual_says() -> None:
    (container,) = _server()["containers"]
    resources = container["resources"]
    assert resources == {
        "requests": {"memory": "512Mi", "cpu": "250m"},
        "limits": {"memory": "1Gi", "cpu": "500m"},
    }
    for row, kind in (("each asks for", "requests"), ("each may use", "limits")):
        assert f"| {row} | {resources[kind]['memory']} memory, {resources[kind]['cpu']} CPU |" in _MANUAL


def test_probes_ask_what_the_manual_says() -> None:
    (container,) = _server()["containers"]
    startup, liveness, readiness = (
        container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")
    )
    assert (
        startup["httpGet"]
        == liveness["httpGet"]
        == {"path": "/healthz", "port": container["ports"][0]["name"]}
    )
    assert readiness["httpGet"] == {"path": "/readyz", "port": container["ports"][0]["name"]}
    seconds = startup["periodSeconds"] * startup["failureThreshold"]
    assert f"| starting | `/healthz` within {seconds} s |" in _MANUAL
    for row, path, probe in (
        ("restarted", "/healthz", liveness),
        ("taken out of the service", "/readyz", readiness),
    ):
        failures, period = probe["failureThreshold"], probe["periodSeconds"]
        assert f"| {row} | after {failures} failures of `{path}`, {period} s apart |" in _MANUAL


def test_a_server_has_the_time_to_end() -> None:
    spec = _server()
    (container,) = spec["containers"]
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert int(seconds) + 10 < spec["terminationGracePeriodSeconds"]
    assert f"| ending | {seconds} s until no new connections come, SIGTERM, killed 30 s after" in _MANUAL
    assert "ends within 10 s" in _MANUAL


def test_kubernetes_takes_every_secret_from_the_secret_and_no_value_is_committed() -> None:
    (container,) = _server()["containers"]
    (database,) = _database()["containers"]
    taken: dict[str, dict[str, Any]] = {}
    for variable in container["env"] + database["env"]:
        if "valueFrom" in variable:
            taken[variable["name"]] = variable["valueFrom"]["secretKeyRef"]
            assert taken[variable["name"]]["key"] == variable["name"]
            assert taken[variable["name"]]["name"] == "achievement-collector"
        else:
            assert not _SECRET_NAME.search(variable["name"])
    assert {name for name, found in taken.items() if found.get("optional")} == _OPTIONAL
    assert set(taken) == _NEEDED | _OPTIONAL | {"POSTGRES_PASSWORD"}
    example = _object("Secret", "secret.example.yaml")
    assert set(example["stringData"]) == set(taken)
    assert not any(example["stringData"].values())
    assert example["metadata"]["name"] != "achievement-collector"  # applied by accident it overwrites nothing


def test_plain_settings_are_settings_of_the_program() -> None:
    settings = _object("ConfigMap", "configmap.yaml")
    (container,) = _server()["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    documented = (_ROOT / "docs" / "getting-started.md").read_text("utf-8")
    for name in settings["data"]:
        assert f"| `{name}` |" in documented
        assert not _SECRET_NAME.search(name)


def test_the_service_does_not_set_variables_of_the_program() -> None:
    # a service "achievement-collector" would set ACHIEVEMENT_COLLECTOR_PORT=tcp://... in every pod
    assert _server()["enableServiceLinks"] is False


def test_the_deployed_version_is_this_one() -> None:
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    (container,) = _server()["containers"]
    assert container["image"] == f"achievement-collector:{version}"
    assert f"achievement-collector:{version} ." in _MANUAL


def test_the_database_of_the_manual_is_the_one_that_is_deployed() -> None:
    (container,) = _database()["containers"]
    assert container["image"] == "postgres:17"
    plain = {variable["name"]: variable.get("value") for variable in container["env"]}
    host = _object("Service", "postgres.yaml")["metadata"]["name"]
    url = f"postgresql://{plain['POSTGRES_USER']}:PASSWORD@{host}:5432/{plain['POSTGRES_DB']}"
    assert f"`{url}`" in _MANUAL
    (claim,) = _object("StatefulSet", "postgres.yaml")["spec"]["volumeClaimTemplates"]
    assert f"one volume of {claim['spec']['resources']['requests']['storage']}," in _MANUAL
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in _database()["volumes"]}
    assert set(mounts) == volumes | {claim["metadata"]["name"]}
    assert str(plain["PGDATA"]).startswith(mounts["data"] + "/")


# --- the manual


def test_the_manual_names_every_secret_and_every_file() -> None:
    for name in _NEEDED | _OPTIONAL | {"POSTGRES_PASSWORD"}:
        assert f"`{name}`" in _MANUAL
    for name in _KUBERNETES_FILES:
        assert name in _MANUAL
    applied = set(re.findall(r"-f (\S+\.yaml)", _MANUAL))
    assert applied == set(_KUBERNETES_FILES) - {"secret.example.yaml"}
    for named in re.findall(r"deploy/[\w./]+\w", _MANUAL):
        assert (_ROOT / named).exists(), named
