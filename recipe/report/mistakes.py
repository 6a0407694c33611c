"""Where wrong, in pictures: the surest mistakes and the least sure hits."""

from __future__ import annotations

import numpy as np

from recipe.report.evidence import Evidence
from recipe.report.scores import number
from recipe.report.section import Grid, Section, Tile, Tiles
from recipe.report.tiles import square

SHOWN = 24


def section(evidence: Evidence) -> Section:
    """Two grids, and a table of all mistakes."""
    wrong, unsure = surest_mistakes(evidence), least_sure_hits(evidence)
    text = [
        f"{len(wrong)} mistakes, the surest first: a sure mistake is often a wrong label, a second object in the "
        "picture or a class that looks "
        "like another. Below them the hits that were nearly missed."
    ]
    if evidence.pictures is None:
        text.append(f"The pictures are left out: {evidence.no_pictures}.")
    grids = [_grid(evidence, wrong)]
    pages = [
        Tiles("mistakes", "The surest mistakes", _tiles(evidence, wrong, "bad")),
        Tiles("unsure", "The least sure hits", _tiles(evidence, unsure, "good")),
    ]
    return Section("mistakes", "Mistakes in pictures", text, tiles=[page for page in pages if page.tiles], grids=grids)


def surest_mistakes(evidence: Evidence) -> np.ndarray:
    """Rows that are wrong, by falling probability of the answer."""
    rows = evidence.scored[evidence.answers[evidence.scored] != evidence.labels[evidence.scored]]
    return rows[np.argsort(-evidence.probs[rows, evidence.answers[rows]], kind="stable")]


def least_sure_hits(evidence: Evidence) -> np.ndarray:
    """Rows that are right, by rising probability of the answer."""
    rows = evidence.scored[evidence.answers[evidence.scored] == evidence.labels[evidence.scored]]
    return rows[np.argsort(evidence.probs[rows, evidence.answers[rows]], kind="stable")]


def caption(evidence: Evidence, row: int) -> str:
    """`true class → answer 97 %`, or `class 41 %` for a hit."""
    label, answer = evidence.labels[row], evidence.answers[row]
    sure = f"{evidence.classes[answer]} {evidence.probs[row, answer]:.0%}"
    return sure if label == answer else f"{evidence.classes[label]} → {sure}"


def _tiles(evidence: Evidence, rows: np.ndarray, mood: str) -> list[Tile]:
    tiles: list[Tile] = []
    for row in rows[: 2 * SHOWN].tolist():
        picture = evidence.picture(row)
        if picture is not None and len(tiles) < SHOWN:
            tiles.append(Tile(square(picture), caption(evidence, row), str(evidence.names[row]), mood))
    return tiles


def _grid(evidence: Evidence, rows: np.ndarray) -> Grid:
    cells = [
        [
            evidence.names[row], evidence.classes[evidence.labels[row]], evidence.classes[evidence.answers[row]],
            number(evidence.probs[row, evidence.answers[row]]), number(evidence.probs[row, evidence.labels[row]]),
        ]
        for row in rows.tolist()
    ]  # fmt: skip
    return Grid(
        "mistakes",
        ["image_path", "true class", "answered", "probability", "of the true class"],
        cells,
        "All mistakes",
        shown=0,
    )
