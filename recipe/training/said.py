"""What a person is told of a run in training, and what is kept of it on the way: bar, lines, log.jsonl."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from protocol.language import counted, tr
from recipe.config import Config
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.runs.epochs import EpochLogFile
from recipe.runs.results import EpochLog
from recipe.system.console import DIARY, Bar, detail, duration, right, say
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
    say(tr("pictures {labels} of {classes} classes", labels=len(table.labels), classes=len(table.classes)))
    say(tr("network  {backbone}, {knows}", backbone=config.backbone, knows=_knows(config)))
    say(tr("plan     {plan}", plan=_plan(config, len(folds))))
    if not config.minutes:
        say(
            tr(
                "time     about {duration} until the last network is trained",
                duration=duration(estimate(config, folds, runtime)),
            )
        )
    detail(tr("weights  {origin}", origin=start.origin))
    rate = tr(
        "{pictures_per_second:.1f} pictures/s forward and backward, {origin}",
        pictures_per_second=runtime.pictures_per_second,
        origin=runtime.origin,
    )
    detail(tr("machine  {runtime}; {rate}", runtime=runtime, rate=rate))
    frozen = tr("frozen (batch_norm: train unfreezes them)") if config.freezes_batch_norm else tr("those of the batch")
    detail(
        tr(
            "size     {image_size} px in training, {evaluation_size} px after",
            image_size=config.image_size,
            evaluation_size=config.evaluation_size,
        )
    )
    detail(tr("norm     BatchNorm statistics: {frozen}", frozen=frozen))


def _knows(config: Config) -> str:
    if not config.pretrained:
        return tr("which begins without any knowledge (pretrained: false)")
    return tr("which has learned from other pictures before and now learns these classes")


def _plan(config: Config, folds: int) -> str:
    """How long which networks are trained, and what judges them."""
    if not config.epochs:
        return tr("nothing is trained but a linear classifier of what the network sees")
    epochs = (
        tr("as many epochs as the time allows")
        if config.minutes
        else counted("{count} epoch", "{count} epochs", config.epochs)
    )
    if folds == 1:
        return tr("{epochs} (one is a pass over the pictures); some pictures are kept apart to judge by", epochs=epochs)
    return tr(
        "{epochs} (one is a pass over the pictures) for each of {folds} networks (folds); each "
        "is judged by the pictures that are kept apart from it",
        epochs=epochs,
        folds=folds,
    )


def announce_feeding(start: Start, pictures: Pictures, runtime: Runtime) -> None:
    """Says how fast pictures are prepared; to everybody where the network will wait for them."""
    said = feeding(start.config, pictures, start.preprocessing, runtime)
    (say if tr(WAITS) in said else detail)(tr("feeding  {said}", said=said))


def epoch_header(metric: str) -> str:
    """The names above the lines of the epochs."""
    if DIARY.details:
        return _aligned(
            (
                tr("fold"),
                tr("epoch"),
                "lr",
                tr("train loss"),
                tr("valid loss"),
                tr(metric)[:12],
                tr("pictures/s"),
                tr("time"),
            ),
            (4, 5, 8, 10, 10, 12, 10, 8),
        )
    names = (tr("fold"), tr("epoch"), tr("training loss"), tr("validation loss"), tr(metric)[:12], tr("time"))
    return "\n" + _aligned(names, (4, 5, 13, 15, 12, 8))


def epoch_line(log: EpochLog) -> str:
    """One aligned line per epoch; under --verbose with rate, speed, and `~` at a score of the moving average."""
    epoch = right(tr("start") if log.epoch == 0 else str(log.epoch), 5)
    loss = "-" if math.isnan(log.train_loss) or log.epoch == 0 else f"{log.train_loss:.4f}"
    took = right(duration(log.seconds), 8)
    if not DIARY.details:
        return f"{log.fold:>4}  {epoch}  {loss:>13}  {log.valid_loss:>15.4f}  {log.valid_score:>12.4f}  {took}"
    mark = "~" if log.average else " "
    return (
        f"{log.fold:>4}  {epoch}  {log.lr:>8.2e}  {loss:>10}  {log.valid_loss:>10.4f}  "
        f"{log.valid_score:>11.4f}{mark}  {log.pictures_per_second:>10.1f}  {took}"
    )


def _aligned(names: Sequence[str], columns: Sequence[int]) -> str:
    return "  ".join(map(right, names, columns))
