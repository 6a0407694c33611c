"""What a GPU gives, most important first, within the minutes there are: one command for a machine that is lent.

    python -m benchmarks.gpu --json gpu.json                        eight minutes
    python -m benchmarks.gpu --minutes 30 --data FOLDER             with a contest of your own (train.csv, image/)
    python -m benchmarks.gpu --quick                                the same code at 32 px, with or without one

The contest's network (EfficientNet-B6 at 528 px) in its precisions, layouts and steps against the bare step; whether a
run that was stopped ends with the same bits (`--deterministic`); what happens when memory runs out; prediction with
views; the CIFAR-100 ladder; a whole run. Every row is kept in --json as soon as it is there. A part for which no time
is left, or that fails, says so in a row of its own, and the next one goes on.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks import ladder, synthetic, table
from benchmarks.trial import Trial, contest_config
from benchmarks.untrained import untrained_run
from protocol.errors import UserError
from protocol.plain_files import read_json
from recipe.components.optimizers import passes_per_step
from recipe.config import Config
from recipe.data.reading import read
from recipe.models import start as network
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.runs.ensemble import Answering, write_answering
from recipe.serving.predict import Ensemble
from recipe.train import RunOptions, cross_validate
from recipe.training.fold import FoldTraining
from recipe.training.run import Prepared

SAM = "sam(sgd(momentum=0.9), rho=0.05)"
CASES: tuple[tuple[str, dict[str, Any]], ...] = (  # what is tried of the contest's network, most important first
    ("SAM, bf16", {"optimizer": SAM, "precision": "bf16"}),
    ("AdamW, bf16", {"optimizer": "adamw()", "precision": "bf16"}),
    ("SAM, bf16, channels_last", {"optimizer": SAM, "precision": "bf16", "memory_format": "channels_last"}),
    ("SAM, bf16, contiguous", {"optimizer": SAM, "precision": "bf16", "memory_format": "contiguous"}),
    ("SAM, fp16", {"optimizer": SAM, "precision": "fp16"}),
    ("SAM, float32", {"optimizer": SAM, "precision": "float32"}),
    ("SAM, bf16, compiled", {"optimizer": SAM, "precision": "bf16", "compile": True}),
    ("AdamW, bf16, not fused", {"optimizer": "adamw()", "precision": "bf16"}),
)
VIEWS = {1: "identity()", 2: "identity(), hflip()", 8: "dihedral()"}


@dataclass(frozen=True)
class Size:
    """How large the parts are: the contest's on a GPU, 32 px where the code alone is tried."""

    backbone: str
    pixels: int
    batch: int
    steps: int  # of an epoch that is timed
    rounds: int
    height: int  # of the drawn files
    pictures: int  # that are answered for
    ladder: tuple[int, int]  # steps, batch
    cases: tuple[tuple[str, dict[str, Any]], ...] = CASES


GPU = Size("tf_efficientnet_b6", 528, 16, 12, 2, 600, 128, (20, 128))
SMALL = Size("test_efficientnet", 32, 4, 2, 1, 48, 4, (2, 2), (CASES[0], CASES[-1]))


@dataclass
class Bench:
    """What all parts share: the sizes, a folder for files, and the clock."""

    size: Size
    folder: Path
    seconds: float
    data: Path | None
    begin: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.seconds - (time.perf_counter() - self.begin)

    def pictures(self, count: int) -> Path:
        """A folder of at least so many pictures in two classes."""
        place = self.folder / f"pictures{count}"
        if not place.exists():
            synthetic.write(place, count, height=self.size.height, width=self.size.height * 4 // 3)
        return place


def speed(bench: Bench) -> Iterator[table.Row]:
    """Share of the bare step, pictures per second and memory of each case."""
    size = bench.size
    place = bench.pictures(round(size.batch * size.steps * 1.25) + 2)  # a fifth is held out
    longest = 0.0
    for case, settings in size.cases:
        if bench.left < longest:
            yield {"part": f"speed: {case}", "said": "no time left"}
            continue
        begin = time.perf_counter()
        yield _speed(bench, case, settings, place)
        longest = max(longest, time.perf_counter() - begin)


def _speed(bench: Bench, case: str, settings: dict[str, Any], place: Path) -> table.Row:
    size = bench.size
    _forget_peak()
    try:
        trial = Trial(contest_config(size.backbone, size.pixels, size.batch, **settings), place)
        if "not fused" in case:
            for group in trial.fold.stage.optimizer.param_groups:
                group["fused"] = False
        seconds = table.in_turns(trial.candidates(), size.rounds)
    except (RuntimeError, UserError) as error:
        return {"part": f"speed: {case}", "said": _line(error)}
    return {
        "contest's_network": case,
        "images_per_second": trial.images / statistics.median(seconds["later"]),
        "share_of_bare": table.ratio(seconds["bare"], seconds["later"]),
        "share_in_the_first_epoch": table.ratio(seconds["bare"], seconds["first"]),
        "peak_MB": _peak_mb(),
        "micro_batch": trial.fold.runtime.micro_batch,
        "chosen": str(trial.fold.runtime),
    }


class Stopped(Exception):  # noqa: N818  (says what it is)
    """The end of a run in the middle of an epoch."""


def resume(bench: Bench) -> Iterator[table.Row]:
    """Weights of a run that was stopped after a step and went on, against those of one that was not."""
    size = bench.size
    config = contest_config(size.backbone, min(size.pixels, 224), size.batch, SAM, epochs=2, folds=1,
                            deterministic=True, save_steps=1, precision="auto")  # fmt: skip
    place = bench.pictures(round(size.batch * 3 * 1.25) + 2)
    weights = []
    for name, stops in (("whole", False), ("stopped", True)):
        run = bench.folder / name
        if stops:
            try:
                _train(config, place, run, stop_after=4)
            except Stopped:
                _train(config, place, run, resume=True)
        else:
            _train(config, place, run)
        weights.append(load_file(run / "fold0" / "model.safetensors"))
    first, second = weights
    equal = sum(torch.equal(first[name], second[name]) for name in first)
    yield {"stopped_and_resumed": "SAM, deterministic", "tensors": len(first), "equal": equal, "left_s": bench.left}


def _train(config: Config, place: Path, run: Path, stop_after: int = 0, resume: bool = False) -> None:
    found = read(place)
    begun = network.start(config, len(found.classes))
    prepared = Prepared(begun, found, Pictures(found.paths, short_side(begun.preprocessing)))
    usual, steps = FoldTraining._after_step, 0

    def counted(self: FoldTraining, *words: Any) -> None:
        nonlocal steps
        usual(self, *words)
        steps += 1
        if steps == stop_after:
            raise Stopped

    FoldTraining._after_step = counted  # type: ignore[method-assign]
    try:
        cross_validate(prepared, run, RunOptions(resume=resume))
    finally:
        FoldTraining._after_step = usual  # type: ignore[method-assign]


def memory(bench: Bench) -> Iterator[table.Row]:
    """A batch for which memory does not suffice: pictures per pass before and after, and whether the epoch ended.

    On a GPU the process is given little more than half of the batch takes; on a CPU the network refuses to take more.
    """
    size = bench.size
    place = bench.pictures(round(size.batch * size.steps * 1.25) + 2)
    half = max(1, size.batch // 2)
    _forget_peak()
    Trial(contest_config(size.backbone, size.pixels, half), place).later_epoch()
    needed = _peak_mb()
    trial = Trial(contest_config(size.backbone, size.pixels, size.batch), place)
    before = trial.fold.runtime.micro_batch = size.batch
    with _room_for(trial, half, needed):
        trial.later_epoch()
    yield {"out_of_memory": size.backbone, "batch": size.batch, "pictures_per_pass_before": before,
           "after": trial.fold.runtime.micro_batch, "epoch_ended": True}  # fmt: skip


class _room_for:  # noqa: N801  (a context manager)
    """Room for half of the batch."""

    def __init__(self, trial: Trial, half: int, needed_mb: float) -> None:
        self.trial, self.half, self.needed = trial, half, needed_mb

    def __enter__(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            whole = torch.cuda.get_device_properties(0).total_memory / 2**20
            torch.cuda.set_per_process_memory_fraction(min(1.0, 1.1 * self.needed / whole))
            return
        self.hook = self.trial.fold.model.register_forward_pre_hook(self._refuse)

    def _refuse(self, model: object, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > self.half:
            raise torch.OutOfMemoryError("no room for so many")

    def __exit__(self, *raised: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(1.0)
        else:
            self.hook.remove()


def answers(bench: Bench) -> Iterator[table.Row]:
    """Milliseconds for a picture in one, two and eight views."""
    size = bench.size
    run = untrained_run(bench.folder / "untrained", size.backbone, size.pixels, 1, formats=())
    paths = sorted(bench.pictures(size.pictures).rglob("*.*g"))
    for views, names in VIEWS.items():
        write_answering(run, Answering(views=names))
        ready = Ensemble(run, "auto", "torch")
        ready.probs(paths[: size.batch])
        begin = time.perf_counter()
        ready.probs(paths)
        taken = time.perf_counter() - begin
        yield {"prediction": f"{views} views", "pictures": len(paths), "ms_per_picture": 1000 * taken / len(paths),
               "answered_by": ready.how}  # fmt: skip


def rungs(bench: Bench) -> Iterator[table.Row]:
    """The CIFAR-100 ladder, a few steps of each row, as far as time goes; a quarter of the time is left for the run."""
    count, batch = bench.size.ladder
    kept = bench.seconds / 4 if bench.data else 0.0
    place = bench.folder / "cifar"
    place.mkdir()
    pictures = ladder.random_table(place)
    files = ladder.files() if bench.size is GPU else ladder.files()[:1]
    for number, file in enumerate(files):
        if bench.left < kept:
            yield {"part": f"ladder: {len(files) - number} rows", "said": "no time left"}
            return
        config = ladder.small(file, batch)
        losses, seconds = ladder.steps(config, pictures, count)
        yield {"ladder": file.stem, "images_per_second": batch / seconds, "last_loss": losses[-1],
               "hours_for_all": config.epochs * ladder.TRAINING_PICTURES * seconds / batch / 3600,
               "passes": passes_per_step(config.optimizer)}  # fmt: skip


def contest(bench: Bench) -> Iterator[table.Row]:
    """A whole run of the profile `full` in what is left of the time, and of Lite0 where its weights cannot be had."""
    if bench.data is None:
        yield {"part": "a whole run", "said": "no --data"}
        return
    minutes = max(0.2, (bench.left - 20) / 60)
    for words in (["--profile", "full"], ["--profile", "full", "--backbone", "tf_efficientnet_lite0",
                                          "--image-size", "224"]):  # fmt: skip
        run = bench.folder / "contest"
        command = [sys.executable, "main.py", "--data", str(bench.data), "--output", str(run), "--no-report",
                   "--minutes", f"{minutes:.2f}", *words]  # fmt: skip
        done = subprocess.run(command, cwd=table.ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
        if done.returncode == 0:
            found = read_json(run / "metrics.json")
            yield {"whole_run": " ".join(words), "minutes": minutes, "out_of_fold": found["oof"], "left_s": bench.left}
            return
        yield {"part": " ".join(words), "said": (done.stderr.strip().splitlines() or ["?"])[-1][:200]}


PARTS: tuple[Callable[[Bench], Iterator[table.Row]], ...] = (speed, resume, memory, answers, rungs, contest)


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """Every part in turn; the rows are kept as they come."""
    small = options.quick or not torch.cuda.is_available()
    rows: list[table.Row] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(SMALL if small else GPU, Path(folder), 60 * options.minutes, options.data)
        for part in PARTS:
            for row in _whatever_happens(part, bench):
                rows.append(row)
                if options.json:
                    table.write_json(options.json, [{"benchmark": "gpu", **each} for each in rows])
                yield row


def _whatever_happens(part: Callable[[Bench], Iterator[table.Row]], bench: Bench) -> Iterator[table.Row]:
    if bench.left <= 0:
        yield {"part": part.__name__, "said": "no time left"}
        return
    try:
        yield from part(bench)
    except (RuntimeError, UserError, OSError, ValueError, KeyError) as error:
        yield {"part": part.__name__, "said": _line(error)}


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_mb() -> float:
    """Of the GPU since the last `_forget_peak`; without one, of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--minutes", type=float, default=8.0, help="that all of it may take (default 8)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a contest for the whole run: train.csv and image/")


if __name__ == "__main__":
    table.main(measure, add_flags)
