"""What several processes gain: steps of training by one process on one core, one on all, and one process for each core.

    python -m benchmarks.processes            # two cores, a minute; ratios within one run, rounds alternating

Each round runs the three after each other, so that a machine that changes under the benchmark changes for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipe.system.processes.launch import environment
from recipe.system.processes.world import World, joined

ROOT = Path(__file__).resolve().parent.parent
BACKBONE, SIZE, BATCH = "tf_efficientnet_lite0", 128, 32


def ways(cores: int) -> dict[str, tuple[int, int]]:
    """Processes and cores of each, by name."""
    return {
        "one process on one core": (1, 1),
        f"one process on {cores} cores": (1, cores),
        f"{cores} processes on {cores} cores": (cores, cores),
    }


def main() -> None:
    """Prints pictures per second of each way, their ratios round by round, and the load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of steps, in each round and way")
    parser.add_argument("--cores", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--child", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.seconds)
        return
    first = sorted(os.sched_getaffinity(0))[: arguments.cores]
    rates: dict[str, list[float]] = {name: [] for name in ways(arguments.cores)}
    for _ in range(arguments.rounds):
        for name, (count, cores) in ways(arguments.cores).items():
            rates[name].append(measured(count, first[:cores], arguments.seconds))
            print(f"{name}: {rates[name][-1]:.1f} pictures/s", flush=True)
    single, threaded, several = rates.values()
    for name, found in rates.items():
        print(f"{name:<30} {statistics.median(found):8.1f} pictures/s   {[round(rate, 1) for rate in found]}")
    for name, base in zip(rates, (single, threaded), strict=False):
        ratios = [rate / other for rate, other in zip(several, base, strict=True)]
        print(
            f"{arguments.cores} processes over {name}: {statistics.median(ratios):.2f} {[round(r, 2) for r in ratios]}"
        )
    efficiency = statistics.median(rate / other for rate, other in zip(several, single, strict=True)) / arguments.cores
    print(
        f"efficiency {efficiency:.2f} of {arguments.cores} cores; load {Path('/proc/loadavg').read_text().split()[0]}"
    )


def measured(count: int, cores: list[int], seconds: float) -> float:
    """Pictures per second of `count` processes that share these cores."""
    threads = max(1, len(cores) // count)
    words = [sys.executable, "-m", "benchmarks.processes", "--child", str(threads), "--seconds", str(seconds)]
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for rank in range(count):
            own = cores[rank * threads : (rank + 1) * threads] if count > 1 else cores
            told = environment(rank, count, Path(folder) / "meeting", os.environ)
            told |= {"OMP_NUM_THREADS": str(threads), "BENCHMARK_CORES": json.dumps(own)}
            children.append(subprocess.Popen(words, cwd=ROOT, env=told, stdout=subprocess.PIPE, text=True))
        said = [process.communicate()[0] for process in children]
    return float(said[0])


def child(threads: int, seconds: float) -> None:
    """One process: steps for so many seconds; the first prints the pictures per second of all."""
    os.sched_setaffinity(0, json.loads(os.environ["BENCHMARK_CORES"]))
    import torch

    torch.set_num_threads(threads)
    with joined() as world:
        rate = steps(world, seconds)
    if world.is_first:
        print(rate)


def steps(world: World, seconds: float) -> float:
    """Pictures per second of the whole batch, each step SAM's two passes; all stop after the same step."""
    import torch

    from recipe.components.optimizers import OPTIMIZERS
    from recipe.config import Config
    from recipe.data.batch import Batch
    from recipe.models.classifier import build
    from recipe.system.runtime import Runtime
    from recipe.training.step.groups import param_groups
    from recipe.training.step.objective import Objective
    from recipe.training.step.update import Update, training_mode

    torch.manual_seed(0)
    config = Config(backbone=BACKBONE, pretrained=False, image_size=SIZE, batch_norm="frozen")
    model = build(config, 4).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    training_mode(model, freeze_batch_norm=True)
    optimizer = OPTIMIZERS.build(config.optimizer, param_groups(model, 0.01, 1e-4), 0.01)
    runtime = Runtime(torch.device("cpu"), memory_format=torch.channels_last, micro_batch=BATCH)
    update = Update(model, optimizer, Objective(config, torch.ones(4)), runtime, world=world)
    own = len(world.shard(BATCH))
    images = torch.randn(own, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(own) % 4
    batch = Batch(images, labels, labels, torch.ones(own), torch.arange(own))
    for step in range(2):
        update.step(batch, step, step)
    began, done = time.perf_counter(), 0
    while world.first(lambda: time.perf_counter() - began < seconds):
        update.step(batch, done, done)
        done += 1
    return done * BATCH / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
