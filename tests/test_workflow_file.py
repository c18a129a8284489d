"""The shipped workflow hands in what was measured, never fails a build, and nothing hostile gets through it; what
docs/ci.md shows works."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from achievement_collector.errors import CollectorError
from achievement_collector.services.workflow_files import workflow_file, write_workflow
from tests.git_repositories import Repository, git

Run = Callable[..., Any]

_MANUAL = (Path(__file__).parent.parent / "docs" / "ci.md").read_text("utf-8")
_HEAD, _TRIAL_MERGE = "a" * 40, "b" * 40
_HOSTILE = ["$(touch pwned)", '"; touch pwned; #', "`touch pwned`", "';touch pwned;'", "--server=http://evil.example",
            "a[$(touch pwned)]", "%0A::warning::pwned", "x" * 5000, "💥 é"]  # fmt: skip


def _workflow(text: str = "") -> dict[str, Any]:
    """The workflow as GitHub reads it: YAML 1.2, in which ``on`` is a word; a key that stands twice raises."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text or workflow_file())
    return document


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def _tool(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} belongs to the packages for development"
    return found


# --- what is written ---------------------------------------------------------------------------------


def test_it_runs_for_changes_and_for_what_they_are_compared_with() -> None:
    workflow = _workflow()
    assert workflow["name"] == "achievement tracker"
    assert workflow["on"] == {
        "pull_request": {"types": ["opened", "synchronize", "reopened", "closed"]},
        "push": {"branches": ["main"]},
        "merge_group": None,
    }
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job.get("permissions", {}) == {} for job in workflow["jobs"].values())


def test_runs_of_a_pull_request_replace_each_other() -> None:
    def concurrency(event: Event) -> tuple[str, bool]:
        told = _workflow()["concurrency"]
        return _filled(told["group"], event.contexts()), _value(told["cancel-in-progress"], event.contexts())

    assert concurrency(pull_request()) == ("achievement-tracker-12", True)
    assert concurrency(pull_request(number=13))[0] == "achievement-tracker-13"
    assert concurrency(pull_request(action="closed")) == ("achievement-tracker-12", True)
    assert concurrency(pull_request(action="closed", merged=True)) == ("achievement-tracker-12", False)
    assert concurrency(push()) == ("achievement-tracker-refs/heads/main", False)


def test_actions_are_pinned_to_commits() -> None:
    used = re.findall(r"uses: (.*)", workflow_file())
    assert len(used) == len([step for step in _steps(_workflow()) if "uses" in step])
    for one in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one
    assert len({one.split(" # ")[0] for one in used}) == len({one.split("@")[0] for one in used})


def _injections(workflow: dict[str, Any]) -> list[str]:
    """The scripts into which an expression is put as text, so that its value would be run."""
    scripts = [step.get("run", "") for step in _steps(workflow)]
    scripts += [str(step.get("with", {}).get("script", "")) for step in _steps(workflow)]
    return [script for script in scripts if "${{" in script]


def _exposures(workflow: dict[str, Any]) -> list[str]:
    """The jobs that have a secret and check code out."""
    return [
        name
        for name, job in workflow["jobs"].items()
        if "secrets" in json.dumps(job) and "actions/checkout@" in json.dumps(job)
    ]


def test_no_value_becomes_a_command_and_no_foreign_code_sees_a_secret() -> None:
    workflow = _workflow()
    assert not _injections(workflow)
    assert not _exposures(workflow)
    assert "pull_request_target" not in workflow_file()
    assert "workflow_run" not in workflow_file()
    assert "secrets" not in json.dumps({**workflow, "jobs": {}})
    checkouts = [step for step in _steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)

    injected, exposed = copy.deepcopy(workflow), copy.deepcopy(workflow)
    injected["jobs"]["measure"]["steps"][2]["run"] += "\necho ${{ github.head_ref }}"
    exposed["jobs"]["measure"]["env"] = {"TOKEN": "${{ secrets.TOKEN }}"}
    assert _injections(injected)
    assert _exposures(exposed) == ["measure"]


def _audited(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / ".github" / "workflows" / "achievement-tracker.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return subprocess.run(
        [_tool("zizmor"), "--offline", "--no-config", "--persona", "pedantic", "--no-progress", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    clean = _audited(workflow_file(), tmp_path)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    worse = _audited(workflow_file().replace('echo "at=', 'echo ${{ github.head_ref }}; echo "at='), tmp_path)
    assert "template-injection" in worse.stdout


def test_it_is_a_workflow_as_github_defines_it(tmp_path: Path) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(workflow_file(), "utf-8")
    check = [_tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    for number, step in enumerate(step for step in _steps(_workflow()) if "run" in step):
        script = tmp_path / f"{number}.sh"
        script.write_text(f"#!/bin/bash\nset -eo pipefail\n{step['run']}", "utf-8")
        check = [_tool("shellcheck"), "--shell=bash", "--severity=style", str(script)]
        done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout


# --- what it does: the scripts are run, the actions are played ------------------------------------------


@dataclass
class Event:
    """What GitHub tells a run of."""

    github: dict[str, Any]
    vars: dict[str, str] = field(
        default_factory=lambda: {
            "ACHIEVEMENT_COLLECTOR_URL": "https://achievements.example",
            "ACHIEVEMENT_COLLECTOR_PACKAGE": "achievement-collector[server] @ git+https://git.example/a@b",
        }
    )
    secrets: dict[str, str] = field(default_factory=lambda: {"ACHIEVEMENT_COLLECTOR_TOKEN": "the-token"})

    def contexts(self, **more: Any) -> dict[str, Any]:
        return {"github": self.github, "vars": self.vars, "secrets": self.secrets, **more}


def pull_request(
    *,
    number: int = 12,
    branch: str = "topic",
    base: str = "main",
    action: str = "synchronize",
    merged: bool = False,
) -> Event:
    told = {
        "number": number, "title": "a\ntitle\n::error::pwned\n$(touch pwned)", "merged": merged,
        "head": {"sha": _HEAD, "ref": branch}, "base": {"ref": base},
    }  # fmt: skip
    ref = f"refs/heads/{base}" if merged else f"refs/pull/{number}/merge"
    return Event({
        "event_name": "pull_request", "event": {"action": action, "pull_request": told}, "sha": _TRIAL_MERGE, "ref": ref,
        "ref_name": ref.split("/", 2)[2], "head_ref": branch, "base_ref": base,
    })  # fmt: skip


def push(branch: str = "main") -> Event:
    return Event({
        "event_name": "push", "event": {"ref": f"refs/heads/{branch}"}, "sha": _HEAD, "ref": f"refs/heads/{branch}",
        "ref_name": branch, "head_ref": "", "base_ref": "",
    })  # fmt: skip


def merge_group() -> Event:
    branch = "gh-readonly-queue/main/pr-12-abc"
    told = {"head_sha": _HEAD, "head_ref": f"refs/heads/{branch}", "base_ref": "refs/heads/main"}
    return Event({
        "event_name": "merge_group", "event": {"action": "checks_requested", "merge_group": told}, "sha": _HEAD,
        "ref": f"refs/heads/{branch}", "ref_name": branch, "head_ref": "", "base_ref": "",
    })  # fmt: skip


def _value(expression: Any, contexts: dict[str, Any]) -> Any:
    """The value of an expression of GitHub's language: names, ``||``, ``&&``, ``!``, ``==`` and ``!=``."""

    def look(name: str) -> Any:
        found: Any = contexts
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return "" if found is None else found

    text = re.fullmatch(r"\$\{\{\s*(.*?)\s*\}\}", str(expression))
    translated = ""
    for token in re.findall(
        r"'[^']*'|[\w.-]+\(\)|[\w.-]+|\|\||&&|[!=]=|!|[()]|\s+", text[1] if text else expression
    ):
        match token:
            case "||" | "&&":
                translated += {"||": " or ", "&&": " and "}[token]
            case "!":
                translated += " not "
            case "cancelled()":
                translated += repr(bool(contexts.get("cancelled")))
            case _ if re.match(r"[a-z]", token):
                translated += f"look({token!r})"
            case _:
                translated += token
    return eval(translated, {"look": look})


def _filled(text: Any, contexts: dict[str, Any]) -> str:
    """A text with its expressions put in."""

    def told(found: re.Match[str]) -> str:
        value = _value(found[0], contexts)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return re.sub(r"\$\{\{.*?\}\}", told, str(text))


@dataclass
class Played:
    """What became of a run: whether the build failed, what it said, and the hand-ins with their token."""

    failed: bool
    output: str
    handed_in: list[list[str]]
    tokens: list[str]
    installed: list[list[str]]
    checked_out: str = ""


_STUB = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([{name!r}, sys.argv[1:], os.environ.get("ACHIEVEMENT_COLLECTOR_TOKEN", "")]) + "\\n")
sys.stdout.write({says!r})
sys.exit({status})
"""


class Player:
    """Runs the workflow's scripts with the shell GitHub runs them with, each job in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        event: Event,
        tests: str = "",
        *,
        says: str = "build_time: 3 s\n",
        status: int = 0,
        install: int = 0,
    ) -> Played:
        log = self.folder / "log"
        log.write_text("")
        programs = self.folder / "programs"
        programs.mkdir(exist_ok=True)
        for name, told, code in (("achievement-collector", says, status), ("python", "", install)):
            stub = programs / name
            stub.write_text(
                _STUB.format(python=sys.executable, log=str(log), name=name, says=told, status=code), "utf-8"
            )
            stub.chmod(0o755)
        self.artifact = self.folder / "artifact"
        shutil.rmtree(self.artifact, ignore_errors=True)
        played = Played(False, "", [], [], [])
        needs: dict[str, Any] = {}
        for name, job in _workflow()["jobs"].items():
            contexts = event.contexts(needs=needs)
            if "if" in job and not _value(job["if"], contexts):
                needs[name] = {"result": "skipped"}
                continue
            failed, outputs = self._job(name, job, contexts, tests, played)
            played.failed |= failed
            told = {key: _filled(text, outputs) for key, text in job.get("outputs", {}).items()}
            needs[name] = {"result": "failure" if failed else "success", "outputs": told}
        for program, arguments, token in self._called():
            if program == "python":
                played.installed.append(arguments)
                assert not token
            else:
                played.handed_in.append(arguments)
                played.tokens.append(token)
        assert not list(self.folder.rglob("pwned"))
        return played

    def hand_in_again(self, **environment: str) -> list[list[str]]:
        """The hand-ins of the last step alone, with the files of the run before."""
        (self.folder / "log").write_text("")
        (script,) = [step["run"] for step in _steps(_workflow()) if step["name"] == "Hand in the measures"]
        played = Played(False, "", [], [], [])
        succeeded, _ = self._script(script, {"SHA": _HEAD, **environment}, self.folder / "hand-in", played)
        assert succeeded, played.output
        return [arguments for _, arguments, _ in self._called()]

    def _called(self) -> list[tuple[str, list[str], str]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def _job(
        self, name: str, job: dict[str, Any], contexts: dict[str, Any], tests: str, played: Played
    ) -> tuple[bool, dict[str, Any]]:
        work = self.folder / name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        failed, steps = False, dict[str, Any]()
        for step in job["steps"]:
            contexts = {**contexts, "steps": steps}
            condition = str(step.get("if", ""))
            if (failed and "cancelled()" not in condition) or (condition and not _value(condition, contexts)):
                continue
            if "uses" in step:
                succeeded = self._action(step, contexts, work, played)
            else:
                script = tests if step["name"] == "Build and test" and tests else step["run"]
                environment = {key: _filled(text, contexts) for key, text in step.get("env", {}).items()}
                succeeded, outputs = self._script(script, environment, work, played)
                steps[step.get("id", "")] = {"outputs": outputs}
            failed |= not succeeded and not step.get("continue-on-error", False)
        return failed, {**contexts, "steps": steps}

    def _action(self, step: dict[str, Any], contexts: dict[str, Any], work: Path, played: Played) -> bool:
        given = {key: _filled(text, contexts) for key, text in step.get("with", {}).items()}
        match step["uses"].split("@")[0]:
            case "actions/checkout":
                played.checked_out = given["ref"]
            case "actions/upload-artifact":
                for name in given["path"].split():
                    if (work / name).is_file():
                        self.artifact.mkdir(exist_ok=True)
                        shutil.copy(work / name, self.artifact)
            case "actions/download-artifact":
                if not self.artifact.exists():
                    return False
                shutil.copytree(self.artifact, work / given["path"])
        return True

    def _script(
        self, script: str, environment: dict[str, str], work: Path, played: Played
    ) -> tuple[bool, dict[str, str]]:
        told = self.folder / "output"
        told.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=work,
            env={
                "PATH": f"{self.folder / 'programs'}:/usr/bin:/bin", "GITHUB_OUTPUT": str(told), "LANG": "C.UTF-8",
                "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/rocket", "GITHUB_RUN_ID": "77",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )  # fmt: skip
        played.output += done.stdout + done.stderr
        return done.returncode == 0, dict(line.split("=", 1) for line in told.read_text().splitlines())


@pytest.fixture
def play(tmp_path: Path) -> Player:
    folder = tmp_path / "run"
    folder.mkdir()
    return Player(folder)


_ALL = "touch junit.xml coverage.xml benchmark.json"


def test_a_pull_request_is_handed_in_as_its_head(play: Player) -> None:
    played = play(pull_request(), _ALL)
    assert not played.failed
    assert played.checked_out == _HEAD
    ((*arguments, build_time),) = played.handed_in
    assert arguments == [
        "ci", "ingest", "--repo=github.com/acme/rocket", f"--sha={_HEAD}", "--branch=topic",
        "--url=https://github.com/acme/rocket/actions/runs/77", "--server=https://achievements.example", "--base=main",
        "--pr=12", "--junit=measures/junit.xml", "--coverage=measures/coverage.xml",
        "--benchmark=measures/benchmark.json",
    ]  # fmt: skip
    assert re.fullmatch(r"--build-time=[0-9]", build_time)
    assert played.tokens == ["the-token"]
    assert played.installed[0][-1] == "achievement-collector[server] @ git+https://git.example/a@b"
    assert (
        "::notice title=achievement tracker::build_time: 3 s%0A" not in played.output
    )  # the last line end is cut
    assert "::notice title=achievement tracker::build_time: 3 s\n" in played.output


@pytest.mark.parametrize(
    ("event", "branch", "base"),
    [(push(), "main", []), (merge_group(), "gh-readonly-queue/main/pr-12-abc", ["--base=main"])],
)
def test_other_events_tell_no_pull_request(play: Player, event: Event, branch: str, base: list[str]) -> None:
    (arguments,) = play(event, _ALL).handed_in
    assert f"--sha={_HEAD}" in arguments
    assert f"--branch={branch}" in arguments
    assert [one for one in arguments if one.startswith("--base")] == base
    assert not [one for one in arguments if one.startswith("--pr")]


@pytest.mark.parametrize("is_merged", [False, True])
def test_nothing_is_measured_when_a_pull_request_is_closed(play: Player, is_merged: bool) -> None:
    played = play(pull_request(action="closed", merged=is_merged), _ALL)
    assert (played.failed, played.handed_in, played.output) == (False, [], "")


def test_the_build_time_is_that_between_the_two_steps(play: Player) -> None:
    (arguments,) = play(push(), "date() { echo 1; }; sleep 1.1").handed_in
    assert arguments[-1] in ("--build-time=1", "--build-time=2")


@pytest.mark.parametrize(
    "there", ["junit.xml", "coverage.xml", "benchmark.json", "junit.xml benchmark.json", ""]
)
def test_only_files_that_are_there_are_handed_in(play: Player, there: str) -> None:
    (arguments,) = play(push(), f"touch other.txt {there}").handed_in
    assert [one.partition("=measures/")[2] for one in arguments if "measures/" in one] == there.split()


def test_failed_tests_are_handed_in_without_a_build_time(play: Player) -> None:
    played = play(push(), "touch junit.xml; exit 1")
    assert played.failed
    (arguments,) = played.handed_in
    assert arguments[-1] == "--junit=measures/junit.xml"


def test_where_nothing_was_measured_nothing_is_handed_in(play: Player) -> None:
    played = play(push(), "exit 1")
    assert not played.handed_in
    assert "::notice title=achievement tracker::Nothing was measured" in played.output


def test_it_says_where_the_commands_go(play: Player) -> None:
    played = play(push())
    assert played.failed
    assert "::error title=achievement tracker::Put your own commands here, at (2)" in played.output


@pytest.mark.parametrize("has_variables", [True, False])
def test_a_fork_gets_a_notice_and_nothing_else(play: Player, has_variables: bool) -> None:
    event = pull_request()
    event.secrets.clear()
    if not has_variables:
        event.vars.clear()
    played = play(event, _ALL)
    assert not played.failed
    assert not played.handed_in
    assert not played.installed
    assert played.output.count("::notice title=achievement tracker::Nothing is handed in") == 1
    assert "secret ACHIEVEMENT_COLLECTOR_TOKEN" in played.output
    assert ("variable ACHIEVEMENT_COLLECTOR_URL" in played.output) is not has_variables


def test_a_failed_hand_in_is_a_warning(play: Player) -> None:
    says = "achievement-collector: the server says 401: 100 % unknown\r\n::error::pwned\n"
    played = play(push(), _ALL, says=says, status=2)
    assert not played.failed
    assert (
        "::warning title=achievement tracker::achievement-collector: the server says 401: 100 %25 unknown%0D%0A"
        "::error::pwned\n" in played.output
    )
    assert not [line for line in played.output.splitlines() if line.startswith("::error")]


def test_a_failed_installation_is_a_warning(play: Player) -> None:
    played = play(push(), _ALL, install=1, status=127, says="")
    assert not played.failed
    assert (
        "::warning title=achievement tracker::achievement-collector could not be installed" in played.output
    )
    assert "::warning title=achievement tracker::the hand-in ended without a word" in played.output


@pytest.mark.parametrize("hostile", _HOSTILE)
def test_hostile_names_stay_names(play: Player, hostile: str) -> None:
    for event in (pull_request(branch=hostile, base=hostile), push(hostile)):
        played = play(event, _ALL)
        assert not played.failed
        (arguments,) = played.handed_in
        assert f"--branch={hostile[:300]}" in arguments
        assert arguments[6] == "--server=https://achievements.example"
        assert [one for one in arguments if one.startswith("--base")] == (
            [f"--base={hostile[:300]}"] if event.github["base_ref"] else []
        )


@pytest.mark.parametrize(
    "hostile", ["$(touch pwned)", "a[$(touch pwned)]", "-1", "1 --server=x", "1e3", "9" * 30]
)
def test_a_build_time_that_is_no_number_is_left_out(play: Player, hostile: str) -> None:
    play(push(), "touch junit.xml; exit 1")
    (arguments,) = play.hand_in_again(BUILD_SECONDS=hostile)
    assert arguments[-1] == "--junit=measures/junit.xml"
    assert not list(play.folder.rglob("pwned"))


def test_a_link_among_the_measures_is_not_followed(play: Player) -> None:
    play(push(), _ALL)
    file = play.folder / "hand-in" / "measures" / "junit.xml"
    file.unlink()
    file.symlink_to("/etc/hostname")
    (arguments,) = play.hand_in_again()
    assert [one for one in arguments if "measures/" in one] == [
        "--coverage=measures/coverage.xml",
        "--benchmark=measures/benchmark.json",
    ]


# --- the command -------------------------------------------------------------------------------------


def test_the_command_writes_the_workflow(run: Run, repository: Repository) -> None:
    repository.commit("begin", {"src/a.py": "1\n"})
    path = repository.path / ".github" / "workflows" / "achievement-tracker.yml"
    shown = run("ci", "workflow", "--only", "achievement-tracker", "--print", folder=repository.path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == workflow_file()
    assert not path.exists()
    done = run("ci", "workflow", repository.path / "src")
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert path.read_text("utf-8") == workflow_file()
    assert run("ci", "workflow", folder=repository.path).returncode == 0  # the same again


def test_what_was_changed_is_replaced_only_when_forced(run: Run, repository: Repository) -> None:
    path = repository.write(".github/workflows/achievement-tracker.yml", "mine\n")
    refused = run("ci", "workflow", repository.path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "is there already; --force replaces it" in refused.stderr
    assert path.read_text() == "mine\n"
    forced = run("ci", "workflow", repository.path, "--only", "achievement-tracker", "--force")
    assert forced.returncode == 0, forced.stderr
    assert path.read_text("utf-8") == workflow_file()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("branch", ["main", "master", "trunk/v2", "a+b!]#\"q'", "größe"])
def test_the_default_branch_is_the_repositorys(tmp_path: Path, branch: str) -> None:
    repository = Repository(tmp_path / "project", branch=branch)
    repository.commit()
    written = write_workflow(repository.path, force=False).read_text("utf-8")
    (pattern,) = _workflow(written)["on"]["push"]["branches"]
    assert re.sub(r"\\(.)", r"\1", pattern) == branch
    assert not re.search(r"(?<!\\)[*?+!\]]", pattern)


def test_a_name_that_yaml_cannot_hold_is_refused() -> None:
    with pytest.raises(CollectorError, match="cannot stand in a workflow"):
        workflow_file("caf\udce9")


def test_where_it_cannot_be_written_it_says_why(tmp_path: Path, repository: Repository) -> None:
    repository.commit()
    with pytest.raises(CollectorError, match="is not a git repository"):
        write_workflow(tmp_path, force=False)
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository.path), str(bare))
    with pytest.raises(CollectorError, match="bare repository"):
        write_workflow(bare, force=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository.path / ".github").symlink_to(outside)
    with pytest.raises(CollectorError, match="leads out of the repository"):
        write_workflow(repository.path, force=True)
    assert not list(outside.iterdir())
    (repository.path / ".github").unlink()
    repository.write(".github", "a file")
    with pytest.raises(CollectorError, match="cannot be written"):
        write_workflow(repository.path, force=False)
    (repository.path / ".github").unlink()
    (repository.path / ".github/workflows/achievement-tracker.yml").mkdir(parents=True)
    with pytest.raises(CollectorError, match="cannot be written"):
        write_workflow(repository.path, force=True)


# --- docs/ci.md --------------------------------------------------------------------------------------

_JUNIT = '<testsuite tests="1"><testcase classname="a" name="b" time="0.1"/></testsuite>'
_COVERAGE = '<coverage line-rate="0.5" lines-valid="10" lines-covered="5" version="7" timestamp="1"/>'
_BENCHMARK = '[{"name": "search", "unit": "ms", "value": 50}]'


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _MANUAL, re.DOTALL)


def _command(beginning: str) -> str:
    """The one command of the page that begins so."""
    found = [line[2:] for block in _blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    (command,) = [line for line in found if line.startswith(beginning)]
    return command


@pytest.fixture
def shell(tmp_path: Path, repository: Repository) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A shell in a repository with measures, where the program is on the path."""
    repository.commit()
    for name, content in (("junit.xml", _JUNIT), ("coverage.xml", _COVERAGE), ("benchmark.json", _BENCHMARK)):
        repository.write(name, content)
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "achievement-collector"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m achievement_collector "$@"\n')
    program.chmod(0o755)

    def run_command(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "DATABASE_URL": str(tmp_path / "l.db"),
        }
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=repository.path,
            env={**own, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run_command


@pytest.fixture
def server(tmp_path: Path, shell: Run) -> Iterator[dict[str, str]]:
    """A server on the same ledger, and the variables that lead to it; the token is the one the page makes."""
    made = shell(_command("achievement-collector token create"))
    assert made.returncode == 0, made.stderr
    log = tmp_path / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "achievement_collector", "serve", "--port", "0", "--db", str(tmp_path / "l.db")],
            stderr=output, cwd=tmp_path,
        )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not (found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield {"ACHIEVEMENT_COLLECTOR_URL": found[1], "ACHIEVEMENT_COLLECTOR_TOKEN": made.stdout.strip()}
    finally:
        process.terminate()
        process.wait(30)


_TAKEN = "tests: 1 tests, 0 failed, 0 skipped\ncoverage: line coverage 50.0 %\n"


def test_the_commands_of_the_page_work(shell: Run, server: dict[str, str]) -> None:
    for command in (
        _command("achievement-collector ci workflow --only achievement-tracker --print"),
        _command("achievement-collector ci workflow --only achievement-tracker  "),
    ):
        done = shell(command)
        assert done.returncode == 0, done.stderr
    ingest = _command("achievement-collector ci ingest")
    for environment in ({}, server):
        done = shell(ingest, **environment)
        assert done.returncode == 0, done.stderr
        assert (
            done.stdout.removeprefix("brought up to date: 1 repository, 0 issues, 0 epics\n")
            == f"{_TAKEN}benchmarks: 1 benchmarks\nbuild_time: 312 s\n"
        )


def test_gitlab_and_jenkins_use_the_same_command(shell: Run, server: dict[str, str]) -> None:
    (gitlab,) = (YAML(typ="safe", pure=True).load(block) for block in _blocks("yaml"))
    (groovy,) = _blocks("groovy")
    jenkins = re.findall(r"sh '''(.*?)'''", groovy, re.DOTALL)[0].replace("\\\\\n", "\\\n")
    sha = "c" * 40
    of_gitlab = {
        "CI_SERVER_HOST": "gitlab.example",
        "CI_PROJECT_PATH": "acme/tools/rocket",
        "CI_COMMIT_SHA": sha,
    }
    of_jenkins = {"GIT_COMMIT": sha, "BRANCH_NAME": "main"}
    for command, environment in (
        (gitlab["hand-in"]["script"][-1], {**of_gitlab, "CI_COMMIT_REF_NAME": "main"}),
        (
            gitlab["hand-in"]["script"][-1],
            {
                **of_gitlab, "CI_COMMIT_REF_NAME": "$(touch pwned)", "CI_MERGE_REQUEST_IID": "3",
                "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            },
        ),
        (jenkins, of_jenkins),
        (jenkins, {**of_jenkins, "BRANCH_NAME": "PR-3", "CHANGE_ID": "3", "CHANGE_TARGET": "main", "CHANGE_BRANCH": "a b"}),
    ):  # fmt: skip
        done = shell(command, **environment, **server)
        assert (done.returncode, done.stdout) == (0, _TAKEN), done.stderr
    refused = shell(jenkins, **{**of_jenkins, **server, "ACHIEVEMENT_COLLECTOR_TOKEN": "wrong"})
    assert refused.returncode == 0
    assert "the measures were not handed in" in refused.stdout


def test_the_json_of_the_page_is_taken_in(shell: Run, server: dict[str, str], repository: Repository) -> None:
    given, answer = _blocks("json")
    repository.write("metrics.json", given)
    curl = _command("curl")
    done = shell(curl, **server)
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout) == json.loads(answer)
    again = shell(curl, **server)
    assert json.loads(again.stdout) == {**json.loads(answer), "is_new": False}
    unknown = shell(
        f"{curl} --write-out ' %{{http_code}}'", **{**server, "ACHIEVEMENT_COLLECTOR_TOKEN": "no"}
    )
    assert unknown.stdout.endswith(" 401")
    repository.write("metrics.json", "{}")
    unusable = shell(f"{curl} --write-out ' %{{http_code}}'", **server)
    assert unusable.stdout.endswith(" 422")


def test_comparisons_are_worded_as_the_page_says() -> None:
    from achievement_collector.derive.ci_comparison import measures_of
    from achievement_collector.facts.work import CiReport, PullRequest

    def said(
        kind: str,
        after: dict[str, Any],
        before: dict[str, Any] | None,
        *,
        base: str = "c" * 40,
        head: str = _HEAD,
    ) -> list[str]:
        """Of a pull request based on ``base``, whose base branch was measured at c...; its head is ``head``, a... measured."""
        pull = PullRequest("r", 12, base="main", base_sha=base, branch="topic", head_sha=head)
        own = CiReport("own", "r", _HEAD, kind, "", after, 2, "topic", "main", 12, "")
        at_base = CiReport("base", "r", "c" * 40, kind, "", before or {}, 1, "main", "", None, "")
        reports = [at_base, own] if before else [own]
        return [one.as_data()["text"] for one in measures_of(pull, reports, "")]

    def search(value: float, spread: float | None = 10.0, name: str = "search") -> dict[str, Any]:
        told = {"name": name, "unit": "ms", "value": value, "higher_is_better": False}
        return {"benchmarks": [told | ({} if spread is None else {"samples": 20, "spread": spread})]}

    tests = {"failed": 0, "flaky": 0}
    worded = [
        *said("benchmarks", search(50), search(200)),
        *said("benchmarks", search(196), search(200)),
        *said("benchmarks", search(50, None), search(200, None)),
        *said("coverage", {"line_rate": 0.845}, {"line_rate": 0.81}),
        *said("tests", {"total": 422, **tests}, {"total": 410, **tests}),
        *said("build_time", {"seconds": 1.5}, None),
        *said("benchmarks", search(3, None, "index"), search(200, None)),
        *said("tests", {"total": 12, **tests}, {"total": 40, **tests}, base="1f2e3d4" + "0" * 33),
        *said("coverage", {"line_rate": 0.7}, {"line_rate": 0.81}, head="d" * 40),
    ]
    shown = re.findall(r"^\| `([^`]+: [^`]+)` \|", _MANUAL, re.MULTILINE)
    assert worded == [one.replace("5a6b7c8", "ccccccc").replace("9c8b7a6", "aaaaaaa") for one in shown]
