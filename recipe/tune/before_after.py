"""What one network in place of several gives and costs: a table of accuracy, size and time before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from protocol.language import later
from recipe.components.metrics import METRICS
from recipe.models.classifier import build
from recipe.models.counting import cost
from recipe.report.sections.cost import measure
from recipe.runs.description import read_description
from recipe.runs.ensemble import WEIGHTS
from recipe.serving.predict import Ensemble
from recipe.tune.significance import Comparison, paired_answers

Line = tuple[str, str, str, str]  # what, before, after, difference


def judged(
    what: str, metric: str, labels: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[Line, Comparison]:
    """The score of both on the same rows, with the paired p value; probabilities are (N, K)."""
    found = paired_answers(METRICS[metric], labels, before, after, exact=metric == "accuracy")
    present = float(METRICS[metric](labels, before))
    return (what, f"{present:.4f}", f"{found.score:.4f}", f"{found.score - present:+.4f} (p {found.p:.2f})"), found


def costs(before: Path, after: Path) -> list[Line]:
    """Networks, sizes and times of two run folders, each measured in a process of its own.

    Both answer in the same runtime: in torch where one of them is not exported to what answers for the other, because
    runtimes differ in speed by more than networks do.
    """
    taken = [measure(folder) for folder in (before, after)]
    if taken[0]["device"] != taken[1]["device"]:
        taken = [measure(folder, "torch") for folder in (before, after)]
    old, new = (_facts(folder, found) for folder, found in zip((before, after), taken, strict=True))
    rows = [
        (name, shown.format(old[name]), shown.format(new[name]), _times(old[name], new[name]))
        for name, shown in FACTS.items()
    ]
    return [*rows, (later("answered by"), taken[0]["device"], taken[1]["device"], "")]


FACTS = {
    later("networks"): "{:.0f}",
    later("networks x views of one answer"): "{:.0f}",
    later("parameters, million"): "{:.2f}",
    later("FLOPs of one answer (2 x MACs), G"): "{:.3f}",
    later("weight files, MB"): "{:.1f}",
    later("load the networks, s"): "{:.2f}",
    later("one picture, ms"): "{:.1f}",
    later("one picture of 16, ms"): "{:.1f}",
    later("peak memory, MB"): "{:.0f}",
}


def _facts(folder: Path, found: dict[str, Any]) -> dict[str, float]:
    """The values of FACTS: counted of the networks, and as measured."""
    counted, files = [], []
    for member in Ensemble(folder, "cpu", "torch").members:
        described = read_description(member.folders[0])
        network = cost(build(described.config, len(described.values)), member.preprocessing.size)
        counted += [(network, len(member.views))] * len(member.folders)
        files += [fold / WEIGHTS for fold in member.folders]
    values = (
        len(counted), found["passes"], sum(each.parameters for each, _ in counted) / 1e6,
        sum(each.flops * views for each, views in counted) / 1e9, sum(file.stat().st_size for file in files) / 2**20,
        found["load_seconds"], found["single_ms"], found["batch_ms"], found["peak_mb"] or float("nan"),
    )  # fmt: skip
    return dict(zip(FACTS, map(float, values), strict=True))


def _times(old: float, new: float) -> str:
    return f"x {new / old:.2f}" if old else ""


def as_json(rows: Sequence[Line]) -> list[dict[str, str]]:
    """The rows for distill.json."""
    return [dict(zip(("what", "before", "after", "difference"), row, strict=True)) for row in rows]
