"""Parsers against git itself: any message, any path, any bytes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from achievement_collector.derive import messages
from achievement_collector.derive.releases import parse_version
from achievement_collector.derive.sizes import is_version_bump
from achievement_collector.derive.value import stated_value
from achievement_collector.facts.diff import changed_files
from achievement_collector.sources.git.objects import parse_commit
from achievement_collector.sources.manifests import (
    document_keys,
    interpreter,
    is_manifest,
    manifest_dependencies,
)
from tests.git_repositories import Repository, clean_environment

_SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("parsers") / "project")


@_SLOW
@given(
    message=st.binary(max_size=300).filter(lambda m: b"\0" not in m),
    zone=st.integers(-1439, 1439),
    when=st.integers(0, 2**33),
)
def test_any_message_is_kept_byte_for_byte(empty: Repository, message: bytes, zone: int, when: int) -> None:
    sign = "-" if zone < 0 else "+"
    stamp = f"{when} {sign}{abs(zone) // 60:02d}{abs(zone) % 60:02d}"
    tree = empty.git("hash-object", "-t", "tree", "-w", "/dev/null")
    raw = f"tree {tree}\nauthor A B <a@b> {stamp}\ncommitter C <> {stamp}\n\n".encode() + message
    parsed = parse_commit(raw)
    assert parsed.authored == (when, zone)
    assert parsed.author == ("A B", "a@b")
    assert parsed.committer == ("C", "")
    if parsed.raw_message is not None:
        assert parsed.raw_message == message
    else:
        assert parsed.message.encode() == message


@_SLOW
@given(
    names=st.lists(
        st.binary(min_size=1, max_size=30).filter(lambda n: not {0, 47} & set(n) and n not in (b".", b"..") and not n.lower().startswith(b".git")),
        min_size=1, max_size=5, unique=True,
    )
)  # fmt: skip
def test_any_path_comes_back_from_git(empty: Repository, names: list[bytes]) -> None:
    blob = empty.git("hash-object", "-w", "--stdin", stdin=b"one\ntwo\n")
    index = b"".join(f"100644 {blob}\t".encode() + name + b"\0" for name in names)
    environment = {"GIT_INDEX_FILE": str(empty.path / ".git" / "index-of-test")}
    Path(environment["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    empty.git("update-index", "-z", "--index-info", stdin=index, environment=environment)
    tree = empty.git("write-tree", environment=environment)
    nothing = empty.git("hash-object", "-t", "tree", "-w", "/dev/null")
    raw = subprocess.run(
        ["git", "-C", str(empty.path), "diff-tree", "-r", "-z", "-M", "--raw", "--numstat", nothing, tree],
        capture_output=True, env=clean_environment(), check=True,
    ).stdout  # fmt: skip
    files = changed_files(raw)
    assert sorted(os.fsencode(file.path) for file in files) == sorted(names)
    assert all((file.added, file.deleted, file.status) == (2, 0, "A") for file in files)


_LINE = st.one_of(
    st.sampled_from(
        ["Signed-off-by: A <a@b>", "Co-authored-by: B <b@c>", "Key: value", " folded", "plain words", "", "Fixes #3", "key : x", "---", "# note",
         "(cherry picked from commit 0123456789abcdef0123456789abcdef01234567)", "Closes: #1"]
    ),
    st.text("ab:- ", max_size=8),
)  # fmt: skip


@_SLOW
@given(st.lists(_LINE, max_size=10))
def test_trailers_are_those_that_git_sees(body: list[str]) -> None:
    message = "subject\n\n" + "\n".join(body) + "\n"
    told = subprocess.run(
        ["git", "-c", "core.commentChar=;", "interpret-trailers", "--parse", "--no-divider"], input=message.encode(), capture_output=True, env=clean_environment(), check=True
    ).stdout.decode()  # fmt: skip
    mine = [f"{key}: {value}".rstrip() for key, value in messages.parse_trailers(message)]
    theirs = [line.rstrip() for line in told.splitlines()]
    if not any(
        line.startswith("#") for line in body
    ):  # git takes comments out first, a stored message has none
        assert mine == theirs


@settings(max_examples=300, deadline=500)
@given(st.text(max_size=400))
def test_no_text_breaks_a_rule(text: str) -> None:
    messages.parse_header(text)
    messages.parse_merge(text)
    messages.squash_number(text)
    messages.issue_references(text)
    messages.reverted_shas(text)
    messages.picked_numbers(text)
    messages.parse_trailers(text)
    assert bool(messages.clean_title(text)) == bool(text.strip()) or not text.isprintable()
    is_version_bump(text)
    stated_value(text, "x")
    parse_version(text)


@settings(max_examples=200, deadline=500)
@given(
    st.sampled_from(["pyproject.toml", "package.json", "Cargo.toml", "go.mod", "pom.xml", "setup.py", "setup.cfg", "requirements.txt", "Gemfile", "Dockerfile", "x.tf", "mix.exs", "compose.yml"]),
    st.binary(max_size=400),
)  # fmt: skip
def test_no_content_breaks_a_reader(name: str, content: bytes) -> None:
    assert is_manifest(name)
    manifest_dependencies(name, content)
    document_keys("a.yml", content)
    document_keys("a.json", content)
    interpreter(content)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["Django>=4", "my_pkg[x]; python_version>\'3\'"]\n[dependency-groups]\ndev = ["pytest", {include-group = "x"}]', {"pypi:django", "pypi:my-pkg", "pypi:pytest"}),
        ("a/requirements-dev.txt", "# c\nflask==2\n-r other.txt\ngit+https://x/y\nSQLAlchemy [asyncio]\n", {"pypi:flask", "pypi:sqlalchemy"}),
        ("package.json", '{"dependencies": {"vue": "3"}, "devDependencies": {"@scope/x": "1"}}', {"npm:vue", "npm:@scope/x"}),
        ("Cargo.toml", '[dependencies]\nserde = "1"\n[target."cfg(unix)".dependencies]\nnix = "1"', {"cargo:serde", "cargo:nix"}),
        ("go.mod", "module x\nrequire (\n\tgithub.com/gin-gonic/gin v1.9\n\tgolang.org/x/sys v0.1 // indirect\n)\nrequire example.com/y/v2 v2.0.0\n", {"go:github.com/gin-gonic/gin", "go:example.com/y"}),
        ("pom.xml", "<project><dependencies><dependency><groupId>org.junit</groupId><artifactId>api</artifactId></dependency></dependencies></project>", {"maven:org.junit:api"}),
        ("pom.xml", '<!DOCTYPE x [<!ENTITY a "b">]><project/>', set()),
        ("Dockerfile", "FROM --platform=x postgres:16 AS db\nFROM ghcr.io/a/b:1\n", {"docker:postgres", "docker:ghcr.io/a/b"}),
    ],
)  # fmt: skip
def test_manifests_are_read(name: str, content: str, expected: set[str]) -> None:
    assert manifest_dependencies(name, content.encode()) == expected


@pytest.mark.parametrize(
    ("content", "program"),
    [
        (b"#!/usr/bin/env python3\n", "python"),
        (b"#!/bin/sh -e\n", "sh"),
        (b"#! /usr/bin/env -S node --x\n", "node"),
        (b"no", ""),
    ],
)
def test_interpreters_are_told(content: bytes, program: str) -> None:
    assert interpreter(content) == program


def test_hostile_text_costs_no_more_than_its_length() -> None:
    import time

    for part in (
        "a" * 50_000,
        "((((" * 10_000,
        "fix(" * 10_000,
        "#1 and " * 8_000,
        "from 1 to " * 5_000,
        "Revert " * 8_000,
        "<" * 50_000,
    ):
        began = time.monotonic()
        messages.parse_header(part)
        messages.parse_merge(f"Merge {part}")
        messages.issue_references(f"closes {part}")
        messages.clean_title(part)
        messages.parse_trailers(f"x\n\n{part}")
        stated_value(f"It is {part} faster", "x")
        is_version_bump(part)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("path", "status", "is_opened"),
    [
        ("package.json", "M", True), ("web/package.json", "M", True), ("Dockerfile", "M", True), ("a/requirements-dev.txt", "M", True),
        ("k8s/app.yml", "A", True), ("k8s/app.yml", "M", False), ("run", "A", True), ("bin/run", "A", True), ("bin/run", "M", False),
        ("src/a.py", "A", False), ("docker-compose.yml", "M", True), ("x/lib.gemspec", "M", True), ("main.tf", "M", True),
    ],
)  # fmt: skip
def test_what_is_opened_in_a_diff(path: str, status: str, is_opened: bool) -> None:
    from achievement_collector.sources.git.content import _interesting

    raw = f":100644 100644 {'1' * 40} {'2' * 40} {status}\0{path}\0".encode() + f"3\t1\t{path}\0".encode()
    assert [entry.path for entry in _interesting(raw)] == ([path] if is_opened else [])


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("feat(vapor): hydration", "Hydration (vapor)"),
        ("feat(api): add the endpoint for users (#12)", "Add the endpoint for users"),
        ("feat(api): rework api keys", "Rework api keys"),
        ("fix: releases, tags and people", "Releases, tags and people"),
        ("[PATCH v2] http: fix it.", "http: fix it"),
        ("JIRA-123: speed up", "Speed up"),
        (":sparkles: add colours", "Add colours"),
        ("getUser() returns null", "getUser() returns null"),
        ("feat(cli) rewrite it in Rust entirely", "Rewrite it in Rust entirely"),
    ],
)
def test_titles_are_for_people(subject: str, title: str) -> None:
    assert messages.clean_title(subject) == title
