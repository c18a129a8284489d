"""KPIs as they are shown: their standing, their shifts with what came at the time, their milestones, and their charts' data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.conclusions import MeasuredSeries
from achievement_collector.derive.epics import iso
from achievement_collector.derive.kpis import KpiShift, Milestone, compared_unit, shift_in_words
from achievement_collector.derive.quantities import quantity
from achievement_collector.derive.series import in_words, points
from achievement_collector.facts.kpis import Kpi, Sample
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.kpis import StoredSeries, StoredShift
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.kpi_conclusions import attribution_of, deployments_between
from achievement_collector.services.kpi_series import DAY, HOUR, compared_series, sampling
from achievement_collector.services.kpis import configured_kpi, last_measured

if TYPE_CHECKING:
    from achievement_collector.derive.thresholds import DynamicThreshold

_MOST_POINTS = 800
_MOST_MARKED = 40  # deployments in a chart
WEEK = 7 * DAY


def list_kpis(ledger: Ledger, settings: Settings) -> list[dict[str, Any]]:
    """Every KPI that is configured or of which something is known, in the configuration's order."""
    with ledger.read() as connection:
        names = list(dict.fromkeys([*(one.name for one in settings.kpis), *_known(connection)]))
        return [_in_short(connection, settings, configured_kpi(settings, connection, name)) for name in names]


def _known(connection: Connection) -> list[str]:
    return [one for one in stored.names_of_kpis(connection) if not one.endswith(":rollout")]


def _in_short(connection: Connection, settings: Settings, kpi: Kpi) -> dict[str, Any]:
    found = [
        one
        for one in stored.stored_series(connection, kpi.name, origins=stored.MEASURED)
        if one.series.samples
    ]
    last = last_measured(connection, kpi)
    told = stored.last_of_each(connection, kpi.name, ("stated",))
    stated = max((one.samples[-1] for one in told), default=None)
    compared = compared_series(connection, kpi)
    usual = _usual(compared, kpi, stored.stored_shifts(connection, kpi.name))
    return {
        "name": kpi.name,
        "title": kpi.title or kpi.name,
        "unit": kpi.unit,
        "direction": kpi.direction.value,
        "target": kpi.target,
        "query": kpi.query,
        "series": len(found),
        "samples": sum(len(one.series.samples) for one in found),
        "last": {
            "value": last.value,
            "at": iso(last.at),
            "text": quantity(last.value, kpi.unit),
            "series": last.series,
            "of_series": last.of,
        }
        if last
        else None,
        "stated": {"value": stated.value, "at": iso(stated.at), "text": quantity(stated.value, kpi.unit)}
        if stated
        else None,
        "reaches_target": kpi.direction.reaches(last.value, kpi.target)
        if last and kpi.target is not None
        else None,
        "dynamic_threshold": usual,
        "milestones": len(stored.milestones_of(connection, kpi.name)),
        "shifts": len(stored.stored_shifts(connection, kpi.name)),
        "is_configured": any(one.name == kpi.name for one in settings.kpis),
    }


def _usual(found: Sequence[StoredSeries], kpi: Kpi, shifts: Sequence[StoredShift]) -> dict[str, Any] | None:
    """The dynamic threshold of a KPI with one series; of several each has its own."""
    return _threshold(found[0], kpi, shifts) if len(found) == 1 else None


def _threshold(one: StoredSeries, kpi: Kpi, shifts: Sequence[StoredShift]) -> dict[str, Any]:
    """What is usual since the last shift; ``good`` is what a value must be beyond to be unusually good."""
    found = _usual_since(one, kpi, shifts)
    return {
        "state": found.state.value, "usual": list(found.usual) if found.usual else None, "median": found.median,
        "good": found.good, "n": found.n, "from": iso(found.first_at), "to": iso(found.last_at), "told": found.told,
        "unit": compared_unit(kpi),
    }  # fmt: skip


def _usual_since(one: StoredSeries, kpi: Kpi, shifts: Sequence[StoredShift]) -> DynamicThreshold:
    from achievement_collector.derive.thresholds import dynamic_threshold

    last = max((found.shift.latest for found in shifts if found.series_id == one.id), default=None)
    samples = [sample for sample in one.series.samples if last is None or sample.at >= last]
    return dynamic_threshold(samples, kpi.direction)


def show_kpi(ledger: Ledger, settings: Settings, name: str) -> dict[str, Any]:
    """A KPI with everything that is known of it. Raises :class:`NotFoundError`."""
    from achievement_collector.services.kpi_series import shifts_of

    with ledger.read() as connection:
        kpi = configured_kpi(settings, connection, name)
        compared = compared_series(connection, kpi)
        shifts = stored.stored_shifts(connection, name)
        told = _in_short(connection, settings, kpi)
        attributions = {
            (one.series_id, one.at): attribution_of(connection, settings, kpi, one.shift) for one in shifts
        }
        milestones = stored.milestones_of(connection, name)
        raw = {
            origin: stored.stored_series(connection, name, origins=origins)
            for origin, origins in (("measured", stored.MEASURED), ("stated", ("stated",)))
        }
    series = []
    for one in compared:
        found, _ = shifts_of(one.series)
        series.append(
            {
                "name": one.series.name, "labels": dict(one.series.labels), "samples": len(one.series.samples),
                "from": iso(one.series.samples[0].at) if one.series.samples else None,
                "to": iso(one.series.samples[-1].at) if one.series.samples else None,
                "every": in_words(sampling(kpi, 1)) if kpi.query and not kpi.is_counter and sampling(kpi, 1) > HOUR else None,
                "unit": compared_unit(kpi), "state": str(found.state), "told": found.told,
                "dynamic_threshold": _threshold(one, kpi, shifts),
                "drawn_as": _drawn_as(kpi, one.series.samples),
                "points": [[at, value] for at, value in _thinned(one.series.samples)],
            }
        )  # fmt: skip
    return {
        **told,
        "series_found": series,
        "recorded": [
            {"series": one.series.name, "at": iso(sample.at), "value": sample.value, "origin": origin}
            for origin, found in raw.items()
            for one in found
            for sample in one.series.samples[-5:]
        ],
        "shifts_found": [
            shift_data(one.shift, kpi, attributions[one.series_id, one.at].as_data()) for one in shifts
        ],
        "milestones_recorded": [milestone_data(one) for one in milestones],
    }


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Few enough to be drawn: medians of equal times where there are many."""
    return [Sample(one.first_at, one.value) for one in points(samples, _MOST_POINTS)[0]]


def _drawn_as(kpi: Kpi, samples: Sequence[Sample]) -> str:
    """What the points are made of that are drawn of these samples; empty where they are the samples themselves."""
    found, width = points(samples, _MOST_POINTS)
    what = f"{len(samples):,} {'increases from sample to sample' if kpi.is_counter else 'samples'}"
    if len(found) == len(samples):
        return what if kpi.is_counter else ""
    return f"{len(found):,} medians of {in_words(width)}, of {what}"


def shift_data(one: KpiShift, kpi: Kpi, attribution: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "series": one.series, "at": iso(one.at), "earliest": iso(one.earliest), "latest": iso(one.latest),
        "before": one.before, "after": one.after, "n": [one.n_before, one.n_after], "difference": one.difference,
        "interval": [one.low, one.high] if one.low is not None else None, "relative": one.relative,
        "p_value": one.p_value, "method": one.method, "standing": one.standing(kpi.direction),
        "unit": compared_unit(kpi), "text": shift_in_words(one, kpi), "attribution": dict(attribution),
    }  # fmt: skip


def milestone_data(one: Milestone) -> dict[str, Any]:
    """A milestone in the documented shape, with its numbers and where each is from."""
    from achievement_collector.derive.kpis import conclude_milestone
    from achievement_collector.derive.scores import scaled_value
    from achievement_collector.ledger.achievements import achievement_uid

    concluded = conclude_milestone(one)
    import json

    detail = json.loads(concluded.detail)
    return {
        "achievement_id": achievement_uid("", concluded.key),
        "title": concluded.title,
        "description": concluded.description,
        "category": concluded.category,
        "impact_score": scaled_value(concluded.raw_impact, 1.0),
        "metrics": {
            "metric_name": one.kpi, "series": one.series, "value": one.value, "target": one.target, "unit": one.unit,
            "direction": one.direction.value, "at": iso(one.at), "previous_value": one.previous.value if one.previous else None,
            "previous_at": iso(one.previous.at) if one.previous else None,
            "improvement_percentage": None if one.gain is None else round(one.gain * 100, 6),
            "origin": one.origin,
            "previous_origin": (one.previous_origin or one.origin) if one.previous else None,
        },
        "business_value": detail["value"],
    }  # fmt: skip


def _measured(connection: Connection, settings: Settings, kpi: Kpi, one: StoredSeries) -> MeasuredSeries:
    """What a chart of a series shows: the samples, the target, the shifts, and the deployments near them."""
    known = stored.stored_shifts(connection, kpi.name)
    shifts = [found.shift for found in known if found.series_id == one.id]
    shifts = [shift for shift in shifts if shift.series == one.series.name]
    samples = one.series.samples
    deployed = deployments_between(
        connection, samples[0].at, samples[-1].at, kpi.environments or settings.deployment_environments, _places(kpi)
    )  # fmt: skip
    near = [
        (rival.at, rival.title)
        for rival in deployed
        if any(shift.earliest - WEEK <= rival.at <= shift.latest + WEEK for shift in shifts)
    ]
    last = shifts[-1] if shifts else None
    return MeasuredSeries(
        kpi.title or kpi.name, one.series.name, compared_unit(kpi), tuple((at, value) for at, value in _thinned(samples)),
        None if kpi.is_counter else kpi.target, _usual_since(one, kpi, known).usual,
        tuple((shift.at, shift_in_words(shift, kpi)) for shift in shifts), _marked(near),
        last.before if last else None, last.after if last else None, _drawn_as(kpi, samples),
    )  # fmt: skip


def _marked(near: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """The deployments that are marked in a chart; the last of them says how many are not."""
    shown, more = list(near[:_MOST_MARKED]), len(near) - _MOST_MARKED
    if more > 0:
        at, title = shown[-1]
        shown[-1] = (at, f"{title}; {more:,} later ones near a change are not marked")
    return tuple(shown)


def measured_series(
    ledger: Ledger, settings: Settings, names: Collection[str], most: int = 8
) -> tuple[MeasuredSeries, ...]:
    """The series with these names, ready to be drawn, ``most`` of them."""
    found: list[MeasuredSeries] = []
    with ledger.read() as connection:
        for name in _known(connection):
            kpi = configured_kpi(settings, connection, name)
            for one in compared_series(connection, kpi):
                if one.series.name in names and one.series.samples and len(found) < most:
                    found.append(_measured(connection, settings, kpi, one))
    return tuple(found)


def _places(kpi: Kpi) -> list[str]:
    return [one if one.count("/") > 1 else f"github.com/{one}" for one in kpi.repositories]
