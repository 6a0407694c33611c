"""Several processes that train one fold together: the step is that of one process, whatever happens in one of them."""

from __future__ import annotations

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from processes_lab import Ended, sha256, together
from torch import nn

from protocol.errors import UserError
from protocol.strict import ConfigError
from recipe.components.mixes import MIXES
from recipe.components.optimizers import OPTIMIZERS
from recipe.components.sam import perturbs_alone
from recipe.config import Config
from recipe.data.batch import Batch
from recipe.system.processes.world import ALONE, World
from recipe.system.runtime import Runtime
from recipe.training.step.exchange import Exchange
from recipe.training.step.groups import param_groups
from recipe.training.step.objective import Objective
from recipe.training.step.update import Update

OPTIMIZERS_TRIED = (
    "sam(sgd(momentum=0.9), rho=0.05)", "asam(sgd(momentum=0.9))", "gsam(sgd(momentum=0.9))",
    "looksam(adamw(), k=2)", "adamw()", "sam(sgd(), only='norm')",
)  # fmt: skip
STEPS = 3


class Parts(nn.Module):
    """A network with a branch that only some pictures take: some processes have no gradient for it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.bright, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, images):
        features = self.body(images)
        bright = images.mean((1, 2, 3)) > 0.02
        if bool(bright.any()):
            features = features + bright[:, None] * self.bright(features)
        return self.head(features)


def network(dtype) -> nn.Module:
    torch.manual_seed(0)
    return Parts().to(dtype)


def batch_of(count: int, dtype) -> Batch:
    generator = torch.Generator().manual_seed(count)
    labels = torch.arange(count) % 3
    images = torch.randn(count, 3, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return Batch(images, labels, labels, torch.ones(count, dtype=dtype), torch.arange(count) + 100)


def of_shard(batch: Batch, positions: np.ndarray) -> Batch:
    return Batch(**{name: tensor[torch.from_numpy(positions)].clone() for name, tensor in batch.tensors().items()})


class SplitAlike(Update):
    """One process that computes the shares of two one after the other."""

    def _pass(self, batch, seed):
        positions = [World(rank, 2).shard(len(batch)) for rank in range(2)]
        sums, total = [torch.zeros_like(parameter) for parameter in self.parameters], 0.0
        for share in (of_shard(batch, each) for each in positions):
            loss = self._tried(share, seed)
            total += loss * len(share)
            for whole, parameter in zip(sums, self.parameters, strict=True):
                whole += 0 if parameter.grad is None else parameter.grad * len(share)
        for whole, parameter in zip(sums, self.parameters, strict=True):
            parameter.grad = whole / len(batch) if parameter.requires_grad else None
        return total / len(batch), self._norm()


def trained(world, optimizer, count, dtype=torch.float64, mix="mixup(alpha=1)", micro_batch=64, clip=0.0, kind=Update,
            ranks="together", spoil=None):  # fmt: skip
    """Three steps: gradients of each, weights after the last, their sha256, and the losses."""
    torch.set_default_dtype(torch.float32)
    model = network(dtype)
    built = OPTIMIZERS.build(optimizer, param_groups(model, 0.1, 1e-4), 0.1)
    runtime = Runtime(torch.device("cpu"), micro_batch=micro_batch)
    update = kind(model, built, Objective(Config(), torch.ones(3)), runtime, clip, world, perturbs_alone(built, ranks))
    update._forward = lambda images: model(images)  # in float64 where the network is
    gradients, losses = [], []
    for step in range(STEPS):
        whole = MIXES.build(mix)(batch_of(count, dtype), torch.Generator().manual_seed(step))
        share = whole if world.alone else of_shard(whole, world.shard(count))
        if spoil is not None:
            spoil(world, update, share, step)
        losses.append(update.step(share, step, step))
        gradients.append([None if p.grad is None else p.grad.numpy().copy() for p in model.parameters()])
    return gradients, arrays(model), sha256(model), losses, runtime.micro_batch


def arrays(model):
    return [p.detach().numpy().copy() for p in model.parameters()]


def largest(one, other):
    """The largest difference of two lists of arrays; None in both is none."""
    pairs = list(zip(one, other, strict=True))
    assert all((left is None) == (right is None) for left, right in pairs)
    return max(float(np.abs(left - right).max()) for left, right in pairs if left is not None)


def assert_as_one(two, one, gradient, weight):
    for found in two:
        assert not isinstance(found, Ended), found
        assert max(largest(*steps) for steps in zip(found[0], one[0], strict=True)) <= gradient
        assert largest(found[1], one[1]) <= weight
    assert two[0][2] == two[1][2]  # sha256 of the weights
    assert two[0][3] == two[1][3]


@pytest.mark.parametrize("optimizer", OPTIMIZERS_TRIED)
@pytest.mark.parametrize("count", [8, 7])
def test_two_processes_take_the_step_of_one(optimizer, count):
    two = together(trained, optimizer, count)
    assert_as_one(two, trained(ALONE, optimizer, count), 1e-12, 1e-12)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3])
def test_a_batch_that_leaves_a_process_without_pictures(count, size):
    found = together(trained, OPTIMIZERS_TRIED[0], count, size=size)
    assert_as_one(found[:2], trained(ALONE, OPTIMIZERS_TRIED[0], count), 1e-12, 1e-12)
    assert len({each[2] for each in found}) == 1


@pytest.mark.parametrize(
    "how", [{"mix": "cutmix()"}, {"mix": "none()"}, {"clip": 0.01}, {"micro_batch": 1}, {"micro_batch": 3}]
)
def test_mixing_clipping_and_accumulation(how):
    for optimizer in (OPTIMIZERS_TRIED[0], "adamw()"):
        two = together(trained_with, optimizer, 10, how)
        assert_as_one(two, trained(ALONE, optimizer, 10, **how), 1e-12, 1e-12)


def trained_with(world, optimizer, count, how):
    return trained(world, optimizer, count, **how)


@pytest.mark.parametrize("optimizer", OPTIMIZERS_TRIED)
def test_in_float32_as_one_process_that_splits_alike(optimizer):
    how = {"dtype": torch.float32, "clip": 0.5}
    two = together(trained_with, optimizer, 9, how)
    assert_as_one(two, trained(ALONE, optimizer, 9, kind=SplitAlike, **how), 1e-6, 1e-6)


# What goes wrong in one process


def short_of_memory(times, step=1, passes=1):
    """In the second process memory runs out so many times, in that step and pass."""

    def spoil(world, update, share, at):
        if world.rank != 1 or at != step:
            return
        own, left, seen = update._accumulate, [times], []

        def accumulate(batch):
            seen.append(batch)
            if len(seen) >= passes and left[0]:
                left[0] -= 1
                own(batch)  # half of it was done
                raise torch.OutOfMemoryError("out of memory")
            return own(batch)

        update._accumulate = accumulate

    return spoil


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("times", [1, 2])
def test_memory_that_runs_out_in_one_process(times, passes):
    two = together(trained_with, OPTIMIZERS_TRIED[0], 8, {"spoil": short_of_memory(times, passes=passes)})
    assert_as_one(two, trained(ALONE, OPTIMIZERS_TRIED[0], 8), 1e-12, 1e-12)
    assert [each[4] for each in two] == [64, 4 >> times]  # the other's micro-batch stays


@pytest.mark.parametrize("ranks", ["together", "own"])
def test_memory_that_has_run_out_for_good_ends_both_with_one_sentence(ranks):
    how = {"spoil": short_of_memory(99), "ranks": ranks}
    first, second = together(trained_with, OPTIMIZERS_TRIED[0], 8, how)
    assert (first.kind, first.elsewhere) == ("OutOfMemory", True)
    assert (second.kind, second.elsewhere) == ("OutOfMemory", False)
    assert "smaller --image-size" in second.text


def not_a_number(world, update, share, step):
    if world.rank == 1 and step == 1:
        share.images[0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize("ranks", ["together", "own"])
def test_a_picture_that_is_no_number_is_named_by_all(ranks):
    for found in together(trained_with, OPTIMIZERS_TRIED[0], 6, {"spoil": not_a_number, "ranks": ranks}):
        assert found.kind == "NonFiniteLossError"
        assert sorted(map(int, found.text.split("rows [")[1].split("]")[0].split(","))) == list(range(100, 106))


def test_who_perturbs_by_its_own_gradient_takes_another_step_and_all_have_the_same_weights():
    for optimizer in OPTIMIZERS_TRIED[:2]:
        two = together(trained_with, optimizer, 8, {"ranks": "own"})
        assert two[0][2] == two[1][2]
        assert largest(two[0][1], trained(ALONE, optimizer, 8)[1]) > 1e-6
        assert two[0][3][0] == pytest.approx(trained(ALONE, optimizer, 8)[3][0], abs=1e-12)  # the loss is that of all
    empty = together(trained_with, OPTIMIZERS_TRIED[0], 1, {"ranks": "own"})
    assert empty[0][2] == empty[1][2]


@pytest.mark.parametrize("optimizer", ["gsam(sgd())", "looksam(sgd())", "adamw()", "lookahead(gsam(sgd()))"])
def test_own_perturbation_is_refused_where_it_has_no_meaning(optimizer):
    built = OPTIMIZERS.build(optimizer, param_groups(network(torch.float32), 0.1, 0.0), 0.1)
    assert not perturbs_alone(built, "together")
    with pytest.raises(ConfigError, match="sam_ranks: own is for sam\\(\\) and asam\\(\\)"):
        perturbs_alone(built, "own")


def stopped_at(world, number):
    """The steps after which each has heard of a signal that one process got before its second step."""
    heard = []

    def spoil(world, update, share, step):
        heard.append(world.heard)
        if world.rank == 1 and step == 1:
            world.asked = lambda: number

    trained(world, "adamw()", 4, spoil=spoil)
    return [*heard, world.heard]


def test_a_signal_to_one_is_heard_by_all_after_the_same_step():
    assert together(stopped_at, int(signal.SIGTERM)) == [[0, 0, 15, 15]] * 2


def dies(world):
    before = []

    def spoil(world, update, share, step):
        if world.rank == 1 and step == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        before[:] = [update.model, arrays(update.model)]

    try:
        trained(world, OPTIMIZERS_TRIED[0], 4, spoil=spoil)
    except UserError as error:
        model, weights = before
        return type(error).__name__, str(error), largest(weights, arrays(model))


def test_the_death_of_one_leaves_the_other_at_its_last_whole_step():
    first, second = together(dies)
    assert second.code == -signal.SIGKILL
    assert first[0] == "LostProcess"
    assert "go on with --resume" in first[1]
    assert first[2] == 0


# What they tell each other


def refused(world, rank):
    def work():
        if world.rank >= rank:
            raise ConfigError(f"refused by {world.rank}")
        return world.first(lambda: "never")  # the others are somewhere else meanwhile

    world.agree(work)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_what_is_refused_in_one_is_refused_in_all_and_said_once(rank):
    found = together(refused, rank, size=3)
    assert {(each.kind, each.text) for each in found} == {("ConfigError", f"refused by {rank}")}
    assert [each.elsewhere for each in found] == [other != rank for other in range(3)]


def told(world):
    parts = world.gathered(lambda: world.part(np.arange(2)).astype(float)[:, None])
    order = world.in_turn(lambda: world.rank)
    return world.first(lambda: {"rank": world.rank}), world.gather(world.rank), parts.tolist(), order


def test_first_gather_and_parts():
    for rank, found in enumerate(together(told, size=3)):
        assert found == ({"rank": 0}, [0, 1, 2], [[0.0], [1.0]], rank)


@given(st.integers(1, 97), st.integers(1, 9))
def test_shards_are_a_batch_cut_in_whole_pairs(count, size):
    shards = [World(rank, size).shard(count) for rank in range(size)]
    assert sorted(np.concatenate(shards).tolist()) == list(range(count))
    for shard in shards:
        assert (np.sort(shard) == shard).all()
        assert (count - 1 - shard[::-1] == shard).all()
    assert max(map(len, shards)) - min(map(len, shards)) <= 3


@given(st.integers(1, 12), st.integers(1, 4), st.sampled_from(["mixup()", "cutmix()", "either()"]), st.integers(0, 99))
def test_mixing_a_shard_gives_the_shard_of_the_mixed_batch(count, size, mix, seed):
    whole = MIXES.build(mix)(batch_of(count, torch.float32), torch.Generator().manual_seed(seed))
    for rank in range(size):
        shard = World(rank, size).shard(count)
        own = MIXES.build(mix)(of_shard(batch_of(count, torch.float32), shard), torch.Generator().manual_seed(seed))
        for name, tensor in own.tensors().items():
            assert torch.equal(tensor, whole.tensors()[name][torch.from_numpy(shard)]), name


@given(st.integers(1, 40), st.integers(1, 6))
def test_parts_are_the_rows_in_order(count, size):
    rows = np.random.default_rng(count).permutation(count)
    assert np.concatenate([World(rank, size).part(rows) for rank in range(size)]).tolist() == rows.tolist()


@pytest.mark.limit("recipe.training.step.exchange", "Exchange")
def test_alone_nothing_is_exchanged():
    loss = torch.tensor(2.0)
    assert Exchange(ALONE, network(torch.float32).parameters()).gradient(loss, 3) is loss


def test_a_loader_reads_its_own_share_alone():
    from recipe.training.loader import Loader

    class Watched(list):
        def __getitem__(self, row):
            seen.append(row)
            return np.full((4, 4, 3), row, np.uint8)

    def batches(**how):
        made = Loader(Watched([None] * 12), np.arange(12), np.arange(12), 5, lambda image, seed: image, seed=3, **how)
        return list(made.epoch(1))

    seen: list[int] = []
    whole = batches()
    seen.clear()
    own = batches(shard=World(1, 2).shard)
    assert len(seen) == 4 and len(own) == len(whole) == 2
    for share, batch in zip(own, whole, strict=True):
        assert share.rows.tolist() == batch.rows[[1, 3]].tolist()
        assert torch.equal(share.images, batch.images[[1, 3]])
    empty = next(iter(dataclasses.astuple(each)[0] for each in batches(shard=lambda count: np.arange(0))))
    assert empty.shape[0] == 0
