"""fastai, Lightning and timm's loader on the same pictures, network and batch, each as its own documents say.

    python -m venv PEERS && PEERS/bin/pip install -r requirements.txt -r benchmarks/requirements-peers.txt

They are compared against and nothing depends on them. Each trains epoch by epoch with AdamW on two threads' worth of
defaults: fastai with `Resize` and `aug_transforms`, Lightning with torchvision's RandomResizedCrop and flip and one
    worker less than there are cores (what its
own warning asks for), timm's `create_loader(is_training=True)` with the four workers of its train.py. An epoch is timed
from its first batch to its last step, without their validation, logging and set-up.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

Epoch = Callable[[], float]  # trains once over the pictures and returns the seconds


def network(backbone: str, classes: int) -> torch.nn.Module:
    """What all of them train."""
    from recipe.config import Config
    from recipe.models.classifier import build

    torch.manual_seed(0)
    return build(Config(backbone=backbone, pretrained=False), classes)


def fastai(folder: Path, backbone: str, size: int, batch: int) -> Epoch:
    """fastai's Learner over `ImageDataLoaders.from_folder`."""
    from fastai.vision.all import Callback, CrossEntropyLossFlat, ImageDataLoaders, Learner, Resize, aug_transforms

    class Stopwatch(Callback):
        def before_train(self) -> None:
            self.begin = time.perf_counter()

        def after_train(self) -> None:
            self.learn.seconds = time.perf_counter() - self.begin

    dls = ImageDataLoaders.from_folder(
        folder,
        valid_pct=0.01,
        bs=batch,
        item_tfms=Resize(max(size, 32)),
        batch_tfms=aug_transforms(size=size),
        device=torch.device("cpu"),
    )
    learn = Learner(dls, network(backbone, len(dls.vocab)), loss_func=CrossEntropyLossFlat(), cbs=Stopwatch())

    def epoch() -> float:
        with learn.no_bar(), learn.no_logging():
            learn.fit(1)
        return learn.seconds / len(dls.train)

    return epoch


def lightning(folder: Path, backbone: str, size: int, batch: int) -> Epoch:
    """Lightning's Trainer over torchvision's ImageFolder."""
    import lightning as light

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # which devices there are, and what it has ended
    from torchvision import transforms as T
    from torchvision.datasets import ImageFolder

    class Module(light.LightningModule):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.network = network(backbone, classes)

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            images, labels = batch
            return torch.nn.functional.cross_entropy(self.network(images), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

        def on_train_epoch_start(self) -> None:
            self.begin = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.seconds = time.perf_counter() - self.begin

    steps = [
        T.RandomResizedCrop(size),
        T.RandomHorizontalFlip(),
        T.ToTensor(),
        T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    pictures = ImageFolder(folder, T.Compose(steps))
    loader = torch.utils.data.DataLoader(
        pictures, batch, shuffle=True, drop_last=True, num_workers=max(1, (os.cpu_count() or 2) - 1)
    )
    module = Module(len(pictures.classes))
    trainer = light.Trainer(
        max_epochs=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )

    def epoch() -> float:
        trainer.fit_loop.max_epochs += 1
        trainer.fit(module, loader)
        return module.seconds / len(loader)

    return epoch


def timm_loader(folder: Path, backbone: str, size: int, batch: int) -> Epoch:
    """A plain loop, as in timm's train.py, over timm's loader."""
    from timm.data import create_dataset, create_loader

    device = torch.device("cpu")
    pictures = create_dataset("", root=folder)
    loader = create_loader(pictures, (3, size, size), batch, is_training=True, num_workers=4, device=device)
    model = network(backbone, len(pictures.reader.class_to_idx)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def epoch() -> float:
        begin = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        return (time.perf_counter() - begin) / len(loader)

    return epoch


PEERS = {"fastai": ("fastai", fastai), "Lightning": ("lightning", lightning), "timm's loader": ("timm", timm_loader)}


def importable(
    folder: Path, backbone: str, size: int, batch: int, names: Sequence[str] = tuple(PEERS)
) -> dict[str, Epoch]:
    """Seconds per step of an epoch, by name and version, of those peers that are installed; says which are absent."""
    from recipe.system import torchvision_guard  # noqa: F401  (before any of them imports torchvision)

    found = {}
    for name, (package, make) in ((name, PEERS[name]) for name in names):
        if importlib.util.find_spec(package) is None:
            print(
                f"{name} is absent; benchmarks/requirements-peers.txt installs it into an environment of its own",
                flush=True,
            )
            continue
        found[f"{name} {version(package)}"] = quietly(make(folder, backbone, size, batch))
    return found


def quietly(epoch: Epoch) -> Epoch:
    """The same without their advice about workers and logging."""

    def work() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return epoch()

    return work
