"""``POST /threads/track``: a post of the content system, and how it was received."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from achievement_collector.api.errors import GUARDED, problems
from achievement_collector.api.security import needs
from achievement_collector.api.state import state_of
from achievement_collector.facts.content import Figures, PostNews, plain_text
from achievement_collector.services.content import Tracked, track_post
from achievement_collector.sources.bodies import moment

router = APIRouter(prefix="/threads", tags=["content"], responses=GUARDED)

_REFUSED = problems({400: "Something that cannot be used; nothing was stored", 413: "The body is too large"})
_LONGEST = 20_000


def _plain(text: str) -> str:
    return plain_text(text, _LONGEST)


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _as_text(value: Any) -> Any:
    """Some systems number their posts."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _moment(value: Any) -> int | None:
    if isinstance(value, datetime):
        value = value.isoformat()
    when = moment(value)
    if value not in (None, "") and when is None:
        raise ValueError("must be a moment: ISO 8601, or seconds since 1970")
    return when


_Text = Annotated[str, AfterValidator(_plain)]
_Count = Annotated[int | None, BeforeValidator(_no_truth), Field(ge=0, le=10**12)]
_Moment = Annotated[int | None, BeforeValidator(_moment)]
_Rate = Annotated[
    float | None,
    BeforeValidator(_no_truth),
    Field(ge=0, le=1, description="A share: 0.08 is 8 %; computed from the counts where all are told"),
]


class PostTold(BaseModel):
    """A post. The figures may stand here or in ``metrics`` (or ``engagement``); what else is told is ignored."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "post_id": "17912345",
                "hook": "AI will revolutionize everything",
                "engagement_rate": 0.08,
                "views": 10000,
                "likes": 800,
                "shares": 150,
                "persona_id": "ai-jesus",
            }
        },
    )
    post_id: Annotated[
        _Text,
        BeforeValidator(_as_text),
        Field(max_length=200, validation_alias=AliasChoices("post_id", "thread_id", "id")),
    ] = ""
    hook: Annotated[_Text, Field(max_length=2_000, description="The opening line")] = ""
    body: Annotated[
        _Text, Field(max_length=_LONGEST, validation_alias=AliasChoices("body", "content", "text"))
    ] = ""
    persona_id: Annotated[
        _Text, Field(max_length=200, validation_alias=AliasChoices("persona_id", "persona"))
    ] = ""
    author: Annotated[
        _Text, Field(max_length=500, description="The person who has the credit: Name <address>")
    ] = ""
    url: Annotated[_Text, Field(max_length=2_000, validation_alias=AliasChoices("url", "permalink"))] = ""
    views: Annotated[
        _Count,
        Field(validation_alias=AliasChoices("views", "impressions", "views_count", "impressions_count")),
    ] = None
    likes: Annotated[_Count, Field(validation_alias=AliasChoices("likes", "likes_count"))] = None
    shares: Annotated[
        _Count, Field(validation_alias=AliasChoices("shares", "reposts", "shares_count", "reposts_count"))
    ] = None
    comments: Annotated[
        _Count, Field(validation_alias=AliasChoices("comments", "replies", "comments_count", "replies_count"))
    ] = None
    engagement_rate: _Rate = None
    published_at: Annotated[_Moment, Field(validation_alias=AliasChoices("published_at", "created_at"))] = (
        None
    )
    measured_at: Annotated[
        _Moment,
        Field(
            validation_alias=AliasChoices("measured_at", "timestamp"),
            description="When the figures held; when the request came where it is missing",
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _figures_inside(cls, told: Any) -> Any:
        if not isinstance(told, Mapping):
            return told
        inside = [told[name] for name in ("metrics", "engagement") if isinstance(told.get(name), Mapping)]
        kept = {name: value for name, value in told.items() if value is not None}
        for one in inside:
            kept = {
                name: value for name, value in one.items() if name in _FIGURES and value is not None
            } | kept
        return kept

    def news(self) -> PostNews:
        return PostNews(
            self.post_id, self.hook, self.body, self.persona_id, self.author, self.url, self.published_at,
            self.measured_at, Figures(self.views, self.likes, self.shares, self.comments, self.engagement_rate),
        )  # fmt: skip


_FIGURES = {
    "views", "impressions", "views_count", "impressions_count", "likes", "likes_count", "shares", "reposts", "shares_count",
    "reposts_count", "comments", "replies", "comments_count", "replies_count", "engagement_rate",
}  # fmt: skip


@router.post(
    "/track",
    dependencies=[Depends(needs("ingest"))],
    responses={
        **_REFUSED,
        200: {"description": "Skipped, with the reason; or an achievement that was there already"},
        201: {"description": "The post is an achievement from now on"},
    },
)
def track(request: Request, response: Response, given: PostTold) -> dict[str, Any]:
    """Makes an achievement of a post with 6 % engagement or more; later figures of the same post update it."""
    state = state_of(request)
    done = track_post(state.ledger, state.settings, given.news(), state.clock())
    if done.status == "created":
        response.status_code = 201
        response.headers["Location"] = f"/achievements/{done.achievement_id}"
    return _told(done)


def _told(done: Tracked) -> dict[str, Any]:
    told: dict[str, Any] = {"status": done.status}
    if done.status == "skipped":
        told["reason"] = done.reason
    if done.achievement_id:
        told["achievement_id"] = done.achievement_id
    if done.title:
        told["title"] = done.title
    if done.is_withdrawn:
        told["withdrawn"] = True
    told |= {"engagement_rate": done.rate, "engagement_basis": done.basis, "notes": list(done.notes)}
    if done.revenue is not None:
        told["revenue_estimate"] = {
            "text": done.revenue["text"],
            "is_estimate": True,
            "formula": done.revenue["formula"],
            "inputs": dict(done.revenue["inputs"]),
        }
    return told
