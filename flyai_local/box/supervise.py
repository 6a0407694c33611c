"""Keeper of one submission process: `python -I supervise.py SPEC`, with SPEC as JSON (POSIX only).

It sets the resource limits, starts the command, adopts every orphan below it (Linux), and ends them all when the
command has ended, when it is told to stop (SIGTERM), or when the platform's process is gone. So a daemon that a
submission leaves behind, and the submission of a killed platform, never outlive the run.

Its exit code is the command's, or 128 plus the signal that ended the command.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flyai_local.box.processes import LINUX, end

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the command of the specification and leave nothing of it behind; returns the exit code."""
    specification = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, _stop)
    if LINUX:
        _bind_to_parent(specification["parent"])
    for name, value in specification["rlimits"].items():
        _limit(getattr(resource, name), int(value))
    child = subprocess.Popen(specification["command"], cwd=specification["folder"])
    status = _wait(child.pid)
    end(os.getpid())
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _bind_to_parent(parent: int) -> None:
    control = ctypes.CDLL(None, use_errno=True).prctl
    control(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    control(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the wish was made
        sys.exit(1)


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
