"""How well the causes of failed CI logs are found: ``python -m benchmarks.ci_logs [--data ../shared/data/ci-logs] [--write]``.

LogChunks gives each failed log with the part that a human marked as the reason. Compared are lines without colours and white
space. A labelled line (of at least three characters) is covered when one of the first 40 evidence lines equals it, or holds it
(six characters or more), or is a part of it (twelve or more; long lines are cut). Printed are four readings of "covered", from
loose to strict, and next to them what the last 40 lines of the log would give. Rules were written with the half of the projects
whose name's SHA-256 is even ("development") before their eyes; the other half ("held out") was only measured.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from achievement_collector.derive.failures.choosing import MOST_LINES
from achievement_collector.derive.failures.explaining import Explanation, explain
from achievement_collector.derive.failures.normalising import template
from achievement_collector.derive.failures.outcome import outcome
from achievement_collector.derive.failures.reading import lines_of, readable, text_at

DATA = Path("../shared/data/ci-logs")
MEASURED = Path("src/achievement_collector/derive/rules/failures/measured.toml")

_COLOURS = re.compile(r"\x1b?\[[0-9;]*m|\x1b?\[[0-9;]+[A-Za-z]|\x1b?\[K")
_SAID = re.compile(rb'(?i)the command ".*" exited with \d+\.?|your build exited with \d+')
_GREEN_COMMAND = re.compile(rb'The command ".*" exited with 0\.')

# What the failure is, read by us from the name and text of each part; those that may be told in two ways are left out.
PYTORCH = {
    "action_archive_download_failure": "infrastructure", "aws_credentials_load_failure": "permission",
    "collection_assertionerror": "test", "compile_error": "compilation", "docker_manifest_unknown": "infrastructure",
    "gha_cancellation_shutdown": "infrastructure", "gha_operation_canceled": "infrastructure", "lint_lintrunner": "lint",
    "msvc_compiler_error": "compilation", "pip_wheel_build_failure": "dependency", "pytest_failures_section": "test",
    "python_importerror_name": "dependency", "test_file_failed_wrapper": "test", "test_file_timeout": "timeout",
    "uv_python_download_failed": "infrastructure",
}  # fmt: skip


class Covered(NamedTuple):
    """Of a labelled failure: labelled lines (at most 40) and how many of them are covered."""

    lines: int
    hits: int

    @property
    def share(self) -> float:
        return min(1.0, self.hits / self.lines) if self.lines else 0.0


class Labelled(NamedTuple):
    project: str
    log: bytes
    chunk: str

    @property
    def is_development(self) -> bool:
        return int(hashlib.sha256(self.project.encode()).hexdigest(), 16) % 2 == 0


def bare(text: str) -> str:
    """Without colours (also such as lost their escape) and white space."""
    previous = None
    while previous != text:
        previous, text = text, _COLOURS.sub("", text)
    return re.sub(r"\s", "", text).rstrip("…")


def is_covered(label: str, evidence: Sequence[str]) -> bool:
    return any(
        label == one or (len(label) >= 6 and label in one) or (len(one) >= 12 and one in label)
        for one in evidence
    )


def covered(chunk: str, lines: Sequence[str]) -> Covered:
    labels = [found for line in chunk.split("\n") if len(found := bare(line)) >= 3]
    evidence = [found for line in lines if (found := bare(line))]
    hits = sum(is_covered(label, evidence) for label in labels)
    return Covered(min(len(labels), MOST_LINES), min(hits, MOST_LINES))


def logchunks(data: Path) -> Iterator[Labelled]:
    for path in sorted((data / "logchunks" / "labels").glob("*.json")):
        for one in json.loads(path.read_text("utf-8")):
            yield Labelled(
                path.stem, gzip.decompress((data / "logchunks" / one["log"]).read_bytes()), one["chunk"]
            )


def last_lines(log: bytes) -> list[str]:
    found = [text for start in lines_of(log, max(0, len(log) - 40_000)) if (text := text_at(log, start))]
    return found[-MOST_LINES:]


def percent(part: int, whole: int) -> str:
    return f"{part}/{whole} = {100 * part / whole:.1f} %" if whole else "none"


def told(title: str, found: Sequence[Covered]) -> None:
    n = len(found)
    mean = sum(one.share for one in found) / n if n else 0
    print(
        f"  {title:<34} any line {percent(sum(one.hits > 0 for one in found), n):<18}"
        f" half {percent(sum(one.share >= 0.5 for one in found), n):<18}"
        f" all lines {percent(sum(one.share >= 0.999 for one in found), n):<18} mean share of lines {100 * mean:.1f} %"
    )


class Measure:
    """Counts, per rule, how often its deciding line lies in what a human marked."""

    def __init__(self) -> None:
        self.precision: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.categories: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, explanation: Explanation, *, is_right: bool) -> None:
        if explanation.rule:
            for counts in (self.precision[explanation.rule], self.categories[explanation.category.value]):
                counts[0] += is_right
                counts[1] += 1


def deciding_text(explanation: Explanation) -> str:
    return next((one.text for one in explanation.evidence if one.number == explanation.deciding), "")


def measure_logchunks(data: Path, measure: Measure) -> None:
    ours: dict[bool, list[Covered]] = {True: [], False: []}
    tails: dict[bool, list[Covered]] = {True: [], False: []}
    clusters: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    unknown = missed = 0
    for one in logchunks(data):
        explanation = explain(one.log)
        ours[one.is_development].append(covered(one.chunk, [line.text for line in explanation.evidence]))
        tails[one.is_development].append(covered(one.chunk, last_lines(one.log)))
        clusters[one.project, template(" ".join(one.chunk.split()))].append(explanation.cluster)
        unknown += explanation.category.value == "unknown"
        missed += not explanation.is_failure
        labels = [found for line in one.chunk.split("\n") if len(found := bare(line)) >= 3]
        line = bare(deciding_text(explanation))
        measure.add(explanation, is_right=bool(line) and any(is_covered(label, [line]) for label in labels))
    print(
        f"LogChunks: {sum(map(len, ours.values()))} failed Travis logs, of each the part that a human marked"
    )
    told("held out: 40 evidence lines", ours[False])
    told("held out: the last 40 lines", tails[False])
    told("development: 40 evidence lines", ours[True])
    told("development: the last 40 lines", tails[True])
    told("both: 40 evidence lines", ours[True] + ours[False])
    n = sum(map(len, ours.values()))
    print(f"  category unknown {percent(unknown, n)}; taken for no failure {percent(missed, n)}")
    again = [found for found in clusters.values() if len(found) > 1]
    print(
        "  failures whose marked parts are the same but for numbers, times and paths: "
        f"one cluster in {percent(sum(len(set(found)) == 1 for found in again), len(again))}"
    )


def marked_lines(path: Path) -> set[int]:
    found: set[int] = set()
    for line in path.read_text("utf-8").splitlines():
        if mark := re.match(r"E (\d+)(?:-(\d+))?", line):
            found.update(range(int(mark[1]), int(mark[2] or mark[1]) + 1))
    return found


def measure_cidiff(data: Path, measure: Measure) -> None:
    hits, shares, out = 0, [], 0
    for folder in sorted((data / "cidiff").iterdir()):
        log = gzip.decompress((folder / "fail.log.gz").read_bytes())
        marks = marked_lines(folder / "groundtruth")
        if not marks or max(marks) > log.count(b"\n") + 1:
            out += 1
            continue
        explanation = explain(log, failed=True)
        shown = {line.number for line in explanation.evidence}
        hits += bool(shown & marks)
        shares.append(min(1.0, len(shown & marks) / min(len(marks), MOST_LINES)))
        measure.add(explanation, is_right=explanation.deciding in marks)
    print(
        f"cidiff: a marked line shown in {percent(hits, len(shares))}; mean share of marked lines "
        f"{100 * sum(shares) / len(shares):.1f} %; left out {out} whose marks lie beyond the end of the log"
    )


def pytorch(data: Path) -> Iterator[tuple[str, str, set[int]]]:
    for path in sorted((data / "pytorch-classify").glob("*.txt")):
        lines: list[str] = []
        marks: set[int] = set()
        for line in path.read_text("utf-8").split("\n"):
            if line.startswith("#=SOURCE=#"):
                continue
            if line.startswith("#=MATCH=# "):
                marks.add(len(lines) + 1)
                line = line.removeprefix("#=MATCH=# ")
            lines.append(line.replace("‹", "").replace("›", ""))
        yield path.stem, "\n".join(lines), marks


def measure_pytorch(data: Path, measure: Measure) -> None:
    hits = n = right = wrong = unknown = 0
    for name, log, marks in pytorch(data):
        explanation = explain(log, failed=True)
        if marks:
            n += 1
            hits += bool(marks & {line.number for line in explanation.evidence})
            measure.add(explanation, is_right=explanation.deciding in marks)
        if name in PYTORCH:
            right += explanation.category.value == PYTORCH[name]
            unknown += explanation.category.value == "unknown"
            wrong += explanation.category.value not in (PYTORCH[name], "unknown")
    print(
        f"pytorch-classify: the marked line shown in {percent(hits, n)}; category as read by us {percent(right, len(PYTORCH))},"
        f" unknown {unknown}, another {wrong}"
    )


def measure_treeherder(data: Path, measure: Measure) -> None:
    hits = n = 0
    for path in sorted((data / "treeherder").glob("*.logview.json")):
        labels = [
            found for one in json.loads(path.read_text("utf-8"))["errors"] if (found := bare(one["line"]))
        ]
        if not labels:
            continue
        log = gzip.decompress(path.with_name(path.name.replace(".logview.json", ".log.gz")).read_bytes())
        explanation = explain(log, failed=True)
        evidence = [bare(line.text) for line in explanation.evidence]
        n += 1
        hits += any(is_covered(label, evidence) for label in labels)
        line = bare(deciding_text(explanation))
        measure.add(explanation, is_right=bool(line) and any(is_covered(label, [line]) for label in labels))
    print(f"treeherder: one of the expected error lines shown in {percent(hits, n)}")


def measure_logdetective(data: Path) -> None:
    hits = n = 0
    for path in sorted((data / "logdetective").glob("*/sample_metadata.yaml")):
        issue = path.read_text("utf-8").partition("issue:")[2].partition("log_detective_version")[0]
        names = re.findall(r"`([^`']{4,})[`']", issue)
        log = gzip.decompress(next(path.parent.glob("*.log.gz")).read_bytes())
        text = "\n".join(line.text for line in explain(log, failed=True).evidence)
        n += 1
        hits += any(name.split()[0] in text for name in names)
    print(f"logdetective: a name that the human explanation quotes is in the evidence of {percent(hits, n)}")


def measure_green(data: Path) -> None:
    logs = [gzip.decompress(path.read_bytes()) for path in sorted((data / "cidiff").glob("*/pass.log.gz"))]
    logs += [path.read_bytes() for path in sorted((data / "duck_hunt-handmade").glob("*success*"))]
    found = sum(explain(log).is_failure for log in logs)
    print(f"green logs: failures found in {percent(found, len(logs))} (must be 0)")
    parts = alarms = reds = found_red = 0
    for one in logchunks(data):
        begin = 0
        for end in _GREEN_COMMAND.finditer(one.log):
            part = one.log[begin : end.start()]
            begin = end.end()
            if b"exited with" not in part and len(part) > 200:
                parts += 1
                alarms += explain(part).is_failure
        failed = next(iter(outcome(one.log.lower())[1]))
        reds += 1
        found_red += explain(_SAID.sub(b"", one.log[failed.start : failed.marker or failed.end])).is_failure
    print(
        f"  outputs of green Travis commands, their exit line taken away: taken for a failure {percent(alarms, parts)};"
        " with the exit line, or where CI said that the step passed, none can be"
    )
    print(
        f"  outputs of the first red command of each log, without the exit line: taken for a failure {percent(found_red, reds)}"
    )


def measure_speed(data: Path) -> None:
    logs = [one.log for one in logchunks(data)]
    explain(logs[0])
    size = sum(map(len, logs)) / 1e6
    best = 0.0
    for _ in range(3):
        begin = time.process_time()
        for log in logs:
            explain(log)
        best = max(best, size / (time.process_time() - begin))
    plain = b"".join(readable(line).encode() + b"\n" for log in logs[:100] for line in log.split(b"\n"))
    joined = plain.replace(b"exited with", b"ended with")  # one part, all of which is read
    begin = time.process_time()
    explain(joined)
    took = time.process_time() - begin
    print(
        f"speed, one core: {best:.0f} MB/s ({len(logs)} logs of {1000 * size / len(logs):.0f} kB on average, best of three);"
        f" one log of {len(joined) / 1e6:.0f} MB: {len(joined) / 1e6 / took:.0f} MB/s"
    )


def write(measure: Measure) -> None:
    lines = [
        "# Written by `python -m benchmarks.ci_logs --write`: of the labelled failures that a rule decided, in how many",
        "# its line lay in the part that a human had marked (LogChunks, cidiff, pytorch-classify, treeherder).",
        "# A rule that is not here was not measured.",
        "[precision]",
        *(
            f"{json.dumps(rule, ensure_ascii=False)} = [{right}, {of}]"
            for rule, (right, of) in sorted(measure.precision.items())
        ),
    ]
    MEASURED.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"written: {MEASURED}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--write", action="store_true", help="store the measured precision of the rules")
    options = parser.parse_args()
    if not (options.data / "logchunks").is_dir():
        raise SystemExit(f"{options.data} has no logchunks; name the folder with --data")
    measure = Measure()
    measure_logchunks(options.data, measure)
    measure_cidiff(options.data, measure)
    measure_pytorch(options.data, measure)
    measure_treeherder(options.data, measure)
    measure_logdetective(options.data)
    measure_green(options.data)
    print("the deciding line lies in the marked part, per category:")
    for category, (right, of) in sorted(measure.categories.items()):
        print(f"  {category:<16} {percent(right, of)}")
    print("and per rule (five failures or more):")
    for rule, (right, of) in sorted(measure.precision.items(), key=lambda item: -item[1][1]):
        if of >= 5:
            print(f"  {rule:<44} {percent(right, of)}")
    measure_speed(options.data)
    if options.write:
        write(measure)


if __name__ == "__main__":
    main()
