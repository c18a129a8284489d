"""From commits to changes and credit, told by the record of real repositories."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from achievement_collector.derive.sizes import unwritten
from achievement_collector.ledger.store import Ledger
from tests.conftest import scan_into
from tests.git_repositories import ALICE, BOB, Repository, lines


def record(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """title -> row of every change and release in the ledger."""
    with ledger.read() as connection:
        rows = connection.execute(sa.text("SELECT * FROM achievements ORDER BY id")).mappings().all()
        people: dict[int, set[str]] = {}
        for number, name in connection.execute(
            sa.text(
                "SELECT c.achievement_id, s.name FROM achievement_credits c JOIN signatures s ON s.id = c.signature_id"
            )
        ):
            people.setdefault(number, set()).add(name)
    return {
        row["title"]: {**row, "detail": json.loads(row["detail"]), "people": people.get(row["id"], set())}
        for row in rows
    }


def pull_request(
    repository: Repository, number: int, title: str, commits: int = 2, author: tuple[str, str] = ALICE
) -> str:
    """A merged pull request as GitHub makes it."""
    repository.branch(f"topic-{number}", "main")
    for step in range(commits):
        repository.commit(f"step {step} of {number}", {f"pr{number}/{step}.py": lines(40)}, author=author)
    repository.switch("main")
    return repository.merge(
        f"topic-{number}", message=f"Merge pull request #{number} from owner/topic-{number}\n\n{title}"
    )


def test_a_merged_pull_request_is_one_change(any_ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    pull_request(repository, 12, "Add the parser", commits=3, author=BOB)
    scan_into(any_ledger, repository.path)
    change = record(any_ledger)["Add the parser"]
    assert change["pull_request"] == 12
    assert change["is_counted"]
    assert len(change["detail"]["commits"]) == 3
    assert change["detail"]["size"][0] == 120
    assert change["people"] == {"Bob Builder"}


def test_squashed_and_rebased_pull_requests_are_told_by_their_number(
    ledger: Ledger, repository: Repository
) -> None:
    repository.commit("start")
    repository.commit("feat: squashed (#7)", {"a.py": lines(60)})
    scan_into(ledger, repository.path)
    assert record(ledger)["Squashed"]["pull_request"] == 7


def test_merges_of_gitlab_and_bitbucket_are_understood(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    for name in ("gitlab", "bitbucket"):
        repository.branch(name, "main")
        repository.commit(f"Work for {name}", {f"{name}.py": lines(60, name)})
        repository.commit(f"More for {name}", {f"{name}2.py": lines(60, name)})
    repository.switch("main")
    repository.merge(
        "gitlab",
        message="Merge branch 'gitlab' into 'main'\n\nAdd the pipeline view\n\nSee merge request group/project!34",
    )
    repository.merge("bitbucket", message="Merged in bitbucket (pull request #5)\n\nSpeed up the list")
    scan_into(ledger, repository.path)
    found = record(ledger)
    assert found["Add the pipeline view"]["pull_request"] == 34
    assert found["Speed up the list"]["pull_request"] == 5


def test_a_merge_that_brings_lines_together_is_no_change(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    repository.branch("topic", "main")
    repository.commit("feat: the topic", {"t.py": lines(70)})
    repository.switch("main")
    repository.commit("feat: meanwhile", {"m.py": lines(70)})
    repository.switch("topic")
    repository.merge("main", message="Merge branch 'main' into topic")
    repository.commit("feat: after the sync", {"u.py": lines(70)})
    repository.switch("main")
    repository.merge("topic", message="Merge branch 'topic'")
    scan_into(ledger, repository.path)
    found = {title: row for title, row in record(ledger).items() if row["is_counted"]}
    assert "Meanwhile" in found
    assert len(found["Meanwhile"]["detail"]["commits"]) == 1
    topic = next(row for title, row in found.items() if title != "Meanwhile")
    assert len(topic["detail"]["commits"]) == 2


def test_a_revert_takes_the_credit_and_a_reland_gives_it_back(
    any_ledger: Ledger, repository: Repository
) -> None:
    repository.commit("start")
    sha = repository.commit("feat: risky", {"a.py": lines(80)})
    scan_into(any_ledger, repository.path)
    assert record(any_ledger)["Risky"]["is_counted"]
    revert = repository.commit(f'Revert "feat: risky"\n\nThis reverts commit {sha}.', remove=("a.py",))
    scan_into(any_ledger, repository.path)
    found = record(any_ledger)
    assert not found["Risky"]["is_counted"]
    assert found["Risky"]["left_out_reason"] == f"reverted by commit {revert[:12]}"
    assert [row["category"] for row in found.values() if row["left_out_reason"].startswith("a revert")] == [
        "revert"
    ]
    repository.commit(f'Revert "Revert "feat: risky""\n\nThis reverts commit {revert}.', {"a.py": lines(80)})
    scan_into(any_ledger, repository.path)
    assert record(any_ledger)["Risky"]["is_counted"]


def test_a_revert_that_quotes_nothing_is_one(ledger: Ledger, repository: Repository) -> None:
    repository.commit("refactor(api): use the crate (#4)", {"a.py": lines(80)})
    repository.commit("revert: refactor(api): use the crate (#5)", {"a.py": lines(2)})
    repository.commit("revert(schema): move it back", {"b.py": lines(80)})
    scan_into(ledger, repository.path)
    found = record(ledger)
    assert [title for title, one in found.items() if one["is_counted"]] == ["Move it back (schema)"]
    assert {one["left_out_reason"] for one in found.values() if not one["is_counted"]} == {
        "reverted by #5",
        "a revert: it takes credit away and earns none",
    }


def test_the_reverted_part_of_a_pull_request_leaves_the_rest(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    pull_request(repository, 3, "Three steps", commits=3)
    step = repository.git("rev-parse", "HEAD^2")
    repository.commit(f'Revert "step 2 of 3"\n\nThis reverts commit {step}.', remove=("pr3/2.py",))
    scan_into(ledger, repository.path)
    assert record(ledger)["Three steps"]["is_counted"]


def test_a_picked_commit_is_credited_once(any_ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    repository.tag("v1.0.0", "one")
    repository.branch("1.x", "main")
    repository.switch("main")
    fix = repository.commit("fix: the leak", {"leak.py": lines(60)})
    repository.switch("1.x")
    repository.git("cherry-pick", "-x", fix)
    repository.tag("v1.0.1", "one one")
    repository.switch("main")
    scan_into(any_ledger, repository.path)
    with any_ledger.read() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT is_counted, left_out_reason FROM achievements WHERE title = 'The leak' ORDER BY is_counted DESC"
            )
        ).all()
    assert [bool(row.is_counted) for row in rows] == [True, False]
    assert "copy of" in rows[1].left_out_reason


def test_a_rebased_branch_is_recognised_by_its_patch(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    repository.branch("topic")
    repository.commit("feat: moved about", {"a.py": lines(70)})
    repository.switch("main")
    repository.commit("other", {"o.py": "x\n"})
    repository.git("cherry-pick", "topic")
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        counted = connection.scalar(
            sa.text("SELECT count(*) FROM achievements WHERE title = 'Moved about' AND is_counted")
        )
    assert counted == 1


def test_an_unmerged_branch_earns_nothing_yet(ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    repository.branch("wip")
    repository.commit("feat: not there yet", {"a.py": lines(70)})
    repository.switch("main")
    scan_into(ledger, repository.path)
    change = record(ledger)["Not there yet"]
    assert not change["is_counted"]
    assert change["left_out_reason"] == "not merged: only on wip"
    repository.git("merge", "--quiet", "--ff-only", "wip")
    scan_into(ledger, repository.path)
    assert record(ledger)["Not there yet"]["is_counted"]


def test_releases_gather_their_changes(any_ledger: Ledger, repository: Repository) -> None:
    repository.commit("feat: first", {"a.py": lines(60)})
    repository.tag("v1.0.0", "The first release.")
    repository.commit("feat: second", {"b.py": lines(60)})
    repository.tag("v1.1.0-rc1", "candidate")
    repository.commit("fix: third", {"c.py": lines(60)}, author=BOB)
    repository.tag("v1.1.0", "The second release.")
    repository.commit("feat: later", {"d.py": lines(60)})
    repository.tag("nightly")
    scan_into(any_ledger, repository.path)
    found = record(any_ledger)
    assert found["First"]["released_in"] == "v1.0.0"
    assert found["Second"]["released_in"] == found["Third"]["released_in"] == "v1.1.0"
    assert found["Later"]["released_in"] == ""
    releases = [row for row in found.values() if row["kind"] == "release"]
    assert [row["title"] for row in releases] == ["project release 1.0.0", "project release 1.1.0"]
    second = releases[1]["detail"]
    assert second["changes"] == 2
    assert second["previous"] == "v1.0.0"
    assert any("a minor version" in part[2] for part in second["impact"])
    assert any("2 people" in part[2] for part in second["impact"])


def test_what_does_not_count_is_kept_with_its_reason(ledger: Ledger, repository: Repository) -> None:
    repository.write("package-lock.json", lines(10))
    repository.commit("start", {"src/app.py": "".join(f"if x{n}:\n  call({n})\n" for n in range(40))})
    repository.commit("Update lock file", {"package-lock.json": lines(900, "dep")})
    repository.commit("Vendor it", {"vendor/lib/x.go": lines(900)})
    repository.commit(
        "Reindent", {"src/app.py": "".join(f"if x{n}:\n        call({n})\n" for n in range(40))}
    )
    repository.git("mv", "src/app.py", "src/moved.py")
    repository.commit("Move it", {})
    repository.commit("Bump version to 2.0.0", {"version.py": '__version__ = "2.0.0"\n'})
    repository.commit("Correct a word", {"readme.md": "a word\n"})
    scan_into(ledger, repository.path)
    found = record(ledger)
    reasons = {title: row["left_out_reason"] for title, row in found.items() if not row["is_counted"]}
    assert "lock files" in reasons["Update lock file"]
    assert "vendored" in reasons["Vendor it"]
    assert "white space only" in reasons["Reindent"]
    assert "moved" in reasons["Move it"]
    assert "version" in reasons["Bump version to 2.0.0"]
    assert "no declared type" in reasons["Correct a word"]


def test_formatting_that_the_project_lists_does_not_count(ledger: Ledger, repository: Repository) -> None:
    sha = repository.commit("Format everything", {"a.py": lines(400)})
    repository.commit("chore: ignore it in blame", {".git-blame-ignore-revs": f"# formatting\n{sha}\n"})
    scan_into(ledger, repository.path)
    assert "git-blame-ignore-revs" in record(ledger)["Format everything"]["left_out_reason"]


def test_what_a_formatter_or_a_translation_platform_wrote_is_nobodys_work(
    ledger: Ledger, repository: Repository
) -> None:
    repository.commit("feat: start", {"a.py": lines(80), "docs/de/guide.md": lines(80)})
    repository.commit("Reformat with black", {"a.py": lines(80, "b")})
    repository.commit("docs(i18n): New Crowdin updates (#3)", {"docs/de/guide.md": lines(80, "d")})
    repository.commit("chore: configure black and prettier", {"a.py": lines(80, "c")})
    repository.commit("docs(i18n): translate the guide", {"docs/de/guide.md": lines(80, "e")})
    scan_into(ledger, repository.path)
    found = record(ledger)
    assert {title for title, one in found.items() if one["is_counted"]} == {
        "Start",
        "Configure black and prettier",
        "Translate the guide (i18n)",
    }
    reasons = {one["left_out_reason"] for one in found.values() if not one["is_counted"]}
    assert reasons == {
        "nothing that counts as work: formatting, as its subject says: 160 lines",
        "nothing that counts as work: brought in from a translation platform: 160 lines",
    }


@pytest.mark.parametrize(
    ("subject", "path", "is_meant"),
    [
        ("Reformat with black", "a.py", True),
        ("style: run prettier (#3)", "web/a.vue", True),
        ("style: run prettier", "README.md", True),
        ("cargo fmt", "src/a.rs", True),
        ("Run black on all files", "tests/test_a.py", True),
        ("New Crowdin updates", "docs/de/guide.md", True),
        ("Run black on CI", ".github/workflows/ci.yml", False),
        ("ci: run prettier", ".github/workflows/ci.yml", False),
        ("Apply black to the header", "web/header.css", False),
        ("feat: biome", "world/biome.ts", False),
        ("Import strings from Weblate", "sync/weblate.py", False),
        ("feat: sync translations from crowdin", "docs/translating.md", False),
    ],
)
def test_only_what_a_tool_can_write_is_taken_for_its_work(subject: str, path: str, is_meant: bool) -> None:
    found = unwritten(subject)
    assert (found is not None and found.covers(path)) is is_meant


def test_what_is_written_beside_what_a_formatter_wrote_counts(ledger: Ledger, repository: Repository) -> None:
    repository.commit("feat: start", {"a.py": lines(80)})
    repository.commit("chore: apply black", {"a.py": lines(80, "b"), "web/a.ts": lines(90, "t")})
    scan_into(ledger, repository.path)
    one = record(ledger)["Apply black"]
    assert one["is_counted"]
    assert one["detail"]["size"][:3] == [90, 0, 1]


def test_lines_replaced_in_place_in_many_files_are_one_small_edit(
    ledger: Ledger, repository: Repository
) -> None:
    names = [f"part{number % 5}/{number}.py" for number in range(40)]
    repository.commit("feat: start", {name: lines(30, "old") for name in names})
    repository.commit(
        "feat: rename the module", {name: lines(30, "old").replace("old 1", "new 1") for name in names}
    )
    repository.commit("feat: write forty parts", {f"more/{number}.py": lines(20) for number in range(40)})
    scan_into(ledger, repository.path)
    parts = {
        title: {name: points for name, points, _ in one["detail"]["impact"]}
        for title, one in record(ledger).items()
    }
    assert "reach" not in parts["Rename the module"]
    assert parts["Rename the module"]["extent"] < 0.5 * parts["Write forty parts"]["extent"]


def test_raising_a_dependency_is_maintenance_unless_work_followed(
    ledger: Ledger, repository: Repository
) -> None:
    repository.commit(
        "feat(deps): bump github.com/acme/env/v6 from 6.9.3 to 6.10.0", {"go.mod": "a\n", "go.sum": lines(60)}
    )
    repository.commit("feat: update nfpm to v2.9.2 (#5)", {"go.mod": "b\n", "main.go": lines(20)})
    repository.commit("feat: update nfpm to v3.0.0", {"go.mod": "c\n", "main.go": lines(80, "y")})
    repository.commit("feat: update the limit to 30", {"main.go": lines(20, "z")})
    repository.commit("fix: update the timeout to 1.5", {"main.go": lines(20, "w")})
    scan_into(ledger, repository.path)
    categories = {title: one["category"] for title, one in record(ledger).items()}
    assert categories == {
        "Bump github.com/acme/env/v6 from 6.9.3 to 6.10.0": "maintenance",
        "Update nfpm to v2.9.2": "maintenance",
        "Update nfpm to v3.0.0": "feature",
        "Update the limit to 30": "feature",
        "Update the timeout to 1.5": "bugfix",
    }


def test_skills_and_guides_are_not_read_out_of_fixtures_requirements_and_lists_of_people(
    ledger: Ledger, repository: Repository
) -> None:
    repository.commit(
        "feat: start",
        {
            "requirements/dev.txt": lines(60), "AUTHORS": lines(60), "docs/.gitignore": lines(60), "docs/conf.toml": lines(60),
            "tests/testdata/Dockerfile.bad": lines(60), "tests/fixtures/package.json": '{"dependencies": {"react": "1"}}',
            "internal/testdata/golden.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
            "vendor/app/package.json": '{"dependencies": {"vue": "1"}}',
        },
    )  # fmt: skip
    repository.commit(
        "feat: more",
        {
            "docs/guide.md": lines(60),
            "Dockerfile": lines(60),
            "package.json": '{"dependencies": {"react": "1"}}',
        },
    )
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        told = connection.execute(
            sa.text(
                "SELECT a.title, s.name FROM achievement_skills s JOIN achievements a ON a.id = s.achievement_id"
            )
        ).all()
    skills = {title: {name for one, name in told if one == title} for title in ("Start", "More")}
    assert skills["Start"].isdisjoint(
        {"Technical writing", "Docker", "Containers", "Kubernetes", "React", "Vue"}
    )
    assert skills["More"] >= {"Technical writing", "Docker", "Containers", "React"}
    impact = record(ledger)["Start"]["detail"]["impact"]
    assert "documentation" not in [name for name, _, _ in impact]


def test_jsx_is_a_sign_of_react_only_where_react_is_declared(
    any_ledger: Ledger, repository: Repository
) -> None:
    repository.commit(
        "feat: a page", {"page.tsx": lines(60), "fixtures/package.json": '{"dependencies": {"react": "1"}}'}
    )
    scan_into(any_ledger, repository.path)

    def found() -> dict[str, set[str]]:
        with any_ledger.read() as connection:
            told = connection.execute(
                sa.text(
                    "SELECT a.title, s.name FROM achievement_skills s JOIN achievements a ON a.id = s.achievement_id"
                )
            ).all()
        return {title: {name for one, name in told if one == title} for title, _ in told}

    assert found()["A page"] == {"TypeScript"}
    repository.commit("chore: dependencies", {"package.json": '{"dependencies": {"react": "1"}}'})
    repository.commit("feat: another page", {"other.tsx": lines(60)})
    scan_into(any_ledger, repository.path)
    assert found()["Another page"] == {"TypeScript", "React"} == found()["A page"]


def test_what_a_template_of_a_pull_request_says_is_no_description(
    ledger: Ledger, repository: Repository
) -> None:
    body = (
        "<!--\nHi, thanks for contributing!\n-->\n\n...\n\nIt reads the file once.\n\n<!-- links -->\n\n..."
    )
    repository.commit(f"feat: one (#1)\n\n{body}", {"a.py": lines(60)})
    repository.commit("feat: two\n\nBefore\n...\nafter", {"b.py": lines(60)})
    scan_into(ledger, repository.path)
    found = record(ledger)
    assert found["One"]["description"] == "It reads the file once."
    assert found["Two"]["description"] == "Before\n...\nafter"


def test_a_telling_word_or_a_type_makes_a_small_change_count(ledger: Ledger, repository: Repository) -> None:
    repository.commit("Implement retries", {"a.py": lines(5)})
    repository.commit("fix: wrong sign", {"b.py": lines(2)})
    repository.commit("Many lines", {"c.py": lines(51)})
    repository.commit("Not enough lines", {"d.py": lines(50)})
    scan_into(ledger, repository.path)
    found = record(ledger)
    assert found["Implement retries"]["detail"]["reason"] == 'its title says "implement"'
    assert found["Wrong sign"]["detail"]["reason"] == 'declared type "fix"'
    assert found["Many lines"]["is_counted"]
    assert not found["Not enough lines"]["is_counted"]


def test_bots_are_left_out_and_agents_assist(any_ledger: Ledger, repository: Repository) -> None:
    repository.commit("start")
    bot = ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com")
    repository.commit("build(deps): bump x from 1 to 2", {"requirements.txt": lines(80)}, author=bot)
    repository.commit(
        "feat: with help\n\nCo-Authored-By: Claude <noreply@anthropic.com>\nCo-authored-by: Bob Builder <bob@example.dev>",
        {"a.py": lines(70)},
    )
    agent = ("copilot-swe-agent[bot]", "198982749+Copilot@users.noreply.github.com")
    repository.commit("feat: by an agent", {"b.py": lines(70)}, author=agent, committer=BOB)
    scan_into(any_ledger, repository.path)
    found = record(any_ledger)
    bumped = next(row for row in found.values() if row["is_bot"])
    assert bumped["left_out_reason"] == "made by a program: dependabot[bot]"
    assert found["With help"]["people"] == {"Alice Archer", "Bob Builder"}
    assert found["With help"]["detail"]["assisted_by"] == ["Claude"]
    assert found["By an agent"]["people"] == {"Bob Builder"}
    assert found["By an agent"]["detail"]["assisted_by"] == ["GitHub Copilot"]


def test_a_stated_difference_is_quoted_and_nothing_else_is_a_value(
    ledger: Ledger, repository: Repository
) -> None:
    repository.commit(
        "perf: cache the lookup\n\nThis reduces the load time from 850 ms to 120 ms on the large tenant.",
        {"a.py": lines(60)},
    )
    repository.commit("feat: something else\n\nIt is much better now.", {"b.py": lines(60)})
    scan_into(ledger, repository.path)
    found = record(ledger)
    value = found["Cache the lookup"]["detail"]["value"]
    assert value["kind"] == "stated"
    assert "from 850 ms to 120 ms" in value["text"]
    assert "value" not in found["Something else"]["detail"]


def test_deriving_again_gives_the_same_and_asks_git_nothing(
    any_ledger: Ledger, repository: Repository
) -> None:
    import shutil

    from achievement_collector.services.scanning import derive_all
    from tests.conftest import settings

    repository.commit("start")
    pull_request(repository, 1, "One")
    for number in range(30):
        repository.commit(f"feat: number {number}", {f"{number}.py": lines(20 + number * 9)})
    repository.tag("v1.0.0", "one")
    scan_into(any_ledger, repository.path)
    before = record(any_ledger)
    shutil.rmtree(repository.path)
    derive_all(any_ledger, settings(), everything=True)
    after = record(any_ledger)
    for row in (*before.values(), *after.values()):
        row.pop("id")
    assert before == after
    derive_all(any_ledger, settings(min_lines=5000), everything=False)
    assert all(
        row["detail"].get("reason", "") != "60 changed lines, more than 50"
        for row in record(any_ledger).values()
    )


def test_portfolio_ready_are_five_to_fifteen_percent(ledger: Ledger, repository: Repository) -> None:
    import random

    chance = random.Random(3)
    repository.commit("start")
    for number in range(120):
        size = int(chance.lognormvariate(3.6, 1.3)) + 1
        kind = chance.choice(["feat", "fix", "fix", "docs", "chore", "test", "refactor"])
        files = {
            f"area{chance.randrange(6)}/{number}-{part}.py": lines(max(1, size // 2))
            for part in range(chance.randrange(1, 4))
        }
        repository.commit(f"{kind}: change {number}", files)
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        counted = connection.scalar(sa.text("SELECT count(*) FROM achievements WHERE is_counted"))
        ready = connection.scalar(
            sa.text("SELECT count(*) FROM achievements WHERE is_counted AND impact >= 70")
        )
    assert counted
    assert 0.05 <= ready / counted <= 0.15


def test_the_parts_of_a_score_add_up_to_it(ledger: Ledger, repository: Repository) -> None:
    from achievement_collector.ledger.selection import Filter, select_achievements

    for number in range(40):
        repository.commit(
            f"feat: number {number}\n\nFixes #{number + 100}",
            {f"d{number % 5}/{number}.py": lines(5 + number * 30)},
        )
    scan_into(ledger, repository.path)
    with ledger.read() as connection:
        found = select_achievements(connection, Filter())
    assert len(found) == 40
    for one in found:
        for score in (one.impact, one.complexity):
            assert abs(sum(part.points for part in score.parts) - score.value) < 1.0
            assert all(part.fact for part in score.parts)
            assert 0 <= score.value <= 100


def test_areas_that_are_called_like_types_declare_nothing(ledger: Ledger, repository: Repository) -> None:
    for number in range(30):
        repository.commit(f"http: part {number}", {f"{number}.c": lines(60, str(number))})
        repository.commit(f"docs: part {number}", {f"{number}.md": lines(5, str(number))})
    repository.commit("security: minor updates", {"SECURITY.md": lines(3)})
    scan_into(ledger, repository.path)
    change = next(row for title, row in record(ledger).items() if "inor updates" in title)
    assert not change["is_counted"]
    assert change["category"] != "security"
