"""The files of a fold's states, for `fold.FoldTraining`: written, read, and when it is time to write one.

    last/epoch0003-step000120.safetensors     3 epochs are finished and 120 batches of the fourth

Two are kept, so that one that is torn leaves the other. A state is a tree of dicts, lists, numbers, words and tensors:
the tensors go into the file as they are, in their own memory layout, the tree itself is JSON. `SaveRhythm` writes often
enough that little is lost, and seldom enough that it costs little.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from protocol.language import tr
from recipe.runs.sealed import read_sealed, write_sealed
from recipe.system.atomic import CheckpointError, DamagedError

SHARE = 0.02  # of the time, at most, that saving by time may take


class SaveRhythm:
    """Saving is due once `seconds` of work would be lost, or after every `steps` steps where those are given.

    Where a save takes so long that this would cost more than a fiftieth of the time, the pause between saves grows, and
    `say` is told once how much work can be lost then. Limit: seconds=0 saves after every step, whatever it costs.
    """

    def __init__(
        self, seconds: float, steps: int, say: Callable[[str], None], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.seconds, self.steps, self.say, self.clock = seconds, steps, say, clock
        self._pause, self._last, self._since = seconds, clock(), 0

    def stepped(self) -> None:
        """Counts a step."""
        self._since += 1

    def due(self, coming: float = 0.0) -> bool:
        """Whether to save before something that takes `coming` seconds."""
        by_steps = bool(self.steps) and self._since >= self.steps
        return by_steps or self.clock() - self._last + coming >= self._pause

    def saved(self, took: float) -> None:
        """Takes note of a save that took so many seconds."""
        self._last, self._since = self.clock(), 0
        needed = took / SHARE if self.seconds else 0.0
        if needed > self.seconds and self._pause == self.seconds:
            self.say(
                tr(
                    "saving the state took {took:.1f} s: it is saved every {needed:.0f} s, so that saving "
                    "costs {share:.0%} of the time; a killed run may lose as much rather than the "
                    "{seconds:.0f} s of --save-seconds",
                    took=took,
                    needed=needed,
                    share=SHARE,
                    seconds=self.seconds,
                )
            )
        self._pause = max(self.seconds, needed)


KEPT = 2
SavedState = dict[str, Any]


def write_state(folder: Path, state: SavedState, epoch: int, step: int) -> Path:
    """Writes the state of a position, then drops all but the newest two.

    Raises:
        CheckpointError: it cannot be written; the earlier states are still there.
    """
    tensors: dict[str, torch.Tensor] = {}
    about = {"kind": "state", "tree": _packed(state, tensors)}
    path = folder / f"epoch{epoch:04d}-step{step:06d}.safetensors"
    write_sealed(path, tensors, about)
    for older in [other for other in _newest_first(folder) if other != path][KEPT - 1 :]:
        older.unlink(missing_ok=True)
    return path


def read_state(path: Path) -> SavedState:
    """The state in a file.

    Raises:
        DamagedError: it is torn, altered or no state.
    """
    tensors, about = read_sealed(path)
    if not isinstance(about, dict) or about.get("kind") != "state":
        raise DamagedError(tr("{path} holds no state to go on from", path=path))
    try:
        return _unpacked(about["tree"], tensors)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ) as error:  # its checksum was forged, or another version wrote it
        raise DamagedError(tr("{path} holds no state to go on from ({error})", path=path, error=error)) from None


def newest_state(
    folder: Path, check: Callable[[SavedState], None] = lambda state: None
) -> tuple[SavedState | None, list[str]]:
    """The newest state that can be used, or None; and a reason for every newer one, which is removed.

    Args:
        check: raises DamagedError for a whole state that belongs elsewhere.

    Raises:
        CheckpointError: an earlier version of this project saved the state.
    """
    if (folder / "state.pt").exists():
        raise CheckpointError(
            tr(
                "{file} was saved by an earlier version of this project, which pickled it; finish the "
                "run with that version, or delete {folder} to train the fold anew.",
                file=folder / "state.pt",
                folder=folder,
            )
        )
    reasons = []
    for path in _newest_first(folder):
        try:
            state = read_state(path)
            check(state)
        except DamagedError as error:
            reasons.append(str(error))
            path.unlink(missing_ok=True)
        else:
            return state, reasons
    return None, reasons


def drop_states(folder: Path) -> None:
    """Removes the states of a finished fold."""
    shutil.rmtree(folder, ignore_errors=True)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch*-step*.safetensors"), reverse=True)


def _packed(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON for a tree, its tensors put aside; a dict whose keys are no words (an optimizer's) is a list of pairs."""
    if isinstance(value, torch.Tensor):
        strides = value.stride()
        order = sorted(range(value.dim()), key=lambda dim: -strides[dim])  # channels_last stays channels_last
        name = f"{len(tensors):05d}"
        tensors[name] = value.detach().permute(order)
        return {"tensor": name, "order": order}
    if isinstance(value, dict):
        return {"dict": [[_packed(key, tensors), _packed(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [_packed(item, tensors) for item in value]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"a state holds tensors and plain values; {type(value).__name__} is neither.")


def _unpacked(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = [(key, item) for key, item in value.items() if key != "order"]
    if kind == "tensor":
        order = value["order"]
        return tensors[content].permute([order.index(dim) for dim in range(len(order))])
    if kind == "dict":
        return {_unpacked(key, tensors): _unpacked(item, tensors) for key, item in content}
    items = [_unpacked(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
