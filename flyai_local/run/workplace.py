"""The folders in which a run works, and what of them stays when it is over.

Where there is a file system of the run's own (`box.space`), all of it is there; elsewhere the run's folder holds it.
What training left is copied before the hidden pictures come in, and only that copy stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flyai_local.box import folders, space
from flyai_local.contest.competitions import Competition
from flyai_local.run.job import Job
from flyai_local.run.leftovers import KEPT, thrown_away
from flyai_local.run.placing import placed, take_back
from flyai_local.submission.submission import Submission
from flyai_local.submission.unpack import MAX_FILES, MAX_MB
from protocol.language import tr

__all__ = ["Workplace", "not_copied", "opened"]


@contextmanager
def opened(folder: Path, job: Job) -> Iterator[Workplace]:
    """The workplace of a run whose folder is `folder`; its file system, if it has one, ends with the body."""
    if job.engine is not None:  # whose daemon sees other mounts
        yield Workplace(folder, None)
        return
    mb, files = _room(job)
    with space.own(folder / space.IMAGE, mb, files) as place:
        yield Workplace(folder, place)


def _room(job: Job) -> tuple[float, int]:
    """Megabytes and files of all that a run may hold: the submission, the platform's data, and what it may write."""
    phases = (job.train_limits, job.evaluate_limits)
    data = [folders.use(path) for path in {job.competition.images, job.competition.hidden_images}]
    data += [folders.use(job.submission)] if job.command == "evaluate" else []
    mb = MAX_MB + sum(2 * use.bytes for use in data) / 2**20  # twice: every small file takes a whole block
    return mb + sum(each.disk_mb for each in phases), MAX_FILES + sum(
        [use.entries for use in data] + [each.files for each in phases]
    )


@dataclass(frozen=True)
class Workplace:
    """Places of one run.

    Args:
        folder: the run's own, which stays.
        space: its file system, or None.
    """

    folder: Path
    space: Path | None

    @property
    def project(self) -> Path:
        """Where the submission lies and works."""
        return (self.space or self.folder) / "project"

    @property
    def private(self) -> Path:
        """Home and temporary files."""
        return (self.space or self.folder) / "private"

    @property
    def environment(self) -> Path:
        """Of its packages, with --fresh-env."""
        return ((self.space or self.folder) / "environment").absolute()

    def set_aside(self, chosen: Competition, submission: Submission) -> None:
        """Keep a copy of what training left; what the evaluation sees and changes is thrown away as a whole.

        A copy, and not the original: a hard link that training laid to the platform's data would lead out of here.
        """
        unfinished = self.folder / f".{KEPT}"
        folders.copied(self.project, unfinished, _platforms(chosen, submission))
        unfinished.rename(self.folder / KEPT)  # so that a platform that is killed meanwhile leaves all or nothing

    def tidy(self, chosen: Competition, submission: Submission, command: str) -> str:
        """Throw away all that the evaluation may have written, and the platform's data; what training left stays.

        What cannot be removed or kept is told, and ends neither the run nor the search of the next start.
        """
        try:
            if command != "evaluate" and not (self.folder / KEPT).exists():
                self._keep_unevaluated(chosen, submission)
            thrown_away(self.folder, command)
        except OSError as error:
            return tr("left behind in {folder}, until the next run begins: {error}", folder=self.folder, error=error)
        return ""

    def _keep_unevaluated(self, chosen: Competition, submission: Submission) -> None:
        if self.space is None:
            take_back(chosen, submission, self.project)
            return
        folders.removed(self.folder / f".{KEPT}")
        self.set_aside(chosen, submission)


def not_copied(name: str, folder: Path) -> bool:
    """What of a trained folder its evaluation does not need: the platform's data below data/input, laid out anew."""
    return folder.parts == ("data", "input") and name != "model"


def _platforms(chosen: Competition, submission: Submission) -> folders.Leave:
    names = placed(chosen, submission)
    return lambda name, folder: folder.parts == ("data", "input") and name in names
