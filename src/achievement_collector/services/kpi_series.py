"""The series of KPIs made comparable: how often they are sampled, counters added up, and the lasting shifts in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.kpis import KpiShift
from achievement_collector.facts.kpis import Kpi, Sample, Series
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.entities import cursor, mark_stale, remember
from achievement_collector.ledger.kpis import StoredSeries
from achievement_collector.ledger.store import Ledger

if TYPE_CHECKING:
    from achievement_collector.derive.shifts import Found

HOUR = 3_600_000
DAY = 24 * HOUR

_MOST_HISTORY = 2_200  # samples that the first scrape asks for, of each series
_EDGE = 14 * DAY  # at the old end of what is compared, where too little lies before a shift


def sampling(kpi: Kpi, days: int) -> int:
    """Milliseconds between two samples of a KPI's history: an hour, or more where that were too many of ``days``, or where
    the query looks back farther, so that samples would share what they are made of and could not be told from a slow
    movement."""
    from achievement_collector.sources.prometheus.ranges import widest_range

    least = max(HOUR, -(-days * DAY // _MOST_HISTORY // HOUR) * HOUR)
    return max(least, -(-widest_range(kpi.query) // HOUR) * HOUR)


def total_of_counters(found: Sequence[StoredSeries]) -> tuple[Sample, ...]:
    """The sum of counters, each made whole across its restarts first. One that is no longer there keeps what it counted; of
    one that came after the first moment only the increase since it was seen first counts, as in Prometheus' ``increase``:
    when it counted what it shows is not known."""
    from achievement_collector.derive.series import without_resets

    whole = [dict(without_resets(one.series.samples)) for one in found if one.series.samples]
    last = [0.0] * len(whole)
    totals: list[Sample] = []
    moments = sorted({at for one in whole for at in one})
    shown_first = [0.0 if moments[0] in one else next(iter(one.values())) for one in whole]
    for at in moments:
        for number, one in enumerate(whole):
            if at in one:
                last[number] = one[at] - shown_first[number]
        total = sum(last)
        if math.isfinite(total):
            totals.append(Sample(at, total))
    return tuple(totals)


def compared_series(connection: Connection, kpi: Kpi, since: int | None = None) -> list[StoredSeries]:
    """The series in which shifts are looked for: of a counter its increase a day, all of its series together. Samples far
    closer than usual (a scrape beside the history) make no rate of their own: it would be that of seconds. Nor are samples
    compared that are closer than the query looks back."""
    from achievement_collector.derive.series import first_of_each, rates, spacing, well_apart

    known = stored.stored_series(connection, kpi.name, since, stored.MEASURED)
    found = [one for one in known if one.series.samples]
    if not found:
        return found
    if not kpi.is_counter:
        step = sampling(kpi, 1)
        if step == HOUR:
            return found
        return [
            one._replace(series=replace(one.series, samples=first_of_each(one.series.samples, step)))
            for one in found
        ]
    totals = total_of_counters(found)
    totals = well_apart(totals, spacing([one.at for one in totals]) / 2)
    daily = [Sample(one.at, one.value * 86_400) for one in rates(totals)]
    per_day = tuple(one for one in daily if math.isfinite(one.value))
    # the oldest of them names the sum, whichever have come and gone since
    return [StoredSeries(min(one.id for one in known), Series(kpi.name, {}, per_day))]


def look_for_shifts(ledger: Ledger, settings: Settings, kpi: Kpi, now: int) -> bool:
    """Finds the shifts of a KPI's series anew; whether they are others than before.

    What is compared moves on with time. In its older half nothing changes any more once it was looked at: from there on
    less and less lies before a shift, until it cannot be found again.
    """
    window = max(settings.kpi_history_days, 90) * DAY
    since, half = now - window, (now - window // 2) // DAY * DAY
    changed = False
    with ledger.read() as connection:
        found = compared_series(connection, kpi, since)
        before: dict[str, int] = cursor(connection, _settled(kpi.name)) or {}
    settled = dict(before)
    for one in found:
        shifts = shifts_of(one.series)[1]
        open_since = max(since + _EDGE, settled.get(str(one.id), 0))
        with ledger.write() as connection:
            changed |= stored.replace_shifts(connection, one.id, shifts, now, open_since)
        settled[str(one.id)] = max(half, settled.get(str(one.id), 0))
    if changed or settled != before:
        with ledger.write() as connection:
            remember(connection, _settled(kpi.name), settled, now)
            if changed:
                mark_stale(connection, [("kpi", kpi.name, f"shifts of {kpi.name}")], now)
    return changed


def forget_what_is_settled(connection: Connection, name: str, now: int) -> None:
    """Lets the shifts of a KPI be found as if for the first time."""
    remember(connection, _settled(name), {}, now)


def _settled(name: str) -> str:
    """The cursor that tells by series up to when its shifts are settled."""
    return f"kpi-shifts/{name}"


def shifts_of(series: Series) -> tuple[Found, list[KpiShift]]:
    """What is found in a series, and its shifts in the form they are kept in."""
    from achievement_collector.derive.shifts import find_shifts

    found = find_shifts(series.samples)
    step = _spacing(series.samples)
    return found, [
        KpiShift(
            series.name, one.at, one.interval[0], one.interval[1], one.before.median, one.after.median, one.before.n,
            one.after.n, one.difference, one.difference_interval[0] if one.difference_interval else None,
            one.difference_interval[1] if one.difference_interval else None, one.relative, one.p_value, one.method, step,
        )
        for one in found.shifts
    ]  # fmt: skip


def _spacing(samples: Sequence[Sample]) -> int:
    if len(samples) < 2:
        return HOUR
    return round(median(b.at - a.at for a, b in pairwise(samples)))
