"""What a run is made from, what its folds share, how it is opened on this machine, and the epoch to keep so far."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from protocol.language import later
from recipe.app import Competition
from recipe.config import Config
from recipe.data.folds import Fold, make_folds
from recipe.data.table import Table
from recipe.models.classifier import Classifier
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing
from recipe.runs.epochs import EpochLogFile
from recipe.runs.results import EpochLog
from recipe.system.console import Bar, say
from recipe.system.determinism import before_cuda, make_deterministic
from recipe.system.disk import check_room, needed_bytes
from recipe.system.processes.device import own_device
from recipe.system.processes.world import ALONE, World, here
from recipe.system.runtime import Runtime, choose_device
from recipe.system.stopping import graceful_stop
from recipe.system.timing import choose_runtime
from recipe.training.clock.limit import TimeLimit
from recipe.training.clock.pacer import Pacer, pacer_of
from recipe.training.clock.threads import ThreadChoice
from recipe.training.contender.probe import start_features
from recipe.training.said import Progress, Shown, announce, announce_feeding, epoch_header
from recipe.training.step.batch_norm import check_over_processes
from recipe.training.step.fixed import lighten


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train."""

    start: Start
    table: Table
    pictures: Pictures
    competition: Competition = field(default_factory=lambda: Competition(id="-"))
    own_folds: tuple[Fold, ...] | None = None  # as the user has cut them

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The user's own, else those that the settings and the labels make."""
        config = self.start.config
        return self.own_folds or make_folds(self.table, config.folds, config.seed)


@dataclass
class Run:
    """What every fold of a run shares."""

    start: Start  # folds copy its network
    table: Table
    pictures: Pictures  # of the table's rows
    runtime: Runtime
    folder: Path
    metric: str = "accuracy"
    features: np.ndarray | None = None  # (N, D) for the probe
    number: str = ""  # in run.json and in every state
    pacer: Pacer = field(default_factory=Pacer)  # the clock; by default one that decides nothing
    threads: ThreadChoice = field(default_factory=lambda: ThreadChoice(0))  # by default one that leaves them alone
    progress: Progress = field(default_factory=Progress)  # who is told; by default nobody
    world: World = field(default=ALONE)  # the processes that train it together
    last_stands: bool = False  # the last epoch is kept whatever its score: too few rows judge to choose one by

    @property
    def config(self) -> Config:
        """The settings."""
        return self.start.config

    @property
    def model(self) -> Classifier:
        """The network at its start."""
        return self.start.model

    @property
    def preprocessing(self) -> Preprocessing:
        """What a picture goes through before the network."""
        return self.start.preprocessing


@dataclass
class Best:
    """The epoch to keep: chosen by validation only, by score and then by loss."""

    score: float = -np.inf
    loss: float = np.inf
    epoch: int = -1

    def beaten_by(self, score: float, loss: float, higher_is_better: bool) -> bool:
        """Whether a new epoch is better."""
        sign = 1 if higher_is_better else -1
        return self.epoch < 0 or (sign * score, -loss) > (sign * self.score, -self.loss)


OnEpoch = Callable[[EpochLog], None]


@dataclass(frozen=True)
class RunOptions:
    """How a run is trained, beside its settings."""

    metric: str = "accuracy"
    resume: bool = False  # go on with the run that lies in the folder,
    anyway: bool = False  # even where code, versions or adjustable settings have changed since
    only_fold: int | None = None  # train this fold alone
    folds: tuple[Fold, ...] | None = None  # in place of those that the settings and the labels make
    limit: TimeLimit | None = None  # the time that is left; by default the minutes of the settings from now on
    report_seconds: float = 0.0  # of it, to keep for what follows
    on_epoch: OnEpoch = lambda log: None
    settle: Callable[[Runtime], Runtime] = lambda runtime: runtime  # what belongs to more than this machine


DEFAULTS = RunOptions()


@contextmanager
def session(
    start: Start, table: Table, pictures: Pictures, folder: Path, options: RunOptions, folds: Sequence[Fold],
    number: str, limit: TimeLimit, networks: int = 1,
) -> Iterator[Run]:  # fmt: skip
    """The run on this machine, told of at the console and stopped by a signal while the block lasts.

    Args:
        folds: to be trained.
        networks: that answer for each fold.
    """
    world = here()
    limit = limit if world.is_first else TimeLimit()  # one clock for all
    first = world.first(lambda: options.settle(_machine(start, folder, len(folds))))
    runtime = world.agree(lambda: own_device(first, start.config, world))
    world.agree(lambda: check_over_processes(start.model, start.config, runtime, folds, world))
    announce(start, table, folds, runtime)
    if start.config.deterministic:
        say(make_deterministic(runtime.device))
    if world.is_first:
        announce_feeding(start, pictures, runtime)
    features = start_features(start, pictures, runtime, limit)
    pacer = world.agree(
        lambda: pacer_of(start, table, folds[0], runtime, limit, options.report_seconds, networks, world)
    )
    pinned = bool(start.config.threads) or start.config.deterministic or not world.alone
    with Bar(0, later("step")) as bar, graceful_stop() as stop:
        if not world.alone:
            world.asked = lambda: stop.asked
        file = EpochLogFile(folder / "log.jsonl") if world.is_first else None
        progress = Shown(bar, file, options.metric, pacer, stop, options.on_epoch, world)
        say(epoch_header(options.metric))
        yield Run(start, table, pictures, runtime, folder, options.metric, features, number, pacer,
                  ThreadChoice.of(runtime, pinned), progress, world)  # fmt: skip


def _machine(start: Start, folder: Path, folds: int) -> Runtime:
    """How this machine computes, once its disk has room; an optimizer's copies count as three times the weights."""
    before_cuda(start.config.deterministic)
    trained = copy.deepcopy(start.model)
    lighten(trained, start.config, choose_device(start.config.device))
    runtime = choose_runtime(start.config, trained, folder)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in start.model.state_dict().values())
    check_room(folder, needed_bytes(weights, folds, 4 + bool(start.config.ema_decay)))
    return runtime
