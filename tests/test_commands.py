"""The commands, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from achievement_collector.cli import main
from tests.git_repositories import BOB, Repository, lines

Run = Callable[..., Any]


@pytest.fixture
def scanned(run: Run, repository: Repository, tmp_path: Path) -> Path:
    """A ledger with a small record."""
    repository.commit(
        "feat: add the parser\n\nIt reads everything.\n\nFixes #4",
        {"src/parser.py": lines(90), "tests/test_parser.py": lines(40)},
    )
    repository.commit("fix: handle empty input", {"src/parser.py": lines(95)}, author=BOB)
    repository.commit("docs: explain it", {"docs/guide.md": lines(60)})
    repository.commit("tweak", {"x.txt": "x\n"})
    repository.tag("v1.0.0", "The first one.")
    ledger = tmp_path / "l.db"
    result = run("scan", repository.path, "--db", ledger)
    assert result.returncode == 0, result.stderr
    assert "Add the parser" in result.stdout
    assert str(ledger) in result.stdout
    return ledger


def listed(run: Run, ledger: Path, *arguments: str, **more: Any) -> list[str]:
    result = run("list", "--json", "--limit", "0", "--db", ledger, *arguments, **more)
    assert result.returncode == 0, result.stderr
    return [one["title"] for one in json.loads(result.stdout)]


def test_list_filters(run: Run, scanned: Path, repository: Repository) -> None:
    assert set(listed(run, scanned)) == {
        "Add the parser",
        "Handle empty input",
        "Explain it",
        "project release 1.0.0",
    }
    assert listed(run, scanned, "--category", "bugfix") == ["Handle empty input"]
    assert listed(run, scanned, "--kind", "release") == ["project release 1.0.0"]
    assert listed(run, scanned, "--person", "Bob") == ["Handle empty input"]
    assert "Add the parser" in listed(run, scanned, "--me", folder=repository.path)
    assert listed(run, scanned, "--text", "EXPLAIN") == ["Explain it"]
    assert listed(run, scanned, "--skill", "technical writing") == ["Explain it"]
    assert listed(run, scanned, "--since", "2023-11-16", "--until", "2023-11-16") == ["Handle empty input"]
    assert listed(run, scanned, "--min-impact", "100") == []
    assert "Add the parser" in listed(run, scanned, "--repo", "project")
    assert listed(run, scanned, "--left-out") == ["Tweak"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--category", "cooking"),
        ("list", "--since", "yesterday-ish"),
        ("list", "--person", "Zaphod"),
        ("list", "--repo", "elsewhere"),
        ("show", "zzzz"),
        ("show", "0123456789ab"),
        ("show", "%%%%"),
        ("edit", "0123456789ab", "--title", "x"),
        ("add", "   "),
        ("add", "Talk", "--link", "javascript:alert(1)", "--person", "Bob"),
        ("add", "Talk", "--date", "2999-01-01", "--person", "Bob"),
        ("add", "Talk", "--category", "cooking", "--person", "Bob"),
        ("export", "--format", "docx"),
        ("export", "--redact", "/nowhere.toml"),
    ],
)
def test_bad_input_is_one_sentence(run: Run, scanned: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--db", scanned)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("achievement-collector: ")
    assert len(result.stderr.strip().splitlines()) == 1


def test_show_tells_the_breakdown_and_how_to_verify_it(
    run: Run, scanned: Path, repository: Repository
) -> None:
    id = json.loads(run("list", "--json", "--text", "parser", "--db", scanned).stdout)[0]["id"]
    text = run("show", id[:6], "--db", scanned).stdout
    for told in (
        "Add the parser",
        "impact",
        "kind of work",
        "extent",
        "tests",
        "evidence",
        "git -C",
        "v1.0.0",
        "not measured",
        "#4",
        "Python",
    ):
        assert told in text
    data = json.loads(run("show", id, "--json", "--db", scanned).stdout)
    assert data["tags"] == ["v1.0.0"]
    command = data["verify"][0]
    assert command.endswith(data["commits"][0])


def test_show_fills_no_line_of_a_description_with_spaces(
    run: Run, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("feat: told\n\nIn two lines.\nOf words.", {"a.py": lines(60)})
    run("scan", repository.path, "--db", tmp_path / "l.db")
    (one,) = json.loads(run("list", "--json", "--db", tmp_path / "l.db").stdout)
    told = run("show", one["id"], "--db", tmp_path / "l.db").stdout.split("\n")
    assert max(len(line) for line in told) < 300
    assert any(line.strip() == "Of words." for line in told)


def test_stats(run: Run, scanned: Path) -> None:
    text = run("stats", "--db", scanned).stdout
    for told in ("2023-11", "feature", "Python", "█"):
        assert told in text
    assert json.loads(run("stats", "--json", "--db", scanned).stdout)["months"] == {"2023-11": 4}


def test_edits_survive_and_can_be_taken_back(run: Run, scanned: Path, repository: Repository) -> None:
    id = json.loads(run("list", "--json", "--text", "parser", "--db", scanned).stdout)[0]["id"]
    derived = json.loads(run("show", id, "--json", "--db", scanned).stdout)
    done = run(
        "edit",
        id,
        "--title",
        "The parser",
        "--impact",
        "97",
        "--value",
        "Saves a day a week",
        "--db",
        scanned,
    )
    assert done.returncode == 0, done.stderr

    def check() -> None:
        shown = json.loads(run("show", id, "--json", "--db", scanned).stdout)
        assert shown["title"] == "The parser"
        assert shown["impact"]["value"] == 97
        assert "the rules say" in shown["impact"]["parts"][0]["fact"]
        assert shown["business_value"]["kind"] == "stated"
        assert shown["edited"] == ["impact", "title", "value"]

    check()
    run("derive", "--all", "--db", scanned)
    check()
    repository.commit("feat: more", {"more.py": lines(80)})
    run("scan", repository.path, "--db", scanned)
    check()
    back = run("edit", id, "--reset", "title", "--reset", "impact", "--reset", "value", "--db", scanned)
    assert back.returncode == 0, back.stderr
    shown = json.loads(run("show", id, "--json", "--db", scanned).stdout)
    assert shown["title"] == derived["title"]
    assert shown["edited"] == []
    assert shown["business_value"]["kind"] == "not measured"


def test_hide_and_show_again(run: Run, scanned: Path) -> None:
    id = json.loads(run("list", "--json", "--text", "parser", "--db", scanned).stdout)[0]["id"]
    run("hide", id, "--db", scanned)
    assert "Add the parser" not in listed(run, scanned)
    assert "Add the parser" in listed(run, scanned, "--hidden")
    assert "Add the parser" not in run("export", "--db", scanned).stdout
    run("derive", "--db", scanned)
    assert "Add the parser" not in listed(run, scanned)
    run("edit", id, "--shown", "--db", scanned)
    assert "Add the parser" in listed(run, scanned)


def test_add_what_no_tool_saw(run: Run, scanned: Path, repository: Repository) -> None:
    done = run(
        "add", "Led the outage response", "--date", "2024-02-03", "--link", "https://example.dev/postmortem", "--skill", "Incident response",
        "--value", "Back in 40 minutes", "--db", scanned, folder=repository.path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    id = done.stdout.split(":")[0]
    shown = json.loads(run("show", id, "--json", "--db", scanned).stdout)
    assert shown["kind"] == "stated"
    assert shown["impact"] is None
    assert shown["people"][0]["name"] == "Alice Archer"
    assert shown["business_value"]["text"] == "Back in 40 minutes"
    assert "stated by Alice Archer" in shown["business_value"]["source"]
    run("derive", "--all", "--db", scanned)
    assert "Led the outage response" in listed(run, scanned, "--me", folder=repository.path)
    run("edit", id, "--title", "Led it", "--db", scanned)
    assert run("edit", id, "--reset", "title", "--db", scanned).returncode == 0
    assert "Led the outage response" in listed(run, scanned)


def test_doctor(run: Run, scanned: Path, repository: Repository, tmp_path: Path) -> None:
    healthy = run("doctor", "--db", scanned, folder=repository.path)
    assert healthy.returncode == 0, healthy.stdout
    for told in ("git", "ledger", "local/project", "Alice Archer", "hook install"):
        assert told in healthy.stdout
    new = run("doctor", "--json", "--db", tmp_path / "none.db")
    assert new.returncode == 0
    assert any("not made yet" in one["finding"] for one in json.loads(new.stdout))
    assert not (tmp_path / "none.db").exists()
    bad = tmp_path / "bad.db"
    bad.write_text("no database" * 100)
    assert run("doctor", "--db", bad).returncode == 1


def test_the_ledger_is_where_the_environment_says(run: Run, repository: Repository, tmp_path: Path) -> None:
    repository.commit("feat: one", {"a.py": lines(60)})
    result = run("scan", folder=repository.path, DATABASE_URL=f"sqlite:///{tmp_path}/by-environment.db")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "by-environment.db").stat().st_mode & 0o077 == 0  # it holds names and addresses
    default = run("scan", "--json", GIT_REPO_PATH=str(repository.path))
    assert json.loads(default.stdout)["ledger"].endswith("achievement-collector/ledger.db")


def test_a_ledger_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    result = run("list", "--db", tmp_path / "none.db")
    assert result.returncode == 2
    assert "achievement-collector scan" in result.stderr


def test_help_and_version(run: Run) -> None:
    told = run("--help").stdout
    names = _names()
    assert {"scan", "derive", "list", "show", "export", "people", "hook", "doctor", "serve"} <= names
    for name in names:
        result = run(name, "--help")
        assert result.returncode == 0
        assert f"Usage: achievement-collector {name}" in result.stdout
        assert f" {name} " in told
    assert run("--version").stdout.startswith("achievement-collector 0.")


def test_a_command_that_is_not_there_is_told_with_the_nearest(run: Run) -> None:
    result = run("lst")
    assert result.returncode == 2
    assert "No such command 'lst'" in result.stderr
    assert "list" in result.stderr


def test_only_what_is_asked_for_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    names = _names()
    everything = list(main.app.registered_commands), list(main.app.registered_groups)
    for name in names:
        monkeypatch.setattr(main.app, "registered_commands", everything[0])
        monkeypatch.setattr(main.app, "registered_groups", everything[1])
        main._leave_only(name)
        assert _names() == {name}
    for name in ("", "--help", "lst"):
        monkeypatch.setattr(main.app, "registered_commands", everything[0])
        monkeypatch.setattr(main.app, "registered_groups", everything[1])
        main._leave_only(name)
        assert _names() == names


def _names() -> set[str]:
    group = typer.main.get_command(main.app)
    return set(group.commands)  # type: ignore[attr-defined]


def test_the_years_of_the_time_line_are_told_once(run: Run, scanned: Path) -> None:
    told = run("stats", "--db", scanned).stdout
    assert "2023 … 2023" not in told
    assert "2023" in told
    assert "left out: 1, 0 of them by programs" in told


def test_a_letter_is_a_skill_only_as_a_label() -> None:
    from achievement_collector.derive.skills import named_skills

    for text in ("perf: c", "c", "R", "fix: V and D", "perf: C"):
        assert named_skills(text) == []
    assert [name for name, _ in named_skills("c", is_label=True)] == ["C"]
    assert [name for name, _ in named_skills("Rewrite it in Python")] == ["Python"]
