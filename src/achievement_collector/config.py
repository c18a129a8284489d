"""Settings: command-line flags win over environment variables, those over the defaults below."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from achievement_collector.errors import ConfigurationError

APPLICATION = "achievement-collector"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, its meaning, and the environment variable that sets it."""

    database: str
    """``DATABASE_URL`` or ``--db``: a PostgreSQL or SQLite URL, or the path of an SQLite file.
    Default: ``ledger.db`` in the user's data folder."""

    min_lines: int = 50
    """``MIN_LINES_FOR_ACHIEVEMENT``: a change with no declared type and no telling word counts when it has
    more changed lines than this."""

    repository: str | None = None
    """``GIT_REPO_PATH``: the repository that ``scan`` and ``hook`` take when none is named."""

    rules: Path | None = None
    """``ACHIEVEMENT_RULES``: a folder whose ``bots.toml`` and ``agents.toml`` add to the shipped ones.
    Default: ``rules`` in the user's configuration folder, where it exists."""


def load_settings(database: str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Raises :class:`ConfigurationError` for a value that cannot be used."""
    given = os.environ if environment is None else environment
    rules = (
        Path(given["ACHIEVEMENT_RULES"]) if given.get("ACHIEVEMENT_RULES") else _folder("config") / "rules"
    )
    if given.get("ACHIEVEMENT_RULES") and not rules.is_dir():
        raise ConfigurationError(f"ACHIEVEMENT_RULES names {rules}, which is not a folder")
    return Settings(
        database=database or given.get("DATABASE_URL") or str(_folder("data") / "ledger.db"),
        min_lines=_positive(given, "MIN_LINES_FOR_ACHIEVEMENT", 50),
        repository=given.get("GIT_REPO_PATH") or None,
        rules=rules if rules.is_dir() else None,
    )


def _positive(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal():
        raise ConfigurationError(f"{name} must be a whole number of lines, not {text!r}")
    return int(text)


def _folder(kind: str) -> Path:
    import platformdirs

    if kind == "config":
        return Path(platformdirs.user_config_dir(APPLICATION))
    return Path(platformdirs.user_data_dir(APPLICATION))


def state_folder() -> Path:
    """Where logs of background scans go."""
    import platformdirs

    return Path(platformdirs.user_state_dir(APPLICATION))
