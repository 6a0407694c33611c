"""Speed of prediction as ratios to the plain eager network, all within one run.

    python -m benchmarks.predict                                   # EfficientNet-Lite0 at 224 px, about a minute on two cores
    python -m benchmarks.predict --backbone resnet18 --size 128

Batch 1 is one picture, 8 are its views, 40 are the views of five folds: "naive" passes the 40 one by one, "batched" the 8 views of each
fold together, as recipe/predict.py does. Expected on a CPU: channels_last alone 1.1 to 1.4, with BatchNorm folded 1.4 to 1.9, and the
outputs differ by 1e-5 at most.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks import table
from recipe.config import Config
from recipe.fuse import fold_batch_norm
from recipe.models import build

VIEWS, FOLDS = 8, 5


def network(backbone: str, seed: int) -> nn.Module:
    """A network whose norms have statistics, so that folding them is not trivial."""
    torch.manual_seed(seed)
    model = build(Config(backbone=backbone, pretrained=False), 10).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
    return model


def forms_of(models: list[nn.Module], size: int, rounds: int, device: torch.device) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Seconds by form of the network, for each batch."""
    forms = {
        "eager": models,
        "channels_last": [network.to(memory_format=torch.channels_last) for network in map(_copy, models)],  # type: ignore[call-overload]
        "folded": [fold_batch_norm(model, size).to(memory_format=torch.channels_last) for model in models],  # type: ignore[call-overload]
    }
    forms = {name: [model.to(device) for model in form] for name, form in forms.items()}
    for batch in (1, VIEWS):
        images = {name: _images(batch, size, device, name) for name in forms}
        works = {name: _pass(form[0], images[name], device) for name, form in forms.items()}
        yield f"batch {batch}", table.in_turns(works, rounds)
    works = {f"naive {name}": _each(forms[name], size, device, name, 1) for name in forms}
    works |= {name: _each(forms[name], size, device, name, VIEWS) for name in forms}
    yield f"{FOLDS} folds x {VIEWS} views", table.in_turns(works, max(2, rounds // 4))


def _copy(model: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(model)


def _images(batch: int, size: int, device: torch.device, form: str) -> torch.Tensor:
    layout = torch.contiguous_format if form == "eager" else torch.channels_last
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device, memory_format=layout)


def _pass(model: nn.Module, images: torch.Tensor, device: torch.device) -> Callable[[], torch.Tensor]:
    def work() -> torch.Tensor:
        with torch.inference_mode():
            logits = model(images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return logits

    return work


def _each(models: list[nn.Module], size: int, device: torch.device, form: str, batch: int) -> Callable[[], object]:
    images = _images(batch, size, device, form)
    return lambda: [_pass(model, images, device)() for model in models for _ in range(VIEWS // batch)]


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per batch and form of the network."""
    size, rounds = (64, 2) if options.quick else (options.size, options.rounds)
    models = [network(options.backbone, seed) for seed in range(FOLDS)]
    images = _images(VIEWS, size, torch.device("cpu"), "eager")
    with torch.inference_mode():
        expected, folded = models[0](images), fold_batch_norm(models[0], size)(images)
    print(f"largest difference of a folded output: {float((folded - expected).abs().max() / expected.abs().max().clamp_min(1)):.1e}")
    for batch, found in forms_of(models, size, rounds, torch.device(options.device)):
        plain = next(iter(found.values()))
        for name, times in found.items():
            where = f"{options.backbone}, {size} px, {options.device}"
            yield {"case": f"{where}, {batch}", "form": name, "ms": 1000 * statistics.median(times), "speed": table.ratio(plain, times)}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="network (default tf_efficientnet_lite0)")
    parser.add_argument("--size", type=int, default=224, help="pixels of the network's input (default 224)")
    parser.add_argument("--rounds", type=int, default=12, help="rounds per measurement (default 12)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")


if __name__ == "__main__":
    table.main(measure, add_flags)
