"""The preflight: what would fail on the platform, found in the source and by one short run of the whole chain.

    report = check(Path("."), competition("MushroomSketch"))
    report.ok, report.findings

The source is read and never imported here. The chain then goes the way of every run (`runner`): pack, unpack, train one
epoch on a small slice, evaluate in a fresh process, score. It asks about training pictures, so no hidden label is
touched.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from flyai_local.box import limits
from flyai_local.box.limits import Limits
from flyai_local.checks import devices, old_calls, packages, pictures, places, predictor, saving, startup
from flyai_local.checks.contents import open_project
from flyai_local.checks.findings import Finding, Severity, ordered
from flyai_local.checks.project import Project, Target
from flyai_local.contest.competitions import Competition, place
from flyai_local.contest.tables import label_values, read_table
from flyai_local.home import runs_folder
from flyai_local.run.progress import Progress
from flyai_local.run.runner import Job, Result, execute
from flyai_local.states import Code, is_platform_fault
from flyai_local.submission.unpack import ArchiveError, unpack

__all__ = ["BATCH", "EPOCHS", "PICTURES", "ROWS", "SECONDS", "Report", "check", "read_source"]

# Local policy: enough to pass through every line of a submission once. ROWS are asked about in the evaluation.
PICTURES, EPOCHS, BATCH, ROWS, SECONDS = 40, 1, 8, 20, 300.0
SUBJECTS: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    packages.check,
    startup.check,
    predictor.check,
    saving.check,
    devices.check,
    pictures.check,
    places.check,
    old_calls.check,
)
THREADS = "OMP_NUM_THREADS"
FRAME = re.compile(r'File "([^"]+)", line (\d+)')
BAD_FILES = (
    Code.BAD_ARCHIVE,
    Code.UNSAFE_ARCHIVE,
    Code.ARCHIVE_TOO_LARGE,
    Code.NESTED_FOLDER,
    Code.NO_MAIN,
    Code.NO_PREDICTION,
)


@dataclass(frozen=True)
class Report:
    """What was found, and the run of the chain; no run with `static`, or where there is no submission to run."""

    findings: list[Finding]
    chain: Result | None = None

    @property
    def ok(self) -> bool:
        """True without an error; warnings do not fail."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def check(
    submission: Path,
    competition: Competition,
    static: bool = False,
    weights: Path | None = None,
    isolated: bool | None = None,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Report:
    """Check a folder or a zip file.

    Args:
        submission: a project folder, or an archive as it would be uploaded.
        competition: gives the column names, the type of the labels, and the slice of the chain.
        static: read the source only.
        weights: folder of pretrained files for the chain.
        isolated: use bubblewrap; None where it works.
        seconds: wall clock of each of the chain's two phases.
        progress: shows the chain; nothing is shown without it.
    """
    findings = read_source(submission, _target(competition))
    if static or any(finding.code in BAD_FILES for finding in findings):
        return Report(ordered(findings))
    with _asking_training_pictures(competition) as slice_of_it, _one_thread():
        job = Job(
            submission=submission,
            competition=slice_of_it,
            command="test",
            epochs=EPOCHS,
            batch=BATCH,
            sample=PICTURES,
            weights=weights,
            isolated=isolated,
            train_limits=_bounded(seconds),
            evaluate_limits=_bounded(seconds),
        )
        result = execute(job, progress or Silent())
    return Report(_joined(findings, _met(result)), result)


@contextmanager
def _asking_training_pictures(competition: Competition) -> Iterator[Competition]:
    """The competition with a few training pictures, from the classes in turn, in the place of its hidden part."""
    with tempfile.TemporaryDirectory(prefix=".asked-", dir=runs_folder()) as folder:
        place(competition, Path(folder), limit=ROWS)
        yield replace(competition, hidden=Path(folder) / "train.csv", hidden_images=Path(folder))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One OpenMP thread for the submission, unless the user's environment says otherwise.

    On so few pictures more threads gain nothing, and on a machine with other work they wait for each other: a chain of
    43 seconds took 177.
    """
    if THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = "1"  # on the allow-list of `environment`
    try:
        yield
    finally:
        del os.environ[THREADS]


def read_source(submission: Path, target: Target) -> list[Finding]:
    """Findings of all static checks on a folder or a zip file."""
    try:
        with _folder(submission) as folder:
            project, findings = open_project(folder, target)
            return (
                findings
                if project is None
                else [*findings, *(found for subject in SUBJECTS for found in subject(project))]
            )
    except ArchiveError as error:
        return [Finding(error.code, Severity.ERROR, "", 0, str(error))]


class Silent(Progress):
    """Shows nothing."""

    def step(self, text: str) -> None:
        """Leave out a line of the platform."""

    def line(self, phase: str, text: str) -> None:
        """Leave out a line of the submission."""


@contextmanager
def _folder(submission: Path) -> Iterator[Path]:
    if submission.is_dir():
        yield submission
        return
    with tempfile.TemporaryDirectory(prefix="flyai-check-") as folder:
        unpack(submission, Path(folder) / "submission")
        yield Path(folder) / "submission"


def _target(competition: Competition) -> Target:
    labels = label_values([row.label for row in read_table(competition.train, *competition.columns)])
    return Target(competition.input_columns, labels[0])


def _bounded(seconds: float) -> Limits:
    return replace(limits.TEST, seconds=seconds)


def _met(result: Result) -> list[Finding]:
    """The finding of a run that did not go well; none of one that did, or that the platform itself broke off."""
    if result.code is None:
        return []
    file, line = _place(result)
    detail = " ".join(result.detail.split())
    if is_platform_fault(result.code):
        return [Finding(result.code, Severity.ERROR, "", 0, detail)]
    return [Finding(result.code, Severity.ERROR, file, line, f"in the chain, {detail}")]


def _place(result: Result) -> tuple[str, int]:
    """File and line of the innermost frame in the submission, by the last traceback of the log."""
    project = result.folder / "project"
    lines = result.log.read_text(encoding="utf-8").splitlines() if result.log and result.log.is_file() else []
    for found in reversed([found for line in lines if (found := FRAME.search(line))]):
        parts = Path(found[1]).parts
        for at in range(len(parts) - 1, -1, -1):
            name = Path(*parts[at:])
            if parts[at - 1] == "project" and (project / name).is_file():
                return name.as_posix(), int(found[2])
    return "", 0


def _joined(read: list[Finding], met: list[Finding]) -> list[Finding]:
    """Both kinds; what the chain met at a place that the source already named is one finding, and an error."""
    for finding in met:
        same = [each for each in read if each.code is finding.code]
        if same:
            first = same[0]
            detail = f"{first.detail}; {finding.detail}"
            read = [replace(each, severity=Severity.ERROR, detail=detail) if each is first else each for each in read]
        else:
            read = [*read, finding]
    return ordered(read)
