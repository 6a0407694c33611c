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

from protocol.language import tr
from recipe.components.metrics import METRICS
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.classifier import Classifier, build
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.pictures.decode import resize_short
from recipe.pictures.preprocessing import Preprocessing, at_size, short_side
from recipe.runs.checkpoint import Description, save_checkpoint
from recipe.system.atomic import write_bytes
from recipe.system.console import Bar, duration, say
from recipe.system.runtime import Runtime
from recipe.training.clock.limit import TimeLimit
from recipe.training.contender.contend import Contender, contend
from recipe.training.contender.features import Extractor

RUN = "members/probe"  # within the run folder
VIEWS = "identity(), hflip()"
HEAD = "root()"


SMALLER = (5 / 7, 4 / 7)  # of the size, where the time is short: 160 and 128 px of 224
SHARE = 1 / 2  # of the time that is left, for the features; and
ALONE = 3 / 5  # where a network would have less than
WORTH = 1.0  # passes over the rows after them: it would be given next to nothing of the answer
TRIED = 4  # pictures that time the features


@dataclass(frozen=True)
class Form:
    """What features are computed of."""

    preprocessing: Preprocessing
    views: str


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
    extractor, form = _extractor(model, start.preprocessing, runtime, pictures, limit)
    features = extractor(_counted(pictures, short_side(form.preprocessing), limit))
    parts = [(fold.train_rows, fold.valid_rows) for fold in folds]
    found = contend(features, labels, len(table.classes), parts)
    score = float(METRICS[metric](labels, found.oof_probs))
    _save(model, found, start, form, table, member, score)
    stream = io.BytesIO()
    np.savez(stream, probs=found.oof_probs)
    write_bytes(file, stream.getvalue())
    say(
        tr(
            "probe    {score:.4f} {metric} out of fold: {share:.0%} discriminant on features in "
            "{views} at {size} px by {how}, {duration}",
            score=score,
            metric=tr(metric),
            share=found.share,
            views=form.views,
            size=form.preprocessing.size,
            how=extractor.how,
            duration=duration(time.perf_counter() - begin),
        )
    )
    return ProbeMember(found.oof_probs, score)


def _network(start: Start, classes: int) -> Classifier:
    """The backbone at its start under the probe's head; the start itself is left as it is."""
    model = build(start.config.model_copy(update={"head": HEAD}), classes)
    model.backbone.load_state_dict(copy.deepcopy(start.model.backbone.state_dict()))
    return model.eval()


def forms(preprocessing: Preprocessing) -> list[tuple[Form, float]]:
    """What features can be computed of, the best first, with the cost of each against the first."""
    smaller = [(at_size(preprocessing, max(8, round(preprocessing.size * share))), share) for share in SMALLER]
    less = [(Form(preprocessing, "identity()"), 0.5)] + [(Form(p, "identity()"), share**2 / 2) for p, share in smaller]
    return [(Form(preprocessing, VIEWS), 1.0), *less]


def fitting(preprocessing: Preprocessing, seconds: float, left: float, epoch: float = 0.0) -> Form:
    """The best form whose features take no more than half of the time that is left, or the cheapest; somewhat more
    where the other half would not even show a network all rows once, so that the probe is what answers.

    Args:
        seconds: that all features take in the best form.
        epoch: seconds that a network learns for in one pass over all rows.
    """
    form, cost = _first(preprocessing, seconds, SHARE * left)
    if left - cost * seconds < WORTH * epoch:
        return _first(preprocessing, seconds, ALONE * left)[0]
    return form


def _first(preprocessing: Preprocessing, seconds: float, left: float) -> tuple[Form, float]:
    listed = forms(preprocessing)
    return next(((form, cost) for form, cost in listed if cost * seconds <= left), listed[-1])


def _extractor(
    model: Classifier, preprocessing: Preprocessing, runtime: Runtime, pictures: Pictures, limit: TimeLimit
) -> tuple[Extractor, Form]:
    """What computes the features, in the form that the time allows."""
    extractor = Extractor(model, preprocessing, runtime, VIEWS)
    if not limit.limited:
        return extractor, Form(preprocessing, VIEWS)
    tried = [pictures[row] for row in range(min(TRIED, len(pictures)))]
    extractor(tried[:1])
    begin = time.perf_counter()
    extractor(tried)
    seconds = (time.perf_counter() - begin) / len(tried) * len(pictures)
    form = fitting(preprocessing, seconds, limit.left, len(pictures) / (runtime.pictures_per_second or np.inf))
    if form.views == VIEWS:
        return extractor, form
    return Extractor(model, form.preprocessing, runtime, form.views), form


def _counted(pictures: Pictures, side: int, limit: TimeLimit) -> Iterator[np.ndarray]:
    with Bar(len(pictures), "picture", tr("features for the probe")) as bar:
        for row in range(len(pictures)):
            bar.advance()
            limit.check(tr("computing the features for the probe"))
            yield resize_short(pictures[row], side)


def _save(
    model: Classifier, found: Contender, start: Start, form: Form, table: Table, folder: Path, score: float
) -> None:
    with torch.no_grad():
        model.head.classifier.weight.copy_(torch.from_numpy(found.linear.weight))  # type: ignore[union-attr, operator]
        model.head.classifier.bias.copy_(torch.from_numpy(found.linear.bias))  # type: ignore[union-attr, operator]
    config = start.config.model_copy(update={"head": HEAD, "views": form.views, "epochs": 0})
    prior = tuple((table.counts / table.counts.sum()).tolist())
    description = Description(config, table.values, prior, form.preprocessing, 0, 0, score, False, found.loss)
    save_checkpoint(folder / "fold0", model.state_dict(), description)
