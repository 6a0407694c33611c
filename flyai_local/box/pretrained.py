"""Puts the user's pretrained files where libraries look for what they have downloaded: torch hub and Hugging Face hub.

    DIR/resnet18-f37072fd.pth                        torch hub, by the file's name (also get_remote_data)
    DIR/timm/resnet18.a1_in1k/model.safetensors      Hugging Face hub, in folders of the network's name
    DIR/models--timm--resnet18.a1_in1k/              the same as a copy out of a Hugging Face cache

Links, so that nothing is copied and nothing of the user's can change; a library may still add files beside them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["place"]

REVISION = "local"  # stands for the commit that a download would have had


def place(weights: Path, shown: Path, home: Path) -> None:
    """Lay links to `weights` below a private home.

    Args:
        weights: the user's folder.
        shown: the same folder as the submission sees it; a link leads there.
        home: the private home, whose `.cache` the submission's libraries use.
    """
    for file, target in [*_torch(weights), *_hub(weights)]:
        _link(file, shown / file.relative_to(weights), home / ".cache" / target)
    for network in (path for path in weights.glob("*/*") if path.is_dir()):
        main = home / ".cache" / _repository(network) / "refs" / "main"
        if not main.exists() and not network.parent.name.startswith("models--"):
            main.parent.mkdir(parents=True, exist_ok=True)
            main.write_text(REVISION, encoding="ascii")


def _torch(weights: Path) -> Iterator[tuple[Path, Path]]:
    for file in weights.iterdir():
        if file.is_file():
            yield file, Path("torch", "hub", "checkpoints", file.name)


def _hub(weights: Path) -> Iterator[tuple[Path, Path]]:
    for folder in (path for path in weights.iterdir() if path.is_dir()):
        if folder.name.startswith("models--"):
            yield folder, Path("huggingface", "hub", folder.name)
        else:
            for file in (path for path in folder.glob("*/*") if path.is_file()):
                yield file, _repository(file.parent) / "snapshots" / REVISION / file.name


def _repository(network: Path) -> Path:
    return Path("huggingface", "hub", f"models--{network.parent.name}--{network.name}")


def _link(file: Path, shown: Path, target: Path) -> None:
    if os.path.lexists(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(shown, target_is_directory=file.is_dir())
    except OSError:  # Windows without the privilege for links
        shutil.copytree(file, target) if file.is_dir() else shutil.copyfile(file, target)
