"""Finds the code of a failure from what the submission left: an exception's text, the last lines of its log, its exit.

The texts are those of Python and of the libraries that submissions use. What no rule knows gets the general code of its
phase, so a rule that fails to match costs precision and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flyai_local.box.limits import Outcome
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["RunError", "evaluation", "last_error", "training"]

RULES: tuple[tuple[str, Code], ...] = (
    (r"MissingWeightsError", Code.MISSING_WEIGHTS),
    (r"No module named", Code.MISSING_PACKAGE),
    (r"\b(SyntaxError|IndentationError|TabError)\b", Code.SYNTAX_ERROR),
    (r"Can't get attribute .* on <module '__(mp_)?main__'", Code.CLASS_NOT_FOUND_IN_PICKLE),
    (
        r"deserialize object on a CUDA device|not compiled with CUDA|No CUDA GPUs|no NVIDIA driver|CUDA driver version|"
        r"no CUDA-capable device|has no attribute '_cuda_\w+'|requires a (GPU|CUDA)",
        Code.NEEDS_GPU,
    ),
    (r"\bMemoryError\b|[Oo]ut of memory|can't allocate memory|Cannot allocate memory", Code.OUT_OF_MEMORY),
    (r"Errno 27\b|Errno 28\b|File too large|No space left on device", Code.DISK_LIMIT),
    (r"can't start new thread|Errno 11\b|BlockingIOError", Code.PROCESS_LIMIT),
    (r"UnidentifiedImageError|image file is truncated|broken data stream|Truncated File Read", Code.BROKEN_IMAGE),
    (
        r"URLError|Name or service not known|name resolution|OfflineMode|LocalEntryNotFound|offline mode|"
        r"Max retries exceeded|Network is unreachable|Failed to resolve",
        Code.MISSING_WEIGHTS,
    ),
    (
        r"AttributeError: module '[\w.]+' has no attribute|cannot import name|random_state has no effect|"
        r"has been removed|was removed in|no longer supported",
        Code.OLD_LIBRARY_CALL,
    ),
)
BY_STAGE = {
    "import": Code.IMPORT_FAILED,
    "find": Code.NO_CLASS,
    "construct": Code.LOAD_FAILED,
    "load": Code.LOAD_FAILED,
    "arguments": Code.PREDICT_ARGUMENTS,
    "predict": Code.PREDICT_FAILED,
}
ERROR_LINE = re.compile(r"^(\w+\.)*\w*(Error|Exception|Exit|Interrupt|Timeout|Warning)\b.*|^usage: .*|.*: error: .*")


class RunError(Exception):
    """The end of a run without a score: the code, and a sentence with what is particular to this run."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def training(outcome: Outcome, tail: Sequence[str]) -> RunError | None:
    """Why main.py failed; None when it did not."""
    if outcome.ended_by is not None:
        return RunError(outcome.ended_by, _limit_detail(outcome))
    if outcome.returncode == 0:
        return None
    text = last_error(tail)
    if outcome.returncode == 2 and any(": error: " in line for line in tail):
        return RunError(Code.MAIN_ARGUMENTS, text)
    if outcome.signal and not text:
        return RunError(Code.KILLED, tr("main.py was ended by signal {signal}", signal=outcome.signal))
    return RunError(
        _by_rule(text) or Code.TRAINING_FAILED,
        text or tr("main.py left with exit code {returncode}", returncode=outcome.returncode),
    )


def evaluation(stage: str, reason: str, message: str, generation: str, tail: Sequence[str]) -> RunError:
    """Why the evaluator could not go on, from the stage it had reached and the exception it met.

    Args:
        stage: "import", "find", "construct", "load", "arguments" or "predict".
        reason: name of the exception's class.
        message: its text.
        generation: of the submission; a 1.x one loads its model in the predict stage.
        tail: last lines of the log.
    """
    text = f"{reason}: {message}"
    if reason == "SystemExit":
        usage = stage == "import" and message == "2"
        return RunError(Code.ARGPARSE_AT_IMPORT if usage else Code.EVALUATION_EXIT, last_error(tail) or text)
    loading = stage in ("construct", "load") or (stage == "predict" and generation == "1.x")
    missing = reason == "FileNotFoundError" or "No such file or directory" in message
    if loading and missing:
        return RunError(Code.NO_CHECKPOINT, text)
    if stage in ("find", "arguments"):
        return RunError(BY_STAGE[stage], message)
    if reason == "not-a-list":
        return RunError(Code.WRONG_COUNT, message)
    return RunError(
        _by_rule(text) or BY_STAGE.get(stage, Code.PREDICT_FAILED),
        tr("{given} (stage: {stage})", given=text, stage=stage),
    )


def ended(outcome: Outcome, tail: Sequence[str]) -> RunError:
    """Why the evaluation process ended without a word."""
    if outcome.ended_by is not None:
        return RunError(outcome.ended_by, _limit_detail(outcome))
    if outcome.signal:
        return RunError(Code.KILLED, tr("the evaluation was ended by signal {signal}", signal=outcome.signal))
    text = last_error(tail)
    detail = tr("the evaluation process left with exit code {returncode}", returncode=outcome.returncode) + (
        f": {text}" if text else ""
    )
    return RunError(_by_rule(text) or Code.EVALUATION_EXIT, detail)


def last_error(tail: Sequence[str]) -> str:
    """The last line of a log that reads like an error; empty when there is none."""
    return next((line.strip() for line in reversed(tail) if ERROR_LINE.match(line.strip())), "")


def _by_rule(text: str) -> Code | None:
    return next((code for pattern, code in RULES if re.search(pattern, text)), None)


def _limit_detail(outcome: Outcome) -> str:
    used = tr(
        "{seconds:.0f} s, {peak_mb:.0f} MB of memory, {disk_mb:.0f} MB written",
        seconds=outcome.seconds,
        peak_mb=outcome.peak_mb,
        disk_mb=outcome.disk_mb,
    )
    return tr("ended at the limit after {used}", used=used)
