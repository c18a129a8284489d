"""Benchmark results in JSON: of pytest-benchmark (``--benchmark-json``), and of github-action-benchmark.

The latter has two forms (https://github.com/benchmark-action/github-action-benchmark): the list that its custom tools take
in, and the history it keeps (``data.js``, or the same as JSON), of which the newest entry of each suite counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from achievement_collector.facts.ci import Benchmark
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.ci_files.reading import CiFileError, number, read_json

_ASSIGNMENT = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:window\.)?[A-Z_]{1,40}\s*=")
_PLUS_MINUS = re.compile(r"(?:±|\+/-|\+-)?\s*([^\s%±]{1,60})\s*(\S{0,20})")
_SAMPLES = re.compile(r"^(?:(\d{1,15}) samples|rounds: (\d{1,15}))$", re.ASCII | re.MULTILINE)

_TIME = r"(?:[num]?s|[µμ]s|[num]?sec|seconds?)"
_SIZE = r"(?:b|bytes?|[kmgt]i?b)"
_RATE = re.compile(rf"(?:ops?|iter|iterations?|it|req|reqs|requests?|{_SIZE})/{_TIME}")
_COST = re.compile(rf"(?:{_TIME}|{_SIZE}|allocs?)(?:/(?:op|iter|iteration|call|req|request))?")
_DIRECTIONS = {"customBiggerIsBetter": True, "customSmallerIsBetter": False}

# pytest's spread is in seconds where its value is in rounds a second; Catch2's has a unit of its own, which gets lost
_SPREADS_OF_ANOTHER_UNIT = ("pytest", "catch2")
_RANGE = "range"
_STANDARD_DEVIATION = "standard deviation"


def parse_benchmarks(data: bytes, name: str, bigger: bool | None = None) -> tuple[Benchmark, ...]:
    """The benchmarks of a file, in its order; ``name`` is the file's, for messages.

    ``bigger`` says whether more is better where neither a unit nor the file does. Benchmarks of a kept history are named
    ``suite::benchmark``. Raises :class:`CiFileError` where the file is of neither tool, or a benchmark has no name or value.
    """
    found = read_json(_without_assignment(data), name)
    if isinstance(found, list):
        return tuple(_from_action(one, name, bigger) for one in found)
    file = Body(found)
    if isinstance(file.data.get("entries"), dict):
        return tuple(_newest(file.inner("entries"), name, bigger))
    if isinstance(file.data.get("benchmarks"), list):
        return tuple(_from_pytest(one, name) for one in file.data["benchmarks"])
    raise CiFileError(f"{name} holds no benchmarks of pytest-benchmark or github-action-benchmark.")


def is_higher_better(unit: str) -> bool | None:
    """Whether more of a unit is better: True for work a time, False for time and size, None where it may be either."""
    plain = unit.strip().lower()
    if _RATE.fullmatch(plain):
        return True
    return False if _COST.fullmatch(plain) else None


def _without_assignment(data: bytes) -> bytes:
    """The value of ``window.BENCHMARK_DATA = …;``, anything else as it is."""
    assignment = _ASSIGNMENT.match(data)
    return data[assignment.end() :].strip().removesuffix(b";") if assignment else data


def _from_pytest(found: Any, file: str) -> Benchmark:
    body = Body(found)
    stats = body.inner("stats")
    name = body.text("fullname") or body.text("name")
    rounds = stats.whole("rounds")
    # pytest-benchmark writes 0 for the deviation of a single round, of which nobody knows it
    spread = stats.number("stddev") if rounds != 1 else None
    return Benchmark(
        name=_required_name(name, file),
        value=_required_value(stats.number("mean"), name, file),
        unit="s",
        higher_is_better=False,
        samples=rounds,
        spread=spread,
        spread_kind=_STANDARD_DEVIATION if spread is not None else "",
        median=stats.number("median"),
    )


def _newest(suites: Body, file: str, bigger: bool | None) -> Iterator[Benchmark]:
    for suite in suites.data:
        entries = suites.each(suite)
        if not entries:
            continue
        _, newest = max(enumerate(entries), key=lambda one: (one[1].number("date") or 0, one[0]))
        benches = newest.data.get("benches")
        if not isinstance(benches, list):
            raise CiFileError(f"{file} holds no benchmarks in the newest entry of {suite[:80]!r}.")
        for bench in benches:
            yield _from_action(bench, file, bigger, suite=suite, tool=newest.text("tool"))


def _from_action(found: Any, file: str, bigger: bool | None, suite: str = "", tool: str = "") -> Benchmark:
    body = Body(found)
    name = _required_name(body.text("name"), file)
    value = _required_value(_number(body, "value"), name, file)
    unit = body.text("unit").strip()
    better = is_higher_better(unit)
    if better is None:
        better = _DIRECTIONS.get(tool, bigger)
    spread = None if tool in _SPREADS_OF_ANOTHER_UNIT else _spread(body, value, unit)
    kind = _STANDARD_DEVIATION if tool == "benchmarkdotnet" else _RANGE
    samples = _SAMPLES.search(body.text("extra"))
    return Benchmark(
        name=f"{suite}::{name}" if suite else name,
        value=value,
        unit=unit,
        higher_is_better=better,
        samples=int(samples[1] or samples[2]) if samples else None,
        spread=spread,
        spread_kind=kind if spread is not None else "",
        median=None,
    )


def _spread(body: Body, value: float, unit: str) -> float | None:
    """The ``range`` of a benchmark in its unit: ``± 1.2``, ``+/- 5``, ``±1.7%`` (of the value); None for another text."""
    bare = body.number("range")
    match = _PLUS_MINUS.fullmatch(body.text("range").strip())
    if match and match[2] in ("", "%", unit):
        bare = number(match[1])
        if bare is not None and match[2] == "%" and unit != "%":
            bare = abs(value) * bare / 100
    return bare if bare is not None and 0 <= bare <= 1e300 else None


def _number(body: Body, field: str) -> float | None:
    value = body.number(field)
    return number(body.text(field)) if value is None else value


def _required_name(name: str, file: str) -> str:
    if not name:
        raise CiFileError(f"{file} holds a benchmark without a name.")
    return name


def _required_value(value: float | None, name: str, file: str) -> float:
    if value is None:
        raise CiFileError(f"{file} tells no value of the benchmark {name[:80]!r}.")
    return value
