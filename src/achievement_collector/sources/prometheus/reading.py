"""Reading Prometheus' answers into time series, without adding or guessing anything.

The format is that of the HTTP API, ``/api/v1/query`` and ``/api/v1/query_range``: a moment is a number of seconds since 1970,
a value is a text such as ``"0.25"``, ``"NaN"`` or ``"+Inf"``. No series means that nothing was measured, which is not 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from achievement_collector.errors import CollectorError
from achievement_collector.facts.kpis import Sample, Series
from achievement_collector.sources.bodies import Body

MOST_SERIES = 100
"""Series that are kept apart in one answer."""
MOST_SAMPLES = 500_000
"""Samples of one answer, over all of its series."""

_LAST_SECOND = 253_402_300_799  # of the year 9999
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = frozenset({"NaN", "+Inf", "-Inf", "Inf"})
_LONGEST_LABEL = 1_000
_LONGEST_MESSAGE = 300
_MOST_WARNINGS = 20

_Labels = tuple[tuple[str, str], ...]


class PrometheusError(CollectorError):
    """Prometheus could not be asked, or answered with something that is of no use. ``type`` is its own word for the reason
    ("bad_data", "timeout" ...), empty where it gave none."""

    def __init__(self, message: str, type: str = "") -> None:
        super().__init__(message)
        self.type = type


class UnreadableAnswerError(PrometheusError):
    """An answer is not what the HTTP API promises, or holds no numbers."""


class AnswerTooLargeError(PrometheusError):
    """An answer has more series, samples or bytes than are taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave. ``series`` are in the order of their labels, each with a sample at least; none where nothing was
    measured. ``left_out`` counts the values that are no finite number (NaN, infinities, native histograms). ``warnings`` are
    Prometheus' own, its hints included; with one of them the answer may be incomplete."""

    series: tuple[Series, ...] = ()
    left_out: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def may_be_incomplete(self) -> bool:
        """Whether a warning is about the answer. Those that begin with "PromQL" are about the query, and stay the same."""
        return any(not text.startswith("PromQL ") for text in self.warnings)


def read_answer(kpi: str, *bodies: Any) -> Answer:
    """The series of ``kpi`` that an answer holds, or that the answers to the parts of one range hold together; ``bodies`` are
    JSON as Python has it. See :func:`read_parts`."""
    return read_parts(kpi, bodies)


def read_parts(kpi: str, bodies: Iterable[Any]) -> Answer:
    """The series that the answers to the parts of one query hold together.

    The label ``__name__`` is dropped, since the KPI names the series. A value that is told twice for the same moment counts
    once. Raises :class:`UnreadableAnswerError` for what is malformed, for a text, for two different values at one moment and
    for two metrics that only their name tells apart; :class:`AnswerTooLargeError` for more than :data:`MOST_SERIES` series or
    :data:`MOST_SAMPLES` samples.
    """
    found = _Found()
    for body in bodies:
        found.add(body)
    return found.answer(kpi)


class _Found:
    """What the parts told so far, by all labels of a series as they were sent."""

    def __init__(self) -> None:
        self.values: dict[_Labels, dict[int, float]] = {}
        self.left_out = 0
        self.samples = 0
        self.warnings: dict[str, None] = {}

    def add(self, body: Any) -> None:
        answer = Body(body)
        data = answer.inner("data")
        kind, result = data.text("resultType", 60), data.data.get("result")
        if answer.text("status", 60) != "success" or not isinstance(result, list):
            raise _malformed("it holds no result")
        for name in ("warnings", "infos"):
            told = answer.data.get(name)
            for one in told if isinstance(told, list) else ():
                if isinstance(one, str) and len(self.warnings) < _MOST_WARNINGS:
                    self.warnings[plain(one)] = None
        match kind:
            case "vector":
                for one in result:
                    self._take(one, "value", "histogram", is_list=False)
            case "matrix":
                for one in result:
                    self._take(one, "values", "histograms", is_list=True)
            case "scalar":
                self._note(self._series(()), result)
            case "string":
                raise UnreadableAnswerError(
                    "the query gives a text, not numbers; ask for a metric or an expression of metrics"
                )
            case _:
                raise _malformed(f"its kind {plain(kind)!r} is not known")

    def _take(self, one: Any, floats: str, histograms: str, *, is_list: bool) -> None:
        """Takes one series, whose samples are under the names ``floats`` and ``histograms``."""
        if not isinstance(one, Mapping) or (floats not in one and histograms not in one):
            raise _malformed("a series has no values")
        values = self._series(_labels(one.get("metric")))
        for name in (floats, histograms):
            if name not in one:
                continue
            pairs = one[name] if is_list else [one[name]]
            if not isinstance(pairs, list):
                raise _malformed("the values of a series are no list")
            if name == histograms:
                self.left_out += len(pairs)
            else:
                for pair in pairs:
                    self._note(values, pair)

    def _series(self, labels: _Labels) -> dict[int, float]:
        values = self.values.setdefault(labels, {})
        if len(self.values) > MOST_SERIES:
            raise AnswerTooLargeError(
                f"the query gives more than {MOST_SERIES} series; "
                "aggregate them: sum by (job) (...), avg without (instance) (...)"
            )
        return values

    def _note(self, values: dict[int, float], pair: Any) -> None:
        """Takes one ``[seconds, "value"]``."""
        if not isinstance(pair, list) or len(pair) != 2:
            raise _malformed("a sample is no pair of a moment and a value")
        at, value = _moment(pair[0]), _value(pair[1])
        if value is None:
            self.left_out += 1
        elif at not in values:
            self.samples += 1
            if self.samples > MOST_SAMPLES:
                raise AnswerTooLargeError(
                    f"the query gives more than {MOST_SAMPLES:,} samples; "
                    "ask for a shorter time, with a longer step or for fewer series"
                )
            values[at] = value
        elif values[at] != value:
            raise _malformed("a series has two values at one moment")

    def answer(self, kpi: str) -> Answer:
        series: dict[_Labels, Series] = {}
        for sent, values in self.values.items():
            if not values:
                continue
            labels = tuple((_storable(name), _storable(value)) for name, value in sent if name != "__name__")
            if labels in series:
                raise UnreadableAnswerError(
                    "the query gives several metrics with the same labels; ask for one metric, or aggregate: "
                    "sum by (job) (...)"
                )
            samples = tuple(Sample(at, values[at]) for at in sorted(values))
            series[labels] = Series(kpi, dict(labels), samples)
        ordered = tuple(series[labels] for labels in sorted(series))
        return Answer(ordered, self.left_out, tuple(self.warnings))


def plain(text: str) -> str:
    """Text from outside in one line, without control characters and not too long, fit for a message."""
    shown = "".join(one if one.isprintable() else " " for one in text[: 4 * _LONGEST_MESSAGE])
    return " ".join(shown.split())[:_LONGEST_MESSAGE].rstrip()


def _storable(text: str) -> str:
    """Without what no database takes: NUL and lone surrogates."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def _labels(metric: Any) -> _Labels:
    if not isinstance(metric, Mapping) or not all(isinstance(value, str) for value in metric.values()):
        raise _malformed("a series has no labels")
    for name, value in metric.items():
        if max(len(name), len(value)) > _LONGEST_LABEL:
            raise AnswerTooLargeError(
                f"the label {plain(name)[:60]!r} of a series has more than {_LONGEST_LABEL:,} characters; "
                "aggregate it away: sum without (LABEL) (...)"
            )
    return tuple(sorted(metric.items()))


def _moment(seconds: Any) -> int:
    """Milliseconds since 1970."""
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= _LAST_SECOND  # NaN is not, either
    ):
        raise _malformed("a moment is no number of seconds since 1970")
    return round(seconds * 1000)


def _value(text: Any) -> float | None:
    """A finite number; None for NaN, for the infinities and for what is beyond the numbers there are."""
    if not isinstance(text, str):
        raise _malformed("a value is no text")
    if text in _NOT_FINITE:
        return None
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        raise _malformed(f"the value {plain(text)[:40]!r} is no number")
    value = float(text)
    return value if math.isfinite(value) else None


def _malformed(what: str) -> UnreadableAnswerError:
    return UnreadableAnswerError(
        f"Prometheus' answer cannot be understood: {what}; look at what answers at its address"
    )
