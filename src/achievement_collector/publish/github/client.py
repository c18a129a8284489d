"""Asking GitHub to change something: sent once, and told apart whether it was refused or may have arrived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from achievement_collector.sources.github.client import (
    _BETWEEN_WRITES,
    _NOT_SENT,
    Answer,
    GitHubClient,
    GitHubError,
    _is_limited,
)


class GitHubUncertainError(GitHubError):
    """Whether GitHub did it is not known: to be looked up before it is asked again."""


class GitHubWriter(GitHubClient):
    """A client that also writes. ``writes`` counts the requests that changed something."""

    writes = 0

    def __enter__(self) -> GitHubWriter:
        return self

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        """Sends a change, at least a second after the one before. It is sent again only after a limit, where GitHub did
        nothing. Raises :class:`GitHubUncertainError` where no answer came or GitHub had trouble, else as :meth:`get` does.
        """
        patience, refusals, url = self._max_wait, 0, self._address(path)
        while True:
            self._pause(self._wrote + _BETWEEN_WRITES - self._clock())
            patience -= self._await_budget(patience)
            self.requests += 1
            try:
                answer = self._http.request(method, url, json=dict(body))
            except _NOT_SENT as error:
                raise GitHubError(
                    f"GitHub cannot be reached ({type(error).__name__}); try again later"
                ) from None
            except httpx.RequestError as error:
                raise GitHubUncertainError(
                    f"GitHub gave no answer to a change ({type(error).__name__})"
                ) from None
            finally:
                self._wrote = self._clock()
            self._note_budget(answer.headers)
            if _is_limited(answer):
                refusals += 1
                patience -= self._await_limit(answer, refusals, patience)
            elif 200 <= answer.status_code < 300:
                self.writes += 1
                try:
                    return self._read(answer)
                except GitHubError:
                    raise GitHubUncertainError("GitHub's answer to a change cannot be read") from None
            elif answer.status_code >= 500:
                raise GitHubUncertainError(f"GitHub had trouble with a change (HTTP {answer.status_code})")
            else:
                self._refuse(answer, url)
