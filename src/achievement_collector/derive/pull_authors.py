"""Who made a pull request and who reviewed it: people, bots, AI agents, by the same rules as commits' authors."""

from __future__ import annotations

import re
from dataclasses import replace

from achievement_collector.derive.identity import AuthorKind, AuthorRules, Work, co_authors, work_of
from achievement_collector.derive.messages import parse_trailers
from achievement_collector.facts import Signature, Trailer
from achievement_collector.facts.work import PullRequest, Review

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_FORGE = Signature("GitHub", "noreply@github.com")


def author_of(pull: PullRequest) -> Signature:
    """The signature of a pull request's author: the forge's own noreply address, by which identities are joined."""
    return _signature(pull, pull.author, pull.author_id)


def signatures_of(pull: PullRequest) -> list[Signature]:
    """Everybody who may be credited for a pull request that is known from its forge alone."""
    named = [author_of(pull)] if pull.author else []
    return [*named, *co_authors(_trailers(pull))] if pull.merged is not None else named


def work_of_pull(pull: PullRequest, rules: AuthorRules) -> Work:
    """Who is to be credited for a pull request, as far as the forge tells: its author, and whom the trailers at the end of its
    body name. One that the forge calls a bot is one, unless it is an AI agent by the rules."""
    if not pull.author:
        return Work((), False, ())
    author = author_of(pull)
    kinds = {author: AuthorKind.AGENT if rules.agent_of(author) else AuthorKind.BOT} if pull.is_bot else {}
    return work_of(author, _FORGE, _trailers(pull), pull.body, rules, kinds)


def told_apart(pull: PullRequest, rules: AuthorRules) -> PullRequest:
    """The pull request with ``is_bot`` of its author and of every review as the rules and the forge have it together: that of
    a review says that no person wrote it."""
    is_bot = work_of_pull(pull, rules).is_bot
    reviews = tuple(
        replace(one, is_bot=True)
        if one.reviewer and not one.is_bot and _is_program(pull, one, rules)
        else one
        for one in pull.reviews
    )
    return replace(pull, is_bot=is_bot, reviews=reviews)


def _is_program(pull: PullRequest, review: Review, rules: AuthorRules) -> bool:
    return rules.kind_of(_signature(pull, review.reviewer, None)) is not AuthorKind.PERSON


def _signature(pull: PullRequest, login: str, number: int | None) -> Signature:
    host = pull.repository.split("/", 1)[0]
    prefix = f"{number}+" if number is not None else ""
    return Signature(login, f"{prefix}{login}@users.noreply.{host}")


def _trailers(pull: PullRequest) -> tuple[Trailer, ...]:
    if ":" not in pull.body:
        return ()
    return parse_trailers("\n\n" + _COMMENT.sub("", pull.body.replace("\r", "")))
