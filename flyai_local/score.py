"""The score of a list of answers, computed outside the submission's process: plain ==, percent, two decimals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from flyai_local.answers import Answer, Label, equal, equal_as_text
from flyai_local.states import Code

__all__ = ["PUBLIC_PERCENT", "Score", "final_line", "is_public", "percent", "score"]

PUBLIC_PERCENT = 30  # local policy: the platform published no split
VIOLATION = {"score": 0, "label": "评估违规", "info": ""}
TOTAL = "The Score is Total ACC"


@dataclass(frozen=True)
class Score:
    """Accuracy in percent, in all, on the public and on the private part, and per class (None where there is no row).

    `code` names what made the score lower than the answers deserve, and `detail` says by how much.
    """

    total: float
    public: float | None
    private: float | None
    per_class: dict[str, float]
    correct: int
    rows: int
    code: Code | None = None
    detail: str = ""


def score(competition: str, keys: Sequence[str], labels: Sequence[Label], answers: Sequence[Answer]) -> Score:
    """Compare the answers with the labels, row by row.

    Args:
        competition: id, part of the hash that splits public from private rows.
        keys: a name for each row that never changes: the hidden picture's own path.
        labels: values as pandas would read them.
        answers: one per label, in the same order.

    Raises:
        ValueError: there are no rows, or not one answer per row.
    """
    if not labels or not len(keys) == len(labels) == len(answers):
        raise ValueError(f"{len(answers)} answers, {len(labels)} labels and {len(keys)} keys cannot be scored together")
    right = [equal(answer.value, label) for answer, label in zip(answers, labels, strict=True)]
    public = [is_public(competition, key) for key in keys]
    code, detail = _type_trouble(labels, answers, sum(right))
    return Score(
        total=percent(right),
        public=_part(right, public),
        private=_part(right, [not inside for inside in public]),
        per_class={str(label): _part(right, [other == label for other in labels]) or 0.0 for label in sorted_set(labels)},
        correct=sum(right),
        rows=len(right),
        code=code,
        detail=detail,
    )


def percent(right: Sequence[bool]) -> float:
    """Share of true values in percent, rounded as the platform does: round(accuracy * 100, 2)."""
    return round(sum(right) / len(right) * 100, 2)


def is_public(competition: str, key: str) -> bool:
    """Whether a hidden row belongs to the public part: by a fixed hash, so it is the same on every machine."""
    digest = hashlib.sha256(f"{competition}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < PUBLIC_PERCENT


def final_line(total: float | None) -> str:
    """The last line of stdout: the score as JSON; without a score, that the evaluation rules were violated."""
    result = VIOLATION if total is None else {"score": total, "label": TOTAL, "info": ""}
    return json.dumps(result, ensure_ascii=False)


def sorted_set(labels: Sequence[Label]) -> list[Label]:
    """The different labels: numbers by value, texts by alphabet."""
    return sorted(set(labels), key=lambda label: (isinstance(label, str), label))


def _part(right: Sequence[bool], inside: Sequence[bool]) -> float | None:
    chosen = [ok for ok, within in zip(right, inside, strict=True) if within]
    return percent(chosen) if chosen else None


def _type_trouble(labels: Sequence[Label], answers: Sequence[Answer], correct: int) -> tuple[Code | None, str]:
    """Find answers that are right as text but not by ==, where the platform would only say zero."""
    close = [equal_as_text(answer.value, label) for answer, label in zip(answers, labels, strict=True)]
    wrong = [at for at, ok in enumerate(close) if ok and not equal(answers[at].value, labels[at])]
    if not wrong:
        return None, ""
    kind, wanted = answers[wrong[0]].kind, type(labels[0]).__name__
    as_text = percent([ok or equal(a.value, b) for ok, a, b in zip(close, answers, labels, strict=True)])
    return Code.LABEL_TYPE, (
        f"{len(wrong)} of {len(labels)} answers are right but of type {kind} where the label column holds {wanted}; "
        f"with the right type the score would be {as_text} instead of {round(correct / len(labels) * 100, 2)}."
    )
