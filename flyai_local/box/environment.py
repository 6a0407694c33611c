"""The environment of a submission's processes: built from an allow-list, so no secret of the user's shell gets in."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from protocol.language import VARIABLE
from protocol.waiting import VARIABLES, waiting_asleep

__all__ = ["ALLOWED", "MARK", "Layout", "variables"]

MINUTES = "FLYAI_MINUTES"  # tells a submission its time, training and answers together
# From the user's environment only these pass. None of them holds a secret by its purpose.
ALLOWED = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    VARIABLE,
    "TZ",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    MINUTES,
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    *VARIABLES,
    "NUMBER_OF_PROCESSORS",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
    "PATHEXT",
    "WINDIR",
)
# An installation may need these too: they say where packages come from.
INSTALL_ALLOWED = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)
MARK = "FLYAI_LOCAL_MARK"


@dataclass(frozen=True)
class Layout:
    """Where things stand as the submission sees them; with bubblewrap these are not the paths of this machine."""

    project: Path
    home: Path
    scratch: Path
    platform: Path  # holds sdk/, bootstrap/ and evaluator.py
    weights: Path | None
    python: Path
    packages: tuple[str, ...] = ()  # folders of packages that the interpreter would not find in the private home

    @property
    def torch_home(self) -> Path:
        """Folder that TORCH_HOME names."""
        return self.home / ".cache" / "torch"


def variables(
    layout: Layout, mark: str, offline: bool, install: bool = False, minutes: float | None = None
) -> dict[str, str]:
    """The whole environment of one process.

    Args:
        layout: paths as the process sees them.
        mark: text that tells the processes of this run from all others.
        offline: the network is off, so libraries are told not to wait for it.
        install: pass on what says where packages come from.
        minutes: that the submission has; None leaves what the user's own environment says.
    """
    allowed = ALLOWED + (INSTALL_ALLOWED if install else ())
    chosen = {name: os.environ[name] for name in allowed if name in os.environ}
    chosen |= {
        "PATH": _search_path(layout),
        "HOME": str(layout.home),
        "USERPROFILE": str(layout.home),
        "USER": "flyai",
        "LOGNAME": "flyai",
        "USERNAME": "flyai",
        "TMPDIR": str(layout.scratch),
        "TEMP": str(layout.scratch),
        "TMP": str(layout.scratch),
        "XDG_CACHE_HOME": str(layout.home / ".cache"),
        "TORCH_HOME": str(layout.torch_home),
        "PYTHONPATH": os.pathsep.join(
            [str(layout.platform / "bootstrap"), str(layout.platform / "sdk"), *layout.packages]
        ),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "MPLBACKEND": "Agg",
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "HWLOC_HIDE_ERRORS": "2",  # OpenVINO's threads look for /sys/devices, which the box does not show
        "FLYAI_LOCAL_RUN": "1",
        "FLYAI_LOCAL_CURVES": str(layout.project / "data" / "output" / "logs" / "train_log.jsonl"),
        MARK: mark,
    }
    chosen |= waiting_asleep(chosen)
    if layout.weights is not None:
        chosen["FLYAI_LOCAL_WEIGHTS"] = str(layout.weights)
    if minutes is not None:
        chosen[MINUTES] = f"{minutes:g}"
    if offline:
        chosen |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    return chosen


def _search_path(layout: Layout) -> str:
    programs = [str(layout.python.parent)] if layout.python.is_absolute() else []
    if os.name == "nt":
        return os.pathsep.join([*programs, os.environ.get("PATH", "")])
    system = ["/usr/local/bin", "/usr/bin", "/bin"] + (["/opt/homebrew/bin"] if sys.platform == "darwin" else [])
    return os.pathsep.join([*programs, *system])
