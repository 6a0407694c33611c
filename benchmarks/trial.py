"""A fold ready to train on synthetic pictures, its epochs, and the bare step that they are measured against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import table
from recipe.app import read_app
from recipe.config import Config
from recipe.data.folds import make_folds
from recipe.data.reading import read_folder
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.system.memory import keep_freed_blocks
from recipe.system.timing import choose_runtime
from recipe.training.fold import FoldTraining
from recipe.training.run import Run
from recipe.training.state import Position


def contest_config(backbone: str, size: int, batch: int, optimizer: str = "adamw()", **settings: object) -> Config:
    """The contest's full augmentation and mixup, as app.yaml gives them, around a network that is not pretrained."""
    recipe = read_app(table.ROOT / "app.yaml").recipe
    told = {
        "backbone": backbone,
        "image_size": size,
        "batch_size": batch,
        "optimizer": optimizer,
        "epochs": 99,
        "pretrained": False,
    }
    told |= {
        "save_seconds": 86400
    }  # nothing is saved among the pictures; a run spends at most a fiftieth of its time on that
    return Config.model_validate({**recipe, "folds": 1, **told, **settings})


class Trial:
    """One fold of the pictures in a folder of folders."""

    def __init__(self, config: Config, folder: Path) -> None:
        keep_freed_blocks()
        found = read_folder(folder)
        begun = start(config, len(found.classes))
        decoded = Pictures(found.paths, short_side(begun.preprocessing))
        decoded.load_all()
        run = Run(begun, found, decoded, choose_runtime(config, begun.model), folder / "run")
        self.fold = FoldTraining(run, make_folds(found, config.folds, 0)[0])
        self.images = len(self.fold.loader) * config.batch_size  # of an epoch
        self.resident = self._resident()

    def _resident(self) -> tuple[torch.Tensor, torch.Tensor]:
        batch = next(iter(self.fold.loader.epoch(1))).to(self.fold.runtime.device)
        return self.fold.run.preprocessing.normalise(batch.images), batch.labels

    def later_epoch(self) -> None:
        """An epoch on pictures that are decoded."""
        self.fold.state.position = Position()
        self.fold._train(1)

    def first_epoch(self) -> None:
        """Every picture of the epoch is read and decoded, then the epoch runs: the time from the start of reading."""
        decoded, self.fold.loader.pictures = self.fold.loader.pictures, self.fresh()
        self.later_epoch()
        self.fold.loader.pictures = decoded

    def fresh(self) -> Pictures:
        """The pictures with nothing decoded but those of the training rows, as the check before a run does it."""
        pictures = self.fold.run.pictures
        paths = [pictures.paths[row] for row in self.fold.fold.train_rows]
        fresh = Pictures(paths, pictures.short_side)
        fresh.load_all()
        return fresh.of(pictures.paths)

    def bare_epoch(self) -> None:
        """As many forward and backward passes and optimizer steps, on a batch that lies in memory."""
        for _ in range(len(self.fold.loader)):
            self.fold.stage.optimizer.step(self._closure)
        if self.fold.runtime.device.type == "cuda":
            torch.cuda.synchronize()

    def _closure(self) -> torch.Tensor:
        images, labels = self.resident
        self.fold.stage.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad(), self.fold.runtime.autocast():
            loss = torch.nn.functional.cross_entropy(self.fold.model(images), labels)
        loss.backward()
        return loss.detach()

    def candidates(self) -> dict[str, Callable[[], object]]:
        """What takes turns."""
        return {"bare": self.bare_epoch, "later": self.later_epoch, "first": self.first_epoch}
