"""What each SAM variant costs, relative to one pass of its base optimizer.

    python -m benchmarks.sam
    python -m benchmarks.sam --backbone cifar_resnet18 --image-size 32 --batch-size 32

Milliseconds per step, speed relative to plain SGD, and the speed that the number of passes alone would give. Only the
ratios carry over to another machine, and on a busy one not even they.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from benchmarks import table
from recipe.components.cifar import BACKBONES
from recipe.components.cifar.backbone import from_timm
from recipe.components.heads import HEADS
from recipe.components.optimizers import OPTIMIZERS, passes_per_step
from recipe.training.step.groups import param_groups

SPECS = [
    "sgd()",
    "sam()",
    "asam()",
    "gsam()",
    "looksam(k=5)",
    "sam(only='norm')",
    "asam(only='norm')",
    "lookahead(sgd())",
]


class Trial:
    """One network with its optimizer on a resident batch."""

    def __init__(self, spec: str, backbone: str, image_size: int, batch_size: int, device: str) -> None:
        torch.manual_seed(0)
        body = BACKBONES.build(backbone) if backbone.split("(")[0] in BACKBONES else from_timm(backbone)
        self.model = nn.Sequential(body, HEADS.build("linear", body.num_features, 10))
        self.model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = (batch_size, 3, image_size, image_size)
        self.images = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(10, (batch_size,), device=device)
        self.optimizer = OPTIMIZERS.build(spec, param_groups(self.model, 0.01, 1e-4), 0.01)

    def closure(self) -> torch.Tensor:
        """Forward and backward of the whole batch."""
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        return loss.detach()

    def run(self, steps: int) -> None:
        """Some steps, waited for."""
        for _ in range(steps):
            loss = self.optimizer.step(self.closure)
        loss.item()


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per optimizer."""
    size, batch, steps, rounds = (
        (32, 4, 1, 2) if options.quick else (options.image_size, options.batch_size, options.steps, options.rounds)
    )
    trials = {spec: Trial(spec, options.backbone, size, batch, options.device) for spec in SPECS}
    seconds = table.in_turns({spec: partial(trial.run, steps) for spec, trial in trials.items()}, rounds)
    for spec, times in seconds.items():
        yield {
            "case": spec,
            "network": f"{options.backbone}, {size} px, batch {batch}",
            "ms_per_step": 1000 * statistics.median(times) / steps,
            "speed": table.ratio(seconds["sgd()"], times),
            "1/passes": 1 / passes_per_step(spec),
        }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a name of this project or timm")
    parser.add_argument("--image-size", type=int, default=64, help="pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5, help="per round; a multiple of 5 is fair to looksam(k=5)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


if __name__ == "__main__":
    table.main(measure, add_flags)
