"""python -m recipe tune RUN [RUN ...]: choose views, test size, soup, weights and temperature on out-of-fold rows.

Without options everything is tried. What is better beyond chance is written to ensemble.json, the table to tune.json.
What answers is then exported again as the run's setting `export` says, and in the formats that lie there.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from protocol.columns import add_columns
from protocol.errors import UserError
from protocol.language import tr
from recipe.flags import add_device
from recipe.system.console import say
from recipe.system.console import table as aligned

if TYPE_CHECKING:
    from recipe.tune.choice import Trial
    from recipe.tune.tuning import Wishes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, and what is tried."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help=tr("run folders; the first is the one that is written to")
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR_OR_CSV", help=tr("the training pictures; by default where the run found them")
    )
    add_columns(parser, images=False)
    parser.add_argument(
        "--views",
        action="append",
        metavar="VIEWS",
        help=tr('views to try, such as "identity(), hflip()"; may be repeated'),
    )
    parser.add_argument("--test-sizes", metavar="PIXELS,...", help=tr("input sizes to try, such as 128,160,192"))
    parser.add_argument("--soup", action="store_true", help=tr("try averaging each fold's weights with its snapshots"))
    parser.add_argument("--temperature", action="store_true", help=tr("try a temperature for calibrated probabilities"))
    parser.add_argument("--weights", action="store_true", help=tr("try weights for several runs, besides equal ones"))
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=tr("write a lean copy of the run there instead of changing the first RUN"),
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Tries the candidates, prints the table and writes the choice."""
    from recipe.afterwards import export_again
    from recipe.runs.folder import open_run_folders
    from recipe.system.console import Bar
    from recipe.system.runtime import choose_device
    from recipe.tune.out_of_fold import OutOfFold
    from recipe.tune.outcome import write_outcome
    from recipe.tune.tuning import pictures_to_answer, tune

    wishes, device = wished(arguments), choose_device(arguments.device)
    if arguments.out is not None and arguments.out.exists() and any(arguments.out.iterdir()):
        raise UserError(tr("--out {out} is not empty; name a new folder.", out=arguments.out))
    runs = open_run_folders(arguments.runs)
    columns = (arguments.image_column, arguments.label_column, arguments.encoding)
    with Bar(sum(pictures_to_answer(one, wishes) for one in runs), "picture", tr("out of fold")) as bar:
        outcome = tune([OutOfFold(one, one.paths(arguments.data, *columns), device, bar) for one in runs], wishes)
    target = write_outcome(outcome, arguments.out)
    say(report(outcome.trials))
    say()
    export_again(target)
    say(tr("choice       {choice}\ntable        {table}", choice=target / "ensemble.json", table=target / "tune.json"))
    return 0


def wished(arguments: argparse.Namespace) -> Wishes | None:
    """What the options name; None, for everything, where they name nothing.

    Raises:
        UserError: a size that is no number of pixels.
        SpecError: views that do not exist.
    """
    from recipe.components.views import build_views
    from recipe.tune.tuning import Wishes

    for views in arguments.views or []:
        build_views(views, 8)
    wishes = Wishes(
        tuple(arguments.views or ()),
        _sizes(arguments.test_sizes),
        arguments.soup,
        arguments.temperature,
        arguments.weights,
    )
    return None if wishes == Wishes() else wishes


def _sizes(text: str | None) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")] if text else []
    if wrong := [word for word in words if not word.isdecimal() or int(word) < 8]:
        raise UserError(
            tr(
                "--test-sizes {given!r}: {wrong!r} is no size; give pixels, at least 8, with commas, "
                "such as 128,160,192.",
                given=text,
                wrong=wrong[0],
            )
        )
    return tuple(dict.fromkeys(int(word) for word in words))


def report(trials: Sequence[Trial]) -> str:
    """The table: one line per candidate."""
    header = (tr("candidate"), tr("out of fold"), tr("difference"), "p", tr("ms/picture"), "", "")
    return aligned(header, [_line(trial) for trial in trials])


def _line(trial: Trial) -> tuple[str, ...]:
    if math.isnan(trial.score):
        return tr(trial.candidate), "-", "-", "-", "-", tr("refused"), tr(trial.why)
    score = f"{trial.score:.4f} {trial.metric}"
    verdict = tr("kept") if trial.kept else tr("refused")
    figures = (f"{trial.difference:+.4f}", f"{trial.p:.3f}", f"{trial.ms:.1f}")
    return tr(trial.candidate), score, *figures, verdict, tr(trial.why)
