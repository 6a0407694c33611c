"""A sweep whose objective is arithmetic: for tests that stop and resume processes.

python tests/sweep_lab.py FILE FOLDER WORKERS SECONDS_PER_EPOCH
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recipe.runs.results import EpochLog
from recipe.sweep.engine import Sweep, run_sweep
from recipe.sweep.file import read_sweep
from recipe.sweep.objective import TaskResult


@dataclass(frozen=True)
class Arithmetic:
    """Score 1 - |log10(lr) + 2| / 4 + seed noise, reached over the epochs; notes every epoch and end in
    FOLDER/ran.log.
    """

    log: Path
    seconds: float = 0.0
    fingerprint: str = "a"

    def identity(self):
        return {"fingerprint": self.fingerprint}

    def check(self, config):
        from recipe.components.families import check_components

        check_components(config)

    def seconds_per_epoch(self, config):
        return 2.0 if config.optimizer.startswith("sam") else 1.0

    def __call__(self, config, folder, on_epoch):
        folder.mkdir(parents=True, exist_ok=True)
        if config.lr > 5:
            raise RuntimeError("the loss is nan")
        best = score(config)
        for epoch in range(
            int((folder / "epoch").read_text()) + 1 if (folder / "epoch").exists() else 1, config.epochs + 1
        ):
            time.sleep(self.seconds)
            self._note(f"epoch {folder.name} {epoch}")
            (folder / "epoch").write_text(str(epoch))
            on_epoch(EpochLog(0, epoch, config.lr, 1.0, 1.0, best * epoch / config.epochs, False, 1.0, self.seconds))
        self._note(f"end {folder.name}")
        return TaskResult(best, (best - 0.01, best + 0.01), self.seconds * config.epochs, config.epochs)

    def _note(self, text):
        with open(self.log, "a", encoding="utf-8") as stream:
            stream.write(f"{text} {os.getpid()}\n")


def score(config):
    """A function of lr, with a noise that depends on the seed alone, and some on both."""
    import math

    own = 0.01 * math.sin(1e5 * config.lr + 3 * config.seed)
    return 1 - abs(math.log10(config.lr) + 2) / 4 + 0.01 * math.cos(config.seed) + own


def main(file, folder, workers, seconds):
    """Runs or resumes a sweep."""
    run_sweep(
        Sweep(read_sweep(Path(file)), Path(folder), Arithmetic(Path(folder) / "ran.log", float(seconds))),
        int(workers),
        threads=1,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
