"""Where mushrooms grow: forest floor, moss, leaf litter and grass, with the twigs and stalks that lie about."""

from __future__ import annotations

import cv2
import numpy as np

from flyai_local.sketch.skins import colour, noise

SOIL = ("3b2f24", "57452f", "6f5a40", "2c2620", "4a4030")
LEAVES = ("8a5a2b", "a5742f", "6b4423", "b98a3f", "74552f", "9a3f22", "5d5a2c", "c0a060")
GREENS = ("3f5a24", "5b7a30", "2f4a22", "7a9440", "4d6b3a", "869a52")
NEEDLES = ("7a4f2a", "5d3d24", "94683a", "6b5a38")


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
    along = np.linspace(0, 1, 7)
    lean, droop = rng.normal(0, 0.35), rng.uniform(-0.5, 0.5)
    path = root + length * np.stack([lean * along + droop * along**2.5, -along + 0.3 * abs(droop) * along**3], 1)
    width = rng.uniform(0.6, 2.2) * (1 - along) + 0.3
    outline = np.concatenate([path - np.stack([width, 0 * width], 1), (path + np.stack([width, 0 * width], 1))[::-1]])
    _polygon(picture, outline, tone)


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
    tones = [*rng.choice(GREENS, 3), "a59a5a"]
    places = rng.uniform([-10, 0], [floor.shape[1] + 10, floor.shape[0] + 40], (int(rng.integers(200, 330)), 2))
    for root in places[np.argsort(places[:, 1])]:  # what stands nearer hides what is behind
        depth = 0.45 + 0.55 * root[1] / floor.shape[0]
        blade(rng, floor, root, rng.uniform(20, 90), colour(rng, rng.choice(tones), 0.06) * depth)


def _needles(rng: np.random.Generator, floor: np.ndarray) -> None:
    for _ in range(int(rng.integers(200, 380))):
        root, angle, reach = _anywhere(rng, floor), rng.uniform(0, np.pi), rng.uniform(8, 30)
        tone = colour(rng, rng.choice(NEEDLES)) * rng.uniform(0.5, 1.2)
        _line(floor, np.stack([root, root + reach * np.array([np.cos(angle), np.sin(angle)])]), tone, 1)


def _anywhere(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    return rng.uniform([0, 0], [picture.shape[1], picture.shape[0]])


def _polygon(picture: np.ndarray, points: np.ndarray, tone: np.ndarray) -> None:
    cv2.fillPoly(picture, [np.round(points * 8).astype(np.int32)], np.clip(tone, 0, 1).tolist(), shift=3)


def _line(picture: np.ndarray, points: np.ndarray, tone: np.ndarray, thick: int) -> None:
    cv2.polylines(picture, [np.round(points * 8).astype(np.int32)], False, np.clip(tone, 0, 1).tolist(), thick, shift=3)
