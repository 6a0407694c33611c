"""Where mushrooms grow: forest floor, moss, leaf litter and grass, with the twigs and stalks that lie about."""

from __future__ import annotations

import cv2
import numpy as np

from flyai_local.contest.sketch.skins import colour, noise

SOIL = ("3b2f24", "57452f", "6f5a40", "2c2620", "4a4030")
LEAVES = ("8a5a2b", "a5742f", "6b4423", "b98a3f", "74552f", "9a3f22", "5d5a2c", "c0a060")
GREENS = ("3f5a24", "5b7a30", "2f4a22", "7a9440", "4d6b3a", "869a52")
BARK = ("2a2420", "3d352c", "1f1d1a", "4a4238")
NEEDLES = ("7a4f2a", "5d3d24", "94683a", "6b5a38")
RISE = np.linspace(0, 1, 7)
TAPER = 1.1 - RISE


def ground(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One stretch of ground, (height, width, 3) float32 RGB in [0, 1]."""
    kinds = (_litter, _moss, _grass, _needles)
    floor = _earth(rng, height, width)
    kinds[rng.integers(len(kinds))](rng, floor)
    for _ in range(int(rng.integers(0, 7))):
        twig(rng, floor)
    for _ in range(int(rng.integers(0, 9))):
        leaf(rng, floor, _anywhere(rng, floor), rng.uniform(8, 30), colour(rng, rng.choice(LEAVES)))
    return floor


def leaf(rng: np.random.Generator, picture: np.ndarray, place: np.ndarray, length: float, tone: np.ndarray) -> None:
    """Draw one leaf: two halves of slightly different brightness and a midrib."""
    along = np.linspace(0, 1, 9)
    swell = np.sin(np.pi * along**0.8) * length * rng.uniform(0.2, 0.36)
    curve = rng.uniform(-0.25, 0.25) * length * along**2
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rib = np.stack([along * length, curve], 1)
    for side, light in ((1, rng.uniform(0.85, 1.2)), (-1, rng.uniform(0.6, 0.95))):
        edge = np.stack([along * length, curve + side * swell * (1 + 0.15 * rng.normal(size=9))], 1)
        half = np.concatenate([rib, edge[::-1]]) @ turn.T + place
        _polygon(picture, half, tone * light)
    _line(picture, rib @ turn.T + place, tone * 0.6, 1)


def twig(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Draw a dead twig with a lit upper side."""
    reach, angle = rng.uniform(0.2, 0.9) * max(picture.shape[:2]), rng.uniform(0, 2 * np.pi)
    along = np.linspace(0, 1, 6)[:, None]
    bend = np.cumsum(rng.normal(0, 0.04, 6))[:, None] * reach
    direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    path = _anywhere(rng, picture) + along * reach * direction + bend * across
    tone, thick = colour(rng, rng.choice(("5d4a38", "7a6650", "42352a", "8a7d6d"))), int(rng.integers(1, 6))
    _line(picture, path, tone * 0.55, thick + 1)
    _line(picture, path - [0, 0.3 * thick], tone, max(thick - 1, 1))


def blade(rng: np.random.Generator, picture: np.ndarray, root: np.ndarray, length: float, tone: np.ndarray) -> None:
    """Draw a blade of grass or a thin stalk that rises from its root."""
    lean, droop, width = rng.normal(0, 0.35), rng.uniform(-0.5, 0.5), rng.uniform(0.5, 1.8)
    aside = root[0] + length * (lean * RISE + droop * RISE**2.5)
    outline = np.empty((2 * len(RISE), 2))
    outline[:, 0] = np.concatenate([aside - width * TAPER, (aside + width * TAPER)[::-1]])
    fall = root[1] - length * (RISE - 0.3 * abs(droop) * RISE**3)
    outline[:, 1] = np.concatenate([fall, fall[::-1]])
    _polygon(picture, outline, tone)


def trunks(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Draw what stands far behind: dark trunks and spots of sky between the leaves, to be blurred afterwards."""
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(0, 5))):
        left, thick, foot = rng.uniform(-10, width), rng.uniform(6, 45), rng.uniform(0.2, 0.5) * height
        lean = rng.normal(0, 8)
        corners = np.array([[left, foot], [left + thick, foot], [left + thick + lean, 0], [left + lean, 0]])
        _polygon(picture, corners, colour(rng, rng.choice(BARK)) * rng.uniform(0.7, 1.8))
    sky = colour(rng, rng.choice(("c9d2b8", "9fae7a", "d8d3bd", "7f9460")))
    for _ in range(int(rng.choice((0, 0, 8, 20)))):
        place, size = rng.random(2) * [width, 0.45 * height], rng.uniform(2, 9)
        cv2.circle(picture, (int(place[0]), int(place[1])), int(size), sky.tolist(), -1)


def _earth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    dark, middle = colour(rng, rng.choice(SOIL)), colour(rng, rng.choice(SOIL))
    coarse = noise(rng, height, width, rng.uniform(30, 90), 5)[..., None]
    fine = 0.55 + 0.9 * noise(rng, height, width, rng.uniform(3, 7), 2)[..., None]
    return np.ascontiguousarray((dark + (middle - dark) * coarse) * fine, np.float32)


def _litter(rng: np.random.Generator, floor: np.ndarray) -> None:
    tones = rng.choice(LEAVES, 4)
    for depth in np.linspace(0.45, 1.05, int(rng.integers(60, 130))):  # lower leaves lie in the dark
        leaf(rng, floor, _anywhere(rng, floor), rng.uniform(14, 52), colour(rng, rng.choice(tones), 0.06) * depth)


def _moss(rng: np.random.Generator, floor: np.ndarray) -> None:
    height, width = floor.shape[:2]
    green, bright = colour(rng, rng.choice(GREENS)), colour(rng, rng.choice(GREENS))
    cover = np.clip((noise(rng, height, width, 70, 4) - rng.uniform(0.2, 0.5)) * 6, 0, 1)[..., None]
    tufts = noise(rng, height, width, rng.uniform(5, 10), 3)[..., None]
    floor[:] = floor * (1 - cover) + cover * (green * 0.5 + (bright - 0.4 * green) * tufts)
    for _ in range(int(rng.integers(80, 220))):
        blade(rng, floor, _anywhere(rng, floor), rng.uniform(3, 10), bright * rng.uniform(0.6, 1.3))


def _grass(rng: np.random.Generator, floor: np.ndarray) -> None:
    tones = [colour(rng, code, 0.06) for code in (*rng.choice(GREENS, 5), "a59a5a", "8a7a4a")]
    places = rng.uniform([-10, 0], [floor.shape[1] + 10, floor.shape[0] + 40], (int(rng.integers(180, 300)), 2))
    for root in places[np.argsort(places[:, 1])]:  # what stands nearer hides what is behind
        depth = 0.45 + 0.55 * root[1] / floor.shape[0]
        blade(rng, floor, root, rng.uniform(20, 90), tones[rng.integers(7)] * depth * rng.uniform(0.7, 1.2))


def _needles(rng: np.random.Generator, floor: np.ndarray) -> None:
    tones = [colour(rng, code) for code in NEEDLES]
    count = int(rng.integers(200, 380))
    roots = rng.random((count, 2)) * [floor.shape[1], floor.shape[0]]
    angles, reaches = rng.uniform(0, np.pi, count), rng.uniform(8, 30, count)
    tips = roots + reaches[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    for needle, light in zip(np.stack([roots, tips], 1), rng.uniform(0.5, 1.2, count), strict=True):
        _line(floor, needle, tones[rng.integers(len(tones))] * light, 1)


def _anywhere(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    return rng.random(2) * (picture.shape[1], picture.shape[0])


def _polygon(picture: np.ndarray, points: np.ndarray, tone: np.ndarray) -> None:
    cv2.fillPoly(picture, [np.round(points * 8).astype(np.int32)], tone.tolist(), shift=3)


def _line(picture: np.ndarray, points: np.ndarray, tone: np.ndarray, thick: int) -> None:
    cv2.polylines(picture, [np.round(points * 8).astype(np.int32)], False, tone.tolist(), thick, shift=3)
