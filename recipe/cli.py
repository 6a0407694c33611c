"""The command line of main.py: every setting is a flag, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from protocol.arguments import completed_by_shell
from protocol.ending import keep_open, mute, refuse_no_folder, tell, unexpected
from protocol.errors import UserError
from protocol.language import choose, tr
from protocol.strict import ConfigError
from recipe import plugins
from recipe.app import App, Competition, name_of, read_app
from recipe.config import Config
from recipe.flags import overrides_of, parser
from recipe.proposal import go_on
from recipe.system.console import DIARY, say
from recipe.system.determinism import before_cuda
from recipe.system.processes.launch import run_processes
from recipe.system.processes.world import World, in_world, joined

MOST_PROCESSES = 64
MINUTES_VARIABLE = "FLYAI_MINUTES"  # how the platform's stand-in tells its limit


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
    on: str = ""  # the folds are given away by this transport, instead of being trained here
    dry_run: bool = False  # the plan and the estimate, and nothing trained
    data: Path | None = None  # the pictures, in place of those of the competition
    began: float = field(default_factory=time.monotonic)  # the time limit counts from here


class ThreeSteps(Protocol):
    """The platform's three steps."""

    def download_data(self) -> None: ...

    def deal_with_data(self) -> None: ...

    def train(self) -> None: ...


def options(app_path: Path, argv: Sequence[str] | None = None, run_folder: Path | None = None) -> Options:
    """The run that a command line asks for; `run_folder` is where it lies unless --output says otherwise.

    Raises:
        ConfigError: app.yaml or a flag holds something that cannot be used, or there is nothing to go on with.
    """
    began = time.monotonic()
    words = choose(sys.argv[1:] if argv is None else argv)
    made = parser(_app_for_help(app_path) if {"-h", "--help"} & set(words) else None)
    completed_by_shell(made)
    arguments = made.parse_args(words)
    DIARY.details = DIARY.details or arguments.verbose
    resume = _resumes(arguments)
    folder = arguments.output or run_folder
    own = _gone_on_with(arguments, folder, app_path) if resume and folder is not None else None
    asked = own or options_of(arguments, app_path)
    return replace(
        asked,
        began=began,
        resume=resume,
        anyway=arguments.resume_anyway,
        only_fold=arguments.only_fold,
        output=arguments.output,
        report=not arguments.no_report,
        dry_run=arguments.dry_run,
        on=arguments.on,
    )


def _gone_on_with(arguments: argparse.Namespace, folder: Path, app_path: Path) -> Options | None:
    """The run that lies in the folder, with its own competition and settings; what the command line names anew is
    compared with them. None where a profile or another app.yaml is named: then the comparison comes with the data.

    Raises:
        ConfigError: there is none, or something is named that it was not begun with.
    """
    from recipe.runs.begun import ITS_OWN, begun, check_named, source_of

    own = begun(folder, lambda: entered(read_app(app_path), arguments).competition)
    if arguments.app or arguments.profile != "auto":
        return None
    config = own.config(ITS_OWN, overrides_of(arguments))
    app = entered(own, arguments)
    check_named(folder, own, app.competition, config, arguments.resume_anyway)
    before_cuda(config.deterministic)
    data = arguments.data or source_of(folder)
    return Options(
        app,
        within_limits(config, app),
        ITS_OWN,
        tr("it goes on in {folder}", folder=folder),
        strict=arguments.strict,
        data=data,
    )


def _resumes(arguments: argparse.Namespace) -> bool:
    """Whether a run is gone on with; the commands that only prepare one have no such flag."""
    return getattr(arguments, "resume", False) or getattr(arguments, "resume_anyway", False)


def _app_for_help(path: Path) -> App | None:
    try:
        return read_app(path)
    except ConfigError:
        return None


def options_of(arguments: argparse.Namespace, app_path: Path) -> Options:
    """The run that the flags of `add_run_flags` ask for.

    Raises:
        ConfigError: app.yaml or a flag holds something that cannot be used.
    """
    overrides = overrides_of(arguments)
    app = entered(read_app(arguments.app or app_path), arguments)
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
    return Options(app, config, profile, why, strict=arguments.strict, data=arguments.data)


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
            tr(
                "the environment variable {minutes_variable} is {named!r}; it takes minutes, such as 120.",
                minutes_variable=MINUTES_VARIABLE,
                named=named,
            )
        ) from None
    limits = [minutes for minutes in (config.minutes, app.competition.minutes, platform) if minutes]
    return config.model_copy(update={"minutes": min(limits, default=0.0)})


def entered(app: App, arguments: argparse.Namespace) -> App:
    """app.yaml with the competition, the columns and the folds that the command line names.

    The columns and the metric that app.yaml gives are those of its own competition: another one has a card of its own.
    """
    competition, name = (
        app.competition,
        arguments.competition or (arguments.data and name_of(arguments.data.resolve())),
    )
    if arguments.competition and arguments.competition != competition.id:
        competition = Competition(id=name, minutes=competition.minutes)
    elif name and not _resumes(arguments):
        competition = competition.model_copy(update={"id": name})
    named = {part: getattr(arguments, f"{part}_column") for part in ("image", "label", "group", "fold")}
    named["encoding"] = arguments.encoding
    columns = competition.columns.model_copy(update={part: value for part, value in named.items() if value})
    folds = str(Path(arguments.folds_csv).absolute()) if arguments.folds_csv else competition.folds_csv
    return app.model_copy(
        update={"competition": competition.model_copy(update={"columns": columns, "folds_csv": folds})}
    )


def _auto_profile(device: str) -> tuple[str, str]:
    from recipe.system.runtime import choose_device, choose_profile

    return choose_profile(choose_device(device))


def run_main(steps: Callable[[Options], ThreeSteps], app_path: Path, run_folder: Path | None = None) -> None:
    """main.py as a program: the three steps in order; errors for users are sentences, not stack traces."""
    asked: list[Options] = []

    def work() -> int:
        if (count := _processes(sys.argv[1:])) > 1 and not in_world():
            return run_processes([sys.executable, *sys.argv], count)
        with joined() as world:
            if not world.is_first:
                DIARY.silent = True  # the first one shows what there is to see
            asked.append(world.agree(lambda: options(app_path, run_folder=run_folder)))
            return _three_steps(steps, asked[0], world)

    def remedy() -> str:
        folder = (asked[0].output if asked else None) or run_folder
        begun = folder is not None and (folder / "run.json").exists()
        return tr(" Go on with: {go_on}", go_on=go_on(folder)) if begun and folder else ""

    raise SystemExit(guarded(work, remedy))


def _processes(words: Sequence[str]) -> int:
    """How many processes the command line asks for.

    Raises:
        ConfigError: none, or more than any machine has.
    """
    if not any(word.startswith("--processes") for word in words):
        return 1
    arguments = parser().parse_args(list(words))
    count = int(arguments.processes)
    if count > 1 and arguments.on:
        raise ConfigError(tr("--processes and --on: a task is trained by one process; leave one of the two out."))
    if not 1 <= count <= MOST_PROCESSES:
        raise ConfigError(
            tr(
                "--processes {count} is refused: 1 to {most_processes}, as many as there are GPUs.",
                count=count,
                most_processes=MOST_PROCESSES,
            )
        )
    return count


def _three_steps(steps: Callable[[Options], ThreeSteps], asked: Options, world: World) -> int:
    from recipe.system.memory import keep_freed_blocks
    from recipe.system.stopping import end_at_sigterm

    keep_freed_blocks()
    end_at_sigterm()
    others = [name for name in asked.app.profiles if name != asked.profile]
    hint = tr("; force another with --profile {others}", others="|".join(others)) if others else ""
    say(
        tr(
            "competition {id}, profile {profile}: {why}{hint}",
            id=asked.app.competition.id,
            profile=asked.profile,
            why=asked.why,
            hint=hint,
        )
    )
    work = steps(asked)
    world.in_turn(work.download_data)
    world.agree(work.deal_with_data)
    work.train()
    return 0


def guarded(work: Callable[[], int], remedy: Callable[[], str] = str) -> int:
    """The exit code of some work; whatever ends it is said in a sentence on stderr, never by a trace.

    A reader that has seen enough (`| head`) is no fault; an error that nobody foresaw leaves its trace in a file.

    Args:
        remedy: how one goes on with what was stopped, in words.
    """
    keep_open()
    try:
        refuse_no_folder()
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        if not getattr(interrupt, "elsewhere", False):
            tell(tr("\nstopped; what was done is kept.{remedy}", remedy=remedy()), error=True)
        return getattr(interrupt, "code", 130)  # recipe.system.stopping.Stopped knows its signal
    except BrokenPipeError:
        mute(1)
        return 0
    except (UserError, FileNotFoundError) as error:
        if not getattr(error, "elsewhere", False):  # of several processes one says it
            tell(tr("error: {error}", error=error), error=True)
    except OSError as error:  # a full disk, a folder without permission
        what = f"{error.strerror or error}: {error.filename or 'the output, or a file'}"
        tell(tr("error: {what}. What was finished is kept.{remedy}", what=what, remedy=remedy()), error=True)
        mute(1)
    except Exception as error:
        tell(tr("error: {unexpected} What was finished is kept.", unexpected=unexpected(error)), error=True)
    return 1
