"""The loader's promises: order and seeds are fixed beforehand, threads come and go, errors surface; the cache never
changes a pixel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import UserError
from recipe.pictures import decode
from recipe.pictures.cache import Pictures
from recipe.pictures.errors import StuckPicture
from recipe.system import threads as background
from recipe.system.memory import free_memory_mb
from recipe.training.loader import Loader

SIZE = 4


def tiny_pictures(rows: int) -> list[np.ndarray]:
    """Pictures whose every pixel is the row number."""
    return [np.full((SIZE, SIZE, 3), row, np.uint8) for row in range(rows)]


def stamp(image: np.ndarray, seed: int) -> np.ndarray:
    """Writes the seed's lowest byte into the corner."""
    stamped = image.copy()
    stamped[0, 0, 0] = seed % 256
    return stamped


def loader(rows: int = 20, batch_size: int = 4, transform=stamp, **options) -> Loader:
    labels = np.arange(rows) % 3
    options = {"seed": 5} | options
    return Loader(tiny_pictures(rows), labels, options.pop("rows", np.arange(rows)), batch_size, transform, **options)


def content(batches) -> list[tuple]:
    return [(batch.rows.tolist(), batch.labels.tolist(), batch.images.numpy().tobytes()) for batch in batches]


def loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_a_batch_holds_what_its_rows_say():
    for batch in loader().epoch(0):
        assert batch.images.shape == (4, 3, SIZE, SIZE)
        assert batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert (batch.images[:, 1, 2, 2] == batch.rows).all()
        assert (batch.labels == batch.rows % 3).all()
        assert (batch.labels_b == batch.labels).all()
        assert (batch.lam == 1).all()
        assert (batch.labels.dtype, batch.rows.dtype, batch.lam.dtype) == (torch.int64, torch.int64, torch.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.booleans(), st.booleans(), st.integers(0, 9), st.integers(1, 3))
def test_an_epoch_visits_every_row_once(rows, batch_size, shuffle, drop_last, epoch, workers):
    made = loader(rows, batch_size, shuffle=shuffle, drop_last=drop_last, workers=workers)
    visited = [batch.rows.tolist() for batch in made.epoch(epoch)]
    assert len(visited) == len(made)
    flat = [row for batch in visited for row in batch]
    assert len(set(flat)) == len(flat)
    assert len(flat) == (rows // batch_size * batch_size if drop_last and rows >= batch_size else rows)
    if not shuffle:
        assert flat == list(range(len(flat)))


def test_order_and_seeds_depend_on_neither_threads_nor_timing():
    def slow(image: np.ndarray, seed: int) -> np.ndarray:
        time.sleep(seed % 3 / 1000)
        return stamp(image, seed)

    expected = content(loader().epoch(3))
    for options in ({"workers": 3}, {"workers": 1, "prefetch": 1}, {"workers": 4, "prefetch": 5, "transform": slow}):
        assert content(loader(**options).epoch(3)) == expected


def test_epochs_and_seeds_differ():
    made = loader()
    orders = [np.concatenate([batch.rows for batch in made.epoch(n)]).tolist() for n in range(3)]
    assert len(set(map(tuple, orders))) == 3
    assert content(loader(seed=6).epoch(0)) != content(made.epoch(0))
    still = loader(shuffle=False)
    assert content(still.epoch(0)) != content(still.epoch(1))  # same order, other augmentation


@pytest.mark.parametrize(
    "options", [{}, {"weights": np.linspace(0.1, 1, 20)}, {"shuffle": False}, {"batch_size": 6, "drop_last": False}]
)
def test_start_skips_batches_and_decodes_none_of_them(options):
    whole = content(loader(**options).epoch(2))
    for start in range(len(whole) + 1):
        touched = []
        made = loader(
            transform=lambda image, seed, touched=touched: touched.append(image[1, 1, 1]) or stamp(image, seed),
            **options,
        )
        assert content(made.epoch(2, start)) == whole[start:]
        assert sorted(touched) == sorted(row for rows, _, _ in whole[start:] for row in rows)


def test_rows_may_be_any_part_of_the_table():
    made = Loader(tiny_pictures(20), np.arange(20), [3, 17, 8, 11], 2, stamp, seed=0)
    assert sorted(row for batch in made.epoch(0) for row in batch.rows.tolist()) == [3, 8, 11, 17]


def test_weights_draw_rows_in_proportion():
    weights = np.where(np.arange(20) < 10, 3.0, 1.0)
    made = loader(weights=weights)
    drawn = np.concatenate([batch.rows for n in range(100) for batch in made.epoch(n)])
    assert len(drawn) == 2000
    assert abs((drawn < 10).mean() - 0.75) < 0.04
    nothing = np.zeros(20)
    nothing[7] = 1
    assert {row for batch in loader(weights=nothing).epoch(0) for row in batch.rows.tolist()} == {7}


def test_a_row_drawn_twice_is_augmented_twice():
    only = np.zeros(20)
    only[0] = 1
    (first, *_) = loader(weights=only).epoch(0)
    assert len(set(first.images[:, 0, 0, 0].tolist())) > 1


@pytest.mark.parametrize("weights", [np.ones(19), -np.ones(20), np.zeros(20), np.full(20, np.nan), np.ones((20, 1))])
def test_useless_weights_are_refused(weights):
    with pytest.raises(ValueError, match="Sampling weights must be 20 finite numbers"):
        next(loader(weights=weights).epoch(0))


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"workers": -1}, {"prefetch": 0}, {"rows": []}])
def test_impossible_loaders_are_refused(options):
    with pytest.raises(ValueError, match="at least"):
        Loader(
            tiny_pictures(4),
            np.arange(4),
            options.pop("rows", [0, 1]),
            options.pop("batch_size", 2),
            stamp,
            seed=0,
            **options,
        )


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_a_thread_surfaces_and_ends_the_threads(workers):
    def fail(image: np.ndarray, seed: int) -> np.ndarray:
        if image[0, 0, 0] == 9:
            raise decode.UnreadablePicture("9.jpg", "it broke meanwhile")
        return image

    batches = loader(transform=fail, shuffle=False, workers=workers, prefetch=1).epoch(0)
    with pytest.raises(decode.UnreadablePicture, match="it broke meanwhile"):
        list(batches)
    assert loader_threads() == []


def test_closing_early_leaves_no_thread_and_restores_opencv():
    before = cv2.getNumThreads()
    batches = loader(workers=3).epoch(0)
    next(batches)
    assert cv2.getNumThreads() == 1
    assert loader_threads()
    batches.close()
    assert loader_threads() == []
    assert cv2.getNumThreads() == before


@pytest.fixture
def dead_drive(monkeypatch):
    """A transform that hangs, `times` times, at the picture of row 9; the test's threads are let go at its end."""
    let_go, hung = threading.Event(), []
    monkeypatch.setattr(background, "PATIENCE", 0.3)

    def transform(times: int):
        def stamped(image: np.ndarray, seed: int) -> np.ndarray:
            if image[1, 1, 0] == 9 and len(hung) < times:
                hung.append(seed)
                let_go.wait(20)
            return stamp(image, seed)

        return stamped

    yield transform
    let_go.set()


@pytest.mark.parametrize(
    "options", [{"workers": 1}, {"workers": 3}, {"weights": np.full(20, 0.5)}, {"batch_size": 6, "drop_last": False}]
)
def test_a_thread_that_hangs_is_left_behind_and_the_batches_stay_the_same(dead_drive, capsys, options):
    expected = [content(loader(**options).epoch(n, 1)) for n in (0, 1)]
    made = loader(transform=dead_drive(times=1), **options)
    assert [content(made.epoch(n, 1)) for n in (0, 1)] == expected
    said = capsys.readouterr().out
    assert said.count("hangs at the picture of row 9") == 1
    assert "changes no result" in said


def test_a_picture_that_hangs_again_ends_the_run_with_its_name(dead_drive, capsys):
    before, made = cv2.getNumThreads(), loader(transform=dead_drive(times=2), shuffle=False)
    made.pictures = Listed(made.pictures)
    with pytest.raises(UserError, match=r"the picture /there/9.png is not ready .* --resume"):
        list(made.epoch(0))
    assert "hangs at the picture /there/9.png" in capsys.readouterr().out
    assert cv2.getNumThreads() == before


class Listed(list):
    """Pictures with paths."""

    @property
    def paths(self) -> list[str]:
        return [f"/there/{row}.png" for row in range(len(self))]


def test_a_slow_batch_that_goes_on_is_no_hanging_one(monkeypatch, capsys):
    monkeypatch.setattr(background, "PATIENCE", 0.6)

    def slow(image: np.ndarray, seed: int) -> np.ndarray:
        time.sleep(0.1)
        return image

    assert len(list(loader(12, 12, transform=slow).epoch(0))) == 1
    assert capsys.readouterr().out == ""


def test_a_process_with_a_hanging_thread_ends():
    program = """
import threading
from recipe.system import threads as background
background.PATIENCE = 0.1
threads = background.Threads(2, "loader")
job = threads.give(background.Task(lambda items: [threading.Event().wait() for item in items], [1, 2]))
try:
    job.watch()
except background.Hung as hung:
    threads.end(hangs=True)
    print("hung at", hung.at)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "hung at 0\n"


def test_threads_run_ahead_but_not_without_bound():
    done = []
    made = loader(40, 1, transform=lambda image, seed: done.append(1) or image, workers=1, prefetch=2)
    batches = made.epoch(0)
    next(batches)
    time.sleep(0.2)
    assert 2 <= len(done) <= 4
    batches.close()


def test_rows_without_their_pictures_come_in_the_same_order():
    made = loader(10, 3)
    made.pictures = None  # nothing may be read
    blank = made.without_pictures()
    rows, _ = made.order(2)
    assert [batch.rows.tolist() for batch in blank.epoch(2)] == [
        rows[first : first + 3].tolist() for first in range(0, 9, 3)
    ]
    assert all(batch.images.shape == (3, 3, 1, 1) for batch in blank.epoch(2))


# ---- the cache


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    made = []
    for number in range(6):
        pixels = generator.integers(0, 255, (20 + number, 30, 3), dtype=np.uint8)
        made.append(tmp_path / f"{number}.jpg")
        made[-1].write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    return made


@pytest.mark.parametrize("cache_mb", [0, 1, None])
def test_the_cache_never_changes_a_pixel(paths, cache_mb):
    pictures = Pictures(paths, short_side=16, cache_mb=cache_mb)
    for _ in range(2):
        for row, path in enumerate(paths):
            np.testing.assert_array_equal(pictures[row], decode.resize_short(decode.read(path), 16))
            assert pictures[row].flags["C_CONTIGUOUS"]
    assert pictures.kept == (0 if cache_mb == 0 else 6)


def test_a_file_takes_what_memory_has_no_room_for_and_changes_no_pixel(paths, tmp_path):
    """Identical with the file and without; it has no name that could be left behind."""
    folder = tmp_path / "disk"
    folder.mkdir()
    plain, kept = Pictures(paths, 16, cache_mb=0), Pictures(paths, 16, cache_mb=0, disk_mb=1, folder=folder)
    assert kept.load_all() == {}
    assert (plain.kept, kept.kept, kept.of(paths[2:4]).kept) == (0, 6, 2)
    originals = [plain[row] for row in range(6)]
    for path in paths:
        path.unlink()  # nothing is decoded again
    for row, original in enumerate(originals):
        np.testing.assert_array_equal(kept[row], original)
        assert not kept[row].flags["WRITEABLE"]
    if os.name == "posix":
        assert list(folder.iterdir()) == []


def test_a_full_disk_ends_the_keeping_and_nothing_else(paths, monkeypatch):
    pictures = Pictures(paths, 16, cache_mb=0, disk_mb=1)
    pictures[0], pictures[1]

    def full(image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures._cache.file, "_write", full)
    np.testing.assert_array_equal(pictures[2], decode.resize_short(decode.read(paths[2]), 16))
    monkeypatch.undo()
    pictures[3]
    assert pictures.kept == 2  # what is kept stays, and what came after is decoded anew


def test_without_a_folder_for_the_file_pictures_are_decoded_anew(paths, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    pictures = Pictures(paths, 16, cache_mb=0, disk_mb=1, folder=tmp_path / "absent too")
    assert pictures.load_all() == {}
    assert pictures.kept == 0


def test_the_cache_keeps_to_its_limit(tmp_path):
    paths = []
    for number in range(5):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(cv2.imencode(".png", np.zeros((400, 400, 3), np.uint8))[1].tobytes())
    pictures = Pictures(paths, short_side=400, cache_mb=1)  # 480,000 bytes each: two of them fit
    assert pictures.load_all() == {}
    assert pictures.kept == 2
    assert pictures.of(paths[:1])[0].shape == (400, 400, 3)


def test_load_all_reports_failures_by_row_and_progress(paths):
    paths[1].write_bytes(b"no picture")
    paths[4].unlink()
    seen = []
    pictures = Pictures(paths, short_side=8, cache_mb=1)
    failures = pictures.load_all(lambda ready, total: seen.append((ready, total)))
    assert [(row, type(failure)) for row, failure in failures.items()] == [
        (1, decode.UnreadablePicture),
        (4, FileNotFoundError),
    ]
    assert seen == [(ready, 6) for ready in range(1, 7)]
    assert pictures.kept == 4
    with pytest.raises(decode.UnreadablePicture):
        pictures[1]


def test_pictures_that_hang_are_named_and_the_others_are_read(paths, monkeypatch, capsys):
    monkeypatch.setattr(background, "PATIENCE", 0.3)
    gone, go = {paths[1], paths[2]}, threading.Event()
    real = decode.read
    monkeypatch.setattr(decode, "read", lambda path, side: go.wait() and None if path in gone else real(path, side))
    pictures = Pictures(paths, short_side=8, cache_mb=1)
    try:
        failures = pictures.load_all(workers=2)
        assert list(failures) == [1, 2] and all(
            "nothing came of it for 0.3 s" in str(failure) for failure in failures.values()
        )
        assert pictures.kept == 4 and capsys.readouterr().out.count("hangs") == 2
        gone.add(paths[5])
        with pytest.raises(StuckPicture, match=r"3 pictures hang, .*5\.jpg the last of them"):
            Pictures(paths, short_side=8).load_all(workers=2)
    finally:
        monkeypatch.undo()
        go.set()


def test_stopping_load_all_ends_its_threads(paths):
    def stop(ready: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pictures(paths, short_side=8).load_all(stop)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_many_threads_may_read_at_once(paths):
    pictures = Pictures(paths, short_side=16, cache_mb=1)
    made = Loader(
        pictures,
        np.arange(6),
        np.repeat(np.arange(6), 20),
        5,
        lambda image, seed: decode.centre_crop(image, 16),
        seed=0,
        workers=4,
    )
    expected = [decode.centre_crop(decode.resize_short(decode.read(path), 16), 16) for path in paths]
    for batch in made.epoch(0):
        for image, row in zip(batch.images.permute(0, 2, 3, 1).numpy(), batch.rows.tolist(), strict=True):
            np.testing.assert_array_equal(image, expected[row])
    assert pictures.kept == 6


def test_free_memory_is_plausible():
    assert 16 < free_memory_mb() < 2**24
