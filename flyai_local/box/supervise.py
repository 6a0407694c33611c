"""Keeper of one submission process: `python -I supervise.py SPEC`, with SPEC as JSON (POSIX only).

It joins the command's control groups, takes a session keyring of its own, sets the resource limits, starts the command
under its filter of system calls, adopts every orphan below it (Linux), and ends them all when the
command has ended, when it is told to stop (SIGTERM), or when the platform's process is gone. So a daemon that a
submission leaves behind, and the submission of a killed platform, never outlive the run.

Its exit code is the command's, or 128 plus the signal that ended the command.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import platform
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flyai_local.box import seccomp
from flyai_local.box.processes import LINUX, become_reaper, end

PR_SET_PDEATHSIG = 1  # linux/prctl.h
KEYCTL = {"x86_64": 250, "aarch64": 219}
KEYCTL_JOIN_SESSION_KEYRING = 1
LIKELY_VICTIM = "500"  # where memory ends, the kernel takes the submission before its keeper and the platform


def main() -> int:
    """Run the command of the specification and leave nothing of it behind; returns the exit code."""
    specification = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, _stop)
    if LINUX:
        _bind_to_parent(specification["parent"])
        _own_keyring()
    for folder in specification["groups"]:
        Path(folder, "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    for name, value in specification["rlimits"].items():
        if hasattr(resource, name):
            _limit(getattr(resource, name), int(value))
    child = _started(specification)
    status = _wait(child.pid)
    end(os.getpid())
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _bind_to_parent(parent: int) -> None:
    control = ctypes.CDLL(None, use_errno=True).prctl
    become_reaper()
    control(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the wish was made
        sys.exit(1)


def _own_keyring() -> None:
    """Leave the keyring of the platform's session: what is put there would wait for the next run."""
    if platform.machine() in KEYCTL:
        ctypes.CDLL(None).syscall(KEYCTL[platform.machine()], KEYCTL_JOIN_SESSION_KEYRING, None)


def _started(specification: dict[str, Any]) -> subprocess.Popen[bytes]:
    """The command under its filter, which a sandbox puts on itself when its own preparations are done."""
    command, code = specification["command"], base64.b64decode(specification["filter"])
    if specification["sandbox"] == "engine":
        return subprocess.Popen(command, cwd=specification["folder"])
    if not specification["sandbox"]:
        return subprocess.Popen(command, cwd=specification["folder"], preexec_fn=lambda: _enclosed(code, specification))
    reading, writing = os.pipe()
    os.write(writing, code)
    os.close(writing)
    words = ["--seccomp", str(reading)] if code else []
    return subprocess.Popen([command[0], *words, *command[1:]], cwd=specification["folder"], pass_fds=[reading],
                            preexec_fn=lambda: _enclosed(b"", specification))  # fmt: skip


def _enclosed(code: bytes, specification: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(LIKELY_VICTIM, encoding="ascii")
    if specification["user"] is not None:
        _become(specification["user"])
    seccomp.install(code)


def _become(user: int) -> None:
    """Give up root's rights for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _wait(child: int) -> int:
    """Wait for `child`, burying adopted orphans meanwhile; returns its wait status."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _stop(*_: object) -> None:
    end(os.getpid())
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
