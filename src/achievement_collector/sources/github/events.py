"""GitHub's webhook bodies, and the objects of its REST API, as observations.

Bodies of one event differ by their year; nothing is insisted on but what names the thing. An event that tells nothing
this product keeps is :class:`NotRelevant`, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from achievement_collector.facts.deployments import REPLACED, register_of
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.sources.bodies import Body, present
from achievement_collector.sources.relevance import NotRelevant, NotUnderstood

_BOT_SUFFIX = "[bot]"
_MOST_STEPS = 1_000


def translate(event: str, body: Body, received: int) -> list[Observation]:
    """What a delivery tells. ``received`` (ms) stands in where the body gives no time.

    Raises :class:`NotRelevant` for what is not kept and :class:`NotUnderstood` where a body of a kept kind does not name
    its thing.
    """
    reader = _READERS.get(event)
    if reader is None:
        raise NotRelevant(_REASONS.get(event, f"the event {event!r} tells nothing that is kept"))
    return list(reader(body, received))


def repository_key(repository: Body) -> str:
    """``host/owner/name`` as git scans name it."""
    name = repository.text("full_name", 300)
    if not name:
        owner = repository.inner("owner")
        login = owner.text("login", 200) or owner.text("name", 200)
        name = f"{login}/{repository.text('name', 200)}" if login and repository.text("name") else ""
    if name.count("/") != 1 or name.startswith("/") or name.endswith("/"):
        raise NotUnderstood("the body names no repository")
    address = repository.text("html_url") or repository.text("url")
    host = (urlsplit(address).hostname or "") if address.startswith("http") else ""
    return f"{_web_host(host)}/{name}"


def _web_host(host: str) -> str:
    return "github.com" if host in ("", "api.github.com", "www.github.com") else host.lower()


def _repository(body: Body, received: int) -> tuple[str, Observation]:
    repository = body.inner("repository")
    key = repository_key(repository)
    fields = present(
        id=repository.whole("id"), default_branch=repository.text("default_branch", 300) or None,
        url=repository.text("html_url", 500) or None, is_private=repository.truth("private"),
    )  # fmt: skip
    at = repository.moment("updated_at") or received
    return key, Observation(Kind.REPOSITORY, key, at, fields)


# --- pull requests -----------------------------------------------------------------------------------


def pull_request(repository: str, pull: Body, at: int) -> Observation:
    """A pull request as REST and webhooks show it; only what the object holds is told."""
    number = pull.whole("number")
    if number is None or number <= 0:
        raise NotUnderstood("the body names no pull request")
    user, head, base = pull.inner("user"), pull.inner("head"), pull.inner("base")
    login = user.text("login", 200)
    fields = present(
        number=number, title=pull.text("title", 1000) or None, author=login or None, author_id=user.whole("id"),
        is_bot=_is_bot(user) if login else None,
        created=pull.moment("created_at"), is_draft=pull.truth("draft"),
        base=base.text("ref", 500) or None, base_sha=base.text("sha", 64) or None,
        branch=head.text("ref", 500) or None, head_sha=head.text("sha", 64) or None,
        additions=pull.whole("additions"), deletions=pull.whole("deletions"), files=pull.whole("changed_files"),
        commits=pull.whole("commits"), url=pull.text("html_url", 500) or None,
    )  # fmt: skip
    if "body" in pull:
        fields["body"] = pull.text("body")
    if "labels" in pull:
        fields["labels"] = sorted(pull.names("labels"))
    if "milestone" in pull:
        fields["milestone"] = pull.inner("milestone").text("title", 300)
    for name in ("merged", "closed"):
        if f"{name}_at" in pull:
            fields[name] = pull.moment(f"{name}_at")
    if fields.get("merged") is not None and pull.text("merge_commit_sha"):
        fields["merge_sha"] = pull.text("merge_commit_sha", 64)
    return Observation(Kind.PULL_REQUEST, f"{repository}#{number}", at, fields, repository)


def _is_bot(user: Body) -> bool:
    return user.text("type") == "Bot" or user.text("login", 200).endswith(_BOT_SUFFIX)


def _pull_request(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    yield place
    pull = body.inner("pull_request")
    at = pull.moment("updated_at") or received
    if "number" not in pull and body.whole("number") is not None:
        pull = Body({**pull.data, "number": body.whole("number")})
    yield pull_request(key, pull, at)


def review(pull_key: str, one: Body, at: int) -> Observation:
    number = one.whole("id")
    if number is None:
        raise NotUnderstood("the body names no review")
    user = one.inner("user")
    fields = present(
        reviewer=user.text("login", 200) or None,
        is_bot=_is_bot(user) if user.text("login") else None,
        state=one.text("state", 40).lower() or None,
        submitted=one.moment("submitted_at"),
        url=one.text("html_url", 500) or None,
    )
    return Observation(Kind.REVIEW, f"{pull_key}/review/{number}", at, fields, pull_key)


def _review(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    yield place
    pull = body.inner("pull_request")
    updated = pull.moment("updated_at") or received
    seen = pull_request(key, pull, updated)
    yield seen
    yield review(
        seen.key, body.inner("review"), max(updated, body.inner("review").moment("submitted_at") or 0)
    )


# --- issues, milestones, releases --------------------------------------------------------------------


def issue(repository: str, one: Body, at: int) -> Observation:
    number = one.whole("number")
    if number is None:
        raise NotUnderstood("the body names no issue")
    fields = present(
        identifier=f"#{number}", number=number, title=one.text("title", 1000) or None, url=one.text("html_url", 500) or None,
        created=one.moment("created_at"), creator=one.inner("user").text("login", 200) or None,
        reason=one.text("state_reason", 40) or None,
    )  # fmt: skip
    if "body" in one:
        fields["description"] = one.text("body")
    if "labels" in one:
        fields["labels"] = sorted(one.names("labels"))
    if "assignee" in one:
        fields["assignee"] = one.inner("assignee").text("login", 200)
    if "milestone" in one:
        fields["milestone"] = one.inner("milestone").text("title", 300)
    if "closed_at" in one or "state" in one:
        closed = one.moment("closed_at") if one.text("state") != "open" else None
        is_done = one.text("state_reason") in ("", "completed")
        fields["completed"] = closed if is_done else None
        fields["canceled"] = None if is_done else closed
    return Observation(Kind.ISSUE, f"{repository}#{number}", at, fields, repository)


def _issue(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    one = body.inner("issue")
    if "pull_request" in one:
        raise NotRelevant("it is about a pull request, which tells of itself")
    yield place
    at = one.moment("updated_at") or received
    seen = issue(key, one, at)
    gone = body.text("action") in ("deleted", "transferred")
    yield Observation(seen.kind, seen.key, seen.at, {**seen.fields, "removed": gone}, seen.scope)


def _milestone(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    one = body.inner("milestone")
    number = one.whole("number")
    if number is None:
        raise NotUnderstood("the body names no milestone")
    yield place
    fields = present(
        name=one.text("title", 300) or None, state=one.text("state", 20) or None, url=one.text("html_url", 500) or None,
        open=one.whole("open_issues"), closed=one.whole("closed_issues"),
    )  # fmt: skip
    fields |= {"due": one.moment("due_on"), "completed": one.moment("closed_at")}
    fields["removed"] = body.text("action") == "deleted"
    yield Observation(
        Kind.MILESTONE, f"{key}/milestone/{number}", one.moment("updated_at") or received, fields, key
    )


def _release(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    one = body.inner("release")
    number = one.whole("id")
    if number is None:
        raise NotUnderstood("the body names no release")
    yield place
    fields = present(
        tag=one.text("tag_name", 300) or None, name=one.text("name", 500) or None, url=one.text("html_url", 500) or None,
        is_draft=one.truth("draft"), is_prerelease=one.truth("prerelease"), published=one.moment("published_at"),
        author=one.inner("author").text("login", 200) or None,
    )  # fmt: skip
    fields["removed"] = body.text("action") in ("deleted", "unpublished")
    at = max(
        filter(None, (one.moment("updated_at"), one.moment("published_at"), one.moment("created_at"))),
        default=received,
    )
    yield Observation(Kind.RELEASE, f"{key}/release/{number}", at, fields, key)


# --- checks ------------------------------------------------------------------------------------------


def _check_run(body: Body, received: int) -> Iterator[Observation]:
    yield from _check(body, received, "check_run", "check")


def _check_suite(body: Body, received: int) -> Iterator[Observation]:
    yield from _check(body, received, "check_suite", "suite")


def _check(body: Body, received: int, name: str, short: str) -> Iterator[Observation]:
    key, place = _repository(body, received)
    one = body.inner(name)
    number, sha = one.whole("id"), one.text("head_sha", 64)
    if number is None or not sha:
        raise NotUnderstood(f"the body names no {name.replace('_', ' ')} of a commit")
    yield place
    at = one.moment("updated_at") or one.moment("completed_at") or one.moment("started_at") or received
    label = one.text("name", 300) or one.inner("app").text("name", 300) or name
    yield check(key, f"{short}/{number}", sha, label, one, at)


def check(
    repository: str, key: str, sha: str, name: str, one: Body, at: int, attempt: int = 1
) -> Observation:
    """A check run, check suite or workflow run."""
    fields = present(
        name=name, sha=sha, started=one.moment("started_at") or one.moment("run_started_at") or one.moment("created_at"),
        completed=one.moment("completed_at"), url=one.text("html_url", 500) or one.text("details_url", 500) or None,
        event=one.text("event", 60) or None, branch=one.text("head_branch", 300) or None,
        pull_requests=[number for pull in one.each("pull_requests") if (number := pull.whole("number"))] or None,
    )  # fmt: skip
    fields |= {
        "status": one.text("status", 40),
        "conclusion": one.text("conclusion", 40) or None,
        "attempt": attempt,
    }
    if fields["conclusion"] and "completed" not in fields:
        fields["completed"] = one.moment("updated_at")
    return Observation(Kind.CHECK, f"{repository}/{key}", at, fields, f"{repository}@{sha}")


def workflow_run(repository: str, one: Body, at: int) -> Observation:
    number, sha = one.whole("id"), one.text("head_sha", 64)
    if number is None or not sha:
        raise NotUnderstood("the body names no workflow run of a commit")
    attempt = one.whole("run_attempt") or 1
    name = one.text("name", 300) or one.text("path", 300) or "workflow"
    seen = check(repository, f"run/{number}/{attempt}", sha, name, one, at, attempt)
    actor = one.inner("triggering_actor").text("login", 200) or one.inner("actor").text("login", 200)
    fields = {name: value for name, value in seen.fields.items() if name != "pull_requests"}
    fields |= present(
        created=one.moment("created_at"), path=one.text("path", 500) or None, actor=actor or None,
        title=one.text("display_title", 500) or None, pull_requests=_own_pulls(one) or None,
    )  # fmt: skip
    return replace(seen, fields=fields)


def _own_pulls(run: Body) -> list[int]:
    """The numbers of the pull requests that a run is shown with; those into another repository, which a fork shows, are left
    out."""
    here = run.inner("repository").whole("id")
    found = []
    for pull in run.each("pull_requests"):
        number, there = pull.whole("number"), pull.inner("base", "repo").whole("id")
        if number and (here is None or there is None or here == there):
            found.append(number)
    return found


def _workflow_run(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    yield place
    one = body.inner("workflow_run")
    yield workflow_run(key, one, one.moment("updated_at") or received)


def workflow_job(repository: str, one: Body, received: int) -> Observation:
    """A job with its steps, as REST and webhooks show it; ``received`` (ms) stands in where it tells no time of its own."""
    number = one.whole("id")
    if number is None:
        raise NotUnderstood("the body names no job")
    check_run = urlsplit(one.text("check_run_url")).path.rpartition("/")[2]
    fields = present(
        name=one.text("name", 300) or None, run=one.whole("run_id"), attempt=one.whole("run_attempt"),
        sha=one.text("head_sha", 64) or None, status=one.text("status", 40) or None, created=one.moment("created_at"),
        started=one.moment("started_at"), completed=one.moment("completed_at"), url=one.text("html_url", 500) or None,
        conclusion=one.text("conclusion", 40) or None, branch=one.text("head_branch", 300) or None,
        workflow=one.text("workflow_name", 300) or None, runner=one.text("runner_name", 200) or None,
        check_run=int(check_run) if re.fullmatch(r"[0-9]{1,18}", check_run) else None,
    )  # fmt: skip
    labels = one.data.get("labels")
    if isinstance(labels, list):
        fields["labels"] = [Body({"label": label}).text("label", 100) for label in labels[:20]]
    if "steps" in one:
        fields["steps"] = [
            [
                step.whole("number") or place, step.text("name", 300), step.text("conclusion", 40),
                step.moment("started_at"), step.moment("completed_at"),
            ]
            for place, step in enumerate(one.each("steps")[:_MOST_STEPS], 1)
        ]  # fmt: skip
    at = one.moment("completed_at") or one.moment("started_at") or received
    return Observation(
        Kind.JOB, f"{repository}/job/{number}", at, fields, f"{repository}/run/{one.whole('run_id')}"
    )


def _workflow_job(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    seen = workflow_job(key, body.inner("workflow_job"), received)
    yield place
    yield seen


def _status(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    sha = body.text("sha", 64)
    if not sha:
        raise NotUnderstood("the body names no commit")
    yield place
    context = body.text("context", 300) or "status"
    at = body.moment("updated_at") or body.moment("created_at") or received
    state = body.text("state", 40)
    conclusion = {"success": "success", "failure": "failure", "error": "failure"}.get(state)
    fields = present(name=context, sha=sha, url=body.text("target_url", 500) or None, status=state or None)
    fields |= {"conclusion": conclusion, "attempt": 1}
    if conclusion:
        fields["completed"] = at
    yield Observation(Kind.CHECK, f"{key}/status/{sha}/{context}", at, fields, f"{key}@{sha}")


# --- pushes, deployments, repositories ---------------------------------------------------------------


def _push(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    ref, after = body.text("ref", 500), body.text("after", 64)
    if not ref or not after:
        raise NotUnderstood("the body names no ref and commit")
    yield place
    head = body.inner("head_commit")
    at = body.inner("repository").moment("pushed_at") or head.moment("timestamp") or received
    fields = present(
        ref=ref, after=after, before=body.text("before", 64) or None, forced=body.truth("forced"), at=at,
        commits=[sha for one in body.each("commits") if (sha := one.text("id", 64) or one.text("sha", 64))],
    )  # fmt: skip
    yield Observation(Kind.PUSH, f"{key}/push/{ref}/{after}", at, fields, key)


def deployment(repository: str, one: Body, at: int) -> Observation:
    number = one.whole("id")
    if number is None:
        raise NotUnderstood("the body names no deployment")
    fields = present(
        environment=one.text("environment", 200) or None, sha=one.text("sha", 64) or None, ref=one.text("ref", 300) or None,
        created=one.moment("created_at"), by=one.inner("creator").text("login", 200) or None,
        is_production=one.truth("production_environment"),
    )  # fmt: skip
    return Observation(Kind.DEPLOYMENT, f"{repository}/deployment/{number}", at, fields, repository)


def _deployment(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    yield place
    one = body.inner("deployment")
    yield deployment(key, one, one.moment("updated_at") or one.moment("created_at") or received)


def _deployment_status(body: Body, received: int) -> Iterator[Observation]:
    key, place = _repository(body, received)
    yield place
    one, status = body.inner("deployment"), body.inner("deployment_status")
    seen = deployment(key, one, one.moment("updated_at") or one.moment("created_at") or received)
    yield seen
    at = status.moment("created_at") or status.moment("updated_at") or received
    state = status.text("state", 40)
    fields: dict[str, Any] = {}
    if state == "inactive":  # another one took its place; how it ended and where its log is stay as they are
        fields[REPLACED] = True
    elif state:
        url = status.text("target_url", 500) or status.text("log_url", 500) or None
        fields = present(url=url) | {register_of(state, is_dated=True): state}
    if state in ("success", "failure", "error"):
        fields["finished"] = at
    elif state == "in_progress":
        fields["started"] = at
    yield Observation(seen.kind, seen.key, at, fields, key)


def _repository_event(body: Body, received: int) -> Iterator[Observation]:
    action = body.text("action")
    if action not in ("renamed", "transferred", "edited", "created"):
        raise NotRelevant(f"a repository that is {action or 'touched'} keeps its record")
    key, place = _repository(body, received)
    yield place
    changes = body.inner("changes")
    host, owner, name = key.split("/", 2)
    old_name = changes.inner("repository", "name").text("from", 300)
    before = changes.inner("owner", "from")
    old_owner = before.inner("user").text("login", 200) or before.inner("organization").text("login", 200)
    old = f"{host}/{old_owner or owner}/{old_name or name}"
    if old != key:
        at = body.inner("repository").moment("updated_at") or received
        yield Observation(Kind.REPOSITORY, old, at, {"moved_to": key})


_READERS: dict[str, Callable[[Body, int], Iterator[Observation]]] = {
    "pull_request": _pull_request,
    "pull_request_review": _review,
    "issues": _issue,
    "milestone": _milestone,
    "release": _release,
    "check_run": _check_run,
    "check_suite": _check_suite,
    "workflow_run": _workflow_run,
    "workflow_job": _workflow_job,
    "status": _status,
    "push": _push,
    "deployment": _deployment,
    "deployment_status": _deployment_status,
    "repository": _repository_event,
}

_REASONS = {
    "ping": "GitHub only asks whether anybody listens",
    "create": "branches and tags are read from git",
    "delete": "branches and tags are read from git",
    "issue_comment": "comments are no evidence of work done",
    "commit_comment": "comments are no evidence of work done",
    "pull_request_review_comment": "the review that holds it is told apart",
    "pull_request_review_thread": "the review that holds it is told apart",
    "label": "labels are told with what bears them",
    "star": "popularity is not kept",
    "watch": "popularity is not kept",
    "fork": "popularity is not kept",
}
