"""Turns the engineering work people really do into an evidence-backed record."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "track_kpi_milestone"]


def track_kpi_milestone(
    metric_name: str,
    value: float,
    target: float,
    *,
    direction: str | None = None,
    unit: str | None = None,
    told_by: str = "",
    database: str | None = None,
) -> dict[str, Any] | None:
    """Records a value of a KPI in the configured ledger (or ``database``). Where it reaches ``target`` and is at least 10 %
    better than the value recorded before it, gives the milestone: title, description, impact_score, metrics, business_value,
    achievement_id; else None. ``direction`` is ``higher`` or ``lower``, by default as it is configured, else higher.

    Raises :class:`achievement_collector.errors.CollectorError` for what is no value of a KPI.
    """
    from achievement_collector.config import load_settings
    from achievement_collector.errors import CollectorError
    from achievement_collector.facts.kpis import Direction
    from achievement_collector.ledger.store import open_ledger
    from achievement_collector.services.clock import now_ms
    from achievement_collector.services.kpi_statements import track_milestone
    from achievement_collector.services.kpi_views import milestone_data
    from achievement_collector.services.live import bring_up_to_date

    if direction is not None and direction not in set(Direction):
        raise CollectorError(f"{direction!r} is no direction; choose from higher, lower")
    settings = load_settings(database)
    ledger = open_ledger(settings.database)
    try:
        done = track_milestone(
            ledger, settings, metric_name, value, target, now_ms(),
            direction=Direction(direction) if direction else None, unit=unit, told_by=told_by,
        )  # fmt: skip
        bring_up_to_date(ledger, settings, now_ms)
        return milestone_data(done.milestone) if done.milestone else None
    finally:
        ledger.close()
