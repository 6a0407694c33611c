"""Which package brings which module: `cv2` comes with opencv-python, `numpy` with torch.

What is installed here is asked first (importlib.metadata); the tables hold what old submissions use and this machine
may not have. Names of packages are compared as the package index does: lower case, `-` for `_` and `.`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata

__all__ = ["OTHER_NAMES", "brought", "normal", "packages_of"]

OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
OTHER_NAMES = {
    "cv2": OPENCV,
    "PIL": ("pillow", "pillow-simd"),
    "sklearn": ("scikit-learn",),
    "skimage": ("scikit-image",),
    "yaml": ("pyyaml",),
    "dateutil": ("python-dateutil",),
    "bs4": ("beautifulsoup4",),
    "attr": ("attrs",),
    "git": ("gitpython",),
    "google": ("protobuf", "google-api-core"),
    "tensorflow": ("tensorflow", "tensorflow-gpu", "tensorflow-cpu"),
    "keras": ("keras", "tensorflow", "tensorflow-gpu"),
    "paddle": ("paddlepaddle", "paddlepaddle-gpu"),
    "mxnet": ("mxnet", "mxnet-cu100", "mxnet-cu101", "mxnet-cu102"),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "pkg_resources": ("setuptools",),
    "setuptools": ("setuptools",),
    "IPython": ("ipython",),
    "Levenshtein": ("python-levenshtein", "levenshtein"),
    "pl_bolts": ("lightning-bolts",),
    "albumentations": ("albumentations",),
    "ranger": ("ranger", "pytorch-ranger"),
    "torch_optimizer": ("torch-optimizer",),
    "segmentation_models_pytorch": ("segmentation-models-pytorch",),
    "efficientnet": ("efficientnet",),
}
# What comes along, for packages that may not be installed here, or that brought more in the versions of the time.
COMES_WITH = {
    "torch": ("numpy", "typing-extensions"),
    "torchvision": ("torch", "numpy", "pillow"),
    "timm": ("torch", "torchvision", "pyyaml", "huggingface-hub", "safetensors"),
    "efficientnet-pytorch": ("torch",),
    "pretrainedmodels": ("torch", "torchvision", "munch", "tqdm"),
    "albumentations": ("numpy", "scipy", "pyyaml", "opencv-python-headless"),
    "imgaug": ("numpy", "scipy", "pillow", "matplotlib", "scikit-image", "opencv-python", "imageio", "six"),
    "pandas": ("numpy", "python-dateutil", "pytz", "six"),
    "scikit-learn": ("numpy", "scipy", "joblib", "threadpoolctl"),
    "scikit-image": ("numpy", "scipy", "pillow", "imageio", "networkx"),
    "matplotlib": ("numpy", "pillow", "python-dateutil", "pyparsing", "cycler"),
    "scipy": ("numpy",),
    "keras": ("numpy", "h5py"),
    "tensorflow": ("numpy", "h5py", "six", "protobuf", "tensorboard", "keras"),
    "tensorflow-gpu": ("numpy", "h5py", "six", "protobuf", "tensorboard", "keras"),
    "tensorboardx": ("numpy", "protobuf"),
    "pytorch-lightning": ("torch", "numpy", "pyyaml", "tqdm"),
    "seaborn": ("numpy", "pandas", "matplotlib", "scipy"),
    "lightgbm": ("numpy", "scipy", "scikit-learn"),
    "xgboost": ("numpy", "scipy"),
    "paddlepaddle": ("numpy", "pillow", "protobuf", "requests"),
    "pydantic": ("annotated-types", "typing-extensions", "pydantic-core"),
    **dict.fromkeys(OPENCV, ("numpy",)),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def normal(name: str) -> str:
    """The name as the package index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def packages_of(module: str) -> list[str]:
    """Packages that may bring a top-level module, the most usual first; the module's own name when none is known."""
    known = [*OTHER_NAMES.get(module, ()), *map(normal, _installed().get(module, ()))]
    return list(dict.fromkeys(known)) or [normal(module)]


def brought(requirements: Iterable[str]) -> set[str]:
    """The packages of some requirement lines, and all that come with them."""
    waiting = [normal(match.group()) for line in requirements if (match := NAME.match(line))]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [*COMES_WITH.get(name, ()), *_required_by(name)]
    return found


@cache
def _installed() -> dict[str, list[str]]:
    return {module: list(names) for module, names in metadata.packages_distributions().items()}


@cache
def _required_by(name: str) -> list[str]:
    """What an installed package requires, extras and other platforms left out; empty when it is not installed."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    return [normal(found.group()) for line in lines if ";" not in line and (found := NAME.match(line))]
