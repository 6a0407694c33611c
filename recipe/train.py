"""Cross-validation: k folds, out-of-fold predictions for every row, and the files of a run.

run.json       settings, classes, versions, seed, data fingerprint
fold0/         model.safetensors, fold.json, result.json, oof.npz, last/ (the state to go on from)
oof.csv        every row with its out-of-fold probabilities
metrics.json   scores; log.jsonl: one line per epoch
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.afterwards import after_training, say_next
from recipe.cli import Options
from recipe.components.metrics import refuse_unscorable
from recipe.data.folds import Fold
from recipe.runs.epochs import EpochLogFile
from recipe.runs.folder import read_scores
from recipe.runs.lock import alone_in
from recipe.runs.results import EpochLog, FoldResult, finished_folds, is_complete
from recipe.runs.same_run import open_run
from recipe.runs.summary import CrossValidation, closing_table, places, summarise, write_summary
from recipe.runs.trackers import Told, Trackers
from recipe.system.console import DIARY, detail, say
from recipe.system.determinism import before_cuda
from recipe.system.processes.world import here, leave
from recipe.system.timing import choose_runtime
from recipe.training.clock.limit import TimeLimit
from recipe.training.folds import train_folds
from recipe.training.minutes import plans, train_in_time
from recipe.training.run import DEFAULTS, OnEpoch, Prepared, RunOptions, session
from recipe.training.said import announce

REPORT_SECONDS, REPORT_SHARE = 60.0, 0.03  # kept for the report under a time limit: no more than either


def cross_validate(prepared: Prepared, folder: Path, options: RunOptions = DEFAULTS) -> CrossValidation:
    """Trains the folds one after another and writes the run folder, MODEL_PATH.

    Raises:
        ConfigError: an unknown fold, or settings other than those of the run to go on with.
        CheckpointError: the folder cannot be written.
        TimeIsUpError: the time does not suffice for a fold; a fold that was begun can answer.
    """
    begin, world = time.perf_counter(), here()
    limit = options.limit or TimeLimit.of(prepared.start.config)
    table, views = prepared.table, prepared.start.config.views
    folds = world.agree(lambda: folds_of(prepared, options))
    entered = prepared.competition.model_dump()
    number = world.first(
        lambda: open_run(folder, prepared.start.config, table, options.resume, options.anyway, entered)
    )
    finished = world.first(lambda: finished_folds(folder, folds) if options.resume else None)
    if finished is not None:
        world.first(lambda: _keep_epochs(finished, folder))
        return summarise(table, folds, finished, views, options.metric, sum(result.seconds for result in finished))
    world.first(lambda: limit.attach(folder, options.resume))
    with session(prepared.start, prepared.table, prepared.pictures, folder, options, folds, number, limit) as run:
        results = train_folds(run, folds, options.resume)
    trained = tuple(fold for fold in folds if fold.index in {result.fold for result in results})
    summary = summarise(table, trained, results, views, options.metric, time.perf_counter() - begin)
    world.first(lambda: write_summary(folder, table, summary, options.metric))
    return summary


def _keep_epochs(finished: Sequence[FoldResult], folder: Path) -> None:
    say(tr("every fold was finished before: nothing is trained"))
    for result in finished:
        EpochLogFile(folder / "log.jsonl").restart(result.fold, result.logs)


def folds_of(prepared: Prepared, options: RunOptions) -> tuple[Fold, ...]:
    """Those to train, each of which can be scored."""
    only, table = options.only_fold, prepared.table
    folds = prepared.folds if options.folds is None else options.folds
    if only is not None and not 0 <= only < len(folds):
        raise ConfigError(
            tr(
                "--only-fold {only} does not exist; with --folds {folds} the folds are 0 to {last}.",
                only=only,
                folds=len(folds),
                last=len(folds) - 1,
            )
        )
    folds = folds if only is None else (folds[only],)
    for fold in folds:
        refuse_unscorable(options.metric, table.labels[fold.valid_rows], len(table.classes), fold.index)
    return folds


def show_plan(prepared: Prepared) -> None:
    """Says what a run would do and how long it would take; the machine is timed, and nothing is trained or written."""
    config = prepared.start.config
    before_cuda(config.deterministic)
    announce(prepared.start, prepared.table, prepared.folds, choose_runtime(config, prepared.start.model))
    say(tr("dry run  nothing was decoded, trained or written"))


def train(
    prepared: Prepared,
    asked: Options,
    folder: Path,
    on_epoch: OnEpoch = lambda log: None,
    limit: TimeLimit | None = None,
) -> CrossValidation | None:
    """Cross-validates what was prepared and says how it went and where everything lies. Limit: with --dry-run it says
    the plan, and there is no result.
    """
    if asked.dry_run:
        show_plan(prepared)
        return None
    metric, limit = prepared.competition.metric, limit or TimeLimit.of(asked.config, asked.began)
    report = min(REPORT_SECONDS, REPORT_SHARE * limit.seconds) if asked.report and limit.limited else 0.0
    trackers = Trackers(Told(folder, prepared.competition.id, asked.config.model_dump()), asked.config.trackers)

    def told(log: EpochLog) -> None:
        on_epoch(log)
        trackers(log)

    options = RunOptions(metric, asked.resume, asked.anyway, asked.only_fold, None, limit, report, told)
    world = here()
    way = train_in_time if plans(prepared, options) and world.alone else cross_validate
    known = way is cross_validate and asked.resume and is_complete(folder, _wanted(prepared, asked.only_fold))
    if not world.is_first:
        return cross_validate(prepared, folder, options)  # what follows is the first process's alone
    with alone_in(folder):
        summary = way(prepared, folder, options)
        leave()
        close(prepared, asked, folder, summary, limit, known, trackers)
    DIARY.keep(None)
    return summary


def _wanted(prepared: Prepared, only_fold: int | None) -> Sequence[int]:
    return range(len(prepared.folds)) if only_fold is None else [only_fold]


def close(
    prepared: Prepared,
    asked: Options,
    folder: Path,
    summary: CrossValidation,
    limit: TimeLimit | None = None,
    known: bool = False,
    trackers: Trackers | None = None,
) -> None:
    """Says how a run went and where everything lies, and makes what follows it, unless that is `known` from before."""
    table = closing_table(summary, prepared.competition.metric)
    say(tr("\n{closing_table}\nsaved       {folder}", closing_table=table, folder=folder))
    detail(places(summary, folder))
    if not known:
        after_training(folder, asked.config, prepared.table if asked.report else None, prepared.pictures, limit)
        if trackers is not None:
            trackers.close(read_scores(folder))
    say_next(folder, prepared.competition.columns)
