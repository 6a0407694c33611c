"""Makes `flyai` and `flyai_sdk` the stand-ins in every interpreter of a run, even where the submission ships copies.

It also makes torchvision importable beside a CPU-only torch.

A submission runs as `python main.py`, so its own folder is first on sys.path and a shipped `flyai_sdk.py` would be
found before the stand-in. Python imports a module of this name at every start, child processes included; this one
asks the stand-in's folder first for these two names only, and then steps aside: its folder leaves sys.path, and a
`sitecustomize` of the system or of a package is imported as it would have been.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("flyai", "flyai_sdk")


class StandIn:
    """Finder that answers for the names of the SDK from the stand-in's folder, and for nothing else."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Return the spec of a stand-in, or None for every other name."""
        return PathFinder.find_spec(name, [str(HERE.parent / "sdk")]) if name in NAMES else None


class TorchvisionOperators:
    """Finder that makes torchvision importable beside a CPU-only torch, and finds nothing itself.

    Package indexes carry torchvision as a CUDA build; beside a CPU-only torch its import ends with `operator
    torchvision::nms does not exist`, through no fault of the submission. Declared, without kernels, the two operators
    that are asked for at import let it pass; what fits loads its own and finds nothing declared.
    """

    declared = None

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Declare the operators when torchvision is first asked for; return None, so that the next finder finds it."""
        if name == "torchvision" and cls.declared is None:
            cls.declared = ()
            package = PathFinder.find_spec(name, path)
            if package is not None and package.origin is not None:
                cls.declared = _declare(Path(package.origin).parent)
        return


def _declare(package):
    """Return the declarations that torch must keep; nothing where torchvision's own operators load."""
    try:
        torch = import_module("torch")
        for library in package.glob("_C.*"):
            torch.ops.load_library(str(library))
            return ()
        return ()
    except ImportError:
        return ()
    except (OSError, RuntimeError):
        declared = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            declared.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return declared


def _step_aside():
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401  the next one on the path, if there is one
    except ImportError:
        # Python's site module expects to find the name that it imported.
        sys.modules["sitecustomize"] = own  # type: ignore[assignment]


sys.meta_path[:0] = [StandIn, TorchvisionOperators]
_step_aside()
