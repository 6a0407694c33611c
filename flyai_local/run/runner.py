"""One run of a submission, as the platform does it: pack, unpack, install, train, evaluate, score, record.

    python -m flyai_local train --submission . --competition MushroomSketch -e=10 -b=32

Training and evaluation are two processes. The hidden pictures are brought only when every process of the training is
gone and what it left is set aside. What the evaluation works on is thrown away as a whole: nothing of it stays but its
answers.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flyai_local.board import records
from flyai_local.box import bubblewrap, folders, limits
from flyai_local.box.isolate import Box, run
from flyai_local.box.limits import Limits
from flyai_local.box.logs import Log
from flyai_local.box.protections import protections
from flyai_local.contest.competitions import hidden_rows, training_classes
from flyai_local.home import home, runs_folder
from flyai_local.run import closer, diagnose, requirements
from flyai_local.run.archive import archive_of
from flyai_local.run.blame import LONGEST_DETAIL, blamed
from flyai_local.run.book import Book
from flyai_local.run.diagnose import RunError
from flyai_local.run.examine import examine
from flyai_local.run.hidden import bring, visible_mb
from flyai_local.run.job import Job, Result
from flyai_local.run.leftovers import PACKING, finish_killed, owned
from flyai_local.run.placing import lay_out
from flyai_local.run.progress import Progress
from flyai_local.run.pruning import prune
from flyai_local.run.score import score
from flyai_local.run.workplace import Workplace, not_copied, opened
from flyai_local.states import Code, State
from flyai_local.submission.apart import read
from flyai_local.submission.pack import sha256_of
from flyai_local.submission.submission import Submission
from flyai_local.submission.unpack import ArchiveError, unpack
from flyai_local.terminal import shown
from protocol.language import tr

__all__ = ["execute"]

LONGEST_NAME = 100  # of a submission, in the records


def execute(job: Job, progress: Progress, book: Book | None = None) -> Result:
    """Run the job to its end and record it. A failure of the submission is a result, not an exception.

    Args:
        book: what takes the run down; the records of this user when None.

    Raises:
        KeyboardInterrupt: after the run was recorded as interrupted.
    """
    book = book or records.open()
    runs = runs_folder()
    finish_killed(runs)
    if isinstance(book, records.Records):
        prune(book, runs)
    with tempfile.TemporaryDirectory(prefix=PACKING, dir=runs) as folder, owned(Path(folder)):
        archive, refused = archive_of(job, Path(folder), progress)
        sha256, size = (sha256_of(archive), archive.stat().st_size) if archive else ("", 0)
        name = shown(job.submission.resolve().name, LONGEST_NAME)
        run_id = book.start_run(name, job.competition.id, job.command, sha256, size)
        result = Result(run_id, runs / str(run_id))
        result.folder.mkdir(parents=True)
        if archive and job.command != "evaluate":
            shutil.move(archive, result.folder / "submission.zip")
    waits = book.turn(run_id, lambda ahead: progress.step(tr("waiting for run {ahead}", ahead=ahead)))
    with owned(result.folder), waits, _recorded(book, result):
        if refused is not None:
            raise refused
        with opened(result.folder, job) as at:
            _Run(job, result, book, progress, at).through()
    return result


@contextmanager
def _recorded(book: Book, result: Result) -> Iterator[None]:
    """Turn the end of the run, whatever it is, into a state and a code in the records."""
    began = time.monotonic()
    try:
        yield
        result.state, result.code = State.SCORED, result.score.code if result.score else None
        result.detail = result.score.detail if result.score else ""
    except ArchiveError as error:
        result.state, result.code, result.detail = State.FAILED, error.code, str(error)
    except RunError as error:
        seen, result.place = closer.looked_into(error, result.folder / "project", result.log)
        ours = seen.code is Code.PLATFORM_FAULT  # which counts as no try
        result.state, result.code, result.detail = State.CRASHED if ours else State.FAILED, seen.code, seen.detail
    except KeyboardInterrupt as stop:
        result.state, result.code, result.detail = State.CRASHED, Code.INTERRUPTED, str(stop) or "Ctrl-C"
        raise
    except Exception as error:  # anything else is the platform's own fault, and must not count as a try
        result.state, result.code, result.detail = (
            State.CRASHED,
            Code.PLATFORM_FAULT,
            f"{type(error).__name__}: {error}",
        )
        (result.folder / "platform.log").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        result.seconds = time.monotonic() - began
        if result.state is not State.SCORED:
            result.score = None  # a run that ended otherwise has none, whatever was answered before
        found = result.score
        book.finish(
            result.run_id,
            result.state,
            result.code,
            score=found.total if found else None,
            public_score=found.public if found else None,
            private_score=found.private if found else None,
            per_class=found.per_class if found else {},
            metric=found.metric if found else None,
            seconds=result.seconds,
            peak_mb=result.peak_mb,
            detail=result.detail,
        )


class _Run:
    """The phases of one run, in order; each leaves the work folder as the next expects it."""

    def __init__(self, job: Job, result: Result, book: Book, progress: Progress, at: Workplace) -> None:
        self.job, self.result, self.book, self.progress, self.at = job, result, book, progress, at
        isolated = bool(job.engine or bubblewrap.program()) if job.isolated is None else job.isolated
        chosen = job.competition
        masked = (home(), chosen.images, chosen.hidden_images, *([chosen.hidden.parent] if chosen.hidden else []))
        weights = job.weights.resolve() if job.weights else None
        self.box = Box(
            at.project,
            at.private,
            isolated,
            weights,
            masked=masked,
            minutes=job.told_minutes,
            engine=job.engine,
            image=job.image,
            space=at.space,
        )
        self.trained = 0.0  # seconds that training took

    def through(self) -> None:
        """All phases; the work folder keeps the submission and what it saved, and nothing of the platform's data."""
        with blamed():
            submission = self.unpack()
        if submission.metric not in (None, self.job.competition.metric):
            self.result.notes.append(
                tr(
                    "app.yaml trains for {metric} and {competition} is scored by {scored_by}: set competition.metric "
                    "in app.yaml to choose epochs by the score that counts",
                    metric=submission.metric,
                    competition=self.job.competition.id,
                    scored_by=self.job.competition.metric,
                )
            )
        try:
            if self.job.fresh_env:
                self.install()
            for sentence in protections(self.box):
                self.progress.step(sentence)
            with blamed():
                count = lay_out(self.job.competition, submission, self.box.project, self.job.sample)
            if self.job.command != "evaluate":
                self.train(count)
                with blamed():
                    self.at.set_aside(self.job.competition, submission)
            self.evaluate(submission)
        finally:
            failed = self.at.tidy(self.job.competition, submission, self.job.command)
            self.result.notes += [failed] if failed else []

    def unpack(self) -> Submission:
        """Unpack the archive into a clean folder; an already trained folder is copied instead."""
        self.enter(State.PACKING)
        if self.job.command == "evaluate":
            folders.copied(self.job.submission, self.box.project, _not_evaluated(self.job.submission))
        else:
            unpack(self.result.folder / "submission.zip", self.box.project)
        return read(self.box.project)

    def install(self) -> None:
        """Make a fresh environment from requirements.txt."""
        self.enter(State.INSTALLING)
        with self.log("install", limits.INSTALL) as log:
            failed = requirements.install(self.box, self.at.environment, log, self.progress.step)
        self.result.notes += [tr("requirements.txt: {line} was not installed", line=line) for line in failed]
        self.box = replace(self.box, environment=self.at.environment)

    def train(self, count: int) -> None:
        """Run `python main.py -e=E -b=B` in the work folder."""
        self.enter(State.TRAINING)
        arguments = [f"-e={self.job.epochs}", f"-b={self.job.batch}"]
        self.progress.step(
            tr("training on {count} pictures: python main.py {arguments}", count=count, arguments=" ".join(arguments))
        )
        bounds = self.job.within(self.job.train_limits)
        with self.log("train", bounds) as log:
            outcome = run(self.box, [str(self.box.layout().python), "main.py", *arguments], bounds, log)
            self.used(outcome)
            self.trained = outcome.seconds
            error = diagnose.training(outcome, log.tail(40))
        if error:
            raise error

    def evaluate(self, submission: Submission) -> None:
        """Bring the hidden pictures, ask for every row, score, and remove what the evaluation left."""
        self.enter(State.EVALUATING)
        chosen = self.job.competition
        rows = _sampled(hidden_rows(chosen), self.job.sample)
        questions = bring(rows, chosen.hidden_images, self.box.project, submission.generation)
        column = submission.columns[0] if submission.columns else chosen.image_column
        asked = [{column: question.picture} for question in questions]
        bounds = self.job.within(self.job.evaluate_limits, self.trained)
        try:
            with self.log("evaluate", bounds, visible_mb([picture for picture, _ in rows])) as log:
                found = examine(self.box, chosen.id, submission.generation, asked, bounds, log, self.progress.step)
        except RunError as error:  # its text comes from a process that has seen the pictures
            raise RunError(error.code, shown(error.detail, LONGEST_DETAIL)) from error
        self.used(found.outcome)
        if found.chosen not in ("Prediction", "Model"):
            said = tr(  # by a process that has seen the pictures
                "the class {chosen} was taken, of {candidates}",
                chosen=found.chosen,
                candidates=", ".join(found.candidates),
            )
            self.result.notes.append(shown(said, LONGEST_DETAIL))
        self.result.score = score(chosen.id, [q.key for q in questions], [q.label for q in questions], found.answers,
                                  chosen.metric, training_classes(chosen))  # fmt: skip

    def enter(self, state: State) -> None:
        """Record and show the state."""
        self.result.state = state
        self.book.set_state(self.result.run_id, state)
        self.progress.state(state)

    def used(self, outcome: limits.Outcome) -> None:
        """Keep the highest memory of all phases."""
        self.result.peak_mb = max(self.result.peak_mb, outcome.peak_mb)
        self.progress.step(
            tr(
                "{seconds:.1f} s, {peak_mb:.0f} MB of memory, {disk_mb:.0f} MB written",
                seconds=outcome.seconds,
                peak_mb=outcome.peak_mb,
                disk_mb=outcome.disk_mb,
            )
        )

    @contextmanager
    def log(self, phase: str, bounds: Limits, visible_mb: float | None = None) -> Iterator[Log]:
        """The log of a phase, in the records from its first line on."""
        log = Log(
            self.result.folder / f"{phase}.log", bounds.log_mb, visible_mb, lambda line: self.progress.line(phase, line)
        )
        self.result.log = log.path
        self.book.add_log(self.result.run_id, phase, log.path)
        try:
            yield log
        finally:
            log.close()
            self.result.tail = log.tail()


def _sampled(rows: list[tuple[Path, int | float | str]], sample: int | None) -> list[tuple[Path, int | float | str]]:
    """All hidden rows, or `sample` of them: the same ones each time."""
    if not rows:
        raise RunError(Code.PLATFORM_FAULT, tr("the competition has no hidden part; add it again with --hidden 0.25"))
    if sample is None or sample >= len(rows):
        return rows
    seed = int.from_bytes(hashlib.sha256(str(len(rows)).encode()).digest()[:4], "big")
    return random.Random(seed).sample(rows, sample)


def _not_evaluated(top: Path) -> folders.Leave:
    """What of a participant's folder the evaluation does not need: data that are placed anew, caches, environments."""
    return lambda name, folder: (
        not_copied(name, folder) or name in ("__pycache__", ".git") or (top / folder / name / "pyvenv.cfg").exists()
    )
