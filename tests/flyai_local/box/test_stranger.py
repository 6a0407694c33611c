"""As root, a submission belongs to nobody outside, whose rights are all that a hole in the sandbox would give."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import ROOT
from lab import NEEDS_BUBBLEWRAP, SMALL, box, main

from flyai_local.box import bubblewrap, space, stranger
from flyai_local.box.isolate import owner_of
from flyai_local.box.protections import protections

NEEDS_ROOT = pytest.mark.skipif(not space.works(), reason="not root, or nothing may be mounted")
WHO = """
import os, time
print("inside", os.getuid(), os.getgid(), os.getgroups())
open("mine", "w").close()
try:
    print("READ", open("/etc/shadow").read()[:0])
except OSError as error:
    print(type(error).__name__)
for number in ({parent}, 1):
    try:
        os.kill(number, 0)
        print("MAY SIGNAL", number)
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.fixture
def place(tmp_path):
    with space.own(tmp_path / space.IMAGE, 100, 1000) as found:
        yield found


@NEEDS_ROOT
@NEEDS_BUBBLEWRAP
def test_the_processes_of_a_submission_are_nobodys_outside(place):
    chamber = replace(box(place, {"main.py": WHO.format(parent=os.getpid())}, isolated=True), space=place)
    outcome, log = main(chamber)
    assert outcome.returncode == 0 and "READ" not in log and "MAY" not in log, log
    status = (chamber.project / "mine").stat()
    assert status.st_uid == status.st_gid == stranger.FIRST + os.getpid() % 2**16
    assert f"inside {status.st_uid} {status.st_uid} []" in log
    assert any(f"the user {status.st_uid} outside" in sentence for sentence in protections(chamber))


PLAIN = """
import os, subprocess, sys
from flyai_local.box import supervise
read = "import os; print(os.getresuid(), os.getresgid(), os.getgroups()); open('/etc/shadow')"
limits = {"user": 65534}
done = subprocess.run(["python3", "-c", read], preexec_fn=lambda: supervise._enclosed(b"", limits), capture_output=True,
                      text=True, env={"PATH": "/usr/bin"}, cwd="/")
print(done.stdout, "PermissionError" in done.stderr)
"""


@NEEDS_ROOT
def test_a_plain_process_gives_up_roots_rights_before_it_begins():
    words = [sys.executable, "-c", PLAIN]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said == "(65534, 65534, 65534) (65534, 65534, 65534) []\n True\n"


@NEEDS_ROOT
@NEEDS_BUBBLEWRAP
def test_its_own_limit_of_processes_binds_it_though_the_platform_is_root(place, monkeypatch):
    from flyai_local.box import cgroups, watch

    monkeypatch.setattr(cgroups, "made", lambda memory_mb, tasks: None)
    monkeypatch.setattr(watch, "POLL_SECONDS", 4.0)
    text = "import os, time\nfor _ in range(500):\n    if not os.fork():\n        time.sleep(9)\n        os._exit(0)\n"
    chamber = replace(box(place, {"main.py": text}, isolated=True), space=place)
    _, log = main(chamber, replace(SMALL, processes=10))
    assert "BlockingIOError" in log, log


@NEEDS_ROOT
@NEEDS_BUBBLEWRAP
def test_what_others_may_not_read_keeps_the_platforms_own_id(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o700)
    chamber = box(tmp_path, {"main.py": "pass"}, isolated=True)
    assert owner_of(chamber) is not None
    closed = replace(chamber, weights=tmp_path / "locked")
    assert owner_of(closed) is None
    assert any("root's outside" in sentence for sentence in protections(closed))


@NEEDS_ROOT
@NEEDS_BUBBLEWRAP
def test_standard_output_may_be_opened_by_its_name(place):
    text = "open('/dev/stdout', 'w').write('by name')\nimport mmap, tempfile\ntempfile.TemporaryFile(dir='/dev/shm')\n"
    outcome, log = main(replace(box(place, {"main.py": text}, isolated=True), space=place))
    assert outcome.returncode == 0 and "by name" in log, log


@NEEDS_ROOT
@NEEDS_BUBBLEWRAP
def test_an_interpreter_that_lies_below_tmp_is_reached(place, tmp_path, monkeypatch):
    """The private /tmp hides the ways that were made before it; those made with a bind are open to root alone."""
    usual, own = bubblewrap.interpreter(), tmp_path / "an environment" / "of one's own"
    own.mkdir(parents=True)
    (own / "word").write_text("REACHED")
    monkeypatch.setattr(bubblewrap, "interpreter", lambda: [*usual, own])
    chamber = box(place, {"main.py": f"print(open({str(own / 'word')!r}).read())"}, isolated=True)
    outcome, log = main(replace(chamber, space=place))
    assert outcome.returncode == 0 and "REACHED" in log, log


CLOSED = """
import os, sys
from flyai_local import __main__
from flyai_local.box import bubblewrap
from flyai_local.commands import check
sys.prefix = sys.argv[1]
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)
assert not any(str(folder).startswith(sys.prefix) for folder in bubblewrap.interpreter())
sys.exit(__main__._run(check, check.argparse.Namespace(submission=check.Path("."), weights=None)))
"""


@pytest.mark.skipif(os.name == "nt", reason="written for POSIX systems")
def test_an_environment_that_the_user_may_not_enter_is_a_sentence_with_a_remedy(tmp_path):
    """A process that began as root and gave that up has its interpreter open, and can start it no second time."""
    inner = tmp_path / "closed" / "env"
    inner.mkdir(parents=True)
    inner.parent.chmod(0)
    try:
        words = [sys.executable, "-c", CLOSED, str(inner)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        inner.parent.chmod(0o700)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "may not enter" in done.stderr and "python -m venv DIR" in done.stderr
