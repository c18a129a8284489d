"""The post-commit hook: records each commit in the background, and never gets in the way of one."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from achievement_collector.config import state_folder
from achievement_collector.errors import RepositoryError
from achievement_collector.sources.git.checkout import open_checkout
from achievement_collector.sources.git.configuration import hooks_folder

_MARK = "# achievement-collector: records each commit in the background."
_END = "# achievement-collector: end"
_NAME = "post-commit"
_BEFORE = "post-commit.before-achievement-collector"

_SCRIPT = """\
#!/bin/sh
{mark}
# To remove it: achievement-collector hook uninstall
repository=$PWD
(
  trap '' HUP
  for name in $(git rev-parse --local-env-vars 2>/dev/null); do unset "$name"; done
  cd / || exit 0
  exec nice -n 19 {command} scan --quiet{database} -- "$repository"
) </dev/null >{log} 2>&1 &
before="$(dirname "$0")/{before}"
if [ -x "$before" ]; then exec "$before" "$@"; fi
exit 0
{end}
"""


@dataclass(frozen=True, slots=True)
class HookState:
    """``path`` is where git looks for the hook; ``is_installed`` whether it is ours; ``other`` whether somebody
    else's hook is there (it goes on running beside ours); ``problem`` what keeps it from working."""

    path: Path
    is_installed: bool
    other: bool
    problem: str = ""


def status(repository: Path) -> HookState:
    path, _ = _hook_path(repository)
    is_ours = _is_ours(path)
    other = (path.parent / _BEFORE).exists() if is_ours else os.path.lexists(path)
    problem = ""
    if is_ours and not os.access(path, os.X_OK):
        problem = f"{path} is not executable, so git passes over it; install it again"
    elif is_ours and not Path(_command_in(path)).exists():
        problem = f"the program it starts, {_command_in(path)}, is gone; install it again"
    return HookState(path, is_ours, other, problem)


def install(repository: Path, database: str | None = None, *, force: bool = False) -> HookState:
    """Puts the hook in place; a hook that is there already is kept and runs as before.

    ``database`` is written into the hook when it is a file. A hooks folder outside the repository
    (``core.hooksPath`` shared by several) is left alone unless ``force`` is given.
    """
    path, is_shared = _hook_path(repository)
    if is_shared and not force:
        raise RepositoryError(
            f"core.hooksPath points to {path.parent}, which is outside this repository's own git folder, so the hook "
            "would be shared or committed; use --force if that is what you want"
        )
    if database and "://" in database:
        raise RepositoryError(
            "a database URL is not written into a hook, where its password could be read; set DATABASE_URL instead"
        )
    script = _SCRIPT.format(
        mark=_MARK,
        end=_END,
        command=f"{shlex.quote(sys.executable)} -m achievement_collector",
        database=f" --db {shlex.quote(str(Path(database).expanduser().resolve()))}" if database else "",
        log=shlex.quote(str(_log())),
        before=_BEFORE,
    )
    try:
        _log().parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_ours(path):
            _refuse_changed(path)
        elif os.path.lexists(path):
            kept = path.parent / _BEFORE
            if os.path.lexists(kept):
                raise RepositoryError(f"{kept} is in the way; look at it and move it elsewhere first")
            path.rename(kept)
        new = path.with_name(f"{_NAME}.new-{os.getpid()}")
        new.write_text(script, "utf-8", "surrogateescape")
        new.chmod(0o755)
        new.replace(path)
    except OSError as error:
        raise RepositoryError(f"the hook {path} cannot be written: {error.strerror}") from None
    return status(repository)


def uninstall(repository: Path) -> HookState:
    """Takes the hook away and puts back what was there before."""
    path, _ = _hook_path(repository)
    if _is_ours(path):
        _refuse_changed(path)
        kept = path.parent / _BEFORE
        try:
            if os.path.lexists(kept):
                kept.replace(path)
            else:
                path.unlink()
        except OSError as error:
            raise RepositoryError(f"the hook {path} cannot be removed: {error.strerror}") from None
    return status(repository)


def _hook_path(repository: Path) -> tuple[Path, bool]:
    """Where git looks for the hook, and whether that is outside the repository's git folder."""
    checkout = open_checkout(repository)
    if checkout.is_bare:
        raise RepositoryError(
            f"{repository} is a bare repository: nothing is committed there, so a hook would not run"
        )
    told = hooks_folder(checkout.path)
    if told is None:
        raise RepositoryError(f"git does not tell where the hooks of {repository} are")
    folder = told.resolve()
    return folder / _NAME, not folder.is_relative_to(checkout.git_dir.resolve())


def _is_ours(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        return _MARK.encode() in path.read_bytes()[:400]
    except OSError:
        return False


def _refuse_changed(path: Path) -> None:
    if not path.read_bytes().rstrip().endswith(_END.encode()):
        raise RepositoryError(
            f"{path} was changed after it was installed; take the lines of achievement-collector out by hand"
        )


def _command_in(path: Path) -> str:
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        if " nice -n 19 " in line:
            return shlex.split(line.partition(" nice -n 19 ")[2])[0]
    return ""


def _log() -> Path:
    return state_folder() / "hook.log"
