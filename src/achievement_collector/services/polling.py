"""Asking outside systems for what webhooks did not tell: which are configured, and one poll of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from achievement_collector.config import Settings
from achievement_collector.errors import ConfigurationError
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.live import note_changes

if TYPE_CHECKING:
    from achievement_collector.services.github_sync import Synced as GithubSynced
    from achievement_collector.services.linear_sync import Synced as LinearSynced
    from achievement_collector.sources.github.client import GitHubClient
    from achievement_collector.sources.linear.client import LinearClient

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
    from achievement_collector.services.github_sync import sync_repository

    with github_client(settings) as client:
        return sync_repository(ledger, client, repository, now, progress=progress, on_changed=note_changes)


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
