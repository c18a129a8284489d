"""What CI measured before and after: nothing is said without a baseline, and noise is called noise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from achievement_collector.derive.achievements import measured_parts, measured_value
from achievement_collector.derive.ci_comparison import Measure, Reading, in_words, measures_of, over_time
from achievement_collector.derive.conclusions import ValueKind
from achievement_collector.facts.observations import Observation
from achievement_collector.facts.work import CiReport, PullRequest
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.ci_metrics import CiFile, Submission, ingest
from tests.outside_world import DAY, ROCKET, World, benchmark, day, merged, report

BASE, HEAD, OLD, MERGE = "b" * 40, "a" * 40, "0" * 40, "d" * 40


def told(kind: str, body: dict[str, Any], sha: str, at: int, branch: str = "main", pull: int | None = None,
         job: str = "") -> CiReport:  # fmt: skip
    return CiReport(f"{ROCKET}@{sha}/{kind}/{job}", ROCKET, sha, kind, job, body, at, branch, "main", pull)


def compared(kind: str, after: dict[str, Any], *before: CiReport, base_sha: str = BASE) -> list[Measure]:
    own = told(kind, after, HEAD, 100, "search", 7)
    return measured(own, *before, base_sha=base_sha)


def measured(*reports: CiReport, base_sha: str = BASE, before_merge: str = "") -> list[Measure]:
    """The measures of pull request 7."""
    pull = PullRequest(ROCKET, 7, base="main", base_sha=base_sha, head_sha=HEAD, merge_sha=MERGE, merged=150)
    return list(measures_of(pull, sorted(reports, key=lambda one: one.at), before_merge))


def words(kind: str, after: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    earlier = [told(kind, before, BASE, 50)] if before is not None else []
    return [in_words(one) for one in compared(kind, after, *earlier)]


# --- in words ----------------------------------------------------------------------------------------


def test_a_benchmark_that_got_faster() -> None:
    assert words("benchmarks", benchmark("search", 50), benchmark("search", 200)) == [
        "search: 200 ms → 50 ms, 75 % faster, n=20"
    ]


@pytest.mark.parametrize(
    ("after", "before", "text"),
    [
        ({"value": 250}, {"value": 200}, "search: 200 ms → 250 ms, 25 % slower, n=20"),
        ({"value": 199}, {"value": 200}, "search: 200 ms → 199 ms, 0.5 % faster, within the noise, n=20"),
        ({"value": 200}, {"value": 200}, "search: 200 ms → 200 ms, unchanged, n=20"),
        ({"value": 150, "spread": None}, {"value": 200}, "search: 200 ms → 150 ms, 25 % faster, spread not known, n=20"),
        ({"value": 150, "samples": None, "spread": None}, {"value": 200}, "search: 200 ms → 150 ms, 25 % faster, spread not known"),
        ({"value": 50, "samples": 5}, {"value": 200}, "search: 200 ms → 50 ms, 75 % faster, n=5 (before: 20)"),
        ({"value": 999.9}, {"value": 2000}, "search: 2 s → 1 s, 50 % faster, n=20"),
        ({"value": 179_900}, {"value": 360_000}, "search: 6 min 0 s → 3 min 0 s, 50 % faster, n=20"),
        ({"value": 0.0005}, {"value": 0.001}, "search: 1 µs → 500 ns, 50 % faster, within the noise, n=20"),
        ({"value": 0}, {"value": 50}, "search: 50 ms → 0 ms, 100 % faster, n=20"),
        ({"value": 50, "unit": "MB"}, {"value": 100, "unit": "MB"}, "search: 100 MB → 50 MB, 50 % lower, n=20"),
        ({"value": 12345.6, "unit": "ops/s", "higher_is_better": True}, {"value": 10000, "unit": "ops/s"},
         "search: 10,000 ops/s → 12,346 ops/s, 23 % higher, n=20"),
        ({"value": 7, "unit": "", "higher_is_better": None}, {"value": 5, "unit": ""}, "search: 5 → 7, 40 % higher, n=20"),
        ({"value": 50, "unit": "s"}, {"value": 50_000, "unit": "ms"}, "search: 50 s, n=20; the baseline is in another unit"),
    ],
)  # fmt: skip
def test_a_benchmark_in_words(after: dict[str, Any], before: dict[str, Any], text: str) -> None:
    now, then = (benchmark("search", **{"value": 1, **given}) for given in (after, before))
    assert words("benchmarks", now, then) == [text]


def test_without_a_baseline_it_is_said_that_there_is_none() -> None:
    assert words("benchmarks", benchmark("search", 50), None) == [
        "search: 50 ms, n=20; no report of main to compare with"
    ]
    assert words("benchmarks", benchmark("search", 50), benchmark("other", 9)) == [
        "search: 50 ms, n=20; not in the baseline"
    ]
    assert words("coverage", {"line_rate": 0.95}, None) == [
        "line coverage: 95.0 %; no report of main to compare with"
    ]
    (one,) = compared("coverage", {"line_rate": 0.95})
    assert (one.change, one.improves) == (None, None)


def test_coverage_before_and_after() -> None:
    after = {"line_rate": 0.95, "lines_valid": 1000, "branch_rate": 0.8, "branches_valid": 50}
    assert words("coverage", after, {"line_rate": 0.9, "branch_rate": None}) == [
        "branch coverage: 80.0 %; not in the baseline", "line coverage: 90.0 % → 95.0 %, +5.0 points",
    ][::-1]  # fmt: skip
    assert [one.samples for one in compared("coverage", after)] == [1000, 50]


def test_tests_added_and_failing() -> None:
    before = {"total": 370, "failed": 0, "errors": 0, "flaky": 0}
    assert words("tests", {"total": 412, "failed": 0, "errors": 0, "flaky": 0}, before) == [
        "tests: 370 → 412, +42"
    ]
    assert words("tests", {"total": 412, "failed": 1, "errors": 2, "flaky": 1}, before) == [
        "tests: 370 → 412, +42", "failed tests: 0 → 3", "flaky tests: 0 → 1",
    ]  # fmt: skip


def test_findings_fixed_and_new() -> None:
    def found(*prints: str) -> dict[str, Any]:
        return {"tool": "CodeQL", "findings": [{"fingerprint": one} for one in prints]}

    assert words("findings", found("a", "n"), found("a", "b", "c")) == [
        "findings of CodeQL: 3 → 2, 2 fixed, 1 new"
    ]
    assert words("findings", found(), found("a")) == ["findings of CodeQL: 1 → 0, 1 fixed, 0 new"]
    assert words("findings", found("a"), None) == ["findings of CodeQL: 1; no report of main to compare with"]
    (one,) = compared("findings", found("n"), told("findings", found("a"), BASE, 50))
    assert one.improves is False


def test_build_time() -> None:
    assert words("build_time", {"seconds": 190}, {"seconds": 250}) == [
        "build time: 4 min 10 s → 3 min 10 s, 24 % faster, one build each"
    ]
    assert words("build_time", {"seconds": 61.2}, None) == [
        "build time: 61.2 s; no report of main to compare with"
    ]


def test_the_job_is_named_where_it_has_a_name() -> None:
    own = told("coverage", {"line_rate": 0.5}, HEAD, 100, pull=7, job="unit")
    other = told("coverage", {"line_rate": 0.1}, BASE, 50, job="browser")
    assert [in_words(one) for one in measured(own, other)] == [
        "line coverage (unit): 50.0 %; no report of main to compare with"
    ]


# --- what counts as better ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "before", "improves"),
    [
        ({"value": 150}, {"value": 200}, True), ({"value": 250}, {"value": 200}, False), ({"value": 200}, {"value": 200}, None),
        ({"value": 199}, {"value": 200}, None),  # within the noise
        ({"value": 150, "spread": None}, {"value": 200, "spread": None}, True),
        ({"value": 196, "spread": None}, {"value": 200, "spread": None}, None),  # too little to say without the spread
        ({"value": 150, "samples": 1}, {"value": 200, "samples": 1}, True),
        ({"value": 150, "higher_is_better": None}, {"value": 200}, None),
        ({"value": 250, "higher_is_better": True, "unit": "ops/s"}, {"value": 200, "unit": "ops/s"}, True),
    ],
)  # fmt: skip
def test_better_is_only_what_is_clear(
    after: dict[str, Any], before: dict[str, Any], improves: bool | None
) -> None:
    now, then = (benchmark("search", **given) for given in (after, before))
    (one,) = compared("benchmarks", now, told("benchmarks", then, BASE, 50))
    assert one.improves is improves


def test_a_range_is_no_standard_deviation() -> None:
    for first, second in (("range", "standard deviation"), ("standard deviation", "range")):
        now, then = benchmark("search", 150), benchmark("search", 200)
        now["benchmarks"][0]["spread_kind"], then["benchmarks"][0]["spread_kind"] = first, second
        (one,) = compared("benchmarks", now, told("benchmarks", then, BASE, 50))
        assert one.is_clear is None


def test_noise_and_what_lacks_a_baseline_give_no_points_and_no_value() -> None:
    noise = compared(
        "benchmarks", benchmark("search", 199), told("benchmarks", benchmark("search", 200), BASE, 50)
    )
    alone = compared("benchmarks", benchmark("search", 50))
    for measures in (noise, alone):
        assert measured_parts(measures) == ()
        assert measured_value(measures).kind is ValueKind.NOT_MEASURED
    clear = compared(
        "benchmarks", benchmark("search", 50), told("benchmarks", benchmark("search", 200), BASE, 50)
    )
    assert measured_value(clear).text == "search: 200 ms → 50 ms, 75 % faster, n=20"
    assert [part.name for part in measured_parts(clear)] == ["measured"]


# --- which report is the baseline --------------------------------------------------------------------


def rate(value: float) -> dict[str, Any]:
    return {"line_rate": value}


def baseline(*before: CiReport, base_sha: str = BASE) -> float | None:
    (one,) = compared("coverage", rate(0.9), *before, base_sha=base_sha)
    return one.before


def test_only_the_commit_it_is_based_on_is_a_baseline() -> None:
    of_base, latest = told("coverage", rate(0.5), BASE, 40), told("coverage", rate(0.8), OLD, 90)
    assert baseline(of_base, latest) == 0.5
    assert baseline(latest) is None


@pytest.mark.parametrize(
    ("base_sha", "why"), [(BASE, "its base bbbbbbb was not measured"), ("", "its base is not known")]
)
def test_where_the_base_was_not_measured_the_nearest_report_is_told_and_nothing_claimed(
    base_sha: str, why: str
) -> None:
    before, later = told("tests", {"total": 10}, "1" * 40, 10), told("tests", {"total": 40}, OLD, 90)
    (one,) = compared("tests", {"total": 12}, before, later, base_sha=base_sha)
    assert in_words(one) == f"tests: 12; {why}, main had 40 at 0000000"
    assert (one.before, one.change, one.improves, one.baseline) == (None, None, None, "")
    (one,) = compared(
        "benchmarks", benchmark("search", 50), told("benchmarks", benchmark("search", 200), OLD, 90),
        base_sha=base_sha,
    )  # fmt: skip
    assert in_words(one) == f"search: 50 ms, n=20; {why}, main had 200 ms at 0000000"
    assert measured_parts([one]) == ()
    (one,) = compared(
        "findings", {"findings": []}, told("findings", {"findings": [{"fingerprint": "a"}]}, OLD, 90), base_sha=base_sha
    )  # fmt: skip
    assert in_words(one) == f"findings: 0; {why}, main had 1 at 0000000"


def test_the_commit_it_is_based_on_may_be_measured_later() -> None:
    """Its build may take longer than that of the change."""
    assert baseline(told("coverage", rate(0.5), BASE, 500)) == 0.5
    assert baseline(told("coverage", rate(0.5), OLD, 500)) is None  # of the branch after the change


def test_reports_of_other_changes_and_branches_are_no_baseline() -> None:
    assert baseline(told("coverage", rate(0.5), OLD, 40, "main", pull=3)) is None
    assert baseline(told("coverage", rate(0.5), OLD, 40, "release")) is None
    assert baseline(told("coverage", rate(0.5), HEAD, 40, "main")) is None  # the change itself
    assert baseline(told("tests", {"total": 5}, BASE, 40)) is None


def test_the_report_of_the_head_is_meant_whenever_it_arrives() -> None:
    base = told("coverage", rate(0.8), BASE, 10)
    early, head = (
        told("coverage", rate(0.7), "c" * 40, 60, "search", 7),
        told("coverage", rate(0.95), HEAD, 50, "search", 7),
    )
    assert [in_words(one) for one in measured(base, early, head)] == [
        "line coverage: 80.0 % → 95.0 %, +15.0 points"
    ]
    of_branch = told(
        "coverage", rate(0.95), HEAD, 50, "search"
    )  # handed in without the pull request's number
    assert [one.after for one in measured(base, early, of_branch)] == [0.95]


def test_of_an_earlier_commit_there_is_a_number_and_no_claim() -> None:
    base, early = (
        told("coverage", rate(0.8), BASE, 10),
        told("coverage", rate(0.7), "c" * 40, 60, "search", 7),
    )
    (one,) = measured(base, early)
    assert in_words(one) == "line coverage: 70.0 %; measured at ccccccc, which is not its head"
    assert one.improves is None
    of_merge = told("coverage", rate(0.9), MERGE, 200)
    assert [in_words(one) for one in measured(base, early, of_merge, before_merge=BASE)] == [
        "line coverage: 80.0 % → 90.0 %, +10.0 points"
    ]


def test_each_measure_is_of_the_head_by_itself() -> None:
    base, tests = told("coverage", rate(0.8), BASE, 10), told("tests", {"total": 12}, MERGE, 200)
    head = told("coverage", rate(0.9), HEAD, 60, "search", 7)
    before = told("tests", {"total": 11}, OLD, 20)
    words = [in_words(one) for one in measured(base, head, tests, before, before_merge=OLD)]
    assert words == ["line coverage: 80.0 % → 90.0 %, +10.0 points", "tests: 11 → 12, +1"]


def test_a_merge_is_compared_with_the_commit_it_came_onto() -> None:
    base, other = told("tests", {"total": 10}, BASE, 10), told("tests", {"total": 30}, OLD, 20)
    merge = told("tests", {"total": 31}, MERGE, 200)
    assert [in_words(one) for one in measured(base, other, merge, before_merge=OLD)] == ["tests: 30 → 31, +1"]
    assert [in_words(one) for one in measured(base, merge, before_merge=OLD)] == [
        "tests: 31; its base 0000000 was not measured, main had 10 at bbbbbbb"
    ]


# --- over several changes ----------------------------------------------------------------------------


def spanned(*chain: Reading, left_out: tuple[str, ...] = ()) -> str:
    found = over_time(chain, left_out)
    return in_words(found.measure) if found.measure else ""


def count(before: float | None, after: float) -> Measure:
    return Measure("tests", "tests", after, before, "tests", True)


ALL = frozenset("123")


def test_several_changes_add_up_from_the_first_baseline_to_the_base_branch_after_the_last_merge() -> None:
    assert spanned(
        Reading("1", count(10, 30), count(10, 30), holds_merged=ALL),
        Reading("2", count(10, 11), count(30, 31), holds_merged=ALL),
    ) == "tests: 10 → 31, +21"  # fmt: skip
    steps = [
        Measure("benchmark", "search", 200.0, 300.0, "ms", False, 20, 20, 2.0, 2.0, True, "1", "0"),
        Measure("benchmark", "search", 50.0, 210.0, "ms", False, 20, 20, 2.0, 2.0, True, "3", "2"),
    ]
    assert (
        spanned(*(Reading(str(n), None, one, holds_merged=ALL) for n, one in enumerate(steps, 1)))
        == "search: 300 ms → 50 ms, 83 % faster, n=20"
    )


def test_heads_are_joined_only_where_the_last_is_known_to_contain_the_others() -> None:
    first = Reading("1", count(10, 30))
    assert spanned(first, Reading("2", count(10, 11))) == ""
    assert spanned(first, Reading("2", count(30, 31), holds=ALL)) == "tests: 10 → 31, +21"
    assert spanned(first, Reading("2", count(10, 11)), left_out=("1",)) == "tests: 10 → 11, +1"
    assert spanned(first, Reading("2", None, count(30, 31))) == ""  # merged into another branch
    assert spanned(first) == "tests: 10 → 30, +20"


def test_a_change_whose_base_was_not_measured_is_named_as_not_compared() -> None:
    chain = [Reading("1", count(None, 30)), Reading("2", count(30, 31), holds=ALL)]
    found = over_time(chain)
    assert (found.since, found.measure) == ("2", count(30, 31))


@pytest.mark.parametrize("body", [{}, {"line_rate": None}, {"line_rate": "x"}, {"benchmarks": [{}]}, {"benchmarks": [{"value": True}]},
                                  {"total": None}, {"seconds": "5"}, {"findings": []}])  # fmt: skip
@pytest.mark.parametrize("kind", ["coverage", "benchmarks", "tests", "findings", "build_time", "unheard of"])
def test_no_body_of_a_report_does_harm(kind: str, body: dict[str, Any]) -> None:
    for one in compared(kind, body, told(kind, body, BASE, 50)):
        assert in_words(one)


# --- in the ledger -----------------------------------------------------------------------------------


def measures(world: World) -> list[str]:
    (one,) = world.achievements()
    return [e.label for e in one.evidence if e.kind == "measure"]


def test_a_baseline_that_arrives_later_changes_the_conclusion(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    own = report("benchmarks", benchmark("search", 50), day(1), sha=f"{7:040x}", pull=7, branch="part-7")
    world.tell(merged(7, day(2), base_sha=BASE), own)
    assert measures(world) == ["search: 50 ms, n=20; no report of main to compare with"]
    (before,) = world.achievements()
    assert before.value.kind is ValueKind.NOT_MEASURED
    world.tell(report("benchmarks", benchmark("search", 220), day(0), sha=OLD, branch="main"))
    assert measures(world) == [
        "search: 50 ms, n=20; its base bbbbbbb was not measured, main had 220 ms at 0000000"
    ]
    assert [one.value.kind for one in world.achievements()] == [ValueKind.NOT_MEASURED]
    world.tell(report("benchmarks", benchmark("search", 200), day(3), sha=BASE, branch="main"))
    assert measures(world) == ["search: 200 ms → 50 ms, 75 % faster, n=20"]
    (after,) = world.achievements()
    assert after.value.kind is ValueKind.MEASURED
    assert after.value.source == f"CI reports of {BASE[:12]} and {f'{7:040x}'[:12]}"
    assert after.impact.value > before.impact.value


def test_the_report_may_come_before_its_pull_request(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(report("coverage", rate(0.9), day(0), sha=BASE, branch="main"))
    world.tell(report("coverage", rate(0.95), day(1), sha=f"{7:040x}", pull=7, branch="part-7"))
    world.tell(merged(7, day(2), base_sha=BASE))
    assert measures(world) == ["line coverage: 90.0 % → 95.0 %, +5.0 points"]


def test_a_report_of_the_merge_itself_stands_in_where_there_is_no_other(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(
        report("coverage", rate(0.9), day(0), sha=BASE, branch="main"),
        report("coverage", rate(0.95), day(3), sha=f"{7 + 4096:040x}", branch="main"), merged(7, day(2), base_sha=BASE),
    )  # fmt: skip
    assert measures(world) == ["line coverage: 90.0 % → 95.0 %, +5.0 points"]


def test_a_branch_that_began_before_its_base_is_measured_by_its_merge(any_ledger: Ledger) -> None:
    """It was opened when main had 30 tests already; its own branch began when there were 10."""
    world = World(any_ledger)
    world.tell(
        merged(7, day(3), base_sha=BASE), report("tests", {"total": 30}, day(1), sha=BASE, branch="main"),
        report("tests", {"total": 11}, day(2), sha=f"{7:040x}", pull=7, branch="part-7"),
        report("tests", {"total": 31}, day(4), sha=f"{7 + 4096:040x}", branch="main"),
    )  # fmt: skip
    assert measures(world) == ["tests: 30 → 31, +1"]


def test_a_merge_has_no_credit_for_what_others_merged_while_it_was_open(any_ledger: Ledger) -> None:
    world = World(any_ledger)

    def of_main(total: int, at: int, sha: str) -> Observation:
        return report("tests", {"total": total}, at, sha=sha, branch="main")

    world.tell(
        merged(6, day(2), created=day(1), base_sha=BASE), merged(7, day(3), created=day(1), base_sha=BASE),
        merged(8, day(5), created=day(4), base_sha=f"{7 + 4096:040x}"), of_main(10, day(0), BASE),
        of_main(31, day(4), f"{7 + 4096:040x}"), of_main(30, day(4) + 1, f"{6 + 4096:040x}"),  # the slower build
        of_main(36, day(6), f"{8 + 4096:040x}"),
    )  # fmt: skip
    told = {
        one.pull_request: e.label for one in world.achievements() for e in one.evidence if e.kind == "measure"
    }
    assert told == {6: "tests: 10 → 30, +20", 7: "tests: 30 → 31, +1", 8: "tests: 31 → 36, +5"}


def test_handing_the_same_in_again_changes_nothing(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    body = json.dumps(
        {"benchmarks": [{"name": "search", "stats": {"mean": 0.05, "rounds": 20, "stddev": 0.001}}]}
    )

    def submission(sha: str, mean: str, **more: Any) -> Submission:
        content = body.replace("0.05,", f"{mean},").encode()
        return Submission("acme/rocket", sha, (CiFile("benchmark", "b.json", content),), 61.5, **more)

    world.tell(merged(7, day(2), base_sha=BASE))
    first = ingest(any_ledger, submission(BASE, "0.2", branch="main"), world.settings, day(0))
    own = submission(f"{7:040x}", "0.05", pull_request=7, branch="part-7")
    assert ingest(any_ledger, own, world.settings, day(1)).is_new
    world.conclude()
    before = world.achievements()
    assert "search: 200 ms → 50 ms, 75 % faster, n=20" in measures(world)
    again = ingest(any_ledger, own, world.settings, day(1) + DAY)
    assert (first.is_new, again.is_new) == (True, False)
    world.conclude()
    assert world.achievements() == before


@pytest.mark.parametrize(
    ("suite", "told", "compared_as"),
    [
        ('<testsuite><testcase name="a"/></testsuite>', "1 tests, 0 failed, 0 skipped", "tests: 2 → 1, -1"),
        (
            '<testsuite><testcase name="a"><flakyFailure/></testcase></testsuite>',
            "1 tests, 0 failed, 0 skipped, 1 flaky",
            "tests: 2 → 1, -1",
        ),
        (
            '<testsuite errors="1"><error message="no class"/></testsuite>',
            "1 tests, 1 failed, 0 skipped; 1 of them no test but a suite that broke itself",
            "tests: 2 → 1, -1",
        ),
        (
            '<testsuite tests="10" failures="3"><testcase name="a"/></testsuite>',
            "1 tests, 0 failed, 0 skipped; the report contradicts itself: its suites declare 10 tests, 3 failed, and results of"
            " fewer are in it",
            "tests: 1; its suites declare more results than are in it",
        ),
    ],
)
def test_what_a_report_of_tests_lacks_is_said(
    any_ledger: Ledger, suite: str, told: str, compared_as: str
) -> None:
    """Such reports read as if nothing had failed."""
    world = World(any_ledger)

    def hand_in(sha: str, text: str, **more: Any) -> dict[str, str]:
        one = Submission("acme/rocket", sha, (CiFile("junit", "junit.xml", text.encode()),), **more)
        return dict(ingest(any_ledger, one, world.settings, day(1)).taken)

    hand_in(BASE, '<testsuite><testcase name="a"/><testcase name="b"/></testsuite>', branch="main")
    assert hand_in(f"{7:040x}", suite, pull_request=7, branch="part-7") == {"tests": told}
    world.tell(merged(7, day(2), base_sha=BASE))
    assert compared_as in measures(world)


def test_handing_the_same_in_again_does_not_make_it_younger(any_ledger: Ledger) -> None:
    """Else what was merged meanwhile would be told as what there was before."""
    world = World(any_ledger)

    def hand_in(sha: str, seconds: float, at: int, **more: Any) -> None:
        ingest(any_ledger, Submission("acme/rocket", sha, (), seconds, **more), world.settings, at)

    world.tell(merged(7, day(2)))
    hand_in(OLD, 200, day(0), branch="main")
    hand_in(f"{7:040x}", 100, day(1), pull_request=7)
    hand_in(BASE, 100, day(3), branch="main")  # with the change in it
    hand_in(f"{7:040x}", 100, day(4), pull_request=7)
    world.conclude()
    assert measures(world) == ["build time: 100 s; its base is not known, main had 3 min 20 s at 0000000"]
