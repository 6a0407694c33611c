"""Which part of a picture speaks for a class, by Grad-CAM: right and wrong answers on pictures not trained on.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017,
section 3.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from protocol.language import later, tr
from recipe.models.classifier import Classifier
from recipe.pictures.decode import centre_crop
from recipe.report.evidence import Evidence
from recipe.report.network import Network, first_network, inputs, spread
from recipe.report.section import Section, Tile, Tiles
from recipe.report.sections.pictures import beside, caption, square

EXAMPLES = 8  # right ones, and as many wrong ones
ATTENTION = later("What the network looks at")


def attention_section(evidence: Evidence) -> Section:
    """Heat maps of right and wrong examples of the first fold."""
    if evidence.pictures is None:
        return Section(
            "gradcam", tr(ATTENTION), [tr("Grad-CAM is left out: {no_pictures}.", no_pictures=evidence.no_pictures)]
        )
    network = first_network(evidence)
    rows = evidence.unseen()
    right = evidence.answers[rows] == evidence.labels[rows]
    wrong = sorted(rows[~right].tolist(), key=lambda row: -evidence.probs[row, evidence.answers[row]])[:EXAMPLES]
    hits = spread(evidence, rows[right], EXAMPLES).tolist()
    text = [
        tr(
            "Warm places raise the logit of the class (Grad-CAM at the last feature map, first fold, "
            "pictures it was not trained on). A hit that is warm on the background, on a border or "
            "on writing was right for the wrong reason. Mistakes show two maps: what spoke for the "
            "answer, and what spoke for the true class."
        )
    ]
    try:
        pages = [
            Tiles(
                "gradcam_right",
                tr("Right: the picture, and what spoke for it"),
                _strips(evidence, network, hits, "good"),
                3,
            ),
            Tiles(
                "gradcam_wrong",
                tr("Wrong: the picture, for the answer, for the true class"),
                _strips(evidence, network, wrong, "bad"),
                2,
            ),
        ]
    except NoFeatureMapError as error:
        return Section("gradcam", tr(ATTENTION), [tr("Grad-CAM is left out: {error}", error=error)])
    return Section("gradcam", tr(ATTENTION), text, tiles=[page for page in pages if page.tiles])


class NoFeatureMapError(ValueError):
    """The backbone gives no (B, C, h, w) features."""


def heat(model: Classifier, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """(B, h, w) in [0, 1]: the positive part of the feature map weighted by the mean gradient of the class's logit.

    Args:
        images: (B, 3, H, W) normalised.
        classes: (B,) the class to explain in each picture.

    Limit: a map without a positive part is 0 everywhere.

    Raises:
        NoFeatureMapError: the backbone gives tokens.
    """
    with torch.no_grad():
        features = model.backbone.forward_features(images)  # type: ignore[operator]
    if features.ndim != 4 or features.shape[-1] == features.shape[1]:
        raise NoFeatureMapError(
            tr(
                "the backbone gives features of shape {shape}, not a map with channels and places.",
                shape=tuple(features.shape),
            )
        )
    with torch.enable_grad():
        features = features.detach().requires_grad_()
        pooled = features if model.head.spatial else model.backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
        logits = model.head(pooled)
        (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), features)
    maps = (gradient.mean((2, 3), keepdim=True) * features.detach()).sum(1).relu()
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def _strips(evidence: Evidence, network: Network, rows: list[int], mood: str) -> list[Tile]:
    size = network.preprocessing.size
    shown = [(row, centre_crop(picture, size)) for row in rows if (picture := evidence.picture(row)) is not None]
    if not shown:
        return []
    images = inputs(network, np.stack([crop for _, crop in shown]))
    kept = [row for row, _ in shown]
    explained = [evidence.answers[kept]] + ([evidence.labels[kept]] if mood == "bad" else [])
    maps = [
        heat(network.model, images, torch.from_numpy(labels).to(images.device)).cpu().numpy() for labels in explained
    ]
    return [
        Tile(
            beside([square(crop), *(overlay(square(crop), of_class[place]) for of_class in maps)]),
            caption(evidence, row),
            str(evidence.names[row]),
            mood,
        )
        for place, (row, crop) in enumerate(shown)
    ]


def overlay(image: np.ndarray, warmth: np.ndarray) -> np.ndarray:
    """A map (h, w) in [0, 1] laid over a picture; cold places keep the picture, darkened."""
    enlarged = cv2.resize(warmth.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = cv2.cvtColor(
        cv2.applyColorMap((255 * enlarged).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB
    )
    strength = 0.25 + 0.45 * enlarged[..., None]
    return (image * (1 - strength) + colours * strength).astype(np.uint8)
