"""The worked example, end to end: signed webhooks and measures of CI in, a final epic for seven readers out."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from demo.player import GITHUB_SECRET, LINEAR_SECRET, Player
from demo.story import EPIC, PULLS, Measures, Step, revert, story
from starlette.testclient import TestClient

from achievement_collector.api.app import create_app
from achievement_collector.derive.epics import content_hash
from achievement_collector.ledger import inbox
from achievement_collector.ledger.entities import stale_things
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.services.intake import process_waiting
from achievement_collector.services.live import bring_up_to_date
from achievement_collector.workflows.loop import LiveWork
from tests.conftest import settings


class InProcess(Player):
    """Speaks to an application in this process."""

    def __init__(self, client: TestClient) -> None:
        self.http = client


@pytest.fixture
def player(any_ledger: Ledger) -> Iterator[Player]:
    own = replace(
        settings(),
        github_webhook_secret=GITHUB_SECRET,
        linear_webhook_secret=LINEAR_SECRET,
        aggregation_seconds=0.02,
    )
    with TestClient(create_app(any_ledger, own, has_worker=False), base_url="http://localhost") as client:
        yield InProcess(client)


def settled(player: Player, ledger: Ledger) -> dict[str, Any]:
    """The epic once nothing is left to be processed or concluded."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with ledger.read() as connection:
            if not stale_things(connection) and not inbox.depth(connection).counts["waiting"]:
                epic = player.epic(EPIC)
                assert epic
                return epic
        time.sleep(0.05)
    raise TimeoutError("it does not come to rest")


def final(player: Player, revision: int) -> dict[str, Any]:
    return player.wait(EPIC, lambda epic: epic["status"] == "completed" and epic["revision"] == revision, 60)


def test_an_epic_from_its_first_issue_to_its_last_version(player: Player, any_ledger: Ledger) -> None:
    opened = 0
    for step in story():
        player.play(step)
        if " opens #" in step.told:  # the draft grows while the work goes on
            opened += 1
            wanted = opened
            grown = player.wait(EPIC, lambda epic: len(epic["deliverables"]["pull_requests"]) == wanted)  # noqa: B023
            assert grown["status"] == "draft"
    epic = final(player, 1)
    told = epic["deliverables"]
    assert (told["prs_merged"], told["issues_completed"], told["issues_total"]) == (5, 5, 5)
    assert epic["title"] == "E5.1 AI-Enhanced Search"
    gain = epic["metrics"]["technical"]["best_performance_gain"]
    assert (gain["before"], gain["after"], gain["samples"]) == (0.3, 0.05, 20)
    assert "300 ms → 50 ms, 83 % faster, n=20" in gain["text"]
    assert epic["metrics"]["quality"]["test_coverage"]["value"] == 0.95
    assert epic["metrics"]["quality"]["tests_added"]["value"] == 84
    assert epic["metrics"]["quality"]["ci_success_rate"] == {"value": 1.0, "n": 5, "unknown": 0}
    assert epic["metrics"]["team"]["contributors"] == ["ada", "grace", "linus"]
    assert all(one["value"] is None for one in epic["metrics"]["business"].values())
    assert [phase["name"] for phase in epic["timeline"]["phases"]] == [
        "planning",
        "implementation",
        "completion",
    ]
    assert {one["linked_by"] for one in told["pull_requests"]} == {
        '"Epic:" in its body', "the name of its branch", "SRCH-13 in its title",
    }  # fmt: skip
    assert len(epic["evidence"]["screenshots"]) == 2
    assert len(epic["evidence"]["documents"]) == 1
    structure = {name: epic[name] for name in ("key", "title", "description", "sources", "timeline", "deliverables",
                                               "metrics", "evidence", "milestones")}  # fmt: skip
    assert content_hash(structure) == epic["content_hash"]

    # each event shows what it changed, and the versions are there for every reader
    events = player.http.get(f"/epics/{EPIC}/events").json()
    assert events[0]["kind"] == "started"
    assert all(event["changes"] for event in events if event["kind"] == "grew")
    for persona in (
        "technical",
        "business",
        "leadership",
        "hr-manager",
        "tech_lead",
        "startup_ceo",
        "investor",
    ):
        text = player.http.get(f"/epics/{EPIC}/versions/{persona}").text
        assert "E5.1 AI-Enhanced Search" in text
        assert "final, revision 1" in text
    assert [one["subject"] for one in player.http.get("/notifications").json()] == [f"{EPIC}@1"]

    # the work is counted once: five pull requests; their issues and the epic add nothing
    assert player.http.get("/stats").json()["achievements"] == 5
    kinds = [one["kind"] for one in player.http.get("/achievements").json()["achievements"]]
    assert sorted(kinds) == ["change"] * 5 + ["epic"]

    # late news: a revert
    player.play(revert())
    again = final(player, 2)
    assert again["metrics"]["quality"]["reverted"] == ["search#43"]
    assert (again["deliverables"]["prs_merged"], again["deliverables"]["prs_undone"]) == (4, 2)
    gain = again["metrics"]["technical"]["best_performance_gain"]
    assert "300 ms → 60 ms, 80 % faster, n=20" in gain["text"]  # what CI measured without #43
    assert again["metrics"]["quality"]["test_coverage"]["value"] == 0.94
    assert again["metrics"]["quality"]["tests_added"]["value"] == 71
    assert again["content_hash"] != epic["content_hash"]
    assert player.http.get("/stats").json()["achievements"] == 4
    kinds = [event["kind"] for event in player.http.get(f"/epics/{EPIC}/events").json()]
    assert kinds[-3:] == ["grew", "reopened", "finalised"]
    assert player.http.get(f"/epics/{EPIC}/versions/technical?revision=1").text.count("revision 1")


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_repetition_ends_in_the_same_epic(ledger: Ledger, seed: int) -> None:
    own = replace(
        settings(),
        github_webhook_secret=GITHUB_SECRET,
        linear_webhook_secret=LINEAR_SECRET,
        aggregation_seconds=0.02,
    )
    messages = [message for step in [*story(), revert()] for message in step.messages]
    chance = random.Random(seed)
    shuffled = [*messages, *chance.sample(messages, 12)]
    if seed:
        chance.shuffle(shuffled)
    with TestClient(create_app(ledger, own, has_worker=False), base_url="http://localhost") as client:
        player = InProcess(client)
        for message in shuffled:
            player.send(message)
        epic = settled(player, ledger)
        assert (epic["status"], epic["deliverables"]["prs_merged"]) == ("completed", 4)
        expected = {"search#43"}
        assert set(epic["metrics"]["quality"]["reverted"]) == expected
        assert epic["metrics"]["quality"]["tests_added"]["value"] == 71
        stable = {
            name: epic[name] for name in ("timeline", "deliverables", "metrics", "evidence", "milestones")
        }
        assert json.dumps(stable, sort_keys=True) == json.dumps(_undisturbed(own), sort_keys=True)
    assert len(PULLS) == 5
    assert any(isinstance(message, Measures) for message in messages)


@pytest.mark.parametrize("step", range(7))
def test_an_epic_is_final_only_once_all_that_it_rests_on_is_concluded(
    ledger: Ledger, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last news arrives between two steps of drawing conclusions: the revision made then holds, and counts once."""
    own = replace(settings(), github_webhook_secret=GITHUB_SECRET, linear_webhook_secret=LINEAR_SECRET)
    steps = list(story())
    monkeypatch.setattr(LiveWork, "start", lambda _: None)  # what is taken in is worked off by the test alone
    with TestClient(create_app(ledger, own, has_worker=False), base_url="http://localhost") as client:
        player = InProcess(client)

        def work(steps_to_play: list[Step], after: int) -> None:
            seen = 0

            def between() -> bool:
                nonlocal seen
                seen += 1
                if seen == after + 1:
                    for one in steps_to_play:
                        player.play(one)
                while process_waiting(ledger, own, now_ms()).total:
                    pass
                return True

            bring_up_to_date(ledger, own, now_ms, keep_going=between)
            between()

        work(steps[:-2], 0)
        work([], 99)
        work(steps[-2:], step)
        while stale_left(ledger):
            work([], 99)
        epic = player.epic(EPIC)
        assert epic
        assert (epic["status"], epic["revision"]) == ("completed", 1)
        assert player.http.get("/stats").json()["achievements"] == 5


def stale_left(ledger: Ledger) -> bool:
    with ledger.read() as connection:
        return bool(stale_things(connection))


_KNOWN: dict[str, Any] = {}


def _undisturbed(own: Any) -> dict[str, Any]:
    """The epic of the story in its own order."""
    if not _KNOWN:
        import tempfile
        from pathlib import Path

        from achievement_collector.ledger.store import open_ledger

        with tempfile.TemporaryDirectory() as folder:
            ledger = open_ledger(str(Path(folder) / "l.db"))
            with TestClient(create_app(ledger, own, has_worker=False), base_url="http://localhost") as client:
                player = InProcess(client)
                for step in [*story(), revert()]:
                    player.play(step)
                epic = settled(player, ledger)
            ledger.close()
        _KNOWN.update(
            {name: epic[name] for name in ("timeline", "deliverables", "metrics", "evidence", "milestones")}
        )
    return _KNOWN
