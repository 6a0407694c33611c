"""OpenVINO: the fastest answers on x86 and ARM processors; an extra, `pip install .[fast]`.

It reads the ONNX file as well as its own format. Its CPU plugin would choose bf16 by itself where the processor has it:
float32 is demanded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipe.pictures.fork_safe import lock
from recipe.serving.parallel import Layout, Network

RANK = 10
FORMATS = ("openvino", "onnx")
SPREADS_ITSELF = False
# OpenVINO's bindings set themselves up within the first inference: two threads in it at once wait for each other for
# ever
FIRST = lock()


def load(files: Sequence[Path], layout: Layout) -> Network:
    """One fold's network; each thread that calls it has a request of its own.

    Raises:
        ImportError: the package is absent.
        RuntimeError: the file cannot be read.
    """
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": layout.workers,
        "INFERENCE_NUM_THREADS": layout.workers * layout.threads,
    }
    compiled = core.compile_model(core.read_model(files[0]), "CPU", settings)
    local = threading.local()

    def network(crops: np.ndarray) -> np.ndarray:
        if not hasattr(local, "request"):
            with FIRST:
                local.request = compiled.create_infer_request()
                return local.request.infer([crops])[0].copy()
        return local.request.infer([crops])[0].copy()  # the request's own memory is written again by the next call

    return network


def version() -> str:
    """Of the package."""
    import openvino

    return f"openvino {openvino.__version__.split('-')[0]}"
