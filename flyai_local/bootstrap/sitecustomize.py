"""Makes `flyai` and `flyai_sdk` the stand-ins in every interpreter of a run, even where the submission ships copies.

A submission runs as `python main.py`, so its own folder is first on sys.path and a shipped `flyai_sdk.py` would be
found before the stand-in. Python imports a module of this name at every start, child processes included; this one
asks the stand-in's folder first for these two names only, and then steps aside: its folder leaves sys.path, and a
`sitecustomize` of the system or of a package is imported as it would have been.
"""

import sys
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


def _step_aside():
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401  the next one on the path, if there is one
    except ImportError:
        # Python's site module expects to find the name that it imported.
        sys.modules["sitecustomize"] = own  # type: ignore[assignment]


sys.meta_path.insert(0, StandIn)
_step_aside()
