"""Evaluates a submission inside its own process: `python evaluator.py ID`, as the platform's evaluate.py.

It finds the class, loads the model and calls `predict(**row)` for each row it is asked. Questions come in and answers
go out as JSON lines over two private pipes; whatever the submission prints goes to the log and means nothing. No label
is ever here. The file stands alone: inside the sandbox it is the only file of the platform beside the SDK.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, BinaryIO

SHOWN = 200  # characters of a value that is described, not sent
LONGEST_TEXT = 10000
Answer = dict[str, Any]


class RefusalError(Exception):
    """What the evaluator itself finds wrong: a word for the platform, and a text for the user."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Dialogue:
    """The two private pipes to the platform. They came as stdin and stdout, which are harmless from here on."""

    def __init__(self) -> None:
        self._questions: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._answers: BinaryIO = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def ask(self) -> dict[str, Any] | None:
        """The next question; None when there is no more."""
        line = self._questions.readline()
        return json.loads(line) if line else None

    def tell(self, **message: Any) -> None:
        """Send one message."""
        self._answers.write(json.dumps(message).encode("ascii") + b"\n")
        self._answers.flush()


def main() -> int:
    """Answer every question; returns 0, or 1 after the failure was told."""
    dialogue = Dialogue()
    sys.path[0] = os.getcwd()  # noqa: PTH109  a text, as Python puts it there
    sys.argv[0] = "evaluate.py"
    opening = dialogue.ask() or {}
    progress: dict[str, Any] = {"stage": "import", "chosen": "", "candidates": []}
    try:
        examine = old_generation if opening["generation"] == "1.x" else new_generation
        examine(dialogue, opening, progress)
    except RefusalError as refusal:
        print(f"evaluator: {refusal}", file=sys.stderr)
        dialogue.tell(event="failed", **progress, reason=refusal.reason, message=str(refusal)[:2000])
        return 1
    except BaseException as error:  # SystemExit too: an argparse usage exit at import is the classic failure
        _print_traceback(error)
        dialogue.tell(event="failed", **progress, reason=type(error).__name__, message=_described(error, str, 2000))
        return 1
    return 0


def new_generation(dialogue: Dialogue, opening: dict[str, Any], progress: dict[str, Any]) -> None:
    """Evaluate a 2.0 or 2022 submission: the first FlyAI class of prediction.py, one row per call."""
    module = importlib.import_module("prediction")
    progress["stage"] = "find"
    progress["candidates"] = flyai_classes(module)
    if not progress["candidates"]:
        raise RefusalError("no-class", "prediction.py holds no subclass of FlyAI")
    progress["chosen"] = progress["candidates"][0]
    progress["stage"] = "construct"
    predictor = getattr(module, progress["chosen"])()
    progress["stage"] = "load"
    predictor.load_model()
    progress["stage"] = "arguments"
    _check_arguments(predictor.predict, opening["columns"])
    dialogue.tell(event="ready", nonce=opening["nonce"], chosen=progress["chosen"], candidates=progress["candidates"])
    progress["stage"] = "predict"
    while (question := dialogue.ask()) is not None:
        answer = predictor.predict(**question["row"])
        dialogue.tell(event="answer", nonce=question["nonce"], answer=described_answer(answer))


def old_generation(dialogue: Dialogue, opening: dict[str, Any], progress: dict[str, Any]) -> None:
    """Evaluate a 1.x submission: `Model(Dataset()).predict_all(rows)`, all rows in one call."""
    from flyai.dataset import Dataset

    model_class = importlib.import_module("model").Model
    progress["stage"] = "construct"
    model = model_class(Dataset())
    dialogue.tell(event="ready", nonce=opening["nonce"], chosen="Model", candidates=["Model"])
    progress["stage"] = "predict"
    while (question := dialogue.ask()) is not None:
        answers = model.predict_all(question["rows"])
        if not hasattr(answers, "__iter__") or isinstance(answers, (str, bytes, Mapping)):
            raise RefusalError("not-a-list", f"predict_all returned {_described(answers)}, not a list of answers")
        described = [described_answer(answer) for answer in answers]
        dialogue.tell(event="answer", nonce=question["nonce"], answers=described)


def flyai_classes(module: Any) -> list[str]:
    """Names under which `module` holds subclasses of FlyAI, in the alphabetical order in which the platform looks.

    Names that begin with two underscores and the name FlyAI are passed over.
    """
    holders = [sys.modules[name] for name in ("flyai.framework", "flyai_sdk") if name in sys.modules]
    bases = tuple({holder.FlyAI for holder in holders if hasattr(holder, "FlyAI")})
    found = []
    for name in dir(module):
        value = getattr(module, name)
        if name.startswith("__") or name == "FlyAI" or not isinstance(value, type) or value in bases:
            continue
        if issubclass(value, bases):
            found.append(name)
    return found


def described_answer(answer: Any) -> Answer:
    """An answer in a form that survives the pipe: its shape (`label`, `no-label`, `bare`) and its tagged value."""
    if not isinstance(answer, dict):
        return {"shape": "bare", "value": tagged(answer)}
    if "label" not in answer:
        return {"shape": "no-label", "value": {"type": "dict", "shown": _described(list(answer))}}
    return {"shape": "label", "value": tagged(answer["label"])}


def tagged(value: Any) -> Answer:
    """Type and content of a value, such that `==` outside gives what it would give here.

    int, float, bool, str and None are sent as they are; a numpy scalar, or an array or tensor of one element, as its
    element; what has more elements is counted; everything else is only described, and equals no label.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    content = _content(value)
    if content is not None:
        return {"type": kind, **content}
    size = _size(value)
    if size == 1:
        content = _content(value.item())
        return {"type": kind, **(content or {"shown": _described(value)})}
    return {"type": kind, "shown": _described(value), **({} if size is None else {"size": size})}


def _content(value: Any) -> Answer | None:
    """JSON content of a plain value; None for other objects. Numbers go as text: JSON has no nan and no big int."""
    if value is None:
        return {"none": True}
    if isinstance(value, bool):
        return {"bool": bool(value)}
    if isinstance(value, int) and abs(int(value)) < 10**300:
        return {"int": str(int(value))}
    if isinstance(value, float):
        return {"float": float.__repr__(float(value))}
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return {"str": str.__str__(value)}
    return None


def _size(value: Any) -> int | None:
    """Number of elements of something like an array or a tensor; None for everything else."""
    if not callable(getattr(value, "item", None)):
        return None
    size = value.numel() if callable(getattr(value, "numel", None)) else getattr(value, "size", None)
    return size if isinstance(size, int) else None


def _described(value: Any, how: Any = repr, longest: int = SHOWN) -> str:
    try:
        return str(how(value))[:longest]
    except Exception as error:  # the submission's own __repr__ may raise anything
        return f"<{type(value).__name__} whose text raised {type(error).__name__}>"


def _check_arguments(predict: Any, columns: list[str]) -> None:
    """Ask the signature, so that a TypeError from inside predict is never mistaken for a wrong argument."""
    try:
        inspect.signature(predict).bind(**dict.fromkeys(columns))
    except TypeError as error:
        raise RefusalError(
            "signature", f"predict{inspect.signature(predict)} cannot be called with {columns}: {error}"
        ) from error
    except ValueError:  # a callable without a signature: calling it is the only test
        return


def _print_traceback(error: BaseException) -> None:
    """Print the error as Python would, without the evaluator's own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


if __name__ == "__main__":
    sys.exit(main())
