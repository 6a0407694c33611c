"""The score of a list of answers, outside the submission's process: plain ==, metric, percent, two decimals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from flyai_local.contest.metrics import METRICS, Metric
from flyai_local.run.answers import Answer, Label, Other, equal, equal_as_text
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["PUBLIC_PERCENT", "Score", "final_line", "is_public", "percent", "score"]

PUBLIC_PERCENT = 30  # local policy: the platform published no split
VIOLATION = {"score": 0, "label": "评估违规", "info": ""}
TOTAL = "The Score is Total"


@dataclass(frozen=True)
class Score:
    """The metric in percent, in all, on the public and on the private part (None where there is no row); share of right
    rows per class, in all and on the public part (classes without a public row are not in it).

    `code` names what made the score lower than the answers deserve, and `detail` says by how much.
    """

    total: float
    public: float | None
    private: float | None
    per_class: dict[str, float]
    correct: int
    rows: int
    metric: str = "accuracy"
    code: Code | None = None
    detail: str = ""
    public_per_class: dict[str, float] = field(default_factory=dict)


def score(
    competition: str,
    keys: Sequence[str],
    labels: Sequence[Label],
    answers: Sequence[Answer],
    metric: str = "accuracy",
    classes: Sequence[Label] = (),
) -> Score:
    """Compare the answers with the labels, row by row.

    Args:
        competition: id, part of the hash that splits public from private rows.
        keys: a name for each row that never changes: the hidden picture's own path.
        labels: values as pandas would read them.
        answers: one per label, in the same order.
        metric: one of `METRICS`.
        classes: those of the training table, which may be more than `labels` shows.

    Raises:
        ValueError: there are no rows, or not one answer per row.
    """
    if not labels or not len(keys) == len(labels) == len(answers):
        raise ValueError(f"{len(answers)} answers, {len(labels)} labels and {len(keys)} keys cannot be scored together")
    right = [equal(answer.value, label) for answer, label in zip(answers, labels, strict=True)]
    public = [is_public(competition, key) for key in keys]
    judge = _Judge(METRICS[metric], sorted_set([*classes, *labels]), labels)
    given = [answer.value for answer in answers]
    code, detail = _type_trouble(judge, answers)
    return Score(
        total=judge.percent(given) or 0.0,
        public=judge.percent(given, public),
        private=judge.percent(given, [not inside for inside in public]),
        per_class=_per_class(right, labels),
        correct=sum(right),
        rows=len(right),
        metric=metric,
        code=code,
        detail=detail,
        public_per_class=_per_class(
            [ok for ok, inside in zip(right, public, strict=True) if inside],
            [label for label, inside in zip(labels, public, strict=True) if inside],
        ),
    )


def _per_class(right: Sequence[bool], labels: Sequence[Label]) -> dict[str, float]:
    return {
        str(label): percent([ok for ok, other in zip(right, labels, strict=True) if other == label])
        for label in sorted_set(labels)
        if label == label  # nan, a row without a label, is no class
    }


class _Judge:
    """A metric, the classes in their order, and the labels of all rows."""

    def __init__(self, metric: Metric, classes: Sequence[Label], labels: Sequence[Label]) -> None:
        self.metric, self.labels = metric, labels
        self.number = {label: at for at, label in enumerate(classes)}

    def percent(self, given: Sequence[object], inside: Sequence[bool] | None = None) -> float | None:
        """The metric over the rows that are inside, by default all; None where there are none."""
        rows = [at for at in range(len(given)) if inside is None or inside[at]]
        if not rows:
            return None
        numbers = [self._number(given[at]) for at in rows]
        return self.metric.percent([self.number[self.labels[at]] for at in rows], numbers, len(self.number))

    def _number(self, value: object) -> int:
        """By plain ==, as a dict finds its keys: 1, 1.0 and True are the same; what is no class comes last."""
        return len(self.number) if isinstance(value, Other) else self.number.get(value, len(self.number))  # type: ignore[call-overload]


def percent(right: Sequence[bool]) -> float:
    """Share of true values in percent, rounded as the platform does: round(accuracy * 100, 2)."""
    return round(sum(right) / len(right) * 100, 2)


def is_public(competition: str, key: str) -> bool:
    """Whether a hidden row belongs to the public part: by a fixed hash, so it is the same on every machine."""
    digest = hashlib.sha256(f"{competition}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < PUBLIC_PERCENT


def final_line(total: float | None, metric: str = "accuracy") -> str:
    """The last line of stdout: the score as JSON; without a score, that the evaluation rules were violated."""
    result = VIOLATION if total is None else {"score": total, "label": f"{TOTAL} {METRICS[metric].title}", "info": ""}
    return json.dumps(result, ensure_ascii=False)


def sorted_set(labels: Sequence[Label]) -> list[Label]:
    """The different labels: numbers by value, texts by alphabet, what is no label (nan) last."""
    return sorted(set(labels), key=lambda label: (isinstance(label, str), label != label, label))


def _type_trouble(judge: _Judge, answers: Sequence[Answer]) -> tuple[Code | None, str]:
    """Find answers that are right as text but not by ==, where the platform would only say zero."""
    labels, given = judge.labels, [answer.value for answer in answers]
    wrong = [at for at, value in enumerate(given) if not equal(value, labels[at]) and equal_as_text(value, labels[at])]
    holds = tr("the label column holds {labels}", labels=type(labels[0]).__name__)
    if wrong:
        mended = [labels[at] if equal_as_text(value, labels[at]) else value for at, value in enumerate(given)]
        return Code.LABEL_TYPE, (
            tr(
                "{wrong} of {labels} answers are right but of type {kind} where {holds}; with the right "
                "type the score would be {mended} instead of {percent}.",
                wrong=len(wrong),
                labels=len(labels),
                kind=answers[wrong[0]].kind,
                holds=holds,
                mended=judge.percent(mended),
                percent=judge.percent(given),
            )
        )
    classes = list(judge.number)
    if all(isinstance(label, str) for label in classes) and all(_is_number_of(classes, value) for value in given):
        named = [classes[int(value)] for value in given]  # type: ignore[arg-type]
        return Code.LABEL_TYPE, (
            tr(
                "all {labels} answers are class numbers of type {kind} where {holds}, such as "
                "{example!r}; as numbers of the classes in sorted order they would score {mended} "
                "instead of {percent}.",
                labels=len(labels),
                kind=answers[0].kind,
                holds=holds,
                example=classes[0],
                mended=judge.percent(named),
                percent=judge.percent(given),
            )
        )
    return None, ""


def _is_number_of(classes: Sequence[Label], value: object) -> bool:
    return isinstance(value, (int, float)) and value in range(len(classes))
