"""What a CI system ran: workflow runs, each attempt of them, their jobs, steps and annotations, test results.

All moments are milliseconds since 1970 (UTC), None where the source gave none. Conclusions are the source's own words;
:data:`RED` fail, :data:`GREEN` pass, everything else (cancelled, skipped, neutral, action_required, stale, and whatever is not
known) says nothing about the code.
"""

from __future__ import annotations

from dataclasses import dataclass

GREEN = frozenset({"success"})
RED = frozenset({"failure", "timed_out", "startup_failure"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a workflow run. ``repository`` is ``host/owner/name``; ``run`` the run's id, ``number`` counts from 1;
    ``conclusion`` is empty while it is not finished; ``pulls`` are the numbers of pull requests whose head it ran on;
    ``is_last`` says that no later attempt of the run is known."""

    repository: str
    run: int
    number: int
    workflow: str
    sha: str
    branch: str = ""
    event: str = ""
    conclusion: str = ""
    created: int | None = None
    started: int | None = None
    finished: int | None = None
    url: str = ""
    path: str = ""  # of the workflow file
    title: str = ""
    actor: str = ""
    pulls: tuple[int, ...] = ()
    is_last: bool = True
    jobs_known: bool = False  # whether its jobs were read
    jobs: int = 0

    @property
    def key(self) -> str:
        return f"{self.repository}/run/{self.run}/{self.number}"

    @property
    def is_finished(self) -> bool:
        return bool(self.conclusion)

    @property
    def is_infrastructure(self) -> bool:
        """Whether it failed before any job ran: nothing of the code was tried."""
        return self.conclusion == "startup_failure" or (
            self.conclusion in RED and self.jobs_known and not self.jobs
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job; ``number`` counts from 1."""

    number: int
    name: str
    conclusion: str = ""
    started: int | None = None
    finished: int | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a job remarked on a place; ``level`` is failure, warning or notice."""

    level: str
    message: str
    path: str = ""
    line: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job of an attempt. ``queued`` is when it was created, ``started`` when a runner took it."""

    repository: str
    id: int
    run: int
    attempt: int
    name: str
    sha: str = ""
    branch: str = ""
    workflow: str = ""
    conclusion: str = ""
    queued: int | None = None
    started: int | None = None
    finished: int | None = None
    url: str = ""
    runner: str = ""
    labels: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    annotations: tuple[Annotation, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.repository}/job/{self.id}"


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What came of one test in one CI report. ``outcome`` is passed, failed, error, skipped or flaky (it failed and passed in
    one report, where the runner tries again)."""

    __test__ = False  # pytest would collect it for its name

    repository: str
    sha: str
    identity: str
    outcome: str
    at: int
    report: str = ""
    branch: str = ""
    seconds: float | None = None
