"""A linear model of categories, small enough to carry along, that learns from a repository's own typed commits.

The shipped weights come from typed commits of public projects (``benchmarks/train_categories.py`` makes them).
A change's score for a category is ``bias + sum(weights of its features) / sqrt(number of known features)``, and
its probability the softmax over all categories: multinomial logistic regression. :class:`RepositoryStyle` goes
on learning by stochastic gradient descent on the same loss, one step for each typed change of a repository.

The weights of one feature for all categories are the digits of a single integer (base 2**24, signed digits), so
that adding up the features of a change is one addition each.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from achievement_collector.derive.conclusions import Category

CLASSES = (
    Category.FEATURE,
    Category.BUGFIX,
    Category.PERFORMANCE,
    Category.REFACTORING,
    Category.DOCUMENTATION,
    Category.TESTING,
    Category.INFRASTRUCTURE,
    Category.MAINTENANCE,
)
UNIT = 1024  # one, in the integers of the weights
_BITS = 24
_BASE = 1 << _BITS
_MASK = _BASE - 1
_HALF = _BASE >> 1
_OFFSET = sum(_HALF << (_BITS * place) for place in range(len(CLASSES)))

_RATE, _BIAS_RATE = 2.0, 0.05
_FEW = 20  # typed changes; fewer teach nothing
_TEMPERATURE = 0.9  # found on projects that were left out of the training


def packed(numbers: Sequence[int]) -> int:
    """Numbers between -2**23 and 2**23 as the signed digits of one integer."""
    return sum(number << (_BITS * place) for place, number in enumerate(numbers))


def digits(number: int) -> list[int]:
    """The numbers that :func:`packed` was given."""
    shifted = number + _OFFSET
    return [((shifted >> (_BITS * place)) & _MASK) - _HALF for place in range(len(CLASSES))]


@cache
def _shipped() -> tuple[dict[str, int], tuple[float, ...]]:
    raw = gzip.decompress((files(__package__) / "rules" / "categories.json.gz").read_bytes())
    data = json.loads(raw)
    if data["classes"] != [category.value for category in CLASSES]:
        raise ValueError("the weights belong to other categories")
    weights = {name: packed(numbers) for name, numbers in data["weights"].items()}
    return weights, tuple(data["bias"])


class RepositoryStyle:
    """How the people of one repository name their work; learns nothing until :meth:`learn` is called."""

    def __init__(self) -> None:
        self._own: dict[str, int] = {}
        self._bias = list(_shipped()[1])
        self.learned = 0

    def learn(self, features: Sequence[str], category: Category) -> None:
        """Takes one step towards calling a change with these features ``category``."""
        if category not in CLASSES:
            return
        odds = self._probabilities(features, always=True)
        odds[CLASSES.index(category)] -= 1.0
        step = _RATE / math.sqrt(len(features) or 1)
        move = packed([round(-step * gradient * UNIT) for gradient in odds])
        own = self._own
        for feature in features:
            own[feature] = own.get(feature, 0) + move
        self._bias = [bias - _BIAS_RATE * gradient for bias, gradient in zip(self._bias, odds, strict=True)]
        self.learned += 1

    def probabilities(self, features: Sequence[str]) -> list[float]:
        """The probability of each of :data:`CLASSES`, as far as known."""
        return self._probabilities(features, always=False)

    def _probabilities(self, features: Sequence[str], *, always: bool) -> list[float]:
        weights, bias = _shipped()
        known = [weights[feature] for feature in features if feature in weights]
        scale = 1.0 / (UNIT * math.sqrt(len(known) or 1))
        scores = [number * scale for number in digits(sum(known))]
        if always or self.learned >= _FEW:
            own = self._own
            mine = digits(sum(own[feature] for feature in features if feature in own))
            scale = 1.0 / (UNIT * math.sqrt(len(features) or 1))
            scores = [
                score + number * scale + shift
                for score, number, shift in zip(scores, mine, self._bias, strict=True)
            ]
        else:
            scores = [score + shift for score, shift in zip(scores, bias, strict=True)]
        best = max(scores)
        odds = [math.exp(_TEMPERATURE * (score - best)) for score in scores]
        total = sum(odds)
        return [odd / total for odd in odds]

    def telling(self, features: Iterable[str], category: Category, most: int = 3) -> list[str]:
        """The features that speak most for a category."""
        weights, _ = _shipped()
        place = _BITS * CLASSES.index(category)
        own = self._own if self.learned >= _FEW else {}
        ranked = []
        for feature in features:
            total = weights.get(feature, 0) + own.get(feature, 0)
            points = (((total + _OFFSET) >> place) & _MASK) - _HALF
            if points > UNIT // 4:
                ranked.append((-points, feature))
        return [feature for _, feature in sorted(ranked)[:most]]
