"""Mixing: pictures and labels keep their shares, limit cases change nothing, the generator alone decides."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipe.components.mixes import MIXES, blend, paste, random_box
from recipe.data.batch import Batch
from recipe.registry import SpecError


def batch_of(size: int = 5, side: int = 12) -> Batch:
    """Pictures whose every pixel is their own label."""
    labels = torch.arange(size)
    images = labels.float()[:, None, None, None].expand(size, 3, side, side).clone(memory_format=torch.channels_last)
    return Batch(images, labels, labels.clone(), torch.ones(size), torch.arange(size))


def drawn(spec: str, seed: int = 0, size: int = 5) -> Batch:
    return MIXES.build(spec)(batch_of(size), torch.Generator().manual_seed(seed))


def unchanged(mixed: Batch, size: int = 5) -> bool:
    before, after = batch_of(size).tensors(), mixed.tensors()
    return before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_mix_keeps_form_and_accounts_for_every_pixel(name: str, size: int) -> None:
    for seed in range(8):
        mixed = drawn(name, seed, size)
        assert mixed.images.shape == (size, 3, 12, 12) and mixed.images.dtype == torch.float32
        assert mixed.images.is_contiguous(memory_format=torch.channels_last)
        assert ((mixed.lam >= 0) & (mixed.lam <= 1)).all()
        expected = mixed.lam * mixed.labels + (1 - mixed.lam) * mixed.labels_b
        torch.testing.assert_close(mixed.images.mean((1, 2, 3)), expected)


@pytest.mark.limit("mix", "mixup", "cutmix")
@pytest.mark.parametrize(
    "spec", ["none", "mixup(alpha=0)", "mixup(p=0)", "cutmix(alpha=0)", "cutmix(p=0)", "either(none(), none())"]
)
def test_identity_limits(spec: str) -> None:
    assert all(unchanged(drawn(spec, seed)) for seed in range(5))


@pytest.mark.limit("mix", "mixup", "cutmix")
def test_lam_one_is_the_identity() -> None:
    assert unchanged(blend(batch_of(), 1.0))
    assert torch.equal(paste(batch_of(), (3, 3, 0, 12)).images, batch_of().images)


def test_lam_zero_is_the_partner() -> None:
    assert torch.equal(blend(batch_of(), 0.0).images, batch_of().images.flip(0))
    assert torch.equal(paste(batch_of(), (0, 12, 0, 12)).images, batch_of().images.flip(0))


@pytest.mark.reference("mix", "mixup")
def test_blend_is_the_weighted_sum() -> None:
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    batch = Batch(images.clone(), torch.arange(4), torch.arange(4), torch.ones(4), torch.arange(4))
    torch.testing.assert_close(blend(batch, 0.3).images, 0.3 * images + 0.7 * images.flip(0))


@pytest.mark.reference("mix", "cutmix")
def test_paste_changes_the_box_alone() -> None:
    mixed = paste(batch_of(4), (2, 5, 1, 12))
    box = torch.zeros(12, 12, dtype=torch.bool)
    box[2:5, 1:12] = True
    assert torch.equal(mixed.images[0, 0], torch.where(box, 3.0, 0.0))
    torch.testing.assert_close(mixed.lam, torch.full((4,), 1 - 33 / 144))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32))
def test_boxes_lie_inside_and_are_no_larger_than_asked(height: int, width: int, lam: float, seed: int) -> None:
    top, bottom, left, right = random_box(height, width, lam, np.random.default_rng(seed))
    assert 0 <= top <= bottom <= height and 0 <= left <= right <= width
    assert (bottom - top) * (right - left) <= height * width * (1 - lam) + 1e-6


@pytest.mark.parametrize("name", ["mixup", "cutmix", "either"])
def test_the_generator_alone_decides(name: str) -> None:
    state = torch.get_rng_state()
    first, second, other = drawn(name, 1), drawn(name, 1), drawn(name, 2)
    assert torch.equal(first.images, second.images) and torch.equal(first.lam, second.lam)
    assert not torch.equal(first.lam, other.lam)
    assert torch.equal(torch.get_rng_state(), state)


def test_mixup_share_follows_beta() -> None:
    mix, generator = MIXES.build("mixup(alpha=1.0)"), torch.Generator().manual_seed(0)
    shares = np.array([float(mix(batch_of(2, 1), generator).lam[0]) for _ in range(800)])
    assert abs(shares.mean() - 0.5) < 0.05 and abs(shares.var() - 1 / 12) < 0.01


@pytest.mark.limit("mix", "either")
def test_either_draws_both_and_its_limits_draw_one() -> None:
    def kinds(p: float) -> set[bool]:
        return {unchanged(drawn(f"either(none(), mixup(), p={p})", seed)) for seed in range(30)}

    assert kinds(0.5) == {True, False} and kinds(1) == {True} and kinds(0) == {False}


@pytest.mark.parametrize("spec", ["mixup(alpha=-1)", "cutmix(p=1.5)", "either(mixup(), cutmx())", "mixup(beta=1)"])
def test_wrong_settings_are_refused(spec: str) -> None:
    with pytest.raises(SpecError):
        MIXES.build(spec)
