"""The command line of main.py: every setting is a flag, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import PydanticUndefined

from protocol.ending import keep_open, mute, tell, unexpected
from recipe import plugins
from recipe.config import App, Config, ConfigError, read_app
from recipe.errors import UserError
from recipe.system.determinism import before_cuda

MINUTES_VARIABLE = "FLYAI_MINUTES"  # how the platform's stand-in tells its limit
SHORT = {"epochs": ("-e", "--EPOCHS"), "batch_size": ("-b", "--BATCH"), "plugins": ("--plugin",)}
EXIT_CODES = (
    "Exit codes: 0 done; 1 stopped with a reason in a sentence; 2 an option that does not exist; 130 stopped by "
    "Ctrl-C and 143 by SIGTERM, "
    "both with the state saved (go on with --resume)."
)


@dataclass(frozen=True)
class Options:
    """A run as asked for: app.yaml, the settings in force, and what concerns this start only."""

    app: App
    config: Config
    profile: str
    why: str  # the profile was chosen
    resume: bool = False
    anyway: bool = False  # resume although code, versions or adjustable settings have changed
    only_fold: int | None = None
    strict: bool = False
    output: Path | None = None
    report: bool = True
    began: float = field(default_factory=time.monotonic)  # the time limit counts from here


class ThreeSteps(Protocol):
    """The platform's three steps."""

    def download_data(self) -> None: ...

    def deal_with_data(self) -> None: ...

    def train(self) -> None: ...


def add_config_flags(parser: argparse.ArgumentParser, over: str = "app.yaml") -> None:
    """One flag per setting, with its help line; the default stays in Config alone."""
    group = parser.add_argument_group("recipe", f"settings; a value given here wins over {over}")
    for name, setting in Config.model_fields.items():
        default = "" if setting.default is PydanticUndefined else f" [{setting.default}]".replace("%", "%%")
        flags = [*SHORT.get(name, ()), f"--{name.replace('_', '-')}"]
        bare: dict[str, Any] = (
            {"nargs": "?", "const": "true"} if setting.annotation is bool else {}
        )  # --deterministic is --deterministic true
        group.add_argument(
            *flags, dest=name, metavar="VALUE", default=None, **bare, help=f"{setting.description}{default}"
        )


def parser() -> argparse.ArgumentParser:
    """The parser of main.py."""
    made = argparse.ArgumentParser(
        prog="main.py",
        epilog=EXIT_CODES,
        allow_abbrev=False,
        description="Trains the submission under k-fold cross-validation.",
    )
    made.add_argument("--resume", action="store_true", help="go on with the run in MODEL_PATH")
    made.add_argument(
        "--resume-anyway", action="store_true",
        help="as --resume, although the code, the versions, or settings such as lr, epochs and augment have "
             "changed; never other data or networks",
    )  # fmt: skip
    made.add_argument("--only-fold", type=int, metavar="N", help="train fold N alone")
    made.add_argument(
        "--no-report", action="store_true", help="leave report.html out; python -m recipe report writes it later"
    )
    made.add_argument("--output", type=Path, metavar="DIR", help="run folder instead of MODEL_PATH")
    add_run_flags(made)
    return made


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """What chooses the data and the settings: shared by main.py and the commands that prepare a run."""
    parser.add_argument("--app", type=Path, metavar="FILE", help="another file than app.yaml, such as one of examples/")
    parser.add_argument("--competition", metavar="ID", help="another competition than the one app.yaml names")
    parser.add_argument(
        "--group-column", metavar="NAME", help="column of train.csv whose equal values stay in one fold"
    )
    parser.add_argument("--encoding", metavar="NAME", help="of train.csv, such as cp1252, where it is not UTF-8 or GBK")
    parser.add_argument("--profile", default="auto", help="profile of app.yaml; auto chooses by the hardware [auto]")
    parser.add_argument(
        "--strict", action="store_true", help="refuse a data set with unreadable pictures instead of leaving them out"
    )
    add_config_flags(parser)


def options(app_path: Path, argv: Sequence[str] | None = None) -> Options:
    """The run that a command line asks for.

    Raises:
        ConfigError: app.yaml or a flag holds something that cannot be used.
    """
    began = time.monotonic()
    arguments = parser().parse_args(argv)
    asked = options_of(arguments, app_path)
    resume = arguments.resume or arguments.resume_anyway
    return replace(
        asked,
        began=began,
        resume=resume,
        anyway=arguments.resume_anyway,
        only_fold=arguments.only_fold,
        output=arguments.output,
        report=not arguments.no_report,
    )


def overrides_of(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line names."""
    return {name: value for name in Config.model_fields if (value := getattr(arguments, name)) is not None}


def options_of(arguments: argparse.Namespace, app_path: Path) -> Options:
    """The run that the flags of `add_run_flags` ask for.

    Raises:
        ConfigError: app.yaml or a flag holds something that cannot be used.
    """
    overrides = overrides_of(arguments)
    app = read_app(arguments.app or app_path)
    app = _entered(app, arguments)
    if arguments.profile == "auto":
        first = app.config(next(iter(app.profiles), "auto"), overrides)  # refuses a bad flag before torch is imported
        before_cuda(first.deterministic)
        profile, why = _auto_profile(str(overrides.get("device", "auto")))
    else:
        profile, why = arguments.profile, "as asked for"
    config = within_limits(app.config(profile, overrides), app)
    for name in plugins.files_in(config.plugins):
        plugins.place(name)  # a file that is not there is refused before anything is downloaded
    before_cuda(config.deterministic)
    return Options(app, config, profile, why, strict=arguments.strict)


def within_limits(config: Config, app: App) -> Config:
    """The settings with no more minutes than the competition and the platform (the variable FLYAI_MINUTES) allow.

    Raises:
        ConfigError: the variable is no number above 0.
    """
    named = os.environ.get(MINUTES_VARIABLE, "").strip() or "0"
    try:
        platform = App.model_validate({"competition": {"id": "-", "minutes": named}}).competition.minutes
    except ValueError:
        raise ConfigError(
            f"the environment variable {MINUTES_VARIABLE} is {named!r}; it takes minutes, such as 120."
        ) from None
    limits = [minutes for minutes in (config.minutes, app.competition.minutes, platform) if minutes]
    return config.model_copy(update={"minutes": min(limits, default=0.0)})


def _entered(app: App, arguments: argparse.Namespace) -> App:
    """app.yaml with the competition, the group column and the encoding that the command line names."""
    competition = app.competition
    if arguments.competition:
        competition = competition.model_copy(update={"id": arguments.competition})
    named = {"group": arguments.group_column, "encoding": arguments.encoding}
    columns = competition.columns.model_copy(update={name: value for name, value in named.items() if value})
    competition = competition.model_copy(update={"columns": columns})
    return app.model_copy(update={"competition": competition})


def _auto_profile(device: str) -> tuple[str, str]:
    from recipe.system.runtime import choose_device, choose_profile

    return choose_profile(choose_device(device))


def run_main(steps: Callable[[Options], ThreeSteps], app_path: Path) -> None:
    """main.py as a program: the three steps in order; errors for users are sentences, not stack traces."""
    raise SystemExit(guarded(lambda: _three_steps(steps, options(app_path))))


def _three_steps(steps: Callable[[Options], ThreeSteps], asked: Options) -> int:
    from recipe.system.memory import keep_freed_blocks
    from recipe.system.stopping import end_at_sigterm

    keep_freed_blocks()
    end_at_sigterm()
    others = [name for name in asked.app.profiles if name != asked.profile]
    hint = f"; force another with --profile {'|'.join(others)}" if others else ""
    print(f"competition {asked.app.competition.id}, profile {asked.profile}: {asked.why}{hint}", flush=True)
    work = steps(asked)
    work.download_data()
    work.deal_with_data()
    work.train()
    return 0


def guarded(work: Callable[[], int]) -> int:
    """The exit code of some work; whatever ends it is said in a sentence on stderr, never by a trace.

    A reader that has seen enough (`| head`) is no fault; an error that nobody foresaw leaves its trace in a file.
    """
    keep_open()
    try:
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        tell("\nstopped; what was done is kept. Go on with the same command and --resume.", error=True)
        return getattr(interrupt, "code", 130)  # recipe.system.stopping.Stopped knows its signal
    except BrokenPipeError:
        mute(1)
        return 0
    except (UserError, FileNotFoundError) as error:
        tell(f"error: {error}", error=True)
    except OSError as error:  # a full disk, a folder without permission
        what = f"{error.strerror or error}: {error.filename or 'the output, or a file'}"
        tell(f"error: {what}. What was finished is kept; mend it, then --resume.", error=True)
        mute(1)
    except Exception as error:
        tell(f"error: {unexpected(error)} What was finished is kept.", error=True)
    return 1
