"""One comment at a pull request: what it tells, that nothing hostile gets through it, and that there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from sqlalchemy.engine import Connection
from typer.testing import CliRunner

from achievement_collector.cli import ci_comment
from achievement_collector.config import Settings
from achievement_collector.derive.pr_comments import (
    MOST_CHARACTERS,
    Counts,
    DefaultBranch,
    Failure,
    Flakiness,
    FlakyJob,
    Judgement,
    MilestoneOfPull,
    PrComment,
    Score,
    ScorePart,
    Standing,
    code,
    comment_text,
    fenced,
    flakiness_by_job,
    flakiness_by_tests,
    length,
    standing_of,
)
from achievement_collector.errors import CollectorError, ConfigurationError, NotFoundError
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.facts.work import Check, PullRequest
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.store import Ledger
from achievement_collector.publish.github_comments.client import CommentsClient
from achievement_collector.publish.github_comments.plan import (
    MARKER,
    Action,
    OwnComment,
    Run,
    comment_body,
    plan_comment,
    run_of,
    shown_text,
)
from achievement_collector.services.pr_comments import (
    Commented,
    Outcome,
    comment_content,
    comment_on,
    current_checks,
    red_checks,
)
from achievement_collector.sources.github.client import BudgetExhausted, GitHubAccessError, GitHubError
from tests.fakes.github_comments import ADA, BOT, MALLORY, TOKEN, FakeComments, Trouble, serving
from tests.outside_world import opened

_SHA, _NEXT = f"{12:040x}", "d" * 40
_PLACE = "127.0.0.1/acme/rocket"
_YOURS = Judgement(Standing.YOURS, "not in the last 20 runs of the default branch, and not known to be flaky")


def _content(**fields: Any) -> PrComment:
    return replace(PrComment(_SHA, (Counts("Check runs", 3, 1, 0, 0),)), **fields)


def _tokens(text: str) -> list[Token]:
    parser = MarkdownIt("commonmark").enable("table").enable("strikethrough")
    return [inner for token in parser.parse(text) for inner in (token, *(token.children or []))]


def _outside_of_code(text: str) -> str:
    """What GitHub looks for names and references in."""
    return "\n".join(
        one.content
        for one in _tokens(text)
        if one.type in ("text", "html_inline", "html_block", "text_special")
    )


# --- standing ----------------------------------------------------------------------------------------

_CLEAN = DefaultBranch(frozenset({"other"}), frozenset({"other"}), 20)


@pytest.mark.parametrize(
    ("cluster", "default", "flaky", "standing"),
    [
        ("c", _CLEAN, 0, Standing.YOURS),
        ("c", DefaultBranch(frozenset({"c"}), frozenset({"c"}), 20), 0, Standing.ALSO_RED),
        ("c", DefaultBranch(frozenset({"c"}), frozenset({"c"}), 20), 1, Standing.ALSO_RED),
        ("c", _CLEAN, 1, Standing.FLAKY),
        ("c", _CLEAN, 2, Standing.FLAKY),
        ("", None, 2, Standing.FLAKY),
        ("", None, None, Standing.UNKNOWN),
        ("c", DefaultBranch(frozenset(), frozenset({"c"}), 20), 0, Standing.UNKNOWN),
        ("c", _CLEAN, None, Standing.UNKNOWN),  # nobody looked whether it is flaky
        ("c", None, 0, Standing.UNKNOWN),
        ("c", DefaultBranch(frozenset(), frozenset(), 0), 0, Standing.UNKNOWN),
        ("", _CLEAN, 0, Standing.UNKNOWN),
        ("", DefaultBranch(frozenset({""}), frozenset({""}), 3), 0, Standing.UNKNOWN),
    ],
)
def test_a_failure_is_the_authors_only_where_both_sides_were_looked_at(
    cluster: str, default: DefaultBranch | None, flaky: int | None, standing: Standing
) -> None:
    found = standing_of(cluster, default, Flakiness(flaky))
    assert found.standing is standing
    assert found.why
    told = standing_of(cluster, default, Flakiness(flaky, "so it is"))
    assert told.standing is standing


_JOB = FlakyJob({"c": 1, "d": 2}, frozenset({"test"}), False)


@pytest.mark.parametrize(
    ("cluster", "category", "job", "level"),
    [
        ("c", "test", _JOB, 1),
        ("d", "test", _JOB, 2),
        ("e", "test", _JOB, None),  # perhaps another flaky test of the same suite
        ("e", "compilation", _JOB, 0),
        ("e", "compilation", _JOB._replace(has_untold=True), None),
        ("c", "test", _JOB._replace(has_untold=True), 1),
        ("", "unknown", _JOB, None),
        ("c", "test", None, 0),
    ],
)
def test_a_flaky_job_excuses_what_it_is_known_to_fail_with(
    cluster: str, category: str, job: FlakyJob | None, level: int | None
) -> None:
    found = flakiness_by_job(cluster, category, job)
    assert found.level == level
    assert bool(found.why) is (job is not None)


_LINE = "FAILED tests/test_clock.py::test_tick - assert 2 == 3"


@pytest.mark.parametrize(
    ("evidence", "failed", "level"),
    [
        ([_LINE], {"tests.clock::test_tick": 1}, 1),
        ([_LINE], {"tests.clock::test_tick::tests/test_clock.py": 1}, 1),
        ([_LINE], {"tests.clock::test_tick": 1, "tests.clock::test_tock": 2}, 2),
        ([_LINE], {"tests.clock::test_tick": 1, "tests.clock::test_tock": None}, None),
        ([_LINE], {"tests.clock::test_tick": 0}, None),
        ([_LINE], {"tests.clock::test_ti": 1}, None),  # another test
        ([_LINE], {"tests.clock::st": 1}, None),
        (["error: expected ';'"], {"tests.clock::test_tick": 1}, None),
        ([], {"tests.clock::test_tick": 1}, None),
        ([_LINE], {}, None),
    ],
)
def test_flaky_tests_excuse_a_job_where_nothing_else_failed(
    evidence: list[str], failed: dict[str, int | None], level: int | None
) -> None:
    found = flakiness_by_tests(evidence, failed)
    assert (found.level if found else None) == level


# --- what it tells -----------------------------------------------------------------------------------


def test_it_tells_all_that_is_known() -> None:
    text = comment_text(
        _content(
            milestone=MilestoneOfPull("Stage 7.3", "the branch feature/stage-7-3"),
            score=Score(
                55, 85,
                (
                    ScorePart("pass rate", 25, 25, "earned", "86.4 %, 127/147 runs"),
                    ScorePart("auto-fix", 0, 15, "unknown", "not measured: no fix attempt has an outcome"),
                ),
            ),
            failures=(
                Failure("test (3.13)", "Run pytest", "test", ("E   assert 1 == 2",), 0, None, _YOURS, "https://ci.example/1"),
                Failure("lint", times=4, since=1_750_000_000_000, judgement=Judgement(Standing.ALSO_RED, "so it is")),
            ),
            links=(("tests", "https://github.com/acme/rocket/actions/runs/1"),),
        )
    )  # fmt: skip
    for told in (
        "- Check runs: 3 passed, 1 failed\n",
        "- Milestone: `Stage 7.3` (told by `the branch feature/stage-7-3`)",
        "score (documented formula): 55/100, measurable now: 55 of 85",
        "  - `auto-fix` 0/15 unknown: `not measured: no fix attempt has an outcome`",
        "**2 failures**: 1 yours, 1 also red on the default branch",
        "#### [`test (3.13) / Run pytest`](<https://ci.example/1>)",
        f"- yours: {_YOURS.why}",
        "- category: `test`",
        "- this failure is new",
        "```text\nE   assert 1 == 2\n```",
        "#### `lint`",
        "- category: unknown",
        "- seen 4 times before since 2025-06-15",
        "[`tests`](<https://github.com/acme/rocket/actions/runs/1>)",
        f"Generated for `{_SHA[:12]}`.",
    ):
        assert told in text
    assert "Left out" not in text


def test_what_is_not_known_is_said_so_and_nothing_is_assumed() -> None:
    text = comment_text(PrComment(_SHA))
    assert "No check of this commit is known." in text
    assert "Milestone: none is named." in text
    assert "CI readiness score: unknown." in text
    assert not re.search(r"\d+ ?%|passed|/100", text)
    unmeasured = comment_text(_content(score=Score(None, 0, ())))
    assert "score (documented formula): unknown, nothing was measured" in unmeasured
    assert "Why it failed is not known." in unmeasured
    assert "seen" not in comment_text(_content(failures=(Failure("a"),)))


_HOSTILE = [
    "@ada and @acme/core", "fixes #1, closes acme/rocket#2, GH-3", "https://github.com/acme/rocket/issues/1",
    "<img src=x onerror=alert(1)>", "<!-- achievement-collector:run 999.1 -->", "</details>", "`@ada`", "``` \n@ada\n```",
    "a\n\n# heading @ada", "a\r@ada", "[x](javascript:alert(1))", "![x](https://evil.example/p.png)", "a | b | @ada",
    "\u202e@ada\u2066", "\x1b[31m@ada\x1b[0m", "\x1b]8;;https://evil.example\x07@ada", "ada@example.com", "~~@ada~~", "$`x`$",
    "\\`@ada`", "`" * 50, "a`", "`a", " ` ", MARKER, "\u2028@ada", "0123456789abcdef0123456789abcdef01234567", "@ada" * 2000,
]  # fmt: skip


def _everywhere(text: str) -> PrComment:
    part = ScorePart(text, 0, 15, "unknown", text)
    failure = Failure(
        text, text, text, (text, text), 1, 0, Judgement(Standing.UNKNOWN, "w"), f"https://ci.example/{text}"
    )
    return PrComment(
        _SHA, (), (failure, replace_url(failure, text)), MilestoneOfPull(text, text), Score(1, 2, (part,)),
        ((text, f"https://ci.example/?{text}"), (text, text)),
    )  # fmt: skip


def replace_url(failure: Failure, url: str) -> Failure:
    return failure._replace(url=url)


def _is_harmless(text: str) -> None:
    tokens = _tokens(text)
    assert not [
        one for one in tokens if one.type in ("html_inline", "html_block", "image", "code_block", "hr")
    ]
    assert len([one for one in tokens if one.type == "heading_open"]) == 3
    assert len([one for one in tokens if one.type == "fence"]) == 2
    left = _outside_of_code(text)
    assert not re.search(r"[@<>`|~]|#\d|GH-|https?:|www\.|fixes|closes", left), left
    for one in tokens:
        if one.type == "link_open":
            assert re.fullmatch(r"https://ci\.example/[!-~]*", str(one.attrs["href"]))
    assert all(one.isprintable() or one == "\n" for one in text)


@pytest.mark.parametrize("hostile", _HOSTILE)
def test_text_from_outside_stays_text(hostile: str) -> None:
    _is_harmless(comment_text(_everywhere(hostile)))


@tried(max_examples=300, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from("`~@#<>[]()!|\\ \n\r\t-*_=x1\x1b\u202e\U0001f4a5\u00a0$:&;"), max_size=60
    )
)
def test_no_text_leaves_its_code(hostile: str) -> None:
    _is_harmless(comment_text(_everywhere(hostile)))
    (fence,) = [one for one in _tokens(fenced([hostile, "b"])) if one.type == "fence"]
    assert fence.content.endswith("\nb\n")
    assert fence.content.count("\n") == 2
    (span,) = [one for one in _tokens(f"- {code(hostile)}.") if one.type == "code_inline"] or [None]
    assert span is None or span.content.strip() == " ".join(span.content.split())
    assert code(hostile) == "(no name)" or span is not None


def test_an_address_that_github_takes_for_a_reference_is_no_link() -> None:
    for address in (
        "https://github.com/acme/other/issues/1", "https://github.com/acme/other/pull/1#x", "javascript:alert(1)", "ftp://a/b",
        "//evil.example", "https://[", "https:///x", f"https://github.com/acme/other/commit/{_SHA}",
    ):  # fmt: skip
        assert "](" not in comment_text(
            _content(failures=(Failure("job", url=address),), links=(("x", address),))
        )
    assert "](<https://ci.example/a%20b%3E%29>)" in comment_text(
        _content(links=(("x", "https://ci.example/a b>)"),))
    )


@pytest.mark.parametrize("filler", ["x", "\U0001f4a5", "`", "é"])
def test_it_is_never_longer_than_github_allows_and_says_what_was_left_out(filler: str) -> None:
    evidence = (filler * 400,) * 15
    failures = tuple(Failure(f"job {n} {filler * 200}", "step", "test", evidence, 0) for n in range(400))
    content = _content(failures=failures, links=((filler * 300, "https://ci.example/" + "x" * 3000),) * 30)
    body = comment_body(content, Run(10**17, 999))
    assert length(body) <= MOST_CHARACTERS
    assert length(body) > MOST_CHARACTERS * 0.6
    assert re.search(
        r"Left out, because a comment has at most 65,\d{3} characters: .*further failures?\.", body
    )
    assert f"**{len(failures)} failures**" in body
    assert "5 further lines of evidence left out." in body
    fences = [one for one in _tokens(body) if one.type == "fence"]
    assert all(one.content.count("\n") == 10 for one in fences)
    assert run_of(body) == Run(10**17, 999)
    assert shown_text(body).endswith(f"Generated for `{_SHA[:12]}`.")


def test_evidence_goes_before_failures_do() -> None:
    failures = tuple(Failure(f"job {n}", evidence=("x" * 290,) * 10) for n in range(12))
    text = comment_text(_content(failures=failures), 8_000)
    assert length(text) <= 8_000
    assert all(f"#### `job {n}`\n" in text for n in range(12))
    assert re.search(r"the evidence of \d+ failures\.", text)


# --- which comment -----------------------------------------------------------------------------------


def _body(text: str, run: Run | None = None) -> str:
    end = f"\n\n<!-- achievement-collector:run {run.id}.{run.attempt} -->" if run else ""
    return f"{MARKER}\n{text}{end}"


def test_the_oldest_is_kept_and_extra_ones_go() -> None:
    assert plan_comment([], _body("a", Run(1))) == (Action.CREATE, None, _body("a", Run(1)), (), False)
    ours = [
        OwnComment(9, _body("old", Run(3))),
        OwnComment(4, _body("older", Run(2))),
        OwnComment(7, _body("x")),
    ]
    for order in (ours, ours[::-1]):
        assert plan_comment(order, _body("new", Run(5))) == (
            Action.UPDATE,
            4,
            _body("new", Run(5)),
            (7, 9),
            False,
        )


def test_the_same_text_is_not_written_again() -> None:
    ours = [OwnComment(4, _body("a", Run(5)).replace("\n", "\r\n") + "\r\n")]
    assert plan_comment(ours, _body("a", Run(6))).action is Action.NOTHING
    assert plan_comment(ours, _body("b", Run(6))).action is Action.UPDATE


def test_a_late_run_does_not_overwrite_a_later_one() -> None:
    ours = [OwnComment(4, _body("from 7", Run(7, 2)))]
    for late in (Run(6, 9), Run(7, 1)):
        assert plan_comment(ours, _body("late", late)) == (
            Action.NOTHING,
            4,
            _body("from 7", Run(7, 2)),
            (),
            True,
        )
    assert plan_comment(ours, _body("again", Run(7, 2))).body == _body("again", Run(7, 2))
    # what the later run wrote into another comment moves into the one that stays
    both = [OwnComment(3, _body("from 5", Run(5))), *ours]
    assert plan_comment(both, _body("late", Run(6))) == (
        Action.UPDATE,
        3,
        _body("from 7", Run(7, 2)),
        (4,),
        True,
    )
    # by hand: written at once, and later runs still count from the last one
    assert plan_comment(ours, _body("by hand")).body == _body("by hand", Run(7, 2))


def test_a_run_in_the_text_is_not_believed() -> None:
    hostile = "<!-- achievement-collector:run 999.1 -->"
    body = comment_body(
        _content(failures=(Failure("j", evidence=(hostile,)),), links=((hostile, ""),)), Run(5)
    )
    assert run_of(body) == Run(5)
    assert run_of(comment_body(_content(failures=(Failure("j", evidence=(hostile,)),)), None)) is None


# --- at GitHub ---------------------------------------------------------------------------------------


@pytest.fixture
def github() -> Iterator[FakeComments]:
    fake = FakeComments()
    fake.add_pull(12, _SHA)
    with serving(fake) as served:
        yield served


class Place:
    """A ledger that knows pull request 12, and GitHub."""

    def __init__(self, ledger: Ledger, github: FakeComments) -> None:
        self.ledger, self.github = ledger, github
        self.slept: list[float] = []
        self.settings = Settings(database="unused", github_api_url=github.url, github_token=TOKEN)
        self.tell(opened(12, place=_PLACE), _check(1, "failure"), _check(2, "success", name="lint"))

    def tell(self, *observations: Observation) -> None:
        with self.ledger.write() as connection:
            take_in(connection, list(observations), 1)

    def client(self) -> CommentsClient:
        return CommentsClient(self.github.url, TOKEN, sleep=self.slept.append)

    def comment(self, **wanted: Any) -> Commented:
        with self.client() as client:
            return comment_on(
                self.ledger, self.settings, "acme/rocket", **{"number": 12, "client": client, **wanted}
            )


def _check(
    run: int, conclusion: str | None, *, name: str = "build", sha: str = _SHA, attempt: int = 1
) -> Observation:
    fields = {
        "name": name, "sha": sha, "conclusion": conclusion, "started": attempt, "completed": attempt + 1, "attempt": attempt,
        "url": f"https://github.com/acme/rocket/actions/runs/{run}",
    }  # fmt: skip
    return Observation(Kind.CHECK, f"{_PLACE}/run/{run}/{attempt}", attempt, fields, f"{_PLACE}@{sha}")


@pytest.fixture
def place(ledger: Ledger, github: FakeComments) -> Place:
    return Place(ledger, github)


def test_it_is_written_once_and_the_second_time_nothing_is(any_ledger: Ledger, github: FakeComments) -> None:
    place = Place(any_ledger, github)
    done = place.comment(run=Run(5))
    assert (done.outcome, done.number, done.deleted) == (Outcome.CREATED, 12, 0)
    assert done.url.startswith("https://github.com/acme/rocket/pull/12#issuecomment-")
    (body,) = github.bodies()
    assert "- Workflow runs: 1 passed, 1 failed" in body
    assert "#### [`build`](<https://github.com/acme/rocket/actions/runs/1>)\n\n- unknown: " in body
    assert github.writes == [("POST", "/repos/acme/rocket/issues/12/comments")]
    for again in (Run(5), Run(6), None):
        assert place.comment(run=again).outcome is Outcome.UNCHANGED
    assert len(github.writes) == 1
    place.tell(_check(1, "success", attempt=2))
    assert place.comment(run=Run(7)).outcome is Outcome.UPDATED
    assert "2 passed, 0 failed" in github.bodies()[0]
    assert [method for method, _ in github.writes] == ["POST", "PATCH"]


def test_only_comments_of_our_own_author_are_touched(place: Place) -> None:
    github = place.github
    theirs = _body("theirs", Run(999_999))
    github.add_comment(12, MALLORY, theirs)
    github.add_comment(12, ADA, f"look:\n{MARKER}")
    github.add_comment(12, BOT, f"another action\n{MARKER}")
    assert place.comment(run=Run(5)).outcome is Outcome.CREATED
    github.viewer = ADA  # a user's own token asks at /user
    assert place.comment(run=Run(5)).outcome is Outcome.CREATED
    assert github.bodies(MALLORY) == [theirs]
    assert len(github.bodies(ADA)) == len(github.bodies(BOT)) == 2
    assert place.comment(run=Run(6), author_id=BOT).outcome is Outcome.UNCHANGED


def test_ours_is_found_on_any_page_and_duplicates_are_healed(place: Place) -> None:
    github = place.github
    for _ in range(130):
        github.add_comment(12, ADA, "chat")
    first = github.add_comment(12, BOT, _body("one", Run(1)))
    for _ in range(130):
        github.add_comment(12, ADA, "chat")
    extra = [github.add_comment(12, BOT, _body(text, Run(n))) for n, text in ((2, "two"), (3, "three"))]
    done = place.comment(run=Run(9))
    assert (done.outcome, done.deleted) == (Outcome.UPDATED, 2)
    assert first in github.comments
    assert not set(extra) & set(github.comments)
    assert len(github.comments) == 261
    assert run_of(github.comments[first]["body"]) == Run(9)


def test_of_two_runs_at_once_one_comment_is_left_with_the_later_text(place: Place) -> None:
    github = place.github
    other = _body("from the later run", Run(8))

    def race(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/comments"):
            github.before = lambda _method, _path: None
            github.add_comment(12, BOT, other)

    github.before = race
    done = place.comment(run=Run(7))
    assert github.bodies() == [other]
    assert done.deleted == 1
    assert place.comment(run=Run(9)).outcome is Outcome.UPDATED
    assert run_of(github.bodies()[0]) == Run(9)


def test_a_late_run_leaves_the_comment_alone(place: Place) -> None:
    place.github.add_comment(12, BOT, _body("from 8", Run(8)))
    done = place.comment(run=Run(7))
    assert (done.outcome, done.text) == (Outcome.SUPERSEDED, "from 8")
    assert not place.github.writes


def test_lists_that_are_late_make_no_second_comment(place: Place) -> None:
    place.github.lag = 1
    assert place.comment(run=Run(5)).outcome is Outcome.CREATED
    assert len(place.github.bodies()) == 1


def test_a_comment_that_got_no_answer_is_looked_for_before_it_is_sent_again(place: Place) -> None:
    place.github.troubles.append(Trouble(hangs_up=True, after=True))
    place.comment(run=Run(5))
    assert len(place.github.bodies()) == 1
    place.github.comments.clear()
    place.github.troubles.append(Trouble(hangs_up=True))
    place.comment(run=Run(6))
    assert len(place.github.bodies()) == 1
    place.github.comments.clear()
    place.github.troubles.extend([Trouble(hangs_up=True), Trouble(hangs_up=True)])
    with pytest.raises(GitHubError, match="gave no answer"):
        place.comment(run=Run(7))


def test_a_comment_that_vanishes_meanwhile_is_written_anew(place: Place) -> None:
    key = place.github.add_comment(12, BOT, _body("old", Run(1)))

    def vanish(method: str, _path: str) -> None:
        if method == "PATCH":
            place.github.comments.pop(key, None)

    place.github.before = vanish
    assert place.comment(run=Run(5)).outcome is Outcome.CREATED
    assert len(place.github.bodies()) == 1


def test_nothing_is_said_of_a_commit_that_is_no_longer_the_head(place: Place) -> None:
    done = place.comment(sha=_NEXT)
    assert done.outcome is Outcome.OUTDATED
    assert _SHA[:12] in done.told
    place.github.pulls[12]["state"] = "closed"
    assert place.comment().outcome is Outcome.CLOSED
    assert not place.github.writes


def test_the_head_that_github_shows_is_told_of(place: Place) -> None:
    place.github.pulls[12]["head"]["sha"] = _NEXT
    place.tell(_check(3, "success", sha=_NEXT))
    place.comment(sha=_NEXT)
    (body,) = place.github.bodies()
    assert "1 passed, 0 failed" in body
    assert f"Generated for `{_NEXT[:12]}`." in body


def test_a_pull_request_of_a_fork_is_found_by_its_head(place: Place) -> None:
    place.github.add_pull(13, _NEXT, "topic", owner="mallory")
    place.github.add_pull(14, _NEXT, "topic", owner="acme", state="closed")
    place.tell(opened(13, place=_PLACE, head_sha=_NEXT))
    found = place.comment(number=None, sha=_NEXT, head="mallory:topic")
    assert (found.outcome, found.number) == (Outcome.CREATED, 13)
    for head, sha in (("mallory:topic", _SHA), ("acme:topic", _NEXT), ("eve:topic", _NEXT)):
        assert place.comment(number=None, sha=sha, head=head).outcome is Outcome.NO_PULL
    with pytest.raises(ConfigurationError, match="OWNER:BRANCH"):
        place.comment(number=None, sha=_SHA, head="topic")
    with pytest.raises(ConfigurationError, match="--pr"):
        place.comment(number=None, sha=_SHA)


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (403, "Resource not accessible by integration", "pull-requests: write"),
        (403, f"Unable to create comment because issue is locked {TOKEN}", "issue is locked [token]"),
        (404, "Not Found", "it is gone, or the token may not see it"),
        (410, "This issue was deleted", "it is gone"),
    ],
)
def test_a_token_that_may_not_write_is_told_what_it_needs(
    place: Place, status: int, message: str, said: str
) -> None:
    place.github.troubles.append(Trouble(status, message))
    with pytest.raises(GitHubAccessError, match=re.escape(said)) as raised:
        place.comment()
    assert TOKEN not in str(raised.value)
    assert len(place.github.writes) == 1
    with pytest.raises(GitHubAccessError, match="GitHub shows no"):
        place.comment(number=99)
    place.github.troubles.append(Trouble(502))
    with pytest.raises(GitHubError, match="trouble of its own"):
        place.comment()
    assert TOKEN not in repr(place.client())


def test_limits_are_waited_for_and_long_ones_are_told(place: Place) -> None:
    place.github.troubles.extend(
        [Trouble(403, "secondary rate limit", {"Retry-After": "7"}), Trouble(429, "slow", {})]
    )
    assert place.comment().outcome is Outcome.CREATED
    assert place.slept == [7.0, 120.0]
    place.github.comments.clear()
    place.github.troubles.append(Trouble(429, "slow", {"Retry-After": "4000"}))
    with pytest.raises(BudgetExhausted):
        place.comment()


def test_a_dry_run_writes_nothing_and_shows_what_would_be(place: Place) -> None:
    done = place.comment(dry_run=True)
    assert (done.outcome, done.told) == (
        Outcome.PLANNED, "acme/rocket#12: a comment would be written (nothing was written)",
    )  # fmt: skip
    assert not place.github.writes
    written = place.comment()
    assert written.text == done.text
    assert "says this already" in place.comment(dry_run=True).told
    # without a token GitHub is not asked
    asked = len(place.github.asked)
    offline = replace(place.settings, github_token=None)
    assert comment_on(place.ledger, offline, "acme/rocket", number=12, dry_run=True).text == done.text
    assert len(place.github.asked) == asked
    with pytest.raises(ConfigurationError, match="GITHUB_TOKEN"):
        comment_on(place.ledger, offline, "acme/rocket", number=12)


def test_what_the_ledger_does_not_know_is_no_comment(place: Place) -> None:
    place.github.add_pull(77, _SHA)
    with pytest.raises(NotFoundError, match="sync github acme/rocket"):
        place.comment(number=77)
    with pytest.raises(ConfigurationError, match="is no repository"):
        comment_on(place.ledger, place.settings, "../../user", number=12)
    assert not place.github.writes


def test_endless_change_by_others_is_given_up(place: Place) -> None:
    def meddle(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/comments"):
            place.github.comments.clear()
            place.github.add_comment(12, BOT, _body(f"other {len(place.github.asked)}", Run(1)))

    place.github.before = meddle
    with pytest.raises(CollectorError, match="something else at the same time"):
        place.comment(run=Run(5))


# --- content -----------------------------------------------------------------------------------------


def _known(key: str, conclusion: str, name: str = "build", started: int = 1, attempt: int = 1) -> Check:
    return Check(f"{_PLACE}/{key}", name, _SHA, conclusion, started, started + 5, "", attempt)


def test_the_checks_that_hold_are_counted() -> None:
    checks = [
        _known("run/1/1", "failure"), _known("run/1/2", "success", attempt=2), _known("run/2/1", "failure"),
        _known("suite/9", "failure"),
        _known("check/1", "failure", "unit"), _known("check/2", "success", "unit", started=10),  # tried again
        _known("check/3", "failure", "lint"), _known("check/4", "success", "lint", started=2),  # of another workflow
        _known("status/abc/ci/circle", "error", "ci/circle"), _known("run/3/1", "startup_failure", "deploy"),
    ]  # fmt: skip
    current = current_checks(checks)
    assert {one.key.removeprefix(f"{_PLACE}/") for one in current} == {
        "run/1/2", "run/2/1", "check/2", "check/3", "check/4", "status/abc/ci/circle", "run/3/1",
    }  # fmt: skip
    assert current_checks(checks[::-1]) == [*sorted(current, key=current_checks(checks[::-1]).index)]
    assert [one.job for one in red_checks(current)] == ["ci/circle", "deploy", "lint"]
    assert [one.job for one in red_checks(current_checks(checks[:3]))] == ["build"]
    assert not red_checks(
        [_known("run/1/1", one) for one in ("cancelled", "skipped", "neutral", "no such word", "")]
    )


def test_each_part_may_come_from_elsewhere(any_ledger: Ledger) -> None:
    pull = PullRequest(_PLACE, 12, head_sha=_SHA, branch="feature/stage-7-3")
    seen: list[tuple[str, ...]] = []

    def failures(_connection: Connection, one: PullRequest, checks: Any) -> tuple[Failure, ...]:
        seen.append((one.key, *(check.name for check in checks)))
        return (Failure("job", judgement=_YOURS),)

    with any_ledger.write() as connection:
        take_in(connection, [_check(1, "failure"), _check(2, None, name="slow")], 1)
    with any_ledger.read() as connection:
        plain = comment_content(connection, _PLACE, pull)
        full = comment_content(
            connection, _PLACE, pull, failures=failures, score=lambda _connection, _pull: Score(5, 9, ()),
            milestone=lambda _connection, _pull: MilestoneOfPull("M", "flag"),
        )  # fmt: skip
    assert plain.milestone == MilestoneOfPull("Stage 7.3", "the branch feature/stage-7-3")
    assert plain.counts == (Counts("Workflow runs", 0, 1, 1, 0),)
    assert (plain.score, plain.failures[0].judgement.standing) == (None, Standing.UNKNOWN)
    assert (full.failures, full.score, full.milestone) == (
        (Failure("job", judgement=_YOURS),), Score(5, 9, ()), MilestoneOfPull("M", "flag"),
    )  # fmt: skip
    assert sorted(seen[0]) == sorted((pull.key, "build", "slow"))


@pytest.mark.parametrize("branch", ["main", "hotfix/login", "backstage-100"])
def test_no_milestone_is_assumed(ledger: Ledger, branch: str) -> None:
    with ledger.read() as connection:
        assert comment_content(connection, _PLACE, PullRequest(_PLACE, 1, branch=branch)).milestone is None


# --- the command -------------------------------------------------------------------------------------


def test_the_command(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    ci_comment.add_to(app)
    app.command("other")(lambda: None)
    for name, value in {
        "DATABASE_URL": str(place.ledger.engine.url.database), "GITHUB_API_URL": place.github.url, "GITHUB_TOKEN": TOKEN,
        "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "2",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    run = CliRunner().invoke
    shown = run(app, ["comment", "--pr", "12", "--repo", "acme/rocket", "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "### CI of " in shown.stdout
    assert "would be written" in shown.stderr
    assert not place.github.writes
    done = run(app, ["comment", "--sha", _SHA.upper(), "--head", "acme:topic", "--repo", "acme/rocket"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("acme/rocket#12: comment written (https://github.com/")
    assert run_of(place.github.bodies()[0]) == Run(77, 2)
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert "says this already" in run(app, ["comment", "--pr", "12", "--repo", "acme/rocket"]).stdout
    assert isinstance(run(app, ["comment", "--pr", "12"]).exception, ConfigurationError)
