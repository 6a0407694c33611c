"""The command line that locks a process in with bubblewrap (https://github.com/containers/bubblewrap).

Inside there is a read-only system, the project, a private home and /tmp, and the platform's own files; no network
interface but loopback, no other process, no capability, and none of the user's files.
"""

from __future__ import annotations

import functools
import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

from flyai_local.errors import UserError
from protocol.language import tr

__all__ = [
    "HOME",
    "PLATFORM",
    "PROJECT",
    "WEIGHTS",
    "arguments",
    "interpreter",
    "program",
    "refuse_closed",
    "user_packages",
]

ROOT = Path("/flyai")
PROJECT = ROOT / "project"
HOME = ROOT / "home"
PLATFORM = ROOT / "platform"
WEIGHTS = ROOT / "weights"
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# What programs need of /etc: the loader's tables, time zone, fonts, certificates. Not the users and their passwords.
CONFIGURATION = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki",
    "/etc/ssl/certs",
)
NETWORK_CONFIGURATION = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/pip.conf", "/etc/resolv.conf")
FENCES = ("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try")
ISOLATION = ("--unshare-user", *FENCES)
LOCKED = ("--cap-drop", "ALL", "--hostname", "flyai", "--new-session")
IDENTITY = ("--uid", "1000", "--gid", "1000")
# Where root calls, it makes the sandbox with its own rights, in which no path is closed, and then gives all of them up.
BECOMING = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
BECOME = ("setpriv", "--clear-groups", "--inh-caps=-all", "--no-new-privs")  # of util-linux


@functools.cache
def program() -> str | None:
    """Path of a bubblewrap that works here, or None (absent, or user namespaces are forbidden)."""
    found = shutil.which("bwrap") if sys.platform.startswith("linux") else None
    return found if found and _works([found, *_fences(found), "--ro-bind", "/", "/", "--proc", "/proc"]) else None


def arguments(
    writable: dict[Path, Path],
    readable: dict[Path, Path],
    masked: tuple[Path, ...],
    shared_memory_mb: float,
    network: bool = False,
    owner: int | None = None,
) -> list[str]:
    """The bubblewrap command line, to be followed by the command to lock in.

    Args:
        writable: folders that the command may write to, place inside to place on this machine; in order.
        readable: files and folders that it may only read, in the same form.
        masked: folders that must look empty even where a bound folder holds them.
        shared_memory_mb: size of /dev/shm, which loader processes use.
        network: leave the network on (for an installation).
        owner: id that the command has, inside and outside, where root calls; None for a user of its own inside only.
    """
    found = program()
    if found is None:
        raise RuntimeError("bubblewrap does not work on this machine; ask program() first")
    line = [found, *(_fences(found) if owner is None else FENCES), "--die-with-parent", *LOCKED]
    line += IDENTITY if owner is None else BECOMING
    line += [] if network else ["--unshare-net"]
    line += [] if owner is None else _ways([*map(Path, CONFIGURATION), *interpreter(), *writable, *readable])
    # Without terminals: there are some thousands for the whole machine, and one process could hold them all.
    line += [*_system(network), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/pts"]
    line += ["--perms", "1777"] if owner is not None else []
    line += [*_sized(found, shared_memory_mb), "--tmpfs", "/dev/shm", *_graphics()]
    line += [word for inside, outside in writable.items() for word in ("--bind", str(outside), str(inside))]
    # After the private /tmp, which would hide an environment that lies in this machine's /tmp, and the ways to it.
    line += [] if owner is None else _ways([*interpreter(), *readable])
    line += [word for folder in interpreter() for word in ("--ro-bind", str(folder), str(folder))]
    for folder in masked:
        if _there(folder) and _inside_system(folder):
            line += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    line += [word for inside, outside in readable.items() for word in ("--ro-bind", str(outside), str(inside))]
    # /proc too: for a user who is root outside, /proc/sys would be writable inside.
    sealed = [word for folder in ("/proc", "/dev/pts", "/dev", "/") for word in ("--remount-ro", folder)]
    become = [] if owner is None else [*BECOME, f"--reuid={owner}", f"--regid={owner}"]
    return [*line, *sealed, "--chdir", str(PROJECT), "--", *become]


@functools.cache
def _fences(found: str) -> list[str]:
    """The namespaces to leave; with a recent bubblewrap, no new ones can be made inside either."""
    strict = [*ISOLATION, "--disable-userns"]
    return strict if _works([found, *strict, "--ro-bind", "/", "/", "--proc", "/proc"]) else list(ISOLATION)


@functools.cache
def _sized(found: str, size_mb: float) -> list[str]:
    """The option that bounds the next temporary file system; nothing where this bubblewrap does not know it yet."""
    option = ["--size", str(int(size_mb * 2**20))]
    return option if _works([found, *_fences(found), "--ro-bind", "/", "/", *option, "--tmpfs", "/tmp"]) else []


def _ways(places: list[Path]) -> list[str]:
    """Make the folders on the way to places such that everybody may enter them: made on the way, they are root's."""
    outer = {parent for place in places for parent in place.parents[:-1]}
    return [word for folder in sorted(outer) for word in ("--dir", str(folder))]


def _works(line: list[str]) -> bool:
    try:
        return subprocess.run([*line, "true"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _system(network: bool) -> list[str]:
    line = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM:
        folder = Path(name)
        if folder.is_symlink():
            line += ["--symlink", str(folder.readlink()), name]
        elif folder.is_dir():
            line += ["--ro-bind", name, name]
    for name in CONFIGURATION + (NETWORK_CONFIGURATION if network else ()):
        line += ["--ro-bind-try", name, name]
    return line


def interpreter() -> list[Path]:
    """Folders outside /usr that the interpreter and its packages live in."""
    folders = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]
    folders += [Path(folder) for folder in (*site.getsitepackages(), *user_packages())]
    kept: list[Path] = []
    for folder in sorted({folder.absolute() for folder in folders}, key=lambda folder: len(folder.parts)):
        if _there(folder) and not any(folder.is_relative_to(outer) for outer in [Path("/usr"), *kept]):
            kept.append(folder)
    return kept


def refuse_closed() -> None:
    """Nothing where this process can start its interpreter again: every phase of a run is a process of its own.

    Raises:
        UserError: it cannot, since it was started with other rights than it has now.
    """
    python = Path(sys.executable)
    closed = [str(place) for place in (python.resolve(), *map(Path, (sys.prefix, sys.base_prefix))) if not _open(place)]
    if closed:
        raise UserError(
            tr(
                "this user may not enter {folder}, where Python and its packages are: make them in a folder that he "
                "may read (python -m venv DIR), or open that one with chmod o+rX, and the folders above it",
                folder=closed[0],
            )
        )


def user_packages() -> list[str]:
    """The folder of packages that the user installed for himself, where this interpreter uses it."""
    folder = site.getusersitepackages() if site.ENABLE_USER_SITE else ""
    return [folder] if folder and _there(Path(folder)) else []


def _there(folder: Path) -> bool:
    """Whether a folder is there for this user: below a closed one it is not, and pathlib would raise."""
    return os.path.isdir(folder)  # noqa: PTH112


def _open(place: Path) -> bool:
    return os.access(place, os.R_OK | os.X_OK)


def _inside_system(folder: Path) -> bool:
    resolved = folder.resolve()
    return any(resolved.is_relative_to(outer.resolve()) for outer in [Path("/usr"), *map(Path, SYSTEM), *interpreter()])


def _graphics() -> list[str]:
    """NVIDIA's device files and the part of /sys by which its library finds them; nothing without such a GPU."""
    devices = sorted(Path("/dev").glob("nvidia*")) if os.path.exists("/dev/nvidiactl") else []  # noqa: PTH110
    line = [word for device in devices for word in ("--dev-bind", str(device), str(device))]
    return [*line, "--ro-bind-try", "/sys", "/sys"] if devices else []
