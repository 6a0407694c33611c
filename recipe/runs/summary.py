"""What the folds say together: out-of-fold answers, the views chosen by them, scores, files, closing table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocol.language import tr
from recipe.components.metrics import METRICS, log_loss
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.runs.results import FoldResult
from recipe.system.atomic import write_bytes, write_json
from recipe.system.console import duration
from recipe.system.console import table as aligned


@dataclass(frozen=True)
class CrossValidation:
    """The result of a run."""

    folds: tuple[FoldResult, ...]
    scores: tuple[float, ...]  # of each trained fold, with the chosen views
    views: str  # those that prediction will use, chosen on out-of-fold rows
    plain_score: float  # out of fold, with the centre crop alone
    view_score: float  # out of fold, with the views that the settings name
    oof_probs: np.ndarray  # (N, K) float32 with the chosen views; NaN for rows whose fold was not trained
    fold_of: np.ndarray  # (N,) int64, the fold that each row was left out of; -1 for rows whose fold was not trained
    oof_score: float  # over all rows that have a prediction
    probe_score: float | None  # of the probe, over the same rows
    seconds: float

    @property
    def probe_alone(self) -> bool:
        """Whether no network was trained: every score is the probe's own."""
        return all(fold.seconds == 0 for fold in self.folds)


def summarise(
    table: Table, folds: tuple[Fold, ...], results: list[FoldResult], views: str, metric: str, seconds: float
) -> CrossValidation:
    """Out-of-fold predictions put together, the views chosen by them, and the scores."""
    plain, viewed = (
        _together(table, folds, [r.oof_probs for r in results]),
        _together(table, folds, [r.view_probs for r in results]),
    )
    probe = _together(table, folds, [r.probe_probs for r in results])
    keep = _quality(table, viewed, metric) > _quality(table, plain, metric)
    chosen = viewed if keep else plain
    scores = [float(METRICS[metric](table.labels[fold.valid_rows], chosen[fold.valid_rows])) for fold in folds]
    return CrossValidation(
        folds=tuple(results),
        scores=tuple(scores),
        views=views if keep else "identity()",
        plain_score=_score(table, plain, metric) or 0.0,
        view_score=_score(table, viewed, metric) or 0.0,
        oof_probs=chosen,
        fold_of=_fold_of(table, folds),
        oof_score=_score(table, chosen, metric) or 0.0,
        probe_score=_score(table, probe, metric),
        seconds=seconds,
    )


def _together(table: Table, folds: tuple[Fold, ...], parts: Sequence[np.ndarray | None]) -> np.ndarray:
    """(N, K) float32; NaN where no fold has a prediction."""
    probs = np.full((len(table.labels), len(table.classes)), np.nan, dtype=np.float32)
    for fold, part in zip(folds, parts, strict=True):
        if part is not None:
            probs[fold.valid_rows] = part
    return probs


def _fold_of(table: Table, folds: tuple[Fold, ...]) -> np.ndarray:
    numbers = np.full(len(table.labels), -1, dtype=np.int64)
    for fold in folds:
        numbers[fold.valid_rows] = fold.index
    return numbers


def _quality(table: Table, probs: np.ndarray, metric: str) -> tuple[float, float]:
    """Larger is better: the score in its direction, then the log loss."""
    known = ~np.isnan(probs[:, 0])
    score: Any = METRICS[metric]
    sign = 1 if score.higher_is_better else -1
    return sign * score(table.labels[known], probs[known]), -log_loss(table.labels[known], probs[known])


def _score(table: Table, probs: np.ndarray, metric: str) -> float | None:
    known = ~np.isnan(probs[:, 0])
    return float(METRICS[metric](table.labels[known], probs[known])) if known.any() else None


def write_summary(folder: Path, table: Table, summary: CrossValidation, metric: str) -> None:
    """metrics.json, ensemble.json and oof.csv."""
    write_json(folder / "ensemble.json", {"views": summary.views})
    folds = {
        str(fold.fold): {"score": score, "probe": fold.probe_score, "epoch": fold.epoch, "seconds": fold.seconds}
        for fold, score in zip(summary.folds, summary.scores, strict=True)
    }
    mean, deviation = float(np.mean(summary.scores)), float(np.std(summary.scores))
    totals = {"views": summary.views, "oof_plain": summary.plain_score, "oof_views": summary.view_score}
    totals |= {
        "oof": summary.oof_score,
        "probe_oof": summary.probe_score,
        "mean": mean,
        "std": deviation,
        "seconds": summary.seconds,
    }
    write_json(folder / "metrics.json", {"metric": metric, **totals, "folds": folds})
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["image_path", "label", "fold", *(f"p_{name}" for name in table.classes)])
    for path, label, fold, probs in zip(table.names, table.labels, summary.fold_of, summary.oof_probs, strict=True):
        writer.writerow(
            [path, table.classes[label], "" if fold < 0 else fold, *("" if np.isnan(p) else f"{p:.6f}" for p in probs)]
        )
    write_bytes(folder / "oof.csv", stream.getvalue().encode("utf-8"))


def closing_table(summary: CrossValidation, metric: str) -> str:
    """Score per fold, mean and standard deviation, out-of-fold score and the probe's; then the result in words."""
    rows: list[tuple[str, ...]] = [
        (
            tr("fold {fold}", fold=fold.fold),
            f"{score:.4f}",
            _or_blank(fold.probe_score),
            str(fold.epoch or tr("start")),
            duration(fold.seconds),
        )
        for fold, score in zip(summary.folds, summary.scores, strict=True)
    ]
    if len(rows) > 1:
        mean, deviation = float(np.mean(summary.scores)), float(np.std(summary.scores))
        rows.append((tr("mean"), f"{mean:.4f}", "", "", duration(summary.seconds)))
        rows.append((tr("std"), f"{deviation:.4f}", "", "", ""))
    rows.append((tr("out of fold"), f"{summary.oof_score:.4f}", _or_blank(summary.probe_score), "", ""))
    header: tuple[str, ...] = ("", tr(metric), tr("probe"), tr("epoch"), tr("time"))
    if summary.probe_score is None:
        header, rows = (*header[:2], *header[3:]), [(*row[:2], *row[3:]) for row in rows]
    return aligned(header, rows) + f"\n\n{_in_words(summary, metric)}"


def _in_words(summary: CrossValidation, metric: str) -> str:
    score = (
        tr("{oof_score:.1%} of them are right", oof_score=summary.oof_score)
        if metric == "accuracy"
        else f"{tr(metric)} {summary.oof_score:.4f}"
    )
    asked = np.isfinite(summary.oof_probs[:, 0]).sum()
    if summary.probe_alone:
        return tr("result      {asked} pictures were answered by a simple classifier, the probe, that has not "
                  "seen them: {score}; no network was trained", asked=asked, score=score)  # fmt: skip
    words = tr(
        "result      {asked} pictures were answered by a network that has not seen them: {score}",
        asked=asked,
        score=score,
    )
    if summary.probe_score is None:
        return words
    probe = f"{summary.probe_score:.1%}" if metric == "accuracy" else f"{summary.probe_score:.4f}"
    return tr("{words} (a simple classifier without training, the probe: {probe})", words=words, probe=probe)


def places(summary: CrossValidation, folder: Path) -> str:
    """How the run answers, and where everything lies."""
    return tr(
        "views       {views}\ncheckpoints {folder}/fold*/model.safetensors\nscores      "
        "{scores}\nout of fold {oof}\nepochs      {log}",
        views=_views_line(summary),
        folder=folder,
        scores=folder / "metrics.json",
        oof=folder / "oof.csv",
        log=folder / "log.jsonl",
    )


def _views_line(summary: CrossValidation) -> str:
    if summary.views == "identity()":
        return tr(
            "centre crop alone: {plain_score:.4f} out of fold; the views of the settings gave {view_score:.4f}",
            plain_score=summary.plain_score,
            view_score=summary.view_score,
        )
    return tr(
        "{views}: {view_score:.4f} out of fold against {plain_score:.4f} with the centre crop alone",
        views=summary.views,
        view_score=summary.view_score,
        plain_score=summary.plain_score,
    )


def _or_blank(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"
