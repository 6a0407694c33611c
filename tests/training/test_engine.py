"""One update for every optimizer: the closure is the gradient of the whole batch, whatever the micro-batch, pass or
precision.
"""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from recipe.components.optimizers import OPTIMIZERS
from recipe.config import Config
from recipe.data.batch import Batch
from recipe.system.out_of_memory import OutOfMemory
from recipe.system.runtime import Runtime
from recipe.training.step.average import ExponentialMovingAverage
from recipe.training.step.groups import param_groups
from recipe.training.step.objective import Objective
from recipe.training.step.update import NonFiniteLossError, Update, batch_norm_statistics, training_mode


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def batch(size: int = 8, lam: float = 1.0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(size) % 3
    images = torch.randn(size, 3, 8, 8, generator=generator)
    return Batch(images, labels, labels.flip(0), torch.full((size,), lam), torch.arange(size) + 100)


def update(
    model: nn.Module, optimizer: str = "sgd()", micro_batch: int = 64, precision: str = "float32", clip: float = 0.0
) -> Update:
    groups = param_groups(model, 0.1, 0.0)
    runtime = Runtime(torch.device("cpu"), precision, micro_batch=micro_batch)
    return Update(model, OPTIMIZERS.build(optimizer, groups, 0.1), Objective(Config(), torch.ones(3)), runtime, clip)


def weights(model: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


@pytest.mark.limit("recipe.training.step.update", "Update")
@pytest.mark.parametrize("optimizer", ["sgd()", "adamw()", "sam(sgd(), rho=0.1)"])
@pytest.mark.parametrize("micro_batch", [1, 3, 8])
def test_micro_batches_equal_one_batch(optimizer, micro_batch):
    whole, split = network(), network()
    for model, size in ((whole, 8), (split, micro_batch)):
        training_mode(model, freeze_batch_norm=True)  # batch statistics would differ by construction
        update(model, optimizer, size).step(batch(), 0, seed=0)
    assert torch.allclose(weights(whole), weights(split), atol=1e-5)


def test_the_loss_is_that_of_the_first_pass():
    model = network()
    training_mode(model, freeze_batch_norm=True)
    expected = nn.functional.cross_entropy(model(batch().images), batch().labels).item()
    assert update(model, "sam(sgd(), rho=0.5)").step(batch(), 0, seed=0) == pytest.approx(expected, abs=1e-6)


def test_sam_s_second_pass_leaves_batch_norm_statistics_alone():
    plain, sharpness = network().train(), network().train()
    update(plain, "sgd()").step(batch(), 0, seed=0)
    update(sharpness, "sam(sgd(), rho=0.5)").step(batch(), 0, seed=0)
    assert torch.equal(plain[1].running_mean, sharpness[1].running_mean)
    assert torch.equal(plain[1].running_var, sharpness[1].running_var)
    assert plain[1].momentum == sharpness[1].momentum == 0.1


def test_both_passes_of_sam_see_the_same_dropout():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 64, 3)).train()
    masks = []
    model[1].register_forward_hook(lambda module, inputs, output: masks.append(output == 0))
    update(model, "sam(sgd(), rho=0.5)").step(batch(), 0, seed=3)
    assert len(masks) == 2
    assert torch.equal(masks[0], masks[1])


@pytest.mark.reference("recipe.training.step.objective", "Objective")
def test_mixed_labels():
    model = network().eval()
    mixed = batch(lam=0.25)
    logits = model(mixed.images).detach()
    objective = Objective(Config(), torch.ones(3))
    expected = 0.25 * nn.functional.cross_entropy(logits, mixed.labels) + 0.75 * nn.functional.cross_entropy(
        logits, mixed.labels_b
    )
    assert torch.allclose(objective(lambda images: logits, mixed), expected)


@pytest.mark.parametrize("optimizer", ["sgd()", "sam(adamw(), rho=0.05)"])
def test_a_loss_that_is_not_a_number_names_its_rows_and_moves_nothing(optimizer):
    model = network().train()
    before = weights(model)
    poisoned = batch()
    poisoned.images[3] = math.nan
    with pytest.raises(NonFiniteLossError, match=r"at step 17 with learning rate 0.1, on table rows \[100, 101"):
        update(model, optimizer).step(poisoned, 17, seed=0)
    assert torch.equal(weights(model), before)


def test_out_of_memory_halves_the_micro_batch_and_goes_on():
    model, twin = network(), network()
    training_mode(model, freeze_batch_norm=True)
    training_mode(twin, freeze_batch_norm=True)
    forward = model.forward

    def limited(images):
        if len(images) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return forward(images)

    model.forward = limited
    step = update(model, "sam(sgd())", micro_batch=8)
    step.step(batch(), 0, seed=0)
    update(twin, "sam(sgd())").step(batch(), 0, seed=0)
    assert step.runtime.micro_batch == 2
    assert torch.allclose(weights(model), weights(twin), atol=1e-6)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 9 bytes."
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_device_s_way_to_say_that_memory_ran_out(error):
    """The statistics of the pass that failed half-way do not count."""
    model, twin = network().train(), network().train()
    forward, calls = model.forward, []

    def limited(images):
        calls.append(len(images))
        logits = forward(images)
        if len(calls) == 2:  # the second micro-batch of the first try
            raise error
        return logits

    model.forward = limited
    step = update(model, "sam(sgd())", micro_batch=4)
    step.step(batch(), 0, seed=0)
    update(twin, "sam(sgd())", micro_batch=2).step(batch(), 0, seed=0)
    assert calls[:4] == [4, 4, 2, 2]
    assert torch.equal(weights(model), weights(twin))
    assert all(torch.equal(one, other) for one, other in zip(model.buffers(), twin.buffers(), strict=True))


def test_with_one_picture_activations_are_recomputed_and_then_the_run_stops_with_advice(capsys):
    model = network().train()
    model.backbone = nn.Identity()
    model.backbone.set_grad_checkpointing = lambda on: None
    model.forward = lambda images: (_ for _ in ()).throw(MemoryError())
    step = update(model, micro_batch=2)
    with pytest.raises(OutOfMemory, match="smaller --image-size"):
        step.step(batch(), 0, seed=0)
    assert (step.runtime.micro_batch, step.runtime.recomputes) == (1, True)
    assert "1 pictures per forward pass" in (said := capsys.readouterr().out)
    assert "recomputed in the backward pass" in said


def test_another_error_is_raised_as_it_is():
    model = network().train()
    model.forward = lambda images: (_ for _ in ()).throw(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        update(model).step(batch(), 0, seed=0)


class Bad(torch.autograd.Function):
    """The identity, with a gradient that is not a number."""

    @staticmethod
    def forward(ctx, images):
        return images.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


@pytest.mark.parametrize("optimizer", ["sgd()", "adamw()", "sam(adamw(), rho=0.05)", "looksam(ranger(k=1), k=1)"])
@pytest.mark.parametrize("bad_pass", [1, 2])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_numbers_that_are_none_leave_everything_as_it_was(optimizer, bad_pass, what):
    """Weights, moments and BatchNorm statistics, whether the first or SAM's second pass is bad, the loss or the
    gradient alone.
    """
    if bad_pass == 2 and "sam" not in optimizer:
        return
    model = network().train()
    step = update(model, optimizer)
    step.step(batch(), 0, seed=0)
    before = copy.deepcopy((dict(model.state_dict()), step.optimizer.state_dict()))
    forward, calls = model.forward, []

    def poisoned(images):
        calls.append(1)
        if len(calls) != bad_pass:
            return forward(images)
        return forward(images) * math.nan if what == "loss" else Bad.apply(forward(images))

    model.forward = poisoned
    with pytest.raises(NonFiniteLossError, match=what):
        step.step(batch(), 1, seed=0)
    assert same((dict(model.state_dict()), step.optimizer.state_dict()), before)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return all(map(same, one, other)) if isinstance(one, (list, tuple)) else one == other


def test_fp16_overflow_lowers_the_scale_and_repeats_the_pass():
    model, twin = network(), network()
    for net in (model, twin):
        training_mode(net, freeze_batch_norm=True)
    step = update(model, "sam(sgd())")
    from recipe.training.step.update import LossScale

    step.scale = LossScale(value=2.0**140)  # overflows float32 gradients at first
    step.step(batch(), 0, seed=0)
    update(twin, "sam(sgd())").step(batch(), 0, seed=0)
    assert step.scale.value < 2.0**140
    assert torch.allclose(weights(model), weights(twin), atol=1e-5)


def test_bf16_is_close_to_float32():
    model, twin = network(), network()
    for net, precision in ((model, "bf16"), (twin, "float32")):
        training_mode(net, freeze_batch_norm=True)
        update(net, "sam(sgd())", precision=precision).step(batch(), 0, seed=0)
    assert torch.allclose(weights(model), weights(twin), atol=2e-2)
    assert not torch.equal(weights(model), weights(twin))


def test_clipping_bounds_the_step():
    model = network()
    training_mode(model, freeze_batch_norm=True)
    before = weights(model)
    update(model, "sgd(momentum=0.0, nesterov=False)", clip=1e-3).step(batch(), 0, seed=0)
    assert (weights(model) - before).norm() <= 0.1 * 1e-3 * 1.001


def test_frozen_statistics_context_restores_momentum_after_an_error():
    model = network().train()
    with pytest.raises(RuntimeError), batch_norm_statistics(model, update=False):
        raise RuntimeError
    assert model[1].momentum == 0.1


@pytest.mark.limit("recipe.training.step.average", "ExponentialMovingAverage")
def test_ema_decay_0_is_the_model():
    model = network().train()
    ema = ExponentialMovingAverage(model, decay=0.0)
    update(model).step(batch(), 0, seed=0)
    ema.update(model)
    assert torch.equal(weights(model), weights(ema.model))
    assert torch.equal(model[1].running_mean, ema.model[1].running_mean)


@pytest.mark.reference("recipe.training.step.average", "ExponentialMovingAverage")
def test_ema_follows_its_formula():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    ema = ExponentialMovingAverage(model, decay=0.9)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 3.0]):
        nn.init.constant_(model.weight, value)
        ema.update(model)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert ema.model.weight.item() == pytest.approx(expected, rel=1e-6)
    assert copy.deepcopy(ema).steps == 3
