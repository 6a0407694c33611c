"""What is no file is written into, never replaced: as root, a rename takes the place of a device for everybody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flyai_local.submission.pack import Selection, pack
from protocol.errors import UserError
from protocol.streams import is_stream
from recipe.system.atomic import atomic, write_bytes

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="devices have other names on Windows")


def test_a_pipe_gets_what_is_written_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_bytes(tmp_path / "pipe", b"rows")
    reader.join(60)
    assert got == [b"rows"] and (tmp_path / "pipe").is_fifo() and [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_a_link_to_a_device_leaves_both(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(os.devnull)
    with atomic(tmp_path / "out") as temporary:
        temporary.write_bytes(b"rows")
        assert temporary.parent != tmp_path
    assert (tmp_path / "out").is_symlink() and not Path(os.devnull).is_file()


def test_standard_output_by_its_name_reaches_a_pipe_and_a_file(tmp_path: Path) -> None:
    program = "from pathlib import Path; from recipe.system.atomic import write_bytes; import os\n"
    program += "write_bytes(Path('/proc/self/fd/1'), b'rows')"
    piped = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    assert piped.stdout == b"rows"
    with open(tmp_path / "file", "wb") as file:
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=file, check=True)
        assert os.fstat(file.fileno()).st_ino == (tmp_path / "file").stat().st_ino
    assert (tmp_path / "file").read_bytes() == b"rows"


def test_a_file_and_what_is_not_there_are_no_streams(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    assert not any(is_stream(tmp_path / name) for name in ("file", "link", "absent", "."))


def test_an_archive_takes_no_place_of_a_folder_or_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match="is a folder or a device"):
            pack(tmp_path, place, Selection())
