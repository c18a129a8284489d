"""Key performance indicators: asking Prometheus, recording values with their milestones, and looking for shifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.attribution import ROLL_OUT
from achievement_collector.derive.kpis import Judged, Milestone, judge_milestone
from achievement_collector.errors import CollectorError, ConfigurationError, NotFoundError
from achievement_collector.facts.kpis import Direction, Kpi, Sample, Series
from achievement_collector.ledger import kpis as stored
from achievement_collector.ledger.entities import cursor, cursors_like, mark_stale, remember, take_in
from achievement_collector.ledger.outcomes import SCRAPES
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.kpi_series import (
    DAY,
    HOUR,
    forget_what_is_settled,
    look_for_shifts,
    sampling,
    total_of_counters,
)
from achievement_collector.services.live import note_changes

if TYPE_CHECKING:
    from achievement_collector.sources.prometheus.client import PrometheusClient
    from achievement_collector.sources.prometheus.reading import Answer


Progress = Callable[[str, int, int | None], None]


def _quiet(_stage: str, _done: int, _total: int | None) -> None:
    pass


@dataclass(slots=True)
class Scraped:
    """What a scrape brought. ``failures`` tell for each KPI that could not be asked why; ``empty`` names those of which
    Prometheus has no value."""

    kpis: int = 0
    series: int = 0
    samples: int = 0
    milestones: list[Milestone] = field(default_factory=list)
    shifts_changed: int = 0
    left_out: int = 0
    empty: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def prometheus_client(settings: Settings) -> PrometheusClient:
    """A client of the configured Prometheus; :class:`ConfigurationError` where there is none."""
    from achievement_collector.sources.prometheus.client import PrometheusClient

    if settings.prometheus_url is None:
        raise ConfigurationError("Prometheus is not configured; set PROMETHEUS_URL")
    if settings.prometheus_enabled is False:
        raise ConfigurationError("tracking.prometheus.enabled is false")
    return PrometheusClient(
        settings.prometheus_url, token=settings.prometheus_token, username=settings.prometheus_username,
        password=settings.prometheus_password, certificate=settings.prometheus_certificate, key=settings.prometheus_key,
        authority=settings.prometheus_authority,
    )  # fmt: skip


def scrape(
    ledger: Ledger, settings: Settings, now: int, *, names: Sequence[str] = (), progress: Progress = _quiet
) -> Scraped:
    """Asks Prometheus for every KPI that has a query (or those of ``names``), with the history since the last scrape; what
    is new is stored, milestones are recorded and shifts looked for. One KPI that cannot be asked does not keep the others
    from it; where none can be, :class:`CollectorError` is raised. ``now`` in milliseconds."""
    from achievement_collector.sources.prometheus.client import (
        PrometheusAccessError,
        PrometheusUnavailableError,
    )
    from achievement_collector.sources.prometheus.reading import PrometheusError

    known = {one.name: one for one in settings.kpis}
    for name in names:
        if name not in known:
            raise NotFoundError(f"no KPI is called {name!r}; configured are {', '.join(known) or 'none'}")
    asked = [one for one in settings.kpis if one.query and (not names or one.name in names)]
    done = Scraped()
    stopped = ""
    with prometheus_client(settings) as client:
        for number, kpi in enumerate(asked):
            progress(kpi.name, number, len(asked))
            try:
                _scrape_one(ledger, settings, client, kpi, now, done)
                done.kpis += 1
            except (PrometheusUnavailableError, PrometheusAccessError) as error:
                stopped = str(error)
                done.failures |= {one.name: stopped for one in asked[number:]}
                break
            except PrometheusError as error:
                done.failures[kpi.name] = str(error)
    progress("done", len(asked), len(asked))
    _note_scrape(ledger, done, now)
    if asked and not done.kpis:
        raise CollectorError(stopped or "; ".join(dict.fromkeys(done.failures.values())))
    return done


def _note_scrape(ledger: Ledger, done: Scraped, now: int) -> None:
    with ledger.write() as connection:
        before = cursor(connection, SCRAPES) or {}
        told = {
            "tried": now,
            "scraped": now if done.kpis else before.get("scraped"),
            "failures": {name: text[:300] for name, text in done.failures.items()},
            "empty": done.empty,
            "scrapes": before.get("scrapes", 0) + (1 if done.kpis else 0),
            "failed": before.get("failed", 0) + (0 if done.kpis else 1),
        }
        remember(connection, SCRAPES, told, now)


def _scrape_one(
    ledger: Ledger, settings: Settings, client: PrometheusClient, kpi: Kpi, now: int, done: Scraped
) -> None:
    with ledger.read() as connection:
        state = cursor(connection, f"kpi/{kpi.name}") or {}
    is_another = state.get("query") not in (None, kpi.query)
    if is_another:
        state = {}
    days = settings.kpi_history_days
    step = sampling(kpi, days)
    since = int(state.get("until") or now - days * DAY)
    answer = client.query(kpi.query, now, kpi=kpi.name)
    asked: list[Answer] = []
    if days:
        asked.append(client.query_range(kpi.query, since, now, step // 1000, kpi=kpi.name))
    if kpi.rollout_query:
        began = int(state.get("until") or now - min(days, 30) * DAY - ROLL_OUT)
        asked.append(client.query_range(kpi.rollout_query, began, now, step // 1000, kpi=rollout_of(kpi)))
    history = [series for one in asked for series in one.series]
    done.left_out += sum(one.left_out for one in (answer, *asked))
    warnings = list(dict.fromkeys(text for one in (answer, *asked) for text in one.warnings))
    if warnings:
        done.warnings[kpi.name] = warnings
    if not answer.series and not any(one.kpi == kpi.name for one in history):
        done.empty.append(kpi.name)
    until = now
    if any(
        one.may_be_incomplete for one in asked
    ):  # what is missing is asked for again, as far as history goes
        until = max(since, now - max(days, 1) * DAY)
    with ledger.write() as connection:
        if is_another:
            stored.forget_measured(connection, kpi.name)
            forget_what_is_settled(connection, kpi.name, now)
        for series in history:
            number = stored.series_id(connection, series.kpi, series.labels)
            # what holds now is the scrape's, and judged
            earlier = [one for one in series.samples if one.at != now]
            done.samples += stored.add_samples(connection, number, earlier, "history")
        found = record_values(connection, kpi, answer.series, now, "scrape", done)
        remember(connection, f"kpi/{kpi.name}", {"query": kpi.query, "until": until}, now)
        mark_stale(connection, [("kpi", kpi.name, f"scrape of {kpi.name}")], now)
    done.milestones += found
    done.series += len({one.name for one in (*answer.series, *history) if one.kpi == kpi.name})
    if look_for_shifts(ledger, settings, kpi, now):
        done.shifts_changed += 1


def rollout_of(kpi: Kpi) -> str:
    """The name under which the series of single versions are kept."""
    return f"{kpi.name}:rollout"


def record_values(
    connection: Connection,
    kpi: Kpi,
    found: Sequence[Series],
    now: int,
    origin: str,
    done: Scraped,
    *,
    told_by: str = "",
) -> list[Milestone]:
    """Stores the values of a moment and the milestones among them. A counter's series are added up.

    What was scraped is compared with what was scraped before and with nothing else; what somebody states (``origin`` is
    ``stated``) with whatever was recorded last."""
    milestones: list[Milestone] = []
    counted = 0
    for series in found:
        number = stored.series_id(connection, kpi.name, series.labels)
        sample = series.samples[-1]
        if kpi.is_counter and origin == "scrape":
            is_new = stored.add_samples(connection, number, [sample], origin)
            done.samples += is_new
            counted += is_new
            continue
        previous = stored.last_recorded(connection, number, sample.at, compared_origins(origin))
        is_new = stored.add_samples(connection, number, [sample], origin)
        done.samples += is_new
        if not is_new:
            continue  # it was judged when it was recorded
        one = _milestone(connection, kpi, series.name, sample, previous, origin, told_by)
        if one:
            milestones.append(one)
    if counted:
        totals = total_of_counters(stored.stored_series(connection, kpi.name, origins=stored.MEASURED))
        recorded = [one for one in totals if one.at in _moments(connection, kpi.name)]
        if recorded and recorded[-1].at == max(one.samples[-1].at for one in found):
            previous = stored.Recorded(recorded[-2], "scrape") if len(recorded) > 1 else None
            one = _milestone(connection, kpi, kpi.name, recorded[-1], previous, origin, told_by)
            if one:
                milestones.append(one)
    if milestones:
        changed = take_in(connection, [stored.milestone_observation(one) for one in milestones], now)
        note_changes(connection, changed, now)
    return milestones


def _moments(connection: Connection, name: str) -> set[int]:
    """When a KPI was scraped."""
    return {
        one.at
        for series in stored.stored_series(connection, name, origins=("scrape",))
        for one in series.series.samples
    }


def _milestone(
    connection: Connection,
    kpi: Kpi,
    series: str,
    sample: Sample,
    previous: stored.Recorded | None,
    origin: str,
    told_by: str,
) -> Milestone | None:
    if kpi.target is None:
        return None
    if not judged(connection, kpi, series, sample, previous, origin).is_milestone:
        return None
    return Milestone(
        kpi.name, series, kpi.title or kpi.name, kpi.unit, kpi.direction, sample.at, sample.value, kpi.target,
        previous.sample if previous else None, origin, told_by, kpi.money_per_unit, kpi.currency,
        kpi.query if origin == "scrape" else "", previous.origin if previous else "",
    )  # fmt: skip


def compared_origins(origin: str) -> tuple[str, ...]:
    """The origins of values that one of this origin is compared with."""
    return ("scrape",) if origin == "scrape" else ("scrape", origin)


def judged(
    connection: Connection,
    kpi: Kpi,
    series: str,
    sample: Sample,
    previous: stored.Recorded | None,
    origin: str,
) -> Judged:
    """Whether a value of a KPI with a target is a milestone, beside the milestones of what it is compared with."""
    earlier = [
        one.value
        for one in stored.milestones_of(connection, kpi.name)
        if one.series == series and one.at < sample.at and one.direction is kpi.direction and one.unit == kpi.unit
        and one.origin in compared_origins(origin)
    ]  # fmt: skip
    best = (max if kpi.direction is Direction.HIGHER else min)(earlier, default=None)
    assert kpi.target is not None
    return judge_milestone(
        kpi.direction, sample.value, kpi.target, previous.sample.value if previous else None, best,
        needs_previous=origin == "scrape",
    )  # fmt: skip


def record_metrics(
    ledger: Ledger, settings: Settings, told: Sequence[tuple[str, Mapping[str, str], float]], now: int
) -> Scraped:
    """Records the values of configured KPIs among (name, labels, value) that a service shows itself, as a scrape does."""
    done = Scraped()
    for kpi in settings.kpis:
        found = [
            Series(kpi.name, labels, (Sample(now, value),))
            for name, labels, value in told
            if name == kpi.name
        ]
        if not found:
            continue
        with ledger.write() as connection:
            done.milestones += record_values(connection, kpi, found, now, "scrape", done)
            mark_stale(connection, [("kpi", kpi.name, f"a value of {kpi.name}")], now)
        done.kpis += 1
        done.series += len(found)
        done.shifts_changed += look_for_shifts(ledger, settings, kpi, now)
    return done


# --- the state of it ---------------------------------------------------------------------------------


def configured_kpi(settings: Settings, connection: Connection, name: str) -> Kpi:
    """A KPI by its name: as it is configured, or as its milestones state it; :class:`NotFoundError` where nothing is known."""
    found = next((one for one in settings.kpis if one.name == name), None)
    if found is not None:
        return found
    if name not in stored.names_of_kpis(connection):
        raise NotFoundError(f"no KPI is called {name!r}; kpi list shows them")
    told = stored.milestones_of(connection, name)
    if told:
        last = told[-1]
        return Kpi(
            name, "", last.title, last.direction, last.target, last.unit, last.money_per_unit, last.currency
        )
    return Kpi(name, "", name.replace("_", " "), unit=stated_unit(connection, name) or "")


def stated_unit(connection: Connection, name: str) -> str | None:
    """The unit in which values of a KPI are stated; None where none was stated yet."""
    told = cursor(connection, f"kpi-stated/{name}")
    if told:
        return str(told["unit"])
    milestones = [one for one in stored.milestones_of(connection, name) if one.origin == "stated"]
    return milestones[-1].unit if milestones else None


@dataclass(frozen=True, slots=True)
class LastMeasured:
    """What was measured of a KPI last. Of several series the value is the one that is furthest from good, and ``series``
    names it; ``of`` counts those that were measured at that moment. Of a counter it is all that its series counted."""

    value: float
    at: int
    series: str
    of: int


def last_measured(connection: Connection, kpi: Kpi) -> LastMeasured | None:
    """The standing of a KPI by what Prometheus gave last, None where it gave nothing; what is stated is no measurement."""
    if kpi.is_counter:
        totals = total_of_counters(stored.stored_series(connection, kpi.name, origins=stored.MEASURED))
        return LastMeasured(totals[-1].value, totals[-1].at, kpi.name, 1) if totals else None
    found = stored.last_of_each(connection, kpi.name)
    if not found:
        return None
    newest = max(one.samples[-1].at for one in found)
    now = [one for one in found if one.samples[-1].at == newest]
    worst = min(now, key=lambda one: kpi.direction.gain(0.0, one.samples[-1].value))
    return LastMeasured(worst.samples[-1].value, newest, worst.name, len(now))


def prometheus_status(ledger: Ledger, settings: Settings, now: int) -> dict[str, Any]:
    """The documented form of ``GET /prometheus/status``. ``status`` is ``active``, ``failing`` (the last scrape did not
    work), ``waiting`` (there was none yet) or ``disabled``."""
    from achievement_collector.config import explain_address
    from achievement_collector.derive.epics import iso

    with ledger.read() as connection:
        told: Mapping[str, Any] = cursor(connection, SCRAPES) or {}
        until = cursors_like(connection, "kpi/")
        asked = [one for one in settings.kpis if one.query]
        last = {one.name: last_measured(connection, one) for one in asked}
        milestones = len(stored.milestones_of(connection))
    scraped, tried = told.get("scraped"), told.get("tried")
    if not settings.has_prometheus:
        status = "disabled"
    elif tried is None:
        status = "waiting"
    else:
        status = "active" if scraped == tried else "failing"
    interval = settings.scrape_interval_hours * HOUR
    following = None
    if settings.has_prometheus:
        following = iso((now // interval + 1) * interval) if tried is not None else iso(now)
    return {
        "status": status,
        "prometheus_url": explain_address(settings.prometheus_url),
        "scrape_interval_hours": settings.scrape_interval_hours,
        "last_scrape": iso(scraped),
        "last_attempt": iso(tried),
        "next_scrape": following,
        "scrapes": told.get("scrapes", 0),
        "metrics_tracked": [one.name for one in asked],
        "thresholds": {one.name: one.target for one in asked},
        "last_values": {
            name: {"value": one.value, "at": iso(one.at), "series": one.series, "of_series": one.of}
            if one
            else None
            for name, one in last.items()
        },
        "not_measured": [name for name, one in last.items() if one is None],
        "milestones": milestones,
        "failures": dict(told.get("failures", {})),
        "known_until": {name.partition("/")[2]: iso(one.get("until")) for name, one in until.items()},
    }
