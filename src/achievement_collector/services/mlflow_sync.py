"""Bringing the ledger up to date with an MLflow tracking server, and concluding what its experiments show.

The finished runs of each experiment are read by their end, oldest first, a page at a time; a page's runs and how far the list
has been read go into one transaction. So a stop at any moment loses nothing and repeats at most one page. The cursor
(``mlflow/<host>/experiments/<id>``) holds ``since``, the end of the newest run that was read (milliseconds since 1970, never
beyond the present, as a run may claim to), and ``whole``, when the list was last begun from its start.

What ended a day before ``since`` or later is read again, for runs with the same end and those handed in late. What MLflow
gives no time for (metrics and tags set after the end, runs handed in later than that) is found by reading the whole list
again once a week. Deleted runs are listed each time; those that no longer are deleted are asked for one by one. A model's
versions are read again where MLflow says that the model changed; its aliases each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from achievement_collector.config import Settings
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.experiment_achievements import conclude_run
from achievement_collector.derive.experiments import (
    DEFAULT_MARGIN,
    Judged,
    judge_runs,
    primary_metric,
)
from achievement_collector.derive.identity import AuthorKind, shipped_rules
from achievement_collector.facts import Signature
from achievement_collector.facts.experiments import Experiment, MetricChoice, ModelVersion, Run
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.collecting import SignatureIds
from achievement_collector.ledger.entities import Changed, Thing, cursor, remember, take_in, things
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import commits, repositories, signatures
from achievement_collector.sources.mlflow.client import (
    MlflowAccessError,
    MlflowClient,
    MlflowError,
)
from achievement_collector.sources.mlflow.reading import (
    experiment_scope,
    moment_of,
    read_aliases,
    read_experiment,
    read_run,
    read_version,
    run_id_of,
)

OVERLAP = 24 * 3_600_000
"""Milliseconds before the end of the newest known run from which on runs are read again."""

WHOLE_AGAIN = 7 * 24 * 3_600_000
"""Milliseconds after which the list of an experiment's runs is read from its start again."""

_NO_REGISTRY = {"ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "NOT_IMPLEMENTED"}

OnChanged = Callable[[Connection, Sequence[Changed], int], None]
OnProgress = Callable[[str, int], None]
Clock = Callable[[], int]


@dataclass(slots=True)
class Synced:
    """What a synchronisation did.

    ``read`` counts what was read and ``changed`` what told something new, each by list (experiments, runs, models);
    ``requests`` is what was asked of MLflow. ``skipped`` says of what could not be read why.
    """

    read: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    skipped: tuple[str, ...] = ()


def sync_mlflow(
    ledger: Ledger,
    client: MlflowClient,
    clock: Clock,
    progress: OnProgress | None = None,
    *,
    on_changed: OnChanged | None = None,
) -> Synced:
    """Reads from MLflow what is new and takes it into the ledger; one process at a time for each ledger.

    ``clock`` gives milliseconds since 1970. ``progress`` is called after each page with the list's name and how many things
    of it were read; ``on_changed`` (``services.live.note_changes`` where none is given) inside of the transaction that stores
    a page, where the page told something new. Raises :class:`MlflowError` where MLflow cannot be asked; what was stored
    before stays, and the next call goes on from there. What one may not see is skipped, and said.
    """
    from achievement_collector.services.live import note_changes  # which concludes with this module

    done = Synced()
    before = client.requests
    reading = _Reading(
        ledger, client, clock, done, progress or (lambda _list, _read: None), on_changed or note_changes
    )
    with ledger.exclusive("mlflow-sync"):
        try:
            experiments = _read_experiments(reading)
            for one in experiments:
                with _Skipping(reading, f"the runs of experiment {one}"):
                    _read_finished(reading, one)
                    _read_deleted(reading, one)
            with _Skipping(reading, "the model registry"):
                _read_models(reading)
        finally:
            done.requests = client.requests - before
    return done


@dataclass(frozen=True, slots=True)
class _Reading:
    """A synchronisation as it goes on."""

    ledger: Ledger
    client: MlflowClient
    clock: Clock
    done: Synced
    progress: OnProgress
    on_changed: OnChanged

    def store(
        self, name: str, observations: Iterable[Observation], place: tuple[str, Any] | None = None
    ) -> None:
        """Takes in what tells something new, and moves a cursor, in one transaction."""
        now, told = self.clock(), list(observations)
        with self.ledger.write() as connection:
            news = _news(connection, told)
            changed = take_in(connection, news, now) if news else []
            if place is not None and cursor(connection, place[0]) != place[1]:
                remember(connection, *place, now)
            if changed:
                self.on_changed(connection, changed, now)
        done = self.done
        done.read[name] = done.read.get(name, 0) + len(told)
        done.changed[name] = done.changed.get(name, 0) + len({(one.kind, one.key) for one in changed})
        self.progress(name, done.read[name])


class _Skipping:
    """Goes on without what may not be seen or is not there; said in :attr:`Synced.skipped`."""

    def __init__(self, reading: _Reading, what: str) -> None:
        self._done, self._what = reading.done, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        is_known = isinstance(error, MlflowAccessError) and error.code == "PERMISSION_DENIED"
        if isinstance(error, MlflowError) and (
            is_known or (self._what == "the model registry" and error.code in _NO_REGISTRY)
        ):
            self._done.skipped += (f"{self._what}: {error}",)
            return True
        return False


def _news(connection: Connection, observations: Sequence[Observation]) -> list[Observation]:
    """Observations with only those fields that the ledger does not hold as they are, so that reading the same again writes
    nothing."""
    known: dict[tuple[Kind, str], Thing] = {}
    for kind in {one.kind for one in observations}:
        keys = [one.key for one in observations if one.kind is kind]
        known |= {(kind, one.key): one for one in things(connection, kind, keys=keys)}
    found = []
    for one in observations:
        before = known.get((one.kind, one.key))
        if before is None:
            found.append(one)
            continue
        fields = {
            name: value
            for name, value in one.fields.items()
            if name not in before.fields or before.fields[name] != value
        }
        if fields or one.scope > before.scope:
            found.append(replace(one, fields=fields))
    return found


# --- experiments and runs ----------------------------------------------------------------------------


def _read_experiments(reading: _Reading) -> list[str]:
    """Takes the experiments in; gives the ids of those that are not deleted."""
    now, host = reading.clock(), reading.client.host
    found = [read_experiment(body, host, now) for body in reading.client.experiments()]
    told = [one for one in found if one is not None]
    reading.store("experiments", told)
    return [str(one.fields["experiment"]) for one in told if not one.fields["removed"]]


def _read_finished(reading: _Reading, experiment: str) -> None:
    client, name = reading.client, f"mlflow/{experiment_scope(reading.client.host, experiment)}"
    with reading.ledger.read() as connection:
        place = cursor(connection, name) or {"since": 0, "whole": 0}
    since, whole = int(place["since"]), int(place["whole"])
    now = reading.clock()
    if now - whole >= WHOLE_AGAIN or whole > now:
        since, whole = 0, now
    for page in client.finished_runs(experiment, max(0, since - OVERLAP)):
        told = [one for body in page if (one := read_run(body, client.host, client.url, reading.clock()))]
        ends = [one.fields["ended"] or 0 for one in told]
        since = max(since, min(max(ends, default=0), reading.clock()))
        reading.store("runs", told, (name, {"since": since, "whole": whole}))


def _read_deleted(reading: _Reading, experiment: str) -> None:
    """Takes in which of the known runs were deleted, and which of those that were are no longer: restored, or gone."""
    client = reading.client
    scope = experiment_scope(client.host, experiment)
    name = f"mlflow/{scope}/deleted"
    with reading.ledger.read() as connection:
        before = set(cursor(connection, name) or ())
    deleted: set[str] = set()
    for page in client.deleted_runs([experiment]):
        ids = [run_id for body in page if (run_id := run_id_of(body))]
        deleted.update(ids)
        with reading.ledger.read() as connection:
            known = list(things(connection, Kind.RUN, keys=[f"{client.host}/{one}" for one in ids]))
        now = reading.clock()
        told = [
            Observation(Kind.RUN, one.key, now, {"removed": True}, scope)
            for one in known
            if not one.fields.get("removed")
        ]
        if told:
            reading.store("runs", told)
    shown = []
    for run_id in sorted(before - deleted):
        found = client.run(run_id)
        run = read_run(found, client.host, client.url, reading.clock()) if found is not None else None
        shown += [run] if run is not None else []  # one that is gone for good stays deleted
    if shown or before != deleted:
        reading.store("runs", shown, (name, sorted(deleted)))


# --- models ------------------------------------------------------------------------------------------


def _read_models(reading: _Reading) -> None:
    """Takes in the versions of the models that changed, all aliases, and which versions are gone. Only when all are stored
    does the cursor move; what a stop leaves is read again."""
    client, name = reading.client, f"mlflow/{reading.client.host}/models"
    with reading.ledger.read() as connection:
        since = int((cursor(connection, name) or {"since": 0})["since"])
        prefix = f"{client.host}/models/"
        known = [one for one in things(connection, Kind.MODEL) if one.key.startswith(prefix)]
    by_model: dict[str, list[Thing]] = {}
    for one in known:
        by_model.setdefault(str(one.fields.get("name")), []).append(one)
    newest = since
    for model in client.models():
        model_name = model.text("name", 500)
        updated = min(moment_of(model, "last_updated_timestamp") or 0, reading.clock())
        newest = max(newest, updated)
        mine = by_model.pop(model_name, [])
        now = reading.clock()
        if mine and 0 < updated < since - OVERLAP:
            versions = [_as_known(one, now) for one in mine if not one.fields.get("removed")]
            told = _with_aliases(_placed(reading, versions), read_aliases(model))
        else:
            bodies = list(client.model_versions(model_name))
            versions = [seen for body in bodies if (seen := read_version(body, client.host, client.url, now))]
            told = _with_aliases(_placed(reading, versions), read_aliases(model))
            told += _vanished(mine, {one.key for one in told}, now)
        reading.store("models", told)
    vanished = [gone for mine in by_model.values() for gone in _vanished(mine, set(), reading.clock())]
    reading.store("models", vanished, (name, {"since": newest}))


def _placed(reading: _Reading, told: Sequence[Observation]) -> list[Observation]:
    """Model versions, each in the scope of its run's experiment where the run is known by now."""
    with reading.ledger.read() as connection:
        keys = [str(one.fields["run"]) for one in told if one.fields["run"]]
        scopes = {run.key: run.scope for run in things(connection, Kind.RUN, keys=keys)}
    return [replace(one, scope=scopes.get(str(one.fields["run"]), one.scope)) for one in told]


def _as_known(one: Thing, now: int) -> Observation:
    """A version of which nothing but its aliases can be new."""
    return Observation(
        Kind.MODEL, one.key, now, {"version": one.fields["version"], "run": one.fields["run"]}, one.scope
    )


def _with_aliases(told: Sequence[Observation], aliases: Mapping[str, list[str]]) -> list[Observation]:
    return [
        replace(one, fields={**one.fields, "aliases": aliases.get(str(one.fields["version"]), [])})
        for one in told
    ]


def _vanished(known: Sequence[Thing], listed: set[str], now: int) -> list[Observation]:
    return [
        Observation(Kind.MODEL, one.key, now, {"removed": True, "aliases": []}, one.scope)
        for one in known
        if one.key not in listed and not one.fields.get("removed")
    ]


# --- conclusions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExperimentRules:
    """What is configured: ``choices`` by an experiment's name or id, and the margin of all that have none of their own."""

    choices: Mapping[str, MetricChoice] = field(default_factory=dict)
    margin: float = DEFAULT_MARGIN


def experiment_rules(settings: Settings) -> ExperimentRules:
    """What ``tracking.experiments`` holds."""
    return ExperimentRules(
        {one.name: MetricChoice(one.metric, one.direction, one.margin) for one in settings.experiments}
    )


class CommitAuthor(NamedTuple):
    """Who wrote a commit: the id of the signature, and whether it is a person's."""

    signature: int
    is_person: bool


def read_runs(connection: Connection, scope: str) -> tuple[Experiment, list[Run]]:
    """An experiment as the ledger knows it, and its finished runs that are not deleted, with the model versions that came
    of them."""
    experiment = Experiment(scope, scope.rpartition("/")[2])
    found: list[Thing] = []
    for one in things(connection, Kind.RUN, scopes=[scope]):
        if one.key == scope:
            told = one.fields
            experiment = replace(
                experiment,
                name=str(told.get("name") or ""),
                tags=told.get("tags") or {},
                is_removed=bool(told.get("removed")),
            )
        elif (
            one.fields.get("status") == "FINISHED"
            and one.fields.get("ended")
            and not one.fields.get("removed")
        ):
            found.append(one)
    models: dict[str, list[ModelVersion]] = {}
    for one in things(connection, Kind.MODEL, scopes=[scope]):
        if not one.fields.get("removed"):
            models.setdefault(str(one.fields["run"]), []).append(_model_version(one))
    return experiment, [_run(one, models.get(one.key, [])) for one in found]


def _model_version(one: Thing) -> ModelVersion:
    told = one.fields
    return ModelVersion(
        str(told["name"]), str(told["version"]), tuple(told.get("aliases") or ()), str(told.get("url") or "")
    )


def _run(one: Thing, models: Sequence[ModelVersion]) -> Run:
    told = one.fields
    return Run(
        one.key, str(told["id"]), int(told["ended"]), str(told.get("name") or ""), told.get("started"),
        told.get("metrics") or {}, told.get("params") or {}, tuple(told.get("data") or ()), str(told.get("user") or ""),
        str(told.get("commit") or ""), str(told.get("source") or ""), str(told.get("parent") or ""),
        str(told.get("url") or ""), tuple(sorted(models, key=lambda model: (model.name, len(model.version), model.version))),
    )  # fmt: skip


def judge_experiment(
    connection: Connection, scope: str, rules: ExperimentRules | None = None
) -> tuple[Experiment, Judged, str]:
    """(the experiment, what comes of its runs, why nothing is claimed of any: empty where it has a primary metric)."""
    rules = rules or ExperimentRules()
    experiment, runs = read_runs(connection, scope)
    if experiment.is_removed:
        return experiment, Judged(), "the experiment is deleted"
    choice = rules.choices.get(experiment.name) or rules.choices.get(experiment.id)
    metric = primary_metric(experiment, choice, rules.margin)
    if isinstance(metric, str):
        return experiment, Judged(), metric
    return experiment, judge_runs(runs, metric), ""


def conclude_experiment(
    connection: Connection,
    scope: str,
    rules: ExperimentRules | None = None,
    *,
    commit_author: Callable[[Connection, str], CommitAuthor | None] | None = None,
) -> list[Conclusion]:
    """All achievements of an experiment's runs, oldest first; may add the signature of a run's user, so it wants a
    transaction that writes. ``commit_author`` tells who wrote a commit (the ledger's commits where none is given).

    The run's user has the credit, where MLflow names a person (an address, or a first and a last name) and not an account
    of a machine; else the author of the commit that ran, where the ledger knows it; else the achievement is left out.
    """
    experiment, judged, _ = judge_experiment(connection, scope, rules)
    known: dict[tuple[str, str], _Author] = {}
    found = []
    for one in judged.beaten:
        told = (one.run.user, one.run.commit)
        if told not in known:
            known[told] = _author(connection, one.run, commit_author or author_of_commit)
        who = known[told]
        found.append(conclude_run(one, experiment, who.signature, author=who.basis, is_bot=who.is_bot))
    return found


class _Author(NamedTuple):
    """Who is behind a run: the signature id of a person and how that is known, or None; ``is_bot`` where only a program is
    named."""

    signature: int | None
    basis: str = ""
    is_bot: bool = False


def _author(
    connection: Connection, run: Run, commit_author: Callable[[Connection, str], CommitAuthor | None]
) -> _Author:
    user = named_person(run.user)
    is_person = user is not None and shipped_rules().kind_of(user) is AuthorKind.PERSON
    if user is not None and is_person:
        return _Author(SignatureIds(connection).add(connection, [user])[user], "user of the run")
    wrote = commit_author(connection, run.commit) if run.commit else None
    if wrote is not None and wrote.is_person:
        return _Author(wrote.signature, f"author of commit {run.commit[:10]}, which ran")
    return _Author(None, is_bot=user is not None or wrote is not None)


def author_of_commit(connection: Connection, sha: str) -> CommitAuthor | None:
    """Who wrote a commit of any scanned repository."""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
        return None
    row = connection.execute(  # the repositories are named because the index of commits begins with them
        sa.select(commits.c.author_id, signatures.c.kind)
        .join(signatures, signatures.c.id == commits.c.author_id)
        .where(commits.c.sha == sha, commits.c.repository_id.in_(sa.select(repositories.c.id)))
        .order_by(commits.c.id)
        .limit(1)
    ).first()
    return None if row is None else CommitAuthor(row.author_id, row.kind == AuthorKind.PERSON.value)


def named_person(user: str) -> Signature | None:
    """The signature of a user that names a person: an address, or at least two words that begin with capital letters.
    ``root``, ``dev`` and ``ubuntu`` name accounts, whoever used them."""
    user = user.strip()
    if re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", user):
        return Signature(user, user)
    words = user.split()
    if 2 <= len(words) <= 5 and all(
        word[0].isupper() and not any(c.isdigit() for c in word) for word in words
    ):
        return Signature(user, "")
    return None
