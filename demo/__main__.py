"""``make demo``: starts a server on a ledger of its own, plays the story to it, and shows how the epic grows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from demo.player import GITHUB_SECRET, LINEAR_SECRET, Player
from demo.story import EPIC, revert, story

_OUTPUT = Path("build/demo")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="achievement-demo-") as folder:
        hidden = ("LINEAR_", "GITHUB_", "ACHIEVEMENT_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        environment |= {
            "GITHUB_WEBHOOK_SECRET": GITHUB_SECRET, "LINEAR_WEBHOOK_SECRET": LINEAR_SECRET,
            "DATABASE_URL": str(Path(folder) / "demo.db"), "HOME": folder,
        }  # fmt: skip
        command = [sys.executable, "-m", "achievement_collector"]
        server = subprocess.Popen(
            [*command, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            player = Player(_address(server))
            _play(player)
            _OUTPUT.mkdir(parents=True, exist_ok=True)
            print("\nits final versions, for seven readers:")
            for persona in (
                "technical",
                "business",
                "leadership",
                "hr_manager",
                "tech_lead",
                "startup_ceo",
                "investor",
            ):
                for ending in ("md", "html") if persona == "tech_lead" else ("md",):
                    target = _OUTPUT / f"{EPIC}-{persona}.{ending}"
                    subprocess.run(
                        [*command, "export", "--epic", EPIC, "--persona", persona, "--output", str(target)],
                        env=environment, check=True, stderr=subprocess.DEVNULL,
                    )  # fmt: skip
                    print(f"  {target}")
            print()
            subprocess.run([*command, "epic", "show", EPIC], env=environment, check=True)
        finally:
            server.terminate()
            server.wait(15)


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stderr
    for line in server.stderr:
        found = re.search(r"listening on (http://[\w.:]+)", line)
        if found:
            return found[1]
    raise SystemExit("the server did not start")


def _play(player: Player) -> None:
    merged = 0
    for step in story():
        began = time.monotonic()
        player.play(step)
        merged += "merged" in step.told
        epic = player.wait(EPIC, partial(_shows, step.told, merged))
        print(f"{step.told}\n    {_line(epic)}  [{time.monotonic() - began:.1f} s]")
    print(f"\n{revert().told}")
    player.play(revert())
    epic = player.wait(EPIC, lambda told: told["revision"] == 2)
    print(f"    {_line(epic)}")


def _shows(told: str, merged: int, epic: dict[str, Any]) -> bool:
    """Whether an epic shows what a step told."""
    if "project is completed" in told:
        return bool(epic["status"] == "completed")
    if " opens #" in told:
        number = told.rpartition("#")[2]
        return any(one["key"].endswith(f"#{number}") for one in epic["deliverables"]["pull_requests"])
    return bool(epic["deliverables"]["prs_merged"] == merged)


def _line(epic: dict[str, Any]) -> str:
    told = epic["deliverables"]
    gain = epic["metrics"]["technical"]["best_performance_gain"]
    status = f"final, revision {epic['revision']}" if epic["status"] == "completed" else epic["status"]
    undone = f", {told['prs_undone']} undone" if told["prs_undone"] else ""
    parts = [
        f"{epic['key']} {status}",
        f"{told['prs_merged']} merged, {told['prs_open']} open{undone}",
        f"{told['issues_completed']} of {told['issues_total']} issues",
        *([gain["text"]] if gain["value"] is not None else []),
    ]  # fmt: skip
    return " · ".join(parts)


if __name__ == "__main__":
    main()
