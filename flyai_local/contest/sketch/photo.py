"""A photograph: mushrooms on their ground, light, depth of field and the faults of a pocket camera."""

from __future__ import annotations

import cv2
import numpy as np

from flyai_local.contest.sketch.genera import Genus
from flyai_local.contest.sketch.ground import GREENS, LEAVES, blade, ground, leaf, trunks
from flyai_local.contest.sketch.skins import colour, noise, paint
from flyai_local.contest.sketch.solid import Pose, grow, render

SHAPES = ((256, 256), (240, 320), (320, 240), (256, 341), (224, 224), (300, 225), (213, 320), (280, 280))


def photograph(rng: np.random.Generator, genus: Genus) -> np.ndarray:
    """One photograph of that genus, (H, W, 3) uint8 RGB, about 256 pixels a side."""
    height, width = SHAPES[rng.integers(len(SHAPES))]
    tilt = _tilt(rng)
    scene = _background(rng, height, width, tilt)
    _mushrooms(rng, scene, genus, tilt)
    _foreground(rng, scene)
    return _developed(rng, scene)


def _tilt(rng: np.random.Generator) -> float:
    """Most pictures are taken from the side, some from above, some from below with the mushroom picked or high up."""
    kind = rng.random()
    if kind < 0.55:
        return float(rng.uniform(0.1, 0.4))
    return float(rng.uniform(0.4, 1.0) if kind < 0.73 else rng.uniform(-0.75, -0.12))


def _background(rng: np.random.Generator, height: int, width: int, tilt: float) -> np.ndarray:
    """The ground, out of focus towards the top of the picture where the camera looks into the distance."""
    floor = ground(rng, height, width)
    behind = floor.copy()
    if abs(tilt) < 0.4:
        trunks(rng, behind)
    blurred = _defocused(behind, rng.uniform(3, 9))
    far = np.linspace(1.3, -0.4 if tilt > 0.4 else -0.1, height, dtype=np.float32)[:, None, None]
    far = np.clip(far if abs(tilt) < 0.4 else far - 0.6, rng.uniform(0.05, 0.5), 1)
    haze = colour(rng, rng.choice(("46522f", "6d7a5a", "3a3a30", "8f9a86", "5c5040")))
    scene = floor * (1 - far) + far * (0.75 * blurred + 0.25 * haze)
    return np.ascontiguousarray(scene, np.float32)


def _defocused(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Strong blur, computed at a quarter of the size."""
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _mushrooms(rng: np.random.Generator, scene: np.ndarray, genus: Genus, tilt: float) -> None:
    """Place one mushroom, or a few of the same kind from the farthest to the nearest."""
    height, width = scene.shape[:2]
    skins = paint(rng, genus)
    count = int(rng.choice((1, 2, 3, 4), p=(0.64, 0.21, 0.1, 0.05)))
    side = min(height, width)
    largest = rng.uniform(0.24, 0.42) * side * (1 if count == 1 else 0.75)
    light = rng.normal([0, 0.5, 1.1], [0.7, 0.5, 0.15])
    light = (light / np.linalg.norm(light)).astype(np.float32)
    ambient = rng.uniform(0.4, 0.75)
    lying = rng.random() < 0.1
    spots = rng.uniform([0.22, 0.6], [0.78, 0.95], (count, 2)) * [width, height]
    for place in spots[np.argsort(spots[:, 1])]:
        stack = grow(rng, genus)
        pose = Pose(
            tilt=tilt + rng.normal(0, 0.03),
            roll=rng.normal(0, 0.12) + (rng.choice((-1, 1)) * rng.uniform(0.9, 1.9) if lying else 0),
            scale=largest * rng.uniform(0.75, 1.0),
            lean=rng.normal(0, 0.08),
            bend=rng.normal(0, 0.05),
            wave=(float(rng.integers(2, 7)), rng.uniform(0, 0.09), rng.uniform(0, 6.3)),
            light=light,
            ambient=ambient,
        )
        picture, base = render(stack, skins, pose)
        corner = _framed(rng, picture, place - base, (height, width))
        _shadow(scene, corner + base, pose.scale * 0.9)
        _paste(scene, picture, corner)


def _framed(rng: np.random.Generator, picture: np.ndarray, corner: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """Move a mushroom so that most of it is inside the frame; a small part may be cut off."""
    size = np.array(picture.shape[1::-1])
    slack = rng.uniform(0.0, 0.12) * size
    low, high = -slack, np.array(frame[::-1]) - size + slack
    return np.where(low < high, np.clip(corner, low, np.maximum(high, low)), (low + high) / 2)


def _shadow(scene: np.ndarray, base: np.ndarray, reach: float) -> None:
    shade = np.zeros(scene.shape[:2], np.float32)
    cv2.ellipse(shade, ((float(base[0]), float(base[1])), (2.2 * reach, 0.8 * reach), 0), 0.55, -1)
    scene *= 1 - cv2.blur(cv2.blur(shade, (15, 15)), (15, 15))[..., None]


def _paste(scene: np.ndarray, picture: np.ndarray, corner: np.ndarray) -> None:
    """Lay a premultiplied RGBA picture over the scene, cut at the frame."""
    left, top = round(float(corner[0])), round(float(corner[1]))
    height, width = picture.shape[:2]
    rows = slice(max(top, 0), min(top + height, scene.shape[0]))
    columns = slice(max(left, 0), min(left + width, scene.shape[1]))
    part = picture[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    scene[rows, columns] = scene[rows, columns] * (1 - part[..., 3:]) + part[..., :3]


def _foreground(rng: np.random.Generator, scene: np.ndarray) -> None:
    """A little clutter in front: grass or fallen leaves that hide some of the stem."""
    height, width = scene.shape[:2]
    green = colour(rng, rng.choice(GREENS))
    for _ in range(int(rng.choice((0, 4, 12, 25)))):
        blade(
            rng,
            scene,
            rng.uniform([0, 0.9 * height], [width, 1.1 * height]),
            rng.uniform(15, 80),
            green * rng.uniform(0.5, 1.1),
        )
    for _ in range(int(rng.integers(0, 6))):
        place = rng.uniform([0, 0.78 * height], [width, height])
        leaf(rng, scene, place, rng.uniform(14, 45), colour(rng, rng.choice(LEAVES)) * rng.uniform(0.6, 1.1))


def _developed(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    """Dappled light, white balance, exposure, vignetting, defocus and sensor noise."""
    height, width = scene.shape[:2]
    dapple = 1 + rng.uniform(0, 0.5) * (noise(rng, height, width, rng.uniform(60, 160), 3) - 0.5)
    down, across = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    vignette = 1 - rng.uniform(0, 0.3) * (down**2 + across**2) / 2
    balance = rng.normal(1, 0.05, 3) * rng.uniform(0.85, 1.3)
    picture = scene * (dapple * vignette)[..., None].astype(np.float32) * balance.astype(np.float32)
    picture = np.asarray(cv2.pow(np.clip(picture, 0, 1), rng.uniform(0.75, 1.1)))
    if rng.random() < 0.75:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.3))
    grain = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(0.003, 0.03))
    return np.round(np.clip(picture + grain, 0, 1) * 255).astype(np.uint8)
