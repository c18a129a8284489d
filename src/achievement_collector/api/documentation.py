"""``/docs``: a page of what the server answers, made from ``/openapi.json``. It has no script and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; margin-top: 1.5rem; }
h3 { font: 600 1rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
code { font: .95em ui-monospace, monospace; overflow-wrap: anywhere; }
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def add_to(app: FastAPI) -> None:
    """Serves the page. It is made once: the routes of a running server stay the same."""
    made: list[str] = []

    @app.get("/docs", include_in_schema=False)
    def documentation() -> HTMLResponse:
        if not made:
            made.append(page_of(app.openapi()))
        return HTMLResponse(made[0], headers={"Content-Security-Policy": _POLICY})


def page_of(described: Mapping[str, Any]) -> str:
    """The page of an OpenAPI description: routes by tag, with parameters, bodies, answers and who may ask."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method in methods:
                tag = (methods[method].get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_route(method, path, methods[method], described))
    info = described["info"]
    title = f"{_text(info['title'])} {_text(info['version'])}"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>{title}</h1><p>{_text(info.get('summary', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for tag, routes in by_tag.items():
        parts += [f"<h2>{_text(tag)}</h2>", *routes]
    return "".join([*parts, "</body></html>"])


def _route(method: str, path: str, told: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    parts = [f"<section><h3>{method.upper()} {_text(path)}</h3>"]
    parts += [
        f"<p>{_text(line)}</p>" for line in told.get("description", told.get("summary", "")).split("\n\n")
    ]
    if told.get("security"):
        parts.append(f"<p>Needs a bearer token with the scope <code>{_scope(method, path)}</code>.</p>")
    parameters = [
        (one["name"], one["in"] + (", required" if one.get("required") else ""), _kind(one.get("schema", {})),
         one.get("description") or one.get("schema", {}).get("description", ""))
        for one in told.get("parameters", ())
    ]  # fmt: skip
    parts.append(_table("parameter", parameters))
    for media, body in told.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(body.get("schema", {}), described)
        needed = set(schema.get("required", ()))
        fields = [
            (name, "required" if name in needed else "", _kind(one), one.get("description", ""))
            for name, one in schema.get("properties", {}).items()
        ]
        parts.append(f"<p>Body: <code>{_text(media)}</code></p>{_table('field', fields)}")
    answers = [(status, one.get("description", "")) for status, one in told.get("responses", {}).items()]
    return "".join([*parts, _table("answer", answers), "</section>"])


def _scope(method: str, path: str) -> str:
    """What a token must be for; tests/test_api_tokens.py holds every route to this."""
    if path in ("/ci/metrics", "/threads/track", "/kpis/milestones"):
        return "ingest"
    return "read" if method == "get" else "write"


def _table(name: str, rows: list[Any]) -> str:
    if not rows:
        return ""
    lines = [
        f"<tr><th scope=row><code>{_text(first)}</code></th>{''.join(f'<td>{_text(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    ]
    return f'<table aria-label="{name}s">{"".join(lines)}</table>'


def _resolved(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = described.get("components", {}).get("schemas", {}).get(name, schema)
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """``integer, 1 to 200, default 50`` of a schema."""
    several = schema.get("anyOf") or schema.get("oneOf") or ()
    inner = next((one for one in several if one.get("type") != "null"), schema)
    words = [str(inner.get("type") or str(inner.get("$ref", "")).rpartition("/")[2])]
    if "enum" in inner:
        words = [" or ".join(str(one) for one in inner["enum"])]
    low, high = inner.get("minimum"), inner.get("maximum")
    if low is not None or high is not None:
        words.append(f"{low} to {high}" if low is not None and high is not None
                     else f"at least {low}" if high is None else f"at most {high}")  # fmt: skip
    if inner.get("maxLength"):
        words.append(f"at most {inner['maxLength']} characters")
    if schema.get("default") not in (None, ""):
        words.append(f"default {schema['default']}")
    return ", ".join(filter(None, words))


def _text(text: object) -> str:
    return escape(str(text))
