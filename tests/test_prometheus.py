"""Reading from Prometheus: against a real one, recorded answers of a real one, and a loopback one that fails on demand."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import math
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.facts.kpis import Sample, Series
from achievement_collector.sources.prometheus import reading
from achievement_collector.sources.prometheus.client import (
    MOST_POINTS,
    Build,
    NotPrometheusError,
    PrometheusAccessError,
    PrometheusClient,
    PrometheusQueryError,
    PrometheusTimeoutError,
    PrometheusUnavailableError,
)
from achievement_collector.sources.prometheus.reading import (
    MOST_SERIES,
    Answer,
    AnswerTooLargeError,
    PrometheusError,
    UnreadableAnswerError,
    read_answer,
)
from tests.fakes.prometheus import (
    DATA,
    PASSWORD,
    TOKEN,
    USER,
    FakePrometheus,
    Trouble,
    matrix,
    needs_document,
    recorded,
    refusal,
    serve,
    vector,
)
from tests.prometheus_server import prometheus_with

T = 1_795_000_000  # seconds; no multiple of an hour
HOUR = 3_600
LATER = refusal(503, "unavailable", "not yet")
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Clock:
    """Time that passes only by being slept through."""

    def __init__(self) -> None:
        self.now = float(T)
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fake() -> Iterator[FakePrometheus]:
    with serve(FakePrometheus()) as served:
        yield served
    assert served.problems == [], "every request and answer keeps to the published document"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(fake: FakePrometheus, clock: Clock) -> Iterator[PrometheusClient]:
    with PrometheusClient(fake.url, sleep=clock.sleep, clock=clock) as opened:
        yield opened


def only(answer: Answer) -> Series:
    (found,) = answer.series
    return found


# --- reading answers ---------------------------------------------------------------------------------


def test_a_vector_becomes_a_series_with_one_sample_for_each_set_of_labels() -> None:
    body = vector(
        ({"__name__": "latency", "job": "web"}, T + 0.5, "2"),
        ({"__name__": "latency", "job": "api"}, T, "0.25"),
    )

    answer = read_answer("speed", body)

    assert answer == Answer(
        (
            Series("speed", {"job": "api"}, (Sample(T * 1000, 0.25),)),
            Series("speed", {"job": "web"}, (Sample(T * 1000 + 500, 2.0),)),
        )
    )
    assert [one.name for one in answer.series] == ['speed{job="api"}', 'speed{job="web"}']


def test_no_series_is_no_zero() -> None:
    assert read_answer("speed", vector()) == Answer((), 0, ())
    assert read_answer("speed", matrix()).series == ()


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e999", "-1e999"])
def test_what_is_no_finite_number_is_left_out_and_counted(value: str) -> None:
    answer = read_answer("speed", matrix(({"job": "api"}, [(T, "1"), (T + 60, value), (T + 120, "3")])))

    assert only(answer).samples == (Sample(T * 1000, 1.0), Sample((T + 120) * 1000, 3.0))
    assert answer.left_out == 1


def test_a_series_without_any_finite_number_is_none() -> None:
    assert read_answer("speed", matrix(({"job": "api"}, [(T, "NaN"), (T + 60, "NaN")]))) == Answer((), 2)


def test_a_scalar_is_a_series_without_labels() -> None:
    body = {"status": "success", "data": {"resultType": "scalar", "result": [T, "42"]}}

    assert read_answer("answer", body) == Answer((Series("answer", {}, (Sample(T * 1000, 42.0),)),))


def test_a_text_is_refused() -> None:
    body = {"status": "success", "data": {"resultType": "string", "result": [T, "42"]}}

    with pytest.raises(UnreadableAnswerError, match="gives a text, not numbers"):
        read_answer("answer", body)


def test_native_histograms_are_left_out_and_counted() -> None:
    histogram = {"count": "12.5", "sum": "42.1", "buckets": [[0, "0.7", "1", "5"]]}
    floats = {
        "metric": {"job": "api"},
        "values": [[T, "1"]],
        "histograms": [[T + 1, histogram], [T + 2, histogram]],
    }
    body = {"status": "success", "data": {"resultType": "matrix", "result": [floats]}}
    one = {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [T, histogram]}]},
    }

    assert read_answer("speed", body) == Answer(
        (Series("speed", {"job": "api"}, (Sample(T * 1000, 1.0),)),), 2
    )
    assert read_answer("speed", one) == Answer((), 1)


def test_moments_are_rounded_to_the_millisecond() -> None:
    """1.001 times 1000 is 1000.9999999999999, and 1795215000.9386 lies between two milliseconds."""
    samples = only(read_answer("speed", matrix(({}, [(1.001, "1"), (1795215000.9386, "1")])))).samples

    assert [one.at for one in samples] == [1001, 1_795_215_000_939]


def test_samples_are_in_times_order_and_a_repeated_one_counts_once() -> None:
    body = matrix(
        ({"job": "api"}, [(T + 60, "2"), (T, "1"), (T + 60, "2")]),
        ({"job": "api"}, [(T, "1"), (T + 120, "3")]),
    )

    assert only(read_answer("speed", body)).samples == tuple(
        Sample((T + 60 * number) * 1000, number + 1.0) for number in range(3)
    )


def test_two_values_at_one_moment_are_refused() -> None:
    with pytest.raises(UnreadableAnswerError, match="two values at one moment"):
        read_answer("speed", matrix(({"job": "api"}, [(T, "1"), (T, "2")])))


def test_two_metrics_that_only_their_name_tells_apart_are_not_mixed() -> None:
    up, down = {"__name__": "up", "job": "api"}, {"__name__": "down", "job": "api"}

    for bodies in (
        [vector((up, T, "1"), (down, T, "1"))],
        [vector((up, T, "1")), vector((down, T + 1, "1"))],
    ):
        with pytest.raises(UnreadableAnswerError, match=r"several metrics with the same labels.*aggregate"):
            read_answer("speed", *bodies)


def test_many_series_are_refused_and_an_aggregation_is_asked_for() -> None:
    def many(number: int) -> dict[str, Any]:
        return vector(*(({"pod": str(place)}, T, "1") for place in range(number)))

    assert len(read_answer("speed", many(MOST_SERIES)).series) == MOST_SERIES
    with pytest.raises(AnswerTooLargeError, match=r"more than 100 series; aggregate them: sum by"):
        read_answer("speed", many(MOST_SERIES + 1))
    for value in ("1", "NaN"):
        with pytest.raises(AnswerTooLargeError, match="more than 100 series"):
            read_answer("speed", many(MOST_SERIES), vector(({"pod": "another"}, T, value)))


def test_many_samples_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_SAMPLES", 5)
    pairs: list[tuple[float, str]] = [(T + number, "1") for number in range(3)]

    assert len(read_answer("speed", matrix(({"a": "1"}, pairs), ({"a": "2"}, pairs[:2]))).series) == 2
    with pytest.raises(AnswerTooLargeError, match="more than 5 samples"):
        read_answer("speed", matrix(({"a": "1"}, pairs), ({"a": "2"}, pairs)))


def test_parts_are_joined_by_labels() -> None:
    first = matrix(({"job": "api"}, [(T, "1")]), ({"job": "web"}, [(T, "5")]), warnings=["slow"])
    second = matrix(({"job": "api"}, [(T + 60, "NaN"), (T + 120, "2")]), warnings=["slow", "old"])

    answer = read_answer("speed", first, second)

    assert [len(one.samples) for one in answer.series] == [2, 1]
    assert (answer.left_out, answer.warnings) == (1, ("slow", "old"))


def test_warnings_and_hints_are_kept_in_one_line_each() -> None:
    body = vector(warnings=["a store\x1b[31m\ndid not answer"], infos=["no counter " + "x" * 1000])

    first, second = read_answer("speed", body).warnings

    assert first == "a store [31m did not answer"
    assert second.startswith("no counter xxx")
    assert len(second) == 300
    assert read_answer("speed", {**vector(), "warnings": "text", "infos": 5}).warnings == ()
    assert len(read_answer("speed", vector(warnings=[str(number) for number in range(1000)])).warnings) == 20


def test_labels_hold_nothing_that_no_database_takes() -> None:
    body = vector(({"job": "a\0b\ud800"}, T, "1"))

    assert only(read_answer("speed", body)).labels == {"job": "a�b?"}


def test_a_label_that_is_too_long_is_not_cut_off() -> None:
    with pytest.raises(AnswerTooLargeError, match=r"the label 'sql' .* aggregate it away"):
        read_answer("speed", vector(({"sql": "x" * 1001}, T, "1")))


def success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}


@pytest.mark.parametrize(
    "body",
    [
        None, [], "text", {}, {"status": "success"}, success([]), success({"resultType": "vector"}),
        success({"resultType": "table", "result": []}), success({"resultType": "vector", "result": {}}),
        success({"resultType": "vector", "result": ["x"]}), success({"resultType": "vector", "result": [{"metric": {}}]}),
        success({"resultType": "vector", "result": [{"value": [T, "1"]}]}),
        success({"resultType": "vector", "result": [{"metric": {"job": 5}, "value": [T, "1"]}]}),
        success({"resultType": "matrix", "result": [{"metric": {}, "values": "x"}]}),
        success({"resultType": "matrix", "result": [{"metric": {}, "values": None}]}),
        success({"resultType": "matrix", "result": [{"metric": {}, "histograms": 5}]}),
        success({"resultType": "scalar", "result": []}),
        {"status": "error", "data": {"resultType": "vector", "result": []}},
        *(
            success({"resultType": "vector", "result": [{"metric": {}, "value": value}]})
            for value in (
                None, "1", [T], [T, "1", "2"], [T, 1], [T, None], [T, ""], [T, "one"], [T, "1_000"], [T, " 1"], [T, "٣"],
                [T, "infinity"], [T, "0x10"], [T, "1" * 401], ["1795000000", "1"], [None, "1"], [True, "1"], [-1, "1"],
                [1e18, "1"], [math.nan, "1"], [math.inf, "1"],
            )
        ),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_and_no_number_is_made_of_it(body: Any) -> None:
    with pytest.raises(UnreadableAnswerError, match="cannot be understood"):
        read_answer("speed", body)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([T, "1", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metric", "value", "values", "histogram", "histograms", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    kind=st.sampled_from(["vector", "matrix", "scalar", "string", "?"]),
    result=st.lists(_json, max_size=3),
    more=_json,
)
def test_whatever_is_answered_is_read_or_refused(kind: str, result: list[Any], more: Any) -> None:
    body = {
        "status": "success",
        "data": {"resultType": kind, "result": result},
        "warnings": more,
        "infos": more,
    }
    try:
        answer = read_answer("speed", body)
    except PrometheusError:
        return
    for one in answer.series:
        assert one.samples
        assert all(math.isfinite(sample.value) for sample in one.samples)


@given(
    st.dictionaries(
        st.frozensets(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", ""]))).filter(
            lambda pairs: len({name for name, _ in pairs}) == len(pairs)
        ),
        st.dictionaries(st.integers(0, 4_000_000_000_000), st.floats(), max_size=6),
        max_size=4,
    ),
    st.integers(0, 6),
)
def test_every_finite_number_is_read_exactly_however_the_answer_is_cut(
    told: dict[frozenset[tuple[str, str]], dict[int, float]], cut: int
) -> None:
    def body(chosen: Callable[[int], bool]) -> dict[str, Any]:
        return matrix(
            *(
                (
                    {**dict(labels), "__name__": "m"},
                    [
                        (at / 1000, _as_go(value))
                        for place, (at, value) in enumerate(values.items())
                        if chosen(place)
                    ],
                )
                for labels, values in told.items()
            )
        )

    whole = read_answer("m", json.loads(json.dumps(body(lambda _: True))))

    assert {frozenset(one.labels.items()): dict(one.samples) for one in whole.series} == {
        labels: finite
        for labels, values in told.items()
        if (finite := {at: value for at, value in values.items() if math.isfinite(value)})
    }
    assert whole.left_out == sum(
        not math.isfinite(value) for values in told.values() for value in values.values()
    )
    assert read_answer("m", body(lambda place: place < cut), body(lambda place: place >= cut)) == whole


def _as_go(value: float) -> str:
    """A number as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else f"{'+' if value > 0 else '-'}Inf"


# --- recorded answers --------------------------------------------------------------------------------

APP = {"instance": "127.0.0.1:19091", "job": "app"}
RECORDED: dict[str, Any] = {
    "vector": [
        (APP, 1795215000938, 1.0),
        ({"instance": "127.0.0.1:19090", "job": "self"}, 1795215000938, 1.0),
    ],
    "counter": [({**APP, "persona": "x"}, 1795215000940, 45.0)],
    "matrix": [
        ({**APP, "persona": "x"}, 1795214996250 + 1000 * number, 25.0 + 5 * number) for number in range(5)
    ],
    "string": (UnreadableAnswerError, "gives a text"),
    "nan": [],
    "parse-error": (PrometheusQueryError, "1:5: parse error: unclosed left parenthesis"),
    "bad-time": (PrometheusQueryError, 'cannot parse "yesterday"'),
    "recording-rule": [({**APP, "persona": "x"}, 1795215000944, 4.691)],
    "duplicate-match-error": (PrometheusQueryError, "found duplicate series for the match group"),
    "range-empty": [],
    "range-bad-step": (PrometheusQueryError, "zero or negative query resolution step"),
    "series": (UnreadableAnswerError, "holds no result"),
    "label-values": (UnreadableAnswerError, "holds no result"),
    "targets": (UnreadableAnswerError, "holds no result"),
    "alerts": (UnreadableAnswerError, "holds no result"),
    "not-found": (NotPrometheusError, "knows no such page"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_are_understood(name: str, fake: FakePrometheus, client: PrometheusClient) -> None:
    exchanges = {one["name"]: one["response"] for one in recorded()}
    assert exchanges.keys() == RECORDED.keys(), "every recorded exchange is replayed"
    kind = {"Content-Type": "text/plain"} if isinstance(exchanges[name]["body"], str) else {}
    fake.troubles.append(Trouble(exchanges[name]["status"], exchanges[name]["body"], kind))
    wanted = RECORDED[name]

    if isinstance(wanted, tuple):
        with pytest.raises(wanted[0], match=wanted[1]):
            client.query("anything")
        return
    answer = client.query("anything")

    found = [(dict(one.labels), *sample) for one in answer.series for sample in one.samples]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert answer.left_out == (1 if name == "nan" else 0)


def test_the_examples_of_the_published_document_are_understood(
    fake: FakePrometheus, client: PrometheusClient
) -> None:
    needs_document()
    import yaml

    document = yaml.load(
        (DATA / "openapi_3.1_golden.yaml").read_text(encoding="utf-8"),
        Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    )
    seen = {}
    for path in ("/query", "/query_range"):
        answers = document["paths"][path]["post"]["responses"]
        for name, example in answers["200"]["content"]["application/json"]["examples"].items():
            fake.troubles.append(Trouble(200, example["value"]))
            answer = client.query("anything")
            seen[path, name] = (sum(len(one.samples) for one in answer.series), answer.left_out)
        error = answers["default"]["content"]["application/json"]["examples"]["tsdbNotReady"]["value"]
        fake.troubles.append(Trouble(500, error))
        with pytest.raises(PrometheusUnavailableError, match="TSDB not ready"):
            client.query("anything")
    assert seen == {
        ("/query", "vectorResult"): (2, 0), ("/query", "scalarResult"): (1, 0), ("/query", "matrixResult"): (2, 0),
        ("/query", "histogramResult"): (0, 1),
        ("/query_range", "matrixResult"): (3, 0), ("/query_range", "histogramResult"): (0, 1),
    }  # fmt: skip


# --- asking ------------------------------------------------------------------------------------------


def test_a_query_is_posted_as_a_form(fake: FakePrometheus, client: PrometheusClient) -> None:
    needs_document()  # the fake checks the form against it

    answer = client.query('latency{job="api"} + 1', T * 1000 + 7, kpi="speed")

    (asked,) = fake.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    assert asked.form == {
        "query": 'latency{job="api"} + 1', "time": f"{T}.007", "timeout": "30000ms", "limit": "101",
    }  # fmt: skip
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in asked.headers
    assert answer == Answer((Series("speed", {"job": "api"}, (Sample(T * 1000 + 7, float(T)),)),))


def test_without_a_moment_the_server_takes_its_own(fake: FakePrometheus, client: PrometheusClient) -> None:
    client.query("latency")

    assert "time" not in fake.asked[0].form


def test_a_prefix_of_the_address_is_kept(fake: FakePrometheus) -> None:
    with PrometheusClient(fake.url + "/prometheus/") as client, pytest.raises(NotPrometheusError):
        client.query("latency")

    assert fake.asked[0].path == "/prometheus/api/v1/query"


def test_a_long_query_fits(fake: FakePrometheus, client: PrometheusClient) -> None:
    promql = " + ".join(f"metric_{number}" for number in range(10_000))

    client.query(promql)

    assert fake.asked[0].form["query"] == promql


def test_where_post_is_not_allowed_the_query_goes_into_the_address(
    fake: FakePrometheus, client: PrometheusClient
) -> None:
    fake.allows_post = False

    first = client.query('latency{job=~"a|b & c"}', T * 1000)
    client.query_range("latency", T * 1000, (T + 60) * 1000, 60)

    assert [(one.method, one.path) for one in fake.asked] == [
        ("POST", "/api/v1/query"), ("GET", "/api/v1/query"), ("GET", "/api/v1/query_range"),
    ]  # fmt: skip
    assert fake.asked[0].form == fake.asked[1].form
    assert only(first).samples


def test_a_range_is_asked_at_whole_multiples_of_the_step(
    fake: FakePrometheus, client: PrometheusClient
) -> None:
    answer = client.query_range("latency", T * 1000 + 1, (T + 180) * 1000 - 1, 60, kpi="speed")

    first = T // 60 * 60 + 60
    assert fake.asked[0].form == {
        "query": "latency", "start": str(first), "end": str(first + 120), "step": "60", "timeout": "30000ms", "limit": "101",
    }  # fmt: skip
    assert [one.at for one in only(answer).samples] == [(first + 60 * number) * 1000 for number in range(3)]


def test_the_ends_of_a_range_are_included(client: PrometheusClient) -> None:
    begin = T // 60 * 60

    samples = only(client.query_range("latency", begin * 1000, (begin + 60) * 1000, 60)).samples

    assert [one.at for one in samples] == [begin * 1000, (begin + 60) * 1000]
    assert len(only(client.query_range("latency", begin * 1000, begin * 1000, 60)).samples) == 1


def test_a_range_without_a_multiple_of_the_step_asks_nothing(
    fake: FakePrometheus, client: PrometheusClient
) -> None:
    begin = T // HOUR * HOUR

    assert client.query_range("latency", begin * 1000 + 1, (begin + HOUR) * 1000 - 1, HOUR) == Answer()
    assert fake.asked == []


@pytest.mark.parametrize("points", [MOST_POINTS, MOST_POINTS + 1, 2 * MOST_POINTS, 2 * MOST_POINTS + 500])
def test_a_long_range_is_asked_in_parts_that_join_without_a_gap_or_a_repetition(
    fake: FakePrometheus, client: PrometheusClient, points: int
) -> None:
    step, begin = 15, T // 15 * 15

    answer = client.query_range("latency", begin * 1000, (begin + (points - 1) * step) * 1000, step)

    sizes = [(int(one.form["end"]) - int(one.form["start"])) // step + 1 for one in fake.asked]
    assert len(sizes) == math.ceil(points / MOST_POINTS)
    assert (max(sizes), sum(sizes)) == (MOST_POINTS, points)
    moments = [begin + number * step for number in range(points)]
    assert only(answer).samples == tuple(Sample(at * 1000, float(at)) for at in moments)


def test_a_range_is_given_whole_or_not_at_all(fake: FakePrometheus, client: PrometheusClient) -> None:
    fake.troubles.extend([None, refusal(503, "timeout", "query timed out in expression evaluation")])

    with pytest.raises(PrometheusTimeoutError):
        client.query_range("latency", T * 1000, (T + MOST_POINTS * 2) * 1000, 1)


@pytest.mark.parametrize(("start", "end", "step"), [(T, T + 60, 0), (T, T + 60, -5), (T + 1, T, 60)])
def test_a_range_that_makes_no_sense_is_refused(
    fake: FakePrometheus, client: PrometheusClient, start: int, end: int, step: int
) -> None:
    with pytest.raises(ValueError, match="a range needs"):
        client.query_range("latency", start * 1000, end * 1000, step)
    assert fake.asked == []


def test_a_range_with_too_many_moments_is_refused_before_it_is_asked(
    fake: FakePrometheus, client: PrometheusClient
) -> None:
    with pytest.raises(AnswerTooLargeError, match="take a longer step"):
        client.query_range("latency", T * 1000, (T + 10_000_000) * 1000, 1)
    assert fake.asked == []


def test_the_server_tells_whether_it_is_ready_and_its_version(
    fake: FakePrometheus, client: PrometheusClient, clock: Clock
) -> None:
    assert client.ready()
    assert client.build() == Build("2.42.0", "225c61122d88b01d1f0eaaee0e05b6f3e0567ac0")
    fake.is_ready = False
    assert not client.ready()
    assert clock.slept == [], "not being ready is an answer"
    fake.troubles.append(Trouble(404, "no such page"))
    with pytest.raises(NotPrometheusError):
        client.ready()
    fake.troubles.append(Trouble(200, {"status": "success", "data": {}}))
    with pytest.raises(NotPrometheusError, match="tells no version"):
        client.build()


# --- failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(503, "Service Unavailable", {"Content-Type": "text/plain"}), LATER, Trouble(502, "<html>"),
        Trouble(429, "slow down"), Trouble(hangs_up=True), Trouble(200, vector(), breaks_off=True),
    ],
    ids=["starting", "unavailable", "gateway", "too often", "hangs up", "breaks off"],
)  # fmt: skip
def test_what_fails_in_passing_is_asked_again(
    fake: FakePrometheus, client: PrometheusClient, clock: Clock, trouble: Trouble
) -> None:
    fake.troubles.extend([trouble, trouble])

    assert only(client.query("latency", T * 1000)).samples
    assert clock.slept == [1, 2]
    assert client.requests == 3


def test_no_more_than_four_attempts_are_made(
    fake: FakePrometheus, client: PrometheusClient, clock: Clock
) -> None:
    fake.troubles.extend([LATER] * 10)

    with pytest.raises(PrometheusUnavailableError, match=r"HTTP 503: not yet\); try again later") as caught:
        client.query("latency")

    assert (len(fake.asked), clock.slept) == (4, [1, 2, 4])
    assert caught.value.type == "unavailable"


def test_retry_after_is_heeded_as_a_number_and_as_a_date(
    fake: FakePrometheus, client: PrometheusClient, clock: Clock
) -> None:
    fake.troubles.extend(
        [
            Trouble(429, "", {"Retry-After": "7"}),
            Trouble(503, "", {"Retry-After": formatdate(T + 7 + 12, usegmt=True)}),
            Trouble(503, "", {"Retry-After": "0"}),
        ]
    )

    assert only(client.query("latency")).samples
    assert clock.slept == [7, 12, 4]


@pytest.mark.parametrize("told", ["soon", "-5", "Mon, 01 Jan 99999999999999 00:00:00 GMT", "1e3", "9" * 5000])
def test_a_retry_after_that_says_nothing_is_none(
    fake: FakePrometheus, client: PrometheusClient, clock: Clock, told: str
) -> None:
    fake.troubles.append(Trouble(429, "", {"Retry-After": told}))

    assert only(client.query("latency")).samples
    assert clock.slept == [1]


def test_a_wait_that_is_too_long_is_told_instead(
    fake: FakePrometheus, client: PrometheusClient, clock: Clock
) -> None:
    fake.troubles.extend([Trouble(429, "", {"Retry-After": "50"}), Trouble(429, "", {"Retry-After": "50"})])

    with pytest.raises(
        PrometheusUnavailableError, match=r"is asked too often \(HTTP 429\); it asks to wait 50 s"
    ):
        client.query("latency")
    assert clock.slept == [50]


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        (refusal(400, "bad_data", "1:5: parse error: bad"), PrometheusQueryError, "cannot evaluate the query: 1:5: parse"),
        (refusal(422, "execution", "many-to-many"), PrometheusQueryError, "many-to-many"),
        (refusal(200, "bad_data", "said with 200"), PrometheusQueryError, "said with 200"),
        (refusal(503, "timeout", "query timed out"), PrometheusTimeoutError, "gave the query up"),
        (refusal(503, "canceled", "query was canceled"), PrometheusTimeoutError, "gave the query up"),
        (Trouble(504, "<html>gateway"), PrometheusTimeoutError, "gave the query up"),
        (refusal(500, "internal", "out of disk"), PrometheusUnavailableError, "HTTP 500: out of disk"),
        (Trouble(401, "no"), PrometheusAccessError, "asks for credentials; set a token"),
        (Trouble(403, {"status": "error", "error": "tenant x"}), PrometheusAccessError, "does not allow this: tenant x"),
        (Trouble(200, "<!DOCTYPE html><html>Log in"), NotPrometheusError, "such as a page to log in"),
        (Trouble(200, ""), NotPrometheusError, "not of Prometheus"),
        (Trouble(200, [1]), NotPrometheusError, "not of Prometheus"),
        (Trouble(200, {"results": []}), NotPrometheusError, "not of Prometheus"),
        (Trouble(404, "404 page not found"), NotPrometheusError, "without /api/v1"),
        (Trouble(200, '{"status":"success","data":{"resultType":"vec'), UnreadableAnswerError, "does not end"),
        (Trouble(200, '{"status":"success","data":' + "[" * 200_000), UnreadableAnswerError, "does not end"),
        (Trouble(200, vector(), {"Content-Encoding": "gzip"}), UnreadableAnswerError, "cannot be unpacked"),
        (Trouble(302, "", {"Location": "https://login.example/"}), NotPrometheusError, "redirect, which is not followed"),
        (Trouble(301, "", {"Location": "/graph"}), NotPrometheusError, "redirect, which is not followed"),
        (Trouble(418, "a\x1b[2Jteapot"), PrometheusError, "HTTP 418"),
        (refusal(400, "bad_data", "a\x1b[2J\nb" + "x" * 9999), PrometheusQueryError, r"query: a \[2J bx{200,}$"),
    ],
)  # fmt: skip
def test_failures_are_told_for_what_they_are_and_not_repeated(
    fake: FakePrometheus,
    client: PrometheusClient,
    clock: Clock,
    trouble: Trouble,
    kind: type[PrometheusError],
    message: str,
) -> None:
    fake.troubles.append(trouble)

    with pytest.raises(CollectorError, match=message) as caught:
        client.query("latency")

    assert caught.type is kind
    assert (len(fake.asked), clock.slept) == (1, [])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_nothing_is_asked_of_another_host(fake: FakePrometheus) -> None:
    with serve(FakePrometheus()) as other, PrometheusClient(fake.url, token=TOKEN) as client:
        for status in (301, 302, 303, 307, 308):
            fake.troubles.append(Trouble(status, "", {"Location": f"{other.url}/api/v1/query"}))
            with pytest.raises(NotPrometheusError, match="redirect"):
                client.query("latency")
        assert other.asked == []


def test_an_answer_that_does_not_come_ends_the_wait_and_is_not_asked_for_again(
    fake: FakePrometheus, clock: Clock
) -> None:
    held = threading.Event()
    fake.troubles.append(Trouble(200, vector(), waits=held))

    with PrometheusClient(fake.url, timeout=0.2, sleep=clock.sleep) as client:
        with pytest.raises(PrometheusTimeoutError, match=r"no whole answer within 0\.2 s"):
            client.query("latency")
        held.set()

    assert (client.requests, clock.slept) == (1, [])
    assert fake.asked[0].form["timeout"] == "200ms", "Prometheus shall not work on it any longer, either"


def test_an_answer_that_comes_in_drops_ends_the_wait(fake: FakePrometheus) -> None:
    fake.troubles.append(Trouble(200, vector() | {"filler": "x" * 1000}, drips=0.05))

    with PrometheusClient(fake.url, timeout=0.3) as client, pytest.raises(PrometheusTimeoutError):
        client.query("latency")


@pytest.mark.parametrize("is_packed", [False, True])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(fake: FakePrometheus, is_packed: bool) -> None:
    text = json.dumps(vector() | {"filler": "x" * 5_000_000}).encode()
    fake.troubles.append(
        Trouble(200, gzip.compress(text), {"Content-Encoding": "gzip"}) if is_packed else Trouble(200, text)
    )

    with (
        PrometheusClient(fake.url, largest_answer=1_000_000) as client,
        pytest.raises(AnswerTooLargeError, match="more than 1,000,000 bytes"),
    ):
        client.query("latency")


def test_packed_answers_are_read(fake: FakePrometheus, client: PrometheusClient) -> None:
    body = gzip.compress(json.dumps(vector(({}, T, "5"))).encode())
    fake.troubles.append(Trouble(200, body, {"Content-Encoding": "gzip"}))

    assert only(client.query("latency")).samples == (Sample(T * 1000, 5.0),)
    assert fake.asked[0].headers["accept-encoding"] == "gzip"


def test_a_server_that_is_not_there_is_told(clock: Clock) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            PrometheusClient(address, sleep=clock.sleep) as client,
            pytest.raises(PrometheusUnavailableError, match=r"127\.0\.0\.1 gave no answer \(ConnectError\)"),
        ):
            client.query("latency")
    assert clock.slept == [1, 2, 4]


# --- credentials -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "header", "shown", "secret"),
    [
        ({"token": TOKEN}, f"Bearer {TOKEN}", "with a token", TOKEN),
        ({"token": f" {TOKEN}\n"}, f"Bearer {TOKEN}", "with a token", TOKEN),
        ({"username": USER, "password": PASSWORD}, BASIC, "with a user name and a password", PASSWORD),
    ],
)
def test_credentials_are_sent_and_never_shown(
    fake: FakePrometheus,
    caplog: pytest.LogCaptureFixture,
    told: dict[str, Any],
    header: str,
    shown: str,
    secret: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.accepts = header

    with PrometheusClient(fake.url, **told) as client:
        assert only(client.query("latency")).samples
        assert client.ready()
        assert client.build().version
        fake.troubles.append(refusal(400, "bad_data", f"your header was {header}, your secret {secret}"))
        with pytest.raises(PrometheusQueryError, match=r"\[hidden\].*\[hidden\]") as echoed:
            client.query("latency")
        fake.accepts = "Bearer another"
        with pytest.raises(PrometheusAccessError, match=f"does not accept the request {shown}") as refused:
            client.query("latency")

    assert repr(client) == f"PrometheusClient('{fake.url}', {shown})"
    shown_anywhere = "".join([caplog.text, str(echoed.value), str(refused.value), repr(client._credentials)])
    assert "HTTP Request: POST" in shown_anywhere, "the log was read"
    assert secret not in shown_anywhere
    assert header.partition(" ")[2] not in shown_anywhere


@pytest.mark.parametrize(
    ("url", "more", "message"),
    [
        ("", {}, "address must be like"),
        ("prometheus:9090", {}, "address must be like"),
        ("ftp://prometheus", {}, "address must be like"),
        ("http://", {}, "address must be like"),
        ("http://[::1", {}, "address must be like"),
        ("http://prometheus:99999", {}, "address must be like"),
        ("http://prometheus:0", {}, "address must be like"),
        ("http://prometheus/?x=1", {}, "address must be like"),
        ("http://prometheus/#graph", {}, "address must be like"),
        ("https://me:SECRETpw@prometheus", {}, "credentials are set on their own"),
        ("http://prometheus", {"token": TOKEN}, "must begin with https://"),
        ("http://prometheus", {"username": USER, "password": PASSWORD}, "must begin with https://"),
        ("http://127.0.0.1.evil.example", {"token": TOKEN}, "must begin with https://"),
        ("http://127.0.0.1", {"certificate": "client.pem"}, "certificates are of use only"),
        ("https://prometheus", {"token": TOKEN, "username": USER, "password": PASSWORD}, "not both"),
        ("https://prometheus", {"username": USER}, "the user name and the password"),
        ("https://prometheus", {"password": PASSWORD}, "the user name and the password"),
        ("https://prometheus", {"token": "a b"}, "characters that no token has"),
        ("https://prometheus", {"token": "tökenSECRET"}, "characters that no token has"),
        ("https://prometheus", {"username": "a:b", "password": PASSWORD}, "cannot be sent"),
        ("https://prometheus", {"username": USER, "password": f"{PASSWORD}\r\nX: y"}, "cannot be sent"),
        ("https://prometheus", {"key": "client.key"}, "needs the certificate"),
        ("https://prometheus", {"certificate": "nowhere.pem"}, r"cannot be used \(FileNotFoundError\)"),
        (
            "https://prometheus",
            {"authority": "nowhere.pem"},
            r"authority cannot be used \(FileNotFoundError\)",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(url: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        PrometheusClient(url, **more)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://prometheus:9090", "http://prometheus.monitoring.svc/prometheus/", "http://[::1]:9090"]
)
def test_without_credentials_a_plain_connection_is_allowed(url: str) -> None:
    with PrometheusClient(url, token="  ", username="", password="") as client:
        assert repr(client) == f"PrometheusClient('{url.rstrip('/')}', without credentials)"


# --- certificates ------------------------------------------------------------------------------------


class Certificates:
    """A throw-away authority, and what it signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.authority = self._signed("ca", "basicConstraints=critical,CA:TRUE")
        self.server = self._signed("server", "subjectAltName=IP:127.0.0.1", by="ca")
        self.client = self._signed("client", "extendedKeyUsage=clientAuth", by="ca")
        self.stranger = self._signed("stranger", "extendedKeyUsage=clientAuth")

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def encrypted_key(self, name: str) -> Path:
        made = self.folder / f"{name}-encrypted.key"
        _openssl("ec", "-in", self.key(name), "-aes256", "-passout", "pass:x", "-out", made)
        return made

    def _signed(self, name: str, extension: str, by: str = "") -> Path:
        made = self.folder / f"{name}.pem"
        signer = ("-CA", self.folder / f"{by}.pem", "-CAkey", self.key(by)) if by else ()
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-addext", extension, "-keyout", self.key(name), "-out", made, *signer,
        )  # fmt: skip
        return made


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl, to make certificates with")
    return Certificates(tmp_path_factory.mktemp("certificates") / "made")


@pytest.fixture
def guarded(certificates: Certificates) -> Iterator[FakePrometheus]:
    """A server that talks only to clients with a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates.server, certificates.key("server"))
    with serve(FakePrometheus(), context) as served:
        yield served


def test_a_client_shows_its_certificate_and_trusts_the_authority(
    guarded: FakePrometheus, certificates: Certificates
) -> None:
    with PrometheusClient(
        guarded.url,
        certificate=certificates.client,
        key=certificates.key("client"),
        authority=certificates.authority,
        token=TOKEN,
    ) as client:
        assert only(client.query("latency")).samples
        assert repr(client) == f"PrometheusClient('{guarded.url}', with a token, with a certificate)"


def test_certificate_and_key_may_lie_in_one_file(
    guarded: FakePrometheus, certificates: Certificates, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_text(certificates.client.read_text() + certificates.key("client").read_text())

    with PrometheusClient(guarded.url, certificate=both, authority=certificates.authority) as client:
        assert only(client.query("latency")).samples


@pytest.mark.parametrize("name", ["", "stranger"])
def test_without_a_certificate_of_the_authority_there_is_no_answer(
    guarded: FakePrometheus, certificates: Certificates, clock: Clock, name: str
) -> None:
    own: dict[str, Any] = (
        {"certificate": certificates.stranger, "key": certificates.key("stranger")} if name else {}
    )

    with (
        PrometheusClient(guarded.url, authority=certificates.authority, sleep=clock.sleep, **own) as client,
        pytest.raises(
            PrometheusAccessError, match=r"asks for a client's certificate or refuses the one that was sent"
        ),
    ):
        client.query("latency")

    assert guarded.asked == []


def test_a_server_that_is_not_trusted_gets_no_credentials(
    guarded: FakePrometheus, certificates: Certificates, clock: Clock
) -> None:
    with (
        PrometheusClient(guarded.url, token=TOKEN, sleep=clock.sleep) as client,
        pytest.raises(
            PrometheusUnavailableError, match=r"is not trusted \(.*\); set the file of its authority"
        ),
    ):
        client.query("latency")

    assert (guarded.asked, clock.slept) == ([], [])


def test_an_address_with_https_where_none_is_spoken_is_told(fake: FakePrometheus, clock: Clock) -> None:
    with (
        PrometheusClient(fake.url.replace("http:", "https:"), sleep=clock.sleep) as client,
        pytest.raises(PrometheusUnavailableError, match="no encrypted connection to"),
    ):
        client.query("latency")


def test_files_that_do_not_fit_are_refused(certificates: Certificates) -> None:
    for key in (certificates.encrypted_key("client"), certificates.key("server"), certificates.client):
        with pytest.raises(ConfigurationError, match="PEM files that belong together, the key not encrypted"):
            PrometheusClient("https://prometheus", certificate=certificates.client, key=key)
    with pytest.raises(ConfigurationError, match="authority cannot be used"):
        PrometheusClient("https://prometheus", authority=certificates.key("client"))


def test_an_encrypted_key_asks_nothing_at_the_terminal(certificates: Certificates) -> None:
    """OpenSSL would ask for its password there, and a service would wait for ever."""
    key = certificates.encrypted_key("client")
    program = (
        "from achievement_collector.sources.prometheus.client import PrometheusClient\n"
        f"PrometheusClient('https://prometheus', certificate={str(certificates.client)!r}, key={str(key)!r})"
    )
    on_a_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) != 256)"

    done = subprocess.run(
        [sys.executable, "-c", on_a_terminal, sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "ConfigurationError: the client's certificate or key" in done.stdout
    assert "pass phrase" not in done.stdout
    assert done.returncode == 0


# --- a real Prometheus -------------------------------------------------------------------------------

ON_THE_HOUR = T // HOUR * HOUR
HOURS = 24 * 40
_HASH = "$2b$04$abcdefghijklmnopqrstuuMqi.OsuwiLf6aHUUY5jCMVKiiSVvTue"  # bcrypt of PASSWORD


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Hourly values of 40 days, and dense ones of 4 hours."""
    history: dict[str, list[tuple[float, float]]] = {
        'latency_seconds{job="api"}': [(ON_THE_HOUR + number * HOUR, 1 / (number + 3)) for number in range(HOURS)],
        'latency_seconds{job="web"}': [(ON_THE_HOUR + 60 * number, value) for number, value in
                                       enumerate([1.0, math.nan, math.inf, -math.inf, 5.0])],
        "dense": [(T + number, float(number)) for number in range(14_400)],
        "precise": [(T + 0.001, 0.1 + 0.2), (T + 1.999, 1e-300)],
        **{f'pods{{pod="{number}"}}': [(T, 1.0)] for number in range(MOST_SERIES + 1)},
    }  # fmt: skip
    with prometheus_with(tmp_path_factory.mktemp("prometheus"), history) as url:
        yield url


@pytest.fixture
def asking(real: str) -> Iterator[PrometheusClient]:
    with PrometheusClient(real) as opened:
        yield opened


def test_a_real_prometheus_says_who_it_is(asking: PrometheusClient) -> None:
    assert asking.ready()
    assert asking.build().version[0].isdecimal()


def test_the_history_that_was_written_is_what_is_read(asking: PrometheusClient) -> None:
    answer = asking.query_range(
        'latency_seconds{job="api"}',
        ON_THE_HOUR * 1000,
        (ON_THE_HOUR + HOURS * HOUR) * 1000,
        HOUR,
        kpi="latency",
    )

    assert answer == Answer(
        (
            Series(
                "latency",
                {"job": "api"},
                tuple(
                    Sample((ON_THE_HOUR + number * HOUR) * 1000, 1 / (number + 3)) for number in range(HOURS)
                ),
            ),
        )
    )


def test_the_values_as_recorded_are_had_with_their_own_moments(asking: PrometheusClient) -> None:
    answer = asking.query("precise[1h]", (T + 60) * 1000)

    assert only(answer).samples == (Sample(T * 1000 + 1, 0.1 + 0.2), Sample(T * 1000 + 1999, 1e-300))


def test_a_real_prometheus_sees_a_value_for_five_minutes_only(asking: PrometheusClient) -> None:
    ask = partial(asking.query, 'latency_seconds{job="api"}')

    seen = only(ask((ON_THE_HOUR + 299) * 1000)).samples
    assert seen == (Sample((ON_THE_HOUR + 299) * 1000, 1 / 3),), "the moment is the one asked for"
    assert ask((ON_THE_HOUR + 301) * 1000) == Answer(), "which is not the value 0"
    longer = asking.query('last_over_time(latency_seconds{job="api"}[2h])', (ON_THE_HOUR + 1800) * 1000)
    assert [one.value for one in only(longer).samples] == [1 / 3]


def test_a_real_prometheus_answers_all_parts_of_a_long_range(asking: PrometheusClient) -> None:
    answer = asking.query_range("dense", T * 1000, (T + 14_399) * 1000, 1)

    assert asking.requests == 2
    assert only(answer).samples == tuple(
        Sample((T + number) * 1000, float(number)) for number in range(14_400)
    )


def test_a_real_prometheus_allows_as_many_points_as_are_asked_for_at_once(asking: PrometheusClient) -> None:
    answer = asking.query_range("dense", T * 1000, (T + MOST_POINTS - 1) * 1000, 1)

    assert asking.requests == 1
    assert len(only(answer).samples) == MOST_POINTS


def test_a_real_prometheus_tells_not_finite_values_as_they_are_expected(asking: PrometheusClient) -> None:
    answer = asking.query('latency_seconds{job="web"}[1h]', (ON_THE_HOUR + 600) * 1000)

    assert [one.value for one in only(answer).samples] == [1.0, 5.0]
    assert answer.left_out == 3


def test_a_real_prometheus_tells_scalars_texts_and_nothing(asking: PrometheusClient) -> None:
    assert only(asking.query("scalar(dense)", T * 1000)).samples == (Sample(T * 1000, 0.0),)
    assert only(asking.query_range("1.5", 0, 60_000, 60)).samples == (Sample(0, 1.5), Sample(60_000, 1.5))
    assert asking.query("nothing_has_this_name") == Answer()
    with pytest.raises(UnreadableAnswerError, match="gives a text"):
        asking.query('"text"')


def test_a_real_prometheus_refuses_bad_queries_with_its_reason(asking: PrometheusClient) -> None:
    for promql, reason in (
        ("sum(", "parse error"), ("", "no expression"), ("dense[5m] + 1", "binary expression"),
        ("label_replace(dense, '~', '', '', '')", "invalid"),
    ):  # fmt: skip
        with pytest.raises(PrometheusQueryError, match=reason):
            asking.query(promql, T * 1000)
    with pytest.raises(PrometheusQueryError, match="must be Scalar or instant Vector"):
        asking.query_range("dense[5m]", T * 1000, (T + 60) * 1000, 60)


def test_a_real_answer_with_too_many_series_asks_for_an_aggregation(asking: PrometheusClient) -> None:
    with pytest.raises(AnswerTooLargeError, match="more than 100 series"):
        asking.query("pods", T * 1000)
    assert only(asking.query("sum(pods)", T * 1000)).samples == (Sample(T * 1000, MOST_SERIES + 1.0),)


def test_two_real_metrics_with_the_same_labels_are_not_mixed(asking: PrometheusClient) -> None:
    with pytest.raises(UnreadableAnswerError, match="several metrics with the same labels"):
        asking.query('{__name__=~"dense|precise"}', (T + 5) * 1000)


def test_a_real_prometheus_lets_in_who_has_a_certificate_and_a_password(
    tmp_path: Path, certificates: Certificates
) -> None:
    guard = f"""
tls_server_config:
  cert_file: {certificates.server}
  key_file: {certificates.key("server")}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {certificates.authority}
basic_auth_users:
  {USER}: {_HASH}
"""
    context = ssl.create_default_context(cafile=certificates.authority)
    context.load_cert_chain(certificates.client, certificates.key("client"))
    files: dict[str, Any] = {
        "certificate": certificates.client, "key": certificates.key("client"), "authority": certificates.authority,
    }  # fmt: skip
    with (
        httpx.Client(verify=context, auth=(USER, PASSWORD), trust_env=False) as probe,
        prometheus_with(tmp_path / "server", {"speed": [(T, 3.0)]}, web_config=guard, probe=probe) as url,
    ):
        assert url.startswith("https://")

        def asked(**told: Any) -> AbstractContextManager[PrometheusClient]:
            return PrometheusClient(url, sleep=lambda _: None, **told)

        with asked(username=USER, password=PASSWORD, **files) as client:
            assert only(client.query("speed", T * 1000)).samples == (Sample(T * 1000, 3.0),)
        with asked(username=USER, password="wrong", **files) as client, pytest.raises(PrometheusAccessError):
            client.query("speed")
        with asked(**files) as client, pytest.raises(PrometheusAccessError, match="asks for credentials"):
            client.query("speed")
        with (
            asked(username=USER, password=PASSWORD, authority=certificates.authority) as client,
            pytest.raises(PrometheusError),
        ):
            client.query("speed")


def test_a_server_without_a_history_holds_nothing_and_is_gone_after_its_block(tmp_path: Path) -> None:
    with prometheus_with(tmp_path / "server", {}) as url, PrometheusClient(url) as client:
        assert client.query("up") == Answer()
    with PrometheusClient(url, sleep=lambda _: None) as client, pytest.raises(PrometheusUnavailableError):
        client.query("up")
