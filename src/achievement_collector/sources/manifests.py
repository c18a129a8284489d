"""Reading manifests and documents: which packages they declare, which keys they hold, what runs them.

Everything here reads text that others wrote and gives an empty answer where it cannot be understood; nothing
is ever executed or expanded.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import ParseError, XMLParser

_MOST_NAMES = 2_000
_MOST_KEYS = 60
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.(?:txt|in)")
_PYTHON_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_SEPARATORS = re.compile(r"[-_.]+")


def is_manifest(path: str) -> bool:
    """Whether a path names a file that declares dependencies."""
    name = path.rpartition("/")[2]
    return name in _READERS or _ending(name) in _ENDINGS or bool(_REQUIREMENTS.fullmatch(name))


def manifest_dependencies(path: str, content: bytes) -> frozenset[str]:
    """The packages that a manifest declares directly, as ``ecosystem:package`` (``pypi:django``)."""
    name = path.rpartition("/")[2]
    reader = _READERS.get(name) or _ENDINGS.get(_ending(name))
    if reader is None:
        if not _REQUIREMENTS.fullmatch(name):
            return frozenset()
        reader = ("pypi", _requirements)
    ecosystem, names_of = reader
    try:
        found = [name for name in names_of(content.decode("utf-8", "replace")) if 0 < len(name) <= 200]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ParseError):
        return frozenset()
    if ecosystem == "pypi":
        found = [_SEPARATORS.sub("-", name).lower() for name in found]
    return frozenset(f"{ecosystem}:{name}" for name in found[:_MOST_NAMES])


def document_keys(path: str, content: bytes) -> frozenset[str]:
    """The top-level keys of a YAML or JSON document, enough to tell what it is for; of YAML streams the keys of
    every document."""
    text = content.decode("utf-8", "replace")
    if path.endswith(".json"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return frozenset()
        keys: Iterable[object] = data if isinstance(data, dict) else ()
    else:
        # lines at the margin that end in a colon: no YAML parser is needed, and none can be attacked
        keys = re.findall(r"^([A-Za-z_][\w.-]{0,60}):(?:\s|$)", text, re.MULTILINE)
    return frozenset(list(dict.fromkeys(str(key)[:60] for key in keys))[:_MOST_KEYS])


def interpreter(content: bytes) -> str:
    """The program of a ``#!`` line, without folder and version (``python``); empty where there is none."""
    if not content.startswith(b"#!"):
        return ""
    words = content[2:200].split(b"\n", 1)[0].decode("utf-8", "replace").split()
    programs = [word.rpartition("/")[2] for word in words if not word.startswith("-") and "=" not in word]
    if programs and programs[0] == "env":
        programs = programs[1:]
    if not programs:
        return ""
    return re.sub(r"[\d.]+$", "", programs[0])[:40]


# --- one function per format: the text in, the names of packages out ---------------------------------


def _requirements(text: str) -> Iterable[str]:
    for line in text.splitlines():
        match = _PYTHON_NAME.match(line)
        if match and not line.lstrip().startswith(("#", "-")) and "://" not in line.split(" @ ")[0]:
            yield match[1]


def _python_names(specs: object) -> Iterable[str]:
    for spec in specs if isinstance(specs, list) else ():
        match = _PYTHON_NAME.match(spec) if isinstance(spec, str) else None
        if match:
            yield match[1]


def _pyproject(text: str) -> Iterable[str]:
    data = tomllib.loads(text)
    project = _table(data, "project")
    yield from _python_names(project.get("dependencies"))
    for specs in _table(project, "optional-dependencies").values():
        yield from _python_names(specs)
    for specs in _table(data, "dependency-groups").values():
        yield from _python_names(specs)
    yield from _python_names(_table(data, "build-system").get("requires"))
    poetry = _table(_table(data, "tool"), "poetry")
    for table in (poetry, *_table(poetry, "group").values()):
        for key in ("dependencies", "dev-dependencies"):
            yield from (name for name in _table(table, key) if name != "python")
    tools = _table(data, "tool")
    yield from (
        f"tool-{name}" for name in tools if name in ("ruff", "mypy", "black", "pytest", "isort", "pyright")
    )


def _setup_py(text: str) -> Iterable[str]:
    for block in re.findall(
        r"(?:install_requires|tests_require|setup_requires)\s*=\s*\[([^\]]{0,20000})\]", text
    ):
        for spec in re.findall(r"""["']([^"'\n]{1,200})["']""", block):
            yield from _python_names([spec])


def _setup_cfg(text: str) -> Iterable[str]:
    for block in re.findall(
        r"^(?:install_requires|tests_require|setup_requires)\s*=\s*((?:\n[ \t]+.*|.+)(?:\n[ \t]+.*)*)",
        text,
        re.MULTILINE,
    ):
        yield from _requirements("\n".join(line.strip() for line in block.splitlines()))


def _pipfile(text: str) -> Iterable[str]:
    data = tomllib.loads(text)
    for key in ("packages", "dev-packages"):
        yield from _table(data, key)


def _package_json(text: str) -> Iterable[str]:
    data = json.loads(text)
    for key in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
        yield from _table(data, key)


def _cargo(text: str) -> Iterable[str]:
    data = tomllib.loads(text)
    for table in (data, _table(data, "workspace"), *_table(data, "target").values()):
        for key in ("dependencies", "dev-dependencies", "build-dependencies"):
            yield from _table(table, key)


def _go_mod(text: str) -> Iterable[str]:
    for line in text.splitlines():
        if "// indirect" in line:
            continue
        match = re.match(r"\s*(?:require\s+)?([\w.-]+\.[a-z]+/\S+)\s+v\d", line)
        if match:
            yield re.sub(r"/v\d+$", "", match[1])


def _gemfile(text: str) -> Iterable[str]:
    pattern = r"""^\s*(?:gem|\w+\.add_(?:runtime_|development_)?dependency)[\s(]+["']([\w.-]+)["']"""
    yield from re.findall(pattern, text, re.MULTILINE)


def _composer(text: str) -> Iterable[str]:
    data = json.loads(text)
    for key in ("require", "require-dev"):
        yield from (name for name in _table(data, key) if "/" in name)


class _PomTarget:
    """Collects ``groupId:artifactId`` of dependencies and plugins; refuses documents with a DOCTYPE."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._path: list[str] = []
        self._group = self._artifact = self._text = ""

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._path.append(tag.rpartition("}")[2])
        self._text = ""
        if len(self._path) > 100:
            raise ValueError("too deep")

    def data(self, text: str) -> None:
        self._text += text

    def end(self, _tag: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if parent in ("dependency", "plugin", "parent"):
            if name == "groupId":
                self._group = self._text.strip()
            elif name == "artifactId":
                self._artifact = self._text.strip()
        if name in ("dependency", "plugin", "parent"):
            if self._artifact:
                self.found.append(f"{self._group}:{self._artifact}" if self._group else self._artifact)
            self._group = self._artifact = ""

    def doctype(self, *_: object) -> None:
        raise ValueError("a manifest with a document type is not read")

    def close(self) -> list[str]:
        return self.found


def _pom(text: str) -> Iterable[str]:
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        return []
    target = _PomTarget()
    parser = XMLParser(target=target)  # noqa: S314 - entities are refused above
    parser.feed(text)
    parser.close()
    return target.found


def _gradle(text: str) -> Iterable[str]:
    yield from re.findall(
        r"""(?:implementation|api|compileOnly|runtimeOnly|testImplementation|compile|testCompile|kapt|ksp|classpath)"""
        r"""[\s(]+["']([\w.-]+:[\w.-]+)""",
        text,
    )
    yield from (f"plugin:{name}" for name in re.findall(r"""\bid[\s(]+["']([\w.-]+)["']""", text))


def _dotnet(text: str) -> Iterable[str]:
    yield from re.findall(r"""<PackageReference\s+[^>]{0,200}?(?:Include|Update)=["']([\w.-]+)["']""", text)
    yield from re.findall(r"""<Project\s+[^>]{0,200}?Sdk=["']([\w.-]+)""", text)


def _mix(text: str) -> Iterable[str]:
    yield from re.findall(r"\{:(\w+),\s*[\"'~\[a-z]", text)


def _pubspec(text: str) -> Iterable[str]:
    section = ""
    for line in text.splitlines():
        if match := re.match(r"(\w+):", line):
            section = match[1]
        elif section in ("dependencies", "dev_dependencies") and (match := re.match(r"  (\w+):", line)):
            yield match[1]


def _docker_images(text: str) -> Iterable[str]:
    for image in re.findall(r"^\s*FROM\s+(?:--\S+\s+)?([\w./-]+)", text, re.MULTILINE | re.IGNORECASE):
        yield image.lower().removeprefix("docker.io/").removeprefix("library/")


def _compose_images(text: str) -> Iterable[str]:
    for image in re.findall(r"""^\s+image:\s*["']?([\w./-]+)""", text, re.MULTILINE):
        yield image.lower().removeprefix("docker.io/").removeprefix("library/")


def _terraform(text: str) -> Iterable[str]:
    yield from re.findall(r'^\s*source\s*=\s*"([\w.-]+/[\w.-]+)"', text, re.MULTILINE)
    yield from (f"provider/{name}" for name in re.findall(r'^provider\s+"([\w-]+)"', text, re.MULTILINE))


def _table(data: object, key: str) -> Mapping[str, Any]:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _ending(name: str) -> str:
    return name.rpartition(".")[2] if "." in name else ""


_READERS = {
    "pyproject.toml": ("pypi", _pyproject),
    "setup.py": ("pypi", _setup_py),
    "setup.cfg": ("pypi", _setup_cfg),
    "Pipfile": ("pypi", _pipfile),
    "package.json": ("npm", _package_json),
    "Cargo.toml": ("cargo", _cargo),
    "go.mod": ("go", _go_mod),
    "Gemfile": ("gem", _gemfile),
    "composer.json": ("composer", _composer),
    "pom.xml": ("maven", _pom),
    "build.gradle": ("maven", _gradle),
    "build.gradle.kts": ("maven", _gradle),
    "mix.exs": ("hex", _mix),
    "pubspec.yaml": ("pub", _pubspec),
    "Dockerfile": ("docker", _docker_images),
    "docker-compose.yml": ("docker", _compose_images),
    "docker-compose.yaml": ("docker", _compose_images),
    "compose.yml": ("docker", _compose_images),
    "compose.yaml": ("docker", _compose_images),
}
_ENDINGS = {
    "gemspec": ("gem", _gemfile),
    "csproj": ("nuget", _dotnet),
    "fsproj": ("nuget", _dotnet),
    "tf": ("terraform", _terraform),
}
