"""A mushroom as a stack of rings, and its picture from any side.

Every part of a mushroom (stem, skirt, sac, underside, cap) is a surface of revolution. Seen from above, painting its
rings as filled ellipses from the lowest to the highest leaves exactly what the eye sees; seen from below, the other
way round. The ring that was painted last at a pixel tells height and radius there, and the pixel's place in the
ellipse the direction, so that pattern and light follow for all pixels at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from flyai_local.contest.sketch.genera import Genus
from flyai_local.contest.sketch.skins import CAP, RING, SIDE, STEM, UNDERSIDE, VOLVA

CORNERS = 36
OVERSAMPLING = 1.5
AROUND = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)


@dataclass(frozen=True)
class Stack:
    """Rings from the lowest to the highest; every array is (N,), lengths in cap radii."""

    height: np.ndarray
    radius: np.ndarray
    along: np.ndarray  # 0 at the axis and 1 at the edge of a disc; 0 at the base and 1 at the top of a stem
    part: np.ndarray
    outward: np.ndarray  # the normal's share away from the axis
    upward: np.ndarray
    gloss: float
    cobweb: bool


@dataclass(frozen=True)
class Pose:
    """How the camera sees a mushroom: ``tilt`` in radians (positive from above), ``scale`` in pixels per cap radius."""

    tilt: float
    roll: float
    scale: float
    lean: float
    bend: float
    wave: tuple[float, float, float]  # number, height and phase of the waves of the cap's edge
    light: np.ndarray
    ambient: float


def grow(rng: np.random.Generator, genus: Genus) -> Stack:
    """A mushroom of that genus, of random age and build."""
    length, width, bulb = rng.uniform(*genus.stem_length), rng.uniform(*genus.stem_radius), rng.uniform(*genus.bulb)
    decurrent = rng.uniform(*genus.decurrent)
    sac = rng.random() < genus.volva
    rise = np.linspace(0.12 if sac else 0, 1, 44)
    stem_radius = width * (1 + (bulb - 1) * np.exp(-((rise / 0.28) ** 2)) + rng.uniform(-0.15, 0.1) * (rise - 0.5))
    pieces = [(rise * length, stem_radius, rise, STEM)]
    if rng.random() < genus.ring:
        pieces = _with_skirt(rng, pieces[0], length, width)
    if sac:
        pieces.insert(0, _sac(rng, length, width * bulb))
    pieces.append(_underside(genus, length, width, decurrent))
    pieces.append(_cap(rng, genus, length))
    normals = [_normals(piece[0], piece[1]) for piece in pieces]
    return Stack(
        height=np.concatenate([piece[0] for piece in pieces], dtype=np.float32),
        radius=np.concatenate([piece[1] for piece in pieces], dtype=np.float32),
        along=np.concatenate([piece[2] for piece in pieces], dtype=np.float32),
        part=np.concatenate([np.full(len(piece[0]), piece[3]) for piece in pieces]),
        outward=np.concatenate([normal[0] for normal in normals], dtype=np.float32),
        upward=np.concatenate([normal[1] for normal in normals], dtype=np.float32),
        gloss=rng.uniform(*genus.gloss),
        cobweb=bool(rng.random() < genus.cobweb),
    )


Piece = tuple[np.ndarray, np.ndarray, np.ndarray, int]


def _with_skirt(rng: np.random.Generator, stem: Piece, length: float, width: float) -> list[Piece]:
    """The stem in two pieces with a skirt between them."""
    at = int(rng.uniform(0.55, 0.82) * len(stem[0]))
    down = np.linspace(1, 0, 9)
    skirt = (
        stem[0][at] - rng.uniform(0.08, 0.22) * down,
        stem[1][at] + width * rng.uniform(0.4, 1.0) * down**0.8,
        0.3 + 0.6 * down,
        RING,
    )
    return [(stem[0][:at], stem[1][:at], stem[2][:at], STEM), skirt, (stem[0][at:], stem[1][at:], stem[2][at:], STEM)]


def _sac(rng: np.random.Generator, length: float, radius: float) -> Piece:
    up = np.linspace(0, 1, 14)
    bulge = radius * (0.75 + rng.uniform(0.45, 0.75) * np.sin(0.35 + 1.9 * up))
    return (up * length * rng.uniform(0.16, 0.3), bulge, up, VOLVA)


def _underside(genus: Genus, length: float, width: float, decurrent: float) -> Piece:
    along = np.linspace(min(width, 0.9), 1, 22)
    inner = (1 - along) / (1 - along[0])
    bulge = -0.16 * np.sin(np.pi * np.clip(inner, 0, 1)) if genus.pores else 0.0
    return (length - decurrent * inner**1.5 + bulge, along, along, UNDERSIDE)


def _cap(rng: np.random.Generator, genus: Genus, length: float) -> Piece:
    edge_in = np.sin(np.linspace(np.pi / 2, 0.04, 44))
    profile = _profile(genus.profiles[rng.integers(len(genus.profiles))], edge_in)
    height = rng.uniform(*genus.height)
    return (length + height * profile, edge_in, edge_in, CAP)


def _profile(name: str, along: np.ndarray) -> np.ndarray:
    """Height of the cap's surface over its edge, for radii from 1 (edge) to 0 (axis)."""
    if name == "dome":
        return np.sqrt(1 - along**2)
    if name == "cushion":
        return (1 - along**2.8) ** 0.55
    if name == "flat":
        return 0.45 * (1 - along**4) ** 0.7
    if name == "conical":
        return 1.15 * (1.03 - np.sqrt(along**2 + 0.03)) ** 0.85
    if name == "umbonate":
        return 0.5 * (1 - along**2.5) + 0.45 * np.exp(-((along / 0.28) ** 2))
    rim = np.clip(1 - ((along - 0.82) / 0.18).clip(0) ** 2, 0, 1)
    if name == "depressed":
        return 0.7 * rim * (1 - 0.55 * np.exp(-((along / 0.45) ** 2)))
    return rim * (0.15 + 0.75 * along**1.6)  # funnel


def _normals(height: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rise, widen = np.gradient(height), np.gradient(radius)
    size = np.maximum(np.hypot(rise, widen), 1e-6)
    return rise / size, -widen / size


def render(stack: Stack, skins: np.ndarray, pose: Pose) -> tuple[np.ndarray, tuple[float, float]]:
    """Picture (H, W, 4) in premultiplied RGBA, float32 in [0, 1], and the (x, y) of the stem's base in it."""
    centre, outline = _outlines(stack, pose)
    low, high = outline.min((0, 1)) - 4, outline.max((0, 1)) + 4
    size = np.ceil(high - low).astype(int)
    centre, outline = centre - low, outline - low
    ring_at = np.full((size[1], size[0]), -1, np.float32)
    corners = np.round(outline * 8).astype(np.int32)
    walls = _walls(corners)
    order = range(len(stack.height)) if pose.tilt > 0 else range(len(stack.height) - 1, -1, -1)
    upright = np.isin(stack.part, (STEM, VOLVA)) & (np.roll(stack.part, -1) == stack.part)
    for ring in order:
        if upright[ring]:  # seen from the side, rings of something slender do not touch each other
            cv2.fillConvexPoly(ring_at, walls[ring], float(ring), shift=3)
        cv2.fillPoly(ring_at, [corners[ring]], float(ring), shift=3)
    picture = np.zeros((size[1], size[0], 4), np.float32)
    rows, columns = np.nonzero(ring_at >= 0)
    rings = ring_at[rows, columns].astype(np.intp)
    picture[rows, columns, :3] = _shaded(stack, skins, pose, rings, columns - centre[rings, 0], rows - centre[rings, 1])
    picture[rows, columns, 3] = 1
    if stack.cobweb and pose.tilt < 0.2:
        _cobweb(picture, stack, outline)
    return _turned(picture, centre[0], pose.roll)


def _outlines(stack: Stack, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Centre (N, 2) and corners (N, CORNERS, 2) of every ring in pixels, y downwards."""
    scale = pose.scale * OVERSAMPLING
    aside = pose.lean * stack.height + pose.bend * stack.height**2
    centre = np.stack([aside, -stack.height * np.cos(pose.tilt)], 1) * scale
    edge = np.where(np.isin(stack.part, (CAP, UNDERSIDE, RING, VOLVA)), stack.along**3, 0)[:, None]
    number, size, phase = pose.wave
    wave = edge * size * np.sin(number * AROUND + phase)
    reach = stack.radius[:, None] * (1 + wave) * scale
    lift = 0.6 * wave * np.cos(pose.tilt) * scale * stack.radius[:, None]
    corners = np.stack([reach * np.cos(AROUND), reach * np.sin(AROUND) * np.sin(pose.tilt) - lift], 2)
    return centre, centre[:, None] + corners


def _walls(corners: np.ndarray) -> np.ndarray:
    """Outlines (N, 4, 2) of what spans from each ring to the one above it."""
    sides = corners[:, [0, CORNERS // 2]]
    return np.ascontiguousarray(np.concatenate([sides, np.roll(sides, -1, 0)[:, ::-1]], 1))


def _shaded(
    stack: Stack, skins: np.ndarray, pose: Pose, rings: np.ndarray, across: np.ndarray, down: np.ndarray
) -> np.ndarray:
    """Colours (P, 3) of the pixels: pattern times light, plus gloss."""
    reach = stack.radius[rings] * np.float32(pose.scale * OVERSAMPLING)
    cosine = np.clip(across.astype(np.float32) / reach, -1, 1)
    part, along = stack.part[rings], stack.along[rings]
    facing = np.where((part == STEM) | (part == VOLVA), np.float32(1), np.sign(down * np.sin(pose.tilt)))
    front = facing * np.sqrt(1 - cosine**2)
    disc = part != STEM
    column = np.where(disc, 0.5 + 0.5 * along * cosine, np.arccos(cosine) / np.float32(np.pi))
    row = np.where(disc, 0.5 + 0.5 * along * front, along)
    colours = skins[part, (row * (SIDE - 1)).astype(np.intp), (column * (SIDE - 1)).astype(np.intp)]
    normal = np.stack([stack.outward[rings] * cosine, stack.outward[rings] * front, stack.upward[rings]], 1)
    lit = np.maximum(np.clip(normal @ pose.light, 0, 1), -0.4 * normal[:, 2])  # the ground sends light up
    view = np.array([0, np.cos(pose.tilt), np.sin(pose.tilt)], np.float32)
    half = (pose.light + view) / np.linalg.norm(pose.light + view)
    shine = np.where(part == CAP, stack.gloss * cv2.pow(np.clip(normal @ half, 0, 1), 28).ravel(), 0)
    under_cap = np.where(part == STEM, 1 - 0.35 * np.clip(along - 0.7, 0, 1) / 0.3, 1)
    shelter = np.where(part == UNDERSIDE, 0.8, under_cap)
    light = (pose.ambient + (1.15 - pose.ambient) * lit) * shelter
    return np.clip(colours * light[:, None] + shine[:, None], 0, 1)


def _cobweb(picture: np.ndarray, stack: Stack, outline: np.ndarray) -> None:
    """Threads of the veil between the cap's edge and the stem, on the side of the viewer."""
    edge = int(np.flatnonzero(stack.part == UNDERSIDE)[-1])
    stems = np.flatnonzero(stack.part == STEM)
    foot = int(stems[int(0.72 * len(stems))])
    layer = np.zeros(picture.shape[:2], np.float32)
    for corner in range(CORNERS // 2 + 1):
        for shift in (0, 1, 2):
            start, end = outline[edge, corner] * 8, outline[foot, (corner + shift) % (CORNERS // 2 + 1)] * 8
            cv2.line(layer, _point(start), _point(end), 0.35 + 0.1 * shift, 1, cv2.LINE_8, 3)
    veil = cv2.GaussianBlur(layer, (3, 3), 0)[..., None]
    thread = np.array([0.82, 0.72, 0.58, 1.0], np.float32)
    picture[:] = picture * (1 - veil) + thread * veil


def _point(place: np.ndarray) -> tuple[int, int]:
    return int(place[0]), int(place[1])


def _turned(picture: np.ndarray, base: np.ndarray, roll: float) -> tuple[np.ndarray, tuple[float, float]]:
    """The picture rolled around its base and brought to its final size."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((float(base[0]), float(base[1])), np.degrees(roll), 1 / OVERSAMPLING)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ turn.T
    low, high = corners.min(0), corners.max(0)
    turn[:, 2] -= low
    size = np.ceil(high - low).astype(int)
    smooth = cv2.blur(picture, (2, 2))
    turned = cv2.warpAffine(smooth, turn, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)
    place = turn @ np.array([base[0], base[1], 1.0])
    return turned, (float(place[0]), float(place[1]))
