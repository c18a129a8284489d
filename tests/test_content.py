"""Content posts: what a content system tells becomes an achievement from 6 % engagement on, and never says more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.api import threads as threads_api
from achievement_collector.config import Settings
from achievement_collector.derive.achievements import Conclusion
from achievement_collector.derive.content import (
    conclude_post,
    dollars,
    engagement,
    per_cent,
    reaches,
    revenue,
    shortfall,
    title_of,
)
from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.facts.content import Figures, Post, PostNews, plain_text
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import achievements, entities
from achievement_collector.services.content import (
    Tracked,
    conclude_posts,
    poll_posts,
    post_key,
    track_post,
    track_posts,
)
from achievement_collector.services.editing import edit_achievement
from achievement_collector.services.tokens import create_token
from achievement_collector.sources.threads import (
    LARGEST_ANSWER,
    ThreadsClient,
    ThreadsError,
    post_news,
)
from tests.fakes.threads import FakeThreads, serving_threads
from tests.serving import NOW, TestClient, serving

SETTINGS = Settings(database="unused")
DOCUMENTED = {
    "hook": "AI will revolutionize everything", "body": "Full post content...", "engagement_rate": 0.08, "views": 10000,
    "likes": 800, "shares": 150, "persona_id": "ai-jesus",
}  # fmt: skip
PROBLEM = "application/problem+json"


def news(**told: Any) -> PostNews:
    figures = {
        name: told.pop(name) for name in ("views", "likes", "shares", "comments", "rate") if name in told
    }
    return PostNews(**{"post_id": "p1", "hook": "A hook", **told}, figures=Figures(**figures))


def track(ledger: Ledger, now: int = NOW, **told: Any) -> Tracked:
    return track_post(ledger, SETTINGS, news(**told), now)


def rows(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        return list(connection.execute(sa.select(achievements).order_by(achievements.c.id)))


def only(ledger: Ledger) -> Any:
    (row,) = rows(ledger)
    return row


# --- the engagement rate -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "is_enough"),
    [
        (Figures(10_000, 600, 0, 0), True),
        (Figures(10_000, 599, 0, 0), False),
        (Figures(1_000_000_000_000, 60_000_000_000, 0, 0), True),
        (Figures(1_000_000_000_000, 59_999_999_999, 0, 0), False),
        (Figures(views=50, likes=1, comments=1, shares=1), True),
        (Figures(rate=0.06), True),
        (Figures(rate=0.0599), False),
        (Figures(rate=0.05999999999999999), False),
        (Figures(rate=1.0), True),
        (Figures(rate=0.0), False),
    ],
)
def test_six_per_cent_is_in_and_anything_below_is_not(figures: Figures, is_enough: bool) -> None:
    assert reaches(figures) is is_enough
    assert bool(shortfall(figures)) is not is_enough


def test_complete_counts_outrank_a_rate_that_says_otherwise() -> None:
    found = engagement(Figures(1000, 30, 10, 5, rate=0.09))
    assert found.rate == Fraction(45, 1000)
    assert found.notes == (
        "the sender gives 9 %, (likes + comments + shares) / views is 4.5 %; the counts are used",
    )
    assert engagement(Figures(1000, 60, 20, 0, rate=0.08)).notes == ()
    assert engagement(Figures(1000, 60, 22, 0, rate=0.08)).notes == ()  # a rate rounded to whole per cent
    assert engagement(Figures(1000, 60, 22, 0, rate=0.08)).rate == Fraction(82, 1000)


def test_a_rate_stands_where_the_counts_are_incomplete_and_the_difference_is_said() -> None:
    found = engagement(Figures(10_000, 800, 150, rate=0.08))
    assert (found.rate, found.basis) == (Fraction(8, 100), "as the sender gives it")
    assert found.notes == (
        "the sender gives 8 %, (likes + shares) / views is 9.5 % (comments not told); the sender's rate is used",
    )
    alone = engagement(Figures(10_000, 800))
    assert alone.basis == "at least: (likes) / views, comments and shares not told"


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (Figures(), "neither an engagement rate nor views"),
        (Figures(likes=5), "neither an engagement rate nor views"),
        (Figures(views=1000), "neither an engagement rate nor likes, comments and shares"),
        (Figures(views=0, likes=0), "0 views"),
        (Figures(views=0, rate=0.5), "0 views"),
        (Figures(10, 800, 0, 0), "800 reactions to 10 views"),
    ],
)
def test_what_was_not_measured_says_so(figures: Figures, why: str) -> None:
    found = engagement(figures)
    assert found.rate is None
    assert shortfall(figures).startswith("not measured: ")
    assert why in found.missing
    assert revenue(figures) is None
    assert conclude_post(Post("threads/p", figures=figures)) is None


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_share_is_never_worded_over_the_threshold(views: int, engaged: int) -> None:
    figures = Figures(views, engaged, 0, 0)
    if engaged > views:
        return
    text = per_cent(Fraction(engaged, views)).removesuffix(" %")
    assert reaches(figures) is (100 * engaged >= 6 * views)
    if text != "just below 6":
        assert (Fraction(text) >= 6) is reaches(figures)


@given(st.integers(0, 10**12), st.floats(0, 1), st.one_of(st.none(), st.integers(0, 10**12)))
def test_any_figures_conclude_without_an_error(views: int, rate: float, likes: int | None) -> None:
    for figures in (
        Figures(views, likes, rate=rate),
        Figures(views, likes, likes, likes),
        Figures(rate=rate),
    ):
        one = conclude_post(Post("threads/p", "hook", figures=figures, reached=Figures(rate=0.5)))
        assert one is not None
        assert one.is_counted is reaches(figures) is not bool(one.left_out_reason)
        assert 0 <= one.raw_impact <= 100
        estimate = revenue(figures)
        assert estimate is None or 0 <= estimate <= views


# --- the conclusion ----------------------------------------------------------------------------------


def concluded(figures: Figures, **more: Any) -> tuple[Conclusion, dict[str, Any]]:
    one = conclude_post(Post("threads/p1", "A hook", figures=figures, figures_at=NOW, **more))
    assert one is not None
    return one, json.loads(one.detail)


def test_revenue_is_an_estimate_with_its_formula_and_inputs() -> None:
    _, detail = concluded(Figures(10_000, 800, 150, rate=0.08))
    value = detail["value"]
    assert value["kind"] == "derived"
    assert value["text"] == "about $8.00 of revenue (estimate, not measured)"
    assert value["formula"] == "engaged views x $0.01, where engaged views = views x engagement rate"
    assert value["inputs"] == [
        ["views", "10,000"],
        ["engagement rate", "8 % (as the sender gives it)"],
        ["dollars per engaged view", "0.01 (assumed by the formula)"],
    ]
    assert concluded(Figures(rate=0.5))[1]["value"] is None  # no views, no estimate
    assert dollars(Fraction(1, 1000)) == "less than $0.01"
    assert dollars(Fraction(0)) == "$0.00"
    assert dollars(Fraction(1234567, 100)) == "$12,345.67"


def test_evidence_holds_every_figure_that_was_told_and_the_persona() -> None:
    one, detail = concluded(
        Figures(10_000, 800, 150, rate=0.08), persona="ai-jesus", url="https://threads.example/p/1"
    )
    shown = {row[1]: (row[3], row[5]) for row in detail["evidence"]}
    assert shown == {
        "threads/p1": ("", "https://threads.example/p/1"), "views": ("10000", ""), "likes": ("800", ""),
        "shares": ("150", ""), "engagement rate": ("8 %", ""), "persona ai-jesus": ("", ""),
    }  # fmt: skip
    assert "comments not told" in one.description
    assert "Published as the persona ai-jesus." in one.description
    assert one.credits == ()
    assert one.is_counted  # of the product, though nobody has the credit


def test_impact_grows_with_views_and_engagement_and_saturates() -> None:
    def impact(figures: Figures) -> float:
        return concluded(figures)[0].raw_impact

    assert impact(Figures(10_000, rate=0.06)) == pytest.approx(30 + 20)
    assert impact(Figures(1_000, rate=0.06)) < impact(Figures(10_000, rate=0.06))
    assert impact(Figures(10_000, rate=0.06)) < impact(Figures(10_000, rate=0.12))
    assert impact(Figures(10**12, rate=1.0)) <= 100
    parts = dict(part[:2] for part in concluded(Figures(rate=0.06))[1]["impact"])
    assert parts == {"reach": 0.0, "uptake": pytest.approx(20)}
    assert "not measured" in concluded(Figures(rate=0.06))[1]["complexity"][0][2]


def test_a_title_is_the_hook_else_the_text_else_the_key() -> None:
    assert title_of(Post("threads/1", "AI will\n revolutionize")) == "Viral Post: AI will revolutionize"
    assert title_of(Post("threads/1", "", "The text")) == "Viral Post: The text"
    assert title_of(Post("threads/1")) == "Viral Post: threads/1"
    assert len(title_of(Post("threads/1", "x" * 5000))) == len("Viral Post: ") + 80


def test_a_link_that_is_none_is_not_shown() -> None:
    _, detail = concluded(Figures(rate=0.5), url="javascript:alert(1)")
    assert all(row[5] == "" for row in detail["evidence"])


# --- taking in ---------------------------------------------------------------------------------------


def test_tracking_is_idempotent_and_later_figures_update(any_ledger: Ledger) -> None:
    first = track(any_ledger, views=1000, likes=80, shares=0, comments=0, measured=NOW - 5000)
    assert first.status == "created"
    again = track(any_ledger, NOW + 1, views=1000, likes=80, shares=0, comments=0, measured=NOW - 5000)
    assert (again.status, again.achievement_id) == ("unchanged", first.achievement_id)
    later = track(any_ledger, NOW + 2, views=2000, likes=180, shares=0, comments=0, measured=NOW - 1000)
    assert (later.status, later.achievement_id, later.rate) == ("updated", first.achievement_id, 0.09)
    late = track(any_ledger, NOW + 3, views=500, likes=70, shares=0, comments=0, measured=NOW - 9000)
    assert (late.status, late.rate) == ("unchanged", 0.09)
    assert json.loads(only(any_ledger).detail)["post"]["views"] == 2000


def test_figures_without_a_time_hold_from_when_they_come(any_ledger: Ledger) -> None:
    assert track(any_ledger, views=1000, likes=90).status == "created"
    assert track(any_ledger, views=1000, likes=80).status == "updated"  # within the same millisecond
    assert track(any_ledger, views=1000, likes=80).status == "unchanged"
    assert json.loads(only(any_ledger).detail)["post"]["likes"] == 80


def test_figures_of_two_moments_are_never_put_together(any_ledger: Ledger) -> None:
    track(any_ledger, views=1000, likes=80, shares=5, comments=5)
    done = track(any_ledger, NOW + 1, views=10_000, likes=700)
    assert done.rate == 0.07
    assert json.loads(only(any_ledger).detail)["post"]["shares"] is None


def test_below_the_threshold_nothing_is_made(any_ledger: Ledger) -> None:
    done = track(any_ledger, views=10_000, likes=599, shares=0, comments=0)
    assert done.status == "skipped"
    assert done.reason == (
        "Below viral threshold: 5.99 % engagement ((likes + comments + shares) / views), 6 % is needed"
    )
    assert rows(any_ledger) == []
    assert track(any_ledger, NOW + 1, views=10_000, likes=600, shares=0, comments=0).status == "created"


def test_a_post_that_falls_below_is_withdrawn_and_may_come_back(any_ledger: Ledger) -> None:
    made = track(any_ledger, views=1000, likes=70, shares=0, comments=0)
    fallen = track(any_ledger, NOW + 1, views=10_000, likes=100, shares=0, comments=0)
    assert (fallen.status, fallen.is_withdrawn, fallen.achievement_id) == (
        "skipped",
        True,
        made.achievement_id,
    )
    row = only(any_ledger)
    assert not row.is_counted
    assert "1 % engagement" in row.left_out_reason
    assert "it was 7 % on 2026-11-" in row.left_out_reason
    assert row.left_out_reason == fallen.reason
    back = track(any_ledger, NOW + 2, views=10_000, likes=1000, shares=0, comments=0)
    assert (back.status, only(any_ledger).is_counted) == ("updated", True)


def test_order_does_not_matter(any_ledger: Ledger) -> None:
    track(any_ledger, views=10_000, likes=100, shares=0, comments=0, measured=NOW - 1000)
    track(any_ledger, views=1000, likes=70, shares=0, comments=0, measured=NOW - 9000)
    assert not only(any_ledger).is_counted
    assert "it was 7 %" in only(any_ledger).left_out_reason


def test_no_views_are_no_measurement_and_take_nothing_away(any_ledger: Ledger) -> None:
    assert (
        track(any_ledger, views=0, likes=0, shares=0, comments=0).reason == "not measured: 0 views were told"
    )
    made = track(any_ledger, NOW + 1, views=1000, likes=70)
    assert track(any_ledger, NOW + 2, views=0, likes=0, rate=0.0).status == "unchanged"
    assert only(any_ledger).uid == made.achievement_id


def test_a_post_is_of_the_time_it_was_published_else_first_told(any_ledger: Ledger) -> None:
    track(any_ledger, views=1000, likes=70)
    track(any_ledger, NOW + 86_400_000, views=1000, likes=71)
    assert only(any_ledger).occurred == NOW // 1000
    track(any_ledger, NOW + 86_400_001, published=NOW - 86_400_000)
    assert only(any_ledger).occurred == NOW // 1000 - 86_400


def test_posts_without_an_id_are_known_by_persona_and_text(any_ledger: Ledger) -> None:
    def told(**more: Any) -> Tracked:
        return track(any_ledger, **{"post_id": "", "persona": "p", "views": 100, "likes": 10, **more})

    one, same, other = told(), told(likes=11), told(persona="q")
    assert one.achievement_id == same.achievement_id != other.achievement_id
    assert post_key(news(post_id="", hook="ab", body="")) != post_key(news(post_id="", hook="a", body="b"))


def test_a_post_without_a_name_is_refused_unless_it_is_skipped_anyway(any_ledger: Ledger) -> None:
    with pytest.raises(CollectorError, match="post_id, or a hook or body"):
        track(any_ledger, post_id="", hook="", rate=0.5)
    assert track(any_ledger, post_id="", hook="", rate=0.03).status == "skipped"


@pytest.mark.parametrize(
    "wrong", [{"published": NOW + 10**9}, {"measured": NOW + 10**9}, {"author": "just a name"}]
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(any_ledger: Ledger, wrong: dict[str, Any]) -> None:
    with pytest.raises(CollectorError):
        track(any_ledger, rate=0.5, **wrong)
    with any_ledger.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(entities)) == 0


def test_an_author_has_the_credit_and_a_persona_has_none(any_ledger: Ledger) -> None:
    from achievement_collector.services.people import known_people

    track(any_ledger, rate=0.5, persona="ai-jesus")
    assert known_people(any_ledger, None, bots=True) == []
    track(any_ledger, NOW + 1, rate=0.5, persona="ai-jesus", author="Ada Lovelace <ada@acme.example>")
    assert [one.name for one in known_people(any_ledger, None, bots=False)] == ["Ada Lovelace"]


def test_what_a_person_set_survives_later_figures(any_ledger: Ledger) -> None:
    made = track(any_ledger, views=1000, likes=70)
    with any_ledger.write() as connection:
        from achievement_collector.ledger.achievements import add_edit

        add_edit(connection, made.achievement_id, "title", "My own title", NOW // 1000)
    track(any_ledger, NOW + 1, views=1000, likes=75)
    assert only(any_ledger).title == "My own title"


def test_a_conclusion_made_again_from_the_facts_is_the_same(any_ledger: Ledger) -> None:
    track(any_ledger, views=1000, likes=70, author="Ada Lovelace <ada@acme.example>")
    track(any_ledger, post_id="p2", rate=0.01)
    with any_ledger.write() as connection:
        (one,) = conclude_posts(connection, ["threads/p1", "threads/p2", "threads/unknown"])
    row = only(any_ledger)
    assert (one.key, one.title, one.detail, one.raw_impact) == (
        row.key,
        row.title,
        row.detail,
        row.raw_impact,
    )
    assert one.credits


def test_hostile_texts_are_stored_without_what_they_do(any_ledger: Ledger) -> None:
    hook = plain_text("a\0b\x1b[31m\u202ec\ud800\r\nd", 100)
    assert hook == "ab[31mc\ufffd\nd"
    done = track(any_ledger, hook=hook, persona=plain_text("=cmd|' /C'!A0\0", 50), views=100, likes=10)
    assert done.title == "Viral Post: ab[31mc\ufffd d"


def test_many_posts_are_counted_by_what_came_of_them(any_ledger: Ledger) -> None:
    told = [news(post_id=f"p{number}", views=100, likes=number) for number in range(40)]
    done = track_posts(any_ledger, SETTINGS, [*told, PostNews()], NOW)
    assert (done.posts, done.created, done.skipped) == (41, 34, 7)
    again = track_posts(any_ledger, SETTINGS, told, NOW + 1)
    assert (again.created, again.updated, again.unchanged, again.skipped) == (0, 0, 34, 6)
    assert len(rows(any_ledger)) == 34


# --- over HTTP ---------------------------------------------------------------------------------------


def with_route(client: TestClient) -> TestClient:
    """The application with the route, whether or not it includes it by itself."""
    app: Any = client.app
    app.state.own.clock = lambda: NOW
    if "/threads/track" not in app.openapi()["paths"]:
        app.include_router(threads_api.router)
        app.openapi_schema = None
    return client


@pytest.fixture
def client(any_ledger: Ledger) -> Iterator[TestClient]:
    with serving(any_ledger) as opened:
        yield with_route(opened)


def test_the_documented_request_has_the_documented_answer(any_ledger: Ledger, client: TestClient) -> None:
    answer = client.post("/threads/track", json=DOCUMENTED)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["status"], told["achievement_id"]) == ("created", only(any_ledger).uid)
    assert answer.headers["location"] == f"/achievements/{told['achievement_id']}"
    assert told["title"] == "Viral Post: AI will revolutionize everything"
    assert told["engagement_rate"] == 0.08
    assert told["revenue_estimate"]["is_estimate"] is True
    assert told["revenue_estimate"]["text"].startswith("about $8.00")
    again = client.post("/threads/track", json=DOCUMENTED)
    assert (again.status_code, again.json()["status"]) == (200, "unchanged")
    more = client.post("/threads/track", json={**DOCUMENTED, "views": 20000})
    assert (more.status_code, more.json()["status"]) == (200, "updated")
    below = client.post("/threads/track", json={**DOCUMENTED, "engagement_rate": 0.0599, "hook": "Another"})
    assert below.status_code == 200
    assert below.json()["status"] == "skipped"
    assert below.json()["reason"].startswith("Below viral threshold: 5.99 %")
    assert len(rows(any_ledger)) == 1


def test_figures_may_stand_inside_metrics_and_bear_the_adaptors_names(client: TestClient) -> None:
    told = {
        "thread_id": 17912345, "content": "Text", "permalink": "https://threads.example/p/1", "author": None,
        "published_at": "2026-01-02T03:04:05", "unknown": {"x": 1},
        "engagement": {"likes": 70, "comments": 3, "shares": 2, "impressions": 1000, "engagement_rate": 0.075},
    }  # fmt: skip
    answer = client.post("/threads/track", json=told)
    assert answer.status_code == 201, answer.text
    assert answer.json()["engagement_rate"] == 0.075
    assert answer.json()["engagement_basis"] == "(likes + comments + shares) / views"
    named = client.post(
        "/threads/track", json={"post_id": "17912345", "metrics": {"views": 1000, "likes": 90}}
    )
    assert named.json()["status"] == "updated"


@pytest.mark.parametrize(
    "wrong",
    [
        {"engagement_rate": 8},
        {"engagement_rate": 1.0001},
        {"engagement_rate": -0.1},
        {"engagement_rate": "NaN"},
        {"engagement_rate": True},
        {"views": -1},
        {"views": True},
        {"views": 10**30},
        {"likes": "many"},
        {"likes": 1.5},
        {"metrics": {"comments": -1}},
        {"published_at": "yesterday"},
        {"hook": "x" * 2001},
        {"hook": ["x"]},
        {"post_id": "x" * 201},
    ],
)
def test_what_does_not_fit_is_422(any_ledger: Ledger, client: TestClient, wrong: dict[str, Any]) -> None:
    answer = client.post("/threads/track", json={**DOCUMENTED, **wrong})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert rows(any_ledger) == []


def test_bodies_that_are_no_post_are_problems(client: TestClient) -> None:
    for body in (b"", b"[]", b"null", b'"x"', b"{", b'{"views": NaN}'):
        answer = client.post("/threads/track", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (body, answer.text)
        assert answer.headers["content-type"] == PROBLEM
    nameless = client.post("/threads/track", json={"engagement_rate": 0.5})
    assert (nameless.status_code, nameless.headers["content-type"]) == (400, PROBLEM)
    assert "post_id" in nameless.json()["detail"]
    empty = client.post("/threads/track", json={})
    assert (empty.status_code, empty.json()["status"]) == (200, "skipped")


def test_tracking_needs_a_token_that_may_ingest(ledger: Ledger) -> None:
    with serving(ledger) as opened:
        client = with_route(opened)
        statuses = {}
        for scope in ("read", "write", "ingest"):
            token = create_token(ledger, scope, [scope], NOW)
            headers = {"Authorization": f"Bearer {token}"}
            statuses[scope] = client.post("/threads/track", json=DOCUMENTED, headers=headers).status_code
        assert statuses == {"read": 403, "write": 403, "ingest": 201}
        assert client.post("/threads/track", json=DOCUMENTED).status_code == 401


# --- asking the stack --------------------------------------------------------------------------------


@pytest.fixture
def stack() -> Iterator[FakeThreads]:
    with serving_threads() as fake:
        yield fake


def published(number: int, likes: int, impressions: int = 1000) -> dict[str, Any]:
    """A post as the adaptor lists it."""
    rate = likes / impressions if impressions else 0.0
    return {
        "thread_id": f"t{number}", "persona_id": "ai-jesus", "content": f"Post {number}",
        "published_at": "2026-01-02T03:04:05", "permalink": f"https://threads.example/p/{number}",
        "engagement": {"likes": likes, "comments": 0, "shares": 0, "impressions": impressions, "engagement_rate": rate},
    }  # fmt: skip


@pytest.mark.parametrize("old_routes", [False, True])
def test_polling_takes_in_what_the_adaptor_lists(
    any_ledger: Ledger, stack: FakeThreads, old_routes: bool
) -> None:
    stack.old_routes, stack.wrapped = old_routes, True
    stack.posts = [published(1, 80), published(2, 10), published(3, 0, 0)]
    if old_routes:
        stack.wrapped = False
    with ThreadsClient(stack.url) as client:
        done = poll_posts(any_ledger, SETTINGS, client, NOW)
        assert (done.posts, done.created, done.skipped) == (3, 1, 2)
        assert stack.asked[0] == ("/posts", {"hours": "24"})
        stack.posts[1]["engagement"]["likes"] = 90
        again = poll_posts(any_ledger, SETTINGS, client, NOW + 100 * 3_600_000)
        assert (again.created, again.unchanged, again.skipped) == (1, 1, 1)
        asked = [query["hours"] for path, query in stack.asked if path == "/posts"]
        assert asked == ["24", "101"]  # what a stop of four days left out
    assert only_titles(any_ledger) == {"Viral Post: Post 1", "Viral Post: Post 2"}


def only_titles(ledger: Ledger) -> set[str]:
    return {row.title for row in rows(ledger)}


def test_figures_that_the_adaptor_failed_to_fetch_take_nothing_away(
    any_ledger: Ledger, stack: FakeThreads
) -> None:
    stack.posts = [published(1, 80)]
    with ThreadsClient(stack.url) as client:
        poll_posts(any_ledger, SETTINGS, client, NOW)
        stack.posts = [published(1, 0, 0)]
        poll_posts(any_ledger, SETTINGS, client, NOW + 1000)
    assert only(any_ledger).is_counted


def test_metrics_are_read_as_prometheus_would(stack: FakeThreads) -> None:
    with ThreadsClient("", stack.url) as client:
        found = {(one.name, *sorted(one.labels.items())): one.value for one in client.metrics()}
    assert found == {
        ("posts_engagement_rate", ("persona_id", "ai-jesus")): 0.078, ("revenue_projection_monthly",): 22500.0,
        ("posts_generated_total",): 412.0, ("content_latency_seconds_sum",): 2.5, ("content_latency_seconds_count",): 4.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, b"trace with secrets"), "status 500"),
        ((302, b""), "status 302"),
        ((200, b"<html>"), "did not answer with JSON"),
        ((200, b"[" * 100_000), "did not answer with JSON"),
        ((200, b'{"posts": 5}'), "list of posts"),
        ((200, b" " * (LARGEST_ANSWER + 1)), "more than 8 MiB"),
    ],
)
def test_answers_that_cannot_be_used_are_clear_errors(
    stack: FakeThreads, answer: tuple[int, bytes], message: str
) -> None:
    stack.answers.append(answer)
    address = stack.url.replace("http://", "http://user:hunter2@")
    with ThreadsClient(address) as client:
        with pytest.raises(ThreadsError, match=message) as caught:
            client.posts()
        assert "hunter2" not in f"{caught.value} {client!r}"
        assert "secrets" not in str(caught.value)
    assert all(path != "/elsewhere" for path, _ in stack.asked)


def test_a_lost_connection_is_tried_once_more(stack: FakeThreads) -> None:
    stack.posts = [published(1, 80)]
    stack.answers.append(None)
    with ThreadsClient(stack.url) as client:
        assert [one.post_id for one in client.posts()] == ["t1"]
        stack.answers.extend([None, None])
        with pytest.raises(ThreadsError, match="gave no answer to /posts"):
            client.posts()


def test_metrics_in_another_format_are_an_error(stack: FakeThreads) -> None:
    stack.metrics = '{"not": "prometheus"}'
    with ThreadsClient("", stack.url) as client, pytest.raises(ThreadsError, match="text format"):
        client.metrics()


def test_what_is_not_set_is_not_asked() -> None:
    with ThreadsClient() as client:
        with pytest.raises(ConfigurationError, match="THREADS_ADAPTOR_URL is not set"):
            client.posts()
        with pytest.raises(ConfigurationError, match="ORCHESTRATOR_URL is not set"):
            client.metrics()


@pytest.mark.parametrize(
    "address", ["threads-adaptor:8000", "ftp://x", "http://", "http://x:99999", "http://x/?a=b"]
)
def test_addresses_that_cannot_be_used_are_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="THREADS_ADAPTOR_URL must be an address"):
        ThreadsClient(address)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inside: (
            st.lists(inside)
            | st.dictionaries(
                st.sampled_from(["post_id", "hook", "engagement", "views", "likes", "url", "x"]), inside
            )
        ),
        max_leaves=12,
    )
)
def test_anything_may_stand_in_a_list_of_posts(told: Any) -> None:
    one = post_news(told)
    assert len(one.post_id) <= 200
    assert all(value is None or 0 <= value <= 10**12 for value in one.figures.as_told().values())


# --- shown and exported ------------------------------------------------------------------------------


def test_a_post_is_shown_and_edited_like_every_achievement(any_ledger: Ledger, client: TestClient) -> None:
    made = client.post(
        "/threads/track", json={**DOCUMENTED, "author": "Ada Lovelace <ada@acme.example>"}
    ).json()
    uid = edit_achievement(any_ledger, made["achievement_id"], {"title": "Own"}, [], SETTINGS, NOW // 1000)
    shown = client.get(f"/achievements/{uid}").json()
    assert (shown["kind"], shown["title"], shown["edited"]) == ("content", "Own", ["title"])
    value = shown["business_value"]
    assert (value["kind"], value["text"]) == ("derived", "about $8.00 of revenue (estimate, not measured)")
    assert value["formula"].startswith("engaged views x $0.01")
    assert {one["reference"] for one in shown["evidence"]} >= {"views", "likes", "shares", "persona ai-jesus"}
    assert [one["name"] for one in shown["people"]] == ["Ada Lovelace"]
    assert client.get("/achievements").json()["matching"] == 1


def test_a_post_that_nobody_has_the_credit_for_counts(any_ledger: Ledger, client: TestClient) -> None:
    client.post("/threads/track", json=DOCUMENTED)
    (one,) = client.get("/achievements").json()["achievements"]
    assert (one["kind"], one["people"], one["is_counted"]) == ("content", [], True)
