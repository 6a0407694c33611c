"""OpenVINO: the fastest answers on x86 and ARM processors; an extra, `pip install .[fast]`.

It reads the ONNX file as well as its own format. Its CPU plugin would choose bf16 by itself where the processor has it:
float32 is demanded.

One core for a process, and never let go. The CPU plugin of every core lays a stack for signals under the thread that
makes it, and takes it away wherever the core is given up: after two that do not go in the order of a pile, or one that
goes in another thread, the next signal finds no stack and the process dies, instead of saving its state.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipe.pictures.fork_safe import lock
from recipe.serving.parallel import Layout, Network

RANK = 10
FORMATS = ("openvino", "onnx")
SPREADS_ITSELF = False
# OpenVINO's bindings set themselves up within the first inference: two threads in it at once wait for each other for
# ever
FIRST = lock()


def one_core() -> Any:
    """The core of this process; a forked child makes its own, since the threads of its parent's are not there.

    Raises:
        ImportError: the package is absent.
    """
    import openvino

    with FIRST:
        return _core(openvino.Core, os.getpid())


@functools.cache
def _core(make: Callable[[], Any], process: int) -> Any:
    return make()


def load(files: Sequence[Path], layout: Layout) -> Network:
    """One fold's network; each thread that calls it has a request of its own.

    Raises:
        ImportError: the package is absent.
        RuntimeError: the file cannot be read.
    """
    core = one_core()
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
