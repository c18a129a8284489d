"""The state of a deployment from all that was told of it, in whatever order it came.

A statement with its moment is in the register ``state``, where the latest holds, or, of a beginning, in ``begun``: of an end in
the same second the end holds. A statement without a moment, which may come late or twice, is in a register of its own kind; it
holds where it goes further than what is known: a start never undoes an end, nor an end
a rollback. That GitHub calls a deployment inactive says that another one took its place, not how it ended.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from achievement_collector.facts.observations import Registers

UNKNOWN = "unknown"
"""The state of a deployment of which only its replacement was told."""

REPLACED = "inactive"
"""The register that says since when another deployment is in its place; with a success, the state of such a one."""

_STAGES = {"in_progress": 0, "success": 1, "failure": 1, "error": 1, "rolled_back": 2}
_BEGUN = "begun"
_UNDATED = ("undated_start", "undated_end", "undated_rollback")


class StateTold(NamedTuple):
    """A state and when it was said (milliseconds); ``state`` is empty and ``at`` None where none was."""

    state: str
    at: int | None


def register_of(state: str, *, is_dated: bool) -> str:
    """The register in which a statement about the state is kept."""
    stage = _STAGES.get(state, 0)
    return (_BEGUN if stage == 0 else "state") if is_dated else _UNDATED[stage]


def state_told(told: Registers) -> StateTold:
    """The state that a deployment is in."""
    found = _said(told)
    if REPLACED not in told and found.state != REPLACED:
        return found
    if found.state == "success":
        return StateTold(REPLACED, found.at)
    return found if _STAGES.get(found.state, 0) > 0 else StateTold(UNKNOWN, None)


def _said(told: Registers) -> StateTold:
    """What is said of the state itself."""
    undated = next((told[name] for name in reversed(_UNDATED) if name in told), None)
    dated = max(
        (told[name] for name in (_BEGUN, "state") if name in told), key=_moment_and_stage, default=None
    )
    if dated is None or undated is None:
        found = dated or undated
        return _read(found) if found else StateTold("", None)
    goes_further = _STAGES.get(undated[1], 0) > _STAGES.get(dated[1], 0)
    return _read(undated if goes_further and undated[0] >= dated[0] else dated)


def _moment_and_stage(register: tuple[int, Any]) -> tuple[int, int]:
    return register[0], _STAGES.get(register[1], 0)


def _read(register: tuple[int, object]) -> StateTold:
    return StateTold(str(register[1] or ""), register[0])
