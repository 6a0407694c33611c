"""Normalisation: the formula, whatever the layout in memory."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from recipe.pictures.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(8, 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000))
def test_every_layout_gives_the_formula_and_keeps_itself(count, height, width, seed):
    images = torch.randint(
        256, (count, 3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std)
    )
    expected = ((images.double() / 255 - mean) / std).float()
    for layout in (torch.contiguous_format, torch.channels_last):
        found = PREPROCESSING.normalise(images.contiguous(memory_format=layout))
        assert found.dtype == torch.float32
        assert found.is_contiguous(memory_format=layout)
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(PREPROCESSING.normalise(images[..., ::2]), expected[..., ::2])


def test_no_picture_is_an_empty_batch():
    assert PREPROCESSING.normalise(torch.zeros(0, 3, 4, 4, dtype=torch.uint8)).shape == (0, 3, 4, 4)
