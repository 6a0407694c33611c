"""Files that mean harm, or are none: each gets a sentence, at once, within bounded memory; among many they are counted
and named.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from data_files import kinds, picture, rows, write
from hostile_files import hostile

from flyai_local.errors import UserError
from flyai_local.run.hidden import bring
from recipe.data.audit.audit import audit, findings_of
from recipe.data.check import check
from recipe.data.reading import read_csv
from recipe.pictures import bytes as picture_bytes
from recipe.pictures import decode
from recipe.pictures.errors import UnreadablePicture

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = hostile()
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files on Windows")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_is_refused_with_its_reason_or_decoded(name):
    encoded, reason = HOSTILE[name]
    if not reason:
        assert decode.decode(encoded).shape == (8, 8, 3)
        return
    with pytest.raises(UnreadablePicture, match=reason):
        decode.decode(encoded, name)


@posix
def test_no_hostile_picture_takes_more_than_its_share_of_memory(tmp_path):
    """All of them in one process that may take 500 MB more than it has; "within the limit" is where a decoder may
    reserve the pixels.
    """
    for name, (encoded, _) in HOSTILE.items():
        if "within" not in name:
            (tmp_path / name).write_bytes(encoded)
    program = (
        "import resource, sys; from pathlib import Path; from recipe.pictures import decode\n"
        "import PIL.AvifImagePlugin, PIL.Jpeg2KImagePlugin, PIL.PngImagePlugin, PIL.TiffImagePlugin\n"
        "held = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() if "
        "Path('/proc').exists() else 2**33\n"
        "resource.setrlimit(resource.RLIMIT_AS, (held + 500 * 2**20, resource.RLIM_INFINITY))\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: decode.read(path); print(path.name, 'decoded')\n"
        "    except decode.UnreadablePicture as error: print(path.name, error.reason)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stderr == ""
    assert len(ran.stdout.splitlines()) == len(list(tmp_path.iterdir()))
    assert "not enough memory" not in ran.stdout


def test_pictures_within_the_limit_of_pixels_are_decoded_and_those_beyond_are_not(monkeypatch):
    encoded = cv2.imencode(".jpg", np.zeros((90, 90, 3), np.uint8))[1].tobytes()
    monkeypatch.setattr(decode, "MAX_PIXELS", 8100)
    monkeypatch.setattr(decode, "_ONE_AT_A_TIME", 8000)
    assert decode.decode(encoded).shape == (90, 90, 3)
    monkeypatch.setattr(decode, "MAX_PIXELS", 8099)
    with pytest.raises(UnreadablePicture, match="claims 90 x 90 pixels, and at most 8,099"):
        decode.decode(encoded)


def link(path: Path, target: Path | str) -> Path:
    path.symlink_to(target)
    return path


@posix
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        expected = {
            tmp_path / "pipe.jpg": "it is a pipe",
            tmp_path / "socket.jpg": "it is a socket",
            tmp_path / "folder.jpg": "it is a folder",
            link(tmp_path / "endless.jpg", "/dev/zero"): "it is a device",
            link(tmp_path / "loop.jpg", "loop.jpg"): "cannot be opened .Too many levels",
            tmp_path / f"{'x' * 300}.jpg": "cannot be opened .File name too long",
            tmp_path / "a\0b.jpg": "no file can have that name",
            tmp_path / "\ud800.jpg": "no file can have that name",
            tmp_path / "pipe.jpg" / "below.jpg": "cannot be opened .Not a directory",
        }
        for path, reason in expected.items():
            with pytest.raises(UnreadablePicture, match=reason):
                decode.read(path)
    with pytest.raises(FileNotFoundError, match="There is no picture"):
        decode.read(link(tmp_path / "nowhere.jpg", "gone.jpg"))


@posix
def test_a_file_beyond_the_limit_of_bytes_is_not_read(tmp_path):
    with open(tmp_path / "sparse.jpg", "wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(UnreadablePicture, match="it has 3,221,225,472 bytes, and at most 536,870,912 are accepted"):
        decode.read(tmp_path / "sparse.jpg")


@pytest.mark.parametrize("change", [b"", b"more", None])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, change):
    path = picture(tmp_path / "a.png")
    whole, fstat = path.read_bytes(), os.fstat
    looked = []

    def meddling(descriptor):
        """Empties the file, adds to it, or writes it anew between the first look and the reading."""
        found = fstat(descriptor)
        if not looked:
            path.write_bytes(whole[:-1] + b"x" if change is None else whole + change if change else b"")
            os.utime(path, ns=(0, 0))
        looked.append(found)
        return found

    monkeypatch.setattr(picture_bytes.os, "fstat", meddling)
    with pytest.raises(UnreadablePicture, match="changed while it was read"):
        decode.read(path)


def test_a_file_that_vanishes_is_missing(tmp_path, monkeypatch):
    path = picture(tmp_path / "a.png")
    stat = os.stat

    def taking_away(path, **how):
        found = stat(path, **how)
        Path(path).unlink()
        return found

    monkeypatch.setattr(picture_bytes.os, "stat", taking_away)
    with pytest.raises(FileNotFoundError, match=r"There is no picture .*a\.png"):
        decode.read(path)


@posix
def test_the_stand_in_names_the_hidden_picture_that_it_cannot_copy(tmp_path):
    (tmp_path / "project").mkdir()
    for name in ("gone.jpg", "pipe.jpg"):
        if name == "pipe.jpg":
            os.mkfifo(tmp_path / name)
        with pytest.raises(UserError, match=rf"the hidden picture .*{name}.* cannot be copied .*put it back"):
            bring([(tmp_path / name, "a")], tmp_path, tmp_path / "project", "2.0")


@posix
def test_among_many_each_is_counted_and_named(tmp_path):
    for number in range(len(HOSTILE) + 4):
        picture(tmp_path / "image" / f"{number}.png", number)
    names = [name for name, (_, reason) in HOSTILE.items() if reason]
    for name in names:
        (tmp_path / "image" / f"{name}.jpg").write_bytes(HOSTILE[name][0])
    os.mkfifo(tmp_path / "image" / "pipe.jpg")
    lines = "".join(f"image/{name}.jpg,a\n" for name in [*names, "pipe", "gone", "x" * 300])
    table = read_csv(write(tmp_path, rows(["a", "b"] * (len(HOSTILE) // 2 + 2)) + lines))
    checked, findings = check(table, folds=2)
    assert kinds(findings) == {"unreadable-picture": len(names) + 2, "missing-file": 1}
    assert len(checked) == len(table) - len(findings)
    found = audit(table)
    assert len(found.unreadable) == len(findings)
    reasons = [*(HOSTILE[name][1] for name in names), "it is a pipe", "there is no (such )?file", "File name too long"]
    for said in (findings, findings_of(found)):
        for finding, reason in zip(said, reasons, strict=True):
            assert re.search(reason, str(finding))
