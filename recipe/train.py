"""Cross-validation: k folds, out-of-fold predictions for every row, and the files of a run.

run.json       settings, classes, versions, seed, data fingerprint
fold0/         model.safetensors, fold.json, result.json, oof.npz, last/ (the state to go on from)
oof.csv        every row with its out-of-fold probabilities
metrics.json   scores; log.jsonl: one line per epoch
"""

from __future__ import annotations

import dataclasses
import json
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from recipe.afterwards import after_training
from recipe.cli import Options
from recipe.config import Config, ConfigError
from recipe.console import Bar, duration, say
from recipe.data.folds import Fold, make_folds
from recipe.data.table import Table
from recipe.errors import CheckpointError
from recipe.models.start import Plan
from recipe.pictures.cache import Pictures
from recipe.prepare import Prepared
from recipe.runs.epochs import Journal
from recipe.runs.results import EpochLog, FoldResult, finished_folds
from recipe.runs.same_run import check_same_run, code, versions
from recipe.runs.summary import CrossValidation, closing_table, summarise, write_summary
from recipe.system.atomic import write_json
from recipe.system.determinism import before_cuda, make_deterministic
from recipe.system.disk import check_room, needed_bytes
from recipe.system.machine import commit
from recipe.system.runtime import Runtime
from recipe.system.stopping import graceful_stop
from recipe.system.timing import choose_runtime
from recipe.training.clock.cost import estimate, expected_costs, time_answers
from recipe.training.clock.limit import TimeIsUpError, TimeLimit
from recipe.training.clock.pacer import Pacer
from recipe.training.fold import train_fold
from recipe.training.prefetch import feeding
from recipe.training.probe import probe_features
from recipe.training.run import Job

OnEpoch = Callable[[EpochLog], None]

REPORT_SECONDS, REPORT_SHARE = (
    60.0,
    0.03,
)  # kept for the report under a time limit: no more than these seconds, nor this share of it


def cross_validate(
    plan: Plan,
    table: Table,
    pictures: Pictures,
    folder: Path,
    *,
    metric: str = "accuracy",
    resume: bool = False,
    anyway: bool = False,
    only_fold: int | None = None,
    on_epoch: OnEpoch = lambda log: None,
    folds: tuple[Fold, ...] | None = None,
    limit: TimeLimit | None = None,
    report_seconds: float = 0.0,
) -> CrossValidation:
    """Trains the folds one after another and writes the run folder.

    Args:
        pictures: of the table's rows, with the short side that the plan's preprocessing needs.
        folder: MODEL_PATH.
        resume: go on with the run that lies there.
        anyway: also where code, versions or adjustable settings have changed since.
        only_fold: train this fold alone.
        folds: to train, in place of those that the settings and the labels make.
        limit: the time that is left; by default the minutes of the settings from now on.
        report_seconds: of it, to keep for what follows.

    Raises:
        ConfigError: an unknown fold, or settings other than those of the run to go on with.
        CheckpointError: the folder cannot be written.
        TimeIsUpError: the time does not suffice for a fold; a fold that was begun can answer.
    """
    begin = time.perf_counter()
    limit = limit or TimeLimit.of(plan.config)
    chosen = _chosen(make_folds(table, plan.config.folds, plan.config.seed) if folds is None else folds, only_fold)
    number = open_run(folder, plan.config, table, resume, anyway)
    if resume and (finished := finished_folds(folder, chosen)) is not None:
        say("every fold was finished before: nothing is trained")
        for result in finished:
            Journal(folder / "log.jsonl").restart(result.fold, result.logs)
        return summarise(table, chosen, finished, plan.config.views, metric, sum(result.seconds for result in finished))
    limit.attach(folder, resume)
    before_cuda(plan.config.deterministic)
    runtime = choose_runtime(plan.config, plan.model, folder)
    check_room(folder, _needed(plan, chosen))
    _announce(plan, table, chosen, runtime)
    if plan.config.deterministic:
        say(make_deterministic(runtime.device))
    say(f"feeding  {feeding(plan.config, pictures, plan.preprocessing, runtime)}")
    features = start_features(plan, pictures, runtime, limit)
    pacer = make_pacer(plan, table, chosen[0], runtime, limit, report_seconds)
    with Bar(0, "step") as bar, graceful_stop() as stop:
        journal = Journal(folder / "log.jsonl")

        def report(log: EpochLog) -> None:
            journal.add(log)
            say(epoch_line(log, metric))
            on_epoch(log)

        def advance(steps: int, doing: str) -> None:
            bar.describe(doing)
            bar.advance(steps)
            bar.expect(pacer.steps_left, pacer.seconds_left)

        say(EPOCH_HEADER.format(metric=metric[:12]))
        job = Job(
            plan.config,
            table,
            pictures,
            plan.model,
            plan.preprocessing,
            runtime,
            features,
            folder,
            metric,
            advance,
            report,
            on_logs=journal.restart,
            check_stop=stop.check,
            run=number,
            pacer=pacer,
        )
        results = train_folds(job, chosen, resume)
    trained = tuple(fold for fold in chosen if fold.index in {result.fold for result in results})
    summary = summarise(table, trained, results, plan.config.views, metric, time.perf_counter() - begin)
    write_summary(folder, table, summary, metric)
    return summary


def train_folds(job: Job, folds: Sequence[Fold], resume: bool) -> list[FoldResult]:
    """The results of the folds for which the time suffices.

    Raises:
        TimeIsUpError: it suffices for none.
    """
    results = []
    try:
        for number, fold in enumerate(folds):
            if (result := train_fold(job, fold, resume, len(folds) - number)) is None:
                break
            results.append(result)
    except TimeIsUpError as reason:
        say(f"limit    {reason}")
    if not results:
        raise TimeIsUpError(_no_fold(job.folder, job.pacer.limit))
    return results


def _no_fold(folder: Path, limit: TimeLimit) -> str:
    left = f"--minutes {limit.seconds / 60:g} ended before a fold was finished ({duration(limit.used)} are used). "
    if any(folder.glob("fold*/fold.json")):
        return left + f"What was trained answers all the same: {folder}. Go on with --resume and more --minutes."
    return left + "Give more minutes, or lower --image-size or --hidden-pictures."


def make_pacer(
    plan: Plan, table: Table, fold: Fold, runtime: Runtime, limit: TimeLimit, report_seconds: float = 0.0
) -> Pacer:
    """The clock of a run, with what a fold is expected to cost; pictures are only answered on trial where there is a
    limit.
    """
    hidden = plan.config.hidden_pictures or max(1, len(table) // 4)
    expected = expected_costs(plan.config, fold, runtime, hidden)
    if not limit.limited:
        return Pacer(limit, expected)

    def predict() -> float:
        return hidden * time_answers(plan.model, table.paths, plan.config, plan.preprocessing, runtime)

    expected = dataclasses.replace(expected, predict=predict())
    ms = 1000 * expected.predict / hidden
    say(
        f"limit    {limit.seconds / 60:g} minutes, {duration(limit.used)} are used; {hidden} hidden pictures at "
        f"{ms:.1f} ms for one fold"
    )
    return Pacer(limit, expected, predict=predict, report=report_seconds)


def train(
    prepared: Prepared,
    options: Options,
    folder: Path,
    on_epoch: OnEpoch = lambda log: None,
    limit: TimeLimit | None = None,
) -> CrossValidation:
    """Cross-validates what was prepared and says how it went and where everything lies."""
    metric, limit = options.app.competition.metric, limit or TimeLimit.of(options.config, options.began)
    known = options.resume and is_complete(folder, options.only_fold, prepared.plan.config.folds)
    summary = cross_validate(
        prepared.plan,
        prepared.table,
        prepared.pictures,
        folder,
        metric=metric,
        resume=options.resume,
        anyway=options.anyway,
        only_fold=options.only_fold,
        on_epoch=on_epoch,
        limit=limit,
        report_seconds=min(REPORT_SECONDS, REPORT_SHARE * limit.seconds) if options.report and limit.limited else 0.0,
    )
    say("\n" + closing_table(summary, metric, folder))
    if not known:
        after_training(folder, options.config, prepared.table if options.report else None, prepared.pictures, limit)
    return summary


def is_complete(folder: Path, only_fold: int | None, folds: int) -> bool:
    """Whether a run has its scores and every fold: then going on with it adds nothing, and no second row to the
    record.
    """
    wanted = range(folds) if only_fold is None else [only_fold]
    return (folder / "metrics.json").exists() and all(
        (folder / f"fold{number}" / "result.json").exists() for number in wanted
    )


def _chosen(folds: tuple[Fold, ...], only_fold: int | None) -> tuple[Fold, ...]:
    if only_fold is None:
        return folds
    if not 0 <= only_fold < len(folds):
        raise ConfigError(
            f"--only-fold {only_fold} does not exist; with --folds {len(folds)} the folds are 0 to {len(folds) - 1}."
        )
    return (folds[only_fold],)


def _needed(plan: Plan, folds: tuple[Fold, ...]) -> int:
    """Bytes on the disk; moments and an outer optimizer's own copies are taken as three times the weights."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in plan.model.state_dict().values())
    return needed_bytes(weights, len(folds), 4 + bool(plan.config.ema_decay))


def start_features(
    plan: Plan, pictures: Pictures, runtime: Runtime, limit: TimeLimit | None = None
) -> np.ndarray | None:
    """Probe features of all rows, computed once for all folds: the frozen network is the same in each.

    Raises:
        TimeIsUpError: they take longer than there is time.
    """
    if not plan.config.probes:
        return None
    model = plan.model.to(runtime.device, memory_format=runtime.memory_format)  # type: ignore[call-overload]
    if not isinstance(model.head.classifier, nn.Linear):
        if plan.config.head_init == "probe":
            raise ConfigError(
                f"head_init: probe needs a head that ends in a linear layer, not {plan.config.head!r}; set "
                "head_init: random."
            )
        return None
    with Bar(len(pictures), "picture", "features for the probe") as bar:

        def counted() -> Any:
            for row in range(len(pictures)):
                bar.advance()
                if limit:
                    limit.check("computing the features for the probe")
                yield pictures[row]

        return probe_features(model, counted(), plan.preprocessing, runtime)


def _announce(plan: Plan, table: Table, folds: tuple[Fold, ...], runtime: Runtime) -> None:
    say(
        f"backbone {plan.config.backbone}, weights: {plan.origin}; {len(table.classes)} classes, "
        f"{len(table.labels)} pictures"
    )
    say(f"machine  {runtime}; {runtime.pictures_per_second:.1f} pictures/s forward and backward, {runtime.origin}")
    frozen = "frozen (batch_norm: train unfreezes them)" if plan.config.freezes_batch_norm else "those of the batch"
    say(
        f"training {plan.config.epochs} epochs x {len(folds)} folds at {plan.config.image_size} px; BatchNorm "
        f"statistics: {frozen}"
    )
    say(f"estimate {duration(estimate(plan.config, folds, runtime))} until the last fold is done")


EPOCH_HEADER = "fold  epoch        lr  train loss  valid loss  {metric:>12}  pictures/s      time"


def epoch_line(log: EpochLog, metric: str) -> str:
    """One aligned line per epoch; `~` marks a score of the moving average."""
    mark = "~" if log.average else " "
    return (
        f"{log.fold:>4}  {log.epoch:>5}  {log.lr:>8.2e}  {log.train_loss:>10.4f}  {log.valid_loss:>10.4f}  "
        f"{log.valid_score:>11.4f}{mark}  {log.pictures_per_second:>10.1f}  {duration(log.seconds):>8}"
    )


def open_run(folder: Path, config: Config, table: Table, resume: bool, anyway: bool = False) -> str:
    """Writes run.json; returns the run's number. An earlier run is moved aside, never overwritten; with `resume` it
    must have the same settings and data.

    Raises:
        ConfigError: nothing to go on with, or something else lies there.
    """
    path = folder / "run.json"
    here: dict[str, Any] = {
        "config": config.model_dump(),
        "classes": list(table.classes),
        "fingerprint": table.fingerprint,
    }
    here |= {"code": code(), "versions": versions()}
    if resume:
        return _same_run(path, here, anyway)
    if path.exists():
        aside = folder.with_name(
            f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(path.stat().st_mtime))}"
        )
        try:
            folder.rename(aside)
        except OSError as error:
            raise CheckpointError(
                f"cannot move the earlier run in {folder} aside: {error.strerror}. Choose another --output."
            ) from error
        say(f"the earlier run was moved to {aside}")
    origin = {"source": str(table.source), "commit": commit(), "machine": platform.platform(), "began": time.time()}
    write_json(path, here | {"values": list(table.values), "run": (number := uuid.uuid4().hex)} | origin)
    return number


def _same_run(path: Path, here: dict[str, Any], anyway: bool) -> str:
    """The number of the run that is gone on with; run.json then holds what it goes on under."""
    if not path.exists():
        raise ConfigError(f"--resume: {path.parent} holds no run to go on with; leave --resume out to begin one.")
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        changed = check_same_run(path.parent, there, here, anyway)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"--resume: {path} is damaged ({error}); leave --resume out to begin anew beside it."
        ) from None
    if changed:
        say(f"--resume-anyway: goes on in spite of {', '.join(changed)}")
        write_json(path, there | here | {"changed": [*there.get("changed", []), *changed]})
    return str(there.get("run", ""))
