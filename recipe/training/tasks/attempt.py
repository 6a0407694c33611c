"""The far side of a task: `python -m recipe task SPEC.json` makes an attempt at it.

Exit code 0: it is done; 1: it was refused by a sentence, and no other attempt would help; 75: take it again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from recipe.app import App
from recipe.cli import Options
from recipe.prepare import prepare
from recipe.runs.results import EpochLog
from recipe.system.atomic import write_json
from recipe.system.processes.world import orphaned
from recipe.system.runtime import Runtime
from recipe.system.stopping import Stopped, end_at_sigterm
from recipe.train import cross_validate
from recipe.training.run import RunOptions
from recipe.training.tasks.settled import settle, told
from recipe.training.tasks.spec import (
    AGAIN,
    ATTEMPT,
    BEAT,
    DONE,
    END,
    FAILED,
    Attempt,
    TaskSpec,
    attempts,
    newest,
    read_spec,
)

BEAT_SECONDS = 5.0
TAKE_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
CODES = {DONE: 0, FAILED: 1, AGAIN: TAKE_AGAIN}
Report = Callable[[EpochLog], None]


def run_task(path: Path, work: Callable[[TaskSpec, Path], dict[str, Any]] | None = None) -> int:
    """Makes an attempt at the task in a file; its exit code.

    Args:
        work: what is computed in the attempt's folder; by default the training that the task describes.

    Raises:
        TaskError: the file cannot be read; nothing was begun.
    """
    spec = read_spec(path)
    attempt = begin(path.parent)
    with beating(attempt, path.parent), output_to(attempt.folder / "output.txt"):
        end = _end(spec, attempt, work or trained)
    write_json(attempt.folder / END, end)
    return CODES[end["state"]]


def begin(folder: Path) -> Attempt:
    """The next attempt at a task, with what the one before it had saved; of several that begin, each gets its own."""
    before = newest(folder)
    number = before.number + 1 if before else 1
    while True:
        attempt = Attempt(folder / f"{ATTEMPT}{number}", number)
        try:
            attempt.folder.mkdir()
        except FileExistsError:
            before, number = attempt, number + 1
        else:
            break
    if before is not None:
        shutil.copytree(before.folder, attempt.folder, ignore=_not_taken_over, dirs_exist_ok=True, copy_function=_copy)
    return attempt


def _not_taken_over(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in (BEAT, END, "output.txt") or name.endswith(".tmp")]


def _copy(source: str, target: str) -> None:
    """A file that the attempt before removes meanwhile is not missed: what is read is whole, and checked."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


def _end(spec: TaskSpec, attempt: Attempt, work: Callable[[TaskSpec, Path], dict[str, Any]]) -> dict[str, Any]:
    about = {"host": socket.gethostname(), "attempt": attempt.number}
    try:
        end_at_sigterm()
        return about | {"state": DONE} | work(spec, attempt.folder)
    except (KeyboardInterrupt, Stopped):
        return about | {"state": AGAIN}
    except UserError as error:
        return about | {"state": FAILED, "sentence": str(error)}
    except OSError as error:  # a full disk, a drive that is gone: another machine may have it better
        return about | {"state": AGAIN, "sentence": str(error)}


def trained(spec: TaskSpec, folder: Path) -> dict[str, Any]:
    """The training of a task, begun or gone on with in a folder; its scores, and how it was computed."""
    options = Options(App(competition=spec.competition), spec.config, "", f"task {spec.name}")
    prepared = prepare(options, Path(spec.data))
    resume = (folder / "run.json").exists()
    way = computed(folder)

    def settled(runtime: Runtime) -> Runtime:
        found = settle(folder.parent.parent, runtime, spec.config, passes=spec.fold is not None)
        way.update(told(found))
        return found

    how = RunOptions(prepared.competition.metric, resume, anyway=resume, only_fold=spec.fold, settle=settled)
    found = cross_validate(prepared, folder, how)
    return {
        "score": found.oof_score,
        "scores": list(found.scores),
        "seconds": sum(fold.seconds for fold in found.folds),
        "epochs": spec.config.epochs,
        **way,
    }


def computed(folder: Path) -> dict[str, Any]:
    """The device and the precision of a run that was finished before, as its timing settled them."""
    import json

    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        entry = json.loads((folder / "timing.json").read_text(encoding="utf-8"))[-1]
        choice = entry["choice"]
        return {"device": entry["key"]["device"], **{name: choice[name] for name in ("precision", "micro_batch")}}
    return {}


@contextlib.contextmanager
def beating(attempt: Attempt, task: Path) -> Iterator[None]:
    """Writes a sign of life every few seconds, and asks this process for an end once a later attempt has begun, or the
    process that carried it is gone.
    """
    done = threading.Event()

    def beat() -> None:
        count = 0
        while True:
            about = {"host": socket.gethostname(), "pid": os.getpid(), "attempt": attempt.number, "count": count}
            with contextlib.suppress(UserError):
                write_json(attempt.folder / BEAT, about)
            if done.wait(BEAT_SECONDS):
                return
            count += 1
            if orphaned() or any(other.number > attempt.number for other in attempts(task)):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Whatever is printed goes to a file."""
    with (
        open(path, "a", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield
