"""What each SAM variant costs, relative to one pass of its base optimizer.

    python -m benchmarks.sam
    python -m benchmarks.sam --backbone cifar_resnet18 --image-size 32 --batch-size 32

Prints one line per optimizer: milliseconds per step, speed relative to plain SGD, and the speed that the number of passes alone would
give. The variants take turns, and the fastest round of each counts. Only the ratios carry over to another machine, and on a busy one not
even they.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn

from recipe.cifar import BACKBONES
from recipe.cifar.backbone import from_timm
from recipe.heads import HEADS
from recipe.optim import OPTIMIZERS, param_groups, passes_per_step

SPECS = ["sgd()", "sam()", "asam()", "gsam()", "looksam(k=5)", "sam(only='norm')", "asam(only='norm')", "lookahead(sgd())"]


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

    def seconds(self, steps: int) -> float:
        """Mean time of a step."""
        start = time.perf_counter()
        for _ in range(steps):
            loss = self.optimizer.step(self.closure)
        loss.item()  # waits for the device
        return (time.perf_counter() - start) / steps


def measure(make: Callable[[str], Trial], steps: int, rounds: int) -> dict[str, float]:
    """Seconds per step of the fastest round by spec; each round runs all of them, after one that does not count."""
    trials = {spec: make(spec) for spec in SPECS}
    found: dict[str, list[float]] = {spec: [] for spec in SPECS}
    for number in range(rounds + 1):
        for spec, trial in trials.items():
            seconds = trial.seconds(steps)
            if number:
                found[spec].append(seconds)
    return {spec: min(times) for spec, times in found.items()}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a name of this project or timm")
    parser.add_argument("--image-size", type=int, default=64, help="pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5, help="per round; a multiple of 5 is fair to looksam(k=5)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    where = (options.backbone, options.image_size, options.batch_size, options.device)
    times = measure(lambda spec: Trial(spec, *where), options.steps, options.rounds)
    probe = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    print(f"{options.backbone}, {options.image_size} px, batch {options.batch_size}, {options.device}, {torch.get_num_threads()} threads")
    print(f"{'optimizer':20} {'ms/step':>8} {'speed':>6} {'1/passes':>8}")
    for spec, seconds in times.items():
        passes = passes_per_step(OPTIMIZERS.build(spec, param_groups(probe, 0.01, 0.0), 0.01))
        print(f"{spec:20} {1000 * seconds:8.1f} {times['sgd()'] / seconds:6.2f} {1 / passes:8.2f}")


if __name__ == "__main__":
    main()
