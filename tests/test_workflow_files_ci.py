"""The shipped workflows that report on CI and keep Notion up to date: least rights, nothing foreign is run or believed, quiet
where nothing is set up. Their scripts are run here; the programs that they call only note what they were called with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from achievement_collector.cli import ci, notion, report, roadmap, two_way
from achievement_collector.config import FILE_NAME
from achievement_collector.errors import CollectorError
from achievement_collector.services.workflow_files import (
    NAMES,
    watched_workflows,
    workflow_file,
    write_workflow,
    write_workflows,
)
from tests.git_repositories import Repository, git
from tests.test_workflow_file import _filled, _injections, _steps, _tool, _value

_REPORT, _NOTION = "ci-intelligence-report", "notion-roadmap-sync"
_BOTH = [_REPORT, _NOTION]
_SHA = "a" * 40
_HOSTILE = [
    "$(touch pwned)", '"; touch pwned; #', "`touch pwned`", "';touch pwned;'", "--repo=evil/evil", "a[$(touch pwned)]",
    "x\ny=$(touch pwned)", "%0A::error::pwned", "x" * 5000, "💥 é", "-1", "12; touch pwned", "*", "~",
]  # fmt: skip
Run = Callable[..., Any]


def _workflow(name: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(workflow_file(name=name))
    return document


# --- what is written ---------------------------------------------------------------------------------


def test_they_run_weekly_on_merge_and_when_ci_ends() -> None:
    report, notion = (_workflow(name)["on"] for name in _BOTH)
    assert set(report) == {"schedule", "workflow_run", "workflow_dispatch"}
    assert report["workflow_run"] == {"workflows": ["achievement tracker"], "types": ["completed"]}
    assert set(notion) == {"schedule", "push", "workflow_dispatch"}
    assert notion["push"] == {"branches": ["main"]}
    for on in (report, notion):
        minute, hour, day, month, weekday = on["schedule"][0]["cron"].split()
        assert (day, month, weekday) == ("*", "*", "1")
        assert int(minute) not in (0, 30)
        assert hour.isdecimal()
    assert [*notion["workflow_dispatch"]["inputs"]] == ["milestone", "mode"]


_READS = dict.fromkeys(("contents", "actions", "checks", "deployments", "issues", "pull-requests"), "read")


@pytest.mark.parametrize(
    ("name", "job", "more"),
    [
        (_REPORT, "report", {}),
        (_REPORT, "comment", {"pull-requests": "write"}),
        (_NOTION, "sync", {"issues": "write"}),
    ],
)
def test_each_job_has_the_rights_it_needs(name: str, job: str, more: dict[str, str]) -> None:
    workflow = _workflow(name)
    assert workflow["permissions"] == {}
    assert workflow["jobs"][job]["permissions"] == {**_READS, **more}
    assert all(0 < one["timeout-minutes"] <= 90 for one in workflow["jobs"].values())
    assert workflow["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize("name", _BOTH)
def test_no_value_becomes_a_command_and_secrets_are_where_they_are_needed(name: str) -> None:
    text, workflow = workflow_file(name=name), _workflow(name)
    assert not _injections(workflow)
    assert "pull_request_target" not in text
    assert "download-artifact" not in text
    assert "eval " not in text
    assert "secrets" not in json.dumps({**workflow, "jobs": {}})
    for job in workflow["jobs"].values():
        assert "env" not in job
    for step in _steps(workflow):
        told = {key for key, value in step.get("env", {}).items() if "secrets." in value or "token" in value}
        if "uses" in step or "pip install" in step["run"]:
            assert not told, step["name"]
        has = {key for key in told if not key.startswith("HAS_")}
        assert bool(has) == bool(re.search(r"achievement-collector [a-z]|gh api", step.get("run", ""))), step[
            "name"
        ]
        assert "secrets" not in json.dumps({key: value for key, value in step.items() if key != "env"})
        if any(key.startswith("NOTION_") for key in has):
            assert "achievement-collector notion " in step["run"]


@pytest.mark.parametrize("name", _BOTH)
def test_the_configuration_of_the_default_branch_is_read_and_nothing_else(name: str) -> None:
    """Without it the comment told another score than the terminal; of a change, a fork's say, nothing may be read."""
    workflow = _workflow(name)
    for job in workflow["jobs"].values():
        uses = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
        (checkout,) = [step for step in job["steps"] if "checkout@" in step.get("uses", "")]
        assert checkout["with"] == {
            "ref": "${{ github.event.repository.default_branch }}",
            "sparse-checkout": "/achievement-tracker.yaml\n/roadmap.yaml\n/ci-signatures/\n",
            "sparse-checkout-cone-mode": False, "persist-credentials": False,
        }  # fmt: skip
        assert uses.index("actions/checkout") < uses.index("actions/setup-python")
    assert workflow["env"] == {"CI_SIGNATURES": "ci-signatures"}
    assert "/ci-signatures/" in checkout["with"]["sparse-checkout"]


def test_the_files_checked_out_are_those_that_are_read(
    repository: Repository, tmp_path: Path, run: Run
) -> None:
    """By git itself, from a repository that has more."""
    (checkout,) = [one for one in _steps(_workflow(_NOTION)) if "checkout@" in one.get("uses", "")]
    for file in (
        "achievement-tracker.yaml", "roadmap.yaml", "ci-signatures/a.yaml", "src/roadmap.yaml", "setup.py", "a/ci-signatures/b.yaml",
    ):  # fmt: skip
        repository.write(file, "[]\n" if "signatures" in file else "{}\n")
    repository.commit()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-checkout", str(repository.path), str(clone))
    git(clone, "sparse-checkout", "set", "--no-cone", *checkout["with"]["sparse-checkout"].split())
    git(clone, "checkout", "--quiet", "main")
    found = {
        str(one.relative_to(clone)) for one in clone.rglob("*") if one.is_file() and ".git" not in one.parts
    }
    assert found == {FILE_NAME, "roadmap.yaml", "ci-signatures/a.yaml"}


def test_actions_are_pinned_to_the_same_commits_everywhere() -> None:
    used = [one for name in NAMES for one in re.findall(r"uses: (.*)", workflow_file(name=name))]
    for one in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one
    assert len(set(used)) == len({one.split("@")[0] for one in used})
    assert set(re.findall(r"uses: (.*)", workflow_file(name=_REPORT))) <= set(
        re.findall(r"uses: (.*)", workflow_file())
    )


def _written(name: str, folder: Path, text: str = "") -> Path:
    path = folder / ".github" / "workflows" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or workflow_file(name=name), "utf-8")
    return path


@pytest.mark.parametrize("name", _BOTH)
def test_zizmor_finds_nothing(name: str, tmp_path: Path) -> None:
    def audited(text: str = "") -> subprocess.CompletedProcess[str]:
        path = _written(name, tmp_path, text)
        check = [
            _tool("zizmor"),
            "--offline",
            "--no-config",
            "--persona",
            "pedantic",
            "--no-progress",
            str(path),
        ]
        return subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)

    clean = audited()
    assert clean.returncode == 0, clean.stdout + clean.stderr
    text = workflow_file(name=name)
    ignored = re.findall(r"zizmor: ignore\[(.*?)\]", text)
    assert ignored == (["dangerous-triggers"] if name == _REPORT else [])  # and why stands beside it
    assert (
        "template-injection"
        in audited(text.replace('"$GITHUB_REPOSITORY"', '"${{ github.head_ref }}"')).stdout
    )
    if ignored:
        assert (
            "dangerous-triggers" in audited(text.replace(" # zizmor: ignore[dangerous-triggers]", "")).stdout
        )


@pytest.mark.parametrize("name", _BOTH)
def test_they_are_workflows_as_github_defines_them(name: str, tmp_path: Path) -> None:
    check = [
        _tool("check-jsonschema"),
        "--builtin-schema",
        "vendor.github-workflows",
        str(_written(name, tmp_path)),
    ]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", _BOTH)
def test_shellcheck_finds_nothing(name: str, tmp_path: Path) -> None:
    for number, step in enumerate(step for step in _steps(_workflow(name)) if "run" in step):
        script = tmp_path / f"{number}.sh"
        script.write_text(f"#!/bin/bash\nset -eo pipefail\n{step['run']}", "utf-8")
        check = [_tool("shellcheck"), "--shell=bash", "--severity=style", str(script)]
        done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout


# --- what they do ------------------------------------------------------------------------------------

_STUB = """#!{python}
import json, os, sys
secret = {{name: value for name, value in os.environ.items() if "secret" in value}}
with open({log!r}, "a") as log:
    log.write(json.dumps([{name!r}, sys.argv[1:], secret]) + "\\n")
told = {says!r}.get(" ".join(sys.argv[1:3]), ["", 0])
sys.stdout.write(told[0])
sys.exit(told[1])
"""


@dataclass
class Played:
    """What became of a run: which jobs ran, whether one failed, what was said, called and summarised."""

    jobs: list[str] = field(default_factory=list)
    failed: bool = False
    output: str = ""
    summary: str = ""
    calls: list[list[str]] = field(default_factory=list)
    secrets: list[set[str]] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)

    def of(self, *begin: str) -> list[list[str]]:
        return [one for one in self.calls if one[: len(begin)] == list(begin)]


class Player:
    """Runs a workflow's scripts with the shell that GitHub runs them with; the actions do nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = {
            "ACHIEVEMENT_COLLECTOR_DATABASE": "secret-database", "NOTION_API_KEY": "secret-notion",
            "NOTION_ROADMAP_DB_ID": "secret-roadmap",
        }  # fmt: skip
        self.vars = {
            "ACHIEVEMENT_COLLECTOR_PACKAGE": "achievement-collector[server,postgres] @ git+https://git.example/a@b"
        }
        self.says: dict[str, tuple[str, int]] = {"ci report": ("# A week\n", 0)}
        self.merged = ("", 0)

    def __call__(self, name: str, github: dict[str, Any], **inputs: str) -> Played:
        log, programs = self.folder / "log", self.folder / "programs"
        log.write_text("")
        programs.mkdir(exist_ok=True)
        gh = {f"api repos/acme/rocket/commits/{_SHA}/pulls": self.merged}
        for program, says in (("achievement-collector", self.says), ("gh", gh)):
            self._stub(programs / program, program, says, log)
        real = f'exec "{sys.executable}" "$@"'
        (programs / "python").write_text(
            f'#!/bin/sh\nif [ "$1" = -c ]; then {real}; fi\nexec "{programs}/pip" "$@"\n'
        )
        (programs / "python").chmod(0o755)
        self._stub(programs / "pip", "pip", {}, log)
        told = {"repository": "acme/rocket", "token": "secret-token", **github}
        told.setdefault("event", {}).setdefault("repository", {"default_branch": "main"})
        contexts = {"github": told, "inputs": inputs, "vars": self.vars, "secrets": self.secrets}
        played = Played()
        for job, of_job in _workflow(name)["jobs"].items():
            if "if" in of_job and not _value(of_job["if"], contexts):
                continue
            played.jobs.append(job)
            played.failed |= self._job(self.folder / job, of_job, contexts, played)
        for line in log.read_text().splitlines():
            program, arguments, secrets = json.loads(line)
            played.calls.append([program, *arguments])
            played.secrets.append(set(secrets.values()))
        assert not list(self.folder.rglob("pwned"))
        return played

    def _stub(self, path: Path, name: str, says: dict[str, tuple[str, int]], log: Path) -> None:
        path.write_text(_STUB.format(python=sys.executable, log=str(log), name=name, says=says), "utf-8")
        path.chmod(0o755)

    def _job(self, work: Path, job: dict[str, Any], contexts: dict[str, Any], played: Played) -> bool:
        work.mkdir(exist_ok=True)
        steps: dict[str, Any] = {}
        for step in job["steps"]:
            known = {**contexts, "steps": steps}
            if "if" in step and not _value(step["if"], known):
                continue
            if "uses" in step:
                played.uses.append(step["uses"].split("@")[0])
                continue
            environment = {key: _filled(text, known) for key, text in step.get("env", {}).items()}
            told, summary = self.folder / "output", self.folder / "summary"
            for file in (told, summary):
                file.write_text("")
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=work,
                env={
                    "PATH": f"{self.folder / 'programs'}:/usr/bin:/bin", "GITHUB_OUTPUT": str(told), "LANG": "C.UTF-8",
                    "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/rocket",
                    "GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(self.folder), **environment,
                },
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            played.output += done.stdout + done.stderr
            played.summary += summary.read_text()
            outputs = dict(line.split("=", 1) for line in told.read_text().splitlines())
            steps[step.get("id", "")] = {"outputs": outputs}
            if done.returncode:
                return True
        return False


@pytest.fixture
def play(tmp_path: Path) -> Player:
    folder = tmp_path / "run"
    folder.mkdir()
    return Player(folder)


def _ended(
    event: str = "pull_request",
    branch: str = "topic",
    owner: str = "acme",
    sha: str = _SHA,
    name: str = "rocket",
) -> dict[str, Any]:
    """GitHub tells that a run of CI ended."""
    repository = {"full_name": f"{owner}/{name}", "owner": {"login": owner}} if owner else None
    run = {
        "event": event,
        "head_branch": branch,
        "head_sha": sha,
        "head_repository": repository,
        "pull_requests": [],
    }
    return {"event_name": "workflow_run", "event": {"workflow_run": run}}


_SCHEDULE = {"event_name": "schedule", "event": {}}
_DISPATCH = {"event_name": "workflow_dispatch", "event": {}}


def _push(sha: str = _SHA) -> dict[str, Any]:
    return {"event_name": "push", "event": {}, "sha": sha}


@pytest.mark.parametrize("github", [_SCHEDULE, _DISPATCH, _ended("push", "main"), _ended("schedule", "main")])
def test_the_report_is_made_and_kept(play: Player, github: dict[str, Any]) -> None:
    played = play(_REPORT, github)
    assert (played.jobs, played.failed) == (["report"], False)
    assert [one[:3] for one in played.calls] == [
        ["pip", "-m", "pip"], ["achievement-collector", "sync", "github"], ["achievement-collector", "ci", "report"],
    ]  # fmt: skip
    assert played.calls[0][-1] == play.vars["ACHIEVEMENT_COLLECTOR_PACKAGE"]
    assert played.calls[1][3:] == ["acme/rocket"]
    window = "--since=7d" if github["event_name"] == "workflow_run" else "--week=last"
    assert played.calls[2][3:] == ["--repo=github.com/acme/rocket", window, "--format=markdown"]
    assert played.summary == "# A week\n"
    assert played.uses == ["actions/checkout", "actions/setup-python", "actions/upload-artifact"]
    assert played.secrets == [set(), {"secret-database", "secret-token"}, {"secret-database"}]


@pytest.mark.parametrize(
    "github",
    [
        _ended("push", "topic"),
        _ended("push", "main", owner="mallory"),
        _ended("push", "main", owner="mallory", name="rocket"),
        _ended("workflow_dispatch", "topic"),
    ],
)
def test_other_branches_and_forks_start_no_report(play: Player, github: dict[str, Any]) -> None:
    played = play(_REPORT, github)
    assert (played.jobs, played.calls) == ([], [])


@pytest.mark.parametrize("owner", ["acme", "mallory"])
def test_a_pull_request_is_commented_on_by_its_head(play: Player, owner: str) -> None:
    played = play(_REPORT, _ended(owner=owner, branch="main" if owner == "mallory" else "topic"))
    assert (played.jobs, played.failed) == (["comment"], False)
    branch = "main" if owner == "mallory" else "topic"
    assert played.calls[-1] == [
        "achievement-collector", "ci", "comment", "--repo=acme/rocket", f"--sha={_SHA}", f"--head={owner}:{branch}",
    ]  # fmt: skip
    assert played.uses == ["actions/checkout", "actions/setup-python"]


@pytest.mark.parametrize("hostile", _HOSTILE)
def test_hostile_values_stay_values(play: Player, hostile: str) -> None:
    played = play(_REPORT, _ended(branch=hostile, owner="mallory"))
    assert not played.failed
    assert played.calls[-1][3:] == ["--repo=acme/rocket", f"--sha={_SHA}", f"--head=mallory:{hostile[:300]}"]
    for sha in (hostile, f"{_SHA}{hostile}"):
        played = play(_REPORT, _ended(sha=sha))
        assert not played.failed
        assert not played.of("achievement-collector", "ci")
    by_hand = play(_REPORT, _DISPATCH, **{"pull-request": hostile})
    assert by_hand.jobs == ["comment"]
    assert by_hand.failed
    assert not by_hand.of("achievement-collector", "ci")
    report = play(_REPORT, _DISPATCH, since=hostile)
    assert report.failed
    assert not report.of("achievement-collector", "ci")
    by_hand, by_merge = play(_NOTION, _DISPATCH, milestone=hostile), _detected(play, hostile)
    for milestone, told in ((by_hand, hostile[:200]), (by_merge, hostile)):
        assert not milestone.failed, milestone.output
        (synced,) = milestone.of("achievement-collector", "notion", "sync")
        assert synced[3:] == [f"--milestone={told}"]
    assert "::error::pwned" not in played.output


def _detected(play: Player, milestone: str) -> Played:
    play.merged = ("12\n", 0)
    told = {"milestone": "its title", "key": milestone, "is_on_roadmap": True}
    play.says["roadmap detect"] = (json.dumps(told), 0)
    return play(_NOTION, _push())


def test_by_hand_a_number_or_a_window_is_taken(play: Player) -> None:
    assert play(_REPORT, _DISPATCH, **{"pull-request": "12"}).calls[-1][3:] == [
        "--repo=acme/rocket",
        "--pr=12",
    ]
    for since in ("2026-03-31", "2026-03", "2026", "90d", "6m"):
        (call,) = play(_REPORT, _DISPATCH, since=since).of("achievement-collector", "ci", "report")
        assert call[3:] == ["--repo=github.com/acme/rocket", f"--since={since}", "--format=markdown"]


def test_a_repository_that_is_gone_is_no_failure(play: Player) -> None:
    played = play(_REPORT, _ended(owner=""))
    assert not played.failed
    assert (
        "::notice title=CI intelligence report::The repository that the run was for is gone" in played.output
    )


@pytest.mark.parametrize("name", _BOTH)
@pytest.mark.parametrize(
    "gone",
    ["ACHIEVEMENT_COLLECTOR_PACKAGE", "ACHIEVEMENT_COLLECTOR_DATABASE", "NOTION_API_KEY", "everything"],
)
def test_where_nothing_is_set_up_nothing_is_done_and_nothing_fails(
    play: Player, name: str, gone: str
) -> None:
    for known in (play.vars, play.secrets):
        known.pop(gone, None)
        if gone == "everything":
            known.clear()
    for github in (_SCHEDULE, _ended() if name == _REPORT else _push()):
        played = play(name, github)
        assert not played.failed
        assert played.jobs
        if name == _REPORT and gone == "NOTION_API_KEY":
            assert played.calls
            continue
        assert not played.calls
        assert not played.uses
        assert played.output.count("::notice title=") == 1
        assert (gone in played.output) or gone == "everything"


def test_what_fails_is_seen(play: Player) -> None:
    for command, github, name in (
        ("sync github", _SCHEDULE, _REPORT),
        ("ci report", _SCHEDULE, _REPORT),
        ("ci comment", _ended(), _REPORT),
        ("roadmap snapshot", _push(), _NOTION),
        ("notion sync", _push(), _NOTION),
    ):
        play.says = {command: ("", 2)}
        played = play(name, github)
        assert played.failed
        assert " ".join(played.calls[-1][1:3]) == command


def test_a_merge_syncs_the_milestone_of_its_pull_request(play: Player) -> None:
    played = _detected(play, "Stage 7.3")
    assert not played.failed, played.output
    assert [one[1:] for one in played.calls if one[0] == "achievement-collector"] == [
        ["sync", "github", "acme/rocket"],
        ["roadmap", "detect", "--pr=https://github.com/acme/rocket/pull/12", "--json"],
        ["roadmap", "snapshot"],
        ["notion", "sync", "--milestone=Stage 7.3"],
        ["notion", "two-way", "--full-sync"],
    ]
    assert played.secrets[-2] == {"secret-database", "secret-notion", "secret-roadmap"}
    assert played.secrets[-1] == {"secret-database", "secret-notion", "secret-roadmap", "secret-token"}


@pytest.mark.parametrize(
    ("merged", "detected"),
    [
        (("", 0), ("", 0)),  # pushed without a pull request
        (("", 1), ("", 0)),  # GitHub is in trouble
        (("not a number\n", 0), ("", 0)),
        (("12\n", 0), ('{"milestone": null, "key": null, "is_on_roadmap": false}', 0)),
        (
            ("12\n", 0),
            ('{"milestone": "Stage 9", "key": null, "is_on_roadmap": false}', 0),
        ),  # no one planned it
        (("12\n", 0), ("", 2)),
    ],
)
def test_without_a_milestone_none_is_made_up(
    play: Player, merged: tuple[str, int], detected: tuple[str, int]
) -> None:
    play.merged, play.says["roadmap detect"] = merged, detected
    played = play(_NOTION, _push())
    assert not played.failed, played.output
    assert played.of("achievement-collector", "notion", "sync") == [
        ["achievement-collector", "notion", "sync"]
    ]
    assert "Stage" not in played.output
    assert ("could not be told" in played.output) == (detected[1] == 2)


@pytest.mark.parametrize(
    ("mode", "called"),
    [
        ("everything", ["sync", "two-way --full-sync"]),
        ("reports and roadmap only", ["sync"]),
        ("two-way only", ["two-way --full-sync"]),
        ("two-way dry run", ["two-way --full-sync --dry-run"]),
    ],
)
def test_each_mode_does_what_it_says(play: Player, mode: str, called: list[str]) -> None:
    assert mode in _workflow(_NOTION)["on"]["workflow_dispatch"]["inputs"]["mode"]["options"]
    played = play(_NOTION, _DISPATCH, mode=mode)
    assert [" ".join(one[2:]) for one in played.of("achievement-collector", "notion")] == called


@pytest.mark.parametrize(("status", "failed"), [(0, False), (2, False), (3, True), (1, True)])
def test_conflicts_are_a_warning_and_failures_fail(play: Player, status: int, failed: bool) -> None:
    play.says["notion two-way"] = ("", status)
    played = play(_NOTION, _SCHEDULE)
    assert played.failed is failed
    assert ("::warning title=Notion roadmap sync::Conflicts wait" in played.output) == (status == 2)


# --- the files ---------------------------------------------------------------------------------------


def test_all_are_written_and_each_alone(run: Run, repository: Repository) -> None:
    repository.commit("begin", {"src/a.py": "1\n"})
    folder = repository.path / ".github" / "workflows"
    one = run("ci", "workflow", repository.path, "--only", _NOTION)
    assert one.returncode == 0, one.stderr
    assert [path.name for path in folder.iterdir()] == [f"{_NOTION}.yml"]
    for _ in range(2):  # the same again
        done = run("ci", "workflow", repository.path)
        assert done.returncode == 0, done.stderr
        assert sorted(path.stem for path in folder.iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert (folder / f"{name}.yml").read_text("utf-8") == workflow_file(name=name)
        assert run(
            "ci", "workflow", "--only", name, "--print", folder=repository.path
        ).stdout == workflow_file(name=name)
    unknown = run("ci", "workflow", repository.path, "--only", "../../evil")
    assert unknown.returncode == 2
    assert "these are: achievement-tracker" in unknown.stderr


def test_where_one_cannot_be_written_none_is(repository: Repository) -> None:
    repository.commit()
    path = repository.write(f".github/workflows/{_NOTION}.yml", "mine\n")
    with pytest.raises(CollectorError, match="is there already"):
        write_workflows(repository.path, force=False)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert len(write_workflows(repository.path, force=True)) == 3
    assert path.read_text("utf-8") == workflow_file(name=_NOTION)


@pytest.mark.parametrize("branch", ["trunk/v2", "a+b!]#\"q'", "größe"])
def test_the_default_branch_is_the_repositorys(tmp_path: Path, branch: str) -> None:
    repository = Repository(tmp_path / "project", branch=branch)
    repository.commit()
    written = write_workflow(repository.path, force=False, name=_NOTION).read_text("utf-8")
    (pattern,) = YAML(typ="safe", pure=True).load(written)["on"]["push"]["branches"]
    assert re.sub(r"\\(.)", r"\1", pattern) == branch


def test_the_repositorys_workflows_are_watched(repository: Repository) -> None:
    repository.commit()
    for file, text in {
        "a.yml": "name: Build # of all\non: push\n",
        "b.yaml": "on: push\nname: 'Tests: \"unit\"'\r\n",
        "c.yml": 'name: "Größe"\n',
        "d.yml": "on: push\njobs:\n  x:\n    name: inner\n",
        "e.yml": "name: ${{ secrets.X }}\n",
        "f.yml": "name: *alias\n",
        "fa.yml": "env: &e {A: &alias Of an anchor}\nname: *alias\n",
        "g.yml": "name: Notion roadmap sync\n",
        "h.txt": "name: text\n",
        "i.yml": b"name: \xff\xfe\n".decode("latin-1"),
        "j.yml": 'name: "a\\u0024 \\"b\\""\n',
        "m.yml": "name: >-\n  Folded\n  name\non: push\n",
        "n.yml": "name: |\n  Literal\non: push\n",
        "o.yml": "name: 2026\n'on': push\n",
        "p.yml": "name:\non: push\n",
        "q.yml": "name: [a]\n",
        "r.yml": "- name: a\n",
        "s.yml": 'name: "a\\eb"\n',
        "t.yml": "name: a\njobs: [\n",
        "u.yml": "#" * 1_000_001,
    }.items():
        repository.write(f".github/workflows/{file}", text)
    (repository.path / ".github/workflows/k.yml").symlink_to("/etc/hostname")
    (repository.path / ".github/workflows/l.yml").mkdir()
    expected = (
        ".github/workflows/d.yml", ".github/workflows/p.yml", "2026", "Build", "Folded name", "Größe", "Literal", "Of an anchor",
        'Tests: "unit"', 'a$ "b"', "achievement tracker", "ÿþ",
    )  # fmt: skip
    found = watched_workflows(repository.path)
    assert found.names == expected
    assert [one.removeprefix(".github/workflows/").split(" is not watched: ") for one in found.left_out] == [
        ["e.yml", "its name holds an expression"],
        ["f.yml", "it is no YAML (line 1)"],
        ["k.yml", "it is no regular file"],
        ["q.yml", "its name is no text"],
        ["r.yml", "it is no workflow"],
        ["s.yml", "its name holds characters that cannot be shown"],
        ["t.yml", "it is no YAML (line 3)"],
        ["u.yml", "it has more than 1,000,000 bytes"],
    ]
    written = write_workflow(repository.path, force=False, name=_REPORT).read_text("utf-8")
    assert YAML(typ="safe", pure=True).load(written)["on"]["workflow_run"]["workflows"] == list(expected)
    assert write_workflow(repository.path, force=False, name=_REPORT).read_text("utf-8") == written


def test_workflows_that_are_not_watched_are_told(run: Run, repository: Repository) -> None:
    """They were left out without a word, and their end never started the report."""
    repository.commit()
    repository.write(".github/workflows/broken\x1b[2J.yml", "name: [\n")
    for number in range(60):
        repository.write(f".github/workflows/{number}.yml", f"name: Build {number:02}\n")
    for arguments in (["--print"], ["--print", "--only", _REPORT], []):
        done = run("ci", "workflow", repository.path, *arguments)
        assert done.returncode == 0, done.stderr
        broken, many = done.stderr.splitlines()
        assert broken.endswith(".yml is not watched: it is no YAML (line 2)")
        assert "\x1b" not in broken
        assert many.startswith("not watched, since 50 workflows are at most: Build 50, Build 51")
    assert run("ci", "workflow", repository.path, "--only", _NOTION, "--print").stderr == ""


# --- the page ----------------------------------------------------------------------------------------


def test_the_pages_name_only_commands_that_the_workflows_and_the_manual_have() -> None:
    manual = (Path(__file__).parent.parent / "docs" / "pr-comments.md").read_text("utf-8")
    for name in NAMES:
        assert f"`{name}.yml`" in manual
    for secret in ("ACHIEVEMENT_COLLECTOR_DATABASE", "ACHIEVEMENT_COLLECTOR_PACKAGE", "NOTION_API_KEY"):
        assert secret in manual
        assert any(secret in workflow_file(name=name) for name in _BOTH)


def _documented(page: str) -> list[str]:
    """The commands of these groups in a page, as they are written there."""
    text = (Path(__file__).parent.parent / "docs" / page).read_text("utf-8")
    written = re.findall(r"`([^`\n]+)`", text) + re.findall(
        r"^\$ achievement-collector (.*)$", text, re.MULTILINE
    )
    groups = {"ci", "report", "roadmap", "notion", "sync"}
    return [one.partition(" #")[0] for one in written if one.split()[0] in groups and len(one.split()) > 1]


@pytest.mark.parametrize("page", ["commands-of-the-original.md", "pr-comments.md"])
def test_the_commands_of_the_pages_exist_with_their_options(page: str) -> None:
    app, syncing = typer.Typer(), typer.Typer()
    ci.add_to(app)
    report.add_to(app)
    roadmap.add_to(app)
    notion.add_to(app, two_way.two_way)
    two_way.add_conflicts_to(syncing)
    syncing.command("github")(lambda: None)
    app.add_typer(syncing, name="sync")
    documented = _documented(page)
    assert len(documented) > 5
    for written in documented:
        words = written.split()
        command: Any = typer.main.get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), written
        options = {name for one in command.params for name in one.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options, written
