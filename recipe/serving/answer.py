"""What a run says of one picture: the class, its probability, and whether the picture could be read."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True, eq=False)
class Answer:
    """What the ensemble says of one picture."""

    label: Any  # in the vocabulary and type of train.csv
    probability: float  # of that label
    probs: np.ndarray  # (K,) float32, sums to 1
    path: str = ""  # of the picture, as it was named
    reason: str = ""  # why the picture could not be read, a clause; then the answer is the class prior

    @property
    def status(self) -> Literal["ok", "unreadable"]:
        """Whether the picture was seen, or its answer is the class prior."""
        return "unreadable" if self.reason else "ok"

    def _repr_html_(self) -> str:
        """A row for a notebook: the label, a bar as long as its probability, and the picture's name."""
        label, path, why = (html.escape(str(text)) for text in (self.label, self.path, self.reason))
        return (
            f"<div><b>{label}</b> <meter min=0 max=1 value={self.probability:.4f}></meter> {self.probability:.1%} "
            f"<small>{path}{f' (unreadable: {why})' if why else ''}</small></div>"
        )
