"""Cold starts: from `python` to the first answer of `Predictor`, and to --help, each in fresh processes.

    python -m benchmarks.start

One fold of EfficientNet-Lite0 at 224 px and one view. `of import torch` is the time over that of `import torch` alone
in the same round. "torch" builds the network from its checkpoint, which imports timm, and timm torchvision;
"torchscript" needs torch alone. Expected on two quiet cores: OpenVINO and ONNX Runtime under 0.8 s, TorchScript and
torch under 3 times `import torch`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import synthetic, table
from benchmarks.untrained import untrained_run
from recipe.serving.backends import backend_of
from recipe.serving.exported import UnusableError
from recipe.serving.parallel import Layout
from recipe.serving.runtimes import EXPORTED, run

ANSWER = (
    "import sys; from prediction import Predictor; p = Predictor({folder!r}, 'cpu', {runtime!r}); "
    "p.predict({picture!r}); "
    "assert not {free} or 'torch' not in sys.modules; import os; os._exit(0)"
)


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per way to start."""
    formats = tuple(dict.fromkeys(backend_of(name).FORMATS[-1] for name in EXPORTED))
    with tempfile.TemporaryDirectory() as temporary:
        folder = untrained_run(Path(temporary) / "run", "tf_efficientnet_lite0", 224, 1, formats)
        (picture, *_) = synthetic.write(Path(temporary) / "pictures", 1)
        commands = {"import torch": ["-c", "import torch, os; os._exit(0)"]}
        for runtime in (*installed(folder), "torch"):
            free = runtime in ("openvino", "onnxruntime")
            commands[f"answer, {runtime}"] = [
                "-c",
                ANSWER.format(folder=str(folder), runtime=runtime, picture=str(picture), free=free),
            ]
        commands |= {"python -m recipe --help": ["-m", "recipe", "--help"], "main.py --help": ["main.py", "--help"]}
        seconds = table.in_turns(
            {name: partial(start, words) for name, words in commands.items()}, 2 if options.quick else options.rounds
        )
    for name, taken in seconds.items():
        yield {
            "case": name,
            "seconds": statistics.median(taken),
            "fastest": min(taken),
            "of_import_torch": table.ratio(taken, seconds["import torch"]),
        }


def installed(folder: Path) -> Iterator[str]:
    """The runtimes that are there and load this run."""
    for name in EXPORTED:
        backend = backend_of(name)
        try:
            run(
                backend,
                [folder / "fold0" / ("model.pt" if "torchscript" in backend.FORMATS else "model.onnx")],
                Layout(1, 1),
            )
        except UnusableError as reason:
            print(f"{name}: {reason}")
        else:
            yield name


def start(words: list[str]) -> None:
    """A fresh process to its end.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, *words], cwd=table.ROOT, check=True, capture_output=True)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--rounds", type=int, default=9, help="fresh processes of each [9]")


if __name__ == "__main__":
    table.main(measure, add_flags)
