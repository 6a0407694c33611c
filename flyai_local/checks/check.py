"""The preflight: what would fail on the platform, found in the source and by one short run of the whole chain.

    report = check(Path("."), competition("MushroomSketch"))
    report.ok, report.findings

The source is read and never imported here. The chain then goes the way of every run (`runner`): pack, unpack, train one
epoch on a small slice, evaluate in a fresh process, score. It asks about training pictures, so no hidden label is
touched.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from flyai_local.box import limits
from flyai_local.box.limits import Limits
from flyai_local.checks import devices, old_calls, packages, pictures, places, predictor, sample, saving, startup
from flyai_local.checks.chance import saves_if_better
from flyai_local.checks.contents import open_project
from flyai_local.checks.findings import Finding, Severity, ordered
from flyai_local.checks.project import Project, Target
from flyai_local.contest.competitions import Competition, training_classes
from flyai_local.home import runs_folder
from flyai_local.run.job import Job, Result
from flyai_local.run.progress import Progress
from flyai_local.run.runner import execute
from flyai_local.states import Code, is_platform_fault
from flyai_local.submission.unpack import ArchiveError, unpack
from protocol.language import tr

__all__ = ["BATCH", "EPOCHS", "MINUTES", "SECONDS", "Report", "Silent", "check", "read_source"]

# Local policy: enough to pass through every line of a submission once; MINUTES is what one that asks is told to have.
EPOCHS, BATCH, SECONDS, MINUTES = 1, 8, 300.0, 0.5
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
# Ends that the platform did not have: it had a GPU, pretrained files, libraries of its time. The limits are ours.
OF_THIS_MACHINE = (
    Code.NEEDS_GPU,
    Code.MISSING_WEIGHTS,
    Code.OLD_LIBRARY_CALL,
    Code.TIME_LIMIT,
    Code.OUT_OF_MEMORY,
    Code.PROCESS_LIMIT,
    Code.DISK_LIMIT,
    Code.LOG_LIMIT,
)
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

    @property
    def whole(self) -> bool:
        """False where the chain was run and did not come to a score."""
        return self.chain is None or self.chain.score is not None


def check(
    submission: Path,
    competition: Competition,
    static: bool = False,
    weights: Path | None = None,
    fresh_env: bool = False,
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
        fresh_env: install requirements.txt for the chain into an environment of its own.
        isolated: use bubblewrap; None where it works.
        seconds: wall clock of each of the chain's two phases.
        progress: shows the chain; nothing is shown without it.
    """
    findings = read_source(submission, _target(competition))
    if static or any(finding.code in BAD_FILES for finding in findings):
        return Report(ordered(findings))
    with tempfile.TemporaryDirectory(prefix=".asked-", dir=runs_folder()) as folder, _one_thread():
        alone, count = sample.sampled(competition, Path(folder))
        job = Job(
            submission=submission,
            competition=alone,
            command="test",
            epochs=EPOCHS,
            batch=BATCH,
            sample=count,
            weights=weights,
            fresh_env=fresh_env,
            isolated=isolated,
            train_limits=_bounded(seconds),
            evaluate_limits=_bounded(seconds),
            told_minutes=MINUTES * _busy(),
        )
        result = execute(job, progress or Silent())
    return Report(_joined(findings, _met(result, submission, _target(competition))), result)


def _busy() -> float:
    """How many programs a core carries, 1 to 8: a trial beside others is told to have as many times the minutes."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return min(8.0, max(1.0, load / (os.cpu_count() or 1)))


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
    return Target(competition.input_columns, training_classes(competition)[0])


def _bounded(seconds: float) -> Limits:
    return replace(limits.TEST, seconds=seconds)


def _met(result: Result, submission: Path, target: Target) -> list[Finding]:
    """The finding of a run that did not go well; none of one that did, or that the platform itself broke off."""
    if result.code is None:
        return []
    detail = " ".join(result.detail.split())
    if is_platform_fault(result.code):
        return [Finding(result.code, Severity.ERROR, "", 0, detail)]
    file, line, _ = result.place
    if _of_this_machine(result):
        said = tr("the chain ends here, on this machine: {detail}", detail=detail)
        return [Finding(result.code, Severity.WARNING, file, line, said)]
    if result.code is Code.NO_CHECKPOINT and _may_save_nothing(submission, target):
        said = tr(
            "the chain saved nothing: training saves only what is better, and of so few rows one epoch may find "
            "none by chance; run `test` to see more: {detail}",
            detail=detail,
        )
        return [Finding(result.code, Severity.WARNING, file, line, said)]
    return [Finding(result.code, Severity.ERROR, file, line, tr("in the chain, {detail}", detail=detail))]


def _may_save_nothing(submission: Path, target: Target) -> bool:
    with _folder(submission) as folder:
        project, _ = open_project(folder, target)
    return project is not None and saves_if_better(project)


def _of_this_machine(result: Result) -> bool:
    """True for an end that says nothing about the submission: the platform would have gone on."""
    if result.code is Code.MISSING_PACKAGE:
        return "--fresh-env" in result.detail
    if result.code is Code.SYNTAX_ERROR:
        return "async" in result.place.text or "await" in result.place.text
    return result.code in OF_THIS_MACHINE


def _joined(read: list[Finding], met: list[Finding]) -> list[Finding]:
    """Both kinds; what the source already named and the chain met is one finding, as severe as what was met."""
    for finding in met:
        same = [each for each in read if each.code is finding.code]
        if same:
            first = same[0]
            detail = f"{first.detail}; {finding.detail}"
            read = [replace(each, severity=finding.severity, detail=detail) if each is first else each for each in read]
        else:
            read = [*read, finding]
    return ordered(read)
