"""The category rule, and the bound that its benchmark must keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.categories import figures, judge
from benchmarks.typed_commits import from_folder

from achievement_collector.derive.categories import ChangeText, categorise, features_of
from achievement_collector.derive.category_model import RepositoryStyle, digits, packed
from achievement_collector.derive.conclusions import Category
from achievement_collector.facts import FileChange

_HISTORY = Path("../shared/data/commits/history")


def call(title: str, *paths: str, declared: str | None = None, lines: int = 30) -> Category:
    files = [FileChange(path, "M", lines, 2) for path in paths]
    return categorise(ChangeText(title, "", files, declared), RepositoryStyle()).category


@pytest.mark.parametrize(
    ("title", "path", "expected"),
    [
        ("Add support for proxies", "src/http.py", Category.FEATURE),
        ("Fix crash when the file is empty", "src/io.c", Category.BUGFIX),
        ("Update the installation guide", "docs/install.md", Category.DOCUMENTATION),
        ("Add tests for the parser", "tests/test_parser.py", Category.TESTING),
        ("Fix path traversal in the upload handler", "src/upload.py", Category.SECURITY),
        ("Prevent XSS in comments (CVE-2024-12345)", "src/view.js", Category.SECURITY),
    ],
)
def test_plain_titles(title: str, path: str, expected: Category) -> None:
    assert call(title, path) is expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("feat", "feature"),
        ("fix", "bugfix"),
        ("perf", "performance"),
        ("docs", "documentation"),
        ("ci", "infrastructure"),
        ("chore", "maintenance"),
    ],
)
def test_a_declared_type_decides(declared: str, expected: str) -> None:
    assert call("whatever it is", "src/a.py", declared=declared) == expected


def test_a_bump_that_mentions_a_hole_is_not_security_work() -> None:
    assert (
        call("Bump lodash from 4.17.20 to 4.17.21 to fix CVE-2021-23337", "package.json")
        is not Category.SECURITY
    )


def test_a_cve_in_the_message_of_a_fix_makes_it_security_work() -> None:
    body = "Reported by somebody.\nCVE-2021-22947\n"
    source, docs = FileChange("lib/ftp.c", "M", 20, 2), FileChange("docs/releases.md", "M", 20, 2)
    fix = categorise(ChangeText("reject pipelined responses", body, [source], "fix"), RepositoryStyle())
    assert fix.category is Category.SECURITY
    assert "CVE-2021-22947" in fix.basis
    for title, files in (("Release notes", [docs]), ("Bump lodash from 1 to 2", [source])):
        told = categorise(ChangeText(title, body, files, "fix"), RepositoryStyle())
        assert told.category is not Category.SECURITY


def test_a_mixed_change_has_several_labels() -> None:
    files = [FileChange("src/a.py", "M", 40, 0), FileChange("tests/test_a.py", "A", 200, 0)]
    labels = categorise(ChangeText("Speed up the parser", "", files, "feat"), RepositoryStyle()).labels
    assert labels[0] is Category.FEATURE
    assert {Category.PERFORMANCE, Category.TESTING} <= set(labels)


def test_unsure_is_an_answer() -> None:
    assert categorise(ChangeText("Stuff", "", []), RepositoryStyle()).confidence < 0.9


def test_a_repository_teaches_how_its_people_write() -> None:
    style = RepositoryStyle()
    odd = ChangeText("Frobnicate the wibble", "", [FileChange("src/w.py", "M", 5, 5)])
    for number in range(40):
        taught = ChangeText(f"Frobnicate thing {number}", "", [FileChange("src/w.py", "M", 5, 5)])
        style.learn(features_of(taught), Category.REFACTORING)
    told = categorise(odd, style)
    assert told.category is Category.REFACTORING
    assert "40 typed changes of this repository" in told.basis


def test_weights_survive_packing() -> None:
    numbers = [0, 1, -1, 4000, -4000, 8_000_000, -8_000_000, 7]
    assert digits(packed(numbers)) == numbers
    assert digits(packed(numbers) + packed([-number for number in numbers])) == [0] * 8


def test_the_rule_keeps_its_bound_on_typed_commits_with_the_type_hidden() -> None:
    if not _HISTORY.is_dir():
        pytest.skip("../shared/data/commits/history is not here")
    commits = list(from_folder(_HISTORY))
    cold = figures(commits, judge(commits, learns=False))
    taught = figures(commits, judge(commits, learns=True))
    assert cold["macro_f1"] >= 0.55
    assert cold["surer_half"] >= 0.85
    assert taught["macro_f1"] >= 0.60
    assert taught["surer_half"] >= 0.90
