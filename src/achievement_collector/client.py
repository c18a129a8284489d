"""A client of the server, for programs::

    from achievement_collector.client import AchievementCreate, Client

    with Client("http://127.0.0.1:8000", token) as client:
        made = client.create(AchievementCreate(title="Led the March incident", person="Ada <ada@acme.example>"))
        for one in client.achievements(category="feature", min_impact=70):
            print(one["id"], one["title"])

Errors are :class:`achievement_collector.errors.CollectorError`; what is not there is a ``NotFoundError``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.models import AchievementCreate, AchievementEdit, EpicStart
from achievement_collector.services.ci_metrics import Submission

__all__ = ["AchievementCreate", "AchievementEdit", "Client", "EpicStart"]


class Client:
    """Speaks to one server. Errors are :class:`CollectorError` with the server's own words; they never hold the token."""

    def __init__(self, address: str, token: str = "", *, timeout: float = 30.0) -> None:
        if not address.startswith(("http://", "https://")):
            raise CollectorError("the address of a server begins with http:// or https://")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise CollectorError("the token must be one word of plain ASCII characters, as tokens are")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=address.rstrip("/"), headers=headers, timeout=timeout)
        except httpx.InvalidURL as error:
            raise CollectorError(f"the address of the server cannot be used: {error}") from None
        self._server = (
            f"{self._http.base_url.scheme}://{self._http.base_url.netloc.decode()}"  # without a password
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def achievements(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """All achievements of a selection (the filters of ``GET /achievements``), page by page as they are asked for."""
        cursor = ""
        while True:
            page = self._ask(
                "GET", "/achievements", params={**filters, **({"cursor": cursor} if cursor else {})}
            )
            yield from page["achievements"]
            cursor = page["next"] or ""
            if not cursor:
                return

    def achievement(self, id: str) -> dict[str, Any]:
        return self._ask("GET", f"/achievements/{_part(id)}")

    def create(self, achievement: AchievementCreate) -> dict[str, Any]:
        """States an achievement; gives it as it is stored."""
        return self._ask("POST", "/achievements", json=achievement.model_dump())

    def edit(self, id: str, edit: AchievementEdit) -> dict[str, Any]:
        return self._ask("PATCH", f"/achievements/{_part(id)}", json=edit.model_dump(exclude_none=True))

    def track_kpi_milestone(
        self,
        metric_name: str,
        value: float,
        target: float,
        *,
        direction: str | None = None,
        unit: str | None = None,
        told_by: str = "",
    ) -> dict[str, Any]:
        """States a value of a KPI (``POST /kpis/milestones``): ``status`` is ``created`` with the milestone, or ``recorded``
        with the ``reason`` why it is none."""
        told = {"metric_name": metric_name, "value": value, "target": target, "told_by": told_by}
        more = {"direction": direction, "unit": unit}
        return self._ask(
            "POST",
            "/kpis/milestones",
            json={**told, **{name: one for name, one in more.items() if one is not None}},
        )

    def delete(self, id: str) -> dict[str, Any]:
        return self._ask("DELETE", f"/achievements/{_part(id)}")

    def epic(self, key: str) -> dict[str, Any]:
        return self._ask("GET", f"/epics/{_part(key)}")

    def start_epic(self, epic: EpicStart) -> dict[str, Any]:
        return self._ask("POST", "/epics", json=epic.model_dump())

    def complete_epic(self, key: str) -> dict[str, Any]:
        return self._ask("POST", f"/epics/{_part(key)}/complete")

    def ingest(self, submission: Submission) -> dict[str, str]:
        """Hands in measures of CI; gives what was taken in, in words."""
        body = {
            "repository": submission.repository, "sha": submission.sha, "build_time_seconds": submission.build_time,
            "pull_request": submission.pull_request, "branch": submission.branch[:300], "base": submission.base[:300],
            "job": submission.job[:200], "url": submission.url[:1000],
            "files": [
                {"kind": one.kind, "name": one.name[-500:], "content": one.content.decode("utf-8", "replace")}
                for one in submission.files
            ],
        }  # fmt: skip
        taken: dict[str, str] = self._ask("POST", "/ci/metrics", json=body)["taken"]
        return taken

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise CollectorError(f"{self._server} does not answer: {type(error).__name__}") from None
        try:
            data = answer.json()
        except ValueError:
            data = None
        if answer.is_success and isinstance(data, dict):
            return data
        if answer.is_success:
            raise CollectorError(f"what answers at {self._server} is no achievement-collector")
        told = f"the server says {answer.status_code}: {_words(data) or answer.reason_phrase}"
        raise (NotFoundError if answer.status_code == 404 else CollectorError)(told)


def _words(problem: Any) -> str:
    """What a problem (RFC 9457) says, with each place that does not fit; empty for anything else."""
    if not isinstance(problem, dict) or "detail" not in problem:
        return ""
    places = [f"{one['at']}: {one['what']}" for one in problem.get("errors", ())]
    return str(problem["detail"]) + (f" ({'; '.join(places)})" if places else "")


def _part(text: str) -> str:
    return quote(text, safe="")
