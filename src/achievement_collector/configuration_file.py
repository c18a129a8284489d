"""``achievement-tracker.yaml``: what may stand in it, and where it is wrong, line by line.

The YAML is read as nodes, not as objects, so every key keeps its line; anchors are not followed, and no tag makes an
object. Of the settings only this module needs PyYAML and pydantic, and it is imported only where there is a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from achievement_collector.config import (
    CI_METRICS,
    EPIC_SOURCES,
    PERSONAS,
    Experiment,
    UnusableError,
    settings_variables,
    web_address,
)
from achievement_collector.derive.epic_outcomes import METRICS
from achievement_collector.errors import ConfigurationError
from achievement_collector.facts.kpis import GREATEST_STATED, Direction, Kpi

_MOST_BYTES = 256 * 1024
_DEEPEST = 20
_MOST_MISTAKES = 20

Place = tuple[str | int, ...]


# --- what may stand in it ----------------------------------------------------------------------------


def _one_of(known: Sequence[str]) -> AfterValidator:
    def check(text: str) -> str:
        if text not in known:
            raise UnusableError(f"must be one of {', '.join(known)}")
        return text

    return AfterValidator(check)


def _epic_key(text: str) -> str:
    if not re.fullmatch(r"[^\s\x00-\x1f\x7f]{1,60}", text):
        raise UnusableError("must be one word of at most 60 characters, such as E5.1")
    return text


def _different_names(keys: dict[str, str]) -> dict[str, str]:
    seen: dict[str, str] = {}
    for name in keys:
        if not name.strip():
            raise UnusableError("holds a name that is empty")
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise UnusableError(f"has both {other!r} and {name!r}; upper and lower case are the same here")
    return keys


def _one_line(text: str) -> str:
    if not text.strip() or len(text) > 300 or any(ord(one) < 32 for one in text):
        raise UnusableError("must be text of one line, of at most 300 characters")
    return text.strip()


class _Section(BaseModel):
    """Every key may be missing, or stand without a value: both mean the default, which :class:`Settings` knows."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _EpicIntegration(_Section):
    enabled: bool | None = None
    source: Annotated[str, _one_of(EPIC_SOURCES)] | None = None
    keys: (
        Annotated[dict[str, Annotated[str, AfterValidator(_epic_key)]], AfterValidator(_different_names)]
        | None
    ) = None


class _PullRequests(_Section):
    enabled: bool | None = None
    min_changes: Annotated[int, Field(ge=0, le=999_999_999)] | None = None
    require_epic_link: bool | None = None


class _Ci(_Section):
    enabled: bool | None = None
    metrics: list[Annotated[str, _one_of(CI_METRICS)]] | None = None
    critical_workflows: list[Annotated[str, AfterValidator(_one_line)]] | None = None


def _kpi_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.:-]{0,99}", text, re.ASCII):
        raise UnusableError("must be a name such as checkout_latency: letters, digits, _ . : -")
    return text


def _query(text: str) -> str:
    if not text.strip() or len(text) > 10_000 or "\0" in text:
        raise UnusableError("must be PromQL")
    return text.strip()


_Line = Annotated[str, AfterValidator(_one_line)]
_DIRECTIONS = tuple(one.value for one in Direction)


class _Kpi(_Section):
    name: Annotated[str, AfterValidator(_kpi_name)]
    query: Annotated[str, AfterValidator(_query)] | None = None
    title: _Line | None = None
    direction: Annotated[str, _one_of(_DIRECTIONS)]
    target: Annotated[float, Field(ge=-GREATEST_STATED, le=GREATEST_STATED)] | None = None
    unit: _Line | None = None
    money_per_unit: Annotated[float, Field(ge=0, le=1e12)] | None = None
    currency: _Line | None = None
    counter: bool | None = None
    metric: Annotated[str, _one_of(METRICS)] | None = None
    repositories: list[_Line] | None = None
    environments: list[_Line] | None = None
    rollout_query: Annotated[str, AfterValidator(_query)] | None = None
    rollout_label: Annotated[str, AfterValidator(_kpi_name)] | None = None

    def made(self) -> Kpi:
        return Kpi(
            self.name, self.query or "", self.title or self.name.replace("_", " "), Direction(self.direction), self.target,
            self.unit or "", self.money_per_unit, self.currency or "$", bool(self.counter), self.metric or "",
            tuple(self.repositories or ()), tuple(self.environments or ()), self.rollout_query or "",
            self.rollout_label or "version",
        )  # fmt: skip


class _Experiment(_Section):
    name: _Line
    metric: _Line
    direction: Annotated[str, _one_of(_DIRECTIONS)] | None = None
    margin: Annotated[float, Field(ge=0, le=10)] | None = None

    def made(self) -> Experiment:
        direction = Direction(self.direction) if self.direction else None
        return Experiment(
            self.name,
            self.metric,
            direction,
            Experiment._field_defaults["margin"] if self.margin is None else self.margin,
        )


def _different(found: list[Any]) -> list[Any]:
    seen: set[str] = set()
    for one in found:
        if one.name in seen:
            raise UnusableError(f"has {one.name!r} twice")
        seen.add(one.name)
    return found


class _Prometheus(_Section):
    enabled: bool | None = None
    url: Annotated[str, AfterValidator(web_address)] | None = None
    scrape_interval_hours: Annotated[int, Field(ge=1, le=8760)] | None = None
    history_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    kpis: Annotated[list[_Kpi], Field(max_length=200), AfterValidator(_different)] | None = None


class _Deployments(_Section):
    production: Annotated[list[_Line], Field(min_length=1)] | None = None


class _Tracking(_Section):
    epic_integration: _EpicIntegration | None = None
    pr_tracking: _PullRequests | None = None
    ci_integration: _Ci | None = None
    prometheus: _Prometheus | None = None
    deployments: _Deployments | None = None
    experiments: Annotated[list[_Experiment], AfterValidator(_different)] | None = None


class _Aggregation(_Section):
    window_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None


class _EpicCompletion(_Section):
    require_all_prs_merged: bool | None = None
    require_ci_success: bool | None = None
    auto_finalize: bool | None = None


class _AiEnhancement(_Section):
    enabled: bool | None = None
    personas: Annotated[list[Annotated[str, _one_of(PERSONAS)]], Field(min_length=1)] | None = None


class _Roadmap(_Section):
    progress_source: Annotated[str, _one_of(("documents", "issues", "both"))] | None = None
    fiscal_year_start: Annotated[int, Field(ge=1, le=12)] | None = None
    two_way_sync: bool | None = None


class _File(_Section):
    tracking: _Tracking | None = None
    roadmap: _Roadmap | None = None
    aggregation: _Aggregation | None = None
    epic_completion: _EpicCompletion | None = None
    ai_enhancement: _AiEnhancement | None = None


def read_configuration(path: Path) -> Mapping[str, tuple[Any, int]]:
    """The values that a file gives, by key (``tracking.pr_tracking.min_changes``), each with its line. Lists are tuples.

    Raises :class:`ConfigurationError`; its message has a line of text for each of the first mistakes, with
    file, line and key.
    """
    try:
        document = _document(_text(path))
        try:
            given = _File.model_validate(document.value)
        except ValidationError as error:
            told = sorted(_in_words(one, document) for one in error.errors(include_url=False))
            if len(rest := told[_MOST_MISTAKES:]) > 1:
                told = [
                    *told[:_MOST_MISTAKES],
                    (rest[0][0], f"this and {len(rest) - 1} more mistakes follow"),
                ]
            raise _FileError(told) from None
    except _FileError as mistakes:
        raise ConfigurationError(
            ";\n".join(f"{path}, line {line}: {text}" for line, text in mistakes.found)
        ) from None
    return {".".join(place): (_made(value), document.lines[place]) for place, value in _leaves(given, ())}


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(one.made() if isinstance(one, _Kpi | _Experiment) else one for one in value)
    return value


def _leaves(section: BaseModel, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*place, name))
        elif value is not None:
            yield (*place, name), value


def known_keys(
    section: type[BaseModel] = _File, before: str = "", *, in_lists: bool = False
) -> Iterator[str]:
    """Every key that may stand in the file, with the sections it is in; ``in_lists`` gives those of a list's items for
    the list."""
    for name, info in section.model_fields.items():
        inner = _section_in(info.annotation)
        if inner is None or (_is_list(info.annotation) and not in_lists):
            yield before + name
        else:
            yield from known_keys(inner, f"{before}{name}.", in_lists=in_lists)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, or that each item of its list is."""
    if _is_section(annotation):
        return annotation  # type: ignore[no-any-return]
    return next((found for one in get_args(annotation) if (found := _section_in(one))), None)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(one) for one in get_args(annotation))


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


# --- from text to plain data, with lines --------------------------------------------------------------


class _FileError(Exception):
    """What is wrong, as (line, text)."""

    def __init__(self, found: Sequence[tuple[int, str]]) -> None:
        super().__init__()
        self.found = found


class _Document(NamedTuple):
    """Plain data; ``lines`` has the line of every key and item, ``written`` the text of every single value."""

    value: Any
    lines: dict[Place, int]
    written: dict[Place, str]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"{path} is larger than {_MOST_BYTES // 1024} KiB, too large for settings")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _FileError([(data.count(b"\n", 0, error.start) + 1, "the text is not UTF-8")]) from None


def _document(text: str) -> _Document:
    document = _Document({}, {(): 1}, {})
    try:
        _refuse_traps(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _FileError([(line, "there is a character that YAML does not allow")]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _FileError(
            [(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem or error.context}")]
        ) from None
    if root is None or _is_empty(root):
        return document
    if not isinstance(root, yaml.MappingNode):
        raise _FileError([(root.start_mark.line + 1, "the file must begin with a key such as tracking:")])
    return document._replace(value=_plain(root, (), document))


def _refuse_traps(text: str) -> None:
    """Looks at the events only, which costs no more than reading: no repeats, no abyss, no second document."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise _FileError([(line, "references such as *name are not followed; write the value out")])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if depth > _DEEPEST:
            raise _FileError([(line, f"more than {_DEEPEST} levels, too deep for settings")])
        if documents > 1:
            raise _FileError([(line, "a second document (---) begins; the settings must be one")])


def _plain(node: yaml.Node, place: Place, document: _Document) -> Any:
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node, place, document)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        for at, item in enumerate(node.value):
            document.lines[*place, at] = item.start_mark.line + 1
        return [_plain(item, (*place, at), document) for at, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        document.written[place] = node.value
        if kind in ("str", "timestamp", "value", "merge"):  # no setting is a date
            return node.value
        if kind in ("bool", "int", "float", "null"):
            try:
                return yaml.constructor.SafeConstructor().construct_object(node)
            except (ValueError, LookupError):
                raise _FileError([(line, f"{_dotted(place)} is no {kind} that can be read")]) from None
    raise _FileError([(line, f"{_dotted(place)} has a tag ({node.tag[:40]}); settings need none")])


def _mapping(node: yaml.MappingNode, place: Place, document: _Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _FileError([(line, f"a key of {_dotted(place)} is not a word")])
        here = (*place, key.value)
        if key.value in found:
            raise _FileError(
                [(line, f"{_dotted(here)} stands here again; it is in line {document.lines[here]} already")]
            )
        document.lines[here] = line
        found[key.value] = _plain(value, here, document)
    return found


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _dotted(place: Place) -> str:
    """The key as a user writes it; items of lists are counted from one."""
    told = "".join(f" (item {part + 1})" if isinstance(part, int) else f".{part}" for part in place)
    return told.lstrip(".") or "the file"


# --- mistakes in words --------------------------------------------------------------------------------

_WORDS = {
    "missing": "is not given",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": "must be text (put it in quotes)",
    "list_type": "must be a list such as [one, two]",
    "dict_type": "must hold names, each with a value",
    "too_short": "must not be empty; leave the key out for the default",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
}


def _in_words(error: ErrorDetails, document: _Document) -> tuple[int, str]:
    place: Place = tuple(error["loc"])
    while place not in document.lines:
        place = place[:-1]
    line = document.lines[place]
    match error["type"]:
        case "extra_forbidden":
            return line, _unknown(place)
        case "model_type":
            return line, f"{_dotted(place)} must hold keys: {', '.join(_siblings(place))}"
        case "value_error":
            told = str(error["ctx"]["error"])
        case type:
            told = _WORDS.get(type, error["msg"]).format(**error.get("ctx", {}))
    if error["type"] == "missing":
        return line, f"{_dotted(tuple(error['loc']))} {told}"
    written = document.written.get(place)
    if written is not None and place[-1] != "url":  # an address may hold a password
        told += f", not {written[:40]!r}"
    return line, f"{_dotted(place)} {told}"


def _unknown(place: Place) -> str:
    name = str(place[-1])
    known = _siblings(place[:-1])
    told = f"{_dotted(place)} is not a key of this file"
    if close := get_close_matches(name.replace("-", "_").lower(), known, 1):
        return f"{told} (did you mean {close[0]}?)"
    elsewhere = [key for key in known_keys() if key.endswith(f".{name}")]
    if len(elsewhere) == 1:
        return f"{told} (did you mean {elsewhere[0]}?)"
    if name.upper() in settings_variables():
        return f"{told} (did you mean the environment variable {name.upper()}?)"
    return f"{told} (known here: {', '.join(known)})"


def _siblings(place: Place) -> list[str]:
    """The keys of a section; items of a list are all alike."""
    place = tuple(part for part in place if isinstance(part, str))
    depth = len(place)
    inside = [key.split(".") for key in known_keys(in_lists=True)]
    return list(dict.fromkeys(key[depth] for key in inside if tuple(key[:depth]) == place))
