"""Runs one command of a submission, locked in by bubblewrap where it works, and always within limits.

    box = Box(project, private, isolated=bubblewrap.program() is not None)
    outcome = run(box, [str(box.layout().python), "main.py"], limits, log)

Without bubblewrap the command is a plain process: its environment, memory, processes, files, log and time are
limited, and its whole tree is ended, but it can read what the user can read and reach the network.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flyai_local.box import bubblewrap, cgroups, engine, pretrained, seccomp, stranger
from flyai_local.box import space as file_system
from flyai_local.box.environment import MARK, Layout, variables
from flyai_local.box.limits import Limits, Outcome
from flyai_local.box.logs import Log
from flyai_local.box.processes import LINUX, become_reaper, threads_of_user
from flyai_local.box.watch import Watch

__all__ = ["Box", "Running", "owner_of", "run", "start"]

PACKAGE = Path(__file__).resolve().parents[1]
PLATFORM_FILES = ("sdk", "bootstrap", "evaluator.py")
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Box:
    """The folders of one run and how it is locked in.

    Args:
        project: the unpacked submission; the command works here.
        private: the run's own folder for home and temporary files.
        isolated: lock the command in, by bubblewrap or by the engine.
        weights: folder of pretrained files, or None.
        environment: folder of a virtual environment, or None for the current interpreter.
        masked: folders that must not be seen even where the system's folders hold them.
        network: leave the network on, and tell the command where packages come from. Never for a stranger's code.
        install: the command may write to `environment`.
        minutes: that the command is told to have, or None.
        engine: path of podman or docker, which locks in instead of bubblewrap; None for bubblewrap.
        image: of the engine.
        space: the file system of the run's own that holds all of its folders (`space`), or None.
    """

    project: Path
    private: Path
    isolated: bool
    weights: Path | None = None
    environment: Path | None = None
    masked: tuple[Path, ...] = ()
    network: bool = False
    install: bool = False
    minutes: float | None = None
    engine: str | None = None
    image: str = ""
    space: Path | None = None
    mark: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def home(self) -> Path:
        """The private home folder on this machine."""
        return self.private / "home"

    @property
    def scratch(self) -> Path:
        """The private temporary folder on this machine."""
        return self.private / "tmp"

    def layout(self) -> Layout:
        """Paths as the command sees them."""
        python, packages = Path(sys.executable), tuple(bubblewrap.user_packages())
        if self.environment is not None:
            packages = ()
            python = self.environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if not self.isolated:
            return Layout(self.project, self.home, self.scratch, PACKAGE, self.weights, python, packages)
        if self.engine is not None and self.environment is None:
            python, packages = Path("python3"), ()  # those of the image
        weights = bubblewrap.WEIGHTS if self.weights else None
        return Layout(bubblewrap.PROJECT, bubblewrap.HOME, Path("/tmp"), bubblewrap.PLATFORM, weights, python, packages)


@dataclass
class Running:
    """A command at work; `wait` must be called, and returns what became of it."""

    process: subprocess.Popen[bytes]
    watch: Watch
    pump: threading.Thread
    box: Box

    def wait(self) -> Outcome:
        """Wait for the end, of the command or at a limit, and for every process below it."""
        self.watch.join()
        if self.box.engine is not None:
            engine.removed(self.box.engine, f"flyai-{self.box.mark}")
        if self.box.space is not None:
            file_system.allow(self.box.space, None)  # what the platform itself puts there next always fits
        self.pump.join(GRACE_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not self.pump.is_alive():
                with contextlib.suppress(OSError):  # unsent requests of a process that is gone
                    stream.close()
        return self.watch.outcome(self.process.returncode)

    def stop(self) -> Outcome:
        """End the command now."""
        self.watch.stop()
        return self.wait()


def run(box: Box, command: list[str], limits: Limits, log: Log) -> Outcome:
    """Run `command` to its end; what it prints goes to `log`."""
    running = start(box, command, limits, log)
    try:
        return running.wait()
    except BaseException:
        running.stop()
        raise


def start(box: Box, command: list[str], limits: Limits, log: Log, talk: bool = False) -> Running:
    """Start `command`; with `talk`, its stdin and stdout are pipes to the platform and only stderr is the log."""
    first = not box.home.exists()
    for folder in (box.home, box.scratch):
        folder.mkdir(parents=True, exist_ok=True)
    if box.weights is not None and first:  # later the submission has been there, and may have laid links of its own
        pretrained.place(box.weights, box.layout().weights or box.weights, box.home)
    given = variables(
        box.layout(), box.mark, offline=box.isolated and not box.network, install=box.network, minutes=box.minutes
    )
    owner = owner_of(box)
    folders = (box.project, box.private, *([box.environment] if box.install and box.environment else []))
    if owner is not None:
        stranger.give(owner, folders)
    if box.space is not None:
        file_system.allow(box.space, limits.disk_mb)
    line = _locked(box, limits, given, owner) + command if box.isolated else command
    group = None if box.engine else cgroups.made(limits.memory_mb, limits.tasks)  # an engine has groups of its own
    become_reaper()
    process = subprocess.Popen(
        (group.line if group else []) + _supervised(line, box, limits, group, owner),
        cwd=box.project,
        env=engine.client_environment() if box.engine else given,
        stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if talk else subprocess.STDOUT,
        **_own_group(),
    )
    if owner is not None:  # else a program could not open its own /dev/stdout
        pipes = (process.stdin, process.stdout, process.stderr)
        stranger.give(owner, (), tuple(pipe.fileno() for pipe in pipes if pipe is not None))
    stream = process.stderr if talk else process.stdout
    pump = threading.Thread(target=log.pump, args=(stream,), daemon=True)
    pump.start()
    if group:
        group.found(process.pid)
    watch = Watch(process, limits, log, folders, f"{MARK}={box.mark}", group, box.isolated, box.space)
    watch.start()
    return Running(process, watch, pump, box)


def owner_of(box: Box) -> int | None:
    """The id that the box's processes have outside, where it is not this process's own."""
    if box.engine is not None or os.name == "nt" or os.geteuid():
        return None
    layout = box.layout()
    seen = [layout.platform / name for name in PLATFORM_FILES] + ([layout.weights] if layout.weights else [])
    python = sys.executable if box.install else str(layout.python)
    look = [python, "-I", "-c", stranger.LOOK, *map(str, seen)]
    if not box.isolated:
        return stranger.user(lambda chosen: (*look, str(box.project.parent)), by_sandbox=False)
    readable = _readable(box) | {layout.project: PACKAGE / "sdk"}  # which stands for what is not made yet
    return stranger.user(
        lambda chosen: (*bubblewrap.arguments({}, readable, (), 64, owner=chosen), *look), by_sandbox=True
    )


def _locked(box: Box, limits: Limits, given: dict[str, str], owner: int | None) -> list[str]:
    layout, readable = box.layout(), _readable(box)
    writable = {layout.scratch: box.scratch, layout.home: box.home, layout.project: box.project}
    if box.environment is not None and box.install:
        writable[box.environment] = box.environment
    if box.engine is not None:
        places = {layout.project: box.project, layout.scratch: box.scratch, layout.home: box.home}
        name = f"flyai-{box.mark}"
        return engine.arguments(box.engine, box.image, name, places, readable, given, limits, box.network)
    return bubblewrap.arguments(writable, readable, box.masked, limits.memory_mb / 2, box.network, owner)


def _readable(box: Box) -> dict[Path, Path]:
    """What a locked-in command may only read: places inside to places on this machine."""
    readable = {box.layout().platform / name: PACKAGE / name for name in PLATFORM_FILES}
    if box.weights is not None:
        readable[bubblewrap.WEIGHTS] = box.weights
    if box.environment is not None and not box.install:
        readable[box.environment] = box.environment
    return readable


def _supervised(line: list[str], box: Box, limits: Limits, group: cgroups.Group | None, owner: int | None) -> list[str]:
    if os.name == "nt":
        return line
    bounds = {"RLIMIT_FSIZE": limits.file_mb * 2**20, "RLIMIT_CORE": 1, "RLIMIT_MSGQUEUE": 0}
    # One byte of a dump, and not none: with none the kernel still starts the machine's own collector of dumps, as root.
    bounds |= _process_backstop(limits, os.getuid() if owner is None else owner)
    if box.engine:
        bounds = {}  # the client of an engine is no submission
    specification = {
        "command": line,
        "folder": str(box.project),
        "parent": os.getpid(),
        "sandbox": "engine" if box.engine else "bubblewrap" if box.isolated else "",
        "groups": [str(folder) for folder in group.folders] if group else [],
        # Files in memory belong to no process and no folder: without a group, nothing would count them.
        "filter": base64.b64encode(seccomp.program(memfd=group is not None)).decode("ascii"),
        "rlimits": bounds,
        "user": None if box.isolated else owner,  # a sandbox is made as root, and becomes another by itself
    }
    return [sys.executable, "-I", str(Path(__file__).with_name("supervise.py")), json.dumps(specification)]


def _process_backstop(limits: Limits, owner: int) -> dict[str, int]:
    """A hard limit that keeps the machine alive under a fork bomb; it counts threads of a user, and never binds root.

    The exact limit on processes is held by `watch`, which counts ten times a second.
    """
    return {"RLIMIT_NPROC": threads_of_user(owner) + limits.tasks} if LINUX and owner != 0 else {}


def _own_group() -> dict[str, Any]:
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined, unused-ignore]
    return {"start_new_session": True}
