"""ONNX Runtime: the quickest to load; an extra, `pip install .[fast]`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from protocol.waiting import sleeps
from recipe.serving.parallel import Layout, Network

RANK = 20
FORMATS = ("onnx",)
SPREADS_ITSELF = False


def load(files: Sequence[Path], layout: Layout) -> Network:
    """One fold's network; a session may be run from several threads.

    Raises:
        ImportError: the package is absent.
        RuntimeError: the file cannot be read.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = layout.threads, 1
    options.log_severity_level = 3  # errors alone
    if sleeps(os.environ):
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()

    def network(crops: np.ndarray) -> np.ndarray:
        return session.run(None, {given.name: np.ascontiguousarray(crops)})[0]  # type: ignore[return-value]

    return network


def version() -> str:
    """Of the package."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"
