"""How long the API takes with 100,000 achievements stored, beside a bare FastAPI handler in the same run.

python -m benchmarks.api [--requests 100]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.intake import bare, server
from benchmarks.scan import grow, ours
from benchmarks.synthetic import make

_PATHS = (
    "/achievements",
    "/achievements?order=newest&limit=200",
    "/achievements?category=feature&min_impact=50",
    "/achievements?search=parser",
    "/achievements?skill=Python",
    "/achievements/{id}",
    "/epics",
    "/people",
    "/skills",
    "/stats",
    "/inbox",
)


def measure(address: str, path: str, requests: int) -> list[float]:
    """Milliseconds of each request, one after the other, shortest first."""
    found = []
    with httpx.Client(base_url=address, timeout=60) as client:
        client.get(path).raise_for_status()
        for _ in range(requests):
            began = time.perf_counter()
            client.get(path).raise_for_status()
            found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="api-") as folder:
        ledger = Path(folder) / "ledger.db"
        ours("scan", "--quiet", str(make(Path(folder) / "history", 4_000)), "--db", str(ledger))
        grow(ledger, 100_000)
        with bare() as port:
            floor = measure(f"http://127.0.0.1:{port}", "/readyz", given.requests)
        floor_p95 = floor[int(len(floor) * 0.95)]
        print(
            f"100,000 achievements, {given.requests} requests each; a bare handler's p95 is {floor_p95:.1f} ms"
        )
        with server(str(ledger)) as (port, _):
            address = f"http://127.0.0.1:{port}"
            first = httpx.get(f"{address}/achievements?limit=1").json()["achievements"][0]["id"]
            for path in _PATHS:
                told = measure(address, path.replace("{id}", first), given.requests)
                p95 = told[int(len(told) * 0.95)]
                print(
                    f"  {path:<46} p50 {told[len(told) // 2]:6.1f} ms   p95 {p95:6.1f} ms   {p95 / floor_p95:5.1f} x bare"
                )


if __name__ == "__main__":
    main()
