"""Which pictures of a table are the same picture: byte for byte, resized or saved anew, mirrored.

Duplicates on both sides of a fold make validation too optimistic, and duplicates with different labels are mistakes.
Two steps: a perceptual hash proposes pairs, the correlation of small thumbnails confirms them. The hash is that of
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1: the signs of the
lowest frequencies of a cosine transform, about their median. On real sets every pair above 0.88 was a copy, and
different pictures stayed below 0.86 (docs/audit.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from recipe.data.table import Table
from recipe.pictures.bytes import picture_bytes
from recipe.pictures.cache import Pictures

THUMBNAIL = 32  # pixels
FREQUENCIES = 8  # per direction; 63 bits without the constant term
MAX_DISTANCE = 14  # bits of 63 in which a proposed pair may differ; unrelated pictures differ in 31 on average
MIN_CORRELATION = (
    0.88  # of confirmed pairs; resized and recompressed copies reach 0.99, slightly cropped or watermarked ones 0.9
)
_BLOCK = 1024  # rows compared at a time with all others


class Pair(NamedTuple):
    """Two rows that show the same picture, `row` < `other`."""

    row: int
    other: int
    kind: str  # "exact" (same bytes), "near" (same pixels but for size and compression), "mirrored"
    similarity: float  # correlation of the thumbnails, 1 for exact


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(32, 32, 3) uint8, the aspect ratio given up: a resized copy has the same."""
    return cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def perceptual_bits(thumbnails: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """(N, 63) float32 of -1 and 1 from thumbnails (N, 32, 32, 3); with `mirrored`, of the pictures flipped.

    A cosine transform of a mirrored row has the same terms with every odd one negated, so no picture is flipped.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in thumbnails]
    low = np.array([cv2.dct(image)[:FREQUENCIES, :FREQUENCIES] for image in grey]).reshape(-1, FREQUENCIES, FREQUENCIES)
    if mirrored:
        low = low * np.where(np.arange(FREQUENCIES) % 2, -1, 1)
    terms = low.reshape(len(low), FREQUENCIES**2)[:, 1:]
    return np.where(terms > np.median(terms, axis=1, keepdims=True), 1, -1).astype(np.float32)


def find_pairs(thumbnails: np.ndarray, digests: Sequence[str]) -> list[Pair]:
    """All pairs of rows that show the same picture, sorted; a pair appears once, under its closest kind.

    Args:
        thumbnails: (N, 32, 32, 3) uint8.
        digests: (N,) of the files' bytes; an empty one equals no other.
    """
    pairs = {(row, other): Pair(row, other, "exact", 1.0) for row, other in _equal(digests)}
    vectors, bits = _centred(thumbnails), perceptual_bits(thumbnails)
    flipped_vectors, flipped_bits = _centred(thumbnails[:, :, ::-1]), perceptual_bits(thumbnails, mirrored=True)
    for kind, others, other_bits in (("near", vectors, bits), ("mirrored", flipped_vectors, flipped_bits)):
        for row, other in _close(bits, other_bits):
            similarity = min(1.0, float(vectors[row] @ others[other]))  # rounding may exceed 1
            if similarity >= MIN_CORRELATION and (
                (row, other) not in pairs or similarity > pairs[row, other].similarity
            ):
                pairs[row, other] = Pair(row, other, kind, similarity)
    return sorted(pairs.values())


def groups_of(pairs: Sequence[Pair], rows: int, known: np.ndarray | None = None) -> np.ndarray:
    """(rows,) int64 group numbers: rows that a chain of pairs connects, and rows of one `known` group, share one.

    Limit: without pairs and known groups every row is a group of its own.
    """
    links = [(pair.row, pair.other) for pair in pairs]
    if known is not None:
        _, first, group = np.unique(known, return_index=True, return_inverse=True)
        links += list(zip(range(rows), first[group].tolist(), strict=True))
    ends = np.array(links, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(rows, rows))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def duplicate_groups(
    table: Table, pictures: Pictures | None = None, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """(N,) int64 groups for `make_folds(groups=...)`: duplicates together, and the table's own groups kept whole.

    Args:
        table: checked, so that every picture can be read.
        pictures: of `table.paths`, decoded already; without them every picture is decoded for this.
        progress: called with (pictures seen, pictures in all).
    """
    pictures = Pictures(table.paths, short_side=2 * THUMBNAIL, cache_mb=0) if pictures is None else pictures
    thumbnails, digests = [], []
    with ThreadPoolExecutor() as pool:
        seen = pool.map(
            lambda row: (thumbnail(pictures[row]), digest(picture_bytes(table.paths[row]))), range(len(table))
        )
        for number, (small, name) in enumerate(seen, start=1):
            thumbnails.append(small)
            digests.append(name)
            if progress is not None:
                progress(number, len(table))
    return groups_of(find_pairs(np.array(thumbnails), digests), len(table), table.groups)


def digest(encoded: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(encoded).hexdigest()


def _equal(digests: Sequence[str]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(first[name], row) for row, name in enumerate(digests) if name and first.setdefault(name, row) != row]


def _centred(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 3072) float32 without mean, of length 1: a product is a correlation; one colour gives zeros."""
    vectors = thumbnails.reshape(len(thumbnails), 3 * THUMBNAIL**2).astype(np.float32)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _close(bits: np.ndarray, other_bits: np.ndarray) -> list[tuple[int, int]]:
    """Pairs row < other within MAX_DISTANCE bits: a product of +-1 vectors is their length less twice the distance."""
    enough = bits.shape[1] - 2 * MAX_DISTANCE if len(bits) else 0
    pairs = []
    for start in range(0, len(bits), _BLOCK):
        rows, others = np.nonzero(bits[start : start + _BLOCK] @ other_bits[start:].T >= enough)
        pairs += [
            (start + row, start + other)
            for row, other in zip(rows.tolist(), others.tolist(), strict=True)
            if row < other
        ]
    return pairs
