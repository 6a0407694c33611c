"""Attacks through the kernel's own services: keyrings, queues, memory without a process, threads, daemons."""

from __future__ import annotations

import os
import platform
import signal
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lab import BOTH, NEEDS_BUBBLEWRAP, SMALL, alive, box, main, running

from flyai_local.box import cgroups, logs, reserve, seccomp, supervise
from flyai_local.box.processes import LINUX
from flyai_local.box.protections import protections
from flyai_local.states import Code

pytestmark = [
    pytest.mark.skipif(not LINUX, reason="these services are Linux's"),
    pytest.mark.skipif(platform.machine() not in seccomp.ARCHITECTURES, reason="no table of system calls"),
]
COLUMN = seccomp.ARCHITECTURES.get(platform.machine(), (0, 0))[0]
NEEDS_GROUPS = pytest.mark.skipif(cgroups.kind() is None, reason="this process may make no control groups")
# Every call is made with arguments that would work or fail harmlessly; 1 is EPERM, the filter's answer.
CALLS = """
import ctypes, errno, os, socket
kernel = ctypes.CDLL(None, use_errno=True)

def call(number, *given):
    result = kernel.syscall(number, *given)
    return errno.errorcode.get(ctypes.get_errno(), "?") if result == -1 else "PASSED"

for name, number in {numbers!r}.items():
    if number is not None:
        print(name, call(number, -1, -1, -1, -1, -1, -1))
print("clone of a user namespace", call({clone}, 0x10000000 | 17, 0, 0, 0, 0))
print("prctl dumpable", call({prctl}, 4, 0, 0, 0, 0))
print("lease on a file", call({fcntl}, os.open("main.py", os.O_RDONLY), 1024, 0))
print("typing into a terminal", call({ioctl}, 0, 0x5412, 0))
for policy in (1, 2, 0x40000001):
    try:
        os.sched_setscheduler(0, policy, os.sched_param(10))
        print("real time", policy, "PASSED")
    except OSError as error:
        print("real time", policy, errno.errorcode[error.errno])
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
print("before others", call({priority}, 0, 0, -5 & 0xFFFFFFFF))
print("behind others", call({priority}, 0, 0, 19))
print("huge pages", call({mmap}, 0, 2 << 20, 3, 0x40022 | 5 << 26, -1, 0))  # of a size that no machine has: else EINVAL
print("huge pages in a file", call({memfd}, b"huge", 4))
for family in (40, 38, 17, 21):
    try:
        socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_STREAM)
        print("family", family, "PASSED")
    except OSError as error:
        print("family", family, errno.errorcode[error.errno])
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    socket.socket(family).close()
if os.fork() == 0:
    os._exit(0)
print("fork", os.wait()[1])
"""


@pytest.mark.parametrize("isolated", BOTH)
def test_system_calls_that_no_training_needs_are_refused(tmp_path, isolated):
    numbers = {name: found[COLUMN] for name, found in seccomp.REFUSED.items()}
    text = CALLS.format(
        numbers=numbers,
        clone=seccomp.CLONE[COLUMN],
        prctl=seccomp.PRCTL[COLUMN],
        ioctl=seccomp.IOCTL[COLUMN],
        fcntl=seccomp.FCNTL[COLUMN],
        mmap=seccomp.MMAP[COLUMN],
        priority=seccomp.PRIORITY[COLUMN],
        memfd=seccomp.MEMFD[COLUMN],
    )
    outcome, log = main(box(tmp_path, {"main.py": text}, isolated))
    said = dict(line[9:].rsplit(" ", 1) for line in log.splitlines())
    assert outcome.returncode == 0, log
    assert {name: said[name] for name, number in numbers.items() if number is not None and said[name] != "EPERM"} == {}
    assert said["clone of a user namespace"] == said["prctl dumpable"] == said["typing into a terminal"] == "EPERM"
    assert said["lease on a file"] == "EPERM"
    assert {said[f"real time {policy}"] for policy in (1, 2, 0x40000001)} == {said["before others"]} == {"EPERM"}
    assert said["behind others"] == "PASSED"
    assert (said["huge pages"], said["huge pages in a file"] in ("ENOMEM", "EPERM")) == ("ENOMEM", True)
    assert {said[f"family {family}"] for family in (40, 38, 17, 21)} == {"EAFNOSUPPORT"}
    assert said["fork"] == "0"


CRASHES = """
import os, resource, signal
print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.mark.parametrize("isolated", BOTH)
def test_a_crash_starts_no_collector_of_dumps(tmp_path, isolated):
    """core(5): where the pattern is a pipe, a limit of 0 does not keep the kernel from starting its program as root."""
    outcome, log = main(box(tmp_path, {"main.py": CRASHES}, isolated))
    assert "(1, 1)" in log and outcome.returncode not in (0, None)
    assert not list((tmp_path / "project").glob("core*"))


def test_the_program_of_every_architecture_ends_and_jumps_within_itself():
    for machine in seccomp.ARCHITECTURES:
        code = seccomp.program(machine=machine)
        lines = [struct.unpack("=HBBI", code[at : at + 8]) for at in range(0, len(code), 8)]
        assert len(lines) < 4096 and lines[-1] == (seccomp.RETURN, 0, 0, seccomp.ALLOW)
        for at, (kind, yes, no, _) in enumerate(lines):
            if kind in (seccomp.EQUAL, seccomp.ABOVE, seccomp.ANY_BIT):
                assert at + 1 + max(yes, no) < len(lines)
    assert seccomp.program(machine="mips") == b""


DOORS = """
import glob, os
doors = [os.path.join(each, name) for each in glob.glob("/proc/[0-9]*") for name in ("root", "cwd")]
doors += glob.glob("/proc/self/fd/*") + [door + "/../../../.." for door in glob.glob("/proc/self/fd/*")]
for door in doors:
    try:
        print("READ", open(door + {secret!r}).read())
    except OSError:
        pass
for name in ("mem", "environ", "maps"):
    try:
        os.open(f"/proc/1/{{name}}", os.O_RDWR)
        print("OPENED", name)
    except OSError:
        pass
"""


@NEEDS_BUBBLEWRAP
def test_no_door_of_proc_leads_out(tmp_path):
    (tmp_path / "secret").write_text("zebra", encoding="utf-8")
    outcome, log = main(box(tmp_path, {"main.py": DOORS.format(secret=str(tmp_path / "secret"))}, isolated=True))
    assert outcome.returncode == 0 and "READ" not in log and "OPENED" not in log, log


RING = """
import ctypes, subprocess, sys
sys.path.insert(0, {root!r})
from flyai_local.box import supervise
kernel = ctypes.CDLL(None)
if len(sys.argv) == 1:
    kernel.syscall({number}, 1, None)       # a keyring of this session, which children inherit
    print(kernel.syscall({number}, 0, -3, 0), flush=True)
    for what in ("plain", "own"):
        subprocess.run([sys.executable, __file__, what], check=True)
else:
    supervise._own_keyring() if sys.argv[1] == "own" else None
    print(kernel.syscall({number}, 0, -3, 0), flush=True)
"""


def test_a_command_has_a_session_keyring_of_its_own(tmp_path):
    number, root = supervise.KEYCTL[platform.machine()], str(Path(supervise.__file__).parents[2])
    (tmp_path / "ring.py").write_text(RING.format(number=number, root=root), encoding="utf-8")
    words = [sys.executable, str(tmp_path / "ring.py")]
    session, inherited, own = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    if session == "-1":
        pytest.skip("this kernel has no keyrings")
    assert inherited == session != own


MEMORY = {
    "mapped": "held = [bytearray(b'x' * 2**20) for _ in range(300)]",
    "in /dev/shm": """
for at in range(300):
    open(f"/dev/shm/flyai-test-{os.getpid()}-{at}", "wb").write(b"x" * 2**20)""",
    "in files of memory": """
try:
    held = [os.memfd_create(str(at)) for at in range(300)]
except OSError as error:
    raise MemoryError(error)
for handle in held:
    os.write(handle, b"x" * 2**20)""",
    "in pipes": """
import fcntl
held = [os.pipe() for _ in range(400)]
for _, end in held:
    fcntl.fcntl(end, 1031, 2**20)
    os.write(end, b"x" * 2**20)""",
}


@pytest.mark.parametrize("way", list(MEMORY))
@pytest.mark.parametrize("isolated", [pytest.param(True, id="bubblewrap", marks=NEEDS_BUBBLEWRAP)])
def test_memory_is_held_wherever_it_lies(tmp_path, isolated, way):
    """Of 300 MB, against a limit of 96 MB, not all can be held for two minutes: it is refused, or the command ended."""
    text = f"import os, time\n{MEMORY[way]}\ntime.sleep(120)\nprint('HELD IT ALL')\n"
    outcome, log = main(box(tmp_path, {"main.py": text}, isolated), replace(SMALL, memory_mb=96))
    assert "HELD IT ALL" not in log
    assert outcome.returncode != 0


def test_files_in_the_machines_shared_memory_count_in_a_plain_process_too(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "made", lambda memory_mb, tasks: None)
    text = f"import os, time\n{MEMORY['in /dev/shm']}\ntime.sleep(120)\nprint('HELD IT ALL')\n"
    try:
        outcome, log = main(box(tmp_path, {"main.py": text}, isolated=False), replace(SMALL, memory_mb=96))
    finally:
        for file in Path("/dev/shm").glob("flyai-test-*"):
            file.unlink()
    assert outcome.ended_by is Code.OUT_OF_MEMORY and "HELD IT ALL" not in log


@NEEDS_GROUPS
@pytest.mark.parametrize("isolated", BOTH)
def test_memory_that_comes_faster_than_anybody_looks_is_held_by_the_kernel(tmp_path, monkeypatch, isolated):
    from flyai_local.box import watch

    monkeypatch.setattr(watch.Watch, "_memory_mb", lambda *given: 0.0)  # nobody looks
    text = "held = bytearray(b'x' * 2**29)\nprint('HELD IT ALL')"
    outcome, log = main(box(tmp_path, {"main.py": text}, isolated), replace(SMALL, memory_mb=128))
    assert outcome.ended_by is Code.OUT_OF_MEMORY and "HELD IT ALL" not in log


TABLES = """
import mmap, time
place = mmap.mmap(-1, 2**38, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ)
for at in range(0, 2**38, 2**21):    # a read takes a page of the kernel's tables, and none of its own
    place[at]
time.sleep(120)
print('HELD IT ALL')
"""


@pytest.mark.parametrize("isolated", BOTH)
def test_the_tables_that_map_memory_count_as_memory(tmp_path, monkeypatch, isolated):
    monkeypatch.setattr(cgroups, "made", lambda memory_mb, tasks: None)
    outcome, log = main(box(tmp_path, {"main.py": TABLES}, isolated), replace(SMALL, memory_mb=128))
    assert outcome.ended_by is Code.OUT_OF_MEMORY and "HELD IT ALL" not in log


@pytest.mark.parametrize(("what", "code"), [(0, Code.OUT_OF_MEMORY), (1, Code.DISK_LIMIT)], ids=["memory", "disk"])
def test_the_last_of_the_machine_is_nobodys(tmp_path, monkeypatch, what, code):
    """What no process and no folder shows, buffers of sockets for instance, shows in what is left of the machine."""
    monkeypatch.setattr(cgroups, "made", lambda memory_mb, tasks: None)
    full = [(1000.0, 1000.0), (1000.0, 1000.0)]
    monkeypatch.setattr(reserve, "left_mb", lambda folder: tuple(full))
    chamber = box(tmp_path, {"main.py": "import time\nprint('begun')\ntime.sleep(120)"}, isolated=False)

    def cleaned(line, before=logs.cleaned):
        full[what] = (49.0, 1000.0)
        return before(line)

    monkeypatch.setattr(logs, "cleaned", cleaned)
    outcome, log = main(chamber)
    assert outcome.ended_by is code and "begun" in log


def test_a_machine_that_is_nearly_full_already_ends_no_run(tmp_path, monkeypatch):
    free = {"left": 10.0}
    monkeypatch.setattr(reserve, "left_mb", lambda folder: ((free["left"], 1000.0), (free["left"], 1000.0)))
    seen = reserve.Reserve(tmp_path)
    assert seen.passed() is None
    free["left"] = 4.0
    assert seen.passed() is Code.OUT_OF_MEMORY


@pytest.mark.skipif(not LINUX, reason="/proc tells")
def test_what_is_left_of_the_machine_is_what_it_says(tmp_path):
    (free, whole), (room, disk) = reserve.left_mb(tmp_path)
    assert 0 < free <= whole and 0 < room <= disk
    assert abs(whole - os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20) < 1


@NEEDS_BUBBLEWRAP
def test_the_machines_terminals_cannot_be_used_up(tmp_path):
    text = "import os\ntry:\n    os.openpty()\nexcept OSError as error:\n    print(error)\nopen('/dev/null', 'w')\n"
    text += "try:\n    open('/dev/pts/x', 'w')\nexcept OSError as error:\n    print('WRITING', error)\n"
    outcome, log = main(box(tmp_path, {"main.py": text}, isolated=True))
    assert outcome.returncode == 0 and "Errno 2" in log and "Read-only file system" in log, log


THREADS = """
import threading, time
started = 0
try:
    for _ in range(400):
        threading.Thread(target=time.sleep, args=(120,), daemon=True).start()
        started += 1
except RuntimeError as error:
    print("stopped:", error)
print("threads", started)
if started == 400:
    time.sleep(120)
"""


@pytest.mark.parametrize("groups", [pytest.param(True, marks=NEEDS_GROUPS), False], ids=["groups", "looking"])
def test_threads_are_bounded_for_root_too(tmp_path, monkeypatch, groups):
    if not groups:
        monkeypatch.setattr(cgroups, "made", lambda memory_mb, tasks: None)
    outcome, log = main(box(tmp_path, {"main.py": THREADS}, isolated=False), replace(SMALL, processes=10))
    assert outcome.ended_by is Code.PROCESS_LIMIT or "stopped: can't start new thread" in log
    assert "threads 400" not in log or outcome.ended_by is Code.PROCESS_LIMIT


KILL_KEEPER = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    open("pid", "w").write(str(os.getpid()))
    os.closerange(0, 3)
    os.execve(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(60)"], {})
while not (os.path.exists("pid") and open("pid").read()):
    time.sleep(0.01)
time.sleep(0.3)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(0.5)
"""


@pytest.mark.parametrize("groups", [pytest.param(True, marks=NEEDS_GROUPS), False], ids=["groups", "none"])
def test_a_daemon_without_environment_does_not_outlive_its_killed_keeper(tmp_path, monkeypatch, groups):
    if not groups:
        monkeypatch.setattr(cgroups, "made", lambda memory_mb, tasks: None)
    chamber = box(tmp_path, {"main.py": KILL_KEEPER}, isolated=False)
    outcome, _ = main(chamber)
    pid = int((chamber.project / "pid").read_text())
    assert outcome.returncode == -signal.SIGKILL
    assert alive(chamber) == [] and not running(Path(f"/proc/{pid}"))


@NEEDS_GROUPS
def test_a_group_is_gone_after_its_command(tmp_path):
    main(box(tmp_path, {"main.py": "pass"}, isolated=False))
    mine = f"{cgroups.PREFIX}{os.getpid()}-*"  # other tests have groups of their own at the same time
    assert not [folder for parent, _ in cgroups._parents(cgroups.kind()) for folder in parent.glob(mine)]


@NEEDS_GROUPS
def test_another_platform_that_starts_leaves_a_group_that_was_just_made(tmp_path):
    """Two platforms on one machine: the second looked for remnants while the first one's command had not joined yet."""
    group = cgroups.made(100, 40)
    try:
        look = "from flyai_local.box import cgroups; print(cgroups.kind())"
        subprocess.run([sys.executable, "-c", look], cwd=Path(__file__).parents[3], check=True, capture_output=True)
        assert group.folders and all(folder.is_dir() for folder in group.folders)
    finally:
        group.end()


def test_only_what_a_dead_platform_left_is_a_remnant(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    folders = {
        name: tmp_path / f"flyai-{pid}-{name}"
        for name, pid in (("left", dead.pid), ("new", dead.pid), ("mine", os.getpid()))
    }
    for folder in folders.values():
        folder.mkdir()
    for name in ("left", "mine"):
        os.utime(folders[name], (0, 0))
    assert {name for name, folder in folders.items() if cgroups._left_behind(folder)} == {"left"}
    folders["new"].rmdir()
    assert not cgroups._left_behind(folders["new"])


def test_version_2_is_used_where_it_is_delegated(tmp_path, monkeypatch):
    """A stand-in of the kernel's files: which are written, and with what."""
    own = tmp_path / "top" / "user.slice" / "mine"
    own.mkdir(parents=True)
    (own / "cgroup.controllers").write_text("cpu memory pids\n")
    (own / "cgroup.subtree_control").write_text("")
    (tmp_path / "mounts").write_text(f"30 29 0:26 / {tmp_path / 'top'} rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n")
    (tmp_path / "own").write_text("0::/user.slice/mine\n")
    monkeypatch.setattr(cgroups, "MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
    monkeypatch.setattr(cgroups, "kind", lambda: "v2")
    group = cgroups.made(100, 40)
    assert group is not None
    folder = group.folders[0]
    assert folder.parent == own and (own / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (folder / "memory.max").read_text() == str((100 + cgroups.SLACK_MB) * 2**20)
    assert (folder / "memory.swap.max").read_text() == "0" and (folder / "pids.max").read_text() == "40"
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 1\n")
    assert group.out_of_memory()


def test_a_run_says_what_holds_it(tmp_path, monkeypatch):
    chamber = box(tmp_path, {}, isolated=False)
    monkeypatch.setattr(cgroups, "kind", lambda: None)
    assert any("no control groups here" in sentence for sentence in protections(chamber))
    monkeypatch.setattr(cgroups, "kind", lambda: "v2")
    assert any("control groups, version 2" in sentence for sentence in protections(chamber))
    assert any("system calls filtered" in sentence for sentence in protections(chamber))
