"""The program in processes of its own, without waiting for its imports each time.

A server process imports everything once and forks for each run: what runs is what a user runs, from the arguments to the
exit code, in a fresh process with its own folder, environment and output. What depends on the start itself (the time it
takes, what is imported) runs ``python -m achievement_collector`` instead."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_SECONDS = 120.0  # for one run


class Program:
    """The server process; ended when the block is left."""

    def __enter__(self) -> Program:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.program"],
            cwd=Path(__file__).parent.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(
        self, arguments: list[str], folder: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``achievement-collector`` with the arguments and waits for its end."""
        assert self._server.stdin
        assert self._server.stdout
        with tempfile.TemporaryDirectory(prefix="program-") as kept:
            output, errors = Path(kept, "output"), Path(kept, "errors")
            asked = {
                "arguments": arguments, "folder": str(folder), "environment": environment,
                "output": str(output), "errors": str(errors),
            }  # fmt: skip
            self._server.stdin.write(json.dumps(asked) + "\n")
            self._server.stdin.flush()
            answer = self._server.stdout.readline()
            told = [path.read_text(encoding="utf-8") for path in (output, errors)]
        assert answer, "the server of the program has ended"
        code = json.loads(answer)
        if code is None:
            raise subprocess.TimeoutExpired(arguments, _SECONDS, *told)
        return subprocess.CompletedProcess(arguments, code, *told)


def _serve() -> None:
    import achievement_collector

    for module in pkgutil.walk_packages(achievement_collector.__path__, "achievement_collector."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # memory that no child touches is shared with all of them
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _become(asked)
        print(json.dumps(_exit_code(child)), flush=True)


def _exit_code(child: int) -> int | None:
    """None where it took too long, and was killed."""
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def _become(asked: dict[str, Any]) -> NoReturn:
    """Runs the program in this process, which is forked for it."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    for descriptor, path in ((0, os.devnull), (1, asked["output"]), (2, asked["errors"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
        encoding="utf-8", errors="backslashreplace", line_buffering=True,
    )  # fmt: skip
    sys.argv = ["achievement-collector", *asked["arguments"]]
    # else the program would call itself by the name of this module
    sys.modules["__main__"] = ModuleType("__main__")
    from achievement_collector.cli.main import run

    code = 0
    try:
        run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - what Python does with it
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _serve()
