"""The shipped rules: what a line of a log is, by patterns kept as data in ``derive/rules/failures``."""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from achievement_collector.derive.failures.categories import FailureCategory

FILES = ("compilers", "tests", "quality", "dependencies", "surroundings", "general")

_NOISE_AT_START = re.compile(
    r"\s*(?:✓|✔|√|SKIP(?:PED)?\b|XFAIL|XPASS|PENDING|ok \d|ok\s|PASS(?:ED)?\b|--- PASS|\[ {7}OK|\[PASS|\[\+\] )"
    r"|info (?!.*FAILED)|npm (?:WARN|warn|http|verb|sill|notice)|warning |\[WARN(?:ING)?\]"
    r"|WARN(?:ING)?[: ](?! ?DATA RACE|: ignoring)|(?:Get|Hit|Ign):\d|Selecting previously|Preparing to unpack|Unpacking "
    r"|Setting up |Processing triggers|Removing |Collecting |Downloading |Downloaded |Requirement already|Installing collected"
    r"|Successfully |Using cached|Fetching |Fetched |Compiling \S+ v\d|Installing \S+ \d"
    r"|remote: (?:Counting|Compressing|Enumerating)|Receiving objects|Resolving deltas|\s*inflating: |  CC |  CXX "
    r"|\[ *\d+%\] (?:Building|Linking|Built)|checking (?:for|whether|if|how|that)\b|\$ |\++ (?!.*(?:fail|rror|ERROR))"
    r"|##\[(?:group|endgroup|command|section|warning|debug)\]|\[command\]|##\[add-|shell: "
    r"|\s*(?:if|elif|fi|then|else|echo|exit|return|for|while|case|set) [^:]*$|[A-Z_]{3,}=\S"
    r"|(?:\[\w+\]|\[\d+\])?\s+at (?:async |new )?[\w.$<>/-]+(?: |\.|\()"
)
_NOISE_AT_END = re.compile(
    r"(?:\.\.\. ?|[ :])(?:ok|OK|PASS(?:ED)?|passed|SUCCESS|yes|skipped|SKIPPED)(?: \([\d.,]+ ?m?s\))?$"
)
_FAULTS = r"(?:errors?|failures?|failed|failing|problems?|offenses|violations|warnings|vulnerabilities)"
_NOISE_OF_NOTHING = re.compile(
    rf"(?i)\b(?:0|no|zero|without) (?:\w+ )?{_FAULTS}\b(?!.*\b[1-9]\d* {_FAULTS})"
    r"|\b(?:errors?|failures?|failed|fail|broken|exceptions?)\"?[:=] *0\b(?!.*\b(?:errors?|failures?|failed|fail)\"?[:=] ?[1-9])"
)
_NOISE_OF_COMMANDS = re.compile(
    r"\b(?:gcc|g\+\+|clang|clang\+\+|cc|c\+\+|ghc|rustc|javac|ld)\b.* -[A-Za-z]\S* .* -[A-Za-z]"
)
_NOISE_OF_OPTIONS = re.compile(r"-W(?:no-)?error\b|(?:^|\s)--?\S*(?:error|fail)\S*(?:=\S*)?\s*$")
_NOISE_OF_WARNINGS = re.compile(r"\bwarning: (?!.*(?:as error|Could not find remote branch))")
_NAMES = (
    "on_failure", "fail-fast", "fail_fast", "failfast", "continue-on-error", "after_failure", "errexit", "failonerror",
    "ignore-error", "ignore error",
)  # fmt: skip
_LONGEST = 400


def _is_noise(text: str, low: str) -> bool:
    """Whether a line speaks of errors without telling of one: none happened, a name, a command, a step that went well."""
    if _NOISE_AT_START.match(text) or (text[-1:] in "kKSsDd)" and _NOISE_AT_END.search(text[-40:])):
        return True
    if _may_tell_of_nothing(low) and _NOISE_OF_NOTHING.search(text):
        return True
    if "retrying" in low:  # the last time it failed it does not say so
        return True
    options = text.count(" -")
    if (options > 1 and _NOISE_OF_COMMANDS.search(text)) or (options and _NOISE_OF_OPTIONS.search(text)):
        return True
    if "arning: " in text and _NOISE_OF_WARNINGS.search(text):
        return True
    return ("fail" in low or "err" in low) and any(name in low for name in _NAMES)


def _may_tell_of_nothing(low: str) -> bool:
    return "0 " in low or "no " in low or "zero " in low or ("0" in low and (":" in low or "=" in low))


class Precision(NamedTuple):
    """Of ``of`` labelled failures that a rule decided, in ``right`` its line lay in the part that a human had marked."""

    right: int
    of: int

    @property
    def share(self) -> float:
        return self.right / self.of


@dataclass(frozen=True, slots=True)
class Rule:
    """What a line is. ``category`` is None where it does not tell the kind of failure; ``weight`` 1 to 10 says how much the
    line tells of the cause; ``before`` and ``after`` count the lines around that belong to it; ``names`` says that the line
    names what failed; ``precision`` is None where it was not measured."""

    name: str
    category: FailureCategory | None
    weight: int
    pattern: re.Pattern[str]
    needs: tuple[str, ...]
    before: int
    after: int
    names: bool
    precision: Precision | None = None


class RuleSet:
    """Rules, found by the literals that they need: of each literal the three letters that fewest others have."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(sorted(rules, key=lambda one: -one.weight))
        self._anywhere = tuple(one for one in self.rules if not one.needs)
        by_need: defaultdict[str, list[int]] = defaultdict(list)
        for number, rule in enumerate(self.rules):
            for need in rule.needs:
                by_need[need].append(number)
        common = Counter(three for need in by_need for three in _threes(need))
        self._by_three: defaultdict[str, list[tuple[str, list[int]]]] = defaultdict(list)
        self._signs: list[tuple[str, list[int]]] = []
        for need, numbers in by_need.items():
            if len(need) < 3:  # a sign such as ✗
                self._signs.append((need, numbers))
                continue
            rarest = min(sorted(_threes(need)), key=lambda three: common[three])
            self._by_three[rarest].append((need, numbers))
        self._threes = frozenset(self._by_three)

    def of(self, text: str, *, anywhere: bool = False) -> Rule | None:
        """The weightiest rule that knows the line; ``anywhere`` tries those too that need no literal."""
        text = text[:_LONGEST]
        low = text.lower()
        if _is_noise(text, low):
            return None
        numbers: set[int] = set()
        for three in self._threes.intersection([low[at : at + 3] for at in range(len(low) - 2)]):
            for need, known_by in self._by_three[three]:
                if need in low:
                    numbers.update(known_by)
        if not low.isascii():
            for need, known_by in self._signs:
                if need in low:
                    numbers.update(known_by)
        for number in sorted(numbers):
            rule = self.rules[number]
            if rule.pattern.search(text):
                return rule
        if anywhere:
            return next((rule for rule in self._anywhere if rule.pattern.search(text)), None)
        return None


def _threes(need: str) -> set[str]:
    return {need[at : at + 3] for at in range(len(need) - 2)}


@cache
def shipped_rules() -> RuleSet:
    """The rules that come with the package, with the precision that ``benchmarks.ci_logs --write`` measured."""
    folder = files("achievement_collector.derive") / "rules" / "failures"
    measured: dict[str, list[int]] = tomllib.loads((folder / "measured.toml").read_text("utf-8"))["precision"]
    found = []
    for name in FILES:
        for given in tomllib.loads((folder / f"{name}.toml").read_text("utf-8"))["rule"]:
            right_of = measured.get(given["name"])
            found.append(
                Rule(
                    name=given["name"],
                    category=FailureCategory(given["category"]) if given.get("category") else None,
                    weight=given["weight"],
                    pattern=re.compile(given["pattern"]),
                    needs=tuple(given["needs"]),
                    before=given.get("before", 2),
                    after=given.get("after", 5),
                    names=given.get("names", False),
                    precision=Precision(*right_of) if right_of else None,
                )
            )
    return RuleSet(found)
