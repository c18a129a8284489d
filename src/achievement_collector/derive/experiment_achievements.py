"""From a run that beat what there was to an achievement, which says what a sceptic asks."""

from __future__ import annotations

import json
from typing import Any

from achievement_collector.derive.achievements import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Conclusion,
    listed_part,
    storable_text,
)
from achievement_collector.derive.conclusions import (
    AchievementKind,
    Category,
    CategoryCall,
    Evidence,
    Role,
    ScorePart,
    ValueKind,
)
from achievement_collector.derive.experiments import (
    Beaten,
    best_before,
    count_of_runs,
    measures_speed,
    number,
    percent,
)
from achievement_collector.derive.scores import raw_total
from achievement_collector.facts.experiments import Experiment, Run

_GAIN, _GAIN_HALF = 60.0, 0.10
_REGISTERED, _ALIASED = 10.0, 10.0
_MOST_LISTED = 12  # parameters that differ, in the description
_MOST_KEPT = 100  # parameters, in the detail


def conclude_run(
    beaten: Beaten, experiment: Experiment, credited: int | None, *, author: str = "", is_bot: bool = False
) -> Conclusion:
    """The achievement that a run is. ``credited`` is the signature id of its author and ``author`` says how that is known;
    ``is_bot`` where the author is a program."""
    run, metric = beaten.run, beaten.metric
    left_out = ""
    if is_bot:
        left_out = "a program ran it, and no person is named"
    elif credited is None:
        left_out = "nobody is named as its author"
    call = category_of_metric(metric.name)
    impact = impact_of_gain(beaten)
    complexity = ScorePart("effort", 0.0, "not measured: a run does not tell what it took to get there")
    values = f"{number(beaten.before)} → {number(beaten.after)}"
    change = _signed(beaten)
    name = experiment.name or f"experiment {experiment.id}"
    detail: dict[str, Any] = {
        "impact": [listed_part(part) for part in impact],
        "complexity": [listed_part(complexity)],
        "started": [run.started // 1000, 0] if run.started is not None else None,
        "confidence": call.confidence,
        "labels": [label.value for label in call.labels],
        "basis": call.basis,
        "size": None,
        "reason": f"beat {best_before(beaten.compared)} by {percent(beaten.gain)}, margin "
        f"{percent(metric.margin)}",
        "evidence": [[storable_text(text) for text in one] for one in evidence_of(beaten, name)],
        "value": {
            "kind": ValueKind.MEASURED.value,
            "text": storable_text(f"{metric.name} {values} ({change})"),
            "source": storable_text(f"MLflow, run {run.name or run.id} against run {beaten.best.name or beaten.best.id}"),
        },
        "experiment": {
            "name": storable_text(name), "url": run.url, "run": run.id, "metric": storable_text(metric.name),
            "direction": metric.direction.value, "before": beaten.before, "after": beaten.after,
            "gain": round(beaten.gain, 6), "margin": metric.margin, "compared": beaten.compared,
            "not_comparable": beaten.not_comparable, "best_before": beaten.best.id, "best_before_url": beaten.best.url,
            "params": {storable_text(key): storable_text(value) for key, value in sorted(run.params.items())[:_MOST_KEPT]},
        },
    }  # fmt: skip
    return Conclusion(
        f"run/{run.key}", AchievementKind.EXPERIMENT.value,
        storable_text(_title(metric.name, values, change, name))[:LONGEST_TITLE],
        storable_text(" ".join(_sentences(beaten, author)))[:LONGEST_DESCRIPTION], call.category.value, round(complexity.points),
        run.ended // 1000, 0, not left_out, is_bot, left_out, round(raw_total(impact), 3), None, "", "",
        json.dumps(detail, ensure_ascii=False, separators=(",", ":")), (),
        ((credited, Role.AUTHOR.value, 0),) if credited is not None and not is_bot else (),
    )  # fmt: skip


def category_of_metric(metric: str) -> CategoryCall:
    """``performance`` where every word of the metric's name is known and one means speed. Otherwise ``unsure``: a model that
    predicts better is none of the kinds of code work that the categories tell apart."""
    if measures_speed(metric):
        told = CategoryCall(Category.PERFORMANCE, 0.9, (Category.PERFORMANCE,), f"{metric} measures speed")
    else:
        told = CategoryCall(
            Category.UNSURE,
            0.0,
            (Category.UNSURE,),
            "a model's quality is none of the categories of code work",
        )
    return told._replace(basis=storable_text(told.basis)[:200])


def impact_of_gain(beaten: Beaten) -> tuple[ScorePart, ...]:
    """Points that saturate in the relative gain ``g``, ``60 * g / (g + 0.1)``, and 10 each where the run was registered as
    a model version and where an alias points at that."""
    gain = beaten.gain
    parts = [
        ScorePart(
            "gain",
            _GAIN * gain / (gain + _GAIN_HALF),
            f"{beaten.metric.name} better by {percent(gain)} than {best_before(beaten.compared)}",
        )
    ]
    if beaten.run.models:
        parts.append(ScorePart("registered", _REGISTERED, f"registered as {_version(beaten.run, 0)}"))
    aliases = sorted({alias for model in beaten.run.models for alias in model.aliases})
    if aliases:
        parts.append(ScorePart("in use by name", _ALIASED, f"aliases: {', '.join(aliases)}"))
    return tuple(parts)


def evidence_of(beaten: Beaten, experiment: str) -> list[Evidence]:
    """The facts behind a gain: both runs, the commit, the data, the models."""
    run, best, metric = beaten.run, beaten.best, beaten.metric
    found = [
        Evidence("run", run.id, f"{metric.name} of {run.name or 'the run'} in {experiment}", number(beaten.after),
                 url=run.url, source="mlflow"),
        Evidence("run", best.id, f"{metric.name} of {best.name or 'a run'}, {best_before(beaten.compared)}",
                 number(beaten.before), url=best.url, source="mlflow"),
    ]  # fmt: skip
    found += [Evidence("dataset", one, "both runs' data", source="mlflow") for one in run.data]
    if run.commit:
        found.append(Evidence("commit", run.commit, "the run's source", source="mlflow"))
    found += [
        Evidence("model", f"{model.name}/{model.version}", f"registered as {_version(run, place)}",
                 url=model.url, source="mlflow")
        for place, model in enumerate(run.models)
    ]  # fmt: skip
    return found


def _version(run: Run, place: int) -> str:
    model = run.models[place]
    aliases = f", alias {', '.join(model.aliases)}" if model.aliases else ""
    return f"model {model.name} version {model.version}{aliases}"


def _title(metric: str, values: str, change: str, experiment: str) -> str:
    return f"{metric[:60]} {values} ({change}) in {experiment[:80]}"


def _sentences(beaten: Beaten, author: str) -> list[str]:
    """What was measured and what a reader must know before believing it; last, because it may be long, what changed."""
    run, best, metric = beaten.run, beaten.best, beaten.metric
    told = [
        f"Run {_called(run)} logged {metric.name[:80]} {number(beaten.after)}; {best_before(beaten.compared)}, "
        f"{_called(best)}, had logged {number(beaten.before)} ({_signed(beaten)}).",
        f"Metric: {metric.basis}; the last logged value of each run counts.",
    ]
    if beaten.spreads:
        told += [
            f"{one.runs} repeats of one configuration lie between {number(one.lowest)} and {number(one.highest)}, "
            "less apart than the gain."
            for one in beaten.spreads
        ]
    else:
        told.append(
            "No repeat of either is recorded, so no spread is known and the gain may be partly chance."
        )
    if beaten.searched > 1:
        told.append(
            f"It is the best of {beaten.searched} runs of one search, picked by this metric, which flatters it."
        )
    if run.data:
        more = f" and {len(run.data) - 2} more" if len(run.data) > 2 else ""
        told.append(f"Both used {', '.join(one[:80] for one in run.data[:2])}{more}.")
    else:
        told.append("Which data they used was not recorded; it may differ.")
    if beaten.not_comparable:
        told.append(
            f"Not compared: {count_of_runs(beaten.not_comparable)} before it on other or unrecorded data."
        )
    if author:
        told.append(f"Its author is known as the {author}.")
    told += [f"Registered as {_version(run, place)}." for place in range(min(len(run.models), 3))]
    told.append(_differences(run, best))
    return told


def _called(run: Run) -> str:
    return (run.name or run.id)[:80]


def _differences(run: Run, best: Run) -> str:
    """The parameters that differ, with the value before and after."""
    if not run.params or not best.params:
        missing = "Neither run" if not run.params and not best.params else "One of the runs"
        return f"{missing} recorded {'any' if missing[0] == 'N' else 'no'} parameters, so what changed is not known."
    names = sorted(
        key for key in run.params.keys() | best.params.keys() if run.params.get(key) != best.params.get(key)
    )
    shown = [
        f"{key} {_shown(best.params.get(key))} → {_shown(run.params.get(key))}"
        for key in names[:_MOST_LISTED]
    ]
    if len(names) > _MOST_LISTED:
        shown.append(f"and {len(names) - _MOST_LISTED} more")
    code = ""
    if run.commit and best.commit and run.commit != best.commit:
        code = f" The code changed from {best.commit[:10]} to {run.commit[:10]}."
    elif not run.commit or not best.commit:
        code = " Whether the code changed was not recorded."
    return (f"Parameters: {'; '.join(shown)}." if shown else "No parameter differs.") + code


def _shown(value: str | None) -> str:
    return "not set" if value is None else value[:60] or '""'


def _signed(beaten: Beaten) -> str:
    sign = "+" if beaten.after > beaten.before else "−"
    return f"{sign}{percent(beaten.gain)}"
