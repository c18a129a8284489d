"""Every kind of repository that a user may have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from achievement_collector.config import Settings
from achievement_collector.facts import Commit
from achievement_collector.ledger import reading
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import commits
from achievement_collector.services.editing import edit_achievement
from tests.conftest import scan_into
from tests.git_repositories import ALICE, BOB, START, Repository, git, lines

Run = Callable[..., subprocess.CompletedProcess[str]]


def stored(ledger: Ledger) -> dict[str, Commit]:
    """sha -> commit of everything in the ledger."""
    with ledger.read() as connection:
        people = reading.all_signatures(connection)
        ids = list(connection.scalars(sa.select(commits.c.id)))
        return {one.commit.sha: one.commit for one in reading.commits_by_id(connection, ids, people).values()}


def test_a_commit_is_stored_with_everything_git_knows(any_ledger: Ledger, repository: Repository) -> None:
    first = repository.commit("start", {"a.py": "one\ntwo\n", "b.bin": b"\0\1\2"})
    sha = repository.commit(
        "subject line\n\nA body.\n\nReviewed-by: Bob Builder <bob@example.dev>\nCo-authored-by: Carol <carol@example.dev>\n",
        {"a.py": "one\n2\nthree\n"},
        author=ALICE,
        committer=BOB,
        date="1700000000 -0730",
    )
    repository.tag("v1.0.0", "first release")
    assert not scan_into(any_ledger, repository.path)[0].error
    found = stored(any_ledger)
    assert set(found) == {first, sha}
    commit = found[sha]
    assert commit.parents == (first,)
    assert commit.author == ALICE
    assert commit.committer == BOB
    assert commit.authored == (1_700_000_000, -450)
    assert commit.subject == "subject line"
    assert commit.body.startswith("A body.")
    assert [trailer.key for trailer in commit.trailers] == ["Reviewed-by", "Co-authored-by"]
    assert [(file.path, file.status, file.added, file.deleted) for file in commit.files] == [
        ("a.py", "M", 2, 1)
    ]
    binary = next(file for file in found[first].files if file.path == "b.bin")
    assert binary.is_binary
    assert binary.added is None
    with any_ledger.read() as connection:
        place = reading.stored_repositories(connection)[0]
        tags = reading.stored_tags(connection, place.id, reading.all_signatures(connection))
    assert [(tag.name, tag.target, tag.is_annotated) for tag in tags] == [("v1.0.0", sha, True)]


def test_renames_are_followed(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start", {"old/name.txt": lines(30)})
    repository.git("mv", "old", "new folder")
    sha = repository.commit("move", {"other.txt": "x\n"})
    scan_into(ledger, repository.path)
    moved = next(file for file in stored(ledger)[sha].files if file.status == "R")
    assert (moved.old_path, moved.path, moved.added) == ("old/name.txt", "new folder/name.txt", 0)


def test_a_second_scan_finds_nothing_new_and_changes_nothing(
    any_ledger: Ledger, repository: Repository
) -> None:
    repository.commit("feat: one", {"a.py": lines(80)})
    scan_into(any_ledger, repository.path)
    with any_ledger.read() as connection:
        before = connection.execute(
            sa.text("SELECT uid, impact, fingerprint FROM achievements ORDER BY uid")
        ).all()
    again = scan_into(any_ledger, repository.path)[0]
    assert again.collected
    assert not again.collected.is_new
    assert again.derived is None
    with any_ledger.read() as connection:
        after = connection.execute(
            sa.text("SELECT uid, impact, fingerprint FROM achievements ORDER BY uid")
        ).all()
    assert before == after


def test_a_scan_takes_only_what_is_new(ledger: Ledger, repository: Repository) -> None:
    repository.commit("one")
    scan_into(ledger, repository.path)
    repository.commit("two")
    again = scan_into(ledger, repository.path)[0]
    assert again.collected
    assert again.collected.added == 1
    assert len(stored(ledger)) == 2


def test_a_rewritten_history_replaces_what_is_gone(any_ledger: Ledger, repository: Repository) -> None:
    keep = repository.commit("feat: keep", {"a.py": lines(60)})
    gone = repository.commit("feat: going", {"b.py": lines(60)})
    scan_into(any_ledger, repository.path)
    repository.git("reset", "--quiet", "--hard", keep)
    new = repository.commit("feat: instead", {"c.py": lines(60)})
    again = scan_into(any_ledger, repository.path)[0]
    assert again.collected
    assert again.collected.removed == 1
    assert set(stored(any_ledger)) == {keep, new}
    with any_ledger.read() as connection:
        titles = set(connection.scalars(sa.text("SELECT title FROM achievements")))
    assert titles == {"Keep", "Instead"}
    assert gone not in stored(any_ledger)


def test_a_bare_mirror_is_the_same_repository(ledger: Ledger, repository: Repository, tmp_path: Path) -> None:
    repository.commit("one")
    repository.branch("topic")
    repository.commit("two")
    mirror = tmp_path / "elsewhere" / "project"
    mirror.parent.mkdir()
    git(tmp_path, "clone", "--quiet", "--mirror", str(repository.path), str(mirror))
    git(mirror, "remote", "remove", "origin")
    scan_into(ledger, repository.path)
    assert not scan_into(ledger, mirror)[0].error
    with ledger.read() as connection:
        assert len(reading.stored_repositories(connection)) == 1
    assert len(stored(ledger)) == 2


@pytest.mark.parametrize("clone_first", [True, False])
def test_clones_and_copies_of_a_folder_under_other_names_credit_each_commit_once(
    any_ledger: Ledger, repository: Repository, tmp_path: Path, clone_first: bool
) -> None:
    for number in range(3):
        repository.commit(f"feat: number {number}", {f"{number}.py": lines(60)})
    clone, mirror, second = tmp_path / "clone", tmp_path / "mirror.git", tmp_path / "clone-of-clone"
    git(tmp_path, "clone", "--quiet", str(repository.path), str(clone))
    git(tmp_path, "clone", "--quiet", "--mirror", f"file://{repository.path}", str(mirror))
    git(tmp_path, "clone", "--quiet", "./clone", str(second))
    git(second, "config", "remote.origin.url", "../clone")
    copy = tmp_path / "copy"
    shutil.copytree(repository.path, copy)
    repository.commit("feat: more", {"more.py": lines(60)})
    places = [clone, mirror, second, repository.path]
    assert not any(
        one.error for one in scan_into(any_ledger, *(places if clone_first else places[::-1]), copy)
    )
    with any_ledger.read() as connection:
        (place,) = reading.stored_repositories(connection)
        assert (place.key, len(place.paths)) == ("local/project", 5)
        assert connection.scalar(sa.text("SELECT count(*) FROM achievements WHERE is_counted")) == 4


def test_a_clone_of_a_clone_is_of_the_forge_s_repository(
    ledger: Ledger, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("feat: one", {"one.py": lines(60)})
    repository.git("remote", "add", "origin", "https://github.com/acme/rocket.git")
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", str(repository.path), str(clone))
    scan_into(ledger, clone)
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        (place,) = reading.stored_repositories(connection)
        assert (place.key, place.web_url) == ("github.com/acme/rocket", "https://github.com/acme/rocket")


def test_folders_that_are_each_other_s_remote_are_read(
    ledger: Ledger, repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    repository.commit("feat: one", {"one.py": lines(60)})
    other.commit("feat: two", {"two.py": lines(60)})
    repository.git("remote", "add", "origin", str(other.path))
    other.git("remote", "add", "origin", str(repository.path))
    assert not any(one.error for one in scan_into(ledger, repository.path, other.path))
    assert len(stored(ledger)) == 2


def test_a_worktree_and_a_folder_inside_are_the_repository(
    ledger: Ledger, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("one", {"deep/er/file.txt": "x\n"})
    tree = tmp_path / "tree"
    repository.git("worktree", "add", "--quiet", str(tree), "-b", "topic")
    scan_into(ledger, tree, repository.path / "deep" / "er")
    with ledger.read() as connection:
        assert len(reading.stored_repositories(connection)) == 1


def test_a_shallow_clone_knows_where_it_is_cut_and_can_be_deepened(
    any_ledger: Ledger, repository: Repository, tmp_path: Path
) -> None:
    for number in range(4):
        repository.commit(f"feat: number {number}", {f"{number}.py": lines(60)})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "2", f"file://{repository.path}", str(clone))
    scan_into(any_ledger, clone)
    found = stored(any_ledger)
    assert len(found) == 2
    cut = next(commit for commit in found.values() if commit.is_boundary)
    assert cut.files == ()  # what it changed is unknown, and not the whole tree
    with any_ledger.read() as connection:
        reasons = list(
            connection.scalars(sa.text("SELECT left_out_reason FROM achievements WHERE NOT is_counted"))
        )
    assert reasons == ["not measured: the history is cut or damaged here, so what it changed is unknown"]
    git(clone, "fetch", "--quiet", "--unshallow")
    scan_into(any_ledger, clone)
    found = stored(any_ledger)
    assert len(found) == 4
    assert not any(commit.is_boundary for commit in found.values())
    with any_ledger.read() as connection:
        counted = connection.scalar(sa.text("SELECT count(*) FROM achievements WHERE is_counted"))
    assert counted == 4


@pytest.mark.parametrize("shallow_first", [True, False])
def test_a_shallow_clone_takes_nothing_from_what_is_known_whole(
    any_ledger: Ledger, repository: Repository, tmp_path: Path, shallow_first: bool
) -> None:
    for number in range(4):
        repository.commit(f"feat: number {number}", {f"{number}.py": lines(60)})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository.path}", str(clone))
    for place in (clone, repository.path) if shallow_first else (repository.path, clone):
        scan_into(any_ledger, place)
    who = ("-c", f"user.name={ALICE[0]}", "-c", f"user.email={ALICE[1]}")
    git(clone, *who, "commit", "--quiet", "--allow-empty", "-m", "chore: nothing")
    for place in (clone, repository.path):
        scan_into(any_ledger, place)
    found = stored(any_ledger)
    assert len(found) == 5
    assert not any(commit.is_boundary for commit in found.values())
    with any_ledger.read() as connection:
        (place,) = reading.stored_repositories(connection)
        assert place.shallow == frozenset()
        counted = connection.scalar(sa.text("SELECT count(*) FROM achievements WHERE is_counted"))
    assert counted == 4


def test_what_people_set_follows_a_commit_through_a_rebase_and_an_amendment(
    any_ledger: Ledger, repository: Repository
) -> None:
    for number in range(4):
        repository.commit(f"feat: number {number}", {f"{number}.py": lines(60)})
    scan_into(any_ledger, repository.path)
    settings = Settings(database="unused")

    def ids() -> dict[str, str]:
        with any_ledger.read() as connection:
            rows = connection.execute(
                sa.text("SELECT title, uid FROM achievements WHERE NOT is_hidden")
            ).all()
        return {row.title: row.uid for row in rows}

    first = ids()
    edit_achievement(any_ledger, first["Number 1"], {"title": "My words"}, (), settings, 1)
    edit_achievement(any_ledger, first["Number 2"], {"hidden": True}, (), settings, 2)
    before = repository.git("rev-parse", "HEAD")
    repository.git("commit", "--quiet", "--amend", "-m", "feat: number 3, better told")
    repository.git("rebase", "--quiet", "--force-rebase", "--root")
    assert repository.git("rev-parse", "HEAD") != before
    scan_into(any_ledger, repository.path)
    second = ids()
    assert second.keys() == {"Number 0", "My words", "Number 3, better told"}
    assert second["My words"] != first["Number 1"]
    repository.git("reset", "--quiet", "--hard", before)
    scan_into(any_ledger, repository.path)
    assert ids() == {
        "Number 0": first["Number 0"],
        "My words": first["Number 1"],
        "Number 3": first["Number 3"],
    }
    edit_achievement(any_ledger, first["Number 1"], {}, ("title",), settings, 3)
    assert "Number 1" in ids()


def test_what_people_set_follows_no_commit_that_it_might_not_be(
    ledger: Ledger, repository: Repository
) -> None:
    date = "@1700000000 +0000"
    for number in range(2):
        repository.commit(f"feat: number {number}", {f"{number}.py": lines(60)}, date=date)
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        uid = connection.scalar(sa.text("SELECT uid FROM achievements WHERE title = 'Number 0'"))
    edit_achievement(ledger, str(uid), {"title": "My words"}, (), Settings(database="unused"), 1)
    repository.git("rebase", "--quiet", "--force-rebase", "--root")
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        titles = set(connection.scalars(sa.text("SELECT title FROM achievements")))
    assert titles == {"Number 0", "Number 1"}


def test_a_detached_head_counts(ledger: Ledger, repository: Repository) -> None:
    repository.commit("one")
    repository.git("checkout", "--quiet", "--detach")
    sha = repository.commit("feat: away from every branch", {"a.py": lines(70)})
    scan_into(ledger, repository.path)
    assert sha in stored(ledger)
    with ledger.read() as connection:
        assert (
            connection.scalar(sa.text("SELECT title FROM achievements WHERE is_counted"))
            == "Away from every branch"
        )


def test_an_empty_repository_is_no_error(ledger: Ledger, repository: Repository) -> None:
    done = scan_into(ledger, repository.path)[0]
    assert not done.error
    assert stored(ledger) == {}
    repository.commit("the first")
    scan_into(ledger, repository.path)
    assert len(stored(ledger)) == 1


def test_a_submodule_is_an_entry_not_lines(ledger: Ledger, repository: Repository, tmp_path: Path) -> None:
    library = Repository(tmp_path / "library")
    library.commit("library")
    repository.git("submodule", "--quiet", "add", str(library.path), "lib")
    sha = repository.commit("chore: add the library as a submodule", {"x.txt": "x\n"})
    scan_into(ledger, repository.path)
    entry = next(file for file in stored(ledger)[sha].files if file.path == "lib")
    assert entry.is_submodule


@pytest.mark.parametrize(
    ("message", "encoding", "expected"),
    [
        ("Grüße".encode("latin-1"), "ISO-8859-1", "Grüße"),
        ("日本語".encode("shift_jis"), "Shift_JIS", "日本語"),
        (b"caf\xe9 without a header", None, "caf� without a header"),
        (b"unknown \xff charset", "x-no-such-charset", "unknown � charset"),
    ],
)
def test_messages_in_any_encoding_are_read(
    any_ledger: Ledger, repository: Repository, message: bytes, encoding: str | None, expected: str
) -> None:
    header = f"encoding {encoding}\n".encode() if encoding else b""
    tree = repository.git("hash-object", "-t", "tree", "-w", "/dev/null")
    raw = (
        f"tree {tree}\nauthor A <a@b.c> {START} +0000\ncommitter A <a@b.c> {START} +0000\n".encode()
        + header + b"\n" + message
    )  # fmt: skip
    sha = repository.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    repository.git("update-ref", "refs/heads/main", sha)
    assert not scan_into(any_ledger, repository.path)[0].error
    assert stored(any_ledger)[sha].subject.rstrip("\x85") == expected


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline.txt",
        b"tab\there.txt",
        b'quote"d.txt',
        b"latin-\xe9.txt",
        b" leading",
        b"-dash",
        "日本.txt".encode(),
    ],
)
def test_paths_hold_any_byte(any_ledger: Ledger, repository: Repository, name: bytes) -> None:
    sha = repository.commit("odd path", {os.fsdecode(name): lines(3)})
    scan_into(any_ledger, repository.path)
    file = stored(any_ledger)[sha].files[0]
    assert os.fsencode(file.path) == name
    assert file.added == 3


def test_an_octopus_merge_is_one_change(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    for name in ("one", "two", "three"):
        repository.branch(name, "main")
        repository.commit(f"Work on {name}", {f"{name}.py": lines(40, name)})
    repository.switch("main")
    sha = repository.merge("one", "two", "three", message="Merge branches 'one', 'two' and 'three'")
    scan_into(ledger, repository.path)
    assert len(stored(ledger)[sha].parents) == 4
    with ledger.read() as connection:
        row = connection.execute(
            sa.text("SELECT detail, is_counted FROM achievements WHERE key = :k"), {"k": f"commit/{sha}"}
        ).one()
    assert row.is_counted
    assert len(json.loads(row.detail)["commits"]) == 3


def test_grafts_and_replacements_are_seen_as_git_shows_them(ledger: Ledger, repository: Repository) -> None:
    first = repository.commit("one")
    second = repository.commit("two")
    third = repository.commit("three")
    scan_into(ledger, repository.path)
    assert stored(ledger)[third].parents == (second,)
    repository.git("replace", "--graft", third, first)
    scan_into(ledger, repository.path)
    assert stored(ledger)[third].parents == (first,)
    repository.git("replace", "-d", third)
    scan_into(ledger, repository.path)
    assert stored(ledger)[third].parents == (second,)


@pytest.mark.parametrize(
    ("date", "year"), [("@0 +0000", 1970), ("@4070908800 +0000", 2099), ("@1 -1200", 1969)]
)
def test_dates_far_away_are_kept(
    any_ledger: Ledger, repository: Repository, date: str, year: int, run: Run
) -> None:
    sha = repository.commit("feat: from another time", {"a.py": lines(60)}, date=date)
    scan_into(any_ledger, repository.path)
    assert stored(any_ledger)[sha].committed.as_datetime().year == year


def test_a_sha256_repository_is_read(any_ledger: Ledger, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "modern", "--object-format=sha256")
    sha = repository.commit("feat: long shas", {"a.py": lines(60)})
    scan_into(any_ledger, repository.path)
    assert len(sha) == 64
    assert stored(any_ledger)[sha].files[0].added == 60


def test_a_large_commit_is_read(ledger: Ledger, repository: Repository) -> None:
    sha = repository.commit("large", {"big.txt": lines(2_000_000), "big.bin": os.urandom(30_000_000)})
    scan_into(ledger, repository.path)
    files = {file.path: file for file in stored(ledger)[sha].files}
    assert files["big.txt"].added == 2_000_000
    assert files["big.bin"].is_binary


def test_many_files_in_one_commit(ledger: Ledger, repository: Repository) -> None:
    sha = repository.commit("import", {f"d{n % 50}/f{n}.txt": f"{n}\n" for n in range(3000)})
    scan_into(ledger, repository.path)
    assert len(stored(ledger)[sha].files) == 3000


def test_a_missing_object_costs_only_its_commit(ledger: Ledger, repository: Repository) -> None:
    repository.commit("one", {"a.txt": "1\n"})
    broken = repository.commit("two", {"a.txt": "2\n", "b.txt": lines(5)})
    fine = repository.commit("three", {"c.txt": "3\n"})
    blob = repository.git("rev-parse", f"{broken}:b.txt")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    scan_into(ledger, repository.path)
    found = stored(ledger)
    assert len(found) == 3
    assert found[fine].files[0].path == "c.txt"


class TestBadInput:
    """One clear sentence, exit code 2, nothing lost."""

    @pytest.mark.parametrize("kind", ["missing", "file", "folder"])
    def test_a_path_that_is_no_repository(self, run: Run, tmp_path: Path, kind: str) -> None:
        target = tmp_path / "thing"
        if kind == "file":
            target.write_text("x")
        elif kind == "folder":
            target.mkdir()
        result = run("scan", target, "--db", tmp_path / "l.db")
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert str(target) in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1

    def test_other_repositories_are_scanned_all_the_same(
        self, run: Run, tmp_path: Path, repository: Repository
    ) -> None:
        repository.commit("feat: fine", {"a.py": lines(60)})
        result = run("scan", tmp_path / "nothing", repository.path, "--db", tmp_path / "l.db")
        assert result.returncode == 2
        assert "Fine" in result.stdout

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
    def test_a_repository_of_somebody_else(self, run: Run, tmp_path: Path, repository: Repository) -> None:
        repository.commit("one")
        for folder, names, files in os.walk(repository.path):
            for name in (*names, *files):
                os.chown(os.path.join(folder, name), 12_345, 12_345)
        os.chown(repository.path, 12_345, 12_345)
        result = run("scan", repository.path, "--db", tmp_path / "l.db")
        assert result.returncode == 2
        assert "safe.directory" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_ledger_that_is_no_database(self, run: Run, tmp_path: Path, repository: Repository) -> None:
        repository.commit("one")
        ledger = tmp_path / "l.db"
        ledger.write_text("this is no database, " * 500)
        result = run("scan", repository.path, "--db", ledger)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert ledger.read_text().startswith("this is no database")

    @pytest.mark.parametrize(
        "address", ["mysql://x/y", "postgresql://nobody:hunter2@127.0.0.1:1/none", "://"]
    )
    def test_a_database_that_cannot_be_used_shows_no_password(
        self, run: Run, tmp_path: Path, repository: Repository, address: str
    ) -> None:
        repository.commit("one")
        result = run("scan", repository.path, "--db", address)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert "hunter2" not in result.stderr

    def test_a_bad_setting(self, run: Run, tmp_path: Path, repository: Repository) -> None:
        result = run("scan", repository.path, "--db", tmp_path / "l.db", MIN_LINES_FOR_ACHIEVEMENT="many")
        assert result.returncode == 2
        assert "MIN_LINES_FOR_ACHIEVEMENT" in result.stderr

    def test_hostile_text_does_not_reach_the_terminal(
        self, run: Run, tmp_path: Path, repository: Repository
    ) -> None:
        repository.commit(
            "feat: \x1b[2J\x1b]0;owned\x07 \u202egnp.exe [bold]markup[/bold]", {"a.py": lines(60)}
        )
        result = run("scan", repository.path, "--db", tmp_path / "l.db")
        assert "\x1b" not in result.stdout
        assert "\u202e" not in result.stdout
        assert "[bold]markup[/bold]" in result.stdout
