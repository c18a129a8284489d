"""The package as others get it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["run.lock", "dev.lock"])
def test_lock_files_pin_by_hash_and_name_no_index(name: str) -> None:
    text = (_ROOT / "requirements" / name).read_text("utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    assert "find-links" not in text
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        if not requirement.startswith("#"):
            assert "==" in requirement
            assert "--hash=sha256:" in requirement


def test_the_wheel_holds_the_data_files(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(_ROOT)],
        check=True,
        capture_output=True,
    )
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for name in (
        "derive/rules/bots.toml",
        "derive/rules/categories.json.gz",
        "present/templates/record.html.j2",
        "present/templates/record.typ",
        "present/templates/workflows/achievement-tracker.yml",
        "present/rules/personas.toml",
        "ledger/migrations/versions/0001_first_tables.py",
        "py.typed",
    ):
        assert f"achievement_collector/{name}" in names


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['x', '--help']\nfrom achievement_collector.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('sqlalchemy', 'alembic', 'jinja2', 'typst', 'psycopg') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


def test_no_committed_file_names_this_machine_or_a_package_index() -> None:
    listed = subprocess.run(["git", "-C", str(_ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine = [str(_ROOT.parent) + "/", str(Path(sys.base_prefix)) + "/", str(Path.home()) + "/"]
    places = [re.escape(place.encode()) for place in machine if place not in ("/", "/usr/", "//")]
    index = [rb"https?://[^\s\"']+/simple\b", rb"--(extra-)?index-url[= ]", rb"--find-links[= ]"]
    forbidden = re.compile(b"|".join(places + index))
    for name in listed.stdout.decode().split("\0"):
        path = _ROOT / name
        if name and path.is_file():
            assert not forbidden.search(path.read_bytes()), name
