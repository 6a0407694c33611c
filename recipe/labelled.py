"""A labelled table that a trained run has not seen, with the run's own class numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recipe.data import Table, read
from recipe.findings import DataError


def read_labelled(
    csv: Path, values: tuple[Any, ...], image_column: str = "image_path", label_column: str = "label", images: Path | None = None
) -> tuple[Table, np.ndarray]:
    """The table, and its labels (N,) int64 as the run numbers them.

    Args:
        csv: a CSV, or a folder with one folder per class, which is matched by how the classes are written.
        values: the run's labels by class number.
        images: the folder that the CSV's paths are relative to; its own by default.

    Raises:
        DataError: the table cannot be read, or has a class that the run does not know.
    """
    table = read(csv, image_column, label_column, images, values=values)
    number = {str(value): place for place, value in enumerate(values)}
    unknown = [name for name in map(str, table.values) if name not in number]
    if unknown:
        raise DataError(f"{table.source} has the class {unknown[0]!r}, which the run does not know; it knows {', '.join(list(number)[:10])}.")
    return table, np.array([number[str(value)] for value in table.values], np.int64)[table.labels]
