"""Running a fixer: a fixed command, without a shell and without a secret, in a temporary folder, for a limited time."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from achievement_collector.derive.fixers import Fixer
from achievement_collector.errors import ConfigurationError

SECONDS = 300
"""How long a fixer may take."""

_KEPT_VARIABLES = ("LANG", "LC_ALL", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR")


def program_of(name: str) -> str | None:
    """Where a program of the user's is; a relative entry of PATH would mean one of the repository."""
    folders = [one for one in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(one)]
    return shutil.which(name, path=os.pathsep.join(folders))


def _environment(folder: Path) -> dict[str, str]:
    """No token, no agent, no configuration of the user's: a home of its own, and where programs are."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    folders = [one for one in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(one)]
    own = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **own, "PATH": os.pathsep.join(folders), "HOME": str(home), "TMPDIR": str(home), "XDG_CONFIG_HOME": str(home),
        "XDG_CACHE_HOME": str(home), "XDG_DATA_HOME": str(home), "BLACK_CACHE_DIR": str(home), "NO_COLOR": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        "GIT_CEILING_DIRECTORIES": str(folder), "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw",
        "npm_config_ignore_scripts": "true",
    }  # fmt: skip


def run_fixer(fixer: Fixer, tree: Path, folder: Path, seconds: float) -> str:
    """Runs a fixer in ``tree``; why it came to no good end, empty where it did. What it prints is not looked at: it may hold
    anything."""
    program = program_of(fixer.program)
    if program is None:
        return f"{fixer.program} is not installed"
    try:
        process = subprocess.Popen(
            [program, *fixer.arguments], cwd=tree, env=_environment(folder), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return f"{fixer.program} cannot be started: {error.strerror}"
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"it was stopped after {seconds:g} seconds"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # and whatever it left running
        process.wait()
    if code in fixer.accept:
        return ""
    return f"{fixer.program} ended with status {code}"


@contextmanager
def working_folder(root: Path) -> Iterator[Path]:
    """An empty folder that is taken away at the end, or, where that is not reached, when somebody else begins."""
    with _locked(root):
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
        mine = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(mine)


def sweep(root: Path) -> None:
    """Takes away the folders of runs that were killed: those that no process holds."""
    with _locked(root):
        for one in root.glob("run-*"):
            try:
                held = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(one)
            except BlockingIOError:
                pass
            finally:
                os.close(held)


def _remove(folder: Path) -> None:
    """Takes a folder away, also where a tool made parts of it read-only. Links in it are not followed."""
    for inside, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(inside, name)
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(f"fixers cannot be run in {root}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
