"""What a run tells of itself while it goes: the user's own records, or the queue of a contest (flyai_site)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from flyai_local.states import Code, State

__all__ = ["Book"]


class Book(Protocol):
    """Takes down a run. Every number is the one that `start_run` gave."""

    def start_run(self, submission: str, competition: str, command: str, sha256: str, size_bytes: int) -> int:
        """The number of a new run; the folder of that number must not exist yet."""
        ...

    def turn(self, run_id: int, on_wait: Callable[[int], None] | None = None) -> AbstractContextManager[None]:
        """Waits until the run may begin, and holds its turn for the body."""
        ...

    def set_state(self, run_id: int, state: State, code: Code | None = None, detail: str = "") -> None:
        """Where the run stands."""
        ...

    def add_log(self, run_id: int, phase: str, path: Path) -> None:
        """Where the log of a phase lies."""
        ...

    def finish(
        self,
        run_id: int,
        state: State,
        code: Code | None = None,
        score: float | None = None,
        public_score: float | None = None,
        private_score: float | None = None,
        per_class: Mapping[str, float] | None = None,
        seconds: float = 0.0,
        peak_mb: float = 0.0,
        detail: str = "",
        metric: str | None = None,
    ) -> None:
        """How the run ended."""
        ...
