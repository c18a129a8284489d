"""Deterministic synthetic repositories, made with git fast-import: the same seed gives the same shas anywhere.

    python -m benchmarks.synthetic TARGET [--commits 50000] [--seed 1]

The history looks like an ordinary one: files of some hundred lines of which a few change, topics merged as
pull requests, typed and plain titles, co-authors, bots, releases.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_START = 1_400_000_000
_COMMITS_OF_A_RELEASE = 400
_WORDS = [
    "parser",
    "cache",
    "index",
    "token",
    "stream",
    "buffer",
    "config",
    "loader",
    "router",
    "handler",
    "session",
    "query",
    "filter",
    "merge",
    "commit",
    "branch",
    "schema",
    "worker",
    "queue",
    "metric",
    "logger",
    "client",
    "server",
    "socket",
    "header",
    "cookie",
    "render",
    "layout",
    "widget",
    "format",
    "encode",
    "decode",
    "verify",
    "signer",
]
_VERBS = (
    "Add",
    "Fix",
    "Refactor",
    "Document",
    "Test",
    "Speed up",
    "Simplify",
    "Remove",
    "Support",
    "Handle",
    "Rename",
    "Validate",
)
_TYPES = ("feat", "fix", "refactor", "docs", "test", "perf", "chore", "ci")
_ENDINGS = ("py", "py", "py", "c", "h", "ts", "md", "yml", "rs")


class History:
    """Makes a fast-import stream, commit by commit."""

    def __init__(self, commits: int, seed: int) -> None:
        self.commits = commits
        self.chance = random.Random(seed)
        self.files: dict[str, list[str]] = {}
        self.mark = 0
        self.now = _START
        self.main = 0
        self.releases = 0
        self.touched: dict[str, None] = {}  # since the last commit of the main line
        self.gone: list[str] = []

    def stream(self) -> Iterator[bytes]:
        for _ in range(120):
            self._new_file()
        first = "".join(self._content(path) for path in self.files)
        yield self._commit(
            "refs/heads/main", "Import the project", 0, None, first, "Ada Archer <ada@example.dev>"
        )
        self.main = self.mark
        request = 0
        while self.mark < self.commits:
            if self.chance.random() < 0.3:
                request += 1
                yield from self._topic(request)
            else:
                yield self._change("refs/heads/main", self.main)
                self.main = self.mark
            if self.mark // _COMMITS_OF_A_RELEASE > self.releases:
                self.releases = self.mark // _COMMITS_OF_A_RELEASE
                yield self._tag()

    def _topic(self, request: int) -> Iterator[bytes]:
        base, tip = self.main, self.main
        for _ in range(self.chance.randint(1, 5)):
            yield self._change(f"refs/heads/topic-{request}", tip)
            tip = self.mark
        title = self._title()
        message = f"Merge pull request #{request} from dev/topic-{request}\n\n{title}\n"
        yield self._commit("refs/heads/main", message, base, tip, "", "Ada Archer <ada@example.dev>")
        self.main = self.mark
        yield f"reset refs/heads/topic-{request}\nfrom 0000000000000000000000000000000000000000\n\n".encode()

    def _change(self, ref: str, parent: int) -> bytes:
        chance = self.chance
        changed = []
        for _ in range(min(1 + int(chance.expovariate(0.8)), 12)):
            roll = chance.random()
            if roll < 0.06:
                changed.append(self._content(self._new_file()))
            elif roll < 0.08 and len(self.files) > 60:
                path = chance.choice(list(self.files))
                new = (
                    f"{path.rpartition('/')[0]}/{chance.choice(_WORDS)}_{self.mark}.{path.rpartition('.')[2]}"
                )
                self.files[new] = self.files.pop(path)
                changed.append(f"R {path} {new}\n")
                self.touched[new] = None
                self.gone.append(path)
            else:
                changed.append(self._content(self._edit()))
        author = chance.randrange(60)
        name = f"Dev {author} Example <dev{author}@example.dev>"
        if chance.random() < 0.05:
            name = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
        message = self._title()
        if chance.random() < 0.3:
            message += "\n\n" + " ".join(chance.choice(_WORDS) for _ in range(40)) + ".\n"
        if chance.random() < 0.05:
            message += f"\nCo-authored-by: Dev {chance.randrange(60)} Example <dev{chance.randrange(60)}@example.dev>\n"
        return self._commit(ref, message, parent, None, "".join(changed), name)

    def _commit(self, ref: str, message: str, parent: int, other: int | None, files: str, who: str) -> bytes:
        self.mark += 1
        self.now += self.chance.randint(60, 8_000)
        data = message.encode()
        lines = [
            f"commit {ref}",
            f"mark :{self.mark}",
            f"author {who} {self.now} +0100",
            f"committer {who} {self.now} +0100",
        ]
        head = "\n".join(lines).encode() + f"\ndata {len(data)}\n".encode() + data + b"\n"
        if parent:
            head += f"from :{parent}\n".encode()
        if other:
            head += f"merge :{other}\n".encode()
            # fast-import starts from the first parent: take what the topic left
            files = "".join(f"D {path}\n" for path in self.gone)
            files += "".join(self._content(path) for path in list(self.touched))
        if ref.endswith("main"):
            self.touched, self.gone = {}, []
        return head + files.encode() + b"\n"

    def _tag(self) -> bytes:
        text = f"Release 1.{self.releases}.0"
        return (
            f"tag v1.{self.releases}.0\nfrom :{self.main}\ntagger Ada Archer <ada@example.dev> {self.now} +0100\n"
            f"data {len(text)}\n{text}\n"
        ).encode()

    def _title(self) -> str:
        chance = self.chance
        words = f"{chance.choice(_WORDS)} {chance.choice(_WORDS)}"
        if chance.random() < 0.35:
            return f"{chance.choice(_TYPES)}({chance.choice(_WORDS)}): {chance.choice(_VERBS).lower()} the {words}"
        return f"{chance.choice(_VERBS)} the {words} of the {chance.choice(_WORDS)}"

    def _new_file(self) -> str:
        chance = self.chance
        folder = chance.choice(("src", "src/core", "src/net", "lib", "tests", "docs", "tools"))
        path = f"{folder}/{chance.choice(_WORDS)}_{len(self.files)}_{self.mark}.{chance.choice(_ENDINGS)}"
        self.files[path] = [self._line() for _ in range(chance.randint(40, 500))]
        return path

    def _edit(self) -> str:
        chance = self.chance
        path = chance.choice(list(self.files))
        lines = self.files[path]
        at = chance.randrange(len(lines))
        size = min(1 + int(chance.expovariate(0.15)), 60)
        lines[at : at + chance.randint(0, size)] = [self._line() for _ in range(size)]
        if len(lines) > 900:
            del lines[600:]
        return path

    def _line(self) -> str:
        chance = self.chance
        return f"    {chance.choice(_WORDS)}({chance.choice(_WORDS)}, {chance.randrange(1000)})\n"

    def _content(self, path: str) -> str:
        self.touched[path] = None
        text = "".join(self.files.get(path, []))
        return f"M 644 inline {path}\ndata {len(text)}\n{text}\n" if path in self.files else ""


def make(target: Path, commits: int, seed: int = 1) -> Path:
    """Makes a bare repository at ``target`` with about ``commits`` commits; one that is there is used again."""
    if (target / "HEAD").exists():
        return target
    making = target.with_name(f"{target.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(making)], check=True)
    process = subprocess.Popen(
        ["git", "-C", str(making), "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE
    )
    assert process.stdin
    for part in History(commits, seed).stream():
        process.stdin.write(part)
    process.stdin.close()
    if process.wait():
        raise SystemExit("git fast-import failed")
    return making.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--commits", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    made = make(given.target, given.commits, given.seed)
    head = subprocess.run(
        ["git", "-C", str(made), "rev-parse", "main"], capture_output=True, text=True, check=True
    )
    print(f"{made}: main is {head.stdout.strip()}")


if __name__ == "__main__":
    main()
