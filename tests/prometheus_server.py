"""A real Prometheus on loopback with a history of its own.

The history is written with ``promtool tsdb create-blocks-from openmetrics`` before the server starts, so all of it is there when
the server is ready, which takes about a quarter of a second. Nothing is scraped.
"""

from __future__ import annotations

import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_READY_WITHIN = 30.0  # seconds
_ATTEMPTS = 5  # with another port each, as one that is free now may be taken a moment later


@contextmanager
def prometheus_with(
    folder: Path,
    series: Mapping[str, Iterable[tuple[float, float]]],
    *,
    web_config: str = "",
    probe: httpx.Client | None = None,
) -> Iterator[str]:
    """The address of a Prometheus that holds ``series``, stopped at the end of the block.

    ``folder`` gets its files (a temporary one, as ``tmp_path`` is). ``series`` maps a metric with its labels, as PromQL writes
    them (``http_request_duration_seconds{job="api"}``, or a bare name), to samples: seconds since 1970 (kept to the
    millisecond) and value, which may be NaN or infinite. Without series it holds nothing. ``web_config`` is the YAML of
    ``--web.config.file``, and ``probe`` a client that such a server lets in; with the word ``tls_server_config`` in it, the
    address begins with https.

    An instant query, and every step of a range query, sees a sample for 5 minutes (the lookback): of hourly samples taken on
    the hour, ``query_range`` with steps of 3,600 s on the hour sees all, an instant query at half past sees none, and a step
    of 60 s sees each of them 5 or 6 times. ``METRIC[30d]`` in an instant query gives the samples themselves.

    The history may lie up to 10 years back. Skips the test where ``prometheus`` or ``promtool`` is not installed.
    """
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program} (Debian package prometheus), which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    storage, configuration, web = folder / "tsdb", folder / "prometheus.yml", folder / "web.yml"
    storage.mkdir()
    configuration.write_text("scrape_configs: []\n", encoding="utf-8")
    web.write_text(web_config, encoding="utf-8")
    _backfill(folder, storage, series)
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={storage}",
        "--storage.tsdb.retention.time=10y",
        f"--web.config.file={web}" if web_config else "--log.format=logfmt",
    ]
    scheme = "https" if "tls_server_config" in web_config else "http"
    with httpx.Client(trust_env=False, timeout=2) as own:
        for _ in range(_ATTEMPTS):
            with _started(command, folder / "prometheus.log", scheme, probe or own) as url:
                if url:
                    yield url
                    return
    raise RuntimeError("no free port for Prometheus")


@contextmanager
def _started(command: list[str], log: Path, scheme: str, probe: httpx.Client) -> Iterator[str]:
    """The address of a server that is ready; empty where its port was taken meanwhile."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    url = f"{scheme}://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    try:
        if _is_ready(process, url, probe):
            yield url
            return
        said = log.read_text(encoding="utf-8", errors="replace")
        if "address already in use" not in said:
            raise RuntimeError(f"Prometheus did not start:\n{said[-3000:]}")
        yield ""
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(process: subprocess.Popen[bytes], url: str, probe: httpx.Client) -> bool:
    """Whether the server takes queries; False where the process ended or did not come so far in time."""
    until = time.monotonic() + _READY_WITHIN
    while process.poll() is None and time.monotonic() < until:
        try:
            if probe.get(f"{url}/-/ready").status_code == 200:
                # another server may have got the port, while ours is about to end for it
                return process.poll() is None
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    return False


def _backfill(folder: Path, storage: Path, series: Mapping[str, Iterable[tuple[float, float]]]) -> None:
    """Writes blocks of the storage. OpenMetrics wants the series of a metric together, their samples in time's order."""
    lines = [
        f"{name} {_number(value)} {round(at * 1000) / 1000:.3f}"
        for name, samples in sorted(series.items(), key=lambda one: (one[0].partition("{")[0], one[0]))
        for at, value in sorted(samples, key=lambda sample: sample[0])
    ]
    if not lines:
        return
    history = folder / "history.txt"
    history.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    # blocks of up to a month, since the tool reads the file once for each block, and there are 12 of 2 hours in a day
    done = subprocess.run(
        [
            "promtool",
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=744h",
            "openmetrics",
            history,
            storage,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"promtool cannot read the history: {done.stdout}{done.stderr}")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))
