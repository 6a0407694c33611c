"""The report's pictures: the surest mistakes, the least sure hits, and what augmentation and mixing feed the network.

One small WebP each on the page, and a PNG with captions beside it.
"""

from __future__ import annotations

import base64
import dataclasses
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.components.augment.pipeline import Augment, AugmentViews
from recipe.components.mixes import MIXES
from recipe.components.samplers import SAMPLERS
from recipe.data.batch import Batch
from recipe.pictures.decode import centre_crop, resize_short
from recipe.pictures.preprocessing import Preprocessing
from recipe.report.evidence import Evidence
from recipe.report.section import DOTS_PER_INCH, Grid, Section, Tile, Tiles, draw
from recipe.report.sections.scores import number
from recipe.runs.description import fold_folders, read_description
from recipe.training.loader import Loader

SIDE = 128  # pixels; the page shows them at that size or smaller
CAPTION = 44  # pixels below a tile of the PNG


def square(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The centre of a picture, (side, side, 3)."""
    return centre_crop(resize_short(image, side), side)


def address(image: np.ndarray, quality: int = 78) -> str:
    """A picture as a data address."""
    encoded = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def contact_sheet(tiles: Tiles) -> bytes:
    """All tiles in one PNG with their captions."""
    columns = min(tiles.columns, len(tiles.tiles))
    rows = -(-len(tiles.tiles) // columns)
    height, width = tiles.tiles[0].image.shape[:2]
    sheet = np.full((rows * (height + CAPTION), columns * (width + 8), 3), 255, np.uint8)
    for place, tile in enumerate(tiles.tiles):
        top, left = place // columns * (height + CAPTION), place % columns * (width + 8)
        sheet[top : top + height, left : left + width] = tile.image

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(sheet, interpolation="none")
        axes.set_axis_off()
        for place, tile in enumerate(tiles.tiles):
            where = place % columns * (width + 8), place // columns * (height + CAPTION) + height + 3
            axes.text(*where, broken(tile.caption, width // 6), fontsize=7, va="top")

    inches = (sheet.shape[1] / DOTS_PER_INCH, sheet.shape[0] / DOTS_PER_INCH)
    return draw(tiles.name, tiles.caption, paint, inches, arranged=False).png


def broken(text: str, width: int, lines: int = 3) -> str:
    """The text in lines of so many letters, of which a Chinese one takes two; what does not fit ends in a mark."""
    found, room = [""], width
    for letter in text:
        wide = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if wide > room:
            if len(found) == lines:
                return "\n".join([*found[:-1], found[-1][:-1] + "…"])
            found, room = [*found, ""], width
        found[-1] += letter
        room -= wide
    return "\n".join(found)


def beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one height in one row with a gap of four pixels."""
    gap = np.full((images[0].shape[0], 4, 3), 128, np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.concatenate(parts[:-1], axis=1)


SHOWN, DRAWN = 24, 16  # of the worst, and of all
FED = later("What the network is fed")


def mistakes_section(evidence: Evidence) -> Section:
    """Two grids, and a table of all mistakes."""
    wrong, unsure = surest_mistakes(evidence), least_sure_hits(evidence)
    text = [
        tr("No picture was answered wrongly. Below are the hits that were nearly missed.")
        if not len(wrong)
        else tr(
            "{wrong} mistakes, the surest first: a sure mistake is often a wrong label, a second "
            "object in the picture or a class that looks like another. Below them the hits that were "
            "nearly missed.",
            wrong=len(wrong),
        )
    ]
    if evidence.pictures is None:
        text.append(tr("The pictures are left out: {no_pictures}.", no_pictures=evidence.no_pictures))
    grids = [_grid(evidence, wrong)]
    pages = [
        Tiles("mistakes", tr("The surest mistakes"), _tiles(evidence, wrong, "bad")),
        Tiles("unsure", tr("The least sure hits"), _tiles(evidence, unsure, "good")),
        Tiles("drawn", tr("Drawn at random: right in green, wrong in red"), _drawn(evidence)),
    ]
    return Section(
        "mistakes", tr("Mistakes in pictures"), text, tiles=[page for page in pages if page.tiles], grids=grids
    )


def surest_mistakes(evidence: Evidence) -> np.ndarray:
    """Rows that are wrong, by falling probability of the answer."""
    rows = evidence.scored[evidence.answers[evidence.scored] != evidence.labels[evidence.scored]]
    return rows[np.argsort(-evidence.probs[rows, evidence.answers[rows]], kind="stable")]


def least_sure_hits(evidence: Evidence) -> np.ndarray:
    """Rows that are right, by rising probability of the answer."""
    rows = evidence.scored[evidence.answers[evidence.scored] == evidence.labels[evidence.scored]]
    return rows[np.argsort(evidence.probs[rows, evidence.answers[rows]], kind="stable")]


def caption(evidence: Evidence, row: int) -> str:
    """`true class 2% → answer 97%`, or `class 41%` for a hit: each with the probability that it was given."""
    label, answer = evidence.labels[row], evidence.answers[row]
    right, given = (f"{evidence.classes[each]} {evidence.probs[row, each]:.0%}" for each in (label, answer))
    return given if label == answer else f"{right} → {given}"


def _drawn(evidence: Evidence) -> list[Tile]:
    """Answers as they are, neither the worst nor the best: the same ones at every call."""
    rows = np.random.default_rng(evidence.config.seed).permutation(evidence.scored)
    right = evidence.answers == evidence.labels
    return [tile for row in rows[:DRAWN].tolist() for tile in _tiles(evidence, [row], "good" if right[row] else "bad")]


def _tiles(evidence: Evidence, rows: Sequence[int] | np.ndarray, mood: str) -> list[Tile]:
    tiles: list[Tile] = []
    for row in map(int, rows[: 2 * SHOWN]):
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
        [later("image_path"), later("true class"), later("answered"), later("probability"), later("of the true class")],
        cells,
        tr("All mistakes"),
        shown=0,
    )


def fed_section(evidence: Evidence) -> Section:
    """The pictures of a batch with their labels and shares, beside the settings that made them."""
    if not evidence.out_of_fold:
        return Section(
            "fed", tr(FED), [tr("The training pictures belong to the report of the run and are left out here.")]
        )
    if evidence.pictures is None:
        return Section(
            "fed", tr(FED), [tr("The training pictures are left out: {no_pictures}.", no_pictures=evidence.no_pictures)]
        )
    config = evidence.config
    batch = first_batch(evidence)
    text = [
        tr(
            "{shown} of the {batch} pictures of the first step of fold {folds}, exactly as training "
            "meets them. augment: {augment}; mix: {mix}. If you cannot tell the class any more, "
            "neither can the network: lower the strength or p of what hides it.",
            shown=min(SHOWN, len(batch)),
            batch=len(batch),
            folds=evidence.folds[0],
            augment=config.augment,
            mix=config.mix,
        )
    ]
    if config.epochs == 0:
        text.append(tr("This run has 0 epochs and fed none of them; they are what one epoch would."))
    preprocessing = read_description(fold_folders(evidence.folder)[0]).preprocessing
    tiles = [
        Tile(square(image), _caption(evidence, batch, place))
        for place, image in enumerate(seen(batch, preprocessing)[:SHOWN])
    ]
    return Section(
        "fed", tr(FED), text, tiles=[Tiles("fed", tr("A training batch, after augmentation and mixing"), tiles)]
    )


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
