"""The label column of a table, typed by the platform's rule (protocol/labels.py) and numbered by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocol.labels import Value, kind_of, kind_of_values, missing, respelt, similar, values_of
from protocol.language import tr
from protocol.nearest import nearest
from recipe.data.findings import Finding


@dataclass(frozen=True)
class Labelled:
    """A label column, typed and numbered."""

    numbers: np.ndarray  # (N,) int64; -1: the row has no usable label
    values: tuple[Value, ...]  # (K,)
    texts: Sequence[str]  # (N,) as written
    findings: list[Finding]


def type_labels(
    file: Path, lines: Sequence[int], texts: Sequence[str], values: Sequence[Value] | None = None
) -> Labelled:
    """Typed labels of a column; `values` are those of a trained run, by default the sorted distinct ones.

    Rows with an empty or an unknown label get the number -1 and a finding.
    """
    distinct, findings = list(dict.fromkeys(texts)), []  # a table of a million rows has few
    kind = kind_of(distinct) if values is None else kind_of_values(values)
    typed = dict(zip(distinct, values_of(distinct, kind), strict=True))
    known = list(values) if values is not None else sorted({value for value in typed.values() if value is not None})  # type: ignore[type-var]
    number_of = {value: number for number, value in enumerate(known)}
    if values is not None and kind == "text":  # another table may write them with spaces around
        number_of = {**{str(value).strip(): number for value, number in number_of.items()}, **number_of}
        typed = {
            text: value if value in number_of or value is None else str(value).strip() for text, value in typed.items()
        }
    number_of_text = {text: -1 if value is None else number_of.get(value, -1) for text, value in typed.items()}
    numbers = np.fromiter(map(number_of_text.__getitem__, texts), np.int64, len(texts))
    for row in np.flatnonzero(numbers < 0).tolist():
        findings.append(_unusable(file, lines[row], texts[row], typed[texts[row]], known))
    return Labelled(numbers, tuple(known), texts, findings + respelt(file, distinct) + similar(file, known))


def _unusable(file: Path, line: int, text: str, value: Value | None, known: Sequence[Value]) -> Finding:
    if value is None:
        return missing(file, line)
    close = nearest(str(value), map(str, known))
    what = tr(
        "the label {given!r} is none of the {known} known classes.{close}", given=text, known=len(known), close=close
    ).rstrip(".")
    return Finding(file, line, "unknown-label", what, tr("correct it, or train with it"), drops=True)
