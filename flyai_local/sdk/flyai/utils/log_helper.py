"""The live curves: one JSON line per call of `train_log`."""

import json
import math
import os
import time
from pathlib import Path

from flyai.project import project_path

POSITIONS = ("train_loss", "train_acc", "val_loss", "val_acc")


def train_log(*values, **named):
    """Append one point of the training curves: any subset of names, any number-like values. It never raises.

    Numbers, strings of numbers, numpy scalars and tensors of one element become floats; NaN, infinities and whatever
    is no number become null. Positional values are train_loss, train_acc, val_loss, val_acc. The lines go to the file
    that FLYAI_LOCAL_CURVES names, otherwise to ``data/output/logs/train_log.jsonl`` of the project.
    """
    try:
        pairs = [*zip(POSITIONS, values, strict=False), *named.items()]
        point = {"time": round(time.time(), 3), **{name: _number(value) for name, value in pairs}}
        path = Path(os.environ.get("FLYAI_LOCAL_CURVES") or project_path("data", "output", "logs", "train_log.jsonl"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(point) + "\n")
    except Exception:  # A curve that cannot be drawn (full disk, read-only folder) must not end the training.
        return


def _number(value):
    """Return `value` as a finite float, or None."""
    try:
        number = float(value.item() if hasattr(value, "item") else value)
    except Exception:  # The value is the submission's own object: its conversion may raise anything.
        return None
    return number if math.isfinite(number) else None
