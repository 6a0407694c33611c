"""The worker: claim, fetch, run, tell the end, again. One run at a time."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flyai_local.box import bubblewrap
from flyai_local.errors import UserError
from flyai_local.home import home, runs_folder
from flyai_local.remote.site import RefusedError, Site, UnreachableError
from flyai_local.run.diagnose import RunError
from flyai_local.run.score import Score
from flyai_local.states import Code, State
from flyai_site.worker.answers import judge
from flyai_site.worker.code import execute_code, report_of
from flyai_site.worker.data import Data, archive, data
from flyai_site.worker.held import Held
from protocol.language import tr

__all__ = ["serve"]

IDLE_SECONDS = 1.0
HOST = "FLYAI_SITE_HOST"  # environment variable: the process that started this one and ends before it
AWAY_SECONDS = 15.0  # longest pause while the site does not answer
TRACEBACK_LINES, TRACEBACK_WIDTH = 12, 200
FORBIDDEN = (401, 403)


def serve(site: Site, say: Callable[[str], None] = print, once: bool = False, idle: float = IDLE_SECONDS) -> int:
    """Work for a site until the process is told to stop; with `once`, until its queue is empty. Returns the runs done.

    A worker that a host started ends with that host, however it ended: another shall have its folder.

    Raises:
        UserError: the token is not valid, another worker uses the same folder, or Python cannot be started again.
        KeyboardInterrupt: told to stop; the run at work goes back to the queue when its lease is over.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bubblewrap.refuse_closed()
    lock = _only_one_here()
    isolated = bubblewrap.program() is not None
    if not isolated:
        say(
            tr("bubblewrap is absent or does not work here: this worker takes tables of answers only, and runs no code")
        )
    done, pause, host = 0, idle, int(os.environ.pop(HOST, 0))
    while not host or os.getppid() == host:
        try:
            task = site.ask("POST", "/api/worker/claim", {"isolated": isolated, "note": _note(isolated)})
            pause = idle
        except RefusedError as error:
            if error.status in FORBIDDEN:
                raise
            task, pause = None, min(2 * pause, AWAY_SECONDS)
        except UnreachableError as error:
            say(str(error))
            task, pause = None, min(2 * pause, AWAY_SECONDS)
        if task is not None:
            _work(site, task, say)
            done += 1
        elif once:
            break
        else:
            time.sleep(pause)
    os.close(lock)
    return done


def _work(site: Site, task: dict[str, Any], say: Callable[[str], None]) -> None:
    """One run, from the claim to its end; a fault of this machine is told as the platform's."""
    run = int(task["run"])
    say(tr("run {run}, attempt {attempt}, of {contest}", run=run, attempt=task["attempt"], contest=task["contest"]))
    upload = home() / f"run-{run}.zip"
    with Held(site, run, int(task["attempt"]), float(task["lease_seconds"])) as held:
        began = time.monotonic()
        try:
            end = _run(site, task, upload, held)
        except KeyboardInterrupt:
            if not held.lost:
                raise
            say(tr("run {run} is no longer ours: stopped", run=run))
            return
        except Exception as error:
            end = _end(State.CRASHED, Code.PLATFORM_FAULT, f"{type(error).__name__}: {error}", began)
        finally:
            upload.unlink(missing_ok=True)
            shutil.rmtree(runs_folder() / str(run), ignore_errors=True)
        held.finish(end)
    say(tr("run {run}: {end}", run=run, end=f"{end['state']} {end['code'] or ''}".rstrip()))


def _run(site: Site, task: dict[str, Any], upload: Path, held: Held) -> dict[str, Any]:
    began = time.monotonic()
    known: Data = data(site, task["data"], float(task["minutes"]))
    archive(site, task["archive"], upload)
    if task["kind"] == "answers":
        held.state(State.EVALUATING.value)
        try:
            return _end(State.SCORED, None, "", began, score=judge(upload, known))
        except RunError as error:
            return _end(State.FAILED, error.code, error.detail, began)
    result = execute_code(upload, known, task, held)
    if result.score is None:
        for line in _traceback(result.tail):
            held.say(f"| {line}")
    for note in result.notes:
        held.say(f"note: {note}")
    if report := report_of(result.folder / "project"):
        held.report(report)
    end = _end(result.state, result.code, result.detail, began, result.score)
    return {**end, "seconds": result.seconds, "peak_mb": result.peak_mb}


def _end(state: State, code: Code | None, detail: str, began: float, score: Score | None = None) -> dict[str, Any]:
    figures = None
    if score is not None:
        code, detail = score.code, score.detail
        figures = {
            "metric": score.metric,
            "total": score.total,
            "public": score.public,
            "private": score.private,
            "per_class": score.per_class,
            "public_per_class": score.public_per_class,
        }
    return {
        "state": state.value,
        "code": code.value if code else None,
        "detail": detail[:2000],
        "seconds": time.monotonic() - began,
        "peak_mb": 0.0,
        "score": figures,
    }


def _traceback(tail: list[str]) -> list[str]:
    """The last traceback of a log's end: enough for the cause, too little to carry pictures out."""
    starts = [at for at, line in enumerate(tail) if line.startswith("Traceback")]
    return [line[:TRACEBACK_WIDTH] for line in tail[starts[-1] if starts else -3 :]][-TRACEBACK_LINES:]


def _note(isolated: bool) -> str:
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    kind = "isolated" if isolated else "answers only"
    return f"{platform.node()}, {os.cpu_count()} cores, {gpus} GPUs, {kind}"


def _only_one_here() -> int:
    """Hold the folder of this worker; a second one in it would share run folders."""
    import fcntl

    handle = os.open(home() / "worker.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(
            tr(
                "another worker uses {folder!r}: name another folder by FLYAI_LOCAL_HOME, or stop that one",
                folder=str(home()),
            )
        ) from None
    return handle
