"""What commit messages say in the conventions of git and the forges.

Every function takes any text; none needs more than time linear in its length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from achievement_collector.facts import Trailer, body_of, subject_of

# --- Conventional Commits ------------------------------------------------------------------------------

_TYPES = frozenset(
    {
        "feat", "feature", "fix", "bugfix", "hotfix", "perf", "performance", "refactor",
        "refact", "docs", "doc", "test", "tests", "testing", "ci", "build", "chore", "style", "revert",
        "release", "deps", "dep", "dependencies", "security", "sec", "i18n", "l10n", "types", "typo",
        "dx", "a11y", "workflow", "infra",
        "enhancement", "enhance", "optimize", "optimization",
        "maintenance",
        "upgrade", "update",
        "deprecate", "deprecation",
        "breaking", "changelog", "translation", "translations", "locale",
    }
)  # fmt: skip
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9_-]{1,30})\s?(?:\(([^()\n]{1,100})\))?(!)?: {1,4}(\S.*)", re.DOTALL)
_HEADER_WITHOUT_COLON = re.compile(r"([a-z]{2,12})\(([^()\n]{1,60})\)(!)? +(\S.*)", re.DOTALL)
_BREAKING = re.compile(r"^BREAKING[ -]CHANGES?(?:\([^)\n]*\))?:? *\S", re.MULTILINE)


class Header(NamedTuple):
    """``type(scope)!: description``; the type in lower case."""

    type: str
    scope: str | None
    is_breaking: bool
    description: str


def parse_header(subject: str) -> Header | None:
    """The Conventional Commits header of a subject.

    Only words in use as types are types: ``http: fix x`` names an area, as many projects do, and is none.
    A word with a scope (``storage(s3): ...``) is not taken for a type either. ``feat(cli) ...`` without the colon is
    read as it is meant.
    """
    match = _HEADER.fullmatch(subject[:2000]) or _HEADER_WITHOUT_COLON.fullmatch(subject[:2000])
    if not match or match[1].lower() not in _TYPES:
        return None
    scope = match[2].strip() if match[2] else None
    return Header(match[1].lower(), scope or None, match[3] is not None, match[4].strip())


def declares_breaking(subject: str, body: str) -> str:
    """What declares a breaking change: ``the ! in its type``, ``a BREAKING CHANGE footer``; else empty."""
    header = parse_header(subject)
    if header and header.is_breaking:
        return 'the "!" after its type'
    if "BREAKING" in body and _BREAKING.search(body):
        return "a BREAKING CHANGE footer"
    return ""


# --- merges ------------------------------------------------------------------------------------------


class MergeSubject(NamedTuple):
    """What a merge says of itself.

    ``kind``: github, gitlab, bitbucket, azure (all four are merged pull requests), branch (a topic merged
    locally), pull (``git pull``: the same branch of a remote), remote-tracking, tag, commit.
    ``sources`` are the branches merged; ``target`` the branch merged into, where it is said.
    """

    kind: str
    number: int | None
    sources: tuple[str, ...]
    target: str | None = None
    owner: str | None = None

    @property
    def source(self) -> str:
        return self.sources[0] if self.sources else ""

    @property
    def is_pull_request(self) -> bool:
        return self.number is not None


_GITHUB = re.compile(r"Merge pull request #(\d{1,9}) from ([^/\s]+)/(\S+)")
_GITHUB_BARE = re.compile(r"Merge (?:pull request|PR) #(\d{1,9})\b")
_AUTO_MERGE = re.compile(r"Auto merge of #(\d{1,9}) - ([^:\s]+):([^,\s]+)")
_BITBUCKET = re.compile(r"Merged in (\S+) \(pull request #(\d{1,9})\)")
_BITBUCKET_SERVER = re.compile(r"(?:Merge p|P)ull request #(\d{1,9}): ")
_AZURE = re.compile(r"Merged PR (\d{1,9})\b")
_BRANCH = re.compile(
    r"Merge (remote-tracking )?branch(?:es)? ((?:'[^']*'(?:, | and )?)+)"
    r"(?: (?:of|from) (\S+))?(?: into (.+))?"
)
_QUOTED = re.compile(r"'([^']*)'")
_PLAIN_BRANCH = re.compile(r"Merge (?:branch )?([\w./-]+) (?:into|to) ([\w./-]+)\s*$")
_GITLAB = re.compile(r"^See merge request (\S*?)!(\d{1,9})\s*$", re.MULTILINE)
_TAG = re.compile(r"Merge tags? '([^']*)'")
_COMMIT = re.compile(r"Merge commits? '([^']*)'")


_PULLED = re.compile(r"Merge (?:with )?(?:[a-z+]+://\S+|\S+@\S+:\S+|(?:\.\.?)?/\S+)")
_TYPE_BEFORE_MERGE = re.compile(r"^[a-z]{2,12}(?:\([^)]{1,40}\))?: ?[Mm]erge\b")


def parse_merge(message: str) -> MergeSubject | None:
    """The merge subject of a message in the forms of GitHub, GitLab, Bitbucket, Azure and git itself."""
    subject = _TYPE_BEFORE_MERGE.sub("Merge", subject_of(message[:4000])[:1000])
    if match := _GITHUB.match(subject):
        return MergeSubject("github", int(match[1]), (match[3],), owner=match[2])
    if match := _AUTO_MERGE.match(subject):
        return MergeSubject("github", int(match[1]), (match[3],), owner=match[2])
    if match := _BITBUCKET.match(subject):
        return MergeSubject("bitbucket", int(match[2]), (match[1],))
    if match := _BITBUCKET_SERVER.match(subject):
        return MergeSubject("bitbucket", int(match[1]), ())
    if match := _GITHUB_BARE.match(subject):
        return MergeSubject("github", int(match[1]), ())
    if match := _AZURE.match(subject):
        return MergeSubject("azure", int(match[1]), ())
    if not subject.startswith("Merge"):
        return None
    if match := _BRANCH.match(subject):
        sources = tuple(_QUOTED.findall(match[2]))
        target = match[4].strip(" '\"") if match[4] else None
        request = _GITLAB.search(message) if "See merge request" in message else None
        if request:
            return MergeSubject("gitlab", int(request[2]), sources, target)
        kind = "remote-tracking" if match[1] else "pull" if match[3] and match[3] != "." else "branch"
        return MergeSubject(kind, None, sources, target)
    if match := _TAG.match(subject):
        return MergeSubject("tag", None, (match[1],))
    if match := _COMMIT.match(subject):
        return MergeSubject("commit", None, (match[1],))
    if _PULLED.match(subject):
        return MergeSubject("pull", None, ())
    if match := _PLAIN_BRANCH.match(subject):
        return MergeSubject("branch", None, (match[1],), match[2])
    return None


_SQUASH = re.compile(r"\(([#!])(\d{1,9})\)\s*$")


def squash_number(subject: str) -> int | None:
    """The number of the pull request whose squash a subject is: ``Add x (#12)``, on GitLab ``(!12)``."""
    match = _SQUASH.search(subject[-40:])
    return int(match[2]) if match else None


def merge_title(message: str) -> str:
    """The title of a merged pull request: GitHub and GitLab put it into the first line of the body,
    Azure and Bitbucket Server behind the number; empty where the merge tells none."""
    subject = subject_of(message[:4000])[:1000]
    for pattern in (re.compile(r"Merged PR \d+: (.+)"), re.compile(r"(?:Merge p|P)ull request #\d+: (.+)")):
        if match := pattern.match(subject):
            return match[1].strip()
    for paragraph in re.split(r"\n\s*\n", body_of(message)[:4000]):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        if not lines:
            continue
        if _NOT_A_TITLE.match(lines[0]) or len(lines[0]) > 300:
            return ""
        return _first_sentence(lines)
    return ""


def _first_sentence(lines: list[str]) -> str:
    """The first line; with those that follow where it was wrapped in the middle of a sentence."""
    text = lines[0]
    for line in lines[1:]:
        if len(text) < 45 or text[-1:] in ".!?:;" or _NOT_A_TITLE.match(line):
            break
        text += " " + line
    sentence = re.match(r".{20,}?[.!?](?=\s+[A-Z\"'`(])", text)
    return sentence[0] if sentence else text


_NOT_A_TITLE = re.compile(
    r"(?:See merge request|Approved-by|Signed-off-by|Co-authored-by|Reviewed-by|Related work items"
    r"|Closes?\b|Fixes\b"
    r"|Conflicts?:|# Conflicts|\* |- |# |\d+ commits?\b|https?://)",
    re.IGNORECASE,
)


# --- trailers ----------------------------------------------------------------------------------------

_TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:(.*)", re.DOTALL)
_GIT_GENERATED = ("Signed-off-by: ", "(cherry picked from commit ")


def parse_trailers(message: str) -> tuple[Trailer, ...]:
    """The trailers of a message, by git's rules.

    They stand in the last paragraph (not the first of the message), when all its lines are trailers, or at
    least a quarter of them and one is generated by git. Folded lines (that begin with white space) are
    joined by a space."""
    text = message.rstrip()
    start = text.rfind("\n\n")
    if start < 0:
        # blank lines may hold spaces
        start = -1
        if "\n" not in text:
            return ()
    lines = text[start + 2 :].split("\n") if start >= 0 else text.split("\n")
    for number in range(len(lines) - 1, -1, -1):
        if not lines[number].strip():
            lines = lines[number + 1 :]
            break
    else:
        if start < 0 or not text[:start].strip():
            return ()
    found: list[Trailer] = []
    others = generated_lines = 0
    generated = in_trailer = False
    for line in lines:
        if line[:1] in " \t" and line.strip():
            if in_trailer:
                last = found[-1]
                found[-1] = Trailer(last.key, f"{last.value} {line.lstrip()}")
            else:
                others += 1
            continue
        if line.startswith(_GIT_GENERATED):
            generated = True
        match = _TRAILER.fullmatch(line)
        in_trailer = match is not None
        if match:
            found.append(Trailer(match[1], match[2]))
        elif line.startswith(_GIT_GENERATED):
            generated_lines += 1
        elif not line.startswith("#"):
            others += 1
    if others and not (generated and (len(found) + generated_lines) * 3 >= others):
        return ()
    return tuple(Trailer(key, value.strip()) for key, value in found)


# --- reverts, re-lands, picks ------------------------------------------------------------------------

_SHA = r"[0-9a-f]{7,64}"
_REVERTS = re.compile(rf"[Tt]his reverts (?:merge |the )?commits?[:\s]+((?:{_SHA}(?:,? and |, |\s)?)+)")
_REVERTED_NUMBER = re.compile(r"\b[Rr]everts (?:PR |pull request )?(?:[\w.-]+/[\w.-]+)?#(\d{1,9})\b")
_PICKED = re.compile(rf"\((?:cherry[- ]picked|backported|rebased) from commit ({_SHA})")
_UPSTREAM = re.compile(
    rf"^\[? ?(?:[Uu]pstream commit ({_SHA}) ?\]?|commit ({_SHA}) upstream\.?)\s*$", re.MULTILINE
)
_PICKED_NUMBER = re.compile(
    r"\b[Bb]ack-?port(?:s|ed)?(?: of)?:?(?: PR| pull request)? ?(?:[\w.-]+/[\w.-]+)?#(\d{1,9})\b"
    r"|\b[Cc]herry[- ]pick(?:s|ed)?(?: of| from)?:?(?: PR| pull request)? ?(?:[\w.-]+/[\w.-]+)?#(\d{1,9})\b"
)
_REVERT_TITLE = re.compile(r"""[Rr]evert(?:ed)?:? ["“](.+)["”](?:\s*\([#!]\d+\))*\s*$""", re.DOTALL)
_REVERT_TYPE = re.compile(r"[Rr]evert(?:\([^)]*\))?!?: (\S.*)", re.DOTALL)
_RELAND_TITLE = re.compile(
    r"""(?:[Rr]e-?(?:apply|land)(?:ed)?):? ["“]?(.+?)["”]?(?:\s*\([#!]\d+\))*\s*$""", re.DOTALL
)


def reverted_shas(message: str) -> tuple[str, ...]:
    """The commits that a message says it reverts, perhaps abbreviated (7 digits or more)."""
    if "his reverts" not in message:
        return ()
    return tuple(sha for match in _REVERTS.finditer(message) for sha in re.findall(_SHA, match[1]))


def reverted_numbers(message: str) -> tuple[int, ...]:
    """The pull requests that a message says it reverts (``Reverts owner/name#12``)."""
    if "everts " not in message:
        return ()
    return tuple(int(number) for number in _REVERTED_NUMBER.findall(message))


def reverted_title(subject: str) -> str | None:
    """The title inside ``Revert "title"``; of ``Revert "Revert "x""`` it is ``Revert "x"``. Of ``revert: feat: x``, which
    quotes nothing, it is ``feat: x``."""
    match = _REVERT_TITLE.match(subject[:2000])
    if match:
        return match[1]
    match = _REVERT_TYPE.match(subject[:2000])
    return match[1].strip() if match and parse_header(match[1]) else None


def relanded_title(subject: str) -> str | None:
    """The title inside ``Reland "title"`` or ``Reapply "title"``."""
    if subject[:2].lower() != "re":
        return None
    match = _RELAND_TITLE.match(subject[:2000])
    return match[1] if match else None


def picked_shas(message: str) -> tuple[str, ...]:
    """The commits that a message says it was picked or backported from."""
    if " commit " not in message and "pstream" not in message and "commit " not in message:
        return ()
    found = _PICKED.findall(message)
    found += [first or second for first, second in _UPSTREAM.findall(message)]
    return tuple(dict.fromkeys(found))


def picked_numbers(message: str) -> tuple[int, ...]:
    """The pull requests that a message says it is a backport or pick of."""
    if "ackport" not in message and "ack-port" not in message and "herry" not in message:
        return ()
    return tuple(dict.fromkeys(int(first or second) for first, second in _PICKED_NUMBER.findall(message)))


# --- issues and titles -------------------------------------------------------------------------------

_CLOSES = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)[:\s]+"
    r"((?:(?:[\w.-]{1,100}/[\w.-]{1,100})?#\d{1,9}(?:,? and |,? ?& ?|, ?)?)+)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(?:[\w.-]+/[\w.-]+)?#\d{1,9}")
_GH = re.compile(r"\bGH-(\d{1,9})\b")
# the charset first: the engine then looks for capitals only
_KEY = re.compile(r"([A-Z](?<![\w/.-][A-Z])[A-Z0-9]{1,9}-[1-9]\d{0,6})(?![\w-])")
NO_KEYS = frozenset(
    {
        "UTF", "SHA", "ISO", "RFC", "CVE", "CWE", "PEP", "ECMA", "AES", "RSA", "MD", "BASE", "ASCII",
        "IEEE", "X86", "ARM", "ES", "TLS", "SSL", "HTTP", "IPV", "UTC", "GMT", "GPL", "LGPL", "AGPL",
        "BSD", "MIT", "APACHE", "MPL", "COVID", "V", "ED", "CP", "KOI", "WINDOWS", "LATIN", "US", "H",
        "MP", "GH", "PR", "P256", "SECP", "CRC", "FIPS", "EN", "DIN", "XEP", "BIP", "EIP", "PGP", "GPG",
        "USB", "PCI", "DDR", "A", "B", "C", "TODO", "FIXME", "NUMPY", "PY", "PYTHON", "GCC", "LLVM",
        "ALGO", "STEP",
    }
)  # fmt: skip


def issue_references(message: str) -> tuple[str, ...]:
    """Issues that a message says it closes (``#12``, ``owner/name#12``), and keys of issue trackers
    (``ABC-123``) in it, in order, at most 20; names such as UTF-8 or SHA-256 are no keys."""
    text = message[:50_000]
    found: list[str] = []
    if "#" in text:
        for match in _CLOSES.finditer(text):
            found += _REFERENCE.findall(match[1])
    if "GH-" in text:
        found += [f"#{number}" for number in _GH.findall(text)]
    found += [key for key in _KEY.findall(text) if key.rpartition("-")[0] not in NO_KEYS]
    return tuple(dict.fromkeys(found))[:20]


_NUMBERS_AT_END = re.compile(r"(?:\s*\((?:[#!]\d{1,9}|GH-\d{1,9})(?:,\s*[#!]\d{1,9})*\))+\s*$")
_BRACKETS_AT_START = re.compile(
    r"^\s*(?:\[(?:PATCH[^\]]*|[A-Z][A-Z0-9]{1,9}-\d{1,7}|#\d{1,9}|RFC[^\]]*|WIP)\]\s*)+[:-]?\s*"
)
_KEY_AT_START = re.compile(r"^(?:[A-Z][A-Z0-9]{1,9}-\d{1,7}|#\d{1,9})\s*[:-]\s+(?=\S)")
_EMOJI_AT_START = re.compile(
    r"^(?::[a-z0-9_+-]{2,30}:|[\u2600-\u27bf\U0001f300-\U0001faff][\ufe0f\u200d]*)\s*"
)


_FEW_WORDS = 3  # they say little without the scope: ``feat(vapor): hydration``


def clean_title(subject: str) -> str:
    """A title for people: without a conventional type, pull request numbers, patch and ticket marks.

    An upper-case letter begins it, unless the first word looks like an identifier. It is never empty where
    the subject is not."""
    text = " ".join(subject.split())[:1000]
    shorter = _NUMBERS_AT_END.sub("", text)
    for pattern in (_EMOJI_AT_START, _BRACKETS_AT_START, _KEY_AT_START):
        shorter = pattern.sub("", shorter, count=1)
    header = parse_header(shorter)
    if header:
        shorter = _EMOJI_AT_START.sub("", _KEY_AT_START.sub("", header.description), count=1)
        if (
            header.scope
            and len(shorter.split()) <= _FEW_WORDS
            and header.scope.lower() not in shorter.lower()
        ):
            shorter = f"{shorter.strip().rstrip('.')} ({header.scope})"
    shorter = shorter.strip().rstrip(".") if not shorter.rstrip().endswith("..") else shorter.strip()
    if not shorter:
        return text
    first_word = shorter.split(" ", 1)[0].rstrip(",;")
    if first_word.isalpha() and first_word.islower() and not header_like(shorter):
        return shorter[0].upper() + shorter[1:]
    return shorter


def header_like(text: str) -> bool:
    """Whether a title begins with the name of an area (``http: ...``), which keeps its spelling."""
    return text.split(" ", 1)[0].endswith(":")
