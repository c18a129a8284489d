"""Settings: flags, then the environment, then the file, then defaults; every mistake is named, no secret is shown."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector import config
from achievement_collector.cli import config as config_commands
from achievement_collector.config import HIDDEN, InForce, Settings, explain_settings, load_settings
from achievement_collector.configuration_file import known_keys, read_configuration
from achievement_collector.derive import ci_comparison
from achievement_collector.errors import ConfigurationError
from achievement_collector.present.personas import personas

_ROOT = Path(__file__).parent.parent
_MANUAL = (_ROOT / "docs" / "configuration.md").read_text("utf-8")
_SECRETS = {
    "linear_api_key": "LINEAR_API_KEY",
    "linear_oauth_token": "LINEAR_OAUTH_TOKEN",
    "linear_webhook_secret": "LINEAR_WEBHOOK_SECRET",
    "github_token": "GITHUB_TOKEN",
    "github_webhook_secret": "GITHUB_WEBHOOK_SECRET",
    "deployments_webhook_secret": "DEPLOYMENTS_WEBHOOK_SECRET",
    "api_token": "ACHIEVEMENT_COLLECTOR_TOKEN",
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current folder, in which no setting is given."""
    for name in (*config.settings_variables(), config.FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(here: Path) -> Callable[[str], Path]:
    """Writes the configuration file of the current folder."""

    def write_file(text: str | bytes) -> Path:
        path = here / "achievement-tracker.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def command(*arguments: object, **environment: str) -> Result:
    app = typer.Typer()
    config_commands.add_to(app)
    return CliRunner(env={"COLUMNS": "200", **environment}).invoke(app, ["config", *map(str, arguments)])


def in_force(key: str, **environment: str) -> InForce:
    return next(one for one in explain_settings(environment=environment) if one.key == key)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={}, file=path)
    return str(caught.value)


# --- where settings come from


def test_a_flag_wins_over_the_environment_and_that_over_the_default(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "by-environment.db"}
    assert load_settings("by-flag.db", given).database == "by-flag.db"
    assert load_settings(None, given).database == "by-environment.db"
    assert load_settings(None, {}).database.endswith("achievement-collector/ledger.db")
    assert explain_settings("by-flag.db", given)[0] == ("DATABASE_URL", "by-flag.db", "flag --db")
    assert in_force("DATABASE_URL", **given).origin == "environment DATABASE_URL"
    assert in_force("DATABASE_URL").origin == "default"


def test_the_file_wins_over_the_default_and_is_named_with_the_line(write: Callable[[str], Path]) -> None:
    write("# ours\ntracking:\n  pr_tracking:\n    require_epic_link: yes\n    min_changes: 12\n")
    settings = load_settings(environment={"MIN_LINES_FOR_ACHIEVEMENT": "7"})
    assert (settings.min_changes, settings.require_epic_link, settings.min_lines) == (12, True, 7)
    assert in_force("tracking.pr_tracking.min_changes").origin == "file achievement-tracker.yaml:5"
    assert in_force("tracking.pr_tracking.enabled") == ("tracking.pr_tracking.enabled", True, "default")


def test_but_for_those_of_prometheus_each_setting_is_given_by_one_variable_or_one_key() -> None:
    sources = [one.metadata["from"] for one in fields(Settings)]
    both = {one.variable for one in sources if one.variable and one.key}
    assert both == {"PROMETHEUS_URL", "SCRAPE_INTERVAL_HOURS"}
    assert all(one.variable or one.key for one in sources)
    assert sorted(one.key for one in sources if one.key) == sorted(known_keys())


def test_the_file_is_the_one_named_else_in_this_folder_else_in_the_users(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    def hours(**environment: str) -> int:
        return load_settings(environment=environment).scrape_interval_hours

    text = "tracking: {{prometheus: {{scrape_interval_hours: {}}}}}"
    assert hours() == 24
    users = tmp_path / "home" / "xdg_config_home" / "achievement-collector" / "achievement-tracker.yaml"
    users.parent.mkdir(parents=True)
    users.write_text(text.format(1))
    assert hours() == 1
    write(text.format(2))
    assert hours() == 2
    named = tmp_path / "named.yaml"
    named.write_text(text.format(3))
    assert hours(ACHIEVEMENT_TRACKER_CONFIG=str(named)) == 3
    assert hours(ACHIEVEMENT_TRACKER_CONFIG="") == 2
    assert load_settings(environment={}, file=named).scrape_interval_hours == 3


def test_a_named_file_that_is_missing_is_an_error(here: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ACHIEVEMENT_TRACKER_CONFIG names nowhere\.yaml"):
        load_settings(environment={"ACHIEVEMENT_TRACKER_CONFIG": "nowhere.yaml"})
    assert "cannot be read: No such file" in refusal(here / "nowhere.yaml")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "tracking:\n", "tracking: {prometheus: {url: }}"]
)
def test_what_has_no_value_is_not_given(write: Callable[[str], Path], text: str) -> None:
    defaults = load_settings(environment={})
    write(text)
    assert load_settings(environment={}) == defaults
    assert {one.origin for one in explain_settings(environment={})} == {"default"}


def test_every_key_reaches_its_setting(write: Callable[[str], Path]) -> None:
    write(
        "tracking:\n"
        "  epic_integration: {enabled: false, source: initiative, keys: {2024: E1, 'Old: name': '5.10'}}\n"
        "  pr_tracking: {enabled: no, min_changes: 3, require_epic_link: true}\n"
        "  ci_integration: {enabled: off, metrics: [tests]}\n"
        "  prometheus: {enabled: true, url: 'http://localhost:9090/', scrape_interval_hours: 6}\n"
        "aggregation: {window_seconds: 0.5}\n"
        "epic_completion: {require_all_prs_merged: false, require_ci_success: false, auto_finalize: false}\n"
        "ai_enhancement: {enabled: true, personas: [investor, technical]}\n"
    )
    found = load_settings(environment={})
    assert found.epic_keys == {"2024": "E1", "Old: name": "5.10"}
    expected: dict[str, Any] = {
        "epics_enabled": False, "epic_source": "initiative", "pr_tracking_enabled": False, "min_changes": 3,
        "require_epic_link": True, "ci_enabled": False, "ci_metrics": ("tests",), "prometheus_enabled": True,
        "prometheus_url": "http://localhost:9090", "scrape_interval_hours": 6, "aggregation_seconds": 0.5,
        "require_all_prs_merged": False, "require_ci_success": False, "auto_finalize": False, "ai_enabled": True,
        "personas": ("investor", "technical"),
    }  # fmt: skip
    assert {name: getattr(found, name) for name in expected} == expected
    assert hash(found)


def test_the_names_that_may_stand_in_lists_are_those_the_program_has() -> None:
    assert set(config.PERSONAS) == set(personas())
    assert set(config.CI_METRICS) == set(ci_comparison._READERS)


# --- the environment


def test_every_variable_reaches_its_setting(tmp_path: Path) -> None:
    found = load_settings(
        environment={
            "GIT_REPO_PATH": "project",
            "ENABLE_GIT_TRACKING": "Off",
            "ACHIEVEMENT_RULES": str(tmp_path),
            "LINEAR_CHECK_INTERVAL": " 5 ",
            "LINEAR_WEBHOOK_WINDOW": "30",
            "LINEAR_API_URL": "http://127.0.0.1:8080/graphql",
            "GITHUB_API_URL": "https://github.example/api/v3/",
            "GITHUB_REPOSITORIES": " acme/rocket, acme/engine.js ,ACME/Rocket,",
            "GITHUB_CHECK_INTERVAL": "60",
        }
        | {name: f"{name}-value\n" for name in _SECRETS.values()}
    )
    assert {name: getattr(found, name) for name in _SECRETS} == {
        field: f"{name}-value" for field, name in _SECRETS.items()
    }
    expected: dict[str, Any] = {
        "repository": "project", "enable_git_tracking": False, "rules": tmp_path, "linear_check_interval": 5,
        "linear_webhook_window": 30, "linear_api_url": "http://127.0.0.1:8080/graphql",
        "github_api_url": "https://github.example/api/v3", "github_repositories": ("acme/rocket", "acme/engine.js"),
        "github_check_interval": 60,
    }  # fmt: skip
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_variable_counts_as_not_set(empty: str) -> None:
    given = dict.fromkeys((*config.settings_variables(), config.FILE_VARIABLE), empty)
    assert load_settings(environment=given) == load_settings(environment={})
    assert load_settings(environment=given).api_token is None


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "TRUE", "Yes"])
def test_words_for_true(text: str) -> None:
    assert load_settings(environment={"ENABLE_GIT_TRACKING": text}).enable_git_tracking is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off", "FALSE", "No"])
def test_words_for_false(text: str) -> None:
    assert load_settings(environment={"ENABLE_GIT_TRACKING": text}).enable_git_tracking is False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ENABLE_GIT_TRACKING", "maybe"),
        ("ENABLE_GIT_TRACKING", "2"),
        ("MIN_LINES_FOR_ACHIEVEMENT", "-1"),
        ("MIN_LINES_FOR_ACHIEVEMENT", "1.5"),
        ("MIN_LINES_FOR_ACHIEVEMENT", "٣"),
        ("MIN_LINES_FOR_ACHIEVEMENT", "9" * 5000),
        ("LINEAR_CHECK_INTERVAL", "0"),
        ("GITHUB_CHECK_INTERVAL", "15m"),
        ("LINEAR_WEBHOOK_WINDOW", "99999999"),
        ("LINEAR_API_URL", "api.linear.app"),
        ("GITHUB_API_URL", "file:///etc/passwd"),
        ("GITHUB_API_URL", "https://[::1"),
        ("GITHUB_API_URL", "https://host:port/"),
        ("GITHUB_REPOSITORIES", "acme"),
        ("GITHUB_REPOSITORIES", "acme/.."),
        ("GITHUB_REPOSITORIES", "acme/rocket acme/engine"),
        ("GITHUB_REPOSITORIES", "https://github.com/acme/rocket"),
        ("GITHUB_TOKEN", "two words"),
        ("LINEAR_API_KEY", "schlüssel"),
        ("ACHIEVEMENT_COLLECTOR_TOKEN", "a\nb"),
        ("ACHIEVEMENT_RULES", "no-such-folder"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_variable(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} must ") as caught:
        load_settings(environment={name: text})
    assert len(str(caught.value)) < 250


# --- mistakes in the file


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("tracking:\n  pr_tracking:\n    min_changes: many\n", 3, "tracking.pr_tracking.min_changes must be a whole number, not 'many'"),
        ("tracking:\n  pr_tracking:\n    min_changes: '3'\n", 3, "must be a whole number, not '3'"),
        ("tracking: {pr_tracking: {\n  min_changes: -1}}", 2, "must be at least 0, not '-1'"),
        ("\n\nepic_completion:\n  auto_finalize: 1\n", 4, "epic_completion.auto_finalize must be true or false, not '1'"),
        ("aggregation:\n  window_seconds: .inf\n", 2, "aggregation.window_seconds must be"),
        ("aggregation:\n  window_seconds: true\n", 2, "must be a number"),
        ("aggregation: 5", 1, "aggregation must hold keys: window_seconds"),
        ("tracking:\n  ci_integration:\n    metrics:\n      - tests\n      - speed\n", 5, "tracking.ci_integration.metrics (item 2) must be one of coverage, tests, benchmarks, findings, build_time, not 'speed'"),
        ("tracking:\n  ci_integration:\n    metrics: tests\n", 3, "must be a list"),
        ("tracking: {epic_integration: {source: epics}}", 1, "must be one of project, issue, initiative"),
        ("tracking:\n  epic_integration:\n    keys:\n      A: E1\n      B: 5.10\n", 5, "keys.B must be text (put it in quotes), not '5.10'"),
        ("tracking:\n  epic_integration:\n    keys:\n      A: two words\n", 4, "keys.A must be one word"),
        ("tracking:\n  epic_integration:\n    keys: {Search: E1, search: E2}\n", 3, "has both 'Search' and 'search'"),
        ("tracking:\n  prometheus:\n    kpis:\n      - name: a\n        direction: up\n", 5, "kpis (item 1).direction must be one of higher, lower"),
        ("tracking:\n  prometheus:\n    kpis:\n      - name: a\n", 4, "tracking.prometheus.kpis (item 1).direction is not given"),
        ("tracking:\n  prometheus:\n    kpis:\n      - {name: a, direction: lower, traget: 1}\n", 4, "(did you mean target?)"),
        ("tracking:\n  prometheus:\n    kpis: [{name: a, direction: lower}, {name: a, direction: lower}]\n", 3, "has 'a' twice"),
        ("tracking:\n  prometheus:\n    kpis: [{name: a, direction: lower, target: .nan}]\n", 3, "must be a number"),
        ("tracking:\n  experiments: [{name: a}]\n", 2, "experiments (item 1).metric is not given"),
        ("ai_enhancement:\n  personas: []\n", 2, "must not be empty"),
        ("ai_enhancement:\n  personas: [tech-lead]\n", 2, "must be one of"),
        ("- tracking\n", 1, "must begin with a key"),
        ("# only text\nhello\n", 2, "must begin with a key"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_key(
    write: Callable[[str], Path], text: str, line: int, told: str
) -> None:
    path = write(text)
    message = refusal(path)
    assert message.startswith(f"{path}, line {line}: ")
    assert told in message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("traking: {}", "did you mean tracking?"),
        ("tracking:\n  pr-tracking: {}", "did you mean pr_tracking?"),
        ("tracking: {epic_integration: {sorce: issue}}", "did you mean source?"),
        ("min_changes: 3", "did you mean tracking.pr_tracking.min_changes?"),
        ("github_token: ghp_x", "did you mean the environment variable GITHUB_TOKEN?"),
        (
            "epic_completion: {zebra: 1}",
            "known here: require_all_prs_merged, require_ci_success, auto_finalize",
        ),
        ("<<: {}", "known here: tracking, roadmap, aggregation, epic_completion, ai_enhancement"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(
    write: Callable[[str], Path], text: str, hint: str
) -> None:
    message = refusal(write(text))
    assert "is not a key of this file" in message
    assert hint in message
    assert "ghp_x" not in message


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("aggregation: {}\ntracking: {}\naggregation: {}\n", 3, "aggregation"),
        ("tracking:\n  pr_tracking:\n    min_changes: 1\n    'min_changes': 2\n", 4, "tracking.pr_tracking.min_changes"),
        ("tracking: {epic_integration: {keys: {A: E1,\n A: E2}}}", 2, "tracking.epic_integration.keys.A"),
    ],
)  # fmt: skip
def test_a_key_that_stands_twice_is_refused(
    write: Callable[[str], Path], text: str, line: int, key: str
) -> None:
    message = refusal(write(text))
    assert f"line {line}: {key} stands here again; it is in line" in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tracking:\n\tpr_tracking: {}\n", 2),
        ("tracking: {}\naggregation: {\n", 3),
        ("tracking: {}\n  aggregation: {}\n", 2),
        ("tracking: 'open\n", 2),
        ("a: {}\n? [b]\n: 1\n", 2),
        ("a: !thing {}\n", 1),
        ("a: 1\nb: !!python/object/apply:os.getcwd []\n", 2),
        ("a: 1\nb: !!int one\n", 2),
        ("%YAML 9.0\n---\na: 1\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        (b"a: 1\nb: \xff\n", 2),
        (b"a: 1\nb: 2\nc: \x07\n", 3),
        ("a: 1\nb: &x [1]\nc: *x\n", 3),
        ("[" * 100_000, 1),
        ("- " * 100_000, 1),
        ("tracking: {pr_tracking: {min_changes: " + "9" * 5000 + "}}", 1),
    ],
)
def test_text_that_is_no_plain_yaml_is_named_with_its_line(
    write: Callable[[str | bytes], Path], text: str | bytes, line: int
) -> None:
    path = write(text)
    message = refusal(path)
    assert message.startswith(f"{path}, line {line}: ")
    assert len(message) < 500


def test_a_file_of_references_to_references_is_refused_at_the_first(write: Callable[[str], Path]) -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert "line 2: references such as *name are not followed" in refusal(write(text))


def test_a_file_that_is_too_large_is_refused(write: Callable[[str], Path]) -> None:
    assert "larger than 256 KiB" in refusal(write("# " + "x" * 300_000))


def test_all_mistakes_are_told_in_the_order_of_their_lines(write: Callable[[str], Path]) -> None:
    path = write("ai_enhancement:\n  enabled: 7\ntracking:\n  ci_integration: 1\nzebra: 1\n")
    told = refusal(path).split(";\n")
    assert [re.search(r", line (\d+): ", one)[1] for one in told] == ["2", "4", "5"]  # type: ignore[index]


def test_of_a_great_many_mistakes_the_first_are_told(write: Callable[[str], Path]) -> None:
    told = refusal(write("".join(f"z{at}: 1\n" for at in range(1000)))).split(";\n")
    assert len(told) == 21
    assert told[-1].endswith("line 21: this and 979 more mistakes follow")


@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(["tracking", ":", " ", "\n", "{", "}", "[", "]", "- ", "keys", "&a", "*a", "!!int", "'", "1", ",", "?", "<<"]),
            max_size=25,
        ).map("".join),
    )
)  # fmt: skip
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None
)
def test_whatever_stands_in_the_file_is_read_or_refused(write: Callable[..., Path], text: str) -> None:
    path = write(text.encode("utf-8", "replace"))
    message = ""
    try:
        read_configuration(path)
    except ConfigurationError as error:
        message = str(error)
    assert not message or message.startswith(f"{path}, line ")


# --- what needs what


def _without_yaml() -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.modules['yaml'] = None\n"
        "from achievement_collector.config import load_settings\n"
        "from achievement_collector.errors import ConfigurationError\n"
        "try:\n    print(load_settings().min_changes)\n"
        "except ConfigurationError as error:\n    sys.exit(str(error))\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_the_extra_a_file_says_what_to_install_and_no_file_needs_nothing(
    write: Callable[[str], Path],
) -> None:
    assert _without_yaml().stdout == "0\n"
    write("tracking: {}")
    told = _without_yaml()
    assert told.returncode == 1
    assert told.stderr == (
        "achievement-tracker.yaml cannot be read without yaml; install 'achievement-collector[server]'\n"
    )


def test_help_and_settings_without_a_file_import_no_yaml(write: Callable[[str], Path]) -> None:
    code = (
        "import sys, typer\nfrom achievement_collector.cli import config\n"
        "app = typer.Typer()\nconfig.add_to(app)\nsys.argv = ['x', *sys.argv[1:]]\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\nprint('yaml' in sys.modules)"
    )
    for arguments, is_imported in ((["config", "show"], False), (["config", "--help"], False)):
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert result.stdout.strip().endswith(str(is_imported))
    write("tracking: {}")
    result = subprocess.run([sys.executable, "-c", code, "config", "show"], capture_output=True, text=True)
    assert result.stdout.strip().endswith("True")


# --- secrets


def _all_secrets() -> dict[str, str]:
    given = {name: f"hushhush-{name.lower()}" for name in _SECRETS.values()}
    return given | {
        "DATABASE_URL": "postgresql://user:hush@hush/hush@db.example:5432/ledger?sslmode=require&password=hush",
        "GITHUB_API_URL": "https://hush:hush@github.example",
        "LINEAR_API_URL": "https://hush@linear.example/graphql?api_key=hush",
    }


def test_no_secret_is_shown_by_the_table_the_json_or_the_repr(write: Callable[[str], Path]) -> None:
    write("tracking: {prometheus: {enabled: true, url: 'https://hush:hush@prometheus.example'}}")
    given = _all_secrets()
    table, data = command("show", **given), command("show", "--json", **given)
    assert table.exit_code == data.exit_code == 0
    for text in (table.stdout, data.stdout, repr(load_settings(environment=given))):
        assert "hush" not in text
    for told in ("***@db.example:5432/ledger", "sslmode=require", "***@prometheus.example"):
        assert told in table.stdout
    shown = {one["key"]: one["value"] for one in json.loads(data.stdout)["settings"]}
    assert [shown[name] for name in _SECRETS.values()] == [HIDDEN] * len(_SECRETS)
    assert load_settings(environment=given).api_token == given["ACHIEVEMENT_COLLECTOR_TOKEN"]


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in _SECRETS.values() if not name.endswith("_SECRET")),  # those may be any text
        "GITHUB_API_URL",
        "LINEAR_API_URL",
    ],
)
def test_no_error_holds_a_secret(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={name: "ftp://hush hush	ü"})
    assert "hush" not in str(caught.value)


def test_no_error_about_the_file_holds_an_address_or_what_stands_under_an_unknown_key(
    write: Callable[[str], Path],
) -> None:
    for text in (
        "tracking: {prometheus: {url: 'ftp://user:hush@host'}}",
        "tracking: {prometheus: {url: ['http://user:hush@host']}}",
        "api_token: hush",
        "token: 'hush\nmore: hush",
    ):
        assert "hush" not in refusal(write(text))


# --- the commands


def test_show_tells_key_value_and_origin_of_every_setting(write: Callable[[str], Path]) -> None:
    write("tracking:\n  epic_integration:\n    keys: {Search: E5.1, '[red]Bill[/red]': E7}\n")
    given = {"LINEAR_API_KEY": "lin_x", "ENABLE_GIT_TRACKING": "no"}
    lines = {line.split()[0]: line for line in command("show", "--db", "x.db", **given).stdout.splitlines()}
    assert {one.key for one in explain_settings()} <= set(lines)
    assert re.search(r"x\.db\s+flag --db", lines["DATABASE_URL"])
    assert re.search(r"set \(hidden\)\s+environment LINEAR_API_KEY", lines["LINEAR_API_KEY"])
    assert re.search(r"false\s+environment ENABLE_GIT_TRACKING", lines["ENABLE_GIT_TRACKING"])
    assert re.search(r"–\s+default", lines["GITHUB_TOKEN"])
    assert re.search(
        r"Search = E5\.1, \[red\]Bill\[/red\] = E7\s+file achievement-tracker\.yaml:3",
        lines["tracking.epic_integration.keys"],
    )
    data = json.loads(command("show", "--json", **given).stdout)
    assert data["file"] == "achievement-tracker.yaml"
    assert {"key": "tracking.prometheus.url", "value": None, "origin": "default"} in data["settings"]
    assert [one["key"] for one in data["settings"]] == [one.key for one in explain_settings()]


def test_prometheus_is_asked_where_its_address_is_known(write: Callable[[str], Path]) -> None:
    assert not load_settings(environment={}).has_prometheus
    known = {"PROMETHEUS_URL": "http://127.0.0.1:9090", "SCRAPE_INTERVAL_HOURS": "6"}
    assert load_settings(environment=known).has_prometheus
    assert load_settings(environment=known).scrape_interval_hours == 6
    write("tracking: {prometheus: {enabled: true}}")
    assert load_settings(environment=known).has_prometheus
    with pytest.raises(ConfigurationError, match="neither its url nor PROMETHEUS_URL"):
        load_settings(environment={})
    write("tracking: {prometheus: {enabled: false, scrape_interval_hours: 12}}")
    assert not load_settings(environment=known).has_prometheus
    assert load_settings(environment={}).scrape_interval_hours == 12


def test_kpis_and_experiments_of_the_file_take_the_place_of_the_defaults(
    write: Callable[[str], Path],
) -> None:
    assert [one.target for one in load_settings(environment={}).kpis[:6]] == [
        0.06,
        20_000,
        0.01,
        2.0,
        100,
        0.5,
    ]
    write(
        "tracking:\n  prometheus:\n    kpis:\n"
        "      - {name: nps, direction: higher, target: 40, metric: user_satisfaction_increase}\n"
        "  experiments:\n    - {name: ranking, metric: ndcg, direction: higher}\n"
    )
    settings = load_settings(environment={})
    (kpi,) = settings.kpis
    assert (kpi.name, kpi.target, kpi.query, kpi.metric) == ("nps", 40.0, "", "user_satisfaction_increase")
    assert settings.experiments == (config.Experiment("ranking", "ndcg", config.Direction.HIGHER, 0.01),)
    assert in_force("tracking.prometheus.kpis").value == ["nps"]


def test_check_is_0_for_what_is_right(write: Callable[[str], Path]) -> None:
    none = command("check")
    assert none.exit_code == 0
    assert "there is no file" in none.stdout
    path = write("tracking: {}")
    assert command("check").stdout == "achievement-tracker.yaml is right\n"
    assert command("check", path, GITHUB_CHECK_INTERVAL="often").exit_code == 0


def test_check_is_2_with_a_line_for_each_mistake(write: Callable[[str], Path], tmp_path: Path) -> None:
    assert command("check", GITHUB_CHECK_INTERVAL="often").exit_code == 2
    path = write("aggregation: {window_seconds: soon}\nzebra: 1\n")
    for result in (command("check"), command("check", path)):
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 2
        assert result.stdout == ""
    assert command("check", tmp_path / "nowhere.yaml").exit_code == 2
    assert command("check", tmp_path).exit_code == 2
    assert command("check", ACHIEVEMENT_TRACKER_CONFIG="nowhere").exit_code == 2


# --- the manual


def _example() -> str:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", _MANUAL, re.DOTALL | re.MULTILINE)
    return str(example)


def test_the_example_of_the_manual_is_right_and_holds_every_key(write: Callable[[str], Path]) -> None:
    path = write(_example())
    assert set(read_configuration(path)) == set(known_keys())
    assert load_settings(environment={}).epic_keys["Billing"] == "E7"


def test_the_manual_tells_every_key_and_variable_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)`(?:, `\w+`)? \|.* \| ([^|]*) \|$", _MANUAL, re.MULTILINE))
    told = {one.metadata["from"].key or one.metadata["from"].variable: one.name for one in fields(Settings)}
    assert set(rows) == {*told, config.FILE_VARIABLE}
    defaults = Settings(database="`ledger.db` in the user's data folder")
    for name, field in told.items():
        value = getattr(defaults, field)
        if field == "rules":
            assert rows[name] == "`rules` in the configuration folder, else none"
        elif field in ("kpis", "prometheus_enabled"):
            assert rows[name] in ("nine, see [KPIs](kpis.md)", "where its address is given")
        elif value in (None, (), {}):
            assert rows[name].split(":")[0] == "none"
        else:
            assert rows[name] == config_commands._in_words(list(value) if isinstance(value, tuple) else value)


def test_every_setting_is_documented_where_it_is_defined() -> None:
    module = ast.parse(Path(config.__file__).read_text("utf-8"))
    (body,) = [
        node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    documented = [
        (before.target.id, after.value.value)
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    ]
    assert [name for name, _ in documented] == [one.name for one in fields(Settings)]
    sources = {one.name: one.metadata["from"] for one in fields(Settings)}
    for name, text in documented:
        assert f"``{sources[name].variable or sources[name].key}``" in text
        assert "Default: " in text
