"""Where wrong: the confusion matrix in counts and shares, and the most frequent confusions."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from recipe.report.evidence import Evidence
from recipe.report.numbers import counts, order, pairs, shares
from recipe.report.scores import number
from recipe.report.section import INK, Drawing, Grid, Section, draw, shortened

NUMBERED = 25  # classes up to which every cell shows its number
BLUE = LinearSegmentedColormap.from_list(
    "blue", [(0.15, 0.39, 0.92, 0.0), (0.15, 0.39, 0.92, 1.0)]
)  # transparent at 0: fits light and dark


def section(evidence: Evidence) -> Section:
    """Both matrices, in an order that puts confused classes side by side, and the list of pairs."""
    labels, answers = evidence.labels[evidence.scored], evidence.answers[evidence.scored]
    matrix = counts(labels, answers, len(evidence.classes))
    classes = order(matrix)
    names = [evidence.classes[label] for label in classes]
    ordered = matrix[np.ix_(classes, classes)]
    found = pairs(matrix)
    drawings = [
        _matrix(
            "confusion_counts", "Confusion matrix in pictures: true class in rows, answer in columns", ordered, names
        ),
        _matrix(
            "confusion_shares",
            "Confusion matrix in percent of the true class's pictures",
            np.round(100 * shares(ordered)).astype(int),
            names,
        ),
    ]
    grids = [
        _pair_grid(evidence, found),
        Grid(
            "confusion",
            ["true class", *names],
            [[name, *row] for name, row in zip(names, ordered.tolist(), strict=True)],
            shown=0,
        ),
    ]
    return Section("confusion", "Where wrong", _text(evidence, found, len(labels)), drawings, grids=grids)


def _text(evidence: Evidence, found: list, rows: int) -> list[str]:  # type: ignore[type-arg]
    wrong = sum(pair.rows for pair in found)
    if not wrong:
        return ["No picture was answered wrongly."]
    top = found[0]
    share = sum(pair.rows for pair in found[:5]) / wrong
    return [
        f"{wrong} of {rows} pictures are wrong. The five most frequent confusions make up {share:.0%} of them; the "
        "first is "
        f"{evidence.classes[top.label]} answered as {evidence.classes[top.answer]} ({top.rows} times, "
        f"{top.share:.0%} of the class). Classes are "
        "ordered by hierarchical clustering, so that those which are confused lie together: look for blocks on the "
        "diagonal."
    ]


def _pair_grid(evidence: Evidence, found: list) -> Grid:  # type: ignore[type-arg]
    rows = [
        [evidence.classes[pair.label], evidence.classes[pair.answer], pair.rows, number(pair.share, 3)]
        for pair in found
    ]
    return Grid(
        "confusions",
        ["true class", "answered", "pictures", "share of the class"],
        rows,
        "The most frequent confusions",
        shown=12,
    )


def _matrix(name: str, caption: str, matrix: np.ndarray, names: list[str]) -> Drawing:
    size = len(names)
    inches = max(3.0, (0.32 if size <= NUMBERED else 0.16) * size)
    labels = [shortened(text, 12) for text in names]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        largest = max(1, matrix.max())
        axes.imshow(matrix, cmap=BLUE, vmin=0, vmax=largest, interpolation="none")
        axes.set_xticks(range(size), labels, rotation=90)
        axes.set_yticks(range(size), labels)
        axes.tick_params(labelsize=9 if size <= NUMBERED else 7, length=0)
        axes.set_xlabel("answer")
        axes.set_ylabel("true class")
        axes.grid(visible=False)
        for row, column in np.argwhere(matrix) if size <= NUMBERED else ():
            value = matrix[row, column]
            tint = "white" if value > 0.6 * largest else INK
            axes.text(column, row, str(value), ha="center", va="center", fontsize=8, color=tint)

    return draw(name, caption, paint, (inches + 1.4, inches + 1.3), wide=size > 14)
