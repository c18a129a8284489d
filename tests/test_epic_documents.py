"""Epics as documents for seven readers, re-read by other tools: an HTML parser, a JSON parser, pdftotext."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.derive.ci_comparison import Measure
from achievement_collector.derive.epics import EpicFacts, PullInEpic, Rolled, build_epic, content_hash
from achievement_collector.errors import ConfigurationError, ExportRefusedError
from achievement_collector.facts.work import Attachment, Check, EpicSource, Issue, PullRequest, Review
from achievement_collector.present.epics import EPIC_FORMATS, epic_document, epic_json, render_epic
from achievement_collector.present.personas import persona, personas
from achievement_collector.present.redaction import Redactions
from achievement_collector.present.view import Document

HOSTILE = '<script>alert(1)</script> | `x` ](javascript:alert) *b* #let x = 1 $y$ \u202egnp.exe\x00\x1b[31m "q" & =cmd|1!A1 \ud800'
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
AS_OF = "2025-03-31"
READERS = sorted(personas())
TECHNICAL = ("tech_lead", "technical")
needs_pdftotext = pytest.mark.skipif(
    not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed"
)


def at(day: int, hour: int = 9) -> int:
    return int(datetime(2025, 3, day, hour, tzinfo=UTC).timestamp() * 1000)


def pull(number: int, title: str, author: str, *reviewers: str, **more: Any) -> PullRequest:
    given: dict[str, Any] = {
        "repository": "github.com/acme/rocket", "number": number, "title": title, "author": author,
        "created": at(number * 3), "merged": at(number * 3 + 2, 15), "additions": 100 + number, "deletions": 10 + number,
        "files": 3 + number, "commits": number, "url": f"https://github.com/acme/rocket/pull/{number}",
        "reviews": tuple(Review(f"{number}-{name}", name, "approved", at(number * 3 + 1)) for name in reviewers),
    }  # fmt: skip
    return PullRequest(**(given | more))


def inside(
    one: PullRequest, conclusion: str = "success", *measures: Measure, feature: bool = False
) -> PullInEpic:
    checks = (
        (Check(f"c{one.number}", "tests", "a" * 40, conclusion, at(5), at(5), f"{one.url}/checks"),)
        if conclusion
        else ()
    )
    rolled = Rolled(
        f"{one.number:012x}", one.title, "feature" if feature else "testing", 70 + one.number, True, "",
        ("Python", "PostgreSQL"), (one.author,),
    )  # fmt: skip
    return PullInEpic(one, '"Epic:" in its body', checks, measures, rolled)


def search_epic(**more: Any) -> dict[str, Any]:
    """E5.1: five pull requests of three people, a benchmark from 300 ms to 50 ms, coverage of 95 %."""
    speed = Measure(
        "benchmark", "search latency", 50.0, 300.0, "ms", False, 20, 20, 4.0, 9.0, True, "a" * 40, "b" * 40
    )
    slower = Measure(
        "benchmark", "index build", 2.5, 2.0, "s", False, 12, 12, 0.1, 0.1, True, "a" * 40, "b" * 40
    )
    coverage = Measure("coverage", "line coverage", 0.95, 0.91, "rate", True)
    tests = Measure("tests", "tests", 412.0, 370.0, "tests", True)
    findings = Measure("findings", "findings of CodeQL", 1.0, 4.0, "findings", False, note="3 fixed, 0 new")
    build_time = Measure("build_time", "build time", 190.0, None, "s", False, note="no report of main to compare with")  # fmt: skip
    given: dict[str, Any] = {
        "key": "E5.1",
        "sources": (
            EpicSource(
                "project", "linear/p1", "AI-Enhanced Search", "Search that understands questions.", "completed", "Carol Chen",
                at(1), at(2), at(28), url="https://linear.app/acme/project/search",
            ),
        ),
        "issues": (
            Issue("linear/i1", "ENG-11", "Rank answers by meaning", state="completed", assignee="Bob Builder", completed=at(15),
                  created=at(1), url="https://linear.app/acme/issue/ENG-11"),
            Issue("linear/i2", "ENG-12", "Show sources of an answer", state="completed", completed=at(26), created=at(1)),
        ),
        "pulls": (
            inside(pull(1, "Add a vector index", "Alice Archer", "Bob Builder"), "success", slower, feature=True),
            inside(pull(2, "Answer questions in search", "Bob Builder", "Alice Archer"), "success", coverage, feature=True),
            inside(pull(3, "Cache embeddings", "Carol Chen", "Alice Archer"), "success", speed, tests, findings),
            inside(pull(4, "Show sources", "Alice Archer"), "", feature=True),
            inside(pull(5, "Tune the ranking", "Bob Builder", "Carol Chen",
                        body="![Results](https://example.dev/results.png)\n[Design](https://docs.google.com/document/d/1)"),
                   "success", build_time),
        ),
        "milestones": (("m1", "Beta", "2025-03-20"),),
    }  # fmt: skip
    return build_epic(EpicFacts(**(given | more)))


def empty_epic() -> dict[str, Any]:
    return build_epic(EpicFacts("E9", (EpicSource("local", "E9"),)))


def hostile_epic() -> dict[str, Any]:
    bad = pull(
        6, HOSTILE, HOSTILE, HOSTILE, url='javascript:alert("1")', repository="github.com/ac`me/<b>ro*cket",
        body=f"![{HOSTILE}](https://example.dev/a.png)\n[x](javascript:alert)",
    )  # fmt: skip
    measure = Measure("benchmark", HOSTILE, 5.0, 3.0, HOSTILE, True, 20)
    return build_epic(EpicFacts(
        "E|6", (EpicSource("project", "p", HOSTILE, HOSTILE, HOSTILE, HOSTILE, url="data:text/html,<script>"),),
        (Issue("i", HOSTILE, HOSTILE, HOSTILE, state=HOSTILE, assignee=HOSTILE, completed=at(3), url="https://a.example/\" onclick=x"),),
        (PullInEpic(bad, HOSTILE, (Check("c", HOSTILE, "a" * 40, "success", url="vbscript:x"),), (measure,),
                    Rolled("a" * 12, HOSTILE, "feature", 3, True, "", (HOSTILE,), (HOSTILE,))),),
        (Attachment("a", "i", "https://docs.google.com/document/d/1", HOSTILE),),
        (("m", HOSTILE, HOSTILE),),
    ))  # fmt: skip


EPICS = {"search": search_epic, "empty": empty_epic, "hostile": hostile_epic}


def standing(structure: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"status": "draft", "revision": 0, "unmet": (), "generated": AS_OF} | more


def render(structure: dict[str, Any], key: str, format: str = "markdown", **more: Any) -> str:
    made = render_epic(structure, persona(key), format, **standing(structure, **more))
    return made.decode()


def document(structure: dict[str, Any], key: str, **more: Any) -> Document:
    return epic_document(structure, persona(key), **standing(structure, **more))


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+", text))


def known_numbers(structure: dict[str, Any]) -> set[str]:
    """Every number of the structure, in every way a document may write it: with separators, times in minutes, hours or
    days, lists by their length."""
    found = numbers(json.dumps(structure, ensure_ascii=False))

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            found.add(str(len(value)))
            for one in value:
                walk(one)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.update(numbers(f"{value:,}"))
            for seconds in (60, 3600, 86_400):
                found.update(numbers(f"{value / seconds:,.1f} {int(value / seconds)}"))

    walk(structure)
    return found


@pytest.mark.parametrize("key", READERS)
@pytest.mark.parametrize("epic", EPICS)
def test_no_reader_is_told_a_number_that_is_not_in_the_epic(epic: str, key: str) -> None:
    structure = EPICS[epic]()
    ci = structure["metrics"]["quality"]["ci_success_rate"]
    known = known_numbers(structure) | (
        {str(round(ci["value"] * ci["n"]))} if ci["value"] is not None else set()
    )
    digest = content_hash(structure)
    for status in ("draft", "final"):
        text = render(structure, key, status=status, revision=7, unmet=("rocket#5 is open",))
        for number in numbers(
            text.replace(AS_OF, "").replace(digest, "").replace("SHA-256", "").replace("&#58;", "")
        ):
            assert number in known | {"7", "5"}, f"{number} comes from nowhere"


@pytest.mark.parametrize("format", EPIC_FORMATS)
@pytest.mark.parametrize("epic", EPICS)
@pytest.mark.parametrize("key", READERS)
def test_the_same_epic_gives_the_same_bytes(key: str, epic: str, format: str) -> None:
    structure = EPICS[epic]()
    before = json.dumps(structure)
    made = [render_epic(structure, persona(key), format, **standing(structure)) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0]
    assert json.dumps(structure) == before


@pytest.mark.parametrize("format", ["csv", "jsonresume", "docx"])
def test_an_epic_has_four_formats(format: str) -> None:
    with pytest.raises(ConfigurationError, match="choose from markdown, html, pdf, json"):
        render(search_epic(), "technical", format)


class TestWhatEachReaderIsTold:
    @pytest.mark.parametrize("key", TECHNICAL)
    def test_engineers_are_told_every_pull_request(self, key: str) -> None:
        text = render(search_epic(), key)
        for number, title in enumerate(
            (
                "Add a vector index",
                "Answer questions in search",
                "Cache embeddings",
                "Show sources",
                "Tune the ranking",
            ),
            1,
        ):
            assert f"[{title}](<https://github.com/acme/rocket/pull/{number}>)" in text
            assert f"`acme/rocket#{number}`" in text
        assert text.count("- **CI:** success\n") == 4
        assert text.count("- **CI:** not measured: no conclusion was told") == 1
        assert text.count("- **lead time:** 2.2 days") == 5
        assert "- **lead time, median:** 2.2 days from opened to merged, n=5" in text
        assert "search latency: 300 ms → 50 ms, 83 % faster, n=20" in text
        assert "line coverage: 91.0 % → 95.0 %, +4.0 points" in text
        assert "tests: 370 → 412, +42" in text
        assert "findings of CodeQL: 4 → 1, 3 fixed, 0 new" in text
        assert "success for 4 of 4 merged pull requests; not measured for 1: no conclusion was told" in text
        assert "| implementation | 2025-03-03 | 2025-03-17 |" in text
        assert "| 2025-03-03 09:00 | rocket#1 opened |" in text
        assert "[tests](<https://github.com/acme/rocket/pull/1/checks>)" in text
        assert "[Results](<https://example.dev/results.png>)" in text
        assert "[ENG-11](<https://linear.app/acme/issue/ENG-11>)" in text

    def test_people_departments_are_told_of_people_not_of_lines_or_scores(self) -> None:
        text = render(search_epic(), "hr_manager")
        assert "Alice Archer, Bob Builder, Carol Chen" in text
        assert "Alice Archer, Bob Builder, Carol Chen (4 reviews)" in text
        assert "PostgreSQL" in text
        assert "- **took:** 26 days" in text
        assert "Answer questions in search" in text
        assert not re.search(r"\blines\b|impact|complexity|latency|\+\d", text)

    @pytest.mark.parametrize("key", ["startup_ceo", "business"])
    def test_founders_are_told_what_was_delivered_and_what_was_measured(self, key: str) -> None:
        text = render(search_epic(), key)
        assert "- Answer questions in search\n" in text
        assert "Largest gain: search latency: 300 ms → 50 ms, 83 % faster, n=20." in text
        assert text.count("Not measured (no KPI is tied to this epic)") == 1
        assert "revenue impact, cost savings" in text
        assert "26 days" in text
        assert "CodeQL" not in text

    def test_what_got_slower_is_told_beside_what_got_faster(self) -> None:
        for key in ("startup_ceo", "business", "investor", *TECHNICAL):
            assert "index build: 2 s → 2.5 s, 25 % slower, n=12" in render(search_epic(), key)

    def test_investors_are_told_outcome_milestones_and_time(self) -> None:
        text = render(search_epic(), "investor")
        assert "| Beta | planned for 2025-03-20 |" in text
        assert "| all of the 2 issues completed | reached 2025-03-26 |" in text
        assert "5 merged" in text
        assert "83 % faster" in text

    def test_leaders_are_told_team_phases_milestones_and_quality(self) -> None:
        sections = [one.title for one in document(search_epic(), "leadership").sections]
        assert {"People", "Phases", "Milestones", "Quality"} <= set(sections)
        assert "4 of 5 merged pull requests" in render(search_epic(), "leadership")

    @pytest.mark.parametrize("key", READERS)
    def test_what_was_not_measured_says_so_with_its_reason(self, key: str) -> None:
        text = render(empty_epic(), key)
        assert "None" not in text.replace("None is planned", "").replace("None belongs", "")
        if key in ("startup_ceo", "business", "investor"):
            assert "Performance not measured: no benchmark got better against a baseline." in text
        if key in (*TECHNICAL, "leadership"):
            assert "not measured: no coverage report" in text
            assert "not measured: no pull request tells both ends" in text
        assert not re.search(r"\b0(\.0)? (?:%|days|hours|ms)", text)


class TestStanding:
    @pytest.mark.parametrize("key", READERS)
    def test_a_draft_is_marked_and_says_what_is_missing(self, key: str) -> None:
        text = render(search_epic(), key, unmet=("rocket#6 is open", "CI of rocket#4 is unknown"))
        assert text.splitlines()[0].startswith(f"# {persona(key).title} (draft): E5.1: AI-Enhanced Search")
        assert f"draft, as of {AS_OF}" in text
        assert "rocket#6 is open" in text
        assert "final" not in text

    @pytest.mark.parametrize("key", READERS)
    @pytest.mark.parametrize("status", ["final", "completed"])
    def test_a_final_one_shows_its_revision_and_the_hash_of_its_content(self, key: str, status: str) -> None:
        text = render(search_epic(), key, status=status, revision=2)
        assert "final, revision 2" in text
        assert content_hash(search_epic()) in text
        assert "draft" not in text

    def test_a_draft_after_a_final_version_says_that_this_one_no_longer_holds(self) -> None:
        assert "revision 2 no longer holds" in render(search_epic(), "technical", revision=2)

    def test_one_completed_by_hand_says_what_was_not_met(self) -> None:
        text = render(search_epic(), "leadership", status="final", revision=1, unmet=("rocket#6 is open",))
        assert "Completed by hand" in text
        assert "rocket#6 is open" in text

    def test_a_canceled_one_is_neither_draft_nor_final(self) -> None:
        text = render(search_epic(), "investor", status="canceled")
        assert f"canceled, as of {AS_OF}" in text
        assert "draft" not in text
        assert "final," not in text

    def test_an_unknown_status_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="maybe"):
            render(search_epic(), "investor", status="maybe")

    def test_a_title_that_begins_with_the_key_is_not_told_twice(self) -> None:
        named = search_epic(sources=(EpicSource("project", "p", "E5.1 Search"),))
        assert document(named, "technical").subject == "E5.1 Search"
        other = search_epic(sources=(EpicSource("project", "p", "E5.12 Search"),))
        assert document(other, "technical").subject == "E5.1: E5.12 Search"


class TestWhatDoesNotCount:
    def epic(self) -> dict[str, Any]:
        undone = PullInEpic(
            pull(2, "Cache it", "Bob Builder"), "by hand",
            achievement=Rolled("2" * 12, "Cache it", "testing", 5, False, "reverted by #3"),
        )  # fmt: skip
        revert = PullInEpic(
            pull(3, 'Revert "Cache it"', "Bob Builder"), "by hand",
            achievement=Rolled("3" * 12, "Revert", "testing", 5, False, "a revert: it takes credit away and earns none"),
        )  # fmt: skip
        bot = PullInEpic(pull(4, "Bump a library", "bot", is_bot=True), "by hand")
        early = inside(pull(5, "Tune the ranking", "Alice Archer", merged=at(2)))
        return search_epic(pulls=(inside(pull(1, "Index", "Alice Archer")), undone, revert, bot, early))

    def test_it_stands_beside_what_does(self) -> None:
        text = render(self.epic(), "tech_lead")
        assert "- **pull requests:** 2 merged, 2 reverted or a revert, 1 by programs" in text
        assert "- **reverted:** rocket\\#2" in text or "- **reverted:** rocket#2" in text
        assert "- **lead time:** not measured: its merge is told to come before its opening" in text

    def test_it_is_not_among_what_was_delivered(self) -> None:
        (section,) = [
            one for one in document(self.epic(), "hr_manager").sections if one.title == "What was delivered"
        ]
        assert "Index" in section.lines
        assert not {"Cache it", 'Revert "Cache it"', "Bump a library"} & set(section.lines)


def test_json_holds_the_whole_structure_with_a_hash_that_can_be_checked() -> None:
    structure = search_epic()
    data = json.loads(render(structure, "investor", "json", status="final", revision=3))
    assert data["schema_version"] == 1
    assert (data["status"], data["revision"], data["persona"]) == ("final", 3, "investor")
    assert data["epic"] == structure
    assert data["content_hash"] == content_hash(data["epic"])
    told = epic_json(structure, persona("investor"), **standing(structure, status="final", revision=3))
    assert json.loads(told) == data


class TestHtml:
    def page(self, structure: dict[str, Any], key: str) -> Any:
        import html5lib

        text = render(structure, key, "html", unmet=(HOSTILE,))
        parser = html5lib.HTMLParser(strict=False, namespaceHTMLElements=False)
        tree = parser.parse(text)
        assert not parser.errors
        return tree, text

    @pytest.mark.parametrize("key", READERS)
    @pytest.mark.parametrize("epic", EPICS)
    def test_it_parses_without_an_error_and_loads_nothing(self, epic: str, key: str) -> None:
        tree, text = self.page(EPICS[epic](), key)
        assert tree.find(".//script") is None
        assert not re.search(r"<(?:img|link|iframe|object|embed|script)\b", text)
        assert "default-src 'none'" in text
        assert len(tree.findall(".//h1")) == 1
        assert all(link.get("href").startswith(("https://", "http://")) for link in tree.iter("a"))
        assert "\u202e" not in text
        ids = [one.get("id") for one in tree.iter() if one.get("id")]
        assert len(ids) == len(set(ids))
        assert not any(re.search(r"\s", one) for one in ids)
        assert all(time.get("datetime") for time in tree.iter("time"))


@pytest.mark.parametrize("key", READERS)
def test_markdown_shows_hostile_text_as_text(key: str) -> None:
    text = render(hostile_epic(), key, unmet=(HOSTILE,))
    assert "<script>" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "\x1b" not in text
    assert "\\<script\\>alert(1)\\</script\\> \\| \\`x\\`" in text
    assert not re.search(r"\]\(<(?!https?://)", text)
    for line in text.splitlines():
        if not line.startswith(("###", "merged")):
            plain = re.sub(r"\\.", "", line)
            assert "`" not in re.sub(r"`[\w./#-]+`", "", plain)


@needs_pdftotext
@pytest.mark.parametrize("key", READERS)
@pytest.mark.parametrize("epic", ["search", "empty"])
def test_the_text_of_a_pdf_can_be_extracted(key: str, epic: str, tmp_path: Path) -> None:
    structure, unmet = EPICS[epic](), ("rocket#6 is open",)
    flat = self_read(structure, key, tmp_path, unmet=unmet)
    assert f"draft, as of {AS_OF}" in flat
    for section in document(structure, key, unmet=unmet).sections:
        assert section.title in flat
        for line in section.lines:
            assert line in flat
        for entry in section.entries:
            assert entry.title in flat


@needs_pdftotext
def test_typst_markup_stays_text(tmp_path: Path) -> None:
    evil = '#import "x" *bold* $x^2$ #panic("no") <label> @ref'
    structure = search_epic(pulls=(inside(pull(1, evil, evil)),))
    assert self_read(structure, "technical", tmp_path).count(evil) >= 2
    assert self_read(hostile_epic(), "technical", tmp_path).count("<script>alert(1)</script>") > 5


def self_read(structure: dict[str, Any], key: str, folder: Path, **more: Any) -> str:
    """The text of a PDF, as pdftotext reads it."""
    path = folder / "epic.pdf"
    path.write_bytes(render_epic(structure, persona(key), "pdf", **standing(structure, **more)))
    read = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True)
    return " ".join(read.stdout.split())


class TestSecrets:
    @pytest.mark.parametrize("format", EPIC_FORMATS)
    @pytest.mark.parametrize(
        "more",
        [
            {"pulls": (inside(pull(1, f"Rotate {TOKEN}", "Alice Archer")),)},
            {"pulls": (inside(pull(1, f"Rotate {TOKEN[:9]}\u200b{TOKEN[9:]}", "Alice Archer")),)},
            {"sources": (EpicSource("project", "p", "Search", f"Use {TOKEN}."),)},
            {"issues": (Issue("i", "ENG-1", "x", url=f"https://me:{TOKEN[4:20]}@linear.app/x"),)},
        ],
    )  # fmt: skip
    def test_an_export_refuses_to_write_one(self, format: str, more: dict[str, Any]) -> None:
        with pytest.raises(ExportRefusedError, match="nothing was written") as refused:
            render(search_epic(**more), "technical", format)
        assert TOKEN not in str(refused.value)

    def test_one_in_a_condition_is_refused_too(self) -> None:
        with pytest.raises(ExportRefusedError, match=r"unmet\[0\]"):
            render(search_epic(), "technical", unmet=(TOKEN,))

    @pytest.mark.parametrize("key", READERS)
    @pytest.mark.parametrize("format", ["markdown", "html", "json"])
    def test_without_refusing_it_is_withheld(self, format: str, key: str) -> None:
        structure = search_epic(pulls=(inside(pull(1, f"Rotate {TOKEN}", "Alice Archer"), feature=True),))
        text = render(structure, key, format, refuse=False)
        assert TOKEN not in text
        if key != "leadership":
            assert "withheld: it looks like a GitHub token" in text

    def test_one_that_is_redacted_is_no_longer_refused(self) -> None:
        structure = search_epic(pulls=(inside(pull(1, f"Rotate {TOKEN}", "Alice Archer")),))
        assert TOKEN not in render(
            structure, "technical", redactions=Redactions({}, {}, {}, {TOKEN: "a token"})
        )


class TestRedaction:
    redactions = Redactions(
        {"acme/rocket": "a client project"}, {"Globex Corp": "a customer", "Globex": "a customer"},
        {"Bob Builder": "a colleague"}, {"vector": "secret sauce"},
    )  # fmt: skip

    def structure(self) -> dict[str, Any]:
        named = pull(
            7, "Onboard GLOBEX  Corp (as in 0badc0de17)", "Bob Builder", "bob\u200b builder", base="main",
            body="[Globex plan](https://docs.google.com/document/d/1)\n![shot](https://example.dev/globex-corp.png)",
        )  # fmt: skip
        other = pull(
            8, "Elsewhere", "Alice Archer", repository="github.com/open/source", url="https://github.com/open/source/pull/8",
        )  # fmt: skip
        return search_epic(
            sources=(EpicSource(
                "project", "linear/globex", "Search for Glo\u200bbex", "For globex corp,\nby Bob Builder.", "started",
                "Bob Builder", at(1), url="https://linear.app/globex%20corp/project/x",
            ),),
            pulls=(
                inside(pull(1, "Add a vector index", "Alice Archer"), feature=True),
                inside(named, "success", Measure("benchmark", "Globex search", 5.0, 9.0, "ms", False, 20), feature=True),
                inside(other),
            ),
            issues=(
                Issue("i1", "ENG-1", "Globex asks", state="started", url="https://linear.app/x/issue/ENG-1/globex-asks",
                      assignee="Bob Builder", completed=at(4)),
            ),
            milestones=(("m", "Globex beta", "2025-03-20"),),
        )  # fmt: skip

    @pytest.mark.parametrize("key", READERS)
    @pytest.mark.parametrize("format", ["markdown", "html", "json"])
    def test_nothing_redacted_is_left_anywhere(self, format: str, key: str) -> None:
        structure = self.structure()
        text = render(
            structure, key, format, redactions=self.redactions, status="final", revision=1,
            unmet=("rocket#7 is open", "CI of rocket#1 is failed", "Globex must agree"),
        )  # fmt: skip
        for word in (
            "globex",
            "rocket",
            "bob builder",
            "acme/",
            "vector",
            "results.png",
            "0badc0de",
            content_hash(structure),
        ):
            assert word not in text.lower().replace("\\", "")
        assert "a customer" in text
        assert "a client project" in text
        if key != "hr_manager" or format == "json":
            assert "https://github.com/open/source/pull/8" in text

    def test_the_hash_of_a_redacted_one_is_of_what_is_left(self) -> None:
        text = render(self.structure(), "technical", "json", redactions=self.redactions)
        data = json.loads(text)
        assert data["is_redacted"] is True
        assert data["content_hash"] == content_hash(data["epic"])

    def test_our_own_words_and_days_stay(self) -> None:
        words = Redactions({}, {}, {}, {"merged": "x", "success": "y", "2025": "z"})
        data = json.loads(render(search_epic(), "technical", "json", redactions=words))
        first = data["epic"]["deliverables"]["pull_requests"][0]
        assert (first["state"], first["ci"], first["merged"][:4]) == ("merged", "success", "2025")
        assert render(search_epic(), "technical", redactions=words)
