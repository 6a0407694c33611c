"""Cross-validation: k folds, out-of-fold predictions for every row, and the files of a run.

run.json       settings, classes, versions, seed, data fingerprint
fold0/         model.safetensors, fold.json, result.json, oof.npz, last/ (the state to go on from)
oof.csv        every row with its out-of-fold probabilities
metrics.json   scores; log.jsonl: one line per epoch
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recipe.afterwards import after_training
from recipe.cli import Options
from recipe.config import ConfigError
from recipe.console import Bar, say
from recipe.data.folds import Fold, make_folds
from recipe.models.start import Start
from recipe.prepare import Prepared
from recipe.runs.epochs import EpochLogFile
from recipe.runs.results import EpochLog, FoldResult, finished_folds, is_complete
from recipe.runs.same_run import open_run
from recipe.runs.summary import CrossValidation, closing_table, summarise, write_summary
from recipe.system.determinism import before_cuda, make_deterministic
from recipe.system.disk import check_room, needed_bytes
from recipe.system.runtime import Runtime
from recipe.system.stopping import graceful_stop
from recipe.system.timing import choose_runtime
from recipe.training.clock.limit import TimeLimit
from recipe.training.clock.pacer import pacer_of
from recipe.training.folds import train_folds
from recipe.training.probe import start_features
from recipe.training.run import Run
from recipe.training.said import EPOCH_HEADER, Shown, announce, announce_feeding

REPORT_SECONDS, REPORT_SHARE = 60.0, 0.03  # kept for the report under a time limit: no more than either
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


def cross_validate(prepared: Prepared, folder: Path, options: RunOptions = RunOptions()) -> CrossValidation:
    """Trains the folds one after another and writes the run folder, MODEL_PATH.

    Raises:
        ConfigError: an unknown fold, or settings other than those of the run to go on with.
        CheckpointError: the folder cannot be written.
        TimeIsUpError: the time does not suffice for a fold; a fold that was begun can answer.
    """
    begin = time.perf_counter()
    limit = options.limit or TimeLimit.of(prepared.start.config)
    table, views = prepared.table, prepared.start.config.views
    folds = _folds(prepared, options)
    number = open_run(folder, prepared.start.config, table, options.resume, options.anyway)
    if options.resume and (finished := finished_folds(folder, folds)) is not None:
        _keep_epochs(finished, folder)
        return summarise(table, folds, finished, views, options.metric, sum(result.seconds for result in finished))
    limit.attach(folder, options.resume)
    with _run(prepared, folder, options, folds, number, limit) as run:
        results = train_folds(run, folds, options.resume)
    trained = tuple(fold for fold in folds if fold.index in {result.fold for result in results})
    summary = summarise(table, trained, results, views, options.metric, time.perf_counter() - begin)
    write_summary(folder, table, summary, options.metric)
    return summary


def _keep_epochs(finished: Sequence[FoldResult], folder: Path) -> None:
    say("every fold was finished before: nothing is trained")
    for result in finished:
        EpochLogFile(folder / "log.jsonl").restart(result.fold, result.logs)


@contextmanager
def _run(
    prepared: Prepared, folder: Path, options: RunOptions, folds: Sequence[Fold], number: str, limit: TimeLimit
) -> Iterator[Run]:
    """The run on this machine, told of at the console and stopped by a signal while the block lasts."""
    start, table, pictures = prepared.start, prepared.table, prepared.pictures
    runtime = _machine(start, folder, len(folds))
    announce(start, table, folds, runtime)
    if start.config.deterministic:
        say(make_deterministic(runtime.device))
    announce_feeding(start, pictures, runtime)
    features = start_features(start, pictures, runtime, limit)
    pacer = pacer_of(start, table, folds[0], runtime, limit, options.report_seconds)
    with Bar(0, "step") as bar, graceful_stop() as stop:
        progress = Shown(bar, EpochLogFile(folder / "log.jsonl"), options.metric, pacer, stop, options.on_epoch)
        say(EPOCH_HEADER.format(metric=options.metric[:12]))
        yield Run(start, table, pictures, runtime, folder, options.metric, features, number, pacer, progress)


def _machine(start: Start, folder: Path, folds: int) -> Runtime:
    """How this machine computes, once there is room on its disk; moments and an outer optimizer's own copies are taken
    as three times the weights.
    """
    before_cuda(start.config.deterministic)
    runtime = choose_runtime(start.config, start.model, folder)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in start.model.state_dict().values())
    check_room(folder, needed_bytes(weights, folds, 4 + bool(start.config.ema_decay)))
    return runtime


def _folds(prepared: Prepared, options: RunOptions) -> tuple[Fold, ...]:
    config, only = prepared.start.config, options.only_fold
    folds = make_folds(prepared.table, config.folds, config.seed) if options.folds is None else options.folds
    if only is None:
        return folds
    if not 0 <= only < len(folds):
        raise ConfigError(
            f"--only-fold {only} does not exist; with --folds {len(folds)} the folds are 0 to {len(folds) - 1}."
        )
    return (folds[only],)


def train(
    prepared: Prepared,
    asked: Options,
    folder: Path,
    on_epoch: OnEpoch = lambda log: None,
    limit: TimeLimit | None = None,
) -> CrossValidation:
    """Cross-validates what was prepared and says how it went and where everything lies."""
    metric, limit = asked.app.competition.metric, limit or TimeLimit.of(asked.config, asked.began)
    wanted = range(prepared.start.config.folds) if asked.only_fold is None else [asked.only_fold]
    known = asked.resume and is_complete(folder, wanted)
    report = min(REPORT_SECONDS, REPORT_SHARE * limit.seconds) if asked.report and limit.limited else 0.0
    options = RunOptions(metric, asked.resume, asked.anyway, asked.only_fold, None, limit, report, on_epoch)
    summary = cross_validate(prepared, folder, options)
    say("\n" + closing_table(summary, metric, folder))
    if not known:
        after_training(folder, asked.config, prepared.table if asked.report else None, prepared.pictures, limit)
    return summary
