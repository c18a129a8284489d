"""Asking an MLflow tracking server: searches only, a page at a time, nothing is ever written.

Checked against MLflow 3.17.2. Its page tokens are offsets into the list as it is when a page is asked for, so a list that
loses an entry while it is read skips one: callers ask for lists in an order and with a filter that only grow at the end, and
read some of it again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import httpx

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.sources.bodies import Body

API = "/api/2.0/mlflow"
RUNS_PER_PAGE = 500
MODELS_PER_PAGE = 100

_ATTEMPTS = 5
_FIRST_PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
_LONGEST_MESSAGE = 300
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PASSING = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
_PASSING_STATUS = {429, 500, 502, 503, 504}


class MlflowError(CollectorError):
    """The tracking server could not be reached, or refused a request. ``code`` is its own word for the reason
    (``RESOURCE_DOES_NOT_EXIST`` ...), empty where it gave none."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class MlflowAccessError(MlflowError):
    """The server does not let us in, or not see what was asked for."""


class MlflowMissingError(MlflowError):
    """What was asked for is not there."""


class MlflowClient:
    """A tracking server's REST API, with a ``token``, or with ``username`` and ``password`` (which may stand in the address
    as well), or with nothing.

    ``max_wait`` is how many seconds may be waited at once when the server is busy; ``sleep`` takes seconds. ``requests``
    counts what was sent, retries included. Redirects are not followed, and no message, log line or representation holds the
    secret. Raises :class:`ConfigurationError` for an address or credentials that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: float = 30.0,
        max_wait: float = 60.0,
        runs_per_page: int = RUNS_PER_PAGE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, told_user, told_password = _usable_address(url)
        self.host = _host(self.url)
        self.requests = 0
        self.runs_per_page = runs_per_page
        self._max_wait, self._sleep = max_wait, sleep
        token = (token or "").strip()
        username, password = (username or told_user or "").strip(), password or told_password or ""
        self._has_secret = bool(token or username or password)
        _check_credentials(self.url, token, username, password)
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            auth=httpx.BasicAuth(username, password) if username and not token else None,
            timeout=timeout,
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"MlflowClient({self.url!r}, {'with credentials' if self._has_secret else 'no credentials'})"

    def __enter__(self) -> MlflowClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- lists -----------------------------------------------------------------------------------

    def experiments(self) -> Iterator[Body]:
        """All experiments, deleted ones too."""
        wanted: dict[str, Any] = {"max_results": 1000, "view_type": "ALL"}
        for page in self._pages("POST", "/experiments/search", wanted, "experiments"):
            yield from page

    def finished_runs(self, experiment_id: str, since: int) -> Iterator[list[Body]]:
        """Pages of an experiment's finished runs that ended at ``since`` (milliseconds since 1970) or later, those that ended
        first in front; deleted ones too, so that a deletion while the list is read takes nothing out of it."""
        wanted: dict[str, Any] = {
            "experiment_ids": [experiment_id],
            "filter": f"attributes.status = 'FINISHED' and attributes.end_time >= {since}",
            "order_by": ["attributes.end_time ASC"],
            "run_view_type": "ALL",
            "max_results": self.runs_per_page,
        }
        return self._pages("POST", "/runs/search", wanted, "runs")

    def deleted_runs(self, experiment_ids: Sequence[str]) -> Iterator[list[Body]]:
        """Pages of the deleted runs of experiments; a server forgets them for good with ``mlflow gc``."""
        wanted: dict[str, Any] = {
            "experiment_ids": list(experiment_ids),
            "run_view_type": "DELETED_ONLY",
            "max_results": self.runs_per_page,
        }
        return self._pages("POST", "/runs/search", wanted, "runs")

    def run(self, run_id: str) -> Body | None:
        """One run, deleted or not; None where the server has none of that id."""
        try:
            return self._ask("GET", "/runs/get", {"run_id": run_id}).inner("run")
        except MlflowMissingError:
            return None

    def models(self) -> Iterator[Body]:
        """All registered models. Aliases are told here alone, not with the versions."""
        for page in self._pages(
            "GET", "/registered-models/search", {"max_results": MODELS_PER_PAGE}, "registered_models"
        ):
            yield from page

    def model_versions(self, name: str) -> Iterator[Body]:
        """All versions of a registered model."""
        quote = '"' if "'" in name else "'"
        if quote in name:
            raise MlflowError("a model whose name holds both kinds of quotation marks cannot be asked for")
        wanted = {"filter": f"name = {quote}{name}{quote}", "max_results": MODELS_PER_PAGE}
        for page in self._pages("GET", "/model-versions/search", wanted, "model_versions"):
            yield from page

    def _pages(self, method: str, path: str, wanted: Mapping[str, Any], name: str) -> Iterator[list[Body]]:
        """The pages of a list, of which it is certain that reading it comes to an end."""
        seen: set[str] = set()
        token = ""
        while True:
            answer = self._ask(method, path, {**wanted, "page_token": token} if token else wanted)
            yield answer.each(name)
            token = answer.text("next_page_token")
            if not token:
                return
            if token in seen:
                raise MlflowError(
                    f"MLflow's list of {name} does not go on where it says that it does; try again later"
                )
            seen.add(token)

    # --- one request -----------------------------------------------------------------------------

    def _ask(self, method: str, path: str, wanted: Mapping[str, Any]) -> Body:
        """The answer's JSON object. What fails in passing is asked again a few times: nothing that is asked changes
        anything."""
        pause = _FIRST_PAUSE
        told = {"json": wanted} if method == "POST" else {"params": wanted}
        for left in reversed(range(_ATTEMPTS)):
            self.requests += 1
            try:
                answer = self._http.request(method, f"{self.url}{API}{path}", **told)  # type: ignore[arg-type]
            except httpx.RequestError as error:
                if not left:
                    raise MlflowError(
                        f"MLflow at {self.host} gave no answer ({type(error).__name__}); "
                        "look at MLFLOW_TRACKING_URI and the network, and try again"
                    ) from None
                wait = pause
            else:
                body = _parsed(answer)
                if answer.status_code == 200 and body is not None and not body.text("error_code"):
                    return body
                is_passing = (
                    answer.status_code in _PASSING_STATUS
                    or (body or Body({})).text("error_code", 60) in _PASSING
                )
                after = _seconds(answer.headers.get("Retry-After", ""))
                wait = pause if after is None else max(pause, after)
                if not left or not is_passing or wait > self._max_wait:
                    self._refuse(answer, body, path)
            self._sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _refuse(self, answer: httpx.Response, body: Body | None, path: str) -> NoReturn:
        status, error = answer.status_code, body or Body({})
        code = error.text("error_code", 60)
        said = " ".join(error.text("message", _LONGEST_MESSAGE).split()) or "it gave no reason"
        if status == 401 or code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
            todo = (
                "check the token, or the user name and password"
                if self._has_secret
                else "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
            raise MlflowAccessError(f"MLflow at {self.host} does not let us in; {todo}", code)
        if status == 403 or code == "PERMISSION_DENIED":
            raise MlflowAccessError(
                f"MLflow at {self.host} does not allow {path.strip('/')}: {said}; "
                "use the credentials of someone who may read it",
                code,
            )
        if code == "RESOURCE_DOES_NOT_EXIST":
            raise MlflowMissingError(f"MLflow at {self.host} does not have it: {said}", code)
        if 300 <= status < 400 or (status == 200 and body is None):
            raise MlflowError(
                f"{self.host} answered with a page or a redirect, perhaps to a login, and not as MLflow does; "
                "set MLFLOW_TRACKING_URI to the tracking server itself, and its credentials"
            )
        if status == 404 and not code:
            raise MlflowError(
                f"there is no MLflow API at {self.host} for {path.strip('/')}; check the path in MLFLOW_TRACKING_URI",
                "ENDPOINT_NOT_FOUND",
            )
        if status == 429 or code in _PASSING:
            raise MlflowError(
                f"MLflow at {self.host} has too much to do (HTTP {status}); try again later", code
            )
        if status >= 500:
            raise MlflowError(
                f"MLflow at {self.host} has trouble of its own (HTTP {status}); try again later", code
            )
        raise MlflowError(f"MLflow at {self.host} refused {path.strip('/')} (HTTP {status}): {said}", code)


def _parsed(answer: httpx.Response) -> Body | None:
    """The JSON object of an answer; None where it is none, as a login page is."""
    try:
        data = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return Body(data) if isinstance(data, dict) else None


def _seconds(text: str) -> float | None:
    """Seconds of ``Retry-After``; None where it is a date or missing."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _usable_address(url: str) -> tuple[str, str, str]:
    """(the address without credentials, the user name and the password that stood in it)."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ConfigurationError("MLFLOW_TRACKING_URI is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            "MLFLOW_TRACKING_URI must be the http:// or https:// address of a tracking server; "
            f"{parts.scheme or 'a'} store is read through one: mlflow server --backend-store-uri ..."
        )
    if parts.query or parts.fragment:
        raise ConfigurationError("MLFLOW_TRACKING_URI must end with the path of the tracking server")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = name if port is None else f"{name}:{port}"
    clean = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
    return clean, unquote(parts.username or ""), unquote(parts.password or "")


def _host(url: str) -> str:
    """What names the server in keys: host, port where it is not the scheme's own, and path."""
    parts = urlsplit(url)
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.netloc.lower().removesuffix(usual)}{parts.path}"


def _check_credentials(url: str, token: str, username: str, password: str) -> None:
    if token and username:
        raise ConfigurationError(
            "MLflow takes a token, or a user name and password: unset MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME"
        )
    if password and not username:
        raise ConfigurationError("MLFLOW_TRACKING_PASSWORD needs MLFLOW_TRACKING_USERNAME")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError("the token for MLflow holds characters that no token has; copy it again")
    parts = urlsplit(url)
    if (token or username) and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "MLflow's credentials would go over the network readable by everybody on the way: "
            "MLFLOW_TRACKING_URI must begin with https://"
        )
