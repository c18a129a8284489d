"""KPIs as users meet them: the commands, the API, the client, Python, and the server's own time table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import achievement_collector
from achievement_collector.cli.main import app
from achievement_collector.errors import CollectorError
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.services.doctor import examine
from achievement_collector.services.kpis import scrape
from tests.outside_world import World, day, merged
from tests.prometheus_server import prometheus_with
from tests.serving import ServerProcess, server_settings, serving, until, work_off
from tests.test_kpis import LATENCY, Scripted, _answer, hourly, released, serve, step


def run(*arguments: str, **environment: str) -> Any:
    return CliRunner(env={"COLUMNS": "160", **environment}).invoke(app, list(arguments))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "ledger.db")


def test_the_commands_tell_what_was_measured_and_what_was_not(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Scripted()
    with serve(fake) as served:
        monkeypatch.setenv("PROMETHEUS_URL", served.url)
        Path("achievement-tracker.yaml").write_text(
            "tracking:\n  prometheus:\n    history_days: 0\n    kpis:\n"
            "      - {name: latency, query: latency_seconds, direction: lower, target: 0.5, unit: s}\n"
            "      - {name: silent, query: nothing, direction: higher}\n"
        )
        _answer(fake, 0.8)
        first = run("kpi", "scrape", "latency", "--db", file)
        assert first.exit_code == 0, first.output
        assert "1 KPI asked for: 1 series, 1 new sample, 0 milestones" in first.stdout
        _answer(fake)
        assert (
            "not measured (Prometheus has no value): silent"
            in run("kpi", "scrape", "silent", "--db", file).stdout
        )
        assert "no KPI is called 'bogus'" in str(run("kpi", "scrape", "bogus", "--db", file).exception)
    listed = run("kpi", "list", "--db", file).stdout
    assert "800 ms" in listed
    assert "at most 500 ms" in listed
    assert "not measured" in listed
    shown = json.loads(run("kpi", "show", "latency", "--json", "--db", file).stdout)
    assert shown["last"]["value"] == 0.8
    assert shown["reaches_target"] is False
    assert shown["dynamic_threshold"]["usual"] is None
    assert shown["series_found"][0]["state"] == "not enough data"
    status = run("kpi", "status", "--db", file).stdout
    assert "latency: 0.8 at" in status
    assert "silent: not measured" in status


def test_a_milestone_can_be_stated_on_the_command_line(file: str) -> None:
    first = run("kpi", "milestone", "signups", "1200", "--target", "1000", "--by", "Ada", "--db", file)
    assert first.exit_code == 0, first.output
    assert "signups reached 1,200, the target was 1,000" in first.stdout
    again = run("kpi", "milestone", "signups", "1210", "--target", "1000", "--db", file)
    assert "recorded, no milestone: 1210 is not 10% better than 1200" in again.stdout
    worse = run("kpi", "milestone", "cost", "5", "--target", "4", "--lower", "--db", file)
    assert "does not reach the target" in worse.stdout
    listed = run("list", "--kind", "kpi", "--db", file).stdout
    assert "signups reached 1,200" in listed


def test_python_programs_state_milestones(file: str) -> None:
    told = achievement_collector.track_kpi_milestone(
        "revenue", 21_000.0, 20_000.0, unit="$", told_by="billing", database=file
    )
    assert told is not None
    assert told["metrics"]["metric_name"] == "revenue"
    assert told["metrics"]["previous_value"] is None
    assert told["business_value"]["kind"] == "stated"
    assert achievement_collector.track_kpi_milestone("revenue", 21_100.0, 20_000.0, database=file) is None
    with pytest.raises(CollectorError, match="no direction"):
        achievement_collector.track_kpi_milestone("revenue", 1.0, 1.0, direction="up", database=file)
    ledger = open_ledger(file)
    with ledger.read():
        pass
    ledger.close()
    shown = run("show", told["achievement_id"], "--db", file)
    assert "as stated by billing" in shown.stdout


def test_the_api_takes_milestones_scrapes_and_tells_its_state(any_ledger: Ledger) -> None:
    fake = Scripted()
    with serve(fake) as served:
        own = server_settings(prometheus_url=served.url, kpis=(LATENCY,), kpi_history_days=0)
        with serving(any_ledger, own) as client:
            assert client.get("/prometheus/status").json()["status"] == "waiting"
            _answer(fake, 0.8)
            told = client.post("/prometheus/scrape").json()
            assert (told["status"], told["kpis"], told["achievements_created"]) == ("completed", 1, 0)
            status = client.get("/prometheus/status").json()
            assert status["status"] == "active"
            assert status["metrics_tracked"] == ["latency"]
            assert status["thresholds"] == {"latency": 0.5}
            assert status["last_values"]["latency"]["value"] == 0.8
            made = client.post("/kpis/milestones", json={"metric_name": "nps", "value": 50, "target": 40})
            assert (made.status_code, made.json()["status"]) == (201, "created")
            again = client.post("/kpis/milestones", json={"metric_name": "nps", "value": 51, "target": 40})
            assert (again.status_code, again.json()["status"]) == (200, "recorded")
            assert "not 10% better" in again.json()["reason"]
            work_off(any_ledger, own)
            uid = made.json()["milestone"]["achievement_id"]
            shown = client.get(f"/achievements/{uid}").json()
            assert shown["kind"] == "kpi"
            assert shown["business_value"]["kind"] == "stated"
            assert {one["name"] for one in client.get("/kpis").json()} == {"latency", "nps"}
            assert client.get("/kpis/latency").json()["target"] == 0.5
            assert client.get("/kpis/bogus").status_code == 404
            assert (
                client.post(
                    "/kpis/milestones", json={"metric_name": "a b", "value": 1, "target": 1}
                ).status_code
                == 400
            )
            assert client.post("/prometheus/scrape", json={"kpis": ["bogus"]}).status_code == 404
            metrics = client.get("/metrics").text
            assert "achievement_collector_kpi_milestones_total 1.0" in metrics
            assert 'achievement_collector_prometheus_scrapes_total{result="ok"} 1.0' in metrics
    with serving(any_ledger, own) as client:
        refused = client.post("/prometheus/scrape")
        assert refused.status_code == 400
        assert client.get("/prometheus/status").json()["status"] == "failing"
        assert (
            'achievement_collector_prometheus_scrapes_total{result="failed"} 1.0'
            in client.get("/metrics").text
        )


def test_no_prometheus_is_no_error(any_ledger: Ledger) -> None:
    with serving(any_ledger, server_settings()) as client:
        assert client.get("/prometheus/status").json()["status"] == "disabled"
        refused = client.post("/prometheus/scrape")
        assert refused.status_code == 400
        assert "PROMETHEUS_URL" in refused.json()["detail"]


def test_exports_draw_the_series_with_its_change_and_its_deployments(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    from achievement_collector.services.exporting import export, export_epic
    from achievement_collector.services.records import Query

    samples = {"latency_seconds": hourly(0, 61, step(0.62, 0.41, 30.5, 0.02))}
    with prometheus_with(tmp_path / "prometheus", samples) as url:
        world = World(ledger, prometheus_url=url, kpis=(LATENCY,), kpi_history_days=40)
        world.hear(
            merged(2, day(20), author="bob", author_id=102),
            merged(1, day(30), title="perf: <b>cache</b>", body="Epic: E5.1"),
            released("1.0.0", day(21), f"{2 + 4096:040x}"),
            released("1.1.0 <script>", day(30.5), f"{1 + 4096:040x}"),
        )
        scrape(ledger, world.settings, day(60))
        world.conclude()
    now = datetime.fromtimestamp(day(60) / 1000, UTC)
    page = export(
        ledger, Query(), now, persona="investor", format="html", top=None, settings=world.settings
    ).decode()
    assert "<svg" in page
    assert "the deployment of 1.1.0 &lt;script&gt; of acme/rocket to production" in page
    assert "<script" not in page
    assert "34 % lower" in page
    assert "It coincided with" in page  # a KPI is never told without it
    for format in ("markdown", "json", "csv", "pdf", "jsonresume"):
        assert export(
            ledger, Query(), now, persona="tech-lead", format=format, top=None, settings=world.settings
        )
    data = json.loads(
        export(ledger, Query(), now, persona="tech-lead", format="json", top=None, settings=world.settings)
    )
    assert [one["kind"] for one in data["deployments"]] == ["deployment"]
    assert data["series"][0]["name"] == "latency"
    assert len(data["series"][0]["points"]) > 100
    assert re.fullmatch(r"\d+ medians of 2 hours, of \d+ samples", data["series"][0]["drawn_as"])
    assert data["series"][0]["drawn_as"] in page
    epic = export_epic(
        ledger, "E5.1", now, persona="investor", format="html", settings=world.settings
    ).decode()
    assert "<svg" in epic
    assert "coincided with the deployment of 1.1.0" in epic
    assert (
        export_epic(ledger, "E5.1", now, persona="investor", format="pdf", settings=world.settings)[:4]
        == b"%PDF"
    )


def test_doctor_tells_whether_kpis_are_asked_for(tmp_path: Path) -> None:
    found = {one.subject: one for one in examine(server_settings())}
    assert found["Prometheus"].state == "note"
    found = {one.subject: one for one in examine(server_settings(prometheus_url="http://127.0.0.1:9"))}
    assert (found["Prometheus"].state, found["Prometheus"].finding) == ("ok", "9 KPIs asked for every 24 h")


def test_what_is_shown_of_an_address_holds_no_password(ledger: Ledger) -> None:
    own = server_settings(prometheus_url="http://user:hunter2@127.0.0.1:9")
    with serving(ledger, own) as client:
        assert "hunter2" not in client.get("/prometheus/status").text
        assert "hunter2" not in client.post("/prometheus/scrape").text


def test_the_time_table_has_each_slot_once() -> None:
    from achievement_collector.workflows.background import _others

    assert _others(server_settings()) == {"roadmap": 86_400}
    told = _others(
        server_settings(
            prometheus_url="http://127.0.0.1:9",
            mlflow_url="http://127.0.0.1:9",
            threads_adaptor_url="http://127.0.0.1:9",
        )
    )
    assert told == {"roadmap": 86_400, "prometheus": 86_400, "mlflow": 900, "posts": 3600}


def test_a_server_scrapes_by_itself(tmp_path: Path) -> None:
    fake = Scripted()
    with serve(fake) as served:
        _answer(fake, 0.06)
        with ServerProcess(
            tmp_path, "--db", str(tmp_path / "ledger.db"), PROMETHEUS_URL=served.url
        ) as server:

            def ask(path: str) -> Any:
                return httpx.get(server.address + path, timeout=10).json()

            until(lambda: ask("/prometheus/status")["status"] == "active", server)
            assert ask("/kpis/posts_engagement_rate")["last"]["value"] == 0.06
