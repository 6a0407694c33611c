"""Attacks that write more than they may, where nobody counts; held by a file system of the run's own, or by looking."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from lab import BOTH, SMALL, box, main

from flyai_local.box import space
from flyai_local.box.isolate import Box
from flyai_local.box.processes import LINUX
from flyai_local.box.protections import protections
from flyai_local.states import Code

pytestmark = pytest.mark.skipif(not LINUX, reason="written for Linux")
NEEDS_SPACE = pytest.mark.skipif(not space.works(), reason="this process may mount no file system")
BOUNDS = replace(SMALL, disk_mb=8, files=1000)
HIDE = {
    "below a path beyond every length": """
handle = os.open(".", os.O_RDONLY)
for _ in range(60):
    os.mkdir("n" * 200, dir_fd=handle)
    handle = os.open("n" * 200, os.O_RDONLY, dir_fd=handle)
file = os.open("junk", os.O_WRONLY | os.O_CREAT, dir_fd=handle)
assert os.write(file, b"x" * 2**25) == 2**25""",
    "in a folder that cannot be listed": """
os.mkdir("locked")
open("locked/junk", "wb").write(b"x" * 2**25)
os.chmod("locked", 0o300)""",
    "in countless empty files": """
for at in range(3000):
    open(f"f{at}", "w").close()""",
}
# Only a file system of its own can hold these: no folder and no process has them when somebody looks.
FLEETING = {
    "in deleted files on their way between two sockets": """
import socket
pairs = [socket.socketpair() for _ in range(32)]
for at in range(32):
    handle = os.open("x", os.O_RDWR | os.O_CREAT)
    os.unlink("x")
    os.write(handle, b"x" * 2**20)
    socket.send_fds(pairs[at][0], [b"x"], [handle])
    os.close(handle)""",
    "in deleted files that are mapped and not open": """
import ctypes                        # Python's own mmap keeps the file open
place = ctypes.CDLL(None).mmap
place.restype = ctypes.c_void_p
for at in range(32):
    handle = os.open("x", os.O_RDWR | os.O_CREAT)
    os.unlink("x")
    assert os.write(handle, b"x" * 2**20) == 2**20
    assert place(None, ctypes.c_size_t(4096), 1, 1, handle, ctypes.c_long(0))
    os.close(handle)""",
    "in the lengths of folders": """
os.mkdir("wide")
for at in range(32000):
    os.link(__file__, f"wide/{at:0>250}")""",
}


@pytest.fixture
def chamber(tmp_path, request):
    """A box in a file system of its own, locked in or not."""
    with space.own(tmp_path / space.IMAGE, 200, 2000) as place:
        yield lambda text, isolated: replace(box(place, {"main.py": text}, isolated), space=place)


@pytest.mark.parametrize("way", list(HIDE))
def test_what_is_written_counts_wherever_it_hides(tmp_path, way):
    text = f"import os, time\n{HIDE[way]}\ntime.sleep(120)\n"
    outcome, _ = main(box(tmp_path, {"main.py": text}, isolated=False), BOUNDS)
    assert outcome.ended_by is Code.DISK_LIMIT


@NEEDS_SPACE
@pytest.mark.parametrize("way", [*HIDE, *FLEETING])
@pytest.mark.parametrize("isolated", BOTH)
def test_a_file_system_of_its_own_holds_it_at_once(chamber, isolated, way):
    text = f"import os, time\n{(HIDE | FLEETING)[way]}\nprint('HELD IT ALL')\ntime.sleep(120)\n"
    outcome, log = main(chamber(text, isolated), BOUNDS)
    assert outcome.ended_by is Code.DISK_LIMIT or "No space left" in log, log
    if way != "in countless empty files":  # those are counted, and bounded at twice as many
        assert "HELD IT ALL" not in log


@NEEDS_SPACE
def test_more_files_than_the_file_system_has_are_refused(chamber):
    text = "for at in range(50000):\n    open(f'f{at}', 'w').close()\n"
    outcome, log = main(chamber(text, isolated=False), replace(BOUNDS, files=10**6))  # so nobody counts them
    assert outcome.returncode == 1 and "No space left" in log


@NEEDS_SPACE
def test_each_phase_may_write_as_much_as_its_own_limit_says(chamber):
    text = "import os\nopen(os.urandom(4).hex(), 'wb').write(b'x' * 6 * 2**20)\n"
    place = chamber(text, isolated=False)
    for _ in range(3):  # what lies there already does not count
        outcome, log = main(place, BOUNDS)
        assert outcome.returncode == 0 and outcome.ended_by is None and 5.9 < outcome.disk_mb < 6.5, log
        assert os.statvfs(place.space).f_bavail * 4096 > 100 * 2**20  # else the hidden pictures might not fit


KILLED = """
import os, signal, sys
from pathlib import Path
from flyai_local.box import space
with space.own(Path(sys.argv[1]), 64, 100) as place:
    (place / "x").write_text("x")
    print(place in [Path(line.split()[1]) for line in open("/proc/self/mounts")], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@NEEDS_SPACE
def test_nothing_stays_mounted_after_kill_9_and_nobody_else_sees_it(tmp_path):
    image = tmp_path / space.IMAGE
    done = subprocess.run([sys.executable, "-c", KILLED, image], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-9, "True\n"), done.stderr
    assert str(space.PLACE) not in Path("/proc/mounts").read_text() and image.exists()
    assert list(space.PLACE.iterdir()) == []


def test_a_run_says_who_holds_what_it_writes(tmp_path):
    chamber = Box(tmp_path / "project", tmp_path / "private", isolated=False)
    assert any("looked at once a second" in sentence for sentence in protections(chamber))
    assert any("a file system of the run's own" in each for each in protections(replace(chamber, space=tmp_path)))


def test_where_nothing_can_be_mounted_there_is_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr(space, "works", lambda: True)

    def refused(*words):
        raise OSError(1, "not permitted")

    monkeypatch.setattr(space, "_mounted", refused)
    with space.own(tmp_path / space.IMAGE, 8, 8) as place:
        assert place is None
    assert not any(tmp_path.iterdir())
