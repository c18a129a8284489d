"""Who is who: joining, suggesting, deciding; checked against git's own mailmap."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from achievement_collector.derive.identity import (
    AuthorKind,
    AuthorRules,
    Decision,
    Person,
    join_people,
    noreply_login,
    shipped_rules,
    suggest,
)
from achievement_collector.derive.mailmap import Mailmap
from achievement_collector.facts import Signature
from achievement_collector.ledger.store import Ledger
from tests.conftest import scan_into
from tests.git_repositories import BOB, Repository, clean_environment, lines


def joined(
    *signatures: tuple[str, str], mailmap: str = "", decisions: tuple[Decision, ...] = ()
) -> list[Person]:
    entries = [(number, Signature(*who), 1) for number, who in enumerate(signatures)]
    return join_people(entries, [Mailmap(mailmap)] if mailmap else [], decisions, shipped_rules())


def groups(people: list[Person]) -> list[tuple[int, ...]]:
    return sorted(person.signatures for person in people)


def test_the_same_address_is_one_person_whatever_its_case() -> None:
    assert groups(joined(("Ann", "ann@x.dev"), ("ann arbor", "Ann@X.dev"), ("Ann", "other@x.dev"))) == [
        (0, 1),
        (2,),
    ]


def test_both_noreply_forms_are_one_login() -> None:
    people = joined(
        ("Ann", "123+ann@users.noreply.github.com"),
        ("A", "ann@users.noreply.github.com"),
        ("B", "bob@users.noreply.github.com"),
    )
    assert groups(people) == [(0, 1), (2,)]
    assert noreply_login("41898282+some-one@users.noreply.github.com") == "some-one@users.noreply.github.com"
    assert noreply_login("ann@example.dev") is None


def test_shared_addresses_do_not_join_different_people() -> None:
    assert len(joined(("Ann", "root@localhost"), ("Bob", "root@localhost"), ("Ann", "root@localhost"))) == 2
    assert len(joined(("Ann", ""), ("Bob", ""))) == 2


def test_a_mailmap_joins_and_names() -> None:
    people = joined(
        ("ann", "old@x.dev"),
        ("Ann", "new@x.dev"),
        mailmap="Ann Arbor <new@x.dev> <old@x.dev>\nAnn Arbor <new@x.dev>\n",
    )
    assert groups(people) == [(0, 1)]
    assert people[0].name == "Ann Arbor"
    assert people[0].email == "new@x.dev"


def test_a_mailmap_can_tell_the_users_of_one_address_apart() -> None:
    mailmap = "Ann <ann@x.dev> Ann <team@x.dev>\nBob <bob@x.dev> Bob <team@x.dev>\n"
    assert groups(joined(("Ann", "team@x.dev"), ("Bob", "team@x.dev"), mailmap=mailmap)) == [(0,), (1,)]


def test_equal_names_are_only_suggested() -> None:
    people = joined(
        ("Ann Arbor", "a@x.dev"), ("Ánn Arbor", "b@y.dev"), ("root", "c@z.dev"), ("root", "d@z.dev")
    )
    assert len(people) == 4
    found = suggest(people, {0: 5, 1: 2, 2: 1, 3: 1})
    assert [(one.first.signatures, one.second.signatures) for one in found] == [((0,), (1,))]


def test_decisions_win_and_the_latest_wins_over_earlier_ones() -> None:
    one, two = Signature("Ann", "a@x.dev"), Signature("Ann", "b@y.dev")
    merge, split = Decision("merge", one, two), Decision("split", two, Signature("", ""))
    assert groups(joined(one, two, decisions=(merge,))) == [(0, 1)]
    assert groups(joined(one, two, decisions=(merge, split))) == [(0,), (1,)]
    assert groups(joined(one, two, decisions=(merge, split, merge))) == [(0, 1)]
    same = Signature("Other", "a@x.dev")
    assert groups(joined(one, same, decisions=(Decision("split", same, Signature("", "")),))) == [(0,), (1,)]


def test_people_split_apart_have_ids_of_their_own() -> None:
    same = Signature("Other", "a@x.dev")
    people = joined(("Ann", "a@x.dev"), same, decisions=(Decision("split", same, Signature("", "")),))
    assert len({person.id for person in people}) == 2


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com"),
        ("renovate-bot", "bot@renovateapp.com"),
        ("Release Bot", "release@x.dev"),
        ("k8s-ci-robot", "k8s.ci.robot@gmail.com"),
        ("Hosted Weblate", "hosted@weblate.org"),
        ("semantic-release-bot", "semantic-release-bot@martynus.net"),
        ("project_12_bot", "project_12_bot_ab@noreply.gitlab.com"),
    ],
)
def test_bots_are_known(name: str, email: str) -> None:
    assert shipped_rules().kind_of(Signature(name, email)) is AuthorKind.BOT


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("Greg Abbot", "abbot@x.dev"),
        ("Talbot", "t@x.dev"),
        ("Ian Botham", "i@x.dev"),
        ("Claude Monnet", "claude@monnet.fr"),
        ("Claude", "claude@monnet.fr"),
        ("Jules Verne", "jules@nantes.fr"),
        ("Devin", "devin@x.dev"),
        ("Roberto Cirobot", "cirobot@x.dev"),
        ("Travis", "travis@x.dev"),
        ("Jenkins Barnaby", "jb@x.dev"),
    ],
)
def test_people_are_not_taken_for_programs(name: str, email: str) -> None:
    assert shipped_rules().kind_of(Signature(name, email)) is AuthorKind.PERSON


def test_a_user_can_add_bots() -> None:
    rules = AuthorRules({"names": ["Mighty Builder"], "address_patterns": [r"^svc-"]})
    assert rules.kind_of(Signature("mighty builder", "x@y.z")) is AuthorKind.BOT
    assert rules.kind_of(Signature("X", "svc-deploy@y.z")) is AuthorKind.BOT


_WORD = st.text("abAB é.'-", min_size=0, max_size=5).map(str.strip)
_ADDRESS = st.sampled_from(["a@x", "A@X", "b@x", "c@y", "d@z", ""])


@st.composite
def _mailmap_lines(draw: Any) -> str:
    made = []
    for _ in range(draw(st.integers(0, 6))):
        form = draw(st.integers(0, 4))
        name, other, one, two = draw(_WORD), draw(_WORD), draw(_ADDRESS), draw(_ADDRESS)
        made.append(
            [
                f"{name} <{one}>",
                f"<{one}> <{two}>",
                f"{name} <{one}> <{two}>",
                f"{name} <{one}> {other} <{two}>",
                f"# {name} <{one}>",
            ][form]
        )
    return "\n".join(made) + "\n"


@settings(max_examples=60, deadline=None)
@given(
    _mailmap_lines(), st.lists(st.tuples(_WORD.filter(bool), _ADDRESS.filter(bool)), min_size=1, max_size=8)
)
def test_mailmaps_are_read_as_git_reads_them(
    tmp_path_factory: Any, text: str, contacts: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "mailmap"
    if not folder.exists():
        Repository(folder)
    (folder / ".mailmap").write_text(text)
    asked = "".join(f"{name} <{email}>\n" for name, email in contacts)
    told = subprocess.run(
        ["git", "-C", str(folder), "check-mailmap", "--stdin"],
        input=asked.encode(),
        capture_output=True,
        env=clean_environment(),
        check=True,
    ).stdout.decode()
    mailmap = Mailmap(text)
    mine = []
    for name, email in contacts:
        who = mailmap.apply(Signature(name, email)) or Signature(name, email)
        mine.append(f"{who.name} <{who.email}>" if who.name else f"<{who.email}>")
    assert mine == told.splitlines()


def test_deciding_as_a_user_does(run: Callable[..., Any], repository: Repository, tmp_path: Path) -> None:
    repository.commit("feat: one", {"a.py": lines(60)}, author=("Bob Builder", "bob@work.dev"))
    repository.commit("feat: two", {"b.py": lines(60)}, author=("Bob Builder", "bob@home.dev"))
    ledger = tmp_path / "l.db"
    run("scan", repository.path, "--db", ledger)
    assert "bob@work.dev" in run("people", "suggest", "--db", ledger).stdout
    assert (
        run("list", "--person", "bob@work.dev", "--db", ledger).stdout.count("Bob Builder") == 2
    )  # one row, one sentence
    assert run("people", "merge", "bob@work.dev", "bob@home.dev", "--db", ledger).returncode == 0
    assert run("list", "--person", "bob@work.dev", "--db", ledger).stdout.count("feature") == 2
    assert "nobody looks" in run("people", "suggest", "--db", ledger).stdout
    run("people", "undo", "--db", ledger)
    assert run("list", "--person", "bob@work.dev", "--db", ledger).stdout.count("feature") == 1
    assert run("people", "merge", "bob@work.dev", "nobody@x", "--db", ledger).returncode == 2
    run("people", "split", "bob@work.dev", "--db", ledger)
    assert run("people", "undo", "--db", ledger).returncode == 0
    assert run("people", "undo", "--db", ledger).returncode == 2
    assert run("derive", "--db", ledger).returncode == 0


def test_the_mailmap_of_a_project_is_read(any_ledger: Ledger, repository: Repository) -> None:
    repository.commit(
        "feat: one", {"a.py": lines(60), ".mailmap": "Robert Builder <bob@example.dev>\n"}, author=BOB
    )
    scan_into(any_ledger, repository.path)
    with any_ledger.read() as connection:
        assert connection.scalar(sa.text("SELECT name FROM people")) == "Robert Builder"


@pytest.mark.parametrize("text", ["name_patterns = ['(']", "[[", 'agent = "x"'])
def test_own_rules_that_cannot_be_used_are_named(
    run: Callable[..., Any], repository: Repository, tmp_path: Path, text: str
) -> None:
    repository.commit("feat: one", {"a.py": lines(60)})
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bots.toml").write_text(text)
    result = run(
        "scan", repository.path, "--db", tmp_path / "l.db", ACHIEVEMENT_RULES=str(tmp_path / "rules")
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "rules" in result.stderr


def test_own_bots_are_left_out(run: Callable[..., Any], repository: Repository, tmp_path: Path) -> None:
    repository.commit("feat: one", {"a.py": lines(60)}, author=("Mighty Builder", "m@x.dev"))
    ledger = tmp_path / "l.db"
    assert "0 of them by programs" in run("scan", repository.path, "--db", ledger).stdout
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bots.toml").write_text('names = ["Mighty Builder"]\n')
    rules = {"ACHIEVEMENT_RULES": str(tmp_path / "rules")}
    assert "1 of them by programs" in run("scan", repository.path, "--db", ledger, **rules).stdout
