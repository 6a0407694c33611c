"""What one network in place of several gives and costs: a table of accuracy, size and time before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipe.counting import cost
from recipe.description import fold_folders
from recipe.metrics import METRICS
from recipe.predict import Ensemble
from recipe.report.cost import measure
from recipe.serving import read_serving
from recipe.significance import Comparison, compare

Row = tuple[str, str, str, str]  # what, before, after, difference


def judged(what: str, metric: str, labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[Row, Comparison]:
    """The score of both on the same rows, with the paired p value; probabilities are (N, K)."""
    found = compare(METRICS[metric], labels, before, after, exact=metric == "accuracy")
    present = float(METRICS[metric](labels, before))
    return (what, f"{present:.4f}", f"{found.score:.4f}", f"{found.score - present:+.4f} (p {found.p:.2f})"), found


def costs(before: Path, after: Path) -> list[Row]:
    """Networks, sizes and times of two run folders, each measured in a process of its own."""
    old, new = _facts(before), _facts(after)
    return [(name, shown.format(old[name]), shown.format(new[name]), _times(old[name], new[name])) for name, shown in FACTS.items()]


FACTS = {
    "networks": "{:.0f}",
    "networks x views of one answer": "{:.0f}",
    "parameters, million": "{:.2f}",
    "FLOPs of one answer (2 x MACs), G": "{:.3f}",
    "weight files, MB": "{:.1f}",
    "load the networks, s": "{:.2f}",
    "one picture, ms": "{:.1f}",
    "one picture of 16, ms": "{:.1f}",
    "peak memory, MB": "{:.0f}",
}


def _facts(folder: Path) -> dict[str, float]:
    """The values of FACTS."""
    ensemble, found = Ensemble(folder, "cpu"), measure(folder)
    networks: list[Any] = [(model, member) for member in ensemble.members for model in member.models]
    counted = [(cost(model, member.preprocessing.size), len(member.views)) for model, member in networks]
    file = read_serving(folder).weights_file
    values = (
        len(networks), found["passes"], sum(each.parameters for each, _ in counted) / 1e6,
        sum(each.flops * views for each, views in counted) / 1e9, sum((fold / file).stat().st_size for fold in fold_folders(folder)) / 2**20,
        found["load_seconds"], found["single_ms"], found["batch_ms"], found["peak_mb"] or float("nan"),
    )  # fmt: skip
    return dict(zip(FACTS, map(float, values), strict=True))


def _times(old: float, new: float) -> str:
    return f"x {new / old:.2f}" if old else ""


def as_json(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The rows for distill.json."""
    return [dict(zip(("what", "before", "after", "difference"), row, strict=True)) for row in rows]
