"""Ten thousand random schedules of the two-way sync: ``python -m benchmarks.two_way --schedules 10000``.

Every schedule is a seed: ``--first SEED --schedules 1`` plays one again. What must hold afterwards is in
``benchmarks.two_sides.check``; a seed that breaks it is printed with what broke, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from achievement_collector.ledger.store import open_ledger
from benchmarks.two_sides import Verdict, play

_CHUNK = 50
_COUNTED = ("links", "edits", "conflicts", "crashes", "failures", "passes")


def _chunk(seeds: range) -> list[Verdict]:
    """Plays schedules against one ledger of its own, on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(str(Path(folder) / "ledger.db"))
        try:
            return [play(seed, ledger) for seed in seeds]
        finally:
            ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    told = parser.parse_args()
    last = told.first + told.schedules
    chunks = [range(seed, min(seed + _CHUNK, last)) for seed in range(told.first, last, _CHUNK)]
    started, broken, total = time.perf_counter(), 0, Counter[str]()
    with multiprocessing.get_context("spawn").Pool(told.workers) as pool:
        for verdicts in pool.imap(_chunk, chunks):
            for one in verdicts:
                total.update({name: getattr(one, name) for name in _COUNTED})
                if one.broken:
                    broken += 1
                    print(f"seed {one.seed}:", *one.broken, sep="\n    ", flush=True)
    seconds = time.perf_counter() - started
    counts = ", ".join(f"{total[name]:,} {name}" for name in _COUNTED)
    print(
        f"two-way sync: seeds {told.first} to {last - 1}: {told.schedules - broken:,} of {told.schedules:,} schedules hold "
        f"({counts}) in {seconds:.0f} s"
    )
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
