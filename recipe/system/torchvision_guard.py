"""Makes torchvision importable beside a CPU-only torch; import this module before timm or torchvision.

The package index carries torchvision only as a CUDA build. Next to a CPU-only torch its compiled operators do not load,
and the import ends with `operator torchvision::nms does not exist`, which takes timm along. Declaring the two operators
that torchvision registers kernels for in Python is enough: this project calls neither. Where the pair fits,
torchvision's own operators load and nothing is declared.

It also shortens a cold start: torchvision and timm each ask torch's compiler for one function when they are imported,
and importing the compiler takes as long as importing torch.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

PACKAGES = ("torchvision", "timm")


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


def import_without_compiler() -> bool:
    """Imports torchvision and timm while a stand-in answers for torch's compiler; whether it went well.

    The compiler is neither imported nor hidden: whoever asks for it afterwards gets it. Limit: where it is imported
    already, or the packages are absent or do not get along with the stand-in, nothing has changed.
    """
    if any(name in sys.modules for name in ("torch._dynamo", *PACKAGES)) or not all(
        map(importlib.util.find_spec, PACKAGES)
    ):
        return False
    stand_ins = _stand_ins()
    sys.modules |= stand_ins
    try:
        for name in PACKAGES:
            importlib.import_module(name)
    except Exception:
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]
        return False
    finally:
        for name in stand_ins:
            del sys.modules[name]
    return True


def _stand_ins() -> dict[str, ModuleType]:
    """What is asked for: whether a device compiles (torchvision), and not to compile a function (timm)."""
    compiler, tools = ModuleType("torch._dynamo"), ModuleType("torch._dynamo.utils")
    compiler.disable = _never_compiled  # type: ignore[attr-defined]
    tools.is_compile_supported = lambda device: False  # type: ignore[attr-defined]
    return {module.__name__: module for module in (compiler, tools)}


def _never_compiled(function: Callable[..., Any] | None, *settings: Any, **named: Any) -> Callable[..., Any]:
    """`torch.compiler.disable`, put off until the function is called; without one it is still to be given."""
    if function is None:
        return lambda function: _never_compiled(function, *settings, **named)

    @functools.wraps(function)
    def call(*inputs: Any, **more: Any) -> Any:
        return torch.compiler.disable(function, *settings, **named)(*inputs, **more)

    return call


KEPT_ALIVE = None if operators_load() else declare()
import_without_compiler()
