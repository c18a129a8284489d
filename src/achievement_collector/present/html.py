"""A document as one self-contained HTML page: no script, nothing loaded, light and dark, fit to print."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from achievement_collector.present import charts
from achievement_collector.present.kpi_charts import figure
from achievement_collector.present.view import Document, Section

if TYPE_CHECKING:
    from jinja2 import Template


def html(document: Document) -> str:
    return _template().render(document=document, chart=_chart, rows=_rows) + "\n"


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("achievement_collector.present"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("record.html.j2")


def _chart(section: Section) -> str:
    from markupsafe import Markup

    drawn = ""
    if section.kind == "months":
        drawn = charts.columns(
            section.bars, section.title, section.columns[1] if len(section.columns) == 2 else "achievements"
        )
    elif section.kind == "bars":
        drawn = charts.bars(section.bars, section.title)
    elif section.kind == "charts":
        drawn = "".join(figure(one) for one in section.charts)
    elif section.kind == "skills" and section.rows:
        drawn = charts.spans(section.rows[:14], "Skills over time")
    return Markup(drawn)  # noqa: S704 - charts escapes every text itself


def _rows(section: Section) -> tuple[tuple[str, ...], ...]:
    return section.rows or tuple((name, f"{count:,}") for name, count in section.bars)
