"""Installs requirements.txt as the platform does: line by line, so that one bogus line does not stop the others."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from flyai_local.box.isolate import Box, run
from flyai_local.box.limits import INSTALL
from flyai_local.box.logs import Log
from flyai_local.run.diagnose import RunError
from flyai_local.states import Code

__all__ = ["Line", "install", "lines"]

# `flyai` on the public index is an unrelated package; the SDK is the platform's own.
OWN_NAME = re.compile(r"(?i)flyai([_-]sdk)?\s*($|[=<>!~;\[ ])")
SPECIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._, -]*\])?\s*([=<>!~].*|;.*|@\s*\S+)?")


@dataclass(frozen=True)
class Line:
    """One line of requirements.txt and what is done with it: `install`, `skip` (with the reason) or nothing."""

    number: int
    text: str
    skip: str = ""


def lines(file: Path) -> Iterator[Line]:
    """The lines of a requirements file that say something; comments and blank lines do not."""
    if not file.is_file():
        return
    for number, raw in enumerate(file.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        text = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not text:
            continue
        if OWN_NAME.match(text):
            yield Line(number, text, "the platform has its own")
        elif not SPECIFIER.fullmatch(text):
            yield Line(number, text, "not a package with an optional version; options and paths are not installed")
        else:
            yield Line(number, text)


def install(box: Box, environment: Path, log: Log, say: Callable[[str], None]) -> list[str]:
    """Make a fresh virtual environment and install the project's requirements into it; returns the lines that failed.

    The packages' own build scripts run locked in as the submission does, but with the network on.

    Raises:
        RunError: the environment itself cannot be made, or a limit was passed.
    """
    environment.mkdir(parents=True, exist_ok=True)
    making = replace(box, environment=environment, network=True, install=True)
    _step(making, [sys.executable, "-m", "venv", str(environment)], log, required=True)
    failed = []
    for line in lines(box.project / "requirements.txt"):
        if line.skip:
            say(f"requirements.txt:{line.number} {line.text}: skipped, {line.skip}")
            continue
        say(f"requirements.txt:{line.number} {line.text}: installing")
        pip = [
            str(making.layout().python),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            line.text,
        ]
        if not _step(making, pip, log):
            failed.append(line.text)
            say(f"requirements.txt:{line.number} {line.text}: not installed; the run goes on, as on the platform")
    return failed


def _step(box: Box, command: list[str], log: Log, required: bool = False) -> bool:
    outcome = run(box, command, INSTALL, log)
    if outcome.ended_by is not None:
        raise RunError(outcome.ended_by, "while requirements.txt was being installed")
    if required and outcome.returncode != 0:
        raise RunError(Code.INSTALL_FAILED, "python -m venv failed: " + " ".join(log.tail(2)))
    return outcome.returncode == 0
