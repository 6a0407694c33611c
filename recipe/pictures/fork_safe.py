"""What a process that was forked may go on with: a lock that nobody holds, and one thread for torch.

A fork copies memory and one thread alone: a lock that another thread held stays locked for ever, and the pools of
OpenMP, TBB and OpenVINO wait for threads that are not there. Sources: os.fork(2); Python, `os.register_at_fork`; GCC
bug 58378, "OpenMP and fork".
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any


def lock() -> threading.Lock:
    """A lock that is free after every fork: the fork waits until it is."""
    made = threading.Lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=made.acquire, after_in_parent=made.release, after_in_child=made.release)
    return made


def one_thread_in_children() -> None:
    """From now on a forked child computes with one thread where torch is loaded: more would wait for ever."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_one_thread)


def _one_thread() -> None:
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "set_num_threads"):  # not where its import is under way
        torch.set_num_threads(1)
