"""The folds of a run as tasks: the run is opened and summed up here, each fold is trained wherever there is room.

Source of the split: one writer for each file. A task writes its attempt's folder alone; the coordinator moves what is
done into the run and writes all else.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from protocol.language import tr
from protocol.strict import ConfigError
from recipe.cli import Options
from recipe.runs.epochs import EpochLogFile, read_logs
from recipe.runs.lock import alone_in
from recipe.runs.results import EpochLog, finished_fold
from recipe.runs.same_run import open_run
from recipe.runs.summary import CrossValidation, summarise, write_summary
from recipe.runs.trackers import Told, Trackers
from recipe.system.atomic import write_json
from recipe.system.console import say
from recipe.train import close, folds_of
from recipe.training.run import OnEpoch, Prepared, RunOptions
from recipe.training.tasks.coordinator import Coordinator
from recipe.training.tasks.spec import END, Attempt, TaskSpec, attempts, newest, write_spec
from recipe.training.tasks.transport import transport_of

TASKS = "tasks"  # in the run folder


class LostFolds(UserError, RuntimeError):  # noqa: N818  (says what it is)
    """Folds that no machine could finish; the message says why."""


def train_elsewhere(
    prepared: Prepared, asked: Options, folder: Path, on_epoch: OnEpoch = lambda log: None
) -> CrossValidation:
    """Trains the folds of a run as tasks, and closes the run as `train` does.

    Raises:
        ConfigError: a setting that tasks cannot keep, or an unknown transport.
        LostFolds: a fold was refused, or lost too often.
        Stopped: after a signal; the same command with --resume goes on.
    """
    if asked.config.minutes or asked.dry_run:
        raise ConfigError(
            tr("--on plans no minutes and has no --dry-run: a clock watches one machine. Leave them out.")
        )
    transport, metric = transport_of(asked.on), prepared.competition.metric
    trackers = Trackers(Told(folder, prepared.competition.id, asked.config.model_dump()), asked.config.trackers)

    def told(log: EpochLog) -> None:
        on_epoch(log)
        trackers(log)

    options = RunOptions(metric, asked.resume, asked.anyway, asked.only_fold)
    folds, begin = folds_of(prepared, options), time.perf_counter()
    with alone_in(folder):
        entered = prepared.competition.model_dump()
        open_run(folder, prepared.start.config, prepared.table, asked.resume, asked.anyway, entered)
        missing: list[str] = []
        open_folds = [fold.index for fold in folds if finished_fold(folder / f"fold{fold.index}", fold) is None]
        say(tr("folds that are given away by {on}: {folds}", on=asked.on, folds=", ".join(map(str, open_folds)) or "-"))
        coordinator = Coordinator(
            transport,
            lambda task, attempt: take_over(task, attempt, folder, told),
            lambda task, sentence: missing.append(f"{task.name}: {sentence}"),
        )
        coordinator.run(iter([_task(prepared, folder, index) for index in open_folds]))
        if missing:
            raise LostFolds(tr("{why} What is done is kept; --resume goes on with the rest.", why=" ".join(missing)))
        results = [found for fold in folds if (found := finished_fold(folder / f"fold{fold.index}", fold)) is not None]
        log = EpochLogFile(folder / "log.jsonl")
        for result in results:
            log.restart(result.fold, result.logs)
        tasks = sorted((folder / TASKS).glob("*"))
        say_differences({task.name: attempt.end for task in tasks if (attempt := newest(task)) is not None})
        views = prepared.start.config.views
        summary = summarise(prepared.table, folds, results, views, metric, time.perf_counter() - begin)
        write_summary(folder, prepared.table, summary, metric)
        close(prepared, asked, folder, summary, trackers=trackers)
    return summary


def _task(prepared: Prepared, folder: Path, fold: int) -> Path:
    """The folder of a fold's task."""
    task = folder.absolute() / TASKS / f"fold{fold}"
    data, config = str(prepared.table.source.absolute()), prepared.start.config
    write_spec(
        task,
        TaskSpec(kind="fold", name=task.name, config=config, competition=prepared.competition, data=data, fold=fold),
    )
    return task


def take_over(task: Path, attempt: Attempt, folder: Path, on_epoch: OnEpoch = lambda log: None) -> None:
    """Moves a finished fold into the run; of the attempts only how they ended stays."""
    place, end = folder / task.name, attempt.end
    if place.exists():
        shutil.rmtree(place)
    (attempt.folder / task.name).rename(place)
    for log in read_logs(attempt.folder / "log.jsonl"):
        on_epoch(log)
    for other in attempts(task):
        shutil.rmtree(other.folder, ignore_errors=True)
    write_json(attempt.folder / END, end)  # its number stays: an earlier attempt that wakes up sees that it is late
    way = f"{end.get('device', '?')} {end.get('precision', '?')}"
    say(tr("{task}: {score:.4f} on {host} ({way}), attempt {number}", task=task.name, score=end["score"],
           host=end["host"], way=way, number=attempt.number))  # fmt: skip


def say_differences(ends: dict[str, dict[str, Any]]) -> None:
    """Names tasks that were computed in other ways than others: their scores differ by more than chance draws."""
    ways = {name: f"{end['device']} {end['precision']}" for name, end in ends.items() if "device" in end}
    if len(set(ways.values())) > 1:
        said = ", ".join(f"{name} {way}" for name, way in ways.items())
        say(tr("computed in different ways: {ways}", ways=said))
