"""Answers as the platform holds them: plain values, rebuilt from the text that came over the evaluator's pipe.

Nothing that a submission made is ever loaded here: no pickle, no array, no class. A value that is no plain scalar
becomes `Other`, which equals no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flyai_local.terminal import shown
from protocol.labels import Value as Label
from protocol.labels import value_of

__all__ = ["Answer", "Label", "Other", "equal", "equal_as_text", "parse"]

LONGEST_TYPE = 40  # of the name of an answer's class, which a submission may choose


@dataclass(frozen=True)
class Other:
    """A value that is no scalar, by its description; `size` is the number of elements of an array."""

    shown: str
    size: int | None = None


@dataclass(frozen=True)
class Answer:
    """One answer: the shape of what predict returned, the Python type of its label, and the label's value."""

    shape: str  # "label" {"label": value}; "no-label" another dict; "bare" no dict
    kind: str
    value: bool | int | float | str | Other | None


def parse(message: Any) -> Answer:
    """The answer that a message of the evaluator describes.

    Raises:
        ValueError: the message has another form; then something else than the evaluator wrote it.
    """
    try:
        shape, value = str(message["shape"]), message["value"]
        if shape not in ("label", "no-label", "bare"):
            raise ValueError(f"shape {shape!r}")
        return Answer(shape, shown(value["type"], LONGEST_TYPE), _value(value))
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"not a message of the evaluator: {error!r}") from error


def equal(value: object, label: Label) -> bool:
    """What the platform's plain `==` says: 0, 0.0, True-as-1 equal as in Python, "0" does not equal 0."""
    return not isinstance(value, Other) and value == label


def equal_as_text(value: object, label: Label) -> bool:
    """Whether answer and label would agree if only their types were the same: "0" and 0, 3.0 and "3", "true" and True.

    Both are read as a column of numbers or bools would be.
    """
    if value is None or isinstance(value, Other):
        return False
    one, other = (str(each).strip() for each in (value, label))
    return one == other or ((read := value_of(one, "float")) is not None and read == value_of(other, "float"))


def _value(tagged: dict[str, Any]) -> bool | int | float | str | Other | None:
    if tagged.get("none") is True:
        return None
    if isinstance(tagged.get("bool"), bool):
        return bool(tagged["bool"])
    if isinstance(tagged.get("int"), str) and len(tagged["int"]) <= 310:
        return int(tagged["int"])
    if isinstance(tagged.get("float"), str) and len(tagged["float"]) <= 40:
        return float(tagged["float"])
    if isinstance(tagged.get("str"), str):
        return str(tagged["str"])
    size = tagged.get("size")
    return Other(str(tagged["shown"])[:200], size if isinstance(size, int) else None)
