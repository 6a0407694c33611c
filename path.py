"""Where data and results lie, as the platform lays them out; at home the stand-in SDK answers to `flyai`."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DATA_PATH = ROOT / "data" / "input"
MODEL_PATH = ROOT / "data" / "output" / "model"
LOG_PATH = ROOT / "data" / "output" / "logs"
STAND_IN = ROOT / "flyai_local" / "sdk"


def platform_sdk_is_here() -> bool:
    """Whether the platform's own SDK can be imported; the package index has an unrelated package of the same name."""
    return importlib.util.find_spec("flyai") is not None and importlib.util.find_spec("flyai.framework") is not None


# Appended, so that sys.path[0] stays the project and the platform's own SDK wins where it exists.
if not platform_sdk_is_here():
    sys.modules.pop("flyai", None)
    sys.path.append(str(STAND_IN))
    importlib.invalidate_caches()
