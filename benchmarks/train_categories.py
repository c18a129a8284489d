"""Trains the shipped category model on typed commits of git repositories.

    pip install scikit-learn
    python -m benchmarks.train_categories REPOSITORY [REPOSITORY ...]

Every repository weighs about the same, rare categories more than their share (square root of the inverse
frequency). Features must occur in three repositories. The sizes of half of the commits are hidden, so that the
model also works where they are not known. Writes derive/rules/categories.json.gz.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

from achievement_collector.derive.category_features import features
from achievement_collector.derive.category_model import CLASSES, UNIT
from benchmarks.typed_commits import from_repository

_TARGET = Path("src/achievement_collector/derive/rules/categories.json.gz")
_MOST_FEATURES = 9_000
_FEW_REPOSITORIES, _FEW_COMMITS = 3, 8


def main(arguments: list[str]) -> None:
    import numpy
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    choose = random.Random(0)
    samples: list[tuple[str, list[str], int]] = []
    for argument in arguments:
        commits = from_repository(Path(argument))
        print(f"{len(commits):6,} typed commits in {argument}", flush=True)
        for commit in commits:
            seen = features(
                commit.change.title, commit.change.body, commit.change.files, sizes=choose.random() < 0.5
            )
            samples.append((argument, seen, CLASSES.index(commit.gold)))

    counts: Counter[str] = Counter()
    places: dict[str, set[str]] = defaultdict(set)
    for repository, seen, _ in samples:
        counts.update(seen)
        for feature in seen:
            places[feature].add(repository)
    names = [
        name for name in counts if len(places[name]) >= _FEW_REPOSITORIES and counts[name] >= _FEW_COMMITS
    ]
    numbers = {name: number for number, name in enumerate(sorted(names))}

    ends, columns, values = [0], [], []
    for _, seen, _ in samples:
        known = [numbers[feature] for feature in seen if feature in numbers]
        columns += known
        values += [len(known) ** -0.5 if known else 0.0] * len(known)
        ends.append(len(columns))
    matrix = csr_matrix((numpy.array(values), columns, ends), shape=(len(samples), len(numbers)))
    sizes = Counter(repository for repository, _, _ in samples)
    frequency = Counter(label for _, _, label in samples)
    weights = [
        1500 / max(sizes[repository], 600) * (len(samples) / len(CLASSES) / frequency[label]) ** 0.5
        for repository, _, label in samples
    ]
    model = LogisticRegression(C=2.0, max_iter=400)
    model.fit(matrix, [label for _, _, label in samples], sample_weight=weights)

    strength = abs(model.coef_).max(axis=0) * numpy.sqrt(matrix.power(2).sum(axis=0).A1)
    kept = sorted(sorted(numbers.values(), key=lambda number: -strength[number])[:_MOST_FEATURES])
    by_number = sorted(numbers)
    data = {
        "classes": [category.value for category in CLASSES],
        "trained_on": f"{len(samples)} typed commits of {len(arguments)} repositories",
        "bias": [round(float(value), 4) for value in model.intercept_],
        "weights": {
            by_number[number]: [round(float(value) * UNIT) for value in model.coef_[:, number]]
            for number in kept
        },
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    _TARGET.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{len(kept):,} features of {len(numbers):,}, {_TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
