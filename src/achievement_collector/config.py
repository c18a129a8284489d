"""Settings: flags win over environment variables, those over ``achievement-tracker.yaml``, that over the defaults below.

Secrets and places come from the environment, what counts as work from the file. docs/configuration.md lists them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from achievement_collector.errors import ConfigurationError
from achievement_collector.facts.kpis import Direction, Kpi

APPLICATION = "achievement-collector"
FILE_NAME = "achievement-tracker.yaml"
FILE_VARIABLE = "ACHIEVEMENT_TRACKER_CONFIG"
HIDDEN = "set (hidden)"

EPIC_SOURCES = ("project", "issue", "initiative")
CI_METRICS = ("coverage", "tests", "benchmarks", "findings", "build_time")
PERSONAS = ("technical", "business", "leadership", "hr_manager", "tech_lead", "startup_ceo", "investor")


class UnusableError(ValueError):
    """What a value must be; the name of its variable or key comes before it in a message."""


def _text(text: str) -> str:
    return text


def _truth(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise UnusableError("must be true or false (also 1, 0, yes, no, on, off)")


def _whole(unit: str, least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise UnusableError(f"must be a whole number of {unit} from {least} to {most}")
        return int(text)

    return read


def _token(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):  # it goes into an HTTP header
        raise UnusableError("must be one word of plain ASCII characters, as tokens are")
    return text


def web_address(text: str) -> str:
    """``text`` as the address of an API, without a slash at its end. Raises :class:`UnusableError`."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", text):
        raise UnusableError("must be an address such as https://host.example/path")
    return text.rstrip("/")


def _repositories(text: str) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        if not re.fullmatch(r"[A-Za-z0-9][\w-]{0,99}/(?!\.{1,2}$)[\w.-]{1,100}", one, re.ASCII):
            raise UnusableError("must list repositories as owner/name, with commas between them")
        found.setdefault(one.lower(), one)
    return tuple(found.values())


def _folder(text: str) -> Path:
    if not os.path.isdir(text):
        raise UnusableError("must name a folder")
    return Path(text)


def _repository(text: str) -> str:
    found = _repositories(text)
    if len(found) != 1:
        raise UnusableError("must be one repository as owner/name")
    return found[0]


def _notion_version(text: str) -> str:
    if text not in ("2025-09-03", "2026-03-11"):
        raise UnusableError("must be 2025-09-03 or 2026-03-11")
    return text


def _file(text: str) -> Path:
    if not os.path.isfile(text):
        raise UnusableError("must name a file")
    return Path(text)


class Experiment(NamedTuple):
    """How runs of an experiment are compared: the metric, which way it gets better, and by which part of the best earlier
    value a run must be better to count."""

    name: str
    metric: str
    direction: Direction | None = None
    margin: float = 0.01


def _latency(series: str, share: float, window: str) -> str:
    """A quantile of a histogram, or the mean of a plain series of that name."""
    return f"histogram_quantile({share}, sum by (le) (rate({series}_bucket[{window}]))) or avg({series})"


DEFAULT_KPIS = (
    Kpi("posts_engagement_rate", "avg(posts_engagement_rate)", "Engagement rate", Direction.HIGHER, 0.06, "ratio",
        metric="engagement_rate_improvement"),
    Kpi("revenue_projection_monthly", "max(revenue_projection_monthly)", "Projected monthly revenue", Direction.HIGHER,
        20_000.0, "$", money_per_unit=1.0, metric="revenue_impact"),
    Kpi("cost_per_follow_dollars", "avg(cost_per_follow_dollars)", "Cost per follow", Direction.LOWER, 0.01, "$",
        metric="cost_savings"),
    Kpi("content_generation_latency_seconds", _latency("content_generation_latency_seconds", 0.95, "1h"),
        "Content generation latency", Direction.LOWER, 2.0, "s"),
    Kpi("posts_generated_total", "posts_generated_total", "Posts generated", Direction.HIGHER, 100.0, "count",
        is_counter=True),
    Kpi("http_request_duration_seconds", _latency("http_request_duration_seconds", 0.95, "1h"), "Request duration",
        Direction.LOWER, 0.5, "s"),
    Kpi("error_rate", 'sum(rate(http_requests_total{status=~"5.."}[1h])) / sum(rate(http_requests_total[1h]))',
        "Error rate", Direction.LOWER, None, "ratio"),
    Kpi("latency_p99", "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1h])))",
        "Latency, 99th percentile", Direction.LOWER, None, "s"),
    Kpi("uptime", "avg(avg_over_time(up[1h]))", "Uptime", Direction.HIGHER, None, "ratio"),
)  # fmt: skip
"""The KPIs that are asked for where the file names none: six with the documented targets, three without one."""


class _From(NamedTuple):
    """Where a setting can be given. ``key`` is its place in the file; ``hides`` tells what is never shown: nothing, the
    user and password of an "address", or the whole "secret"."""

    variable: str = ""
    read: Callable[[str], Any] = _text
    key: str = ""
    hides: str = ""


def _variable(name: str, read: Callable[[str], Any] = _text, hides: str = "") -> dict[str, _From]:
    return {"from": _From(name, read, hides=hides)}


def _secret(name: str, read: Callable[[str], Any] = _text) -> dict[str, _From]:
    return _variable(name, read, "secret")


def _key(place: str, hides: str = "") -> dict[str, _From]:
    return {"from": _From(key=place, hides=hides)}


_LINES = _whole("lines", 0, 999_999_999)
_SECONDS = _whole("seconds", 1, 30 * 86_400)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting: its meaning, unit and default. Its ``repr`` shows no secret and no address that may hold one."""

    # --- the record

    database: str = field(repr=False, metadata=_variable("DATABASE_URL", hides="address"))
    """``--db``, ``DATABASE_URL``: a PostgreSQL or SQLite URL, or the path of an SQLite file.
    Default: ``ledger.db`` in the user's data folder."""

    min_lines: int = field(default=50, metadata=_variable("MIN_LINES_FOR_ACHIEVEMENT", _LINES))
    """``MIN_LINES_FOR_ACHIEVEMENT``: a change with no declared type and no telling word counts when it has
    more changed lines than this. Default: 50."""

    repository: str | None = field(default=None, metadata=_variable("GIT_REPO_PATH"))
    """``GIT_REPO_PATH``: the repository that is read when none is named. Default: the current folder for ``scan`` and
    ``hook``, none for the server."""

    rules: Path | None = field(default=None, metadata=_variable("ACHIEVEMENT_RULES", _folder))
    """``ACHIEVEMENT_RULES``: a folder whose ``bots.toml`` and ``agents.toml`` add to the shipped ones.
    Default: ``rules`` in the user's configuration folder, where it exists."""

    enable_git_tracking: bool = field(default=True, metadata=_variable("ENABLE_GIT_TRACKING", _truth))
    """``ENABLE_GIT_TRACKING``: whether ``track`` reads git repositories. Default: true."""

    # --- Linear

    linear_api_key: str | None = field(default=None, repr=False, metadata=_secret("LINEAR_API_KEY", _token))
    """``LINEAR_API_KEY``: a personal key to read from Linear. Default: none, Linear is not read."""

    linear_oauth_token: str | None = field(
        default=None, repr=False, metadata=_secret("LINEAR_OAUTH_TOKEN", _token)
    )
    """``LINEAR_OAUTH_TOKEN``: the access token of an OAuth application, instead of a key. Default: none."""

    linear_check_interval: int = field(default=300, metadata=_variable("LINEAR_CHECK_INTERVAL", _SECONDS))
    """``LINEAR_CHECK_INTERVAL``: seconds between two readings of Linear by the server. Default: 300."""

    linear_api_url: str = field(
        default="https://api.linear.app/graphql",
        repr=False,
        metadata=_variable("LINEAR_API_URL", web_address, "address"),
    )
    """``LINEAR_API_URL``: where Linear's GraphQL API answers. Default: Linear's own."""

    linear_webhook_secret: str | None = field(
        default=None, repr=False, metadata=_secret("LINEAR_WEBHOOK_SECRET")
    )
    """``LINEAR_WEBHOOK_SECRET``: what Linear signs its deliveries with. Default: none, deliveries are refused."""

    linear_webhook_window: int = field(default=60, metadata=_variable("LINEAR_WEBHOOK_WINDOW", _SECONDS))
    """``LINEAR_WEBHOOK_WINDOW``: seconds that a delivery's time may differ from the server's. Default: 60."""

    # --- GitHub and deployments

    github_token: str | None = field(default=None, repr=False, metadata=_secret("GITHUB_TOKEN", _token))
    """``GITHUB_TOKEN``: a token to read from GitHub. Default: none."""

    github_api_url: str = field(
        default="https://api.github.com",
        repr=False,
        metadata=_variable("GITHUB_API_URL", web_address, "address"),
    )
    """``GITHUB_API_URL``: where GitHub's REST API answers. Default: that of github.com."""

    github_repositories: tuple[str, ...] = field(
        default=(), metadata=_variable("GITHUB_REPOSITORIES", _repositories)
    )
    """``GITHUB_REPOSITORIES``: the repositories that the server polls, as ``owner/name``. Default: none."""

    github_check_interval: int = field(default=900, metadata=_variable("GITHUB_CHECK_INTERVAL", _SECONDS))
    """``GITHUB_CHECK_INTERVAL``: seconds between two readings of GitHub by the server. Default: 900."""

    github_ci_requests: int = field(
        default=500, metadata=_variable("GITHUB_CI_REQUESTS", _whole("requests", 0, 100_000))
    )
    """``GITHUB_CI_REQUESTS``: how many requests a reading of GitHub may spend on jobs, annotations and logs. Default: 500."""

    github_ci_green_jobs: bool = field(default=False, metadata=_variable("GITHUB_CI_GREEN_JOBS", _truth))
    """``GITHUB_CI_GREEN_JOBS``: whether the jobs of runs that passed are read as well, one request each. Default: false."""

    github_ci_logs: bool = field(default=True, metadata=_variable("GITHUB_CI_LOGS", _truth))
    """``GITHUB_CI_LOGS``: whether the logs of failed jobs are read and kept. Default: true."""

    github_webhook_secret: str | None = field(
        default=None, repr=False, metadata=_secret("GITHUB_WEBHOOK_SECRET")
    )
    """``GITHUB_WEBHOOK_SECRET``: what GitHub signs its deliveries with. Default: none, deliveries are refused."""

    deployments_webhook_secret: str | None = field(
        default=None, repr=False, metadata=_secret("DEPLOYMENTS_WEBHOOK_SECRET")
    )
    """``DEPLOYMENTS_WEBHOOK_SECRET``: what deliveries of deployments are signed with. Default: none, they are refused."""

    # --- Prometheus

    prometheus_enabled: bool | None = field(default=None, metadata=_key("tracking.prometheus.enabled"))
    """``tracking.prometheus.enabled``: whether Prometheus is asked. Default: where its address is given."""

    prometheus_url: str | None = field(
        default=None,
        repr=False,
        metadata={
            "from": _From("PROMETHEUS_URL", web_address, "tracking.prometheus.url", "address"),
        },
    )
    """``PROMETHEUS_URL``, ``tracking.prometheus.url``: where the Prometheus answers that KPIs are asked from.
    Default: none, it is not asked."""

    scrape_interval_hours: int = field(
        default=24,
        metadata={
            "from": _From(
                "SCRAPE_INTERVAL_HOURS", _whole("hours", 1, 8760), "tracking.prometheus.scrape_interval_hours"
            )
        },
    )
    """``SCRAPE_INTERVAL_HOURS``, ``tracking.prometheus.scrape_interval_hours``: hours between two scrapes. Default: 24."""

    kpi_history_days: int = field(default=90, metadata=_key("tracking.prometheus.history_days"))
    """``tracking.prometheus.history_days``: how far back the first scrape asks for a KPI's history; 0 for none.
    Default: 90."""

    kpis: tuple[Kpi, ...] = field(default=DEFAULT_KPIS, metadata=_key("tracking.prometheus.kpis"))
    """``tracking.prometheus.kpis``: the KPIs, in place of the default ones. Default: nine (docs/kpis.md)."""

    prometheus_token: str | None = field(
        default=None, repr=False, metadata=_secret("PROMETHEUS_TOKEN", _token)
    )
    """``PROMETHEUS_TOKEN``: a bearer token for it. Default: none."""

    prometheus_username: str | None = field(default=None, metadata=_variable("PROMETHEUS_USERNAME"))
    """``PROMETHEUS_USERNAME``: the user of basic authentication. Default: none."""

    prometheus_password: str | None = field(default=None, repr=False, metadata=_secret("PROMETHEUS_PASSWORD"))
    """``PROMETHEUS_PASSWORD``: that user's password. Default: none."""

    prometheus_certificate: Path | None = field(
        default=None, metadata=_variable("PROMETHEUS_CLIENT_CERTIFICATE", _file)
    )
    """``PROMETHEUS_CLIENT_CERTIFICATE``: a PEM file to identify with (mutual TLS). Default: none."""

    prometheus_key: Path | None = field(default=None, metadata=_variable("PROMETHEUS_CLIENT_KEY", _file))
    """``PROMETHEUS_CLIENT_KEY``: the PEM file of its private key. Default: in the certificate's file."""

    prometheus_authority: Path | None = field(
        default=None, metadata=_variable("PROMETHEUS_CA_CERTIFICATE", _file)
    )
    """``PROMETHEUS_CA_CERTIFICATE``: a PEM file of authorities to trust instead of the usual ones. Default: none."""

    # --- experiments and content

    mlflow_url: str | None = field(
        default=None, repr=False, metadata=_variable("MLFLOW_TRACKING_URI", web_address, "address")
    )
    """``MLFLOW_TRACKING_URI``: where an MLflow tracking server answers. Default: none, experiments are not read."""

    mlflow_token: str | None = field(
        default=None, repr=False, metadata=_secret("MLFLOW_TRACKING_TOKEN", _token)
    )
    """``MLFLOW_TRACKING_TOKEN``: a bearer token for it. Default: none."""

    mlflow_username: str | None = field(default=None, metadata=_variable("MLFLOW_TRACKING_USERNAME"))
    """``MLFLOW_TRACKING_USERNAME``: the user of basic authentication. Default: none."""

    mlflow_password: str | None = field(
        default=None, repr=False, metadata=_secret("MLFLOW_TRACKING_PASSWORD")
    )
    """``MLFLOW_TRACKING_PASSWORD``: that user's password. Default: none."""

    mlflow_check_interval: int = field(default=900, metadata=_variable("MLFLOW_CHECK_INTERVAL", _SECONDS))
    """``MLFLOW_CHECK_INTERVAL``: seconds between two readings of MLflow by the server. Default: 900."""

    experiments: tuple[Experiment, ...] = field(default=(), metadata=_key("tracking.experiments"))
    """``tracking.experiments``: the primary metric of experiments (docs/experiments.md). Default: none."""

    threads_adaptor_url: str | None = field(
        default=None, repr=False, metadata=_variable("THREADS_ADAPTOR_URL", web_address, "address")
    )
    """``THREADS_ADAPTOR_URL``: where posts and their figures are asked for. Default: none, they are only taken in."""

    orchestrator_url: str | None = field(
        default=None, repr=False, metadata=_variable("ORCHESTRATOR_URL", web_address, "address")
    )
    """``ORCHESTRATOR_URL``: whose ``/metrics`` tell the values of KPIs where no Prometheus does. Default: none."""

    content_check_interval: int = field(default=3600, metadata=_variable("CONTENT_CHECK_INTERVAL", _SECONDS))
    """``CONTENT_CHECK_INTERVAL``: seconds between two readings of posts by the server. Default: 3600."""

    # --- CI, the roadmap, Notion

    github_repository: str | None = field(default=None, metadata=_variable("GITHUB_REPOSITORY", _repository))
    """``GITHUB_REPOSITORY``: the repository, as ``owner/name``, that a workflow runs in, or that Notion is synced with.
    Default: none."""

    milestone: str | None = field(default=None, metadata=_variable("MILESTONE"))
    """``MILESTONE``: the milestone that is worked on, whatever branch or pull request say. Default: none."""

    roadmap_file: Path | None = field(default=None, metadata=_variable("ROADMAP_FILE", _file))
    """``ROADMAP_FILE``: the file of milestones. Default: ``roadmap.yaml`` in the current folder, where it exists."""

    ci_signatures: Path | None = field(default=None, metadata=_variable("CI_SIGNATURES", _folder))
    """``CI_SIGNATURES``: a folder of YAML files with signatures of CI failures that people wrote. Default: none."""

    critical_workflows: tuple[str, ...] = field(
        default=(), metadata=_key("tracking.ci_integration.critical_workflows")
    )
    """``tracking.ci_integration.critical_workflows``: the workflows that must be green for a milestone to be ready.
    Default: none named: those that ran on the default branch in the last 14 days."""

    progress_source: str = field(default="documents", metadata=_key("roadmap.progress_source"))
    """``roadmap.progress_source``: what is written as a milestone's progress: ``documents`` (the documented CI readiness
    score), ``issues`` (closed of all) or ``both``. Default: documents."""

    fiscal_year_start: int = field(default=1, metadata=_key("roadmap.fiscal_year_start"))
    """``roadmap.fiscal_year_start``: the month in which the first quarter begins, 1 to 12. Default: 1."""

    two_way_sync: bool = field(default=False, metadata=_key("roadmap.two_way_sync"))
    """``roadmap.two_way_sync``: whether the server keeps Notion's roadmap and GitHub's issues and milestones in step every hour;
    ``notion two-way`` does it when it is asked to. Default: false."""

    notion_api_key: str | None = field(default=None, repr=False, metadata=_secret("NOTION_API_KEY", _token))
    """``NOTION_API_KEY``: the token of a Notion connection. Default: none."""

    notion_parent_page: str | None = field(default=None, metadata=_variable("NOTION_PARENT_PAGE_ID"))
    """``NOTION_PARENT_PAGE_ID``: the page, by id or address, below which databases are made. Default: none."""

    notion_ci_reports_db: str | None = field(default=None, metadata=_variable("NOTION_CI_REPORTS_DB_ID"))
    """``NOTION_CI_REPORTS_DB_ID``: the database of CI reports, by id or address. Default: none."""

    notion_roadmap_db: str | None = field(default=None, metadata=_variable("NOTION_ROADMAP_DB_ID"))
    """``NOTION_ROADMAP_DB_ID``: the database of milestones, by id or address. Default: none."""

    notion_api_url: str = field(
        default="https://api.notion.com",
        repr=False,
        metadata=_variable("NOTION_API_URL", web_address, "address"),
    )
    """``NOTION_API_URL``: where Notion's API answers. Default: Notion's own."""

    notion_version: str = field(default="2025-09-03", metadata=_variable("NOTION_VERSION", _notion_version))
    """``NOTION_VERSION``: the version of its API, 2025-09-03 or 2026-03-11. Default: 2025-09-03."""

    # --- the server

    api_token: str | None = field(
        default=None, repr=False, metadata=_secret("ACHIEVEMENT_COLLECTOR_TOKEN", _token)
    )
    """``ACHIEVEMENT_COLLECTOR_TOKEN``: a token that the server accepts for everything. Default: none."""

    # --- what counts, and what is drawn from it: the file

    epics_enabled: bool = field(default=True, metadata=_key("tracking.epic_integration.enabled"))
    """``tracking.epic_integration.enabled``: whether epics are built. Default: true."""

    epic_source: str = field(default="project", metadata=_key("tracking.epic_integration.source"))
    """``tracking.epic_integration.source``: what an epic is in Linear: project, issue (one with sub-issues) or
    initiative. Default: project."""

    epic_keys: Mapping[str, str] = field(
        default_factory=dict, hash=False, metadata=_key("tracking.epic_integration.keys")
    )
    """``tracking.epic_integration.keys``: the epic's key for the name (in any case) or the id of what it is in Linear.
    Default: none; the key is the one that the title begins with."""

    pr_tracking_enabled: bool = field(default=True, metadata=_key("tracking.pr_tracking.enabled"))
    """``tracking.pr_tracking.enabled``: whether pull requests become achievements. Default: true."""

    min_changes: int = field(default=0, metadata=_key("tracking.pr_tracking.min_changes"))
    """``tracking.pr_tracking.min_changes``: a pull request with fewer changed lines does not count. Default: 0."""

    require_epic_link: bool = field(default=False, metadata=_key("tracking.pr_tracking.require_epic_link"))
    """``tracking.pr_tracking.require_epic_link``: whether a pull request that belongs to no epic does not count.
    Default: false."""

    ci_enabled: bool = field(default=True, metadata=_key("tracking.ci_integration.enabled"))
    """``tracking.ci_integration.enabled``: whether what CI measured is compared. Default: true."""

    ci_metrics: tuple[str, ...] = field(default=CI_METRICS, metadata=_key("tracking.ci_integration.metrics"))
    """``tracking.ci_integration.metrics``: which kinds of measures are compared. Default: all five."""

    deployment_environments: tuple[str, ...] = field(
        default=("production", "prod", "live"), metadata=_key("tracking.deployments.production")
    )
    """``tracking.deployments.production``: the names (in any case) of the environments that users meet; what is deployed
    to others is kept and does not count. Default: production, prod, live."""

    aggregation_seconds: float = field(default=1.0, metadata=_key("aggregation.window_seconds"))
    """``aggregation.window_seconds``: how long live changes are gathered before conclusions are drawn. Default: 1."""

    require_all_prs_merged: bool = field(
        default=True, metadata=_key("epic_completion.require_all_prs_merged")
    )
    """``epic_completion.require_all_prs_merged``: whether an open pull request keeps its epic open. Default: true."""

    require_ci_success: bool = field(default=True, metadata=_key("epic_completion.require_ci_success"))
    """``epic_completion.require_ci_success``: whether a merged pull request without a successful CI keeps its epic open.
    Default: true."""

    auto_finalize: bool = field(default=True, metadata=_key("epic_completion.auto_finalize"))
    """``epic_completion.auto_finalize``: whether a complete epic is frozen without being asked. Default: true."""

    ai_enabled: bool = field(default=False, metadata=_key("ai_enhancement.enabled"))
    """``ai_enhancement.enabled``: accepted, not used by this version. Default: false."""

    personas: tuple[str, ...] = field(default=PERSONAS, metadata=_key("ai_enhancement.personas"))
    """``ai_enhancement.personas``: the readers that an epic's final versions are written for. Default: all seven."""

    @property
    def has_prometheus(self) -> bool:
        return self.prometheus_url is not None and self.prometheus_enabled is not False


class InForce(NamedTuple):
    """A setting as ``config show`` tells it: ``value`` is plain data without secrets, ``origin`` where it came from."""

    key: str
    value: Any
    origin: str


def load_settings(
    database: str | None = None, environment: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """The settings in force. ``database`` is the flag ``--db``; ``file`` is read instead of the one that is looked for.

    Raises :class:`ConfigurationError` for a value that cannot be used; no message holds a secret.
    """
    settings, _ = _resolved(database, os.environ if environment is None else environment, file)
    return settings


def explain_settings(
    database: str | None = None, environment: Mapping[str, str] | None = None, file: Path | None = None
) -> list[InForce]:
    """Every setting with where it came from, secrets hidden. Raises as :func:`load_settings` does."""
    settings, origins = _resolved(database, os.environ if environment is None else environment, file)
    return [
        InForce(
            one.metadata["from"].key or one.metadata["from"].variable,
            _shown(getattr(settings, one.name), one.metadata["from"].hides),
            origins[one.name],
        )
        for one in fields(Settings)
    ]


def find_file(environment: Mapping[str, str]) -> Path | None:
    """The configuration file: the one that ``ACHIEVEMENT_TRACKER_CONFIG`` names, else the first there is of
    :func:`usual_files`. Raises :class:`ConfigurationError` where the one that is named is missing."""
    if named := environment.get(FILE_VARIABLE, "").strip():
        if not os.path.isfile(named):
            raise ConfigurationError(f"{FILE_VARIABLE} names {named}, which is not a file")
        return Path(named)
    return next((path for path in usual_files() if os.path.isfile(path)), None)


def usual_files() -> tuple[Path, Path]:
    """Where a configuration file is looked for when none is named: this folder, the user's configuration folder."""
    return Path(FILE_NAME), _user_folder("config") / FILE_NAME


def settings_variables() -> tuple[str, ...]:
    """The environment variables that set something."""
    return tuple(name for one in fields(Settings) if (name := one.metadata["from"].variable))


def state_folder() -> Path:
    """Where logs of background scans go."""
    return _user_folder("state")


def _resolved(
    database: str | None, environment: Mapping[str, str], file: Path | None
) -> tuple[Settings, dict[str, str]]:
    path = file or find_file(environment)
    in_file = _read(path) if path else {}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for one in fields(Settings):
        source: _From = one.metadata["from"]
        if one.name == "database" and database:
            values[one.name], origins[one.name] = database, "flag --db"
        elif given := environment.get(source.variable, "").strip():
            values[one.name] = _usable(source, given)
            origins[one.name] = f"environment {source.variable}"
        elif source.key in in_file:
            values[one.name], line = in_file[source.key]
            origins[one.name] = f"file {path}:{line}"
        else:
            origins[one.name] = "default"
    if values.get("prometheus_enabled") and "prometheus_url" not in values:
        raise ConfigurationError(
            f"{path}: tracking.prometheus is enabled, but neither its url nor PROMETHEUS_URL is given"
        )
    values.setdefault("database", str(_user_folder("data") / "ledger.db"))
    if "rules" not in values and os.path.isdir(own := _user_folder("config") / "rules"):
        values["rules"] = own
    return Settings(**values), origins


def _usable(source: _From, given: str) -> Any:
    try:
        return source.read(given)
    except UnusableError as error:
        told = "" if source.hides else f", not {given[:80]!r}"
        raise ConfigurationError(f"{source.variable} {error}{told}") from None


def _read(path: Path) -> Mapping[str, tuple[Any, int]]:
    try:
        from achievement_collector.configuration_file import read_configuration
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("yaml", "pydantic", "pydantic_core"):
            raise
        raise ConfigurationError(
            f"{path} cannot be read without {error.name}; install 'achievement-collector[server]'"
        ) from None
    return read_configuration(path)


def explain_address(address: str | None) -> str | None:
    """An address without what may be a secret in it."""
    return None if address is None else str(_shown(address, "address"))


def _shown(value: Any, hides: str) -> Any:
    if value is None:
        return None
    if hides == "secret":
        return HIDDEN
    if hides == "address" and not value.startswith("sqlite:"):
        # to the last @, because a password may hold one
        without_user = re.sub(r"://.*@", "://***@", value, flags=re.DOTALL)
        return re.sub(r"(?i)(pass\w*|secret|token|\w*key)=[^&\s]+", r"\1=***", without_user)
    if isinstance(value, tuple) and value and isinstance(value[0], Kpi | Experiment):
        return [one.name for one in value]
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value


def _user_folder(kind: str) -> Path:
    import platformdirs

    match kind:
        case "config":
            return Path(platformdirs.user_config_dir(APPLICATION))
        case "state":
            return Path(platformdirs.user_state_dir(APPLICATION))
        case _:
            return Path(platformdirs.user_data_dir(APPLICATION))
