"""The command lines of podman and docker that lock a command in as bubblewrap does, in an image that holds its Python.

    python -m flyai_local train --engine podman --image my-contest:1

Written against the engines' documented options; nothing of an engine's library is used. Where the runtime `runsc`
(gVisor) is known to the engine, it is taken: the submission then talks to a kernel of its own.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from flyai_local.box.limits import Limits

__all__ = ["ENGINES", "arguments", "client_environment", "program", "removed"]

ENGINES = ("podman", "docker")
STRONGER_RUNTIME = "runsc"
ANSWER_SECONDS = 20
# What the engine's own client needs; nothing of it goes into the container.
CLIENT = ("PATH", "HOME", "USER", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "CONTAINER_HOST")


@functools.cache
def program(engine: str) -> str | None:
    """Path of an engine whose daemon or storage answers here, or None."""
    found = shutil.which(engine)
    return found if found and _answer(found, "info") is not None else None


def arguments(
    engine: str,
    image: str,
    name: str,
    writable: dict[Path, Path],
    readable: dict[Path, Path],
    given: dict[str, str],
    limits: Limits,
    network: bool = False,
) -> list[str]:
    """The engine's command line, to be followed by the command to lock in.

    Args:
        engine: path or name of podman or docker.
        image: holds the Python and the packages of the submissions.
        name: of the container, by which it can be ended.
        writable, readable: places inside to places on this machine.
        given: the environment of the command.
        limits: memory, processes and the size of files are held by the container's own control group and limits.
        network: leave the network on.
    """
    memory, user = f"{int(limits.memory_mb)}m", f"{os.getuid()}:{os.getgid()}"
    line = [engine, "run", "--rm", "--interactive", f"--name={name}", "--hostname=flyai", "--pull=never"]
    line += ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={user}"]
    line += ["--userns=keep-id"] if Path(engine).name == "podman" and os.getuid() else []
    line += [] if network else ["--network=none"]
    line += [f"--memory={memory}", f"--memory-swap={memory}", f"--pids-limit={limits.tasks}"]
    line += [f"--ulimit=fsize={limits.file_mb * 2**20}", "--ulimit=core=0", "--ulimit=nofile=1024:1024"]
    line += _own_tasks()
    line += [f"--shm-size={int(limits.memory_mb / 2)}m", f"--tmpfs=/run:size={int(min(limits.disk_mb, 64))}m"]
    line += [f"--runtime={STRONGER_RUNTIME}"] if _knows_stronger(engine) else []
    line += [f"--volume={outside}:{inside}:rw" for inside, outside in writable.items()]
    line += [f"--volume={outside}:{inside}:ro" for inside, outside in readable.items()]
    line += [f"--env={key}={value}" for key, value in given.items()]
    return [*line, f"--workdir={next(inside for inside in writable)}", image]


def client_environment() -> dict[str, str]:
    """The environment of the engine's client."""
    return {name: os.environ[name] for name in CLIENT if name in os.environ}


def removed(engine: str, name: str) -> None:
    """End a container with all its processes, wherever it runs: its client's end alone does not."""
    _answer(engine, "rm", "--force", name)


def _own_tasks() -> list[str]:
    """The option that keeps an engine from asking for more processes of a user than this process may give."""
    if os.name == "nt":
        return []
    import resource

    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    asked = min(most, 16384)  # the engine asks for more than some machines give its own helper
    return [] if most == resource.RLIM_INFINITY else [f"--ulimit=nproc={asked}:{asked}"]


@functools.cache
def _knows_stronger(engine: str) -> bool:
    if Path(engine).name == "podman":
        return shutil.which(STRONGER_RUNTIME) is not None
    return STRONGER_RUNTIME in (_answer(engine, "info", "--format={{json .Runtimes}}") or "")


def _answer(engine: str, *words: str) -> str | None:
    try:
        found = subprocess.run(
            [engine, *words], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False,
            env=client_environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout if found.returncode == 0 else None
