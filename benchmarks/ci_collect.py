"""Fifty thousand workflow runs behind a GitHub that shows a thousand of any search: are all collected, and how soon?

    python -m benchmarks.ci_collect [--runs 50000] [--database postgresql://...] [--kills 3]

The runs lie in three months, many thousand of them within two hours; some failed, some were run again. The collection is
stopped in the middle ``--kills`` times, as a crash would, and goes on. Then every attempt is counted, and read back.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.fakes.github import TOKEN, FakeGitHub, serve, text_of

from achievement_collector.ledger.ci_runs import attempts, counts, jobs
from achievement_collector.ledger.store import open_ledger
from achievement_collector.services.ci_runs import Reach
from achievement_collector.services.github_sync import sync_repository
from achievement_collector.sources.github.client import GitHubClient

NOW = 1_780_000_000
DAY = 86_400


class _Crash(Exception):  # noqa: N818
    pass


def fill(github: FakeGitHub, count: int) -> tuple[int, int]:
    """Puts runs into the fake; gives how many attempts, and how many of them failed."""
    order = random.Random(5)
    burst = count // 5
    moments = [NOW - order.randrange(90 * DAY) for _ in range(count - burst)]
    moments += [NOW - 40 * DAY + order.randrange(7200) for _ in range(burst)]
    plain = github.add_run(1, NOW - DAY)
    total = red = 0
    for number, at in enumerate(sorted(moments), 1):
        outcomes = order.choices([["success"], ["failure"], ["failure", "success"]], weights=[96, 2, 2])[0]
        github.runs[number] = [
            {
                **plain, "id": number, "head_sha": f"{number:040x}", "created_at": text_of(at), "run_attempt": place,
                "run_started_at": text_of(at + place * 60), "updated_at": text_of(at + place * 60 + 30), "conclusion": outcome,
            }
            for place, outcome in enumerate(outcomes, 1)
        ]  # fmt: skip
        total += len(outcomes)
        red += outcomes.count("failure")
    return total, red


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--kills", type=int, default=3)
    chosen = parser.parse_args()
    github = FakeGitHub(lambda: float(NOW))
    github.is_strict, github.remaining, github.limit = False, 10**9, 10**9
    total, red = fill(github, chosen.runs)
    with tempfile.TemporaryDirectory() as folder, serve(github):
        ledger = open_ledger(chosen.database or str(Path(folder) / "ledger.db"))
        client = GitHubClient(github.url, TOKEN, sleep=lambda _seconds: None, clock=lambda: float(NOW))
        begun, left, crashes = time.perf_counter(), [0], 0

        def progress(stage: str, *_: object) -> None:
            left[0] -= stage == "runs"
            if left[0] == 0:
                raise _Crash

        for kill in range(chosen.kills + 1):
            left[0] = chosen.runs // 100 // (chosen.kills + 1) if kill < chosen.kills else -1
            try:
                sync_repository(
                    ledger,
                    client,
                    "acme/rocket",
                    NOW * 1000,
                    host="github.com",
                    progress=progress,
                    reach=Reach(requests=0),
                )
            except _Crash:
                crashes += 1
        took = time.perf_counter() - begun
        with ledger.read() as connection:
            begun = time.perf_counter()
            found = attempts(connection, "github.com/acme/rocket")
            read = time.perf_counter() - begun
            begun = time.perf_counter()
            jobs(connection, "github.com/acme/rocket")
            told = counts(connection, "github.com/acme/rocket")
            counted = time.perf_counter() - begun
        have = {(one.run, one.number): one.conclusion for one in found}
        wanted = {
            (number, place): one["conclusion"]
            for number, listed in github.runs.items()
            for place, one in enumerate(listed, 1)
        }
        missing = sum(key not in have for key in wanted)
        other = sum(have[key] != outcome for key, outcome in wanted.items() if key in have)
        print(
            f"{'PostgreSQL' if chosen.database else 'SQLite'}: {chosen.runs:,} runs, {total:,} attempts ({red:,} failed), "
            f"{crashes} crashes: {missing} missing, {other} with another outcome, {len(have) - len(wanted) + missing} "
            f"invented, {sum(one.is_last for one in found):,} last; {len(github.asked):,} requests, {took:.0f} s; "
            f"read back in {read:.2f} s, counted in {counted:.2f} s ({told.red:,} failed)"
        )
        client.close()
        ledger.close()


if __name__ == "__main__":
    main()
