"""A month of CI whose true numbers are known, because they were decided before it was made.

Every slot of six hours has one run of ci.yml on main, in the month and in the one before; what became of it stands in the
tables below. :data:`TRUTH` holds the measures of the month, worked out by hand from these tables; nothing in it comes from
the code that is tested.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from achievement_collector.facts.ci_runs import Attempt, Job, TestOutcome

SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
REPOSITORY = "github.com/acme/rocket"
BEGIN = 1_790_553_600_000  # 2026-09-28T00:00:00Z, a Monday
SLOTS = 112  # of six hours: 28 days
CI, DEPLOY = ".github/workflows/ci.yml", ".github/workflows/deploy.yml"

RED = frozenset({10, 11, 30, 50, 51, 52, 53, 90, 111})  # lint fails; nobody tries again
FLAKY = frozenset({20, 40, 60, 80, 100, 105})  # test (3.12) fails, and passes when tried again
CANCELLED = frozenset({25, 26})
STARTUP, NO_JOBS, UNKNOWN, SKIPPED = 70, 71, 72, 73
PULLS = 10  # each has three runs of ci.yml: the first fails in lint, the others pass

LENGTHS = {"lint": 60, "test (3.11)": 240, "test (3.12)": 300}  # seconds
QUEUE, LENGTH, PAUSE = 30, 340, 300  # of a job; of a first attempt; before the second one


@dataclass(frozen=True)
class Truth:
    """The numbers of the month (window: from ``since`` to ``until``), by hand."""

    since: int = BEGIN
    until: int = BEGIN + 28 * DAY
    runs: int = 170  # 112 of ci.yml on main, 30 of pull requests, 28 of deploy.yml
    overall_first: tuple[int, int] = (
        139,
        164,
    )  # 170 less 2 cancelled, 1 skipped, 1 unknown, 2 infrastructure
    overall_final: tuple[int, int] = (145, 164)  # the 6 flaky ones passed in the end
    infrastructure: int = 2
    left_out: dict[str, int] = field(
        default_factory=lambda: {"run: cancelled": 2, "run: skipped": 1, "run: unknown conclusion": 1}
    )
    flake_tax: Fraction = Fraction(6, 164)
    main_first: tuple[int, int] = (119, 134)  # ci.yml 91 of 106, deploy.yml 28 of 28
    ci_first: tuple[int, int] = (111, 136)  # with 20 of 30 of pull requests
    ci_main_by_week: tuple[tuple[int, int], ...] = ((23, 26), (22, 28), (22, 24), (24, 28))
    # on main: six times 640 s (a second attempt), then 12 h, 6 h, 24 h, 6 h; red again since the last slot
    spells: tuple[int, ...] = (640,) * 6 + (21_600, 21_600, 43_200, 86_400)
    median: float = 640.0
    mean: float = 17_664.0
    p90: float = 43_200.0
    open_age: float = 17_660.0  # 5 h less the 340 s of the run
    rerun_minutes: float = 30.0  # six times test (3.12), 5 minutes each
    flaky_job: str = "test (3.12)"
    flaky_test: str = "tests.clock::test_tick"
    flaky_commits: int = 6
    flaky_results: tuple[int, int] = (6, 254)  # failed, of 112 + 30 + 112 runs: 6 do not count, 6 count twice
    before: tuple[int, int] = (112, 112)  # ci.yml on main in the month before; nothing else ran


TRUTH = Truth()


@dataclass(frozen=True)
class SimulatedCi:
    """What CI told, in no order."""

    attempts: list[Attempt]
    jobs: list[Job]
    tests: list[TestOutcome]
    now: int
    repository: str = REPOSITORY
    default_branch: str = "main"


def simulated_month(seed: int = 0, *, repeated: float = 0.0) -> SimulatedCi:
    """The month and the one before it. ``seed`` decides the order in which the facts are told, ``repeated`` which part of them
    is told twice; the truth is the same."""
    made = _Made()
    for slot in range(SLOTS):
        made.on_main(slot, BEGIN - 28 * DAY + slot * 6 * HOUR + HOUR, is_measured=False)
    for slot in range(SLOTS):
        made.on_main(slot, BEGIN + slot * 6 * HOUR + HOUR, is_measured=True)
    for pull in range(1, PULLS + 1):
        for number in range(3):
            at = BEGIN + pull * DAY + number * 2 * HOUR + HOUR // 2
            red = ("lint",) if number == 0 else ()
            branch = f"feature/{pull}"
            made.run(at, f"pull {pull} {number}", red=red, branch=branch, event="pull_request", pulls=(pull,))
    for day in range(28):
        made.deploy(BEGIN + day * DAY + 3 * HOUR)
    order = random.Random(seed)
    facts: list[list[Any]] = [made.attempts, made.jobs, made.tests]
    for every in facts:
        every += [one for one in every if order.random() < repeated]
        order.shuffle(every)
    return SimulatedCi(made.attempts, made.jobs, made.tests, now=TRUTH.until + 3 * DAY)


class _Made:
    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.jobs: list[Job] = []
        self.tests: list[TestOutcome] = []
        self._runs = 0

    def on_main(self, slot: int, at: int, *, is_measured: bool) -> None:
        commit = f"{'now' if is_measured else 'before'} {slot}"
        if not is_measured or slot not in {*RED, *FLAKY, *CANCELLED, STARTUP, NO_JOBS, UNKNOWN, SKIPPED}:
            self.run(at, commit)
        elif slot in RED:
            self.run(at, commit, red={"lint"})
        elif slot in FLAKY:
            self.run(at, commit, red={"test (3.12)"}, again=True)
        elif slot in CANCELLED:
            self.run(at, commit, conclusion="cancelled")
        else:
            told = {STARTUP: "startup_failure", NO_JOBS: "failure", UNKNOWN: "mystery", SKIPPED: "skipped"}
            self._attempt(at, commit, told[slot], jobs=0)

    def run(
        self,
        at: int,
        commit: str,
        *,
        red: Collection[str] = (),
        again: bool = False,
        conclusion: str = "",
        **fields: Any,
    ) -> None:
        told = conclusion or ("failure" if red else "success")
        first = self._attempt(at, commit, told, jobs=3, is_last=not again, **fields)
        listed = []
        for name, length in LENGTHS.items():
            result = conclusion or ("failure" if name in red else "success")
            listed.append(self._job(first, name, at, length, result))
            if name.startswith("test") and not conclusion:
                self._tests(first, name, at + (QUEUE + length) * SECOND, result)
        if not again:
            return
        begun = at + (LENGTH + PAUSE) * SECOND
        second = replace(
            first,
            number=2,
            conclusion="success",
            is_last=True,
            started=begun,
            finished=begun + LENGTH * SECOND,
        )
        self.attempts.append(second)
        for job in listed:
            if job.name in red:
                self._job(second, job.name, begun, LENGTHS[job.name], "success")
                self._tests(second, job.name, begun + (QUEUE + LENGTHS[job.name]) * SECOND, "success")
            else:  # listed again with the times of before, as GitHub does
                self.jobs.append(replace(job, id=len(self.jobs) + 1, attempt=2))

    def deploy(self, at: int) -> None:
        self._attempt(at, f"deploy {at}", "success", jobs=1, path=DEPLOY, workflow="deploy")
        self._job(self.attempts[-1], "deploy", at, 120, "success")

    def _attempt(self, at: int, commit: str, conclusion: str, *, jobs: int, **fields: Any) -> Attempt:
        self._runs += 1
        told = {"path": CI, "workflow": "CI", "branch": "main", "event": "push"} | fields
        one = Attempt(
            REPOSITORY, self._runs, 1, sha=commit.replace(" ", "-"), conclusion=conclusion, created=at, started=at,
            finished=at + LENGTH * SECOND, jobs_known=True, jobs=jobs, url=f"https://ci.example/{self._runs}", **told,
        )  # fmt: skip
        self.attempts.append(one)
        return one

    def _job(self, attempt: Attempt, name: str, at: int, length: int, conclusion: str) -> Job:
        begun = at + QUEUE * SECOND
        one = Job(
            REPOSITORY, len(self.jobs) + 1, attempt.run, attempt.number, name, sha=attempt.sha, branch=attempt.branch,
            workflow=attempt.workflow, conclusion=conclusion, queued=at, started=begun, finished=begun + length * SECOND,
        )  # fmt: skip
        self.jobs.append(one)
        return one

    def _tests(self, attempt: Attempt, job: str, at: int, result: str) -> None:
        """One that fails when its job does, and one that always fails on 3.12 and never on 3.11."""
        tick = "failed" if result == "failure" else "passed"
        maths = "failed" if job == "test (3.12)" else "passed"
        for identity, outcome in ((TRUTH.flaky_test, tick), ("tests.maths::test_sum", maths)):
            self.tests.append(
                TestOutcome(REPOSITORY, attempt.sha, identity, outcome, at, report=job, branch=attempt.branch)
            )
