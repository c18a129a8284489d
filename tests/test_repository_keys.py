"""Forges take no notice of upper and lower case: a repository is one, however it is spelled."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest

from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.collecting import ensure_repository, known_spelling
from achievement_collector.ledger.reading import stored_repositories
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import repositories
from achievement_collector.ledger.work import ci_reports, names_of, pull_requests
from achievement_collector.services.ci_metrics import Submission, ingest
from achievement_collector.services.records import Query, list_achievements
from achievement_collector.services.repository_names import repository_key, repository_name
from achievement_collector.services.scanning import ScanProgress, scan
from tests.git_repositories import Repository, lines
from tests.outside_world import World, day, merged

FORGE = "github.com/Acme/Gitty"
TYPED = "github.com/acme/gitty"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def places(ledger: Ledger) -> list[str]:
    with ledger.read() as connection:
        return [place.key for place in stored_repositories(connection)]


@pytest.mark.parametrize("clone_first", [True, False])
def test_a_clone_and_webhooks_of_one_repository_give_each_achievement_once(
    any_ledger: Ledger, repository: Repository, clone_first: bool
) -> None:
    world = World(any_ledger)
    repository.git("remote", "add", "origin", f"https://{TYPED}.git")
    repository.commit("Add part 12 (#12)", {"part.py": lines(80)})
    sha = repository.git("rev-parse", "HEAD").strip()

    def clone() -> None:
        for _ in range(2):  # the second finds the checkout as it is stored
            (scanned,) = scan(any_ledger, [repository.path], world.settings, 1_790_000_000, ScanProgress())
            assert not scanned.error
        world.conclude()

    def webhook() -> None:
        world.tell(merged(12, day(2), place=FORGE, merge_sha=sha))

    for step in (clone, webhook) if clone_first else (webhook, clone):
        step()
    assert places(any_ledger) == [TYPED if clone_first else FORGE]
    (one,) = world.achievements()
    assert (one.pull_request, one.repository, one.commits) == (12, places(any_ledger)[0], (sha,))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_webhooks_in_several_spellings_are_of_one_repository(
    any_ledger: Ledger, order: tuple[int, ...]
) -> None:
    world = World(any_ledger)
    story = [merged(1, day(1), place=FORGE), merged(2, day(2), place=TYPED), merged(1, day(1), place=TYPED)]
    for number in order:
        world.tell(story[number])
    assert [one.pull_request for one in world.achievements()] == [2, 1]
    assert places(any_ledger) == [story[order[0]].scope]
    with any_ledger.read() as connection:
        assert len(pull_requests(connection, repository="github.com/ACME/GITTY")) == 2
        assert len(pull_requests(connection, keys=["github.com/ACME/GITTY#1"])) == 1
        assert sorted(names_of(connection, "github.com/ACME/GITTY")) == [FORGE, TYPED]


def test_a_ledger_that_has_both_records_already_gets_one(any_ledger: Ledger, repository: Repository) -> None:
    world = World(any_ledger)
    repository.git("remote", "add", "origin", f"https://{TYPED}.git")
    repository.commit("Add a viewer", {"view.py": lines(80)})
    scan(any_ledger, [repository.path], world.settings, 1_790_000_000, ScanProgress())
    with any_ledger.write() as connection:
        connection.execute(
            repositories.insert().values(key=FORGE, uid=FORGE, name="Gitty", object_format="sha1")
        )
    world.tell(merged(7, day(2), place=FORGE))
    assert places(any_ledger) == [TYPED]
    assert sorted(one.pull_request or 0 for one in world.achievements()) == [0, 7]


def test_measures_reach_the_pull_request_however_ci_spells_the_repository(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(12, day(2), place="github.com/BigCo/App"))
    taken = ingest(
        any_ledger,
        Submission("bigco/app", "a" * 40, build_time=12.0, pull_request=12),
        world.settings,
        world.now,
    )
    assert taken.repository == "github.com/BigCo/App"
    world.conclude()
    assert places(any_ledger) == ["github.com/BigCo/App"]
    with any_ledger.read() as connection:
        assert [one.pull_request for one in ci_reports(connection, "github.com/BigCo/App")] == [12]


def test_measures_that_came_first_are_found_as_well(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    ingest(any_ledger, Submission("bigco/app", "a" * 40, build_time=12.0), world.settings, world.now)
    world.conclude()
    world.tell(merged(12, day(2), place="github.com/BigCo/App"))
    assert len(places(any_ledger)) == 1
    assert [one.pull_request for one in world.achievements()] == [12]
    with any_ledger.read() as connection:
        assert len(ci_reports(connection, "github.com/BigCo/App")) == 1


@pytest.mark.parametrize(
    "name",
    [
        "../../etc", "..", "acme/..", "./rocket", "acme/.", "github.com/acme/..", "../acme/rocket", "https://../a/b", "acme",
        "acme//rocket", "/", "", "acme/ro cket", "acme/rocket?x", "host:80x/acme/rocket", "a:80/rocket",
        f"{'h' * 256}/acme/rocket",
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_repository_is_refused(ledger: Ledger, name: str) -> None:
    world = World(ledger)
    with pytest.raises(CollectorError, match=r"names no repository; give owner/name or host/owner/name$"):
        ingest(ledger, Submission(name, "a" * 40, build_time=1.0), world.settings, NOW)
    with pytest.raises(CollectorError, match="is no repository; name it as owner/name"):
        repository_name(name)
    assert places(ledger) == []


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("acme/rocket", "github.com/acme/rocket"), ("acme/.github", "github.com/acme/.github"),
        ("GHE.example:8443/Acme/rocket.git", "ghe.example:8443/Acme/rocket"), ("https://github.com/a/b.git/", "github.com/a/b"),
        ("gitlab.example/acme/tools/rocket", "gitlab.example/acme/tools/rocket"), (" ~ada/rocket ", "github.com/~ada/rocket"),
    ],
)  # fmt: skip
def test_a_repository_is_known_by_host_owner_and_name(name: str, key: str) -> None:
    assert repository_key(name) == key


def test_a_filter_names_a_repository_in_any_spelling(any_ledger: Ledger) -> None:
    World(any_ledger).tell(merged(1, day(1), place=FORGE))
    for name in ("acme/gitty", "GITTY", TYPED, FORGE):
        assert list_achievements(any_ledger, Query(repository=name), NOW).matching == 1
    with pytest.raises(NotFoundError):
        list_achievements(any_ledger, Query(repository="itty"), NOW)


def test_only_forges_that_take_no_notice_of_case_are_treated_so(any_ledger: Ledger) -> None:
    known = [
        "github.com/A/B", "gitlab.example.com/A/B", "bitbucket.org/A/B", "codeberg.org/A/B", "git.example.com/A/B", "local/Big",
    ]  # fmt: skip
    with any_ledger.write() as connection:
        for key in known:
            ensure_repository(connection, key)
        found = {key: known_spelling(connection, key.lower()) for key in known}
        assert known_spelling(connection, "github.com/a/other") == "github.com/a/other"
    assert {key for key in known if found[key] == key} == set(known[:4])


def test_a_rename_that_changes_only_the_case_changes_nothing(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(merged(1, day(1), place=TYPED))
    world.tell(Observation(Kind.REPOSITORY, TYPED, day(2), {"moved_to": FORGE}))
    world.tell(merged(2, day(3), place=FORGE))
    assert places(any_ledger) == [TYPED]
    assert len(world.achievements()) == 2
