"""How well the category rule does when the declared type is hidden from it.

    python -m benchmarks.categories [FOLDER] [--repository PATH ...] [--json]

FOLDER holds ``*.jsonl`` files of typed commits (default: ../shared/data/commits/history). The type of the
author is the truth here, noisy as it is. Two rules are measured: one that knows nothing of the repository, and
one that has seen the types of *earlier* commits of the same repository (each commit is judged first and learned
from afterwards). "unsure" counts as wrong in every figure.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from achievement_collector.derive.categories import categorise, features_of
from achievement_collector.derive.category_model import CLASSES, RepositoryStyle
from achievement_collector.derive.conclusions import CategoryCall
from benchmarks.typed_commits import TypedCommit, from_folder, from_repository

FOLDER = Path("../shared/data/commits/history")


def judge(commits: Sequence[TypedCommit], *, learns: bool) -> list[CategoryCall]:
    """The rule's call on each commit; with ``learns`` it knows the types of earlier ones of the repository."""
    styles: dict[str, RepositoryStyle] = defaultdict(RepositoryStyle)
    order = sorted(range(len(commits)), key=lambda number: commits[number].moment)
    calls: dict[int, CategoryCall] = {}
    for number in order:
        commit = commits[number]
        style = styles[commit.repository] if learns else RepositoryStyle()
        calls[number] = categorise(commit.change, style)
        if learns:
            style.learn(features_of(commit.change), commit.gold)
    return [calls[number] for number in range(len(commits))]


def figures(commits: Sequence[TypedCommit], calls: Sequence[CategoryCall]) -> dict[str, Any]:
    """Precision, recall and F1 by category, their mean over the categories that occur, and the curve."""
    right: Counter[str] = Counter()
    called: Counter[str] = Counter(call.category.value for call in calls)
    gold: Counter[str] = Counter(commit.gold.value for commit in commits)
    for commit, call in zip(commits, calls, strict=True):
        right[commit.gold.value] += commit.gold is call.category
    classes = {}
    for name in [category.value for category in CLASSES if gold[category.value]]:
        precision = right[name] / called[name] if called[name] else 0.0
        recall = right[name] / gold[name]
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        classes[name] = {"precision": precision, "recall": recall, "f1": f1, "commits": gold[name]}
    ranked = sorted(zip(commits, calls, strict=True), key=lambda pair: (-pair[1].confidence, pair[0].moment))
    hits = [commit.gold is call.category for commit, call in ranked]
    curve = []
    for percent in range(10, 101, 10):
        cut = max(1, round(len(hits) * percent / 100))
        curve.append((percent / 100, sum(hits[:cut]) / cut))
    buckets: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for (_, call), hit in zip(ranked, hits, strict=True):
        buckets[min(int(call.confidence * 10), 9)].append((call.confidence, hit))
    calibration = [
        (sum(c for c, _ in part) / len(part), sum(h for _, h in part) / len(part), len(part))
        for _, part in sorted(buckets.items())
    ]
    return {
        "commits": len(commits),
        "macro_f1": sum(row["f1"] for row in classes.values()) / len(classes),
        "accuracy": sum(hits) / len(hits),
        "surer_half": curve[4][1],
        "unsure": called["unsure"] / len(calls),
        "classes": classes,
        "curve": curve,
        "calibration": calibration,
    }


def show(title: str, result: dict[str, Any]) -> None:
    print(f"\n{title} ({result['commits']:,} commits)")
    print(
        f"  macro-F1 {result['macro_f1']:.3f}   accuracy {result['accuracy']:.3f}   "
        f"accuracy on the surer half {result['surer_half']:.3f}   unsure {result['unsure']:.1%}"
    )
    print("  category         precision  recall     F1  commits")
    for name, row in result["classes"].items():
        print(
            f"  {name:<16} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:6.3f} {row['commits']:8,}"
        )
    print("  precision by coverage: " + "  ".join(f"{c:.0%} {p:.2f}" for c, p in result["curve"]))
    print(
        "  said -> right:         " + "  ".join(f"{c:.2f} {r:.2f} ({n})" for c, r, n in result["calibration"])
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument(
        "--repository", action="append", type=Path, default=[], help="a git repository instead"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.repository:
        commits = [commit for path in given.repository for commit in from_repository(path)]
    else:
        commits = list(from_folder(given.folder))
    if not commits:
        parser.error("no typed commits found")
    people = [commit for commit in commits if not commit.is_bot]
    results = {
        "nothing known of the repository": figures(commits, judge(commits, learns=False)),
        "earlier typed commits known": figures(commits, judge(commits, learns=True)),
        "earlier typed commits known, bots left out": figures(people, judge(people, learns=True)),
    }
    if given.json:
        print(json.dumps(results, indent=2))
        return
    for title, result in results.items():
        show(title, result)


if __name__ == "__main__":
    main()
