"""python -m recipe distill RUN: one network in place of the run's folds, with accuracy, size and time before and after.

A student learns from what the run said out of fold, and is judged on the rows of the fold it was not trained on; --test
adds labelled pictures that neither has seen. With --average nothing is trained: the mean of the folds' weights is
judged on --test and kept if it is not worse beyond chance.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.arguments import Parser
from protocol.columns import add_columns
from protocol.language import tr
from recipe.flags import add_config_flags, overrides_of
from recipe.system.console import say
from recipe.system.console import table as aligned

if TYPE_CHECKING:
    from recipe.tune.before_after import Line
    from recipe.tune.significance import Comparison

LEVEL = 0.05  # of the p value below which the mean of the folds is worse beyond chance


def add_arguments(parser: Parser) -> None:
    """The run, where the student goes, what judges it, and its settings."""
    parser.add_argument("folder", type=Path, metavar="RUN", help=tr("finished run with two folds or more"))
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=tr("run folder of the one network [RUN-student, or RUN-average]")
    )
    parser.add_argument(
        "--fold",
        type=int,
        default=0,
        metavar="N",
        help=tr("the fold whose rows judge the student; it trains on the others [0]"),
    )
    parser.add_argument(
        "--test",
        type=Path,
        metavar="CSV",
        help=tr("labelled pictures that neither has seen: a CSV, or a folder per class"),
    )
    parser.add_argument(
        "--average", action="store_true", help=tr("average the folds' weights instead of training; needs --test")
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help=tr("the pictures of the run, where they are no longer where it found them"),
    )
    add_columns(parser, images=False)
    parser.add_argument("--resume", action="store_true", help=tr("go on with the student in --out"))
    parser.add_argument(
        "--no-report", action="store_true", help=tr("leave report.html out; python -m recipe report writes it later")
    )
    add_config_flags(parser, "those of the run")


def run(arguments: argparse.Namespace) -> int:
    """Makes the one network, prints the table and writes distill.json beside it."""
    from recipe.system.atomic import write_json
    from recipe.system.memory import keep_freed_blocks
    from recipe.tune.before_after import as_json, costs

    keep_freed_blocks()
    out = arguments.out or arguments.folder.with_name(
        f"{arguments.folder.name}-{'average' if arguments.average else 'student'}"
    )
    rows = _averaged(arguments, out) if arguments.average else _taught(arguments, out)
    say(tr("measuring size and time of both ..."))
    rows += costs(arguments.folder, out)
    said = [(tr(what), *cells) for what, *cells in rows]
    say("\n" + aligned(("", str(arguments.folder.name), out.name, tr("difference")), said))
    write_json(out / "distill.json", as_json(rows))
    say(tr("\none network  {out}\ntable        {table}", out=out, table=out / "distill.json"))
    return 0


def _taught(arguments: argparse.Namespace, out: Path) -> list[Line]:
    """Trains the student; its scores against the run's."""
    from recipe.afterwards import after_training
    from recipe.runs.folder import open_run_folder, read_oof
    from recipe.tune.before_after import judged
    from recipe.tune.student import lesson_of, train_student

    teacher = open_run_folder(arguments.folder)
    how = (arguments.image_column, arguments.label_column, arguments.encoding)
    table = teacher.table(arguments.data, *how)
    task = lesson_of(teacher, table, arguments.fold, overrides_of(arguments))
    say(
        tr(
            "teacher  {folder}: {folds} networks, out-of-fold probabilities of {table} pictures",
            folder=arguments.folder,
            folds=len(teacher.folds),
            table=len(table),
        )
    )
    student = train_student(task, out, teacher.metric, arguments.resume)
    after_training(out, task.config, None if arguments.no_report else table)
    if arguments.test is None:
        say(
            tr(
                "the rows of the fold may flatter the student, since its teachers have seen them "
                "(docs/distill.md); --test CSV is free of that"
            )
        )
    held = task.fold.valid_rows
    probs = read_oof(arguments.folder / "oof.csv", teacher.classes).probs
    what = f"{teacher.metric}, {len(held)} rows of fold {arguments.fold}: its own network | student"
    rows = [judged(what, teacher.metric, table.labels[held], probs[held], student.oof_probs[held])[0]]
    return rows + ([_tested(arguments, out, teacher.metric, set(teacher.names))[0]] if arguments.test else [])


def _averaged(arguments: argparse.Namespace, out: Path) -> list[Line]:
    """Averages the folds; the scores on --test.

    Raises:
        DistillError: nothing judges the mean, it is not sound, or it is worse than the folds together.
    """
    from recipe.runs.folder import open_run_folder
    from recipe.tune.student import DistillError, write_average

    if arguments.test is None:
        raise DistillError(
            tr(
                "the mean of the folds has seen every row of the run through one of them, so no "
                "out-of-fold row can judge it: name labelled pictures of their own with --test CSV, or "
                "leave --average out and train a student."
            )
        )
    teacher = open_run_folder(arguments.folder)
    write_average(arguments.folder, out)
    row, found = _tested(arguments, out, teacher.metric, set(teacher.names))
    if found.difference < 0 and found.p < LEVEL:
        shutil.rmtree(out)
        raise DistillError(
            tr(
                "the mean of the folds is refused: {metric} falls from {before} to {after} (p {p:.3f}); "
                "train a student instead (leave --average out).",
                metric=row[0],
                before=row[1],
                after=row[2],
                p=found.p,
            )
        )
    return [row]


def _tested(arguments: argparse.Namespace, out: Path, metric: str, seen: set[str]) -> tuple[Line, Comparison]:
    """The whole run against the one network on the pictures of --test."""
    from recipe.data.reading import read_labelled
    from recipe.serving.predict import Ensemble
    from recipe.tune.before_after import judged

    before, after = (Ensemble(folder, arguments.device or "auto") for folder in (arguments.folder, out))
    table, labels = read_labelled(
        arguments.test, before.values, arguments.image_column, arguments.label_column, encoding=arguments.encoding
    )
    if known := len(seen & set(table.names)):
        say(
            tr(
                "{known} of the {table} pictures of {test} bear the name of one the run was trained on: "
                "the scores flatter",
                known=known,
                table=len(table),
                test=arguments.test,
            )
        )
    answers: list[Any] = [ensemble.probs_of_files(table.paths, progress=True) for ensemble in (before, after)]
    what = (
        f"{metric}, {len(table)} pictures of {arguments.test.name}: "
        f"{sum(len(member.folders) for member in before.members)} networks | one"
    )
    return judged(what, metric, labels, *answers)
