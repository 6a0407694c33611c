"""How every command ends: in a sentence, whatever ended it, with its trace in a file that the sentence names."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

from protocol.errors import UserError
from protocol.language import tr


def keep_open() -> None:
    """Give the three standard descriptors something harmless where the caller closed them, and every text a form.

    Else the first file that is opened becomes the standard output, what asks a stream whether it is a terminal finds
    None, and a name that the terminal's coding lacks ends a run.
    """
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (as long as the process lives)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def refuse_no_folder() -> None:
    """Libraries end the process, or say anything, where the working directory was removed.

    Raises:
        UserError: it was.
    """
    try:
        os.getcwd()  # noqa: PTH109  (Path.cwd is the same)
    except OSError:
        raise UserError(tr("the working directory was removed; change to another folder and start again.")) from None


def tell(text: str, error: bool = False) -> None:
    """Print a line; a reader that has gone, a closed terminal or a full disk behind it ends nothing."""
    stream = sys.stderr if error else sys.stdout
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError):
        mute(2 if error else 1)


def mute(handle: int) -> None:
    """Send what a standard descriptor gets from now on nowhere; its end then finds nothing left to fail at."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), handle)


def unexpected(error: BaseException) -> str:
    """The sentence for an error that nobody foresaw; its trace goes to a file of its own, which the sentence names."""
    what = " ".join(str(error).split())[:300]
    sentence = tr(
        "{error}{hint}. This is a fault of the program", error=type(error).__name__, hint=f": {what}" if what else ""
    )
    try:
        handle, name = tempfile.mkstemp(prefix="flyai-trace-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return tr(
            "{sentence}, in {name}, line {lineno}; its trace could not be written.",
            sentence=sentence,
            name=Path(frame.filename).name,
            lineno=frame.lineno,
        )
    return tr("{sentence}; its trace is in {name}. Please report it with that file.", sentence=sentence, name=name)
