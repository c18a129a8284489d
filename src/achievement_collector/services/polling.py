"""Asking outside systems for what webhooks did not tell: which are configured, and one poll of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from achievement_collector.config import Settings
from achievement_collector.errors import ConfigurationError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.live import note_changes

if TYPE_CHECKING:
    from achievement_collector.services.content import Polled
    from achievement_collector.services.github_sync import Synced as GithubSynced
    from achievement_collector.services.linear_sync import Synced as LinearSynced
    from achievement_collector.services.mlflow_sync import Synced as MlflowSynced
    from achievement_collector.sources.github.client import GitHubClient
    from achievement_collector.sources.linear.client import LinearClient
    from achievement_collector.sources.mlflow.client import MlflowClient

Progress = Callable[[str, int, int | None], None]


def _quiet(_stage: str, _done: int, _total: int | None) -> None:
    pass


def github_client(settings: Settings) -> GitHubClient:
    """A client of the configured GitHub."""
    from achievement_collector.sources.github.client import GitHubClient

    return GitHubClient(settings.github_api_url, settings.github_token)


def linear_client(settings: Settings) -> LinearClient:
    """A client of Linear; :class:`ConfigurationError` where nothing lets us in."""
    from achievement_collector.sources.linear.client import LinearClient

    if not settings.linear_api_key and not settings.linear_oauth_token:
        raise ConfigurationError("Linear needs LINEAR_API_KEY or LINEAR_OAUTH_TOKEN")
    return LinearClient(
        settings.linear_api_url, api_key=settings.linear_api_key, oauth_token=settings.linear_oauth_token
    )


def poll_github(
    ledger: Ledger, settings: Settings, repository: str, now: int, progress: Progress = _quiet
) -> GithubSynced:
    """Brings what is known of a repository up to date with GitHub; the marks of what rests on it are set."""
    from achievement_collector.services.ci_runs import Reach
    from achievement_collector.services.github_sync import sync_repository

    with github_client(settings) as client:
        reach = Reach(settings.github_ci_requests, settings.github_ci_green_jobs, settings.github_ci_logs)
        return sync_repository(
            ledger, client, repository, now, progress=progress, on_changed=note_changes, reach=reach
        )


def poll_linear(ledger: Ledger, settings: Settings, now: int, progress: Progress = _quiet) -> LinearSynced:
    """Brings what is known of Linear up to date; the marks of what rests on it are set."""
    from achievement_collector.services.linear_sync import sync_linear

    with linear_client(settings) as client:
        return sync_linear(
            ledger,
            client,
            now,
            progress=lambda stage, done: progress(stage, done, None),
            on_changed=note_changes,
        )


def has_linear(settings: Settings) -> bool:
    return bool(settings.linear_api_key or settings.linear_oauth_token)


def mlflow_client(settings: Settings) -> MlflowClient:
    """A client of MLflow; :class:`ConfigurationError` where its address is not given."""
    from achievement_collector.sources.mlflow.client import MlflowClient

    if settings.mlflow_url is None:
        raise ConfigurationError("MLflow needs MLFLOW_TRACKING_URI")
    return MlflowClient(
        settings.mlflow_url,
        token=settings.mlflow_token,
        username=settings.mlflow_username,
        password=settings.mlflow_password,
    )


def poll_mlflow(
    ledger: Ledger, settings: Settings, clock: Callable[[], int], progress: Progress = _quiet
) -> MlflowSynced:
    """Brings what is known of experiments up to date; the marks of what rests on it are set."""
    from achievement_collector.services.mlflow_sync import sync_mlflow

    with mlflow_client(settings) as client:
        return sync_mlflow(
            ledger,
            client,
            clock,
            progress=lambda stage, done: progress(stage, done, None),
            on_changed=note_changes,
        )


def has_content(settings: Settings) -> bool:
    return settings.threads_adaptor_url is not None or settings.orchestrator_url is not None


def poll_content(ledger: Ledger, settings: Settings, now: int) -> Polled:
    """Asks the adaptor for posts and, where no Prometheus tells them, the orchestrator for the values of KPIs;
    :class:`ConfigurationError` where no address is given."""
    from achievement_collector.services.content import Polled, poll_posts
    from achievement_collector.services.kpis import record_metrics
    from achievement_collector.sources.threads import ThreadsClient

    if not has_content(settings):
        raise ConfigurationError("posts are asked for from THREADS_ADAPTOR_URL, which is not set")
    with ThreadsClient(settings.threads_adaptor_url or "", settings.orchestrator_url or "") as client:
        if settings.orchestrator_url and not settings.has_prometheus:
            told = [(one.name, one.labels, one.value) for one in client.metrics()]
            record_metrics(ledger, settings, told, now)
        return poll_posts(ledger, settings, client, now) if settings.threads_adaptor_url else Polled()
