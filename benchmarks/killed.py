"""A small training that can be killed anywhere, and what of it must not depend on that.

The training runs in a forked child, so the imports are paid once; the child gets a real SIGKILL, from outside at a
moment drawn by chance, or from itself in the middle of a write.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save
from tqdm import tqdm

from protocol.errors import UserError
from recipe.config import Config
from recipe.data.reading import read
from recipe.models import start as network
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.runs import sealed
from recipe.runs.epochs import read_logs
from recipe.train import RunOptions, cross_validate
from recipe.training.run import Prepared

CONFIG = Config(
    backbone="test_efficientnet",
    pretrained=False,
    image_size=32,
    epochs=3,
    batch_size=6,
    folds=2,
    memory_format="contiguous",
    save_seconds=0.1,
    optimizer="sam(adamw(), rho=0.05)",
    lr=0.01,
    mix="mixup(alpha=0.2)",
    augment="hflip()",
    ema_decay=0.9,
    schedule="plateau(patience=0)",
)
Fault = Callable[[], None]  # arranges, inside the child, what goes wrong


def draw_pictures(folder: Path, count: int = 36) -> Path:
    """A competition of three classes that show in the colour; returns its folder."""
    (folder / "image").mkdir(parents=True)
    lines = ["image_path,label"]
    for row in range(count):
        image = np.random.default_rng(row).integers(0, 90, (48, 48, 3), dtype=np.uint8)
        image[:, :, row % 3] += 120
        cv2.imwrite(str(folder / "image" / f"{row:03d}.png"), image)
        lines.append(f"./image/{row:03d}.png,{row % 3}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def start(data: Path, folder: Path, workers: int, fault: Fault = lambda: None) -> int:
    """Begins the training in a child, or goes on with it; returns the child. It ends with main.py's exit codes."""
    if child := os.fork():
        return child
    code = 70  # a bug
    try:
        with open(folder.with_suffix(".txt"), "a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        torch.set_num_threads(1)
        tqdm.set_lock(
            threading.RLock()
        )  # the usual one is shared among processes, and who is killed with it would stop all
        fault()
        _train(data, folder, workers)
        code = 0
    except UserError as error:
        print(f"error: {error}", flush=True)
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _train(data: Path, folder: Path, workers: int) -> None:
    config = CONFIG.model_copy(update={"workers": workers})
    table, begun = read(data), network.start(config, 3)
    pictures = Pictures(table.paths, short_side(begun.preprocessing))
    options = RunOptions(resume=(folder / "run.json").exists())
    cross_validate(Prepared(begun, table, pictures), folder, options)


def ended(child: int) -> int:
    """Waits for a child; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(child: int, seconds: float) -> int:
    """Kills a child after so many seconds, unless it has ended by then; as `ended`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return ended(child)


def dies_before_rename(number: int) -> Fault:
    """The process dies with its n-th file written under its temporary name, and not yet renamed."""
    return lambda: _at_call(Path, "replace", number, lambda *words: None)


def dies_after_rename(number: int) -> Fault:
    """The process dies just after its n-th file got its name, before anything that belongs to it is done."""
    replace = Path.replace
    return lambda: _at_call(Path, "replace", number, replace)


def dies_in_write(number: int) -> Fault:
    """The process dies when the n-th file of tensors is half written."""

    def half(tensors: Any, path: Path, about: Any) -> None:
        Path(path).write_bytes(save(tensors, about)[: 4096 * number])

    return lambda: _at_call(sealed, "save_file", number, half)


def _at_call(owner: Any, name: str, number: int, last: Callable[..., Any]) -> None:
    """The n-th call of a function is another, and then the process is dead."""
    calls, original = [0], getattr(owner, name)

    def counted(*words: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            last(*words)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*words)

    setattr(owner, name, counted)


def traces(folder: Path) -> dict[str, Any]:
    """What must not depend on interruptions, by name: log without wall times, weights, out-of-fold files."""
    found: dict[str, Any] = {"oof.csv": (folder / "oof.csv").read_bytes()}
    found["log.jsonl"] = [
        dataclasses.replace(log, seconds=0, pictures_per_second=0) for log in read_logs(folder / "log.jsonl")
    ]
    for path in sorted(folder.glob("fold*/**/*.safetensors")):
        found |= {f"{path.relative_to(folder)} {name}": tensor for name, tensor in load_file(path).items()}
    for path in sorted(folder.glob("fold*/oof.npz")):
        found |= {
            f"{path.relative_to(folder)} {name}": torch.from_numpy(values) for name, values in np.load(path).items()
        }
    return found


def differing(first: Path, second: Path) -> list[str]:
    """What of two runs is not the same, bit for bit."""
    here, there = traces(first), traces(second)
    return [name for name in sorted({*here, *there}) if not _same(here.get(name), there.get(name))]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and one == other


def last_saved(folder: Path) -> float:
    """When the run last wrote something to go on from, in seconds since 1970; 0 where it never did."""
    files = [*folder.glob("fold*/last/epoch*.safetensors"), *folder.glob("fold*/result.json"), *folder.glob("run.json")]
    return max((path.stat().st_mtime for path in files), default=0.0)
