"""A filter of system calls as a program of the kernel's classic BPF: what no training needs is refused.

The kernel runs the program before every system call (https://docs.kernel.org/userspace-api/seccomp_filter.html).
bubblewrap takes it as a file (`--seccomp FD`), a plain process by `install`. Nobody can take a filter off again, and
every process of the tree carries it. The numbers are those of the kernel's tables for two architectures.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

__all__ = ["filters_of", "install", "program"]

# Each name with its number on x86_64 and on aarch64; None where it does not exist.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the kernel's keyrings, which outlive a process and belong to the user
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # other processes' memory and descriptors
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "move_pages": (279, 239),
    # wide interfaces, in which most of the kernel's holes of the last years were
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "io_setup": (206, 0), "fanotify_init": (300, 262),
    # new namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # memory that no process maps, and that stays when all have ended: System V and POSIX queues
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
    "memfd_secret": (447, 447),
    # the machine itself
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "syslog": (103, 116),
    "sched_setattr": (314, 274),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "vhangup": (153, 58),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "uselib": (134, None),
}  # fmt: skip
FCNTL, LEASE = (72, 25), 1024  # F_SETLEASE: who opens the file to write waits, and it may be the platform's
CLONE, CLONE3, SOCKET, IOCTL, PRCTL, MEMFD = (56, 220), (435, 435), (41, 198), (16, 29), (157, 167), (319, 279)
NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink: not vsock, which reaches the host of a virtual machine
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into somebody's terminal
MMAP, MAP_HUGETLB, MFD_HUGETLB = (9, 222), 0x40000, 4  # pages that the machine set apart, and no group of memory counts
SCHEDULER, PRIORITY = (144, 119), (141, 140)
REAL_TIME = (1, 2, 0x40000001, 0x40000002)  # SCHED_FIFO and SCHED_RR, also not to be inherited: they starve a machine
PR_SET_DUMPABLE = 4  # a process that is not dumpable hides what it uses
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
LOAD, EQUAL, ABOVE, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, EPERM, ENOMEM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x80000000, 0x50001, 0x5000C, 0x50026, 0x50061
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000  # the numbers of x86_64's second interface, which would go around the table
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2


def program(memfd: bool = True, machine: str | None = None) -> bytes:
    """The filter as the kernel reads it, eight bytes an instruction; empty on an architecture that has no table here.

    Args:
        memfd: allow files that exist in memory only; refuse them where nothing else bounds that memory.
    """
    machine = platform.machine() if machine is None else machine
    if not sys.platform.startswith("linux") or machine not in ARCHITECTURES:
        return b""
    column, architecture = ARCHITECTURES[machine]
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    lines += [(ABOVE, 0, 1, X32), (RETURN, 0, 0, ENOSYS)] if column == 0 else []
    refused = [numbers[column] for numbers in REFUSED.values()] + ([] if memfd else [MEMFD[column]])
    for number in refused:
        lines += [] if number is None else [(EQUAL, 0, 1, number), (RETURN, 0, 0, EPERM)]
    # With ENOSYS, the C library takes `clone`, whose flags can be looked at.
    lines += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ENOSYS)]
    lines += _judged(CLONE[column], 0, [(ANY_BIT, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, EPERM)])
    lines += _judged(IOCTL[column], 1, [line for value in TERMINAL_INPUT for line in _refused(value)])
    lines += _judged(FCNTL[column], 1, _refused(LEASE))
    lines += _judged(SCHEDULER[column], 1, [line for value in REAL_TIME for line in _refused(value)])
    lines += _judged(PRIORITY[column], 2, [(ABOVE, 0, 1, 0x7FFFFFFF), (RETURN, 0, 0, EPERM)])  # below 0: before others
    lines += _judged(MMAP[column], 3, [(ANY_BIT, 0, 1, MAP_HUGETLB), (RETURN, 0, 0, ENOMEM)])
    lines += _judged(MEMFD[column], 1, [(ANY_BIT, 0, 1, MFD_HUGETLB), (RETURN, 0, 0, ENOMEM)]) if memfd else []
    lines += _judged(PRCTL[column], 0, _refused(PR_SET_DUMPABLE))
    allowed = [line for family in FAMILIES for line in ((EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW))]
    lines += _judged(SOCKET[column], 0, [*allowed, (RETURN, 0, 0, EAFNOSUPPORT)])
    lines.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def install(code: bytes) -> None:
    """Put the filter on this process and all it will start; nothing happens without a program.

    Raises:
        OSError: the kernel refuses it.
    """
    if not code:
        return

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    control = ctypes.CDLL(None, use_errno=True).prctl
    wanted = Program(len(code) // 8, code)
    if control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or control(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(wanted), 0, 0):
        raise OSError(ctypes.get_errno(), "the filter of system calls was refused")


def filters_of(status: str) -> int:
    """How many filters a process carries, from the text of its /proc/PID/status; 0 where the kernel does not tell."""
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("Seccomp_filters:")), 0)


def _judged(number: int, argument: int, judge: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Instructions that look at one argument of one system call, whose own verdicts come first."""
    inner = [(LOAD, 0, 0, ARGUMENTS + 8 * argument), *judge, (RETURN, 0, 0, ALLOW)]
    return [(EQUAL, 0, len(inner), number), *inner]


def _refused(value: int) -> list[tuple[int, int, int, int]]:
    return [(EQUAL, 0, 1, value), (RETURN, 0, 0, EPERM)]
