"""What augmentation and mixing really feed the network: the first batches of the first fold's first epoch, as training
made them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from recipe.components.augment.pipeline import Augment, AugmentViews
from recipe.components.mixes import MIXES
from recipe.components.samplers import SAMPLERS
from recipe.data.batch import Batch
from recipe.pictures.preprocessing import Preprocessing
from recipe.report.evidence import Evidence
from recipe.report.section import Section, Tile, Tiles
from recipe.report.tiles import square
from recipe.runs.description import fold_folders, read_description
from recipe.training.loader import Loader

SHOWN = 24
TITLE = "What the network is fed"


def section(evidence: Evidence) -> Section:
    """The pictures of a batch with their labels and shares, beside the settings that made them."""
    if not evidence.out_of_fold:
        return Section("fed", TITLE, ["The training pictures belong to the report of the run and are left out here."])
    if evidence.pictures is None:
        return Section("fed", TITLE, [f"The training pictures are left out: {evidence.no_pictures}."])
    config = evidence.config
    batch = first_batch(evidence)
    text = [
        f"{min(SHOWN, len(batch))} of the {len(batch)} pictures of the first step of fold {evidence.folds[0]}, "
        "exactly as training meets them. "
        f"augment: {config.augment}; mix: {config.mix}. "
        "If you cannot tell the class any more, neither can the network: lower the strength or p of what hides it."
    ]
    if config.epochs == 0:
        text.append("This run has 0 epochs and fed none of them; they are what one epoch would.")
    preprocessing = read_description(fold_folders(evidence.folder)[0]).preprocessing
    tiles = [
        Tile(square(image), _caption(evidence, batch, place))
        for place, image in enumerate(seen(batch, preprocessing)[:SHOWN])
    ]
    return Section("fed", TITLE, text, tiles=[Tiles("fed", "A training batch, after augmentation and mixing", tiles)])


def first_batch(evidence: Evidence) -> Batch:
    """The batch of step 0 of the first trained fold, normalised and mixed, as recipe/training/fold.py makes it."""
    config, fold = evidence.config, evidence.folds[0]
    preprocessing = read_description(fold_folders(evidence.folder)[0]).preprocessing
    rows = np.flatnonzero(evidence.fold_of != fold)
    seed = int(np.random.SeedSequence([config.seed, fold]).generate_state(1)[0])
    augment = AugmentViews if config.consistency else Augment
    transform = augment(config.augment, config.image_size, preprocessing.crop_pct)
    weights = SAMPLERS.build(config.sampler, evidence.labels[rows])
    assert evidence.pictures is not None  # the caller has looked
    loader = Loader(
        evidence.pictures,
        evidence.labels,
        rows,
        config.batch_size,
        transform,
        seed=seed,
        weights=weights,
        workers=1,
        prefetch=1,
    )
    batches = loader.epoch(1)
    batch = next(batches)
    batches.close()  # type: ignore[attr-defined]
    batch = dataclasses.replace(batch, images=preprocessing.normalise(batch.images))
    if config.epochs - config.mix_off_epochs < 1 and config.epochs > 0:
        return batch
    step_seed = int(np.random.SeedSequence([seed, 0]).generate_state(1)[0])
    return MIXES.build(config.mix)(batch, torch.Generator().manual_seed(step_seed))


def seen(batch: Batch, preprocessing: Preprocessing) -> list[np.ndarray]:
    """Normalised pictures (B, 3, H, W) as (H, W, 3) uint8 again."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    images = batch.images[
        ..., : batch.images.shape[-1], :
    ]  # of AugMix's views, which stand one below the other, the plain one
    pixels = ((images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return list(pixels.permute(0, 2, 3, 1).contiguous().numpy())


def _caption(evidence: Evidence, batch: Batch, place: int) -> str:
    label, other, lam = (int(batch.labels[place]), int(batch.labels_b[place]), float(batch.lam[place]))
    if lam == 1 or label == other:
        return evidence.classes[label]
    return f"{evidence.classes[label]} {lam:.2f} + {evidence.classes[other]} {1 - lam:.2f}"
