"""Exports, re-read by other tools: a JSON Schema, an HTML parser, a CSV reader, pdftotext."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.derive.conclusions import (
    Achievement,
    AchievementKind,
    BusinessValue,
    Category,
    CategoryCall,
    Credit,
    Evidence,
    Record,
    RepositoryInRecord,
    Role,
    Score,
    ScorePart,
    Size,
    Skill,
    SkillKind,
    SkillUse,
    ValueKind,
)
from achievement_collector.errors import CollectorError, ConfigurationError, ExportRefusedError
from achievement_collector.present.export import FORMATS, render, undrawn
from achievement_collector.present.json_record import json_record
from achievement_collector.present.personas import persona, personas
from achievement_collector.present.printable import printable
from achievement_collector.present.redaction import load_redactions, redact
from achievement_collector.present.secrets import find_secrets
from achievement_collector.present.view import build

HOSTILE = '<script>alert(1)</script> | `x` ](javascript:alert) *b* #let x = 1 $y$ \u202egnp.exe\x00\x1b[31m "q" & =cmd|1!A1 \ud800'


def achievement(number: int, title: str, **more: Any) -> Achievement:
    parts = (
        ScorePart("kind of work", 21.0, 'feature, 90% sure: declared type "feat"'),
        ScorePart("extent", 40.0 + number, f"{100 + number} changed lines that count, in 4 files"),
    )
    given: dict[str, Any] = {
        "id": f"{number:012x}",
        "kind": AchievementKind.CHANGE,
        "repository": "example.dev/acme/rocket",
        "title": title,
        "description": f"What it does, number {number}.",
        "occurred": datetime(2025, 1 + number % 12, 3, 12, tzinfo=UTC),
        "started": None,
        "category": CategoryCall(
            Category.FEATURE, 0.9, (Category.FEATURE, Category.TESTING), 'declared type "feat"'
        ),
        "impact": Score(61 + number, parts, 1),
        "complexity": Score(30 + number, parts[1:], 1),
        "size": Size(80, 20 + number, 4, 7, (("lock files", 7),)),
        "skills": (Skill("Python", SkillKind.LANGUAGE, "90 lines, such as in a.py"),),
        "credits": (Credit("Alice Archer", Role.AUTHOR, 2),),
        "evidence": (
            Evidence(
                "pull request",
                f"#{number}",
                "merged pull request",
                url=f"https://example.dev/acme/rocket/pull/{number}",
            ),
            Evidence(
                "commit", "a" * 40, "a commit of it", url="https://example.dev/acme/rocket/commit/" + "a" * 40
            ),
        ),
        "reason": 'declared type "feat"',
        "released_in": "v1.0.0",
        "rules_version": 1,
        "commits": ("a" * 40,),
    }
    return Achievement(**(given | more))


def sample(*extra: Achievement) -> Record:
    release = achievement(
        9, "rocket release 1.0.0", kind=AchievementKind.RELEASE,
        category=CategoryCall(Category.RELEASE, 1.0, (Category.RELEASE,), "an annotated tag"),
        evidence=(Evidence("tag", "v1.0.0", "the tag"), Evidence("count", "v1.0.0", "counted changes first released in it", "12", "changes")),
    )  # fmt: skip
    told = achievement(
        2, "Cache the lookup",
        value=BusinessValue(ValueKind.STATED, "From 850 ms to 120 ms.", source="the message of commit aaaaaaaaaaaa"),
        assisted_by=("Claude",), credits=(Credit("Alice Archer", Role.AUTHOR, 1), Credit("Bob Builder", Role.CO_AUTHOR, 1)),
    )  # fmt: skip
    stated = achievement(
        3, "Mentored two people", kind=AchievementKind.STATED, repository="", impact=Score(0, (), 1), complexity=Score(0, (), 1),
        size=Size(is_measured=False), commits=(), skills=(), evidence=(Evidence("statement", "Alice, 2025-02-01", "stated", source="person"),),
    )  # fmt: skip
    return Record(
        achievements=(achievement(1, "Add the parser"), told, release, stated, *extra),
        person="Alice Archer",
        email="alice@acme.example",
        repositories=(
            RepositoryInRecord(
                "example.dev/acme/rocket", "https://example.dev/acme/rocket", 120, "2024-01-01", "2025-11-01"
            ),
        ),
        selection="by Alice Archer",
        generated=datetime(2025, 12, 1, 8, tzinfo=UTC),
        since=None,
        until=None,
        matching=44,
        left_out=13,
        bots_left_out=5,
        rules_version=1,
        months=(("2025-01", 3), ("2025-02", 0), ("2025-03", 41)),
        categories=(("feature", 40), ("release", 4)),
        skills=(
            SkillUse("Python", SkillKind.LANGUAGE, 40, "2025-01-03", "2025-03-03"),
            SkillUse("C", SkillKind.LANGUAGE, 2, "2025-03-03", "2025-03-03"),
        ),
    )


@pytest.mark.parametrize(
    "name",
    [
        "tech_lead",
        "tech-lead",
        "HR_manager",
        "startup-ceo",
        "investor",
        "technical",
        "business",
        "leadership",
    ],
)
def test_seven_readers_written_either_way(name: str) -> None:
    assert persona(name).key == name.lower().replace("-", "_")


def test_an_unknown_reader_is_told_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="tech_lead"):
        persona("astronaut")


@pytest.mark.parametrize("key", sorted(personas()))
@pytest.mark.parametrize("format", FORMATS)
def test_the_same_record_gives_the_same_bytes(key: str, format: str) -> None:
    first = render(sample(), persona(key), format)
    assert first == render(sample(), persona(key), format)
    assert first


@pytest.mark.parametrize("key", sorted(personas()))
def test_no_reader_is_told_a_number_that_is_in_no_fact(key: str) -> None:
    record = sample()
    facts = json_record(record, key) + " ".join(f"{n:,}" for n in (44, 13, 5, 4, 3, 2, 1, 120, 12))
    known = set(re.findall(r"\d+", facts)) | {"0", "100"}
    shown = build(record, persona(key))
    text = json.dumps([repr(section) for section in shown.sections])
    for number in re.findall(r"\d+", re.sub(r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}", "", text)):
        assert number in known, f"{number} comes from nowhere"


@pytest.mark.parametrize("key", sorted(personas()))
def test_readers_see_the_same_titles(key: str) -> None:
    record = sample()
    text = render(record, persona(key), "markdown").decode()
    assert "Add the parser" in text
    assert "Mentored two people" in text
    assert "stated by a person" in text


def test_business_value_is_stated_with_its_source_or_not_measured() -> None:
    text = render(sample(), persona("startup_ceo"), "markdown").decode()
    assert "From 850 ms to 120 ms." in text
    assert "the message of commit aaaaaaaaaaaa" in text
    assert "Of 3 achievements shown here the business value was not measured." in text


class TestHtml:
    def page(self, record: Record, key: str = "technical") -> Any:
        import html5lib

        text = render(record, persona(key), "html").decode()
        parser = html5lib.HTMLParser(strict=False, namespaceHTMLElements=False)
        return parser.parse(text), text

    def test_it_is_self_contained_and_loads_nothing(self) -> None:
        tree, text = self.page(sample())
        assert tree.find(".//script") is None
        assert not re.search(r"<(?:img|link|iframe|object|embed|script)\b", text)
        assert "url(" not in text
        assert "default-src 'none'" in text

    def test_it_parses_and_is_accessible(self) -> None:
        tree, text = self.page(sample())
        assert tree.get("lang") == "en"
        assert len(tree.findall(".//h1")) == 1
        for chart in tree.iter("{http://www.w3.org/2000/svg}svg"):
            assert chart.get("role") == "img"
        assert text.count("<svg") == text.count("<desc>")
        for cell in tree.iter("th"):
            assert cell.get("scope") == "col"
        assert "prefers-color-scheme: dark" in text
        assert "@media print" in text

    def test_hostile_text_stays_text(self) -> None:
        tree, text = self.page(sample(achievement(7, HOSTILE, description=HOSTILE, released_in=HOSTILE)))
        assert tree.find(".//script") is None
        assert "<script>" not in text
        assert "javascript:alert" not in "".join(link.get("href", "") for link in tree.iter("a"))
        assert "\u202e" not in text

    def test_only_web_addresses_become_links(self) -> None:
        bad = achievement(8, "Bad link", evidence=(Evidence("link", "x", "x", url='javascript:alert("1")'),))
        tree, _ = self.page(sample(bad))
        assert all(link.get("href", "").startswith("https://") for link in tree.iter("a"))


def test_markdown_shows_hostile_text_as_text() -> None:
    text = render(sample(achievement(7, HOSTILE)), persona("technical"), "markdown").decode()
    assert "<script>" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "\x1b" not in text


def test_every_table_of_a_markdown_document_has_a_head() -> None:
    for key in personas():
        lines = render(sample(), persona(key), "markdown").decode().split("\n")
        heads = [number for number, line in enumerate(lines) if set(line) <= set("| -") and "---" in line]
        assert heads
        assert "|" not in lines  # a head without columns
        for number in heads:
            assert (
                lines[number].count("---")
                == lines[number - 1].count("|") - 1
                == lines[number + 1].count("|") - 1
            )


def test_activity_of_many_years_is_told_by_year() -> None:
    months = tuple((f"{year}-{month:02d}", 1) for year in range(2010, 2025) for month in range(1, 13))
    text = render(replace(sample(), months=months), persona("investor"), "markdown").decode()
    assert "Achievements a year, all that match; years in UTC.\n\n| year | achievements |" in text
    assert "| 2010 | 12 |" in text
    alone = replace(sample(), months=(("1970-01", 2), ("2025-03", 1), ("9999-12", 1)))
    text = render(alone, persona("investor"), "markdown").decode()
    assert "Months without any are left out.\n\n| month | achievements |" in text
    assert text.count("\n| ") < 20


def test_value_counts_what_the_document_shows() -> None:
    releases = [
        replace(achievement(30 + n, f"rocket release 2.{n}"), kind=AchievementKind.RELEASE) for n in range(20)
    ]
    text = render(sample(*releases), persona("investor"), "markdown").decode()
    assert "the 3 first by impact and the newest 12 releases shown here" in text
    assert "Of 14 achievements shown here the business value was not measured." in text


def test_csv_cells_are_no_formulas() -> None:
    record = sample(*(achievement(20 + n, f"{sign}cmd|' /C calc'!A0") for n, sign in enumerate("=+-@|%")))
    rows = list(csv.reader(io.StringIO(render(record, persona("technical"), "csv").decode())))
    assert len(rows) == 1 + len(record.achievements)
    assert all(len(row) == len(rows[0]) for row in rows)
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "|", "%", "\t"))
    stated = next(row for row in rows if row[4] == "Mentored two people")
    assert stated[7] == stated[9] == ""  # no impact, no lines: nothing is made up


def test_json_holds_the_whole_record() -> None:
    data = json.loads(render(sample(), persona("investor"), "json"))
    assert data["schema_version"] == 1
    assert data["matching"] == 44
    first = data["achievements"][0]
    assert first["impact"]["value"] == 62
    assert sum(part["points"] for part in first["impact"]["parts"]) == 62
    assert first["business_value"]["kind"] == "not measured"
    assert data["achievements"][3]["impact"] is None
    assert "email" not in data["person"]
    assert json.loads(render(sample(), persona("investor"), "json", emails=True))["person"]["email"]


def test_no_export_gives_a_number_for_a_size_that_was_not_measured() -> None:
    record = sample()
    told = json.loads(render(record, persona("technical"), "json"))["achievements"]
    rows = csv.DictReader(io.StringIO(render(record, persona("technical"), "csv").decode()))
    columns = ("lines_added", "lines_deleted", "files")
    cells = {row["id"]: tuple(row[name] for name in columns) for row in rows}
    measured = {one.id: one.size.is_measured for one in record.achievements}
    assert set(measured.values()) == {True, False}
    for one in told:
        size, is_measured = one["size"], measured[one["id"]]
        assert size["is_measured"] is is_measured
        numbers = [size[name] for name in (*columns, "lines_left_out")]
        assert all(number is not None for number in numbers) if is_measured else numbers == [None] * 4
        assert all(cells[one["id"]]) is is_measured


def test_json_resume_follows_its_schema() -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parent / "schemas" / "json-resume.json").read_text("utf-8"))
    data = json.loads(
        render(sample(achievement(7, HOSTILE)), persona("hr-manager"), "jsonresume", emails=True)
    )
    jsonschema.Draft7Validator(schema).validate(data)
    assert {project["name"] for project in data["projects"]} == {"rocket", "Stated by the person"}
    assert "work" not in data  # nobody told us about an employer


needs_pdftotext = pytest.mark.skipif(
    not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed"
)


@needs_pdftotext
@pytest.mark.parametrize("key", sorted(personas()))
def test_the_text_of_a_pdf_can_be_extracted(key: str, tmp_path: Path) -> None:
    record = sample(achievement(7, "Efficient flow of first office files: fi fl ffi ffl, Grüße, ≥ 5 %"))
    path = tmp_path / "record.pdf"
    path.write_bytes(render(record, persona(key), "pdf"))
    text = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True
    ).stdout
    flat = " ".join(text.split())
    document = build(record, persona(key))
    for section in document.sections:
        assert section.title in flat
        for entry in section.entries:
            assert entry.title in flat
            assert entry.id in flat


@needs_pdftotext
def test_typst_markup_in_a_title_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "record.pdf"
    path.write_bytes(
        render(
            sample(achievement(7, '#import "x" *bold* $x^2$ #panic("no") <label> @ref')),
            persona("technical"),
            "pdf",
        )
    )
    text = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True).stdout
    assert '#import "x" *bold* $x^2$ #panic("no") <label> @ref' in " ".join(text.split())


class TestRedaction:
    def redactions(self, tmp_path: Path) -> Any:
        path = tmp_path / "redact.toml"
        path.write_text(
            '[repositories]\n"acme/rocket" = "a client project"\n[customers]\n"Globex Corp" = "a customer"\n"Globex" = "a customer"\n'
            '[people]\n"Bob Builder" = "a colleague"\n'
        )
        return load_redactions(path)

    @pytest.mark.parametrize("format", ["markdown", "json", "csv", "html", "jsonresume"])
    @pytest.mark.parametrize("key", ["technical", "leadership"])
    def test_nothing_redacted_is_left_anywhere(self, tmp_path: Path, format: str, key: str) -> None:
        secret = achievement(
            7, "Onboard GLOBEX  Corp", description="For globex corp,\nby Bob Builder.", released_in="globex-1",
            value=BusinessValue(ValueKind.STATED, "Globex saves 3 h", source="Bob Builder"),
        )  # fmt: skip
        text = render(redact(sample(secret), self.redactions(tmp_path)), persona(key), format).decode()
        for word in ("globex", "rocket", "Bob Builder", "acme/rocket", "a" * 12 + "a" * 28):
            assert word.lower() not in text.lower()
        assert "a customer" in text

    @pytest.mark.parametrize("format", ["markdown", "json", "csv", "html", "jsonresume"])
    def test_no_text_of_a_redacted_repository_names_a_commit_or_its_name(
        self, tmp_path: Path, format: str
    ) -> None:
        reland = achievement(
            7, "Reland 3f786850e387", description="This reverts commit 3f786850e387550fdab836ed7e6dc881de23001b.",
            value=BusinessValue(ValueKind.STATED, "3 h saved", source="the message of commit 3f786850e387"),
        )  # fmt: skip
        text = render(
            redact(sample(reland), self.redactions(tmp_path)), persona("technical"), format
        ).decode()
        assert "3f786850e387" not in text
        assert "a client project release 1.0.0" in text
        kept = render(sample(reland), persona("technical"), format).decode()
        assert "3f786850e387" in kept

    def test_words_inside_other_words_stay(self, tmp_path: Path) -> None:
        record = redact(sample(achievement(7, "Globexville is not a customer")), self.redactions(tmp_path))
        assert record.achievements[-1].title == "Globexville is not a customer"

    def test_a_bad_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "redact.toml"
        for text, told in (
            ("[[", "TOML"),
            ('[cats]\n"a" = "b"', "cats"),
            ('[people]\n"a" = 1', "people"),
            ('[people]\n"" = "x"', "empty"),
        ):
            path.write_text(text)
            with pytest.raises(ConfigurationError, match=told):
                load_redactions(path)


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
            "AKIA" + "Q3EGRZ7TWXYHJKL2",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "xoxb-" + "123456789012-abcdefABCDEF",
            "postgres://admin:s3cr3tPw@db.internal/x",
            'password = "kJ8#mQ2$vX9z!pL4"',
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLWhlcmU",
            "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123",
        ],
    )
    def test_secrets_are_found_and_masked(self, text: str) -> None:
        found = find_secrets(f"before {text} after")
        assert found
        assert all(len(secret.masked) < 40 and text not in secret.masked for secret in found)

    @pytest.mark.parametrize(
        "text",
        [
            "fix 3f786850e387550fdab836ed7e6dc881de23001b",
            "123e4567-e89b-12d3-a456-426614174000",
            "https://user@example.dev/path",
            "password: see the manual",
            "token=$GITHUB_TOKEN",
            "Add api_key = os.environ handling",
            "secret: <your-secret-here>",
            "postgres://user:password@host/db",
        ],
    )
    def test_ordinary_text_is_none(self, text: str) -> None:
        assert find_secrets(text) == []

    @pytest.mark.parametrize("format", FORMATS)
    def test_an_export_refuses_to_write_one(self, format: str) -> None:
        token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
        with pytest.raises(ExportRefusedError) as refused:
            render(sample(achievement(7, f"Rotate {token}")), persona("technical"), format)
        assert token not in str(refused.value)
        assert "000000000007" in str(refused.value)


def test_printable_takes_everything_a_terminal_obeys() -> None:
    assert printable("a\x1b[31mb\x07\u202ec\r\nd\te\x85\u2066") == "a[31mbc\nd\te"


def test_export_as_a_user_runs_it(run: Callable[..., Any], repository: Any, tmp_path: Path) -> None:
    repository.commit("feat: the first thing", {"a.py": "x = 1\n" * 70})
    ledger = tmp_path / "l.db"
    assert run("scan", repository.path, "--db", ledger).returncode == 0
    for format in FORMATS:
        target = tmp_path / f"out.{format}"
        done = run("export", "--db", ledger, "--persona", "tech-lead", "--format", format, "--output", target)
        assert done.returncode == 0, done.stderr
        assert target.stat().st_size > 100
    missing = run("export", "--db", ledger, "--output", tmp_path / "no" / "folder.md")
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr
    mine = run("export", "--db", ledger, "--me", "-f", "markdown", folder=repository.path)
    assert "Alice Archer" in mine.stdout
    assert run("export", "--db", ledger, "--persona", "king").returncode == 2


def test_emails_are_in_no_export_unless_asked() -> None:
    for format in ("markdown", "json", "csv", "html", "jsonresume"):
        assert b"alice@acme.example" not in render(sample(), persona("technical"), format)
    assert b"alice@acme.example" in render(sample(), persona("technical"), "html", emails=True)


def test_top_is_never_taken_for_the_whole() -> None:
    text = render(replace(sample(), matching=44), persona("technical"), "markdown").decode()
    assert "44 achievements, the 3 first by impact and one release shown here" in text


def test_errors_are_of_one_family() -> None:
    assert issubclass(ExportRefusedError, CollectorError)


def test_a_pdf_tells_what_its_fonts_may_not_show() -> None:
    record = replace(sample(), achievements=(achievement(1, "日本語のタイトル 🎉 – naïve Ωμέγα →"),))
    assert set(undrawn(record, persona("technical"))) == set("日本語のタイトル🎉")
    assert not undrawn(sample(), persona("technical"))
    assert render(record, persona("technical"), "pdf").startswith(b"%PDF")


def test_the_user_hears_of_what_a_pdf_may_not_show(
    run: Callable[..., Any], repository: Any, tmp_path: Path
) -> None:
    repository.commit("feat: 講演", {"a.py": "x = 1\n" * 70})
    database = tmp_path / "l.db"
    assert run("scan", repository.path, "--db", database).returncode == 0
    made = run("export", "--db", database, "--output", tmp_path / "r.pdf")
    assert made.returncode == 0, made.stderr
    assert "beyond the built-in fonts" in made.stderr
