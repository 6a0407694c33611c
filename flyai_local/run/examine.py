"""Asks the evaluator row after row, from outside, and takes nothing from it on trust.

Every question carries a fresh random word that its answer must repeat, and the next question is asked only when the
last is answered. So an answer counts for the row that was asked, once, and only after the model was loaded; a line that
something else wrote to the pipe ends the evaluation without a score.
"""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from flyai_local.box.isolate import Box, Running, start
from flyai_local.box.limits import Limits, Outcome
from flyai_local.box.logs import Log
from flyai_local.run import diagnose
from flyai_local.run.answers import Answer, Other, parse
from flyai_local.run.diagnose import RunError
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["Examined", "examine"]

PROGRESS_ROWS = 200  # the platform printed a line this often
LINE_BYTES = 65536
FAREWELL_SECONDS = 10.0


@dataclass(frozen=True)
class Examined:
    """Answers in the order of the rows, the class that gave them, and what the process used."""

    answers: list[Answer]
    chosen: str
    candidates: list[str]
    outcome: Outcome


def examine(
    box: Box,
    competition: str,
    generation: str,
    rows: Sequence[dict[str, str]],
    limits: Limits,
    log: Log,
    say: Callable[[str], None],
) -> Examined:
    """Answers of the submission in `box` to `rows`, each a dict of input columns.

    Args:
        competition: id, which the evaluator gets as sys.argv[1].
        generation: "2.0" (one row per call) or "1.x" (all rows in one call).
        say: gets the platform's progress lines.

    Raises:
        RunError: no answers, with the code that says why.
    """
    layout = box.layout()
    running = start(
        box, [str(layout.python), str(layout.platform / "evaluator.py"), competition], limits, log, talk=True
    )
    dialogue = Dialogue(running, generation, log, LINE_BYTES + (512 * len(rows) if generation == "1.x" else 0))
    try:
        ready = dialogue.open(list(rows[0]))
        try:
            answers = dialogue.all_at_once(rows) if generation == "1.x" else dialogue.one_by_one(rows, say)
        except RunError as error:
            raise _wrong_class(ready, error) from error
        outcome = dialogue.close()
    finally:
        running.stop()
    return Examined(answers, str(ready.get("chosen"))[:100], _names(ready.get("candidates")), outcome)


class Dialogue:
    """The platform's side of the evaluator's pipes."""

    def __init__(self, running: Running, generation: str, log: Log, line_bytes: int) -> None:
        assert running.process.stdin is not None and running.process.stdout is not None
        self._running, self._generation, self._log = running, generation, log
        self._questions: IO[bytes] = running.process.stdin
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=4)
        reader = threading.Thread(target=self._read, args=(running.process.stdout, line_bytes), daemon=True)
        reader.start()

    def open(self, columns: list[str]) -> dict[str, Any]:
        """Start the evaluation; returns the evaluator's word that the model is loaded."""
        return self._exchange("ready", generation=self._generation, columns=columns)

    def one_by_one(self, rows: Sequence[dict[str, str]], say: Callable[[str], None]) -> list[Answer]:
        """One question per row."""
        answers = []
        for row in rows:
            reply = self._exchange("answer", row=row)
            answers.append(_accepted(reply.get("answer")))
            _refuse_unusable(answers[-1])
            if len(answers) % PROGRESS_ROWS == 0 or len(answers) == len(rows):
                say(f"Current Pred: {len(answers)}/{len(rows)}")
        return answers

    def all_at_once(self, rows: Sequence[dict[str, str]]) -> list[Answer]:
        """One question with all rows: 1.x submissions answer a list. A bare label is what they should give."""
        reply = self._exchange("answer", rows=list(rows))
        given = reply.get("answers")
        answers = [_accepted(answer) for answer in (given if isinstance(given, list) else [given])]
        if len(answers) != len(rows):
            raise RunError(
                Code.WRONG_COUNT, tr("{answers} answers for {rows} rows", answers=len(answers), rows=len(rows))
            )
        for answer in answers:
            _refuse_unusable(answer, bare=True)
        return answers

    def close(self) -> Outcome:
        """Say that there are no more questions, and wait for the end."""
        with contextlib.suppress(OSError):
            self._questions.close()
        self._running.watch.join(FAREWELL_SECONDS)
        outcome = self._running.stop()
        if outcome.ended_by is not None:
            raise diagnose.ended(outcome, self._log.tail())
        return outcome

    def _exchange(self, event: str, **question: Any) -> dict[str, Any]:
        nonce = secrets.token_hex(16)
        with contextlib.suppress(OSError):  # a process that is gone: the missing answer will say so
            self._questions.write(json.dumps({"nonce": nonce, **question}).encode("ascii") + b"\n")
            self._questions.flush()
        message = self._receive()
        if message.get("event") == "failed":
            raise _wrong_class(message, self._failure(message))
        if message.get("event") != event or message.get("nonce") != nonce:
            raise RunError(
                Code.EVALUATION_VIOLATED,
                tr("the line {dumps} does not answer the question asked", dumps=json.dumps(message)[:200]),
            )
        return message

    def _receive(self) -> dict[str, Any]:
        line = self._lines.get()
        if not line:
            outcome = self._running.wait()
            raise diagnose.ended(outcome, self._log.tail())
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not line.endswith(b"\n") or not isinstance(message, dict):
            raise RunError(Code.EVALUATION_VIOLATED, tr("the evaluator's pipe held {line!r}", line=line[:100]))
        return message

    def _read(self, stream: IO[bytes], line_bytes: int) -> None:
        """Pass lines on, at most a few ahead; an empty line marks the end."""
        with contextlib.suppress(OSError, ValueError):  # the pipe was closed at a limit
            while line := stream.readline(line_bytes):
                self._lines.put(line)
        self._lines.put(b"")

    def _failure(self, message: dict[str, Any]) -> RunError:
        self._running.watch.join(FAREWELL_SECONDS)  # its last lines are still on their way to the log
        self._running.stop()
        words = [str(message.get(name, ""))[:2000] for name in ("stage", "reason", "message")]
        return diagnose.evaluation(words[0], words[1], words[2], self._generation, self._log.tail())


def _accepted(message: Any) -> Answer:
    try:
        return parse(message)
    except ValueError as error:
        raise RunError(Code.EVALUATION_VIOLATED, str(error)) from error


def _refuse_unusable(answer: Answer, bare: bool = False) -> None:
    """The platform finds these out after the last row and ends without a score; here it is said at once."""
    shown = answer.value.shown if isinstance(answer.value, Other) else repr(answer.value)
    if answer.shape == "bare" and not bare:
        raise RunError(Code.BARE_RETURN, tr("predict returned {shown} of type {kind}", shown=shown, kind=answer.kind))
    if answer.shape == "no-label":
        raise RunError(Code.NO_LABEL_KEY, tr("predict returned a dict with the keys {shown}", shown=shown))
    if isinstance(answer.value, Other) and answer.value.size not in (None, 1):
        raise RunError(
            Code.LABEL_NOT_COMPARABLE,
            tr("the label is a {kind} of {size} elements", kind=answer.kind, size=answer.value.size),
        )


def _wrong_class(ready: dict[str, Any], error: RunError) -> RunError:
    """The failure again, under the code of its cause when the platform had taken another class than Prediction."""
    candidates = _names(ready.get("candidates"))
    if ready.get("chosen") == "Prediction" or "Prediction" not in candidates:
        return error
    detail = tr(
        "{ready} was taken, of {candidates}; then: {detail}",
        ready=str(ready.get("chosen"))[:100],
        candidates=", ".join(candidates),
        detail=error.detail,
    )
    return (
        RunError(Code.WRONG_CLASS, detail) if error.code not in (Code.TIME_LIMIT, Code.EVALUATION_VIOLATED) else error
    )


def _names(given: Any) -> list[str]:
    """Class names as the evaluator tells them, cut to what a report can show."""
    return [str(name)[:100] for name in given[:20]] if isinstance(given, list) else []
