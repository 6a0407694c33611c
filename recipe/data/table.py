"""Labelled pictures as a table: paths, label numbers, and the classes as their source writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from protocol.labels import Value
from recipe.data.findings import Finding
from recipe.pictures.paths import PathColumn, taken


@dataclass(frozen=True, eq=False)
class Table:
    """Labelled pictures, in the order of their source."""

    paths: Sequence[Path]  # (N,) absolute
    labels: np.ndarray  # (N,) int64, label numbers
    classes: tuple[str, ...]  # (K,) names to show, by label number
    values: tuple[Value, ...]  # (K,) labels as the source has them, by label number: an int stays an int
    source: Path  # the CSV or the folder
    names: tuple[str, ...]  # (N,) picture names as the source writes them
    lines: tuple[int, ...]  # (N,) line in the CSV, 0 for folders
    groups: np.ndarray | None = None  # (N,) int64, rows of a group stay on one side of every fold
    findings: tuple[Finding, ...] = ()  # what reading noticed

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def counts(self) -> np.ndarray:
        """(K,) int64, rows per class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def fingerprint(self) -> str:
        """12 hex digits of the SHA-256 over names and labels, in order: the same wherever the pictures lie."""
        ends = [f"\0{value!r}\n" for value in self.values]
        rows = (name + ends[label] for name, label in zip(self.names, self.labels.tolist(), strict=True))
        return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()[:12]

    @property
    def label_texts(self) -> list[str]:
        """(N,) the label of every row as text."""
        texts = [str(value) for value in self.values]
        return [texts[label] for label in self.labels.tolist()]

    def take(self, rows: np.ndarray | Sequence[int]) -> Table:
        """The table of some of its rows, in the order given; classes stay, even those without a row left."""
        rows = np.asarray(rows, np.int64)
        chosen = rows.tolist()
        names, lines = (taken(column, chosen) for column in (self.names, self.lines))
        paths = self.paths.take(chosen) if isinstance(self.paths, PathColumn) else taken(self.paths, chosen)
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, paths=paths, names=names, lines=lines, labels=self.labels[rows], groups=groups)
