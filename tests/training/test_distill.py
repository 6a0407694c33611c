"""Terms beside the loss: distillation, AugMix's consistency, L1."""

import math

import pytest
import torch
from torch.nn import functional

from recipe.components.mixes import blend
from recipe.data.batch import Batch
from recipe.training.step.distill import distilled, divergence, mixed_teacher, soften
from recipe.training.step.objective import js_consistency, l1_penalty, unstack


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


STUDENT, TEACHER = normal(6, 4), 2 * normal(6, 4, seed=1)
LOSSES = functional.cross_entropy(STUDENT, torch.arange(6) % 4, reduction="none")


@pytest.mark.limit("recipe.training.step.distill", "soften")
@pytest.mark.reference("recipe.training.step.distill", "soften")
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_softening_probabilities_equals_softening_logits(temperature: float) -> None:
    torch.testing.assert_close(soften(TEACHER.softmax(1), temperature), (TEACHER / temperature).softmax(1))


@pytest.mark.limit("recipe.training.step.distill", "distilled")
def test_weight_zero_is_the_plain_loss() -> None:
    assert torch.equal(distilled(LOSSES, STUDENT, TEACHER.softmax(1), weight=0), LOSSES)


@pytest.mark.reference("recipe.training.step.distill", "distilled")
def test_hintons_formula() -> None:
    temperature, weight = 3.0, 0.7
    soft = (TEACHER / temperature).softmax(1)
    apart = (soft * (soft.log() - (STUDENT / temperature).log_softmax(1))).sum(1)
    expected = (1 - weight) * LOSSES + weight * temperature**2 * apart
    torch.testing.assert_close(
        distilled(LOSSES, STUDENT, TEACHER.softmax(1), temperature=temperature, weight=weight), expected
    )


@pytest.mark.limit("recipe.training.step.distill", "divergence")
def test_a_student_that_agrees_has_no_divergence_and_no_gradient() -> None:
    logits = TEACHER.clone().requires_grad_()
    apart = divergence(logits, TEACHER.softmax(1), 4.0)
    apart.sum().backward()
    torch.testing.assert_close(apart, torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(logits.grad, torch.zeros(6, 4), atol=1e-5, rtol=0)


def test_squared_temperature_keeps_the_size_of_the_gradient() -> None:
    """Towards infinite temperature it tends to (student - teacher) / K for centred logits (the paper's equation 4)."""
    student, teacher = STUDENT - STUDENT.mean(1, keepdim=True), TEACHER - TEACHER.mean(1, keepdim=True)
    logits = student.double().requires_grad_()
    temperature = 300.0
    target = (teacher.double() / temperature).softmax(1)
    (temperature**2 * functional.kl_div((logits / temperature).log_softmax(1), target, reduction="sum")).backward()
    own = student.clone().requires_grad_()
    divergence(own, teacher.softmax(1), temperature).sum().backward()
    torch.testing.assert_close(own.grad.double(), logits.grad, rtol=0.05, atol=5e-3)
    torch.testing.assert_close(logits.grad, (student - teacher).double() / 4, rtol=0.05, atol=5e-3)


def test_a_certain_teacher_is_finite() -> None:
    logits = STUDENT.clone().requires_grad_()
    losses = distilled(LOSSES, logits, torch.eye(4)[torch.arange(6) % 4], weight=1)
    losses.sum().backward()
    assert torch.isfinite(losses).all() and torch.isfinite(logits.grad).all()


@pytest.mark.limit("recipe.training.step.distill", "mixed_teacher")
def test_stored_answers_are_mixed_like_the_pictures() -> None:
    probs = TEACHER.softmax(1)
    labels = torch.arange(6)
    batch = Batch(normal(6, 3, 2, 2), labels, labels, torch.ones(6), labels)
    assert torch.equal(mixed_teacher(probs, batch), probs)
    torch.testing.assert_close(mixed_teacher(probs, blend(batch, 0.3)), 0.3 * probs + 0.7 * probs.flip(0))


@pytest.mark.parametrize(
    "settings", [{"weight": -0.1}, {"weight": 1.5}, {"temperature": 0.0}, {"temperature": math.nan}]
)
def test_wrong_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="refused"):
        distilled(LOSSES, STUDENT, TEACHER.softmax(1), **settings)


def test_a_teacher_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="classes must agree"):
        distilled(LOSSES, STUDENT, TEACHER.softmax(1)[:, :3])


@pytest.mark.reference("recipe.training.step.objective", "js_consistency")
def test_js_is_the_mean_divergence_from_the_mean() -> None:
    logits = normal(3, 5, 4)
    probs = logits.softmax(-1)
    mean = probs.mean(0)
    expected = torch.stack([(view * (view.log() - mean.log())).sum(-1) for view in probs]).mean(0)
    torch.testing.assert_close(js_consistency(logits), expected)


@pytest.mark.limit("recipe.training.step.objective", "js_consistency")
def test_js_limits() -> None:
    logits = normal(1, 5, 4).expand(3, 5, 4)
    torch.testing.assert_close(js_consistency(logits), torch.zeros(5), atol=1e-6, rtol=0)
    apart = 200 * torch.eye(3)[:, None].expand(3, 2, 3)
    torch.testing.assert_close(js_consistency(apart), torch.full((2,), math.log(3)))


@pytest.mark.limit("recipe.training.step.objective", "unstack")
def test_unstack_takes_views_apart() -> None:
    views = normal(3, 2, 3, 5, 5)
    stack = torch.cat(list(views), dim=2).contiguous(memory_format=torch.channels_last)
    taken = unstack(stack)
    assert torch.equal(taken.unflatten(0, (3, 2)), views) and taken.is_contiguous(memory_format=torch.channels_last)
    assert unstack(views[0]) is not None and torch.equal(unstack(views[0]), views[0])
    with pytest.raises(ValueError, match="no stack"):
        unstack(normal(2, 3, 7, 5))


@pytest.mark.limit("recipe.training.step.objective", "l1_penalty")
def test_l1_counts_trained_weights_alone() -> None:
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1).requires_grad_(False)
    )
    penalty = l1_penalty(model.parameters(), 0.1)
    torch.testing.assert_close(penalty, 0.1 * model[0].weight.abs().sum())
    assert l1_penalty(model.parameters(), 0.0) == 0.0 and l1_penalty([], 1.0) == 0.0
