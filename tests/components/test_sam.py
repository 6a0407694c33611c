"""The SAM family against hand-worked steps and its limit cases."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recipe.components.optimizers import OPTIMIZERS
from recipe.components.sam import ASAM, SAM, perturbation
from recipe.training.step.groups import param_groups

CURVATURE = torch.tensor([1.0, 4.0], dtype=torch.float64)
START = torch.tensor([3.0, 1.0], dtype=torch.float64)


class Quadratic:
    """Loss 0.5 * sum(curvature * weight**2), whose gradient is curvature * weight."""

    def __init__(self, spec: str, lr: float = 0.1) -> None:
        self.weight = nn.Parameter(START.clone())
        self.optimizer = OPTIMIZERS.build(spec, [{"params": [self.weight], "lr": lr, "weight_decay": 0.0}], lr)
        self.seen: list[torch.Tensor] = []

    def closure(self) -> torch.Tensor:
        self.seen.append(self.weight.detach().clone())
        self.optimizer.zero_grad()
        loss = 0.5 * (CURVATURE * self.weight**2).sum()
        loss.backward()
        return loss.detach()

    def step(self) -> torch.Tensor:
        self.optimizer.step(self.closure)
        return self.weight.detach()


def uphill(weight: torch.Tensor, rho: float) -> torch.Tensor:
    gradient = CURVATURE * weight
    return weight + rho * gradient / gradient.square().sum().sqrt()


@pytest.mark.reference("optimizer", "sam")
def test_sam_step_by_hand():
    """At (3, 1) the gradient is (3, 4) of length 5; rho=0.5 goes to (3.3, 1.4), where the gradient is (3.3, 5.6)."""
    task = Quadratic("sam(sgd(momentum=0), rho=0.5)")
    assert task.step().tolist() == pytest.approx([3 - 0.33, 1 - 0.56])
    assert task.seen[1].tolist() == pytest.approx([3.3, 1.4])


def test_loss_is_that_of_the_weights_themselves():
    task = Quadratic("sam(rho=0.5)")
    assert task.optimizer.step(task.closure).item() == pytest.approx(0.5 * (9 + 4))


NO_RADIUS = [
    "sam({}, rho=0)",
    "asam({}, rho=0)",
    "gsam({}, rho=0, alpha=0)",
    "looksam({}, rho=0, k=1)",
    "looksam({}, rho=0, k=4, alpha=0)",
]


@pytest.mark.limit("optimizer", "sam", "asam")
@pytest.mark.parametrize("base", ["sgd(momentum=0.9)", "adamw()"])
@pytest.mark.parametrize("spec", NO_RADIUS)
def test_radius_zero_is_the_base(spec, base):
    ours, theirs = Quadratic(spec.format(base)), Quadratic(base)
    for _ in range(6):
        assert torch.equal(ours.step(), theirs.step())


@pytest.mark.limit("optimizer", "sam")
def test_small_radius_approaches_the_base():
    base = Quadratic("sgd").step()
    gaps = [(Quadratic(f"sam(rho={rho})").step() - base).norm().item() for rho in (0.1, 0.01, 0.001)]
    assert gaps[0] == pytest.approx(10 * gaps[1]) == pytest.approx(100 * gaps[2]) and gaps[2] > 0


@pytest.mark.limit("optimizer", "gsam", "looksam")
@pytest.mark.parametrize("spec", ["gsam(rho=0.1, alpha=0)", "looksam(rho=0.1, k=1)", "looksam(rho=0.1, k=1, alpha=3)"])
def test_limit_is_sam(spec):
    ours, sam = Quadratic(spec), Quadratic("sam(rho=0.1)")
    for _ in range(6):
        assert torch.equal(ours.step(), sam.step())


@pytest.mark.reference("optimizer", "asam")
def test_asam_step_by_hand():
    """T = (3, 1): T g = (9, 4), T^2 g = (27, 4)."""
    task = Quadratic("asam(sgd(momentum=0), rho=0.5, eta=0)")
    task.step()
    away = 0.5 / (81 + 16) ** 0.5
    assert task.seen[1].tolist() == pytest.approx([3 + 27 * away, 1 + 4 * away])


@pytest.mark.limit("optimizer", "asam")
def test_asam_on_unit_weights_is_sam():
    gradient = torch.randn(40, generator=torch.Generator().manual_seed(0))
    for sign in (1.0, -1.0):
        weight = nn.Parameter(torch.full((40,), sign))
        weight.grad = gradient.clone()
        adaptive = ASAM(torch.optim.SGD([weight], lr=0.1), rho=0.3, eta=0.0)
        assert torch.allclose(adaptive._perturbation([weight])[0], perturbation([gradient], 0.3)[0])


@given(st.floats(0.1, 10), st.floats(0.01, 1))
@settings(max_examples=25, deadline=None)
def test_asam_neighbourhood_scales_with_the_weights(scale, rho):
    """Weights c times as large have gradients c times as small in a network that is invariant to it; e grows by c."""
    generator = torch.Generator().manual_seed(3)
    weight, gradient = (torch.randn(20, generator=generator, dtype=torch.float64) for _ in range(2))
    found = []
    for c in (1.0, scale):
        p = nn.Parameter(weight * c)
        p.grad = gradient / c
        found.append(ASAM(torch.optim.SGD([p], lr=0.1), rho=rho, eta=0.0)._perturbation([p])[0])
    assert torch.allclose(found[1], found[0] * scale)


@pytest.mark.reference("optimizer", "gsam")
def test_gsam_step_by_hand():
    task = Quadratic("gsam(sgd(momentum=0), rho=0.5, alpha=0.4)")
    plain, sharp = CURVATURE * START, CURVATURE * uphill(START, 0.5)
    across = plain - (plain @ sharp) / (sharp @ sharp) * sharp
    assert across @ sharp == pytest.approx(0, abs=1e-12)
    assert torch.allclose(task.step(), START - 0.1 * (sharp - 0.4 * across))


def test_gsam_radius_follows_the_learning_rate():
    task = Quadratic("gsam(rho=0.5, rho_min=0.1)", lr=0.2)
    for lr, rho in ((0.2, 0.5), (0.1, 0.3), (0.0, 0.1)):
        task.optimizer.param_groups[0]["lr"] = lr
        task.seen.clear()
        task.step()
        assert (task.seen[1] - task.seen[0]).norm().item() == pytest.approx(rho)


@pytest.mark.reference("optimizer", "looksam")
def test_looksam_reuses_the_orthogonal_part():
    task = Quadratic("looksam(sgd(momentum=0), rho=0.5, k=2, alpha=0.7)")
    plain, sharp = CURVATURE * START, CURVATURE * uphill(START, 0.5)
    across = sharp - (sharp @ plain) / (plain @ plain) * plain
    second = task.step().clone()
    assert torch.allclose(second, START - 0.1 * sharp) and len(task.seen) == 2
    gradient = CURVATURE * second
    expected = second - 0.1 * (gradient + 0.7 * gradient.norm() / across.norm() * across)
    assert torch.allclose(task.step(), expected) and len(task.seen) == 3
    task.step()
    assert len(task.seen) == 5


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=20).filter(lambda g: max(map(abs, g)) > 1e-3),
    st.floats(0.001, 10),
)
@settings(max_examples=50, deadline=None)
def test_perturbation_has_length_rho(gradient, rho):
    parts = torch.tensor(gradient, dtype=torch.float64).split(3)
    assert torch.cat(perturbation(parts, rho)).norm().item() == pytest.approx(rho)


@pytest.mark.parametrize("spec", ["sam", "asam", "gsam", "looksam(k=2)"])
def test_zero_gradient_moves_nothing(spec):
    task = Quadratic(spec)
    with torch.no_grad():
        task.weight.zero_()
    assert all(task.step().tolist() == [0, 0] for _ in range(3))


@pytest.mark.parametrize("spec", ["sam", "asam", "gsam", "looksam"])
def test_failing_second_pass_leaves_the_weights_as_they_were(spec):
    task = Quadratic(spec)

    def closure():
        loss = task.closure()
        if len(task.seen) == 2:
            raise FloatingPointError("loss is nan at step 0")
        return loss

    with pytest.raises(FloatingPointError):
        task.optimizer.step(closure)
    assert torch.equal(task.weight, START) and not torch.equal(task.seen[1], START)
    task.seen = []
    assert torch.equal(task.step(), Quadratic(spec).step())  # the run can go on from there


def test_clipping_in_the_closure_keeps_the_direction():
    free, clipped = Quadratic("sam(rho=0.5)"), Quadratic("sam(rho=0.5)")

    def closure():
        loss = clipped.closure()
        nn.utils.clip_grad_norm_([clipped.weight], 0.01)
        return loss

    free.step()
    clipped.optimizer.step(closure)
    assert torch.allclose(free.seen[1], clipped.seen[1])
    assert (clipped.weight - START).norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)


class Network:
    """Convolution, norm and linear layer with a closure over micro-batches."""

    def __init__(self, spec: str, micro_batches: int = 1, memory_format=torch.contiguous_format) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers = [
                nn.Conv2d(3, 6, 3),
                nn.GroupNorm(2, 6),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(6, 4),
            ]
            self.model = nn.Sequential(*layers).to(memory_format=memory_format)
            self.images, self.labels = torch.randn(8, 3, 8, 8), torch.randint(4, (8,))
        self.optimizer = OPTIMIZERS.build(spec, param_groups(self.model, 0.1, 1e-4), 0.1)
        self.micro_batches = micro_batches
        self.moved: list[set[str]] = []
        self.start = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def closure(self) -> float:
        self.moved.append({name for name, p in self.model.named_parameters() if not torch.equal(p, self.start[name])})
        self.optimizer.zero_grad()
        total = 0.0
        for images, labels in zip(
            self.images.chunk(self.micro_batches), self.labels.chunk(self.micro_batches), strict=True
        ):
            loss = nn.functional.cross_entropy(self.model(images), labels, reduction="sum") / len(self.labels)
            loss.backward()
            total += loss.item()
        return total


@pytest.mark.parametrize("spec", ["sam", "asam", "gsam", "looksam(k=2)", "sam(only='norm')"])
def test_micro_batches_equal_one_batch(spec):
    whole, parts = Network(spec), Network(spec, micro_batches=4)
    for _ in range(3):
        assert whole.optimizer.step(whole.closure) == pytest.approx(parts.optimizer.step(parts.closure), rel=1e-5)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("spec", ["sam(only='norm')", "asam(only='norm')"])
def test_norm_only_moves_norms_only_and_trains_everything(spec):
    task = Network(spec)
    task.optimizer.step(task.closure)
    assert task.moved == [set(), {"1.weight", "1.bias"}]
    assert all(p.requires_grad for p in task.model.parameters())
    assert all(not torch.equal(p, task.start[name]) for name, p in task.model.named_parameters())


@pytest.mark.reference("optimizer", "sam")
def test_norm_only_equals_sam_with_every_other_gradient_left_out():
    """By hand: gradients of all, uphill by those of the norm alone, gradients again, plain descent."""
    task, manual = Network("sam(sgd(momentum=0), rho=0.2, only='norm')"), Network("sgd(momentum=0)")
    task.optimizer.step(task.closure)
    manual.closure()
    norms = [manual.model[1].weight, manual.model[1].bias]
    length = torch.cat([p.grad for p in norms]).norm()
    away = [0.2 * p.grad / length for p in norms]
    for p, e in zip(norms, away, strict=True):
        p.data.add_(e)
    manual.closure()
    for p, e in zip(norms, away, strict=True):
        p.data.sub_(e)
    manual.optimizer.step()
    for a, b in zip(task.model.parameters(), manual.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_memory_format_of_weights_and_gradients_stays():
    task = Network("looksam(adamw(), k=2)", memory_format=torch.channels_last)
    for _ in range(3):
        task.optimizer.step(task.closure)
    assert task.model[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_parameter_without_gradient_is_left_alone():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = SAM(torch.optim.SGD([used, unused], lr=0.1), rho=0.1)

    def closure():
        optimizer.zero_grad()
        loss = used.square().sum()
        loss.backward()
        return loss.detach()

    optimizer.step(closure)
    assert unused.tolist() == [1, 1] and unused.grad is None and used.tolist() != [1, 1]
