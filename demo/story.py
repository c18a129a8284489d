"""What happens in the example, in order: five pull requests by three people take search from 300 ms to 50 ms; one of
them is reverted later, which leaves 60 ms.

Bodies have the form in which GitHub and Linear send them, with the fields that matter here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

REPOSITORY = "acme/search"
EPIC = "E5.1"
PROJECT_ID = "5b0f6a0e-0e51-4c51-9e51-a1e4ba5ed5ea"
_TEAM = {"id": "0e7a51f0-5ea4-4c4e-8e51-000000000001", "key": "SRCH", "name": "Search"}
_PEOPLE = {"ada": 101, "grace": 102, "linus": 103}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A delivery of ``source`` (github or linear)."""

    source: str
    event: str
    delivery: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measures:
    """What a CI job hands in: a body of ``POST /ci/metrics``."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens, in words and in messages."""

    told: str
    messages: tuple[Webhook | Measures, ...]


def sha(name: str) -> str:
    """A commit id for a name."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Pull:
    number: int
    author: str
    title: str
    branch: str
    body: str
    opened: str
    merged: str
    reviewer: str
    additions: int
    deletions: int
    files: int
    commits: int
    issue: str
    tests: int
    coverage: float
    search_ms: float


PULLS = (
    Pull(41, "ada", "feat(index): embed documents with a vector index", "ada/srch-11-vector-index",
         "Builds the vector index beside the inverted one.\n\nEpic: E5.1\n\n![index layout](https://files.acme.example/index.png)",
         "2026-10-05T09:00:00Z", "2026-10-07T15:00:00Z", "grace", 820, 95, 14, 6, "SRCH-11", 212, 0.861, 300.0),
    Pull(42, "grace", "feat(query): rank results by meaning", "grace/epic-E5.1-ranking",
         "Blends BM25 with cosine similarity. [Design](https://docs.google.com/document/d/ranking)\n\nCloses SRCH-12",
         "2026-10-08T08:30:00Z", "2026-10-12T11:00:00Z", "ada", 540, 120, 9, 5, "SRCH-12", 241, 0.902, 210.0),
    Pull(43, "linus", "perf(query): answer from a warm cache, SRCH-13", "linus/warm-cache",
         "Hot queries no longer touch the disk.",
         "2026-10-13T10:00:00Z", "2026-10-15T17:30:00Z", "ada", 260, 60, 6, 4, "SRCH-13", 255, 0.921, 120.0),
    Pull(44, "ada", "perf(index): quantise vectors", "ada/srch-14-quantise",
         "Eight bits are enough. ![recall](https://files.acme.example/recall.png)\n\nEpic: E5.1",
         "2026-10-16T09:15:00Z", "2026-10-20T13:00:00Z", "linus", 310, 140, 7, 5, "SRCH-14", 268, 0.938, 50.0),
    Pull(45, "grace", "feat(ui): explain why a result is shown", "grace/srch-15-explain",
         "Epic: E5.1", "2026-10-19T14:00:00Z", "2026-10-23T16:00:00Z", "linus", 430, 80, 11, 4, "SRCH-15", 284, 0.95, 50.0),
)  # fmt: skip


def story() -> Iterator[Step]:
    """The whole example. Every message may come twice or late; the epic ends the same."""
    yield Step("Linear: the project E5.1 is created", (_project("planned", "2026-10-01T09:00:00Z"),))
    yield Step(
        "Linear: five issues are planned in it",
        tuple(_issue(pull, number, "unstarted", "2026-10-01T10:00:00Z") for number, pull in enumerate(PULLS)),
    )
    yield Step("Linear: the project starts", (_project("started", "2026-10-05T08:00:00Z"),))
    yield Step("CI: main is measured", (_measures(None),))
    for number, pull in enumerate(PULLS):
        yield Step(
            f"GitHub: {pull.author} opens #{pull.number}",
            (_pull(pull, "opened", pull.opened), _check(pull), _measures(pull)),
        )
        yield Step(
            f"GitHub: {pull.reviewer} approves #{pull.number}, and it is merged",
            (
                _review(pull),
                _pull(pull, "closed", pull.merged),
                _issue(pull, number, "completed", pull.merged),
                _measures(pull, is_main=True),
            ),
        )
    yield Step("Linear: the project is completed", (_project("completed", "2026-10-24T10:00:00Z"),))


def revert() -> Step:
    """What may come late: #43 is reverted, and CI measures what is left without it."""
    pull = Pull(
        51, "linus", 'Revert "perf(query): answer from a warm cache, SRCH-13"', "revert-43-warm-cache",
        f"Reverts {REPOSITORY}#43",
        "2026-10-27T08:00:00Z", "2026-10-27T09:00:00Z", "ada", 60, 260, 6, 1, "", 271, 0.94, 60.0,
    )  # fmt: skip
    return Step(
        "GitHub: #43 is reverted, after the epic was final",
        (_measures(pull), _check(pull), _pull(pull, "closed", pull.merged), _measures(pull, is_main=True)),
    )


def base_of(number: int) -> str:
    """The commit of main that a pull request was begun on: what the one before it became."""
    earlier = [pull.number for pull in PULLS if pull.number < number]
    return sha(f"merge {earlier[-1]}") if earlier else sha("main")


def _project(status: str, at: str) -> Webhook:
    data = {
        "id": PROJECT_ID, "name": "E5.1 AI-Enhanced Search", "description": "Search that understands what is meant.",
        "slugId": "ai-search-e51", "status": {"id": "s", "name": status.title(), "type": status},
        "createdAt": "2026-10-01T09:00:00Z", "updatedAt": at,
        "startedAt": "2026-10-05T08:00:00Z" if status != "planned" else None,
        "completedAt": at if status == "completed" else None, "lead": {"id": "u", "name": "Ada"},
        "milestones": [{"id": "11111111-0000-4000-8000-000000000001", "name": "Beta behind a flag"}],
    }  # fmt: skip
    body = {
        "action": "update", "type": "Project", "createdAt": at, "data": data,
        "url": "https://linear.app/acme/project/ai-search-e51",
    }  # fmt: skip
    return Webhook("linear", "Project", f"project-{status}", body)


def _issue(pull: Pull, number: int, state: str, at: str) -> Webhook:
    data = {
        "id": f"00000000-0000-4000-8000-0000000000{pull.number}", "number": 11 + number, "title": pull.title.partition(": ")[2],
        "description": "", "priority": 2, "estimate": 3, "createdAt": "2026-10-01T10:00:00Z", "updatedAt": at,
        "startedAt": pull.opened if state == "completed" else None, "completedAt": at if state == "completed" else None,
        "state": {"id": "s", "name": state, "type": state}, "team": _TEAM, "teamId": _TEAM["id"], "projectId": PROJECT_ID,
        "labels": [{"id": "l", "name": "Feature"}], "assignee": {"id": pull.author, "name": pull.author},
    }  # fmt: skip
    body = {
        "action": "update", "type": "Issue", "createdAt": at, "data": data,
        "url": f"https://linear.app/acme/issue/SRCH-{11 + number}/x",
    }  # fmt: skip
    return Webhook("linear", "Issue", f"issue-{pull.number}-{state}", body)


def _repository() -> dict[str, Any]:
    return {
        "id": 5100,
        "full_name": REPOSITORY,
        "html_url": f"https://github.com/{REPOSITORY}",
        "default_branch": "main",
    }


def _user(login: str) -> dict[str, Any]:
    return {"login": login, "id": _PEOPLE[login], "type": "User"}


def _pull_object(pull: Pull, action: str, at: str) -> dict[str, Any]:
    merged = pull.merged if action == "closed" else None
    return {
        "number": pull.number, "title": pull.title, "body": pull.body, "user": _user(pull.author), "draft": False,
        "state": "closed" if merged else "open", "created_at": pull.opened, "updated_at": at, "merged_at": merged,
        "closed_at": merged, "merged": bool(merged), "merge_commit_sha": sha(f"merge {pull.number}") if merged else None,
        "labels": [{"name": "search"}], "head": {"ref": pull.branch, "sha": sha(f"head {pull.number}")},
        "base": {"ref": "main", "sha": base_of(pull.number)}, "additions": pull.additions, "deletions": pull.deletions,
        "changed_files": pull.files, "commits": pull.commits, "html_url": f"https://github.com/{REPOSITORY}/pull/{pull.number}",
    }  # fmt: skip


def _pull(pull: Pull, action: str, at: str) -> Webhook:
    body = {
        "action": action,
        "number": pull.number,
        "repository": _repository(),
        "pull_request": _pull_object(pull, action, at),
    }
    return Webhook("github", "pull_request", f"pull-{pull.number}-{action}", body)


def _review(pull: Pull) -> Webhook:
    told = {
        "id": 9000 + pull.number,
        "user": _user(pull.reviewer),
        "state": "approved",
        "submitted_at": pull.merged,
    }
    body = {
        "action": "submitted", "repository": _repository(), "review": told,
        "pull_request": _pull_object(pull, "opened", pull.opened),
    }  # fmt: skip
    return Webhook("github", "pull_request_review", f"review-{pull.number}", body)


def _check(pull: Pull) -> Webhook:
    run = {
        "id": 7000 + pull.number, "name": "tests", "head_sha": sha(f"head {pull.number}"), "head_branch": pull.branch,
        "status": "completed", "conclusion": "success", "run_attempt": 1, "run_started_at": pull.opened,
        "created_at": pull.opened, "updated_at": pull.opened,
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{7000 + pull.number}",
    }  # fmt: skip
    body = {"action": "completed", "repository": _repository(), "workflow_run": run}
    return Webhook("github", "workflow_run", f"run-{pull.number}", body)


def _measures(pull: Pull | None, *, is_main: bool = False) -> Measures:
    """Measures of a pull request's head, of main once it is merged, or of main before all of them."""
    tests, coverage, search = (pull.tests, pull.coverage, pull.search_ms) if pull else (200, 0.85, 300.0)
    valid = 10_000
    files = [
        {"kind": "junit", "name": "junit.xml", "content": _junit(tests)},
        {"kind": "coverage", "name": "coverage.xml", "content": _cobertura(round(coverage * valid), valid)},
        {"kind": "benchmark", "name": "benchmark.json", "content": _benchmark(search)},
    ]
    body: dict[str, Any] = {"repository": REPOSITORY, "files": files, "build_time_seconds": 312.0}
    if pull is None or is_main:
        body |= {"sha": sha(f"merge {pull.number}" if pull else "main"), "branch": "main"}
    else:
        body |= {
            "sha": sha(f"head {pull.number}"),
            "branch": pull.branch,
            "base": "main",
            "pull_request": pull.number,
        }
    return Measures(body)


def _junit(tests: int) -> str:
    cases = "".join(
        f'<testcase classname="search" name="test_{number}" time="0.01"/>' for number in range(tests)
    )
    return f'<testsuite name="search" tests="{tests}">{cases}</testsuite>'


def _cobertura(covered: int, valid: int) -> str:
    return f'<coverage lines-covered="{covered}" lines-valid="{valid}" line-rate="{covered / valid:.4f}"><packages/></coverage>'


def _benchmark(milliseconds: float) -> str:
    stats = {
        "mean": milliseconds / 1000, "stddev": milliseconds / 1000 * 0.04, "rounds": 20, "median": milliseconds / 1000,
        "min": milliseconds / 1100, "max": milliseconds / 900,
    }  # fmt: skip
    return json.dumps({"benchmarks": [{"name": "search", "fullname": "bench.py::search", "stats": stats}]})
