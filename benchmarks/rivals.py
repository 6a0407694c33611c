"""What a person writes without this project, for `benchmarks.equal_time`: a timm script, and frozen features with LDA.

    python -m benchmarks.rivals timm FOLDER SECONDS OUT.json

FOLDER holds train.csv and test.csv (image_path,label). Each reads, trains and predicts within the seconds, counted from
the start of the process, on one thread, and writes its labels for test.csv. Both start from the same packaged weights
of EfficientNet-Lite0. The script is as strong as could be made: pictures decoded once, channels_last, AdamW with
layer-wise decay 0.75, an average of weights, label smoothing, BatchNorm statistics frozen, all rows, rate by the clock,
test at 224 px with the mirrored view.
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

from recipe.models.weights import load_pretrained
from recipe.system import torchvision_guard  # noqa: F401  (before timm)

TRAIN, TEST, SHORT, BATCH = 160, 224, 256, 16
MEAN = STD = 0.5


def pictures(folder: Path, names: list[str]) -> list[np.ndarray]:
    """RGB with a short side of 256 pixels."""
    made = []
    for name in names:
        image = cv2.imread(str(folder / name), cv2.IMREAD_COLOR_RGB)
        scale = SHORT / min(image.shape[:2])
        size = (max(SHORT, round(image.shape[1] * scale)), max(SHORT, round(image.shape[0] * scale)))
        made.append(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
    return made


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


def both_views(call: Callable[[torch.Tensor], torch.Tensor], shown: list[np.ndarray]) -> torch.Tensor:
    """(2, N, D): of the centre crops and of the mirrored ones."""
    crops = [centre(image) for image in shown]
    views = [crops, [crop[:, ::-1] for crop in crops]]
    with torch.inference_mode():
        return torch.stack([torch.cat([call(tensor(v[i : i + 16])) for i in range(0, len(v), 16)]) for v in views])


def timm_script(folder: Path, seconds: float, began: float, seed: int) -> list[str]:
    """Fine-tunes until the rest of the time is what prediction takes."""
    from timm.optim import param_groups_layer_decay
    from timm.utils import ModelEmaV3

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    train, test = (pd.read_csv(folder / f"{part}.csv", dtype=str) for part in ("train", "test"))
    classes, labels = np.unique(train.label, return_inverse=True)
    shown, hidden = pictures(folder, list(train.image_path)), pictures(folder, list(test.image_path))
    model = backbone(len(classes)).eval()
    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.75)
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    average = ModelEmaV3(model, decay=0.95, use_warmup=True)
    both_views(model, hidden[:16])
    start = time.perf_counter()
    both_views(model, hidden[:16])
    end = seconds - 1.15 * (time.perf_counter() - start) * len(hidden) / 16 - 2
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
    probs = both_views(average.module.eval(), hidden).softmax(-1).mean(0)
    print(f"{step} steps", file=sys.stderr)
    return list(classes[probs.argmax(1).numpy()])


def frozen(folder: Path, seconds: float, began: float, seed: int) -> list[str]:
    """Features of both views at 224 px, signed square roots, LDA with shrinkage 0.3."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    train, test = (pd.read_csv(folder / f"{part}.csv", dtype=str) for part in ("train", "test"))
    model = backbone(1).eval()

    def embed(images: torch.Tensor) -> torch.Tensor:
        return model.forward_head(model.forward_features(images), pre_logits=True).sqrt()  # type: ignore[operator]

    features = both_views(embed, pictures(folder, list(train.image_path))).numpy()
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
    lda.fit(features.reshape(-1, features.shape[2]), np.tile(train.label, 2))
    hidden = both_views(embed, pictures(folder, list(test.image_path))).numpy()
    return list(lda.classes_[np.mean([lda.decision_function(view) for view in hidden], axis=0).argmax(1)])


RIVALS = {"timm": timm_script, "frozen": frozen}


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
