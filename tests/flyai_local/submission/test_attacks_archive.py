"""Attacks by the archive itself: names that leave the folder, links, bombs, floods, corruption. Nothing of it runs."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from flyai_local.inside import OutsideError, inside
from flyai_local.states import Code
from flyai_local.submission import unpack as unpacking
from flyai_local.submission.unpack import ArchiveError, unpack


def archive(path: Path, entries: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = attributes.get("mode", 0o100644) << 16
            opened.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "/evil.py",
        "//evil.py",
        "///evil.py",
        "./../evil.py",
        "a/../../evil.py",
        "a//../evil.py",
        "..\\evil.py",
        "C:/evil.py",
        "C:\\evil.py",
        "a/evil.py:stream",
        "\u202eevil.py",
        "evil\n.py",
    ],
)
def test_zip_slip_is_refused_before_anything_is_written(tmp_path, name):
    made_archive = archive(tmp_path / "s.zip", {"main.py": b"", name: b"evil"})
    with pytest.raises(ArchiveError) as caught:
        unpack(made_archive, tmp_path / "deep" / "project")
    assert caught.value.code is Code.UNSAFE_ARCHIVE
    assert not (tmp_path / "deep").exists() and not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFCHR | 0o644])
def test_links_and_special_files_in_an_archive_are_refused(tmp_path, mode):
    with pytest.raises(ArchiveError) as caught:
        unpack(archive(tmp_path / "s.zip", {"main.py": b"/etc/passwd"}, mode=mode), tmp_path / "project")
    assert caught.value.code is Code.UNSAFE_ARCHIVE


def test_a_zip_bomb_is_refused_by_what_it_says(tmp_path):
    bomb = archive(tmp_path / "s.zip", {"main.py": b"", "zeros": bytes(4 * 2**20)})
    assert bomb.stat().st_size < 2**14
    with pytest.raises(ArchiveError) as caught:
        unpack(bomb, tmp_path / "project", max_mb=2)
    assert caught.value.code is Code.ARCHIVE_TOO_LARGE


def test_a_zip_bomb_that_lies_about_its_size_is_stopped(tmp_path):
    bomb = archive(tmp_path / "s.zip", {"zeros": bytes(4 * 2**20)})
    content = bomb.read_bytes()
    stated = (4 * 2**20).to_bytes(4, "little")
    assert content.count(stated) == 2
    bomb.write_bytes(content.replace(stated, (1000).to_bytes(4, "little")))
    with pytest.raises(ArchiveError):
        unpack(bomb, tmp_path / "project", max_mb=2)
    assert sum(file.stat().st_size for file in tmp_path.rglob("zeros")) <= 2 * 2**20


def test_a_flood_of_files_is_refused(tmp_path):
    with pytest.raises(ArchiveError) as caught:
        unpack(archive(tmp_path / "s.zip", {f"{at}": b"" for at in range(50)}), tmp_path / "project", max_files=49)
    assert caught.value.code is Code.ARCHIVE_TOO_LARGE


def test_a_double_slash_writes_nothing_where_it_points(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made_archive = archive(tmp_path / "s.zip", {"main.py": b"", f"/{elsewhere}/hidden.csv": b"evil"})
    with pytest.raises(ArchiveError) as caught:
        unpack(made_archive, tmp_path / "project")
    assert caught.value.code is Code.UNSAFE_ARCHIVE
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["/etc/passwd", "//etc/passwd", "../x", "a/../..", ".", "", "x\0y", "link/x", "loop"])
def test_what_does_not_resolve_into_the_folder_is_outside(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "loop").symlink_to("/proc/self/root")
    with pytest.raises(OutsideError):
        inside(folder, name)


@pytest.mark.parametrize("name", ["a", "a/b.png", "./a", "a/../b", "a//b"])
def test_what_resolves_into_the_folder_is_inside(tmp_path, name):
    assert inside(tmp_path, name).is_relative_to(tmp_path.resolve())


def test_few_entries_that_unfold_into_many_folders_are_refused(tmp_path):
    deep = {"/".join([f"{at}", *"abcdefghij"]): b"" for at in range(10)}
    with pytest.raises(ArchiveError) as caught:
        unpack(archive(tmp_path / "s.zip", deep), tmp_path / "project", max_files=100)
    assert caught.value.code is Code.ARCHIVE_TOO_LARGE
    with pytest.raises(ArchiveError) as caught:
        unpack(archive(tmp_path / "d.zip", {"/".join("a" * 500): b""}), tmp_path / "project")
    assert caught.value.code is Code.UNSAFE_ARCHIVE
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("twins", [("main.py", "./main.py"), ("main.py", "MAIN.py"), ("\u00e9.py", "e\u0301.py"),
                                   ("a/b", "A/b"), ("a", "a/b")])  # fmt: skip
def test_two_entries_for_one_place_are_refused(tmp_path, twins):
    with pytest.raises(ArchiveError) as caught:
        unpack(archive(tmp_path / "s.zip", dict.fromkeys(twins, b"")), tmp_path / "project")
    assert caught.value.code is Code.UNSAFE_ARCHIVE


def test_a_folder_that_is_listed_and_used_passes(tmp_path):
    unpack(archive(tmp_path / "s.zip", {"a/": b"", "a/b/c.py": b"1", "main.py": b""}), tmp_path / "project")
    assert (tmp_path / "project" / "a" / "b" / "c.py").read_bytes() == b"1"


def test_what_lies_in_the_folder_already_is_never_written_through(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "main.py").symlink_to(tmp_path / "victim")
    with pytest.raises(ArchiveError):
        unpack(archive(tmp_path / "s.zip", {"main.py": b"evil"}), tmp_path / "project")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_codings_that_name_their_own_memory_are_not_decoded(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "s.zip", "w", method) as opened:
        opened.writestr("main.py", b"x" * 1000)
    with pytest.raises(ArchiveError) as caught:
        unpack(tmp_path / "s.zip", tmp_path / "project")
    assert caught.value.code is Code.BAD_ARCHIVE


def test_a_list_of_entries_beyond_all_measure_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "CHUNK", 1000)
    crowded = archive(tmp_path / "s.zip", {f"{'x' * 200}{at}": b"" for at in range(20)})
    with pytest.raises(ArchiveError) as caught:
        unpack(crowded, tmp_path / "project", max_files=2)
    assert caught.value.code is Code.ARCHIVE_TOO_LARGE and "list of entries" in str(caught.value)


def test_every_mutation_of_an_archive_is_unpacked_or_refused_by_us(tmp_path):
    """Every third byte set to each of three values: no exception but ours leaves `unpack`."""
    content = archive(tmp_path / "s.zip", {"main.py": b"x = 1\n" * 9, "a/\u00e9.py": b"y"}).read_bytes()
    codes = set()
    for at in range(0, len(content), 3):
        for value in (0, 0xFF, content[at] ^ 0x41):
            (tmp_path / "m.zip").write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
            try:
                unpack(tmp_path / "m.zip", tmp_path / f"{at}_{value}", max_mb=1)
            except ArchiveError as error:
                codes.add(error.code)
    assert Code.BAD_ARCHIVE in codes
    assert codes <= {Code.BAD_ARCHIVE, Code.UNSAFE_ARCHIVE, Code.ARCHIVE_TOO_LARGE, Code.NESTED_FOLDER}


@pytest.mark.parametrize("around", [(b"", b""), (b"hello", b"bye")])
def test_an_archive_whose_comment_is_another_ones_end_is_told_from_an_empty_folder(tmp_path, around):
    """zipfile and unzip both take the last end of a list, and find no entry."""
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("main.py", "pass")
        opened.comment = around[0] + b"PK\5\6" + bytes(18) + around[1]
    with pytest.raises(ArchiveError) as caught:
        unpack(file, tmp_path / "out")
    assert caught.value.code is Code.BAD_ARCHIVE and "the last one in it" in str(caught.value)


def test_a_truncated_archive_is_a_bad_one(tmp_path):
    content = archive(tmp_path / "s.zip", {"main.py": b"x" * 500}).read_bytes()
    for end in range(0, len(content), 7):
        (tmp_path / "m.zip").write_bytes(content[:end])
        with pytest.raises(ArchiveError) as caught:
            unpack(tmp_path / "m.zip", tmp_path / "project")
        assert caught.value.code is Code.BAD_ARCHIVE


def test_a_full_disk_is_not_the_archives_fault(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacking, "_write", full)
    with pytest.raises(OSError, match="No space"):
        unpack(archive(tmp_path / "s.zip", {"main.py": b""}), tmp_path / "project")
