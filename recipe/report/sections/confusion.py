"""Where the answers are wrong, and how many pictures each class has: the sections "Where wrong" and "Class balance"."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.report.evidence import Evidence
from recipe.report.numbers import counts, order, pairs, shares
from recipe.report.section import COLOURS, INK, Drawing, Grid, Section, draw, in_chart, shortened
from recipe.report.sections.scores import number
from recipe.system.console import width

NUMBERED = 25  # classes up to which every cell shows its number
BLUE = LinearSegmentedColormap.from_list(
    "blue", [(0.15, 0.39, 0.92, 0.0), (0.15, 0.39, 0.92, 1.0)]
)  # transparent at 0: fits light and dark


def confusion_section(evidence: Evidence) -> Section:
    """Both matrices, in an order that puts confused classes side by side, and the list of pairs."""
    labels, answers = evidence.labels[evidence.scored], evidence.answers[evidence.scored]
    matrix = counts(labels, answers, len(evidence.classes))
    classes = order(matrix)
    names = [evidence.classes[label] for label in classes]
    ordered = matrix[np.ix_(classes, classes)]
    found = pairs(matrix)
    drawings = [
        _matrix(
            "confusion_counts",
            tr("Confusion matrix in pictures: true class in rows, answer in columns"),
            ordered,
            names,
        ),
        _matrix(
            "confusion_shares",
            tr("Confusion matrix in percent of the true class's pictures"),
            np.round(100 * shares(ordered)).astype(int),
            names,
        ),
    ]
    grids = [
        _pair_grid(evidence, found),
        Grid(
            "confusion",
            [later("true class"), *names],
            [[name, *row] for name, row in zip(names, ordered.tolist(), strict=True)],
            shown=0,
        ),
    ]
    return Section("confusion", tr("Where wrong"), _text(evidence, found, len(labels)), drawings, grids=grids)


def _text(evidence: Evidence, found: list, rows: int) -> list[str]:  # type: ignore[type-arg]
    wrong = sum(pair.rows for pair in found)
    if not wrong:
        return [tr("No picture was answered wrongly.")]
    top = found[0]
    share = sum(pair.rows for pair in found[:5]) / wrong
    return [
        tr(
            "{wrong} of {rows} pictures are wrong. The five most frequent confusions make up "
            "{share:.0%} of them; the first is {label} answered as {answer} ({times} times, "
            "{share_of_class:.0%} of the class). Classes are ordered by hierarchical clustering, so that "
            "those which are confused lie together: look for blocks on the diagonal.",
            wrong=wrong,
            rows=rows,
            share=share,
            label=evidence.classes[top.label],
            answer=evidence.classes[top.answer],
            times=top.rows,
            share_of_class=top.share,
        )
    ]


def _pair_grid(evidence: Evidence, found: list) -> Grid:  # type: ignore[type-arg]
    rows = [
        [evidence.classes[pair.label], evidence.classes[pair.answer], pair.rows, number(pair.share, 3)]
        for pair in found
    ]
    return Grid(
        "confusions",
        [later("true class"), later("answered"), later("pictures"), later("share of the class")],
        rows,
        tr("The most frequent confusions"),
        shown=12,
    )


def _matrix(name: str, caption: str, matrix: np.ndarray, names: list[str]) -> Drawing:
    size = len(names)
    inches = max(3.0, (0.32 if size <= NUMBERED else 0.16) * size)
    labels = [shortened(text, 20 if size <= NUMBERED else 12) for text in names]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        largest = max(1, matrix.max())
        axes.imshow(matrix, cmap=BLUE, vmin=0, vmax=largest, interpolation="none")
        axes.set_xticks(range(size), labels, rotation=0 if max(map(width, labels), default=0) <= 3 else 90)
        axes.set_yticks(range(size), labels)
        axes.tick_params(labelsize=9 if size <= NUMBERED else 7, length=0)
        axes.set_xlabel(in_chart("answer"))
        axes.set_ylabel(in_chart("true class"))
        axes.grid(visible=False)
        for row, column in np.argwhere(matrix) if size <= NUMBERED else ():
            value = matrix[row, column]
            tint = "white" if value > 0.6 * largest else INK
            axes.text(column, row, str(value), ha="center", va="center", fontsize=8, color=tint)

    room = 0.2 + 0.085 * max(map(width, labels), default=0)  # inches that the longest name takes beside the squares
    return draw(name, caption, paint, (inches + 0.4 + room, inches + 0.3 + room), wide=size > 14)


def balance_section(evidence: Evidence) -> Section:
    """Bars of pictures per class, largest first."""
    counts = np.bincount(evidence.labels, minlength=len(evidence.classes))
    filled = counts[counts > 0]
    ratio = counts.max() / max(1, filled.min())
    spread = (
        tr("all of them have {counts}", counts=counts.max())
        if ratio == 1
        else tr(
            "the largest has {counts} and the smallest {filled}, {ratio:.1f} times less",
            counts=counts.max(),
            filled=filled.min(),
            ratio=ratio,
        )
    )
    text = [
        tr(
            "{labels} pictures in {filled} classes; {spread}.",
            labels=len(evidence.labels),
            filled=len(filled),
            spread=spread,
        )
    ]
    if len(filled) < len(counts):
        text.append(tr("{counts} known classes have no picture here.", counts=len(counts) - len(filled)))
    if ratio >= 3:
        text.append(
            tr(
                "The classes are uneven: judge by balanced_accuracy or macro_f1 too, and try --sampler "
                "class_balanced or --loss class_balanced."
            )
        )
    rows = [
        [name, int(count), f"{count / counts.sum():.4f}"] for name, count in zip(evidence.classes, counts, strict=True)
    ]
    return Section(
        "balance",
        tr("Class balance"),
        text,
        [_bars(evidence, counts)],
        grids=[Grid("balance", [later("class"), later("pictures"), later("share")], rows, shown=0)],
    )


def _bars(evidence: Evidence, counts: np.ndarray) -> Drawing:
    order = np.argsort(-counts, kind="stable")
    many = len(order) > 40

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.barh(range(len(order)), counts[order], color=COLOURS[0], height=0.75)
        axes.invert_yaxis()
        axes.set_xlabel(in_chart("pictures"))
        axes.grid(axis="y", visible=False)
        if many:
            axes.set_ylabel(in_chart("class, by size"))
        else:
            axes.set_yticks(range(len(order)), [shortened(evidence.classes[label]) for label in order])

    return draw("balance", tr("Pictures per class"), paint, (4.7, 4.0 if many else 0.8 + 0.25 * len(order)))
