"""Runs of an experiment that beat what there was, as achievements. Most of the rules say when nothing may be claimed.

Runs are ordered by their end. A run claims a gain where the last value that it logged of the primary metric is better than
the best of all comparable runs that ended earlier, by at least the margin. Comparable are runs whose logged datasets are the
same; runs that logged none are comparable with each other alone. Runs nested in one parent are one search: only its best
run can claim, against what ended before the search did.

Nothing is claimed where the gain may be noise: where the two runs differ in nothing that was recorded, or where runs that
are repeats of either one (same parameters but for the seed, same commit) lie as far apart as the gain is large. Most
configurations are run once, so most gains have no spread to be held against; the achievement says so.

Which way a metric gets better is never guessed: it is configured, or the experiment's tags tell it, or its name is in
:func:`direction_of`'s table, which the achievement then says.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from achievement_collector.facts.experiments import Experiment, MetricChoice, PrimaryMetric, Run
from achievement_collector.facts.kpis import Direction

DEFAULT_MARGIN = 0.01
"""The smallest relative gain that counts where nobody set one: 1 %."""

SEEDS = frozenset(("seed", "random_seed", "random_state", "rng_seed", "torch_seed", "numpy_seed"))
"""Parameters that do not make a configuration another one."""

_HIGHER = frozenset(
    ("accuracy", "acc", "f1", "auc", "auroc", "auprc", "r2", "precision", "recall", "ndcg", "map", "bleu")
)
_LOWER = frozenset(("loss", "logloss", "rmse", "mae", "mse", "mape", "rmsle", "perplexity"))
_FASTER_LOWER = frozenset(("latency", "runtime", "duration"))
_FASTER_HIGHER = frozenset(("throughput", "qps"))
_SPEED = _FASTER_LOWER | _FASTER_HIGHER
_SAYS_NOTHING = frozenset(
    (
        "val", "valid", "validation", "test", "testing", "train", "training", "eval", "evaluation", "dev", "holdout", "cv",
        "mean", "avg", "average", "median", "final", "best", "last", "macro", "micro", "weighted", "binary", "score", "roc",
        "pr", "log", "inference", "p50", "p90", "p95", "p99", "ms", "s", "sec", "seconds", "top", "at",
    )
)  # fmt: skip
"""Words of a metric's name that leave its direction alone. ``neg`` and all others do not."""


# --- the primary metric ------------------------------------------------------------------------------


def direction_of(metric: str) -> Direction | None:
    """The direction by the words of a metric's name; None where a word of it is not in the table, or two disagree."""
    found = set()
    for word in _words(metric):
        if word in _HIGHER or word in _FASTER_HIGHER:
            found.add(Direction.HIGHER)
        elif word in _LOWER or word in _FASTER_LOWER:
            found.add(Direction.LOWER)
        elif not (word in _SAYS_NOTHING or word.isdecimal()):
            return None
    return found.pop() if len(found) == 1 else None


def measures_speed(metric: str) -> bool:
    """Whether every word of a metric's name is known and one means speed."""
    return direction_of(metric) is not None and not _SPEED.isdisjoint(_words(metric))


def _words(metric: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", metric.lower()) if word]


def primary_metric(
    experiment: Experiment, choice: MetricChoice | None = None, margin: float = DEFAULT_MARGIN
) -> PrimaryMetric | str:
    """The metric by which an experiment's runs are compared, or the reason why there is none.

    The configuration's ``choice`` comes first, then the tags ``achievement.primary_metric``, ``achievement.direction``
    (``higher`` or ``lower``) and ``achievement.margin`` (a part: ``0.02``), then MLflow's own
    ``mlflow.experiment.primaryMetric.name`` and ``.greaterIsBetter``. Tags say nothing of a metric that the configuration
    chose.
    """
    choice = choice or MetricChoice()
    tags = experiment.tags
    own, standard = (
        tags.get("achievement.primary_metric", ""),
        tags.get("mlflow.experiment.primaryMetric.name", ""),
    )
    direction: Direction | None = None
    if choice.name:
        name, basis = choice.name, "chosen in the configuration"
    elif own:
        name, basis = own, "chosen by the tag achievement.primary_metric"
        told = tags.get("achievement.direction", "").strip().lower()
        if told and told not in ("higher", "lower"):
            return f'the tag achievement.direction is "{told[:40]}", not higher or lower'
        direction = Direction(told) if told else None
    elif standard:
        name, basis = standard, "chosen by the tag mlflow.experiment.primaryMetric.name"
        told = tags.get("mlflow.experiment.primaryMetric.greaterIsBetter", "").strip().lower()
        direction = {"true": Direction.HIGHER, "false": Direction.LOWER}.get(told)
    else:
        return "no primary metric is chosen, neither in the configuration nor by a tag of the experiment"
    if choice.direction is not None:
        direction, by = choice.direction, "the configuration"
    elif direction is not None:
        by = "a tag too"
    else:
        direction, by = direction_of(name), "this program's table of usual metrics, not the project"
    if direction is None:
        return (
            f"whether {name} is better higher or lower is told by nobody and not in the table of directions"
        )
    basis = f"{basis}; that {direction.value} is better is told by {by}"
    if choice.margin is not None:
        margin = choice.margin
    elif own and not choice.name and "achievement.margin" in tags:
        stated = _margin(tags["achievement.margin"])
        if stated is None:
            return f'the tag achievement.margin is "{tags["achievement.margin"][:40]}", not a part between 0 and 1'
        margin = stated
    return PrimaryMetric(name, direction, margin, basis)


def _margin(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1 else None


# --- which runs beat what there was ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spread:
    """How far repeats of one configuration lie apart: the lowest and the highest of ``runs`` values."""

    runs: int
    lowest: float
    highest: float

    @property
    def width(self) -> float:
        return self.highest - self.lowest


@dataclass(frozen=True, slots=True)
class Beaten:
    """A run that beat the best comparable run before it.

    ``gain`` is relative to the absolute value before; ``compared`` counts the earlier runs it was held against and
    ``not_comparable`` those on other or unknown data; ``searched`` counts the runs of its search, 1 where it is none.
    ``spreads`` are those of the run's and of the earlier best's configuration, where they were repeated.
    """

    run: Run
    best: Run
    metric: PrimaryMetric
    before: float
    after: float
    gain: float
    compared: int
    not_comparable: int
    searched: int = 1
    spreads: tuple[Spread, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What comes of the finished runs of an experiment: those that claim a gain, oldest first, and for each other run (by
    key) why it claims none."""

    beaten: tuple[Beaten, ...] = ()
    unclaimed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Search:
    """Runs that are one try: those nested in one parent with it, or one run alone. The best of them is first."""

    runs: tuple[Run, ...]

    @property
    def best(self) -> Run:
        return self.runs[0]

    @property
    def ended(self) -> int:
        return max(run.ended for run in self.runs)


def judge_runs(runs: Iterable[Run], metric: PrimaryMetric) -> Judged:
    """Which finished runs of one experiment beat the best earlier one on ``metric``. The order in which ``runs`` come makes
    no difference: they are ordered by their end, and by key where that is the same; a run is not earlier than another that
    ended in the same millisecond."""
    unclaimed: dict[str, str] = {}
    beaten: list[Beaten] = []
    measured = []
    for run in runs:
        if metric.name in run.metrics:
            measured.append(run)
        else:
            unclaimed[run.key] = f"not measured: it logged no finite value of {metric.name}"
    spreads = _spreads(measured, metric.name)
    earlier = _Earlier(metric)
    for search in _searches(measured, metric):
        earlier.move_to(search.ended)
        for run in search.runs[1:]:
            unclaimed[run.key] = (
                f"another run of its search, {search.best.name or search.best.id}, is better or equal"
            )
        found = _held_against(search, earlier, metric, spreads)
        if isinstance(found, str):
            unclaimed[search.best.key] = found
        else:
            beaten.append(found)
        earlier.add(search)
    return Judged(tuple(beaten), unclaimed)


def _searches(measured: Sequence[Run], metric: PrimaryMetric) -> list[_Search]:
    """The tries, by their end. Runs on different data are different tries even in one parent."""
    parents = {run.id: run.parent for run in measured}
    groups: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in measured:
        groups.setdefault((_root(run, parents), run.data), []).append(run)
    sign = -1 if metric.direction is Direction.HIGHER else 1
    found = [
        _Search(tuple(sorted(group, key=lambda run: (sign * run.metrics[metric.name], run.ended, run.key))))
        for group in groups.values()
    ]
    return sorted(found, key=lambda search: (search.ended, search.best.key))


def _root(run: Run, parents: Mapping[str, str]) -> str:
    """The id of the outermost run that a run is nested in. A ring, which only a faulty program makes, has one name for
    all of its runs."""
    seen = [run.id]
    parent = run.parent
    while parent:
        if parent in seen:
            return min(seen[seen.index(parent) :])
        seen.append(parent)
        parent = parents.get(parent, "")
    return seen[-1]


class _Earlier:
    """What ended before a moment: how many runs there are and, for each data, how many and the best of them."""

    def __init__(self, metric: PrimaryMetric) -> None:
        self._metric = metric
        self._waiting: deque[_Search] = deque()  # of the present moment
        self.runs = 0
        self.by_data: dict[tuple[str, ...], tuple[int, Run]] = {}

    def move_to(self, moment: int) -> None:
        """Counts what was added and ended before ``moment``; moments come in order."""
        while self._waiting and self._waiting[0].ended < moment:
            search = self._waiting.popleft()
            count, best = self.by_data.get(search.best.data, (0, search.best))
            name = self._metric.name
            if self._metric.direction.gain(best.metrics[name], search.best.metrics[name]) > 0:
                best = search.best
            self.by_data[search.best.data] = (count + len(search.runs), best)
            self.runs += len(search.runs)

    def add(self, search: _Search) -> None:
        self._waiting.append(search)


def _held_against(
    search: _Search, earlier: _Earlier, metric: PrimaryMetric, spreads: Mapping[tuple[Any, ...], Spread]
) -> Beaten | str:
    """The gain of a search's best run, or why it claims none."""
    run = search.best
    compared, best = earlier.by_data.get(run.data, (0, None))
    others = earlier.runs - compared
    if best is None:
        if not others:
            return "the first run, a baseline: there is none before it"
        told = (
            "other data, or data that was not recorded"
            if run.data
            else "data that was recorded, its own was not"
        )
        return f"not comparable: the {count_of_runs(others)} before it used {told}"
    value, after = best.metrics[metric.name], run.metrics[metric.name]
    difference = metric.direction.gain(value, after)
    if difference <= 0:
        return f"not better than the best before it ({number(value)}, now {number(after)})"
    if value == 0:
        return "the best value before it is 0, from which no relative gain can be stated"
    gain = difference / abs(value)
    if gain < metric.margin and not _is_close(gain, metric.margin):
        return f"better by {percent(gain)}, which is less than the margin of {percent(metric.margin)}"
    if _is_repeat(run, best):
        return "a repeat of the best run before it: no parameter but a seed differs, nor is it recorded that the code does"
    found = tuple(
        spreads[key] for key in dict.fromkeys((_configuration(run), _configuration(best))) if key in spreads
    )
    widest = max(found, key=lambda one: one.width, default=None)
    if widest is not None and widest.width >= difference:
        return (
            f"within the noise: {widest.runs} repeats of one configuration lie between {number(widest.lowest)} and "
            f"{number(widest.highest)}, the gain is {number(difference)}"
        )
    return Beaten(run, best, metric, value, after, gain, compared, others, len(search.runs), found)


def _is_close(first: float, second: float) -> bool:
    """Equal but for the rounding of binary fractions: 0.808 is 1 % more than 0.8."""
    return abs(first - second) <= 1e-9


def _is_repeat(run: Run, best: Run) -> bool:
    """Whether nothing that was recorded tells two runs apart. Without parameters that is not known."""
    if not run.params or _varied(run) != _varied(best):
        return False
    return not (run.commit and best.commit and run.commit != best.commit)


def _varied(run: Run) -> tuple[tuple[str, str], ...]:
    """The parameters but for the seed."""
    return tuple(sorted((name, value) for name, value in run.params.items() if name.lower() not in SEEDS))


def _configuration(run: Run) -> tuple[Any, ...]:
    """What makes two runs repeats of each other: data, commit, parameters but for the seed."""
    return (run.data, run.commit, _varied(run))


def _spreads(measured: Sequence[Run], metric: str) -> dict[tuple[Any, ...], Spread]:
    """The spread of each configuration that was run more than once. Runs without parameters are not known to be repeats."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for run in measured:
        if run.params:
            found.setdefault(_configuration(run), []).append(run.metrics[metric])
    return {key: Spread(len(told), min(told), max(told)) for key, told in found.items() if len(told) > 1}


# --- in words ---------------------------------------------------------------------------------------


def best_before(compared: int) -> str:
    return "the only run before it" if compared == 1 else f"the best of {compared} runs before it"


def count_of_runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def number(value: float) -> str:
    """A value in at most six significant digits."""
    return f"{value:.6g}"


def percent(part: float) -> str:
    """A part in per cent: three significant digits, whole numbers from 1,000 on."""
    value = part * 100
    return f"{value:,.0f} %" if value >= 999.5 else f"{value:.3g} %"
