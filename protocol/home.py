"""A home and a name for a process without either: a container's user who is not in /etc/passwd, without HOME.

Libraries ask for both when they are imported (`Path.home`, `getpass.getuser`) and would raise, or write to a folder
that is called `~`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def have_home() -> None:
    """Sets HOME to a private folder below the temporary one, and USER, where the system knows none."""
    if os.name == "nt":
        return
    import pwd

    try:
        pwd.getpwuid(os.getuid())
        return
    except KeyError:
        os.environ.setdefault("USER", f"uid{os.getuid()}")
    if os.environ.get("HOME"):
        return
    folder = Path(tempfile.gettempdir()) / f"home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        status = None
    mine = (
        status is not None and not folder.is_symlink() and status.st_uid == os.getuid() and not status.st_mode & 0o077
    )
    os.environ["HOME"] = str(folder) if mine else tempfile.mkdtemp(prefix="home-")
