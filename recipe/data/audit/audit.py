"""Look at the data first: what lies in a table, which pictures are there twice, which labels are probably wrong.

python -m recipe audit --csv train.csv --images pictures        # a minute per 2,000 pictures on two cores; writes
audit.html and CSVs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from protocol.errors import UserError
from protocol.language import tr
from recipe.data.audit.facts import Facts, gather
from recipe.data.audit.label_noise import Suspect, likely_wrong
from recipe.data.audit.probe import FrozenNetwork, oof_probs
from recipe.data.duplicates import Pair, find_pairs, groups_of
from recipe.data.findings import Finding
from recipe.data.folds import make_folds
from recipe.data.table import Table
from recipe.pictures.cache import Pictures, Progress


@dataclass(frozen=True, eq=False)
class Audit:
    """Everything the page shows. Rows are those of `table`; from `hidden_start` on, of the second set."""

    table: Table
    pictures: Pictures  # of the table and then of the second set
    facts: list[Facts]
    pairs: list[Pair]
    groups: np.ndarray  # (N + M,) int64, rows of a group show the same picture
    suspects: list[Suspect]
    note: str  # where the probabilities came from, or why there are none
    plain_accuracy: float  # out-of-fold, folds that ignore duplicates; NaN without probabilities
    aware_accuracy: float  # out-of-fold, duplicates on one side

    @property
    def hidden_start(self) -> int:
        """The number of rows of the table."""
        return len(self.table)

    @property
    def unreadable(self) -> list[int]:
        """Rows, the second set included, whose picture cannot be read."""
        return [row for row, fact in enumerate(self.facts) if fact.reason]

    @property
    def across_labels(self) -> list[Pair]:
        """Pairs within the table that carry different labels."""
        labels = self.table.labels
        return [
            pair for pair in self.pairs if pair.other < self.hidden_start and labels[pair.row] != labels[pair.other]
        ]

    @property
    def across_sets(self) -> list[Pair]:
        """Pairs of a table row and a row of the second set."""
        return [pair for pair in self.pairs if pair.row < self.hidden_start <= pair.other]

    @property
    def small_classes(self) -> list[str]:
        """Names of classes with fewer rows than a tenth of the largest class."""
        counts = self.table.counts
        return [name for name, count in zip(self.table.classes, counts, strict=True) if 10 * count < counts.max()]


def audit(
    table: Table,
    hidden_paths: Sequence = (),
    network: FrozenNetwork | None = None,
    probs: np.ndarray | None = None,
    folds: int = 5,
    seed: int = 0,
    note: str = "",
    progress: Progress | None = None,
) -> Audit:
    """The audit of a table as read (unchecked).

    Args:
        table: its rows are looked at, whether they can be read or not.
        hidden_paths: pictures of a second set, such as the hidden one where it may be looked at: only compared for
            duplicates.
        network: makes features for the probabilities; None looks for no wrong labels, unless `probs` is given.
        probs: (N,K) out-of-fold probabilities of a finished run; they win over the network.
        folds: of the probe.
        seed: of the folds.
        note: where the probabilities come from.
        progress: called with (pictures seen, pictures in all), in two rounds where there is a network.
    """
    pictures = Pictures([*table.paths, *hidden_paths], network.short_side if network else 96)
    facts, thumbnails = gather(pictures, progress)
    pairs = find_pairs(thumbnails, [fact.digest for fact in facts])
    pairs = [pair for pair in pairs if not (facts[pair.row].reason or facts[pair.other].reason) or pair.kind == "exact"]
    known = (
        None
        if table.groups is None
        else np.concatenate([table.groups, table.groups.max() + 1 + np.arange(len(hidden_paths))])
    )
    groups = groups_of(pairs, len(pictures), known)
    plain = aware = float("nan")
    if probs is None and network is not None:
        probs, plain, aware, note = _probed(table, pictures, facts, groups, network, folds, seed, progress)
    suspects = likely_wrong(table.labels, probs) if probs is not None else []
    return Audit(table, pictures, facts, pairs, groups, suspects, note, plain, aware)


def _probed(
    table: Table,
    pictures: Pictures,
    facts: Sequence[Facts],
    groups: np.ndarray,
    network: FrozenNetwork,
    folds: int,
    seed: int,
    progress: Progress | None,
) -> tuple[np.ndarray | None, float, float, str]:
    """Out-of-fold probabilities (N,K) of the readable rows under duplicate-aware folds, both accuracies, and a note."""
    rows = np.array([row for row in range(len(table)) if not facts[row].reason], np.int64)
    usable = replace(table.take(rows), groups=None)
    try:
        plain_folds, aware_folds = make_folds(usable, folds, seed), make_folds(usable, folds, seed, groups[rows])
    except UserError as error:
        return None, float("nan"), float("nan"), tr("no search for wrong labels: {error}", error=error)
    features = network.features(pictures.of(usable.paths), progress)
    plain, aware = (oof_probs(features, usable, made, network.config.probe_c) for made in (plain_folds, aware_folds))
    probs = np.full((len(table), len(table.classes)), np.nan, np.float32)
    probs[rows] = aware
    accuracies = [float((made.argmax(axis=1) == usable.labels).mean()) for made in (plain, aware)]
    note = tr(
        "logistic regression on frozen {backbone} features at {image_size} px, {folds} duplicate-aware folds",
        backbone=network.config.backbone,
        image_size=network.config.image_size,
        folds=folds,
    )
    return probs, accuracies[0], accuracies[1], note


def findings_of(found: Audit) -> list[Finding]:
    """What should be mended, as sentences: unreadable pictures, duplicates under two labels, leaks."""
    table = found.table

    def line(row: int) -> int:
        return table.lines[row] if row < len(table) else 0

    mend = []
    for row in found.unreadable:
        mend.append(
            Finding(
                table.source,
                line(row),
                "unreadable-picture",
                f"{found.facts[row].path}: {found.facts[row].reason}",
                tr("replace it"),
                True,
            )
        )
    for pair in found.across_labels:
        given = [table.classes[table.labels[row]] for row in (pair.row, pair.other)]
        both = tr(
            "{one} and {other} are the same picture ({kind})",
            one=table.names[pair.row],
            other=table.names[pair.other],
            kind=pair.kind,
        )
        mend.append(
            Finding(
                table.source,
                line(pair.other),
                "duplicate-two-labels",
                tr("{both}, labelled {one!r} and {other!r}", both=both, one=given[0], other=given[1]),
                tr("keep the right one"),
            )
        )
    for pair in found.across_sets:
        what = tr(
            "{names} is {kind} the same as {path} of the second set",
            names=table.names[pair.row],
            kind=pair.kind,
            path=found.facts[pair.other].path,
        )
        mend.append(
            Finding(table.source, line(pair.row), "duplicate-across-sets", what, tr("a score on that picture is none"))
        )
    return mend
