"""Coverage in Cobertura's XML (http://cobertura.sourceforge.net/xml/coverage-04.dtd), as many tools write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from achievement_collector.facts.ci import Coverage
from achievement_collector.sources.ci_files.reading import CiFileError, number, read_xml, whole


def parse_cobertura(data: bytes, name: str) -> Coverage:
    """The coverage of a Cobertura file; ``name`` is the file's, for messages.

    Counts are those that the root tells. Where it does not (or tells more covered than there is), lines are counted: each
    line of a file once, however many classes and methods list it; branches are not, writers list them in too many ways.
    Rates follow from the counts, else they are the root's. Its branch rate is not believed where lines are listed and none
    of them branches: writers then say 0 or 1, whether branches were measured or not.
    Raises :class:`CiFileError` where the file cannot be read, or tells no coverage.
    """
    report = _Report()
    read_xml(data, name, ("coverage",), "Cobertura report", report)
    lines = _told(report.root, "lines") or report.lines()
    branches = _told(report.root, "branches")
    line_rate = _share(lines) if lines else _rate(report.root, "line-rate")
    branch_rate = _share(branches) if branches else None
    if branches is None and (report.has_branches or not report.hits):
        branch_rate = _rate(report.root, "branch-rate")
    if lines is None and branches is None and line_rate is None and branch_rate is None:
        raise CiFileError(
            f"{name} tells no coverage: it holds no counts, rates or lines as Cobertura writes them."
        )
    return Coverage(
        lines_valid=lines[1] if lines else None,
        lines_covered=lines[0] if lines else None,
        line_rate=line_rate,
        branch_rate=branch_rate,
        branches_valid=branches[1] if branches else None,
        branches_covered=branches[0] if branches else None,
    )


class _Report:
    """Collects the root's attributes and what was hit, by file and line number."""

    def __init__(self) -> None:
        self.root: Mapping[str, str] = {}
        self.hits: dict[tuple[str, int], bool] = {}
        self.has_branches = False
        self._file = ""

    def start(self, path: Sequence[str], attributes: Mapping[str, str]) -> None:
        tag = path[-1]
        if len(path) == 1:
            self.root = dict(attributes)
        elif tag == "class":
            self._file = attributes.get("filename") or attributes.get("name", "")
        elif tag == "line":
            self._line(attributes)

    def _line(self, attributes: Mapping[str, str]) -> None:
        line = whole(attributes.get("number"))
        hits = number(attributes.get("hits"))
        if line is None or hits is None:
            return
        key = (self._file, line)
        self.hits[key] = self.hits.get(key, False) or hits > 0
        if "condition-coverage" in attributes or attributes.get("branch", "").lower() == "true":
            self.has_branches = True

    def text(self, text: str) -> None:
        """Cobertura writes nothing that matters as text."""

    def end(self, path: Sequence[str]) -> None:
        if path[-1] == "class":
            self._file = ""

    def lines(self) -> tuple[int, int] | None:
        """Lines covered and lines there are, as listed; None where none is."""
        return (sum(self.hits.values()), len(self.hits)) if self.hits else None


def _told(root: Mapping[str, str], what: str) -> tuple[int, int] | None:
    covered, valid = whole(root.get(f"{what}-covered")), whole(root.get(f"{what}-valid"))
    return None if covered is None or valid is None or covered > valid else (covered, valid)


def _share(counts: tuple[int, int]) -> float | None:
    covered, valid = counts
    return covered / valid if valid else None


def _rate(root: Mapping[str, str], attribute: str) -> float | None:
    value = number(root.get(attribute))
    return value if value is not None and 0 <= value <= 1 else None
