"""The flags that several programs share: one per setting, in sections, with the defaults of the profiles; the run that
answers, and where. How a table is read: protocol/columns.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from protocol.arguments import Parser
from protocol.columns import add_columns
from protocol.language import later, tr
from recipe import __version__
from recipe.app import App
from recipe.config import Config

SHORT = {"epochs": ("-e", "--EPOCHS"), "batch_size": ("-b", "--BATCH"), "plugins": ("--plugin",)}
EXIT_CODES = later(
    "Exit codes: 0 done; 1 stopped with a reason in a sentence; 2 an option that does not "
    "exist; 130 stopped by Ctrl-C and 143 by SIGTERM, both with the state saved (go on with "
    "--resume)."
)

SECTIONS = {  # the setting that begins each section of --help
    "epochs": ("length", later("how long, and on what")),
    "backbone": ("network", later("the network and its start")),
    "augment": ("pictures", later("the pictures as the network sees them")),
    "loss": ("objective", later("what is minimised, and in which steps")),
    "plugins": ("machine", later("components of your own, and the machine")),
    "views": ("prediction", later("how the run answers")),
}
ELSEWHERE = {  # what other programs call a setting
    "--learning-rate": "--lr", "--lr0": "--lr", "--wd": "--weight-decay", "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--num-epochs": "--epochs", "--model": "--backbone", "--arch": "--backbone", "--architecture": "--backbone",
    "--img-size": "--image-size", "--imgsz": "--image-size", "--img": "--image-size", "--resolution": "--image-size",
    "--n-folds": "--folds", "--num-folds": "--folds", "--kfold": "--folds", "--num-workers": "--workers",
    "--opt": "--optimizer", "--sched": "--schedule", "--scheduler": "--schedule", "--criterion": "--loss",
    "--tta": "--views", "--augmentation": "--augment", "--transforms": "--augment", "--amp": "--precision",
    "--fp16": "--precision", "--dtype": "--precision", "--dry": "--dry-run",
    "--checkpoint": "--weights", "--data-dir": "--data", "--data-path": "--data", "--train-csv": "--data",
    "--output-dir": "--output", "--out": "--output", "--save-dir": "--output", "--gpu": "--device",
    "--config": "--app", "--time-limit": "--minutes", "--target-column": "--label-column",
}  # fmt: skip
USUAL = (
    "epochs", "batch_size", "folds", "minutes", "backbone", "image_size", "loss", "optimizer", "lr", "views",
)  # fmt: skip


def add_config_flags(parser: Parser, over: str = "app.yaml", app: App | None = None) -> None:
    """One flag per setting, with its help line; the default stays in Config alone, and in the profiles of app.yaml."""
    parser.usual, parser.elsewhere, parser.parts = USUAL, ELSEWHERE, _setting_of
    for name, setting in Config.model_fields.items():
        if name in SECTIONS:
            title, what = SECTIONS[name]
            group = parser.section(title, tr("{what}; a value given here wins over {over}", what=tr(what), over=over))
        default = f" [{default_of(name, app)}]".replace("%", "%%")
        flags = [*SHORT.get(name, ()), f"--{name.replace('_', '-')}"]
        bare: dict[str, Any] = (
            {"nargs": "?", "const": "true"} if setting.annotation is bool else {}
        )  # --deterministic is --deterministic true
        group.add_argument(
            *flags, dest=name, metavar="VALUE", default=None, **bare, help=f"{tr(str(setting.description))}{default}"
        )


def _setting_of(word: str) -> str:
    """` Write --augment "gamma()" or --loss "focal(gamma=...)".` where components or their settings are called so."""
    from recipe.components.families import FAMILIES, family

    word = word.replace("-", "_")
    families = [(setting, family(name)) for name, (_, setting) in FAMILIES.items() if setting]
    named = [(setting, f"{word}()") for setting, registry in families if word in registry]
    taken = [(setting, f"{component}({word}=...)") for setting, registry in families for component in registry
             if word in registry.settings(component)]  # fmt: skip
    shown = tr(" or ").join(f'--{setting} "{spec}"' for setting, spec in [*named, *taken][:3])
    return tr(" Write {shown}.", shown=shown) if shown else ""


def default_of(name: str, app: App | None) -> str:
    """The value that is used where nobody names one; by profile where they differ."""
    default = Config.model_fields[name].default
    if app is None or not app.profiles:
        return str(default)
    values = {profile: {**app.recipe, **own}.get(name, default) for profile, own in app.profiles.items()}
    shown = {profile: ", ".join(value) if isinstance(value, list) else str(value) for profile, value in values.items()}
    same = len(set(shown.values())) == 1
    return next(iter(shown.values())) if same else "; ".join(f"{profile}: {text}" for profile, text in shown.items())


def parser(app: App | None = None) -> Parser:
    """The parser of main.py; with app.yaml its help shows the defaults of the profiles."""
    made = Parser(
        prog="main.py", epilog=tr(EXIT_CODES), description=tr("Trains the submission under k-fold cross-validation.")
    )
    made.add_argument(
        "--version",
        action="version",
        help=tr("show the version and end"),
        version=f"%(prog)s of flyai-recipe {__version__}",
    )
    made.add_argument(
        "--dry-run", action="store_true", help=tr("say the plan and how long it would take; train nothing")
    )
    made.add_argument("--verbose", action="store_true", help=tr("print what RUN/run.log holds besides, too"))
    made.add_argument(
        "--resume",
        action="store_true",
        help=tr("go on with the run in the run folder, with its own competition and settings"),
    )
    made.add_argument(
        "--resume-anyway", action="store_true",
        help=tr("as --resume, although the code, the versions, or settings such as lr, epochs and "
"augment have changed; never other data or networks"),
    )  # fmt: skip
    made.add_argument(
        "--processes", type=int, default=1, metavar="N",
        help=tr("processes that train each fold together: a GPU for each, or a share of the cores; "
"docs/scale.md [1]"),
    )  # fmt: skip
    made.add_argument(
        "--on", default="", metavar="WHERE",
        help=tr("train the folds as tasks: local:N at a time here, slurm[:PARTITION] or ray://HOST:PORT; "
                "docs/scale.md"),
    )  # fmt: skip
    made.add_argument("--only-fold", type=int, metavar="N", help=tr("train fold N alone"))
    made.add_argument(
        "--no-report", action="store_true", help=tr("leave report.html out; python -m recipe report writes it later")
    )
    made.add_argument("--output", type=Path, metavar="DIR", help=tr("run folder instead of MODEL_PATH"))
    add_run_flags(made, app)
    return made


def add_run_flags(parser: Parser, app: App | None = None) -> None:
    """What chooses the data and the settings: shared by main.py and the commands that prepare a run."""
    parser.add_argument(
        "--app", type=Path, metavar="FILE", help=tr("another file than app.yaml, such as one of examples/")
    )
    parser.add_argument("--competition", metavar="ID", help=tr("another competition than the one app.yaml names"))
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help=tr("pictures of your own instead: a folder per class, a folder with a train.csv, or a CSV"),
    )
    add_columns(parser, unless=tr("or as app.yaml and the competition say"), images=False, groups=True)
    parser.add_argument(
        "--fold-column", metavar="NAME", help=tr("column with folds of your own; -1 is never validated")
    )
    parser.add_argument(
        "--folds-csv", metavar="FILE", help=tr("a CSV with the pictures and a column fold, for the same")
    )
    parser.add_argument(
        "--profile", default="auto", help=tr("profile of app.yaml; auto chooses by the hardware [auto]")
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help=tr("refuse a data set with unreadable pictures instead of leaving them out"),
    )
    add_config_flags(parser, app=app)


def overrides_of(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line names."""
    return {name: value for name in Config.model_fields if (value := getattr(arguments, name)) is not None}


def add_answering_run(parser: argparse.ArgumentParser) -> None:
    """--run and --device: who answers, and where."""
    parser.add_argument(
        "--run", type=Path, default=Path("data/output/model"), metavar="DIR", dest="folder",
        help=tr("run folder [data/output/model]"),
    )  # fmt: skip
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device: what computes."""
    parser.add_argument("--device", default="auto", help=tr("auto, cpu, cuda, cuda:N or mps [auto]"))
