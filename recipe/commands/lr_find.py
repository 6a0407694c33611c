"""python -m recipe lr-find [flags of main.py]: a learning-rate range test on the very update that training uses."""

from __future__ import annotations

import argparse
from pathlib import Path

from protocol.arguments import Parser
from protocol.errors import UserError
from protocol.language import tr
from recipe.cli import Options, options_of
from recipe.flags import add_run_flags, overrides_of
from recipe.proposal import proposed

MACHINE = {"workers", "cache_mb"}  # flags that do not belong in the command to train with


def add_arguments(parser: Parser) -> None:
    """The flags of main.py, where the data lies, and the range."""
    parser.add_argument(
        "--steps", type=int, default=100, metavar="N", help=tr("steps from the lowest to the highest rate [100]")
    )
    parser.add_argument("--lowest", type=float, default=1e-6, metavar="LR", help=tr("first rate [1e-6]"))
    parser.add_argument(
        "--highest",
        type=float,
        default=10.0,
        metavar="LR",
        help=tr("last rate, unless the loss diverges before it [10]"),
    )
    parser.add_argument("--fold", type=int, default=0, metavar="N", help=tr("whose training rows are used [0]"))
    parser.add_argument(
        "--out", type=Path, default=Path("data/output/lr_find"), metavar="DIR", help=tr("folder of the results")
    )
    add_run_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the curve and what it suggests; writes lr_find.png, lr_find.csv and lr_find.txt."""
    from recipe.prepare import prepare
    from recipe.sweep.lr_curve import exponential_rates, suggest
    from recipe.sweep.lr_find import find, write_curve
    from recipe.system.atomic import write_bytes
    from recipe.system.console import Bar, say

    asked = options_of(arguments, Path("app.yaml"))
    _check(arguments, asked)
    prepared = prepare(asked, data_folder(arguments.data, asked))
    with Bar(arguments.steps, "step", tr("range test")) as bar:
        found = find(
            prepared,
            exponential_rates(arguments.lowest, arguments.highest, arguments.steps),
            arguments.fold,
            bar.advance,
        )
    suggestion = suggest(found)
    text = _report(found, suggestion, arguments, asked)
    say(text)
    picture = write_curve(arguments.out, found, suggestion, f"{asked.config.backbone}, {asked.config.optimizer}")
    write_bytes(arguments.out / "lr_find.txt", (text + "\n").encode("utf-8"))
    say(tr("\npicture  {picture}", picture=picture))
    return 0


def data_folder(given: Path | None, asked: Options) -> Path:
    """The folder with the training pictures.

    Raises:
        UserError: it is not there.
    """
    competition = asked.app.competition.id
    folder = given or Path("data/input") / competition
    if folder.exists():
        return folder
    raise UserError(
        tr(
            "{folder} does not exist. Run `{proposed}` once or `python -m flyai_local download "
            "{competition}`, or name the folder of the pictures with --data.",
            folder=folder,
            proposed=proposed("main", competition=competition),
            competition=competition,
        )
    )


def _check(arguments: argparse.Namespace, asked: Options) -> None:
    if arguments.steps < 8:
        raise UserError(
            tr("--steps {steps} is too few to see a curve; take 8 or more (100 is usual).", steps=arguments.steps)
        )
    if not 0 < arguments.lowest < arguments.highest:
        raise UserError(
            tr(
                "--lowest {lowest} and --highest {highest} are refused: 0 < lowest < highest is needed.",
                lowest=arguments.lowest,
                highest=arguments.highest,
            )
        )
    if not 0 <= arguments.fold < asked.config.folds:
        raise UserError(
            tr(
                "--fold {fold} does not exist; with --folds {folds} the folds are 0 to {last}.",
                fold=arguments.fold,
                folds=asked.config.folds,
                last=asked.config.folds - 1,
            )
        )


def _report(found, suggestion, arguments: argparse.Namespace, asked: Options) -> str:  # type: ignore[no-untyped-def]
    from recipe.sweep.lr_curve import text_plot
    from recipe.sweep.lr_find import setting_for

    last = tr("{rates} steps", rates=len(found.rates))
    lines = [
        text_plot(found, suggestion),
        "",
        tr("{last}; the loss diverged there", last=last) if found.diverged else tr("{last}; no divergence", last=last),
    ]
    if suggestion is None:
        return "\n".join(
            [
                *lines,
                tr("too few steps before the loss diverged: take a smaller --lowest or --highest, or more --steps"),
            ]
        )
    for name, rate in ((tr("steepest descent"), suggestion.steepest), (tr("minimum / 10"), suggestion.tenth)):
        lines.append(f"{name:<17} {rate:.1e}   {command(arguments, setting_for(rate, asked.config))}")
    lines.append(tr("suggestion        {lr:.1e}   the more careful of the two", lr=suggestion.lr))
    if not suggestion.clear:
        lines.append(
            tr(
                "but the loss falls by less than its noise from step to step, so these rates say little: "
                "a probe's start is already low. Run it again with --head-init random, or with --steps "
                "300"
            )
        )
    return "\n".join(lines)


def command(arguments: argparse.Namespace, lr: float) -> str:
    """The command that trains with a rate and otherwise as asked for here."""
    asked = {
        name: getattr(arguments, name) for name in ("app", "competition", "data", "profile", "folds_csv", "encoding")
    }
    asked |= {name: getattr(arguments, name) for name in vars(arguments) if name.endswith("_column")}
    settings = {name: value for name, value in overrides_of(arguments).items() if name not in MACHINE}
    return proposed("main", **asked | settings | {"lr": f"{lr:g}"})
