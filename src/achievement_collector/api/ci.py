"""``POST /ci/metrics``: what ``ci ingest`` hands in, from any CI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.models import Text
from achievement_collector.services.ci_metrics import CiFile, Submission, ingest

router = APIRouter(prefix="/ci", tags=["ci"], responses=GUARDED)

_REFUSED = problems({400: "Something that cannot be used; nothing was stored", 413: "The body is too large"})


class File(BaseModel):
    """A file as a tool wrote it."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["junit", "coverage", "benchmark", "sarif"]
    name: Annotated[Text, Field(max_length=500)] = "file"
    content: str


class Metrics(BaseModel):
    """What a job hands in for a commit."""

    model_config = ConfigDict(extra="forbid")
    repository: Annotated[Text, Field(max_length=400, examples=["acme/rocket"])]
    sha: Annotated[Text, Field(max_length=64)]
    files: Annotated[list[File], Field(max_length=200)] = []
    build_time_seconds: Annotated[float | None, Field(ge=0, lt=1e7)] = None
    pull_request: Annotated[int | None, Field(gt=0, lt=2**31)] = None
    branch: Annotated[Text, Field(max_length=300)] = ""
    base: Annotated[Text, Field(max_length=300)] = ""
    job: Annotated[Text, Field(max_length=200)] = ""
    url: Annotated[Text, Field(max_length=1000)] = ""


@router.post("/metrics", dependencies=[Depends(needs("ingest"))], status_code=201, responses=_REFUSED)
def metrics(request: Request, given: Metrics) -> dict[str, Any]:
    """Takes in test results, coverage, benchmarks, findings and the build time of a commit."""
    state = state_of(request)
    submission = Submission(
        given.repository, given.sha,
        tuple(CiFile(one.kind, one.name, one.content.encode("utf-8", "surrogatepass")) for one in given.files),
        given.build_time_seconds, given.pull_request, given.branch, given.base, given.job, given.url,
    )  # fmt: skip
    done = ingest(state.ledger, submission, state.settings, state.clock())
    return {"repository": done.repository, "sha": done.sha, "is_new": done.is_new, "taken": dict(done.taken)}
