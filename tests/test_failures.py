"""Why a CI step failed, read from its log: evidence, category, signature, or an honest "unknown"."""

import gzip
import json
import re
import time
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from achievement_collector.derive.failures.categories import FailureCategory
from achievement_collector.derive.failures.explaining import Explanation, explain
from achievement_collector.derive.failures.masking import mask_secrets
from achievement_collector.derive.failures.normalising import template, templates
from achievement_collector.derive.failures.reading import readable
from achievement_collector.derive.failures.rules import FILES, shipped_rules
from achievement_collector.derive.failures.signatures import Signatures
from achievement_collector.errors import ConfigurationError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "ci-logs"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded logs (../shared/data/ci-logs) are not here"
)

RUNNER = "/".join(("", "home", "runner", "work", "a", "a"))
"""Where GitHub's runners check a repository out."""


def github(*lines: str, code: int = 1) -> bytes:
    """A step of GitHub Actions that fails with these lines."""
    given = [
        "##[group]Run make check",
        "make check",
        "##[endgroup]",
        *lines,
        f"##[error]Process completed with exit code {code}.",
    ]
    return "".join(
        f"2025-03-04T05:06:{number % 60:02}.1234567Z {line}\r\n" for number, line in enumerate(given)
    ).encode()


def shown(found: Explanation) -> list[str]:
    return [line.text for line in found.evidence]


# --- reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"2025-03-04T05:06:07.1234567Z \x1b[31merror\x1b[0m: no\r\n", "error: no"),
        (b"\xef\xbb\xbf2025-03-04T05:06:07.1234567Z first line", "first line"),
        (b"build\tRun tests\t2025-03-04T05:06:07.1234567Z gone", "gone"),
        (b"2025-03-04T05:06:07.123456Z 01O of GitLab", "of GitLab"),
        (b"[2025-03-04T05:06:07.123Z] of Jenkins", "of Jenkins"),
        (b"travis_fold:start:git.1\r\x1b[0Ktravis_time:start:0a1b\r\x1b[0K$ git clone", "$ git clone"),
        (b"section_start:1700000000:step_script[collapsed=true]\r\x1b[0KRunning", "Running"),
        (b" 10%\r 50%\r100% done\r", "100% done"),
        (b"caf\xe9 \xff", "caf� �"),
        (b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x07 text", "link text"),
        (b"::error file=a.py,line=3::it broke", "##[error]it broke"),
        (b"[ERROR] stays, 2025 is no stamp", "[ERROR] stays, 2025 is no stamp"),
        (b"a" * 9_000, "a" * 1_999 + "…"),
    ],
)
def test_a_line_is_read_as_a_person_would(raw: bytes, text: str) -> None:
    assert readable(raw) == text


def test_number_and_offset_lead_to_the_line_in_the_raw_log() -> None:
    log = b"\xff\xfe junk\n" + github(
        "compiling", "\x1b[1mmain.c:3:5: error: 'x' undeclared\x1b[0m", "    3 | x = 1;"
    )
    found = explain(log)
    assert "main.c:3:5: error: 'x' undeclared" in shown(found)
    for line in found.evidence:
        assert log[: line.offset].count(b"\n") + 1 == line.number
        assert line.offset == 0 or log[line.offset - 1 : line.offset] == b"\n"
        assert readable(log[line.offset : log.index(b"\n", line.offset)]) == line.text


def test_text_and_bytes_give_the_same() -> None:
    log = github("E   assert 1 == 2", "FAILED tests/test_a.py::test_b - assert 1 == 2")
    assert explain(log) == explain(log.decode())


def test_evidence_of_a_long_failures_section_is_at_most_forty_lines_with_assertions_and_summary() -> None:
    lines = ["=" * 30 + " FAILURES " + "=" * 30]
    for number in range(30):
        lines += [
            f"{'_' * 20} test_case_{number} {'_' * 20}",
            *(f"    x{n} = {n}" for n in range(60)),
            f"E       assert {number} == 99",
        ]
    lines += [f"FAILED tests/test_a.py::test_case_{number} - assert {number} == 99" for number in range(30)]
    lines += ["============ 30 failed, 4 passed in 3.21s ============"]
    found = explain(github(*lines))
    assert found.category is FailureCategory.TEST
    assert len(found.evidence) <= 40
    assert [line.number for line in found.evidence] == sorted({line.number for line in found.evidence})
    assert any("test_case_0 " in text for text in shown(found))
    assert any(text.startswith("FAILED tests/test_a.py::") for text in shown(found))
    assert any("30 failed" in text for text in shown(found))


def test_a_command_of_travis_that_went_well_gives_no_evidence() -> None:
    log = (
        "$ npm install\nnpm ERR! code E404\nError: something odd but survived\n"
        'The command "npm install" exited with 0.\n$ npm test\n  1) adds numbers\n     AssertionError: expected 3 to equal 4\n'
        'The command "npm test" exited with 1.\nDone. Your build exited with 1.\n'
    )
    found = explain(log)
    assert found.category is FailureCategory.TEST
    assert not any("E404" in text or "survived" in text for text in shown(found))
    assert found.evidence[-1].why == "exit marker"


def test_of_github_only_the_step_that_failed_is_read() -> None:
    log = (
        b"##[group]Run pip install\nERROR: Could not find a version that satisfies the requirement nothing\n##[endgroup]\n"
        + github(
            "src/a.rs:1:1: something",
            "error[E0425]: cannot find value `x` in this scope",
            "error: could not compile `a`",
        )
        + b"##[group]Run upload\nfatal: unable to access 'https://example.org/'\n"
    )
    found = explain(log)
    assert found.category is FailureCategory.COMPILATION
    assert not any("satisfies" in text or "unable to access" in text for text in shown(found))


# --- categories ---------------------------------------------------------------------------------------

CASES = [
    ("compilation", ["src/main.c:12:5: error: expected ';' before 'return'"]),
    ("compilation", ["/usr/bin/ld: main.o: undefined reference to `frob'", "collect2: error: ld returned 1 exit status"]),
    ("compilation", ["src\\a.cpp(89): error C2143: syntax error: missing ',' before '*'"]),
    ("compilation", ["Foo.java:7: error: cannot find symbol", "  symbol: class Bar"]),
    ("compilation", ["[ERROR] COMPILATION ERROR :", "[ERROR] /w/src/A.java:[3,8] cannot find symbol"]),
    ("compilation", ["e: file:///w/src/A.kt:3:5 Unresolved reference: foo"]),
    ("compilation", ["[error] /w/src/A.scala:12:3: not found: value foo", "[error]   foo", "[error]   ^"]),
    ("compilation", ["error[E0382]: borrow of moved value: `x`", "error: could not compile `thing`"]),
    ("compilation", ["./main.go:10:2: undefined: frob"]),
    ("compilation", ["src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'."]),
    ("compilation", ["Program.cs(3,5): error CS0103: The name 'x' does not exist in the current context"]),
    ("compilation", ["src/Lib.hs:4:1: error:", "    Variable not in scope: foo"]),
    ("compilation", ["== Compilation error in file lib/a.ex ==", "** (CompileError) lib/a.ex:3: undefined function b/0"]),
    ("compilation", ["/w/App/View.swift:10:5: error: cannot find 'Foo' in scope"]),
    ("test", ["____________ test_adds ____________", "E       assert 3 == 4", "FAILED tests/test_a.py::test_adds - assert 3 == 4"]),
    ("test", ["FAIL: test_adds (tests.TestMath)", "AssertionError: 3 != 4", "FAILED (failures=1)"]),
    ("test", ["--- FAIL: TestAdds (0.00s)", "    a_test.go:9: got 3, want 4", "FAIL\texample.org/a\t0.1s"]),
    ("test", ["test adds ... FAILED", "thread 'adds' panicked at src/lib.rs:3:5:", "test result: FAILED. 0 passed; 1 failed"]),
    ("test", ["  ● Math › adds", "    expect(received).toBe(expected)", "FAIL src/math.test.js"]),
    ("test", ["  1 failing", "  1) Math adds:", "     AssertionError: expected 3 to equal 4"]),
    ("test", ["  1) Math adds", "     Failure/Error: expect(3).to eq(4)", "rspec ./spec/math_spec.rb:3 # Math adds"]),
    ("test", ["There was 1 failure:", "1) MathTest::testAdds", "Failed asserting that 3 matches expected 4."]),
    ("test", ["[ERROR] testAdds(MathTest)  Time elapsed: 0.01 s  <<< FAILURE!", "java.lang.AssertionError: expected:<4> but was:<3>"]),
    ("test", ["MathTest > adds FAILED", "    org.opentest4j.AssertionFailedError at MathTest.java:9"]),
    ("test", ["  1) test adds (MathTest)", "     Assertion with == failed"]),
    ("test", ["[info] - adds *** FAILED ***", "[info]   3 did not equal 4 (MathSpec.scala:9)"]),
    ("test", ["not ok 3 - adds", "# Failed test 'adds'", "# Looks like you failed 1 test of 3."]),
    ("test", ["FAIL in (adds-test) (math_test.clj:9)", "expected: (= 4 (add 1 2))"]),
    ("test", ["[  FAILED  ] Math.Adds (0 ms)", "math_test.cc:9: Failure"]),
    ("test", ["math: Test Failed at test/runtests.jl:9", "ERROR: LoadError: Some tests did not pass: 3 passed, 1 failed"]),
    ("lint", ["src/a.py:3:80: E501 line too long (90 > 79 characters)"]),
    ("lint", ["src/a.py:3: error: Incompatible types in assignment  [assignment]", "Found 1 error in 1 file (checked 3 source files)"]),
    ("lint", ["/w/src/a.js", "  3:5  error  'x' is not defined  no-undef", "✖ 1 problem (1 error, 0 warnings)"]),
    ("lint", ["would reformat src/a.py", "1 file would be reformatted, 3 files would be left unchanged."]),
    ("lint", ["app/a.rb:3:5: C: Style/StringLiterals: Prefer single-quoted strings", "3 files inspected, 1 offense detected"]),
    ("lint", ["In a.sh line 3:", "rm $x", "   ^-- SC2086: Double quote to prevent globbing"]),
    ("dependency", ["ERROR: Could not find a version that satisfies the requirement nope==9", "ERROR: No matching distribution found for nope==9"]),
    ("dependency", ["ModuleNotFoundError: No module named 'requests'"]),
    ("dependency", ["npm ERR! code ERESOLVE", "npm ERR! ERESOLVE unable to resolve dependency tree"]),
    ("dependency", ["[ERROR] Failed to execute goal on project a: Could not resolve dependencies for project org:a:jar:1: Could not find artifact x"]),
    ("dependency", ["Bundler could not find compatible versions for gem \"rails\":"]),
    ("dependency", ["Your requirements could not be resolved to an installable set of packages.", "  Problem 1"]),
    ("dependency", ["E: Unable to locate package libnope-dev"]),
    ("dependency", ["error: failed to select a version for the requirement `serde = \"^9\"`"]),
    ("configuration", ["make: *** No rule to make target 'check'.  Stop."]),
    ("configuration", ["/bin/sh: 1: frobnicate: not found"]),
    ("configuration", ["bash: line 3: frobnicate: command not found"]),
    ("configuration", ["npm ERR! Missing script: \"check\""]),
    ("configuration", ["CMake Error at CMakeLists.txt:3 (find_package):"]),
    ("infrastructure", ["curl: (6) Could not resolve host: example.org"]),
    ("infrastructure", ["Error response from daemon: manifest for a:b not found: manifest unknown"]),
    ("infrastructure", ["fatal: unable to access 'https://example.org/a.git/': The requested URL returned error: 503"]),
    ("timeout", ["No output has been received in the last 10m0s, this potentially indicates a stalled build"]),
    ("timeout", ["##[error]The job running on runner 3 has exceeded the maximum execution time of 360 minutes."]),
    ("resource", ["write error: No space left on device"]),
    ("resource", ["FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory"]),
    ("resource", ["java.lang.OutOfMemoryError: Java heap space"]),
    ("permission", ["remote: Permission to a/b.git denied to github-actions[bot]."]),
    ("permission", ["##[error]Resource not accessible by integration"]),
    ("deployment", ["Error: UPGRADE FAILED: release a failed, and has been rolled back"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("category", "lines"), CASES, ids=[f"{category}: {lines[0][:40]}" for category, lines in CASES]
)
def test_the_category_comes_from_a_line_that_is_shown(category: str, lines: list[str]) -> None:
    found = explain(github("a line before", *lines))
    assert found.category.value == category
    deciding = next(line for line in found.evidence if line.number == found.deciding)
    assert deciding.text in lines
    assert found.rule
    assert deciding.why == found.rule
    assert set(lines) <= set(shown(found))


def test_unknown_is_a_result_with_the_end_of_the_log() -> None:
    found = explain(github("Checking the moon", "It is not full tonight", "Giving in"))
    assert found.category is FailureCategory.UNKNOWN
    assert found.rule == ""
    assert found.precision is None
    assert found.deciding is None
    assert {"It is not full tonight", "Giving in"} <= set(shown(found))
    assert found.cluster
    assert "Unknown" in found.told


def test_an_outage_that_the_step_outlived_is_not_its_cause() -> None:
    noise = [f"line {number} of a long and otherwise quiet run" for number in range(400)]
    found = explain(
        github(
            "curl: (7) Failed to connect to example.org: Connection refused",
            *noise,
            "--- FAIL: TestAdds (0.00s)",
        )
    )
    assert found.category is FailureCategory.TEST


def test_the_step_is_named_in_what_is_told() -> None:
    assert explain(github("./main.go:10:2: undefined: frob"), step="Build").told.startswith(
        "step Build: Compilation"
    )


# --- green --------------------------------------------------------------------------------------------

GREEN = [
    "0 errors, 0 warnings\nAll checks passed\n",
    "test error_is_raised ... ok\ntest result: ok. 3 passed; 0 failed\n",
    "=== RUN TestFailure\n--- PASS: TestFailure (0.00s)\nok  \texample.org/errors\t0.1s\n",
    "Tests run: 30, Failures: 0, Errors: 0, Skipped: 1\n[INFO] BUILD SUCCESS\n",
    "gcc -Wall -Werror -o error.o -c error.c\n",
    "tests/test_errors.py::test_fatal_exception PASSED\n===== 12 passed in 0.3s =====\n",
    "Collecting exception-errors\nDownloading errors-1.0.whl\nSuccessfully installed errors\n",
    "warning: variable 'error' is never used\n    Finished dev [unoptimized] target(s)\n",
    'ERROR: expected in a test\nThe command "make" exited with 0.\n\nDone. Your build exited with 0.\n',
    "FAILED once, tried again\nFinished: SUCCESS\n",
    "fatal: not shown\nJob succeeded\n",
    "",
    "\n\n\n",
]


@pytest.mark.parametrize("log", GREEN)
def test_a_green_log_has_no_failure(log: str) -> None:
    found = explain(log)
    assert found.category is FailureCategory.NONE
    assert not found.is_failure
    assert (found.evidence, found.signature, found.cluster, found.rule) == ((), "", "", "")


def test_a_job_of_github_that_cleaned_up_without_an_error_is_green() -> None:
    assert not explain("ERROR: told by a test\nPost job cleanup.\nCleaning up orphan processes\n").is_failure


def test_what_ci_said_of_the_step_goes_before_what_the_log_lets_think() -> None:
    assert explain("all is well\n", failed=True).category is FailureCategory.UNKNOWN
    assert not explain(github("./main.go:10:2: undefined: frob"), failed=False).is_failure
    survived = (
        b"fatal: unable to access 'https://example.org/'\nPost job cleanup.\nCleaning up orphan processes\n"
    )
    assert explain(survived, failed=True).category is FailureCategory.INFRASTRUCTURE


def test_a_line_that_is_also_in_green_runs_is_no_cause() -> None:
    usual = "curl: (7) Failed to connect to localhost port 8125 after 3 ms: Connection refused"
    green = templates(f"2025-01-01T00:00:00.1Z {usual.replace('3 ms', '12 ms')}\nall done\n".encode())
    red = github(usual, "It stopped")
    assert explain(red).category is FailureCategory.INFRASTRUCTURE
    found = explain(red, seen_when_green=green)
    assert found.category is FailureCategory.UNKNOWN
    assert "It stopped" in shown(found)
    other = explain(github(usual, "./main.go:10:2: undefined: frob"), seen_when_green=green)
    assert other.category is FailureCategory.COMPILATION


# --- signatures and clusters --------------------------------------------------------------------------


def pytest_run(test: str, message: str, *, root: str, seconds: str, line: int, sha: str) -> bytes:
    return github(
        f"Checking out {sha} into {root}",
        "=" * line + " FAILURES " + "=" * line,
        f"{'_' * line} {test} {'_' * line}",
        f"{root}/tests/test_a.py:{line}: in {test}",
        f"E       {message}",
        f"FAILED tests/test_a.py::{test} - {message}",
        f"==== 1 failed, {line * 7} passed in {seconds}s ====",
    )


def test_two_runs_of_the_same_failure_share_signature_and_cluster() -> None:
    first = explain(pytest_run("test_adds", "AssertionError: timeout after 31 ms on 127.0.0.1:54321", root=RUNNER,
                               seconds="3.21", line=9, sha="0123456789abcdef0123456789abcdef01234567"))  # fmt: skip
    again = explain(pytest_run("test_adds", "AssertionError: timeout after 4 ms on 127.0.0.1:4", root="/builds/a", seconds="61.7",
                               line=120, sha="fedcba9876543210fedcba9876543210fedcba98"))  # fmt: skip
    assert first.signature == again.signature
    assert first.cluster == again.cluster
    assert re.fullmatch(r"[0-9a-f]{16}", first.cluster)


def test_different_assertion_failures_do_not_share_a_cluster() -> None:
    same = {"root": "/w", "seconds": "1.0", "line": 9, "sha": "0" * 40}
    one = explain(pytest_run("test_adds", "assert result is None", **same))  # type: ignore[arg-type]
    other_test = explain(pytest_run("test_subtracts", "assert result is None", **same))  # type: ignore[arg-type]
    other_message = explain(pytest_run("test_adds", "assert names == sorted(names)", **same))  # type: ignore[arg-type]
    assert len({one.cluster, other_test.cluster, other_message.cluster}) == 3


def test_the_order_in_which_tests_end_does_not_change_the_cluster() -> None:
    one, two = "--- FAIL: TestAdds (0.01s)", "--- FAIL: TestDivides (1.20s)"
    assert explain(github(one, two)).cluster == explain(github(two, one.replace("0.01", "7.5"))).cluster


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 3.2s", "took 14s"),
        ("at 0x7ffee3b0", "at 0x10"),
        ("commit 3f2a9c1d", "commit a01bc2def9"),
        (f"{RUNNER}/src/x.py:3: bad", "/builds/group/a/src/x.py:1234: bad"),
        ("C:\\Users\\a\\src\\x.cs bad", "D:\\a\\b\\src\\x.cs bad"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-0000-0000-0000-000000000000"),
        ("2025-01-02T03:04:05Z gone", "2024-12-31 23:59:59.123 gone"),
        ("connect 10.0.0.1:80", "connect 192.168.1.20:54321"),
        ("localhost:8080 refused", "localhost:54321 refused"),
        ("lib 1.2.3 breaks", "lib v10.0.1-rc.2 breaks"),
        ("/tmp/tmp.x8Yz/out.log missing", "/tmp/tmp.Q1/out.log missing"),
        ("==== summary ====", "========= summary ========="),
    ],
)
def test_what_differs_from_run_to_run_is_masked(one: str, other: str) -> None:
    assert template(one) == template(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("test_adds failed", "test_divides failed"),
        ("test_v2 failed", "test_v3 failed"),
        ("undefined: frob", "undefined: nix"),
        ("expected 'a'", "expected 'b'"),
        ("src/a.py broken", "src/b.py broken"),
    ],
)
def test_what_tells_failures_apart_is_kept(one: str, other: str) -> None:
    assert template(one) != template(other)


# --- secrets ------------------------------------------------------------------------------------------

SECRETS = [
    ("token ghp_" + "a1B2" * 9, "a1B2a1B2"),
    ("github_pat_" + "Ab1_" * 12, "Ab1_Ab1_"),
    ("https://user:hunter22@example.org/a.git", "hunter22"),
    ("https://x-access-token:abcdef123@example.org/a.git", "abcdef123"),
    ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
    ("DB_PASSWORD=correct-horse", "correct-horse"),
    ("password: 'correct horse'", "correct"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENG", "wJalr"),
    ("key AKIAIOSFODNN7EXAMPLE", "IOSFODNN"),
    ("xoxb-123456789012-abcdefghij", "abcdefghij"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def", "eyJzdWIi"),
    ("curl --token s3cr3tvalue https://example.org", "s3cr3tvalue"),
    ("GET https://example.org/a?X-Amz-Signature=0a1b2c3d4e5f", "0a1b2c3d4e5f"),
    ("-----BEGIN RSA PRIVATE KEY----- MIIEow", "MIIEow"),
    ("glpat-" + "x" * 20, "xxxxxx"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_leave_no_trace_in_an_explanation(text: str, secret: str) -> None:
    found = explain(github(f"fatal: could not push with {text}", f"error: {text} was refused"))
    assert any("***" in line for line in shown(found))
    assert secret not in repr(found)


@pytest.mark.parametrize(
    "text",
    ["expected token ';' before 'return'", "KeyError: 'name'", "password is required", "secret: ***", "token=${TOKEN}", "0123456789abcdef0123456789abcdef01234567"],
)  # fmt: skip
def test_words_about_secrets_stay(text: str) -> None:
    assert mask_secrets(text) == text


# --- signatures written by people ---------------------------------------------------------------------

KNOWN = """\
- name: mirror down
  version: 2
  pattern: 'mirror\\.example\\.org.*refused'
  category: infrastructure
  explanation: The package mirror was down; run the job again.
  issue: https://example.org/issues/7
- name: half of a thing
  version: 1
  patterns: ['one half', 'other half']
  match: all
  not: ['both halves']
  category: configuration
  explanation: Two settings contradict each other.
"""


def signatures(folder: Path, text: str) -> Signatures:
    (folder / "known.yaml").write_text(text, "utf-8")
    return Signatures.load(folder)


def test_a_signature_that_a_person_wrote_goes_before_the_rules(tmp_path: Path) -> None:
    known = signatures(tmp_path, KNOWN)
    found = explain(
        github("GET mirror.example.org: Connection refused", "src/a.c:1:1: error: no"), signatures=known
    )
    assert (found.category, found.rule) == (FailureCategory.INFRASTRUCTURE, "mirror down")
    assert found.issue == "https://example.org/issues/7"
    assert "run the job again" in found.told
    assert shown(found)[[line.number for line in found.evidence].index(found.deciding or 0)].startswith(
        "GET mirror"
    )
    assert explain(github("src/a.c:1:1: error: no"), signatures=known).rule == "C or C++ error"


def test_all_and_not_patterns(tmp_path: Path) -> None:
    known = signatures(tmp_path, KNOWN)
    assert known.match(["one half"]) is None
    match = known.match(["nothing", "the other half", "one half"])
    assert match is not None
    assert (match.signature.name, match.line) == ("half of a thing", 1)
    assert known.match(["one half", "other half", "both halves"]) is None


def test_the_digest_changes_with_the_meaning_only(tmp_path: Path) -> None:
    digest = signatures(tmp_path, KNOWN).digest
    assert signatures(tmp_path, "# a remark\n" + KNOWN).digest == digest
    assert signatures(tmp_path, KNOWN.replace("version: 2", "version: 3")).digest != digest
    assert signatures(tmp_path, KNOWN.replace("half'", "halves'", 1)).digest != digest
    assert Signatures.load(tmp_path / "not there").digest == Signatures(()).digest


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            "name: a\nversion: 1\npattern: '('\ncategory: test\nexplanation: b\n",
            3,
            "is no regular expression",
        ),
        ("name: a\nversion: 1\npattern: '(a+)+$'\ncategory: test\nexplanation: b\n", 3, "repeats a group"),
        ("name: a\nversion: 1\npattern: 'a*'\ncategory: test\nexplanation: b\n", 3, "matches every line"),
        ("name: a\nversion: 1\npattern: a\ncategory: tests\nexplanation: b\n", 4, "category must be one of"),
        ("name: a\nversion: 1\npattern: a\ncategory: none\nexplanation: b\n", 4, "category must be one of"),
        ("name: a\nversion: zero\npattern: a\ncategory: test\nexplanation: b\n", 2, "whole number"),
        ("name: a\nversion: 1\npattern: a\ncategory: test\n", 1, "explanation is missing"),
        ("name: a\nversion: 1\ncategory: test\nexplanation: b\n", 1, "pattern or patterns"),
        ("name: a\nversion: 1\npattern: a\ncategory: test\nexplanation: b\nissue: javascript:x\n", 6, "link"),
        ("name: a\nversion: 1\npattern: a\ncategory: test\nexplanation: b\nseverity: 3\n", 6, "unknown key"),
        ("name: a\nname: b\nversion: 1\npattern: a\ncategory: test\nexplanation: b\n", 2, "again"),
        ("- just text\n", 1, "must begin with a key"),
        ("name: [\n", 2, "no YAML"),
        ("name: &x a\nversion: 1\npattern: *x\ncategory: test\nexplanation: b\n", 3, "references"),
    ],
)
def test_a_mistake_in_a_signature_is_told_with_file_and_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(ConfigurationError) as told:
        signatures(tmp_path, text)
    assert f"known.yaml, line {line}: " in str(told.value)
    assert said in str(told.value)


def test_two_signatures_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(KNOWN, "utf-8")
    with pytest.raises(ConfigurationError, match="is used already"):
        signatures(tmp_path, KNOWN.replace("mirror down", "Mirror Down").replace("half of a thing", "else"))


# --- rules as data ------------------------------------------------------------------------------------


def test_shipped_rules_have_different_names_and_precision_only_where_measured() -> None:
    names = [rule.name for rule in shipped_rules().rules]
    assert len(names) == len(set(names)) > 150
    folder = files("achievement_collector.derive") / "rules" / "failures"
    measured = tomllib.loads((folder / "measured.toml").read_text("utf-8"))["precision"]
    assert set(measured) <= set(names)
    for rule in shipped_rules().rules:
        assert (rule.precision is None) == (rule.name not in measured)
        assert rule.precision is None or 0 <= rule.precision.right <= rule.precision.of


def test_every_rule_can_be_reached_by_its_literals() -> None:
    folder = files("achievement_collector.derive") / "rules" / "failures"
    for name in FILES:
        for rule in tomllib.loads((folder / f"{name}.toml").read_text("utf-8"))["rule"]:
            assert all(need == need.lower() and need.strip() for need in rule["needs"]), rule["name"]
            assert 1 <= rule["weight"] <= 10


@pytest.mark.parametrize(
    "unit",
    ["a", "error: ", "(", "1) ", " -", "_", "a.b:1: ", "expected ", "x/", "0", "a-", "Failed ", "\t", "é"],
)
def test_a_hostile_line_does_not_stop_the_reading(unit: str) -> None:
    begin = time.monotonic()
    explain(github(*(f"error: {unit * 3000} failed {number}" for number in range(20))))
    template(unit * 3000)
    mask_secrets(unit * 2000)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "unit",
    [
        'the command "',
        "exited with 1",
        "##[error]",
        "\x1b[3",
        "\x1b]8;",
        "travis_fold:start:",
        "a\t",
        "(1,",
        "at a.b(",
    ],
)
def test_a_hostile_line_of_a_megabyte_does_not_stop_the_reading(unit: str) -> None:
    begin = time.process_time()
    explain("error\n" + unit * (1_000_000 // len(unit)) + " exited with 1\nerror: done\n", failed=True)
    assert time.process_time() - begin < 5


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"error: a", b"FAILED", b"\x1b[31m", b"##[error]x", b"\r", b'The command "a" exited with 1.', b"exited with ",
                             b"##[group]Run a", b"Process completed with exit code 1", b"Finished: SUCCESS", b"Traceback (most recent call last)"]),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_any_bytes_are_explained_with_true_places(lines: list[bytes]) -> None:
    log = b"\n".join(lines)
    found = explain(log)
    assert len(found.evidence) <= 40
    offsets = [line.offset for line in found.evidence]
    assert offsets == sorted(set(offsets))
    assert all(log[: line.offset].count(b"\n") + 1 == line.number for line in found.evidence)
    assert found.is_failure == bool(found.cluster)
    assert explain(log) == found


def test_a_log_of_many_megabytes_with_errors_everywhere_is_read_in_time() -> None:
    log = b"".join(
        b"2025-01-01T00:00:00.0Z error: number %d failed with an exception\n" % number
        for number in range(300_000)
    )
    begin = time.process_time()
    found = explain(log + b"##[error]Process completed with exit code 1.\n")
    assert found.is_failure
    assert time.process_time() - begin < 5


# --- recorded logs ------------------------------------------------------------------------------------


@needs_data
def test_no_failure_is_found_in_recorded_green_logs() -> None:
    logs = {path: gzip.decompress(path.read_bytes()) for path in DATA.glob("cidiff/*/pass.log.gz")}
    logs |= {path: path.read_bytes() for path in DATA.glob("duck_hunt-handmade/*success*")}
    assert len(logs) > 40
    assert [str(path) for path, log in logs.items() if explain(log).is_failure] == []


@needs_data
def test_nine_of_ten_labelled_failures_of_projects_not_looked_at_are_covered() -> None:
    from benchmarks.ci_logs import covered, logchunks

    shares = [
        covered(one.chunk, [line.text for line in explain(one.log).evidence])
        for one in logchunks(DATA)
        if not one.is_development
    ]
    assert len(shares) > 100
    assert sum(one.hits > 0 for one in shares) >= 0.95 * len(shares)
    assert sum(one.share >= 0.5 for one in shares) >= 0.9 * len(shares)


@needs_data
def test_marked_lines_of_pytorch_are_shown() -> None:
    from benchmarks.ci_logs import pytorch

    marked = [(name, log, marks) for name, log, marks in pytorch(DATA) if marks]
    missed = [
        name
        for name, log, marks in marked
        if not marks & {line.number for line in explain(log, failed=True).evidence}
    ]
    assert len(marked) == 21
    assert len(missed) <= 2, missed


@needs_data
def test_reruns_of_one_failure_recorded_by_others_share_a_cluster() -> None:
    labels = json.loads((DATA / "logchunks/labels/Java__ReactiveX@RxJava.json").read_text("utf-8"))
    by_chunk: dict[str, set[str]] = {}
    for one in labels:
        log = gzip.decompress((DATA / "logchunks" / one["log"]).read_bytes())
        by_chunk.setdefault(template(" ".join(one["chunk"].split())), set()).add(explain(log).cluster)
    assert all(len(clusters) == 1 for clusters in by_chunk.values())
