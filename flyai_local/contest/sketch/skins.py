"""Surface patterns of mushroom parts, painted flat: a disc for caps and undersides, a strip for stems.

Colours are float32 RGB in [0, 1]. A disc is a square whose inscribed circle is the part seen along its axis; a strip
runs around the stem in x and from the base (row 0) to the top in y.
"""

from __future__ import annotations

import cv2
import numpy as np

from flyai_local.contest.sketch.genera import Genus

CAP, UNDERSIDE, STEM, RING, VOLVA = range(5)
SIDE = 192
AXIS = np.linspace(-1, 1, SIDE, dtype=np.float32)
RADIUS = np.hypot(AXIS[None, :], AXIS[:, None])
ANGLE = np.arctan2(AXIS[:, None], AXIS[None, :])
AROUND = ((ANGLE / (2 * np.pi) + 0.5) * 719).astype(np.intp)


def colour(rng: np.random.Generator, code: str, spread: float = 0.05) -> np.ndarray:
    """The colour of a six-digit hex code, moved a little in brightness and hue."""
    rgb = np.frombuffer(bytes.fromhex(code), np.uint8) / np.float32(255)
    return np.clip(rgb * (1 + rng.normal(0, spread * 1.5)) + rng.normal(0, spread * 0.4, 3), 0.02, 0.98).astype(
        np.float32
    )


def noise(rng: np.random.Generator, height: int, width: int, grain: float, octaves: int = 3) -> np.ndarray:
    """Fractal value noise in about [0, 1]; ``grain`` is the largest feature in pixels."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        cell = max(grain / 2**octave, 1.0)
        coarse = rng.random((int(height / cell) + 3, int(width / cell) + 3), dtype=np.float32) - 0.5
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
    return np.clip(0.5 + total * 0.8, 0, 1)


def paint(rng: np.random.Generator, genus: Genus) -> np.ndarray:
    """Patterns of one mushroom of that genus, (5, SIDE, SIDE, 3), in the order of the parts above."""
    stem = colour(rng, rng.choice(genus.stems))
    centre, edge = genus.caps[rng.integers(len(genus.caps))]
    pale = np.clip(stem * 0.4 + 0.6 * colour(rng, "f4efe4"), 0, 1)
    under = colour(rng, rng.choice(genus.undersides), 0.03)
    membrane = _membrane(rng, pale) if genus.ring or genus.volva else np.broadcast_to(under, (SIDE, SIDE, 3))
    cap = _cap(rng, genus, colour(rng, centre), colour(rng, edge))
    underside = _pores(rng, under) if genus.pores else _gills(rng, genus, under)
    return np.stack([cap, underside, _stem(rng, genus, stem), membrane, membrane])


def _cap(rng: np.random.Generator, genus: Genus, centre: np.ndarray, edge: np.ndarray) -> np.ndarray:
    ramp = np.clip(RADIUS, 0, 1) ** rng.uniform(0.8, 2.5)
    skin = centre + (edge - centre) * ramp[..., None]
    mottle = noise(rng, SIDE, SIDE, rng.uniform(14, 60), 4) - 0.5
    shade = 1 + rng.uniform(0.15, 0.4) * mottle
    if rng.random() < genus.fibrils:
        shade = shade + rng.uniform(0.15, 0.4) * (_streaks(rng) - 0.5) * np.clip(RADIUS * 1.5, 0, 1)
    if rng.random() < genus.zones:
        wave = np.sin(2 * np.pi * (RADIUS * rng.uniform(3, 6) + 0.8 * mottle))
        shade = shade - rng.uniform(0.1, 0.22) * wave
    if rng.random() < genus.striate:
        furrows = np.cos(rng.integers(45, 75) * ANGLE) * np.clip((RADIUS - 0.75) * 5, 0, 1)
        shade = shade - rng.uniform(0.1, 0.22) * furrows
    skin = skin * shade[..., None]
    if rng.random() < genus.faded:
        patch = np.clip((noise(rng, SIDE, SIDE, 90, 4) - rng.uniform(0.4, 0.6)) * 2.2, 0, 0.6)[..., None]
        skin = skin * (1 - patch) + patch * colour(rng, "dcc79a")
    if rng.random() < genus.scales:
        skin = _scales(rng, skin, centre)
    if rng.random() < genus.warts:
        skin = _warts(rng, skin)
    return np.clip(skin, 0, 1).astype(np.float32)


def _streaks(rng: np.random.Generator) -> np.ndarray:
    """Fine lines from the centre outwards, (SIDE, SIDE) in [0, 1]."""
    lines = np.convolve(rng.random(720), np.ones(3) / 3, "same").astype(np.float32)
    return lines[AROUND]


def _warts(rng: np.random.Generator, skin: np.ndarray) -> np.ndarray:
    """Pale remains of the veil on a cap, smaller towards the edge."""
    veil = colour(rng, rng.choice(["f4f0e4", "ece3cd", "cfc4b0", "e8d9a8"]), 0.02)
    mask = np.zeros((SIDE, SIDE), np.float32)
    count, size = int(rng.integers(15, 70)), rng.uniform(0.03, 0.075)
    for _ in range(count):
        reach, around = np.sqrt(rng.random()) * 0.95, rng.uniform(0, 2 * np.pi)
        blob = _blob(rng, size * (1.25 - 0.6 * reach) * rng.uniform(0.6, 1.4))
        at = np.array([np.cos(around), np.sin(around)]) * reach
        cv2.fillPoly(mask, [_pixels(blob + at)], float(rng.uniform(0.75, 1.0)))
    cover = cv2.GaussianBlur(mask, (3, 3), 0)[..., None]
    shadow = np.roll(cover, (2, 1), (0, 1))
    return skin * (1 - 0.35 * shadow) * (1 - cover) + veil * cover


def _scales(rng: np.random.Generator, skin: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Small dark scales, denser in the middle of the cap."""
    dark = np.clip(centre * rng.uniform(0.45, 0.7), 0, 1)
    grain = noise(rng, SIDE, SIDE, rng.uniform(4, 9), 2)
    mask = np.clip((grain - 0.42 - 0.25 * RADIUS) * 6, 0, 1)[..., None] * rng.uniform(0.4, 0.85)
    return skin * (1 - mask) + dark * mask


def _gills(rng: np.random.Generator, genus: Genus, base: np.ndarray) -> np.ndarray:
    count = int(rng.uniform(*genus.gills))
    bend = 0.15 * (noise(rng, SIDE, SIDE, 60, 2) - 0.5)
    full = 0.5 + 0.5 * np.cos(count * (ANGLE + bend))
    short = (0.5 + 0.5 * np.cos(2 * count * (ANGLE + bend))) * np.clip((RADIUS - 0.6) * 4, 0, 1)
    depth = rng.uniform(0.3, 0.55) * np.maximum(full, 0.8 * short) * np.clip(RADIUS * 2, 0.2, 1)
    skin = base * (1 - depth)[..., None]
    if rng.random() < genus.milk:
        skin = _drops(rng, skin, colour(rng, rng.choice(["fbfaf4", "fbfaf4", "e08a3c"]), 0.02))
    return np.clip(skin, 0, 1).astype(np.float32)


def _pores(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    holes = np.clip((noise(rng, SIDE, SIDE, rng.uniform(2.5, 4.5), 1) - 0.5) * 3, 0, 1)
    patches = 1 + 0.3 * (noise(rng, SIDE, SIDE, 70, 3) - 0.5)
    return np.clip(base * ((1 - rng.uniform(0.35, 0.6) * holes) * patches)[..., None], 0, 1).astype(np.float32)


def _drops(rng: np.random.Generator, skin: np.ndarray, milk: np.ndarray) -> np.ndarray:
    """Drops of milk, as a hurt Lactarius shows them on its gills."""
    skin = np.ascontiguousarray(skin, np.float32)
    for _ in range(int(rng.integers(6, 26))):
        reach, around = rng.uniform(0.35, 1.0), rng.uniform(0, 2 * np.pi)
        at = np.array([np.cos(around), np.sin(around)]) * reach
        cv2.fillPoly(skin, [_pixels(at + _blob(rng, rng.uniform(0.015, 0.045)))], milk.tolist())
    return skin


def _stem(rng: np.random.Generator, genus: Genus, base: np.ndarray) -> np.ndarray:
    rise = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
    soil = colour(rng, "6b5642")
    dirt = np.clip(0.35 - rise * rng.uniform(1.5, 4), 0, 0.5) * noise(rng, SIDE, SIDE, 20)
    shade = 1 + rng.uniform(0.1, 0.35) * (cv2.resize(noise(rng, SIDE // 16, SIDE, 5), (SIDE, SIDE)) - 0.5)
    if rng.random() < genus.net:
        ridges = np.abs(cv2.resize(noise(rng, SIDE // 2, SIDE, 11, 1), (SIDE, SIDE)) - 0.5)
        shade = shade + rng.uniform(0.25, 0.5) * np.clip(0.5 - ridges * 7, 0, 0.5) * np.clip(rise * 1.6, 0.2, 1)
        shade = shade - 0.12
    skin = base * shade[..., None]
    if rng.random() < genus.dots:
        spots = np.clip((noise(rng, SIDE, SIDE, rng.uniform(5, 9), 1) - 0.62) * 8, 0, 0.8)[..., None]
        skin = skin * (1 - spots) + spots * colour(rng, "5f3a20")
    if rng.random() < genus.bands:
        scaly = np.clip(np.sin(rise * rng.uniform(90, 130) + 5 * noise(rng, SIDE, SIDE, 60, 2)), 0, 1)
        skin = skin * (1 - 0.3 * (scaly * np.clip(0.7 - rise, 0, 1))[..., None])
    if rng.random() < genus.rust:
        zone = np.exp(-(((rise - rng.uniform(0.6, 0.82)) / 0.06) ** 2)) * (0.4 + 0.6 * noise(rng, SIDE, SIDE, 12))
        skin = skin * (1 - 0.8 * zone[..., None]) + 0.8 * zone[..., None] * colour(rng, "9a4e1c")
    skin = skin * (1 - dirt[..., None]) + dirt[..., None] * soil
    return np.clip(skin, 0, 1).astype(np.float32)


def _membrane(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Skirt or sac: pale, thin, with folds."""
    folds = 0.12 * np.cos(rng.integers(18, 36) * ANGLE) + 0.3 * (noise(rng, SIDE, SIDE, 25) - 0.5)
    return np.clip(base * (1 + folds)[..., None], 0, 1).astype(np.float32)


def _blob(rng: np.random.Generator, size: float) -> np.ndarray:
    """Corners of an irregular patch around the origin, (7, 2)."""
    around = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    reach = size * rng.uniform(0.6, 1.3, 7)
    return np.stack([np.cos(around) * reach, np.sin(around) * reach], 1)


def _pixels(points: np.ndarray) -> np.ndarray:
    return np.round((points + 1) * (SIDE - 1) / 2).astype(np.int32)
