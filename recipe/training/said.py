"""What a person is told of a run in training, and what is kept of it on the way: bar, lines, log.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from recipe.console import Bar, duration, say
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.runs.epochs import EpochLogFile
from recipe.runs.results import EpochLog
from recipe.system.runtime import Runtime
from recipe.system.stopping import Stop
from recipe.training.clock.cost import estimate
from recipe.training.clock.pacer import Pacer
from recipe.training.prefetch import feeding

EPOCH_HEADER = "fold  epoch        lr  train loss  valid loss  {metric:>12}  pictures/s      time"


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
            Stopped: after a signal.
        """


@dataclass
class Shown(Progress):
    """Tells a person at the console, log.jsonl, and whoever else wants to know of epochs."""

    bar: Bar
    file: EpochLogFile
    metric: str
    pacer: Pacer
    stop: Stop
    on_epoch: Callable[[EpochLog], None]

    def stepped(self, steps: int, doing: str) -> None:
        """Moves the bar, which expects what the clock expects."""
        self.bar.describe(doing)
        self.bar.advance(steps)
        self.bar.expect(self.pacer.steps_left, self.pacer.seconds_left)

    def epoch(self, log: EpochLog) -> None:
        """Its line in the file, then at the console."""
        self.file.add(log)
        say(epoch_line(log, self.metric))
        self.on_epoch(log)

    def taken_up(self, fold: int, logs: Iterable[EpochLog]) -> None:
        """The file then tells of the fold what the fold knows."""
        self.file.restart(fold, logs)

    def check_stop(self) -> None:
        """As the signals ask."""
        self.stop.check()


def announce(start: Start, table: Table, folds: Sequence[Fold], runtime: Runtime) -> None:
    """Says what will be trained, by which machine, and how long it may take."""
    config = start.config
    pictures = f"{len(table.classes)} classes, {len(table.labels)} pictures"
    say(f"backbone {config.backbone}, weights: {start.origin}; {pictures}")
    say(f"machine  {runtime}; {runtime.pictures_per_second:.1f} pictures/s forward and backward, {runtime.origin}")
    frozen = "frozen (batch_norm: train unfreezes them)" if config.freezes_batch_norm else "those of the batch"
    say(
        f"training {config.epochs} epochs x {len(folds)} folds at {config.image_size} px; "
        f"BatchNorm statistics: {frozen}"
    )
    say(f"estimate {duration(estimate(config, folds, runtime))} until the last fold is done")


def announce_feeding(start: Start, pictures: Pictures, runtime: Runtime) -> None:
    """Says how fast pictures are prepared."""
    say(f"feeding  {feeding(start.config, pictures, start.preprocessing, runtime)}")


def epoch_line(log: EpochLog, metric: str) -> str:
    """One aligned line per epoch; `~` marks a score of the moving average."""
    mark = "~" if log.average else " "
    epoch = "start" if log.epoch == 0 else str(log.epoch)
    return (
        f"{log.fold:>4}  {epoch:>5}  {log.lr:>8.2e}  {log.train_loss:>10.4f}  {log.valid_loss:>10.4f}  "
        f"{log.valid_score:>11.4f}{mark}  {log.pictures_per_second:>10.1f}  {duration(log.seconds):>8}"
    )
