"""A place to run tiny submissions: boxes, short limits, and the evaluator without a runner around it."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

import pytest

from flyai_local.box import bubblewrap
from flyai_local.box.environment import MARK
from flyai_local.box.isolate import Box, run
from flyai_local.box.limits import Limits, Outcome
from flyai_local.box.logs import Log
from flyai_local.box.processes import LINUX, snapshot
from flyai_local.run.examine import Examined, examine

SMALL = Limits(seconds=300, memory_mb=2048, processes=40, file_mb=64, disk_mb=64, log_mb=1)
NEEDS_BUBBLEWRAP = pytest.mark.skipif(
    bubblewrap.program() is None, reason="bubblewrap is absent or does not work on this machine"
)
BOTH = [pytest.param(True, id="bubblewrap", marks=NEEDS_BUBBLEWRAP), pytest.param(False, id="plain")]
PREDICTION = """
from flyai.framework import FlyAI

class Prediction(FlyAI):
    def load_model(self):
        {load}
    def predict(self, image_path):
        {predict}
"""


def box(folder: Path, files: dict[str, str], isolated: bool, weights: Path | None = None) -> Box:
    """A box whose project holds `files`, by name and dedented text."""
    for name, text in files.items():
        file = folder / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
    return Box(folder / "project", folder / "private", isolated, weights)


def main(chamber: Box, bounds: Limits = SMALL) -> tuple[Outcome, str]:
    """Run main.py to its end; returns what became of it and its log."""
    log = Log(chamber.project.parent / "train.log", bounds.log_mb)
    outcome = run(chamber, [str(chamber.layout().python), "main.py"], bounds, log)
    log.close()
    return outcome, log.path.read_text(encoding="utf-8")


def prediction(load: str = "pass", predict: str = 'return {"label": 0}') -> str:
    """Text of a prediction.py with these bodies."""
    return PREDICTION.format(load=load, predict=predict)


def ask(chamber: Box, rows: int = 3, generation: str = "2.0", bounds: Limits = SMALL) -> Examined:
    """Evaluate the project on rows with made-up picture names."""
    log = Log(chamber.project.parent / "evaluate.log", bounds.log_mb)
    asked = [{"image_path": f"./data/input/image/image/{at}.png"} for at in range(rows)]
    try:
        return examine(chamber, "Tiny", generation, asked, bounds, log, say=lambda text: None)
    finally:
        log.close()


def alive(chamber: Box) -> list[int]:
    """Processes that were started in this box and still run; what is just ending is given the time."""
    if not LINUX:
        pytest.skip("only /proc tells which processes belong to a run")
    for _ in range(600):
        found = [pid for pid, process in snapshot().items() if not process.zombie and _marked(pid, chamber)]
        if not found:
            break
        time.sleep(0.1)
    return found


def running(process: Path) -> bool:
    """Whether a process of /proc is there and more than an entry that waits for its parent to read it."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _marked(pid: int, chamber: Box) -> bool:
    try:
        return pid != os.getpid() and f"{MARK}={chamber.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
