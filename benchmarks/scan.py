"""The whole scan of a large history against one ``git log --numstat -M`` of the same history, and how long the
everyday commands take.

    python -m benchmarks.scan [--repository PATH | --commits 50000] [--rounds 2] [--json]

Without a repository a synthetic one is made (and kept in the folder for temporary files). All times are wall
times of this machine in one run; only their ratios travel. Memory is the peak of our own process: git's
processes map the repository's packs and are not ours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.synthetic import make

_RUN = """
import resource, sys
sys.argv = ["achievement-collector", *sys.argv[1:]]
from achievement_collector.cli.main import run
try:
    run()
except SystemExit as end:
    if end.code:
        raise
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


_COLLECT = """
import sys
from pathlib import Path
from achievement_collector.ledger.store import open_ledger
from achievement_collector.services.collecting import Progress, collect_repository
collect_repository(open_ledger(sys.argv[2]), Path(sys.argv[1]), 1, Progress())
"""


def timed(command: list[str], **more: Any) -> tuple[float, str]:
    """(seconds, standard error) of a command whose output nobody reads."""
    began = time.monotonic()
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True, **more
    )
    return time.monotonic() - began, done.stderr


def ours(*arguments: str) -> tuple[float, int]:
    """(seconds, peak megabytes) of one run of the program."""
    seconds, told = timed([sys.executable, "-c", _RUN, *arguments])
    return seconds, int(told.split()[-1])


def first_results(repository: Path, ledger: Path) -> float:
    """Seconds until the first achievements are on the screen; 0 where the history is too short for that."""
    command = [sys.executable, "-m", "achievement_collector", "scan", str(repository), "--db", str(ledger)]
    began = time.monotonic()
    found = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("the best of the newest") and not found:
                found = time.monotonic() - began
    return found


def git_alone(repository: Path, folder: Path) -> float:
    """Seconds that two ``git diff-tree`` processes need for interleaved halves of the history, nothing else done."""
    listing = [
        "git",
        "-C",
        str(repository),
        "rev-list",
        "--no-merges",
        "--branches",
        "--remotes",
        "--tags",
        "HEAD",
    ]
    shas = subprocess.run(listing, capture_output=True, check=True).stdout.splitlines(keepends=True)
    batches = [shas[start : start + 256] for start in range(0, len(shas), 256)]
    command = [
        "git",
        "-C",
        str(repository),
        "diff-tree",
        "--stdin",
        "-r",
        "-M",
        "--root",
        "--raw",
        "--numstat",
        "-z",
    ]
    began = time.monotonic()
    running = []
    for half in (0, 1):
        wanted = folder / f"half-{half}"
        wanted.write_bytes(b"".join(sha for batch in batches[half::2] for sha in batch))
        with wanted.open("rb") as stdin:
            running.append(subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL))
    for process in running:
        process.wait()
    return time.monotonic() - began


def measure(repository: Path, rounds: int) -> dict[str, Any]:
    git = [
        "git",
        "-C",
        str(repository),
        "log",
        "--numstat",
        "-M",
        "--format=%H",
        "--branches",
        "--remotes",
        "--tags",
        "HEAD",
    ]
    count = ["git", "-C", str(repository), "rev-list", "--count", "--branches", "--remotes", "--tags", "HEAD"]
    folder = Path(tempfile.mkdtemp(prefix="scan-benchmark-"))
    try:
        baseline, alone, facts, scans, memory = [], [], [], [], 0
        ledger = folder / "ledger.db"
        for _ in range(rounds):
            baseline.append(timed(git)[0])
            alone.append(git_alone(repository, folder))
            facts.append(
                timed([sys.executable, "-c", _COLLECT, str(repository), str(folder / "facts.db")])[0]
            )
            for path in folder.iterdir():
                path.unlink()
            seconds, peak = ours("scan", "--quiet", str(repository), "--db", str(ledger))
            scans.append(seconds)
            memory = max(memory, peak)
        first = first_results(repository, folder / "first.db")
        start = min(timed([sys.executable, "-c", "pass"])[0] for _ in range(5))
        again = min(ours("scan", "--quiet", str(repository), "--db", str(ledger))[0] for _ in range(3))
        found = (
            sqlite3.connect(ledger).execute("SELECT count(*), sum(is_counted) FROM achievements").fetchone()
        )
        grow(ledger, 100_000)
        listed = min(ours("list", "--db", str(ledger))[0] for _ in range(3))
        helped = min(timed([sys.executable, "-m", "achievement_collector", "--help"])[0] for _ in range(5))
        return {
            "repository": repository.name if repository.name != "repo" else repository.parent.name,
            "commits": int(subprocess.run(count, capture_output=True, text=True, check=True).stdout),
            "changes": found[0],
            "achievements": found[1],
            "git_log_numstat_seconds": round(min(baseline), 2),
            "scan_seconds": round(min(scans), 2),
            "scan_ratio": round(min(scans) / min(baseline), 3),
            "git_alone_ratio": round(min(alone) / min(baseline), 3),
            "facts_alone_ratio": round(min(facts) / min(baseline), 3),
            "first_results_seconds": round(first, 2),
            "scan_peak_mb": memory,
            "rescan_beyond_start_seconds": round(again - start, 3),
            "list_of_100k_seconds": round(listed, 3),
            "help_seconds": round(helped, 3),
            "interpreter_start_seconds": round(start, 3),
        }
    finally:
        shutil.rmtree(folder)


def grow(ledger: Path, achievements: int) -> None:
    """Copies rows under new ids until so many achievements count."""
    connection = sqlite3.connect(ledger)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(achievements)")]
    counted = connection.execute("SELECT count(*) FROM achievements WHERE is_counted").fetchone()[0]
    highest = connection.execute("SELECT max(id) FROM achievements").fetchone()[0]
    new = {"id": "id + ?1", "uid": "substr(uid, 1, 8) || printf('%04x', ?2)", "key": "key || '#' || ?2"}
    for round_ in range(1, -(-achievements // counted)):
        shift = (round_ * highest, round_)
        made = ", ".join(new.get(column, column) for column in columns)
        connection.execute(
            f"INSERT OR IGNORE INTO achievements SELECT {made} FROM achievements WHERE id <= {highest}", shift
        )
        for table in ("achievement_skills", "achievement_credits"):
            rest = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][1:]
            connection.execute(
                f"INSERT OR IGNORE INTO {table} SELECT achievement_id + ?1, {', '.join(rest)} FROM {table}"
                f" WHERE achievement_id <= {highest}",
                shift[:1],
            )
    connection.commit()
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repository", type=Path)
    parser.add_argument("--commits", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    repository = given.repository or make(
        Path(tempfile.gettempdir()) / f"synthetic-{given.commits}", given.commits
    )
    result = measure(repository.resolve(), given.rounds)
    if given.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"{result['repository']}: {result['commits']:,} commits, {result['changes']:,} changes, {os.cpu_count()} cores"
    )
    for name, bound in (
        ("scan_ratio", "goal 0.75"),
        ("git_alone_ratio", "two git processes, nothing else"),
        ("facts_alone_ratio", "facts stored, nothing concluded"),
        ("scan_seconds", ""),
        ("git_log_numstat_seconds", ""),
        ("first_results_seconds", ""),
        ("scan_peak_mb", "goal 250"),
        ("rescan_beyond_start_seconds", "goal 0.4"),
        ("list_of_100k_seconds", "goal 0.5"),
        ("help_seconds", "goal 0.3"),
        ("interpreter_start_seconds", ""),
    ):
        print(f"  {name:<30} {result[name]:>10} {bound}")


if __name__ == "__main__":
    main()
