"""What a person writes without this project, for `benchmarks.equal_time`: timm scripts, and frozen features with LDA.

    python -m benchmarks.rivals timm FOLDER SECONDS OUT.json

FOLDER holds train.csv and test.csv (image_path,label). Each reads, trains and predicts within the seconds, counted from
the start of the process, on one thread, and writes its labels for test.csv. All start from the same packaged weights
of EfficientNet-Lite0. The script is as strong as could be made: pictures decoded once, channels_last, the first stages
frozen, AdamW with layer-wise decay 0.75 and a faster head, an average of weights, label smoothing, BatchNorm statistics
frozen, all rows, rate by the clock, test at 224 px with the mirrored view. `timm` starts from a random head; `lp-timm`
from the discriminant of frozen features, whose answers it averages with the network's at the end.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image

from recipe.models.weights import load_pretrained
from recipe.system import torchvision_guard  # noqa: F401  (before timm)
from recipe.training.contender.linear import Linear, discriminant

TRAIN, TEST, SHORT, BATCH = 192, 224, 256, 16
HEAD_RATE, FROZEN_STAGES = 3.0, 2
SHRINKAGE = 0.3
SURE = 0.3  # of the sharpness of the discriminant, as the start of a head that is still to learn
MEAN = STD = 0.5


def pictures(folder: Path, names: list[str]) -> list[np.ndarray]:
    """RGB with a short side of 256 pixels."""
    made = []
    for name in names:
        image = cv2.cvtColor(cv2.imread(str(folder / name), how_to_read(folder / name)), cv2.COLOR_BGR2RGB)
        scale = SHORT / min(image.shape[:2])
        size = (max(SHORT, round(image.shape[1] * scale)), max(SHORT, round(image.shape[0] * scale)))
        made.append(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
    return made


def how_to_read(path: Path) -> int:
    """In colour; a large photograph at a quarter of its size, which JPEG gives cheaply."""
    with Image.open(path) as image:
        large = min(image.size) >= 4 * SHORT
    return cv2.IMREAD_REDUCED_COLOR_4 if large else cv2.IMREAD_COLOR_BGR


def tensor(crops: list[np.ndarray]) -> torch.Tensor:
    """Normalised, channels_last."""
    stacked = torch.from_numpy(np.ascontiguousarray(np.stack(crops))).permute(0, 3, 1, 2).float()
    return ((stacked / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def centre(image: np.ndarray) -> np.ndarray:
    """The middle 224 x 224 pixels."""
    top, left = (image.shape[0] - TEST) // 2, (image.shape[1] - TEST) // 2
    return image[top : top + TEST, left : left + TEST]


def resized_crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """RandomResizedCrop with at least half of the area, and a random mirror."""
    height, width = image.shape[:2]
    area, ratio = height * width * random.uniform(0.5, 1), np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    w, h = min(width, round(np.sqrt(area * ratio))), min(height, round(np.sqrt(area / ratio)))
    top, left = random.integers(height - h + 1), random.integers(width - w + 1)
    crop = cv2.resize(image[top : top + h, left : left + w], (TRAIN, TRAIN), interpolation=cv2.INTER_AREA)
    return crop[:, ::-1] if random.random() < 0.5 else crop


def backbone(classes: int) -> torch.nn.Module:
    """timm's network with the packaged weights, and a new head."""
    import timm

    base = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    load_pretrained(base, "tf_efficientnet_lite0")
    model = timm.create_model("tf_efficientnet_lite0", num_classes=classes)
    model.load_state_dict(base.state_dict(), strict=False)
    return model.to(memory_format=torch.channels_last)


def both_views(call: Callable[[torch.Tensor], torch.Tensor], shown: list[np.ndarray], views: int = 2) -> torch.Tensor:
    """(views, N, D): of the centre crops and of the mirrored ones."""
    crops = [centre(image) for image in shown]
    found = [crops, [crop[:, ::-1] for crop in crops]][:views]
    with torch.inference_mode():
        return torch.stack([torch.cat([call(tensor(v[i : i + 16])) for i in range(0, len(v), 16)]) for v in found])


def network(classes: int) -> torch.nn.Module:
    """The backbone, whose stem and first stages stay as they are, and a random head."""
    model = backbone(classes).eval()
    for part in (model.conv_stem, model.bn1, *list(model.blocks)[:FROZEN_STAGES]):  # type: ignore[call-overload]
        part.requires_grad_(False)
    return model


def optimizer_of(model: torch.nn.Module) -> torch.optim.Optimizer:
    """AdamW by layers, the head faster."""
    from timm.optim import param_groups_layer_decay

    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.75)
    head = {id(parameter) for parameter in model.get_classifier().parameters()}  # type: ignore[operator]
    for group in groups:
        if any(id(parameter) in head for parameter in group["params"]):
            group["lr_scale"] = HEAD_RATE
    return torch.optim.AdamW(groups, lr=1e-3)


def embedding(model: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """What its head takes."""
    return lambda images: model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]


def timm_script(folder: Path, seconds: float, began: float, seed: int, probed: bool = False) -> list[str]:
    """Fine-tunes until the rest of the time is what prediction takes; with `probed`, the head starts from discriminant
    analysis of frozen features, whose probabilities are averaged with the network's.
    """
    torch.manual_seed(seed)
    train, test = (pd.read_csv(folder / f"{part}.csv", dtype=str) for part in ("train", "test"))
    classes, labels = np.unique(train.label, return_inverse=True)
    shown, hidden = pictures(folder, list(train.image_path)), pictures(folder, list(test.image_path))
    model = network(len(classes))
    both_views(model, hidden[:16])
    start = time.perf_counter()
    both_views(model, hidden[:16])
    picture = (time.perf_counter() - start) / 16
    answers = 1.15 * picture * len(hidden)
    known = np.zeros((len(hidden), len(classes)))
    if probed:
        left = seconds - (time.perf_counter() - began) - 2 * answers
        known = start_from_probe(model, shown, labels, hidden, 2 if picture * len(shown) < left / 3 else 1)
    average = fine_tune(model, shown, labels, began, seconds - answers - 2, np.random.default_rng(seed))
    probs = both_views(average, hidden).softmax(-1).mean(0).numpy() + known
    return list(classes[probs.argmax(1)])


def start_from_probe(
    model: torch.nn.Module, shown: list[np.ndarray], labels: np.ndarray, hidden: list[np.ndarray], views: int
) -> np.ndarray:
    """The head becomes the discriminant, less sure; returns what that of signed roots says of the hidden pictures."""
    found = both_views(embedding(model), shown, views).numpy()
    features, twice, classes = found.reshape(-1, found.shape[2]), np.tile(labels, views), int(labels.max()) + 1
    start = discriminant(features, twice, classes, SHRINKAGE).scaled(SURE)
    with torch.no_grad():
        model.get_classifier().weight.copy_(torch.from_numpy(start.weight))  # type: ignore[operator]
        model.get_classifier().bias.copy_(torch.from_numpy(start.bias))  # type: ignore[operator]
    answer: Linear = discriminant(np.sqrt(features), twice, classes, SHRINKAGE)
    logits = torch.from_numpy(answer.logits(np.sqrt(both_views(embedding(model), hidden).numpy())))
    return (SURE * logits).softmax(-1).mean(0).numpy()


def fine_tune(
    model: torch.nn.Module, shown: list[np.ndarray], labels: np.ndarray, began: float, end: float,
    random: np.random.Generator,
) -> torch.nn.Module:  # fmt: skip
    """The moving average after as many steps as fit until `end`, in seconds since `began`."""
    from timm.utils import ModelEmaV3

    optimizer, average = optimizer_of(model), ModelEmaV3(model, decay=0.95, use_warmup=True)
    first, order, step = time.perf_counter() - began, np.zeros(0, int), 0
    while (now := time.perf_counter() - began) < end:
        progress = (now - first) / (end - first)
        rate = min(1.0, progress / 0.1) * 0.5 * (1 + np.cos(np.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rate * group.get("lr_scale", 1.0)
        if len(order) < BATCH:
            order = np.concatenate([order, random.permutation(len(labels))])
        rows, order = order[:BATCH], order[BATCH:]
        images, step = tensor([resized_crop(shown[row], random) for row in rows]), step + 1
        F.cross_entropy(model(images), torch.from_numpy(labels[rows]), label_smoothing=0.1).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update(model, step=step)
    print(f"{step} steps", file=sys.stderr)
    return average.module.eval()


def lp_timm(folder: Path, seconds: float, began: float, seed: int) -> list[str]:
    """The script with the probe at its start and at its end."""
    return timm_script(folder, seconds, began, seed, probed=True)


def frozen(folder: Path, seconds: float, began: float, seed: int) -> list[str]:
    """Features of both views at 224 px, signed square roots, discriminant analysis."""
    train, test = (pd.read_csv(folder / f"{part}.csv", dtype=str) for part in ("train", "test"))
    classes, labels = np.unique(train.label, return_inverse=True)
    embed = embedding(backbone(1).eval())
    features = np.sqrt(both_views(embed, pictures(folder, list(train.image_path))).numpy())
    answer = discriminant(features.reshape(-1, features.shape[2]), np.tile(labels, 2), len(classes), SHRINKAGE)
    hidden = np.sqrt(both_views(embed, pictures(folder, list(test.image_path))).numpy())
    return list(classes[answer.logits(hidden).mean(0).argmax(1)])


RIVALS = {"timm": timm_script, "lp-timm": lp_timm, "frozen": frozen}


def main() -> None:
    """One rival on one folder."""
    from recipe.system.memory import keep_freed_blocks

    began = time.perf_counter()
    keep_freed_blocks()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    name, folder, seconds, out, *seed = sys.argv[1:]
    answers = RIVALS[name](Path(folder), float(seconds), began, int(seed[0]) if seed else 0)
    Path(out).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
