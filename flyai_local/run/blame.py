"""Whose fault an error of the system is: what a submission's files cause never counts as the platform's."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from flyai_local.errors import UserError
from flyai_local.run.diagnose import RunError
from flyai_local.states import Code
from flyai_local.submission.unpack import ArchiveError
from flyai_local.terminal import shown

__all__ = ["LONGEST_DETAIL", "blamed"]

LONGEST_DETAIL = 300  # of what is told about a submission's end
# What the machine lacks, whatever the submission is: then the run is the platform's fault.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS)


@contextmanager
def blamed() -> Iterator[None]:
    """While the platform handles files of a submission, what the system refuses because of them fails the submission.

    Raises:
        RunError: with the code `bad-folder`.
    """
    try:
        yield
    except (UserError, RunError, ArchiveError):
        raise
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno in MACHINE:
            raise
        raise RunError(Code.BAD_FOLDER, shown(error, LONGEST_DETAIL)) from error
