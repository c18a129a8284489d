"""The product's own Prometheus metrics."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from achievement_collector.ledger import inbox
from achievement_collector.ledger.outcomes import outcome_counts
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.clock import now_ms
from achievement_collector.workflows.supervisor import Work

_PREFIX = "achievement_collector"
disable_created_metrics()  # type: ignore[no-untyped-call]  # every series would be doubled by the time it began


class Metrics:
    """Counters of this process, and what the ledger tells at the time of a scrape."""

    def __init__(self, ledger: Ledger, work: Work) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            f"{_PREFIX}_deliveries",
            "Deliveries by source and answer.",
            ["source", "answer"],
            registry=self.registry,
        )
        self.accept_seconds = Histogram(
            f"{_PREFIX}_delivery_accept_duration_seconds", "From a delivery's arrival to its answer.", registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )  # fmt: skip
        self.requests = Counter(
            f"{_PREFIX}_http_requests", "Answers by method, route and status.", ["method", "route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.analysis_seconds = Histogram(
            f"{_PREFIX}_ai_analysis_duration_seconds",
            "Time an analysis by a language model took; 0 in this version, which makes none.",
            registry=self.registry,
        )
        self.syncs = Counter(
            f"{_PREFIX}_syncs", "Polls of outside systems.", ["system", "result"], registry=self.registry
        )
        self.ready = Gauge(f"{_PREFIX}_ready", "1 once everything has started.", registry=self.registry)
        self.registry.register(_FromLedger(ledger, work))

    def text(self) -> bytes:
        """The exposition in Prometheus' text format."""
        return generate_latest(self.registry)


class _FromLedger(Collector):
    def __init__(self, ledger: Ledger, work: Work) -> None:
        self._ledger = ledger
        self._work = work

    def describe(self) -> list[Metric]:
        return []  # nothing is asked of the ledger when it is registered

    def collect(self) -> list[Metric]:
        with self._ledger.read() as connection:
            depth = inbox.depth(connection)
            taken = outcome_counts(connection)
        counts = self._work.counts
        states = GaugeMetricFamily(
            f"{_PREFIX}_inbox_deliveries", "Deliveries in the inbox by state.", labels=["state"]
        )
        for state, count in depth.counts.items():
            states.add_metric([state], count)
        waiting = 0.0 if depth.oldest_waiting is None else max(0.0, (now_ms() - depth.oldest_waiting) / 1000)
        processed = CounterMetricFamily(
            f"{_PREFIX}_deliveries_processed",
            "Deliveries processed by this process, by outcome.",
            labels=["outcome"],
        )
        processed.add_metric(["processed"], counts.processed.processed)
        processed.add_metric(["not_relevant"], counts.processed.not_relevant)
        processed.add_metric(["failed"], counts.processed.failed)
        scrapes = CounterMetricFamily(
            f"{_PREFIX}_prometheus_scrapes", "Scrapes of KPIs from Prometheus.", labels=["result"]
        )
        scrapes.add_metric(["ok"], taken.scrapes)
        scrapes.add_metric(["failed"], taken.failed_scrapes)
        return [
            states,
            scrapes,
            CounterMetricFamily(f"{_PREFIX}_threads_integrations", "Content posts taken in.", taken.posts),
            CounterMetricFamily(
                f"{_PREFIX}_viral_posts_tracked", "Posts that are achievements.", taken.posts_that_count
            ),
            CounterMetricFamily(f"{_PREFIX}_kpi_milestones", "KPI milestones recorded.", taken.milestones),
            GaugeMetricFamily(f"{_PREFIX}_inbox_depth", "Deliveries that wait.", depth.counts[inbox.WAITING]),
            GaugeMetricFamily(
                f"{_PREFIX}_inbox_lag_seconds", "For how long the longest waiting delivery waits.", waiting
            ),
            GaugeMetricFamily(
                f"{_PREFIX}_inbox_failures",
                "Deliveries that could not be processed.",
                depth.counts[inbox.FAILED],
            ),
            processed,
            CounterMetricFamily(
                f"{_PREFIX}_work_failures", "Failures of the work in the background.", counts.failures
            ),
            CounterMetricFamily(f"{_PREFIX}_epics_rebuilt", "Epics built anew.", counts.updated.epics),
            CounterMetricFamily(
                f"{_PREFIX}_epics_finalised", "Final versions of epics made.", counts.updated.finalised
            ),
        ]
