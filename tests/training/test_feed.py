"""From the loader to the device: order, closing, the words about a loader that is too slow; the fused optimizer
step.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recipe.components.optimizers import OPTIMIZERS
from recipe.config import Config
from recipe.pictures.preprocessing import Preprocessing
from recipe.system.runtime import Runtime
from recipe.training import prefetch as feed
from recipe.training.loader import Loader
from recipe.training.step.groups import fuse, param_groups

PICTURES = [np.full((8, 8, 3), row, np.uint8) for row in range(6)]
CPU = torch.device("cpu")


def test_batches_arrive_in_order_and_closing_closes_the_loader():
    loader = Loader(PICTURES, np.arange(6), np.arange(6), 2, lambda image, seed: image, seed=0, shuffle=False)
    assert [batch.rows.tolist() for batch in feed.on_device(loader.epoch(0), CPU)] == [[0, 1], [2, 3], [4, 5]]
    source = loader.epoch(0)
    batches = feed.on_device(source, CPU)
    next(batches)
    batches.close()
    with pytest.raises(StopIteration):
        next(source)


@pytest.mark.parametrize(("rate", "waits"), [(1e-3, False), (1e12, True)])
def test_a_network_that_would_wait_is_told_what_to_do(rate, waits):
    config, preprocessing = (
        Config(image_size=8, augment="hflip()", optimizer="sam(sgd())", workers=1),
        Preprocessing(8, 1.0, (0.5,) * 3, (0.5,) * 3),
    )
    said = feed.feeding(config, PICTURES, preprocessing, Runtime(CPU, pictures_per_second=rate))
    assert ("raise --workers" in said) == waits


@pytest.mark.parametrize("spec", ["sgd(momentum=0.9)", "adamw()", "adam()", "adagrad()", "sam(adamw(), rho=0.05)"])
def test_a_fused_step_is_the_same_step(spec):
    weights = []
    for fused in (False, True):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3)
        optimizer = OPTIMIZERS.build(spec, param_groups(layer, 0.1, 0.01), 0.1)
        assert not fuse(optimizer)  # not on a GPU
        assert not fused or fuse(optimizer, ["cpu"])

        def closure(layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            with torch.enable_grad():
                loss = layer(torch.arange(10.0).view(2, 5)).square().mean()
            loss.backward()
            return loss.detach()

        for _ in range(4):
            optimizer.step(closure)
        weights.append(layer.weight.detach().clone())
    torch.testing.assert_close(weights[0], weights[1])


def test_what_torch_cannot_fuse_stays_as_it_is():
    layer = torch.nn.Linear(5, 3)
    assert not fuse(OPTIMIZERS.build("adadelta()", param_groups(layer, 0.1, 0.01), 0.1), ["cpu"])
