"""The archive that a run begins with: a zip file as it was handed in, or a folder packed here."""

from __future__ import annotations

import shutil
from pathlib import Path

from flyai_local.run.diagnose import RunError
from flyai_local.run.job import Job
from flyai_local.run.progress import Progress
from flyai_local.states import Code
from flyai_local.submission.pack import pack, select
from flyai_local.submission.unpack import MAX_MB
from protocol.language import tr


def archive_of(job: Job, folder: Path, progress: Progress) -> tuple[Path | None, RunError | None]:
    """The archive to run, and why there is none: a zip file as it is, a folder packed.

    For `evaluate` it stands for the folder in the records only, so its models are in it.
    """
    archive = folder / "submission.zip"
    if job.command == "evaluate":
        return pack(job.submission, archive, select(job.submission, with_model=True)).archive, None
    if job.submission.is_file():
        if job.submission.stat().st_size > MAX_MB * 2**20:
            return None, RunError(
                Code.ARCHIVE_TOO_LARGE, tr("the archive itself is larger than {max_mb} MB", max_mb=MAX_MB)
            )
        shutil.copyfile(job.submission, archive)
        return archive, None
    selection = select(job.submission)
    forbidden = [refused for refused in selection.refused if refused.kind in ("link-outside", "file-too-large")]
    for refused in selection.refused:
        progress.step(f"{'refused' if refused in forbidden else '`pack` would refuse'}: {refused}")
    if forbidden:
        return None, RunError(Code.PACK_REFUSED, str(forbidden[0]))
    packed = pack(job.submission, archive, selection)
    progress.step(
        tr(
            "{names} files, {size_bytes:.2f} MB, sha256 {sha256}",
            names=len(packed.names),
            size_bytes=packed.size_bytes / 2**20,
            sha256=packed.sha256[:16],
        )
    )
    return archive, None
