"""Installs requirements.txt as the platform does: line by line, so that one bogus line does not stop the others."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from flyai_local.box.isolate import Box, run
from flyai_local.box.limits import INSTALL
from flyai_local.box.logs import Log
from flyai_local.run.diagnose import RunError
from flyai_local.states import Code
from flyai_local.submission.reading import regular, small
from protocol.language import later, tr

__all__ = ["Line", "install", "lines"]

QUIET = ("--disable-pip-version-check", "--no-input", "--no-cache-dir")
LARGEST, MOST_LINES = 2**18, 500
OWN_LINE = later("the platform has its own")
WHEELS = "wheels"  # below the private temporary folder
# `flyai` on the public index is an unrelated package; the SDK is the platform's own.
OWN_NAME = re.compile(r"(?i)flyai([_-]sdk)?\s*($|[=<>!~;\[ ])")
SPECIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\s*\[[A-Za-z0-9._, -]*\])?(\s*([=<>!~].*|;.*))?")


@dataclass(frozen=True)
class Line:
    """One line of requirements.txt and what is done with it: `install`, `skip` (with the reason) or nothing."""

    number: int
    text: str
    skip: str = ""


def lines(file: Path) -> Iterator[Line]:
    """The lines of a requirements file that say something; comments and blank lines do not."""
    if not regular(file):
        return
    content = small(file, LARGEST).decode("utf-8-sig", errors="replace")
    for number, raw in enumerate(content.splitlines()[:MOST_LINES], start=1):
        text = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not text:
            continue
        if OWN_NAME.match(text):
            yield Line(number, text, OWN_LINE)
        elif not SPECIFIER.fullmatch(text):
            yield Line(
                number, text, later("not a package with an optional version: options, paths and addresses are left out")
            )
        else:
            yield Line(number, text)


def install(box: Box, environment: Path, log: Log, say: Callable[[str], None]) -> list[str]:
    """Make a fresh virtual environment and install the project's requirements into it; returns the lines that failed.

    No line runs a stranger's code while the network is on: this interpreter's own pip fetches wheels, which need no
    building, and what installs them has neither network nor the addresses and passwords of the index.

    Raises:
        RunError: the environment itself cannot be made, or a limit was passed.
    """
    environment.mkdir(parents=True, exist_ok=True)
    making = replace(box, environment=environment, install=True)
    clock = _Clock()
    clock.step(making, [sys.executable, "-I", "-m", "venv", str(environment)], log, required=True)
    failed = []
    for line in lines(box.project / "requirements.txt"):
        if line.skip:
            say(
                tr(
                    "requirements.txt:{number} {given}: skipped, {skip}",
                    number=line.number,
                    given=line.text,
                    skip=tr(line.skip),
                )
            )
            continue
        say(tr("requirements.txt:{number} {given}: installing", number=line.number, given=line.text))
        if not (_fetched(clock, box, line, log) and _installed(clock, making, line, log)):
            failed.append(line.text)
            say(
                tr(
                    "requirements.txt:{number} {given}: not installed; the run goes on, as on the platform",
                    number=line.number,
                    given=line.text,
                )
            )
    return failed


def _fetched(clock: _Clock, box: Box, line: Line, log: Log) -> bool:
    """Fetch the wheels of a line and of what it needs; a package that exists as source only is not taken."""
    fetching = replace(box, environment=None, network=True)
    pip = [sys.executable, "-I", "-m", "pip", "download", *QUIET, "--only-binary", ":all:"]
    return clock.step(fetching, [*pip, "--dest", str(fetching.layout().scratch / WHEELS), line.text], log)


def _installed(clock: _Clock, making: Box, line: Line, log: Log) -> bool:
    pip = [str(making.layout().python), "-I", "-m", "pip", "install", *QUIET, "--no-index", "--only-binary", ":all:"]
    return clock.step(making, [*pip, "--find-links", str(making.layout().scratch / WHEELS), line.text], log)


class _Clock:
    """The time of the whole installation, of which every step takes its part."""

    def __init__(self) -> None:
        self._until = time.monotonic() + INSTALL.seconds

    def step(self, box: Box, command: list[str], log: Log, required: bool = False) -> bool:
        """Run one command within what is left of the time; true when it succeeds."""
        left = max(1.0, self._until - time.monotonic())
        outcome = run(box, command, replace(INSTALL, seconds=left), log)
        if outcome.ended_by is not None:
            raise RunError(outcome.ended_by, tr("while requirements.txt was being installed"))
        if required and outcome.returncode != 0:
            raise RunError(Code.INSTALL_FAILED, tr("python -m venv failed: ") + " ".join(log.tail(2)))
        return outcome.returncode == 0
