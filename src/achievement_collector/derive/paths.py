"""What a file is for, told by its path.

The role decides whether its lines count as size (generated, vendored, lock and minified files, recorded data
and binary assets do not) and feeds the category rule.
"""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple


class PathRole(StrEnum):
    SOURCE = "source"
    TEST = "tests"
    DOCS = "documentation"
    CI = "CI"
    BUILD = "build"
    CONFIG = "configuration"
    DATA = "data"
    ASSET = "assets"
    GENERATED = "generated"
    VENDORED = "vendored"
    LOCK = "lock files"
    MINIFIED = "minified"
    TRANSLATION = "translations"
    CHANGELOG = "changelog"


COUNTED = frozenset(
    {
        PathRole.SOURCE,
        PathRole.TEST,
        PathRole.DOCS,
        PathRole.CI,
        PathRole.BUILD,
        PathRole.CONFIG,
        PathRole.TRANSLATION,
        PathRole.CHANGELOG,
    }
)
"""The roles whose lines are work. Data (fixtures, dumps, recorded answers) and assets are not written line by
line; the rest is written by machines or by somebody else."""


class PathInfo(NamedTuple):
    """``language`` is a display name such as ``Python``, empty where the path tells none."""

    role: PathRole
    language: str


_LOCKS = frozenset(
    {
        "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lockb", "bun.lock",
        "poetry.lock", "pdm.lock", "uv.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "Cargo.lock",
        "go.sum", "go.work.sum", "Gemfile.lock", "composer.lock", "mix.lock", "rebar.lock", "pubspec.lock",
        "Podfile.lock", "Package.resolved", "Cartfile.resolved", "packages.lock.json", "paket.lock",
        "gradle.lockfile", "flake.lock", "deno.lock", "shard.lock", "stack.yaml.lock", "cabal.project.freeze",
        "Manifest.toml", ".terraform.lock.hcl", "MODULE.bazel.lock", "Chart.lock", "requirements.lock",
        "Gopkg.lock", "glide.lock", "elm-stuff", "buf.lock", "devbox.lock", "project.assets.json",
    }
)  # fmt: skip
_GENERATED_NAME = re.compile(
    r"\.(?:pb|pb\.gw|twirp|gen|generated|g|designer|freezed|graphql)\.(?:go|cc|h|py|ts|js|dart|cs|java|rs|swift|kt|tsx)$"
    r"|_pb2(?:_grpc)?\.pyi?$|_pb\.(?:js|d\.ts|rb)$|\.pb\.\w+$|_generated\.\w+$|^zz_generated|_gen\.go$|\.g\.(?:cs|dart)$"
    r"|^mock_.*\.go$|_mock\.go$|_string\.go$|bindata\.go$|^bindata|\.snap$|\.map$|^api-extractor.*\.md$|\.api\.md$|\.pyi?\.lock$"
    r"|^(?:configure|aclocal\.m4|ltmain\.sh|config\.guess|config\.sub|install-sh|depcomp|missing)$|^Makefile\.in$"
    r"|^(?:llms(?:-full)?\.txt)$|\.tsbuildinfo$|\.xcworkspacedata$|^project\.pbxproj$|\.(?:xib|storyboard)$|\.min\.json$"
)
_GENERATED_FOLDER = re.compile(
    r"(?:^|/)(?:__generated__|generated|autogen|auto-generated|generated-src|gen-src|__snapshots__|snapshots|dist|\.yarn"
    r"|build/generated|coverage|htmlcov|node_modules/\.cache|api-reports?|storybook-static)/"
)
_VENDORED = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|vendor(?:ed|s)?|_vendor|third[_-]?party|3rdparty|externals?|extern"
    r"|site-packages|Godeps|Pods|Carthage|jspm_packages|contrib/vendor|thirdparty)/",
    re.IGNORECASE,
)
_MINIFIED = re.compile(
    r"[.-]min\.(?:js|css|mjs)$|\.bundle\.js$|(?:^|/)jquery[.-]\d[\w.-]*\.js$", re.IGNORECASE
)
_ASSET = frozenset(
    "png jpg jpeg gif ico icns bmp webp avif tiff psd ai sketch fig svg ttf otf woff woff2 eot mp3 mp4 wav ogg webm mov avi "
    "pdf zip gz tgz bz2 xz 7z jar war class so dll dylib a o lib exe bin wasm apk ipa dmg iso db sqlite sqlite3 pkl npy npz "
    "parquet pt onnx h5 docx xlsx pptx odt drawio excalidraw cer crt der p12 pfx key pub keystore jks gpg asc".split()
)
_DATA_ENDINGS = frozenset(
    "csv tsv jsonl ndjson har log dat out golden expected sample fixture pcap bib dump txt.gz geojson".split()
)
_TEST_DATA = re.compile(
    r"(?:^|/)(?:test[-_]?data|testdata|fixtures?|__fixtures__|golden|goldens|cassettes|corpus|test-fixtures|recordings"
    r"|__recordings__|testfiles|sampledata|fuzz-corpus|baselines)/",
    re.IGNORECASE,
)
_TEST_FOLDER = re.compile(
    r"(?:^|/)(?:tests?|t|specs?|__tests__|__mocks__|testing|e2e|integration[-_]tests?|unit[-_]?tests?|cypress|playwright"
    r"|androidTest|testsuite|[\w-]+[-_]tests?|tests?[-_][\w-]+|[\w.]+\.Tests?|dtslint|dts-test|benches|benchmarks?|perf-tests?)/"
)
_TEST_NAME = re.compile(
    r"(?:^|/)(?:test_[^/]*\.\w+|[^/]*_tests?\.\w+|[^/]*[.-](?:test|spec|tests|e2e|cy|bench)(?:-d)?\.\w+|conftest\.py"
    r"|[^/]*Tests?\.(?:java|kt|cs|swift|php|scala|groovy|m|cpp)|[^/]*Spec\.(?:scala|groovy|hs|kt|js|ts)|[^/]*_spec\.rb"
    r"|t\d{3,4}-[^/]*\.sh|[^/]*_test\.exs|pytest\.ini|jest\.config\.\w+|vitest\.config\.\w+|karma\.conf\.js|codecov\.ya?ml"
    r"|playwright\.config\.\w+|phpunit\.xml(?:\.dist)?)$"
)
_CI = re.compile(
    r"^(?:\.github/(?:workflows|actions)/|\.circleci/|\.buildkite/|\.gitlab/ci|\.azure-pipelines/|\.jenkins/|\.woodpecker/"
    r"|\.semaphore/|\.builds/|ci/|\.ci/|\.travis/|\.tekton/|\.teamcity/|\.concourse/|\.drone/|\.kokoro/)"
    r"|(?:^|/)(?:\.gitlab-ci[\w.-]*\.ya?ml|\.travis\.yml|appveyor\.ya?ml|\.appveyor\.yml|azure-pipelines[\w.-]*\.ya?ml"
    r"|Jenkinsfile[\w.-]*|\.drone\.ya?ml|\.cirrus\.(?:yml|star)|bitbucket-pipelines\.yml|cloudbuild\.ya?ml|\.woodpecker\.ya?ml"
    r"|\.mergify\.yml|mergify\.yml|renovate\.json5?|\.renovaterc(?:\.json)?|dependabot\.ya?ml|wercker\.yml|buildspec\.yml"
    r"|circle\.yml|\.pre-commit-config\.yaml|zizmor\.yml)$|^\.github/[\w.-]+\.ya?ml$"
)
_DOCS_FOLDER = re.compile(
    r"(?:^|/)(?:docs?|documentation|Documentation|manual|man|website|wiki|guides?|tutorials?|rfcs?|adr)/"
)
_DOCS_ENDINGS = frozenset(
    "md mdx rst adoc asciidoc textile org txt pod rdoc texi info tex roff mkd markdown 1 2 3 4 5 6 7 8".split()
)
_DOCS_NAMES = re.compile(
    r"^(?:readme|contributing|license|licence|copying|authors|maintainers|notice|security|code_of_conduct|support|governance"
    r"|install|todo|thanks|credits|contributors|codeowners|hacking|faq|upgrading|roadmap)(?:[.-].*)?$",
    re.IGNORECASE,
)
_CHANGELOG = re.compile(
    r"(?:^|/)(?:change-?logs?|changes|news|history|release[-_]?notes?|relnotes|whatsnew)(?:[-.][\w.-]+)?$"
    r"|(?:^|/)(?:relnotes|release[-_]?notes|changelogs?|changelog\.d|newsfragments|news|\.changeset|changes|changesets)/[^/]+$",
    re.IGNORECASE,
)
_BUILD_NAMES = re.compile(
    r"^(?:(?:GNU)?[Mm]akefile(?:\.am)?|CMakeLists\.txt|configure\.(?:ac|in)|meson\.build|meson_options\.txt|meson\.options"
    r"|package\.json|pyproject\.toml|setup\.(?:py|cfg)|(?:[\w-]+[-_.])?(?:requirements|constraints)[\w.-]*\.(?:txt|in)|Pipfile|tox\.ini|noxfile\.py|go\.mod"
    r"|go\.work|Cargo\.toml|Gemfile|[\w.-]+\.gemspec|composer\.json|pom\.xml|build\.gradle(?:\.kts)?|settings\.gradle(?:\.kts)?"
    r"|gradle\.properties|gradlew(?:\.bat)?|build\.xml|build\.sbt|[\w.-]+\.(?:csproj|fsproj|vbproj|sln|slnx|props|targets|nuspec)"
    r"|mix\.exs|rebar\.config|pubspec\.yaml|Package\.swift|[\w.-]+\.podspec|Podfile|Rakefile|Dockerfile[\w.-]*|[\w.-]*\.Dockerfile"
    r"|Containerfile|docker-compose[\w.-]*\.ya?ml|compose[\w.-]*\.ya?ml|webpack[\w.-]*\.js|rollup\.config\.\w+|vite\.config\.\w+"
    r"|esbuild[\w.-]*\.\w+|babel\.config\.\w+|tsconfig[\w.-]*\.json|turbo\.json|nx\.json|lerna\.json|pnpm-workspace\.yaml"
    r"|Gruntfile\.js|gulpfile\.\w+|[Jj]ustfile|BUILD(?:\.bazel)?|WORKSPACE(?:\.bazel)?|MODULE\.bazel|MANIFEST\.in|\.goreleaser\.ya?ml"
    r"|Vagrantfile|Procfile|flake\.nix|default\.nix|shell\.nix|[\w.-]+\.spec|snapcraft\.yaml|Chart\.yaml|kustomization\.ya?ml"
    r"|skaffold\.yaml|Tiltfile|environment\.ya?ml|WORKSPACE|[\w.-]+\.cabal|stack\.yaml|dune(?:-project)?|[\w.-]+\.opam|\.babelrc)$"
)
_BUILD_ENDINGS = frozenset(
    "mk mak am m4 cmake bzl bazel tf tfvars hcl nix gradle ninja gyp gypi vcxproj pbxproj".split()
)
_BUILD_FOLDER = re.compile(
    r"(?:^|/)(?:docker|deploy(?:ment)?s?|k8s|kubernetes|helm|charts|terraform|ansible|infra(?:structure)?|packaging|debian|manifests)/"
)
_REQUIREMENTS = re.compile(r"(?:^|/)(?:requirements|constraints)/(?:[^/]+/)*[^/]+\.(?:txt|in)$")
_PUBLISHED_DATA = re.compile(r"/(?:_?static|public|assets)/(?:[^/]+/)*[^/]+\.json$")
_NO_PROSE = re.compile(
    r"(?:^|/)(?:licen[cs]e|copying|notice|authors|maintainers|contributors|codeowners|thanks|credits)(?:[.-][^/]*)?$"
    r"|(?:^|/)\.[^/]+$|\.(?:css|scss|sass|less|styl)(?:_t)?$",
    re.IGNORECASE,
)
_CONFIG_ENDINGS = frozenset(
    "yml yaml json json5 jsonc toml ini cfg conf properties xml plist env config editorconfig".split()
)
_TRANSLATION = re.compile(
    r"\.(?:po|pot|mo|xliff|xlf|arb|resx|strings|ftl)$|(?:^|/)(?:locales?|translations?|i18n|l10n|lang|_locales)/[^/]*(?:/[^/]+)*"
    r"\.(?:json|ya?ml|properties|php|ini|js|ts)$",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 16)
def is_prose(path: str) -> bool:
    """Whether a file is documentation that somebody writes: no settings, styles or licence beside it, no list of people."""
    if path_info(path).role is not PathRole.DOCS or _NO_PROSE.search(path):
        return False
    ending = path.rpartition("/")[2].rpartition(".")[2].lower()
    return ending == "xml" or ending not in _CONFIG_ENDINGS


def is_test_data(path: str) -> bool:
    """Whether a file is in a folder of fixtures: what it is, nothing else of the project has to be."""
    return bool(_TEST_DATA.search(path))


def is_own_manifest(path: str) -> bool:
    """Whether what a file declares is the project's own doing: it is no fixture, and nobody else's."""
    return not is_test_data(path) and path_info(path).role in COUNTED


@lru_cache(maxsize=1 << 16)
def path_info(path: str) -> PathInfo:
    """The role and language of a path (separated by ``/``, relative to the repository)."""
    name = path.rpartition("/")[2]
    ending = name.rpartition(".")[2] if "." in name.lstrip(".") else ""
    language = _language(name, ending)
    if language == "D" and _DOCS_FOLDER.search(path):
        language = ""  # manual pages in parts, not programs
    return PathInfo(_role(path, name, ending, language), language)


def _language(name: str, ending: str) -> str:
    names, endings = _languages()
    if name in names:
        return names[name]
    if name.startswith("Dockerfile"):
        return "Dockerfile"
    return endings.get(ending) or endings.get(ending.lower(), "")


@cache
def _languages() -> tuple[dict[str, str], dict[str, str]]:
    data = tomllib.loads((files(__package__) / "rules" / "languages.toml").read_text("utf-8"))
    return data["names"], data["endings"]


def language_names() -> tuple[str, ...]:
    """Every language that a path can tell of."""
    return tuple(dict.fromkeys(language for part in _languages() for language in part.values()))


def _role(path: str, name: str, ending: str, language: str) -> PathRole:
    if name in _LOCKS or (ending in ("lock", "lockb") and name != ".lock"):
        return PathRole.LOCK
    if _VENDORED.search(path):
        return PathRole.VENDORED
    if _MINIFIED.search(path):
        return PathRole.MINIFIED
    if _GENERATED_NAME.search(name) or _GENERATED_FOLDER.search(path):
        return PathRole.GENERATED
    if ending.lower() in _ASSET:
        return PathRole.ASSET
    if _TRANSLATION.search(path):
        return PathRole.TRANSLATION
    if _CI.search(path):
        return PathRole.CI
    if _CHANGELOG.search(path) and (not language or ending in _DOCS_ENDINGS):
        return PathRole.CHANGELOG
    if _BUILD_NAMES.match(name) or ending in _BUILD_ENDINGS or _REQUIREMENTS.search(path):
        return PathRole.BUILD
    if _TEST_DATA.search(path) and not language:
        return PathRole.DATA
    if _TEST_NAME.search(path) or _TEST_FOLDER.search(path):
        if ending in _DATA_ENDINGS or (ending in ("json", "xml", "txt") and not _TEST_NAME.search(path)):
            return PathRole.DATA
        if ending not in _DOCS_ENDINGS or ending in ("1", "2", "3"):
            return PathRole.TEST
    if ending in _DATA_ENDINGS:
        return PathRole.DATA
    if ending in _DOCS_ENDINGS or (not language and _DOCS_NAMES.match(name)):
        return PathRole.DOCS
    if _DOCS_FOLDER.search(path) and (not language or language in ("HTML", "CSS", "SCSS")):
        return PathRole.DATA if _PUBLISHED_DATA.search(path) else PathRole.DOCS
    if _BUILD_FOLDER.search(path) and ending in _CONFIG_ENDINGS:
        return PathRole.BUILD
    if language:
        return PathRole.SOURCE
    if ending in _CONFIG_ENDINGS or name.startswith("."):
        return PathRole.CONFIG
    return PathRole.SOURCE if not ending and "/" in path else PathRole.CONFIG


def area_of(path: str) -> str:
    """The part of the project a path belongs to: its folder, two levels deep; ``.`` for the root."""
    folders = path.split("/")[:-1][:2]
    return "/".join(folders) or "."
