"""What plain folds flatter: the score on pictures whose copy the network was trained on, against the others."""

from __future__ import annotations

import numpy as np

from protocol.language import later, tr
from recipe.proposal import proposed
from recipe.report.evidence import Evidence
from recipe.report.numbers import wilson
from recipe.report.section import Grid, Section, Tile, Tiles
from recipe.report.sections.pictures import caption, square
from recipe.report.sections.scores import number, score

SHOWN = 6  # pairs


def copies_section(evidence: Evidence) -> Section:
    """A table of both parts, the flattery in words, and some pairs."""
    if not evidence.out_of_fold or evidence.pictures is None:
        why = (
            tr("The pictures cannot be compared: {no_pictures}.", no_pictures=evidence.no_pictures)
            if evidence.out_of_fold
            else tr(
                "Whether these pictures are copies of training ones is said by `{proposed}`.",
                proposed=proposed("audit", run_folder=evidence.folder, against=evidence.table),
            )
        )
        return Section("copies", tr("Copies across folds"), [why])
    seen = with_a_copy(evidence)
    return Section(
        "copies",
        tr("Copies across folds"),
        [sentence(evidence, seen)],
        tiles=_pairs(evidence, seen),
        grids=[_grid(evidence, seen)] if len(seen) else [],
    )


def with_a_copy(evidence: Evidence) -> np.ndarray:
    """Scored rows with a copy outside their own fold, so that the network that answered was trained on it."""
    rows = evidence.scored
    return rows[[twin(evidence, row) is not None for row in rows.tolist()]]


def twin(evidence: Evidence, row: int) -> int | None:
    """A row with the same picture that was trained on when this one was answered."""
    same = np.flatnonzero((evidence.copies == evidence.copies[row]) & (evidence.fold_of != evidence.fold_of[row]))
    return int(same[0]) if len(same) else None


def optimism(evidence: Evidence, seen: np.ndarray) -> float:
    """The run's score less that of pictures without a copy, in the metric's unit; NaN with nothing to compare."""
    return score(evidence, evidence.metric) - score(evidence, evidence.metric, np.setdiff1d(evidence.scored, seen))


def sentence(evidence: Evidence, seen: np.ndarray) -> str:
    """How many copies there are and what they do to the score."""
    if not len(seen):
        kept = tr("the folds keep them together") if evidence.config.group_duplicates else tr("no two folds share one")
        none = (
            later("No out-of-fold picture has a copy among the pictures its network was trained on: {kept}, and the "
                  "score is not flattered.")
            if evidence.out_of_fold
            else later("No picture of the table has a copy among the pictures its network was trained on: {kept}, and "
                       "the score is not flattered.")
        )  # fmt: skip
        return tr(none, kept=kept)
    flattery = optimism(evidence, seen)
    return tr(
        "{seen} of {scored} {rows_word} have a copy (resized, saved anew or mirrored) among "
        "those their network was trained on. Without them {metric} is {number}, a difference of "
        "{flattery:+.4f}. `group_duplicates: true` keeps copies in one fold, so that the score "
        "is that of new pictures.",
        seen=len(seen),
        scored=len(evidence.scored),
        rows_word=evidence.rows_word,
        metric=tr(evidence.metric),
        number=number(score(evidence, evidence.metric) - flattery),
        flattery=flattery,
    )


def _grid(evidence: Evidence, seen: np.ndarray) -> Grid:
    """Accuracy with its interval, and the run's own metric, of both parts and of all."""
    parts = {
        tr("with a copy in training"): seen,
        tr("without"): np.setdiff1d(evidence.scored, seen),
        tr("all"): evidence.scored,
    }
    rows = []
    for name, part in parts.items():
        if not len(part):
            continue
        right = int((evidence.answers[part] == evidence.labels[part]).sum())
        accuracy = right / len(part)
        judged = [] if evidence.metric == "accuracy" else [number(score(evidence, evidence.metric, part))]
        rows.append([name, len(part), *judged, *map(number, (accuracy, *wilson(right, len(part))))])
    judged_by = [] if evidence.metric == "accuracy" else [evidence.metric]
    return Grid(
        "copies",
        [later("pictures"), later("count"), *judged_by, later("accuracy"), later("from"), later("to")],
        rows,
        tr("Scored pictures, by whether a copy was trained on"),
    )


def _pairs(evidence: Evidence, seen: np.ndarray) -> list[Tiles]:
    tiles: list[Tile] = []
    for row in seen[:SHOWN].tolist():
        other = twin(evidence, row)
        pictures = [evidence.picture(row), None if other is None else evidence.picture(other)]
        if other is not None and pictures[0] is not None and pictures[1] is not None:
            mood = "good" if evidence.answers[row] == evidence.labels[row] else "bad"
            tiles += [
                Tile(square(pictures[0]), caption(evidence, row), str(evidence.names[row]), mood),
                Tile(
                    square(pictures[1]),
                    tr("trained on: {classes}", classes=evidence.classes[evidence.labels[other]]),
                    str(evidence.names[other]),
                ),
            ]
    return (
        [Tiles("copies_pairs", tr("Scored pictures, each beside the copy that was trained on"), tiles)] if tiles else []
    )
