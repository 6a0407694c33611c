"""How good, where wrong, what next: the page's first sentences, each from a number that is on the page."""

from __future__ import annotations

import numpy as np

from protocol.language import tr
from recipe.components.metrics import METRICS
from recipe.data.audit.label_noise import likely_wrong
from recipe.proposal import proposed
from recipe.report.evidence import Evidence
from recipe.report.numbers import counts, pairs, wilson
from recipe.report.sections import copies
from recipe.report.sections.scores import score
from recipe.serving.calibrate import fit_temperature


def next_steps(evidence: Evidence) -> list[str]:
    """What the numbers suggest, the most useful first; none where nothing stands out."""
    parts = (_start, _length, _overfitting, _pair, _labels, _copies, _weak, _sure)
    return [sentence for part in parts if (sentence := part(evidence))]


def _start(evidence: Evidence) -> str:
    probe = evidence.totals.get("probe_oof")
    if not evidence.out_of_fold or probe is None:
        return ""
    if evidence.config.epochs == 0:
        return tr("This is the start alone (0 epochs): train some epochs to see what fine-tuning adds.")
    gain = score(evidence, evidence.metric) - probe
    better = gain if METRICS[evidence.metric].higher_is_better else -gain
    if better > 0:
        return ""
    return tr(
        "Fine-tuning has not beaten the probe on the start's features: lower --lr, keep "
        "BatchNorm frozen, or train longer."
    )


def _length(evidence: Evidence) -> str:
    """Folds whose kept epoch is the last one had not finished learning."""
    kept = {int(fold): known["epoch"] for fold, known in evidence.totals.get("folds", {}).items()}
    last = sum(epoch == evidence.config.epochs > 0 for epoch in kept.values())
    if not evidence.out_of_fold or 2 * last <= len(kept):
        return ""
    return tr(
        "The last epoch was the best in {last} of {kept} folds: a longer run may score higher (-e {epochs}).",
        last=last,
        kept=len(kept),
        epochs=2 * evidence.config.epochs,
    )


def _overfitting(evidence: Evidence) -> str:
    ends = [[log for log in evidence.logs if log.fold == fold] for fold in evidence.folds]
    turned = [
        logs for logs in ends if len(logs) > 2 and logs[-1].valid_loss > 1.1 * min(log.valid_loss for log in logs)
    ]
    if not turned or 2 * len(turned) < len(ends):
        return ""
    return tr(
        "The validation loss rises towards the end while training goes on: more augmentation, "
        "mixing or weight decay, or fewer epochs."
    )


def _pair(evidence: Evidence) -> str:
    found = pairs(counts(evidence.labels[evidence.scored], evidence.answers[evidence.scored], len(evidence.classes)))
    wrong = sum(pair.rows for pair in found)
    if not found or found[0].rows < max(3, 0.05 * wrong):
        return ""
    top = found[0]
    return tr(
        "{label} is answered as {answer} {rows} times ({share:.0%} of its pictures): look "
        "at these mistakes below; larger pictures (--image-size) help where details decide.",
        label=evidence.classes[top.label],
        answer=evidence.classes[top.answer],
        rows=top.rows,
        share=top.share,
    )


def _labels(evidence: Evidence) -> str:
    rows = evidence.scored
    suspects = likely_wrong(evidence.labels[rows], evidence.probs[rows])
    if len(suspects) < max(3, 0.01 * len(rows)):
        return ""
    return tr("{suspects} labels are doubtful by confident learning: ", suspects=len(suspects)) + (
        tr("`{proposed}` shows them.", proposed=proposed("audit", run_folder=evidence.folder))
        if evidence.out_of_fold
        else tr("they are among the surest mistakes below.")
    )


def _copies(evidence: Evidence) -> str:
    """Copies of scored pictures among those that were trained on, where they are more than a few."""
    if not evidence.out_of_fold or evidence.pictures is None:
        return ""
    seen = copies.with_a_copy(evidence)
    if len(seen) < max(3, 0.01 * len(evidence.scored)):
        return ""
    return tr(
        "{seen} pictures have a copy in another fold, which moves the score by {optimism:+.4f}: "
        "set group_duplicates: true to be judged on new pictures only.",
        seen=len(seen),
        optimism=copies.optimism(evidence, seen),
    )


def _weak(evidence: Evidence) -> str:
    """Classes whose recall is below the overall accuracy beyond what chance explains."""
    matrix = counts(evidence.labels[evidence.scored], evidence.answers[evidence.scored], len(evidence.classes))
    overall = np.trace(matrix) / max(1, matrix.sum())
    weak = [
        name
        for name, own, total in zip(evidence.classes, np.diag(matrix), matrix.sum(axis=1), strict=True)
        if total and wilson(int(own), int(total))[1] < overall
    ]
    if not weak:
        return ""
    return tr(
        "Worse than the rest beyond chance: {weak}{hint}. More pictures of these pay most.",
        weak=", ".join(weak[:6]),
        hint=tr(" and others") if len(weak) > 6 else "",
    )


def _sure(evidence: Evidence) -> str:
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    if (error := METRICS["calibration_error"](labels, probs)) < 0.03:
        return ""
    warmth = fit_temperature(labels, probs)
    return tr(
        "Probabilities are off by {error:.1%} on average; a temperature of {warmth:.2f} mends it (`{proposed}`).",
        error=error,
        warmth=warmth,
        proposed=proposed("tune", runs=[evidence.folder], temperature=True),
    )
