"""Content posts: what a content system tells of a post, and of how it was received."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# what no text of a post needs: control characters but tab and line end, and those that turn the direction of text
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain_text(text: str, longest: int) -> str:
    """``text`` without control and direction characters, at most ``longest`` characters of it; every database takes it."""
    return _SURROGATE.sub("�", _CONTROL.sub("", text[: longest * 2].replace("\r\n", "\n"))).strip()[:longest]


@dataclass(frozen=True, slots=True)
class Figures:
    """How a post was received, all of one moment. None is "not told".

    ``rate`` is the engagement rate as the sender gives it, 0 to 1; the others are counts since the post was published.
    """

    views: int | None = None
    likes: int | None = None
    shares: int | None = None
    comments: int | None = None
    rate: float | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in self.as_told().values())

    def as_told(self) -> dict[str, int | float | None]:
        return {
            "views": self.views,
            "likes": self.likes,
            "shares": self.shares,
            "comments": self.comments,
            "rate": self.rate,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any] | None) -> Figures:
        """Of what :meth:`as_told` gave."""
        return cls(**told) if told else cls()


@dataclass(frozen=True, slots=True)
class PostNews:
    """What one message tells of a post. Empty texts and None say nothing.

    ``post_id`` is the content system's own name of the post; ``hook`` its opening line, ``body`` its text; ``persona`` the
    voice it was published as, which is no person; ``author`` a person (``Name <address>``) where the sender names one;
    ``published`` and ``measured`` (when the figures held) are in milliseconds since 1970.
    """

    post_id: str = ""
    hook: str = ""
    body: str = ""
    persona: str = ""
    author: str = ""
    url: str = ""
    published: int | None = None
    measured: int | None = None
    figures: Figures = Figures()


@dataclass(frozen=True, slots=True)
class Post:
    """A post as it is known now. ``key`` names it for ever (``threads/17912345``).

    ``figures`` are the newest, of ``figures_at``; ``reached`` the newest that reached the threshold, of ``reached_at``, empty
    where none did. ``first_told`` is when the first message about it was taken in. Moments in milliseconds since 1970.
    """

    key: str
    hook: str = ""
    body: str = ""
    persona: str = ""
    author: str = ""
    url: str = ""
    published: int | None = None
    first_told: int = 0
    figures: Figures = Figures()
    figures_at: int = 0
    reached: Figures = Figures()
    reached_at: int = 0
