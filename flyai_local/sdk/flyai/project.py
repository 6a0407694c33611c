"""The project that runs: its folder, and a line printed on behalf of the SDK."""

import os
import shutil
import sys
from pathlib import Path


def project_path(*parts):
    """Return a path under ``sys.path[0]``, the folder of the running script (the working directory where it is empty).

    Read at every call, because the SDK may be imported before a launcher has settled ``sys.path``.
    """
    return Path(sys.path[0] if sys.path else "", *parts)


def say(message):
    """Print one line of the SDK's own at once; what the console cannot show is escaped and never an error."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print("flyai: " + message.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def tr(text, **places):
    """The sentence in the reader's language where the own project is at work, which knows it; else in English."""
    told = getattr(sys.modules.get("protocol.language"), "tr", None)
    if told is not None:
        return told(text, **places)
    return text.format(**places) if places else text


def link(source, target):
    """Make the file `target` a hard link to `source`, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
