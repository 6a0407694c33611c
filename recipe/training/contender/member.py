"""The probe as a run that answers: `members/probe` in the run folder holds a network whose head is fitted to all rows,
and its out-of-fold probabilities, made by heads that have not seen the row.
"""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from recipe.components.metrics import METRICS
from recipe.console import Bar, duration, say
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.classifier import Classifier, build
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.runs.checkpoint import Description, save_checkpoint
from recipe.system.atomic import write_bytes
from recipe.system.runtime import Runtime
from recipe.training.clock.limit import TimeLimit
from recipe.training.contender.contend import Contender, contend
from recipe.training.contender.features import Extractor

RUN = "members/probe"  # within the run folder
VIEWS = "identity(), hflip()"
HEAD = "root()"


@dataclass(frozen=True)
class ProbeMember:
    """What the rest of a run needs of it."""

    oof_probs: np.ndarray  # (N, K) float32
    score: float  # of them, by the run's metric


def probe_member(
    start: Start, table: Table, pictures: Pictures, runtime: Runtime, metric: str, folds: Sequence[Fold], member: Path,
    limit: TimeLimit, resume: bool = False,
) -> ProbeMember:  # fmt: skip
    """Fits the probe to all rows and writes it; one that lies there is taken over on `resume`.

    Args:
        start: the network at its start, with pretrained weights.
        pictures: of the table's rows.
        folds: a part of the rows each, that judge heads fitted to the rest.
        member: the run folder to write: fold0, and probe.npz with the out-of-fold probabilities.

    Raises:
        TimeIsUpError: the features take longer than there is time.
    """
    labels, file = table.labels, member / "probe.npz"
    if resume and file.exists():
        with np.load(file) as kept:
            probs = kept["probs"]
        return ProbeMember(probs, float(METRICS[metric](labels, probs)))
    begin = time.perf_counter()
    model = _network(start, len(table.classes))
    extractor = Extractor(model, start.preprocessing, runtime, VIEWS)
    features = extractor(_counted(pictures, limit))
    parts = [(fold.train_rows, fold.valid_rows) for fold in folds]
    found = contend(features, labels, len(table.classes), parts)
    score = float(METRICS[metric](labels, found.oof_probs))
    _save(model, found, start, table, member, score)
    stream = io.BytesIO()
    np.savez(stream, probs=found.oof_probs)
    write_bytes(file, stream.getvalue())
    say(
        f"probe    {score:.4f} {metric} out of fold: {found.share:.0%} discriminant on features of both views at "
        f"{start.preprocessing.size} px by {extractor.how}, {duration(time.perf_counter() - begin)}"
    )
    return ProbeMember(found.oof_probs, score)


def _network(start: Start, classes: int) -> Classifier:
    """The backbone at its start under the probe's head; the start itself is left as it is."""
    model = build(start.config.model_copy(update={"head": HEAD}), classes)
    model.backbone.load_state_dict(copy.deepcopy(start.model.backbone.state_dict()))
    return model.eval()


def _counted(pictures: Pictures, limit: TimeLimit) -> Iterator[np.ndarray]:
    with Bar(len(pictures), "picture", "features for the probe") as bar:
        for row in range(len(pictures)):
            bar.advance()
            limit.check("computing the features for the probe")
            yield pictures[row]


def _save(model: Classifier, found: Contender, start: Start, table: Table, folder: Path, score: float) -> None:
    with torch.no_grad():
        model.head.classifier.weight.copy_(torch.from_numpy(found.linear.weight))  # type: ignore[union-attr, operator]
        model.head.classifier.bias.copy_(torch.from_numpy(found.linear.bias))  # type: ignore[union-attr, operator]
    config = start.config.model_copy(update={"head": HEAD, "views": VIEWS, "epochs": 0})
    prior = tuple((table.counts / table.counts.sum()).tolist())
    description = Description(config, table.values, prior, start.preprocessing, 0, 0, score, False, found.loss)
    save_checkpoint(folder / "fold0", model.state_dict(), description)
