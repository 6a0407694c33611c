"""What carries a task to where it runs: processes of this machine, a Slurm cluster, a Ray cluster.

    local:2               two at a time on this machine
    slurm, slurm:gpu      jobs of a cluster, in its partition
    ray://HOST:PORT       a Ray cluster, by the address of its head

Each carries the same command, `python -m recipe task SPEC.json`, and says of what it carried whether it still runs.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Protocol

from protocol.language import tr
from protocol.strict import ConfigError

PROJECT = Path(__file__).resolve().parents[3]
MODULES = {"local": "local", "slurm": "slurm", "ray": "ray_core"}


class Transport(Protocol):
    """Carries tasks."""

    poll: float  # seconds between two looks

    @property
    def slots(self) -> int:
        """Tasks that are given at once; the others wait here."""
        ...

    def submit(self, spec: Path) -> str:
        """Gives a task away; returns the name by which it is asked after."""
        ...

    def gone(self, names: list[str]) -> set[str]:
        """Those that no longer run, however they ended."""
        ...

    def cancel(self, names: list[str]) -> None:
        """Asks them for an end, with the time to save."""
        ...

    def close(self) -> None:
        """Nothing more will be asked."""
        ...


def transport_of(text: str) -> Transport:
    """The transport that a user names.

    Raises:
        ConfigError: none is named so, or what it needs is not there.
    """
    kind, _, rest = text.partition(":")
    if kind not in MODULES:
        raise ConfigError(tr("--on {text} is refused: local:N, slurm, slurm:PARTITION or ray://HOST:PORT.", text=text))
    made: Transport = importlib.import_module(f"recipe.training.tasks.{MODULES[kind]}").transport(rest)
    return made


def command(spec: Path) -> list[str]:
    """What runs a task, in the project's folder."""
    return [sys.executable, "-m", "recipe", "task", str(spec.absolute())]
