"""Peak memory of training, each way in a process of its own: float32, bf16, recomputed activations, both.

    python -m benchmarks.memory                      # EfficientNet-B6 at 224 px, batch 8: a few minutes on two cores
    python -m benchmarks.memory --backbone tf_efficientnet_lite0 --size 128 --batch 32

The peak is that of the whole process after three steps (on a GPU that of torch's allocator), Python, torch and the
network included. Expected of B6 on a CPU: 4.4 GB in float32, 2.4 with activations recomputed, 2.8 in bf16, 1.7 with
both. bf16 on a CPU without AMX takes more time, not less.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import table

WAYS = {
    "float32": {"precision": "float32"},
    "bf16": {"precision": "bf16"},
    "float32, activations recomputed": {"precision": "float32", "grad_checkpoint": True},
    "bf16, activations recomputed": {"precision": "bf16", "grad_checkpoint": True},
}
STEPS = 3


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per way."""
    found = {}
    backbone, size, batch = (
        ("tf_efficientnet_lite0", 64, 4) if options.quick else (options.backbone, options.size, options.batch)
    )
    for way in WAYS:
        words = ["-c", f"from benchmarks.memory import one; one({way!r}, {backbone!r}, {size}, {batch})"]
        done = subprocess.run([sys.executable, *words], cwd=table.ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
        plain = found["float32"]
        yield {
            "case": f"{backbone}, {size} px, batch {batch}",
            "way": way,
            "peak_gb": found[way]["gb"],
            "share": found[way]["gb"] / plain["gb"],
            "images_per_second": batch / found[way]["seconds"],
            "speed": plain["seconds"] / found[way]["seconds"],
        }


def one(way: str, backbone: str, size: int, batch: int) -> None:
    """Takes the steps, prints the peak and the seconds of the fastest step as JSON; the process does nothing else."""
    import torch

    from recipe.config import Config
    from recipe.models.classifier import build
    from recipe.system.memory import keep_freed_blocks
    from recipe.system.runtime import Runtime, choose_device

    keep_freed_blocks()
    config = Config(backbone=backbone, pretrained=False, image_size=size, batch_size=batch, **WAYS[way])
    runtime = Runtime(choose_device(), config.precision, torch.channels_last)
    model = build(config, 10).train().to(runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters())
    images = torch.randn(batch, 3, size, size, device=runtime.device).contiguous(memory_format=torch.channels_last)
    labels, seconds = torch.zeros(batch, dtype=torch.int64, device=runtime.device), []
    for _ in range(STEPS):
        begin = time.perf_counter()
        optimizer.zero_grad()
        with runtime.autocast():
            logits = model(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        logits.sum().item()  # waits for the device
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"gb": peak_gb(), "seconds": min(seconds)}))


def peak_gb() -> float:
    """The most memory that this process has held, in GB (2**30 bytes); on a GPU what torch took there."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    try:  # of this program alone: what getrusage tells begins with the peak of the program that started it
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 2**20
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--backbone", default="tf_efficientnet_b6")
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--batch", type=int, default=8)


if __name__ == "__main__":
    table.main(measure, add_flags)
