"""The states a run goes through, and the codes of everything that can end it.

A value, once published, never changes: it is stored in the records and people search for it. The sentences behind the
codes are in `causes.py`; `docs/platform.md` holds the same table, and a test keeps the three in step.
"""

from __future__ import annotations

from enum import Enum

from protocol.language import later

__all__ = ["STATES", "Code", "State", "is_platform_fault"]


class State(str, Enum):
    """Where a run stands; the value is what the records hold."""

    QUEUED = "queued"
    PACKING = "packing"
    INSTALLING = "installing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    SCORED = "scored"
    FAILED = "failed"
    CRASHED = "crashed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for the four states in which nothing of the run can still be at work."""
        return self in (State.SCORED, State.FAILED, State.CRASHED, State.CANCELLED)


class Code(str, Enum):
    """Why a run ended without a score, or why its score is lower than the answers deserve."""

    BAD_ARCHIVE = "bad-archive"
    UNSAFE_ARCHIVE = "unsafe-archive"
    ARCHIVE_TOO_LARGE = "archive-too-large"
    NESTED_FOLDER = "nested-folder"
    BAD_FOLDER = "bad-folder"
    PACK_REFUSED = "pack-refused"
    NO_MAIN = "no-main"
    NO_PREDICTION = "no-prediction"
    INSTALL_FAILED = "install-failed"
    MAIN_ARGUMENTS = "main-arguments"
    MISSING_PACKAGE = "missing-package"
    MISSING_WEIGHTS = "missing-weights"
    SYNTAX_ERROR = "syntax-error"
    OLD_LIBRARY_CALL = "old-library-call"
    TRAINING_FAILED = "training-failed"
    BROKEN_IMAGE = "broken-image"
    OUT_OF_MEMORY = "out-of-memory"
    TIME_LIMIT = "time-limit"
    PROCESS_LIMIT = "process-limit"
    DISK_LIMIT = "disk-limit"
    LOG_LIMIT = "log-limit"
    KILLED = "killed"
    IMPORT_FAILED = "import-failed"
    ARGPARSE_AT_IMPORT = "argparse-at-import"
    NO_CLASS = "no-class"
    WRONG_CLASS = "wrong-class"
    NO_CHECKPOINT = "no-checkpoint"
    CLASS_NOT_FOUND_IN_PICKLE = "class-not-found-in-pickle"
    NEEDS_GPU = "needs-gpu"
    LOAD_FAILED = "load-failed"
    PREDICT_ARGUMENTS = "predict-arguments"
    PREDICT_FAILED = "predict-failed"
    BARE_RETURN = "bare-return"
    NO_LABEL_KEY = "no-label-key"
    LABEL_TYPE = "label-type"
    LABEL_NOT_COMPARABLE = "label-not-comparable"
    WRONG_COUNT = "wrong-count"
    EVALUATION_VIOLATED = "evaluation-violated"
    EVALUATION_EXIT = "evaluation-exit"
    ABANDONED = "abandoned"
    INTERRUPTED = "interrupted"
    PLATFORM_FAULT = "platform-fault"
    WORKER_LOST = "worker-lost"


STATES: dict[State, str] = {
    State.QUEUED: later("The run waits for its turn."),
    State.PACKING: later("The submission is packed and unpacked into a clean folder."),
    State.INSTALLING: later("The packages of requirements.txt are being installed."),
    State.TRAINING: later("main.py is running."),
    State.EVALUATING: later("prediction.py answers the hidden rows."),
    State.SCORED: later("The run ended with a score."),
    State.FAILED: later("The run ended without a score because of the submission."),
    State.CRASHED: later("The run ended because of the platform; it does not count as a try."),
    State.CANCELLED: later("The run was taken out of a contest's queue; it counts as a try once it had begun."),
}


def is_platform_fault(code: Code) -> bool:
    """True for a code that says nothing about the submission: such a run never counts as a try."""
    return code in (Code.ABANDONED, Code.INTERRUPTED, Code.PLATFORM_FAULT, Code.WORKER_LOST)
