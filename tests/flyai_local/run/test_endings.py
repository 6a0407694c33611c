"""However a run is ended, and wherever it stands: what stays on disk, what the board says, what the next start does.

The full square of six endings and six states runs with FLYAI_ALL_ENDINGS=1; each ending and each state runs always.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from lab import prediction

from flyai_local.board import records
from flyai_local.box import space
from flyai_local.contest.register import add
from flyai_local.home import runs_folder
from flyai_local.run.leftovers import finish_killed
from flyai_local.states import Code, State

pytestmark = pytest.mark.skipif(os.name == "nt", reason="written for POSIX systems")
# Where a run stands: what is called there. The second two are at work when the end comes.
STATES = {
    "unpacking": ("runner", "unpack"),
    "looking": ("runner", "read"),
    "training": ("isolate", "start"),
    "evaluating": ("isolate", "start"),
    "scoring": ("runner", "score"),
    "recording": ("records.Records", "finish"),
}
ENDINGS = ("SIGHUP", "SIGTERM", "SIGINT", "SIGKILL", "closed", "full")
HARNESS = """
import errno, os, signal, sqlite3, sys, time
from pathlib import Path
from flyai_local.__main__ import main
from flyai_local.board import records
from flyai_local.box import isolate
from flyai_local.run import examine, runner
folder, state, owner, name, ending = sys.argv[1:]
place = {"runner": runner, "isolate": isolate, "records.Records": records.Records}[owner]
original, calls = getattr(place, name), []

def end():
    if ending.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, ending))
    elif ending == "closed":
        os.close(1)
        os.close(2)
    elif state == "recording":
        raise sqlite3.OperationalError("database or disk is full")
    else:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

def instead(*given, **named):
    calls.append(1)
    if owner != "isolate":
        end()
        return original(*given, **named)
    begun = original(*given, **named)
    if len(calls) == (2 if state == "evaluating" else 1):
        time.sleep(0.3)
        try:
            end()
        except BaseException:
            begun.stop()
            raise
    return begun

setattr(place, name, instead)
if owner == "isolate":
    examine.start = instead
sys.exit(main(["train", "--submission", folder, "--competition", "Tiny", "--quiet"]))
"""
EXITS = {"SIGHUP": 129, "SIGTERM": 143, "SIGINT": 130, "SIGKILL": -signal.SIGKILL}


def cases() -> list[tuple[str, str]]:
    every = [(state, ending) for state in STATES for ending in ENDINGS]
    if os.environ.get("FLYAI_ALL_ENDINGS"):
        return every
    return [(state, ENDINGS[(at + more) % 6]) for at, state in enumerate(STATES) for more in (0, 3)]


@pytest.mark.parametrize(("state", "ending"), cases())
def test_whatever_ends_a_run_wherever_it_stands(competition, tmp_path, state, ending):
    tiny = add("Tiny", competition / "train.csv", competition, hidden=1 / 3)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "main.py").write_text("import time; time.sleep(0.5); open('model', 'w').close()", encoding="utf-8")
    (folder / "prediction.py").write_text(prediction(load="import time; time.sleep(0.5)"), encoding="utf-8")
    words = [sys.executable, "-c", HARNESS, str(folder), state, *STATES[state], ending]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    scored = ending == "closed"  # a reader that goes ends nothing
    last = ended(done.returncode, state, ending)
    assert (last.state is State.SCORED) == scored == (last.score is not None), last
    assert last.counts == scored
    finish_killed(runs_folder())  # as the next start does
    assert str(space.PLACE) not in Path("/proc/self/mounts").read_text() or sys.platform != "linux"
    left = sorted(path.name for path in (runs_folder() / str(last.id)).iterdir())
    assert not {"private", "trained", ".trained", space.IMAGE, "owner.json", "environment"} & set(left), left
    assert not [path for path in runs_folder().rglob("*.png") if "input" in path.parts]
    assert scored or not list(runs_folder().glob(".packing-*"))
    assert tiny.hidden.exists()


def ended(exit_code: int, state: str, ending: str) -> records.Run:
    """The run as the board has it when the next command looks, after its exit code was as it should be."""
    last = records.open().runs()[-1]
    if ending == "closed":
        assert exit_code == 0
    elif ending == "full":
        assert exit_code in (1, 3)
        assert last.code is (Code.ABANDONED if state == "recording" else Code.PLATFORM_FAULT), last
    else:
        assert exit_code == EXITS[ending]
        late = state == "recording" and ending == "SIGKILL"
        assert last.code is (Code.ABANDONED if late or ending == "SIGKILL" else Code.INTERRUPTED), last
    return last
