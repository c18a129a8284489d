"""What a change did to the measures of CI: the report of its head beside that of the commit it is based on.

Nothing is said without a baseline, and no change is called one that is smaller than the measurements' own spread.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from achievement_collector.derive.quantities import SECONDS, quantity
from achievement_collector.facts.work import CiReport, PullRequest

_SMALL_SHARE = 0.05
"""Of the earlier value: a smaller difference of times says nothing where the spread is not known."""

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
        if self.is_clear is None and self.kind in ("benchmark", "build_time") and self._is_small():
            return None
        return (self.after > self.before) is self.higher_is_better

    def _is_small(self) -> bool:
        return abs(self.after - (self.before or 0.0)) < _SMALL_SHARE * abs(self.before or 0.0)

    def as_data(self) -> dict[str, Any]:
        return asdict(self) | {"change": self.change, "improves": self.improves, "text": in_words(self)}


@dataclass(frozen=True, slots=True)
class Reading:
    """One measure of a merged pull request: ``own`` of its head, ``merged`` of the commit that it became on its base
    branch; at least one of them is there. ``holds`` are the keys of the other pull requests that its head is known to
    contain, ``holds_merged`` those that the base branch contained after it."""

    key: str
    own: Measure | None
    merged: Measure | None = None
    holds: frozenset[str] = frozenset()
    holds_merged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OverTime:
    """A measure over several pull requests. ``measure`` is None where no report contains all of them; ``key`` names the one
    whose report it ends with, ``is_merged`` says that it is one of the base branch, ``since`` names the first one that had a
    baseline, where those before it had none."""

    measure: Measure | None
    key: str = ""
    is_merged: bool = False
    since: str = ""


def over_time(chain: Sequence[Reading], left_out: Container[str] = ()) -> OverTime:
    """The readings of one measure in one repository, in the order in which they were merged, as one: from the first baseline
    to a report that contains all of them but those ``left_out``. What others merged in between is in it as well.

    That of the base branch after the last merge contains them; that of the last one's head does where its base is known to.
    """
    last = chain[-1]
    if len(chain) == 1:
        candidates = [one for one in (last.own, last.merged) if one is not None]
        best = next((one for one in candidates if one.before is not None), candidates[0])
        return OverTime(best, last.key, best is last.merged)
    needed = [one.key for one in chain[:-1] if one.key not in left_out]
    if last.merged is not None and last.holds_merged.issuperset(needed):
        end, is_merged = last.merged, True
    elif last.own is not None and last.holds.issuperset(needed):
        end, is_merged = last.own, False
    else:
        return OverTime(None, last.key)
    starts = [
        (one.key, told)
        for one in chain
        for told in (one.merged, one.own)
        if told is not None and told.before is not None and told.unit == end.unit
    ]
    if not starts:
        return OverTime(end, last.key, is_merged)
    key, first = starts[0]
    since = key if key != chain[0].key else ""
    return OverTime(_spanned(first, end, len(chain)), last.key, is_merged, since)


def _spanned(first: Measure, last: Measure, reports: int) -> Measure:
    """From the baseline of one measure to the value of another."""
    if first is last:
        return last
    is_clear = _differ(
        (last.after, last.spread, last.samples), (first.before or 0.0, first.spread_before, first.samples_before)
    ) if last.is_clear is not None and first.is_clear is not None else None  # fmt: skip
    return replace(
        last, before=first.before, samples_before=first.samples_before, spread_before=first.spread_before,
        baseline=first.baseline, is_clear=is_clear, note=f"{reports} reports" if last.kind == "findings" else "",
    )  # fmt: skip


def measures_of(pull: PullRequest, reports: Sequence[CiReport], before_merge: str) -> tuple[Measure, ...]:
    """The measures of a pull request, of each kind and job. ``reports`` are all of the repository, oldest first.

    Where both the commit that it became and the one of the base branch before (``before_merge``) were measured, that is its
    difference: its branch may have begun elsewhere than the forge says. Else its head is compared with the commit it is based
    on. Of an earlier commit of it there is a number and no comparison."""
    found: list[Measure] = []
    measured = {(one.kind, one.name, one.sha) for one in reports}
    for (kind, name), own in _by_kind(reports, pull).items():
        at_head = [one for one in own if one.sha == pull.head_sha]
        at_merge = [one for one in own if one.sha == pull.merge_sha]
        if at_merge and (not at_head or (kind, name, before_merge) in measured):
            found += compare(at_merge[-1], reports, pull, before_merge)
        elif at_head or not pull.head_sha:
            found += compare((at_head or own)[-1], reports, pull, pull.base_sha)
        else:
            note = f"measured at {own[-1].sha[:7]}, which is not its head"
            found += [_without_claim(one, note) for one in _measures(own[-1], None, "")]
    return tuple(found)


def measures_after_merge(
    pull: PullRequest, reports: Sequence[CiReport], before_merge: str
) -> tuple[Measure, ...]:
    """The measures of the commit that a pull request became, against the commit of the base branch before it."""
    if not pull.merge_sha:
        return ()
    found: list[Measure] = []
    for own in _by_kind(reports, pull).values():
        at_merge = [one for one in own if one.sha == pull.merge_sha]
        if at_merge:
            found += compare(at_merge[-1], reports, pull, before_merge)
    return tuple(found)


def _by_kind(reports: Sequence[CiReport], pull: PullRequest) -> dict[tuple[str, str], list[CiReport]]:
    """The reports of a pull request by kind and job, in the order of these, each list oldest first."""
    shas = {pull.head_sha, pull.merge_sha} - {""}
    found: dict[tuple[str, str], list[CiReport]] = {}
    for one in reports:
        if one.pull_request == pull.number or one.sha in shas:
            found.setdefault((one.kind, one.name), []).append(one)
    return dict(sorted(found.items()))


def compare(
    own: CiReport, reports: Sequence[CiReport], pull: PullRequest, base_sha: str
) -> tuple[Measure, ...]:
    """The measures of a report of a pull request, compared with the report of the commit ``base_sha``, whenever that was
    handed in. Where that was not measured nothing is claimed: the latest earlier report of the base branch is told beside
    the number, for what lies between the two is not known. Never compared with a report of the pull request itself."""
    alike = [
        other
        for other in reports
        if (other.kind, other.name) == (own.kind, own.name) and other.sha not in (own.sha, pull.head_sha)
    ]
    exact = [other for other in alike if base_sha and other.sha == base_sha]
    if exact:
        return tuple(_measures(own, exact[-1], pull.base))
    nearby = [
        other
        for other in alike
        if other.at <= own.at
        and pull.base
        and other.branch == pull.base
        and other.pull_request is None
        and other.sha != pull.merge_sha
    ]
    if not nearby:
        return tuple(_measures(own, None, pull.base))
    why = f"its base {base_sha[:7]} was not measured" if base_sha else "its base is not known"
    found = []
    for one in _measures(own, nearby[-1], pull.base):
        had = (
            ""
            if one.before is None
            else f", {pull.base} had {quantity(one.before, one.unit)} at {nearby[-1].sha[:7]}"
        )
        found.append(_without_claim(one, why + had))
    return tuple(found)


def _without_claim(one: Measure, note: str) -> Measure:
    """A measure without its baseline, and why."""
    return replace(
        one, before=None, samples_before=None, spread_before=None, is_clear=None, baseline="", note=note
    )


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
    note = ""
    if after.get("declared"):
        note = "its suites declare more results than are in it"
    elif before.get("declared"):
        note = "the suites of the baseline declare more results than are in it"
    for name, better in (("total", True), ("failed", False), ("flaky", False)):
        value, earlier = _number(after, name), _number(before, name)
        if name == "failed":  # a test that broke has not passed either
            value, earlier = _broken(after), _broken(before)
        if value is None or (name != "total" and not value and not earlier):
            continue  # that nothing failed is what a reader expects
        label = "tests" if name == "total" else f"{name} tests"
        found.append(Measure("tests", label, value, None if note else earlier, "tests", better, note=note))
    return found


def _broken(data: Mapping[str, Any]) -> float | None:
    failed = _number(data, "failed")
    return None if failed is None else failed + (_number(data, "errors") or 0.0)


def _coverage(after: Mapping[str, Any], before: Mapping[str, Any]) -> list[Measure]:
    found = []
    for name, label, counted in (
        ("line_rate", "line coverage", "lines_valid"), ("branch_rate", "branch coverage", "branches_valid"),
    ):  # fmt: skip
        value = _number(after, name)
        if value is not None:
            found.append(
                Measure(
                    "coverage", label, value, _number(before, name), "rate", True,
                    samples=_whole(after, counted),
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
    """Whether two means differ by more than chance would have it; None where the reports do not tell enough."""
    if not before or _number(before, "value") is None:
        return None
    if any("range" in str(one.get("spread_kind", "")) for one in (after, before)):
        return None
    return _differ(
        (_number(after, "value") or 0.0, _number(after, "spread"), _whole(after, "samples")),
        (_number(before, "value") or 0.0, _number(before, "spread"), _whole(before, "samples")),
    )


def _differ(
    after: tuple[float, float | None, int | None], before: tuple[float, float | None, int | None]
) -> bool | None:
    """Welch's statistic of two (mean, standard deviation, samples) against 2; None where one is not known."""
    (value, spread, samples), (value_before, spread_before, samples_before) = after, before
    if (
        spread is None
        or spread_before is None
        or not samples
        or not samples_before
        or min(samples, samples_before) < 2
    ):
        return None
    error = float((spread**2 / samples + spread_before**2 / samples_before) ** 0.5)
    return abs(value - value_before) > _SIGNIFICANT_SPREADS * error


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
    after = quantity(one.after, one.unit)
    n = _samples(one) if one.kind == "benchmark" else ""
    if one.before is None:
        return f"{one.name}: {after}{n}; {one.note}"
    text = f"{one.name}: {quantity(one.before, one.unit)} → {after}"
    match one.kind:
        case "benchmark" | "build_time":
            text += _faster(one)
        case "coverage":
            text += f", {(one.after - one.before) * 100:+.1f} points"
        case "tests" if one.name.startswith("tests"):
            text += f", {one.after - one.before:+.0f}"
        case "findings":
            text += f", {one.note}"
    if one.is_clear is False and one.after != one.before:
        text += ", within the noise"
    elif one.kind == "benchmark" and one.is_clear is None:
        text += ", spread not known"
    elif one.kind == "build_time" and one.after != one.before:
        text += ", one build each"
    return text + n


def _samples(one: Measure) -> str:
    if not one.samples:
        return ""
    differs = one.before is not None and one.samples_before and one.samples_before != one.samples
    return f", n={one.samples} (before: {one.samples_before})" if differs else f", n={one.samples}"


def _faster(one: Measure) -> str:
    """The difference in percent of the earlier value; only times are faster or slower."""
    assert one.before is not None
    if not one.before or one.after == one.before:
        return ", unchanged" if one.after == one.before else ""
    percent = (one.after - one.before) / abs(one.before) * 100
    share = f"{abs(percent):.0f} %" if abs(percent) >= 9.95 else f"{abs(percent):.1f} %"
    if one.unit in SECONDS and one.higher_is_better is not True:
        return f", {share} {'faster' if percent < 0 else 'slower'}"
    return f", {share} {'higher' if percent > 0 else 'lower'}"
