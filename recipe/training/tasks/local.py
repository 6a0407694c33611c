"""Tasks as processes of this machine, a few at a time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.system.machine import cores
from recipe.training.tasks.transport import PROJECT, command


class Local:
    """`slots` processes at a time, each with its share of the cores; they outlive a coordinator that is killed."""

    poll = 0.02

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, spec: Path) -> str:
        """Starts a process; its name is its number."""
        threads = {"OMP_NUM_THREADS": str(max(1, cores() // self.slots))}
        process = subprocess.Popen(
            command(spec), cwd=PROJECT, env={**threads, **os.environ}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.processes[str(process.pid)] = process
        return str(process.pid)

    def gone(self, names: list[str]) -> set[str]:
        """Those that have ended."""
        return {name for name in names if name not in self.processes or self.processes[name].poll() is not None}

    def cancel(self, names: list[str]) -> None:
        """SIGTERM, which saves the state."""
        for name in names:
            if name in self.processes and self.processes[name].poll() is None:
                self.processes[name].terminate()

    def close(self) -> None:
        """Waits for those that were asked for an end."""
        for process in self.processes.values():
            process.wait()


def transport(rest: str) -> Local:
    """`local:2`; without a number one at a time.

    Raises:
        ConfigError: that is no number of processes.
    """
    if not (rest or "1").isdigit() or not 1 <= int(rest or 1) <= 256:
        raise ConfigError(tr("--on local:{rest} is refused: a number of tasks at a time, such as local:2.", rest=rest))
    return Local(int(rest or 1))
