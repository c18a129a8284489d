"""What programs hand in: one model for the API and for Python."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from achievement_collector.facts.kpis import Direction


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


Text = Annotated[str, AfterValidator(_storable)]
"""Text that every database can hold and be asked for: without NUL and lone surrogates."""

_Skill = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_storable)
]


class AchievementCreate(BaseModel):
    """An achievement that no tool could see, as its person states it (mentoring, leading an incident, a talk)."""

    model_config = ConfigDict(extra="forbid")
    title: Annotated[Text, Field(min_length=1, max_length=500)]
    person: Annotated[
        Text,
        Field(min_length=1, max_length=500, description="A known name, address or id, or Name <address>"),
    ]
    description: Annotated[Text, Field(max_length=10_000)] = ""
    date: Annotated[
        Text | None, Field(max_length=40, description="An ISO day; today where it is missing")
    ] = None
    category: Annotated[Text, Field(max_length=40)] = "unsure"
    link: Annotated[Text, Field(max_length=2_000, description="A web address that shows it")] = ""
    value: Annotated[Text, Field(max_length=10_000, description="The business value, as stated")] = ""
    impact: Annotated[int | None, Field(ge=0, le=100)] = None
    skills: Annotated[list[_Skill], Field(max_length=50)] = []


class AchievementEdit(BaseModel):
    """What a person sets on an achievement; only what is given changes. ``reset`` takes edits back."""

    model_config = ConfigDict(extra="forbid")
    title: Annotated[Text | None, Field(min_length=1, max_length=10_000)] = None
    description: Annotated[Text | None, Field(max_length=10_000)] = None
    hidden: bool | None = None
    impact: Annotated[int | None, Field(ge=0, le=100)] = None
    complexity: Annotated[int | None, Field(ge=0, le=100)] = None
    value: Annotated[Text | None, Field(max_length=10_000)] = None
    reset: Annotated[list[Annotated[Text, Field(max_length=40)]], Field(max_length=10)] = []


class EpicStart(BaseModel):
    """An epic of teams without Linear."""

    model_config = ConfigDict(extra="forbid")
    key: Annotated[Text, Field(min_length=1, max_length=60, examples=["E5.1"])]
    title: Annotated[Text, Field(max_length=1_000)] = ""
    description: Annotated[Text, Field(max_length=20_000)] = ""


class EpicLink(BaseModel):
    """A pull request's tie to an epic, set by a person; it stays whatever is told later."""

    model_config = ConfigDict(extra="forbid")
    pull_request: Annotated[Text, Field(max_length=500, examples=["acme/rocket#12"])]
    belongs: bool = True


class KpiMilestone(BaseModel):
    """A value of a KPI as a program states it."""

    model_config = ConfigDict(extra="forbid")
    metric_name: Annotated[Text, Field(min_length=1, max_length=100, examples=["revenue_projection_monthly"])]
    value: Annotated[float, Field(allow_inf_nan=False)]
    target: Annotated[float, Field(allow_inf_nan=False)]
    direction: Direction | None = None
    unit: Annotated[Text | None, Field(max_length=40)] = None
    told_by: Annotated[Text, Field(max_length=200)] = ""


class PrometheusScrape(BaseModel):
    """Which KPIs are asked for; all where none is named."""

    model_config = ConfigDict(extra="forbid")
    kpis: Annotated[list[Annotated[Text, Field(max_length=100)]], Field(max_length=200)] = []
