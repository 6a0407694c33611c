"""A run under a time limit: the probe, a network trained once on nearly all rows, and both together.

In minutes there is no time for five networks, and a single one that leaves a fifth of the rows out for ever is worse
than one that does not. So the cheap part, the probe, is cross-fitted and then fitted to all rows; the dear part is
trained once, a few rows aside; and those few say how much of the answer it is given. Where the time suffices for
several folds of the settings, they are trained instead, and all rows of theirs have that say.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from protocol.language import tr
from protocol.plain_files import read_json
from recipe.components.metrics import METRICS
from recipe.data.duplicates import duplicate_groups
from recipe.data.folds import Fold, make_folds, most_parts
from recipe.data.table import Table
from recipe.runs.ensemble import HERE, Answering, Weighted, write_answering
from recipe.runs.folder import PLAN
from recipe.runs.results import FoldResult
from recipe.runs.same_run import open_run
from recipe.runs.summary import CrossValidation, summarise, write_summary
from recipe.serving.export import export_run
from recipe.system.atomic import write_json
from recipe.system.console import say
from recipe.training.clock.cost import expected_costs, hidden_of, work_of
from recipe.training.clock.limit import TimeIsUpError, TimeLimit
from recipe.training.clock.plan import Costs, Work, plan
from recipe.training.contender.blend import Blend, blend
from recipe.training.contender.exported import Speed, exported_speed
from recipe.training.contender.member import RUN, VIEWS, ProbeMember, probe_member
from recipe.training.folds import train_folds
from recipe.training.run import Prepared, Run, RunOptions, session

JUDGING = 40  # rows, or groups of them, that judge the network, but at most one of LEAST_PARTS parts of all
LEAST_PARTS = 20
MOST_COPIES = 10  # of one picture, or a fiftieth of the rows
EXPORT_MARGIN = 1.5  # times what the probe's export took


def plans(prepared: Prepared, options: RunOptions) -> bool:
    """Whether a run is trained in this way: under a time limit or without any epoch, from pretrained weights, and where
    nothing was asked for that it would not give.
    """
    config = prepared.start.config
    limited = (options.limit or TimeLimit.of(config)).limited and config.epochs > 0
    alone = config.epochs == 0 and config.head == "linear()"
    own = options.folds is not None or prepared.own_folds is not None
    asked = options.only_fold is None and not own and config.plan == "auto"
    return asked and (limited or alone) and config.pretrained and len(prepared.table.classes) > 1


def train_in_time(prepared: Prepared, folder: Path, options: RunOptions) -> CrossValidation:
    """Trains what fits into the time; the run folder can answer from the probe on, which may be all there is.

    Raises:
        ConfigError: settings other than those of the run to go on with.
        CheckpointError: the folder cannot be written.
        TimeIsUpError: the time does not even suffice for the probe.
    """
    begin, config, table = time.perf_counter(), prepared.start.config, prepared.table
    limit = options.limit or TimeLimit.of(config)
    entered = prepared.competition.model_dump()
    number = open_run(folder, config, table, options.resume, options.anyway, entered)
    limit.attach(folder, options.resume)
    groups = _groups(prepared)
    folds = make_folds(table, min(max(2, config.folds), most_parts(table, groups)), config.seed, groups)
    whole = nearly_all(table, folds[0], config.seed, groups)
    member = folder / RUN if config.epochs else folder
    begins = "probe" if config.head_init == "probe" else "random"  # the probe is a member of its own
    start = dataclasses.replace(prepared.start, config=config.model_copy(update={"head_init": begins}))
    with session(start, prepared.table, prepared.pictures, folder, options, (whole,), number, limit, networks=2) as run:
        probe = probe_member(
            run.start, table, run.pictures, run.runtime, run.metric, folds, member, limit, options.resume
        )
        if not config.epochs:
            write_json(folder / PLAN, {"all_rows": True})
            return _probe_alone(run, folds, probe, begin)
        write_answering(folder, _answering(config.views, Blend(0, 1)))
        speed = exported_speed(folder / RUN, config, table.paths)
        if speed is not None:
            _expect(run, speed)
        several = _several(run, folds, limit, options.resume)
        run.last_stands = not (several and config.patience)  # few rows would choose an epoch by chance
        results = _trained(run, folds if several else (whole,), options.resume)
    if not results:  # the probe answers alone, and all rows have judged it
        summary = _probe_alone(run, folds, probe, begin)
        write_answering(folder, _answering(config.views, Blend(0, 1)))
        return summary
    summary = _closed(prepared, folder, options, folds if several else (whole,), results, probe, begin)
    if speed is not None:
        say(tr("export   {export_run}", export_run=export_run(folder, config.export)))
    return summary


def _probe_alone(run: Run, folds: Sequence[Fold], probe: ProbeMember, begin: float) -> CrossValidation:
    """The scores of the probe, cross-fitted over all folds, written; its network has seen every row."""
    table, metric = run.table, run.metric
    results = [_unjudged(probe, fold, table, metric) for fold in folds]
    summary = summarise(table, tuple(folds), results, VIEWS, metric, time.perf_counter() - begin)
    summary = dataclasses.replace(summary, views=VIEWS)
    write_summary(run.folder, table, summary, metric)
    return summary


def _groups(prepared: Prepared) -> np.ndarray | None:
    """Rows that stay on one side: those of the table, else copies of a picture; None where there are none, or where so
    many pictures pass for copies of each other that they are only alike (digits, drawings).
    """
    table = prepared.table
    if table.groups is not None:
        return table.groups
    groups = duplicate_groups(table, prepared.pictures)
    largest = int(np.bincount(groups).max())
    return groups if 1 < largest <= max(MOST_COPIES, len(table) // 50) else None


def nearly_all(table: Table, judges: Fold, seed: int, groups: np.ndarray | None) -> Fold:
    """The fold 0 that trains on all rows but a few, which judge: some groups of another fold's validation rows."""
    groups = np.arange(len(table)) if groups is None else groups
    wanted = max(1, min(JUDGING, len(np.unique(groups)) // LEAST_PARTS))  # of groups: copies judge no better than one
    there = np.random.default_rng(seed).permutation(np.unique(groups[judges.valid_rows]))
    valid = np.sort(judges.valid_rows[np.isin(groups[judges.valid_rows], there[:wanted])])
    return Fold(0, np.setdiff1d(np.arange(len(table)), valid), valid)


def _expect(run: Run, speed: Speed) -> None:
    """From now on the clock keeps as much time for the answers as exported networks take, and for their export."""
    hidden = hidden_of(run.config, len(run.table))
    answers = hidden * (speed.decode + 2 * speed.picture)
    run.pacer.predict = None
    run.pacer.measured.took("predict", answers + 2 * speed.load + EXPORT_MARGIN * speed.export)
    say(
        tr(
            "limit    {hidden} hidden pictures at {decode:.1f} ms to read and {picture:.1f} ms for each of two "
            "networks, exported",
            hidden=hidden,
            decode=1000 * speed.decode,
            picture=1000 * speed.picture,
        )
    )


def _several(run: Run, folds: Sequence[Fold], limit: TimeLimit, resume: bool) -> bool:
    """Whether folds of the settings are trained; a run that goes on does what it began with."""
    path = run.folder / PLAN
    if resume and path.exists():
        return bool(read_json(path)["several"])
    costs = expected_costs(run.config, folds[0], run.runtime)
    fitting = folds_in_time(limit.left, len(folds), work_of(run.config, folds[0]), costs)
    several = run.config.folds > 1 and fitting > len(folds) / 2  # fewer are worse than one of all rows
    write_json(path, {"several": several})
    return several


def folds_in_time(seconds: float, folds: int, work: Work, costs: Costs) -> int:
    """How many folds can be trained for half of their epochs, and for three at least; 0 where not even one can."""
    course = plan(seconds, folds, work, costs)
    return course.folds if course.steps >= work.floor else 0


def _trained(run: Run, folds: Sequence[Fold], resume: bool) -> list[FoldResult]:
    """The results of the folds, or none where the time is up: the probe answers then."""
    try:
        return train_folds(run, folds, resume)
    except TimeIsUpError as reason:
        say(tr("limit    {reason} The probe answers.", reason=reason))
        return []


def _closed(
    prepared: Prepared, folder: Path, options: RunOptions, folds: Sequence[Fold], results: list[FoldResult],
    probe: ProbeMember, begin: float,
) -> CrossValidation:  # fmt: skip
    """The scores of what answers, and how it answers, written."""
    views, table, metric = prepared.start.config.views, prepared.table, options.metric
    trained = tuple(fold for fold in folds if fold.index in {result.fold for result in results})
    rows = np.concatenate([fold.valid_rows for fold in trained])
    network = np.concatenate([result.view_probs for result in results])
    seen = sum(log.pictures_per_second * log.seconds for log in results[0].logs) / len(table.classes)
    found = blend(network, probe.oof_probs[rows], table.labels[rows], seen)
    results = [
        _answered(result, probe.oof_probs[fold.valid_rows], found)
        for result, fold in zip(results, trained, strict=True)
    ]
    summary = summarise(table, trained, results, views, metric, time.perf_counter() - begin)
    write_summary(folder, table, summary, metric)
    write_answering(folder, _answering(views, found))
    say(
        tr(
            "answer   {network:.0%} network (temperature {temperature:.2f}), {probe:.0%} probe, by "
            "{rows} rows that neither has seen",
            network=found.share,
            temperature=found.temperature,
            probe=1 - found.share,
            rows=len(rows),
        )
    )
    return summary


def _answered(result: FoldResult, probe_probs: np.ndarray, found: Blend) -> FoldResult:
    """The result of a fold as the run answers: network and probe together, in the views of the settings."""
    probs = found.probs(result.view_probs, probe_probs)
    return dataclasses.replace(result, oof_probs=probs, view_probs=probs, probe_probs=probe_probs)


def _unjudged(probe: ProbeMember, fold: Fold, table: Table, metric: str) -> FoldResult:
    probs = probe.oof_probs[fold.valid_rows]
    score = float(METRICS[metric](table.labels[fold.valid_rows], probs))
    return FoldResult(fold.index, score, score, 0, 0.0, probs, probs, probs)


def _answering(views: str, found: Blend) -> Answering:
    """Who answers; a share of nothing is left out."""
    network = Weighted(run=HERE, weight=found.share, temperature=found.temperature) if found.share else None
    probe = Weighted(run=RUN, weight=1 - found.share) if found.share < 1 else None
    return Answering(views=views, members=tuple(member for member in (network, probe) if member))
