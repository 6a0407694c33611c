"""Test-time augmentation: the crops and mirror images of a picture whose probabilities are averaged.

A view takes a decoded picture (h,w,3) uint8 whose short side is at least `size`, and returns (size,size,3). A component
returns a list of views, so that `five_crop()` is five of them.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section
4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from recipe.pictures.decode import centre_crop, resize_short
from recipe.registry import Positive, Registry, parse_many

View = Callable[[np.ndarray], np.ndarray]
VIEWS = Registry("view", facts={"on_request": False})  # whether `tune` tries it only where it is named


def build_views(text: str, size: int) -> list[View]:
    """Views from `identity(), hflip()`; an empty string is the identity alone."""
    return [view for spec in parse_many(text or "identity()") for view in VIEWS.build(spec, size)]


def on_request(component: Any) -> Any:
    """Decorator: `tune` tries these views only where they are named, for they suit few pictures or cost much."""
    component.on_request = True
    return component


def worth_trying() -> tuple[str, ...]:
    """What `tune` tries where nothing is named: every registered component of views but those on request, the cheapest
    first; one that is a single view is averaged with the identity.
    """
    counts = {name: len(VIEWS.build(name, 1)) for name in VIEWS if not VIEWS[name].on_request and not _needs(name)}
    texts = [f"{name}()" if name == "identity" or n > 1 else f"identity(), {name}()" for name, n in counts.items()]
    return tuple(sorted(texts, key=lambda text: (len(build_views(text, 1)), text)))


def _needs(name: str) -> bool:
    """Whether a component has a setting without a default, so that its name alone says nothing."""
    return any(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in VIEWS.settings(name).values())


@VIEWS.register
def identity(size: int, /) -> list[View]:
    """The centre crop, as at validation.

    Source: Krizhevsky et al., 2012, section 4.1.
    Limit: as the only view it is the plain model.
    """
    return [lambda image: centre_crop(image, size)]


@VIEWS.register
def hflip(size: int, /) -> list[View]:
    """The centre crop mirrored left to right.

    Source: Krizhevsky et al., 2012, section 4.1.
    """
    return [lambda image: centre_crop(image, size)[:, ::-1]]


@VIEWS.register
@on_request
def vflip(size: int, /) -> list[View]:
    """The centre crop upside down: only for pictures without an up.

    Source: Krizhevsky et al., 2012, section 4.1, turned to the other axis.
    """
    return [lambda image: centre_crop(image, size)[::-1]]


@VIEWS.register
def five_crop(size: int, /) -> list[View]:
    """The four corners and the centre.

    Source: Krizhevsky et al., 2012, section 4.1.
    Limit: on a picture of exactly size x size all five are the same.
    """

    def corner(bottom: bool, right: bool) -> View:
        def view(image: np.ndarray) -> np.ndarray:
            top, left = bottom * (image.shape[0] - size), right * (image.shape[1] - size)
            return image[top : top + size, left : left + size]

        return view

    return identity(size) + [corner(bottom, right) for bottom in (False, True) for right in (False, True)]


@VIEWS.register
@on_request
def ten_crop(size: int, /) -> list[View]:
    """Five crops and their mirror images.

    Source: Krizhevsky et al., 2012, section 4.1.
    """
    crops = five_crop(size)
    return crops + [lambda image, crop=crop: crop(image)[:, ::-1] for crop in crops]  # type: ignore[misc]


@VIEWS.register
@on_request
def dihedral(size: int, /) -> list[View]:
    """The eight rotations and mirror images of the centre crop: for pictures without an up.

    Source: Cohen and Welling, "Group Equivariant Convolutional Networks", 2016, section 4.2 (the group p4m).
    """

    def turned(turns: int, mirrored: bool) -> View:
        def view(image: np.ndarray) -> np.ndarray:
            square = np.rot90(centre_crop(image, size), turns)
            return square[:, ::-1] if mirrored else square

        return view

    return [turned(turns, mirrored) for mirrored in (False, True) for turns in range(4)]


@VIEWS.register
def scales(size: int, /, factors: tuple[Positive, ...] = (0.875, 1.0, 1.125)) -> list[View]:
    """The centre at several magnifications: a factor above 1 looks closer, below 1 shows more of the picture.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015, section 4.2 (multi-scale evaluation).
    Limit: the factor 1 is the identity. A factor that would show more than the whole picture shows the whole short
    side.
    """

    def scaled(factor: float) -> View:
        def view(image: np.ndarray) -> np.ndarray:
            short_side = max(size, round(min(image.shape[:2]) * factor))
            return centre_crop(resize_short(image, short_side), size)

        return view

    return [scaled(factor) for factor in factors]
