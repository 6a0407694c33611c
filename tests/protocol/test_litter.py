"""What systems leave behind is never trained on and never answered for; folders and links are what they are."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
from data_files import picture

from protocol.picture_paths import pictures_below
from recipe.commands.predict import listed
from recipe.data.reading import read_folder

LITTER = (
    "._1.png", ".hidden.png", ".ipynb_checkpoints/1-checkpoint.png", "__MACOSX/._1.png", "__MACOSX/1.png", "Thumbs.db",
    "@eaDir/1.png", ".git/1.png", "sub/.ipynb_checkpoints/1.png",
)  # fmt: skip


def test_litter_is_passed_over(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for number in range(2):
            picture(tmp_path / label / f"{number}.png", number)
        for name in LITTER:
            picture(tmp_path / label / name, 9) if name.endswith(".png") else (tmp_path / label / name).touch()
        (tmp_path / label / "dir.jpg").mkdir()
    picture(tmp_path / ".ipynb_checkpoints" / "x.png", 9)
    table = read_folder(tmp_path)
    assert table.classes == ("cat", "dog")
    assert table.names == ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")
    names, _ = listed(argparse.Namespace(pictures=tmp_path))
    assert names == list(table.names)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    picture(tmp_path / "far" / "1.png", 1)
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "more").symlink_to(tmp_path / "far")
    (tmp_path / "data" / "cat" / "round").symlink_to(tmp_path / "data")
    assert pictures_below(tmp_path / "data") == [tmp_path / "data" / "cat" / "more" / "1.png"]
