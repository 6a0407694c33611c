"""The bytes of a picture, whatever lies under its name: only a regular file of bounded size that does not change.

A data set is other people's files. A pipe named like a picture would be waited for without end, a device read without
end, a sparse file of 3 GB brought into memory whole; a file that is still being copied would be a picture now and
another one in the next epoch.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from protocol.language import later, tr
from recipe.pictures.errors import UnreadablePicture

MAX_BYTES = 2**29  # 537 million: four for each of the pixels that recipe/pictures/decode.py accepts
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_FILE = later("no regular file")
_KINDS = {
    stat.S_IFDIR: later("a folder"),
    stat.S_IFIFO: later("a pipe"),
    stat.S_IFSOCK: later("a socket"),
    stat.S_IFCHR: later("a device"),
    stat.S_IFBLK: later("a device"),
}


def picture_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole content of a regular file of at most MAX_BYTES; links are followed.

    Read by Python and not by OpenCV: cv2.imread cannot open a non-ASCII path on Windows (opencv issue 18305).

    Raises:
        FileNotFoundError: there is no such file.
        UnreadablePicture: it is no regular file, too large, not permitted, or changed while it was read.
    """
    name = os.fspath(path)
    try:
        _refuse(name, os.stat(path))  # noqa: PTH116  (before it is opened: opening alone can act on a device)
        descriptor = os.open(path, _FLAGS)
        with open(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            _refuse(name, before)
            content = file.read(before.st_size + 1) or b""
            after = os.fstat(descriptor)
    except FileNotFoundError:
        raise FileNotFoundError(
            tr("There is no picture {name!r} (working directory {cwd}). Check the path.", name=name, cwd=Path.cwd())
        ) from None
    except UnreadablePicture:
        raise
    except OSError as error:
        raise UnreadablePicture(name, tr("the file cannot be opened ({strerror})", strerror=error.strerror)) from None
    except ValueError as error:  # a NUL, or what the file system cannot encode
        raise UnreadablePicture(repr(name), tr("no file can have that name ({error})", error=error)) from None
    if len(content) != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UnreadablePicture(name, tr("the file changed while it was read; try again when nothing writes to it"))
    return content


def _refuse(name: str, found: os.stat_result) -> None:
    """Raises for what is no regular file, or too large a one."""
    if not stat.S_ISREG(found.st_mode):
        raise UnreadablePicture(
            name,
            tr(
                "it is {kinds}, and a picture is a regular file",
                kinds=tr(_KINDS.get(stat.S_IFMT(found.st_mode), NO_FILE)),
            ),
        )
    if found.st_size > MAX_BYTES:
        raise UnreadablePicture(
            name,
            tr(
                "it has {found:,} bytes, and at most {max_bytes:,} are accepted; save it smaller",
                found=found.st_size,
                max_bytes=MAX_BYTES,
            ),
        )
