"""Several ``git diff-tree`` processes that share the work of comparing commits with their parents."""

from __future__ import annotations

import os
import queue
import secrets
import selectors
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from achievement_collector.errors import CollectorError, RepositoryError
from achievement_collector.machine import usable_cores
from achievement_collector.sources.git.process import explain_failure, git_command, git_environment

_READ_SIZE = 1 << 18
_MOST = 4  # processes; one of ours stores what they find, and can take no more


class DiffProcess:
    """One ``git diff-tree --stdin`` that answers batches of commits.

    Entries are told apart by a random mark that no file of the repository can hold, since it did not exist
    when the repository was written.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self._mark = secrets.token_hex(16)
        self._directory = directory
        command = git_command(
            directory, "diff-tree", "--stdin", "-r", "-M", "--root", "-z", "--no-ext-diff", "--no-textconv",
            *options, f"--format=tformat:{self._mark}%H",
        )  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=git_environment(),
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin = self._process.stdin.fileno()
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)

    def compare(self, shas: Iterable[str]) -> dict[str, bytes]:
        """sha -> git's output for it; commits that changed nothing are left out.

        Raises :class:`RepositoryError` when git gives up; the process is then of no further use.
        """
        end = b"end" + self._mark.encode() + b"\n"
        request = memoryview("".join(f"{sha}\n" for sha in shas).encode() + end)
        answer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stdin, selectors.EVENT_WRITE)
            while not answer.endswith(end):
                for key, _ in selector.select():
                    if key.fd == self._stdin:
                        try:
                            request = request[os.write(self._stdin, request[:4096]) :]
                        except BrokenPipeError:
                            request = request[:0]
                        if not request:
                            selector.unregister(self._stdin)
                    else:
                        data = os.read(self._stdout, _READ_SIZE)
                        if not data:
                            raise RepositoryError(self._failure())
                        answer += data
        del answer[-len(end) :]
        differences: dict[str, bytes] = {}
        for part in bytes(answer).split(self._mark.encode())[1:]:
            sha, _, entry = part.partition(b"\0")
            differences[sha.decode()] = entry.removeprefix(b"\n")
        return differences

    def _failure(self) -> str:
        assert self._process.stderr
        return explain_failure(self._directory, self._process.stderr.read())

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream
            try:
                stream.close()
            except BrokenPipeError:
                continue


class DiffPool:
    """Compares batches of commits in several git processes and hands them back in the order given.

    There are two, or as many as leave a core to ourselves, at most four, and no more than ``batches``.
    A commit that git cannot compare (an object is missing or damaged) has None as its difference.
    """

    def __init__(self, directory: Path, batches: int, *options: str) -> None:
        self._directory = directory
        self._options = options
        self._waiting: queue.SimpleQueue[tuple[int, list[str]] | None] = queue.SimpleQueue()
        self._done: dict[int, dict[str, bytes | None] | CollectorError] = {}
        self._arrived = threading.Condition()
        self._processes: list[DiffProcess] = []
        processes = max(1, min(batches, max(2, min(usable_cores() - 1, _MOST))))
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(processes)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> DiffPool:
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._waiting.put(None)
        for process in list(self._processes):
            process._process.kill()
        for thread in self._threads:
            thread.join()

    def compare(self, batches: Iterable[list[str]]) -> Iterator[dict[str, bytes | None]]:
        """One answer per batch, in order; reads ahead by a few batches per process."""
        ahead = 3 * len(self._threads)
        sent = received = 0
        source = iter(batches)
        exhausted = False
        while not exhausted or received < sent:
            while not exhausted and sent - received < ahead:
                batch = next(source, None)
                if batch is None:
                    exhausted = True
                else:
                    self._waiting.put((sent, batch))
                    sent += 1
            if received < sent:
                yield self._take(received)
                received += 1

    def _take(self, number: int) -> dict[str, bytes | None]:
        with self._arrived:
            self._arrived.wait_for(lambda: number in self._done)
            result = self._done.pop(number)
        if isinstance(result, CollectorError):
            raise result
        return result

    def _work(self) -> None:
        process: DiffProcess | None = None
        try:
            while (job := self._waiting.get()) is not None:
                number, shas = job
                result: dict[str, bytes | None] | CollectorError
                try:
                    process = process or self._start()
                    result = dict(process.compare(shas)) if shas else {}
                except (CollectorError, OSError) as error:
                    if process:
                        process.close()
                        process = None
                    result = self._one_by_one(shas, error)
                with self._arrived:
                    self._done[number] = result
                    self._arrived.notify_all()
        finally:
            if process:
                process.close()

    def _start(self) -> DiffProcess:
        process = DiffProcess(self._directory, *self._options)
        self._processes.append(process)
        return process

    def _one_by_one(
        self, shas: list[str], first_error: Exception
    ) -> dict[str, bytes | None] | CollectorError:
        """After git gave up on a batch: what can be had of it. The error, where nothing can."""
        differences: dict[str, bytes | None] = {}
        for sha in shas:
            try:
                process = self._start()
            except OSError as error:
                return RepositoryError(f"git could not be started: {error}")
            try:
                differences.update(process.compare([sha]))
            except RepositoryError:
                differences[sha] = None
            finally:
                process.close()
                self._processes.remove(process)
        if shas and all(differences.get(sha, b"") is None for sha in shas) and len(shas) > 1:
            return (
                first_error if isinstance(first_error, CollectorError) else RepositoryError(str(first_error))
            )
        return differences
