"""Augmentation: every component keeps form and range, hangs on its seed alone in any thread, and has its limit case."""

import random
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recipe.components.augment.pipeline import AUGMENTATIONS, Augment, AugmentViews
from recipe.components.augment.policy import GREY
from recipe.components.losses import LOSSES, REDUCTIONS
from recipe.components.metrics import METRICS
from recipe.components.mixes import MIXES
from recipe.components.samplers import SAMPLERS
from recipe.components.schedules import SCHEDULES
from recipe.pictures import decode
from recipe.registry import Registry, SpecError

CONTEST = (
    "scale_crop(p=0.5), erasing(p=0.5), hflip(p=0.5), vflip(p=0.5), shift_scale_rotate(p=0.5), "
    "brightness_contrast(p=0.5), "
    "one_of(gauss_noise(), clahe(), jpeg_compression(), gamma(), posterize(), blur(), p=0.5)"
)
CROPS = ["random_crop", "random_resized_crop", "resize", "scale_crop"]
SIZE = 24


def picture(height: int = 40, width: int = 33, seed: int = 0) -> np.ndarray:
    """Soft random colours, (height, width, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, 3)


def always(name: str) -> Augment:
    return Augment(f"{name}(p=1.0)", SIZE)


@pytest.mark.parametrize(
    "registry", [AUGMENTATIONS, MIXES, LOSSES, REDUCTIONS, SCHEDULES, SAMPLERS, METRICS], ids=lambda r: r.family
)
def test_every_docstring_says_what_it_does_and_names_a_source(registry: Registry) -> None:
    for name in registry:
        text = registry[name].__doc__ or ""
        assert re.search(r"^\s*Source: .{20,}", text, re.MULTILINE), f"{registry.family} {name} names no source"
        assert len(text.split("\n\n")[0].strip()) > 20, f"{registry.family} {name} does not say what it does"


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (5, 7), (SIZE, SIZE), (40, 33), (200, 37)])
def test_every_augmentation_keeps_form_and_leaves_its_input(name: str, height: int, width: int) -> None:
    image, augment = picture(height, width), always(name)
    before = image.copy()
    for seed in range(4):
        augmented = augment(image, seed)
        assert augmented.shape == (SIZE, SIZE, 3) and augmented.dtype == np.uint8 and augmented.flags.c_contiguous
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_builds_bare_and_changes_something(name: str) -> None:
    image = picture()
    untouched = decode.prepare(image, SIZE)
    bare = Augment(name, SIZE)
    assert any(not np.array_equal(bare(image, seed), untouched) for seed in range(12))


@pytest.mark.limit("augmentation", "augmix", "autoaugment", "erasing", "one_of", "randaugment", "trivialaugment")
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_p_zero_is_the_evaluation_crop(name: str) -> None:
    image = picture()
    augment = Augment(f"{name}(p=0)", SIZE, crop_pct=0.9)
    assert all(np.array_equal(augment(image, seed), decode.prepare(image, SIZE, 0.9)) for seed in range(5))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_p_is_the_probability(name: str) -> None:
    image = picture(SIZE, SIZE)
    half, full = Augment(f"{name}(p=0.5)", SIZE), always(name)
    changes = [not np.array_equal(half(image, seed), image) for seed in range(60)]
    possible = np.mean([not np.array_equal(full(image, seed), image) for seed in range(60)])
    assert abs(np.mean(changes) - possible / 2) < 0.25


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_seed_alone_decides_and_no_global_generator_moves(name: str) -> None:
    image, augment = picture(), always(name)
    random.seed(1)
    torch.manual_seed(1)
    np.random.seed(1)
    states = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    first = [augment(image, seed) for seed in range(5)]
    assert states == (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())
    random.seed(2)
    torch.manual_seed(2)
    np.random.seed(2)
    again = [always(name)(image, seed) for seed in reversed(range(5))][::-1]
    assert all(map(np.array_equal, first, again))


def test_seeds_differ() -> None:
    augment = Augment(CONTEST, SIZE)
    assert len({augment(picture(), seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize(
    "text",
    [
        CONTEST,
        "random_resized_crop(), hflip(), autoaugment(), erasing()",
        "randaugment(), cutout()",
        "augmix(), trivialaugment()",
    ],
)
def test_threads_give_what_one_thread_gives(text: str) -> None:
    augment, images = Augment(text, SIZE), [picture(seed=seed) for seed in range(4)]
    jobs = [(images[seed % 4], seed) for seed in range(120)]
    expected = [augment(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda job: augment(*job), jobs))
    assert all(map(np.array_equal, expected, threaded))


@pytest.mark.limit(
    "augmentation",
    "brightness_contrast",
    "color_jitter",
    "cutout",
    "gamma",
    "gauss_noise",
    "gridmask",
    "one_of",
    "posterize",
    "random_crop",
    "random_resized_crop",
    "resize",
    "rotation",
    "scale_crop",
    "shift_scale_rotate",
)
@pytest.mark.parametrize(
    "spec",
    [
        "cutout(side=0)",
        "gridmask(ratio=0, p=1)",
        "gridmask(ratio=0, degrees=45, p=1)",
        "rotation(degrees=0, p=1)",
        "shift_scale_rotate(0, 0, 0, p=1)",
        "brightness_contrast(0, 0, p=1)",
        "color_jitter(0, 0, 0, 0, p=1)",
        "gauss_noise((0, 0), p=1)",
        "gamma((1, 1), p=1)",
        "posterize(8, p=1)",
        "random_crop(padding=0)",
        "scale_crop((1, 1))",
        "random_resized_crop((1, 1), (1, 1))",
        "resize",
        "one_of(posterize(8), p=1)",
        "",
    ],
)
def test_identity_limits(spec: str) -> None:
    image = picture(SIZE, SIZE)
    assert all(np.array_equal(Augment(spec, SIZE)(image, seed), image) for seed in range(5))


@pytest.mark.limit("augmentation", "hflip", "vflip")
@pytest.mark.parametrize("name", ["hflip", "vflip"])
def test_flips_are_their_own_inverse(name: str) -> None:
    image, flip = picture(SIZE, SIZE), always(name)
    assert np.array_equal(flip(image, 0), image[:, ::-1] if name == "hflip" else image[::-1])
    assert np.array_equal(flip(flip(image, 0), 1), image)


@pytest.mark.parametrize("name", CROPS)
def test_cropping_steps_take_the_place_of_the_evaluation_crop(name: str) -> None:
    assert Augment(f"hflip, {name}", SIZE).crops and not Augment("hflip", SIZE).crops
    image = picture(60, 90)
    assert Augment(f"{name}(p=1), {name}(p=1)", SIZE)(image, 0).shape == (SIZE, SIZE, 3)


@pytest.mark.reference("augmentation", "random_crop")
def test_random_crop_is_torchvisions_geometry() -> None:
    """Every crop of a padded 24 px picture is a window of the picture with 3 black pixels around it."""
    image = picture(SIZE, SIZE)
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)))
    windows = {padded[top : top + SIZE, left : left + SIZE].tobytes() for top in range(7) for left in range(7)}
    crops = {Augment("random_crop(padding=0.125)", SIZE)(image, seed).tobytes() for seed in range(400)}
    assert crops <= windows and len(crops) == 49


@pytest.mark.reference("augmentation", "one_of")
def test_one_of_applies_one_in_proportion_to_p() -> None:
    image = picture(SIZE, SIZE)
    augment = Augment("one_of(hflip(p=0.9), vflip(p=0.3), p=0.8)", SIZE)
    names = {image.tobytes(): "none", image[:, ::-1].tobytes(): "hflip", image[::-1].tobytes(): "vflip"}
    drawn = [names[augment(image, seed).tobytes()] for seed in range(1000)]
    shares = {name: drawn.count(name) / 1000 for name in names.values()}
    assert shares == pytest.approx({"none": 0.2, "hflip": 0.6, "vflip": 0.2}, abs=0.05)


def covered(spec: str, seed: int, side: int = 64) -> np.ndarray:
    """(side, side) bool: where a black picture is no longer black."""
    return Augment(spec, side)(np.zeros((side, side, 3), np.uint8), seed).any(2)


@pytest.mark.reference("augmentation", "erasing")
@settings(max_examples=30)
@given(st.floats(0.05, 0.3), st.integers(0, 1000))
def test_erasing_covers_the_share_asked_for(share: float, seed: int) -> None:
    mask = covered(f"erasing(scale=({share}, {share}), ratio=(0.5, 2.0), fill='mean', p=1)", seed)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert abs(mask.mean() - share) < 0.04


@pytest.mark.reference("augmentation", "cutout")
def test_cutout_covers_a_square_that_may_leave_the_picture() -> None:
    shares = [covered("cutout(side=0.5)", seed).mean() for seed in range(100)]
    assert max(shares) == 0.25 and 0.06 <= min(shares) < 0.15


@pytest.mark.reference("augmentation", "gridmask")
def test_gridmask_covers_ratio_squared_of_the_area() -> None:
    shares = [covered("gridmask(ratio=0.5, unit=(0.25, 0.25), p=1)", seed).mean() for seed in range(10)]
    assert shares == pytest.approx([0.25] * 10)
    turned = [covered("gridmask(ratio=0.5, unit=(0.25, 0.25), degrees=45, p=1)", seed).mean() for seed in range(20)]
    assert np.mean(turned) == pytest.approx(0.25, abs=0.03)


class Scripted:
    """A generator that draws policy `index`, performs everything and takes the negative sign."""

    def __init__(self, index: int) -> None:
        self.index = index

    def integers(self, *bounds: int) -> int:
        return self.index

    def random(self) -> float:
        return 1e-9


@pytest.mark.reference("augmentation", "autoaugment")
@pytest.mark.parametrize("policy", ["imagenet", "cifar10", "svhn"])
def test_autoaugment_is_torchvisions(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from recipe.system import torchvision_guard  # noqa: F401, I001
    from torchvision.transforms import AutoAugment, AutoAugmentPolicy

    image = picture(SIZE, SIZE)
    reference = AutoAugment(AutoAugmentPolicy(policy), fill=GREY)
    apply: Any = AUGMENTATIONS.build(f"autoaugment({policy!r})", SIZE).apply
    for index in range(25):
        draws = (index, torch.full((2,), 1e-9), torch.zeros(2))
        monkeypatch.setattr(reference, "get_params", lambda count, draws=draws: draws)
        assert np.array_equal(apply(image, Scripted(index)), np.asarray(reference(Image.fromarray(image))))


@pytest.mark.parametrize(
    ("name", "operations"),
    [("randaugment", 14), ("trivialaugment", 14), ("augmix", 9), ("augmix(all_operations=True)", 13)],
)
def test_policies_reach_all_their_operations(name: str, operations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from recipe.components.augment import policy as augment_policy

    library, seen = augment_policy._torchvision(), set()
    perform = library._apply_op
    monkeypatch.setattr(
        library,
        "_apply_op",
        lambda picture, name, *rest, **more: (seen.add(name), perform(picture, name, *rest, **more))[1],
    )
    augment = Augment(name, SIZE)
    for seed in range(150):
        augment(picture(SIZE, SIZE), seed)
    assert len(seen) == operations


def test_randaugment_magnitude_sets_the_strength() -> None:
    image = picture(SIZE, SIZE)

    def change(magnitude: int) -> float:
        augment = Augment(f"randaugment(count=1, magnitude={magnitude})", SIZE)
        return float(np.mean([np.abs(augment(image, seed).astype(int) - image).mean() for seed in range(60)]))

    assert change(0) < change(10) < change(30)


def test_views_share_the_crop_and_differ_by_augmix() -> None:
    image = picture(60, 60)
    views = AugmentViews("random_resized_crop(), hflip(), augmix()", SIZE)
    stack = views(image, 5)
    assert stack.shape == (3 * SIZE, SIZE, 3) and np.array_equal(stack, views(image, 5))
    clean, second, third = np.split(stack, 3)
    assert np.array_equal(clean, Augment("random_resized_crop(), hflip()", SIZE)(image, 5))
    assert not np.array_equal(clean, second) and not np.array_equal(second, third)
    still = AugmentViews("random_resized_crop(), augmix(p=0)", SIZE)(image, 5)
    assert np.array_equal(still, np.tile(still[:SIZE], (3, 1, 1)))
    with pytest.raises(SpecError, match="augmix"):
        AugmentViews("hflip()", SIZE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hflop()", "Did you mean 'hflip'"),
        ("hflip(p=2)", "p=2"),
        ("rotation(degree=3)", "Did you mean 'degrees'"),
        ("scale_crop(scale=(1.2, 0.8))", "smaller number first"),
        ("one_of(hflip(p=0))", "p=0"),
        ("one_of(hflip(), resize())", "cropping"),
        ("one_of(hflop())", "Did you mean 'hflip'"),
        ("autoaugment('cifar')", "policy"),
        ("posterize(bits=9)", "bits"),
        ("hflip() vflip()", "not a component"),
    ],
)
def test_wrong_settings_are_refused_when_the_pipeline_is_made(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        Augment(text, SIZE)


def test_albumentations_takes_every_argument_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in AUGMENTATIONS:
            always(name)(picture(), 0)
