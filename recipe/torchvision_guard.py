"""Makes torchvision importable beside a CPU-only torch; import this module before timm or torchvision.

The package index carries torchvision only as a CUDA build. Next to a CPU-only torch its compiled operators do not load, and the
import ends with `operator torchvision::nms does not exist`, which takes timm along. Declaring the two operators that torchvision
registers kernels for in Python is enough: this project calls neither. Where the pair fits, torchvision's own operators load and
nothing is declared.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch


def operators_load() -> bool:
    """Whether torchvision's compiled operators load next to this torch; True where torchvision is absent."""
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None or hasattr(torch.ops.torchvision, "nms"):
        return True
    libraries = [path for path in Path(package.origin).parent.glob("_C.*") if path.suffix in (".so", ".pyd", ".dylib")]
    try:
        torch.ops.load_library(str(libraries[0]))
    except (OSError, RuntimeError, IndexError):
        return False
    return hasattr(torch.ops.torchvision, "nms")


def declare() -> torch.library.Library:
    """The two missing operators, without kernels. The declarations live as long as the returned object."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


KEPT_ALIVE = None if operators_load() else declare()
