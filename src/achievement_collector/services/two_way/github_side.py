"""GitHub as a side: the issues and milestones of one repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from achievement_collector.derive.merging import Side, Value, labels
from achievement_collector.derive.sync_plan import Item
from achievement_collector.publish.github.client import GitHubUncertainError, GitHubWriter
from achievement_collector.publish.github.issues import (
    Place,
    change,
    creation,
    is_shared,
    item_of,
    label_names,
    read_place,
)
from achievement_collector.services.two_way.ports import (
    ChangedError,
    NoAccessError,
    PostponedError,
    RefusedError,
    Sweep,
    UncertainError,
)
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github.client import (
    PER_PAGE,
    Answer,
    BudgetExhausted,
    GitHubAccessError,
    GitHubError,
)

WANTED = "roadmap"
"""The label of the issues that get a row in Notion; milestones all get one while they are open."""

_OVERLAP = 300_000  # milliseconds that are read again, since GitHub's clock is not ours


class GitHubSide:
    """The port to a repository. It is looked up first, so that one that was renamed is found under its present name."""

    def __init__(self, client: GitHubWriter, repository: str, host: str, wanted_label: str = WANTED) -> None:
        self._client, self.host, self._wanted = client, host, wanted_label
        told = client.get(f"/repos/{repository}").body
        number = told.whole("id")
        if number is None:
            raise GitHubError(f"GitHub does not tell what {repository} is; try again later")
        self.repository = told.text("full_name", 200) or repository
        self.scope = f"{host}/{number}"
        """What the repository is called for ever, whatever its name."""

    @property
    def side(self) -> Side:
        return Side.GITHUB

    # --- reading ---------------------------------------------------------------------------------

    def sweep(self, since: int | None) -> Sweep:
        found: dict[str, Item] = {}
        for kind, body in self._listed(since):
            item = self._item(kind, body)
            if item is not None:
                found[item.id] = item
        return Sweep(tuple(found.values()))

    def _listed(self, since: int | None) -> Iterator[tuple[str, Body]]:
        path = f"/repos/{self.repository}"
        for body in self._pages(f"{path}/milestones", {"state": "all"}):
            yield "milestone", body
        # by creation, which never changes, so that no page shifts while the list is read
        told: dict[str, str | int] = {"state": "all", "sort": "created", "direction": "asc"}
        if since is not None:
            moment = datetime.fromtimestamp(max(0, since - _OVERLAP) / 1000, UTC)
            told["since"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        for body in self._pages(f"{path}/issues", told):
            yield "issue", body

    def _pages(self, path: str, told: Mapping[str, str | int]) -> Iterator[Body]:
        answer: Answer = self._client.get(path, {**told, "per_page": PER_PAGE})
        while True:
            yield from answer.entries()
            if not answer.next:
                return
            answer = self._client.get(answer.next)

    def _item(self, kind: str, body: Body, elsewhere: str = "") -> Item | None:
        number = body.whole("number")
        place = f"{self.host}/{elsewhere or self.repository}"
        own = f"{place}#{number}" if kind == "issue" else f"{place}/milestone/{number}"
        return item_of(kind, body, own, self._wanted, elsewhere)

    def read(self, item: str) -> Item | None:
        found = self._fetched(item)
        return found[0] if found else None

    def _fetched(self, told: str) -> tuple[Item, Body] | None:
        """The item with its body; an issue that was transferred with its present id."""
        place = read_place(told)
        try:
            body = self._client.get(place.path(self.repository)).body
        except GitHubAccessError as error:
            if error.status == 410:
                return Item(Side.GITHUB, told, place.kind, {}, told, "deleted"), Body({})
            if error.status == 404:
                return None
            raise
        elsewhere = self._elsewhere(body, place)
        item = self._item(place.kind, body, elsewhere)
        if item is None:
            return None
        is_other = read_place(item.id).node != place.node
        # another thing with the same number: the repository was made anew
        return None if is_other and not (elsewhere and elsewhere != place.repository) else (item, body)

    def _elsewhere(self, body: Body, place: Place) -> str:
        """The other repository that an issue lies in, empty where it lies in this one."""
        address = body.text("repository_url", 500)
        name = "/".join(address.rsplit("/", 2)[-2:]) if address.count("/") >= 2 else ""
        if place.kind != "issue" or not name or name.casefold() == self.repository.casefold():
            return ""
        return name if "/repositories/" not in address else place.repository

    def find(self, key: str, since: int) -> Sequence[Item]:
        items = [item for kind, body in self._listed(since or None) if (item := self._item(kind, body))]
        return sorted((one for one in items if one.key == key), key=lambda one: read_place(one.id).number)

    # --- writing ---------------------------------------------------------------------------------

    def write(self, item: str, values: Mapping[str, Value], expected: Mapping[str, Value]) -> Item:
        found = _guarded(lambda: self._fetched(item))
        if found is None or found[0].gone:
            raise ChangedError(found[0] if found else None)
        present, body = found
        if any(present.values.get(name) != value for name, value in expected.items()):
            raise ChangedError(present)
        place = read_place(present.id)
        request = change(place.kind, body, values)
        told = _guarded(lambda: self._client.send("PATCH", place.path(self.repository), request)).body
        return self._written(place.kind, told, values, place.repository)

    def create(self, thing: str, values: Mapping[str, Value]) -> Item:
        path = f"/repos/{self.repository}/{thing}s"
        told = _guarded(lambda: self._client.send("POST", path, creation(thing, values))).body
        return self._written(thing, told, values)

    def _written(self, kind: str, told: Body, values: Mapping[str, Value], elsewhere: str = "") -> Item:
        item = self._item(kind, told, elsewhere)
        if item is None:
            raise UncertainError("GitHub's answer to a change does not hold what was changed")
        wanted = values.get("labels")
        if isinstance(wanted, tuple) and kind == "issue":
            kept = {name.casefold() for name in label_names(told)}
            lacking = [name for name in labels(wanted) if is_shared(name) and name.casefold() not in kept]
            if lacking:
                raise RefusedError(
                    f"GitHub left out the labels {', '.join(lacking)}; the token may not set labels: give it write access to "
                    "issues"
                )
        return item


def _guarded(ask: Callable[[], Any]) -> Any:
    """An answer of GitHub's, or what went wrong in the words of a port."""
    try:
        return ask()
    except BudgetExhausted as error:
        raise PostponedError(str(error)) from None
    except GitHubUncertainError as error:
        raise UncertainError(str(error)) from None
    except GitHubAccessError as error:
        if error.status in (404, 410):
            raise ChangedError(None) from None
        raise NoAccessError(str(error)) from None
    except GitHubError as error:
        if error.status is not None and 400 <= error.status < 500:
            raise RefusedError(str(error)) from None
        raise PostponedError(str(error)) from None  # it never got there
