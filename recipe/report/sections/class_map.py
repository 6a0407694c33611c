"""How the network's features lay the classes out before and after training, by t-SNE of pictures not trained on.

Source: van der Maaten, Hinton, "Visualizing Data using t-SNE", 2008.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.models.classifier import Classifier, build, take_weights
from recipe.models.weights import WeightsError
from recipe.report.evidence import Evidence
from recipe.report.network import Network, first_network, spread
from recipe.report.section import Drawing, Grid, Section, colour, draw, shortened
from recipe.system.console import width
from recipe.training.contender.probe import probe_features

POINTS = 300  # t-SNE of more takes longer than the page is worth
NEIGHBOURS = 5
NAMED = 16  # classes in the legend
LEGEND = 60  # columns of text that fit into a line of it
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
                label=shortened(evidence.classes[label]),
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        if total <= NAMED:
            longest = max(width(shortened(evidence.classes[label])) for label in np.unique(labels).tolist())
            columns = max(1, min(4, LEGEND // (longest + 4)))
            figure.legend(loc="outside lower center", ncols=columns, handletextpad=0.1, columnspacing=0.8)

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
