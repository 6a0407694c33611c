"""Duplicates by construction: copies are found under every change that they survive, other pictures are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.data.duplicates import Pair, duplicate_groups, find_pairs, groups_of, perceptual_bits, thumbnail
from recipe.data.folds import make_folds
from recipe.data.table import Table


def scenes(number: int, seed: int = 0, height: int = 90, width: int = 120) -> list[np.ndarray]:
    """Unrelated photograph-like pictures."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        coarse, fine = (
            cv2.resize(generator.random((s, s, 3)), (width, height), interpolation=cv2.INTER_CUBIC) for s in (5, 16)
        )
        made.append((255 * (0.7 * coarse + 0.3 * fine)).clip(0, 255).astype(np.uint8))
    return made


def thumbnails(images: list[np.ndarray]) -> np.ndarray:
    return np.array([thumbnail(image) for image in images])


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def unique(number: int) -> list[str]:
    return [str(row) for row in range(number)]


def test_bits_of_a_mirrored_picture_need_no_mirroring():
    small = thumbnails(scenes(20))
    np.testing.assert_array_equal(perceptual_bits(small, mirrored=True), perceptual_bits(small[:, :, ::-1]))
    assert perceptual_bits(small).shape == (20, 63)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda image: cv2.resize(image, (70, 52), interpolation=cv2.INTER_AREA), "near"),
        (lambda image: cv2.resize(image, (300, 225), interpolation=cv2.INTER_CUBIC), "near"),
        (lambda image: jpeg(image, 40), "near"),
        (lambda image: (image * 0.8).astype(np.uint8), "near"),
        (lambda image: image[:, ::-1], "mirrored"),
        (lambda image: jpeg(cv2.resize(image[:, ::-1], (80, 60), interpolation=cv2.INTER_AREA), 60), "mirrored"),
    ],
)
def test_copies_are_found_under_their_kind_and_nothing_else(change, kind):
    originals = scenes(30)
    images = originals + [np.ascontiguousarray(change(image)) for image in originals[:10]]
    pairs = find_pairs(thumbnails(images), unique(40))
    assert [(pair.row, pair.other, pair.kind) for pair in pairs] == [(row, 30 + row, kind) for row in range(10)]


def test_equal_bytes_are_exact_and_named_once():
    images = scenes(4)
    pairs = find_pairs(thumbnails([*images, images[1], images[1]]), ["a", "b", "c", "d", "b", "b"])
    assert [pair for pair in pairs if pair.kind == "exact"] == [Pair(1, 4, "exact", 1.0), Pair(1, 5, "exact", 1.0)]
    assert len({(pair.row, pair.other) for pair in pairs}) == len(pairs)
    assert set(groups_of(pairs, 6)[[1, 4, 5]]) == {groups_of(pairs, 6)[1]}


def test_unreadable_files_and_plain_colours_pair_with_nothing():
    black = np.zeros((2, 32, 32, 3), np.uint8)
    assert find_pairs(black, ["", ""]) == []
    assert find_pairs(black[:0], []) == []


def test_large_sets_are_compared_in_blocks(monkeypatch):
    small = thumbnails([*scenes(30), *scenes(30)])
    expected = find_pairs(small, unique(60))
    monkeypatch.setattr("recipe.data.duplicates._BLOCK", 7)
    assert find_pairs(small, unique(60)) == expected
    assert len(expected) == 30


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=12),
    st.lists(st.integers(0, 6), min_size=15, max_size=15),
)
def test_groups_are_the_connected_parts(links, known):
    groups = groups_of([Pair(min(link), max(link), "near", 1.0) for link in links], 15, np.array(known))
    reached = {row: {row} for row in range(15)}
    for _ in range(15):
        for row in range(15):
            near = (
                {b for a, b in links if a == row}
                | {a for a, b in links if b == row}
                | {r for r in range(15) if known[r] == known[row]}
            )
            for other in near:
                reached[row] |= reached[other]
    for row in range(15):
        assert set(np.flatnonzero(groups == groups[row])) == reached[row]


def test_without_pairs_every_row_is_alone():
    assert len(set(groups_of([], 5).tolist())) == 5


def test_folds_keep_duplicates_together(tmp_path: Path):
    images = scenes(20)
    images += [np.ascontiguousarray(image[:, ::-1]) for image in images[:10]]
    paths = []
    for number, image in enumerate(images):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(cv2.imencode(".png", image)[1].tobytes())
    labels = np.arange(30) % 10 % 2
    table = Table(tuple(paths), labels, ("a", "b"), ("a", "b"), tmp_path, tuple(map(str, range(30))), (0,) * 30)
    seen = []
    groups = duplicate_groups(table, progress=lambda ready, total: seen.append((ready, total)))
    assert seen[-1] == (30, 30)
    assert (groups[:10] == groups[20:]).all()
    assert len(set(groups.tolist())) == 20
    for fold in make_folds(table, 5, 0, groups):
        assert not set(groups[fold.train_rows]) & set(groups[fold.valid_rows])
