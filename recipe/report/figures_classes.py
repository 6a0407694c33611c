"""How many pictures each class has, and how good it is for it: class balance beside F1."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recipe.report.evidence import Evidence
from recipe.report.section import COLOURS, Drawing, Grid, Section, draw, shortened


def section(evidence: Evidence) -> Section:
    """Bars of pictures per class, largest first."""
    counts = np.bincount(evidence.labels, minlength=len(evidence.classes))
    filled = counts[counts > 0]
    ratio = counts.max() / max(1, filled.min())
    spread = (
        f"all of them have {counts.max()}"
        if ratio == 1
        else f"the largest has {counts.max()} and the smallest {filled.min()}, {ratio:.1f} times less"
    )
    text = [f"{len(evidence.labels)} pictures in {len(filled)} classes; {spread}."]
    if len(filled) < len(counts):
        text.append(f"{len(counts) - len(filled)} known classes have no picture here.")
    if ratio >= 3:
        text.append(
            "The classes are uneven: judge by balanced_accuracy or macro_f1 too, and try --sampler class_balanced "
            "or --loss class_balanced."
        )
    rows = [
        [name, int(count), f"{count / counts.sum():.4f}"] for name, count in zip(evidence.classes, counts, strict=True)
    ]
    return Section(
        "balance",
        "Class balance",
        text,
        [_bars(evidence, counts)],
        grids=[Grid("balance", ["class", "pictures", "share"], rows, shown=0)],
    )


def _bars(evidence: Evidence, counts: np.ndarray) -> Drawing:
    order = np.argsort(-counts, kind="stable")
    many = len(order) > 40

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.barh(range(len(order)), counts[order], color=COLOURS[0], height=0.75)
        axes.invert_yaxis()
        axes.set_xlabel("pictures")
        axes.grid(axis="y", visible=False)
        if many:
            axes.set_ylabel("class, by size")
        else:
            axes.set_yticks(range(len(order)), [shortened(evidence.classes[label]) for label in order])

    return draw("balance", "Pictures per class", paint, (4.7, 4.0 if many else 0.8 + 0.25 * len(order)))
