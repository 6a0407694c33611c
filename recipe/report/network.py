"""What the first fold's network sees: which part of a picture speaks for a class (Grad-CAM), and how its features lay
the classes out before and after training (t-SNE). Both on pictures that it has not been trained on.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017,
section 3; van der Maaten, Hinton, "Visualizing Data using t-SNE", 2008.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.models.classifier import Classifier, build, take_weights
from recipe.models.weights import WeightsError
from recipe.pictures.decode import centre_crop
from recipe.pictures.preprocessing import Preprocessing
from recipe.report.evidence import Evidence
from recipe.report.pictures import beside, caption, square
from recipe.report.section import Drawing, Grid, Section, Tile, Tiles, colour, draw, shortened
from recipe.runs.checkpoint import load_checkpoint
from recipe.runs.description import fold_folders
from recipe.system.runtime import Runtime, choose_device
from recipe.training.contender.probe import probe_features


@dataclass(frozen=True)
class Network:
    """A trained network and what its pictures need."""

    model: Classifier
    preprocessing: Preprocessing
    runtime: Runtime
    epoch: int  # that was kept; 0 is the start


def first_network(evidence: Evidence) -> Network:
    """The first trained fold, in evaluation mode, in float32."""
    folder = evidence.folder / f"fold{evidence.folds[0]}" if evidence.folds else fold_folders(evidence.folder)[0]
    device = choose_device()
    model, description = load_checkpoint(folder, device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(
        model, description.preprocessing, Runtime(device, memory_format=torch.channels_last), description.epoch
    )


def spread(evidence: Evidence, rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of some rows, drawn with a fixed seed and as evenly over the classes as they allow."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(rows)
    labels = evidence.labels[rows]
    turn = np.zeros(len(rows), np.int64)  # how many of its class come before it
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return rows[np.argsort(turn, kind="stable")[:most]]


def inputs(network: Network, crops: np.ndarray) -> torch.Tensor:
    """Crops (N, S, S, 3) uint8 as the network takes them."""
    images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).to(network.runtime.device)
    return network.preprocessing.normalise(images)


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


POINTS = 300  # t-SNE of more takes longer than the page is worth
NEIGHBOURS = 5
NAMED = 16  # classes in the legend
MAP = later("How the network sees the classes")


def map_section(evidence: Evidence) -> Section:
    """Two maps of the same pictures, and how often neighbours agree."""
    if evidence.pictures is None:
        return Section(
            "embedding", tr(MAP), [tr("The t-SNE maps are left out: {no_pictures}.", no_pictures=evidence.no_pictures)]
        )
    rows = spread(evidence, evidence.unseen(), POINTS)
    rows = np.array([row for row in rows.tolist() if evidence.picture(row) is not None], np.int64)
    if len(rows) < 2 * NEIGHBOURS:
        return Section("embedding", tr(MAP), [tr("t-SNE is left out: {rows} pictures are too few.", rows=len(rows))])
    network = first_network(evidence)
    after = _features(evidence, network, network.model, rows)
    text = [
        tr(
            "t-SNE of the penultimate features of {rows} pictures that the first fold's network was "
            "not trained on. Neighbourhoods mean something, distances between groups and their sizes "
            "do not.",
            rows=len(rows),
        )
    ]
    before, reason = _before(evidence, network, rows)
    maps = {}
    if before is not None and np.allclose(before, after, rtol=1e-3, atol=1e-4):
        text.append(
            tr(
                "Training has kept the start's weights below the head, so there is one map: before and "
                "after are the same."
            )
        )
    elif before is not None:
        maps["tsne_before"] = (before, tr("Before training"))
    else:
        text.append(tr("The map before training is left out: {reason}", reason=reason))
    maps["tsne_after"] = (after, tr("After training"))
    labels = evidence.labels[rows]
    agreed = ", ".join(f"{caption.lower()} {agreement(features, labels):.1%}" for features, caption in maps.values())
    text.append(
        tr(
            "Share of a picture's {neighbours} nearest neighbours (in the features, not on the map) "
            "that are of its class: {agreed}.",
            neighbours=NEIGHBOURS,
            agreed=agreed,
        )
    )
    places = {name: flatten(features) for name, (features, _) in maps.items()}
    drawings = [_map(evidence, name, caption, places[name], labels) for name, (_, caption) in maps.items()]
    return Section("embedding", tr(MAP), text, drawings, grids=[_grid(evidence, rows, places)])


def flatten(features: np.ndarray) -> np.ndarray:
    """(N, 2) by t-SNE from (N, D), the same at every call."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(
        1
    ):  # so few points are done before threads have met; on a busy machine they wait for each other
        features = PCA(min(50, *features.shape), random_state=0).fit_transform(features - features.mean(0))
        return TSNE(
            perplexity=min(30.0, (len(features) - 1) / 3), init="pca", max_iter=500, random_state=0
        ).fit_transform(features)


def agreement(features: np.ndarray, labels: np.ndarray) -> float:
    """Mean share of the nearest neighbours, itself left out, that carry the same label."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(features).kneighbors(return_distance=False)
    return float((labels[found] == labels[:, None]).mean())


def _features(evidence: Evidence, network: Network, model: Classifier, rows: np.ndarray) -> np.ndarray:
    pictures = (evidence.picture(row) for row in rows.tolist())
    return probe_features(model, pictures, network.preprocessing, network.runtime)  # type: ignore[arg-type]


def _before(evidence: Evidence, network: Network, rows: np.ndarray) -> tuple[np.ndarray | None, str]:
    model = build(evidence.config, len(evidence.classes))
    try:
        take_weights(model, evidence.config)
    except WeightsError as error:
        return None, str(error).splitlines()[0]
    model.head = copy.deepcopy(
        network.model.head
    )  # a head that pools does so as it learnt to; the backbone is what is compared
    model = model.to(network.runtime.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return _features(evidence, network, model, rows), ""


def _map(evidence: Evidence, name: str, caption: str, places: np.ndarray, labels: np.ndarray) -> Drawing:
    total = len(evidence.classes)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for label in np.unique(labels).tolist():
            own = places[labels == label]
            axes.scatter(
                own[:, 0],
                own[:, 1],
                s=14,
                linewidths=0,
                color=colour(label, total),
                label=shortened(evidence.classes[label], 12),
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        if total <= NAMED:
            figure.legend(loc="outside lower center", ncols=4, handletextpad=0.1, columnspacing=0.8)

    return draw(name, tr("{caption}: t-SNE, a colour per class", caption=caption), paint, (4.7, 4.7))


def _grid(evidence: Evidence, rows: np.ndarray, places: dict[str, np.ndarray]) -> Grid:
    header = [later("image_path"), later("class"), *(f"{name}_{axis}" for name in places for axis in ("x", "y"))]
    cells = [
        [
            evidence.names[row],
            evidence.classes[evidence.labels[row]],
            *(f"{value:.3f}" for points in places.values() for value in points[at]),
        ]
        for at, row in enumerate(rows.tolist())
    ]
    return Grid("tsne", header, cells, shown=0)
