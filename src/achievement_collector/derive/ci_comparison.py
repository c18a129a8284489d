"""What a change did to the measures of CI: each report of the change beside the latest earlier one of its base branch.

Nothing is said without a baseline, and no change is called one that is smaller than the measurements' own spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from achievement_collector.facts.work import CiReport

_SIGNIFICANT_SPREADS = 2.0
"""A difference of means counts where it exceeds this many standard errors (about 95 % for normal noise)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a change. Rates are 0 to 1, times as the report has them (``unit``).

    ``before`` is None where there is no baseline (``note`` says so); ``samples`` and ``spread`` (a standard deviation or
    range in the same unit) are None where the report does not tell; ``is_clear`` is None where the spread is not known,
    else whether the difference exceeds the noise."""

    kind: str
    name: str
    after: float
    before: float | None = None
    unit: str = ""
    higher_is_better: bool | None = None
    samples: int | None = None
    samples_before: int | None = None
    spread: float | None = None
    spread_before: float | None = None
    is_clear: bool | None = None
    report: str = ""
    baseline: str = ""
    note: str = ""

    @property
    def change(self) -> float | None:
        return None if self.before is None else self.after - self.before

    @property
    def improves(self) -> bool | None:
        """Whether it got better; None where that cannot be said."""
        if self.before is None or self.higher_is_better is None or self.is_clear is False:
            return None
        if self.after == self.before:
            return False
        return (self.after > self.before) is self.higher_is_better

    def as_data(self) -> dict[str, Any]:
        return asdict(self) | {"change": self.change, "improves": self.improves, "text": in_words(self)}


def compare(
    own: Iterable[CiReport], reports: Sequence[CiReport], base: str, base_sha: str
) -> tuple[Measure, ...]:
    """The measures of a change, from the latest of its ``own`` reports of each kind and name.

    The baseline is the report of the commit the change is based on (``base_sha``), else the latest earlier one of the
    branch ``base``; never a report of the change itself.
    """
    latest: dict[tuple[str, str], CiReport] = {}
    for one in sorted(own, key=lambda one: (one.at, one.key)):
        latest[one.kind, one.name] = one
    shas = {one.sha for one in latest.values()}
    found: list[Measure] = []
    for (kind, name), report in sorted(latest.items()):
        candidates = [
            other
            for other in reports
            if (other.kind, other.name) == (kind, name) and other.sha not in shas and other.at <= report.at
            and (other.sha == base_sha or (base and other.branch == base and other.pull_request is None))
        ]  # fmt: skip
        exact = [other for other in candidates if base_sha and other.sha == base_sha]
        chosen = exact or candidates
        baseline = chosen[-1] if chosen else None
        found += _measures(report, baseline, base)
    return tuple(found)


def _measures(report: CiReport, baseline: CiReport | None, base: str) -> list[Measure]:
    before = baseline.body if baseline else {}
    reader = _READERS.get(report.kind)
    if reader is None:
        return []
    where = f"no report of {base or 'the base branch'} to compare with"
    found = []
    for told in reader(report.body, before):
        note = told.note or (
            "" if told.before is not None else where if baseline is None else "not in the baseline"
        )
        found.append(
            Measure(**{
                **asdict(told),
                "name": " ".join(filter(None, (told.name, f"({report.name})" if report.name else ""))),
                "report": report.sha, "baseline": baseline.sha if baseline else "", "note": note,
            })
        )  # fmt: skip
    return found


def _tests(after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Measure]:
    found = []
    for name, better in (("total", True), ("failed", False), ("flaky", False)):
        if _number(after, name) is not None:
            label = "tests" if name == "total" else f"{name} tests"
            found.append(
                Measure("tests", label, _number(after, name) or 0.0, _number(before, name), "tests", better)
            )
    return found


def _coverage(after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Measure]:
    found = []
    for name, label in (("line_rate", "line coverage"), ("branch_rate", "branch coverage")):
        value = _number(after, name)
        if value is not None:
            found.append(
                Measure(
                    "coverage", label, value, _number(before, name), "rate", True,
                    samples=_whole(after, name.replace("rate", "s_valid").replace("branchs", "branches")),
                )
            )  # fmt: skip
    return found


def _benchmarks(after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Measure]:
    earlier = {one.get("name"): one for one in before.get("benchmarks", ()) if isinstance(one, Mapping)}
    found = []
    for one in after.get("benchmarks", ()):
        value = _number(one, "value")
        if value is None:
            continue
        old = earlier.get(one.get("name"), {})
        note = ""
        if old and old.get("unit") != one.get("unit"):
            old, note = {}, "the baseline is in another unit"
        found.append(
            Measure(
                "benchmark", str(one.get("name", "")), value, _number(old, "value"), str(one.get("unit") or ""),
                one.get("higher_is_better"), _whole(one, "samples"), _whole(old, "samples"), _number(one, "spread"),
                _number(old, "spread"), _is_clear(one, old), note=note,
            )
        )  # fmt: skip
    return found


def _is_clear(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool | None:
    """Whether two means differ by more than chance would have it (Welch's statistic against 2)."""
    told = [_number(one, name) for one in (after, before) for name in ("value", "spread", "samples")]
    if any(value is None for value in told):
        return None
    value, spread, samples, value_before, spread_before, samples_before = (float(one or 0) for one in told)
    if samples < 2 or samples_before < 2 or "range" in str(after.get("spread_kind", "")):
        return None
    error = (spread**2 / samples + spread_before**2 / samples_before) ** 0.5
    return bool(abs(value - value_before) > _SIGNIFICANT_SPREADS * error)


def _findings(after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Measure]:
    now = {one.get("fingerprint"): one for one in after.get("findings", ())}
    label = f"findings of {after['tool']}" if after.get("tool") else "findings"
    if "findings" not in before:
        return [Measure("findings", label, float(len(now)), None, "findings", False)]
    then = {one.get("fingerprint"): one for one in before["findings"]}
    fixed, new = len(then.keys() - now.keys()), len(now.keys() - then.keys())
    return [
        Measure(
            "findings",
            label,
            float(len(now)),
            float(len(then)),
            "findings",
            False,
            note=f"{fixed} fixed, {new} new",
        )
    ]


def _build_time(after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Measure]:
    value = _number(after, "seconds")
    return (
        []
        if value is None
        else [Measure("build_time", "build time", value, _number(before, "seconds"), "s", False)]
    )


_READERS = {
    "tests": _tests,
    "coverage": _coverage,
    "benchmarks": _benchmarks,
    "findings": _findings,
    "build_time": _build_time,
}


def _number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# --- in words ----------------------------------------------------------------------------------------


def in_words(one: Measure) -> str:
    """Such as ``search: 200 ms -> 50 ms, 75 % faster, n=20``; a measure without a baseline says so."""
    after = _shown(one.after, one.unit)
    n = f", n={one.samples}" if one.samples and one.kind == "benchmark" else ""
    if one.before is None:
        return f"{one.name}: {after}{n}; {one.note}"
    text = f"{one.name}: {_shown(one.before, one.unit)} → {after}"
    match one.kind:
        case "benchmark" | "build_time":
            text += _faster(one)
        case "coverage":
            text += f", {(one.after - one.before) * 100:+.1f} points"
        case "tests" if one.name.startswith("tests"):
            text += f", {one.after - one.before:+.0f}"
        case "findings":
            text += f", {one.note}"
    if one.is_clear is False:
        text += ", within the noise"
    elif one.kind == "benchmark" and one.is_clear is None:
        text += ", spread not known"
    return text + n


def _faster(one: Measure) -> str:
    assert one.before is not None
    if not one.before or one.after == one.before:
        return ", unchanged" if one.after == one.before else ""
    share = (one.after - one.before) / one.before * 100
    if one.higher_is_better is None:
        return f", {share:+.0f} %"
    if one.higher_is_better:
        return f", {abs(share):.0f} % {'higher' if share > 0 else 'lower'}"
    return f", {abs(share):.0f} % {'faster' if share < 0 else 'slower'}"


_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def _shown(value: float, unit: str) -> str:
    if unit == "rate":
        return f"{value * 100:.1f} %"
    seconds = _SECONDS.get(unit)
    if seconds is not None:
        value *= seconds
        if value >= 100:
            return f"{value // 60:.0f} min {value % 60:.0f} s" if value >= 120 else f"{value:.0f} s"
        for step, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if value >= step:
                return f"{value / step:.3g} {name}"
        return f"{value / 1e-9:.3g} ns"
    number = f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"
    return f"{number} {unit}".rstrip() if unit not in ("tests", "findings") else number
