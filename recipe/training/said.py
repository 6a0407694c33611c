"""What a person is told of a run in training, and what is kept of it on the way: bar, lines, log.jsonl."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from recipe.config import Config
from recipe.console import DIARY, Bar, detail, duration, say
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.runs.epochs import EpochLogFile
from recipe.runs.results import EpochLog
from recipe.system.processes.world import ALONE, World
from recipe.system.runtime import Runtime
from recipe.system.stopping import Stop
from recipe.training.clock.cost import estimate
from recipe.training.clock.pacer import Pacer
from recipe.training.prefetch import WAITS, feeding


class Progress:
    """Hears how a run goes on. This one keeps it to itself: for trials, of which nothing is shown or written."""

    def stepped(self, steps: int, doing: str) -> None:
        """So many steps more are done."""

    def epoch(self, log: EpochLog) -> None:
        """An epoch is finished."""

    def taken_up(self, fold: int, logs: Iterable[EpochLog]) -> None:
        """A fold begins or goes on; all epochs of it so far."""

    def check_stop(self) -> None:
        """Nothing, until the work is to end.

        Raises:
            Stopped: after a signal; among several processes, after one that all have heard of.
        """

    def check_own_stop(self) -> None:
        """The same within work whose end the others wait for: a signal to this process suffices."""


@dataclass
class Shown(Progress):
    """Tells a person at the console, log.jsonl, and whoever else wants to know of epochs."""

    bar: Bar
    file: EpochLogFile | None  # none where another process writes it
    metric: str
    pacer: Pacer
    stop: Stop
    on_epoch: Callable[[EpochLog], None]
    world: World = ALONE

    def stepped(self, steps: int, doing: str) -> None:
        """Moves the bar, which expects what the clock expects."""
        self.bar.describe(doing)
        self.bar.advance(steps)
        self.bar.expect(self.pacer.steps_left, self.pacer.seconds_left)

    def epoch(self, log: EpochLog) -> None:
        """Its line in the file, then at the console."""
        if self.file is not None:
            self.file.add(log)
            say(epoch_line(log))
            self.on_epoch(log)

    def taken_up(self, fold: int, logs: Iterable[EpochLog]) -> None:
        """The file then tells of the fold what the fold knows."""
        if self.file is not None:
            self.file.restart(fold, logs)

    def check_stop(self) -> None:
        """As the signals ask."""
        if self.world.alone:
            self.stop.check()
        self.world.check_stop()

    def check_own_stop(self) -> None:
        """As the signals to this process ask."""
        self.stop.check()


def announce(start: Start, table: Table, folds: Sequence[Fold], runtime: Runtime) -> None:
    """Says what will be trained, by which machine, and how long it may take."""
    config = start.config
    say(f"pictures {len(table.labels)} of {len(table.classes)} classes")
    say(f"network  {config.backbone}, {_knows(config)}")
    say(f"plan     {_plan(config, len(folds))}")
    if not config.minutes:
        say(f"time     about {duration(estimate(config, folds, runtime))} until the last network is trained")
    detail(f"weights  {start.origin}")
    rate = f"{runtime.pictures_per_second:.1f} pictures/s forward and backward, {runtime.origin}"
    detail(f"machine  {runtime}; {rate}")
    frozen = "frozen (batch_norm: train unfreezes them)" if config.freezes_batch_norm else "those of the batch"
    detail(f"size     {config.image_size} px in training, {config.evaluation_size} px after")
    detail(f"norm     BatchNorm statistics: {frozen}")


def _knows(config: Config) -> str:
    if not config.pretrained:
        return "which begins without any knowledge (pretrained: false)"
    return "which has learned from other pictures before and now learns these classes"


def _plan(config: Config, folds: int) -> str:
    """How long which networks are trained, and what judges them."""
    if not config.epochs:
        return "nothing is trained but a linear classifier of what the network sees"
    epochs = (
        "as many epochs as the time allows" if config.minutes else f"{config.epochs} epoch{'s' * (config.epochs > 1)}"
    )
    if folds == 1:
        return f"{epochs} (one is a pass over the pictures); some pictures are kept apart to judge by"
    return (
        f"{epochs} (one is a pass over the pictures) for each of {folds} networks (folds); each is judged by the "
        "pictures that are kept apart from it"
    )


def announce_feeding(start: Start, pictures: Pictures, runtime: Runtime) -> None:
    """Says how fast pictures are prepared; to everybody where the network will wait for them."""
    said = feeding(start.config, pictures, start.preprocessing, runtime)
    (say if WAITS in said else detail)(f"feeding  {said}")


def epoch_header(metric: str) -> str:
    """The names above the lines of the epochs."""
    if DIARY.details:
        return f"fold  epoch        lr  train loss  valid loss  {metric[:12]:>12}  pictures/s      time"
    return f"\nfold  epoch  training loss  validation loss  {metric[:12]:>12}      time"


def epoch_line(log: EpochLog) -> str:
    """One aligned line per epoch; under --verbose with rate, speed, and `~` at a score of the moving average."""
    epoch = "start" if log.epoch == 0 else str(log.epoch)
    loss = "-" if math.isnan(log.train_loss) or log.epoch == 0 else f"{log.train_loss:.4f}"
    took = f"{duration(log.seconds):>8}"
    if not DIARY.details:
        return f"{log.fold:>4}  {epoch:>5}  {loss:>13}  {log.valid_loss:>15.4f}  {log.valid_score:>12.4f}  {took}"
    mark = "~" if log.average else " "
    return (
        f"{log.fold:>4}  {epoch:>5}  {log.lr:>8.2e}  {loss:>10}  {log.valid_loss:>10.4f}  "
        f"{log.valid_score:>11.4f}{mark}  {log.pictures_per_second:>10.1f}  {took}"
    )
